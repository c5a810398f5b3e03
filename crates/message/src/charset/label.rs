//! Labels of charsets (IANA character sets, WHATWG Encoding) and how mail misspells them

use encoding_rs::{self as rs, Encoding};

use super::Kind;
use super::shift::Scheme;
use super::tables::{self, Table};
use super::utf::{Dialect, Order};

pub(super) fn find(label: &[u8]) -> Option<Kind> {
    let mut key = [0; 40];
    let key = normalise(label, &mut key)?;
    // Ours come first: the standard has some labels stand for something else, or for nothing.
    own(key)
        .or_else(|| number(key).and_then(page))
        .or_else(|| standard(label.trim_ascii()))
        .or_else(|| standard_by_key(key))
}

/// Small letters and digits of a label alone, without what iconv lets one add (`//TRANSLIT`) and without a year
/// (`:1987`).
fn normalise<'a>(label: &[u8], key: &'a mut [u8; 40]) -> Option<&'a [u8]> {
    let label = label.trim_ascii();
    let label = match label {
        [b'c' | b'C', ..]
            if label
                .get(..8)
                .is_some_and(|p| p.eq_ignore_ascii_case(b"charset=")) =>
        {
            &label[8..]
        }
        _ => label,
    };
    let mut len = 0;
    for byte in label {
        if matches!(byte, b'/' | b':') {
            break;
        }
        if byte.is_ascii_alphanumeric() {
            *key.get_mut(len)? = byte.to_ascii_lowercase();
            len += 1;
        } else if !matches!(
            byte,
            b'-' | b'_' | b'.' | b' ' | b'"' | b'\'' | b'(' | b')' | b'='
        ) {
            return None;
        }
    }
    (len > 0).then_some(&key[..len])
}

fn own(key: &[u8]) -> Option<Kind> {
    let key = key
        .strip_prefix(b"x")
        .filter(|rest| rest.len() > 2)
        .unwrap_or(key);
    Some(match key {
        b"usascii" | b"ascii" | b"ansix341968" | b"ansix341986" | b"isoir6" | b"iso646us" | b"iso646irv"
        | b"us" | b"csascii" | b"646" | b"default" | b"none" | b"unknown8bit" | b"8bit" | b"7bit" => {
            Kind::Ascii
        }
        b"utf7" | b"unicode11utf7" | b"unicode20utf7" | b"csutf7" | b"csunicode11utf7" | b"utf7text" => {
            Kind::Utf7(Dialect::Text)
        }
        b"utf7imap" | b"imap4utf7" | b"imaputf7" | b"imap4modifiedutf7" => Kind::Utf7(Dialect::Imap),
        b"utf16" | b"csutf16" | b"utf16bom" => Kind::Utf16,
        b"utf32" | b"csutf32" | b"ucs4" | b"iso10646ucs4" | b"csucs4" => Kind::Utf32(Order::Told),
        b"utf32be" | b"csutf32be" | b"ucs4be" => Kind::Utf32(Order::Big),
        b"utf32le" | b"csutf32le" | b"ucs4le" => Kind::Utf32(Order::Little),
        b"iso2022kr" | b"csiso2022kr" => Kind::Shifted(Scheme::Korean),
        b"iso2022cn" | b"csiso2022cn" | b"iso2022cnext" | b"csiso2022cnext" => Kind::Shifted(Scheme::Chinese),
        b"hz" | b"hzgb2312" | b"hzgb" => Kind::Shifted(Scheme::Hz),
        b"koi8t" | b"cskoi8t" => Kind::Table("KOI8-T", &tables::KOI8_T),
        b"kz1048" | b"strk10482002" | b"rk1048" | b"cskz1048" => Kind::Table("KZ-1048", &tables::KZ1048),
        b"ptcp154" | b"cp154" | b"csptcp154" | b"cyrillicasian" => Kind::Table("PTCP154", &tables::PTCP154),
        b"pc8codepage437" | b"cspc8codepage437" => table("IBM437", &tables::CP437),
        b"pcmultilingual850euro" => table("IBM00858", &tables::CP858),
        b"hproman8" | b"roman8" | b"r8" | b"cshproman8" => table("hp-roman8", &tables::HP_ROMAN8),
        b"macce" | b"maccentraleurope" | b"maccentraleurroman" | b"maclatin2" => {
            table("x-mac-ce", &tables::MAC_LATIN2)
        }
        b"macgreek" => table("x-mac-greek", &tables::MAC_GREEK),
        b"macicelandic" | b"maciceland" => table("x-mac-icelandic", &tables::MAC_ICELAND),
        b"macturkish" => table("x-mac-turkish", &tables::MAC_TURKISH),
        b"maccroatian" => table("x-mac-croatian", &tables::MAC_CROATIAN),
        b"macromanian" | b"macromania" => table("x-mac-romanian", &tables::MAC_ROMANIAN),
        b"macarabic" => table("x-mac-arabic", &tables::MAC_ARABIC),
        b"macfarsi" => table("x-mac-farsi", &tables::MAC_FARSI),
        _ => return None,
    })
}

fn table(name: &'static str, table: &'static Table) -> Kind {
    Kind::Table(name, table)
}

/// The number of a code page: of `cp-1252`, `windows1250`, `IBM437`, `cspc850multilingual`.
fn number(key: &[u8]) -> Option<u32> {
    let start = key.iter().position(u8::is_ascii_digit)?;
    let (prefix, rest) = key.split_at(start);
    const PREFIXES: [&[u8]; 23] = [
        b"",
        b"cp",
        b"xcp",
        b"win",
        b"windows",
        b"xwindows",
        b"xwin",
        b"cswindows",
        b"ibm",
        b"xibm",
        b"csibm",
        b"ms",
        b"mswin",
        b"dos",
        b"oem",
        b"codepage",
        b"ansi",
        b"ccsid",
        b"cspc",
        b"pc",
        b"cscp",
        b"microsoftcp",
        b"windowscp",
    ];
    if !PREFIXES.contains(&prefix) {
        return None;
    }
    let len = rest
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(rest.len());
    let (digits, suffix) = rest.split_at(len);
    // What Windows, IANA and Java write behind a number.
    const SUFFIXES: [&[u8]; 12] = [
        b"",
        b"multilingual",
        b"latinhebrew",
        b"danishnorwegian",
        b"cyrillic",
        b"euro",
        b"baltic",
        b"greek",
        b"p",
        b"thai",
        b"nec",
        b"k",
    ];
    if digits.len() > 5
        || !(SUFFIXES.contains(&suffix) || prefix.starts_with(b"cspc") && suffix.starts_with(b"p"))
    {
        return None;
    }
    Some(digits.iter().fold(0, |n, digit| n * 10 + u32::from(digit - b'0')))
}

fn page(number: u32) -> Option<Kind> {
    let encoding = match number {
        1250 => rs::WINDOWS_1250,
        1251 => rs::WINDOWS_1251,
        1252 | 819 | 28591 => rs::WINDOWS_1252,
        1253 => rs::WINDOWS_1253,
        1254 | 920 | 28599 => rs::WINDOWS_1254,
        1255 => rs::WINDOWS_1255,
        1256 => rs::WINDOWS_1256,
        1257 => rs::WINDOWS_1257,
        1258 => rs::WINDOWS_1258,
        866 => rs::IBM866,
        874 | 28601 => rs::WINDOWS_874,
        912 | 28592 => rs::ISO_8859_2,
        913 | 28593 => rs::ISO_8859_3,
        914 | 28594 => rs::ISO_8859_4,
        915 | 28595 => rs::ISO_8859_5,
        1089 | 28596 => rs::ISO_8859_6,
        813 | 28597 => rs::ISO_8859_7,
        916 | 28598 => rs::ISO_8859_8,
        38598 => rs::ISO_8859_8_I,
        28603 | 921 => rs::ISO_8859_13,
        923 | 28605 => rs::ISO_8859_15,
        932 | 943 | 31 => rs::SHIFT_JIS,
        936 | 1386 | 51936 | 20936 => rs::GBK,
        949 | 1363 | 51949 | 970 => rs::EUC_KR,
        950 | 951 | 1370 => rs::BIG5,
        878 | 20866 => rs::KOI8_R,
        1168 | 21866 => rs::KOI8_U,
        1200 => rs::UTF_16LE,
        1201 => rs::UTF_16BE,
        1208 | 65001 => rs::UTF_8,
        10000 => rs::MACINTOSH,
        10007 | 10017 => rs::X_MAC_CYRILLIC,
        20932 | 51932 => rs::EUC_JP,
        50220..=50222 => rs::ISO_2022_JP,
        54936 => rs::GB18030,
        _ => return special_page(number),
    };
    Some(Kind::Standard(encoding))
}

fn special_page(number: u32) -> Option<Kind> {
    Some(match number {
        367 | 20127 => Kind::Ascii,
        437 => table("IBM437", &tables::CP437),
        720 => table("CP720", &tables::CP720),
        737 => table("CP737", &tables::CP737),
        775 => table("IBM775", &tables::CP775),
        850 => table("IBM850", &tables::CP850),
        852 => table("IBM852", &tables::CP852),
        855 => table("IBM855", &tables::CP855),
        857 => table("IBM857", &tables::CP857),
        858 => table("IBM00858", &tables::CP858),
        860 => table("IBM860", &tables::CP860),
        861 => table("IBM861", &tables::CP861),
        862 => table("IBM862", &tables::CP862),
        863 => table("IBM863", &tables::CP863),
        864 => table("IBM864", &tables::CP864),
        865 => table("IBM865", &tables::CP865),
        869 => table("IBM869", &tables::CP869),
        1006 => table("CP1006", &tables::CP1006),
        1051 => table("hp-roman8", &tables::HP_ROMAN8),
        1125 => table("CP1125", &tables::CP1125),
        10004 => table("x-mac-arabic", &tables::MAC_ARABIC),
        10006 => table("x-mac-greek", &tables::MAC_GREEK),
        10010 => table("x-mac-romanian", &tables::MAC_ROMANIAN),
        10029 => table("x-mac-ce", &tables::MAC_LATIN2),
        10079 => table("x-mac-icelandic", &tables::MAC_ICELAND),
        10081 => table("x-mac-turkish", &tables::MAC_TURKISH),
        10082 => table("x-mac-croatian", &tables::MAC_CROATIAN),
        12000 => Kind::Utf32(Order::Little),
        12001 => Kind::Utf32(Order::Big),
        50225 => Kind::Shifted(Scheme::Korean),
        50227 => Kind::Shifted(Scheme::Chinese),
        52936 => Kind::Shifted(Scheme::Hz),
        65000 => Kind::Utf7(Dialect::Text),
        _ => return None,
    })
}

fn standard(label: &[u8]) -> Option<Kind> {
    let encoding = Encoding::for_label(label)?;
    // "Replacement" decodes nothing: it stands for the charsets a browser must refuse.
    (encoding != rs::REPLACEMENT).then_some(Kind::Standard(encoding))
}

/// What the standard has under a label with other punctuation.
fn standard_by_key(key: &[u8]) -> Option<Kind> {
    if let Some(kind) = standard(key) {
        return Some(kind);
    }
    for prefix in [
        &b"iso8859"[..],
        b"8859",
        b"iso885",
        b"xiso8859",
        b"is8859",
        b"iso",
    ] {
        if let Some(part) = key.strip_prefix(prefix) {
            let found = iso_8859(part);
            if found.is_some() {
                return found.map(Kind::Standard);
            }
        }
    }
    let key = key
        .strip_prefix(b"cs")
        .or_else(|| key.strip_prefix(b"x"))
        .unwrap_or(key);
    if let Some(kind) = standard(key) {
        return Some(kind);
    }
    Some(Kind::Standard(match key {
        b"utf8mb4" | b"utf8mb3" | b"unicode11utf8" | b"utf8bom" | b"utf8strict" | b"uft8" | b"utf"
        | b"ut8" => rs::UTF_8,
        b"latin2" | b"isolatin2" => rs::ISO_8859_2,
        b"latin" | b"isolatin1" | b"iso88591windows30latin1" | b"windows31latin1" => rs::WINDOWS_1252,
        b"latin9" | b"latin0" => rs::ISO_8859_15,
        b"latin10" => rs::ISO_8859_16,
        b"latin7" => rs::ISO_8859_13,
        b"latin8" => rs::ISO_8859_14,
        b"iso8859e" | b"iso88598e" => rs::ISO_8859_8,
        b"utf16be" | b"ucs2be" => rs::UTF_16BE,
        b"utf16le" | b"ucs2" | b"iso10646ucs2" | b"unicode" | b"ucs2le" | b"unicodelittle" => rs::UTF_16LE,
        b"gb2312" | b"gb231280" | b"euccn" | b"eucgb2312cn" | b"chinesegb" | b"iso58gb231280" => rs::GBK,
        b"gb18030" | b"gb180302000" | b"gb180302005" => rs::GB18030,
        b"big5" | b"big5hkscs" | b"big5hkscs2004" | b"big5eten" | b"big5tw" | b"big5plus" => rs::BIG5,
        b"ksc5601" | b"ksc56011987" | b"ksx1001" | b"euckr" | b"uhc" | b"ksc" | b"johabwansung" => rs::EUC_KR,
        b"eucjp" | b"ujis" | b"eucjpms" | b"extendedunixcodepackedformatforjapanese" => rs::EUC_JP,
        b"sjis" | b"shiftjis" | b"shiftjis2004" | b"mskanji" | b"windows31j" | b"sjiswin" => rs::SHIFT_JIS,
        b"jis" | b"iso2022jp" | b"iso2022jp1" | b"iso2022jp2" | b"iso2022jp3" | b"iso2022jp2004"
        | b"iso2022jpext" | b"iso2022jpms" => rs::ISO_2022_JP,
        b"koi8r" | b"koi8" => rs::KOI8_R,
        b"koi8u" | b"koi8ru" => rs::KOI8_U,
        b"tis620" | b"tis6200" | b"tis62025330" | b"tis62025331" | b"iso885911" | b"thai" => rs::WINDOWS_874,
        b"macroman" | b"mac" | b"macintosh" | b"applemacintosh" => rs::MACINTOSH,
        b"maccyrillic" | b"macukrainian" | b"macukraine" => rs::X_MAC_CYRILLIC,
        _ => return None,
    }))
}

/// The encoding of a part of ISO 8859. The standard takes some for their supersets.
fn iso_8859(part: &[u8]) -> Option<&'static Encoding> {
    Some(match part {
        b"1" | b"01" => rs::WINDOWS_1252,
        b"2" | b"02" => rs::ISO_8859_2,
        b"3" | b"03" => rs::ISO_8859_3,
        b"4" | b"04" => rs::ISO_8859_4,
        b"5" | b"05" => rs::ISO_8859_5,
        b"6" | b"06" | b"6e" | b"6i" => rs::ISO_8859_6,
        b"7" | b"07" => rs::ISO_8859_7,
        b"8" | b"08" | b"8e" => rs::ISO_8859_8,
        b"8i" => rs::ISO_8859_8_I,
        b"9" | b"09" | b"9e" => rs::WINDOWS_1254,
        b"10" => rs::ISO_8859_10,
        b"11" => rs::WINDOWS_874,
        b"13" => rs::ISO_8859_13,
        b"14" => rs::ISO_8859_14,
        b"15" => rs::ISO_8859_15,
        b"16" => rs::ISO_8859_16,
        _ => return None,
    })
}
