//! The whole configuration as a file has it, with every default filled in
//!
//! What is written can be read again, and means the same: all but secrets, which are left out.

use super::filter::RateText;
use super::values::{Size, Span};
use super::{
    AccountEntry, Acme, Auth, CertificateFiles, Config, Delivery, DnsLists, FilterAddress, FilterConfig,
    FilterKind, FixedRoute, Greylisting, Limits, List, ListenerConfig, LoginLimits, Observing, Outbound,
    PasswordHashing, Posting, Protocol, QueueConfig, Quota, RateLimits, Sendmail, SmartHost, Srs, Vacation,
    Way,
};
use crate::names::domain_key;
use mailwright_address::Domain;
use mailwright_filter::rate::Rate;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::time::Duration;
use toml::{Table, Value};

impl Config {
    /// The configuration as a file has it, with every default filled in. The secrets of accounts are left out:
    /// passwords, SCRAM verifiers and application passwords.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(&self.shown()).expect("its tables have values that TOML knows")
    }

    /// The same as JSON, in the structure of the file.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(&self.shown()).expect("its tables have values that JSON knows")
    }

    fn shown(&self) -> Section {
        let data = &self.data;
        let accounts: Vec<_> = self.accounts.iter().map(account).collect();
        let listeners: Vec<_> = self.listeners.iter().map(listener).collect();
        let filters: Vec<_> = self.filtering.filters.iter().map(filter).collect();
        let keys = self.dkim.iter().map(|key| {
            let from = (key.from > 0).then(|| Vacation::day_text(key.from));
            Section::new()
                .set("domain", text(&key.domain))
                .set("selector", &key.selector)
                .set("key", path(&key.file))
                .set("from", from)
        });
        let lists = self.delivery.lists.values();
        let lists: BTreeMap<_, _> = lists.map(|one| (text(&one.address), list(one))).collect();
        let aliases = self.aliases.iter().map(|(name, to)| (name, texts(to)));
        observing(&self.observing)
            .set("hostname", text(&self.hostname))
            .set("domains", texts(&self.domains))
            .set("data", path(data))
            .set("store", self.store)
            .set("accounts_file", path(&self.accounts_file))
            .set("domains_file", self.domains_file.as_deref().map(path))
            .set("aliases_file", self.aliases_file.as_deref().map(path))
            .set("plaintext_login", self.plaintext_login)
            .set("control", self.control)
            .set(
                "sendmail",
                self.sendmail.as_ref().map(|it| sendmail(it, &self.hostname)),
            )
            .set("user", self.service.user.as_ref())
            .set("group", self.service.group.as_ref())
            .set("allow_root", self.service.allow_root)
            .set("from_header", self.from_header)
            .set("tls", self.shown_tls())
            .set("acme", self.acme.as_ref().map(acme))
            .set("listener", listeners)
            .set("account", accounts)
            .set("aliases", aliases.collect::<BTreeMap<_, _>>())
            .set("auth", auth(&self.auth))
            .set("dkim", keys.collect::<Vec<_>>())
            .set("outbound", outbound(&self.outbound))
            .set("queue", queue(&self.queue))
            .set("limits", limits(&self.limits))
            .set("login_limits", login_limits(&self.login_limits))
            .set("password_hash", password_hash(self.password_hash))
            .set("quota", quota(self.quota))
            .set("filter", filters)
            .set("dns_lists", dns_lists(&self.filtering.dns_lists))
            .set("greylist", greylist(&self.filtering.greylist))
            .set("rate_limits", rate_limits(&self.filtering.rates))
            .set("web", self.shown_web())
            .set("mta_sts", self.shown_sts())
            .set("delivery", self.shown_delivery())
            .set("lists", lists)
    }

    fn shown_tls(&self) -> Section {
        let also = self
            .tls
            .also
            .iter()
            .map(|files| pair(Section::new(), Some(files)));
        pair(Section::new(), self.certificate.as_ref())
            .set("also", also.collect::<Vec<_>>())
            .set("client_ca", self.tls.client_ca.as_deref().map(path))
    }

    fn shown_web(&self) -> Section {
        let hostname = self.web.hostname.as_ref().unwrap_or(&self.hostname);
        Section::new()
            .set("hostname", text(hostname))
            .set("ports", &self.web.ports)
            .set("behind_tls", self.web.behind_tls)
    }

    fn shown_sts(&self) -> Section {
        let sts = &self.web.sts;
        let mx = match sts.mx.is_empty() {
            true => vec![domain_key(&self.hostname)],
            false => sts.mx.clone(),
        };
        Section::new()
            .set("mode", sts.mode)
            .set("mx", mx)
            .set("max_age", span(sts.max_age))
    }

    fn shown_delivery(&self) -> Section {
        let Delivery {
            separators,
            subaddress_folders,
            folders,
            srs,
            vacation_senders,
            quota_warnings,
            recipients_at_once,
            lists: _,
            lists_file,
        } = &self.delivery;
        let usual = Srs::new(self.data.join("srs-secrets"));
        let rewriting = srs.as_ref().unwrap_or(&usual);
        let domain = rewriting.domain.as_ref().or(self.domains.first());
        let folders = folders.iter().map(|folder| {
            let special_use = folder.special_use.map_or("none", |it| it.name());
            (folder.name.to_string(), special_use.to_lowercase())
        });
        Section::new()
            .set("separators", separators)
            .set("subaddress_folders", subaddress_folders)
            .set("folders", folders.collect::<BTreeMap<_, _>>())
            .set("srs", srs.is_some())
            .set("srs_domain", domain.map(text))
            .set("srs_secrets", path(&rewriting.secrets))
            .set("srs_max_age", format!("{}d", rewriting.max_age))
            .set("srs_hash_length", rewriting.hash_length)
            .set("vacation_senders", vacation_senders)
            .set("quota_warnings", quota_warnings)
            .set("recipients_at_once", recipients_at_once)
            .set("lists_file", lists_file.as_deref().map(path))
    }
}

/// A section that is being written.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
struct Section(Table);

impl Section {
    fn new() -> Self {
        Self::default()
    }

    /// Adds a key, unless there is no value: TOML has no word for that.
    fn set(mut self, key: &str, value: impl Serialize) -> Self {
        if let Ok(value) = Value::try_from(value) {
            self.0.insert(key.to_owned(), value);
        }
        self
    }
}

fn account(entry: &AccountEntry) -> Section {
    Section::new()
        .set("name", text(&entry.name))
        .set("password_logins", entry.password_logins)
        .set("send_as", texts(&entry.send_as))
        .set("certificates", texts(&entry.certificates))
        .set("quota", entry.quota.map(quota))
        .set("admin", entry.admin)
        .set("disabled", entry.disabled)
        .set("imap_without", &entry.imap_without)
        .set("forward", texts(&entry.forward))
        .set("keep_copy", entry.keep_copy)
        .set("vacation", entry.vacation.as_ref().map(Vacation::to_table))
}

fn quota(quota: Quota) -> Section {
    Section::new()
        .set("storage", quota.storage.map(size))
        .set("messages", quota.messages)
}

fn pair(section: Section, files: Option<&CertificateFiles>) -> Section {
    section
        .set("certificate", files.map(|files| path(&files.certificate)))
        .set("key", files.map(|files| path(&files.key)))
}

fn acme(acme: &Acme) -> Section {
    Section::new()
        .set("terms_agreed", true)
        .set("directory", &acme.directory)
        .set("contact", texts(&acme.contact))
        .set("names", texts(&acme.names))
        .set("address", acme.address.map(text))
        .set("ca", acme.ca.as_deref().map(path))
        .set("retry", span(acme.retry))
}

fn listener(listener: &ListenerConfig) -> Section {
    let section = Section::new()
        .set("name", &listener.name)
        .set("address", text(listener.address))
        .set("protocol", listener.protocol.as_str())
        .set("tls", listener.tls)
        .set("reuse_port", listener.reuse_port);
    let section = pair(section, listener.certificate.as_ref());
    let smtp = &listener.smtp;
    match listener.protocol {
        Protocol::Smtp | Protocol::Submission | Protocol::Lmtp => section
            .set("proxy", smtp.proxy)
            .set("xclient", texts(&smtp.xclient))
            .set("xforward", texts(&smtp.xforward))
            .set("greeting_delay", span(smtp.greeting_delay))
            .set("verify", smtp.verify),
        _ => section,
    }
}

fn auth(auth: &Auth) -> Section {
    let modes = |modes: &BTreeMap<_, _>| -> BTreeMap<_, _> {
        let modes = modes.iter();
        modes.map(|(domain, mode)| (text(domain), *mode)).collect()
    };
    Section::new()
        .set("mode", auth.mode)
        .set("recipients", modes(&auth.recipients))
        .set("senders", modes(&auth.senders))
        .set("trusted", texts(&auth.trusted))
        .set("defer_on_errors", auth.defer_on_errors)
        .set("timeout", span(auth.timeout))
        .set("received_spf", auth.received_spf)
        .set("arc_sealers", texts(&auth.arc_sealers))
        .set("reports", auth.reports.as_ref().map(text))
}

fn outbound(outbound: &Outbound) -> Section {
    let routes = outbound.routes.iter();
    let routes: BTreeMap<_, _> = routes.map(|(domain, to)| (text(domain), route(to))).collect();
    let section = Section::new()
        .set("enabled", outbound.enabled)
        .set("resolver", outbound.resolver.map(text))
        .set("hosts", outbound.hosts_file.as_deref().map(path))
        .set("serve_stale", span(outbound.serve_stale))
        .set("port", outbound.port)
        .set("https_port", outbound.https_port)
        .set("tls_policies", outbound.tls_policies)
        .set("tls_reports", outbound.tls_reports.as_ref().map(text))
        .set("ca", outbound.ca.as_deref().map(path))
        .set("smart_host", outbound.smart_host.as_ref().map(smart_host))
        .set("routes", routes);
    way(section, &outbound.way)
}

fn smart_host(host: &SmartHost) -> Section {
    let login = host.login.as_ref();
    let section = Section::new()
        .set("host", text(&host.endpoint.host))
        .set("port", host.endpoint.port)
        .set("tls", host.tls)
        .set("user", login.map(|login| &login.user))
        .set("password_file", login.map(|login| path(&login.password_file)));
    way(section, &host.way)
}

fn route(route: &FixedRoute) -> Section {
    let section = Section::new()
        .set("subdomains", route.subdomains)
        .set("lmtp", route.way.protocol == Protocol::Lmtp);
    let section = match (&route.way.socket, &route.endpoint) {
        // There is no TLS over a Unix socket.
        (Some(socket), _) => section.set("to", format!("unix:{}", socket.display())),
        (None, endpoint) => section
            .set("to", endpoint.as_ref().map(text))
            .set("tls", route.tls),
    };
    way(section, &route.way)
}

fn way(section: Section, way: &Way) -> Section {
    section
        .set("source", texts(&way.source))
        .set("ehlo", way.ehlo.as_ref().map(text))
}

fn queue(queue: &QueueConfig) -> Section {
    let notice = queue.delay_notice.map_or_else(|| "never".to_owned(), span);
    let destinations = queue.destinations.iter().map(|(domain, limits)| {
        let limits = Section::new()
            .set("connections", limits.connections)
            .set("rate", limits.rate);
        (text(domain), limits)
    });
    let retry: Vec<_> = queue.retry.iter().copied().map(span).collect();
    Section::new()
        .set("retry", retry)
        .set("expire", span(queue.expire))
        .set("delay_notice", notice)
        .set("connections", queue.connections)
        .set("connections_per_destination", queue.connections_per_destination)
        .set("rate", queue.rate)
        .set("destinations", destinations.collect::<BTreeMap<_, _>>())
        .set("keep_connections", span(queue.keep_connections))
}

fn limits(limits: &Limits) -> Section {
    Section::new()
        .set("message_size", size(limits.message_size))
        .set("recipients", limits.recipients)
        .set("recipient_domains", limits.recipient_domains)
        .set("connections", limits.connections)
        .set("connections_per_address", limits.connections_per_address)
        .set("connections_per_network", limits.connections_per_network)
        .set("ipv6_prefix", limits.ipv6_prefix)
        .set("sessions_per_account", limits.sessions_per_account)
        .set("commands_per_account", limits.commands_per_account)
        .set("password_checks", limits.password_checks)
        .set("search_threads", limits.search_threads)
        .set("over_quota", limits.over_quota)
        .set("watched_mailboxes", limits.watched_mailboxes)
        .set("imap_progress_interval", span(limits.imap_progress_interval))
        .set("smtp_timeout", span(limits.smtp_timeout))
        .set("smtp_least_rate", limits.smtp_least_rate)
        .set("refusal_delay", span(limits.refusal_delay))
        .set("imap_timeout", span(limits.imap_timeout))
        .set("pop3_timeout", span(limits.pop3_timeout))
        .set("pop3_login_delay", span(limits.pop3_login_delay))
        .set("login_timeout", span(limits.login_timeout))
        .set("write_timeout", span(limits.write_timeout))
        .set("write_least_rate", limits.write_least_rate)
        .set("shutdown_grace", span(limits.shutdown_grace))
}

fn login_limits(limits: &LoginLimits) -> Section {
    Section::new()
        .set("failures_per_address", rate(limits.failures_per_address))
        .set("failures_per_network", rate(limits.failures_per_network))
        .set("failures_per_account", rate(limits.failures_per_account))
        .set("failures_per_known_place", rate(limits.failures_per_known_place))
        .set("ipv4_prefix", limits.ipv4_prefix)
        .set("ipv6_prefix", limits.ipv6_prefix)
        .set("delay", span(limits.delay))
        .set("longest_delay", span(limits.longest_delay))
        .set("remember", span(limits.remember))
        .set("exempt", texts(&limits.exempt))
        .set("entries", limits.entries)
        .set("cache", span(limits.cache))
        .set("waiting", limits.waiting)
}

fn password_hash(hashing: PasswordHashing) -> Section {
    Section::new()
        .set("memory", size(u64::from(hashing.memory) << 10))
        .set("passes", hashing.passes)
        .set("lanes", hashing.lanes)
}

fn filter(filter: &FilterConfig) -> Section {
    let address = match &filter.address {
        FilterAddress::Tcp(endpoint) => text(endpoint),
        FilterAddress::Unix(socket) => format!("unix:{}", socket.display()),
    };
    let section = Section::new()
        .set("kind", text(&filter.kind))
        .set("address", address)
        .set("name", &filter.name)
        .set("mail", filter.mail)
        .set("on_error", filter.on_error)
        .set("connect_timeout", span(filter.connect_timeout))
        .set("timeout", span(filter.timeout))
        .set(
            "max_size",
            (filter.max_size < u64::MAX).then(|| size(filter.max_size)),
        );
    match &filter.kind {
        // It says itself what is to happen.
        FilterKind::Milter => section,
        FilterKind::Spamd { user, reject } => section
            .set("on_hit", filter.on_hit)
            .set("user", user)
            .set("reject", reject),
        _ => section.set("on_hit", filter.on_hit),
    }
}

fn dns_lists(lists: &DnsLists) -> Section {
    let each = lists.lists.iter().map(|list| {
        Section::new()
            .set("zone", &list.zone)
            .set("weight", list.weight)
            .set("codes", texts(&list.codes))
    });
    Section::new()
        .set("list", each.collect::<Vec<_>>())
        .set("reject", lists.reject)
        .set("junk", lists.junk)
        .set("timeout", span(lists.timeout))
}

fn greylist(greylist: &Greylisting) -> Section {
    Section::new()
        .set("enabled", greylist.enabled)
        .set("wait", span(greylist.table.wait))
        .set("window", span(greylist.table.window))
        .set("keep", span(greylist.table.keep))
        .set("auto_allow", greylist.table.auto_allow)
        .set("entries", greylist.table.capacity)
        .set("ipv4_prefix", greylist.ipv4_prefix)
        .set("ipv6_prefix", greylist.ipv6_prefix)
}

fn rate_limits(rates: &RateLimits) -> Section {
    Section::new()
        .set("connections_per_address", rate(rates.connections_per_address))
        .set("messages_per_address", rate(rates.messages_per_address))
        .set("messages_per_network", rate(rates.messages_per_network))
        .set("messages_per_sender", rate(rates.messages_per_sender))
        .set("recipients_per_account", rate(rates.recipients_per_account))
        .set(
            "recipients_per_account_daily",
            rate(rates.recipients_per_account_daily),
        )
        .set("messages_per_account", rate(rates.messages_per_account))
        .set(
            "messages_per_account_daily",
            rate(rates.messages_per_account_daily),
        )
        .set("entries", rates.entries)
}

/// The sections that say how a server can be watched.
fn observing(observing: &Observing) -> Section {
    let metrics = observing.metrics.as_ref().map(|metrics| {
        Section::new()
            .set("address", text(metrics.address))
            .set("allow", texts(&metrics.allow))
    });
    let (trace, log) = (&observing.trace, &observing.log);
    let trace = Section::new()
        .set("enabled", trace.enabled)
        .set("max_size", size(trace.max_size))
        .set("keep", span(trace.keep));
    let log = Section::new().set("level", &log.level).set("format", log.format);
    Section::new()
        .set("metrics", metrics)
        .set("trace", trace)
        .set("log", log)
}

fn list(list: &List) -> Section {
    let section = Section::new()
        .set("members", texts(&list.members))
        .set("owner", text(&list.owner))
        .set("description", &list.description);
    match &list.post {
        Posting::Members => section.set("post", "members"),
        Posting::Anyone => section.set("post", "anyone"),
        Posting::Only(addresses) => section.set("post", texts(addresses)),
    }
}

fn sendmail(sendmail: &Sendmail, hostname: &Domain) -> Section {
    let send_as = sendmail.send_as.iter();
    let send_as: BTreeMap<_, _> = send_as.map(|(user, to)| (user, texts(to))).collect();
    Section::new()
        .set("socket", path(&sendmail.socket))
        .set("group", sendmail.group.as_ref())
        .set("domain", text(sendmail.domain_on(hostname)))
        .set("send_as", send_as)
}

fn text(value: impl Display) -> String {
    value.to_string()
}

fn texts(values: &[impl Display]) -> Vec<String> {
    values.iter().map(text).collect()
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn span(duration: Duration) -> String {
    Span(duration).to_string()
}

fn size(octets: u64) -> String {
    Size(octets).to_string()
}

fn rate(rate: Option<Rate>) -> String {
    RateText(rate).to_string()
}
