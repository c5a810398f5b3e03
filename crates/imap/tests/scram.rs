//! AUTHENTICATE SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 7677, RFC 9266), both ends in memory.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test fails by panicking, and winds its own clock

mod support;

use mailwright_imap::client::{self, Command};
use mailwright_imap::{Error, Event, Server, Transport};
use mailwright_sasl::{
    Answer, ChannelBindings, Client, ClientStep, Credentials, Mechanism, ScramCredentials, Secret,
    base64_decode, base64_encode,
};
use mailwright_wire::testing::{Fixture, Pair, Turn};
use mailwright_wire::{Machine, Step};
use std::num::NonZeroU32;
use std::time::Instant;
use support::Host;

fn credentials() -> ScramCredentials {
    ScramCredentials::derive(
        &Secret::from("pencil"),
        b"a salt of some length",
        NonZeroU32::new(4096).unwrap(),
    )
}

/// Runs until the server wants input; returns what it said and the events.
fn pump(server: &mut Server, now: Instant, answer: &Answer) -> Result<(String, Vec<String>), Error> {
    let (mut said, mut events) = (Vec::new(), Vec::new());
    loop {
        match server.poll(now)? {
            Step::Event(event) => {
                events.push(match event {
                    Event::Auth(question) => format!("auth {}", question.username()),
                    Event::Authenticated(identity) => format!("authenticated {}", identity.authcid),
                    other => format!("{other:?}"),
                });
            }
            Step::Write => {
                said.extend_from_slice(server.send_buf());
                server.sent(server.send_buf().len());
            }
            Step::Answer => server.answer_auth(answer.clone()),
            _ => return Ok((String::from_utf8(said).unwrap(), events)),
        }
    }
}

fn feed(server: &mut Server, line: &str) {
    let line = format!("{line}\r\n");
    server.recv_buf()[..line.len()].copy_from_slice(line.as_bytes());
    server.received(line.len());
}

/// Logs in; returns the tagged response and all events.
fn log_in(password: &str, answer: Answer, initial_response: bool) -> (String, Vec<String>) {
    let now = Instant::now();
    let mut server = Host::new(vec![]).start(now);
    pump(&mut server, now, &answer).unwrap();
    let credentials = Credentials::new("user", Secret::from(password));
    let mut client = Client::new(Mechanism::ScramSha256, credentials, &[3; 24]);
    let respond = |client: &mut Client, challenge: Option<&[u8]>| match client.step(challenge) {
        Ok(ClientStep::Respond(response)) => base64_encode(&response),
        Ok(_) => String::new(),
        Err(_) => "*".into(),
    };
    let mut events = Vec::new();
    if initial_response {
        let first = respond(&mut client, None);
        feed(&mut server, &format!("a AUTHENTICATE SCRAM-SHA-256 {first}"));
    } else {
        feed(&mut server, "a AUTHENTICATE SCRAM-SHA-256");
        let (said, _) = pump(&mut server, now, &answer).unwrap();
        assert_eq!(said, "+ \r\n");
        let first = respond(&mut client, None);
        feed(&mut server, &first);
    }
    loop {
        let (said, more) = pump(&mut server, now, &answer).unwrap();
        events.extend(more);
        match said.trim_end().strip_prefix("+ ") {
            Some(challenge) => {
                let challenge = base64_decode(challenge.as_bytes()).unwrap();
                let response = respond(&mut client, Some(&challenge));
                feed(&mut server, &response);
            }
            None => return (said, events),
        }
    }
}

#[test]
fn the_right_password_gets_in_with_and_without_initial_response() {
    for initial_response in [true, false] {
        let (said, events) = log_in("pencil", Answer::Scram(credentials()), initial_response);
        assert!(said.starts_with("a OK [CAPABILITY IMAP4rev1 "), "{said}");
        assert_eq!(events, ["auth user", "authenticated user"]);
    }
}

#[test]
fn the_wrong_password_and_the_unknown_user_fail_alike() {
    let (wrong, _) = log_in("pencils", Answer::Scram(credentials()), true);
    let (unknown, _) = log_in("pencil", Answer::Deny, true);
    assert_eq!(wrong, "a NO [AUTHENTICATIONFAILED] Authentication failed\r\n");
    assert_eq!(wrong, unknown);
}

/// Logs in with SCRAM-SHA-256-PLUS, each end bound to what it takes for the channel; what the client is told.
fn bound(server: &ChannelBindings, client: &ChannelBindings, capacity: usize) -> String {
    let now = Instant::now();
    let mut host = Host::new(vec![]);
    host.transport = Transport::Tls;
    host.config.mechanisms = vec![Mechanism::ScramSha256Plus];
    let mut imap = host.start(now);
    imap.bind_channel(server.clone());
    let mut hand = client::Client::new(client::Config::default(), [2; 32], now).over_tls();
    hand.bind_channel(client.clone());
    let pencil = Credentials::new("user", Secret::from("pencil"));
    let login = hand.command(Command::authenticate(Mechanism::ScramSha256Plus, pencil));
    hand.command(Command::logout());
    let mut told = String::new();
    let ran = Pair::new(hand, imap, now, capacity).run(
        |_, turn| match turn {
            Turn::Event(client::Event::Done(handle, _)) if handle == login => told += "logged in",
            Turn::Event(client::Event::Refused(handle, reply)) if handle == login => {
                told += &format!("refused {:?}", reply.text);
            }
            Turn::Event(client::Event::Unsent(handle, why)) if handle == login => {
                told += &format!("unsent {why:?}");
            }
            Turn::Failed(error) => panic!("{error}"),
            _ => {}
        },
        |server, turn| match turn {
            Turn::Answer => server.answer_auth(Answer::Scram(credentials())),
            Turn::Failed(error) => panic!("{error}"),
            _ => {}
        },
    );
    ran.expect("nobody waits for ever");
    told
}

#[test]
fn plus_lets_in_over_one_channel_alone() {
    let exporter = |of| ChannelBindings::none().with_tls_exporter(&[of; 32]);
    let certificate = ChannelBindings::none().with_tls_server_end_point(&[9; 32]);
    for capacity in [1, 2, 7, 64, 1000] {
        for channel in [&exporter(1), &certificate] {
            assert_eq!(bound(channel, channel, capacity), "logged in");
        }
        // Somebody in between has a channel to each.
        assert_eq!(
            bound(&exporter(1), &exporter(2), capacity),
            r#"refused "Authentication failed""#
        );
        // The server has nothing to bind to.
        assert_eq!(
            bound(&ChannelBindings::none(), &exporter(2), capacity),
            r#"refused "The mechanism is not supported""#
        );
    }
}
