//! PROXY: who is behind this connection, said ahead of everything (PROXY protocol, versions 1 and 2)

use crate::proxy::Addresses;
use core::net::IpAddr;

/// A header of the PROXY protocol, for a server that expects one from this client.
///
/// It goes before the greeting, and before TLS where that starts at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // the protocol has two versions
pub enum ProxyHeader {
    /// Version 1: a line of text. `None` if nothing is known of the connection.
    V1(Option<Addresses>),
    /// Version 2: binary. `None` for a connection of the proxy itself, such as a health check.
    V2(Option<Addresses>),
}

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

impl ProxyHeader {
    /// The octets of the header. Ends of different address families are told as IPv6.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::V1(None) => b"PROXY UNKNOWN\r\n".to_vec(),
            Self::V1(Some(ends)) => {
                let (source, destination) = aligned(ends);
                let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
                let (from, to) = (ends.source.port(), ends.destination.port());
                format!("PROXY {family} {source} {destination} {from} {to}\r\n").into_bytes()
            }
            Self::V2(None) => [&SIGNATURE[..], &[0x20, 0, 0, 0]].concat(),
            Self::V2(Some(ends)) => {
                let mut out = SIGNATURE.to_vec();
                match aligned(ends) {
                    (IpAddr::V4(source), IpAddr::V4(destination)) => {
                        out.extend([0x21, 0x11, 0, 12]);
                        out.extend(source.octets());
                        out.extend(destination.octets());
                    }
                    (source, destination) => {
                        out.extend([0x21, 0x21, 0, 36]);
                        out.extend(mapped(source));
                        out.extend(mapped(destination));
                    }
                }
                out.extend(ends.source.port().to_be_bytes());
                out.extend(ends.destination.port().to_be_bytes());
                out
            }
        }
    }
}

/// Both addresses in one family.
fn aligned(ends: &Addresses) -> (IpAddr, IpAddr) {
    let (source, destination) = (ends.source.ip(), ends.destination.ip());
    if source.is_ipv4() == destination.is_ipv4() {
        (source, destination)
    } else {
        (mapped(source).into(), mapped(destination).into())
    }
}

fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::{Header, Progress, Versions};

    fn ends(source: &str, destination: &str) -> Option<Addresses> {
        Some(Addresses {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        })
    }

    #[test]
    fn headers_are_those_of_the_specification() {
        let v4 = ends("192.0.2.7:40000", "198.51.100.1:25");
        let v6 = ends("[2001:db8::7]:40000", "[2001:db8::1]:25");
        let mixed = ends("192.0.2.7:40000", "[2001:db8::1]:25");
        let text = |ends| String::from_utf8(ProxyHeader::V1(ends).encode()).unwrap();
        assert_eq!(text(v4), "PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\r\n");
        assert_eq!(text(v6), "PROXY TCP6 2001:db8::7 2001:db8::1 40000 25\r\n");
        assert_eq!(
            text(mixed),
            "PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 40000 25\r\n"
        );
        assert_eq!(text(None), "PROXY UNKNOWN\r\n");
        let binary = |ends| ProxyHeader::V2(ends).encode()[12..].to_vec();
        assert_eq!(binary(None), [0x20, 0, 0, 0]);
        assert_eq!(
            binary(v4),
            [
                0x21, 0x11, 0, 12, 192, 0, 2, 7, 198, 51, 100, 1, 0x9c, 0x40, 0, 25
            ]
        );
        for ends in [v6, mixed] {
            let header = binary(ends);
            assert_eq!((header.len(), &header[..4]), (4 + 36, &[0x21, 0x21, 0, 36][..]));
            assert_eq!(header[36..], [0x9c, 0x40, 0, 25]);
        }
        let all = [v4, v6, None].map(|ends| [ProxyHeader::V1(ends), ProxyHeader::V2(ends)]);
        for header in all.into_iter().flatten() {
            let octets = header.encode();
            let Ok(Progress::Complete { header: read, len }) = Header::decode(&octets, Versions::Any, 52)
            else {
                panic!("{header:?} cannot be read")
            };
            let (ProxyHeader::V1(ends) | ProxyHeader::V2(ends)) = header;
            assert_eq!((read.addresses, len), (ends, octets.len()));
        }
    }
}
