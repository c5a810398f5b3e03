//! APOP at both ends: RFC 1939 §7.

mod common;

use common::{ClientFixture, ServerFixture, client_event};
use mailwright_pop3::client::{self, Client, Command};
use mailwright_pop3::{Error, Server};
use mailwright_sasl::{Answer, Credentials, Question};
use mailwright_wire::testing::{Fixture, Pair, Role, Seen, Turn, run_transcript};

/// The password of the RFC's example.
fn mrose(question: &Question) -> Answer {
    match question {
        Question::SharedSecret { username } if username == "mrose" => Answer::Password("tanstaaf".into()),
        Question::SharedSecret { username } if username == "later" => Answer::Unavailable,
        _ => Answer::Deny,
    }
}

fn server() -> ServerFixture {
    ServerFixture::new().with(|fixture| {
        fixture.config.apop = Some("dbc.mtview.ca.us".into());
        fixture.accounts = mrose;
    })
}

fn client() -> ClientFixture {
    ClientFixture::new().with(|fixture| {
        fixture.more = |words| match words {
            ["apop", user, password] => Some(Command::Apop(Credentials::new(*user, *password))),
            _ => None,
        };
    })
}

#[test]
fn the_example_of_the_rfc() {
    let transcript = include_str!("transcripts/client_apop.txt");
    run_transcript(Role::Client, transcript, client);
}

#[test]
fn the_client_asks_for_what_is_offered() {
    let transcript = include_str!("transcripts/client_no_apop.txt");
    run_transcript(Role::Client, transcript, client);
}

#[test]
fn what_a_server_lets_in() {
    // The digest of a timestamp that is the same in each run, because its randomness is.
    let transcript = include_str!("transcripts/apop.txt");
    run_transcript(Role::Server, transcript, server);
}

#[test]
fn names_that_cannot_be_sent() {
    let now = client().origin();
    for (name, password) in [("a b", "x"), ("", "x"), ("a\r\nDELE", "x"), ("b\u{e9}b", "x")] {
        let mut client = Client::new(client::Config::default(), [0; 32], now);
        let command = Command::Apop(Credentials::new(name, password));
        assert_eq!(client.command(command), Err(Error::Unsendable), "{name:?}");
    }
}

/// Logs in over a pipe; what the client is told.
fn log_in(user: &str, password: &str, capacity: usize) -> Vec<String> {
    let mut fixture = server();
    let now = fixture.origin();
    let pop3: Server = fixture.start(now);
    let mut hand = Client::new(client::Config::default(), [3; 32], now);
    for command in [
        Command::Apop(Credentials::new(user, password)),
        Command::Stat,
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
    told.split_off(1)
}

#[test]
fn client_and_server_agree() {
    for capacity in [1, 3, 50, 1000] {
        assert_eq!(
            log_in("mrose", "tanstaaf", capacity),
            [
                "done: maildrop has 2 messages (320 octets)",
                "stat 2 320",
                "done: 2 320",
                "done: bye",
            ]
        );
        for (user, password) in [("mrose", "tanstaaF"), ("mrose", ""), ("bob", "tanstaaf")] {
            let told = log_in(user, password, capacity);
            assert_eq!(told[0], "refused: Some(Auth) wrong user name or password");
        }
        let told = log_in("later", "x", capacity);
        assert_eq!(told[0], "refused: Some(SysTemp) login is temporarily unavailable");
    }
}
