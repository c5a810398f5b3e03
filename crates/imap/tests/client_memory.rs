//! What a client holds does not depend on the size of a message: 10 MiB go through 64 KiB, in either direction.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test that cannot go on fails, and brings the clock

use bytes::Bytes;
use mailwright_imap::client::{Client, Command, Config, Event, Message, Messages};
use mailwright_imap::{BodyItem, FetchItem, Section, SequenceSet};
use mailwright_wire::{Machine, Step};
use peak_alloc::PeakAlloc;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const SIZE: usize = 10 * 1024 * 1024;
const BOUND: usize = 64 * 1024;

fn give(client: &mut Client, mut input: &[u8]) {
    while !input.is_empty() {
        let room = client.recv_buf();
        let n = room.len().min(input.len());
        assert!(n > 0, "the buffer is full and was not polled");
        room[..n].copy_from_slice(&input[..n]);
        client.received(n);
        input = &input[n..];
        if n < 4096 {
            break;
        }
    }
    assert!(input.is_empty());
}

fn pump(client: &mut Client, now: Instant, seen: &mut impl FnMut(Event)) -> bool {
    loop {
        match client.poll(now).unwrap() {
            Step::Event(event) => seen(event),
            Step::Write => {
                let n = client.send_buf().len();
                client.sent(n);
            }
            Step::Answer => return true,
            _ => return false,
        }
    }
}

// One test: the allocator counts for the whole process.
#[test]
fn ten_mebibytes_in_either_direction() {
    let now = Instant::now();
    let mut client = Client::new(Config::default(), [1; 32], now).over_tls();
    give(&mut client, b"* PREAUTH [CAPABILITY IMAP4rev1 LITERAL+] hi\r\n");
    let section = FetchItem::Section(BodyItem::new(Section::default(), None, true));
    client.command(Command::fetch(
        Messages::Uids(SequenceSet::parse(b"7").unwrap()),
        &[section],
    ));
    pump(&mut client, now, &mut |_| ());

    let block = [b'x'; 4096];
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let (mut octets, mut rows) = (0, 0);
    let mut seen = |event: Event| match event {
        Event::SectionData(data) => octets += data.len(),
        Event::Data(..) => rows += 1,
        _ => {}
    };
    give(
        &mut client,
        format!("* 1 FETCH (UID 7 BODY[] {{{SIZE}}}\r\n").as_bytes(),
    );
    pump(&mut client, now, &mut seen);
    for _ in 0..SIZE / block.len() {
        give(&mut client, &block);
        pump(&mut client, now, &mut seen);
    }
    give(&mut client, b")\r\nA1 OK done\r\n");
    pump(&mut client, now, &mut seen);
    assert_eq!((octets, rows), (SIZE, 1));
    let peak = ALLOCATOR.peak_usage() - before;
    assert!(peak <= BOUND, "FETCH took {peak} octets");

    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let mut done = false;
    client.command(Command::append("Sent", Message::new(SIZE as u64)));
    while pump(&mut client, now, &mut |_| ()) {
        while client.upload_left() > 0 && client.has_room() {
            client.upload(Bytes::copy_from_slice(&block));
        }
    }
    assert_eq!(client.upload_left(), 0);
    give(&mut client, b"A2 OK [APPENDUID 1 2] done\r\n");
    pump(&mut client, now, &mut |event| {
        done |= matches!(event, Event::Done(..));
    });
    assert!(done);
    let peak = ALLOCATOR.peak_usage() - before;
    assert!(peak <= BOUND, "APPEND took {peak} octets");
    drop(client);
}
