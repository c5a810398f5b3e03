//! The configuration file: its keys, and the checks that go beyond one value.

use super::StoreKind;
use super::auth::{AuthSection, DkimSection, dkim_keys};
use super::delivery::{DeliverySection, ListSection};
use super::filter::{self, DnsListsSection, FilterSection, GreylistSection, RateLimitsSection};
use super::is_among;
use super::limits::LimitsSection;
use super::listener::{ListenerSection, listeners};
use super::lists::aliases;
use super::login::{LoginLimitsSection, PasswordHashingSection, hashing};
use super::observing::{LogSection, MetricsSection, TraceSection, observing};
use super::outbound::OutboundSection;
use super::problem::Problems;
use super::queue::QueueSection;
use super::sendmail::SendmailSection;
use super::tls::{AcmeSection, TlsSection};
use super::values::{Targets, Text};
use super::web::{StsSection, WebSection, web};
use super::{AccountEntry, AccountSection, Config, ConfigError, FromHeader, PlaintextLogin, QuotaSection};
use crate::names;
use mailwright_address::Domain;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use toml::Spanned;

impl Config {
    /// Reads a configuration file. Relative paths in it start at its own folder.
    ///
    /// # Errors
    ///
    /// All mistakes that were found, each with its line.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::unreadable(path, &error, "give the right path with --config"))?;
        Self::parse(&text, path)
    }

    /// Reads a configuration from text that stands, or would stand, in the file `path`.
    ///
    /// # Errors
    ///
    /// All mistakes that were found, each with its line.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text).map_err(|error| ConfigError::syntax(path, text, &error))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut found = Problems::new(path, text);
        let config = file.into_config(folder, &mut found);
        found.finish(config)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    hostname: Text<Domain>,
    domains: Spanned<Vec<Text<Domain>>>,
    data: PathBuf,
    #[serde(default)]
    store: StoreKind,
    accounts_file: Option<PathBuf>,
    domains_file: Option<PathBuf>,
    #[serde(default)]
    plaintext_login: PlaintextLogin,
    tls: Option<Spanned<TlsSection>>,
    acme: Option<Spanned<AcmeSection>>,
    #[serde(default)]
    listener: Vec<Spanned<ListenerSection>>,
    #[serde(default)]
    account: Vec<Spanned<AccountSection>>,
    #[serde(default)]
    aliases: BTreeMap<Spanned<String>, Targets>,
    aliases_file: Option<PathBuf>,
    #[serde(default)]
    auth: AuthSection,
    #[serde(default)]
    dkim: Vec<Spanned<DkimSection>>,
    #[serde(default)]
    outbound: OutboundSection,
    #[serde(default)]
    queue: QueueSection,
    control: Option<bool>,
    sendmail: Option<SendmailSection>,
    user: Option<String>,
    group: Option<String>,
    #[serde(default)]
    allow_root: bool,
    #[serde(default)]
    from_header: FromHeader,
    #[serde(default)]
    limits: LimitsSection,
    #[serde(default)]
    login_limits: LoginLimitsSection,
    password_hash: Option<Spanned<PasswordHashingSection>>,
    #[serde(default)]
    quota: QuotaSection,
    #[serde(default)]
    filter: Vec<Spanned<FilterSection>>,
    #[serde(default)]
    dns_lists: DnsListsSection,
    #[serde(default)]
    greylist: GreylistSection,
    #[serde(default)]
    rate_limits: RateLimitsSection,
    web: Option<WebSection>,
    mta_sts: Option<StsSection>,
    metrics: Option<MetricsSection>,
    trace: Option<TraceSection>,
    log: Option<LogSection>,
    #[serde(default)]
    delivery: DeliverySection,
    #[serde(default)]
    lists: BTreeMap<Spanned<String>, ListSection>,
}

impl File {
    fn into_config(self, folder: &Path, found: &mut Problems<'_>) -> Config {
        let mut config = Config::new(self.hostname.0, folder.join(self.data));
        if self.domains.get_ref().is_empty() {
            found.add(
                Some(self.domains.span()),
                "no domain is local",
                Some("name the domains whose mail ends here"),
            );
        }
        config.domains = self
            .domains
            .into_inner()
            .into_iter()
            .map(|domain| domain.0)
            .collect();
        config.store = self.store;
        if let Some(path) = self.accounts_file {
            config.accounts_file = folder.join(path);
        }
        if let Some(path) = self.domains_file {
            config.domains_file = Some(folder.join(path));
        }
        let local = config.local_domains(found);
        config.plaintext_login = self.plaintext_login;
        TlsSection::apply(self.tls, &mut config, folder, found);
        config.listeners = listeners(self.listener, folder, found);
        AcmeSection::apply(self.acme, &mut config, &local, folder, found);
        config.accounts = accounts(self.account, &local, found);
        config.aliases = aliases(self.aliases, &local, found);
        if let Some(path) = self.aliases_file {
            config.aliases_file = Some(folder.join(path));
        }
        config.auth = self.auth.into_config();
        config.dkim = dkim_keys(self.dkim, folder, found);
        config.outbound = self.outbound.into_config(folder, &local, found);
        config.queue = self.queue.into_config(found);
        config.control = self.control.unwrap_or(true);
        config.sendmail = self.sendmail.map(|it| it.into_config(folder, &local, found));
        config.service.user = self.user;
        config.service.group = self.group;
        config.service.allow_root = self.allow_root;
        config.from_header = self.from_header;
        config.limits = self.limits.into_config();
        config.login_limits = self.login_limits.into_config();
        config.password_hash = hashing(self.password_hash, found);
        config.quota = self.quota.into();
        config.filtering = filter::filtering(
            self.filter,
            self.dns_lists,
            self.greylist,
            self.rate_limits,
            folder,
            found,
        );
        config.web = web(self.web, self.mta_sts, found);
        config.observing = observing(self.metrics, self.trace, self.log, found);
        let folders = (folder, &*config.data);
        config.delivery = self
            .delivery
            .into_config(self.lists, folders, &config.domains, found);
        config
    }
}

fn accounts(
    sections: Vec<Spanned<AccountSection>>,
    domains: &[Domain],
    found: &mut Problems<'_>,
) -> Vec<AccountEntry> {
    let mut seen = HashMap::new();
    let mut accounts = Vec::new();
    for section in sections {
        let span = section.span();
        let entry = AccountEntry::from(section.into_inner());
        if !entry
            .name
            .domain()
            .is_some_and(|domain| is_among(domains, &domain))
        {
            let what = format!("{}: its domain is not one of ours", entry.name);
            found.add(
                Some(span.clone()),
                what,
                Some("add the domain to `domains`, or correct the name"),
            );
        }
        if seen.insert(names::key(entry.name.as_str()), ()).is_some() {
            found.add(
                Some(span.clone()),
                format!("{} is there twice", entry.name),
                Some("remove one of them"),
            );
        }
        if let Err((what, help)) = entry.check() {
            found.add(Some(span), format!("{}: {what}", entry.name), Some(help));
        }
        accounts.push(entry);
    }
    accounts
}
