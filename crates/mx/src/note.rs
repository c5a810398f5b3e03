//! The reasons that [`Route::explain`](crate::Route::explain) gives

use crate::dane::{self, Policy};
use crate::sts::{Announced, Known};
use crate::{Relay, Rule, Target};
use core::fmt;
use core::net::IpAddr;
use mailwright_dns::{Failure, Mx, Name, Question, Security};
use std::sync::Arc;

/// One step of planning, put into words only when somebody asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    Rule {
        domain: Name,
        /// The domain that the rule was made for.
        of: Name,
        rule: Rule,
    },
    SmartHosts(Vec<Relay>),
    Literal(String),
    Alias {
        from: Name,
        to: Name,
    },
    MailExchangers {
        domain: Name,
        records: Vec<Mx>,
        security: Security,
    },
    Implicit(Name),
    NullIgnored,
    NoHostName(Name),
    OwnName(Mx),
    OwnAddress {
        host: Target,
        preference: u16,
        address: IpAddr,
    },
    TooManyHosts {
        used: usize,
        of: usize,
    },
    Addresses {
        host: Target,
        addresses: Vec<IpAddr>,
        security: Security,
    },
    NoAddress(Target),
    UnusableAddress {
        host: Target,
        address: IpAddr,
    },
    TooManyAddresses {
        host: Target,
        used: usize,
        of: usize,
    },
    TooManyAttempts {
        used: usize,
        of: usize,
    },
    Failed {
        question: Question,
        failure: Failure,
    },
    Tlsa(Arc<Policy>),
    Announced(Announced),
    Policy(Known),
    Unmet(Target, Unmet),
}

/// Why a host may not be used although it has addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unmet {
    /// Whether it has TLSA records could not be found out (RFC 7672 §2.1.2).
    Lookup,
    /// The MTA-STS policy does not list it (RFC 8461 §4.1).
    NotListed,
    /// The sender requires TLS, and the name of the host is not sure (RFC 8689 §4.2.1).
    NotSure,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lookup => "its TLSA records could not be looked up",
            Self::NotListed => "the MTA-STS policy does not list it",
            Self::NotSure => "the sender requires TLS, and nothing vouches for its name",
        })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule { domain, of, rule } => {
                write!(f, "{domain} has a rule of the operator")?;
                if of != domain {
                    write!(f, " (that of {of})")?;
                }
                if !rule.relays.is_empty() {
                    write!(f, ": fixed route {}", List(&rule.relays))?;
                }
                if let Some(tls) = rule.tls {
                    write!(f, ": TLS {tls}")?;
                }
                if let Some(port) = rule.port {
                    write!(f, ": port {port}")?;
                }
                Ok(())
            }
            Self::SmartHosts(relays) => write!(f, "everything goes through a smart host: {}", List(relays)),
            Self::Literal(text) => write!(f, "{text} is an address: no MX records are looked up"),
            Self::Alias { from, to } => write!(f, "{from} is an alias for {to}"),
            Self::MailExchangers {
                domain,
                records,
                security,
            } => {
                write!(f, "{domain} has MX records ({security}):")?;
                records
                    .iter()
                    .try_for_each(|mx| write!(f, " {} {}", mx.preference, mx.exchange))
            }
            Self::Implicit(domain) => write!(f, "{domain} has no MX records: it is its own mail exchanger"),
            Self::NullIgnored => f.write_str("a null MX record beside others means nothing: ignored"),
            Self::NoHostName(name) => write!(f, "{name} is an address and not a host name: ignored"),
            Self::OwnName(mx) => write!(
                f,
                "{} with preference {} is this host: dropped with all that are not better",
                mx.exchange, mx.preference
            ),
            Self::OwnAddress {
                host,
                preference,
                address,
            } => write!(
                f,
                "{host} with preference {preference} is this host, by its address {address}: dropped with all that \
                 are not better"
            ),
            Self::TooManyHosts { used, of } => write!(f, "only the best {used} of {of} hosts are looked at"),
            Self::Addresses {
                host,
                addresses,
                security,
            } => {
                write!(f, "{host} has addresses ({security}): {}", List(addresses))
            }
            Self::NoAddress(host) => write!(f, "{host} has no address"),
            Self::UnusableAddress { host, address } => {
                write!(f, "{host}: {address} cannot be a mail server: ignored")
            }
            Self::TooManyAddresses { host, used, of } => {
                write!(f, "only {used} of the {of} addresses of {host} are used")
            }
            Self::TooManyAttempts { used, of } => {
                write!(f, "only the first {used} of {of} attempts are made")
            }
            Self::Failed { question, failure } => write!(f, "looking up {question} failed: {failure}"),
            Self::Tlsa(policy) => {
                let (all, usable) = (policy.records(), policy.usable());
                let base = policy.base();
                write!(f, "{base} has TLSA records (secure), {} usable:", usable.len())?;
                all.iter()
                    .try_for_each(|record| write!(f, " [{}]", dane::print(record)))
            }
            Self::Announced(Announced::Id(id)) => write!(f, "MTA-STS is announced with id {id}"),
            Self::Announced(Announced::Nothing) => f.write_str("MTA-STS is not announced"),
            Self::Announced(Announced::Unknown) => f.write_str("whether MTA-STS is announced is not known"),
            Self::Policy(known) => {
                match &known.policy {
                    Some(policy) => {
                        let (mode, patterns) = (policy.mode(), policy.patterns());
                        write!(f, "MTA-STS policy, mode {mode}, hosts {}", List(patterns))?;
                    }
                    None => f.write_str("no MTA-STS policy holds")?,
                }
                known
                    .error
                    .iter()
                    .try_for_each(|error| write!(f, " (fetching it: {error})"))
            }
            Self::Unmet(host, unmet) => write!(f, "{host} is not used: {unmet}"),
        }
    }
}

struct List<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            write!(f, "{separator}{item}")?;
        }
        Ok(())
    }
}
