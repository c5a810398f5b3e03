//! Holds the README's tables of extensions to what the engines say to a client: none is missing, none is made up.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // reads the README, and the clock once
#![cfg(all(feature = "imap", feature = "pop3", feature = "smtp"))]

use mailwright::wire::{Machine, Step};
use mailwright::{imap, pop3, smtp};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// The extensions of one table by what is said of Mailwright: those it has, and those it lacks.
fn table(heading: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let section = readme.split_once(&format!("\n### {heading}\n")).expect(heading).1;
    let section = section.split("\n#").next().unwrap();
    let (mut has, mut lacks) = (BTreeSet::new(), BTreeSet::new());
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let side = match cells[3] {
            "yes" => &mut has,
            "–" => &mut lacks,
            other => panic!("{row}: neither yes nor –: {other:?}"),
        };
        side.extend(
            cells[1]
                .split('`')
                .filter(|name| !name.trim_matches([' ', ',']).is_empty())
                .map(str::to_owned),
        );
    }
    assert!(has.len() > 10, "{heading}: {has:?}");
    (has, lacks)
}

/// All that a server says to these lines.
fn said<M: Machine<Error: std::fmt::Debug>>(
    server: &mut M,
    lines: &[u8],
    mut answer: impl FnMut(&mut M),
) -> String {
    let (now, mut lines, mut out) = (Instant::now(), lines, Vec::new());
    loop {
        match server.poll(now).unwrap() {
            Step::Read if lines.is_empty() => break,
            Step::Read => {
                let room = server.recv_buf();
                let n = room.len().min(lines.len());
                room[..n].copy_from_slice(&lines[..n]);
                server.received(n);
                lines = &lines[n..];
            }
            Step::Write => {
                out.extend_from_slice(server.send_buf());
                let n = server.send_buf().len();
                server.sent(n);
            }
            Step::Event(_) => answer(server),
            _ => break,
        }
    }
    String::from_utf8(out).unwrap()
}

fn compare(heading: &str, offered: &BTreeSet<String>) {
    let (has, lacks) = table(heading);
    let missing: Vec<_> = offered.difference(&has).collect();
    let made_up: Vec<_> = has.difference(offered).collect();
    assert!(
        missing.is_empty(),
        "{heading}: the README does not tell of {missing:?}"
    );
    assert!(made_up.is_empty(), "{heading}: no server says {made_up:?}");
    assert!(lacks.is_disjoint(offered), "{heading}: {lacks:?} are there");
}

#[test]
fn imap_capabilities() {
    let mut config = imap::Config::default();
    config.capabilities = imap::Capabilities::all();
    let transport = imap::Transport::Tls;
    let mut server = imap::Server::preauthenticated(config.into(), transport, [1; 32], Instant::now());
    let said = said(&mut server, b"a CAPABILITY\r\n", |_| ());
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("* CAPABILITY "))
        .expect(&said);
    let offered = line.split(' ').filter(|name| {
        // The protocol itself; mechanisms stand elsewhere; resources are those of QUOTA, rights those of ACL.
        let about = ["AUTH=", "QUOTA=RES-", "RIGHTS="];
        *name != "IMAP4rev1" && !about.iter().any(|start| name.starts_with(start))
    });
    let named = offered.map(|name| match name.split_once('=') {
        Some(("APPENDLIMIT", _)) => "APPENDLIMIT".to_owned(),
        _ => name.to_owned(),
    });
    let mut offered: BTreeSet<_> = named.collect();
    // What this session of the two kinds of literals leaves out, and what is said before the login only.
    offered.extend(imap::Capability::ALL.map(|capability| capability.as_str().to_owned()));
    compare("IMAP", &offered);
}

#[test]
fn smtp_extensions() {
    // FUTURERELEASE is for submission alone, and needs the date.
    let mut config = smtp::server::Config::new(smtp::Protocol::Submission, "mx.test".parse().unwrap());
    let on = &mut config.extensions;
    for extension in [
        &mut on.pipelining,
        &mut on.size,
        &mut on.eight_bit_mime,
        &mut on.enhanced_status_codes,
        &mut on.starttls,
        &mut on.auth,
        &mut on.smtputf8,
        &mut on.dsn,
        &mut on.chunking,
        &mut on.binary_mime,
        &mut on.deliver_by,
        &mut on.future_release,
        &mut on.mt_priority,
        &mut on.require_tls,
        &mut on.limits,
        &mut on.etrn,
        &mut on.xclient,
        &mut on.xforward,
    ] {
        *extension = true;
    }
    let mut offered = BTreeSet::new();
    for under_tls in [false, true] {
        let server = smtp::Server::new(config.clone(), [1; 32], Instant::now());
        let mut server = server.with_wall_clock(1_767_225_600);
        if under_tls {
            server = server.over_tls();
        }
        let said = said(&mut server, b"EHLO c.test\r\n", smtp::Server::accept);
        let lines = said
            .lines()
            .skip(1)
            .filter(|line| line.starts_with("250"))
            .skip(1);
        offered.extend(lines.map(|line| line[4..].split([' ', '=']).next().unwrap().to_owned()));
    }
    compare("SMTP", &offered);
}

#[test]
fn pop3_capabilities() {
    let mut config = pop3::server::Config::default();
    config.stls = true;
    config.allow_plaintext = true;
    config.implementation = Some("x".to_owned());
    config.utf8 = true;
    config.languages = vec![pop3::Language::ENGLISH];
    config.expire = Some(pop3::Expire::Never);
    config.login_delay = Some(Duration::from_secs(1));
    let mut server = pop3::Server::new(config, [1; 32], Instant::now());
    let said = said(&mut server, b"CAPA\r\n", |_| ());
    let lines = said
        .lines()
        .skip_while(|line| !line.starts_with("+OK Cap") && !line.starts_with("+OK cap"));
    let lines = lines.skip(1).take_while(|line| *line != ".");
    let offered = lines
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    compare("POP3", &offered);
}
