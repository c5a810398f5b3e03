//! The client joined to the server in memory, over pipes of any width.

mod common;

use bytes::Bytes;
use common::{ServerFixture, client_event, message};
use mailwright_pop3::client::{self, Client, Command};
use mailwright_pop3::{Error, Server, server};
use mailwright_sasl::{ChannelBindings, Credentials, Mechanism};
use mailwright_wire::testing::{Fixture, Pair, Seen, Turn};
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// What both sides saw.
#[derive(Debug, Default, PartialEq)]
struct Told {
    server: Vec<String>,
    client: Vec<String>,
    bodies: Vec<Vec<u8>>,
    errors: Vec<Error>,
    passed: Duration,
}

fn run(fixture: ServerFixture, commands: Vec<Command>, capacity: usize, allow_plaintext: bool) -> Told {
    #[allow(clippy::disallowed_methods)] // where the simulated clock starts
    let now = Instant::now();
    let mut fixture = fixture;
    let server: Server = fixture.start(now);
    let mut config = client::Config::default();
    config.allow_plaintext = allow_plaintext;
    let mut client = Client::new(config, [3; 32], now);
    for command in commands {
        client.command(command).expect("a command that can be sent");
    }
    let mut told = Told::default();
    let mut server_errors = vec![];
    let mut pair = Pair::new(client, server, now, capacity);
    let passed = pair.run(
        |client, turn| match turn {
            Turn::Event(event) => match client_event(event) {
                Seen::Line(line) => told.client.push(line),
                Seen::Body(data) => {
                    if told.client.last().is_some_and(|l| l != "body") {
                        told.client.push("body".into());
                        told.bodies.push(vec![]);
                    }
                    told.bodies
                        .last_mut()
                        .expect("was pushed")
                        .extend_from_slice(&data);
                }
            },
            Turn::TlsStarted => client.tls_started(),
            Turn::Failed(error) => told.errors.push(error),
            _ => {}
        },
        |server, turn| match turn {
            Turn::Event(event) => {
                if let Seen::Line(line) = fixture.event(server, event) {
                    told.server.push(line);
                }
            }
            Turn::Answer => fixture.default_answer(server),
            Turn::TlsStarted => fixture.tls_started(server),
            Turn::Failed(error) => server_errors.push(error),
            Turn::Closed => {}
        },
    );
    told.passed = passed.expect("nobody waits for ever");
    told.errors.extend(server_errors);
    told
}

fn bob() -> Credentials {
    Credentials::new("bob", "s3cret")
}

#[test]
fn a_session_with_everything_over_any_pipe() {
    let session = |capacity| {
        let fixture = ServerFixture::new().with(|f| {
            f.config.stls = true;
            f.config.allow_plaintext = false;
        });
        let commands = vec![
            Command::Capa,
            Command::Stls,
            Command::Capa,
            Command::Auth(Mechanism::ScramSha256, bob()),
            Command::Stat,
            Command::List(None),
            Command::Uidl(None),
            Command::Top { message: 2, lines: 1 },
            Command::Retr(1),
            Command::Retr(2),
            Command::Dele(2),
            Command::Retr(2),
            Command::Quit,
        ];
        run(fixture, commands, capacity, false)
    };
    let told = session(usize::MAX / 4);
    assert_eq!(
        told.client,
        [
            "greeting: ready",
            "capabilities: TOP, UIDL, RESP-CODES, AUTH-RESP-CODE, PIPELINING, SASL SCRAM-SHA-256, STLS",
            "done: capability list follows",
            "done: begin TLS negotiation",
            "capabilities: TOP, UIDL, RESP-CODES, AUTH-RESP-CODE, PIPELINING, USER, \
             SASL SCRAM-SHA-256 PLAIN LOGIN",
            "done: capability list follows",
            "done: maildrop has 2 messages (320 octets)",
            "stat 2 320",
            "done: 2 320",
            "size 1 120",
            "size 2 200",
            "done: 2 messages (320 octets)",
            "uid 1 uid-1",
            "uid 2 uid-2",
            "done: 2 messages (320 octets)",
            "body",
            "done: top of message follows",
            "body",
            "done: 120 octets",
            "body",
            "done: 200 octets",
            "done: message 2 deleted",
            "refused: None no such message",
            "done: 1 messages deleted, bye",
        ]
    );
    assert_eq!(
        told.server,
        [
            "scram of bob",
            "open bob",
            "top 1 of 2",
            "retrieve 1",
            "retrieve 2",
            "update [2]"
        ]
    );
    assert_eq!(told.bodies[0], b"Subject: hello\r\nX: y\r\n\r\n.dot\r\n");
    assert_eq!(told.bodies[1], message("", 120).1);
    assert_eq!(told.bodies[2], message("", 200).1);
    assert_eq!((&told.errors[..], told.passed), (&[][..], Duration::ZERO));
    for capacity in [1, 2, 3, 7, 64, 1000] {
        assert_eq!(session(capacity), told, "over a pipe of {capacity}");
    }
}

#[test]
fn a_wrong_password_and_a_wrong_server() {
    for mechanism in &[Mechanism::ScramSha256, Mechanism::Plain, Mechanism::Login] {
        let wrong = Credentials::new("bob", "wrong");
        let commands = vec![
            Command::Auth(*mechanism, wrong.clone()),
            Command::Login(wrong),
            Command::Login(bob()),
            Command::Quit,
        ];
        let told = run(ServerFixture::new(), commands, 50, true);
        assert_eq!(
            told.client[1..],
            [
                "refused: Some(Auth) wrong user name or password",
                "refused: Some(Auth) wrong user name or password",
                "done: maildrop has 2 messages (320 octets)",
                "done: bye",
            ],
            "{mechanism}"
        );
    }
}

/// Logs in with SCRAM-SHA-256-PLUS, each end bound to what it takes for the channel; what the client is told.
fn bound(server: &ChannelBindings, client: &ChannelBindings, capacity: usize) -> Vec<String> {
    #[allow(clippy::disallowed_methods)] // where the simulated clock starts
    let now = Instant::now();
    let mut fixture = ServerFixture::new().with(|f| f.config.mechanisms = vec![Mechanism::ScramSha256Plus]);
    let mut pop3 = fixture.start(now).over_tls();
    pop3.bind_channel(server.clone());
    let mut hand = Client::new(client::Config::default(), [3; 32], now).over_tls();
    hand.bind_channel(client.clone());
    for command in [
        Command::Capa,
        Command::Auth(Mechanism::ScramSha256Plus, bob()),
        Command::Quit,
    ] {
        hand.command(command).expect("a command that can be sent");
    }
    let mut told = vec![];
    let ran = Pair::new(hand, pop3, now, capacity).run(
        |_, turn| match turn {
            Turn::Event(event) => match client_event(event) {
                Seen::Line(line) => told.push(line),
                Seen::Body(_) => panic!("nothing was asked for"),
            },
            Turn::Failed(error) => panic!("{error}"),
            _ => {}
        },
        |server, turn| match turn {
            Turn::Event(event) => drop(fixture.event(server, event)),
            Turn::Answer => fixture.default_answer(server),
            Turn::Failed(error) => panic!("{error}"),
            _ => {}
        },
    );
    ran.expect("nobody waits for ever");
    told
}

#[test]
fn scram_plus_lets_in_over_one_channel_alone() {
    let exporter = |of| ChannelBindings::none().with_tls_exporter(&[of; 32]);
    let certificate = ChannelBindings::none().with_tls_server_end_point(&[9; 32]);
    for capacity in [1, 2, 7, 64, 1000] {
        for channel in [&exporter(1), &certificate] {
            let told = bound(channel, channel, capacity);
            assert!(told[1].contains("SASL SCRAM-SHA-256-PLUS"), "{told:?}");
            assert_eq!(
                told[3..],
                ["done: maildrop has 2 messages (320 octets)", "done: bye"]
            );
        }
        // Somebody in between has a channel to each.
        let told = bound(&exporter(1), &exporter(2), capacity);
        assert_eq!(
            told[3..],
            ["refused: Some(Auth) wrong user name or password", "done: bye"]
        );
    }
}

#[test]
fn a_client_that_falls_silent_is_let_go_after_ten_minutes() {
    let told = run(
        ServerFixture::new(),
        vec![Command::Login(bob()), Command::Dele(1)],
        50,
        true,
    );
    assert_eq!(
        told.errors,
        [Error::Closed, Error::Timeout(mailwright_pop3::Phase::Idle)]
    );
    assert_eq!(told.passed, Duration::from_secs(600));
    assert!(!told.server.iter().any(|line| line.starts_with("update")));
}

#[test]
fn clients_refuse_to_give_secrets_away() {
    #[allow(clippy::disallowed_methods)] // where the simulated clock starts
    let now = Instant::now();
    let mut client = Client::new(client::Config::default(), [3; 32], now);
    assert_eq!(
        client.command(Command::Login(bob())),
        Err(Error::PlaintextRefused)
    );
    assert_eq!(
        client.command(Command::Auth(Mechanism::Plain, bob())),
        Err(Error::PlaintextRefused)
    );
    assert_eq!(
        client.command(Command::Auth(Mechanism::ScramSha256, bob())),
        Ok(())
    );
    for hostile in [
        Credentials::new("bob\r\nDELE 1", "x"),
        Credentials::new("bob", "x\r\nDELE 1"),
        Credentials::new("bob", "x\0"),
    ] {
        let mut client = Client::new(client::Config::default(), [3; 32], now).over_tls();
        assert_eq!(client.command(Command::Login(hostile)), Err(Error::Unsendable));
        assert_eq!(client.command(Command::Stls), Err(Error::AlreadyTls));
        assert_eq!(client.command(Command::Quit), Ok(()));
        assert_eq!(client.command(Command::Noop), Err(Error::Finished));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn messages_arrive_as_they_are(
        parts in prop::collection::vec(
            prop::sample::select(vec!["\r\n", ".", "..", "x", ".\r\n", "\r\n.\r\n", "\0", "\u{e9}", "Subject: y\r\n"]),
            0..30,
        ),
        piece in 1..20usize,
        capacity in 1..100usize,
    ) {
        let mut body = parts.concat().into_bytes();
        let sent = Bytes::from(body.clone());
        let fixture = ServerFixture::new().with(|f| {
            f.messages = vec![("u".into(), sent)];
            f.piece = piece;
        });
        let told = run(fixture, vec![Command::Login(bob()), Command::Retr(1), Command::Quit], capacity, true);
        if !body.is_empty() && !body.ends_with(b"\r\n") {
            body.extend_from_slice(b"\r\n");
        }
        prop_assert_eq!(told.bodies.concat(), body);
        prop_assert_eq!(told.errors, vec![]);
    }
}

/// The events of the server that are questions are the whole interface to the embedder.
#[test]
fn questions_own_their_data() {
    fn is_static<T: Send + Sync + 'static>() {}
    is_static::<server::Event>();
    is_static::<client::Event>();
}
