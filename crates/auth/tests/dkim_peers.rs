//! DKIM with Python's dkimpy and with OpenDKIM, where they are installed: what we sign they verify, what they sign we do.

#![allow(clippy::unwrap_used, clippy::disallowed_types)]

mod zone;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailwright_auth::Verdict;
use mailwright_auth::crypto::{RingKey, SigningKey};
use mailwright_auth::dkim::{Canonicalization, Config, Profile, Signer, Verifier};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use zone::Zone;

const NOW: u64 = 1_700_000_000;
const SEED: [u8; 32] = [5; 32];
const RSA: &str = include_str!("data/rsa2048.pem");
const WAYS: [Canonicalization; 2] = [Canonicalization::Simple, Canonicalization::Relaxed];
/// With all that canonicalization is about.
const MESSAGES: [&str; 3] = [
    "From: Alice <alice@a.test>\r\nTo: bob@b.test,\r\n\tcarol@c.test\r\nSubject:  Hello \t world \r\n\
     Date: Fri, 21 Nov 1997 09:55:06 -0600\r\nMessage-ID: <1@a.test>\r\n\r\nHi  Bob \t\r\n\r\n.\r\n \r\nBye\r\n\r\n\r\n",
    "From: alice@a.test\r\n\r\n",
    "Subject: x\r\nFrom: alice@a.test\r\nFrom: more@a.test\r\n\r\n\r\n\r\ntext without end",
];

fn keys() -> [Arc<dyn SigningKey>; 2] {
    [
        Arc::new(RingKey::from_pem(RSA).unwrap()),
        Arc::new(RingKey::from_ed25519_seed(&SEED)),
    ]
}

fn sign(
    key: &Arc<dyn SigningKey>,
    header: Canonicalization,
    body: Canonicalization,
    message: &str,
) -> String {
    let mut profile = Profile::new("a.test", "s", Arc::clone(key));
    (profile.header_way, profile.body_way) = (header, body);
    let mut signer = Signer::new([Arc::new(profile)]);
    signer.push(message.as_bytes());
    signer.finish(NOW).unwrap() + message
}

fn passes(message: &[u8], record: &str) -> bool {
    let mut zone = Zone::of(&format!("s._domainkey.a.test TXT {record}"));
    // Peers sign with the time it is.
    let mut verifier = Verifier::new(Arc::new(Config::default()), u64::MAX / 2);
    verifier.push(message);
    verifier.finish();
    let reports = drive!(verifier, zone);
    reports.len() == 1 && reports[0].verdict == Verdict::Pass
}

fn run(command: &mut Command, input: &[u8]) -> Option<(bool, Vec<u8>)> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take().unwrap().write_all(input).ok();
    let output = child.wait_with_output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), text))
}

fn python(arguments: &[&str], input: &[u8]) -> Option<(bool, Vec<u8>)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dkim_peers.py");
    // The distribution's own has its packages, whichever comes first in PATH.
    let known = ["/usr/bin/python3", "python3"].into_iter().find(|python| {
        let probe = run(Command::new(python).arg(&script).arg("probe"), b"");
        probe.is_some_and(|(works, _)| works)
    });
    run(Command::new(known?).arg(script).args(arguments), input)
}

#[test]
fn dkimpy() {
    if !python(&["probe"], b"").is_some_and(|(works, _)| works) {
        eprintln!("skipped: python3 has no dkimpy with PyNaCl");
        return;
    }
    let pem = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rsa2048.pem");
    let mut signed = 0;
    for key in keys() {
        let (algorithm, record) = (key.algorithm().to_string(), key.record());
        let theirs = match algorithm.as_str() {
            "rsa-sha256" => pem.display().to_string(),
            _ => STANDARD.encode(SEED),
        };
        for (header, body) in WAYS.iter().flat_map(|header| WAYS.map(|body| (*header, body))) {
            for message in MESSAGES {
                let ours = sign(&key, header, body, message);
                let (_, verified) = python(&["verify", &record], ours.as_bytes()).unwrap();
                assert_eq!(
                    verified.trim_ascii(),
                    b"True",
                    "{algorithm} {header}/{body}\n{ours}"
                );
                // dkimpy does not sign a message with two authors.
                if message.matches("From:").count() == 1 {
                    let ways = format!("{header}/{body}");
                    let (works, field) =
                        python(&["sign", &algorithm, &theirs, &ways], message.as_bytes()).unwrap();
                    assert!(works, "{}", String::from_utf8_lossy(&field));
                    let field = String::from_utf8(field).unwrap();
                    assert!(passes((field.clone() + message).as_bytes(), &record), "{field}");
                    signed += 1;
                }
            }
        }
    }
    assert_eq!(signed, 16);
}

fn program(name: &str) -> Option<PathBuf> {
    let found = ["/usr/sbin", "/usr/bin"].map(|folder| Path::new(folder).join(name));
    found.into_iter().find(|path| path.exists())
}

#[test]
fn opendkim() {
    let Some(opendkim) = program("opendkim") else {
        eprintln!("skipped: opendkim is not installed");
        return;
    };
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("opendkim");
    std::fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| folder.join(name).display().to_string();
    // Debian's OpenDKIM knows no Ed25519.
    let [key, _] = keys();
    std::fs::write(path("key.pem"), RSA).unwrap();
    std::fs::write(path("keys"), format!("s._domainkey.a.test {}\n", key.record())).unwrap();
    let evaluate = |conf: &str, message: &str| {
        std::fs::write(path("conf"), format!("Syslog no\n{conf}")).unwrap();
        std::fs::write(path("message"), message).unwrap();
        let mut command = Command::new(&opendkim);
        let (_, text) = run(
            command.args(["-x", &path("conf"), "-vv", "-t", &path("message")]),
            b"",
        )
        .unwrap();
        String::from_utf8_lossy(&text).into_owned()
    };
    // Read from a file, it sees headers otherwise than they are, so that none verifies in simple form.
    let header = Canonicalization::Relaxed;
    for body in WAYS {
        let ours = sign(&key, header, body, MESSAGES[0]);
        for (message, good) in [(ours.clone(), true), (ours.replace("Bye", "bye"), false)] {
            let text = evaluate(&format!("Mode v\nTestPublicKeys {}\n", path("keys")), &message);
            assert_eq!(text.contains("succeeded"), good, "{body}: {text}");
        }
        let conf = format!(
            "Mode s\nDomain a.test\nSelector s\nKeyFile {}\nRequireSafeKeys no\nCanonicalization relaxed/{body}\n",
            path("key.pem")
        );
        let text = evaluate(&conf, MESSAGES[0]);
        let value = text.split_once("hname='DKIM-Signature' hvalue='");
        let value = value.and_then(|(_, rest)| rest.split_once('\'')).expect(&text).0;
        let theirs = format!(
            "DKIM-Signature: {}\r\n{}",
            value.trim().replace('\n', "\r\n"),
            MESSAGES[0]
        );
        assert!(passes(theirs.as_bytes(), &key.record()), "{theirs}");
    }
}

#[test]
fn rsa_keys_of_both_forms() {
    let [rsa, _] = keys();
    for (header, body) in WAYS.iter().flat_map(|header| WAYS.map(|body| (*header, body))) {
        for message in MESSAGES {
            let signed = sign(&rsa, header, body, message);
            assert!(
                passes(signed.as_bytes(), &rsa.record()),
                "{header}/{body}\n{signed}"
            );
        }
    }
    assert!(
        rsa.record()
            .starts_with("v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A")
    );
    // The same key by PKCS #8.
    let pkcs8 = RingKey::from_pem(include_str!("data/rsa2048-pkcs8.pem")).unwrap();
    assert_eq!(pkcs8.record(), rsa.record());
    assert_eq!(pkcs8.sign(b"x"), rsa.sign(b"x"));
}
