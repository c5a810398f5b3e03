//! What both ends hold depends neither on the size of a message nor on the length of a listing.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test that cannot go on fails, and brings the clock

use bytes::Bytes;
use mailwright_pop3::client::{self, Client, Command};
use mailwright_pop3::server::{self, Event};
use mailwright_pop3::{Maildrop, Server};
use mailwright_sasl::{Answer, Credentials};
use mailwright_wire::{Machine, Step};
use peak_alloc::PeakAlloc;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const MESSAGES: usize = 100_000;
const PIECE: usize = 64 * 1024;
const PIECES: usize = 16 * 1024;

#[derive(Default)]
struct Told {
    rows: u64,
    octets: u64,
    done: u64,
}

/// Runs commands against a maildrop, with a message of a gibibyte behind each number; says what came, and the
/// most that was allocated meanwhile beyond the maildrop.
fn run(commands: Vec<Command>) -> (Told, usize) {
    let now = Instant::now();
    let mut config = server::Config::default();
    config.allow_plaintext = true;
    let mut pop3 = Server::new(config, [1; 32], now);
    let mut config = client::Config::default();
    config.allow_plaintext = true;
    let mut hand = Client::new(config, [2; 32], now);
    for command in commands {
        hand.command(command).unwrap();
    }
    let line = [&[b'x'; 16 * 1024 - 2][..], b"\r\n"].concat();
    let piece = Bytes::from([&b"."[..], &line.repeat(PIECE / 16 / 1024)[1..]].concat());
    let mut maildrop = Maildrop::with_capacity(MESSAGES);
    for n in 1..=MESSAGES {
        maildrop
            .push((PIECE * PIECES) as u64, &format!("1700000000.{n}"))
            .unwrap();
    }
    let mut maildrop = Some(maildrop);
    let (mut told, mut given) = (Told::default(), 0);
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    loop {
        let is_over = match hand.poll(now).unwrap() {
            Step::Event(event) => {
                match event {
                    client::Event::Body(data) => told.octets += data.len() as u64,
                    client::Event::Done(_) => told.done += 1,
                    client::Event::Size { .. } | client::Event::UniqueId { .. } => told.rows += 1,
                    client::Event::Refused(why) => panic!("{why}"),
                    _ => {}
                }
                continue;
            }
            Step::Write => {
                let room = pop3.recv_buf();
                let n = hand.send_buf().len().min(room.len());
                room[..n].copy_from_slice(&hand.send_buf()[..n]);
                hand.sent(n);
                pop3.received(n);
                continue;
            }
            step => step == Step::Close,
        };
        if is_over {
            return (told, ALLOCATOR.peak_usage() - before);
        }
        match pop3.poll(now).unwrap() {
            Step::Event(Event::Auth(_)) => pop3.answer_auth(Answer::Accept),
            Step::Event(Event::Open(_)) => pop3.open(maildrop.take().unwrap()),
            Step::Answer if given == PIECES => pop3.message_end(),
            Step::Answer => {
                assert!(pop3.message_chunk(piece.clone()));
                given += 1;
            }
            Step::Write => {
                let room = hand.recv_buf();
                let n = pop3.send_buf().len().min(room.len());
                room[..n].copy_from_slice(&pop3.send_buf()[..n]);
                pop3.sent(n);
                hand.received(n);
            }
            _ => {}
        }
    }
}

// One test: the allocator counts for the whole process.
#[test]
fn a_gibibyte_and_a_hundred_thousand_messages_in_constant_memory() {
    let login = || Command::Login(Credentials::new("bob", "x"));
    let (told, peak) = run(vec![
        login(),
        Command::List(None),
        Command::Uidl(None),
        Command::Quit,
    ]);
    assert_eq!((told.rows, told.done), (2 * MESSAGES as u64, 4));
    println!("two listings of {MESSAGES} messages: {peak} octets");
    assert!(peak < 512 * 1024, "{peak} octets for the listings");
    let (told, peak) = run(vec![login(), Command::Retr(77), Command::Quit]);
    assert_eq!((told.octets, told.done), ((PIECE * PIECES) as u64, 3));
    println!("a message of a gibibyte: {peak} octets");
    assert!(peak < 512 * 1024, "{peak} octets for a message");
}
