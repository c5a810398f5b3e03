//! What is said about the origin of mail: how what comes in is checked, and with which keys what goes out is signed

use super::problem::Problems;
use super::values::{Network, Span, Text, Unreadable};
use mailwright_address::{Domain, EmailAddress};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use toml::Spanned;

/// How the origin of mail is checked that strangers send (SPF, DKIM, DMARC, ARC).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Auth {
    /// What is done with what was found out. Default [`AuthMode::Enforce`].
    pub mode: AuthMode,
    /// What is done in its place for recipients in a domain.
    pub recipients: BTreeMap<Domain, AuthMode>,
    /// What is done at most with mail of authors in a domain. With [`AuthMode::Off`], nothing.
    pub senders: BTreeMap<Domain, AuthMode>,
    /// The networks whose mail is not checked. Default: this machine.
    pub trusted: Vec<Network>,
    /// Whether mail is deferred where a check failed for the time being, and DMARC did not pass. Default off: it is
    /// taken, and marked.
    pub defer_on_errors: bool,
    /// How long answers of the DNS are waited for once the message is there; what was not answered then counts as an
    /// error for the time being. Default 20 seconds, the least of RFC 7208 §4.6.4.
    pub timeout: Duration,
    /// Whether messages get the field Received-SPF too. Default off.
    pub received_spf: bool,
    /// The domains that are believed what they say in an ARC chain of how a message came to them: mailing lists and
    /// forwarders. Where they saw DMARC pass, a failure has no consequences.
    pub arc_sealers: Vec<Domain>,
    /// Who sends aggregate reports to the domains that ask for them (RFC 9990). Without it nothing is counted.
    pub reports: Option<EmailAddress>,
}

/// What is done with what was found out about the origin of a message; the stricter, the later in this list.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, serde::Deserialize, serde::Serialize,
)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums)] // nothing, words, deeds
pub enum AuthMode {
    /// It is not checked.
    Off,
    /// It is written into the header.
    Mark,
    /// It is written into the header, and what domains publish by DMARC is done.
    #[default]
    Enforce,
}

impl Default for Auth {
    fn default() -> Self {
        let own = ["127.0.0.0/8", "::1"].map(|network| network.parse().expect("it is a network"));
        Self {
            mode: AuthMode::Enforce,
            recipients: BTreeMap::new(),
            senders: BTreeMap::new(),
            trusted: own.to_vec(),
            defer_on_errors: false,
            timeout: Duration::from_secs(20),
            received_spf: false,
            arc_sealers: Vec::new(),
            reports: None,
        }
    }
}

impl Auth {
    /// What is done for recipients in a domain.
    pub fn mode_for(&self, domain: Option<&Domain>) -> AuthMode {
        domain
            .and_then(|domain| find(&self.recipients, domain))
            .unwrap_or(self.mode)
    }

    /// What is done at most with mail of authors in a domain.
    pub fn mode_of_author(&self, domain: &Domain) -> AuthMode {
        find(&self.senders, domain).unwrap_or(AuthMode::Enforce)
    }
}

fn find(modes: &BTreeMap<Domain, AuthMode>, domain: &Domain) -> Option<AuthMode> {
    let exact = modes.get(domain);
    let same = || {
        modes
            .iter()
            .find(|(known, _)| known.same_as(domain))
            .map(|(_, mode)| mode)
    };
    exact.or_else(same).copied()
}

/// A key that outgoing mail of a domain is signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DkimKey {
    /// The domain that answers for the mail.
    pub domain: Domain,
    /// Under which name the key is published: `SELECTOR._domainkey.DOMAIN`.
    pub selector: String,
    /// The file that has the private key in PEM, RSA or Ed25519.
    pub file: PathBuf,
    /// From when on it signs, in seconds since 1970: the time before is for the DNS to learn of it. Of the keys of one
    /// kind, the one that began last signs.
    pub from: u64,
}

impl DkimKey {
    /// A key that signs from the beginning.
    pub fn new(domain: Domain, selector: impl Into<String>, file: impl Into<PathBuf>) -> Self {
        Self {
            domain,
            selector: selector.into(),
            file: file.into(),
            from: 0,
        }
    }
}

#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct AuthSection {
    mode: Option<AuthMode>,
    #[serde(default)]
    recipients: BTreeMap<Text<Domain>, AuthMode>,
    #[serde(default)]
    senders: BTreeMap<Text<Domain>, AuthMode>,
    trusted: Option<Vec<Text<Network>>>,
    defer_on_errors: Option<bool>,
    timeout: Option<Text<Span>>,
    received_spf: Option<bool>,
    #[serde(default)]
    arc_sealers: Vec<Text<Domain>>,
    reports: Option<Text<EmailAddress>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DkimSection {
    domain: Text<Domain>,
    selector: Text<Domain>,
    key: PathBuf,
    from: Option<Text<Day>>,
}

impl AuthSection {
    pub(super) fn into_config(self) -> Auth {
        let usual = Auth::default();
        let modes = |modes: BTreeMap<Text<Domain>, AuthMode>| {
            modes.into_iter().map(|(domain, mode)| (domain.0, mode)).collect()
        };
        Auth {
            mode: self.mode.unwrap_or(usual.mode),
            recipients: modes(self.recipients),
            senders: modes(self.senders),
            trusted: self.trusted.map_or(usual.trusted, |list| {
                list.into_iter().map(|network| network.0).collect()
            }),
            defer_on_errors: self.defer_on_errors.unwrap_or(usual.defer_on_errors),
            timeout: self.timeout.map_or(usual.timeout, |span| span.0.0),
            received_spf: self.received_spf.unwrap_or(usual.received_spf),
            arc_sealers: self.arc_sealers.into_iter().map(|domain| domain.0).collect(),
            reports: self.reports.map(|address| address.0),
        }
    }
}

pub(super) fn dkim_keys(
    sections: Vec<Spanned<DkimSection>>,
    folder: &Path,
    found: &mut Problems<'_>,
) -> Vec<DkimKey> {
    let mut keys: Vec<DkimKey> = Vec::new();
    for section in sections {
        let span = section.span();
        let section = section.into_inner();
        let key = DkimKey {
            domain: section.domain.0,
            selector: section.selector.0.as_str().to_owned(),
            file: folder.join(section.key),
            from: section.from.map_or(0, |day| day.0.0),
        };
        if let Err(error) = crate::keys::read_key(&key.file) {
            let help = Some("make one by `mailwright dkim keygen`");
            found.add(
                Some(span.clone()),
                format!("{}: {error}", key.file.display()),
                help,
            );
        }
        if keys
            .iter()
            .any(|known| known.domain.same_as(&key.domain) && known.selector == key.selector)
        {
            let what = format!("{} has two keys under the selector {}", key.domain, key.selector);
            found.add(Some(span), what, Some("give each key a selector of its own"));
        }
        keys.push(key);
    }
    keys
}

/// A day as people write it, `2026-12-31`: the second since 1970 in which it begins, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Day(pub(super) u64);

impl FromStr for Day {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let wrong = Unreadable::expected("expected a day, as \"2026-12-31\"");
        let day: jiff::civil::Date = text.parse().map_err(|_| wrong)?;
        let start = day.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| wrong)?;
        u64::try_from(start.timestamp().as_second())
            .map(Self)
            .map_err(|_| wrong)
    }
}
