//! One login: from a question of a SASL exchange to its answer
//!
//! ```text
//!  Question ─▶ application password? ──────────────────────────────▶ Accept
//!                 │ no
//!                 ├─▶ wrong a moment ago? ── a moment's delay ─────▶ Deny
//!                 ├─▶ Throttle ── too many failures ───────────────▶ Unavailable
//!                 │      └─ delay ─▶ right a moment ago? ──────────▶ Accept
//!                 │                     └─▶ Checker ─ too many wait ▶ Unavailable
//!                 │                            ├─ right ───────────▶ Accept
//!                 └────────────────────────────┴─ wrong ───────────▶ Deny
//! ```
//!
//! An application password has nothing to guess, so it is asked for before anything else: no attack on an account keeps
//! it out. What was right a moment ago is looked up behind the throttle, else guesses would cost nothing. A wrong
//! password that comes again is no further guess: a device that has not heard of a change locks nobody out.

use super::checker::Checked;
use super::throttle::{Attempt, Ticket, Verdict};
use super::{Accounts, AccountsFile, Grant, account_of};
use crate::clock::unix_now;
use crate::config::{AccountEntry, PasswordLogins, Service};
use mailwright_mailbox::Account;
use mailwright_sasl::{Answer, Identity, Question, ScramCredentials, Secret};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// Where somebody logs in from, and to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // from where, to what
pub struct Visit {
    /// The address of the client.
    pub address: IpAddr,
    /// What it wants to use.
    pub service: Service,
}

impl Visit {
    /// A client at `address` that wants to use `service`.
    pub fn new(address: IpAddr, service: Service) -> Self {
        Self { address, service }
    }
}

/// What is known of a name that somebody logs in with.
struct Candidate {
    /// The one form of the name.
    key: String,
    entry: Option<Arc<AccountEntry>>,
}

impl Accounts {
    /// Answers the question of a SASL exchange. May take its time: who fails often waits.
    ///
    /// Nobody may act for somebody else: an authorization identity has to be the same account. [`Answer::Unavailable`]
    /// is for those who failed too often, and for those who come while too many wait.
    pub async fn answer(&self, question: Question, visit: Visit) -> Answer {
        let allowed = question
            .authzid()
            .is_none_or(|other| self.find(other) == self.find(question.username()));
        match question {
            Question::Password {
                username, password, ..
            } => self.password(&username, password, allowed, visit).await,
            Question::Scram { username, hash, .. } if allowed => {
                let candidate = self.candidate(&username);
                if let Err(denied) = self.let_through(&candidate, visit).await {
                    return denied;
                }
                let usable = candidate.entry.as_deref().filter(|entry| takes_passwords(entry));
                let credentials =
                    usable.and_then(|entry| entry.scram.as_deref()?.parse::<ScramCredentials>().ok());
                Answer::Scram(
                    match credentials.filter(|credentials| credentials.hash() == hash) {
                        Some(credentials) => credentials,
                        // A name has one salt in all its spellings, as that of an account does.
                        None => ScramCredentials::decoy_with(
                            hash,
                            &self.decoy_key,
                            &candidate.key,
                            ScramCredentials::DEFAULT_ITERATIONS,
                        ),
                    },
                )
            }
            _ => Answer::Deny,
        }
    }

    /// What somebody has who has just logged in, whose place is known henceforth; nothing if the account went away
    /// meanwhile.
    pub fn grant(&self, identity: &Identity, visit: Visit) -> Option<Grant> {
        let candidate = self.candidate(&identity.authcid);
        let entry = candidate.entry.clone()?;
        if !self.anybody {
            self.succeeded(&candidate, None, visit);
        }
        Some(Grant::new(entry))
    }

    /// Checks the password of an account, and nothing else: failures are not counted, and whoever calls this sees to it
    /// that nobody guesses. The account if it is right.
    pub async fn verify(&self, name: &str, password: &Secret) -> Option<Account> {
        let candidate = self.candidate(name);
        if self.anybody {
            return candidate.entry.map(|entry| account_of(&entry));
        }
        let (hash, is_real) = self.hash_of(&candidate);
        let here = Ipv4Addr::UNSPECIFIED.into();
        let checked = self.checker.check(here, password.clone(), hash).await;
        let right = is_real && matches!(checked, Checked::Right { .. });
        candidate.entry.filter(|_| right).map(|entry| account_of(&entry))
    }

    async fn password(&self, name: &str, password: Secret, allowed: bool, visit: Visit) -> Answer {
        let candidate = self.candidate(name);
        if self.anybody {
            return accept_if(allowed && candidate.entry.is_some());
        }
        if let Some(label) = candidate.app_password(&password, visit.service) {
            self.note_use(&candidate.key, label);
            self.succeeded(&candidate, None, visit);
            return accept_if(allowed);
        }
        let (hash, is_real) = self.hash_of(&candidate);
        let mark = self.lock_remembered().mark(&candidate.key, &hash, &password);
        if self.lock_remembered().outcome(mark, now()) == Some(false) {
            tokio::time::sleep(self.limits.delay).await;
            return Answer::Deny;
        }
        let ticket = match self.let_through(&candidate, visit).await {
            Ok(ticket) => ticket,
            Err(denied) => return denied,
        };
        let known = self.lock_remembered().outcome(mark, now()) == Some(true);
        let right = known
            || match self.checker.check(visit.address, password, hash.clone()).await {
                Checked::Right { rehashed } => {
                    if let (Some(fresh), true) = (rehashed, is_real && allowed) {
                        self.replace_hash(&candidate, hash, fresh);
                    }
                    is_real
                }
                Checked::Wrong => false,
                Checked::Busy => {
                    self.lock_throttle().undone(ticket, now());
                    tracing::warn!(client = %visit.address, "too many logins wait: one is told to come back");
                    return Answer::Unavailable;
                }
            };
        self.lock_remembered().put(mark, right, now());
        if right && allowed {
            self.succeeded(&candidate, Some(ticket), visit);
        }
        accept_if(right && allowed)
    }

    /// Waits as long as the failures before demand.
    async fn let_through(&self, candidate: &Candidate, visit: Visit) -> Result<Ticket, Answer> {
        let verdict = self.lock_throttle().begin(&candidate.attempt(visit), now());
        match verdict {
            Verdict::After(delay, ticket) => {
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                Ok(ticket)
            }
            Verdict::Refused(wait) => {
                tracing::warn!(
                    client = %visit.address,
                    service = %visit.service,
                    user = ?candidate.key,
                    seconds = wait.as_secs() + 1,
                    "too many failed logins: one is not tried",
                );
                // Who asks again at once is not answered at once.
                tokio::time::sleep(self.limits.delay).await;
                Err(Answer::Unavailable)
            }
        }
    }

    fn succeeded(&self, candidate: &Candidate, ticket: Option<Ticket>, visit: Visit) {
        let attempt = candidate.attempt(visit);
        self.lock_throttle()
            .succeeded(&attempt, ticket, now(), unix_now());
    }

    fn candidate(&self, name: &str) -> Candidate {
        let key = self.key(name);
        // One that is disabled is refused as a name that nobody has.
        let entry = self.entry_of(&key).filter(|entry| entry.disabled.is_none());
        Candidate { key, entry }
    }

    /// The hash that a password is checked against, and whether it is an account's. A name without a password is refused
    /// after as much work as one with a wrong one.
    fn hash_of(&self, candidate: &Candidate) -> (Arc<str>, bool) {
        let usable = candidate.entry.as_deref().filter(|entry| takes_passwords(entry));
        match usable.and_then(|entry| entry.password.as_deref()) {
            Some(hash) => (hash.into(), true),
            None => {
                let decoy = self.current().decoys.for_name(&candidate.key, &self.decoy_key);
                (decoy, false)
            }
        }
    }

    /// Puts a stronger hash of the same password in the place of one in the accounts file. If that does not work, the
    /// next login tries again.
    fn replace_hash(&self, candidate: &Candidate, old: Arc<str>, fresh: String) {
        let given = self.given();
        if given
            .of_config
            .iter()
            .any(|entry| crate::names::key(entry.name.as_str()) == candidate.key)
        {
            return;
        }
        let mut same = self.rehashed.lock().unwrap_or_else(PoisonError::into_inner);
        same.insert((old.as_ref().into(), fresh.as_str().into()));
        drop(same);
        let (path, name) = (given.path.clone(), candidate.key.clone());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = replace_in_file(path, &name, &old, fresh) {
                tracing::warn!("the password of {name} cannot be hashed anew: {error}");
            }
        });
    }
}

impl Candidate {
    fn attempt(&self, visit: Visit) -> Attempt<'_> {
        Attempt {
            name: &self.key,
            exists: self.entry.is_some(),
            address: visit.address,
        }
    }

    /// The label of the application password that this is, if it may be used for the service.
    fn app_password(&self, password: &Secret, service: Service) -> Option<&str> {
        let mut all = self.entry.as_deref()?.app_passwords.iter();
        let one = all.find(|one| one.serves(service) && one.is(password))?;
        Some(&one.label)
    }
}

/// Whether mail programs may use the password of the account itself.
fn takes_passwords(entry: &AccountEntry) -> bool {
    entry.password_logins == PasswordLogins::All
}

fn replace_in_file(path: PathBuf, name: &str, old: &str, fresh: String) -> Result<(), String> {
    let mut file = AccountsFile::open(&path).map_err(|error| error.to_string())?;
    match file.entry(name) {
        // Unless it was changed meanwhile.
        Some(entry) if entry.password.as_deref() == Some(old) => entry.password = Some(fresh),
        _ => return Ok(()),
    }
    file.save().map_err(|error| error.to_string())
}

fn accept_if(right: bool) -> Answer {
    match right {
        true => Answer::Accept,
        false => Answer::Deny,
    }
}

/// The time of the runtime, which tests can stop.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How long a use of an application password stands for those that follow it.
pub(super) const SAME_USE: Duration = Duration::from_secs(60);
