//! What milters say, read from their packets.

use super::options::{Actions, Options, Steps};
use super::{MAX_VERSION, Stage};
use crate::Error;
use bytes::{Buf, Bytes};

/// The answer of a milter to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// Go on.
    Continue,
    /// Take it, and ask no more: the message; or all of the connection, as the answer to its address or to HELO.
    Accept,
    /// Refuse it for good: the recipient, as the answer to RCPT; else the message or the connection.
    Reject,
    /// Refuse it for the moment.
    TemporaryFailure,
    /// Take the message and throw it away.
    Discard,
    /// Refuse it with these words.
    Custom(CustomReply),
    /// It has enough of the body.
    Skip,
    /// Refuse it for the moment, and end the connection with the client.
    CloseConnection,
}

/// The words of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CustomReply {
    /// The code, 400 to 599.
    pub code: u16,
    /// The enhanced status code, of the same class.
    pub enhanced: Option<(u8, u16, u16)>,
    /// The text, a line each, in visible ASCII.
    pub lines: Vec<String>,
}

/// What a milter does to a message at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Edit {
    /// Adds a field at the end of the header.
    AddHeader {
        /// Its name: visible ASCII without colon.
        name: String,
        /// Its value, folded with CRLF where it is folded.
        value: Bytes,
    },
    /// Puts a field into the header.
    InsertHeader {
        /// In front of which field it comes to stand, counted from 0; past the last one it is added at the end.
        index: u32,
        /// Its name.
        name: String,
        /// Its value.
        value: Bytes,
    },
    /// Changes a field, or removes it.
    ChangeHeader {
        /// Which one of this name, counted from 1 and from the top.
        index: u32,
        /// Its name.
        name: String,
        /// Its value; empty removes it.
        value: Bytes,
    },
    /// Adds a recipient, as it stands in RCPT TO, with or without angle brackets.
    AddRecipient {
        /// The address.
        path: String,
        /// ESMTP parameters.
        parameters: Option<String>,
    },
    /// Removes a recipient.
    DeleteRecipient(String),
    /// Changes the sender of the envelope.
    ChangeFrom {
        /// The address.
        path: String,
        /// ESMTP parameters.
        parameters: Option<String>,
    },
    /// The next octets of a body that takes the place of the message's own.
    ReplaceBody(Bytes),
    /// Asks that the message is put aside, and says why.
    Quarantine(String),
}

/// One packet of a milter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packet {
    Options(Options),
    Reply(Reply),
    Edit(Edit),
    Progress,
}

/// Reads a packet: its letter, and what stands behind it.
pub(super) fn read(packet: Bytes) -> Result<Packet, Error> {
    let mut rest = packet;
    if rest.is_empty() {
        return Err(Error::Malformed("empty packet"));
    }
    let letter = rest.get_u8();
    Ok(match letter {
        b'O' => Packet::Options(options(rest)?),
        b'c' => Packet::Reply(Reply::Continue),
        b'a' => Packet::Reply(Reply::Accept),
        b'r' => Packet::Reply(Reply::Reject),
        b't' => Packet::Reply(Reply::TemporaryFailure),
        b'd' => Packet::Reply(Reply::Discard),
        b's' => Packet::Reply(Reply::Skip),
        b'f' | b'4' => Packet::Reply(Reply::CloseConnection),
        b'y' => Packet::Reply(Reply::Custom(CustomReply::read(&text(&mut rest)?)?)),
        b'p' => Packet::Progress,
        b'h' => {
            let (name, value) = field(&mut rest)?;
            Packet::Edit(Edit::AddHeader { name, value })
        }
        b'i' | b'm' => {
            let index = number(&mut rest)?;
            let (name, value) = field(&mut rest)?;
            Packet::Edit(match letter {
                b'i' => Edit::InsertHeader { index, name, value },
                _ => Edit::ChangeHeader { index, name, value },
            })
        }
        b'+' => Packet::Edit(Edit::AddRecipient {
            path: path(&mut rest)?,
            parameters: None,
        }),
        b'2' => Packet::Edit(Edit::AddRecipient {
            path: path(&mut rest)?,
            parameters: parameters(&mut rest)?,
        }),
        b'-' => Packet::Edit(Edit::DeleteRecipient(path(&mut rest)?)),
        b'e' => Packet::Edit(Edit::ChangeFrom {
            path: path(&mut rest)?,
            parameters: parameters(&mut rest)?,
        }),
        b'b' => Packet::Edit(Edit::ReplaceBody(rest)),
        b'q' => Packet::Edit(Edit::Quarantine(visible(&text(&mut rest)?))),
        _ => return Err(Error::Malformed("unknown packet")),
    })
}

impl Edit {
    /// What must have been agreed on for it.
    pub(super) fn needs(&self) -> (Actions, &'static str) {
        match self {
            Self::AddHeader { .. } | Self::InsertHeader { .. } => (Actions::ADD_HEADERS, "adding a field"),
            Self::ChangeHeader { .. } => (Actions::CHANGE_HEADERS, "changing a field"),
            Self::AddRecipient { parameters: None, .. } => (Actions::ADD_RECIPIENTS, "adding a recipient"),
            Self::AddRecipient { .. } => (
                Actions::ADD_RECIPIENTS_WITH_PARAMETERS,
                "adding a recipient with parameters",
            ),
            Self::DeleteRecipient(_) => (Actions::DELETE_RECIPIENTS, "removing a recipient"),
            Self::ChangeFrom { .. } => (Actions::CHANGE_FROM, "changing the sender"),
            Self::ReplaceBody(_) => (Actions::CHANGE_BODY, "replacing the body"),
            Self::Quarantine(_) => (Actions::QUARANTINE, "quarantine"),
        }
    }
}

impl CustomReply {
    /// `550 5.7.1 text`, or several such lines with `550-` at the start of all but the last.
    fn read(text: &[u8]) -> Result<Self, Error> {
        let malformed = Error::Malformed("reply code");
        let mut code = None;
        let mut enhanced = None;
        let mut lines = Vec::new();
        for line in text.split(|octet| *octet == b'\n') {
            let line = visible(line.strip_suffix(b"\r").unwrap_or(line));
            if line.is_empty() && code.is_some() {
                continue;
            }
            let (digits, rest) = line.split_at_checked(3).ok_or(malformed.clone())?;
            let number = digits
                .parse::<u16>()
                .ok()
                .filter(|code| (400..600).contains(code))
                .ok_or(malformed.clone())?;
            if *code.get_or_insert(number) != number {
                return Err(malformed);
            }
            let rest = match rest.chars().next() {
                None => "",
                Some(' ' | '-') => &rest[1..],
                Some(_) => return Err(malformed),
            };
            let (status, words) = match rest.split_once(' ').unwrap_or((rest, "")) {
                (first, words) if status(first, number).is_some() => (status(first, number), words),
                _ => (None, rest),
            };
            enhanced = enhanced.or(status);
            // Milters double it: their library was made for a server that formats the text.
            lines.push(words.replace("%%", "%"));
            if lines.len() > MAX_LINES {
                return Err(Error::TooLarge("reply code"));
            }
        }
        let code = code.ok_or(malformed)?;
        Ok(Self {
            code,
            enhanced,
            lines,
        })
    }
}

/// An enhanced status code of the class of `code`.
fn status(text: &str, code: u16) -> Option<(u8, u16, u16)> {
    let mut parts = text.split('.');
    let mut number = || {
        let part = parts
            .next()
            .filter(|part| part.bytes().all(|b| b.is_ascii_digit()))?;
        part.parse::<u16>().ok().filter(|number| *number < 1000)
    };
    let (class, subject, detail) = (number()?, number()?, number()?);
    let whole = parts.next().is_none();
    (whole && class == code / 100).then_some((u8::try_from(class).ok()?, subject, detail))
}

fn options(mut rest: Bytes) -> Result<Options, Error> {
    let version = number(&mut rest)?;
    let actions = Actions::from_bits(number(&mut rest)?);
    let steps = Steps::from_bits(number(&mut rest)?);
    if !(2..=MAX_VERSION).contains(&version) {
        return Err(Error::Version(version));
    }
    let mut macros: Vec<(Stage, Vec<String>)> = Vec::new();
    while !rest.is_empty() {
        let stage = number(&mut rest)?;
        let names = text(&mut rest)?;
        let names = String::from_utf8_lossy(&names);
        let names = names.split([' ', ',']).filter(|name| !name.is_empty());
        // A stage of a later version is nothing to fail for; and each has one list.
        if let Some(stage) = Stage::from_number(stage)
            && macros.iter().all(|(known, _)| *known != stage)
        {
            let bare = |name: &str| name.trim_matches(['{', '}']).to_owned();
            macros.push((stage, names.map(bare).collect()));
        }
    }
    Ok(Options {
        version,
        actions,
        steps,
        macros,
    })
}

fn number(rest: &mut Bytes) -> Result<u32, Error> {
    rest.try_get_u32().map_err(|_| Error::Malformed("number"))
}

/// What stands in front of the next NUL.
fn text(rest: &mut Bytes) -> Result<Bytes, Error> {
    let end = memchr::memchr(0, rest).ok_or(Error::Malformed("text without end"))?;
    let text = rest.split_to(end);
    rest.advance(1);
    Ok(text)
}

fn path(rest: &mut Bytes) -> Result<String, Error> {
    let text = text(rest)?;
    let text = core::str::from_utf8(&text).map_err(|_| Error::Malformed("address"))?;
    match text.chars().any(char::is_control) {
        true => Err(Error::Malformed("address")),
        false => Ok(text.to_owned()),
    }
}

/// What follows an address, if anything does.
fn parameters(rest: &mut Bytes) -> Result<Option<String>, Error> {
    match rest.is_empty() {
        true => Ok(None),
        false => Ok(Some(path(rest)?).filter(|text| !text.is_empty())),
    }
}

/// Name and value of a header field.
fn field(rest: &mut Bytes) -> Result<(String, Bytes), Error> {
    let name = text(rest)?;
    let named = !name.is_empty() && name.iter().all(|b| b.is_ascii_graphic() && *b != b':');
    let name = String::from_utf8(name.to_vec()).ok().filter(|_| named);
    let name = name.ok_or(Error::Malformed("name of a field"))?;
    Ok((name, folded(text(rest)?)?))
}

/// A value with CRLF where it is folded. What would end the field, and begin another or the body, is refused.
fn folded(value: Bytes) -> Result<Bytes, Error> {
    let malformed = Error::Malformed("value of a field");
    if memchr::memchr2(b'\r', b'\n', &value).is_none() {
        return Ok(value);
    }
    let value: &[u8] = value.strip_suffix(b"\n").unwrap_or(&value);
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    let mut out = Vec::with_capacity(value.len() + 16);
    for (at, line) in value.split(|octet| *octet == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.contains(&b'\r') || (at > 0 && !matches!(line.first(), Some(b' ' | b'\t'))) {
            return Err(malformed);
        }
        // A line of nothing but space would be the end of the header to some.
        if at > 0 && line.trim_ascii().is_empty() {
            continue;
        }
        if at > 0 {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(line);
    }
    Ok(out.into())
}

fn visible(text: &[u8]) -> String {
    crate::clamd::visible(text)
}

/// Lines of a refusal, at most: as many as libmilter sends.
const MAX_LINES: usize = 32;
