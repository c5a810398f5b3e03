//! What a server counts of itself, in the text format of Prometheus
//!
//! Labels have small, fixed sets of values: no address, account or domain is among them, so that no peer decides how
//! much there is to keep.

mod cells;
mod process;
mod queue;
mod tasks;
mod text;

use crate::config::Protocol;
use crate::random::entropy;
use cells::{Counter, Family, Gauge, Histogram, Label, label};
use mailwright_sasl::Answer;
use mailwright_smtp::Rejection;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use text::Text;

pub(crate) use queue::{QueueCensus, QueueState};
pub(crate) use tasks::{Task, counted, spawn};

/// The numbers of one server.
#[derive(Debug)]
pub struct Metrics {
    started: f64,
    /// What the next connection is called.
    next: AtomicU64,
    /// Connections that are there.
    pub(crate) open: Family<Protocol, Gauge>,
    /// Connections that were accepted.
    pub(crate) accepted: Family<Protocol, Counter>,
    /// Connections that were turned away at the door.
    pub(crate) turned_away: Family<Protocol, Family<Door, Counter>>,
    /// TLS handshakes with clients.
    pub(crate) handshakes: Family<Success, Counter>,
    /// What clients asked.
    pub(crate) commands: Family<Protocol, Counter>,
    /// Logins.
    pub(crate) logins: Family<Protocol, Family<Login, Counter>>,
    /// IMAP sessions whose last command is IDLE.
    pub(crate) idle: Gauge,
    /// Messages that clients brought.
    pub(crate) messages: Family<Protocol, Family<Taken, Counter>>,
    /// Octets of the messages that were taken.
    pub(crate) octets: Family<Protocol, Counter>,
    /// Recipients that were refused.
    pub(crate) recipients_refused: Family<Protocol, Counter>,
    /// Copies of messages that were put into mailboxes.
    pub(crate) delivered: Family<Folder, Counter>,
    /// Recipients in attempts of the queue, by what came of them.
    pub(crate) attempted: Family<Attempted, Counter>,
    /// How long attempts took.
    pub(crate) attempt_time: Histogram,
    /// Notices that senders were sent.
    pub(crate) notices: Counter,
    /// How long commits took, with their syncs.
    pub(crate) commit_time: Histogram,
    /// Commits that failed.
    pub(crate) commits_failed: Counter,
    /// What SPF found.
    pub(crate) spf: Family<Verdict, Counter>,
    /// What DMARC found.
    pub(crate) dmarc: Family<Verdict, Counter>,
    /// What filters wanted done with messages, senders, recipients and connections.
    pub(crate) rulings: Family<Wanted, Counter>,
    /// Requests over HTTP, by the class of their status.
    pub(crate) requests: Family<Status, Counter>,
    /// Lines of the log that tell of trouble.
    pub(crate) log: Family<Trouble, Counter>,
    /// Events of messages that the journal had no room or no disk for.
    pub(crate) untold: Counter,
}

label! {
    /// Why a connection was turned away at the door.
    Door as "reason" {
        /// Too many connections, of all or of its address.
        Full = "full",
        /// It came too often, or is to come back for another reason.
        Throttled = "throttled",
        /// A filter or a list in the DNS does not want it, or it spoke before it was greeted.
        Refused = "refused",
    }
}

label! {
    /// How something ended.
    Success as "result" {
        /// Well.
        Ok = "ok",
        /// Not well.
        Failed = "failed",
    }
}

label! {
    /// How a login ended.
    Login as "result" {
        /// The client is in.
        Ok = "ok",
        /// The name or the password was wrong.
        Failed = "failed",
        /// It was not looked at, because there were too many.
        Throttled = "throttled",
    }
}

label! {
    /// What was done with a message.
    Taken as "result" {
        /// It was taken.
        Accepted = "accepted",
        /// It was refused for good.
        Refused = "refused",
        /// It was refused for the time being.
        Deferred = "deferred",
        /// It was thrown away.
        Discarded = "discarded",
    }
}

label! {
    /// Where a message was put.
    Folder as "folder" {
        /// Where mail arrives.
        Inbox = "inbox",
        /// Where unwanted mail goes.
        Junk = "junk",
    }
}

label! {
    /// What came of a recipient in one attempt.
    Attempted as "outcome" {
        /// The next host has the message.
        Delivered = "delivered",
        /// It is tried again.
        Deferred = "deferred",
        /// It is given up.
        Failed = "failed",
    }
}

label! {
    /// What a check of where a message comes from found.
    Verdict as "result" {
        /// It is as it says.
        Pass = "pass",
        /// It is not.
        Fail = "fail",
        /// Probably not.
        SoftFail = "softfail",
        /// Nothing is claimed.
        Neutral = "neutral",
        /// Nothing is published.
        None = "none",
        /// It could not be found out at this moment.
        TempError = "temperror",
        /// What is published is wrong.
        PermError = "permerror",
    }
}

label! {
    /// What a filter wanted.
    Wanted as "action" {
        /// Into Junk.
        Quarantine = "quarantine",
        /// Away with it.
        Discard = "discard",
        /// Not at this moment.
        Defer = "defer",
        /// Not at all.
        Reject = "reject",
    }
}

label! {
    /// The class of the status of an HTTP response.
    Status as "class" {
        /// It is there.
        Success = "2xx",
        /// It is elsewhere.
        Redirection = "3xx",
        /// The client did something wrong.
        ClientError = "4xx",
        /// The server did.
        ServerError = "5xx",
    }
}

label! {
    /// How bad a line of the log is.
    Trouble as "level" {
        /// Something failed that should not.
        Error = "error",
        /// Something is as it should not be.
        Warn = "warn",
    }
}

impl Label for Protocol {
    const NAME: &'static str = "protocol";
    const ALL: &'static [Self] = &[
        Self::Smtp,
        Self::Submission,
        Self::Lmtp,
        Self::Imap,
        Self::Pop3,
        Self::Http,
        Self::Metrics,
    ];

    fn text(self) -> &'static str {
        self.as_str()
    }
}

impl Metrics {
    /// All numbers at their beginning.
    pub fn new() -> Self {
        Self {
            started: process::now(),
            next: AtomicU64::new(u64::from_ne_bytes(entropy())),
            open: Family::default(),
            accepted: Family::default(),
            turned_away: Family::default(),
            handshakes: Family::default(),
            commands: Family::default(),
            logins: Family::default(),
            idle: Gauge::default(),
            messages: Family::default(),
            octets: Family::default(),
            recipients_refused: Family::default(),
            delivered: Family::default(),
            attempted: Family::default(),
            attempt_time: Histogram::default(),
            notices: Counter::default(),
            commit_time: Histogram::default(),
            commits_failed: Counter::default(),
            spf: Family::default(),
            dmarc: Family::default(),
            rulings: Family::default(),
            requests: Family::default(),
            log: Family::default(),
            untold: Counter::default(),
        }
    }

    /// Counts a line of the log. Whoever collects logs calls it for those of the levels WARN and ERROR.
    pub fn logged(&self, level: tracing::Level) {
        match level {
            tracing::Level::ERROR => self.log.of(Trouble::Error).count(),
            tracing::Level::WARN => self.log.of(Trouble::Warn).count(),
            _ => {}
        }
    }

    /// Counts a connection from here until what is returned is dropped.
    pub(crate) fn connected(self: &Arc<Self>, protocol: Protocol) -> Connected {
        self.accepted.of(protocol).count();
        self.open.of(protocol).up();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Connected {
            metrics: self.clone(),
            protocol,
            name: format!("{:012x}", number & 0xffff_ffff_ffff),
        }
    }

    /// Counts a session from here on as one that waits, until what is returned is dropped.
    pub(crate) fn idles(self: &Arc<Self>) -> Idle {
        self.idle.up();
        Idle(self.clone())
    }

    /// Counts a login.
    pub(crate) fn login(&self, protocol: Protocol, result: Login) {
        self.logins.of(protocol).of(result).count();
    }

    /// Counts what filters want.
    pub(crate) fn ruled(&self, wanted: Wanted) {
        self.rulings.of(wanted).count();
    }

    /// Counts a commit.
    pub(crate) fn committed(&self, took: Duration, is_done: bool) {
        self.commit_time.record(took);
        if !is_done {
            self.commits_failed.count();
        }
    }

    /// All numbers in the text format of Prometheus, with what is in the queue if that is known.
    ///
    /// `hash_work` is [`Accounts::hash_work`](crate::accounts::Accounts::hash_work).
    pub(crate) fn text(&self, queue: Option<QueueState>, hash_work: u64) -> String {
        let mut text = Text::default();
        let version = env!("CARGO_PKG_VERSION");
        text.info(
            "mailwright_build_info",
            "The version of the program.",
            "version",
            version,
        );
        self.clients(&mut text);
        self.mail(&mut text);
        if let Some(queue) = queue {
            let help = "Messages for other servers that wait.";
            text.gauge("mailwright_queue_messages", help, queue.messages);
            let help = "Recipients that these messages are still to be delivered to.";
            text.gauge("mailwright_queue_recipients", help, queue.recipients);
            let help = "How long the oldest message of the queue has been in it.";
            text.gauge("mailwright_queue_oldest_age_seconds", help, queue.oldest);
        }
        let help = "Work done to check passwords: KiB of memory times passes.";
        text.total("mailwright_password_hash_work_total", help, hash_work);
        let help = "Lines of the log that tell of trouble.";
        text.counters("mailwright_log_lines_total", help, &self.log);
        let help = "Events of messages that are missing in the journal.";
        text.counter("mailwright_trace_events_lost_total", help, &self.untold);
        let help = "Tasks of the process that live.";
        text.gauges("mailwright_tasks", help, tasks::live);
        let help = "When the server started, in seconds since 1970.";
        text.gauge("process_start_time_seconds", help, self.started);
        if let Some(octets) = process::resident_memory() {
            text.gauge("process_resident_memory_bytes", "Memory in use.", octets);
        }
        if let Some(files) = process::open_files() {
            text.gauge("process_open_fds", "Files and sockets that are open.", files);
        }
        text.finish()
    }

    fn clients(&self, text: &mut Text) {
        let help = "Connections of clients that are open.";
        text.family("mailwright_connections_open", help, &self.open);
        let help = "Connections of clients that were accepted.";
        text.counters("mailwright_connections_total", help, &self.accepted);
        let help = "Connections that were turned away at the door.";
        text.table("mailwright_connections_refused_total", help, &self.turned_away);
        let help = "TLS handshakes with clients.";
        text.counters("mailwright_tls_handshakes_total", help, &self.handshakes);
        let help = "What clients asked.";
        text.counters("mailwright_commands_total", help, &self.commands);
        let help = "Logins.";
        text.table("mailwright_logins_total", help, &self.logins);
        let help = "IMAP sessions whose last command is IDLE.";
        text.gauge("mailwright_imap_idle", help, self.idle.value());
        let help = "Requests over HTTP.";
        text.counters("mailwright_http_requests_total", help, &self.requests);
    }

    fn mail(&self, text: &mut Text) {
        let help = "Messages that clients brought.";
        text.table("mailwright_messages_total", help, &self.messages);
        let help = "Octets of the messages that were accepted.";
        text.counters("mailwright_message_bytes_total", help, &self.octets);
        let help = "Recipients that were refused.";
        text.counters(
            "mailwright_recipients_refused_total",
            help,
            &self.recipients_refused,
        );
        let help = "Copies of messages that were put into mailboxes.";
        text.counters("mailwright_deliveries_total", help, &self.delivered);
        let help = "Recipients in attempts of the queue.";
        text.counters("mailwright_delivery_attempts_total", help, &self.attempted);
        let help = "How long attempts of the queue took.";
        text.histogram(
            "mailwright_delivery_attempt_duration_seconds",
            help,
            &self.attempt_time,
        );
        let help = "Notices of failure, delay or success that were made.";
        text.counter("mailwright_notices_total", help, &self.notices);
        let help = "How long commits to the store took, with their syncs.";
        text.histogram(
            "mailwright_store_commit_duration_seconds",
            help,
            &self.commit_time,
        );
        let help = "Commits to the store that failed.";
        text.counter(
            "mailwright_store_commits_failed_total",
            help,
            &self.commits_failed,
        );
        let help = "What SPF found.";
        text.counters("mailwright_spf_results_total", help, &self.spf);
        let help = "What DMARC found.";
        text.counters("mailwright_dmarc_results_total", help, &self.dmarc);
        let help = "What filters wanted other than to accept.";
        text.counters("mailwright_filter_rulings_total", help, &self.rulings);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Verdict {
    /// By the keyword of RFC 8601 §2.7.
    pub(crate) fn of(keyword: &str) -> Option<Self> {
        Self::ALL.iter().find(|known| known.text() == keyword).copied()
    }
}

impl Status {
    /// By the code of a response.
    pub(crate) fn of(code: u16) -> Self {
        match code {
            ..300 => Self::Success,
            300..400 => Self::Redirection,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }
}

impl Success {
    pub(crate) fn of<T, E>(result: &Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Ok,
            Err(_) => Self::Failed,
        }
    }
}

impl Login {
    /// By an answer that lets nobody in; `None` of others.
    pub(crate) fn of(answer: &Answer) -> Option<Self> {
        match answer {
            Answer::Deny => Some(Self::Failed),
            Answer::Unavailable => Some(Self::Throttled),
            _ => None,
        }
    }
}

impl Door {
    /// By what a client is told that is turned away.
    pub(crate) fn of(rejection: &Rejection) -> Self {
        match rejection.reply().is_permanent() {
            true => Self::Refused,
            false => Self::Throttled,
        }
    }
}

impl Taken {
    pub(crate) fn of(rejection: &Rejection) -> Self {
        match rejection.reply().is_permanent() {
            true => Self::Refused,
            false => Self::Deferred,
        }
    }
}

/// A connection, as long as it is open.
#[derive(Debug)]
pub(crate) struct Connected {
    metrics: Arc<Metrics>,
    protocol: Protocol,
    /// What logs call it.
    pub(crate) name: String,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.metrics.open.of(self.protocol).down();
    }
}

/// A session that waits, as long as it does.
#[derive(Debug)]
pub(crate) struct Idle(Arc<Metrics>);

impl Drop for Idle {
    fn drop(&mut self) {
        self.0.idle.down();
    }
}
