/// Why a field cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It does not follow the grammar of RFC 8601 §2.2; the offset is into its value.
    #[error("malformed at octet {0}")]
    Malformed(usize),
    /// It has a version that is not known.
    #[error("unknown version of Authentication-Results")]
    Version,
}
