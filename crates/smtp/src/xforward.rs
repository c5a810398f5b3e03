//! XFORWARD: a content filter tells, for logs, where a message came from (Postfix, XFORWARD_README)

use crate::xclient::{Attribute, Printer, Text, address, attributes, port, print_address, set};
use core::net::IpAddr;
use std::fmt;

/// The attributes of XFORWARD: `None` for what the command did not name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Xforward {
    /// `NAME`: the client's name from the DNS.
    pub name: Option<Attribute<Text>>,
    /// `ADDR`: the client's address.
    pub addr: Option<Attribute<IpAddr>>,
    /// `PORT`: the client's port.
    pub port: Option<Attribute<u16>>,
    /// `PROTO`: the protocol that the message came by.
    pub proto: Option<Attribute<Text>>,
    /// `HELO`: how the client introduced itself.
    pub helo: Option<Attribute<Text>>,
    /// `IDENT`: what the server before the filter calls the message.
    pub ident: Option<Attribute<Text>>,
    /// `SOURCE`: whether the message came from the network.
    pub source: Option<Attribute<Source>>,
}

/// Where a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // XFORWARD_README has two
pub enum Source {
    /// From the filter's own system.
    Local,
    /// From the network.
    Remote,
}

impl Source {
    fn parse(text: &str) -> Option<Self> {
        match () {
            () if text.eq_ignore_ascii_case("LOCAL") => Some(Self::Local),
            () if text.eq_ignore_ascii_case("REMOTE") => Some(Self::Remote),
            () => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "LOCAL",
            Self::Remote => "REMOTE",
        })
    }
}

impl Xforward {
    /// The names of all attributes, as the reply to EHLO tells them.
    pub const ATTRIBUTES: &str = "NAME ADDR PORT PROTO HELO IDENT SOURCE";

    /// Parses what follows `XFORWARD `: at least one attribute, each once.
    pub(crate) fn parse(args: &str) -> Option<Self> {
        let mut this = Self::default();
        for (name, value) in attributes(args)? {
            let value = value.as_str();
            match name {
                _ if name.eq_ignore_ascii_case("NAME") => set(&mut this.name, value, Text::new)?,
                _ if name.eq_ignore_ascii_case("ADDR") => set(&mut this.addr, value, address)?,
                _ if name.eq_ignore_ascii_case("PORT") => set(&mut this.port, value, port)?,
                _ if name.eq_ignore_ascii_case("PROTO") => set(&mut this.proto, value, Text::new)?,
                _ if name.eq_ignore_ascii_case("HELO") => set(&mut this.helo, value, Text::new)?,
                _ if name.eq_ignore_ascii_case("IDENT") => set(&mut this.ident, value, Text::new)?,
                _ if name.eq_ignore_ascii_case("SOURCE") => set(&mut this.source, value, Source::parse)?,
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
            ident,
            source,
        } = later;
        self.name = name.or(self.name.take());
        self.addr = addr.or(self.addr.take());
        self.port = port.or(self.port.take());
        self.proto = proto.or(self.proto.take());
        self.helo = helo.or(self.helo.take());
        self.ident = ident.or(self.ident.take());
        self.source = source.or(self.source.take());
    }
}

/// What follows `XFORWARD `.
impl fmt::Display for Xforward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = Printer::new(f);
        list.put("NAME", self.name.as_ref())?;
        list.put("ADDR", self.addr.as_ref().map(print_address).as_ref())?;
        list.put("PORT", self.port.as_ref())?;
        list.put("PROTO", self.proto.as_ref())?;
        list.put("HELO", self.helo.as_ref())?;
        list.put("IDENT", self.ident.as_ref())?;
        list.put("SOURCE", self.source.as_ref())
    }
}
