//! Limits: what one peer may take

use super::OverQuota;
use super::values::{Size, Span, Text};
use std::time::Duration;

/// What one peer may take.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest message, in octets. RFC 5321 §4.5.3.1.7: at least 64 KiB.
    pub message_size: u64,
    /// The most recipients of one transaction. RFC 5321 §4.5.3.1.8: at least 100.
    pub recipients: usize,
    /// The most different domains among the recipients of one transaction; 0 for no such limit (RFC 9422 §4.3).
    pub recipient_domains: u32,
    /// The most connections at once, all listeners together.
    pub connections: u32,
    /// The most connections at once from one address. Behind a proxy that speaks the PROXY protocol, the clients it
    /// names are counted.
    pub connections_per_address: u32,
    /// The most connections at once from one network, `/24` or `/48`; this machine has none.
    pub connections_per_network: u32,
    /// How many bits of an IPv6 address make one client where connections are counted, 0 to 128: whoever has one
    /// address has its whole network, and that is 64 as a rule.
    pub ipv6_prefix: u8,
    /// The most IMAP sessions of one account at once.
    pub sessions_per_account: u32,
    /// The most IMAP commands of one account that are at work at once, in all its sessions; further ones wait for their
    /// turn.
    pub commands_per_account: usize,
    /// The most password checks at once: each takes a core and 19 MiB for some 20 ms.
    pub password_checks: usize,
    /// The most threads that search, sort and thread mail at once, for all IMAP sessions together; the others wait. The
    /// number of cores.
    pub search_threads: usize,
    /// The most mailboxes that an IMAP session can watch by NOTIFY; with more it is told NOTIFICATIONOVERFLOW (RFC 5465
    /// §5.8). Each takes some 300 octets.
    pub watched_mailboxes: usize,
    /// How often an IMAP client that waits for a long command is told how far it is (RFC 9585).
    pub imap_progress_interval: Duration,
    /// What a sender is told whose message has no room in a mailbox.
    pub over_quota: OverQuota,
    /// How long an SMTP, submission or LMTP client may be silent. RFC 5321 §4.5.3.2.7: at least 5 minutes.
    pub smtp_timeout: Duration,
    /// How many octets of a message have to come in a second, on average and once `smtp_timeout` has passed; 0 for
    /// no such limit.
    pub smtp_least_rate: u64,
    /// How long the answer to a recipient that is refused is held back: it slows down those who try out
    /// addresses.
    pub refusal_delay: Duration,
    /// How long an IMAP client may be silent. RFC 9051 §5.4: at least 30 minutes.
    pub imap_timeout: Duration,
    /// How long a POP3 client may be silent. RFC 1939 §3: at least 10 minutes.
    pub pop3_timeout: Duration,
    /// How long a POP3 client has to wait between logins (RFC 2449 §6.5), in whole seconds; zero for no time.
    pub pop3_login_delay: Duration,
    /// How long a client of IMAP, POP3 or submission may take until it is logged in, whatever it does meanwhile.
    pub login_timeout: Duration,
    /// How long a client may take nothing of what is sent to it.
    pub write_timeout: Duration,
    /// How many octets a second a client has to take of what is sent to it, on average and once `write_timeout` has
    /// passed; 0 for no such limit.
    pub write_least_rate: u64,
    /// How long connections may finish what they do when the server stops.
    pub shutdown_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            message_size: 50 << 20,
            recipients: 1000,
            recipient_domains: 0,
            connections: 10_000,
            connections_per_address: 1000,
            connections_per_network: 5000,
            ipv6_prefix: 64,
            sessions_per_account: 1000,
            commands_per_account: 100,
            // The other half of the cores serves those who are in.
            password_checks: cores.div_ceil(2),
            search_threads: cores,
            over_quota: OverQuota::default(),
            watched_mailboxes: 10_000,
            imap_progress_interval: Duration::from_secs(15),
            smtp_timeout: Duration::from_secs(5 * 60),
            smtp_least_rate: 100,
            refusal_delay: Duration::ZERO,
            imap_timeout: Duration::from_secs(30 * 60),
            pop3_timeout: Duration::from_secs(10 * 60),
            pop3_login_delay: Duration::ZERO,
            login_timeout: Duration::from_secs(3 * 60),
            write_timeout: Duration::from_secs(5 * 60),
            write_least_rate: 100,
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsSection {
    message_size: Option<Text<Size>>,
    recipients: Option<usize>,
    recipient_domains: Option<u32>,
    connections: Option<u32>,
    connections_per_address: Option<u32>,
    connections_per_network: Option<u32>,
    ipv6_prefix: Option<u8>,
    sessions_per_account: Option<u32>,
    commands_per_account: Option<usize>,
    password_checks: Option<usize>,
    search_threads: Option<usize>,
    over_quota: Option<OverQuota>,
    watched_mailboxes: Option<usize>,
    imap_progress_interval: Option<Text<Span>>,
    smtp_timeout: Option<Text<Span>>,
    smtp_least_rate: Option<u64>,
    refusal_delay: Option<Text<Span>>,
    imap_timeout: Option<Text<Span>>,
    pop3_timeout: Option<Text<Span>>,
    pop3_login_delay: Option<Text<Span>>,
    login_timeout: Option<Text<Span>>,
    write_timeout: Option<Text<Span>>,
    write_least_rate: Option<u64>,
    shutdown_grace: Option<Text<Span>>,
}

impl LimitsSection {
    pub(super) fn into_config(self) -> Limits {
        let usual = Limits::default();
        let span = |value: Option<Text<Span>>, usual| value.map_or(usual, |span| span.0.0);
        Limits {
            message_size: self.message_size.map_or(usual.message_size, |size| size.0.0),
            recipients: self.recipients.unwrap_or(usual.recipients).max(1),
            recipient_domains: self.recipient_domains.unwrap_or(usual.recipient_domains),
            connections: self.connections.unwrap_or(usual.connections).max(1),
            connections_per_address: self
                .connections_per_address
                .unwrap_or(usual.connections_per_address)
                .max(1),
            connections_per_network: self
                .connections_per_network
                .unwrap_or(usual.connections_per_network)
                .max(1),
            ipv6_prefix: self.ipv6_prefix.unwrap_or(usual.ipv6_prefix).min(128),
            sessions_per_account: self
                .sessions_per_account
                .unwrap_or(usual.sessions_per_account)
                .max(1),
            commands_per_account: self
                .commands_per_account
                .unwrap_or(usual.commands_per_account)
                .max(1),
            password_checks: self.password_checks.unwrap_or(usual.password_checks).max(1),
            search_threads: self.search_threads.unwrap_or(usual.search_threads).max(1),
            over_quota: self.over_quota.unwrap_or_default(),
            watched_mailboxes: self.watched_mailboxes.unwrap_or(usual.watched_mailboxes),
            imap_progress_interval: span(self.imap_progress_interval, usual.imap_progress_interval),
            smtp_timeout: span(self.smtp_timeout, usual.smtp_timeout),
            smtp_least_rate: self.smtp_least_rate.unwrap_or(usual.smtp_least_rate),
            refusal_delay: span(self.refusal_delay, usual.refusal_delay),
            imap_timeout: span(self.imap_timeout, usual.imap_timeout),
            pop3_timeout: span(self.pop3_timeout, usual.pop3_timeout),
            pop3_login_delay: span(self.pop3_login_delay, usual.pop3_login_delay),
            login_timeout: span(self.login_timeout, usual.login_timeout),
            write_timeout: span(self.write_timeout, usual.write_timeout),
            write_least_rate: self.write_least_rate.unwrap_or(usual.write_least_rate),
            shutdown_grace: span(self.shutdown_grace, usual.shutdown_grace),
        }
    }
}
