//! Fills the queue of a server at rest: `fill_queue DATA_FOLDER [MESSAGES] [DOMAINS]`.
//!
//! Each message has a sender and a recipient of its own, in one of as many domains, and was tried twice; they fall due
//! one after the other within the next four hours. All share one body. They go into the spool as the server puts them
//! there, through the store, a thousand in a commit.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)] // It measures, and ends at errors.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mailwright_address::{EmailAddress, ReversePath};
use mailwright_mailbox::{Batch, BlobWriter, Op, Store};
use mailwright_queue::{Diagnosis, Record, State, Status, Timestamp};
use mailwright_store::{Config, SqliteStore};

const BATCH: u64 = 1000;
const DAY: Duration = Duration::from_secs(86_400);

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let folder = args.next().expect("fill_queue DATA_FOLDER [MESSAGES] [DOMAINS]");
    let mut number = |default: u64| args.next().map_or(default, |arg| arg.parse().unwrap());
    let (messages, domains) = (number(1_000_000), number(10_000));
    let store = SqliteStore::open(std::path::Path::new(&folder).join("mail"), Config::default()).unwrap();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = Timestamp::default() + since;
    let mut writer = store.new_blob();
    let body = format!(
        "Subject: hello\r\n\r\n{}",
        "What there is to say.\r\n".repeat(200)
    );
    let size = body.len() as u64;
    writer.write(body.into()).await.unwrap();
    let blob = writer.finish().await.unwrap();

    let start = Instant::now();
    for first in (0..messages).step_by(BATCH as usize) {
        let mut batch = Batch::new(since.as_secs().cast_signed());
        for n in first..messages.min(first + BATCH) {
            let mut record = record(n, domains, now);
            record.size = size;
            batch.push(Op::SpoolPut {
                key: None,
                record: record.encode(),
                blob: Some(blob.clone()),
            });
        }
        store.commit(batch).await.unwrap();
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{messages} messages in {seconds:.0} s");
}

fn record(n: u64, domains: u64, now: Timestamp) -> Record {
    let sender = EmailAddress::parse(&format!("sender{n}@a.test")).unwrap();
    let reverse_path = ReversePath::Address(sender);
    let mut record = Record::new(format!("{n:016x}"), reverse_path, now, now + 5 * DAY);
    let domain = n % domains;
    let recipient = EmailAddress::parse(&format!("recipient{n}@d{domain}.test")).unwrap();
    // Scattered over four hours, not before the server has looked around.
    let wait = Duration::from_secs(300) + Duration::from_millis(n.wrapping_mul(2_654_435_761) % 14_100_000);
    let host = format!("mx.d{domain}.test");
    record.add_recipient(recipient).state = State::Queued {
        attempts: 2,
        due: now + wait,
        last: Some(Diagnosis::remote(
            Status::new(4, 7, 1).unwrap(),
            &host,
            "450 4.7.1 try again later",
        )),
    };
    for _ in 0..2 {
        let text = format!(
            "d{domain}.test via {host} 192.0.2.1: 1 deferred: 4.7.1 ({host}) 450 4.7.1 try again later"
        );
        record.note(now, text);
    }
    record
}
