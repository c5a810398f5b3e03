//! `inspect` on small samples: its JSON to the octet, its parts, its words for a person, its errors.
#![allow(clippy::disallowed_types)] // writes the samples to files

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// A message with a text in Latin-1, a picture, and a forwarded message that is a multipart.
const TREE: &str = "\
From: =?iso-8859-1?q?J=FCrgen?= <juergen@a.test>
To: Friends: bob@b.test, \"Public, Q.\" <q@b.test>;, \"a b\"@c.test
Cc: undisclosed-recipients:;
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= \"all\"
Date: Fri, 21 Nov 97 09:55:06 -0600
Message-ID: <1 @ a.test>
References: <-1@a.test> <0@a.test>
Content-Type: multipart/mixed; boundary=b

preamble
--b
Content-Type: TEXT/Plain; charset=ISO-8859-1
Content-Transfer-Encoding: Quoted-Printable

Gr=FC=DFe,=20
wrapped =
line
--b
Content-Type: image/png; name=\"old.png\"
Content-Disposition: attachment;
 filename*=utf-8''%E2%82%AC.png
Content-Transfer-Encoding: base64

iVBORw0K
Ggo=
--b
Content-Type: message/rfc822

Subject: inner
Content-Type: multipart/alternative; boundary=c

--c

plain
--c
Content-Type: text/html

<p>html
--c--
--b
Content-Type: message/rfc822

Subject: bare

text
--b--trail
";

fn crlf(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

/// Runs `inspect` with a message as its standard input.
fn inspect(arguments: &[&str], message: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_inspect"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    // It may end before it reads.
    let _ = child.stdin.take().expect("piped").write_all(message);
    child.wait_with_output().expect("it ends")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

#[test]
fn json_of_a_tree() {
    let wanted: String = include_str!("inspect.json").lines().map(str::trim).collect();
    let output = inspect(&["--json", "-"], &crlf(TREE));
    assert_eq!(stdout(&output), wanted + "\n");
}

#[test]
fn json_of_no_message_at_all() {
    let wanted = concat!(
        r#"{"parts":[{"path":"","header":[0,0],"body":[0,0],"content_type":"text/plain","charset":null,"#,
        r#""encoding":"7bit","lines":0,"octets":0,"decoded_sha256":""#,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        r#"","text":"","filename":null}],"headers":{"from":[],"to":[],"cc":[],"subject":null,"date":null,"#,
        r#""message_id":null,"references":[]},"preview":"","defects":[{"kind":"UnendedHeader","offset":0}]}"#,
        "\n"
    );
    assert_eq!(stdout(&inspect(&["--json", "-"], b"")), wanted);
}

#[test]
fn json_of_any_octets() {
    let message = b"Subject: a\0\x01\"\\\xff\nDate: never\n\n\0\x1b\xe9\r\n\xe2\x80\xa8";
    let output = stdout(&inspect(&["--json", "-"], message));
    // U+2028 ends no line in JSON, and the message is read as it is: in UTF-8 where that is what it is.
    assert_eq!(output.matches('\n').count(), 1);
    let json: serde_json::Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!(json["headers"]["subject"], "a\u{1}\"\\ÿ");
    assert_eq!(json["headers"]["date"], serde_json::Value::Null);
    assert_eq!(json["parts"][0]["text"], "\0\u{1b}é\r\nâ€¨");
}

#[test]
fn several_files_have_a_line_each_in_their_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("one.eml");
    std::fs::write(&path, "Subject: one\n\n1").expect("a file");
    let path = path.to_str().expect("UTF-8");
    let folder = folder.path().to_str().expect("UTF-8");
    let output = inspect(
        &["--json", path, "/no/such/file", folder, "-"],
        b"Subject: two\n\n2",
    );
    let lines = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    let lines: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let subjects: Vec<_> = lines
        .iter()
        .map(|line| line["headers"]["subject"].as_str())
        .collect();
    assert_eq!(subjects, [Some("one"), None, None, Some("two")]);
    assert!(lines[1].is_null() && lines[2].is_null());
    let complaints = stderr(&output);
    assert!(
        complaints.contains("inspect: /no/such/file: No such file"),
        "{complaints}"
    );
    assert!(
        complaints.contains("it is a folder; name the files in it"),
        "{complaints}"
    );
}

#[test]
fn parts_by_their_numbers() {
    let message = crlf(TREE);
    let bare = b"Content-Transfer-Encoding: base64\n\naGk=\n";
    let nested = b"Content-Type: message/rfc822\n\nSubject: in\n\ntext";
    for (arguments, message, wanted) in [
        (
            &["--part", "1"][..],
            &message[..],
            &b"Gr\xfc\xdfe, \r\nwrapped line"[..],
        ),
        (
            &["--part", "1", "--raw"],
            &message,
            b"Gr=FC=DFe,=20\r\nwrapped =\r\nline",
        ),
        (&["--part", "2"], &message, b"\x89PNG\r\n\x1a\n"),
        (&["--part", "3.1"], &message, b"plain"),
        (&["--part", "4.1"], &message, b"text"),
        (&["--part", "4.HEADER"], &message, b"Subject: bare\r\n\r\n"),
        (&["--part", "4.text"], &message, b"text"),
        (&["--part", "4.1.MIME"], &message, b"Subject: bare\r\n\r\n"),
        (
            &["--part", "3.2.mime"],
            &message,
            b"Content-Type: text/html\r\n\r\n",
        ),
        (&["--part", ""], bare, b"hi"),
        (&["--part", "1"], bare, b"hi"),
        (&["--part", "TEXT"], bare, b"hi"),
        (&["--part", "1", "--raw"], bare, b"aGk=\n"),
        (
            &["--part", "HEADER"],
            bare,
            b"Content-Transfer-Encoding: base64\n\n",
        ),
        (&["--part", "1.1"], nested, b"text"),
        (&["--part", "1"], nested, b"Subject: in\n\ntext"),
    ] {
        let output = inspect(&[arguments, &["-"]].concat(), message);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(
            output.stdout.escape_ascii().to_string(),
            wanted.escape_ascii().to_string(),
            "{arguments:?}"
        );
    }
    for (number, message, complaint) in [
        (
            "5",
            &message[..],
            "there is no such part; there are 1, 2, 3, 3.1, 3.2, 4, 4.1",
        ),
        ("1.TEXT", &message, "there is no such part"),
        ("2", bare, "its body is part 1"),
    ] {
        let output = inspect(&["--part", number, "-"], message);
        assert!(stderr(&output).contains(complaint), "{output:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn the_command_line_is_checked() {
    for arguments in [
        &[][..],
        &["--part", "1.", "-"],
        &["--part", "0", "-"],
        &["--part", ".1", "-"],
        &["--part", "MIME", "-"],
        &["--part", "4294967296", "-"],
        &["--raw", "-"],
        &["--json", "--part", "1", "-"],
    ] {
        let output = inspect(arguments, b"");
        assert_eq!(output.status.code(), Some(2), "{arguments:?} {output:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

#[test]
fn words_for_a_person() {
    let shown = stdout(&inspect(&["-"], &crlf(TREE)));
    let wanted = "\
standard input: 877 octets, 9 parts, 1 defect

Header
  From                       Jürgen <juergen@a.test>
  To                         Friends: bob@b.test, \"Public, Q.\" <q@b.test>;, \"a b\"@c.test
  Cc                         undisclosed-recipients: ;
  Subject                    Grüße \"all\"
  Date                       Fri, 21 Nov 1997 09:55:06 -0600
  Message-ID                 <1@a.test>
  References                 <-1@a.test> <0@a.test>
  Content-Type               multipart/mixed; boundary=b

Parts
       multipart/mixed  7bit, 544 octets
  1    ├─ text/plain  quoted-printable, iso-8859-1, 3 lines, 30 octets
  2    ├─ image/png  \"€.png\"  base64, 2 lines, 14 octets
  3    ├─ message/rfc822  7bit, 127 octets
       │  └─ multipart/alternative  7bit, 60 octets
  3.1  │     ├─ text/plain  7bit, 1 line, 5 octets
  3.2  │     └─ text/html  7bit, 1 line, 7 octets
  4    └─ message/rfc822  7bit, 21 octets
  4.1     └─ text/plain  7bit, 1 line, 4 octets

Preview
  Grüße, wrapped line

Defects
  at octet 865        delimiter trail
";
    assert_eq!(shown, wanted);
}

/// Nothing in a message reaches the terminal as it is: no escape sequence, no change of the direction of writing.
#[test]
fn a_message_cannot_drive_the_terminal() {
    let message = "Subject: \u{1b}]0;title\u{7}\nFrom: \u{202e}x\u{9b}2J <a@b>\n\u{1b}[31mbad: line\n\n\u{1b}[2Jtext\u{8}\n";
    let shown = stdout(&inspect(&["-"], message.as_bytes()));
    assert!(shown.contains("]0;title") && shown.contains("[2Jtext"), "{shown}");
    assert!(
        !shown
            .chars()
            .any(|c| c != '\n' && (c.is_control() || c == '\u{202e}')),
        "{shown:?}"
    );
}
