//! How the embedder answers (RFC 3501 §6.3, §6.4, RFC 4315, RFC 6851)

use super::replies::when;
use super::{Phase, Reply, Selection, Server, State, Task};
use crate::{Capability, Code, CopyUid, Flags, Namespaces, Rejection, Selected, Status, UidSet, View, When};
use std::num::NonZeroU32;

impl Server {
    /// Says yes, or that an answer given row by row is complete.
    ///
    /// To [`Event::AppendEnd`](crate::Event::AppendEnd), COPY and MOVE it says yes without telling the UIDs.
    ///
    /// # Panics
    ///
    /// Panics if no answer is owed, or if a yes needs data: credentials, SELECT, STATUS, NAMESPACE.
    pub fn accept(&mut self) {
        match self.take_task() {
            Task::Simple(text) => self.complete(Reply::ok(text), When::Anything),
            Task::Close => {
                self.state = State::Authenticated;
                self.complete(Reply::ok("Closed"), When::Anything);
            }
            Task::List(listing) => self.finish_list(*listing),
            Task::AppendStart(appending) => self.accept_append(appending),
            Task::AppendEnd => self.complete(Reply::ok("Append completed"), When::Anything),
            Task::Search(searching) => self.finish_search(*searching),
            Task::Fetch(fetching) => self.finish_fetch(*fetching),
            Task::Store(storing) => {
                let reply = self.issued(storing.uid, &storing.uids, "Store completed");
                self.complete(reply, when(storing.uid));
            }
            Task::Copy { moving } => {
                let text = if moving {
                    "Move completed"
                } else {
                    "Copy completed"
                };
                self.complete(Reply::ok(text), When::Anything);
            }
            Task::Acl(task) => self.finish_acl(&task),
            Task::Metadata(task) => self.finish_metadata(&task),
            Task::Quota(_) | Task::Auth(_) | Task::Select { .. } | Task::Status(_) | Task::Namespace => {
                panic!("this question is not answered by a plain yes")
            }
        }
    }

    /// Says no. Rows that were given before stay said.
    ///
    /// # Panics
    ///
    /// Panics if no answer is owed, or if credentials were asked about.
    pub fn reject(&mut self, rejection: Rejection) {
        let missing = rejection.code == Some(Code::NonExistent);
        let mut reply = Reply::from(rejection);
        let try_create = |reply: &mut Reply| {
            if missing {
                *reply = Reply::no(Some(Code::TryCreate), "Mailbox does not exist");
            }
        };
        match self.take_task() {
            Task::Auth(_) => panic!("credentials are answered by answer_auth"),
            Task::AppendStart(appending) => {
                try_create(&mut reply);
                self.refuse_append(appending, &reply);
            }
            Task::AppendEnd | Task::Copy { .. } => {
                try_create(&mut reply);
                self.complete(reply, When::Anything);
            }
            Task::Search(searching) => {
                self.close_search(&searching);
                self.complete(reply, when(searching.uid));
            }
            Task::Fetch(mut fetching) => {
                if self.close_row(&mut fetching) {
                    self.complete(reply, when(fetching.uid));
                }
            }
            Task::Store(storing) => self.complete(reply, when(storing.uid)),
            Task::Metadata(task) => {
                self.close_metadata(&task);
                self.complete(reply, When::Anything);
            }
            _ => self.complete(reply, When::Anything),
        }
    }

    /// Answers [`Event::Select`](crate::Event::Select): the mailbox is open, and this is what it holds.
    ///
    /// # Panics
    ///
    /// Panics if that was not asked.
    pub fn selected(&mut self, selected: Selected) {
        let Task::Select { read_only } = self.take_task() else {
            panic!("no mailbox was to be selected")
        };
        let view = View::new(selected.uids, selected.first_recent);
        let unseen = selected.first_unseen.and_then(|uid| view.seq(uid));
        let (exists, recent) = (view.exists(), view.recent());
        let read_only = read_only || selected.read_only;
        self.state = State::Selected(Box::new(Selection {
            view,
            read_only,
            keywords: selected.keywords,
            new_keywords: selected.new_keywords,
        }));
        self.put_flags();
        self.tell_number(exists, "EXISTS");
        self.tell_number(recent, "RECENT");
        let mut out = self.out();
        if let Some(seq) = unseen {
            out.raw("* OK [UNSEEN ")
                .number(u64::from(seq))
                .raw("] First unseen\r\n");
        }
        let (validity, next) = (selected.uid_validity.get(), selected.uid_next.get());
        out.raw("* OK [UIDVALIDITY ")
            .number(u64::from(validity))
            .raw("] UIDs are valid\r\n");
        out.raw("* OK [UIDNEXT ")
            .number(u64::from(next))
            .raw("] Next UID\r\n");
        let code = if read_only { "READ-ONLY" } else { "READ-WRITE" };
        self.complete(Reply::ok_with(code, "Mailbox selected"), When::Anything);
    }

    /// Answers [`Event::Status`](crate::Event::Status). What was not asked for is left out.
    ///
    /// # Panics
    ///
    /// Panics if that was not asked.
    pub fn status(&mut self, status: &Status) {
        let Task::Status(asked) = self.take_task() else {
            panic!("no status was asked for")
        };
        self.out().status(&asked.0, &asked.1, status);
        self.complete(Reply::ok("Status completed"), When::Anything);
    }

    /// Answers [`Event::Namespace`](crate::Event::Namespace).
    ///
    /// # Panics
    ///
    /// Panics if that was not asked.
    pub fn namespaces(&mut self, namespaces: &Namespaces) {
        let Task::Namespace = self.take_task() else {
            panic!("no namespaces were asked for")
        };
        let delimiter = self.config.delimiter;
        let mut out = self.out();
        out.raw("* NAMESPACE ")
            .namespaces(&namespaces.personal, delimiter);
        out.raw(" ").namespaces(&namespaces.others, delimiter);
        out.raw(" ").namespaces(&namespaces.shared, delimiter).raw("\r\n");
        self.complete(Reply::ok("Namespace completed"), When::Anything);
    }

    /// Answers [`Event::AppendEnd`](crate::Event::AppendEnd): the message is stored, durably, under this UID.
    ///
    /// If it went to the selected mailbox, [`notify`](Server::notify) of it first.
    ///
    /// # Panics
    ///
    /// Panics if that was not asked.
    pub fn appended(&mut self, uid_validity: NonZeroU32, uid: NonZeroU32) {
        let Task::AppendEnd = self.take_task() else {
            panic!("no message was to be appended")
        };
        let reply = match self.offers(Capability::UidPlus) {
            true => Reply::ok_with(format!("APPENDUID {uid_validity} {uid}"), "Append completed"),
            false => Reply::ok("Append completed"),
        };
        self.complete(reply, When::Anything);
    }

    /// Answers [`Event::Copy`](crate::Event::Copy) and [`Event::Move`](crate::Event::Move): it is done, and the
    /// messages have these UIDs there. If no message was left to copy, [`accept`](Server::accept).
    ///
    /// # Panics
    ///
    /// Panics if that was not asked.
    pub fn copied(&mut self, copied: &CopyUid) {
        let Task::Copy { moving } = self.take_task() else {
            panic!("no messages were to be copied")
        };
        let offered = self.offers(Capability::UidPlus);
        let code = || format!("COPYUID {} {} {}", copied.uid_validity, copied.from, copied.to);
        let reply = match (moving, offered) {
            // RFC 6851 §4.3: the client must know where they went before it hears that they are gone.
            (true, true) => {
                self.out().raw("* OK [").raw(&code()).raw("] Moved\r\n");
                Reply::ok("Move completed")
            }
            (true, false) => Reply::ok("Move completed"),
            (false, true) => Reply::ok_with(code(), "Copy completed"),
            (false, false) => Reply::ok("Copy completed"),
        };
        self.complete(reply, When::Anything);
    }

    /// Tells the flags a message of [`Event::Store`](crate::Event::Store) has afterwards. If the client wants to
    /// hear nothing of its own change, nothing is said.
    ///
    /// Call it after you [`notify`](Server::notify) of all changes up to and with this one: it drops the notice
    /// of what the client asked for itself. A message the session does not know is left out.
    ///
    /// # Panics
    ///
    /// Panics if that was not asked.
    pub fn stored(&mut self, uid: u32, flags: &Flags) {
        let Phase::Asked(Task::Store(storing)) = &self.phase else {
            panic!("no flags were to be stored")
        };
        let (with_uid, silent) = (storing.uid, storing.silent);
        let State::Selected(selection) = &mut self.state else {
            return;
        };
        selection.view.known(uid, flags);
        let Some(seq) = selection.view.seq(uid).filter(|_| !silent) else {
            return;
        };
        let recent = selection.view.is_recent(uid);
        self.announce_keywords(flags);
        let mut out = self.out();
        out.raw("* ").number(u64::from(seq)).raw(" FETCH (");
        if with_uid {
            out.raw("UID ").number(u64::from(uid)).raw(" ");
        }
        out.raw("FLAGS ").flags(flags, recent).raw(")\r\n");
    }

    /// The OK of FETCH and STORE by sequence number; NO if some of the messages were gone (RFC 2180 §4.1.3,
    /// RFC 5530). UIDs without a message are no error (RFC 3501 §6.4.8).
    pub(super) fn issued(&self, uid: bool, asked: &UidSet, text: &'static str) -> Reply {
        match !uid && self.has_gone(asked) {
            true => Rejection::EXPUNGE_ISSUED.into(),
            false => Reply::ok(text),
        }
    }

    /// Whether some of these messages are gone, and the client does not know.
    pub(super) fn has_gone(&self, uids: &UidSet) -> bool {
        self.view()
            .is_some_and(|view| !view.expunged().intersection(uids).is_empty())
    }

    pub(super) fn take_task(&mut self) -> Task {
        match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Asked(task) => task,
            _ => panic!("no answer is owed"),
        }
    }
}
