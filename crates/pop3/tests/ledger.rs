//! Leaving mail on the server: what is fetched, what is deleted, and what is kept as text.

use mailwright_pop3::{Keep, Ledger, LedgerError};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const DAY: u64 = 86_400;

/// A session that fetches all that it should.
fn session(ledger: &mut Ledger, listing: &[(u32, &str)], keep: Keep, now: u64) -> (Vec<u32>, Vec<u32>) {
    let plan = ledger.plan(listing.iter().copied(), keep, now);
    for (message, uid) in listing {
        if plan.fetch.contains(message) {
            ledger.fetched(uid, now);
        }
    }
    (plan.fetch, plan.delete)
}

#[test]
fn each_message_is_fetched_once_and_deleted_in_time() {
    let mut ledger = Ledger::new();
    let keep = Keep::Days(2);
    assert_eq!(
        session(&mut ledger, &[(1, "b"), (2, "a")], keep, 0),
        (vec![1, 2], vec![])
    );
    let later = [(1, "b"), (2, "a"), (3, "c")];
    assert_eq!(session(&mut ledger, &later, keep, DAY), (vec![3], vec![]));
    assert_eq!(session(&mut ledger, &later, keep, 2 * DAY - 1), (vec![], vec![]));
    assert_eq!(session(&mut ledger, &later, keep, 2 * DAY), (vec![], vec![1, 2]));
    assert_eq!(
        session(&mut ledger, &later, Keep::Forever, 900 * DAY),
        (vec![], vec![])
    );
    assert_eq!(
        session(&mut ledger, &later, Keep::No, 900 * DAY),
        (vec![], vec![1, 2, 3])
    );
    // A clock that goes back deletes nothing.
    assert_eq!(session(&mut ledger, &later, keep, 0), (vec![], vec![]));
}

#[test]
fn what_is_gone_for_long_is_forgotten() {
    let mut ledger = Ledger::new();
    let both = [(1, "a"), (2, "b")];
    session(&mut ledger, &both, Keep::Forever, 0);
    session(&mut ledger, &[(1, "b")], Keep::Forever, 29 * DAY);
    assert!(
        ledger.contains("a"),
        "a server may lose sight of a message for a while"
    );
    assert_eq!(
        session(&mut ledger, &both, Keep::Forever, 29 * DAY + 1),
        (vec![], vec![])
    );
    session(&mut ledger, &[(1, "b")], Keep::Forever, 60 * DAY);
    assert!(!ledger.contains("a") && ledger.contains("b"));
    assert_eq!((ledger.len(), ledger.is_empty()), (1, false));
}

#[test]
fn a_unique_id_that_is_not_unique_loses_nothing() {
    let mut ledger = Ledger::new();
    assert_eq!(session(&mut ledger, &[(1, "x")], Keep::Forever, 0).0, [1]);
    let twice = [(1, "x"), (2, "x")];
    assert_eq!(session(&mut ledger, &twice, Keep::No, 1), (vec![1, 2], vec![]));
    assert_eq!(session(&mut ledger, &twice, Keep::Forever, 2).0, [0; 0]);
    let thrice = [(1, "x"), (2, "x"), (3, "x")];
    assert_eq!(session(&mut ledger, &thrice, Keep::Forever, 3).0, [1, 2, 3]);
    // One goes, and another one comes.
    assert_eq!(session(&mut ledger, &twice, Keep::Forever, 4).0, [0; 0]);
    assert_eq!(session(&mut ledger, &thrice, Keep::Forever, 5).0, [1, 2, 3]);
    // A message that was not fetched to its end is fetched again, and its like with it.
    let mut ledger = Ledger::new();
    ledger.plan(twice, Keep::No, 0);
    ledger.fetched("x", 0);
    assert_eq!(session(&mut ledger, &twice, Keep::No, 1), (vec![1, 2], vec![]));
}

#[test]
fn text_that_is_none() {
    for (text, line) in [
        ("nonsense", 1),
        ("mailwright fetched messages 2\n", 1),
        ("mailwright fetched messages 1\n1 1 1\n", 2),
        ("mailwright fetched messages 1\n1 1 1 \n", 2),
        ("mailwright fetched messages 1\n1 1 1 a\n\nx 1 1 a\n", 4),
        ("mailwright fetched messages 1\n1 1 -1 a\n", 2),
        ("mailwright fetched messages 1\n1 1 1 %\n", 2),
        ("mailwright fetched messages 1\n1 1 1 %4\n", 2),
        ("mailwright fetched messages 1\n1 1 1 %zz\n", 2),
        ("mailwright fetched messages 1\n1 1 1 %ff\n", 2),
        ("mailwright fetched messages 1\n1 1 1 a b\n", 2),
    ] {
        let error = text.parse::<Ledger>().expect_err(text);
        assert_eq!(error.line, line, "{text:?}");
        assert!(error.to_string().starts_with(&format!("line {line} ")));
    }
    assert_eq!("".parse::<Ledger>(), Ok(Ledger::new()));
    assert_eq!(
        "mailwright fetched messages 1".parse::<Ledger>(),
        Ok(Ledger::new())
    );
    let _: LedgerError = "x".parse::<Ledger>().expect_err("no ledger");
}

proptest! {
    #[test]
    fn text_gives_back_what_was_written(uids in prop::collection::btree_set("[ -~\\PC\\x00-\\x20%]{1,20}", 0..9), now: u64) {
        let mut ledger = Ledger::new();
        for uid in &uids {
            ledger.fetched(uid, now);
        }
        let text = ledger.to_string();
        prop_assert!(text.is_ascii() && text.lines().count() == uids.len() + 1, "{:?}", text);
        prop_assert_eq!(text.parse::<Ledger>(), Ok(ledger));
    }

    #[test]
    fn any_text_is_a_ledger_or_none(lines in prop::collection::vec("[0-9]{0,22}( [0-9]{0,3}){0,3} ?[%a-f0-9 ]{0,8}|\\PC{0,9}", 0..5)) {
        let text = format!("mailwright fetched messages 1\n{}", lines.join("\n"));
        if let Ok(ledger) = text.parse::<Ledger>() {
            prop_assert_eq!(ledger.to_string().parse::<Ledger>(), Ok(ledger));
        }
    }

    /// A server with unique ids that are unique, and a client that may break off anywhere: every message is
    /// fetched before it is deleted, and once unless the session broke.
    #[test]
    fn nothing_is_deleted_that_was_not_fetched(
        sessions in prop::collection::vec((1..4usize, 0..6usize, 0..4u64), 1..12),
        days in 0..4u32,
    ) {
        let mut ledger = Ledger::new();
        let (mut there, mut next, mut now) = (BTreeSet::<String>::new(), 0, 0);
        let mut fetched = BTreeMap::<String, u32>::new();
        for (arrive, steps, pass) in sessions {
            for _ in 0..arrive {
                there.insert(format!("u{next:05}"));
                next += 1;
            }
            now += pass * DAY;
            let listing: Vec<_> = there.iter().cloned().collect();
            let numbered = || (1..).zip(listing.iter().map(String::as_str));
            let plan = ledger.plan(numbered(), Keep::Days(days), now);
            let uid = |n: &u32| listing[*n as usize - 1].clone();
            for message in plan.fetch.iter().take(steps) {
                *fetched.entry(uid(message)).or_default() += 1;
                ledger.fetched(&uid(message), now);
            }
            for message in &plan.delete {
                prop_assert!(fetched.contains_key(&uid(message)), "{} was never fetched", uid(message));
                there.remove(&uid(message));
            }
            // Between sessions there is nothing but text.
            ledger = ledger.to_string().parse().expect("what was written");
        }
        prop_assert!(fetched.values().all(|times| *times == 1), "{:?}", fetched);
    }
}
