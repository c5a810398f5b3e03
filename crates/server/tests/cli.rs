//! The program itself: what it prints, what it returns, and that it stops when it is told to.

#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

#[path = "support/dns.rs"]
mod dns;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn mailwright(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailwright"));
    command
        .args(arguments)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null());
    command
}

fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = mailwright(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Whoever is refused for its name reads no password.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> (bool, String, String) {
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
    (
        output.status.success(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn the_example_goes_through_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mailwright.toml");
    let path_text = path.to_str().unwrap();
    let (ok, example, _) = said(&run(&["config", "example"], ""));
    assert!(ok);
    std::fs::write(&path, &example).unwrap();
    let (ok, out, err) = said(&run(&["config", "check", "--config", path_text], ""));
    assert!(ok && out.contains("no mistakes"), "{out}{err}");
    std::fs::write(&path, example.replacen("hostname", "hostnam", 1)).unwrap();
    for arguments in [
        ["config", "check", "--config", path_text].as_slice(),
        &["serve", "--check", "--config", path_text],
    ] {
        let (ok, _, err) = said(&run(arguments, ""));
        assert!(
            !ok && err.contains("mailwright.toml:6:1: unknown field `hostnam`"),
            "{err}"
        );
    }
}

#[test]
fn the_check_looks_into_certificates_and_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let check = || {
        said(&run(
            &["config", "check", "--config", file("m.toml").to_str().unwrap()],
            "",
        ))
    };
    let text = "hostname = \"mail.a.test\"\ndomains = [\"a.test\"]\ndata = \"data\"\n\
        accounts_file = \"accounts.toml\"\n[tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n";
    std::fs::write(file("m.toml"), text).unwrap();
    let (ok, _, err) = check();
    assert!(
        !ok && err.contains("m.toml:5:1:") && err.contains("c.pem: No such file"),
        "{err}"
    );
    std::fs::write(file("c.pem"), "hello").unwrap();
    std::fs::write(file("k.pem"), "hello").unwrap();
    let (ok, _, err) = check();
    assert!(!ok && err.contains("c.pem: holds no certificate"), "{err}");
    let made = rcgen::generate_simple_self_signed(vec!["mail.a.test".into()]).unwrap();
    std::fs::write(file("c.pem"), made.cert.pem()).unwrap();
    let (ok, _, err) = check();
    assert!(!ok && err.contains("k.pem: "), "{err}");
    std::fs::write(file("k.pem"), made.signing_key.serialize_pem()).unwrap();
    let (ok, _, err) = check();
    assert!(ok, "{err}");
    std::fs::write(file("accounts.toml"), "[[account]]\nname = \"nobody\"\n").unwrap();
    let (ok, _, err) = check();
    assert!(!ok && err.contains("accounts.toml:2:8:"), "{err}");
    assert!(!file("data").exists(), "looking changes nothing");
}

#[test]
fn accounts_are_edited() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let account = |arguments: &[&str], input: &str| {
        said(&run(
            &[&["account"], arguments, &["--data", data]].concat(),
            input,
        ))
    };
    let list = || account(&["list"], "").1;
    assert_eq!(list(), "");
    assert!(account(&["add", "alice@a.test"], "secret\n").0);
    assert!(account(&["add", "bob@a.test"], "secret").0);
    let (ok, _, err) = account(&["add", "ALICE@a.test"], "x\n");
    assert!(!ok && err.contains("is there already"), "{err}");
    assert!(!account(&["add", "carol@a.test"], "\n").0, "an empty password");
    assert!(!account(&["add", "not an address"], "x\n").0);
    assert_eq!(list(), "alice@a.test\nbob@a.test\n");
    let before = std::fs::read_to_string(folder.path().join("accounts.toml")).unwrap();
    assert!(!before.contains("secret"));
    assert!(account(&["passwd", "bob@a.test"], "other\n").0);
    assert_ne!(
        std::fs::read_to_string(folder.path().join("accounts.toml")).unwrap(),
        before
    );
    assert!(account(&["remove", "bob@a.test"], "").0);
    let (ok, _, err) = account(&["remove", "bob@a.test"], "");
    assert!(!ok && err.contains("there is no account bob@a.test"), "{err}");
    assert_eq!(list(), "alice@a.test\n");
}

#[test]
fn hashes_for_the_configuration_pass_its_check() {
    let folder = tempfile::tempdir().unwrap();
    let (ok, hashes, _) = said(&run(&["account", "hash"], "secret\n"));
    assert!(
        ok && hashes.starts_with("password = \"$argon2id$") && hashes.contains("scram = \"SCRAM-SHA-256$")
    );
    let path = folder.path().join("mailwright.toml");
    let text = format!(
        "hostname = \"mail.a.test\"\ndomains = [\"a.test\"]\ndata = \"data\"\n[[account]]\nname = \"x@a.test\"\n{hashes}"
    );
    std::fs::write(&path, text).unwrap();
    let (ok, _, err) = said(&run(&["config", "check", "--config", path.to_str().unwrap()], ""));
    assert!(ok, "{err}");
}

/// A `localserve` that runs; ended when dropped.
struct LocalServe {
    child: Child,
    offset: i32,
    welcome: String,
}

impl LocalServe {
    fn start(data: &Path, more: &[&str]) -> Self {
        for attempt in 0..50 {
            let offset = 5_000 + ((std::process::id() * 97 + attempt * 131) % 50_000) as i32;
            match Self::try_start(data, offset, more) {
                Ok(running) if running.welcome.contains("LMTP port") => return running,
                Ok(_) => {}
                Err(error) if error.contains("Another program has this port") => {}
                Err(error) => panic!("{error}"),
            }
        }
        panic!("no ports are free")
    }

    fn try_start(data: &Path, offset: i32, more: &[&str]) -> Result<Self, String> {
        let offset_text = offset.to_string();
        let data = data.to_str().unwrap();
        let arguments = [
            &["localserve", "--data", data, "--port-offset", &offset_text],
            more,
        ]
        .concat();
        let mut child = mailwright(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut welcome = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        while !welcome.contains("Mail for other domains") {
            if out.read_line(&mut welcome).unwrap() == 0 {
                let mut error = String::new();
                child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
                assert!(!child.wait().unwrap().success());
                return Err(error);
            }
        }
        Ok(Self {
            child,
            offset,
            welcome,
        })
    }

    fn port(&self, usual: u16) -> u16 {
        u16::try_from(i32::from(usual) + self.offset).unwrap()
    }

    fn greeting(&self, usual: u16) -> String {
        let mut line = String::new();
        let stream = TcpStream::connect(("127.0.0.1", self.port(usual))).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line
    }

    /// What is answered to a request over HTTP.
    fn get(&self, usual: u16, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port(usual))).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    }

    fn terminate(&mut self) {
        let begun = Instant::now();
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
        while begun.elapsed() < Duration::from_secs(15) {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not stop");
    }
}

impl Drop for LocalServe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn localserve_runs_without_configuration_and_keeps_its_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut first = LocalServe::start(
        &data,
        &["--account", "carol:pw:with:colons", "--account", "x@a.test:pw"],
    );
    for person in ["alice@localhost", "bob@localhost", "carol@localhost", "x@a.test"] {
        assert!(
            first.welcome.contains(&format!("  {person}")),
            "{}",
            first.welcome
        );
    }
    assert!(
        first.welcome.contains("password pw:with:colons"),
        "{}",
        first.welcome
    );
    for (port, hello) in [
        (2025, "220 "),
        (2587, "220 "),
        (2024, "220 "),
        (2143, "* OK "),
        (2110, "+OK "),
    ] {
        let greeting = first.greeting(port);
        assert!(greeting.starts_with(hello), "{port}: {greeting}");
    }
    for port in [2465, 2993, 2995] {
        TcpStream::connect(("127.0.0.1", first.port(port))).expect("it listens for TLS");
    }
    first.terminate();
    let accounts = std::fs::read_to_string(data.join("accounts.toml")).unwrap();
    let second = LocalServe::start(&data, &["--account", "carol:pw:with:colons"]);
    let alice = second
        .welcome
        .lines()
        .find(|line| line.starts_with("  alice@localhost"))
        .expect("a line on alice");
    assert!(alice.ends_with(" password as it was set"), "{alice}");
    assert!(
        second.welcome.contains("mailwright account passwd "),
        "{}",
        second.welcome
    );
    assert_eq!(
        std::fs::read_to_string(data.join("accounts.toml")).unwrap(),
        accounts,
        "nothing is made anew"
    );
}

#[test]
fn localserve_tells_programs_of_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = LocalServe::start(&folder.path().join("data"), &["--json-log"]);
    let said = running.get(2080, "/mail/config-v1.1.xml?emailaddress=bob@localhost");
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    let imaps = running.port(2993);
    assert!(
        said.contains("<hostname>localhost</hostname>") && said.contains(&format!("<port>{imaps}</port>")),
        "{said}"
    );
    let (http, metrics) = (running.port(2080), running.port(2090));
    for line in [
        format!("http://localhost:{http}/mail/config-v1.1.xml?emailaddress=bob@localhost"),
        format!("http://localhost:{metrics}/healthz"),
    ] {
        assert!(running.welcome.contains(&line), "{line}: {}", running.welcome);
    }
    let said = running.get(2090, "/healthz");
    assert!(
        said.starts_with("HTTP/1.1 200 ") && said.ends_with("\r\n\r\nok\n"),
        "{said}"
    );
    assert!(running.get(2090, "/metrics").contains("\nmailwright_build_info{"));
    running.terminate();
    let mut log = String::new();
    running
        .child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .unwrap();
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert!(
        lines.iter().any(|line| line["fields"]["message"] == "listening"),
        "{log}"
    );
}

#[test]
fn localserve_does_without_lmtp_where_its_port_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    for attempt in 0..20 {
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let offset = i32::from(other.local_addr().unwrap().port()) - 2024;
        let data = folder.path().join(attempt.to_string());
        match LocalServe::try_start(&data, offset, &[]) {
            Ok(running) => {
                assert!(running.welcome.contains("no LMTP"), "{}", running.welcome);
                assert!(running.greeting(2025).starts_with("220 "));
                return;
            }
            // The ports beside it are not ours to choose.
            Err(error) => assert!(
                error.contains("Another program has this port") || error.contains("leave the range"),
                "{error}"
            ),
        }
    }
    panic!("no ports are free");
}

#[test]
fn a_second_localserve_says_what_is_in_its_way() {
    let folder = tempfile::tempdir().unwrap();
    let first = LocalServe::start(&folder.path().join("one"), &[]);
    let told = LocalServe::try_start(&folder.path().join("two"), first.offset, &[])
        .err()
        .expect("it does not start");
    assert!(
        told.contains("Another program has this port") && told.contains("--port-offset"),
        "{told}"
    );
    let told = LocalServe::try_start(&folder.path().join("one"), first.offset + 1, &[])
        .err()
        .expect("it does not start");
    assert!(told.contains("in use by another process"), "{told}");
    let (ok, _, err) = said(&run(&["localserve", "--port-offset", "99999"], ""));
    assert!(!ok && err.contains("would leave the range"), "{err}");
}

#[test]
fn route_explain_tells_where_mail_goes_and_why() {
    let zone = dns::Zone::new()
        .authentic()
        .mx("b.test", 10, "mx.b.test")
        .a("mx.b.test", "192.0.2.1")
        .mx("null.test", 0, ".");
    let server = dns::DnsServer::start(zone);
    let resolver = server.address().to_string();
    let explain = |more: &[&str]| {
        let arguments = [&["route", "explain", "--resolver", &resolver], more].concat();
        said(&run(&arguments, ""))
    };
    let (success, out, err) = explain(&["b.test"]);
    assert!(success, "{out}{err}");
    for line in [
        "the resolver validates DNSSEC\n",
        "b.test has MX records (secure): 10 mx.b.test\n",
        "MTA-STS is not announced\n",
        "try mx.b.test at 192.0.2.1:25 (mail exchanger, preference 10, DNS secure, TLS opportunistic: no policy is published)\n",
    ] {
        assert!(out.contains(line), "{line}{out}");
    }
    let (success, out, _) = explain(&["--require-tls", "b.test"]);
    assert!(
        success && out.contains("TLS required, verified certificate: the sender requires TLS"),
        "{out}"
    );
    let (success, out, err) = explain(&["null.test"]);
    assert!(
        !success && out.contains("556 5.1.10") && err.contains("cannot be sent there"),
        "{out}{err}"
    );
    let (success, _, err) = explain(&["no domain"]);
    assert!(!success && err.contains("no domain: "), "{err}");
}
