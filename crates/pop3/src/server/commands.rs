//! What each command does (RFC 1939 §4 to §7)

use super::{Ask, Event, Listing, Server, State, Transfer};
use crate::command::Command;
use crate::maildrop::Maildrop;
use crate::reply::put_ok;
use crate::text::Text;
use crate::top::TopCut;
use crate::{Error, Rejection, ResponseCode};
use mailwright_wire::Line;

impl Server {
    /// Serves a line; `None` is one that was too long.
    pub(super) fn line(&mut self, line: Option<Line>) {
        if let State::Sasl(_) = self.state {
            return self.sasl_response(line);
        }
        let Some(line) = line else {
            return self.bad(Text::LineTooLong);
        };
        if !line.is_crlf {
            return self.bad(Text::LineNotEnded);
        }
        match Command::parse(&line.data) {
            Ok(command) => self.command(command),
            Err(why) => self.bad(why),
        }
    }

    fn command(&mut self, command: Command<'_>) {
        match command {
            Command::Capa => return self.capa(),
            Command::Lang(range) if !self.config.languages.is_empty() => return self.lang(range),
            Command::Lang(_) => return self.bad(Text::UnknownCommand),
            Command::Quit => return self.quit(),
            _ => {}
        }
        let Some(maildrop) = &mut self.maildrop else {
            return self.before_login(command);
        };
        let (voice, tx) = (&self.voice, &mut self.tx);
        match command {
            Command::Noop => voice.ok(tx, Text::StillHere),
            Command::Stat => {
                let (messages, octets) = maildrop.totals();
                put_ok(tx, &format!("{messages} {octets}"));
            }
            Command::Rset => {
                maildrop.reset();
                voice.ok_with(tx, Text::Totals, totals(maildrop));
            }
            Command::List(None) | Command::Uidl(None) => {
                voice.ok_with(tx, Text::Totals, totals(maildrop));
                self.state = State::Listing(Listing {
                    unique_ids: matches!(command, Command::Uidl(_)),
                    next: 1,
                });
            }
            Command::List(Some(number)) => match maildrop.message(number) {
                Some((octets, _)) => put_ok(tx, &format!("{number} {octets}")),
                None => voice.reject(tx, &Rejection::NO_SUCH_MESSAGE),
            },
            Command::Uidl(Some(number)) => match maildrop.message(number) {
                Some((_, uid)) => put_ok(tx, &format!("{number} {uid}")),
                None => voice.reject(tx, &Rejection::NO_SUCH_MESSAGE),
            },
            Command::Dele(number) => match maildrop.delete(number) {
                true => voice.ok_with(tx, Text::Deleted, [number.into(), 0]),
                false => voice.reject(tx, &Rejection::NO_SUCH_MESSAGE),
            },
            Command::Retr(message) => self.retrieve(message, None),
            Command::Top { message, lines } => self.retrieve(message, Some(lines)),
            _ => self.bad(Text::AlreadyLoggedIn),
        }
    }

    fn before_login(&mut self, command: Command<'_>) {
        match command {
            Command::Stls => self.stls(),
            Command::Utf8 if self.config.utf8 => self.utf8(),
            Command::Utf8 => self.bad(Text::UnknownCommand),
            Command::User(_) | Command::Pass(_) if !self.config.allows_user_pass(self.is_tls) => {
                self.refuse_login(Text::PasswordNeedsTls);
            }
            // The same answer whether there is such a user or not.
            Command::User(name) => {
                self.voice.ok(&mut self.tx, Text::SendPass);
                self.state = State::Authorization {
                    user: Some(name.to_owned()),
                };
            }
            Command::Pass(password) => self.pass(password),
            Command::Auth {
                mechanism: Some(mechanism),
                initial,
            } => self.auth(mechanism, initial),
            Command::Auth { .. } => self.list_mechanisms(),
            #[cfg(feature = "apop")]
            Command::Apop { user, digest } => self.apop(user, digest),
            _ => self.bad(Text::LogInFirst),
        }
    }

    fn quit(&mut self) {
        let deleted = self.maildrop.as_ref().map(Maildrop::deleted).unwrap_or_default();
        if deleted.is_empty() {
            self.voice.ok(&mut self.tx, Text::Bye);
            self.state = State::Closing;
            return;
        }
        self.state = State::Asked(Ask::Update { count: deleted.len() });
        self.event = Some(Event::Update { deleted });
    }

    fn stls(&mut self) {
        if self.is_tls {
            return self.bad(Text::TlsActive);
        }
        if !self.config.stls {
            return self.bad(Text::TlsUnavailable);
        }
        if self.is_utf8 {
            // RFC 6856 §2.1
            return self.bad(Text::TlsBehindUtf8);
        }
        self.voice.ok(&mut self.tx, Text::BeginTls);
        // What follows came in the clear; somebody may have put it there (CVE-2011-0411).
        self.dropped = self.rx.clear();
        self.lines.reset();
        self.state = State::StartTls;
    }

    fn retrieve(&mut self, message: u32, body_lines: Option<u64>) {
        let Some((octets, _)) = self.maildrop.as_ref().and_then(|m| m.message(message)) else {
            return self.voice.reject(&mut self.tx, &Rejection::NO_SUCH_MESSAGE);
        };
        self.state = State::Asked(Ask::Retrieve(Transfer {
            octets,
            top: body_lines.map(TopCut::new),
            body: None,
        }));
        self.event = Some(Event::Retrieve {
            message,
            body_lines,
            utf8: self.is_utf8,
        });
    }

    pub(super) fn bad(&mut self, why: Text) {
        self.refuse(None, why);
    }

    pub(super) fn refuse_login(&mut self, why: Text) {
        self.refuse(Some(ResponseCode::Auth), why);
    }

    /// Refuses what a client of good will does not do often.
    fn refuse(&mut self, code: Option<ResponseCode>, why: Text) {
        if let State::Authorization { user } = &mut self.state {
            *user = None;
        }
        self.errors += 1;
        if self.errors > self.config.max_errors {
            self.voice.err(&mut self.tx, None, Text::TooManyErrors);
            self.failed = Some(Error::TooManyErrors);
        } else {
            self.voice.err(&mut self.tx, code, why);
        }
    }
}

fn totals(maildrop: &Maildrop) -> [u64; 2] {
    let (messages, octets) = maildrop.totals();
    [messages.into(), octets]
}
