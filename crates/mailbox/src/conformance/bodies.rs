//! Bodies and the spool

use bytes::Bytes;

use super::{Harness, NOW, all, append_op, block_on, commit, create, done, put, read, refused, uid};
use crate::{
    Batch, BlobHash, BlobRef, BlobWriter, CommitError, Flags, Limits, Op, Outcome, SpoolKey, Store,
    StoreError, UidSet,
};

fn body(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 7 + i / 253) as u8).collect()
}

/// Bodies of any length are what they were, before their commit, after it, and after a restart.
pub fn bodies_read_back_in_whole_and_in_parts<H: Harness>(harness: &mut H) {
    const K: usize = 1024;
    let sizes = [0, 1, 4 * K, 64 * K - 1, 64 * K, 64 * K + 1, 128 * K, 700 * K + 3];
    let store = harness.open(Limits::default());
    let mailbox = create(&store, "a");
    for size in sizes {
        let blob = block_on(put(&store, &body(size)));
        assert_eq!(
            (blob.size(), *blob.hash()),
            (size as u64, BlobHash::of(&body(size)))
        );
        assert!(
            read(&store, &blob) == body(size),
            "{size} octets, before the commit"
        );
        done(&store, append_op(mailbox, &blob, Flags::new()));
    }
    let store = harness.reopen(store);
    for (message, size) in all(&store, mailbox).iter().zip(sizes) {
        let blob = message.blob.as_ref().unwrap();
        assert_eq!(
            (message.size(), blob.size(), *blob.hash()),
            (size as u64, size as u64, BlobHash::of(&body(size)))
        );
        assert!(read(&store, blob) == body(size), "{size} octets, after a restart");
        for from in [
            0,
            1,
            64 * K - 1,
            64 * K,
            65 * K + 17,
            size.saturating_sub(1),
            size,
            size + 1,
            usize::MAX,
        ] {
            for length in [0, 1, 100, 64 * K, 1000 * K] {
                let to = from.saturating_add(length);
                let part = block_on(store.read_blob(blob, from as u64..to as u64)).unwrap();
                let expected = body(size).get(from.min(size)..to.min(size)).unwrap().to_vec();
                assert!(
                    part.len() <= 256 * K && expected.starts_with(&part),
                    "{size}: {from}..{to}"
                );
                assert_eq!(part.is_empty(), expected.is_empty(), "{size}: {from}..{to}");
            }
        }
    }
}

/// Several bodies are read at once as each is read alone, and one that is not there takes nothing from the others.
pub fn bodies_are_read_together_as_they_are_alone<H: Harness>(harness: &mut H) {
    let store = harness.open(Limits::default());
    let mailbox = create(&store, "a");
    const K: usize = 1024;
    let sizes = [0, 1, 5000, 64 * K, 64 * K + 1, 300 * K];
    for size in sizes {
        let blob = block_on(put(&store, &body(size)));
        done(&store, append_op(mailbox, &blob, Flags::new()));
    }
    let pinned = block_on(put(&store, &body(7000)));
    let mut blobs: Vec<_> = all(&store, mailbox)
        .iter()
        .map(|message| message.blob.clone().expect("asked for"))
        .collect();
    blobs.insert(2, BlobRef::new(BlobHash::of(b"never given"), 11));
    blobs.push(pinned);
    for range in [0..u64::MAX, 0..100, 10..10, 4000..6000, 64 * K as u64..70_000] {
        let wanted: Vec<_> = blobs.iter().map(|blob| (blob.clone(), range.clone())).collect();
        let alone: Vec<_> = blobs
            .iter()
            .map(|blob| block_on(store.read_blob(blob, range.clone())))
            .collect();
        assert_eq!(block_on(store.read_blobs(&wanted)), alone, "{range:?}");
        assert!(alone.iter().filter(|octets| octets.is_ok()).count() >= 7);
    }
    assert_eq!(block_on(store.read_blobs(&[])), []);
}

/// A body lives as long as a message, a spool entry or the writer's own reference, and no longer.
pub fn bodies_are_shared_and_dropped_with_their_last_reference<H: Harness>(harness: &mut H) {
    for size in [10, 100_000] {
        let store = harness.open(Limits::default());
        let (a, b) = (create(&store, "a"), create(&store, "b"));
        let blob = block_on(put(&store, &body(size)));
        let batch = Batch::new(NOW)
            .with(append_op(a, &blob, Flags::new()))
            .with(append_op(b, &blob, Flags::new()));
        commit(&store, batch).unwrap();
        drop(blob);
        let kept = all(&store, a)[0].blob.clone().unwrap();
        done(
            &store,
            Op::Expunge {
                mailbox: a,
                uids: UidSet::all(),
                deleted_only: false,
            },
        );
        let store = harness.reopen(store);
        assert!(
            read(&store, &kept) == body(size),
            "the other mailbox still has it"
        );
        let spooled = Op::SpoolPut {
            key: None,
            record: Bytes::new(),
            blob: Some(kept.clone()),
        };
        let Outcome::SpoolPut { key } = done(&store, spooled) else {
            panic!()
        };
        done(
            &store,
            Op::Copy {
                from: b,
                uids: UidSet::all(),
                to: a,
            },
        );
        done(
            &store,
            Op::DeleteMailbox {
                account: super::bob(),
                name: super::name("b"),
            },
        );
        done(
            &store,
            Op::Expunge {
                mailbox: a,
                uids: UidSet::all(),
                deleted_only: false,
            },
        );
        assert!(read(&store, &kept) == body(size), "the spool still has it");
        done(&store, append_op(a, &kept, Flags::new()));
        assert_eq!(all(&store, a)[0].index, super::meta(&kept).index);
        done(&store, Op::SpoolRemove { key });
        assert!(
            read(&store, &kept) == body(size),
            "the message made of the spooled one has it"
        );
        done(
            &store,
            Op::Expunge {
                mailbox: a,
                uids: UidSet::all(),
                deleted_only: false,
            },
        );
        assert_eq!(
            block_on(store.read_blob(&kept, 0..1)),
            Err(StoreError::NoSuchBlob)
        );
        assert_eq!(
            refused(&store, append_op(a, &kept, Flags::new())),
            CommitError::NoSuchBlob { op: 0 }
        );

        // A batch sees what it has done itself: what it took the last message of is gone, what it links stays.
        let blob = block_on(put(&store, &body(size)));
        done(&store, append_op(a, &blob, Flags::new()));
        let kept = blob.unpinned();
        drop(blob);
        let expunge = Op::Expunge {
            mailbox: a,
            uids: UidSet::all(),
            deleted_only: false,
        };
        let (before, link) = (all(&store, a), append_op(a, &kept, Flags::new()));
        let batch = Batch::new(NOW).with(expunge.clone()).with(link.clone());
        assert_eq!(commit(&store, batch), Err(CommitError::NoSuchBlob { op: 1 }));
        assert_eq!(all(&store, a), before);
        let first = Op::Expunge {
            mailbox: a,
            uids: before[0].uid.into(),
            deleted_only: false,
        };
        commit(&store, Batch::new(NOW).with(link).with(first)).unwrap();
        assert!(read(&store, &kept) == body(size));
        done(&store, expunge);

        // A message can be made of what came in through the spool.
        let blob = block_on(put(&store, &body(size)));
        let spooled = Op::SpoolPut {
            key: None,
            record: Bytes::new(),
            blob: Some(blob.clone()),
        };
        let Outcome::SpoolPut { key } = done(&store, spooled) else {
            panic!()
        };
        done(&store, append_op(a, &blob, Flags::new()));
        assert_eq!(all(&store, a)[0].index, super::meta(&blob).index);
        done(&store, Op::SpoolRemove { key });
        done(
            &store,
            Op::Expunge {
                mailbox: a,
                uids: UidSet::all(),
                deleted_only: false,
            },
        );

        // The writer's reference outlasts messages that come and go.
        let blob = block_on(put(&store, &body(size)));
        for _ in 0..2 {
            done(&store, append_op(a, &blob, Flags::new()));
            done(
                &store,
                Op::Expunge {
                    mailbox: a,
                    uids: UidSet::all(),
                    deleted_only: false,
                },
            );
            assert!(read(&store, &blob) == body(size));
        }
        done(&store, append_op(a, &blob, Flags::new()));
        drop(blob);
        let mut abandoned = store.new_blob();
        block_on(abandoned.write(body(size * 3).into())).unwrap();
        drop(abandoned);
        let store = harness.reopen(store);
        let message = all(&store, a).remove(0);
        assert_eq!(message.uid, uid(9));
        assert!(read(&store, &message.blob.unwrap()) == body(size));
        let foreign = BlobRef::new(BlobHash::of(b"never given"), 11);
        assert_eq!(
            refused(&store, append_op(a, &foreign, Flags::new())),
            CommitError::NoSuchBlob { op: 0 }
        );
        let queue = Op::SpoolPut {
            key: None,
            record: "record".into(),
            blob: Some(foreign.clone()),
        };
        assert_eq!(refused(&store, queue), CommitError::NoSuchBlob { op: 0 });
        assert_eq!(
            block_on(store.read_blob(&foreign, 0..1)),
            Err(StoreError::NoSuchBlob)
        );
    }
}

/// Spool entries keep their bytes and their order, and their keys are never used again.
pub fn spool_entries_last_until_they_are_removed<H: Harness>(harness: &mut H) {
    let store = harness.open(Limits::default());
    let blob = block_on(put(&store, b"queued"));
    let spool = |key, record: &'static str, blob| Op::SpoolPut {
        key,
        record: Bytes::from_static(record.as_bytes()),
        blob,
    };
    let mut keys: Vec<SpoolKey> = Vec::new();
    for record in ["one", "two", "three", "four"] {
        let Outcome::SpoolPut { key } = done(&store, spool(None, record, Some(blob.clone()))) else {
            panic!()
        };
        assert!(keys.last().is_none_or(|last| *last < key));
        keys.push(key);
    }
    assert_eq!(
        done(&store, spool(Some(keys[1]), "changed", Some(blob.clone()))),
        Outcome::SpoolPut { key: keys[1] }
    );
    assert_eq!(
        done(&store, spool(Some(keys[2]), "bare", None)),
        Outcome::SpoolPut { key: keys[2] }
    );
    assert_eq!(
        done(&store, Op::SpoolRemove { key: keys[3] }),
        Outcome::SpoolRemoved
    );
    drop(blob);
    let store = harness.reopen(store);
    let entries = block_on(store.spool(None, 100)).unwrap();
    let found: Vec<_> = entries
        .iter()
        .map(|it| (it.key, &it.record[..], it.blob.is_some()))
        .collect();
    assert_eq!(
        found,
        [
            (keys[0], &b"one"[..], true),
            (keys[1], b"changed", true),
            (keys[2], b"bare", false)
        ]
    );
    assert_eq!(read(&store, entries[0].blob.as_ref().unwrap()), b"queued");
    let some = |after, limit| -> Vec<_> {
        block_on(store.spool(after, limit))
            .unwrap()
            .iter()
            .map(|it| it.key)
            .collect()
    };
    assert_eq!(some(Some(keys[0]), 1), keys[1..2]);
    assert_eq!(some(Some(keys[2]), 9), []);
    let missing = CommitError::NoSuchSpoolEntry { op: 0 };
    assert_eq!(refused(&store, Op::SpoolRemove { key: keys[3] }), missing);
    assert_eq!(refused(&store, spool(Some(keys[3]), "again", None)), missing);
    let Outcome::SpoolPut { key } = done(&store, spool(None, "five", None)) else {
        panic!()
    };
    assert!(key > keys[3], "the key of a removed entry came back");
}
