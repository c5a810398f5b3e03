//! Encoded words (RFC 2047), with language tags (RFC 2231 §5)

use std::borrow::Cow;

use crate::{charset, transfer};

/// Decodes the encoded words in unfolded text.
///
/// Space between neighbouring words is dropped, and a character may be split between words of one charset. A
/// word that stands too close to other text, or holds spaces, is decoded too. A word in a charset that is not
/// known stays as it is. Other 8-bit text is read as UTF-8 where it is UTF-8, else as Windows-1252.
///
/// ```
/// let text = mailwright_message::encoded_word::decode(b"=?ISO-8859-1?Q?Andr=E9?= Pirard");
/// assert_eq!(text, "André Pirard");
/// ```
pub fn decode(text: &[u8]) -> Cow<'_, str> {
    let mut decoder = Decoder::default();
    let mut raw = 0;
    let mut at = 0;
    while let Some(found) = memchr::memmem::find(&text[at..], b"=?") {
        at += found;
        let word = match_at(&text[at..]).filter(|word| charset::is_known(word.charset));
        let Some(word) = word else {
            at += 2;
            continue;
        };
        decoder.raw(&text[raw..at], true);
        decoder.word(&word);
        at += word.len;
        raw = at;
    }
    if raw == 0 {
        return charset::guess(text);
    }
    decoder.raw(&text[raw..], false);
    Cow::Owned(decoder.out)
}

/// As [`decode`], for text that may be owned.
pub(crate) fn decode_cow(text: Cow<'_, [u8]>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => decode(text),
        Cow::Owned(text) => Cow::Owned(decode(&text).into_owned()),
    }
}

/// Collects text; octets of neighbouring words of one charset are decoded together.
#[derive(Default)]
struct Decoder<'a> {
    out: String,
    charset: &'a [u8],
    octets: Vec<u8>,
    after_word: bool,
}

impl<'a> Decoder<'a> {
    fn raw(&mut self, text: &[u8], word_follows: bool) {
        let between_words = self.after_word && word_follows;
        if text.is_empty() || between_words && text.trim_ascii().is_empty() {
            if !word_follows {
                self.flush();
            }
            return;
        }
        self.flush();
        self.out.push_str(&charset::guess(text));
        self.after_word = false;
    }

    fn word(&mut self, word: &Word<'a>) {
        if !word.charset.eq_ignore_ascii_case(self.charset) {
            self.flush();
            self.charset = word.charset;
        }
        word.decode_into(&mut self.octets);
        self.after_word = true;
    }

    fn flush(&mut self) {
        if let Some(text) = charset::decode(self.charset, &self.octets) {
            self.out.push_str(&text);
        }
        self.octets.clear();
    }
}

/// An encoded word in its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word<'a> {
    pub(crate) charset: &'a [u8],
    base64: bool,
    text: &'a [u8],
    /// Length of the whole.
    pub(crate) len: usize,
}

impl Word<'_> {
    fn decode_into(&self, out: &mut Vec<u8>) {
        if self.base64 {
            out.extend_from_slice(&transfer::decode_base64(self.text));
            return;
        }
        let mut text = self.text;
        while let [byte, rest @ ..] = text {
            text = rest;
            out.push(match byte {
                b'_' => b' ',
                b'=' => match transfer::escape(rest) {
                    Some(byte) => {
                        text = &rest[2..];
                        byte
                    }
                    None => b'=',
                },
                _ => *byte,
            });
        }
    }
}

/// The encoded word that `input` starts with.
///
/// No part of one holds a question mark, so a failed attempt looks at nothing that the next attempt looks at too.
pub(crate) fn match_at(input: &[u8]) -> Option<Word<'_>> {
    let rest = input.strip_prefix(b"=?")?;
    let charset_len = memchr::memchr(b'?', rest)?;
    let [encoding, b'?', text @ ..] = rest.get(charset_len + 1..)? else {
        return None;
    };
    let base64 = match encoding {
        b'b' | b'B' => true,
        b'q' | b'Q' => false,
        _ => return None,
    };
    let text_len = memchr::memchr(b'?', text).filter(|len| len + 1 < text.len())?;
    let is_odd = |b: &u8| *b < b' ' && *b != b'\t';
    let (charset, text) = (&rest[..charset_len], &text[..text_len + 2]);
    if text[text_len + 1] != b'=' || charset.iter().any(u8::is_ascii_whitespace) || text.iter().any(is_odd) {
        return None;
    }
    Some(Word {
        charset: charset.split(|b| *b == b'*').next().unwrap_or(charset),
        base64,
        text: &text[..text_len],
        len: 2 + charset_len + 3 + text_len + 2,
    })
}

/// Whether text must be encoded to stand in a header: it is not printable ASCII, or looks encoded.
pub fn needs_encoding(text: &str) -> bool {
    text.bytes().any(|b| !(b' '..=b'~').contains(&b) && b != b'\t') || text.contains("=?")
}

/// Encodes text as encoded words in UTF-8 of at most 75 octets each, with one space between them.
///
/// No character is split between words. The words may stand wherever RFC 2047 §5 allows one: in a text, a
/// phrase or a comment. CR, LF and other controls are encoded like anything else, so that a value cannot start
/// a field of its own.
pub fn encode(text: &str) -> String {
    let escaped = text.bytes().filter(|b| !is_plain(*b)).count();
    // A base64 word carries 45 octets whatever they are; an escaped octet takes three.
    let base64 = escaped * 2 > text.len() / 3;
    let mut out = String::with_capacity(text.len() * 2 + 16);
    let mut rest = text;
    while !rest.is_empty() {
        let mut used = 0;
        let mut width = 0;
        for c in rest.chars() {
            let len = c.len_utf8();
            width += if base64 {
                len
            } else if len == 1 && (is_plain(c as u8) || c == ' ') {
                1
            } else {
                3 * len
            };
            if width > if base64 { 45 } else { 63 } {
                break;
            }
            used += len;
        }
        let (word, behind) = rest.split_at(used);
        rest = behind;
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(if base64 { "=?utf-8?B?" } else { "=?utf-8?Q?" });
        if base64 {
            out.push_str(transfer::encode_base64(word.as_bytes()).trim_end());
        } else {
            for byte in word.bytes() {
                match byte {
                    b' ' => out.push('_'),
                    _ if is_plain(byte) => out.push(char::from(byte)),
                    _ => transfer::push_escape(byte, &mut out),
                }
            }
        }
        out.push_str("?=");
    }
    out
}

/// Needs no escape anywhere, phrases included: RFC 2047 §5 (3).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'!' | b'*' | b'+' | b'-' | b'/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The table of RFC 2047 §8 (its words stand in comments there; the rule for space is the same).
    #[test]
    fn rfc_2047_section_8() {
        for (input, want) in [
            ("(=?ISO-8859-1?Q?a?=)", "(a)"),
            ("(=?ISO-8859-1?Q?a?= b)", "(a b)"),
            ("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
            ("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
            (
                "=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>",
                "Keith Moore <moore@cs.utk.edu>",
            ),
            ("=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld Jørn Simonsen"),
            ("=?ISO-8859-1?Q?Andr=E9?= Pirard", "André Pirard"),
            (
                "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
                "If you can read this you understand the example.",
            ),
            ("=?ISO-8859-1?Q?Olle_J=E4rnefors?=", "Olle Järnefors"),
            ("=?ISO-8859-1?Q?Patrik_F=E4ltstr=F6m?=", "Patrik Fältström"),
            (
                "Nathaniel Borenstein\r\n (=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=)",
                "Nathaniel Borenstein\r\n (םולש ןב ילטפנ)",
            ),
        ] {
            assert_eq!(decode(input.as_bytes()), want, "{input}");
        }
    }

    #[test]
    fn what_the_wild_writes() {
        for (input, want) in [
            ("=?utf-8?Q?caf=C3?= =?utf-8?Q?=A9?=", "café"),
            ("=?utf-8?B?Y2Fmww==?=\t=?UTF-8?b?qQ==?=", "café"),
            ("a=?utf-8?Q?b?=c", "abc"),
            ("=?utf-8?Q?with space?=", "with space"),
            ("=?utf-8*en?Q?lang?=", "lang"),
            ("=?x-unknown?Q?a?= b", "=?x-unknown?Q?a?= b"),
            ("=?utf-8?X?a?=", "=?utf-8?X?a?="),
            ("=?utf-8?Q?never ends", "=?utf-8?Q?never ends"),
            ("=?utf-8?Q?=ZZ=4?=", "=ZZ=4"),
            ("=?=?utf-8?Q?x?=", "=?x"),
            ("", ""),
            ("=?utf-8?Q??= x", " x"),
        ] {
            assert_eq!(decode(input.as_bytes()), want, "{input}");
        }
        assert_eq!(decode(b"caf\xe9 =?utf-8?q?=C3=A9?="), "café é");
        assert_eq!(decode("café".as_bytes()), "café");
    }

    #[test]
    fn words_are_short_and_whole() {
        let text = "Ünïcödé and plain, ".repeat(20);
        let encoded = encode(&text);
        for word in encoded.split(' ') {
            assert!(
                word.len() <= 75 && match_at(word.as_bytes()).unwrap().len == word.len(),
                "{word}"
            );
            assert!(!decode(word.as_bytes()).contains('\u{fffd}'));
        }
        assert_eq!(decode(encoded.as_bytes()), text);
    }

    proptest! {
        #[test]
        fn encode_then_decode(text in "\\PC{0,120}|[ -~]{0,120}|[\r\n\t =?_é😀]{0,40}") {
            let encoded = encode(&text);
            prop_assert!(!needs_encoding(&encoded) || encoded.contains("=?"));
            prop_assert!(encoded.bytes().all(|b| (b' '..=b'~').contains(&b)));
            prop_assert!(encoded.split(' ').all(|word| word.len() <= 75));
            // U+FEFF at the front of a text is a byte order mark, and dropped.
            prop_assume!(!text.starts_with('\u{feff}'));
            prop_assert_eq!(decode(encoded.as_bytes()), text);
        }

        #[test]
        fn any_octets_decode(text in proptest::collection::vec(prop_oneof![Just(b'='), Just(b'?'), Just(b'q'), any::<u8>()], 0..80)) {
            let _ = decode(&text);
        }
    }
}
