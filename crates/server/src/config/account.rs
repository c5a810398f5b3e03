//! One account, as files have it, and the check of its secrets.

use super::app_password::AppPasswordSection;
use super::values::{Size, Text};
use super::{AppPassword, Vacation, VacationSection};
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Params};
use mailwright_address::EmailAddress;
use mailwright_sasl::ScramCredentials;
use std::collections::HashSet;

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
    /// Passwords of single programs and devices.
    pub app_passwords: Vec<AppPassword>,
    /// Whether mail programs may log in with the password of the account itself.
    pub password_logins: PasswordLogins,
    /// Addresses it may send from, besides those that lead to it.
    pub send_as: Vec<EmailAddress>,
    /// The certificates that it may log in with (EXTERNAL), beside those that name it as a mail address. An authority of
    /// [`TlsConfig::client_ca`](super::TlsConfig::client_ca) has to vouch for them.
    pub certificates: Vec<Fingerprint>,
    /// How much mail it may keep, if that is not what holds for all.
    pub quota: Option<Quota>,
    /// Whether it may administer the others: set their quotas by IMAP.
    pub admin: bool,
    /// What it may not do for the time being.
    pub disabled: Option<Disabled>,
    /// IMAP extensions that are not offered to it, by their capability names: for mail programs that break on one.
    pub imap_without: Vec<String>,
    /// Where its mail goes as well, or only.
    pub forward: Vec<EmailAddress>,
    /// Whether it keeps a copy of what is forwarded.
    pub keep_copy: bool,
    /// What senders are told while its owner is away.
    pub vacation: Option<Vacation>,
}

/// Whether mail programs may log in with the password of the account itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[allow(clippy::exhaustive_enums)] // with it or without
pub enum PasswordLogins {
    /// With that, and with application passwords.
    #[default]
    #[serde(rename = "all")]
    All,
    /// With application passwords alone.
    #[serde(rename = "app-only")]
    AppOnly,
}

/// Whom the header of a message that an account submits may name as its author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums)] // itself, or anybody
pub enum FromHeader {
    /// Anybody: the sender in the envelope alone has to be the account's own.
    #[default]
    Free,
    /// The account: every address in From leads to it, or is one that it may send as.
    Bound,
}

/// What is taken from an account that is disabled; its mail stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums)] // what its owner does, or what others do as well
pub enum Disabled {
    /// Nobody logs in, and those who are in are put out. Mail comes in all the same.
    Logins,
    /// Mail for it is refused as well.
    All,
}

impl std::fmt::Display for Disabled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Logins => "logins",
            Self::All => "all",
        })
    }
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
            app_passwords: Vec::new(),
            password_logins: PasswordLogins::All,
            send_as: Vec::new(),
            certificates: Vec::new(),
            quota: None,
            admin: false,
            disabled: None,
            imap_without: Vec::new(),
            forward: Vec::new(),
            keep_copy: true,
            vacation: None,
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
        const APP_HELP: &str = "make them with `mailwright account app-password add`";
        if !self.app_passwords.iter().all(AppPassword::is_sound) {
            return Err(("an application password is not understood", APP_HELP));
        }
        let mut labels = HashSet::new();
        if !self.app_passwords.iter().all(|one| labels.insert(&one.label)) {
            return Err(("two application passwords have the same label", APP_HELP));
        }
        if self.app_passwords.len() > AppPassword::MOST {
            return Err(("there are more than 100 application passwords", "remove some"));
        }
        Ok(())
    }
}

/// The SHA-256 of a certificate, as `openssl x509 -noout -fingerprint -sha256` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// From the octets of the hash.
    pub const fn new(hash: [u8; 32]) -> Self {
        Self(hash)
    }
}

impl std::str::FromStr for Fingerprint {
    type Err = &'static str;

    /// Reads 64 hexadecimal digits, with or without colons between pairs.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str =
            "expected the SHA-256 of a certificate, as `openssl x509 -noout -fingerprint -sha256` prints it";

        let digits: Vec<u8> = text.bytes().filter(|octet| *octet != b':').collect();
        let mut hash = [0; 32];
        if digits.len() != 64 {
            return Err(EXPECTED);
        }
        for (octet, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            let (high, low) = (digit(pair[0]).ok_or(EXPECTED)?, digit(pair[1]).ok_or(EXPECTED)?);
            *octet = u8::try_from(high * 16 + low).map_err(|_| EXPECTED)?;
        }
        Ok(Self(hash))
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, octet) in self.0.iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{octet:02X}")?;
        }
        Ok(())
    }
}

/// What a sender is told whose message has no room in a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums)] // there may be room later, or not
pub enum OverQuota {
    /// To come back: 452 4.2.2. The sender's server tries for days, in which room may be made.
    #[default]
    Later,
    /// That it is refused: 552 5.2.2. The sender hears of it at once.
    Never,
}

/// Whether a text is a hash that can be checked against.
fn is_hash(text: &str) -> bool {
    PasswordHash::new(text).is_ok_and(|hash| {
        let known = Algorithm::try_from(hash.algorithm.as_str()).is_ok() && Params::try_from(&hash).is_ok();
        known && hash.salt.is_some() && hash.hash.is_some()
    })
}

/// How much mail an account may keep (RFC 9208). The default is without bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Quota {
    /// The most octets of all its messages.
    pub storage: Option<u64>,
    /// The most messages.
    pub messages: Option<u64>,
}

impl Quota {
    /// Bounds either or both.
    pub const fn new(storage: Option<u64>, messages: Option<u64>) -> Self {
        Self { storage, messages }
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountSection {
    name: Text<EmailAddress>,
    password: Option<String>,
    scram: Option<String>,
    #[serde(default)]
    app_passwords: Vec<AppPasswordSection>,
    #[serde(default)]
    password_logins: PasswordLogins,
    #[serde(default)]
    send_as: Vec<Text<EmailAddress>>,
    #[serde(default)]
    certificates: Vec<Text<Fingerprint>>,
    quota: Option<QuotaSection>,
    #[serde(default)]
    admin: bool,
    disabled: Option<Disabled>,
    #[serde(default)]
    imap_without: Vec<String>,
    #[serde(default)]
    forward: Vec<Text<EmailAddress>>,
    keep_copy: Option<bool>,
    vacation: Option<VacationSection>,
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
            app_passwords: section.app_passwords.into_iter().map(AppPassword::from).collect(),
            password_logins: section.password_logins,
            send_as: section.send_as.into_iter().map(|address| address.0).collect(),
            certificates: section.certificates.into_iter().map(|one| one.0).collect(),
            quota: section.quota.map(Quota::from),
            admin: section.admin,
            disabled: section.disabled,
            imap_without: section.imap_without,
            forward: section.forward.into_iter().map(|address| address.0).collect(),
            keep_copy: section.keep_copy.unwrap_or(true),
            vacation: section.vacation.map(Vacation::from),
        }
    }
}
