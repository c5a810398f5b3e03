//! Every public reader is linear: four times the message takes at most five times as long, for every generator.

mod common;
#[path = "common/growth.rs"]
mod growth;

use std::hint::black_box;

use common::generators::GENERATORS;
use growth::is_linear;
use mailwright_message::index::{Index, Kind, Options};
use mailwright_message::parameters::{ContentType, Disposition};
use mailwright_message::{address_list, date, encoded_word, flowed, header, html, message_id, preview, text};

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

#[test]
fn four_times_as_much_takes_at_most_five_times_as_long() {
    const N: usize = 2500;
    let mut slow = Vec::new();
    for (generator, generate) in GENERATORS {
        for (reader, read) in READERS {
            if let Err(times) = is_linear(N, generate, read) {
                slow.push(format!("{reader} of {generator}: {times}"));
            }
        }
    }
    assert!(slow.is_empty(), "{slow:#?}");
    assert!(GENERATORS.len() >= 22);
}
