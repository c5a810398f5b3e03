//! Replies of SMTP: what a server says in answer to NOOP reaches the caller clean, and prints as lines of replies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_smtp::client::{Client, Event, Query};
use mailwright_smtp::server::Protocol;
use mailwright_wire::testing::Fixture;
use mailwright_wire::{Machine, Step};

#[path = "../../crates/smtp/tests/support/mod.rs"]
mod support;

fuzz_target!(|reply: &[u8]| {
    let mut fixture = support::ClientFixture::new(support::client_config(Protocol::Smtp));
    let now = fixture.origin();
    let mut client = fixture.start(now);
    let mut input = [b"220 mx.example\r\n250 mx.example\r\n", reply].concat();
    let (mut asked, mut given) = (false, 0);
    loop {
        match client.poll(now) {
            Ok(Step::Event(Event::Ready)) if !asked => {}
            Ok(Step::Event(Event::Answered(reply))) => return check(&reply),
            Ok(Step::Answer) => {
                asked = true;
                client.ask(&Query::Noop).expect("NOOP can always be asked");
            }
            Ok(Step::Write) => client.sent(client.send_buf().len()),
            Ok(Step::Read) if given < input.len() => {
                // The greeting and the reply to EHLO come before anything is asked.
                let end = if asked { input.len() } else { 32 };
                let n = give(&mut client, &input[given..end]);
                given += n;
                if n == 0 {
                    input.truncate(given);
                }
            }
            Ok(Step::Event(_) | Step::Read | Step::StartTls | Step::Close) | Err(_) => return,
        }
    }
});

fn give(client: &mut Client, octets: &[u8]) -> usize {
    let room = client.recv_buf();
    let n = room.len().min(octets.len());
    room[..n].copy_from_slice(&octets[..n]);
    if n > 0 {
        client.received(n);
    }
    n
}

fn check(reply: &mailwright_smtp::Reply) {
    assert!((200..600).contains(&reply.code()));
    assert!(reply.enhanced().is_none_or(|e| u16::from(e.class()) == reply.code() / 100));
    assert!(!reply.text().chars().any(|c| c.is_control() && c != '\n'), "{reply:?}");
    let code = reply.code().to_string();
    assert!(reply.to_string().lines().all(|line| line.starts_with(&code)));
}
