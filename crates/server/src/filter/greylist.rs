//! Greylisting (RFC 6647)

use super::lists::Listed;
use super::marks::refusal;
use crate::clock::unix_now;
use crate::config::Greylisting;
use crate::files::replace;
use crate::judge::{Action, Client, Filter, Judging, Ruling};
use crate::shutdown::Shutdown;
use mailwright_address::ForwardPath;
use mailwright_filter::client_network;
use mailwright_filter::greylist::{Answer, Greylist};
use mailwright_smtp::{Mail, Rcpt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Has strangers come back.
///
/// Who logged in, trusted networks and clients that allow lists speak for are not asked.
#[derive(Debug)]
pub struct Greylisted {
    table: Mutex<Greylist>,
    file: Option<PathBuf>,
    lists: Option<Arc<Listed>>,
    ipv4_prefix: u8,
    ipv6_prefix: u8,
}

impl Greylisted {
    /// Reads the table that was kept in a file, if there is one. Without it, all are strangers.
    pub fn open(config: &Greylisting, file: Option<PathBuf>, lists: Option<Arc<Listed>>) -> Self {
        let mut table = Greylist::new(config.table.clone());
        match file.as_deref().map(std::fs::read_to_string) {
            Some(Ok(text)) => table.read(&text),
            Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!("the greylist cannot be read, all senders are strangers: {error}");
            }
            _ => {}
        }
        Self {
            table: Mutex::new(table),
            file,
            lists,
            ipv4_prefix: config.ipv4_prefix,
            ipv6_prefix: config.ipv6_prefix,
        }
    }

    /// Keeps the table in its file as it changes, until the server stops.
    ///
    /// What changed in the seconds before a crash is lost: strangers of that time have to come back once more.
    pub(crate) async fn keep(self: Arc<Self>, shutdown: Shutdown) {
        let mut written = self.table().changes();
        loop {
            let stopping = tokio::select! {
                () = tokio::time::sleep(SAVED_EVERY) => false,
                () = shutdown.begun() => true,
            };
            if self.table().changes() != written {
                written = self.save().await.unwrap_or(written);
            }
            if stopping {
                return;
            }
        }
    }

    async fn save(&self) -> Option<u64> {
        let file = self.file.clone()?;
        let (text, changes) = {
            let table = self.table();
            (table.print(), table.changes())
        };
        match tokio::task::spawn_blocking(move || replace(&file, &text)).await {
            Ok(Ok(())) => Some(changes),
            Ok(Err(error)) => {
                tracing::warn!("the greylist cannot be kept: {error}");
                None
            }
            Err(error) => {
                tracing::error!(%error, "keeping the greylist broke down");
                None
            }
        }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Greylist> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Filter for Greylisted {
    fn name(&self) -> &str {
        "greylist"
    }

    fn reads(&self, _: &Client) -> bool {
        false
    }

    fn recipient<'a>(&'a self, client: &'a Client, mail: &'a Mail, rcpt: &'a Rcpt) -> Judging<'a> {
        Box::pin(async move {
            if !client.is_stranger() {
                return Ruling::accept();
            }
            let ip = client.address.ip();
            if let Some(lists) = &self.lists
                && lists.standing(ip).await.weight < 0.0
            {
                return Ruling::accept();
            }
            let network = client_network(ip, self.ipv4_prefix, self.ipv6_prefix);
            let sender = mail.path.address().map_or("", |address| address.as_str());
            let recipient = match &rcpt.path {
                ForwardPath::Address(address) => address.as_str(),
                _ => "postmaster",
            };
            let now = u64::try_from(unix_now()).unwrap_or(0);
            let Answer::Later(wait) = self.table().check(network, sender, recipient, now) else {
                return Ruling::accept();
            };
            let words = format!("Greylisted, try again in {} seconds", wait.as_secs());
            Ruling::new(Action::Defer(refusal(450, &words))).because("greylisted")
        })
    }
}

/// How often the table is written, if it changed.
const SAVED_EVERY: Duration = Duration::from_secs(10);
