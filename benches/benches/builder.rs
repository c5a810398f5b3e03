//! Building messages: small ones, and attachments of 4 MB; mail-builder and lettre in the same run.
//!
//! ```sh
//! cargo bench -p mailwright-benches --features peers --ignore-rust-version --bench builder
//! ```
//!
//! All build the same: names, subject and text that are not ASCII, HTML beside it, fresh identifiers and boundaries,
//! and hand out the message in one vector.

use criterion::{Criterion, Throughput};
use mailwright_benches::CpuTime;
use mailwright_message::Message;
use mailwright_message::build::{Part, Step};
use mailwright_message::date::DateTime;
use std::hint::black_box;

const TEXT: &str = "Gr\u{fc}\u{df}e aus K\u{f6}ln,\n\nthis is what a short message looks like: a few lines of text,\n\
    some of them with umlauts.\n\nJ\u{fc}rgen\n";
const HTML: &str = "<p>Gr\u{fc}\u{df}e aus K\u{f6}ln,</p><p>this is what a short message looks like: a few lines of \
    text, some of them with umlauts.</p><p>J\u{fc}rgen</p>";
const DATE: DateTime = DateTime::new(880_106_106, 60);

fn small() -> Vec<u8> {
    Message::builder()
        .from(("J\u{fc}rgen M\u{fc}ller", "juergen@a.test"))
        .to([("Bob", "bob@b.test"), ("Carol Smith", "carol@c.test")])
        .subject("Gr\u{fc}\u{df}e aus K\u{f6}ln am Rhein")
        .text(black_box(TEXT))
        .html(black_box(HTML))
        .build(DATE, black_box([7; 32]))
        .and_then(Message::to_vec)
        .expect("it can be built")
}

fn large(data: &[u8]) -> Message<'_> {
    Message::builder()
        .from(("Alice", "alice@a.test"))
        .to(("Bob", "bob@b.test"))
        .subject("A file")
        .text("See the file.\n")
        .attach(Part::attachment("file.bin", "application/octet-stream", data))
        .build(DATE, [7; 32])
        .expect("it can be built")
}

fn main() {
    let mut criterion = Criterion::default()
        .with_measurement(CpuTime)
        .configure_from_args();
    let data: Vec<u8> = (0..4_000_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    assert!(small().ends_with(b"--\r\n") && small().is_ascii());
    assert_eq!(
        large(&data).octets(),
        Some(large(&data).to_vec().expect("no streams").len() as u64)
    );

    let mut group = criterion.benchmark_group("build/small");
    group.throughput(Throughput::Elements(1));
    group.bench_function("mailwright", |b| b.iter(small));
    #[cfg(feature = "peers")]
    {
        group.bench_function("mail-builder", |b| b.iter(peers::small_mail_builder));
        group.bench_function("lettre", |b| b.iter(peers::small_lettre));
    }
    group.finish();

    let mut group = criterion.benchmark_group("build/attachment");
    group.throughput(Throughput::Bytes(data.len() as u64));
    group.bench_function("mailwright", |b| {
        b.iter(|| large(&data).to_vec().expect("no streams"));
    });
    group.bench_function("mailwright in chunks", |b| {
        b.iter(|| {
            let mut writer = large(&data).writer();
            while let Ok(Step::Chunk(chunk)) = writer.poll() {
                black_box(chunk);
            }
        });
    });
    #[cfg(feature = "peers")]
    {
        group.bench_function("mail-builder", |b| b.iter(|| peers::large_mail_builder(&data)));
        group.bench_function("lettre", |b| b.iter(|| peers::large_lettre(&data)));
    }
    group.finish();
    criterion.final_summary();
}

#[cfg(feature = "peers")]
mod peers {
    use super::{HTML, TEXT, black_box};
    use lettre::message::header::ContentType;
    use lettre::message::{Attachment, MultiPart, SinglePart};
    use mail_builder::MessageBuilder;

    pub(super) fn small_mail_builder() -> Vec<u8> {
        MessageBuilder::new()
            .from(("J\u{fc}rgen M\u{fc}ller", "juergen@a.test"))
            .to(vec![("Bob", "bob@b.test"), ("Carol Smith", "carol@c.test")])
            .subject("Gr\u{fc}\u{df}e aus K\u{f6}ln am Rhein")
            .text_body(black_box(TEXT))
            .html_body(black_box(HTML))
            .write_to_vec()
            .expect("it can be built")
    }

    pub(super) fn large_mail_builder(data: &[u8]) -> Vec<u8> {
        MessageBuilder::new()
            .from(("Alice", "alice@a.test"))
            .to(("Bob", "bob@b.test"))
            .subject("A file")
            .text_body("See the file.\n")
            .attachment("application/octet-stream", "file.bin", data)
            .write_to_vec()
            .expect("it can be built")
    }

    fn mailbox(text: &str) -> lettre::message::Mailbox {
        text.parse().expect("an address")
    }

    pub(super) fn small_lettre() -> Vec<u8> {
        let message = lettre::Message::builder()
            .from(mailbox("J\u{fc}rgen M\u{fc}ller <juergen@a.test>"))
            .to(mailbox("Bob <bob@b.test>"))
            .to(mailbox("Carol Smith <carol@c.test>"))
            .subject("Gr\u{fc}\u{df}e aus K\u{f6}ln am Rhein")
            .multipart(MultiPart::alternative_plain_html(
                black_box(TEXT).to_owned(),
                black_box(HTML).to_owned(),
            ));
        message.expect("it can be built").formatted()
    }

    pub(super) fn large_lettre(data: &[u8]) -> Vec<u8> {
        let octets = ContentType::parse("application/octet-stream").expect("a type");
        let parts = MultiPart::mixed()
            .singlepart(SinglePart::plain("See the file.\n".to_owned()))
            .singlepart(Attachment::new("file.bin".to_owned()).body(data.to_vec(), octets));
        let message = lettre::Message::builder()
            .from(mailbox("Alice <alice@a.test>"))
            .to(mailbox("Bob <bob@b.test>"))
            .subject("A file")
            .multipart(parts);
        message.expect("it can be built").formatted()
    }
}
