//! A client for HTTP that sends what it is told, and a server to send it to.

use crate::support::lines::Tls;
use mailwright_mailbox::MemoryStore;
use mailwright_server::config::{AccountEntry, Config, ListenerConfig, MetricsConfig, Protocol, TlsMode};
use mailwright_server::{Running, Server, accounts::set_password};
use std::net::SocketAddr;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a test waits for something that comes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A server of a.test and b.test, with all its listeners on free ports of this machine.
pub struct Rig {
    pub running: Running<MemoryStore>,
    pub folder: TempDir,
}

impl Rig {
    pub async fn start(adjust: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config::new("mail.a.test".parse().expect("a name"), folder.path());
        config.domains = ["a.test", "b.test"]
            .map(|name| name.parse().expect("a name"))
            .to_vec();
        let mut alice = AccountEntry::new("alice@a.test".parse().expect("an address"));
        set_password(&mut alice, &"wonder land".into());
        config.accounts.push(alice);
        config.outbound.enabled = false;
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        for (name, protocol, tls) in [
            ("smtp", Protocol::Smtp, TlsMode::Starttls),
            ("submission", Protocol::Submission, TlsMode::Starttls),
            ("imap", Protocol::Imap, TlsMode::Starttls),
            ("pop3", Protocol::Pop3, TlsMode::Starttls),
            ("https", Protocol::Http, TlsMode::Implicit),
            ("http", Protocol::Http, TlsMode::None),
        ] {
            let listener = ListenerConfig::new(protocol, free).with_tls(tls).with_name(name);
            config.listeners.push(listener);
        }
        config.observing.metrics = Some(MetricsConfig::new(free));
        adjust(&mut config);
        let server = Server::builder(config).store(MemoryStore::default());
        let running = server.start().await.expect("it starts");
        Self { running, folder }
    }

    pub fn address(&self, listener: &str) -> SocketAddr {
        self.running.address(listener).expect("it listens")
    }

    /// Clients that trust the server's certificate.
    pub fn tls(&self) -> Tls {
        let file = self.folder.path().join("tls/self-made.crt");
        Tls::trusting(&std::fs::read_to_string(file).expect("the server made it"))
    }

    /// Asks without TLS.
    pub async fn get(&self, host: &str, path: &str) -> Reply {
        ask(self.address("http"), "GET", host, path, "").await
    }

    /// The metrics at this moment.
    pub async fn metrics(&self) -> String {
        let reply = ask(self.address("metrics"), "GET", "localhost", "/metrics", "").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body
    }
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    /// A field of the head.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

pub async fn ask(address: SocketAddr, method: &str, host: &str, path: &str, body: &str) -> Reply {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    parse(&raw(address, request.as_bytes()).await)
}

/// Sends octets, and reads until the other side closes.
pub async fn raw(address: SocketAddr, octets: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    // It may have heard enough before all was sent.
    let _ = stream.write_all(octets).await;
    let mut said = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await;
    let _ = read.expect("it closes in time");
    String::from_utf8_lossy(&said).into_owned()
}

pub fn parse(said: &str) -> Reply {
    let (head, body) = said
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("a head: {said}"));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Reply {
        status: status.unwrap_or_else(|| panic!("a status: {head}")),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}
