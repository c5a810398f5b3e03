//! DKIM with the data of dkimpy and of mail-auth, from the folder in `MAIL_CORPUS`.

#![allow(clippy::unwrap_used)]

mod zone;

use mailwright_auth::Verdict;
use mailwright_auth::dkim::{Config, KeyRecord, Reason, Report, Verifier};
use std::path::PathBuf;
use std::sync::Arc;
use zone::Zone;

fn corpus(folder: &str) -> Option<PathBuf> {
    match std::env::var_os("MAIL_CORPUS") {
        Some(corpus) => Some(PathBuf::from(corpus).join("auth").join(folder)),
        None => {
            eprintln!("skipped: MAIL_CORPUS is not set");
            None
        }
    }
}

/// The message with the line ends of the wire.
fn with_crlf(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in message.split_inclusive(|b| *b == b'\n') {
        let line_end = line.ends_with(b"\n");
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        if line_end {
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

fn verify(message: &[u8], zone: &str, now: u64) -> Vec<Report> {
    let mut zone = Zone::of(zone);
    let mut verifier = Verifier::new(Arc::new(Config::default()), now);
    verifier.push(&with_crlf(message));
    verifier.finish();
    drive!(verifier, zone)
}

#[test]
fn key_records_of_dkimpy() {
    let Some(folder) = corpus("dkimpy-1.1.8/data") else {
        return;
    };
    let read = |name: &str| KeyRecord::parse(std::fs::read(folder.join(name)).unwrap().trim_ascii());
    for (name, bits) in [
        ("1024_testkey_wo_markers.pub.rsa.txt", 1024),
        ("1024_testkey_wo_markers.pub.txt", 1024),
        ("2048_testkey_PKCS8.key.pub.txt", 2048),
        ("2048_testkey_wo_markers.pub.rsa.txt", 2048),
        ("2048_testkey_wo_markers.pub.txt", 2048),
        ("test.txt", 1024),
        ("test2.txt", 1024),
        ("ed25519test.dns", 256),
        ("eximtest.dns", 256),
    ] {
        assert_eq!(read(name).map(|key| key.bits()), Ok(bits), "{name}");
    }
    assert_eq!(read("badversion.txt"), Err(Reason::KeyVersion));
    assert_eq!(read("badk.txt"), Err(Reason::KeyType));
    assert_eq!(read("test_tlsrpt.txt"), Err(Reason::KeyService));
    // The exponent in it is no number by DER: reading goes as far as the size, verifying does not.
    let bad = std::fs::read_to_string(folder.join("test_bad.txt")).unwrap();
    let zone = format!("test._domainkey.football.example.com TXT {}", bad.trim());
    let message = std::fs::read(folder.join("rfc6376.signed.rsa.msg")).unwrap();
    assert_ne!(verify(&message, &zone, 1_527_915_362)[0].verdict, Verdict::Pass);
}

#[test]
fn messages_of_dkimpy() {
    let Some(folder) = corpus("dkimpy-1.1.8/data") else {
        return;
    };
    let text = |name: &str| {
        std::fs::read_to_string(folder.join(name))
            .unwrap()
            .trim()
            .to_owned()
    };
    let zone = format!(
        "brisbane._domainkey.football.example.com TXT v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
         test._domainkey.football.example.com TXT {}\nsed._domainkey.test.ex TXT {}\n\
         legitimate.com(.attacker.com TXT x",
        text("test.txt"),
        text("eximtest.dns"),
    );
    let now = 1_600_000_000;
    let verdicts = |name: &str| -> Vec<Verdict> {
        let message = std::fs::read(folder.join(name)).unwrap();
        verify(&message, &zone, now)
            .into_iter()
            .map(|r| r.verdict)
            .collect()
    };
    assert_eq!(verdicts("rfc6376.signed.msg"), [Verdict::Pass, Verdict::Pass]);
    assert_eq!(verdicts("rfc6376.signed.rsa.msg"), [Verdict::Pass]);
    // Made invalid by hand: its time was taken out after it was signed.
    assert_eq!(verdicts("rfc6376.signed.no_t.msg"), [Verdict::Fail]);
    assert_eq!(verdicts("ed25519test2.msg"), [Verdict::Pass]);
    assert_ne!(verdicts("test.message.baddomain"), [Verdict::Pass]);
    assert!(verdicts("test.message").is_empty());
}

#[test]
fn messages_of_mail_auth() {
    let Some(folder) = corpus("mail-auth-resources/dkim") else {
        return;
    };
    let mut messages = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = std::fs::read(&path).unwrap();
        // Lines of names and records, an empty line, the message.
        let end = file.windows(2).position(|w| w == b"\n\n").unwrap();
        let zone: String = String::from_utf8_lossy(&file[..end])
            .lines()
            .map(|line| line.replacen(' ', " TXT ", 1) + "\n")
            .collect();
        let reports = verify(&file[end + 2..], &zone, 1_667_862_900);
        assert!(!reports.is_empty(), "{}", path.display());
        for report in reports {
            assert_eq!(report.reason, None, "{} {}", path.display(), report.domain);
        }
        messages += 1;
    }
    assert_eq!(messages, 6);
}
