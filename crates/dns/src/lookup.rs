//! One question on its way through aliases and servers
//!
//! ```text
//!            ┌──────────── the name is an alias ─────────────┐
//!            ▼                                               │
//!  Begin ─▶ name ─▶ static record or cache ─────────────────▶│
//!            │                                               │
//!            ▼                                               ▼
//!          order of servers ─▶ exchange ──── response ─▶ conclusion ─▶ Answer
//!                    ▲            │  └─ truncated, FORMERR: same server by TCP, without EDNS
//!                    └── timeout, SERVFAIL, malformed, no connection: next server, next round
//! ```

use crate::answer::{Negative, Path};
use crate::conclude::{Conclusion, End};
use crate::{
    Answer, Failure, FailureKind, Name, QueryId, Question, Record, Records, Security, SocketId, Transport,
};
use core::time::Duration;
use std::time::Instant;

#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) question: Question,
    pub(crate) waiters: Vec<QueryId>,
    /// The name asked for at present: that of the question, or where its aliases led.
    pub(crate) name: Name,
    aliases: Vec<Name>,
    security: Option<Security>,
    first_security: Option<Security>,
    ttl: Duration,
    stale: bool,
    /// When the question as a whole gives up; `None` until it has its turn.
    pub(crate) end: Option<Instant>,
    /// When the resolver looks at it again.
    pub(crate) deadline: Option<Instant>,
    pub(crate) exchange: Option<Exchange>,
    pub(crate) order: Vec<usize>,
    /// Attempts made for `name`, over all rounds.
    pub(crate) step: usize,
    /// Servers whose word on `name` is final, and no answer.
    pub(crate) given_up: Vec<bool>,
    failure: Option<Failure>,
}

/// One query at one server, on a socket of its own.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) socket: SocketId,
    pub(crate) server: usize,
    pub(crate) transport: Transport,
    pub(crate) id: u16,
    /// The name in the case it was sent in.
    pub(crate) name: Name,
    pub(crate) edns: bool,
    /// Whether the query with EDNS was refused before this one.
    pub(crate) edns_refused: bool,
    /// Whether an answer came that is right but for the case of its question.
    pub(crate) wrong_case: bool,
    /// How many messages came that do not answer the query.
    pub(crate) strays: u32,
    /// What came over TCP so far.
    pub(crate) stream: Vec<u8>,
}

impl Lookup {
    pub(crate) fn new(question: Question, waiter: QueryId) -> Self {
        Self {
            name: question.name.clone(),
            question,
            waiters: vec![waiter],
            aliases: Vec::new(),
            security: None,
            first_security: None,
            ttl: Duration::MAX,
            stale: false,
            end: None,
            deadline: None,
            exchange: None,
            order: Vec::new(),
            step: 0,
            given_up: Vec::new(),
            failure: None,
        }
    }

    /// The question for the name the aliases led to.
    pub(crate) fn present_question(&self) -> Question {
        Question::new(self.name.clone(), self.question.record_type)
    }

    pub(crate) fn is_at_alias(&self) -> bool {
        !self.aliases.is_empty()
    }

    /// Prepares for asking the servers about `name`, in this order.
    pub(crate) fn start_rounds(&mut self, order: Vec<usize>) {
        self.given_up = vec![false; order.len()];
        self.order = order;
        self.step = 0;
        self.failure = None;
    }

    /// Picks the next server that may still help, with the number of the round.
    pub(crate) fn next_server(&mut self, rounds: usize) -> Option<(usize, usize)> {
        while self.step < self.order.len().saturating_mul(rounds) {
            let (round, place) = (self.step / self.order.len(), self.step % self.order.len());
            self.step += 1;
            let server = self.order[place];
            if !self.given_up[server] {
                return Some((server, round));
            }
        }
        None
    }

    /// Remembers a failure, unless a more telling one is known.
    pub(crate) fn note(&mut self, failure: Failure) {
        let silent = |f: &Failure| matches!(f.kind, FailureKind::Timeout | FailureKind::Unreachable);
        if self
            .failure
            .as_ref()
            .is_none_or(|known| silent(known) || !silent(&failure))
        {
            self.failure = Some(failure);
        }
    }

    pub(crate) fn take_failure(&mut self) -> Answer {
        Answer::Failure(
            self.failure
                .take()
                .unwrap_or_else(|| Failure::new(FailureKind::Timeout)),
        )
    }

    /// Takes one more alias, from `name` to `target`.
    pub(crate) fn follow(&mut self, target: Name, max_aliases: usize) -> Result<(), FailureKind> {
        if self.aliases.len() >= max_aliases {
            return Err(FailureKind::TooManyAliases);
        }
        self.aliases.push(core::mem::replace(&mut self.name, target));
        if self.aliases.contains(&self.name) {
            return Err(FailureKind::AliasLoop);
        }
        Ok(())
    }

    /// Takes the security of one step of the way: the whole is as strong as its weakest step.
    pub(crate) fn secured_by(&mut self, security: Security) {
        self.first_security.get_or_insert(security);
        self.security = Some(self.security.map_or(security, |known| known.max(security)));
    }

    pub(crate) fn limit_ttl(&mut self, ttl: Duration) {
        self.ttl = self.ttl.min(ttl);
    }

    /// Takes what a server said about `name`; `None` if the aliases lead on.
    pub(crate) fn conclude(
        &mut self,
        conclusion: Conclusion,
        security: Security,
        max_aliases: usize,
    ) -> Option<Answer> {
        self.secured_by(security);
        self.limit_ttl(Duration::from_secs(conclusion.ttl.into()));
        let targets = conclusion.aliases.into_iter().skip(1).chain([conclusion.name]);
        // The first name is the one asked for, so there are as many targets as aliases, and one more.
        for target in targets.filter(|target| *target != self.name).collect::<Vec<_>>() {
            if let Err(kind) = self.follow(target, max_aliases) {
                return Some(Failure::new(kind).into());
            }
        }
        match conclusion.end {
            End::Records(records, ttl) => Some(self.records(records, Duration::from_secs(ttl.into()))),
            End::NoData(ttl) => Some(Answer::NoData(self.negative(Duration::from_secs(ttl.into())))),
            End::NxDomain(ttl) => Some(Answer::NxDomain(self.negative(Duration::from_secs(ttl.into())))),
            End::Elsewhere => None,
        }
    }

    pub(crate) fn records(&self, records: Vec<Record>, ttl: Duration) -> Answer {
        Answer::Records(Records {
            records: records.into(),
            path: self.path(),
            ttl: self.ttl.min(ttl),
        })
    }

    pub(crate) fn negative(&self, ttl: Duration) -> Negative {
        Negative {
            path: self.path(),
            ttl: self.ttl.min(ttl),
        }
    }

    /// Puts the way taken so far before an answer about `name`.
    pub(crate) fn join(&mut self, answer: Answer, max_aliases: usize) -> Answer {
        let Some(path) = answer.path() else { return answer };
        self.secured_by(path.security);
        self.stale |= path.stale;
        for target in path.aliases.iter().skip(1).chain([&path.canonical]) {
            if *target == self.name {
                continue;
            }
            if let Err(kind) = self.follow(target.clone(), max_aliases) {
                return Failure::new(kind).into();
            }
        }
        let ttl = answer.ttl();
        match answer {
            Answer::Records(records) => Answer::Records(Records {
                path: self.path(),
                ttl: self.ttl.min(ttl),
                ..records
            }),
            Answer::NoData(_) => Answer::NoData(self.negative(ttl)),
            Answer::NxDomain(_) => Answer::NxDomain(self.negative(ttl)),
            Answer::Failure(_) => answer,
        }
    }

    fn path(&self) -> Path {
        let security = self.security.unwrap_or(Security::Insecure);
        Path {
            aliases: self.aliases.as_slice().into(),
            canonical: self.name.clone(),
            security,
            first_security: self.first_security.unwrap_or(security),
            stale: self.stale,
        }
    }
}
