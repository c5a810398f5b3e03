//! The server engine against transcripts and hostile input, at every fragmentation.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod support;

use mailwright_smtp::server::{AuthWithoutTls, BareNewlines, Config, Protocol};
use mailwright_wire::testing::{End, Input, Role, every_fragmentation, run_transcript, trace};
use proptest::prelude::*;
use support::{ServerFixture, server_config};

/// Runs a transcript with the plain SMTP configuration, after `change`.
macro_rules! transcripts {
    ($($name:ident: $fixture:expr;)*) => {$(
        #[test]
        fn $name() {
            let text = include_str!(concat!("transcripts/server/", stringify!($name), ".txt"));
            run_transcript(Role::Server, text, || $fixture);
        }
    )*};
}

transcripts! {
    appendix_d1_typical: smtp();
    appendix_d2_aborted: smtp();
    appendix_d3_relay: smtp();
    appendix_d4_verify: smtp();
    pipelining_rfc2920: smtp();
    data_refused: smtp();
    size_rfc1870: with(Protocol::Smtp, |c| c.limits.message_size = 100);
    lmtp_rfc2033: with(Protocol::Lmtp, |c| c.limits.message_size = 100);
    starttls_rfc3207: with(Protocol::Smtp, with_accounts);
    auth_rfc4954: with(Protocol::Submission, with_accounts).over_tls();
    auth_gives_up: with(Protocol::Submission, |c| { with_accounts(c); c.limits.auth_failures = 3; }).over_tls();
    bad_commands: smtp();
    utf8: smtp();
    session_ends: smtp();
    rejected_421: smtp();
    hello_again: smtp();
    shutdown: smtp();
    refused_midway: smtp();
    timeout_command: smtp();
    timeout_body: smtp();
    timeout_login: with(Protocol::Submission, with_accounts).over_tls();
    http: smtp();
    eof: smtp();
    require_tls: with(Protocol::Submission, |c| { with_accounts(c); c.require_tls = true; });
    limits: with(Protocol::Smtp, |c| { c.limits.recipients = 3; c.limits.command_line = 512; });
    refused_recipients: with(Protocol::Smtp, |c| { c.limits.refused_recipients = 2; });
    over_limits: with(Protocol::Smtp, |c| { c.limits.recipients = 2; c.limits.message_size = 100; c.limits.errors = 1; });
}

fn smtp() -> ServerFixture {
    ServerFixture::new(server_config(Protocol::Smtp))
}

fn with(protocol: Protocol, change: impl FnOnce(&mut Config)) -> ServerFixture {
    let mut config = server_config(protocol);
    change(&mut config);
    ServerFixture::new(config)
}

fn with_accounts(config: &mut Config) {
    config.extensions.starttls = true;
    config.extensions.auth = true;
}

const ENVELOPE: &[u8] = b"HELO a.test\r\nMAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\n";
const SMUGGLED: &[u8] = b"MAIL FROM:<evil@evil.example>\r\n";

/// Every sequence that some server in the wild takes for an end of data, and those that are one; and whether
/// the body holds a bare newline, which the default policy refuses.
const ENDS: &[(&[u8], bool, bool)] = &[
    // (octets, ends the message, has a bare newline)
    (b"\r\n.\r\n", true, false),
    (b"\n.\n", false, true),
    (b"\n.\r\n", false, true),
    (b"\r\n.\n", false, true),
    (b"\r.\r", false, true),
    (b"\r.\r\n", false, true),
    (b"\r\n.\r", false, true),
    (b"\r.\n", false, true),
    (b"\n.\r", false, true),
    (b"\r\n.\r\r\n", false, true),
    (b"\r\r\n.\r\n", true, true),
    (b"\n\r\n.\r\n", true, true),
    (b"\r\n\0.\r\n", false, false),
    (b"\r\n.\0\r\n", false, false),
    (b"\0\r\n.\r\n", true, false),
    (b"\r\n .\r\n", false, false),
    (b"\r\n. \r\n", false, false),
    (b"\r\n..\r\n", false, false),
];

#[test]
fn nothing_but_crlf_dot_crlf_ends_a_message() {
    for policy in [BareNewlines::Refuse, BareNewlines::Normalise] {
        for size_limit in [0, 2] {
            for (end, ends, bare) in ENDS {
                let input = [ENVELOPE, b"body", end, SMUGGLED, b"\r\n.\r\nNOOP\r\n"].concat();
                let seen = every_fragmentation(
                    || {
                        with(Protocol::Smtp, |c| {
                            c.bare_newlines = policy;
                            c.limits.message_size = size_limit;
                        })
                    },
                    &[Input::Bytes(input)],
                );
                let what = format!("{} {policy:?} {size_limit}", end.escape_ascii());
                let smuggled = seen.events.iter().any(|e| e == "mail <evil@evil.example>");
                assert_eq!(smuggled, *ends, "{what}: {:#?}", seen.events);
                let refused = *bare && policy == BareNewlines::Refuse || size_limit > 0;
                let text = String::from_utf8(seen.sent).unwrap();
                let verdict = match (size_limit, *bare && policy == BareNewlines::Refuse) {
                    (0, false) => "250 2.0.0 Message accepted\r\n",
                    (0, true) => "550 5.6.0 ",
                    _ => "552 5.3.4 ",
                };
                assert!(text.contains(verdict), "{what}: {text}");
                let taken = seen.events.iter().any(|e| e.starts_with("message"));
                assert_eq!(taken, !refused, "{what}: {:#?}", seen.events);
                assert_eq!(seen.end, End::Open, "{what}");
            }
        }
    }
}

#[test]
fn bodies_arrive_as_they_were_meant() {
    for (sent, body) in [
        (&b".\r\n"[..], ""),
        (b"..\r\n.x\r\n.\r\n", r#"body ".\r\nx\r\n""#),
        (b"\r\n.\r\n", r#"body "\r\n""#),
        (
            b"a\nb\rc\r\r\n\n.\r\n.\r\n",
            r#"body "a\r\nb\r\nc\r\n\r\n\r\n.\r\n""#,
        ),
    ] {
        let input = [ENVELOPE, sent].concat();
        let seen = every_fragmentation(
            || with(Protocol::Smtp, |c| c.bare_newlines = BareNewlines::Normalise),
            &[Input::Bytes(input)],
        );
        let seen: Vec<_> = seen.events.iter().filter(|e| e.starts_with("body")).collect();
        assert_eq!(seen.first().map_or("", |b| b), body, "{}", sent.escape_ascii());
    }
}

#[test]
fn floods_are_bounded_and_harmless() {
    // A line of 10 MB is answered once; the command behind it is served.
    let long = [vec![b'x'; 10 << 20], b"\r\nNOOP\r\n".to_vec()].concat();
    let seen = trace(smtp(), &[Input::Bytes(long)], &mut || 65536, usize::MAX);
    let sent = String::from_utf8(seen.sent).unwrap();
    assert!(
        sent.ends_with("500 5.5.2 Line too long\r\n250 2.0.0 OK\r\n"),
        "{sent}"
    );
    assert_eq!(seen.end, End::Open);

    // A body line of 10 MB is a body like any other.
    let body = [ENVELOPE, &vec![b'x'; 10 << 20], b"\r\n.\r\n"].concat();
    let seen = trace(smtp(), &[Input::Bytes(body)], &mut || 65536, usize::MAX);
    assert!(seen.events.last().unwrap().starts_with("message 10485762 "));

    // Pipelined commands are all answered, up to the limit.
    let many = b"NOOP\r\n".repeat(999);
    let seen = trace(
        smtp(),
        &[Input::Bytes(many.clone())],
        &mut || usize::MAX,
        usize::MAX,
    );
    assert_eq!(seen.end, End::Open);
    let more = [many, b"NOOP\r\n".repeat(1000)].concat();
    let seen = every_fragmentation(smtp, &[Input::Bytes(more)]);
    assert_eq!(
        seen.end,
        End::Failed("the peer exceeded the limit of commands without a message".into())
    );
    assert_eq!(seen.sent.iter().filter(|b| **b == b'\n').count(), 1 + 1000 + 1);
}

#[test]
fn an_endless_auth_line_fails_the_exchange_alone() {
    let input = [
        b"EHLO a.test\r\nAUTH LOGIN\r\n".to_vec(),
        vec![b'A'; 13000],
        b"\r\nAUTH LOGIN\r\nYWxpY2U=\nMAIL\r\nNOOP\r\n".to_vec(),
    ]
    .concat();
    let seen = every_fragmentation(
        || with(Protocol::Submission, with_accounts).over_tls(),
        &[Input::Bytes(input)],
    );
    let sent = String::from_utf8(seen.sent).unwrap();
    assert!(
        sent.ends_with(
            "334 VXNlcm5hbWU6\r\n500 5.5.6 Authentication exchange line is too long\r\n\
             334 VXNlcm5hbWU6\r\n500 5.5.2 Lines end with CRLF (RFC 5321 section 2.3.8)\r\n250 2.0.0 OK\r\n"
        ),
        "{sent}"
    );
}

#[test]
fn protected_mechanisms_alone_before_tls() {
    let protected = |c: &mut Config| {
        with_accounts(c);
        c.auth_without_tls = AuthWithoutTls::Protected;
    };
    let input = b"EHLO a.test\r\nAUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ=\r\nAUTH SCRAM-SHA-256 biwsbj1hbGljZSxyPWFiYw==\r\n";
    let seen = every_fragmentation(
        || with(Protocol::Submission, protected),
        &[Input::Bytes(input.to_vec())],
    );
    let sent = String::from_utf8(seen.sent).unwrap();
    assert!(sent.contains("250 AUTH SCRAM-SHA-256\r\n538 5.7.11 "), "{sent}");
    assert!(sent.lines().last().unwrap().starts_with("334 cj1hYm"), "{sent}");
}

#[test]
#[should_panic(expected = "no question is open")]
fn answering_unasked_panics() {
    use mailwright_wire::testing::Fixture;
    let mut fixture = smtp();
    #[allow(clippy::disallowed_methods)] // a test winds its own clock, and this is where it starts
    let mut server = fixture.start(std::time::Instant::now());
    server.accept();
    server.accept();
}

/// Pieces that hostile sessions are made of.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let fixed: Vec<&'static [u8]> = vec![
        b"EHLO a.test\r\n",
        b"HELO a.test\r\n",
        b"MAIL FROM:<a@b.test> SIZE=10 BODY=8BITMIME\r\n",
        b"MAIL FROM:<>\r\n",
        b"RCPT TO:<c@d.test>\r\n",
        b"RCPT TO:<c@d.test>\n",
        b"DATA\r\n",
        b".\r\n",
        b"..\r\n",
        b"\r\n.\r\n",
        b"\n.\r\n",
        b"RSET\r\n",
        b"NOOP\r\n",
        b"QUIT\r\n",
        b"STARTTLS\r\n",
        b"AUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ=\r\n",
        b"AUTH LOGIN\r\nYWxpY2U=\r\nd3Jvbmc=\r\n",
        b"AUTH SCRAM-SHA-256 biwsbj1hbGljZSxyPWFiYw==\r\n",
        b"*\r\n",
        b"\r",
        b"\n",
        b"\0",
        b".",
        b"GET / HTTP/1.1\r\n",
        &[b'x'; 600],
    ];
    prop_oneof![
        8 => proptest::sample::select(fixed).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn hostile_input_does_the_same_however_it_is_cut(
        pieces in proptest::collection::vec(piece(), 0..40),
        lmtp in any::<bool>(),
        normalise in any::<bool>(),
        tls_at in 0usize..40,
    ) {
        let at = tls_at.min(pieces.len());
        let (first, second) = pieces.split_at(at);
        let input = [
            Input::Bytes([b"EHLO x\r\n", &first.concat()[..]].concat()),
            Input::Tls,
            Input::Bytes(second.concat()),
            Input::Eof,
        ];
        let protocol = if lmtp { Protocol::Lmtp } else { Protocol::Smtp };
        let seen = every_fragmentation(
            || with(protocol, |c| {
                with_accounts(c);
                c.auth_without_tls = AuthWithoutTls::Always;
                c.limits.command_line = 512;
                c.limits.message_size = 200;
                if normalise {
                    c.bare_newlines = BareNewlines::Normalise;
                }
            }),
            &input,
        );
        prop_assert!(seen.sent.starts_with(b"220 "));
        prop_assert!(seen.sent.ends_with(b"\r\n"));
    }
}
