//! Threads, sort keys, text

use super::{Harness, NOW, all, block_on, bob, commit, create, done, name, put, scan};
use crate::{
    Account, Batch, Fields, Flags, Limits, MailboxId, MessageMeta, Op, Outcome, Scan, Store, ThreadId,
    ThreadKey, Threading, UidSet,
};

fn threading(id: &str, references: &[&str]) -> Threading {
    let key = |id: &str| ThreadKey::of(id.as_bytes());
    Threading::new(
        (!id.is_empty()).then(|| key(id)),
        references.iter().map(|it| key(it)),
    )
}

/// Appends a message and returns its thread.
fn append(store: &impl Store, mailbox: MailboxId, threading: Threading) -> ThreadId {
    let body = format!("{threading:?}");
    let blob = block_on(put(store, body.as_bytes()));
    let message = MessageMeta {
        threading,
        ..MessageMeta::default()
    };
    let (flags, internal_date) = (Flags::new(), NOW);
    done(
        store,
        Op::Append {
            mailbox,
            blob,
            message,
            flags,
            internal_date,
        },
    );
    threads(store, mailbox).pop().unwrap()
}

fn threads(store: &impl Store, mailbox: MailboxId) -> Vec<ThreadId> {
    let messages = scan(store, mailbox, Scan::all(Fields::THREAD));
    messages.into_iter().map(|it| it.thread).collect()
}

/// A message joins the oldest thread that knows it or what it refers to; copies and moves keep it; a thread is forgotten
/// with its last message; each account has its own.
pub fn replies_join_threads<H: Harness>(harness: &mut H) {
    let mut store = harness.open(Limits::default());
    let (inbox, archive) = (create(&store, "INBOX"), create(&store, "Archive"));
    let first = append(&store, inbox, threading("1@a", &[]));
    let reply = append(&store, inbox, threading("2@a", &["1@a"]));
    let other = append(&store, inbox, threading("3@a", &[]));
    let (none, nor_this) = (
        append(&store, inbox, threading("", &[])),
        append(&store, inbox, threading("", &[])),
    );
    assert_eq!(first, reply);
    assert!(first != other && other != none && none != nor_this);
    // An answer to one that is not here yet, then the one.
    let answer = append(&store, archive, threading("5@a", &["4@a"]));
    assert_eq!(append(&store, inbox, threading("4@a", &["2@elsewhere"])), answer);
    // One that refers to two threads joins the older, and a thread stays what it is.
    assert_eq!(append(&store, inbox, threading("6@a", &["3@a", "1@a"])), first);
    assert_eq!(append(&store, inbox, threading("7@a", &["3@a"])), other);

    let (from, uids, to) = (inbox, UidSet::all(), archive);
    done(&store, Op::Copy { from, uids, to });
    store = harness.reopen(store);
    assert_eq!(threads(&store, archive)[1..], threads(&store, inbox));
    // The keys are known as long as any copy is there.
    let expunge = |mailbox| Op::Expunge {
        mailbox,
        uids: UidSet::all(),
        deleted_only: false,
    };
    done(&store, expunge(inbox));
    assert_eq!(append(&store, inbox, threading("8@a", &["1@a"])), first);
    done(&store, expunge(inbox));
    let account = bob();
    let name = name("Archive");
    done(&store, Op::DeleteMailbox { account, name });
    let afresh = append(&store, inbox, threading("9@a", &["1@a"]));
    assert!(afresh > answer, "a number was given twice");

    // Another account's thread is another one, also of a copy.
    let alice = Account::new("alice@a.test");
    let op = Op::CreateMailbox {
        account: alice,
        name: crate::MailboxName::inbox(),
        special_use: None,
    };
    let Outcome::Created { mailbox: hers, .. } = done(&store, op) else {
        panic!("created")
    };
    let (from, uids, to) = (inbox, UidSet::all(), hers);
    done(&store, Op::Copy { from, uids, to });
    let copied = threads(&store, hers)[0];
    assert_ne!(copied, afresh);
    assert_eq!(append(&store, hers, threading("10@a", &["9@a"])), copied);
}

/// Index, sort keys, text, sketch and threading come back as they were given, for copies too.
pub fn messages_keep_what_was_computed_from_them<H: Harness>(harness: &mut H) {
    let mut store = harness.open(Limits::default());
    let inbox = create(&store, "INBOX");
    let mut batch = Batch::new(NOW);
    let mut metas = Vec::new();
    for n in 0..3 {
        let mut message = MessageMeta::new(format!("index {n}").into());
        message.sort_keys = format!("keys {n}").into();
        message.sketch = [b's'].repeat(n * 1000).into();
        message.text = (n > 0).then(|| "text".repeat(n * n * 10_000 - 10_000).into());
        message.threading = threading(&format!("{n}@a"), &["x@a"]);
        let blob = block_on(put(&store, format!("body {n}").as_bytes()));
        let (flags, internal_date, mailbox) = (Flags::new(), NOW, inbox);
        batch.push(Op::Append {
            mailbox,
            blob,
            message: message.clone(),
            flags,
            internal_date,
        });
        metas.push(message);
    }
    batch.push(Op::Copy {
        from: inbox,
        uids: UidSet::all(),
        to: inbox,
    });
    commit(&store, batch).unwrap();
    store = harness.reopen(store);
    let found = all(&store, inbox);
    let pairs = found.iter().zip(metas.iter().chain(&metas));
    assert_eq!(found.len(), 6);
    for (found, meta) in pairs {
        let MessageMeta {
            index,
            sort_keys,
            text,
            sketch,
            threading,
        } = meta;
        assert_eq!(
            (&found.index, &found.sort_keys, &found.text, &found.threading),
            (index, sort_keys, text, threading)
        );
        // A store need not keep it; what it gives is right.
        assert!(found.sketch.is_empty() || found.sketch == sketch);
        assert_eq!(found.thread, all(&store, inbox)[0].thread);
    }
    // What was not asked for is not given.
    let bare = &scan(&store, inbox, Scan::all(Fields::SORT))[2];
    assert_eq!(
        (&bare.sort_keys, &bare.text, bare.index.len() + bare.sketch.len()),
        (&metas[2].sort_keys, &None, 0)
    );
}
