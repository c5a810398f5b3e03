//! `edit` on a small sample: what it changes, what it leaves, and what it says when it cannot.
#![allow(clippy::disallowed_types)] // writes the samples to files

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

const MESSAGE: &str = "From me Mon\nSUBJECT : old\nX-A: 1\nX-A: 2\nContent-Type: multipart/mixed; boundary=x\n\n\
    --x\n\ntext  \n--x\nContent-Type: image/png; name=p.png\nContent-Disposition: attachment\n\npixels\n--x--\nend\n";

fn edit(arguments: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_edit"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    // One that fails at once does not read.
    let _ = child.stdin.take().expect("piped").write_all(MESSAGE.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn stdout(arguments: &[&str]) -> String {
    let output = edit(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn nothing_changes_unasked() {
    assert_eq!(stdout(&[]), MESSAGE);
    assert_eq!(stdout(&["-"]), MESSAGE);
}

#[test]
fn fields_change() {
    let set = stdout(&[
        "--set",
        "Subject=Gr\u{fc}\u{df}e",
        "--add",
        "X-B=b",
        "--remove",
        "x-a",
    ]);
    let want = MESSAGE
        .replace("SUBJECT : old", "Subject: =?utf-8?B?R3LDvMOfZQ==?=")
        .replace("X-A: 1\nX-A: 2\n", "")
        .replace("boundary=x\n", "boundary=x\nX-B: b\n");
    assert_eq!(set, want);
}

#[test]
fn attachments_are_stripped() {
    let bare = stdout(&["--strip-attachments", "--no-note"]);
    let at = MESSAGE.find("--x\nContent-Type: image").expect("it is there");
    assert_eq!(bare, format!("{}--x--\nend\n", &MESSAGE[..at]));
    assert_eq!(stdout(&["--strip", "2", "--no-note"]), bare);
    let noted = stdout(&["--strip", "2"]);
    let note = "Content-Type: text/plain; charset=us-ascii\nContent-Disposition: inline\n\n\
        An attachment \"p.png\" of type image/png with 6 octets was here. It was removed.\n";
    assert_eq!(noted, format!("{}--x\n{note}\n--x--\nend\n", &MESSAGE[..at]));
}

#[test]
fn parts_are_listed() {
    let listed = stdout(&["--list"]);
    let lines: Vec<Vec<&str>> = listed
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines,
        [
            vec!["1", "text/plain", "6", "octets"],
            vec!["2", "image/png", "6", "octets", "p.png"]
        ]
    );
}

#[test]
fn files_are_read_and_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    std::fs::write(path("in"), MESSAGE).expect("it is writable");
    assert_eq!(stdout(&["--remove", "X-A", "-o", &path("out"), &path("in")]), "");
    let written = std::fs::read_to_string(path("out")).expect("it was written");
    assert_eq!(written, MESSAGE.replace("X-A: 1\nX-A: 2\n", ""));
    for (arguments, says) in [
        (
            vec!["-o", &path("in"), &path("in")],
            "the output is the file that is read",
        ),
        (vec![&path("missing")], "missing: "),
        (
            vec!["--set", "Bad Name=x"],
            "--set Bad Name: no name for a header field",
        ),
        (vec!["--set", "X=a\nb"], "--set X: the value of X holds a control"),
        (vec!["--strip", "9"], "there is no part 9: see --list"),
        (
            vec!["--strip", "1", "--strip", "2", "--no-note"],
            "leave out --no-note",
        ),
        (
            vec!["--set", "X-A=3", "--remove", "X-A"],
            "two options change the same",
        ),
    ] {
        let output = edit(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(says), "{says}: {said}");
    }
    assert_eq!(std::fs::read_to_string(path("in")).expect("still there"), MESSAGE);
    assert_eq!(edit(&["--set", "no value"]).status.code(), Some(2));
    assert_eq!(edit(&["--strip", "0"]).status.code(), Some(2));
    let help = stdout(&["--help"]);
    assert!(
        help.contains("--strip-attachments") && help.contains("Exit status"),
        "{help}"
    );
}
