//! What a server answers (RFC 1939 §3, §5, §7)

use super::{Capabilities, Client, Command, Event, State};
use crate::language::is_tag;
use crate::{Error, Reply};
use bytes::Bytes;
use mailwright_wire::{BareNewlines, DotDecoder};

impl Client {
    /// Takes a line of the server, without its ending.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<(), Error> {
        match &mut self.state {
            State::Greeting => {
                let reply = status(line)?.map_err(|text| Error::Refused(Reply::parse(text)))?;
                #[cfg(feature = "apop")]
                {
                    self.timestamp = crate::apop::find(reply);
                }
                self.events.push_back(Event::Greeting(Reply::parse(reply)));
                self.state = State::Ready;
            }
            State::Login(login) => match login.reply(line, &mut self.tx)? {
                None => {}
                Some(Ok(reply)) => self.end(Event::Done(reply)),
                Some(Err(reply)) => self.end(Event::Refused(reply)),
            },
            State::Capabilities(capabilities) if line == b"." => {
                let capabilities = core::mem::take(capabilities);
                self.pipelining = capabilities.has("PIPELINING");
                self.mechanisms = Some(capabilities.mechanisms());
                self.events.push_back(Event::Capabilities(capabilities));
                self.done();
            }
            State::Capabilities(capabilities) => {
                if capabilities.len() < self.config.max_capabilities {
                    capabilities.push(Reply::parse(line).text);
                }
            }
            State::Rows if line == b"." => self.done(),
            State::Rows => self.row(line.strip_prefix(b".").unwrap_or(line)),
            _ => self.status(line)?,
        }
        Ok(())
    }

    fn status(&mut self, line: &[u8]) -> Result<(), Error> {
        let command = self.in_flight.front().ok_or(Error::Unsolicited)?;
        let text = match status(line)? {
            Ok(text) => text,
            Err(text) => {
                self.end(Event::Refused(Reply::parse(text)));
                return Ok(());
            }
        };
        self.opening = Reply::parse(text);
        match command {
            Command::Capa => self.state = State::Capabilities(Capabilities::default()),
            Command::List(None) | Command::Uidl(None) | Command::Lang(None) => self.state = State::Rows,
            Command::Retr(_) | Command::Top { .. } => {
                self.state = State::Body(DotDecoder::new(BareNewlines::Keep));
            }
            Command::Stls => {
                // What the server sent in the clear behind its reply may be somebody else's.
                self.rx.clear();
                self.lines.reset();
                self.state = State::StartTls;
            }
            Command::List(Some(_)) | Command::Uidl(Some(_)) => {
                self.row(text);
                self.done();
            }
            Command::Stat => {
                let (messages, rest) = number(text).ok_or(Error::Malformed)?;
                let (octets, _) = number(rest).ok_or(Error::Malformed)?;
                let messages = u32::try_from(messages).map_err(|_| Error::Malformed)?;
                self.events.push_back(Event::Stat { messages, octets });
                self.done();
            }
            _ => self.done(),
        }
        Ok(())
    }

    /// A row of a listing: the number of a message and what the open command asked about it.
    fn row(&mut self, row: &[u8]) {
        let event = match self.in_flight.front() {
            Some(Command::Lang(_)) => language(row),
            Some(Command::Uidl(_)) => unique_id(row),
            _ => size(row),
        };
        let odd = || Event::OddRow(Bytes::copy_from_slice(row));
        self.events.push_back(event.unwrap_or_else(odd));
    }
}

fn size(row: &[u8]) -> Option<Event> {
    let (message, rest) = number(row)?;
    let (octets, _) = number(rest)?;
    let message = u32::try_from(message).ok()?;
    Some(Event::Size { message, octets })
}

fn unique_id(row: &[u8]) -> Option<Event> {
    let (message, rest) = number(row)?;
    let message = u32::try_from(message).ok()?;
    let uid = core::str::from_utf8(rest).ok()?.trim().to_owned();
    (!uid.is_empty()).then_some(Event::UniqueId { message, uid })
}

fn language(row: &[u8]) -> Option<Event> {
    let row = core::str::from_utf8(row).ok()?.trim();
    let (tag, name) = row.split_once(' ').unwrap_or((row, ""));
    is_tag(tag).then(|| Event::Language {
        tag: tag.to_owned(),
        name: name.trim().to_owned(),
    })
}

/// What stands behind `+OK`, or behind `-ERR`.
pub(super) fn status(line: &[u8]) -> Result<Result<&[u8], &[u8]>, Error> {
    let after = |word: &str| {
        let (start, rest) = line.split_at_checked(word.len())?;
        let ends = rest.first().is_none_or(u8::is_ascii_whitespace);
        (start.eq_ignore_ascii_case(word.as_bytes()) && ends).then(|| rest.trim_ascii())
    };
    match (after("+OK"), after("-ERR")) {
        (Some(text), _) => Ok(Ok(text)),
        (_, Some(text)) => Ok(Err(text)),
        _ => Err(Error::Malformed),
    }
}

/// The number that `text` starts with, behind any spaces, and the rest behind it.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let text = text.trim_ascii_start();
    let end = text
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len());
    let digits = core::str::from_utf8(&text[..end]).ok()?;
    let rest = &text[end..];
    if !rest.first().is_none_or(u8::is_ascii_whitespace) {
        return None;
    }
    Some((digits.parse().ok()?, rest))
}
