//! Written conversations with filters, cut in every way.

mod common;

use common::{Clamd, Milter, Spamd, packets};
use mailwright_filter::clamd::Command::{Ping, Scan, Version};
use mailwright_filter::{milter, spamd};
use mailwright_wire::testing::{Role, run_transcript};

fn milter(text: &str, config: fn(&mut milter::Config)) {
    run_transcript(Role::Client, &packets(text), || Milter::new(&[]).with(config));
}

/// What comes behind the offer.
fn agreed(text: &str) -> String {
    let start = "C> O\\0\\0\\0\\x06\\0\\0\\x01\\xff\\0\\x1f\\xf7\\xff\n";
    format!("{start}S> O\\0\\0\\0\\x06\\0\\0\\0\\x01\\0\\0\\0\\0\n{text}")
}

#[test]
fn a_milter_sees_and_changes_everything() {
    milter(include_str!("transcripts/milter.txt"), |_| {});
}

#[test]
fn a_milter_is_not_told_what_it_does_not_want() {
    milter(include_str!("transcripts/quiet.txt"), |_| {});
}

#[test]
fn large_bodies_go_out_in_packets() {
    let piece = "x".repeat(65_535);
    let text = format!("A: large 65540\nC> B{piece}\nS> c\nC> Bxxxxx\nS> c\nEND: open");
    milter(
        &agreed(&format!("{text}\nA: quit\nC> Q\nEND: close").replace("END: open\n", "")),
        |_| {},
    );
    // What it has enough of is not sent.
    let text = format!("A: large 65540\nC> B{piece}\nS> s\nA: eom\nC> E\nS> a\nA: quit\nC> Q\nEND: close");
    milter(&agreed(&text), |_| {});
}

#[test]
fn milters_that_break_the_protocol_are_left() {
    let wrong = |answer: &str, error: &str| {
        let text = format!("A: eom\nC> E\nS> {answer}\nEND: error {error}");
        milter(&agreed(&text), |config| config.max_packet = 100);
    };
    wrong("z", "the filter sent a malformed answer: unknown packet");
    wrong("hX\\0", "the filter sent a malformed answer: text without end");
    wrong(
        "hX:\\0a\\0",
        "the filter sent a malformed answer: name of a field",
    );
    wrong(
        "hX\\0a\\nBcc: b\\0",
        "the filter sent a malformed answer: value of a field",
    );
    wrong(
        "hX\\0a\\rb\\n c\\0",
        "the filter sent a malformed answer: value of a field",
    );
    wrong("y250 fine\\0", "the filter sent a malformed answer: reply code");
    wrong("y550x\\0", "the filter sent a malformed answer: reply code");
    wrong(
        "y550-a\\n551 b\\0",
        "the filter sent a malformed answer: reply code",
    );
    wrong("+<a\\n@b>\\0", "the filter sent a malformed answer: address");
    wrong("m\\0\\0X", "the filter sent a malformed answer: number");
    wrong(
        "m\\0\\0\\0\\0X\\0a\\0",
        "the filter did what was not agreed on: changing a field",
    );
    wrong(
        "bbody",
        "the filter did what was not agreed on: replacing the body",
    );
    wrong(
        "s",
        "the filter sent a malformed answer: skip where there is no body",
    );
    wrong("", "the filter sent a malformed answer: empty packet");
    wrong(
        "O\\0\\0\\0\\x06\\0\\0\\0\\0\\0\\0\\0\\0",
        "the filter sent a malformed answer: options again",
    );
    wrong(&"h".repeat(101), "the filter sent too much: packet");
    milter(
        &agreed(
            "A: helo a\nC> Ha\\0\nS> hX\\0a\\0\nEND: error the filter sent a malformed answer: an edit ahead of the end of the message",
        ),
        |_| {},
    );
    milter(
        &agreed(
            "A: eom\nC> E\nS> hX\\0a\\0\nS> hX\\0b\\0\nS> hX\\0c\\0\nEND: error the filter sent too much: edits",
        ),
        |config| config.max_edits = 2,
    );
    let first = |answer: &str, error: &str| {
        let start = "C> O\\0\\0\\0\\x06\\0\\0\\0\\x10\\0\\x1f\\xf7\\xff\n";
        milter(&format!("{start}S> {answer}\nEND: error {error}"), |config| {
            config.actions = milter::Actions::CHANGE_HEADERS;
        });
    };
    first("c", "the filter sent a malformed answer: no options");
    first(
        "O\\0\\0\\0\\x06\\0\\0\\0\\x01\\0\\0\\0\\0",
        "the filter did what was not agreed on: an action that was not offered",
    );
    first(
        "O\\0\\0\\0\\x06\\0\\0\\0\\0\\0\\0\\x08\\0",
        "the filter did what was not agreed on: a step that was not offered",
    );
    first(
        "O\\0\\0\\0\\x07\\0\\0\\0\\0\\0\\0\\0\\0",
        "the filter speaks version 7 of the protocol",
    );
}

#[test]
fn milters_have_their_time() {
    let start = "C> O\\0\\0\\0\\x06\\0\\0\\x01\\xff\\0\\x1f\\xf7\\xff\n";
    let end = "END: error the filter did not answer in time: at the first words";
    milter(&format!("{start}T: 31s\n{end}"), |_| {});
    let end = "END: error the filter did not answer in time: at the end of the message";
    // It may ask for more.
    milter(
        &agreed(&format!("A: eom\nC> E\nT: 299s\nS> p\nT: 299s\nT: 2s\n{end}")),
        |_| {},
    );
    let end = "END: error the filter did not answer in time: at a command";
    milter(
        &agreed(&format!("A: helo a\nC> Ha\\0\nT: 29s\nT: 2s\n{end}")),
        |_| {},
    );
    let end = "END: error the filter closed the connection";
    milter(
        &agreed(&format!("A: helo a\nC> Ha\\0\nS: \\0\\0\\\nEOF:\n{end}")),
        |_| {},
    );
}

#[test]
fn clamd_scans() {
    let run = |command, pieces: &[&'static str], text: &str| {
        run_transcript(Role::Client, text, || Clamd::new(command, pieces));
    };
    run(Ping, &[], "C: zPING\\0\\\nS: PONG\\0\\\nE: Pong\nEND: close");
    run(
        Version,
        &[],
        "C: zVERSION\\0\\\nS: ClamAV 1.0\\0\\\nE: Version(\"ClamAV 1.0\")\nEND: close",
    );
    let scan = "C: zINSTREAM\\0\\0\\0\\0\\x05Hello\\0\\0\\0\\x06 world\\0\\0\\0\\0\\\n";
    for (said, meant) in [
        ("stream: OK\\0", "E: Clean\nEND: close"),
        (
            "stream: Eicar-Test FOUND\\0",
            "E: Found(\"Eicar-Test\")\nEND: close",
        ),
        (
            "INSTREAM size limit exceeded. ERROR\\0",
            "E: TooLarge\nEND: close",
        ),
        (
            "stream: Can't allocate memory ERROR\\0",
            "E: Failed(\"stream: Can't allocate memory\")\nEND: close",
        ),
        ("stream: evil\\x1b FOUND\\0", "E: Found(\"evil?\")\nEND: close"),
        ("PONG\\0", "END: error the filter sent a malformed answer: reply"),
        (
            "stream:  FOUND\\0",
            "END: error the filter sent a malformed answer: reply",
        ),
    ] {
        run(Scan, &["Hello", " world"], &format!("{scan}S: {said}\\\n{meant}"));
    }
    run(
        Scan,
        &["Hello", " world"],
        &format!("{scan}S: stre\\\nEOF:\nEND: error the filter closed the connection"),
    );
    let late = "END: error the filter did not answer in time: at the end of the message";
    run(
        Scan,
        &["Hello", " world"],
        &format!("{scan}T: 119s\nT: 2s\n{late}"),
    );
    let long = "x".repeat(5000);
    run(
        Ping,
        &[],
        &format!("C: zPING\\0\\\nS: {long}\nEND: error the filter sent too much: reply"),
    );
}

#[test]
fn spamd_judges() {
    let run = |command, text: &str| {
        run_transcript(Role::Client, text, || {
            Spamd::new(command, "Subject: x\r\n\r\nHello\r\n")
        });
    };
    let symbols = "C: SYMBOLS SPAMC/1.5\nC: Content-length: 21\nC: \nC: Subject: x\nC: \nC: Hello\n";
    run(
        spamd::Command::Symbols,
        &format!(
            "{symbols}S: SPAMD/1.1 0 EX_OK\nS: Content-length: 11\nS: Spam: True ; 15.1 / 5.0\nS: \nS: GTUBE,OTHER\\\n\
             E: spam true 15.1 of 5\nE: body \"GTUBE,OTHER\"\nE: done\nEND: close"
        ),
    );
    // An old one without a length.
    run(
        spamd::Command::Symbols,
        &format!(
            "{symbols}S: SPAMD/1.1 0 EX_OK\nS: Spam: False ; -1.0 / 5.0\nS: \nS: OTHER\\\n\
             E: spam false -1 of 5\nE: body \"OTHER\"\nEOF:\nE: done\nEND: close"
        ),
    );
    run(
        spamd::Command::Symbols,
        &format!(
            "{symbols}S: SPAMD/1.0 76 Bad header line: (EX_PROTOCOL)\nE: failed 76 Bad header line: (EX_PROTOCOL)\nEND: close"
        ),
    );
    for (said, error) in [
        (
            "HTTP/1.1 200 OK",
            "the filter sent a malformed answer: status line",
        ),
        (
            "SPAMD/1.1 0 EX_OK\nS: Content-length: x",
            "the filter sent a malformed answer: content-length",
        ),
        (
            "SPAMD/1.1 0 EX_OK\nS: Spam: perhaps ; 1 / 2",
            "the filter sent a malformed answer: verdict",
        ),
        (
            "SPAMD/1.1 0 EX_OK\nS: Spam: True ; NaN / 2",
            "the filter sent a malformed answer: verdict",
        ),
        (
            "SPAMD/1.1 0 EX_OK\nS: ",
            "the filter sent a malformed answer: no verdict",
        ),
        (
            "SPAMD/1.1 0 EX_OK\nS: nothing",
            "the filter sent a malformed answer: header",
        ),
        (
            "SPAMD/1.1 0 EX_OK\nS: Content-length: 99999999999\nS: Spam: True ; 1 / 2\nS: ",
            "the filter sent too much: body",
        ),
    ] {
        run(
            spamd::Command::Symbols,
            &format!("{symbols}S: {said}\nEND: error {error}"),
        );
    }
    let many = "S: a: b\n".repeat(33);
    run(
        spamd::Command::Symbols,
        &format!("{symbols}S: SPAMD/1.1 0 EX_OK\n{many}END: error the filter sent too much: head"),
    );
    let check = symbols.replace("SYMBOLS", "CHECK");
    run(
        spamd::Command::Check,
        &format!(
            "{check}S: SPAMD/1.1 0 EX_OK\nS: Spam: True ; 15 / 5\nS: \nE: spam true 15 of 5\nE: done\nEND: close"
        ),
    );
    run(
        spamd::Command::Ping,
        "C: PING SPAMC/1.5\nC: \nS: SPAMD/1.5 0 PONG\nE: pong\nEND: close",
    );
    run(
        spamd::Command::Check,
        &format!(
            "{check}T: 299s\nT: 2s\nEND: error the filter did not answer in time: at the end of the message"
        ),
    );
    run(
        spamd::Command::Check,
        &format!("{check}S: SPAMD/1.1 0 EX_OK\nEOF:\nEND: error the filter closed the connection"),
    );
}

#[test]
fn spamd_hears_whose_mail_it_is() {
    run_transcript(
        Role::Client,
        "C: REPORT SPAMC/1.5\nC: Content-length: 0\nC: User: alice\nC: \nS: SPAMD/1.1 0 EX_OK\nEOF:\nEND: error the filter closed the connection",
        || {
            let mut fixture = Spamd::new(spamd::Command::Report, "");
            fixture.config.user = Some("alice\r\n".into());
            fixture
        },
    );
}
