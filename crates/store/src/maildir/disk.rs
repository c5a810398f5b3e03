//! The folders and files: what the journal says becomes links, names and folders, in its order, and again after a crash

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use mailwright_mailbox::{Account, BlobHash, Effect, Flags, MailboxId, MailboxName, Model, Uid};

use super::{
    bodies::Bodies,
    codec::Entry,
    format::{Keywords, UidList, directory_of, write_subscriptions},
    listing::{self, Listing},
    replace::replace,
    stamps::{Stamp, Stamps},
};
use crate::folder;

#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    home: PathBuf,
    bodies: Arc<Bodies>,
    stamps: Arc<Stamps>,
    folders: HashMap<MailboxId, Folder>,
    listings: HashMap<PathBuf, Listing>,
    /// What could not be done yet; nothing behind it is done before.
    waiting: Vec<Op>,
    /// Folders whose entries have changed since they were synced.
    touched: BTreeSet<PathBuf>,
    /// Accounts whose subscriptions have changed since they were written.
    subscriptions: HashSet<Account>,
    asides: u64,
    is_replaying: bool,
}

/// The folder of a mailbox.
#[derive(Debug)]
struct Folder {
    account: Account,
    path: PathBuf,
    /// The bases of the names of its files.
    names: BTreeMap<Uid, String>,
    /// Its UIDs have changed since they were written.
    is_unlisted: bool,
}

/// Something to be done with folders and files. To do it twice is to do it once.
#[derive(Debug)]
enum Op {
    Make(PathBuf),
    Move {
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
        is_inbox: bool,
    },
    Link {
        folder: PathBuf,
        base: String,
        hash: BlobHash,
        flags: Flags,
    },
    Flag {
        folder: PathBuf,
        base: String,
        flags: Flags,
    },
    Unlink {
        folder: PathBuf,
        base: String,
    },
}

impl Disk {
    /// The folder, below the root, for what is no Maildir.
    pub(super) const HOME: &str = ".mailwright";

    pub(super) fn new(root: &Path, bodies: Arc<Bodies>, stamps: Arc<Stamps>) -> Self {
        Self {
            root: root.to_owned(),
            home: root.join(Self::HOME),
            bodies,
            stamps,
            folders: HashMap::new(),
            listings: HashMap::new(),
            waiting: Vec::new(),
            touched: BTreeSet::new(),
            subscriptions: HashSet::new(),
            asides: 0,
            is_replaying: false,
        }
    }

    /// Takes note of an entry whose files and folders are as it says.
    pub(super) fn learn(&mut self, entry: &Entry) {
        // What it plans was done long ago.
        drop(self.plan(entry));
    }

    /// Does what entries say. What cannot be done is tried again later.
    pub(super) fn apply(&mut self, entries: &[Entry]) {
        let mut ops: Vec<Op> = core::mem::take(&mut self.waiting);
        ops.extend(entries.iter().flat_map(|entry| self.plan(entry)));
        self.run(ops);
    }

    /// Does again what entries say that were written before a crash. A power cut may have left a file with two names
    /// when it was given another: the second is taken away first.
    pub(super) fn replay(&mut self, entries: &[Entry]) {
        self.is_replaying = true;
        self.apply(entries);
        self.is_replaying = false;
    }

    /// Tries again what could not be done; says whether nothing is left.
    pub(super) fn retry(&mut self) -> bool {
        let waiting = core::mem::take(&mut self.waiting);
        self.run(waiting);
        self.waiting.is_empty()
    }

    /// The mailboxes that have folders.
    pub(super) fn mailboxes(&self) -> Vec<MailboxId> {
        self.folders.keys().copied().collect()
    }

    /// The folder of a mailbox.
    pub(super) fn path(&self, mailbox: MailboxId) -> Option<&Path> {
        Some(&self.folders.get(&mailbox)?.path)
    }

    /// The base of the name of the file of a message.
    pub(super) fn name(&self, mailbox: MailboxId, uid: Uid) -> Option<&str> {
        self.folders.get(&mailbox)?.names.get(&uid).map(String::as_str)
    }

    /// The bases of the names of the files of a mailbox, by UID.
    pub(super) fn names(&self, mailbox: MailboxId) -> impl Iterator<Item = (Uid, &str)> {
        let names = self.folders.get(&mailbox).into_iter().flat_map(|it| &it.names);
        names.map(|(uid, base)| (*uid, base.as_str()))
    }

    /// The folders of all mailboxes.
    pub(super) fn paths(&self) -> HashSet<PathBuf> {
        self.folders.values().map(|folder| folder.path.clone()).collect()
    }

    /// Takes over what is in a folder.
    pub(super) fn set_listing(&mut self, path: &Path, listing: Listing) {
        self.listings.insert(path.to_owned(), listing);
    }

    /// The folder of an account: INBOX, with all others in it.
    pub(super) fn of_account(&self, account: &Account) -> PathBuf {
        self.root.join(super::names::account_directory(account.as_str()))
    }

    fn of_mailbox(&self, account: &Account, name: &MailboxName) -> PathBuf {
        /// What file systems take, and room for what is put behind names.
        const MOST: usize = 240;

        let folder = self.of_account(account);
        if name.is_inbox() {
            return folder;
        }
        let directory = directory_of(name);
        match directory.len() > MOST {
            true => {
                let hash = BlobHash::of(name.as_str().as_bytes()).to_string();
                folder.join(format!(".={}", &hash[..32]))
            }
            false => folder.join(directory),
        }
    }

    /// Says what an entry asks for, and takes note of it.
    fn plan(&mut self, entry: &Entry) -> Vec<Op> {
        match entry {
            Entry::Settled => Vec::new(),
            Entry::Named { mailbox, uid, base } => {
                if let Some(folder) = self.folders.get_mut(mailbox) {
                    folder.names.insert(*uid, base.clone());
                    folder.is_unlisted = true;
                }
                Vec::new()
            }
            Entry::Effect(Effect::Mailbox { mailbox, head, .. }) => {
                let path = self.of_mailbox(&head.account, &head.name);
                self.plan_mailbox(*mailbox, &head.account, path)
            }
            Entry::Effect(Effect::MailboxGone { mailbox }) => match self.folders.remove(mailbox) {
                Some(folder) => {
                    self.stamps.forget(*mailbox);
                    let is_inbox = folder.path == self.of_account(&folder.account);
                    vec![Op::Remove {
                        path: folder.path,
                        is_inbox,
                    }]
                }
                None => Vec::new(),
            },
            Entry::Effect(Effect::Message { mailbox, message }) => {
                let folder = self.folders.get(mailbox);
                let named =
                    folder.and_then(|it| Some((it.path.clone(), it.names.get(&message.uid)?.clone())));
                match (named, &message.blob) {
                    (Some((folder, base)), Some(blob)) => vec![Op::Link {
                        folder,
                        base,
                        hash: *blob.hash(),
                        flags: message.flags.clone(),
                    }],
                    _ => Vec::new(),
                }
            }
            Entry::Effect(Effect::Flags {
                mailbox, uid, flags, ..
            }) => {
                let folder = self.folders.get(mailbox);
                let named = folder.and_then(|it| Some((it.path.clone(), it.names.get(uid)?.clone())));
                let flag = |(folder, base)| Op::Flag {
                    folder,
                    base,
                    flags: flags.clone(),
                };
                named.map(flag).into_iter().collect()
            }
            Entry::Effect(Effect::MessageGone { mailbox, uid }) => {
                let Some(it) = self.folders.get_mut(mailbox) else {
                    return Vec::new();
                };
                it.is_unlisted = true;
                let (folder, base) = (it.path.clone(), it.names.remove(uid));
                base.map(|base| Op::Unlink { folder, base }).into_iter().collect()
            }
            Entry::Effect(Effect::Subscription { account, .. }) => {
                self.subscriptions.insert(account.clone());
                Vec::new()
            }
            Entry::Effect(_) => Vec::new(),
        }
    }

    fn plan_mailbox(&mut self, mailbox: MailboxId, account: &Account, path: PathBuf) -> Vec<Op> {
        let before = self.folders.get(&mailbox).map(|it| it.path.clone());
        if before.as_ref() == Some(&path) {
            return Vec::new();
        }
        let mut ops = Vec::new();
        // Two that swap their names: the other one gets its own with an entry of its own.
        let other = self.folders.iter().find(|(_, it)| it.path == path);
        if let Some(other) = other.map(|(id, _)| *id) {
            let aside = self.home.join(format!("moving-{}", other.value()));
            ops.push(Op::Move {
                from: path.clone(),
                to: aside.clone(),
            });
            self.place(other, account, aside);
        }
        ops.push(match before {
            Some(from) => Op::Move {
                from,
                to: path.clone(),
            },
            None => Op::Make(path.clone()),
        });
        self.place(mailbox, account, path);
        ops
    }

    fn place(&mut self, mailbox: MailboxId, account: &Account, path: PathBuf) {
        self.stamps.place(mailbox, &path);
        let folder = self.folders.entry(mailbox).or_insert_with(|| Folder {
            account: account.clone(),
            path: PathBuf::new(),
            names: BTreeMap::new(),
            is_unlisted: true,
        });
        folder.path = path;
    }

    fn run(&mut self, ops: Vec<Op>) {
        // Folders that were as they were seen last stay so, whatever is done here.
        let mut seen: HashMap<PathBuf, bool> = HashMap::new();
        let mut ops = ops.into_iter();
        for op in ops.by_ref() {
            if let Op::Link { folder, .. } | Op::Flag { folder, .. } | Op::Unlink { folder, .. } = &op
                && !seen.contains_key(folder)
            {
                seen.insert(folder.clone(), self.stamps.is_as_seen(folder));
            }
            if self.perform(&op).is_err() {
                self.waiting.push(op);
                break;
            }
        }
        self.waiting.extend(ops);
        for (folder, was_seen) in seen {
            if was_seen && let Some(stamp) = Stamp::of(&folder) {
                self.stamps.set(&folder, stamp);
            }
        }
    }

    fn perform(&mut self, op: &Op) -> io::Result<()> {
        match op {
            Op::Make(path) => self.make(path),
            Op::Move { from, to } => self.move_folder(from, to),
            Op::Remove { path, is_inbox } => self.remove_folder(path, *is_inbox),
            Op::Link {
                folder,
                base,
                hash,
                flags,
            } => {
                self.make(folder)?;
                let listing = self.listing(folder)?;
                if listing.files.contains_key(base) {
                    return Ok(());
                }
                let (is_new, letters) = match flags.is_empty() {
                    true => (true, String::new()),
                    false => (false, listing.letters_of(folder, flags)?),
                };
                let file = listing.insert(base, is_new, letters);
                let linked = self.bodies.link_to(hash, &folder.join(&file));
                if linked.is_err() {
                    self.listings.remove(folder);
                }
                self.touch(folder);
                linked
            }
            Op::Flag { folder, base, flags } => {
                let listing = self.listing(folder)?;
                let letters = listing.letters_of(folder, flags)?;
                self.rename(folder, base, |listing| {
                    let is_new = listing.files.get(base)?.is_new && letters.is_empty();
                    Some(listing.insert(base, is_new, letters.clone()))
                })
            }
            Op::Unlink { folder, base } => self.rename(folder, base, |listing| {
                listing.files.remove(base);
                None
            }),
        }
    }

    /// Gives a file the name that the change makes, or none. A file that is not there was removed by somebody else.
    fn rename(
        &mut self,
        folder: &Path,
        base: &str,
        change: impl Fn(&mut Listing) -> Option<String>,
    ) -> io::Result<()> {
        // Somebody else may have given it another name: it is looked for once more.
        for _ in 0..2 {
            let listing = self.listing(folder)?;
            let Some(at) = listing.files.get(base) else {
                self.listings.remove(folder);
                continue;
            };
            let from = folder.join(at.path(base));
            let done = match change(listing) {
                Some(to) if folder.join(&to) == from => return Ok(()),
                Some(to) => fs::rename(&from, folder.join(to)),
                None => fs::remove_file(&from),
            };
            match done {
                Ok(()) => {
                    self.touch(folder);
                    return Ok(());
                }
                Err(error) => {
                    self.listings.remove(folder);
                    if error.kind() != io::ErrorKind::NotFound {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    fn listing(&mut self, folder: &Path) -> io::Result<&mut Listing> {
        if !self.listings.contains_key(folder) {
            if self.is_replaying {
                // Where it cannot be listed, the next step says so.
                let _ = listing::remove_doubles(folder);
            }
            let listing = match Listing::read(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Listing::default(),
                other => other?,
            };
            self.listings.insert(folder.to_owned(), listing);
        }
        Ok(self.listings.get_mut(folder).expect("it was put there"))
    }

    fn make(&mut self, path: &Path) -> io::Result<()> {
        for sub in ["cur", "new", "tmp"] {
            folder::create(&path.join(sub))?;
        }
        let is_inbox = path.parent() == Some(&*self.root);
        let marker = path.join("maildirfolder");
        if !is_inbox && !marker.exists() {
            fs::File::create(marker)?;
        }
        Ok(())
    }

    fn move_folder(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if !from.exists() {
            return self.make(to);
        }
        // A folder that nobody has told of is in the way: its mail is found in the one that takes its place.
        let mut aside = None;
        if to.exists() {
            self.asides += 1;
            let path = self
                .home
                .join(format!("aside-{}-{}", std::process::id(), self.asides));
            fs::rename(to, &path)?;
            aside = Some(path);
        }
        fs::rename(from, to)?;
        if let Some(listing) = self.listings.remove(from) {
            self.listings.insert(to.to_owned(), listing);
        }
        if let Some(aside) = aside {
            for sub in ["cur", "new"] {
                for entry in fs::read_dir(aside.join(sub)).into_iter().flatten() {
                    let entry = entry?;
                    let target = to.join(sub).join(entry.file_name());
                    if !target.exists() {
                        fs::rename(entry.path(), target)?;
                    }
                }
            }
            fs::remove_dir_all(aside)?;
            self.listings.remove(to);
            self.stamps.unsee(to);
        }
        for parent in [from, to].into_iter().filter_map(Path::parent) {
            self.touched.insert(parent.to_owned());
        }
        Ok(())
    }

    fn remove_folder(&mut self, path: &Path, is_inbox: bool) -> io::Result<()> {
        self.listings.remove(path);
        let remove = |path: &Path| match fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        if is_inbox {
            // Other mailboxes are in it.
            ["cur", "new", "tmp"]
                .into_iter()
                .try_for_each(|sub| remove(&path.join(sub)))?;
            for list in [UidList::FILE, Keywords::FILE, SUBSCRIPTIONS] {
                let _ = fs::remove_file(path.join(list));
            }
            // The last one that goes takes the folder along.
            let _ = fs::remove_dir(path);
        } else {
            remove(path)?;
            let _ = path.parent().map(fs::remove_dir);
        }
        self.touched.extend(path.parent().map(Path::to_owned));
        Ok(())
    }

    fn touch(&mut self, folder: &Path) {
        self.touched.insert(folder.join("cur"));
        self.touched.insert(folder.join("new"));
    }

    /// Makes all that was done outlast a power cut; says whether everything is done.
    pub(super) fn settle(&mut self) -> io::Result<bool> {
        if !self.retry() {
            return Ok(false);
        }
        for path in core::mem::take(&mut self.touched) {
            match folder::sync(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    self.touched.insert(path);
                    return Err(error);
                }
                _ => {}
            }
        }
        Ok(true)
    }

    /// Writes the lists of UIDs and subscriptions that have changed.
    pub(super) fn write_lists(&mut self, model: &Model) -> io::Result<()> {
        for (mailbox, folder) in self.folders.iter_mut().filter(|(_, it)| it.is_unlisted) {
            let Ok(snapshot) = model.snapshot(*mailbox) else {
                continue;
            };
            let entries = folder.names.iter().map(|(uid, base)| (*uid, base.clone()));
            let list = UidList {
                uid_validity: Some(snapshot.uid_validity),
                uid_next: snapshot.uid_next,
                entries: entries.collect(),
            };
            replace(&folder.path.join(UidList::FILE), &list.to_text())?;
            folder.is_unlisted = false;
        }
        for account in core::mem::take(&mut self.subscriptions) {
            let names = model.subscriptions(&account);
            let folder = self.of_account(&account);
            if folder.exists() {
                replace(&folder.join(SUBSCRIPTIONS), &write_subscriptions(&names))?;
            }
        }
        Ok(())
    }
}

/// The name of the file of subscribed names.
pub(super) const SUBSCRIPTIONS: &str = "subscriptions";
