//! What a server can do (RFC 2449 §5)

use mailwright_sasl::Mechanism;

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
        self.iter()
            .map(|line| line.split_once(' ').unwrap_or((line, "")))
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, arguments)| arguments.trim())
    }

    /// The mechanisms for AUTH that are known here (RFC 5034 §3).
    pub fn mechanisms(&self) -> Vec<Mechanism> {
        self.arguments("SASL")
            .unwrap_or("")
            .split_ascii_whitespace()
            .filter_map(Mechanism::from_name)
            .collect()
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
