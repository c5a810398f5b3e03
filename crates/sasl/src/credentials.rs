use crate::{Mechanism, Secret, prep};
use std::borrow::Cow;

/// What a client proves itself with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    authzid: Option<String>,
    username: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Password(Secret),
    Token {
        token: Secret,
        server: Option<(String, u16)>,
    },
    External,
    Anonymous,
}

impl Credentials {
    /// A user name and its password, for PLAIN, LOGIN, SCRAM and CRAM-MD5: neither empty nor with a NUL, or
    /// the exchange fails before it starts.
    pub fn new(username: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self::of(username.into(), Kind::Password(password.into()))
    }

    /// A user name and an OAuth 2.0 access token, for OAUTHBEARER and XOAUTH2. With OAUTHBEARER the name may
    /// be empty: whose token it is, the server knows.
    pub fn token(username: impl Into<String>, token: impl Into<Secret>) -> Self {
        let token = token.into();
        Self::of(username.into(), Kind::Token { token, server: None })
    }

    /// What the server knows already, as from the client's certificate, for EXTERNAL.
    pub fn external() -> Self {
        Self::of(String::new(), Kind::External)
    }

    /// Nobody, for ANONYMOUS. The trace is shown to the server's administrator: an email address, or a text
    /// without `@`; it may be empty, and has at most 255 characters (RFC 4505 §2).
    pub fn anonymous(trace: impl Into<String>) -> Self {
        Self::of(trace.into(), Kind::Anonymous)
    }

    fn of(username: String, kind: Kind) -> Self {
        Self {
            authzid: None,
            username,
            kind,
        }
    }

    /// Asks to act on behalf of somebody else. LOGIN, CRAM-MD5 and ANONYMOUS cannot say so and fail; with a
    /// token the name of [`token`](Credentials::token) is all there is to say, and this fails as well.
    pub fn acting_as(mut self, authzid: impl Into<String>) -> Self {
        self.authzid = Some(authzid.into()).filter(|a| !a.is_empty());
        self
    }

    /// Says with a token which server was connected to (RFC 7628 §3.1), for those that want to know.
    pub fn at_server(mut self, name: impl Into<String>, port: u16) -> Self {
        if let Kind::Token { server, .. } = &mut self.kind {
            *server = Some((name.into(), port));
        }
        self
    }

    /// On whose behalf the client wants to act, if not its own.
    pub fn authzid(&self) -> Option<&str> {
        self.authzid.as_deref()
    }

    /// The user name, or the trace of somebody anonymous; may be empty.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The password, if this is one.
    pub fn password(&self) -> Option<&Secret> {
        match &self.kind {
            Kind::Password(password) => Some(password),
            _ => None,
        }
    }

    /// Whether a mechanism can be used with these.
    pub fn fit(&self, mechanism: Mechanism) -> bool {
        let kind = match mechanism {
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => matches!(self.kind, Kind::Token { .. }),
            Mechanism::External => self.kind == Kind::External,
            Mechanism::Anonymous => self.kind == Kind::Anonymous,
            _ => matches!(self.kind, Kind::Password(_)),
        };
        let says_authzid = match mechanism {
            Mechanism::Plain | Mechanism::External => true,
            mechanism => mechanism.scram_hash().is_some(),
        };
        kind && (says_authzid || self.authzid.is_none())
            && (mechanism != Mechanism::XOAuth2 || !self.username.is_empty())
    }

    pub(crate) fn access_token(&self) -> Option<(&Secret, Option<(&str, u16)>)> {
        match &self.kind {
            Kind::Token { token, server } => {
                Some((token, server.as_ref().map(|(name, port)| (name.as_str(), *port))))
            }
            _ => None,
        }
    }

    /// The same in the form in which they are sent; `None` if they cannot be.
    pub(crate) fn prepared(&self) -> Option<Self> {
        let name = |text: &str| match (text, &self.kind) {
            ("", _) => Some(String::new()),
            // A trace is no name: RFC 4505 §3 forbids characters in it, but changes none.
            (text, Kind::Anonymous) => (!text.chars().any(char::is_control)).then(|| text.to_owned()),
            (text, _) => prep::name(text).map(Cow::into_owned),
        };
        let authzid = match &self.authzid {
            Some(authzid) => Some(prep::name(authzid)?.into_owned()),
            None => None,
        };
        let kind = match &self.kind {
            Kind::Password(password) => {
                let password = prep::password(password).into_owned();
                let octets = password.as_bytes();
                if self.username.is_empty() || octets.is_empty() || octets.contains(&0) {
                    return None;
                }
                Kind::Password(password)
            }
            Kind::Token { token, server } => {
                let token_is_visible = token.as_bytes().iter().all(u8::is_ascii_graphic);
                let hidden = |(name, _): &(String, u16)| !name.bytes().all(|b| b.is_ascii_graphic());
                if token.as_bytes().is_empty() || !token_is_visible || server.as_ref().is_some_and(hidden) {
                    return None;
                }
                self.kind.clone()
            }
            Kind::Anonymous if self.username.chars().count() > MAX_TRACE => return None,
            Kind::External | Kind::Anonymous => self.kind.clone(),
        };
        Some(Self {
            authzid,
            username: name(&self.username)?,
            kind,
        })
    }
}

/// RFC 4505 §2, in characters.
pub(crate) const MAX_TRACE: usize = 255;
