//! COMPRESS=DEFLATE (RFC 4978): both directions, whatever the cuts; garbage and bombs.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test fails by panicking, and winds its own clock

mod support;

use mailwright_imap::{Capabilities, Error, Server};
use mailwright_wire::testing::Fixture;
use mailwright_wire::{Machine, Step};
use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush};
use std::time::Instant;
use support::{Host, sample_account};

/// A client that compresses, in front of a session.
struct Client {
    host: Host,
    server: Server,
    now: Instant,
    deflater: CompressorOxide,
    inflater: Box<InflateState>,
    is_compressed: bool,
    /// What the server said, inflated.
    text: Vec<u8>,
    /// What the server said since compression began, as it came.
    wire: Vec<u8>,
    end: Option<Error>,
}

impl Client {
    fn new() -> Self {
        let mut host = Host::new(sample_account());
        host.config.capabilities = Capabilities::all();
        host.config.starttls = false;
        let now = Instant::now();
        let mut client = Self {
            server: host.start(now),
            host,
            now,
            deflater: CompressorOxide::new(create_comp_flags_from_zip_params(6, -15, 0)),
            inflater: InflateState::new_boxed(DataFormat::Raw),
            is_compressed: false,
            text: vec![],
            wire: vec![],
            end: None,
        };
        client.run();
        client
    }

    fn compressed() -> Self {
        let mut client = Self::new();
        client.say("a LOGIN user pass\r\n", 1000);
        client.say("b COMPRESS DEFLATE\r\n", 1000);
        assert!(client.heard().ends_with("b OK DEFLATE active\r\n"));
        client.is_compressed = true;
        client
    }

    fn heard(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.text)).unwrap()
    }

    fn pack(&mut self, text: &[u8], flush: MZFlush) -> Vec<u8> {
        let mut packed = vec![0; text.len() + 1000];
        let done = deflate(&mut self.deflater, text, &mut packed, flush);
        assert_eq!(done.bytes_consumed, text.len());
        packed.truncate(done.bytes_written);
        packed
    }

    fn say(&mut self, text: &str, cut: usize) {
        let octets = match self.is_compressed {
            true => self.pack(text.as_bytes(), MZFlush::Sync),
            false => text.as_bytes().to_vec(),
        };
        self.send(&octets, cut);
    }

    fn send(&mut self, octets: &[u8], cut: usize) {
        for mut piece in octets.chunks(cut) {
            while !piece.is_empty() && self.end.is_none() {
                let room = self.server.recv_buf();
                assert!(!room.is_empty(), "no room, but it wants to read");
                let n = room.len().min(piece.len());
                room[..n].copy_from_slice(&piece[..n]);
                self.server.received(n);
                piece = &piece[n..];
                self.run();
            }
        }
    }

    fn run(&mut self) {
        loop {
            match self.server.poll(self.now) {
                Ok(Step::Event(event)) => _ = self.host.event(&mut self.server, event),
                Ok(Step::Answer) => self.host.default_answer(&mut self.server),
                Ok(Step::Write) => {
                    let octets = self.server.send_buf().to_vec();
                    self.server.sent(octets.len());
                    self.take(&octets);
                }
                Ok(Step::Read) => return,
                Ok(other) => panic!("unexpected {other:?}"),
                Err(error) => {
                    self.end = Some(error);
                    return;
                }
            }
        }
    }

    fn take(&mut self, mut octets: &[u8]) {
        if !self.is_compressed {
            return self.text.extend_from_slice(octets);
        }
        self.wire.extend_from_slice(octets);
        let mut plain = vec![0; 100_000];
        loop {
            let done = inflate(&mut self.inflater, octets, &mut plain, MZFlush::None);
            self.text.extend_from_slice(&plain[..done.bytes_written]);
            octets = &octets[done.bytes_consumed..];
            if done.bytes_written == 0 {
                return;
            }
        }
    }
}

#[test]
fn a_compressed_session_is_the_session_it_would_be() {
    let script = [
        "c SELECT INBOX\r\n",
        "d FETCH 1:* (FLAGS UID ENVELOPE BODY.PEEK[])\r\n",
        "e APPEND INBOX {5+}\r\nhello\r\n",
        "f NOOP\r\ng SEARCH ALL\r\n",
        "h IDLE\r\n",
        "DONE\r\n",
    ];
    let mut plain = Client::new();
    plain.say("a LOGIN user pass\r\n", 1000);
    plain.heard();
    let said = script.map(|text| {
        plain.say(text, 1000);
        plain.heard()
    });
    for cut in [1, 2, 3, 7, 100, 10_000] {
        let mut client = Client::compressed();
        for (text, want) in script.iter().zip(&said) {
            client.say(text, cut);
            // Nothing waits: what was said can be read to its last octet.
            assert_eq!(&client.heard(), want, "{text} cut to {cut}");
        }
        let all: usize = said.iter().map(String::len).sum();
        assert!(client.wire.len() < all / 2, "{} of {all}", client.wire.len());
    }
}

#[test]
fn it_is_refused_twice_and_for_other_algorithms() {
    let mut client = Client::compressed();
    client.say("c COMPRESS DEFLATE\r\n", 100);
    assert_eq!(
        client.heard(),
        "c NO [COMPRESSIONACTIVE] DEFLATE is active already\r\n"
    );
    client.say("d COMPRESS LZW\r\n", 100);
    assert_eq!(client.heard(), "d BAD The algorithm is not known\r\n");
    let mut client = Client::new();
    client.say("a COMPRESS DEFLATE\r\n", 100);
    assert!(client.heard().ends_with("a BAD Log in first\r\n"));
}

#[test]
fn garbage_ends_the_session_with_bye() {
    let mut client = Client::compressed();
    client.send(b"\x07c NOOP\r\n", 100);
    assert_eq!(client.heard(), "* BYE The compressed stream is corrupt\r\n");
    assert_eq!(client.end, Some(Error::Compression));
    let mut client = Client::compressed();
    let last = client.pack(b"c NOOP\r\n", MZFlush::Finish);
    client.send(&last, 100);
    assert_eq!(client.heard(), "c OK Noop completed\r\n");
    client.send(b"d NOOP\r\n", 100);
    assert_eq!(client.end, Some(Error::Compression));
}

#[test]
fn a_stream_that_swells_is_bounded_by_the_limit_of_a_command() {
    let mut client = Client::compressed();
    let bomb = vec![b'x'; 10 << 20];
    let mut packed = vec![0; 1 << 20];
    let done = deflate(&mut client.deflater, &bomb, &mut packed, MZFlush::Sync);
    assert_eq!(done.bytes_consumed, bomb.len());
    assert!(done.bytes_written < 20_000, "a factor of 500");
    client.send(&packed[..done.bytes_written], 1000);
    client.say("\r\nc NOOP\r\n", 100);
    assert_eq!(
        client.heard(),
        "* BAD Command is too long\r\nc OK Noop completed\r\n"
    );
}

#[test]
fn logging_out_of_the_account_ends_it_in_both_directions() {
    for (flush, cut) in [
        (MZFlush::Finish, 1),
        (MZFlush::Finish, 1000),
        (MZFlush::Sync, 1),
        (MZFlush::Sync, 1000),
    ] {
        let mut client = Client::compressed();
        client.say("b NOOP\r\n", 1000);
        client.wire.clear();
        let last = client.pack(b"c UNAUTHENTICATE\r\n", flush);
        client.send(&last, cut);
        // What the server says last ends its stream, too.
        assert!(client.heard().ends_with("c OK Unauthenticated\r\n"));
        assert!(!client.server.is_compressed());
        client.is_compressed = false;
        client.say("d LOGIN mrc secret\r\n", cut);
        assert!(client.heard().starts_with("d OK [CAPABILITY"), "{flush:?} {cut}");
        client.say("e COMPRESS DEFLATE\r\n", cut);
        assert_eq!(client.heard(), "e OK DEFLATE active\r\n");
    }
}

#[test]
fn a_login_may_follow_at_once_where_the_stream_has_ended() {
    for cut in [1, 1000] {
        let mut client = Client::compressed();
        client.wire.clear();
        let last = client.pack(b"c UNAUTHENTICATE\r\n", MZFlush::Finish);
        client.send(&[&last[..], b"d LOGIN mrc secret\r\n"].concat(), cut);
        let text = String::from_utf8_lossy(&client.wire).into_owned();
        assert!(text.contains("d OK [CAPABILITY"), "{cut}: {text}");
    }
}

#[test]
fn any_octets_end_in_an_answer_or_an_error() {
    let mut seed = 1u64;
    for _ in 0..200 {
        let mut client = Client::compressed();
        let mut octets = client.pack(b"c FETCH 1 FLAGS\r\nd NOOP\r\ne SEARCH ALL\r\n", MZFlush::Sync);
        for _ in 0..3 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (seed >> 33) as usize % octets.len();
            octets[at] ^= 1 << (seed >> 20 & 7);
        }
        client.send(&octets, 5);
        assert!(
            client
                .end
                .is_none_or(|end| matches!(end, Error::Compression | Error::TooManyBadCommands))
        );
    }
}
