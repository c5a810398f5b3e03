//! APPEND and REPLACE, up to their messages (RFC 3501 §6.3.11, RFC 3502, RFC 4469, RFC 6855 §4, RFC 8508)

use super::{mailbox, tag};
use crate::codec::Body;
use crate::codec::cursor::{Cursor, Result};
use crate::{DateTime, Flags, SeqNumber};
use bytes::Bytes;

/// The start of an APPEND or REPLACE.
#[derive(Debug)]
pub(crate) struct AppendHead {
    pub(crate) tag: Bytes,
    pub(crate) mailbox: Bytes,
    /// REPLACE: the message, and whether it is named by its UID.
    pub(crate) replaces: Option<(SeqNumber, bool)>,
    pub(crate) parser: AppendParser,
    pub(crate) tokens: Vec<AppendToken>,
}

/// What comes in a command that brings messages.
#[derive(Debug, PartialEq)]
pub(crate) enum AppendToken {
    /// A message begins.
    Message {
        flags: Flags,
        internal_date: Option<DateTime>,
        form: Form,
    },
    /// The next octets of the message are what this refers to.
    Url(Bytes),
    /// The next octets of the message are the literal that follows.
    Literal,
}

/// How a message is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Literal,
    /// `UTF8 (~{...})`
    Utf8,
    /// `CATENATE (...)`
    Catenate,
}

/// Reads what stands between the literals.
#[derive(Debug, Default)]
pub(crate) struct AppendParser {
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum State {
    #[default]
    Between,
    InUtf8,
    InCatenate {
        first: bool,
    },
}

impl AppendHead {
    /// Whether a command, or what stands of it before a literal, brings messages.
    ///
    /// `Ok(None)` if it is another command, or if the literal cannot be part of a message yet.
    pub(crate) fn parse(text: &Bytes, literal: bool) -> Result<Option<Self>> {
        let mut c = Cursor::new(text);
        let Ok(tag) = tag(&mut c) else { return Ok(None) };
        if !c.eat(b' ') {
            return Ok(None);
        }
        let uid = c.eat_word("UID");
        if uid && !c.eat(b' ') {
            return Ok(None);
        }
        let mut replaces = None;
        if c.eat_word("REPLACE") {
            c.sp()?;
            replaces = Some((c.seq_number()?, uid));
        } else if uid || !c.eat_word("APPEND") {
            return Ok(None);
        }
        // The name of the mailbox may be a literal, and so may be a URL.
        if literal && (c.rest() == b" " || names_url(c.rest())) {
            return Ok(None);
        }
        let mailbox = mailbox(&mut c)?;
        let mut parser = AppendParser::default();
        let tokens = parser.tokens(&mut c, literal)?;
        Ok(Some(Self {
            tag,
            mailbox,
            replaces,
            parser,
            tokens,
        }))
    }
}

impl AppendParser {
    /// Reads what stands between two literals, or behind the last one.
    pub(crate) fn feed(&mut self, text: &Bytes, literal: bool) -> Result<Vec<AppendToken>> {
        self.tokens(&mut Cursor::new(text), literal)
    }

    /// Whether the literal behind this text is the address of a part rather than its octets.
    pub(crate) fn wants_url(&self, text: &[u8]) -> bool {
        matches!(self.state, State::InCatenate { .. }) && names_url(text)
    }

    fn tokens(&mut self, c: &mut Cursor<'_>, literal: bool) -> Result<Vec<AppendToken>> {
        let mut tokens = Vec::new();
        loop {
            match self.state {
                State::Between if !literal && c.rest().trim_ascii().is_empty() => return Ok(tokens),
                State::Between => {
                    c.sp()?;
                    let (flags, internal_date) = flags_and_date(c)?;
                    let form = match () {
                        () if c.eat_word("UTF8") => Form::Utf8,
                        () if c.eat_word("CATENATE") => Form::Catenate,
                        () => Form::Literal,
                    };
                    if form != Form::Literal {
                        c.sp()?;
                        c.expect(b'(', "a list is missing")?;
                    }
                    tokens.push(AppendToken::Message {
                        flags,
                        internal_date,
                        form,
                    });
                    match form {
                        Form::Catenate => self.state = State::InCatenate { first: true },
                        Form::Utf8 => self.state = State::InUtf8,
                        Form::Literal => {}
                    }
                    if form != Form::Catenate {
                        return self.literal(c, literal, tokens);
                    }
                }
                State::InUtf8 => {
                    c.expect(b')', "a list is not closed")?;
                    self.state = State::Between;
                }
                State::InCatenate { first: false } if c.eat(b')') => self.state = State::Between,
                State::InCatenate { first } => {
                    if !first {
                        c.sp()?;
                    }
                    self.state = State::InCatenate { first: false };
                    if c.eat_word("URL") {
                        c.sp()?;
                        tokens.push(AppendToken::Url(c.astring()?));
                    } else if c.eat_word("TEXT") {
                        c.sp()?;
                        return self.literal(c, literal, tokens);
                    } else {
                        return c.fail("a part is not known");
                    }
                }
            }
        }
    }

    fn literal(
        &self,
        c: &Cursor<'_>,
        literal: bool,
        mut tokens: Vec<AppendToken>,
    ) -> Result<Vec<AppendToken>> {
        if !literal || !c.at_end() {
            return c.fail("the message must be a literal");
        }
        tokens.push(AppendToken::Literal);
        Ok(tokens)
    }
}

/// The flags and the date of a message, each with the space behind it.
fn flags_and_date(c: &mut Cursor<'_>) -> Result<(Flags, Option<DateTime>)> {
    let mut flags = Flags::new();
    if c.peek() == Some(b'(') {
        flags = c.flag_list()?;
        c.sp()?;
    }
    let mut internal_date = None;
    if c.peek() == Some(b'"') {
        let text = c.string()?;
        internal_date = match DateTime::parse(&text) {
            None => return c.fail("a date is malformed"),
            some => some,
        };
        c.sp()?;
    }
    Ok((flags, internal_date))
}

fn names_url(text: &[u8]) -> bool {
    let tail = &text[text.len().saturating_sub(5)..];
    tail.len() == 5 && matches!(tail[0], b' ' | b'(') && tail[1..].eq_ignore_ascii_case(b"URL ")
}

/// APPEND without the message.
pub(super) fn append(c: &mut Cursor<'_>) -> Result<Body> {
    let mailbox = mailbox(c)?;
    c.sp()?;
    let (flags, internal_date) = flags_and_date(c)?;
    Ok(Body::Append {
        mailbox,
        flags,
        internal_date,
    })
}

/// REPLACE without the message.
pub(super) fn replace(c: &mut Cursor<'_>, uid: bool) -> Result<Body> {
    c.sp()?;
    let number = c.seq_number()?;
    let mailbox = mailbox(c)?;
    c.sp()?;
    let (flags, internal_date) = flags_and_date(c)?;
    Ok(Body::Replace {
        uid,
        number,
        mailbox,
        flags,
        internal_date,
    })
}
