//! A message while it is changed: its header field by field, what goes on top, and what takes the place of its body

use super::{Change, Octets};
use bytes::Bytes;
use mailwright_auth::claims_of;

/// The header of a message that is being judged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    top: Vec<u8>,
    /// What the message came with: fields, and lines that are none.
    fields: Vec<Bytes>,
    /// The empty line and the body, if they are not those that came.
    rest: Option<Bytes>,
    /// Whether anything but the top is not as it came.
    changed: bool,
}

impl Draft {
    /// Begins with a header, without the empty line behind it.
    pub(crate) fn new(header: &Bytes) -> Self {
        let mut fields = Vec::new();
        let mut start = 0;
        for at in memchr::memchr_iter(b'\n', header).map(|at| at + 1) {
            let continues = matches!(header.get(at), Some(b' ' | b'\t'));
            if !continues {
                fields.push(header.slice(start..at));
                start = at;
            }
        }
        if start < header.len() {
            fields.push(header.slice(start..));
        }
        Self {
            top: Vec::new(),
            fields,
            rest: None,
            changed: false,
        }
    }

    /// Puts whole fields on top.
    pub(crate) fn prepend(&mut self, fields: &[u8]) {
        self.top.splice(0..0, fields.iter().copied());
    }

    /// Removes what claims to be a result of this server.
    pub(crate) fn remove_claims(&mut self, authserv_id: &str) {
        self.fields
            .retain(|field| claims_of(field, authserv_id).next().is_none());
    }

    pub(crate) fn apply(&mut self, change: Change) {
        self.changed |= !matches!(
            change,
            Change::Prepend(_) | Change::Sender(_) | Change::AddRecipient(_) | Change::RemoveRecipient(_)
        );
        match change {
            Change::Prepend(field) => self.prepend(field.as_bytes()),
            // What is no header must not become one.
            Change::Append(field) if self.begins_with_text() => self.prepend(field.as_bytes()),
            Change::Append(field) => self.fields.push(field.into_bytes()),
            Change::Replace { name, nth, field } => {
                if let Some(at) = self.find(&name, nth) {
                    self.fields[at] = field.into_bytes();
                }
            }
            Change::Remove { name, nth: None } => self.fields.retain(|field| !is_named(field, &name)),
            Change::Remove { name, nth: Some(nth) } => {
                if let Some(at) = self.find(&name, nth) {
                    self.fields.remove(at);
                }
            }
            Change::Body(body) => self.rest = Some([b"\r\n", &*body].concat().into()),
            // These are of the envelope.
            Change::Sender(_) | Change::AddRecipient(_) | Change::RemoveRecipient(_) => {}
        }
    }

    /// Whether anything but the top was changed.
    pub(crate) fn is_changed(&self) -> bool {
        self.changed
    }

    /// The header that came, with its changes.
    pub(crate) fn header(&self) -> Vec<u8> {
        self.fields.concat()
    }

    /// What goes on top.
    pub(crate) fn top(&self) -> &[u8] {
        &self.top
    }

    /// What follows the header.
    pub(crate) fn rest<'a>(&'a self, original: &'a dyn Octets) -> &'a dyn Octets {
        match &self.rest {
            Some(rest) => rest,
            None => original,
        }
    }

    /// All that stands ahead of [`rest`](Self::rest).
    pub(crate) fn head(&self) -> Bytes {
        let mut head = self.top.clone();
        if self.begins_with_text() && !head.is_empty() {
            head.extend_from_slice(b"\r\n");
        }
        for field in &self.fields {
            head.extend_from_slice(field);
        }
        head.into()
    }

    fn begins_with_text(&self) -> bool {
        self.fields.first().is_some_and(|first| name_of(first).is_none())
    }

    fn find(&self, name: &str, nth: usize) -> Option<usize> {
        let named = self
            .fields
            .iter()
            .enumerate()
            .filter(|(_, field)| is_named(field, name));
        named.map(|(at, _)| at).nth(nth.checked_sub(1)?)
    }
}

fn is_named(field: &[u8], name: &str) -> bool {
    name_of(field).is_some_and(|own| own.eq_ignore_ascii_case(name.as_bytes()))
}

/// RFC 5322 §2.2, §4.5.3: printable characters, perhaps white space, a colon.
fn name_of(field: &[u8]) -> Option<&[u8]> {
    let name = field[..memchr::memchr(b':', field)?].trim_ascii_end();
    (!name.is_empty() && name.iter().all(u8::is_ascii_graphic)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::HeaderField;

    fn draft(header: &'static str) -> Draft {
        Draft::new(&Bytes::from(header))
    }

    fn field(name: &str, value: &str) -> HeaderField {
        HeaderField::new(name, value).expect("a field")
    }

    #[test]
    fn fields_are_counted_by_name() {
        let mut draft = draft("A: 1\r\n folded\r\nb: 2\r\nB : 3\r\nC: 4\r\n");
        draft.apply(Change::Replace {
            name: "B".into(),
            nth: 2,
            field: field("B", "x"),
        });
        draft.apply(Change::Replace {
            name: "B".into(),
            nth: 3,
            field: field("B", "y"),
        });
        draft.apply(Change::Remove {
            name: "a".into(),
            nth: Some(1),
        });
        draft.apply(Change::Remove {
            name: "c".into(),
            nth: None,
        });
        draft.apply(Change::Remove {
            name: "b".into(),
            nth: Some(0),
        });
        draft.apply(Change::Append(field("D", "5")));
        draft.apply(Change::Prepend(field("E", "6")));
        draft.apply(Change::Prepend(field("F", "7")));
        assert_eq!(draft.header(), b"b: 2\r\nB: x\r\nD: 5\r\n");
        assert_eq!(&draft.head()[..], b"F: 7\r\nE: 6\r\nb: 2\r\nB: x\r\nD: 5\r\n");
    }

    #[test]
    fn text_does_not_become_a_header() {
        let mut draft = draft("Hello world\r\nFrom: x\r\n");
        draft.apply(Change::Append(field("D", "5")));
        assert_eq!(&draft.head()[..], b"D: 5\r\n\r\nHello world\r\nFrom: x\r\n");
    }

    #[test]
    fn forged_results_go() {
        let mut draft =
            draft("Authentication-Results:\r\n MX.a.test; none\r\nAuthentication-Results: b.test; none\r\n");
        draft.remove_claims("mx.a.test");
        assert_eq!(draft.header(), b"Authentication-Results: b.test; none\r\n");
    }
}
