use crate::{Expire, Language};
use mailwright_sasl::Mechanism;
use std::time::Duration;

/// What a server offers, and its limits. The same for many connections: share it in an `Arc`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The text of the greeting. Keep angle brackets out: old clients take them for an APOP challenge
    /// (RFC 1939 §7). Default "POP3 server ready".
    pub greeting: String,
    /// What IMPLEMENTATION says in CAPA (RFC 2449 §6.9); nothing if `None`. Default `None`.
    pub implementation: Option<String>,
    /// Whether STLS is offered while the connection is not under TLS (RFC 2595 §4). Default `false`: it
    /// needs a certificate.
    pub stls: bool,
    /// Whether USER and PASS are offered, as far as `allow_plaintext` lets them. Default `true`.
    pub user_pass: bool,
    /// The mechanisms of AUTH, as far as `allow_plaintext` lets them. -PLUS ones are
    /// offered once [`Server::bind_channel`](crate::Server::bind_channel) says to what. Default
    /// [`Mechanism::USUAL`].
    pub mechanisms: Vec<Mechanism>,
    /// Whether passwords may be sent without TLS. Default `false` (RFC 5034 §4, RFC 8314 §4.1).
    pub allow_plaintext: bool,
    /// The host name of the timestamp in the greeting, which offers APOP (RFC 1939 §7); without it there is
    /// none. Default `None`: APOP needs a password that is stored as it is, rests on MD5, and lets whoever
    /// listens guess the password at leisure.
    #[cfg(feature = "apop")]
    pub apop: Option<String>,
    /// Whether UTF8 is offered (RFC 6856 §2). Default `false`: the embedder must then heed
    /// [`Event::Retrieve`](crate::server::Event::Retrieve)'s `utf8`.
    pub utf8: bool,
    /// Whether UTF8 says that user names and passwords may be UTF-8 (RFC 6856 §2.2), if it is offered. Default
    /// `false`: SASLprep is wanted then, which the feature `saslprep` of mailwright-sasl does.
    pub utf8_user: bool,
    /// The languages that LANG offers (RFC 6856 §3), the preferred one first; none offers no LANG. English is
    /// spoken until a client asks. Default none.
    pub languages: Vec<Language>,
    /// How long messages stay: EXPIRE (RFC 2449 §6.7). If it differs between users, the shortest. Default
    /// `None`, which says nothing.
    pub expire: Option<Expire>,
    /// How long a user has to wait between logins, in whole seconds: LOGIN-DELAY (RFC 2449 §6.5). If it differs
    /// between users, the longest. It is the embedder who answers a login that is too early with
    /// [`ResponseCode::LoginDelay`](crate::ResponseCode::LoginDelay). Default `None`, which says nothing.
    pub login_delay: Option<Duration>,
    /// Whether EXPIRE and LOGIN-DELAY differ between users, so that a client does well to ask again after
    /// login: adds `USER` to them before it. Default `false`.
    pub by_user: bool,
    /// The time a client has to log in, from the connection on. Default 2 minutes.
    pub login_timeout: Duration,
    /// How long a client may send no command, or take nothing of what is sent. Default 10 minutes, which is
    /// the least that RFC 1939 §3 allows.
    pub idle_timeout: Duration,
    /// The longest command line, in octets with its CRLF. Default 512; at least 255 (RFC 2449 §4).
    pub max_line: usize,
    /// The longest line of a SASL response, in octets with its CRLF. Default 12,288; must hold what the
    /// mechanisms need (RFC 5034 §4).
    pub max_sasl_line: usize,
    /// How many bad commands are forgiven in one session. Default 20.
    pub max_errors: u32,
    /// How many failed logins end the session. Default 3.
    pub max_failures: u32,
    /// How many octets of output are gathered before [`Step::Write`](mailwright_wire::Step::Write) is
    /// insisted on. Default 32 KiB. A chunk of a message comes on top of it.
    pub max_output: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            greeting: "POP3 server ready".to_owned(),
            implementation: None,
            stls: false,
            user_pass: true,
            mechanisms: Mechanism::USUAL.to_vec(),
            allow_plaintext: false,
            #[cfg(feature = "apop")]
            apop: None,
            utf8: false,
            utf8_user: false,
            languages: Vec::new(),
            expire: None,
            login_delay: None,
            by_user: false,
            login_timeout: Duration::from_secs(2 * 60),
            idle_timeout: Duration::from_secs(10 * 60),
            max_line: 512,
            max_sasl_line: 12 * 1024,
            max_errors: 20,
            max_failures: 3,
            max_output: 32 * 1024,
        }
    }
}

impl Config {
    /// Whether this mechanism may be used, with or without TLS.
    pub(super) fn allows(&self, mechanism: Mechanism, is_tls: bool) -> bool {
        self.mechanisms.contains(&mechanism) && (!mechanism.is_plaintext() || is_tls || self.allow_plaintext)
    }

    /// Whether USER and PASS may be used, with or without TLS.
    pub(super) fn allows_user_pass(&self, is_tls: bool) -> bool {
        self.user_pass && (is_tls || self.allow_plaintext)
    }
}
