//! Sessions that work on a store and tell what they do, and the oracle of what must be there afterwards.
//!
//! A session says `? SESSION OPERATION` before each operation and `! SESSION UIDS @MODSEQ` when it was acknowledged.

use std::{collections::BTreeMap, io::Write, thread};

use bytes::Bytes;
use mailwright_mailbox::{
    Account, Batch, BlobRef, BlobWriter, Fields, FlagChange, Flags, MailboxId, MailboxName, MessageMeta,
    ModSeq, Op, Outcome, Scan, Store, SystemFlags, Uid, conformance::block_on,
};

pub(crate) const SESSIONS: usize = 6;
const NOW: i64 = 1_700_000_000;

/// UID → (number of the body, flagged).
pub(crate) type Messages = BTreeMap<u32, (u64, bool)>;

/// What one session has.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    pub(crate) inbox: Messages,
    pub(crate) done: Messages,
}

/// Has each session do so many operations, all sessions at once.
pub(crate) fn work<S: Store>(store: &S, seed: u64, steps: usize, say: &(dyn Fn(&str) + Sync)) {
    thread::scope(|scope| {
        for session in 0..SESSIONS {
            scope.spawn(move || run_session(store, session, seed, steps, say));
        }
    });
}

fn run_session<S: Store>(store: &S, session: usize, seed: u64, steps: usize, say: &dyn Fn(&str)) {
    let (inbox, done) = (mailbox(store, session, "INBOX"), mailbox(store, session, "done"));
    let page = block_on(store.scan(inbox, Scan::all(Fields::NONE).limit(10_000))).unwrap();
    let mut uids: Vec<u32> = page.messages.iter().map(|message| message.uid.value()).collect();
    let mut random = (seed ^ (session as u64) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
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
        let mod_seq = match committed.outcomes.last().unwrap() {
            Outcome::Appended { mod_seq, .. }
            | Outcome::Stored { mod_seq, .. }
            | Outcome::Expunged { mod_seq, .. } => Some(mod_seq),
            // That of a move is of the other mailbox.
            _ => None,
        };
        let uids: String = given.iter().map(|uid| format!(" {uid}")).collect();
        let mod_seq = mod_seq.map_or(String::new(), |it| format!(" @{}", it.value()));
        say(&format!("! {session}{uids}{mod_seq}\n"));
    }
}

/// What a session said of one operation.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) session: usize,
    pub(crate) what: Vec<String>,
    /// The UIDs that the acknowledgement told.
    pub(crate) done: Option<Vec<u32>>,
    /// The mod-sequence of INBOX after it, where it told that.
    pub(crate) mod_seq: Option<ModSeq>,
}

impl Line {
    /// The same, as if it had been acknowledged after the last that was.
    pub(crate) fn assumed(&self, highest: u32) -> Self {
        let done = (1..self.what.len() as u32).map(|n| highest + n).collect();
        Self {
            done: Some(done),
            ..self.clone()
        }
    }
}

/// What an operation makes of a state.
pub(crate) fn apply(mut state: State, line: &Line) -> State {
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

/// Notes what a session said: `? SESSION OPERATION` before, `! SESSION UIDS` after it; all else is not its own.
pub(crate) fn log(lines: &mut Vec<Line>, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["?", session, ref what @ ..] => lines.push(Line {
            session: session.parse().unwrap(),
            what: what.iter().map(ToString::to_string).collect(),
            done: None,
            mod_seq: None,
        }),
        ["!", session, ref uids @ ..] => {
            let session: usize = session.parse().unwrap();
            let asked = lines.iter_mut().rev().find(|line| line.session == session);
            let asked = asked.unwrap();
            let (mod_seq, uids): (Vec<&str>, Vec<&str>) = uids.iter().partition(|it| it.starts_with('@'));
            asked.done = Some(uids.iter().map(|uid| uid.parse().unwrap()).collect());
            asked.mod_seq = mod_seq.first().map(|it| ModSeq::new(it[1..].parse().unwrap()));
        }
        _ => {}
    }
}

/// One write of one line: what is in the pipe was said, and a half line was not.
pub(crate) fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    output.write_all(line.as_bytes()).unwrap();
    output.flush().unwrap();
}

pub(crate) fn mailbox(store: &impl Store, session: usize, name: &str) -> MailboxId {
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

fn append(store: &impl Store, mailbox: MailboxId, number: u64) -> Op {
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

pub(crate) fn read(store: &impl Store, session: usize) -> State {
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

pub(crate) fn next(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}
