//! `mailwright dmarc`: reports that others sent, read (RFC 9990, RFC 9991).

use super::{Failure, terminal};
use clap::{Args, Subcommand};
use mailwright_auth::dmarc::FailureReport;
use mailwright_auth::dmarc::aggregate::{Aggregate, Limits, Row, unpack};
use mailwright_message::Index;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read reports: aggregate ones as XML, packed or not, or in the message that brought them, and failure reports.
    Read {
        /// The files; `-` is the standard input.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Command::Read { files } = arguments.command;
    for file in files {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let octets = read(&file).map_err(|error| failed(&error))?;
        terminal::print(&report(&octets).map_err(|error| failed(&error))?);
    }
    Ok(())
}

/// The largest file that is read, in octets.
const LARGEST: u64 = 64 << 20;

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    let taken = match file == Path::new("-") {
        true => std::io::stdin().take(LARGEST + 1).read_to_end(&mut octets)?,
        false => std::fs::File::open(file)?
            .take(LARGEST + 1)
            .read_to_end(&mut octets)?,
    };
    match taken as u64 > LARGEST {
        true => Err(std::io::Error::other("the file is larger than 64 MiB")),
        false => Ok(octets),
    }
}

fn report(octets: &[u8]) -> Result<String, Failure> {
    let limits = Limits::default();
    if let Ok(xml) = unpack(octets, limits.max_xml) {
        return Ok(aggregate(&Aggregate::parse(&xml, &limits)?));
    }
    if let Some(report) = FailureReport::parse(&Index::of(octets), octets) {
        return Ok(failure(&report));
    }
    Ok(aggregate(&Aggregate::from_message(octets, &limits)?))
}

fn aggregate(report: &Aggregate) -> String {
    let (metadata, policy) = (&report.metadata, &report.policy);
    let time = |seconds: u64| {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
    };
    let mut text = format!(
        "{} saw this mail of {} (p={}) from {} to {}:\n",
        clean(&metadata.organization),
        clean(&policy.domain),
        policy.policy.as_str(),
        time(metadata.begin),
        time(metadata.end),
    );
    let total: u64 = report
        .rows
        .iter()
        .fold(0, |sum, row| sum.saturating_add(row.count));
    let good = |row: &&Row| row.facts.dkim_aligned || row.facts.spf_aligned;
    let passed: u64 = report
        .rows
        .iter()
        .filter(good)
        .fold(0, |sum, row| sum.saturating_add(row.count));
    // Writing into a string cannot fail.
    let _ = writeln!(text, "{total} messages, of which {passed} passed");
    for row in &report.rows {
        let word = |passed| if passed { "pass" } else { "fail" };
        let source = row
            .source
            .map_or_else(|| "?".to_owned(), |source| source.to_string());
        let _ = writeln!(
            text,
            "{:>8}  {source:<39} dkim={} spf={} done={} from={}",
            row.count,
            word(row.facts.dkim_aligned),
            word(row.facts.spf_aligned),
            row.facts.disposition.as_str(),
            clean(&row.facts.header_from),
        );
    }
    for error in &metadata.errors {
        let _ = writeln!(text, "it says: {}", clean(error));
    }
    text
}

fn failure(report: &FailureReport) -> String {
    let mut text = String::from("a message failed:\n");
    let feedback = &report.feedback;
    let fields = [
        ("reported by", feedback.reporting_mta.clone()),
        ("client", feedback.source_ip.map(|address| address.to_string())),
        ("not aligned", report.identity_alignment.clone()),
        ("DKIM domain", report.dkim_domain.clone()),
        ("DKIM selector", report.dkim_selector.clone()),
        ("DKIM key", report.dkim_selector_dns.clone()),
        ("SPF record", report.spf_dns.clone()),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "  {name}: {}", clean(&value));
        }
    }
    text
}

/// What a stranger wrote, without anything that a terminal would obey.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}
