//! What is to be done with mail

use bytes::Bytes;
use mailwright_address::{ForwardPath, ReversePath};
use mailwright_auth::MethodResult;
use mailwright_smtp::{Rcpt, Rejection};

/// What a filter found out, and wants.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ruling {
    /// What is to happen.
    pub action: Action,
    /// How the message and its envelope are to be changed, in this order. Only a ruling about a message has any.
    pub changes: Vec<Change>,
    /// What goes into the field Authentication-Results besides. Only a ruling about a message has any.
    pub results: Vec<MethodResult>,
    /// Why, for the log.
    pub because: Option<String>,
}

/// What happens to a connection, a recipient or a message; the graver, the later in this list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // all that can be done with mail
pub enum Action {
    /// It is taken.
    Accept,
    /// It is taken, and goes into Junk: all messages of a connection, the message of a sender, or what a recipient gets
    /// of it.
    Quarantine,
    /// The client is told that it was taken, and it is thrown away. For one recipient, it goes into Junk instead.
    Discard,
    /// It is refused for the time being. The code is between 400 and 499.
    Defer(Rejection),
    /// It is refused. The code is between 500 and 599, or 421, which ends the connection.
    Reject(Rejection),
}

impl Action {
    fn gravity(&self) -> u8 {
        match self {
            Self::Accept => 0,
            Self::Quarantine => 1,
            Self::Discard => 2,
            Self::Defer(_) => 3,
            Self::Reject(_) => 4,
        }
    }

    /// The graver one of two; of two as grave, this.
    #[must_use]
    pub fn or_graver(self, other: Self) -> Self {
        if other.gravity() > self.gravity() {
            other
        } else {
            self
        }
    }

    /// The reply that refuses, if it refuses.
    pub fn refusal(&self) -> Option<&Rejection> {
        match self {
            Self::Defer(rejection) | Self::Reject(rejection) => Some(rejection),
            Self::Accept | Self::Quarantine | Self::Discard => None,
        }
    }
}

impl Ruling {
    /// Nothing speaks against it, and nothing is changed.
    pub const fn accept() -> Self {
        Self::new(Action::Accept)
    }

    /// This is to happen, and nothing is changed.
    pub const fn new(action: Action) -> Self {
        Self {
            action,
            changes: Vec::new(),
            results: Vec::new(),
            because: None,
        }
    }

    /// Refuses, for the time being or for good as the code says.
    pub fn refuse(rejection: Rejection) -> Self {
        let code = rejection.reply().code();
        Self::new(match code {
            400..=499 if code != 421 => Action::Defer(rejection),
            _ => Action::Reject(rejection),
        })
    }

    /// Says why, for the log.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.because = Some(why.into());
        self
    }

    /// Adds a change.
    #[must_use]
    pub fn with(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// Takes over what another filter found; whether nobody else needs to be asked.
    pub(crate) fn absorb(&mut self, filter: &str, other: Self) -> bool {
        if other.action != Action::Accept {
            let why = other.because.as_deref().unwrap_or_default();
            tracing::info!(filter, action = ?other.action, why, "ruling of a filter");
        }
        let action = std::mem::replace(&mut self.action, Action::Accept);
        self.action = action.or_graver(other.action);
        self.changes.extend(other.changes);
        self.results.extend(other.results);
        if self.because.is_none() {
            self.because = other.because;
        }
        self.action.gravity() > Action::Quarantine.gravity()
    }
}

/// A change of a message or of its envelope.
///
/// Fields are counted from 1, among those of the same name, as the filter saw them. A change of a field that is not
/// there changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Puts a field on top of the message, above those that were put there before.
    Prepend(HeaderField),
    /// Puts a field at the end of the header.
    Append(HeaderField),
    /// Puts a field in place of another.
    Replace {
        /// The name of the other.
        name: String,
        /// Which of that name, from 1.
        nth: usize,
        /// What comes in its place.
        field: HeaderField,
    },
    /// Removes a field.
    Remove {
        /// Its name.
        name: String,
        /// Which of that name, from 1; none for all.
        nth: Option<usize>,
    },
    /// Puts something in place of the body.
    Body(Bytes),
    /// Puts another sender in place of the one in the envelope. The parameters of MAIL stay.
    Sender(ReversePath),
    /// Adds a recipient, unless the message goes there. Filters are trusted: other servers get the message as well, if
    /// this one sends any mail. Where nobody here has the address, nothing comes of it.
    AddRecipient(Rcpt),
    /// Removes a recipient, whose client hears nothing of it. A message without any is thrown away.
    RemoveRecipient(ForwardPath),
}

/// A header field, whole with its line end. It is one field whatever it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderField(Bytes);

impl HeaderField {
    /// Makes a field; `None` if the name is none (RFC 5322 §2.2). Lines of the value that are not folded are joined, and
    /// what may not stand in a field becomes a space.
    pub fn new(name: &str, value: impl AsRef<[u8]>) -> Option<Self> {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
            return None;
        }
        let value = value.as_ref().trim_ascii();
        let mut out = Vec::with_capacity(name.len() + value.len() + 4);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        let mut lines = value
            .split(|b| *b == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        out.extend(lines.next().unwrap_or_default().iter().map(|b| clean(*b)));
        for line in lines.filter(|line| !line.trim_ascii().is_empty()) {
            let folded = matches!(line[0], b' ' | b'\t');
            out.extend_from_slice(if folded { b"\r\n" } else { b" " });
            out.extend(line.iter().map(|b| clean(*b)));
        }
        out.extend_from_slice(b"\r\n");
        Some(Self(out.into()))
    }

    /// Its octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        self.0
    }
}

fn clean(octet: u8) -> u8 {
    match octet {
        b'\r' | 0 => b' ',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_one_field() {
        let field = |name, value: &str| HeaderField::new(name, value).map(|f| f.0);
        assert_eq!(field("X-A", " b "), Some(Bytes::from("X-A: b\r\n")));
        assert_eq!(
            field("X-A", "b\nBcc: c\r\nd\r\n\r\n\te\r"),
            Some(Bytes::from("X-A: b Bcc: c d\r\n\te\r\n"))
        );
        for name in ["", "X A", "X:", "X\r\nY"] {
            assert_eq!(field(name, "b"), None);
        }
    }

    #[test]
    fn the_gravest_action_counts() {
        let refusal = Action::Reject(Rejection::POLICY);
        let deferral = Action::Defer(Rejection::TRY_AGAIN);
        assert_eq!(Action::Quarantine.or_graver(Action::Discard), Action::Discard);
        assert_eq!(deferral.or_graver(refusal.clone()), refusal);
        assert_eq!(
            Ruling::refuse(Rejection::UNAVAILABLE).action,
            Action::Reject(Rejection::UNAVAILABLE)
        );
        assert_eq!(
            Ruling::refuse(Rejection::TRY_AGAIN).action,
            Action::Defer(Rejection::TRY_AGAIN)
        );
    }
}
