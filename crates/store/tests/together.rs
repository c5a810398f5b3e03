//! Thirty-two sessions write at once, of one account or each of its own, while all mail is read, checked and backed up.
//!
//! Each session keeps the states that it went through, and when. At the end, everything must be as the sessions say; a
//! backup must be as it was for all of them at one moment. `LOAD_SECONDS` says how long it takes, 2 by default.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)] // Tests, of files.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mailwright_mailbox::{
    Account, Batch, BlobRef, BlobWriter, Fields, FlagChange, Flags, MailboxId, MailboxName, MessageMeta,
    ModSeq, Op, Outcome, Scan, Store, StoreError, SystemFlags, Uid, UidSet, conformance::block_on,
};
use mailwright_store::{Config, SqliteStore};

const SESSIONS: u64 = 32;
const NOW: i64 = 1_700_000_000;

/// What a session has: the numbers of its messages, whether each is flagged, and whether it was moved.
type State = BTreeMap<u64, (bool, bool)>;

/// A state, between when its operation was asked for and when the next one was acknowledged.
struct Moment {
    state: State,
    from: u64,
    to: u64,
}

#[derive(Clone, Copy)]
struct Mailboxes {
    inbox: MailboxId,
    done: MailboxId,
}

#[test]
fn sessions_of_one_account() {
    run(|_| "bob".to_owned());
}

#[test]
fn sessions_of_many_accounts() {
    run(|session| format!("user{session}"));
}

fn run(account: impl Fn(u64) -> String + Sync) {
    let seconds = std::env::var("LOAD_SECONDS").map_or(2, |it| it.parse().unwrap());
    let (folder, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(folder.path());
    let accounts: BTreeSet<String> = (0..SESSIONS).map(&account).collect();
    for account in &accounts {
        for name in ["INBOX", "done"] {
            let (account, name) = (Account::new(&**account), MailboxName::parse(name).unwrap());
            let op = Op::CreateMailbox {
                account,
                name,
                special_use: None,
            };
            block_on(store.commit(Batch::new(NOW).with(op))).unwrap();
        }
    }
    let (clock, ended) = (AtomicU64::new(1), AtomicBool::new(false));
    let (mut backups, mut passes, mut checks) = (Vec::new(), 0, 0);
    let (mut histories, mut uids) = (Vec::new(), BTreeSet::new());
    thread::scope(|scope| {
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|session| {
                let mailboxes = find(&store, &account(session));
                let (store, clock, ended) = (&store, &clock, &ended);
                scope.spawn(move || work(store, session, mailboxes, clock, ended))
            })
            .collect();
        let exporter = scope.spawn(|| {
            let mut passes = 0;
            while !ended.load(Ordering::Relaxed) {
                accounts
                    .iter()
                    .for_each(|account| drop(read_all(&store, account)));
                passes += 1;
            }
            passes
        });
        let watcher = scope.spawn(|| watch(&store, find(&store, &account(0)).inbox, &ended));
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(seconds) {
            let to = copies.path().join(backups.len().to_string());
            let before = clock.fetch_add(1, Ordering::SeqCst);
            block_on(store.backup(&to)).unwrap();
            backups.push((to, before, clock.fetch_add(1, Ordering::SeqCst)));
            assert_eq!(block_on(store.check()).unwrap().problems, []);
            checks += 1;
            // Each is as large as the store: some ten are enough.
            thread::sleep(Duration::from_millis(100 * seconds));
        }
        ended.store(true, Ordering::Relaxed);
        for session in sessions {
            let (history, given) = session.join().unwrap();
            histories.push(history);
            for uid in given {
                // Nobody else was given it.
                assert!(uids.insert(uid), "{uid:?}");
            }
        }
        passes += exporter.join().unwrap();
        watcher.join().unwrap();
    });
    assert!(passes > 0 && checks > 0 && histories.iter().all(|it| it.len() > 5));
    let last = |store: &SqliteStore| -> BTreeMap<u64, State> {
        let mut all: BTreeMap<u64, State> = (0..SESSIONS).map(|it| (it, State::new())).collect();
        for account in &accounts {
            for (number, what) in read_all(store, account) {
                all.get_mut(&(number >> 32)).unwrap().insert(number, what);
            }
        }
        all
    };
    assert_eq!(block_on(store.check()).unwrap().problems, []);
    let expected: BTreeMap<u64, State> = (0..)
        .zip(histories.iter().map(|it| it.last().unwrap().state.clone()))
        .collect();
    assert_eq!(last(&store), expected);
    drop(store);
    assert_eq!(last(&open(folder.path())), expected);

    for (copy, before, after) in backups {
        let store = open(&copy);
        assert_eq!(block_on(store.check()).unwrap().problems, []);
        let (mut from, mut to) = (before, after);
        for (session, state) in last(&store) {
            // No state comes twice, but for operations that change nothing, which follow each other.
            let history = &histories[session as usize];
            let first = history.iter().find(|it| it.state == state);
            let last = history.iter().rfind(|it| it.state == state);
            let (Some(first), Some(last)) = (first, last) else {
                panic!("session {session} was never like this: {state:?}")
            };
            from = from.max(first.from);
            to = to.min(last.to);
        }
        assert!(from <= to, "no moment: {from} to {to}");
    }
}

/// Appends, flags, moves and expunges messages of its own; returns its states and the UIDs it was given.
fn work(
    store: &SqliteStore,
    session: u64,
    mailboxes: Mailboxes,
    clock: &AtomicU64,
    ended: &AtomicBool,
) -> (Vec<Moment>, Vec<(MailboxId, u32)>) {
    let Mailboxes { inbox, done } = mailboxes;
    let (mut here, mut state) = (BTreeMap::<u64, Uid>::new(), State::new());
    let mut history = vec![Moment {
        state: State::new(),
        from: 0,
        to: u64::MAX,
    }];
    let (mut given, mut count) = (Vec::new(), 0);
    let mut random = (session + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    while !ended.load(Ordering::Relaxed) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let any = here
            .iter()
            .nth(random as usize % here.len().max(1))
            .map(|(number, uid)| (*number, *uid));
        let op = match (random >> 40 & 7, any) {
            (5, Some((number, uid))) => {
                state.get_mut(&number).unwrap().0 = true;
                let change = FlagChange::Add(SystemFlags::FLAGGED.into());
                Op::StoreFlags {
                    mailbox: inbox,
                    uids: uid.into(),
                    change,
                    unchanged_since: None,
                }
            }
            (6, Some((number, uid))) => {
                here.remove(&number);
                state.get_mut(&number).unwrap().1 = true;
                Op::Move {
                    from: inbox,
                    uids: uid.into(),
                    to: done,
                }
            }
            (7, Some((number, uid))) => {
                here.remove(&number);
                state.remove(&number);
                Op::Expunge {
                    mailbox: inbox,
                    uids: UidSet::from(uid),
                    deleted_only: false,
                }
            }
            _ => {
                count += 1;
                let number = session << 32 | count;
                state.insert(number, (false, false));
                let (blob, message) = (put(store, number), MessageMeta::default());
                Op::Append {
                    mailbox: inbox,
                    blob,
                    message,
                    flags: Flags::new(),
                    internal_date: NOW,
                }
            }
        };
        let from = clock.fetch_add(1, Ordering::SeqCst);
        let committed = block_on(store.commit(Batch::new(NOW).with(op))).unwrap();
        let to = clock.fetch_add(1, Ordering::SeqCst);
        match &committed.outcomes[0] {
            Outcome::Appended { uid, .. } => {
                assert!(
                    given
                        .iter()
                        .all(|it: &(MailboxId, u32)| it.0 != inbox || it.1 < uid.value())
                );
                here.insert(session << 32 | count, *uid);
                given.push((inbox, uid.value()));
            }
            Outcome::Copied { to, .. } => given.extend(to.iter().map(|uid| (done, uid.value()))),
            _ => {}
        }
        history.last_mut().unwrap().to = to;
        history.push(Moment {
            state: state.clone(),
            from,
            to: u64::MAX,
        });
    }
    (history, given)
}

/// No UID is seen before a lower one, and no mod-sequence after a higher one.
fn watch(store: &SqliteStore, mailbox: MailboxId, ended: &AtomicBool) {
    let (mut seen, mut highest, mut known) = (0, ModSeq::ZERO, BTreeSet::new());
    while !ended.load(Ordering::Relaxed) {
        let page =
            block_on(store.scan(mailbox, Scan::all(Fields::NONE).since(highest).limit(10_000))).unwrap();
        assert!(page.highest_mod_seq >= highest);
        assert!(
            page.messages
                .iter()
                .all(|it| it.mod_seq > highest && it.mod_seq <= page.highest_mod_seq)
        );
        let fresh = page
            .messages
            .iter()
            .map(|it| it.uid.value())
            .filter(|uid| known.insert(*uid));
        let fresh: Vec<_> = fresh.collect();
        assert!(fresh.iter().all(|uid| *uid > seen), "{fresh:?} after {seen}");
        seen = fresh.into_iter().fold(seen, u32::max);
        if page.next.is_none() {
            highest = page.highest_mod_seq;
        }
    }
    assert!(seen > 0);
}

/// Reads all mail of an account, every octet of it.
fn read_all(store: &SqliteStore, account: &str) -> State {
    let mailboxes = find(store, account);
    let all = Mutex::new(State::new());
    for (mailbox, is_done) in [(mailboxes.inbox, false), (mailboxes.done, true)] {
        let mut next = Some(Scan::all(Fields::FLAGS | Fields::BLOB).limit(500));
        while let Some(scan) = next {
            let page = block_on(store.scan(mailbox, scan.clone())).unwrap();
            for message in &page.messages {
                match read(store, message.blob.as_ref().unwrap()) {
                    Ok(octets) => {
                        let number = u64::from_le_bytes(octets[..8].try_into().unwrap());
                        assert!(octets == body(number), "{number}");
                        let flagged = message.flags.contains(SystemFlags::FLAGGED);
                        all.lock().unwrap().insert(number, (flagged, is_done));
                    }
                    // It was expunged meanwhile.
                    Err(StoreError::NoSuchBlob) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            next = scan.after(&page);
        }
    }
    all.into_inner().unwrap()
}

fn read(store: &SqliteStore, blob: &BlobRef) -> Result<Vec<u8>, StoreError> {
    let mut octets = Vec::new();
    while (octets.len() as u64) < blob.size() {
        octets.extend_from_slice(&block_on(store.read_blob(blob, octets.len() as u64..u64::MAX))?);
    }
    Ok(octets)
}

fn put(store: &SqliteStore, number: u64) -> BlobRef {
    let mut writer = store.new_blob();
    block_on(writer.write(Bytes::from(body(number)))).unwrap();
    block_on(writer.finish()).unwrap()
}

/// One in sixteen goes to a pack.
fn body(number: u64) -> Vec<u8> {
    let size = 200 + number % 977 + if number.is_multiple_of(16) { 70_000 } else { 0 };
    let mut body = number.to_le_bytes().to_vec();
    body.extend((0..size).map(|i| (i * 31 + i / 251 + number * 7) as u8));
    body
}

fn find(store: &SqliteStore, account: &str) -> Mailboxes {
    let listed = block_on(store.mailboxes(&Account::new(account))).unwrap();
    let id = |name: &str| listed.iter().find(|it| it.name.as_str() == name).unwrap().id;
    Mailboxes {
        inbox: id("INBOX"),
        done: id("done"),
    }
}

fn open(folder: &Path) -> SqliteStore {
    let mut config = Config::default();
    config.pack_octets = 1 << 20;
    SqliteStore::open(folder, config).unwrap()
}
