//! One mail transaction on the sending side (RFC 5321 §3.3, RFC 2920, RFC 2033, RFC 3030)

use super::body::{BareNewline, Body};
use super::outcome::{Cause, Connection, Delivery, Failure, Outcome, Requirement};
use super::transaction::{Prepared, Terms, Transaction, unsupported};
use super::{BareNewlines, Chunking, Event};
use crate::ehlo::Keyword;
use crate::{BodyType, Command, Error, Reply, Stage, Violation};
use bytes::Bytes;
use mailwright_wire::SendBuf;
use std::collections::VecDeque;
use std::fmt::Write;
use std::time::Instant;

/// A transaction under way.
#[derive(Debug)]
pub(super) struct Flight {
    plan: Transaction,
    manner: Manner,
    chunked: bool,
    /// Whether the server wants to know the size, and the largest it takes.
    declares_size: bool,
    size_limit: Option<u64>,
    next: Next,
    /// When it was given to the client.
    begun: Option<Instant>,
    /// The message is asked for in this form.
    converting: Option<BodyType>,
    /// An envelope of before is open at the server, and was not reset yet.
    stale: bool,
    /// MAIL was sent.
    mailed: bool,
    /// The server has an open envelope of this transaction.
    open: bool,
    /// Commands without their reply, in order.
    sent: VecDeque<Sent>,
    /// How many of these are chunks.
    chunks: usize,
    deliveries: Vec<Option<Delivery>>,
    /// The recipients to be tried.
    order: Vec<usize>,
    /// Recipients that were accepted and are not decided, in order.
    accepted: VecDeque<usize>,
    body: Option<Body>,
    /// The caller's message cannot be sent. It may not have noticed yet that no more is wanted.
    spoiled: bool,
    fatal: bool,
    event: Option<Event>,
    /// Said to a recipient of LMTP in the middle of all.
    closing: Option<Reply>,
    dsn: bool,
    deliver_by: bool,
}

/// How transactions are sent.
#[derive(Debug)]
pub(super) struct Manner {
    pub(super) lmtp: bool,
    /// How many commands may be unanswered.
    pub(super) window: usize,
    pub(super) chunking: Chunking,
    pub(super) bare_newlines: BareNewlines,
}

/// What to send next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Reset,
    Forward,
    Mail,
    Rcpt(usize),
    Body,
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Reset,
    Forward,
    Mail,
    Rcpt(usize),
    Data,
    /// A chunk that is not the last.
    Chunk,
    /// The end of the message.
    End,
    /// A single dot to a server that wanted a message for nobody (RFC 2920 §3.1).
    EmptyEnd,
}

impl Flight {
    /// Prepares a transaction. `reset`: the last one is still open at the server.
    pub(super) fn new(plan: Transaction, terms: &Terms<'_>, reset: bool, manner: Manner) -> Self {
        let server = terms.server;
        let Prepared {
            mut plan,
            deliveries,
            order,
            convert,
            chunked,
        } = terms.prepare(plan);
        let offered = server.keywords().iter().find_map(|keyword| match keyword {
            Keyword::Xforward(attributes) => Some(attributes.as_str()),
            _ => None,
        });
        plan.xforward = (plan.xforward.take().zip(offered))
            .and_then(|(known, offered)| super::xclient::taken_forward(*known, offered))
            .map(Box::new);
        let convert = convert.filter(|_| !order.is_empty());
        let next = match () {
            () if order.is_empty() => Next::Nothing,
            () if reset => Next::Reset,
            () => Next::Forward,
        };
        Self {
            manner,
            chunked,
            declares_size: server.has("SIZE"),
            size_limit: server.size_limit(),
            next,
            begun: None,
            converting: convert,
            stale: reset,
            mailed: false,
            open: false,
            sent: VecDeque::new(),
            chunks: 0,
            deliveries,
            order,
            accepted: VecDeque::new(),
            body: None,
            spoiled: false,
            fatal: false,
            event: convert.map(Event::Convert),
            closing: None,
            dsn: server.has("DSN"),
            deliver_by: plan.mail.params.by.is_some(),
            plan,
        }
    }

    /// Sends what may be sent without waiting.
    pub(super) fn fill(&mut self, now: Instant, tx: &mut SendBuf) {
        let begun = *self.begun.get_or_insert(now);
        while self.converting.is_none()
            && self.sent.len() < self.manner.window
            && tx.len() < super::MAX_OUTPUT
        {
            let idle = self.sent.is_empty();
            let (command, sent, next) = match self.next {
                Next::Reset => (Command::Rset, Sent::Reset, Next::Forward),
                Next::Forward => match self.plan.xforward.take() {
                    // Who does not know it well does not pipeline it.
                    Some(known) if idle => (Command::Xforward(known), Sent::Forward, Next::Mail),
                    Some(known) => {
                        self.plan.xforward = Some(known);
                        return;
                    }
                    None => {
                        self.next = Next::Mail;
                        continue;
                    }
                },
                Next::Mail if self.sent.back() == Some(&Sent::Forward) => return,
                Next::Mail => {
                    if !self.plan.shorten(now.saturating_duration_since(begun).as_secs()) {
                        return self.fail_all(&unsupported(Requirement::DeliverBy));
                    }
                    self.mailed = true;
                    let mail = Command::Mail(self.plan.mail.clone().into());
                    (mail, Sent::Mail, Next::Rcpt(0))
                }
                Next::Rcpt(n) => {
                    let i = self.order[n];
                    let last = n + 1 == self.order.len();
                    let next = if last { Next::Body } else { Next::Rcpt(n + 1) };
                    let rcpt = Command::Rcpt(self.plan.recipients[i].clone());
                    (rcpt, Sent::Rcpt(i), next)
                }
                // All is answered, and there is nobody to send to.
                Next::Body if idle && self.accepted.is_empty() => {
                    self.next = Next::Nothing;
                    return;
                }
                Next::Body if self.chunked => return self.fill_chunk(tx),
                Next::Body => (Command::Data, Sent::Data, Next::Nothing),
                Next::Nothing => return,
            };
            write!(tx, "{command}\r\n").expect("a send buffer takes all text");
            self.sent.push_back(sent);
            self.next = next;
        }
    }

    /// Asks for the message, or sends the chunks that are due.
    fn fill_chunk(&mut self, tx: &mut SendBuf) {
        let Some(body) = &mut self.body else {
            let size = self.plan.mail.params.size.unwrap_or(u64::MAX);
            // RFC 2033 §4.3: with LMTP nothing answers a last chunk for nobody.
            let pipelined = self.manner.window > 1 && !self.manner.lmtp;
            let eager = pipelined && self.manner.chunking.eager > 0 && size <= self.manner.chunking.eager;
            // What nobody takes need not be sent.
            if eager || self.sent.is_empty() {
                let binary = self.plan.mail.params.body == Some(BodyType::BinaryMime);
                let size = self.manner.chunking.size;
                self.body = Some(Body::chunks(size, self.manner.bare_newlines, binary));
                self.event = Some(Event::BodyWanted);
            }
            return;
        };
        while self.chunks < self.manner.chunking.ahead.max(1)
            && self.sent.len() < self.manner.window
            && tx.len() < super::MAX_OUTPUT
            // Nor is it said how many replies a last chunk has behind one that was refused.
            && !(self.manner.lmtp && self.chunks > 0 && body.is_last_due())
        {
            match body.next_chunk(tx) {
                Some(false) => self.sent.push_back(Sent::Chunk),
                Some(true) => {
                    self.sent.push_back(Sent::End);
                    self.body = None;
                    self.next = Next::Nothing;
                    return;
                }
                None => return,
            }
            self.chunks += 1;
        }
    }

    /// Takes the next reply. `drained`: all that was queued has been sent.
    pub(super) fn reply(&mut self, reply: Reply, drained: bool, tx: &mut SendBuf) -> Result<(), Error> {
        let unexpected = |stage| Err(Error::Protocol(stage, Violation::UnexpectedReply));
        let refused = reply.is_temporary() || reply.is_permanent();
        let Some(&sent) = self.sent.front() else {
            // In the middle of a message: it is not wanted any more.
            return match self.wants_body() && refused {
                true => Err(Error::Refused(Stage::Body, reply)),
                false => unexpected(self.stage()),
            };
        };
        match sent {
            // It did not wait for the rest, which is on its way: nothing can follow here.
            Sent::Chunk | Sent::End if refused && !drained => return Err(Error::Refused(Stage::Body, reply)),
            Sent::Reset if reply.is_positive() => self.stale = false,
            // That the server does not care is no reason to keep the message back.
            Sent::Forward if reply.is_positive() || refused => {}
            Sent::Mail if reply.is_positive() => self.open = true,
            Sent::Mail if refused => {
                self.fail_undecided(Stage::Mail, &Cause::Reply(reply));
                self.stop();
            }
            Sent::Rcpt(_) if !self.open && (refused || reply.is_positive()) => {}
            Sent::Rcpt(i) if reply.is_positive() => self.accepted.push_back(i),
            Sent::Rcpt(i) if refused => self.deliveries[i] = Some(failed(Stage::Rcpt, Cause::Reply(reply))),
            Sent::Data if reply.code() == 354 && self.accepted.is_empty() => {
                tx.put(b".\r\n");
                self.sent.push_back(Sent::EmptyEnd);
            }
            Sent::Data if reply.code() == 354 => {
                self.body = Some(Body::dots(self.manner.bare_newlines));
                self.event = Some(Event::BodyWanted);
            }
            Sent::Data if refused => self.fail_undecided(Stage::Data, &Cause::Reply(reply)),
            Sent::Chunk if refused || (reply.is_positive() && drained) => {
                self.chunks -= 1;
                if refused {
                    self.fail_undecided(Stage::Body, &Cause::Reply(reply));
                    self.stop();
                }
            }
            Sent::End if refused || (reply.is_positive() && drained) => {
                if !self.end(reply) {
                    return Ok(());
                }
            }
            // Nobody gets this message, whatever the server says of it.
            Sent::EmptyEnd if refused || reply.is_positive() => {}
            Sent::Chunk | Sent::End if !drained => return unexpected(Stage::Body),
            other => return unexpected(other.stage()),
        }
        self.sent.pop_front();
        if self.body.is_some() && self.next == Next::Body && self.nobody_is_left() {
            self.stop();
        }
        Ok(())
    }

    /// Takes a reply to the end of the message; whether it was the last.
    fn end(&mut self, reply: Reply) -> bool {
        let decided = match reply.is_positive() {
            true => Delivery::Delivered(reply.clone()),
            false => failed(Stage::EndOfData, Cause::Reply(reply.clone())),
        };
        // A message that was sent ahead, for nobody, was out of order: the envelope is still there.
        self.open &= self.accepted.is_empty() && !reply.is_positive();
        if self.manner.lmtp {
            // RFC 2033 §4.2: one reply for each recipient.
            if let Some(i) = self.accepted.pop_front() {
                self.deliveries[i] = Some(decided);
            }
            if reply.code() == 421 {
                self.closing.get_or_insert(reply);
            }
            if !self.accepted.is_empty() {
                return false;
            }
        } else {
            for i in self.accepted.drain(..) {
                self.deliveries[i] = Some(decided.clone());
            }
        }
        true
    }

    fn nobody_is_left(&self) -> bool {
        self.accepted.is_empty() && !self.sent.iter().any(|sent| matches!(sent, Sent::Rcpt(_)))
    }

    /// Sends nothing more.
    fn stop(&mut self) {
        self.next = Next::Nothing;
        self.body = None;
        // A question that was not asked yet.
        self.event = None;
    }

    /// Takes the message in the form that was asked for; whether one was.
    ///
    /// `size`: its length, if known; `None` if it cannot be had.
    pub(super) fn converted(&mut self, size: Option<Option<u64>>) -> bool {
        let Some(form) = self.converting.take() else {
            return false;
        };
        match size {
            Some(Some(size)) if self.size_limit.is_some_and(|limit| size > limit) => {
                self.fail_all(&unsupported(Requirement::Size));
            }
            Some(size) => {
                let params = &mut self.plan.mail.params;
                params.body = params.body.map(|_| form);
                params.size = size.filter(|_| self.declares_size);
            }
            None => self.fail_all(&unsupported(match self.plan.mail.params.body {
                Some(BodyType::BinaryMime) => Requirement::BinaryMime,
                _ => Requirement::EightBitMime,
            })),
        }
        true
    }

    /// Whether a form of the message is asked for.
    pub(super) fn is_converting(&self) -> bool {
        self.converting.is_some()
    }

    pub(super) fn wants_body(&self) -> bool {
        self.body.as_ref().is_some_and(Body::wants_more)
    }

    /// Whether what is queued for the transport is a part of the message, or stands behind it.
    pub(super) fn sends_body(&self) -> bool {
        self.body.is_some() || matches!(self.sent.back(), Some(Sent::Chunk | Sent::End))
    }

    /// Queues a piece of the message; whether one is wanted.
    pub(super) fn body(&mut self, data: Bytes, tx: &mut SendBuf) -> bool {
        match &mut self.body {
            Some(body) if !body.is_ended() => match body.push(data, tx) {
                Ok(()) => true,
                Err(BareNewline) => self.give_up(&Cause::BareNewline),
            },
            _ => self.spoiled,
        }
    }

    /// Ends the message; whether one is wanted.
    pub(super) fn body_end(&mut self, tx: &mut SendBuf) -> bool {
        match &mut self.body {
            Some(body) if !body.is_ended() => match body.finish(tx) {
                Ok(()) if body.is_chunked() => true,
                Ok(()) => {
                    self.body = None;
                    self.sent.push_back(Sent::End);
                    true
                }
                Err(BareNewline) => self.give_up(&Cause::BareNewline),
            },
            _ => self.spoiled,
        }
    }

    /// Does without the rest of the message; whether one is wanted.
    pub(super) fn give_up(&mut self, cause: &Cause) -> bool {
        let Some(body) = self.body.as_ref().filter(|body| !body.is_ended()) else {
            return false;
        };
        // RFC 3030 §2: between chunks, RSET puts an end to it. Nothing does behind DATA.
        let fatal = !body.is_chunked();
        self.fail_undecided(Stage::Body, cause);
        self.stop();
        self.spoiled = true;
        self.fatal = fatal;
        true
    }

    /// Whether the server waits for the rest of a message that cannot be had.
    pub(super) fn is_fatal(&self) -> bool {
        self.fatal
    }

    /// The next question, if there is one.
    pub(super) fn take_event(&mut self) -> Option<Event> {
        self.event.take()
    }

    /// Whether all is sent and answered.
    pub(super) fn is_finished(&self) -> bool {
        self.next == Next::Nothing && self.sent.is_empty() && self.body.is_none() && self.converting.is_none()
    }

    /// Whether the next reply is one to the end of the message, for one recipient among others.
    pub(super) fn is_answering_each(&self) -> bool {
        self.manner.lmtp && self.sent.front() == Some(&Sent::End)
    }

    /// Whether MAIL was sent.
    pub(super) fn is_mailed(&self) -> bool {
        self.mailed
    }

    /// What the transaction waits for.
    pub(super) fn stage(&self) -> Stage {
        match self.sent.front() {
            _ if self.wants_body() => Stage::Body,
            Some(sent) => sent.stage(),
            None => Stage::Mail,
        }
    }

    /// Whether the server still holds an envelope that nothing came of.
    pub(super) fn needs_reset(&self) -> bool {
        self.stale || self.open
    }

    /// The server ends the connection, but has answered all.
    pub(super) fn closing(&mut self) -> Option<Reply> {
        self.closing.take()
    }

    /// The result. Recipients that are not decided failed because of `error`, or nobody knows what became of
    /// them. `drained`: all that was queued has been sent.
    pub(super) fn outcome(&mut self, error: Option<&Error>, drained: bool) -> Outcome {
        if let Some(error) = error {
            let (cause, said) = match error {
                Error::ServiceClosing(_, reply) | Error::Refused(_, reply) => {
                    (Cause::Reply(reply.clone()), true)
                }
                error => (Cause::Connection(error.clone()), false),
            };
            // The server may have taken the message, unless it said that it has not.
            if drained && !said && self.sent.contains(&Sent::End) {
                let failure = Failure {
                    stage: Stage::EndOfData,
                    cause: cause.clone(),
                };
                for delivery in self.deliveries.iter_mut().filter(|d| d.is_none()) {
                    *delivery = Some(Delivery::Unknown(failure.clone()));
                }
            }
            self.fail_undecided(error.stage().unwrap_or(self.stage()), &cause);
        }
        Outcome {
            deliveries: self.deliveries.drain(..).flatten().collect(),
            connection: Connection::Reusable,
            dsn: self.dsn,
            deliver_by: self.deliver_by,
        }
    }

    fn fail_undecided(&mut self, stage: Stage, cause: &Cause) {
        self.accepted.clear();
        for delivery in self.deliveries.iter_mut().filter(|d| d.is_none()) {
            *delivery = Some(failed(stage, cause.clone()));
        }
    }

    /// Decides over all before anything was sent.
    fn fail_all(&mut self, decided: &Delivery) {
        for delivery in self.deliveries.iter_mut().filter(|d| d.is_none()) {
            *delivery = Some(decided.clone());
        }
        self.next = Next::Nothing;
    }
}

impl Sent {
    fn stage(self) -> Stage {
        match self {
            Self::Reset => Stage::Reset,
            Self::Forward | Self::Mail => Stage::Mail,
            Self::Rcpt(_) => Stage::Rcpt,
            Self::Data => Stage::Data,
            Self::Chunk => Stage::Body,
            Self::End | Self::EmptyEnd => Stage::EndOfData,
        }
    }
}

fn failed(stage: Stage, cause: Cause) -> Delivery {
    Delivery::Failed(Failure { stage, cause })
}
