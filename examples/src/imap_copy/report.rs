//! What has become of everything, for a person.

use std::fmt;

/// What was copied, and what was not.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    copied: u64,
    octets: u64,
    earlier: u64,
    vanished: u64,
    lost_flags: u64,
    would: Vec<String>,
    failures: Vec<String>,
}

impl Report {
    /// Whether nothing was refused.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }

    pub(super) fn copied(&mut self, octets: u64) {
        self.copied += 1;
        self.octets += octets;
    }

    /// So many messages were copied by an earlier run.
    pub(super) fn were_there(&mut self, messages: usize) {
        self.earlier += messages as u64;
    }

    /// A message was deleted while the mailbox was copied.
    pub(super) fn vanished(&mut self) {
        self.vanished += 1;
    }

    /// The new server does not keep some flags of a message.
    pub(super) fn lost_flags(&mut self) {
        self.lost_flags += 1;
    }

    pub(super) fn would_copy(&mut self, from: &str, to: &str, messages: usize, octets: u64) {
        let line = format!(
            "{} -> {}: {messages} messages, {}",
            shown(from),
            shown(to),
            Octets(octets)
        );
        self.would.push(line);
    }

    pub(super) fn failed(&mut self, mailbox: &str, uid: u32, why: &str) {
        self.failures
            .push(format!("{}, UID {uid}: {why}", shown(mailbox)));
    }

    pub(super) fn failed_mailbox(&mut self, mailbox: &str, why: &dyn std::error::Error) {
        self.failures.push(format!("{}: {why}", shown(mailbox)));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.would {
            writeln!(f, "would copy {line}")?;
        }
        if self.would.is_empty() {
            writeln!(f, "copied {} messages, {}", self.copied, Octets(self.octets))?;
        }
        for (count, what) in [
            (self.earlier, "were copied earlier"),
            (self.vanished, "were deleted meanwhile"),
            (self.lost_flags, "lost flags that the new server does not keep"),
        ] {
            if count > 0 {
                writeln!(f, "{count} messages {what}")?;
            }
        }
        if !self.failures.is_empty() {
            writeln!(f, "{} could not be copied:", self.failures.len())?;
        }
        self.failures.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// A number of octets, as people write it.
pub(super) struct Octets(pub(super) u64);

impl fmt::Display for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..10_000 => write!(f, "{} B", self.0),
            10_000..10_000_000 => write!(f, "{} kB", self.0 / 1000),
            _ => write!(f, "{}.{} MB", self.0 / 1_000_000, self.0 / 100_000 % 10),
        }
    }
}

/// The name of a mailbox, fit for a terminal.
pub(super) fn shown(mailbox: &str) -> String {
    let escaped = mailbox.chars().flat_map(|c| match c.is_control() {
        true => c.escape_default().collect::<Vec<_>>(),
        false => vec![c],
    });
    escaped.collect()
}
