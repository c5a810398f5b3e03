//! An SMTP or LMTP proxy that filters: it asks filters about each message and hands it on to the next server.
//!
//! ```sh
//! cargo run -p mailwright-examples --bin filter_gateway -- --next 127.0.0.1:10025 \
//!   --filter rspamd=127.0.0.1:11333 --filter clamd=unix:/run/clamav/clamd.ctl 127.0.0.1:2525
//! swaks --server 127.0.0.1:2525 --to you@example.org
//! ```
//!
//! It keeps nothing: while the sender waits for the answer to its message, the filters are asked, the next server gets
//! the message as they changed it, and its answer is the answer that the sender gets. What the next server did not take
//! was not taken here either. SMTP has one answer for a message, so a transaction has one recipient, and the sender is
//! told to send the others theirs in further ones; with `--lmtp` each recipient has an answer of its own.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // an example brings sockets and the clock

use bytes::{Bytes, BytesMut};
use clap::Parser;
use mailwright_address::{Domain, Host};
use mailwright_examples::net::Fallible;
use mailwright_message::date::DateTime;
use mailwright_message::trace::Received;
use mailwright_server::config::{
    FilterAddress, FilterConfig, FilterKind, FilteredMail, OnFilterError, OnHit,
};
use mailwright_server::conn::{Conn, Turn};
use mailwright_server::dns::Dns;
use mailwright_server::filter::Remote;
use mailwright_server::judge::{self, Action, Filter, HeaderField, Judge};
use mailwright_server::shared::entropy;
use mailwright_server::unix_now;
use mailwright_smtp::client::{self, Cause, Connection, Delivery, Failure};
use mailwright_smtp::server::{Config, Event};
use mailwright_smtp::{EnhancedCode, Mail, Protocol, Rcpt, Rejection, Server};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Takes mail over SMTP, asks filters about it, and hands it on to another server in the same session.
///
/// What the filters refuse is refused, and what the next server answers is answered. Nothing is kept here.
#[derive(Debug, Parser)]
#[command(name = "filter_gateway", version)]
struct Arguments {
    /// Where to listen: ADDRESS:PORT, port 0 for any
    listen: SocketAddr,

    /// The server that gets the mail: HOST:PORT
    #[arg(long, value_name = "HOST:PORT")]
    next: String,

    /// A filter to ask, in the order given: rspamd, clamd, spamd or milter, and where it listens (HOST:PORT or unix:PATH)
    #[arg(long = "filter", value_name = "KIND=ADDRESS", value_parser = filter)]
    filters: Vec<(FilterKind, FilterAddress)>,

    /// What happens to mail when a filter does not answer
    #[arg(long, value_enum, default_value = "defer")]
    on_error: OnError,

    /// Refuse what filters would mark or put into Junk. Otherwise it gets the header field `X-Gateway: quarantine`
    #[arg(long)]
    strict: bool,

    /// Speak LMTP to both sides, with an answer for each recipient
    #[arg(long)]
    lmtp: bool,

    /// The name of this host
    #[arg(long, default_value = "localhost", value_name = "NAME")]
    hostname: Domain,

    /// The largest message taken, in octets; each is held in memory while it is judged
    #[arg(long, default_value_t = 25 << 20, value_name = "OCTETS")]
    max_size: u64,

    /// How many clients may be connected at once
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    connections: usize,

    /// How long a filter may think about a message, in seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    timeout: u64,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum OnError {
    /// The sender is asked to come back later
    Defer,
    /// It passes unfiltered
    Accept,
}

fn filter(text: &str) -> Result<(FilterKind, FilterAddress), String> {
    let (kind, address) = text.split_once('=').ok_or("write KIND=ADDRESS")?;
    let kind = match kind {
        "rspamd" => FilterKind::Rspamd,
        "clamd" => FilterKind::Clamd,
        "milter" => FilterKind::Milter,
        "spamd" => FilterKind::Spamd {
            user: None,
            reject: None,
        },
        _ => return Err("the kinds are rspamd, clamd, spamd and milter".to_owned()),
    };
    let address = address
        .parse::<FilterAddress>()
        .map_err(|error| error.to_string())?;
    Ok((kind, address))
}

/// What all sessions share.
struct Gateway {
    arguments: Arguments,
    judge: Judge,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("filter_gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Fallible<()> {
    let filters = arguments.filters.iter().map(|(kind, address)| {
        let mut config = FilterConfig::new(kind.clone(), address.clone());
        config.mail = FilteredMail::All;
        config.timeout = Duration::from_secs(arguments.timeout);
        config.on_error = match arguments.on_error {
            OnError::Defer => OnFilterError::Defer,
            OnError::Accept => OnFilterError::Accept,
        };
        if arguments.strict {
            config.on_hit = OnHit::Reject;
        }
        Arc::new(Remote::new(config, arguments.hostname.as_str())) as Arc<dyn Filter>
    });
    // There are no keys in it, and where mail comes from is for the server behind to check.
    let config = mailwright_server::Config::new(arguments.hostname.clone(), ".");
    let judge = Judge::new(&config, Dns::from_config(&config), filters.collect())
        .map_err(|(file, error)| format!("{}: {error}", file.display()))?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .map_err(|error| format!("cannot listen at {}: {error}", arguments.listen))?;
    println!("listening at {}", listener.local_addr()?);
    let places = Arc::new(Semaphore::new(arguments.connections));
    let gateway = Arc::new(Gateway { arguments, judge });
    loop {
        let place = places.clone().acquire_owned().await?;
        let (tcp, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                eprintln!("filter_gateway: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let gateway = gateway.clone();
        tokio::spawn(async move {
            gateway.serve(tcp, peer).await;
            drop(place);
        });
    }
}

impl Gateway {
    async fn serve(&self, tcp: TcpStream, peer: SocketAddr) {
        let server = Server::new(self.server_config(), entropy(), Instant::now());
        let mut conn = Conn::new(server, tcp);
        let (mut mail, mut recipients, mut message) = (None, Vec::new(), BytesMut::new());
        loop {
            let event = match conn.next().await {
                Ok(Turn::Event(event)) => event,
                Ok(Turn::Close) => break,
                Ok(other) => break eprintln!("{peer}: nothing of the kind was offered: {other:?}"),
                Err(error) => break eprintln!("{peer}: {error}"),
            };
            let machine = conn.machine();
            match event {
                Event::Connect | Event::Hello(_) | Event::Data => machine.accept(),
                Event::Mail(from) => {
                    (recipients, message) = (Vec::new(), BytesMut::new());
                    mail = Some(*from);
                    machine.accept();
                }
                Event::Rcpt(rcpt) => {
                    recipients.push(rcpt);
                    machine.accept();
                }
                Event::Body(data) => message.extend_from_slice(&data),
                Event::Message { .. } => {
                    let hello = machine.session().hello().map(|hello| hello.name().to_owned());
                    let with = machine.transmission_type();
                    let mut client = judge::Client::new(peer, self.listens_for());
                    client.hello = hello;
                    let envelope = (mail.take(), std::mem::take(&mut recipients));
                    let message = std::mem::take(&mut message).freeze();
                    let answers = match envelope {
                        (Some(mail), recipients) => {
                            self.message(client, with, mail, recipients, message).await
                        }
                        (None, _) => vec![Err(Rejection::TRY_AGAIN)],
                    };
                    let mut answers = answers.into_iter();
                    while conn.machine().owed() > 0 {
                        match answers.next().unwrap_or(Err(Rejection::TRY_AGAIN)) {
                            Ok(text) => conn.machine().accept_with(&text),
                            Err(rejection) => conn.machine().reject(rejection),
                        }
                    }
                }
                Event::Aborted(_) => mail = None,
                other => break eprintln!("{peer}: nothing of the kind was offered: {other:?}"),
            }
        }
        conn.close().await;
    }

    /// Judges a message and hands it on; the answer to each recipient.
    async fn message(
        &self,
        client: judge::Client,
        with: &str,
        mail: Mail,
        recipients: Vec<Rcpt>,
        message: Bytes,
    ) -> Vec<Result<String, Rejection>> {
        let count = recipients.len();
        let all = |rejection: Rejection| vec![Err(rejection); count];
        if hops(&message) > MOST_HOPS {
            return all(Rejection::LOOP);
        }
        let mut trace = Received::new(
            self.arguments.hostname.as_str(),
            with,
            DateTime::new(unix_now(), 0),
        );
        trace.helo = client.hello.as_deref();
        trace.ip = Some(client.address.ip());
        let id = format!("{:016x}", u64::from_be_bytes(entropy()));
        trace.id = Some(&id);
        let on_top = trace.to_field();
        let peer = client.address;
        let mut transaction = judge::Transaction::new(&*id, client, mail, recipients.clone());
        let judging = self.judge.whole(&mut transaction, on_top.as_bytes(), message);
        let (ruling, mut message) = judging.await;
        let judge::Transaction {
            mail,
            recipients: left,
            ..
        } = transaction;
        eprintln!(
            "{id} {peer} {}: {:?} {}",
            mail.path,
            ruling.action,
            ruling.because.unwrap_or_default()
        );
        match ruling.action {
            Action::Accept => {}
            Action::Quarantine => {
                let mark = HeaderField::new("X-Gateway", "quarantine").expect("it is a field");
                message = [mark.as_bytes(), &message].concat().into();
            }
            Action::Discard => return vec![Ok(format!("OK, {id}")); count],
            Action::Defer(rejection) | Action::Reject(rejection) => return all(rejection),
        }
        let taken = || Ok(format!("OK, {id}"));
        if left.is_empty() {
            return vec![taken(); count];
        }
        match self.hand_on(mail, left.clone(), message).await {
            // Filters may have added recipients, about which nobody waits for an answer, and removed others.
            Ok(answers) => recipients
                .iter()
                .map(|rcpt| {
                    let place = left.iter().position(|it| it.path == rcpt.path);
                    place
                        .and_then(|place| answers.get(place).cloned())
                        .unwrap_or_else(taken)
                })
                .collect(),
            Err(error) => {
                eprintln!("{id}: the next server: {error}");
                all(Rejection::TRY_AGAIN.with_text("The next server is not available, try again later"))
            }
        }
    }

    /// Gives the message to the next server; its answer for each recipient.
    async fn hand_on(
        &self,
        mail: Mail,
        recipients: Vec<Rcpt>,
        message: Bytes,
    ) -> Fallible<Vec<Result<String, Rejection>>> {
        let connecting = TcpStream::connect(&self.arguments.next);
        let tcp = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await??;
        let hello = Host::Domain(self.arguments.hostname.clone());
        let mut config = client::Config::new(self.protocol(), hello);
        config.starttls = client::StartTls::Never;
        let mut conn = Conn::new(mailwright_smtp::Client::new(config, entropy()), tcp);
        let mut transaction = Some(client::Transaction::new(mail, recipients));
        loop {
            match conn.next().await? {
                Turn::Event(client::Event::Ready) => match transaction.take() {
                    Some(transaction) => conn.machine().send(transaction),
                    None => return Err("it wants another message".into()),
                },
                Turn::Event(client::Event::BodyWanted) => {
                    conn.machine().body(message.clone());
                    conn.machine().body_end();
                }
                Turn::Event(client::Event::Finished(outcome)) => {
                    if outcome.connection != Connection::Dead {
                        conn.machine().quit();
                        // Its goodbye is not worth waiting for.
                        tokio::spawn(tokio::time::timeout(CONNECT_TIMEOUT, async move {
                            let _ = conn.next().await;
                            conn.close().await;
                        }));
                    }
                    return Ok(outcome.deliveries.iter().map(answer).collect());
                }
                other => return Err(format!("nothing of the kind was asked for: {other:?}").into()),
            }
        }
    }

    fn server_config(&self) -> Config {
        let arguments = &self.arguments;
        let mut config = Config::new(self.protocol(), Host::Domain(arguments.hostname.clone()));
        config.extensions.starttls = false;
        config.extensions.auth = false;
        config.limits.message_size = arguments.max_size;
        if !arguments.lmtp {
            config.limits.recipients = 1;
        }
        config
    }

    fn protocol(&self) -> Protocol {
        match self.arguments.lmtp {
            true => Protocol::Lmtp,
            false => Protocol::Smtp,
        }
    }

    fn listens_for(&self) -> mailwright_server::config::Protocol {
        match self.arguments.lmtp {
            true => mailwright_server::config::Protocol::Lmtp,
            false => mailwright_server::config::Protocol::Smtp,
        }
    }
}

/// What the sender is told of what the next server said.
fn answer(delivery: &Delivery) -> Result<String, Rejection> {
    let failure = match delivery {
        Delivery::Delivered(reply) => return Ok(reply.text().to_owned()),
        Delivery::Failed(failure) => failure,
        // It may have it or not: the sender tries again, for twice is better than never.
        _ => return Err(Rejection::TRY_AGAIN),
    };
    Err(match &failure.cause {
        Cause::Reply(reply) => Rejection::try_from(reply.clone()).unwrap_or(Rejection::TRY_AGAIN),
        _ => rejection(failure),
    })
}

fn rejection(failure: &Failure) -> Rejection {
    let permanent = failure.is_permanent();
    let status = failure.status();
    let (code, class) = if permanent { (554, 5) } else { (451, 4) };
    let status = EnhancedCode::new(class, status.subject(), status.detail());
    Rejection::new(code, status, &failure.to_string()).unwrap_or(Rejection::TRY_AGAIN)
}

/// How many servers the message came by.
fn hops(message: &[u8]) -> usize {
    let lines = message.split(|octet| *octet == b'\n');
    let header = lines.take_while(|line| !line.trim_ascii().is_empty());
    let is_trace = |line: &&[u8]| {
        line.get(..9)
            .is_some_and(|name| name.eq_ignore_ascii_case(b"received:"))
    };
    header.filter(is_trace).count()
}

/// More, and the message goes in circles (RFC 5321 §6.3).
const MOST_HOPS: usize = 100;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
