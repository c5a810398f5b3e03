//! From a destination to a route ([RFC 5321] §5.1, [RFC 7505])
//!
//! ```text
//!  Domain ──▶ Mx ──┬─ records ──▶ sort, drop null and own ──┐
//!                  ├─ no data ──▶ implicit MX ──────────────┤
//!                  ├─ no domain, null MX ──▶ Permanent      ▼
//!                  └─ failure ──▶ Temporary             Addresses ──▶ drop own, order, cap ──▶ Attempts
//!  fixed route, smart hosts, Relays ────────────────────────▲
//!  Literal ──▶ Attempts
//! ```
//!
//! [RFC 5321]: https://www.rfc-editor.org/rfc/rfc5321
//! [RFC 7505]: https://www.rfc-editor.org/rfc/rfc7505

use crate::candidate::Candidate;
use crate::config::is_usable;
use crate::note::Note;
use crate::random::Random;
use crate::{Attempt, Config, Outcome, Refusal, Relay, Route, Target, TlsPolicy, Via};
use core::net::SocketAddr;
use mailwright_address::{AddressLiteral, Domain};
use mailwright_dns::{Answer, Failure, Mx, Name, Question, RecordType, Records};
use std::collections::VecDeque;
use std::sync::Arc;

/// Where mail is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Destination {
    /// The domain of a recipient, in A-labels or U-labels.
    Domain(Domain),
    /// The address literal of a recipient.
    Literal(AddressLiteral),
    /// These hosts, in this order, whatever the recipient and the fixed routes are.
    Relays(Vec<Relay>),
}

impl From<Domain> for Destination {
    fn from(domain: Domain) -> Self {
        Self::Domain(domain)
    }
}

impl From<AddressLiteral> for Destination {
    fn from(literal: AddressLiteral) -> Self {
        Self::Literal(literal)
    }
}

/// What the caller of a [`Planner`] has to do next.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
// Callers must handle every step; a new one would be a new contract.
#[allow(clippy::exhaustive_enums)]
pub enum Step {
    /// Find the answer, and give it to [`Planner::answer`]. Meanwhile poll on: several questions may be open.
    Ask(Question),
    /// Nothing more to ask until an answer comes.
    Wait,
    /// The route is known.
    Ready(Route),
}

/// Plans the way to one destination.
#[derive(Debug)]
pub struct Planner {
    config: Arc<Config>,
    random: Random,
    source: Source,
    candidates: Vec<Candidate>,
    /// Questions that were not handed out yet.
    to_ask: VecDeque<Question>,
    /// Questions whose answers are owed.
    open: Vec<Question>,
    /// Whether this host was found among the mail exchangers.
    found_own: bool,
    notes: Vec<Note>,
    outcome: Option<Outcome>,
}

/// Where the candidates come from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// The MX records of the domain, not known yet or known.
    MailExchangers(Name),
    /// The domain itself.
    Implicit(Name),
    /// The operator or the sender's address, who are believed.
    Given,
}

impl Planner {
    /// Starts planning. Equal choices are ordered at random, as `seed` says.
    pub fn new(destination: Destination, config: Arc<Config>, seed: u64) -> Self {
        let mut planner = Self {
            config,
            random: Random::new(seed),
            source: Source::Given,
            candidates: Vec::new(),
            to_ask: VecDeque::new(),
            open: Vec::new(),
            found_own: false,
            notes: Vec::new(),
            outcome: None,
        };
        match destination {
            Destination::Domain(domain) => planner.start_domain(&domain),
            Destination::Literal(literal) => planner.start_literal(&literal),
            Destination::Relays(relays) => planner.start_relays(&relays, Via::Relay),
        }
        planner
    }

    /// Says what is needed next. Once the route is known, it stays the same.
    pub fn poll(&mut self) -> Step {
        if self.outcome.is_none() {
            if let Some(question) = self.to_ask.pop_front() {
                self.open.push(question.clone());
                return Step::Ask(question);
            }
            if !self.open.is_empty() {
                return Step::Wait;
            }
        }
        let outcome = match &self.outcome {
            Some(outcome) => outcome.clone(),
            None => {
                let outcome = self.conclude();
                self.outcome.insert(outcome).clone()
            }
        };
        Step::Ready(Route::new(outcome, self.notes.clone()))
    }

    /// Takes the answer to a question that [`poll`](Self::poll) asked.
    ///
    /// # Panics
    ///
    /// Panics if that question is not open.
    pub fn answer(&mut self, question: &Question, answer: Answer) {
        let place = self.open.iter().position(|open| open == question);
        self.open
            .swap_remove(place.expect("answer to a question that is not open"));
        if let Answer::Failure(failure) = &answer {
            self.notes.push(Note::Failed {
                question: question.clone(),
                failure: failure.clone(),
            });
        }
        match question.record_type {
            RecordType::Mx => self.on_mx(question, answer),
            _ => {
                for candidate in &mut self.candidates {
                    candidate.on_answer(question, &answer);
                }
            }
        }
    }

    fn start_domain(&mut self, domain: &Domain) {
        let Ok(name) = Name::try_from(domain) else {
            self.refuse(550, (5, 1, 2), "the domain is not a valid DNS name".to_owned());
            return;
        };
        let config = Arc::clone(&self.config);
        if let Some(relays) = config.route(&name) {
            self.notes.push(Note::FixedRoute {
                domain: name,
                relays: relays.to_vec(),
            });
            self.start_relays(relays, Via::FixedRoute);
        } else if !self.start_smart_hosts() {
            self.to_ask.push_back(Question::new(name.clone(), RecordType::Mx));
            self.source = Source::MailExchangers(name);
        }
    }

    fn start_literal(&mut self, literal: &AddressLiteral) {
        if self.start_smart_hosts() {
            return;
        }
        self.notes.push(Note::Literal(literal.to_string()));
        let Some(address) = literal.ip().map(|address| address.to_canonical()) else {
            return self.refuse(550, (5, 1, 2), format!("{literal} is not an Internet address"));
        };
        if !is_usable(address) {
            return self.refuse(
                550,
                (5, 1, 2),
                format!("{literal} cannot be the address of a mail server"),
            );
        }
        if self.config.is_own_address(address) {
            return self.refuse(
                554,
                (5, 4, 6),
                format!("mail for {literal} loops back to this host"),
            );
        }
        self.candidates.push(Candidate::new(
            Target::Address(address),
            self.config.port,
            Via::Literal,
            0,
        ));
    }

    fn start_smart_hosts(&mut self) -> bool {
        let config = Arc::clone(&self.config);
        if config.smart_hosts.is_empty() {
            return false;
        }
        self.notes.push(Note::SmartHosts(config.smart_hosts.clone()));
        self.start_relays(&config.smart_hosts, Via::SmartHost);
        true
    }

    fn start_relays(&mut self, relays: &[Relay], via: Via) {
        let used = self.cap_hosts(relays.len());
        for (place, relay) in (0u16..).zip(&relays[..used]) {
            self.candidates
                .push(Candidate::new(relay.host.clone(), relay.port, via, place));
        }
        self.ask_addresses();
    }

    fn on_mx(&mut self, question: &Question, answer: Answer) {
        match answer {
            Answer::Records(records) => {
                self.note_alias(&question.name, records.canonical_name());
                self.on_mail_exchangers(&question.name, &records);
            }
            Answer::NoData(negative) => {
                let name = negative.canonical_name().clone();
                self.note_alias(&question.name, &name);
                self.notes.push(Note::Implicit(name.clone()));
                self.source = Source::Implicit(name.clone());
                if self.config.is_own_name(&name) {
                    self.notes.push(Note::OwnName(Mx::new(0, name)));
                    return self.refuse_loop(&question.name);
                }
                let mut candidate =
                    Candidate::new(Target::Name(name), self.config.port, Via::ImplicitExchanger, 0);
                candidate.security = Some(negative.security());
                self.candidates.push(candidate);
                self.ask_addresses();
            }
            Answer::NxDomain(negative) => {
                self.note_alias(&question.name, negative.canonical_name());
                self.refuse(
                    550,
                    (5, 1, 2),
                    format!("the domain {} does not exist", question.name),
                );
            }
            Answer::Failure(failure) => {
                self.defer(
                    (4, 4, 3),
                    format!("looking up the MX records of {} failed: {failure}", question.name),
                );
            }
        }
    }

    fn on_mail_exchangers(&mut self, domain: &Name, records: &Records) {
        let mut exchangers: Vec<Mx> = records.mx().cloned().collect();
        exchangers.sort_by_key(|mx| mx.preference);
        let note = Note::MailExchangers {
            domain: records.canonical_name().clone(),
            records: exchangers.clone(),
            security: records.security(),
        };
        self.notes.push(note);
        if !exchangers.is_empty() && exchangers.iter().all(|mx| mx.exchange.is_root()) {
            return self.refuse(
                556,
                (5, 1, 10),
                format!("the domain {domain} does not accept mail (null MX)"),
            );
        }
        self.drop_unusable(&mut exchangers);
        if let Some(own) = exchangers
            .iter()
            .find(|mx| self.config.is_own_name(&mx.exchange))
            .cloned()
        {
            exchangers.retain(|mx| mx.preference < own.preference);
            self.notes.push(Note::OwnName(own));
            self.found_own = true;
            if exchangers.is_empty() {
                return self.refuse_loop(domain);
            }
        }
        for equals in exchangers.chunk_by_mut(|a, b| a.preference == b.preference) {
            self.random.shuffle(equals);
        }
        exchangers.truncate(self.cap_hosts(exchangers.len()));
        for mx in exchangers {
            let mut candidate = Candidate::new(
                Target::Name(mx.exchange),
                self.config.port,
                Via::MailExchanger,
                mx.preference,
            );
            candidate.security = Some(records.security());
            self.candidates.push(candidate);
        }
        self.ask_addresses();
    }

    /// Drops null records, addresses in place of names, and all but the best record of each host.
    fn drop_unusable(&mut self, exchangers: &mut Vec<Mx>) {
        let mut seen = std::collections::HashSet::new();
        exchangers.retain(|mx| {
            if mx.exchange.is_root() {
                self.notes.push(Note::NullIgnored);
                return false;
            }
            if looks_like_address(&mx.exchange) {
                self.notes.push(Note::NoHostName(mx.exchange.clone()));
                return false;
            }
            seen.insert(mx.exchange.clone())
        });
    }

    fn ask_addresses(&mut self) {
        for candidate in &mut self.candidates {
            for question in candidate.questions(self.config.families) {
                if !self.to_ask.contains(&question) {
                    self.to_ask.push_back(question);
                }
            }
        }
    }

    /// Decides when all answers are there.
    fn conclude(&mut self) -> Outcome {
        self.note_addresses();
        if self.source != Source::Given {
            self.drop_own_addresses();
        }
        let attempts = self.attempts();
        if !attempts.is_empty() {
            return Outcome::Attempts(attempts);
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

    fn attempts(&mut self) -> Vec<Attempt> {
        let mut attempts: Vec<Attempt> = Vec::new();
        let per_host = self.config.max_addresses_per_host.max(MIN_ADDRESSES);
        for candidate in &self.candidates {
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
                let tls = TlsPolicy::Opportunistic;
                // Asking the same server again, under another name, helps nobody.
                if !attempts
                    .iter()
                    .any(|earlier| earlier.addr == addr && earlier.tls == tls)
                {
                    let host = candidate.host.clone();
                    let Candidate { via, preference, .. } = *candidate;
                    attempts.push(Attempt {
                        host,
                        addr,
                        via,
                        preference,
                        security,
                        tls,
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

    fn cap_hosts(&mut self, of: usize) -> usize {
        let used = self.config.max_hosts.max(1).min(of);
        if used < of {
            self.notes.push(Note::TooManyHosts { used, of });
        }
        used
    }

    fn note_alias(&mut self, from: &Name, to: &Name) {
        if from != to {
            self.notes.push(Note::Alias {
                from: from.clone(),
                to: to.clone(),
            });
        }
    }

    fn refuse_loop(&mut self, domain: &Name) {
        self.refuse(
            554,
            (5, 4, 6),
            format!("mail for {domain} loops back to this host"),
        );
    }

    fn refuse(&mut self, code: u16, enhanced: (u8, u16, u16), reason: String) {
        self.outcome = Some(permanent(code, enhanced, reason));
    }

    fn defer(&mut self, enhanced: (u8, u16, u16), reason: String) {
        self.outcome = Some(temporary(enhanced, reason));
    }
}

fn permanent(code: u16, enhanced: (u8, u16, u16), reason: String) -> Outcome {
    Outcome::Permanent(Refusal::new(code, enhanced, reason))
}

fn temporary(enhanced: (u8, u16, u16), reason: String) -> Outcome {
    Outcome::Temporary(Refusal::new(451, enhanced, reason))
}

fn lookup_failed(question: &Question, failure: &Failure) -> String {
    format!("looking up {question} failed: {failure}")
}

/// A common mistake in zones: the exchange `192.0.2.1.`, which no name server will ever resolve.
fn looks_like_address(name: &Name) -> bool {
    let mut count = 0;
    let digits = name
        .labels()
        .inspect(|_| count += 1)
        .all(|label| label.iter().all(u8::is_ascii_digit));
    digits && count == 4
}

/// RFC 5321 §5.1: the client SHOULD try at least two addresses.
const MIN_ADDRESSES: usize = 2;
