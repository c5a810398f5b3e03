//! Domain names ([RFC 1035] §3.1, [RFC 5891])
//!
//! [RFC 1035]: https://www.rfc-editor.org/rfc/rfc1035
//! [RFC 5891]: https://www.rfc-editor.org/rfc/rfc5891

use crate::Error;
use core::cmp::Ordering;
use core::fmt::{self, Write};
use core::hash::{Hash, Hasher};
use core::net::IpAddr;
use core::str::FromStr;
use mailwright_address::Domain;
use std::sync::Arc;

/// A fully qualified domain name.
///
/// Compared without regard to ASCII case, printed as it was written. There are no relative names: `example.org` and
/// `example.org.` are the same. Cloning is cheap.
#[derive(Clone)]
pub struct Name {
    /// Length-prefixed labels without the root label. Length octets are at most 63, so they are never letters.
    wire: Arc<[u8]>,
}

impl Name {
    /// Returns the root, `.`.
    pub fn root() -> Self {
        Self { wire: Arc::from([]) }
    }

    /// Parses a name, with or without its last dot.
    ///
    /// U-labels become A-labels (RFC 5891). `\.` and `\DDD` are understood as in zone files (RFC 1035 §5.1).
    ///
    /// # Errors
    ///
    /// Whatever [`Error`] lists.
    ///
    /// ```
    /// use mailwright_dns::Name;
    ///
    /// assert_eq!(Name::parse("Example.ORG.")?, Name::parse("example.org")?);
    /// assert_eq!(Name::parse("bücher.example")?.to_string(), "xn--bcher-kva.example");
    /// # Ok::<(), mailwright_dns::Error>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text == "." {
            return Ok(Self::root());
        }
        Ok(Self {
            wire: parse_labels(text)?.into(),
        })
    }

    /// Returns the name under which the PTR records of an address stand (RFC 1035 §3.5, RFC 3596 §2.5).
    pub fn reverse(address: IpAddr) -> Self {
        let mut wire = Vec::with_capacity(74);
        match address {
            IpAddr::V4(address) => {
                for octet in address.octets().iter().rev() {
                    let label = octet.to_string();
                    wire.push(u8::try_from(label.len()).expect("at most three digits"));
                    wire.extend_from_slice(label.as_bytes());
                }
                wire.extend_from_slice(b"\x07in-addr\x04arpa");
            }
            IpAddr::V6(address) => {
                for octet in address.octets().iter().rev() {
                    for nibble in [octet & 0x0f, octet >> 4] {
                        wire.extend_from_slice(&[1, b"0123456789abcdef"[usize::from(nibble)]]);
                    }
                }
                wire.extend_from_slice(b"\x03ip6\x04arpa");
            }
        }
        Self { wire: wire.into() }
    }

    /// Returns the name with the labels of `prefix` put before it: `_25._tcp` for TLSA, `_dmarc`, `sel._domainkey`.
    ///
    /// # Errors
    ///
    /// Those of [`parse`](Self::parse), and [`Error::NameTooLong`] if the two together are too long.
    pub fn with_prefix(&self, prefix: &str) -> Result<Self, Error> {
        let mut wire = parse_labels(prefix)?;
        wire.extend_from_slice(&self.wire);
        if wire.len() > MAX_OCTETS {
            return Err(Error::NameTooLong);
        }
        Ok(Self { wire: wire.into() })
    }

    /// Returns the name without its first label; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let first = usize::from(*self.wire.first()?);
        Some(Self {
            wire: self.wire[1 + first..].into(),
        })
    }

    /// Tells whether this is the root.
    pub fn is_root(&self) -> bool {
        self.wire.is_empty()
    }

    /// Tells whether the name is `ancestor` or stands below it.
    pub fn is_within(&self, ancestor: &Self) -> bool {
        let mut rest = &self.wire[..];
        loop {
            if rest.len() <= ancestor.wire.len() {
                return rest.eq_ignore_ascii_case(&ancestor.wire);
            }
            rest = &rest[1 + usize::from(rest[0])..];
        }
    }

    /// Iterates over the labels, first to last, without the root's.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.wire[..];
        core::iter::from_fn(move || {
            let (&length, tail) = rest.split_first()?;
            let (label, tail) = tail.split_at(usize::from(length));
            rest = tail;
            Some(label)
        })
    }

    /// Tells whether both names are the same octet by octet, case included.
    pub(crate) fn eq_exact(&self, other: &Self) -> bool {
        self.wire == other.wire
    }

    /// Returns the name with each letter's case chosen by one bit of `bits`, used in turn.
    pub(crate) fn with_case(&self, bits: &[u8]) -> Self {
        let mut wire = self.wire.to_vec();
        for (i, octet) in wire.iter_mut().enumerate() {
            if octet.is_ascii_alphabetic() {
                let upper = bits[(i / 8) % bits.len()] >> (i % 8) & 1 == 1;
                *octet = if upper {
                    octet.to_ascii_uppercase()
                } else {
                    octet.to_ascii_lowercase()
                };
            }
        }
        Self { wire: wire.into() }
    }

    /// Builds a name from the labels of a decoded message.
    pub(crate) fn from_labels<'a>(labels: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut wire = Vec::with_capacity(64);
        for label in labels {
            if label.is_empty() || label.len() > MAX_LABEL {
                return None;
            }
            wire.push(u8::try_from(label.len()).ok()?);
            wire.extend_from_slice(label);
        }
        (wire.len() <= MAX_OCTETS).then(|| Self { wire: wire.into() })
    }

    /// Octets of memory the name holds.
    pub(crate) fn weight(&self) -> usize {
        self.wire.len()
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl TryFrom<&Domain> for Name {
    type Error = Error;

    fn try_from(domain: &Domain) -> Result<Self, Error> {
        Self::parse(domain.as_str())
    }
}

/// Prints the name without its last dot, the root as `.`, and everything but visible ASCII escaped.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_char('.');
        }
        for (i, label) in self.labels().enumerate() {
            if i > 0 {
                f.write_char('.')?;
            }
            for &octet in label {
                match octet {
                    b'.' | b'\\' => write!(f, "\\{}", char::from(octet))?,
                    0x21..=0x7e => f.write_char(char::from(octet))?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.wire.eq_ignore_ascii_case(&other.wire)
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // A hasher costs by the call more than by the octet.
        for piece in self.wire.chunks(64) {
            let mut lower = [0; 64];
            let lower = &mut lower[..piece.len()];
            lower.copy_from_slice(piece);
            lower.make_ascii_lowercase();
            state.write(lower);
        }
        // Ends the name, so that neighbours in a tuple cannot run into it: no length octet is this large.
        state.write_u8(0xff);
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        let lower = |name: &Self| name.wire.to_ascii_lowercase();
        lower(self).cmp(&lower(other))
    }
}

fn parse_labels(text: &str) -> Result<Vec<u8>, Error> {
    let mut wire = Vec::with_capacity(text.len() + 1);
    let mut label = Vec::with_capacity(MAX_LABEL);
    let mut unicode = false;
    let mut chars = text.chars();
    loop {
        match chars.next() {
            Some('\\') => label.push(unescape(&mut chars)?),
            Some(c) if !FULL_STOPS.contains(&c) => {
                if c.is_control() || c.is_whitespace() {
                    return Err(Error::BadCharacter);
                }
                unicode |= !c.is_ascii();
                label.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            // The dot at the end of a name.
            None if label.is_empty() && !wire.is_empty() => return Ok(wire),
            end => {
                if unicode {
                    label = to_a_label(core::str::from_utf8(&label).map_err(|_| Error::BadEscape)?)?;
                    unicode = false;
                }
                push_label(&mut wire, &label)?;
                label.clear();
                if end.is_none() {
                    return Ok(wire);
                }
            }
        }
        // A U-label may be longer than its A-label, but not by more than this.
        if label.len() > 4 * MAX_LABEL {
            return Err(Error::LabelTooLong);
        }
    }
}

fn unescape(chars: &mut core::str::Chars<'_>) -> Result<u8, Error> {
    let first = chars.next().ok_or(Error::BadEscape)?;
    if !first.is_ascii_digit() {
        return u8::try_from(first)
            .ok()
            .filter(u8::is_ascii_graphic)
            .ok_or(Error::BadEscape);
    }
    let mut value = 0;
    for digit in [Some(first), chars.next(), chars.next()] {
        let digit = digit.and_then(|c| c.to_digit(10)).ok_or(Error::BadEscape)?;
        value = value * 10 + digit;
    }
    u8::try_from(value).map_err(|_| Error::BadEscape)
}

fn push_label(wire: &mut Vec<u8>, label: &[u8]) -> Result<(), Error> {
    if label.is_empty() {
        return Err(Error::EmptyLabel);
    }
    if label.len() > MAX_LABEL {
        return Err(Error::LabelTooLong);
    }
    if wire.len() + 1 + label.len() > MAX_OCTETS {
        return Err(Error::NameTooLong);
    }
    wire.push(u8::try_from(label.len()).expect("checked against MAX_LABEL"));
    wire.extend_from_slice(label);
    Ok(())
}

fn to_a_label(text: &str) -> Result<Vec<u8>, Error> {
    let name = hickory_proto::rr::Name::from_utf8(text).map_err(|_| Error::Idna)?;
    let mut labels = name.iter();
    match (labels.next(), labels.next()) {
        (Some(label), None) if !label.contains(&b'.') => Ok(label.to_vec()),
        _ => Err(Error::Idna),
    }
}

/// RFC 1035 §2.3.4.
const MAX_LABEL: usize = 63;
/// RFC 1035 §2.3.4 allows 255 octets with the root label.
const MAX_OCTETS: usize = 254;
/// The dots that IDNA takes for label separators (RFC 3490 §3.1).
const FULL_STOPS: [char; 4] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];
