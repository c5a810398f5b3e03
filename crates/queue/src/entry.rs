//! One message in memory: its groups of recipients, and what happens to them.

use crate::destination::{Destinations, Name, Place};
use crate::{
    Action, Attempt, ByMode, Change, Config, Diagnosis, DsnRecipient, DsnRequest, Handover, Key, Outcome,
    Recipient, Record, Report, State, Status, Timestamp, Update,
};
use mailwright_address::{Host, ReversePath};
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) record: Arc<Record>,
    pub(crate) groups: Vec<Group>,
    /// When something has to be done about it, and in which of the two sets that stands.
    pub(crate) timer: Option<(Timestamp, Pin)>,
    /// The record in the spool is older than this one.
    pub(crate) dirty: bool,
    /// An update was handed out and not yet confirmed.
    pub(crate) committing: bool,
    /// It stands in the outbox.
    pub(crate) listed: bool,
    /// To be removed without further word.
    pub(crate) dropped: bool,
    pub(crate) notices: Vec<DsnRecipient>,
    unreported: Vec<DsnRecipient>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pin {
    Waiting,
    Pinned,
}

/// The recipients of one message at one destination.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: Name,
    pub(crate) host: Host,
    pub(crate) phase: Phase,
    pub(crate) recipients: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Waiting,
    Ready(Place),
    InFlight,
}

impl Entry {
    pub(crate) fn new(record: Record, join: impl FnMut(&Host) -> Name) -> Self {
        let mut entry = Self {
            groups: Vec::new(),
            record: Arc::new(record),
            timer: None,
            dirty: false,
            committing: false,
            listed: false,
            dropped: false,
            notices: Vec::new(),
            unreported: Vec::new(),
        };
        entry.group(join);
        entry
    }

    /// Puts the queued recipients that are in no group into the groups of their hosts.
    pub(crate) fn group(&mut self, mut join: impl FnMut(&Host) -> Name) {
        let placed: HashSet<usize> = self
            .groups
            .iter()
            .flat_map(|g| g.recipients.iter().copied())
            .collect();
        let mut by_host: HashMap<Host, usize> = self
            .groups
            .iter()
            .enumerate()
            .map(|(at, group)| (group.host.clone(), at))
            .collect();
        for (index, recipient) in self.record.recipients.iter().enumerate() {
            if !recipient.is_queued() || placed.contains(&index) {
                continue;
            }
            let host = recipient.destination();
            let group = match by_host.get(&host) {
                Some(group) => *group,
                None => {
                    self.groups.push(Group {
                        name: join(&host),
                        host: host.clone(),
                        phase: Phase::Waiting,
                        recipients: Vec::new(),
                    });
                    by_host.insert(host, self.groups.len() - 1);
                    self.groups.len() - 1
                }
            };
            self.groups[group].recipients.push(index);
        }
    }

    /// The recipients of groups that are in flight.
    pub(crate) fn on_their_way(&self) -> impl Iterator<Item = usize> {
        let flying = self.groups.iter().filter(|g| g.phase == Phase::InFlight);
        flying.flat_map(|g| g.recipients.iter().copied())
    }

    pub(crate) fn is_done(&self) -> bool {
        self.dropped || self.record.is_finished()
    }

    /// Whether nothing is left to do, to commit or to wait for.
    pub(crate) fn is_over(&self) -> bool {
        let in_flight = self.groups.iter().any(|g| g.phase == Phase::InFlight);
        self.is_done() && !self.dirty && !self.committing && !in_flight
    }

    /// How much memory it takes, in recipients.
    pub(crate) fn weight(&self) -> usize {
        self.record.recipients.len().max(1)
    }

    /// Begins the attempt for a destination in whose line it stands; takes at most `most` recipients.
    pub(crate) fn start(&mut self, key: Key, name: &Name, now: Timestamp, most: usize) -> Option<Attempt> {
        let group = self
            .groups
            .iter_mut()
            .find(|g| g.name == *name && matches!(g.phase, Phase::Ready(_)))?;
        group.phase = Phase::InFlight;
        let due = |index: &usize| self.record.recipients[*index].due().is_some_and(|due| due <= now);
        Some(Attempt {
            key,
            destination: group.host.clone(),
            recipients: group.recipients.iter().copied().filter(due).take(most).collect(),
            record: self.record.clone(),
        })
    }

    /// Records what became of the recipients of an attempt; `retry_at` tells when the next may be, by how
    /// many have failed.
    pub(crate) fn take_outcomes(
        &mut self,
        now: Timestamp,
        attempt: &Attempt,
        report: Report,
        retry_at: impl Fn(u32) -> Timestamp,
    ) {
        let traced = self.record.deliver_by.is_some_and(|by| by.trace);
        let mut summary = Summary::default();
        for (index, outcome) in attempt.recipients.iter().zip(report.outcomes) {
            let Some(outcome) = outcome else { continue };
            summary.count(&outcome);
            let recipient = &mut Arc::make_mut(&mut self.record).recipients[*index];
            let State::Queued { attempts, due, last } = &mut recipient.state else {
                continue;
            };
            match outcome {
                Outcome::Temporary(why) => {
                    *attempts = attempts.saturating_add(1);
                    *due = retry_at(*attempts);
                    *last = Some(why);
                }
                Outcome::Delivered(handover) => {
                    recipient.state = State::Delivered { at: now };
                    if let Some(action) = told(recipient, handover, traced) {
                        self.notices.push(notice(recipient, action, None, Some(now)));
                    }
                }
                Outcome::Permanent(why) => self.fail(*index, why, now, true),
            }
            // What was discarded in the meantime has no record to change.
            self.dirty |= !self.dropped;
        }
        if let Some(text) = summary.text(&attempt.destination, report.via.as_deref()) {
            Arc::make_mut(&mut self.record).note(now, text);
        }
    }

    /// When the first recipient of a group is due; `None` if none is queued.
    pub(crate) fn group_due(&self, group: usize) -> Option<Timestamp> {
        self.groups[group]
            .recipients
            .iter()
            .filter_map(|i| self.record.recipients[*i].due())
            .min()
    }

    /// When the next recipient has waited long enough for a word to the sender.
    pub(crate) fn warn_at(&self, config: &Config) -> Option<Timestamp> {
        if self.record.reverse_path == ReversePath::Null {
            return None;
        }
        let due = [Delay::Long, Delay::Late].into_iter().filter_map(|delay| {
            let at = delay.at(&self.record, config)?;
            self.record
                .recipients
                .iter()
                .any(|r| delay.is_untold(r))
                .then_some(at)
        });
        due.min()
    }

    /// The first moment at which something is to be done, whatever else happens.
    pub(crate) fn first_moment(&self, config: &Config, destinations: &Destinations) -> Timestamp {
        if self.record.is_finished() {
            return Timestamp::default();
        }
        let due = (0..self.groups.len())
            .filter(|_| !self.record.held && !self.dropped)
            .filter(|i| self.groups[*i].phase == Phase::Waiting)
            .filter_map(|i| {
                let rest = destinations.paused_until(&self.groups[i].name);
                self.group_due(i).map(|due| due.max(rest))
            })
            .min();
        [due, self.warn_at(config)]
            .into_iter()
            .flatten()
            .fold(self.record.ends(), Timestamp::min)
    }

    /// When something has to be done about this message, and whether it may leave memory until then.
    ///
    /// `None` while only the end of an attempt or of a commit moves it on.
    pub(crate) fn moment(
        &self,
        now: Timestamp,
        config: &Config,
        destinations: &Destinations,
    ) -> Option<(Timestamp, Pin)> {
        // What is still queued after the expiry is on its way at this moment.
        if self.is_done() || now >= self.record.ends() {
            return None;
        }
        let idle = self.groups.iter().all(|g| g.phase == Phase::Waiting);
        let pin = if idle && !self.dirty && !self.committing {
            Pin::Waiting
        } else {
            Pin::Pinned
        };
        Some((self.first_moment(config, destinations), pin))
    }

    fn fail(&mut self, index: usize, why: Diagnosis, at: Timestamp, attempted: bool) {
        let record = Arc::make_mut(&mut self.record);
        let recipient = &mut record.recipients[index];
        let notice = notice(
            recipient,
            Action::Failed,
            Some(why.clone()),
            attempted.then_some(at),
        );
        let tell = recipient.notify_failure() && record.reverse_path != ReversePath::Null;
        recipient.state = State::Failed { at, why };
        if tell {
            self.notices.push(notice);
        } else {
            self.unreported.push(notice);
        }
        self.dirty |= !self.dropped;
    }

    /// Gives up everything that is not on its way at this moment.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        let overdue: Vec<usize> = self
            .groups
            .iter()
            .filter(|g| g.phase != Phase::InFlight)
            .flat_map(|g| g.recipients.iter().copied())
            .filter(|i| self.record.recipients[*i].is_queued())
            .collect();
        if overdue.is_empty() {
            return;
        }
        for index in overdue {
            let late = self.record.ends() < self.record.expires;
            let why = match &self.record.recipients[index].state {
                // RFC 2852 §4.1.3 wants this code.
                _ if late => {
                    let code = Status::new(5, 4, 7).unwrap_or(Status::FAILED);
                    Diagnosis::local(code, "the time is over by which it should have arrived")
                }
                // RFC 3463 §3.5 prefers the code of the actual problem.
                State::Queued { last: Some(last), .. } => last.clone(),
                _ => Diagnosis::local(Status::EXPIRED, "delivery time expired"),
            };
            self.fail(index, why, now, false);
        }
        Arc::make_mut(&mut self.record).note(now, "expired");
    }

    /// Tells of the delays whose time has come.
    pub(crate) fn warn(&mut self, now: Timestamp, config: &Config) {
        let record = Arc::make_mut(&mut self.record);
        let until = record.ends();
        for delay in [Delay::Long, Delay::Late] {
            if delay.at(record, config).is_none_or(|at| now < at) {
                continue;
            }
            for recipient in record.recipients.iter_mut().filter(|r| delay.is_untold(r)) {
                let last = match &recipient.state {
                    State::Queued { last, .. } => last.clone(),
                    _ => None,
                };
                let why = match delay {
                    Delay::Long => {
                        recipient.warned = true;
                        last
                    }
                    Delay::Late => {
                        recipient.late = true;
                        // RFC 2852 §4.1.3 wants 4.4.7.
                        let text = "the time is over by which it should have arrived";
                        Some(Diagnosis::local(Status::EXPIRED, text))
                    }
                };
                let mut notice = notice(recipient, Action::Delayed, why, None);
                notice.until = Some(until);
                self.notices.push(notice);
            }
        }
        self.dirty = true;
    }

    /// The change to commit, with all that is to be told by then.
    pub(crate) fn update(&mut self, key: Key) -> Update {
        let record = &self.record;
        let recipients = std::mem::take(&mut self.notices);
        let dsn = match &record.reverse_path {
            ReversePath::Address(to) if !recipients.is_empty() => Some(DsnRequest {
                to: to.clone(),
                origin: record.origin.clone(),
                id: record.id.clone(),
                envelope_id: record.envelope_id.clone(),
                arrival: record.arrival,
                ret: record.ret,
                deliver_by: record.deliver_by.map(|by| by.by),
                future_release: record
                    .postponed
                    .as_ref()
                    .map(|postponed| postponed.request.clone()),
                smtputf8: record.smtputf8,
                require_tls: record.require_tls,
                recipients,
            }),
            _ => None,
        };
        Update {
            key,
            change: if self.is_done() {
                Change::Remove
            } else {
                Change::Replace(record.encode())
            },
            dsn,
            unreported: std::mem::take(&mut self.unreported),
        }
    }
}

/// Of what a sender is told while a recipient waits.
#[derive(Clone, Copy)]
enum Delay {
    /// That it takes unusually long.
    Long,
    /// That the time is over by which it should have arrived (RFC 2852 §4.1.3).
    Late,
}

impl Delay {
    /// When the sender of a message is told.
    fn at(self, record: &Record, config: &Config) -> Option<Timestamp> {
        match self {
            Self::Long => Some(record.starts() + config.warn_after?),
            Self::Late => record
                .deliver_by
                .filter(|by| by.mode == ByMode::Notify)
                .map(|by| by.by),
        }
    }

    /// Whether it is still to be told of this recipient.
    fn is_untold(self, recipient: &Recipient) -> bool {
        let told = match self {
            Self::Long => recipient.warned,
            Self::Late => recipient.late,
        };
        recipient.is_queued() && recipient.notify_delay() && !told
    }
}

/// What the sender is told of a recipient that was handed on; `traced` if it wants to hear of each relay.
fn told(recipient: &Recipient, handover: Handover, traced: bool) -> Option<Action> {
    let (action, wanted) = match handover {
        Handover::Mailbox => (Action::Delivered, recipient.notify_success()),
        Handover::Relay => (Action::Relayed, recipient.notify_success() || traced),
        // It reports success by itself, but not that it was reached.
        Handover::Reporter => (Action::Relayed, traced),
        Handover::Untimed => (Action::Relayed, true),
    };
    (wanted && !recipient.notify_never()).then_some(action)
}

fn notice(
    recipient: &Recipient,
    action: Action,
    why: Option<Diagnosis>,
    attempted: Option<Timestamp>,
) -> DsnRecipient {
    DsnRecipient {
        original: recipient.original.clone(),
        address: recipient.address.clone(),
        action,
        why,
        attempted,
        until: None,
    }
}

/// How an attempt went, for the history.
#[derive(Default)]
struct Summary {
    delivered: usize,
    deferred: usize,
    failed: usize,
    first: Option<Diagnosis>,
}

impl Summary {
    fn count(&mut self, outcome: &Outcome) {
        let why = match outcome {
            Outcome::Delivered(_) => {
                self.delivered += 1;
                return;
            }
            Outcome::Temporary(why) => {
                self.deferred += 1;
                why
            }
            Outcome::Permanent(why) => {
                self.failed += 1;
                why
            }
        };
        self.first.get_or_insert_with(|| why.clone());
    }

    /// `b.test: 2 delivered, 1 deferred: 4.2.1 (mx.b.test) 450 4.2.1 try later`; `None` if nothing happened.
    fn text(&self, destination: &Host, via: Option<&str>) -> Option<String> {
        let mut text = destination.to_string();
        if let Some(via) = via {
            let _ = write!(text, " via {via}");
        }
        let counts = [
            (self.delivered, "delivered"),
            (self.deferred, "deferred"),
            (self.failed, "failed"),
        ];
        let mut sep = ':';
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            let _ = write!(text, "{sep} {count} {what}");
            sep = ',';
        }
        if let Some(why) = &self.first {
            let _ = write!(text, ": {why}");
        }
        (sep == ',').then_some(text)
    }
}
