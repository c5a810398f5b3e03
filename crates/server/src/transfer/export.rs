//! From a store to files.

use super::mbox::{self, Quoting};
use super::{Observer, Progress, Report, TransferError, maildir};
use bytes::Bytes;
use mailwright_mailbox::{
    Account, BlobRef, Fields, MailboxInfo, MailboxName, Message, Scan, Snapshot, Store, StoreError,
};
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

/// What an export is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Maildir++ folders with Dovecot's lists of UIDs and keywords. Begun again, it adds what is missing.
    Maildir,
    /// A file `NAME.mbox` for each mailbox; a file is complete, or bears the name `NAME.mbox.partial`.
    Mbox(Quoting),
}

/// Writes the mail of an account to files.
pub struct Exporter<'s, S: Store> {
    store: &'s S,
    account: Account,
    observer: &'s mut dyn Observer,
    progress: Progress,
    report: Report,
}

impl<S: Store> fmt::Debug for Exporter<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exporter({}, {:?})", self.account, self.report)
    }
}

/// The folder or file that a mailbox is written to.
enum Target {
    Maildir(Box<maildir::Target>),
    Mbox(Box<mbox::Target>),
}

/// Why a message was not written.
enum Failure {
    /// It cannot be read; others can.
    Unreadable(StoreError),
    /// It cannot be written, and neither can others.
    Unwritable(io::Error),
}

impl<'s, S: Store> Exporter<'s, S> {
    /// Begins an export of an account.
    pub fn new(store: &'s S, account: Account, observer: &'s mut dyn Observer) -> Self {
        Self {
            store,
            account,
            observer,
            progress: Progress::default(),
            report: Report::default(),
        }
    }

    /// Writes all mailboxes below a folder, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// When nothing can be written there, or the store does not tell what there is. A message that cannot be read is
    /// left out and told, and so is a mailbox whose name cannot be that of a file.
    pub async fn run(mut self, root: &Path, format: Format) -> Result<Report, TransferError> {
        fs::create_dir_all(root).map_err(|error| TransferError::file(root, error))?;
        let mailboxes = self.store.mailboxes(&self.account).await?;
        let mut total = 0;
        for mailbox in &mailboxes {
            if let Ok(snapshot) = self.store.snapshot(mailbox.id).await {
                total += u64::from(snapshot.exists);
            }
        }
        self.progress.total_messages = Some(total);
        for mailbox in mailboxes {
            let snapshot = match self.store.snapshot(mailbox.id).await {
                Ok(snapshot) => snapshot,
                // Deleted meanwhile.
                Err(StoreError::NoSuchMailbox) => continue,
                Err(error) => {
                    self.skip(mailbox.name.as_str(), &error.to_string());
                    continue;
                }
            };
            let opened = match format {
                Format::Maildir => {
                    maildir::Target::open(root, &snapshot).map(|it| Target::Maildir(Box::new(it)))
                }
                Format::Mbox(quoting) => {
                    mbox::Target::open(root, &snapshot, quoting).map(|it| Target::Mbox(Box::new(it)))
                }
            };
            match opened {
                Ok(target) => self.mailbox(root, &mailbox, &snapshot, target).await?,
                // The name of the mailbox does not fit; others may.
                Err(error) if error.kind() == io::ErrorKind::InvalidFilename => {
                    self.skip(mailbox.name.as_str(), &error.to_string());
                }
                Err(error) => return Err(TransferError::file(root, error)),
            }
        }
        if format == Format::Maildir {
            let names: Vec<MailboxName> = self.store.subscriptions(&self.account).await?;
            maildir::write_subscribed(root, &names).map_err(|error| TransferError::file(root, error))?;
        }
        Ok(self.report)
    }

    fn skip(&mut self, what: &str, why: &str) {
        self.report.skipped += 1;
        self.observer.skipped(what, why);
    }

    async fn mailbox(
        &mut self,
        root: &Path,
        mailbox: &MailboxInfo,
        snapshot: &Snapshot,
        mut target: Target,
    ) -> Result<(), TransferError> {
        self.report.folders += 1;
        let unwritable = |error| TransferError::file(root, error);
        let mut next = Some(Scan::all(Fields::FLAGS | Fields::DATES | Fields::BLOB));
        while let Some(scan) = next {
            let page = match self.store.scan(mailbox.id, scan.clone()).await {
                Ok(page) => page,
                Err(error) => {
                    self.skip(snapshot.name.as_str(), &error.to_string());
                    break;
                }
            };
            for message in &page.messages {
                let name = format!("{}, UID {}", snapshot.name, message.uid);
                if let Target::Maildir(folder) = &mut target {
                    if !folder.keeps_keywords(&message.flags) {
                        self.skip(&name, "some of its keywords: a Maildir folder has 26 at most");
                    }
                    if folder.has(message) {
                        self.report.present += 1;
                        self.done(message.size());
                        continue;
                    }
                }
                match self.message(message, &mut target).await {
                    Ok(()) => {
                        self.report.added += 1;
                        self.report.octets += message.size();
                        self.done(message.size());
                    }
                    Err(Failure::Unreadable(error)) => {
                        target.abandon().map_err(unwritable)?;
                        self.skip(&name, &error.to_string());
                    }
                    Err(Failure::Unwritable(error)) => return Err(unwritable(error)),
                }
            }
            next = scan.after(&page);
        }
        target.end().map_err(unwritable)
    }

    async fn message(&self, message: &Message, target: &mut Target) -> Result<(), Failure> {
        let blob = message
            .blob
            .as_ref()
            .ok_or(Failure::Unreadable(StoreError::NoSuchBlob))?;
        let mut at = 0;
        let mut octets = self.read(blob, at).await?;
        target.begin(message).map_err(Failure::Unwritable)?;
        loop {
            at += octets.len() as u64;
            target.write(&octets).map_err(Failure::Unwritable)?;
            if at >= blob.size() {
                return target.finish(message).map_err(Failure::Unwritable);
            }
            octets = self.read(blob, at).await?;
        }
    }

    async fn read(&self, blob: &BlobRef, at: u64) -> Result<Bytes, Failure> {
        let octets = self.store.read_blob(blob, at..blob.size()).await;
        let octets = octets.map_err(Failure::Unreadable)?;
        match octets.is_empty() && at < blob.size() {
            true => Err(Failure::Unreadable(StoreError::Corrupt(
                "the message is cut off".into(),
            ))),
            false => Ok(octets),
        }
    }

    fn done(&mut self, octets: u64) {
        self.progress.messages += 1;
        self.progress.octets += octets;
        self.observer.progress(&self.progress);
    }
}

impl Target {
    fn begin(&mut self, message: &Message) -> io::Result<()> {
        match self {
            Self::Maildir(_) => Ok(()),
            Self::Mbox(file) => file.begin(message),
        }
    }

    fn write(&mut self, octets: &Bytes) -> io::Result<()> {
        match self {
            Self::Maildir(folder) => folder.write(octets),
            Self::Mbox(file) => file.write(octets),
        }
    }

    fn finish(&mut self, message: &Message) -> io::Result<()> {
        match self {
            Self::Maildir(folder) => folder.finish(message),
            Self::Mbox(file) => file.finish(),
        }
    }

    fn abandon(&mut self) -> io::Result<()> {
        match self {
            Self::Maildir(folder) => {
                folder.abandon();
                Ok(())
            }
            Self::Mbox(file) => file.abandon(),
        }
    }

    fn end(self) -> io::Result<()> {
        match self {
            Self::Maildir(folder) => folder.end(),
            Self::Mbox(file) => file.end(),
        }
    }
}
