//! One attempt: a message to its recipients in one domain, by all hosts that may take it (RFC 5321 §5.1)

use super::carry::{Carried, Carrier, Terms};
use super::outcome::{self, Trouble, Verdict};
use super::reports::{Reports, Seen};
use crate::clock::unix_now;
use crate::config::{OverQuota, Way};
use crate::delivery::{
    Destination, Directly, Landing, MailingList, MessageWriter, Post, Prepared, Refused, Stop, WrittenMessage,
};
use crate::journal::{Fate, Tried, What};
use crate::metrics::Attempted;
use crate::quotas::Room;
use crate::route::Router;
use crate::shared::Shared;
use mailwright_address::{ForwardPath, Host};
use mailwright_mailbox::{Batch, BlobRef, CommitError, Op, Store};
use mailwright_message::trace;
use mailwright_mx::{Attempt as Hop, Demand, Outcome as Routed, Via};
use mailwright_queue::{
    self as queue, Attempt, Diagnosis, Handover, Health, Outcome, Recipient, Record, Report, Status,
};
use mailwright_smtp::client::Transaction;
use mailwright_smtp::deliverby::{self, Mode};
use mailwright_smtp::mt_priority::Priority;
use mailwright_smtp::{BodyType, Mail, Rcpt, dsn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What an attempt needs to run by itself.
pub(super) struct Job<S: Store> {
    shared: Arc<Shared<S>>,
    carrier: Carrier<S>,
    router: Router,
    reports: Option<Arc<Reports>>,
    attempt: Arc<Attempt>,
    /// The body, where it is known.
    body: Option<BlobRef>,
}

impl<S: Store> Job<S> {
    pub(super) fn new(
        carrier: Carrier<S>,
        router: Router,
        reports: Option<Arc<Reports>>,
        attempt: Arc<Attempt>,
        body: Option<BlobRef>,
    ) -> Self {
        Self {
            shared: carrier.shared.clone(),
            carrier,
            router,
            reports,
            attempt,
            body,
        }
    }

    /// Makes the attempt, and writes a line about it into the log.
    pub(super) async fn run(self) -> Report {
        let started = Instant::now();
        let mut ledger = Ledger::new(self.attempt.recipients().len());
        let health = self.deliver(&mut ledger).await;
        let mut report = Report::partial(ledger.outcomes, health);
        if !ledger.via.is_empty() {
            report = report.with_via(ledger.via.as_str());
        }
        self.log(&report, &ledger.via, started);
        self.tell(&report, &ledger.via, started);
        report
    }

    fn tell(&self, report: &Report, via: &str, started: Instant) {
        let tried = |(recipient, outcome): (&Recipient, &Option<Outcome>)| {
            let (fate, why) = match outcome {
                Some(Outcome::Delivered(_)) => (Fate::Delivered, None),
                Some(Outcome::Temporary(why)) => (Fate::Deferred, Some(why.to_string())),
                Some(Outcome::Permanent(why)) => (Fate::Failed, Some(why.to_string())),
                _ => (Fate::Undecided, None),
            };
            Tried {
                to: recipient.address.to_string(),
                fate,
                why,
            }
        };
        self.shared.journal.tell(&self.record().id, || What::Tried {
            via: via.to_owned(),
            recipients: self
                .attempt
                .recipients()
                .zip(&report.outcomes)
                .map(tried)
                .collect(),
            ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
    }

    async fn deliver(&self, ledger: &mut Ledger) -> Health {
        let blob = match &self.body {
            Some(body) => body.clone(),
            None => match self.find_body().await {
                Ok(body) => body,
                Err(trouble) => {
                    ledger.trouble(&trouble, "");
                    return Health::Unknown;
                }
            },
        };
        match self.attempt.destination() {
            Host::Domain(domain) if self.shared.is_local(domain) => self.here(&blob, ledger).await,
            _ if !self.shared.config.outbound.enabled => {
                ledger.trouble(&Trouble::Setup("mail does not leave this server".into()), "");
                Health::Unknown
            }
            Host::Domain(domain) => self.by_route(domain.clone().into(), &blob, ledger).await,
            Host::Literal(literal) => self.by_route(literal.clone().into(), &blob, ledger).await,
            other => {
                let text = format!("mail cannot be sent to {other}");
                let code = Status::new(5, 1, 2).unwrap_or(Status::FAILED);
                ledger.settle_all(&Verdict::Final(Outcome::Permanent(Diagnosis::local(code, text))));
                Health::Unknown
            }
        }
    }

    async fn find_body(&self) -> Result<BlobRef, Trouble> {
        let entry = super::entry(&self.shared.store, self.attempt.key()).await;
        // Should somebody have removed the message, the commit of this outcome finds that out as well.
        let body = entry.map_err(Trouble::Store)?.and_then(|entry| entry.blob);
        body.ok_or(Trouble::Store(mailwright_mailbox::StoreError::NoSuchBlob))
    }

    async fn by_route(
        &self,
        destination: mailwright_mx::Destination,
        blob: &BlobRef,
        ledger: &mut Ledger,
    ) -> Health {
        let demand = match self.record() {
            record if record.require_tls => Demand::Required,
            record if record.tls_optional => Demand::Optional,
            _ => Demand::Usual,
        };
        let route = tokio::select! {
            route = self.router.route_for(destination, demand) => route,
            () = self.shared.shutdown.begun() => return Health::Unknown,
        };
        if let Some(reports) = &self.reports {
            reports.route(self.attempt.destination(), &route);
        }
        match route.into_outcome() {
            Routed::Attempts(hops) => self.by_hosts(&hops, blob, ledger).await,
            Routed::Permanent(refusal) => {
                let why = outcome::of_refusal(&refusal);
                ledger.settle_all(&Verdict::Final(Outcome::Permanent(why)));
                Health::Unknown
            }
            Routed::Temporary(refusal) => {
                let why = outcome::of_refusal(&refusal);
                ledger.settle_all(&Verdict::Final(Outcome::Temporary(why)));
                Health::Unreachable
            }
        }
    }

    /// Asks one host after the other until every recipient is decided.
    async fn by_hosts(&self, hops: &[Hop], blob: &BlobRef, ledger: &mut Ledger) -> Health {
        let mut health = Health::Unreachable;
        for hop in hops {
            let open = ledger.open();
            if open.is_empty() {
                break;
            }
            let host = hop.host.to_string();
            let way = self.way(hop);
            ledger.via = match &way.socket {
                Some(path) => path.display().to_string(),
                None => format!("{host} {}", hop.addr),
            };
            let whole = AtomicBool::new(false);
            match self.at_host(hop, way, &open, blob, &whole).await {
                Ok(carried) => {
                    let handover = self.handover(carried.terms);
                    for (index, delivery) in open.iter().zip(&carried.deliveries) {
                        ledger.settle(*index, &outcome::of_delivery(delivery, handover, &host));
                    }
                    health = outcome::health_of(&carried.deliveries);
                }
                Err(Trouble::Stopped) => {
                    ledger.forget_open();
                    return Health::Unknown;
                }
                Err(trouble) => {
                    tracing::debug!(id = %self.record().id, host, address = %hop.addr, ?trouble, "no transaction");
                    health = outcome::health(&trouble);
                    ledger.trouble(&trouble, &host);
                }
            }
            if whole.load(Ordering::Relaxed) {
                ledger.close_open();
            }
        }
        health
    }

    /// What it means for the sender that a host took the message.
    fn handover(&self, terms: Terms) -> Handover {
        let timed = self
            .record()
            .deliver_by
            .is_some_and(|by| by.by > crate::clock::timestamp());
        match terms {
            Terms { is_last: true, .. } if !terms.dsn => Handover::Mailbox,
            _ if timed && !terms.deliver_by => Handover::Untimed,
            Terms { dsn: true, .. } => Handover::Reporter,
            _ => Handover::Relay,
        }
    }

    /// One host, unless the server stops before the host can have the whole message.
    async fn at_host(
        &self,
        hop: &Hop,
        way: &Way,
        open: &[usize],
        blob: &BlobRef,
        whole: &AtomicBool,
    ) -> Result<Carried, Trouble> {
        let Some(transaction) = self.transaction(open) else {
            return Err(Trouble::Setup("the time to deliver it by is over".into()));
        };
        let watch = |seen: Seen<'_>| {
            if let Some(reports) = &self.reports {
                reports.session(self.attempt.destination(), hop, seen);
            }
        };
        let carrying = self.carrier.carry(hop, way, &transaction, blob, whole, &watch);
        let mut carrying = std::pin::pin!(carrying);
        tokio::select! {
            biased;
            result = &mut carrying => result,
            () = self.shared.shutdown.begun() => match whole.load(Ordering::Relaxed) {
                // The worker bounds this wait.
                true => carrying.await,
                false => Err(Trouble::Stopped),
            },
        }
    }

    /// How hosts are reached that a hop leads to.
    fn way(&self, hop: &Hop) -> &Way {
        let outbound = &self.shared.config.outbound;
        match (hop.via, self.attempt.destination(), &outbound.smart_host) {
            (Via::SmartHost, _, Some(smart_host)) => &smart_host.way,
            (_, Host::Domain(domain), _) => outbound
                .route_of(domain)
                .map_or(&outbound.way, |route| &route.way),
            _ => &outbound.way,
        }
    }

    /// `None` if the time is over by which it is to be delivered or returned.
    fn transaction(&self, open: &[usize]) -> Option<Transaction> {
        let record = self.record();
        let mut mail = Mail::new(record.reverse_path.clone());
        mail.params.size = Some(record.size);
        mail.params.body = match record.body {
            queue::Body::SevenBit => None,
            queue::Body::Binary => Some(BodyType::BinaryMime),
            _ => Some(BodyType::EightBitMime),
        };
        mail.params.smtputf8 = record.smtputf8;
        mail.params.envid = record.envelope_id.as_deref().and_then(dsn::EnvelopeId::new);
        mail.params.ret = record.ret.map(|ret| match ret {
            queue::Ret::Full => dsn::Ret::Full,
            queue::Ret::Headers => dsn::Ret::Hdrs,
        });
        mail.params.priority = Some(record.priority).filter(|p| *p != 0).and_then(Priority::new);
        mail.params.require_tls = record.require_tls;
        if let Some(by) = record.deliver_by {
            mail.params.by = Some(time_left(by, crate::clock::timestamp())?);
        }
        let recipients = self.attempt.recipients().enumerate();
        let recipients = recipients.filter(|(index, _)| open.contains(index));
        let recipients = recipients.map(|(_, recipient)| rcpt(recipient)).collect();
        let mut transaction = Transaction::new(mail, recipients);
        transaction.convertible = record.body == queue::Body::EightBit;
        Some(transaction)
    }

    /// Delivers to addresses of this server: members of lists, those whom somebody here forwards to, senders who get a
    /// notice, and recipients whose domain became ours after the message was accepted.
    async fn here(&self, blob: &BlobRef, ledger: &mut Ledger) -> Health {
        ledger.via = "here".into();
        let mut landings: Vec<Landing> = Vec::new();
        let mut lists: Vec<(usize, Arc<MailingList>)> = Vec::new();
        let mut onward: Vec<Recipient> = Vec::new();
        let mut directly = Directly::default();
        for (index, recipient) in self.attempt.recipients().enumerate() {
            match self.shared.destination(&recipient.address) {
                Destination::Here(targets) => {
                    directly.add(&targets);
                    let is_kept = !targets.accounts.is_empty() || !targets.lists.is_empty();
                    let leaves = self.shared.config.outbound.enabled || !is_kept;
                    for account in &targets.accounts {
                        if landings.iter().all(|landing| landing.account != *account) {
                            landings.push(Landing {
                                index,
                                recipient: recipient.address.clone(),
                                account: account.clone(),
                                detail: targets.detail(account).map(Into::into),
                                is_junk: false,
                                notify: recipient.notify,
                                original: recipient.original.clone(),
                            });
                        }
                    }
                    for list in targets.lists {
                        if lists.iter().all(|(_, known)| *known != list) {
                            lists.push((index, list));
                        }
                    }
                    for address in targets.elsewhere.into_iter().filter(|_| leaves) {
                        if !onward.iter().any(|r| r.address == address) {
                            let mut copy = Recipient::new(address, self.record().arrival);
                            // RFC 3461 §5.2.7.3 (c): success is reported for the alias, all else for the copy.
                            copy.notify = recipient.notify.map(|mut notify| {
                                notify.success = false;
                                notify
                            });
                            copy.original = recipient.original.clone();
                            onward.push(copy);
                        }
                    }
                }
                Destination::Disabled => {
                    // RFC 3463 §3.3.
                    let status = Status::new(5, 2, 1).expect("5 is a class of errors");
                    let why = Diagnosis::local(status, "the mailbox is disabled");
                    ledger.settle(index, &Verdict::Final(Outcome::Permanent(why)));
                }
                Destination::Nobody | Destination::Elsewhere => {
                    let why = Diagnosis::local(Status::NO_SUCH_MAILBOX, "there is no such mailbox here");
                    ledger.settle(index, &Verdict::Final(Outcome::Permanent(why)));
                }
            }
        }
        if ledger.open().is_empty() {
            return Health::Unknown;
        }
        let verdict = match self.put(landings, lists, &directly, onward, blob).await {
            Ok(refused) => {
                for refused in refused {
                    let (class, subject, detail) = match &refused.why {
                        Stop::Loop => (5, 4, 6),
                        Stop::NotAllowed => (5, 7, 2),
                        Stop::Rule(_) => (5, 7, 1),
                    };
                    let status = Status::new(class, subject, detail).expect("5 is a class of errors");
                    let why = Diagnosis::local(status, refused.why.to_string());
                    ledger.settle(refused.index, &Verdict::Final(Outcome::Permanent(why)));
                }
                Verdict::Final(Outcome::Delivered(Handover::Mailbox))
            }
            Err(CommitError::OverQuota { account }) => {
                tracing::info!(id = %self.record().id, "{account} is over its quota");
                let why = |class| {
                    let status = Status::new(class, 2, 2).expect("4 and 5 are classes of errors");
                    Diagnosis::local(status, "the mailbox is over its quota")
                };
                Verdict::Final(match self.shared.config.limits.over_quota {
                    OverQuota::Later => Outcome::Temporary(why(4)),
                    OverQuota::Never => Outcome::Permanent(why(5)),
                })
            }
            Err(error) => {
                tracing::error!(id = %self.record().id, %error, "delivery into a mailbox failed");
                let text = "the mailbox cannot be written at this moment";
                Verdict::Final(Outcome::Temporary(outcome::internal(text)))
            }
        };
        for index in ledger.open() {
            ledger.settle(index, &verdict);
        }
        Health::Unknown
    }

    async fn put(
        &self,
        landings: Vec<Landing>,
        lists: Vec<(usize, Arc<MailingList>)>,
        directly: &Directly,
        recipients: Vec<Recipient>,
        blob: &BlobRef,
    ) -> Result<Vec<Refused>, CommitError> {
        let record = self.record();
        let mut template = record.clone();
        template.recipients.clear();
        template.history.clear();
        let mut batch = Batch::new(unix_now());
        // Mail of other domains that leaves for a third one does so in the name of this server, if that is wanted.
        let rewritten = self.shared.rewritten(&record.reverse_path);
        let (abroad, near): (Vec<_>, Vec<_>) = recipients
            .into_iter()
            .partition(|it| rewritten.is_some() && !self.shared.is_here(&it.address));
        let paths = [
            rewritten.as_ref().unwrap_or(&record.reverse_path),
            &record.reverse_path,
        ];
        for (path, recipients) in paths.into_iter().zip([abroad, near]) {
            if !recipients.is_empty() {
                let mut onward = template.clone();
                onward.reverse_path = path.clone();
                onward.recipients = recipients;
                batch.push(Op::SpoolPut {
                    key: None,
                    record: onward.encode(),
                    blob: Some(blob.clone()),
                });
            }
        }
        let written = match landings.is_empty() && lists.is_empty() {
            true => None,
            false => Some(self.written(blob).await?),
        };
        let (rest, refused) = loop {
            let batch = batch.clone();
            let mut prepared = match &written {
                None => Prepared::nothing(batch, &template),
                Some(written) => {
                    let post = Post {
                        written,
                        template: &template,
                    };
                    let (landings, lists) = (landings.clone(), lists.clone());
                    self.shared
                        .prepare(batch, &post, landings, lists, directly, Room::ForAll)
                        .await?
                }
            };
            let refused = std::mem::take(&mut prepared.refused);
            if let Some(rest) = self.shared.commit_prepared(prepared).await? {
                break (rest, refused);
            }
        };
        self.shared.spooled.notify_one();
        self.shared.delivered(rest).await;
        Ok(refused)
    }

    /// The message as mailboxes get it.
    async fn written(&self, blob: &BlobRef) -> Result<WrittenMessage, CommitError> {
        let failed = |error: mailwright_mailbox::StoreError| CommitError::Io(error.to_string());
        let store = &self.shared.store;
        let mut writer = MessageWriter::new(store);
        let sender = self.record().reverse_path.address();
        let return_path = trace::return_path(sender.map_or("", |address| address.as_str()));
        writer.write(return_path.into()).await.map_err(failed)?;
        let mut offset = 0;
        while offset < blob.size() {
            let chunk = store.read_blob(blob, offset..blob.size()).await.map_err(failed)?;
            if chunk.is_empty() {
                return Err(CommitError::Io("a message is shorter than it should be".into()));
            }
            offset += chunk.len() as u64;
            writer.write(chunk).await.map_err(failed)?;
        }
        writer.finish(store).await.map_err(failed)
    }

    fn record(&self) -> &Record {
        self.attempt.record()
    }

    fn log(&self, report: &Report, via: &str, started: Instant) {
        let [mut delivered, mut deferred, mut failed] = [0; 3];
        let mut why = None;
        for outcome in report.outcomes.iter().flatten() {
            match outcome {
                Outcome::Delivered(_) => delivered += 1,
                Outcome::Temporary(diagnosis) => {
                    deferred += 1;
                    why.get_or_insert(diagnosis);
                }
                Outcome::Permanent(diagnosis) => {
                    failed += 1;
                    why.get_or_insert(diagnosis);
                }
                _ => {}
            }
        }
        let metrics = &self.shared.metrics;
        metrics.attempt_time.record(started.elapsed());
        metrics.attempted.of(Attempted::Delivered).add(delivered);
        metrics.attempted.of(Attempted::Deferred).add(deferred);
        metrics.attempted.of(Attempted::Failed).add(failed);
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (id, to) = (&self.record().id, self.attempt.destination());
        match why {
            None if delivered == 0 => tracing::info!(%id, %to, via, ms, "attempt given up"),
            None => tracing::info!(%id, %to, via, delivered, ms, "sent"),
            Some(why) => {
                tracing::info!(%id, %to, via, delivered, deferred, failed, %why, ms, "not all was sent");
            }
        }
    }
}

/// The time that is left of what a sender gave a message (RFC 2852 §4.1.4); `None` if it is over, and the message is to
/// be returned.
fn time_left(by: queue::DeliverBy, now: queue::Timestamp) -> Option<deliverby::DeliverBy> {
    let seconds = |at: queue::Timestamp| i64::try_from(at.unix_seconds()).unwrap_or(i64::MAX);
    let most = i64::from(deliverby::DeliverBy::MAX_SECONDS);
    let left = (seconds(by.by) - seconds(now)).clamp(-most, most);
    let mode = match by.mode {
        queue::ByMode::Notify => Mode::Notify,
        queue::ByMode::Return => Mode::Return,
    };
    deliverby::DeliverBy::new(i32::try_from(left).ok()?, mode, by.trace)
}

fn rcpt(recipient: &Recipient) -> Rcpt {
    let mut rcpt = Rcpt::new(ForwardPath::Address(recipient.address.clone()));
    rcpt.params.notify = recipient.notify.map(|n| dsn::Notify::On {
        success: n.success,
        failure: n.failure,
        delay: n.delay,
    });
    rcpt.params.orcpt = recipient
        .original
        .as_ref()
        .and_then(|original| dsn::OriginalRecipient::new(&original.kind, &original.address));
    rcpt
}

/// What is known of each recipient in an attempt.
struct Ledger {
    outcomes: Vec<Option<Outcome>>,
    decided: Vec<bool>,
    /// The last host that was asked.
    via: String,
}

impl Ledger {
    fn new(recipients: usize) -> Self {
        Self {
            outcomes: vec![None; recipients],
            decided: vec![false; recipients],
            via: String::new(),
        }
    }

    fn open(&self) -> Vec<usize> {
        (0..self.decided.len())
            .filter(|index| !self.decided[*index])
            .collect()
    }

    fn settle(&mut self, index: usize, verdict: &Verdict) {
        let slot = &mut self.outcomes[index];
        match verdict {
            Verdict::Final(outcome) => {
                self.decided[index] = true;
                *slot = Some(outcome.clone());
            }
            // While one host may take it at another time, it is not lost.
            Verdict::TryNext(Outcome::Permanent(_)) if matches!(slot, Some(Outcome::Temporary(_))) => {}
            Verdict::TryNext(outcome) => *slot = Some(outcome.clone()),
        }
    }

    fn settle_all(&mut self, verdict: &Verdict) {
        for index in self.open() {
            self.settle(index, verdict);
        }
    }

    fn trouble(&mut self, trouble: &Trouble, host: &str) {
        if let Some(verdict) = outcome::of_trouble(trouble, host) {
            self.settle_all(&verdict);
        }
    }

    /// Lets what is known of the undecided stand for this attempt.
    fn close_open(&mut self) {
        for index in self.open() {
            self.decided[index] = self.outcomes[index].is_some();
        }
    }

    /// Leaves the undecided as they were before the attempt.
    fn forget_open(&mut self) {
        for index in self.open() {
            self.outcomes[index] = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis(text: &str) -> Diagnosis {
        Diagnosis::local(Status::DELAYED, text)
    }

    #[test]
    fn hosts_are_asked_until_each_recipient_is_decided() {
        let mut ledger = Ledger::new(3);
        let refused = Outcome::Permanent(diagnosis("no"));
        let broken = Outcome::Temporary(diagnosis("broken"));
        ledger.settle(0, &Verdict::Final(refused.clone()));
        ledger.settle(1, &Verdict::TryNext(broken.clone()));
        ledger.settle(2, &Verdict::TryNext(refused.clone()));
        assert_eq!(ledger.open(), [1, 2]);
        // A second host refuses everybody: one of the two was only broken off by the first.
        ledger.settle_all(&Verdict::TryNext(refused.clone()));
        assert_eq!(
            ledger.outcomes,
            [Some(refused.clone()), Some(broken), Some(refused.clone())]
        );
        ledger.settle(1, &Verdict::Final(Outcome::Delivered(Handover::Reporter)));
        ledger.forget_open();
        assert_eq!(ledger.outcomes[2], None);
        ledger.close_open();
        assert_eq!(ledger.open(), [2]);
    }
}
