//! Aliases: those of the configuration, and those of a file of their own that may change while the server runs.

use crate::accounts::{Stamp, stamp};
use crate::config::{Aliases as Table, Config, ConfigError, read_aliases};
use mailwright_address::{Domain, EmailAddress};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The aliases of a server.
#[derive(Debug, Default)]
pub struct Aliases {
    of_config: Arc<Table>,
    file: Option<PathBuf>,
    domains: Vec<Domain>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    stamp: Option<Stamp>,
    /// Those of the file, and of the configuration where it names none of the file's.
    all: Arc<Table>,
}

impl Aliases {
    /// Reads the aliases that a configuration has and names.
    ///
    /// # Errors
    ///
    /// When the aliases file is there and cannot be understood.
    pub fn load(config: &Config) -> Result<Self, ConfigError> {
        let aliases = Self {
            of_config: Arc::new(config.aliases.clone()),
            file: config.aliases_file.clone(),
            domains: config.domains.clone(),
            known: Mutex::default(),
        };
        aliases.reload()?;
        Ok(aliases)
    }

    /// All aliases, as they are at this moment.
    pub fn all(&self) -> Arc<BTreeMap<String, Vec<EmailAddress>>> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .all
            .clone()
    }

    /// Reads the file again if it has changed. One that is not understood, or gone, changes nothing, and is complained
    /// of once: to believe it would be to refuse mail for good.
    pub fn refresh(&self) {
        let Some(file) = &self.file else { return };
        let seen = stamp(file);
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.stamp == seen {
                return;
            }
            known.stamp = seen;
        }
        if seen.is_none() {
            return tracing::error!("{} is gone: the aliases stay as they were", file.display());
        }
        match self.reload() {
            Ok(()) => tracing::info!(file = %file.display(), "the aliases were read again"),
            Err(error) => tracing::error!("the aliases stay as they were: {error}"),
        }
    }

    fn reload(&self) -> Result<(), ConfigError> {
        let mut all = self.of_config.clone();
        // Before it is read: what changes meanwhile is seen at the next look.
        let seen = self.file.as_deref().and_then(stamp);
        if let (Some(file), Some(_)) = (&self.file, seen) {
            let mut both = Table::clone(&all);
            both.extend(read_aliases(file, &self.domains)?);
            all = Arc::new(both);
        }
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Known { stamp: seen, all };
        Ok(())
    }
}
