//! The text format of Prometheus, version 0.0.4

use super::cells::{Counter, Family, Gauge, Histogram, Label};
use std::fmt::{Display, Write as _};

/// Writes metrics one below the other.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    pub(super) fn finish(self) -> String {
        self.0
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, counter: &Counter) {
        self.total(name, help, counter.value());
    }

    /// A number that was counted elsewhere.
    pub(super) fn total(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "counter");
        self.sample(name, "", value);
    }

    pub(super) fn counters<L: Label>(&mut self, name: &str, help: &str, family: &Family<L, Counter>) {
        self.head(name, help, "counter");
        for value in L::ALL {
            self.sample(name, &pair(*value), family.of(*value).value());
        }
    }

    /// Counters by two labels.
    pub(super) fn table<L: Label, M: Label>(
        &mut self,
        name: &str,
        help: &str,
        table: &Family<L, Family<M, Counter>>,
    ) {
        self.head(name, help, "counter");
        for (row, column) in L::ALL
            .iter()
            .flat_map(|row| M::ALL.iter().map(move |it| (*row, *it)))
        {
            let labels = format!("{},{}", pair(row), pair(column));
            self.sample(name, &labels, table.of(row).of(column).value());
        }
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help, "gauge");
        self.sample(name, "", value);
    }

    pub(super) fn gauges<L: Label>(&mut self, name: &str, help: &str, gauge: impl Fn(L) -> i64) {
        self.head(name, help, "gauge");
        for value in L::ALL {
            self.sample(name, &pair(*value), gauge(*value));
        }
    }

    pub(super) fn family<L: Label>(&mut self, name: &str, help: &str, family: &Family<L, Gauge>) {
        self.gauges(name, help, |value| family.of(value).value());
    }

    /// One that says nothing but its label, whose value is the server's own.
    pub(super) fn info(&mut self, name: &str, help: &str, label: &str, value: &str) {
        self.head(name, help, "gauge");
        self.sample(name, &format!("{label}=\"{value}\""), 1);
    }

    pub(super) fn histogram(&mut self, name: &str, help: &str, times: &Histogram) {
        self.head(name, help, "histogram");
        let cumulated = times.cumulated();
        let bounds = Histogram::BOUNDS.iter().map(ToString::to_string);
        for (bound, within) in bounds.chain(["+Inf".to_owned()]).zip(cumulated) {
            self.sample(&format!("{name}_bucket"), &format!("le=\"{bound}\""), within);
        }
        self.sample(&format!("{name}_sum"), "", times.seconds());
        self.sample(&format!("{name}_count"), "", cumulated[Histogram::BOUNDS.len()]);
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        // Writing into a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            _ => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }
}

fn pair<L: Label>(value: L) -> String {
    format!("{}=\"{}\"", L::NAME, value.text())
}
