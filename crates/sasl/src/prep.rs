//! SASLprep ([RFC 4013])
//!
//! [RFC 4013]: https://www.rfc-editor.org/rfc/rfc4013

use crate::Secret;
use std::borrow::Cow;

/// Prepares a user name or an authorization identity: `None` if SASLprep forbids it, or it is or gets empty.
///
/// Without the feature `saslprep`, text outside ASCII is used as it is.
pub(crate) fn name(text: &str) -> Option<Cow<'_, str>> {
    if text.chars().any(char::is_control) {
        return None;
    }
    prepared(text).filter(|text| !text.is_empty())
}

/// Prepares a password. One that SASLprep forbids is used as it is: people have such passwords, with
/// characters that are younger than RFC 4013, and every end that does the same understands them.
pub(crate) fn password(password: &Secret) -> Cow<'_, Secret> {
    match password.as_str().and_then(prepared) {
        Some(Cow::Owned(text)) if !text.is_empty() => Cow::Owned(Secret::from(text)),
        _ => Cow::Borrowed(password),
    }
}

#[cfg(feature = "saslprep")]
fn prepared(text: &str) -> Option<Cow<'_, str>> {
    match stringprep::saslprep(text).ok()? {
        // What stays the same need not be copied, nor wiped.
        Cow::Owned(prepared) if prepared == text => Some(Cow::Borrowed(text)),
        prepared => Some(prepared),
    }
}

#[cfg(not(feature = "saslprep"))]
fn prepared(text: &str) -> Option<Cow<'_, str>> {
    Some(Cow::Borrowed(text))
}

/// Prepares text with SASLprep (RFC 4013), as a stored string: `None` if it holds what that forbids.
///
/// With the feature `saslprep`. [`Server`](crate::Server), [`Client`](crate::Client) and
/// [`ScramCredentials`](crate::ScramCredentials) do so themselves; this is for those who keep passwords in
/// other ways.
///
/// ```
/// use mailwright_sasl::saslprep;
///
/// assert_eq!(saslprep("I\u{ad}X").as_deref(), Some("IX"));
/// assert_eq!(saslprep("\u{2168}").as_deref(), Some("IX"));
/// assert_eq!(saslprep("\u{7}"), None);
/// ```
#[cfg(feature = "saslprep")]
pub fn saslprep(text: &str) -> Option<Cow<'_, str>> {
    prepared(text)
}
