//! What a server offers and tolerates (RFC 5321 §4.5.3)

use crate::futurerelease::Interval;
use crate::mt_priority::Profile;
use crate::{Extensions, proxy};
use mailwright_address::Host;
use mailwright_sasl::Mechanism;
use std::time::Duration;

/// What a [`Server`](super::Server) offers and tolerates. One may be shared by all sessions of a listener.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Which of the three protocols is spoken.
    pub protocol: Protocol,
    /// The name in the greeting and in the reply to EHLO.
    pub hostname: Host,
    /// Which extensions are there. On by default are those that the engine has on its own: PIPELINING, SIZE,
    /// 8BITMIME, SMTPUTF8, CHUNKING, DSN, ENHANCEDSTATUSCODES and LIMITS. The others are a promise that the
    /// caller has to keep: to have a certificate, accounts, a queue that holds messages, and so on.
    pub extensions: Extensions,
    /// Which events are questions; what is not asked is granted.
    pub questions: Questions,
    /// The mechanisms of AUTH, most wanted first; -PLUS ones are offered once
    /// [`Server::bind_channel`](super::Server::bind_channel) says to what. Default [`Mechanism::USUAL`].
    pub mechanisms: Vec<Mechanism>,
    /// Which mechanisms may be used before TLS.
    pub auth_without_tls: AuthWithoutTls,
    /// Whether MAIL is refused (530) before AUTH.
    pub require_auth: bool,
    /// Whether all but EHLO, NOOP, RSET, QUIT and STARTTLS is refused (530) before TLS. A public MX must not
    /// (RFC 3207 §4).
    pub require_tls: bool,
    /// What is done with a CR or LF in a message that is not part of a CRLF. It never ends the message.
    pub bare_newlines: BareNewlines,
    /// Whether a PROXY header stands ahead of everything else, and of which version; default `None`: there is
    /// none. Only proxies may reach such a listener, for whoever does can say to be anybody.
    pub proxy: Option<proxy::Versions>,
    /// How long the greeting is held back to see whether the client speaks first, which RFC 5321 §3.1 forbids;
    /// [`Session::spoke_early`](super::Session::spoke_early) tells. Zero, the default, looks for nothing.
    pub greeting_delay: Duration,
    /// The smallest number of seconds of a `BY` that returns messages, told with DELIVERBY (RFC 2852 §3);
    /// default `None`: any.
    pub deliver_by_min: Option<u32>,
    /// How long a message may be held, told with FUTURERELEASE (RFC 4865 §4). Default 30 days.
    pub future_release_max: Interval,
    /// The priority assignment policy, told with MT-PRIORITY (RFC 6710 §3); default `None`: not told.
    pub mt_priority_profile: Option<Profile>,
    /// The limits.
    pub limits: Limits,
    /// How long the peer is waited for.
    pub timeouts: Timeouts,
}

impl Config {
    /// The defaults for a protocol: no STARTTLS, no AUTH; submission requires AUTH, and thus refuses
    /// everything until it is switched on.
    pub fn new(protocol: Protocol, hostname: Host) -> Self {
        Self {
            protocol,
            hostname,
            extensions: Extensions {
                pipelining: true,
                size: true,
                eight_bit_mime: true,
                enhanced_status_codes: true,
                smtputf8: true,
                dsn: true,
                chunking: true,
                limits: true,
                ..Extensions::NONE
            },
            questions: Questions::default(),
            mechanisms: Mechanism::USUAL.to_vec(),
            auth_without_tls: AuthWithoutTls::Never,
            require_auth: protocol == Protocol::Submission,
            require_tls: false,
            bare_newlines: BareNewlines::Refuse,
            proxy: None,
            greeting_delay: Duration::ZERO,
            deliver_by_min: None,
            future_release_max: Interval::DEFAULT_MAX,
            mt_priority_profile: None,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }
}

/// The protocol of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // there are three
pub enum Protocol {
    /// SMTP between servers: RFC 5321.
    Smtp,
    /// Submission by users: RFC 6409.
    Submission,
    /// LMTP, final delivery with an answer per recipient: RFC 2033.
    Lmtp,
}

/// Which mechanisms of AUTH are offered while the connection is not encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum AuthWithoutTls {
    /// None.
    #[default]
    Never,
    /// Those that do not send the password, such as SCRAM.
    Protected,
    /// All of them: anybody on the way can read the passwords.
    Always,
}

/// Which of a client's wishes the caller is asked about. MAIL, RCPT, AUTH, ETRN, XCLIENT, XFORWARD and the end
/// of a message are always questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Questions {
    /// [`Event::Connect`](super::Event::Connect). Default on; else every client is greeted.
    pub connect: bool,
    /// [`Event::Hello`](super::Event::Hello). Default on; else every name is taken.
    pub hello: bool,
    /// [`Event::StartTls`](super::Event::StartTls). Default off: everybody may start TLS.
    pub starttls: bool,
    /// [`Event::Data`](super::Event::Data). Default on; else every message with a recipient may come.
    pub data: bool,
    /// [`Event::Vrfy`](super::Event::Vrfy). Default off: everybody is told 252, which says nothing (RFC 5321
    /// §3.5.3).
    pub vrfy: bool,
    /// [`Event::Expn`](super::Event::Expn). Default off: there is no such command.
    pub expn: bool,
    /// [`Event::Help`](super::Event::Help). Default off: the engine points to RFC 5321.
    pub help: bool,
}

impl Default for Questions {
    fn default() -> Self {
        Self {
            connect: true,
            hello: true,
            starttls: false,
            data: true,
            vrfy: false,
            expn: false,
            help: false,
        }
    }
}

/// What is done with bare newlines in a message (RFC 5321 §2.3.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(clippy::exhaustive_enums)] // to keep them is to pass the problem on
pub enum BareNewlines {
    /// The message is read to its true end and refused with `550 5.6.0`.
    #[default]
    Refuse,
    /// They become CRLF.
    Normalise,
}

/// The limits of a session.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Octets in a command line with its CRLF. RFC 5321 §4.5.3.1.4 wants at least 512, and extensions add to
    /// it: with those of this crate, 1600 are enough. Default 2048; at most 64 KiB are used.
    pub command_line: usize,
    /// Octets in a line of an AUTH exchange with its CRLF. RFC 4954 §4 wants 12288, the default; at most
    /// 64 KiB are used.
    pub auth_line: usize,
    /// Octets in a message; 0 means no limit. RFC 5321 §4.5.3.1.7 wants at least 64 KiB. Default 64 MiB.
    pub message_size: u64,
    /// Recipients in a transaction. RFC 5321 §4.5.3.1.8 wants at least 100. Default 1000.
    pub recipients: u32,
    /// Different domains among the recipients of a transaction, told with LIMITS; further ones are refused with 452
    /// (RFC 9422 §4.3). Default 0: no limit.
    pub recipient_domains: u32,
    /// Octets of a message that have to come in a second, on average since its start, once
    /// [`Timeouts::body`] has passed; 0 means no limit. It takes off those who send an octet now and then, to hold the
    /// connection. What the caller takes to handle the message counts as well. Default 100.
    pub body_rate: u64,
    /// Transactions in a session, told with LIMITS; who wants more is sent away with 421 (RFC 9422 §4.1). Default
    /// 0: no limit.
    pub transactions: u32,
    /// Commands in a session that this engine itself had to refuse (syntax, order). Messages and recipients
    /// above their limits do not count. Default 20.
    pub errors: u32,
    /// Recipients in a session that the caller refused for good (5xx). It is those who try out addresses that
    /// reach it (RFC 5321 §7.3); a sender with an old list goes on with the rest on its next connection.
    /// Default 100.
    pub refused_recipients: u32,
    /// Commands since the last accepted message; RCPT does not count, nor does BDAT with anything in it.
    /// Default 1000.
    pub commands: u32,
    /// Failed logins in a session. RFC 4954 §4 advises a limit of no less than 3. Mail programs try several
    /// mechanisms with one password, each of which counts. Default 10.
    pub auth_failures: u32,
    /// Octets in a PROXY header of version 2. The addresses take 232 at most, the rest is for extensions.
    /// Default 4096; at most 64 KiB are used.
    pub proxy_header: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_line: 2048,
            auth_line: 12288,
            message_size: 64 * 1024 * 1024,
            recipients: 1000,
            recipient_domains: 0,
            body_rate: 100,
            transactions: 0,
            errors: 20,
            refused_recipients: 100,
            commands: 1000,
            auth_failures: 10,
            proxy_header: 4096,
        }
    }
}

/// How long a peer is waited for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Timeouts {
    /// For the next command to be complete. RFC 5321 §4.5.3.2.7 wants at least 5 minutes, the default.
    pub command: Duration,
    /// For the next piece of a message. RFC 5321 §4.5.3.2.5 has clients wait 3 minutes. Default 5 minutes. The message
    /// as a whole has so much time and that which [`Limits::body_rate`] gives.
    pub body: Duration,
    /// From the greeting to a successful login, where [`Config::require_auth`] is set. Default 10 minutes.
    pub login: Duration,
    /// For the PROXY header to be complete. Default 10 seconds.
    pub proxy_header: Duration,
    /// For the peer to take the last reply before the connection ends. Default 10 seconds.
    pub farewell: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            command: Duration::from_secs(5 * 60),
            body: Duration::from_secs(5 * 60),
            login: Duration::from_secs(10 * 60),
            proxy_header: Duration::from_secs(10),
            farewell: Duration::from_secs(10),
        }
    }
}
