//! A server for b.test that judges what comes in, and a sender that knows nothing of the engines.

use super::lines::{Lines, Tls};
use mailwright_mailbox::{Account, Fields, MemoryStore, Scan, Store};
use mailwright_queue::Record;
use mailwright_server::accounts::set_password;
use mailwright_server::config::{
    AccountEntry, AuthMode, CertificateFiles, ListenerConfig, Protocol, TlsMode,
};
use mailwright_server::judge::Filter;
use mailwright_server::{Config, Running, Server};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// A server with alice and bob, where `team` stands for bob and somebody elsewhere.
pub struct Receiver {
    pub running: Running<MemoryStore>,
    tls: Tls,
    folder: tempfile::TempDir,
}

impl Receiver {
    pub async fn start(filters: Vec<Arc<dyn Filter>>, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tls = Tls::for_names(&["mail.b.test"]);
        let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
        std::fs::write(&chain, &tls.certificate_pem).expect("written");
        std::fs::write(&key, &tls.key_pem).expect("written");
        let mut config = Config::new("mail.b.test".parse().expect("a domain"), folder.path());
        config.domains.push("b.test".parse().expect("a domain"));
        config.certificate = Some(CertificateFiles::new(chain, key));
        for name in ["alice@b.test", "bob@b.test"] {
            let mut entry = AccountEntry::new(name.parse().expect("an address"));
            set_password(&mut entry, &"s3cret".into());
            config.accounts.push(entry);
        }
        let team = ["bob@b.test", "carol@c.test"].map(|a| a.parse().expect("an address"));
        config.aliases.insert("team".into(), team.to_vec());
        // Nobody answers there: what is spooled stays spooled.
        config.outbound.resolver = Some(SocketAddr::from(([127, 0, 0, 1], 9)));
        // Where mail comes from is a matter of the tests about that; for all others, this machine is a stranger.
        config.auth.mode = AuthMode::Off;
        config.auth.trusted.clear();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        for (name, protocol, tls) in [
            ("smtp", Protocol::Smtp, TlsMode::Starttls),
            ("submissions", Protocol::Submission, TlsMode::Implicit),
            ("lmtp", Protocol::Lmtp, TlsMode::None),
        ] {
            let listener = ListenerConfig::new(protocol, any);
            config.listeners.push(listener.with_name(name).with_tls(tls));
        }
        change(&mut config);
        let mut builder = Server::builder(config).store(MemoryStore::default());
        for filter in filters {
            builder = builder.filter(filter);
        }
        let running = builder.start().await.expect("it starts");
        Self { running, tls, folder }
    }

    /// Where its data is.
    pub fn data(&self) -> &Path {
        self.folder.path()
    }

    /// A connection that has heard the greeting, and has greeted.
    pub async fn connect(&self, listener: &str) -> Lines {
        let address = self.running.address(listener).expect("a listener");
        let mut lines = Lines::connect(address).await;
        lines.reply("220 mail.b.test ").await;
        let hello = if listener == "lmtp" { "LHLO" } else { "EHLO" };
        lines.say(&format!("{hello} client.example"), "250").await;
        lines
    }

    /// A connection to submission that is under TLS and logged in.
    pub async fn submit_as(&self, user: &str) -> Lines {
        let address = self.running.address("submissions").expect("a listener");
        let mut lines = Lines::connect_tls(address, &self.tls, "mail.b.test").await;
        lines.reply("220 mail.b.test ").await;
        lines.say("EHLO client.example", "250").await;
        lines.auth_plain(user, "s3cret", "235").await;
        lines
    }

    /// Sends a message from outside, and checks the answer to it.
    pub async fn send(&self, from: &str, to: &[&str], message: &str, want: &str) -> String {
        let mut c = self.connect("smtp").await;
        transfer(&mut c, from, to, message, want).await
    }

    /// The messages in a mailbox of somebody.
    pub async fn mail(&self, account: &str, mailbox: &str) -> Vec<String> {
        let store = &self.running.shared().store;
        let mailboxes = store.mailboxes(&Account::new(account)).await.expect("read");
        let mailbox = mailboxes
            .iter()
            .find(|it| it.name.as_str() == mailbox)
            .expect("there");
        let page = store
            .scan(mailbox.id, Scan::all(Fields::ALL))
            .await
            .expect("read");
        let mut all = vec![];
        for message in page.messages {
            all.push(self.text(&message.blob.expect("asked for")).await);
        }
        all
    }

    /// The records in the spool, with their messages.
    pub async fn spool(&self) -> Vec<(Record, String)> {
        let mut all = vec![];
        for entry in self.running.shared().store.spool(None, 100).await.expect("read") {
            let text = self.text(&entry.blob.expect("a body")).await;
            all.push((Record::decode(&entry.record).expect("a record"), text));
        }
        all
    }

    async fn text(&self, blob: &mailwright_mailbox::BlobRef) -> String {
        let mut octets = vec![];
        while (octets.len() as u64) < blob.size() {
            let range = octets.len() as u64..blob.size();
            let piece = self
                .running
                .shared()
                .store
                .read_blob(blob, range)
                .await
                .expect("read");
            octets.extend_from_slice(&piece);
        }
        String::from_utf8(octets).expect("text")
    }
}

/// One transaction; lines of the message must not begin with a dot.
pub async fn transfer(c: &mut Lines, from: &str, to: &[&str], message: &str, want: &str) -> String {
    c.say(&format!("MAIL FROM:<{from}>"), "250").await;
    for to in to {
        c.say(&format!("RCPT TO:<{to}>"), "250").await;
    }
    c.say("DATA", "354").await;
    c.send_raw(message.as_bytes()).await;
    c.say(".", want).await
}
