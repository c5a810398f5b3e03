//! An SMTP client and an SMTP server talk to each other in memory: no socket, no thread, no runtime.
//!
//! ```sh
//! cargo run -p mailwright-examples --bin back_to_back
//! ```
#![allow(clippy::disallowed_methods)] // an example is the one who brings the clock

use bytes::Bytes;
use clap::Parser;
use mailwright_smtp::{Client, Mail, Protocol, Rcpt, Server, client, server};
use mailwright_wire::{Machine, Step};
use std::error::Error;
use std::time::Instant;

const MESSAGE: &[u8] = b"Subject: Hello\r\n\r\n.One dot at the start of a line.\r\n";

/// Joins an SMTP client and an SMTP server in memory, and prints what they say. Needs nothing.
#[derive(Debug, Parser)]
#[command(name = "back_to_back", version)]
struct Arguments {}

fn main() -> Result<(), Box<dyn Error>> {
    Arguments::parse();
    let now = Instant::now();
    let mut server = Server::new(
        server::Config::new(Protocol::Smtp, "mx.example".parse()?),
        [1; 32],
        now,
    );
    let mut client = Client::new(
        client::Config::new(Protocol::Smtp, "laptop.example".parse()?),
        [2; 32],
    );
    let envelope = client::Transaction::new(
        Mail::new("<alice@a.example>".parse()?),
        vec![Rcpt::new("<bob@b.example>".parse()?)],
    );
    let (mut envelope, mut received) = (Some(envelope), vec![]);

    loop {
        match server.poll(now)? {
            Step::Event(server::Event::Body(chunk)) => received.extend_from_slice(&chunk),
            Step::Event(server::Event::Authenticated(_) | server::Event::Aborted(_)) => {}
            Step::Event(_) => server.accept(),
            Step::Write => carry("S", &mut server, &mut client),
            Step::Close => break,
            Step::Answer | Step::StartTls => unreachable!("every question is answered, TLS is not offered"),
            Step::Read => match client.poll(now)? {
                Step::Event(client::Event::Ready) => client.send(envelope.take().expect("asked once")),
                Step::Event(client::Event::BodyWanted) => {
                    client.body(Bytes::from_static(MESSAGE));
                    client.body_end();
                }
                Step::Event(client::Event::Finished(outcome)) => {
                    println!("{:?}", outcome.deliveries);
                    client.quit();
                }
                Step::Write => carry("C", &mut client, &mut server),
                step => unreachable!("{step:?}"),
            },
        }
    }
    assert_eq!(received, MESSAGE);
    Ok(())
}

/// Carries octets from one machine to the other, and shows them.
fn carry(who: &str, from: &mut impl Machine, to: &mut impl Machine) {
    let room = to.recv_buf();
    let n = room.len().min(from.send_buf().len());
    room[..n].copy_from_slice(&from.send_buf()[..n]);
    for line in String::from_utf8_lossy(&room[..n]).lines() {
        println!("{who}: {line}");
    }
    to.received(n);
    from.sent(n);
}
