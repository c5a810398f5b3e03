//! Aggregate reports about DMARC ([RFC 9990], RFC 7489 §7): what came of it, counted by day and domain, and kept
//! over restarts and crashes
//!
//! ```text
//!  count ─▶ tables ── every minute ─▶ DAY-DOMAIN.xml, and the journal is empty
//!     └───▶ pending ── every second ─▶ journal
//! ```
//!
//! A crash loses what came in the last second. One between the two steps of the minute has what came in it counted twice.
//!
//! [RFC 9990]: https://www.rfc-editor.org/rfc/rfc9990

use super::policy::Decision;
use crate::clock::unix_now;
use crate::config::Config;
use crate::files::{private, replace};
use crate::random::entropy;
use mailwright_address::EmailAddress;
use mailwright_auth::Checked;
use mailwright_auth::dmarc::Discovery;
use mailwright_auth::dmarc::aggregate::{Aggregate, Collector, Facts, Limits, Metadata, PublishedPolicy};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What came of DMARC for other domains.
#[derive(Debug)]
pub(crate) struct Reports {
    counts: Mutex<BTreeMap<(u64, String), Count>>,
    /// Reports about one message each, which the journal lacks; a NUL behind each.
    pending: Mutex<Vec<u8>>,
    contact: EmailAddress,
    hostname: String,
    folder: PathBuf,
    /// How many seconds after midnight reports are sent: not everybody at once.
    delay: u64,
}

/// The report about one domain, of a day that is over.
#[derive(Debug)]
pub(crate) struct Due {
    day: u64,
    /// The domain whose policy it is about.
    pub(crate) domain: String,
    count: Count,
}

/// The mail of one policy domain on one day.
#[derive(Debug)]
struct Count {
    collector: Collector,
    /// Whether the file lacks something.
    dirty: bool,
    /// Who has got the report, or was tried in vain.
    told: Vec<String>,
}

impl Count {
    fn new(policy: PublishedPolicy) -> Self {
        Self {
            collector: Collector::new(policy, Reports::MOST),
            dirty: true,
            told: Vec::new(),
        }
    }
}

impl Due {
    /// Whether an address was not sent this report yet; from here on it was.
    pub(crate) fn begin(&mut self, address: &str) -> bool {
        let is_new = !self.count.told.iter().any(|it| it == address);
        if is_new {
            self.count.told.push(address.to_owned());
        }
        is_new
    }
}

impl Reports {
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
            pending: Mutex::default(),
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
        facts.overrides.extend(decision.overrides.iter().cloned());
        let key = (
            now() / DAY,
            domain.to_string().trim_end_matches('.').to_ascii_lowercase(),
        );
        let policy = PublishedPolicy::of(domain, record, Discovery::TreeWalk);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= Self::MOST && !counts.contains_key(&key) {
            return tracing::warn!(
                domain = key.1,
                "too many domains want DMARC reports: this one gets none"
            );
        }
        let client = client.to_canonical();
        let mut alone = Collector::new(policy.clone(), 1);
        alone.add(client, facts.clone());
        let alone = alone.finish(self.metadata(key.0, &key.1)).to_xml();
        let count = counts.entry(key).or_insert_with(|| Count::new(policy));
        count.collector.add(client, facts);
        count.dirty = true;
        // While `counts` is locked: what is pending is counted.
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.extend_from_slice(alone.as_bytes());
        pending.push(0);
    }

    /// Notes what was counted since the last time in the journal.
    pub(crate) async fn note(&self) {
        let pending = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        if pending.is_empty() {
            return;
        }
        let folder = self.folder.clone();
        let noted = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&folder)?;
            let mut options = OpenOptions::new();
            let mut file = private(options.append(true).create(true)).open(folder.join(JOURNAL))?;
            file.write_all(&pending)
        });
        match noted.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let folder = self.folder.display();
                tracing::warn!(%folder, %error, "what was counted for DMARC reports cannot be noted");
            }
            Err(error) => tracing::error!(%error, "noting DMARC reports broke down"),
        }
    }

    /// Writes down what was counted, for the next start, and empties the journal.
    pub(crate) async fn keep(&self) {
        let mut files = Vec::new();
        {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            for ((day, domain), count) in counts.iter_mut().filter(|(_, count)| count.dirty) {
                count.dirty = false;
                let report = count.collector.clone().finish(self.metadata(*day, domain));
                files.push((self.file(*day, domain), report));
            }
            self.pending
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clear();
        }
        if files.is_empty() {
            return;
        }
        let folder = self.folder.clone();
        let written = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&folder)?;
            files
                .iter()
                .try_for_each(|(path, report)| replace(path, &report.to_xml()))?;
            match std::fs::remove_file(folder.join(JOURNAL)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
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

    /// Takes the reports of the days that are over.
    pub(crate) fn due(&self) -> Vec<Due> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let later = counts.split_off(&(self.today(), String::new()));
        let due = std::mem::replace(&mut *counts, later);
        due.into_iter()
            .map(|((day, domain), count)| Due { day, domain, count })
            .collect()
    }

    /// The report of a day that is over.
    pub(crate) fn report(&self, due: &Due) -> Aggregate {
        due.count
            .collector
            .clone()
            .finish(self.metadata(due.day, &due.domain))
    }

    /// Takes a report back that could not be sent, or gives it back if it is too late for it.
    pub(crate) fn later(&self, due: Due) -> Option<Due> {
        if due.day + Self::TRIED <= self.today() {
            return Some(due);
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.insert((due.day, due.domain), due.count);
        None
    }

    /// Forgets a report for good.
    pub(crate) async fn forget(&self, due: &Due) {
        let file = self.file(due.day, &due.domain);
        if let Err(error) = tokio::fs::remove_file(&file).await
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(file = %file.display(), %error, "a DMARC report that was sent cannot be removed");
        }
    }

    /// Whom reports come from.
    pub(crate) fn contact(&self) -> &EmailAddress {
        &self.contact
    }

    /// The name of this server.
    pub(crate) fn hostname(&self) -> &str {
        &self.hostname
    }

    /// The day, counted from 1970, whose reports are not due yet.
    fn today(&self) -> u64 {
        now().saturating_sub(self.delay) / DAY
    }

    fn metadata(&self, day: u64, domain: &str) -> Metadata {
        let mut metadata = Metadata::default();
        metadata.organization.clone_from(&self.hostname);
        metadata.email = self.contact.to_string();
        // RFC 9990 §3.5.1: who gets it twice must see that it is the same.
        metadata.report_id = format!("{day}.{domain}@{}", self.hostname);
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
                let mut count = Count::new(report.policy);
                count.dirty = false;
                report
                    .rows
                    .into_iter()
                    .for_each(|row| count.collector.add_row(row));
                counts.insert(key, count);
            }
            Err(error) => {
                tracing::warn!(file = %path.display(), error, "what was counted for a DMARC report cannot be read");
            }
        }
    }
    let journal = std::fs::read(folder.join(JOURNAL)).unwrap_or_default();
    for entry in journal.split_inclusive(|octet| *octet == 0) {
        // The last one may have been cut off in the middle.
        let report = entry
            .strip_suffix(b"\0")
            .map(|xml| Aggregate::parse(xml, &Limits::default()));
        let Some(Ok(report)) = report else {
            tracing::warn!("a message counted for a DMARC report was not noted to its end");
            continue;
        };
        let key = (report.metadata.begin / DAY, report.policy.domain.clone());
        let count = counts.entry(key).or_insert_with(|| Count::new(report.policy));
        count.dirty = true;
        report
            .rows
            .into_iter()
            .for_each(|row| count.collector.add_row(row));
    }
    counts
}

/// In the folder of the reports.
const JOURNAL: &str = "journal";
/// In seconds.
const DAY: u64 = 86_400;

fn now() -> u64 {
    u64::try_from(unix_now()).unwrap_or_default()
}
