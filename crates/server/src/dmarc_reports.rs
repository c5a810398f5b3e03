//! Sends the aggregate reports about DMARC to those who ask for them ([RFC 9990], RFC 7489 §7)
//!
//! [RFC 9990]: https://www.rfc-editor.org/rfc/rfc9990

use crate::clock::unix_now;
use crate::dns::Dns;
use crate::judge::{DueReport, Reports};
use crate::outbound::send_own;
use crate::random::entropy;
use crate::shared::Shared;
use mailwright_address::EmailAddress;
use mailwright_auth::dmarc::aggregate::{Aggregate, gzip};
use mailwright_auth::dmarc::{Record, ReportUri, registrable_domain};
use mailwright_dns::{Answer, Question, RecordType};
use mailwright_mailbox::Store;
use mailwright_message::build::{Message, Part};
use mailwright_message::date::DateTime;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// How often counts are kept, and the day is looked at.
const EVERY: Duration = Duration::from_secs(60);
/// Targets of one domain that get reports; RFC 7489 §6.2 wants at least two.
const MOST_TARGETS: usize = 10;

/// Keeps what is counted, and sends the reports of days that are over, until the server stops.
pub(crate) async fn run<S: Store>(shared: Arc<Shared<S>>, reports: &Reports) {
    loop {
        for due in reports.due() {
            send_or_keep(&shared, reports, due).await;
        }
        reports.keep().await;
        tokio::select! {
            () = sleep(EVERY) => {}
            () = shared.shutdown.begun() => break,
        }
    }
    reports.keep().await;
}

async fn send_or_keep<S: Store>(shared: &Arc<Shared<S>>, reports: &Reports, due: DueReport) {
    let done_with = match send(shared, reports, &due).await {
        true => Some(due),
        false => reports.later(due),
    };
    if let Some(due) = done_with {
        reports.forget(&due).await;
    }
}

/// Sends a report to all who want it; whether that is done with.
async fn send<S: Store>(shared: &Arc<Shared<S>>, reports: &Reports, due: &DueReport) -> bool {
    let domain = &due.domain;
    let Ok(record) = look_up(&shared.dns, &format!("_dmarc.{domain}")).await else {
        return false;
    };
    let targets = record.map(|record| record.aggregate_to).unwrap_or_default();
    let report = reports.report(due);
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
        let message = message(reports, &report, domain, &address, target.max_size, &packed);
        let sent = match message {
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
    done
}

/// A report as a message (RFC 9990 §3.5).
fn message(
    reports: &Reports,
    report: &Aggregate,
    domain: &str,
    to: &EmailAddress,
    most: Option<u64>,
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
    let octets = message.to_vec().map_err(|error| error.to_string())?;
    if most.is_some_and(|most| octets.len() as u64 > most) {
        return Err(format!(
            "it has {} octets, which is more than is wanted there",
            octets.len()
        ));
    }
    Ok(octets)
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
