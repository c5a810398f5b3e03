//! `mailwright doctor`: what is wrong with a server and its surroundings, and what to do about it.
//!
//! Each check adds findings to a [`Report`]; none of them changes anything. As JSON a report is
//!
//! ```json
//! {
//!   "version": 1,
//!   "hostname": "mail.example.org",
//!   "findings": [
//!     {"check": "dns.record", "about": "example.org MX", "status": "fail", "seen": "there is none",
//!      "advice": "publish: example.org. IN MX 10 mail.example.org."}
//!   ],
//!   "counts": {"ok": 0, "warn": 0, "fail": 1, "unknown": 0}
//! }
//! ```
//!
//! `advice` is null where there is nothing to do. Checks and keys may be added under the same version.

mod certificates;
mod clock;
mod machine;
mod mail;
mod names;
mod ports;
mod settings;
mod sts;

use super::{Failure, terminal};
use clap::Args;
use mailwright_server::Config;
use mailwright_server::config::Size;
use mailwright_server::dns::Dns;
use mailwright_server::http::Client;
use mailwright_server::tls::Tls;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 if nothing fails (there may be warnings), 1 if something fails, 2 if the examination \
    itself does.\nNothing is changed, and no other mail server is connected to but that of --outbound."
)]
pub(super) struct Arguments {
    /// The configuration file of the server.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print JSON: {"version", "hostname", "findings": [{"check", "about", "status", "seen", "advice"}], "counts"}.
    #[arg(long)]
    json: bool,
    /// Leave out what is well.
    #[arg(long, conflicts_with = "json")]
    quiet: bool,
    #[command(flatten)]
    bounds: Bounds,
    /// Try whether mail can leave this machine: a mail server of others to greet, at port 25 if nothing else is said.
    #[arg(long, value_name = "HOST[:PORT]")]
    outbound: Option<String>,
    /// A server whose clock is right, to compare this one with: any URL of http or https. Default: the ACME server, if
    /// there is one.
    #[arg(long, value_name = "URL")]
    clock: Option<String>,
    /// Check everything in the store against everything, which takes its time.
    #[arg(long)]
    fsck: bool,
}

/// From where on something is wrong.
#[derive(Debug, Args)]
struct Bounds {
    /// How much has to be free on the disk of the data folder.
    #[arg(long, value_name = "SIZE", default_value = "1G")]
    min_free: Size,
    /// How many files there have to be room for on that disk.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    min_free_files: u64,
    /// How many days a certificate has to be valid yet.
    #[arg(long, value_name = "DAYS", default_value_t = 14)]
    certificate_days: u32,
    /// How many hours a message may be in the queue without a word about it.
    #[arg(long, value_name = "HOURS", default_value_t = 4)]
    queue_hours: u32,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    /// As it should be.
    Ok,
    /// Mail goes, and could go better or more safely.
    Warn,
    /// Mail suffers.
    Fail,
    /// It could not be found out.
    Unknown,
}

/// What one check has found.
#[derive(Debug, Serialize)]
struct Finding {
    /// The check: `dns.record`, `disk.space`.
    check: &'static str,
    /// What was looked at.
    about: String,
    status: Status,
    /// What was seen.
    seen: String,
    /// What to do.
    advice: Option<String>,
}

/// All that was found.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
struct Findings(Vec<Finding>);

#[derive(Debug, Serialize)]
struct Report<'a> {
    version: u32,
    hostname: Option<String>,
    findings: &'a Findings,
    counts: Counts,
}

#[derive(Debug, Default, Serialize)]
struct Counts {
    ok: usize,
    warn: usize,
    fail: usize,
    unknown: usize,
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let mut findings = Findings::default();
    let config = match Config::load(&arguments.config) {
        Ok(config) => {
            findings.ok("config", arguments.config.display(), "no mistakes");
            Some(config)
        }
        Err(error) => {
            for problem in error.problems {
                let place = problem
                    .place
                    .map_or(String::new(), |(line, column)| format!(":{line}:{column}"));
                findings.fail(
                    "config",
                    format!("{}{place}", problem.file.display()),
                    problem.what,
                    problem.help.unwrap_or_else(|| "correct it".to_owned()),
                );
            }
            None
        }
    };
    if let Some(config) = &config {
        examine(config, &arguments, &mut findings)?;
    }
    let counts = findings.counts();
    let failed = counts.fail > 0;
    terminal::print(&match arguments.json {
        true => {
            let report = Report {
                version: 1,
                hostname: config.map(|config| config.hostname.to_string()),
                findings: &findings,
                counts,
            };
            serde_json::to_string_pretty(&report)? + "\n"
        }
        false => findings.as_text(arguments.quiet),
    });
    Ok(ExitCode::from(u8::from(failed)))
}

fn examine(config: &Config, arguments: &Arguments, findings: &mut Findings) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let bounds = &arguments.bounds;
    settings::examine(config, findings);
    machine::permissions(config, &arguments.config, findings);
    machine::disk(config, bounds, findings);
    certificates::examine(config, bounds, findings);
    let is_running = mail::server(config, findings);
    ports::listeners(config, is_running, findings);
    if let Some(host) = &arguments.outbound {
        runtime.block_on(ports::outbound(config, host, findings));
    }
    mail::store(config, is_running, arguments.fsck, findings);
    mail::queue(config, bounds, findings);
    mail::accounts(config, findings);
    runtime.block_on(async {
        // A resolver that does not answer fails what needs it, and says so.
        let dns = Dns::from_config(config);
        // Authorities that cannot be read are told of with the certificates.
        let trust = Tls::trusting(config.outbound.ca.as_deref()).or_else(|_| Tls::trusting(None))?;
        let client = Client::new(dns.clone(), trust);
        clock::examine(config, arguments.clock.as_deref(), &client, findings).await;
        names::examine(config, &dns, &client, findings).await;
        Ok::<_, Failure>(())
    })?;
    Ok(())
}

impl Findings {
    fn ok(&mut self, check: &'static str, about: impl ToString, seen: impl ToString) {
        self.add(check, about, Status::Ok, seen, None);
    }

    fn warn(
        &mut self,
        check: &'static str,
        about: impl ToString,
        seen: impl ToString,
        advice: impl Into<String>,
    ) {
        self.add(check, about, Status::Warn, seen, Some(advice.into()));
    }

    fn fail(
        &mut self,
        check: &'static str,
        about: impl ToString,
        seen: impl ToString,
        advice: impl Into<String>,
    ) {
        self.add(check, about, Status::Fail, seen, Some(advice.into()));
    }

    fn unknown(
        &mut self,
        check: &'static str,
        about: impl ToString,
        seen: impl ToString,
        advice: impl Into<String>,
    ) {
        self.add(check, about, Status::Unknown, seen, Some(advice.into()));
    }

    fn add(
        &mut self,
        check: &'static str,
        about: impl ToString,
        status: Status,
        seen: impl ToString,
        advice: Option<String>,
    ) {
        self.0.push(Finding {
            check,
            about: about.to_string(),
            status,
            seen: seen.to_string(),
            advice,
        });
    }

    fn counts(&self) -> Counts {
        let count = |status| self.0.iter().filter(|finding| finding.status == status).count();
        Counts {
            ok: count(Status::Ok),
            warn: count(Status::Warn),
            fail: count(Status::Fail),
            unknown: count(Status::Unknown),
        }
    }

    fn as_text(&self, quiet: bool) -> String {
        let mut text = String::new();
        for finding in &self.0 {
            let word = match finding.status {
                Status::Ok if quiet => continue,
                Status::Ok => "ok",
                Status::Warn => "WARN",
                Status::Fail => "FAIL",
                Status::Unknown => "unknown",
            };
            // Writing into a string cannot fail.
            let _ = writeln!(
                text,
                "{word:7} {:18} {}: {}",
                finding.check, finding.about, finding.seen
            );
            for line in finding.advice.iter().flat_map(|advice| advice.lines()) {
                let _ = writeln!(text, "{:7} {:18} {line}", "", "");
            }
        }
        let Counts {
            ok,
            warn,
            fail,
            unknown,
        } = self.counts();
        let _ = writeln!(
            text,
            "{fail} failed, {warn} warnings, {unknown} unknown, {ok} well"
        );
        text
    }
}
