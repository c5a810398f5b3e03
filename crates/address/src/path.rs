//! Reverse-paths and forward-paths (RFC 5321 §4.1.2)

use crate::scan::{self, Mailbox};
use crate::{EmailAddress, ParseError};
use core::fmt;
use core::str::FromStr;

/// Where reports about a message go: the argument of MAIL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // RFC 5321 §4.1.2: a Path or "<>"
pub enum ReversePath {
    /// `<>`: nowhere; the sender of reports themselves (RFC 5321 §4.5.5).
    Null,
    /// `<address>`.
    Address(EmailAddress),
}

impl ReversePath {
    /// Parses a path, angle brackets included; all of `text` must belong to it.
    ///
    /// # Errors
    ///
    /// Those of [`parse_prefix`](ReversePath::parse_prefix), and if something follows the path.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        whole(text, Self::parse_prefix(text)?)
    }

    /// Parses the path that `text` starts with, and gives back the rest behind its `>`.
    ///
    /// A source route in front of the address is accepted and dropped (RFC 5321 Appendix C).
    ///
    /// # Errors
    ///
    /// Fails if `text` does not start with a `Reverse-path` of RFC 5321 §4.1.2.
    #[inline(always)] // or it is moved from one place to the next, piece by piece
    pub fn parse_prefix(text: &str) -> Result<(Self, &str), ParseError> {
        if let Some(rest) = text.strip_prefix("<>") {
            return Ok((Self::Null, rest));
        }
        let (address, rest) = path(text)?;
        Ok((Self::Address(address), rest))
    }

    /// The address; `None` if it is null.
    pub fn address(&self) -> Option<&EmailAddress> {
        match self {
            Self::Null => None,
            Self::Address(address) => Some(address),
        }
    }

    /// Whether it can be used where RFC 6531 (SMTPUTF8) is not understood.
    pub fn is_ascii(&self) -> bool {
        self.address().is_none_or(EmailAddress::is_ascii)
    }
}

/// Where a message goes: the argument of RCPT.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // RFC 5321 §4.1.1.3: a Path or "<Postmaster>"
pub enum ForwardPath {
    /// `<postmaster>`, in any case and without a domain: whoever is responsible here (RFC 5321 §4.5.1).
    Postmaster,
    /// `<address>`.
    Address(EmailAddress),
}

impl ForwardPath {
    /// Parses a path, angle brackets included; all of `text` must belong to it.
    ///
    /// # Errors
    ///
    /// Those of [`parse_prefix`](ForwardPath::parse_prefix), and if something follows the path.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        whole(text, Self::parse_prefix(text)?)
    }

    /// Parses the path that `text` starts with, and gives back the rest behind its `>`.
    ///
    /// A source route in front of the address is accepted and dropped (RFC 5321 Appendix C).
    ///
    /// # Errors
    ///
    /// Fails if `text` does not start with a `Forward-path` of RFC 5321 §4.1.2, or `<Postmaster>`.
    #[inline(always)] // or it is moved from one place to the next, piece by piece
    pub fn parse_prefix(text: &str) -> Result<(Self, &str), ParseError> {
        if let Some((start, rest)) = text.split_at_checked(POSTMASTER.len())
            && start.eq_ignore_ascii_case(POSTMASTER)
        {
            return Ok((Self::Postmaster, rest));
        }
        let (address, rest) = path(text)?;
        Ok((Self::Address(address), rest))
    }

    /// The address; `None` for the postmaster without a domain.
    pub fn address(&self) -> Option<&EmailAddress> {
        match self {
            Self::Postmaster => None,
            Self::Address(address) => Some(address),
        }
    }

    /// Whether it can be used where RFC 6531 (SMTPUTF8) is not understood.
    pub fn is_ascii(&self) -> bool {
        self.address().is_none_or(EmailAddress::is_ascii)
    }
}

impl From<EmailAddress> for ReversePath {
    fn from(address: EmailAddress) -> Self {
        Self::Address(address)
    }
}

impl From<EmailAddress> for ForwardPath {
    fn from(address: EmailAddress) -> Self {
        Self::Address(address)
    }
}

impl FromStr for ReversePath {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl FromStr for ForwardPath {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Address(address) => write!(f, "<{address}>"),
        }
    }
}

impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str(POSTMASTER),
            Self::Address(address) => write!(f, "<{address}>"),
        }
    }
}

const POSTMASTER: &str = "<postmaster>";

/// `"<" [ A-d-l ":" ] Mailbox ">"`, and the rest.
#[inline(always)]
fn path(text: &str) -> Result<(EmailAddress, &str), ParseError> {
    let mailbox = mailbox(text)?;
    let rest = &text[mailbox.end + 1..];
    Ok((EmailAddress::scanned(text, mailbox), rest))
}

/// Where the mailbox of a path is.
fn mailbox(text: &str) -> Result<Mailbox, ParseError> {
    let mut at = scan::expect(text, 0, b'<')?;
    if text.as_bytes().get(at) == Some(&b'@') {
        at = source_route(text, at)?;
    }
    let mailbox = scan::mailbox(text, at)?;
    scan::expect(text, mailbox.end, b'>')?;
    Ok(mailbox)
}

/// The end of the source route that starts at `from`, behind its colon.
#[cold]
fn source_route(text: &str, from: usize) -> Result<usize, ParseError> {
    let mut at = from;
    loop {
        at = scan::expect(text, at, b'@')?;
        at = scan::domain(text, at)?;
        if text.as_bytes().get(at) == Some(&b':') {
            return Ok(at + 1);
        }
        at = scan::expect(text, at, b',')?;
    }
}

fn whole<T>(text: &str, (parsed, rest): (T, &str)) -> Result<T, ParseError> {
    scan::finish(text, text.len() - rest.len())?;
    Ok(parsed)
}
