//! A server inside the test's own process, with ports that the system gave.

use super::lines::Tls;
use mailwright_server::accounts::set_password;
use mailwright_server::config::{
    AccountEntry, CertificateFiles, Config, ListenerConfig, PlaintextLogin, Protocol, TlsMode,
};
use mailwright_server::{Running, Server};
use mailwright_store::SqliteStore;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tempfile::TempDir;

/// What listens.
const LISTENERS: [(&str, Protocol, TlsMode); 7] = [
    ("smtp", Protocol::Smtp, TlsMode::Starttls),
    ("submission", Protocol::Submission, TlsMode::Starttls),
    ("submissions", Protocol::Submission, TlsMode::Implicit),
    ("imap", Protocol::Imap, TlsMode::Starttls),
    ("imaps", Protocol::Imap, TlsMode::Implicit),
    ("pop3", Protocol::Pop3, TlsMode::Starttls),
    ("pop3s", Protocol::Pop3, TlsMode::Implicit),
];

/// A server that is being put together.
pub struct Plan {
    config: Config,
    folder: TempDir,
}

/// A server that runs.
pub struct Site {
    plan: Plan,
    running: Running<SqliteStore>,
}

/// A server that was stopped, with all it needs to come back: its data and its ports.
pub struct Paused(Plan);

impl Site {
    /// Begins a server called `mail.DOMAIN` for `DOMAIN`, at a loopback address of its own.
    pub fn called(hostname: &str, ip: &str, tls: &Tls) -> Plan {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config::new(hostname.parse().expect("a host name"), folder.path().join("mail"));
        let domain = hostname.split_once('.').expect("a name in a domain").1;
        config.domains.push(domain.parse().expect("a domain"));
        let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        std::fs::write(&certificate, &tls.certificate_pem).expect("writable");
        std::fs::write(&key, &tls.key_pem).expect("writable");
        config.certificate = Some(CertificateFiles::new(certificate, key));
        config.plaintext_login = PlaintextLogin::Never;
        let ip: IpAddr = ip.parse().expect("an address");
        for (name, protocol, tls) in LISTENERS {
            let listener = ListenerConfig::new(protocol, SocketAddr::from((ip, 0)));
            config.listeners.push(listener.with_tls(tls).with_name(name));
        }
        // Tests have less patience than mail has.
        config.queue.retry = vec![Duration::from_millis(300), Duration::from_secs(1)];
        config.limits.connections_per_address = 2000;
        Plan { config, folder }
    }

    pub fn address(&self, listener: &str) -> SocketAddr {
        self.running.address(listener).expect("a listener of this name")
    }

    pub async fn stop(self) {
        self.running.shutdown().await;
    }

    /// Stops the server; it can come back with the same data at the same addresses.
    pub async fn pause(self) -> Paused {
        let Self { mut plan, running } = self;
        for listener in &mut plan.config.listeners {
            listener.address = running.address(&listener.name).expect("it listens");
        }
        running.shutdown().await;
        Paused(plan)
    }
}

impl Paused {
    pub async fn resume(self) -> Site {
        self.0.start().await
    }
}

impl Plan {
    pub fn account(mut self, name: &str, password: &str) -> Self {
        let mut entry = AccountEntry::new(name.parse().expect("an address"));
        set_password(&mut entry, &password.into());
        self.config.accounts.push(entry);
        self
    }

    /// Changes the configuration.
    pub fn adjust(mut self, adjust: impl FnOnce(&mut Config)) -> Self {
        adjust(&mut self.config);
        self
    }

    /// Asks this DNS server.
    pub fn resolver(mut self, address: SocketAddr) -> Self {
        self.config.outbound.resolver = Some(address);
        self
    }

    /// Takes the mail servers of others to be at this port.
    pub fn out_port(mut self, port: u16) -> Self {
        self.config.outbound.port = port;
        self
    }

    pub async fn start(self) -> Site {
        let store =
            SqliteStore::open(&self.config.data, mailwright_store::Config::default()).expect("a store");
        let running = Server::builder(self.config.clone())
            .store(store)
            .start()
            .await
            .expect("the server starts");
        Site { plan: self, running }
    }
}
