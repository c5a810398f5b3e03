//! A maildrop fetched into a Maildir or an mbox: what `pop_fetch` does.
//!
//! ```text
//!   UIDL ─▶ ledger ─▶ plan ─▶ RETR, several ahead ─▶ Maildir or mbox, on disk
//!             ▲                                          │
//!             └──── saved ◀── fetched ◀──────────────────┘
//!                     └────▶ DELE ─▶ QUIT
//! ```
//!
//! A message is deleted once it is on disk and the ledger says so, never before.

mod folder;

pub use folder::Folder;

use crate::imap_copy::Progress;
use crate::net::Fallible;
use crate::pop3::Session;
use mailwright_pop3::client::{Command, Event};
use mailwright_pop3::{Keep, Ledger, Plan, Reply};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What one run did.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    /// How many messages were fetched.
    pub fetched: usize,
    /// How many were deleted on the server.
    pub deleted: usize,
    /// How many stay there.
    pub left: usize,
    /// What the server refused.
    pub failures: Vec<String>,
}

/// A fetch on its way.
#[derive(Debug)]
pub struct Fetch {
    session: Session,
    folder: Folder,
    state: PathBuf,
    ledger: Ledger,
    keep: Keep,
    progress: Progress,
}

/// What the server has.
#[derive(Debug, Default)]
struct Listing {
    uids: BTreeMap<u32, String>,
    sizes: HashMap<u32, u64>,
    /// Those without a unique id, which cannot be recognised another time.
    nameless: Vec<u32>,
}

impl Fetch {
    /// How many messages are fetched before the ledger is saved.
    const SAVE_EVERY: usize = 50;

    /// Makes ready to fetch; what was fetched before is read from `state`.
    ///
    /// # Errors
    ///
    /// If `state` holds something else than a ledger.
    pub fn new(
        session: Session,
        folder: Folder,
        state: &Path,
        keep: Keep,
        progress: Progress,
    ) -> Fallible<Self> {
        let say = |e: &dyn std::fmt::Display| format!("{}: {e}", state.display());
        let ledger = match std::fs::read_to_string(state) {
            Ok(text) => text.parse().map_err(|e| say(&e))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ledger::new(),
            Err(e) => return Err(say(&e).into()),
        };
        Ok(Self {
            session,
            folder,
            state: state.to_owned(),
            ledger,
            keep,
            progress,
        })
    }

    /// Fetches what there is to fetch, deletes what is to be deleted, and takes leave.
    ///
    /// # Errors
    ///
    /// If the connection is lost, or a file cannot be written. Nothing is deleted then; what was fetched is noted.
    pub fn run(mut self) -> Fallible<Report> {
        let listing = self.list()?;
        let uids = listing.uids.iter().map(|(n, uid)| (*n, uid.as_str()));
        let mut plan = self.ledger.plan(uids, self.keep, now()?);
        plan.fetch.extend(&listing.nameless);
        plan.fetch.sort_unstable();
        let mut report = Report::default();
        let fetched = self.fetch(&listing, &plan, &mut report);
        self.progress.end();
        // Whatever happened: what is here need not come a second time.
        self.save()?;
        let fetched = fetched?;
        let mut delete = plan.delete;
        if self.keep == Keep::No {
            delete.extend(fetched);
        }
        report.left = listing.uids.len() + listing.nameless.len() - delete.len();
        report.deleted = delete.len();
        for message in delete {
            self.session.queue(Command::Dele(message))?;
        }
        self.session.queue(Command::Quit)?;
        while let Some(event) = self.session.event()? {
            if let Event::Refused(why) = event {
                report.failures.push(format!("not deleted: {why}"));
            }
        }
        Ok(report)
    }

    fn list(&mut self) -> Fallible<Listing> {
        let mut listing = Listing::default();
        let mut count = 0;
        self.session.run("STAT", Command::Stat, |event| {
            if let Event::Stat { messages, .. } = event {
                count = messages;
            }
        })?;
        if count == 0 {
            return Ok(listing);
        }
        self.session.run("LIST", Command::List(None), |event| {
            if let Event::Size { message, octets } = event {
                listing.sizes.insert(message, octets);
            }
        })?;
        let asked = self.session.run("UIDL", Command::Uidl(None), |event| {
            if let Event::UniqueId { message, uid } = event {
                listing.uids.insert(message, uid);
            }
        });
        if let (Err(error), true) = (asked, self.keep != Keep::No) {
            return Err(format!(
                "{error}: without unique ids nothing can be left on the server; use --keep no"
            )
            .into());
        }
        listing.nameless = (1..=count).filter(|n| !listing.uids.contains_key(n)).collect();
        Ok(listing)
    }

    /// Fetches messages; those that are here.
    fn fetch(&mut self, listing: &Listing, plan: &Plan, report: &mut Report) -> Fallible<Vec<u32>> {
        let sizes = plan.fetch.iter().filter_map(|n| listing.sizes.get(n));
        self.progress.begin("messages", plan.fetch.len(), sizes.sum());
        for message in &plan.fetch {
            self.session.queue(Command::Retr(*message))?;
        }
        let mut fetched = Vec::new();
        for message in &plan.fetch {
            match self.fetch_one()? {
                Err(why) => report.failures.push(format!("message {message}: {why}")),
                Ok(()) => {
                    fetched.push(*message);
                    report.fetched = fetched.len();
                    if let Some(uid) = listing.uids.get(message) {
                        self.ledger.fetched(uid, now()?);
                    }
                    if fetched.len() % Self::SAVE_EVERY == 0 {
                        self.save()?;
                    }
                }
            }
            self.progress.message();
        }
        Ok(fetched)
    }

    /// Takes the next message that was asked for; what the server says if it does not give it.
    fn fetch_one(&mut self) -> Fallible<Result<(), Reply>> {
        let mut arriving = self.folder.begin()?;
        loop {
            match self.session.event()?.ok_or("the server closed the connection")? {
                Event::Body(octets) => {
                    arriving.write(&octets)?;
                    self.progress.octets(octets.len() as u64);
                }
                Event::Refused(why) => return Ok(Err(why)),
                Event::Done(_) => return arriving.keep().map(Ok),
                _ => {}
            }
        }
    }

    /// Puts the ledger on disk, whole or not at all, behind the messages that it speaks of.
    fn save(&mut self) -> Fallible<()> {
        self.folder.sync()?;
        let mut fresh = self.state.clone().into_os_string();
        fresh.push(".part");
        let mut file = File::create(&fresh)?;
        file.write_all(self.ledger.to_string().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, &self.state)?;
        Ok(())
    }
}

fn now() -> Fallible<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}
