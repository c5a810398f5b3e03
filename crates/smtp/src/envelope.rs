//! Envelopes: MAIL and RCPT with their parameters (RFC 5321 §4.1.1, RFC 1870, RFC 3461, RFC 4954, RFC 6152,
//! RFC 8689)

use crate::command::{CommandError, Extensions};
use crate::deliverby::DeliverBy;
use crate::dsn::{EnvelopeId, Notify, OriginalRecipient, Ret, Xtext, decode_xtext};
use crate::futurerelease::{DateTime, Hold, Interval};
use crate::mt_priority::Priority;
use crate::number::decimal;
use mailwright_address::{EmailAddress, ForwardPath, ReversePath};
use std::fmt;

/// The sender of a message: reverse-path and parameters of MAIL.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mail {
    /// Where reports go.
    pub path: ReversePath,
    /// The parameters.
    pub params: MailParams,
}

/// The parameters of MAIL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MailParams {
    /// `SIZE`: how long the message is, in octets with CRLF line ends (RFC 1870 §6.1). A promise, not a fact.
    pub size: Option<u64>,
    /// `BODY`: what octets the message may hold (RFC 6152).
    pub body: Option<BodyType>,
    /// `SMTPUTF8`: addresses or headers may hold UTF-8 (RFC 6531 §3.4).
    pub smtputf8: bool,
    /// `AUTH`: who submitted the message first (RFC 4954 §5).
    pub auth: Option<Submitter>,
    /// `RET`: how much a failure report should hold (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// `ENVID`: the sender's name for this transaction (RFC 3461 §4.4).
    pub envid: Option<EnvelopeId>,
    /// `BY`: when the message should have arrived (RFC 2852 §4).
    pub by: Option<DeliverBy>,
    /// `HOLDFOR` or `HOLDUNTIL`: when the message may be sent (RFC 4865 §4).
    pub hold: Option<Hold>,
    /// `MT-PRIORITY`: how urgent the message is (RFC 6710 §3).
    pub priority: Option<Priority>,
    /// `REQUIRETLS`: the message must travel over verified TLS alone (RFC 8689 §2).
    pub require_tls: bool,
}

/// A recipient of a message: forward-path and parameters of RCPT.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rcpt {
    /// Where the message goes.
    pub path: ForwardPath,
    /// The parameters.
    pub params: RcptParams,
}

/// The parameters of RCPT.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RcptParams {
    /// `NOTIFY`: which reports are wanted (RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// `ORCPT`: the recipient as first written (RFC 3461 §4.2).
    pub orcpt: Option<OriginalRecipient>,
}

/// What octets a message may hold: the values of BODY (RFC 6152 §2, RFC 3030 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BodyType {
    /// ASCII.
    SevenBit,
    /// Lines of any octets.
    EightBitMime,
    /// Any octets, with lines of any length or none at all; only BDAT can carry it (RFC 3030 §3).
    BinaryMime,
}

/// The value of AUTH on MAIL (RFC 4954 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // RFC 4954 §5: a mailbox or <>
pub enum Submitter {
    /// `<>`: not known, or not trusted.
    Unknown,
    /// A mailbox.
    Mailbox(Box<EmailAddress>),
}

impl Mail {
    /// A sender without parameters.
    pub fn new(path: ReversePath) -> Self {
        Self {
            path,
            params: MailParams::default(),
        }
    }

    /// Parses what follows `MAIL FROM:`.
    pub(crate) fn parse(text: &str, extensions: &Extensions) -> Result<Box<Self>, CommandError> {
        let (path, rest) =
            ReversePath::parse_prefix(text.trim_start_matches(' ')).map_err(CommandError::Sender)?;
        let mut mail = Box::new(Self::new(path));
        mail.params.parse(rest, extensions)?;
        if !mail.params.smtputf8 && !mail.path.is_ascii() {
            return Err(CommandError::NonAsciiAddress);
        }
        Ok(mail)
    }
}

impl MailParams {
    fn parse(&mut self, text: &str, extensions: &Extensions) -> Result<(), CommandError> {
        let mut rest = Parameters::new(text)?;
        while let Some((keyword, value)) = rest.next()? {
            let is = |name: &str| keyword.eq_ignore_ascii_case(name);
            match () {
                // RFC 1870 §6: up to 20 digits.
                () if is("SIZE") && extensions.size => {
                    set(&mut self.size, value.and_then(|v| decimal(v, 20)))?;
                }
                () if is("BODY") && extensions.eight_bit_mime => {
                    // RFC 3030 §3: without CHUNKING there is no way to carry it.
                    let binary = extensions.binary_mime && extensions.chunking;
                    let body = value.and_then(BodyType::parse);
                    set(
                        &mut self.body,
                        body.filter(|b| binary || *b != BodyType::BinaryMime),
                    )?;
                }
                () if is("SMTPUTF8") && extensions.smtputf8 => flag(&mut self.smtputf8, value)?,
                () if is("AUTH") && extensions.auth => {
                    set(&mut self.auth, value.and_then(Submitter::parse))?;
                }
                () if is("RET") && extensions.dsn => set(&mut self.ret, value.and_then(Ret::parse))?,
                () if is("ENVID") && extensions.dsn => {
                    set(&mut self.envid, value.and_then(EnvelopeId::parse))?;
                }
                () if is("BY") && extensions.deliver_by => {
                    set(&mut self.by, value.and_then(DeliverBy::parse))?;
                }
                () if is("HOLDFOR") && extensions.future_release => {
                    let interval = value.and_then(Interval::parse);
                    set(&mut self.hold, interval.map(Hold::For))?;
                }
                () if is("HOLDUNTIL") && extensions.future_release => {
                    let moment = value.and_then(DateTime::parse);
                    set(&mut self.hold, moment.map(Hold::Until))?;
                }
                () if is("MT-PRIORITY") && extensions.mt_priority => {
                    set(&mut self.priority, value.and_then(Priority::parse))?;
                }
                () if is("REQUIRETLS") && extensions.require_tls => flag(&mut self.require_tls, value)?,
                () => return Err(CommandError::UnknownParameter),
            }
        }
        Ok(())
    }
}

impl Rcpt {
    /// A recipient without parameters.
    pub fn new(path: ForwardPath) -> Self {
        Self {
            path,
            params: RcptParams::default(),
        }
    }

    /// Parses what follows `RCPT TO:`.
    #[inline(always)]
    pub(crate) fn parse(text: &str, extensions: &Extensions) -> Result<Self, CommandError> {
        let (path, rest) =
            ForwardPath::parse_prefix(text.trim_start_matches(' ')).map_err(CommandError::Recipient)?;
        let params = match rest.is_empty() {
            true => RcptParams::default(),
            false => RcptParams::parse(rest, extensions)?,
        };
        if !extensions.smtputf8 && !path.is_ascii() {
            return Err(CommandError::NonAsciiAddress);
        }
        Ok(Self { path, params })
    }
}

impl RcptParams {
    fn parse(text: &str, extensions: &Extensions) -> Result<Self, CommandError> {
        let (mut params, mut rest) = (Self::default(), Parameters::new(text)?);
        while let Some((keyword, value)) = rest.next()? {
            let is = |name: &str| keyword.eq_ignore_ascii_case(name);
            match () {
                () if is("NOTIFY") && extensions.dsn => {
                    set(&mut params.notify, value.and_then(Notify::parse))?;
                }
                () if is("ORCPT") && extensions.dsn => {
                    set(&mut params.orcpt, value.and_then(OriginalRecipient::parse))?;
                }
                () => return Err(CommandError::UnknownParameter),
            }
        }
        Ok(params)
    }
}

/// What follows `MAIL FROM:`.
impl fmt::Display for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        let params = &self.params;
        if let Some(size) = params.size {
            write!(f, " SIZE={size}")?;
        }
        if let Some(body) = params.body {
            write!(f, " BODY={body}")?;
        }
        if params.smtputf8 {
            f.write_str(" SMTPUTF8")?;
        }
        if let Some(auth) = &params.auth {
            write!(f, " AUTH={auth}")?;
        }
        if let Some(ret) = params.ret {
            write!(f, " RET={ret}")?;
        }
        if let Some(envid) = &params.envid {
            write!(f, " ENVID={envid}")?;
        }
        if let Some(by) = params.by {
            write!(f, " BY={by}")?;
        }
        match params.hold {
            None => {}
            Some(Hold::For(interval)) => write!(f, " HOLDFOR={interval}")?,
            Some(Hold::Until(moment)) => write!(f, " HOLDUNTIL={moment}")?,
        }
        if let Some(priority) = params.priority {
            write!(f, " MT-PRIORITY={priority}")?;
        }
        if params.require_tls {
            f.write_str(" REQUIRETLS")?;
        }
        Ok(())
    }
}

/// What follows `RCPT TO:`.
impl fmt::Display for Rcpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        if let Some(notify) = self.params.notify {
            write!(f, " NOTIFY={notify}")?;
        }
        if let Some(orcpt) = &self.params.orcpt {
            write!(f, " ORCPT={orcpt}")?;
        }
        Ok(())
    }
}

impl BodyType {
    fn parse(value: &str) -> Option<Self> {
        match () {
            () if value.eq_ignore_ascii_case("7BIT") => Some(Self::SevenBit),
            () if value.eq_ignore_ascii_case("8BITMIME") => Some(Self::EightBitMime),
            () if value.eq_ignore_ascii_case("BINARYMIME") => Some(Self::BinaryMime),
            () => None,
        }
    }
}

impl fmt::Display for BodyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SevenBit => "7BIT",
            Self::EightBitMime => "8BITMIME",
            Self::BinaryMime => "BINARYMIME",
        })
    }
}

impl Submitter {
    fn parse(value: &str) -> Option<Self> {
        match decode_xtext(value)?.as_str() {
            "<>" => Some(Self::Unknown),
            mailbox => EmailAddress::parse(mailbox).ok().map(|m| Self::Mailbox(m.into())),
        }
    }
}

/// The encoded form (xtext).
impl fmt::Display for Submitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("<>"),
            Self::Mailbox(address) => Xtext(address.as_str()).fmt(f),
        }
    }
}

/// Sets a parameter that has no value and may stand once.
fn flag(slot: &mut bool, value: Option<&str>) -> Result<(), CommandError> {
    match std::mem::replace(slot, true) || value.is_some() {
        false => Ok(()),
        true => Err(CommandError::Parameter),
    }
}

/// Sets a parameter that must be well-formed and may stand once.
fn set<T>(slot: &mut Option<T>, value: Option<T>) -> Result<(), CommandError> {
    match slot.replace(value.ok_or(CommandError::Parameter)?) {
        None => Ok(()),
        Some(_) => Err(CommandError::Parameter),
    }
}

/// A keyword, and the value behind its `=`.
type Parameter<'a> = (&'a str, Option<&'a str>);

/// What follows a path: `Mail-parameters` of RFC 5321 §4.1.2.
struct Parameters<'a> {
    rest: &'a str,
}

impl<'a> Parameters<'a> {
    fn new(rest: &'a str) -> Result<Self, CommandError> {
        match rest.is_empty() || rest.starts_with(' ') {
            true => Ok(Self { rest }),
            false => Err(CommandError::Arguments),
        }
    }

    #[inline]
    fn next(&mut self) -> Result<Option<Parameter<'a>>, CommandError> {
        let rest = self.rest.trim_start_matches(' ');
        if rest.is_empty() {
            return Ok(None);
        }
        let octets = rest.as_bytes();
        let keyword = octets
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric() || **b == b'-');
        let (keyword, behind) = rest.split_at(keyword.count());
        let (value, rest) = match behind.strip_prefix('=') {
            None => (None, behind),
            Some(value) => {
                let end = memchr::memchr2(b' ', b'=', value.as_bytes()).unwrap_or(value.len());
                (Some(&value[..end]), &value[end..])
            }
        };
        let ends = rest.is_empty() || rest.starts_with(' ');
        if keyword.is_empty() || keyword.starts_with('-') || value == Some("") || !ends {
            return Err(CommandError::Parameter);
        }
        self.rest = rest;
        Ok(Some((keyword, value)))
    }
}
