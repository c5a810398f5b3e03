//! Mail for a web application: SMTP in, JSON out over HTTP, kept on disk and retried until the application took it.
//!
//! ```sh
//! cargo run -p mailwright-examples --bin inbound_webhook -- --domain in.example.org \
//!   --secret-file secret.txt 0.0.0.0:25 /var/spool/webhook https://app.example.org/mail
//! swaks --server 127.0.0.1:25 --to anything@in.example.org
//! ```
//!
//! 250 is said when message and envelope are on disk. Then each message is posted, in the order of arrival, until the
//! application answers 2xx; while it is away, or answers 408, 429 or 5xx, the same message is tried again, less and
//! less often. One that it refuses for good with another status is put into the folder `refused`, for a person to look
//! at. A kill in between posts a message again: the `id` in it tells.
//!
//! With `--secret-file`, the header `X-Signature-256` has `sha256=` and the HMAC-SHA256 of the body, in hexadecimal
//! digits, by which the application knows who posted it.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // an example brings sockets, files and the clock

use clap::Parser;
use mailwright_address::Domain;
use mailwright_examples::letter::{Envelope, Letter};
use mailwright_examples::net::Fallible;
use mailwright_examples::spool::Spool;
use mailwright_queue::Key;
use mailwright_server::conn::{Conn, Turn};
use mailwright_server::dns::Dns;
use mailwright_server::http::{Client, Limits, Request};
use mailwright_server::tls::Tls;
use mailwright_smtp::server::{Config, Event};
use mailwright_smtp::{Protocol, Rejection, Server};
use ring::hmac;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};

/// Takes mail over SMTP, and posts it as JSON to a web application until that has taken it.
#[derive(Debug, Parser)]
#[command(name = "inbound_webhook", version)]
struct Arguments {
    /// Where to listen for SMTP: ADDRESS:PORT, port 0 for any
    listen: SocketAddr,

    /// The folder where messages wait
    spool: PathBuf,

    /// Where they are posted to: a URL of http or https
    url: String,

    /// A domain whose mail is taken; may be given again. Without it, mail for all domains is
    #[arg(long = "domain", value_name = "DOMAIN")]
    domains: Vec<Domain>,

    /// The name of this host
    #[arg(long, default_value = "localhost", value_name = "NAME")]
    hostname: String,

    /// The largest message taken, in octets
    #[arg(long, default_value_t = 25 << 20, value_name = "OCTETS")]
    max_size: u64,

    /// How many clients may be connected at once
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    connections: usize,

    /// A file with the secret that posts are signed with
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// A header field for each post, as `Authorization: Bearer abc`; may be given again
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,

    /// The first wait after a failure, in milliseconds; each further one is twice as long, up to five minutes
    #[arg(long, default_value_t = 1000, value_name = "MS")]
    retry: u64,

    /// How long the application may take for its answer, in seconds
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    timeout: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("inbound_webhook: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What all tasks share.
struct Webhook {
    spool: Spool,
    arrived: Notify,
    arguments: Arguments,
    client: Client,
    secret: Option<hmac::Key>,
}

async fn run(arguments: Arguments) -> Fallible<()> {
    let secret = match &arguments.secret_file {
        None => None,
        Some(path) => {
            let text = std::fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
            Some(hmac::Key::new(hmac::HMAC_SHA256, text.trim_ascii()))
        }
    };
    let webhook = Arc::new(Webhook {
        spool: Spool::open(&arguments.spool)?,
        arrived: Notify::new(),
        client: Client::new(Dns::of_system(), Tls::trusting(None)?),
        secret,
        arguments,
    });
    // What is wrong with the URL or a header shows at once, and not with the first message.
    webhook.request(Vec::new())?;

    let listener = TcpListener::bind(webhook.arguments.listen)
        .await
        .map_err(|e| format!("cannot listen at {}: {e}", webhook.arguments.listen))?;
    println!("listening at {}", listener.local_addr()?);
    let poster = tokio::spawn(webhook.clone().post_all());
    tokio::select! {
        ended = webhook.listen(listener) => ended,
        ended = poster => ended?,
    }
}

/// Mail coming in.
impl Webhook {
    async fn listen(self: &Arc<Self>, listener: TcpListener) -> Fallible<()> {
        let mut config = Config::new(Protocol::Smtp, self.arguments.hostname.parse()?);
        config.limits.message_size = self.arguments.max_size;
        let config = Arc::new(config);
        let places = Arc::new(Semaphore::new(self.arguments.connections));
        loop {
            // Without a free place, clients wait in the backlog of the socket.
            let place = places.clone().acquire_owned().await?;
            let (client, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    eprintln!("cannot accept: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (webhook, config) = (self.clone(), config.clone());
            tokio::spawn(async move {
                if let Err(error) = webhook.take(config, client, peer).await {
                    eprintln!("{peer}: {error}");
                }
                drop(place);
            });
        }
    }

    async fn take(
        self: &Arc<Self>,
        config: Arc<Config>,
        client: TcpStream,
        peer: SocketAddr,
    ) -> Fallible<()> {
        client.set_nodelay(true)?;
        let mut conn = Conn::new(Server::new(config, random()?, Instant::now()), client);
        let (mut envelope, mut message) = (Envelope::new(peer), Vec::new());
        loop {
            let event = match conn.next().await {
                Ok(Turn::Event(event)) => event,
                Ok(Turn::Close) => break,
                Ok(Turn::Answer | Turn::StartTls) => {
                    return Err("a question was left without an answer".into());
                }
                Err(error) => {
                    conn.close().await;
                    return Err(error.into());
                }
            };
            match event {
                Event::Hello(hello) => {
                    envelope.helo = hello.name().to_owned();
                    conn.machine().accept();
                }
                Event::Mail(mail) => {
                    envelope.begin(&mail.path);
                    conn.machine().accept();
                }
                Event::Rcpt(rcpt) => match rcpt.path.address() {
                    Some(address) if self.is_ours(address.domain().as_ref()) => {
                        envelope.to.push(address.to_string());
                        conn.machine().accept();
                    }
                    _ => conn.machine().reject(Rejection::RELAYING_DENIED),
                },
                Event::Body(piece) => message.extend_from_slice(&piece),
                Event::Message { .. } => match self.keep(&mut envelope, std::mem::take(&mut message)).await {
                    Ok(id) => conn.machine().accept_with(&format!("kept as {id}")),
                    Err(error) => {
                        eprintln!("a message cannot be kept: {error}");
                        conn.machine().reject(Rejection::TRY_AGAIN);
                    }
                },
                Event::Aborted(_) => message = Vec::new(),
                _ => conn.machine().accept(),
            }
        }
        conn.close().await;
        Ok(())
    }

    fn is_ours(&self, domain: Option<&Domain>) -> bool {
        self.arguments.domains.is_empty()
            || domain.is_some_and(|domain| self.arguments.domains.contains(domain))
    }

    /// Keeps a message; it is on disk when this returns.
    async fn keep(self: &Arc<Self>, envelope: &mut Envelope, message: Vec<u8>) -> Fallible<String> {
        envelope.id = format!("{:032x}", u128::from_be_bytes(random()?));
        envelope.received = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let (webhook, record) = (self.clone(), serde_json::to_vec(envelope)?);
        tokio::task::spawn_blocking(move || webhook.spool.add(&record, &message)).await??;
        self.arrived.notify_one();
        Ok(envelope.id.clone())
    }
}

/// What the application said to a post.
enum Said {
    Taken,
    Later(String),
    Refused(u16),
}

/// Mail going out.
impl Webhook {
    async fn post_all(self: Arc<Self>) -> Fallible<()> {
        let first = Duration::from_millis(self.arguments.retry.max(1));
        let mut wait = first;
        loop {
            let Some((key, envelope, message)) = self.oldest().await? else {
                self.arrived.notified().await;
                continue;
            };
            match self.post(&envelope, &message).await? {
                Said::Taken => self.spool.remove(key)?,
                Said::Refused(status) => {
                    eprintln!(
                        "{}: refused with {status}, put into the folder `refused`",
                        envelope.id
                    );
                    self.spool.set_aside(key, "refused")?;
                }
                Said::Later(why) => {
                    eprintln!("{}: {why}; the next try is in {wait:?}", envelope.id);
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(300));
                    continue;
                }
            }
            wait = first;
        }
    }

    /// The message that has waited for longest.
    async fn oldest(self: &Arc<Self>) -> Fallible<Option<(Key, Envelope, Vec<u8>)>> {
        let webhook = self.clone();
        tokio::task::spawn_blocking(move || {
            let Some((key, record)) = webhook.spool.read(None, 1)?.into_iter().next() else {
                return Ok(None);
            };
            let message = webhook.spool.message(key)?;
            Ok(Some((key, serde_json::from_slice(&record)?, message.into())))
        })
        .await?
    }

    async fn post(&self, envelope: &Envelope, message: &[u8]) -> Fallible<Said> {
        let body = serde_json::to_vec(&Letter::new(envelope, message))?;
        let limits = Limits::new(Duration::from_secs(self.arguments.timeout), 64 << 10);
        Ok(match self.client.send(self.request(body)?, limits).await {
            Ok(answer) => match answer.status {
                200..300 => Said::Taken,
                status @ (408 | 429 | 500..) => Said::Later(format!("the application answers {status}")),
                status => Said::Refused(status),
            },
            Err(error) => Said::Later(error.to_string()),
        })
    }

    fn request(&self, body: Vec<u8>) -> Fallible<Request> {
        let signature = self
            .secret
            .as_ref()
            .map(|key| hex(hmac::sign(key, &body).as_ref()));
        let mut request = Request::post(&self.arguments.url, body)
            .and_then(|request| request.with_header("Content-Type", "application/json"))
            .map_err(|e| format!("{}: {e}", self.arguments.url))?;
        if let Some(signature) = signature {
            request = request.with_header("X-Signature-256", &format!("sha256={signature}"))?;
        }
        for field in &self.arguments.headers {
            let (name, value) = field
                .split_once(':')
                .ok_or_else(|| format!("{field:?} is no header field: it has no colon"))?;
            request = request
                .with_header(name.trim(), value.trim())
                .map_err(|e| format!("{field:?}: {e}"))?;
        }
        Ok(request)
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn random<const N: usize>() -> Fallible<[u8; N]> {
    let mut octets = [0; N];
    getrandom::fill(&mut octets)?;
    Ok(octets)
}
