//! The client as a [`Machine`] (RFC 3501 §2.2)

use super::error::Error;
use super::event::Event;
use super::send::Sending;
use super::{Client, Stage};
use mailwright_wire::{Machine, Step};
use std::io::IoSlice;
use std::time::Instant;

impl Client {
    /// What is to be done when nothing can be read or sent at once.
    fn rest(&self) -> Step<Event> {
        match self.has_output() {
            true => Step::Write,
            false => Step::Read,
        }
    }

    /// Whether the caller is to give octets of a message.
    fn owes_message(&self) -> bool {
        matches!(&self.sending, Sending::Upload(upload) if upload.wants_data())
    }

    fn ended(&mut self) {
        match self.said_bye && self.open.is_empty() {
            true => self.stage = Stage::Closed,
            false if self.logging_out && self.said_bye => self.stage = Stage::Closed,
            false => self.fail(Error::Closed),
        }
    }

    /// Since when the server has had the IDLE that is open.
    fn idling_since(&self) -> Option<Instant> {
        match &self.sending {
            Sending::Idle(idle) if !idle.done_sent => idle.since,
            _ => None,
        }
    }

    fn waits_for_peer(&self) -> bool {
        if self.failed.is_some() {
            return self.has_output();
        }
        match self.stage {
            Stage::Greeting => true,
            Stage::StartTls | Stage::Closed => self.has_output(),
            // The caller is to move.
            Stage::Ready if self.owes_message() => self.has_output(),
            Stage::Ready => self.has_output() || (!self.open.is_empty() && self.idling_since().is_none()),
        }
    }

    fn time_is_up(&mut self) {
        if let (false, Sending::Idle(idle)) = (self.has_output(), &mut self.sending)
            && idle.since.is_some()
            && !idle.done_sent
        {
            (idle.done_sent, idle.restart) = (true, true);
            self.tx.put(b"DONE\r\n");
            self.moved = true;
            return;
        }
        self.drop_output();
        self.fail(Error::Timeout);
    }

    fn turn(&mut self, now: Instant) -> Result<Step<Event>, Error> {
        if self.deadline().is_some_and(|at| now >= at) && !self.moved {
            self.time_is_up();
        }
        loop {
            if std::mem::take(&mut self.moved) {
                self.by = now + self.config.reply_timeout;
            }
            if let Some(event) = self.events.pop_front() {
                return Ok(Step::Event(event));
            }
            if let Some(error) = &self.failed {
                return match self.has_output() {
                    true => Ok(Step::Write),
                    false => Err(error.clone()),
                };
            }
            match self.stage {
                Stage::StartTls if !self.has_output() => return Ok(Step::StartTls),
                Stage::Closed if !self.has_output() => return Ok(Step::Close),
                Stage::StartTls | Stage::Closed => return Ok(Step::Write),
                Stage::Greeting | Stage::Ready => self.go_on(),
            }
            if self.moved || !self.events.is_empty() {
                continue;
            }
            // What the server says is looked at when the message is complete: how its words are cut must not matter.
            if self.owes_message() {
                return Ok(match self.has_output() {
                    true => Step::Write,
                    false => Step::Answer,
                });
            }
            match self.framer.next(&mut self.rx, self.config.max_response) {
                Ok(Some(piece)) => {
                    self.moved = true;
                    self.piece(piece, now);
                }
                Ok(None) if self.inflate() => {}
                Ok(None) => match self.rest() {
                    Step::Read if self.input_has_ended() => self.ended(),
                    Step::Read => {
                        self.shrink();
                        return Ok(Step::Read);
                    }
                    step => return Ok(step),
                },
                Err(_) => self.fail(Error::OutOfStep),
            }
        }
    }
}

impl Machine for Client {
    type Event = Event;
    type Error = Error;

    fn poll(&mut self, now: Instant) -> Result<Step<Event>, Error> {
        let step = self.turn(now);
        self.deflate();
        step
    }

    fn recv_buf(&mut self) -> &mut [u8] {
        if let Some(compression) = &mut self.compression {
            return compression.input().room();
        }
        match (self.stage, self.framer.section_left()) {
            // Whatever comes before the handshake is not for this engine to read.
            (Stage::StartTls, _) => &mut [],
            (_, Some(left)) => self
                .rx
                .room_for(usize::try_from(left).unwrap_or(usize::MAX).min(Self::BUFFER)),
            _ => self.rx.room(),
        }
    }

    fn received(&mut self, n: usize) {
        match &mut self.compression {
            Some(compression) => compression.input().received(n),
            None => self.rx.received(n),
        }
    }

    fn send_buf(&self) -> &[u8] {
        self.wire_output().data()
    }

    fn send_bufs<'a>(&'a self, chunks: &mut [IoSlice<'a>]) -> usize {
        self.wire_output().vectored(chunks)
    }

    fn sent(&mut self, n: usize) {
        match &mut self.compression {
            Some(compression) => compression.sent(n),
            None => self.tx.sent(n),
        }
        self.moved |= n > 0;
    }

    fn deadline(&self) -> Option<Instant> {
        if self.waits_for_peer() {
            return Some(self.by);
        }
        self.idling_since().map(|since| since + self.config.idle_refresh)
    }
}
