//! A server with a store in memory, an IMAP listener and three people, for tests of IMAP alone.

use super::lines::Lines;
use mailwright_mailbox::MemoryStore;
use mailwright_server::accounts::set_password;
use mailwright_server::config::{AccountEntry, ListenerConfig, PlaintextLogin, Protocol};
use mailwright_server::{Config, Running, Server};
use std::sync::LazyLock;

static SECRET: LazyLock<AccountEntry> = LazyLock::new(|| {
    let mut entry = AccountEntry::new("somebody@a.test".parse().expect("an address"));
    set_password(&mut entry, &"secret".into());
    entry
});

pub struct Site {
    pub running: Running<MemoryStore>,
    _folder: tempfile::TempDir,
}

impl Site {
    /// Alice, Bob and Carol have accounts; `adjust` sees the configuration before the start.
    pub async fn start(adjust: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config::new("mail.a.test".parse().expect("a name"), folder.path());
        config.domains = vec!["a.test".parse().expect("a domain")];
        config.plaintext_login = PlaintextLogin::Loopback;
        for name in ["alice@a.test", "bob@a.test", "carol@a.test"] {
            let mut entry = SECRET.clone();
            entry.name = name.parse().expect("an address");
            config.accounts.push(entry);
        }
        for (name, protocol) in [("imap", Protocol::Imap), ("lmtp", Protocol::Lmtp)] {
            let listener = ListenerConfig::new(protocol, "127.0.0.1:0".parse().expect("an address"));
            config.listeners.push(listener.with_name(name));
        }
        adjust(&mut config);
        let server = Server::builder(config).store(MemoryStore::default());
        Self {
            running: server.start().await.expect("it starts"),
            _folder: folder,
        }
    }

    pub async fn connect(&self) -> Lines {
        let mut client = Lines::connect(self.running.address("imap").expect("it listens")).await;
        client.line().await.expect("a greeting");
        client
    }

    pub async fn login(&self, name: &str) -> Lines {
        let mut client = self.connect().await;
        client.imap(&format!("LOGIN {name}@a.test secret"), "OK").await;
        client
    }

    /// Somebody delivers a message to somebody.
    pub async fn deliver(&self, to: &str, message: &str) {
        let mut lmtp = Lines::connect(self.running.address("lmtp").expect("it listens")).await;
        lmtp.reply("220").await;
        lmtp.say("LHLO client.test", "250").await;
        lmtp.say("MAIL FROM:<x@elsewhere.test>", "250").await;
        lmtp.say(&format!("RCPT TO:<{to}@a.test>"), "250").await;
        lmtp.say("DATA", "354").await;
        lmtp.say(&format!("{message}\r\n."), "250").await;
    }

    pub async fn stop(self) {
        self.running.shutdown().await;
    }
}

/// The one response that holds `needle`.
pub fn one(responses: &[Vec<u8>], needle: &str) -> String {
    let all: Vec<_> = responses.iter().map(|it| String::from_utf8_lossy(it)).collect();
    let mut found = all.iter().filter(|it| it.contains(needle));
    let first = found.next().unwrap_or_else(|| panic!("no {needle} in {all:?}"));
    assert!(found.next().is_none(), "{needle} more than once in {all:?}");
    first.to_string()
}

pub async fn append(client: &mut Lines, mailbox: &str, message: &str) -> String {
    let command = format!("APPEND {mailbox} {{{}+}}\r\n{message}", message.len());
    one(&client.imap(&command, "OK [APPENDUID ").await, "APPENDUID")
}
