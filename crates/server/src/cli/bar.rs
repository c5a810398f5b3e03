//! How a transfer goes, on a terminal or in a log.

use mailwright_server::transfer::{Observer, Progress, Report};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Shows how a transfer goes, on the standard error: a bar where that is a terminal. What is left out is told there as
/// well, a line each.
#[derive(Debug)]
pub(super) struct Bar {
    is_terminal: bool,
    began: Instant,
    drawn: Option<Instant>,
}

impl Bar {
    const EVERY: Duration = Duration::from_millis(100);
    const WIDTH: u64 = 24;

    pub(super) fn new() -> Self {
        Self {
            is_terminal: io::stderr().is_terminal(),
            began: Instant::now(),
            drawn: None,
        }
    }

    /// Takes the bar away, and says what it came to.
    pub(super) fn end(mut self, verb: &str, report: &Report) -> String {
        self.clear();
        let seconds = self.began.elapsed().as_secs_f64();
        let mut line = format!(
            "{} messages in {} folders {verb}, {} in {seconds:.1} s",
            report.added,
            report.folders,
            octets(report.octets)
        );
        if report.present > 0 {
            line.push_str(&format!("; {} were there already", report.present));
        }
        if report.skipped > 0 {
            line.push_str(&format!("; {} left out, told above", report.skipped));
        }
        line + "\n"
    }

    /// Takes the bar away.
    pub(super) fn clear(&mut self) {
        if self.drawn.take().is_some() {
            self.write("\r\x1b[K");
        }
    }

    fn line(&self, progress: &Progress) -> String {
        let seconds = self.began.elapsed().as_secs_f64().max(0.001);
        let share = match (progress.total_messages, progress.total_octets) {
            (Some(total), _) if total > 0 => Some((progress.messages, total)),
            (_, Some(total)) if total > 0 => Some((progress.octets, total)),
            _ => None,
        };
        let bar = match share {
            Some((done, of)) => {
                let done = done.min(of);
                let full = u128::from(done) * u128::from(Self::WIDTH) / u128::from(of);
                let full = usize::try_from(full).unwrap_or(0);
                let empty = Self::WIDTH as usize - full;
                let percent = u128::from(done) * 100 / u128::from(of);
                format!("[{}{}] {percent:3} %  ", "#".repeat(full), "-".repeat(empty))
            }
            None => String::new(),
        };
        format!(
            "{bar}{} messages, {}, {:.0}/s",
            progress.messages,
            octets(progress.octets),
            progress.messages as f64 / seconds
        )
    }

    fn write(&self, text: &str) {
        // A terminal that is gone is no reason to stop.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

impl Observer for Bar {
    fn progress(&mut self, progress: &Progress) {
        if !self.is_terminal || self.drawn.is_some_and(|drawn| drawn.elapsed() < Self::EVERY) {
            return;
        }
        self.drawn = Some(Instant::now());
        self.write(&format!("\r\x1b[K{}", self.line(progress)));
    }

    fn skipped(&mut self, what: &str, why: &str) {
        self.clear();
        self.write(&format!("left out: {}: {}\n", printable(what), printable(why)));
    }
}

/// What comes from files and servers must not steer a terminal.
fn printable(text: &str) -> String {
    let safe = text.chars().map(|c| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    });
    safe.collect()
}

fn octets(octets: u64) -> String {
    match octets {
        0..10_000 => format!("{octets} octets"),
        10_000..10_000_000 => format!("{} kB", octets / 1000),
        _ => format!("{} MB", octets / 1_000_000),
    }
}
