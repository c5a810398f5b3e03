//! Crash truth: the server is killed with SIGKILL at random moments under load, `CRASH_ROUNDS` times (fifty unless that
//! says otherwise). Every message that got its 250 is there afterwards, byte for byte, and every APPEND, STORE, MOVE and
//! EXPUNGE that got its OK has been done; what was under way was done whole or not at all; no UID is given twice.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests over real sockets and real time

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::lines::Lines;
use support::process::Process;
use tokio::sync::mpsc;

/// How many times the server is killed, unless `CRASH_ROUNDS` says.
const ROUNDS: usize = 50;
const SENDERS: usize = 6;
const SESSIONS: usize = 4;
/// After so many rounds, all that was delivered is looked at.
const LOOK: usize = 10;

/// The body of a message: repeatable from its name, of very different sizes, some too large for a database row.
fn body(name: &str) -> String {
    let seed: u64 = name
        .bytes()
        .fold(7, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b)));
    let lines = match seed % 10 {
        0 => 4000,
        1 | 2 => 100,
        _ => seed % 12 + 1,
    };
    let mut text = format!("Subject: {name}\r\n\r\n");
    for line in 0..lines {
        text.push_str(&format!(
            "{name} line {line} {:x}\r\n",
            seed.wrapping_mul(line + 1)
        ));
    }
    text
}

/// Sends messages until the server is gone; notes each one that got its 250.
async fn sender(server: SocketAddr, name: String, acknowledged: Arc<Mutex<Vec<String>>>) {
    let Some(mut peer) = Lines::try_connect(server).await else {
        return;
    };
    if peer.try_reply("220").await.is_none() || peer.try_say("EHLO load.example", "250").await.is_none() {
        return;
    }
    for n in 0.. {
        let name = format!("{name}-{n}");
        let message = format!("{}.\r\n", body(&name));
        for (command, reply) in [
            ("MAIL FROM:<load@c.example>", "250"),
            ("RCPT TO:<bob@localhost>", "250"),
            ("DATA", "354"),
        ] {
            if peer.try_say(command, reply).await.is_none() {
                return;
            }
        }
        peer.try_send_raw(message.as_bytes()).await;
        if peer.try_reply("250").await.is_none() {
            return;
        }
        acknowledged.lock().expect("no sender panicked").push(name);
    }
}

/// UID → the name of the message, and whether it is flagged.
type Messages = BTreeMap<u32, (String, bool)>;

/// What one IMAP session has in its two mailboxes, as far as the server has acknowledged.
#[derive(Clone, Debug, Default, PartialEq)]
struct Mail {
    work: Messages,
    done: Messages,
}

/// What a session asks for.
#[derive(Clone, Debug)]
enum Wish {
    Append(String),
    Flag(u32),
    Move(u32),
    Expunge(u32),
}

/// One IMAP session of each round, with mailboxes of its own.
#[derive(Clone, Debug, Default)]
struct Session {
    number: usize,
    mail: Mail,
    /// The highest UID that was told of each mailbox.
    highest: [u32; 2],
    /// What was asked for and not answered when the server was killed.
    open: Option<Wish>,
    acknowledged: usize,
    names: u64,
    random: u64,
}

impl Session {
    fn new(number: usize) -> Self {
        Self {
            number,
            random: 0x2545_f491_4f6c_dd1d ^ number as u64,
            ..Self::default()
        }
    }

    /// Compares what is there with what was acknowledged, then works until the server is gone.
    async fn run(mut self, server: SocketAddr, ready: mpsc::Sender<()>) -> Self {
        let _ = self.work(server, ready).await;
        self
    }

    async fn work(&mut self, server: SocketAddr, ready: mpsc::Sender<()>) -> Option<()> {
        let mut imap = Imap::log_in(server).await?;
        let [work, done] = ["work", "done"].map(|name| format!("{name}{}", self.number));
        for name in [&work, &done] {
            // There already, from the second round on.
            imap.ask(&format!("CREATE {name}")).await?;
        }
        let found = Mail {
            done: imap.read(&done).await?,
            work: imap.read(&work).await?,
        };
        self.compare(found);
        let _ = ready.send(()).await;
        loop {
            let wish = self.wish();
            self.open = Some(wish.clone());
            let told = match &wish {
                Wish::Append(name) => imap.append(&work, &body(name)).await?,
                Wish::Flag(uid) => imap.ok(&format!("UID STORE {uid} +FLAGS (\\Flagged)")).await?,
                Wish::Move(uid) => imap.ok(&format!("UID MOVE {uid} {done}")).await?,
                Wish::Expunge(uid) => {
                    // Two changes: after the first, the second has been asked for by nobody.
                    imap.ok(&format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)"))
                        .await?;
                    imap.ok(&format!("UID EXPUNGE {uid}")).await?
                }
            };
            self.open = None;
            self.mail = self.after(&wish, last_uid(&told));
            self.acknowledged += 1;
            for (mailbox, highest) in [&self.mail.work, &self.mail.done]
                .into_iter()
                .zip(&mut self.highest)
            {
                *highest = mailbox.keys().last().copied().unwrap_or(0).max(*highest);
            }
        }
    }

    fn compare(&mut self, found: Mail) {
        let mut possible = vec![self.mail.clone()];
        if let Some(wish) = self.open.take() {
            // Whatever UID it got is higher than all that were told.
            let of = match wish {
                Wish::Append(_) => &found.work,
                _ => &found.done,
            };
            let uid = of.keys().last().copied().unwrap_or(0);
            let is_fresh = match wish {
                Wish::Append(_) => uid > self.highest[0],
                Wish::Move(_) => uid > self.highest[1],
                Wish::Flag(_) | Wish::Expunge(_) => true,
            };
            if is_fresh {
                possible.push(self.after(&wish, Some(uid)));
            }
        }
        assert!(
            possible.contains(&found),
            "session {}: {found:?} is none of {possible:?}",
            self.number
        );
        self.mail = found;
        for (mailbox, highest) in [&self.mail.work, &self.mail.done]
            .into_iter()
            .zip(&mut self.highest)
        {
            *highest = mailbox.keys().last().copied().unwrap_or(0).max(*highest);
        }
    }

    fn wish(&mut self) -> Wish {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let at = (self.random >> 20) as usize;
        let any = |messages: &Messages| messages.keys().nth(at % messages.len().max(1)).copied();
        let uid = any(&self.mail.work);
        match (self.random % 10, uid) {
            // Of what stays, few: all of it is read in every round.
            (5 | 6, Some(uid)) if self.mail.done.len() < 20 => Wish::Move(uid),
            (3 | 4, Some(uid)) => Wish::Flag(uid),
            (7.., Some(uid)) => Wish::Expunge(uid),
            (_, Some(uid)) if self.mail.work.len() > 20 => Wish::Expunge(uid),
            _ => {
                self.names += 1;
                Wish::Append(format!("i{}n{}", self.number, self.names))
            }
        }
    }

    /// What there is when a wish was fulfilled; what comes somewhere has this UID there.
    fn after(&self, wish: &Wish, uid: Option<u32>) -> Mail {
        let mut mail = self.mail.clone();
        let told = || uid.expect("the server tells UIDs");
        match wish {
            Wish::Append(name) => {
                let uid = told();
                assert!(uid > self.highest[0], "UID {uid} was given again");
                mail.work.insert(uid, (name.clone(), false));
            }
            Wish::Flag(uid) => {
                if let Some(message) = mail.work.get_mut(uid) {
                    message.1 = true;
                }
            }
            Wish::Move(from) => {
                let message = mail.work.remove(from).expect("it was there");
                mail.done.insert(told(), message);
            }
            Wish::Expunge(uid) => drop(mail.work.remove(uid)),
        }
        mail
    }
}

/// The last number in `[APPENDUID V U]` or `[COPYUID V F U]`.
fn last_uid(told: &[Vec<u8>]) -> Option<u32> {
    let code = told.iter().find_map(|line| {
        let line = String::from_utf8_lossy(line).into_owned();
        let at = line.find("[APPENDUID ").or_else(|| line.find("[COPYUID "))?;
        Some(line[at..line[at..].find(']')? + at].to_owned())
    })?;
    code.rsplit(' ').next()?.parse().ok()
}

/// An IMAP connection to a server that may be gone at any moment.
struct Imap {
    lines: Lines,
    tag: u32,
}

impl Imap {
    async fn log_in(server: SocketAddr) -> Option<Self> {
        let mut it = Self {
            lines: Lines::try_connect(server).await?,
            tag: 0,
        };
        it.lines.try_line().await?;
        it.ok("LOGIN bob@localhost builder").await?;
        Some(it)
    }

    /// Sends a command; its untagged responses, and last how it ended.
    async fn ask(&mut self, command: &str) -> Option<Vec<Vec<u8>>> {
        self.tag += 1;
        let line = format!("a{} {command}\r\n", self.tag);
        self.lines.try_send_raw(line.as_bytes()).await;
        self.end().await
    }

    async fn end(&mut self) -> Option<Vec<Vec<u8>>> {
        let tag = format!("a{} ", self.tag);
        let mut told = Vec::new();
        loop {
            let line = self.lines.try_line().await?;
            if line.starts_with(b"* BYE") {
                return None;
            }
            match line.strip_prefix(tag.as_bytes()) {
                Some(end) => {
                    told.push(end.to_vec());
                    return Some(told);
                }
                None => told.push(line),
            }
        }
    }

    async fn ok(&mut self, command: &str) -> Option<Vec<Vec<u8>>> {
        let told = self.ask(command).await?;
        let end = told.last().expect("there is an end");
        assert!(end.starts_with(b"OK"), "{command}: {}", end.escape_ascii());
        Some(told)
    }

    async fn append(&mut self, mailbox: &str, message: &str) -> Option<Vec<Vec<u8>>> {
        self.ok(&format!("APPEND {mailbox} {{{}+}}\r\n{message}", message.len()))
            .await
    }

    /// Selects a mailbox and reads all of it, every octet.
    async fn read(&mut self, mailbox: &str) -> Option<Messages> {
        self.ok(&format!("SELECT {mailbox}")).await?;
        let told = self.ok("UID FETCH 1:* (UID FLAGS BODY.PEEK[])").await?;
        let mut messages = Messages::new();
        for line in told
            .iter()
            .filter(|line| line.windows(6).any(|it| it == b"FETCH "))
        {
            let start = line.windows(3).position(|it| it == b"}\r\n").expect("a literal") + 3;
            let head = String::from_utf8_lossy(&line[..start]).into_owned();
            let uid = head
                .split("UID ")
                .nth(1)
                .and_then(|it| it.split([' ', ')']).next());
            let octets = line[start..].strip_suffix(b")").expect("the end of FETCH");
            let subject = octets.strip_prefix(b"Subject: ").expect("a subject");
            let name = subject.split(|octet| *octet == b'\r').next().expect("a line");
            let name = String::from_utf8(name.to_vec()).expect("ASCII");
            assert!(octets == body(&name).as_bytes(), "{name} has changed");
            let uid = uid.and_then(|uid| uid.parse().ok()).expect("a UID");
            // \Deleted alone is of an EXPUNGE that was not asked for yet.
            messages.insert(uid, (name, head.contains("\\Flagged")));
        }
        Some(messages)
    }
}

/// All messages of Bob's INBOX, by subject; they are expunged then.
async fn delivered(imap: SocketAddr) -> BTreeMap<String, Vec<u8>> {
    let mut bob = Lines::connect(imap).await;
    bob.line().await.expect("a greeting");
    bob.imap("LOGIN bob@localhost builder", "OK").await;
    bob.imap("SELECT INBOX", "OK").await;
    let mut found = BTreeMap::new();
    let responses = bob.imap("UID FETCH 1:* BODY.PEEK[]", "OK").await;
    for response in &responses[..responses.len() - 1] {
        let start = response
            .windows(3)
            .position(|w| w == b"}\r\n")
            .expect("a literal")
            + 3;
        let message = response[start..].strip_suffix(b")").expect("the end of FETCH");
        let at = message
            .windows(9)
            .position(|w| w == b"Subject: ")
            .expect("a subject");
        let name = message[at + 9..].split(|b| *b == b'\r').next().expect("a line");
        found.insert(
            String::from_utf8(name.to_vec()).expect("ASCII"),
            message[at..].to_vec(),
        );
    }
    bob.imap("UID STORE 1:* +FLAGS.SILENT (\\Deleted)", "OK").await;
    bob.imap("EXPUNGE", "OK").await;
    bob.imap("LOGOUT", "OK").await;
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9() {
    let rounds = std::env::var("CRASH_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let mut sessions: Vec<Session> = (0..SESSIONS).map(Session::new).collect();
    let (mut all, mut count) = (Vec::<String>::new(), 0);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..rounds {
        let mut server = Process::start(folder.path(), true).await;
        let acknowledged = Arc::new(Mutex::new(vec![]));
        let senders: Vec<_> = (0..SENDERS)
            .map(|s| {
                tokio::spawn(sender(
                    server.address("smtp"),
                    format!("r{round}s{s}"),
                    acknowledged.clone(),
                ))
            })
            .collect();
        let (ready, mut is_ready) = mpsc::channel(SESSIONS);
        let working: Vec<_> = sessions
            .drain(..)
            .map(|session| tokio::spawn(session.run(server.address("imap"), ready.clone())))
            .collect();
        drop(ready);
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        // One kill in five falls at any moment of the start, the others among the changes.
        if round % 5 != 4 {
            for _ in 0..SESSIONS {
                is_ready.recv().await;
            }
        }
        tokio::time::sleep(Duration::from_millis(20 + seed % 280)).await;
        server.kill_9().await;
        for task in senders {
            task.await.expect("a sender does not panic");
        }
        for session in working {
            sessions.push(session.await.expect("nothing that was acknowledged is lost"));
        }
        all.append(&mut acknowledged.lock().expect("no sender panicked"));
        // Looking at everything takes time; the rounds between are looked at with the next ones.
        if round % LOOK == LOOK - 1 || round + 1 == rounds {
            let mut server = Process::start(folder.path(), true).await;
            let found = delivered(server.address("imap")).await;
            for name in all.drain(..) {
                let message = found
                    .get(&name)
                    .unwrap_or_else(|| panic!("round {round}: {name} got its 250 and is lost"));
                assert_eq!(
                    message,
                    body(&name).as_bytes(),
                    "round {round}: {name} has changed"
                );
                count += 1;
            }
            server.kill_9().await;
        }
    }
    let changes: usize = sessions.iter().map(|session| session.acknowledged).sum();
    println!(
        "{count} deliveries and {changes} changes were acknowledged in {rounds} rounds, and all are there"
    );
    assert!(
        count > 10 * rounds && changes > 10 * rounds,
        "only {count} deliveries and {changes} changes in {rounds} rounds: there was no load"
    );
}
