//! What names a command (RFC 3501 §2.2.1)

/// Stands for a command that was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub(super) u64);
