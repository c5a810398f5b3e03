//! Searching, sorting and threading a mailbox in the SQLite store, next to a scan that reads and decodes each message
//!
//! `cargo bench -p mailwright-benches --bench search`. The corpus is made here: 10,000 messages of about 4 KiB, of which
//! half are plain text, the others HTML in quoted-printable and UTF-8 text in base64; one in a thousand has the word
//! that is searched for. All of them are in the page cache, as after the delivery of new mail. SORT and THREAD
//! take ten times as many, of their keys alone.
#![allow(clippy::unwrap_used)] // A bench ends at what goes wrong.

use core::{
    pin::pin,
    task::{Context, Poll, Waker},
};
use std::{
    hint::black_box,
    sync::Arc,
    task::Wake,
    thread::{self, Thread},
};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use mailwright_mailbox::{
    Account, Batch, BlobWriter, Fields, Flags, MailboxId, MailboxName, Message, ModSeq, Op, Outcome, Scan,
    Store, Uid, casemap,
    digest::{Builder, Keys, Options},
    search::{Query, Search},
    sort::{SortCriterion, SortKey, Sorter, Threader, Threads},
};
use mailwright_message::{Index, header, text, transfer::Encoding};
use mailwright_store::{Config, SqliteStore};

const COUNT: usize = 10_000;
const WORD: &str = "Straßenfest";

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

const SYLLABLES: [&str; 40] = [
    "lo", "rem", "ip", "sum", "do", "lor", "sit", "a", "met", "con", "sec", "te", "tur", "adi", "pis",
    "cing", "e", "lit", "sed", "un", "ver", "stra", "ge", "fes", "kom", "pen", "ster", "wal", "tag", "ber",
    "mi", "nu", "ra", "go", "this", "and", "of", "ing", "th", "Grü",
];

fn message(at: usize) -> Vec<u8> {
    let mut body = String::new();
    let mut seed = at as u64 * 2_654_435_761 + 1;
    while body.len() < 3300 {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // The words are of a few syllables, as those of a language are: some thousands, of some hundred runs of three
        // letters. Only every other message has words that are not ASCII.
        let count = SYLLABLES.len() - at % 2;
        for syllable in 0..=(seed >> 62) {
            body.push_str(SYLLABLES[(seed >> (20 + 12 * syllable)) as usize % count]);
        }
        body.push_str(if seed >> 60 == 0 { "\r\n" } else { " " });
    }
    if at % 1000 == 7 {
        body.push_str(WORD);
    }
    let (kind, encoding, body) = match at % 4 {
        0 | 2 => ("text/plain; charset=utf-8", "8bit", body.into_bytes()),
        1 => {
            let html = format!("<html><body><p>{body}</p></body></html>").replace('=', "=3D");
            let mut lines = String::new();
            for word in html.split_inclusive(' ') {
                if lines.len() - lines.rfind('\n').unwrap_or(0) > 60 {
                    lines.push_str("=\r\n");
                }
                for octet in word.bytes() {
                    match octet.is_ascii() {
                        true => lines.push(octet.into()),
                        false => lines.push_str(&format!("={octet:02X}")),
                    }
                }
            }
            ("text/html; charset=utf-8", "quoted-printable", lines.into_bytes())
        }
        _ => ("text/plain; charset=utf-8", "base64", base64(body.as_bytes())),
    };
    let before = at.saturating_sub(at % 7);
    let mut message = format!(
        "Return-Path: <sender{at}@example.com>\r\n\
         Received: from mx.example.com (mx.example.com [192.0.2.1])\r\n by mail.example.org with ESMTPS id {at:08x}\r\n \
         for <bob@example.org>; Fri, 21 Nov 1997 09:55:06 -0600\r\n\
         From: =?utf-8?q?J=C3=BCrgen?= Sender {at} <sender{}@example.com>\r\nTo: Bob <bob@example.org>\r\n\
         Subject: {}report {}\r\nDate: Fri, 21 Nov 1997 09:{:02}:{:02} -0600\r\nMessage-ID: <{at}@example.com>\r\n\
         References: <{before}@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: {kind}\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n",
        at % 97,
        if at == before { "" } else { "Re: " },
        before / 7,
        at / 60 % 60,
        at % 60,
    )
    .into_bytes();
    message.extend_from_slice(&body);
    message
}

/// In lines of 76 characters.
fn base64(octets: &[u8]) -> Vec<u8> {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    for (at, three) in octets.chunks(3).enumerate() {
        if at > 0 && at % 19 == 0 {
            out.extend_from_slice(b"\r\n");
        }
        let bits = three
            .iter()
            .fold(0u32, |bits, octet| bits << 8 | u32::from(*octet))
            << (8 * (3 - three.len()));
        for place in 0..4 {
            out.push(match place <= three.len() {
                true => digits[(bits >> (18 - 6 * place) & 63) as usize],
                false => b'=',
            });
        }
    }
    assert_eq!(
        &*Encoding::Base64.decode(&out),
        octets,
        "the corpus is what it should be"
    );
    out
}

fn fill(store: &SqliteStore) -> MailboxId {
    let create = Op::CreateMailbox {
        account: Account::new("bob"),
        name: MailboxName::inbox(),
        special_use: None,
    };
    let made = wait(store.commit(Batch::new(1).with(create))).unwrap();
    let Outcome::Created { mailbox, .. } = made.outcomes[0] else {
        unreachable!()
    };
    for from in (0..COUNT).step_by(500) {
        let mut batch = Batch::new(1);
        for at in from..from + 500 {
            let octets = message(at);
            let mut builder = Builder::new(Options::default());
            builder.push(&octets);
            let mut writer = store.new_blob();
            wait(writer.write(Bytes::from(octets))).unwrap();
            batch.push(Op::Append {
                mailbox,
                blob: wait(writer.finish()).unwrap(),
                message: builder.finish().meta,
                flags: Flags::new(),
                internal_date: at as i64,
            });
        }
        wait(store.commit(batch)).unwrap();
    }
    mailbox
}

/// The stages as the server goes through them, on one thread.
fn staged(store: &SqliteStore, mailbox: MailboxId, query: &Query) -> usize {
    let search = Search::new(query);
    let (mut found, mut open) = (0, search.uids().clone());
    if let Some(fields) = search.first() {
        let mut next = Some(Scan::new(core::mem::take(&mut open), fields).limit(500));
        while let Some(scan) = next {
            let page = wait(store.scan(mailbox, scan.clone())).unwrap();
            for message in &page.messages {
                match search.judge(message) {
                    Some(verdict) => found += usize::from(verdict),
                    None => open.insert(message.uid),
                }
            }
            next = scan.after(&page);
        }
    }
    let mut next = (!open.is_empty()).then(|| Scan::new(open, search.second()).limit(500));
    while let Some(scan) = next {
        let page = wait(store.scan(mailbox, scan.clone())).unwrap();
        let verdicts = page.messages.iter().map(|message| search.look(message));
        found += verdicts.filter(|it| it.expect("all of it is at hand")).count();
        next = scan.after(&page);
    }
    found
}

/// Reads and decodes each message.
fn naive(store: &SqliteStore, mailbox: MailboxId, word: &str) -> usize {
    let (mut found, word) = (0, casemap::mapped(word));
    let mut next = Some(Scan::all(Fields::BLOB).limit(500));
    while let Some(scan) = next {
        let page = wait(store.scan(mailbox, scan.clone())).unwrap();
        for message in &page.messages {
            let blob = message.blob.as_ref().unwrap();
            let octets = wait(store.read_blob(blob, 0..blob.size())).unwrap();
            let index = Index::of(&octets);
            let mut all = text::of_message(&index, &octets);
            header::fields(&octets).for_each(|field| all.push_str(&field.text()));
            let all = casemap::mapped(&all);
            found += usize::from(memchr::memmem::find(&all, &word).is_some());
        }
        next = scan.after(&page);
    }
    found
}

fn search(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), Config::default()).unwrap();
    let mailbox = fill(&store);
    let subject = Query::Header {
        name: "Subject".into(),
        value: "REPORT 77".into(),
    };
    let mut group = c.benchmark_group("search of 10,000");
    group.sample_size(10);
    group.bench_function("text", |b| {
        b.iter(|| {
            assert_eq!(
                staged(
                    &store,
                    mailbox,
                    &Query::Text(WORD.to_uppercase().replace("SS", "ß"))
                ),
                10
            );
        });
    });
    group.bench_function("text that sketches tell nothing of", |b| {
        b.iter(|| assert_eq!(staged(&store, mailbox, &Query::Text("ß".into())), 10));
    });
    group.bench_function("text, reading and decoding each message", |b| {
        b.iter(|| assert_eq!(naive(&store, mailbox, WORD), 10));
    });
    group.bench_function("subject", |b| {
        b.iter(|| assert!(staged(&store, mailbox, &subject) >= 7));
    });
    group.bench_function("size", |b| {
        b.iter(|| assert_eq!(staged(&store, mailbox, &Query::Size(0..1)), 0));
    });
    group.finish();
}

fn order(c: &mut Criterion) {
    let mut messages = Vec::new();
    for at in 0..COUNT * 10 {
        let mut message_ = Message::new(Uid::new(at as u32 + 1).unwrap(), ModSeq::ONE);
        let octets = message(at);
        let end = memchr::memmem::find(&octets, b"\r\n\r\n").unwrap();
        (message_.sort_keys, message_.threading) = Keys::of(&octets[..end + 2]).into_parts();
        messages.push(message_);
    }
    let mut group = c.benchmark_group("100,000 messages");
    group.sample_size(10);
    group.bench_function("sort by subject and date", |b| {
        b.iter(|| {
            let criteria = [SortKey::Subject, SortKey::Date].map(|key| SortCriterion { key, reverse: false });
            let mut sorter = Sorter::new(criteria.to_vec());
            for message in &messages {
                sorter.push(message, &Keys::from_bytes(&message.sort_keys).unwrap());
            }
            assert_eq!(black_box(sorter.finish()).len(), messages.len());
        });
    });
    group.bench_function("thread by references", |b| {
        b.iter(|| {
            let mut threader = Threader::new();
            for message in &messages {
                threader.push(message, &Keys::from_bytes(&message.sort_keys).unwrap());
            }
            assert!(black_box(threader.finish(Threads::References)).len() >= messages.len());
        });
    });
    group.finish();
}

criterion_group!(benches, search, order);
criterion_main!(benches);
