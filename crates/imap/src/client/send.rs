//! Sending commands in their turn (RFC 3501 §2.2.1, §5.5)

use super::command::{Command, Kind};
use super::error::Unsent;
use super::event::Event;
use super::login::{self, Login, Start, Terms};
use super::text::Outgoing;
use super::upload::{Next, Upload};
use super::{Capabilities, Client, Open, Selected, Stage};
use std::time::Instant;

/// What the newest open command has still to say.
#[derive(Debug)]
pub(super) enum Sending {
    Nothing,
    /// The server's leave for a literal of its text is awaited.
    Text(Outgoing),
    Login(Login),
    Upload(Box<Upload>),
    Idle(Idle),
}

/// An IDLE that is open.
#[derive(Debug, Default)]
pub(super) struct Idle {
    /// When the server took it.
    pub(super) since: Option<Instant>,
    pub(super) done_sent: bool,
    /// It is ended only to be begun anew.
    pub(super) restart: bool,
}

impl Client {
    /// Sends what may be sent.
    pub(super) fn go_on(&mut self) {
        match &mut self.sending {
            Sending::Upload(_) => self.go_on_with_upload(),
            Sending::Idle(idle) => {
                let wanted = self.stop_idle || !self.queue.is_empty();
                if wanted && idle.since.is_some() && !std::mem::replace(&mut idle.done_sent, true) {
                    self.moved = true;
                    self.tx.put(b"DONE\r\n");
                }
            }
            _ => {}
        }
        while self.stage == Stage::Ready && matches!(self.sending, Sending::Nothing) && !self.waits {
            self.waits = !self.may_send_next();
            if self.waits {
                return;
            }
            let Some(next) = self.queue.pop_front() else {
                return;
            };
            self.send(next);
        }
    }

    fn may_send_next(&mut self) -> bool {
        let Some(next) = self.queue.front() else {
            return false;
        };
        let fits = self.open.len() < self.config.max_pipelined.max(1);
        if !fits
            || !self
                .open
                .iter()
                .all(|open| next.command.may_follow(&open.command))
        {
            return false;
        }
        let asks = matches!(next.command.kind, Kind::Capability | Kind::Logout);
        if self.capabilities.is_none() && !asks {
            if self.open.is_empty() {
                self.queue.push_front(Open {
                    handle: None,
                    tag: 0,
                    is_part: false,
                    command: Command::capability(),
                });
            }
            return self.open.is_empty();
        }
        true
    }

    fn send(&mut self, mut next: Open) {
        if let (Kind::Resync(mailbox, cached), Some(handle)) = (&next.command.kind, next.handle) {
            return self.start_resync(handle, mailbox.clone(), (**cached).clone());
        }
        let none = Capabilities::default();
        let capabilities = self.capabilities.as_ref().unwrap_or(&none);
        let needs = next.command.needs;
        let is_there = |name: &&str| {
            capabilities.has(name) || (*name == "METADATA-SERVER" && capabilities.has("METADATA"))
        };
        let mut problem =
            (!needs.is_empty() && !needs.iter().any(is_there)).then(|| Unsent::Missing(needs[0]));
        let mut login = None;
        match &next.command.kind {
            Kind::StartTls if self.is_tls => problem = Some(Unsent::AlreadyTls),
            Kind::Compress if self.is_compressed() => problem = Some(Unsent::AlreadyCompressed),
            Kind::Append(messages) if messages.is_empty() => problem = Some(Unsent::NoMessages),
            Kind::Login(wanted, credentials) => {
                let terms = Terms {
                    config: &self.config,
                    capabilities,
                    is_tls: self.is_tls,
                    bindings: &self.bindings,
                };
                match login::start(*wanted, credentials, &terms, &self.nonces.draw()) {
                    Ok(Start::Plain(text)) => next.command.text = text,
                    Ok(Start::Sasl(command, exchange)) => {
                        next.command.text.raw(&command);
                        login = Some(exchange);
                    }
                    Err(error) => problem = Some(error),
                }
            }
            _ => {}
        }
        if let Some(problem) = problem {
            self.events
                .extend(next.handle.map(|handle| Event::Unsent(handle, problem)));
            return;
        }
        self.tags += 1;
        next.tag = self.tags;
        if matches!(next.command.kind, Kind::Select) {
            self.selected = Some(Box::<Selected>::default());
        }
        let text = std::mem::take(&mut next.command.text).finish(self.is_utf8());
        let tagged = [format!("A{} ", next.tag).as_bytes(), &text].concat();
        self.open.push_back(next);
        self.moved = true;
        self.send_text(Outgoing::new(tagged), login);
    }

    /// Sends the text of the newest command as far as it can be, and what follows the text.
    pub(super) fn send_text(&mut self, mut text: Outgoing, login: Option<Login>) {
        if !text.send(self.free_literal(), &mut self.tx) {
            self.sending = Sending::Text(text);
            return;
        }
        let Some(open) = self.open.back_mut() else {
            return;
        };
        if let Kind::Append(messages) = &mut open.command.kind {
            let upload = Upload::new(std::mem::take(messages));
            self.sending = Sending::Upload(Box::new(upload));
            return self.begin_upload();
        }
        self.tx.put(b"\r\n");
        self.sending = match (&open.command.kind, login) {
            (_, Some(login)) => Sending::Login(login),
            (Kind::Idle { .. }, _) => Sending::Idle(Idle::default()),
            _ => Sending::Nothing,
        };
    }

    /// The longest literal that needs no leave, in octets.
    fn free_literal(&self) -> u64 {
        let has = |name| self.capabilities.as_ref().is_some_and(|c| c.has(name));
        match () {
            () if has("LITERAL+") => u64::MAX,
            () if has("LITERAL-") || has("IMAP4rev2") => 4096,
            () => 0,
        }
    }

    fn begin_upload(&mut self) {
        let free = self.free_literal();
        if let Sending::Upload(upload) = &mut self.sending
            && let Some(message) = upload.head_sent(free, &mut self.tx)
        {
            self.ask_for_message(message);
        }
    }

    fn go_on_with_upload(&mut self) {
        let free = self.free_literal();
        while let Sending::Upload(upload) = &mut self.sending {
            match upload.next(free, &mut self.tx) {
                Next::Wait => return,
                Next::Message(message) => {
                    self.moved = true;
                    self.ask_for_message(message);
                }
                Next::End => {
                    self.moved = true;
                    self.sending = Sending::Nothing;
                }
            }
        }
    }

    /// Asks the caller for a message, unless it is empty.
    fn ask_for_message(&mut self, message: usize) {
        let handle = self.open.back().and_then(|open| open.handle);
        self.events
            .extend(handle.map(|handle| Event::Upload { handle, message }));
    }

    /// The server said `+`.
    pub(super) fn continued(&mut self, text: &[u8], now: Instant) {
        match std::mem::replace(&mut self.sending, Sending::Nothing) {
            Sending::Text(text) => self.send_text(text, None),
            Sending::Login(mut login) => {
                login.challenge(text, &mut self.tx);
                self.sending = Sending::Login(login);
            }
            Sending::Upload(mut upload) => {
                let message = upload.go_ahead();
                self.sending = Sending::Upload(upload);
                if let Some(message) = message {
                    self.ask_for_message(message);
                }
            }
            Sending::Idle(mut idle) => {
                let first = idle.since.replace(now).is_none();
                self.sending = Sending::Idle(idle);
                let open = self.open.back_mut().filter(|_| first);
                if let Some(open) = open
                    && let Kind::Idle { told } = &mut open.command.kind
                    && !std::mem::replace(told, true)
                    && let Some(handle) = open.handle
                {
                    self.events.push_back(Event::Idling(handle));
                }
            }
            // Nobody asked for leave: a server that talks too much.
            Sending::Nothing => {}
        }
        self.moved = true;
    }
}
