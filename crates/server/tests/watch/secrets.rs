//! Nothing secret is logged, however much is logged; and every line about a message carries its name.

use crate::http::PATIENCE;
use crate::support::lines::{Lines, Tls};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailwright_sasl::{Client, ClientStep, Credentials, Mechanism};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const RIGHT: &str = "correct-horse-battery";
const WRONG: &str = "hunter2-never-was-it";
const BODY: &str = "what-the-body-says-is-private";

/// The real program, with its log in a file.
struct Program {
    child: Child,
    log: PathBuf,
    folder: tempfile::TempDir,
    addresses: BTreeMap<String, SocketAddr>,
}

impl Program {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("mailwright.toml");
        let mut text = "hostname = \"localhost\"\ndomains = [\"localhost\"]\ndata = \"mail\"\n\
                        plaintext_login = \"loopback\"\n[log]\nformat = \"json\"\n[outbound]\nenabled = false\n"
            .to_owned();
        let listeners = [
            ("submission", "starttls"),
            ("imap", "starttls"),
            ("pop3", "starttls"),
            ("imaps", "implicit"),
        ];
        for (name, tls) in listeners {
            let protocol = if name == "imaps" { "imap" } else { name };
            text += &format!(
                "[[listener]]\nname = \"{name}\"\naddress = \"127.0.0.1:0\"\nprotocol = \"{protocol}\"\ntls = \"{tls}\"\n"
            );
        }
        std::fs::write(&config, text).expect("it can be written");
        let mut add = Command::new(env!("CARGO_BIN_EXE_mailwright"));
        add.args(["account", "add", "alice@localhost", "--config"])
            .arg(&config)
            .stdin(Stdio::piped());
        let mut adding = add.spawn().expect("it runs");
        std::io::Write::write_all(
            &mut adding.stdin.take().expect("piped"),
            format!("{RIGHT}\n").as_bytes(),
        )
        .expect("it reads");
        assert!(adding.wait().expect("it ends").success());
        let log = folder.path().join("log");
        let child = Command::new(env!("CARGO_BIN_EXE_mailwright"))
            .args(["serve", "--log", "trace", "--config"])
            .arg(&config)
            .env_remove("RUST_LOG")
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).expect("it can be written"))
            .spawn()
            .expect("it runs");
        let mut program = Self {
            child,
            log,
            folder,
            addresses: BTreeMap::new(),
        };
        let began = Instant::now();
        while program.addresses.len() < listeners.len() {
            assert!(began.elapsed() < PATIENCE, "{}", program.said());
            std::thread::sleep(Duration::from_millis(50));
            for line in program.lines() {
                let fields = &line["fields"];
                if fields["message"] == "listening" {
                    let text = |key: &str| fields[key].as_str().expect("a text").to_owned();
                    let address = text("address").parse().expect("an address");
                    program.addresses.insert(text("listener"), address);
                }
            }
        }
        program
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).expect("it is there")).into_owned()
    }

    /// The whole lines of the log.
    fn lines(&self) -> Vec<Value> {
        let said = self.said();
        let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("JSON: {line}"));
        whole.lines().map(line).collect()
    }

    fn tls(&self) -> Tls {
        let file = self.folder.path().join("mail/tls/self-made.crt");
        Tls::trusting(&std::fs::read_to_string(file).expect("it was made"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn submission(program: &Program) -> Lines {
    let mut lines = Lines::connect(program.addresses["submission"]).await;
    lines.reply("220").await;
    lines.say("EHLO client.test", "250").await;
    lines
}

async fn scram(lines: &mut Lines, password: &str, wanted: &str) {
    let credentials = Credentials::new("alice@localhost", password);
    let mut client = Client::new(Mechanism::ScramSha256, credentials, &[7; 24]);
    let Ok(ClientStep::Respond(first)) = client.step(None) else {
        panic!("SCRAM begins with the client");
    };
    let mut said = lines
        .say(&format!("AUTH SCRAM-SHA-256 {}", STANDARD.encode(first)), "334")
        .await;
    loop {
        let challenge = STANDARD.decode(said.trim()[3..].trim()).expect("base64");
        let response = match client.step(Some(&challenge)) {
            Ok(ClientStep::Respond(response)) => response,
            Ok(ClientStep::Done) => Vec::new(),
            other => panic!("{other:?}"),
        };
        let text = STANDARD.encode(response);
        lines.send_raw(format!("{text}\r\n").as_bytes()).await;
        let line = lines.line().await.expect("an answer");
        said = String::from_utf8(line).expect("ASCII");
        if !said.starts_with("334") {
            return assert!(said.starts_with(wanted), "{said}");
        }
    }
}

/// All forms in which a secret may stand somewhere: itself, its base64 wherever it begins, and lists of its octets.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![
        secret.to_owned(),
        format!("{:?}", secret.as_bytes())
            .trim_matches(['[', ']'])
            .to_owned(),
    ];
    for ahead in 0..3 {
        let coded = STANDARD.encode([&b"xxx"[..ahead], secret.as_bytes()].concat());
        // What depends on the octets around it is left out.
        forms.push(coded[4..coded.len() - 4].to_owned());
    }
    forms
}

#[tokio::test]
async fn neither_passwords_nor_bodies_are_logged() {
    let program = Program::start();
    let plain = |password: &str| STANDARD.encode(format!("\0alice@localhost\0{password}"));
    for (password, smtp, imap, pop3) in [(WRONG, "535", "NO", "-ERR"), (RIGHT, "235", "OK", "+OK")] {
        submission(&program)
            .await
            .auth_plain("alice@localhost", password, smtp)
            .await;
        let mut lines = submission(&program).await;
        lines.say("AUTH LOGIN", "334").await;
        lines.say(&STANDARD.encode("alice@localhost"), "334").await;
        lines.say(&STANDARD.encode(password), smtp).await;
        scram(&mut submission(&program).await, password, smtp).await;
        let mut lines = Lines::connect(program.addresses["imap"]).await;
        lines
            .imap(&format!("LOGIN alice@localhost \"{password}\""), imap)
            .await;
        let mut lines = Lines::connect(program.addresses["imap"]).await;
        let size = password.len();
        lines
            .imap(&format!("LOGIN alice@localhost {{{size}+}}\r\n{password}"), imap)
            .await;
        let mut lines = Lines::connect(program.addresses["imap"]).await;
        lines
            .imap(&format!("AUTHENTICATE PLAIN {}", plain(password)), imap)
            .await;
        let mut lines = Lines::connect(program.addresses["pop3"]).await;
        assert!(lines.line().await.is_some_and(|line| line.starts_with(b"+OK")));
        lines.say("USER alice@localhost", "+OK").await;
        lines.say(&format!("PASS {password}"), pop3).await;
    }
    let mut lines = submission(&program).await;
    lines.auth_plain("alice@localhost", RIGHT, "235").await;
    lines.say("MAIL FROM:<alice@localhost>", "250").await;
    lines.say("RCPT TO:<alice@localhost>", "250").await;
    lines.say("DATA", "354").await;
    lines
        .say(&format!("Subject: {BODY}\r\n\r\n{BODY}\r\n."), "250")
        .await;
    let mut lines = Lines::connect_tls(program.addresses["imaps"], &program.tls(), "localhost").await;
    lines
        .imap(&format!("LOGIN alice@localhost \"{RIGHT}\""), "OK")
        .await;
    lines.imap("SELECT INBOX", "OK").await;
    lines.imap("FETCH 1 (BODY[] ENVELOPE)", "OK").await;
    lines.imap(&format!("SEARCH TEXT {BODY}"), "OK").await;
    let message = format!("Subject: a\r\n\r\n{BODY}\r\n");
    lines
        .imap(&format!("APPEND INBOX {{{}+}}\r\n{message}", message.len()), "OK")
        .await;
    let said = program.said();
    assert!(
        said.contains("\"TRACE\"") || said.contains("\"DEBUG\""),
        "the log is as verbose as it gets"
    );
    for secret in [RIGHT, WRONG, BODY] {
        for form in forms(secret) {
            let line = said.lines().find(|line| line.contains(&form));
            assert_eq!(line, None, "{form}, of {secret}");
        }
    }
    // Every line about the message names it, and the connection it came by.
    let lines = program.lines();
    let taken = lines
        .iter()
        .find(|line| line["fields"]["message"] == "message taken")
        .expect("it was taken");
    let spans = taken["spans"].as_array().expect("its spans");
    let named = |span: &str, key: &str| spans.iter().any(|it| it["name"] == span && it[key].is_string());
    assert!(
        named("connection", "connection") && named("message", "id"),
        "{taken}"
    );
}

#[tokio::test]
async fn forms_of_secrets_are_found_where_they_are() {
    for ahead in ["", "a", "ab", "abc"] {
        let coded = STANDARD.encode(format!("{ahead}{RIGHT} and more"));
        assert!(forms(RIGHT).iter().any(|form| coded.contains(form)), "{coded}");
    }
    let octets = format!("{:?}", format!("<{RIGHT}>").as_bytes());
    assert!(forms(RIGHT).iter().any(|form| octets.contains(form)));
}
