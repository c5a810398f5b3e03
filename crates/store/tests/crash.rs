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

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mailwright_mailbox::{
    Account, Batch, BlobRef, BlobWriter, Fields, FlagChange, Flags, MailboxId, MailboxName, MessageMeta, Op,
    Outcome, Scan, Store, SystemFlags, Uid, conformance::block_on,
};
use mailwright_store::{Config, SqliteStore};

const ROUNDS: u64 = 12;
const SESSIONS: usize = 6;
/// What a session does that is not killed.
const STEPS: usize = 20;
const FOLDER: &str = "MAILWRIGHT_CRASH_TEST";
const NOW: i64 = 1_700_000_000;

/// UID → (number of the body, flagged).
type Messages = BTreeMap<u32, (u64, bool)>;

#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    inbox: Messages,
    done: Messages,
}

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
        work(&folder, usize::MAX, &say);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let said = Mutex::new(Vec::new());
    work(folder.path(), STEPS, &|line| log(&mut said.lock().unwrap(), line));
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

/// Has each session do so many operations in the store of a folder, all sessions at once.
fn work(folder: &Path, steps: usize, say: &(dyn Fn(&str) + Sync)) {
    let store = &open(folder);
    thread::scope(|scope| {
        for session in 0..SESSIONS {
            scope.spawn(move || run_session(store, session, steps, say));
        }
    });
}

fn run_session(store: &SqliteStore, session: usize, steps: usize, say: &dyn Fn(&str)) {
    let (inbox, done) = (mailbox(store, session, "INBOX"), mailbox(store, session, "done"));
    let page = block_on(store.scan(inbox, Scan::all(Fields::NONE).limit(10_000))).unwrap();
    let mut uids: Vec<u32> = page.messages.iter().map(|message| message.uid.value()).collect();
    let start = store as *const SqliteStore as usize as u64 ^ u64::from(std::process::id());
    let mut random = start.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for _ in 0..steps {
        let any = |random: &mut u64, uids: &[u32]| uids[next(random) as usize % uids.len()];
        let one = |uid: u32| Uid::new(uid).unwrap().into();
        let (what, ops) = match next(&mut random) % 10 {
            n if n < 6 || uids.is_empty() => {
                let numbers: Vec<u64> = (0..1 + next(&mut random) % 3)
                    .map(|_| next(&mut random) >> 20)
                    .collect();
                let ops: Vec<_> = numbers
                    .iter()
                    .map(|number| append(store, inbox, *number))
                    .collect();
                (
                    format!(
                        "append {}",
                        numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
                    ),
                    ops,
                )
            }
            6 | 7 => {
                let uid = any(&mut random, &uids);
                let change = FlagChange::Add(SystemFlags::FLAGGED.into());
                let op = Op::StoreFlags {
                    mailbox: inbox,
                    uids: one(uid),
                    change,
                    unchanged_since: None,
                };
                (format!("flag {uid}"), vec![op])
            }
            8 => {
                let uid = any(&mut random, &uids);
                uids.retain(|it| *it != uid);
                (
                    format!("expunge {uid}"),
                    vec![Op::Expunge {
                        mailbox: inbox,
                        uids: one(uid),
                        deleted_only: false,
                    }],
                )
            }
            _ => {
                let uid = any(&mut random, &uids);
                uids.retain(|it| *it != uid);
                (
                    format!("move {uid}"),
                    vec![Op::Move {
                        from: inbox,
                        uids: one(uid),
                        to: done,
                    }],
                )
            }
        };
        say(&format!("? {session} {what}\n"));
        let mut batch = Batch::new(NOW);
        batch.ops = ops;
        let committed = block_on(store.commit(batch)).unwrap();
        let given: Vec<u32> = committed
            .outcomes
            .iter()
            .flat_map(|outcome| match outcome {
                Outcome::Appended { uid, .. } => vec![uid.value()],
                Outcome::Copied { to, .. } => to.iter().map(Uid::value).collect(),
                _ => Vec::new(),
            })
            .collect();
        if what.starts_with("append") {
            uids.extend(&given);
        }
        say(&format!(
            "! {session} {}\n",
            given.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
        ));
    }
}

/// What a session said of one operation.
#[derive(Clone, Debug)]
struct Line {
    session: usize,
    what: Vec<String>,
    // The UIDs that the acknowledgement told.
    done: Option<Vec<u32>>,
}

impl Line {
    /// The same, as if it had been acknowledged after the last that was.
    fn assumed(&self, highest: u32) -> Self {
        let done = (1..self.what.len() as u32).map(|n| highest + n).collect();
        Self {
            done: Some(done),
            ..self.clone()
        }
    }
}

/// What an operation makes of a state.
fn apply(mut state: State, line: &Line) -> State {
    let given = line.done.clone().unwrap();
    let subject: u32 = line.what[1].parse().unwrap_or(0);
    match &*line.what[0] {
        "append" => {
            assert_eq!(given.len(), line.what.len() - 1);
            for (uid, number) in given.iter().zip(&line.what[1..]) {
                state.inbox.insert(*uid, (number.parse().unwrap(), false));
            }
        }
        "flag" => state.inbox.get_mut(&subject).unwrap().1 = true,
        "expunge" => drop(state.inbox.remove(&subject).unwrap()),
        "move" => {
            let message = state.inbox.remove(&subject).unwrap();
            let next = state.done.keys().last().map_or(1, |uid| uid + 1);
            state.done.insert(next, message);
        }
        other => panic!("{other}"),
    }
    state
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

/// Notes what a session said: `? SESSION OPERATION` before, `! SESSION UIDS` after it; all else is not its own.
fn log(lines: &mut Vec<Line>, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["?", session, ref what @ ..] => lines.push(Line {
            session: session.parse().unwrap(),
            what: what.iter().map(ToString::to_string).collect(),
            done: None,
        }),
        ["!", session, ref uids @ ..] => {
            let session: usize = session.parse().unwrap();
            let asked = lines.iter_mut().rev().find(|line| line.session == session);
            asked.unwrap().done = Some(uids.iter().map(|uid| uid.parse().unwrap()).collect());
        }
        _ => {}
    }
}

/// One write of one line: what is in the pipe was said, and a half line was not.
fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    output.write_all(line.as_bytes()).unwrap();
    output.flush().unwrap();
}

fn open(folder: &Path) -> SqliteStore {
    let mut config = Config::default();
    config.pack_octets = 1 << 20;
    SqliteStore::open(folder, config).unwrap()
}

fn mailbox(store: &SqliteStore, session: usize, name: &str) -> MailboxId {
    let account = Account::new(format!("session{session}"));
    let name = MailboxName::parse(name).unwrap();
    let listed = block_on(store.mailboxes(&account)).unwrap();
    if let Some(info) = listed.iter().find(|info| info.name == name) {
        return info.id;
    }
    let create = Op::CreateMailbox {
        account,
        name,
        special_use: None,
    };
    let outcome = block_on(store.commit(Batch::new(NOW).with(create)))
        .unwrap()
        .outcomes
        .remove(0);
    let Outcome::Created { mailbox, .. } = outcome else {
        panic!("{outcome:?}")
    };
    mailbox
}

fn append(store: &SqliteStore, mailbox: MailboxId, number: u64) -> Op {
    let mut writer = store.new_blob();
    let body = Bytes::from(body(number));
    let blob = block_on(async {
        writer.write(body.slice(..body.len() / 2)).await.unwrap();
        writer.write(body.slice(body.len() / 2..)).await.unwrap();
        writer.finish().await.unwrap()
    });
    Op::Append {
        mailbox,
        blob,
        message: MessageMeta::new("index".into()),
        flags: Flags::new(),
        internal_date: NOW,
    }
}

/// The body of a number: the number, then octets that follow from it; one in eight goes to a pack.
fn body(number: u64) -> Vec<u8> {
    let mut random = number | 1;
    let size =
        8 + if number.is_multiple_of(8) { 64 * 1024 } else { 0 } + (next(&mut random) % 20_000) as usize;
    let mut body = number.to_le_bytes().to_vec();
    while body.len() < size {
        body.extend_from_slice(&next(&mut random).to_le_bytes());
    }
    body
}

fn read(store: &SqliteStore, session: usize) -> State {
    let messages = |name| {
        let page = block_on(store.scan(
            mailbox(store, session, name),
            Scan::all(Fields::FLAGS | Fields::BLOB).limit(10_000),
        ))
        .unwrap();
        let read = |blob: &BlobRef| {
            let mut read = Vec::new();
            while (read.len() as u64) < blob.size() {
                read.extend_from_slice(
                    &block_on(store.read_blob(blob, read.len() as u64..u64::MAX)).unwrap(),
                );
            }
            let number = u64::from_le_bytes(read[..8].try_into().unwrap());
            assert!(read == body(number), "body {number} is damaged");
            number
        };
        let messages = page.messages.iter();
        messages
            .map(|it| {
                (
                    it.uid.value(),
                    (
                        read(it.blob.as_ref().unwrap()),
                        it.flags.contains(SystemFlags::FLAGGED),
                    ),
                )
            })
            .collect()
    };
    State {
        inbox: messages("INBOX"),
        done: messages("done"),
    }
}

fn next(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}
