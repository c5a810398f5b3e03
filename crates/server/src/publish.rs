//! What an operator has to publish in the DNS, and whether it is there
//!
//! MX (RFC 5321 §5), SPF (RFC 7208), DKIM (RFC 6376 §3.6), DMARC (RFC 9989), MTA-STS (RFC 8461), TLSRPT (RFC 8460), SRV
//! (RFC 6186, RFC 8314 §5.1), TLSA (RFC 7672), and the names that mail programs look for.

use crate::config::{Config, Protocol};
use crate::dns::Dns;
use crate::http::{Client, HttpError, Limits, Request};
use crate::keys::{UnusableKey, read_key};
use crate::names::domain_key;
use crate::offer;
use crate::tls::{self, TlsError};
use mailwright_address::Domain;
use mailwright_auth::crypto::SigningKey;
use mailwright_dns::{Answer, Name, Question, Record, RecordType, Security};
use mailwright_mx::sts::{Fetch, FetchError, Policy};
use ring::digest::{SHA256, digest};
use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A record that is to be published.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Wanted {
    /// Its owner.
    pub name: String,
    /// Its type, such as `MX`.
    pub kind: String,
    /// Its data as a zone file has it; in angle brackets what this server cannot know.
    pub value: String,
    /// What it is for.
    pub purpose: String,
    /// Whether mail suffers without it.
    pub needed: bool,
}

/// Everything that is to be published for a domain.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// The records.
    pub records: Vec<Wanted>,
    /// Where the MTA-STS policy has to be served.
    pub policy_url: String,
    /// Its text.
    pub policy: String,
}

/// How a record that was wanted was found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Found {
    /// As it should be.
    Right {
        /// What is there.
        found: Vec<String>,
    },
    /// There is none.
    Missing,
    /// It says something else.
    Different {
        /// What is there.
        found: Vec<String>,
    },
    /// The DNS could not tell.
    Unknown {
        /// Why.
        why: String,
    },
}

/// How long the policy may take to come: whoever waits for it sits at a terminal.
const POLICY_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a plan cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A key to sign with cannot be read.
    #[error("{}: {error}", file.display())]
    Key {
        /// Its file.
        file: PathBuf,
        /// What is wrong with it.
        error: UnusableKey,
    },
    /// The certificate cannot be read.
    #[error(transparent)]
    Certificate(#[from] TlsError),
}

impl Plan {
    /// What to publish for one of the domains of a server.
    ///
    /// # Errors
    ///
    /// When a key or the certificate cannot be read.
    pub fn new(config: &Config, domain: &Domain) -> Result<Self, PlanError> {
        let (host, domain_name) = (domain_key(&config.hostname), domain_key(domain));
        let mut plan = Records(Vec::new());
        plan.need(
            &domain_name,
            "MX",
            &format!("10 {host}."),
            "where mail for the domain goes",
        );
        plan.addresses(config, &host);
        let spf = "v=spf1 mx -all";
        plan.need(
            &domain_name,
            "TXT",
            &quote(spf),
            "SPF: who sends mail of the domain",
        );
        let helo = "v=spf1 a -all";
        plan.hint(
            &host,
            "TXT",
            &quote(helo),
            "SPF of the server's own name, for notices",
        );
        for key in config.dkim.iter().filter(|key| key.domain.same_as(domain)) {
            let file = key.file.clone();
            let private = read_key(&file).map_err(|error| PlanError::Key { file, error })?;
            let name = format!("{}._domainkey.{domain_name}", key.selector);
            let purpose = format!("DKIM: the key of {}", private.algorithm());
            plan.need(&name, "TXT", &quote(&private.record()), &purpose);
        }
        let reports = config
            .auth
            .reports
            .as_ref()
            .map_or_else(|| format!("postmaster@{domain_name}"), ToString::to_string);
        let dmarc = format!("v=DMARC1; p=quarantine; rua=mailto:{reports}");
        let purpose =
            "DMARC: what to do with mail that is not from here; p=none to begin with, p=reject in the end";
        plan.need(&format!("_dmarc.{domain_name}"), "TXT", &quote(&dmarc), purpose);
        let policy = sts_policy(config);
        let id = hex(&digest(&SHA256, policy.as_bytes()).as_ref()[..8]);
        plan.hint(
            &format!("_mta-sts.{domain_name}"),
            "TXT",
            &quote(&format!("v=STSv1; id={id}")),
            "MTA-STS: other servers have to use TLS; the id changes with the policy",
        );
        let policy_host = format!("mta-sts.{domain_name}");
        plan.hint(
            &policy_host,
            "CNAME",
            &format!("{host}."),
            "MTA-STS: the host that serves the policy",
        );
        let tls_reports = config.outbound.tls_reports.as_ref();
        let tls_reports =
            tls_reports.map_or_else(|| format!("postmaster@{domain_name}"), ToString::to_string);
        plan.hint(
            &format!("_smtp._tls.{domain_name}"),
            "TXT",
            &quote(&format!("v=TLSRPTv1; rua=mailto:{tls_reports}")),
            "TLSRPT: who hears of trouble with TLS",
        );
        plan.services(config, &domain_name);
        for name in ["autoconfig", "autodiscover"] {
            let name = format!("{name}.{domain_name}");
            plan.hint(
                &name,
                "CNAME",
                &format!("{host}."),
                "where mail programs look for their settings",
            );
        }
        if let Some(certificate) = tls::leaf_key(config)? {
            let data = hex(digest(&SHA256, &certificate).as_ref());
            plan.hint(
                &format!("_25._tcp.{host}"),
                "TLSA",
                &format!("3 1 1 {data}"),
                "DANE: the key of the certificate; only where the zone is signed by DNSSEC",
            );
        }
        Ok(Self {
            records: plan.0,
            policy_url: format!("https://{policy_host}/.well-known/mta-sts.txt"),
            policy,
        })
    }
}

impl Plan {
    /// Where the MTA-STS policy has to be, as an entry beside the records.
    pub fn policy_entry(&self) -> Wanted {
        Wanted {
            name: self.policy_url.clone(),
            kind: "policy".to_owned(),
            value: self
                .policy
                .replace("\r\n", "; ")
                .trim_end_matches("; ")
                .to_owned(),
            purpose: "MTA-STS: the policy itself".to_owned(),
            needed: false,
        }
    }

    /// Fetches the MTA-STS policy from this port as other servers do, and compares it with the one to be served.
    pub async fn check_policy(&self, client: &Client, port: u16) -> Found {
        use NoPolicy::{Http, Unusable};

        match self.fetch_policy(client, port).await {
            Ok(served) => {
                let found = vec![served.lines().collect::<Vec<_>>().join("; ")];
                match self.is_met_by(&served) {
                    true => Found::Right { found },
                    false => Found::Different { found },
                }
            }
            Err(
                error
                @ (Unusable(_) | Http(HttpError::Tls(_) | HttpError::TooLarge | HttpError::Protocol(_))),
            ) => Found::Different {
                found: vec![error.to_string()],
            },
            Err(error) => Found::Unknown {
                why: error.to_string(),
            },
        }
    }

    /// Fetches the MTA-STS policy from this port as other servers do (RFC 8461 §3.3).
    ///
    /// # Errors
    ///
    /// When it cannot be fetched, or what comes is no policy.
    pub async fn fetch_policy(&self, client: &Client, port: u16) -> Result<Policy, NoPolicy> {
        let mut url = self.policy_url.clone();
        if port != 443 {
            url = url.replace(Fetch::PATH, &format!(":{port}{}", Fetch::PATH));
        }
        let request = Request::get(&url)?;
        let limits = Limits::new(POLICY_TIMEOUT, Fetch::MAX_BODY);
        let response = client.send(request, limits).await?;
        let content_type = response.content_type.as_deref();
        Ok(Fetch::read(response.status, content_type, &response.body)?)
    }

    /// Whether a policy is the one to be served: its mode and hosts.
    pub fn is_met_by(&self, served: &Policy) -> bool {
        Policy::parse(self.policy.as_bytes())
            .is_ok_and(|wanted| wanted.mode() == served.mode() && wanted.patterns() == served.patterns())
    }

    /// The host that has to serve the MTA-STS policy.
    pub fn policy_host(&self) -> &str {
        let host = self.policy_url.trim_start_matches("https://");
        host.split_once('/').map_or(host, |(host, _)| host)
    }
}

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoPolicy {
    /// It cannot be fetched.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// What came is no policy.
    #[error(transparent)]
    Unusable(#[from] FetchError),
}

impl fmt::Display for Plan {
    /// As a zone file, with the policy behind it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for record in &self.records {
            writeln!(f, "; {}", record.purpose)?;
            // What this server does not know cannot stand in a zone.
            let comment = if record.value.contains('<') || record.name.contains('<') {
                "; "
            } else {
                ""
            };
            writeln!(f, "{comment}{}. IN {} {}", record.name, record.kind, record.value)?;
        }
        writeln!(f, "\n; The MTA-STS policy, to be served at {}:", self.policy_url)?;
        self.policy.lines().try_for_each(|line| writeln!(f, ";   {line}"))
    }
}

/// The MTA-STS policy of every domain of a server (RFC 8461 §3.2).
pub(crate) fn sts_policy(config: &Config) -> String {
    let sts = &config.web.sts;
    let mut policy = format!("version: STSv1\r\nmode: {}\r\n", sts.mode);
    let own = [domain_key(&config.hostname)];
    let hosts = if sts.mx.is_empty() { &own[..] } else { &sts.mx };
    for host in hosts {
        // Writing into a string cannot fail.
        let _ = write!(policy, "mx: {host}\r\n");
    }
    let _ = write!(policy, "max_age: {}\r\n", sts.max_age.as_secs());
    policy
}

/// Collects records.
struct Records(Vec<Wanted>);

impl Records {
    fn need(&mut self, name: &str, kind: &str, value: &str, purpose: &str) {
        self.add(name, kind, value, purpose, true);
    }

    fn hint(&mut self, name: &str, kind: &str, value: &str, purpose: &str) {
        self.add(name, kind, value, purpose, false);
    }

    fn add(&mut self, name: &str, kind: &str, value: &str, purpose: &str, needed: bool) {
        self.0.push(Wanted {
            name: name.to_owned(),
            kind: kind.to_owned(),
            value: value.to_owned(),
            purpose: purpose.to_owned(),
            needed,
        });
    }

    /// The addresses of the server, and the names of the addresses.
    fn addresses(&mut self, config: &Config, host: &str) {
        let mut known: Vec<IpAddr> = Vec::new();
        for listener in config.listeners.iter().filter(|it| it.protocol == Protocol::Smtp) {
            let address = listener.address.ip().to_canonical();
            if !address.is_unspecified() && !address.is_loopback() && !known.contains(&address) {
                known.push(address);
            }
        }
        let (server, back) = (
            "the address of the server",
            "the name of the address: the same, or mail is refused",
        );
        for address in &known {
            let kind = if address.is_ipv4() { "A" } else { "AAAA" };
            self.need(host, kind, &address.to_string(), server);
            let name = Name::reverse(*address).to_string();
            self.need(name.trim_end_matches('.'), "PTR", &format!("{host}."), back);
        }
        if known.is_empty() {
            self.need(host, "A", "<the public address of this server>", server);
            self.need("<the address, reversed>", "PTR", &format!("{host}."), back);
        }
    }

    /// Where mail programs find what the listeners offer.
    fn services(&mut self, config: &Config, domain: &str) {
        for service in offer::services(config) {
            let name = format!("_{}._tcp.{domain}", service.name);
            let value = format!("0 1 {} {}.", service.port, service.host);
            self.hint(&name, "SRV", &value, "where mail programs connect to");
        }
    }
}

impl Wanted {
    /// Asks whether the record is there.
    pub async fn check(&self, dns: &Dns) -> Found {
        let (Ok(name), Some(kind)) = (self.name.parse::<Name>(), kind_of(&self.kind)) else {
            return Found::Unknown {
                why: "it depends on the address of the server".to_owned(),
            };
        };
        let answer = dns.resolve(Question::new(name.clone(), kind)).await;
        // What a name is an alias of does not matter where it has what it needs.
        let answer = match kind {
            RecordType::Cname if answer.records().is_empty() && answer.failure().is_none() => {
                dns.resolve(Question::new(name, RecordType::A)).await
            }
            _ => answer,
        };
        self.compare(&answer)
    }

    fn compare(&self, answer: &Answer) -> Found {
        if let Some(failure) = answer.failure() {
            return Found::Unknown {
                why: failure.to_string(),
            };
        }
        let mut found: Vec<String> = answer.records().iter().map(shown).collect();
        if self.kind == "TXT" {
            // Of all the texts at a name, only those of the same kind count.
            let tag = tag_of(&self.value);
            found.retain(|text| tag_of(text) == tag);
        }
        if found.is_empty() {
            return Found::Missing;
        }
        if self.kind == "TLSA" && answer.security() != Security::Secure {
            return Found::Different { found };
        }
        match self.is_met_by(&found) {
            true => Found::Right { found },
            false => Found::Different { found },
        }
    }

    fn is_met_by(&self, found: &[String]) -> bool {
        let same = |text: &String| *text == self.value;
        let tag = tag_of(&self.value);
        match (self.kind.as_str(), tag.as_str()) {
            // Two records of SPF or DMARC are as good as none.
            ("TXT", "v=spf1") => {
                matches!(found, [one] if one.contains("-all") || one.contains("~all") || one.contains("redirect="))
            }
            ("TXT", "v=dmarc1") => {
                matches!(found, [one] if mailwright_auth::dmarc::Record::parse(unquote(one).as_bytes()).is_ok())
            }
            ("TXT", "v=tlsrptv1") => found.len() == 1,
            ("TXT", "v=stsv1") => found.len() == 1 && found.iter().any(same),
            ("TXT", _) => found
                .iter()
                .any(|text| public_key(text) == public_key(&self.value)),
            // An address of its own serves as well.
            ("CNAME", _) => true,
            ("A" | "AAAA", _) if self.value.starts_with('<') => true,
            ("MX", _) => {
                let host = |text: &str| text.split_once(' ').map(|(_, host)| host.to_ascii_lowercase());
                found.iter().any(|text| host(text) == host(&self.value))
            }
            _ => found.iter().any(|text| text.eq_ignore_ascii_case(&self.value)),
        }
    }
}

fn kind_of(kind: &str) -> Option<RecordType> {
    Some(match kind {
        "A" => RecordType::A,
        "AAAA" => RecordType::Aaaa,
        "CNAME" => RecordType::Cname,
        "MX" => RecordType::Mx,
        "PTR" => RecordType::Ptr,
        "SRV" => RecordType::Srv,
        "TLSA" => RecordType::Tlsa,
        "TXT" => RecordType::Txt,
        _ => return None,
    })
}

/// A record as a zone file has it.
fn shown(record: &Record) -> String {
    let absolute = |name: &Name| format!("{}.", name.to_string().trim_end_matches('.'));
    match record {
        Record::A(address) => address.to_string(),
        Record::Aaaa(address) => address.to_string(),
        Record::Cname(name) | Record::Ptr(name) => absolute(name),
        Record::Mx(mx) => format!("{} {}", mx.preference, absolute(&mx.exchange)),
        Record::Srv(srv) => {
            format!(
                "{} {} {} {}",
                srv.priority,
                srv.weight,
                srv.port,
                absolute(&srv.target)
            )
        }
        Record::Tlsa(tlsa) => format!(
            "{} {} {} {}",
            tlsa.usage,
            tlsa.selector,
            tlsa.matching,
            hex(&tlsa.data)
        ),
        Record::Txt(txt) => quote(&String::from_utf8_lossy(&txt.joined())),
        other => format!("{:?}", other.record_type()),
    }
}

/// A text as a zone file has the strings of a TXT record, each of 255 octets at most (RFC 1035 §3.3.14).
pub fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for (place, c) in text.chars().enumerate() {
        if place > 0 && place % 250 == 0 {
            out.push_str("\" \"");
        }
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_ascii_graphic() || c == ' ' => out.push(c),
            c => {
                for octet in c.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing into a string cannot fail.
                    let _ = write!(out, "\\{octet:03}");
                }
            }
        }
    }
    out.push('"');
    out
}

/// The text in the strings of [`quote`], as far as it is ASCII.
fn unquote(strings: &str) -> String {
    let inner = strings
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(strings);
    inner
        .replace("\" \"", "")
        .replace("\\\"", "\"")
        .replace("\\\\", "\\")
}

/// The first tag of a text, which says what it is: `v=spf1`.
fn tag_of(strings: &str) -> String {
    let text = unquote(strings).to_ascii_lowercase();
    let end = text.find([';', ' ']).unwrap_or(text.len());
    text[..end].to_owned()
}

/// `p=` of a DKIM key.
fn public_key(strings: &str) -> Option<String> {
    let text = unquote(strings);
    let value = text.split(';').find_map(|tag| tag.trim().strip_prefix("p="))?;
    Some(value.split_ascii_whitespace().collect())
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_and_joined() {
        let text = format!("v=DKIM1; p={}", "a".repeat(600));
        let quoted = quote(&text);
        assert!(quoted.split("\" \"").all(|string| string.len() <= 255));
        assert_eq!(unquote(&quoted), text);
        assert_eq!(tag_of(&quoted), "v=dkim1");
        assert_eq!(public_key(&quoted).map(|key| key.len()), Some(600));
        assert_eq!(unquote(&quote("a\\b\"c")), "a\\b\"c");
    }
}
