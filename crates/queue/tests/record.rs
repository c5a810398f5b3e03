//! The durable form of a record.
#![allow(clippy::unwrap_used)] // strategies stand outside of test functions

mod common;

use common::{START, address};
use mailwright_address::ReversePath;
use mailwright_queue::*;
use proptest::prelude::*;
use std::time::Duration;

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,40}"
}

fn mailbox() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,10}@[a-z]{1,10}\\.test",
        "\"[a-z @]{1,8}\"@[a-z]{1,10}\\.test",
        Just("postmaster@[192.0.2.1]".to_string()),
        Just("bücher@bücher.example".to_string()),
    ]
}

fn diagnosis() -> impl Strategy<Value = Diagnosis> {
    (
        0usize..3,
        0u16..1000,
        0u16..1000,
        proptest::option::of(text()),
        text(),
    )
        .prop_map(|(class, subject, detail, remote, text)| {
            let status = Status::new([2, 4, 5][class], subject, detail).unwrap();
            match remote {
                Some(remote) => Diagnosis::remote(status, remote, text),
                None => Diagnosis::local(status, text),
            }
        })
}

fn time() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp::from_unix_millis)
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        (any::<u32>(), time(), proptest::option::of(diagnosis()))
            .prop_map(|(attempts, due, last)| State::Queued { attempts, due, last }),
        time().prop_map(|at| State::Delivered { at }),
        (time(), diagnosis()).prop_map(|(at, why)| State::Failed { at, why }),
    ]
}

fn recipient() -> impl Strategy<Value = Recipient> {
    let notify = any::<(bool, bool, bool)>().prop_map(|(success, failure, delay)| Notify {
        success,
        failure,
        delay,
    });
    (
        mailbox(),
        proptest::option::of((text(), text())),
        proptest::option::of(notify),
        any::<bool>(),
        state(),
    )
        .prop_map(|(to, original, notify, warned, state)| {
            let mut recipient = Recipient::new(address(&to), START);
            recipient.original = original.map(|(kind, address)| OriginalRecipient::new(kind, address));
            recipient.notify = notify;
            (recipient.warned, recipient.late) = (warned, !warned);
            recipient.state = state;
            recipient
        })
}

fn record() -> impl Strategy<Value = Record> {
    let plain = (
        text(),
        proptest::option::of(mailbox()),
        proptest::option::of(text()),
        time(),
        time(),
        any::<u64>(),
        any::<(bool, bool)>(),
        0usize..3,
        0usize..3,
        proptest::option::of(text()),
    );
    let times = (
        any::<(i8, bool, bool)>(),
        proptest::option::of((time(), text())),
        proptest::option::of((time(), any::<(bool, bool)>())),
    );
    (
        plain,
        times,
        proptest::collection::vec(recipient(), 0..5),
        proptest::collection::vec((time(), text()), 0..5),
    )
        .prop_map(
            |((id, from, origin, arrival, expires, size, flags, body, ret, envid), times, to, history)| {
                let from = from.map_or(ReversePath::Null, |f| ReversePath::Address(address(&f)));
                let mut record = Record::new(id, from, arrival, expires);
                record.origin = origin.map(Into::into);
                record.size = size;
                (record.smtputf8, record.held) = flags;
                record.body = [Body::SevenBit, Body::EightBit, Body::Binary][body];
                record.ret = [None, Some(Ret::Full), Some(Ret::Headers)][ret];
                record.envelope_id = envid.map(Into::into);
                let ((priority, require_tls, tls_optional), postponed, by) = times;
                record.priority = priority;
                record.require_tls = require_tls;
                record.tls_optional = tls_optional;
                if let Some((until, request)) = postponed {
                    record.postpone(until, request);
                }
                record.deliver_by = by.map(|(by, (returns, trace))| DeliverBy {
                    by,
                    mode: if returns { ByMode::Return } else { ByMode::Notify },
                    trace,
                });
                record.recipients = to;
                for (at, text) in history {
                    record.note(at, text);
                }
                record
            },
        )
}

proptest! {
    #[test]
    fn what_is_written_is_read(record in record()) {
        let data = record.encode();
        let again = Record::decode(&data).unwrap();
        prop_assert_eq!(&again, &record);
        prop_assert_eq!(again.encode(), data);
    }

    #[test]
    fn any_octets_are_a_record_or_an_error(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        let with_version = [&[1u8][..], &data].concat();
        let with_version_2 = [&[2u8][..], &data].concat();
        for data in [data, with_version, with_version_2] {
            if let Ok(record) = Record::decode(&data) {
                prop_assert_eq!(Record::decode(&record.encode()).unwrap(), record);
            }
        }
    }

    #[test]
    fn a_record_cut_short_or_too_long_is_damaged(record in record(), cut in any::<prop::sample::Index>()) {
        let data = record.encode();
        prop_assert!(Record::decode(&data[..cut.index(data.len())]).is_err());
        prop_assert_eq!(Record::decode(&[&data[..], &[0]].concat()), Err(Error::Damaged(data.len())));
    }

    #[test]
    fn a_record_with_a_changed_octet_never_panics(record in record(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut data = record.encode().to_vec();
        let at = at.index(data.len());
        data[at] = to;
        let _ = Record::decode(&data);
    }
}

#[test]
fn the_octets_of_both_versions_stay() {
    let mut record = Record::new(
        "4a1b",
        ReversePath::Address(address("alice@a.test")),
        Timestamp::from_unix_millis(300),
        Timestamp::from_unix_millis(70_000),
    );
    record.origin = Some("alice@a.test".into());
    record.size = 1000;
    record.body = Body::EightBit;
    record.add_recipient(address("bob@b.test"));
    let version_1 =
        b"\x01\x044a1b\x0calice@a.test\x01\x0calice@a.test\xac\x02\xf0\xa2\x04\xe8\x07\x01\x00\x00\x00\
        \x01\x0abob@b.test\x00\x00\x00\x00\x00\xac\x02\x00\x00";
    assert_eq!(Record::decode(version_1).unwrap(), record);
    record.priority = -3;
    record.require_tls = true;
    record.postpone(Timestamp::from_unix_millis(1300), "for;1");
    record.deliver_by = Some(DeliverBy {
        by: Timestamp::from_unix_millis(5),
        mode: ByMode::Return,
        trace: true,
    });
    let version_2 =
        b"\x02\x044a1b\x0calice@a.test\x01\x0calice@a.test\xac\x02\xd8\xaa\x04\xe8\x07\x01\x04\xfd\x01\x94\x0a\x05for;1\x01\x05\x03\
        \x00\x00\x01\x0abob@b.test\x00\x00\x00\x00\x00\x94\x0a\x00\x00";
    assert_eq!(
        record.encode().escape_ascii().to_string(),
        version_2.escape_ascii().to_string()
    );
    assert_eq!(Record::decode(version_2).unwrap(), record);
}

#[test]
fn announced_counts_and_lengths_allocate_nothing() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert!(Record::decode(&[&[2][..], &huge, b"x"].concat()).is_err());
    let record = Record::new("", ReversePath::Null, START, START);
    let data = record.encode();
    let recipients = [&data[..data.len() - 2], &huge].concat();
    assert_eq!(Record::decode(&recipients), Err(Error::Damaged(recipients.len())));
    assert_eq!(Record::decode(&[]), Err(Error::Damaged(0)));
    assert_eq!(Record::decode(&[3]), Err(Error::Version(3)));
}

#[test]
fn texts_are_one_line_and_bounded() {
    let status = Status::new(5, 0, 0).unwrap();
    let evil = Diagnosis::remote(status, "mx\r\nBcc: x", format!("550 a\r\nb\0{}", "ä".repeat(600)));
    assert_eq!(evil.remote.as_deref(), Some("mx  Bcc: x"));
    assert!(evil.text.starts_with("550 a  b ä") && evil.text.len() <= Diagnosis::MAX_TEXT);
    assert!(Status::new(3, 0, 0).is_none() && Status::new(5, 1000, 0).is_none());
}

#[test]
fn the_history_keeps_its_ends() {
    let mut record = Record::new("x", ReversePath::Null, START, START);
    for i in 0..1000u32 {
        record.note(START + Duration::from_secs(u64::from(i)), i.to_string());
    }
    assert_eq!(record.history.len(), Record::HISTORY);
    assert_eq!(
        (&*record.history[0].text, &*record.history[23].text),
        ("0", "999")
    );
}
