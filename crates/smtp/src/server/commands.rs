//! Commands in their order (RFC 5321 §4.1.4, RFC 1985, RFC 3030, RFC 3207)

use super::body::Received;
use super::pace::Pace;
use super::session::BAD_SEQUENCE;
use super::transaction::Transaction;
use super::{Aborted, Asked, Drain, Event, Protocol, Server, State};
use crate::chunking::Chunk;
use crate::futurerelease::DateTime;
use crate::xclient::Xclient;
use crate::{Command, CommandError, EnhancedCode, Error, Limit, Rejection, Reply, Stage, Violation};
use mailwright_wire::Counted;

impl Server {
    pub(super) fn line(&mut self, parsed: Result<Command, CommandError>) {
        let command = match parsed {
            Ok(command) => command,
            Err(CommandError::OtherProtocol) => {
                return self.fail(Error::Protocol(self.stage(), Violation::OtherProtocol));
            }
            Err(CommandError::Chunk) => {
                return self.fail(Error::Protocol(Stage::Body, Violation::ChunkSize));
            }
            Err(error) => return self.complain(&error.reply()),
        };
        // A chunk with something in it is bounded by the size of the message.
        let counts = match &command {
            Command::Rcpt(_) => false,
            Command::Bdat(chunk) => chunk.size == 0,
            _ => true,
        };
        if counts {
            self.session.commands += 1;
            if self.session.commands > self.session.config.limits.commands {
                return self.fail(Error::Limit(Limit::Commands));
            }
        }
        match self.command(command) {
            Ok(()) => {}
            Err(reply) => self.refuse(&reply),
        }
    }

    /// Tells the client that a command is not taken, and counts it if that is its mistake.
    fn refuse(&mut self, reply: &Reply) {
        // RFC 5321 §4.5.3.1.10: to ask for more than there is room for is no mistake, and who does goes on
        // with the recipients that were taken.
        match reply.code() {
            452 | 552 => self.reply(reply),
            _ => self.complain(reply),
        }
    }

    fn command(&mut self, command: Command) -> Result<(), Reply> {
        if let Command::Bdat(chunk) = command {
            self.bdat(chunk);
            return Ok(());
        }
        self.session.permit(&command)?;
        let (config, open) = (&*self.session.config, self.transaction.as_ref());
        let questions = config.questions;
        match command {
            Command::Hello(hello) => {
                self.ask_if(questions.hello, Asked::Hello(hello.clone()), Event::Hello(hello));
            }
            Command::Mail(mail) => {
                let horizon = mail.params.hold.and_then(|_| self.horizon());
                let begun = Transaction::begin(open, &mail, config, horizon)?;
                let most = config.limits.transactions;
                if most > 0 && self.session.transactions >= most {
                    self.fail(Error::Limit(Limit::Transactions));
                } else {
                    self.ask(Asked::Mail(begun), Event::Mail(mail));
                }
            }
            Command::Rcpt(rcpt) => {
                let domain = Transaction::recipient(open, &rcpt, &config.limits)?;
                self.ask(Asked::Rcpt(domain), Event::Rcpt(rcpt));
            }
            Command::Data => {
                Transaction::data(open)?;
                self.ask_if(questions.data, Asked::Data, Event::Data);
            }
            Command::Rset => {
                self.abort_transaction();
                self.reply(&Reply::fixed(250, EnhancedCode::new(2, 0, 0), "Reset"));
            }
            Command::Noop => {
                self.reply(&Reply::fixed(250, EnhancedCode::new(2, 0, 0), "OK"));
                self.flush = true;
            }
            Command::Vrfy(lookup) => {
                let asked = Asked::Lookup(lookup.smtputf8);
                self.ask_if(questions.vrfy, asked, Event::Vrfy(lookup));
            }
            Command::Expn(lookup) => self.ask(Asked::Lookup(lookup.smtputf8), Event::Expn(lookup)),
            Command::Help(topic) => self.ask_if(questions.help, Asked::Help, Event::Help(topic)),
            Command::Quit => {
                self.reply(&Reply::fixed(221, EnhancedCode::new(2, 0, 0), "Goodbye"));
                self.close();
            }
            Command::StartTls => self.ask_if(questions.starttls, Asked::StartTls, Event::StartTls),
            Command::Auth { mechanism, initial } => self.auth_command(&mechanism, initial.as_deref())?,
            Command::Etrn(node) => {
                self.outside_transaction()?;
                self.ask(Asked::Etrn(node.clone()), Event::Etrn(node));
            }
            Command::Xclient(attributes) => {
                self.outside_transaction()?;
                self.ask(Asked::Xclient(attributes.clone()), Event::Xclient(attributes));
            }
            Command::Xforward(attributes) => {
                self.outside_transaction()?;
                self.ask(Asked::Xforward(attributes.clone()), Event::Xforward(attributes));
            }
            Command::Bdat(_) => unreachable!("it was taken care of"),
        }
        Ok(())
    }

    /// RFC 4954 §4, RFC 1985 §4, XCLIENT_README: not for the middle of a transaction.
    pub(super) fn outside_transaction(&self) -> Result<(), Reply> {
        match self.transaction {
            None => Ok(()),
            Some(_) => Err(Reply::fixed(503, BAD_SEQUENCE, "Not within a mail transaction")),
        }
    }

    /// Takes a chunk, or drops its octets: whatever becomes of it, they are no commands (RFC 3030 §2).
    fn bdat(&mut self, chunk: Chunk) {
        let permitted = self.session.permit(&Command::Bdat(chunk));
        let open = self.transaction.as_mut();
        if let Err(reply) = permitted.and_then(|()| Transaction::message(open.as_deref()).map(drop)) {
            return self.drain(chunk, reply, 1);
        }
        match open.and_then(|open| open.chunks.take()) {
            Some(mut chunks) => {
                chunks.begin(chunk);
                self.state = State::Chunk(chunks);
            }
            None => {
                let wanted = self.session.config.questions.data;
                self.ask_if(wanted, Asked::FirstChunk(chunk), Event::Data);
            }
        }
    }

    /// Drops the octets of a chunk, and says after them why, as often as there are replies to it.
    pub(super) fn drain(&mut self, chunk: Chunk, reply: Reply, replies: u32) {
        self.state = State::Drain(Box::new(Drain {
            left: Counted::new(chunk.size),
            reply,
            replies,
        }));
    }

    pub(super) fn drained(&mut self, reply: &Reply, replies: u32) {
        self.lines.reset();
        if self.transaction.is_none() {
            self.pace = Pace::default();
        }
        self.state = State::Command;
        match reply.code() {
            // The engine's own; others are the caller's word on the message.
            502 | 503 | 530 => self.complain(reply),
            _ => (0..replies).for_each(|_| self.reply(reply)),
        }
    }

    pub(super) fn body(&mut self, received: Received) {
        match received {
            Received::Body(data) => self.events.push_back(Event::Body(data)),
            Received::Dropped => {}
            Received::Chunk(size) => {
                self.lines.reset();
                if let State::Chunk(chunks) = std::mem::replace(&mut self.state, State::Command)
                    && let Some(transaction) = &mut self.transaction
                {
                    transaction.chunks = Some(chunks);
                }
                let reply = Reply::fixed(250, EnhancedCode::new(2, 0, 0), "");
                self.reply(&reply.with_text(&format!("{size} octets received")));
            }
            Received::Complete { size } => {
                self.lines.reset();
                self.ask(Asked::Message(self.replies_to_message()), Event::Message { size });
            }
            Received::Refused(rejection, why) => {
                self.lines.reset();
                // RFC 2033 §4.2: one reply for each recipient follows the message, not a chunk.
                let replies = match &self.state {
                    State::Chunk(chunks) if !chunks.is_last() => 1,
                    _ => self.replies_to_message(),
                };
                self.state = State::Command;
                for _ in 0..replies {
                    self.reply(rejection.reply());
                }
                self.end_transaction();
                self.events.push_back(Event::Aborted(why));
                if rejection.closes() {
                    self.close();
                }
            }
        }
    }

    /// How many replies follow a message: one, or with LMTP one for each recipient.
    pub(super) fn replies_to_message(&self) -> u32 {
        match (&self.transaction, self.session.config.protocol) {
            (Some(transaction), Protocol::Lmtp) => transaction.recipients,
            _ => 1,
        }
    }

    pub(super) fn start_tls(&mut self, reply: &Reply) {
        self.abort_transaction();
        // Octets must not come between this reply and the handshake.
        if let Some(held) = self.held.take() {
            self.release(held);
        }
        self.reply(reply);
        // RFC 3207 §4.2, CVE-2011-0411: what came in the clear must not be taken for encrypted.
        self.dropped_plaintext += self.rx.clear();
        self.lines.reset();
        self.state = State::Tls;
    }

    /// After XCLIENT: the session of another client begins.
    pub(super) fn begin_anew(&mut self, attributes: Xclient) {
        self.session.begin_anew(attributes);
        if let Some(identity) = self.session.identity.clone() {
            self.login_deadline = None;
            self.events.push_back(Event::Authenticated(identity));
        }
        self.connect();
    }

    pub(super) fn connect(&mut self) {
        let wanted = self.session.config.questions.connect;
        self.ask_if(wanted, Asked::Connect, Event::Connect);
    }

    /// The last moment a message may be held until; `None` where FUTURERELEASE is not there, or the time of
    /// day is not known.
    pub(super) fn horizon(&self) -> Option<DateTime> {
        let (started, unix) = self.wall_clock?;
        let elapsed = self.now.saturating_duration_since(started).as_secs();
        let longest = self.session.config.future_release_max.seconds();
        DateTime::from_unix(unix + elapsed + u64::from(longest))
    }

    /// Refuses a message that comes by BDAT, if one does.
    pub(super) fn refuse_chunks(&mut self, rejection: Rejection) -> bool {
        let chunks = match &mut self.state {
            State::Chunk(chunks) => Some(chunks),
            State::Command | State::Asked(_) => self.transaction.as_mut().and_then(|t| t.chunks.as_mut()),
            _ => None,
        };
        match chunks {
            Some(chunks) => {
                chunks.refuse(rejection, Aborted::Refused);
                true
            }
            None => false,
        }
    }
}
