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
        match self.layer.has_output(&self.tx) {
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
            return self.layer.has_output(&self.tx);
        }
        match self.stage {
            Stage::Greeting => true,
            Stage::StartTls | Stage::Closed => self.layer.has_output(&self.tx),
            // The caller is to move.
            Stage::Ready if self.owes_message() => self.layer.has_output(&self.tx),
            Stage::Ready => {
                self.layer.has_output(&self.tx) || (!self.open.is_empty() && self.idling_since().is_none())
            }
        }
    }

    fn time_is_up(&mut self) {
        if let (false, Sending::Idle(idle)) = (self.layer.has_output(&self.tx), &mut self.sending)
            && idle.since.is_some()
            && !idle.done_sent
        {
            (idle.done_sent, idle.restart) = (true, true);
            self.tx.put(b"DONE\r\n");
            self.moved = true;
            return;
        }
        self.layer.drop_output(&mut self.tx);
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
                return match self.layer.has_output(&self.tx) {
                    true => Ok(Step::Write),
                    false => Err(error.clone()),
                };
            }
            match self.stage {
                Stage::StartTls if !self.layer.has_output(&self.tx) => return Ok(Step::StartTls),
                Stage::Closed if !self.layer.has_output(&self.tx) => return Ok(Step::Close),
                Stage::StartTls | Stage::Closed => return Ok(Step::Write),
                Stage::Greeting | Stage::Ready => self.go_on(),
            }
            if self.moved || !self.events.is_empty() {
                continue;
            }
            // What the server says is looked at when the message is complete: how its words are cut must not matter.
            if self.owes_message() {
                return Ok(match self.layer.has_output(&self.tx) {
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
                    Step::Read if self.layer.has_ended(&self.rx) => self.ended(),
                    Step::Read => {
                        self.layer.shrink();
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
        self.layer.deflate(&mut self.tx);
        step
    }

    fn recv_buf(&mut self) -> &mut [u8] {
        if let Some(room) = self.layer.room() {
            return room;
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
        self.layer.received(n, &mut self.rx);
    }

    fn send_buf(&self) -> &[u8] {
        self.layer.output(&self.tx).data()
    }

    fn send_bufs<'a>(&'a self, chunks: &mut [IoSlice<'a>]) -> usize {
        self.layer.output(&self.tx).vectored(chunks)
    }

    fn sent(&mut self, n: usize) {
        self.layer.sent(n, &mut self.tx);
        self.moved |= n > 0;
    }

    fn deadline(&self) -> Option<Instant> {
        if self.waits_for_peer() {
            return Some(self.by);
        }
        self.idling_since().map(|since| since + self.config.idle_refresh)
    }
}
