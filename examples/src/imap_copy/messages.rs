//! The messages of a mailbox, from one server to the other without ever being held whole.

use super::Copy;
use super::mailboxes::Pair;
use super::state::{Both, Known};
use crate::imap::{Refused, Session};
use crate::net::Fallible;
use mailwright_imap::client::{Command, Data, Event, Handle, Message, Messages, Reply, ReplyCode, Selected};
use mailwright_imap::{BodyItem, DateTime, FetchItem, Flag, Flags, Section, SequenceSet};
use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;

/// What is known of a message before it is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mail {
    uid: u32,
    flags: Flags,
    date: Option<DateTime>,
    size: u64,
}

/// How many messages are asked for ahead of the one that is coming.
const AHEAD: usize = 8;
/// How many may be on their way to the new server when the connection breaks: what the engine sends ahead, and more.
const UNCERTAIN: usize = 32;

impl Copy {
    pub(super) fn mailbox(&mut self, pair: &Pair) -> Fallible<()> {
        if !self.dry_run {
            self.make(pair)?;
        }
        if pair.is_only_a_level {
            return Ok(());
        }
        let examine = Command::examine(pair.from.clone());
        let from = selected(self.from.run(&format!("EXAMINE {}", pair.from), examine)?.1)?;
        let mails = mails(&mut self.from)?;
        if self.dry_run {
            let octets = mails.iter().map(|mail| mail.size).sum();
            self.report
                .would_copy(pair.from.name(), pair.to.name(), mails.len(), octets);
            return Ok(());
        }
        let select = Command::select(pair.to.clone());
        let to = selected(self.to.run(&format!("SELECT {}", pair.to), select)?.1)?;
        let both = Both {
            from: (pair.from.name().to_owned(), validity(&from)?),
            to: (pair.to.name().to_owned(), to.uid_validity),
        };
        let known = self.state.of(&both)?;
        let mut left: Vec<Mail> = mails
            .iter()
            .filter(|mail| !known.has(mail.uid))
            .cloned()
            .collect();
        let arrived = self.recognise(&mut left, &known, &to)?;
        self.report.were_there(mails.len() - left.len());
        let octets = left.iter().map(|mail| mail.size).sum();
        self.progress.begin(pair.from.name(), left.len(), octets);
        if left.is_empty() && arrived.is_empty() {
            return Ok(());
        }
        let next = to.uid_next.map_or(u32::MAX, NonZeroU32::get);
        self.state.begin(&both, known.first_new().unwrap_or(next))?;
        for (uid, new) in arrived {
            self.state.note(uid, Some(new))?;
        }
        let mut flow = Flow {
            allowed: to.permanent_flags.clone(),
            waiting: left.into(),
            ..Flow::default()
        };
        self.flow(pair, &mut flow)
    }

    /// Recognises messages that arrived in an earlier run without being noted: the connection broke before the
    /// server could say so. They are above all that are noted, and in the same order.
    fn recognise(&mut self, left: &mut Vec<Mail>, known: &Known, to: &Selected) -> Fallible<Vec<(u32, u32)>> {
        let Some(first) = known
            .first_unknown()
            .filter(|_| to.exists > 0 && !left.is_empty())
        else {
            return Ok(Vec::new());
        };
        let set = SequenceSet::parse(format!("{first}:*").as_bytes()).expect("it is a set");
        let items = [FetchItem::InternalDate, FetchItem::Size];
        let (_, told) = self
            .to
            .run("FETCH", Command::fetch(Messages::Uids(set), &items))?;
        let mut there: Vec<Mail> = told
            .into_iter()
            .filter_map(mail)
            .filter(|mail| mail.uid >= first)
            .collect();
        there.sort_by_key(|mail| mail.uid);
        let mut arrived = Vec::new();
        for mail in left.iter().take(UNCERTAIN) {
            let same = |new: &Mail| new.size == mail.size && (new.date == mail.date || mail.date.is_none());
            if let Some(at) = there.iter().position(same) {
                arrived.push((mail.uid, there[at].uid));
                there.drain(..=at);
            }
        }
        left.retain(|mail| arrived.iter().all(|(uid, _)| *uid != mail.uid));
        Ok(arrived)
    }

    fn flow(&mut self, pair: &Pair, flow: &mut Flow) -> Fallible<()> {
        loop {
            while flow.asked.len() < AHEAD
                && let Some(mail) = flow.waiting.pop_front()
            {
                let one = Messages::Uids(SequenceSet::parse(mail.uid.to_string().as_bytes()).expect("a UID"));
                let handle = self.from.queue(Command::fetch(one, &[whole()]));
                flow.asked.insert(handle, Asked { mail, came: false });
            }
            if flow.asked.is_empty() {
                break;
            }
            match self.from.event()? {
                Event::Section(head) => {
                    let asked = head.handle.and_then(|handle| flow.asked.get_mut(&handle));
                    let Some(asked) = asked.filter(|asked| !asked.came) else {
                        continue;
                    };
                    asked.came = true;
                    let mail = asked.mail.clone();
                    match head.len {
                        Some(len) => self.begin(pair, flow, mail, len)?,
                        None => self.failed(pair, &mail, "the old server does not give its text"),
                    }
                }
                Event::SectionData(octets) if flow.uploading => {
                    self.progress.octets(octets.len() as u64);
                    self.to.upload(octets)?;
                }
                Event::SectionEnd => flow.uploading = false,
                Event::Done(handle, _) => {
                    if let Some(asked) = flow.asked.remove(&handle).filter(|asked| !asked.came) {
                        self.report.vanished();
                        self.progress.message();
                        drop(asked);
                    }
                }
                Event::Refused(handle, reply) => {
                    if let Some(asked) = flow.asked.remove(&handle) {
                        self.failed(pair, &asked.mail, &format!("FETCH: {reply}"));
                    }
                }
                Event::Bye(reply) => return Err(format!("the old server ends the session: {reply}").into()),
                _ => {}
            }
        }
        while !flow.sent.is_empty() {
            let event = self.to.event()?;
            self.hear(pair, flow, event)?;
        }
        Ok(())
    }

    /// Begins to put a message into the new mailbox.
    fn begin(&mut self, pair: &Pair, flow: &mut Flow, mail: Mail, len: u64) -> Fallible<()> {
        let mut message = Message::new(len);
        message.flags = flow.allowed_of(&mail.flags);
        if message.flags != mail.flags {
            self.report.lost_flags();
        }
        message.internal_date = mail.date;
        let handle = self.to.queue(Command::append(pair.to.clone(), message));
        flow.sent.insert(handle, (mail, len));
        loop {
            match self.to.event()? {
                Event::Upload { handle: wanted, .. } if wanted == handle => {
                    flow.uploading = true;
                    return Ok(());
                }
                event => self.hear(pair, flow, event)?,
            }
            if !flow.sent.contains_key(&handle) {
                // Refused before a single octet went.
                return Ok(());
            }
        }
    }

    /// Takes what the new server says.
    fn hear(&mut self, pair: &Pair, flow: &mut Flow, event: Event) -> Fallible<()> {
        match event {
            Event::Done(handle, reply) => {
                if let Some((mail, len)) = flow.sent.remove(&handle) {
                    self.state.note(mail.uid, appended(&reply))?;
                    self.report.copied(len);
                    self.progress.message();
                }
            }
            Event::Refused(handle, reply) => {
                if let Some((mail, _)) = flow.sent.remove(&handle) {
                    self.failed(pair, &mail, &format!("APPEND: {reply}"));
                }
            }
            Event::Unsent(handle, why) => {
                if let Some((mail, _)) = flow.sent.remove(&handle) {
                    self.failed(pair, &mail, &format!("APPEND: {why}"));
                }
            }
            Event::Bye(reply) => return Err(format!("the new server ends the session: {reply}").into()),
            _ => {}
        }
        Ok(())
    }

    fn failed(&mut self, pair: &Pair, mail: &Mail, why: &str) {
        self.report.failed(pair.from.name(), mail.uid, why);
        self.progress.message();
    }
}

/// The messages of a mailbox on their way.
#[derive(Debug, Default)]
struct Flow {
    waiting: VecDeque<Mail>,
    asked: BTreeMap<Handle, Asked>,
    /// With the new server, and not answered yet.
    sent: BTreeMap<Handle, (Mail, u64)>,
    /// What comes of the old server goes on to the new one.
    uploading: bool,
    /// The flags that the new mailbox keeps, and whether others can be made; all if that is not known.
    allowed: Option<(Flags, bool)>,
}

#[derive(Debug)]
struct Asked {
    mail: Mail,
    /// Its text came.
    came: bool,
}

impl Flow {
    fn allowed_of(&self, flags: &Flags) -> Flags {
        let mut kept = Flags::new();
        for flag in flags.iter() {
            let fits = match &self.allowed {
                Some((allowed, open)) => {
                    allowed.contains(&flag) || (*open && matches!(flag, Flag::Keyword(_)))
                }
                None => true,
            };
            if fits {
                kept.insert(flag);
            }
        }
        kept
    }
}

fn whole() -> FetchItem {
    FetchItem::Section(BodyItem::new(Section::default(), None, true))
}

fn mails(session: &mut Session) -> Fallible<Vec<Mail>> {
    let all = Messages::Uids(SequenceSet::parse(b"1:*").expect("it is a set"));
    let items = [FetchItem::Flags, FetchItem::InternalDate, FetchItem::Size];
    let told = session.run("FETCH", Command::fetch(all, &items))?.1;
    let mut mails: Vec<Mail> = told.into_iter().filter_map(mail).collect();
    mails.sort_by_key(|mail| mail.uid);
    mails.dedup_by_key(|mail| mail.uid);
    Ok(mails)
}

fn mail(data: Data) -> Option<Mail> {
    let Data::Row(row) = data else { return None };
    Some(Mail {
        uid: row.uid?,
        flags: row.flags.unwrap_or_default(),
        date: row.internal_date,
        size: row.size?,
    })
}

fn selected(told: Vec<Data>) -> Fallible<Selected> {
    let selected = told.into_iter().find_map(|data| match data {
        Data::Selected(selected) => Some(*selected),
        _ => None,
    });
    selected.ok_or_else(|| "the server does not say what it selected".into())
}

fn validity(selected: &Selected) -> Fallible<NonZeroU32> {
    let why = "its UIDs do not last, so that nobody could tell what was copied";
    let lasting = selected.uid_validity.filter(|_| !selected.uid_not_sticky);
    lasting.ok_or_else(|| Refused::new("EXAMINE", why).into())
}

fn appended(reply: &Reply) -> Option<u32> {
    match &reply.code {
        Some(ReplyCode::Appended(appended)) => appended.uids.iter().next(),
        _ => None,
    }
}
