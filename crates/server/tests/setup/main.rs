//! Setting up a server and looking after it by commands: `quickstart`, `doctor`, and changes that a running server sees.

#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

#[path = "../support/dns.rs"]
mod dns;
mod doctor;
mod live;
mod published;
mod quickstart;
mod sendmail;
mod settings;
mod users;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a command said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    /// What a command said that did what it should.
    fn fine(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out
    }

    /// Why a command did not do it.
    fn refused(self) -> String {
        assert_ne!(self.code, Some(0), "{}", self.out);
        self.err
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn run_with(arguments: &[&str], input: &[u8]) -> Said {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mailwright"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Whoever needs no input reads none.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap().into()
}

fn run(arguments: &[&str]) -> Said {
    run_with(arguments, b"")
}

/// What `quickstart` makes for a.test, with ports that the system gives.
struct Site {
    folder: TempDir,
    /// The password of admin@a.test.
    password: String,
    /// What was printed.
    told: String,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("etc");
        let told = run(&["quickstart", "a.test", "--dir", dir.to_str().unwrap()]).fine();
        let password = told.split("has the password ").nth(1).unwrap();
        let password = password.split_whitespace().next().unwrap().to_owned();
        let site = Self {
            folder,
            password,
            told,
        };
        site.edit(|text| {
            let lines = text.lines().map(|line| match line.starts_with("address = ") {
                true => "address = \"127.0.0.1:0\"",
                false => line,
            });
            lines.map(|line| format!("{line}\n")).collect()
        });
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("etc").join(name)
    }

    fn config(&self) -> String {
        self.path("mailwright.toml").display().to_string()
    }

    fn edit(&self, change: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        std::fs::write(self.config(), change(text)).unwrap();
    }

    /// Runs a command on this site.
    fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, b"")
    }

    fn run_with(&self, arguments: &[&str], input: &[u8]) -> Said {
        let config = self.config();
        run_with(&[arguments, &["--config", &config]].concat(), input)
    }
}

/// A running server.
struct Running {
    child: Child,
    addresses: Vec<(String, SocketAddr)>,
}

impl Running {
    /// Starts the server, and waits until it listens with all its listeners.
    fn start(site: &Site) -> Self {
        let text = std::fs::read_to_string(site.config()).unwrap();
        let listeners = text.lines().filter(|line| *line == "[[listener]]").count();
        let mut child = Command::new(env!("CARGO_BIN_EXE_mailwright"))
            .args(["serve", "--config", &site.config()])
            .env("RUST_LOG", "info")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let (mut addresses, mut said) = (Vec::new(), String::new());
        while addresses.len() < listeners {
            let mut line = String::new();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "the server ended: {said}");
            addresses.extend(listening(&line));
            said += &line;
        }
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut log, &mut std::io::sink());
        });
        let running = Self { child, addresses };
        // The control socket is there a moment later.
        wait_for(|| site.path("data/control.sock").exists());
        running
    }

    fn address(&self, listener: &str) -> SocketAddr {
        self.addresses
            .iter()
            .find(|(name, _)| name == listener)
            .unwrap()
            .1
    }

    fn dial(&self, listener: &str) -> Lines {
        let stream = TcpStream::connect(self.address(listener)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Lines(BufReader::new(stream))
    }

    /// What a listener for HTTP answers to a request without TLS.
    fn get(&self, listener: &str, host: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address(listener)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    }

    /// What the server answers to a recipient, once that begins as it should.
    fn recipient(&self, address: &str, expected: &str) {
        let mut last = String::new();
        let fits = |last: &mut String| {
            let mut smtp = self.dial("smtp");
            smtp.read_reply();
            smtp.ask("HELO client.test");
            smtp.ask("MAIL FROM:<someone@b.example>");
            *last = smtp.ask(&format!("RCPT TO:<{address}>"));
            last.starts_with(expected)
        };
        let end = Instant::now() + PATIENCE;
        while !fits(&mut last) {
            assert!(Instant::now() < end, "{address}: {last} in place of {expected}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A conversation.
struct Lines(BufReader<TcpStream>);

impl Lines {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    /// A whole reply of SMTP.
    fn read_reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let line = self.line();
            reply += &line;
            if line.as_bytes().get(3) != Some(&b'-') {
                return reply;
            }
        }
    }

    fn ask(&mut self, command: &str) -> String {
        write!(self.0.get_mut(), "{command}\r\n").unwrap();
        self.read_reply()
    }

    /// An IMAP command with the tag `t`, and all it is answered by.
    fn imap(&mut self, command: &str) -> String {
        write!(self.0.get_mut(), "t {command}\r\n").unwrap();
        let mut said = String::new();
        loop {
            let line = self.line();
            said += &line;
            if line.starts_with("t ") || line.is_empty() {
                return said;
            }
        }
    }

    /// Reads to the end.
    fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }
}

fn wait_for(mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "it takes too long");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Name and address in a line of the log that tells of a listener.
fn listening(line: &str) -> Option<(String, SocketAddr)> {
    let field = |key: &str| {
        let rest = line.split(key).nth(1)?;
        Some(rest.split_whitespace().next()?.trim_matches('"').to_owned())
    };
    line.contains(" listening").then_some(())?;
    Some((field("listener=")?, field("address=")?.parse().ok()?))
}

fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o7777
}
