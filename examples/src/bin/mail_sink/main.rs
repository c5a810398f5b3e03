//! A mail server for tests: whatever is sent to it arrives, and can be read over IMAP, POP3 and as JSON over HTTP. All in
//! memory; it knows everybody, and every password is right.
//!
//! ```sh
//! cargo run -p mailwright-examples --bin mail_sink
//! swaks --server 127.0.0.1:2025 --to anybody@anywhere.example
//! curl 'http://127.0.0.1:2080/messages?to=anybody@anywhere.example&wait=10'
//! curl --user anybody@anywhere.example:x 'imap://127.0.0.1:2143/INBOX;UID=1'
//! ```
//!
//! In a container: `mail_sink --address 0.0.0.0`. For ports that are free: `mail_sink --port 0`, which prints them.
//!
//! | request | answer |
//! |---|---|
//! | `GET /messages` | all messages in the order of arrival, as a list of JSON |
//! | `GET /messages?to=ADDRESS` | those that this recipient got |
//! | `GET /messages?wait=SECONDS` | the same; waits until there is one, for no longer than a minute |
//! | `GET /messages/ID` | one message: envelope, header, texts, attachments |
//! | `GET /messages/ID/raw` | its octets |
//! | `DELETE /messages` | forgets all mail, also that of IMAP and POP3 |
//! | `GET /healthz` | 200 once mail is taken |
//!
//! An address makes the server misbehave, as a recipient or as the sender:
//!
//! | local part | what happens |
//! |---|---|
//! | `550`, `451`, `550-5.2.2` | the command is refused with this code; `421` also ends the connection |
//! | `data-554`, `data-452-4.3.1` | the message is refused behind its last octet |
//! | `slow-5` | the answer takes so many seconds, at most 300 |
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // an example brings sockets and the clock

mod caught;
mod magic;
mod web;

use caught::Catch;
use clap::Parser;
use mailwright_address::Domain;
use mailwright_examples::net::Fallible;
use mailwright_mailbox::MemoryStore;
use mailwright_server::Server;
use mailwright_server::config::{Config, ListenerConfig, PlaintextLogin, Protocol, TlsMode};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Catches all mail, and shows it over IMAP, POP3 and HTTP.
#[derive(Debug, Parser)]
#[command(name = "mail_sink", version)]
struct Arguments {
    /// Where to listen; 0.0.0.0 in a container
    #[arg(long, default_value = "127.0.0.1")]
    address: IpAddr,

    /// The port of SMTP; the others lie at fixed distances from it. 0 takes ports that are free
    #[arg(long, default_value_t = 2025)]
    port: u16,

    /// How much mail is kept, in octets; then more is refused with 452 until some is deleted
    #[arg(long, default_value_t = 256 << 20, value_name = "OCTETS")]
    keep: u64,

    /// The name of this server
    #[arg(long, default_value = "localhost", value_name = "NAME")]
    hostname: Domain,
}

/// What listens, and how far from SMTP: name, protocol, TLS, distance.
const LISTENERS: [(&str, Protocol, TlsMode, u16); 7] = [
    ("smtp", Protocol::Smtp, TlsMode::Starttls, 0),
    ("submission", Protocol::Submission, TlsMode::Starttls, 562),
    ("submissions", Protocol::Submission, TlsMode::Implicit, 440),
    ("imap", Protocol::Imap, TlsMode::Starttls, 118),
    ("imaps", Protocol::Imap, TlsMode::Implicit, 968),
    ("pop3", Protocol::Pop3, TlsMode::Starttls, 85),
    ("pop3s", Protocol::Pop3, TlsMode::Implicit, 970),
];
const HTTP: u16 = 55;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mail_sink: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Fallible<()> {
    let at = |distance: u16| match arguments.port {
        0 => Ok(SocketAddr::new(arguments.address, 0)),
        port => port
            .checked_add(distance)
            .map(|port| SocketAddr::new(arguments.address, port))
            .ok_or("--port: the ports of the other services would lie above 65535"),
    };
    // The self-made certificate is all that is ever put here.
    let folder = tempfile::tempdir()?;
    let mut config = Config::new(arguments.hostname.clone(), folder.path());
    config.domains.push(arguments.hostname);
    config.anybody = true;
    config.plaintext_login = PlaintextLogin::Always;
    config.outbound.enabled = false;
    config.control = false;
    for (name, protocol, tls, distance) in LISTENERS {
        let listener = ListenerConfig::new(protocol, at(distance)?);
        config.listeners.push(listener.with_tls(tls).with_name(name));
    }
    let http = at(HTTP)?;
    let http = TcpListener::bind(http)
        .await
        .map_err(|e| format!("cannot listen at {http}: {e}"))?;

    let caught = Arc::new(Catch::new(arguments.keep));
    let running = Server::builder(config)
        .store(MemoryStore::default())
        .filter(caught.clone())
        .start()
        .await?;
    for (name, address) in running.addresses() {
        println!("{name:<12} {address}");
    }
    println!("{:<12} http://{}/messages", "http", http.local_addr()?);
    println!("ready");
    let store = running.shared().clone();
    tokio::select! {
        () = web::serve(http, caught, store) => {}
        pressed = tokio::signal::ctrl_c() => pressed?,
    }
    running.shutdown().await;
    Ok(())
}
