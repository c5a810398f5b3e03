//! UID sets, names, flags, ids and feeds, as their documentation says.
#![allow(clippy::unwrap_used)] // Tests end at what goes wrong.

use std::{
    collections::{BTreeSet, hash_map::DefaultHasher},
    future::Future,
    hash::{Hash, Hasher},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use mailwright_mailbox::{
    Account, BlobHash, BlobHasher, Change, ChangeHub, Flags, Keyword, MailboxId, MailboxName, ModSeq,
    NameError, SpecialUse, SystemFlags, Uid, UidSet, UidValidity,
};
use proptest::prelude::*;

fn uid(uid: u32) -> Uid {
    Uid::new(uid).unwrap()
}

fn name(name: &str) -> MailboxName {
    MailboxName::parse(name).unwrap()
}

/// Small UIDs, so that ranges touch and overlap, and the highest, where sums overflow.
fn uids() -> impl Strategy<Value = u32> {
    prop_oneof![1..40_u32, (u32::MAX - 20)..=u32::MAX]
}

fn members(set: &UidSet) -> BTreeSet<u32> {
    set.iter().map(Uid::value).collect()
}

fn assert_canonical(set: &UidSet) {
    let ranges: Vec<_> = set
        .ranges()
        .map(|range| (range.start().value(), range.end().value()))
        .collect();
    assert!(ranges.iter().all(|(first, last)| first <= last), "{set}");
    assert!(
        ranges
            .windows(2)
            .all(|pair| u64::from(pair[0].1) + 1 < u64::from(pair[1].0)),
        "{set}"
    );
}

proptest! {
    #[test]
    fn uid_sets_are_sets(steps in prop::collection::vec((0..3_u8, uids(), uids()), 0..60)) {
        let (mut set, mut expected) = (UidSet::new(), BTreeSet::new());
        for (step, a, b) in steps {
            // A range across the whole space has too many members to list.
            let near = a.abs_diff(b) < 100;
            match step {
                0 => prop_assert_eq!(set.remove(uid(a)), expected.remove(&a)),
                1 if near => {
                    set.insert_range(uid(a), uid(b));
                    expected.extend(a.min(b)..=a.max(b));
                }
                _ => {
                    set.insert(uid(a));
                    expected.insert(a);
                }
            }
            assert_canonical(&set);
            prop_assert_eq!(&members(&set), &expected);
            prop_assert_eq!(set.contains(uid(b)), expected.contains(&b));
        }
        prop_assert_eq!(set.len(), expected.len() as u64);
        prop_assert_eq!(set.first().map(Uid::value), expected.first().copied());
        prop_assert_eq!(set.last().map(Uid::value), expected.last().copied());
        prop_assert_eq!(set.is_empty(), expected.is_empty());
        let backwards: Vec<_> = set.iter().rev().map(Uid::value).collect();
        prop_assert_eq!(backwards, expected.iter().rev().copied().collect::<Vec<_>>());
        prop_assert_eq!(expected.into_iter().map(uid).collect::<UidSet>(), set);
    }

    #[test]
    fn uid_sets_combine(a in prop::collection::btree_set(uids(), 0..40), b in prop::collection::btree_set(uids(), 0..40)) {
        let set = |of: &BTreeSet<u32>| of.iter().copied().map(uid).collect::<UidSet>();
        let (x, y) = (set(&a), set(&b));
        for (found, expected) in [
            (x.union(&y), &a | &b),
            (x.intersection(&y), &a & &b),
            (x.difference(&y), &a - &b),
        ] {
            assert_canonical(&found);
            prop_assert_eq!(members(&found), expected);
        }
        prop_assert_eq!(x.intersection(&UidSet::all()), x.clone());
        prop_assert_eq!(UidSet::all().difference(&x).union(&x), UidSet::all());
        prop_assert!(x.difference(&UidSet::all()).is_empty());
    }

    #[test]
    fn names_that_parse_are_printable_and_parse_again(text in "\\PC{0,8}(/\\PC{0,5}){0,3}|[iI][nN][bB][oO][xX](/a)?|.{0,6}") {
        if let Ok(it) = MailboxName::parse(&text) {
            prop_assert!(!it.as_str().chars().any(char::is_control));
            prop_assert_eq!(MailboxName::parse(it.as_str()), Ok(it.clone()));
            prop_assert!(it.parent().is_none_or(|parent| it.is_below(&parent)));
        }
    }
}

#[test]
fn uid_sets_print_as_sequence_sets() {
    let set: UidSet = [4, 1, 2, 3, 9].into_iter().map(uid).collect();
    assert_eq!(set.to_string(), "1:4,9");
    assert_eq!(UidSet::new().to_string(), "");
    assert_eq!(UidSet::all().to_string(), "1:4294967295");
    assert_eq!(UidSet::all().len(), u64::from(u32::MAX));
    assert_eq!(UidSet::from(uid(4)..=uid(2)), UidSet::from(uid(2)..=uid(4)));
}

#[test]
fn names_keep_the_rules_of_names() {
    for (text, error) in [
        ("", NameError::Empty),
        ("a//b", NameError::Level),
        ("/a", NameError::Level),
        ("a/", NameError::Level),
        ("a/../b", NameError::Level),
        (".", NameError::Level),
        ("a*", NameError::Character),
        ("50%", NameError::Character),
        ("a\u{7f}", NameError::Character),
        ("a\r\nb", NameError::Character),
        ("a\u{85}", NameError::Character),
        (&"a".repeat(1001), NameError::TooLong),
        (&"a/".repeat(50).repeat(2)[..101], NameError::TooDeep),
    ] {
        assert_eq!(MailboxName::parse(text), Err(error), "{text:?}");
    }
    assert_eq!(name("iNbOx"), MailboxName::inbox());
    assert!(name("inbox").is_inbox() && !name("inbox/a").is_inbox() && !name("inboxes").is_inbox());
    assert_eq!(name("inbox/Inbox").as_str(), "INBOX/Inbox");
    assert_eq!(name("Ä/ö").parent(), Some(name("Ä")));
    assert!(
        name("a/b").is_below(&name("a"))
            && !name("ab").is_below(&name("a"))
            && !name("a").is_below(&name("a"))
    );
    assert_eq!(
        name("a/b/c").rebased(&name("a"), &name("x/y")),
        Some(name("x/y/b/c"))
    );
    assert_eq!(name("a").rebased(&name("a"), &name("x")), Some(name("x")));
    assert_eq!(name("ab").rebased(&name("a"), &name("x")), None);
    assert_eq!(name("a/b").rebased(&name("a"), &name(&"x".repeat(999))), None);
    for it in SpecialUse::EACH {
        assert_eq!(SpecialUse::from_name(&it.name().to_uppercase()), Some(it));
    }
    assert_eq!(SpecialUse::from_name("Inbox"), None);
}

#[test]
fn keywords_are_atoms_of_any_case() {
    for bad in [
        "",
        "a b",
        "a(",
        "a)",
        "a{",
        "50%",
        "*",
        "\"",
        "\\Seen",
        "a]",
        "ä",
        "a\n",
        &"k".repeat(129),
    ] {
        assert!(Keyword::parse(bad).is_none(), "{bad:?}");
    }
    let (a, b) = (
        Keyword::parse("$Forwarded").unwrap(),
        Keyword::parse("$FORWARDED").unwrap(),
    );
    let hash = |keyword: &Keyword| {
        let mut hasher = DefaultHasher::new();
        keyword.hash(&mut hasher);
        hasher.finish()
    };
    assert_eq!((&a, hash(&a)), (&b, hash(&b)));
    let mut flags: Flags = [b.clone(), a.clone()].into_iter().collect();
    assert_eq!(flags.keywords()[0].as_str(), "$FORWARDED");
    assert!(flags.has_keyword(&a) && !flags.contains(SystemFlags::SEEN));
    flags.insert(SystemFlags::SEEN | SystemFlags::DRAFT);
    assert!(flags.contains(SystemFlags::DRAFT) && !flags.contains(SystemFlags::ALL) && !flags.is_empty());
    assert_eq!(SystemFlags::from_bits(0xff), SystemFlags::ALL);
}

#[test]
fn ids_have_their_bounds() {
    assert_eq!(
        (Uid::new(0), Uid::MAX.next(), uid(1).next()),
        (None, None, Some(uid(2)))
    );
    let after =
        |previous: u32, now| UidValidity::after(UidValidity::new(previous), now).map(UidValidity::value);
    assert_eq!(after(0, 1000), Some(1000));
    assert_eq!(after(1000, 1000), Some(1001));
    assert_eq!(after(2000, -7), Some(2001));
    assert_eq!(after(7, i64::MAX), Some(8), "a clock beyond 2106 counts on");
    assert_eq!(after(u32::MAX, 0), None);
    assert_eq!(format!("{}", Account::new("bob\r\nX: y")), "bob\\r\\nX: y");
}

#[test]
fn hashes_are_those_of_sha_256() {
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(BlobHash::of(b"abc").to_string(), abc);
    let mut hasher = BlobHasher::new();
    hasher.update(b"a");
    hasher.update(b"bc");
    assert_eq!(hasher.finish(), BlobHash::of(b"abc"));
}

#[test]
fn feeds_join_notices_and_wake_their_readers() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    let mut cx = Context::from_waker(&waker);
    let (hub, bob) = (ChangeHub::new(), Account::new("bob"));
    let change = |mailbox, mod_seq| Change::new(MailboxId::new(mailbox), ModSeq::new(mod_seq));
    let (mut feed, mut other) = (hub.subscribe(&bob), hub.subscribe(&bob));
    assert!(pin!(feed.changed()).poll(&mut cx).is_pending());
    hub.publish(&Account::new("alice"), [change(1, 9)]);
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
    hub.publish(&bob, [change(2, 5), change(1, 3)]);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    // A late notice of an earlier change does not take the later one's place.
    hub.publish(&bob, [change(2, 4)]);
    assert_eq!(
        pin!(feed.changed()).poll(&mut cx),
        Poll::Ready(Some(vec![change(1, 3), change(2, 5)]))
    );
    assert!(pin!(feed.changed()).poll(&mut cx).is_pending());
    drop(other.take());
    drop(other);
    hub.publish(&bob, [change(1, 6)]);
    drop(hub);
    assert_eq!(
        pin!(feed.changed()).poll(&mut cx),
        Poll::Ready(Some(vec![change(1, 6)])),
        "nothing told is lost"
    );
    assert_eq!(pin!(feed.changed()).poll(&mut cx), Poll::Ready(None));
}
