//! From commands to questions (RFC 3501 §6)

use super::list::Listing;
use super::replies::when;
use super::search::Searching;
use super::{Phase, Reply, Server, State, Storing, Task, fetch};
use crate::codec::{Body, Command, tag_of};
use crate::data::StatusItem;
use crate::name::canonical;
use crate::{
    Capability, Code, Event, FetchItem, FetchRequest, Rejection, SequenceSet, StoreRequest, UidSet, When,
    decode_name,
};
use bytes::Bytes;

impl Server {
    /// Takes a complete command.
    pub(super) fn command(&mut self, frame: Bytes) {
        // An empty line before a tag is a slip of some clients, Apple's among them.
        if frame.trim_ascii().is_empty() {
            return;
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
            } => self.fetch_command(uid, &set, items, with_uid),
            Body::Store {
                uid,
                set,
                action,
                silent,
                flags,
            } => {
                let when = when(uid);
                let Some(uids) = self.resolve(&set, uid) else {
                    return;
                };
                if self.is_read_only() {
                    return self.no(Some(Code::NoPerm), "The mailbox is read-only");
                }
                if uids.is_empty() {
                    return self.complete(Reply::ok("Store completed"), when);
                }
                let task = Storing {
                    uid,
                    silent,
                    uids: uids.clone(),
                };
                let request = StoreRequest { uids, action, flags };
                self.ask(Event::Store(request), Task::Store(Box::new(task)));
            }
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
            Body::Enable(_) if self.offers(Capability::Enable) => {
                // Nothing that is offered has to be enabled; RFC 5161 §3.1 has what is not known ignored.
                self.out().raw("* ENABLED\r\n");
                self.complete(Reply::ok("Enable completed"), When::Anything);
            }
            Body::Select(name) => self.select(&name, false),
            Body::Examine(name) => self.select(&name, true),
            Body::Create { mailbox, special_use } => {
                if !special_use.is_empty() && !self.offers(Capability::CreateSpecialUse) {
                    return self.bad("CREATE takes no parameters");
                }
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
                    _ => self.ask(
                        Event::Create { mailbox, special_use },
                        Task::Simple("Create completed"),
                    ),
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
                    _ => self.ask(Event::Rename { from, to }, Task::Simple("Rename completed")),
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
                if items.contains(&StatusItem::Size) && !self.offers(Capability::StatusSize) {
                    return self.bad("a status item is not known");
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
            Body::Compress(algorithm) => self.compress_command(&algorithm),
            Body::Unauthenticate => self.unauthenticate(),
            Body::Quota(command) => self.quota_command(command),
            Body::Acl(command) => self.acl_command(command),
            Body::Metadata(command) => self.metadata_command(command),
            Body::Append { .. } => self.bad("The message must be a literal"),
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

    fn select(&mut self, name: &[u8], read_only: bool) {
        // RFC 3501 §6.3.1: whatever becomes of it, the mailbox that was selected no longer is.
        self.state = State::Authenticated;
        let Some(mailbox) = self.mailbox_name(name) else {
            return;
        };
        self.ask(Event::Select { mailbox, read_only }, Task::Select { read_only });
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
        self.ask(Event::Expunge { uids }, Task::Simple("Expunge completed"));
    }

    fn fetch_command(&mut self, uid: bool, set: &SequenceSet, items: Vec<FetchItem>, with_uid: bool) {
        let Some(uids) = self.resolve(set, uid) else {
            return;
        };
        if uids.is_empty() {
            return self.complete(Reply::ok("Fetch completed"), when(uid));
        }
        let sets_seen = |item: &FetchItem| matches!(item, FetchItem::Section(section) if !section.peek);
        let request = FetchRequest {
            mark_seen: !self.is_read_only() && items.iter().any(sets_seen),
            uids: uids.clone(),
            items,
        };
        let task = fetch::Fetching::new(uid, with_uid, uids);
        self.ask(Event::Fetch(request), Task::Fetch(Box::new(task)));
    }

    fn copy(&mut self, uid: bool, moving: bool, set: &SequenceSet, mailbox: &[u8]) {
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
        let resolved = self.view().map(|view| match uid {
            true => Ok(view.resolve_uids(set)),
            false => view.resolve(set),
        });
        if let Some(Ok(uids)) = resolved {
            return Some(uids);
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

    fn decoded(&self, wire: &[u8]) -> Option<String> {
        decode_name(wire).map(|name| canonical(name, self.config.delimiter))
    }
}

const BAD_NAME: &str = "The mailbox name is not valid modified UTF-7";
