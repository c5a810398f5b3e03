//! Starting, limiting and stopping a whole server.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

use mailwright_mailbox::MemoryStore;
use mailwright_server::config::{ListenerConfig, Protocol, TlsMode};
use mailwright_server::{Config, Running, Server, StartError};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

fn config(folder: &Path) -> Config {
    let mut config = Config::new("mail.a.test".parse().unwrap(), folder);
    config.domains = vec!["a.test".parse().unwrap()];
    for protocol in [Protocol::Smtp, Protocol::Imap, Protocol::Pop3] {
        config
            .listeners
            .push(ListenerConfig::new(protocol, "127.0.0.1:0".parse().unwrap()));
    }
    config
}

async fn started(config: Config) -> Running<MemoryStore> {
    Server::builder(config)
        .store(MemoryStore::default())
        .start()
        .await
        .unwrap()
}

async fn greeting(address: SocketAddr) -> (String, BufReader<TcpStream>) {
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    let mut line = String::new();
    timeout(Duration::from_secs(10), stream.read_line(&mut line))
        .await
        .expect("a greeting")
        .unwrap();
    (line, stream)
}

#[tokio::test]
async fn each_protocol_greets_and_says_goodbye_at_shutdown() {
    let folder = tempfile::tempdir().unwrap();
    let running = started(config(folder.path())).await;
    let mut streams = Vec::new();
    for (name, hello) in [("smtp", "220 mail.a.test "), ("imap", "* OK "), ("pop3", "+OK ")] {
        let (line, stream) = greeting(running.address(name).unwrap()).await;
        assert!(line.starts_with(hello), "{line}");
        streams.push(stream);
    }
    let smtp = running.address("smtp").unwrap();
    let begun = Instant::now();
    let stopping = tokio::spawn(running.shutdown());
    for (mut stream, goodbye) in streams.into_iter().zip(["421 ", "* BYE ", ""]) {
        let mut rest = String::new();
        timeout(Duration::from_secs(10), stream.read_to_string(&mut rest))
            .await
            .expect("an end")
            .unwrap();
        assert!(rest.starts_with(goodbye), "{rest:?}");
    }
    stopping.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(TcpStream::connect(smtp).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_handshake_that_does_not_come_does_not_hold_up_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    let listener = ListenerConfig::new(Protocol::Imap, "127.0.0.1:0".parse().unwrap());
    config
        .listeners
        .push(listener.with_tls(TlsMode::Implicit).with_name("imaps"));
    let running = started(config).await;
    let mut silent = TcpStream::connect(running.address("imaps").unwrap())
        .await
        .unwrap();
    // The server has taken the connection when it serves another one that came later.
    greeting(running.address("imap").unwrap()).await;
    let begun = Instant::now();
    running.shutdown().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(silent.read(&mut [0; 10]).await.unwrap(), 0);
}

#[tokio::test]
async fn connections_above_the_limit_are_turned_away_in_the_words_of_the_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.limits.connections = 2;
    let running = started(config).await;
    let [smtp, imap, pop3] = ["smtp", "imap", "pop3"].map(|name| running.address(name).unwrap());
    let first = greeting(smtp).await;
    let second = greeting(imap).await;
    assert!(first.0.starts_with("220 ") && second.0.starts_with("* OK "));
    assert!(greeting(smtp).await.0.starts_with("421 4.7.0 "));
    assert!(greeting(imap).await.0.starts_with("* BYE "));
    assert!(greeting(pop3).await.0.starts_with("-ERR "));
    drop(first);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !greeting(smtp).await.0.starts_with("220 ") {
        assert!(Instant::now() < deadline, "the place is not given back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(second);
    running.shutdown().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let mut config = config(folder.path());
    config
        .listeners
        .push(ListenerConfig::new(Protocol::Imap, address));
    let error = Server::builder(config)
        .store(MemoryStore::default())
        .start()
        .await
        .unwrap_err();
    assert!(matches!(error, StartError::Listen { .. }));
    let told = error.to_string();
    assert!(
        told.contains(&format!("cannot listen at {address} (imap-{})", address.port())),
        "{told}"
    );
    assert!(
        told.contains("Another program has this port") && told.contains("--port-offset"),
        "{told}"
    );
}
