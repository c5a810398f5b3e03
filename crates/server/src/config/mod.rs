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
mod limits;
mod listener;
mod lists;
mod login;
mod observing;
mod outbound;
mod problem;
mod queue;
mod sendmail;
mod service;
mod shown;
mod tls;
mod values;
mod web;

use mailwright_address::{Domain, EmailAddress};
use std::collections::BTreeMap;
use std::path::PathBuf;

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
pub use limits::Limits;
pub use listener::{ListenerConfig, PlaintextLogin, Protocol, SmtpListener, TlsMode};
pub use lists::{read_aliases, read_domains};
pub use login::{LoginLimits, PasswordHashing};
pub use observing::{LogConfig, LogFormat, MetricsConfig, Observing, TraceConfig};
pub use outbound::{FixedRoute, Outbound, RouteTls, SmartHost, SmartHostLogin, SmartHostTls, Way};
pub(crate) use problem::Problems;
pub use problem::{ConfigError, Problem};
pub use queue::{DestinationLimits, QueueConfig};
pub use sendmail::Sendmail;
pub use service::ServiceUser;
pub use tls::{Acme, CertificateFiles, TlsConfig};
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
    /// How users of this machine hand mail in, if they may.
    pub sendmail: Option<Sendmail>,
    /// Who the program becomes. A server that is made in code stays who it is.
    pub service: ServiceUser,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
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
            sendmail: None,
            service: ServiceUser::default(),
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
