//! Typed values of header fields: no panic, and what is written reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_message::parameters::{ContentType, Disposition};
use mailwright_message::transfer::Encoding;
use mailwright_message::{address_list, charset, date, encoded_word, header, message_id, transfer};

fuzz_target!(|data: &[u8]| {
    for address in address_list::parse(data) {
        let mailboxes = match address {
            address_list::Address::Mailbox(mailbox) => vec![mailbox],
            address_list::Address::Group(group) => group.mailboxes,
        };
        for mailbox in mailboxes {
            // An address that can be sent to reads back from its own text.
            if let Some(address) = mailbox.address() {
                assert!(!address.to_string().chars().any(char::is_control));
            }
        }
    }
    if let Some(date) = date::parse(data) {
        assert_eq!(
            date::parse(date::format(date).as_bytes()).map(|d| d.offset),
            Some(date.offset)
        );
    }
    let _ = message_id::parse_list(data);
    let _ = (ContentType::parse(data), Disposition::parse(data));
    let _ = (header::decode(data), header::unfold(data));
    for field in header::fields(data) {
        assert!(field.raw.starts_with(field.name) && !field.name.is_empty());
    }
    for encoding in [Encoding::Base64, Encoding::QuotedPrintable, Encoding::parse(data)] {
        let _ = encoding.decode(data);
    }
    assert_eq!(
        transfer::decode_base64(transfer::encode_base64(data).as_bytes()),
        data
    );
    let text = charset::guess(data);
    let field = header::write_text("Subject", &text);
    assert!(field.is_ascii() && field.lines().all(|line| line.len() <= 998));
    assert_eq!(header::fields(field.as_bytes()).count(), 1);
    if !text.starts_with('\u{feff}') {
        assert_eq!(encoded_word::decode(encoded_word::encode(&text).as_bytes()), text);
        let written = header::find(field.as_bytes(), "Subject").map(|field| header::decode(field.value));
        assert_eq!(written.as_deref(), Some(&*text));
    }
});
