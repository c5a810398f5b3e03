//! Commands that are no transactions: NOOP, VRFY, EXPN, HELP, ETRN (RFC 5321 §3.5, §4.1.1.9, RFC 1985)

use super::Capabilities;
use super::outcome::Requirement;
use crate::etrn::Etrn;
use std::fmt;

/// A question to a server that has nothing to do with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Query {
    /// NOOP: is it there?
    Noop,
    /// VRFY: who is this?
    Verify(Argument),
    /// EXPN: who is on this list?
    Expand(Argument),
    /// HELP.
    Help(Option<Argument>),
    /// ETRN: begin to send what you hold for this node.
    Etrn(Etrn),
}

/// The text of a [`Query`]: 1 to 400 octets without control characters, and no space at its ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Argument(Box<str>);

impl Argument {
    /// Makes one; `None` if it is out of its bounds.
    pub fn new(text: &str) -> Option<Self> {
        let valid =
            (1..=400).contains(&text.len()) && text.trim() == text && !text.chars().any(char::is_control);
        valid.then(|| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Query {
    /// The command line without its CRLF.
    pub(super) fn line(&self, server: &Capabilities) -> Result<String, Requirement> {
        // RFC 6531 §3.7.4.2: the reply may hold UTF-8 as well.
        let named = |verb: &str, argument: &Argument| match (argument.0.is_ascii(), server.has("SMTPUTF8")) {
            (true, _) => Ok(format!("{verb} {argument}")),
            (false, true) => Ok(format!("{verb} {argument} SMTPUTF8")),
            (false, false) => Err(Requirement::SmtpUtf8),
        };
        match self {
            Self::Noop => Ok("NOOP".into()),
            Self::Verify(who) => named("VRFY", who),
            Self::Expand(list) => named("EXPN", list),
            Self::Help(None) => Ok("HELP".into()),
            Self::Help(Some(topic)) if topic.0.is_ascii() => Ok(format!("HELP {topic}")),
            Self::Help(Some(_)) => Err(Requirement::SmtpUtf8),
            Self::Etrn(node) => Ok(format!("ETRN {node}")),
        }
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
