//! Reading messages: structure, typed headers, everything decoded; next to mail-parser and mailparse
#![allow(missing_docs)] // `criterion_group!` makes public items

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mailwright_benches::CpuTime;
use mailwright_benches::samples::{self, Class};
use mailwright_message::index::{Index, Kind, Options};
use mailwright_message::{address_list, date, header};
use std::hint::black_box;

/// The typed values of From, To, Subject and Date; returns how many addresses there are.
fn typed(index: &Index, message: &[u8]) -> usize {
    let root = index.root();
    let head = &message[..root.header().end as usize];
    let value = |name| root.field(head, name).map(|field| field.value);
    black_box(value("Subject").map(header::decode));
    black_box(value("Date").and_then(date::parse));
    let lists = ["From", "To"].into_iter().filter_map(value);
    lists.map(|list| black_box(address_list::parse(list)).len()).sum()
}

/// Everything decoded: text of the text parts, octets of the others; returns how much.
fn everything(index: &Index, message: &[u8]) -> usize {
    let mut octets = typed(index, message);
    for part in index.parts().filter(|part| part.kind() == Kind::Leaf) {
        let body = &message[part.body().start as usize..part.body().end as usize];
        octets += match part.is_text() {
            true => black_box(part.decode_text(body)).len(),
            false => black_box(part.decode(body)).len(),
        };
    }
    octets
}

fn in_chunks(message: &[u8]) -> Index {
    let mut builder = Index::builder(Options::default());
    message.chunks(4096).for_each(|chunk| builder.push(chunk));
    builder.finish()
}

/// With the lines and the decoded size of every part.
fn with_sizes(message: &[u8]) -> Index {
    let mut options = Options::default();
    options.all_lines = true;
    options.decoded_sizes = true;
    let mut builder = Index::builder(options);
    builder.push(message);
    builder.finish()
}

fn bench(c: &mut Criterion<CpuTime>, class: &Class) {
    for message in &class.messages {
        let index = Index::of(message);
        assert_eq!(index.octets(), message.len() as u64, "{}", class.name);
        assert_eq!(in_chunks(message), index, "{}", class.name);
    }
    let mut group = c.benchmark_group(class.name);
    group.throughput(Throughput::Bytes(class.octets()));
    let all =
        |read: &dyn Fn(&[u8]) -> usize| class.messages.iter().map(|message| read(message)).sum::<usize>();
    group.bench_function("index", |b| {
        b.iter(|| all(&|m| black_box(Index::of(m)).parts().count()));
    });
    group.bench_function("index and typed", |b| {
        b.iter(|| all(&|m| typed(&Index::of(m), m)));
    });
    group.bench_function("everything", |b| {
        b.iter(|| all(&|m| everything(&Index::of(m), m)));
    });
    group.bench_function("index of 4 KiB chunks", |b| {
        b.iter(|| all(&|m| black_box(in_chunks(m)).parts().count()));
    });
    let mut builder = Index::builder(Options::default());
    group.bench_function("index reused", |b| {
        b.iter(|| {
            for message in &class.messages {
                builder.push(message);
                let index = black_box(builder.finish());
                builder.recycle(index);
            }
        });
    });
    group.bench_function("index stored", |b| {
        b.iter(|| all(&|m| black_box(Index::of(m).to_bytes()).len()));
    });
    group.bench_function("index with sizes", |b| {
        b.iter(|| all(&|m| black_box(with_sizes(m)).parts().count()));
    });
    #[cfg(feature = "peers")]
    peers::bench(&mut group, class);
    group.finish();
}

/// The same by others.
#[cfg(feature = "peers")]
mod peers {
    use super::{Class, CpuTime, black_box};
    use criterion::BenchmarkGroup;
    use mail_parser::{Message, MessageBuffers, MessageParser};
    use mailparse::ParsedMail;

    pub(super) fn bench(group: &mut BenchmarkGroup<'_, CpuTime>, class: &Class) {
        let all = |read: &mut dyn FnMut(&[u8]) -> usize| {
            class.messages.iter().map(|message| read(message)).sum::<usize>()
        };
        let parser = MessageParser::default();
        group.bench_function("mail-parser", |b| {
            b.iter(|| all(&mut |m| black_box(parser.parse(m)).map_or(0, |message| message.parts().count())));
        });
        let mut buffers = MessageBuffers::default();
        group.bench_function("mail-parser reused", |b| {
            b.iter(|| {
                all(&mut |m| {
                    let parsed = parser.parse_with(m, &mut buffers);
                    let Some(message) = parsed else { return 0 };
                    let parts = black_box(&message).parts().len();
                    buffers = message.into_buffers();
                    parts
                })
            });
        });
        group.bench_function("mail-parser typed", |b| {
            b.iter(|| all(&mut |m| parser.parse(m).map_or(0, |message| typed(&message))));
        });
        group.bench_function("mail-parser everything", |b| {
            b.iter(|| all(&mut |m| parser.parse(m).map_or(0, |message| everything(&message))));
        });
        group.bench_function("mailparse", |b| {
            b.iter(|| {
                all(&mut |m| black_box(mailparse::parse_mail(m)).map_or(0, |mail| mail.subparts.len()))
            });
        });
        group.bench_function("mailparse everything", |b| {
            b.iter(|| all(&mut |m| mailparse::parse_mail(m).map_or(0, |mail| decoded(&mail))));
        });
    }

    fn typed(message: &Message<'_>) -> usize {
        let lists = [message.root().from(), message.root().to()];
        black_box((message.root().subject(), message.root().date()));
        lists
            .into_iter()
            .flatten()
            .map(|list| black_box(list).iter().count())
            .sum()
    }

    fn everything(message: &Message<'_>) -> usize {
        let mut octets = typed(message);
        for part in message.parts() {
            octets += match part.text() {
                Some(text) => black_box(text).len(),
                None => black_box(part.decoded()).len(),
            };
        }
        octets
    }

    fn decoded(mail: &ParsedMail<'_>) -> usize {
        if !mail.subparts.is_empty() {
            return mail.subparts.iter().map(decoded).sum();
        }
        match mail.ctype.mimetype.starts_with("text/") {
            true => black_box(mail.get_body()).map_or(0, |text| text.len()),
            false => black_box(mail.get_body_raw()).map_or(0, |octets| octets.len()),
        }
    }
}

fn reading(c: &mut Criterion<CpuTime>) {
    for class in samples::generated()
        .iter()
        .chain(samples::corpus().iter().flatten())
    {
        bench(c, class);
    }
}

fn config() -> Criterion<CpuTime> {
    Criterion::default().with_measurement(CpuTime)
}

criterion_group!(name = benches; config = config(); targets = reading);
criterion_main!(benches);
