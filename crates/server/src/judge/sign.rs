//! Outgoing mail is signed for the domain it comes from (RFC 6376 §5)

use crate::clock::unix_now;
use crate::config::Config;
use crate::keys::{UnusableKey, read_key, warn_if_open};
use crate::names::domain_key;
use mailwright_address::Domain;
use mailwright_auth::dkim::{Profile, Rotation, Signer};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The keys of all domains.
#[derive(Debug, Default)]
pub(crate) struct Keys(HashMap<String, Rotation>);

impl Keys {
    /// Reads all keys; the error names the file.
    pub(crate) fn load(config: &Config) -> Result<Self, (PathBuf, UnusableKey)> {
        let mut keys: HashMap<String, Rotation> = HashMap::new();
        for entry in &config.dkim {
            warn_if_open(&entry.file);
            let key = read_key(&entry.file).map_err(|error| (entry.file.clone(), error))?;
            let domain = domain_key(&entry.domain);
            let profile = Arc::new(Profile::new(
                domain.clone(),
                entry.selector.clone(),
                Arc::new(key),
            ));
            let rotation = keys.remove(&domain).unwrap_or_default();
            keys.insert(domain, rotation.with(entry.from, profile));
        }
        Ok(Self(keys))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Begins to sign a message for a domain, if it has a key at this time, or the nearest one above it has.
    pub(crate) fn signer(&self, domain: &Domain) -> Option<Signer> {
        let now = u64::try_from(unix_now()).unwrap_or(0);
        let whole = domain_key(domain);
        let mut name = Some(whole.as_str());
        while let Some(domain) = name {
            let profiles = self
                .0
                .get(domain)
                .map(|rotation| rotation.at(now))
                .unwrap_or_default();
            if !profiles.is_empty() {
                return Some(Signer::new(profiles));
            }
            name = domain.split_once('.').map(|(_, above)| above);
        }
        None
    }

    /// The fields that sign a whole message for a domain; empty if it has no key.
    pub(crate) fn sign(&self, domain: &Domain, message: &[u8]) -> String {
        let Some(mut signer) = self.signer(domain) else {
            return String::new();
        };
        signer.push(message);
        finish(signer)
    }
}

/// The fields that sign a message; empty if it cannot be signed, which the log says.
pub(crate) fn finish(signer: Signer) -> String {
    let signed = signer.finish(u64::try_from(unix_now()).unwrap_or(0));
    signed.unwrap_or_else(|error| {
        tracing::warn!(%error, "a message goes out unsigned");
        String::new()
    })
}
