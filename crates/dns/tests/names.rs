//! Names: what is one, and what it looks like.
#![allow(clippy::unwrap_used)]

use mailwright_dns::{Error, Name};
use proptest::prelude::*;
use std::collections::HashSet;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

#[test]
fn names_parse_and_print() {
    for (text, printed) in [
        (".", "."),
        ("b.test", "b.test"),
        ("b.test.", "b.test"),
        ("B.Test", "B.Test"),
        ("_25._tcp.mx.b.test", "_25._tcp.mx.b.test"),
        ("a_b-.test", "a_b-.test"),
        ("*.b.test", "*.b.test"),
        ("192.0.2.1", "192.0.2.1"),
        (r"a\.b.test", r"a\.b.test"),
        (r"a\\b.test", r"a\\b.test"),
        (r"a\\.test", r"a\\.test"),
        (r"a\032b.test", r"a\032b.test"),
        (r"\000\255.test", r"\000\255.test"),
        (r"\097.test", "a.test"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("faß.example", "xn--fa-hia.example"),
    ] {
        assert_eq!(name(text).to_string(), printed, "{text}");
        assert_eq!(name(printed), name(text), "{text}");
    }
}

#[test]
fn what_is_no_name() {
    for (text, error) in [
        ("", Error::EmptyLabel),
        ("..", Error::EmptyLabel),
        (".b", Error::EmptyLabel),
        ("a..b", Error::EmptyLabel),
        ("a..", Error::EmptyLabel),
        ("a b", Error::BadCharacter),
        ("a\tb", Error::BadCharacter),
        ("a\0b", Error::BadCharacter),
        ("a\r\nb", Error::BadCharacter),
        ("a\u{a0}b", Error::BadCharacter),
        (r"a\", Error::BadEscape),
        (r"a\1", Error::BadEscape),
        (r"a\25x", Error::BadEscape),
        (r"a\256", Error::BadEscape),
        ("a\\\u{e9}", Error::BadEscape),
        (r"ü\200.test", Error::BadEscape),
        ("a\u{200d}\u{ffff}.test", Error::Idna),
    ] {
        assert_eq!(Name::parse(text), Err(error), "{text:?}");
    }
    assert_eq!(Name::parse(&"a".repeat(64)), Err(Error::LabelTooLong));
    assert_eq!(Name::parse(&"a".repeat(100_000)), Err(Error::LabelTooLong));
    assert!(Name::parse(&"a".repeat(63)).is_ok());
    let label = "a".repeat(49);
    let five = [label.as_str(); 5].join(".");
    assert!(Name::parse(&format!("{five}.abc")).is_ok());
    assert_eq!(Name::parse(&format!("{five}.abcd")), Err(Error::NameTooLong));
}

#[test]
fn case_does_not_matter() {
    assert_eq!(name("B.TEST"), name("b.test"));
    assert_eq!(name("B.TEST").cmp(&name("b.test")), core::cmp::Ordering::Equal);
    assert_eq!(
        HashSet::from([name("B.TEST"), name("b.test"), name("c.test")]).len(),
        2
    );
    assert_ne!(name(r"a\.b"), name("a.b"));
}

#[test]
fn names_have_labels_parents_and_ancestors() {
    let mx = name("mx.B.test");
    assert_eq!(mx.labels().collect::<Vec<_>>(), [&b"mx"[..], b"B", b"test"]);
    assert_eq!(mx.parent(), Some(name("b.test")));
    assert_eq!(name("test").parent(), Some(Name::root()));
    assert_eq!(Name::root().parent(), None);
    assert!(mx.is_within(&name("b.TEST")) && mx.is_within(&mx) && mx.is_within(&Name::root()));
    assert!(!name("b.test").is_within(&mx) && !name("xb.test").is_within(&name("b.test")));
    assert!(!Name::root().is_within(&mx));
    // The octets of a label may look like a name.
    assert!(!name(r"x\004test").is_within(&name("test")));
}

#[test]
fn prefixes() {
    assert_eq!(
        name("mx.test").with_prefix("_25._tcp").unwrap(),
        name("_25._tcp.mx.test")
    );
    assert_eq!(Name::root().with_prefix("test").unwrap(), name("test"));
    assert_eq!(name("b.test").with_prefix(""), Err(Error::EmptyLabel));
    let long = [&*"a".repeat(60); 4].join(".");
    assert_eq!(
        name(&long).with_prefix("_dmarc._domainkey"),
        Err(Error::NameTooLong)
    );
}

#[test]
fn reverse_names() {
    assert_eq!(
        Name::reverse([192, 0, 2, 10].into()).to_string(),
        "10.2.0.192.in-addr.arpa"
    );
    let expected = "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa";
    assert_eq!(
        Name::reverse("4321:0:1:2:3:4:567:89ab".parse().unwrap()).to_string(),
        expected
    );
}

proptest! {
    #[test]
    fn any_octets_print_and_parse_to_the_same(labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 1..10)) {
        let text: Vec<String> = labels
            .iter()
            .map(|label| label.iter().map(|octet| format!("\\{octet:03}")).collect())
            .collect();
        let first = Name::parse(&text.join(".")).unwrap();
        prop_assert!(first.labels().eq(labels.iter().map(Vec::as_slice)));
        let printed = first.to_string();
        prop_assert!(printed.bytes().all(|octet| octet.is_ascii_graphic()));
        let second = Name::parse(&printed).unwrap();
        prop_assert!(second.labels().eq(first.labels()));
    }

    #[test]
    fn any_text_is_a_name_or_an_error(text in "\\PC{0,80}") {
        if let Ok(name) = Name::parse(&text) {
            let printed = name.to_string();
            prop_assert!(printed.is_ascii());
            prop_assert_eq!(Name::parse(&printed), Ok(name));
        }
    }
}
