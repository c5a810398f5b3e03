//! Messages to measure: generated ones, and those of the public corpus by class

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Messages of one kind.
#[derive(Debug)]
#[non_exhaustive]
pub struct Class {
    /// What they have in common.
    pub name: &'static str,
    /// The messages, CRLF at the line ends.
    pub messages: Vec<Vec<u8>>,
}

impl Class {
    fn one(name: &'static str, message: String) -> Self {
        let messages = vec![message.replace('\n', "\r\n").into_bytes()];
        Self { name, messages }
    }

    /// All octets of all messages.
    pub fn octets(&self) -> u64 {
        self.messages.iter().map(|message| message.len() as u64).sum()
    }
}

/// The generated messages.
pub fn generated() -> Vec<Class> {
    vec![
        Class::one("small", small()),
        Class::one("header-heavy", header_heavy()),
        Class::one("base64-1M", with_attachment(1 << 20)),
        Class::one("base64-10M", with_attachment(10 << 20)),
        Class::one("newsletter", newsletter()),
        Class::one("nested", nested(5)),
    ]
}

/// The messages of the public corpus; `None`, and a line that says so, where `MAIL_CORPUS` is not set.
pub fn corpus() -> Option<Vec<Class>> {
    let Some(root) = std::env::var_os("MAIL_CORPUS") else {
        eprintln!("MAIL_CORPUS is not set: only generated messages are measured");
        return None;
    };
    let mut files = Vec::new();
    collect(&PathBuf::from(root).join("message"), &mut files);
    files.sort();
    let names = [
        "corpus-small",
        "corpus-headers",
        "corpus-base64",
        "corpus-qp",
        "corpus-nested",
    ];
    let mut classes = names.map(|name| Class {
        name,
        messages: Vec::new(),
    });
    for message in files.iter().filter_map(|file| std::fs::read(file).ok()) {
        if let Some(at) = class_of(&message) {
            classes[at].messages.push(message);
        }
    }
    Some(
        classes
            .into_iter()
            .filter(|class| !class.messages.is_empty())
            .collect(),
    )
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => collect(&path, files),
            false
                if path
                    .extension()
                    .is_some_and(|e| e == "eml" || e == "msg" || e == "txt") =>
            {
                files.push(path);
            }
            false => {}
        }
    }
}

/// The place of the class among those of [`corpus`].
fn class_of(message: &[u8]) -> Option<usize> {
    let has = |needle: &str| {
        let lower = message.to_ascii_lowercase();
        lower
            .windows(needle.len())
            .any(|window| window == needle.as_bytes())
    };
    let header = message
        .windows(2)
        .position(|w| w == b"\n\n")
        .or_else(|| message.windows(4).position(|w| w == b"\r\n\r\n"))?;
    if !message[..header].contains(&b':') {
        return None;
    }
    Some(match message.len() {
        len if header > 3000 && header * 10 > len * 7 => 1,
        _ if has("message/rfc822") => 4,
        len if len > 100_000 && has("base64") => 2,
        len if len > 8_000 && has("quoted-printable") => 3,
        len if len < 8_000 && !has("multipart/") => 0,
        _ => return None,
    })
}

/// Numbers that look random, the same in every run.
fn numbers(seed: u64) -> impl Iterator<Item = u64> {
    let step = |n: &u64| {
        Some(
            n.wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407),
        )
    };
    std::iter::successors(Some(seed), step).map(|n| n >> 33)
}

fn base64(octets: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(octets + octets / 64);
    for (at, number) in numbers(7).take(octets / 4 * 4).enumerate() {
        if at > 0 && at % 76 == 0 {
            out.push('\n');
        }
        out.push(char::from(ALPHABET[number as usize % 64]));
    }
    out + "\n"
}

fn words(count: usize, width: usize) -> String {
    const WORDS: [&str; 16] = [
        "the",
        "message",
        "of",
        "a",
        "delivery",
        "and",
        "queue",
        "is",
        "to",
        "server",
        "with",
        "recipients",
        "in",
        "mailbox",
        "that",
        "attached",
    ];
    let (mut out, mut column) = (String::new(), 0);
    for number in numbers(11).take(count) {
        let word = WORDS[number as usize % WORDS.len()];
        if column + word.len() + 1 > width {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
    }
    out + "\n"
}

fn received(n: usize) -> String {
    format!(
        "Received: from relay{n}.example.net (relay{n}.example.net [192.0.2.{}])\n\
         \tby mx{n}.example.org (Postfix) with ESMTPS id 4VfQ{n:04}kzQz9sT\n\
         \tfor <jane.doe@example.org>; Mon, 23 Nov 2026 09:{:02}:07 +0000 (UTC)\n",
        n % 250,
        n % 60
    )
}

fn signature(name: &str, n: usize) -> String {
    let octets = base64(344).replace('\n', "\n\t ");
    format!(
        "{name}: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example{n}.com; s=s2026;\n\
         \th=from:to:cc:subject:date:message-id:in-reply-to:references:mime-version:content-type;\n\
         \tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\n\tb={}\n",
        octets.trim_end()
    )
}

fn common(subject: &str) -> String {
    format!(
        "Date: Mon, 23 Nov 2026 10:11:12 +0100\nFrom: John Doe <john.doe@example.com>\n\
         To: Jane Doe <jane.doe@example.org>, \"Q. Public\" <public@example.net>\nCc: list@lists.example.com\n\
         Subject: {subject}\nMessage-ID: <20261123101112.GA4711@mail.example.com>\n\
         In-Reply-To: <CAFx7yQ_3hE1@mail.example.org>\n\
         References: <20261120080000.GA1@mail.example.com>\n <CAFx7yQ_3hE1@mail.example.org>\nMIME-Version: 1.0\n"
    )
}

/// 4 KB with 17 fields.
fn small() -> String {
    let mut message = "Return-Path: <john.doe@example.com>\n".to_owned();
    message += &(received(1) + &received(2) + &received(3) + &signature("DKIM-Signature", 1));
    message += &common("Re: minutes of the meeting on Friday, and what is left to do");
    message += "User-Agent: Mutt/2.2.12 (2023-09-09)\nContent-Type: text/plain; charset=utf-8\n\
                Content-Transfer-Encoding: 8bit\n\n";
    message + &words(340, 72)
}

/// 42 KB, nearly all of it header.
fn header_heavy() -> String {
    let mut message: String = (0..40).map(received).collect();
    for n in 0..6 {
        message += &(signature("ARC-Message-Signature", n) + &signature("ARC-Seal", n));
        message += &signature("DKIM-Signature", n);
        let _ = writeln!(
            message,
            "Authentication-Results: mx{n}.example.org; dkim=pass header.d=example{n}.com;\n\tspf=pass \
             smtp.mailfrom=example{n}.com; dmarc=pass (p=REJECT) header.from=example{n}.com"
        );
    }
    for n in 0..60 {
        let _ = writeln!(
            message,
            "X-Spam-Check-{n}: score={n}.3 required=5.0 tests=BAYES_{n},DKIM_VALID autolearn=no"
        );
    }
    message += &common("a header that grew on its way");
    let list = |from: usize| -> String {
        (from..from + 75)
            .map(|n| format!(",\n\tPerson Number{n} <person.number{n}@department.example.com>"))
            .collect()
    };
    let _ = writeln!(message, "Reply-To: first@example.com{}", list(100));
    let _ = writeln!(message, "Bcc: second@example.com{}", list(300));
    message + "Content-Type: text/plain\n\n" + &words(60, 72)
}

/// A text and an attachment of about `octets`.
fn with_attachment(octets: usize) -> String {
    format!(
        "{}{}Content-Type: multipart/mixed; boundary=\"=_b1_7f3a\"\n\n--=_b1_7f3a\n\
         Content-Type: text/plain; charset=utf-8\n\n{}\n--=_b1_7f3a\n\
         Content-Type: application/pdf; name=\"report.pdf\"\nContent-Disposition: attachment; filename=\"report.pdf\"\n\
         Content-Transfer-Encoding: base64\n\n{}\n--=_b1_7f3a--\n",
        received(1),
        common("the report"),
        words(80, 72),
        base64(octets)
    )
}

/// 96 KB: a plain text and HTML, both in quoted-printable.
fn newsletter() -> String {
    let text = words(2600, 60)
        .replace("that", "th=C3=A4t")
        .replace("queue", "queue=20=\n");
    let html = words(10_000, 50)
        .replace("the", "<a href=3D\"https://example.com/?a=3Db\">th=C3=A9</a>")
        .replace("server", "server=\n");
    format!(
        "{}{}{}List-Unsubscribe: <https://example.com/unsubscribe?id=4711>\n\
         Content-Type: multipart/alternative; boundary=\"----=_Part_1_2.3\"\n\n\
         ------=_Part_1_2.3\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: quoted-printable\n\n{text}\n\
         ------=_Part_1_2.3\nContent-Type: text/html; charset=UTF-8\nContent-Transfer-Encoding: quoted-printable\n\n{html}\n\
         ------=_Part_1_2.3--\n",
        received(1),
        signature("DKIM-Signature", 1),
        common("=?UTF-8?Q?Gr=C3=BC=C3=9Fe?= of the week"),
    )
}

/// A message that was forwarded `depth` times, each time with a text before it.
fn nested(depth: usize) -> String {
    let mut message = small();
    for n in 0..depth {
        message = format!(
            "{}{}Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n\n{}\n--b{n}\nContent-Type: message/rfc822\n\n\
             {message}\n--b{n}--\n",
            received(n),
            common("Fwd: minutes"),
            words(60, 72)
        );
    }
    message
}
