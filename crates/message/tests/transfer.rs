//! Transfer encodings: what the wild writes, every cut, round trips, public files.

#![allow(clippy::disallowed_methods)] // a test is where the corpus comes in

use std::path::PathBuf;

use mailwright_message::DefectKind::{self, *};
use mailwright_message::transfer::{
    Decoder, Encoder, Encoding, decode_base64, decode_quoted_printable, encode_base64,
    encode_quoted_printable, find_binhex, uu, yenc,
};
use proptest::prelude::*;

const ALL: [Encoding; 6] = [
    Encoding::Identity,
    Encoding::Base64,
    Encoding::QuotedPrintable,
    Encoding::Uuencode,
    Encoding::Yenc,
    Encoding::Unknown,
];

/// Output and defects when the input comes in pieces of these sizes in turn.
fn decode_cut(encoding: Encoding, input: &[u8], sizes: &[usize]) -> (Vec<u8>, Vec<(DefectKind, u64)>) {
    let (mut out, mut decoder, mut at) = (Vec::new(), Decoder::new(encoding), 0);
    for size in sizes.iter().cycle() {
        let end = input.len().min(at + (*size).max(1));
        decoder.push(&input[at..end], &mut out);
        at = end;
        if at == input.len() {
            break;
        }
    }
    decoder.finish(&mut out);
    let mut defects: Vec<_> = decoder.defects().iter().map(|d| (d.kind, d.offset)).collect();
    defects.sort_by_key(|(kind, _)| *kind as u8);
    (out, defects)
}

fn check(encoding: Encoding, input: &str, want: &str, kinds: &[DefectKind]) {
    let whole = decode_cut(encoding, input.as_bytes(), &[usize::MAX >> 1]);
    assert_eq!(
        whole.0.escape_ascii().to_string(),
        want.as_bytes().escape_ascii().to_string(),
        "{input:?}"
    );
    let got: Vec<DefectKind> = whole.1.iter().map(|d| d.0).collect();
    assert_eq!(got, kinds, "{input:?}");
    assert_eq!(encoding.decode(input.as_bytes()), whole.0);
    for size in 1..9 {
        assert_eq!(
            decode_cut(encoding, input.as_bytes(), &[size]),
            whole,
            "{input:?} {size}"
        );
    }
}

#[test]
fn base64_is_read_as_the_wild_writes_it() {
    let check = |input: &str, want: &str, kinds: &[DefectKind]| check(Encoding::Base64, input, want, kinds);
    check("aGVsbG8=", "hello", &[]);
    check("aGVs\r\n bG8=\r\n", "hello", &[]);
    check("aGVs\x0b\x0c\tbG8=\n", "hello", &[]);
    check("aGVsbG8", "hello", &[MissingPadding]);
    check("aGVsbA=", "hell", &[MissingPadding]);
    check("aGVsbA=\r\n=\r\n", "hell", &[]);
    check("aGVsbG8=aGVsbG8=", "hellohello", &[DataAfterPadding]);
    check("a!G*V-sbG8===", "hello", &[InvalidBase64]);
    check("a", "", &[TruncatedBase64]);
    check("aGVsb===", "hel", &[InvalidBase64, TruncatedBase64]);
    check("", "", &[]);
    // What a mailing list adds to a body does not become part of it.
    let footer = "\r\n_______________\r\nusers mailing list\r\nusers@a.test\r\n";
    let listed = format!("aGVsbG8={footer}");
    check(&listed, "hello", &[DataAfterPadding]);
    check(
        "aGVsbG8=\r\n\r\nGreetings from us\r\naGVsbG8=",
        "hello",
        &[DataAfterPadding],
    );
    check(
        "aGVsbG8=\r\naGVs\r\nbG8=\r\nbye\r\n",
        "hellohello",
        &[DataAfterPadding],
    );
    check("aGVsbG8= (end)\r\n", "hello", &[InvalidBase64]);
    let long = format!("aGVsbG8=\r\n{}\r\n", "QUJD".repeat(600));
    let text = format!("hello{}", "ABC".repeat(600));
    check(&long, &text, &[DataAfterPadding]);
    let lines = format!("{}\r\n", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=").repeat(3);
    check(
        &lines,
        &"ABCDEFGHIJKLMNOPQRSTUVWXYZ".repeat(3),
        &[DataAfterPadding],
    );
}

#[test]
fn quoted_printable_is_read_as_the_wild_writes_it() {
    let check =
        |input: &str, want: &str, kinds: &[DefectKind]| check(Encoding::QuotedPrintable, input, want, kinds);
    check("a=3Db=3D\r\n", "a=b=\r\n", &[]);
    check("a=3db", "a=b", &[LowercaseEscape]);
    check("soft=\r\nbreak", "softbreak", &[]);
    check("soft= \t\r\nbreak", "softbreak", &[TrailingBlanks]);
    check("soft=\nbreak", "softbreak", &[]);
    check("space  \r\nend \n", "space\r\nend\n", &[]);
    check("=ZZ = =4", "=ZZ = =4", &[InvalidEscape, TruncatedEscape]);
    check(
        "the delimiter took my line end=",
        "the delimiter took my line end",
        &[],
    );
    check("a\r\n=", "a\r\n", &[]);
    check("=4 \r\n=\r=41", "=4\r\n=\rA", &[InvalidEscape]);
    check("caf\u{e9}", "caf\u{e9}", &[EightBitInEncoded]);
    for run in [997, 998, 999, 1000, 3000] {
        let input = format!("a{}\r\nb={}\r\nc", " ".repeat(run), " ".repeat(run));
        let want = match run {
            ..998 => "a\r\nbc".to_owned(),
            _ => input.clone(),
        };
        let whole = decode_cut(Encoding::QuotedPrintable, input.as_bytes(), &[1 << 20]);
        assert_eq!(whole.0, want.as_bytes(), "{run}");
        for size in [1, 7, 500, 998, 1001] {
            assert_eq!(
                decode_cut(Encoding::QuotedPrintable, input.as_bytes(), &[size]),
                whole,
                "{run} {size}"
            );
        }
    }
}

#[test]
fn uuencode_as_an_encoding() {
    let check = |input: &str, want: &str, kinds: &[DefectKind]| check(Encoding::Uuencode, input, want, kinds);
    check("begin 644 a b.txt\r\n%:&5L;&\\\r\n`\r\nend\r\n", "hello", &[]);
    check("intro\nbegin 0644 x\n%:&5L;&\\\n \nend\nmore\n", "hello", &[]);
    check("begin 644 x\n%:&5L;&\\\n", "hello", &[UnendedUuencode]);
    check(
        "begin 644 x\nwhat is this?\n%:&5L;&\\\nend",
        "hello",
        &[InvalidUuencode],
    );
    check("no file at all", "", &[UnendedUuencode]);
}

#[test]
fn uuencode_in_text() {
    let text = b"We begin 644 times.\nbegin 644 of them\nand not more\nbegin 755 run me.sh\n%:&5L;&\\\n`\nend\nmiddle\nbegin 600 cut\n%:&5L;&\\\nand text";
    let found: Vec<_> = uu::files(text).collect();
    assert_eq!(found.len(), 2);
    assert_eq!(
        (found[0].name, found[0].mode, found[0].ended),
        (&b"run me.sh"[..], 0o755, true)
    );
    assert_eq!(&text[found[0].range.end..found[1].range.start], b"middle\n");
    assert_eq!(
        (found[1].name, found[1].ended, found[1].decode()),
        (&b"cut"[..], false, b"hello".to_vec())
    );
    assert_eq!(&text[found[1].range.end..], b"and text");
}

#[test]
fn binhex_is_told() {
    let text = b"Hello\r\n(This file must be converted with BinHex 4.0)\r\n\r\n:$f*TEQKPH#jdCA0d,R0TG!\"\r\n";
    let at = find_binhex(text).unwrap();
    assert!(text[at..].starts_with(b":$f"));
    assert_eq!(
        find_binhex(b"he said (This file must be converted with BinHex 4.0)\r\n:x"),
        None
    );
    assert_eq!(
        find_binhex(b"(This file must be converted with BinHex 4.0)\r\nsmile"),
        None
    );
}

fn yenc_of(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in octets {
        match byte.wrapping_add(42) {
            byte @ (0 | b'\r' | b'\n' | b'=') => out.extend([b'=', byte.wrapping_add(64)]),
            byte => out.push(byte),
        }
        if out.len() % 130 >= 128 {
            out.extend(b"\r\n");
        }
    }
    out
}

#[test]
fn yenc_checks_sizes_and_checksums() {
    let data: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let file = |size: usize, crc: &str| {
        [
            format!("hi\r\n=ybegin line=128 size={size} name= my file \r\n").as_bytes(),
            &yenc_of(&data),
            format!("\r\n=yend size={size} crc32={crc}\r\nbye").as_bytes(),
        ]
        .concat()
    };
    // What zlib says of the same octets.
    let good = file(1000, "74e3fb41");
    let crc = yenc::files(&good).next().unwrap().decode().1;
    let wrong = file(1000, "12345678");
    assert!(
        yenc::files(&wrong)
            .next()
            .unwrap()
            .decode()
            .1
            .iter()
            .any(|d| d.kind == YencChecksum)
    );
    assert_eq!(crc, [], "the checksum is right");
    let short = file(1001, "74e3fb41");
    assert!(
        yenc::files(&short)
            .next()
            .unwrap()
            .decode()
            .1
            .iter()
            .any(|d| d.kind == YencSize)
    );
    for input in [&good, &wrong, &short, &good[..700].to_vec()] {
        let whole = decode_cut(Encoding::Yenc, input, &[1 << 20]);
        for size in [1, 2, 3, 5, 128] {
            assert_eq!(decode_cut(Encoding::Yenc, input, &[size]), whole);
        }
    }
    assert_eq!(decode_cut(Encoding::Yenc, &good, &[1 << 20]), (data, vec![]));
}

fn corpus() -> Option<PathBuf> {
    let corpus = std::env::var_os("MAIL_CORPUS");
    if corpus.is_none() {
        eprintln!("MAIL_CORPUS is not set: the files of the public corpus are not read");
    }
    Some(PathBuf::from(corpus?).join("message"))
}

#[test]
fn public_files_in_yenc() {
    let Some(corpus) = corpus() else { return };
    let read = |name: &str| std::fs::read(corpus.join("mimekit/yenc").join(name)).unwrap();
    let texts = [read("00000021.ntx"), read("00000020.ntx")];
    let parts: Vec<_> = texts.iter().flat_map(|text| yenc::files(text)).collect();
    assert_eq!(
        parts.iter().map(|p| p.part).collect::<Vec<_>>(),
        [Some(2), Some(1)]
    );
    assert_eq!(parts[0].name, b"joystick.jpg");
    assert_eq!(yenc::join(&parts).unwrap(), read("joystick.jpg"));
    assert_eq!(yenc::join(&parts[..1]), None, "the first part is missing");
    let simple = read("simple.msg");
    let file = yenc::files(&simple).next().unwrap();
    let (octets, defects) = file.decode();
    assert_eq!(
        (octets.len(), file.name, defects),
        (584, &b"testfile.txt"[..], vec![])
    );
}

#[test]
fn public_files_in_other_encodings() {
    let Some(corpus) = corpus() else { return };
    let read = |name: &str| std::fs::read(corpus.join("mimekit/encoders").join(name)).unwrap();
    let photo = read("photo.jpg");
    assert!(decode_base64(&read("photo.b64")) == photo);
    for name in ["photo.uu", "photo.uu-states"] {
        let text = read(name);
        assert!(Encoding::Uuencode.decode(&text) == photo, "{name}");
        let file = uu::files(&text).next().unwrap();
        assert!(
            file.decode() == photo && file.name == b"photo.jpg" && file.ended,
            "{name}"
        );
    }
    let unix = |text: Vec<u8>| text.into_iter().filter(|b| *b != b'\r').collect::<Vec<u8>>();
    let plain = unix(read("wikipedia.txt"));
    assert_eq!(unix(decode_quoted_printable(&read("wikipedia.qp"))), plain);
}

/// Pieces that mean something to one of the decoders, and octets that mean nothing.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "=",
            "==",
            "\r\n",
            "\n",
            "\r",
            " ",
            "  \t",
            "=3",
            "=3D",
            "QUJD",
            "QUI=",
            "=\r\n",
            "= \r\n",
            "!",
            "begin 644 x\n",
            "end\n",
            "`\n",
            "%:&5L;&\\\n",
            "=ybegin line=1 size=5 name=x\n",
            "=yend size=5\n",
            "=ypart begin=1 end=5\n",
            "=y",
        ])
        .prop_map(|s| s.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20),
        (1usize..90).prop_map(|n| b"QUJD".repeat(n)),
        (1usize..1100).prop_map(|n| b" ".repeat(n)),
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn every_cut_gives_the_same(input in pieces(), sizes in proptest::collection::vec(1usize..70, 1..6)) {
        for encoding in ALL {
            let whole = decode_cut(encoding, &input, &[usize::MAX >> 1]);
            // A line of uuencode says how long it is: blanks that were lost at its end, which stand for zeros, are put
            // back. It is at most 63 octets long, and two in the message.
            let most = if encoding == Encoding::Uuencode { 32 } else { 1 };
            prop_assert!(whole.0.len() <= most * input.len(), "{:?} grows", encoding);
            prop_assert_eq!(&decode_cut(encoding, &input, &sizes), &whole, "{:?}", encoding);
        }
        let _ = (uu::files(&input).for_each(|f| drop(f.decode())), find_binhex(&input));
        let parts: Vec<_> = yenc::files(&input).collect();
        let _ = yenc::join(&parts);
    }

    #[test]
    fn base64_round_trip(data in proptest::collection::vec(any::<u8>(), 0..400), cut in 1usize..100) {
        let text = encode_base64(&data);
        prop_assert!(text.lines().all(|line| line.len() <= 76));
        prop_assert!(text.is_empty() || text.ends_with("\r\n"));
        let (out, defects) = decode_cut(Encoding::Base64, text.as_bytes(), &[cut]);
        prop_assert_eq!((&out, defects), (&data, vec![]));
        prop_assert_eq!(encode_cut(Encoding::Base64, &data, cut), text.as_bytes());
    }

    #[test]
    fn quoted_printable_round_trip(data in "([ -~é\t\r\n=.F]|\nFrom ){0,200}", cut in 1usize..100) {
        let text = encode_quoted_printable(data.as_bytes());
        for line in text.split("\r\n") {
            prop_assert!(line.len() <= 76 && !line.ends_with([' ', '\t']));
            prop_assert!(!line.starts_with('.') && !line.starts_with("From "));
        }
        prop_assert!(text.is_ascii());
        prop_assert_eq!(encode_cut(Encoding::QuotedPrintable, data.as_bytes(), cut), text.as_bytes());
        let data = data.replace("\r\n", "\n").replace('\n', "\r\n");
        let (out, defects) = decode_cut(Encoding::QuotedPrintable, text.as_bytes(), &[cut]);
        prop_assert_eq!((out, defects), (data.into_bytes(), vec![]));
    }
}

fn encode_cut(encoding: Encoding, data: &[u8], cut: usize) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::new(encoding), Vec::new());
    data.chunks(cut).for_each(|chunk| encoder.push(chunk, &mut out));
    encoder.finish(&mut out);
    out
}

/// Larger than the blocks in which base64 is looked at, its groups never aligned with them.
#[test]
fn large_base64() {
    let data: Vec<u8> = (0..200_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let text = encode_base64(&data);
    for line_end in ["\r\n", "\n", "", "\r\n "] {
        let text = text.replace("\r\n", line_end);
        for cut in [1 << 20, 32 * 1024, 4096, 1001] {
            let (out, defects) = decode_cut(Encoding::Base64, text.as_bytes(), &[cut]);
            assert!(
                out == data && defects.is_empty(),
                "{line_end:?} {cut} {defects:?}"
            );
        }
    }
}

#[test]
fn names_of_encodings() {
    for (name, encoding) in [
        (&b" (c) BASE64 (x)"[..], Encoding::Base64),
        (b"\"quoted-printable\"", Encoding::QuotedPrintable),
        (b"8BIT;", Encoding::Identity),
        (b"", Encoding::Identity),
        (b"X-UUencode", Encoding::Uuencode),
        (b"x-yencode", Encoding::Yenc),
        (b"x-binhex", Encoding::Unknown),
    ] {
        assert_eq!(Encoding::parse(name), encoding);
    }
    assert_eq!(
        decode_cut(Encoding::Unknown, b"a=41", &[2]),
        (b"a=41".to_vec(), vec![(UnknownEncoding, 0)])
    );
}
