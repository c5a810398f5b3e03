//! PROXY headers, well-formed and not, and never an octet more than they have.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use mailwright_smtp::proxy::{Header, MAX_V1, Malformed, Progress, Versions};
use proptest::prelude::*;

const MAX: usize = 600;

/// Reads a header as a machine would: never more than it wants.
fn read(octets: &[u8]) -> Result<(Header, usize), Option<Malformed>> {
    let mut have = 0;
    loop {
        match Header::decode(&octets[..have], Versions::Any, MAX) {
            Ok(Progress::Wants(n)) => {
                assert!(n > 0, "nothing is wanted, and nothing is complete");
                if have + n > octets.len() {
                    return Err(None);
                }
                have += n;
            }
            Ok(Progress::Complete { header, len }) => {
                assert_eq!(len, have, "more was wanted than the header has");
                return Ok((header, len));
            }
            Err(malformed) => return Err(Some(malformed)),
        }
    }
}

fn is_refused(octets: &[u8]) -> bool {
    matches!(read(octets), Err(Some(Malformed { .. })))
}

fn ends(octets: &[u8]) -> String {
    let (header, _) = read(octets).unwrap();
    header
        .addresses
        .map_or("none".into(), |a| format!("{} {}", a.source, a.destination))
}

fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, body].concat()
}

const V4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 4, 0, 25];

#[test]
fn headers_of_version_1() {
    for (line, want) in [
        (
            "PROXY TCP4 192.0.2.7 198.51.100.1 56324 25",
            "192.0.2.7:56324 198.51.100.1:25",
        ),
        (
            "PROXY TCP6 2001:db8::7 ::1 0 65535",
            "[2001:db8::7]:0 [::1]:65535",
        ),
        ("PROXY UNKNOWN", "none"),
        ("PROXY UNKNOWN ffff:: whatever it says 0 0", "none"),
    ] {
        assert_eq!(ends(format!("{line}\r\nEHLO").as_bytes()), want);
    }
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_V1 - 16));
    assert_eq!(read(longest.as_bytes()).unwrap().1, MAX_V1);
    for line in [
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324 25 1\r\n",
        "PROXY TCP4  192.0.2.7 198.51.100.1 56324 25\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324 65536\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 056324 25\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 +1 25\r\n",
        "PROXY TCP4 192.0.2.07 198.51.100.1 1 25\r\n",
        "PROXY TCP4 ::1 ::1 1 25\r\n",
        "PROXY TCP6 192.0.2.7 198.51.100.1 1 25\r\n",
        "PROXY UDP4 192.0.2.7 198.51.100.1 1 25\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\n\n",
        "PROXY UNKNOWN\n\n",
        "proxy UNKNOWN\r\n",
        "PROXY \r\n\r\n",
        "EHLO a.test\r\n",
        "\r\n\r\nEHLO a.test\r\n",
        &format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_V1 - 15)),
        &"PROXY ".repeat(100),
    ] {
        assert!(is_refused(line.as_bytes()), "{line:?}");
    }
}

#[test]
fn headers_of_version_2() {
    assert_eq!(ends(&binary(0x21, 0x11, &V4)), "192.0.2.7:56324 198.51.100.1:25");
    let mut v6 = [0; 36];
    (v6[15], v6[31], v6[33], v6[35]) = (1, 2, 3, 4);
    assert_eq!(ends(&binary(0x21, 0x21, &v6)), "[::1]:3 [::2]:4");
    // Datagrams, sockets of one machine, and what nobody says: nothing to use, and no reason to fail.
    assert_eq!(ends(&binary(0x21, 0x12, &V4)), "none");
    assert_eq!(ends(&binary(0x21, 0x31, &[b'x'; 216])), "none");
    assert_eq!(ends(&binary(0x21, 0x00, b"")), "none");
    // A health check: whatever it holds is passed over.
    let (header, _) = read(&binary(0x20, 0x11, b"abc")).unwrap();
    assert!(header.is_local && header.addresses.is_none() && header.extensions().count() == 0);
    for wrong in [
        binary(0x11, 0x11, &V4),
        binary(0x22, 0x11, &V4),
        binary(0x21, 0x41, &V4),
        binary(0x21, 0x13, &V4),
        binary(0x21, 0x11, &V4[..11]),
        binary(0x21, 0x21, &V4),
        // An extension that is longer than its room, and a part of one.
        binary(0x21, 0x11, &[&V4[..], &[2, 0, 5, b'a']].concat()),
        binary(0x21, 0x11, &[&V4[..], &[2, 0]].concat()),
        // Above the limit.
        binary(
            0x21,
            0x11,
            &[&V4[..], &[4, 2, 0], &[0; 512], &[4, 0, 100], &[0; 100]].concat(),
        ),
    ] {
        assert!(is_refused(&wrong), "{}", wrong.escape_ascii());
    }
}

#[test]
fn extensions_are_kept_and_checksums_are_checked() {
    let body = [
        &V4[..],
        &[
            Header::AUTHORITY,
            0,
            2,
            b'm',
            b'x',
            Header::CRC32C,
            0,
            4,
            0,
            0,
            0,
            0,
        ],
    ]
    .concat();
    let mut header = binary(0x21, 0x11, &body);
    // CRC-32C, by its definition as a polynomial, not as the code computes it.
    let mut crc = u32::MAX;
    for bit in header
        .iter()
        .flat_map(|octet| (0..8).map(move |i| octet >> i & 1))
    {
        let odd = crc & 1 != u32::from(bit);
        crc >>= 1;
        if odd {
            crc ^= 0x1edc_6f41_u32.reverse_bits();
        }
    }
    let at = header.len() - 4;
    header[at..].copy_from_slice(&(!crc).to_be_bytes());
    let (read_back, len) = read(&header).unwrap();
    assert_eq!(len, header.len());
    let extensions: Vec<_> = read_back
        .extensions()
        .map(|(kind, value)| (kind, value.len()))
        .collect();
    assert_eq!(extensions, [(Header::AUTHORITY, 2), (Header::CRC32C, 4)]);
    header[16] ^= 1;
    assert!(is_refused(&header));
}

#[test]
fn versions_can_be_left_out() {
    let one = b"PROXY UNKNOWN\r\n".as_slice();
    let two = binary(0x20, 0, b"");
    assert!(Header::decode(one, Versions::V2, MAX).is_err());
    assert!(Header::decode(&two, Versions::V1, MAX).is_err());
    assert!(Header::decode(one, Versions::V1, MAX).is_ok());
    assert!(Header::decode(&two, Versions::V2, MAX).is_ok());
}

proptest! {
    #[test]
    fn anything_is_a_header_or_none(start in 0usize..4, rest in proptest::collection::vec(any::<u8>(), 0..300)) {
        let starts: [&[u8]; 4] = [b"", b"PROXY ", b"PROXY TCP4 1.2.3.4 ", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0"];
        let _ = read(&[starts[start], &rest].concat());
    }
}
