//! The domains whose mail ends here: those of the configuration, and those of a file of their own that may change
//! while the server runs.

use crate::config::{Config, ConfigError, is_among, read_domains};
use crate::files::{LockedFile, head_of};
use crate::files::{Stamp, stamp};
use mailwright_address::Domain;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The domains of a server.
#[derive(Debug, Default)]
pub struct Domains {
    of_config: Vec<Domain>,
    file: Option<PathBuf>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    stamp: Option<Stamp>,
    /// Those of the configuration come first.
    all: Arc<Vec<Domain>>,
}

impl Domains {
    /// Reads the domains that a configuration has and names.
    ///
    /// # Errors
    ///
    /// When the domains file is there and cannot be understood.
    pub fn load(config: &Config) -> Result<Self, ConfigError> {
        let domains = Self {
            of_config: config.domains.clone(),
            file: config.domains_file.clone(),
            known: Mutex::default(),
        };
        domains.reload()?;
        Ok(domains)
    }

    /// All domains, as they are at this moment.
    pub fn all(&self) -> Arc<Vec<Domain>> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .all
            .clone()
    }

    /// Whether a domain is among them, in whatever form it is written.
    pub fn has(&self, domain: &Domain) -> bool {
        is_among(&self.all(), domain)
    }

    /// Reads the file again if it has changed; says whether the domains are others. A file that is not understood, or
    /// gone, changes nothing, and is complained of once: to believe it would be to refuse mail for good.
    pub fn refresh(&self) -> bool {
        let Some(file) = &self.file else { return false };
        let seen = stamp(file);
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.stamp == seen {
                return false;
            }
            known.stamp = seen;
        }
        if seen.is_none() {
            tracing::error!("{} is gone: the domains stay as they were", file.display());
            return false;
        }
        match self.reload() {
            Ok(()) => tracing::info!(file = %file.display(), "the domains were read again"),
            Err(error) => {
                tracing::error!("the domains stay as they were: {error}");
                return false;
            }
        }
        true
    }

    fn reload(&self) -> Result<(), ConfigError> {
        // Before it is read: what changes meanwhile is seen at the next look.
        let seen = self.file.as_deref().and_then(stamp);
        let mut all = self.of_config.clone();
        if let Some(file) = &self.file {
            for domain in read_domains(file)? {
                if !is_among(&all, &domain) {
                    all.push(domain);
                }
            }
        }
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Known {
            stamp: seen,
            all: Arc::new(all),
        };
        Ok(())
    }
}

/// A domains file that is about to be changed, locked against other writers.
///
/// Changes are in memory until [`save`](DomainsFile::save).
#[derive(Debug)]
pub struct DomainsFile {
    file: LockedFile,
    domains: Vec<Domain>,
}

impl DomainsFile {
    /// Locks and reads the file. One that does not exist holds no domains.
    ///
    /// # Errors
    ///
    /// When its folder cannot be written to, or the file is not understood.
    pub fn open(path: &Path) -> Result<Self, ConfigError> {
        let file = LockedFile::open(path)?;
        let domains = read_domains(path)?;
        Ok(Self { file, domains })
    }

    /// The domains.
    pub fn domains(&self) -> &[Domain] {
        &self.domains
    }

    /// Adds a domain; says whether it was not there.
    pub fn add(&mut self, domain: Domain) -> bool {
        let is_fresh = !is_among(&self.domains, &domain);
        if is_fresh {
            self.domains.push(domain);
        }
        is_fresh
    }

    /// Removes a domain, however it is written; says whether it was there.
    pub fn remove(&mut self, domain: &Domain) -> bool {
        let before = self.domains.len();
        self.domains.retain(|one| !one.same_as(domain));
        self.domains.len() < before
    }

    /// Writes the domains in place of what the file holds, at once or not at all. Comments at its head stay.
    ///
    /// # Errors
    ///
    /// When it cannot be written; the file is as it was then.
    pub fn save(&self) -> io::Result<()> {
        let head = head_of(self.file.path());
        let mut text = head.unwrap_or_else(|| {
            "# Further domains of this server. `mailwright domain` edits this file.\n".to_owned()
        });
        text += "domains = [\n";
        for domain in &self.domains {
            text += &format!("    {},\n", toml::Value::from(domain.as_str()));
        }
        text += "]\n";
        self.file.replace(&text)
    }
}
