//! The lines of the RFCs' examples: commands parse and print to themselves, and a client understands each response.
//!
//! `rfc_examples.txt` has one line to a row: the RFC, `C` or `S`, and the line, each taken by itself. Lines with
//! literals, and those that an RFC abridges with dots, are in the transcripts as far as they can be.
#![allow(clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::disallowed_methods)] // and brings the clock

use bytes::Bytes;
use mailwright_imap::client::{Client, Config, Data, Event};
use mailwright_imap::codec::Command;
use mailwright_wire::{Machine, SendBuf, Step};
use std::time::Instant;

fn examples(side: &str) -> Vec<(&'static str, &'static str)> {
    let rows = include_str!("rfc_examples.txt").lines();
    rows.filter_map(|row| {
        let (rfc, row) = row.split_once('\t')?;
        Some((rfc, row.strip_prefix(side)?.strip_prefix('\t')?))
    })
    .collect()
}

#[test]
fn commands_parse_and_print() {
    let examples = examples("C");
    assert!(examples.len() > 300, "{}", examples.len());
    for (rfc, line) in examples {
        let frame = Bytes::from_static(line.as_bytes());
        let command = Command::parse(&frame, 50).unwrap_or_else(|e| panic!("RFC {rfc}: {line}: {e}"));
        let mut tx = SendBuf::new();
        command.encode(&mut tx);
        let printed = Bytes::copy_from_slice(tx.data());
        assert_eq!(
            Command::parse(&printed, 50),
            Ok(command),
            "RFC {rfc}: {line}: {printed:?}"
        );
    }
}

#[test]
fn a_client_understands_the_responses() {
    let examples = examples("S");
    assert!(examples.len() > 300, "{}", examples.len());
    for (rfc, line) in examples {
        let now = Instant::now();
        let mut client = Client::new(Config::default(), [7; 32], now).over_tls();
        let greeting = match line.starts_with("* PREAUTH") {
            true => "",
            false => "* PREAUTH [CAPABILITY IMAP4rev2] hi\r\n",
        };
        let input = format!("{greeting}{line}\r\n");
        client.recv_buf()[..input.len()].copy_from_slice(input.as_bytes());
        client.received(input.len());
        let mut told = 0;
        loop {
            match client
                .poll(now)
                .unwrap_or_else(|e| panic!("RFC {rfc}: {line}: {e}"))
            {
                Step::Event(Event::Data(_, Data::Raw(_))) => panic!("RFC {rfc}: {line} is not understood"),
                Step::Event(Event::Data(_, Data::Row(row))) if !row.raw.is_empty() => {
                    panic!("RFC {rfc}: {line}: {:?} is not understood", row.raw);
                }
                Step::Event(_) => told += 1,
                _ => break,
            }
        }
        assert!(told > 0, "RFC {rfc}: nothing is told of {line}");
    }
}
