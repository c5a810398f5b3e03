//! Sessions on one mailbox, told at the moments the protocol allows, against a plain model.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use mailwright_imap::{Change, Flag, Flags, SequenceSet, UidSet, Update, View, When};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

#[derive(Debug, Clone)]
enum Step {
    Append(u32),
    Expunge(Vec<usize>),
    Flags(usize, bool),
    /// A session receives some of the notices that wait for it.
    Deliver(usize, usize),
    /// A session finishes a command.
    Tell(usize, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1u32..5).prop_map(Step::Append),
        vec(0usize..40, 1..6).prop_map(Step::Expunge),
        (0usize..40, any::<bool>()).prop_map(|(at, on)| Step::Flags(at, on)),
        (0usize..3, 1usize..4).prop_map(|(s, n)| Step::Deliver(s, n)),
        (0usize..3, any::<bool>()).prop_map(|(s, all)| Step::Tell(s, all)),
    ]
}

/// What a client of the session believes, from nothing but what it was told.
struct Client {
    view: View,
    notices: VecDeque<Change>,
    /// Its list of messages; a UID is learnt when it asks, which it does at once.
    messages: Vec<(u32, Flags)>,
    first_recent: u32,
    told_recent: usize,
    /// It hears of messages that are gone by their UIDs.
    by_uid: bool,
}

/// When what happened, by mod-sequence.
#[derive(Default)]
struct History {
    now: u64,
    came: BTreeMap<u32, u64>,
    went: BTreeMap<u32, u64>,
    changed: BTreeMap<u32, u64>,
}

impl History {
    fn note(&mut self, change: &Change) {
        self.now += 1;
        match change {
            Change::Appended(uids) => self.came.extend(uids.iter().map(|uid| (uid, self.now))),
            Change::Expunged(uids) => self.went.extend(uids.iter().map(|uid| (uid, self.now))),
            Change::Flags { uid, .. } => _ = self.changed.insert(*uid, self.now),
            other => panic!("{other:?} is no change"),
        }
    }
}

impl Client {
    fn tell(&mut self, when: When, store: &BTreeMap<u32, Flags>) {
        for update in self.view.updates(when) {
            match update {
                Update::Vanished(uids) => {
                    assert_eq!((when, self.by_uid), (When::Anything, true));
                    let before = self.messages.len();
                    self.messages.retain(|(uid, _)| !uids.contains(*uid));
                    // RFC 7162 §3.2.10.2: only of messages that the client knows.
                    assert_eq!(before - self.messages.len(), uids.len() as usize);
                }
                Update::Expunge(seq) => {
                    assert!(!self.by_uid);
                    assert_eq!(when, When::Anything, "EXPUNGE while numbers are in use");
                    self.messages.remove(seq as usize - 1);
                }
                Update::Exists(n) => {
                    assert!(n as usize > self.messages.len(), "EXISTS tells nothing");
                    for seq in self.messages.len() as u32 + 1..=n {
                        let uid = self.view.uid(seq).expect("a message that exists has a UID");
                        let flags = store.get(&uid).cloned().unwrap_or_default();
                        self.messages.push((uid, flags));
                    }
                }
                Update::Flags { seq, uid, flags, .. } => {
                    let message = &mut self.messages[seq as usize - 1];
                    assert_eq!(message.0, uid, "flags of another message");
                    message.1 = flags;
                }
                Update::Recent(n) => self.told_recent = n as usize,
                other => panic!("unknown update {other:?}"),
            }
        }
        // The numbers of view and client are the same between commands, always.
        assert_eq!(self.view.exists() as usize, self.messages.len());
        for (i, (uid, _)) in self.messages.iter().enumerate() {
            assert_eq!(self.view.uid(i as u32 + 1), Some(*uid));
            assert_eq!(self.view.seq(*uid), Some(i as u32 + 1));
        }
        let recent = self.messages.iter().filter(|m| m.0 >= self.first_recent).count();
        assert_eq!((self.view.recent() as usize, self.told_recent), (recent, recent));
        let all: UidSet = self.messages.iter().map(|m| m.0).collect();
        assert_eq!(self.view.uids(), all);
    }

    /// A client that comes back with the mod-sequence it was told must not have missed anything before it.
    fn has_missed_nothing(&self, history: &History, store: &BTreeMap<u32, Flags>) {
        let told = self.view.told_up_to().expect("there are mod-sequences");
        let has = |uid: u32| self.messages.iter().find(|m| m.0 == uid);
        for (&uid, _) in history.went.iter().filter(|(_, at)| **at <= told) {
            assert!(has(uid).is_none(), "{uid} went before {told}");
        }
        for (&uid, _) in history.came.iter().filter(|(_, at)| **at <= told) {
            assert!(
                has(uid).is_some() || history.went.contains_key(&uid),
                "{uid} came before {told}"
            );
        }
        for (&uid, _) in history.changed.iter().filter(|(_, at)| **at <= told) {
            if let (Some(message), Some(flags)) = (has(uid), store.get(&uid)) {
                assert_eq!(&message.1, flags, "{uid} was changed before {told}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_session_ends_with_the_mailbox(start in 0u32..12, first_recent in 1u32..40, steps in vec(step(), 0..60)) {
        let mut next = 1;
        let mut store: BTreeMap<u32, Flags> = BTreeMap::new();
        for _ in 0..start {
            store.insert(next, Flags::new());
            next += 2;
        }
        let mut history = History { now: 1, ..History::default() };
        let mut clients: Vec<Client> = (0..3)
            .map(|n| Client {
                view: {
                    let mut view = View::new(store.keys().copied().collect(), Some(first_recent));
                    view.change(Change::UpTo(history.now));
                    if n == 2 {
                        view.report_uids();
                    }
                    view
                },
                by_uid: n == 2,
                first_recent,
                told_recent: store.keys().filter(|&&uid| uid >= first_recent).count(),
                notices: VecDeque::new(),
                messages: store.iter().map(|(uid, flags)| (*uid, flags.clone())).collect(),
            })
            .collect();
        for step in steps {
            let change = match step {
                Step::Append(count) => {
                    let uids: UidSet = (next..next + count).collect();
                    store.extend(uids.iter().map(|uid| (uid, Flags::new())));
                    next += count + u32::from(count > 2);
                    Some(Change::Appended(uids))
                }
                Step::Expunge(picks) => {
                    let uids: Vec<u32> = store.keys().copied().collect();
                    let gone: UidSet = picks.iter().filter_map(|&at| uids.get(at).copied()).collect();
                    store.retain(|&uid, _| !gone.contains(uid));
                    Some(Change::Expunged(gone))
                }
                Step::Flags(at, on) => store.iter_mut().nth(at).map(|(&uid, flags)| {
                    if on { flags.insert(Flag::Seen) } else { flags.remove(&Flag::Seen) };
                    Change::Flags { uid, flags: flags.clone(), mod_seq: Some(history.now + 1) }
                }),
                Step::Deliver(session, count) => {
                    let client = &mut clients[session];
                    for _ in 0..count {
                        if let Some(change) = client.notices.pop_front() {
                            client.view.change(change.clone());
                            // A feed may repeat itself.
                            client.view.change(change);
                        }
                    }
                    None
                }
                Step::Tell(session, all) => {
                    let when = if all { When::Anything } else { When::DuringFetch };
                    clients[session].tell(when, &store);
                    None
                }
            };
            if let Some(change) = change {
                history.note(&change);
                for client in &mut clients {
                    client.notices.extend([change.clone(), Change::UpTo(history.now)]);
                }
            }
            for client in &clients {
                client.has_missed_nothing(&history, &store);
            }
        }
        for client in &mut clients {
            while let Some(change) = client.notices.pop_front() {
                client.view.change(change);
            }
            client.tell(When::Anything, &store);
            prop_assert!(!client.view.has_updates(When::Anything));
            prop_assert_eq!(client.view.told_up_to(), Some(history.now));
            let model: Vec<_> = store.iter().map(|(uid, flags)| (*uid, flags.clone())).collect();
            prop_assert_eq!(&client.messages, &model);
        }
    }

    #[test]
    fn sets_resolve_as_a_plain_list_does(uids in proptest::collection::btree_set(1u32..60, 0..20), text in "[1-9*][0-9]?(:([1-9]|[1-4][0-9]|\\*))?(,[1-9]){0,2}") {
        let Some(set) = SequenceSet::parse(text.as_bytes()) else {
            return Ok(());
        };
        let list: Vec<u32> = uids.iter().copied().collect();
        let view = View::new(list.iter().copied().collect(), None);
        let bounds = |last: u32| -> Vec<(u32, u32)> {
            let number = |n: &str| if n == "*" { last } else { n.parse().unwrap() };
            text.split(',')
                .map(|item| item.split_once(':').unwrap_or((item, item)))
                .map(|(a, b)| (number(a).min(number(b)), number(a).max(number(b))))
                .collect()
        };
        let last = list.last().copied().unwrap_or(0);
        let by_uid: UidSet = list.iter().copied().filter(|u| bounds(last).iter().any(|(a, b)| a <= u && u <= b)).collect();
        prop_assert_eq!(view.resolve_uids(&set), by_uid);

        let exists = list.len() as u32;
        let wrong = bounds(exists).iter().any(|(a, _)| *a > exists);
        let named: UidSet = (1..=exists)
            .filter(|n| bounds(exists).iter().any(|(a, b)| a <= n && n <= b && *a > 0))
            .map(|n| list[n as usize - 1])
            .collect();
        match view.resolve(&set) {
            Err(_) => prop_assert!(wrong, "{} is fine", text),
            Ok(uids) => {
                prop_assert!(!wrong, "{} has no message", text);
                prop_assert_eq!(uids, named);
            }
        }
    }
}

#[test]
fn a_large_expunge_is_told_in_one_pass() {
    let mut view = View::new(UidSet::from(1..=1_000_000), None);
    let odd: UidSet = (1..=1_000_000).step_by(2).collect();
    view.change(Change::Expunged(odd));
    let mut told = view.updates(When::Anything);
    // 1, then what was 3 and is 2 by now, and so on.
    assert_eq!(
        told.by_ref().take(3).collect::<Vec<_>>(),
        [1, 2, 3].map(Update::Expunge)
    );
    assert_eq!(told.count(), 499_997);
    assert_eq!((view.exists(), view.uid(500_000)), (500_000, Some(1_000_000)));
}

#[test]
fn the_largest_uid_is_a_uid() {
    let mut view = View::new(UidSet::from(u32::MAX..=u32::MAX), Some(u32::MAX));
    assert_eq!(
        (view.seq(u32::MAX), view.uid(1), view.recent()),
        (Some(1), Some(u32::MAX), 1)
    );
    view.change(Change::Appended(UidSet::from(1..=u32::MAX)));
    assert!(!view.has_updates(When::Anything));
    let all = SequenceSet::parse(b"1:*").unwrap();
    assert_eq!(view.resolve(&all).unwrap(), view.resolve_uids(&all));
    view.change(Change::Expunged(UidSet::from(1..=u32::MAX)));
    assert_eq!(
        view.updates(When::Anything).collect::<Vec<_>>(),
        [Update::Expunge(1), Update::Recent(0)]
    );
}

#[test]
fn expunges_that_overtake_their_message_are_remembered() {
    let mut view = View::new(UidSet::from(1..=2), None);
    view.change(Change::Expunged(UidSet::from(4..=4)));
    view.change(Change::Appended(UidSet::from(3..=5)));
    assert_eq!(
        view.updates(When::Anything).collect::<Vec<_>>(),
        [Update::Exists(4)]
    );
    assert_eq!((view.uid(3), view.uid(4)), (Some(3), Some(5)));
}
