//! What a milter wants changed, as changes of a message and its envelope.

use crate::judge::{Change, HeaderField};
use bytes::{Bytes, BytesMut};
use mailwright_address::{ForwardPath, ReversePath};
use mailwright_filter::milter::Edit;
use mailwright_smtp::{Command, Extensions, Rcpt};

/// Gathers the edits of one milter.
#[derive(Debug, Default)]
pub(super) struct Edits {
    pub(super) changes: Vec<Change>,
    pub(super) quarantine: Option<String>,
    body: Option<BytesMut>,
}

impl Edits {
    /// Takes the next edit to a message with this header, whose new body may have `most` octets.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn take(&mut self, edit: Edit, header: &[u8], most: u64) -> Result<(), String> {
        match edit {
            Edit::AddHeader { name, value } => self.changes.extend(field(&name, &value).map(Change::Append)),
            // It counts this server's own fields as none: the first places are the top.
            Edit::InsertHeader { index, name, value } => {
                let at = usize::try_from(index).unwrap_or(usize::MAX);
                let change = field(&name, &value).map(|field| match at > fields(header).count() {
                    true => Change::Append(field),
                    false => Change::Prepend(field),
                });
                self.changes.extend(change);
            }
            Edit::ChangeHeader { index, name, value } => {
                let nth = usize::try_from(index).unwrap_or(usize::MAX).max(1);
                let is_there = nth <= count(header, &name);
                if value.trim_ascii().is_empty() {
                    self.changes.push(Change::Remove { name, nth: Some(nth) });
                } else if let Some(field) = field(&name, &value) {
                    self.changes.push(match is_there {
                        true => Change::Replace { name, nth, field },
                        false => Change::Append(field),
                    });
                }
            }
            Edit::ReplaceBody(piece) => {
                let body = self.body.get_or_insert_default();
                body.extend_from_slice(&piece);
                if body.len() as u64 > most {
                    return Err("the body that it puts in place is too large".to_owned());
                }
            }
            Edit::Quarantine(why) => self.quarantine = Some(why),
            Edit::AddRecipient { path, parameters } => {
                let rcpt = recipient(&path, parameters.as_deref().unwrap_or_default());
                self.changes
                    .push(Change::AddRecipient(rcpt.ok_or_else(|| no_address(&path))?));
            }
            Edit::DeleteRecipient(path) => {
                let removed = ForwardPath::parse(&bracketed(&path)).map_err(|_| no_address(&path))?;
                self.changes.push(Change::RemoveRecipient(removed));
            }
            // Parameters are those of the client: what milters add here is for the sendmail they were made for.
            Edit::ChangeFrom { path, .. } => {
                let sender = ReversePath::parse(&bracketed(&path)).map_err(|_| no_address(&path))?;
                self.changes.push(Change::Sender(sender));
            }
            // A milter of a later version was not agreed with.
            _ => {}
        }
        Ok(())
    }

    /// All changes.
    pub(super) fn finish(mut self) -> (Vec<Change>, Option<String>) {
        if let Some(body) = self.body {
            self.changes.push(Change::Body(with_crlf(body.freeze())));
        }
        (self.changes, self.quarantine)
    }
}

/// Name and value of each field of a header, the value with all that stands between colon and line end.
pub(super) fn fields(header: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    let mut rest = header;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let mut end = 0;
            loop {
                let line = memchr::memchr(b'\n', &rest[end..]).map_or(rest.len(), |at| end + at + 1);
                end = line;
                if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                    break;
                }
            }
            let (field, behind) = rest.split_at(end);
            rest = behind;
            let Some(colon) = memchr::memchr(b':', field) else {
                continue;
            };
            let name = field[..colon].trim_ascii_end();
            let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
            let value = &field[colon + 1..];
            let value = value.strip_suffix(b"\n").unwrap_or(value);
            let value = value.strip_suffix(b"\r").unwrap_or(value);
            if let (true, Ok(name)) = (is_name, std::str::from_utf8(name)) {
                return Some((name, value));
            }
        }
    })
}

/// How many fields of this name a header has.
pub(super) fn count(header: &[u8], name: &str) -> usize {
    fields(header)
        .filter(|(own, _)| own.eq_ignore_ascii_case(name))
        .count()
}

/// A recipient as it stands in RCPT TO, with or without angle brackets, and the parameters behind it.
pub(super) fn recipient(path: &str, parameters: &str) -> Option<Rcpt> {
    let mut known = Extensions::NONE;
    (known.dsn, known.smtputf8) = (true, true);
    let path = bracketed(path);
    // Nothing but a path, or what stands behind it would pass for parameters.
    ForwardPath::parse(&path).ok()?;
    let line = format!("RCPT TO:{path} {parameters}");
    match Command::parse(line.as_bytes(), &known) {
        Ok(Command::Rcpt(rcpt)) => Some(rcpt),
        _ => None,
    }
}

pub(super) fn bracketed(path: &str) -> String {
    match path.starts_with('<') {
        true => path.to_owned(),
        false => format!("<{path}>"),
    }
}

fn no_address(path: &str) -> String {
    format!("it names an address that is none: {path:?}")
}

fn field(name: &str, value: &[u8]) -> Option<HeaderField> {
    HeaderField::new(name, value)
}

/// Lines that end in CRLF, whatever they ended in.
fn with_crlf(body: Bytes) -> Bytes {
    let is_bare = |(at, octet): (usize, &u8)| match octet {
        b'\n' => at == 0 || body[at - 1] != b'\r',
        b'\r' => body.get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    if !body.iter().enumerate().any(is_bare) {
        return body;
    }
    let mut out = Vec::with_capacity(body.len() + body.len() / 32);
    for (at, octet) in body.iter().enumerate() {
        match octet {
            b'\r' | b'\n' if is_bare((at, octet)) => out.extend_from_slice(b"\r\n"),
            octet => out.push(*octet),
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_are_folded() {
        let header = b"A: 1\r\n 2\r\nno field\r\nB : x\r\n\tb: 3\r\na:";
        let read: Vec<_> = fields(header).collect();
        let want: [(&str, &[u8]); 3] = [("A", b" 1\r\n 2"), ("B", b" x\r\n\tb: 3"), ("a", b"")];
        assert_eq!(read, want);
        assert_eq!(
            (count(header, "a"), count(header, "b"), count(header, "c")),
            (2, 1, 0)
        );
    }

    #[test]
    fn bodies_get_line_ends() {
        let read = |text: &'static str| with_crlf(Bytes::from_static(text.as_bytes()));
        assert_eq!(read("a\r\nb\r\n"), "a\r\nb\r\n");
        assert_eq!(read("\na\r\nb\rc\n"), "\r\na\r\nb\r\nc\r\n");
    }

    #[test]
    fn a_change_of_what_is_not_there_adds_it() {
        let mut edits = Edits::default();
        let header = b"Subject: x\r\n";
        let change = |index, name: &str, value: &'static str| Edit::ChangeHeader {
            index,
            name: name.into(),
            value: Bytes::from_static(value.as_bytes()),
        };
        let body = || Edit::ReplaceBody(Bytes::from_static(b"12345"));
        for edit in [
            change(1, "subject", "y"),
            change(2, "Subject", "z"),
            change(1, "Subject", ""),
            body(),
        ] {
            assert_eq!(edits.take(edit, header, 9), Ok(()));
        }
        assert!(edits.take(body(), header, 9).is_err());
        let (changes, _) = edits.finish();
        assert!(matches!(&changes[0], Change::Replace { nth: 1, .. }));
        assert!(matches!(&changes[1], Change::Append(_)));
        assert!(matches!(&changes[2], Change::Remove { nth: Some(1), .. }));
        assert_eq!(changes[3], Change::Body("1234512345".into()));
    }

    #[test]
    fn addresses_have_to_be_some() {
        let mut edits = Edits::default();
        let add = |path: &str, parameters: Option<&str>| Edit::AddRecipient {
            path: path.into(),
            parameters: parameters.map(str::to_owned),
        };
        let from = |path: &str| Edit::ChangeFrom {
            path: path.into(),
            parameters: Some("RET=HDRS".into()),
        };
        for edit in [
            add("a@b.test", None),
            add("<a@b.test>", Some("NOTIFY=NEVER")),
            Edit::DeleteRecipient("Postmaster".into()),
            from("<>"),
        ] {
            assert_eq!(edits.take(edit, b"", 9), Ok(()));
        }
        for edit in [
            add("<a@b.test> NOTIFY=NEVER", None),
            add("a@b.test", Some("SIZE=1")),
            add("<>", None),
            Edit::DeleteRecipient("nobody".into()),
            from("a@b@c"),
        ] {
            assert!(edits.take(edit.clone(), b"", 9).is_err(), "{edit:?}");
        }
        let (changes, _) = edits.finish();
        let rcpt = |line| recipient("a@b.test", line).map(Change::AddRecipient);
        assert_eq!(rcpt("").as_ref(), changes.first());
        assert_eq!(rcpt("NOTIFY=NEVER").as_ref(), changes.get(1));
        assert_eq!(changes[2], Change::RemoveRecipient(ForwardPath::Postmaster));
        assert_eq!(changes[3], Change::Sender(ReversePath::Null));
    }
}
