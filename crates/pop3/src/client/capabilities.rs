//! What a server can do (RFC 2449 §5)

use crate::Expire;
use mailwright_sasl::Mechanism;
use std::time::Duration;

/// The capabilities that a server announced, as it wrote them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    lines: Vec<String>,
}

impl Capabilities {
    /// Whether the capability of this name, in any case, was announced.
    pub fn has(&self, name: &str) -> bool {
        self.arguments(name).is_some()
    }

    /// What stands behind the name of a capability; empty if nothing does, `None` if it was not announced.
    pub fn arguments(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The mechanisms for AUTH that are known here (RFC 5034 §3), on one line or on many.
    pub fn mechanisms(&self) -> Vec<Mechanism> {
        self.all("SASL")
            .flat_map(str::split_ascii_whitespace)
            .filter_map(Mechanism::from_name)
            .collect()
    }

    /// How long messages may be left on the server (RFC 2449 §6.7), if it says.
    pub fn expire(&self) -> Option<Expire> {
        match self.arguments("EXPIRE")?.split_ascii_whitespace().next()? {
            never if never.eq_ignore_ascii_case("NEVER") => Some(Expire::Never),
            days => days.parse().ok().map(Expire::Days),
        }
    }

    /// How long to wait between logins (RFC 2449 §6.5), if the server says.
    pub fn login_delay(&self) -> Option<Duration> {
        let delay = self.arguments("LOGIN-DELAY")?.split_ascii_whitespace().next()?;
        delay.parse().ok().map(Duration::from_secs)
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.iter()
            .map(|line| line.split_once(' ').unwrap_or((line, "")))
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, arguments)| arguments.trim())
    }

    /// The lines of the announcement.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    pub(super) fn push(&mut self, line: String) {
        self.lines.push(line);
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }
}
