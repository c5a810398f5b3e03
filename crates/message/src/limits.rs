//! How much of a field is read (RFC 5322 §3.6)

/// How much of one field's value is read. What is beyond is left out, and a [`Defect`](crate::Defect) says so.
///
/// Comments may nest to any depth: they are passed over by counting, which costs neither stack nor memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Mailboxes and groups of an address list. Default 100,000; a list may have as many as a message has
    /// recipients, of which RFC 5321 §4.5.3.1.8 wants at least 100 taken.
    pub max_addresses: usize,
    /// Parameters, or sections of parameters, of a Content-Type or Content-Disposition field. Default 1,000.
    pub max_parameters: usize,
    /// Identifiers of a References, In-Reply-To or Message-ID field. Default 10,000.
    pub max_ids: usize,
    /// Tags of a DKIM or ARC field, results of an Authentication-Results field, members of a List-*,
    /// Keywords or Content-Language field. Default 1,000.
    pub max_values: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_addresses: 100_000,
            max_parameters: 1_000,
            max_ids: 10_000,
            max_values: 1_000,
        }
    }
}
