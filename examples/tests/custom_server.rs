//! The server with a store of its own: mail over SMTP, read over IMAP and POP3, archived in files, there after a kill.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests over real sockets and files

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

struct Running(Child, HashMap<String, String>);

impl Running {
    fn start(archive: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_custom_server"))
            .args([
                "--domain",
                "a.test",
                "--account",
                "alice:secret",
                "--account",
                "bob:hidden",
            ])
            .args([
                "--smtp",
                "127.0.0.1:0",
                "--imap",
                "127.0.0.1:0",
                "--pop3",
                "127.0.0.1:0",
            ])
            .args(["--large", "1000"])
            .arg(archive)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let lines = output.lines().map(|line| line.expect("UTF-8"));
        let addresses = lines.take_while(|line| line != "ready").filter_map(|line| {
            let (name, address) = line.split_once(' ')?;
            Some((name.to_owned(), address.to_owned()))
        });
        let addresses = addresses.collect();
        Self(child, addresses)
    }

    /// Sends all of `input`, which ends the session; all that comes back.
    fn dialogue(&self, service: &str, input: &str) -> String {
        let mut stream = TcpStream::connect(&self.1[service]).expect("it listens");
        let limit = Some(Duration::from_secs(60));
        stream.set_read_timeout(limit).expect("a limit");
        stream.write_all(input.as_bytes()).expect("it reads");
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("UTF-8");
        said
    }

    fn send(&self, to: &[&str], message: &str) {
        let recipients: String = to.iter().map(|to| format!("RCPT TO:<{to}>\r\n")).collect();
        let said = self.dialogue(
            "smtp",
            &format!("EHLO c.test\r\nMAIL FROM:<c@c.test>\r\n{recipients}DATA\r\n{message}\r\n.\r\nQUIT\r\n"),
        );
        assert!(said.contains("\n354 ") && said.contains("\n221 "), "{said}");
        assert!(!said.contains("\n4") && !said.contains("\n5"), "{said}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SIGKILL: what is on disk is all that remains.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn files(folder: &Path) -> Vec<String> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let read = |path| std::fs::read_to_string(path).expect("text");
    paths.into_iter().map(read).collect()
}

#[test]
fn every_message_is_a_file_and_is_there_again_after_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let archive = folder.path().join("archive");
    let server = Running::start(&archive);
    server.send(&["alice@a.test", "bob@a.test"], "Subject: one\r\n\r\nHello");
    server.send(
        &["alice@a.test"],
        &format!("Subject: two\r\n\r\n{}", "x".repeat(2000)),
    );
    let said = server.dialogue(
        "smtp",
        "EHLO c.test\r\nMAIL FROM:<>\r\nRCPT TO:<carol@a.test>\r\nQUIT\r\n",
    );
    assert!(said.contains("\n550 5.1.1 "), "{said}");

    let of_alice = files(&archive.join("alice@a.test"));
    assert_eq!(of_alice.len(), 2);
    assert!(of_alice[0].ends_with("Subject: one\r\n\r\nHello\r\n") && !of_alice[0].contains("X-Large"));
    assert!(
        of_alice[1].contains("\r\nX-Large: ") || of_alice[1].starts_with("X-Large: "),
        "{}",
        of_alice[1]
    );
    assert_eq!(files(&archive.join("bob@a.test")).len(), 1);

    // Deleted in the mail program, and still in the archive.
    let delete = "a LOGIN alice@a.test secret\r\nb SELECT INBOX\r\nc STORE 1 +FLAGS (\\Deleted)\r\nd EXPUNGE\r\ne LOGOUT\r\n";
    let said = server.dialogue("imap", delete);
    assert!(
        said.contains("* 2 EXISTS") && said.contains("* 1 EXPUNGE"),
        "{said}"
    );
    assert_eq!(files(&archive.join("alice@a.test")).len(), 2);

    drop(server);
    let server = Running::start(&archive);
    let said = server.dialogue("pop3", "USER bob@a.test\r\nPASS hidden\r\nRETR 1\r\nQUIT\r\n");
    assert!(said.contains("Subject: one\r\n\r\nHello\r\n.\r\n"), "{said}");
    // Numbers of files go on.
    server.send(&["alice@a.test"], "Subject: three\r\n\r\n");
    let read = "a LOGIN alice@a.test secret\r\nb SELECT INBOX\r\nc FETCH 1:* BODY[HEADER.FIELDS (SUBJECT)]\r\ne LOGOUT\r\n";
    let said = server.dialogue("imap", read);
    let places: Vec<_> = ["one", "two", "three"]
        .map(|subject| said.find(&format!("Subject: {subject}")).expect(subject))
        .into();
    assert!(said.contains("* 3 EXISTS") && places.is_sorted(), "{said}");
    assert_eq!(files(&archive.join("alice@a.test")).len(), 3);
}
