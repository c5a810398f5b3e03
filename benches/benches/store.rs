//! The SQLite store: deliveries, opening a mailbox, flags, parts of messages, next to the disk itself
//!
//! `cargo bench -p mailwright-benches --bench store`. The disk is that of the temporary folder (`TMPDIR`). Deliveries are
//! of 4 KiB, and durable: the physical limit is an append of as many octets with `fdatasync` behind it. Mailboxes are of
//! 10,000 and 100,000 messages, all of them in the page cache.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)] // A bench ends at what goes wrong, and writes to a file.

use core::{
    pin::pin,
    task::{Context, Poll, Waker},
};
use std::{
    fs::File,
    io::Write,
    sync::Arc,
    task::Wake,
    thread::{self, Thread},
    time::{Duration, Instant},
};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mailwright_mailbox::{
    Account, Batch, BlobRef, BlobWriter, Fields, FlagChange, Flags, MailboxId, MailboxName, MessageMeta,
    ModSeq, Op, Outcome, Scan, Store, SystemFlags, Uid,
};
use mailwright_store::{Config, SqliteStore};

const OCTETS: usize = 4096;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        thread::park();
    }
}

fn create(store: &SqliteStore, account: &str) -> MailboxId {
    let create = Op::CreateMailbox {
        account: Account::new(account),
        name: MailboxName::inbox(),
        special_use: None,
    };
    let made = wait(store.commit(Batch::new(1).with(create))).unwrap();
    let Outcome::Created { mailbox, .. } = made.outcomes[0] else {
        unreachable!()
    };
    mailbox
}

fn body(number: usize, octets: usize) -> Bytes {
    let mut body = format!("Subject: {number}\r\n\r\n").into_bytes();
    body.resize(octets, b'x');
    body.into()
}

fn put(store: &SqliteStore, octets: Bytes) -> BlobRef {
    let mut writer = store.new_blob();
    wait(writer.write(octets)).unwrap();
    wait(writer.finish()).unwrap()
}

fn append(mailbox: MailboxId, blob: BlobRef) -> Op {
    Op::Append {
        mailbox,
        blob,
        message: MessageMeta::new(Bytes::from_static(&[7; 200])),
        flags: Flags::new(),
        internal_date: 1,
    }
}

/// Has so many clients deliver, in all, so often; each waits until its message is durable.
fn deliver(clients: &[(&SqliteStore, MailboxId)], deliveries: u64) -> Duration {
    let each = deliveries.div_ceil(clients.len() as u64);
    let start = Instant::now();
    thread::scope(|scope| {
        for (store, mailbox) in clients {
            scope.spawn(move || {
                for number in 0..each {
                    let blob = put(store, body(number as usize, OCTETS));
                    wait(store.commit(Batch::new(1).with(append(*mailbox, blob)))).unwrap();
                }
            });
        }
    });
    start
        .elapsed()
        .mul_f64(deliveries as f64 / (each * clients.len() as u64) as f64)
}

fn deliveries(c: &mut Criterion) {
    let mut group = c.benchmark_group("durable deliveries of 4 KiB");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    let folder = tempfile::tempdir().unwrap();
    let mut file = File::create(folder.path().join("raw")).unwrap();
    group.bench_function("append and fdatasync alone", |b| {
        b.iter(|| {
            file.write_all(&body(1, OCTETS)).unwrap();
            file.sync_data().unwrap();
        });
    });
    // Several stores side by side tell what more writers in one would bring.
    for (clients, stores) in [(1, 1), (10, 1), (32, 1), (32, 2), (32, 4)] {
        let folders: Vec<_> = (0..stores).map(|_| tempfile::tempdir().unwrap()).collect();
        let stores: Vec<_> = folders
            .iter()
            .map(|folder| SqliteStore::open(folder.path(), Config::default()).unwrap())
            .collect();
        let of_clients: Vec<_> = (0..clients)
            .map(|n| {
                let store = &stores[n % stores.len()];
                (store, create(store, &format!("user{n}")))
            })
            .collect();
        group.bench_function(format!("{clients} clients, {} stores", stores.len()), |b| {
            b.iter_custom(|deliveries| deliver(&of_clients, deliveries));
        });
        for store in &stores {
            assert_eq!(wait(store.check()).unwrap().problems, []);
        }
    }
    group.finish();
}

fn fill(store: &SqliteStore, count: usize, octets: usize) -> MailboxId {
    let mailbox = create(store, "bob");
    for from in (0..count).step_by(500) {
        let mut batch = Batch::new(1);
        for number in from..from + 500 {
            batch.push(append(mailbox, put(store, body(number, octets))));
        }
        wait(store.commit(batch)).unwrap();
    }
    mailbox
}

/// Reads what a session has to know to select a mailbox.
fn open(store: &SqliteStore, mailbox: MailboxId) -> usize {
    let contents = wait(store.contents(mailbox)).unwrap();
    assert_eq!(contents.unseen.len(), u64::from(contents.snapshot.unseen));
    contents.uids.len() as usize
}

/// Reads the flags of every message, as a client asks for them.
fn all_flags(store: &SqliteStore, mailbox: MailboxId) -> usize {
    let snapshot = wait(store.snapshot(mailbox)).unwrap();
    let (mut count, mut next) = (0, Some(Scan::all(Fields::FLAGS).limit(10_000)));
    while let Some(scan) = next {
        let page = wait(store.scan(mailbox, scan.clone())).unwrap();
        count += page.messages.len();
        next = scan.after(&page);
    }
    assert_eq!(count, snapshot.exists as usize);
    count
}

fn mailbox(c: &mut Criterion) {
    let mut group = c.benchmark_group("mailbox");
    group.sample_size(20);
    for count in [10_000, 100_000] {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path(), Config::default()).unwrap();
        let mailbox = fill(&store, count, 500);
        // What is kept of the mailbox is made when it is first opened.
        assert_eq!(open(&store, mailbox), count);
        group.bench_function(format!("open one of {count}"), |b| {
            b.iter(|| assert_eq!(open(&store, mailbox), count));
        });
        group.bench_function(format!("read the flags of {count}"), |b| {
            b.iter(|| assert_eq!(all_flags(&store, mailbox), count));
        });
        let since = wait(store.snapshot(mailbox)).unwrap().highest_mod_seq;
        group.bench_function(format!("look for changes in one of {count}"), |b| {
            b.iter(|| {
                let scan = Scan::all(Fields::FLAGS).since(ModSeq::new(since.value() - 1));
                assert_eq!(wait(store.scan(mailbox, scan)).unwrap().messages.len(), 1);
            });
        });
    }
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), Config::default()).unwrap();
    let mailbox = fill(&store, 10_000, 500);
    let uids = (Uid::new(51).unwrap()..=Uid::new(9950).unwrap()).into();
    let mut on = false;
    group.bench_function("change 9,900 flags durably", |b| {
        b.iter(|| {
            on = !on;
            let flags = Flags::from(SystemFlags::FLAGGED);
            let change = if on {
                FlagChange::Add(flags)
            } else {
                FlagChange::Remove(flags)
            };
            let op = Op::StoreFlags {
                mailbox,
                uids: Clone::clone(&uids),
                change,
                unchanged_since: None,
            };
            let done = wait(store.commit(Batch::new(1).with(op))).unwrap();
            let Outcome::Stored { changed, .. } = &done.outcomes[0] else {
                unreachable!()
            };
            assert_eq!(changed.len(), 9900);
        });
    });
    group.finish();
}

fn parts(c: &mut Criterion) {
    let mut group = c.benchmark_group("a random part of 4 KiB");
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), Config::default()).unwrap();
    for (what, octets, count) in [
        ("small messages", 20_000, 500),
        ("messages of 2 MiB", 2 << 20, 50),
    ] {
        let mailbox = create(&store, what);
        for number in 0..count {
            let blob = put(&store, body(number, octets));
            wait(store.commit(Batch::new(1).with(append(mailbox, blob)))).unwrap();
        }
        let page = wait(store.scan(mailbox, Scan::all(Fields::BLOB))).unwrap();
        assert_eq!(page.messages.len(), count);
        let mut random = 88_172_645_463_325_252_u64;
        group.bench_function(what, |b| {
            b.iter(|| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let blob = page.messages[random as usize % count].blob.as_ref().unwrap();
                let from = (random >> 20) % (octets as u64 - 4096);
                let part = wait(store.read_blob(blob, from..from + 4096)).unwrap();
                assert_eq!(part.len(), 4096);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, deliveries, mailbox, parts);
criterion_main!(benches);
