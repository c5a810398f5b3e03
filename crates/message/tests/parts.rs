//! TNEF, reports, messages in pieces and bodies elsewhere; hostile input to all decoders.

#![allow(clippy::disallowed_methods)] // a test is where time and the corpus come in

mod common;
#[path = "common/growth.rs"]
mod growth;

use std::path::PathBuf;
use std::time::Duration;

use growth::{TooSlow, is_linear, time};
use mailwright_message::build::disposition::Receipt;
use mailwright_message::build::{Message, Transport};
use mailwright_message::date::DateTime;
use mailwright_message::dsn::{Extension, Typed};
use mailwright_message::index::Index;
use mailwright_message::partial::{self, ExternalBody, Incomplete, Partial};
use mailwright_message::report::{Disposition, DispositionKind, Feedback, Kind, Mode, Report};
use mailwright_message::tnef::{Limits, Tnef, decompress_rtf};
use mailwright_message::transfer::{Encoding, find_binhex, uu, yenc};
use mailwright_message::{DefectKind, charset, flowed, html, preview};
use proptest::prelude::*;

fn corpus() -> Option<PathBuf> {
    let corpus = std::env::var_os("MAIL_CORPUS");
    if corpus.is_none() {
        eprintln!("MAIL_CORPUS is not set: the files of the public corpus are not read");
    }
    Some(PathBuf::from(corpus?).join("message"))
}

/// An attribute of a stream (MS-OXTNEF §2.1.3).
fn attribute(level: u8, id: u32, data: &[u8]) -> Vec<u8> {
    let sum = data
        .iter()
        .fold(0u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
    let len = (data.len() as u32).to_le_bytes();
    [&[level][..], &id.to_le_bytes(), &len, data, &sum.to_le_bytes()].concat()
}

/// A property of octets or text.
fn property(id: u16, kind: u16, value: &[u8]) -> Vec<u8> {
    let mut out = [&kind.to_le_bytes()[..], &id.to_le_bytes(), &1u32.to_le_bytes()].concat();
    out.extend((value.len() as u32).to_le_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn properties(list: &[Vec<u8>]) -> Vec<u8> {
    [(list.len() as u32).to_le_bytes().to_vec(), list.concat()].concat()
}

fn stream() -> Vec<u8> {
    let wide = |text: &str| {
        text.encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<u8>>()
    };
    let named = {
        let mut named = [&0x0003u16.to_le_bytes()[..], &0x8001u16.to_le_bytes(), &[7; 16]].concat();
        named.extend(1u32.to_le_bytes());
        named.extend([4, 0, 0, 0, b'a', 0, 0, 0]);
        named.extend(42u32.to_le_bytes());
        named
    };
    let message = properties(&[
        named,
        property(0x1013, 0x0102, b"<p>caf\xe9"),
        property(0x1009, 0x0102, RTF),
    ]);
    let attachment = properties(&[
        property(0x3707, 0x001f, &wide("Long näme.txt\0")),
        property(0x370e, 0x001e, b"text/plain\0"),
        property(0x3712, 0x001e, b"<id@x>\0"),
    ]);
    [
        0x223e_9f78u32.to_le_bytes().to_vec(),
        vec![1, 0],
        attribute(1, 0x0006_9007, &1252u64.to_le_bytes()),
        attribute(1, 0x0007_8008, b"IPM.Microsoft Mail.Note\0"),
        attribute(1, 0x0001_8004, b"Gr\xfc\xdfe\0"),
        attribute(1, 0x0002_800c, b"plain text\0"),
        attribute(1, 0x0006_9003, &message),
        attribute(2, 0x0006_9002, &[0; 14]),
        attribute(2, 0x0001_8010, b"LONGNA~1.TXT\0"),
        attribute(2, 0x0006_800f, b"content"),
        attribute(2, 0x0006_9005, &attachment),
        attribute(2, 0x0006_9002, &[0; 14]),
        attribute(2, 0x0006_800f, b"no name"),
    ]
    .concat()
}

/// The first example of MS-OXRTFCP §3.1.
const RTF: &[u8] = b"\x2d\0\0\0\x2b\0\0\0\x4c\x5a\x46\x75\xf1\xc5\xc7\xa7\x03\0\x0a\0rcpg125B2\x0a\xf3 hel\x09\0 bw\x05\xb0ld}\x0a\x80\x0f\xa0";

#[test]
fn tnef_gives_text_and_attachments() {
    let tnef = Tnef::parse(&stream()).unwrap();
    assert_eq!(tnef.defects, []);
    assert_eq!(tnef.message_class.as_deref(), Some("IPM.Microsoft Mail.Note"));
    assert_eq!(tnef.subject.as_deref(), Some("Grüße"));
    assert_eq!(tnef.text.as_deref(), Some("plain text"));
    assert_eq!(tnef.html.as_deref(), Some("<p>café"));
    assert_eq!(
        tnef.rtf.as_deref(),
        Some(&b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"[..])
    );
    let [first, second] = &tnef.attachments[..] else {
        panic!("{:?}", tnef.attachments)
    };
    assert_eq!(
        (first.name.as_deref(), &first.data[..]),
        (Some("Long näme.txt"), &b"content"[..])
    );
    assert_eq!(
        (first.mime_tag.as_deref(), first.content_id.as_deref()),
        (Some("text/plain"), Some("id@x"))
    );
    assert_eq!(
        (second.name.as_deref(), &second.data[..]),
        (None, &b"no name"[..])
    );
    assert_eq!(Tnef::parse(b"PK\x03\x04 no TNEF"), None);
}

#[test]
fn damaged_tnef_gives_what_is_before_the_damage() {
    let whole = stream();
    for len in 6..whole.len() {
        let tnef = Tnef::parse(&whole[..len]).unwrap();
        assert!(tnef.attachments.len() <= 2);
    }
    let cut = Tnef::parse(&whole[..whole.len() - 1]).unwrap();
    assert_eq!(cut.attachments[0].data, b"content");
    assert_eq!(cut.defects.len(), 1);
    let mut limits = Limits::default();
    limits.max_attachments = 1;
    let limited = Tnef::parse_limited(&whole, limits).unwrap();
    assert_eq!(
        (limited.attachments.len(), limited.attachments[0].data.as_slice()),
        (1, &b"content"[..])
    );
    assert!(limited.defects.iter().any(|d| d.kind == DefectKind::TnefLimit));
    // References alone make the most of their octets, and the limit holds.
    let bomb = [
        &[0, 0, 1, 0, 0, 0, 0, 1][..],
        b"LZFu",
        &[0; 4],
        &[0xff, 0, 15].repeat(10_000),
    ]
    .concat();
    assert_eq!(decompress_rtf(&bomb, 1000), None);
    assert!(decompress_rtf(&bomb, 1 << 20).is_none_or(|rtf| rtf.len() <= bomb.len() * 9));
}

#[test]
fn winmail_dat_of_a_public_message() {
    let Some(corpus) = corpus() else { return };
    let message = std::fs::read(corpus.join("mailcore2/summary/input/1808-winmail-dat.eml")).unwrap();
    let index = Index::of(&message);
    let part = index
        .parts()
        .find(|part| part.is("application", "ms-tnef"))
        .unwrap();
    assert_eq!(part.safe_filename().as_deref(), Some("winmail.dat"));
    let body = &message[part.body().start as usize..part.body().end as usize];
    let tnef = Tnef::parse(&part.decode(body)).unwrap();
    assert!(tnef.message_class.is_some_and(|class| class.starts_with("IPM.")));
    assert!(!tnef.attachments.is_empty());
    assert!(
        tnef.attachments
            .iter()
            .any(|file| file.data.len() > 10_000 && file.name.is_some())
    );
}

fn report(message: &str) -> Index {
    Index::of(message.as_bytes())
}

const RECEIPT: &str = "Content-Type: multipart/report; report-type=disposition-notification; boundary=x\r\n\r\n--x\r\n\r\n\
    It was read.\r\n--x\r\nContent-Type: message/disposition-notification\r\n\r\n\r\n\
    Reporting-UA: joes-pc.cs.example.com; Foomail 97.1\r\nOriginal-Recipient: rfc822;Joe_Recipient@example.com\r\n\
    Final-Recipient: rfc822;Joe_Recipient@example.com\r\nOriginal-Message-ID: <199509192301.23456@example.org>\r\n\
    Disposition: manual-action/MDN-sent-manually; displayed/error,x-more\r\nError: none really\r\n\r\n--x\r\n\
    Content-Type: message/rfc822\r\n\r\nSubject: it\r\n\r\nbody\r\n--x--\r\n";

/// What is written is read back, in both forms.
#[test]
fn written_receipts() {
    let mut told = Disposition::new(Typed::address("j\u{fc}rgen@b.test"), DispositionKind::Deleted);
    told.reporting_ua = Some("mail.a.test; Mailwright".to_owned());
    told.gateway = Some(Typed::dns("gateway.test"));
    told.original_recipient = Some(Typed::address("all@b.test"));
    told.original_message_id = Some("1@b.test".to_owned());
    (told.action, told.sending) = (Mode::Automatic, Mode::Manual);
    told.modifiers = vec!["error".to_owned(), "x-more".to_owned()];
    told.errors = vec!["caf\u{e9} is closed".to_owned(), "a =?b?q?c?=".to_owned()];
    told.extensions = vec![Extension::new("X-Trace", "\u{e9}1").unwrap()];
    assert!(Extension::new("Warning", "").is_none());
    for utf8 in [false, true] {
        let mut receipt = Receipt::new(told.clone());
        receipt.utf8 = utf8;
        let message = receipt
            .build("b@b.test", vec!["a@a.test".into()], DateTime::new(0, 0), [7; 32])
            .unwrap();
        assert_eq!(message.transport() == Transport::EightBit, utf8);
        let message = message.to_vec().unwrap();
        assert_eq!(message.is_ascii(), !utf8);
        let index = Index::of(&message);
        assert_eq!(Disposition::parse(&index, &message), Some(told.clone()));
        let machine = Report::of(&index).unwrap().machine;
        let subtype = machine.body_structure().subtype().to_vec();
        let global = &b"global-disposition-notification"[..];
        assert_eq!(subtype == global, utf8);
    }
    // The header that comes back, and what of it is told.
    let header = "Message-ID: <7@a>\r\nOriginal-Recipient: rfc822;x@b\r\nSubject: caf\u{e9}\r\n\r\n";
    let receipt = Receipt::new(told).about(header.as_bytes());
    assert_eq!(receipt.disposition.original_message_id.as_deref(), Some("7@a"));
    assert_eq!(
        receipt.disposition.original_recipient,
        Some(Typed::address("x@b"))
    );
    let message = receipt
        .build("b@b.test", vec!["a@a.test".into()], DateTime::new(0, 0), [7; 32])
        .and_then(Message::to_vec)
        .unwrap();
    let index = Index::of(&message);
    let original = Report::of(&index).unwrap().original.unwrap();
    assert!(original.is("message", "global-headers"));
}

#[test]
fn read_receipts() {
    let index = report(RECEIPT);
    let receipt = Disposition::parse(&index, RECEIPT.as_bytes()).unwrap();
    assert_eq!(receipt.kind, DispositionKind::Displayed);
    assert_eq!((receipt.action, receipt.sending), (Mode::Manual, Mode::Manual));
    assert_eq!(
        receipt.final_recipient,
        Typed::address("Joe_Recipient@example.com")
    );
    assert_eq!(
        receipt.original_message_id.as_deref(),
        Some("199509192301.23456@example.org")
    );
    assert_eq!(receipt.modifiers, ["error", "x-more"]);
    assert_eq!(receipt.errors, ["none really"]);
    let parts = Report::of(&index).unwrap();
    assert_eq!(parts.kind, Kind::DispositionNotification);
    assert_eq!(
        (
            parts.explanation.unwrap().place(),
            parts.machine.place(),
            parts.original.unwrap().place()
        ),
        (1, 2, 3)
    );
}

#[test]
fn reports_of_all_kinds() {
    let of = |machine: &str| {
        let message = format!(
            "Content-Type: multipart/report; boundary=x\r\n\r\n--x\r\n\r\nhi\r\n--x\r\n{machine}\r\n\r\nz\r\n--x--\r\n"
        );
        Report::of(&report(&message)).map(|report| report.kind)
    };
    assert_eq!(
        of("Content-Type: message/delivery-status"),
        Some(Kind::DeliveryStatus)
    );
    assert_eq!(of("Content-Type: message/feedback-report"), Some(Kind::Feedback));
    assert_eq!(of("Content-Type: application/tlsrpt+gzip"), Some(Kind::Tls));
    assert_eq!(of("Content-Type: x/y"), Some(Kind::Other));
    let dmarc =
        "Content-Type: application/gzip; name=\"a.test!b.test!1704067200!1704153599.xml.gz\"\r\n\r\nx";
    assert_eq!(
        Report::of(&report(dmarc)).map(|report| report.kind),
        Some(Kind::Dmarc)
    );
    assert!(Report::of(&report("Subject: 1!2!3!4.xml\r\n\r\nno report")).is_none());
}

#[test]
fn public_reports() {
    let Some(corpus) = corpus() else { return };
    let read = |name: &str| std::fs::read(corpus.join("mimekit/messages").join(name)).unwrap();
    // The file starts with a byte order mark, which is no part of a message.
    let abuse = read("feedback-report.txt");
    let abuse = abuse
        .strip_prefix("\u{feff}".as_bytes())
        .unwrap_or(&abuse)
        .to_vec();
    let feedback = Feedback::parse(&Index::of(&abuse), &abuse).unwrap();
    assert_eq!(
        (feedback.feedback_type.as_str(), feedback.incidents),
        ("abuse", 1)
    );
    assert_eq!(
        feedback.original_mail_from.as_deref(),
        Some("somespammer@example.net")
    );
    assert_eq!(feedback.original_rcpt_to, ["user@example.com"]);
    assert_eq!(feedback.source_ip, Some("192.0.2.2".parse().unwrap()));
    assert_eq!(feedback.reported_uri.len(), 2);
    let receipt = read("disposition-notification.txt");
    assert!(Disposition::parse(&Index::of(&receipt), &receipt).is_some());
    let status = read("delivery-status.txt");
    assert_eq!(
        Report::of(&Index::of(&status)).unwrap().kind,
        Kind::DeliveryStatus
    );
}

#[test]
fn messages_in_pieces() {
    let piece = |number: u32, total: &str, body: &str| {
        format!(
            "From: a@b\r\nSubject: piece {number}\r\nMessage-ID: <p{number}@b>\r\nMIME-Version: 1.0\r\n\
            Content-Type: message/partial; id=\"x@b\"; number={number}{total}\r\n\r\n{body}"
        )
    };
    let first = piece(
        1,
        "",
        "X-Other: dropped\r\nSubject: whole\r\nContent-Type: text/plain\r\n\r\none\r\n",
    );
    let second = piece(2, "; total=2", "two\r\n");
    let (a, b) = (report(&first), report(&second));
    let (a, b) = ((&a, first.as_bytes()), (&b, second.as_bytes()));
    assert_eq!(Partial::of(&a.0.root()).unwrap().id, "x@b");
    let whole = partial::join(&[b, a], 10_000).unwrap();
    assert_eq!(
        String::from_utf8(whole).unwrap(),
        "From: a@b\r\nSubject: whole\r\nContent-Type: text/plain\r\n\r\none\r\ntwo\r\n"
    );
    assert_eq!(partial::join(&[b], 10_000), Err(Incomplete::Missing(1)));
    assert_eq!(partial::join(&[a], 10_000), Err(Incomplete::Missing(2)));
    assert_eq!(partial::join(&[], 10_000), Err(Incomplete::Missing(1)));
    assert_eq!(partial::join(&[a, b], 40), Err(Incomplete::TooLarge));
    let other = report("Subject: x\r\n\r\ny");
    assert_eq!(
        partial::join(&[a, (&other, b"")], 10_000),
        Err(Incomplete::Foreign)
    );
}

#[test]
fn public_messages_in_pieces() {
    let Some(corpus) = corpus() else { return };
    let read = |name: &str| std::fs::read(corpus.join("mimekit/partial").join(name)).unwrap();
    for (pieces, whole) in [
        (vec!["rfc2046.1.eml", "rfc2046.0.eml"], "rfc2046.eml"),
        (
            vec![
                "message-partial.0.eml",
                "message-partial.2.eml",
                "message-partial.1.eml",
            ],
            "message-partial.eml",
        ),
    ] {
        let files: Vec<Vec<u8>> = pieces.iter().map(|name| read(name)).collect();
        let indexes: Vec<Index> = files.iter().map(|file| Index::of(file)).collect();
        let pieces: Vec<(&Index, &[u8])> = indexes
            .iter()
            .zip(&files)
            .map(|(i, f)| (i, f.as_slice()))
            .collect();
        let (got, want) = (partial::join(&pieces, 1 << 20).unwrap(), read(whole));
        // The order of fields is not told; MimeKit has another one.
        let split = |message: &[u8]| {
            let header = Index::of(message).root().header().end as usize;
            let mut fields: Vec<String> = mailwright_message::header::fields(&message[..header])
                .map(|f| {
                    String::from_utf8_lossy(f.raw)
                        .to_ascii_lowercase()
                        .split_whitespace()
                        .collect()
                })
                .collect();
            fields.sort();
            let body: Vec<u8> = message[header..]
                .iter()
                .copied()
                .filter(|b| *b != b'\r')
                .collect();
            (fields, body)
        };
        assert!(
            split(&got) == split(&want),
            "{whole}:\n{}",
            String::from_utf8_lossy(&got[..got.len().min(2000)])
        );
    }
}

#[test]
fn bodies_elsewhere() {
    let message = "Content-Type: message/external-body; name=\"BodyFormats.ps\"; site=\"thumper.bellcore.com\"; mode=\"image\";\r\n \
        access-type=ANON-FTP; directory=\"pub\"; expiration=\"Fri, 14 Jun 1991 19:13:14 -0400\"; size=77\r\n\r\n\
        Content-type: application/postscript\r\nContent-ID: <id42@guppylake.bellcore.com>\r\n\r\nphantom";
    let index = report(message);
    let external = ExternalBody::of(&index.root(), message.as_bytes()).unwrap();
    assert_eq!(
        (external.access_type.as_str(), external.name.as_deref()),
        ("anon-ftp", Some("BodyFormats.ps"))
    );
    assert_eq!(
        (external.site.as_deref(), external.size),
        (Some("thumper.bellcore.com"), Some(77))
    );
    assert_eq!(external.expiration.unwrap().unix, 676_941_194);
    assert!(
        external
            .header
            .starts_with(b"Content-type: application/postscript")
    );
    assert_eq!(external.phantom, b"phantom");
}

type Work = fn(&[u8]) -> usize;

/// Name, unit that is repeated, and what is done with it.
const HOSTILE: &[(&str, &[u8], Work)] = &[
    ("html: open tags", b"<a href='", |i| {
        html::to_text(&String::from_utf8_lossy(i)).len()
    }),
    ("html: elements", b"<div><ul><li><blockquote>x", |i| {
        html::to_text(&String::from_utf8_lossy(i)).len()
    }),
    ("html: hidden elements", b"<p hidden><div hidden>", |i| {
        html::to_text(&String::from_utf8_lossy(i)).len()
    }),
    ("html: references", b"&amp&#x&#", |i| {
        html::to_text(&String::from_utf8_lossy(i)).len()
    }),
    ("html: comments", b"<!--<!--->--", |i| {
        html::to_text(&String::from_utf8_lossy(i)).len()
    }),
    ("html: scripts", b"<script></scrip", |i| {
        html::to_text(&String::from_utf8_lossy(i)).len()
    }),
    ("html: attributes", b"<a a=b c='d' ", |i| {
        html::to_text(&String::from_utf8_lossy(i)).len()
    }),
    ("flowed: quotes", b">>>>>>>> \n", |i| {
        flowed::decode(&String::from_utf8_lossy(i), true).len()
    }),
    ("flowed: spaces", b" \n", |i| {
        flowed::decode(&String::from_utf8_lossy(i), false).len()
    }),
    ("flowed: encoded", b"a  ", |i| {
        flowed::encode(&String::from_utf8_lossy(i)).len()
    }),
    ("uu: begins", b"begin 644 x\n", |i| {
        uu::files(i).map(|f| f.decode().len()).sum()
    }),
    ("uu: begins and data", b"begin 644 x\n#86)C\n", |i| {
        uu::files(i).map(|f| f.decode().len()).sum()
    }),
    ("yenc: begins", b"=ybegin line=1 size=1 name=x\n", |i| {
        yenc::files(i).map(|f| f.decode().0.len()).sum()
    }),
    ("yenc: keywords", b"=ybegin size=1 size=1 size=1", |i| {
        yenc::files(i).count() + Encoding::Yenc.decode(i).len()
    }),
    (
        "binhex: marks",
        b"(This file must be converted with BinHex\n\n",
        |i| find_binhex(i).unwrap_or(0),
    ),
    ("quoted-printable: equals", b"= ", |i| {
        Encoding::QuotedPrintable.decode(i).len()
    }),
    ("quoted-printable: blanks", b"  \t", |i| {
        Encoding::QuotedPrintable.decode(i).len()
    }),
    ("base64: junk", b"QUI!=", |i| Encoding::Base64.decode(i).len()),
    ("utf-7", b"+AAAA+-", |i| {
        charset::decode(b"utf-7", i).map_or(0, |t| t.len())
    }),
    ("guess", b"\xc3\xa9\xe9", |i| charset::guess(i).len()),
    ("preview", b"x:\n\n>\n", |i| {
        preview::from_text(&String::from_utf8_lossy(i)).len()
    }),
    ("tnef: attachments", &[2, 2, 0x90, 6, 0, 0, 0, 0, 0, 0, 0], |i| {
        Tnef::parse(&[&0x223e_9f78u32.to_le_bytes()[..], &[0, 0], i].concat())
            .map_or(0, |t| t.attachments.len())
    }),
];

#[test]
fn work_is_linear_in_hostile_input() {
    for (name, unit, work) in HOSTILE {
        if let Err(slow) = growth(unit, *work) {
            panic!("{name}: {slow}");
        }
    }
    // What is quadratic is told by the same means.
    let quadratic = growth(b"ab", |input| {
        (0..input.len())
            .filter(|at| memchr_from_start(input, *at))
            .count()
    });
    assert!(quadratic.is_err());
}

fn memchr_from_start(input: &[u8], end: usize) -> bool {
    std::hint::black_box(&input[..end]).contains(&b'x')
}

/// Whether the work is linear in the number of units, with so many of them as take a quarter of a millisecond.
///
/// Longer runs leave the caches, and look slower than they are.
fn growth(unit: &[u8], work: Work) -> Result<(), TooSlow> {
    let work = |input: &[u8]| {
        std::hint::black_box(work(input));
    };
    let mut times = 4096 / unit.len();
    while times < 1 << 18 && time(work, &unit.repeat(times)) < Duration::from_micros(250) {
        times *= 2;
    }
    is_linear(times, |times| unit.repeat(times), work)
}

proptest! {
    #[test]
    fn damaged_streams_never_panic(changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..12)) {
        let mut stream = stream();
        for (at, byte) in changes {
            let at = at.index(stream.len() - 4) + 4;
            stream[at] = byte;
        }
        let _ = Tnef::parse(&stream);
        let _ = decompress_rtf(&stream[12..], 10_000);
    }

    #[test]
    fn any_octets_are_no_trouble(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Tnef::parse(&[&0x223e_9f78u32.to_le_bytes()[..], &octets].concat());
        let _ = decompress_rtf(&[&[40, 0, 0, 0, 99, 0, 0, 0][..], b"LZFu", &[0; 4], &octets].concat(), 10_000);
    }
}
