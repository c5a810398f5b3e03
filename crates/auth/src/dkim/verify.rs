//! Verifying signatures ([RFC 6376] §6)
//!
//! [RFC 6376]: https://www.rfc-editor.org/rfc/rfc6376

use super::canon::Bodies;
use super::signature::{covered_fields, push_own};
use super::splitter::{Splitter, State};
use super::{BodyHash, KeyRecord, Reason, Report, Signature};
use crate::Step;
use crate::crypto::{Provider, Ring};
use mailwright_dns::{Answer, Question};
use mailwright_message::header;
use std::collections::VecDeque;
use std::sync::Arc;

/// Settings and limits of verifying.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Signatures that are looked at, from the top; others are reported as too many. Default 10.
    pub max_signatures: usize,
    /// The largest header, in octets. Default 1 MiB; it is kept in memory while the body passes.
    pub max_header: usize,
    /// The shortest RSA key, in bits. Default 1024, below which RFC 8301 §3.2 has nothing pass.
    pub min_rsa_bits: usize,
    /// Whether a signature passes that leaves octets at the end of the body unsigned (`l=`). Off by default: anybody
    /// can put there what readers then see as signed (RFC 6376 §8.2).
    pub accept_partial: bool,
    /// How far clocks may be apart, in seconds. Default 300.
    pub clock_skew: u64,
    /// What hashes and verifies. Default [`Ring`].
    pub crypto: Arc<dyn Provider>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_signatures: 10,
            max_header: 1 << 20,
            min_rsa_bits: 1024,
            accept_partial: false,
            clock_skew: 300,
            crypto: Arc::new(Ring),
        }
    }
}

/// Verifies the signatures of one message while it comes in.
///
/// Questions for keys are there as soon as the header is; they may be answered in any order, before the message has
/// ended or after.
#[derive(Debug)]
pub struct Verifier {
    config: Arc<Config>,
    now: u64,
    splitter: Splitter,
    bodies: Bodies,
    checks: Vec<Check>,
    to_ask: VecDeque<Question>,
    open: Vec<Question>,
    ended: bool,
    reports: Option<Vec<Report>>,
}

/// One signature, whose field is known by its place in the header.
#[derive(Debug)]
struct Check {
    report: Report,
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    signature: Signature,
    question: Question,
    field: usize,
    answer: Option<Answer>,
}

impl Verifier {
    /// Begins a message; `now` is in seconds since 1970.
    pub fn new(config: Arc<Config>, now: u64) -> Self {
        Self {
            splitter: Splitter::new(config.max_header),
            config,
            now,
            bodies: Bodies::default(),
            checks: Vec::new(),
            to_ask: VecDeque::new(),
            open: Vec::new(),
            ended: false,
            reports: None,
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

    /// Says what is needed next. The reports are in the order of the fields, and empty if nothing is signed; once they
    /// are there, they stay the same.
    pub fn poll(&mut self) -> Step<Vec<Report>> {
        if let Some(reports) = &self.reports {
            return Step::Ready(reports.clone());
        }
        if let Some(question) = self.to_ask.pop_front() {
            self.open.push(question.clone());
            return Step::Ask(question);
        }
        if !self.open.is_empty() || !self.ended {
            return Step::Wait;
        }
        let reports = self.conclude();
        Step::Ready(self.reports.insert(reports).clone())
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
        let pending = self.checks.iter_mut().filter_map(|check| check.pending.as_mut());
        for pending in pending.filter(|pending| pending.question == *question) {
            pending.answer = Some(answer.clone());
        }
    }

    /// The header is there.
    fn begin(&mut self) {
        if self.splitter.state() == State::TooLarge {
            let report = Report::new(Some(Reason::HeaderTooLarge));
            return self.checks.push(Check {
                report,
                pending: None,
            });
        }
        let fields = header::fields(self.splitter.header()).enumerate();
        let signatures = fields.filter(|(_, field)| field.is("DKIM-Signature"));
        for (place, field) in signatures {
            if self.checks.len() == self.config.max_signatures {
                let report = Report::new(Some(Reason::TooManySignatures));
                self.checks.push(Check {
                    report,
                    pending: None,
                });
                break;
            }
            let check = match Signature::parse(field.value) {
                Err(reason) => Check {
                    report: Report::new(Some(reason)),
                    pending: None,
                },
                Ok(signature) => self.config.begin(signature, place, self.now),
            };
            if let Some(pending) = &check.pending {
                let signature = &pending.signature;
                self.bodies
                    .want(signature.body_way, signature.length, &*self.config.crypto);
                if !self.to_ask.contains(&pending.question) {
                    self.to_ask.push_back(pending.question.clone());
                }
            }
            self.checks.push(check);
        }
    }

    fn conclude(&mut self) -> Vec<Report> {
        let hashes = core::mem::take(&mut self.bodies).finish();
        let fields: Vec<header::Field<'_>> = header::fields(self.splitter.header()).collect();
        let config = &self.config;
        let checks = core::mem::take(&mut self.checks).into_iter();
        let settled = checks.map(|mut check| {
            if let Some(pending) = check.pending {
                let signature = &pending.signature;
                let way = (signature.body_way, signature.length);
                let hash = hashes.iter().find(|(w, l, _)| (*w, *l) == way);
                let (_, _, hash) = hash.expect("it was asked for");
                let answer = pending.answer.expect("no question is open");
                let signed = || {
                    let mut out = covered_fields(&fields, signature.header_way, &signature.headers);
                    let range = signature.signature_range.clone();
                    push_own(signature.header_way, &fields[pending.field], range, &mut out);
                    out
                };
                let result = config.verify(
                    signature,
                    &pending.question,
                    &answer,
                    hash,
                    &signed,
                    &mut check.report,
                );
                check.report.settle(result.err());
            }
            check.report
        });
        settled.collect()
    }
}

impl Config {
    fn begin(&self, signature: Signature, field: usize, now: u64) -> Check {
        let mut report = Report::of(&signature);
        let expired = signature
            .expires_at
            .is_some_and(|until| until.saturating_add(self.clock_skew) < now);
        let future = signature
            .signed_at
            .is_some_and(|from| from > now.saturating_add(self.clock_skew));
        let question = match (expired, future, signature.question()) {
            (true, _, _) => Err(Reason::Expired),
            (_, true, _) => Err(Reason::NotYetValid),
            (_, _, None) => Err(Reason::KeyName),
            (_, _, Some(question)) => Ok(question),
        };
        let pending = match question {
            Ok(question) => Some(Pending {
                signature,
                question,
                field,
                answer: None,
            }),
            Err(reason) => {
                report.settle(Some(reason));
                None
            }
        };
        Check { report, pending }
    }

    fn verify(
        &self,
        signature: &Signature,
        question: &Question,
        answer: &Answer,
        body: &BodyHash,
        signed: &dyn Fn() -> Vec<u8>,
        report: &mut Report,
    ) -> Result<(), Reason> {
        // The body counts first: it tells most, and needs no key.
        match signature.length {
            Some(length) if length > body.octets => return Err(Reason::BodyShorter),
            Some(length) => report.uncovered = body.octets - length,
            None => {}
        }
        if signature.body_hash != body.sha256 {
            return Err(Reason::BodyChanged);
        }
        self.verify_octets(signature, question, answer, &signed(), report)?;
        match report.uncovered {
            0 => Ok(()),
            _ if self.accept_partial => Ok(()),
            octets => Err(Reason::Partial(octets)),
        }
    }

    /// Verifies what was signed with the key that an answer holds; ARC does so too.
    pub(crate) fn verify_octets(
        &self,
        signature: &Signature,
        question: &Question,
        answer: &Answer,
        signed: &[u8],
        report: &mut Report,
    ) -> Result<(), Reason> {
        let records = match answer {
            Answer::Failure(failure) => return Err(Reason::Dns(question.clone(), failure.clone())),
            Answer::Records(records) => records,
            _ => return Err(Reason::NoKey),
        };
        // RFC 6376 §6.1.2 leaves open what more than one record means: any that fits will do.
        let mut result = Err(Reason::NoKey);
        for txt in records.txt().take(MAX_KEYS) {
            result = KeyRecord::parse(&txt.joined())
                .and_then(|key| self.verify_with(&key, signature, signed, report));
            if result.is_ok() {
                break;
            }
        }
        result
    }

    fn verify_with(
        &self,
        key: &KeyRecord,
        signature: &Signature,
        signed: &[u8],
        report: &mut Report,
    ) -> Result<(), Reason> {
        report.key_bits = Some(key.bits());
        report.testing = key.testing;
        if key.algorithm() != signature.algorithm {
            return Err(Reason::KeyMismatch);
        }
        if key.algorithm() == crate::crypto::Algorithm::RsaSha256 && key.bits() < self.min_rsa_bits.max(1024)
        {
            return Err(Reason::KeyTooShort(key.bits()));
        }
        let agent = signature.identity.as_deref().and_then(|i| i.rsplit_once('@'));
        if key.strict && agent.is_some_and(|(_, domain)| !domain.eq_ignore_ascii_case(&signature.domain)) {
            return Err(Reason::KeyStrict);
        }
        match self
            .crypto
            .verify(&key.public_key(), signed, &signature.signature)
        {
            true => Ok(()),
            false => Err(Reason::HeaderChanged),
        }
    }
}

/// TXT records at the name of one key that are tried.
const MAX_KEYS: usize = 3;
