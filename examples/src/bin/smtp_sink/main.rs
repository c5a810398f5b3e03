//! An SMTP or LMTP server on blocking sockets that takes every message: for trying mail programs out.
//!
//! ```sh
//! cargo run -p mailwright-examples --bin smtp_sink -- 127.0.0.1:2525
//! swaks --server 127.0.0.1:2525 --to you@example.org
//! cargo run -p mailwright-examples --bin smtp_sink -- --lmtp --store json --output got.jsonl 127.0.0.1:2424
//! cargo run -p mailwright-examples --bin smtp_sink -- --delay data=3000 --reject 'rcpt=451 4.7.1 Try later'
//! ```
//!
//! It offers STARTTLS with a certificate that it makes itself, takes any user name with any password, and shows what
//! a client does when it has to wait or is refused. A thread for each client, no runtime.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // an example brings sockets, threads and the clock

mod store;

use clap::Parser;
use mailwright_examples::net::{Conn, Fallible, Socket, Turn, self_made_certificate};
use mailwright_sasl::{Answer, Mechanism};
use mailwright_smtp::server::{AuthWithoutTls, Config, Event};
use mailwright_smtp::{EnhancedCode, Protocol, Rejection, Server};
use std::collections::HashMap;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Message, Store, Way};

/// Takes all mail, and prints or stores it.
///
/// Stages of --delay and --reject: connect, hello, auth, mail, rcpt, data, message.
#[derive(Debug, Parser)]
#[command(name = "smtp_sink", version, verbatim_doc_comment)]
struct Arguments {
    /// Where to listen: HOST:PORT, port 0 for any; or the path of a Unix socket
    #[arg(default_value = "127.0.0.1:2525", value_name = "ADDRESS")]
    address: String,

    /// What to do with messages
    #[arg(long, value_enum, default_value = "print")]
    store: Way,

    /// The file for json and mbox, the folder for maildir
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,

    /// Speak LMTP
    #[arg(long)]
    lmtp: bool,

    /// Encrypt from the start
    #[arg(long)]
    tls_first: bool,

    /// Write the certificate, which this program makes itself, to a file for clients to trust
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,

    /// The name of this server
    #[arg(long, default_value = "localhost", value_name = "NAME")]
    hostname: String,

    /// Do not offer this: auth, chunking, pipelining, 8bitmime, smtputf8, dsn, starttls, size
    #[arg(long, value_name = "EXTENSION")]
    without: Vec<String>,

    /// Refuse messages with more octets
    #[arg(long, value_name = "OCTETS", default_value_t = 0)]
    max_size: u64,

    /// Wait before answering at a stage
    #[arg(long, value_name = "STAGE=MILLISECONDS", value_parser = delay)]
    delay: Vec<(String, Duration)>,

    /// Refuse at a stage, with these words
    #[arg(long, value_name = "STAGE=REPLY", value_parser = rejection)]
    reject: Vec<(String, Rejection)>,

    /// End after so many messages
    #[arg(long, value_name = "NUMBER")]
    messages: Option<u64>,
}

const STAGES: [&str; 7] = ["connect", "hello", "auth", "mail", "rcpt", "data", "message"];

fn staged(text: &str) -> Result<(String, &str), String> {
    let (stage, rest) = text.split_once('=').ok_or("write STAGE=…")?;
    match STAGES.contains(&stage) {
        true => Ok((stage.to_owned(), rest)),
        false => Err(format!(
            "there is no stage {stage}; there are {}",
            STAGES.join(", ")
        )),
    }
}

fn delay(text: &str) -> Result<(String, Duration), String> {
    let (stage, time) = staged(text)?;
    let time = time.parse().map_err(|_| "the time is a number of milliseconds")?;
    Ok((stage, Duration::from_millis(time)))
}

fn rejection(text: &str) -> Result<(String, Rejection), String> {
    let (stage, reply) = staged(text)?;
    if stage == "auth" {
        return Err("a login fails by its password; there are no words to choose".to_owned());
    }
    let (code, text) = reply.split_once(' ').unwrap_or((reply, "Refused"));
    let code: u16 = code.parse().map_err(|_| "the reply begins with a code, as 550")?;
    let first = text.split(' ').next().and_then(EnhancedCode::parse);
    let text = if first.is_some() {
        text.split_once(' ').map_or("", |(_, text)| text)
    } else {
        text
    };
    let enhanced = first.unwrap_or(EnhancedCode::new((code / 100) as u8, 0, 0));
    let rejection = Rejection::new(code, enhanced, text).map_err(|_| "the code is from 400 to 599")?;
    Ok((stage, rejection))
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("smtp_sink: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What all sessions share.
#[derive(Debug)]
struct Sink {
    config: Arc<Config>,
    tls: Arc<rustls::ServerConfig>,
    tls_first: bool,
    delays: HashMap<String, Duration>,
    rejections: HashMap<String, Rejection>,
    store: Store,
}

fn run(arguments: Arguments) -> Fallible<()> {
    let (tls, certificate) = self_made_certificate(&arguments.hostname)?;
    if let Some(path) = &arguments.certificate {
        std::fs::write(path, certificate).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    let sink = Arc::new(Sink {
        config: Arc::new(config(&arguments)?),
        tls,
        tls_first: arguments.tls_first,
        delays: arguments.delay.into_iter().collect(),
        rejections: arguments.reject.into_iter().collect(),
        store: Store::open(arguments.store, arguments.output, arguments.messages)?,
    });
    let say = |e| format!("cannot listen at {}: {e}", arguments.address);
    if arguments.address.contains('/') {
        let listener = UnixListener::bind(&arguments.address).map_err(say)?;
        println!("listening at {}", arguments.address);
        for client in listener.incoming() {
            sink.clone().start(Socket::Unix(client?), "unix".to_owned());
        }
    } else {
        let listener = TcpListener::bind(&arguments.address).map_err(say)?;
        println!("listening at {}", listener.local_addr()?);
        loop {
            let (client, peer) = listener.accept()?;
            client.set_nodelay(true)?;
            sink.clone().start(Socket::Tcp(client), peer.to_string());
        }
    }
    Ok(())
}

fn config(arguments: &Arguments) -> Fallible<Config> {
    let protocol = if arguments.lmtp {
        Protocol::Lmtp
    } else {
        Protocol::Smtp
    };
    let mut config = Config::new(protocol, arguments.hostname.parse()?);
    config.limits.message_size = arguments.max_size;
    config.limits.commands = u32::MAX;
    config.mechanisms = vec![Mechanism::Plain, Mechanism::Login];
    config.auth_without_tls = AuthWithoutTls::Always;
    let extensions = &mut config.extensions;
    (extensions.starttls, extensions.auth, extensions.binary_mime) = (true, true, true);
    for name in &arguments.without {
        let offered = match name.to_ascii_lowercase().as_str() {
            "auth" => &mut extensions.auth,
            "chunking" => &mut extensions.chunking,
            "pipelining" => &mut extensions.pipelining,
            "8bitmime" => &mut extensions.eight_bit_mime,
            "smtputf8" => &mut extensions.smtputf8,
            "dsn" => &mut extensions.dsn,
            "starttls" => &mut extensions.starttls,
            "size" => &mut extensions.size,
            _ => return Err(format!("--without {name}: there is no such extension").into()),
        };
        *offered = false;
    }
    Ok(config)
}

impl Sink {
    fn start(self: Arc<Self>, client: Socket, peer: String) {
        std::thread::spawn(move || {
            if let Err(error) = self.serve(client, &peer) {
                eprintln!("{peer}: {error}");
            }
        });
    }

    fn serve(&self, client: Socket, peer: &str) -> Fallible<()> {
        let mut entropy = [0; 32];
        getrandom::fill(&mut entropy)?;
        let mut smtp = Server::new(self.config.clone(), entropy, Instant::now());
        if self.tls_first {
            smtp = smtp.tls_first();
        }
        let mut conn = Conn::new(smtp, client);
        let mut message = Message::new(peer);
        loop {
            let (stage, event) = match conn.turn()? {
                Turn::Event(Event::Connect) => ("connect", Event::Connect),
                Turn::Event(Event::Auth(question)) => ("auth", Event::Auth(question)),
                Turn::Event(Event::Hello(hello)) => ("hello", Event::Hello(hello)),
                Turn::Event(Event::Mail(mail)) => ("mail", Event::Mail(mail)),
                Turn::Event(Event::Rcpt(rcpt)) => ("rcpt", Event::Rcpt(rcpt)),
                Turn::Event(Event::Data) => ("data", Event::Data),
                Turn::Event(Event::Message { size }) => ("message", Event::Message { size }),
                Turn::Event(Event::Body(data)) => {
                    message.add(data);
                    continue;
                }
                Turn::Event(Event::Aborted(_)) => {
                    message = Message::new(peer);
                    continue;
                }
                Turn::Event(Event::Authenticated(_)) => continue,
                Turn::Event(_) => {
                    conn.machine.accept();
                    continue;
                }
                Turn::StartTls => {
                    conn.accept_tls(self.tls.clone())?;
                    conn.machine.tls_started();
                    continue;
                }
                Turn::Close => return Ok(()),
            };
            if let Some(time) = self.delays.get(stage) {
                conn.machine.delay_reply(*time);
            }
            if let Some(rejection) = self.rejections.get(stage) {
                conn.machine.reject(rejection.clone());
                continue;
            }
            match event {
                Event::Auth(_) => {
                    conn.machine.answer_auth(Answer::Accept);
                    continue;
                }
                Event::Mail(mail) => message.begin(&mail, &conn.machine),
                Event::Rcpt(rcpt) => message.to(&rcpt),
                // With LMTP the question stands once for each recipient.
                Event::Message { .. } => {
                    message.end(&conn.machine);
                    self.store.keep(&message)?;
                    while conn.machine.owed() > 1 {
                        conn.machine.accept();
                    }
                    message = Message::new(peer);
                    conn.machine.accept();
                    self.store.kept(|| while let Ok(Turn::Event(_)) = conn.turn() {});
                    continue;
                }
                _ => {}
            }
            conn.machine.accept();
        }
    }
}
