//! Typed header fields: no panic, defects inside of what was read, and the view of a header agrees with the index.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_message::header::Headers;
use mailwright_message::{Index, address_list, header, thread};

fuzz_target!(|data: &[u8]| {
    let index = Index::of(data);
    for part in index.parts().take(2) {
        let headers = Headers::of(data, part);
        assert_eq!(headers.fields().count(), part.fields().count());
        everything(&headers);
        for defect in headers.defects(&header::Limits::default()) {
            assert!(defect.offset <= data.len() as u64, "{defect:?}");
        }
    }
    let headers = Headers::new(data);
    everything(&headers);
    for field in headers.fields() {
        assert_eq!(field.value_offset() - field.offset + field.value.len() as u64 + line_end(field.raw), field.raw.len() as u64);
        let _ = (header::decode(field.value), field.text());
        for address in address_list::parse(field.value) {
            for mailbox in address.mailboxes() {
                let _ = mailbox.address();
            }
        }
    }
});

fn line_end(raw: &[u8]) -> u64 {
    match raw {
        [.., b'\r', b'\n'] => 2,
        [.., b'\n'] => 1,
        _ => 0,
    }
}

fn everything(headers: &Headers<'_>) {
    let _ = (headers.subject(), headers.date(), headers.message_id(), headers.filename());
    let _ = (headers.from().count(), headers.reply_to().count(), headers.sender());
    let _ = (headers.references().count(), headers.in_reply_to().count());
    let _ = (headers.content_type(), headers.disposition(), headers.encoding(), headers.mime_version());
    let _ = (headers.received().count(), headers.return_path(), headers.delivered_to().count());
    let _ = (headers.auto_submitted(), headers.priority(), headers.list_id(), headers.keywords());
    let _ = (headers.one_click_unsubscribe(), headers.resent().len());
    let _ = headers.list_commands("List-Unsubscribe");
    let _ = headers.authentication_results().chain(headers.arc_results()).count();
    for tags in headers.dkim_signatures().chain(headers.arc_seals()) {
        for tag in tags.tags() {
            let _ = (tag.value(), tag.compact(), tag.split().count());
        }
    }
    let subject = headers.subject().unwrap_or_default();
    let base = thread::base_subject(&subject);
    assert_eq!(thread::base_subject(&base), base);
    let _ = thread::Links::of(headers).ids().count();
}
