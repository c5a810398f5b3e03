//! OAUTHBEARER ([RFC 7628]) and XOAUTH2
//!
//! ```text
//! client                                                              server
//!    n,a=user,^Ahost=h^Aport=1^Aauth=Bearer TOKEN^A^A   (OAUTHBEARER)
//!    user=user^Aauth=Bearer TOKEN^A^A                   (XOAUTH2)     ─▶ a question
//!    ◀──────────────────────────────  success, or {"status":"…"}
//!    ^A (OAUTHBEARER), nothing (XOAUTH2)                              ─▶ failure
//! ```
//!
//! [RFC 7628]: https://www.rfc-editor.org/rfc/rfc7628

use crate::{Credentials, Mechanism, Secret, scram};

/// The client's message, taken apart.
pub(crate) struct Message {
    /// Empty if the client does not say.
    pub(crate) username: String,
    pub(crate) token: Secret,
}

impl Message {
    pub(crate) fn parse(mechanism: Mechanism, message: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(message).ok()?;
        let pairs = text.strip_suffix(END)?;
        match mechanism {
            Mechanism::XOAuth2 => {
                let (user, rest) = pairs.strip_prefix("user=")?.split_once(SEPARATOR)?;
                Some(Self {
                    username: user.to_owned(),
                    token: token(rest)?,
                })
            }
            _ => {
                let (header, rest) = pairs.split_once(SEPARATOR)?;
                // RFC 7628 §3.1: a gs2-header, which binds to no channel here.
                let authzid = header.strip_prefix("n,").or_else(|| header.strip_prefix("y,"))?;
                let username = match authzid.strip_suffix(',')? {
                    "" => String::new(),
                    some => scram::sasl_name(some.strip_prefix("a=")?)?,
                };
                Some(Self {
                    username,
                    token: token(rest)?,
                })
            }
        }
    }
}

/// The client's message; `credentials` are those of a token.
pub(crate) fn message(mechanism: Mechanism, credentials: &Credentials) -> Option<Vec<u8>> {
    let (token, server) = credentials.access_token()?;
    let mut message = match (mechanism, credentials.username()) {
        (Mechanism::XOAuth2, user) => format!("user={user}{SEPARATOR}"),
        (_, "") => format!("n,,{SEPARATOR}"),
        (_, user) => format!("n,a={},{SEPARATOR}", scram::escaped(user)),
    };
    if let Some((name, port)) = server.filter(|_| mechanism == Mechanism::OAuthBearer) {
        message.push_str(&format!("host={name}{SEPARATOR}port={port}{SEPARATOR}"));
    }
    message.push_str("auth=Bearer ");
    message.push_str(token.as_str()?);
    message.push_str(END);
    Some(message.into_bytes())
}

/// What the server says to a token it does not take.
pub(crate) fn refusal(mechanism: Mechanism) -> &'static [u8] {
    match mechanism {
        Mechanism::XOAuth2 => br#"{"status":"401","schemes":"bearer"}"#,
        // RFC 6750 §3.1.
        _ => br#"{"status":"invalid_token"}"#,
    }
}

/// What the client answers to that, so that the exchange can fail.
pub(crate) fn dummy(mechanism: Mechanism) -> &'static [u8] {
    match mechanism {
        Mechanism::XOAuth2 => b"",
        // RFC 7628 §3.2.3.
        _ => b"\x01",
    }
}

/// The bearer token among `key=value` pairs; `host`, `port` and pairs that are not known are of no interest.
fn token(pairs: &str) -> Option<Secret> {
    let mut found = None;
    for pair in pairs.split(SEPARATOR) {
        let (key, value) = pair.split_once('=')?;
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphabetic()) || value.contains('\0') {
            return None;
        }
        if key == "auth" {
            let (scheme, token) = value.split_once(' ')?;
            let is_token = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
            if found.is_some() || !scheme.eq_ignore_ascii_case("Bearer") || !is_token {
                return None;
            }
            found = Some(Secret::from(token));
        }
    }
    found
}

const SEPARATOR: char = '\x01';
const END: &str = "\x01\x01";
