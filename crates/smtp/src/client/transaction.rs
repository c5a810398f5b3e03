//! One mail transaction on the sending side (RFC 5321 §3.3, RFC 2920, RFC 2033)

use super::outcome::{Cause, Delivery, Failure, Outcome, Requirement};
use super::{Capabilities, Limits};
use crate::{BodyType, Command, Error, Mail, Rcpt, Reply, Stage, Violation};
use bytes::Bytes;
use mailwright_wire::{DotEncoder, SendBuf};
use std::collections::VecDeque;
use std::fmt::Write;

/// A message to send: its envelope. The message itself is asked for when it is time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transaction {
    /// Sender and parameters. `BODY=8BITMIME` and `SMTPUTF8` say what the message needs of the server; other
    /// parameters are sent only to servers that understand them.
    pub mail: Mail,
    /// Recipients and parameters.
    pub recipients: Vec<Rcpt>,
}

impl Transaction {
    /// A message from `mail` to `recipients`.
    pub fn new(mail: Mail, recipients: Vec<Rcpt>) -> Self {
        Self { mail, recipients }
    }

    /// What the server lacks to take this message.
    fn unmet(&self, server: &Capabilities) -> Option<Requirement> {
        let params = &self.mail.params;
        let too_big = server
            .size_limit()
            .is_some_and(|limit| params.size.is_some_and(|size| size > limit));
        if params.body == Some(BodyType::EightBitMime) && !server.has("8BITMIME") {
            Some(Requirement::EightBitMime)
        } else if params.smtputf8 && !server.has("SMTPUTF8") {
            Some(Requirement::SmtpUtf8)
        } else if too_big {
            Some(Requirement::Size)
        } else {
            None
        }
    }

    /// Leaves out what the server does not understand.
    fn adapt(&mut self, server: &Capabilities) {
        let params = &mut self.mail.params;
        params.size = params.size.filter(|_| server.has("SIZE"));
        params.body = params.body.filter(|_| server.has("8BITMIME"));
        params.auth = params.auth.take().filter(|_| server.has("AUTH"));
        if !server.has("DSN") {
            params.ret = None;
            params.envid = None;
            for rcpt in &mut self.recipients {
                rcpt.params.notify = None;
                rcpt.params.orcpt = None;
            }
        }
    }
}

/// A transaction under way.
#[derive(Debug)]
pub(super) struct Flight {
    plan: Transaction,
    lmtp: bool,
    /// How many commands may be unanswered.
    window: usize,
    next: Next,
    /// An envelope of before is open at the server, and was not reset yet.
    stale: bool,
    /// Commands without their reply, in order.
    sent: VecDeque<Sent>,
    mail: Option<Reply>,
    deliveries: Vec<Option<Delivery>>,
    /// Recipients that were accepted and are not decided, in order.
    accepted: VecDeque<usize>,
    body: Body,
    dsn: bool,
}

/// What to send next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Reset,
    Mail,
    Rcpt(usize),
    Data,
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Reset,
    Mail,
    Rcpt(usize),
    Data,
    /// The end of the message.
    End,
    /// A single dot to a server that wanted a message for nobody (RFC 2920 §3.1).
    EmptyEnd,
}

#[derive(Debug)]
enum Body {
    NotWanted,
    Wanted(DotEncoder),
}

impl Flight {
    /// Prepares a transaction. `reset`: the last one is still open at the server.
    pub(super) fn new(
        mut plan: Transaction,
        server: &Capabilities,
        reset: bool,
        lmtp: bool,
        limits: Option<&Limits>,
    ) -> Self {
        plan.mail.params.smtputf8 |=
            !plan.mail.path.is_ascii() || plan.recipients.iter().any(|r| !r.path.is_ascii());
        let mut flight = Self {
            lmtp,
            window: limits.map_or(1, |limits| limits.window.max(1)),
            next: if reset { Next::Reset } else { Next::Mail },
            stale: reset,
            sent: VecDeque::new(),
            mail: None,
            deliveries: vec![None; plan.recipients.len()],
            accepted: VecDeque::new(),
            body: Body::NotWanted,
            dsn: server.has("DSN"),
            plan,
        };
        if let Some(requirement) = flight.plan.unmet(server) {
            flight.fail_undecided(Stage::Mail, &Cause::Unsupported(requirement));
            flight.next = Next::Nothing;
        } else if flight.plan.recipients.is_empty() {
            flight.next = Next::Nothing;
        }
        flight.plan.adapt(server);
        flight
    }

    /// Sends what may be sent without waiting.
    pub(super) fn fill(&mut self, tx: &mut SendBuf) {
        while self.next != Next::Nothing && self.sent.len() < self.window && tx.len() < super::MAX_OUTPUT {
            let (sent, next) = match self.next {
                Next::Reset => (Sent::Reset, Next::Mail),
                Next::Mail => (Sent::Mail, Next::Rcpt(0)),
                Next::Rcpt(i) if i + 1 < self.plan.recipients.len() => (Sent::Rcpt(i), Next::Rcpt(i + 1)),
                Next::Rcpt(i) => (Sent::Rcpt(i), Next::Data),
                // All is answered, and there is nobody to send to.
                Next::Data if self.sent.is_empty() && self.accepted.is_empty() => {
                    self.next = Next::Nothing;
                    return;
                }
                Next::Data => (Sent::Data, Next::Nothing),
                Next::Nothing => return,
            };
            let written = match sent {
                Sent::Reset => write!(tx, "{}\r\n", Command::Rset),
                Sent::Mail => write!(tx, "MAIL FROM:{}\r\n", self.plan.mail),
                Sent::Rcpt(i) => write!(tx, "RCPT TO:{}\r\n", self.plan.recipients[i]),
                _ => write!(tx, "{}\r\n", Command::Data),
            };
            written.expect("a send buffer takes all text");
            self.sent.push_back(sent);
            self.next = next;
        }
    }

    /// Takes the next reply; whether the message is wanted from here on.
    pub(super) fn reply(&mut self, reply: Reply, tx: &mut SendBuf) -> Result<bool, Error> {
        let unexpected = |stage| Err(Error::Protocol(stage, Violation::UnexpectedReply));
        let refused = reply.is_temporary() || reply.is_permanent();
        let Some(sent) = self.sent.pop_front() else {
            return unexpected(Stage::Idle);
        };
        match sent {
            Sent::Reset if reply.is_positive() => self.stale = false,
            Sent::Mail if reply.is_positive() => self.mail = Some(reply),
            Sent::Mail if refused => {
                self.fail_undecided(Stage::Mail, &Cause::Reply(reply));
                self.next = Next::Nothing;
            }
            Sent::Rcpt(_) if self.mail.is_none() && (refused || reply.is_positive()) => {}
            Sent::Rcpt(i) if reply.is_positive() => self.accepted.push_back(i),
            Sent::Rcpt(i) if refused => {
                self.deliveries[i] = Some(failed(Stage::Rcpt, Cause::Reply(reply)));
            }
            Sent::Data if reply.code() == 354 && self.accepted.is_empty() => {
                tx.put(b".\r\n");
                self.sent.push_back(Sent::EmptyEnd);
            }
            Sent::Data if reply.code() == 354 => {
                self.body = Body::Wanted(DotEncoder::new());
                return Ok(true);
            }
            Sent::Data if refused => self.fail_undecided(Stage::Data, &Cause::Reply(reply)),
            Sent::End if self.lmtp => match self.accepted.pop_front() {
                Some(i) if refused => {
                    self.deliveries[i] = Some(failed(Stage::EndOfData, Cause::Reply(reply)));
                }
                Some(i) if reply.is_positive() => self.deliveries[i] = Some(Delivery::Delivered(reply)),
                _ => return unexpected(Stage::EndOfData),
            },
            Sent::End if refused => self.fail_undecided(Stage::EndOfData, &Cause::Reply(reply)),
            Sent::End if reply.is_positive() => {
                for i in self.accepted.drain(..) {
                    self.deliveries[i] = Some(Delivery::Delivered(reply.clone()));
                }
            }
            // Nobody gets this message, whatever the server says of it.
            Sent::EmptyEnd if refused || reply.is_positive() => {}
            other => return unexpected(other.stage()),
        }
        Ok(false)
    }

    pub(super) fn wants_body(&self) -> bool {
        matches!(self.body, Body::Wanted(_))
    }

    /// Queues a piece of the message; whether one is wanted.
    pub(super) fn body(&mut self, data: Bytes, tx: &mut SendBuf) -> bool {
        match &mut self.body {
            Body::Wanted(encoder) => {
                encoder.encode(data, tx);
                true
            }
            Body::NotWanted => false,
        }
    }

    /// Ends the message; whether one is wanted.
    pub(super) fn body_end(&mut self, tx: &mut SendBuf) -> bool {
        let Body::Wanted(encoder) = std::mem::replace(&mut self.body, Body::NotWanted) else {
            return false;
        };
        encoder.finish(tx);
        let replies = if self.lmtp { self.accepted.len() } else { 1 };
        self.sent.extend(std::iter::repeat_n(Sent::End, replies));
        true
    }

    /// Whether all is sent and answered.
    pub(super) fn is_finished(&self) -> bool {
        self.next == Next::Nothing && self.sent.is_empty() && !self.wants_body()
    }

    /// What the transaction waits for.
    pub(super) fn stage(&self) -> Stage {
        match self.sent.front() {
            Some(sent) => sent.stage(),
            None if self.wants_body() => Stage::Body,
            None => Stage::Mail,
        }
    }

    /// Whether the server still holds an envelope that nothing came of.
    pub(super) fn needs_reset(&self) -> bool {
        let decided_at_the_end = |d: &Option<Delivery>| match d {
            Some(Delivery::Delivered(_)) => true,
            Some(Delivery::Failed(failure)) => failure.stage == Stage::EndOfData,
            None => false,
        };
        self.stale || self.mail.is_some() && !self.deliveries.iter().any(decided_at_the_end)
    }

    /// The result. Recipients that are not decided failed because of `error`.
    pub(super) fn outcome(&mut self, error: Option<&Error>) -> Outcome {
        if let Some(error) = error {
            let cause = match error {
                Error::ServiceClosing(_, reply) => Cause::Reply(reply.clone()),
                error => Cause::Connection(error.clone()),
            };
            self.fail_undecided(error.stage().unwrap_or(self.stage()), &cause);
        }
        Outcome {
            deliveries: self.deliveries.drain(..).flatten().collect(),
            reusable: error.is_none(),
            dsn: self.dsn,
        }
    }

    fn fail_undecided(&mut self, stage: Stage, cause: &Cause) {
        self.accepted.clear();
        for delivery in self.deliveries.iter_mut().filter(|d| d.is_none()) {
            *delivery = Some(failed(stage, cause.clone()));
        }
    }
}

impl Sent {
    fn stage(self) -> Stage {
        match self {
            Self::Reset => Stage::Reset,
            Self::Mail => Stage::Mail,
            Self::Rcpt(_) => Stage::Rcpt,
            Self::Data => Stage::Data,
            Self::End | Self::EmptyEnd => Stage::EndOfData,
        }
    }
}

fn failed(stage: Stage, cause: Cause) -> Delivery {
    Delivery::Failed(Failure { stage, cause })
}
