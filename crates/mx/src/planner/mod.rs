//! From a destination to a route ([RFC 5321] §5.1, [RFC 7505])
//!
//! ```text
//!  Domain ──▶ Mx ──┬─ records ──▶ sort, drop null and own ──┐
//!                  ├─ no data ──▶ implicit MX ──────────────┤
//!                  ├─ no domain, null MX ──▶ Permanent      ▼
//!                  └─ failure ──▶ Temporary             Addresses ──▶ TLSA ──▶ policy ──▶ drop own, order, cap
//!  fixed route, smart hosts, Relays ────────────────────────▲                                    │
//!  Literal ──▶ Attempts                                                              Attempts ◀──┘
//! ```
//!
//! TLSA records are looked for where DNSSEC vouches for the way to a host (`search.rs`), and the MTA-STS policy of the
//! domain is asked for if a host has none (`conclude.rs`).
//!
//! [RFC 5321]: https://www.rfc-editor.org/rfc/rfc5321
//! [RFC 7505]: https://www.rfc-editor.org/rfc/rfc7505

mod conclude;

use crate::candidate::Candidate;
use crate::config::is_usable;
use crate::note::Note;
use crate::random::Random;
use crate::search::Search;
use crate::sts::{Announced, Id, Known, Request};
use crate::{Config, Demand, Outcome, Refusal, Relay, Route, Target, TlsRule, Via};
use mailwright_address::{AddressLiteral, Domain};
use mailwright_dns::{Answer, Failure, FailureKind, Mx, Name, Question, RecordType, Records, Security};
use std::collections::{HashMap, VecDeque};
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
    /// Find the MTA-STS policy, with [`sts::Cache::lookup`](crate::sts::Cache::lookup) and a fetch over HTTPS if it says
    /// so, and give it to [`Planner::policy`]. Comes at most once, after all answers.
    Policy(Request),
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
    /// Answers about TLSA records, which several hosts may share.
    answers: HashMap<Question, Answer>,
    /// What the sender asks of TLS.
    demand: Demand,
    /// The rule for mail exchangers.
    rule: TlsRule,
    port: u16,
    /// The names of the destination that certificates may have.
    names: Vec<Name>,
    sts: Sts,
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

/// How far the search for an MTA-STS policy has come.
#[derive(Debug)]
enum Sts {
    /// None is looked for.
    Unwanted,
    /// The domain, and what DNS says of its policy.
    Announced(Name, Announced),
    /// The embedder owes it.
    Asked,
    Known(Known),
}

impl Planner {
    /// Starts planning. Equal choices are ordered at random, as `seed` says.
    pub fn new(destination: Destination, config: Arc<Config>, seed: u64) -> Self {
        Self::with_demand(destination, config, seed, Demand::Usual)
    }

    /// Starts planning for a message whose sender has wishes about TLS.
    pub fn with_demand(destination: Destination, config: Arc<Config>, seed: u64, demand: Demand) -> Self {
        let mut planner = Self {
            answers: HashMap::new(),
            demand,
            rule: TlsRule::Automatic,
            port: config.port,
            names: Vec::new(),
            sts: Sts::Unwanted,
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
            if !self.open.is_empty() || matches!(self.sts, Sts::Asked) {
                return Step::Wait;
            }
            if self.wants_policy()
                && let Sts::Announced(domain, record) = core::mem::replace(&mut self.sts, Sts::Asked)
            {
                return Step::Policy(Request { domain, record });
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
        // Whatever it says, it is not to be believed.
        let answer = match answer.security() {
            Security::Bogus if answer.failure().is_none() => Failure::new(FailureKind::ServFail).into(),
            _ => answer,
        };
        if let Answer::Failure(failure) = &answer {
            self.notes.push(Note::Failed {
                question: question.clone(),
                failure: failure.clone(),
            });
        }
        match question.record_type {
            RecordType::Mx => self.on_mx(question, answer),
            RecordType::Txt => self.on_sts_record(&answer),
            RecordType::A | RecordType::Aaaa => {
                for candidate in &mut self.candidates {
                    candidate.on_answer(question, &answer);
                }
                self.search();
            }
            _ => {
                self.answers.insert(question.clone(), answer);
                self.search();
            }
        }
    }

    /// Takes the answer to [`Step::Policy`].
    ///
    /// # Panics
    ///
    /// Panics if it was not asked for.
    pub fn policy(&mut self, known: Known) {
        assert!(matches!(self.sts, Sts::Asked), "a policy that nobody asked for");
        self.notes.push(Note::Policy(known.clone()));
        self.sts = Sts::Known(known);
    }

    fn start_domain(&mut self, domain: &Domain) {
        let Ok(name) = Name::try_from(domain) else {
            self.refuse(550, (5, 1, 2), "the domain is not a valid DNS name".to_owned());
            return;
        };
        let config = Arc::clone(&self.config);
        if let Some((of, rule)) = config.rule(&name) {
            self.notes.push(Note::Rule {
                domain: name.clone(),
                of: of.clone(),
                rule: rule.clone(),
            });
            if !rule.relays.is_empty() {
                return self.start_relays(&rule.relays, Via::FixedRoute);
            }
            self.rule = rule.tls.unwrap_or_default();
            self.port = rule.port.unwrap_or(config.port);
        } else if self.start_smart_hosts() {
            return;
        }
        self.names.push(name.clone());
        self.to_ask.push_back(Question::new(name.clone(), RecordType::Mx));
        self.source = Source::MailExchangers(name);
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
            let mut candidate = Candidate::new(relay.host.clone(), relay.port, via, place);
            candidate.rule = relay.tls;
            if matches!(relay.host, Target::Name(_)) {
                candidate.fix_addresses(&relay.addresses);
            }
            self.candidates.push(candidate);
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
                self.add_name(&name);
                let mut candidate = Candidate::new(Target::Name(name), self.port, Via::ImplicitExchanger, 0);
                candidate.security = Some(negative.security());
                candidate.rule = self.rule;
                self.candidates.push(candidate);
                self.ask_addresses();
                self.ask_sts_record(&question.name);
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
                self.port,
                Via::MailExchanger,
                mx.preference,
            );
            candidate.security = Some(records.security());
            candidate.rule = self.rule;
            self.candidates.push(candidate);
        }
        self.add_name(records.canonical_name());
        self.ask_addresses();
        self.ask_sts_record(domain);
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

    /// Asks for the MTA-STS record of a domain that has mail exchangers (RFC 8461 §3.1).
    fn ask_sts_record(&mut self, domain: &Name) {
        let wanted = self.config.sts && self.rule == TlsRule::Automatic && self.demand != Demand::Optional;
        if !wanted || self.candidates.is_empty() {
            return;
        }
        if let Ok(name) = domain.with_prefix("_mta-sts") {
            self.to_ask.push_back(Question::new(name, RecordType::Txt));
            self.sts = Sts::Announced(domain.clone(), Announced::Unknown);
        }
    }

    fn on_sts_record(&mut self, answer: &Answer) {
        let announced = match answer {
            Answer::Records(records) => match Id::find(records.txt()) {
                Some(id) => Announced::Id(id),
                None => Announced::Nothing,
            },
            Answer::NoData(_) | Answer::NxDomain(_) => Announced::Nothing,
            Answer::Failure(_) => Announced::Unknown,
        };
        self.notes.push(Note::Announced(announced.clone()));
        if let Sts::Announced(_, record) = &mut self.sts {
            *record = announced;
        }
    }

    /// Goes on with the search for TLSA records, as far as answers reach.
    fn search(&mut self) {
        if !self.config.dane || self.demand == Demand::Optional {
            return;
        }
        for candidate in &mut self.candidates {
            if matches!(candidate.search, Search::Idle) {
                // What names the host must be as sure as the host itself; the operator is believed.
                let named = candidate
                    .security
                    .is_none_or(|security| security == Security::Secure);
                let usable = candidate.is_resolved() && candidate.addresses().next().is_some();
                if candidate.rule != TlsRule::Automatic || !named || !usable {
                    continue;
                }
                let Target::Name(host) = &candidate.host else {
                    continue;
                };
                candidate.search = Search::start(host, candidate.port, candidate.ways());
            }
            while let Some(question) = candidate.search.question() {
                let Some(answer) = self.answers.get(question) else {
                    if !self.open.contains(question) && !self.to_ask.contains(question) {
                        self.to_ask.push_back(question.clone());
                    }
                    break;
                };
                let own = match &candidate.host {
                    Target::Name(name) => Some(name.clone()),
                    Target::Address(_) => None,
                };
                // A relay is its own destination (RFC 7672 §3.2.2).
                let names = match self.names.is_empty() {
                    true => own.as_slice(),
                    false => &self.names,
                };
                candidate
                    .search
                    .on_answer(answer, candidate.port, names.iter().cloned());
            }
        }
    }

    fn add_name(&mut self, name: &Name) {
        if !self.names.contains(name) {
            self.names.push(name.clone());
        }
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

/// A common mistake in zones: the exchange `192.0.2.1.`, which no name server will ever resolve.
fn looks_like_address(name: &Name) -> bool {
    let mut count = 0;
    let digits = name
        .labels()
        .inspect(|_| count += 1)
        .all(|label| label.iter().all(u8::is_ascii_digit));
    digits && count == 4
}
