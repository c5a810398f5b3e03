//! The client of clamd, ClamAV's daemon: INSTREAM, PING, VERSION
//!
//! ```text
//!  zINSTREAM␀ ─▶ (length, octets)* ─▶ length 0 ─▶ stream: OK␀ │ stream: NAME FOUND␀ │ ... ERROR␀
//! ```
//!
//! One connection asks one thing. Each piece of a message goes out with its length in front, by reference.

use crate::{Error, Phase};
use bytes::Bytes;
use core::time::Duration;
use mailwright_wire::{Machine, RecvBuf, SendBuf, Step};
use std::io::IoSlice;
use std::time::Instant;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Whether it is there.
    Ping,
    /// Which version of program and signatures it has.
    Version,
    /// Whether what follows holds something bad: [`Client::push`] it, then [`Client::finish`].
    Scan,
}

/// Times and limits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// How long it may take nothing of what is sent. Default: 30 s.
    pub command_timeout: Duration,
    /// How long it may think about the whole message. Default: 120 s, as long as clamd itself gives a scan.
    pub verdict_timeout: Duration,
    /// How long an answer may be, in octets. Default: 4096; names of signatures are far shorter.
    pub max_reply: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            command_timeout: Duration::from_secs(30),
            verdict_timeout: Duration::from_secs(120),
            max_reply: 4096,
        }
    }
}

/// What it said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// It is there.
    Pong,
    /// Its version.
    Version(String),
    /// Nothing bad was found.
    Clean,
    /// Something bad was found: the name of the signature, in visible ASCII.
    Found(String),
    /// The message is larger than clamd's `StreamMaxLength`; nothing is known about it.
    TooLarge,
    /// It could not do it, and says why, in visible ASCII.
    Failed(String),
}

/// What happened. Nothing here owes an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The one answer of this connection; [`Step::Close`] comes next.
    Answered(Answer),
}

/// The client's end of a connection to clamd.
///
/// While a scan wants more of the message, `poll` says [`Step::Answer`].
#[derive(Debug)]
pub struct Client {
    config: Config,
    command: Command,
    state: State,
    rx: RecvBuf,
    tx: SendBuf,
    by: Instant,
    moved: bool,
    failed: Option<Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The caller owes more of the message.
    Body,
    Waiting,
    Done,
}

impl Client {
    /// Asks.
    pub fn new(command: Command, config: Config, now: Instant) -> Self {
        let mut tx = SendBuf::new();
        let (words, state): (&[u8], _) = match command {
            Command::Ping => (b"zPING\0", State::Waiting),
            Command::Version => (b"zVERSION\0", State::Waiting),
            Command::Scan => (b"zINSTREAM\0", State::Body),
        };
        tx.put(words);
        Self {
            rx: RecvBuf::new(config.max_reply),
            by: now + config.command_timeout,
            tx,
            command,
            state,
            moved: false,
            failed: None,
            config,
        }
    }

    /// Gives the next piece of the message, of any size.
    ///
    /// # Panics
    ///
    /// Panics if nothing is owed: the command is no scan, or the message was finished. What comes after an answer
    /// that came early is dropped.
    pub fn push(&mut self, data: Bytes) {
        self.assert_owed();
        if self.state == State::Done {
            return;
        }
        self.moved = true;
        let mut rest = data;
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(Self::MAX_CHUNK));
            let len = u32::try_from(piece.len()).expect("a chunk is shorter than 2^32");
            self.tx.put(&len.to_be_bytes());
            self.tx.put_bytes(piece);
        }
    }

    /// Ends the message.
    ///
    /// # Panics
    ///
    /// Panics if nothing is owed, as [`push`](Client::push) does.
    pub fn finish(&mut self) {
        self.assert_owed();
        if self.state == State::Body {
            self.tx.put(&[0; 4]);
            self.state = State::Waiting;
            self.moved = true;
        }
    }

    fn assert_owed(&self) {
        let owed = self.command == Command::Scan && self.state != State::Waiting;
        assert!(owed, "clamd wants nothing of a message at this moment");
    }

    fn fail(&mut self, error: Error) {
        self.tx = SendBuf::new();
        self.failed = Some(error);
    }

    /// The answer, once it is there; a connection that ends ends it as well.
    fn answer(&mut self) -> Option<Result<Answer, Error>> {
        let data = self.rx.data();
        let end = memchr::memchr2(0, b'\n', data);
        let reply = match end {
            Some(end) => &data[..end],
            None if self.rx.is_full() => return Some(Err(Error::TooLarge("reply"))),
            None if self.rx.is_eof() => return Some(Err(Error::Closed)),
            None => return None,
        };
        let answer = Answer::read(self.command, reply);
        self.rx.clear();
        Some(answer.ok_or(Error::Malformed("reply")))
    }

    /// Longer pieces are cut.
    const MAX_CHUNK: usize = 1 << 24;
}

impl Answer {
    fn read(command: Command, reply: &[u8]) -> Option<Self> {
        let text = visible(reply);
        let text = text.trim();
        if let Some(why) = text.strip_suffix("ERROR") {
            let why = why.trim_end().trim_end_matches('.');
            return Some(match why.contains("size limit exceeded") {
                true => Self::TooLarge,
                false => Self::Failed(why.to_owned()),
            });
        }
        match command {
            Command::Ping => (text == "PONG").then_some(Self::Pong),
            Command::Version => (!text.is_empty()).then(|| Self::Version(text.to_owned())),
            Command::Scan => {
                let (_, result) = text.split_once(": ")?;
                match result.strip_suffix(" FOUND") {
                    Some(name) if !name.is_empty() => Some(Self::Found(name.to_owned())),
                    _ => (result == "OK").then_some(Self::Clean),
                }
            }
        }
    }
}

/// Text that is safe in logs and replies.
pub(crate) fn visible(text: &[u8]) -> String {
    let safe = |octet: &u8| {
        if matches!(octet, b' '..=b'~') {
            char::from(*octet)
        } else {
            '?'
        }
    };
    text.iter().map(safe).collect()
}

impl Machine for Client {
    type Event = Event;
    type Error = Error;

    fn poll(&mut self, now: Instant) -> Result<Step<Event>, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.state == State::Done {
            return Ok(Step::Close);
        }
        if core::mem::take(&mut self.moved) {
            let flushed = self.state == State::Waiting && self.tx.is_empty();
            self.by = now
                + match flushed {
                    true => self.config.verdict_timeout,
                    false => self.config.command_timeout,
                };
        }
        // It may answer before it has all: the message is too large, say.
        match self.answer() {
            Some(Ok(answer)) => {
                self.state = State::Done;
                self.tx = SendBuf::new();
                return Ok(Step::Event(Event::Answered(answer)));
            }
            Some(Err(error)) => self.fail(error),
            None if self.deadline().is_some_and(|by| now >= by) => {
                let waits_for_verdict = self.state == State::Waiting && self.tx.is_empty();
                self.fail(Error::Timeout(match (waits_for_verdict, self.command) {
                    (true, Command::Scan) => Phase::Verdict,
                    _ => Phase::Command,
                }));
            }
            None => {}
        }
        match (&self.failed, self.state) {
            (Some(error), _) => Err(error.clone()),
            _ if !self.tx.is_empty() => Ok(Step::Write),
            (_, State::Body) => Ok(Step::Answer),
            _ => Ok(Step::Read),
        }
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
        let waits = !self.tx.is_empty() || self.state == State::Waiting;
        (waits && self.failed.is_none()).then_some(self.by)
    }
}
