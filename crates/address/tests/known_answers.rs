//! Addresses whose reading is known, accepted and refused.

use mailwright_address::ParseErrorKind::{self, *};
use mailwright_address::{
    AddressLiteral, Domain, EmailAddress, ForwardPath, Host, MAX_DOMAIN, MAX_LOCAL_PART, RFC_LOCAL_PART,
    ReversePath,
};
use std::collections::HashSet;
use std::net::IpAddr;

fn address(text: &str) -> EmailAddress {
    text.parse()
        .unwrap_or_else(|e| panic!("{text:?} should be an address: {e}"))
}

fn wrong(text: &str) -> (ParseErrorKind, usize) {
    let error = EmailAddress::parse(text).expect_err(text);
    (error.kind(), error.offset())
}

#[test]
fn addresses_print_as_written_and_tell_their_parts() {
    for (text, local, unquoted, host) in [
        ("a@b.c", "a", "a", "b.c"),
        ("A.b+tag@EXAMPLE.Com", "A.b+tag", "A.b+tag", "EXAMPLE.Com"),
        (
            "!#$%&'*+-/=?^_`{|}~@b",
            "!#$%&'*+-/=?^_`{|}~",
            "!#$%&'*+-/=?^_`{|}~",
            "b",
        ),
        (r#""a\"><x"@c.d"#, r#""a\"><x""#, r#"a"><x"#, "c.d"),
        (r#""a\\\b c"@c.d"#, r#""a\\\b c""#, r"a\b c", "c.d"),
        (r#""@"@c.d"#, r#""@""#, "@", "c.d"),
        (r#"""@c.d"#, r#""""#, "", "c.d"),
        ("grün@bücher.example", "grün", "grün", "bücher.example"),
        ("\"g ü\"@例え.テスト", "\"g ü\"", "g ü", "例え.テスト"),
        ("a@[192.0.2.1]", "a", "a", "[192.0.2.1]"),
        ("a@[IPv6:::1]", "a", "a", "[IPv6:::1]"),
        ("a@[x-tag:any/thing]", "a", "a", "[x-tag:any/thing]"),
        ("a@1.2.3.4", "a", "a", "1.2.3.4"),
        ("a@xn--bcher-kva.example", "a", "a", "xn--bcher-kva.example"),
    ] {
        let parsed = address(text);
        assert_eq!(parsed.to_string(), text);
        assert_eq!(parsed.local_part(), local);
        assert_eq!(parsed.unquoted_local_part(), unquoted, "{text}");
        assert_eq!(parsed.host().to_string(), host);
        assert_eq!(parsed.is_ascii(), text.is_ascii());
        assert_eq!(parsed.domain().is_some(), !host.starts_with('['));
    }
}

#[test]
fn what_is_no_address_is_refused_where_it_is_wrong() {
    for (text, kind, offset) in [
        ("", UnexpectedEnd, 0),
        ("a", UnexpectedEnd, 1),
        ("a@", EmptyLabel, 2),
        ("@b", EmptyAtom, 0),
        (".a@b", EmptyAtom, 0),
        ("a..b@c", EmptyAtom, 2),
        ("a.@b", EmptyAtom, 2),
        ("a@b.", EmptyLabel, 4),
        ("a@.b", EmptyLabel, 2),
        ("a@b..c", EmptyLabel, 4),
        ("a@-b", Hyphen, 2),
        ("a@b-.c", Hyphen, 3),
        ("a@b_c", Trailing, 3),
        ("a@b@c", Trailing, 3),
        ("a b@c", Unexpected, 1),
        ("a@b c", Trailing, 3),
        (" a@b", Unexpected, 0),
        ("a@b ", Trailing, 3),
        ("<a@b>", Unexpected, 0),
        ("a\rb@c", Unexpected, 1),
        ("a@c\r\nRCPT TO:<x@y>", Unexpected, 3),
        ("a@\n", Unexpected, 2),
        ("a\0@b", Unexpected, 1),
        ("a\u{7f}@b", Unexpected, 1),
        ("a\u{85}@b", Unexpected, 1),
        ("a\u{2028}@b", Unexpected, 1),
        ("\"a\u{9b}\"@b", Unexpected, 2),
        ("a@b\u{85}", Unexpected, 3),
        ("a@b\u{3002}c", Trailing, 3),
        ("a@b\u{202e}c", Trailing, 3),
        ("a@b\u{a0}c", Trailing, 3),
        ("\"a", UnexpectedEnd, 2),
        ("\"a\\\"@b", UnexpectedEnd, 6),
        ("\"a\r\n\"@b", Unexpected, 2),
        ("\"a\\\u{e9}\"@b", Unexpected, 3),
        ("\"a\"b@c", Unexpected, 3),
        ("a@[", UnexpectedEnd, 3),
        ("a@[]", Literal, 3),
        ("a@[1.2.3]", Literal, 3),
        ("a@[256.0.0.1]", Literal, 3),
        ("a@[010.0.0.1]", Literal, 3),
        ("a@[::1]", Literal, 3),
        ("a@[IPv6:1::2::3]", Literal, 3),
        ("a@[IPv6:fe80::1%eth0]", Literal, 3),
        ("a@[tag-:x]", Literal, 3),
        ("a@[tag:]", Literal, 3),
        ("a@[tag:a b]", Unexpected, 8),
        ("a@[1.2.3.4]x", Trailing, 11),
    ] {
        assert_eq!(wrong(text), (kind, offset), "{text:?}");
    }
}

#[test]
fn lengths_are_limited() {
    let domain = |n: usize| {
        let mut d = "a.".repeat(n / 2);
        d.truncate(n - 1);
        d + "z"
    };
    let local = |n| "l".repeat(n);
    let parse = |l: usize, d: usize| EmailAddress::parse(&format!("{}@{}", local(l), domain(d)));
    assert!(parse(RFC_LOCAL_PART, 255).is_ok());
    assert!(parse(MAX_LOCAL_PART, MAX_DOMAIN).is_ok());
    assert_eq!(parse(321, 9).unwrap_err().kind(), LocalPartTooLong);
    assert_eq!(parse(321, 9).unwrap_err().offset(), 320);
    assert_eq!(parse(9, 257).unwrap_err().kind(), DomainTooLong);
    // Offsets never point into a character.
    assert_eq!(wrong(&format!("a{}@b", "ü".repeat(160))), (LocalPartTooLong, 319));
    assert_eq!(wrong(&format!("a@b.{}", local(64))), (LabelTooLong, 4 + 63));
    assert!(Domain::parse(&local(63)).is_ok());
    // Its A-label is shorter than its UTF-8.
    assert!(Domain::parse(&"ü".repeat(40)).is_ok());
    let literal = |n| AddressLiteral::parse(&format!("[x:{}]", local(n)));
    assert!(literal(251).is_ok());
    assert_eq!(literal(252).unwrap_err().kind(), DomainTooLong);
    assert_eq!(
        EmailAddress::new(&"\"".repeat(160), domain(9).parse().unwrap())
            .unwrap_err()
            .kind(),
        LocalPartTooLong
    );
}

#[test]
fn comparison_is_by_meaning() {
    for (a, b) in [
        ("a@B.c", "a@b.C"),
        (r#""a"@b"#, "a@b"),
        (r#""\a\"b"@b"#, r#""a\"b"@b"#),
        ("a@[ipv6:::1]", "a@[IPv6:0:0:0:0:0:0:0:1]"),
        ("a@[TAG:x]", "a@[tag:X]"),
    ] {
        assert_eq!(address(a), address(b));
        assert!(address(a).cmp(&address(b)).is_eq());
        assert_eq!(
            [address(a), address(b)].into_iter().collect::<HashSet<_>>().len(),
            1
        );
    }
    for (a, b) in [
        ("A@b", "a@b"),
        ("a@b.c", "a@b.d"),
        ("a@[1.2.3.4]", "a@1.2.3.4"),
        ("a@ü.c", "a@Ü.c"),
    ] {
        assert_ne!(address(a), address(b));
        assert!(address(a).cmp(&address(b)).is_ne());
    }
}

#[test]
fn building_quotes_where_needed() {
    let host = || Host::from(Domain::parse("b.test").unwrap());
    for (local, text) in [
        ("bob", "bob@b.test"),
        ("b.o.b", "b.o.b@b.test"),
        ("b..b", "\"b..b\"@b.test"),
        ("", "\"\"@b.test"),
        ("b ob", "\"b ob\"@b.test"),
        (r#"x"\>"#, r#""x\"\\>"@b.test"#),
        ("bøb", "bøb@b.test"),
    ] {
        let built = EmailAddress::new(local, host()).unwrap();
        assert_eq!(built.to_string(), text);
        assert_eq!(built.unquoted_local_part(), local);
        assert_eq!(built, address(text));
    }
    for hostile in ["a\r\nb", "a\0", "\u{7f}", "\u{2029}x"] {
        assert_eq!(EmailAddress::new(hostile, host()).unwrap_err().kind(), Unexpected);
    }
    let ip: IpAddr = "2001:db8::5".parse().unwrap();
    let built = EmailAddress::new("a", ip.into()).unwrap();
    assert_eq!(built.to_string(), "a@[IPv6:2001:db8::5]");
}

#[test]
fn paths_give_back_what_follows_them() {
    let reverse = |text| {
        ReversePath::parse_prefix(text)
            .map(|(path, rest)| (path.to_string(), rest))
            .map_err(|e| (e.kind(), e.offset()))
    };
    assert_eq!(reverse("<> BODY=8BITMIME"), Ok(("<>".into(), " BODY=8BITMIME")));
    assert_eq!(reverse("<a@b>SIZE=1"), Ok(("<a@b>".into(), "SIZE=1")));
    assert_eq!(reverse("<@a,@b:c@d> X"), Ok(("<c@d>".into(), " X")));
    assert_eq!(reverse("<@a.test:c@d>"), Ok(("<c@d>".into(), "")));
    assert_eq!(reverse(r#"<"a>b"@c> X"#), Ok((r#"<"a>b"@c>"#.into(), " X")));
    assert_eq!(reverse("<a@[1.2.3.4]> X"), Ok(("<a@[1.2.3.4]>".into(), " X")));
    assert_eq!(reverse("a@b"), Err((Unexpected, 0)));
    assert_eq!(reverse("<a@b"), Err((UnexpectedEnd, 4)));
    assert_eq!(reverse("<a@b c>"), Err((Unexpected, 4)));
    assert_eq!(reverse("< >"), Err((Unexpected, 1)));
    assert_eq!(reverse("<@a c@d>"), Err((Unexpected, 3)));
    assert_eq!(reverse("<@a,b:c@d>"), Err((Unexpected, 4)));
    assert_eq!(reverse("<@a:>"), Err((Unexpected, 4)));
    assert_eq!(reverse(""), Err((UnexpectedEnd, 0)));
    assert_eq!(reverse("<postmaster>"), Err((Unexpected, 11)));
    assert_eq!(ReversePath::parse("<a@b> ").unwrap_err().kind(), Trailing);
    assert_eq!(ReversePath::parse("<a@b>").unwrap(), address("a@b").into());
    assert_eq!(ReversePath::Null.address(), None);

    let forward = |text| {
        ForwardPath::parse_prefix(text)
            .map(|(path, rest)| (path.to_string(), rest))
            .map_err(|e| (e.kind(), e.offset()))
    };
    assert_eq!(
        forward("<PostMaster> NOTIFY=NEVER"),
        Ok(("<postmaster>".into(), " NOTIFY=NEVER"))
    );
    assert_eq!(forward("<postmaster@b>"), Ok(("<postmaster@b>".into(), "")));
    assert_eq!(forward("<postmaste"), Err((UnexpectedEnd, 10)));
    assert_eq!(forward("<postmasterü>"), Err((Unexpected, 13)));
    assert_eq!(forward("<>"), Err((Unexpected, 1)));
    assert!(ForwardPath::Postmaster.is_ascii());
    assert!(!ForwardPath::parse("<ü@b>").unwrap().is_ascii());
}

#[test]
fn domains_and_literals_alone() {
    let domain = Domain::parse("Mail.Example.ORG").unwrap();
    assert_eq!(domain.as_str(), "Mail.Example.ORG");
    assert_eq!(
        domain.labels().rev().collect::<Vec<_>>(),
        ["ORG", "Example", "Mail"]
    );
    assert!(Domain::parse("a.b").unwrap() < Domain::parse("A.c").unwrap());
    for not in ["", ".", "a.", "[1.2.3.4]", "a b", "a/b", "_dmarc.b", "a\t"] {
        assert!(Domain::parse(not).is_err(), "{not:?}");
    }
    let ip = |text: &str| AddressLiteral::parse(text).unwrap().ip();
    assert_eq!(ip("[127.0.0.1]"), "127.0.0.1".parse().ok());
    assert_eq!(ip("[IPv6:::ffff:1.2.3.4]"), "::ffff:1.2.3.4".parse().ok());
    assert_eq!(ip("[x:y]"), None);
    let AddressLiteral::General(general) = AddressLiteral::parse("[X-y:a:b]").unwrap() else {
        panic!("not a general literal")
    };
    assert_eq!((general.tag(), general.content()), ("X-y", "a:b"));
}

#[test]
fn errors_say_what_and_where_and_nothing_of_the_text() {
    let error = EmailAddress::parse("secret\x1b[2J@b").unwrap_err();
    assert_eq!(error.to_string(), "unexpected character at octet 6");
}

/// The classes that collections of test addresses divide into: whether each is a `Mailbox` of RFC 5321, with
/// the UTF-8 of RFC 6531. Obsolete forms and comments of RFC 5322 are none.
#[test]
fn classes_of_addresses() {
    for good in [
        // RFC 3696 §3, as its errata have it.
        r#""Abc\@def"@example.com"#,
        r#""Fred\ Bloggs"@example.com"#,
        r#""Joe.\\Blow"@example.com"#,
        r#""Abc@def"@example.com"#,
        "user+mailbox@example.com",
        "customer/department=shipping@example.com",
        "$A12345@example.com",
        "!def!xyz%abc@example.com",
        "_somename@example.com",
        // RFC 5321 §4.1.3 and Appendix D.
        "Smith@bar.com",
        "jdoe@[123.45.67.89]",
        "a@[IPv6:2001:db8::ff00:42:8329]",
        "a@[IPv6:::12.34.56.78]",
        "a@[IPv6:::]",
        "a@[IPv6:1:2:3:4:5:6:7:8]",
        "a@[IPv6:1:2:3:4:5:6:1.2.3.4]",
        // RFC 6531, RFC 6530.
        "ñoñó1234@server.com",
        "用户@例子.广告",
        "अजय@डाटा.भारत",
        "квіточка@пошта.укр",
        "χρήστης@παράδειγμα.ελ",
        "Dörte@Sörensen.example.com",
        "коля@пример.рф",
        "\u{1f600}@b.test",
        // Domains.
        "a@a",
        "a@1",
        "a@123.test",
        "a@x--y.test",
        "a@A-B-c-1.test",
        "a@com",
        // Local parts.
        "1@b",
        "-@b",
        "'@b",
        "{}|~`^@b",
        "a'b@b",
        "\" \"@b",
        "\" a \"@b",
        r#""\""@b"#,
        r#""\\"@b"#,
        r#""a..b"@c"#,
        r#"".a."@c"#,
    ] {
        assert_eq!(address(good).to_string(), good);
        // What is an address is one in a path, and prints there as it was written.
        let path = format!("<{good}>");
        assert_eq!(ReversePath::parse(&path).unwrap().to_string(), path);
        assert_eq!(ForwardPath::parse(&path).unwrap().to_string(), path);
    }
    for (bad, kind, offset) in [
        // Comments and folding white space.
        ("(c)a@b", Unexpected, 0),
        ("a(c)@b", Unexpected, 1),
        ("a@(c)b", EmptyLabel, 2),
        ("a@b(c)", Trailing, 3),
        ("a @b", Unexpected, 1),
        ("a@ b", EmptyLabel, 2),
        ("a\r\n @b", Unexpected, 1),
        ("a@b\r\n", Unexpected, 3),
        // Obsolete local parts: words of both kinds.
        (r#""a".b@c"#, Unexpected, 3),
        (r#"a."b"@c"#, Unexpected, 2),
        (r#"a"b"@c"#, Unexpected, 1),
        (r#""a""b"@c"#, Unexpected, 3),
        // Quoting that does not end, or holds what it may not.
        (r#""a@b"#, UnexpectedEnd, 4),
        (r#""a\"@b"#, UnexpectedEnd, 6),
        ("\"a\\\0\"@b", Unexpected, 3),
        ("\"\t\"@b", Unexpected, 1),
        ("\"a\rb\"@c", Unexpected, 2),
        ("\"a\nb\"@c", Unexpected, 2),
        // Characters that are special, outside of quotes.
        ("a,b@c", Unexpected, 1),
        ("a:b@c", Unexpected, 1),
        ("a;b@c", Unexpected, 1),
        ("a<b@c", Unexpected, 1),
        ("a>b@c", Unexpected, 1),
        ("a[b@c", Unexpected, 1),
        ("a]b@c", Unexpected, 1),
        (r"a\b@c", Unexpected, 1),
        // Several addresses, and none.
        ("a@b,c@d", Trailing, 3),
        ("a@b@c", Trailing, 3),
        ("@", EmptyAtom, 0),
        ("\"\"", UnexpectedEnd, 2),
        ("a@\"b\"", EmptyLabel, 2),
        // Domains.
        ("a@-", Hyphen, 2),
        ("a@b-", Hyphen, 3),
        ("a@b.-c", Hyphen, 4),
        ("a@b..", EmptyLabel, 4),
        ("a@..b", EmptyLabel, 2),
        ("a@b/c", Trailing, 3),
        ("a@b:25", Trailing, 3),
        ("a@*.b", EmptyLabel, 2),
        ("a@\u{ff0e}b", EmptyLabel, 2),
        ("a@b\u{200b}c", Trailing, 3),
        // Literals.
        ("a@[127.0.0.1", UnexpectedEnd, 12),
        ("a@127.0.0.1]", Trailing, 11),
        ("a@[127.0.0]", Literal, 3),
        ("a@[127.0.0.1.2]", Literal, 3),
        ("a@[127.0.0.x]", Literal, 3),
        ("a@[1111.2.3.4]", Literal, 3),
        ("a@[IPv6:]", Literal, 3),
        ("a@[IPv6:1:2:3:4:5:6:7]", Literal, 3),
        ("a@[IPv6:1:2:3:4:5:6:7:8:9]", Literal, 3),
        ("a@[IPv6:1:2:3:4:5:6:7:1.2.3.4]", Literal, 3),
        ("a@[IPv6:12345::]", Literal, 3),
        ("a@[IPv6:g::]", Literal, 3),
        ("a@[IPv6 ::1]", Unexpected, 7),
        ("a@[tag]", Literal, 3),
        ("a@[:x]", Literal, 3),
        ("a@[t_g:x]", Literal, 3),
        ("a@[tag:[x]", Unexpected, 7),
        (r"a@[tag:\x]", Unexpected, 7),
        ("a@[tag:ü]", Unexpected, 7),
    ] {
        assert_eq!(wrong(bad), (kind, offset), "{bad:?}");
        assert!(ReversePath::parse(&format!("<{bad}>")).is_err(), "{bad:?}");
    }
}

#[test]
fn details_divide_local_parts_by_what_they_mean() {
    let split = |text: &str, separator| address(text).split_detail(separator);
    let some = |user: &str, detail: &str| Some((user.to_owned(), detail.to_owned()));
    assert_eq!(split("ken+sieve@b", '+'), some("ken", "sieve"));
    assert_eq!(split("ken+@b", '+'), some("ken", ""));
    assert_eq!(split("ken+a+b@b", '+'), some("ken", "a+b"));
    assert_eq!(split("+a@b", '+'), None);
    assert_eq!(split("ken@[x:b+c]", '+'), None);
    assert_eq!(split("ken-sieve@b", '-'), some("ken", "sieve"));
    assert_eq!(split("\"ken\\+a b\"@b", '+'), some("ken", "a b"));
    assert_eq!(split("jürgen+é@b", '+'), some("jürgen", "é"));
    for (text, alone) in [
        ("ken+sieve@B.Test", "ken@B.Test"),
        ("\"k n+sieve\"@b", "\"k n\"@b"),
        ("\"ken+a b\"@b", "ken@b"),
        ("\"ken..x+a\"@b", "\"ken..x\"@b"),
        ("ken@[IPv6:0::1]", "ken@[IPv6:0::1]"),
        ("+x@b", "+x@b"),
    ] {
        let user = address(text).without_detail('+');
        assert_eq!(user.as_str(), alone);
        assert_eq!(address(alone), user);
    }
}

#[test]
fn lookup_keys_forget_case_and_quoting() {
    let key = |text: &str| address(text).lookup_key();
    assert_eq!(key("\"Ken\"@B.Test"), "ken@b.test");
    assert_eq!(key("K.\u{130}@B"), "k.i\u{307}@b");
    assert_eq!(key("\"K N\"@b"), "\"k n\"@b");
    assert_eq!(key("ÄRGER@Ö.test"), "ärger@ö.test");
    assert_eq!(key("a@[IPV6:0::A]"), "a@[ipv6:::a]");
    assert_ne!(key("\"a@b\"@c"), key("a@b"));
}
