//! POP3 clients that nobody here wrote, against the real binary: Python's poplib with all its commands, node-pop3,
//! fetchmail, getmail6, mpop, and Mutt in a terminal; and what a kill -9 leaves of a maildrop. curl is in `clients.rs`.
//!
//! A program that is not installed is named and passed over; with `REQUIRE_CLIENTS=1`, as in CI, python3 must be
//! there. node-pop3 is found by `NODE_PATH`.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests over real sockets and real time

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::lines::{Lines, Tls};
use support::process::Process;
use support::programs::{Server, at_hand, installed, knows, run, script, script_of};
use support::terminal::Terminal;

#[tokio::test]
async fn poplib() {
    if !installed("python3") {
        return;
    }
    let server = Server::start().await;
    script(&server, "pop3_all.py");
    server.stop().await;
}

#[tokio::test]
async fn node_pop3() {
    if !at_hand("node") || !knows("node", &["-e", "require('node-pop3')"]) {
        return;
    }
    let server = Server::start().await;
    deliver(&server, 0..4).await;
    script_of(&server, "node", "node_pop3.cjs");
    assert_eq!(left(&server).await, 3);
    server.stop().await;
}

/// Delivers messages to bob, whose bodies begin with a dot.
async fn deliver(server: &Server, numbers: std::ops::Range<usize>) {
    server
        .deliver(numbers, |n| format!("\r\n..dot\r\nnumber {n}"))
        .await;
}

/// A client that knows nothing of our engines, logged in as bob, once nobody else has the maildrop.
async fn bob(process: &Process, folder: &Path) -> Lines {
    let certificate = std::fs::read_to_string(folder.join("mail/tls/self-made.crt")).expect("a certificate");
    let tls = Tls::trusting(&certificate);
    let mut bob = Lines::connect_tls(process.address("pop3s"), &tls, "localhost").await;
    bob.reply("+OK").await;
    bob.say("USER bob@localhost", "+OK").await;
    bob.say("PASS builder", "+OK").await;
    bob
}

/// How many messages there are.
async fn left(server: &Server) -> usize {
    let mut bob = bob(&server.process, server.folder.path()).await;
    let said = bob.say("STAT", "+OK").await;
    bob.say("QUIT", "+OK").await;
    let count = said.split(' ').nth(1).expect("a count");
    count.parse().expect("a number")
}

/// The texts of all files in a folder.
fn texts(folder: &Path) -> Vec<String> {
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(entry.expect("an entry").path()).expect("text")
    };
    std::fs::read_dir(folder).expect("a folder").map(read).collect()
}

/// Which of the messages are in these texts, each of which must be whole.
fn numbers<'a>(texts: impl IntoIterator<Item = &'a str>) -> BTreeSet<usize> {
    let number = |text: &str| {
        let text = text.replace("\r\n", "\n");
        let (_, body) = text
            .split_once("\n\n.dot\nnumber ")
            .unwrap_or_else(|| panic!("{text}"));
        body.trim_end().parse().expect("a number")
    };
    texts.into_iter().map(number).collect()
}

fn maildir(server: &Server) -> PathBuf {
    let maildir = server.folder.path().join("got");
    for sub in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(maildir.join(sub)).expect("a folder");
    }
    maildir
}

#[tokio::test]
async fn fetchmail() {
    if !at_hand("fetchmail") {
        return;
    }
    let server = Server::start().await;
    deliver(&server, 0..5).await;
    let got = maildir(&server);
    for (listener, tls) in [("pop3s", "ssl"), ("pop3", "sslproto TLS1.2+")] {
        server.private_file(
            &format!("fetchmailrc.{listener}"),
            &format!(
                "poll localhost protocol POP3 port {} uidl\n  username \"bob@localhost\" password \"builder\"\n  \
                 {tls} sslcertck sslcertfile \"{}\"\n  no rewrite\n  mda \"sh -c 'cat >{}/$$'\"\n",
                server.port(listener),
                server.certificate().display(),
                got.join("new").display(),
            ),
        );
    }
    let fetch = |listener: &str, more: &[&str]| {
        let config = server.folder.path().join(format!("fetchmailrc.{listener}"));
        server.fetchmail(&config, more)
    };
    let (ok, said) = fetch("pop3s", &["--keep"]);
    assert!(ok, "{said}");
    assert_eq!(texts(&got.join("new")).len(), 5);
    // What was left there is known by its unique id.
    deliver(&server, 5..6).await;
    let (ok, said) = fetch("pop3", &["--keep"]);
    assert!(ok, "{said}");
    let all = texts(&got.join("new"));
    assert_eq!(all.len(), 6, "{said}");
    assert_eq!(numbers(all.iter().map(String::as_str)), (0..6).collect());
    let (ok, said) = fetch("pop3s", &["--all"]);
    assert!(ok, "{said}");
    assert_eq!(left(&server).await, 0);
    let (_, said) = fetch("pop3", &[]);
    assert!(said.contains("No mail"), "{said}");
    server.stop().await;
}

#[tokio::test]
async fn getmail6() {
    if !at_hand("getmail") {
        return;
    }
    let server = Server::start().await;
    deliver(&server, 0..4).await;
    let got = maildir(&server);
    let home = server.folder.path().to_owned();
    let fetch = |delete: bool| {
        let config = server.private_file(
            "getmailrc",
            &format!(
                "[retriever]\ntype = SimplePOP3SSLRetriever\nserver = localhost\nport = {}\n\
                 username = bob@localhost\npassword = builder\nca_certs = {}\n\n\
                 [destination]\ntype = MDA_external\npath = /bin/sh\narguments = (\"-c\", \"cat >{}/$$\")\n\
                 allow_root_commands = true\n\n[options]\nread_all = false\ndelete = {delete}\n",
                server.port("pop3s"),
                server.certificate().display(),
                got.join("new").display(),
            ),
        );
        let mut command = Command::new("getmail");
        command
            .env("HOME", &home)
            .arg("--getmaildir")
            .arg(&home)
            .arg("--rcfile")
            .arg(config);
        let (ok, said) = run(&mut command);
        assert!(ok, "{said}");
    };
    fetch(false);
    deliver(&server, 4..5).await;
    fetch(false);
    let all = texts(&got.join("new"));
    assert_eq!((all.len(), left(&server).await), (5, 5));
    assert_eq!(numbers(all.iter().map(String::as_str)), (0..5).collect());
    fetch(true);
    assert_eq!(left(&server).await, 0);
    server.stop().await;
}

#[tokio::test]
async fn mpop() {
    if !at_hand("mpop") {
        return;
    }
    let server = Server::start().await;
    deliver(&server, 0..4).await;
    let got = maildir(&server);
    let home = server.folder.path().to_owned();
    let fetch = |listener: &str, auth: &str, more: &[&str]| {
        let starttls = if listener == "pop3" { "on" } else { "off" };
        let config = server.private_file(
            "mpoprc",
            &format!(
                "account bob\nhost localhost\nport {}\nuser bob@localhost\npassword builder\nauth {auth}\ntls on\n\
                 tls_starttls {starttls}\ntls_trust_file {}\ndelivery maildir {}\nuidls_file {}\n",
                server.port(listener),
                server.certificate().display(),
                got.display(),
                home.join("uidls").display(),
            ),
        );
        let mut command = Command::new("mpop");
        let (ok, said) = run(command
            .env("HOME", &home)
            .arg("-C")
            .arg(config)
            .args(more)
            .arg("bob"));
        assert!(ok, "{said}");
    };
    fetch("pop3s", "plain", &["--keep=on"]);
    assert_eq!(left(&server).await, 4);
    deliver(&server, 4..5).await;
    fetch("pop3", "user", &["--keep=on"]);
    let all = texts(&got.join("new"));
    assert_eq!((all.len(), left(&server).await), (5, 5));
    assert_eq!(numbers(all.iter().map(String::as_str)), (0..5).collect());
    fetch("pop3", "scram-sha-256", &["--keep=off"]);
    assert_eq!(left(&server).await, 0);
    server.stop().await;
}

#[tokio::test]
async fn mutt_in_a_terminal() {
    if !at_hand("mutt") || !at_hand("tmux") {
        return;
    }
    let server = Server::start().await;
    deliver(&server, 0..4).await;
    // Left to itself, Mutt 2.2 begins SCRAM-SHA-256-PLUS, finds that it cannot bind it to TLS, cancels, and takes the
    // answer to that for the one to its next command.
    let config = server.file(
        "muttrc",
        &format!(
            "set folder=/tmp\nset pop_user=\"bob@localhost\"\nset pop_pass=\"builder\"\nset pop_delete=yes\n\
             set pop_authenticators=\"scram-sha-256\"\n\
             set certificate_file={}\nset ssl_verify_host=yes\nset delete=yes\nset quit=yes\nset move=no\n\
             set sort=mailbox-order\nset wait_key=no\nset sleep_time=0\n",
            server.certificate().display(),
        ),
    );
    let home = server.folder.path().display();
    let port = server.port("pop3s");
    let command = format!(
        "HOME={home} mutt -n -F {} -f pops://localhost:{port}/",
        config.display()
    );
    let terminal = Terminal::run(&server, &command);
    terminal.shows("message 3", true);
    terminal.keys(&["1", "Enter"]);
    terminal.keys(&["Enter"]);
    terminal.shows("number 0", true);
    terminal.keys(&["i"]);
    terminal.shows("message 3", true);
    terminal.keys(&["2", "Enter"]);
    terminal.keys(&["d", "d", "q"]);
    terminal.shows("message 0", false);
    drop(terminal);
    assert_eq!(left(&server).await, 2);
    server.stop().await;
}

/// RFC 1939 §6: deletions are for QUIT; a server that dies in between has deleted nothing.
#[tokio::test]
async fn killed_before_quit() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Server {
        process: Process::start(folder.path(), false).await,
        folder,
    };
    deliver(&server, 0..3).await;
    let mut client = bob(&server.process, server.folder.path()).await;
    let before = client.say("STAT", "+OK 3").await;
    for n in 1..=3 {
        client.say(&format!("DELE {n}"), "+OK").await;
    }
    server.process.kill_9().await;
    server.process = Process::start(server.folder.path(), false).await;
    let mut client = bob(&server.process, server.folder.path()).await;
    assert_eq!(client.say("STAT", "+OK 3").await, before);
    client.say("DELE 2", "+OK").await;
    client.say("QUIT", "+OK 1 messages deleted").await;
    // And what was said to be deleted is.
    server.process.kill_9().await;
    server.process = Process::start(server.folder.path(), false).await;
    assert_eq!(left(&server).await, 2);
    server.stop().await;
}
