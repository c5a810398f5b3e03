//! Mailbox names: modified UTF-7 on the wire, UTF-8 outside (RFC 3501 §5.1.3)

use std::borrow::Cow;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Decodes a mailbox name from modified UTF-7.
///
/// Octets above 127 are taken as UTF-8, which some clients send without having asked for it. What an encoder
/// should have written plainly is decoded all the same: outside of the protocol there is one spelling only.
/// `None` for broken base64, unpaired surrogates, invalid UTF-8, and names that hold control characters.
pub fn decode_name(wire: &[u8]) -> Option<String> {
    let mut name = String::with_capacity(wire.len());
    let mut rest = wire;
    while let Some(at) = memchr::memchr(b'&', rest) {
        name.push_str(std::str::from_utf8(&rest[..at]).ok()?);
        rest = &rest[at + 1..];
        let end = memchr::memchr(b'-', rest)?;
        if end == 0 {
            name.push('&');
        } else {
            decode_shifted(&rest[..end], &mut name)?;
        }
        rest = &rest[end + 1..];
    }
    name.push_str(std::str::from_utf8(rest).ok()?);
    (!name.chars().any(char::is_control)).then_some(name)
}

/// A mailbox name of a session that has UTF-8 on the wire (RFC 6855 §3); `None` for control characters.
pub(crate) fn utf8_name(wire: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(wire).ok()?;
    (!name.chars().any(char::is_control)).then(|| name.to_owned())
}

/// Encodes a mailbox name in modified UTF-7; borrowed when nothing needs encoding.
///
/// Control characters are encoded too, so that whatever the name is, the result is printable ASCII.
pub fn encode_name(name: &str) -> Cow<'_, str> {
    let plain = |c: char| matches!(c, ' '..='~') && c != '&';
    if name.chars().all(plain) {
        return Cow::Borrowed(name);
    }
    let mut wire = String::with_capacity(name.len() + 16);
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        if plain(c) {
            wire.push(c);
            continue;
        }
        if c == '&' {
            wire.push_str("&-");
            continue;
        }
        wire.push('&');
        let mut units = [0u16; 2];
        let (mut bits, mut held) = (0u32, 0u32);
        let mut next = Some(c);
        while let Some(c) = next {
            for unit in c.encode_utf16(&mut units) {
                bits = bits << 16 | u32::from(*unit);
                held += 16;
                while held >= 6 {
                    held -= 6;
                    wire.push(char::from(BASE64[(bits >> held & 63) as usize]));
                }
                bits &= (1 << held) - 1;
            }
            // `&` inside of a shifted run stays in it: RFC 3501 wants no needless shifts.
            next = chars.next_if(|&c| !matches!(c, ' '..='~'));
        }
        if held > 0 {
            wire.push(char::from(BASE64[(bits << (6 - held) & 63) as usize]));
        }
        wire.push('-');
    }
    Cow::Owned(wire)
}

fn decode_shifted(base64: &[u8], name: &mut String) -> Option<()> {
    let (mut bits, mut held) = (0u32, 0u32);
    let mut units = Vec::with_capacity(base64.len() * 6 / 16);
    for b in base64 {
        let value = BASE64.iter().position(|c| c == b)?;
        bits = bits << 6 | value as u32;
        held += 6;
        if held >= 16 {
            held -= 16;
            units.push((bits >> held) as u16);
            bits &= (1 << held) - 1;
        }
    }
    // What is left must be padding: fewer than six bits, all zero.
    if held >= 6 || bits != 0 {
        return None;
    }
    for c in char::decode_utf16(units) {
        name.push(c.ok()?);
    }
    Some(())
}

/// Gives INBOX, and INBOX as the first level of a path, its one spelling.
pub(crate) fn canonical(name: String, delimiter: char) -> String {
    let first = name.split(delimiter).next().unwrap_or_default();
    if first.eq_ignore_ascii_case("INBOX") {
        format!("INBOX{}", &name[5..])
    } else {
        name
    }
}

/// Whether `name` matches a LIST pattern (RFC 3501 §6.3.8): `*` matches anything, `%` anything but the
/// delimiter. INBOX matches in any case. Takes time in proportion to the product of the lengths at worst.
pub fn matches_pattern(name: &str, pattern: &str, delimiter: char) -> bool {
    let inbox = name.split(delimiter).next() == Some("INBOX");
    let fold = |c: char, level: bool| if inbox && level { c.to_ascii_uppercase() } else { c };
    // The set of pattern positions reached so far: backtracking would be exponential.
    let pattern: Vec<char> = pattern.chars().collect();
    let mut reached = vec![false; pattern.len() + 1];
    let spread = |reached: &mut Vec<bool>| {
        for i in 0..pattern.len() {
            if reached[i] && matches!(pattern[i], '*' | '%') {
                reached[i + 1] = true;
            }
        }
    };
    reached[0] = true;
    spread(&mut reached);
    for (at, c) in name.chars().enumerate() {
        let first_level = at < 5;
        let mut next = vec![false; pattern.len() + 1];
        for (i, &p) in pattern.iter().enumerate() {
            if reached[i] {
                match p {
                    '*' => next[i] = true,
                    '%' if c != delimiter => next[i] = true,
                    '%' => {}
                    _ if fold(p, first_level) == c => next[i + 1] = true,
                    _ => {}
                }
            }
        }
        spread(&mut next);
        reached = next;
    }
    reached[pattern.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_from_the_rfc() {
        for (wire, name) in [
            ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
            ("&Jjo-!", "☺!"),
            ("R&-D", "R&D"),
            ("&AOQ-rger", "ärger"),
            ("&2D3eAA-", "😀"),
            ("INBOX", "INBOX"),
        ] {
            assert_eq!(decode_name(wire.as_bytes()).as_deref(), Some(name));
            assert_eq!(encode_name(name), wire);
        }
    }

    #[test]
    fn broken_names_are_refused() {
        for wire in [
            &b"R&D"[..],
            b"&",
            b"&U",
            b"&Jjo!",
            b"&A-",
            b"&AOR-",
            b"&2D0-",
            b"&AA0-",
            b"a\rb",
            b"\xff",
            b"&/-",
        ] {
            assert_eq!(decode_name(wire), None, "{}", wire.escape_ascii());
        }
        assert_eq!(decode_name("Entwürfe".as_bytes()).as_deref(), Some("Entwürfe"));
    }

    #[test]
    fn inbox_has_one_spelling() {
        assert_eq!(canonical("inBox".into(), '/'), "INBOX");
        assert_eq!(canonical("inbox/a".into(), '/'), "INBOX/a");
        assert_eq!(canonical("inboxes".into(), '/'), "inboxes");
    }

    #[test]
    fn patterns() {
        for (name, pattern, want) in [
            ("foo/bar", "*", true),
            ("foo/bar", "%", false),
            ("foo", "%", true),
            ("foo/bar", "foo/%", true),
            ("foo/bar/baz", "foo/%", false),
            ("foo/bar/baz", "foo*", true),
            ("foo/bar/baz", "%/%/baz", true),
            ("foo/bar", "f%r", false),
            ("INBOX", "inbox", true),
            ("INBOX", "In%", true),
            ("INBOX/Sub", "inbox/sub", false),
            ("INBOX/Sub", "inbox/Sub", true),
            ("Inboxes", "INBOXES", false),
            ("", "", true),
            ("a", "", false),
        ] {
            assert_eq!(matches_pattern(name, pattern, '/'), want, "{name} {pattern}");
        }
        let (name, pattern) = ("a".repeat(2000), "*a".repeat(300) + "b");
        assert!(!matches_pattern(&name, &pattern, '/'));
    }

    proptest! {
        #[test]
        fn encoded_names_decode(name in "\\PC*") {
            let wire = encode_name(&name).into_owned();
            prop_assert!(wire.bytes().all(|b| (b' '..=b'~').contains(&b)));
            let clean = !name.chars().any(char::is_control);
            prop_assert_eq!(decode_name(wire.as_bytes()), clean.then_some(name));
        }

        #[test]
        fn any_octets_are_taken(wire: Vec<u8>) {
            if let Some(name) = decode_name(&wire) {
                let again = encode_name(&name).into_owned();
                prop_assert_eq!(decode_name(again.as_bytes()), Some(name));
            }
        }
    }
}
