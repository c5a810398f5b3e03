//! The program, with a configuration that changes.

use super::support::lines::Lines;
use mailwright_server::accounts::hash_password;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

/// Longer than anything takes that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A configuration file.
pub(crate) struct Settings {
    pub(crate) hostname: &'static str,
    pub(crate) domains: &'static [&'static str],
    /// Lines ahead of all sections.
    pub(crate) more: String,
    /// Sections.
    pub(crate) sections: String,
    /// Names and protocols; all at free ports of 127.0.0.1, unless an address stands behind.
    pub(crate) listeners: Vec<(&'static str, &'static str, &'static str)>,
}

/// Where no address is told.
pub(crate) const ANYWHERE: &str = "127.0.0.1:0";

impl Settings {
    pub(crate) fn new(hostname: &'static str) -> Self {
        Self {
            hostname,
            domains: &["a.test"],
            more: String::new(),
            sections: String::new(),
            listeners: vec![("smtp", "smtp", ANYWHERE)],
        }
    }

    /// Adds an account whose password is `secret`.
    pub(crate) fn account(mut self, name: &str) -> Self {
        // One for all: another hash is another password, which ends sessions.
        static HASH: LazyLock<String> = LazyLock::new(|| hash_password(&"secret".into()));
        let hash = &*HASH;
        let _ = write!(
            self.sections,
            "[[account]]\nname = \"{name}\"\npassword = \"{hash}\"\n"
        );
        self
    }

    pub(crate) fn write(&self, folder: &Path) {
        let mut text = format!(
            "hostname = \"{}\"\ndomains = {:?}\ndata = \"data\"\nplaintext_login = \"loopback\"\n{}\n",
            self.hostname, self.domains, self.more
        );
        text += "[outbound]\nenabled = false\n";
        for (name, protocol, address) in &self.listeners {
            let _ = write!(
                text,
                "[[listener]]\nname = \"{name}\"\naddress = \"{address}\"\nprotocol = \"{protocol}\"\n"
            );
            if *name == "imaps" {
                text += "tls = \"implicit\"\n";
            }
        }
        text += &self.sections;
        // At once or not at all: a server may read it at any moment.
        let written = folder.join("mailwright.toml.new");
        std::fs::write(&written, text).unwrap();
        std::fs::rename(written, config(folder)).unwrap();
    }
}

pub(crate) fn config(folder: &Path) -> PathBuf {
    folder.join("mailwright.toml")
}

/// The command that serves the configuration of a folder.
pub(crate) fn serve(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailwright"));
    command.arg("serve").arg("--config").arg(config(folder));
    command
}

/// The program as a process; killed at the end.
pub(crate) struct Program {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.env("RUST_LOG", "info").env("NO_COLOR", "1");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Arc::<Mutex<String>>::default();
        let (lines, kept) = (BufReader::new(child.stderr.take().unwrap()).lines(), log.clone());
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut log = kept.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { child, log }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits for some words in the log.
    pub(crate) async fn says(&mut self, words: &str) {
        let begun = Instant::now();
        while !self.log().contains(words) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended, {ended:?}:\n{}", self.log());
            assert!(begun.elapsed() < PATIENCE, "no {words:?} in:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where a listener listens.
    pub(crate) async fn address(&mut self, name: &str) -> SocketAddr {
        let words = format!("listening listener=\"{name}\" address=");
        self.says(&words).await;
        let log = self.log();
        let rest = log.split(&words).nth(1).unwrap();
        rest.split_whitespace().next().unwrap().parse().unwrap()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .arg(signal)
            .arg(self.id().to_string())
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits for the end; whether it was a good one.
    pub(crate) async fn ended(&mut self) -> bool {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            assert!(begun.elapsed() < PATIENCE, "it goes on:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(crate) async fn line(lines: &mut Lines) -> String {
    String::from_utf8(lines.line().await.expect("a line")).unwrap()
}

/// The first line that a server says.
pub(crate) async fn greeting(at: SocketAddr) -> String {
    line(&mut Lines::connect(at).await).await
}
