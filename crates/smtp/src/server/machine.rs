//! How the server engine is driven: input in, output out, and time (RFC 5321 §4.5.3.2)

use super::{BODY_ROOM, Event, Held, MAX_INPUT, MAX_OUTPUT, Server, State, line_fault};
use crate::line::CRLF;
use crate::proxy::{self, Progress};
use crate::{Command, Error, Rejection, Stage, Violation};
use mailwright_wire::{Machine, Step};
use std::io::IoSlice;
use std::time::{Duration, Instant};

impl Server {
    /// Takes the next piece of input, if it is complete; whether it did.
    fn advance(&mut self) -> bool {
        match &mut self.state {
            State::Command => match self.lines.find(&mut self.rx) {
                None => return false,
                Some(Err(fault)) => self.complain(&line_fault(fault)),
                Some(Ok(len)) => {
                    let line = &self.rx.data()[..len];
                    let parsed = Command::parse(line, self.session.extensions());
                    self.rx.skip(len + CRLF);
                    self.line(parsed);
                }
            },
            State::Auth(_) => {
                let Some(line) = self.lines.next(&mut self.rx) else {
                    return false;
                };
                self.auth_line(line);
            }
            State::Body(receiving) => {
                let held = self.rx.data().len();
                let Some(received) = receiving.next(&mut self.rx) else {
                    return false;
                };
                self.pace.took(held - self.rx.data().len());
                self.body(received);
            }
            State::Chunk(chunks) => {
                let held = self.rx.data().len();
                let Some(received) = chunks.next(&mut self.rx) else {
                    return false;
                };
                self.pace.took(held - self.rx.data().len());
                self.body(received);
            }
            State::Drain(drain) => {
                let held = self.rx.data().len();
                let drained = drain.left.drain(&mut self.rx);
                self.pace.took(held - self.rx.data().len());
                if !drained {
                    return false;
                }
                let (reply, replies) = (drain.reply.clone(), drain.replies);
                self.drained(&reply, replies);
            }
            State::Proxy => return self.proxy_header(),
            State::Start
            | State::Watch
            | State::Asked(_)
            | State::Tls
            | State::Closing
            | State::Failed(_) => return false,
        }
        true
    }

    /// Reads the PROXY header; whether it did, or failed to.
    fn proxy_header(&mut self) -> bool {
        match self.decode_proxy_header() {
            Ok(Progress::Wants(_)) => return false,
            Ok(Progress::Complete { header, len }) => {
                self.rx.skip(len);
                self.session.proxy = Some(header);
                self.state = State::Start;
            }
            Err(proxy::Malformed) => {
                self.fail(Error::Protocol(Stage::Greeting, Violation::ProxyHeader));
            }
        }
        true
    }

    fn decode_proxy_header(&self) -> Result<Progress, proxy::Malformed> {
        let config = &self.session.config;
        let versions = config.proxy.unwrap_or(proxy::Versions::Any);
        let max = config.limits.proxy_header.clamp(16, MAX_INPUT);
        proxy::Header::decode(self.rx.data(), versions, max)
    }

    /// How many octets may be read ahead of the handshake or the greeting without taking any of what follows.
    fn proxy_wants(&self) -> usize {
        match self.decode_proxy_header() {
            Ok(Progress::Wants(n)) => n,
            Ok(Progress::Complete { .. }) | Err(_) => 0,
        }
    }

    /// What comes before the greeting, one after the other.
    fn start(&mut self) {
        let config = &self.session.config;
        if config.proxy.is_some() && self.session.proxy.is_none() {
            self.state = State::Proxy;
        } else if self.tls_first {
            self.state = State::Tls;
        } else if config.greeting_delay > Duration::ZERO {
            self.state = State::Watch;
        } else {
            self.connect();
        }
        self.deadline = None;
    }

    /// Waits for the client to speak out of turn.
    fn watch(&mut self, now: Instant) -> Option<Step<Event>> {
        let delay = self.session.config.greeting_delay;
        let until = *self.deadline.get_or_insert(now + delay);
        self.session.spoke_early = !self.rx.data().is_empty();
        if self.rx.is_eof() {
            self.fail(Error::Closed(Stage::Greeting));
        } else if self.session.spoke_early || now >= until || self.shutdown {
            self.deadline = None;
            self.connect();
        } else {
            return Some(Step::Read);
        }
        None
    }

    /// Waits until held replies may go.
    fn hold(&mut self, now: Instant) -> Option<Step<Event>> {
        let mut held = self.held.take()?;
        let until = *held.until.get_or_insert(now + held.wait);
        let over = now >= until || self.shutdown || self.rx.is_eof() || self.rx.is_full();
        if over {
            self.release(held);
            return None;
        }
        self.held = Some(held);
        if !self.tx.is_empty() {
            return self.wait(now);
        }
        Some(Step::Read)
    }

    /// Queues replies that were held.
    pub(super) fn release(&mut self, mut held: Held) {
        while !held.tx.is_empty() {
            let n = held.tx.data().len();
            self.tx.put(held.tx.data());
            held.tx.sent(n);
        }
        self.deadline = None;
    }

    /// Whether the peer has let its time run out; starts the clock if it does not run.
    fn is_overdue(&mut self, now: Instant) -> bool {
        let timeouts = &self.session.config.timeouts;
        let wait = match &self.state {
            State::Body(_) | State::Chunk(_) | State::Drain(_) => timeouts.body,
            State::Proxy => timeouts.proxy_header,
            State::Closing | State::Failed(_) => timeouts.farewell,
            _ => timeouts.command,
        };
        if self.receives_message() {
            self.pace.waits(now);
        }
        let deadline = *self.deadline.get_or_insert(now + wait);
        let ends = [self.login_deadline, self.pace_deadline()];
        now >= deadline || ends.into_iter().flatten().any(|end| now >= end)
    }

    fn receives_message(&self) -> bool {
        matches!(self.state, State::Body(_) | State::Chunk(_) | State::Drain(_))
    }

    /// When the message that comes in is too slow.
    fn pace_deadline(&self) -> Option<Instant> {
        let config = &self.session.config;
        let (grace, rate) = (config.timeouts.body, config.limits.body_rate);
        let end = self.pace.end(self.rx.data().len(), grace, rate);
        end.filter(|_| self.receives_message())
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

impl Machine for Server {
    type Event = Event;
    type Error = Error;

    fn poll(&mut self, now: Instant) -> Result<Step<Event>, Error> {
        self.now = now;
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Step::Event(event));
            }
            if self.held.is_some()
                && !matches!(self.state, State::Asked(_))
                && let Some(step) = self.hold(now)
            {
                return Ok(step);
            }
            let pending = !self.tx.is_empty();
            match &self.state {
                State::Start => self.start(),
                State::Watch => {
                    if let Some(step) = self.watch(now) {
                        return Ok(step);
                    }
                }
                State::Asked(_) => {
                    self.deadline = None;
                    return Ok(if pending { Step::Write } else { Step::Answer });
                }
                State::Failed(error) => {
                    let error = error.clone();
                    self.login_deadline = None;
                    return match pending && !self.is_overdue(now) {
                        true => Ok(Step::Write),
                        false => Err(error),
                    };
                }
                State::Closing => {
                    self.login_deadline = None;
                    return Ok(match pending && !self.is_overdue(now) {
                        true => Step::Write,
                        false => Step::Close,
                    });
                }
                State::Tls if pending => {
                    if let Some(step) = self.wait(now) {
                        return Ok(step);
                    }
                }
                State::Tls => {
                    // The handshake is the caller's to time.
                    self.deadline = None;
                    return Ok(Step::StartTls);
                }
                State::Command if self.shutdown => {
                    let reply = Rejection::UNAVAILABLE;
                    self.reply(reply.reply());
                    self.close();
                }
                State::Proxy
                | State::Command
                | State::Auth(_)
                | State::Body(_)
                | State::Chunk(_)
                | State::Drain(_) => {
                    self.flush &= pending;
                    // Before any input: what is already here must not decide whether the time is out.
                    if self.login_deadline.is_some_and(|login| now >= login) {
                        self.fail(Error::Timeout(self.stage()));
                        continue;
                    }
                    let room = self.tx.len() < MAX_OUTPUT && !self.flush;
                    if room && self.advance() {
                        self.deadline = None;
                    } else if room && self.rx.is_eof() {
                        self.fail(Error::Closed(self.stage()));
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
            State::Body(_) | State::Chunk(_) | State::Drain(_) => self.rx.room_for(BODY_ROOM),
            State::Start | State::Proxy
                if self.session.proxy.is_none() && self.session.config.proxy.is_some() =>
            {
                let wants = self.proxy_wants();
                let room = self.rx.room();
                let wants = wants.min(room.len());
                &mut room[..wants]
            }
            State::Start if self.tls_first => &mut [],
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
    }

    fn deadline(&self) -> Option<Instant> {
        let held = self.held.as_ref().and_then(|held| held.until);
        match self.state {
            State::Asked(_) => None,
            _ if held.is_some() && self.tx.is_empty() => held,
            State::Tls if self.tx.is_empty() => None,
            _ => {
                let all = [self.deadline, self.login_deadline, self.pace_deadline()];
                all.into_iter().flatten().min()
            }
        }
    }
}
