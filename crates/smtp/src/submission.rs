//! Submission: header fields that a mail program may have left out (RFC 6409 §8), and trace fields in front (RFC 5321
//! §4.4)

use crate::futurerelease::DateTime;
use bytes::{Bytes, BytesMut};
use mailwright_address::{EmailAddress, Host};
use std::fmt::Write;

/// Puts missing fields in front of a message while it streams by.
///
/// It holds the header, up to a limit, until its end is known; from there on the octets go by untouched. A
/// header that is longer than the limit goes on as it is: what seems to be missing may still come.
///
/// ```
/// use mailwright_smtp::submission::{Additions, FixUp};
/// use mailwright_smtp::futurerelease::DateTime;
///
/// let date = DateTime::from_unix(1_795_429_800).expect("before the year 10000");
/// let additions = Additions::new(date, [7; 16], "mx.example".parse()?);
/// let (mut fix_up, mut out) = (FixUp::new(additions), Vec::new());
/// for piece in ["From: alice@a.test\r\nDa", "te: yesterday\r\n\r\nHello\r\n"] {
///     fix_up.push(piece.into(), &mut out);
/// }
/// let found = fix_up.finish(&mut out);
/// assert!(found.date && !found.message_id);
/// let message = out.concat();
/// assert!(message.starts_with(b"Message-ID: <07070707070707070707070707070707@mx.example>\r\nFrom: "));
/// assert!(message.ends_with(b"\r\nDate: yesterday\r\n\r\nHello\r\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FixUp {
    additions: Option<Additions>,
    /// Fields that go in front of all others.
    trace: String,
    limit: usize,
    state: State,
}

/// What to add where it is missing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Additions {
    /// For `Date` (RFC 6409 §8.2).
    pub date: DateTime,
    /// For the left side of `Message-ID` (RFC 6409 §8.3): fresh randomness.
    pub entropy: [u8; 16],
    /// For the right side of `Message-ID`.
    pub host: Host,
    /// For `Sender`, if the message has none and its `From` does not name this address (RFC 6409 §8.1); `None`
    /// adds none.
    pub sender: Option<EmailAddress>,
}

impl Additions {
    /// Date and Message-ID, no Sender.
    pub fn new(date: DateTime, entropy: [u8; 16], host: Host) -> Self {
        Self {
            date,
            entropy,
            host,
            sender: None,
        }
    }
}

/// What a header has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Found {
    /// The whole header was looked at: it was not over the limit.
    pub complete: bool,
    /// `Date`.
    pub date: bool,
    /// `Message-ID`.
    pub message_id: bool,
    /// `From`. A message without one breaks RFC 5322 §3.6, and nobody can add it.
    pub from: bool,
    /// `Sender`.
    pub sender: bool,
    /// How many `Received` fields.
    pub received: u32,
    /// `TLS-Required: No`: the message is to go even where what the destination asks of TLS cannot be met (RFC 8689
    /// §3).
    pub tls_optional: bool,
}

#[derive(Debug)]
enum State {
    Header(BytesMut),
    Body(Found),
}

impl FixUp {
    /// How much of a header is held unless [`with_limit`](Self::with_limit) says otherwise, in octets.
    pub const LIMIT: usize = 64 * 1024;

    /// Begins a message.
    pub fn new(additions: Additions) -> Self {
        Self {
            additions: Some(additions),
            ..Self::nothing()
        }
    }

    /// Begins a message to which nothing is added that is missing, as relays must not (RFC 5321 §6.4): its header is
    /// only looked at, for [`Found`], and may get [trace fields](FixUp::with_trace).
    pub fn nothing() -> Self {
        Self {
            additions: None,
            trace: String::new(),
            limit: Self::LIMIT,
            state: State::Header(BytesMut::new()),
        }
    }

    /// Puts fields in front of the message, such as `Received` (RFC 5321 §4.4): whole ones, each with its CRLF.
    #[must_use]
    pub fn with_trace(mut self, fields: impl Into<String>) -> Self {
        self.trace = fields.into();
        self
    }

    /// Sets how many octets of a header are held at most.
    #[must_use]
    pub fn with_limit(mut self, octets: usize) -> Self {
        self.limit = octets;
        self
    }

    /// Takes the next octets of the message; what can go on is added to `out`.
    pub fn push(&mut self, data: Bytes, out: &mut Vec<Bytes>) {
        let State::Header(held) = &mut self.state else {
            return out.push(data);
        };
        // The empty line may have begun in what is held.
        let from = held.len().saturating_sub(3);
        held.extend_from_slice(&data);
        let ended = held.starts_with(b"\r\n") || memchr::memmem::find(&held[from..], b"\r\n\r\n").is_some();
        if ended || held.len() > self.limit {
            self.release(ended, out);
        }
    }

    /// Ends the message; what was held goes to `out`.
    pub fn finish(mut self, out: &mut Vec<Bytes>) -> Found {
        self.release(true, out);
        match self.state {
            State::Body(found) => found,
            State::Header(_) => Found::default(),
        }
    }

    fn release(&mut self, complete: bool, out: &mut Vec<Bytes>) {
        let State::Header(held) = &mut self.state else {
            return;
        };
        let held = std::mem::take(held).freeze();
        let additions = self.additions.as_ref();
        let sender = additions.and_then(|additions| additions.sender.as_ref());
        let (found, names_sender) = look(&held, complete, sender);
        let mut added = std::mem::take(&mut self.trace);
        // What is missing so far may still come, if the header goes on.
        if let Some(additions) = additions.filter(|_| complete) {
            additions.write(&found, names_sender, &mut added);
        }
        // Text without a header must not become one.
        let first = held.split(|b| *b == b'\n').next().unwrap_or_default();
        if !added.is_empty() && field_name(first).is_none() && !held.starts_with(b"\r\n") {
            added.push_str("\r\n");
        }
        if !added.is_empty() {
            out.push(added.into());
        }
        if !held.is_empty() {
            out.push(held);
        }
        self.state = State::Body(found);
    }
}

impl Additions {
    fn write(&self, found: &Found, names_sender: bool, added: &mut String) {
        if !found.message_id {
            let _ = write!(added, "Message-ID: <");
            for octet in self.entropy {
                let _ = write!(added, "{octet:02x}");
            }
            let _ = write!(added, "@{}>\r\n", self.host);
        }
        if !found.date {
            let _ = write!(added, "Date: {}\r\n", self.date.rfc5322());
        }
        if let Some(sender) = self.sender.as_ref().filter(|_| !found.sender && !names_sender) {
            let _ = write!(added, "Sender: {sender}\r\n");
        }
    }
}

/// Looks through a header; also says whether `From` names the sender.
fn look(header: &[u8], complete: bool, sender: Option<&EmailAddress>) -> (Found, bool) {
    let mut found = Found {
        complete,
        ..Found::default()
    };
    let (mut names_sender, mut in_from, mut in_tls_required) = (false, false, false);
    for line in header.split(|b| *b == b'\n') {
        if line == b"\r" || line.is_empty() {
            break;
        }
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let Some(name) = field_name(line) else {
                break;
            };
            let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
            found.date |= is("Date");
            found.message_id |= is("Message-ID");
            found.from |= is("From");
            found.sender |= is("Sender");
            found.received += u32::from(is("Received"));
            in_from = is("From");
            in_tls_required = is("TLS-Required");
        }
        if in_tls_required {
            // The value may stand on a line of its own.
            let at = memchr::memchr(b':', line).map_or(0, |colon| colon + 1);
            found.tls_optional |= line[at..].trim_ascii().eq_ignore_ascii_case(b"No");
        }
        if let Some(sender) = sender.filter(|_| in_from) {
            names_sender |= holds(line, sender.as_str());
        }
    }
    (found, names_sender)
}

/// RFC 5322 §2.2, §4.5.3: printable characters, perhaps white space, a colon.
fn field_name(line: &[u8]) -> Option<&[u8]> {
    let colon = memchr::memchr(b':', line)?;
    let name = line[..colon].trim_ascii_end();
    let valid = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    valid.then_some(name)
}

/// Whether an address stands in a line by itself, in any case of its letters.
fn holds(line: &[u8], address: &str) -> bool {
    let (line, address) = (line.to_ascii_lowercase(), address.to_ascii_lowercase());
    let part = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || b"._-+@".contains(b));
    memchr::memmem::find_iter(&line, address.as_bytes())
        .any(|at| !part(line[..at].last()) && !part(line.get(at + address.len())))
}
