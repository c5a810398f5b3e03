//! Programs that nobody here wrote, run against the real binary.

use super::lines::Lines;
use super::process::Process;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The real binary on data of its own.
pub struct Server {
    pub folder: tempfile::TempDir,
    pub process: Process,
}

impl Server {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let process = Process::start(folder.path(), false).await;
        Self { folder, process }
    }

    pub fn port(&self, listener: &str) -> u16 {
        self.process.address(listener).port()
    }

    /// The self-made certificate, which the clients are told to trust.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("mail/tls/self-made.crt")
    }

    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).expect("the folder is writable");
        path
    }

    /// A file that programs which look at that take for one with passwords.
    pub fn private_file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.file(name, content);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
        path
    }

    /// Delivers messages to bob: what `message` says for each number, behind its subject, `message N`.
    pub async fn deliver(&self, numbers: Range<usize>, message: impl Fn(usize) -> String) {
        let mut carol = Lines::connect(self.process.address("smtp")).await;
        carol.reply("220").await;
        carol.say("EHLO client.example", "250").await;
        for n in numbers {
            carol
                .send("MAIL FROM:<carol@elsewhere.example>\r\nRCPT TO:<bob@localhost>\r\nDATA")
                .await;
            for reply in ["250", "250", "354"] {
                carol.reply(reply).await;
            }
            let message = format!("Subject: message {n}\r\n{}\r\n.", message(n));
            carol.say(&message, "250").await;
        }
    }

    /// Runs fetchmail; tells whether it succeeded, and what it said.
    pub fn fetchmail(&self, config: &Path, more: &[&str]) -> (bool, String) {
        let mut command = Command::new("fetchmail");
        let home = self.folder.path();
        command.env("HOME", home).env("FETCHMAILHOME", home);
        run(command.arg("-f").arg(config).arg("--nosyslog").args(more))
    }

    /// Stops the server, which must not have complained of anything.
    pub async fn stop(self) {
        let errors = self.process.errors();
        let status = self.process.terminate().await;
        assert!(status.success(), "the server ended with {status}");
        let errors = errors.lock().expect("nothing failed with it");
        assert!(errors.is_empty(), "the server complained: {errors:#?}");
    }
}

/// Whether a program can be run here that is nice to have.
pub fn at_hand(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output();
    let found = found.is_ok_and(|o| o.status.success());
    if !found {
        println!("SKIPPED: {program} is not installed");
    }
    found
}

/// Whether a program can be run here that every full run of the tests needs.
pub fn installed(program: &str) -> bool {
    let found = at_hand(program);
    if !found {
        assert!(
            std::env::var_os("REQUIRE_CLIENTS").is_none(),
            "{program} is not installed, and it is required"
        );
    }
    found
}

/// Whether a program has what it needs, which is nice to have: this command succeeds.
pub fn knows(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let knows = command.status().is_ok_and(|status| status.success());
    if !knows {
        println!("SKIPPED: `{program} {}` fails", arguments.join(" "));
    }
    knows
}

pub fn run(command: &mut Command) -> (bool, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the program runs");
    (
        status.success(),
        format!(
            "{}{}",
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        ),
    )
}

pub fn succeeds(command: &mut Command) -> String {
    let (ok, output) = run(command);
    assert!(ok, "{command:?}:\n{output}");
    output
}

pub fn fails(command: &mut Command) -> String {
    let (ok, output) = run(command);
    assert!(!ok, "{command:?} should have failed:\n{output}");
    output
}

/// Runs a script of `tests/clients`, and tells it the ports and the certificate.
pub fn script(server: &Server, name: &str) {
    script_of(server, "python3", name);
}

/// The same with another program than Python.
pub fn script_of(server: &Server, program: &str, name: &str) {
    let addresses = server.process.addresses().iter();
    let ports: Vec<_> = addresses
        .map(|(name, a)| format!("\"{name}\": {}", a.port()))
        .collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(name);
    let mut command = Command::new(program);
    command
        .arg(path)
        .arg(format!("{{{}}}", ports.join(", ")))
        .arg(server.certificate());
    let said = succeeds(command.env("PYTHONDONTWRITEBYTECODE", "1"));
    assert!(said.contains("all as expected"), "{said}");
}
