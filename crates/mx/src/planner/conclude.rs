//! The end of planning: hosts, addresses and policies become attempts ([RFC 5321] §5.1, [RFC 7672] §2, [RFC 8461] §5,
//! [RFC 8689] §4.2)
//!
//! [RFC 5321]: https://www.rfc-editor.org/rfc/rfc5321
//! [RFC 7672]: https://www.rfc-editor.org/rfc/rfc7672
//! [RFC 8461]: https://www.rfc-editor.org/rfc/rfc8461
//! [RFC 8689]: https://www.rfc-editor.org/rfc/rfc8689

use super::{Planner, Source, Sts, permanent, temporary};
use crate::candidate::Candidate;
use crate::note::{Note, Unmet};
use crate::search::Search;
use crate::sts::{Mode, Policy};
use crate::{Attempt, Demand, Outcome, Target, TlsPolicy, TlsReason, TlsRule, Via};
use core::net::SocketAddr;
use mailwright_dns::{Failure, Question, Security};
use std::sync::Arc;

impl Planner {
    /// Whether a host is left that DANE says nothing about.
    pub(super) fn wants_policy(&self) -> bool {
        let open = |candidate: &Candidate| {
            let decided = match &candidate.search {
                Search::Found(policy) => self.demand != Demand::Required || !policy.usable().is_empty(),
                Search::Failed(_) => true,
                _ => false,
            };
            !decided && candidate.addresses().next().is_some()
        };
        matches!(self.sts, Sts::Announced(..)) && self.candidates.iter().any(open)
    }

    /// Decides when all answers are there.
    pub(super) fn conclude(&mut self) -> Outcome {
        self.note_addresses();
        if self.source != Source::Given {
            self.drop_own_addresses();
        }
        let policies = self.policies();
        let attempts = self.attempts(&policies);
        if !attempts.is_empty() {
            return Outcome::Attempts(attempts);
        }
        // Hosts there are, but none that may be used: the strictest demand has the last word.
        if let Some(refusal) = self.unmet(&policies) {
            return refusal;
        }
        let failure = self.candidates.iter().find_map(Candidate::failure);
        match (&self.source, failure) {
            (Source::Given, Some((question, failure))) => {
                temporary((4, 4, 3), lookup_failed(question, failure))
            }
            // The operator's mistake is no reason to bounce mail.
            (Source::Given, None) => temporary((4, 4, 4), "the relay host has no usable address".to_owned()),
            (Source::MailExchangers(domain) | Source::Implicit(domain), _)
                if self.found_own && self.candidates.is_empty() =>
            {
                permanent(
                    554,
                    (5, 4, 6),
                    format!("mail for {domain} loops back to this host"),
                )
            }
            (Source::MailExchangers(domain), _) if self.found_own => temporary(
                (4, 4, 4),
                format!("no better mail exchanger of {domain} than this host could be found"),
            ),
            (_, Some((question, failure))) => temporary((4, 4, 3), lookup_failed(question, failure)),
            (Source::MailExchangers(domain), None) => permanent(
                550,
                (5, 4, 4),
                format!("no mail exchanger of {domain} has a usable address"),
            ),
            (Source::Implicit(domain), None) => permanent(
                550,
                (5, 1, 2),
                format!("the domain {domain} has neither MX records nor a usable address"),
            ),
        }
    }

    fn note_addresses(&mut self) {
        for candidate in &mut self.candidates {
            if !matches!(candidate.host, Target::Name(_)) {
                continue;
            }
            let addresses: Vec<_> = candidate.addresses().collect();
            if !addresses.is_empty() {
                let security = candidate.address_security();
                self.notes.push(Note::Addresses {
                    host: candidate.host.clone(),
                    addresses,
                    security,
                });
            } else if candidate.failure().is_none() {
                self.notes.push(Note::NoAddress(candidate.host.clone()));
            }
            for address in candidate.take_unusable() {
                self.notes.push(Note::UnusableAddress {
                    host: candidate.host.clone(),
                    address,
                });
            }
        }
    }

    /// Finds this host by its addresses, and drops it with all that are not better (RFC 5321 §5.1).
    fn drop_own_addresses(&mut self) {
        let own = self.candidates.iter().find_map(|candidate| {
            let address = candidate
                .addresses()
                .find(|address| self.config.is_own_address(*address))?;
            Some((candidate.host.clone(), candidate.preference, address))
        });
        if let Some((host, preference, address)) = own {
            self.candidates
                .retain(|candidate| candidate.preference < preference);
            self.notes.push(Note::OwnAddress {
                host,
                preference,
                address,
            });
            self.found_own = true;
        }
    }

    /// What is asked of TLS at each host; why not, if the host may not be used.
    fn policies(&mut self) -> Vec<Result<(TlsPolicy, TlsReason), Unmet>> {
        let sts = match &self.sts {
            Sts::Known(known) => known.policy.clone(),
            _ => None,
        };
        let mut policies = Vec::with_capacity(self.candidates.len());
        for candidate in &self.candidates {
            let policy = candidate.tls(self.demand, sts.as_ref());
            if candidate.addresses().next().is_some() {
                if let Err(unmet) = policy {
                    self.notes.push(Note::Unmet(candidate.host.clone(), unmet));
                }
                if let Search::Found(dane) = &candidate.search {
                    self.notes.push(Note::Tlsa(dane.clone()));
                }
            }
            policies.push(policy);
        }
        policies
    }

    fn unmet(&self, policies: &[Result<(TlsPolicy, TlsReason), Unmet>]) -> Option<Outcome> {
        let reachable = self.candidates.iter().zip(policies);
        let mut reachable = reachable.filter(|(candidate, _)| candidate.addresses().next().is_some());
        let worst = reachable.clone().find_map(|(_, policy)| match policy {
            Err(Unmet::Lookup) => Some(Unmet::Lookup),
            _ => None,
        });
        match worst.or_else(|| reachable.find_map(|(_, policy)| policy.as_ref().err().copied()))? {
            // Told with the failures of other lookups.
            Unmet::Lookup => None,
            Unmet::NotListed => Some(temporary(
                (4, 7, 5),
                "no mail exchanger is listed by the MTA-STS policy of the domain".to_owned(),
            )),
            Unmet::NotSure => Some(permanent(
                550,
                (5, 7, 10),
                "the sender requires TLS, and no host could be authenticated".to_owned(),
            )),
        }
    }

    fn attempts(&mut self, policies: &[Result<(TlsPolicy, TlsReason), Unmet>]) -> Vec<Attempt> {
        let mut attempts: Vec<Attempt> = Vec::new();
        let per_host = self.config.max_addresses_per_host.max(MIN_ADDRESSES);
        for (candidate, policy) in self.candidates.iter().zip(policies) {
            let Ok((tls, tls_reason)) = policy else { continue };
            let addresses = candidate.in_order(self.config.families, &mut self.random);
            if addresses.len() > per_host {
                let (host, of) = (candidate.host.clone(), addresses.len());
                self.notes.push(Note::TooManyAddresses {
                    host,
                    used: per_host,
                    of,
                });
            }
            for (address, security) in addresses.into_iter().take(per_host) {
                let addr = SocketAddr::new(address, candidate.port);
                // Asking the same server again, under another name, helps nobody.
                if !attempts
                    .iter()
                    .any(|earlier| earlier.addr == addr && earlier.tls == *tls)
                {
                    let host = candidate.host.clone();
                    let Candidate { via, preference, .. } = *candidate;
                    attempts.push(Attempt {
                        host,
                        addr,
                        via,
                        preference,
                        security,
                        tls: tls.clone(),
                        tls_reason: *tls_reason,
                    });
                }
            }
        }
        let (used, of) = (self.config.max_attempts.max(MIN_ADDRESSES), attempts.len());
        if of > used {
            self.notes.push(Note::TooManyAttempts { used, of });
            attempts.truncate(used);
        }
        attempts
    }
}

impl Candidate {
    fn tls(&self, demand: Demand, sts: Option<&Arc<Policy>>) -> Result<(TlsPolicy, TlsReason), Unmet> {
        let name = match &self.host {
            Target::Name(name) => Some(name),
            Target::Address(_) => None,
        };
        match self.rule {
            TlsRule::Automatic => {}
            TlsRule::Verified => return Ok((TlsPolicy::Verified, TlsReason::Operator)),
            TlsRule::Implicit => return Ok((TlsPolicy::Implicit, TlsReason::Operator)),
            _ if demand == Demand::Required && name.is_none() => return Err(Unmet::NotSure),
            _ if demand == Demand::Required => return Ok((TlsPolicy::Verified, TlsReason::RequireTls)),
            TlsRule::Cleartext => return Ok((TlsPolicy::Cleartext, TlsReason::Operator)),
            TlsRule::Opportunistic => return Ok((TlsPolicy::Opportunistic, TlsReason::Operator)),
            TlsRule::Encrypted => return Ok((TlsPolicy::Encrypted, TlsReason::Operator)),
        }
        let Some(name) = name else {
            return match demand {
                Demand::Required => Err(Unmet::NotSure),
                _ => Ok((TlsPolicy::Opportunistic, TlsReason::Literal)),
            };
        };
        if demand == Demand::Optional {
            return Ok((TlsPolicy::Opportunistic, TlsReason::TlsOptional));
        }
        // RFC 8461 §2: MTA-STS never stands in for DANE that fails.
        let required = demand == Demand::Required;
        match &self.search {
            Search::Found(policy) if !policy.usable().is_empty() => {
                return Ok((TlsPolicy::Dane(policy.clone()), TlsReason::TlsaRecords));
            }
            Search::Found(_) if !required => return Ok((TlsPolicy::Encrypted, TlsReason::UnusableTlsa)),
            Search::Failed(_) => return Err(Unmet::Lookup),
            _ => {}
        }
        if let Some(policy) = sts {
            let policy = policy.clone();
            match (policy.mode(), policy.lists(name)) {
                (Mode::Enforce, false) => return Err(Unmet::NotListed),
                (_, true) if required => return Ok((TlsPolicy::Verified, TlsReason::RequireTls)),
                (_, listed) if !required => {
                    return Ok((TlsPolicy::Sts { policy, listed }, TlsReason::StsPolicy));
                }
                _ => {}
            }
        }
        if !required {
            return Ok((TlsPolicy::Opportunistic, TlsReason::NothingPublished));
        }
        // The name is that of the recipient or of the operator, or DNSSEC vouches for it.
        let sure = self.via != Via::MailExchanger || self.security == Some(Security::Secure);
        match sure {
            true => Ok((TlsPolicy::Verified, TlsReason::RequireTls)),
            false => Err(Unmet::NotSure),
        }
    }
}

fn lookup_failed(question: &Question, failure: &Failure) -> String {
    format!("looking up {question} failed: {failure}")
}

/// RFC 5321 §5.1: the client SHOULD try at least two addresses.
const MIN_ADDRESSES: usize = 2;
