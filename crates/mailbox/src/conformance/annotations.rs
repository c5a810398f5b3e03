//! Annotations, access control lists, accounts

use super::{Harness, append, append_op, block_on, bob, commit, create, done, name, put, refused};
use crate::{
    Account, AclEntry, Annotation, Batch, CommitError, EntryName, Flags, Identifier, Limits, MailboxId, Op,
    Outcome, Rights, Store, StoreError,
};

fn alice() -> Account {
    Account::new("alice@a.test")
}

fn annotate(account: &Account, mailbox: Option<MailboxId>, name: &str, value: Option<&'static str>) -> Op {
    Op::Annotate {
        account: account.clone(),
        mailbox,
        name: EntryName::parse(name).unwrap(),
        value: value.map(Into::into),
    }
}

fn share(mailbox: MailboxId, identifier: &str, rights: Rights) -> Op {
    let identifier = Identifier::new(identifier);
    Op::SetRights {
        mailbox,
        identifier,
        rights,
    }
}

/// Annotations belong to an account and a mailbox or the account itself, are listed by name, outlast a restart and a
/// rename, and go with their mailbox.
pub fn annotations_are_kept_with_their_mailbox<H: Harness>(harness: &mut H) {
    let limits = Limits {
        annotations_per_mailbox: 2,
        annotation_octets: 5,
        ..Limits::default()
    };
    let mut store = harness.open(limits);
    let work = create(&store, "Work");
    for (mailbox, name, value) in [
        (Some(work), "/shared/comment", Some("first")),
        (Some(work), "/PRIVATE/comment", Some("")),
        (Some(work), "/shared/comment", Some("other")),
        (None, "/shared/admin", Some("root")),
        (None, "/shared/gone", Some("soon")),
        (None, "/shared/gone", None),
        (None, "/shared/never", None),
    ] {
        assert_eq!(
            done(&store, annotate(&bob(), mailbox, name, value)),
            Outcome::Annotated
        );
    }
    done(
        &store,
        annotate(&alice(), Some(work), "/private/comment", Some("mine")),
    );
    let over = |op| CommitError::Limit { op: 0, limit: op };
    let third = annotate(&bob(), Some(work), "/private/third", Some("x"));
    assert_eq!(refused(&store, third), over("annotations of a mailbox"));
    let long = annotate(&bob(), Some(work), "/shared/comment", Some("sixsix"));
    assert_eq!(refused(&store, long), over("octets of an annotation"));
    let foreign = annotate(&alice(), Some(work), "/shared/comment", Some("x"));
    assert_eq!(refused(&store, foreign), CommitError::NoSuchMailbox { op: 0 });
    let nowhere = annotate(&bob(), Some(MailboxId::new(1 << 40)), "/private/x", None);
    assert_eq!(refused(&store, nowhere), CommitError::NoSuchMailbox { op: 0 });

    done(
        &store,
        Op::RenameMailbox {
            account: bob(),
            from: name("Work"),
            to: name("Job"),
        },
    );
    store = harness.reopen(store);
    let annotations = |account: &Account, mailbox| block_on(store.annotations(account, mailbox));
    let is = |name: &str, value: &'static str| Annotation::new(EntryName::parse(name).unwrap(), value.into());
    let of_work = [is("/private/comment", ""), is("/shared/comment", "other")];
    assert_eq!(annotations(&bob(), Some(work)).unwrap(), of_work);
    assert_eq!(annotations(&bob(), None).unwrap(), [is("/shared/admin", "root")]);
    assert_eq!(
        annotations(&alice(), Some(work)).unwrap(),
        [is("/private/comment", "mine")]
    );
    assert_eq!(annotations(&alice(), None).unwrap(), []);

    let (account, name) = (bob(), name("Job"));
    done(&store, Op::DeleteMailbox { account, name });
    assert_eq!(annotations(&bob(), Some(work)), Err(StoreError::NoSuchMailbox));
    assert_eq!(annotations(&bob(), None).unwrap(), [is("/shared/admin", "root")]);
}

/// Rights replace those before, an empty set ends them, and whoever is named finds the mailbox.
pub fn rights_are_given_and_found<H: Harness>(harness: &mut H) {
    let limits = Limits {
        identifiers_per_mailbox: 2,
        ..Limits::default()
    };
    let mut store = harness.open(limits);
    let (work, play) = (create(&store, "Work"), create(&store, "Play"));
    let both = Rights::READ | Rights::LOOKUP;
    for (mailbox, identifier, rights) in [
        (work, "anyone", Rights::POST),
        (work, "alice@a.test", Rights::ALL),
        (work, "alice@a.test", both),
        (play, "-alice@a.test", Rights::EXPUNGE),
        (play, "anyone", Rights::ALL),
        (play, "anyone", Rights::NONE),
        (play, "anyone", Rights::NONE),
    ] {
        assert_eq!(
            done(&store, share(mailbox, identifier, rights)),
            Outcome::RightsSet
        );
    }
    let full = CommitError::Limit {
        op: 0,
        limit: "identifiers of an access control list",
    };
    assert_eq!(refused(&store, share(work, "carol@c.test", both)), full);
    let nowhere = share(MailboxId::new(1 << 40), "anyone", both);
    assert_eq!(refused(&store, nowhere), CommitError::NoSuchMailbox { op: 0 });

    store = harness.reopen(store);
    let entry = |identifier, rights| AclEntry::new(Identifier::new(identifier), rights);
    let acl = block_on(store.acl(work)).unwrap();
    assert_eq!(acl, [entry("alice@a.test", both), entry("anyone", Rights::POST)]);
    assert_eq!(
        block_on(store.acl(play)).unwrap(),
        [entry("-alice@a.test", Rights::EXPUNGE)]
    );
    let found = |identifiers: &[&str]| {
        let identifiers: Vec<_> = identifiers.iter().map(|it| Identifier::new(*it)).collect();
        let shared = block_on(store.shared_with(&identifiers)).unwrap();
        assert!(shared.iter().all(|it| it.account == bob()));
        shared
            .into_iter()
            .map(|it| it.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&["anyone", "alice@a.test"]), ["Work"]);
    assert_eq!(found(&["-alice@a.test", "anyone"]), ["Work", "Play"]);
    assert_eq!((found(&["nobody"]).len(), found(&[]).len()), (0, 0));

    let (account, name) = (bob(), name("Work"));
    done(&store, Op::DeleteMailbox { account, name });
    assert_eq!(block_on(store.acl(work)), Err(StoreError::NoSuchMailbox));
    assert!(
        block_on(store.shared_with(&[Identifier::new("anyone")]))
            .unwrap()
            .is_empty()
    );
}

/// Accounts with mailboxes are listed; one that is removed leaves nothing but its last UIDVALIDITY.
pub fn accounts_are_listed_and_removed<H: Harness>(harness: &mut H) {
    let mut store = harness.open(Limits::default());
    let accounts = |store: &H::Store| block_on(store.accounts(None, 100)).unwrap();
    assert_eq!(accounts(&store), []);
    let first = create(&store, "INBOX");
    create(&store, "Work/Done");
    append(&store, first, b"one");
    let subscribe = Op::Subscribe {
        account: alice(),
        name: name("INBOX"),
        on: true,
    };
    done(&store, subscribe);
    done(&store, annotate(&bob(), None, "/private/x", Some("y")));
    assert_eq!(accounts(&store), [bob()], "a subscription alone makes no mail");
    let before = block_on(store.snapshot(first)).unwrap().uid_validity;
    let create_inbox = |account| Op::CreateMailbox {
        account,
        name: name("INBOX"),
        special_use: None,
    };
    done(&store, create_inbox(alice()));
    assert_eq!(accounts(&store), [alice(), bob()]);
    assert_eq!(block_on(store.accounts(Some(alice()), 1)).unwrap(), [bob()]);
    assert_eq!(block_on(store.accounts(None, 1)).unwrap(), [alice()]);

    let gone = done(&store, Op::RemoveAccount { account: bob() });
    assert_eq!(gone, Outcome::AccountRemoved { mailboxes: 2 });
    let again = done(&store, Op::RemoveAccount { account: bob() });
    assert_eq!(again, Outcome::AccountRemoved { mailboxes: 0 });
    store = harness.reopen(store);
    assert_eq!(accounts(&store), [alice()]);
    assert_eq!(block_on(store.usage(&bob())).unwrap().messages, 0);
    assert_eq!(block_on(store.annotations(&bob(), None)).unwrap(), []);
    assert_eq!(block_on(store.snapshot(first)), Err(StoreError::NoSuchMailbox));
    let committed = commit(&store, Batch::new(1).with(create_inbox(bob()))).unwrap();
    let Outcome::Created {
        mailbox: second,
        uid_validity,
    } = committed.outcomes[0]
    else {
        panic!("{committed:?}")
    };
    assert!(uid_validity > before, "{uid_validity} after {before}");
    // Whoever remembers the mailbox that is gone reaches none in its place.
    let blob = block_on(put(&store, b"two"));
    assert_eq!(
        refused(&store, append_op(first, &blob, Flags::new())),
        CommitError::NoSuchMailbox { op: 0 }
    );
    assert_eq!(block_on(store.snapshot(second)).unwrap().exists, 0);
}
