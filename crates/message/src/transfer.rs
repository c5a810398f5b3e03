//! Content transfer encodings (RFC 2045 §6)

use base64::Engine as _;
use std::borrow::Cow;

/// How a body is encoded for transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Encoding {
    /// 7bit, 8bit, binary, or none named.
    #[default]
    Identity,
    /// `quoted-printable`
    QuotedPrintable,
    /// `base64`
    Base64,
    /// An encoding this crate does not know. RFC 2045 §6.4: such a body is opaque octets.
    Unknown,
}

impl Encoding {
    /// Removes the encoding from a whole body; borrows where there is none.
    pub fn decode<'a>(self, body: &'a [u8]) -> Cow<'a, [u8]> {
        match self {
            Self::Identity | Self::Unknown => Cow::Borrowed(body),
            Self::QuotedPrintable => Cow::Owned(decode_quoted_printable(body)),
            Self::Base64 => Cow::Owned(decode_base64(body)),
        }
    }
}

/// Decodes base64 and never fails: octets outside of the alphabet are skipped, data behind padding goes on, and
/// a last group that is too short gives what it can.
pub fn decode_base64(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(input.len() / 4 * 3 + 3);
    let (mut group, mut count) = (0u32, 0);
    let flush = |group: u32, count: u32, out: &mut Vec<u8>| match count {
        2 => out.push((group >> 4) as u8),
        3 => out.extend_from_slice(&[(group >> 10) as u8, (group >> 2) as u8]),
        _ => {}
    };
    for byte in input {
        match BASE64[usize::from(*byte)] {
            SKIP => {}
            PAD => {
                flush(group, count, &mut out);
                (group, count) = (0, 0);
            }
            value => {
                group = group << 6 | u32::from(value);
                count += 1;
                if count == 4 {
                    out.extend_from_slice(&group.to_be_bytes()[1..]);
                    (group, count) = (0, 0);
                }
            }
        }
    }
    flush(group, count, &mut out);
    out
}

const SKIP: u8 = 0xff;
const PAD: u8 = 0xfe;

static BASE64: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut table = [SKIP; 256];
    let mut i = 0;
    while i < 64 {
        table[alphabet[i] as usize] = i as u8;
        i += 1;
    }
    table[b'=' as usize] = PAD;
    table
};

/// Encodes base64 in lines of 76 octets, each ended by CRLF.
pub fn encode_base64(input: &[u8]) -> String {
    let mut out = String::with_capacity(input.len().div_ceil(57) * 78);
    for line in input.chunks(57) {
        base64::engine::general_purpose::STANDARD.encode_string(line, &mut out);
        out.push_str("\r\n");
    }
    out
}

/// Decodes quoted-printable and never fails: an `=` that starts no escape stays as it is, soft line breaks may
/// have spaces before their line end, and spaces at the end of a line are dropped (RFC 2045 §6.7 rule 3).
pub fn decode_quoted_printable(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(input.len());
    for line in input.split_inclusive(|b| *b == b'\n') {
        let (content, end) = match line {
            [content @ .., b'\r', b'\n'] => (content, &b"\r\n"[..]),
            [content @ .., b'\n'] => (content, &b"\n"[..]),
            _ => (line, &b""[..]),
        };
        let mut content = trim_end(content);
        let soft = !end.is_empty() && content.last() == Some(&b'=') || end.is_empty() && content == b"=";
        if soft {
            content = &content[..content.len() - 1];
        }
        while let Some(at) = memchr::memchr(b'=', content) {
            out.extend_from_slice(&content[..at]);
            match escape(&content[at + 1..]) {
                Some(byte) => {
                    out.push(byte);
                    content = &content[at + 3..];
                }
                None => {
                    out.push(b'=');
                    content = &content[at + 1..];
                }
            }
        }
        out.extend_from_slice(content);
        if !soft {
            out.extend_from_slice(end);
        }
    }
    out
}

/// The octet that two hexadecimal digits at the front stand for.
pub(crate) fn escape(digits: &[u8]) -> Option<u8> {
    match digits {
        [high, low, ..] => Some(hex(*high)? << 4 | hex(*low)?),
        _ => None,
    }
}

pub(crate) fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

fn trim_end(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|b| !matches!(b, b' ' | b'\t' | b'\r'));
    &line[..end.map_or(0, |at| at + 1)]
}

/// Encodes text as quoted-printable: lines of at most 76 octets, each ended by CRLF, no space at the end of one.
///
/// CRLF and LF in the input are line breaks; a CR alone is data.
pub fn encode_quoted_printable(input: &[u8]) -> String {
    let mut out = String::with_capacity(input.len() + input.len() / 8);
    for line in input.split_inclusive(|b| *b == b'\n') {
        let (content, ended) = match line {
            [content @ .., b'\r', b'\n'] | [content @ .., b'\n'] => (content, true),
            _ => (line, false),
        };
        let mut column = 0;
        for (at, byte) in content.iter().enumerate() {
            let last = at + 1 == content.len();
            let room = if last && ended { 76 } else { 75 };
            let width = |column| if is_plain(*byte, column, last) { 1 } else { 3 };
            if column + width(column) > room {
                out.push_str("=\r\n");
                column = 0;
            }
            let width = width(column);
            match width {
                1 => out.push(char::from(*byte)),
                _ => push_escape(*byte, &mut out),
            }
            column += width;
        }
        out.push_str(if ended { "\r\n" } else { "=\r\n" });
    }
    out
}

/// Whether an octet may stand for itself in quoted-printable.
fn is_plain(byte: u8, column: usize, last: bool) -> bool {
    match byte {
        b'=' => false,
        b' ' | b'\t' => !last,
        // A mail store may quote a line that starts so, and a transport may end the message at a dot.
        b'F' | b'.' => column != 0,
        _ => (33..=126).contains(&byte),
    }
}

pub(crate) fn push_escape(byte: u8, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('=');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn base64_is_read_as_the_wild_writes_it() {
        for (input, want) in [
            ("aGVsbG8=", "hello"),
            ("aGVs\r\n bG8=\r\n", "hello"),
            ("aGVsbG8", "hello"),
            ("aGVsbG8=aGVsbG8=", "hellohello"),
            ("a!G*V-sbG8===", "hello"),
            ("a", ""),
            ("", ""),
        ] {
            assert_eq!(decode_base64(input.as_bytes()), want.as_bytes(), "{input}");
        }
    }

    #[test]
    fn quoted_printable_is_read_as_the_wild_writes_it() {
        for (input, want) in [
            ("a=3Db=3db", "a=b=b"),
            ("soft=\r\nbreak", "softbreak"),
            ("soft= \t\r\nbreak", "softbreak"),
            ("soft=\nbreak", "softbreak"),
            ("space  \r\nend \n", "space\r\nend\n"),
            ("=ZZ = =4", "=ZZ = =4"),
            ("end=", "end="),
            ("a\r\n=", "a\r\n"),
        ] {
            assert_eq!(
                decode_quoted_printable(input.as_bytes())
                    .escape_ascii()
                    .to_string(),
                want.as_bytes().escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn names_of_encodings() {
        assert_eq!(Encoding::parse(b" (c) BASE64 (x)"), Encoding::Base64);
        assert_eq!(
            Encoding::parse(b"\"quoted-printable\""),
            Encoding::QuotedPrintable
        );
        assert_eq!(Encoding::parse(b"8BIT;"), Encoding::Identity);
        assert_eq!(Encoding::parse(b""), Encoding::Identity);
        assert_eq!(Encoding::parse(b"x-uuencode"), Encoding::Unknown);
    }

    proptest! {
        #[test]
        fn base64_round_trip(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            let text = encode_base64(&data);
            prop_assert!(text.lines().all(|line| line.len() <= 76));
            prop_assert_eq!(decode_base64(text.as_bytes()), data);
        }

        #[test]
        fn quoted_printable_round_trip(data in "[ -~é\t\r\n=.F]{0,300}") {
            let data = data.replace("\r\n", "\n").replace('\n', "\r\n");
            let text = encode_quoted_printable(data.as_bytes());
            for line in text.split("\r\n") {
                prop_assert!(line.len() <= 76 && !line.ends_with([' ', '\t']) && !line.starts_with('.'));
            }
            prop_assert!(text.is_ascii());
            prop_assert_eq!(decode_quoted_printable(text.as_bytes()), data.as_bytes());
        }
    }
}
