//! IMAP over a folder of `.eml` files, read-only: what it takes to show data of one's own as mail.
//!
//! ```sh
//! cargo run -p mailwright-examples --bin imap_facade -- ~/mail --address 127.0.0.1:2143
//! curl --user me:secret 'imap://127.0.0.1:2143/INBOX;MAILINDEX=1'
//! ```
//!
//! The files of the folder are INBOX, each folder in it is a mailbox. What is put there or removed is noticed within
//! seconds, by clients that idle as well. Numbers are given out anew with each start, under a higher UIDVALIDITY.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // an example brings sockets, files and the clock

use bytes::Bytes;
use clap::Parser;
use mailwright_examples::net::Fallible;
use mailwright_mailbox::{
    Account, Change, ChangeHub, Feed, MailboxId, MailboxName, Message, ModSeq, Page, Scan, Snapshot, Uid,
    UidValidity,
};
use mailwright_message::Index;
use mailwright_sasl::{Answer, Identity, Question};
use mailwright_server::imap::{self, Backend, Failure, Listed, Mailboxes, Options, ReadOnly};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Serves a folder of `.eml` files over IMAP.
#[derive(Debug, Parser)]
#[command(name = "imap_facade", version)]
struct Arguments {
    /// The folder
    folder: PathBuf,
    /// Where to listen. Without TLS, so on this machine only
    #[arg(long, default_value = "127.0.0.1:2143")]
    address: SocketAddr,
    /// The password that clients have to give, with whatever name
    #[arg(long, default_value = "secret")]
    password: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("imap_facade: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Fallible<()> {
    let facade = Facade::open(&arguments.folder, arguments.password);
    let facade = Arc::new(facade.map_err(|e| format!("{}: {e}", arguments.folder.display()))?);
    let listener = tokio::net::TcpListener::bind(arguments.address)
        .await
        .map_err(|e| format!("cannot listen at {}: {e}", arguments.address))?;
    println!("listening at {}", listener.local_addr()?);
    let watched = facade.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            watched.look();
        }
    });
    let mut options = Options::default();
    options.engine.plaintext_login = true;
    loop {
        let (stream, peer) = listener.accept().await?;
        tokio::spawn(imap::serve(facade.clone(), stream, peer, options.clone()));
    }
}

/// All mailboxes, for all sessions.
struct Facade {
    folders: Vec<Folder>,
    account: Account,
    validity: UidValidity,
    password: String,
    hub: ChangeHub,
}

/// One mailbox.
struct Folder {
    name: MailboxName,
    path: PathBuf,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    messages: BTreeMap<Uid, (PathBuf, Message)>,
    /// The highest UID that was given to a file.
    last: Option<Uid>,
}

impl Facade {
    fn open(folder: &Path, password: String) -> std::io::Result<Self> {
        let of = |name, path| Folder {
            name,
            path,
            known: Mutex::default(),
        };
        let mut folders = vec![of(MailboxName::inbox(), folder.to_owned())];
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if let Some(Ok(name)) = name.map(MailboxName::parse).filter(|_| path.is_dir()) {
                folders.push(of(name, path));
            }
        }
        let facade = Self {
            folders,
            account: Account::new("everybody"),
            validity: UidValidity::after(None, unix(SystemTime::now())).expect("a clock of this century"),
            password,
            hub: ChangeHub::new(),
        };
        facade.look();
        Ok(facade)
    }

    /// Looks what has come and gone.
    fn look(&self) {
        for (at, folder) in self.folders.iter().enumerate() {
            if folder.look() {
                self.hub
                    .publish(&self.account, [Change::new(id(at), ModSeq::ONE)]);
            }
        }
    }

    fn folder(&self, mailbox: MailboxId) -> Result<&Folder, Failure> {
        let found = self.folders.iter().enumerate().find(|(at, _)| id(*at) == mailbox);
        found.map(|(_, folder)| folder).ok_or(Failure::NoSuchMailbox)
    }
}

impl Folder {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether messages have come or gone since the last look.
    fn look(&self) -> bool {
        let Ok(entries) = std::fs::read_dir(&self.path) else {
            return false;
        };
        let is_mail = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "eml");
        let mut present: Vec<_> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(is_mail)
            .collect();
        present.sort();
        let mut known = self.known();
        let before = known.messages.len();
        known
            .messages
            .retain(|_, (path, _)| present.binary_search(path).is_ok());
        let mut changed = known.messages.len() < before;
        for path in present {
            if known.messages.values().any(|(known, _)| *known == path) {
                continue;
            }
            // One that cannot be read, or is still being written, may be there at the next look.
            let (Ok(octets), Ok(about)) = (octets(&path), path.metadata()) else {
                continue;
            };
            let Some(uid) = known.last.map_or(Some(Uid::MIN), Uid::next) else {
                continue;
            };
            let mut message = Message::new(uid, ModSeq::ONE).with_size(octets.len() as u64);
            message.internal_date = unix(about.modified().unwrap_or(UNIX_EPOCH));
            message.index = Index::of(&octets).to_bytes();
            known.messages.insert(uid, (path, message));
            known.last = Some(uid);
            changed = true;
        }
        changed
    }
}

impl Backend for Facade {
    type Mailboxes = Opened;

    async fn authenticate(&self, question: Question, _: SocketAddr) -> Answer {
        match question {
            Question::Password { password, .. } if password.constant_time_eq(self.password.as_bytes()) => {
                Answer::Accept
            }
            _ => Answer::Deny,
        }
    }

    async fn open(self: &Arc<Self>, _: &Identity, _: SocketAddr) -> Result<Opened, Failure> {
        Ok(Opened(self.clone()))
    }
}

/// The mailboxes, for one session.
struct Opened(Arc<Facade>);

impl Mailboxes for Opened {
    type Incoming = ReadOnly;

    async fn list(&self) -> Result<Vec<Listed>, Failure> {
        let folders = self.0.folders.iter().enumerate();
        Ok(folders
            .map(|(at, folder)| Listed::new(id(at), folder.name.clone()))
            .collect())
    }

    async fn snapshot(&self, mailbox: MailboxId) -> Result<Snapshot, Failure> {
        let folder = self.0.folder(mailbox)?;
        let mut snapshot = Snapshot::new(self.0.account.clone(), folder.name.clone(), self.0.validity);
        let known = folder.known();
        snapshot.exists = u32::try_from(known.messages.len()).unwrap_or(u32::MAX);
        snapshot.unseen = snapshot.exists;
        snapshot.uid_next = known.last.map_or(Some(Uid::MIN), Uid::next);
        snapshot.size = known.messages.values().map(|(_, message)| message.size()).sum();
        Ok(snapshot)
    }

    async fn scan(&self, mailbox: MailboxId, scan: Scan) -> Result<Page, Failure> {
        let known = self.0.folder(mailbox)?.known();
        let messages = known.messages.values().map(|(_, message)| message.clone());
        Ok(imap::page(&scan, messages, ModSeq::ONE))
    }

    async fn read(&self, mailbox: MailboxId, message: &Message, range: Range<u64>) -> Result<Bytes, Failure> {
        let path = self
            .0
            .folder(mailbox)?
            .known()
            .messages
            .get(&message.uid)
            .map(|it| it.0.clone());
        let octets = octets(&path.ok_or(Failure::Gone)?).map_err(|_| Failure::Gone)?;
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(octets.len());
        Ok(octets.slice(place(range.start)..place(range.end)))
    }

    fn feed(&self, _: Option<&Account>) -> Option<Feed> {
        Some(self.0.hub.subscribe(&self.0.account))
    }
}

fn id(at: usize) -> MailboxId {
    MailboxId::new(at as u64 + 1)
}

fn unix(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The octets of a file with the line ends of mail, however it was written.
fn octets(path: &Path) -> std::io::Result<Bytes> {
    let file = std::fs::read(path)?;
    let mut octets = Vec::with_capacity(file.len());
    for line in file.split_inclusive(|octet| *octet == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => octets.extend(line.strip_suffix(b"\r").unwrap_or(line).iter().chain(b"\r\n")),
            None => octets.extend_from_slice(line),
        }
    }
    Ok(octets.into())
}
