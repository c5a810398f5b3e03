//! The PROXY protocol, versions 1 and 2: who is behind a load balancer (HAProxy, proxy-protocol.txt)
//!
//! The header stands ahead of everything else, also of TLS. [`Header::decode`] says how many octets of it are
//! still to come and never asks for one behind it, so that what follows stays in the transport.

use crate::number::decimal;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Which versions are taken. There is no way to tell a header from other input for sure, so a listener that
/// takes headers takes nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // there are two versions
pub enum Versions {
    /// Both.
    Any,
    /// The text header alone.
    V1,
    /// The binary header alone.
    V2,
}

/// What a proxy says of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// Source and destination of the connection to the proxy. `None` if it does not say, or if it opened this
    /// connection on its own, for a health check: the addresses of the transport stand then.
    pub addresses: Option<Addresses>,
    /// Whether the proxy speaks for itself: `LOCAL` of version 2.
    pub is_local: bool,
    tlvs: Box<[u8]>,
}

/// The two ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs)] // a connection has two ends
pub struct Addresses {
    /// The client's.
    pub source: SocketAddr,
    /// Where the client connected to.
    pub destination: SocketAddr,
}

/// How far a header is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // complete or not
pub enum Progress {
    /// At least so many more octets belong to it.
    Wants(usize),
    /// It is complete.
    Complete {
        /// What it says.
        header: Header,
        /// How many octets it has.
        len: usize,
    },
}

/// What came is no header. The connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Malformed;

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("malformed PROXY header")
    }
}

impl core::error::Error for Malformed {}

/// Octets of a header of version 1, at most.
pub const MAX_V1: usize = 107;
const V1: &[u8] = b"PROXY ";
const V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const V2_FIXED: usize = 16;

impl Header {
    /// The type of the extension that holds the name that the client asked for, by TLS for example.
    pub const AUTHORITY: u8 = 0x02;
    /// The type of the extension that holds a CRC32c of the header, which was checked.
    pub const CRC32C: u8 = 0x03;
    /// The type of the extension that describes the client's TLS.
    pub const SSL: u8 = 0x20;

    /// Reads a header from the first octets of a connection; one of version 2 has at most `max` octets.
    ///
    /// # Errors
    ///
    /// [`Malformed`] as soon as the octets cannot become a header.
    pub fn decode(data: &[u8], versions: Versions, max: usize) -> Result<Progress, Malformed> {
        let begins = |signature: &[u8]| {
            let n = signature.len().min(data.len());
            data[..n] == signature[..n]
        };
        match (begins(V1), begins(V2)) {
            (true, true) => Ok(Progress::Wants(V1.len())),
            (true, _) if versions != Versions::V2 => Self::version_1(data),
            (_, true) if versions != Versions::V1 => Self::version_2(data, max),
            _ => Err(Malformed),
        }
    }

    /// The extensions of version 2: types and values, in order.
    pub fn extensions(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut rest = &self.tlvs[..];
        std::iter::from_fn(move || {
            let (kind, value, tail) = tlv(rest)?;
            rest = tail;
            Some((kind, value))
        })
    }

    fn new(addresses: Option<Addresses>) -> Self {
        Self {
            addresses,
            is_local: false,
            tlvs: Box::default(),
        }
    }

    fn version_1(data: &[u8]) -> Result<Progress, Malformed> {
        let Some(end) = memchr::memchr(b'\n', data) else {
            // The shortest end is CRLF, or the LF of one.
            let wants = if data.ends_with(b"\r") { 1 } else { 2 };
            let fits = data.len() + wants <= MAX_V1;
            return fits.then_some(Progress::Wants(wants)).ok_or(Malformed);
        };
        let line = data[..end].strip_suffix(b"\r").ok_or(Malformed)?;
        let text = std::str::from_utf8(line).map_err(|_| Malformed)?;
        let len = end + 1;
        let mut words = text.split(' ').skip(1);
        let mut next = || words.next().ok_or(Malformed);
        let family = next()?;
        if len > MAX_V1 {
            return Err(Malformed);
        }
        if family == "UNKNOWN" {
            // Whatever else stands there has to be passed over.
            let header = Self::new(None);
            return Ok(Progress::Complete { header, len });
        }
        let (source, destination) = (ip(family, next()?)?, ip(family, next()?)?);
        let (from, to) = (port(next()?)?, port(next()?)?);
        if words.next().is_some() {
            return Err(Malformed);
        }
        let header = Self::new(Some(Addresses {
            source: (source, from).into(),
            destination: (destination, to).into(),
        }));
        Ok(Progress::Complete { header, len })
    }

    fn version_2(data: &[u8], max: usize) -> Result<Progress, Malformed> {
        let Some((fixed, rest)) = data.split_first_chunk::<V2_FIXED>() else {
            return Ok(Progress::Wants(V2_FIXED - data.len()));
        };
        let [.., command, family, high, low] = *fixed;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let len = V2_FIXED + length;
        let address_len = match family {
            // Unspecified, or sockets of one machine: nothing that can be used.
            0x00 => 0,
            0x11 | 0x12 => 12,
            0x21 | 0x22 => 36,
            0x31 | 0x32 => 216,
            _ => return Err(Malformed),
        };
        let is_local = match command {
            0x20 => true,
            0x21 => false,
            _ => return Err(Malformed),
        };
        if len > max {
            return Err(Malformed);
        }
        if rest.len() < length {
            return Ok(Progress::Wants(length - rest.len()));
        }
        let body = &rest[..length];
        if is_local {
            // The receiver must pass over what a local header holds.
            let header = Self {
                is_local,
                ..Self::new(None)
            };
            return Ok(Progress::Complete { header, len });
        }
        let (addresses, tlvs) = body.split_at_checked(address_len).ok_or(Malformed)?;
        let header = Self {
            addresses: match family {
                0x11 => v4(addresses),
                0x21 => v6(addresses),
                _ => None,
            },
            is_local,
            tlvs: tlvs.into(),
        };
        header.check(&data[..len], address_len)?;
        Ok(Progress::Complete { header, len })
    }

    /// Whether the extensions fill their room exactly, and a checksum fits.
    fn check(&self, whole: &[u8], address_len: usize) -> Result<(), Malformed> {
        let mut rest = &self.tlvs[..];
        while !rest.is_empty() {
            let (kind, value, tail) = tlv(rest).ok_or(Malformed)?;
            if kind == Self::CRC32C {
                let sum: [u8; 4] = value.try_into().map_err(|_| Malformed)?;
                let at = V2_FIXED + address_len + (self.tlvs.len() - rest.len()) + 3;
                // It is computed over the header with zeros in its own place.
                let octets = whole.iter().enumerate();
                let zeroed = octets.map(|(i, b)| if (at..at + 4).contains(&i) { 0 } else { *b });
                if crc32c(zeroed) != u32::from_be_bytes(sum) {
                    return Err(Malformed);
                }
            }
            rest = tail;
        }
        Ok(())
    }
}

/// Type and value of the first extension, and what follows it.
fn tlv(data: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[kind, high, low], rest) = data.split_first_chunk()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
    Some((kind, value, rest))
}

fn ip(family: &str, text: &str) -> Result<IpAddr, Malformed> {
    match family {
        "TCP4" => text.parse().map(IpAddr::V4),
        "TCP6" => text.parse().map(IpAddr::V6),
        _ => return Err(Malformed),
    }
    .map_err(|_| Malformed)
}

fn port(text: &str) -> Result<u16, Malformed> {
    let canonical = text == "0" || !text.starts_with('0');
    let number = decimal(text, 5).filter(|_| canonical).ok_or(Malformed)?;
    u16::try_from(number).map_err(|_| Malformed)
}

fn v4(data: &[u8]) -> Option<Addresses> {
    let at = |i: usize| Ipv4Addr::new(data[i], data[i + 1], data[i + 2], data[i + 3]);
    let port = |i: usize| u16::from_be_bytes([data[i], data[i + 1]]);
    (data.len() == 12).then(|| Addresses {
        source: (at(0), port(8)).into(),
        destination: (at(4), port(10)).into(),
    })
}

fn v6(data: &[u8]) -> Option<Addresses> {
    let (source, rest) = data.split_first_chunk::<16>()?;
    let (destination, ports) = rest.split_first_chunk::<16>()?;
    let &[a, b, c, d] = ports.first_chunk()?;
    Some(Addresses {
        source: (Ipv6Addr::from(*source), u16::from_be_bytes([a, b])).into(),
        destination: (Ipv6Addr::from(*destination), u16::from_be_bytes([c, d])).into(),
    })
}

/// CRC-32C (Castagnoli), bit by bit: a header has a few hundred octets.
fn crc32c(data: impl Iterator<Item = u8>) -> u32 {
    !data.fold(!0, |crc: u32, octet| {
        (0..8).fold(crc ^ u32::from(octet), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_of_the_specification() {
        // RFC 3720 §B.4 and the check value of every catalogue.
        assert_eq!(crc32c(b"123456789".iter().copied()), 0xe306_9283);
        assert_eq!(crc32c([0; 32].into_iter()), 0x8a91_36aa);
    }
}
