//! Whatever filters send: the same in every cut, bounded, and harmless.

mod common;

use common::{Clamd, Milter, Spamd, agreement, packet};
use mailwright_filter::milter::{Actions, Steps};
use mailwright_filter::{Error, clamd, milter, rspamd, spamd};
use mailwright_wire::testing::{End, Input, every_fragmentation};
use mailwright_wire::{Machine, Step};
use proptest::prelude::*;
use std::time::Instant;

const SCRIPT: &[&str] = &[
    "connect 192.0.2.1",
    "helo client.test",
    "macros",
    "mail <a@a.test>",
    "rcpt <b@b.test>",
    "data",
    "header Subject: x",
    "eoh",
    "body Hello",
    "eom",
    "mail <a@a.test>",
    "abort",
    "mail <a@a.test>",
    "rcpt <b@b.test>",
    "eom",
];

fn any_packet() -> impl Strategy<Value = Vec<u8>> {
    let letters = b"cardtsfpyhim+-2ebqO4z".to_vec();
    let data = prop_oneof![
        6 => Just(Vec::new()),
        2 => prop::sample::select(vec![
            &b"550 5.7.1 no\0"[..], b"X-A\0b\0", b"\0\0\0\x01X-A\0b\0", b"<a@b>\0", b"<a@b>\0X=Y\0", b"why\0", b"451 x\0",
            b"X-A\0b\n\tc\0", b"X-A\0b\nc\0",
        ]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ];
    (prop::sample::select(letters), data).prop_map(|(letter, data)| packet(letter, &data))
}

fn milter_says() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        8 => (any::<u32>(), any::<u32>()).prop_map(|(actions, steps)| {
            let steps = Steps::from_bits(steps & Steps::ALL.without(Steps::REJECTED_RCPT).bits());
            agreement(Actions::from_bits(actions & Actions::ALL.bits()), steps)
        }),
        2 => Just(agreement(Actions::ALL, Steps::SKIP)),
        1 => any_packet(),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ];
    let packets = prop::collection::vec(
        prop_oneof![3 => Just(packet(b'c', b"")), 4 => any_packet(), 1 => prop::collection::vec(any::<u8>(), 0..9)],
        0..40,
    );
    (start, packets).prop_map(|(start, packets)| [start, packets.concat()].concat())
}

fn soup(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        12 => prop::sample::select(words).prop_map(|w| w.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..6),
        1 => (1..1500usize).prop_map(|n| vec![b'a'; n]),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

const SPAMD_WORDS: &[&str] = &[
    "SPAMD/1.1 0 EX_OK\r\n",
    "SPAMD/1.1 0 PONG\r\n",
    "SPAMD/1.1 64 EX_USAGE\r\n",
    "Spam: True ; 15.0 / 5.0\r\n",
    "Spam: False ; -1.0 / 5.0\r\n",
    "Content-length: 3\r\n",
    "Content-length: 0\r\n",
    "Content-length: 18446744073709551616\r\n",
    "\r\n",
    "abc",
    "\n",
    "\r",
    ": ",
];

const CLAMD_WORDS: &[&str] = &[
    "stream: ",
    "OK",
    " FOUND",
    "ERROR",
    "\0",
    "\n",
    "PONG",
    "name",
    " size limit exceeded. ",
];

proptest! {
    #[test]
    fn milters_are_heard_the_same_in_every_cut(said in milter_says(), eof in any::<bool>()) {
        let mut input = vec![Input::Bytes(said)];
        if eof {
            input.push(Input::Eof);
        }
        every_fragmentation(|| Milter::new(SCRIPT), &input);
    }

    #[test]
    fn spamd_is_heard_the_same_in_every_cut(said in soup(SPAMD_WORDS), command in 0..6usize) {
        use spamd::Command::{Check, Headers, Ping, Process, Report, Symbols};
        let command = [Check, Headers, Ping, Process, Report, Symbols][command];
        every_fragmentation(|| Spamd::new(command, "Subject: x\r\n\r\n"), &[Input::Bytes(said), Input::Eof]);
    }

    #[test]
    fn clamd_is_heard_the_same_in_every_cut(said in soup(CLAMD_WORDS), command in 0..3usize) {
        use clamd::Command::{Ping, Scan, Version};
        let command = [Ping, Scan, Version][command];
        every_fragmentation(|| Clamd::new(command, &["Subject: x"]), &[Input::Bytes(said), Input::Eof]);
    }

    #[test]
    fn no_answer_of_rspamd_breaks_anything(body in ".{0,200}") {
        // Almost none is JSON, and that is said.
        if let Ok(answer) = rspamd::Answer::parse(body.as_bytes()) {
            prop_assert!(body.contains(answer.action.name()));
        }
    }
}

#[test]
fn deep_json_is_refused() {
    let deep = format!(
        "{{\"action\":\"reject\",\"x\":{}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(
        rspamd::Answer::parse(deep.as_bytes()),
        Err(Error::Malformed("JSON"))
    );
}

#[test]
fn a_packet_that_never_ends_takes_bounded_room() {
    let mut config = milter::Config::default();
    config.max_packet = 10_000;
    #[allow(clippy::disallowed_methods)] // a test brings the clock
    let now = Instant::now();
    let mut client = milter::Client::new(config, now);
    let mut given = 0;
    client.sent(client.send_buf().len());
    // A length that is allowed, and nothing that would end it.
    let mut input = [&10_000u32.to_be_bytes()[..], &[b'h'; 20_000]].concat();
    while let Ok(step) = client.poll(now) {
        assert_eq!(step, Step::Read);
        let room = client.recv_buf();
        assert!(!room.is_empty() && given <= 10_004);
        let n = room.len().min(input.len());
        room[..n].copy_from_slice(&input[..n]);
        client.received(n);
        input.drain(..n);
        given += n;
    }
    assert!(given <= 20_004);
}

#[test]
fn what_a_caller_says_cannot_forge_packets() {
    let script = &["helo a\0b\0", "mail <a\0b> X\0Y", "quit"];
    let input = [
        agreement(Actions::NONE, Steps::NONE),
        packet(b'c', b""),
        packet(b'c', b""),
    ]
    .concat();
    let trace = every_fragmentation(|| Milter::new(script), &[Input::Bytes(input)]);
    let sent = [
        packet(b'H', b"ab\0"),
        packet(b'M', b"<ab>\0XY\0"),
        packet(b'Q', b""),
    ]
    .concat();
    assert!(trace.sent.ends_with(&sent), "{}", trace.sent.escape_ascii());
    assert_eq!(trace.end, End::Closed);
}
