//! From commands to questions (RFC 3501 §6)

use super::list::Listing;
use super::search::Searching;
use super::{Phase, Reply, Server, State, Task};
use crate::codec::{AppendHead, Body, Command, tag_of};
use crate::data::{SpecialUse, StatusItem};
use crate::name::{canonical, utf8_name};
use crate::{Capability, Code, Event, Rejection, SequenceSet, UidSet, When, decode_name};
use bytes::Bytes;

impl Server {
    /// Takes a complete command.
    pub(super) fn command(&mut self, frame: Bytes) {
        // An empty line before a tag is a slip of some clients, Apple's among them.
        if frame.trim_ascii().is_empty() {
            return;
        }
        if !matches!(self.state, State::NotAuthenticated)
            && let Ok(Some(head)) = AppendHead::parse(&frame, false)
        {
            return self.append(head, None);
        }
        match Command::parse(&frame, self.config.max_depth) {
            Ok(command) => {
                // A slice would keep all of the buffer that it was read into, for as long as the session is idle.
                self.tag = Bytes::copy_from_slice(&command.tag);
                let known = self.bad_commands;
                self.dispatch(command.body);
                if self.bad_commands == known {
                    self.bad_commands = 0;
                }
            }
            Err(error) => {
                self.tag = tag_of(&frame).unwrap_or_else(|| Bytes::from_static(b"*"));
                self.bad(error.reason);
            }
        }
    }

    fn dispatch(&mut self, body: Body) {
        match body {
            Body::Capability => {
                self.out().raw("* CAPABILITY");
                self.put_capabilities();
                self.out().raw("\r\n");
                self.complete(Reply::ok("Capability completed"), When::Anything);
            }
            Body::Logout => {
                self.out().raw("* BYE Logging out\r\n");
                self.reply_now(&Reply::ok("Logout completed"));
                self.phase = Phase::Closing;
            }
            Body::Id(fields) if self.offers(Capability::Id) => self.id(fields),
            Body::Noop if !self.is_selected() => self.reply_now(&Reply::ok("Noop completed")),
            body => match self.state {
                State::NotAuthenticated => self.not_authenticated(body),
                State::Authenticated => self.authenticated_command(body),
                State::Selected(_) => self.selected_command(body),
            },
        }
    }

    fn not_authenticated(&mut self, body: Body) {
        match body {
            Body::StartTls => self.starttls(),
            Body::Login { username, password } => self.login(&username, password.as_bytes()),
            Body::Authenticate { mechanism, initial } => self.authenticate(&mechanism, initial),
            _ => self.bad("Log in first"),
        }
    }

    fn selected_command(&mut self, body: Body) {
        match body {
            Body::Noop => self.ask(Event::Noop, Task::Simple("Noop completed")),
            Body::Check => self.ask(Event::Noop, Task::Simple("Check completed")),
            Body::Close => {
                let expunge = !self.is_read_only();
                self.ask(Event::Close { expunge }, Task::Close);
            }
            Body::Unselect if self.offers(Capability::Unselect) => {
                self.ask(Event::Close { expunge: false }, Task::Close);
            }
            Body::Expunge(set) => self.expunge(set),
            Body::Search {
                uid,
                returns,
                charset,
                keys,
            } => self.search_command(uid, returns, charset, &keys),
            Body::Fetch {
                uid,
                set,
                items,
                with_uid,
                modifiers,
            } => self.fetch_command(uid, &set, items, with_uid, &modifiers),
            Body::Store {
                uid,
                set,
                action,
                silent,
                flags,
                unchanged_since,
            } => self.store_command(uid, &set, silent, (action, flags), unchanged_since),
            Body::Copy {
                uid,
                moving,
                set,
                mailbox,
            } if !moving || self.offers(Capability::Move) => {
                self.copy(uid, moving, &set, &mailbox);
            }
            body => self.authenticated_command(body),
        }
    }

    fn authenticated_command(&mut self, body: Body) {
        match body {
            Body::Enable(names) if self.offers(Capability::Enable) => self.enable(&names),
            Body::Select {
                mailbox,
                read_only,
                condstore,
                resync,
            } => self.select(&mailbox, read_only, condstore, resync),
            Body::Create { mailbox, special_use } => {
                if !special_use.is_empty() && !self.offers(Capability::CreateSpecialUse) {
                    return self.bad("CREATE takes no parameters");
                }
                // RFC 6154 §3: a use that is not supported is no syntax error.
                let known = |name: &Bytes| str::from_utf8(name).ok().and_then(SpecialUse::parse);
                let Some(special_use) = special_use.iter().map(known).collect() else {
                    return self.no(Some(Code::UseAttr), "A special use is not known");
                };
                let Some(mut mailbox) = self.mailbox_name(&mailbox) else {
                    return;
                };
                // RFC 3501 §6.3.3: a trailing delimiter says only that children are intended.
                if mailbox.ends_with(self.config.delimiter) {
                    mailbox.pop();
                }
                match mailbox.as_str() {
                    "" => self.no(Some(Code::Cannot), "A mailbox needs a name"),
                    "INBOX" => self.no(Some(Code::AlreadyExists), "INBOX always exists"),
                    _ => self.ask(Event::Create { mailbox, special_use }, Task::Create),
                }
            }
            Body::Delete(name) => {
                let Some(mailbox) = self.mailbox_name(&name) else {
                    return;
                };
                if mailbox == "INBOX" {
                    return self.no(Some(Code::Cannot), "INBOX cannot be deleted");
                }
                self.ask(Event::Delete { mailbox }, Task::Simple("Delete completed"));
            }
            Body::Rename { from, to } => {
                let (Some(from), Some(to)) = (self.decoded(&from), self.decoded(&to)) else {
                    return self.no(Some(Code::Cannot), BAD_NAME);
                };
                match to.as_str() {
                    "" => self.no(Some(Code::Cannot), "A mailbox needs a name"),
                    "INBOX" => self.no(Some(Code::AlreadyExists), "INBOX always exists"),
                    _ => {
                        let task = Task::Rename(Box::new((from.clone(), to.clone())));
                        self.ask(Event::Rename { from, to }, task);
                    }
                }
            }
            Body::Subscribe(name) => {
                let Some(mailbox) = self.mailbox_name(&name) else {
                    return;
                };
                self.ask(Event::Subscribe { mailbox }, Task::Simple("Subscribe completed"));
            }
            Body::Unsubscribe(name) => {
                let Some(mailbox) = self.mailbox_name(&name) else {
                    return;
                };
                self.ask(
                    Event::Unsubscribe { mailbox },
                    Task::Simple("Unsubscribe completed"),
                );
            }
            Body::List {
                reference,
                patterns,
                options,
            } => {
                let extended = options.is_some();
                if extended && !self.offers(Capability::ListExtended) {
                    return self.bad("LIST takes no options");
                }
                self.list_command(&reference, &patterns, |delimiter| {
                    Listing::list(options, delimiter)
                });
            }
            Body::Lsub { reference, pattern } => {
                self.list_command(&reference, &[pattern], Listing::lsub);
            }
            Body::Status { mailbox, items } => {
                let Some(mailbox) = self.mailbox_name(&mailbox) else {
                    return;
                };
                if !self.may_ask_status(&items) {
                    return;
                }
                if items.contains(&StatusItem::DeletedStorage) && !self.offers(Capability::Quota) {
                    return self.bad("a status item is not known");
                }
                let task = Task::Status(Box::new((mailbox.clone(), items.clone())));
                self.ask(Event::Status { mailbox, items }, task);
            }
            Body::Namespace if self.offers(Capability::Namespace) => {
                self.ask(Event::Namespace, Task::Namespace);
            }
            Body::Idle if self.offers(Capability::Idle) => {
                self.out().raw("+ idling\r\n");
                self.phase = Phase::Idle(Default::default());
                self.events.push_back(Event::Idle);
            }
            Body::Sort(command) if self.is_selected() => self.sort_command(command),
            Body::Thread(command) if self.is_selected() => self.thread_command(command),
            Body::SearchIn(command) => self.search_in_command(command),
            Body::Notify(command) => self.notify_command(command),
            Body::ApplePush(command) => self.apple_push_command(command),
            Body::Compress(algorithm) => self.compress_command(&algorithm),
            Body::Unauthenticate => self.unauthenticate(),
            Body::Quota(command) => self.quota_command(command),
            Body::Acl(command) => self.acl_command(command),
            Body::Metadata(command) => self.metadata_command(command),
            Body::Append { .. } | Body::Replace { .. } => self.bad("The message must be a literal"),
            Body::StartTls | Body::Login { .. } | Body::Authenticate { .. } => self.bad("Already logged in"),
            Body::Enable(_) | Body::Namespace | Body::Idle | Body::Id(_) => {
                self.bad("the command is not known");
            }
            Body::Unselect | Body::Copy { moving: true, .. } if self.is_selected() => {
                self.bad("the command is not known");
            }
            _ => self.bad("Select a mailbox first"),
        }
    }

    pub(super) fn ask(&mut self, event: Event, task: Task) {
        self.events.push_back(event);
        self.phase = Phase::Asked(task);
    }

    fn id(&mut self, fields: Vec<(Bytes, Option<Bytes>)>) {
        let lossy = |text: Bytes| String::from_utf8_lossy(&text).into_owned();
        let fields = fields
            .into_iter()
            .map(|(name, value)| (lossy(name), value.map(lossy)));
        self.events.push_back(Event::Id(fields.collect()));
        let config = self.config.clone();
        let mut out = self.out();
        if config.id.is_empty() {
            out.raw("* ID NIL\r\n");
        } else {
            out.raw("* ID (");
            out.joined(&config.id, |out, (name, value)| {
                out.string(name.as_bytes()).raw(" ").string(value.as_bytes());
            });
            out.raw(")\r\n");
        }
        self.complete(Reply::ok("ID completed"), When::Anything);
    }

    fn expunge(&mut self, set: Option<SequenceSet>) {
        let mut uids = None;
        if let Some(set) = set {
            if !self.offers(Capability::UidPlus) {
                return self.bad("the command is not known");
            }
            uids = self.resolve(&set, true);
        }
        if self.is_read_only() {
            return self.no(Some(Code::NoPerm), "The mailbox is read-only");
        }
        if uids.as_ref().is_some_and(UidSet::is_empty) {
            return self.complete(Reply::ok("Expunge completed"), When::Anything);
        }
        self.ask(Event::Expunge { uids }, Task::Expunge);
    }

    fn copy(&mut self, uid: bool, moving: bool, set: &SequenceSet, mailbox: &[u8]) {
        if !self.may_number(uid) {
            return;
        }
        let Some(uids) = self.resolve(set, uid) else {
            return;
        };
        let Some(mailbox) = self.mailbox_name(mailbox) else {
            return;
        };
        if moving && self.is_read_only() {
            return self.no(Some(Code::NoPerm), "The mailbox is read-only");
        }
        // COPY is all or nothing: not if some of the messages are known to be gone (RFC 2180 §4.4).
        if !uid && self.has_gone(&uids) {
            return self.complete(Rejection::EXPUNGE_ISSUED.into(), When::Anything);
        }
        if uids.is_empty() {
            let text = if moving {
                "Nothing to move"
            } else {
                "Nothing to copy"
            };
            return self.complete(Reply::ok(text), When::Anything);
        }
        let event = match moving {
            true => Event::Move { uids, mailbox },
            false => Event::Copy { uids, mailbox },
        };
        self.ask(event, Task::Copy { moving });
    }

    pub(super) fn search_task(&mut self, event: Event, task: Searching) {
        self.ask(event, Task::Search(Box::new(task)));
    }

    fn is_selected(&self) -> bool {
        matches!(self.state, State::Selected(_))
    }

    /// The messages a set names; `None` if it was refused.
    pub(super) fn resolve(&mut self, set: &SequenceSet, uid: bool) -> Option<UidSet> {
        if let State::Selected(selection) = &self.state {
            let view = &selection.view;
            let resolved = match (set.is_saved(), uid) {
                (true, _) => Ok(view.told(&selection.saved)),
                (false, true) => Ok(view.resolve_uids(set)),
                (false, false) => view.resolve(set),
            };
            if let Ok(uids) = resolved {
                return Some(uids);
            }
        }
        self.bad("There is no message with that number");
        None
    }

    /// A mailbox name in UTF-8; `None` if it was refused.
    pub(super) fn mailbox_name(&mut self, wire: &[u8]) -> Option<String> {
        let name = self.decoded(wire);
        if name.is_none() {
            self.no(Some(Code::Cannot), BAD_NAME);
        }
        name
    }

    pub(super) fn decoded(&self, wire: &[u8]) -> Option<String> {
        let name = match self.uses_utf8() {
            true => utf8_name(wire),
            false => decode_name(wire),
        };
        name.map(|name| canonical(name, self.config.delimiter))
    }

    /// Whether all these items are offered; if not the client has been told.
    pub(super) fn may_ask_status(&mut self, items: &[StatusItem]) -> bool {
        let known = |item: &StatusItem| match item {
            StatusItem::Size => self.offers(Capability::StatusSize) || self.enabled.rev2,
            StatusItem::HighestModSeq => self.offers_mod_seqs(),
            StatusItem::MailboxId => self.offers(Capability::ObjectId),
            StatusItem::AppendLimit => self.offers(Capability::AppendLimit),
            _ => true,
        };
        if !items.iter().all(known) {
            self.bad("a status item is not known");
            return false;
        }
        if items.contains(&StatusItem::HighestModSeq) {
            self.enable_mod_seqs();
        }
        true
    }
}

const BAD_NAME: &str = "The mailbox name is not valid";
