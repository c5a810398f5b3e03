//! XCLIENT: a proxy tells for whom it speaks (Postfix, XCLIENT_README)

use crate::dsn::{Xtext, decode_xtext};
use crate::number::decimal;
use core::net::IpAddr;
use std::fmt;

/// The attributes of XCLIENT: `None` for what the command did not name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Xclient {
    /// `NAME`: the client's name from the DNS.
    pub name: Option<Attribute<Text>>,
    /// `ADDR`: the client's address.
    pub addr: Option<Attribute<IpAddr>>,
    /// `PORT`: the client's port.
    pub port: Option<Attribute<u16>>,
    /// `PROTO`: what the client speaks.
    pub proto: Option<Attribute<Proto>>,
    /// `HELO`: how the client introduced itself.
    pub helo: Option<Attribute<Text>>,
    /// `LOGIN`: as whom the client authenticated itself.
    pub login: Option<Attribute<Text>>,
    /// `DESTADDR`: the address that the client connected to.
    pub dest_addr: Option<Attribute<IpAddr>>,
    /// `DESTPORT`: the port that the client connected to.
    pub dest_port: Option<Attribute<u16>>,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // XCLIENT_README has these
pub enum Attribute<T> {
    /// It is known.
    Known(T),
    /// `[UNAVAILABLE]`: there is none, or nobody knows it.
    Unavailable,
    /// `[TEMPUNAVAIL]`: it could not be found out this time.
    TempUnavailable,
}

impl<T> Attribute<T> {
    /// The value, if it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unavailable | Self::TempUnavailable => None,
        }
    }

    /// Reads a decoded value.
    pub(crate) fn parse(text: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Self> {
        match text {
            _ if text.eq_ignore_ascii_case("[UNAVAILABLE]") => Some(Self::Unavailable),
            _ if text.eq_ignore_ascii_case("[TEMPUNAVAIL]") => Some(Self::TempUnavailable),
            text => read(text).map(Self::Known),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Attribute<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(value) => value.fmt(f),
            Self::Unavailable => f.write_str("[UNAVAILABLE]"),
            Self::TempUnavailable => f.write_str("[TEMPUNAVAIL]"),
        }
    }
}

/// A text of 1 to 255 octets without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Text(Box<str>);

impl Text {
    /// Makes one; `None` if it is empty, too long, or holds a control character.
    pub fn new(text: &str) -> Option<Self> {
        let valid = (1..=255).contains(&text.len()) && !text.chars().any(char::is_control);
        valid.then(|| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the client of a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // XCLIENT_README has two
pub enum Proto {
    /// It said HELO.
    Smtp,
    /// It said EHLO.
    Esmtp,
}

impl Proto {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match () {
            () if text.eq_ignore_ascii_case("SMTP") => Some(Self::Smtp),
            () if text.eq_ignore_ascii_case("ESMTP") => Some(Self::Esmtp),
            () => None,
        }
    }
}

impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Smtp => "SMTP",
            Self::Esmtp => "ESMTP",
        })
    }
}

impl Xclient {
    /// The names of all attributes, as the reply to EHLO tells them.
    pub const ATTRIBUTES: &str = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";

    /// Parses what follows `XCLIENT `: at least one attribute, each once.
    pub(crate) fn parse(args: &str) -> Option<Self> {
        let mut this = Self::default();
        for (name, value) in attributes(args)? {
            let value = value.as_str();
            match name {
                _ if name.eq_ignore_ascii_case("NAME") => set(&mut this.name, value, Text::new)?,
                _ if name.eq_ignore_ascii_case("ADDR") => set(&mut this.addr, value, address)?,
                _ if name.eq_ignore_ascii_case("PORT") => set(&mut this.port, value, port)?,
                _ if name.eq_ignore_ascii_case("PROTO") => set(&mut this.proto, value, Proto::parse)?,
                _ if name.eq_ignore_ascii_case("HELO") => set(&mut this.helo, value, Text::new)?,
                _ if name.eq_ignore_ascii_case("LOGIN") => set(&mut this.login, value, Text::new)?,
                _ if name.eq_ignore_ascii_case("DESTADDR") => set(&mut this.dest_addr, value, address)?,
                _ if name.eq_ignore_ascii_case("DESTPORT") => set(&mut this.dest_port, value, port)?,
                _ => return None,
            }
        }
        Some(this)
    }

    /// Takes over what a later command named.
    pub fn update(&mut self, later: Self) {
        let Self {
            name,
            addr,
            port,
            proto,
            helo,
            login,
            dest_addr,
            dest_port,
        } = later;
        self.name = name.or(self.name.take());
        self.addr = addr.or(self.addr.take());
        self.port = port.or(self.port.take());
        self.proto = proto.or(self.proto.take());
        self.helo = helo.or(self.helo.take());
        self.login = login.or(self.login.take());
        self.dest_addr = dest_addr.or(self.dest_addr.take());
        self.dest_port = dest_port.or(self.dest_port.take());
    }
}

/// What follows `XCLIENT `.
impl fmt::Display for Xclient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = Printer::new(f);
        list.put("NAME", self.name.as_ref())?;
        list.put("ADDR", self.addr.as_ref().map(print_address).as_ref())?;
        list.put("PORT", self.port.as_ref())?;
        list.put("PROTO", self.proto.as_ref())?;
        list.put("HELO", self.helo.as_ref())?;
        list.put("LOGIN", self.login.as_ref())?;
        list.put("DESTADDR", self.dest_addr.as_ref().map(print_address).as_ref())?;
        list.put("DESTPORT", self.dest_port.as_ref())
    }
}

/// Splits attributes into names and decoded values; `None` if there is none, or if one is malformed.
pub(crate) fn attributes(args: &str) -> Option<Vec<(&str, String)>> {
    let list: Option<Vec<_>> = (args.split(' ').filter(|a| !a.is_empty()))
        .map(|attribute| {
            let (name, value) = attribute.split_once('=')?;
            Some((name, decode_xtext(value)?))
        })
        .collect();
    list.filter(|list| !list.is_empty())
}

/// Sets an attribute that may stand once.
pub(crate) fn set<T>(
    slot: &mut Option<Attribute<T>>,
    value: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Option<()> {
    let value = Attribute::parse(value, read)?;
    slot.replace(value).is_none().then_some(())
}

/// `192.0.2.1` or `IPV6:2001:db8::1`.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    match text.split_at_checked(5) {
        Some((tag, rest)) if tag.eq_ignore_ascii_case("IPV6:") => rest.parse().ok().map(IpAddr::V6),
        _ => text.parse().ok().map(IpAddr::V4),
    }
}

pub(crate) fn port(text: &str) -> Option<u16> {
    u16::try_from(decimal(text, 5)?).ok()
}

pub(crate) fn print_address(address: &Attribute<IpAddr>) -> Attribute<String> {
    match address {
        Attribute::Known(IpAddr::V4(v4)) => Attribute::Known(v4.to_string()),
        Attribute::Known(IpAddr::V6(v6)) => Attribute::Known(format!("IPV6:{v6}")),
        Attribute::Unavailable => Attribute::Unavailable,
        Attribute::TempUnavailable => Attribute::TempUnavailable,
    }
}

/// Prints attributes with spaces in between.
pub(crate) struct Printer<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    gap: &'static str,
}

impl<'a, 'b> Printer<'a, 'b> {
    pub(crate) fn new(out: &'a mut fmt::Formatter<'b>) -> Self {
        Self { out, gap: "" }
    }

    pub(crate) fn put(&mut self, name: &str, value: Option<&impl fmt::Display>) -> fmt::Result {
        let Some(value) = value else {
            return Ok(());
        };
        let value = value.to_string();
        write!(self.out, "{}{name}={}", self.gap, Xtext(&value))?;
        self.gap = " ";
        Ok(())
    }
}
