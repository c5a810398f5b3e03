use core::fmt;

/// Why a conversation with a filter failed. Sticky: a machine that failed keeps failing with the same error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The filter closed the connection before it had answered.
    Closed,
    /// The filter took too long.
    Timeout(Phase),
    /// The filter sent something that is not of its protocol.
    Malformed(&'static str),
    /// The filter sent something larger than the limit for it.
    TooLarge(&'static str),
    /// The filter does something that was not agreed on.
    NotNegotiated(&'static str),
    /// The filter speaks a version of the protocol that this engine does not.
    Version(u32),
}

/// What a machine was waiting for when its time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// For the answer to the first words.
    Greeting,
    /// For the answer to a command, or for the filter to take it.
    Command,
    /// For the verdict on the whole message.
    Verdict,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the filter closed the connection"),
            Self::Timeout(phase) => write!(f, "the filter did not answer in time: {phase}"),
            Self::Malformed(what) => write!(f, "the filter sent a malformed answer: {what}"),
            Self::TooLarge(what) => write!(f, "the filter sent too much: {what}"),
            Self::NotNegotiated(what) => write!(f, "the filter did what was not agreed on: {what}"),
            Self::Version(version) => write!(f, "the filter speaks version {version} of the protocol"),
        }
    }
}

impl core::error::Error for Error {}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "at the first words",
            Self::Command => "at a command",
            Self::Verdict => "at the end of the message",
        })
    }
}
