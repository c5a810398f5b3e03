//! What other programs did to a folder, as a batch

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{self, Read},
    path::Path,
    sync::Arc,
    time::UNIX_EPOCH,
};

use mailwright_mailbox::{
    Batch, BlobRef, Fields, FlagChange, Flags, Limits, MailboxId, MessageMeta, Model, Op, Scan, Uid, UidSet,
    digest::{self, text::Walk},
};

use super::{
    bodies::{Bodies, MaildirBlobWriter},
    disk::Disk,
    format::{FileName, ToWire, UidList},
    listing::{At, Listing},
};

/// What was found in a folder that the model does not know.
#[derive(Debug)]
pub(super) struct Noticed {
    pub(super) batch: Batch,
    /// The bases of the files of the messages that the batch adds, in their order.
    pub(super) names: Vec<String>,
    /// There is more.
    pub(super) is_cut: bool,
}

/// How many messages one batch adds.
const MOST: usize = 500;

/// Compares a folder with what is known of it.
pub(super) fn compare(
    model: &Model,
    disk: &mut Disk,
    bodies: &Arc<Bodies>,
    limits: &Limits,
    mailbox: MailboxId,
    now: i64,
) -> io::Result<Noticed> {
    let mut noticed = Noticed {
        batch: Batch::new(now),
        names: Vec::new(),
        is_cut: false,
    };
    let (Some(folder), Ok(head)) = (disk.path(mailbox).map(Path::to_owned), model.snapshot(mailbox)) else {
        return Ok(noticed);
    };
    let mut listing = Listing::read(&folder)?;
    if disk
        .names(mailbox)
        .any(|(_, base)| !listing.files.contains_key(base))
    {
        // A file that gets another name while a folder is read may be passed over. It is not passed over twice.
        let again = Listing::read(&folder)?;
        listing.files.extend(again.files);
    }
    let mut unknown: HashMap<&str, &At> = listing
        .files
        .iter()
        .map(|(base, at)| (base.as_str(), at))
        .collect();
    let mut gone = UidSet::new();
    let mut there = BTreeMap::new();
    for (uid, base) in disk.names(mailbox) {
        match unknown.remove(base) {
            Some(at) => {
                there.insert(uid, (base, at));
            }
            None => gone.insert(uid),
        }
    }
    let uids = disk_uids(&folder, head.uid_validity.value());
    let mut unknown: Vec<_> = unknown.into_iter().collect();
    unknown.sort_by_key(|(base, _)| (!uids.contains_key(*base), uids.get(*base), *base));
    for (base, at) in unknown {
        if noticed.names.len() == MOST {
            noticed.is_cut = true;
            break;
        }
        // One that cannot be read is looked at again when something changes.
        if let Ok(Some((blob, message, date))) = read(&folder.join(at.path(base)), bodies) {
            let flags = if at.is_new {
                Flags::new()
            } else {
                flags(base, at, &listing, limits)
            };
            if let Some(uid_next) = uids.get(base) {
                noticed.batch.push(Op::AdoptUids {
                    mailbox,
                    uid_validity: None,
                    uid_next: *uid_next,
                });
            }
            noticed.batch.push(Op::Append {
                mailbox,
                blob,
                message,
                flags,
                internal_date: date,
            });
            noticed.names.push(base.to_owned());
        }
    }
    let known = model.scan(mailbox, &Scan::all(Fields::FLAGS).limit(usize::MAX));
    for message in known.map(|page| page.messages).unwrap_or_default() {
        let Some((base, at)) = there.get(&message.uid).filter(|(_, at)| !at.is_new) else {
            continue;
        };
        let mut keywords = listing.keywords.clone();
        if FileName::letters_of(&message.flags, &mut keywords) == sorted(&at.letters) {
            continue;
        }
        let mut found = flags(base, at, &listing, limits);
        // What has no letter cannot have been taken away.
        let mut own = listing.keywords.clone();
        let letterless = message.flags.keywords().iter().filter(|it| {
            FileName::letters_of(&core::iter::once((*it).clone()).collect(), &mut own).is_empty()
        });
        letterless.for_each(|keyword| found.insert_keyword(keyword.clone()));
        noticed.batch.push(Op::StoreFlags {
            mailbox,
            uids: message.uid.into(),
            change: FlagChange::Replace(found),
            unchanged_since: None,
        });
    }
    if !gone.is_empty() {
        noticed.batch.push(Op::Expunge {
            mailbox,
            uids: gone,
            deleted_only: false,
        });
    }
    disk.set_listing(&folder, listing);
    Ok(noticed)
}

/// The UIDs that Dovecot gave, where they are of the same UIDVALIDITY.
fn disk_uids(folder: &Path, uid_validity: u32) -> HashMap<String, Uid> {
    let list = fs::read_to_string(folder.join(UidList::FILE)).ok();
    let list = list.and_then(|text| UidList::parse(&text));
    let list = list.filter(|it| it.uid_validity.is_some_and(|it| it.value() == uid_validity));
    let entries = list.map(|it| it.entries).unwrap_or_default();
    entries.into_iter().map(|(uid, base)| (base, uid)).collect()
}

fn flags(base: &str, at: &At, listing: &Listing, limits: &Limits) -> Flags {
    let mut name = FileName::parse(base);
    name.letters = &at.letters;
    let flags = name.flags(&listing.keywords);
    let most = limits.keywords_per_message as usize;
    if flags.keywords().len() <= most {
        return flags;
    }
    let mut fewer: Flags = flags.keywords().iter().take(most).cloned().collect();
    fewer.insert(flags.system());
    fewer
}

fn sorted(letters: &str) -> String {
    let mut letters: Vec<char> = letters.chars().collect();
    letters.sort_unstable();
    letters.dedup();
    letters.into_iter().collect()
}

/// Takes in a file that somebody else has put there; `None` if it has no octets.
fn read(path: &Path, bodies: &Arc<Bodies>) -> io::Result<Option<(BlobRef, MessageMeta, i64)>> {
    const CHUNK: u64 = 64 * 1024;

    let mut file = File::open(path)?;
    let about = file.metadata()?;
    if about.len() == 0 || !about.is_file() {
        return Ok(None);
    }
    let (mut writer, mut lines) = (MaildirBlobWriter::new(bodies), ToWire::default());
    let mut digest = digest::Builder::new(digest::Options::default());
    loop {
        let mut chunk = Vec::new();
        if Read::take(&mut file, CHUNK).read_to_end(&mut chunk)? == 0 {
            break;
        }
        let chunk = lines.convert(chunk);
        digest.push(&chunk);
        writer.push(&chunk)?;
    }
    let blob = writer.end()?;
    if blob.size() == about.len()
        && let Some(staged) = bodies.staged(&blob)
    {
        // No octet is different: one file is enough for both.
        fs::remove_file(staged.path())?;
        fs::hard_link(path, staged.path())?;
    }
    let mut digest = digest.finish();
    if let Some(mut text) = digest.left.take() {
        let mut walk = Walk::new(&digest.index);
        while let Some(range) = walk.wanted(&mut text) {
            let octets = bodies
                .read(&blob, range)
                .map_err(|error| io::Error::other(error.to_string()))?;
            walk.push(&octets, &mut text);
        }
        digest.keep(text);
    }
    let date = match about.modified()?.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs() as i64,
        Err(before) => -(before.duration().as_secs() as i64),
    };
    Ok(Some((blob, digest.meta, date)))
}
