//! Work on the mail of a server: imports, exports, backups, checks, in the running server or where none runs.

use crate::accounts::Accounts;
use crate::tls::Tls;
use crate::transfer::{
    Exporter, Format, ImapAccount, Importer, Observer, Progress, Quoting, Report, TransportSecurity,
};
use crate::upkeep::Upkeep;
use mailwright_mailbox::{Account, MailboxName, Store};
use mailwright_sasl::Secret;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// What may be asked. A connection has one job at a time, which ends with the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Request {
    /// Begins a job; answered by a [`State`].
    Begin(Job),
    /// Waits a moment for news of the job; answered by a [`State`].
    Watch {},
}

/// Something that takes long. Paths are absolute, and are those that the server sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Job {
    /// Brings mail into an account.
    Import {
        /// The name of the account.
        account: String,
        /// Where the mail comes from.
        source: Source,
        /// The mailbox that all of it goes below.
        into: Option<String>,
    },
    /// Writes the mail of an account to files.
    Export {
        /// The name of the account.
        account: String,
        /// The folder.
        target: PathBuf,
        /// What is written.
        format: Form,
    },
    /// Copies the store as it is at one moment.
    Backup {
        /// The folder, which is empty or not there.
        target: PathBuf,
    },
    /// Checks everything in the store against everything.
    Check {},
}

/// Where mail comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Source {
    /// Files.
    Files {
        /// A Maildir, an mbox file, or a folder of such.
        path: PathBuf,
        /// What it is.
        format: Form,
    },
    /// An account on another server.
    Imap(Box<Remote>),
}

/// What mail is kept as in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Form {
    /// Maildir++ folders.
    Maildir,
    /// mbox, reversibly quoted.
    Mboxrd,
    /// mbox, in which `From ` alone is quoted.
    Mboxo,
}

/// An account on another server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Remote {
    /// The name or address of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is secured.
    pub security: Security,
    /// A PEM file with certificates to trust beside the public ones.
    pub ca: Option<PathBuf>,
    /// The name of the account.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl Remote {
    /// Names an account that is reached with TLS at once.
    pub fn new(
        host: impl Into<String>,
        port: u16,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        Self {
            host: host.into(),
            port,
            security: Security::Implicit,
            ca: None,
            user: user.into(),
            password: password.into(),
        }
    }
}

impl fmt::Debug for Remote {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}@{}:{} ({:?})",
            self.user, self.host, self.port, self.security
        )
    }
}

/// How a connection is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Security {
    /// TLS at once.
    Implicit,
    /// STARTTLS, which must be there.
    Starttls,
    /// Not at all, the password included.
    None,
}

/// How a job goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct State {
    /// How far it is.
    pub progress: Progress,
    /// What was left out since the last time this was asked, and why: the first [`State::TOLD`] of them.
    pub skipped: Vec<(String, String)>,
    /// Whether it has ended.
    pub end: Option<End>,
}

impl State {
    /// How many of the messages that were left out are told of between two questions.
    pub const TOLD: usize = 1000;
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum End {
    /// It is done.
    Done(Outcome),
    /// It failed, and this is why. What was done until then stays.
    Failed(String),
}

/// What a job came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// Of an import or an export.
    Transferred(Report),
    /// Of a backup.
    Copied {
        /// The messages.
        messages: u64,
        /// The octets that the copy takes.
        octets: u64,
    },
    /// Of a check.
    Checked {
        /// How many messages there are, where that is known.
        messages: Option<u64>,
        /// What is wrong, a line each.
        problems: Vec<String>,
    },
}

impl Job {
    /// Does it; files are read and written by the calling thread.
    ///
    /// # Errors
    ///
    /// In words, when it cannot be done, or not to its end.
    pub async fn run<S: Store>(
        self,
        accounts: &Accounts,
        store: &S,
        upkeep: Option<&dyn Upkeep>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, String> {
        let upkeep = || upkeep.ok_or("this store cannot be copied or checked while it works");
        Ok(match self {
            Self::Import {
                account,
                source,
                into,
            } => {
                let account = accounts.find(&account).ok_or_else(|| {
                    format!(
                        "there is no account {account}: `mailwright account add` makes it, `account list` tells who is"
                    )
                })?;
                let into = into.map(|into| MailboxName::parse(&into)).transpose();
                let into = into.map_err(|error| error.to_string())?;
                let importer =
                    Importer::new(store, account, into, observer).with_folders(&accounts.folders());
                let report = match source {
                    Source::Files { path, format } => match format.quoting() {
                        None => importer.maildir(&path).await,
                        Some(quoting) => importer.mbox(&path, quoting).await,
                    },
                    Source::Imap(from) => importer.imap(&from.account()?).await,
                };
                Outcome::Transferred(report.map_err(broken_off)?)
            }
            Self::Export {
                account,
                target,
                format,
            } => {
                // One that is gone may have left its mail.
                let known = accounts.find(&account).unwrap_or_else(|| Account::new(&*account));
                let mailboxes = store.mailboxes(&known).await.map_err(|error| error.to_string())?;
                if mailboxes.is_empty() {
                    return Err(format!("there is no mail of {account}"));
                }
                let format = format.quoting().map_or(Format::Maildir, Format::Mbox);
                let report = Exporter::new(store, known, observer).run(&target, format).await;
                Outcome::Transferred(report.map_err(broken_off)?)
            }
            Self::Backup { target } => {
                let copied = upkeep()?.backup(&target).await?;
                Outcome::Copied {
                    messages: copied.messages,
                    octets: copied.octets,
                }
            }
            Self::Check {} => {
                let checked = upkeep()?.check().await?;
                Outcome::Checked {
                    messages: checked.messages,
                    problems: checked.problems,
                }
            }
        })
    }
}

impl Form {
    const fn quoting(self) -> Option<Quoting> {
        match self {
            Self::Maildir => None,
            Self::Mboxrd => Some(Quoting::Rd),
            Self::Mboxo => Some(Quoting::O),
        }
    }
}

impl Remote {
    fn account(self) -> Result<ImapAccount, String> {
        let tls = || Tls::trusting(self.ca.as_deref()).map_err(|error| error.to_string());
        let security = match self.security {
            Security::Implicit => TransportSecurity::Implicit(tls()?),
            Security::Starttls => TransportSecurity::Starttls(tls()?),
            Security::None => TransportSecurity::None,
        };
        let password = Secret::from(&*self.password);
        Ok(ImapAccount::new(
            self.host, self.port, security, self.user, password,
        ))
    }
}

fn broken_off(error: impl fmt::Display) -> String {
    format!("{error}\n  What was done until then stays; begun again, it goes on.")
}
