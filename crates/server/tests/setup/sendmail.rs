//! `mailwright sendmail`, by its own name and by that of the program it takes the place of.

use super::{PATIENCE, Running, Said, Site, run, run_with};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A site whose admin reads mail without TLS.
pub(super) fn site() -> Site {
    let site = Site::new();
    site.edit(|text| text.replacen("hostname =", "plaintext_login = \"loopback\"\nhostname =", 1));
    site
}

/// Waits until the admin has so many messages, and gives the last one.
pub(super) fn message(site: &Site, running: &Running, number: u32) -> String {
    let mut imap = running.dial("imap");
    imap.line();
    imap.imap(&format!("LOGIN admin@a.test {}", site.password));
    let end = Instant::now() + PATIENCE;
    while !imap.imap("SELECT INBOX").contains(&format!("* {number} EXISTS")) {
        assert!(Instant::now() < end, "message {number} does not come");
        std::thread::sleep(Duration::from_millis(100));
    }
    imap.imap(&format!("FETCH {number} BODY.PEEK[]"))
}

fn sendmail(site: &Site, arguments: &[&str], input: &str) -> Said {
    let config = site.config();
    run_with(
        &[&["sendmail", "--config", &config], arguments].concat(),
        input.as_bytes(),
    )
}

#[test]
fn a_message_goes_to_whom_its_header_names() {
    let site = site();
    let running = Running::start(&site);
    let text = "To: Admin <admin@a.test>,\n abuse@a.test\nBcc: Hidden <postmaster@a.test>,\n\tabuse@a.test\n\
        Subject: hello\n\nLine\n.\nlast";
    sendmail(
        &site,
        &["-t", "-oi", "-f", "carol@a.test", "-FCarol Q. Public"],
        text,
    )
    .fine();
    let mail = message(&site, &running, 1);
    for part in [
        "Return-Path: <carol@a.test>\r\n",
        "Received: by mail.a.test (from user ",
        "DKIM-Signature: ",
        "From: \"Carol Q. Public\" <carol@a.test>\r\n",
        "Message-ID: <",
        "Date: ",
        "To: Admin <admin@a.test>,\r\n abuse@a.test\r\nSubject: hello\r\n",
        "\r\n\r\nLine\r\n.\r\nlast\r\n",
    ] {
        assert!(mail.contains(part), "{part}: {mail}");
    }
    assert!(!mail.contains("Bcc") && !mail.contains("Hidden"), "{mail}");
    // All three are the admin: whoever is named more than once gets it once.
    sendmail(&site, &["admin"], "Subject: second\n\nbefore\n.\nafter\n").fine();
    let mail = message(&site, &running, 2);
    assert!(
        mail.contains("Subject: second") && mail.contains("\r\n\r\nbefore\r\n)"),
        "{mail}"
    );
    assert!(mail.contains("@a.test>\r\n") && !mail.contains("after"), "{mail}");
}

#[test]
fn exit_codes_are_those_of_sysexits() {
    let site = site();
    let code = |arguments: &[&str]| sendmail(&site, arguments, "Subject: x\n\ny\n").code;
    assert_eq!(code(&["admin"]), Some(75), "no server runs");
    assert_eq!(code(&["-bq", "admin"]), Some(64));
    assert_eq!(code(&["-t"]), Some(64), "nobody is named");
    assert_eq!(code(&["-f"]), Some(64));
    assert_eq!(code(&["-q"]), Some(0), "the queue sees to itself");
    assert_eq!(
        run(&["sendmail", "--config", "/nowhere/x.toml", "a@b.test"]).code,
        Some(78)
    );
    let _running = Running::start(&site);
    assert_eq!(code(&["-f", "a b", "admin"]), Some(65));
    assert_eq!(
        code(&[
            "-oem",
            "-oi",
            "-B8BITMIME",
            "-N",
            "never",
            "-G",
            "-v",
            "-i",
            "--",
            "admin"
        ]),
        Some(0)
    );
    let listed = sendmail(&site, &["-bp"], "").fine();
    assert!(
        listed.contains("message") || listed.contains("No message"),
        "{listed}"
    );
}

#[test]
fn what_is_too_large_is_refused_and_the_server_goes_on() {
    let site = site();
    site.edit(|text| format!("{text}\n[limits]\nmessage_size = \"100K\"\n"));
    let running = Running::start(&site);
    let large = format!("Subject: x\n\n{}\n", "all work and no play\n".repeat(100_000));
    let said = sendmail(&site, &["admin"], &large);
    assert_eq!(said.code, Some(65), "{said:?}");
    assert!(
        said.err
            .contains("larger than 102400 octets (limits.message_size)"),
        "{}",
        said.err
    );
    let fits = "Subject: fits\n\nx\n";
    sendmail(&site, &["admin"], fits).fine();
    assert!(message(&site, &running, 1).contains("Subject: fits"));
}

#[test]
fn it_takes_the_place_of_the_program_of_that_name() {
    let site = site();
    let running = Running::start(&site);
    let link = site.path("sendmail");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mailwright"), &link).unwrap();
    let hand_in = |program: &Path, arguments: &[&str], input: &str| {
        let mut child = Command::new(program)
            .args(arguments)
            .env("MAILWRIGHT_CONFIG", site.config())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().map(Said::from)
    };
    hand_in(&link, &["-oi", "-t"], "To: admin\nSubject: linked\n\nx\n")
        .unwrap()
        .fine();
    assert!(message(&site, &running, 1).contains("Subject: linked"));
    // A mail program that sends by it.
    let home = site.path("");
    let set = format!(
        "set sendmail=\"{} -oem -oi\"; set copy=no; set folder=\"{}\"",
        link.display(),
        home.display()
    );
    let mutt = hand_in(
        Path::new("mutt"),
        &[
            "-n",
            "-F",
            "/dev/null",
            "-e",
            &set,
            "-s",
            "from mutt",
            "admin@a.test",
        ],
        "hello\n",
    );
    match mutt {
        Ok(said) => {
            said.fine();
            assert!(message(&site, &running, 2).contains("Subject: from mutt"));
        }
        Err(error) => eprintln!("not tried with mutt: {error}"),
    }
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]).fine();
        for command in ["quickstart", "doctor", "app-password"] {
            assert!(script.contains(command), "{shell} {command}");
        }
    }
}
