//! How the clients of filters are made, watched and told what to say in tests.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test file uses a part of it

use bytes::Bytes;
use mailwright_filter::{clamd, milter, spamd};
use mailwright_wire::testing::{Fixture, Seen};
use std::time::Instant;

#[allow(clippy::disallowed_methods)] // a test brings the clock
fn origin() -> Instant {
    Instant::now()
}

/// A mail server that does what the answers of a transcript say, and else `script`, one after the other, and quits.
#[derive(Clone, Default)]
pub struct Milter {
    pub config: milter::Config,
    pub script: Vec<&'static str>,
    at: usize,
}

impl Milter {
    pub fn new(script: &[&'static str]) -> Self {
        Self {
            script: script.to_vec(),
            ..Self::default()
        }
    }

    pub fn with(mut self, change: impl FnOnce(&mut milter::Config)) -> Self {
        change(&mut self.config);
        self
    }
}

impl Fixture for Milter {
    type Machine = milter::Client;

    fn origin(&self) -> Instant {
        origin()
    }

    fn start(&mut self, now: Instant) -> milter::Client {
        milter::Client::new(self.config.clone(), now)
    }

    fn event(&mut self, _: &mut milter::Client, event: milter::Event) -> Seen {
        let text = |value: &[u8]| value.escape_ascii().to_string();
        Seen::Line(match event {
            milter::Event::Negotiated(options) => {
                let mut line = format!(
                    "version {} {:?} {:?}",
                    options.version, options.actions, options.steps
                );
                for (stage, names) in &options.macros {
                    line += &format!(" {stage:?}={}", names.join(","));
                }
                line
            }
            milter::Event::Replied(milter::Reply::Custom(reply)) => {
                format!("{} {:?} {}", reply.code, reply.enhanced, reply.lines.join("|"))
            }
            milter::Event::Replied(reply) => format!("{reply:?}"),
            milter::Event::Edit(edit) => match edit {
                milter::Edit::AddHeader { name, value } => format!("add {name}: {}", text(&value)),
                milter::Edit::InsertHeader { index, name, value } => {
                    format!("insert {index} {name}: {}", text(&value))
                }
                milter::Edit::ChangeHeader { index, name, value } => {
                    format!("change {index} {name}: {}", text(&value))
                }
                milter::Edit::AddRecipient { path, parameters } => format!("recipient {path} {parameters:?}"),
                milter::Edit::DeleteRecipient(path) => format!("no recipient {path}"),
                milter::Edit::ChangeFrom { path, parameters } => format!("from {path} {parameters:?}"),
                milter::Edit::ReplaceBody(body) => format!("body {}", text(&body)),
                milter::Edit::Quarantine(why) => format!("quarantine {why}"),
                other => panic!("unknown edit {other:?}"),
            },
            other => panic!("unknown event {other:?}"),
        })
    }

    fn answer(&mut self, client: &mut milter::Client, text: &str) {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        match word {
            "connect" => client.connect("[192.0.2.1]", rest.parse().unwrap(), 25),
            "helo" => client.helo(rest),
            "mail" | "rcpt" => {
                let mut words = rest.split(' ');
                let path = words.next().unwrap();
                let parameters: Vec<_> = words.collect();
                match word {
                    "mail" => client.mail(path, &parameters),
                    _ => client.rcpt(path, &parameters),
                }
            }
            "data" => client.data(),
            "header" => {
                let (name, value) = rest.split_once(':').unwrap();
                client.header(name, value.replace("\\r\\n", "\r\n").as_bytes());
            }
            "eoh" => client.end_of_header(),
            "body" => client.body(Bytes::copy_from_slice(rest.as_bytes())),
            "large" => client.body(Bytes::from(vec![b'x'; rest.parse().unwrap()])),
            "eom" => client.end_of_message(),
            "abort" => client.abort(),
            "next" => assert!(client.next_connection()),
            "macros" => client.macros(
                milter::Stage::Mail,
                &[("i", "id-1"), ("mail_addr", "a@a.test"), ("auth_type", "PLAIN")],
            ),
            "quit" => client.quit(),
            other => panic!("unknown answer {other}"),
        }
    }

    fn default_answer(&mut self, client: &mut milter::Client) {
        let next = self.script.get(self.at).copied().unwrap_or("quit");
        self.at += 1;
        self.answer(client, next);
    }

    fn tls_started(&mut self, _: &mut milter::Client) {
        unreachable!("milters know no TLS");
    }
}

/// A scan of one message, in pieces.
#[derive(Clone)]
pub struct Clamd {
    pub command: clamd::Command,
    pub config: clamd::Config,
    pub pieces: Vec<&'static str>,
    at: usize,
}

impl Clamd {
    pub fn new(command: clamd::Command, pieces: &[&'static str]) -> Self {
        Self {
            command,
            config: clamd::Config::default(),
            pieces: pieces.to_vec(),
            at: 0,
        }
    }
}

impl Fixture for Clamd {
    type Machine = clamd::Client;

    fn origin(&self) -> Instant {
        origin()
    }

    fn start(&mut self, now: Instant) -> clamd::Client {
        clamd::Client::new(self.command, self.config.clone(), now)
    }

    fn event(&mut self, _: &mut clamd::Client, event: clamd::Event) -> Seen {
        let clamd::Event::Answered(answer) = event else {
            panic!("unknown event {event:?}")
        };
        Seen::Line(format!("{answer:?}"))
    }

    fn answer(&mut self, _: &mut clamd::Client, text: &str) {
        panic!("unknown answer {text}");
    }

    fn default_answer(&mut self, client: &mut clamd::Client) {
        match self.pieces.get(self.at) {
            Some(piece) => client.push(Bytes::from_static(piece.as_bytes())),
            None => client.finish(),
        }
        self.at += 1;
    }

    fn tls_started(&mut self, _: &mut clamd::Client) {
        unreachable!("clamd knows no TLS");
    }
}

/// One question about one message.
#[derive(Clone)]
pub struct Spamd {
    pub command: spamd::Command,
    pub config: spamd::Config,
    pub message: &'static str,
}

impl Spamd {
    pub fn new(command: spamd::Command, message: &'static str) -> Self {
        Self {
            command,
            config: spamd::Config::default(),
            message,
        }
    }
}

impl Fixture for Spamd {
    type Machine = spamd::Client;

    fn origin(&self) -> Instant {
        origin()
    }

    fn start(&mut self, now: Instant) -> spamd::Client {
        spamd::Client::new(self.command, self.message.len() as u64, self.config.clone(), now)
    }

    fn event(&mut self, _: &mut spamd::Client, event: spamd::Event) -> Seen {
        Seen::Line(match event {
            spamd::Event::Pong => "pong".to_owned(),
            spamd::Event::Verdict(v) => format!("spam {} {} of {}", v.is_spam, v.score, v.threshold),
            spamd::Event::Body(data) => return Seen::Body(data),
            spamd::Event::Done => "done".to_owned(),
            spamd::Event::Failed(code, words) => format!("failed {code} {words}"),
            other => panic!("unknown event {other:?}"),
        })
    }

    fn answer(&mut self, _: &mut spamd::Client, text: &str) {
        panic!("unknown answer {text}");
    }

    fn default_answer(&mut self, client: &mut spamd::Client) {
        let from = self.message.len() - usize::try_from(client.owed()).unwrap();
        let to = (from + 5).min(self.message.len());
        client.push(Bytes::from_static(&self.message.as_bytes()[from..to]));
    }

    fn tls_started(&mut self, _: &mut spamd::Client) {
        unreachable!("this spamd knows no TLS");
    }
}

/// One packet of the milter protocol.
pub fn packet(letter: u8, data: &[u8]) -> Vec<u8> {
    let len = u32::try_from(data.len() + 1).unwrap();
    [&len.to_be_bytes()[..], &[letter], data].concat()
}

/// The packet that agrees to these actions and steps.
pub fn agreement(actions: milter::Actions, steps: milter::Steps) -> Vec<u8> {
    let numbers = [6, actions.bits(), steps.bits()];
    packet(b'O', &numbers.map(u32::to_be_bytes).concat())
}

/// A transcript with `C>` and `S>` lines, a packet each without its length, as one with `C:` and `S:` lines.
pub fn packets(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let side = ["C> ", "S> "].into_iter().find(|side| line.starts_with(side));
        match side {
            Some(side) => {
                let data = &line[side.len()..];
                let mut len = 0;
                let mut rest = data.as_bytes();
                while let Some(first) = rest.first() {
                    let skip = match (first, rest.get(1)) {
                        (b'\\', Some(b'x')) => 4,
                        (b'\\', _) => 2,
                        _ => 1,
                    };
                    rest = &rest[skip..];
                    len += 1;
                }
                let [a, b, c, d] = u32::to_be_bytes(len);
                out += &format!(
                    "{}: \\x{a:02x}\\x{b:02x}\\x{c:02x}\\x{d:02x}{data}\\\n",
                    &side[..1]
                );
            }
            None => {
                out += line;
                out.push('\n');
            }
        }
    }
    out
}
