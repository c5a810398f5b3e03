use core::fmt;

/// Why a session cannot go on. The peer has been told BYE where that was possible.
///
/// Mistakes a session survives are not here: they are answered with BAD or NO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer sent too many malformed commands in a row.
    TooManyBadCommands,
    /// The peer failed to authenticate too often.
    TooManyAuthFailures,
    /// The peer announced a literal too large even to be read and dropped.
    LiteralTooLarge,
    /// The peer did not log in in time.
    LoginTimeout,
    /// The peer was silent for too long, or did not take our output.
    IdleTimeout,
    /// The peer closed the connection without LOGOUT.
    Closed,
    /// What the peer sent is not compressed as was agreed (RFC 4978).
    Compression,
    /// The caller gave up in the middle of an answer that cannot be taken back.
    CutShort,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooManyBadCommands => "the peer sent too many malformed commands",
            Self::TooManyAuthFailures => "the peer failed to authenticate too often",
            Self::LiteralTooLarge => "the peer announced a literal beyond every limit",
            Self::LoginTimeout => "the peer did not log in in time",
            Self::IdleTimeout => "the peer was idle for too long",
            Self::Closed => "the peer closed the connection without logging out",
            Self::Compression => "the peer's compressed stream is corrupt",
            Self::CutShort => "an answer was cut short",
        })
    }
}

impl core::error::Error for Error {}
