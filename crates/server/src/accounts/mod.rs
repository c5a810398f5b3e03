//! Who may log in: accounts of the configuration and of the accounts file.
//!
//! Passwords are kept as Argon2 hashes, and as SCRAM-SHA-256 verifiers for those who do not want to send them.
//! Checking one is made to be slow, so it happens off the async threads, a few at a time, and takes as long
//! for a name that nobody has. How often one may be tried is for [`throttle`] to say.

mod certificate;
mod checker;
mod decoys;
mod file;
mod grant;
mod login;
mod logins;
mod password;
mod remembered;
pub mod throttle;

use crate::config::{
    AccountEntry, Config, ConfigError, Disabled, Fingerprint, LoginLimits, NewFolder, PasswordHashing,
    PasswordLogins, Quota,
};
use crate::files::{Stamp, stamp};
use crate::names;
use crate::random::entropy;
use checker::Checker;
use decoys::Decoys;
use mailwright_address::{Domain, EmailAddress};
use mailwright_mailbox::Account;
use mailwright_sasl::{Identity, Mechanism, ScramCredentials, ScramHash};
use remembered::Remembered;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use throttle::Throttle;
use tokio::sync::watch;

pub use file::AccountsFile;
pub use grant::Grant;
pub use login::Visit;
pub use logins::last_use;
pub use password::{hash_password, password_fits, random_password, set_password};

/// The accounts of a server.
pub struct Accounts {
    known: RwLock<Known>,
    /// Tells that `known` is another.
    changed: watch::Sender<()>,
    limits: LoginLimits,
    checker: Checker,
    throttle: Mutex<Throttle>,
    remembered: Mutex<Remembered>,
    kept: Mutex<logins::Kept>,
    logins_file: PathBuf,
    /// Hashes, and those of the same passwords that took their places.
    rehashed: Mutex<HashSet<(Box<str>, Box<str>)>>,
    /// What is made up for unknown names is made of: hashes and SCRAM salts.
    decoy_key: [u8; 32],
    /// Whether every name has an account.
    anybody: bool,
}

/// What the configuration says.
#[derive(Debug, Default)]
struct Given {
    of_config: Vec<Arc<AccountEntry>>,
    path: PathBuf,
    /// Completes a login name that has no domain.
    first_domain: Option<Domain>,
    folders: Arc<[NewFolder]>,
}

/// Another configuration that was read, with its accounts file.
#[derive(Debug)]
pub(crate) struct Prepared {
    given: Given,
    stamp: Option<Stamp>,
    /// What the file holds, if it is there.
    of_file: Option<Vec<Arc<AccountEntry>>>,
}

#[derive(Debug, Default)]
struct Known {
    given: Arc<Given>,
    stamp: Option<Stamp>,
    of_file: Vec<Arc<AccountEntry>>,
    by_name: HashMap<Box<str>, Arc<AccountEntry>>,
    /// The hash function of the SCRAM verifiers, if all accounts have one of it.
    scram: Option<ScramHash>,
    /// What the passwords of unknown names are checked against.
    decoys: Decoys,
    /// The keys of `by_name` by the fingerprints of the certificates that may log in.
    by_certificate: HashMap<Fingerprint, Box<str>>,
}

impl Accounts {
    /// Reads the accounts file and joins it with the accounts of the configuration, which come first.
    ///
    /// Changes of the file count at once. While it cannot be understood, or is gone, its accounts stay as they
    /// were.
    ///
    /// # Errors
    ///
    /// When the accounts file is there and cannot be understood.
    pub fn load(config: &Config) -> Result<Self, ConfigError> {
        let prepared = Self::prepare(config)?;
        let limits = config.login_limits.clone();
        let mut throttle = Throttle::new(limits.clone());
        let kept = logins::restore(&config.logins_file(), &mut throttle);
        let accounts = Self {
            known: RwLock::default(),
            changed: watch::Sender::new(()),
            checker: Checker::new(
                config.limits.password_checks,
                limits.waiting,
                config.password_hash,
            ),
            throttle: Mutex::new(throttle),
            remembered: Mutex::new(Remembered::new(limits.cache, limits.entries)),
            kept: Mutex::new(kept),
            logins_file: config.logins_file(),
            rehashed: Mutex::default(),
            limits,
            decoy_key: entropy(),
            anybody: config.anybody,
        };
        accounts.take_up(prepared);
        Ok(accounts)
    }

    /// Reads what another configuration has and names.
    ///
    /// # Errors
    ///
    /// When its accounts file is there and cannot be understood.
    pub(crate) fn prepare(config: &Config) -> Result<Prepared, ConfigError> {
        let given = Given {
            of_config: config.accounts.iter().cloned().map(Arc::new).collect(),
            path: config.accounts_file.clone(),
            first_domain: config.domains.first().cloned(),
            folders: config.delivery.folders.clone().into(),
        };
        // Before it is read: what changes meanwhile is seen at the next look.
        let stamp = stamp(&given.path);
        let of_file = file::read(&given.path)?.map(in_common);
        Ok(Prepared {
            given,
            stamp,
            of_file,
        })
    }

    /// Takes up what was read. Sessions whose accounts are gone or changed hear of it.
    pub(crate) fn take_up(&self, prepared: Prepared) {
        let Prepared {
            given,
            stamp,
            of_file,
        } = prepared;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // A file that is away for a while takes nobody away.
        if of_file.is_some() || known.given.path != given.path {
            known.of_file = of_file.unwrap_or_default();
        }
        known.given = Arc::new(given);
        known.stamp = stamp;
        known.join(self.checker.hashing(), &self.decoy_key);
        drop(known);
        self.changed.send_replace(());
    }

    fn given(&self) -> Arc<Given> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.given.clone()
    }

    /// The account a login name stands for: whatever its case, and without a domain that of the first local one.
    pub fn find(&self, name: &str) -> Option<Account> {
        self.entry(name).map(|entry| account_of(&entry))
    }

    /// The account whose name is this address, whatever its case.
    pub fn at(&self, address: &EmailAddress) -> Option<Account> {
        let name = EmailAddress::new(&address.unquoted_local_part(), address.host().clone()).ok()?;
        self.entry_of(&names::key(name.as_str()))
            .map(|entry| account_of(&entry))
    }

    /// All accounts, by name.
    pub fn all(&self) -> Vec<Account> {
        let mut all: Vec<_> = self
            .current()
            .by_name
            .values()
            .map(|entry| account_of(entry))
            .collect();
        all.sort_unstable();
        all
    }

    /// The mechanisms to offer, most wanted first.
    ///
    /// A mechanism of SCRAM is among them only if no account lacks its verifier or has application passwords, which it
    /// cannot check: clients that see it try nothing else. CRAM-MD5 never is: it needs the passwords themselves.
    pub fn mechanisms(&self) -> Vec<Mechanism> {
        let scram = self.current().scram;
        // SCRAM would have to know the passwords of everybody.
        let works = |mechanism: &Mechanism| {
            mechanism
                .scram_hash()
                .is_none_or(|hash| scram == Some(hash) && !self.anybody)
        };
        let all = [
            Mechanism::ScramSha256Plus,
            Mechanism::ScramSha1Plus,
            Mechanism::ScramSha256,
            Mechanism::ScramSha1,
            Mechanism::Plain,
            Mechanism::Login,
        ];
        all.into_iter().filter(works).collect()
    }

    /// The account of somebody who was authenticated.
    pub fn account(&self, identity: &Identity) -> Option<Account> {
        self.find(&identity.authcid)
    }

    /// What is set for an account.
    pub(crate) fn settings(&self, account: &Account) -> Option<Arc<AccountEntry>> {
        self.entry(account.as_str())
    }

    /// The mailboxes that an account begins with, beside INBOX.
    pub(crate) fn folders(&self) -> Arc<[NewFolder]> {
        self.given().folders.clone()
    }

    /// How much mail an account may keep, if its entry says so.
    pub fn quota(&self, account: &Account) -> Option<Quota> {
        self.entry(account.as_str())?.quota
    }

    /// Whether an account may send from an address by its own entry, whoever else has it.
    pub fn is_granted(&self, account: &Account, address: &EmailAddress) -> bool {
        self.entry(account.as_str())
            .is_some_and(|entry| entry.send_as.iter().any(|granted| same_name(granted, address)))
    }

    /// Whether an account may administer the others.
    pub fn is_admin(&self, account: &Account) -> bool {
        self.entry(account.as_str()).is_some_and(|entry| entry.admin)
    }

    /// Sets how much mail an account of the accounts file may keep. Waits for the disk, and for others who change the
    /// file.
    ///
    /// # Errors
    ///
    /// [`NotSet::InConfig`] for an account of the configuration, others when the file cannot be written.
    pub fn set_quota(&self, account: &Account, quota: Quota) -> Result<(), NotSet> {
        let given = self.given();
        if given.of_config.iter().any(|entry| account_of(entry) == *account) {
            return Err(NotSet::InConfig);
        }
        let mut file = AccountsFile::open(&given.path).map_err(|error| NotSet::Failed(error.to_string()))?;
        file.entry(account.as_str()).ok_or(NotSet::NoSuchAccount)?.quota = Some(quota);
        file.save().map_err(|error| NotSet::Failed(error.to_string()))
    }

    /// Whether an IMAP extension is not to be offered to somebody, whether or not there is such an account.
    pub fn is_masked(&self, name: &str, capability: &str) -> bool {
        let entry = self.entry(name);
        entry.is_some_and(|entry| {
            entry
                .imap_without
                .iter()
                .any(|one| one.eq_ignore_ascii_case(capability))
        })
    }

    /// How much work was done to check passwords since the start: KiB of memory times passes over it, of all hashes that
    /// were computed.
    pub fn hash_work(&self) -> u64 {
        self.checker.work()
    }

    /// A panic of another thread leaves the counts as good as they were.
    fn lock_throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether mail for an account is taken.
    pub fn takes_mail(&self, account: &Account) -> bool {
        self.entry(account.as_str())
            .is_none_or(|entry| entry.disabled != Some(Disabled::All))
    }

    fn entry(&self, name: &str) -> Option<Arc<AccountEntry>> {
        self.entry_of(&self.key(name))
    }

    /// The entry of a name, in the form of [`names::key`].
    fn entry_of(&self, key: &str) -> Option<Arc<AccountEntry>> {
        let known = self.current().by_name.get(key).cloned();
        known.or_else(|| {
            let name = self.anybody.then(|| key.parse().ok())??;
            Some(Arc::new(AccountEntry::new(name)))
        })
    }

    /// The key of a login name: all spellings of one name have the same.
    fn key(&self, name: &str) -> String {
        match &self.given().first_domain {
            Some(domain) if !name.contains('@') => names::key(&format!("{name}@{domain}")),
            _ => names::key(name),
        }
    }

    /// The accounts as the file has them at this moment: looking at its date is all it costs while it stays the same.
    fn current(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.stamp == stamp(&known.given.path) {
            return known;
        }
        drop(known);
        if let Err(error) = self.reload() {
            tracing::error!("the accounts stay as they were: {error}");
        }
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn reload(&self) -> Result<(), ConfigError> {
        let given = self.given();
        let stamp = stamp(&given.path);
        let entries = file::read(&given.path);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&known.given, &given) {
            // Another configuration came meanwhile, with its own file.
            return Ok(());
        }
        // Whether it can be read or not, this state of the file was seen, and is complained of once.
        known.stamp = stamp;
        match entries? {
            Some(entries) => known.of_file = in_common(entries),
            None => {
                // Some editors, and disks that are not mounted, take a file away for a while. To believe them
                // would be to refuse everybody's mail for good.
                tracing::error!("{} is gone: the accounts stay as they were", given.path.display());
                return Ok(());
            }
        }
        known.join(self.checker.hashing(), &self.decoy_key);
        drop(known);
        self.changed.send_replace(());
        Ok(())
    }
}

fn in_common(entries: Vec<AccountEntry>) -> Vec<Arc<AccountEntry>> {
    entries.into_iter().map(Arc::new).collect()
}

impl Known {
    /// Joins the accounts of the file with those of the configuration, which come first. Decoys are made of `key`, where
    /// there are no accounts as hashes are to be.
    fn join(&mut self, hashing: PasswordHashing, key: &[u8; 32]) {
        let name = |entry: &AccountEntry| names::key(entry.name.as_str()).into_boxed_str();
        self.by_name = self
            .of_file
            .iter()
            .chain(&self.given.of_config)
            .map(|entry| (name(entry), entry.clone()))
            .collect();
        let hashes = self
            .by_name
            .values()
            .filter_map(|entry| entry.password.as_deref());
        self.decoys = Decoys::new(hashes, hashing, key);
        let mut by_certificate = HashMap::new();
        for (key, entry) in &self.by_name {
            by_certificate.extend(entry.certificates.iter().map(|one| (*one, key.clone())));
        }
        self.by_certificate = by_certificate;
        let of_entry = |entry: &Arc<AccountEntry>| {
            // Which of several passwords is meant, a client of SCRAM does not tell.
            if !entry.app_passwords.is_empty() || entry.password_logins == PasswordLogins::AppOnly {
                return None;
            }
            let verifier = entry.scram.as_deref()?.parse::<ScramCredentials>().ok()?;
            Some(verifier.hash())
        };
        self.scram = [ScramHash::Sha256, ScramHash::Sha1]
            .into_iter()
            .find(|hash| self.by_name.values().all(|entry| of_entry(entry) == Some(*hash)));
    }
}

/// Why an account was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotSet {
    /// It stands in the configuration, which is not the server's to write.
    #[error("the account stands in the configuration")]
    InConfig,
    /// There is none of that name.
    #[error("there is no such account")]
    NoSuchAccount,
    /// The accounts file cannot be changed.
    #[error("the accounts file cannot be changed: {0}")]
    Failed(String),
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts")
            .field("path", &self.given().path)
            .finish_non_exhaustive()
    }
}

/// Whether two names are those of one account: case does not count, nor the form of the domain.
pub fn same_name(a: &EmailAddress, b: &EmailAddress) -> bool {
    names::key(a.as_str()) == names::key(b.as_str())
}

/// The name of an account in the store: the login name in lower case.
fn account_of(entry: &AccountEntry) -> Account {
    Account::new(entry.name.as_str().to_lowercase())
}
