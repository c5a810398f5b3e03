//! Logins by certificate: curl and openssl against all three protocols that have logins.

use super::hand::{files, self_signed, server, started};
use super::support::programs::{installed, run};
use mailwright_server::config::{AccountEntry, Fingerprint, ListenerConfig, Protocol, TlsMode};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Who vouches for clients.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "clients of a.test");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// Writes a certificate for a mail address, if one is given, and its key; the SHA-256 of the certificate.
    fn vouch(&self, folder: &Path, file: &str, address: Option<&str>) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, file);
        params.subject_alt_names = vec![SanType::DnsName("laptop.a.test".try_into().unwrap())];
        if let Some(address) = address {
            params
                .subject_alt_names
                .push(SanType::Rfc822Name(address.try_into().unwrap()));
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        files(folder, file, &(certificate.pem(), key.serialize_pem()));
        let hash = ring::digest::digest(&ring::digest::SHA256, certificate.der());
        hash.as_ref().iter().map(|octet| format!("{octet:02x}")).collect()
    }
}

/// What `curl` says that logs in by EXTERNAL with the certificate of a file, and whether it got in.
fn curl(at: SocketAddr, scheme: &str, folder: &Path, file: Option<&str>, user: &str) -> (bool, String) {
    let mut command = Command::new("curl");
    command
        .args([
            "--silent",
            "--show-error",
            "--verbose",
            "--max-time",
            "60",
            "--insecure",
            "--ssl-reqd",
        ])
        .args(["--login-options", "AUTH=EXTERNAL", "--user", &format!("{user}:")]);
    if let Some(file) = file {
        let path = |kind: &str| folder.join(format!("{file}.{kind}"));
        command
            .arg("--cert")
            .arg(path("crt"))
            .arg("--key")
            .arg(path("key"));
    }
    if scheme.starts_with("smtp") {
        let mail = folder.join("mail.eml");
        std::fs::write(
            &mail,
            "From: alice@a.test\r\nTo: alice@a.test\r\nSubject: x\r\n\r\nx\r\n",
        )
        .unwrap();
        command
            .args([
                "--mail-from",
                user,
                "--mail-rcpt",
                "alice@a.test",
                "--upload-file",
            ])
            .arg(mail);
    }
    run(command.arg(format!("{scheme}://{at}/")))
}

#[tokio::test]
async fn curl_logs_in_by_certificate_over_every_protocol() {
    if !installed("curl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.vouch(folder.path(), "alice", Some("Alice@A.test"));
    let print = authority.vouch(folder.path(), "phone", None);
    authority.vouch(folder.path(), "nobody", Some("nobody@a.test"));
    files(folder.path(), "stranger", &self_signed(&["laptop.a.test"]));
    let ca = folder.path().join("clients.pem");
    std::fs::write(&ca, &authority.pem).unwrap();
    let mut config = server(folder.path());
    config.tls.client_ca = Some(ca);
    let mut bob = AccountEntry::new("bob@a.test".parse().unwrap());
    bob.certificates = vec![print.parse::<Fingerprint>().unwrap()];
    config.accounts.push(bob);
    for (name, protocol) in [("pop3s", Protocol::Pop3), ("submissions", Protocol::Submission)] {
        let listener = ListenerConfig::new(protocol, "127.0.0.1:0".parse().unwrap());
        config
            .listeners
            .push(listener.with_tls(TlsMode::Implicit).with_name(name));
    }
    for protocol in [
        Protocol::Submission,
        Protocol::Imap,
        Protocol::Pop3,
        Protocol::Smtp,
    ] {
        config
            .listeners
            .push(ListenerConfig::new(protocol, "127.0.0.1:0".parse().unwrap()));
    }
    let running = started(config).await;
    let folder: PathBuf = folder.path().into();
    for (listener, scheme) in [
        ("submissions", "smtps"),
        ("imaps", "imaps"),
        ("pop3s", "pop3s"),
        ("submission", "smtp"),
        ("imap", "imap"),
        ("pop3", "pop3"),
    ] {
        let at = running.address(listener).unwrap();
        let ask = |file: Option<&'static str>, user: &'static str| {
            let folder = folder.clone();
            tokio::task::spawn_blocking(move || curl(at, scheme, &folder, file, user))
        };
        for (file, user, lets_in) in [
            (Some("alice"), "alice@a.test", true),
            (Some("alice"), "bob@a.test", false),
            (Some("phone"), "bob@a.test", true),
            (Some("phone"), "alice@a.test", false),
            (Some("nobody"), "alice@a.test", false),
            (Some("stranger"), "alice@a.test", false),
            (None, "alice@a.test", false),
        ] {
            let (went, said) = ask(file, user).await.unwrap();
            assert_eq!(went, lets_in, "{listener}, {file:?} as {user}:\n{said}");
            // Who cannot log in that way is not told of it.
            let offered = said
                .lines()
                .any(|line| line.starts_with('<') && line.contains("EXTERNAL"));
            let known = matches!(file, Some("alice" | "phone"));
            assert_eq!(offered, known, "{listener}, {file:?} as {user}:\n{said}");
        }
    }
    running.shutdown().await;
}

#[tokio::test]
async fn other_servers_are_not_asked_for_a_certificate() {
    if !installed("openssl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("clients.pem");
    std::fs::write(&ca, Authority::new().pem).unwrap();
    let mut config = server(folder.path());
    config.tls.client_ca = Some(ca);
    let listener = ListenerConfig::new(Protocol::Smtp, "127.0.0.1:0".parse().unwrap());
    config
        .listeners
        .push(listener.with_tls(TlsMode::Implicit).with_name("smtps"));
    let running = started(config).await;
    for (listener, asked) in [("imaps", true), ("smtps", false)] {
        let at = running.address(listener).unwrap().to_string();
        let said = tokio::task::spawn_blocking(move || {
            let mut command = Command::new("openssl");
            command.args(["s_client", "-connect", &at, "-tls1_2"]);
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            child.stdin.take().unwrap().write_all(b"Q\n").unwrap();
            String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned()
        });
        let said = said.await.unwrap();
        assert!(said.contains("BEGIN CERTIFICATE"), "{said}");
        assert_eq!(
            said.contains("Acceptable client certificate CA names"),
            asked,
            "{listener}: {said}"
        );
    }
    running.shutdown().await;
}
