//! The server engine of SMTP: commands and messages, next to a parser of commands and to a session of another crate.
//!
//! All get the same octets in reads of the same size, copied into their buffers as a socket would. Of commands,
//! `parse` and `smtp-proto parse` are the two codecs alone, line in and command out; `session` is the whole engine
//! with its order of commands, limits, questions and replies; `mailin` is a session too; and `smtp-proto` is its parser
//! with the least that a server does around it: the envelope is kept and ready-made replies are written.
//!
//! `parse` owns what it gives, looks for control characters in the whole line, and holds addresses and parameters to
//! their grammar; `smtp-proto parse` borrows, and looks at the characters, the dots and the length of an address.
//!
//! Of messages, `copy` is what it costs to get the octets into a buffer at all; `streamed` and `kept` are the engine,
//! which also looks for every bare CR and LF, with chunks dropped or kept as they come; `smtp-proto` looks for stuffed
//! dots alone and gathers the message in one buffer, as `mailin` does line by line.
#![allow(missing_docs)] // `criterion_group!` makes public items
#![allow(clippy::disallowed_methods)] // the engine is given a moment, once

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mailwright_address::Host;
use mailwright_benches::CpuTime;
use mailwright_smtp::server::{Config, Event};
use mailwright_smtp::{Command, Extensions, Protocol, Server};
use mailwright_wire::{Machine, Step};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

/// What a socket gives at a time.
const READ: usize = 16 * 1024;
const TRANSACTIONS: usize = 200;
const RECIPIENTS: usize = 4;

/// Transactions as a mailing list sends them, given up before the message: commands alone.
fn commands() -> (Vec<u8>, u64) {
    let mut wire = b"EHLO mail.example.org\r\n".to_vec();
    for i in 0..TRANSACTIONS {
        let mail = format!("MAIL FROM:<bounces+{i}@lists.example.org> BODY=8BITMIME\r\n");
        wire.extend_from_slice(mail.as_bytes());
        for j in 0..RECIPIENTS {
            let rcpt = format!("RCPT TO:<someone.{i}.{j}@example.com>\r\n");
            wire.extend_from_slice(rcpt.as_bytes());
        }
        wire.extend_from_slice(b"RSET\r\n");
    }
    wire.extend_from_slice(b"QUIT\r\n");
    (wire, (TRANSACTIONS * (RECIPIENTS + 2) + 2) as u64)
}

/// The lines of a message.
#[derive(Clone, Copy)]
enum Lines {
    /// As base64 attachments have them.
    Base64,
    /// Of 20 to 69 octets; one of fifty begins with a dot.
    Text,
    /// Of 4 octets.
    Short,
    /// One alone.
    One,
}

fn message(lines: Lines, size: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(size + 100);
    for i in 0.. {
        if body.len() >= size {
            break;
        }
        let len = match lines {
            Lines::Text if i % 50 == 49 => {
                body.extend_from_slice(b"..and so on\r\n");
                continue;
            }
            Lines::Text => 20 + i * 7 % 50,
            Lines::Base64 => 76,
            Lines::Short => 4,
            Lines::One => size,
        };
        body.extend(std::iter::repeat_n(b'a', len).chain(*b"\r\n"));
    }
    body
}

fn transaction(body: &[u8]) -> Vec<u8> {
    let envelope =
        b"EHLO mail.example.org\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n";
    [envelope, body, b".\r\nQUIT\r\n"].concat()
}

/// What came of a session.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    recipients: usize,
    replies: usize,
    /// Octets of messages.
    octets: usize,
}

fn count_lines(sent: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', sent).count()
}

fn config() -> Arc<Config> {
    let mut config = Config::new(
        Protocol::Smtp,
        "mx.example.com".parse::<Host>().expect("a domain"),
    );
    config.limits.commands = u32::MAX;
    config.limits.message_size = 0;
    Arc::new(config)
}

/// The engine, whose caller keeps the envelope, and of messages what `keep` takes.
fn engine(wire: &[u8], config: &Arc<Config>, now: Instant, mut keep: impl FnMut(Bytes)) -> Tally {
    let mut server = Server::new(config.clone(), [7; 32], now);
    let (mut rest, mut tally, mut envelope) = (wire, Tally::default(), vec![]);
    loop {
        match server.poll(now).expect("nothing is wrong with the session") {
            Step::Event(Event::Body(data)) => {
                tally.octets += data.len();
                keep(data);
            }
            Step::Event(Event::Rcpt(rcpt)) => {
                envelope.push(rcpt);
                server.accept();
            }
            Step::Event(Event::Aborted(_)) => {
                tally.recipients += envelope.len();
                envelope.clear();
            }
            Step::Event(_) => server.accept(),
            Step::Write => {
                tally.replies += count_lines(server.send_buf());
                let n = server.send_buf().len();
                server.sent(n);
            }
            Step::Read => {
                let room = server.recv_buf();
                let n = room.len().min(rest.len()).min(READ);
                room[..n].copy_from_slice(&rest[..n]);
                rest = &rest[n..];
                server.received(n);
            }
            Step::Close => break,
            Step::Answer | Step::StartTls => unreachable!("every question is answered"),
        }
    }
    tally.recipients += envelope.len();
    tally
}

/// Parses the lines, and does no more.
fn parse(wire: &[u8], extensions: &Extensions) -> usize {
    let (mut rest, mut commands) = (wire, 0);
    while let Some(end) = memchr::memchr(b'\n', rest) {
        black_box(Command::parse(&rest[..end - 1], extensions).expect("all are commands"));
        rest = &rest[end + 1..];
        commands += 1;
    }
    commands
}

#[cfg(feature = "peers")]
mod peers {
    use super::{READ, Tally, count_lines};
    use mailin::{Action, Handler, SessionBuilder};
    use smtp_proto::request::receiver::{DataReceiver, RequestReceiver};
    use smtp_proto::{Error, Request};
    use std::hint::black_box;

    /// Parses the lines, and does no more.
    pub(super) fn parse(wire: &[u8]) -> usize {
        let (mut rest, mut commands) = (wire.iter(), 0);
        while let Ok(request) = Request::parse(&mut rest) {
            black_box(&request);
            commands += 1;
        }
        commands
    }

    /// The least of a server around the parser: reads, keeps the envelope, writes replies that are ready-made.
    pub(super) fn smtp_proto(wire: &[u8], keep: &mut Vec<u8>) -> Tally {
        let (mut buf, mut out, mut tally) = (vec![0; READ], Vec::new(), Tally::default());
        let (mut parser, mut data) = (RequestReceiver::default(), None::<DataReceiver>);
        let (mut sender, mut recipients) = (None, Vec::new());
        out.extend_from_slice(b"220 mx.example.com ESMTP\r\n");
        for piece in wire.chunks(READ) {
            buf[..piece.len()].copy_from_slice(piece);
            let mut input = buf[..piece.len()].iter();
            while !input.as_slice().is_empty() {
                if let Some(receiver) = &mut data {
                    if receiver.ingest(&mut input, keep) {
                        data = None;
                        tally.octets += keep.len();
                        tally.recipients += recipients.len();
                        recipients.clear();
                        sender = None;
                        out.extend_from_slice(b"250 2.0.0 Message accepted\r\n");
                    }
                    continue;
                }
                match parser.ingest(&mut input) {
                    Ok(Request::Ehlo { host }) => {
                        black_box(host.into_owned());
                        out.extend_from_slice(
                            b"250-mx.example.com\r\n250-PIPELINING\r\n250-SIZE\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n\
                              250-CHUNKING\r\n250-DSN\r\n250 ENHANCEDSTATUSCODES\r\n",
                        );
                    }
                    Ok(Request::Mail { from }) => {
                        assert!(sender.is_none());
                        sender = Some((from.address.into_owned(), from.flags, from.size));
                        out.extend_from_slice(b"250 2.1.0 Sender OK\r\n");
                    }
                    Ok(Request::Rcpt { to }) => {
                        recipients.push((to.address.into_owned(), to.flags));
                        out.extend_from_slice(b"250 2.1.5 Recipient OK\r\n");
                    }
                    Ok(Request::Rset) => {
                        tally.recipients += recipients.len();
                        recipients.clear();
                        sender = None;
                        out.extend_from_slice(b"250 2.0.0 Reset\r\n");
                    }
                    Ok(Request::Data) => {
                        data = Some(DataReceiver::new());
                        out.extend_from_slice(b"354 Start mail input\r\n");
                    }
                    Ok(Request::Quit) => out.extend_from_slice(b"221 2.0.0 Goodbye\r\n"),
                    Ok(other) => unreachable!("{other:?}"),
                    Err(Error::NeedsMoreData { .. }) => break,
                    Err(error) => panic!("{error:?}"),
                }
            }
            tally.replies += count_lines(&out);
            out.clear();
        }
        tally
    }

    #[derive(Default)]
    struct Keeper {
        recipients: Vec<String>,
        message: Vec<u8>,
    }

    impl Handler for &mut Keeper {
        fn rcpt(&mut self, to: &str) -> mailin::Response {
            self.recipients.push(to.to_owned());
            mailin::response::OK
        }

        fn data(&mut self, data: &[u8]) -> std::io::Result<()> {
            self.message.extend_from_slice(data);
            Ok(())
        }
    }

    /// The session, which takes lines.
    pub(super) fn mailin(wire: &[u8]) -> Tally {
        let (mut keeper, mut out, mut tally) = (Keeper::default(), Vec::new(), Tally::default());
        let mut session = SessionBuilder::new("mx.example.com").build([127, 0, 0, 1].into(), &mut keeper);
        let write = |response: &mailin::Response, out: &mut Vec<u8>| {
            response.write_to(out).expect("it goes into memory");
        };
        write(&session.greeting(), &mut out);
        let mut buf = Vec::with_capacity(2 * READ);
        for piece in wire.chunks(READ) {
            buf.extend_from_slice(piece);
            let mut from = 0;
            while let Some(at) = memchr::memchr(b'\n', &buf[from..]) {
                let response = session.process(&buf[from..=from + at]);
                if response.action != Action::NoReply {
                    write(&response, &mut out);
                }
                from += at + 1;
            }
            buf.drain(..from);
            tally.replies += count_lines(&out);
            out.clear();
        }
        drop(session);
        tally.recipients = keeper.recipients.len();
        tally.octets = keeper.message.len();
        tally
    }
}

fn command_rate(c: &mut Criterion<CpuTime>) {
    let (wire, commands) = commands();
    let (config, now) = (config(), Instant::now());
    let want = TRANSACTIONS * RECIPIENTS;
    assert_eq!(engine(&wire, &config, now, drop).recipients, want);
    let parsed = usize::try_from(commands).expect("few");
    assert_eq!(parse(&wire, &config.extensions), parsed);
    let mut group = c.benchmark_group("commands");
    group.throughput(Throughput::Elements(commands));
    group.bench_function("session", |b| b.iter(|| engine(&wire, &config, now, drop)));
    group.bench_function("parse", |b| b.iter(|| parse(&wire, &config.extensions)));
    #[cfg(feature = "peers")]
    {
        assert_eq!(peers::smtp_proto(&wire, &mut vec![]).recipients, want);
        assert_eq!(peers::mailin(&wire).recipients, want);
        assert_eq!(peers::parse(&wire), parsed);
        group.bench_function("smtp-proto", |b| b.iter(|| peers::smtp_proto(&wire, &mut vec![])));
        group.bench_function("smtp-proto parse", |b| b.iter(|| peers::parse(&wire)));
        group.bench_function("mailin", |b| b.iter(|| peers::mailin(&wire)));
    }
    group.finish();
}

fn data_rate(c: &mut Criterion<CpuTime>) {
    let (config, now) = (config(), Instant::now());
    for (name, lines, size) in [
        ("base64 1 MiB", Lines::Base64, 1 << 20),
        ("text 1 MiB", Lines::Text, 1 << 20),
        ("lines of 4 octets 1 MiB", Lines::Short, 1 << 20),
        ("one line 1 MiB", Lines::One, 1 << 20),
        ("text 4 KiB", Lines::Text, 4096),
    ] {
        let wire = transaction(&message(lines, size));
        let octets = engine(&wire, &config, now, drop).octets;
        let mut group = c.benchmark_group(format!("data of {name}"));
        group.throughput(Throughput::Bytes(octets as u64));
        let mut room = vec![0; READ];
        group.bench_function("copy", |b| {
            b.iter(|| {
                for piece in wire.chunks(READ) {
                    room[..piece.len()].copy_from_slice(piece);
                    black_box(&room);
                }
            });
        });
        group.bench_function("streamed", |b| b.iter(|| engine(&wire, &config, now, drop)));
        group.bench_function("kept", |b| {
            b.iter(|| {
                let mut kept = Vec::new();
                engine(&wire, &config, now, |data| kept.push(data));
                kept
            });
        });
        #[cfg(feature = "peers")]
        {
            assert_eq!(peers::smtp_proto(&wire, &mut vec![]).octets, octets);
            assert_eq!(peers::mailin(&wire).octets, octets);
            group.bench_function("smtp-proto", |b| {
                b.iter(|| {
                    let mut kept = Vec::new();
                    peers::smtp_proto(&wire, &mut kept);
                    kept
                });
            });
            group.bench_function("mailin", |b| b.iter(|| peers::mailin(&wire)));
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = command_rate, data_rate
}
criterion_main!(benches);
