//! Aliases: those of the configuration, and those of a file of their own that may change while the server runs.

use crate::config::{Aliases as Table, Config, ConfigError, read_aliases};
use crate::domains::Domains;
use crate::files::{LockedFile, Stamp, head_of, stamp};
use crate::names;
use mailwright_address::{Domain, EmailAddress};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The aliases of a server.
#[derive(Debug, Default)]
pub struct Aliases {
    of_config: Arc<Table>,
    file: Option<PathBuf>,
    domains: Arc<Domains>,
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
    /// When the aliases file or the domains file is there and cannot be understood.
    pub fn load(config: &Config) -> Result<Self, ConfigError> {
        let aliases = Self {
            of_config: Arc::new(config.aliases.clone()),
            file: config.aliases_file.clone(),
            domains: Arc::new(Domains::load(config)?),
            known: Mutex::default(),
        };
        aliases.reload()?;
        Ok(aliases)
    }

    /// The domains whose addresses these are; they are read again with the aliases.
    pub fn domains(&self) -> &Arc<Domains> {
        &self.domains
    }

    /// All aliases, as they are at this moment.
    pub fn all(&self) -> Arc<BTreeMap<String, Vec<EmailAddress>>> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .all
            .clone()
    }

    /// Reads the file again if it has changed, and that of the domains. One that is not understood, or gone, changes nothing, and is complained
    /// of once: to believe it would be to refuse mail for good.
    pub fn refresh(&self) {
        // What is no alias with the one may be one with the others.
        let others = self.domains.refresh();
        let Some(file) = &self.file else { return };
        let seen = stamp(file);
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.stamp == seen && !others {
                return;
            }
            known.stamp = seen;
        }
        if seen.is_none() && others {
            return;
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
            both.extend(read_aliases(file, &self.domains.all())?);
            all = Arc::new(both);
        }
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Known { stamp: seen, all };
        Ok(())
    }
}

/// An aliases file that is about to be changed, locked against other writers.
///
/// Changes are in memory until [`save`](AliasesFile::save).
#[derive(Debug)]
pub struct AliasesFile {
    file: LockedFile,
    aliases: Table,
}

impl AliasesFile {
    /// Locks and reads the file. One that does not exist holds no aliases.
    ///
    /// # Errors
    ///
    /// When its folder cannot be written to, or the file is not understood.
    pub fn open(path: &Path, domains: &[Domain]) -> Result<Self, ConfigError> {
        let file = LockedFile::open(path)?;
        let aliases = read_aliases(path, domains)?;
        Ok(Self { file, aliases })
    }

    /// The aliases.
    pub fn aliases(&self) -> &BTreeMap<String, Vec<EmailAddress>> {
        &self.aliases
    }

    /// Lets a name stand for a further address; says whether it did not before.
    pub fn add(&mut self, name: &str, target: EmailAddress) -> bool {
        let targets = self.aliases.entry(names::key(name)).or_default();
        let is_fresh = !targets.contains(&target);
        if is_fresh {
            targets.push(target);
        }
        is_fresh
    }

    /// Takes a name away, or one of the addresses it stands for; with the last one the name goes too. Says whether it
    /// was there.
    pub fn remove(&mut self, name: &str, target: Option<&EmailAddress>) -> bool {
        let key = names::key(name);
        let Some(target) = target else {
            return self.aliases.remove(&key).is_some();
        };
        let Some(targets) = self.aliases.get_mut(&key) else {
            return false;
        };
        let before = targets.len();
        targets.retain(|one| names::key(one.as_str()) != names::key(target.as_str()));
        let was_there = targets.len() < before;
        if targets.is_empty() {
            self.aliases.remove(&key);
        }
        was_there
    }

    /// Writes the aliases in place of what the file holds, at once or not at all. Comments at its head stay.
    ///
    /// # Errors
    ///
    /// When it cannot be written; the file is as it was then.
    pub fn save(&self) -> io::Result<()> {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let head = head_of(self.file.path());
        let mut text = head.unwrap_or_else(|| {
            "# Addresses that stand for others. `mailwright alias` edits this file.\n".to_owned()
        });
        for (name, targets) in &self.aliases {
            let targets: Vec<_> = targets.iter().map(|target| quoted(target.as_str())).collect();
            text += &format!("{} = [{}]\n", quoted(name), targets.join(", "));
        }
        self.file.replace(&text)
    }
}

/// The form of an alias name under which it is looked up: in small letters, its domain in A-labels.
pub fn alias_key(name: &str) -> String {
    names::key(name)
}
