//! How the embedder answers (RFC 3501 §6.3, §6.4, RFC 4315, RFC 6851)

use super::replies::when;
use super::{Phase, Reply, Server, State, Task};
use crate::{Capability, Code, CopyUid, Namespaces, ObjectId, Rejection, Status, StatusItem, UidSet, When};
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
            Task::Create => self.complete(Reply::ok("Create completed"), When::Anything),
            Task::Rename(names) => self.finish_rename(&names.0, &names.1),
            Task::Expunge => self.complete_expunge("Expunge completed"),
            Task::AppendStart(appending) => self.append_next(*appending),
            Task::AppendUrl(task) => self.append_next(task.0),
            Task::AppendEnd { replacing: false } => {
                self.complete(Reply::ok("Append completed"), When::Anything);
            }
            Task::AppendEnd { replacing: true } => self.complete_expunge("Replace completed"),
            Task::Search(searching) => self.finish_search(*searching),
            Task::Fetch(fetching) => self.finish_fetch(*fetching),
            Task::Store(storing) => self.finish_store(&storing),
            Task::Copy { moving: true } => self.complete_expunge("Move completed"),
            Task::Copy { moving: false } => self.complete(Reply::ok("Copy completed"), When::Anything),
            Task::Acl(task) => self.finish_acl(&task),
            Task::Metadata(task) => self.finish_metadata(&task),
            Task::Sort(sorting) => self.finish_sort(&sorting),
            Task::SearchIn(task) => self.finish_search_in(&task),
            Task::Notify(watches) => self.accept_notify(watches),
            Task::Thread(_)
            | Task::ApplePush(_)
            | Task::Quota(_)
            | Task::Auth(_)
            | Task::Select(_)
            | Task::Status(_)
            | Task::Namespace => {
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
        let bad_url = rejection.code == Some(Code::BadUrl);
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
                self.refuse_append(*appending, &reply);
            }
            Task::AppendUrl(task) => self.refuse_url(task.0, &task.1, bad_url, reply),
            Task::AppendEnd { .. } | Task::Copy { .. } => {
                try_create(&mut reply);
                self.complete(reply, When::Anything);
            }
            Task::Search(searching) => {
                self.refuse_search(&searching, reply);
            }
            Task::Fetch(fetching) => self.refuse_fetch(*fetching, reply),
            Task::Store(storing) => self.complete(reply, when(storing.uid)),
            Task::Sort(sorting) => self.refuse_sort(&sorting, reply),
            Task::Thread(task) => self.complete(reply, task.when),
            Task::Metadata(task) => {
                self.close_metadata(&task);
                self.complete(reply, When::Anything);
            }
            _ => self.complete(reply, When::Anything),
        }
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
        self.put_status(&asked.0, &asked.1, status);
        self.complete(Reply::ok("Status completed"), When::Anything);
    }

    /// Answers [`Event::Create`](crate::Event::Create) where mailboxes have identifiers (RFC 8474 §4.1).
    ///
    /// # Panics
    ///
    /// Panics if that was not asked.
    pub fn created(&mut self, mailbox_id: &ObjectId) {
        let Task::Create = self.take_task() else {
            panic!("no mailbox was to be created")
        };
        let mut reply = Reply::ok("Create completed");
        if self.offers(Capability::ObjectId) {
            reply = reply.with_code(format!("MAILBOXID ({mailbox_id})"));
        }
        self.complete(reply, When::Anything);
    }

    /// One STATUS line, with the limit of the server where the mailbox has none.
    pub(super) fn put_status(&mut self, name: &str, items: &[StatusItem], status: &Status) {
        let mut status = status.clone();
        status.append_limit.get_or_insert(self.config.max_append);
        self.out().status(name, items, &status);
    }

    /// RFC 9051 §6.3.6: a client of IMAP4rev2 hears the name that the server gave.
    fn finish_rename(&mut self, from: &str, to: &str) {
        if self.enabled.rev2 {
            let delimiter = self.config.delimiter;
            let mut out = self.out();
            out.raw("* LIST () ").delimiter(delimiter).raw(" ").mailbox(to);
            out.raw(" (\"OLDNAME\" (").mailbox(from).raw("))\r\n");
        }
        self.complete(Reply::ok("Rename completed"), When::Anything);
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

    /// Answers [`Event::AppendEnd`](crate::Event::AppendEnd): the messages are stored, durably, under these UIDs,
    /// in the order in which they came.
    ///
    /// If they went to the selected mailbox, or took the place of a message there, [`notify`](Server::notify) of
    /// that first.
    ///
    /// # Panics
    ///
    /// Panics if that was not asked.
    pub fn appended(&mut self, uid_validity: NonZeroU32, uids: impl Into<UidSet>) {
        let Task::AppendEnd { replacing } = self.take_task() else {
            panic!("no message was to be appended")
        };
        let offered = self.offers(Capability::UidPlus);
        let code = format!("APPENDUID {uid_validity} {}", uids.into());
        if replacing {
            // RFC 8508 §4.3: before the client hears that the old one is gone.
            if offered {
                self.out()
                    .raw("* OK [")
                    .raw(&code)
                    .raw("] Replacement stored\r\n");
            }
            return self.complete_expunge("Replace completed");
        }
        let reply = match offered {
            true => Reply::ok_with(code, "Append completed"),
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
        if moving {
            if offered {
                // RFC 6851 §4.3: the client must know where they went before it hears that they are gone.
                self.out().raw("* OK [").raw(&code()).raw("] Moved\r\n");
            }
            return self.complete_expunge("Move completed");
        }
        let reply = match offered {
            true => Reply::ok_with(code(), "Copy completed"),
            false => Reply::ok("Copy completed"),
        };
        self.complete(reply, When::Anything);
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
