//! A whole backend in memory: what an embedder of the engine writes, on three hundred lines.
//!
//! [`Backend`] holds the mail of one account and answers questions; [`Host`] ties it to the transcript runner.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::disallowed_methods,
    clippy::unwrap_used
)] // shared by tests that use a part each

mod extensions;
mod fetch;
mod host;

use bytes::Bytes;
use extensions::Annotations;
use fetch::{Fetching, matches};
pub use host::Host;
use mailwright_imap::{
    AppendRequest, BodyItem, Capabilities, Change, Code, Config, CopyUid, Criterion, DateTime, Event,
    FetchItem, FetchRequest, Flag, Flags, ListRow, Namespaces, ObjectId, Quota, Rejection, Rights,
    SearchRequest, SectionText, Selected, Server, SpecialUse, Status, StoreAction, StoreRequest, Transport,
    UidSet,
};
use mailwright_message::Index;
use mailwright_sasl::{Answer, Question, Secret};
use mailwright_wire::testing::{Fixture, Seen};
use mailwright_wire::{Machine, Step};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

pub struct Mail {
    pub uid: u32,
    pub flags: Flags,
    pub date: DateTime,
    pub octets: Bytes,
    pub index: Index,
    pub mod_seq: u64,
}

impl Mail {
    pub fn new(uid: u32, flags: &str, octets: impl Into<Bytes>) -> Self {
        let octets = octets.into();
        Self {
            uid,
            flags: parse_flags(flags),
            date: DateTime::parse(b"17-Jul-1996 02:44:25 -0700").unwrap(),
            index: Index::of(&octets),
            octets,
            mod_seq: 1,
        }
    }
}

pub struct Mailbox {
    pub name: String,
    pub uid_next: u32,
    pub mails: Vec<Mail>,
    pub subscribed: bool,
    pub special_use: Vec<SpecialUse>,
    pub first_recent: Option<u32>,
    pub acl: Vec<(String, Rights)>,
    pub metadata: Annotations,
    /// The highest mod-sequence; 0 for a mailbox without.
    pub highest: u64,
    /// What is gone, and since when; `None` for a mailbox that forgets.
    pub gone: Option<Vec<(u32, u64)>>,
    pub id: String,
}

impl Mailbox {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            uid_next: 1,
            mails: vec![],
            subscribed: true,
            special_use: vec![],
            first_recent: None,
            acl: vec![("Fred".into(), Rights::ALL)],
            metadata: Annotations::new(),
            highest: 1,
            gone: Some(vec![]),
            id: format!("F{name}").replace(|c: char| !c.is_ascii_alphanumeric(), "-"),
        }
    }

    fn next_mod_seq(&mut self) -> u64 {
        self.highest += u64::from(self.highest > 0);
        self.highest
    }

    fn remove(&mut self, uids: &UidSet) {
        if self.mails.iter().any(|m| uids.contains(m.uid)) {
            let mod_seq = self.next_mod_seq();
            for mail in self.mails.extract_if(.., |m| uids.contains(m.uid)) {
                if let Some(gone) = &mut self.gone {
                    gone.push((mail.uid, mod_seq));
                }
            }
        }
    }

    pub fn with_mails(mut self, mails: Vec<Mail>) -> Self {
        self.uid_next = mails.last().map_or(1, |m| m.uid + 1);
        self.mails = mails;
        self
    }

    fn add(&mut self, flags: Flags, date: DateTime, octets: Bytes) -> u32 {
        let mod_seq = self.next_mod_seq();
        let uid = self.uid_next;
        self.uid_next += 1;
        self.mails.push(Mail {
            uid,
            flags,
            date,
            index: Index::of(&octets),
            octets,
            mod_seq,
        });
        uid
    }

    fn deleted(&self) -> UidSet {
        let deleted = |m: &&Mail| m.flags.contains(&Flag::Deleted);
        self.mails.iter().filter(deleted).map(|m| m.uid).collect()
    }

    fn uids(&self) -> UidSet {
        self.mails.iter().map(|m| m.uid).collect()
    }

    fn status(&self) -> Status {
        let count = |f: &dyn Fn(&Mail) -> bool| Some(self.mails.iter().filter(|m| f(m)).count() as u32);
        let mut status = Status::default();
        status.messages = count(&|_| true);
        status.uid_next = NonZeroU32::new(self.uid_next);
        status.uid_validity = Some(VALIDITY);
        status.unseen = count(&|m| !m.flags.contains(&Flag::Seen));
        status.deleted = count(&|m| m.flags.contains(&Flag::Deleted));
        status.size = Some(self.mails.iter().map(|m| m.octets.len() as u64).sum());
        let deleted = self.mails.iter().filter(|m| m.flags.contains(&Flag::Deleted));
        status.deleted_storage = Some(deleted.map(|m| m.octets.len() as u64).sum());
        status.highest_mod_seq = Some(self.highest).filter(|n| *n > 0);
        status.mailbox_id = ObjectId::new(self.id.clone());
        status
    }
}

/// The mail of one account, and the session's place in it.
pub struct Backend {
    pub mailboxes: Vec<Mailbox>,
    pub selected: Option<String>,
    question: Option<Event>,
    /// The messages of an APPEND so far.
    upload: Vec<(AppendRequest, Vec<u8>)>,
    fetching: Option<Fetching>,
    /// Sections above this size are streamed in pieces of that size.
    pub piece: usize,
    /// The largest output that was pending at any time.
    pub peak_output: usize,
    pub metadata: Annotations,
    pub quota: Vec<Quota>,
    /// Every password is the right one.
    pub is_open: bool,
}

impl Backend {
    pub fn new(mailboxes: Vec<Mailbox>) -> Self {
        Self {
            mailboxes,
            selected: None,
            question: None,
            upload: vec![],
            fetching: None,
            piece: 4096,
            peak_output: 0,
            metadata: Annotations::new(),
            quota: extensions::sample_quota(),
            is_open: false,
        }
    }

    pub fn mailbox(&mut self, name: &str) -> Option<&mut Mailbox> {
        self.mailboxes.iter_mut().find(|m| m.name == name)
    }

    fn current(&mut self) -> &mut Mailbox {
        let name = self.selected.clone().expect("a mailbox is selected");
        self.mailbox(&name).expect("the selected mailbox exists")
    }

    /// Takes an event; a question is answered later, by [`Backend::answer`].
    pub fn event(&mut self, event: Event) {
        match event {
            Event::AppendData(data) => {
                let last = self.upload.last_mut().expect("a message was announced");
                last.1.extend_from_slice(&data);
            }
            Event::AppendAborted => self.upload.clear(),
            Event::Authenticated(_) | Event::Id(_) | Event::Idle => {}
            Event::Unauthenticated => self.selected = None,
            question => {
                if let Event::Append(head) | Event::AppendNext(head) = &question {
                    self.upload.push((head.clone(), vec![]));
                }
                self.question = Some(question);
            }
        }
    }

    /// Answers the question that is open, or goes on with a long answer.
    pub fn answer(&mut self, server: &mut Server) {
        let Some(question) = self.question.take() else {
            return self.go_on_fetching(server);
        };
        match question {
            Event::Auth(Question::Password {
                username, password, ..
            }) => {
                let accounts = [("user", "pass"), ("mrc", "secret")];
                let good = accounts
                    .iter()
                    .any(|&(u, p)| username == u && password == Secret::from(p));
                server.answer_auth(if good || self.is_open {
                    Answer::Accept
                } else {
                    Answer::Deny
                });
            }
            Event::Auth(_) => server.answer_auth(Answer::Deny),
            Event::Select { mailbox, .. } => self.select(server, &mailbox),
            Event::Create { mailbox, special_use } => match self.mailbox(&mailbox) {
                Some(_) => server.reject(Rejection::ALREADY_EXISTS),
                None => {
                    let mut new = Mailbox::new(&mailbox);
                    new.special_use = special_use;
                    new.subscribed = false;
                    server.created(&ObjectId::new(new.id.clone()).unwrap());
                    self.mailboxes.push(new);
                }
            },
            Event::Delete { mailbox } => {
                let found = self.mailbox(&mailbox).is_some();
                self.mailboxes.retain(|m| m.name != mailbox);
                self.yes_if(server, found);
            }
            Event::Rename { from, to } => {
                let found = self.mailbox(&from).is_some();
                let below = format!("{from}/");
                for mailbox in &mut self.mailboxes {
                    if mailbox.name == from || mailbox.name.starts_with(&below) {
                        mailbox.name.replace_range(..from.len(), &to);
                    }
                }
                self.yes_if(server, found);
            }
            Event::Subscribe { mailbox } => {
                let found = self.mailbox(&mailbox).map(|m| m.subscribed = true).is_some();
                self.yes_if(server, found);
            }
            Event::Unsubscribe { mailbox } => {
                let found = self.mailbox(&mailbox).map(|m| m.subscribed = false).is_some();
                self.yes_if(server, found);
            }
            Event::List(request) => {
                self.mailboxes.sort_by(|a, b| a.name.cmp(&b.name));
                for mailbox in &self.mailboxes {
                    let below = format!("{}/", mailbox.name);
                    let mut row = ListRow::new(&mailbox.name);
                    row.subscribed = mailbox.subscribed;
                    row.special_use = &mailbox.special_use;
                    row.children = Some(self.mailboxes.iter().any(|m| m.name.starts_with(&below)));
                    if server.list(&row) {
                        if !request.status.is_empty() {
                            server.list_status(&mailbox.name, &mailbox.status());
                        }
                        server.list_my_rights(&mailbox.name, Rights::ALL);
                        server.list_metadata(&mailbox.name, |entry| mailbox.metadata.get(entry).cloned());
                    }
                }
                server.accept();
            }
            Event::Status { mailbox, .. } => match self.mailbox(&mailbox) {
                Some(mailbox) => server.status(&mailbox.status()),
                None => server.reject(Rejection::NO_SUCH_MAILBOX),
            },
            Event::Append(head) | Event::AppendNext(head) => {
                let found = self.mailbox(&head.mailbox).is_some();
                if !found {
                    self.upload.clear();
                }
                self.yes_if(server, found);
            }
            // As in RFC 4469: the URL of a message, or of a section of one.
            Event::AppendUrl(url) => match self.resolve(&url) {
                Some(octets) => {
                    let last = self.upload.last_mut().expect("a message was announced");
                    last.1.extend_from_slice(&octets);
                    server.accept();
                }
                None => server.reject(Rejection::new(Some(Code::BadUrl), "The URL leads nowhere")),
            },
            Event::AppendEnd => self.append(server),
            Event::Noop => server.accept(),
            Event::Close { expunge } => {
                if expunge {
                    let doomed = self.current().deleted();
                    self.current().remove(&doomed);
                }
                self.selected = None;
                server.accept();
            }
            Event::Expunge { uids } => {
                let mailbox = self.current();
                let mut gone = mailbox.deleted();
                if let Some(uids) = uids {
                    gone = gone.intersection(&uids);
                }
                mailbox.remove(&gone);
                server.notify(Change::Expunged(gone));
                server.notify(Change::UpTo(mailbox.highest));
                server.accept();
            }
            Event::Search(SearchRequest {
                criterion, mod_seqs, ..
            }) => {
                for mail in &self.current().mails {
                    match matches(&criterion, mail) {
                        true if mod_seqs => server.search_mod_seqs(&[(mail.uid, mail.mod_seq)]),
                        true => server.search(&[mail.uid]),
                        false => {}
                    }
                }
                server.accept();
            }
            Event::Fetch(request) => self.fetch(server, request),
            Event::Store(request) => self.store(server, &request),
            Event::Copy { uids, mailbox } => self.copy(server, &uids, &mailbox, false),
            Event::Move { uids, mailbox } => self.copy(server, &uids, &mailbox, true),
            Event::Namespace => server.namespaces(&Namespaces::default()),
            other => extensions::answer(self, server, other),
        }
    }

    fn yes_if(&self, server: &mut Server, yes: bool) {
        if yes {
            server.accept();
        } else {
            server.reject(Rejection::NO_SUCH_MAILBOX);
        }
    }

    fn select(&mut self, server: &mut Server, name: &str) {
        self.selected = None;
        let Some(mailbox) = self.mailbox(name) else {
            return server.reject(Rejection::NO_SUCH_MAILBOX);
        };
        let uid_next = NonZeroU32::new(mailbox.uid_next).unwrap();
        let mut selected = Selected::new(mailbox.uids(), VALIDITY, uid_next);
        selected.first_unseen = mailbox
            .mails
            .iter()
            .find(|m| !m.flags.contains(&Flag::Seen))
            .map(|m| m.uid);
        selected.first_recent = mailbox.first_recent;
        selected.highest_mod_seq = Some(mailbox.highest).filter(|n| *n > 0);
        selected.mailbox_id = ObjectId::new(mailbox.id.clone());
        self.selected = Some(name.into());
        server.selected(selected);
    }

    fn append(&mut self, server: &mut Server) {
        let (mut uids, mut to) = (UidSet::new(), String::new());
        for (head, octets) in std::mem::take(&mut self.upload) {
            assert!(head.size.is_none_or(|size| size == octets.len() as u64));
            let date = head.internal_date.unwrap_or(DateTime::new(0, 0));
            let mailbox = self
                .mailbox(&head.mailbox)
                .expect("it was there when the message was announced");
            uids.insert(mailbox.add(head.flags, date, octets.into()));
            to.clone_from(&head.mailbox);
            if let Some(old) = head.replaces {
                self.current().remove(&UidSet::from(old..=old));
                server.notify(Change::Expunged(UidSet::from(old..=old)));
            }
        }
        if self.selected.as_ref() == Some(&to) {
            server.notify(Change::Appended(uids.clone()));
        }
        if self.selected.is_some() {
            server.notify(Change::UpTo(self.current().highest));
        }
        server.appended(VALIDITY, uids);
    }

    /// `/mailbox/;UID=5` and `/mailbox;UIDVALIDITY=1/;uid=5/;section=1`, of which all but HEADER is the body.
    fn resolve(&mut self, url: &str) -> Option<Bytes> {
        let (mailbox, rest) = url.strip_prefix('/')?.split_once("/;")?;
        let mailbox = mailbox.split(';').next()?.to_owned();
        let mut parts = rest.split("/;").map(|part| part.split_once('='));
        let (_, uid) = parts.next()??;
        let uid: u32 = uid.parse().ok()?;
        let mail = self.mailbox(&mailbox)?.mails.iter().find(|m| m.uid == uid)?;
        let body = mail.index.root().body().start as usize;
        Some(match parts.next() {
            None => mail.octets.clone(),
            Some(Some((_, "HEADER"))) => mail.octets.slice(..body),
            Some(_) => mail.octets.slice(body..),
        })
    }

    fn store(&mut self, server: &mut Server, request: &StoreRequest) {
        let mailbox = self.current();
        let mut modified = UidSet::new();
        let mut mod_seq = None;
        for at in 0..mailbox.mails.len() {
            let mail = &mailbox.mails[at];
            if !request.uids.contains(mail.uid) {
                continue;
            }
            if request.unchanged_since.is_some_and(|since| mail.mod_seq > since) {
                modified.insert(mail.uid);
                continue;
            }
            let mod_seq = *mod_seq.get_or_insert_with(|| mailbox.next_mod_seq());
            let mail = &mut mailbox.mails[at];
            match request.action {
                StoreAction::Replace => mail.flags = request.flags.clone(),
                StoreAction::Add => mail.flags.extend(request.flags.iter()),
                StoreAction::Remove => {
                    mail.flags = mail.flags.iter().filter(|f| !request.flags.contains(f)).collect();
                }
            }
            mail.mod_seq = mod_seq;
            // A change feed would report this, too; the answer makes it unnecessary.
            server.notify(Change::Flags {
                uid: mail.uid,
                flags: mail.flags.clone(),
                mod_seq: Some(mod_seq).filter(|n| *n > 0),
            });
            server.stored(mail.uid, &mail.flags, Some(mod_seq).filter(|n| *n > 0));
        }
        server.not_stored(&modified);
        server.notify(Change::UpTo(mailbox.highest));
        server.accept();
    }

    fn copy(&mut self, server: &mut Server, uids: &UidSet, to: &str, moving: bool) {
        let picked: Vec<_> = self
            .current()
            .mails
            .iter()
            .filter(|m| uids.contains(m.uid))
            .map(|m| (m.uid, m.flags.clone(), m.date, m.octets.clone()))
            .collect();
        let Some(target) = self.mailbox(to) else {
            return server.reject(Rejection::NO_SUCH_MAILBOX);
        };
        let from: UidSet = picked.iter().map(|m| m.0).collect();
        let new: UidSet = picked
            .into_iter()
            .map(|(_, f, d, o)| target.add(f, d, o))
            .collect();
        if moving {
            self.current().remove(&from);
            server.notify(Change::Expunged(from.clone()));
        }
        server.notify(Change::UpTo(self.current().highest));
        if self.selected.as_deref() == Some(to) {
            server.notify(Change::Appended(new.clone()));
        }
        match CopyUid::new(VALIDITY, from, new) {
            Some(copied) => server.copied(&copied),
            None => server.accept(),
        }
    }
}

/// The message of RFC 3501 §8: its header has the 342 octets, its body the 3028 octets and 92 lines told there.
pub fn gray_message() -> Bytes {
    let header = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n\
        From: Terry Gray <gray@cac.washington.edu>\r\n\
        Subject: IMAP4rev1 WG mtg summary and minutes\r\n\
        To: imap@cac.washington.edu\r\n\
        cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n\
        Message-Id: <B27397-0100000@cac.washington.edu>\r\n\
        MIME-Version: 1.0\r\n\
        Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n";
    let mut text = header.to_owned();
    for _ in 0..91 {
        text.push_str("The minutes of the meeting are:\r\n");
    }
    text.push_str("End of the minutes now.\r\n");
    text.into()
}

/// Eighteen messages as in RFC 3501 §8, with UIDs from 101 on: the last two recent and unseen.
pub fn sample_account() -> Vec<Mailbox> {
    let mail = |n: u32| {
        let flags = if n < 17 { "\\Seen" } else { "" };
        match n {
            12 => Mail::new(100 + n, flags, gray_message()),
            _ => Mail::new(
                100 + n,
                flags,
                format!("From: <from{n}@a.example>\r\nSubject: subject {n}\r\n\r\nbody {n}\r\n"),
            ),
        }
    };
    let mut inbox = Mailbox::new("INBOX").with_mails((1..=18).map(mail).collect());
    inbox.first_recent = Some(117);
    let mut sent = Mailbox::new("Sent");
    sent.special_use = vec![SpecialUse::Sent];
    let mut all = vec![inbox, sent];
    all.extend(["Archive", "Archive/2024", "Archive/2025", "Entwürfe & mehr"].map(Mailbox::new));
    all[2].subscribed = false;
    all
}

pub const VALIDITY: NonZeroU32 = NonZeroU32::new(3_857_529_045).unwrap();

pub fn parse_flags(text: &str) -> Flags {
    text.split_whitespace().filter_map(Flag::parse).collect()
}
