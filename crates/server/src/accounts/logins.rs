//! The file of logins: where accounts have logged in from, and when application passwords were last used
//!
//! One JSON object in a line. It is written at most every ten seconds, and at the end; what a crash loses is a few
//! places, which the next login from there makes known again.

use super::login::{SAME_USE, now};
use super::{Accounts, throttle::Throttle};
use crate::clock::unix_now;
use crate::files::replace;
use crate::names;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When application passwords were last used, by account and label, in seconds since 1970.
pub(super) type Uses = HashMap<(Box<str>, Box<str>), i64>;

/// What is kept of logins besides.
#[derive(Debug, Default)]
pub(super) struct Kept {
    uses: Uses,
    changed: bool,
    written: Option<Instant>,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
enum Line<'a> {
    Place {
        account: std::borrow::Cow<'a, str>,
        address: IpAddr,
        date: i64,
    },
    Use {
        account: std::borrow::Cow<'a, str>,
        label: std::borrow::Cow<'a, str>,
        date: i64,
    },
}

/// When an application password was last used, in seconds since 1970, as the logins file of a server says.
///
/// # Errors
///
/// When there is a file that cannot be read.
pub fn last_use(file: &Path, account: &str, label: &str) -> io::Result<Option<i64>> {
    let account = names::key(account);
    let mut last = None;
    read(file, |line| {
        if let Line::Use {
            account: one,
            label: other,
            date,
        } = line
            && *one == *account
            && *other == *label
        {
            last = Some(date);
        }
    })?;
    Ok(last)
}

/// Reads the file into a throttle; what cannot be read is left out.
pub(super) fn restore(file: &Path, throttle: &mut Throttle) -> Kept {
    let mut kept = Kept::default();
    let read = read(file, |line| match line {
        Line::Place {
            account,
            address,
            date,
        } => throttle.remember(&account, address, date),
        Line::Use { account, label, date } => {
            kept.uses
                .insert((account.as_ref().into(), label.as_ref().into()), date);
        }
    });
    if let Err(error) = read {
        tracing::warn!(
            "{}: where accounts logged in from cannot be read: {error}",
            file.display()
        );
    }
    throttle.has_changed();
    kept
}

fn read(file: &Path, mut each: impl FnMut(Line<'_>)) -> io::Result<()> {
    let text = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        text => text?,
    };
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .for_each(&mut each);
    Ok(())
}

impl Accounts {
    /// Notes that an application password was used.
    pub(super) fn note_use(&self, account: &str, label: &str) {
        let mut kept = self.lock_kept();
        let date = unix_now();
        let last = kept.uses.insert((account.into(), label.into()), date);
        let least = i64::try_from(SAME_USE.as_secs()).unwrap_or(i64::MAX);
        kept.changed |= last.is_none_or(|last| date - last >= least);
    }

    /// Writes down what changed of logins, if that was not done a moment ago or has to be done now. Waits for the disk.
    pub(crate) fn keep_logins(&self, at_once: bool) {
        let mut kept = self.lock_kept();
        if !at_once && kept.written.is_some_and(|written| now() - written < EVERY) {
            return;
        }
        let mut throttle = self.lock_throttle();
        if !(throttle.has_changed() | std::mem::take(&mut kept.changed)) {
            return;
        }
        kept.written = Some(now());
        let oldest = unix_now().saturating_sub(seconds(self.limits.remember));
        throttle.forget_before(oldest);
        let places = throttle.places().map(|(account, address, date)| Line::Place {
            account: account.into(),
            address,
            date,
        });
        let mut text = String::new();
        let uses = kept.uses.iter().map(|((account, label), date)| Line::Use {
            account: account.as_ref().into(),
            label: label.as_ref().into(),
            date: *date,
        });
        for line in places.chain(uses) {
            text += &serde_json::to_string(&line).unwrap_or_default();
            text.push('\n');
        }
        drop(throttle);
        drop(kept);
        if let Err(error) = replace(&self.logins_file, &text) {
            tracing::warn!("{}: {error}", self.logins_file.display());
        }
    }

    fn lock_kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// How often the file is written at most.
const EVERY: Duration = Duration::from_secs(10);
