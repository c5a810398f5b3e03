//! Fields of reports that have no place of their own (RFC 3464 §2.4, RFC 8098 §3.3)

use crate::header::{self, Field};

/// A field of a report that this crate has no other place for: `X-...`, or one registered later.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Extension {
    name: String,
    value: String,
}

/// The longest name of a field; no registered one has more than 40 octets.
const MAX_NAME: usize = 70;

/// The fields that reports have a place for.
pub(crate) const KNOWN: [&str; 23] = [
    "Original-Envelope-Id",
    "Reporting-MTA",
    "DSN-Gateway",
    "Received-From-MTA",
    "Arrival-Date",
    "Original-Recipient",
    "Final-Recipient",
    "Action",
    "Status",
    "Remote-MTA",
    "Diagnostic-Code",
    "Localized-Diagnostic",
    "Last-Attempt-Date",
    "Final-Log-ID",
    "Will-Retry-Until",
    "Reporting-UA",
    "MDN-Gateway",
    "Original-Message-ID",
    "Disposition",
    "Error",
    "Failure",
    "Warning",
    "Failure",
];

impl Extension {
    /// A field. `None` if the name is none for a field (printable ASCII without a colon, 1 to 70 octets), or is that
    /// of a field which reports have a place for.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Option<Self> {
        let name: String = name.into();
        let valid = (1..=MAX_NAME).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_graphic() && b != b':')
            && !KNOWN.iter().any(|known| known.eq_ignore_ascii_case(&name));
        valid.then(|| Self {
            name,
            value: value.into(),
        })
    }

    /// The name of the field.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value, decoded.
    pub fn value(&self) -> &str {
        &self.value
    }

    pub(crate) fn read(field: &Field<'_>) -> Option<Self> {
        Self::new(std::str::from_utf8(field.name).ok()?, header::decode(field.value))
    }
}
