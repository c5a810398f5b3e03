//! UIDs that messages had elsewhere

use super::{Harness, append, block_on, create, done, name, refused, uid};
use crate::{Account, CommitError, Limits, MailboxId, Op, Outcome, Store, Uid, UidValidity};

/// A fresh mailbox takes over UIDVALIDITY and UIDs; one that has given UIDs leaves gaps, and keeps its UIDVALIDITY.
pub fn uids_from_elsewhere_are_taken_over<H: Harness>(harness: &mut H) {
    let store = harness.open(Limits::default());
    let mailbox = create(&store, "a");
    let validity = |it: u32| UidValidity::new(it).unwrap();
    assert_eq!(
        adopt(&store, mailbox, Some(validity(77)), 40),
        (validity(77), Some(uid(40)))
    );
    assert_eq!(append(&store, mailbox, b"x"), uid(40));
    let store = harness.reopen(store);
    assert_eq!(
        adopt(&store, mailbox, Some(validity(78)), 45),
        (validity(77), Some(uid(45)))
    );
    assert_eq!(
        adopt(&store, mailbox, None, 3),
        (validity(77), Some(uid(45))),
        "never back"
    );
    assert_eq!(append(&store, mailbox, b"y"), uid(45));
    let store = harness.reopen(store);
    let snapshot = block_on(store.snapshot(mailbox)).unwrap();
    assert_eq!(
        (snapshot.uid_validity, snapshot.uid_next, snapshot.exists),
        (validity(77), Some(uid(46)), 2)
    );

    // What is far ahead of the account's own is taken, and left behind by those that follow.
    let high = UidValidity::MOST_ADOPTED;
    let next = create(&store, "b");
    assert_eq!(adopt(&store, next, Some(high), 1), (high, Some(Uid::MIN)));
    let third = create(&store, "c");
    let own = block_on(store.snapshot(third)).unwrap().uid_validity;
    assert_eq!(own, validity(high.value() + 1));
    assert_eq!(
        adopt(&store, third, UidValidity::new(u32::MAX), 1),
        (own, Some(Uid::MIN)),
        "beyond what is taken"
    );
    let adopt = Op::AdoptUids {
        mailbox: MailboxId::new(1 << 50),
        uid_validity: None,
        uid_next: uid(9),
    };
    assert_eq!(refused(&store, adopt), CommitError::NoSuchMailbox { op: 0 });
    let account = Account::new("bob@b.test");
    let listed = block_on(store.mailboxes(&account)).unwrap();
    assert!(listed.iter().any(|it| it.name == name("b") && it.id == next));
}

fn adopt(
    store: &impl Store,
    mailbox: MailboxId,
    uid_validity: Option<UidValidity>,
    uid_next: u32,
) -> (UidValidity, Option<Uid>) {
    let adopted = done(
        store,
        Op::AdoptUids {
            mailbox,
            uid_validity,
            uid_next: uid(uid_next),
        },
    );
    match adopted {
        Outcome::UidsAdopted {
            uid_validity,
            uid_next,
        } => (uid_validity, uid_next),
        other => panic!("{other:?}"),
    }
}
