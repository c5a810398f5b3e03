//! The clock: whether it went back, and what another server says of the time.
//!
//! What another server says is its field `Date` (RFC 9110 §6.6.1), which is right to the second and a round trip. The
//! validity of DNSSEC signatures would tell of a clock that is wrong by days alone, so it is not asked. Who is asked is
//! named by `--clock`, or else is the ACME server that the configuration names: no stranger hears of the examination.

use super::Findings;
use mailwright_message::date;
use mailwright_server::Config;
use mailwright_server::http::{Client, Limits, Request};
use mailwright_server::unix_now;
use std::path::Path;
use std::time::{Duration, SystemTime};

const CHECK: &str = "clock";
const ABOUT: &str = "this machine";
const ADVICE: &str =
    "let systemd-timesyncd or chrony set the clock: signatures, certificates and dates depend on it";
/// How long the other server may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How far the clock may be from that of another, in seconds, before something is said, and before something fails.
const WARN: u64 = 10;
const FAIL: u64 = 300;

pub(super) async fn examine(config: &Config, url: Option<&str>, client: &Client, findings: &mut Findings) {
    if went_back(config, findings) {
        return;
    }
    let url = url.or(config.acme.as_ref().map(|acme| acme.directory.as_str()));
    if let Some(url) = url {
        return compare(url, client, findings).await;
    }
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        return findings.ok(CHECK, ABOUT, "systemd-timesyncd keeps it right");
    }
    findings.unknown(
        CHECK,
        ABOUT,
        "nothing here tells whether it is right",
        format!("{ADVICE}; or name a server that knows the time by --clock URL"),
    );
}

/// Says so if the data folder was written in the future.
fn went_back(config: &Config, findings: &mut Findings) -> bool {
    /// Clocks of file servers may be a little ahead.
    const TOLERANCE: Duration = Duration::from_secs(300);

    let now = SystemTime::now();
    let newest = [&config.data, &config.data.join("mail")]
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| entry.ok()?.metadata().ok()?.modified().ok())
        .max();
    let ahead = newest.and_then(|newest| newest.duration_since(now).ok());
    let Some(ahead) = ahead.filter(|ahead| *ahead > TOLERANCE) else {
        return false;
    };
    let seen = format!(
        "the data folder was written {} from now: the clock is behind, or was ahead then",
        crate::cli::queue::age(ahead.as_secs())
    );
    findings.fail(CHECK, ABOUT, seen, ADVICE);
    true
}

/// Compares the clock with that of another server.
async fn compare(url: &str, client: &Client, findings: &mut Findings) {
    let request = match Request::get(url) {
        Ok(request) => request,
        Err(error) => return findings.unknown(CHECK, ABOUT, format!("{url}: {error}"), "correct the URL"),
    };
    let before = unix_now();
    let response = client.send(request, Limits::new(PATIENCE, 1 << 20)).await;
    let after = unix_now();
    let told = match response {
        Ok(response) => response
            .field("date")
            .and_then(|text| date::parse(text.as_bytes())),
        Err(error) => {
            let seen = format!("{url} does not tell the time: {error}");
            return findings.unknown(CHECK, ABOUT, seen, ADVICE);
        }
    };
    let Some(told) = told else {
        return findings.unknown(CHECK, ABOUT, format!("{url} does not tell the time"), ADVICE);
    };
    // It was told at some moment in between.
    let (is_ahead, by) = match told.unix {
        told if told < before => (true, told.abs_diff(before)),
        told => (false, told.saturating_sub(after).max(0).unsigned_abs()),
    };
    let word = if is_ahead { "ahead of" } else { "behind" };
    let seen = format!("it is {} {word} what {url} tells", crate::cli::queue::age(by));
    match by {
        ..WARN => findings.ok(CHECK, ABOUT, format!("{url} tells the same time")),
        WARN..FAIL => findings.warn(CHECK, ABOUT, seen, ADVICE),
        _ => findings.fail(CHECK, ABOUT, seen, ADVICE),
    }
}
