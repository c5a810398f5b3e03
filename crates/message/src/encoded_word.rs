//! Encoded words (RFC 2047), with language tags (RFC 2231 §5)

use std::borrow::Cow;

use crate::charset::{self, Charset};
use crate::defect::Report;
use crate::{Defect, DefectKind, transfer};

/// Decodes the encoded words in unfolded text.
///
/// Space between neighbouring words is dropped, and a character may be split between words of one charset. A
/// word that stands too close to other text, holds spaces, or lost its end is decoded too. A word in a charset
/// that is not known stays as it is. Other 8-bit text is read as UTF-8 where it is UTF-8, else as Windows-1252.
///
/// ```
/// let text = mailwright_message::encoded_word::decode(b"=?ISO-8859-1?Q?Andr=E9?= Pirard");
/// assert_eq!(text, "André Pirard");
/// ```
pub fn decode(text: &[u8]) -> Cow<'_, str> {
    read_octets(text, 0, &mut ())
}

/// As [`decode`]; what is odd is appended to `defects`, with offsets in `text`.
///
/// ```
/// use mailwright_message::{DefectKind, encoded_word};
/// let mut defects = Vec::new();
/// let text = encoded_word::decode_with(b"[x]=?utf-8?q?glued?= =?x-what?q?raw?=", &mut defects);
/// assert_eq!(text, "[x]glued =?x-what?q?raw?=");
/// let told: Vec<_> = defects.iter().map(|d| (d.kind, d.offset)).collect();
/// assert_eq!(told, [(DefectKind::MisplacedEncodedWord, 3), (DefectKind::UnknownCharset, 21)]);
/// ```
pub fn decode_with<'a>(text: &'a [u8], defects: &mut Vec<Defect>) -> Cow<'a, str> {
    read_octets(text, 0, defects)
}

/// As [`decode`], for text that may be owned.
pub(crate) fn decode_cow(text: Cow<'_, [u8]>) -> Cow<'_, str> {
    read(text, 0, &mut ())
}

/// Decodes text that starts at `base` of what the defects count from.
pub(crate) fn read<'a>(text: Cow<'a, [u8]>, base: usize, report: &mut impl Report) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => read_octets(text, base, report),
        Cow::Owned(text) => Cow::Owned(read_octets(&text, base, report).into_owned()),
    }
}

fn read_octets<'a>(text: &'a [u8], base: usize, report: &mut impl Report) -> Cow<'a, str> {
    let mut decoder = Decoder::default();
    let mut raw = 0;
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'=', &text[at..]) {
        at += found;
        let rest = &text[at..];
        if rest.get(1) != Some(&b'?') {
            at += 1;
            continue;
        }
        let Some(word) = match_at(rest).or_else(|| match_unended(rest)) else {
            at += 2;
            continue;
        };
        let end = at + word.len;
        if !decoder.knows(word.charset) {
            report.defect(DefectKind::UnknownCharset, base + at);
            at += 2;
            continue;
        }
        if !rest[..word.len].ends_with(b"?=") || word.text.iter().any(|b| is_space(*b)) {
            report.defect(DefectKind::InvalidEncodedWord, base + at);
        }
        let apart = |byte: Option<&u8>, bracket| byte.is_none_or(|b| is_space(*b) || *b == bracket);
        if !(apart(at.checked_sub(1).map(|before| &text[before]), b'(') && apart(text.get(end), b')')) {
            report.defect(DefectKind::MisplacedEncodedWord, base + at);
        }
        decoder.raw(&text[raw..at], true, base + raw, report);
        decoder.word(&word, base + at, report);
        at = end;
        raw = at;
    }
    if raw == 0 {
        return guess(text, base, report);
    }
    decoder.raw(&text[raw..], false, base + raw, report);
    Cow::Owned(decoder.out)
}

fn guess<'a>(text: &'a [u8], at: usize, report: &mut impl Report) -> Cow<'a, str> {
    let guessed = charset::guess(text);
    // What is UTF-8 needs no octets of its own.
    if matches!(guessed, Cow::Owned(_)) {
        report.defect(DefectKind::UndecodableText, at);
    }
    guessed
}

/// Collects text; octets of neighbouring words of one charset are decoded together.
#[derive(Default)]
struct Decoder<'a> {
    out: String,
    charset: &'a [u8],
    /// What the label that came last means, so that a run of words looks for it once.
    last: Option<(&'a [u8], Option<Charset>)>,
    octets: Vec<u8>,
    /// Where the first of the words whose octets wait is.
    start: usize,
    after_word: bool,
}

impl<'a> Decoder<'a> {
    fn knows(&mut self, label: &'a [u8]) -> bool {
        let found = match self.last {
            Some((last, found)) if last == label => found,
            _ => Charset::find(label),
        };
        self.last = Some((label, found));
        found.is_some()
    }

    fn raw(&mut self, text: &[u8], word_follows: bool, at: usize, report: &mut impl Report) {
        let between_words = self.after_word && word_follows;
        if text.is_empty() || between_words && text.trim_ascii().is_empty() {
            if !word_follows {
                self.flush(report);
            }
            return;
        }
        self.flush(report);
        self.out.push_str(&guess(text, at, report));
        self.after_word = false;
    }

    fn word(&mut self, word: &Word<'a>, at: usize, report: &mut impl Report) {
        if !word.charset.eq_ignore_ascii_case(self.charset) || has_modes(word.charset) {
            self.flush(report);
            self.charset = word.charset;
        }
        if self.octets.is_empty() {
            self.start = at;
        }
        word.decode_into(&mut self.octets);
        self.after_word = true;
    }

    fn flush(&mut self, report: &mut impl Report) {
        if let Some(text) = charset::decode(self.charset, &self.octets) {
            if text.contains('\u{fffd}') {
                report.defect(DefectKind::UndecodableText, self.start);
            }
            self.out.push_str(&text);
        }
        self.octets.clear();
    }
}

/// Whether a charset switches modes by escapes: each word starts in ASCII and ends in it (RFC 2047 §3), and an
/// escape back right before another one is an error in a text of one piece.
fn has_modes(charset: &[u8]) -> bool {
    let starts = |prefix: &[u8]| {
        charset
            .get(..prefix.len())
            .is_some_and(|c| c.eq_ignore_ascii_case(prefix))
    };
    starts(b"iso-2022-") || starts(b"csiso2022") || starts(b"hz-") || starts(b"utf-7")
}

/// Space, and every other octet that can only separate: controls and DEL.
pub(crate) fn is_space(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f
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
            let whole = self.text.len().is_multiple_of(4);
            if !(whole && encodify::base64::STANDARD.decode_append(self.text, out).is_ok()) {
                out.extend_from_slice(&transfer::decode_base64(self.text));
            }
            return;
        }
        if encodify::qp::Q_TEXT.decode_append(self.text, out).is_ok() {
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
    // Without a way out in between, the compiler looks at many octets at a time.
    let is_odd = |text: &[u8]| text.iter().fold(false, |odd, b| odd | (*b < b' ' && *b != b'\t'));
    let (charset, text) = (&rest[..charset_len], &text[..text_len + 2]);
    if text[text_len + 1] != b'=' || charset.iter().any(u8::is_ascii_whitespace) || is_odd(text) {
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

/// The encoded word that `input` starts with and that lost its end: `=?utf-8?q?cut` or `=?utf-8?q?cut?`, up to a
/// space or the end.
fn match_unended(input: &[u8]) -> Option<Word<'_>> {
    let rest = input.strip_prefix(b"=?")?;
    let charset_len = memchr::memchr(b'?', rest)?;
    let [encoding, b'?', text @ ..] = rest.get(charset_len + 1..)? else {
        return None;
    };
    let base64 = matches!(encoding, b'b' | b'B');
    let charset = &rest[..charset_len];
    if !(base64 || matches!(encoding, b'q' | b'Q')) || charset.iter().any(u8::is_ascii_whitespace) {
        return None;
    }
    let is_end = |b: &u8| *b == b'?' || is_space(*b);
    let text_len = text.iter().position(is_end).unwrap_or(text.len());
    let mark = usize::from(text.get(text_len) == Some(&b'?'));
    let ends = text.get(text_len + mark).is_none_or(|b| is_space(*b));
    (ends && text_len > 0).then(|| Word {
        charset: charset.split(|b| *b == b'*').next().unwrap_or(charset),
        base64,
        text: &text[..text_len],
        len: 2 + charset_len + 3 + text_len + mark,
    })
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
            (
                "=?ISO-2022-JP?B?GyRCJUYlOSVIGyhC?=  =?iso-2022-jp?B?GyRCJUYlOSVIGyhC?=",
                "テストテスト",
            ),
            ("a=?utf-8?Q?b?=c", "abc"),
            ("=?utf-8?Q?with space?=", "with space"),
            ("=?utf-8*en?Q?lang?=", "lang"),
            ("=?x-unknown?Q?a?= b", "=?x-unknown?Q?a?= b"),
            ("=?utf-8?X?a?=", "=?utf-8?X?a?="),
            ("=?utf-8?Q?never=20ends", "never ends"),
            ("=?utf-8?B?Y2Fmw6k? here", "café here"),
            ("=?utf-8?Q?", "=?utf-8?Q?"),
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
    fn what_is_odd_is_told() {
        use DefectKind::*;
        for (input, want) in [
            ("a =?utf-8?q?b?= (=?utf-8?q?c?=)", &[][..]),
            ("=?utf-8?q?caf=C3?= =?utf-8?q?=A9?=", &[]),
            ("x =?utf-8?q?a b?=", &[(InvalidEncodedWord, 2)]),
            ("=?utf-8?q?a", &[(InvalidEncodedWord, 0)]),
            ("x=?utf-8?q?a?=", &[(MisplacedEncodedWord, 1)]),
            ("=?utf-8?q?a?=x", &[(MisplacedEncodedWord, 0)]),
            ("=?x-y?q?a?=", &[(UnknownCharset, 0)]),
            ("a =?utf-8?q?=C3?= b", &[(UndecodableText, 2)]),
        ] {
            let mut defects = Vec::new();
            let _ = decode_with(input.as_bytes(), &mut defects);
            let told: Vec<_> = defects.iter().map(|d| (d.kind, d.offset)).collect();
            assert_eq!(told, want, "{input}");
        }
        let mut defects = Vec::new();
        let _ = decode_with(b"=?utf-8?q?a?= \xe9", &mut defects);
        assert_eq!((defects[0].kind, defects[0].offset), (UndecodableText, 13));
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
