//! Messages: UIDs, flags, copies, expunges, pages, feeds

use core::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use super::{
    Harness, NOW, all, append, append_op, block_on, bob, commit, create, create_op, done, name, put, refused,
    scan, uid, uids,
};
use crate::{
    Account, Batch, CommitError, Fields, FlagChange, Flags, Keyword, Limits, MailboxId, ModSeq, Op, Outcome,
    Scan, Snapshot, Store, SystemFlags, UidSet,
};

fn set(of: &[u32]) -> UidSet {
    of.iter().map(|it| uid(*it)).collect()
}

fn append_some(store: &impl Store, mailbox: MailboxId, count: u8) {
    for i in 0..count {
        append(store, mailbox, &[b'0' + i]);
    }
}

fn snapshot(store: &impl Store, mailbox: MailboxId) -> Snapshot {
    block_on(store.snapshot(mailbox)).unwrap()
}

fn flag(mailbox: MailboxId, of: &[u32], change: FlagChange, unchanged_since: Option<ModSeq>) -> Op {
    Op::StoreFlags {
        mailbox,
        uids: set(of),
        change,
        unchanged_since,
    }
}

/// UIDs ascend, also when the last message was expunged and across restarts (RFC 9051 §2.3.1.1).
pub fn uids_are_never_given_twice<H: Harness>(harness: &mut H) {
    let store = harness.open(Limits::default());
    let mailbox = create(&store, "a");
    for expected in 1..=3 {
        assert_eq!(append(&store, mailbox, b"x"), uid(expected));
    }
    done(
        &store,
        Op::Expunge {
            mailbox,
            uids: set(&[2, 3, 9]),
            deleted_only: false,
        },
    );
    assert_eq!(snapshot(&store, mailbox).uid_next, Some(uid(4)));
    let store = harness.reopen(store);
    assert_eq!(append(&store, mailbox, b"y"), uid(4));
    done(
        &store,
        Op::Expunge {
            mailbox,
            uids: UidSet::all(),
            deleted_only: false,
        },
    );
    let store = harness.reopen(store);
    assert_eq!(append(&store, mailbox, b"z"), uid(5));
    let it = snapshot(&store, mailbox);
    assert_eq!(
        (it.uid_next, it.exists, it.unseen, it.size),
        (Some(uid(6)), 1, 1, 1)
    );
    let mod_seqs: Vec<_> = all(&store, mailbox)
        .iter()
        .map(|message| message.mod_seq)
        .collect();
    assert_eq!(mod_seqs, [it.highest_mod_seq]);
}

/// Flags are added, removed and replaced; counts follow; keywords are the same in any case.
pub fn flags_change_as_asked<H: Harness>(harness: &mut H) {
    let store = harness.open(Limits::default());
    let mailbox = create(&store, "a");
    append_some(&store, mailbox, 3);
    let keyword = |text: &str| Keyword::parse(text).unwrap();
    let mut both: Flags = [keyword("$Forwarded"), keyword("Zeta"), keyword("alpha")]
        .into_iter()
        .collect();
    both.insert(SystemFlags::SEEN | SystemFlags::DELETED);
    let before = snapshot(&store, mailbox).highest_mod_seq;
    let outcome = done(
        &store,
        flag(mailbox, &[1, 3, 7], FlagChange::Add(both.clone()), None),
    );
    let mod_seq = before.next();
    assert_eq!(
        outcome,
        Outcome::Stored {
            changed: set(&[1, 3]),
            failed: set(&[]),
            mod_seq
        }
    );
    let it = snapshot(&store, mailbox);
    assert_eq!((it.unseen, it.deleted, it.highest_mod_seq), (1, 2, mod_seq));

    // What changes nothing is not a change, also where only the case of a keyword differs.
    let same = [keyword("zeta")].into_iter().collect();
    let outcome = done(&store, flag(mailbox, &[1], FlagChange::Add(same), None));
    assert_eq!(
        outcome,
        Outcome::Stored {
            changed: set(&[]),
            failed: set(&[]),
            mod_seq
        }
    );
    let mut some: Flags = [keyword("ALPHA")].into_iter().collect();
    some.insert(SystemFlags::DELETED | SystemFlags::DRAFT);
    done(&store, flag(mailbox, &[1], FlagChange::Remove(some), None));
    done(
        &store,
        flag(
            mailbox,
            &[3],
            FlagChange::Replace(SystemFlags::ANSWERED.into()),
            None,
        ),
    );
    let store = harness.reopen(store);
    let messages = all(&store, mailbox);
    let mut left: Flags = [keyword("$Forwarded"), keyword("Zeta")].into_iter().collect();
    left.insert(SystemFlags::SEEN);
    assert_eq!(messages[0].flags, left);
    let spelled: Vec<_> = messages[0].flags.keywords().iter().map(Keyword::as_str).collect();
    assert_eq!(
        spelled,
        ["$Forwarded", "Zeta"],
        "keywords stay as they were written"
    );
    assert_eq!(
        (&messages[1].flags, &messages[2].flags),
        (&Flags::new(), &SystemFlags::ANSWERED.into())
    );
    let it = snapshot(&store, mailbox);
    assert_eq!((it.unseen, it.deleted), (2, 0));
}

/// UNCHANGEDSINCE passes over exactly what has a higher mod-sequence (RFC 7162 §3.1.3).
pub fn unchanged_since_is_exact<H: Harness>(harness: &mut H) {
    let store = harness.open(Limits::default());
    let mailbox = create(&store, "a");
    append_some(&store, mailbox, 4);
    let mod_seqs: Vec<_> = all(&store, mailbox)
        .iter()
        .map(|message| message.mod_seq)
        .collect();
    assert!(mod_seqs.is_sorted_by(|a, b| a < b));
    done(
        &store,
        flag(mailbox, &[1], FlagChange::Add(SystemFlags::SEEN.into()), None),
    );
    let flagged = || FlagChange::Add(SystemFlags::FLAGGED.into());
    let mod_seq = snapshot(&store, mailbox).highest_mod_seq.next();
    let outcome = done(
        &store,
        flag(mailbox, &[1, 2, 3, 4, 5], flagged(), Some(mod_seqs[2])),
    );
    assert_eq!(
        outcome,
        Outcome::Stored {
            changed: set(&[2, 3]),
            failed: set(&[1, 4]),
            mod_seq
        }
    );
    // A message that would not change is reported all the same: the client does not know its state.
    let outcome = done(&store, flag(mailbox, &[2], flagged(), Some(mod_seqs[2])));
    assert_eq!(
        outcome,
        Outcome::Stored {
            changed: set(&[]),
            failed: set(&[2]),
            mod_seq
        }
    );
    let outcome = done(
        &store,
        flag(mailbox, &[2], FlagChange::Replace(Flags::new()), Some(mod_seq)),
    );
    assert_eq!(
        outcome,
        Outcome::Stored {
            changed: set(&[2]),
            failed: set(&[]),
            mod_seq: mod_seq.next()
        }
    );
}

/// Copies keep flags and dates and tell which message became which, also within one mailbox.
pub fn copies_and_moves_tell_both_uids<H: Harness>(harness: &mut H) {
    let store = harness.open(Limits::default());
    let (a, b) = (create(&store, "a"), create(&store, "b"));
    append_some(&store, a, 5);
    done(
        &store,
        flag(a, &[2, 4], FlagChange::Add(SystemFlags::SEEN.into()), None),
    );
    append(&store, b, b"before");
    let uid_validity = snapshot(&store, b).uid_validity;
    let copied = |from: &[u32], to: &[u32], mod_seq| Outcome::Copied {
        uid_validity,
        from: set(from),
        to: set(to),
        mod_seq: ModSeq::new(mod_seq),
    };
    let later = NOW + 50;
    let op = Op::Copy {
        from: a,
        uids: set(&[2, 4, 5, 9]),
        to: b,
    };
    let outcomes = commit(&store, Batch::new(later).with(op)).unwrap().outcomes;
    assert_eq!(outcomes, [copied(&[2, 4, 5], &[2, 3, 4], 3)]);
    let before = snapshot(&store, a);
    let outcome = done(
        &store,
        Op::Move {
            from: a,
            uids: set(&[1, 2]),
            to: b,
        },
    );
    assert_eq!(outcome, copied(&[1, 2], &[5, 6], 4));
    assert_eq!(
        done(
            &store,
            Op::Move {
                from: a,
                uids: set(&[77]),
                to: b
            }
        ),
        copied(&[], &[], 4)
    );
    assert_eq!(snapshot(&store, a).highest_mod_seq, before.highest_mod_seq.next());
    assert_eq!(
        done(
            &store,
            Op::Copy {
                from: b,
                uids: set(&[6]),
                to: b
            }
        ),
        copied(&[6], &[7], 5)
    );
    assert_eq!(
        done(
            &store,
            Op::Move {
                from: b,
                uids: set(&[1, 7]),
                to: b
            }
        ),
        copied(&[1, 7], &[8, 9], 6)
    );

    let store = harness.reopen(store);
    assert_eq!(uids(&all(&store, a)), [3, 4, 5]);
    let vanished = block_on(store.vanished(a, before.highest_mod_seq)).unwrap();
    assert_eq!(vanished.uids, set(&[1, 2]));
    let messages = all(&store, b);
    assert_eq!(uids(&messages), [2, 3, 4, 5, 6, 8, 9]);
    let seen: Vec<_> = messages
        .iter()
        .map(|message| message.flags.contains(SystemFlags::SEEN))
        .collect();
    assert_eq!(seen, [true, true, false, false, true, false, true]);
    let bodies: Vec<_> = messages
        .iter()
        .map(|it| super::read(&store, it.blob.as_ref().unwrap()))
        .collect();
    assert_eq!(bodies, [&b"1"[..], b"3", b"4", b"0", b"1", b"before", b"1"]);
    assert!(messages.iter().all(|message| message.internal_date == NOW - 3600));
    assert_eq!((messages[0].save_date, messages[3].save_date), (later, NOW));
    assert_eq!(
        snapshot(&store, b).highest_mod_seq,
        ModSeq::new(7),
        "the move within b expunged too"
    );
    assert_eq!(snapshot(&store, b).unseen, 3);
}

/// What was expunged is told exactly, or it is said that it is not.
pub fn expunges_are_remembered_within_limits<H: Harness>(harness: &mut H) {
    let mut limits = Limits::default();
    (limits.history_seconds, limits.history_uids) = (100, 5);
    let store = harness.open(limits);
    let mailbox = create(&store, "a");
    append_some(&store, mailbox, 20);
    let start = snapshot(&store, mailbox).highest_mod_seq;
    done(
        &store,
        flag(
            mailbox,
            &[2, 3, 8],
            FlagChange::Add(SystemFlags::DELETED.into()),
            None,
        ),
    );
    let expunge = |uids: UidSet, deleted_only| Op::Expunge {
        mailbox,
        uids,
        deleted_only,
    };
    let vanished = |store: &H::Store, since| {
        let vanished = block_on(store.vanished(mailbox, since)).unwrap();
        (vanished.uids.to_string(), vanished.complete)
    };
    assert_eq!(vanished(&store, start), (String::new(), true));
    let one = ModSeq::new(start.value() + 2);
    let outcome = done(&store, expunge(set(&[1, 2, 3, 4]), true));
    assert_eq!(
        outcome,
        Outcome::Expunged {
            uids: set(&[2, 3]),
            mod_seq: one
        }
    );
    let outcome = done(&store, expunge(set(&[1, 4]), true));
    assert_eq!(
        outcome,
        Outcome::Expunged {
            uids: set(&[]),
            mod_seq: one
        }
    );
    done(&store, expunge(set(&[10, 12, 11]), false));
    let store = harness.reopen(store);
    assert_eq!(vanished(&store, start), ("2:3,10:12".into(), true));
    assert_eq!(vanished(&store, one), ("10:12".into(), true));
    assert_eq!(vanished(&store, ModSeq::new(999)), (String::new(), true));
    // The sixth makes the oldest go: what happened after it is still known whole.
    done(&store, expunge(set(&[15]), false));
    assert_eq!(vanished(&store, start), ("10:12,15".into(), false));
    assert_eq!(vanished(&store, one), ("10:12,15".into(), true));
    // So does time, and a clock that jumps back takes nothing.
    let at = |now, op| commit(&store, Batch::new(now).with(op)).unwrap();
    at(NOW - 5000, expunge(set(&[16]), false));
    let before = snapshot(&store, mailbox).highest_mod_seq;
    at(NOW + 101, expunge(set(&[17]), false));
    assert_eq!(vanished(&store, before), ("17".into(), true));
    assert_eq!(vanished(&store, one), ("17".into(), false));
    // More at once than the history holds: none of it is known.
    let before = snapshot(&store, mailbox).highest_mod_seq;
    done(&store, expunge(UidSet::all(), false));
    assert_eq!(vanished(&store, before), (String::new(), false));
    assert_eq!(vanished(&store, before.next()), (String::new(), true));
}

/// Pages are bounded and go on where they ended; `since` and the set of UIDs narrow them.
pub fn pages_go_on_where_they_ended<H: Harness>(harness: &mut H) {
    let store = harness.open(Limits::default());
    let mailbox = create(&store, "a");
    let blob = block_on(put(&store, b"body"));
    let batch = (0..50).fold(Batch::new(NOW), |batch, _| {
        batch.with(append_op(mailbox, &blob, Flags::new()))
    });
    commit(&store, batch).unwrap();
    done(
        &store,
        Op::Expunge {
            mailbox,
            uids: (uid(11)..=uid(20)).into(),
            deleted_only: false,
        },
    );
    let since = snapshot(&store, mailbox).highest_mod_seq;
    done(
        &store,
        flag(
            mailbox,
            &[3, 30, 31, 50],
            FlagChange::Add(SystemFlags::SEEN.into()),
            None,
        ),
    );
    let all_uids: Vec<u32> = (1..=10).chain(21..=50).collect();
    for limit in [1, 3, 7, 39, 40, 41, 1000] {
        assert_eq!(
            uids(&scan(&store, mailbox, Scan::all(Fields::NONE).limit(limit))),
            all_uids
        );
        let changed = scan(
            &store,
            mailbox,
            Scan::all(Fields::FLAGS).since(since).limit(limit),
        );
        assert_eq!(uids(&changed), [3, 30, 31, 50]);
        assert!(
            changed
                .iter()
                .all(|it| it.flags.contains(SystemFlags::SEEN) && it.mod_seq > since)
        );
        let some = Scan::new(set(&[1, 9, 10, 11, 21, 22, 31, 50, 51]), Fields::NONE);
        assert_eq!(
            uids(&scan(&store, mailbox, some.clone().limit(limit))),
            [1, 9, 10, 21, 22, 31, 50]
        );
        assert_eq!(
            uids(&scan(&store, mailbox, some.since(since).limit(limit))),
            [31, 50]
        );
    }
    let page = block_on(store.scan(mailbox, Scan::all(Fields::NONE).limit(2))).unwrap();
    assert_eq!(page.messages.len(), 2);
    assert_eq!(page.highest_mod_seq, snapshot(&store, mailbox).highest_mod_seq);
    assert_eq!(
        block_on(store.scan(mailbox, Scan::new(UidSet::new(), Fields::ALL)))
            .unwrap()
            .messages,
        []
    );

    // Only what was asked for is read.
    let first = |fields| scan(&store, mailbox, Scan::new(set(&[1]), fields)).remove(0);
    let bare = first(Fields::NONE);
    assert_eq!((bare.size(), bare.internal_date, bare.save_date), (0, 0, 0));
    assert!(bare.blob.is_none() && bare.index.is_empty() && bare.flags.is_empty());
    assert_eq!(first(Fields::SIZE).size(), 4);
    assert_eq!(first(Fields::DATES).save_date, NOW);
    assert_eq!(first(Fields::BLOB).blob, Some(blob.clone()));
    assert_eq!(first(Fields::INDEX).index, super::meta(&blob).index);
    assert_eq!(first(Fields::INDEX).blob, None);
}

/// Feeds tell their account's sessions of every change, joined, with the highest mod-sequence.
pub fn feeds_tell_of_changes<H: Harness>(harness: &mut H) {
    let store = harness.open(Limits::default());
    let mut early = store.subscribe(&bob());
    let mut alice = store.subscribe(&Account::new("alice@a.test"));
    let (a, b) = (create(&store, "a"), create(&store, "b"));
    let pairs = |changes: Vec<crate::Change>| -> Vec<_> {
        changes
            .into_iter()
            .map(|change| (change.mailbox, change.mod_seq.value()))
            .collect()
    };
    let mut expected = vec![(a, 1), (b, 1)];
    expected.sort_unstable();
    let told = block_on(early.changed()).unwrap();
    assert!(told.iter().all(|change| !change.messages_only), "{told:?}");
    assert_eq!(pairs(told), expected);
    let mut late = store.subscribe(&bob());
    append_some(&store, a, 3);
    refused(&store, create_op(&name("a")));
    // Nothing changes here, so nothing is told.
    done(
        &store,
        flag(b, &[1], FlagChange::Add(SystemFlags::SEEN.into()), None),
    );
    let told = block_on(late.changed()).unwrap();
    assert!(told.iter().all(|change| change.messages_only), "{told:?}");
    assert_eq!(pairs(told), [(a, 4)]);
    assert_eq!(pairs(early.take()), [(a, 4)]);
    assert!(early.take().is_empty());
    {
        let mut waiting = pin!(late.changed());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        done(
            &store,
            Op::Move {
                from: a,
                uids: set(&[1]),
                to: b,
            },
        );
        let Poll::Ready(Some(changes)) = waiting.as_mut().poll(&mut cx) else {
            panic!("no notice of the move")
        };
        let mut expected = vec![(a, 5), (b, 2)];
        expected.sort_unstable();
        assert!(changes.iter().all(|change| change.messages_only), "{changes:?}");
        assert_eq!(pairs(changes), expected);
    }
    done(
        &store,
        Op::RenameMailbox {
            account: bob(),
            from: name("b"),
            to: name("c"),
        },
    );
    append_some(&store, b, 1);
    let told = late.take();
    assert!(!told[0].messages_only, "the name of {told:?} has changed as well");
    assert_eq!(pairs(told), [(b, 3)], "a renamed mailbox is told of");
    done(
        &store,
        Op::DeleteMailbox {
            account: bob(),
            name: name("c"),
        },
    );
    assert_eq!(pairs(late.take()), [(b, 4)], "a deleted mailbox is told of too");
    assert_eq!(
        refused(&store, append_op(b, &block_on(put(&store, b"x")), Flags::new())),
        no_such_mailbox()
    );
    assert!(alice.take().is_empty(), "accounts do not hear of each other");
    drop(store);
    early.take();
    assert_eq!(block_on(early.changed()), None);
}

const fn no_such_mailbox() -> CommitError {
    CommitError::NoSuchMailbox { op: 0 }
}
