//! From the pieces of a source to batches of a store.

use super::imap::ImapAccount;
use super::mbox::{self, Quoting};
use super::source::{Folder, Item, Piece, Sink};
use super::{Observer, Progress, Report, TransferError, maildir};
use crate::clock::unix_now;
use crate::config::{Delivery, NewFolder};
use crate::delivery::{self, MessageWriter, WrittenMessage};
use bytes::Bytes;
use mailwright_mailbox::{
    Account, Batch, BlobHash, CommitError, Committed, EntryName, Fields, MailboxId, MailboxName, Op, Outcome,
    Scan, Store, StoreError, Uid,
};
use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::Poll;
use tokio::sync::mpsc;

/// Brings mail into an account of a store.
pub struct Importer<'s, S: Store> {
    store: &'s S,
    account: Account,
    into: Option<MailboxName>,
    folders: Vec<NewFolder>,
    observer: &'s mut dyn Observer,
    progress: Progress,
    report: Report,
    mailboxes: HashMap<MailboxName, MailboxId>,
    folder: Option<Target>,
    batch: Vec<Pending>,
    batch_octets: u64,
    flight: Option<Flight<'s>>,
}

/// A commit that is on its way while the next batch is made.
struct Flight<'s> {
    batch: Vec<Pending>,
    mark: Option<Op>,
    commit: Pin<Box<dyn Future<Output = Result<Committed, CommitError>> + Send + 's>>,
}

/// A message that waits for its commit.
struct Pending {
    name: String,
    octets: u64,
    ops: Vec<Op>,
}

/// The mailbox that messages go to.
struct Target {
    mailbox: MailboxId,
    /// What it had before, by content.
    present: HashMap<BlobHash, u32>,
    /// The next UID, where those of the source are kept.
    uid_next: Option<u32>,
    source_next: Option<Uid>,
    mark: Option<Mark>,
}

/// How far a mailbox has come with what an IMAP account has: a note on the mailbox.
struct Mark {
    name: EntryName,
    uid_validity: u32,
    /// The last message that is in a batch; all before it are, or were told to be left out.
    uid: Option<Uid>,
    /// Something was left out: the next import is to look at it again.
    is_frozen: bool,
}

impl Mark {
    fn op(&self, account: &Account, mailbox: MailboxId) -> Option<Op> {
        let uid = self.uid?;
        Some(Op::Annotate {
            account: account.clone(),
            mailbox: Some(mailbox),
            name: self.name.clone(),
            value: Some(format!("{} {uid}", self.uid_validity).into()),
        })
    }
}

impl<S: Store> fmt::Debug for Importer<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Importer({}, {:?})", self.account, self.report)
    }
}

impl<'s, S: Store> Importer<'s, S> {
    /// The most messages that are committed at once, and the most octets but for the last of them.
    const BATCH: (usize, u64) = (500, 4 << 20);

    /// The longest message that is held in memory, to see whether it is there already before it is written.
    const HELD: usize = 1 << 20;

    /// Begins an import into an account; folders go below `into` if that is given, INBOX itself is that then.
    pub fn new(
        store: &'s S,
        account: Account,
        into: Option<MailboxName>,
        observer: &'s mut dyn Observer,
    ) -> Self {
        Self {
            store,
            account,
            into,
            folders: Delivery::default().folders,
            observer,
            progress: Progress::default(),
            report: Report::default(),
            mailboxes: HashMap::new(),
            folder: None,
            batch: Vec::new(),
            batch_octets: 0,
            flight: None,
        }
    }

    /// Says which mailboxes an account gets that has none yet, in place of those of
    /// [`Delivery::default`](crate::config::Delivery::default).
    #[must_use]
    pub fn with_folders(mut self, folders: &[NewFolder]) -> Self {
        self.folders = folders.to_vec();
        self
    }

    /// Brings in a Maildir, with all its folders.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read at all, or the store fails. What was committed until then stays.
    pub async fn maildir(self, root: &Path) -> Result<Report, TransferError> {
        let root = root.to_owned();
        self.of_thread(move |sink| maildir::read(&root, &sink)).await
    }

    /// Brings in an mbox file as INBOX, or all mbox files in a folder and below it as mailboxes with their names.
    ///
    /// # Errors
    ///
    /// When the file or folder cannot be read at all, or the store fails. What was committed until then stays.
    pub async fn mbox(self, path: &Path, quoting: Quoting) -> Result<Report, TransferError> {
        let (path, alone): (PathBuf, _) = (path.to_owned(), MailboxName::inbox());
        self.of_thread(move |sink| mbox::read(&path, &alone, quoting, &sink))
            .await
    }

    /// Brings in the mail of an account on another server.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, refuses the login or breaks off, or the store fails. What was committed until
    /// then stays.
    pub async fn imap(mut self, from: &ImapAccount) -> Result<Report, TransferError> {
        self.prepare().await?;
        let (marks, into) = (self.marks(from).await?, self.into.clone());
        let (sink, pieces) = Sink::new();
        let read = async {
            let done = |name: &MailboxName| marks.get(&local(into.as_ref(), name).ok()?).copied();
            // Nobody who wants more pieces is no failure: the other side tells why.
            let _ = from.read(done, sink).await;
            Ok(())
        };
        let ((), report) = tokio::try_join!(read, self.run(pieces))?;
        Ok(report)
    }

    async fn of_thread<R: Send + 'static>(
        mut self,
        read: impl FnOnce(Sink) -> R + Send + 'static,
    ) -> Result<Report, TransferError> {
        self.prepare().await?;
        let (sink, pieces) = Sink::new();
        let thread = tokio::task::spawn_blocking(move || drop(read(sink)));
        let report = self.run(pieces).await;
        // It ends when nobody takes its pieces.
        let _ = thread.await;
        report
    }

    async fn prepare(&mut self) -> Result<(), TransferError> {
        delivery::inbox(self.store, &self.account, &self.folders).await?;
        let listed = self.store.mailboxes(&self.account).await?;
        self.mailboxes = listed.into_iter().map(|it| (it.name, it.id)).collect();
        Ok(())
    }

    /// Up to which UID the mailboxes have what a source has.
    async fn marks(&self, from: &ImapAccount) -> Result<HashMap<MailboxName, (u32, u32)>, TransferError> {
        let mark = from.mark();
        let mut marks = HashMap::new();
        for (name, mailbox) in &self.mailboxes {
            for note in self.store.annotations(&self.account, Some(*mailbox)).await? {
                if note.name.as_str() == mark
                    && let Some((validity, uid)) = std::str::from_utf8(&note.value)
                        .ok()
                        .and_then(|value| value.split_once(' '))
                    && let (Ok(validity), Ok(uid)) = (validity.parse(), uid.parse())
                {
                    marks.insert(name.clone(), (validity, uid));
                }
            }
        }
        Ok(marks)
    }

    async fn run(mut self, mut pieces: mpsc::Receiver<Piece>) -> Result<Report, TransferError> {
        while let Some(piece) = pieces.recv().await {
            match piece {
                Piece::Total { messages, octets } => {
                    (self.progress.total_messages, self.progress.total_octets) = (messages, octets);
                }
                Piece::Folder(folder) => self.begin_folder(folder).await?,
                Piece::Subscribed(name) => self.subscribe(name).await?,
                Piece::Message(name) => self.message(name, &mut pieces).await?,
                Piece::Skipped { what, why } => self.skip(&what, &why),
                Piece::Failed(error) => {
                    self.end_folder().await?;
                    return Err(error);
                }
                // Only behind the beginning of a message.
                Piece::Octets(_) | Piece::End(_) | Piece::Known | Piece::Broken(_) => {}
            }
        }
        self.end_folder().await?;
        Ok(self.report)
    }

    fn skip(&mut self, what: &str, why: &str) {
        self.report.skipped += 1;
        self.observer.skipped(what, why);
        if let Some(mark) = self.folder.as_mut().and_then(|it| it.mark.as_mut()) {
            mark.is_frozen = true;
        }
    }

    fn done(&mut self, octets: u64) {
        self.progress.messages += 1;
        self.progress.octets += octets;
        self.observer.progress(&self.progress);
    }

    async fn begin_folder(&mut self, folder: Folder) -> Result<(), TransferError> {
        self.end_folder().await?;
        let name = match local(self.into.as_ref(), &folder.name) {
            Ok(name) => name,
            Err(why) => {
                self.skip(folder.name.as_str(), &why);
                return Ok(());
            }
        };
        let (account, store) = (self.account.clone(), self.store);
        let mut batch = Batch::new(unix_now());
        let mailbox = match self.mailboxes.get(&name) {
            Some(mailbox) => *mailbox,
            None => {
                let created = batch.push(Op::CreateMailbox {
                    account: account.clone(),
                    name: name.clone(),
                    special_use: None,
                });
                batch.push(Op::Subscribe {
                    account,
                    name: name.clone(),
                    on: true,
                });
                match store.commit(batch).await {
                    Ok(committed) => match committed.outcomes.get(created) {
                        Some(Outcome::Created { mailbox, .. }) => *mailbox,
                        other => return Err(odd(other)),
                    },
                    Err(error) if error.is_temporary() => return Err(error.into()),
                    Err(error) => {
                        self.skip(name.as_str(), &error.to_string());
                        return Ok(());
                    }
                }
            }
        };
        self.mailboxes.insert(name.clone(), mailbox);
        self.report.folders += 1;
        let uid_next = match folder.uid_validity {
            Some(validity) => {
                let adopt = Op::AdoptUids {
                    mailbox,
                    uid_validity: Some(validity),
                    uid_next: Uid::MIN,
                };
                let committed = store.commit(Batch::new(unix_now()).with(adopt)).await?;
                match committed.outcomes.first() {
                    Some(Outcome::UidsAdopted {
                        uid_validity,
                        uid_next,
                    }) => uid_next.filter(|_| *uid_validity == validity).map(Uid::value),
                    other => return Err(odd(other)),
                }
            }
            None => None,
        };
        let mark = match (&folder.mark, folder.uid_validity) {
            (Some(mark), Some(validity)) => EntryName::parse(mark).map(|name| Mark {
                name,
                uid_validity: validity.value(),
                uid: None,
                is_frozen: false,
            }),
            _ => None,
        };
        // Where the source goes on behind what is here, equal messages are others.
        let present = match folder.goes_on {
            true => HashMap::new(),
            false => present(store, mailbox).await?,
        };
        self.folder = Some(Target {
            mailbox,
            present,
            uid_next,
            source_next: folder.uid_next,
            mark,
        });
        Ok(())
    }

    async fn end_folder(&mut self) -> Result<(), TransferError> {
        self.send().await?;
        self.land().await?;
        let Some(target) = self.folder.take() else {
            return Ok(());
        };
        if let (Some(_), Some(uid_next)) = (target.uid_next, target.source_next) {
            let adopt = Op::AdoptUids {
                mailbox: target.mailbox,
                uid_validity: None,
                uid_next,
            };
            self.store.commit(Batch::new(unix_now()).with(adopt)).await?;
        }
        Ok(())
    }

    async fn subscribe(&mut self, name: MailboxName) -> Result<(), TransferError> {
        let Ok(name) = local(self.into.as_ref(), &name) else {
            return Ok(());
        };
        let subscribe = Op::Subscribe {
            account: self.account.clone(),
            name: name.clone(),
            on: true,
        };
        match self.store.commit(Batch::new(unix_now()).with(subscribe)).await {
            Err(error) if !error.is_temporary() => {
                self.skip(&format!("the subscription of {name}"), &error.to_string());
                Ok(())
            }
            other => Ok(other.map(drop)?),
        }
    }

    async fn message(
        &mut self,
        name: String,
        pieces: &mut mpsc::Receiver<Piece>,
    ) -> Result<(), TransferError> {
        let (mut held, mut held_octets, mut octets) = (Vec::new(), 0, 0);
        let mut writer: Option<MessageWriter<S>> = None;
        let item = loop {
            match pieces.recv().await {
                Some(Piece::Octets(chunk)) => {
                    octets += chunk.len() as u64;
                    if let Some(writer) = &mut writer {
                        writer.write(chunk).await?;
                        continue;
                    }
                    held_octets += chunk.len();
                    held.push(chunk);
                    if held_octets > Self::HELD {
                        writer = Some(self.write(core::mem::take(&mut held)).await?);
                    }
                }
                Some(Piece::End(item)) => break item,
                Some(Piece::Known) => {
                    self.report.present += 1;
                    return Ok(());
                }
                Some(Piece::Broken(why)) => {
                    self.skip(&name, &why);
                    return Ok(());
                }
                Some(Piece::Failed(error)) => {
                    self.end_folder().await?;
                    return Err(error);
                }
                // The source is gone; it has said why, or its folder is at its end.
                _ => return Ok(()),
            }
        };
        let Some(target) = &mut self.folder else {
            // The folder was left out, and with it all that is in it.
            self.skip(&name, "its folder cannot be made");
            return Ok(());
        };
        if writer.is_none() && !target.present.is_empty() && target.takes(&hash(&held)) {
            self.report.present += 1;
            self.done(octets);
            return Ok(());
        }
        let writer = match writer {
            Some(writer) => writer,
            None => self.write(held).await?,
        };
        let written = writer.finish(self.store).await?;
        let Some(target) = &mut self.folder else {
            return Ok(());
        };
        if octets > Self::HELD as u64 && target.takes(written.blob.hash()) {
            self.report.present += 1;
            self.done(octets);
            return Ok(());
        }
        let ops = target.ops(&written, item);
        self.batch.push(Pending { name, octets, ops });
        self.batch_octets += octets;
        if self.batch.len() >= Self::BATCH.0 || self.batch_octets >= Self::BATCH.1 {
            self.send().await?;
        }
        Ok(())
    }

    async fn write(&self, chunks: Vec<Bytes>) -> Result<MessageWriter<S>, StoreError> {
        let mut writer = MessageWriter::new(self.store);
        for chunk in chunks {
            writer.write(chunk).await?;
        }
        Ok(writer)
    }

    /// Sends the batch, and waits for the one before it.
    async fn send(&mut self) -> Result<(), TransferError> {
        self.land().await?;
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = core::mem::take(&mut self.batch);
        self.batch_octets = 0;
        let mut all = Batch::new(unix_now());
        all.ops = batch.iter().flat_map(|it| it.ops.iter().cloned()).collect();
        let folder = self.folder.as_ref();
        let mark = folder.and_then(|it| it.mark.as_ref()?.op(&self.account, it.mailbox));
        all.ops.extend(mark.clone());
        let store = self.store;
        let mut commit: Pin<Box<dyn Future<Output = _> + Send + 's>> = Box::pin(store.commit(all));
        // Polled once, it goes on by itself.
        let done = poll_fn(|cx| Poll::Ready(commit.as_mut().poll(cx))).await;
        match done {
            Poll::Ready(done) => self.landed(batch, mark, done).await,
            Poll::Pending => {
                self.flight = Some(Flight { batch, mark, commit });
                Ok(())
            }
        }
    }

    async fn land(&mut self) -> Result<(), TransferError> {
        match self.flight.take() {
            Some(flight) => {
                let done = flight.commit.await;
                self.landed(flight.batch, flight.mark, done).await
            }
            None => Ok(()),
        }
    }

    async fn landed(
        &mut self,
        batch: Vec<Pending>,
        mark: Option<Op>,
        done: Result<Committed, CommitError>,
    ) -> Result<(), TransferError> {
        match done {
            Ok(_) => batch.iter().for_each(|it| self.added(it)),
            Err(error) if error.is_temporary() => return Err(error.into()),
            // One of them is refused: each by itself, and it is known which.
            Err(_) => {
                for it in batch {
                    let mut alone = Batch::new(unix_now());
                    alone.ops = it.ops.clone();
                    match self.store.commit(alone).await {
                        Ok(_) => self.added(&it),
                        Err(error) if error.is_temporary() => return Err(error.into()),
                        Err(error) => self.skip(&it.name, &error.to_string()),
                    }
                }
                let is_frozen = |it: &Target| it.mark.as_ref().is_some_and(|mark| mark.is_frozen);
                if let Some(mark) = mark.filter(|_| !self.folder.as_ref().is_some_and(is_frozen)) {
                    match self.store.commit(Batch::new(unix_now()).with(mark)).await {
                        Err(error) if error.is_temporary() => return Err(error.into()),
                        // Without it, the next import fetches more than it needs.
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }

    fn added(&mut self, message: &Pending) {
        self.report.added += 1;
        self.report.octets += message.octets;
        self.done(message.octets);
    }
}

impl Target {
    /// Whether the mailbox had a message with these octets that is not accounted for yet.
    fn takes(&mut self, hash: &BlobHash) -> bool {
        match self.present.get_mut(hash) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }

    fn ops(&mut self, written: &WrittenMessage, item: Item) -> Vec<Op> {
        /// UIDs above leave a mailbox too few of its own.
        const MOST: u32 = 0xf000_0000;

        let mut ops = Vec::with_capacity(1);
        if let Some(next) = &mut self.uid_next {
            match item.uid.filter(|uid| uid.value() > *next && uid.value() <= MOST) {
                Some(uid) => {
                    ops.push(Op::AdoptUids {
                        mailbox: self.mailbox,
                        uid_validity: None,
                        uid_next: uid,
                    });
                    *next = uid.value() + 1;
                }
                None => *next = next.saturating_add(1),
            }
        }
        let date = item.internal_date.unwrap_or_else(unix_now);
        ops.push(written.append(self.mailbox, item.flags, date));
        if let Some(mark) = self.mark.as_mut().filter(|mark| !mark.is_frozen) {
            mark.uid = item.uid.or(mark.uid);
        }
        ops
    }
}

/// The name here of a folder there.
fn local(into: Option<&MailboxName>, name: &MailboxName) -> Result<MailboxName, String> {
    let Some(into) = into else {
        return Ok(name.clone());
    };
    match name.is_inbox() {
        true => Ok(into.clone()),
        false => MailboxName::parse(&format!("{into}/{name}")).map_err(|error| error.to_string()),
    }
}

/// The messages that a mailbox has, by content.
async fn present<S: Store>(store: &S, mailbox: MailboxId) -> Result<HashMap<BlobHash, u32>, StoreError> {
    let mut present = HashMap::new();
    let mut next = Some(Scan::all(Fields::BLOB));
    while let Some(scan) = next {
        let page = store.scan(mailbox, scan.clone()).await?;
        for blob in page.messages.iter().filter_map(|it| it.blob.as_ref()) {
            *present.entry(*blob.hash()).or_default() += 1;
        }
        next = scan.after(&page);
    }
    Ok(present)
}

fn hash(chunks: &[Bytes]) -> BlobHash {
    let mut hasher = mailwright_mailbox::BlobHasher::new();
    chunks.iter().for_each(|chunk| hasher.update(chunk));
    hasher.finish()
}

fn odd(outcome: Option<&Outcome>) -> TransferError {
    CommitError::Io(format!("the store did not tell what was asked: {outcome:?}")).into()
}
