//! `check_host()` as a machine ([RFC 7208] §4)
//!
//! ```text
//!            ┌────────────────── next directive ◀─────────────────┐
//!            ▼                                                    │ no match
//!  TXT ─▶ record ─▶ directive ─▶ A, MX, PTR, exists ─▶ matches? ──┤
//!   ▲                   │                                 │ yes   │ none left
//!   ├──── include ──────┘                                 ▼       ▼
//!   └──── redirect ◀───────────────────────── of the include? or Ready
//! ```
//!
//! [RFC 7208]: https://www.rfc-editor.org/rfc/rfc7208

use super::macros::{MacroString, Values};
use super::record::{Directive, Mechanism, Prefixes, Record, same_network};
use super::{Cause, Config, Identity, Report};
use crate::{Step, Verdict, names};
use core::net::IpAddr;
use mailwright_dns::{Answer, Name, Question, RecordType, Txt};
use std::sync::Arc;
use std::vec;

/// The check of one identity of one SMTP session.
///
/// One question is open at a time. Ten lookups and the two of the explanation are the most it asks, but for the
/// addresses of mail exchangers and of the client's names, ten of each.
#[derive(Debug)]
pub struct Check {
    config: Arc<Config>,
    client: IpAddr,
    helo: String,
    local_part: String,
    sender_domain: String,
    identity: Identity,
    time: u64,
    /// The record being evaluated is the last; those under it include it.
    stack: Vec<Frame>,
    lookups: u32,
    voids: u32,
    /// Names of the client that lead back to it, once they were looked up.
    validated: Option<Vec<Name>>,
    work: Work,
    question: Option<Question>,
    asked: bool,
    report: Option<Report>,
}

/// A record with the place where its evaluation stands.
#[derive(Debug)]
struct Frame {
    domain: String,
    record: Record,
    at: usize,
    /// Whether the directive there was counted as a lookup.
    counted: bool,
}

/// What the open question is for.
#[derive(Debug)]
enum Work {
    Nothing,
    Record {
        domain: String,
        entry: Entry,
    },
    Address(Prefixes),
    Exchangers(Prefixes),
    ExchangerAddress {
        prefixes: Prefixes,
        rest: vec::IntoIter<Name>,
    },
    Exists,
    ClientNames(Resume),
    ClientName {
        name: Name,
        rest: vec::IntoIter<Name>,
        resume: Resume,
    },
    Explanation(Report),
}

/// How a record came to be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Identity,
    Include,
    Redirect,
}

/// What goes on once the names of the client are known.
#[derive(Debug)]
enum Resume {
    Evaluation,
    ExplanationDomain(Report),
    ExplanationText(MacroString, Report),
}

impl Check {
    /// Begins to check the HELO identity: the name of the client in HELO or EHLO (RFC 7208 §2.3).
    pub fn helo(client: IpAddr, helo: &str, config: Arc<Config>) -> Self {
        Self::new(client, helo, helo, "postmaster", Identity::Helo, config)
    }

    /// Begins to check the MAIL FROM identity (RFC 7208 §2.4): an address without its angle brackets. The null
    /// reverse-path, which is empty, stands for `postmaster` at the name in HELO.
    pub fn mail_from(client: IpAddr, helo: &str, mail_from: &str, config: Arc<Config>) -> Self {
        let (local_part, domain) = match mail_from.rsplit_once('@') {
            Some((local_part, domain)) => (local_part, domain),
            None if mail_from.is_empty() => ("", helo),
            None => ("", mail_from),
        };
        let local_part = if local_part.is_empty() {
            "postmaster"
        } else {
            local_part
        };
        Self::new(client, helo, domain, local_part, Identity::MailFrom, config)
    }

    fn new(
        client: IpAddr,
        helo: &str,
        domain: &str,
        local_part: &str,
        identity: Identity,
        config: Arc<Config>,
    ) -> Self {
        let domain = names::to_ascii(domain).unwrap_or_else(|| domain.to_owned());
        let mut check = Self {
            config,
            client: client.to_canonical(),
            helo: helo.to_owned(),
            local_part: local_part.to_owned(),
            sender_domain: domain,
            identity,
            time: 0,
            stack: Vec::new(),
            lookups: 0,
            voids: 0,
            validated: None,
            work: Work::Nothing,
            question: None,
            asked: false,
            report: None,
        };
        check.start();
        check
    }

    /// Sets the time that the macro `%{t}` of explanations stands for, in seconds since 1970. Zero by default.
    #[must_use]
    pub fn at(mut self, unix: u64) -> Self {
        self.time = unix;
        self
    }

    /// Says what is needed next. Once the report is there, it stays the same.
    pub fn poll(&mut self) -> Step<Report> {
        if let Some(report) = &self.report {
            return Step::Ready(report.clone());
        }
        match &self.question {
            Some(question) if !self.asked => {
                self.asked = true;
                Step::Ask(question.clone())
            }
            _ => Step::Wait,
        }
    }

    /// Takes the answer to the question that [`poll`](Self::poll) asked.
    ///
    /// # Panics
    ///
    /// Panics if that question is not open.
    pub fn answer(&mut self, question: &Question, answer: Answer) {
        let open = self.asked && self.question.as_ref() == Some(question);
        assert!(open, "answer to a question that is not open");
        self.question = None;
        self.asked = false;
        match core::mem::replace(&mut self.work, Work::Nothing) {
            Work::Nothing => unreachable!("a question is open"),
            Work::Record { domain, entry } => self.on_record(question, domain, entry, &answer),
            Work::Address(prefixes) => self.on_address(question, prefixes, &answer),
            Work::Exchangers(prefixes) => self.on_exchangers(question, prefixes, &answer),
            Work::ExchangerAddress { prefixes, rest } => match &answer {
                Answer::Failure(_) => self.fail_to_ask(question, &answer),
                _ if self.has_address(&answer, prefixes) => self.matched(),
                _ => self.next_exchanger(prefixes, rest),
            },
            Work::Exists => match &answer {
                Answer::Failure(_) => self.fail_to_ask(question, &answer),
                Answer::Records(_) => self.matched(),
                _ => self.void(),
            },
            Work::ClientNames(resume) => self.on_client_names(resume, &answer),
            Work::ClientName { name, rest, resume } => {
                if self.has_address(&answer, Prefixes { v4: 32, v6: 128 }) {
                    self.validated.get_or_insert_default().push(name);
                }
                self.next_client_name(rest, resume);
            }
            Work::Explanation(report) => self.on_explanation(report, &answer),
        }
    }

    fn start(&mut self) {
        let domain = self.sender_domain.clone();
        // RFC 7208 §4.3: what is no name of more than one label has no record.
        match names::of_text(&domain) {
            Some(name) if name.labels().nth(1).is_some() => self.ask_record(domain, name, Entry::Identity),
            _ => self.finish(Verdict::None, Cause::NoDomain),
        }
    }

    fn ask(&mut self, name: Name, record_type: RecordType, work: Work) {
        self.question = Some(Question::new(name, record_type));
        self.work = work;
    }

    fn ask_record(&mut self, domain: String, name: Name, entry: Entry) {
        self.ask(name, RecordType::Txt, Work::Record { domain, entry });
    }

    fn address_type(&self) -> RecordType {
        match self.client {
            IpAddr::V4(_) => RecordType::A,
            IpAddr::V6(_) => RecordType::Aaaa,
        }
    }

    fn has_address(&self, answer: &Answer, prefixes: Prefixes) -> bool {
        let mut addresses = answer
            .records()
            .iter()
            .filter_map(mailwright_dns::Record::address);
        addresses.any(|address| prefixes.matches(address, self.client))
    }

    fn on_record(&mut self, question: &Question, domain: String, entry: Entry, answer: &Answer) {
        let texts: Vec<Vec<u8>> = match answer {
            Answer::Failure(_) => return self.fail_to_ask(question, answer),
            Answer::Records(records) => records.txt().map(Txt::joined).collect(),
            _ => {
                if entry != Entry::Identity && !self.count_void() {
                    return;
                }
                Vec::new()
            }
        };
        let mut records = texts.iter().filter(|text| Record::is_spf(text));
        let record = match (records.next(), records.next()) {
            (None, _) if entry == Entry::Identity => return self.finish(Verdict::None, Cause::NoRecord),
            (None, _) => return self.finish(Verdict::PermError, Cause::NoRecordAt(domain)),
            (_, Some(_)) => return self.finish(Verdict::PermError, Cause::TwoRecords(domain)),
            (Some(record), None) => Record::parse(record),
        };
        match record {
            Err(error) => self.finish(Verdict::PermError, Cause::Syntax(domain, error)),
            Ok(record) => {
                if entry == Entry::Redirect {
                    self.stack.pop();
                }
                self.stack.push(Frame {
                    domain,
                    record,
                    at: 0,
                    counted: false,
                });
                self.evaluate();
            }
        }
    }

    /// Goes on with the directive where the last record stands, until a question or the report is there.
    fn evaluate(&mut self) {
        while self.report.is_none() && self.question.is_none() {
            let frame = self.stack.last().expect("a record is being evaluated");
            match frame.record.directives().get(frame.at).cloned() {
                Some(directive) => self.begin(&directive),
                None => self.end_of_record(),
            }
        }
    }

    fn begin(&mut self, directive: &Directive) {
        let frame = self.stack.last_mut().expect("a record is being evaluated");
        if directive.mechanism.looks_up()
            && !core::mem::replace(&mut frame.counted, true)
            && !self.count_lookup()
        {
            return;
        }
        let domain = match self.target(directive.mechanism.domain()) {
            Target::NotKnown => return self.ask_client_names(Resume::Evaluation),
            Target::Domain(domain) => Some(domain),
            Target::Nothing => None,
        };
        let name = domain.as_deref().and_then(names::of_text);
        match (&directive.mechanism, name) {
            (Mechanism::All, _) => self.matched(),
            (Mechanism::Ip(network, prefix), _) => {
                if same_network(*network, self.client, *prefix) {
                    self.matched();
                } else {
                    self.unmatched();
                }
            }
            (Mechanism::Include(_), Some(name)) => {
                self.ask_record(domain.unwrap_or_default(), name, Entry::Include);
            }
            // A domain that is none has no record; RFC 8616 §4 has a local part outside ASCII match nothing.
            (Mechanism::Include(_), None) => match domain {
                Some(domain) => self.finish(Verdict::PermError, Cause::NoRecordAt(domain)),
                None => self.unmatched(),
            },
            (Mechanism::A(_, prefixes), Some(name)) => {
                self.ask(name, self.address_type(), Work::Address(*prefixes));
            }
            (Mechanism::Mx(_, prefixes), Some(name)) => {
                self.ask(name, RecordType::Mx, Work::Exchangers(*prefixes));
            }
            (Mechanism::Exists(_), Some(name)) => self.ask(name, RecordType::A, Work::Exists),
            (Mechanism::Ptr(_), Some(name)) => match &self.validated {
                None => self.ask_client_names(Resume::Evaluation),
                Some(validated) if validated.iter().any(|v| v.is_within(&name)) => self.matched(),
                Some(_) => self.unmatched(),
            },
            (Mechanism::A(..) | Mechanism::Mx(..) | Mechanism::Exists(_) | Mechanism::Ptr(_), None) => {
                self.unmatched();
            }
        }
    }

    /// The domain that a term is about.
    fn target(&self, spec: Option<&MacroString>) -> Target {
        let frame = self.stack.last().expect("a record is being evaluated");
        let Some(spec) = spec else {
            return Target::Domain(frame.domain.clone());
        };
        if spec.needs_local_part() && !self.local_part.is_ascii() {
            return Target::Nothing;
        }
        if spec.needs_validated_name() && self.validated.is_none() {
            return Target::NotKnown;
        }
        let mut domain = self.expand(spec);
        if domain.ends_with('.') {
            domain.pop();
        }
        // RFC 7208 §7.3: what is too long loses labels from the left.
        if let Some(excess) = domain.len().checked_sub(MAX_NAME + 1) {
            let dot = domain.as_bytes()[excess..].iter().position(|b| *b == b'.');
            if let Some(dot) = dot {
                domain.drain(..=excess + dot);
            }
        }
        Target::Domain(domain)
    }

    fn expand(&self, text: &MacroString) -> String {
        let frame = self.stack.last().expect("a record is being evaluated");
        let validated = text
            .needs_validated_name()
            .then(|| self.validated_name(&frame.domain));
        text.expand(&Values {
            local_part: &self.local_part,
            sender_domain: &self.sender_domain,
            domain: &frame.domain,
            helo: &self.helo,
            client: self.client,
            validated: &validated.unwrap_or_default(),
            receiver: &self.config.receiver,
            time: self.time,
        })
    }

    /// RFC 7208 §7.3: best the domain itself, else one below it, else any.
    fn validated_name(&self, domain: &str) -> String {
        let validated = self.validated.as_deref().unwrap_or_default();
        let domain = names::of_text(domain);
        let same = validated.iter().find(|name| Some(*name) == domain.as_ref());
        let below = || {
            let domain = domain.as_ref()?;
            validated.iter().find(|name| name.is_within(domain))
        };
        let best = same.or_else(below).or(validated.first());
        best.map_or_else(|| "unknown".to_owned(), ToString::to_string)
    }

    fn on_address(&mut self, question: &Question, prefixes: Prefixes, answer: &Answer) {
        match answer {
            Answer::Failure(_) => self.fail_to_ask(question, answer),
            Answer::Records(_) if self.has_address(answer, prefixes) => self.matched(),
            Answer::Records(_) => self.unmatched(),
            _ => self.void(),
        }
    }

    fn on_exchangers(&mut self, question: &Question, prefixes: Prefixes, answer: &Answer) {
        match answer {
            Answer::Failure(_) => self.fail_to_ask(question, answer),
            Answer::Records(records) => {
                let exchangers = records.mx().map(|mx| mx.exchange.clone());
                let exchangers: Vec<Name> = exchangers.filter(|name| !name.is_root()).collect();
                if exchangers.len() > self.config.max_mx {
                    return self.finish(
                        Verdict::PermError,
                        Cause::TooManyExchangers(question.name.clone()),
                    );
                }
                self.next_exchanger(prefixes, exchangers.into_iter());
            }
            _ => self.void(),
        }
    }

    fn next_exchanger(&mut self, prefixes: Prefixes, mut rest: vec::IntoIter<Name>) {
        match rest.next() {
            Some(name) => {
                let work = Work::ExchangerAddress { prefixes, rest };
                self.ask(name, self.address_type(), work);
            }
            None => self.unmatched(),
        }
    }

    fn ask_client_names(&mut self, resume: Resume) {
        let name = Name::reverse(self.client);
        self.ask(name, RecordType::Ptr, Work::ClientNames(resume));
    }

    /// RFC 7208 §5.5: a failure to look up is no failure of the check.
    fn on_client_names(&mut self, resume: Resume, answer: &Answer) {
        self.validated = Some(Vec::new());
        let names = names::of_ptr(answer)
            .take(self.config.max_ptr)
            .collect::<Vec<_>>();
        let is_void = matches!(answer, Answer::NoData(_) | Answer::NxDomain(_));
        if is_void && matches!(resume, Resume::Evaluation) && !self.count_void() {
            return;
        }
        self.next_client_name(names.into_iter(), resume);
    }

    fn next_client_name(&mut self, mut rest: vec::IntoIter<Name>, resume: Resume) {
        if let Some(name) = rest.next() {
            let asked = name.clone();
            let work = Work::ClientName { name, rest, resume };
            return self.ask(asked, self.address_type(), work);
        }
        match resume {
            Resume::Evaluation => self.evaluate(),
            Resume::ExplanationDomain(report) => self.explain(report),
            Resume::ExplanationText(text, report) => self.explain_with(&text, report),
        }
    }

    /// The directive matches, and with it what includes it.
    fn matched(&mut self) {
        loop {
            let frame = self.stack.last().expect("a record is being evaluated");
            let directive = &frame.record.directives()[frame.at];
            let (verdict, term) = (directive.verdict.clone(), directive.to_string());
            if self.stack.len() == 1 {
                let domain = frame.domain.clone();
                return self.finish(verdict, Cause::Matched { domain, term });
            }
            self.stack.pop();
            // RFC 7208 §5.2: only a pass of what is included matches.
            if verdict != Verdict::Pass {
                return self.unmatched();
            }
        }
    }

    fn unmatched(&mut self) {
        let frame = self.stack.last_mut().expect("a record is being evaluated");
        frame.at += 1;
        frame.counted = false;
        self.evaluate();
    }

    fn end_of_record(&mut self) {
        let frame = self.stack.last_mut().expect("a record is being evaluated");
        let Some(redirect) = frame.record.redirect().cloned() else {
            return self.end_without_match();
        };
        if !core::mem::replace(&mut frame.counted, true) && !self.count_lookup() {
            return;
        }
        match self.target(Some(&redirect)) {
            Target::NotKnown => self.ask_client_names(Resume::Evaluation),
            Target::Nothing => self.end_without_match(),
            Target::Domain(domain) => match names::of_text(&domain) {
                Some(name) => self.ask_record(domain, name, Entry::Redirect),
                None => self.finish(Verdict::PermError, Cause::NoRecordAt(domain)),
            },
        }
    }

    /// RFC 7208 §4.7.
    fn end_without_match(&mut self) {
        if self.stack.len() == 1 {
            return self.finish(Verdict::Neutral, Cause::NoMatch);
        }
        self.stack.pop();
        self.unmatched();
    }

    fn void(&mut self) {
        if self.count_void() {
            self.unmatched();
        }
    }

    /// Counts a lookup that found nothing; false if that was one too many, and the check is over.
    fn count_void(&mut self) -> bool {
        self.voids += 1;
        let within = self.voids <= self.config.max_void_lookups;
        if !within {
            self.finish(Verdict::PermError, Cause::TooManyVoidLookups);
        }
        within
    }

    fn count_lookup(&mut self) -> bool {
        self.lookups += 1;
        let within = self.lookups <= self.config.max_lookups;
        if !within {
            self.finish(Verdict::PermError, Cause::TooManyLookups);
        }
        within
    }

    fn fail_to_ask(&mut self, question: &Question, answer: &Answer) {
        let failure = answer.failure().cloned().expect("the answer is a failure");
        self.finish(Verdict::TempError, Cause::Dns(question.clone(), failure));
    }

    fn finish(&mut self, verdict: Verdict, cause: Cause) {
        let report = Report {
            verdict,
            identity: self.identity,
            domain: self.sender_domain.clone(),
            client: self.client,
            helo: self.helo.clone(),
            mail_from: match self.identity {
                Identity::MailFrom => Some(format!("{}@{}", self.local_part, self.sender_domain)),
                Identity::Helo => None,
            },
            cause,
            explanation: None,
        };
        if report.verdict == Verdict::Fail {
            self.explain(report);
        } else {
            self.report = Some(report);
        }
    }

    /// Looks for the text that explains a fail: RFC 7208 §6.2. No error here changes the result.
    fn explain(&mut self, report: Report) {
        let frame = self.stack.last();
        let spec = frame.and_then(|frame| frame.record.explanation()).cloned();
        let Some(spec) = spec else {
            return self.report = Some(report);
        };
        match self.target(Some(&spec)) {
            Target::NotKnown => self.ask_client_names(Resume::ExplanationDomain(report)),
            Target::Nothing => self.report = Some(report),
            Target::Domain(domain) => match names::of_text(&domain) {
                Some(name) => self.ask(name, RecordType::Txt, Work::Explanation(report)),
                None => self.report = Some(report),
            },
        }
    }

    fn on_explanation(&mut self, report: Report, answer: &Answer) {
        let text = match answer {
            Answer::Records(records) if records.txt().count() == 1 => records.txt().next(),
            _ => None,
        };
        let text = text
            .and_then(|txt| String::from_utf8(txt.joined()).ok())
            .filter(|text| text.len() <= MAX_EXPLANATION)
            .and_then(|text| MacroString::parse_explanation(&text));
        match text {
            Some(text) if text.needs_validated_name() && self.validated.is_none() => {
                self.ask_client_names(Resume::ExplanationText(text, report));
            }
            Some(text) => self.explain_with(&text, report),
            None => self.report = Some(report),
        }
    }

    fn explain_with(&mut self, text: &MacroString, mut report: Report) {
        let explanation = self.expand(text);
        // It goes into an SMTP reply: what came in by macros must not break its line.
        let printable = explanation.bytes().all(|b| matches!(b, b' '..=b'~'));
        report.explanation = Some(explanation).filter(|text| printable && text.len() <= MAX_EXPLANATION);
        self.report = Some(report);
    }
}

enum Target {
    Domain(String),
    /// The names of the client have to be looked up first.
    NotKnown,
    /// RFC 8616 §4: the term cannot match.
    Nothing,
}

/// RFC 7208 §7.3.
const MAX_NAME: usize = 253;
/// RFC 5321 §4.5.3.1.5 gives a reply line 512 octets; what is longer than some of them is no explanation.
const MAX_EXPLANATION: usize = 2048;
