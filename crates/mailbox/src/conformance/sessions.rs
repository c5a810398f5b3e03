//! Many sessions at once

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
};

use super::{
    Harness, NOW, all, append_op, block_on, bob, create, executor::yield_now, join, oracle::Random, put, read,
};
use crate::{
    Batch, Fields, FlagChange, Flags, Keyword, Limits, MailboxId, ModSeq, Op, Outcome, Scan, Store, Uid,
    UidSet,
};

const SESSIONS: usize = 12;
const STEPS: usize = 25;

/// Sessions deliver, flag, move and expunge in two mailboxes at once, while one only looks: all of them see one
/// order of events, and no change of one is lost to another.
pub fn concurrent_sessions_see_one_order<H: Harness>(harness: &mut H) {
    let store = harness.open(Limits::default());
    let (inbox, done) = (create(&store, "INBOX"), create(&store, "done"));
    let log = RefCell::new(Log::default());
    let mut sessions: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    for n in 0..SESSIONS {
        sessions.push(Box::pin(session(&store, &log, n, inbox, done)));
    }
    sessions.push(Box::pin(look(&store, inbox)));
    let mut feed = store.subscribe(&bob());
    block_on(join(sessions));

    let told: BTreeMap<_, _> = feed
        .take()
        .into_iter()
        .map(|it| (it.mailbox, it.mod_seq))
        .collect();
    let store = harness.reopen(store);
    let log = log.into_inner();
    for mailbox in [inbox, done] {
        let snapshot = block_on(store.snapshot(mailbox)).unwrap();
        assert_eq!(
            told.get(&mailbox),
            Some(&snapshot.highest_mod_seq),
            "the feed tells of the last change"
        );
        let mod_seqs = log.mod_seqs.get(&mailbox).unwrap();
        let told = mod_seqs.len() as u64 + if mailbox == inbox { log.moves } else { 0 };
        assert_eq!(
            told + 1,
            snapshot.highest_mod_seq.value(),
            "each change raises the mod-sequence by one"
        );
        let given = log.given.get(&mailbox).unwrap();
        let in_order: Vec<_> = given.keys().copied().collect();
        assert_eq!(
            in_order.len() as u32 + 1,
            snapshot.uid_next.unwrap().value(),
            "no UID was left out"
        );
        assert!(
            given.values().is_sorted_by(|a, b| a < b),
            "UIDs and mod-sequences are in the same order"
        );
        let gone = block_on(store.vanished(mailbox, ModSeq::ZERO)).unwrap();
        let there: UidSet = all(&store, mailbox).iter().map(|message| message.uid).collect();
        assert!(gone.complete && gone.uids.intersection(&there).is_empty());
        assert_eq!(gone.uids.union(&there), in_order.into_iter().collect());
    }
    let messages: BTreeMap<_, _> = all(&store, inbox)
        .into_iter()
        .map(|message| (message.uid, message))
        .collect();
    let mut checked = 0;
    for ((uid, keyword), on) in &log.keywords {
        if let Some(message) = messages.get(uid) {
            let keyword = Keyword::parse(keyword).unwrap();
            assert_eq!(
                message.flags.has_keyword(&keyword),
                *on,
                "a flag of message {uid} was lost to another session"
            );
            checked += 1;
        }
    }
    assert!(checked > 20, "too few flags were left to check: {checked}");
    for mailbox in [inbox, done] {
        for message in all(&store, mailbox) {
            let body = read(&store, &message.blob.unwrap());
            assert!(log.bodies.contains(&body), "a body was mixed up");
        }
    }
}

/// What the sessions were told.
#[derive(Default)]
struct Log {
    given: BTreeMap<MailboxId, BTreeMap<Uid, ModSeq>>,
    mod_seqs: BTreeMap<MailboxId, BTreeSet<ModSeq>>,
    moves: u64,
    keywords: BTreeMap<(Uid, String), bool>,
    bodies: BTreeSet<Vec<u8>>,
}

impl Log {
    fn changed(&mut self, mailbox: MailboxId, mod_seq: ModSeq) {
        let fresh = self.mod_seqs.entry(mailbox).or_default().insert(mod_seq);
        assert!(fresh, "two changes have mod-sequence {mod_seq}");
    }

    fn given(&mut self, mailbox: MailboxId, uid: Uid, mod_seq: ModSeq) {
        let before = self.given.entry(mailbox).or_default().insert(uid, mod_seq);
        assert_eq!(before, None, "UID {uid} was given twice");
    }
}

async fn session(store: &impl Store, log: &RefCell<Log>, n: usize, inbox: MailboxId, done: MailboxId) {
    let mut random = Random(n as u64 * 7919 + 1);
    let own = format!("session{n}");
    for step in 0..STEPS {
        let body = format!("From session {n}, step {step}")
            .repeat(1 + random.below(50))
            .into_bytes();
        let blob = put(store, &body).await;
        log.borrow_mut().bodies.insert(body);
        let any = Uid::new(1 + random.below(SESSIONS * STEPS / 6) as u32).unwrap();
        let op = match random.below(12) {
            0..=4 => append_op(inbox, &blob, Flags::new()),
            5..=9 => {
                let flags = [Keyword::parse(&own).unwrap()].into_iter().collect();
                let change = if random.one_in(4) {
                    FlagChange::Remove(flags)
                } else {
                    FlagChange::Add(flags)
                };
                Op::StoreFlags {
                    mailbox: inbox,
                    uids: any.into(),
                    change,
                    unchanged_since: None,
                }
            }
            10 => Op::Move {
                from: inbox,
                uids: any.into(),
                to: done,
            },
            _ => Op::Expunge {
                mailbox: inbox,
                uids: any.into(),
                deleted_only: false,
            },
        };
        yield_now().await;
        let outcomes = store
            .commit(Batch::new(NOW).with(op.clone()))
            .await
            .unwrap()
            .outcomes;
        let mut log = log.borrow_mut();
        match (&op, &outcomes[0]) {
            (_, Outcome::Appended { uid, mod_seq, .. }) => {
                log.given(inbox, *uid, *mod_seq);
                log.changed(inbox, *mod_seq);
            }
            (Op::StoreFlags { change, .. }, Outcome::Stored { changed, mod_seq, .. })
                if !changed.is_empty() =>
            {
                log.changed(inbox, *mod_seq);
                log.keywords
                    .insert((any, own.clone()), matches!(change, FlagChange::Add(_)));
            }
            (_, Outcome::Copied { to, mod_seq, .. }) if !to.is_empty() => {
                log.changed(done, *mod_seq);
                to.iter().for_each(|uid| log.given(done, uid, *mod_seq));
                // The source has a mod-sequence of its own for it, of which the outcome does not tell.
                log.moves += 1;
            }
            (_, Outcome::Expunged { uids, mod_seq }) if !uids.is_empty() => log.changed(inbox, *mod_seq),
            _ => {}
        }
    }
}

/// Looks at a mailbox again and again: what was seen stays seen, and nothing comes in below it.
async fn look(store: &impl Store, mailbox: MailboxId) {
    let (mut highest, mut known) = (ModSeq::ZERO, UidSet::new());
    for _ in 0..SESSIONS * STEPS / 4 {
        yield_now().await;
        let page = store
            .scan(mailbox, Scan::all(Fields::NONE).limit(10_000))
            .await
            .unwrap();
        assert!(
            page.highest_mod_seq >= highest,
            "the highest mod-sequence went back"
        );
        let there: UidSet = page.messages.iter().map(|message| message.uid).collect();
        let fresh = there.difference(&known);
        if let (Some(first), Some(last)) = (fresh.first(), known.last()) {
            assert!(first > last, "UID {first} became visible after {last}");
        }
        assert!(
            page.messages
                .iter()
                .all(|message| message.mod_seq <= page.highest_mod_seq)
        );
        highest = page.highest_mod_seq;
        known = known.union(&there);
    }
}
