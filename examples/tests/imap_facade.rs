//! `imap_facade` as Python's imaplib sees it.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // a test is where files and programs come in

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Ended with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_folder_of_files_is_mail() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("SKIPPED: python3 is not installed");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let lists = folder.path().join("Lists");
    std::fs::create_dir(&lists).expect("a folder");
    let message = "Subject: from a file\nContent-Type: text/plain\n\nA needle in it.\n";
    std::fs::write(folder.path().join("1.eml"), message).expect("a file");
    std::fs::write(lists.join("a.eml"), message.replace('\n', "\r\n")).expect("a file");
    let facade = Command::new(env!("CARGO_BIN_EXE_imap_facade"))
        .arg(folder.path())
        .args(["--address", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn();
    let mut facade = Running(facade.expect("it runs"));
    let mut said = BufReader::new(facade.0.stdout.take().expect("piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("it says where it listens");
    let port = line.trim().rsplit(':').next().expect("a port");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/imap_facade.py");
    let client = Command::new("python3")
        .arg(script)
        .arg(port)
        .arg(folder.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&client.stdout);
    let complaints = String::from_utf8_lossy(&client.stderr);
    assert!(
        client.status.success() && said.contains("all as expected"),
        "{said}{complaints}"
    );
}
