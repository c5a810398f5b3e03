//! What killed processes have acknowledged, and what is there afterwards.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // Tests end at what goes wrong, and time is their own.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use mailwright_mailbox::Store;

use crate::sessions::{Line, SESSIONS, State, apply, log, next, read, say, work};

const ROUNDS: u64 = 12;
/// What a session does that is not killed.
const STEPS: usize = 20;
const FOLDER: &str = "MAILWRIGHT_CRASH_TEST";

/// A store on a disk.
pub(crate) trait Engine {
    /// The store.
    type Store: Store;

    /// Opens it, and makes it if there is none.
    fn open(folder: &Path) -> Self::Store;

    /// Compares everything in it with everything.
    fn check(store: &Self::Store);
}

/// Has children of this test binary work on a store, kills them, and compares.
pub(crate) fn after_kills<E: Engine>() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = vec![State::default(); SESSIONS];
    let mut highest = [0; SESSIONS];
    let (mut acknowledged, mut random) = (0, 88_172_645_463_325_252);
    for round in 0..ROUNDS {
        let lines = 20 + next(&mut random) % 80;
        let after = Duration::from_micros(next(&mut random) % 50_000);
        let lines = run_and_kill(folder.path(), lines as usize, after);
        let store = E::open(folder.path());
        E::check(&store);
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

/// With a folder to work in, works until it is killed; without one, the same work comes to an end, and what was
/// acknowledged is there when the store is opened again.
pub(crate) fn after_an_end<E: Engine>() {
    if let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) {
        work(&E::open(&folder), u64::from(std::process::id()), usize::MAX, &say);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let said = Mutex::new(Vec::new());
    work(&E::open(folder.path()), 7, STEPS, &|line| {
        log(&mut said.lock().unwrap(), line);
    });
    let lines = said.into_inner().unwrap();
    let store = E::open(folder.path());
    E::check(&store);
    for session in 0..SESSIONS {
        let own: Vec<_> = lines.iter().filter(|line| line.session == session).collect();
        assert_eq!(own.len(), STEPS);
        let acknowledged = own.into_iter().fold(State::default(), apply);
        assert_eq!(read(&store, session), acknowledged, "session {session}");
    }
}

/// Kills a child that has said so much, after a while.
fn run_and_kill(folder: &Path, enough: usize, after: Duration) -> Vec<Line> {
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
    // The time runs from then on, however slow the machine is; what it said before the kill stays in the pipe.
    let (sender, first) = std::sync::mpsc::channel();
    let reader = thread::spawn(move || {
        let mut lines: Vec<Line> = Vec::new();
        for line in output.split(b'\n').map_while(Result::ok) {
            log(&mut lines, std::str::from_utf8(&line).unwrap());
            if lines.len() == enough {
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
