//! Mailboxes, subscriptions, batches, limits

use super::{
    Harness, NOW, all, append, append_op, block_on, bob, commit, create, create_op, done, name, names, put,
    refused, uid, uids,
};
use crate::{
    Account, Batch, CommitError, Flags, Keyword, Limits, MailboxId, ModSeq, Op, Outcome, Precondition,
    SpecialUse, SpoolKey, Store, StoreError, UidSet, Usage,
};

/// Mailboxes are there after they are created, by name, with what they are for; names are never used twice.
pub fn mailboxes_are_created_and_listed<H: Harness>(harness: &mut H) {
    let store = harness.open(Limits::default());
    assert!(names(&store).is_empty());
    let special_use = Some(SpecialUse::Sent);
    let sent = done(
        &store,
        Op::CreateMailbox {
            account: bob(),
            name: name("Sent"),
            special_use,
        },
    );
    let Outcome::Created {
        mailbox: sent,
        uid_validity,
    } = sent
    else {
        panic!("{sent:?}")
    };
    let inbox = create(&store, "inbox");
    let deep = create(&store, "a/b/c");
    assert!(sent != inbox && inbox != deep && sent != deep);
    assert_eq!(
        refused(&store, create_op(&name("Sent"))),
        CommitError::AlreadyExists { op: 0 }
    );
    assert_eq!(
        refused(&store, create_op(&name("InBoX"))),
        CommitError::AlreadyExists { op: 0 }
    );
    let parent = create(&store, "a/b");

    let store = harness.reopen(store);
    let listed = block_on(store.mailboxes(&bob())).unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|it| (it.name.as_str(), it.id, it.special_use, it.subscribed))
        .collect();
    let expected = [
        ("INBOX", inbox, None, false),
        ("Sent", sent, special_use, false),
        ("a/b", parent, None, false),
        ("a/b/c", deep, None, false),
    ];
    assert_eq!(listed, expected);
    let snapshot = block_on(store.snapshot(sent)).unwrap();
    assert_eq!((snapshot.account, snapshot.name), (bob(), name("Sent")));
    assert_eq!(
        (snapshot.uid_validity, snapshot.uid_next),
        (uid_validity, Some(uid(1)))
    );
    assert_eq!(
        (snapshot.exists, snapshot.unseen, snapshot.deleted, snapshot.size),
        (0, 0, 0, 0)
    );
    assert_eq!(snapshot.highest_mod_seq, ModSeq::ONE);
    let alice = Account::new("alice@a.test");
    assert!(
        block_on(store.mailboxes(&alice)).unwrap().is_empty(),
        "accounts do not see each other"
    );
    assert_eq!(
        block_on(store.snapshot(MailboxId::new(999))),
        Err(StoreError::NoSuchMailbox)
    );
}

/// INBOX cannot be deleted; renaming it moves its messages and nothing else (RFC 3501 §6.3.5).
pub fn inbox_has_its_own_rules<H: Harness>(harness: &mut H) {
    let store = harness.open(Limits::default());
    let rename = |from: &str, to: &str| Op::RenameMailbox {
        account: bob(),
        from: name(from),
        to: name(to),
    };
    assert_eq!(
        refused(&store, rename("INBOX", "old")),
        CommitError::NoSuchMailbox { op: 0 }
    );
    create(&store, "other");
    assert_eq!(
        refused(&store, rename("other", "inbox")),
        CommitError::AlreadyExists { op: 0 },
        "only creating it makes an INBOX"
    );
    done(
        &store,
        Op::DeleteMailbox {
            account: bob(),
            name: name("other"),
        },
    );
    let inbox = create(&store, "INBOX");
    create(&store, "INBOX/below");
    let delete = Op::DeleteMailbox {
        account: bob(),
        name: name("inbox"),
    };
    assert_eq!(refused(&store, delete), CommitError::InvalidName { op: 0 });
    append(&store, inbox, b"one");
    append(&store, inbox, b"two");
    done(
        &store,
        Op::Expunge {
            mailbox: inbox,
            uids: uid(1).into(),
            deleted_only: false,
        },
    );
    append(&store, inbox, b"three");
    let before = block_on(store.snapshot(inbox)).unwrap();

    let Outcome::Renamed { mailbox: Some(old) } = done(&store, rename("Inbox", "old/2023")) else {
        panic!()
    };
    let store = harness.reopen(store);
    assert_eq!(names(&store), ["INBOX", "INBOX/below", "old/2023"]);
    assert_ne!(old, inbox);
    let after = block_on(store.snapshot(inbox)).unwrap();
    assert_eq!((after.exists, after.size), (0, 0));
    assert_eq!(
        (after.uid_validity, after.uid_next),
        (before.uid_validity, before.uid_next)
    );
    let vanished = block_on(store.vanished(inbox, before.highest_mod_seq)).unwrap();
    assert_eq!(
        (vanished.uids.to_string(), vanished.complete),
        ("2:3".into(), true)
    );
    assert_eq!(uids(&all(&store, old)), [1, 2]);
    assert!(block_on(store.snapshot(old)).unwrap().uid_validity > before.uid_validity);
    assert_eq!(
        refused(&store, rename("INBOX", "old/2023")),
        CommitError::AlreadyExists { op: 0 }
    );
    assert_eq!(
        refused(&store, rename("old/2023", "INBOX")),
        CommitError::AlreadyExists { op: 0 }
    );
}

/// Renaming takes along all below, whether or not the name itself is a mailbox, and never overwrites.
pub fn renaming_takes_what_is_below_along<H: Harness>(harness: &mut H) {
    let store = harness.open(Limits::default());
    let rename = |from: &str, to: &str| Op::RenameMailbox {
        account: bob(),
        from: name(from),
        to: name(to),
    };
    let a = create(&store, "a");
    for mailbox in ["a/b", "a/b/a/b", "a-b", "a0", "c/d"] {
        create(&store, mailbox);
    }
    append(&store, a, b"stays");
    let before = block_on(store.snapshot(a)).unwrap();
    assert_eq!(
        done(&store, rename("a", "x/y")),
        Outcome::Renamed { mailbox: Some(a) }
    );
    assert_eq!(names(&store), ["a-b", "a0", "c/d", "x/y", "x/y/b", "x/y/b/a/b"]);
    let after = block_on(store.snapshot(a)).unwrap();
    assert_eq!(
        (after.uid_validity, after.uid_next, after.exists),
        (before.uid_validity, before.uid_next, 1)
    );
    assert_eq!(after.name, name("x/y"));
    // A level up, into names that are being given up: nothing is in the way but themselves.
    assert!(matches!(
        done(&store, rename("x/y/b", "x/z")),
        Outcome::Renamed { mailbox: Some(_) }
    ));
    assert_eq!(done(&store, rename("x", "w")), Outcome::Renamed { mailbox: None });
    assert_eq!(names(&store), ["a-b", "a0", "c/d", "w/y", "w/z", "w/z/a/b"]);
    assert!(matches!(
        done(&store, rename("w/z/a", "w/q")),
        Outcome::Renamed { mailbox: None }
    ));
    assert!(matches!(
        done(&store, rename("w/q/b", "w/q")),
        Outcome::Renamed { mailbox: Some(_) }
    ));

    let exists = CommitError::AlreadyExists { op: 0 };
    assert_eq!(refused(&store, rename("a0", "a-b")), exists);
    assert_eq!(
        refused(&store, rename("a0", "c")),
        exists,
        "c exists as a level above c/d"
    );
    assert_eq!(refused(&store, rename("a0", "a0")), exists);
    assert_eq!(
        refused(&store, rename("a0", "a0/b")),
        CommitError::InvalidName { op: 0 }
    );
    assert_eq!(
        refused(&store, rename("none", "new")),
        CommitError::NoSuchMailbox { op: 0 }
    );
    let long = "l".repeat(990);
    create(&store, "m/0123456789");
    assert_eq!(
        refused(&store, rename("m", &long)),
        CommitError::InvalidName { op: 0 }
    );
    let store = harness.reopen(store);
    assert_eq!(
        names(&store),
        ["a-b", "a0", "c/d", "m/0123456789", "w/q", "w/y", "w/z"]
    );
}

/// Deleting a mailbox removes its messages and nothing below it (RFC 9051 §6.3.5).
pub fn deleting_keeps_what_is_below<H: Harness>(harness: &mut H) {
    let store = harness.open(Limits::default());
    let delete = |mailbox: &str| Op::DeleteMailbox {
        account: bob(),
        name: name(mailbox),
    };
    let a = create(&store, "a");
    let b = create(&store, "a/b");
    append(&store, a, b"goes");
    append(&store, b, b"stays");
    assert_eq!(done(&store, delete("a")), Outcome::Deleted { mailbox: a });
    let store = harness.reopen(store);
    assert_eq!(names(&store), ["a/b"]);
    assert_eq!(block_on(store.snapshot(a)), Err(StoreError::NoSuchMailbox));
    assert_eq!(
        block_on(store.vanished(a, ModSeq::ZERO)),
        Err(StoreError::NoSuchMailbox)
    );
    assert_eq!(block_on(store.usage(&bob())), Ok(Usage::new(5, 1)));
    assert_eq!(refused(&store, delete("a")), CommitError::HasChildren { op: 0 });
    assert_eq!(refused(&store, delete("b")), CommitError::NoSuchMailbox { op: 0 });
    let again = create(&store, "a");
    assert_ne!(again, a, "ids are never given twice");
    assert!(all(&store, again).is_empty());
    done(&store, delete("a/b"));
    done(&store, delete("a"));
    assert!(names(&store).is_empty());
    assert_eq!(block_on(store.usage(&bob())), Ok(Usage::default()));
}

/// Subscriptions belong to names (RFC 9051 §6.3.7).
pub fn subscriptions_outlive_mailboxes<H: Harness>(harness: &mut H) {
    let store = harness.open(Limits::default());
    let subscribe = |mailbox: &str, on| Op::Subscribe {
        account: bob(),
        name: name(mailbox),
        on,
    };
    create(&store, "a");
    for mailbox in ["a", "never", "a"] {
        assert_eq!(done(&store, subscribe(mailbox, true)), Outcome::Subscribed);
    }
    assert!(block_on(store.mailboxes(&bob())).unwrap()[0].subscribed);
    done(
        &store,
        Op::DeleteMailbox {
            account: bob(),
            name: name("a"),
        },
    );
    let store = harness.reopen(store);
    assert_eq!(
        block_on(store.subscriptions(&bob())).unwrap(),
        [name("a"), name("never")]
    );
    create(&store, "a");
    done(
        &store,
        Op::RenameMailbox {
            account: bob(),
            from: name("a"),
            to: name("b"),
        },
    );
    assert!(!block_on(store.mailboxes(&bob())).unwrap()[0].subscribed);
    done(&store, subscribe("a", false));
    done(&store, subscribe("a", false));
    assert_eq!(block_on(store.subscriptions(&bob())).unwrap(), [name("never")]);
    assert!(
        block_on(store.subscriptions(&Account::new("alice")))
            .unwrap()
            .is_empty()
    );
}

/// Each UIDVALIDITY of an account is above all before it and not below the clock, wherever the clock goes.
pub fn uid_validity_never_comes_back<H: Harness>(harness: &mut H) {
    let mut store = harness.open(Limits::default());
    let mut last = 0;
    for (round, now) in [NOW, NOW, NOW + 1000, NOW - 1000, -5, 1 << 40, NOW + 2000]
        .into_iter()
        .enumerate()
    {
        let committed = commit(&store, Batch::new(now).with(create_op(&name("a")))).unwrap();
        let Outcome::Created { uid_validity, .. } = committed.outcomes[0] else {
            panic!("{committed:?}")
        };
        assert!(uid_validity.value() > last, "round {round}");
        assert!(now > i64::from(u32::MAX) || i64::from(uid_validity.value()) >= now);
        assert!(
            uid_validity.value() < u32::MAX - 1_000_000,
            "one wrong clock must not use up the values"
        );
        last = uid_validity.value();
        done(
            &store,
            Op::DeleteMailbox {
                account: bob(),
                name: name("a"),
            },
        );
        store = harness.reopen(store);
    }
}

/// A batch of which one operation is refused leaves no trace.
pub fn batches_are_applied_whole_or_not_at_all<H: Harness>(harness: &mut H) {
    let store = harness.open(Limits::default());
    let mailbox = create(&store, "a");
    append(&store, mailbox, b"first");
    let blob = block_on(put(&store, b"kept"));
    let committed = commit(
        &store,
        Batch::new(NOW).with(Op::SpoolPut {
            key: None,
            record: "r".into(),
            blob: Some(blob.clone()),
        }),
    );
    let Outcome::SpoolPut { key } = committed.unwrap().outcomes[0] else {
        panic!()
    };
    let before = (
        all(&store, mailbox),
        block_on(store.snapshot(mailbox)),
        block_on(store.usage(&bob())),
    );
    let spool = block_on(store.spool(None, 10)).unwrap();
    let none = MailboxId::new(4711);
    let copy = |from, to| Op::Copy {
        from,
        uids: UidSet::all(),
        to,
    };
    let refusals = [
        (create_op(&name("a")), CommitError::AlreadyExists { op: 8 }),
        (copy(mailbox, none), CommitError::NoSuchMailbox { op: 8 }),
        (copy(none, mailbox), CommitError::NoSuchMailbox { op: 8 }),
        (
            Op::SpoolRemove {
                key: SpoolKey::new(999),
            },
            CommitError::NoSuchSpoolEntry { op: 8 },
        ),
        (Op::SpoolRemove { key }, CommitError::NoSuchSpoolEntry { op: 8 }),
    ];
    for (last, error) in refusals {
        let flags = Flags::from(crate::SystemFlags::SEEN);
        let batch = Batch::new(NOW)
            .with(append_op(mailbox, &blob, Flags::new()))
            .with(create_op(&name("b")))
            .with(Op::RenameMailbox {
                account: bob(),
                from: name("b"),
                to: name("c"),
            })
            .with(Op::Subscribe {
                account: bob(),
                name: name("c"),
                on: true,
            })
            .with(Op::StoreFlags {
                mailbox,
                uids: UidSet::all(),
                change: crate::FlagChange::Add(flags),
                unchanged_since: None,
            })
            .with(Op::Move {
                from: mailbox,
                uids: UidSet::all(),
                to: mailbox,
            })
            .with(Op::Expunge {
                mailbox,
                uids: UidSet::all(),
                deleted_only: false,
            })
            .with(Op::SpoolRemove { key })
            .with(last);
        assert_eq!(commit(&store, batch), Err(error));
        assert_eq!(names(&store), ["a"]);
        assert!(block_on(store.subscriptions(&bob())).unwrap().is_empty());
        let after = (
            all(&store, mailbox),
            block_on(store.snapshot(mailbox)),
            block_on(store.usage(&bob())),
        );
        assert_eq!(after, before);
        assert_eq!(block_on(store.spool(None, 10)).unwrap(), spool);
        assert!(
            block_on(store.vanished(mailbox, ModSeq::ZERO))
                .unwrap()
                .uids
                .is_empty()
        );
    }
    let unchanged = |since| Precondition::Unchanged { mailbox, since };
    let highest = before.1.unwrap().highest_mod_seq;
    let batch = |since| {
        Batch::new(NOW)
            .with(append_op(mailbox, &blob, Flags::new()))
            .only_if(unchanged(since))
    };
    assert_eq!(
        commit(&store, batch(ModSeq::new(highest.value() - 1))),
        Err(CommitError::Conflict { mailbox })
    );
    let since = ModSeq::new(u64::MAX >> 1);
    let of_none = Precondition::Unchanged { mailbox: none, since };
    assert_eq!(
        commit(&store, batch(highest).only_if(of_none)),
        Err(CommitError::Conflict { mailbox: none }),
        "what is not there has changed"
    );
    let outcomes = commit(&store, batch(highest)).unwrap().outcomes;
    assert!(
        matches!(outcomes[..], [Outcome::Appended { uid: it, .. }] if it == uid(2)),
        "{outcomes:?}"
    );
    assert_eq!(commit(&store, Batch::new(NOW)).unwrap().outcomes, []);
}

/// Limits of the store and quotas of a batch refuse what would exceed them, and nothing else.
pub fn limits_and_quotas_are_kept<H: Harness>(harness: &mut H) {
    let limits = Limits {
        mailboxes_per_account: 2,
        subscriptions_per_account: 2,
        keywords_per_message: 2,
        ..Limits::default()
    };
    let store = harness.open(limits);
    let a = create(&store, "a");
    create(&store, "b");
    let over = |error: CommitError| matches!(error, CommitError::Limit { op: 0, .. });
    assert!(over(refused(&store, create_op(&name("c")))));
    for (mailbox, fits) in [("a", true), ("b", true), ("a", true), ("c", false)] {
        let op = Op::Subscribe {
            account: bob(),
            name: name(mailbox),
            on: true,
        };
        assert_eq!(
            commit(&store, Batch::new(NOW).with(op)).is_ok(),
            fits,
            "{mailbox}"
        );
    }
    let keywords = |n: usize| {
        (0..n)
            .filter_map(|i| Keyword::parse(&format!("k{i}")))
            .collect::<Flags>()
    };
    let blob = block_on(put(&store, b"12345678"));
    assert!(over(refused(&store, append_op(a, &blob, keywords(3)))));
    done(&store, append_op(a, &blob, keywords(2)));
    let change = crate::FlagChange::Add([Keyword::parse("other").unwrap()].into_iter().collect());
    let store_op = Op::StoreFlags {
        mailbox: a,
        uids: UidSet::all(),
        change,
        unchanged_since: None,
    };
    assert!(over(refused(&store, store_op)));

    let quota = |octets, messages| Precondition::Quota {
        account: bob(),
        octets,
        messages,
    };
    let more = |precondition| {
        Batch::new(NOW)
            .with(append_op(a, &blob, Flags::new()))
            .only_if(precondition)
    };
    let over_quota = Err(CommitError::OverQuota { account: bob() });
    assert_eq!(commit(&store, more(quota(Some(15), None))), over_quota);
    assert_eq!(commit(&store, more(quota(None, Some(1)))), over_quota);
    assert!(commit(&store, more(quota(Some(16), Some(2)))).is_ok());
    let less = Op::Expunge {
        mailbox: a,
        uids: uid(1).into(),
        deleted_only: false,
    };
    let less = Batch::new(NOW).with(less).only_if(quota(Some(1), Some(0)));
    assert!(
        commit(&store, less).is_ok(),
        "who is over the quota can still remove mail"
    );
    assert_eq!(block_on(store.usage(&bob())), Ok(Usage::new(8, 1)));
}
