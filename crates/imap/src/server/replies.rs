//! Status responses, capabilities, and what is told before them (RFC 3501 §7.1, §7.2.1)

use super::{Phase, Server, State, Turn};
use crate::codec::Out;
use crate::{Capability, Code, Error, Flag, Flags, Rejection, UidSet, Update, Updates, View, When};
use std::borrow::Cow;

/// A tagged response that waits for its turn.
#[derive(Debug)]
pub(super) struct Reply {
    status: &'static str,
    /// What goes between the brackets; empty for none.
    code: Cow<'static, str>,
    text: Cow<'static, str>,
}

impl Reply {
    pub(super) fn ok(text: &'static str) -> Self {
        Self::ok_with("", text)
    }

    pub(super) fn ok_with(code: impl Into<Cow<'static, str>>, text: &'static str) -> Self {
        Self {
            status: "OK",
            code: code.into(),
            text: text.into(),
        }
    }

    /// A code that carries data.
    pub(super) fn no_with(code: String, text: &'static str) -> Self {
        Self {
            status: "NO",
            code: code.into(),
            text: text.into(),
        }
    }

    /// The same with this code, whatever it had.
    pub(super) fn with_code(mut self, code: String) -> Self {
        self.code = code.into();
        self
    }

    pub(super) fn no(code: Option<Code>, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: "NO",
            code: code.map_or("", Code::as_str).into(),
            text: text.into(),
        }
    }
}

impl From<Rejection> for Reply {
    fn from(rejection: Rejection) -> Self {
        Self::no(rejection.code, rejection.text)
    }
}

impl Server {
    pub(super) fn out(&mut self) -> Out<'_> {
        let utf8 = self.uses_utf8();
        Out::with_utf8(&mut self.tx, utf8)
    }

    pub(super) fn greet(&mut self, status: &str) {
        self.out().raw("* ").raw(status).raw(" [CAPABILITY");
        self.put_capabilities();
        let config = self.config.clone();
        self.out().raw("] ").text(&config.greeting).raw("\r\n");
    }

    /// The capabilities, each with a space before it.
    pub(super) fn put_capabilities(&mut self) {
        let config = self.config.clone();
        let before_login = matches!(self.state, State::NotAuthenticated);
        let capabilities = self.capabilities;
        let starttls = self.offers_starttls();
        let disabled = !self.allows_plaintext();
        let knows: Vec<_> = config.mechanisms.iter().filter(|m| self.knows(**m)).collect();
        let mut out = self.out();
        out.raw(" IMAP4rev1");
        if capabilities.contains(Capability::Imap4Rev2) {
            out.raw(" IMAP4rev2");
        }
        for capability in capabilities.iter() {
            match capability {
                Capability::Imap4Rev2 => {}
                Capability::LiteralMinus if capabilities.contains(Capability::LiteralPlus) => {}
                Capability::SaslIr if !before_login => {}
                _ if before_login && !capability.before_login() => {}
                Capability::AppendLimit => {
                    out.raw(" APPENDLIMIT=").number(config.max_append);
                }
                Capability::Quota => {
                    out.raw(" QUOTA");
                    for resource in &config.quota_resources {
                        out.raw(" QUOTA=RES-").raw(resource.as_str());
                    }
                }
                // RFC 4314 §2.2: the rights that RFC 2086 did not have.
                Capability::Acl => {
                    out.raw(" ACL RIGHTS=texk");
                }
                _ => {
                    out.raw(" ").raw(capability.as_str());
                }
            }
        }
        if before_login {
            if starttls {
                out.raw(" STARTTLS");
            }
            if disabled {
                out.raw(" LOGINDISABLED");
            }
            for mechanism in knows {
                if !(disabled && mechanism.is_plaintext()) {
                    out.raw(" AUTH=").raw(mechanism.name());
                }
            }
        }
    }

    pub(super) fn offers(&self, capability: Capability) -> bool {
        self.capabilities.contains(capability)
    }

    /// Ends the command with a tagged response, and tells before it what may be told.
    pub(super) fn complete(&mut self, reply: Reply, when: When) {
        if let Some(resume) = self.unasked.take() {
            self.phase = resume.phase();
            return;
        }
        let updates = match &mut self.state {
            State::Selected(selection) if selection.view.has_updates(when) => selection.view.updates(when),
            _ => Updates::default(),
        };
        self.phase = Phase::Finish(Box::new((updates, reply)));
    }

    /// The same for a command that removes messages: the client hears the mod-sequence up to which it knows
    /// everything, if messages are told to be gone (RFC 7162 §3.2.7).
    pub(super) fn complete_expunge(&mut self, text: &'static str) {
        self.complete(Reply::ok(text), When::Anything);
        if !self.enabled.condstore {
            return;
        }
        let Some(highest) = self.view().and_then(View::told_up_to) else {
            return;
        };
        if let Phase::Finish(finish) = &mut self.phase
            && finish.0.has_expunges()
        {
            finish.1.code = format!("HIGHESTMODSEQ {highest}").into();
        }
    }

    pub(super) fn finish(&mut self) -> Turn {
        let Phase::Finish(finish) = &mut self.phase else {
            return Turn::Again;
        };
        if let Some(update) = finish.0.next() {
            self.tell(update);
            return Turn::Again;
        }
        if let Phase::Finish(finish) = std::mem::replace(&mut self.phase, Phase::Command) {
            let (_, mut reply) = *finish;
            match self.corrected_highest() {
                Some(highest) if reply.code.is_empty() && reply.status == "OK" => {
                    reply.code = format!("HIGHESTMODSEQ {highest}").into();
                }
                // `complete_expunge` has said it.
                Some(_) if reply.code.starts_with("HIGHESTMODSEQ") => {}
                Some(highest) => self.put_highest(highest),
                None => {}
            }
            self.reply_now(&reply);
        }
        Turn::Again
    }

    /// Says a tagged response without telling anything before it.
    pub(super) fn reply_now(&mut self, reply: &Reply) {
        let tag = self.tag.clone();
        self.tx.put(&tag);
        let mut out = self.out();
        out.raw(" ").raw(reply.status).raw(" ");
        if !reply.code.is_empty() {
            out.raw("[").raw(&reply.code).raw("] ");
        }
        out.text(&reply.text).raw("\r\n");
    }

    /// Refuses a command that is malformed, or not possible in this state.
    pub(super) fn bad(&mut self, text: &'static str) {
        self.bad_with("", text);
    }

    /// The same with a response code.
    pub(super) fn bad_with(&mut self, code: &'static str, text: &'static str) {
        let (first, rest) = text.split_at(1);
        let reply = Reply {
            status: "BAD",
            code: code.into(),
            text: format!("{}{rest}", first.to_ascii_uppercase()).into(),
        };
        self.reply_now(&reply);
        self.count_bad();
    }

    pub(super) fn count_bad(&mut self) {
        self.bad_commands += 1;
        if self.bad_commands >= self.config.max_bad_commands {
            self.fail(Error::TooManyBadCommands, "Too many bad commands");
        }
    }

    pub(super) fn no(&mut self, code: Option<Code>, text: &'static str) {
        self.reply_now(&Reply::no(code, text));
    }

    /// Prints one untagged update.
    pub(super) fn tell(&mut self, update: Update) {
        match update {
            Update::Flags {
                seq,
                uid,
                flags,
                mod_seq,
            } => {
                self.announce_keywords(&flags);
                let mod_seq = mod_seq.filter(|_| self.enabled.condstore);
                self.put_changed(seq, uid, true, Some(&flags), mod_seq);
            }
            Update::Vanished(uids) => self.put_vanished("* VANISHED ", &uids),
            Update::Expunge(seq) => self.tell_number(seq, "EXPUNGE"),
            Update::Exists(n) => self.tell_number(n, "EXISTS"),
            Update::Recent(n) => self.tell_number(n, "RECENT"),
        }
    }

    /// A set of UIDs may be long; no line is.
    pub(super) fn put_vanished(&mut self, start: &str, uids: &UidSet) {
        let ranges: Vec<_> = uids.ranges().collect();
        for ranges in ranges.chunks(MOST_RANGES) {
            let set = UidSet::from_ranges(ranges.iter().cloned());
            self.out().raw(start).uid_set(&set).raw("\r\n");
        }
    }

    pub(super) fn tell_number(&mut self, n: u32, what: &str) {
        self.out()
            .raw("* ")
            .number(u64::from(n))
            .raw(" ")
            .raw(what)
            .raw("\r\n");
    }

    /// Before flags hold a keyword the client has not heard of, FLAGS says that it exists (RFC 3501 §7.2.6).
    pub(super) fn announce_keywords(&mut self, flags: &Flags) {
        let State::Selected(selection) = &mut self.state else {
            return;
        };
        let known = selection.keywords.len();
        for flag in flags.iter() {
            if let Flag::Keyword(keyword) = flag
                && !selection.keywords.contains(&keyword)
            {
                selection.keywords.push(keyword);
            }
        }
        if selection.keywords.len() > known {
            self.put_flags();
        }
    }

    /// FLAGS and PERMANENTFLAGS of the selected mailbox.
    pub(super) fn put_flags(&mut self) {
        let State::Selected(selection) = &self.state else {
            return;
        };
        let mut out = Out::new(&mut self.tx);
        let system = ["\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"];
        let all = || {
            system
                .into_iter()
                .chain(selection.keywords.iter().map(crate::Keyword::as_str))
        };
        out.raw("* FLAGS (");
        out.joined(all(), |out, flag| {
            out.raw(flag);
        });
        out.raw(")\r\n* OK [PERMANENTFLAGS (");
        if !selection.read_only {
            let any = selection.new_keywords.then_some("\\*");
            out.joined(all().chain(any), |out, flag| {
                out.raw(flag);
            });
        }
        out.raw(")] Flags permitted\r\n");
    }
}

/// How many ranges of UIDs a line has at most: about 8,000 octets, what RFC 7162 §4 has clients send.
const MOST_RANGES: usize = 400;

/// What may be told at the end of FETCH, STORE and SEARCH.
pub(super) fn when(uid: bool) -> When {
    if uid { When::Anything } else { When::DuringFetch }
}
