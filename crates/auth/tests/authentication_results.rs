//! Authentication-Results: the examples of RFC 8601 appendix B, hostile ones, and print then parse.

use mailwright_auth::*;
use proptest::prelude::*;

fn parse(value: &str) -> AuthenticationResults {
    AuthenticationResults::parse(value.as_bytes()).unwrap_or_else(|error| panic!("{value}: {error}"))
}

/// `method=verdict kind.name=value…`, one per result.
fn plain(field: &AuthenticationResults) -> Vec<String> {
    let line = |r: &MethodResult| {
        let mut line = format!("{}={}", r.method, r.verdict);
        if let Some(reason) = &r.reason {
            line += &format!(" reason={reason}");
        }
        for p in &r.properties {
            line += &format!(" {}.{}={}", p.kind, p.name, p.value);
        }
        line
    };
    field.results.iter().map(line).collect()
}

#[test]
fn examples_of_the_rfc() {
    // B.2: no authentication done.
    let field = parse(" example.org 1; none\r\n");
    assert_eq!(
        (field.authserv_id.as_str(), plain(&field).len()),
        ("example.org", 0)
    );
    // B.3.
    let field = parse(" example.com;\r\n          spf=pass smtp.mailfrom=example.net");
    assert_eq!(plain(&field), ["spf=pass smtp.mailfrom=example.net"]);
    // B.4: several methods, comments.
    let field = parse(
        " example.com;\r\n  auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n  spf=pass smtp.mailfrom=example.net",
    );
    assert_eq!(
        plain(&field),
        [
            "auth=pass smtp.auth=sender@example.net",
            "spf=pass smtp.mailfrom=example.net"
        ]
    );
    // B.6: the same method twice.
    let field = parse(
        " example.com;\r\n\tdkim=pass reason=\"good signature\"\r\n\t header.i=@mail-router.example.net;\r\n\
         \tdkim=fail reason=\"bad signature\" header.i=@newyork.example.com",
    );
    assert_eq!(
        plain(&field),
        [
            "dkim=pass reason=good signature header.i=@mail-router.example.net",
            "dkim=fail reason=bad signature header.i=@newyork.example.com"
        ]
    );
    assert_eq!(field.of(&Keyword::DKIM).count(), 2);
    // B.7: comments everywhere.
    let field = parse(
        " foo.example.net (foobar) 1 (baz);\r\n    dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n\
         \x20     policy (A dot can go here) . (like that) expired\r\n      (this surprised me) = (as I wasn't expecting it) 1362471462",
    );
    assert_eq!(field.authserv_id, "foo.example.net");
    assert_eq!(plain(&field), ["dkim=fail policy.expired=1362471462"]);
}

#[test]
fn liberties_of_others_are_understood() {
    for (value, want) in [
        (
            "mx.test; iprev=pass policy.iprev=2001:db8::1;",
            "iprev=pass policy.iprev=2001:db8::1",
        ),
        (
            "mx.test; dkim=pass header.b=ab/c+d=",
            "dkim=pass header.b=ab/c+d=",
        ),
        ("mx.test; x_own=Bestguesspass", "x_own=Bestguesspass"),
        (
            "\"mx test\";spf=SOFTFAIL smtp.mailfrom=\"a \\\"b\"@c.test",
            "spf=softfail smtp.mailfrom=\"a \\\"b\"@c.test",
        ),
    ] {
        assert_eq!(plain(&parse(value)), [want], "{value}");
    }
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    for (value, at) in [
        ("", 0),
        ("mx.test", 7),
        ("mx.test;", 8),
        ("mx.test; none; spf=pass", 13),
        ("mx.test; spf", 12),
        ("mx.test; spf=", 13),
        ("mx.test; spf=pass smtp", 22),
        ("mx.test; spf=pass smtp.mailfrom", 31),
        ("mx.test; spf=pass smtp.mailfrom=", 32),
        ("mx.test; spf=pass reason=a reason=b", 33),
        ("mx.test (open", 13),
        ("\"open", 5),
        ("mx.test; spf=pass reason=\"open", 30),
        ("mx.test; spf=pass \u{fc}", 18),
    ] {
        assert_eq!(
            AuthenticationResults::parse(value.as_bytes()),
            Err(Error::Malformed(at)),
            "{value}"
        );
    }
    assert_eq!(
        AuthenticationResults::parse(b"mx.test 2; none"),
        Err(Error::Version)
    );
    let deep = "(".repeat(1_000_000);
    assert!(AuthenticationResults::parse(deep.as_bytes()).is_err());
}

#[test]
fn what_is_written_cannot_break_out() {
    let mut field = AuthenticationResults::new("mx.b.test\r\nBcc: eve@c.test");
    let evil = Property::new(
        Keyword::SMTP,
        Keyword::AUTH,
        "a; dkim=pass\r\n\r\nheader.d=bank.test\" (",
    );
    field.results.push(
        MethodResult::new(Keyword::AUTH, Verdict::Pass)
            .with(evil)
            .because("so \u{0}\n"),
    );
    let text = field.to_field();
    assert_eq!(mailwright_message::header::fields(text.as_bytes()).count(), 1);
    let read = parse(text.split_once(':').unwrap().1);
    assert_eq!(read.results.len(), 1);
    assert_eq!(
        read.results[0].properties[0].value,
        "a; dkim=pass????header.d=bank.test\" ("
    );
    let long = "x".repeat(5000);
    let field = AuthenticationResults::new(long).to_field();
    assert!(field.lines().all(|line| line.len() <= 998));
}

#[test]
fn forged_fields_are_found() {
    let message = b"Received: x\r\n\
        Authentication-Results: mx.b.test; spf=pass\r\n\
        AUTHENTICATION-RESULTS : (hi)\r\n \"MX.b.test\" 1;\r\n dkim=pass\r\n\
        Authentication-Results: mx.a.test; spf=pass\r\n\
        Authentication-Results: mx.b.test.evil; spf=pass\r\n\
        Authentication-Results: (never closed\r\n\
        Authentication-Results:\r\n\
        X-Authentication-Results: mx.b.test; spf=pass\r\n\
        \r\n\
        Authentication-Results: mx.b.test; in=body\r\n";
    let cut: Vec<&str> = claims_of(message, "mx.b.test")
        .map(|range| std::str::from_utf8(&message[range]).unwrap())
        .collect();
    assert_eq!(
        cut,
        [
            "Authentication-Results: mx.b.test; spf=pass\r\n",
            "AUTHENTICATION-RESULTS : (hi)\r\n \"MX.b.test\" 1;\r\n dkim=pass\r\n",
            "Authentication-Results: (never closed\r\n",
            "Authentication-Results:\r\n",
        ]
    );
}

fn keyword() -> impl Strategy<Value = Keyword> {
    "[a-z][a-z0-9-]{0,12}".prop_map(|word| Keyword::new(&word).expect("a keyword"))
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}@[a-z]{1,8}\\.test",
        "\"[a-z ]{1,8}\"@[a-z]{1,8}\\.test",
        "@[a-z]{1,8}\\.test",
        // Without runs of spaces, which folding may shorten.
        "[!-~]{0,20}( [!-~]{1,20}){0,3}",
        Just("2001:db8::1".to_owned()),
    ]
}

fn result() -> impl Strategy<Value = MethodResult> {
    let properties = proptest::collection::vec((keyword(), keyword(), value()), 0..5);
    let verdict = prop_oneof![
        Just("pass".to_owned()),
        Just("temperror".to_owned()),
        "[a-z]{1,9}"
    ];
    (keyword(), verdict, proptest::option::of(value()), properties).prop_map(
        |(method, verdict, reason, properties)| {
            let mut result = MethodResult::new(method, Verdict::new(&verdict).expect("a word"));
            result.reason = reason;
            for (kind, name, value) in properties {
                result = result.with(Property::new(kind, name, value));
            }
            result
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(id in value(), results in proptest::collection::vec(result(), 0..5)) {
        let mut field = AuthenticationResults::new(id);
        field.results = results;
        let text = field.to_field();
        prop_assert_eq!(parse(text.split_once(':').unwrap().1), field, "{}", text);
    }

    #[test]
    fn anything_is_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = AuthenticationResults::parse(&octets);
        let _ = claims_of(&octets, "mx.b.test").count();
    }

    #[test]
    fn near_misses_are_read_or_refused(text in "mx\\.test ?1?;[ a-z.=/@\";()\\\\1]{0,60}") {
        if let Ok(field) = AuthenticationResults::parse(text.as_bytes()) {
            let again = field.to_field();
            prop_assert_eq!(parse(again.split_once(':').unwrap().1), field, "{}", again);
        }
    }
}

/// Found by the fuzzer: a word too long for a line was cut between a backslash and what it quotes.
#[test]
fn a_value_of_backslashes_stays_readable() {
    for len in [379, 380, 381, 512, 600] {
        let mut results = AuthenticationResults::new("mx.b.test");
        results
            .results
            .push(MethodResult::auth("alice").because("\\".repeat(len)));
        let field = results.to_field();
        let read = AuthenticationResults::parse(field.split_once(':').unwrap().1.as_bytes()).unwrap();
        assert_eq!(read.results[0].reason, Some("\\".repeat(len.min(380))), "{len}");
    }
}
#[test]
fn words_that_no_line_can_hold_are_not_keywords() {
    let word = "x".repeat(Keyword::MAX_LEN);
    assert!(AuthenticationResults::parse(format!("a.test; {word}={word}").as_bytes()).is_ok());
    for field in [
        format!("a.test; {word}x=pass"),
        format!("a.test; spf={word}x"),
        format!("a.test; spf=pass smtp.{word}x=a"),
    ] {
        assert!(AuthenticationResults::parse(field.as_bytes()).is_err(), "{field}");
    }
    // The longest of everything is written, and read as the same.
    let value = "\\\"".repeat(600);
    let keyword = || Keyword::new(&word).expect("as long as it may be");
    let mut results = AuthenticationResults::new("a.test");
    let result = MethodResult::new(keyword(), Verdict::Other(keyword()));
    results
        .results
        .push(result.with(Property::new(keyword(), keyword(), value)));
    let field = results.to_field();
    assert!(field.lines().all(|line| line.len() <= 998), "{field}");
    let again = AuthenticationResults::parse(field.split_once(':').expect("a field").1.as_bytes());
    let again = again.expect("what is written is read");
    let property = &again.results[0].properties[0];
    assert_eq!((&property.kind, &property.name), (&keyword(), &keyword()));
}
