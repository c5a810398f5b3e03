//! What other programs read in built messages: Python's email package.
//!
//! Without python3 the test says so and passes; with `REQUIRE_CLIENTS=1`, as in CI, that is a failure.
#![allow(clippy::disallowed_methods)] // asks the environment what is required

use std::io::Write as _;
use std::process::{Command, Stdio};

use mailwright_message::build::disposition::Receipt;
use mailwright_message::build::{Address, Message, MessageBuilder, Part};
use mailwright_message::date::DateTime;
use mailwright_message::dsn::{Action, Notification, Recipient, Report, Returned, Status, Typed};
use mailwright_message::report::{Disposition, DispositionKind};
use serde_json::{Value, json};

const DATE: DateTime = DateTime::new(880_106_106, -360);

fn builder() -> MessageBuilder<'static> {
    Message::builder().from(("Alice", "alice@a.test"))
}

/// Messages, and what a reader must find in them. No name needs two encoded words: Python 3.11 keeps the space between
/// them in a phrase, against RFC 2047 §6.2.
fn samples() -> Vec<(Vec<u8>, Value)> {
    let built = built_samples().into_iter();
    let octets = |message: Message<'static>| message.to_vec().expect("no streams");
    let mut samples: Vec<_> = built.map(|(message, want)| (octets(message), want)).collect();
    samples.push((
        notice(false),
        json!({"subject": "Your message could not be delivered", "to": [["", "bob@b.test"]]}),
    ));
    samples.push((
        notice(true),
        json!({"subject": "Your message could not be delivered", "to": [["", "bob@b.test"]]}),
    ));
    samples
}

/// A delivery status notification, in the form of RFC 3464 or of RFC 6533.
fn notice(utf8: bool) -> Vec<u8> {
    let mut report = Report::new(Typed::dns("mx.a.test"));
    let nobody = Typed::address("j\u{fc}rgen@b.test");
    let mut nobody = Recipient::new(nobody, Action::Failed, Status::NO_SUCH_MAILBOX);
    nobody.diagnostic = Some(Typed::smtp("550 5.1.1 caf\u{e9}"));
    report.recipients.push(nobody);
    let mut notice = Notification::new(report, "mailer-daemon@a.test", "bob@b.test", DATE);
    notice.returned = Returned::Header("Subject: Hello\r\n".into());
    notice.utf8 = utf8;
    notice.build([9; 16]).concat()
}

fn built_samples() -> Vec<(Message<'static>, Value)> {
    let build = |builder: MessageBuilder<'static>| builder.build(DATE, [9; 32]).expect("it can be built");
    let text = |body: &str| json!({"type": "text/plain", "filename": null, "body": body});
    let long = "A subject that is long enough to be folded, with caf\u{e9}s and \u{65e5}\u{672c}\u{8a9e} in it, more than once";
    vec![
        (
            build(builder().to("bob@b.test").subject("Hello").text("Hi\n")),
            json!({"subject": "Hello", "to": [["", "bob@b.test"]], "parts": [text("Hi\n")]}),
        ),
        (
            build(
                builder()
                    .to(vec![
                        Address::named("J\u{fc}rgen M\u{fc}ller", "j@b.test"),
                        Address::named("Q. Public, \"Jr\"", "q@b.test"),
                        Address::named(
                            "\u{65e5}\u{672c}\u{8a9e} ".repeat(4).trim().to_owned(),
                            "long@b.test",
                        ),
                    ])
                    .subject(long)
                    .text("caf\u{e9} au lait =\n"),
            ),
            json!({
                "subject": long,
                "to": [["J\u{fc}rgen M\u{fc}ller", "j@b.test"], ["Q. Public, \"Jr\"", "q@b.test"],
                    ["\u{65e5}\u{672c}\u{8a9e} ".repeat(4).trim(), "long@b.test"]],
                "parts": [text("caf\u{e9} au lait =\n")]
            }),
        ),
        (
            build(
                builder()
                    .to(Address::group("Friends", ["c@c.test", "d@d.test"]))
                    .text("x\n"),
            ),
            json!({"to": [["", "c@c.test"], ["", "d@d.test"]], "groups": ["Friends"], "parts": [text("x\n")]}),
        ),
        (
            build(
                builder()
                    .to("bob@b.test")
                    .text("plain\n")
                    .html("<p>rich\n")
                    .attach(Part::attachment(
                        "\u{20ac} ".repeat(30) + ".bin",
                        "application/x",
                        vec![0, 255, 13, 10],
                    ))
                    .attach(
                        Part::attachment("a \"b\".txt", "text/plain", "\u{e9}\r\n")
                            .parameter("charset", "utf-8"),
                    ),
            ),
            json!({"parts": [
                {"type": "multipart/mixed", "filename": null, "body": null},
                {"type": "multipart/alternative", "filename": null, "body": null},
                text("plain\n"),
                {"type": "text/html", "filename": null, "body": "<p>rich\n"},
                {"type": "application/x", "filename": "\u{20ac} ".repeat(30) + ".bin", "body": "00ff0d0a"},
                {"type": "text/plain", "filename": "a \"b\".txt", "body": "\u{e9}\n"},
            ]}),
        ),
        (
            build(
                builder()
                    .to("bob@b.test")
                    .body(Part::digest([Part::message("Subject: in\n\nbody\n")])),
            ),
            json!({"parts": [
                {"type": "multipart/digest", "filename": null, "body": null},
                {"type": "message/rfc822", "filename": null, "body": null},
                text("body\n"),
            ]}),
        ),
        (
            Receipt::new(Disposition::new(
                Typed::address("alice@a.test"),
                DispositionKind::Displayed,
            ))
            .about(b"Message-ID: <1@b.test>\r\n\r\n")
            .build("alice@a.test", vec!["bob@b.test".into()], DATE, [9; 32])
            .expect("it can be built"),
            json!({"subject": "Your message was displayed", "to": [["", "bob@b.test"]]}),
        ),
    ]
}

#[test]
fn python_reads_what_was_meant() {
    let found = Command::new("python3").arg("--version").output();
    if !found.is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: python3 is not installed");
        assert!(
            std::env::var_os("REQUIRE_CLIENTS").is_none(),
            "python3 is required"
        );
        return;
    }
    let mut python = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers/read.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let samples = samples();
    let mut input = Vec::new();
    for (octets, _) in &samples {
        input.extend_from_slice(format!("{}\n", octets.len()).as_bytes());
        input.extend_from_slice(octets);
    }
    python
        .stdin
        .take()
        .expect("piped")
        .write_all(&input)
        .expect("it reads");
    let output = python.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).expect("JSON");
    assert_eq!(said.lines().count(), samples.len());
    for (line, (octets, want)) in said.lines().zip(&samples) {
        let read: Value = serde_json::from_str(line).expect("JSON");
        let octets = String::from_utf8_lossy(octets);
        for (name, want) in want.as_object().expect("an object") {
            assert_eq!(&read[name], want, "{name} of\n{octets}");
        }
        assert_eq!(read["defects"], json!([]), "{octets}");
        assert_eq!(read["header_defects"], json!([]), "{octets}");
    }
}
