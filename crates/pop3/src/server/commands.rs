//! What each command does (RFC 1939 §4 to §7)

use super::{Ask, Event, Listing, Server, State, Transfer};
use crate::command::Command;
use crate::maildrop::Maildrop;
use crate::reply::{put_err, put_ok, put_text};
use crate::top::TopCut;
use crate::{Error, Rejection, ResponseCode};
use mailwright_sasl as sasl;
use mailwright_sasl::{Failure, Mechanism, ServerStep};
use mailwright_wire::Line;

impl Server {
    /// Serves a line; `None` is one that was too long.
    pub(super) fn line(&mut self, line: Option<Line>) {
        if let State::Sasl(_) = self.state {
            return self.sasl_response(line);
        }
        let Some(line) = line else {
            return self.bad("line is too long");
        };
        if !line.is_crlf {
            return self.bad("line does not end in CRLF");
        }
        match Command::parse(&line.data) {
            Ok(command) => self.command(command),
            Err(why) => self.bad(why),
        }
    }

    fn command(&mut self, command: Command<'_>) {
        match command {
            Command::Capa => return self.capa(),
            Command::Quit => return self.quit(),
            _ => {}
        }
        let Some(maildrop) = &mut self.maildrop else {
            return self.before_login(command);
        };
        let tx = &mut self.tx;
        match command {
            Command::Noop => put_ok(tx, "still here"),
            Command::Stat => {
                let (messages, octets) = maildrop.totals();
                put_ok(tx, &format!("{messages} {octets}"));
            }
            Command::Rset => {
                maildrop.reset();
                put_ok(tx, &summary(maildrop));
            }
            Command::List(None) | Command::Uidl(None) => {
                put_ok(tx, &summary(maildrop));
                self.state = State::Listing(Listing {
                    unique_ids: matches!(command, Command::Uidl(_)),
                    next: 1,
                });
            }
            Command::List(Some(number)) => match maildrop.message(number) {
                Some((octets, _)) => put_ok(tx, &format!("{number} {octets}")),
                None => Rejection::NO_SUCH_MESSAGE.put(tx),
            },
            Command::Uidl(Some(number)) => match maildrop.message(number) {
                Some((_, uid)) => put_ok(tx, &format!("{number} {uid}")),
                None => Rejection::NO_SUCH_MESSAGE.put(tx),
            },
            Command::Dele(number) => match maildrop.delete(number) {
                true => put_ok(tx, &format!("message {number} deleted")),
                false => Rejection::NO_SUCH_MESSAGE.put(tx),
            },
            Command::Retr(message) => self.retrieve(message, None),
            Command::Top { message, lines } => self.retrieve(message, Some(lines)),
            _ => self.bad("you are logged in already"),
        }
    }

    fn before_login(&mut self, command: Command<'_>) {
        match command {
            Command::Stls => self.stls(),
            Command::User(_) | Command::Pass(_) if !self.config.allows_user_pass(self.is_tls) => {
                self.refuse_login("plaintext passwords are not allowed here, use STLS or another port");
            }
            // The same answer whether there is such a user or not.
            Command::User(name) => {
                put_ok(&mut self.tx, "send PASS");
                self.state = State::Authorization {
                    user: Some(name.to_owned()),
                };
            }
            Command::Pass(password) => self.pass(password),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial),
            _ => self.bad("log in first"),
        }
    }

    fn capa(&mut self) {
        let (config, tx, is_tls) = (&self.config, &mut self.tx, self.is_tls);
        put_ok(tx, "capability list follows");
        for capability in ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"] {
            put_text(tx, capability);
        }
        if config.allows_user_pass(is_tls) {
            put_text(tx, "USER");
        }
        let mechanisms: Vec<_> = config
            .mechanisms
            .iter()
            .filter(|m| config.allows(**m, is_tls) && (!m.is_plus() || !self.bindings.is_empty()))
            .map(|m| m.name())
            .collect();
        if !mechanisms.is_empty() {
            put_text(tx, &format!("SASL {}", mechanisms.join(" ")));
        }
        if config.stls && !is_tls && self.maildrop.is_none() {
            put_text(tx, "STLS");
        }
        if let Some(implementation) = &config.implementation {
            put_text(tx, &format!("IMPLEMENTATION {implementation}"));
        }
        tx.put(b".\r\n");
    }

    fn quit(&mut self) {
        let deleted = self.maildrop.as_ref().map(Maildrop::deleted).unwrap_or_default();
        if deleted.is_empty() {
            put_ok(&mut self.tx, "bye");
            self.state = State::Closing;
            return;
        }
        self.state = State::Asked(Ask::Update { count: deleted.len() });
        self.event = Some(Event::Update { deleted });
    }

    fn stls(&mut self) {
        if self.is_tls {
            return self.bad("TLS is active already");
        }
        if !self.config.stls {
            return self.bad("TLS is not available");
        }
        put_ok(&mut self.tx, "begin TLS negotiation");
        // What follows came in the clear; somebody may have put it there (CVE-2011-0411).
        self.dropped = self.rx.clear();
        self.lines.reset();
        self.state = State::StartTls;
    }

    fn pass(&mut self, password: &str) {
        // RFC 1939 §7: only directly behind a successful USER.
        let State::Authorization { user } = &mut self.state else {
            unreachable!("commands before login are served in no other state")
        };
        let Some(user) = user.take() else {
            return self.bad("send USER first");
        };
        let mut exchange = self.exchange(Mechanism::Plain);
        let step = exchange.step(Some(format!("\0{user}\0{password}").as_bytes()));
        self.sasl_step(exchange, step);
    }

    fn auth(&mut self, mechanism: &str, initial: Option<&str>) {
        let knows =
            |m: &Mechanism| self.config.mechanisms.contains(m) && (!m.is_plus() || !self.bindings.is_empty());
        let Some(mechanism) = Mechanism::from_name(mechanism).filter(knows) else {
            return self.bad("mechanism is not offered");
        };
        if !self.config.allows(mechanism, self.is_tls) {
            return self.refuse_login("this mechanism needs TLS, use STLS or another port");
        }
        let mut exchange = self.exchange(mechanism);
        let step = match initial {
            None => exchange.step(None),
            // RFC 5034 §4: no initial response where the server speaks first.
            Some(_) if !mechanism.is_client_first() => ServerStep::Failed(Failure::Malformed),
            Some(initial) => match sasl::base64_decode_initial(initial.as_bytes()) {
                Some(response) => exchange.step(Some(&response)),
                None => ServerStep::Failed(Failure::Malformed),
            },
        };
        self.sasl_step(exchange, step);
    }

    fn exchange(&mut self, mechanism: Mechanism) -> Box<sasl::Server> {
        let exchange = sasl::Server::new(mechanism, &self.nonces.draw());
        Box::new(exchange.bound_to(&self.bindings, &self.config.mechanisms))
    }

    fn sasl_response(&mut self, line: Option<Line>) {
        let closed = State::Authorization { user: None };
        let State::Sasl(mut exchange) = core::mem::replace(&mut self.state, closed) else {
            return;
        };
        let step = match line.as_ref().filter(|l| l.is_crlf).map(|l| &l.data[..]) {
            Some(b"*") => exchange.abort(),
            Some(response) => match sasl::base64_decode(response) {
                Some(response) => exchange.step(Some(&response)),
                None => ServerStep::Failed(Failure::Malformed),
            },
            None => ServerStep::Failed(Failure::Malformed),
        };
        self.sasl_step(exchange, step);
    }

    pub(super) fn sasl_step(&mut self, exchange: Box<sasl::Server>, step: ServerStep) {
        self.lines.set_max(self.config.max_line);
        match step {
            // RFC 5034 §4: POP3 has no room for data in a success reply.
            ServerStep::Challenge(data)
            | ServerStep::Done {
                final_data: Some(data),
                ..
            } => {
                self.tx.put(b"+ ");
                self.tx.put(sasl::base64_encode(&data).as_bytes());
                self.tx.put(b"\r\n");
                self.lines.set_max(self.config.max_sasl_line);
                self.state = State::Sasl(exchange);
            }
            ServerStep::Ask(question) => {
                self.state = State::Asked(Ask::Auth(exchange));
                self.event = Some(Event::Auth(question));
            }
            ServerStep::Done { identity, .. } => {
                self.state = State::Asked(Ask::Open);
                self.event = Some(Event::Open(identity));
            }
            ServerStep::Failed(failure) => self.login_failed(failure),
            _ => self.login_failed(Failure::Unavailable),
        }
    }

    fn login_failed(&mut self, failure: Failure) {
        let (code, text) = match failure {
            Failure::Denied | Failure::ChannelBinding => {
                (Some(ResponseCode::Auth), "wrong user name or password")
            }
            Failure::Malformed => (None, "malformed authentication response"),
            Failure::Aborted => (None, "authentication cancelled"),
            _ => (Some(ResponseCode::SysTemp), "login is temporarily unavailable"),
        };
        put_err(&mut self.tx, code, text);
        self.state = State::Authorization { user: None };
        self.event = Some(Event::AuthFailed(failure));
        self.failures += 1;
        if self.failures >= self.config.max_failures {
            self.failed = Some(Error::TooManyFailures);
        }
    }

    fn retrieve(&mut self, message: u32, body_lines: Option<u64>) {
        let Some((octets, _)) = self.maildrop.as_ref().and_then(|m| m.message(message)) else {
            return Rejection::NO_SUCH_MESSAGE.put(&mut self.tx);
        };
        self.state = State::Asked(Ask::Retrieve(Transfer {
            octets,
            top: body_lines.map(TopCut::new),
            body: None,
        }));
        self.event = Some(Event::Retrieve { message, body_lines });
    }

    fn bad(&mut self, why: &str) {
        self.refuse(None, why);
    }

    fn refuse_login(&mut self, why: &str) {
        self.refuse(Some(ResponseCode::Auth), why);
    }

    /// Refuses what a client of good will does not do often.
    fn refuse(&mut self, code: Option<ResponseCode>, why: &str) {
        if let State::Authorization { user } = &mut self.state {
            *user = None;
        }
        self.errors += 1;
        if self.errors > self.config.max_errors {
            put_err(&mut self.tx, None, "too many bad commands");
            self.failed = Some(Error::TooManyErrors);
        } else {
            put_err(&mut self.tx, code, why);
        }
    }
}

fn summary(maildrop: &Maildrop) -> String {
    let (messages, octets) = maildrop.totals();
    format!("{messages} messages ({octets} octets)")
}
