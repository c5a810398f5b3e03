//! What the server is told: listeners, domains, accounts, ways out, limits.
//!
//! A [`Config`] is plain data. [`Config::load`] reads it from a TOML file and says of every mistake in which
//! line it is and what to do; [`Config::new`] makes one in code, for tests and embedders.

mod account;
mod app_password;
mod auth;
mod delivery;
mod file;
mod filter;
mod lists;
mod login;
mod observing;
mod problem;
mod tls;
mod values;
mod web;

use mailwright_address::{Domain, EmailAddress};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use account::{AccountEntry, Disabled, Fingerprint, FromHeader, OverQuota, PasswordLogins, Quota};
pub(crate) use account::{AccountSection, QuotaSection};
pub use app_password::{AppPassword, Service};
pub use auth::{Auth, AuthMode, DkimKey};
pub use delivery::{Delivery, List, Lists, NewFolder, Posting, Srs, Vacation};
pub(crate) use delivery::{VacationSection, read_lists};
pub use filter::{
    DnsLists, FilterAddress, FilterConfig, FilterKind, FilteredMail, Filtering, Greylisting, OnFilterError,
    OnHit, RateLimits,
};
pub use lists::{read_aliases, read_domains};
pub use login::{LoginLimits, PasswordHashing};
pub use observing::{LogConfig, LogFormat, MetricsConfig, Observing, TraceConfig};
pub(crate) use problem::Problems;
pub use problem::{ConfigError, Problem};
pub use tls::{Acme, TlsConfig};
pub use values::{Endpoint, EndpointHost, Network, Size, Unreadable};
pub use web::{StsMode, StsPolicy, Web};

/// A complete, commented configuration file. It passes the check itself.
pub const EXAMPLE: &str = include_str!("example.toml");

/// The whole configuration of a server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// What the server calls itself in greetings, trace headers and Message-IDs.
    pub hostname: Domain,
    /// The domains whose mail ends here. The first one completes login names that have no domain.
    pub domains: Vec<Domain>,
    /// A file with further domains, which `mailwright domain` edits; the running server sees changes.
    pub domains_file: Option<PathBuf>,
    /// Whether everybody is welcome: every domain is local, every address is an account, and every password of it is
    /// right. For servers that catch the mail of tests; no key of a configuration file sets it.
    pub anybody: bool,
    /// Where mail, the queue and the accounts file are kept.
    pub data: PathBuf,
    /// How mail is kept.
    pub store: StoreKind,
    /// The accounts file that `mailwright account` edits.
    pub accounts_file: PathBuf,
    /// Accounts of the configuration itself, beside those of the accounts file.
    pub accounts: Vec<AccountEntry>,
    /// Addresses that stand for others.
    pub aliases: Aliases,
    /// A file with further aliases, which go before these and which `mailwright alias` edits; the running server sees
    /// changes.
    pub aliases_file: Option<PathBuf>,
    /// The certificate of listeners that name none. Without it a self-made one is kept in the data folder.
    pub certificate: Option<CertificateFiles>,
    /// Further certificates, and those of clients.
    pub tls: TlsConfig,
    /// Where certificates are got from, if they are not made elsewhere.
    pub acme: Option<Acme>,
    /// Where connections are accepted.
    pub listeners: Vec<ListenerConfig>,
    /// When a password may cross the network in the clear.
    pub plaintext_login: PlaintextLogin,
    /// How the origin of mail is checked that comes in.
    pub auth: Auth,
    /// The keys that outgoing mail is signed with.
    pub dkim: Vec<DkimKey>,
    /// How mail for other domains leaves.
    pub outbound: Outbound,
    /// How long mail for other domains is tried.
    pub queue: QueueConfig,
    /// Whether commands such as `mailwright queue` reach the running server, by a socket in the data folder.
    pub control: bool,
    /// What one peer may take.
    pub limits: Limits,
    /// How many logins may fail.
    pub login_limits: LoginLimits,
    /// How passwords are hashed.
    pub password_hash: PasswordHashing,
    /// How much mail an account may keep, where its own entry says nothing else.
    pub quota: Quota,
    /// What filters mail that comes in.
    pub filtering: Filtering,
    /// What is told over HTTP.
    pub web: Web,
    /// How the server can be watched.
    pub observing: Observing,
    /// Whom the header of a message that an account submits may name as its author.
    pub from_header: FromHeader,
    /// How mail is delivered here.
    pub delivery: Delivery,
}

/// How mail is kept, in the folder `mail` of the data folder.
///
/// The program opens the store; who makes a server in code brings one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StoreKind {
    /// A SQLite database, and packs for large messages.
    #[default]
    Sqlite,
    /// Maildir++ folders that other programs can read, a folder for each account.
    Maildir,
}

impl std::fmt::Display for StoreKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Maildir => "maildir",
        })
    }
}

/// Alias address to targets.
///
/// A key is `local@domain`, `local` (in every local domain) or `@domain` (whatever nobody else takes), in
/// lower case.
pub type Aliases = BTreeMap<String, Vec<EmailAddress>>;

/// A certificate chain and its key, both PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct CertificateFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// A place where connections are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerConfig {
    /// What logs call it; also the key of its address in [`Running`](crate::Running).
    pub name: String,
    /// The address to listen at; port 0 takes a free one.
    pub address: SocketAddr,
    /// What is spoken there.
    pub protocol: Protocol,
    /// How TLS starts there.
    pub tls: TlsMode,
    /// The certificate, if it is not the common one.
    pub certificate: Option<CertificateFiles>,
    /// Whether the server starts without it, with a warning, if another program has the address.
    pub optional: bool,
    /// What holds for SMTP, submission and LMTP alone.
    pub smtp: SmtpListener,
}

/// What a listener for SMTP, submission or LMTP does besides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SmtpListener {
    /// Whether a PROXY header (version 1 or 2) stands ahead of every connection, TLS included. Only proxies may
    /// reach such a listener.
    pub proxy: bool,
    /// From where a proxy may tell by XCLIENT for whom it speaks.
    pub xclient: Vec<Network>,
    /// From where a content filter may tell by XFORWARD where a message came from; it is logged.
    pub xforward: Vec<Network>,
    /// How long the greeting is held back; who speaks before it is turned away.
    pub greeting_delay: Duration,
    /// Whether VRFY tells which addresses there are. Else it says 252, which tells nothing.
    pub verify: bool,
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Protocol {
    /// SMTP between servers: takes mail for local domains (RFC 5321).
    Smtp,
    /// Submission by mail programs, after AUTH (RFC 6409).
    Submission,
    /// Local delivery from a trusted program (RFC 2033).
    Lmtp,
    /// IMAP4 (RFC 9051, RFC 3501).
    Imap,
    /// POP3 (RFC 1939).
    Pop3,
    /// What mail programs ask to set themselves up, over HTTP.
    Http,
    /// What programs ask that watch the server, over HTTP; configured by [`Observing::metrics`] alone.
    #[serde(skip)]
    Metrics,
}

/// How TLS starts on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums)] // never, on request, at once
pub enum TlsMode {
    /// Not at all.
    None,
    /// When the client asks for it (STARTTLS, STLS).
    Starttls,
    /// At once (RFC 8314 §3).
    Implicit,
}

/// When a password may cross the network in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums)] // nowhere, on this machine, everywhere
pub enum PlaintextLogin {
    /// Never: TLS comes first.
    #[default]
    Never,
    /// From this machine to itself.
    Loopback,
    /// Always. For networks that are protected by other means.
    Always,
}

impl PlaintextLogin {
    /// Whether a peer at `address` may send a password without TLS.
    pub fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Never => false,
            Self::Loopback => address.to_canonical().is_loopback(),
            Self::Always => true,
        }
    }
}

/// How mail for other domains leaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outbound {
    /// Whether it leaves at all. If not, remote recipients are refused.
    pub enabled: bool,
    /// The DNS resolver; without it the first one of `/etc/resolv.conf`.
    pub resolver: Option<SocketAddr>,
    /// A `hosts` file whose names are answered from it alone, and need no DNS.
    pub hosts_file: Option<PathBuf>,
    /// How long an answer of the DNS is used past its time while no server can be asked (RFC 8767); zero for not at
    /// all.
    pub serve_stale: Duration,
    /// The port of other mail servers: 25 outside of tests.
    pub port: u16,
    /// The port that MTA-STS policies are fetched from: 443 outside of tests.
    pub https_port: u16,
    /// Whether TLSA records and MTA-STS policies of other domains are looked up and heeded (RFC 7672, RFC 8461).
    pub tls_policies: bool,
    /// Who sends reports about TLS to the domains that ask for them (RFC 8460); without it nothing is counted.
    pub tls_reports: Option<EmailAddress>,
    /// A PEM file with certificates to trust beside the public ones.
    pub ca: Option<PathBuf>,
    /// A server that takes all mail, in place of the recipients' own.
    pub smart_host: Option<SmartHost>,
    /// Fixed ways for some domains, in place of DNS and smart host.
    pub routes: BTreeMap<Domain, FixedRoute>,
    /// How hosts are reached where smart host and fixed route say nothing else.
    pub way: Way,
}

impl Outbound {
    /// The fixed way for a domain, in whatever form it is written: its own, or that of the nearest domain above it
    /// whose way [holds for subdomains](FixedRoute::subdomains).
    pub fn route_of(&self, domain: &Domain) -> Option<&FixedRoute> {
        if let Some(route) = self.own_route_of(domain) {
            return Some(route);
        }
        let mut name = domain.as_str();
        while let Some((_, parent)) = name.split_once('.') {
            name = parent;
            let route = Domain::parse(parent).ok();
            let route = route.and_then(|parent| self.own_route_of(&parent));
            if let Some(route) = route.filter(|route| route.subdomains) {
                return Some(route);
            }
        }
        None
    }

    fn own_route_of(&self, domain: &Domain) -> Option<&FixedRoute> {
        let exact = self.routes.get(domain);
        exact.or_else(|| {
            let same = self.routes.iter().find(|(known, _)| known.same_as(domain));
            same.map(|(_, route)| route)
        })
    }
}

/// A fixed way for a domain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FixedRoute {
    /// The host that takes mail for it; the mail exchangers of the domain if there is none.
    pub endpoint: Option<Endpoint>,
    /// What is asked of TLS there.
    pub tls: RouteTls,
    /// Whether it is the way for all domains below as well, but those with a way of their own.
    pub subdomains: bool,
    /// How it is reached.
    pub way: Way,
}

impl FixedRoute {
    /// The way to a host.
    pub fn new(endpoint: Endpoint, way: Way) -> Self {
        Self {
            endpoint: Some(endpoint),
            way,
            ..Self::default()
        }
    }

    /// The way to a program of this machine that listens at a Unix socket.
    pub fn to_socket(path: impl Into<PathBuf>, way: Way) -> Self {
        // Whoever plans routes wants a host; nobody connects to it.
        let nowhere = Endpoint::new(EndpointHost::Address(Ipv4Addr::LOCALHOST.into()), 24);
        let socket = Some(path.into());
        Self::new(nowhere, Way { socket, ..way }).with_tls(RouteTls::None)
    }

    /// The way to the mail exchangers of the domain, past a smart host.
    pub fn by_mx(tls: RouteTls) -> Self {
        Self {
            tls,
            ..Self::default()
        }
    }

    /// The same way, with another rule for TLS.
    #[must_use]
    pub fn with_tls(self, tls: RouteTls) -> Self {
        Self { tls, ..self }
    }
}

/// What is asked of TLS on the way to a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RouteTls {
    /// What the domain publishes (DANE, MTA-STS); if nothing, TLS if it is offered.
    #[default]
    Automatic,
    /// No TLS.
    None,
    /// TLS if it is offered, whatever the certificate and whatever the domain publishes.
    Opportunistic,
    /// STARTTLS, which must be there, with any certificate.
    Encrypted,
    /// STARTTLS, which must be there, with a certificate for the name of the host.
    Verified,
    /// TLS from the first octet, with a certificate for the name of the host.
    Implicit,
}

impl From<Endpoint> for FixedRoute {
    fn from(endpoint: Endpoint) -> Self {
        Self::new(endpoint, Way::default())
    }
}

/// How other hosts are reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Way {
    /// What is spoken: [`Protocol::Lmtp`], or SMTP.
    pub protocol: Protocol,
    /// The address to connect from, of each family that has one to be set; the system's choice otherwise.
    pub source: Vec<IpAddr>,
    /// What the server calls itself there, if not its own name.
    pub ehlo: Option<Domain>,
    /// The Unix socket to connect to in place of an address.
    pub socket: Option<PathBuf>,
}

impl Default for Way {
    /// SMTP, from any address.
    fn default() -> Self {
        Self {
            protocol: Protocol::Smtp,
            source: Vec::new(),
            ehlo: None,
            socket: None,
        }
    }
}

impl Way {
    /// The address to connect from to another one.
    pub fn source_for(&self, to: SocketAddr) -> Option<IpAddr> {
        let same = |source: &&IpAddr| source.is_ipv4() == to.is_ipv4();
        self.source.iter().find(same).copied()
    }
}

impl Default for Outbound {
    /// Mail leaves by MX, on port 25.
    fn default() -> Self {
        Self {
            enabled: true,
            resolver: None,
            hosts_file: None,
            serve_stale: Duration::ZERO,
            port: 25,
            https_port: 443,
            tls_policies: true,
            tls_reports: None,
            ca: None,
            smart_host: None,
            routes: BTreeMap::new(),
            way: Way::default(),
        }
    }
}

/// A server that takes all outgoing mail.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SmartHost {
    /// Where it is.
    pub endpoint: Endpoint,
    /// How the way to it is protected.
    pub tls: SmartHostTls,
    /// User name and password file (its first line), if it wants a login.
    pub login: Option<SmartHostLogin>,
    /// How it is reached.
    pub way: Way,
}

impl SmartHost {
    /// A smart host without a login.
    pub fn new(endpoint: Endpoint, tls: SmartHostTls) -> Self {
        Self {
            endpoint,
            tls,
            login: None,
            way: Way::default(),
        }
    }
}

/// How a smart host knows us.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SmartHostLogin {
    /// The user name.
    pub user: String,
    /// The file whose first line is the password.
    pub password_file: PathBuf,
}

impl SmartHostLogin {
    /// A user name, and the file whose first line is the password.
    pub fn new(user: impl Into<String>, password_file: impl Into<PathBuf>) -> Self {
        Self {
            user: user.into(),
            password_file: password_file.into(),
        }
    }
}

/// How the way to a smart host is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SmartHostTls {
    /// TLS at once, certificate verified.
    Implicit,
    /// STARTTLS, which must be there; certificate verified.
    #[default]
    Starttls,
    /// STARTTLS if it is offered; any certificate.
    Opportunistic,
    /// No TLS.
    None,
}

/// How long mail for other domains is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueConfig {
    /// The waits between tries; the last one repeats.
    pub retry: Vec<Duration>,
    /// After how long a message is given up and its sender told. RFC 5321 §4.5.4.1: at least 4 to 5 days.
    pub expire: Duration,
    /// After how long the sender is told of the delay; never if it is not set.
    pub delay_notice: Option<Duration>,
    /// How many connections to other servers may be open at once.
    pub connections: usize,
    /// How many of them to one recipient domain: so many it grows to while all goes well.
    pub connections_per_destination: usize,
    /// How many messages a minute go to one recipient domain at most.
    pub rate: Option<u32>,
    /// What holds for some domains in place of the two.
    pub destinations: BTreeMap<Domain, DestinationLimits>,
    /// How long a connection is kept for another message; zero closes it at once.
    pub keep_connections: Duration,
}

/// How much one recipient domain gets at a time, where it is not what all get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DestinationLimits {
    /// The most connections at once.
    pub connections: Option<usize>,
    /// The most messages a minute.
    pub rate: Option<u32>,
}

impl DestinationLimits {
    /// Joins the two.
    pub fn new(connections: Option<usize>, rate: Option<u32>) -> Self {
        Self { connections, rate }
    }
}

impl Default for QueueConfig {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            retry: [5, 15, 30, 60, 120, 240].map(minutes).to_vec(),
            expire: Duration::from_secs(5 * 86_400),
            delay_notice: Some(Duration::from_secs(4 * 3600)),
            connections: 50,
            connections_per_destination: 20,
            rate: None,
            destinations: BTreeMap::new(),
            keep_connections: Duration::from_secs(5),
        }
    }
}

/// What one peer may take.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest message, in octets. RFC 5321 §4.5.3.1.7: at least 64 KiB.
    pub message_size: u64,
    /// The most recipients of one transaction. RFC 5321 §4.5.3.1.8: at least 100.
    pub recipients: usize,
    /// The most different domains among the recipients of one transaction; 0 for no such limit (RFC 9422 §4.3).
    pub recipient_domains: u32,
    /// The most connections at once, all listeners together.
    pub connections: u32,
    /// The most connections at once from one address. Behind a proxy that speaks the PROXY protocol, the clients it
    /// names are counted.
    pub connections_per_address: u32,
    /// The most connections at once from one network, `/24` or `/48`; this machine has none.
    pub connections_per_network: u32,
    /// How many bits of an IPv6 address make one client where connections are counted, 0 to 128: whoever has one
    /// address has its whole network, and that is 64 as a rule.
    pub ipv6_prefix: u8,
    /// The most IMAP sessions of one account at once.
    pub sessions_per_account: u32,
    /// The most IMAP commands of one account that are at work at once, in all its sessions; further ones wait for their
    /// turn.
    pub commands_per_account: usize,
    /// The most password checks at once: each takes a core and 19 MiB for some 20 ms.
    pub password_checks: usize,
    /// The most threads that search, sort and thread mail at once, for all IMAP sessions together; the others wait. The
    /// number of cores.
    pub search_threads: usize,
    /// The most mailboxes that an IMAP session can watch by NOTIFY; with more it is told NOTIFICATIONOVERFLOW (RFC 5465
    /// §5.8). Each takes some 300 octets.
    pub watched_mailboxes: usize,
    /// How often an IMAP client that waits for a long command is told how far it is (RFC 9585).
    pub imap_progress_interval: Duration,
    /// What a sender is told whose message has no room in a mailbox.
    pub over_quota: OverQuota,
    /// How long an SMTP, submission or LMTP client may be silent. RFC 5321 §4.5.3.2.7: at least 5 minutes.
    pub smtp_timeout: Duration,
    /// How many octets of a message have to come in a second, on average and once `smtp_timeout` has passed; 0 for
    /// no such limit.
    pub smtp_least_rate: u64,
    /// How long the answer to a recipient that is refused is held back: it slows down those who try out
    /// addresses.
    pub refusal_delay: Duration,
    /// How long an IMAP client may be silent. RFC 9051 §5.4: at least 30 minutes.
    pub imap_timeout: Duration,
    /// How long a POP3 client may be silent. RFC 1939 §3: at least 10 minutes.
    pub pop3_timeout: Duration,
    /// How long a POP3 client has to wait between logins (RFC 2449 §6.5), in whole seconds; zero for no time.
    pub pop3_login_delay: Duration,
    /// How long a client of IMAP, POP3 or submission may take until it is logged in, whatever it does meanwhile.
    pub login_timeout: Duration,
    /// How long a client may take nothing of what is sent to it.
    pub write_timeout: Duration,
    /// How many octets a second a client has to take of what is sent to it, on average and once `write_timeout` has
    /// passed; 0 for no such limit.
    pub write_least_rate: u64,
    /// How long connections may finish what they do when the server stops.
    pub shutdown_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            message_size: 50 << 20,
            recipients: 1000,
            recipient_domains: 0,
            connections: 10_000,
            connections_per_address: 1000,
            connections_per_network: 5000,
            ipv6_prefix: 64,
            sessions_per_account: 1000,
            commands_per_account: 100,
            // The other half of the cores serves those who are in.
            password_checks: cores.div_ceil(2),
            search_threads: cores,
            over_quota: OverQuota::default(),
            watched_mailboxes: 10_000,
            imap_progress_interval: Duration::from_secs(15),
            smtp_timeout: Duration::from_secs(5 * 60),
            smtp_least_rate: 100,
            refusal_delay: Duration::ZERO,
            imap_timeout: Duration::from_secs(30 * 60),
            pop3_timeout: Duration::from_secs(10 * 60),
            pop3_login_delay: Duration::ZERO,
            login_timeout: Duration::from_secs(3 * 60),
            write_timeout: Duration::from_secs(5 * 60),
            write_least_rate: 100,
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// A server that has a name and a data folder, and neither domains nor listeners yet.
    pub fn new(hostname: Domain, data: impl Into<PathBuf>) -> Self {
        let data = data.into();
        Self {
            hostname,
            domains: Vec::new(),
            domains_file: Some(data.join("domains.toml")),
            anybody: false,
            accounts_file: data.join("accounts.toml"),
            aliases_file: Some(data.join("aliases.toml")),
            data,
            store: StoreKind::default(),
            accounts: Vec::new(),
            aliases: Aliases::new(),
            certificate: None,
            tls: TlsConfig::default(),
            acme: None,
            listeners: Vec::new(),
            plaintext_login: PlaintextLogin::default(),
            auth: Auth::default(),
            dkim: Vec::new(),
            outbound: Outbound::default(),
            queue: QueueConfig::default(),
            control: true,
            limits: Limits::default(),
            login_limits: LoginLimits::default(),
            password_hash: PasswordHashing::default(),
            quota: Quota::default(),
            filtering: Filtering::default(),
            web: Web::default(),
            observing: Observing::default(),
            from_header: FromHeader::default(),
            delivery: Delivery::default(),
        }
    }

    /// The file that the MTA-STS policies of other domains are kept in.
    pub fn policies_file(&self) -> PathBuf {
        self.data.join("mta-sts-policies")
    }

    /// The file that the greylist is kept in.
    pub fn greylist_file(&self) -> PathBuf {
        self.data.join("greylist")
    }

    /// Whether mail for `domain` ends here by the configuration itself, however it is written: case does not count, and A-labels are as
    /// good as U-labels.
    pub fn is_local(&self, domain: &Domain) -> bool {
        self.anybody || is_among(&self.domains, domain)
    }
}

/// Whether a domain is one of these, in whatever form.
pub(crate) fn is_among(domains: &[Domain], domain: &Domain) -> bool {
    domains.iter().any(|one| one.same_as(domain))
}

impl CertificateFiles {
    /// Names the two files.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
        }
    }
}

impl ListenerConfig {
    /// A listener with the TLS mode that is usual for its protocol.
    pub fn new(protocol: Protocol, address: SocketAddr) -> Self {
        Self {
            name: match address.port() {
                0 => protocol.to_string(),
                port => format!("{protocol}-{port}"),
            },
            address,
            protocol,
            tls: protocol.usual_tls(),
            certificate: None,
            optional: false,
            smtp: SmtpListener::default(),
        }
    }

    /// Lets the server start without it if another program has the address.
    #[must_use]
    pub fn optional(self) -> Self {
        Self {
            optional: true,
            ..self
        }
    }

    /// Sets how TLS starts.
    #[must_use]
    pub fn with_tls(self, tls: TlsMode) -> Self {
        Self { tls, ..self }
    }

    /// Sets the name.
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..self
        }
    }
}

impl Protocol {
    /// TLS on request, but for HTTP, which does not know that, and for what stays on the machine.
    fn usual_tls(self) -> TlsMode {
        match self {
            Self::Lmtp | Self::Metrics => TlsMode::None,
            Self::Http => TlsMode::Implicit,
            _ => TlsMode::Starttls,
        }
    }

    /// Its name in configurations, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Lmtp => "lmtp",
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Http => "http",
            Self::Metrics => "metrics",
        }
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
