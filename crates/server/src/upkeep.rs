//! What a store can do for those who look after it, while it works.

use mailwright_store::MaildirStore;
#[cfg(feature = "sqlite")]
use mailwright_store::SqliteStore;
use std::path::Path;
use std::pin::Pin;

/// What is promised, and why it is not kept.
pub type Promise<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// A store that can be copied and checked while it works; told to a server by [`Builder::upkeep`](crate::Builder::upkeep).
pub trait Upkeep: Send + Sync {
    /// Copies all of it, as it is at one moment, into a folder that is empty or not there.
    fn backup<'a>(&'a self, to: &'a Path) -> Promise<'a, Copied>;

    /// Checks everything against everything.
    fn check(&self) -> Promise<'_, Checked>;
}

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // made by whoever has a store
pub struct Copied {
    /// The messages.
    pub messages: u64,
    /// The octets that they take.
    pub octets: u64,
}

/// What a check has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // made by whoever has a store
pub struct Checked {
    /// How many messages there are, where that is known.
    pub messages: Option<u64>,
    /// What is wrong, a line each.
    pub problems: Vec<String>,
}

#[cfg(feature = "sqlite")]
impl Upkeep for SqliteStore {
    fn backup<'a>(&'a self, to: &'a Path) -> Promise<'a, Copied> {
        Box::pin(async move {
            let copied = Self::backup(self, to).await.map_err(|error| error.to_string())?;
            Ok(Copied {
                messages: copied.messages,
                octets: copied.octets,
            })
        })
    }

    fn check(&self) -> Promise<'_, Checked> {
        Box::pin(async move {
            let report = Self::check(self).await.map_err(|error| error.to_string())?;
            Ok(Checked {
                messages: Some(report.messages),
                problems: report.problems.iter().map(ToString::to_string).collect(),
            })
        })
    }
}

impl Upkeep for MaildirStore {
    fn backup<'a>(&'a self, _: &'a Path) -> Promise<'a, Copied> {
        let root = self.root().display().to_string();
        Box::pin(async move {
            Err(format!(
                "a Maildir store is files alone: copy {root} with its hard links, `rsync -aH` or `cp -a`, while no \
                 server runs"
            ))
        })
    }

    fn check(&self) -> Promise<'_, Checked> {
        Box::pin(async move {
            let problems = Self::check(self).await.map_err(|error| error.to_string())?;
            Ok(Checked {
                messages: None,
                problems: problems.iter().map(ToString::to_string).collect(),
            })
        })
    }
}
