//! One account, as files have it, and the check of its secrets.

use super::Quota;
use super::values::{Size, Text};
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Params};
use mailwright_address::EmailAddress;
use mailwright_sasl::ScramCredentials;

/// One account, as the configuration or the accounts file has it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccountEntry {
    /// The address that is the login name as well.
    pub name: EmailAddress,
    /// The password as an Argon2 hash, a PHC string.
    pub password: Option<String>,
    /// The verifier for SCRAM-SHA-256, as `SCRAM-SHA-256$ITERATIONS:SALT$STORED:SERVER`.
    pub scram: Option<String>,
    /// How much mail it may keep, if that is not what holds for all.
    pub quota: Option<Quota>,
    /// Whether it may administer the others: set their quotas by IMAP.
    pub admin: bool,
    /// IMAP extensions that are not offered to it, by their capability names: for mail programs that break on one.
    pub imap_without: Vec<String>,
}

impl std::fmt::Debug for AccountEntry {
    /// Without the hashes: they do not belong into logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountEntry")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl AccountEntry {
    /// An account nobody can log in to yet.
    pub fn new(name: EmailAddress) -> Self {
        Self {
            name,
            password: None,
            scram: None,
            quota: None,
            admin: false,
            imap_without: Vec::new(),
        }
    }

    /// What is wrong with the secrets, and what to do about it.
    pub(crate) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        const HELP: &str = "make one with `mailwright account hash`";
        if self.password.as_deref().is_some_and(|hash| !is_hash(hash)) {
            return Err(("the password is not an Argon2 hash", HELP));
        }
        if self
            .scram
            .as_deref()
            .is_some_and(|text| text.parse::<ScramCredentials>().is_err())
        {
            return Err(("the SCRAM verifier is not understood", HELP));
        }
        Ok(())
    }
}

/// Whether a text is a hash that can be checked against.
fn is_hash(text: &str) -> bool {
    PasswordHash::new(text).is_ok_and(|hash| {
        let known = Algorithm::try_from(hash.algorithm.as_str()).is_ok() && Params::try_from(&hash).is_ok();
        known && hash.salt.is_some() && hash.hash.is_some()
    })
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountSection {
    name: Text<EmailAddress>,
    password: Option<String>,
    scram: Option<String>,
    quota: Option<QuotaSection>,
    #[serde(default)]
    admin: bool,
    #[serde(default)]
    imap_without: Vec<String>,
}

#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuotaSection {
    storage: Option<Text<Size>>,
    messages: Option<u64>,
}

impl From<QuotaSection> for Quota {
    fn from(section: QuotaSection) -> Self {
        Self::new(section.storage.map(|size| size.0.0), section.messages)
    }
}

impl From<AccountSection> for AccountEntry {
    fn from(section: AccountSection) -> Self {
        Self {
            name: section.name.0,
            password: section.password,
            scram: section.scram,
            quota: section.quota.map(Quota::from),
            admin: section.admin,
            imap_without: section.imap_without,
        }
    }
}
