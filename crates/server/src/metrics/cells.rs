//! Numbers that many tasks change at once without waiting for each other

use std::marker::PhantomData;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// What distinguishes the numbers of a family: a small, fixed set, so that no peer decides how many there are.
pub(crate) trait Label: Copy + Eq + 'static {
    /// The name of the label.
    const NAME: &'static str;
    /// All values, each once.
    const ALL: &'static [Self];

    /// A value as it stands in the text.
    fn text(self) -> &'static str;

    /// Where a value stands in [`ALL`](Self::ALL).
    fn place(self) -> usize {
        let place = Self::ALL.iter().position(|other| *other == self);
        place.expect("every value of a label is among all")
    }
}

/// Declares a [`Label`].
macro_rules! label {
    ($(#[$about:meta])* $name:ident as $label:literal { $($(#[$doc:meta])* $value:ident = $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name {
            $($(#[$doc])* $value,)*
        }

        impl $crate::metrics::cells::Label for $name {
            const NAME: &'static str = $label;
            const ALL: &'static [Self] = &[$(Self::$value,)*];

            fn text(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)*
                }
            }
        }
    };
}
pub(crate) use label;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Counts one more.
    pub(crate) fn count(&self) {
        self.add(1);
    }

    /// Counts so many more.
    pub(crate) fn add(&self, many: u64) {
        self.0.fetch_add(many, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicI64);

impl Gauge {
    pub(crate) const fn new() -> Self {
        Self(AtomicI64::new(0))
    }

    pub(crate) fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn down(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number for each value of a label.
#[derive(Debug)]
pub(crate) struct Family<L, C> {
    cells: Box<[C]>,
    label: PhantomData<fn() -> L>,
}

impl<L: Label, C: Default> Default for Family<L, C> {
    fn default() -> Self {
        Self {
            cells: L::ALL.iter().map(|_| C::default()).collect(),
            label: PhantomData,
        }
    }
}

impl<L: Label, C> Family<L, C> {
    pub(crate) fn of(&self, value: L) -> &C {
        &self.cells[value.place()]
    }
}

/// Durations, sorted into classes.
#[derive(Debug)]
pub(crate) struct Histogram {
    /// How many were within each bound, and not within the one before; the last one is without bound.
    classes: [AtomicU64; Histogram::BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

impl Histogram {
    /// The bounds of the classes, in seconds.
    pub(crate) const BOUNDS: [f64; 14] = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0,
    ];

    pub(crate) fn record(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let class = Self::BOUNDS.partition_point(|bound| *bound < seconds);
        self.classes[class].fetch_add(1, Ordering::Relaxed);
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    /// For each bound how many were within it; at the end, how many there were.
    pub(crate) fn cumulated(&self) -> [u64; Self::BOUNDS.len() + 1] {
        let mut sum = 0;
        self.classes.each_ref().map(|class| {
            sum += class.load(Ordering::Relaxed);
            sum
        })
    }

    /// How long all took together.
    pub(crate) fn seconds(&self) -> f64 {
        Duration::from_micros(self.microseconds.load(Ordering::Relaxed)).as_secs_f64()
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            classes: [const { AtomicU64::new(0) }; Self::BOUNDS.len() + 1],
            microseconds: AtomicU64::new(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_their_classes() {
        let times = Histogram::default();
        for milliseconds in [0, 1, 1, 7, 600_000] {
            times.record(Duration::from_millis(milliseconds));
        }
        let cumulated = times.cumulated();
        assert_eq!(cumulated[..5], [1, 3, 3, 3, 4]);
        assert_eq!(cumulated[13..], [4, 5]);
        assert!((times.seconds() - 600.009).abs() < 1e-9);
    }
}
