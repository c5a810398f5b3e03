//! Charsets: the labels in common use, each against what Python's codecs make of the same octets.

use mailwright_message::charset::{self, Charset};
use proptest::prelude::*;

/// Label, octets, and the text that Python 3.11 decodes them to, with the codec of that name or the one it is
/// an alias of.
#[rustfmt::skip]
const LABELS: &[(&str, &[u8], &str)] = &[
    ("us-ascii", b"plain text", "plain text"),
    ("ASCII", b"plain text", "plain text"),
    ("ansi_x3.4-1968", b"plain text", "plain text"),
    ("us-ascii//translit", b"plain text", "plain text"),
    ("iso-ir-6", b"plain text", "plain text"),
    ("utf-8", b"Gr\xc3\xbc\xc3\x9fe, \xe4\xb8\x96\xe7\x95\x8c \xe2\x98\xba", "Grüße, 世界 ☺"),
    ("UTF8", b"Gr\xc3\xbc\xc3\x9fe, \xe4\xb8\x96\xe7\x95\x8c \xe2\x98\xba", "Grüße, 世界 ☺"),
    ("utf_8", b"Gr\xc3\xbc\xc3\x9fe, \xe4\xb8\x96\xe7\x95\x8c \xe2\x98\xba", "Grüße, 世界 ☺"),
    ("utf8mb4", b"Gr\xc3\xbc\xc3\x9fe, \xe4\xb8\x96\xe7\x95\x8c \xe2\x98\xba", "Grüße, 世界 ☺"),
    ("unicode-1-1-utf-8", b"Gr\xc3\xbc\xc3\x9fe, \xe4\xb8\x96\xe7\x95\x8c \xe2\x98\xba", "Grüße, 世界 ☺"),
    ("cp65001", b"Gr\xc3\xbc\xc3\x9fe, \xe4\xb8\x96\xe7\x95\x8c \xe2\x98\xba", "Grüße, 世界 ☺"),
    ("iso-8859-1", b"Caf\xe9, na\xefve, \xc4rger", "Café, naïve, Ärger"),
    ("ISO8859-1", b"Caf\xe9, na\xefve, \xc4rger", "Café, naïve, Ärger"),
    ("iso8859_1", b"Caf\xe9, na\xefve, \xc4rger", "Café, naïve, Ärger"),
    ("iso_8859-1:1987", b"Caf\xe9, na\xefve, \xc4rger", "Café, naïve, Ärger"),
    ("latin1", b"Caf\xe9, na\xefve, \xc4rger", "Café, naïve, Ärger"),
    ("latin-1", b"Caf\xe9, na\xefve, \xc4rger", "Café, naïve, Ärger"),
    ("l1", b"Caf\xe9, na\xefve, \xc4rger", "Café, naïve, Ärger"),
    ("8859-1", b"Caf\xe9, na\xefve, \xc4rger", "Café, naïve, Ärger"),
    ("cp819", b"Caf\xe9, na\xefve, \xc4rger", "Café, naïve, Ärger"),
    ("iso-8859-2", b"\xaelu\xbbou\xe8k\xfd k\xf9\xf2", "Žluťoučký kůň"),
    ("latin2", b"\xaelu\xbbou\xe8k\xfd k\xf9\xf2", "Žluťoučký kůň"),
    ("latin-2", b"\xaelu\xbbou\xe8k\xfd k\xf9\xf2", "Žluťoučký kůň"),
    ("iso-8859-3", b"\xc6u \xfei \xbca\xfdde", "Ĉu ŝi ĵaŭde"),
    ("iso-8859-4", b"\xaa\xbb\xb6\xb9", "Ēģļš"),
    ("iso-8859-5", b"\xbf\xe0\xd8\xd2\xd5\xe2, \xdc\xd8\xe0", "Привет, мир"),
    ("iso-8859-6", b"\xe5\xd1\xcd\xc8\xc7", "\u{645}\u{631}\u{62d}\u{628}\u{627}"),
    ("iso-8859-7", b"\xca\xe1\xeb\xe7\xec\xdd\xf1\xe1", "Καλημέρα"),
    ("iso-8859-8", b"\xf9\xec\xe5\xed", "\u{5e9}\u{5dc}\u{5d5}\u{5dd}"),
    ("iso-8859-8-i", b"\xf9\xec\xe5\xed", "\u{5e9}\u{5dc}\u{5d5}\u{5dd}"),
    ("iso-8859-9", b"\xdd\xf0ne\xfe \xfd\xfe", "İğneş ış"),
    ("latin5", b"\xdd\xf0ne\xfe \xfd\xfe", "İğneş ış"),
    ("iso-8859-10", b"\xa9\xba\xbc\xbf", "Đšžŋ"),
    ("iso-8859-11", b"\xca\xc7\xd1\xca\xb4\xd5", "สว\u{e31}สด\u{e35}"),
    ("iso-8859-13", b"\xc0\xfeuolas \xf0\xe1\xe6\xeb", "Ąžuolas šįęė"),
    ("iso-8859-14", b"\xd0\xfe\xba", "Ŵŷẃ"),
    ("iso-8859-15", b"100 \xa4, \xbcuvre", "100 €, Œuvre"),
    ("latin-9", b"100 \xa4, \xbcuvre", "100 €, Œuvre"),
    ("iso-8859-16", b"\xdear\xe3, \xeen\xba\xe3", "Țară, înșă"),
    ("windows-1250", b"\x8elu\x9dou\xe8k\xfd k\xf9\xf2", "Žluťoučký kůň"),
    ("windows-1251", b"\xcf\xf0\xe8\xe2\xe5\xf2, \xec\xe8\xf0", "Привет, мир"),
    ("windows-1252", b"100 \x80, \x8cuvre", "100 €, Œuvre"),
    ("windows-1253", b"\xca\xe1\xeb\xe7\xec\xdd\xf1\xe1", "Καλημέρα"),
    ("windows-1254", b"\xdd\xf0ne\xfe \xfd\xfe", "İğneş ış"),
    ("windows-1255", b"\xf9\xec\xe5\xed", "\u{5e9}\u{5dc}\u{5d5}\u{5dd}"),
    ("windows-1256", b"\xe3\xd1\xcd\xc8\xc7", "\u{645}\u{631}\u{62d}\u{628}\u{627}"),
    ("windows-1257", b"\xc0\xfeuolas \xf0\xe1\xe6\xeb", "Ąžuolas šįęė"),
    ("windows-1258", b"Caf\xe9, na\xefve, \xc4rger", "Café, naïve, Ärger"),
    ("cp1251", b"\xcf\xf0\xe8\xe2\xe5\xf2, \xec\xe8\xf0", "Привет, мир"),
    ("cp-1252", b"100 \x80, \x8cuvre", "100 €, Œuvre"),
    ("win-1251", b"\xcf\xf0\xe8\xe2\xe5\xf2, \xec\xe8\xf0", "Привет, мир"),
    ("windows1250", b"\x8elu\x9dou\xe8k\xfd k\xf9\xf2", "Žluťoučký kůň"),
    ("x-cp1251", b"\xcf\xf0\xe8\xe2\xe5\xf2, \xec\xe8\xf0", "Привет, мир"),
    ("ansi-1251", b"\xcf\xf0\xe8\xe2\xe5\xf2, \xec\xe8\xf0", "Привет, мир"),
    ("koi8-r", b"\xf0\xd2\xc9\xd7\xc5\xd4, \xcd\xc9\xd2", "Привет, мир"),
    ("koi8r", b"\xf0\xd2\xc9\xd7\xc5\xd4, \xcd\xc9\xd2", "Привет, мир"),
    ("koi8-u", b"\xbd\xc1\xce\xcf\xcb \xa7\xd6\xc1\xcb", "Ґанок їжак"),
    ("koi8-ru", b"\xbd\xc1\xce\xcf\xcb \xa7\xd6\xc1\xcb", "Ґанок їжак"),
    ("koi8-t", b"\x8e\xd5\xcd\x8a\xd5\xd2\xa5", "Ҷумҳурӣ"),
    ("kz-1048", b"\x8d\xe0\xe7\xe0\x9d \xf2\xb3\xeb\xb3", "Қазақ тілі"),
    ("ptcp154", b"\x8d\xe0\xe7\xe0\x9d \xf2\xb3\xeb\xb3", "Қазақ тілі"),
    ("ibm437", b"\x9an\x8bc\x94d\x82 \xb0\xb1\xb2", "Ünïcödé ░▒▓"),
    ("cp437", b"\x9an\x8bc\x94d\x82 \xb0\xb1\xb2", "Ünïcödé ░▒▓"),
    ("cp720", b"\xea\xa9\xa5\xa0\x9f", "\u{645}\u{631}\u{62d}\u{628}\u{627}"),
    ("cp737", b"\x89\x98\xa2\x9e\xa3\xe2\xa8\x98", "Καλημέρα"),
    ("cp775", b"\xb5\xd8uolas \xd5\xd4\xd2\xd3", "Ąžuolas šįęė"),
    ("ibm850", b"Caf\x82, na\x8bve, \x8erger", "Café, naïve, Ärger"),
    ("cp-850", b"Caf\x82, na\x8bve, \x8erger", "Café, naïve, Ärger"),
    ("dos-850", b"Caf\x82, na\x8bve, \x8erger", "Café, naïve, Ärger"),
    ("ibm852", b"\xa6lu\x9cou\x9fk\xec k\x85\xe5", "Žluťoučký kůň"),
    ("cp855", b"\xdd\xe1\xb7\xeb\xa8\xe5, \xd2\xb7\xe1", "Привет, мир"),
    ("cp857", b"\x98\xa7ne\x9f \x8d\x9f", "İğneş ış"),
    ("cp858", b"Caf\x82, na\x8bve, \x8erger", "Café, naïve, Ärger"),
    ("cp860", b"Caf\x82, nave, rger", "Café, nave, rger"),
    ("cp861", b"\x92\x9b\x86\x8c\x95", "Æøåðþ"),
    ("cp862", b"\x99\x8c\x85\x8d", "\u{5e9}\u{5dc}\u{5d5}\u{5dd}"),
    ("cp863", b"Caf\x82, na\x8bve, rger", "Café, naïve, rger"),
    ("cp864", b"\xc1\xc2\xc3\xc4\xc5\xc6\xc7\xc8\xc9\xca", "\u{fe80}\u{fe81}\u{fe83}\u{fe85}\u{feca}\u{fe8b}\u{fe8d}\u{fe91}\u{fe93}\u{fe97}"),
    ("cp865", b"\x92\x9b\x86", "Æøå"),
    ("cp866", b"\x8f\xe0\xa8\xa2\xa5\xe2, \xac\xa8\xe0", "Привет, мир"),
    ("ibm869", b"\xb5\xd6\xe5\xe1\xe6\x9d\xeb\xd6", "Καλημέρα"),
    ("cp874", b"\xca\xc7\xd1\xca\xb4\xd5", "สว\u{e31}สด\u{e35}"),
    ("cp1125", b"\xf2\xa0\xad\xae\xaa \xf9\xa6\xa0\xaa", "Ґанок їжак"),
    ("macintosh", b"Caf\x8e, na\x95ve, \x80rger", "Café, naïve, Ärger"),
    ("x-mac-roman", b"Caf\x8e, na\x95ve, \x80rger", "Café, naïve, Ärger"),
    ("x-mac-cyrillic", b"\x8f\xf0\xe8\xe2\xe5\xf2, \xec\xe8\xf0", "Привет, мир"),
    ("x-mac-greek", b"\xba\xe1\xec\xe8\xed\xdb\xf2\xe1", "Καλημέρα"),
    ("x-mac-ce", b"\xeblu\xe9ou\x8bk\xf9 k\xf3\xcb", "Žluťoučký kůň"),
    ("x-mac-turkish", b"\xdc\xdbne\xdf \xdd\xdf", "İğneş ış"),
    ("x-mac-icelandic", b"\xae\xbf\x8c\xdd\xdf", "Æøåðþ"),
    ("x-mac-croatian", b"\xd0\xb9\xbe", "Đšž"),
    ("x-mac-romanian", b"\xdear\xbe, \x94n\xbf\xbe", "Țară, înșă"),
    ("hp-roman8", b"Caf\xc5, na\xddve, \xd8rger", "Café, naïve, Ärger"),
    ("tis-620", b"\xca\xc7\xd1\xca\xb4\xd5", "สว\u{e31}สด\u{e35}"),
    ("tis620", b"\xca\xc7\xd1\xca\xb4\xd5", "สว\u{e31}สด\u{e35}"),
    ("shift_jis", b"\x82\xb1\x82\xf1\x82\xc9\x82\xbf\x82\xcd\x90\xa2\x8aE", "こんにちは世界"),
    ("sjis", b"\x82\xb1\x82\xf1\x82\xc9\x82\xbf\x82\xcd\x90\xa2\x8aE", "こんにちは世界"),
    ("cp932", b"\x82\xb1\x82\xf1\x82\xc9\x82\xbf\x82\xcd\x90\xa2\x8aE", "こんにちは世界"),
    ("windows-31j", b"\x82\xb1\x82\xf1\x82\xc9\x82\xbf\x82\xcd\x90\xa2\x8aE", "こんにちは世界"),
    ("euc-jp", b"\xa4\xb3\xa4\xf3\xa4\xcb\xa4\xc1\xa4\xcf\xc0\xa4\xb3\xa6", "こんにちは世界"),
    ("eucjp", b"\xa4\xb3\xa4\xf3\xa4\xcb\xa4\xc1\xa4\xcf\xc0\xa4\xb3\xa6", "こんにちは世界"),
    ("iso-2022-jp", b"\x1b$B$3$s$K$A$O@$3&\x1b(B", "こんにちは世界"),
    ("iso-2022-jp-2", b"\x1b$B$3$s$K$A$O@$3&\x1b(B", "こんにちは世界"),
    ("euc-kr", b"\xbe\xc8\xb3\xe7\xc7\xcf\xbc\xbc\xbf\xe4", "안녕하세요"),
    ("ks_c_5601-1987", b"\xbe\xc8\xb3\xe7\xc7\xcf\xbc\xbc\xbf\xe4", "안녕하세요"),
    ("cp949", b"\xbe\xc8\xb3\xe7\xc7\xcf\xbc\xbc\xbf\xe4", "안녕하세요"),
    ("iso-2022-kr", b"\x1b$)C\x0e>H3gGO<<?d\x0f", "안녕하세요"),
    ("gb2312", b"\xc4\xe3\xba\xc3,\xca\xc0\xbd\xe7", "你好,世界"),
    ("gb-2312", b"\xc4\xe3\xba\xc3,\xca\xc0\xbd\xe7", "你好,世界"),
    ("gbk", b"\xc4\xe3\xba\xc3,\xca\xc0\xbd\xe7", "你好,世界"),
    ("cp936", b"\xc4\xe3\xba\xc3,\xca\xc0\xbd\xe7", "你好,世界"),
    ("gb18030", b"Gr\xa8\xb9\x810\x898e, \xca\xc0\xbd\xe7 \x817\xa82", "Grüße, 世界 ☺"),
    ("hz-gb-2312", b"~{Dc:CJ@=g~}", "你好世界"),
    ("hz", b"~{Dc:CJ@=g~}", "你好世界"),
    ("big5", b"\xa7A\xa6n,\xa5@\xac\xc9", "你好,世界"),
    ("big-5", b"\xa7A\xa6n,\xa5@\xac\xc9", "你好,世界"),
    ("cp950", b"\xa7A\xa6n,\xa5@\xac\xc9", "你好,世界"),
    ("big5-hkscs", b"\xa7A\xa6n,\xa5@\xac\xc9", "你好,世界"),
    ("utf-7", b"Gr+APwA3w-e, +ThZ1TA +Jjo-", "Grüße, 世界 ☺"),
    ("unicode-1-1-utf-7", b"Gr+APwA3w-e, +ThZ1TA +Jjo-", "Grüße, 世界 ☺"),
    ("utf-16", b"\xff\xfeG\x00r\x00\xfc\x00\xdf\x00e\x00,\x00 \x00\x16NLu \x00:&", "Grüße, 世界 ☺"),
    ("utf-16le", b"G\x00r\x00\xfc\x00\xdf\x00e\x00,\x00 \x00\x16NLu \x00:&", "Grüße, 世界 ☺"),
    ("utf-16be", b"\x00G\x00r\x00\xfc\x00\xdf\x00e\x00,\x00 N\x16uL\x00 &:", "Grüße, 世界 ☺"),
    ("utf-32", b"\xff\xfe\x00\x00G\x00\x00\x00r\x00\x00\x00\xfc\x00\x00\x00\xdf\x00\x00\x00e\x00\x00\x00,\x00\x00\x00 \x00\x00\x00\x16N\x00\x00Lu\x00\x00 \x00\x00\x00:&\x00\x00", "Grüße, 世界 ☺"),
    ("utf-32be", b"\x00\x00\x00G\x00\x00\x00r\x00\x00\x00\xfc\x00\x00\x00\xdf\x00\x00\x00e\x00\x00\x00,\x00\x00\x00 \x00\x00N\x16\x00\x00uL\x00\x00\x00 \x00\x00&:", "Grüße, 世界 ☺"),
    ("utf-32le", b"G\x00\x00\x00r\x00\x00\x00\xfc\x00\x00\x00\xdf\x00\x00\x00e\x00\x00\x00,\x00\x00\x00 \x00\x00\x00\x16N\x00\x00Lu\x00\x00 \x00\x00\x00:&\x00\x00", "Grüße, 世界 ☺"),
];

#[test]
fn labels_in_common_use_decode() {
    assert!(LABELS.len() >= 105, "{}", LABELS.len());
    let decoded = |(label, octets, text): &(&str, &[u8], &str)| {
        let got = charset::decode(label.as_bytes(), octets);
        assert_eq!(got.as_deref(), Some(*text), "{label}");
    };
    LABELS.iter().for_each(decoded);
}

fn push(charset: Charset, octets: &[u8], sizes: &[usize]) -> (String, bool) {
    let (mut decoder, mut out, mut at) = (charset.decoder(), String::new(), 0);
    for size in sizes.iter().cycle() {
        let end = octets.len().min(at + size);
        decoder.push(&octets[at..end], &mut out);
        at = end;
        if at == octets.len() {
            break;
        }
    }
    decoder.finish(&mut out);
    (out, decoder.had_errors())
}

#[test]
fn every_cut_of_every_sample_decodes_the_same() {
    for (label, octets, text) in LABELS {
        let charset = Charset::find(label.as_bytes()).unwrap();
        for size in 1..=octets.len() {
            let got = push(charset, octets, &[size]);
            assert_eq!(got, (text.to_string(), false), "{label} {size}");
        }
    }
}

#[test]
fn labels_are_found_whatever_is_around_them() {
    for label in [
        " utf-8 ",
        "\"utf-8\"",
        "UTF-8;",
        "charset=utf-8",
        "'utf-8'",
        "utf-8//IGNORE",
    ] {
        assert_eq!(
            Charset::find(label.trim_end_matches(';').as_bytes())
                .unwrap()
                .name(),
            "UTF-8",
            "{label}"
        );
    }
    for (label, name) in [
        ("csISO2022KR", "ISO-2022-KR"),
        ("cspc850multilingual", "IBM850"),
        ("csPC862LatinHebrew", "IBM862"),
        ("x-mac-ukrainian", "x-mac-cyrillic"),
        ("IBM-1252", "windows-1252"),
        ("iso-8859-6-e", "ISO-8859-6"),
        ("iso-8859-8-e", "ISO-8859-8"),
        ("ISO-10646-UCS-4", "UTF-32"),
        ("x-imap4-modified-utf7", "UTF-7-IMAP"),
    ] {
        assert_eq!(
            Charset::find(label.as_bytes()).map(Charset::name),
            Some(name),
            "{label}"
        );
    }
    for label in [
        "",
        " ",
        "-",
        "x-unknown",
        "cp-99999",
        "cp-4294967298437",
        "iso-8859-12",
        "\u{e9}",
        "replacement",
        "a-label-that-is-longer-than-any-known-one-is-and-then-more",
    ] {
        assert_eq!(charset::decode(label.as_bytes(), b"x"), None, "{label}");
        assert!(!charset::is_known(label.as_bytes()));
    }
}

#[test]
fn utf_7() {
    let decode = |octets: &str| charset::decode(b"utf-7", octets.as_bytes()).unwrap().into_owned();
    // RFC 2152 §5
    assert_eq!(decode("A+ImIDkQ."), "A\u{2262}\u{391}.");
    assert_eq!(decode("Hi Mom +Jjo--!"), "Hi Mom \u{263a}-!");
    assert_eq!(decode("+ZeVnLIqe-"), "\u{65e5}\u{672c}\u{8a9e}");
    assert_eq!(decode("Item 3 is +AKM-1."), "Item 3 is \u{a3}1.");
    assert_eq!(decode("1 +- 1, 2 + 2 +"), "1 + 1, 2 + 2 +");
    assert_eq!(decode("+2D3eCg- +2D0- +AKM"), "\u{1f60a} \u{fffd} \u{a3}");
    let imap = |octets: &str| {
        charset::decode(b"utf-7-imap", octets.as_bytes())
            .unwrap()
            .into_owned()
    };
    // RFC 3501 §5.1.3
    assert_eq!(
        imap("~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        "~peter/mail/\u{53f0}\u{5317}/\u{65e5}\u{672c}\u{8a9e}"
    );
    assert_eq!(imap("a&-b + c"), "a&b + c");
}

#[test]
fn shifted_charsets_and_their_faults() {
    let decode = |label: &str, octets: &[u8]| charset::decode(label.as_bytes(), octets).unwrap().into_owned();
    // Shift out ends with the line.
    assert_eq!(
        decode("iso-2022-kr", b"\x1b$)C\x0e>H3g\nab"),
        "\u{c548}\u{b155}\nab"
    );
    assert_eq!(decode("iso-2022-kr", b"\x1b$)C\x0e>H3\x0fx"), "\u{c548}\u{fffd}x");
    assert_eq!(
        decode("iso-2022-cn", b"\x1b$)A\x0eDc:C\x0f!"),
        "\u{4f60}\u{597d}!"
    );
    assert_eq!(decode("iso-2022-cn", b"\x1b$)G\x0eDc\x0f!"), "\u{fffd}!");
    // RFC 1843 §2
    assert_eq!(
        decode("hz", b"~{<:Ky2;S{#,NpJ)l6HK!#~}Bye."),
        "\u{5df1}\u{6240}\u{4e0d}\u{6b32}\u{ff0c}\u{52ff}\u{65bd}\u{65bc}\u{4eba}\u{3002}Bye."
    );
    assert_eq!(decode("hz", b"a~~b~\nc~{Dc~}~x"), "a~bc\u{4f60}\u{fffd}x");
    assert_eq!(decode("utf-32", b"\xff\xfe\0\0A\0\0\0B"), "A\u{fffd}");
    assert_eq!(decode("utf-32", b"A\0\0\0"), "A");
    assert_eq!(decode("utf-16", b"\xfe\xff\0A"), "A");
    assert_eq!(decode("koi8-t", b"\x98"), "\u{fffd}");
}

#[test]
fn text_without_a_charset() {
    for (octets, text) in [
        (&b"\x93hi\x94"[..], "\u{201c}hi\u{201d}"),
        ("Gr\u{fc}\u{df}e".as_bytes(), "Gr\u{fc}\u{df}e"),
        // UTF-8 that was cut stays UTF-8, and so does UTF-8 with a stray octet.
        (b"Gr\xc3\xbc\xc3", "Gr\u{fc}\u{fffd}"),
        (b"Gr\xc3\xbc\xa0e", "Gr\u{fc}\u{a0}e"),
        (b"caf\xe9 \xc3\xbc", "caf\u{e9} \u{c3}\u{bc}"),
    ] {
        assert_eq!(charset::guess(octets), text);
        assert_eq!(charset::decode(b"us-ascii", octets).unwrap(), text);
        for size in 1..6 {
            let got = push(Charset::guess(), octets, &[size]);
            assert_eq!(got.0, text);
            assert_eq!(got.1, std::str::from_utf8(octets).is_err());
        }
    }
}

proptest! {
    #[test]
    fn any_octets_decode_the_same_for_every_cut(
        octets in proptest::collection::vec(
            prop_oneof![any::<u8>(), Just(0x1b), Just(b'~'), Just(b'+'), Just(b'&'), Just(b'$'), Just(0x0e), Just(b'A')],
            0..200,
        ),
        sizes in proptest::collection::vec(1usize..20, 1..5),
        at in 0..LABELS.len(),
    ) {
        let charset = Charset::find(LABELS[at].0.as_bytes()).unwrap();
        let whole = charset.decode(&octets).into_owned();
        prop_assert!(whole.len() <= octets.len() * 3 + 3);
        prop_assert_eq!(push(charset, &octets, &sizes).0, whole, "{}", LABELS[at].0);
    }
}
