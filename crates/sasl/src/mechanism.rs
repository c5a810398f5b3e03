use core::fmt;

/// A SASL mechanism: RFC 4422 §3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// PLAIN: RFC 4616.
    Plain,
    /// LOGIN: obsolete, but all that some programs speak.
    Login,
    /// SCRAM-SHA-256: RFC 7677. The password is not sent, and the server proves itself as well.
    ScramSha256,
}

impl Mechanism {
    /// All mechanisms of this crate, the strongest first.
    pub const ALL: &[Self] = &[Self::ScramSha256, Self::Plain, Self::Login];

    /// The registered name, in capitals.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
        }
    }

    /// The mechanism of that name, in any case; `None` if this crate does not have it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|m| m.name().eq_ignore_ascii_case(name))
    }

    /// Whether it shows the password to everybody who reads along: only for use under TLS.
    pub fn is_plaintext(self) -> bool {
        match self {
            Self::Plain | Self::Login => true,
            Self::ScramSha256 => false,
        }
    }

    /// Whether the client speaks first, so that an initial response saves a round trip.
    pub fn is_client_first(self) -> bool {
        match self {
            Self::Plain | Self::ScramSha256 => true,
            Self::Login => false,
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
