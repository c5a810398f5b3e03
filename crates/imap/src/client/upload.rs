//! APPEND: messages on their way out (RFC 3501 §6.3.11, RFC 3502, RFC 3516, RFC 7888)

use super::command::Message;
use mailwright_wire::SendBuf;
use std::fmt::Write;

/// The messages of one APPEND.
#[derive(Debug)]
pub(super) struct Upload {
    messages: Vec<Message>,
    /// The one that is being sent.
    at: usize,
    left: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The text before the messages is on its way.
    Head,
    /// The server's leave is awaited.
    Announced,
    /// Octets are owed.
    Data,
}

impl Upload {
    pub(super) fn new(messages: Vec<Message>) -> Self {
        Self {
            messages,
            at: 0,
            left: 0,
            state: State::Head,
        }
    }

    /// The command's own text is sent: announces the first message. Returns what [`announce`](Self::announce)
    /// does.
    pub(super) fn head_sent(&mut self, free: u64, tx: &mut SendBuf) -> Option<usize> {
        self.announce(free, tx)
    }

    /// Announces the message; says which one's octets can be given at once.
    fn announce(&mut self, free: u64, tx: &mut SendBuf) -> Option<usize> {
        let message = &self.messages[self.at];
        tx.put(b" ");
        if !message.flags.is_empty() {
            write!(tx, "({}) ", message.flags).expect("a send buffer takes all text");
        }
        if let Some(date) = message.internal_date {
            write!(tx, "\"{date}\" ").expect("a send buffer takes all text");
        }
        // Where none is free, not even an empty one is.
        let at_once = free > 0 && message.size <= free;
        let (tilde, plus) = (
            if message.binary { "~" } else { "" },
            if at_once { "+" } else { "" },
        );
        write!(tx, "{tilde}{{{}{plus}}}\r\n", message.size).expect("a send buffer takes all text");
        self.left = message.size;
        self.state = if at_once { State::Data } else { State::Announced };
        at_once.then_some(self.at)
    }

    /// The server gave its leave; says which message's octets are to be given.
    pub(super) fn go_ahead(&mut self) -> Option<usize> {
        (self.state == State::Announced).then(|| {
            self.state = State::Data;
            self.at
        })
    }

    /// Whether octets can be given.
    pub(super) fn wants_data(&self) -> bool {
        self.state == State::Data
    }

    /// How many octets of the message are still to be given.
    pub(super) fn left(&self) -> u64 {
        match self.wants_data() {
            true => self.left,
            false => 0,
        }
    }

    pub(super) fn gave(&mut self, n: u64) {
        self.left -= n;
    }

    /// Goes on behind a message that is complete.
    pub(super) fn next(&mut self, free: u64, tx: &mut SendBuf) -> Next {
        if !self.wants_data() || self.left > 0 {
            return Next::Wait;
        }
        self.at += 1;
        if self.at >= self.messages.len() {
            tx.put(b"\r\n");
            return Next::End;
        }
        self.announce(free, tx).map_or(Next::Wait, Next::Message)
    }
}

/// How an APPEND goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Octets, or the server's leave, are awaited.
    Wait,
    /// This message's octets are to be given.
    Message(usize),
    /// All is sent.
    End,
}
