//! Hostile messages: bounded memory, bounded work, no recursion, no panic.

mod common;

use common::generators::GENERATORS;
use common::{exercise, index_in_chunks};
use mailwright_message::index::{Index, Kind, Options, Section};
use mailwright_message::parameters::ContentType;
use mailwright_message::scan::{Field, Limits, Nature, Scanner, Visitor};
use mailwright_message::{DefectKind, address_list, date, encoded_word, header, message_id};

fn has(index: &Index, kind: DefectKind) -> bool {
    index.defects().any(|defect| defect.kind == kind)
}

#[test]
fn every_cut_of_every_generator_gives_the_same_index() {
    for (name, generate) in GENERATORS {
        let message = generate(300);
        let whole = Index::of(&message);
        exercise(&whole, &message);
        for sizes in [&[1][..], &[2], &[3], &[7, 1, 100], &[4096]] {
            assert!(index_in_chunks(&message, sizes) == whole, "{name} {sizes:?}");
        }
    }
}

/// Large ones, for the stack and for limits that hold.
#[test]
fn large_ones_are_bounded() {
    for (name, generate) in GENERATORS {
        let message = generate(100_000);
        let index = index_in_chunks(&message, &[8192]);
        let stored = index.to_bytes().len();
        assert!(stored < 6 << 20, "{name}: {stored} octets of index");
        assert!(index.defects().count() <= 218, "{name}");
        exercise(&index, &message);
    }
}

#[test]
fn a_million_levels_cost_no_stack() {
    for level in [
        &b"Content-Type: message/rfc822\r\n\r\n"[..],
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n",
    ] {
        let message = level.repeat(1_000_000);
        let index = Index::of(&message);
        assert!(has(&index, DefectKind::TooDeep));
        let deepest = index.parts().last().unwrap();
        assert_eq!((deepest.depth(), deepest.kind()), (100, Kind::Leaf));
        assert_eq!(deepest.body_structure().media_type(), b"application");
    }
}

/// The scanner looks at each octet a bounded number of times: the events it gives are linear in the input.
#[test]
fn events_are_linear_in_the_input() {
    #[derive(Default)]
    struct Count(usize);
    impl Visitor for Count {
        fn part(&mut self, _: u64) {
            self.0 += 1;
        }
        fn field(&mut self, field: &Field<'_>) {
            self.0 += 1 + field.value.len() / 16;
        }
        fn body(&mut self, _: u64, _: Nature) {
            self.0 += 1;
        }
        fn end(&mut self, _: u64, _: Option<u64>) {
            self.0 += 1;
        }
        fn defect(&mut self, _: mailwright_message::Defect) {
            self.0 += 1;
        }
    }
    for (name, generate) in GENERATORS {
        let message = generate(20_000);
        let (mut scanner, mut count) = (Scanner::new(Limits::default()), Count::default());
        message
            .chunks(1000)
            .for_each(|chunk| scanner.push(chunk, &mut count));
        assert_eq!(scanner.offset(), message.len() as u64);
        scanner.finish(&mut count);
        assert!(
            count.0 <= message.len() / 2 + 10,
            "{name}: {} events of {}",
            count.0,
            message.len()
        );
    }
}

#[test]
fn limits_are_told_and_hold() {
    let with = |change: fn(&mut Options), message: &[u8]| {
        let mut options = Options::default();
        change(&mut options);
        let mut builder = Index::builder(options);
        builder.push(message);
        let index = builder.finish();
        exercise(&index, message);
        index
    };
    let parts = [
        &b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"[..],
        &b"--b\r\n\r\nx\r\n".repeat(20),
    ]
    .concat();
    let index = with(|o| o.limits.max_parts = 5, &parts);
    assert!(has(&index, DefectKind::TooManyParts) && index.parts().count() == 5);
    let index = with(|o| o.limits.max_depth = 0, &parts);
    assert!(has(&index, DefectKind::TooDeep) && index.parts().count() == 1);
    let index = with(
        |o| o.limits.max_depth = u16::MAX,
        &b"Content-Type: message/rfc822\r\n\r\n".repeat(1000),
    );
    assert_eq!(index.parts().map(|part| part.depth()).max(), Some(500));
    let index = with(|o| o.max_fields = 3, &b"A: b\r\n".repeat(9));
    assert!(has(&index, DefectKind::TooManyFields) && index.header_fields().count() == 3);
    let index = with(
        |o| o.max_addresses = 3,
        b"To: a@b, c@d, g: e@f, h@i;\r\nCc: j@k\r\n\r\n",
    );
    assert!(has(&index, DefectKind::TooManyAddresses));
    assert_eq!(
        (index.envelope().to().count(), index.envelope().cc().count()),
        (4, 1)
    );
    let index = with(
        |o| o.limits.max_parameters = 2,
        b"Content-Type: a/b; c=d; e=f; g=h\r\n\r\n",
    );
    assert!(has(&index, DefectKind::TooManyParameters));
    assert_eq!(index.body_structure().parameters().count(), 2);
    let long = [&b"Subject: "[..], &b"x".repeat(5000), b"\r\nTo: a@b\r\n\r\n"].concat();
    let index = with(|o| o.limits.max_field_octets = 2000, &long);
    assert!(has(&index, DefectKind::FieldTooLong));
    assert_eq!(index.envelope().subject().map(<[u8]>::len), Some(2000 - 9));
    assert_eq!(index.header_fields().next().unwrap().field, 0..5011);
    assert_eq!(index.envelope().to().count(), 1);
    let index = with(|o| o.max_text_octets = 1000, &long);
    assert!(has(&index, DefectKind::TooMuchText));
    assert_eq!(index.envelope().subject(), None);
    assert!(index.to_bytes().len() < 1500);
    let index = with(
        |o| o.max_defects = 2,
        &[&b"A: b\r\n"[..], &b"garbage\r\n".repeat(9)].concat(),
    );
    assert_eq!(index.defects().count(), 3, "two, and the first of another kind");
    assert!(has(&index, DefectKind::UnendedHeader));
}

/// Values that are parsed when asked: much of everything, in one go.
#[test]
fn long_values() {
    for unit in [
        "a@b,",
        "(",
        ")",
        "\"",
        "<",
        ">",
        "[",
        "\\",
        "=?",
        "=?utf-8?q?",
        "=?utf-8?q?x?= ",
        ";x*0=a",
        ";a=\"",
        "1 Jan 2000 ",
        ":",
        ".",
        "@",
        "a ",
        "a(",
        "\\\"",
        "<\\\"",
        "(c)",
        "\u{e9}",
    ] {
        let value = unit.repeat(50_000);
        let octets = value.as_bytes();
        let _ = address_list::parse(octets);
        let _ = encoded_word::decode(octets);
        let _ = message_id::parse_list(octets);
        let _ = ContentType::parse(octets);
        let _ = date::parse(octets);
        let _ = header::decode(octets);
        let _ = header::fields(octets).count();
        let _ = header::write_text("X", &value);
    }
}

/// Offsets go past 4 GiB; here the octets pass by, and are not kept.
#[test]
fn offsets_beyond_four_gibibytes() {
    let mut builder = Index::builder(Options::default());
    let head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: a/b\r\n\r\n";
    builder.push(head);
    let chunk = [vec![b'x'; (1 << 20) - 1], vec![b'\n']].concat();
    for _ in 0..4100 {
        builder.push(&chunk);
    }
    builder.push(b"--b\r\nA: b\r\n\r\ntwo\r\n--b--");
    let index = Index::from_bytes(builder.finish().to_bytes()).unwrap();
    let first = index.part(&[1]).unwrap();
    assert_eq!(first.body().end, head.len() as u64 + 4100 * (1 << 20) - 1);
    let second = index.part(&[2]).unwrap();
    let field = second.fields().next().unwrap();
    assert_eq!(field.name.start, head.len() as u64 + 4100 * (1 << 20) + 5);
    assert_eq!(
        (second.body().end - second.body().start, second.lines()),
        (3, Some(1))
    );
    assert_eq!(
        index.section(&[2], Section::Mime),
        Some(field.name.start..second.body().start)
    );
}
