//! A process that is killed at any moment loses nothing that it acknowledged.
//!
//! A child process (this test binary again) works on a store with several sessions and tells what it is about to do
//! and what was done. It is killed; then the store must hold exactly what was acknowledged, but for the one
//! operation of each session that was under way, which may be there, whole, or not. The next child goes on with the
//! same folder.
//!
//! A kill leaves what the process had written to files; only a power cut would lose what was not synced.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // Tests end at what goes wrong, and time is their own.

mod sessions;

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use mailwright_mailbox::conformance::block_on;
use mailwright_store::{Config, SqliteStore};
use sessions::{Line, SESSIONS, State, apply, log, next, read, say, work};

const ROUNDS: u64 = 12;
/// What a session does that is not killed.
const STEPS: usize = 20;
const FOLDER: &str = "MAILWRIGHT_CRASH_TEST";

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = vec![State::default(); SESSIONS];
    let mut highest = [0; SESSIONS];
    let (mut acknowledged, mut random) = (0, 88_172_645_463_325_252);
    for round in 0..ROUNDS {
        let lines = run_and_kill(folder.path(), Duration::from_millis(60 + next(&mut random) % 300));
        let store = open(folder.path());
        let report = block_on(store.check()).unwrap();
        assert_eq!(report.problems, [], "round {round}");
        for session in 0..SESSIONS {
            let own: Vec<_> = lines.iter().filter(|line| line.session == session).collect();
            acknowledged += own.iter().filter(|line| line.done.is_some()).count();
            for line in &own {
                if line.what[0] == "append"
                    && let Some(uids) = &line.done
                {
                    assert!(
                        uids[0] > highest[session],
                        "round {round}: UID {} was given again",
                        uids[0]
                    );
                    highest[session] = uids[uids.len() - 1];
                }
            }
            let before = expected[session].clone();
            let acknowledged = own
                .iter()
                .filter(|line| line.done.is_some())
                .fold(before, |state, line| apply(state, line));
            let found = read(&store, session);
            let mut possible = vec![acknowledged.clone()];
            if let Some(line) = own.iter().find(|line| line.done.is_none()) {
                possible.push(apply(acknowledged, &line.assumed(highest[session])));
            }
            assert!(
                possible.contains(&found),
                "round {round}, session {session}: {found:?} is none of {possible:?}"
            );
            highest[session] = highest[session].max(found.inbox.keys().last().copied().unwrap_or(0));
            expected[session] = found;
        }
    }
    assert!(
        acknowledged > 200,
        "the child did too little to tell: {acknowledged}"
    );
    let left: usize = expected
        .iter()
        .map(|state| state.inbox.len() + state.done.len())
        .sum();
    assert!(left > 100, "{left}");
}

/// With a folder to work in, this is the child and goes on until it is killed. Without one, the same work comes to
/// an end, and what was acknowledged is there when the store is opened again.
#[test]
fn what_was_acknowledged_is_there_after_an_end() {
    if let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) {
        work(&open(&folder), u64::from(std::process::id()), usize::MAX, &say);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let said = Mutex::new(Vec::new());
    work(&open(folder.path()), 7, STEPS, &|line| {
        log(&mut said.lock().unwrap(), line);
    });
    let lines = said.into_inner().unwrap();
    let store = open(folder.path());
    assert_eq!(block_on(store.check()).unwrap().problems, []);
    for session in 0..SESSIONS {
        let own: Vec<_> = lines.iter().filter(|line| line.session == session).collect();
        assert_eq!(own.len(), STEPS);
        let acknowledged = own.into_iter().fold(State::default(), apply);
        assert_eq!(read(&store, session), acknowledged, "session {session}");
    }
}

fn run_and_kill(folder: &Path, after: Duration) -> Vec<Line> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "what_was_acknowledged_is_there_after_an_end",
            "--exact",
            "--nocapture",
            // With one thread, the first line would stand behind the name of the test.
            "--test-threads=2",
        ])
        .env(FOLDER, folder);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    // The time runs from the child's first word on; what it said before the kill stays in the pipe.
    let (sender, first) = std::sync::mpsc::channel();
    let reader = thread::spawn(move || {
        let mut lines: Vec<Line> = Vec::new();
        for line in output.split(b'\n').map_while(Result::ok) {
            log(&mut lines, std::str::from_utf8(&line).unwrap());
            if !lines.is_empty() {
                let _ = sender.send(());
            }
        }
        lines
    });
    first.recv_timeout(Duration::from_secs(60)).unwrap();
    let start = Instant::now();
    thread::sleep(after);
    child.kill().unwrap();
    let result = child.wait_with_output().unwrap();
    assert!(!result.status.success() && start.elapsed() >= after);
    let complaints = String::from_utf8_lossy(&result.stderr).into_owned();
    assert!(!complaints.contains("panicked"), "{complaints}");
    reader.join().unwrap()
}

fn open(folder: &Path) -> SqliteStore {
    let mut config = Config::default();
    config.pack_octets = 1 << 20;
    SqliteStore::open(folder, config).unwrap()
}
