//! Charsets to UTF-8 (RFC 2045 §5.1, WHATWG Encoding)

use std::borrow::Cow;

use encoding_rs::Encoding;

/// Decodes text in a named charset; `None` when the charset is not known.
///
/// Octets that mean nothing in the charset become U+FFFD. Text that is labelled as ASCII but is UTF-8 is taken
/// as UTF-8.
pub fn decode<'a>(label: &[u8], text: &'a [u8]) -> Option<Cow<'a, str>> {
    let encoding = find(label)?;
    if encoding == encoding_rs::WINDOWS_1252 && is_ascii_label(label) {
        return Some(guess(text));
    }
    Some(encoding.decode_with_bom_removal(text).0)
}

/// Decodes text without a charset: as UTF-8 where it is, else as Windows-1252.
pub fn guess(text: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(text) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(text).0,
    }
}

/// Whether [`decode`] knows the charset.
pub fn is_known(label: &[u8]) -> bool {
    find(label).is_some()
}

pub(crate) fn find(label: &[u8]) -> Option<&'static Encoding> {
    let label = label.trim_ascii();
    let encoding = Encoding::for_label(label).or_else(|| alias(label))?;
    // "Replacement" decodes nothing: it stands for the charsets a browser must refuse.
    (encoding != encoding_rs::REPLACEMENT).then_some(encoding)
}

fn is_ascii_label(label: &[u8]) -> bool {
    let label = label.trim_ascii();
    [&b"us-ascii"[..], b"ascii", b"ansi_x3.4-1968"]
        .iter()
        .any(|ascii| label.eq_ignore_ascii_case(ascii))
}

/// Names that mail uses and the Encoding standard does not list.
fn alias(label: &[u8]) -> Option<&'static Encoding> {
    let mut lower = [0; 24];
    let lower = lower.get_mut(..label.len())?;
    lower.copy_from_slice(label);
    lower.make_ascii_lowercase();
    for prefix in [&b"cp-"[..], b"cp", b"win-", b"windows", b"x-windows-", b"ms-"] {
        if let Some(page) = lower.strip_prefix(prefix) {
            return code_page(page.strip_prefix(b"-").unwrap_or(page));
        }
    }
    Some(match &*lower {
        b"utf_8" | b"utf8mb4" | b"x-utf-8" => encoding_rs::UTF_8,
        b"iso8859_1" | b"iso_8859_1" | b"iso-8859_1" | b"latin-1" | b"8859-1" => encoding_rs::WINDOWS_1252,
        b"iso-8859-8-e" => encoding_rs::ISO_8859_8,
        b"ks_c_5601" | b"x-euc-kr" | b"ms949" => encoding_rs::EUC_KR,
        b"eucjp" | b"euc_jp" => encoding_rs::EUC_JP,
        b"sjis" | b"shift-jis" => encoding_rs::SHIFT_JIS,
        b"gb-2312" | b"gb2312-80" | b"euc-cn" => encoding_rs::GBK,
        b"big-5" | b"big5hkscs" => encoding_rs::BIG5,
        b"koi8r" => encoding_rs::KOI8_R,
        b"koi8u" => encoding_rs::KOI8_U,
        b"tis620" => encoding_rs::WINDOWS_874,
        _ => return None,
    })
}

fn code_page(page: &[u8]) -> Option<&'static Encoding> {
    Some(match page {
        b"1250" => encoding_rs::WINDOWS_1250,
        b"1251" => encoding_rs::WINDOWS_1251,
        b"1252" => encoding_rs::WINDOWS_1252,
        b"1253" => encoding_rs::WINDOWS_1253,
        b"1254" => encoding_rs::WINDOWS_1254,
        b"1255" => encoding_rs::WINDOWS_1255,
        b"1256" => encoding_rs::WINDOWS_1256,
        b"1257" => encoding_rs::WINDOWS_1257,
        b"1258" => encoding_rs::WINDOWS_1258,
        b"866" => encoding_rs::IBM866,
        b"874" => encoding_rs::WINDOWS_874,
        b"932" | b"31j" => encoding_rs::SHIFT_JIS,
        b"936" => encoding_rs::GBK,
        b"949" => encoding_rs::EUC_KR,
        b"950" => encoding_rs::BIG5,
        b"65001" => encoding_rs::UTF_8,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_labels_and_their_aliases() {
        for (label, octets, text) in [
            ("ISO-8859-1", &b"caf\xe9"[..], "café"),
            ("utf-8", "café".as_bytes(), "café"),
            (" \"utf-8".trim_start_matches([' ', '"']), "é".as_bytes(), "é"),
            ("us-ascii", "é".as_bytes(), "é"),
            ("us-ascii", b"\xe9", "é"),
            ("KOI8-R", b"\xf0\xd2", "Пр"),
            ("cp-1252", b"\x80", "€"),
            ("win-1251", b"\xcf", "П"),
            ("windows1250", b"\x8a", "Š"),
            ("CP866", b"\x8f", "П"),
            ("iso-2022-jp", b"\x1b$B$3\x1b(B", "こ"),
            ("gb-2312", b"\xb0\xa1", "啊"),
            ("latin-1", b"\xfc", "ü"),
        ] {
            assert_eq!(decode(label.as_bytes(), octets).unwrap(), text, "{label}");
        }
    }

    #[test]
    fn unknown_charsets_are_told() {
        for label in [
            "",
            "x-unknown",
            "iso-2022-kr",
            "cp-99999",
            "a-label-that-is-longer-than-any-known-one",
        ] {
            assert_eq!(decode(label.as_bytes(), b"x"), None, "{label}");
            assert!(!is_known(label.as_bytes()));
        }
        assert_eq!(guess(b"\x93hi\x94"), "“hi”");
    }
}
