/// Why a durable record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Written by a version of the format this crate does not know.
    #[error("the record has format version {0}, which is not known")]
    Version(u8),
    /// The octets end early, go on too long, or hold a value that cannot be.
    #[error("the record is damaged at octet {0}")]
    Damaged(usize),
}
