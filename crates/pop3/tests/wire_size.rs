//! What `WireSize` counts is what the server sends.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // brings the clock

use bytes::Bytes;
use mailwright_pop3::server::{Config, Event};
use mailwright_pop3::{Maildrop, Server, WireSize};
use mailwright_sasl::Answer;
use mailwright_wire::{Machine, Step};
use proptest::prelude::*;
use std::time::Instant;

/// The octets of the message as RETR gives it, without its dots and its end.
fn retrieved(pieces: &[Vec<u8>]) -> Vec<u8> {
    let mut config = Config::default();
    config.allow_plaintext = true;
    let now = Instant::now();
    let mut server = Server::new(config, [1; 32], now);
    let (mut input, mut output) = (&b"USER bob\r\nPASS x\r\nRETR 1\r\n"[..], Vec::new());
    let mut left = pieces.iter();
    loop {
        match server.poll(now).unwrap() {
            Step::Read if input.is_empty() => break,
            Step::Read => {
                let n = server.recv_buf().len().min(input.len());
                server.recv_buf()[..n].copy_from_slice(&input[..n]);
                server.received(n);
                input = &input[n..];
            }
            Step::Write => {
                output.extend_from_slice(server.send_buf());
                server.sent(server.send_buf().len());
            }
            Step::Event(Event::Auth(_)) => server.answer_auth(Answer::Accept),
            Step::Event(Event::Open(_)) => {
                let mut maildrop = Maildrop::new();
                maildrop.push(1, "only").unwrap();
                server.open(maildrop);
            }
            Step::Event(Event::Retrieve { .. }) | Step::Answer => match left.next() {
                Some(piece) => assert!(server.message_chunk(Bytes::copy_from_slice(piece))),
                None => server.message_end(),
            },
            other => panic!("{other:?}"),
        }
    }
    let at = output
        .windows(7)
        .rposition(|w| w == b"octets\n" || w == b"octets\r")
        .unwrap();
    let body = output[at + 8..].strip_suffix(b".\r\n").unwrap();
    let lines = body.split_inclusive(|octet| *octet == b'\n');
    lines
        .flat_map(|line| line.strip_prefix(b".").unwrap_or(line))
        .copied()
        .collect()
}

fn counted(pieces: &[Vec<u8>]) -> u64 {
    let mut size = WireSize::default();
    pieces.iter().for_each(|piece| size.push(piece));
    let mut copied = WireSize::default();
    std::io::copy(&mut &pieces.concat()[..], &mut copied).unwrap();
    assert_eq!(copied, size);
    size.octets()
}

#[test]
fn known_sizes() {
    for (message, octets) in [
        (&b""[..], 0),
        (b"a", 3),
        (b"a\n", 3),
        (b"a\r\n", 3),
        (b"a\r", 3),
        (b"\r\r\n", 4),
        (b"\n\r", 4),
        (b".\n", 3),
    ] {
        assert_eq!(counted(&[message.to_vec()]), octets, "{message:?}");
    }
}

proptest! {
    #[test]
    fn the_count_is_what_is_sent(pieces in prop::collection::vec(
        prop::collection::vec(prop::sample::select(b"\r\n.a".as_slice()), 0..8), 0..6,
    )) {
        prop_assert_eq!(counted(&pieces), retrieved(&pieces).len() as u64);
    }
}
