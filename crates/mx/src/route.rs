//! What a plan comes to ([RFC 5321] §5.1, [RFC 7505], codes of [RFC 3463])
//!
//! [RFC 5321]: https://www.rfc-editor.org/rfc/rfc5321
//! [RFC 7505]: https://www.rfc-editor.org/rfc/rfc7505
//! [RFC 3463]: https://www.rfc-editor.org/rfc/rfc3463

use crate::note::Note;
use crate::sts::FetchError;
use crate::{Target, TlsPolicy, TlsReason};
use core::fmt;
use core::net::SocketAddr;
use mailwright_dns::{Name, Security};

/// The way to a destination, with the reasons for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    outcome: Outcome,
    notes: Vec<Note>,
}

impl Route {
    pub(crate) fn new(outcome: Outcome, notes: Vec<Note>) -> Self {
        Self { outcome, notes }
    }

    /// What to do.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// What to do, owned.
    pub fn into_outcome(self) -> Outcome {
        self.outcome
    }

    /// The attempts, in order; empty if there is no way.
    pub fn attempts(&self) -> &[Attempt] {
        match &self.outcome {
            Outcome::Attempts(attempts) => attempts,
            Outcome::Permanent(_) | Outcome::Temporary(_) => &[],
        }
    }

    /// Why the MTA-STS policy of the domain could not be fetched, if that was tried. An earlier one may hold.
    pub fn policy_error(&self) -> Option<FetchError> {
        self.notes.iter().find_map(|note| match note {
            Note::Policy(known) => known.error,
            _ => None,
        })
    }

    /// Tells a person, line by line, how the route came about.
    pub fn explain(&self) -> impl Iterator<Item = String> {
        let verdict: Vec<String> = match &self.outcome {
            Outcome::Attempts(attempts) => attempts.iter().map(ToString::to_string).collect(),
            Outcome::Permanent(refusal) => vec![format!("permanent failure: {refusal}")],
            Outcome::Temporary(refusal) => vec![format!("temporary failure: {refusal}")],
        };
        self.notes.iter().map(ToString::to_string).chain(verdict)
    }
}

/// Prints [`Route::explain`], one line each.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.explain().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// What to do with mail for a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
// Deliver, bounce, or wait: queues have no fourth thing to do.
#[allow(clippy::exhaustive_enums)]
pub enum Outcome {
    /// Try these in order until one takes the mail. Never empty.
    Attempts(Vec<Attempt>),
    /// The mail cannot be delivered.
    Permanent(Refusal),
    /// It is not known where the mail goes: ask again later.
    Temporary(Refusal),
}

/// One address to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The host, as named by the MX record, the domain, the literal or the operator.
    pub host: Target,
    /// Address and port.
    pub addr: SocketAddr,
    /// What the host is to the destination.
    pub via: Via,
    /// The preference of the MX record; 0 for an implicit one and for literals, the place in the list for relays.
    pub preference: u16,
    /// The weakest security among the answers that led here. [`Security::Indeterminate`] if none was asked for.
    pub security: Security,
    /// What is asked of TLS.
    pub tls: TlsPolicy,
    /// Why.
    pub tls_reason: TlsReason,
}

impl Attempt {
    /// The name to ask for in TLS (SNI): that of the TLSA records if they decide, else the host's; `None` for a host
    /// without a name.
    pub fn server_name(&self) -> Option<&Name> {
        match (&self.tls, &self.host) {
            (TlsPolicy::Dane(policy), _) => Some(policy.base()),
            (_, Target::Name(name)) => Some(name),
            (_, Target::Address(_)) => None,
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host,
            addr,
            via,
            preference,
            security,
            tls,
            tls_reason,
        } = self;
        write!(
            f,
            "try {host} at {addr} ({via}, preference {preference}, DNS {security}, TLS {tls}: {tls_reason})"
        )
    }
}

/// What a host is to the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Via {
    /// A mail exchanger by MX record.
    MailExchanger,
    /// The domain itself, for want of MX records.
    ImplicitExchanger,
    /// The address in the recipient's address.
    Literal,
    /// The end of a fixed route.
    FixedRoute,
    /// A smart host for everything.
    SmartHost,
    /// One of [`Destination::Relays`](crate::Destination::Relays).
    Relay,
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MailExchanger => "mail exchanger",
            Self::ImplicitExchanger => "implicit mail exchanger",
            Self::Literal => "address literal",
            Self::FixedRoute => "fixed route",
            Self::SmartHost => "smart host",
            Self::Relay => "relay",
        })
    }
}

/// Why mail cannot go, in words for a DSN.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The reply code that fits (RFC 5321 §4.2).
    pub code: u16,
    /// The enhanced status code (RFC 3463).
    pub enhanced: EnhancedCode,
    /// The reason, one line of ASCII.
    pub reason: String,
}

impl Refusal {
    pub(crate) fn new(code: u16, enhanced: (u8, u16, u16), reason: String) -> Self {
        let (class, subject, detail) = enhanced;
        Self {
            code,
            enhanced: EnhancedCode {
                class,
                subject,
                detail,
            },
            reason,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.code, self.enhanced, self.reason)
    }
}

/// An enhanced status code (RFC 3463 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs)] // RFC 3463 has these three parts
pub struct EnhancedCode {
    /// 4 for a temporary failure, 5 for a permanent one.
    pub class: u8,
    /// What the failure is about, 0 to 999.
    pub subject: u16,
    /// Which failure it is, 0 to 999.
    pub detail: u16,
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}
