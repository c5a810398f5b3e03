//! Everything that can go wrong at every stage of a session: typed errors, advice, and what became of whom.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod support;

use mailwright_smtp::client::{Config, Event, StartTls, Timeouts, UseBdat};
use mailwright_smtp::{Client, Error, Protocol};
use mailwright_wire::{Machine, Step};
use std::time::{Duration, Instant};
use support::{client_config, credentials, describe, transaction};

/// One reply of a server that does its best.
struct Stage {
    /// As errors call it.
    name: &'static str,
    /// What the client has just said; empty for the greeting.
    says: &'static str,
    good: &'static str,
    /// A code that makes no sense here.
    wrong: &'static str,
    /// How long the client waits.
    patience: fn(&Timeouts) -> Duration,
    /// What becomes of the recipients if the connection ends here.
    lost: &'static str,
    /// What becomes of everything if the server says 550 here, and 450.
    refused: [&'static str; 2],
}

const NO_SESSION: [&str; 2] = ["dead (permanent)", "dead (temporary)"];
const MAIL_NO: [&str; 2] = [
    "finished, failed at MAIL: 550 (permanent, 5.7.1), failed at MAIL: 550 (permanent, 5.7.1)",
    "finished, failed at MAIL: 450 (temporary, 4.7.1), failed at MAIL: 450 (temporary, 4.7.1)",
];
const FIRST_NO: [&str; 2] = [
    "finished, failed at RCPT: 550 (permanent, 5.7.1), delivered 250",
    "finished, failed at RCPT: 450 (temporary, 4.7.1), delivered 250",
];
const SECOND_NO: [&str; 2] = [
    "finished, delivered 250, failed at RCPT: 550 (permanent, 5.7.1)",
    "finished, delivered 250, failed at RCPT: 450 (temporary, 4.7.1)",
];
const DATA_NO: [&str; 2] = [
    "finished, failed at DATA: 550 (permanent, 5.7.1), failed at DATA: 550 (permanent, 5.7.1); reset",
    "finished, failed at DATA: 450 (temporary, 4.7.1), failed at DATA: 450 (temporary, 4.7.1); reset",
];
const CHUNK_NO: [&str; 2] = [
    "finished, failed at the message: 550 (permanent, 5.7.1), failed at the message: 550 (permanent, 5.7.1); reset",
    "finished, failed at the message: 450 (temporary, 4.7.1), failed at the message: 450 (temporary, 4.7.1); reset",
];
const END_NO: [&str; 2] = [
    "finished, failed at the end of the message: 550 (permanent, 5.7.1), \
     failed at the end of the message: 550 (permanent, 5.7.1)",
    "finished, failed at the end of the message: 450 (temporary, 4.7.1), \
     failed at the end of the message: 450 (temporary, 4.7.1)",
];
const UNKNOWN: &str = "finished, unknown at the end of the message: connection (temporary, 4.4.2), \
                       unknown at the end of the message: connection (temporary, 4.4.2); dead";

macro_rules! lost {
    ($stage:literal) => {
        concat!(
            "finished, failed at ",
            $stage,
            ": connection (temporary, 4.4.2), failed at ",
            $stage,
            ": connection (temporary, 4.4.2); dead"
        )
    };
}

fn stages(chunked: bool) -> Vec<Stage> {
    let mut stages = vec![
        stage(
            "the greeting",
            "",
            "220 x",
            "250 x",
            |t| t.greeting,
            "",
            NO_SESSION,
        ),
        stage(
            "EHLO",
            "EHLO",
            "250-x\r\n250 STARTTLS",
            "354 x",
            |t| t.command,
            "",
            NO_SESSION,
        ),
        stage(
            "STARTTLS",
            "STARTTLS",
            "220 x",
            "250 x",
            |t| t.command,
            "",
            NO_SESSION,
        ),
        stage(
            "EHLO",
            "EHLO",
            "250-x\r\n250-CHUNKING\r\n250 AUTH PLAIN",
            "334 x",
            |t| t.command,
            "",
            NO_SESSION,
        ),
        stage(
            "AUTH",
            "AUTH PLAIN",
            "235 x",
            "250 x",
            |t| t.command,
            "",
            NO_SESSION,
        ),
        stage(
            "MAIL",
            "MAIL",
            "250 x",
            "354 x",
            |t| t.mail,
            lost!("MAIL"),
            MAIL_NO,
        ),
        stage(
            "RCPT",
            "RCPT",
            "250 x",
            "354 x",
            |t| t.rcpt,
            lost!("RCPT"),
            FIRST_NO,
        ),
        stage(
            "RCPT",
            "RCPT",
            "250 x",
            "334 x",
            |t| t.rcpt,
            lost!("RCPT"),
            SECOND_NO,
        ),
    ];
    if chunked {
        stages.push(stage(
            "the message",
            "BDAT 4\r\n",
            "250 x",
            "354 x",
            |t| t.body,
            lost!("the message"),
            CHUNK_NO,
        ));
        stages.push(stage(
            "the end of the message",
            "BDAT 2 LAST",
            "250 x",
            "354 x",
            |t| t.end_of_data,
            UNKNOWN,
            END_NO,
        ));
    } else {
        stages.push(stage(
            "DATA",
            "DATA",
            "354 x",
            "250 x",
            |t| t.data,
            lost!("DATA"),
            DATA_NO,
        ));
        stages.push(stage(
            "the end of the message",
            "test\r\n.\r\n",
            "250 x",
            "354 x",
            |t| t.end_of_data,
            UNKNOWN,
            END_NO,
        ));
    }
    stages
}

fn stage(
    name: &'static str,
    says: &'static str,
    good: &'static str,
    wrong: &'static str,
    patience: fn(&Timeouts) -> Duration,
    lost: &'static str,
    refused: [&'static str; 2],
) -> Stage {
    Stage {
        name,
        says,
        good,
        wrong,
        patience,
        lost,
        refused,
    }
}

/// What happens instead of a reply.
#[derive(Debug, Clone)]
enum Fault {
    Said(String),
    /// Nothing more is heard.
    Closed(&'static str),
    /// Nothing is heard.
    Silence,
}

/// How a session ended.
#[derive(Debug, Default)]
struct End {
    outcome: String,
    error: Option<Error>,
    /// From the last thing said to the end.
    waited: Duration,
    quit: bool,
}

fn config(chunked: bool) -> Config {
    let mut config = client_config(Protocol::Smtp);
    config.starttls = StartTls::Required;
    config.credentials = Some(credentials());
    config.pipelining = false;
    config.limits.reply_line = 512;
    config.limits.reply_size = 2000;
    config.chunking.size = 4;
    config.chunking.bdat = if chunked {
        UseBdat::WhenOffered
    } else {
        UseBdat::Never
    };
    // All different, so that a wrong one shows.
    let t = &mut config.timeouts;
    for (n, time) in [
        &mut t.greeting,
        &mut t.command,
        &mut t.mail,
        &mut t.rcpt,
        &mut t.data,
        &mut t.body,
        &mut t.end_of_data,
    ]
    .into_iter()
    .enumerate()
    {
        *time = Duration::from_secs(101 + n as u64);
    }
    config
}

/// Runs a session up to the reply number `at`, where `fault` happens.
fn run(chunked: bool, at: usize, fault: &Fault) -> End {
    #[allow(clippy::disallowed_methods)] // a test winds its own clock, and this is where it starts
    let mut now = Instant::now();
    let stages = stages(chunked);
    let mut client = Client::new(config(chunked), [1; 32]);
    let mut end = End::default();
    let (mut said, mut replies, mut body) = (vec![], 0, Some("test"));
    loop {
        match client.poll(now) {
            Ok(Step::Write) => said.extend(support::drain(&mut client)),
            Ok(Step::Read) if end.quit => return end,
            Ok(Step::Read) if replies < at => {
                let stage = &stages[replies];
                let line = String::from_utf8_lossy(&said);
                assert!(line.contains(stage.says), "{line:?} is not {}", stage.says);
                said.clear();
                hear(&mut client, &format!("{}\r\n", stage.good));
                replies += 1;
            }
            Ok(Step::Read) if replies == at => {
                replies += 1;
                match fault {
                    Fault::Said(reply) => hear(&mut client, reply),
                    Fault::Closed(last_words) => {
                        hear(&mut client, last_words);
                        client.received(0);
                    }
                    Fault::Silence => {
                        let started = now;
                        // Not a moment too early.
                        now = client.deadline().unwrap() - Duration::from_millis(1);
                        assert!(matches!(client.poll(now), Ok(Step::Read)));
                        now += Duration::from_millis(1);
                        end.waited = now - started;
                    }
                }
            }
            // A fault that does no harm.
            Ok(Step::Read) => {
                let reply = match stages.get(replies) {
                    _ if said.ends_with(b"RSET\r\n") => "250 x",
                    Some(stage) => stage.good,
                    None => panic!("{}", said.escape_ascii()),
                };
                replies += 1;
                said.clear();
                hear(&mut client, &format!("{reply}\r\n"));
            }
            Ok(Step::StartTls) => client.tls_started(),
            Ok(Step::Event(Event::Ready)) => {
                client.send(transaction("<a@a.test>", &["<b@b.test>", "<c@b.test>"]));
            }
            Ok(Step::Event(Event::BodyWanted)) => {}
            Ok(Step::Event(Event::Finished(outcome))) => {
                end.outcome = describe(&outcome);
                if outcome.is_reusable() {
                    end.quit = true;
                    client.quit();
                }
            }
            Ok(Step::Answer) => match body.take() {
                Some(text) => client.body(text.into()),
                None => client.body_end(),
            },
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                end.error = Some(error);
                return end;
            }
        }
    }
}

fn hear(client: &mut Client, mut text: &str) {
    while !text.is_empty() {
        let n = text.len().min(client.recv_buf().len());
        client.recv_buf()[..n].copy_from_slice(&text.as_bytes()[..n]);
        client.received(n);
        text = &text[n..];
    }
}

/// Runs `fault` at every stage.
fn everywhere(fault: impl Fn(&Stage) -> Fault, check: impl Fn(&Stage, End)) {
    for chunked in [false, true] {
        for (at, stage) in stages(chunked).iter().enumerate() {
            check(stage, run(chunked, at, &fault(stage)));
        }
    }
}

#[test]
fn a_server_that_hangs_up() {
    for last_words in ["", "25", "250-half a reply\r\n"] {
        everywhere(
            |_| Fault::Closed(last_words),
            |stage, end| {
                let error = end.error.unwrap();
                assert_eq!(
                    error.to_string(),
                    format!("the connection was closed at {}", stage.name)
                );
                assert!(error.is_temporary());
                assert_eq!(end.outcome, stage.lost);
            },
        );
    }
}

#[test]
fn a_server_that_says_nothing() {
    everywhere(
        |_| Fault::Silence,
        |stage, end| {
            let error = end.error.unwrap();
            assert_eq!(
                error.to_string(),
                format!("the peer let the time for {} run out", stage.name)
            );
            assert!(error.is_temporary());
            assert_eq!(end.outcome, stage.lost);
            assert_eq!(
                end.waited,
                (stage.patience)(&config(false).timeouts),
                "{}",
                stage.name
            );
        },
    );
}

#[test]
fn a_server_that_ends_the_service() {
    everywhere(
        |_| Fault::Said("421 4.3.2 closing\r\n".into()),
        |stage, end| {
            let error = end.error.unwrap();
            let want = format!("the server ends the service at {}: 421 4.3.2 closing", stage.name);
            assert_eq!(error.to_string(), want);
            assert!(error.is_temporary());
            // It has said that it did not take the message, so nothing is in doubt.
            let lost = stage.lost.replace("unknown", "failed");
            let lost = lost.replace("connection (temporary, 4.4.2)", "421 (temporary, 4.3.2)");
            assert_eq!(end.outcome, lost);
        },
    );
}

#[test]
fn a_server_that_talks_nonsense() {
    for (nonsense, error) in [
        ("\r\n", "malformed"),
        ("HTTP/1.1 400 Bad Request\r\n", "malformed"),
        ("2500 x\r\n", "malformed"),
        ("199 x\r\n", "malformed"),
        ("600 x\r\n", "malformed"),
        ("250-x\r\n251 y\r\n", "malformed"),
        ("250-x\r\n550 y\r\n", "malformed"),
        ("\0\u{fc}\r\n", "malformed"),
        (&"2".repeat(600), "long"),
        (&"250-x\r\n".repeat(300), "long"),
    ] {
        everywhere(
            |_| Fault::Said(nonsense.into()),
            |stage, end| {
                let text = match error {
                    "malformed" => format!("the peer broke the protocol at {}: malformed reply", stage.name),
                    _ => "the peer exceeded the limit of reply size".into(),
                };
                let got = end.error.unwrap();
                assert_eq!(got.to_string(), text, "{nonsense:?}");
                assert!(got.is_temporary());
                // The limit does not say where, but the recipients do.
                assert_eq!(end.outcome, stage.lost, "{nonsense:?}");
            },
        );
    }
}

#[test]
fn a_server_that_says_what_makes_no_sense() {
    everywhere(
        |stage| Fault::Said(format!("{}\r\n", stage.wrong)),
        |stage, end| {
            let error = end.error.unwrap();
            let want = format!(
                "the peer broke the protocol at {}: a reply that makes no sense here",
                stage.name
            );
            assert_eq!(error.to_string(), want);
            assert!(error.is_temporary());
            assert_eq!(end.outcome, stage.lost);
        },
    );
}

#[test]
fn a_server_that_says_no() {
    for (n, (reply, permanent)) in [("550 5.7.1 no", true), ("450 4.7.1 no", false)]
        .into_iter()
        .enumerate()
    {
        everywhere(
            |_| Fault::Said(format!("{reply}\r\n")),
            |stage, end| match end.error {
                Some(error) => {
                    assert_eq!(error.to_string(), format!("refused at {}: {reply}", stage.name));
                    assert_eq!(error.is_temporary(), !permanent);
                    let word = if permanent { "permanent" } else { "temporary" };
                    assert_eq!(stage.refused[n], format!("dead ({word})"));
                    assert_eq!(end.outcome, "");
                }
                None => assert_eq!(end.outcome, stage.refused[n]),
            },
        );
    }
}

/// RFC 5321 §3.8: what a server says before it hangs up in the middle of a message counts.
#[test]
fn a_server_that_hangs_up_in_the_middle_of_a_message() {
    let failed =
        |what: &str| format!("finished, failed at the message: {what}, failed at the message: {what}; dead");
    let lost = "connection (temporary, 4.4.2)";
    for (last_words, outcome, error) in [
        ("", lost, "the connection was closed at the message"),
        ("55", lost, "the connection was closed at the message"),
        (
            "552 5.3.4 too big\r\n",
            "552 (permanent, 5.3.4)",
            "refused at the message: 552 5.3.4 too big",
        ),
        (
            "452 4.3.1 no room\r\n",
            "452 (temporary, 4.3.1)",
            "refused at the message: 452 4.3.1 no room",
        ),
        (
            "421 4.3.2 bye\r\n",
            "421 (temporary, 4.3.2)",
            "the server ends the service at the message: 421 4.3.2 bye",
        ),
        // It cannot have the whole message: this yes is none.
        (
            "250 ok\r\n",
            lost,
            "the peer broke the protocol at the message: a reply that makes no sense here",
        ),
        (
            "what\r\n",
            lost,
            "the peer broke the protocol at the message: malformed reply",
        ),
    ] {
        for (stuck, ended) in [(false, false), (true, false), (true, true)] {
            let (mut client, mut now) = midway();
            client.body("the first half".into());
            if ended {
                client.body_end();
            }
            assert!(matches!(client.poll(now), Ok(Step::Write)));
            if !stuck {
                support::drain(&mut client);
            }
            hear(&mut client, last_words);
            client.received(0);
            now += Duration::from_secs(1);
            let Ok(Step::Event(Event::Finished(done))) = client.poll(now) else {
                panic!("{last_words:?} was not noticed")
            };
            // The end of a message that was never sent cannot be in doubt.
            assert_eq!(describe(&done), failed(outcome), "{last_words:?} {stuck} {ended}");
            assert_eq!(client.poll(now).unwrap_err().to_string(), error);
        }
        // The connection stays open, but the transport takes nothing: the last words count all the same.
        if last_words.ends_with('\n') {
            let (mut client, now) = midway();
            client.body("the first half".into());
            assert!(matches!(client.poll(now), Ok(Step::Write)));
            hear(&mut client, last_words);
            assert!(matches!(client.poll(now), Ok(Step::Write)));
            let late = now + Timeouts::default().body;
            let Ok(Step::Event(Event::Finished(done))) = client.poll(late) else {
                panic!("{last_words:?} was not noticed")
            };
            assert_eq!(describe(&done), failed(outcome), "{last_words:?}");
        }
    }
}

/// A client that was asked for the message.
fn midway() -> (Client, Instant) {
    #[allow(clippy::disallowed_methods)] // a test winds its own clock, and this is where it starts
    let now = Instant::now();
    let mut client = Client::new(client_config(Protocol::Smtp), [1; 32]);
    let mut replies = ["220 x", "250 x", "250 x", "250 x", "250 x", "354 x"].into_iter();
    loop {
        match client.poll(now).unwrap() {
            Step::Write => drop(support::drain(&mut client)),
            Step::Read => hear(&mut client, &format!("{}\r\n", replies.next().unwrap())),
            Step::Event(Event::Ready) => {
                client.send(transaction("<a@a.test>", &["<b@b.test>", "<c@b.test>"]));
            }
            Step::Event(Event::BodyWanted) => return (client, now),
            other => panic!("{other:?}"),
        }
    }
}
