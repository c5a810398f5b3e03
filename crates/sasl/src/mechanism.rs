use crate::ScramHash;
use core::fmt;

/// A SASL mechanism: RFC 4422 §3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// SCRAM-SHA-256-PLUS: RFC 7677. As SCRAM-SHA-256, and nobody can stand between the two ends of TLS.
    ScramSha256Plus,
    /// SCRAM-SHA-1-PLUS: RFC 5802.
    ScramSha1Plus,
    /// SCRAM-SHA-256: RFC 7677. The password is not sent, and the server proves itself as well.
    ScramSha256,
    /// SCRAM-SHA-1: RFC 5802.
    ScramSha1,
    /// OAUTHBEARER: RFC 7628, an access token.
    OAuthBearer,
    /// XOAUTH2: an access token in the way of Google and Microsoft, before RFC 7628.
    XOAuth2,
    /// EXTERNAL: RFC 4422 Appendix A, known by other means, as the certificate of TLS.
    External,
    /// PLAIN: RFC 4616.
    Plain,
    /// LOGIN: obsolete, but all that some programs speak.
    Login,
    /// CRAM-MD5: RFC 2195, with the feature `cram-md5`.
    ///
    /// Weak: who listens can try out passwords at the speed of MD5, the server has to keep the password
    /// itself, and does not prove itself. Under TLS even PLAIN is better.
    #[cfg(feature = "cram-md5")]
    CramMd5,
    /// ANONYMOUS: RFC 4505, nobody in particular.
    Anonymous,
}

impl Mechanism {
    /// All mechanisms of this crate, the strongest first.
    pub const ALL: &[Self] = &[
        Self::ScramSha256Plus,
        Self::ScramSha1Plus,
        Self::ScramSha256,
        Self::ScramSha1,
        Self::OAuthBearer,
        Self::XOAuth2,
        Self::External,
        Self::Plain,
        Self::Login,
        #[cfg(feature = "cram-md5")]
        Self::CramMd5,
        Self::Anonymous,
    ];

    /// What a server with passwords usually offers: those that work with what [`crate::ScramCredentials`]
    /// keeps for SHA-256.
    pub const USUAL: &[Self] = &[Self::ScramSha256Plus, Self::ScramSha256, Self::Plain, Self::Login];

    /// The registered name, in capitals.
    pub fn name(self) -> &'static str {
        match self {
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
            Self::External => "EXTERNAL",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            #[cfg(feature = "cram-md5")]
            Self::CramMd5 => "CRAM-MD5",
            Self::Anonymous => "ANONYMOUS",
        }
    }

    /// The mechanism of that name, in any case; `None` if this crate does not have it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|m| m.name().eq_ignore_ascii_case(name))
    }

    /// Whether it is for use under TLS alone: it shows the password or the token to everybody who reads
    /// along, or rests on what TLS has found out.
    pub fn is_plaintext(self) -> bool {
        matches!(
            self,
            Self::Plain | Self::Login | Self::OAuthBearer | Self::XOAuth2 | Self::External
        )
    }

    /// Whether it binds the exchange to the TLS channel it runs in, and so needs
    /// [`ChannelBindings`](crate::ChannelBindings).
    pub fn is_plus(self) -> bool {
        matches!(self, Self::ScramSha256Plus | Self::ScramSha1Plus)
    }

    /// Whether it should not be used where there is a choice.
    pub fn is_weak(self) -> bool {
        #[cfg(feature = "cram-md5")]
        if self == Self::CramMd5 {
            return true;
        }
        false
    }

    /// Whether the client speaks first, so that an initial response saves a round trip.
    pub fn is_client_first(self) -> bool {
        #[cfg(feature = "cram-md5")]
        if self == Self::CramMd5 {
            return false;
        }
        self != Self::Login
    }

    /// The hash function of a SCRAM mechanism.
    pub fn scram_hash(self) -> Option<ScramHash> {
        match self {
            Self::ScramSha256Plus | Self::ScramSha256 => Some(ScramHash::Sha256),
            Self::ScramSha1Plus | Self::ScramSha1 => Some(ScramHash::Sha1),
            _ => None,
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
