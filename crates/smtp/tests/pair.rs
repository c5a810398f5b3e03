//! Both engines joined in memory.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod support;

use bytes::Bytes;
use mailwright_sasl::{ChannelBindings, Mechanism};
use mailwright_smtp::client::{self, Client, Delivery, Outcome, StartTls, Transaction};
use mailwright_smtp::dsn::{Notify, Ret};
use mailwright_smtp::server::{self, BareNewlines, Server};
use mailwright_smtp::{Mail, Protocol, Rcpt, Rejection};
use mailwright_wire::testing::{Pair, Turn};
use proptest::prelude::*;
use std::time::Instant;
use support::{check, client_config, credentials, eight_bit, server_config, transaction};

/// A message with its envelope.
type Job = (Transaction, Vec<Vec<u8>>);

/// What the server took.
#[derive(Debug, PartialEq)]
struct Taken {
    mail: Mail,
    recipients: Vec<Rcpt>,
    body: Vec<u8>,
}

/// Sends all jobs from one engine to the other over pipes of `capacity` octets. Recipients that start with
/// `no` are refused; with LMTP, those that start with `full` are refused at the end of the message.
fn exchange(
    client: client::Config,
    server: server::Config,
    jobs: &[Job],
    capacity: usize,
) -> (Vec<Outcome>, Vec<Taken>) {
    #[allow(clippy::disallowed_methods)] // a test winds its own clock, and this is where it starts
    let now = Instant::now();
    let lmtp = client.protocol == Protocol::Lmtp;
    let client = Client::new(client, [1; 32]);
    let server = Server::new(server, [2; 32], now);
    let mut pair = Pair::new(client, server, now, capacity);
    let (mut outcomes, mut taken) = (vec![], vec![]);
    let mut jobs = jobs.iter();
    let mut body = [].iter();
    let mut open: Option<Taken> = None;
    pair.run(
        |client, turn| match turn {
            Turn::Event(client::Event::Ready) => next(client, &mut jobs, &mut body),
            Turn::Event(client::Event::BodyWanted) => {}
            Turn::Event(client::Event::Finished(outcome)) => {
                assert!(outcome.is_reusable());
                outcomes.push(outcome);
                next(client, &mut jobs, &mut body);
            }
            Turn::Answer => match body.next() {
                Some(piece) => client.body(Bytes::copy_from_slice(piece)),
                None => client.body_end(),
            },
            Turn::TlsStarted => {
                client.bind_channel(channel());
                client.tls_started();
            }
            Turn::Closed => {}
            other => panic!("the client: {other:?}"),
        },
        |server, turn| match turn {
            Turn::Event(server::Event::Auth(question)) => server.answer_auth(check(&question)),
            Turn::Event(server::Event::Mail(mail)) => {
                open = Some(Taken {
                    mail: *mail,
                    recipients: vec![],
                    body: vec![],
                });
                server.accept();
            }
            Turn::Event(server::Event::Rcpt(rcpt)) if rcpt.path.to_string().starts_with("<no") => {
                server.reject(Rejection::NO_SUCH_USER);
            }
            Turn::Event(server::Event::Rcpt(rcpt)) => {
                open.as_mut().unwrap().recipients.push(rcpt);
                server.accept();
            }
            Turn::Event(server::Event::Body(data)) => open.as_mut().unwrap().body.extend_from_slice(&data),
            Turn::Event(server::Event::Message { size }) => {
                let message = open.take().unwrap();
                assert_eq!(size, message.body.len() as u64);
                for rcpt in &message.recipients {
                    if lmtp && rcpt.path.to_string().starts_with("<full") {
                        server.reject(Rejection::OVER_QUOTA);
                    } else if lmtp || server.owed() > 0 {
                        server.accept();
                    }
                }
                taken.push(message);
            }
            Turn::Event(server::Event::Aborted(_)) => open = None,
            Turn::Event(server::Event::Authenticated(_)) => {}
            Turn::Event(_) => server.accept(),
            Turn::TlsStarted => {
                server.tls_started();
                server.bind_channel(channel());
            }
            Turn::Closed => {}
            other => panic!("the server: {other:?}"),
        },
    )
    .expect("no deadlock");
    (outcomes, taken)
}

fn next<'a>(
    client: &mut Client,
    jobs: &mut std::slice::Iter<'a, Job>,
    body: &mut std::slice::Iter<'a, Vec<u8>>,
) {
    match jobs.next() {
        Some((transaction, pieces)) => {
            *body = pieces.iter();
            client.send(transaction.clone());
        }
        None => client.quit(),
    }
}

/// What a body becomes on its way: line ends complete.
fn canonical(pieces: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![];
    let body = pieces.concat();
    let mut rest = body.as_slice();
    while let Some((&octet, tail)) = rest.split_first() {
        rest = tail;
        match octet {
            b'\r' => {
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
                out.extend_from_slice(b"\r\n");
            }
            b'\n' => out.extend_from_slice(b"\r\n"),
            octet => out.push(octet),
        }
    }
    if !out.is_empty() && !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn local_part() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z]{1,8}",
        1 => "no[a-z]{0,4}",
        1 => "full[a-z]{0,4}",
        1 => Just(r#""a \"quoted\\ one>""#.to_owned()),
        1 => Just("\u{fc}ml\u{e4}ut".to_owned()),
    ]
}

fn path() -> impl Strategy<Value = String> {
    let host = prop_oneof![Just("b.test"), Just("[192.0.2.1]"), Just("[IPv6:2001:db8::1]")];
    (local_part(), host).prop_map(|(local, host)| format!("<{local}@{host}>"))
}

fn job() -> impl Strategy<Value = Job> {
    let sender = prop_oneof![1 => Just("<>".to_owned()), 4 => path()];
    let octet = prop_oneof![Just(b'.'), Just(b'\r'), Just(b'\n'), Just(0), any::<u8>()];
    let piece = prop_oneof![
        4 => proptest::collection::vec(octet, 0..60),
        1 => Just(b"a line of text\r\n".repeat(300)),
    ];
    let recipients = proptest::collection::vec(path(), 0..8);
    (
        sender,
        recipients,
        proptest::collection::vec(piece, 0..4),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(sender, recipients, body, dsn, declare)| {
            let recipients: Vec<_> = recipients.iter().map(String::as_str).collect();
            let mut transaction = eight_bit(transaction(&sender, &recipients));
            if declare {
                transaction.mail.params.size = Some(body.iter().map(|b| b.len() as u64).sum());
            }
            if dsn {
                transaction.mail.params.ret = Some(Ret::Hdrs);
                for rcpt in &mut transaction.recipients {
                    rcpt.params.notify = Some(Notify::Never);
                }
            }
            (transaction, body)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn every_transaction_arrives_as_it_was_meant(
        jobs in proptest::collection::vec(job(), 1..4),
        capacity in prop_oneof![1usize..8, 8usize..5000],
        lmtp in any::<bool>(),
        tls in any::<bool>(),
        login in any::<bool>(),
        pipelining in any::<bool>(),
        window in 1usize..10,
    ) {
        let protocol = if lmtp { Protocol::Lmtp } else { Protocol::Submission };
        let mut client = client_config(protocol);
        client.starttls = if tls { StartTls::Required } else { StartTls::Never };
        client.credentials = login.then(credentials);
        client.plaintext_auth_without_tls = true;
        client.pipelining = pipelining;
        client.limits.window = window;
        let mut server = server_config(protocol);
        server.extensions.starttls = true;
        server.extensions.auth = true;
        server.require_auth = login;
        server.auth_without_tls = server::AuthWithoutTls::Always;
        server.mechanisms = vec![Mechanism::Plain, Mechanism::Login];
        let (outcomes, taken) = exchange(client, server, &jobs, capacity);

        prop_assert_eq!(outcomes.len(), jobs.len());
        let mut taken = taken.into_iter();
        for ((transaction, body), outcome) in jobs.iter().zip(&outcomes) {
            let accepted: Vec<_> = (transaction.recipients.iter())
                .filter(|r| !r.path.to_string().starts_with("<no"))
                .cloned()
                .collect();
            for (rcpt, delivery) in transaction.recipients.iter().zip(&outcome.deliveries) {
                let path = rcpt.path.to_string();
                let expected = !(path.starts_with("<no") || lmtp && path.starts_with("<full"));
                prop_assert_eq!(matches!(delivery, Delivery::Delivered(_)), expected, "{}", path);
            }
            prop_assert_eq!(outcome.deliveries.len(), transaction.recipients.len());
            if accepted.is_empty() {
                continue;
            }
            let got = taken.next().expect("the server took it");
            prop_assert_eq!(&got.mail.path, &transaction.mail.path);
            prop_assert_eq!(got.mail.params.ret, transaction.mail.params.ret);
            prop_assert_eq!(got.mail.params.size, transaction.mail.params.size);
            prop_assert_eq!(got.recipients, accepted);
            prop_assert_eq!(got.body, canonical(body));
        }
        prop_assert!(taken.next().is_none());
    }
}

/// What both ends of the TLS channel know.
fn channel() -> ChannelBindings {
    ChannelBindings::none().with_tls_exporter(&[7; 32])
}

#[test]
fn logs_in_by_every_mechanism() {
    let all = [
        Mechanism::ScramSha256Plus,
        Mechanism::ScramSha1Plus,
        Mechanism::ScramSha256,
        Mechanism::ScramSha1,
        Mechanism::Plain,
        Mechanism::Login,
    ];
    for mechanism in all {
        let mut client = client_config(Protocol::Submission);
        client.credentials = Some(credentials());
        client.mechanisms = vec![mechanism];
        let mut server = server_config(Protocol::Submission);
        server.extensions.auth = true;
        server.extensions.starttls = true;
        server.mechanisms = all.to_vec();
        let job = (
            transaction("<alice@a.test>", &["<bob@b.test>"]),
            vec![b"hello".to_vec()],
        );
        let (outcomes, taken) = exchange(client, server, &[job], 100);
        assert!(
            matches!(outcomes[0].deliveries[..], [Delivery::Delivered(_)]),
            "{mechanism}"
        );
        assert_eq!(taken[0].body, b"hello\r\n");
    }
}

/// What a client of ours sends never trips the strictest server of ours.
#[test]
fn nothing_sent_has_bare_newlines() {
    let mut server = server_config(Protocol::Smtp);
    server.bare_newlines = BareNewlines::Refuse;
    for end in [
        "\n.\n",
        "\n.\r\n",
        "\r\n.\n",
        "\r.\r",
        "\r\n.\r\r\n",
        "\r\n.\0\r\n",
        "\r\n.\r\n",
    ] {
        let body = format!("text{end}MAIL FROM:<evil@evil.example>\r\n");
        for cut in 1..body.len() {
            let pieces = body.as_bytes().chunks(cut).map(<[u8]>::to_vec).collect();
            let job = (eight_bit(transaction("<a@a.test>", &["<b@b.test>"])), pieces);
            let (outcomes, taken) = exchange(
                client_config(Protocol::Smtp),
                server.clone(),
                std::slice::from_ref(&job),
                4096,
            );
            assert!(matches!(outcomes[0].deliveries[..], [Delivery::Delivered(_)]));
            assert_eq!(taken.len(), 1);
            assert_eq!(taken[0].body, canonical(&job.1));
        }
    }
}
