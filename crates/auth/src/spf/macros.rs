//! Macros ([RFC 7208] §7)
//!
//! [RFC 7208]: https://www.rfc-editor.org/rfc/rfc7208

use core::fmt::{self, Write};
use core::net::IpAddr;

/// A text with macros: a `domain-spec` or an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacroString {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Expand(Macro),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Macro {
    letter: Letter,
    /// Whether the letter is in upper case, which asks for URL escapes.
    escaped: bool,
    /// How many parts from the right are kept; `None` for all.
    keep: Option<u32>,
    reverse: bool,
    delimiters: Box<str>,
}

/// RFC 7208 §7.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Letter {
    Sender,
    LocalPart,
    SenderDomain,
    Domain,
    Ip,
    Validated,
    Version,
    Helo,
    ReadableIp,
    Receiver,
    Time,
}

/// What macros stand for.
#[derive(Debug)]
pub(super) struct Values<'a> {
    pub(super) local_part: &'a str,
    pub(super) sender_domain: &'a str,
    pub(super) domain: &'a str,
    pub(super) helo: &'a str,
    pub(super) client: IpAddr,
    pub(super) validated: &'a str,
    pub(super) receiver: &'a str,
    pub(super) time: u64,
}

impl MacroString {
    /// Reads a text without blanks; `None` if a macro in it is malformed, or is for explanations only.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let parsed = Self::read(text, false)?;
        let for_explanations =
            |m: &Macro| matches!(m.letter, Letter::ReadableIp | Letter::Receiver | Letter::Time);
        let valid = !parsed.macros().any(for_explanations);
        valid.then_some(parsed)
    }

    /// Reads the text of an explanation, in which blanks and all macros may be.
    pub(super) fn parse_explanation(text: &str) -> Option<Self> {
        Self::read(text, true)
    }

    /// Reads a `domain-spec`: one that ends in a macro or in a label that can be at the top of a name.
    pub(super) fn parse_domain(text: &str) -> Option<Self> {
        let parsed = Self::parse(text)?;
        match parsed.parts.last()? {
            Part::Expand(_) => Some(parsed),
            Part::Literal(literal) => {
                let name = literal.strip_suffix('.').unwrap_or(literal);
                let (_, top) = name.rsplit_once('.')?;
                is_top_label(top).then_some(parsed)
            }
        }
    }

    fn read(text: &str, explanation: bool) -> Option<Self> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            if c != '%' {
                let allowed = matches!(c, '!'..='~') || (explanation && c == ' ');
                if !allowed {
                    return None;
                }
                literal.push(c);
                continue;
            }
            let kind = rest.chars().next()?;
            rest = &rest[kind.len_utf8()..];
            match kind {
                '%' => literal.push('%'),
                '_' => literal.push(' '),
                '-' => literal.push_str("%20"),
                '{' => {
                    let (body, after) = rest.split_once('}')?;
                    if !literal.is_empty() {
                        parts.push(Part::Literal(core::mem::take(&mut literal).into()));
                    }
                    parts.push(Part::Expand(Macro::parse(body)?));
                    rest = after;
                }
                _ => return None,
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.into()));
        }
        Some(Self { parts })
    }

    fn macros(&self) -> impl Iterator<Item = &Macro> {
        self.parts.iter().filter_map(|part| match part {
            Part::Expand(expand) => Some(expand),
            Part::Literal(_) => None,
        })
    }

    /// Whether it needs the validated name of the client, which the DNS must be asked for.
    pub(super) fn needs_validated_name(&self) -> bool {
        self.macros().any(|m| m.letter == Letter::Validated)
    }

    /// Whether the local part of the sender is in it.
    pub(super) fn needs_local_part(&self) -> bool {
        self.macros()
            .any(|m| matches!(m.letter, Letter::Sender | Letter::LocalPart))
    }

    pub(super) fn expand(&self, values: &Values<'_>) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => out.push_str(literal),
                Part::Expand(expand) => expand.push(values, &mut out),
            }
        }
        out
    }
}

impl Macro {
    /// What stands between the braces.
    fn parse(body: &str) -> Option<Self> {
        let first = body.chars().next()?;
        let letter = match first.to_ascii_lowercase() {
            's' => Letter::Sender,
            'l' => Letter::LocalPart,
            'o' => Letter::SenderDomain,
            'd' => Letter::Domain,
            'i' => Letter::Ip,
            'p' => Letter::Validated,
            'v' => Letter::Version,
            'h' => Letter::Helo,
            'c' => Letter::ReadableIp,
            'r' => Letter::Receiver,
            't' => Letter::Time,
            _ => return None,
        };
        let rest = &body[1..];
        let after_digits = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = &rest[..rest.len() - after_digits.len()];
        let keep = match digits {
            "" => None,
            // More than a name can have keeps everything.
            _ => Some(digits.parse().unwrap_or(u32::MAX)).filter(|keep| *keep > 0),
        };
        if keep.is_none() && !digits.is_empty() {
            return None;
        }
        let delimiters = after_digits.strip_prefix(['r', 'R']);
        let reverse = delimiters.is_some();
        let delimiters = delimiters.unwrap_or(after_digits);
        if !delimiters.chars().all(|c| ".-+,/_=".contains(c)) {
            return None;
        }
        Some(Self {
            letter,
            escaped: first.is_ascii_uppercase(),
            keep,
            reverse,
            delimiters: delimiters.into(),
        })
    }

    fn push(&self, values: &Values<'_>, out: &mut String) {
        let value = self.letter.value(values);
        let delimiters = if self.delimiters.is_empty() {
            "."
        } else {
            &*self.delimiters
        };
        let mut parts: Vec<&str> = value.split(|c| delimiters.contains(c)).collect();
        if self.reverse {
            parts.reverse();
        }
        let keep = self.keep.map_or(parts.len(), |keep| keep as usize);
        let kept = &parts[parts.len().saturating_sub(keep)..];
        for (place, part) in kept.iter().enumerate() {
            if place > 0 {
                out.push('.');
            }
            if self.escaped {
                push_escaped(part, out);
            } else {
                out.push_str(part);
            }
        }
    }
}

impl Letter {
    fn value(self, values: &Values<'_>) -> String {
        match self {
            Self::Sender => format!("{}@{}", values.local_part, values.sender_domain),
            Self::LocalPart => values.local_part.to_owned(),
            Self::SenderDomain => values.sender_domain.to_owned(),
            Self::Domain => values.domain.to_owned(),
            Self::Ip => dotted(values.client),
            Self::Validated => values.validated.to_owned(),
            Self::Version if values.client.is_ipv4() => "in-addr".to_owned(),
            Self::Version => "ip6".to_owned(),
            Self::Helo => values.helo.to_owned(),
            Self::ReadableIp => values.client.to_string(),
            Self::Receiver => values.receiver.to_owned(),
            Self::Time => values.time.to_string(),
        }
    }

    fn symbol(self) -> char {
        match self {
            Self::Sender => 's',
            Self::LocalPart => 'l',
            Self::SenderDomain => 'o',
            Self::Domain => 'd',
            Self::Ip => 'i',
            Self::Validated => 'p',
            Self::Version => 'v',
            Self::Helo => 'h',
            Self::ReadableIp => 'c',
            Self::Receiver => 'r',
            Self::Time => 't',
        }
    }
}

/// Prints the text as it would stand in a record.
impl fmt::Display for MacroString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Literal(literal) => {
                    for c in literal.chars() {
                        match c {
                            '%' => f.write_str("%%")?,
                            ' ' => f.write_str("%_")?,
                            c => f.write_char(c)?,
                        }
                    }
                }
                Part::Expand(expand) => expand.fmt(f)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Macro {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let symbol = self.letter.symbol();
        f.write_str("%{")?;
        f.write_char(if self.escaped {
            symbol.to_ascii_uppercase()
        } else {
            symbol
        })?;
        if let Some(keep) = self.keep {
            write!(f, "{keep}")?;
        }
        if self.reverse {
            f.write_char('r')?;
        }
        write!(f, "{}}}", self.delimiters)
    }
}

/// RFC 7208 §7.3: nibbles with dots for IPv6.
fn dotted(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let mut out = String::with_capacity(63);
            for octet in address.octets() {
                for nibble in [octet >> 4, octet & 0x0f] {
                    if !out.is_empty() {
                        out.push('.');
                    }
                    out.push(char::from(b"0123456789ABCDEF"[usize::from(nibble)]));
                }
            }
            out
        }
    }
}

/// RFC 3986 §2.3: all but the unreserved characters.
fn push_escaped(text: &str, out: &mut String) {
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(octet));
        } else {
            write!(out, "%{octet:02X}").expect("a String takes everything");
        }
    }
}

/// RFC 7208 §7.1, `toplabel`: letters, digits and hyphens, not digits alone.
fn is_top_label(label: &str) -> bool {
    let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    inner
        && !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && !label.bytes().all(|b| b.is_ascii_digit())
}
