//! Measures durable deliveries: `deliver [TASKS] [DELIVERIES PER TASK] [OCTETS] [FOLDER]`.
//!
//! Every task delivers to a mailbox of its own and waits for each delivery to be durable, as an SMTP session does
//! before its 250. Prints the rate, how many commits shared a sync, and what an append and sync alone would give
//! on the same disk. Then it opens one mailbox as an IMAP session does.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)] // It measures, and ends at errors.

use std::{fs::File, io::Write, path::Path, sync::Arc, time::Instant};

use bytes::Bytes;
use mailwright_mailbox::{
    Account, Batch, BlobWriter, Fields, FlagChange, Flags, MailboxId, MailboxName, MessageMeta, ModSeq, Op,
    Outcome, Scan, Store, SystemFlags, UidSet,
};
use mailwright_store::{Config, SqliteStore};

const NOW: i64 = 1_700_000_000;

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let mut number = |default| args.next().map_or(default, |arg| arg.parse().unwrap());
    let (tasks, deliveries, octets) = (number(20_usize), number(1000_usize), number(4096_usize));
    let temporary = tempfile::tempdir().unwrap();
    let folder = args
        .next()
        .map_or_else(|| temporary.path().to_owned(), Into::into);
    let raw = raw_syncs(&folder, octets);
    let store = Arc::new(SqliteStore::open(folder.join("mail"), Config::default()).unwrap());
    let mut mailboxes = Vec::new();
    for i in 0..tasks {
        mailboxes.push(create(&*store, i).await);
    }

    let before = store.statistics();
    let start = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for (i, mailbox) in mailboxes.iter().copied().enumerate() {
        let store = Arc::clone(&store);
        running.spawn(async move {
            for n in 0..deliveries {
                deliver(&*store, mailbox, i * deliveries + n, octets).await;
            }
        });
    }
    running.join_all().await;
    let seconds = start.elapsed().as_secs_f64();
    let after = store.statistics();
    let (commits, syncs) = (after.commits - before.commits, after.syncs - before.syncs);
    println!(
        "{tasks} tasks, {octets} octets: {:.0} durable deliveries/s; {:.1} commits per sync, {:.0} syncs/s; \
         append and sync alone: {raw:.0}/s",
        commits as f64 / seconds,
        commits as f64 / syncs as f64,
        syncs as f64 / seconds,
    );
    open(&*store, mailboxes[0]).await;
    let start = Instant::now();
    let report = store.check().await.unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    println!("check of {} messages: {:.0?}", report.messages, start.elapsed());
}

async fn create(store: &impl Store, i: usize) -> MailboxId {
    let account = Account::new(format!("user{i}@example.org"));
    let op = Op::CreateMailbox {
        account,
        name: MailboxName::inbox(),
        special_use: None,
    };
    let committed = store.commit(Batch::new(NOW).with(op)).await.unwrap();
    let Outcome::Created { mailbox, .. } = committed.outcomes[0] else {
        unreachable!()
    };
    mailbox
}

async fn deliver(store: &impl Store, mailbox: MailboxId, n: usize, octets: usize) {
    let mut body = format!("Subject: {n}\r\n\r\n").into_bytes();
    body.resize(octets, b'x');
    let mut writer = store.new_blob();
    writer.write(body.into()).await.unwrap();
    let blob = writer.finish().await.unwrap();
    let message = MessageMeta::new(Bytes::from(vec![7; 300]));
    let op = Op::Append {
        mailbox,
        blob,
        message,
        flags: Flags::new(),
        internal_date: NOW,
    };
    store.commit(Batch::new(NOW).with(op)).await.unwrap();
}

async fn open(store: &impl Store, mailbox: MailboxId) {
    for (what, fields) in [
        ("FLAGS", Fields::FLAGS),
        ("FLAGS", Fields::FLAGS),
        ("FLAGS, dates, size", Fields::FLAGS | Fields::DATES | Fields::SIZE),
        ("everything", Fields::ALL),
    ] {
        let start = Instant::now();
        let mut scan = Some(Scan::all(fields).limit(10_000));
        let mut messages = 0;
        while let Some(next) = scan {
            let page = store.scan(mailbox, next.clone()).await.unwrap();
            messages += page.messages.len();
            scan = next.after(&page);
        }
        println!("scan of {messages} messages ({what}): {:.1?}", start.elapsed());
    }
    let start = Instant::now();
    let page = store
        .scan(mailbox, Scan::all(Fields::FLAGS).since(ModSeq::new(1)))
        .await
        .unwrap();
    println!(
        "first changes since 1 ({}): {:.1?}",
        page.messages.len(),
        start.elapsed()
    );
    let start = Instant::now();
    let change = FlagChange::Add(SystemFlags::SEEN.into());
    let op = Op::StoreFlags {
        mailbox,
        uids: UidSet::all(),
        change,
        unchanged_since: None,
    };
    store.commit(Batch::new(NOW).with(op)).await.unwrap();
    println!("flag of all changed, durably: {:.1?}", start.elapsed());
}

fn raw_syncs(folder: &Path, octets: usize) -> f64 {
    let mut file = File::create(folder.join("raw")).unwrap();
    let body = vec![b'x'; octets];
    let start = Instant::now();
    for _ in 0..200 {
        file.write_all(&body).unwrap();
        file.sync_data().unwrap();
    }
    200.0 / start.elapsed().as_secs_f64()
}
