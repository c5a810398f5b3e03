//! Commands parsed and printed: what is parsed prints as the same, and nothing that prints can hold a line break.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use mailwright_smtp::{Command, CommandError, Extensions, Hello, HelloVerb};
use proptest::prelude::*;

fn parse(line: &str) -> Result<Command, CommandError> {
    Command::parse(line.as_bytes(), &Extensions::ALL)
}

#[test]
fn lines_print_as_they_were_meant() {
    for (line, printed) in [
        ("ehlo  [IPv6:::1] ", "EHLO [IPv6:::1]"),
        ("HELO my_pc", "HELO my_pc"),
        ("mail from:<>", "MAIL FROM:<>"),
        (
            "MAIL FROM: <a@b.test>  size=00010   BODY=7bit",
            "MAIL FROM:<a@b.test> SIZE=10 BODY=7BIT",
        ),
        ("MAIL FROM:<@x.test,@y.test:a@b.test>", "MAIL FROM:<a@b.test>"),
        (r#"RCPT TO:<"a\"><x"@c.d>"#, r#"RCPT TO:<"a\"><x"@c.d>"#),
        ("rcpt to:<POSTMASTER>", "RCPT TO:<postmaster>"),
        (
            "RCPT TO:<a@b.test> notify=never orcpt=RFC822;a+2B@b",
            "RCPT TO:<a@b.test> NOTIFY=NEVER ORCPT=RFC822;a+2B@b",
        ),
        ("AUTH plain =", "AUTH plain ="),
        ("Noop with words", "NOOP"),
        ("vrfy  J. Doe", "VRFY J. Doe"),
        ("DATA \t", "DATA"),
    ] {
        let command = parse(line).unwrap();
        assert_eq!(command.to_string(), printed, "{line}");
        assert_eq!(parse(printed), Ok(command), "{line}");
    }
}

#[test]
fn numbers_and_lengths_out_of_range_are_refused() {
    for param in [
        "SIZE=18446744073709551616",
        "SIZE=99999999999999999999999",
        "SIZE=-1",
        "SIZE=",
        "SIZE=0x10",
        "BODY",
        "SMTPUTF8=1",
        "ENVID=",
        "RET=NONE",
        "AUTH=not an address",
        "=1",
        "-X=1",
        "SIZE=1=2",
    ] {
        let error = parse(&format!("MAIL FROM:<a@b.test> {param}")).unwrap_err();
        let expected = matches!(error, CommandError::Parameter | CommandError::UnknownParameter);
        assert!(expected, "{param}: {error}");
        assert_eq!(error.reply().code() / 100, 5);
    }
    assert!(parse("MAIL FROM:<a@b.test> SIZE=18446744073709551615").is_ok());
    let envid = "x".repeat(101);
    assert_eq!(
        parse(&format!("MAIL FROM:<a@b.test> ENVID={envid}")),
        Err(CommandError::Parameter)
    );
}

#[test]
fn control_characters_are_refused_at_the_end_as_well() {
    for line in [
        "HELP \u{82}",
        "VRFY a\u{9f} SMTPUTF8",
        "NOOP \u{85}",
        "QUIT\r",
        "DATA\r\t",
        "RSET\x0c ",
        "NOOP \n",
        "EHLO a.test\r",
        "DATA\0",
    ] {
        assert_eq!(parse(line), Err(CommandError::ControlCharacter), "{line:?}");
    }
}

#[test]
fn extensions_that_are_not_there_have_no_parameters() {
    for line in [
        "MAIL FROM:<a@b.test> SIZE=1",
        "MAIL FROM:<a@b.test> BODY=8BITMIME",
        "MAIL FROM:<a@b.test> SMTPUTF8",
        "MAIL FROM:<a@b.test> AUTH=<>",
        "MAIL FROM:<a@b.test> RET=FULL",
        "RCPT TO:<a@b.test> NOTIFY=NEVER",
    ] {
        assert!(parse(line).is_ok(), "{line}");
        let without = Command::parse(line.as_bytes(), &Extensions::NONE);
        assert_eq!(without, Err(CommandError::UnknownParameter), "{line}");
    }
}

#[test]
fn clients_introduce_themselves_by_name_or_address() {
    let hello = Hello::new(HelloVerb::Ehlo, &"[192.0.2.1]".parse().unwrap());
    assert_eq!(hello.to_string(), "EHLO [192.0.2.1]");
    assert!(hello.host().is_some_and(|host| host.domain().is_none()));
    let Ok(Command::Hello(odd)) = parse("EHLO my_pc") else {
        panic!()
    };
    assert_eq!((odd.name(), odd.host()), ("my_pc", None));
}

/// Lines near to real ones.
fn line() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        8 => proptest::sample::select(vec![
            "MAIL FROM:", "RCPT TO:", "EHLO", "LHLO", "AUTH", "VRFY", "NOOP", "<a@b.test>", "<>", "<\"a b\"@b.test>",
            "<@r.test:\"\\\"\"@[IPv6:::1]>", "<ü@ü.test>", "SIZE=1", "BODY=8BITMIME", "SMTPUTF8", "AUTH=<>",
            "AUTH=a+40b+3D@b.test", "RET=HDRS", "ENVID=a+2Bb", "NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;a@b",
            "ORCPT=utf-8;\\x{FC}@b", " ", "=", "PLAIN",
        ]).prop_map(str::to_owned),
        1 => "[ -~]{0,12}",
        1 => "\\PC{0,6}",
    ];
    proptest::collection::vec(word, 0..8).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_parses_prints_as_the_same(line in line()) {
        if let Ok(command) = parse(&line) {
            let printed = command.to_string();
            prop_assert!(!printed.chars().any(|c| c.is_ascii_control()), "{printed:?}");
            prop_assert_eq!(parse(&printed), Ok(command), "{}", printed);
        }
    }

    #[test]
    fn any_octets_are_a_command_or_an_error(line in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Err(error) = Command::parse(&line, &Extensions::ALL) {
            prop_assert!(error.reply().is_permanent());
        }
    }
}
