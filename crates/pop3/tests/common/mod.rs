//! How the engines of this crate are made, watched and answered in tests.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test file uses a part of it

use bytes::Bytes;
use mailwright_pop3::client::{self, Client, Command};
use mailwright_pop3::server::{Config, Event};
use mailwright_pop3::{Maildrop, Rejection, ResponseCode, Server};
use mailwright_sasl::{Answer, Credentials, Mechanism, Question, ScramCredentials, Secret};
use mailwright_wire::testing::{Fixture, Seen};
use std::time::Instant;

/// A server whose maildrops all hold the same messages, and where bob's password is `s3cret`.
pub struct ServerFixture {
    pub config: Config,
    pub messages: Vec<(String, Bytes)>,
    /// Messages are handed over in pieces of this size.
    pub piece: usize,
    pub accounts: fn(&Question) -> Answer,
    /// Done to each maildrop before it is opened.
    pub prepare: fn(&mut Maildrop),
    question: Option<Event>,
    at: usize,
}

impl ServerFixture {
    pub fn new() -> Self {
        let mut config = Config::default();
        config.greeting = "ready".into();
        config.allow_plaintext = true;
        Self {
            config,
            messages: vec![message("uid-1", 120), message("uid-2", 200)],
            piece: 7,
            accounts: account,
            prepare: |_| {},
            question: None,
            at: 0,
        }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn maildrop(&self) -> Maildrop {
        let mut maildrop = Maildrop::with_capacity(self.messages.len());
        for (uid, body) in &self.messages {
            maildrop.push(body.len() as u64, uid).unwrap();
        }
        (self.prepare)(&mut maildrop);
        maildrop
    }

    /// Gives the next piece of a message, or its end.
    fn give(&mut self, server: &mut Server, number: u32) {
        let body = self.messages[number as usize - 1].1.slice(self.at..);
        let piece = body.slice(..self.piece.min(body.len()));
        self.at += piece.len();
        let wants_more = server.message_chunk(piece);
        if !wants_more || self.at == self.messages[number as usize - 1].1.len() {
            self.at = 0;
            self.question = None;
            server.message_end();
        }
    }
}

/// A message of this many octets with some lines that start with dots.
pub fn message(uid: &str, octets: usize) -> (String, Bytes) {
    let mut body = b"Subject: hello\r\nX: y\r\n\r\n.dot\r\n..two\r\nlast\r\n".to_vec();
    while body.len() < octets {
        let line = "x".repeat((octets - body.len()).min(40));
        body.extend_from_slice(line.as_bytes());
        let n = body.len();
        body[n - 2..].copy_from_slice(b"\r\n");
    }
    assert_eq!(body.len(), octets);
    (uid.into(), body.into())
}

pub fn stored(password: &str) -> ScramCredentials {
    ScramCredentials::derive(
        &Secret::from(password),
        b"0123456789abcdef",
        4096.try_into().unwrap(),
    )
}

/// What the accounts of the tests say.
pub fn account(question: &Question) -> Answer {
    let bob = question.username() == "bob" && question.authzid().is_none();
    match question {
        Question::Password { password, .. } if bob && password.constant_time_eq(b"s3cret") => Answer::Accept,
        Question::Scram { .. } if bob => Answer::Scram(stored("s3cret")),
        _ => Answer::Deny,
    }
}

impl Fixture for ServerFixture {
    type Machine = Server;

    #[allow(clippy::disallowed_methods)] // a test brings the clock
    fn origin(&self) -> Instant {
        Instant::now()
    }

    fn start(&mut self, now: Instant) -> Server {
        Server::new(self.config.clone(), [1; 32], now)
    }

    fn event(&mut self, _: &mut Server, event: Event) -> Seen {
        let line = match &event {
            Event::Auth(Question::Password { username, .. }) => format!("password of {username}"),
            Event::Auth(question @ Question::Scram { .. }) => format!("scram of {}", question.username()),
            Event::Auth(question) => format!("secret of {}", question.username()),
            Event::AuthFailed(failure) => return Seen::Line(failure.to_string()),
            Event::Open(identity) => format!("open {}", identity.acting()),
            Event::Retrieve {
                message,
                body_lines,
                utf8,
                ..
            } => {
                let what = body_lines.map_or("retrieve".to_owned(), |n| format!("top {n} of"));
                format!("{what} {message}{}", if *utf8 { " in UTF-8" } else { "" })
            }
            Event::Update { deleted } => format!("update {deleted:?}"),
            other => panic!("unknown event {other:?}"),
        };
        self.question = Some(event);
        Seen::Line(line)
    }

    fn answer(&mut self, server: &mut Server, text: &str) {
        let rejection = || Rejection::new(None, "no");
        match (text, &self.question) {
            ("accept", Some(Event::Auth(_))) => server.answer_auth(Answer::Accept),
            ("deny", Some(Event::Auth(_))) => server.answer_auth(Answer::Deny),
            ("unavailable", Some(Event::Auth(_))) => server.answer_auth(Answer::Unavailable),
            ("in-use", _) => server.reject(Rejection::IN_USE),
            ("too soon", _) => server.reject(Rejection::new(Some(ResponseCode::LoginDelay), "wait")),
            ("utf8", _) => server.reject(Rejection::UTF8),
            ("permanent", _) => server.reject(Rejection::new(Some(ResponseCode::SysPerm), "it is broken")),
            ("hostile", _) => server.reject(Rejection::new(None, "a\r\n+OK\u{e9}".to_owned())),
            ("no", _) => server.reject(rejection()),
            ("abort", Some(Event::Retrieve { .. })) => server.message_abort(),
            ("piece", Some(Event::Retrieve { .. })) => {
                assert!(server.message_chunk(Bytes::from_static(b"piece")));
                return;
            }
            ("empty", Some(Event::Retrieve { .. })) => server.message_end(),
            ("shutdown", _) => return server.shutdown(),
            _ => panic!("unknown answer {text:?} to {:?}", self.question),
        }
        self.question = None;
    }

    fn default_answer(&mut self, server: &mut Server) {
        match self.question.take().expect("something was asked") {
            Event::Auth(question) => server.answer_auth((self.accounts)(&question)),
            Event::Open(_) => server.open(self.maildrop()),
            Event::Update { .. } => server.accept(),
            retrieve @ Event::Retrieve { message, .. } => {
                self.question = Some(retrieve);
                self.give(server, message);
            }
            other => panic!("{other:?} is no question"),
        }
    }

    fn tls_started(&mut self, server: &mut Server) {
        server.tls_started();
    }
}

/// A client that does what `DO:` lines say.
pub struct ClientFixture {
    pub config: client::Config,
    /// What commands there are beyond those of every test.
    pub more: fn(&[&str]) -> Option<Command>,
}

impl ClientFixture {
    pub fn new() -> Self {
        let mut config = client::Config::default();
        config.allow_plaintext = true;
        Self {
            config,
            more: |_| None,
        }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

pub fn client_event(event: client::Event) -> Seen {
    use client::Event::*;
    Seen::Line(match event {
        Greeting(reply) => format!("greeting: {reply}"),
        Capabilities(capabilities) => format!(
            "capabilities: {}",
            capabilities.iter().collect::<Vec<_>>().join(", ")
        ),
        Stat { messages, octets } => format!("stat {messages} {octets}"),
        Size { message, octets } => format!("size {message} {octets}"),
        UniqueId { message, uid } => format!("uid {message} {uid}"),
        Language { tag, name } => format!("language {tag}: {name}"),
        OddRow(row) => format!("odd row {:?}", row.escape_ascii().to_string()),
        Body(data) => return Seen::Body(data),
        Done(reply) => format!("done: {reply}"),
        Refused(reply) => format!("refused: {:?} {}", reply.code, reply.text),
        other => panic!("unknown event {other:?}"),
    })
}

impl Fixture for ClientFixture {
    type Machine = Client;

    #[allow(clippy::disallowed_methods)] // a test brings the clock
    fn origin(&self) -> Instant {
        Instant::now()
    }

    fn start(&mut self, now: Instant) -> Client {
        Client::new(self.config.clone(), [2; 32], now)
    }

    fn event(&mut self, _: &mut Client, event: client::Event) -> Seen {
        client_event(event)
    }

    fn answer(&mut self, client: &mut Client, text: &str) {
        for text in text.split(", ") {
            let words: Vec<_> = text.split(' ').collect();
            let n = |i: usize| words[i].parse::<u32>().unwrap();
            let command = match words[..] {
                ["capa"] => Command::Capa,
                ["stls"] => Command::Stls,
                ["login", user, password] => Command::Login(Credentials::new(user, password)),
                ["auth", mechanism, user, password] => Command::Auth(
                    Mechanism::from_name(mechanism).unwrap(),
                    Credentials::new(user, password),
                ),
                ["stat"] => Command::Stat,
                ["list"] => Command::List(None),
                ["list", _] => Command::List(Some(n(1))),
                ["uidl"] => Command::Uidl(None),
                ["uidl", _] => Command::Uidl(Some(n(1))),
                ["retr", _] => Command::Retr(n(1)),
                ["top", ..] => Command::Top {
                    message: n(1),
                    lines: n(2),
                },
                ["dele", _] => Command::Dele(n(1)),
                ["utf8"] => Command::Utf8,
                ["lang"] => Command::Lang(None),
                ["lang", range] => Command::Lang(Some(range.to_owned())),
                ["noop"] => Command::Noop,
                ["rset"] => Command::Rset,
                ["quit"] => Command::Quit,
                _ => (self.more)(&words).unwrap_or_else(|| panic!("unknown command {text:?}")),
            };
            client.command(command).unwrap();
        }
    }

    fn default_answer(&mut self, _: &mut Client) {
        panic!("a client asks nothing")
    }

    fn tls_started(&mut self, client: &mut Client) {
        client.tls_started();
    }
}
