//! Checks where a message comes from: SPF, DKIM, ARC, DMARC and the name of the client, all results with their reasons.
//!
//! ```sh
//! cargo run -p mailwright-examples --bin auth_check -- --ip 192.0.2.25 --helo mx.a.test --from alice@a.test message.eml
//! cargo run -p mailwright-examples --bin auth_check -- --ip 192.0.2.25 --zone zone.txt message.eml
//! ```
//!
//! One checker runs all of it. What it asks is answered by a resolver on blocking sockets, or by a file of records.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // an example is the one who brings files and the clock

mod dns;

use clap::Parser;
use dns::Source;
use mailwright_auth::dmarc::Discovery;
use mailwright_auth::{Checked, Checker, Config, Envelope, Step, Verdict, claims_of, dmarc};
use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

/// Checks where a mail message comes from.
///
/// Exits with 1 if DMARC failed, or SPF where there is no DMARC policy, and with 2 if nothing could be checked.
#[derive(Debug, Parser)]
#[command(name = "auth_check", version)]
struct Arguments {
    /// The file with the message, with line ends of any kind; `-` is the standard input
    #[arg(default_value = "-")]
    file: String,

    /// The address of the client that sent it
    #[arg(long)]
    ip: IpAddr,

    /// The name of the client in HELO or EHLO
    #[arg(long, default_value = "unknown")]
    helo: String,

    /// The reverse-path, without angle brackets; empty for a bounce
    #[arg(long, default_value = "")]
    from: String,

    /// Who checks: the authserv-id of the field that is printed
    #[arg(long, default_value = "localhost")]
    authserv_id: String,

    /// Answer questions from this file, and ask nobody. Lines are `NAME TYPE DATA`
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    zone: Option<String>,

    /// Ask this DNS server, instead of those of /etc/resolv.conf
    #[arg(long, value_name = "ADDRESS:PORT")]
    server: Option<SocketAddr>,

    /// The time of the check in seconds since 1970, instead of now
    #[arg(long, value_name = "SECONDS")]
    time: Option<u64>,

    /// Find organizational domains by the public suffix list of RFC 7489
    #[arg(long)]
    psl: bool,

    /// Print each question and its answer
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("auth_check: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let mut source = match &arguments.zone {
        Some(file) => Source::zone(&std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?)?,
        None => Source::resolver(arguments.server),
    };
    let now = match arguments.time {
        Some(now) => now,
        None => SystemTime::UNIX_EPOCH.elapsed()?.as_secs(),
    };
    let mut config = Config::default();
    if arguments.psl {
        let mut dmarc = dmarc::Config::default();
        dmarc.discovery = Discovery::PublicSuffixList;
        config.dmarc = Some(Arc::new(dmarc));
    }
    let envelope = Envelope::new(arguments.ip, &arguments.helo, &arguments.from);
    let mut checker = Checker::new(&Arc::new(config), &envelope, now);
    let mut message = open(&arguments.file)?;
    let mut header = Vec::new();
    let mut lines = Lines::default();
    let mut chunk = [0; 16 * 1024];
    let checked = loop {
        match checker.poll() {
            Step::Ask(question) => {
                let answer = source.answer(&question);
                if arguments.trace {
                    eprintln!("{question}: {}", dns::describe(&answer));
                }
                checker.answer(&question, &answer);
            }
            Step::Wait => match message.read(&mut chunk)? {
                0 => checker.finish(),
                len => {
                    let octets = lines.with_crlf(&chunk[..len]);
                    if header.len() < 1 << 20 {
                        header.extend_from_slice(&octets);
                    }
                    checker.push(&octets);
                }
            },
            Step::Ready(checked) => break checked,
        }
    };
    print(&checked);
    for claim in claims_of(&header, &arguments.authserv_id) {
        println!("forged: {}", String::from_utf8_lossy(&header[claim]).trim_end());
    }
    println!();
    print!(
        "{}",
        checked
            .results(&arguments.authserv_id)
            .to_field()
            .replace("\r\n", "\n")
    );
    Ok(ExitCode::from(u8::from(failed(&checked))))
}

fn failed(checked: &Checked) -> bool {
    match checked.dmarc.as_ref().map(|dmarc| &dmarc.verdict) {
        Some(Verdict::Fail) => true,
        Some(Verdict::None) | None => checked
            .spf
            .as_ref()
            .is_some_and(|spf| spf.verdict == Verdict::Fail),
        Some(_) => false,
    }
}

/// One line for each result: what, whose, what it came to, why.
fn print(checked: &Checked) {
    let line = |what: &str, verdict: &Verdict, why: &dyn std::fmt::Display| {
        println!("{what:<28} {:<10} {why}", verdict.as_str());
    };
    if let Some(iprev) = &checked.iprev {
        match (&iprev.name, &iprev.reason) {
            (Some(name), _) => line("name of the client", &iprev.verdict, name),
            (None, Some(reason)) => line("name of the client", &iprev.verdict, reason),
            (None, None) => line("name of the client", &iprev.verdict, &""),
        }
    }
    for (what, spf) in [
        ("SPF of HELO", &checked.spf_helo),
        ("SPF of the reverse-path", &checked.spf),
    ] {
        if let Some(spf) = spf {
            line(what, &spf.verdict, &spf.cause);
            if let Some(explanation) = &spf.explanation {
                line(
                    "",
                    &spf.verdict,
                    &format_args!("{} says: {explanation}", spf.domain),
                );
            }
        }
    }
    for dkim in checked.dkim.iter().flatten() {
        let what = format!("DKIM of {}", dkim.domain);
        let key = match (dkim.algorithm, dkim.key_bits) {
            (Some(algorithm), Some(bits)) => format!("{algorithm}, {bits} bits, selector {}", dkim.selector),
            _ => format!("selector {}", dkim.selector),
        };
        match &dkim.reason {
            Some(reason) => line(&what, &dkim.verdict, &format_args!("{reason} ({key})")),
            None => line(&what, &dkim.verdict, &key),
        }
    }
    if checked.dkim.as_ref().is_some_and(Vec::is_empty) {
        line("DKIM", &Verdict::None, &"no signature");
    }
    if let Some(arc) = &checked.arc {
        let members: Vec<&str> = arc.sets.iter().map(|set| set.domain.as_str()).collect();
        match &arc.reason {
            Some(reason) => line("ARC", &arc.verdict, reason),
            None => line("ARC", &arc.verdict, &members.join(", ")),
        }
    }
    if let Some(dmarc) = &checked.dmarc {
        let author = dmarc
            .author_domain
            .as_ref()
            .map_or("-".to_owned(), ToString::to_string);
        let what = format!("DMARC of {author}");
        match (&dmarc.policy_domain, &dmarc.reason) {
            (Some(at), Some(reason)) => {
                let policy = format_args!(
                    "{reason}; policy {} at {at}, do: {}",
                    dmarc.policy, dmarc.disposition
                );
                line(&what, &dmarc.verdict, &policy);
            }
            (Some(at), None) => line(
                &what,
                &dmarc.verdict,
                &format_args!("policy {} at {at}", dmarc.policy),
            ),
            (None, Some(reason)) => line(&what, &dmarc.verdict, reason),
            (None, None) => line(&what, &dmarc.verdict, &""),
        }
    }
}

fn open(file: &str) -> Result<Box<dyn Read>, String> {
    match file {
        "-" => Ok(Box::new(io::stdin())),
        file => Ok(Box::new(File::open(file).map_err(|e| format!("{file}: {e}"))?)),
    }
}

/// Gives lines the ends they have on the wire.
#[derive(Debug, Default)]
struct Lines {
    after_cr: bool,
}

impl Lines {
    fn with_crlf(&mut self, octets: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(octets.len() + octets.len() / 32);
        for &octet in octets {
            if octet == b'\n' && !self.after_cr {
                out.push(b'\r');
            }
            out.push(octet);
            self.after_cr = octet == b'\r';
        }
        out
    }
}
