//! APPEND and REPLACE: messages stream through (RFC 3501 §6.3.11, RFC 3502, RFC 3516, RFC 4469, RFC 6855 §4,
//! RFC 7889, RFC 8508)

use super::literal::BAD_LITERAL;
use super::{Phase, Reply, Server, State, Task, Turn};
use crate::codec::{AppendHead, AppendParser, AppendToken, Form, Frame, Literal, TooLong};
use crate::{AppendRequest, Capability, Code, Event, Rejection};
use bytes::Bytes;
use mailwright_wire::Counted;
use std::collections::VecDeque;

/// Messages that are coming.
#[derive(Debug)]
pub(super) struct Appending {
    mailbox: String,
    /// REPLACE: the UID of the message that is replaced.
    replaces: Option<u32>,
    parser: AppendParser,
    /// What was read of the command, and not acted on.
    tokens: VecDeque<AppendToken>,
    /// The literal at the end of what was read.
    literal: Option<Literal>,
    form: Form,
    /// How many messages have begun.
    begun: u32,
    /// How many octets this message has by literals.
    octets: u64,
    message: Counted,
}

impl Server {
    /// The start of a command that brings messages, up to a literal if there is one.
    pub(super) fn append(&mut self, head: AppendHead, literal: Option<Literal>) {
        self.tag = Bytes::copy_from_slice(&head.tag);
        self.bad_commands = 0;
        let mut replaces = None;
        if let Some((number, uid)) = head.replaces {
            if !self.offers(Capability::Replace) {
                self.bad("the command is not known");
                return self.skip_literal(literal);
            }
            if !matches!(self.state, State::Selected(_)) {
                self.bad("Select a mailbox first");
                return self.skip_literal(literal);
            }
            let set = crate::SequenceSet::from(number);
            let uids = self.may_number(uid).then(|| self.resolve(&set, uid)).flatten();
            let Some(uids) = uids else {
                return self.skip_literal(literal);
            };
            let gone = !uid && self.has_gone(&uids);
            let refusal = match uids.first() {
                _ if self.is_read_only() => Reply::no(Some(Code::NoPerm), "The mailbox is read-only"),
                None => Reply::no(Some(Code::NonExistent), "The message does not exist"),
                _ if gone => Rejection::EXPUNGE_ISSUED.into(),
                Some(uid) => {
                    replaces = Some(uid);
                    Reply::ok("")
                }
            };
            if replaces.is_none() {
                self.reply_now(&refusal);
                return self.skip_literal(literal);
            }
        }
        let Some(mailbox) = self.mailbox_name(&head.mailbox) else {
            return self.skip_literal(literal);
        };
        self.append_next(Appending {
            mailbox,
            replaces,
            parser: head.parser,
            tokens: head.tokens.into(),
            literal,
            form: Form::Literal,
            begun: 0,
            octets: 0,
            message: Counted::new(0),
        });
    }

    /// Goes on with what the command says next.
    pub(super) fn append_next(&mut self, mut appending: Appending) {
        match appending.tokens.pop_front() {
            Some(AppendToken::Message {
                flags,
                internal_date,
                form,
            }) => {
                if let Some(text) = self.forbids(&appending, form) {
                    return self.give_up(&appending, |server| server.bad(text));
                }
                appending.form = form;
                appending.octets = 0;
                let literal = appending.literal.filter(|_| form != Form::Catenate);
                if let Some(literal) = literal {
                    if literal.len > self.config.max_append {
                        return self.give_up(&appending, Self::refuse_size);
                    }
                    if literal.len == 0 {
                        return self.give_up(&appending, |server| {
                            server.no(Some(Code::Cannot), "An empty message cannot be stored");
                        });
                    }
                }
                let request = AppendRequest {
                    mailbox: appending.mailbox.clone(),
                    flags,
                    internal_date,
                    size: literal.map(|literal| literal.len),
                    utf8: form == Form::Utf8,
                    binary: literal.is_none_or(|literal| literal.is_binary),
                    replaces: appending.replaces,
                };
                let event = match appending.begun {
                    0 => Event::Append(request),
                    _ => Event::AppendNext(request),
                };
                appending.begun += 1;
                self.ask(event, Task::AppendStart(Box::new(appending)));
            }
            Some(AppendToken::Url(url)) => match String::from_utf8(url.to_vec()) {
                Ok(url) => {
                    let task = Task::AppendUrl(Box::new((appending, url.clone())));
                    self.ask(Event::AppendUrl(url), task);
                }
                Err(_) => self.give_up(&appending, |server| server.bad("a URL is malformed")),
            },
            Some(AppendToken::Literal) => {
                let Some(literal) = appending.literal.take() else {
                    return self.give_up(&appending, |server| server.bad("the message must be a literal"));
                };
                appending.octets = appending.octets.saturating_add(literal.len);
                appending.message = Counted::new(literal.len);
                if appending.octets > self.config.max_append {
                    appending.literal = Some(literal);
                    return self.give_up(&appending, Self::refuse_size);
                }
                if literal.is_sync {
                    self.out().raw("+ OK\r\n");
                }
                self.phase = Phase::Append(Box::new(appending));
            }
            None => {
                let replacing = appending.replaces.is_some();
                self.ask(Event::AppendEnd, Task::AppendEnd { replacing });
            }
        }
    }

    /// Why a message may not come in this form.
    fn forbids(&self, appending: &Appending, form: Form) -> Option<&'static str> {
        let literal8 = appending.literal.is_some_and(|literal| literal.is_binary);
        match form {
            _ if appending.begun > 0 && appending.replaces.is_some() => Some("REPLACE takes one message"),
            _ if appending.begun > 0 && !self.offers(Capability::MultiAppend) => {
                Some("There is more than one message")
            }
            Form::Catenate if !self.offers(Capability::Catenate) => Some("CATENATE is not offered"),
            Form::Utf8 if !self.uses_utf8() => Some("UTF8=ACCEPT is not enabled"),
            Form::Utf8 if !literal8 => Some("The message must be a literal8"),
            Form::Literal if literal8 && !self.offers(Capability::Binary) && !self.enabled.rev2 => {
                Some("a literal8 is not allowed here")
            }
            _ if appending
                .literal
                .is_some_and(|literal| !self.allows_literal(literal)) =>
            {
                Some(BAD_LITERAL)
            }
            _ => None,
        }
    }

    fn refuse_size(&mut self) {
        self.reply_now(&Reply::no(Some(Code::TooBig), "Literal is too large"));
        self.count_bad();
    }

    /// Ends the command: what came of its messages is dropped, and so is what is still to come.
    fn give_up(&mut self, appending: &Appending, say: impl FnOnce(&mut Self)) {
        if appending.begun > 0 {
            self.events.push_back(Event::AppendAborted);
        }
        self.phase = Phase::Command;
        say(self);
        self.skip_literal(appending.literal);
    }

    /// Says no before a message has come: the rest of the command has to go, too.
    pub(super) fn refuse_append(&mut self, appending: Appending, reply: &Reply) {
        // Who says no to the first message has nothing to drop.
        if appending.begun > 1 {
            self.events.push_back(Event::AppendAborted);
        }
        self.reply_now(reply);
        self.skip_literal(appending.literal);
    }

    pub(super) fn refuse_url(&mut self, appending: Appending, url: &str, bad_url: bool, reply: Reply) {
        let mut reply = reply;
        if bad_url {
            // A quoted string within the response code; what cannot stand in one is left out.
            let plain = |c: &char| (' '..='~').contains(c) && !matches!(c, '"' | '\\' | ']');
            let url: String = url.chars().filter(plain).collect();
            reply = reply.with_code(format!("BADURL \"{url}\""));
        }
        self.give_up(&appending, |server| server.reply_now(&reply));
    }

    pub(super) fn append_turn(&mut self) -> Turn {
        let Phase::Append(appending) = &mut self.phase else {
            return Turn::Again;
        };
        if let Some(data) = appending.message.next(&mut self.rx) {
            self.events.push_back(Event::AppendData(data));
            return Turn::Again;
        }
        if !appending.message.is_done() {
            return self.read();
        }
        let (text, literal) = match self.next_frame() {
            Ok(None) => return self.read(),
            Ok(Some(Frame::Command(text))) => (text, None),
            Ok(Some(Frame::Literal(literal))) => {
                if self.wants_url() && literal.len <= u64::from(self.config.max_literal) {
                    self.framer.keep_literal(literal);
                    if literal.is_sync {
                        self.out().raw("+ OK\r\n");
                    }
                    return Turn::Again;
                }
                (self.framer.take_head(), Some(literal))
            }
            Err(TooLong { literal, .. }) => {
                self.events.push_back(Event::AppendAborted);
                self.bad("Command is too long");
                self.skip_literal(literal);
                return Turn::Again;
            }
        };
        let Phase::Append(mut appending) = std::mem::replace(&mut self.phase, Phase::Command) else {
            return Turn::Again;
        };
        appending.literal = literal;
        match appending.parser.feed(&text, literal.is_some()) {
            Ok(tokens) => {
                appending.tokens = tokens.into();
                self.append_next(*appending);
            }
            Err(error) => self.give_up(&appending, |server| server.bad(error.reason)),
        }
        Turn::Again
    }

    /// The literal that was announced is a URL.
    fn wants_url(&self) -> bool {
        matches!(&self.phase, Phase::Append(appending) if appending.parser.wants_url(self.framer.head()))
    }
}
