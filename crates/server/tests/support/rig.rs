//! A server that has a queue and no listeners, over memory.

use bytes::Bytes;
use mailwright_address::{Domain, EmailAddress, ReversePath};
use mailwright_mailbox::{
    Account, Batch, BlobWriter, Fields, Limits, MemoryStore, Op, Scan, SpoolKey, Store,
};
use mailwright_message::{Index, dsn};
use mailwright_queue::{Record, Timestamp};
use mailwright_server::config::{AccountEntry, Config, Endpoint, EndpointHost};
use mailwright_server::{Running, Server, unix_now};
use mailwright_smtp::{EnhancedCode, Rejection};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::time::sleep;

pub const MESSAGE: &str = "Received: from laptop by mail.a.test; Mon, 23 Nov 2026 10:00:00 +0000\r\n\
    From: alice@a.test\r\nSubject: Hello\r\nMessage-ID: <1@a.test>\r\n\r\n.one dot\r\n..two dots\r\n";

/// The server under test: it has Alice at a.test, and no listeners.
pub struct Rig {
    pub running: Running<MemoryStore>,
    pub config: Config,
    _folder: TempDir,
}

impl Rig {
    pub async fn start(adjust: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config::new(domain("mail.a.test"), folder.path());
        config.domains.push(domain("a.test"));
        config.accounts.push(AccountEntry::new(address("alice@a.test")));
        config.queue.retry = vec![Duration::from_millis(200)];
        adjust(&mut config);
        let server = Server::builder(config.clone()).store(MemoryStore::new(Limits::default()));
        let running = server.start().await.expect("it starts");
        Self {
            running,
            config,
            _folder: folder,
        }
    }

    /// With fixed routes to sinks.
    pub async fn routed(routes: &[(&str, SocketAddr)]) -> Self {
        Self::start(|config| add_routes(config, routes)).await
    }

    pub fn store(&self) -> &MemoryStore {
        &self.running.shared().store
    }

    pub fn record(&self, sender: Option<&str>, recipients: &[&str]) -> Record {
        let now = Timestamp::from_unix_seconds(u64::try_from(unix_now()).expect("after 1970"));
        let sender = sender.map_or(ReversePath::Null, |s| ReversePath::Address(address(s)));
        let mut record = Record::new("0123abcd", sender, now, now + self.config.queue.expire);
        for recipient in recipients {
            record.add_recipient(address(recipient));
        }
        record
    }

    pub async fn put(&self, record: Record, message: impl Into<Bytes>) {
        let mut writer = self.store().new_blob();
        writer.write(message.into()).await.expect("memory");
        let blob = writer.finish().await.expect("memory");
        let batch = Batch::new(unix_now()).with(Op::SpoolPut {
            key: None,
            record: record.encode(),
            blob: Some(blob),
        });
        self.store().commit(batch).await.expect("memory");
        self.running.shared().spooled.notify_one();
    }

    pub async fn send(&self, sender: Option<&str>, recipients: &[&str]) {
        self.put(self.record(sender, recipients), MESSAGE).await;
    }

    pub async fn spool(&self) -> Vec<Record> {
        let entries = self.store().spool(None::<SpoolKey>, 100).await.expect("memory");
        entries
            .iter()
            .map(|e| Record::decode(&e.record).expect("a record"))
            .collect()
    }

    pub async fn until_spool_is(&self, what: impl Fn(&[Record]) -> bool) -> Vec<Record> {
        let started = Instant::now();
        loop {
            let spool = self.spool().await;
            if what(&spool) {
                return spool;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "{spool:#?}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn until_empty(&self) {
        self.until_spool_is(<[Record]>::is_empty).await;
    }

    /// What the history of the only message says of its first attempt.
    pub async fn first_failure(&self) -> String {
        let tried = self.until_spool_is(|spool| !spool[0].history.is_empty()).await;
        tried[0].history[0].text.to_string()
    }

    /// The messages in Alice's INBOX.
    pub async fn inbox(&self) -> Vec<Vec<u8>> {
        let account = Account::new("alice@a.test");
        let mailboxes = self.store().mailboxes(&account).await.expect("memory");
        let inbox = mailboxes.iter().find(|m| m.name.is_inbox()).expect("an INBOX");
        let page = self
            .store()
            .scan(inbox.id, Scan::all(Fields::BLOB))
            .await
            .expect("memory");
        let mut messages = vec![];
        for message in page.messages {
            let blob = message.blob.expect("it was asked for");
            let octets = self
                .store()
                .read_blob(&blob, 0..blob.size())
                .await
                .expect("memory");
            assert_eq!(octets.len() as u64, blob.size(), "it is small");
            messages.push(octets.to_vec());
        }
        messages
    }

    /// The only message of the INBOX, which is a notice.
    pub async fn notice(&self) -> (dsn::Report, String) {
        let inbox = self.inbox().await;
        assert_eq!(inbox.len(), 1);
        let report = dsn::Report::parse(&Index::of(&inbox[0]), &inbox[0]).expect("a notice");
        (report, String::from_utf8(inbox[0].clone()).expect("ASCII"))
    }
}

pub fn add_routes(config: &mut Config, routes: &[(&str, SocketAddr)]) {
    for (to, at) in routes {
        let endpoint = Endpoint::new(EndpointHost::Address(at.ip()), at.port());
        config.outbound.routes.insert(domain(to), endpoint.into());
    }
}

pub fn domain(text: &str) -> Domain {
    text.parse().expect("a domain")
}

pub fn address(text: &str) -> EmailAddress {
    text.parse().expect("an address")
}

pub fn busy() -> Rejection {
    Rejection::new(450, EnhancedCode::new(4, 7, 1), "greylisted").expect("4 and 4")
}
