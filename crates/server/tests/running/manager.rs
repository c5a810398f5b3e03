//! The service manager: sockets that it hands over, and what it is told.

use super::hand::{server, started};
use super::program::{ANYWHERE, PATIENCE, Program, Settings, config, greeting};
use super::support::programs::installed;
use mailwright_server::StartError;
use mailwright_server::config::{ListenerConfig, Protocol, TlsMode};
use std::os::unix::net::UnixDatagram;
use std::process::Command;

/// A parent that opens a socket and becomes the server, as systemd does.
const PARENT: &str = "
import os, socket, sys
s = socket.socket()
s.bind(('127.0.0.1', 0))
s.listen(9)
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
me = str(os.getpid())
os.environ.update(LISTEN_FDS='1', LISTEN_FDNAMES='smtp', LISTEN_PID=me)
os.environ.update(WATCHDOG_USEC='200000', WATCHDOG_PID=me)
os.execv(sys.argv[1], sys.argv[1:])
";

/// What the manager hears, one message after the other.
fn heard(manager: &UnixDatagram, words: &str) -> String {
    let mut octets = [0; 500];
    loop {
        let read = manager.recv(&mut octets);
        let read = read.unwrap_or_else(|error| panic!("the manager does not hear {words}: {error}"));
        let text = String::from_utf8_lossy(&octets[..read]).into_owned();
        if text.contains(words) {
            return text;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_handed_over_is_listened_at_and_the_manager_hears_of_it() {
    if !installed("python3") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::new("one.a.test");
    // An address that nobody can take: the socket is known by its name.
    settings.listeners = vec![("smtp", "smtp", "192.0.2.1:25")];
    settings.more = "allow_root = true".to_owned();
    settings.write(folder.path());
    let manager = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = Command::new("python3");
    command.args([
        "-c",
        PARENT,
        env!("CARGO_BIN_EXE_mailwright"),
        "serve",
        "--config",
    ]);
    command.arg(config(folder.path()));
    command.env("NOTIFY_SOCKET", folder.path().join("notify"));
    let mut program = Program::start(&mut command);
    let at = program.address("smtp").await;
    assert!(at.ip().is_loopback());
    assert!(greeting(at).await.starts_with("220 one.a.test "));
    heard(&manager, "READY=1");
    heard(&manager, "WATCHDOG=1");
    heard(&manager, "WATCHDOG=1");
    settings.hostname = "two.a.test";
    settings.write(folder.path());
    program.signal("-HUP");
    assert!(heard(&manager, "RELOADING=1").contains("MONOTONIC_USEC="));
    heard(&manager, "READY=1");
    assert!(
        greeting(at).await.starts_with("220 two.a.test "),
        "the same socket"
    );
    program.signal("-TERM");
    heard(&manager, "STOPPING=1");
    assert!(program.ended().await, "{}", program.log());
}

#[tokio::test]
async fn processes_share_an_address_if_they_are_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = server(folder.path());
    config.control = false;
    let mut listener = ListenerConfig::new(Protocol::Imap, ANYWHERE.parse().unwrap()).with_tls(TlsMode::None);
    listener.reuse_port = true;
    config.listeners = vec![listener.clone().with_name("one")];
    let first = started(config.clone()).await;
    listener.address = first.address("one").unwrap();
    config.listeners = vec![listener.clone().with_name("two")];
    let second = started(config.clone()).await;
    assert_eq!(second.address("two"), first.address("one"));
    listener.reuse_port = false;
    config.listeners = vec![listener];
    let builder =
        mailwright_server::Server::builder(config).store(mailwright_mailbox::MemoryStore::default());
    assert!(matches!(builder.start().await, Err(StartError::Listen { .. })));
    first.shutdown().await;
    second.shutdown().await;
}
