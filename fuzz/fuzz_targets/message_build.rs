//! The builder: whatever it is given, what it writes is a message that reads back, with no line too long.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_message::build::{Address, Message, Part};
use mailwright_message::date::DateTime;
use mailwright_message::header::Headers;
use mailwright_message::index::Kind;
use mailwright_message::{DefectKind, Index, charset};

fuzz_target!(|data: &[u8]| {
    let mut pieces = data.splitn(6, |b| *b == 0xff);
    let mut text = || charset::guess(pieces.next().unwrap_or_default()).into_owned();
    let (name, subject, id, filename, media_type) = (text(), text(), text(), text(), text());
    let body = text();
    let from = Address::named(name, "me@a.test");
    let message = Message::builder()
        .from(from)
        .to("you@b.test")
        .subject(subject)
        .in_reply_to([id])
        .text(body.clone())
        .html(body.clone())
        .attach(Part::new(media_type.clone(), body.clone().into_bytes()).filename(filename));
    let Ok(message) = message.build(DateTime::new(1_000_000_000, 60), [7; 32]) else {
        return;
    };
    let Ok(octets) = message.to_vec() else { return };

    for line in octets.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        assert!(line.len() <= 999, "a line of {} octets", line.len());
    }
    let index = Index::of(&octets);
    // What is odd within an attached message is not the builder's.
    let attached = index.parts().find(|part| part.kind() == Kind::Message).map_or(u64::MAX, |part| part.body().start);
    let odd: Vec<_> = index
        .defects()
        .filter(|d| d.kind == DefectKind::EncodedComposite || d.kind != DefectKind::TooMuchText && d.offset < attached)
        .collect();
    assert!(odd.is_empty(), "{odd:?} in {}", octets.escape_ascii());
    let headers = Headers::of(&octets, index.root());
    assert!(octets.is_ascii());
    assert_eq!(headers.mailboxes("From").count(), 1);
    assert_eq!(headers.mailboxes("To").count(), 1);
    assert_eq!(headers.date().map(|date| date.unix), Some(1_000_000_000));
    assert!(headers.content_type().is_some_and(|t| t.is("multipart", "mixed")));
    assert_eq!(headers.all("Bcc").count() + headers.all("X-Injected").count(), 0);
});
