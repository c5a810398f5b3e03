//! The server, its store, its queue, its accounts.

use super::{Bounds, Findings};
use crate::cli::bar::Bar;
use crate::cli::kept::Kept;
use crate::cli::place::{self, IN_USE};
use crate::cli::queue::{Place, age};
use mailwright_address::{EmailAddress, Host};
use mailwright_server::accounts::Accounts;
use mailwright_server::aliases::Aliases;
use mailwright_server::config::Config;
use mailwright_server::control::queue::{Doing, Filter};
use mailwright_server::control::work::{Job, Outcome};
use mailwright_server::unix_now;

/// Whether a server runs on the data folder.
#[cfg(unix)]
pub(super) fn server(config: &Config, findings: &mut Findings) -> bool {
    use mailwright_server::control::{Client, Pong, Request, socket};

    const CHECK: &str = "server";
    let about = socket(&config.data);
    let about = about.display();
    let mut client = match Client::connect(&config.data) {
        Ok(Some(client)) => client,
        Ok(None) if !config.control => {
            let advice = "set `control = true` to know it";
            findings.unknown(CHECK, about, "there is no socket to ask it at", advice);
            return false;
        }
        Ok(None) => {
            let advice = "start it: systemctl start mailwright, or mailwright serve --config FILE";
            findings.warn(CHECK, about, "it does not run", advice);
            return false;
        }
        Err(error) => {
            let advice = "run the doctor as root, or as the server's user";
            findings.unknown(CHECK, about, error, advice);
            return false;
        }
    };
    match client.call::<Pong>(Request::Ping {}) {
        Ok(pong) if pong.version == env!("CARGO_PKG_VERSION") => findings.ok(
            CHECK,
            about,
            format!("version {} runs as process {}", pong.version, pong.pid),
        ),
        Ok(pong) => findings.warn(
            CHECK,
            about,
            format!(
                "version {} runs, and this is {}",
                pong.version,
                env!("CARGO_PKG_VERSION")
            ),
            "restart it",
        ),
        Err(error) => findings.fail(CHECK, about, error, "see its log"),
    }
    true
}

#[cfg(not(unix))]
pub(super) fn server(_: &Config, _: &mut Findings) -> bool {
    false
}

/// Whether the store can be used.
pub(super) fn store(config: &Config, is_running: bool, thorough: bool, findings: &mut Findings) {
    const CHECK: &str = "store";
    let folder = config.data.join("mail");
    let about = folder.display();
    if !folder.is_dir() {
        return findings.unknown(
            CHECK,
            about,
            "there is none yet",
            "the server makes it when it starts",
        );
    }
    if thorough {
        return match place::perform(config, Job::Check {}, &mut Bar::new()) {
            Ok(Outcome::Checked { problems, .. }) if problems.is_empty() => {
                findings.ok(CHECK, about, "all is sound");
            }
            Ok(Outcome::Checked { problems, .. }) => {
                let shown: Vec<_> = problems.iter().take(5).map(String::as_str).collect();
                let seen = format!("{} things are wrong: {}", problems.len(), shown.join("; "));
                findings.fail(
                    CHECK,
                    about,
                    seen,
                    "stop the server, and run: mailwright fsck --mend",
                );
            }
            Ok(_) => findings.unknown(CHECK, about, "the server did something else", "ask again"),
            Err(error) => findings.fail(CHECK, about, error, "see `mailwright fsck`"),
        };
    }
    if is_running {
        return findings.ok(CHECK, about, "the running server has it open");
    }
    match Kept::open(&config.data, Some(config.store), IN_USE) {
        Ok(_) => findings.ok(CHECK, about, "it can be opened"),
        Err(error) => findings.fail(CHECK, about, error, "see `mailwright fsck`"),
    }
}

/// What waits for other servers.
pub(super) fn queue(config: &Config, bounds: &Bounds, findings: &mut Findings) {
    const CHECK: &str = "queue";
    if !config.data.join("mail").is_dir() {
        return;
    }
    let (mut all, mut deferred, mut held) = (0u64, 0u64, 0u64);
    let mut oldest: Option<u64> = None;
    let walked = Place::at(&config.data).and_then(|mut place| {
        place.each(Filter::default(), |_, messages| {
            for message in messages {
                all += 1;
                deferred += u64::from(message.doing == Doing::Deferred);
                held += u64::from(message.doing == Doing::Held);
                let arrival = message.arrival;
                oldest = Some(oldest.map_or(arrival, |oldest| oldest.min(arrival)));
            }
            Ok(())
        })
    });
    if let Err(error) = walked {
        let advice = "run the doctor as root, or as the server's user";
        return findings.unknown(CHECK, "messages", error, advice);
    }
    let Some(oldest) = oldest else {
        return findings.ok(CHECK, "messages", "it is empty");
    };
    let waited = u64::try_from(unix_now())
        .unwrap_or_default()
        .saturating_sub(oldest);
    let seen = format!(
        "{all} messages, {deferred} of them deferred and {held} held; the oldest came {} ago",
        age(waited)
    );
    match waited > u64::from(bounds.queue_hours) * 3600 || held > 0 {
        true => findings.warn(
            CHECK,
            "messages",
            seen,
            "see what they wait for: mailwright queue list, and mailwright queue show NUMBER",
        ),
        false => findings.ok(CHECK, "messages", seen),
    }
}

/// Whether somebody has an account, and somebody reads what has to be read.
pub(super) fn accounts(config: &Config, findings: &mut Findings) {
    let accounts = match Accounts::load(config) {
        Ok(accounts) => accounts,
        Err(error) => {
            let about = config.accounts_file.display();
            return findings.fail("accounts", about, error, "correct it, or let this user read it");
        }
    };
    let all = accounts.all();
    let about = config.accounts_file.display();
    match all.len() {
        0 => findings.fail(
            "accounts",
            about,
            "nobody has an account: all mail is refused",
            "add one: mailwright account add NAME@DOMAIN --config FILE",
        ),
        1 => findings.ok("accounts", about, "there is one"),
        count => findings.ok("accounts", about, format!("there are {count}")),
    }
    let aliases = match Aliases::load(config) {
        Ok(aliases) => aliases,
        Err(error) => return findings.fail("aliases", "aliases_file", error, "correct it"),
    };
    let domains = aliases.domains().all();
    let aliases = aliases.all();
    for domain in domains.iter() {
        // Postmaster is always there: the first account, if nobody else.
        let abuse = EmailAddress::new("abuse", Host::Domain(domain.clone()));
        let of_account = abuse.is_ok_and(|abuse| accounts.at(&abuse).is_some());
        let named = [
            "abuse".to_owned(),
            format!("abuse@{domain}"),
            format!("@{domain}"),
        ];
        let of_alias = named.iter().any(|name| aliases.contains_key(name));
        match of_account || of_alias {
            true => findings.ok("aliases", format!("abuse@{domain}"), "somebody reads it"),
            false => findings.warn(
                "aliases",
                format!("abuse@{domain}"),
                "nobody has this address, which complaints go to (RFC 2142)",
                "add an alias: mailwright alias add abuse ADDRESS --config FILE",
            ),
        }
    }
}
