//! DSN: what an envelope asks of delivery reports (RFC 3461)

use std::fmt;

/// RET: how much of the message a failure report should hold (RFC 3461 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // RFC 3461 §4.3 has two
pub enum Ret {
    /// The whole message.
    Full,
    /// The headers.
    Hdrs,
}

impl Ret {
    pub(crate) fn parse(value: &str) -> Option<Self> {
        match () {
            () if value.eq_ignore_ascii_case("FULL") => Some(Self::Full),
            () if value.eq_ignore_ascii_case("HDRS") => Some(Self::Hdrs),
            () => None,
        }
    }
}

impl fmt::Display for Ret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "FULL",
            Self::Hdrs => "HDRS",
        })
    }
}

/// ENVID: the sender's name for a transaction, up to 100 octets of it on the wire (RFC 3461 §4.4).
///
/// Holds printable ASCII and spaces only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EnvelopeId(Box<str>);

impl EnvelopeId {
    /// Octets on the wire that RFC 3461 §5.4 promises to carry.
    pub const MAX_ENCODED: usize = 100;

    /// Makes one; `None` if it is empty, too long when encoded, or holds anything but printable ASCII.
    pub fn new(id: &str) -> Option<Self> {
        let printable = id.bytes().all(|b| (0x20..0x7f).contains(&b));
        let fits = (1..=Self::MAX_ENCODED).contains(&Xtext(id).encoded_len());
        (printable && fits).then(|| Self(id.into()))
    }

    pub(crate) fn parse(value: &str) -> Option<Self> {
        Self::new(&decode_xtext(value)?)
    }

    /// The decoded text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The encoded form (xtext).
impl fmt::Display for EnvelopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Xtext(&self.0).fmt(f)
    }
}

/// NOTIFY: which reports a recipient should cause (RFC 3461 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // RFC 3461 §4.1: NEVER or a list of the other three
pub enum Notify {
    /// `NEVER`.
    Never,
    /// A list; at least one is set when it was parsed.
    On {
        /// `SUCCESS`.
        success: bool,
        /// `FAILURE`.
        failure: bool,
        /// `DELAY`.
        delay: bool,
    },
}

impl Notify {
    pub(crate) fn parse(value: &str) -> Option<Self> {
        if value.eq_ignore_ascii_case("NEVER") {
            return Some(Self::Never);
        }
        let (mut success, mut failure, mut delay) = (false, false, false);
        for word in value.split(',') {
            let seen = match () {
                () if word.eq_ignore_ascii_case("SUCCESS") => &mut success,
                () if word.eq_ignore_ascii_case("FAILURE") => &mut failure,
                () if word.eq_ignore_ascii_case("DELAY") => &mut delay,
                () => return None,
            };
            if std::mem::replace(seen, true) {
                return None;
            }
        }
        Some(Self::On {
            success,
            failure,
            delay,
        })
    }
}

/// An empty list prints as `NEVER`.
impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::On {
            success,
            failure,
            delay,
        } = *self
        else {
            return f.write_str("NEVER");
        };
        let words = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
        let mut words = words.iter().filter(|w| w.0).map(|w| w.1);
        f.write_str(words.next().unwrap_or("NEVER"))?;
        words.try_for_each(|word| write!(f, ",{word}"))
    }
}

/// ORCPT: the recipient as the sender first wrote it (RFC 3461 §4.2, RFC 6533 §3).
///
/// Holds no control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OriginalRecipient {
    /// Type and address, with a semicolon in between.
    text: Box<str>,
}

impl OriginalRecipient {
    /// Octets on the wire that RFC 3461 §5.4 promises to carry.
    pub const MAX_ENCODED: usize = 500;

    /// Makes one from an address type (an atom such as `rfc822` or `utf-8`) and an address as it is, not
    /// encoded. `None` if either cannot be carried.
    pub fn new(address_type: &str, address: &str) -> Option<Self> {
        let unicode = address_type.eq_ignore_ascii_case(UTF8);
        Self::decoded(address_type, address).filter(|_| address.is_ascii() || unicode)
    }

    fn decoded(address_type: &str, address: &str) -> Option<Self> {
        let atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*-/?^_`{|}~".contains(&b);
        let valid = !address_type.is_empty()
            && address_type.bytes().all(atom)
            && !address.is_empty()
            && !address.chars().any(char::is_control);
        let this = Self {
            text: format!("{address_type};{address}").into(),
        };
        (valid && this.to_string().len() <= Self::MAX_ENCODED).then_some(this)
    }

    pub(crate) fn parse(value: &str) -> Option<Self> {
        let (address_type, encoded) = value.split_once(';')?;
        let address = if address_type.eq_ignore_ascii_case(UTF8) {
            decode_utf8_xtext(encoded)?
        } else {
            decode_xtext(encoded)?
        };
        // RFC 6533 §3 has the type utf-8 for addresses that are not ASCII. Postfix calls them rfc822 all the same.
        Self::decoded(address_type, &address)
    }

    /// The type of the address: `rfc822`, `utf-8` or another registered one.
    pub fn address_type(&self) -> &str {
        self.halves().0
    }

    /// The decoded address.
    pub fn address(&self) -> &str {
        self.halves().1
    }

    fn halves(&self) -> (&str, &str) {
        let halves = self.text.split_once(';');
        halves.expect("a semicolon stands between type and address, and none in the type")
    }
}

/// The encoded form, ASCII only.
impl fmt::Display for OriginalRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address_type, address) = self.halves();
        write!(f, "{address_type};")?;
        if !address_type.eq_ignore_ascii_case(UTF8) {
            return Xtext(address).fmt(f);
        }
        address.chars().try_for_each(|c| match c {
            '\\' | '+' | '=' | ' ' => write!(f, "\\x{{{:02X}}}", c as u32),
            c if c.is_ascii() => write!(f, "{c}"),
            c => write!(f, "\\x{{{:X}}}", c as u32),
        })
    }
}

const UTF8: &str = "utf-8";

/// Prints text in the xtext encoding of RFC 3461 §4.
pub(crate) struct Xtext<'a>(pub(crate) &'a str);

impl Xtext<'_> {
    fn plain(b: u8) -> bool {
        (0x21..=0x7e).contains(&b) && b != b'+' && b != b'='
    }

    fn encoded_len(&self) -> usize {
        self.0.bytes().map(|b| if Self::plain(b) { 1 } else { 3 }).sum()
    }
}

impl fmt::Display for Xtext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.bytes().try_for_each(|b| {
            if Self::plain(b) {
                write!(f, "{}", b as char)
            } else {
                write!(f, "+{b:02X}")
            }
        })
    }
}

/// Decodes xtext; `None` if it is malformed or does not decode to UTF-8 without control characters.
pub(crate) fn decode_xtext(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&b, tail)) = rest.split_first() {
        rest = tail;
        match b {
            b'+' => {
                let (hex, tail) = rest.split_at_checked(2)?;
                // RFC 3461 §4: upper-case digits; many send the others.
                let digit = |b: u8| (b as char).to_digit(16);
                out.push((digit(hex[0])? * 16 + digit(hex[1])?) as u8);
                rest = tail;
            }
            b if Xtext::plain(b) => out.push(b),
            _ => return None,
        }
    }
    String::from_utf8(out)
        .ok()
        .filter(|text| !text.chars().any(char::is_control))
}

/// Decodes utf-8-addr-xtext and utf-8-addr-unitext (RFC 6533 §3).
fn decode_utf8_xtext(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let (hex, tail) = rest.strip_prefix("x{")?.split_once('}')?;
                let digits = (1..=6).contains(&hex.len()) && hex.bytes().all(|b| b.is_ascii_hexdigit());
                out.push(char::from_u32(
                    u32::from_str_radix(hex, 16).ok().filter(|_| digits)?,
                )?);
                rest = tail;
            }
            '+' | '=' | ' ' => return None,
            c => out.push(c),
        }
    }
    (!out.chars().any(char::is_control)).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3461_examples() {
        let id = EnvelopeId::parse("QQ314159").unwrap();
        assert_eq!((id.as_str(), id.to_string().as_str()), ("QQ314159", "QQ314159"));
        let original = OriginalRecipient::parse("rfc822;Bob@Example.COM").unwrap();
        assert_eq!(original.address_type(), "rfc822");
        assert_eq!(original.address(), "Bob@Example.COM");
        assert_eq!(
            Notify::parse("success,Failure").unwrap().to_string(),
            "SUCCESS,FAILURE"
        );
        assert_eq!(Notify::parse("NEVER"), Some(Notify::Never));
        for wrong in ["", "NEVER,DELAY", "SUCCESS,SUCCESS", "SUCCESS,", "OFTEN"] {
            assert_eq!(Notify::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn xtext_both_ways() {
        let original = OriginalRecipient::new("rfc822", "a+b=c d@x").unwrap();
        assert_eq!(original.to_string(), "rfc822;a+2Bb+3Dc+20d@x");
        assert_eq!(OriginalRecipient::parse(&original.to_string()), Some(original));
        for wrong in [
            "rfc822;",
            ";a",
            "rfc822",
            "rfc822;a+2",
            "rfc822;a+0D+0ARCPT",
            "rfc822;a+FF",
            "rfc822;a=b",
            "rfc822;a+\u{e9}0",
        ] {
            assert_eq!(OriginalRecipient::parse(wrong), None, "{wrong}");
        }
        assert_eq!(EnvelopeId::new(&"x".repeat(101)), None);
        assert_eq!(EnvelopeId::new(&"+".repeat(34)), None);
    }

    #[test]
    fn utf8_addresses_of_postfix() {
        let original = OriginalRecipient::parse("rfc822;b+C3+BCcher@x.example").unwrap();
        assert_eq!(original.address(), "b\u{fc}cher@x.example");
        assert_eq!(original.to_string(), "rfc822;b+C3+BCcher@x.example");
        assert_eq!(OriginalRecipient::new("rfc822", "b\u{fc}cher@x.example"), None);
        for wrong in [
            "rfc822;b\u{fc}cher@x.example",
            "rfc822;b+FCcher@x.example",
            "rfc822;b+C2+85@x.example",
        ] {
            assert_eq!(OriginalRecipient::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn utf8_addresses_of_rfc_6533() {
        let original = OriginalRecipient::parse("utf-8;b\\x{FC}cher\\x{2B}x@x.example").unwrap();
        assert_eq!(original.address(), "b\u{fc}cher+x@x.example");
        assert_eq!(original.to_string(), "utf-8;b\\x{FC}cher\\x{2B}x@x.example");
        assert_eq!(
            OriginalRecipient::parse("utf-8;b\u{fc}cher\\x{2B}x@x.example").as_ref(),
            Some(&original)
        );
        for wrong in [
            "utf-8;a\\x{0A}b",
            "utf-8;a\\x{D800}",
            "utf-8;a\\x{+41}",
            "utf-8;a\\x41",
            "utf-8;a\\",
        ] {
            assert_eq!(OriginalRecipient::parse(wrong), None, "{wrong}");
        }
    }
}
