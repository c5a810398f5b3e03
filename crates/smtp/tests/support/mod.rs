//! Fixtures shared by the tests of both machines.

#![allow(dead_code, unreachable_pub)] // each test binary uses its own part
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use mailwright_sasl::{Answer, ChannelBindings, Credentials, Question, ScramCredentials, Secret};
use mailwright_smtp::client::{
    self, Argument, Cause, Certificate, Client, Connection, Delivery, Outcome, Query, Transaction,
};
use mailwright_smtp::etrn::Etrn;
use mailwright_smtp::server::{self, Aborted, Protocol, Server};
use mailwright_smtp::{BodyType, EnhancedCode, HelloVerb, Mail, Rcpt, Rejection, Reply};
use mailwright_wire::Machine;
use mailwright_wire::testing::{Fixture, Seen};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub const USER: &str = "alice";
pub const PASSWORD: &str = "wonderland";
/// RFC 7628 §4.1.
pub const TOKEN: &str = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";

pub fn server_config(protocol: Protocol) -> server::Config {
    server::Config::new(protocol, "mx.example".parse().unwrap())
}

pub fn client_config(protocol: Protocol) -> client::Config {
    client::Config::new(protocol, "client.example".parse().unwrap())
}

/// One account, whose certificate is known too; guests are welcome.
pub fn check(question: &Question) -> Answer {
    match question {
        Question::Password {
            username, password, ..
        } if username == USER && password.as_str() == Some(PASSWORD) => Answer::Accept,
        Question::Scram { username, hash, .. } if username == USER => {
            let password = Secret::from(PASSWORD);
            let iterations = 4096.try_into().unwrap();
            Answer::Scram(ScramCredentials::derive_with(
                *hash, &password, b"salt", iterations,
            ))
        }
        Question::Token { username, token }
            if ["", USER].contains(&username.as_str()) && token.as_str() == Some(TOKEN) =>
        {
            Answer::AcceptAs(USER.into())
        }
        Question::External { authzid } if authzid.as_deref().is_none_or(|authzid| authzid == USER) => {
            Answer::AcceptAs(USER.into())
        }
        Question::SharedSecret { username } if username == USER => Answer::Password(Secret::from(PASSWORD)),
        Question::Anonymous { .. } => Answer::Accept,
        _ => Answer::Deny,
    }
}

pub struct ServerFixture {
    config: server::Config,
    over_tls: bool,
    bindings: ChannelBindings,
    tls_first: bool,
    wall_clock: Option<u64>,
    auth: Option<Question>,
}

impl ServerFixture {
    pub fn new(config: server::Config) -> Self {
        Self {
            config,
            over_tls: false,
            bindings: ChannelBindings::none(),
            tls_first: false,
            wall_clock: None,
            auth: None,
        }
    }

    pub fn over_tls(mut self) -> Self {
        self.over_tls = true;
        self
    }

    pub fn bound_to(mut self, bindings: ChannelBindings) -> Self {
        self.bindings = bindings;
        self
    }

    pub fn tls_first(mut self) -> Self {
        self.tls_first = true;
        self
    }

    pub fn wall_clock(mut self, unix_seconds: u64) -> Self {
        self.wall_clock = Some(unix_seconds);
        self
    }
}

impl Fixture for ServerFixture {
    type Machine = Server;

    #[allow(clippy::disallowed_methods)] // a test brings the clock
    fn origin(&self) -> Instant {
        Instant::now()
    }

    fn start(&mut self, now: Instant) -> Server {
        let mut server = Server::new(self.config.clone(), [7; 32], now);
        server.bind_channel(self.bindings.clone());
        if self.over_tls {
            server = server.over_tls();
        }
        if self.tls_first {
            server = server.tls_first();
        }
        match self.wall_clock {
            Some(seconds) => server.with_wall_clock(seconds),
            None => server,
        }
    }

    fn event(&mut self, machine: &mut Server, event: server::Event) -> Seen {
        use server::Event;
        Seen::Line(match event {
            Event::Connect => connected(machine.session()),
            Event::StartTls => "starttls".into(),
            Event::Vrfy(lookup) => format!("vrfy {}", lookup.name),
            Event::Expn(lookup) => format!("expn {}", lookup.name),
            Event::Help(topic) => format!("help {topic}"),
            Event::Etrn(node) => format!("etrn {node}"),
            Event::Xclient(attributes) => format!("xclient {attributes}"),
            Event::Xforward(attributes) => format!("xforward {attributes}"),
            Event::Hello(hello) => {
                assert_eq!(
                    hello.verb == HelloVerb::Lhlo,
                    self.config.protocol == Protocol::Lmtp
                );
                format!("hello {}", hello.name())
            }
            Event::Auth(question) => {
                let text = format!(
                    "auth {} as {}",
                    question.username(),
                    question.authzid().unwrap_or("itself")
                );
                self.auth = Some(*question);
                text
            }
            Event::Authenticated(identity) => format!("authenticated {}", identity.acting()),
            Event::Mail(mail) => match machine.xforward().to_string() {
                said if said.is_empty() => format!("mail {mail}"),
                said => format!("mail {mail}, forwarded {said}"),
            },
            Event::Rcpt(rcpt) => format!("rcpt {rcpt}"),
            Event::Data => "data".into(),
            Event::Body(body) => return Seen::Body(body),
            Event::Message { size } => format!("message {size} {}", machine.transmission_type()),
            Event::Aborted(why) => match why {
                Aborted::Reset => "aborted reset",
                Aborted::TooBig => "aborted too big",
                Aborted::BareNewline => "aborted bare newline",
                _ => "aborted refused",
            }
            .into(),
            other => panic!("unknown event {other:?}"),
        })
    }

    fn answer(&mut self, machine: &mut Server, text: &str) {
        let (what, rest) = text.split_once(' ').unwrap_or((text, ""));
        match what {
            "yes" if rest.is_empty() => machine.accept(),
            "yes" => machine.accept_with(rest),
            "no" => machine.reject(rejection(rest)),
            "reply" => machine.accept_reply(&reply(rest)),
            "slowly" => {
                let (seconds, answer) = rest.split_once(' ').unwrap();
                machine.delay_reply(Duration::from_secs(seconds.parse().unwrap()));
                self.answer(machine, answer);
            }
            "unavailable" => machine.answer_auth(Answer::Unavailable),
            "refuse" => machine.refuse_message(rejection(rest)),
            "shutdown" => machine.shutdown(),
            _ => panic!("unknown answer {text:?}"),
        }
    }

    fn default_answer(&mut self, machine: &mut Server) {
        match self.auth.take() {
            Some(question) => machine.answer_auth(check(&question)),
            None => machine.accept(),
        }
    }

    fn tls_started(&mut self, machine: &mut Server) {
        machine.tls_started();
    }
}

/// What is known of a client that connected.
fn connected(session: &server::Session) -> String {
    let mut text = String::from("connect");
    if let Some(header) = session.proxy() {
        match header.addresses {
            Some(addresses) => text += &format!(" from {} to {}", addresses.source, addresses.destination),
            None => text += " from the proxy",
        }
    }
    let xclient = session.xclient().to_string();
    if !xclient.is_empty() {
        text += &format!(" as {xclient}");
    }
    if session.spoke_early() {
        text += " early";
    }
    text
}

fn rejection(text: &str) -> Rejection {
    reply(text).try_into().unwrap()
}

/// `\n` in the text stands for a new line.
fn reply(text: &str) -> Reply {
    let mut words = text.splitn(3, ' ');
    let code = words.next().unwrap().parse().unwrap();
    let enhanced = EnhancedCode::parse(words.next().unwrap()).unwrap();
    let text = words.next().unwrap_or("").replace("\\n", "\n");
    Reply::new(code, Some(enhanced), &text).unwrap()
}

/// A client that sends the given transactions with their bodies, one after the other, then quits.
pub struct ClientFixture {
    config: client::Config,
    over_tls: bool,
    bindings: ChannelBindings,
    jobs: VecDeque<(Transaction, Vec<Vec<u8>>)>,
    body: Option<VecDeque<Vec<u8>>>,
    converting: bool,
    judging: bool,
}

impl ClientFixture {
    pub fn new(config: client::Config) -> Self {
        Self {
            config,
            over_tls: false,
            bindings: ChannelBindings::none(),
            jobs: VecDeque::new(),
            body: None,
            converting: false,
            judging: false,
        }
    }

    pub fn over_tls(mut self) -> Self {
        self.over_tls = true;
        self
    }

    pub fn bound_to(mut self, bindings: ChannelBindings) -> Self {
        self.bindings = bindings;
        self
    }

    pub fn sending(mut self, transaction: Transaction, body: &[&[u8]]) -> Self {
        let body = body.iter().map(|piece| piece.to_vec()).collect();
        self.jobs.push_back((transaction, body));
        self
    }
}

impl Fixture for ClientFixture {
    type Machine = Client;

    #[allow(clippy::disallowed_methods)] // a test brings the clock
    fn origin(&self) -> Instant {
        Instant::now()
    }

    fn start(&mut self, _: Instant) -> Client {
        let mut client = Client::new(self.config.clone(), [9; 32]);
        client.bind_channel(self.bindings.clone());
        if self.over_tls { client.over_tls() } else { client }
    }

    fn event(&mut self, _: &mut Client, event: client::Event) -> Seen {
        use client::Event;
        Seen::Line(match event {
            Event::Ready => "ready".into(),
            Event::Convert(form) => {
                self.converting = true;
                format!("convert to {form}")
            }
            Event::Certificate(certificate) => {
                self.judging = true;
                format!("certificate of {}", certificate.names.join(", "))
            }
            Event::Answered(reply) => format!("answered {}", reply.to_string().replace('\n', " / ")),
            Event::BodyWanted => {
                let job = self.jobs.pop_front().expect("a body without a transaction");
                self.body = Some(job.1.into());
                "body wanted".into()
            }
            Event::Finished(outcome) => {
                if self.body.take().is_none() {
                    self.jobs.pop_front();
                }
                describe(&outcome)
            }
            other => panic!("unknown event {other:?}"),
        })
    }

    fn answer(&mut self, machine: &mut Client, text: &str) {
        match text {
            "abort" => {
                self.body = None;
                self.jobs.push_front((transaction("<>", &[]), vec![]));
                machine.body_abort();
            }
            "7bit" => {
                self.converting = false;
                machine.converted(Some(4));
            }
            "no" => {
                self.converting = false;
                machine.not_converted();
            }
            "trust" => {
                self.judging = false;
                machine.trust();
            }
            "distrust" => {
                self.judging = false;
                machine.distrust();
            }
            "park" => machine.park(),
            "send" => self.default_answer(machine),
            "quit" => machine.quit(),
            _ => match text.strip_prefix("ask ") {
                Some(query) => machine.ask(&query_of(query)).unwrap(),
                None => panic!("unknown answer {text:?}"),
            },
        }
    }

    fn default_answer(&mut self, machine: &mut Client) {
        if std::mem::take(&mut self.converting) {
            return machine.not_converted();
        }
        if std::mem::take(&mut self.judging) {
            return machine.trust();
        }
        match (&mut self.body, self.jobs.front()) {
            (Some(body), _) => match body.pop_front() {
                Some(piece) => machine.body(piece.into()),
                None => machine.body_end(),
            },
            (None, Some(job)) => machine.send(job.0.clone()),
            (None, None) => machine.quit(),
        }
    }

    fn tls_started(&mut self, machine: &mut Client) {
        let mut certificate = Certificate::default();
        certificate.names.push("mx.example".into());
        machine.tls_started_with(certificate);
    }
}

fn query_of(text: &str) -> Query {
    let (verb, argument) = text.split_once(' ').unwrap_or((text, ""));
    match verb {
        "noop" => Query::Noop,
        "help" => Query::Help(None),
        "vrfy" => Query::Verify(Argument::new(argument).unwrap()),
        "expn" => Query::Expand(Argument::new(argument).unwrap()),
        "etrn" => match argument.strip_prefix('@') {
            Some(node) => Query::Etrn(Etrn::Subdomains(node.parse().unwrap())),
            None => Query::Etrn(Etrn::Node(argument.parse().unwrap())),
        },
        _ => panic!("unknown query {text:?}"),
    }
}

/// An outcome in one line.
pub fn describe(outcome: &Outcome) -> String {
    let mut text = String::from("finished");
    for delivery in &outcome.deliveries {
        match delivery {
            Delivery::Delivered(reply) => text += &format!(", delivered {}", reply.code()),
            Delivery::NotTried(why) => text += &format!(", not tried: {why:?}").to_lowercase(),
            Delivery::Unknown(failure) | Delivery::Failed(failure) => {
                let permanent = if failure.is_permanent() {
                    "permanent"
                } else {
                    "temporary"
                };
                let cause = match &failure.cause {
                    Cause::Reply(reply) => reply.code().to_string(),
                    Cause::Unsupported(what) => format!("no {what}"),
                    Cause::Connection(_) => "connection".into(),
                    other => format!("{other:?}"),
                };
                let (stage, status) = (failure.stage, failure.status());
                let what = match delivery {
                    Delivery::Unknown(_) => "unknown",
                    _ => "failed",
                };
                text += &format!(", {what} at {stage}: {cause} ({permanent}, {status})");
            }
            other => panic!("unknown delivery {other:?}"),
        }
    }
    match outcome.connection {
        Connection::Reusable => {}
        Connection::MustReset => text += "; reset",
        Connection::Spent => text += "; spent",
        _ => text += "; dead",
    }
    text
}

pub fn mail(path: &str) -> Mail {
    Mail::new(path.parse().unwrap())
}

pub fn transaction(from: &str, to: &[&str]) -> Transaction {
    let recipients = to.iter().map(|path| Rcpt::new(path.parse().unwrap())).collect();
    Transaction::new(mail(from), recipients)
}

pub fn eight_bit(mut transaction: Transaction) -> Transaction {
    transaction.mail.params.body = Some(BodyType::EightBitMime);
    transaction
}

pub fn credentials() -> Credentials {
    Credentials::new(USER, PASSWORD)
}

/// Runs a machine until it has nothing to do, writing all it has; returns what it sent.
pub fn drain<M: Machine>(machine: &mut M) -> Vec<u8> {
    let mut sent = vec![];
    while !machine.send_buf().is_empty() {
        let n = machine.send_buf().len();
        sent.extend_from_slice(machine.send_buf());
        machine.sent(n);
    }
    sent
}
