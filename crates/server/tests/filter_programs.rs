//! The filters that people use, on loopback: rspamd, clamd, spamd and opendkim, where they are installed.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)] // tests of real programs
#![cfg(unix)]

#[path = "support/dns.rs"]
mod dns;
#[allow(dead_code, unreachable_pub)] // these tests use a part of them
#[path = "support/lines.rs"]
mod lines;
#[allow(dead_code, unreachable_pub)]
#[path = "support/receiver.rs"]
mod receiver;

use dns::{DnsServer, Zone};
use mailwright_server::config::{FilterAddress, FilterConfig, FilterKind};
use receiver::{Receiver, transfer};
use std::fmt::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A program with a folder of its own, where it listens at the Unix socket `socket`.
struct Program {
    child: Child,
    folder: TempDir,
}

impl Program {
    /// Writes its configuration, in which `DIR` stands for its folder, and waits until it listens; nothing if it is not
    /// installed.
    fn start(name: &str, config: &str, prepare: impl FnOnce(&Path), arguments: &[&str]) -> Option<Self> {
        let path = find(name)?;
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().to_str().unwrap();
        std::fs::write(folder.path().join("config"), config.replace("DIR", dir)).unwrap();
        prepare(folder.path());
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(path)
            .args(arguments.iter().map(|argument| argument.replace("DIR", dir)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut program = Self { child, folder };
        let started = Instant::now();
        while UnixStream::connect(program.socket()).is_err() {
            let ended = program.child.try_wait().unwrap();
            let waits = ended.is_none() && started.elapsed() < Duration::from_secs(120);
            assert!(waits, "{name} does not listen ({ended:?}): {}", program.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(program)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A server that asks it.
    async fn asked_by(&self, kind: FilterKind) -> Receiver {
        let dns = DnsServer::start(Zone::new());
        let mut filter = FilterConfig::new(kind, FilterAddress::Unix(self.socket()));
        filter.timeout = Duration::from_secs(120);
        let resolver = dns.address();
        // It answers for as long as the test runs.
        std::mem::forget(dns);
        Receiver::start(vec![], |config| {
            config.filtering.filters.push(filter);
            config.outbound.resolver = Some(resolver);
            for listener in &mut config.listeners {
                listener.smtp.xclient = vec!["127.0.0.1".parse().unwrap()];
            }
        })
        .await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Asked first, so that it ends its own children.
        let id = self.child.id().to_string();
        let _ = Command::new("kill").arg(&id).status();
        for _ in 0..100 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]);
    let found = folders
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        println!("SKIPPED: {name} is not installed");
    }
    found
}

const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";
const BOB: [&str; 1] = ["bob@b.test"];

fn message(subject: &str, body: &str) -> String {
    format!(
        "From: Carol <carol@c.test>\r\nTo: bob@b.test\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\n\
         Message-ID: <1@c.test>\r\nSubject: {subject}\r\n\r\n{body}\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn rspamd_refuses_gtube_and_marks_by_a_rule_of_its_own() {
    let config = r#"
        options {
            pidfile = "DIR/pid"; temp_dir = "DIR"; tempdir = "DIR"; hs_cache_dir = "DIR"; cache_file = "DIR/cache";
            history_file = "DIR/history"; control_socket = "DIR/control mode=0600"; url_tld = "DIR/tld";
            filters = "regexp"; disable_hyperscan = true;
            dns { nameserver = "127.0.0.1:9"; timeout = 0.1s; retransmits = 1; }
        }
        logging { type = "console"; level = "notice"; }
        actions { reject = 15; add_header = 6; greylist = 4; }
        regexp { OWN_RULE { re = "Subject=/buy now/i"; score = 8.0; } }
        worker "normal" { bind_socket = "DIR/socket mode=0666"; count = 1; }
    "#;
    let tld = |folder: &Path| std::fs::write(folder.join("tld"), "com\ntest\n").unwrap();
    let arguments = ["--no-fork", "--insecure", "--config", "DIR/config"];
    let Some(rspamd) = Program::start("rspamd", config, tld, &arguments) else {
        return;
    };
    let site = rspamd.asked_by(FilterKind::Rspamd).await;
    site.send("carol@c.test", &BOB, &message("hello", "Hello"), "250")
        .await;
    let inbox = site.mail("bob@b.test", "INBOX").await.remove(0);
    assert!(inbox.contains("\r\nX-Spam-Status: No, score="), "{inbox}");
    site.send("carol@c.test", &BOB, &message("Buy now", "Hello"), "250")
        .await;
    let junk = site.mail("bob@b.test", "Junk").await.remove(0);
    assert!(
        junk.contains("X-Spam-Flag: YES\r\n") && junk.contains("OWN_RULE(8.00)"),
        "{junk}"
    );
    site.send(
        "carol@c.test",
        &BOB,
        &message("hello", GTUBE),
        "554 5.7.1 Gtube pattern",
    )
    .await;
    // What is larger than is held in memory.
    let long = message("Buy now", &"0123456789abcdef0123456789abcdef\r\n".repeat(20_000));
    site.send("carol@c.test", &BOB, &long, "250").await;
    assert_eq!(site.mail("bob@b.test", "Junk").await.len(), 2);
    assert_eq!(site.mail("bob@b.test", "INBOX").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn clamd_refuses_what_its_signature_knows() {
    let config = "DatabaseDirectory DIR/signatures\nLocalSocket DIR/socket\nForeground yes\nTemporaryDirectory DIR\n\
                  StreamMaxLength 1M\n";
    // The test file of the European Institute for Computer Antivirus Research, which is nowhere whole in this one.
    let eicar = [
        "X5O!P%@AP[4\\PZX54(P^)7CC)7}$",
        "EICAR-STANDARD-ANTIVIRUS-TEST-FILE",
        "!$H+H*",
    ]
    .concat();
    let signature = |folder: &Path| {
        let mut line = String::from("Own.Eicar:0:*:");
        for octet in eicar.bytes() {
            write!(line, "{octet:02x}").unwrap();
        }
        std::fs::create_dir(folder.join("signatures")).unwrap();
        std::fs::write(folder.join("signatures/own.ndb"), line + "\n").unwrap();
    };
    let Some(clamd) = Program::start("clamd", config, signature, &["--config-file=DIR/config"]) else {
        return;
    };
    let site = clamd.asked_by(FilterKind::Clamd).await;
    site.send("carol@c.test", &BOB, &message("hello", "Hello"), "250")
        .await;
    let refusal = "554 5.7.1 The message holds a virus: Own.Eicar";
    site.send("carol@c.test", &BOB, &message("hello", &eicar), refusal)
        .await;
    // More than clamd takes, by its own configuration: nothing is known about it.
    let long = message("hello", &"0123456789abcdef0123456789abcdef\r\n".repeat(60_000));
    site.send("carol@c.test", &BOB, &long, "451 4.7.1").await;
    assert_eq!(site.mail("bob@b.test", "INBOX").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn spamassassin_knows_gtube() {
    let arguments = [
        "--nouser-config",
        "--local",
        "--max-children=1",
        "--min-children=1",
        "--socketpath=DIR/socket",
        "--pidfile=DIR/pid",
        "--syslog=stderr",
    ];
    let Some(spamd) = Program::start("spamd", "", |_| {}, &arguments) else {
        return;
    };
    let kind = FilterKind::Spamd {
        user: None,
        reject: None,
    };
    let site = spamd.asked_by(kind).await;
    site.send("carol@c.test", &BOB, &message("hello", "Hello"), "250")
        .await;
    let inbox = site.mail("bob@b.test", "INBOX").await;
    assert!(
        inbox
            .first()
            .is_some_and(|it| it.contains("\r\nX-Spam-Status: No, score=")),
        "{inbox:?} {}",
        spamd.log()
    );
    site.send("carol@c.test", &BOB, &message("hello", GTUBE), "250")
        .await;
    let junk = site.mail("bob@b.test", "Junk").await.remove(0);
    assert!(
        junk.contains("X-Spam-Flag: YES\r\n") && junk.contains("GTUBE"),
        "{junk}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn opendkim_signs_and_verifies() {
    if find("openssl").is_none() {
        return;
    }
    let config = "Socket local:DIR/socket\nDomain b.test\nSelector sel\nKeyFile DIR/key\nTestPublicKeys DIR/keys\n\
                  InternalHosts 127.0.0.1\nMode sv\nAlwaysAddARHeader yes\nAuthservID opendkim.test\nPidFile DIR/pid\n\
                  Syslog no\nRequireSafeKeys no\n";
    let keys = |folder: &Path| {
        let run = |command: &str| {
            let done = Command::new("sh")
                .current_dir(folder)
                .args(["-ec", command])
                .output()
                .unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        run("openssl genrsa -traditional -out key 2048 && chmod 600 key");
        run("printf 'sel._domainkey.b.test v=DKIM1; k=rsa; p=%s\\n' \
             \"$(openssl rsa -in key -pubout -outform DER | openssl base64 -A)\" > keys");
    };
    let Some(opendkim) = Program::start("opendkim", config, keys, &["-f", "-x", "DIR/config"]) else {
        return;
    };
    let site = opendkim.asked_by(FilterKind::Milter).await;
    let mut own = site.submit_as("bob@b.test").await;
    let text = message("hello", "Hello\r\nand more").replace("Carol <carol@c.test>", "Bob <bob@b.test>");
    transfer(&mut own, "bob@b.test", &["alice@b.test"], &text, "250").await;
    let signed = site.mail("alice@b.test", "INBOX").await.remove(0);
    let at = signed
        .find("DKIM-Signature: ")
        .unwrap_or_else(|| panic!("{signed} {}", opendkim.log()));
    assert!(signed[at..].contains("d=b.test; s=sel;"), "{signed}");
    assert!(at < signed.find("From: ").unwrap(), "{signed}");
    // The same message from outside, as it was and changed on its way.
    let signed = &signed[at..];
    // Behind it stands the trace field of this server, which it does not cover.
    for (sent, want) in [
        (signed.to_owned(), "dkim=pass"),
        (signed.replace("and more", "and less"), "dkim=fail"),
    ] {
        let mut c = site.connect("smtp").await;
        c.say("XCLIENT ADDR=198.51.100.1", "220").await;
        c.say("EHLO client.example", "250").await;
        transfer(&mut c, "bob@b.test", &BOB, &sent, "250").await;
        let mut taken = site.mail("bob@b.test", "INBOX").await;
        taken.extend(site.mail("bob@b.test", "Junk").await);
        let results: Vec<_> = taken.iter().filter(|it| it.contains("opendkim.test")).collect();
        assert!(
            results.iter().any(|it| it.contains(want)),
            "{want}: {taken:#?} {}",
            opendkim.log()
        );
    }
}
