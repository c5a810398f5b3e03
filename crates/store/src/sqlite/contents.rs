//! Packed contents of mailboxes: opened without a look at each message
//!
//! What a mailbox contained at a mod-sequence is kept in one row. What has changed since is put on top of it when the
//! mailbox is opened, so that no commit has to touch the row and none can make it untrue:
//!
//! ```text
//!  contents at M ── UIDs expunged after M ── messages with a mod-sequence above M ──▶ contents
//! ```
//!
//! Where there is no such row, where too much has changed, or where the history does not reach back to M, all messages
//! are read, and the writer is asked to keep what was found.

use mailwright_mailbox::{Contents, Keyword, MailboxId, ModSeq, StoreError, SystemFlags, Uid, UidSet};
use rusqlite::{Connection, OptionalExtension, Result, Row, types::ValueRef};

use super::{cache, failed, read, rows};

/// Contents to be kept.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) mailbox: MailboxId,
    pub(super) mod_seq: ModSeq,
    pub(super) content: Vec<u8>,
}

/// Reads what a mailbox contains; with it, what is to be kept for the next time, where that is worth it.
pub(super) fn read(conn: &Connection, mailbox: MailboxId) -> Result<(Contents, Option<Packed>), StoreError> {
    let contents = Contents::new(read::snapshot(conn, mailbox)?);
    let (exists, unseen) = (contents.snapshot.exists.into(), contents.snapshot.unseen.into());
    let replayed = replay(conn, mailbox, contents.clone(), MOST_CHANGES).map_err(failed)?;
    // Damage that was not noticed otherwise.
    let is_sound = |it: &Contents| it.uids.len() == exists && it.unseen.len() == unseen;
    let (contents, is_to_be_kept) = match replayed {
        Some((contents, changes)) if is_sound(&contents) => (contents, changes > FEW_CHANGES),
        _ => (
            scan(conn, mailbox, contents).map_err(failed)?,
            exists >= WORTH_KEEPING,
        ),
    };
    let packed = is_to_be_kept.then(|| Packed {
        mailbox,
        mod_seq: contents.snapshot.highest_mod_seq,
        content: pack(&contents),
    });
    Ok((contents, packed))
}

/// Counts the rows that do not tell what their mailbox contains.
pub(super) fn count_wrong(conn: &Connection) -> Result<u64, StoreError> {
    let mut statement = conn.prepare("SELECT mailbox FROM contents").map_err(failed)?;
    let ids = statement
        .query_map([], |row| row.get::<_, i64>(0))
        .map_err(failed)?;
    let mut wrong = 0;
    for id in ids {
        let mailbox = MailboxId::new(id.map_err(failed)? as u64);
        let contents = match read::snapshot(conn, mailbox) {
            Ok(snapshot) => Contents::new(snapshot),
            Err(StoreError::NoSuchMailbox) => {
                wrong += 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        let has_row = row(conn, mailbox).map_err(failed)?.is_some();
        let replayed = replay(conn, mailbox, contents.clone(), i64::MAX).map_err(failed)?;
        let scanned = scan(conn, mailbox, contents).map_err(failed)?;
        wrong += u64::from(match replayed {
            Some((it, _)) => {
                it.uids != scanned.uids
                    || it.unseen != scanned.unseen
                    || !scanned.keywords.is_subset(&it.keywords)
            }
            None => !has_row,
        });
    }
    Ok(wrong)
}

/// Whether that very content is kept.
pub(super) fn is_kept(conn: &Connection, packed: &Packed) -> Result<bool> {
    let kept = row(conn, packed.mailbox)?;
    Ok(kept.is_some_and(|(mod_seq, content)| mod_seq == packed.mod_seq && content == packed.content))
}

/// Keeps contents in place of what was kept, unless the mailbox is gone.
pub(super) fn keep(conn: &Connection, packed: &Packed) -> Result<()> {
    let sql =
        "INSERT OR REPLACE INTO contents SELECT id, ?2, ?3, ?4 FROM mailbox WHERE id = ?1 AND mod_seq >= ?2";
    let (id, mod_seq) = (packed.mailbox.value() as i64, packed.mod_seq.value() as i64);
    let crc = crc32fast::hash(&packed.content);
    conn.prepare_cached(sql)?
        .execute((id, mod_seq, crc, &packed.content))?;
    Ok(())
}

/// Puts on top of what is kept what has changed since, and tells how many changes that were; `None` where nothing that
/// can be used is kept, or more than `most` messages have changed.
fn replay(
    conn: &Connection,
    mailbox: MailboxId,
    mut contents: Contents,
    most: i64,
) -> Result<Option<(Contents, usize)>> {
    let forgotten = cache::read_mailbox(conn, mailbox)?.map(|it| it.forgotten);
    let Some((since, packed)) = row(conn, mailbox)? else {
        return Ok(None);
    };
    if forgotten.is_none_or(|forgotten| since < forgotten)
        || since > contents.snapshot.highest_mod_seq
        || unpack(&packed, &mut contents).is_none()
    {
        return Ok(None);
    }
    let gone = read::expunged(conn, mailbox, since)?;
    if !gone.is_empty() {
        contents.uids = contents.uids.difference(&gone);
        contents.unseen = contents.unseen.difference(&gone);
    }
    let sql = "SELECT uid, flags, keywords FROM message INDEXED BY message_mod_seq
               WHERE mailbox = ?1 AND mod_seq > ?2 LIMIT ?3";
    let mut statement = conn.prepare_cached(sql)?;
    let limit = most.saturating_add(1);
    let mut rows = statement.query((mailbox.value() as i64, since.value() as i64, limit))?;
    let mut changed = Vec::new();
    while let Some(row) = rows.next()? {
        if changed.len() as i64 == most {
            return Ok(None);
        }
        let is_unseen = !flags(row)?.contains(SystemFlags::SEEN);
        add_keywords(row, &mut contents)?;
        changed.push((rows::uid(row, 0)?, is_unseen));
    }
    changed.sort_unstable();
    let all: UidSet = changed.iter().map(|(uid, _)| *uid).collect();
    let unseen: UidSet = changed.iter().filter(|it| it.1).map(|it| it.0).collect();
    if !all.is_empty() {
        contents.uids = contents.uids.union(&all);
        contents.unseen = contents.unseen.difference(&all).union(&unseen);
    }
    Ok(Some((contents, changed.len() + gone.ranges().len())))
}

/// Reads all messages.
fn scan(conn: &Connection, mailbox: MailboxId, mut contents: Contents) -> Result<Contents> {
    let sql = "SELECT uid, flags, keywords FROM message WHERE mailbox = ?1 ORDER BY uid";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([mailbox.value() as i64])?;
    while let Some(row) = rows.next()? {
        let uid = rows::uid(row, 0)?;
        contents.uids.insert(uid);
        if !flags(row)?.contains(SystemFlags::SEEN) {
            contents.unseen.insert(uid);
        }
        add_keywords(row, &mut contents)?;
    }
    Ok(contents)
}

fn flags(row: &Row<'_>) -> Result<SystemFlags> {
    Ok(SystemFlags::from_bits(row.get(1)?))
}

fn add_keywords(row: &Row<'_>, contents: &mut Contents) -> Result<()> {
    if let ValueRef::Text(_) = row.get_ref(2)? {
        for keyword in rows::flags(row, 1)?.keywords() {
            if !contents.keywords.contains(keyword) {
                contents.keywords.insert(keyword.clone());
            }
        }
    }
    Ok(())
}

/// Reads what is kept of a mailbox, and of when it is; `None` where nothing is, or it is damaged.
fn row(conn: &Connection, mailbox: MailboxId) -> Result<Option<(ModSeq, Vec<u8>)>> {
    let sql = "SELECT mod_seq, crc, content FROM contents WHERE mailbox = ?1";
    let read = |row: &Row<'_>| {
        let content = row.get::<_, Vec<u8>>(2)?;
        let is_whole = row.get::<_, i64>(1)? == i64::from(crc32fast::hash(&content));
        Ok(is_whole.then_some((ModSeq::new(row.get::<_, i64>(0)? as u64), content)))
    };
    let mut statement = conn.prepare_cached(sql)?;
    let row = statement.query_row([mailbox.value() as i64], read).optional()?;
    Ok(row.flatten())
}

/// `version uids unseen keywords`: each a count and as many entries. Ranges are told by the gap before them and their
/// length, so that most take two octets.
fn pack(contents: &Contents) -> Vec<u8> {
    let mut to = vec![VERSION];
    for set in [&contents.uids, &contents.unseen] {
        put(set.ranges().len() as u64, &mut to);
        let mut before = 0;
        for range in set.ranges() {
            let (first, last) = (range.start().value(), range.end().value());
            put(u64::from(first - before), &mut to);
            put(u64::from(last - first), &mut to);
            before = last;
        }
    }
    put(contents.keywords.len() as u64, &mut to);
    for keyword in &contents.keywords {
        put(keyword.as_str().len() as u64, &mut to);
        to.extend_from_slice(keyword.as_str().as_bytes());
    }
    to
}

fn unpack(packed: &[u8], contents: &mut Contents) -> Option<()> {
    let (&VERSION, mut from) = packed.split_first()? else {
        return None;
    };
    for set in [&mut contents.uids, &mut contents.unseen] {
        let mut before = 0_u32;
        for _ in 0..take(&mut from)? {
            let first = before.checked_add(u32::try_from(take(&mut from)?).ok()?)?;
            let last = first.checked_add(u32::try_from(take(&mut from)?).ok()?)?;
            set.insert_range(Uid::new(first)?, Uid::new(last)?);
            before = last;
        }
    }
    for _ in 0..take(&mut from)? {
        let (keyword, rest) = from.split_at_checked(usize::try_from(take(&mut from)?).ok()?)?;
        contents
            .keywords
            .insert(Keyword::parse(core::str::from_utf8(keyword).ok()?)?);
        from = rest;
    }
    from.is_empty().then_some(())
}

/// Seven bits an octet, the lowest first; the eighth says that more follow.
fn put(mut n: u64, to: &mut Vec<u8>) {
    while n >= 0x80 {
        to.push(n as u8 | 0x80);
        n >>= 7;
    }
    to.push(n as u8);
}

fn take(from: &mut &[u8]) -> Option<u64> {
    let mut n = 0;
    for shift in (0..63).step_by(7) {
        let (octet, rest) = from.split_first()?;
        *from = rest;
        n |= u64::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

const VERSION: u8 = 1;
/// Smaller mailboxes are read as fast as what would be kept of them.
const WORTH_KEEPING: u64 = 500;
/// With more changes than these, what is kept is made anew.
const FEW_CHANGES: usize = 500;
/// With more than these, reading all messages is as fast as looking up each.
const MOST_CHANGES: i64 = 20_000;
