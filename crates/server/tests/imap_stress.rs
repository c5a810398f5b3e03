//! Ten sessions in one mailbox that append, store, copy, move, expunge, search, idle and reconnect at random.
//!
//! A session is our client engine on a socket. What it makes of the responses must be the mailbox in the end, and
//! nothing may be told that contradicts what was told before, to whichever session.
//!
//! `MAILWRIGHT_STRESS_SECONDS` says for how long (default 4), `MAILWRIGHT_STRESS_SEED` which sequence it is.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod stress;

use mailwright_imap::UidSet;
use mailwright_server::accounts::set_password;
use mailwright_server::config::{AccountEntry, ListenerConfig, PlaintextLogin, Protocol, TlsMode};
use mailwright_server::{Config, Server};
use mailwright_store::SqliteStore;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use stress::ledger::Ledger;
use stress::session::{Kind, Session};

const SESSIONS: u64 = 10;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_sessions_agree_on_one_mailbox() {
    let seconds = number("MAILWRIGHT_STRESS_SECONDS").unwrap_or(4);
    let clock = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.expect("a clock").as_nanos() as u64
    };
    let seed = number("MAILWRIGHT_STRESS_SEED").unwrap_or_else(clock);
    println!("MAILWRIGHT_STRESS_SEED={seed}");

    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new("mail.a.test".parse().unwrap(), folder.path());
    config.domains = vec!["a.test".parse().unwrap()];
    config.plaintext_login = PlaintextLogin::Loopback;
    let mut alice = AccountEntry::new("alice@a.test".parse().unwrap());
    set_password(&mut alice, &"secret".into());
    config.accounts.push(alice);
    let listener = ListenerConfig::new(Protocol::Imap, "127.0.0.1:0".parse().unwrap());
    config
        .listeners
        .push(listener.with_tls(TlsMode::Starttls).with_name("imap"));
    let store = SqliteStore::open(&config.data, mailwright_store::Config::default()).unwrap();
    let running = Server::builder(config).store(store).start().await.unwrap();
    let address = running.address("imap").unwrap();

    let ledger = Arc::new(Ledger::default());
    let kind = |n| match n {
        0..4 => Kind::Plain,
        4..7 => Kind::Condstore,
        _ => Kind::Qresync,
    };
    let mut first = Session::open(address, Kind::Condstore, seed, ledger.clone()).await;
    first.prepare().await;
    drop(first);
    let mut sessions = vec![];
    for n in 0..SESSIONS {
        let seed = seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        sessions.push(Session::open(address, kind(n), seed, ledger.clone()).await);
    }

    let happened = |sessions: &[Session]| {
        sessions.iter().fold((0, 0), |(acts, resyncs), session| {
            (acts + session.acts, resyncs + session.resyncs)
        })
    };
    let enough = |(acts, resyncs)| acts > 100 && resyncs > 3;
    // A machine that is busy with other things is given the time that it needs.
    let ends = Instant::now() + Duration::from_secs(seconds);
    let latest = ends + Duration::from_secs(180);
    let mut rounds = 0;
    while Instant::now() < ends || (!enough(happened(&sessions)) && Instant::now() < latest) {
        rounds += 1;
        let until = Instant::now() + Duration::from_millis(1500.min(seconds * 1000));
        let tasks = sessions.drain(..).map(|mut session| {
            tokio::spawn(async move {
                while Instant::now() < until {
                    session.act().await;
                }
                session
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            sessions.push(task.await.expect("a session fails"));
        }
        // Nobody acts: what a session that comes fresh is told is what all others must have made of the news.
        let mut fresh = Session::open(address, Kind::Condstore, seed, ledger.clone()).await;
        ledger.balance(fresh.uids(), fresh.counter(), fresh.others().await);
        for session in &mut sessions {
            session.settle().await;
            session.compare(&fresh).await;
        }
    }
    let (acts, resyncs) = happened(&sessions);
    println!("{rounds} rounds, {acts} acts, {resyncs} reconnects with QRESYNC, {ledger}");
    assert!(enough((acts, resyncs)), "too little happened: {acts} {resyncs}");
    assert_ne!(ledger.removed(), UidSet::new());
    running.shutdown().await;
}
