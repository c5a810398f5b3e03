//! The mail server's side of the milter protocol, version 6
//!
//! A milter hears of a connection, of its envelopes and messages, piece by piece, and answers each; at the end of a
//! message it may change it.
//!
//! ```text
//!              ┌──────────────────────────── abort ◀──────────────────────────────┐
//!              ▼                                                                   │
//!  OPTNEG ─▶ idle ─ connect ─ helo ─▶ mail ─ rcpt* ─ data ─ header* ─ end_of_header ─ body* ─ end_of_message
//!              ▲                                                                   │
//!              └──────────────────── Edit* and the last Reply ◀────────────────────┘
//! ```
//!
//! Each command gives one [`Event::Replied`]. A command that the milter does not want is not sent, and one that it does not
//! answer is not waited for: both give [`Reply::Continue`] at once. What an answer means for the rest of the connection is
//! the caller's to act on; [`Client::abort`] ends a message early. While no command is under way, `poll` says
//! [`Step::Answer`].
//!
//! Packets are a length of four octets, a letter, and what belongs to it. Text ends with NUL, and header fields are folded
//! with LF alone; here they are handed over with CRLF.

mod options;
mod reply;

pub use options::{Actions, Options, Steps};
pub use reply::{CustomReply, Edit, Reply};

use crate::{Error, Phase};
use bytes::{Buf, Bytes};
use core::net::IpAddr;
use core::time::Duration;
use mailwright_wire::{Machine, RecvBuf, SendBuf, Step};
use reply::Packet;
use std::io::IoSlice;
use std::time::Instant;

/// The version of the protocol that is offered.
const MAX_VERSION: u32 = 6;

/// Times and limits, and what a milter may do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// What the milter may do to messages. Default: everything.
    pub actions: Actions,
    /// How long it may take to answer a command. Default: 30 s.
    pub command_timeout: Duration,
    /// How long it may take for its verdict at the end of a message. Default: 300 s. It can ask for more time, which
    /// begins anew then; the caller may bound the whole.
    pub verdict_timeout: Duration,
    /// How large a packet of the milter may be, in octets. Default: 1 MiB; libmilter sends 64 KiB at the most.
    pub max_packet: usize,
    /// How many edits a message may have, pieces of a new body not counted. Default: 1000.
    pub max_edits: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            actions: Actions::ALL,
            command_timeout: Duration::from_secs(30),
            verdict_timeout: Duration::from_secs(300),
            max_packet: 1 << 20,
            max_edits: 1000,
        }
    }
}

/// Where in a conversation macros belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// With the connection.
    Connect,
    /// With HELO.
    Helo,
    /// With the sender.
    Mail,
    /// With a recipient.
    Rcpt,
    /// With DATA.
    Data,
    /// With the end of the header.
    EndOfHeader,
    /// With the end of the message.
    EndOfMessage,
}

impl Stage {
    fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Connect,
            1 => Self::Helo,
            2 => Self::Mail,
            3 => Self::Rcpt,
            4 => Self::Data,
            5 => Self::EndOfMessage,
            6 => Self::EndOfHeader,
            _ => return None,
        })
    }

    /// The letter of its command.
    fn letter(self) -> u8 {
        match self {
            Self::Connect => b'C',
            Self::Helo => b'H',
            Self::Mail => b'M',
            Self::Rcpt => b'R',
            Self::Data => b'T',
            Self::EndOfHeader => b'N',
            Self::EndOfMessage => b'E',
        }
    }
}

/// What happened. Nothing here owes an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The milter is there, and this was agreed on. The first event.
    Negotiated(Options),
    /// The answer to the last command.
    Replied(Reply),
    /// A change to the message, ahead of the answer to its end.
    Edit(Edit),
}

/// The mail server's end of a connection to a milter.
#[derive(Debug)]
pub struct Client {
    config: Config,
    options: Options,
    state: State,
    /// What is left of a piece of the body that is larger than a packet.
    body: Bytes,
    edits: usize,
    rx: RecvBuf,
    tx: SendBuf,
    by: Instant,
    moved: bool,
    failed: Option<Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Negotiating,
    Idle,
    /// The command is answered without a word of the milter.
    Unasked,
    Waiting,
    WaitingForBody,
    WaitingForVerdict,
    Quitting,
    Closed,
}

impl Client {
    /// Begins with the offer of what the milter may do.
    pub fn new(config: Config, now: Instant) -> Self {
        let mut client = Self {
            options: Options {
                version: MAX_VERSION,
                actions: Actions::NONE,
                steps: Steps::NONE,
                macros: Vec::new(),
            },
            state: State::Negotiating,
            body: Bytes::new(),
            edits: 0,
            rx: RecvBuf::new(config.max_packet.max(64).saturating_add(4)),
            tx: SendBuf::new(),
            by: now + config.command_timeout,
            moved: false,
            failed: None,
            config,
        };
        let offer = [
            MAX_VERSION,
            client.config.actions.bits(),
            Steps::ALL.without(Steps::REJECTED_RCPT).bits(),
        ];
        client.packet(b'O', &offer.map(u32::to_be_bytes).concat());
        client
    }

    /// What was agreed on; nothing before [`Event::Negotiated`].
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Gives macros for the command that comes next. Names of more than one character are given without their braces;
    /// what the milter does not want is left out.
    ///
    /// # Panics
    ///
    /// Panics if a command is under way.
    pub fn macros(&mut self, stage: Stage, macros: &[(&str, &str)]) {
        self.assert_idle();
        let mut packet = vec![stage.letter()];
        for (name, value) in macros {
            if self.options.wants_macro(stage, name) {
                match name.len() {
                    1 => put_text(&mut packet, name.as_bytes()),
                    _ => put_text(&mut packet, format!("{{{name}}}").as_bytes()),
                }
                put_text(&mut packet, value.as_bytes());
            }
        }
        if packet.len() > 1 && !self.options.steps.contains(unwanted(stage)) {
            self.packet(b'D', &packet);
        }
    }

    /// Tells who connected: the name of the client, or `[192.0.2.1]`, and its address and port.
    ///
    /// # Panics
    ///
    /// Panics if a command is under way.
    pub fn connect(&mut self, name: &str, address: IpAddr, port: u16) {
        let mut packet = Vec::new();
        put_text(&mut packet, name.as_bytes());
        let address = address.to_canonical();
        packet.push(if address.is_ipv4() { b'4' } else { b'6' });
        packet.extend_from_slice(&port.to_be_bytes());
        put_text(&mut packet, address.to_string().as_bytes());
        self.command(b'C', &packet, Steps::NO_CONNECT, Steps::NO_REPLY_CONNECT);
    }

    /// Tells what the client calls itself.
    ///
    /// # Panics
    ///
    /// Panics if a command is under way.
    pub fn helo(&mut self, name: &str) {
        let mut packet = Vec::new();
        put_text(&mut packet, name.as_bytes());
        self.command(b'H', &packet, Steps::NO_HELO, Steps::NO_REPLY_HELO);
    }

    /// Tells the sender, with angle brackets, and the ESMTP parameters.
    ///
    /// # Panics
    ///
    /// Panics if a command is under way.
    pub fn mail(&mut self, path: &str, parameters: &[&str]) {
        self.edits = 0;
        self.command(
            b'M',
            &envelope(path, parameters),
            Steps::NO_MAIL,
            Steps::NO_REPLY_MAIL,
        );
    }

    /// Tells a recipient, with angle brackets, and the ESMTP parameters.
    ///
    /// # Panics
    ///
    /// Panics if a command is under way.
    pub fn rcpt(&mut self, path: &str, parameters: &[&str]) {
        self.command(
            b'R',
            &envelope(path, parameters),
            Steps::NO_RCPT,
            Steps::NO_REPLY_RCPT,
        );
    }

    /// Tells that the message comes.
    ///
    /// # Panics
    ///
    /// Panics if a command is under way.
    pub fn data(&mut self) {
        if self.options.version < 4 {
            return self.answer_unasked();
        }
        self.command(b'T', &[], Steps::NO_DATA, Steps::NO_REPLY_DATA);
    }

    /// Tells a header field: its name, and all that stands behind the colon up to the line end.
    ///
    /// # Panics
    ///
    /// Panics if a command is under way.
    pub fn header(&mut self, name: &str, value: &[u8]) {
        let mut packet = Vec::with_capacity(name.len() + value.len() + 2);
        put_text(&mut packet, name.as_bytes());
        let keeps = self.options.steps.contains(Steps::LEADING_SPACE);
        let value = match value.strip_prefix(b" ") {
            Some(rest) if !keeps => rest,
            _ => value,
        };
        packet.extend(value.iter().filter(|octet| !matches!(octet, 0 | b'\r')));
        packet.push(0);
        self.command(b'L', &packet, Steps::NO_HEADERS, Steps::NO_REPLY_HEADER);
    }

    /// Tells that the header ends.
    ///
    /// # Panics
    ///
    /// Panics if a command is under way.
    pub fn end_of_header(&mut self) {
        self.command(b'N', &[], Steps::NO_END_OF_HEADER, Steps::NO_REPLY_END_OF_HEADER);
    }

    /// Gives the next octets of the body, as many as there are; one answer comes for all.
    ///
    /// # Panics
    ///
    /// Panics if a command is under way.
    pub fn body(&mut self, data: Bytes) {
        self.assert_idle();
        if self.options.steps.contains(Steps::NO_BODY) || data.is_empty() {
            return self.answer_unasked();
        }
        self.body = data;
        if !self.options.steps.contains(Steps::NO_REPLY_BODY) {
            return self.send_body();
        }
        while !self.body.is_empty() {
            self.send_body();
        }
        self.state = State::Unasked;
    }

    /// Ends the message, and asks for the verdict.
    ///
    /// # Panics
    ///
    /// Panics if a command is under way.
    pub fn end_of_message(&mut self) {
        self.assert_idle();
        self.packet(b'E', &[]);
        self.state = State::WaitingForVerdict;
    }

    /// Gives up the message that is under way; the connection is as it was behind HELO. No answer comes.
    ///
    /// # Panics
    ///
    /// Panics if a command is under way.
    pub fn abort(&mut self) {
        self.assert_idle();
        self.packet(b'A', &[]);
    }

    /// Forgets the client that was told of: [`connect`](Client::connect) tells of another one. Milters of version 6
    /// alone know this; with others it returns `false`, and nothing is sent. No answer comes. Programs made with
    /// libmilter 8.17 were seen to leave the next command unanswered after a whole message: a connection for each client
    /// is the safer way.
    ///
    /// # Panics
    ///
    /// Panics if a command is under way.
    pub fn next_connection(&mut self) -> bool {
        self.assert_idle();
        let known = self.options.version >= 6;
        if known {
            self.packet(b'K', &[]);
        }
        known
    }

    /// Ends the conversation.
    ///
    /// # Panics
    ///
    /// Panics if a command is under way.
    pub fn quit(&mut self) {
        self.assert_idle();
        self.packet(b'Q', &[]);
        self.state = State::Quitting;
    }

    fn command(&mut self, letter: u8, data: &[u8], unwanted: Steps, unanswered: Steps) {
        self.assert_idle();
        if self.options.steps.contains(unwanted) {
            return self.answer_unasked();
        }
        self.packet(letter, data);
        self.state = match self.options.steps.contains(unanswered) {
            true => State::Unasked,
            false => State::Waiting,
        };
    }

    fn answer_unasked(&mut self) {
        self.assert_idle();
        self.state = State::Unasked;
    }

    fn send_body(&mut self) {
        let piece = self.body.split_to(self.body.len().min(Self::MAX_BODY));
        self.head(b'B', piece.len());
        self.tx.put_bytes(piece);
        self.state = State::WaitingForBody;
    }

    fn packet(&mut self, letter: u8, data: &[u8]) {
        self.head(letter, data.len());
        self.tx.put(data);
    }

    fn head(&mut self, letter: u8, len: usize) {
        let len = u32::try_from(len + 1).expect("a packet is shorter than 2^32");
        self.tx.put(&len.to_be_bytes());
        self.tx.put(&[letter]);
        self.moved = true;
    }

    fn assert_idle(&self) {
        assert!(
            self.state == State::Idle || self.failed.is_some(),
            "a command to the milter is under way"
        );
    }

    /// The next packet that is there in full.
    fn next_packet(&mut self) -> Result<Option<Packet>, Error> {
        let data = self.rx.data();
        let Some(len) = data.first_chunk::<4>() else {
            return self.incomplete();
        };
        let len = u32::from_be_bytes(*len) as usize;
        if len > self.config.max_packet {
            return Err(Error::TooLarge("packet"));
        }
        if data.len() < len + 4 {
            return self.incomplete();
        }
        let mut packet = self.rx.take(len + 4);
        packet.advance(4);
        self.moved = true;
        reply::read(packet).map(Some)
    }

    fn incomplete(&self) -> Result<Option<Packet>, Error> {
        match self.rx.is_eof() {
            true => Err(Error::Closed),
            false => Ok(None),
        }
    }

    /// Handles a packet; `None` if it leads to no event.
    fn take(&mut self, packet: Packet) -> Result<Option<Event>, Error> {
        match (packet, self.state) {
            (Packet::Options(options), State::Negotiating) => {
                if !self.config.actions.contains(options.actions) {
                    return Err(Error::NotNegotiated("an action that was not offered"));
                }
                if !Steps::ALL.without(Steps::REJECTED_RCPT).contains(options.steps) {
                    return Err(Error::NotNegotiated("a step that was not offered"));
                }
                self.options = options;
                self.state = State::Idle;
                Ok(Some(Event::Negotiated(self.options.clone())))
            }
            (_, State::Negotiating) => Err(Error::Malformed("no options")),
            (Packet::Options(_), _) => Err(Error::Malformed("options again")),
            // More time, which it has by the packet itself.
            (Packet::Progress, _) => Ok(None),
            (Packet::Edit(edit), State::WaitingForVerdict) => {
                let (needed, what) = edit.needs();
                if !self.options.actions.contains(needed) {
                    return Err(Error::NotNegotiated(what));
                }
                if !matches!(edit, Edit::ReplaceBody(_)) {
                    self.edits += 1;
                }
                match self.edits > self.config.max_edits {
                    true => Err(Error::TooLarge("edits")),
                    false => Ok(Some(Event::Edit(edit))),
                }
            }
            (Packet::Edit(_), _) => Err(Error::Malformed("an edit ahead of the end of the message")),
            (Packet::Reply(Reply::Skip), state) if state != State::WaitingForBody => {
                Err(Error::Malformed("skip where there is no body"))
            }
            (Packet::Reply(Reply::Continue), State::WaitingForBody) if !self.body.is_empty() => {
                self.send_body();
                Ok(None)
            }
            (Packet::Reply(reply), _) => {
                self.body.clear();
                self.state = State::Idle;
                Ok(Some(Event::Replied(reply)))
            }
        }
    }

    /// Gives the other side its time anew if anything moved; whether it did.
    fn note_moves(&mut self, now: Instant) -> bool {
        let moved = core::mem::take(&mut self.moved);
        if moved {
            self.by = now
                + match self.state {
                    State::WaitingForVerdict => self.config.verdict_timeout,
                    _ => self.config.command_timeout,
                };
        }
        moved
    }

    fn fail(&mut self, error: Error) -> Error {
        self.tx = SendBuf::new();
        self.failed = Some(error.clone());
        error
    }

    fn waits_for_reply(&self) -> bool {
        matches!(
            self.state,
            State::Negotiating | State::Waiting | State::WaitingForBody | State::WaitingForVerdict
        )
    }

    /// The largest piece of a body in one packet (`MILTER_CHUNK_SIZE`).
    const MAX_BODY: usize = 65_535;
}

/// What says that a milter does not want a stage at all.
fn unwanted(stage: Stage) -> Steps {
    match stage {
        Stage::Connect => Steps::NO_CONNECT,
        Stage::Helo => Steps::NO_HELO,
        Stage::Mail => Steps::NO_MAIL,
        Stage::Rcpt => Steps::NO_RCPT,
        Stage::Data => Steps::NO_DATA,
        Stage::EndOfHeader => Steps::NO_END_OF_HEADER,
        // That end always comes; this is no step.
        Stage::EndOfMessage => Steps::from_bits(u32::MAX),
    }
}

fn envelope(path: &str, parameters: &[&str]) -> Vec<u8> {
    let mut packet = Vec::new();
    put_text(&mut packet, path.as_bytes());
    for parameter in parameters {
        put_text(&mut packet, parameter.as_bytes());
    }
    packet
}

/// Appends text and its NUL; one inside would cut it in two.
fn put_text(packet: &mut Vec<u8>, text: &[u8]) {
    packet.extend(text.iter().filter(|octet| **octet != 0));
    packet.push(0);
}

impl Machine for Client {
    type Event = Event;
    type Error = Error;

    fn poll(&mut self, now: Instant) -> Result<Step<Event>, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.note_moves(now);
        // What comes unasked, or too early, is left where it is: it is the answer to the next command, however the input
        // was cut.
        while self.tx.is_empty() && self.waits_for_reply() {
            let packet = match self.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => break,
                Err(error) => return Err(self.fail(error)),
            };
            match self.take(packet) {
                Ok(Some(event)) => return Ok(Step::Event(event)),
                Ok(None) => {}
                Err(error) => return Err(self.fail(error)),
            }
        }
        if !self.note_moves(now) && self.deadline().is_some_and(|by| now >= by) {
            let phase = match self.state {
                State::Negotiating => Phase::Greeting,
                State::WaitingForVerdict => Phase::Verdict,
                _ => Phase::Command,
            };
            return Err(self.fail(Error::Timeout(phase)));
        }
        if !self.tx.is_empty() {
            return Ok(Step::Write);
        }
        Ok(match self.state {
            State::Idle => Step::Answer,
            State::Unasked => {
                self.state = State::Idle;
                Step::Event(Event::Replied(Reply::Continue))
            }
            State::Quitting | State::Closed => {
                self.state = State::Closed;
                Step::Close
            }
            _ => Step::Read,
        })
    }

    fn recv_buf(&mut self) -> &mut [u8] {
        self.rx.room()
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
        self.moved |= n > 0;
    }

    fn deadline(&self) -> Option<Instant> {
        let waits = !self.tx.is_empty() || self.waits_for_reply();
        (waits && self.failed.is_none()).then_some(self.by)
    }
}
