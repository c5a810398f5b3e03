/// Why a session cannot go on. The peer has been told BYE where that was possible.
///
/// Mistakes a session survives are not here: they are answered with BAD or NO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer sent too many malformed commands in a row.
    #[error("the peer sent too many malformed commands")]
    TooManyBadCommands,
    /// The peer failed to authenticate too often.
    #[error("the peer failed to authenticate too often")]
    TooManyAuthFailures,
    /// The peer announced a literal too large even to be read and dropped.
    #[error("the peer announced a literal beyond every limit")]
    LiteralTooLarge,
    /// The peer did not log in in time.
    #[error("the peer did not log in in time")]
    LoginTimeout,
    /// The peer was silent for too long, or did not take our output.
    #[error("the peer was idle for too long")]
    IdleTimeout,
    /// The peer closed the connection without LOGOUT.
    #[error("the peer closed the connection without logging out")]
    Closed,
    /// The caller gave up in the middle of an answer that cannot be taken back.
    #[error("an answer was cut short")]
    CutShort,
}
