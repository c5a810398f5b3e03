//! Commands (RFC 5321 §4.1, RFC 1985, RFC 2033, RFC 3030, RFC 3207, RFC 4954)

use crate::chunking::Chunk;
use crate::etrn::Etrn;
use crate::xclient::Xclient;
use crate::xforward::Xforward;
use crate::{EnhancedCode, Mail, Rcpt, Reply};
use mailwright_address::{Host, ParseError};
use std::fmt;

/// One command line of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// EHLO, HELO or LHLO.
    Hello(Hello),
    /// MAIL.
    Mail(Box<Mail>),
    /// RCPT.
    Rcpt(Rcpt),
    /// DATA.
    Data,
    /// BDAT: this many octets follow the line (RFC 3030 §2).
    Bdat(Chunk),
    /// RSET.
    Rset,
    /// NOOP; its argument means nothing.
    Noop,
    /// VRFY with the text to verify.
    Vrfy(Lookup),
    /// EXPN with the name of a list.
    Expn(Lookup),
    /// HELP, with what help is wanted for; may be empty.
    Help(String),
    /// QUIT.
    Quit,
    /// STARTTLS.
    StartTls,
    /// AUTH.
    Auth {
        /// The mechanism's name as the client wrote it.
        mechanism: String,
        /// The initial response, still in base64; `=` stands for an empty one.
        initial: Option<String>,
    },
    /// ETRN: RFC 1985.
    Etrn(Etrn),
    /// XCLIENT of Postfix.
    Xclient(Box<Xclient>),
    /// XFORWARD of Postfix.
    Xforward(Box<Xforward>),
}

/// The argument of VRFY or EXPN.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lookup {
    /// What is asked for: a user, a mailbox or a list, as it was written.
    pub name: String,
    /// `SMTPUTF8`: the reply may hold UTF-8 (RFC 6531 §3.7.4.2).
    pub smtputf8: bool,
}

/// How a client introduced itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hello {
    /// The verb it used.
    pub verb: HelloVerb,
    name: Box<str>,
}

/// The verb of a [`Hello`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // RFC 5321 §4.1.1.1 and RFC 2033 §4.1
pub enum HelloVerb {
    /// EHLO: extended SMTP.
    Ehlo,
    /// HELO: SMTP without extensions.
    Helo,
    /// LHLO: LMTP.
    Lhlo,
}

/// Which service extensions a server has: they decide which parameters a command may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extensions {
    /// PIPELINING: RFC 2920. Pipelined commands work in any case; this only advertises it.
    pub pipelining: bool,
    /// SIZE: RFC 1870.
    pub size: bool,
    /// 8BITMIME: RFC 6152.
    pub eight_bit_mime: bool,
    /// ENHANCEDSTATUSCODES: RFC 2034.
    pub enhanced_status_codes: bool,
    /// STARTTLS: RFC 3207.
    pub starttls: bool,
    /// AUTH: RFC 4954.
    pub auth: bool,
    /// SMTPUTF8: RFC 6531.
    pub smtputf8: bool,
    /// DSN: RFC 3461.
    pub dsn: bool,
    /// CHUNKING: RFC 3030.
    pub chunking: bool,
    /// BINARYMIME: RFC 3030 §3; needs CHUNKING.
    pub binary_mime: bool,
    /// DELIVERBY: RFC 2852.
    pub deliver_by: bool,
    /// FUTURERELEASE: RFC 4865; for submission only.
    pub future_release: bool,
    /// MT-PRIORITY: RFC 6710.
    pub mt_priority: bool,
    /// REQUIRETLS: RFC 8689; under TLS only.
    pub require_tls: bool,
    /// LIMITS: RFC 9422.
    pub limits: bool,
    /// ETRN: RFC 1985.
    pub etrn: bool,
    /// XCLIENT of Postfix; for proxies that are trusted.
    pub xclient: bool,
    /// XFORWARD of Postfix; for content filters that are trusted.
    pub xforward: bool,
}

impl Extensions {
    /// All that this crate has.
    pub const ALL: Self = Self {
        pipelining: true,
        size: true,
        eight_bit_mime: true,
        enhanced_status_codes: true,
        starttls: true,
        auth: true,
        smtputf8: true,
        dsn: true,
        chunking: true,
        binary_mime: true,
        deliver_by: true,
        future_release: true,
        mt_priority: true,
        require_tls: true,
        limits: true,
        etrn: true,
        xclient: true,
        xforward: true,
    };

    /// None, as after HELO.
    pub const NONE: Self = Self {
        pipelining: false,
        size: false,
        eight_bit_mime: false,
        enhanced_status_codes: false,
        starttls: false,
        auth: false,
        smtputf8: false,
        dsn: false,
        chunking: false,
        binary_mime: false,
        deliver_by: false,
        future_release: false,
        mt_priority: false,
        require_tls: false,
        limits: false,
        etrn: false,
        xclient: false,
        xforward: false,
    };
}

impl Command {
    /// Parses a line without its CRLF. Trailing spaces and tabs are dropped (RFC 5321 §4.1.1).
    ///
    /// # Errors
    ///
    /// A [`CommandError`], which knows the [`reply`](CommandError::reply) that it deserves.
    pub fn parse(line: &[u8], extensions: &Extensions) -> Result<Self, CommandError> {
        let mut line = line;
        while let [rest @ .., b' ' | b'\t'] = line {
            line = rest;
        }
        let line = printable(line)?;
        let (verb, args) = verb(line);
        let none = |command| match args.is_empty() {
            true => Ok(command),
            false => Err(CommandError::Arguments),
        };
        match verb {
            MAIL => Mail::parse(strip(args, "FROM:")?, extensions).map(Self::Mail),
            RCPT => Rcpt::parse(strip(args, "TO:")?, extensions).map(Self::Rcpt),
            DATA => none(Self::Data),
            BDAT => Chunk::parse(args).map(Self::Bdat).ok_or(CommandError::Chunk),
            RSET => none(Self::Rset),
            EHLO => Hello::parse(HelloVerb::Ehlo, args).map(Self::Hello),
            HELO => Hello::parse(HelloVerb::Helo, args).map(Self::Hello),
            LHLO => Hello::parse(HelloVerb::Lhlo, args).map(Self::Hello),
            QUIT => none(Self::Quit),
            NOOP => Ok(Self::Noop),
            HELP => Ok(Self::Help(args.trim_ascii().into())),
            STARTTLS => none(Self::StartTls),
            AUTH => Self::auth(args),
            VRFY => Lookup::parse(args, extensions).map(Self::Vrfy),
            EXPN => Lookup::parse(args, extensions).map(Self::Expn),
            ETRN => Etrn::parse(args).map(Self::Etrn).ok_or(CommandError::Arguments),
            XCLIENT => attributes(Xclient::parse(args)).map(Self::Xclient),
            XFORWARD => attributes(Xforward::parse(args)).map(Self::Xforward),
            // What a web client starts a request with.
            GET | POST | HEAD | PUT | DELETE | OPTIONS | CONNECT | TRACE | PATCH => {
                Err(CommandError::OtherProtocol)
            }
            _ => Err(CommandError::UnknownVerb),
        }
    }

    fn auth(args: &str) -> Result<Self, CommandError> {
        let (mechanism, initial) = match args.split_once(' ') {
            Some((mechanism, initial)) => (mechanism, Some(initial)),
            None => (args, None),
        };
        // RFC 4422 §3.1: mechanism names.
        let token = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if mechanism.is_empty() || !mechanism.bytes().all(token) || initial.is_some_and(|i| i.contains(' ')) {
            return Err(CommandError::Arguments);
        }
        Ok(Self::Auth {
            mechanism: mechanism.into(),
            initial: initial.map(str::to_owned),
        })
    }
}

/// Prints the line without its CRLF. Text in it that could not have been parsed is left out.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |f: &mut fmt::Formatter<'_>, verb: &str, text: &str| {
            write!(f, "{verb} ")?;
            text.chars()
                .filter(|c| !c.is_control())
                .try_for_each(|c| write!(f, "{c}"))
        };
        match self {
            Self::Hello(hello) => hello.fmt(f),
            Self::Mail(mail) => write!(f, "MAIL FROM:{mail}"),
            Self::Rcpt(rcpt) => write!(f, "RCPT TO:{rcpt}"),
            Self::Data => f.write_str("DATA"),
            Self::Rset => f.write_str("RSET"),
            Self::Noop => f.write_str("NOOP"),
            Self::Vrfy(lookup) | Self::Expn(lookup) => {
                let verb = if matches!(self, Self::Vrfy(_)) {
                    "VRFY"
                } else {
                    "EXPN"
                };
                text(f, verb, &lookup.name)?;
                f.write_str(if lookup.smtputf8 { " SMTPUTF8" } else { "" })
            }
            Self::Help(topic) if topic.is_empty() => f.write_str("HELP"),
            Self::Help(topic) => text(f, "HELP", topic),
            Self::Quit => f.write_str("QUIT"),
            Self::StartTls => f.write_str("STARTTLS"),
            Self::Auth { mechanism, initial } => {
                text(f, "AUTH", mechanism)?;
                initial.as_ref().map_or(Ok(()), |initial| text(f, "", initial))
            }
            Self::Bdat(chunk) => write!(f, "BDAT {chunk}"),
            Self::Etrn(node) => write!(f, "ETRN {node}"),
            Self::Xclient(attributes) => write!(f, "XCLIENT {attributes}"),
            Self::Xforward(attributes) => write!(f, "XFORWARD {attributes}"),
        }
    }
}

impl Lookup {
    /// Asks for a user, a mailbox or a list, without SMTPUTF8.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            smtputf8: false,
        }
    }

    fn parse(args: &str, extensions: &Extensions) -> Result<Self, CommandError> {
        let args = args.trim_ascii();
        let parameter = match args.rsplit_once(' ') {
            Some((name, word)) if word.eq_ignore_ascii_case("SMTPUTF8") => Some(name.trim_ascii_end()),
            _ => None,
        };
        let parameter = parameter.filter(|_| extensions.smtputf8);
        let name = parameter.unwrap_or(args);
        match name {
            "" => Err(CommandError::Arguments),
            name if !name.is_ascii() && parameter.is_none() => Err(CommandError::NonAsciiAddress),
            name => Ok(Self {
                name: name.into(),
                smtputf8: parameter.is_some(),
            }),
        }
    }
}

impl Hello {
    /// Introduces a client by its own name: a domain or an address literal.
    pub fn new(verb: HelloVerb, host: &Host) -> Self {
        Self {
            verb,
            name: host.to_string().into(),
        }
    }

    fn parse(verb: HelloVerb, args: &str) -> Result<Self, CommandError> {
        // RFC 5321 §4.1.1.1 wants a domain or a literal. Windows hosts with `_` in their names and bare IP
        // addresses are common enough to be taken; `host` tells them apart.
        let name = args.trim_ascii();
        let valid = (1..=255).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
        if !valid {
            return Err(CommandError::Arguments);
        }
        Ok(Self {
            verb,
            name: name.into(),
        })
    }

    /// What it called itself: printable ASCII without spaces, at most 255 octets. Nothing proves it true.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name, if it is a domain or an address literal as it should be.
    pub fn host(&self) -> Option<Host> {
        Host::parse(&self.name).ok()
    }
}

impl fmt::Display for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.verb {
            HelloVerb::Ehlo => "EHLO",
            HelloVerb::Helo => "HELO",
            HelloVerb::Lhlo => "LHLO",
        };
        write!(f, "{verb} {}", self.name)
    }
}

/// What is wrong with a command line. Holds nothing the peer sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// No such command.
    UnknownVerb,
    /// A verb of HTTP: the peer is a web client, or someone uses one to talk to us.
    OtherProtocol,
    /// A control character, NUL and bare CR included.
    ControlCharacter,
    /// Octets above 127 that are not UTF-8.
    NotUtf8,
    /// Arguments that are missing, superfluous or malformed.
    Arguments,
    /// The size of a BDAT chunk: not a number, or none that fits 64 bits. Where the next command begins
    /// cannot be known.
    Chunk,
    /// The reverse-path of MAIL.
    Sender(ParseError),
    /// The forward-path of RCPT.
    Recipient(ParseError),
    /// An address with characters outside of ASCII, without SMTPUTF8 (RFC 6531 §3.5).
    NonAsciiAddress,
    /// A parameter that is malformed, out of range, or given twice.
    Parameter,
    /// A parameter that no offered extension has.
    UnknownParameter,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownVerb => f.write_str("unknown command"),
            Self::OtherProtocol => f.write_str("command of another protocol"),
            Self::ControlCharacter => f.write_str("control character in command"),
            Self::NotUtf8 => f.write_str("octets that are not UTF-8"),
            Self::Arguments => f.write_str("malformed arguments"),
            Self::Chunk => f.write_str("malformed chunk size"),
            Self::Sender(what) => write!(f, "malformed sender address: {what}"),
            Self::Recipient(what) => write!(f, "malformed recipient address: {what}"),
            Self::NonAsciiAddress => f.write_str("non-ASCII address without SMTPUTF8"),
            Self::Parameter => f.write_str("malformed or repeated parameter"),
            Self::UnknownParameter => f.write_str("unknown parameter"),
        }
    }
}

impl core::error::Error for CommandError {}

impl CommandError {
    /// What the peer is told.
    pub fn reply(&self) -> Reply {
        let (code, (subject, detail), text) = match self {
            Self::UnknownVerb => (500, (5, 2), "Command not recognised"),
            Self::OtherProtocol => (500, (5, 1), "This is a mail server"),
            Self::ControlCharacter => (500, (5, 2), "Control character in command"),
            Self::NotUtf8 => (500, (5, 2), "Command is not UTF-8"),
            Self::Arguments => (501, (5, 4), "Syntax error in arguments"),
            Self::Chunk => (501, (5, 4), "Malformed chunk size"),
            Self::Sender(_) => (501, (1, 7), "Malformed sender address"),
            Self::Recipient(_) => (501, (1, 3), "Malformed recipient address"),
            Self::NonAsciiAddress => (553, (6, 7), "Non-ASCII address needs SMTPUTF8"),
            Self::Parameter => (501, (5, 4), "Malformed or repeated parameter"),
            Self::UnknownParameter => (555, (5, 4), "Parameter not recognised"),
        };
        Reply::fixed(code, EnhancedCode::new(5, subject, detail), text)
    }
}

/// The line as text, if it holds no control characters.
#[inline]
fn printable(line: &[u8]) -> Result<&str, CommandError> {
    if is_plain(line) {
        return std::str::from_utf8(line).map_err(|_| CommandError::NotUtf8);
    }
    if line.iter().any(u8::is_ascii_control) {
        return Err(CommandError::ControlCharacter);
    }
    let line = std::str::from_utf8(line).map_err(|_| CommandError::NotUtf8)?;
    // Those of Unicode (C1) move cursors and break lines as well.
    match line.chars().any(char::is_control) {
        true => Err(CommandError::ControlCharacter),
        false => Ok(line),
    }
}

/// Whether the line is printable ASCII, as nearly all are. Looks at eight octets at a time.
#[inline]
fn is_plain(line: &[u8]) -> bool {
    const fn all(octet: u8) -> u64 {
        u64::from_ne_bytes([octet; 8])
    }
    // The top bit of an octet is set where something is wrong with it, or with one below.
    let faulty = |octets: &[u8; 8]| {
        let octets = u64::from_le_bytes(*octets);
        let (below_space, delete) = (octets.wrapping_sub(all(b' ')), octets.wrapping_add(all(1)));
        (octets | below_space | delete) & all(0x80) != 0
    };
    let (whole, rest) = line.as_chunks();
    match line.last_chunk() {
        Some(last) => !faulty(last) && !whole.iter().any(faulty),
        None => rest.iter().all(|b| matches!(b, b' '..=b'~')),
    }
}

/// The verb of a line as a number, because nothing is faster to tell apart, and its arguments. A verb that is longer
/// than all there are is 0.
#[inline]
fn verb(line: &str) -> (u64, &str) {
    let mut number = 0;
    for (len, octet) in line.bytes().enumerate() {
        if octet == b' ' {
            return (number, &line[len + 1..]);
        }
        number = match len {
            // Without the bit that tells lower from upper case: only letters become letters.
            ..8 => number << 8 | u64::from(octet & !0x20),
            _ => return (0, ""),
        };
    }
    (number, "")
}

/// The number of a verb of at most eight octets in upper case.
const fn number(verb: &str) -> u64 {
    let (mut number, mut i) = (0, 0);
    while i < verb.len() {
        number = number << 8 | verb.as_bytes()[i] as u64;
        i += 1;
    }
    number
}

const MAIL: u64 = number("MAIL");
const RCPT: u64 = number("RCPT");
const DATA: u64 = number("DATA");
const BDAT: u64 = number("BDAT");
const RSET: u64 = number("RSET");
const EHLO: u64 = number("EHLO");
const HELO: u64 = number("HELO");
const LHLO: u64 = number("LHLO");
const QUIT: u64 = number("QUIT");
const NOOP: u64 = number("NOOP");
const HELP: u64 = number("HELP");
const STARTTLS: u64 = number("STARTTLS");
const AUTH: u64 = number("AUTH");
const VRFY: u64 = number("VRFY");
const EXPN: u64 = number("EXPN");
const ETRN: u64 = number("ETRN");
const XCLIENT: u64 = number("XCLIENT");
const XFORWARD: u64 = number("XFORWARD");
const GET: u64 = number("GET");
const POST: u64 = number("POST");
const HEAD: u64 = number("HEAD");
const PUT: u64 = number("PUT");
const DELETE: u64 = number("DELETE");
const OPTIONS: u64 = number("OPTIONS");
const CONNECT: u64 = number("CONNECT");
const TRACE: u64 = number("TRACE");
const PATCH: u64 = number("PATCH");

#[inline(always)] // a prefix of known length costs one comparison
fn strip<'a>(args: &'a str, prefix: &str) -> Result<&'a str, CommandError> {
    if let Some(rest) = args.strip_prefix(prefix) {
        return Ok(rest);
    }
    match args.split_at_checked(prefix.len()) {
        Some((start, rest)) if start.eq_ignore_ascii_case(prefix) => Ok(rest),
        _ => Err(CommandError::Arguments),
    }
}

fn attributes<T>(parsed: Option<T>) -> Result<Box<T>, CommandError> {
    parsed.map(Box::new).ok_or(CommandError::Parameter)
}
