//! What is said about HTTP: how mail programs reach the server, and the MTA-STS policy

use super::problem::Problems;
use super::values::{Span, Text};
use crate::offer;
use mailwright_address::Domain;
use std::collections::BTreeMap;
use std::time::Duration;
use toml::Spanned;

/// What listeners for HTTP tell, and what the DNS is to tell of the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Web {
    /// The host that mail programs are told to connect to. Default: the server's own name.
    pub hostname: Option<Domain>,
    /// The ports that they are told, by service: `imaps`, `imap`, `pop3s`, `pop3`, `submissions`, `submission`. Default:
    /// those of the listeners that other machines reach. Only what others reach through a proxy needs to be said.
    pub ports: BTreeMap<String, u16>,
    /// Whether a proxy in front of the listeners without TLS speaks TLS with the clients.
    pub behind_tls: bool,
    /// The MTA-STS policy of all domains.
    pub sts: StsPolicy,
}

/// An MTA-STS policy (RFC 8461 §3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StsPolicy {
    /// What other servers do with it. Default [`StsMode::Enforce`].
    pub mode: StsMode,
    /// The hosts that take mail, or `*.` and the domain above them. Default: the server itself.
    pub mx: Vec<String>,
    /// How long the policy is remembered. Default: a week. RFC 8461 §3.2: at most 31,557,600 seconds, a year.
    pub max_age: Duration,
}

/// What other servers do with an MTA-STS policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums)] // RFC 8461 §3.2 closes the list
pub enum StsMode {
    /// They send no mail without TLS and a certificate for the host.
    #[default]
    Enforce,
    /// They send it, and report what would have failed.
    Testing,
    /// There is no policy any more.
    None,
}

impl std::fmt::Display for StsMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        })
    }
}

impl StsPolicy {
    /// The longest time that a policy may be remembered.
    pub const LONGEST: Duration = Duration::from_secs(31_557_600);
}

impl Default for StsPolicy {
    fn default() -> Self {
        Self {
            mode: StsMode::Enforce,
            mx: Vec::new(),
            max_age: Duration::from_secs(7 * 86_400),
        }
    }
}

#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct WebSection {
    hostname: Option<Text<Domain>>,
    #[serde(default)]
    ports: BTreeMap<Spanned<String>, u16>,
    #[serde(default)]
    behind_tls: bool,
}

#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct StsSection {
    #[serde(default)]
    mode: StsMode,
    #[serde(default)]
    mx: Vec<Spanned<String>>,
    max_age: Option<Spanned<Text<Span>>>,
}

/// Joins the two sections.
pub(super) fn web(web: Option<WebSection>, sts: Option<StsSection>, found: &mut Problems<'_>) -> Web {
    let (web, sts) = (web.unwrap_or_default(), sts.unwrap_or_default());
    let mut ports = BTreeMap::new();
    for (name, port) in web.ports {
        if !offer::is_service(name.get_ref()) || port == 0 {
            let help = "use imaps, imap, pop3s, pop3, submissions or submission, and a port from 1 to 65535";
            let what = format!("{} = {port} is not a port of a service", name.get_ref());
            found.add(Some(name.span()), what, Some(help));
        }
        ports.insert(name.into_inner(), port);
    }
    Web {
        hostname: web.hostname.map(|name| name.0),
        ports,
        behind_tls: web.behind_tls,
        sts: sts.policy(found),
    }
}

impl StsSection {
    fn policy(self, found: &mut Problems<'_>) -> StsPolicy {
        let usual = StsPolicy::default();
        for host in &self.mx {
            let name = host.get_ref().strip_prefix("*.").unwrap_or(host.get_ref());
            if let Err(error) = Domain::parse(name) {
                let what = format!("\"{}\": {error}", host.get_ref());
                let help = "name a host, or *. and the domain above the hosts";
                found.add(Some(host.span()), what, Some(help));
            }
        }
        let max_age = self.max_age.map(|age| {
            let (span, age) = (age.span(), age.into_inner().0.0);
            if age > StsPolicy::LONGEST {
                let help = Some("a policy is remembered for a year at most: \"365d\"");
                found.add(Some(span), "max_age is too long", help);
            }
            age
        });
        StsPolicy {
            mode: self.mode,
            mx: self.mx.into_iter().map(Spanned::into_inner).collect(),
            max_age: max_age.unwrap_or(usual.max_age),
        }
    }
}
