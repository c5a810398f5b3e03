//! The client of spamd, SpamAssassin's daemon (SPAMC): CHECK, SYMBOLS, REPORT, HEADERS, PROCESS, PING
//!
//! ```text
//!  SYMBOLS SPAMC/1.5          SPAMD/1.1 0 EX_OK
//!  Content-length: N          Content-length: M
//!  User: NAME                 Spam: True ; 15.0 / 5.0
//!
//!  message, N octets ─▶ ─▶    body, M octets: names of rules, a report, or the message with fields added
//! ```
//!
//! One connection asks one thing.

use crate::clamd::visible;
use crate::{Error, Phase};
use bytes::Bytes;
use core::time::Duration;
use mailwright_wire::{LineFramer, Machine, RecvBuf, SendBuf, Step};
use std::io::IoSlice;
use std::time::Instant;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Whether it is there.
    Ping,
    /// The verdict alone.
    Check,
    /// The verdict, and as body the names of the rules that matched, with commas between them.
    Symbols,
    /// The verdict, and as body a report for people.
    Report,
    /// The verdict, and as body the header of the message with SpamAssassin's fields.
    Headers,
    /// The verdict, and as body the message as SpamAssassin would have it.
    Process,
}

impl Command {
    fn word(self) -> &'static str {
        match self {
            Self::Ping => "PING",
            Self::Check => "CHECK",
            Self::Symbols => "SYMBOLS",
            Self::Report => "REPORT",
            Self::Headers => "HEADERS",
            Self::Process => "PROCESS",
        }
    }
}

/// Times and limits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Whose preferences and statistics hold; without it those of spamd itself.
    pub user: Option<String>,
    /// How long it may take nothing of what is sent. Default: 30 s.
    pub command_timeout: Duration,
    /// How long it may think about the whole message, and be silent within its answer. Default: 300 s, as spamd gives a
    /// message.
    pub verdict_timeout: Duration,
    /// How long a line of the head of an answer may be, in octets. Default: 1024.
    pub max_line: usize,
    /// How many lines the head of an answer may have. Default: 32.
    pub max_headers: usize,
    /// How long the body of an answer may be, in octets. Default: 64 MiB. It is handed on as it comes.
    pub max_body: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            user: None,
            command_timeout: Duration::from_secs(30),
            verdict_timeout: Duration::from_secs(300),
            max_line: 1024,
            max_headers: 32,
            max_body: 64 << 20,
        }
    }
}

/// What it thinks of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// Whether it is spam.
    pub is_spam: bool,
    /// Its score.
    pub score: f64,
    /// From which score on a message is spam.
    pub threshold: f64,
}

/// What happened. Nothing here owes an answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// It is there.
    Pong,
    /// It has a verdict; the body follows, if the command asks for one.
    Verdict(Verdict),
    /// The next octets of the body.
    Body(Bytes),
    /// All was said.
    Done,
    /// It could not do it: its exit code (those of `sysexits.h`) and its words, in visible ASCII. [`Step::Close`] comes next.
    Failed(u32, String),
}

/// The client's end of a connection to spamd.
///
/// While it wants more of the message, `poll` says [`Step::Answer`].
#[derive(Debug)]
pub struct Client {
    config: Config,
    command: Command,
    state: State,
    /// Octets of the message that are still owed.
    owed: u64,
    head: Head,
    lines: LineFramer,
    rx: RecvBuf,
    tx: SendBuf,
    by: Instant,
    moved: bool,
    failed: Option<Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Status,
    Headers,
    /// So many octets are to come; without a length, all until the end of the connection.
    Body(Option<u64>),
    Done,
}

#[derive(Debug, Default)]
struct Head {
    lines: usize,
    length: Option<u64>,
    verdict: Option<Verdict>,
}

impl Client {
    /// Asks about a message of exactly `size` octets, which [`push`](Client::push) gives; 0 for [`Command::Ping`].
    pub fn new(command: Command, size: u64, config: Config, now: Instant) -> Self {
        let mut tx = SendBuf::new();
        tx.put_all([command.word().as_bytes(), b" SPAMC/1.5\r\n"]);
        let owed = if command == Command::Ping { 0 } else { size };
        if command != Command::Ping {
            tx.put(b"Content-length: ");
            tx.put_u64(size);
            tx.put(b"\r\n");
            if let Some(user) = &config.user {
                let user: String = user.chars().filter(|c| !c.is_control()).collect();
                tx.put_all([b"User: ", user.as_bytes(), b"\r\n"]);
            }
        }
        tx.put(b"\r\n");
        Self {
            rx: RecvBuf::new(Self::READ.max(config.max_line)),
            lines: LineFramer::new(config.max_line),
            by: now + config.command_timeout,
            state: State::Status,
            head: Head::default(),
            tx,
            command,
            owed,
            moved: false,
            failed: None,
            config,
        }
    }

    /// Gives the next octets of the message. What comes after an answer that came early is dropped.
    ///
    /// # Panics
    ///
    /// Panics if it is more than the size that was announced.
    pub fn push(&mut self, data: Bytes) {
        let len = data.len() as u64;
        assert!(len <= self.owed, "the message is longer than was announced");
        self.owed -= len;
        if self.state != State::Done {
            self.moved = true;
            self.tx.put_bytes(data);
        }
    }

    /// How many octets of the message are still owed.
    pub fn owed(&self) -> u64 {
        self.owed
    }

    fn fail(&mut self, error: Error) {
        self.tx = SendBuf::new();
        self.failed = Some(error);
    }

    /// Reads what is there; `None` if more is needed.
    fn read(&mut self) -> Result<Option<Event>, Error> {
        loop {
            match self.state {
                State::Status | State::Headers => {
                    let line = self.lines.next(&mut self.rx);
                    let Some(line) = line.map_err(|_| Error::TooLarge("line"))? else {
                        return match self.rx.is_eof() {
                            true => Err(Error::Closed),
                            false => Ok(None),
                        };
                    };
                    self.moved = true;
                    if let Some(event) = self.line(&line.data)? {
                        return Ok(Some(event));
                    }
                }
                State::Body(Some(0)) => {
                    self.state = State::Done;
                    return Ok(Some(Event::Done));
                }
                State::Body(left) => {
                    let here = self.rx.data().len();
                    let take =
                        left.map_or(here, |left| here.min(usize::try_from(left).unwrap_or(usize::MAX)));
                    if take == 0 && self.rx.is_eof() {
                        if left.is_some() {
                            return Err(Error::Closed);
                        }
                        self.state = State::Done;
                        return Ok(Some(Event::Done));
                    }
                    if take == 0 {
                        return Ok(None);
                    }
                    self.moved = true;
                    self.head.length = Some(self.head.length.unwrap_or(0) + take as u64);
                    if left.is_none() && self.head.length > Some(self.config.max_body) {
                        return Err(Error::TooLarge("body"));
                    }
                    self.state = State::Body(left.map(|left| left - take as u64));
                    return Ok(Some(Event::Body(self.rx.take(take))));
                }
                State::Done => return Ok(None),
            }
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<Event>, Error> {
        let text = visible(line);
        if self.state == State::Status {
            let rest = text
                .strip_prefix("SPAMD/")
                .ok_or(Error::Malformed("status line"))?;
            let mut words = rest.splitn(3, ' ');
            let version = words.next().filter(|version| !version.is_empty());
            let code = words.next().and_then(|code| code.parse::<u32>().ok());
            let (Some(_), Some(code)) = (version, code) else {
                return Err(Error::Malformed("status line"));
            };
            let words = words.next().unwrap_or_default().trim();
            // spamd answers a ping with this one line alone.
            return Ok(match (code, self.command) {
                (0, Command::Ping) if words == "PONG" => self.end(Event::Pong),
                (0, Command::Ping) => return Err(Error::Malformed("answer to a ping")),
                (0, _) => {
                    self.state = State::Headers;
                    None
                }
                _ => self.end(Event::Failed(code, words.to_owned())),
            });
        }
        if text.is_empty() {
            let verdict = self.head.verdict.ok_or(Error::Malformed("no verdict"))?;
            let length = self.head.length.take();
            if length > Some(self.config.max_body) {
                return Err(Error::TooLarge("body"));
            }
            self.state = State::Body(match self.command {
                // It has none, whatever the head says of the message.
                Command::Check => Some(0),
                _ => length,
            });
            return Ok(Some(Event::Verdict(verdict)));
        }
        self.head.lines += 1;
        if self.head.lines > self.config.max_headers {
            return Err(Error::TooLarge("head"));
        }
        let (name, value) = text.split_once(':').ok_or(Error::Malformed("header"))?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let length = value.parse().map_err(|_| Error::Malformed("content-length"))?;
            self.head.length = Some(length);
        } else if name.eq_ignore_ascii_case("spam") {
            self.head.verdict = Some(Verdict::read(value).ok_or(Error::Malformed("verdict"))?);
        }
        Ok(None)
    }

    /// Ends the conversation with an event.
    fn end(&mut self, event: Event) -> Option<Event> {
        self.state = State::Done;
        Some(event)
    }

    fn waits_for_verdict(&self) -> bool {
        self.owed == 0 && self.tx.is_empty()
    }

    /// How much is read at a time, in octets.
    const READ: usize = 64 * 1024;
}

impl Verdict {
    /// `True ; 15.0 / 5.0`
    fn read(text: &str) -> Option<Self> {
        let (is_spam, numbers) = text.split_once(';')?;
        let (score, threshold) = numbers.split_once('/')?;
        let number = |text: &str| text.trim().parse().ok().filter(|n: &f64| n.is_finite());
        let is_spam = match is_spam.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" => true,
            "false" | "no" => false,
            _ => return None,
        };
        Some(Self {
            is_spam,
            score: number(score)?,
            threshold: number(threshold)?,
        })
    }
}

impl Machine for Client {
    type Event = Event;
    type Error = Error;

    fn poll(&mut self, now: Instant) -> Result<Step<Event>, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if core::mem::take(&mut self.moved) {
            self.by = now
                + match self.waits_for_verdict() {
                    true => self.config.verdict_timeout,
                    false => self.config.command_timeout,
                };
        }
        // It may answer before it has all: when it is too busy, say.
        match self.read() {
            Ok(Some(event)) => {
                if self.state == State::Done {
                    self.tx = SendBuf::new();
                }
                return Ok(Step::Event(event));
            }
            Ok(None) if self.state == State::Done => return Ok(Step::Close),
            Ok(None) if self.deadline().is_some_and(|by| now >= by) => {
                self.fail(Error::Timeout(match self.waits_for_verdict() {
                    true => Phase::Verdict,
                    false => Phase::Command,
                }));
            }
            Ok(None) => {}
            Err(error) => self.fail(error),
        }
        match &self.failed {
            Some(error) => Err(error.clone()),
            None if !self.tx.is_empty() => Ok(Step::Write),
            None if self.owed > 0 => Ok(Step::Answer),
            None => Ok(Step::Read),
        }
    }

    fn recv_buf(&mut self) -> &mut [u8] {
        match self.state {
            State::Body(_) => self.rx.room_for(Self::READ),
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
        self.moved |= n > 0;
    }

    fn deadline(&self) -> Option<Instant> {
        let waits = !self.tx.is_empty() || self.owed == 0;
        (waits && self.failed.is_none() && self.state != State::Done).then_some(self.by)
    }
}
