//! Whatever peers send: the same in every cut, bounded, and harmless.

mod common;

use bytes::Bytes;
use common::{ClientFixture, ServerFixture};
use mailwright_pop3::server::{Config, Event};
use mailwright_pop3::{Error, Language, Maildrop, MaildropError, Rejection, Server};
use mailwright_sasl::Answer;
use mailwright_wire::testing::{End, Input, every_fragmentation};
use mailwright_wire::{Machine, Step};
use proptest::prelude::*;
use std::io::IoSlice;
use std::time::Instant;

fn soup(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        12 => prop::sample::select(words).prop_map(|w| w.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..6),
        1 => (1..700usize).prop_map(|n| vec![b'a'; n]),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

const CLIENT_WORDS: &[&str] = &[
    "USER bob\r\n",
    "PASS s3cret\r\n",
    "PASS x\r\n",
    "AUTH PLAIN AGJvYgBzM2NyZXQ=\r\n",
    "AUTH PLAIN\r\n",
    "AGJvYgBzM2NyZXQ=\r\n",
    "AUTH LOGIN\r\n",
    "Ym9i\r\n",
    "czNjcmV0\r\n",
    "AUTH SCRAM-SHA-256\r\n",
    "biwsbj1ib2Iscj1hYmM=\r\n",
    "*\r\n",
    "=\r\n",
    "STAT\r\n",
    "LIST\r\n",
    "LIST 1\r\n",
    "UIDL\r\n",
    "UIDL 2\r\n",
    "RETR 1\r\n",
    "RETR 2\r\n",
    "TOP 1 2\r\n",
    "DELE 1\r\n",
    "DELE 2\r\n",
    "RSET\r\n",
    "NOOP\r\n",
    "CAPA\r\n",
    "STLS\r\n",
    "UTF8\r\n",
    "LANG\r\n",
    "LANG de\r\n",
    "LANG *\r\n",
    "AUTH\r\n",
    "QUIT\r\n",
    "USER ",
    "RETR ",
    "4294967296",
    " ",
    "\r",
    "\n",
    "\r\n",
    "\0",
    "\u{e9}",
];

const SERVER_WORDS: &[&str] = &[
    "+OK\r\n",
    "+OK 2 320\r\n",
    "+OK 1 uid\r\n",
    "-ERR\r\n",
    "-ERR [IN-USE] x\r\n",
    "-ERR [AUTH x\r\n",
    "+ \r\n",
    "+ VXNlcm5hbWU6\r\n",
    "+\r\n",
    ".\r\n",
    "..\r\n",
    "1 2\r\n",
    "1 uid\r\n",
    "de Deutsch\r\n",
    "-ERR [SYS/TEMP/x] no\r\n",
    "PIPELINING\r\n",
    "STLS\r\n",
    "SASL PLAIN\r\n",
    "\r\n",
    "\n",
    "\r",
    "+OK",
    "\r\n.\r\n",
    "\0",
    "\u{e9}",
    "99999999999999999999",
];

const SCRIPTS: &[&str] = &[
    "capa, login bob s3cret, stat, list, uidl, retr 1, dele 1, quit",
    "capa, stls, capa, auth plain bob s3cret, list 1, uidl 1, top 1 1, quit",
    "auth login bob s3cret, retr 1, retr 2, rset, noop",
    "auth scram-sha-256 bob s3cret, stat, quit",
    "utf8, lang, lang de, login bob s3cret, uidl, retr 1, quit",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_server_does_the_same_in_every_cut(
        before in soup(CLIENT_WORDS), after in soup(CLIENT_WORDS), stls: bool, login: bool, piece in 1..50usize,
    ) {
        let fixture = || ServerFixture::new().with(|f| {
            f.config.stls = stls;
            f.config.utf8 = true;
            f.config.languages = vec![Language::ENGLISH, Language::GERMAN];
            f.config.max_failures = 4;
            f.piece = piece;
        });
        let mut first = if login { b"USER bob\r\nPASS s3cret\r\n".to_vec() } else { vec![] };
        first.extend_from_slice(&before);
        let trace = every_fragmentation(fixture, &[Input::Bytes(first), Input::Tls, Input::Bytes(after), Input::Eof]);
        for line in trace.sent.split_inclusive(|b| *b == b'\n') {
            prop_assert!(line.ends_with(b"\r\n") && line.len() <= 512);
        }
        // Nothing is removed unless the client said so to the end.
        let updates = trace.events.iter().filter(|e| e.starts_with("update")).count();
        prop_assert!(updates == 0 || (updates == 1 && trace.end == End::Closed));
    }

    #[test]
    fn a_client_does_the_same_in_every_cut(
        greeting in prop::bool::weighted(0.9), before in soup(SERVER_WORDS), after in soup(SERVER_WORDS),
        script in prop::sample::select(SCRIPTS),
    ) {
        struct Scripted(ClientFixture, &'static str);
        impl mailwright_wire::testing::Fixture for Scripted {
            type Machine = mailwright_pop3::Client;
            #[allow(clippy::disallowed_methods)] // a test brings the clock
            fn origin(&self) -> Instant {
                Instant::now()
            }

            fn start(&mut self, now: Instant) -> Self::Machine {
                let mut client = self.0.start(now);
                self.0.answer(&mut client, self.1);
                client
            }
            fn event(
                &mut self,
                client: &mut Self::Machine,
                event: mailwright_pop3::client::Event,
            ) -> mailwright_wire::testing::Seen {
                self.0.event(client, event)
            }
            fn answer(&mut self, _: &mut Self::Machine, _: &str) {}
            fn default_answer(&mut self, client: &mut Self::Machine) {
                self.0.default_answer(client);
            }
            fn tls_started(&mut self, client: &mut Self::Machine) {
                client.tls_started();
            }
        }
        let fixture = || Scripted(ClientFixture::new().with(|f| f.config.max_line = 500), script);
        let mut first = if greeting { b"+OK hello\r\n".to_vec() } else { vec![] };
        first.extend_from_slice(&before);
        let trace = every_fragmentation(fixture, &[Input::Bytes(first), Input::Tls, Input::Bytes(after), Input::Eof]);
        prop_assert!(trace.end != End::Open || trace.sent.ends_with(b"STLS\r\n"));
    }
}

#[test]
fn ten_megabytes_without_a_line_end_are_one_error() {
    let mut input = vec![b'x'; 10 << 20];
    input.extend_from_slice(b"\r\nQUIT\r\n");
    let server = &mut server(Config::default());
    let (sent, most) = drive(server, &input, |_, event| panic!("{event:?}"), |_| None);
    assert_eq!(
        sent,
        b"+OK POP3 server ready\r\n-ERR line is too long\r\n+OK bye\r\n"
    );
    assert!(most < 100);
    assert!(server.recv_buf().len() <= 16 * 1024);
}

#[test]
fn a_hundred_thousand_messages_are_listed_in_bounded_output() {
    let mut maildrop = Maildrop::with_capacity(100_000);
    let (mut sizes, mut uids) = (vec![], vec![]);
    for n in 1..=100_000_u64 {
        maildrop.push(950_000 + n, &format!("1700000000.{n}")).unwrap();
        if n != 50_002 {
            sizes.extend_from_slice(format!("{n} {}\r\n", 950_000 + n).as_bytes());
            uids.extend_from_slice(format!("{n} 1700000000.{n}\r\n").as_bytes());
        }
    }
    let mut opened = Some(maildrop);
    let input = b"USER bob\r\nPASS x\r\nDELE 50002\r\nLIST\r\nUIDL\r\nSTAT\r\nQUIT\r\n";
    let mut deleted = vec![];
    let (sent, most) = drive(
        &mut server(Config::default()),
        input,
        |server, event| match event {
            Event::Auth(_) => server.answer_auth(Answer::Accept),
            Event::Open(_) => server.open(opened.take().unwrap()),
            Event::Update { deleted: numbers } => {
                deleted = numbers;
                server.accept();
            }
            other => panic!("{other:?}"),
        },
        |_| None,
    );
    let text = String::from_utf8(sent).unwrap();
    let (head, rest) = text.split_once("+OK message 50002 deleted\r\n").unwrap();
    assert!(head.contains("100000 messages (100000050000 octets)"), "{head}");
    let total: u64 = (1..=100_000_u64)
        .filter(|n| *n != 50_002)
        .map(|n| 950_000 + n)
        .sum();
    let status = format!("+OK 99999 messages ({total} octets)\r\n");
    let sizes = String::from_utf8(sizes).unwrap();
    let uids = String::from_utf8(uids).unwrap();
    let want = format!(
        "{status}{sizes}.\r\n{status}{uids}.\r\n+OK 99999 {total}\r\n+OK 1 messages deleted, bye\r\n"
    );
    assert!(rest == want, "the listings differ");
    assert_eq!(deleted, [50_002]);
    assert!(
        most <= Config::default().max_output + 512,
        "{most} octets were pending"
    );
}

#[test]
fn a_message_goes_out_by_reference_piece_by_piece() {
    const PIECE: usize = 64 * 1024;
    const PIECES: usize = 64;
    let line = [&[b'x'; 62][..], b"\r\n"].concat();
    let piece = Bytes::from(line.repeat(PIECE / 64));
    let mut given = 0;
    let mut total = 0;
    let mut server = server(Config::default());
    let mut most = 0;
    server.recv_buf()[..26].copy_from_slice(b"USER b\r\nPASS x\r\nRETR 1\r\n  ");
    server.received(24);
    loop {
        match server.poll(now()).unwrap() {
            Step::Event(Event::Auth(_)) => server.answer_auth(Answer::Accept),
            Step::Event(Event::Open(_)) => {
                let mut maildrop = Maildrop::new();
                maildrop.push((PIECE * PIECES) as u64, "big").unwrap();
                server.open(maildrop);
            }
            Step::Event(event) => assert_eq!(
                event,
                Event::Retrieve {
                    message: 1,
                    body_lines: None,
                    utf8: false
                }
            ),
            Step::Answer if given == PIECES => server.message_end(),
            Step::Answer => {
                assert!(server.message_chunk(piece.clone()));
                given += 1;
            }
            Step::Write => {
                let pending = pending(&server);
                most = most.max(pending);
                total += pending;
                let mut left = pending;
                while left > 0 {
                    let n = server.send_buf().len();
                    // The message goes out by reference, not as a copy.
                    if n == PIECE {
                        assert_eq!(server.send_buf().as_ptr(), piece.as_ptr());
                    }
                    server.sent(n);
                    left -= n;
                }
            }
            Step::Read => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(total > PIECE * PIECES);
    assert!(most <= PIECE + 512, "{most} octets were pending");
}

#[test]
fn top_wants_no_more_than_it_asked_for() {
    let mut server = server(Config::default());
    let input = b"USER b\r\nPASS x\r\nTOP 1 1\r\nQUIT\r\n";
    let mut wanted = vec![];
    let (sent, _) = drive(
        &mut server,
        input,
        |server, event| match event {
            Event::Auth(_) => server.answer_auth(Answer::Accept),
            Event::Open(_) => {
                let mut maildrop = Maildrop::new();
                maildrop.push(1 << 40, "huge").unwrap();
                server.open(maildrop);
            }
            Event::Retrieve {
                message: 1,
                body_lines: Some(1),
                ..
            } => {
                for piece in ["a: b\r\n", "\r", "\n", "one\r\ntwo", "three"] {
                    wanted.push(server.message_chunk(Bytes::from_static(piece.as_bytes())));
                }
                server.message_end();
            }
            other => panic!("{other:?}"),
        },
        |_| None,
    );
    assert_eq!(wanted, [true, true, true, false, false]);
    assert!(
        String::from_utf8(sent)
            .unwrap()
            .ends_with("follows\r\na: b\r\n\r\none\r\n.\r\n+OK bye\r\n")
    );
}

#[test]
fn what_was_injected_before_tls_is_counted() {
    let mut config = Config::default();
    config.stls = true;
    let mut server = server(config);
    let input = b"STLS\r\nUSER mallory\r\n";
    server.recv_buf()[..input.len()].copy_from_slice(input);
    server.received(input.len());
    while let Ok(Step::Write) = server.poll(now()) {
        server.sent(server.send_buf().len());
    }
    assert_eq!(server.poll(now()), Ok(Step::StartTls));
    assert!(server.recv_buf().is_empty() && !server.is_tls());
    server.tls_started();
    assert_eq!(server.poll(now()), Ok(Step::Read));
    assert_eq!((server.dropped_plaintext(), server.is_tls()), (14, true));
}

#[test]
fn a_client_that_takes_nothing_is_let_go() {
    let start = now();
    let mut server = server_at(Config::default(), start);
    let input = b"USER b\r\nPASS x\r\nRETR 1\r\n";
    server.recv_buf()[..input.len()].copy_from_slice(input);
    server.received(input.len());
    let ten_minutes = Config::default().idle_timeout;
    loop {
        match server.poll(start).unwrap() {
            Step::Event(Event::Auth(_)) => server.answer_auth(Answer::Accept),
            Step::Event(Event::Open(_)) => {
                let mut maildrop = Maildrop::new();
                maildrop.push(5, "one").unwrap();
                server.open(maildrop);
            }
            Step::Event(_) => assert!(server.message_chunk(Bytes::from_static(b"12345"))),
            Step::Write => break,
            other => panic!("{other:?}"),
        }
    }
    server.sent(1);
    assert_eq!(server.poll(start + ten_minutes / 2), Ok(Step::Write));
    assert_eq!(server.deadline(), Some(start + ten_minutes / 2 + ten_minutes));
    let late = start + ten_minutes * 2;
    assert_eq!(
        server.poll(late),
        Err(Error::Timeout(mailwright_pop3::Phase::Idle))
    );
    // While the embedder looks for something, the client is not to blame.
    let mut server = server_at(Config::default(), start);
    let _ = drive(&mut server, b"USER b\r\nPASS x\r\n", |_, _| (), |_| Some(()));
    assert_eq!((server.poll(late), server.deadline()), (Ok(Step::Answer), None));
}

#[test]
fn unique_ids_that_cannot_be_sent_are_refused() {
    let mut maildrop = Maildrop::new();
    for wrong in ["", "a b", "a\r\n", "\u{e9}", "\0", &"x".repeat(71)] {
        assert_eq!(maildrop.push(1, wrong), Err(MaildropError::UniqueId), "{wrong:?}");
    }
    assert!(maildrop.is_empty());
    maildrop.push(u64::MAX, &"x".repeat(70)).unwrap();
    maildrop.push(u64::MAX, "!~").unwrap();
    assert_eq!(maildrop.len(), 2);
}

macro_rules! owed_nothing {
    ($($name:ident $text:literal $call:expr;)*) => {$(
        #[test]
        #[should_panic(expected = $text)]
        fn $name() {
            let call: fn(&mut Server) = $call;
            call(&mut server(Config::default()));
        }
    )*};
}

owed_nothing! {
    no_login_is_asked "no answer to a login is owed" |s| s.answer_auth(Answer::Deny);
    no_maildrop_is_asked "no maildrop is owed" |s| s.open(Maildrop::new());
    no_piece_is_asked "no message is owed" |s| { let _ = s.message_chunk(Bytes::new()); };
    no_end_is_asked "no message is owed" Server::message_end;
    no_abort_is_asked "no message is owed" Server::message_abort;
    no_update_is_asked "no answer to an update is owed" Server::accept;
    no_rejection_is_asked "no answer is owed" |s| s.reject(Rejection::IN_USE);
    no_tls_is_asked "TLS was not asked for" Server::tls_started;
}

#[allow(clippy::disallowed_methods)] // where simulated clocks start
fn now() -> Instant {
    Instant::now()
}

fn server(config: Config) -> Server {
    server_at(config, now())
}

fn server_at(mut config: Config, now: Instant) -> Server {
    config.allow_plaintext = true;
    Server::new(config, [0; 32], now)
}

fn pending(server: &Server) -> usize {
    let mut slices = [IoSlice::new(&[]); 64];
    let n = server.send_bufs(&mut slices);
    assert!(n < 64);
    slices[..n].iter().map(|s| s.len()).sum()
}

/// Feeds all of `input` and takes all output; returns it and the most that was ever pending. Stops early if
/// `stop` says so when an answer is owed.
fn drive(
    server: &mut Server,
    mut input: &[u8],
    mut on: impl FnMut(&mut Server, Event),
    stop: impl Fn(&Server) -> Option<()>,
) -> (Vec<u8>, usize) {
    let (mut sent, mut most, at) = (vec![], 0, now());
    loop {
        match server.poll(at).expect("a server that does not fail") {
            Step::Event(event) => on(server, event),
            Step::Write => {
                most = most.max(pending(server));
                let data = server.send_buf();
                let n = data.len().min(5000);
                sent.extend_from_slice(&data[..n]);
                server.sent(n);
            }
            Step::Read if !input.is_empty() => {
                let room = server.recv_buf();
                let n = room.len().min(input.len());
                room[..n].copy_from_slice(&input[..n]);
                server.received(n);
                input = &input[n..];
            }
            Step::Answer if stop(server).is_none() => panic!("nobody answers"),
            _ => return (sent, most),
        }
    }
}
