//! Every example runs and does what it says.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // talks to the examples over sockets

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn back_to_back() {
    let output = Command::new(env!("CARGO_BIN_EXE_back_to_back"))
        .output()
        .expect("it runs");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{said}");
    for line in [
        "S: 220 ",
        "C: EHLO laptop.example",
        "C: .One dot at the start of a line.",
        "[Delivered(",
        "S: 221 ",
    ] {
        assert!(said.contains(line), "{line:?} is missing:\n{said}");
    }
}

#[test]
fn smtp_sink() {
    let mut sink = Command::new(env!("CARGO_BIN_EXE_smtp_sink"))
        .arg("127.0.0.1:0")
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(sink.stdout.take().expect("piped"))
        .lines()
        .map(|l| l.expect("UTF-8"));
    let address = lines
        .next()
        .expect("it says where")
        .split_off("listening at ".len());
    let mut client = TcpStream::connect(address).expect("it listens");
    let session = b"EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nRCPT TO:<b@d.example>\r\nDATA\r\n";
    client.write_all(session).expect("it reads");
    client
        .write_all(b"Subject: sunk\r\n\r\n..dot\r\n.\r\nQUIT\r\n")
        .expect("it reads");
    let mut replies = String::new();
    client.read_to_string(&mut replies).expect("it closes");
    assert!(replies.contains("\r\n221 "), "{replies}");
    let printed: Vec<_> = lines.take(6).collect();
    sink.kill().expect("it runs until it is stopped");
    sink.wait().expect("it ends");
    assert_eq!(
        printed[..3],
        ["from <a@c.example>", "to <b@d.example>", "23 octets:"],
        "{printed:?}"
    );
    assert_eq!(printed[3..], ["Subject: sunk", "", ".dot"]);
}

/// The programs of this crate.
fn programs() -> Vec<String> {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin")).expect("it is there");
    let names = folder.map(|entry| entry.expect("it can be read").path());
    let mut names: Vec<_> = names
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.len() > 15, "{names:?}");
    names
}

#[test]
fn every_example_is_told_of_and_tried() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = std::fs::read_to_string(root.join("src/lib.rs")).expect("UTF-8");
    let tests = std::fs::read_dir(root.join("tests")).expect("it is there");
    let tests = tests.map(|entry| entry.expect("it can be read").path());
    let tests: String = tests
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .map(|path| std::fs::read_to_string(path).expect("UTF-8"))
        .collect();
    for name in programs() {
        assert!(
            list.contains(&format!("| `{name}` |")),
            "{name} is not in the table of src/lib.rs"
        );
        assert!(
            tests.contains(&format!("CARGO_BIN_EXE_{name}\"")),
            "no test runs {name}"
        );
        let file = root.join(format!("src/bin/{name}.rs"));
        let source = std::fs::read_to_string(file)
            .or_else(|_| std::fs::read_to_string(root.join(format!("src/bin/{name}/main.rs"))))
            .expect("its source");
        let page: String = source.lines().take_while(|l| l.starts_with("//!")).collect();
        assert!(
            page.contains(&format!("--bin {name}")),
            "{name} does not say how to run it"
        );
    }
}

#[test]
fn every_example_helps() {
    let own = Path::new(env!("CARGO_BIN_EXE_back_to_back"));
    for name in programs() {
        let output = Command::new(own.with_file_name(&name))
            .arg("--help")
            .output()
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let help = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && help.contains(&format!("Usage: {name}")),
            "{name} --help: {help}"
        );
    }
}
