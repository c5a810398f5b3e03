//! Every public reader is linear: four times the message takes at most five times as long, for every generator.

mod common;

use std::hint::black_box;
use std::time::Duration;

use common::generators::GENERATORS;
use mailwright_message::index::{Index, Kind, Options};
use mailwright_message::parameters::{ContentType, Disposition};
use mailwright_message::{address_list, date, encoded_word, flowed, header, html, message_id, preview, text};
use rustix::time::{ClockId, clock_gettime};

type Reader = fn(&[u8]);

const READERS: &[(&str, Reader)] = &[
    ("index", |message| {
        let mut options = Options::default();
        options.decoded_sizes = true;
        let mut builder = Index::builder(options);
        message.chunks(4096).for_each(|chunk| builder.push(chunk));
        let index = builder.finish();
        black_box(Index::from_bytes(index.to_bytes()).map(|index| index.defects().count())).ok();
    }),
    ("sections and structures", |message| {
        let index = Index::of(message);
        for part in index.parts() {
            let structure = part.body_structure();
            black_box((
                structure.parameters().count(),
                part.fields().count(),
                part.lines(),
            ));
            black_box(
                part.envelope()
                    .map(|e| (e.from().count(), e.to().count(), e.subject().map(<[u8]>::len))),
            );
        }
        black_box(index.part(&[1, 1, 1, 1, 1, 1]).is_some());
        let head = &message[..index.root().header().end as usize];
        black_box(index.signed_fields(head, head.split(|b| *b == b':')).len());
        black_box(index.root().fields_named(head, "received").rev().count());
    }),
    ("typed headers", |message| {
        for field in header::fields(message) {
            let value = field.value;
            black_box((header::decode(value), encoded_word::decode(value).len()));
            black_box((
                address_list::parse(value).len(),
                date::parse(value),
                message_id::parse_list(value).len(),
            ));
            black_box(ContentType::parse(value).map(|t| t.parameters().len()));
            black_box(Disposition::parse(value).map(|d| d.is_attachment()));
        }
    }),
    ("previews and texts", |message| {
        let index = Index::of(message);
        black_box(preview::of(&index, message).len());
        black_box(text::of_message(&index, message).len());
        let source = String::from_utf8_lossy(message);
        black_box(html::to_text(&source).len());
        black_box((
            preview::from_text(&source).len(),
            flowed::decode(&source, true).len(),
        ));
    }),
    ("bodies", |message| {
        let index = Index::of(message);
        for part in index.parts().filter(|part| part.kind() == Kind::Leaf) {
            let body = &message[part.body().start as usize..part.body().end as usize];
            black_box((part.decode(body).len(), part.decode_text(body).len()));
        }
    }),
];

/// Tried until the ratio is good: what disturbs a try makes it longer, never shorter.
const TRIES: usize = 12;

/// The time that the thread worked: what other programs do in between does not count.
fn time(read: Reader, message: &[u8]) -> Duration {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let start = now();
    read(message);
    now() - start
}

#[test]
fn four_times_as_much_takes_at_most_five_times_as_long() {
    const N: usize = 2500;
    let mut slow = Vec::new();
    for (generator, generate) in GENERATORS {
        let (small, large) = (generate(N), generate(4 * N));
        for (reader, read) in READERS {
            let (mut least, mut most) = (Duration::MAX, Duration::MAX);
            let is_linear = (0..TRIES).any(|_| {
                least = least.min(time(*read, &small));
                most = most.min(time(*read, &large));
                most <= least * 5
            });
            if !is_linear {
                slow.push(format!("{reader} of {generator}: {least:?}, {most:?}"));
            }
        }
    }
    assert!(slow.is_empty(), "{slow:#?}");
    assert!(GENERATORS.len() >= 22);
}
