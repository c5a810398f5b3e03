//! TLS reports ([RFC 8460]): what came of TLS with other domains, counted, kept over restarts, and sent once a day
//!
//! [RFC 8460]: https://www.rfc-editor.org/rfc/rfc8460

use super::outcome::Trouble;
use super::own::send_own;
use super::trust::{self, Trust};
use crate::clock::unix_now;
use crate::config::Config;
use crate::files::replace;
use crate::http::{Client, Limits, Request};
use crate::random::entropy;
use crate::shared::{Live, Shared};
use mailwright_address::{Domain, EmailAddress, Host};
use mailwright_dns::{Name, Question, RecordType};
use mailwright_mailbox::Store;
use mailwright_message::build::{Field, Message, Part};
use mailwright_message::date::DateTime;
use mailwright_mx::sts::FetchError;
use mailwright_mx::tlsrpt::{Applied, Collector, Day, Detail, Report, ResultType, Target};
use mailwright_mx::{Attempt as Hop, Route, Via};
use mailwright_smtp::{Error, Stage};
use rustls::CertificateError;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

/// What happened with other domains. The worker and its attempts share it.
#[derive(Debug)]
pub(super) struct Reports {
    collector: Mutex<Collector>,
    contact: EmailAddress,
    hostname: String,
    file: PathBuf,
    /// How many seconds after midnight reports are sent: not everybody at once (RFC 8460 §4.1).
    delay: u64,
}

impl Reports {
    /// How often counts are kept, and the day is looked at.
    const EVERY: Duration = Duration::from_secs(600);

    /// `None` unless the configuration wants reports.
    pub(super) fn open(config: &Config) -> Option<Arc<Self>> {
        let contact = config.outbound.tls_reports.clone()?;
        let file = config.data.join("tls-reports");
        let mut collector = Collector::default();
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                for report in text
                    .lines()
                    .filter_map(|line| Report::parse(line.as_bytes()).ok())
                {
                    collector.restore(&report);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, "what was counted for TLS reports cannot be read"),
        }
        Some(Arc::new(Self {
            collector: Mutex::new(collector),
            contact,
            hostname: config.hostname.to_string(),
            file,
            delay: u64::from(u16::from_ne_bytes(entropy())) % (4 * 3600),
        }))
    }

    /// Counts what was found out about the policies of a domain before any host was asked.
    pub(super) fn route(&self, destination: &Host, route: &Route) {
        let Some(domain) = domain_name(destination) else {
            return;
        };
        if let Some(error) = route.policy_error() {
            let result = match error {
                FetchError::Certificate => ResultType::StsWebpkiInvalid,
                FetchError::Invalid(_) => ResultType::StsPolicyInvalid,
                // It was counted when it was tried.
                FetchError::Recently => return,
                _ => ResultType::StsPolicyFetchError,
            };
            let mut detail = Detail::new(result);
            detail.reason = Some(error.to_string());
            self.count(&domain, &Applied::unknown_sts(), Some(detail));
        }
    }

    /// Counts what came of one connection.
    pub(super) fn session(&self, destination: &Host, hop: &Hop, seen: Seen<'_>) {
        let by_mx = matches!(hop.via, Via::MailExchanger | Via::ImplicitExchanger);
        let Some(domain) = domain_name(destination).filter(|_| by_mx) else {
            return;
        };
        let (result, reason) = match seen {
            Seen::Tls(trust) => match trust.complaint() {
                None => return self.count(&domain, &Applied::from(&hop.tls), None),
                Some(error) => (of_certificate(&error), Some(error.to_string())),
            },
            Seen::Clear => (ResultType::StartTlsNotSupported, None),
            Seen::Trouble(Trouble::Tls(error)) => {
                let inner = error
                    .get_ref()
                    .and_then(|error| error.downcast_ref::<rustls::Error>());
                let result = inner.map_or(ResultType::ValidationFailure, of_certificate);
                (result, Some(error.to_string()))
            }
            Seen::Trouble(Trouble::Session(error)) if is_without_tls(error) => {
                (ResultType::StartTlsNotSupported, None)
            }
            // It says nothing of TLS.
            Seen::Trouble(_) => return,
        };
        let mut detail = Detail::new(result);
        detail.receiving_host = Some(hop.host.to_string());
        detail.receiving_address = Some(hop.addr.ip());
        detail.reason = reason;
        self.count(&domain, &Applied::from(&hop.tls), Some(detail));
    }

    fn count(&self, domain: &Name, applied: &Applied, failure: Option<Detail>) {
        let mut collector = self.collector.lock().unwrap_or_else(PoisonError::into_inner);
        collector.count(now(), domain, applied, failure);
    }

    /// Keeps the counts, and sends the reports of days that are over, until the server stops.
    pub(super) async fn run<S: Store>(self: Arc<Self>, live: Live<S>) {
        loop {
            let shared = live.current();
            let client = Client::new(shared.dns.clone(), shared.tls.verified());
            self.send_due(&shared, &client).await;
            self.keep().await;
            tokio::select! {
                () = sleep(Self::EVERY) => {}
                () = shared.shutdown.begun() => break,
            }
        }
    }

    /// Writes down what was counted, for the next start.
    pub(super) async fn keep(&self) {
        let text: String = {
            let collector = self.collector.lock().unwrap_or_else(PoisonError::into_inner);
            collector.days().map(|day| format!("{}\n", stored(day))).collect()
        };
        let file = self.file.clone();
        match tokio::task::spawn_blocking(move || replace(&file, &text)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let file = self.file.display();
                tracing::warn!(%file, %error, "what was counted for TLS reports cannot be kept");
            }
            Err(error) => tracing::error!(%error, "keeping TLS reports broke down"),
        }
    }

    async fn send_due<S: Store>(&self, shared: &Shared<S>, client: &Client) {
        let days = {
            let mut collector = self.collector.lock().unwrap_or_else(PoisonError::into_inner);
            collector.take_over(now().saturating_sub(self.delay))
        };
        for day in days {
            let Some(record) = Target::record_name(&day.domain) else {
                continue;
            };
            let answer = shared.dns.resolve(Question::new(record, RecordType::Txt)).await;
            let txt = answer.records().iter().filter_map(|record| match record {
                mailwright_dns::Record::Txt(txt) => Some(txt),
                _ => None,
            });
            let targets = Target::find(txt);
            if targets.is_empty() {
                continue;
            }
            let domain = day.domain.to_string();
            let mut report = day.report();
            report.organization.clone_from(&self.hostname);
            report.contact = self.contact.to_string();
            report.id = format!(
                "{}-{:016x}@{}",
                report.start,
                u64::from_be_bytes(entropy()),
                self.hostname
            );
            let packed = gzip(report.to_string().as_bytes());
            for target in targets {
                let sent = match &target {
                    Target::Mail(address) => self.mail(shared, &report, &domain, address, &packed).await,
                    Target::Https(url) => post(client, url, &packed).await,
                    _ => continue,
                };
                match sent {
                    Ok(()) => tracing::info!(domain, ?target, id = report.id, "TLS report sent"),
                    Err(why) => tracing::info!(domain, ?target, why, "a TLS report could not be sent"),
                }
            }
        }
    }

    /// Puts a report into the queue (RFC 8460 §5.3).
    async fn mail<S: Store>(
        &self,
        shared: &Shared<S>,
        report: &Report,
        domain: &str,
        address: &str,
        packed: &[u8],
    ) -> Result<(), String> {
        let to: EmailAddress = address.parse().map_err(|_| "not a mail address".to_owned())?;
        let text = format!(
            "This is a report about TLS with the mail servers of {domain}, as {} saw them.\r\n",
            self.hostname
        );
        let file = format!("{}.gz", report.file_name(&self.hostname, domain));
        let attachment = Part::new("application/tlsrpt+gzip", packed.to_vec())
            .filename(file)
            .attached();
        let message = Message::builder()
            .from(self.contact.as_str())
            .to(to.as_str())
            .subject(format!(
                "Report Domain: {domain} Submitter: {} Report-ID: <{}>",
                self.hostname, report.id
            ))
            .field(Field::structured("TLS-Report-Domain", domain))
            .field(Field::structured("TLS-Report-Submitter", self.hostname.as_str()))
            // What is wrong with TLS there must not keep the report from them (RFC 8460 §5.3, RFC 8689 §3).
            .field(Field::structured("TLS-Required", "No"))
            .field(Field::structured("Auto-Submitted", "auto-generated"))
            .body(Part::report("tlsrpt", [Part::text(text), attachment]))
            .build(DateTime::new(unix_now(), 0), entropy())
            .map_err(|error| error.to_string())?;
        let octets = message.to_vec().map_err(|error| error.to_string())?;
        // As its header says, TLS is not asked for.
        let sent = send_own(shared, &self.contact, to, octets.into(), true).await;
        sent.map_err(|error| error.to_string())
    }
}

/// What came of one connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seen<'a> {
    /// TLS was started.
    Tls(&'a Trust),
    /// Mail went in the clear, for want of STARTTLS.
    Clear,
    /// It ended before.
    Trouble(&'a Trouble),
}

/// RFC 8460 §5.4.
async fn post(client: &Client, url: &str, packed: &[u8]) -> Result<(), String> {
    let request = Request::post(url, packed.to_vec())
        .and_then(|request| request.with_header("Content-Type", "application/tlsrpt+gzip"))
        .map_err(|error| error.to_string())?;
    let response = client.send(request, Limits::default()).await;
    let response = response.map_err(|error| error.to_string())?;
    match response.status {
        200..=299 => Ok(()),
        status => Err(format!("status {status}")),
    }
}

fn of_certificate(error: &rustls::Error) -> ResultType {
    let rustls::Error::InvalidCertificate(error) = error else {
        return ResultType::ValidationFailure;
    };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => ResultType::CertificateExpired,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            ResultType::CertificateHostMismatch
        }
        CertificateError::UnknownIssuer => ResultType::CertificateNotTrusted,
        CertificateError::Other(other) if other.0.is::<trust::NoTlsaMatch>() => {
            ResultType::CertificateNotTrusted
        }
        _ => ResultType::ValidationFailure,
    }
}

fn is_without_tls(error: &Error) -> bool {
    matches!(error, Error::TlsNotOffered | Error::Refused(Stage::StartTls, _))
}

fn domain_name(destination: &Host) -> Option<Name> {
    match destination {
        Host::Domain(domain) => Name::try_from(domain as &Domain).ok(),
        _ => None,
    }
}

/// A report that is not finished has no id yet, but must be read back.
fn stored(day: Day) -> Report {
    let mut report = day.report();
    report.id = "kept".to_owned();
    report
}

/// One member of RFC 1952, without a name or a date.
fn gzip(data: &[u8]) -> Vec<u8> {
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    packed.extend(miniz_oxide::deflate::compress_to_vec(data, 6));
    packed.extend(crc32fast::hash(data).to_le_bytes());
    // RFC 1952 §2.3.1: the length modulo 2^32.
    packed.extend((data.len() as u32).to_le_bytes());
    packed
}

fn now() -> u64 {
    u64::try_from(unix_now()).unwrap_or_default()
}
