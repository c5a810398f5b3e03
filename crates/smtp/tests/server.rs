//! The server engine against transcripts and hostile input, at every fragmentation.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod support;

use mailwright_smtp::Extensions;
use mailwright_smtp::futurerelease::Interval;
use mailwright_smtp::mt_priority::Profile;
use mailwright_smtp::proxy::Versions;
use mailwright_smtp::server::{AuthWithoutTls, BareNewlines, Config, Protocol};
use mailwright_wire::testing::{End, Input, Role, every_fragmentation, run_transcript, trace};
use proptest::prelude::*;
use std::time::Duration;
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
    timeout_body: with(Protocol::Smtp, |c| c.limits.body_rate = 0);
    timeout_trickle: with(Protocol::Smtp, |c| c.limits.body_rate = 2);
    timeout_trickle_chunks: with(Protocol::Smtp, |c| c.limits.body_rate = 2);
    timeout_login: with(Protocol::Submission, with_accounts).over_tls();
    timeout_login_tls: with(Protocol::Submission, with_accounts).tls_first();
    http: smtp();
    eof: smtp();
    require_tls: with(Protocol::Submission, |c| { with_accounts(c); c.require_tls = true; });
    limits: with(Protocol::Smtp, |c| { c.limits.recipients = 3; c.limits.command_line = 512; });
    refused_recipients: with(Protocol::Smtp, |c| { c.limits.refused_recipients = 2; });
    over_limits: with(Protocol::Smtp, |c| { c.limits.recipients = 2; c.limits.message_size = 100; c.limits.errors = 1; });
    chunking_rfc3030: named("cnri.reston.va.us", |c| c.extensions = only(|e| {
        (e.pipelining, e.eight_bit_mime, e.chunking, e.binary_mime) = (true, true, true, true);
    }));
    chunking_refused: with(Protocol::Smtp, |c| c.limits.message_size = 100);
    binarymime_refused: with(Protocol::Smtp, |c| c.extensions = only(|e| {
        (e.eight_bit_mime, e.chunking, e.binary_mime) = (true, true, true);
    }));
    chunking_lmtp: with(Protocol::Lmtp, |c| c.extensions = only(|e| {
        (e.pipelining, e.chunking, e.enhanced_status_codes) = (true, true, true);
    }));
    enhancedstatuscodes_rfc2034: named("dbc.mtview.ca.us", |c| {
        c.extensions = only(|e| e.enhanced_status_codes = true);
    });
    eight_bit_mime_rfc6152: named("dbc.mtview.ca.us", |c| c.extensions = only(|e| e.eight_bit_mime = true));
    dsn_rfc3461: named("Example.ORG", |c| c.extensions = only(|e| (e.dsn, e.size) = (true, true)));
    deliverby_rfc2852: named("mail.other.com", |c| {
        c.extensions = only(|e| e.deliver_by = true);
        c.deliver_by_min = Some(30);
    });
    futurerelease_rfc4865: with(Protocol::Submission, |c| {
        c.extensions = only(|e| e.future_release = true);
        c.future_release_max = Interval::new(3600).unwrap();
        c.require_auth = false;
    }).wall_clock(1_795_429_800);
    mt_priority_rfc6710: named("example.com", |c| {
        c.extensions = only(|e| {
            (e.deliver_by, e.mt_priority, e.dsn, e.enhanced_status_codes) = (true, true, true, true);
        });
        c.mt_priority_profile = Profile::new("MIXER");
    });
    requiretls_rfc8689: named("mail.example.net", |c| {
        c.extensions = only(|e| {
            (e.pipelining, e.size, e.eight_bit_mime, e.starttls, e.require_tls) = (true, true, true, true, true);
        });
        c.limits.message_size = 52_428_800;
        (c.questions.help, c.questions.starttls) = (true, true);
    });
    limits_rfc9422: with(Protocol::Smtp, |c| {
        c.extensions = only(|e| (e.limits, e.enhanced_status_codes) = (true, true));
        (c.limits.transactions, c.limits.recipients) = (2, 1);
    });
    limits_domains_rfc9422: with(Protocol::Smtp, |c| {
        c.extensions = only(|e| (e.limits, e.enhanced_status_codes) = (true, true));
        (c.limits.recipients, c.limits.recipient_domains) = (4, 2);
    });
    etrn_rfc1985: named("sigurd.innosoft.com", |c| {
        c.extensions = only(|e| e.etrn = true);
        (c.questions.expn, c.questions.help) = (true, true);
    });
    verify_rfc5321: with(Protocol::Smtp, |c| {
        c.extensions = only(|e| (e.smtputf8, e.enhanced_status_codes) = (true, true));
        (c.questions.vrfy, c.questions.expn, c.questions.help) = (true, true, true);
    });
    xclient: named("server.example.com", |c| {
        c.extensions = only(|e| (e.pipelining, e.xclient) = (true, true));
    });
    xforward: named("server.example.com", |c| c.extensions = only(|e| e.xforward = true));
    proxy_v1: with(Protocol::Smtp, |c| c.proxy = Some(Versions::Any));
    proxy_v2_tls: with(Protocol::Smtp, |c| c.proxy = Some(Versions::Any)).tls_first();
    proxy_missing: with(Protocol::Smtp, |c| c.proxy = Some(Versions::Any));
    proxy_timeout: with(Protocol::Smtp, |c| c.proxy = Some(Versions::V1));
    early_talker: with(Protocol::Smtp, |c| c.greeting_delay = Duration::from_secs(6));
    greeting_delay: with(Protocol::Smtp, |c| c.greeting_delay = Duration::from_secs(6));
    delayed_replies: smtp();
}

/// No extensions but those that are switched on.
fn only(change: impl FnOnce(&mut Extensions)) -> Extensions {
    let mut extensions = Extensions::NONE;
    change(&mut extensions);
    extensions
}

fn named(hostname: &str, change: impl FnOnce(&mut Config)) -> ServerFixture {
    with(Protocol::Smtp, |config| {
        config.hostname = hostname.parse().unwrap();
        change(config);
    })
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
        // An empty message, and a first line that begins with dots.
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

/// The same sequences in a chunk end nothing, and are bare newlines or not by the same policy.
#[test]
fn nothing_in_a_chunk_ends_a_message_or_is_a_command() {
    for policy in [BareNewlines::Refuse, BareNewlines::Normalise] {
        for (end, _, bare) in ENDS {
            // Cut in two chunks at every place, so that each octet is the last of one once.
            let body = [b"body", *end, SMUGGLED].concat();
            for at in 0..=body.len() {
                let chunks = [
                    format!("BDAT {at}\r\n").as_bytes(),
                    &body[..at],
                    format!("BDAT {} LAST\r\n", body.len() - at).as_bytes(),
                    &body[at..],
                ]
                .concat();
                let envelope = b"EHLO a.test\r\nMAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\n".as_slice();
                let input = Input::Bytes([envelope, &chunks, b"NOOP\r\n"].concat());
                let seen = every_fragmentation(
                    || with(Protocol::Smtp, |c| c.bare_newlines = policy),
                    std::slice::from_ref(&input),
                );
                let what = format!("{} {policy:?} {at}", end.escape_ascii());
                assert!(!seen.events.iter().any(|e| e.starts_with("mail <evil")), "{what}");
                let refused = *bare && policy == BareNewlines::Refuse;
                let text = String::from_utf8(seen.sent).unwrap();
                let verdict = if refused {
                    "550 5.6.0 "
                } else {
                    "250 2.0.0 Message accepted\r\n"
                };
                assert!(text.contains(verdict), "{what}: {text}");
                assert!(text.ends_with("250 2.0.0 OK\r\n"), "{what}: {text}");
                let taken = seen.events.iter().any(|e| e.starts_with("message"));
                assert_eq!(taken, !refused, "{what}: {:#?}", seen.events);
            }
        }
    }
}

/// Nothing wraps, saturates or is cut: what is out of range is refused, and stays out.
#[test]
fn numbers_out_of_range_are_refused() {
    let everything = |c: &mut Config| {
        c.extensions = Extensions::ALL;
        c.require_auth = false;
    };
    let parameters = [
        "SIZE=18446744073709551616",
        "SIZE=99999999999999999999999",
        "SIZE=-1",
        "BY=1000000000;N",
        "BY=99999999999999999999;R",
        "BY=-1000000000;N",
        "BY=0;R",
        "BY=-1;R",
        "BY=--1;N",
        "BY=1",
        "BY=1;X",
        "HOLDFOR=0",
        "HOLDFOR=1000000000",
        "HOLDFOR=99999999999999999999",
        "HOLDFOR=-1",
        "HOLDFOR=2592001",
        "HOLDUNTIL=10000-01-01T00:00:00Z",
        "HOLDUNTIL=2026-12-23T10:30:01Z",
        "HOLDUNTIL=2026-11-31T00:00:00Z",
        "MT-PRIORITY=10",
        "MT-PRIORITY=-10",
        "MT-PRIORITY=+1",
        "MT-PRIORITY=-0",
        "MT-PRIORITY=18446744073709551616",
    ];
    for parameter in parameters {
        let input = format!("EHLO a.test\r\nMAIL FROM:<a@b.test> {parameter}\r\nMAIL FROM:<a@b.test>\r\n");
        let seen = every_fragmentation(
            || with(Protocol::Submission, everything).wall_clock(1_795_429_800),
            &[Input::Bytes(input.into())],
        );
        let text = String::from_utf8(seen.sent).unwrap();
        let (_, answers) = text.split_once("LIMITS RCPTMAX=1000\r\n").unwrap();
        assert_eq!(
            answers, "501 5.5.4 Malformed or repeated parameter\r\n250 2.1.0 Sender OK\r\n",
            "{parameter}"
        );
    }
    for size in [
        "18446744073709551616",
        "99999999999999999999999",
        "9223372036854775808",
        "-1",
        "0x10",
        "",
        "1 2",
        "1 LAST LAST",
    ] {
        let input =
            format!("EHLO a.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<b@b.test>\r\nBDAT {size}\r\nNOOP\r\n");
        let seen = every_fragmentation(smtp, &[Input::Bytes(input.into())]);
        let text = String::from_utf8(seen.sent).unwrap();
        assert!(
            text.ends_with("OK\r\n501 5.5.4 Malformed chunk size\r\n"),
            "{size}: {text}"
        );
        assert!(matches!(seen.end, End::Failed(_)), "{size}");
    }
    // The largest chunk there can be is over the limit, and is waited for.
    let input =
        b"EHLO a.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<b@b.test>\r\nBDAT 9223372036854775807\r\nNOOP\r\n";
    let seen = every_fragmentation(smtp, &[Input::Bytes(input.to_vec())]);
    assert!(seen.sent.ends_with(b"250 2.1.5 Recipient OK\r\n"));
    assert_eq!(seen.end, End::Open);
}

/// While replies are held nothing is read for nothing: a full buffer ends the wait.
#[test]
fn a_flood_does_not_outwait_a_delayed_reply() {
    use mailwright_wire::testing::Fixture;
    use mailwright_wire::{Machine, Step};
    let mut fixture = smtp();
    let now = fixture.origin();
    let mut server = fixture.start(now);
    assert!(matches!(server.poll(now), Ok(Step::Event(_))));
    server.delay_reply(Duration::from_secs(3600));
    server.accept();
    assert!(matches!(server.poll(now), Ok(Step::Read)));
    assert_eq!(server.deadline(), Some(now + Duration::from_secs(3600)));
    loop {
        let room = server.recv_buf();
        assert!(!room.is_empty(), "asked to read without room");
        room.fill(b'x');
        let n = room.len();
        server.received(n);
        match server.poll(now) {
            Ok(Step::Read) => {}
            Ok(Step::Write) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(server.send_buf().starts_with(b"220 "));
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
    assert!(
        sent.contains("250-AUTH SCRAM-SHA-256\r\n250 LIMITS RCPTMAX=1000\r\n538 5.7.11 "),
        "{sent}"
    );
    assert!(sent.lines().last().unwrap().starts_with("334 cj1hYm"), "{sent}");
}

#[test]
#[should_panic(expected = "no question is open")]
fn answering_unasked_panics() {
    use mailwright_wire::testing::Fixture;
    use mailwright_wire::{Machine, Step};
    let mut fixture = smtp();
    let now = fixture.origin();
    let mut server = fixture.start(now);
    assert!(matches!(server.poll(now), Ok(Step::Event(_))));
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
        b"BDAT 7\r\n",
        b"BDAT 0 LAST\r\n",
        b"BDAT 300\r\n",
        b"BDAT x\r\n",
        b"MAIL FROM:<a@b.test> BODY=BINARYMIME BY=9;NT HOLDFOR=9 MT-PRIORITY=-3 REQUIRETLS\r\n",
        b"XCLIENT NAME=a ADDR=192.0.2.1 LOGIN=alice\r\n",
        b"XFORWARD NAME=a\r\n",
        b"ETRN a.test\r\n",
        b"VRFY a SMTPUTF8\r\n",
        b"EXPN a\r\n",
        b"HELP a\r\n",
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
        everything in any::<bool>(),
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
                if everything {
                    c.extensions = Extensions::ALL;
                    (c.questions.vrfy, c.questions.expn, c.questions.help) = (true, true, true);
                    (c.questions.starttls, c.questions.data, c.questions.hello) = (true, false, false);
                }
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
