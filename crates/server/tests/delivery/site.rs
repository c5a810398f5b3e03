//! A server at a.test, or another domain, with Alice, Bob and Carol.

use crate::lines::Lines;
use crate::sink::Sink;
use mailwright_address::{Domain, EmailAddress};
use mailwright_mailbox::{Account, Fields, MailboxName, Scan, Store};
use mailwright_server::accounts::{AccountsFile, set_password};
use mailwright_server::config::{
    AccountEntry, AuthMode, Endpoint, EndpointHost, ListenerConfig, PlaintextLogin, Protocol,
};
use mailwright_server::{Builder, Config, Running, Server};
use mailwright_store::SqliteStore;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

static SECRET: LazyLock<AccountEntry> = LazyLock::new(|| {
    let mut entry = AccountEntry::new(address("somebody@a.test"));
    set_password(&mut entry, &"secret".into());
    entry
});

pub(crate) struct Site {
    pub(crate) running: Running<SqliteStore>,
    pub(crate) config: Config,
    pub(crate) folder: TempDir,
}

impl Site {
    pub(crate) async fn start(adjust: impl FnOnce(&mut Config)) -> Self {
        Self::built("a.test", adjust, |builder| builder).await
    }

    pub(crate) async fn built(
        domain: &str,
        adjust: impl FnOnce(&mut Config),
        build: impl FnOnce(Builder<SqliteStore>) -> Builder<SqliteStore>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(format!("mail.{domain}").parse().unwrap(), folder.path());
        config.domains = vec![domain.parse().unwrap()];
        config.plaintext_login = PlaintextLogin::Loopback;
        config.auth.mode = AuthMode::Off;
        config.queue.retry = vec![Duration::from_millis(200)];
        let mut file = AccountsFile::open(&config.accounts_file).unwrap();
        for name in ["alice", "bob", "carol"] {
            file.put(account(&format!("{name}@{domain}")));
        }
        file.save().unwrap();
        for (name, protocol) in [
            ("smtp", Protocol::Smtp),
            ("lmtp", Protocol::Lmtp),
            ("imap", Protocol::Imap),
        ] {
            let listener = ListenerConfig::new(protocol, "127.0.0.1:0".parse().unwrap());
            config.listeners.push(listener.with_name(name));
        }
        adjust(&mut config);
        let server = Server::builder(config.clone()).store(store(&config));
        Self {
            running: build(server).start().await.expect("it starts"),
            config,
            folder,
        }
    }

    pub(crate) fn store(&self) -> &SqliteStore {
        &self.running.shared().store
    }

    pub(crate) fn address(&self, listener: &str) -> SocketAddr {
        self.running.address(listener).expect("it listens")
    }

    /// Changes what is set for somebody, while the server runs.
    pub(crate) fn set(&self, name: &str, change: impl FnOnce(&mut AccountEntry)) {
        let mut file = AccountsFile::open(&self.config.accounts_file).unwrap();
        change(file.entry(name).unwrap());
        file.save().unwrap();
    }

    pub(crate) async fn smtp(&self) -> Lines {
        let mut client = Lines::connect(self.address("smtp")).await;
        client.reply("220").await;
        client.say("EHLO client.test", "250").await;
        client
    }

    /// Somebody sends a message; `from` is empty for nobody.
    pub(crate) async fn send(&self, from: &str, to: &[&str], message: &str) {
        let mut client = self.smtp().await;
        self.send_by(&mut client, from, to, message, "250").await;
        client.say("QUIT", "221").await;
    }

    pub(crate) async fn send_by(
        &self,
        client: &mut Lines,
        from: &str,
        to: &[&str],
        message: &str,
        want: &str,
    ) {
        client.say(&format!("MAIL FROM:<{from}>"), "250").await;
        for to in to {
            client.say(&format!("RCPT TO:<{to}>"), "250").await;
        }
        client.say("DATA", "354").await;
        let message = message.strip_suffix("\r\n").unwrap_or(message);
        client.say(&format!("{message}\r\n."), want).await;
    }

    pub(crate) async fn login(&self, name: &str) -> Lines {
        let mut client = Lines::connect(self.address("imap")).await;
        client.line().await.expect("a greeting");
        client.imap(&format!("LOGIN {name} secret"), "OK").await;
        client
    }

    /// The messages in a folder of somebody.
    pub(crate) async fn mail(&self, name: &str, folder: &str) -> Vec<String> {
        let mailboxes = self.store().mailboxes(&Account::new(name)).await.unwrap();
        let name = MailboxName::parse(folder).unwrap();
        let Some(mailbox) = mailboxes.iter().find(|mailbox| mailbox.name == name) else {
            return Vec::new();
        };
        let page = self
            .store()
            .scan(mailbox.id, Scan::all(Fields::BLOB))
            .await
            .unwrap();
        let mut messages = Vec::new();
        for message in page.messages {
            let blob = message.blob.unwrap();
            let octets = self.store().read_blob(&blob, 0..blob.size()).await.unwrap();
            messages.push(String::from_utf8(octets.to_vec()).unwrap());
        }
        messages
    }

    /// Waits until INBOX of somebody has so many messages, and no more.
    pub(crate) async fn inbox(&self, name: &str, count: usize) -> Vec<String> {
        let started = Instant::now();
        loop {
            let mail = self.mail(name, "INBOX").await;
            if mail.len() >= count {
                assert_eq!(mail.len(), count, "{mail:#?}");
                return mail;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{name} has {} of {count}",
                mail.len()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until nothing is in the queue.
    pub(crate) async fn settled(&self) {
        let started = Instant::now();
        while !self.store().spool(None, 1).await.unwrap().is_empty() {
            assert!(started.elapsed() < PATIENCE, "the queue is not empty");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until Alice is remembered to have had a warning of her quota, or none.
    pub(crate) async fn until_level(&self, level: Option<&str>) {
        let started = Instant::now();
        loop {
            let notes = self
                .store()
                .annotations(&Account::new("alice@a.test"), None)
                .await
                .unwrap();
            let note = notes
                .iter()
                .find(|note| note.name.as_str().ends_with("/quota-warning"));
            if note.map(|note| &*note.value) == level.map(str::as_bytes) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{notes:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until something is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let started = Instant::now();
        while !is_so() {
            assert!(started.elapsed() < PATIENCE, "never: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops the server, and starts it again with its data.
    pub(crate) async fn restart(self) -> Self {
        let Self {
            running,
            config,
            folder,
        } = self;
        running.shutdown().await;
        let server = Server::builder(config.clone()).store(store(&config));
        Self {
            running: server.start().await.expect("it starts again"),
            config,
            folder,
        }
    }

    pub(crate) async fn stop(self) {
        self.running.shutdown().await;
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

fn store(config: &Config) -> SqliteStore {
    SqliteStore::open(&config.data, mailwright_store::Config::default()).expect("a store")
}

pub(crate) fn account(name: &str) -> AccountEntry {
    let mut entry = SECRET.clone();
    entry.name = address(name);
    entry
}

pub(crate) fn route(config: &mut Config, to: &str, at: SocketAddr) {
    let endpoint = Endpoint::new(EndpointHost::Address(at.ip()), at.port());
    config
        .outbound
        .routes
        .insert(to.parse::<Domain>().unwrap(), endpoint.into());
}

pub(crate) fn route_to(config: &mut Config, to: &str, sink: &Sink) {
    route(config, to, sink.address);
}

pub(crate) fn address(text: &str) -> EmailAddress {
    text.parse().unwrap()
}

/// The value of the only field of a name.
pub(crate) fn field<'m>(message: &'m str, name: &str) -> &'m str {
    let fields = fields(message, name);
    assert_eq!(fields.len(), 1, "{name} in {message}");
    fields[0]
}

/// The values of all fields of a name; none of them is folded here.
pub(crate) fn fields<'m>(message: &'m str, name: &str) -> Vec<&'m str> {
    let header = message.split("\r\n\r\n").next().unwrap();
    let fields = header.split("\r\n").filter_map(|line| line.split_once(": "));
    fields
        .filter(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .collect()
}
