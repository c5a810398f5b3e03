//! TLS of listeners: which certificate is shown, changes of its files, versions, tickets; logins without TLS.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod acme;
mod external;
mod hand;

use hand::{Hand, files, self_signed, server, started, within};
use mailwright_server::config::{ListenerConfig, PlaintextLogin, Protocol, TlsMode};
use rustls::HandshakeKind;
use std::process::{Command, Stdio};
use support::lines::Lines;
use support::programs::installed;

#[tokio::test]
async fn the_certificate_is_the_one_for_the_name_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = server(folder.path());
    config.certificate = Some(files(folder.path(), "first", &self_signed(&["mail.a.test"])));
    for (file, names) in [
        ("wild", &["*.b.test"][..]),
        ("exact", &["mail.b.test", "Mail.C.test"]),
    ] {
        config
            .tls
            .also
            .push(files(folder.path(), file, &self_signed(names)));
    }
    let running = started(config).await;
    let imaps = running.address("imaps").unwrap();
    let hand = Hand::new();
    let shown = async |name| hand.shake(imaps, name).await.certificate_name();
    assert_eq!(shown("mail.a.test").await, "mail.a.test");
    assert_eq!(shown("other.b.test").await, "*.b.test");
    assert_eq!(
        shown("mail.b.test").await,
        "mail.b.test",
        "a whole name goes before a wildcard"
    );
    assert_eq!(
        shown("mail.c.test").await,
        "mail.b.test",
        "the second name of the same"
    );
    assert_eq!(
        shown("x.mail.b.test").await,
        "mail.a.test",
        "a wildcard is one label"
    );
    assert_eq!(shown("elsewhere.test").await, "mail.a.test");
    assert_eq!(shown("127.0.0.1").await, "mail.a.test", "no name at all");
    running.shutdown().await;
}

#[tokio::test]
async fn a_certificate_that_changes_is_taken_up_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = server(folder.path());
    config.certificate = Some(files(folder.path(), "it", &self_signed(&["before.a.test"])));
    let running = started(config).await;
    let imaps = running.address("imaps").unwrap();
    let hand = Hand::new();
    let shown = async || hand.shake(imaps, "mail.a.test").await.certificate_name();
    assert_eq!(shown().await, "before.a.test");
    // One file after the other, and something impossible in between.
    let (certificate, key) = self_signed(&["after.a.test"]);
    std::fs::write(folder.path().join("it.crt"), "-----BEGIN CERTIFICATE-----\n").unwrap();
    running.shared().tls.refresh();
    assert_eq!(shown().await, "before.a.test");
    std::fs::write(folder.path().join("it.crt"), &certificate).unwrap();
    running.shared().tls.refresh();
    running.shared().tls.refresh();
    assert_eq!(shown().await, "before.a.test", "its key is another");
    std::fs::write(folder.path().join("it.key"), &key).unwrap();
    within(async || shown().await == "after.a.test").await;
    // Gone for a while, and back.
    std::fs::remove_file(folder.path().join("it.crt")).unwrap();
    running.shared().tls.refresh();
    running.shared().tls.refresh();
    assert_eq!(shown().await, "after.a.test");
    let (certificate, key) = self_signed(&["last.a.test"]);
    std::fs::write(folder.path().join("it.key"), &key).unwrap();
    std::fs::write(folder.path().join("it.crt"), &certificate).unwrap();
    within(async || shown().await == "last.a.test").await;
    running.shutdown().await;
}

#[tokio::test]
async fn sessions_are_resumed_by_tickets_until_the_certificate_changes() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = server(folder.path());
    config.certificate = Some(files(folder.path(), "it", &self_signed(&["mail.a.test"])));
    let running = started(config).await;
    let imaps = running.address("imaps").unwrap();
    let hand = Hand::new();
    for (shake, kind) in [(1, HandshakeKind::Full), (2, HandshakeKind::Resumed)] {
        let mut shaken = hand.shake(imaps, "mail.a.test").await;
        // The ticket comes ahead of the greeting.
        assert!(shaken.line().await.starts_with("* OK "));
        assert_eq!(shaken.kind(), kind, "handshake {shake}");
    }
    let (certificate, key) = self_signed(&["other.a.test"]);
    std::fs::write(folder.path().join("it.key"), key).unwrap();
    std::fs::write(folder.path().join("it.crt"), certificate).unwrap();
    within(async || {
        let shaken = hand.shake(imaps, "mail.a.test").await;
        shaken.kind() == HandshakeKind::Full && shaken.certificate_name() == "other.a.test"
    })
    .await;
    running.shutdown().await;
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    if !installed("openssl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let running = started(server(folder.path())).await;
    let at = running.address("imaps").unwrap().to_string();
    for (version, works) in [
        ("-tls1", false),
        ("-tls1_1", false),
        ("-tls1_2", true),
        ("-tls1_3", true),
    ] {
        let at = at.clone();
        let said = tokio::task::spawn_blocking(move || {
            let mut command = Command::new("openssl");
            // Else the client itself would refuse.
            command.args(["s_client", "-connect", &at, version, "-cipher", "ALL:@SECLEVEL=0"]);
            let output = command.stdin(Stdio::null()).output().unwrap();
            let (said, errors) = (output.stdout, output.stderr);
            format!(
                "{}{}",
                String::from_utf8_lossy(&said),
                String::from_utf8_lossy(&errors)
            )
        });
        let said = said.await.unwrap();
        let shaken = said.contains("Server certificate\n-----BEGIN");
        assert_eq!(shaken, works, "{version}: {said}");
        // RFC 8446 §6.2: protocol_version, or handshake_failure where not even the rest of the offer would do.
        let refused = said.contains("alert protocol version") || said.contains("alert handshake failure");
        assert_eq!(refused, !works, "{version}: {said}");
    }
    running.shutdown().await;
}

#[tokio::test]
async fn no_protocol_takes_a_password_in_the_clear_unless_it_is_told_to() {
    for allowed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = server(folder.path());
        for protocol in [
            Protocol::Submission,
            Protocol::Imap,
            Protocol::Pop3,
            Protocol::Smtp,
        ] {
            let listener = ListenerConfig::new(protocol, "127.0.0.1:0".parse().unwrap());
            // With STARTTLS, and where there is none at all.
            let bare = listener.clone().with_tls(TlsMode::None);
            config.listeners.push(bare.with_name(format!("{protocol}-bare")));
            config.listeners.push(listener.with_name(protocol.to_string()));
        }
        if allowed {
            config.plaintext_login = PlaintextLogin::Loopback;
        }
        let running = started(config).await;
        for bare in ["", "-bare"] {
            let at = |protocol: &str| running.address(&format!("{protocol}{bare}")).unwrap();
            let line = async |lines: &mut Lines| String::from_utf8(lines.line().await.unwrap()).unwrap();
            // RFC 4954 §4, RFC 6409 §4.3
            for (protocol, offered) in [("submission", allowed), ("smtp", false)] {
                let mut smtp = Lines::connect(at(protocol)).await;
                line(&mut smtp).await;
                smtp.send("EHLO client.test").await;
                let mut all = String::new();
                while !all.contains("250 ") {
                    all = format!("{all}{}\n", line(&mut smtp).await);
                }
                assert_eq!(all.contains("AUTH "), offered, "{protocol}{bare}: {all}");
                smtp.send("AUTH PLAIN AGFsaWNlQGEudGVzdABzZWNyZXQ=").await;
                let said = line(&mut smtp).await;
                let refused = ["538 5.7.11", "503 5.5.1", "502 5.5.1"]
                    .iter()
                    .any(|code| said.starts_with(code));
                assert_eq!(said.starts_with("235 "), offered, "{protocol}{bare}: {said}");
                assert_eq!(refused, !offered, "{protocol}{bare}: {said}");
            }
            // RFC 9051 §6.2.3, RFC 5530
            let mut imap = Lines::connect(at("imap")).await;
            let greeting = line(&mut imap).await;
            assert_eq!(greeting.contains(" LOGINDISABLED"), !allowed, "{greeting}");
            assert_eq!(greeting.contains(" AUTH=PLAIN"), allowed, "{greeting}");
            for (tag, command) in [
                "LOGIN alice@a.test secret",
                "AUTHENTICATE PLAIN AGFsaWNlQGEudGVzdABzZWNyZXQ=",
            ]
            .iter()
            .enumerate()
            {
                imap.send(&format!("{tag} {command}")).await;
                let said = line(&mut imap).await;
                match allowed {
                    false => assert!(said.starts_with(&format!("{tag} NO [PRIVACYREQUIRED]")), "{said}"),
                    true if tag == 0 => assert!(said.starts_with("0 OK "), "{said}"),
                    // It is logged in already.
                    true => assert!(said.starts_with("1 BAD "), "{said}"),
                }
            }
            // RFC 2449 §6.2, RFC 2595 §4
            let mut pop3 = Lines::connect(at("pop3")).await;
            line(&mut pop3).await;
            pop3.send("CAPA").await;
            let mut all = String::new();
            while !all.ends_with("\n.\n") {
                all = format!("{all}{}\n", line(&mut pop3).await);
            }
            assert_eq!(all.contains("\nUSER\n"), allowed, "{all}");
            assert_eq!(all.contains("PLAIN"), allowed, "{all}");
            let commands = match allowed {
                false => &[
                    "AUTH PLAIN AGFsaWNlQGEudGVzdABzZWNyZXQ=",
                    "USER alice@a.test",
                    "PASS secret",
                ][..],
                true => &["USER alice@a.test", "PASS secret"],
            };
            for command in commands {
                pop3.send(command).await;
                let said = line(&mut pop3).await;
                assert_eq!(said.starts_with("+OK"), allowed, "{command}: {said}");
            }
        }
        running.shutdown().await;
    }
}
