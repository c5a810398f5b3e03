//! `pop3_over_maildir` and `pop_fetch`, with each other and with a whole server.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)] // runs programs, over sockets

use bytes::Bytes;
use mailwright_mailbox::{Account, Batch, MemoryStore, Store};
use mailwright_server::accounts::set_password;
use mailwright_server::config::{AccountEntry, ListenerConfig, Protocol, TlsMode};
use mailwright_server::delivery::MessageWriter;
use mailwright_server::{Config, Running, Server, unix_now};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const SERVE: &str = env!("CARGO_BIN_EXE_pop3_over_maildir");
const FETCH: &str = env!("CARGO_BIN_EXE_pop_fetch");

/// A Maildir with these messages.
fn maildir(folder: &Path, messages: &[&str]) -> PathBuf {
    let maildir = folder.join("served");
    for sub in ["tmp", "new", "cur"] {
        std::fs::create_dir_all(maildir.join(sub)).unwrap();
    }
    for (n, message) in messages.iter().enumerate() {
        let path = match n % 2 {
            0 => maildir.join("new").join(format!("17000000{n:02}.M1P1.host")),
            _ => maildir.join("cur").join(format!("17000000{n:02}.M1P1.host:2,S")),
        };
        std::fs::write(path, message).unwrap();
    }
    maildir
}

struct Serving(Child, String);

impl Serving {
    fn start(maildir: &Path, more: &[&str]) -> Self {
        let mut child = Command::new(SERVE)
            .args(["--user", "bob", "--listen", "127.0.0.1:0"])
            .args(more)
            .arg(maildir)
            .env("PASSWORD", "s3cret")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().strip_prefix("listening at ").unwrap().to_owned();
        Self(child, address)
    }

    /// Says all this, and returns all answers.
    fn talk(&self, text: &str) -> String {
        let mut socket = TcpStream::connect(&self.1).unwrap();
        socket.write_all(text.replace('\n', "\r\n").as_bytes()).unwrap();
        let mut said = String::new();
        socket.read_to_string(&mut said).unwrap();
        said.replace("\r\n", "\n")
    }

    fn url(&self) -> String {
        format!("pop3://bob@{}", self.1)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn fetch(folder: &Path, password: &str, arguments: &[&str]) -> Output {
    Command::new(FETCH)
        .current_dir(folder)
        .args(arguments)
        .env("POP3_PASSWORD", password)
        .output()
        .unwrap()
}

fn fetched(folder: &Path, password: &str, arguments: &[&str]) -> String {
    let output = fetch(folder, password, arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    said.trim().to_owned()
}

/// The texts of the messages in a Maildir.
fn texts(maildir: &Path) -> BTreeSet<String> {
    let folders = ["new", "cur"].map(|sub| std::fs::read_dir(maildir.join(sub)).unwrap());
    let read =
        |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(entry.unwrap().path()).unwrap();
    let texts: Vec<_> = folders.into_iter().flatten().map(read).collect();
    assert_eq!(std::fs::read_dir(maildir.join("tmp")).unwrap().count(), 0);
    let set: BTreeSet<_> = texts.iter().cloned().collect();
    assert_eq!(set.len(), texts.len(), "a message is there twice");
    set
}

const ONE: &str = "Subject: one\n\n.dot\nFrom me\n>From you\n";
const TWO: &str = "Subject: two\n\nno end";

#[test]
fn a_maildir_is_served_and_nothing_is_removed_unless_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let served = maildir(folder.path(), &[ONE, TWO]);
    let serving = Serving::start(&served, &[]);
    let login = "USER bob\nPASS s3cret\n";
    let said = serving.talk(&format!("{login}LIST\nRETR 1\nTOP 2 0\nDELE 1\nQUIT\n"));
    let listing = said.split_once("+OK 2 messages (66 octets)\n").expect(&said).1;
    assert_eq!(
        listing,
        "1 42\n2 24\n.\n+OK 42 octets\nSubject: one\n\n..dot\nFrom me\n>From you\n.\n\
         +OK top of message follows\nSubject: two\n\n.\n+OK message 1 deleted\n\
         -ERR [SYS/PERM] messages stay here: the maildrop is read-only\n"
    );
    assert!(
        serving
            .talk("USER bob\nPASS wrong\nQUIT\n")
            .contains("-ERR [AUTH]")
    );
    assert!(
        serving
            .talk("USER eve\nPASS s3cret\nQUIT\n")
            .contains("-ERR [AUTH]")
    );
    assert_eq!(texts(&served).len(), 2);
    let uidl = |serving: &Serving| {
        let said = serving.talk(&format!("{login}UIDL\nQUIT\n"));
        said.lines()
            .filter_map(|l| l.split_once(' ')?.1.parse::<u128>().err().map(|_| l.to_owned()))
            .collect::<Vec<_>>()
    };
    let before = uidl(&serving);
    drop(serving);

    let serving = Serving::start(&served, &["--delete"]);
    assert_eq!(uidl(&serving), before, "unique ids stay over restarts");
    // One session has it, and the other one is told; a connection that drops removes nothing.
    let mut first = TcpStream::connect(&serving.1).unwrap();
    first
        .write_all(b"USER bob\r\nPASS s3cret\r\nDELE 1\r\nDELE 2\r\n")
        .unwrap();
    let mut said = String::new();
    let mut reader = BufReader::new(&first);
    while !said.contains("2 deleted") {
        reader.read_line(&mut said).unwrap();
    }
    assert!(serving.talk(&format!("{login}QUIT\n")).contains("-ERR [IN-USE]"));
    drop(first);
    while serving.talk(&format!("{login}QUIT\n")).contains("-ERR [IN-USE]") {}
    assert_eq!(texts(&served).len(), 2);
    assert!(
        serving
            .talk(&format!("{login}DELE 1\nQUIT\n"))
            .contains("+OK 1 messages deleted")
    );
    assert_eq!(texts(&served), BTreeSet::from([TWO.to_owned()]));
}

#[test]
fn a_certificate_that_nobody_knows_is_not_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let served = maildir(folder.path(), &[ONE]);
    let serving = Serving::start(&served, &["--delete"]);
    let from = serving.url();
    let to = [
        "--from",
        &from,
        "--maildir",
        "got",
        "--in-clear",
        "--ca",
        "none.pem",
    ];
    let output = fetch(folder.path(), "s3cret", &to);
    assert_eq!(output.status.code(), Some(75));
    assert!(String::from_utf8_lossy(&output.stderr).contains("none.pem"));
    let output = fetch(folder.path(), "s3cret", &to[..4]);
    assert_eq!(output.status.code(), Some(75), "{output:?}");
    assert!(texts(&folder.path().join("got")).is_empty());
    assert_eq!(texts(&served).len(), 1);
}

/// A whole server for bob, with STLS and TLS.
struct Site {
    runtime: tokio::runtime::Runtime,
    running: Option<Running<MemoryStore>>,
    folder: tempfile::TempDir,
}

impl Site {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new("localhost".parse().unwrap(), folder.path());
        config.domains = vec!["a.test".parse().unwrap()];
        let mut bob = AccountEntry::new("bob@a.test".parse().unwrap());
        set_password(&mut bob, &"s3cret".into());
        config.accounts.push(bob);
        for (name, tls) in [
            ("pop3", TlsMode::Starttls),
            ("pop3s", TlsMode::Implicit),
            ("clear", TlsMode::None),
        ] {
            let listener = ListenerConfig::new(Protocol::Pop3, "127.0.0.1:0".parse().unwrap());
            config.listeners.push(listener.with_tls(tls).with_name(name));
        }
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let server = Server::builder(config).store(MemoryStore::default());
        let running = runtime.block_on(server.start()).unwrap();
        Self {
            runtime,
            running: Some(running),
            folder,
        }
    }

    fn url(&self, listener: &str) -> String {
        let scheme = if listener == "pop3s" { "pop3s" } else { "pop3" };
        let port = self.running.as_ref().unwrap().address(listener).unwrap().port();
        format!("{scheme}://bob@a.test@localhost:{port}")
    }

    fn deliver(&self, message: &str) {
        let store = &self.running.as_ref().unwrap().shared().store;
        self.runtime.block_on(async {
            let mut writer = MessageWriter::new(store);
            writer
                .write(Bytes::from(message.replace('\n', "\r\n")))
                .await
                .unwrap();
            let written = writer.finish(store).await.unwrap();
            let bob = Account::new("bob@a.test");
            let mut batch = Batch::new(unix_now());
            batch.ops = written.deliver_to(store, &[bob], &[]).await.unwrap();
            store.commit(batch).await.unwrap();
        });
    }

    /// Runs `pop_fetch`, which must succeed.
    fn fetch(&self, listener: &str, more: &[&str]) -> String {
        let (from, ca) = (self.url(listener), self.folder.path().join("tls/self-made.crt"));
        let mut arguments = vec!["--from", &from, "--ca", ca.to_str().unwrap()];
        arguments.extend(more);
        fetched(self.folder.path(), "s3cret", &arguments)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.shutdown());
        }
    }
}

#[test]
fn a_server_is_emptied_as_slowly_as_one_likes() {
    let site = Site::start();
    let many: Vec<_> = (0..120)
        .map(|n| format!("Subject: {n}\n\n{}", "line\n".repeat(n * 10)))
        .collect();
    for message in &many {
        site.deliver(message);
    }
    site.deliver(ONE);
    let got = ["--maildir", "got"];
    assert_eq!(
        site.fetch("pop3", &got),
        "121 fetched, 0 deleted, 121 left on the server"
    );
    let mut want: BTreeSet<String> = many.into_iter().collect();
    want.insert(ONE.to_owned());
    assert_eq!(texts(&site.folder.path().join("got")), want);
    // What is there is not fetched again, whatever way one comes.
    assert_eq!(
        site.fetch("pop3s", &got),
        "0 fetched, 0 deleted, 121 left on the server"
    );
    site.deliver("Subject: gr\u{fc}\u{df}e\n\n");
    assert_eq!(
        site.fetch("pop3", &[&got[..], &["--keep", "1"]].concat()),
        "1 fetched, 0 deleted, 122 left on the server"
    );
    // In UTF-8 mode a header comes as it is.
    assert!(texts(&site.folder.path().join("got")).contains("Subject: gr\u{fc}\u{df}e\n\n"));
    assert_eq!(
        site.fetch("pop3s", &[&got[..], &["--keep", "0"]].concat()),
        "0 fetched, 122 deleted, 0 left on the server"
    );
    assert_eq!(texts(&site.folder.path().join("got")).len(), 122);
    assert_eq!(
        site.fetch("pop3s", &got),
        "0 fetched, 0 deleted, 0 left on the server"
    );
    // Into an mbox, and off the server at once.
    site.deliver(ONE);
    site.deliver("Subject: two\n\nno end");
    assert_eq!(
        site.fetch("pop3", &["--mbox", "box", "--keep", "no", "--progress", "always"]),
        "2 fetched, 2 deleted, 0 left on the server"
    );
    let separator = "From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n";
    assert_eq!(
        std::fs::read_to_string(site.folder.path().join("box")).unwrap(),
        format!(
            "{separator}Subject: one\n\n.dot\n>From me\n>>From you\n\n{separator}Subject: two\n\nno end\n\n"
        )
    );
    assert!(!site.folder.path().join("box.part").exists());
}

#[test]
fn what_can_go_wrong_is_said() {
    let site = Site::start();
    let (clear, ca) = (site.url("clear"), site.folder.path().join("tls/self-made.crt"));
    let fetch = |password: &str, from: &str, more: &[&str]| {
        let arguments = [&["--from", from, "--ca", ca.to_str().unwrap()], more].concat();
        let output = fetch(site.folder.path(), password, &arguments);
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let got = ["--maildir", "got"];
    let (code, said) = fetch("s3cret", &clear, &got);
    assert_eq!(code, Some(75));
    assert!(said.contains("use pop3s://, or --in-clear"), "{said}");
    let (code, said) = fetch("wrong", &site.url("pop3s"), &got);
    assert_eq!(code, Some(75));
    assert!(
        said.contains("bob@a.test at localhost") && said.contains("wrong user name"),
        "{said}"
    );
    let (code, said) = fetch("s3cret", "imap://bob@a.test", &got);
    assert_eq!(code, Some(2));
    assert!(said.contains("must begin with pop3s:// or pop3://"), "{said}");
    let (code, said) = fetch("s3cret", &site.url("pop3s"), &[]);
    assert_eq!(code, Some(2));
    assert!(said.contains("--maildir") && said.contains("--mbox"), "{said}");
    std::fs::write(site.folder.path().join("pop_fetch.state"), "nonsense").unwrap();
    let (code, said) = fetch("s3cret", &site.url("pop3s"), &got);
    assert_eq!(code, Some(75));
    assert!(said.contains("pop_fetch.state: line 1 is not"), "{said}");
}

/// Debian's Dovecot on a Maildir of bob's, with STLS and TLS. It must be started as root.
struct Dovecot {
    child: Child,
    folder: tempfile::TempDir,
    ports: [u16; 2],
}

impl Dovecot {
    const NOBODY: u32 = 65_534;

    /// `None` if it cannot be run here, which is said.
    fn start() -> Option<Self> {
        use std::os::unix::fs::PermissionsExt;
        let shell = |command: &str| Command::new("sh").args(["-c", command]).output().unwrap();
        let has_pop3 = "command -v dovecot && test -e /usr/lib/dovecot/pop3 && test $(id -u) = 0";
        if !shell(has_pop3).status.success() {
            println!("SKIPPED: dovecot with POP3 is not installed, or this is not root");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(path.join("chain.pem"), made.cert.pem()).unwrap();
        std::fs::write(path.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let ports = [free(), free()].map(|listener| listener.local_addr().unwrap().port());
        let at = path.display();
        let config = format!(
            "base_dir = {at}/run\nstate_dir = {at}/state\nprotocols = pop3\nlisten = 127.0.0.1\n\
             log_path = {at}/log\nssl = yes\nssl_cert = <{at}/chain.pem\nssl_key = <{at}/key.pem\n\
             auth_mechanisms = plain login scram-sha-256\nmail_location = maildir:{at}/mail\nfirst_valid_uid = 1\n\
             passdb {{\n driver = static\n args = password=s3cret\n}}\n\
             userdb {{\n driver = static\n args = uid={nobody} gid={nobody} home={at}/mail\n}}\n\
             service pop3-login {{\n inet_listener pop3 {{\n port = {}\n }}\n inet_listener pop3s {{\n port = {}\n \
             ssl = yes\n }}\n}}\n",
            ports[0],
            ports[1],
            nobody = Self::NOBODY,
        );
        std::fs::write(path.join("dovecot.conf"), config).unwrap();
        for sub in ["mail", "mail/new", "mail/cur", "mail/tmp"] {
            std::fs::create_dir(path.join(sub)).unwrap();
            Self::give_away(&path.join(sub));
        }
        let mut child = Command::new("dovecot")
            .arg("-F")
            .arg("-c")
            .arg(path.join("dovecot.conf"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for port in ports {
            for _ in 0..600 {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    break;
                }
                assert!(child.try_wait().unwrap().is_none(), "dovecot ended");
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        }
        Some(Self { child, folder, ports })
    }

    fn give_away(path: &Path) {
        std::os::unix::fs::chown(path, Some(Self::NOBODY), Some(Self::NOBODY)).unwrap();
    }

    fn deliver(&self, name: &str, text: &str) {
        let path = self.folder.path().join("mail/new").join(name);
        std::fs::write(&path, text).unwrap();
        Self::give_away(&path);
    }

    fn fetch(&self, more: &[&str]) -> String {
        let ca = self.folder.path().join("chain.pem");
        fetched(
            self.folder.path(),
            "s3cret",
            &[&["--ca", ca.to_str().unwrap()], more].concat(),
        )
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // It stops the processes it has started, which it could not after SIGKILL.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

#[test]
fn dovecot_is_emptied_as_slowly_as_one_likes() {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    let texts_of = |n: u32| format!("Subject: {n}\n\n.{}", ".dot\nline\n".repeat(n as usize * 50));
    for n in 0..40 {
        dovecot.deliver(&format!("17000000{n:02}.M1P1.host"), &texts_of(n));
    }
    let from = [
        format!("pop3://bob@localhost:{}", dovecot.ports[0]),
        format!("pop3s://bob@localhost:{}", dovecot.ports[1]),
    ];
    let got = |url: &str, keep: &str| dovecot.fetch(&["--from", url, "--maildir", "got", "--keep", keep]);
    assert_eq!(
        got(&from[0], "forever"),
        "40 fetched, 0 deleted, 40 left on the server"
    );
    dovecot.deliver("1700000040.M1P1.host", &texts_of(40));
    assert_eq!(got(&from[1], "7"), "1 fetched, 0 deleted, 41 left on the server");
    let want = |n: u32| format!("{}{}", texts_of(n), if n == 0 { "\n" } else { "" });
    assert_eq!(
        texts(&dovecot.folder.path().join("got")),
        (0..=40).map(want).collect()
    );
    assert_eq!(got(&from[0], "0"), "0 fetched, 41 deleted, 0 left on the server");
    assert_eq!(
        got(&from[1], "forever"),
        "0 fetched, 0 deleted, 0 left on the server"
    );
}
