//! Clients that nobody here wrote, against the real binary: Python's smtplib, imaplib and poplib, swaks, curl, mbsync.
//!
//! A program that is not installed is named and passed over; with `REQUIRE_CLIENTS=1`, as in CI, that is a failure.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests over real sockets and real time

mod support;

use std::path::PathBuf;
use std::process::Command;
use support::programs::{Server, at_hand, fails, installed, run, script, succeeds};

const ALICE: &str = "alice@localhost:wonder land";
const BOB: &str = "bob@localhost:builder";

#[tokio::test]
async fn python() {
    if !installed("python3") {
        return;
    }
    let server = Server::start().await;
    for name in ["smtp.py", "imap.py", "pop3.py"] {
        script(&server, name);
    }
    server.stop().await;
}

#[tokio::test]
async fn swaks() {
    if !installed("swaks") {
        return;
    }
    let server = Server::start().await;
    let swaks = |listener: &str, more: &[&str]| {
        let mut command = Command::new("swaks");
        let at = format!("127.0.0.1:{}", server.port(listener));
        command
            .args([
                "--server",
                &at,
                "--helo",
                "client.example",
                "--timeout",
                "20s",
                "--body",
                "swaks",
            ])
            .args(more);
        command
    };
    let login = ["--auth-user", "alice@localhost", "--auth-password", "wonder land"];
    let out = ["--from", "carol@elsewhere.example", "--to", "bob@localhost"];
    let own = ["--from", "alice@localhost", "--to", "bob@localhost"];

    succeeds(&mut swaks("smtp", &out));
    succeeds(&mut swaks("smtp", &[&out[..], &["--tls"]].concat()));
    succeeds(&mut swaks("smtp", &[&out[..], &["--pipeline"]].concat()));
    let relay = [
        "--from",
        "carol@elsewhere.example",
        "--to",
        "eve@elsewhere.example",
    ];
    let said = fails(&mut swaks("smtp", &relay));
    assert!(said.contains("<** 550"), "relaying without AUTH: {said}");

    succeeds(&mut swaks("submission", &[&own[..], &login, &["--tls"]].concat()));
    succeeds(&mut swaks(
        "submission",
        &[&own[..], &login, &["--tls", "--auth", "PLAIN"]].concat(),
    ));
    succeeds(&mut swaks(
        "submission",
        &[&own[..], &login, &["--tls", "--auth", "LOGIN"]].concat(),
    ));
    succeeds(&mut swaks(
        "submissions",
        &[&own[..], &login, &["--tls-on-connect"]].concat(),
    ));
    let wrong = [
        "--auth-user",
        "alice@localhost",
        "--auth-password",
        "wrong",
        "--tls",
    ];
    let said = fails(&mut swaks("submission", &[&own[..], &wrong].concat()));
    assert!(said.contains("535"), "a bad password: {said}");
    let said = fails(&mut swaks("submission", &[&own[..], &login].concat()));
    assert!(!said.contains("235"), "AUTH in the clear: {said}");
    let said = fails(&mut swaks("submission", &[&own[..], &["--tls"]].concat()));
    assert!(said.contains("530"), "mail without AUTH: {said}");
    succeeds(&mut swaks("lmtp", &[&out[..], &["--protocol", "LMTP"]].concat()));
    server.stop().await;
}

#[tokio::test]
async fn curl() {
    if !installed("curl") {
        return;
    }
    let server = Server::start().await;
    let mail = server.file(
        "mail.eml",
        "From: alice@localhost\r\nTo: bob@localhost\r\nSubject: curled\r\n\r\nby curl\r\n",
    );
    let curl = |url: &str, more: &[&str]| {
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--max-time", "30", "--cacert"])
            .arg(server.certificate());
        command.args(["--url", url]).args(more);
        command
    };
    let url = |scheme: &str, listener: &str, path: &str| {
        format!("{scheme}://localhost:{}{path}", server.port(listener))
    };
    let mail = mail.to_str().expect("UTF-8");
    let envelope = [
        "--mail-from",
        "alice@localhost",
        "--mail-rcpt",
        "bob@localhost",
        "--upload-file",
        mail,
    ];

    succeeds(&mut curl(&url("smtp", "smtp", "/client.example"), &envelope));
    succeeds(&mut curl(
        &url("smtp", "submission", ""),
        &[&["--ssl-reqd", "--user", ALICE][..], &envelope].concat(),
    ));
    succeeds(&mut curl(
        &url("smtps", "submissions", ""),
        &[&["--user", ALICE][..], &envelope].concat(),
    ));
    let scram = ["--user", ALICE, "--login-options", "AUTH=SCRAM-SHA-256"];
    let (_, version) = run(Command::new("curl").arg("--version"));
    if version.contains("GSASL") {
        succeeds(&mut curl(
            &url("smtps", "submissions", ""),
            &[&scram[..], &envelope].concat(),
        ));
    }
    fails(&mut curl(
        &url("smtps", "submissions", ""),
        &[&["--user", "alice@localhost:wrong"][..], &envelope].concat(),
    ));

    let said = succeeds(&mut curl(
        &url("imaps", "imaps", "/INBOX;UID=1"),
        &["--user", BOB],
    ));
    assert!(said.ends_with("Subject: curled\r\n\r\nby curl\r\n"), "{said}");
    let said = succeeds(&mut curl(
        &url("imap", "imap", "/"),
        &["--ssl-reqd", "--user", BOB],
    ));
    assert!(said.contains("INBOX") && said.contains("Drafts"), "{said}");
    let said = succeeds(&mut curl(
        &url("imaps", "imaps", "/INBOX?SUBJECT%20curled"),
        &["--user", BOB],
    ));
    assert!(said.starts_with("* SEARCH 1 2 3"), "{said}");
    succeeds(&mut curl(
        &url("imaps", "imaps", "/Drafts"),
        &["--user", BOB, "--upload-file", mail],
    ));
    let said = succeeds(&mut curl(
        &url("imaps", "imaps", "/Drafts;UID=1;SECTION=TEXT"),
        &["--user", BOB],
    ));
    assert_eq!(said, "by curl\r\n");
    fails(&mut curl(
        &url("imaps", "imaps", "/"),
        &["--user", "bob@localhost:wrong"],
    ));

    let said = succeeds(&mut curl(&url("pop3s", "pop3s", "/"), &["--user", BOB]));
    assert_eq!(said.lines().count(), 3, "{said}");
    let said = succeeds(&mut curl(
        &url("pop3", "pop3", "/2"),
        &["--ssl-reqd", "--user", BOB],
    ));
    assert!(said.ends_with("by curl\r\n"), "{said}");
    succeeds(&mut curl(
        &url("pop3s", "pop3s", "/1"),
        &["--user", BOB, "--request", "DELE", "--head"],
    ));
    let said = succeeds(&mut curl(&url("pop3s", "pop3s", "/"), &["--user", BOB]));
    assert_eq!(said.lines().count(), 2, "{said}");
    server.stop().await;
}

#[tokio::test]
async fn mbsync() {
    if !installed("mbsync") {
        return;
    }
    let server = Server::start().await;
    let here = server.folder.path().join("maildir");
    std::fs::create_dir(&here).expect("a folder");
    let config = server.file(
        "mbsyncrc",
        &format!(
            "IMAPAccount bob\nHost localhost\nPort {}\nUser bob@localhost\nPass builder\nSSLType IMAPS\n\
             SystemCertificates no\nCertificateFile {}\n\nIMAPStore far\nAccount bob\n\n\
             MaildirStore near\nPath {here}/\nInbox {here}/INBOX\nSubFolders Verbatim\n\n\
             Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n",
            server.port("imaps"),
            server.certificate().display(),
            here = here.display(),
        ),
    );
    let sync = || succeeds(Command::new("mbsync").arg("-c").arg(&config).arg("-a"));
    let mut bob = support::lines::Lines::connect(server.process.address("smtp")).await;
    bob.reply("220").await;
    bob.say("EHLO client.example", "250").await;
    for n in 0..50 {
        bob.say("MAIL FROM:<carol@elsewhere.example>", "250").await;
        bob.say("RCPT TO:<bob@localhost>", "250").await;
        bob.say("DATA", "354").await;
        bob.say(&format!("Subject: message {n}\r\n\r\nnumber {n}\r\n."), "250")
            .await;
    }
    sync();
    let files = |folder: &str| {
        let names = ["cur", "new"].map(|sub| here.join(folder).join(sub));
        let mut all: Vec<PathBuf> = vec![];
        for dir in names {
            all.extend(
                std::fs::read_dir(dir)
                    .expect("a Maildir")
                    .map(|e| e.expect("an entry").path()),
            );
        }
        all
    };
    let got = files("INBOX");
    assert_eq!(got.len(), 50);
    // One goes, one is read, one is written here; all that reaches the server, and nothing else changes.
    std::fs::remove_file(&got[0]).expect("it is there");
    let name = got[1]
        .file_name()
        .and_then(|n| n.to_str())
        .expect("UTF-8")
        .split(':')
        .next()
        .expect("a name");
    std::fs::rename(&got[1], here.join("INBOX/cur").join(format!("{name}:2,S"))).expect("it is there");
    std::fs::write(
        here.join("Drafts/new/1.draft.here"),
        "Subject: draft\n\nwritten offline\n",
    )
    .expect("writable");
    sync();
    assert_eq!(files("INBOX").len(), 49);
    let before: Vec<_> = files("INBOX");
    sync();
    assert_eq!(files("INBOX"), before, "a second run changed something");
    server.stop().await;
}

/// GNU SASL binds SCRAM to the channel with `tls-exporter`. Over IMAP: in SMTP it overlooks STARTTLS on the last
/// line of an answer.
#[tokio::test]
async fn gsasl() {
    if !at_hand("gsasl") {
        return;
    }
    let server = Server::start().await;
    let gsasl = |mechanism: &str, password: &str| {
        let mut command = Command::new("gsasl");
        let ca = server.certificate();
        command
            .arg("--imap")
            .arg(format!("--connect=localhost:{}", server.port("imap")))
            .arg(format!("--x509-ca-file={}", ca.display()))
            // It overlooks STARTTLS on the last line of an answer.
            .args([
                "--starttls",
                "-a",
                "bob@localhost",
                "-m",
                mechanism,
                "-p",
                password,
            ]);
        // It refuses to do without a binding that both ends have, unless it is told to.
        if !mechanism.ends_with("-PLUS") {
            command.arg("--no-cb");
        }
        command.stdin(std::process::Stdio::null());
        command
    };
    for mechanism in ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"] {
        let said = succeeds(&mut gsasl(mechanism, "builder"));
        assert!(said.contains(&format!("AUTHENTICATE {mechanism}")), "{said}");
        fails(&mut gsasl(mechanism, "wrong"));
    }
    server.stop().await;
}

#[tokio::test]
async fn msmtp() {
    if !at_hand("msmtp") {
        return;
    }
    let server = Server::start().await;
    let msmtp = |mechanism: &str, password: &str| {
        let mut command = Command::new("msmtp");
        let message = server.file("message.eml", "Subject: msmtp\n\nhello\n");
        command
            .args([
                "--file=/dev/null",
                "--host=localhost",
                "--tls=on",
                "--tls-starttls=on",
            ])
            .arg(format!("--port={}", server.port("submission")))
            .arg(format!("--tls-trust-file={}", server.certificate().display()))
            .args(["--from=bob@localhost", "--user=bob@localhost"])
            .arg(format!("--passwordeval=echo {password}"))
            .arg(format!("--auth={mechanism}"))
            .arg("bob@localhost")
            .stdin(std::fs::File::open(message).expect("it was just written"));
        command
    };
    for mechanism in ["scram-sha-256", "plain", "login"] {
        succeeds(&mut msmtp(mechanism, "builder"));
        let said = fails(&mut msmtp(mechanism, "wrong"));
        assert!(said.contains("535"), "{said}");
    }
    server.stop().await;
}
