//! The files beside the configuration that commands edit: domains and aliases.

use super::problem::Problems;
use super::values::Targets;
use super::values::Text;
use super::{Aliases, Config, ConfigError, is_among};
use crate::names;
use mailwright_address::Domain;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use toml::Spanned;

/// Reads a file of domains; one that is not there has none.
///
/// # Errors
///
/// When it cannot be read or understood.
pub fn read_domains(path: &Path) -> Result<Vec<Domain>, ConfigError> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default)]
        domains: Vec<Text<Domain>>,
    }

    let Some(text) = read(path)? else {
        return Ok(Vec::new());
    };
    let file: File = toml::from_str(&text).map_err(|error| ConfigError::syntax(path, &text, &error))?;
    Ok(file.domains.into_iter().map(|domain| domain.0).collect())
}

/// Reads a file of aliases, in lines as those of `[aliases]`; one that is not there has none.
///
/// # Errors
///
/// When it cannot be read or understood.
pub fn read_aliases(path: &Path, domains: &[Domain]) -> Result<Aliases, ConfigError> {
    let Some(text) = read(path)? else {
        return Ok(Aliases::new());
    };
    let sections = toml::from_str(&text).map_err(|error| ConfigError::syntax(path, &text, &error))?;
    let mut found = Problems::new(path, &text);
    let aliases = aliases(sections, domains, &mut found);
    found.finish(aliases)
}

fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ConfigError::unreadable(path, &error, "let the server read it")),
    }
}

pub(super) fn aliases(
    sections: BTreeMap<Spanned<String>, Targets>,
    domains: &[Domain],
    found: &mut Problems<'_>,
) -> Aliases {
    let mut aliases = Aliases::new();
    for (key, targets) in sections {
        let span = key.span();
        let name = key.into_inner();
        let domain = name.rsplit_once('@').map(|(_, domain)| domain);
        match domain.map(Domain::parse) {
            Some(Ok(domain)) if !is_among(domains, &domain) => {
                let what = format!("alias {name}: its domain is not one of ours");
                found.add(
                    Some(span.clone()),
                    what,
                    Some("add the domain to `domains`, or correct the name"),
                );
            }
            Some(Err(error)) => found.add(Some(span.clone()), format!("alias {name}: {error}"), None),
            _ => {}
        }
        let Targets(targets) = targets;
        if targets.is_empty() {
            found.add(
                Some(span.clone()),
                format!("alias {name} leads nowhere"),
                Some("name at least one address"),
            );
        }
        if aliases.insert(names::key(&name), targets).is_some() {
            found.add(
                Some(span),
                format!("alias {name} is there twice"),
                Some("join their targets in one list"),
            );
        }
    }
    aliases
}

impl Config {
    /// The domains of the configuration and of the domains file.
    pub(crate) fn local_domains(&self, found: &mut Problems<'_>) -> Vec<Domain> {
        let mut all = self.domains.clone();
        match self.domains_file.as_deref().map(read_domains) {
            Some(Ok(domains)) => all.extend(domains),
            Some(Err(error)) => found.extend(error),
            None => {}
        }
        all
    }
}
