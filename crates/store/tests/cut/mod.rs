//! A power cut at any moment, and what is there afterwards.
//!
//! A child process (this test binary again) works on a store under `strace`, which notes every change to files, every
//! sync and every acknowledgement. That is replayed on a simulated disk, which has what was synced, and of all else
//! some: nothing, everything, some of the writes in any order, or some sectors of some of them. Names that were made,
//! moved or removed count only when their folder was synced. Each such disk is then opened as a store, and must hold
//! what had been acknowledged by then.
//!
//! By default some 400 moments are looked at; `CRASH_POINTS` says how many, `all` for every one. Where there is no
//! `strace` the test says so and does nothing, or fails where `REQUIRE_CRASH` is set.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)] // Tests, of files.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use mailwright_mailbox::{Fields, ModSeq, Scan, Store, SystemFlags, conformance::block_on};
use mailwright_store::Error;

use crate::{
    sessions::{Line, Messages, SESSIONS, State, apply, log, mailbox, read, say, work},
    trace::{self, Disk, Event, Loss},
};

const FOLDER: &str = "MAILWRIGHT_POWER_TEST";
/// How often the child opens the store, and what each session does then.
const RUNS: u64 = 3;
const STEPS: usize = 9;

/// A store on a disk.
pub(crate) trait Engine {
    /// The store.
    type Store: Store;

    /// Opens it, and makes it if there is none.
    fn open(folder: &Path) -> Result<Self::Store, Error>;

    /// Compares everything in it with everything.
    fn check(store: &Self::Store, what: &str);
}

/// Has a child work on a store, cuts the power at many moments, and compares. The test has this name.
pub(crate) fn at_any_moment<E: Engine>(test: &str) {
    if let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) {
        for run in 0..RUNS {
            work(&E::open(&folder).unwrap(), run, STEPS, &say);
        }
        return;
    }
    let Some(events) = record(test) else { return };
    let acknowledged = events
        .iter()
        .filter(|event| matches!(event, Event::Said(line) if line.starts_with('!')));
    assert_eq!(acknowledged.count(), RUNS as usize * SESSIONS * STEPS);
    let wanted = match std::env::var("CRASH_POINTS") {
        Ok(all) if all == "all" => events.len(),
        Ok(points) => points.parse().unwrap(),
        Err(_) => 400,
    };
    let every = (events.len() / wanted).max(1);
    // Each worker replays all of it, and looks at its share of the moments.
    let workers = thread::available_parallelism().map_or(1, usize::from).min(4);
    let looked = AtomicUsize::new(0);
    thread::scope(|scope| {
        for worker in 0..workers {
            let (events, looked) = (&events, &looked);
            scope.spawn(move || {
                let (mut disk, mut said) = (Disk::of(Path::new("of none")), Vec::new());
                for (at, event) in events.iter().enumerate() {
                    disk.apply(event);
                    if let Event::Said(line) = event {
                        log(&mut said, line);
                    }
                    if at % every == 0 && at / every % workers == worker {
                        let loss = Loss::any(at as u64 / every as u64 / workers as u64, at as u64);
                        look::<E>(&disk, &said, loss, at);
                        looked.fetch_add(1, Ordering::Relaxed);
                    }
                }
                // At the end nothing is pending but what may go.
                look::<E>(&disk, &said, Loss::everything(), events.len());
            });
        }
    });
    let looked = looked.into_inner();
    assert!(looked >= wanted.min(events.len()), "{looked}");
    println!("{looked} moments of {} operations", events.len());
}

/// Runs the child under strace; `None` when there is none.
fn record(test: &str) -> Option<Vec<Event>> {
    let folder = tempfile::tempdir().unwrap();
    let (mail, log) = (folder.path().join("mail"), folder.path().join("trace"));
    let mut command = Command::new("strace");
    command.args(trace::OPTIONS).arg("-o").arg(&log);
    command
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=2"]);
    let child = match command.env(FOLDER, &mail).output() {
        Ok(child) if child.status.success() => child,
        other => {
            let why = other.map_or_else(
                |error| error.to_string(),
                |child| String::from_utf8_lossy(&child.stderr).into_owned(),
            );
            assert!(
                std::env::var_os("REQUIRE_CRASH").is_none(),
                "strace does not work: {why}"
            );
            println!("skipped, strace does not work: {why}");
            return None;
        }
    };
    assert!(!child.stdout.is_empty());
    Some(trace::parse(&std::fs::read(&log).unwrap(), &mail))
}

/// Opens what a power cut would leave and compares it with what was acknowledged.
fn look<E: Engine>(disk: &Disk, said: &[Line], mut loss: Loss, at: usize) {
    let folder = tempfile::tempdir_in(fast()).unwrap();
    disk.leave(folder.path(), &mut loss);
    let what = format!("after operation {at}, {loss:?}");
    let store = E::open(folder.path()).unwrap_or_else(|error| panic!("{what}: {error}"));
    E::check(&store, &what);
    for session in 0..SESSIONS {
        let own = || said.iter().filter(|line| line.session == session);
        let mut past: Vec<(ModSeq, Messages)> = Vec::new();
        let mut highest = 0;
        let mut acknowledged = State::default();
        for line in own().filter(|line| line.done.is_some()) {
            acknowledged = apply(acknowledged, line);
            past.extend(line.mod_seq.map(|it| (it, acknowledged.inbox.clone())));
            let uids = line.done.iter().flatten().copied();
            if line.what[0] == "append" {
                highest = uids.fold(highest, u32::max);
            }
        }
        if own().next().is_none() {
            continue;
        }
        let found = read(&store, session);
        let mut possible = vec![acknowledged.clone()];
        if let Some(line) = own().find(|line| line.done.is_none()) {
            possible.push(apply(acknowledged, &line.assumed(highest)));
        }
        assert!(
            possible.contains(&found),
            "{what}, session {session}: {found:?} is none of {possible:?}"
        );
        let inbox = mailbox(&store, session, "INBOX");
        let snapshot = block_on(store.snapshot(inbox)).unwrap();
        assert!(
            snapshot.uid_next.unwrap().value() > highest,
            "{what}: a UID would be given again"
        );
        let last = past.last().map_or(ModSeq::ZERO, |it| it.0);
        assert!(snapshot.highest_mod_seq >= last, "{what}");
        // Whoever comes with an older state and asks what has changed since has the same as who reads all.
        for step in [1, 3, 10] {
            let Some((since, then)) = past.len().checked_sub(step).map(|at| &past[at]) else {
                break;
            };
            assert_eq!(
                replay(&store, session, *since, then.clone()),
                found.inbox,
                "{what}"
            );
        }
    }
}

/// Brings a state of a session's INBOX up to date by what has changed since.
fn replay(store: &impl Store, session: usize, since: ModSeq, mut state: Messages) -> Messages {
    let inbox = mailbox(store, session, "INBOX");
    let vanished = block_on(store.vanished(inbox, since)).unwrap();
    assert!(vanished.complete);
    state.retain(|uid, _| {
        !vanished
            .uids
            .contains(mailwright_mailbox::Uid::new(*uid).unwrap())
    });
    let scan = Scan::all(Fields::FLAGS | Fields::BLOB).since(since).limit(10_000);
    for message in block_on(store.scan(inbox, scan)).unwrap().messages {
        let octets = block_on(store.read_blob(message.blob.as_ref().unwrap(), 0..8)).unwrap();
        let number = u64::from_le_bytes(octets[..].try_into().unwrap());
        let flagged = message.flags.contains(SystemFlags::FLAGGED);
        state.insert(message.uid.value(), (number, flagged));
    }
    state
}

/// Where thousands of stores are soon made and gone.
fn fast() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}
