//! What a client does next: polling, deadlines, buffers

use super::replies::ReplyFault;
use super::{Client, Connection, Event, State};
use crate::{Error, Limit, Stage, Violation};
use mailwright_wire::{Machine, SendBuf, Step};
use std::io::IoSlice;
use std::time::{Duration, Instant};

impl Machine for Client {
    type Event = Event;
    type Error = Error;

    fn poll(&mut self, now: Instant) -> Result<Step<Event>, Error> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Step::Event(event));
            }
            let pending = !self.tx.is_empty();
            match &mut self.state {
                State::Failed(error) => {
                    let error = error.clone();
                    return match pending && !self.is_overdue(now) {
                        true => Ok(Step::Write),
                        false => Err(error),
                    };
                }
                State::Closing => {
                    // The server has answered QUIT, or will not.
                    self.tx = SendBuf::new();
                    return Ok(Step::Close);
                }
                State::Tls => {
                    self.deadline = None;
                    return Ok(Step::StartTls);
                }
                State::Ready | State::Certificate => {
                    self.deadline = None;
                    return Ok(Step::Answer);
                }
                State::Parked => {
                    self.deadline = None;
                    if !self.advance() {
                        return Ok(Step::Read);
                    }
                }
                State::Quit if self.deadline.is_some_and(|deadline| now >= deadline) => {
                    self.enter(State::Closing);
                }
                State::Transaction(_) => {
                    if let Some(step) = self.transact(now) {
                        return Ok(step);
                    }
                }
                // A reply is read when all commands before it were sent, so that what comes too early is not
                // taken for the answer to something that was never said.
                _ => {
                    if (!pending || self.rx.is_eof()) && self.advance() {
                        self.deadline = None;
                    } else if let Some(step) = self.wait(now) {
                        return Ok(step);
                    }
                }
            }
        }
    }

    fn recv_buf(&mut self) -> &mut [u8] {
        match self.state {
            // What comes from here on belongs to the handshake.
            State::Tls => &mut [],
            _ => self.rx.room(),
        }
    }

    fn received(&mut self, n: usize) {
        self.rx.received(n);
    }

    fn send_buf(&self) -> &[u8] {
        self.tx.data()
    }

    fn send_bufs<'a>(&'a self, chunks: &mut [IoSlice<'a>]) -> usize {
        self.tx.vectored(chunks)
    }

    fn sent(&mut self, n: usize) {
        self.tx.sent(n);
        // RFC 5321 §4.5.3.2.5: the time for a message counts from the last piece that was taken.
        if matches!(&self.state, State::Transaction(flight) if flight.sends_body()) {
            self.deadline = None;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

impl Client {
    pub(super) fn stage(&self) -> Stage {
        match &self.state {
            State::Greeting => Stage::Greeting,
            State::Hello(_) => Stage::Hello,
            State::StartTls | State::Tls | State::Certificate => Stage::StartTls,
            State::Xclient => Stage::Xclient,
            State::Query => Stage::Query,
            State::Auth { .. } => Stage::Auth,
            // The end of the message was not heard yet.
            State::Transaction(flight) if flight.sends_body() && !self.tx.is_empty() => Stage::Body,
            State::Transaction(flight) => flight.stage(),
            State::Quit | State::Closing => Stage::Quit,
            State::Ready | State::Parked | State::Failed(_) => Stage::Idle,
        }
    }

    fn patience(&self) -> Duration {
        let timeouts = &self.config.timeouts;
        match self.stage() {
            Stage::Greeting => timeouts.greeting,
            Stage::Mail => timeouts.mail,
            Stage::Rcpt => timeouts.rcpt,
            Stage::Data => timeouts.data,
            Stage::Body => timeouts.body,
            Stage::EndOfData => timeouts.end_of_data,
            Stage::Quit => timeouts.quit,
            Stage::Idle if matches!(self.state, State::Failed(_)) => timeouts.quit,
            Stage::Hello
            | Stage::StartTls
            | Stage::Auth
            | Stage::Xclient
            | Stage::Idle
            | Stage::Query
            | Stage::Reset => timeouts.command,
        }
    }

    fn is_overdue(&mut self, now: Instant) -> bool {
        let patience = self.patience();
        now >= *self.deadline.get_or_insert(now + patience)
    }

    /// Takes a reply if one is complete, or notices that none will come; whether it did.
    fn advance(&mut self) -> bool {
        match self.replies.next(&mut self.rx) {
            Ok(Some(reply)) => self.reply(reply),
            Ok(None) if !self.rx.is_eof() => return false,
            // All that mattered was done before QUIT.
            Ok(None) | Err(_) if matches!(self.state, State::Quit) => self.enter(State::Closing),
            Ok(None) => self.fail(Error::Closed(self.stage())),
            Err(ReplyFault::TooLong) => self.fail(Error::Limit(Limit::ReplySize)),
            Err(ReplyFault::Malformed) => {
                self.fail(Error::Protocol(self.stage(), Violation::MalformedReply));
            }
        }
        true
    }

    /// Goes on with a transaction, as far as it goes without input or output.
    fn transact(&mut self, now: Instant) -> Option<Step<Event>> {
        let State::Transaction(flight) = &mut self.state else {
            return None;
        };
        flight.fill(now, &mut self.tx);
        if flight.is_fatal() {
            self.fail(Error::BodyAborted);
            return None;
        }
        if let Some(event) = flight.take_event() {
            return Some(Step::Event(event));
        }
        let asks = flight.is_converting() || flight.wants_body();
        if flight.is_finished() {
            self.finish();
            return None;
        }
        // A server that hangs up in the middle may have said why. Otherwise replies are read when nothing more
        // can be sent: what comes too early is not taken for the answer to something that was never said.
        let listens = self.rx.is_eof() || (self.tx.is_empty() && !asks);
        if listens && self.advance() {
            // Each reply has its own time.
            self.deadline = None;
            return None;
        }
        if asks && self.tx.is_empty() {
            self.deadline = None;
            return Some(Step::Answer);
        }
        // A server that does not take the rest may have said why as well.
        if asks && self.is_overdue(now) && self.advance() {
            return None;
        }
        self.wait(now)
    }

    /// Tells what became of a transaction.
    fn finish(&mut self) {
        let State::Transaction(flight) = &mut self.state else {
            return;
        };
        if let Some(reply) = flight.closing() {
            return self.fail(Error::ServiceClosing(Stage::EndOfData, reply));
        }
        let mut outcome = flight.outcome(None, true);
        self.needs_reset = flight.needs_reset();
        self.transactions += u32::from(flight.is_mailed());
        let most = self.capabilities.limits().mail_max;
        outcome.connection = match self.needs_reset {
            _ if most.is_some_and(|most| self.transactions >= most) => Connection::Spent,
            true => Connection::MustReset,
            false => Connection::Reusable,
        };
        self.enter(State::Ready);
        self.events.push_back(Event::Finished(outcome));
    }

    /// What to do when input or output has to move first.
    fn wait(&mut self, now: Instant) -> Option<Step<Event>> {
        if self.is_overdue(now) {
            self.fail(Error::Timeout(self.stage()));
            None
        } else if !self.tx.is_empty() {
            Some(Step::Write)
        } else {
            Some(Step::Read)
        }
    }
}
