//! A small mail server from the parts, with a store of its own: an archive that keeps every message as a file.
//!
//! ```sh
//! cargo run -p mailwright-examples --bin custom_server -- --domain a.test --account alice:secret /var/mail/archive
//! swaks --server 127.0.0.1:2025 --to alice@a.test
//! curl --user alice@a.test:secret 'imap://127.0.0.1:2143/INBOX;UID=1'
//! ls /var/mail/archive/alice@a.test
//! ```
//!
//! The server is the library's: listeners, protocols, accounts, delivery. Two parts are this program's: the store in
//! `archive.rs`, and a filter that marks what is large. 250 is said when the file is on disk. What is deleted in a mail
//! program stays in the archive, and is in INBOX again after a restart: flags and folders last as long as the program.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // an example brings sockets, files and the clock

mod archive;

use archive::Archive;
use clap::Parser;
use mailwright_address::{Domain, EmailAddress, Host};
use mailwright_examples::net::Fallible;
use mailwright_server::config::{AccountEntry, Config, ListenerConfig, PlaintextLogin, Protocol, TlsMode};
use mailwright_server::judge::{Change, Filter, HeaderField, Judging, Message, Ruling, Transaction};
use mailwright_server::{Server, accounts::set_password};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// A mail server that archives what it takes.
#[derive(Debug, Parser)]
#[command(name = "custom_server", version)]
struct Arguments {
    /// The folder of the archive: a folder in it for each account
    archive: PathBuf,

    /// The domain whose mail is taken
    #[arg(long)]
    domain: Domain,

    /// An account and its password; may be given again
    #[arg(long = "account", value_name = "NAME:PASSWORD", required = true)]
    accounts: Vec<String>,

    /// Where to listen for SMTP
    #[arg(long, default_value = "127.0.0.1:2025", value_name = "ADDRESS:PORT")]
    smtp: SocketAddr,

    /// Where to listen for IMAP
    #[arg(long, default_value = "127.0.0.1:2143", value_name = "ADDRESS:PORT")]
    imap: SocketAddr,

    /// Where to listen for POP3
    #[arg(long, default_value = "127.0.0.1:2110", value_name = "ADDRESS:PORT")]
    pop3: SocketAddr,

    /// Messages of more octets are marked
    #[arg(long, default_value_t = 1 << 20, value_name = "OCTETS")]
    large: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("custom_server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Fallible<()> {
    // The self-made certificate is all that the server keeps here; mail is in the archive.
    let data = tempfile::tempdir()?;
    let mut config = Config::new(arguments.domain.clone(), data.path());
    config.domains.push(arguments.domain.clone());
    config.plaintext_login = PlaintextLogin::Loopback;
    config.outbound.enabled = false;
    config.control = false;
    for account in &arguments.accounts {
        let (name, password) = account
            .split_once(':')
            .ok_or_else(|| format!("--account {account}: expected NAME:PASSWORD"))?;
        if name.contains('/') {
            return Err(format!("--account {name}: a folder has this name, so no slash").into());
        }
        let name = EmailAddress::new(name, Host::Domain(arguments.domain.clone()))
            .map_err(|e| format!("--account {name}: {e}"))?;
        let mut entry = AccountEntry::new(name);
        set_password(&mut entry, &password.into());
        config.accounts.push(entry);
    }
    for (name, protocol, address) in [
        ("smtp", Protocol::Smtp, arguments.smtp),
        ("imap", Protocol::Imap, arguments.imap),
        ("pop3", Protocol::Pop3, arguments.pop3),
    ] {
        let listener = ListenerConfig::new(protocol, address);
        config
            .listeners
            .push(listener.with_tls(TlsMode::Starttls).with_name(name));
    }
    let archive = Archive::open(&arguments.archive)
        .await
        .map_err(|e| format!("{}: {e}", arguments.archive.display()))?;
    let running = Server::builder(config)
        .store(archive)
        .filter(Arc::new(MarkLarge(arguments.large)))
        .start()
        .await?;
    for (name, address) in running.addresses() {
        println!("{name} {address}");
    }
    println!("ready");
    tokio::signal::ctrl_c().await?;
    running.shutdown().await;
    Ok(())
}

/// Marks messages of more octets than this, for the rules of mail programs.
#[derive(Debug)]
struct MarkLarge(u64);

impl Filter for MarkLarge {
    fn name(&self) -> &str {
        "large"
    }

    fn message<'a>(&'a self, _: &'a Transaction, message: &'a Message<'a>) -> Judging<'a> {
        let octets = message.len();
        Box::pin(async move {
            match HeaderField::new("X-Large", octets.to_string()) {
                Some(field) if octets > self.0 => Ruling::accept().with(Change::Prepend(field)),
                _ => Ruling::accept(),
            }
        })
    }
}
