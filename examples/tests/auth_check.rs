//! `auth_check` on a signed message: what it prints, what it exits with; its resolver against a server on loopback.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // writes samples to files, answers on a socket

use mailwright_auth::crypto::{RingKey, SigningKey};
use mailwright_auth::dkim::{Profile, Signer};
use std::io::Write as _;
use std::net::UdpSocket;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

const TIME: u64 = 1_700_000_000;
const MESSAGE: &str = "From: Alice <alice@a.test>\r\nTo: bob@b.test\r\nSubject: Hello\r\n\r\nHi Bob\r\n";

fn key() -> Arc<RingKey> {
    Arc::new(RingKey::from_ed25519_seed(&[3; 32]))
}

fn signed() -> String {
    let mut signer = Signer::new([Arc::new(Profile::new("a.test", "s", key()))]);
    signer.push(MESSAGE.as_bytes());
    signer.finish(TIME).expect("the message can be signed") + MESSAGE
}

fn zone() -> String {
    format!(
        "; what a.test publishes\n25.2.0.192.in-addr.arpa PTR mx.a.test\nmx.a.test A 192.0.2.25\na.test MX 10 mx.a.test\n\
         a.test TXT \"v=spf1 mx exp=why.a.test\" \" -all\"\nwhy.a.test TXT %{{i}} is not ours\n\
         _dmarc.a.test TXT v=DMARC1; p=reject\ns._domainkey.a.test TXT {}\n",
        key().record()
    )
}

fn check(arguments: &[&str], message: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_auth_check"))
        .args([
            "--helo",
            "mx.a.test",
            "--from",
            "alice@a.test",
            "--time",
            "1700000000",
        ])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("auth_check starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // One that stops for its arguments reads nothing.
    if let Err(error) = stdin.write_all(message.as_bytes()) {
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    }
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn with_zone(ip: &str, message: &str) -> (Option<i32>, String) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(zone().as_bytes()).expect("room");
    let output = check(
        &["--ip", ip, "--zone", &file.path().display().to_string()],
        message,
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (
        output.status.code(),
        text + &String::from_utf8_lossy(&output.stderr),
    )
}

#[test]
fn a_good_message() {
    // With the line ends of a file.
    let (code, text) = with_zone("192.0.2.25", &signed().replace("\r\n", "\n"));
    assert_eq!(code, Some(0), "{text}");
    let words: Vec<String> = text
        .lines()
        .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for line in [
        "name of the client pass mx.a.test",
        "SPF of the reverse-path pass a.test: mx",
        "DKIM of a.test pass ed25519-sha256, 256 bits, selector s",
        "ARC none",
        "DMARC of a.test pass policy reject at a.test",
    ] {
        assert!(words.iter().any(|w| w == line), "{line} in\n{text}");
    }
    assert!(text.contains("Authentication-Results: localhost;"), "{text}");
}

#[test]
fn a_forged_message() {
    let forged = format!("Authentication-Results: localhost; dmarc=pass\r\n{MESSAGE}");
    let (code, text) = with_zone("198.51.100.1", &forged);
    assert_eq!(code, Some(1), "{text}");
    for part in [
        "198.51.100.1 is not ours",
        "do: reject",
        "forged: Authentication-Results: localhost",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn what_it_cannot_read() {
    let output = check(&["--ip", "192.0.2.25", "--zone", "/does/not/exist"], MESSAGE);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/does/not/exist"));
}

/// The resolver on sockets: the server on loopback says that nothing exists.
#[test]
fn questions_go_over_a_socket() {
    let server = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let address = server.local_addr().expect("bound").to_string();
    let answers = std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        let mut asked = 0;
        server
            .set_read_timeout(Some(std::time::Duration::from_secs(5)))
            .expect("a timeout");
        while let Ok((len, from)) = server.recv_from(&mut buffer) {
            if len == 1 {
                break;
            }
            // The question comes back, as a response with NXDOMAIN and without other records.
            let end = 12 + buffer[12..len].iter().position(|b| *b == 0).expect("a name") + 5;
            let mut answer = buffer[..end].to_vec();
            (answer[2], answer[3]) = (0x81, 0x83);
            answer[6..12].fill(0);
            server.send_to(&answer, from).expect("room");
            asked += 1;
        }
        asked
    });
    let output = check(&["--ip", "192.0.2.25", "--server", &address, "--trace"], MESSAGE);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("no SPF record") && text.contains("no DMARC record"),
        "{text}"
    );
    let trace = String::from_utf8_lossy(&output.stderr);
    assert!(trace.contains("_dmarc.a.test TXT: no such name"), "{trace}");
    UdpSocket::bind("127.0.0.1:0")
        .and_then(|end| end.send_to(b".", &address))
        .expect("loopback");
    assert!(answers.join().expect("the server ends") >= 5);
}
