//! IMAP commands, rows of FETCH and answers, next to the codecs of other crates.
//!
//! All decode the same octets, and print the same line: the server engine from what an embedder holds, the peer from
//! the value that it makes of that line. A client reads whole rows; ours does it as a session, with its events.
#![allow(clippy::field_reassign_with_default)] // the types may grow
#![allow(missing_docs)] // `criterion_group!` makes public items
#![allow(clippy::disallowed_methods)] // the engine is given a moment, once

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mailwright_benches::CpuTime;
use mailwright_imap::codec::Command;
use mailwright_imap::{
    Address, Config, Envelope, Event, FetchItem, Flag, Flags, Selected, SequenceSet, Server, Transport,
    UidSet, client,
};
use mailwright_wire::{Machine, Step};
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

fn commands() -> [(&'static str, Bytes); 3] {
    let fields = "a1 UID FETCH 1:500,612,700:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM \
        TO CC SUBJECT MESSAGE-ID REFERENCES IN-REPLY-TO CONTENT-TYPE)])";
    let set: Vec<String> = (1..=2000).map(|n| (n * 7).to_string()).collect();
    let long = format!("a2 UID FETCH {} (FLAGS)", set.join(","));
    let search =
        "a3 UID SEARCH RETURN (COUNT) OR (FROM \"smith\" SINCE 1-Feb-1994) NOT (DELETED SUBJECT \"x\")";
    [
        ("header fields", Bytes::from_static(fields.as_bytes())),
        ("2000 numbers", long.into()),
        ("search", Bytes::from_static(search.as_bytes())),
    ]
}

fn decode(c: &mut Criterion<CpuTime>) {
    for (name, text) in commands() {
        let mut group = c.benchmark_group(format!("imap decode {name}"));
        group.throughput(Throughput::Bytes(text.len() as u64));
        assert!(Command::parse(&text, 50).is_ok());
        group.bench_function("mailwright", |b| b.iter(|| Command::parse(black_box(&text), 50)));
        #[cfg(feature = "peers")]
        {
            use imap_codec::CommandCodec;
            use imap_codec::decode::Decoder;
            let line = [&text[..], b"\r\n"].concat();
            // It does not know RETURN.
            if CommandCodec::default().decode(&line).is_ok() {
                group.bench_function("imap-codec", |b| {
                    b.iter(|| CommandCodec::default().decode(black_box(&line)).is_ok());
                });
            }
        }
        group.finish();
    }
}

/// A session that has been asked for rows, and the row.
fn asked() -> (Server, Flags, Envelope, Instant) {
    let now = Instant::now();
    let mut server = Server::preauthenticated(Arc::new(Config::default()), Transport::Tls, [7; 32], now);
    let input = b"a SELECT INBOX\r\nb FETCH 1:* (FLAGS ENVELOPE)\r\n";
    server.recv_buf()[..input.len()].copy_from_slice(input);
    server.received(input.len());
    let mut question = None;
    loop {
        match server.poll(now).expect("nothing goes wrong here") {
            Step::Event(event) => question = Some(event),
            Step::Write => server.sent(server.send_buf().len()),
            Step::Answer => match question.take() {
                Some(Event::Select { .. }) => {
                    let one = NonZeroU32::MIN;
                    server.selected(Selected::new(UidSet::from(1..=1000), one, one));
                }
                _ => break,
            },
            other => panic!("{other:?}"),
        }
    }
    let text = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    let address = |name, mailbox, host| {
        let mut address = Address::default();
        address.name = text(name);
        address.mailbox = text(mailbox);
        address.host = text(host);
        address
    };
    let mut envelope = Envelope::default();
    envelope.date = text("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)");
    envelope.subject = text("IMAP4rev1 WG mtg summary and minutes");
    envelope.from = vec![address("Terry Gray", "gray", "cac.washington.edu")];
    envelope.sender = envelope.from.clone();
    envelope.reply_to = envelope.from.clone();
    envelope.to = vec![address("IMAP list", "imap", "cac.washington.edu")];
    envelope.cc = vec![address("John Klensin", "KLENSIN", "MIT.EDU")];
    envelope.message_id = text("<B27397-0100000@cac.washington.edu>");
    (
        server,
        [Flag::Seen, Flag::Answered].into_iter().collect(),
        envelope,
        now,
    )
}

fn encode(c: &mut Criterion<CpuTime>) {
    const ROWS: u32 = 100;
    let (mut server, flags, envelope, now) = asked();
    let mut lines = |keep: Option<&mut Vec<u8>>| {
        for uid in 1..=ROWS {
            let mut row = server.fetch(uid).expect("the session knows it");
            row.flags(&flags).envelope(&envelope);
        }
        if let Some(keep) = keep {
            keep.extend_from_slice(server.send_buf());
        }
        while !server.send_buf().is_empty() {
            server.sent(server.send_buf().len());
        }
        let _ = now;
    };
    let mut text = Vec::new();
    lines(Some(&mut text));
    let end = memchr::memchr(b'\n', &text).expect("there are lines") + 1;
    let line = text[..end].to_vec();
    assert!(line.starts_with(b"* 1 FETCH (FLAGS (\\Answered \\Seen) ENVELOPE ("));
    let mut group = c.benchmark_group("imap encode flags and envelope");
    group.throughput(Throughput::Elements(u64::from(ROWS)));
    group.bench_function("mailwright", |b| b.iter(|| lines(None)));
    #[cfg(feature = "peers")]
    {
        use imap_codec::ResponseCodec;
        use imap_codec::decode::Decoder;
        use imap_codec::encode::Encoder;
        let (_, response) = ResponseCodec::default()
            .decode(&line)
            .expect("the peer reads what we print");
        assert_eq!(
            ResponseCodec::default().encode(&response).dump().len(),
            line.len()
        );
        group.bench_function("imap-codec", |b| {
            b.iter(|| {
                for _ in 0..ROWS {
                    black_box(ResponseCodec::default().encode(black_box(&response)).dump());
                }
            });
        });
    }
    group.finish();
}

/// A client that has asked for rows, and a hundred of them as a server sends them.
fn rows(c: &mut Criterion<CpuTime>) {
    const ROWS: usize = 100;
    let row = "* 12 FETCH (UID 4711 FLAGS (\\Seen \\Answered $Forwarded) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" \
        RFC822.SIZE 4286 ENVELOPE (\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev1 WG mtg summary and minutes\" \
        ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
        ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((NIL NIL \"imap\" \"cac.washington.edu\")) \
        ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL \
        \"<B27397-0100000@cac.washington.edu>\"))\r\n";
    let text = row.repeat(ROWS);
    let now = Instant::now();
    let mut client = client::Client::new(client::Config::default(), [7; 32], now).over_tls();
    let read = |client: &mut client::Client, mut input: &[u8]| {
        let mut rows = 0;
        loop {
            match client.poll(now).expect("nothing goes wrong here") {
                Step::Event(client::Event::Data(_, client::Data::Row(row))) => {
                    assert_eq!((row.uid, row.raw.is_empty()), (Some(4711), true));
                    rows += 1;
                }
                Step::Event(_) => {}
                Step::Write => client.sent(client.send_buf().len()),
                _ if input.is_empty() => return rows,
                _ => {
                    let room = client.recv_buf();
                    let n = room.len().min(input.len());
                    room[..n].copy_from_slice(&input[..n]);
                    client.received(n);
                    input = &input[n..];
                }
            }
        }
    };
    read(&mut client, b"* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n");
    client.command(client::Command::select("INBOX"));
    read(&mut client, b"");
    read(&mut client, b"* 100 EXISTS\r\nA1 OK done\r\n");
    let all = client::Messages::Uids(SequenceSet::parse(b"1:*").expect("a set"));
    client.command(client::Command::fetch(
        all,
        &[FetchItem::Flags, FetchItem::Envelope],
    ));
    read(&mut client, b"");

    let mut group = c.benchmark_group("imap decode rows");
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("mailwright", |b| {
        b.iter(|| assert_eq!(read(&mut client, black_box(text.as_bytes())), ROWS));
    });
    #[cfg(feature = "peers")]
    {
        group.bench_function("imap-proto", |b| {
            b.iter(|| {
                let mut rest = black_box(text.as_bytes());
                let mut rows = 0;
                while !rest.is_empty() {
                    let (left, response) = imap_proto::Response::parse(rest).expect("it knows these");
                    black_box(response.into_owned());
                    (rest, rows) = (left, rows + 1);
                }
                assert_eq!(rows, ROWS);
            });
        });
        use imap_codec::ResponseCodec;
        use imap_codec::decode::Decoder;
        group.bench_function("imap-codec", |b| {
            b.iter(|| {
                let mut rest = black_box(text.as_bytes());
                let mut rows = 0;
                while !rest.is_empty() {
                    let (left, response) = ResponseCodec::default().decode(rest).expect("it knows these");
                    black_box(response);
                    (rest, rows) = (left, rows + 1);
                }
                assert_eq!(rows, ROWS);
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = decode, rows, encode
}
criterion_main!(benches);
