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

use bytes::Bytes;
use extensions::Annotations;
use mailwright_imap::{
    AppendRequest, BodyItem, Capabilities, Change, Code, Config, CopyUid, Criterion, DateTime, Event,
    FetchItem, FetchRequest, Flag, Flags, ListRow, Namespaces, ObjectId, Quota, Rejection, Rights,
    SearchRequest, SectionText, Selected, Server, SpecialUse, Status, StoreAction, StoreRequest, Transport,
    UidSet,
};
use mailwright_message::Index;
use mailwright_sasl::{Answer, Question, Secret};
use mailwright_wire::testing::{Fixture, Seen};
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
}

/// A FETCH under way: messages, and the section that is being streamed.
struct Fetching {
    request: FetchRequest,
    todo: Vec<u32>,
    items: Vec<FetchItem>,
    stream: Option<Bytes>,
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
                server.answer_auth(if good { Answer::Accept } else { Answer::Deny });
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

    fn fetch(&mut self, server: &mut Server, request: FetchRequest) {
        let mut todo: Vec<u32> = Vec::new();
        let since = request.changed_since.unwrap_or(0);
        for mail in &self.current().mails {
            if request.uids.contains(mail.uid) && (since == 0 || mail.mod_seq > since) {
                todo.insert(0, mail.uid);
            }
        }
        if let (Some(_), Some(gone)) = (&request.vanished, &self.current().gone) {
            let gone = gone.iter().filter(|(_, at)| *at > since).map(|(uid, _)| *uid);
            server.vanished(&gone.collect());
        }
        self.fetching = Some(Fetching {
            request,
            todo,
            items: vec![],
            stream: None,
        });
        self.go_on_fetching(server);
    }

    fn go_on_fetching(&mut self, server: &mut Server) {
        let mut fetching = self.fetching.take().expect("a FETCH is being answered");
        while server.has_room() {
            if let Some(rest) = &mut fetching.stream {
                let piece = rest.split_to(rest.len().min(self.piece));
                if server.fetch_piece(piece) == 0 {
                    fetching.stream = None;
                }
            } else if let Some(item) = fetching.items.pop() {
                let uid = fetching.todo.last().copied().expect("items belong to a message");
                self.item(server, uid, &item, &mut fetching);
                if fetching.items.is_empty() {
                    fetching.todo.pop();
                }
            } else if let Some(&uid) = fetching.todo.last() {
                self.begin_row(server, uid, &mut fetching);
            } else {
                if fetching.request.mark_seen {
                    server.notify(Change::UpTo(self.current().highest));
                }
                return server.accept();
            }
        }
        self.fetching = Some(fetching);
    }

    fn begin_row(&mut self, server: &mut Server, uid: u32, fetching: &mut Fetching) {
        fetching.items = fetching.request.items.iter().rev().cloned().collect();
        let Some(mut row) = server.fetch(uid) else {
            fetching.items.clear();
            fetching.todo.pop();
            return;
        };
        let mailbox = self.current();
        let at = mailbox.mails.iter().position(|m| m.uid == uid).unwrap();
        if fetching.request.mark_seen && mailbox.mails[at].flags.insert(Flag::Seen) {
            mailbox.mails[at].mod_seq = mailbox.next_mod_seq();
            let mail = &mailbox.mails[at];
            if !fetching.items.contains(&FetchItem::Flags) {
                row.flags(&mail.flags);
            }
            row.mod_seq(mail.mod_seq);
        }
        if fetching.items.is_empty() {
            fetching.todo.pop();
        }
    }

    fn item(&mut self, server: &mut Server, uid: u32, item: &FetchItem, fetching: &mut Fetching) {
        let limit = self.piece;
        let mail = self.current().mails.iter().find(|m| m.uid == uid).unwrap();
        let mut row = server.fetch_row().expect("the row is open");
        match item {
            FetchItem::Flags => _ = row.flags(&mail.flags),
            FetchItem::InternalDate => _ = row.internal_date(mail.date),
            FetchItem::Size => _ = row.size(mail.octets.len() as u64),
            FetchItem::Envelope => _ = row.envelope_of(&mail.index),
            FetchItem::Body => _ = row.body_of(&mail.index),
            FetchItem::BodyStructure => _ = row.body_structure_of(&mail.index),
            FetchItem::Section(item) => match section(mail, item) {
                None => _ = row.section_missing(item),
                Some(section) if section.len() <= limit => _ = row.section(item, &section),
                Some(section) => {
                    let range = row.section_stream(item, section.len() as u64);
                    let owed = section.slice(range.start as usize..range.end as usize);
                    fetching.stream = (!owed.is_empty()).then_some(owed);
                }
            },
            FetchItem::ModSeq => _ = row.mod_seq(mail.mod_seq),
            FetchItem::EmailId => _ = row.email_id(&ObjectId::new(format!("M{uid}")).unwrap()),
            FetchItem::ThreadId => {
                let thread = (uid % 2 == 1).then(|| ObjectId::new(format!("T{uid}")).unwrap());
                row.thread_id(thread.as_ref());
            }
            FetchItem::SaveDate => _ = row.save_date((uid % 2 == 1).then_some(mail.date)),
            FetchItem::Preview { lazy } => {
                let body = String::from_utf8_lossy(&mail.octets[mail.index.root().body().start as usize..]);
                row.preview((!lazy || uid % 2 == 1).then(|| body.trim_end()));
            }
            // This backend decodes base64 and nothing else.
            FetchItem::Binary(item) => match decoded(mail, &item.part) {
                None => _ = row.binary_missing(item),
                Some(octets) if octets.len() <= limit => _ = row.binary(item, &octets),
                Some(octets) => {
                    let range = row.binary_stream(item, octets.len() as u64);
                    let owed = octets.slice(range.start as usize..range.end as usize);
                    fetching.stream = (!owed.is_empty()).then_some(owed);
                }
            },
            FetchItem::BinarySize(part) => {
                let len = decoded(mail, part).map_or(0, |octets| octets.len());
                row.binary_size(part, len as u64);
            }
            other => panic!("unexpected item {other:?}"),
        }
    }
}

fn section(mail: &Mail, item: &BodyItem) -> Option<Bytes> {
    let range = item.section.locate(&mail.index)?;
    let octets = mail.octets.slice(range.start as usize..range.end as usize);
    Some(match &item.section.text {
        SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_) => item.section.text.pick(&octets),
        _ => octets,
    })
}

fn decoded(mail: &Mail, part: &[NonZeroU32]) -> Option<Bytes> {
    let section = mailwright_imap::Section {
        part: part.to_vec(),
        text: SectionText::All,
    };
    let range = section.locate(&mail.index)?;
    let octets = mail.octets.slice(range.start as usize..range.end as usize);
    let text: Vec<u8> = octets
        .iter()
        .copied()
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    match mail.octets.windows(6).any(|w| w.eq_ignore_ascii_case(b"base64")) {
        true => mailwright_sasl::base64_decode(&text).map(|octets| octets.to_vec().into()),
        false => Some(octets),
    }
}

fn matches(criterion: &Criterion, mail: &Mail) -> bool {
    let contains = |text: &[u8], part: &str| {
        let text = String::from_utf8_lossy(text).to_lowercase();
        text.contains(&part.to_lowercase())
    };
    let parts = || {
        let body = mail.index.root().body();
        mail.octets.split_at(body.start as usize)
    };
    match criterion {
        Criterion::All => true,
        Criterion::Uids(uids) => uids.contains(mail.uid),
        Criterion::Flag(flag) => mail.flags.contains(flag),
        Criterion::Before(date) => mail.date.date() < *date,
        Criterion::On(date) => mail.date.date() == *date,
        Criterion::Since(date) => mail.date.date() >= *date,
        Criterion::Larger(n) => mail.octets.len() as u64 > *n,
        Criterion::Smaller(n) => (mail.octets.len() as u64) < *n,
        Criterion::Header { name, value } => {
            let names = SectionText::HeaderFields(vec![Bytes::from(name.clone())]);
            let picked = names.pick(parts().0);
            picked.len() > 2 && contains(&picked, value)
        }
        Criterion::Body(value) => contains(parts().1, value),
        Criterion::Text(value) => contains(&mail.octets, value),
        Criterion::ModSeq(n) => mail.mod_seq >= *n,
        // The clock of this backend stands at 3,600 seconds after its messages.
        Criterion::Younger(seconds) => *seconds >= 3600,
        Criterion::Older(seconds) => *seconds <= 3600,
        Criterion::EmailId(id) => id.as_str() == format!("M{}", mail.uid),
        Criterion::ThreadId(id) => id.as_str() == format!("T{}", mail.uid),
        Criterion::SavedBefore(date) => mail.date.date() < *date,
        Criterion::SavedOn(date) => mail.date.date() == *date,
        Criterion::SavedSince(date) => mail.date.date() >= *date,
        Criterion::SaveDateSupported => true,
        Criterion::Not(inner) => !matches(inner, mail),
        Criterion::Or(a, b) => matches(a, mail) || matches(b, mail),
        Criterion::And(all) => all.iter().all(|c| matches(c, mail)),
        // This backend keeps no dates of sending.
        _ => false,
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

/// The backend under the transcript runner.
pub struct Host {
    pub backend: Backend,
    pub config: Config,
    pub transport: Transport,
    pub preauth: bool,
}

impl Host {
    pub fn new(mailboxes: Vec<Mailbox>) -> Self {
        let mut config = Config::default();
        config.plaintext_login = true;
        config.greeting = "ready".into();
        config.capabilities = Capabilities::basic();
        Self {
            backend: Backend::new(mailboxes),
            config,
            transport: Transport::Plaintext,
            preauth: false,
        }
    }
}

impl Fixture for Host {
    type Machine = Server;

    fn origin(&self) -> Instant {
        Instant::now()
    }

    fn start(&mut self, now: Instant) -> Server {
        self.backend.upload.clear();
        let config = Arc::new(self.config.clone());
        match self.preauth {
            true => Server::preauthenticated(config, self.transport, [7; 32], now),
            false => Server::new(config, self.transport, [7; 32], now),
        }
    }

    fn event(&mut self, _: &mut Server, event: Event) -> Seen {
        let seen = match &event {
            Event::AppendData(data) => Seen::Body(data.clone()),
            other => Seen::Line(format!("{other:?}")),
        };
        self.backend.event(event);
        seen
    }

    /// `A:` gives refusals, `DO:` changes behind the session's back.
    fn answer(&mut self, server: &mut Server, text: &str) {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let set = || {
            let ranges = rest.split(',').map(|r| r.split_once('-').unwrap_or((r, r)));
            UidSet::from_ranges(ranges.map(|(a, b)| a.parse().unwrap()..=b.parse().unwrap()))
        };
        match word {
            "default" => self.backend.answer(server),
            "no" => {
                self.backend.question = None;
                self.backend.upload.clear();
                server.reject(Rejection::new(None, rest.to_owned()));
            }
            "unavailable" => {
                self.backend.question = None;
                server.answer_auth(Answer::Unavailable);
            }
            "expunged" => {
                let uids = set();
                if let Some(name) = self.backend.selected.clone() {
                    let mailbox = self.backend.mailbox(&name).unwrap();
                    mailbox.remove(&uids);
                    server.notify(Change::Expunged(uids));
                    server.notify(Change::UpTo(mailbox.highest));
                } else {
                    self.backend.mailbox("INBOX").unwrap().remove(&uids);
                }
            }
            "appended" => {
                let octets: Bytes = rest.replace("\\r\\n", "\r\n").into();
                let mailbox = self.backend.current();
                let uid = mailbox.add(Flags::new(), DateTime::new(0, 0), octets);
                server.notify(Change::Appended(UidSet::from(uid..=uid)));
                server.notify(Change::UpTo(mailbox.highest));
            }
            "flags" => {
                let (uid, flags) = rest.split_once(' ').unwrap();
                let (uid, flags) = (uid.parse().unwrap(), parse_flags(flags));
                let selected = self.backend.selected.clone();
                let name = selected.as_deref().unwrap_or("INBOX");
                let mailbox = self.backend.mailbox(name).unwrap();
                let mod_seq = Some(mailbox.next_mod_seq()).filter(|n| *n > 0);
                if let Some(m) = mailbox.mails.iter_mut().find(|m| m.uid == uid) {
                    m.flags = flags.clone();
                    m.mod_seq = mod_seq.unwrap_or(1);
                }
                if selected.is_some() {
                    server.notify(Change::Flags { uid, flags, mod_seq });
                    server.notify(Change::UpTo(mailbox.highest));
                }
            }
            // Before the default answer to the question that is open.
            "progress" => {
                let mut numbers = rest.split(' ').map(|n| n.parse().ok());
                server.in_progress(numbers.next().flatten(), numbers.next().flatten());
                self.backend.answer(server);
            }
            "notice" => extensions::notice(&self.backend, server, rest),
            "soft" => {
                server.warn_over_quota();
                self.backend.answer(server);
            }
            "forget" => self.backend.mailbox("INBOX").unwrap().gone = None,
            "no-mod-seqs" => self.backend.mailbox("INBOX").unwrap().highest = 0,
            "shutdown" => server.shutdown(rest),
            "abort" => server.abort(),
            other => panic!("unknown answer {other}"),
        }
    }

    fn default_answer(&mut self, server: &mut Server) {
        self.backend.answer(server);
    }

    fn tls_started(&mut self, server: &mut Server) {
        server.tls_started();
    }
}
