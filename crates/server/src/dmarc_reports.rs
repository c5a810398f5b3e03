//! Sends the aggregate reports about DMARC to those who ask for them ([RFC 9990], RFC 7489 §7)
//!
//! [RFC 9990]: https://www.rfc-editor.org/rfc/rfc9990

use crate::clock::unix_now;
use crate::dns::Dns;
use crate::judge::{DueReport, Reports};
use crate::outbound::send_own;
use crate::random::entropy;
use crate::shared::{Live, Shared};
use mailwright_address::EmailAddress;
use mailwright_auth::Step;
use mailwright_auth::dmarc::aggregate::{Aggregate, gzip};
use mailwright_auth::dmarc::{Authenticated, Check, Reason, Record, ReportUri};
use mailwright_dns::{Answer, Name, Question, RecordType};
use mailwright_mailbox::Store;
use mailwright_message::build::{Message, Part};
use mailwright_message::date::DateTime;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// How often what was counted goes into the journal: so much a crash may lose.
const EVERY: Duration = Duration::from_secs(1);
/// After how many of these the journal goes into the files of the domains, and the day is looked at.
const MINUTE: u32 = 60;
/// Targets of one domain that get reports; RFC 7489 §6.2 wants at least two.
const MOST_TARGETS: usize = 10;

/// Keeps what is counted, and sends the reports of days that are over, until the server stops.
pub(crate) async fn run<S: Store>(live: Live<S>, reports: Arc<Reports>) {
    let reports = &*reports;
    let shutdown = live.current().shutdown.clone();
    for turn in (0..MINUTE).cycle() {
        if turn == 0 {
            let shared = live.current();
            for due in reports.due() {
                send_or_keep(&shared, reports, due).await;
            }
            reports.keep().await;
        } else {
            reports.note().await;
        }
        tokio::select! {
            () = sleep(EVERY) => {}
            () = shutdown.begun() => break,
        }
    }
    reports.keep().await;
}

async fn send_or_keep<S: Store>(shared: &Arc<Shared<S>>, reports: &Reports, mut due: DueReport) {
    let done_with = match send(shared, reports, &mut due).await {
        true => Some(due),
        false => reports.later(due),
    };
    if let Some(due) = done_with {
        reports.forget(&due).await;
    }
}

/// Sends a report to all who want it and have not got it; whether that is done with.
async fn send<S: Store>(shared: &Arc<Shared<S>>, reports: &Reports, due: &mut DueReport) -> bool {
    let domain = due.domain.clone();
    let Ok(record) = look_up(&shared.dns, &format!("_dmarc.{domain}")).await else {
        return false;
    };
    let targets = record.map(|record| record.aggregate_to).unwrap_or_default();
    let report = reports.report(due);
    let packed = gzip(report.to_xml().as_bytes());
    let mut done = true;
    for target in targets.iter().take(MOST_TARGETS).filter_map(mail_address) {
        let receivers = match receivers(&shared.dns, &domain, &target).await {
            Ok(receivers) => receivers,
            Err(Unknown) => {
                done = false;
                continue;
            }
        };
        if receivers.is_empty() {
            tracing::info!(domain, %target, "a DMARC report is not sent: its receiver does not want it");
        }
        for address in receivers {
            if !due.begin(address.as_str()) {
                continue;
            }
            let sent = match message(reports, &report, &domain, &address, &packed) {
                Ok(octets) => send_own(shared, reports.contact(), address.clone(), octets.into(), false)
                    .await
                    .map_err(|error| error.to_string()),
                Err(why) => Err(why),
            };
            match sent {
                Ok(()) => {
                    tracing::info!(domain, %address, id = report.metadata.report_id, "DMARC report sent");
                }
                Err(why) => tracing::warn!(domain, %address, why, "a DMARC report could not be sent"),
            }
        }
    }
    done
}

/// A report as a message (RFC 9990 §3.5).
fn message(
    reports: &Reports,
    report: &Aggregate,
    domain: &str,
    to: &EmailAddress,
    packed: &[u8],
) -> Result<Vec<u8>, String> {
    let hostname = reports.hostname();
    let text = format!("This is a report about mail in the name of {domain}, as {hostname} saw it.\r\n");
    let attachment = Part::new("application/gzip", packed.to_vec())
        .filename(report.file_name(hostname))
        .attached();
    let message = Message::builder()
        .from(reports.contact().as_str())
        .to(to.as_str())
        .subject(format!(
            "Report Domain: {domain} Submitter: {hostname} Report-ID: <{}>",
            report.metadata.report_id
        ))
        .body(Part::mixed([Part::text(text), attachment]))
        .build(DateTime::new(unix_now(), 0), entropy())
        .map_err(|error| error.to_string())?;
    message.to_vec().map_err(|error| error.to_string())
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

/// The addresses that get the reports about a domain which asks to have them sent to one: that one, if it belongs to the
/// same organization or its domain wants them; others of its host, if that names some (RFC 9990 §4).
async fn receivers(dns: &Dns, domain: &str, address: &EmailAddress) -> Result<Vec<EmailAddress>, Unknown> {
    let Some(host) = address.domain().and_then(|domain| domain.to_ascii().ok()) else {
        return Ok(Vec::new());
    };
    let host = host.as_str().to_ascii_lowercase();
    if host == domain || organization(dns, &host).await? == organization(dns, domain).await? {
        return Ok(vec![address.clone()]);
    }
    let Ok(name) = format!("{domain}._report._dmarc.{host}").parse() else {
        return Ok(Vec::new());
    };
    let answer = dns.resolve(Question::new(name, RecordType::Txt)).await;
    if answer.failure().is_some() {
        return Err(Unknown);
    }
    let records: Vec<_> = texts(&answer)
        .iter()
        .filter_map(|text| Record::parse(text).ok())
        .collect();
    let mut named: Vec<_> = records
        .iter()
        .flat_map(|record| &record.aggregate_to)
        .take(MOST_TARGETS)
        .filter_map(mail_address)
        .collect();
    if named.is_empty() && !records.is_empty() {
        named.push(address.clone());
    }
    let is_there = |named: &EmailAddress| {
        named
            .domain_text()
            .is_some_and(|it| it.eq_ignore_ascii_case(&host))
    };
    named.retain(is_there);
    Ok(named)
}

/// The organizational domain of a name, by tree walk (RFC 9989 §4.10).
async fn organization(dns: &Dns, domain: &str) -> Result<Option<Name>, Unknown> {
    let mut check = Check::new(Ok(domain), Arc::default());
    check.authenticated(Authenticated::default());
    loop {
        match check.poll() {
            Step::Ask(question) => {
                let answer = dns.resolve(question.clone()).await;
                check.answer(&question, answer);
            }
            Step::Ready(report) => match report.reason {
                Some(Reason::Dns(..)) => return Err(Unknown),
                _ => return Ok(report.organizational_domain),
            },
            Step::Wait => unreachable!("what it waits for was told at once"),
        }
    }
}

/// The address in a `mailto` URI (RFC 6068 §2).
fn mail_address(target: &ReportUri) -> Option<EmailAddress> {
    target.mail_address()?.parse().ok()
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
