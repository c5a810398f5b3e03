//! Maildir++ folders, as a source and as a target.

use super::TransferError;
use super::line_ends::{OnlyCrlf, ToFile};
use super::source::{Ended, Folder, Item, Piece, Sink};
use bytes::Bytes;
use mailwright_mailbox::{Flags, MailboxName, Message, Snapshot, Uid, UidValidity};
use mailwright_store::maildir::format::{
    FileName, Keywords, ToWire, UidList, directory_of, mailbox_of, parse_subscriptions, write_subscriptions,
};
use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, FileTimes};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Whether a folder looks like a Maildir.
pub(super) fn is_maildir(path: &Path) -> bool {
    path.join("cur").is_dir() || path.join("new").is_dir()
}

/// Gives all that a Maildir has: INBOX at the root, `.Folder.Sub` below it, and `Folder/Sub` as some keep them.
pub(super) fn read(root: &Path, sink: &Sink) -> Result<(), Ended> {
    let folders = match folders(root, sink)? {
        Ok(folders) => folders,
        Err(error) => return sink.give(Piece::Failed(TransferError::file(root, error))),
    };
    let mut listed = Vec::with_capacity(folders.len());
    for (name, path) in folders {
        match list(&path, sink)? {
            Ok(files) => listed.push((name, path, files)),
            Err(error) => sink.skipped(path.display().to_string(), error)?,
        }
    }
    let messages = listed.iter().map(|(.., files)| files.files.len() as u64).sum();
    sink.give(Piece::Total {
        messages: Some(messages),
        octets: None,
    })?;
    for (name, path, files) in listed {
        let keywords = fs::read_to_string(path.join(Keywords::FILE)).unwrap_or_default();
        let keywords = Keywords::parse(&keywords);
        sink.give(Piece::Folder(Folder {
            name,
            uid_validity: files.uids.uid_validity,
            uid_next: files.uids.uid_next,
            mark: None,
            goes_on: false,
        }))?;
        for file in files.files {
            message(&path, file, &keywords, sink)?;
        }
    }
    for file in ["subscriptions", "courierimapsubscribed"] {
        let Ok(text) = fs::read_to_string(root.join(file)) else {
            continue;
        };
        for name in parse_subscriptions(&text) {
            sink.give(Piece::Subscribed(name))?;
        }
    }
    Ok(())
}

type Found = Vec<(MailboxName, PathBuf)>;

fn folders(root: &Path, sink: &Sink) -> Result<io::Result<Found>, Ended> {
    let mut found = Vec::new();
    if is_maildir(root) {
        found.push((MailboxName::inbox(), root.to_owned()));
    }
    // Folders and the names that lead to them; only the root has those with a dot.
    let mut open = vec![(root.to_owned(), String::new())];
    while let Some((folder, above)) = open.pop() {
        let entries = match fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) if above.is_empty() => return Ok(Err(error)),
            Err(error) => {
                sink.skipped(folder.display().to_string(), error)?;
                continue;
            }
        };
        for entry in entries {
            let path = entry.path();
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                sink.skipped(path.display().to_string(), "the name of the folder is not UTF-8")?;
                continue;
            };
            let is_own = matches!(name, "cur" | "new" | "tmp");
            // A link is followed where it stands for a folder, not on the way to others: it may lead back.
            let is_folder = path.is_dir() && (name.starts_with('.') || !path.is_symlink());
            if is_own || !is_folder {
                continue;
            }
            if let Some(dotted) = name.strip_prefix('.') {
                if !above.is_empty() || dotted.is_empty() || !is_maildir(&path) {
                    continue;
                }
                match mailbox_of(name) {
                    Some(mailbox) => found.push((mailbox, path)),
                    None => {
                        sink.skipped(path.display().to_string(), UNNAMEABLE)?;
                    }
                }
                continue;
            }
            let dotted = format!("{above}.{}", name.replace('.', "\\2e"));
            if is_maildir(&path) {
                match mailbox_of(&dotted) {
                    Some(mailbox) => found.push((mailbox, path.clone())),
                    None => {
                        sink.skipped(path.display().to_string(), UNNAMEABLE)?;
                    }
                }
            }
            if dotted.matches('.').count() < MailboxName::MAX_LEVELS {
                open.push((path, dotted));
            }
        }
    }
    found.sort();
    Ok(Ok(found))
}

struct Listed {
    uids: UidList,
    files: Vec<Listing>,
}

struct Listing {
    uid: Option<Uid>,
    /// With `cur/` or `new/` in front.
    name: String,
}

/// The files of a folder, by UID; those without come last, by name, which begins with the time.
fn list(folder: &Path, sink: &Sink) -> Result<io::Result<Listed>, Ended> {
    let uids = fs::read_to_string(folder.join(UidList::FILE)).ok();
    let uids = uids.and_then(|text| UidList::parse(&text)).unwrap_or_default();
    let known: HashMap<&str, Uid> = uids.entries.iter().map(|(uid, base)| (&**base, *uid)).collect();
    let mut files = Vec::new();
    for sub in ["cur", "new"] {
        let entries = match fs::read_dir(folder.join(sub)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Ok(Err(error)),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return Ok(Err(error)),
            };
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                sink.skipped(
                    entry.path().display().to_string(),
                    "the name of the file is not UTF-8",
                )?;
                continue;
            };
            if name.starts_with('.') || entry.file_type().is_ok_and(|it| it.is_dir()) {
                continue;
            }
            files.push(Listing {
                uid: known.get(FileName::parse(name).base).copied(),
                name: format!("{sub}/{name}"),
            });
        }
    }
    drop(known);
    let base = |it: &Listing| it.name.split_once('/').map(|(_, name)| name.to_owned());
    files.sort_by_cached_key(|it| (it.uid.is_none(), it.uid, base(it)));
    Ok(Ok(Listed { uids, files }))
}

fn message(folder: &Path, file: Listing, keywords: &Keywords, sink: &Sink) -> Result<(), Ended> {
    let path = folder.join(&file.name);
    let shown = path.display().to_string();
    let opened = File::open(&path).and_then(|file| Ok((file.metadata()?, file)));
    let (about, mut reader) = match opened {
        Ok((about, _)) if about.len() == 0 => return sink.skipped(shown, "the file is empty"),
        Ok((about, reader)) => (about, reader),
        Err(error) => return sink.skipped(shown, error),
    };
    let mut lines = ToWire::default();
    let (mut begun, size) = (false, Sink::CHUNK.min(about.len() as usize));
    loop {
        let mut chunk = Vec::with_capacity(size);
        match Read::take(&mut reader, size as u64).read_to_end(&mut chunk) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if begun => return sink.give(Piece::Broken(error.to_string())),
            Err(error) => return sink.skipped(shown, error),
        }
        if !begun {
            if is_compressed(&chunk) {
                return sink.skipped(shown, "the file is compressed: unpack it before");
            }
            sink.give(Piece::Message(shown.clone()))?;
            begun = true;
        }
        sink.give(Piece::Octets(lines.convert(chunk).into()))?;
    }
    if !begun {
        return sink.skipped(shown, "the file is empty");
    }
    let name = file.name.strip_prefix("cur/");
    let flags = name.map(|name| FileName::parse(name).flags(keywords));
    sink.give(Piece::End(Item {
        uid: file.uid,
        flags: flags.unwrap_or_default(),
        internal_date: about.modified().ok().map(unix),
    }))
}

/// Whether a file begins as gzip, bzip2, xz, Zstandard or LZ4 do; no message does.
fn is_compressed(octets: &[u8]) -> bool {
    const MAGIC: [&[u8]; 5] = [
        b"\x1f\x8b",
        b"BZh",
        b"\xfd7zXZ\0",
        b"\x28\xb5\x2f\xfd",
        b"\x04\x22\x4d\x18",
    ];
    MAGIC.iter().any(|magic| octets.starts_with(magic))
}

fn unix(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    }
}

/// A folder that messages are written to.
#[derive(Debug)]
pub(super) struct Target {
    path: PathBuf,
    keywords: Keywords,
    uids: UidList,
    // The bases of the files that are there.
    present: BTreeSet<String>,
    held: Held,
}

/// A message that is being written. Its form is known when all of it was seen.
#[derive(Debug, Default)]
struct Held {
    crlf: OnlyCrlf,
    wire: Option<File>,
}

impl Target {
    /// Makes the folder of a mailbox, or goes on with the one that is there.
    pub(super) fn open(root: &Path, mailbox: &Snapshot) -> io::Result<Self> {
        let path = match mailbox.name.is_inbox() {
            true => root.to_owned(),
            false => root.join(directory_of(&mailbox.name)),
        };
        for sub in ["cur", "new", "tmp"] {
            fs::create_dir_all(path.join(sub))?;
        }
        if !mailbox.name.is_inbox() {
            File::create(path.join("maildirfolder"))?;
        }
        let mut present = BTreeSet::new();
        for entry in fs::read_dir(path.join("cur"))? {
            if let Some(name) = entry?.file_name().to_str() {
                present.insert(FileName::parse(name).base.to_owned());
            }
        }
        let keywords = fs::read_to_string(path.join(Keywords::FILE)).unwrap_or_default();
        let mut uids = UidList::default();
        uids.uid_validity = Some(mailbox.uid_validity);
        uids.uid_next = mailbox.uid_next;
        Ok(Self {
            path,
            keywords: Keywords::parse(&keywords),
            uids,
            present,
            held: Held::default(),
        })
    }

    /// Notes a message, and tells whether it is there already.
    pub(super) fn has(&mut self, message: &Message) -> bool {
        let base = self.base(message);
        let is_there = self.present.contains(&base);
        if is_there {
            self.uids.entries.push((message.uid, base));
        }
        is_there
    }

    /// Takes the next octets of a message.
    pub(super) fn write(&mut self, octets: &Bytes) -> io::Result<()> {
        self.held.crlf.look(octets);
        let file = match &mut self.held.wire {
            Some(file) => file,
            none => none.insert(File::create(self.path.join("tmp").join(WIRE))?),
        };
        file.write_all(octets)
    }

    /// Ends a message: LF at the ends of its lines if nothing is lost by that, else all octets as they are.
    pub(super) fn finish(&mut self, message: &Message) -> io::Result<()> {
        let held = core::mem::take(&mut self.held);
        let wire = self.path.join("tmp").join(WIRE);
        if held.wire.is_none() {
            File::create(&wire)?;
        }
        drop(held.wire);
        let base = self.base(message);
        let made = self.path.join("tmp").join(&base);
        if held.crlf.holds() {
            let (mut from, mut to) = (File::open(&wire)?, File::create(&made)?);
            let mut lines = ToFile::default();
            loop {
                let mut chunk = Vec::with_capacity(Sink::CHUNK);
                if Read::take(&mut from, Sink::CHUNK as u64).read_to_end(&mut chunk)? == 0 {
                    break;
                }
                let mut out = Vec::with_capacity(chunk.len());
                lines.convert(&chunk, &mut out);
                to.write_all(&out)?;
            }
            let mut rest = Vec::new();
            lines.finish(&mut rest);
            to.write_all(&rest)?;
        } else {
            fs::rename(&wire, &made)?;
        }
        let date = u64::try_from(message.internal_date).unwrap_or(0);
        let date = UNIX_EPOCH + Duration::from_secs(date);
        File::options()
            .write(true)
            .open(&made)?
            .set_times(FileTimes::new().set_modified(date))?;
        let letters = FileName::letters_of(&message.flags, &mut self.keywords);
        fs::rename(made, self.path.join("cur").join(format!("{base}:2,{letters}")))?;
        self.uids.entries.push((message.uid, base));
        Ok(())
    }

    /// Forgets a message that cannot be read to its end.
    pub(super) fn abandon(&mut self) {
        self.held = Held::default();
    }

    /// Writes the lists of UIDs and keywords; says which keywords found no letter.
    pub(super) fn end(self) -> io::Result<()> {
        replace(&self.path.join(UidList::FILE), &self.uids.to_text())?;
        replace(&self.path.join(Keywords::FILE), &self.keywords.to_text())?;
        match fs::remove_file(self.path.join("tmp").join(WIRE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether all keywords of a message have letters.
    pub(super) fn keeps_keywords(&mut self, flags: &Flags) -> bool {
        let letters = FileName::letters_of(flags, &mut self.keywords);
        letters
            .bytes()
            .filter(|it| it.is_ascii_lowercase() || *it == b'P')
            .count()
            == flags.keywords().len()
    }

    /// The same for the same message each time, so that it is found again.
    fn base(&self, message: &Message) -> String {
        let validity = self.uids.uid_validity.map_or(0, UidValidity::value);
        format!(
            "{}.V{validity}U{}.mailwright,W={}",
            message.internal_date,
            message.uid,
            message.size()
        )
    }
}

/// Writes the subscribed names.
pub(super) fn write_subscribed(root: &Path, names: &[MailboxName]) -> io::Result<()> {
    replace(&root.join("subscriptions"), &write_subscriptions(names))
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let partial = path.with_extension("partial");
    let mut file = File::create(&partial)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(partial, path)
}

const UNNAMEABLE: &str = "its name cannot be that of a mailbox";
/// The octets of a message while its form is not known.
const WIRE: &str = "mailwright.wire";
