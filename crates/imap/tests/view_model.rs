//! Sessions on the mailboxes of the model that every store follows, told at the moments the protocol allows: whoever
//! is told everything ends with the model's mailbox.
//!
//! What a session is told is read from the model as a server reads it from a store: what has changed since the
//! mod-sequence that it knows, and what has vanished, which the model may have forgotten.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use mailwright_imap::{self as imap, Update, View, When};
use mailwright_mailbox::{
    Account, Batch, BlobHash, BlobRef, Fields, FlagChange, Flags, Keyword, Limits, MailboxId, MailboxName,
    MessageMeta, ModSeq, Model, Op, Scan, SystemFlags, Uid, UidSet,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

const SESSIONS: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    /// Messages come into one of the two mailboxes.
    Append(usize, u32),
    Expunge(usize, Vec<usize>, bool),
    Store(usize, Vec<usize>, u8),
    /// From the first to the second, or back; moved or copied.
    Copy(usize, Vec<usize>, bool),
    /// A session reads what has changed.
    Read(usize),
    /// A session finishes a command, in whose answer expunges may be told or not.
    Tell(usize, bool),
    /// A client says which flags it has just been told by a row of FETCH.
    Fetch(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let picks = || vec(0usize..30, 1..5);
    prop_oneof![
        (0usize..2, 1u32..4).prop_map(|(at, n)| Step::Append(at, n)),
        (0usize..2, picks(), any::<bool>()).prop_map(|(at, picks, all)| Step::Expunge(at, picks, all)),
        (0usize..2, picks(), 0u8..6).prop_map(|(at, picks, how)| Step::Store(at, picks, how)),
        (0usize..2, picks(), any::<bool>()).prop_map(|(from, picks, moving)| Step::Copy(from, picks, moving)),
        (0..SESSIONS).prop_map(Step::Read),
        (0..SESSIONS).prop_map(Step::Read),
        (0..SESSIONS, any::<bool>()).prop_map(|(session, all)| Step::Tell(session, all)),
        (0..SESSIONS, 0usize..30).prop_map(|(session, at)| Step::Fetch(session, at)),
    ]
}

/// The account that all share.
struct World {
    model: Model,
    mailboxes: [MailboxId; 2],
    now: i64,
}

impl World {
    fn new(history: u32) -> Self {
        let mut limits = Limits::default();
        limits.history_uids = history;
        let mut world = Self {
            model: Model::new(limits),
            mailboxes: [MailboxId::new(0); 2],
            now: 1_800_000_000,
        };
        let account = Account::new("alice@a.example");
        for name in ["INBOX", "Work"] {
            world.commit(Op::CreateMailbox {
                account: account.clone(),
                name: MailboxName::parse(name).unwrap(),
                special_use: None,
            });
        }
        let found: Vec<_> = world.model.mailboxes(&account).iter().map(|it| it.id).collect();
        world.mailboxes = found.try_into().unwrap();
        world
    }

    fn commit(&mut self, op: Op) {
        self.now += 1;
        let batch = Batch::new(self.now).with(op);
        self.model
            .apply(&batch, |_| true)
            .expect("nothing here is refused");
    }

    fn append(&mut self, mailbox: MailboxId) {
        self.commit(Op::Append {
            mailbox,
            blob: BlobRef::new(BlobHash::of(b"body"), 4),
            message: MessageMeta::default(),
            flags: Flags::new(),
            internal_date: 0,
        });
    }

    /// All messages of a mailbox, as the model has them.
    fn messages(&self, mailbox: MailboxId) -> BTreeMap<u32, (imap::Flags, u64)> {
        let page = self.model.scan(mailbox, &Scan::all(Fields::FLAGS).limit(10_000));
        let messages = page.unwrap().messages.into_iter();
        messages
            .map(|it| (it.uid.value(), (flags(&it.flags), it.mod_seq.value())))
            .collect()
    }

    fn picked(&self, mailbox: MailboxId, picks: &[usize]) -> UidSet {
        let all: Vec<u32> = self.messages(mailbox).into_keys().collect();
        let picked = picks.iter().filter_map(|&at| all.get(at));
        picked.filter_map(|&uid| Uid::new(uid)).collect()
    }

    fn highest(&self, mailbox: MailboxId) -> ModSeq {
        self.model.snapshot(mailbox).unwrap().highest_mod_seq
    }
}

fn flags(of: &Flags) -> imap::Flags {
    let system = [
        (SystemFlags::SEEN, imap::Flag::Seen),
        (SystemFlags::DELETED, imap::Flag::Deleted),
    ];
    let mut all: imap::Flags = system
        .into_iter()
        .filter_map(|(bit, flag)| of.contains(bit).then_some(flag))
        .collect();
    all.extend(
        of.keywords()
            .iter()
            .filter_map(|it| imap::Flag::parse(it.as_str())),
    );
    all
}

fn uids(of: &UidSet) -> imap::UidSet {
    of.iter().map(Uid::value).collect()
}

/// A session, and what its client believes from nothing but what it was told.
struct Session {
    mailbox: MailboxId,
    view: View,
    known: ModSeq,
    last: Option<Uid>,
    messages: Vec<(u32, imap::Flags)>,
    by_uid: bool,
}

impl Session {
    fn select(world: &World, mailbox: MailboxId, by_uid: bool) -> Self {
        let messages = world.messages(mailbox);
        let mut view = View::new(messages.keys().copied().collect(), None);
        let known = world.highest(mailbox);
        view.change(imap::Change::UpTo(known.value()));
        if by_uid {
            view.report_uids();
        }
        Self {
            mailbox,
            view,
            known,
            last: messages.keys().last().and_then(|&uid| Uid::new(uid)),
            messages: messages
                .into_iter()
                .map(|(uid, (flags, _))| (uid, flags))
                .collect(),
            by_uid,
        }
    }

    /// As a server keeps up with its store.
    fn read(&mut self, world: &World) {
        let (model, mailbox) = (&world.model, self.mailbox);
        let mut appended = UidSet::new();
        let scan = Scan::all(Fields::FLAGS).since(self.known).limit(10_000);
        let page = model.scan(mailbox, &scan).unwrap();
        for message in &page.messages {
            if self.last.is_none_or(|last| message.uid > last) {
                appended.insert(message.uid);
            } else {
                self.view.change(imap::Change::Flags {
                    uid: message.uid.value(),
                    flags: flags(&message.flags),
                    mod_seq: Some(message.mod_seq.value()),
                });
            }
        }
        let vanished = model.vanished(mailbox, self.known).unwrap();
        let gone = match vanished.complete {
            true => vanished.uids,
            false => {
                let present = world.messages(mailbox).into_keys().filter_map(Uid::new).collect();
                let ever = self
                    .last
                    .map_or_else(UidSet::new, |last| (Uid::MIN..=last).into());
                ever.difference(&present)
            }
        };
        self.last = self.last.max(appended.last());
        self.known = page.highest_mod_seq;
        self.view.change(imap::Change::Appended(uids(&appended)));
        self.view.change(imap::Change::Expunged(uids(&gone)));
        self.view.change(imap::Change::UpTo(self.known.value()));
    }

    fn tell(&mut self, when: When, world: &World) {
        let stored = world.messages(self.mailbox);
        for update in self.view.updates(when) {
            match update {
                Update::Vanished(uids) => {
                    assert_eq!((when, self.by_uid), (When::Anything, true));
                    self.messages.retain(|(uid, _)| !uids.contains(*uid));
                }
                Update::Expunge(seq) => {
                    assert_eq!((when, self.by_uid), (When::Anything, false));
                    self.messages.remove(seq as usize - 1);
                }
                Update::Exists(n) => {
                    for seq in self.messages.len() as u32 + 1..=n {
                        let uid = self.view.uid(seq).expect("a message that exists has a UID");
                        // The client asks at once for the flags of what is new.
                        let flags = stored.get(&uid).map(|it| it.0.clone()).unwrap_or_default();
                        self.messages.push((uid, flags));
                    }
                }
                Update::Flags { seq, uid, flags, .. } => {
                    let message = &mut self.messages[seq as usize - 1];
                    assert_eq!(message.0, uid, "flags of another message");
                    message.1 = flags;
                }
                other => panic!("{other:?} cannot be"),
            }
        }
        let seen: Vec<u32> = self.messages.iter().map(|it| it.0).collect();
        let mapped: Vec<u32> = (1..=self.view.exists())
            .filter_map(|seq| self.view.uid(seq))
            .collect();
        assert_eq!(seen, mapped, "the numbers of session and client are the same");
    }

    /// A row tells the flags as the store has them, and the session need not tell them again.
    fn fetch(&mut self, at: usize, world: &World) {
        let Some((uid, known)) = self.messages.get_mut(at) else {
            return;
        };
        if let Some((flags, mod_seq)) = world.messages(self.mailbox).remove(uid) {
            self.view.known_at(*uid, mod_seq);
            *known = flags;
        }
    }

    /// RFC 7162 §3.2.5: who comes back with the mod-sequence that it was told must not have missed anything before it.
    fn has_missed_nothing(&self, world: &World) {
        let told = self.view.told_up_to().expect("there are mod-sequences");
        for (uid, (flags, mod_seq)) in world.messages(self.mailbox) {
            if mod_seq <= told {
                let known = self.messages.iter().find(|it| it.0 == uid);
                assert_eq!(
                    known.map(|it| &it.1),
                    Some(&flags),
                    "{uid} at {mod_seq}, told up to {told}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_session_ends_with_the_models_mailbox(
        start in 0u32..8,
        history in 0u32..12,
        steps in vec(step(), 0..80),
    ) {
        let mut world = World::new(history);
        let [first, second] = world.mailboxes;
        for _ in 0..start {
            world.append(first);
        }
        let mut sessions: Vec<Session> = (0..SESSIONS)
            .map(|n| Session::select(&world, if n == 3 { second } else { first }, n == 1))
            .collect();
        for step in steps {
            match step {
                Step::Append(at, count) => {
                    for _ in 0..count {
                        world.append(world.mailboxes[at]);
                    }
                }
                Step::Expunge(at, picks, all) => {
                    let mailbox = world.mailboxes[at];
                    let uids = world.picked(mailbox, &picks);
                    world.commit(Op::Expunge { mailbox, uids, deleted_only: !all });
                }
                Step::Store(at, picks, how) => {
                    let mailbox = world.mailboxes[at];
                    let uids = world.picked(mailbox, &picks);
                    let mut flags = Flags::new();
                    match how / 2 {
                        0 => flags.insert(SystemFlags::SEEN),
                        1 => flags.insert(SystemFlags::DELETED),
                        _ => flags.insert_keyword(Keyword::parse("$Junk").unwrap()),
                    }
                    let change = if how % 2 == 0 { FlagChange::Add(flags) } else { FlagChange::Remove(flags) };
                    world.commit(Op::StoreFlags { mailbox, uids, change, unchanged_since: None });
                }
                Step::Copy(from, picks, moving) => {
                    let (from, to) = (world.mailboxes[from], world.mailboxes[1 - from]);
                    let uids = world.picked(from, &picks);
                    world.commit(match moving {
                        true => Op::Move { from, uids, to },
                        false => Op::Copy { from, uids, to },
                    });
                }
                Step::Read(n) => sessions[n].read(&world),
                Step::Tell(n, all) => {
                    sessions[n].tell(if all { When::Anything } else { When::DuringFetch }, &world);
                }
                Step::Fetch(n, at) => sessions[n].fetch(at, &world),
            }
            sessions.iter().for_each(|session| session.has_missed_nothing(&world));
        }
        for session in &mut sessions {
            session.read(&world);
            session.tell(When::Anything, &world);
            prop_assert!(!session.view.has_updates(When::Anything));
            prop_assert_eq!(session.view.told_up_to(), Some(world.highest(session.mailbox).value()));
            let model: Vec<_> = world.messages(session.mailbox).into_iter().map(|(uid, it)| (uid, it.0)).collect();
            prop_assert_eq!(&session.messages, &model);
        }
    }
}
