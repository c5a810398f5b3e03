//! The client engine against transcripts, hostile servers and its own server.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod support;

use mailwright_smtp::client::{BareNewlines, Config, ProxyHeader, StartTls, Transaction};
use mailwright_smtp::deliverby::{DeliverBy, Mode};
use mailwright_smtp::dsn::{EnvelopeId, Notify, OriginalRecipient, Ret};
use mailwright_smtp::futurerelease::{DateTime, Hold, Interval};
use mailwright_smtp::mt_priority::Priority;
use mailwright_smtp::proxy::Addresses;
use mailwright_smtp::xclient::{Attribute, Text, Xclient};
use mailwright_smtp::xforward::Xforward;
use mailwright_smtp::{BodyType, Protocol, Submitter};
use mailwright_wire::Machine;
use mailwright_wire::testing::{End, Fixture, Input, Role, every_fragmentation, run_transcript, trace};
use proptest::prelude::*;
use support::{ClientFixture, client_config, credentials, eight_bit, mail, transaction};

macro_rules! transcripts {
    ($($name:ident: $fixture:expr;)*) => {$(
        #[test]
        fn $name() {
            let text = include_str!(concat!("transcripts/client/", stringify!($name), ".txt"));
            run_transcript(Role::Client, text, || $fixture);
        }
    )*};
}

transcripts! {
    appendix_d1_typical: smtp().sending(
        transaction("<Smith@bar.com>", &["<Jones@foo.com>", "<Green@foo.com>", "<Brown@foo.com>"]),
        &[b"Blah blah blah...\r\n", b".etc. etc. etc.\r\n"],
    );
    pipelining_rfc2920: smtp().sending(
        transaction(
            "<mrose@dbc.mtview.ca.us>",
            &["<ned@innosoft.com>", "<dan@innosoft.com>", "<kvc@innosoft.com>"],
        ),
        &[b"text"],
    );
    pipelining_all_refused: smtp()
        .sending(transaction("<a@a.test>", &["<b@b.test>", "<c@c.test>"]), &[])
        .sending(transaction("<a@a.test>", &["<d@d.test>"]), &[]);
    reset_after_nothing: smtp()
        .sending(transaction("<a@a.test>", &["<b@b.test>"]), &[])
        .sending(transaction("<a@a.test>", &[]), &[])
        .sending(eight_bit(transaction("<a@a.test>", &["<b@b.test>"])), &[])
        .sending(transaction("<a@a.test>", &["<c@c.test>"]), &[]);
    pipelining_empty_message: smtp()
        .sending(transaction("<a@a.test>", &["<b@b.test>", "<c@c.test>"]), &[]);
    lmtp_rfc2033: with(Protocol::Lmtp, |_| {}).sending(
        transaction("<chris@bar.com>", &["<pat@foo.edu>", "<jones@foo.edu>", "<green@foo.edu>"]),
        &[b"Blah blah blah...\r\n..etc. etc. etc.\r\n"],
    );
    starttls_rfc3207: with(Protocol::Smtp, |c| c.credentials = Some(credentials()));
    starttls_refused: smtp();
    starttls_required: with(Protocol::Smtp, |c| c.starttls = StartTls::Required);
    auth_login: with(Protocol::Submission, |c| c.credentials = Some(credentials())).over_tls();
    auth_nonsense: with(Protocol::Submission, |c| c.credentials = Some(credentials())).over_tls();
    auth_too_early: with(Protocol::Submission, |c| c.credentials = Some(credentials())).over_tls();
    auth_not_offered: with(Protocol::Submission, |c| c.credentials = Some(credentials()));
    helo_fallback: smtp()
        .sending(transaction("<a@a.test>", &["<b@b.test>"]), &[])
        .sending(eight_bit(transaction("<a@a.test>", &["<b@b.test>"])), &[])
        .sending(transaction("<a@a.test>", &["<\u{fc}@b.test>"]), &[]);
    parameters: smtp().sending(full(1000), &["\u{fc}\r\n".as_bytes()]).sending(full(1001), &[]);
    parameters_unknown: smtp().sending(modest(), &[b"text\r\n"]);
    greeting_refused: smtp();
    closing_421: smtp().sending(transaction("<a@a.test>", &["<b@b.test>", "<c@c.test>"]), &[]);
    lost_at_the_end: smtp().sending(transaction("<a@a.test>", &["<b@b.test>"]), &[]);
    nonsense: smtp();
    unexpected_reply: smtp().sending(transaction("<a@a.test>", &["<b@b.test>"]), &[]);
    timeouts: smtp().sending(transaction("<a@a.test>", &["<b@b.test>"]), &[]);
    quit_unanswered: smtp();
    body_aborted: smtp().sending(transaction("<a@a.test>", &["<b@b.test>"]), &[]);
    mail_refused: smtp()
        .sending(transaction("<a@a.test>", &["<b@b.test>"]), &[])
        .sending(transaction("<a@a.test>", &["<c@b.test>"]), &[]);
    lmtp_lost: with(Protocol::Lmtp, |_| {})
        .sending(transaction("<a@a.test>", &["<b@b.test>", "<c@b.test>", "<d@b.test>"]), &[]);
    chunking_rfc3030: smtp().sending(
        transaction("<Sam@Random.com>", &["<Susan@Random.com>"]),
        &[
            b"To: Susan@random.com\r\nFrom: Sam@random.com\n",
            b"Subject: This is a bodyless test message",
        ],
    );
    chunking_pipelined_rfc3030: chunks(Protocol::Smtp, 10, u64::MAX).sending(
        with_body(
            BodyType::BinaryMime,
            transaction(
                "<ned@ymir.claremont.edu>",
                &["<gvaudre@cnri.reston.va.us>", "<jstewart@cnri.reston.va.us>"],
            ),
        ),
        &[b"\0\n.\r\n.\r\n\xff\r0123", b"456789.\n"],
    );
    chunking_refused: chunks(Protocol::Smtp, 4, 0)
        .sending(transaction("<a@a.test>", &["<b@b.test>", "<c@b.test>"]), &[b"01", b"234567", b"89"])
        .sending(transaction("<a@a.test>", &["<d@b.test>"]), &[b"\n"]);
    chunking_nobody: chunks(Protocol::Smtp, 4, u64::MAX)
        .sending(transaction("<a@a.test>", &["<b@b.test>"]), &[b"01234567", b"89"])
        .sending(transaction("<a@a.test>", &["<b@b.test>"]), &[b"\r\n"]);
    chunking_ahead_for_nobody: chunks(Protocol::Smtp, 4, u64::MAX)
        .sending(transaction("<a@a.test>", &["<b@b.test>"]), &[b"\n"])
        .sending(transaction("<a@a.test>", &["<c@b.test>"]), &[b"\n"]);
    chunking_lmtp: chunks(Protocol::Lmtp, 4, 0).sending(
        transaction("<a@a.test>", &["<b@b.test>", "<c@b.test>", "<d@b.test>"]),
        &[b"0123", b"45"],
    );
    chunking_aborted: smtp()
        .sending(transaction("<a@a.test>", &["<b@b.test>"]), &[b"x"])
        .sending(transaction("<a@a.test>", &["<b@b.test>"]), &[b"x"]);
    bare_newline_refused: with(Protocol::Smtp, |c| c.bare_newlines = BareNewlines::Refuse)
        .sending(transaction("<a@a.test>", &["<b@b.test>"]), &[b"a\r", b"\nb\r", b"c"])
        .sending(transaction("<a@a.test>", &["<b@b.test>"]), &[b"x"]);
    bare_newline_refused_data: with(Protocol::Smtp, |c| c.bare_newlines = BareNewlines::Refuse)
        .sending(transaction("<a@a.test>", &["<b@b.test>"]), &[b"a\nb", b"c"]);
    parameters_all: smtp()
        .over_tls()
        .sending(everything(120, 3600), &[])
        .sending(everything(120, 3601), &[])
        .sending(everything(59, 3600), &[]);
    parameters_missing: needy();
    deliverby_shortened: smtp()
        .sending(transaction("<a@a.test>", &["<b@b.test>"]), &[])
        .sending(by(120, Mode::Return, transaction("<a@a.test>", &["<b@b.test>"])), &[])
        .sending(by(120, Mode::Return, transaction("<a@a.test>", &["<b@b.test>"])), &[]);
    limits_rfc9422: smtp()
        .sending(
            transaction(
                "<a@a.test>",
                &["<1@b.test>", "<2@c.test>", "<3@d.test>", "<4@B.TEST>", "<5@b.test>"],
            ),
            &[],
        )
        .sending(transaction("<a@a.test>", &["<3@d.test>"]), &[])
        .sending(transaction("<a@a.test>", &["<5@b.test>"]), &[]);
    utf8_mixed: smtp().sending(
        transaction(
            "<a@b\u{fc}cher.test>",
            &["<b@b.test>", "<\u{fc}@b.test>", "<d@b\u{fc}cher.test>"],
        )
        .with_ascii(|address| address.as_str().replace("b\u{fc}cher", "xn--bcher-kva").parse().ok()),
        &[],
    );
    converted: smtp()
        .sending(convertible(BodyType::EightBitMime), &[])
        .sending(convertible(BodyType::EightBitMime), &[]);
    converted_to_8bit: smtp().sending(convertible(BodyType::BinaryMime), &[]);
    certificate: with(Protocol::Smtp, |c| c.starttls = StartTls::Verified);
    certificate_refused: with(Protocol::Smtp, |c| c.starttls = StartTls::Verified);
    xclient: with(Protocol::Smtp, spoken_for)
        .sending(forwarded(), &[])
        .sending(forwarded(), &[]);
    xclient_refused: with(Protocol::Smtp, spoken_for);
    proxy: with(Protocol::Smtp, |c| {
        c.proxy = Some(ProxyHeader::V1(Some(Addresses {
            source: "192.0.2.7:40000".parse().unwrap(),
            destination: "198.51.100.1:25".parse().unwrap(),
        })));
    });
    queries: smtp();
}

fn chunks(protocol: Protocol, size: u64, eager: u64) -> ClientFixture {
    with(protocol, |c| {
        c.chunking.size = size;
        c.chunking.eager = eager;
        c.chunking.ahead = if size == 4 { 2 } else { 4 };
    })
}

fn with_body(body: BodyType, mut transaction: Transaction) -> Transaction {
    transaction.mail.params.body = Some(body);
    transaction
}

fn convertible(body: BodyType) -> Transaction {
    let mut transaction = with_body(body, transaction("<a@a.test>", &["<b@b.test>"]));
    transaction.convertible = true;
    transaction
}

fn by(seconds: i32, mode: Mode, mut transaction: Transaction) -> Transaction {
    transaction.mail.params.by = DeliverBy::new(seconds, mode, mode == Mode::Return && seconds < 120);
    transaction
}

/// A transaction with every parameter of every extension.
fn everything(seconds: i32, hold: u32) -> Transaction {
    let mut all = full(1000);
    let params = &mut all.mail.params;
    params.by = DeliverBy::new(seconds, Mode::Return, true);
    params.hold = Interval::new(hold).map(Hold::For);
    params.priority = Priority::new(-3);
    params.require_tls = true;
    all
}

/// Transactions that each need something, and one that would like it.
fn needy() -> ClientFixture {
    let plain = || transaction("<a@a.test>", &["<b@b.test>", "<c@b.test>", "<d@b.test>"]);
    let one = || transaction("<a@a.test>", &["<b@b.test>"]);
    let (mut tls, mut hold, mut utf8) = (one(), one(), one());
    tls.mail.params.require_tls = true;
    hold.mail.params.hold = DateTime::from_unix(1).map(Hold::Until);
    utf8.mail.params.smtputf8 = true;
    let mut soon = by(100, Mode::Notify, plain());
    soon.mail.params.priority = Priority::new(3);
    soon.recipients[1].params.notify = Some(Notify::On {
        success: true,
        failure: false,
        delay: false,
    });
    soon.recipients[2].params.notify = Some(Notify::Never);
    smtp()
        .sending(tls, &[])
        .sending(by(100, Mode::Return, one()), &[])
        .sending(hold, &[])
        .sending(with_body(BodyType::BinaryMime, one()), &[])
        .sending(utf8, &[])
        .sending(soon, &[])
}

fn spoken_for(config: &mut Config) {
    let mut known = Xclient::default();
    known.name = Text::new("spike.example").map(Attribute::Known);
    known.addr = Some(Attribute::Known("2001:db8::7".parse().unwrap()));
    known.port = Some(Attribute::Known(40000));
    known.helo = Some(Attribute::Unavailable);
    config.xclient = Some(Box::new(known));
}

fn forwarded() -> Transaction {
    let mut known = Xforward::default();
    known.name = Text::new("spike.example").map(Attribute::Known);
    known.ident = Text::new("q=1").map(Attribute::Known);
    known.helo = Text::new("not asked for").map(Attribute::Known);
    let mut transaction = transaction("<a@a.test>", &["<b@b.test>"]);
    transaction.xforward = Some(Box::new(known));
    transaction
}

fn smtp() -> ClientFixture {
    with(Protocol::Smtp, |_| {})
}

fn with(protocol: Protocol, change: impl FnOnce(&mut Config)) -> ClientFixture {
    let mut config = client_config(protocol);
    change(&mut config);
    ClientFixture::new(config)
}

/// A transaction with every parameter there is.
fn full(size: u64) -> Transaction {
    let mut all = eight_bit(transaction("<\u{fc}@a.test>", &["<b@b.test>"]));
    let params = &mut all.mail.params;
    params.size = Some(size);
    params.auth = Some(Submitter::Unknown);
    params.ret = Some(Ret::Full);
    params.envid = EnvelopeId::new("id+1");
    let params = &mut all.recipients[0].params;
    params.notify = Some(Notify::On {
        success: false,
        failure: true,
        delay: true,
    });
    params.orcpt = OriginalRecipient::new("rfc822", "x@b.test");
    all
}

/// The same, but for what a server has to support.
fn modest() -> Transaction {
    let mut some = full(1000);
    some.mail.path = mail("<a@a.test>").path;
    some.mail.params.body = None;
    some
}

#[test]
fn bodies_leave_clean_whatever_they_hold() {
    for (body, sent) in [
        (&b""[..], &b".\r\n"[..]),
        (b"a\n.\r\nb", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r.\rb", b"a\r\n..\r\nb\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"x\r\n.\r\r\n", b"x\r\n..\r\n\r\n.\r\n"),
    ] {
        for cut in 1..=body.len().max(1) {
            let fixture = || {
                let pieces: Vec<_> = body.chunks(cut).collect();
                smtp().sending(transaction("<a@a.test>", &["<b@b.test>"]), &pieces)
            };
            let input = b"220 x\r\n250 x\r\n250 x\r\n250 x\r\n354 x\r\n250 x\r\n221 x\r\n";
            let seen = trace(fixture(), &[Input::Bytes(input.to_vec())], &mut || 1, usize::MAX);
            let want = [
                b"EHLO client.example\r\nMAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\n",
                sent,
                b"QUIT\r\n",
            ]
            .concat();
            assert_eq!(
                seen.sent.escape_ascii().to_string(),
                want.escape_ascii().to_string()
            );
            assert_eq!(seen.end, End::Closed);
        }
    }
}

#[test]
fn many_recipients_are_sent_in_windows() {
    let paths: Vec<String> = (0..1000).map(|n| format!("<r{n}@b.test>")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let greeting = b"220 x\r\n250-x\r\n250 PIPELINING\r\n".to_vec();
    let fixture = || smtp().sending(transaction("<a@a.test>", &paths), &[b"x"]);
    let seen = trace(
        fixture(),
        &[Input::Bytes(greeting.clone())],
        &mut || usize::MAX,
        usize::MAX,
    );
    assert_eq!(seen.sent.iter().filter(|b| **b == b'\n').count(), 1 + 100);
    let replies = [
        greeting,
        b"250 x\r\n".repeat(1001),
        b"354 x\r\n250 x\r\n221 x\r\n".to_vec(),
    ]
    .concat();
    let seen = trace(fixture(), &[Input::Bytes(replies)], &mut || 700, usize::MAX);
    assert_eq!(seen.end, End::Closed);
    assert_eq!(seen.events.last().unwrap().matches("delivered 250").count(), 1000);
}

#[test]
fn an_idle_connection_tells_when_the_server_ends_it() {
    for (said, error) in [
        (
            &b"421 4.4.2 idle for too long\r\n"[..],
            "the server ends the service at the next command: 421 4.4.2 idle for too long",
        ),
        (
            b"250 surprise\r\n",
            "the peer broke the protocol at the next command: it spoke without being asked",
        ),
        (b"", "the connection was closed at the next command"),
    ] {
        let mut fixture = smtp();
        #[allow(clippy::disallowed_methods)] // a test winds its own clock, and this is where it starts
        let now = std::time::Instant::now();
        let mut client = fixture.start(now);
        let feed = |client: &mut mailwright_smtp::Client, data: &[u8]| {
            client.recv_buf()[..data.len()].copy_from_slice(data);
            client.received(data.len());
        };
        feed(&mut client, b"220 x\r\n");
        assert!(client.poll(now).is_ok());
        support::drain(&mut client);
        feed(&mut client, b"250 x\r\n");
        assert!(matches!(client.poll(now), Ok(mailwright_wire::Step::Event(_))));
        assert!(matches!(client.poll(now), Ok(mailwright_wire::Step::Answer)));
        client.park();
        assert!(matches!(client.poll(now), Ok(mailwright_wire::Step::Read)));
        feed(&mut client, said);
        assert_eq!(client.poll(now).unwrap_err().to_string(), error);
        assert!(client.poll(now).unwrap_err().is_temporary());
    }
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let fixed: Vec<&'static [u8]> = vec![
        b"220 x\r\n",
        b"250 x\r\n",
        b"250-x\r\n",
        b"250-PIPELINING\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN SCRAM-SHA-256\r\n250 x\r\n",
        b"250 SIZE 10\r\n",
        b"334 VXNlcm5hbWU6\r\n",
        b"334 \r\n",
        b"235 x\r\n",
        b"354 x\r\n",
        b"421 x\r\n",
        b"450 x\r\n",
        b"550 x\r\n",
        b"500 x\r\n",
        b"250\n",
        b"\r\n",
        b"\0",
        b"25",
        &[b'2'; 600],
    ];
    prop_oneof![
        12 => proptest::sample::select(fixed).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn hostile_servers_do_the_same_however_they_are_cut(
        pieces in proptest::collection::vec(piece(), 0..30),
        lmtp in any::<bool>(),
        login in any::<bool>(),
        tls_at in 0usize..30,
    ) {
        let at = tls_at.min(pieces.len());
        let (first, second) = pieces.split_at(at);
        let input = [
            Input::Bytes([b"220 x\r\n", &first.concat()[..]].concat()),
            Input::Tls,
            Input::Bytes(second.concat()),
            Input::Eof,
        ];
        let protocol = if lmtp { Protocol::Lmtp } else { Protocol::Smtp };
        let seen = every_fragmentation(
            || with(protocol, |c| {
                c.credentials = login.then(credentials);
                c.limits.reply_line = 512;
            })
            .sending(transaction("<a@a.test>", &["<b@b.test>", "<c@c.test>"]), &[b"one\n.", b"\r\n.two\r"])
            .sending(eight_bit(transaction("<a@a.test>", &["<d@b.test>"])), &[]),
            &input,
        );
        prop_assert!(seen.end != End::Open);
    }
}
