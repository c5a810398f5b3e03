//! Aggregate reports about DMARC ([RFC 9990], RFC 7489 §7): what came of it, counted by day and domain, kept over
//! restarts, and sent to those who ask for it
//!
//! [RFC 9990]: https://www.rfc-editor.org/rfc/rfc9990

use super::policy::Decision;
use crate::clock::unix_now;
use crate::config::Config;
use crate::dns::Dns;
use crate::files::replace;
use crate::outbound::send_own;
use crate::random::entropy;
use crate::shared::Shared;
use mailwright_address::EmailAddress;
use mailwright_auth::Checked;
use mailwright_auth::dmarc::aggregate::{
    Aggregate, Collector, Facts, Limits, Metadata, PublishedPolicy, gzip,
};
use mailwright_auth::dmarc::{Discovery, Record, ReportUri, registrable_domain};
use mailwright_dns::{Answer, Question, RecordType};
use mailwright_mailbox::Store;
use mailwright_message::build::{Message, Part};
use mailwright_message::date::DateTime;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

/// What came of DMARC for other domains.
#[derive(Debug)]
pub(crate) struct Reports {
    counts: Mutex<BTreeMap<(u64, String), Count>>,
    contact: EmailAddress,
    hostname: String,
    folder: PathBuf,
    /// How many seconds after midnight reports are sent: not everybody at once.
    delay: u64,
}

/// The mail of one policy domain on one day.
#[derive(Debug)]
struct Count {
    collector: Collector,
    /// Whether the file lacks something.
    dirty: bool,
}

impl Reports {
    /// How often counts are kept, and the day is looked at.
    const EVERY: Duration = Duration::from_secs(60);
    /// The most domains of one day that are counted, and the most different rows of each.
    const MOST: usize = 10_000;
    /// For how many days a report is tried to be sent.
    const TRIED: u64 = 3;

    /// `None` unless the configuration wants reports.
    pub(crate) fn open(config: &Config) -> Option<Self> {
        let folder = config.data.join("dmarc-reports");
        Some(Self {
            contact: config.auth.reports.clone()?,
            counts: Mutex::new(restored(&folder)),
            hostname: config.hostname.to_string(),
            folder,
            delay: u64::from(u16::from_ne_bytes(entropy())) % (4 * 3600),
        })
    }

    /// Counts a message, if the domain of its author asks for reports.
    pub(crate) fn count(&self, client: IpAddr, checked: &Checked, decision: &Decision) {
        let Some((report, record)) = checked
            .dmarc
            .as_ref()
            .and_then(|it| Some((it, it.record.as_ref()?)))
        else {
            return;
        };
        let spf: Vec<_> = checked.spf_helo.iter().chain(&checked.spf).cloned().collect();
        let facts = Facts::of(report, checked.dkim.as_deref().unwrap_or_default(), &spf);
        let (Some(domain), Some(mut facts)) = (&report.policy_domain, facts) else {
            return;
        };
        if record.aggregate_to.is_empty() {
            return;
        }
        facts.disposition = decision.applied;
        facts.overrides.clone_from(&decision.overrides);
        let key = (
            now() / DAY,
            domain.to_string().trim_end_matches('.').to_ascii_lowercase(),
        );
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= Self::MOST && !counts.contains_key(&key) {
            return tracing::warn!(
                domain = key.1,
                "too many domains want DMARC reports: this one gets none"
            );
        }
        let count = counts.entry(key).or_insert_with(|| Count {
            collector: Collector::new(
                PublishedPolicy::of(domain, record, Discovery::TreeWalk),
                Self::MOST,
            ),
            dirty: true,
        });
        count.collector.add(client.to_canonical(), facts);
        count.dirty = true;
    }

    /// Keeps the counts, and sends the reports of days that are over, until the server stops.
    pub(crate) async fn run<S: Store>(&self, shared: &Arc<Shared<S>>) {
        loop {
            self.send_due(shared).await;
            self.keep().await;
            tokio::select! {
                () = sleep(Self::EVERY) => {}
                () = shared.shutdown.begun() => break,
            }
        }
        self.keep().await;
    }

    /// Writes down what was counted, for the next start.
    async fn keep(&self) {
        let mut files = Vec::new();
        {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            for ((day, domain), count) in counts.iter_mut().filter(|(_, count)| count.dirty) {
                count.dirty = false;
                let report = count.collector.clone().finish(self.metadata(*day));
                files.push((self.file(*day, domain), report));
            }
        }
        if files.is_empty() {
            return;
        }
        let folder = self.folder.clone();
        let written = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&folder)?;
            files
                .iter()
                .try_for_each(|(path, report)| replace(path, &report.to_xml()))
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let folder = self.folder.display();
                tracing::warn!(%folder, %error, "what was counted for DMARC reports cannot be kept");
            }
            Err(error) => tracing::error!(%error, "keeping DMARC reports broke down"),
        }
    }

    async fn send_due<S: Store>(&self, shared: &Arc<Shared<S>>) {
        let today = now().saturating_sub(self.delay) / DAY;
        let due: Vec<_> = {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            let later = counts.split_off(&(today, String::new()));
            std::mem::replace(&mut *counts, later).into_iter().collect()
        };
        for ((day, domain), count) in due {
            let done = self.send(shared, day, &domain, &count.collector).await;
            if !done && day + Self::TRIED > today {
                let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
                counts.insert((day, domain), count);
                continue;
            }
            let file = self.file(day, &domain);
            if let Err(error) = tokio::fs::remove_file(&file).await
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(file = %file.display(), %error, "a DMARC report that was sent cannot be removed");
            }
        }
    }

    /// Sends a report to all who want it; whether that is done with.
    async fn send<S: Store>(
        &self,
        shared: &Arc<Shared<S>>,
        day: u64,
        domain: &str,
        collector: &Collector,
    ) -> bool {
        let Ok(record) = look_up(&shared.dns, &format!("_dmarc.{domain}")).await else {
            return false;
        };
        let targets = record.map(|record| record.aggregate_to).unwrap_or_default();
        let report = collector.clone().finish(self.metadata(day));
        let packed = gzip(report.to_xml().as_bytes());
        let mut done = true;
        for target in targets.iter().take(MOST_TARGETS) {
            let Some(address) = mail_address(target) else {
                continue;
            };
            match may_receive(&shared.dns, domain, &address).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::info!(domain, %address, "a DMARC report is not sent: its receiver does not want it");
                    continue;
                }
                Err(Unknown) => {
                    done = false;
                    continue;
                }
            }
            match self
                .mail(shared, &report, domain, &address, target.max_size, &packed)
                .await
            {
                Ok(()) => {
                    tracing::info!(domain, %address, id = report.metadata.report_id, "DMARC report sent");
                }
                Err(why) => tracing::warn!(domain, %address, why, "a DMARC report could not be sent"),
            }
        }
        done
    }

    /// Puts a report into the queue (RFC 9990 §3.5).
    async fn mail<S: Store>(
        &self,
        shared: &Arc<Shared<S>>,
        report: &Aggregate,
        domain: &str,
        to: &EmailAddress,
        most: Option<u64>,
        packed: &[u8],
    ) -> Result<(), String> {
        let text = format!(
            "This is a report about mail in the name of {domain}, as {} saw it.\r\n",
            self.hostname
        );
        let attachment = Part::new("application/gzip", packed.to_vec())
            .filename(report.file_name(&self.hostname))
            .attached();
        let message = Message::builder()
            .from(self.contact.as_str())
            .to(to.as_str())
            .subject(format!(
                "Report Domain: {domain} Submitter: {} Report-ID: <{}>",
                self.hostname, report.metadata.report_id
            ))
            .body(Part::mixed([Part::text(text), attachment]))
            .build(DateTime::new(unix_now(), 0), entropy())
            .map_err(|error| error.to_string())?;
        let octets = message.to_vec().map_err(|error| error.to_string())?;
        if most.is_some_and(|most| octets.len() as u64 > most) {
            return Err(format!(
                "it has {} octets, which is more than is wanted there",
                octets.len()
            ));
        }
        let sent = send_own(shared, &self.contact, to.clone(), octets.into(), false).await;
        sent.map_err(|error| error.to_string())
    }

    fn metadata(&self, day: u64) -> Metadata {
        let mut metadata = Metadata::default();
        metadata.organization.clone_from(&self.hostname);
        metadata.email = self.contact.to_string();
        metadata.report_id = format!("{day}-{:016x}@{}", u64::from_be_bytes(entropy()), self.hostname);
        metadata.begin = day * DAY;
        metadata.end = (day + 1) * DAY - 1;
        metadata.generator = Some(concat!("Mailwright ", env!("CARGO_PKG_VERSION")).to_owned());
        metadata
    }

    fn file(&self, day: u64, domain: &str) -> PathBuf {
        let clean = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        let domain: String = domain.chars().map(|c| if clean(c) { c } else { '_' }).collect();
        self.folder.join(format!("{day}-{domain}.xml"))
    }
}

/// What was counted before the last stop.
fn restored(folder: &Path) -> BTreeMap<(u64, String), Count> {
    let mut counts = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "xml") {
            continue;
        }
        let report = std::fs::read(&path).map_err(|error| error.to_string());
        let report = report
            .and_then(|xml| Aggregate::parse(&xml, &Limits::default()).map_err(|error| error.to_string()));
        match report {
            Ok(report) => {
                let key = (report.metadata.begin / DAY, report.policy.domain.clone());
                let mut collector = Collector::new(report.policy, Reports::MOST);
                report.rows.into_iter().for_each(|row| collector.add_row(row));
                counts.insert(
                    key,
                    Count {
                        collector,
                        dirty: false,
                    },
                );
            }
            Err(error) => {
                tracing::warn!(file = %path.display(), error, "what was counted for a DMARC report cannot be read");
            }
        }
    }
    counts
}

/// The DNS could not tell.
struct Unknown;

/// The DMARC record at a name, if there is exactly one.
async fn look_up(dns: &Dns, name: &str) -> Result<Option<Record>, Unknown> {
    let Ok(name) = name.parse() else {
        return Ok(None);
    };
    let answer = dns.resolve(Question::new(name, RecordType::Txt)).await;
    if answer.failure().is_some() {
        return Err(Unknown);
    }
    let texts = texts(&answer).into_iter().filter(|text| Record::is_dmarc(text));
    let records: Vec<_> = texts.collect();
    Ok(match &records[..] {
        [one] => Record::parse(one).ok(),
        _ => None,
    })
}

fn texts(answer: &Answer) -> Vec<Vec<u8>> {
    let txt = answer.records().iter().filter_map(|record| match record {
        mailwright_dns::Record::Txt(txt) => Some(txt.joined()),
        _ => None,
    });
    txt.collect()
}

/// Whether an address may get reports about a domain: it belongs to the same organization, or its domain says so
/// (RFC 9990 §4).
async fn may_receive(dns: &Dns, domain: &str, address: &EmailAddress) -> Result<bool, Unknown> {
    let Some(target) = address.domain().and_then(|domain| domain.to_ascii().ok()) else {
        return Ok(false);
    };
    let target = target.as_str().to_ascii_lowercase();
    let organization = |name: &str| registrable_domain(name).map(|name| name.to_ascii_lowercase());
    if target == domain || organization(&target).is_some_and(|it| Some(it) == organization(domain)) {
        return Ok(true);
    }
    let Ok(name) = format!("{domain}._report._dmarc.{target}").parse() else {
        return Ok(false);
    };
    let answer = dns.resolve(Question::new(name, RecordType::Txt)).await;
    match answer.failure() {
        Some(_) => Err(Unknown),
        None => Ok(texts(&answer).iter().any(|text| Record::is_dmarc(text))),
    }
}

/// The address in a `mailto` URI (RFC 6068 §2).
fn mail_address(target: &ReportUri) -> Option<EmailAddress> {
    let (scheme, rest) = target.uri.split_once(':')?;
    let written = rest.split('?').next()?;
    let mut text = Vec::with_capacity(written.len());
    let mut octets = written.bytes();
    while let Some(octet) = octets.next() {
        text.push(match octet {
            b'%' => {
                let digits = [octets.next()?, octets.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            plain => plain,
        });
    }
    let text = String::from_utf8(text).ok()?;
    scheme.eq_ignore_ascii_case("mailto").then(|| text.parse().ok())?
}

/// Targets of one domain that get reports; RFC 7489 §6.2 wants at least two.
const MOST_TARGETS: usize = 10;
/// In seconds.
const DAY: u64 = 86_400;

fn now() -> u64 {
    u64::try_from(unix_now()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_uris() {
        let record =
            |uri: &str| Record::parse(format!("v=DMARC1; p=none; rua={uri}").as_bytes()).expect("a record");
        let address =
            |uri: &str| mail_address(&record(uri).aggregate_to[0]).map(|address| address.to_string());
        assert_eq!(address("mailto:a@b.test").as_deref(), Some("a@b.test"));
        assert_eq!(address("MAILTO:a%2bc@b.test!10m").as_deref(), Some("a+c@b.test"));
        assert_eq!(address("mailto:a@b.test?subject=x").as_deref(), Some("a@b.test"));
        assert_eq!(address("mailto:a%4").as_deref(), None);
        assert_eq!(address("https://b.test/").as_deref(), None);
    }
}
