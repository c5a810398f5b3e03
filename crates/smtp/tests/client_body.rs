//! Messages as they leave: every sequence that some server takes for the end of one.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod support;

use mailwright_smtp::client::{BareNewlines, Cause, Delivery, Event, Transaction, UseBdat};
use mailwright_smtp::server::{self, Server};
use mailwright_smtp::{BodyType, Client, Protocol};
use mailwright_wire::{Machine, Step};
use std::time::Instant;
use support::{client_config, server_config, transaction};

/// What a caller gives, and the octets that arrive. Where they differ in more than a final CRLF, the source
/// holds a bare CR or LF, and the stricter policy does not send it.
const TABLE: &[(&[u8], &[u8])] = &[
    (b"", b""),
    (b".", b".\r\n"),
    (b".\r\n", b".\r\n"),
    (b"..\r\n", b"..\r\n"),
    (b"..first\r\nsecond\r\n", b"..first\r\nsecond\r\n"),
    (b"no final newline", b"no final newline\r\n"),
    (b"a\r\n.\r\nb\r\n", b"a\r\n.\r\nb\r\n"),
    (b"a\r\n..\r\n.\r\n", b"a\r\n..\r\n.\r\n"),
    (b"a\n.\nb", b"a\r\n.\r\nb\r\n"),
    (b"a\n.\r\nb", b"a\r\n.\r\nb\r\n"),
    (b"a\r\n.\nb", b"a\r\n.\r\nb\r\n"),
    (b"a\r.\rb", b"a\r\n.\r\nb\r\n"),
    (b"a\r.\r\nb", b"a\r\n.\r\nb\r\n"),
    (b"a\r\n.\rb", b"a\r\n.\r\nb\r\n"),
    (b"a\r.\nb", b"a\r\n.\r\nb\r\n"),
    (b"a\n.\rb", b"a\r\n.\r\nb\r\n"),
    (b"a\r\n.\r\r\nb", b"a\r\n.\r\n\r\nb\r\n"),
    (b"a\r\r\n.\r\nb", b"a\r\n\r\n.\r\nb\r\n"),
    (b"a\n\r\n.\r\nb", b"a\r\n\r\n.\r\nb\r\n"),
    (b"a\r\n.\0\r\nb", b"a\r\n.\0\r\nb\r\n"),
    (b"a\r\n\0.\r\nb", b"a\r\n\0.\r\nb\r\n"),
    (b"a\0\r\n.\r\nb", b"a\0\r\n.\r\nb\r\n"),
    (b"a\r\n. \r\nb", b"a\r\n. \r\nb\r\n"),
    (b"a\r\n .\r\nb", b"a\r\n .\r\nb\r\n"),
    (b"a\r\n.", b"a\r\n.\r\n"),
    (b"a\r\n.\r", b"a\r\n.\r\n"),
    (b"a\r\n.\n", b"a\r\n.\r\n"),
    (b"\r", b"\r\n"),
    (b"\n", b"\r\n"),
    (b"\n.\n", b"\r\n.\r\n"),
    (b"\r\n.\r\n", b"\r\n.\r\n"),
    (b"\r\r\r", b"\r\n\r\n\r\n"),
];

/// Behind each of them, in the same message.
const SMUGGLED: &[u8] = b"\r\nMAIL FROM:<evil@evil.example>\r\nRCPT TO:<b@b.test>\r\nDATA\r\n";

/// How a message went.
#[derive(Debug)]
struct Sent {
    /// The octets behind the reply that asks for the message, or behind RCPT with BDAT; without QUIT.
    wire: Vec<u8>,
    delivery: Delivery,
}

/// Sends a message by hand to a server that says yes to everything.
fn send(
    change: impl FnOnce(&mut mailwright_smtp::client::Config),
    plan: Transaction,
    pieces: &[&[u8]],
) -> Sent {
    #[allow(clippy::disallowed_methods)] // a test winds its own clock, and this is where it starts
    let now = Instant::now();
    let mut config = client_config(Protocol::Smtp);
    change(&mut config);
    let mut client = Client::new(config, [1; 32]);
    let mut pieces = pieces.iter();
    let mut wire = vec![];
    let mut asked = false;
    let hear = |client: &mut Client, reply: &[u8]| {
        client.recv_buf()[..reply.len()].copy_from_slice(reply);
        client.received(reply.len());
    };
    hear(&mut client, b"220 x\r\n");
    loop {
        match client.poll(now) {
            Ok(Step::Write) => wire.extend(support::drain(&mut client)),
            Ok(Step::Read) => {
                let line = wire.split(|b| *b == b'\n').next_back().unwrap();
                assert!(line.is_empty() || asked, "half a line: {}", wire.escape_ascii());
                match () {
                    () if wire.starts_with(b"EHLO") => {
                        hear(
                            &mut client,
                            b"250-x\r\n250-8BITMIME\r\n250-BINARYMIME\r\n250 CHUNKING\r\n",
                        );
                    }
                    () if wire.starts_with(b"DATA") => hear(&mut client, b"354 x\r\n"),
                    () => hear(&mut client, b"250 x\r\n"),
                }
                if !asked {
                    wire.clear();
                }
            }
            Ok(Step::Event(Event::Ready)) => client.send(plan.clone()),
            Ok(Step::Event(Event::BodyWanted)) => asked = true,
            Ok(Step::Event(Event::Finished(outcome))) => {
                let delivery = outcome.deliveries[0].clone();
                return Sent { wire, delivery };
            }
            Ok(Step::Answer) => match pieces.next() {
                Some(piece) => client.body(bytes::Bytes::copy_from_slice(piece)),
                None => client.body_end(),
            },
            other => panic!("{other:?}"),
        }
    }
}

/// Takes the chunks apart; whether the last was there.
fn unchunked(mut wire: &[u8]) -> (Vec<u8>, bool) {
    let mut body = vec![];
    while !wire.is_empty() {
        let end = wire.iter().position(|b| *b == b'\n').unwrap();
        let line = std::str::from_utf8(&wire[..end - 1]).unwrap();
        wire = &wire[end + 1..];
        if line == "RSET" {
            assert!(wire.is_empty());
            return (body, false);
        }
        let (size, last) = match line.strip_suffix(" LAST") {
            Some(line) => (line, true),
            None => (line, false),
        };
        let size: usize = size.strip_prefix("BDAT ").unwrap().parse().unwrap();
        body.extend_from_slice(&wire[..size]);
        wire = &wire[size..];
        if last {
            assert!(wire.is_empty(), "{}", wire.escape_ascii());
            return (body, true);
        }
    }
    (body, false)
}

/// What a server of ours makes of octets behind DATA, followed by QUIT.
fn received(wire: &[u8]) -> Vec<u8> {
    #[allow(clippy::disallowed_methods)] // a test winds its own clock, and this is where it starts
    let now = Instant::now();
    let mut server = Server::new(server_config(Protocol::Smtp), [2; 32], now);
    let head = b"EHLO a.test\r\nMAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\n";
    let mut input = [head, wire, b"QUIT\r\n"].concat();
    let (mut body, mut messages) = (vec![], 0);
    loop {
        match server.poll(now) {
            Ok(Step::Write) => drop(support::drain(&mut server)),
            Ok(Step::Read) => {
                let n = input.len().min(server.recv_buf().len());
                assert!(n > 0, "the message has no end");
                server.recv_buf()[..n].copy_from_slice(&input[..n]);
                server.received(n);
                input.drain(..n);
            }
            Ok(Step::Event(server::Event::Body(data))) => body.extend_from_slice(&data),
            Ok(Step::Event(server::Event::Message { .. })) => {
                messages += 1;
                server.accept();
            }
            Ok(Step::Event(_)) => server.accept(),
            Ok(Step::Close) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(messages, 1, "one message was sent");
    body
}

fn plan() -> Transaction {
    support::eight_bit(transaction("<a@a.test>", &["<b@b.test>"]))
}

/// Pieces of every small size, and two pieces cut at every place near the start, where the sequences are.
fn cuts(source: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let even = (1..=source.len().clamp(1, 14)).map(|cut| source.chunks(cut).collect());
    let split = (0..=source.len().min(14)).map(|at| vec![&source[..at], &source[at..]]);
    even.chain(split)
}

/// The table, alone and with something to smuggle behind it.
fn sources() -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    TABLE.iter().flat_map(|(source, arrives)| {
        let tail = [source, SMUGGLED].concat();
        // The CRLF in front of what is smuggled completes an open line; behind a bare CR it is a line of its own.
        let joined = match arrives.strip_suffix(b"\r\n") {
            Some(open) if !source.ends_with(b"\n") && !source.ends_with(b"\r") => [open, SMUGGLED].concat(),
            _ => [arrives, SMUGGLED].concat(),
        };
        [(source.to_vec(), arrives.to_vec()), (tail, joined)]
    })
}

fn has_bare_newline(data: &[u8]) -> bool {
    (0..data.len()).any(|i| match data[i] {
        b'\r' => data.get(i + 1) != Some(&b'\n'),
        b'\n' => i == 0 || data[i - 1] != b'\r',
        _ => false,
    })
}

#[test]
fn nothing_in_a_message_ends_it_behind_data() {
    for (source, arrives) in sources() {
        for pieces in cuts(&source) {
            let sent = send(|c| c.chunking.bdat = UseBdat::Never, plan(), &pieces);
            let what = format!("{} as {}", source.escape_ascii(), sent.wire.escape_ascii());
            assert!(matches!(sent.delivery, Delivery::Delivered(_)), "{what}");
            assert!(!has_bare_newline(&sent.wire), "{what}");
            let framed = [b"\r\n", &sent.wire[..]].concat();
            let ends: Vec<_> = memchr::memmem::find_iter(&framed, b"\r\n.\r\n").collect();
            assert_eq!(ends, [framed.len() - 5], "{what}");
            assert_eq!(
                received(&sent.wire).escape_ascii().to_string(),
                arrives.escape_ascii().to_string()
            );
        }
    }
}

#[test]
fn nothing_in_a_message_changes_its_chunks() {
    for (source, arrives) in sources() {
        for size in [1, 2, 3, 5, 1000] {
            for pieces in cuts(&source) {
                let sent = send(|c| c.chunking.size = size, plan(), &pieces);
                assert!(matches!(sent.delivery, Delivery::Delivered(_)));
                let (body, complete) = unchunked(&sent.wire);
                assert!(complete && !has_bare_newline(&body));
                assert_eq!(
                    body.escape_ascii().to_string(),
                    arrives.escape_ascii().to_string(),
                    "{} in chunks of {size}",
                    source.escape_ascii()
                );
            }
        }
    }
}

#[test]
fn binary_messages_travel_untouched() {
    for (source, _) in sources() {
        for size in [1, 3, 1000] {
            for pieces in cuts(&source) {
                let mut plan = plan();
                plan.mail.params.body = Some(BodyType::BinaryMime);
                // The policy is about text.
                let sent = send(
                    |c| {
                        c.chunking.size = size;
                        c.bare_newlines = BareNewlines::Refuse;
                    },
                    plan,
                    &pieces,
                );
                assert!(matches!(sent.delivery, Delivery::Delivered(_)));
                assert_eq!(unchunked(&sent.wire), (source.clone(), true));
            }
        }
    }
}

#[test]
fn the_stricter_policy_sends_no_end_of_what_it_refuses() {
    for (source, arrives) in sources() {
        for (bdat, size) in [
            (UseBdat::Never, 1),
            (UseBdat::WhenOffered, 1),
            (UseBdat::WhenOffered, 4),
            (UseBdat::WhenOffered, 1000),
        ] {
            for pieces in cuts(&source) {
                let change = |c: &mut mailwright_smtp::client::Config| {
                    c.bare_newlines = BareNewlines::Refuse;
                    c.chunking.bdat = bdat;
                    c.chunking.size = size;
                };
                let sent = send(change, plan(), &pieces);
                let what = format!("{} as {}", source.escape_ascii(), sent.wire.escape_ascii());
                if has_bare_newline(&source) {
                    let Delivery::Failed(failure) = &sent.delivery else {
                        panic!("{what}: {:?}", sent.delivery)
                    };
                    assert_eq!(failure.cause, Cause::BareNewline, "{what}");
                    assert!(failure.is_permanent());
                    let ended = match bdat {
                        UseBdat::Never => [b"\r\n", &sent.wire[..]].concat().ends_with(b"\r\n.\r\n"),
                        _ => unchunked(&sent.wire).1,
                    };
                    assert!(!ended, "{what}");
                } else {
                    assert!(matches!(sent.delivery, Delivery::Delivered(_)), "{what}");
                    let body = match bdat {
                        UseBdat::Never => received(&sent.wire),
                        _ => unchunked(&sent.wire).0,
                    };
                    assert_eq!(body, arrives, "{what}");
                }
            }
        }
    }
}
