use thiserror::Error;

/// Why a [`Client`](crate::Client) cannot go on: end the exchange with the protocol's cancel line (`*`).
///
/// Holds nothing of what the server sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's credentials cannot be sent: they hold a NUL, or a user name or password is empty.
    #[error("the user name, identity or password is empty or holds a NUL")]
    Credentials,
    /// The server sent a challenge that is not one of the mechanism.
    #[error("the server's challenge is malformed")]
    Malformed,
    /// The server sent a challenge when the exchange was already over.
    #[error("the server sent a challenge too many")]
    Unexpected,
    /// The server answered with another nonce: somebody is in between, or replays an old exchange.
    #[error("the server's nonce does not belong to this exchange")]
    Nonce,
    /// The server asks for this many iterations of the hash, outside of
    /// [`Client::iteration_limits`](crate::Client::iteration_limits).
    #[error("the server asks for {0} iterations, which is outside of the limits")]
    Iterations(u32),
    /// The server refused within the mechanism (`e=` of RFC 5802 §5.1): in most cases a wrong password.
    #[error("the server refused the credentials")]
    Refused,
    /// The server's signature is wrong: it does not know the password, so it is not the server it claims to be.
    #[error("the server did not prove that it knows the password")]
    ServerSignature,
    /// The server announced success before it proved that it knows the password.
    #[error("the server announced success before the exchange was complete")]
    Incomplete,
}

/// Why a [`Server`](crate::Server) did not let the client in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Failure {
    /// The client's response is not one of the mechanism, or asks for what is not offered.
    #[error("malformed authentication response")]
    Malformed,
    /// The credentials are wrong, or may not act for the asked identity.
    #[error("authentication failed")]
    Denied,
    /// Whether they are right cannot be told at the moment.
    #[error("authentication is temporarily unavailable")]
    Unavailable,
    /// The client cancelled the exchange.
    #[error("authentication cancelled")]
    Aborted,
}
