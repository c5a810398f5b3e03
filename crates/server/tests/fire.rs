//! The queue under fire: mail servers that refuse for now, refuse for good, drop, hang, and fail after they have seen
//! the whole message, while the server is killed with SIGKILL again and again. Every recipient of a message that got
//! its 250 ends in exactly one way; a copy too many comes only of a kill between the other side's 250 and our record.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests over real sockets and real time

mod support;

use mailwright_mailbox::{Account, Fields, Scan, Store};
use mailwright_message::{Index, dsn};
use mailwright_queue::Record;
use mailwright_server::accounts::set_password;
use mailwright_server::config::AccountEntry;
use mailwright_store::SqliteStore;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::lines::Lines;
use support::process::Process;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

const ROUNDS: usize = 12;
const SENDERS: usize = 4;
const PEERS: usize = 4;
/// What a sender sends in a round at most: how fast the machine takes mail must not decide how much there is to carry.
const MESSAGES: usize = 25;

/// A copy of a message for one recipient: the name of the message, and the address.
type Copy = (String, String);

/// What the peers of all domains have seen.
#[derive(Default)]
struct World {
    /// How often the server was killed.
    epoch: AtomicUsize,
    /// The copies that got their 250, with the epoch in which their connection was made.
    taken: Mutex<HashMap<Copy, Vec<usize>>>,
    /// How often a recipient that is refused at first was tried.
    tries: Mutex<HashMap<String, u32>>,
    dice: Mutex<u64>,
}

impl World {
    fn roll(&self, n: u64) -> u64 {
        let mut dice = self.dice.lock().expect("no panic");
        *dice ^= *dice << 13;
        *dice ^= *dice >> 7;
        *dice ^= *dice << 17;
        *dice % n
    }
}

async fn peer(world: Arc<World>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            // It may fail at any line.
            let world = world.clone();
            tokio::spawn(async move { converse(&world, tcp).await });
        }
    });
    address
}

/// One connection; `None` when it is over.
async fn converse(world: &World, tcp: TcpStream) -> Option<()> {
    let epoch = world.epoch.load(Ordering::SeqCst);
    let mut stream = BufReader::new(tcp);
    match world.roll(20) {
        0 => return None,
        1 => return stream.write_all(b"421 busy\r\n").await.ok(),
        2 => sleep(Duration::from_millis(300)).await,
        _ => {}
    }
    stream.write_all(b"220 peer.test\r\n").await.ok()?;
    let mut recipients = Vec::new();
    loop {
        let line = line(&mut stream).await?;
        let reply = match line.get(..4).map(str::to_ascii_uppercase).as_deref() {
            Some("EHLO") => "250-peer.test\r\n250 PIPELINING".to_owned(),
            Some("MAIL" | "RSET" | "NOOP") => {
                recipients.clear();
                "250 2.0.0 ok".into()
            }
            Some("RCPT") => {
                let to = line.split(['<', '>']).nth(1)?.to_owned();
                let verdict = judge(world, &to);
                if verdict.starts_with('2') {
                    recipients.push(to);
                }
                verdict.into()
            }
            Some("DATA") if recipients.is_empty() => "554 5.5.1 no recipients".into(),
            Some("DATA") => {
                stream.write_all(b"354 go on\r\n").await.ok()?;
                let name = body(&mut stream).await?;
                match world.roll(12) {
                    0 => return None,
                    1 => {
                        sleep(Duration::from_millis(400)).await;
                        return None;
                    }
                    2 | 3 => "451 4.3.0 not after all".to_owned(),
                    _ => {
                        let mut taken = world.taken.lock().expect("no panic");
                        for to in recipients.drain(..) {
                            taken.entry((name.clone(), to)).or_default().push(epoch);
                        }
                        "250 2.0.0 taken".into()
                    }
                }
            }
            Some("QUIT") => return stream.write_all(b"221 2.0.0 bye\r\n").await.ok(),
            _ => "500 5.5.2 what?".into(),
        };
        stream.write_all(format!("{reply}\r\n").as_bytes()).await.ok()?;
        if world.roll(60) == 0 {
            return None;
        }
    }
}

async fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await.ok()?;
    (read > 0).then_some(line)
}

/// Reads a whole message, and says what it is called.
async fn body(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut name = None;
    loop {
        let line = line(stream).await?;
        if line == ".\r\n" {
            return name;
        }
        if let Some(subject) = line.strip_prefix("Subject: ") {
            name = Some(subject.trim_end().to_owned());
        }
    }
}

/// The local part says what becomes of a recipient.
fn judge(world: &World, to: &str) -> &'static str {
    match to.split(['-', '@']).next() {
        Some("no") => "550 5.1.1 no such user",
        Some("never") => "451 4.2.1 not today",
        Some("grey") => {
            let mut tries = world.tries.lock().expect("no panic");
            let tries = tries.entry(to.to_owned()).or_default();
            *tries += 1;
            match *tries {
                ..3 => "450 4.7.1 come back",
                _ => "250 2.1.5 ok",
            }
        }
        _ => "250 2.1.5 ok",
    }
}

/// Submits messages until the server is gone; notes the copies of each that got its 250.
async fn sender(
    server: SocketAddr,
    world: Arc<World>,
    who: String,
    acknowledged: Arc<Mutex<BTreeSet<Copy>>>,
) -> Option<()> {
    let mut peer = Lines::try_connect(server).await?;
    peer.try_reply("220").await?;
    peer.try_say("EHLO load.example", "250").await?;
    // alice@localhost, "wonder land"
    peer.try_say("AUTH PLAIN AGFsaWNlQGxvY2FsaG9zdAB3b25kZXIgbGFuZA==", "235")
        .await?;
    for n in 0..MESSAGES {
        // Some are still to come when the kill does.
        sleep(Duration::from_millis(world.roll(40))).await;
        let name = format!("{who}-{n}");
        peer.try_say("MAIL FROM:<alice@localhost>", "250").await?;
        let mut copies = Vec::new();
        for i in 0..=world.roll(4) {
            let kind = ["ok", "ok", "ok", "grey", "no", "never"][usize::try_from(world.roll(6)).ok()?];
            let to = format!("{kind}-{name}-{i}@d{}.test", world.roll(PEERS as u64));
            peer.try_say(&format!("RCPT TO:<{to}>"), "250").await?;
            copies.push((name.clone(), to));
        }
        peer.try_say("DATA", "354").await?;
        let text = format!(
            "From: alice@localhost\r\nSubject: {name}\r\n\r\n{}.\r\n",
            "line\r\n".repeat(20)
        );
        peer.try_send_raw(text.as_bytes()).await;
        peer.try_reply("250").await?;
        acknowledged.lock().expect("no panic").extend(copies);
    }
    None
}

fn configure(folder: &Path, peers: &[SocketAddr]) {
    let mut alice = AccountEntry::new("alice@localhost".parse().expect("an address"));
    set_password(&mut alice, &"wonder land".into());
    let mut text = "hostname = \"localhost\"\ndomains = [\"localhost\"]\ndata = \"mail\"\nplaintext_login = \"loopback\"\n\
         [queue]\nretry = [\"1s\", \"1s\", \"2s\"]\nexpire = \"1h\"\ndelay_notice = \"never\"\n"
        .to_owned();
    text += &format!(
        "[[account]]\nname = \"alice@localhost\"\npassword = \"{}\"\n",
        alice.password.expect("it was set")
    );
    for (name, protocol, tls) in support::process::LISTENERS {
        text += &format!(
            "[[listener]]\nname = \"{name}\"\naddress = \"127.0.0.1:0\"\nprotocol = \"{protocol}\"\ntls = \"{tls}\"\n"
        );
    }
    text += "[outbound.routes]\n";
    for (n, peer) in peers.iter().enumerate() {
        text += &format!("\"d{n}.test\" = \"{peer}\"\n");
    }
    std::fs::write(folder.join("mailwright.toml"), text).expect("writable");
}

/// What the server says of its queue.
async fn listed(folder: &Path) -> String {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_mailwright"));
    command.args(["queue", "list", "--data"]).arg(folder.join("mail"));
    let output = command.output().await.expect("it runs");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The records that are left in the spool.
async fn spool(store: &SqliteStore) -> Vec<(String, Record)> {
    let mut records = Vec::new();
    let mut after = None;
    loop {
        let page = store.spool(after, 500).await.expect("readable");
        let Some(last) = page.last() else { return records };
        after = Some(last.key);
        for entry in page {
            let blob = entry.blob.expect("the body of a message in the queue is there");
            let body = store.read_blob(&blob, 0..blob.size()).await.expect("readable");
            records.push((subject(&body), Record::decode(&entry.record).expect("a record")));
        }
    }
}

fn subject(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let subjects: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("Subject: "))
        .collect();
    subjects.last().expect("a subject").trim_end().to_owned()
}

/// The copies that Alice was told could not be delivered, and how often.
async fn bounced(store: &SqliteStore) -> BTreeMap<Copy, usize> {
    let mailboxes = store
        .mailboxes(&Account::new("alice@localhost"))
        .await
        .expect("readable");
    let inbox = mailboxes.iter().find(|m| m.name.is_inbox()).expect("an INBOX");
    let mut told = BTreeMap::new();
    let mut scan = Scan::all(Fields::BLOB);
    loop {
        let page = store.scan(inbox.id, scan.clone()).await.expect("readable");
        let next = scan.after(&page);
        for message in page.messages {
            let blob = message.blob.expect("it was asked for");
            let octets = store.read_blob(&blob, 0..blob.size()).await.expect("readable");
            let report =
                dsn::Report::parse(&Index::of(&octets), &octets).expect("Alice gets nothing but notices");
            for recipient in report.recipients {
                assert_eq!(recipient.action, dsn::Action::Failed);
                *told
                    .entry((subject(&octets), recipient.final_recipient.value))
                    .or_default() += 1;
            }
        }
        match next {
            Some(next) => scan = next,
            None => return told,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_copies_too_many_come_of_kills_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = Arc::new(World {
        dice: Mutex::new(0x2545_f491_4f6c_dd1d),
        ..World::default()
    });
    let mut peers = Vec::new();
    for _ in 0..PEERS {
        peers.push(peer(world.clone()).await);
    }
    configure(folder.path(), &peers);
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    for round in 0..ROUNDS {
        let mut server = Process::start(folder.path(), true).await;
        let senders: Vec<_> = (0..SENDERS)
            .map(|s| {
                let who = format!("r{round}s{s}");
                tokio::spawn(sender(
                    server.address("submission"),
                    world.clone(),
                    who,
                    acknowledged.clone(),
                ))
            })
            .collect();
        sleep(Duration::from_millis(300 + world.roll(700))).await;
        server.kill_9().await;
        world.epoch.fetch_add(1, Ordering::SeqCst);
        for task in senders {
            task.await.expect("a sender does not panic");
        }
    }
    // Peace, at least from us: what can be delivered is, in the end.
    let server = Process::start(folder.path(), true).await;
    let acknowledged = acknowledged.lock().expect("no panic").clone();
    let deliverable: Vec<&Copy> = acknowledged
        .iter()
        .filter(|(_, to)| to.starts_with("ok") || to.starts_with("grey"))
        .collect();
    let started = Instant::now();
    loop {
        let left = {
            let taken = world.taken.lock().expect("no panic");
            deliverable
                .iter()
                .filter(|copy| !taken.contains_key(**copy))
                .count()
        };
        if left == 0 {
            break;
        }
        if started.elapsed() > Duration::from_secs(180) {
            let queue = listed(folder.path()).await;
            panic!("{left} copies never came; the queue has:\n{queue}");
        }
        sleep(Duration::from_millis(100)).await;
    }
    // What is under way gets its record.
    sleep(Duration::from_millis(500)).await;
    assert!(server.terminate().await.success());

    let store = SqliteStore::open(
        folder.path().join("mail/mail"),
        mailwright_store::Config::default(),
    )
    .expect("it is whole");
    let bounced = bounced(&store).await;
    let mut queued = BTreeMap::new();
    for (name, record) in spool(&store).await {
        for recipient in record.recipients.iter().filter(|r| r.is_queued()) {
            *queued
                .entry((name.clone(), recipient.address.to_string()))
                .or_insert(0) += 1;
        }
    }
    let taken = world.taken.lock().expect("no panic");
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    for copy in &acknowledged {
        let count = |n: Option<&usize>| n.copied().unwrap_or(0);
        let (told, waits) = (count(bounced.get(copy)), count(queued.get(copy)));
        let came = usize::from(taken.contains_key(copy));
        assert_eq!(
            came + told + waits,
            1,
            "{copy:?}: delivered {came}, bounced {told}, queued {waits}"
        );
        *ends.entry(copy.1.split('-').next().expect("a kind")).or_default() += 1;
        let (is_no, is_never) = (copy.1.starts_with("no-"), copy.1.starts_with("never-"));
        assert_eq!((told == 1, waits == 1), (is_no, is_never), "{copy:?}");
    }
    let mut extra = 0;
    for (copy, epochs) in taken.iter() {
        let distinct: BTreeSet<&usize> = epochs.iter().collect();
        assert_eq!(
            distinct.len(),
            epochs.len(),
            "{copy:?} came twice without a kill between: {epochs:?}"
        );
        extra += epochs.len() - 1;
    }
    println!("{ends:?} copies in {ROUNDS} rounds; {extra} came once more for a kill between 250 and record");
    assert!(
        acknowledged.len() > 20 * ROUNDS,
        "only {} copies: there was no load",
        acknowledged.len()
    );
}
