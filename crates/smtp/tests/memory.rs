//! The memory of a session does not depend on the size of the message: a gigabyte goes through 64 KiB.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod support;

use mailwright_smtp::server::{Event, Protocol, Server};
use mailwright_wire::testing::Fixture;
use mailwright_wire::{Machine, Step};
use peak_alloc::PeakAlloc;
use std::time::Instant;
use support::{ServerFixture, server_config};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const GIGABYTE: u64 = 1 << 30;
const BOUND: usize = 64 * 1024;

/// Lines of 76 characters, some of which begin with a dot, as they stand on the wire.
fn block() -> Vec<u8> {
    let mut block = Vec::new();
    for i in 0..100_000 / 78 {
        let dots: &[u8] = if i % 8 == 0 { b".." } else { b"xx" };
        block.extend_from_slice(dots);
        block.extend_from_slice(&[b'x'; 74]);
        block.extend_from_slice(b"\r\n");
    }
    block
}

/// One session under count.
struct Session {
    server: Server,
    now: Instant,
    /// Octets of bodies that were handed out.
    body: u64,
    messages: u32,
}

impl Session {
    fn pump(&mut self) {
        loop {
            match self.server.poll(self.now).unwrap() {
                Step::Event(Event::Body(data)) => self.body += data.len() as u64,
                Step::Event(Event::Message { size }) => {
                    assert_eq!(size, self.body);
                    self.messages += 1;
                }
                Step::Event(_) => {}
                Step::Write => {
                    let n = self.server.send_buf().len();
                    self.server.sent(n);
                }
                Step::Answer => self.server.accept(),
                Step::Read => return,
                other => panic!("{other:?}"),
            }
        }
    }

    fn feed(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let room = self.server.recv_buf();
            let n = room.len().min(data.len());
            room[..n].copy_from_slice(&data[..n]);
            self.server.received(n);
            data = &data[n..];
            self.pump();
        }
    }
}

/// One test alone: what others allocate would be counted as well.
#[test]
fn a_gigabyte_passes_through_64_kib() {
    let mut config = server_config(Protocol::Smtp);
    config.limits.message_size = 0;
    let block = block();
    let by_data = GIGABYTE / block.len() as u64;
    let mut fixture = ServerFixture::new(config);
    let now = fixture.origin();
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();

    let mut session = Session {
        server: fixture.start(now),
        now,
        body: 0,
        messages: 0,
    };
    session.pump();
    session.feed(b"EHLO a.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n");
    for _ in 0..by_data {
        session.feed(&block);
    }
    session.feed(b".\r\n");
    assert_eq!(session.messages, 1);
    assert!(session.body > GIGABYTE / 100 * 98, "{} octets", session.body);

    // The same by BDAT, and a gigabyte that is refused.
    session.body = 0;
    session.feed(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n");
    for _ in 0..by_data / 4 {
        session.feed(b"BDAT 99996\r\n");
        session.feed(&block);
    }
    assert_eq!(block.len(), 99_996, "the size that was announced");
    session.feed(b"BDAT 0 LAST\r\n");
    assert_eq!((session.messages, session.body), (2, by_data / 4 * 99_996));

    let peak = ALLOCATOR.peak_usage() - before;
    assert!(peak <= BOUND, "the session took {peak} octets");
}
