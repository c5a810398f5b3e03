//! What a session costs: idle, with a large message on its way, and for a row of FETCH.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test fails by panicking, and needs a moment to start at

use allocation_counter::measure;
use bytes::Bytes;
use mailwright_imap::{Address, Config, Envelope, Event, Flag, Flags, Selected, Server, Transport, UidSet};
use mailwright_wire::{Machine, Step};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

const LARGE: usize = 10 << 20;
const MOST: u64 = 64 * 1024;

fn session() -> Server {
    let config = Arc::new(Config::default());
    Server::preauthenticated(config, Transport::Tls, [7; 32], Instant::now())
}

/// Goes on until the client's turn, or until something is asked that is not answered here.
fn run(server: &mut Server, now: Instant) -> Option<Event> {
    let mut question = None;
    loop {
        match server.poll(now).unwrap() {
            Step::Event(Event::AppendData(data)) => drop(data),
            Step::Event(event) => question = Some(event),
            Step::Write => {
                let n = server.send_buf().len();
                server.sent(n);
            }
            Step::Answer => match question.take() {
                Some(Event::Select { .. }) => {
                    let (validity, next) = (NonZeroU32::MIN, NonZeroU32::new(100_001).unwrap());
                    server.selected(Selected::new(UidSet::from(1..=100_000), validity, next));
                }
                Some(Event::Append(_)) => server.accept(),
                Some(Event::AppendEnd) => server.appended(NonZeroU32::MIN, NonZeroU32::MIN),
                other => return other,
            },
            _ => return question,
        }
    }
}

fn receive(server: &mut Server, mut input: &[u8], now: Instant) -> Option<Event> {
    let mut question = None;
    while !input.is_empty() {
        let room = server.recv_buf();
        let n = room.len().min(input.len());
        room[..n].copy_from_slice(&input[..n]);
        server.received(n);
        input = &input[n..];
        question = run(server, now);
    }
    question
}

#[test]
fn an_idle_session_is_small() {
    let now = Instant::now();
    let mut kept = None;
    let heap = measure(|| {
        let mut server = session();
        receive(&mut server, b"a SELECT INBOX\r\nb UID FETCH 1 UID\r\n", now);
        let _row = server.fetch(1);
        server.accept();
        receive(&mut server, b"c IDLE\r\n", now);
        assert!(server.is_idling());
        kept = Some(server);
    });
    let size = heap.bytes_current + size_of::<Server>() as i64;
    assert!(size <= 4096, "{size} octets");
}

#[test]
fn a_large_append_streams_through() {
    let now = Instant::now();
    let mut server = session();
    let piece = vec![b'x'; 8192];
    let heap = measure(|| {
        let head = format!("a APPEND INBOX (\\Seen) {{{LARGE}+}}\r\n");
        receive(&mut server, head.as_bytes(), now);
        for _ in 0..LARGE / piece.len() {
            receive(&mut server, &piece, now);
        }
        receive(&mut server, b"\r\n", now);
    });
    assert!(heap.bytes_max < MOST, "{} octets", heap.bytes_max);
}

#[test]
fn a_large_fetch_streams_through() {
    let now = Instant::now();
    let mut server = session();
    let piece = Bytes::from(vec![b'x'; 8192]);
    receive(&mut server, b"a SELECT INBOX\r\n", now);
    let heap = measure(|| {
        let question = receive(&mut server, b"b FETCH 1 BODY.PEEK[]\r\n", now);
        let Some(Event::Fetch(request)) = question else {
            panic!("{question:?}")
        };
        let mailwright_imap::FetchItem::Section(item) = &request.items[0] else {
            panic!("{request:?}")
        };
        let range = server.fetch(1).unwrap().section_stream(item, LARGE as u64);
        assert_eq!(range, 0..LARGE as u64);
        let mut left = LARGE as u64;
        while left > 0 {
            while left > 0 && server.has_room() {
                left = server.fetch_piece(piece.clone());
            }
            run(&mut server, now);
        }
        server.accept();
        run(&mut server, now);
    });
    assert!(heap.bytes_max < MOST, "{} octets", heap.bytes_max);
}

#[test]
fn a_row_of_flags_and_envelope_allocates_nothing() {
    let now = Instant::now();
    let mut server = session();
    let text = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    let address = Address {
        name: text("Terry Gray"),
        mailbox: text("gray"),
        host: text("cac.washington.edu"),
    };
    let envelope = Envelope {
        date: text("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)"),
        subject: text("IMAP4rev1 WG mtg summary and minutes"),
        from: vec![address.clone()],
        to: vec![address],
        message_id: text("<B27397-0100000@cac.washington.edu>"),
        ..Envelope::default()
    };
    let flags: Flags = [Flag::Seen, Flag::Answered].into_iter().collect();
    receive(
        &mut server,
        b"a SELECT INBOX\r\nb FETCH 1:* (FLAGS ENVELOPE)\r\n",
        now,
    );
    let mut row = |uid| _ = server.fetch(uid).unwrap().flags(&flags).envelope(&envelope);
    // The first ones make the buffer as large as it has to be.
    (1..=50).for_each(&mut row);
    let heap = measure(|| (51..=60).for_each(&mut row));
    assert_eq!(heap.count_total, 0);
}
