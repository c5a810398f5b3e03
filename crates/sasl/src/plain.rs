//! PLAIN ([RFC 4616])
//!
//! [RFC 4616]: https://www.rfc-editor.org/rfc/rfc4616

use crate::Secret;

/// The message of the mechanism, taken apart.
pub(crate) struct Message {
    pub(crate) authzid: Option<String>,
    pub(crate) authcid: String,
    pub(crate) password: Secret,
}

impl Message {
    /// `[authzid] NUL authcid NUL passwd`: RFC 4616 §2.
    pub(crate) fn parse(message: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(message).ok()?;
        let mut parts = text.split('\0');
        let (authzid, authcid, password) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || authcid.is_empty() || password.is_empty() {
            return None;
        }
        Some(Self {
            authzid: (!authzid.is_empty()).then(|| authzid.to_owned()),
            authcid: authcid.to_owned(),
            password: password.into(),
        })
    }
}

pub(crate) fn message(authzid: Option<&str>, authcid: &str, password: &Secret) -> Vec<u8> {
    [
        authzid.unwrap_or("").as_bytes(),
        b"\0",
        authcid.as_bytes(),
        b"\0",
        password.as_bytes(),
    ]
    .concat()
}
