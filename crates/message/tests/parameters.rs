//! Content-Type, Content-Disposition and their parameters.

use mailwright_message::DefectKind;
use mailwright_message::header::Limits;
use mailwright_message::parameters::{ContentType, Disposition, Parameter};
use proptest::prelude::*;

fn parameters(value: &str) -> Vec<(String, String)> {
    ContentType::parse(value.as_bytes())
        .map(|t| {
            t.parameters()
                .iter()
                .map(|p| (p.name().to_owned(), p.value().into_owned()))
                .collect()
        })
        .unwrap_or_default()
}

fn check(value: &str, want: &[(&str, &str)]) {
    let got = parameters(value);
    let got: Vec<(&str, &str)> = got.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(got, want, "{value}");
}

#[test]
fn examples_of_rfc_2231() {
    check(
        "message/external-body; access-type=URL;\r\n URL*0=\"ftp://\";\r\n URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"",
        &[
            ("access-type", "URL"),
            ("URL", "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"),
        ],
    );
    check(
        "application/x-stuff;\r\n title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
        &[("title", "This is ***fun***")],
    );
    check(
        "application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20;\r\n title*1*=%2A%2A%2Afun%2A%2A%2A%20;\r\n title*2=\"isn't it!\"",
        &[("title", "This is even more ***fun*** isn't it!")],
    );
}

#[test]
fn sections_in_any_order_and_number() {
    check("a/b; x*1=b; x*0=a; x*2=c", &[("x", "abc")]);
    check("a/b; x*0=a; x*2=c", &[("x", "a")]);
    check("a/b; x*1=b; x=plain", &[("x", "plain")]);
    check("a/b; x*1=b", &[]);
    check("a/b; x=plain; x*=utf-8''%C3%A9; X=second", &[("x", "é")]);
    check("a/b; x*0*=utf-8''%C3; x*1*=%A9", &[("x", "é")]);
    check(
        "a/b; x*10=k; x*0=a; x*1=b; x*2=c; x*3=d; x*4=e; x*5=f; x*6=g; x*7=h; x*8=i; x*9=j",
        &[("x", "abcdefghijk")],
    );
    check("a/b; x*=iso-8859-1''%E9%zz", &[("x", "é%zz")]);
    check("a/b; x*=x-unknown''%E9", &[("x", "é")]);
    check("a/b; x*=nocharset", &[("x", "nocharset")]);
    check(
        "a/b; x*99999999999=a; x*y=b",
        &[("x*99999999999", "a"), ("x*y", "b")],
    );
}

#[test]
fn values_of_the_wild() {
    check(
        "text/plain; charset=\"a \\\"b\\\" c\"; (c) format = flowed (d)",
        &[("charset", "a \"b\" c"), ("format", "flowed")],
    );
    check("text/plain charset=utf-8", &[("charset", "utf-8")]);
    check(
        "text/plain; charset=utf-8 format=flowed",
        &[("charset", "utf-8"), ("format", "flowed")],
    );
    check(
        "application/pdf; name=my file.pdf; x=y",
        &[("name", "my file.pdf"), ("x", "y")],
    );
    check("a/b; name=\"=?utf-8?B?w6k=?=\"", &[("name", "é")]);
    check(
        "multipart/mixed; boundary=--==_x=y==",
        &[("boundary", "--==_x=y==")],
    );
    check(
        "multipart/mixed; boundary=\"foo\r\n bar\"",
        &[("boundary", "foo bar")],
    );
    check("a/b; x=\"unclosed; y=z", &[("x", "unclosed"), ("y", "z")]);
    check("a/b;;; =x; ; y", &[]);
    check("a/b; x=", &[("x", "")]);
    check("a/b; x=; y=z", &[("x", ""), ("y", "z")]);
}

#[test]
fn types() {
    let content_type = ContentType::parse(b" (c) Text / HTML (d); charset=x").unwrap();
    assert_eq!(
        (content_type.media_type(), content_type.subtype()),
        ("Text", "HTML")
    );
    for none in ["", "text", "/plain", "text/", ";", "text; charset=x"] {
        assert_eq!(ContentType::parse(none.as_bytes()), None, "{none}");
    }
    let boundary = |value: &[u8]| ContentType::parse(value).and_then(|t| t.boundary().map(<[u8]>::to_vec));
    assert_eq!(boundary(b"multipart/mixed; boundary=\"a b  \"").unwrap(), b"a b");
    assert_eq!(boundary(b"multipart/mixed; boundary=\"  \""), None);
    let disposition = Disposition::parse(b"attachment; filename*=utf-8''%E2%82%AC.txt").unwrap();
    assert_eq!(disposition.parameter("FILENAME").unwrap(), "€.txt");
    assert!(disposition.is_attachment() && !Disposition::parse(b"inline").unwrap().is_attachment());
    assert_eq!(Disposition::parse(b" ; x=y"), None);
}

#[test]
fn a_hundred_thousand_parameters_and_sections_are_read_at_once() {
    let mut value = b"a/b".to_vec();
    for i in 0..100_000 {
        value.extend_from_slice(format!("; p{i}=v; x*{i}=y").as_bytes());
    }
    let (content_type, cut) = ContentType::parse_limited(&value, usize::MAX);
    assert!(!cut);
    let content_type = content_type.unwrap();
    assert_eq!(content_type.parameters().len(), 100_001);
    assert_eq!(content_type.parameter("x").unwrap().len(), 100_000);
    let (content_type, cut) = ContentType::parse_limited(&value, 10);
    assert!(cut && content_type.unwrap().parameters().len() == 6);
}

proptest! {
    #[test]
    fn any_octets_parse(value in "[a-z/;=*'%\"() \\\\0-9]{0,80}") {
        let _ = ContentType::parse(value.as_bytes());
        let _ = Disposition::parse(value.as_bytes());
    }
}

#[test]
fn languages_and_sections_of_two_kinds() {
    let value = b"a/b; x*0*=utf-16le'de-AT'%41%00; x*1=bc; y*=us-ascii''d";
    let content_type = ContentType::parse(value).unwrap();
    let [x, y] = content_type.parameters() else {
        panic!()
    };
    assert_eq!((&*x.value(), x.language()), ("Abc", Some("de-AT")));
    assert_eq!((&*y.value(), y.language()), ("d", None));
}

#[test]
fn what_is_odd_is_told() {
    use DefectKind::*;
    for (value, want) in [
        ("a/b; x=y; z=\"w\"", &[][..]),
        ("a", &[(InvalidContentType, 0)]),
        ("a/b; x=y; X=z", &[(DuplicateParameter, 10)]),
        ("a/b; x*0=y; x*2=z", &[(MissingSection, 12)]),
        ("a/b; x*0=y; x*0=z", &[(DuplicateParameter, 12)]),
        ("a/b; x*1=z", &[(MissingSection, 5)]),
        ("a/b; x=\"y", &[(Unbalanced, 7)]),
        ("a/b; x=y z", &[(InvalidParameter, 7)]),
        ("a/b; x; y=z", &[(InvalidParameter, 5)]),
        ("a/b; x*=utf-8''%zz", &[(InvalidParameter, 5)]),
        ("a/b; x*=y", &[(InvalidParameter, 5)]),
        ("a/b; x*=x-unknown''y", &[(UnknownCharset, 5)]),
        ("a/b; x*=utf-8''%ff", &[(UndecodableText, 5)]),
        ("a/b; x=\"=?utf-8?q?y?=\"", &[(MisplacedEncodedWord, 5)]),
    ] {
        let mut defects = Vec::new();
        let _ = ContentType::parse_with(value.as_bytes(), &Limits::default(), &mut defects);
        let told: Vec<_> = defects.iter().map(|d| (d.kind, d.offset)).collect();
        assert_eq!(told, want, "{value}");
    }
    let mut limits = Limits::default();
    limits.max_parameters = 1;
    let mut defects = Vec::new();
    let disposition = Disposition::parse_with(b"inline; a=b; c=d", &limits, &mut defects).unwrap();
    assert_eq!(disposition.parameters().len(), 1);
    assert_eq!((defects[0].kind, defects[0].offset), (TooManyParameters, 13));
}

proptest! {
    #[test]
    fn printed_parameters_read_back(value in "\\PC{0,60}|[ -~]{0,60}|[\r\n\t =?'\"%*\\\\é]{0,30}") {
        let printed = format!("a/b; name={}; {}", "x", Parameter::new("value", &value));
        prop_assert!(printed.is_ascii() && !printed.contains(char::is_control));
        let mut defects = Vec::new();
        let read = ContentType::parse_with(printed.as_bytes(), &Limits::default(), &mut defects).unwrap();
        // U+FEFF at the front of a text is a byte order mark, and dropped.
        prop_assume!(!value.starts_with('\u{feff}') && !value.contains('\u{fffd}'));
        prop_assert_eq!(&*defects, &[]);
        prop_assert_eq!(read.parameter("value").unwrap(), &*value);
        let again = read.to_string();
        prop_assert_eq!(ContentType::parse(again.as_bytes()).unwrap(), read.clone());
    }
}
