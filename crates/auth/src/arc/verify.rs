//! Verifying a chain ([RFC 8617] §5.2)
//!
//! [RFC 8617]: https://www.rfc-editor.org/rfc/rfc8617

use super::chain::{self, ChainValue, Member, sealed};
use super::{Reason, Report, Set};
use crate::dkim::canon::Bodies;
use crate::dkim::signature::{covered_fields, push_own};
use crate::dkim::splitter::{Splitter, State};
use crate::dkim::{self, Config, Signature};
use crate::{Step, Verdict};
use mailwright_dns::{Answer, Question};
use mailwright_message::header::{self, Field};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Verifies the chain of one message while it comes in.
#[derive(Debug)]
pub struct Verifier {
    config: Arc<Config>,
    now: u64,
    splitter: Splitter,
    bodies: Bodies,
    chain: Result<Vec<Member>, Reason>,
    to_ask: VecDeque<Question>,
    open: Vec<Question>,
    answers: HashMap<Question, Answer>,
    ended: bool,
    report: Option<Report>,
}

impl Verifier {
    /// Begins a message; `now` is in seconds since 1970.
    pub fn new(config: Arc<Config>, now: u64) -> Self {
        Self {
            splitter: Splitter::new(config.max_header),
            config,
            now,
            bodies: Bodies::default(),
            chain: Ok(Vec::new()),
            to_ask: VecDeque::new(),
            open: Vec::new(),
            answers: HashMap::new(),
            ended: false,
            report: None,
        }
    }

    /// Takes the next octets of the message, cut anywhere.
    ///
    /// # Panics
    ///
    /// Panics after [`finish`](Self::finish).
    pub fn push(&mut self, chunk: &[u8]) {
        assert!(!self.ended, "the message has ended");
        let in_header = self.splitter.state() == State::Header;
        let body = self.splitter.push(chunk);
        if in_header && self.splitter.state() != State::Header {
            self.begin();
        }
        self.bodies.push(body);
    }

    /// The message has ended.
    pub fn finish(&mut self) {
        if self.splitter.finish() {
            self.begin();
        }
        self.ended = true;
    }

    /// Says what is needed next. Once the report is there, it stays the same.
    pub fn poll(&mut self) -> Step<Report> {
        if let Some(report) = &self.report {
            return Step::Ready(report.clone());
        }
        if let Some(question) = self.to_ask.pop_front() {
            self.open.push(question.clone());
            return Step::Ask(question);
        }
        if !self.open.is_empty() || !self.ended {
            return Step::Wait;
        }
        let report = self.conclude();
        Step::Ready(self.report.insert(report).clone())
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
        self.answers.insert(question.clone(), answer);
    }

    /// The header is there.
    fn begin(&mut self) {
        self.chain = match self.splitter.state() {
            State::TooLarge => Err(Reason::HeaderTooLarge),
            _ => {
                let fields: Vec<Field<'_>> = header::fields(self.splitter.header()).collect();
                chain::members(&fields).and_then(|members| check_values(&members).map(|()| members))
            }
        };
        let Ok(members) = &self.chain else { return };
        let Some(last) = members.last() else { return };
        let message = &last.message_signature;
        self.bodies.want(message.body_way, None, &*self.config.crypto);
        let signatures = members.iter().map(|member| &member.seal_signature);
        for question in signatures.chain([message]).filter_map(Signature::question) {
            if !self.to_ask.contains(&question) {
                self.to_ask.push_back(question);
            }
        }
    }

    fn conclude(&mut self) -> Report {
        let hashes = core::mem::take(&mut self.bodies).finish();
        let members = match core::mem::replace(&mut self.chain, Ok(Vec::new())) {
            Err(reason) => return Report::new(Verdict::Fail, Some(reason)),
            Ok(members) => members,
        };
        let Some(last) = members.last() else {
            return Report::new(Verdict::None, None);
        };
        let fields: Vec<Field<'_>> = header::fields(self.splitter.header()).collect();
        let hash = hashes.first().map(|(_, _, hash)| hash.sha256);
        let result = self.verify(
            &fields,
            &members,
            last,
            hash.expect("the body was hashed").as_slice(),
        );
        let (verdict, reason) = match result {
            Ok(()) => (Verdict::Pass, None),
            Err(reason) => match &reason {
                Reason::Message(dkim::Reason::Dns(..)) | Reason::Seal(_, dkim::Reason::Dns(..)) => {
                    (Verdict::TempError, Some(reason))
                }
                _ => (Verdict::Fail, Some(reason)),
            },
        };
        let sets = members.iter().map(|member| Set {
            domain: member.seal_signature.domain.clone(),
            selector: member.seal_signature.selector.clone(),
            results: results(&fields[member.results]),
        });
        Report {
            verdict,
            reason,
            sets: sets.collect(),
        }
    }

    fn verify(
        &self,
        fields: &[Field<'_>],
        members: &[Member],
        last: &Member,
        body_hash: &[u8],
    ) -> Result<(), Reason> {
        let message = &last.message_signature;
        if message.body_hash != body_hash {
            return Err(Reason::Message(dkim::Reason::BodyChanged));
        }
        let expired = message
            .expires_at
            .is_some_and(|x| x.saturating_add(self.config.clock_skew) < self.now);
        if expired {
            return Err(Reason::Message(dkim::Reason::Expired));
        }
        let mut signed = covered_fields(fields, message.header_way, &message.headers);
        let range = message.signature_range.clone();
        push_own(message.header_way, &fields[last.message], range, &mut signed);
        self.verify_octets(message, &signed).map_err(Reason::Message)?;
        for count in (1..=members.len()).rev() {
            let seal = &members[count - 1].seal_signature;
            let instance = u32::try_from(count).expect("a chain has at most fifty members");
            self.verify_octets(seal, &sealed(fields, &members[..count]))
                .map_err(|reason| Reason::Seal(instance, reason))?;
        }
        Ok(())
    }

    fn verify_octets(&self, signature: &Signature, signed: &[u8]) -> Result<(), dkim::Reason> {
        let question = signature.question().ok_or(dkim::Reason::KeyName)?;
        let answer = self.answers.get(&question).ok_or(dkim::Reason::NoKey)?;
        let mut report = dkim::Report::of(signature);
        self.config
            .verify_octets(signature, &question, answer, signed, &mut report)
    }
}

/// RFC 8617 §5.2, steps 2 and 3.
fn check_values(members: &[Member]) -> Result<(), Reason> {
    if members.last().is_some_and(|last| last.chain == ChainValue::Fail) {
        return Err(Reason::FailedBefore);
    }
    for (instance, member) in (1..).zip(members) {
        let expected = if instance == 1 {
            ChainValue::None
        } else {
            ChainValue::Pass
        };
        if member.chain != expected {
            return Err(Reason::ChainValue(instance));
        }
    }
    Ok(())
}

fn results(field: &Field<'_>) -> String {
    let text = String::from_utf8_lossy(&field.unfolded()).into_owned();
    match text.split_once(';') {
        Some((_, results)) => results.trim().to_owned(),
        None => String::new(),
    }
}
