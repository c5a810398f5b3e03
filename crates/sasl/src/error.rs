use core::fmt;

/// Why a [`Client`](crate::Client) cannot go on: end the exchange with the protocol's cancel line (`*`).
///
/// Holds nothing of what the server sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The caller's credentials cannot be sent: they hold a control character, a user name or password is
    /// empty, or they are not of the kind that the mechanism takes.
    Credentials,
    /// A -PLUS mechanism was chosen, but there is nothing to bind it to.
    NoBinding,
    /// The server sent a challenge that is not one of the mechanism.
    Malformed,
    /// The server sent a challenge when the exchange was already over.
    Unexpected,
    /// The server answered with another nonce: somebody is in between, or replays an old exchange.
    Nonce,
    /// The server asks for this many iterations of the hash, outside of
    /// [`Client::iteration_limits`](crate::Client::iteration_limits).
    Iterations(u32),
    /// The server refused within the mechanism (`e=` of RFC 5802 §5.1, the status of RFC 7628 §3.2.2): in
    /// most cases a wrong password, or a token that has expired.
    Refused,
    /// The server's signature is wrong: it does not know the password, so it is not the server it claims to be.
    ServerSignature,
    /// The server announced success before it proved that it knows the password.
    Incomplete,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Credentials => {
                "the credentials are empty, hold a control character, or do not fit the mechanism"
            }
            Self::NoBinding => "the mechanism needs channel binding, and there is none",
            Self::Malformed => "the server's challenge is malformed",
            Self::Unexpected => "the server sent a challenge too many",
            Self::Nonce => "the server's nonce does not belong to this exchange",
            Self::Iterations(n) => {
                return write!(
                    f,
                    "the server asks for {n} iterations, which is outside of the limits"
                );
            }
            Self::Refused => "the server refused the credentials",
            Self::ServerSignature => "the server did not prove that it knows the password",
            Self::Incomplete => "the server announced success before the exchange was complete",
        })
    }
}

impl core::error::Error for Error {}

/// Why a [`Server`](crate::Server) did not let the client in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// The client's response is not one of the mechanism, or asks for what is not offered.
    Malformed,
    /// The credentials are wrong, or may not act for the asked identity.
    Denied,
    /// The client's channel is not the server's, or it was made to believe that -PLUS is not offered:
    /// somebody stands between the two (RFC 5802 §6).
    ChannelBinding,
    /// Whether they are right cannot be told at the moment.
    Unavailable,
    /// The client cancelled the exchange.
    Aborted,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed authentication response",
            Self::Denied => "authentication failed",
            Self::ChannelBinding => "the channel binding does not match",
            Self::Unavailable => "authentication is temporarily unavailable",
            Self::Aborted => "authentication cancelled",
        })
    }
}

impl core::error::Error for Failure {}
