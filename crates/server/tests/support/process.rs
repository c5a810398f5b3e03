//! The real binary as a process of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// A running `mailwright serve`, with ports that the system gave.
pub struct Process {
    child: Child,
    addresses: BTreeMap<String, SocketAddr>,
    errors: Arc<Mutex<Vec<String>>>,
}

/// The name, protocol and TLS mode of every listener.
pub const LISTENERS: &[(&str, &str, &str)] = &[
    ("smtp", "smtp", "starttls"),
    ("submission", "submission", "starttls"),
    ("submissions", "submission", "implicit"),
    ("lmtp", "lmtp", "none"),
    ("imap", "imap", "starttls"),
    ("imaps", "imap", "implicit"),
    ("pop3", "pop3", "starttls"),
    ("pop3s", "pop3", "implicit"),
];

impl Process {
    /// Starts the server on the data in `folder`, which is made ready at the first start: alice and bob at
    /// localhost, who may also log in without TLS if `plaintext` says so.
    pub async fn start(folder: &Path, plaintext: bool) -> Self {
        let config = folder.join("mailwright.toml");
        if !config.exists() {
            std::fs::write(&config, configuration(plaintext)).expect("the folder is writable");
            for (name, password) in [("alice@localhost", "wonder land"), ("bob@localhost", "builder")] {
                add_account(&config, name, password).await;
            }
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_mailwright"));
        command.arg("serve").arg("--config").arg(&config);
        command.env("RUST_LOG", "info").env("NO_COLOR", "1");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("the binary starts");
        let mut log = BufReader::new(child.stderr.take().expect("piped")).lines();
        let mut addresses = BTreeMap::new();
        let mut said = String::new();
        while addresses.len() < LISTENERS.len() {
            let line = timeout(Duration::from_secs(60), log.next_line())
                .await
                .expect("the server starts in time");
            let line = line
                .expect("UTF-8")
                .unwrap_or_else(|| panic!("the server ended: {said}"));
            said = format!("{said}{line}\n");
            if let Some((name, address)) = listening(&line) {
                addresses.insert(name, address);
            }
        }
        // The rest of the log must not fill the pipe. Errors are worth seeing.
        let errors = Arc::<Mutex<Vec<String>>>::default();
        let seen = errors.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = log.next_line().await {
                if line.contains("ERROR") || line.contains("panicked") {
                    eprintln!("server: {line}");
                    seen.lock().expect("nothing failed with it").push(line);
                }
            }
        });
        Self {
            child,
            addresses,
            errors,
        }
    }

    /// What the server complained of, also after its end.
    pub fn errors(&self) -> Arc<Mutex<Vec<String>>> {
        self.errors.clone()
    }

    pub fn address(&self, listener: &str) -> SocketAddr {
        self.addresses[listener]
    }

    pub fn addresses(&self) -> &BTreeMap<String, SocketAddr> {
        &self.addresses
    }

    pub fn id(&self) -> u32 {
        self.child.id().expect("the server runs")
    }

    /// Sends SIGKILL and waits until the process is gone.
    pub async fn kill_9(&mut self) {
        self.child.kill().await.expect("the server was running");
    }

    /// Sends SIGTERM and waits for an orderly end.
    pub async fn terminate(mut self) -> ExitStatus {
        let killed = Command::new("kill")
            .arg("-TERM")
            .arg(self.id().to_string())
            .status()
            .await;
        assert!(killed.expect("kill runs").success());
        let ended = timeout(Duration::from_secs(30), self.child.wait()).await;
        ended
            .expect("the server stops in time")
            .expect("it can be waited for")
    }
}

fn configuration(plaintext: bool) -> String {
    let login = if plaintext { "loopback" } else { "never" };
    let mut text = format!(
        "hostname = \"localhost\"\ndomains = [\"localhost\"]\ndata = \"mail\"\nplaintext_login = \"{login}\"\n\
         [outbound]\nenabled = false\n"
    );
    for (name, protocol, tls) in LISTENERS {
        text.push_str(&format!(
            "[[listener]]\nname = \"{name}\"\naddress = \"127.0.0.1:0\"\nprotocol = \"{protocol}\"\ntls = \"{tls}\"\n"
        ));
    }
    text
}

async fn add_account(config: &Path, name: &str, password: &str) {
    use tokio::io::AsyncWriteExt;
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailwright"));
    command
        .args(["account", "add", name, "--config"])
        .arg(config)
        .stdin(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin
        .write_all(format!("{password}\n").as_bytes())
        .await
        .expect("it reads the password");
    drop(stdin);
    assert!(
        child.wait().await.expect("it ends").success(),
        "account add {name}"
    );
}

/// Name and address in a log line that tells of a listener.
fn listening(line: &str) -> Option<(String, SocketAddr)> {
    let field = |key: &str| {
        let from = line.find(key)? + key.len();
        line[from..]
            .split_whitespace()
            .next()
            .map(|v| v.trim_matches('"').to_owned())
    };
    line.contains("listening").then_some(())?;
    Some((field("listener=")?, field("address=")?.parse().ok()?))
}
