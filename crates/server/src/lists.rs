//! Mailing lists: those of the configuration, and those of a file of their own that may change while the server runs

use crate::config::{Config, ConfigError, Lists as Table, read_lists};
use crate::domains::Domains;
use crate::watched::Watched;
use std::path::Path;
use std::sync::Arc;

/// The lists of a server.
#[derive(Debug)]
pub(crate) struct Lists {
    of_config: Table,
    domains: Arc<Domains>,
    all: Watched<Table>,
}

impl Lists {
    /// Reads the lists that a configuration has and names.
    pub(crate) fn load(config: &Config, domains: Arc<Domains>) -> Result<Self, ConfigError> {
        let of_config = config.delivery.lists.clone();
        let all = match config.delivery.lists_file.clone() {
            None => Watched::fixed("the lists", of_config.clone()),
            Some(file) => Watched::open("the lists", file, of_config.clone(), |file| {
                joined(&of_config, file, &domains)
            })?,
        };
        Ok(Self {
            of_config,
            domains,
            all,
        })
    }

    /// All of them, as they are at this moment.
    pub(crate) fn all(&self) -> Arc<Table> {
        self.all.current()
    }

    /// Reads the file again if it has changed.
    pub(crate) fn refresh(&self) {
        self.all
            .refresh(|file| joined(&self.of_config, file, &self.domains));
    }
}

fn joined(of_config: &Table, file: &Path, domains: &Domains) -> Result<Table, ConfigError> {
    let mut all = of_config.clone();
    all.extend(read_lists(file, &domains.all())?);
    Ok(all)
}
