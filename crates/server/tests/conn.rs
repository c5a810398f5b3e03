//! The connection driver, over pipes of a few octets, TCP and TLS.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

use mailwright_server::conn::{Conn, ConnError, Turn};
use mailwright_server::{Config, Stream, tls::Tls};
use mailwright_wire::{Machine, RecvBuf, SendBuf, Step};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Says everything it has, listens meanwhile, and is done when it has heard enough.
struct Talker {
    rx: RecvBuf,
    tx: SendBuf,
    heard: Vec<u8>,
    enough: usize,
    /// Closes when it has heard enough, even if it still has something to say.
    hasty: bool,
    deadline: Option<Instant>,
    upgrade: bool,
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum Failure {
    #[error("the deadline is over")]
    Deadline,
    #[error("the peer left")]
    End,
}

impl Talker {
    fn new(says: &[u8], enough: usize) -> Self {
        let mut tx = SendBuf::new();
        tx.put(says);
        Self {
            rx: RecvBuf::new(16),
            tx,
            heard: Vec::new(),
            enough,
            hasty: false,
            deadline: None,
            upgrade: false,
        }
    }
}

impl Machine for Talker {
    type Event = &'static str;
    type Error = Failure;

    fn poll(&mut self, now: Instant) -> Result<Step<&'static str>, Failure> {
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            return Err(Failure::Deadline);
        }
        let n = self.rx.data().len();
        self.heard.extend_from_slice(&self.rx.take(n));
        if self.hasty && self.heard.len() >= self.enough {
            return Ok(Step::Close);
        }
        if !self.tx.is_empty() {
            return Ok(Step::Write);
        }
        if self.heard.len() >= self.enough {
            return Ok(if self.upgrade { Step::StartTls } else { Step::Close });
        }
        if self.rx.is_eof() {
            return Err(Failure::End);
        }
        Ok(Step::Read)
    }
    fn recv_buf(&mut self) -> &mut [u8] {
        self.rx.room()
    }
    fn received(&mut self, n: usize) {
        self.rx.received(n);
    }
    fn send_buf(&self) -> &[u8] {
        self.tx.data()
    }
    fn sent(&mut self, n: usize) {
        self.tx.sent(n);
    }
    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

fn pattern(len: usize, step: usize) -> Vec<u8> {
    (0..len).map(|i| (i * step % 251) as u8).collect()
}

async fn until_close(conn: &mut Conn<Talker>) {
    let turn = timeout(Duration::from_secs(60), conn.next())
        .await
        .expect("it comes to an end");
    assert!(matches!(turn, Ok(Turn::Close)), "{turn:?}");
}

#[tokio::test]
async fn two_talkers_do_not_block_each_other_in_tiny_pipes() {
    for capacity in [1, 2, 7, 1000] {
        let (a, b) = duplex(capacity);
        let (left, right) = (pattern(100_000, 3), pattern(70_000, 7));
        let mut a = Conn::new(Talker::new(&left, right.len()), a);
        let mut b = Conn::new(Talker::new(&right, left.len()), b);
        tokio::join!(until_close(&mut a), until_close(&mut b));
        assert_eq!(a.machine().heard, right);
        assert_eq!(b.machine().heard, left);
        tokio::join!(a.close(), b.close());
    }
}

#[tokio::test]
async fn dropping_the_future_of_next_loses_nothing() {
    let (a, b) = duplex(5);
    let (left, right) = (pattern(3_000, 3), pattern(3_000, 7));
    let mut a = Conn::new(Talker::new(&left, right.len()), a);
    let mut b = Conn::new(Talker::new(&right, left.len()), b);
    let restless = async {
        let mut given_up = 0;
        loop {
            tokio::select! {
                biased;
                turn = a.next() => break assert!(matches!(turn, Ok(Turn::Close)), "{turn:?}"),
                () = tokio::task::yield_now() => given_up += 1,
            }
        }
        assert!(given_up > 100, "the future was dropped {given_up} times only");
    };
    tokio::join!(restless, until_close(&mut b));
    assert_eq!(a.machine().heard, right);
    assert_eq!(b.machine().heard, left);
}

#[tokio::test]
async fn an_end_of_input_is_told_to_the_machine() {
    let (a, b) = duplex(64);
    let mut a = Conn::new(Talker::new(b"", 10), a);
    drop(b);
    assert!(matches!(a.next().await, Err(ConnError::Machine(Failure::End))));
}

#[tokio::test(start_paused = true)]
async fn deadlines_wake_the_machine_even_when_they_move() {
    let (a, mut b) = duplex(64);
    let mut conn = Conn::new(Talker::new(b"", 10), a);
    let start = tokio::time::Instant::now();
    conn.machine().deadline = Some((start + Duration::from_secs(60)).into_std());
    assert!(timeout(Duration::from_secs(30), conn.next()).await.is_err());
    conn.machine().deadline = Some((start + Duration::from_secs(300)).into_std());
    b.write_all(b"x").await.unwrap();
    assert!(timeout(Duration::from_secs(100), conn.next()).await.is_err());
    conn.machine().deadline = Some((start + Duration::from_secs(200)).into_std());
    assert!(matches!(
        conn.next().await,
        Err(ConnError::Machine(Failure::Deadline))
    ));
    assert_eq!(start.elapsed().as_secs(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up() {
    let (a, mut b) = duplex(8);
    let mut conn = Conn::new(Talker::new(&pattern(100, 1), 1), a);
    conn.set_write_timeout(Duration::from_secs(60));
    let start = tokio::time::Instant::now();
    let slow = async {
        tokio::time::sleep(Duration::from_secs(50)).await;
        b.read_exact(&mut [0; 8]).await.unwrap();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        turn = conn.next() => assert!(matches!(turn, Err(ConnError::Stalled)), "{turn:?}"),
        () = slow => {}
    }
    assert_eq!(
        start.elapsed().as_secs(),
        110,
        "the octets taken at 50 s set the clock back"
    );
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_an_octet_now_and_then_is_given_up() {
    let (a, mut b) = duplex(1);
    let mut conn = Conn::new(Talker::new(&pattern(10_000, 1), 1), a);
    conn.set_write_timeout(Duration::from_secs(60));
    conn.set_write_rate(1);
    let start = tokio::time::Instant::now();
    // Never idle for long enough to be stalled; an octet in four seconds is a quarter of what it has to take.
    let slow = async {
        loop {
            tokio::time::sleep(Duration::from_secs(4)).await;
            b.read_exact(&mut [0]).await.unwrap();
        }
    };
    tokio::select! {
        turn = conn.next() => assert!(matches!(turn, Err(ConnError::Stalled)), "{turn:?}"),
        () = slow => {}
    }
    let taken = start.elapsed().as_secs();
    assert_eq!(
        taken, 79,
        "a minute, and a second for each octet it has taken since"
    );
}

#[tokio::test]
async fn a_farewell_is_not_lost_to_unread_input() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    client.write_all(&pattern(100_000, 1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut machine = Talker::new(b"421 goodbye\r\n", 1);
    machine.hasty = true;
    let mut conn = Conn::new(machine, accepted);
    until_close(&mut conn).await;
    let reading = async {
        let mut heard = Vec::new();
        let read = client.read_to_end(&mut heard).await;
        drop(client);
        (read.map_err(|error| error.kind()), heard)
    };
    let ((), (read, heard)) = tokio::join!(conn.close(), reading);
    assert_eq!((read, heard.as_slice()), (Ok(13), &b"421 goodbye\r\n"[..]));
}

#[tokio::test]
async fn tls_starts_on_both_sides_and_plaintext_does_not_get_in() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::new("mail.test".parse().unwrap(), folder.path());
    let tls = Tls::load(&config).unwrap();
    let server_config = {
        let listener = "127.0.0.1:0".parse().unwrap();
        tls.of_listener(&mailwright_server::config::ListenerConfig::new(
            mailwright_server::config::Protocol::Smtp,
            listener,
        ))
    };
    // Room for the session tickets, which the server sends when the client is done with its handshake.
    let (a, b) = duplex(2048);
    let upgrading = |says: &'static [u8], enough| {
        let mut machine = Talker::new(says, enough);
        machine.upgrade = true;
        machine
    };
    let mut server = Conn::new(upgrading(b"220 go\r\n", 10), a);
    let mut client = Conn::new(upgrading(b"STARTTLS\r\n", 8), b);
    let turns = tokio::join!(server.next(), client.next());
    assert!(
        matches!(turns, (Ok(Turn::StartTls), Ok(Turn::StartTls))),
        "{turns:?}"
    );
    assert!(!server.stream().is_tls() && server.stream().tls_description().is_none());
    let name = "mail.test".to_owned().try_into().unwrap();
    let (server, client) = tokio::join!(
        server.accept_tls(server_config),
        client.connect_tls(tls.opportunistic(), name)
    );
    let (mut server, mut client) = (server.unwrap(), client.unwrap());
    assert!(server.stream().tls_description().unwrap().starts_with("TLS1.3 "));
    let (left, right) = (pattern(50_000, 3), pattern(50_000, 7));
    *server.machine() = Talker::new(&left, right.len());
    *client.machine() = Talker::new(&right, left.len());
    tokio::join!(until_close(&mut server), until_close(&mut client));
    assert_eq!(server.machine().heard, right);
    assert_eq!(client.machine().heard, left);
    tokio::join!(server.close(), client.close());
}

#[tokio::test]
async fn verified_tls_refuses_an_unknown_certificate_and_takes_a_configured_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new("mail.test".parse().unwrap(), folder.path());
    let suspicious = Tls::load(&config).unwrap();
    config.outbound.ca = Some(folder.path().join("tls/self-made.crt"));
    let trusting = Tls::load(&config).unwrap();
    for (tls, trusted) in [(&suspicious, false), (&trusting, true)] {
        let (a, b) = duplex(4096);
        let address = "127.0.0.1:0".parse().unwrap();
        let listener = mailwright_server::config::ListenerConfig::new(
            mailwright_server::config::Protocol::Imap,
            address,
        );
        let limit = Duration::from_secs(10);
        let (_, client) = tokio::join!(
            Stream::from(a).accept_tls(tls.of_listener(&listener), limit),
            Stream::from(b).connect_tls(tls.verified(), "mail.test".to_owned().try_into().unwrap(), limit),
        );
        assert_eq!(client.is_ok(), trusted, "{client:?}");
    }
}
