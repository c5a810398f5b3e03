//! Queries of the readers

use bytes::Bytes;
use mailwright_mailbox::{
    Account, AclEntry, Annotation, BlobHash, BlobRef, EntryName, Fields, Identifier, MailboxId, MailboxInfo,
    MailboxName, Message, ModSeq, Page, Rights, Scan, SharedMailbox, Snapshot, SpecialUse, SpoolEntry,
    SpoolKey, StoreError, Threading, Uid, UidSet, Usage, Vanished,
};
use rusqlite::{Connection, OptionalExtension, Result, Row, types::ValueRef};

use super::{cache, failed, rows};

/// Runs a query of several statements at one moment of the database.
pub(super) fn at_one_moment<T>(
    conn: &mut Connection,
    read: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let transaction = conn.transaction().map_err(failed)?;
    let result = read(&transaction);
    transaction.finish().map_err(failed)?;
    result
}

pub(super) fn accounts(
    conn: &Connection,
    after: Option<&Account>,
    limit: usize,
) -> Result<Vec<Account>, StoreError> {
    let sql = "SELECT name FROM account WHERE name > ?1
               AND EXISTS (SELECT 1 FROM mailbox WHERE account = account.id) ORDER BY name LIMIT ?2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = conn.prepare_cached(sql).map_err(failed)?;
    let values = (after.map_or("", Account::as_str), limit);
    let rows = statement.query_map(values, |row| Ok(Account::new(row.get::<_, String>(0)?)));
    rows.and_then(Iterator::collect).map_err(failed)
}

pub(super) fn annotations(
    conn: &Connection,
    account: &Account,
    mailbox: Option<MailboxId>,
) -> Result<Vec<Annotation>, StoreError> {
    if let Some(mailbox) = mailbox {
        head(conn, mailbox)?;
    }
    let sql = "SELECT name, value FROM annotation
               WHERE account = (SELECT id FROM account WHERE name = ?1) AND mailbox = ?2 ORDER BY name";
    let mut statement = conn.prepare_cached(sql).map_err(failed)?;
    let rows = statement
        .query_map((account.as_str(), rows::on(mailbox)), |row| {
            let name = EntryName::parse(row.get_ref(0)?.as_str()?);
            let value = row.get::<_, Vec<u8>>(1)?.into();
            Ok(name.map(|name| Annotation::new(name, value)))
        })
        .map_err(failed)?;
    let annotations: Result<Vec<_>> = rows.collect();
    // A name that is none any more is damage; it must not hide the others.
    Ok(annotations.map_err(failed)?.into_iter().flatten().collect())
}

pub(super) fn acl(conn: &Connection, mailbox: MailboxId) -> Result<Vec<AclEntry>, StoreError> {
    head(conn, mailbox)?;
    let sql = "SELECT identifier, rights FROM acl WHERE mailbox = ?1 ORDER BY identifier";
    let mut statement = conn.prepare_cached(sql).map_err(failed)?;
    let rows = statement.query_map([mailbox.value() as i64], |row| {
        let identifier = Identifier::new(row.get::<_, String>(0)?);
        Ok(AclEntry::new(identifier, Rights::from_bits(row.get(1)?)))
    });
    rows.and_then(Iterator::collect).map_err(failed)
}

pub(super) fn shared_with(
    conn: &Connection,
    identifiers: &[Identifier],
) -> Result<Vec<SharedMailbox>, StoreError> {
    let sql = "SELECT mailbox.id, account.name, mailbox.name, special_use FROM acl
               JOIN mailbox ON mailbox.id = acl.mailbox JOIN account ON account.id = mailbox.account
               WHERE identifier = ?1";
    let mut statement = conn.prepare_cached(sql).map_err(failed)?;
    let mut shared = std::collections::BTreeMap::new();
    for identifier in identifiers {
        let rows = statement.query_map([identifier.as_str()], |row| {
            let (mailbox, account) = (id(row, 0)?, Account::new(row.get::<_, String>(1)?));
            let special_use = row.get_ref(3)?.as_str_or_null()?.and_then(SpecialUse::from_name);
            let name = rows::mailbox_name(row, 2)?;
            Ok((mailbox, SharedMailbox::new(account, mailbox, name, special_use)))
        });
        for row in rows.map_err(failed)? {
            let (mailbox, it) = row.map_err(failed)?;
            shared.insert(mailbox, it);
        }
    }
    Ok(shared.into_values().collect())
}

pub(super) fn mailboxes(conn: &Connection, account: &Account) -> Result<Vec<MailboxInfo>, StoreError> {
    let sql = "SELECT id, name, special_use,
                   EXISTS (SELECT 1 FROM subscription AS s WHERE s.account = m.account AND s.name = m.name)
               FROM mailbox AS m WHERE account = (SELECT id FROM account WHERE name = ?1) ORDER BY name";
    let info = |row: &Row<'_>| {
        let special_use = row.get_ref(2)?.as_str_or_null()?.and_then(SpecialUse::from_name);
        Ok(MailboxInfo::new(
            id(row, 0)?,
            rows::mailbox_name(row, 1)?,
            special_use,
            row.get(3)?,
        ))
    };
    let mut statement = conn.prepare_cached(sql).map_err(failed)?;
    let rows = statement.query_map([account.as_str()], info).map_err(failed)?;
    rows.collect::<Result<_>>().map_err(failed)
}

pub(super) fn subscriptions(conn: &Connection, account: &Account) -> Result<Vec<MailboxName>, StoreError> {
    let sql = "SELECT name FROM subscription WHERE account = (SELECT id FROM account WHERE name = ?1) ORDER BY name";
    let mut statement = conn.prepare_cached(sql).map_err(failed)?;
    let rows = statement
        .query_map([account.as_str()], |row| rows::mailbox_name(row, 0))
        .map_err(failed)?;
    rows.collect::<Result<_>>().map_err(failed)
}

pub(super) fn usage(conn: &Connection, account: &Account) -> Result<Usage, StoreError> {
    let state = cache::read_account(conn, account.as_str()).map_err(failed)?;
    Ok(state.map_or_else(Usage::default, |it| Usage::new(it.octets, it.messages)))
}

pub(super) fn snapshot(conn: &Connection, mailbox: MailboxId) -> Result<Snapshot, StoreError> {
    let sql = "SELECT name FROM mailbox WHERE id = ?1";
    let mut statement = conn.prepare_cached(sql).map_err(failed)?;
    let name = statement.query_row([mailbox.value() as i64], |row| rows::mailbox_name(row, 0));
    let name = name
        .optional()
        .map_err(failed)?
        .ok_or(StoreError::NoSuchMailbox)?;
    let it = head(conn, mailbox)?;
    let count = |n: u64| u32::try_from(n).map_err(|_| StoreError::Corrupt("count of messages".into()));
    let mut snapshot = Snapshot::new(it.account, name, it.uid_validity);
    snapshot.uid_next = u32::try_from(it.uid_next).ok().and_then(Uid::new);
    snapshot.highest_mod_seq = it.mod_seq;
    snapshot.exists = count(it.messages)?;
    snapshot.unseen = count(it.unseen)?;
    snapshot.deleted = count(it.deleted)?;
    snapshot.size = it.octets;
    snapshot.deleted_size = it.deleted_octets;
    Ok(snapshot)
}

pub(super) fn scan(conn: &Connection, mailbox: MailboxId, scan: &Scan) -> Result<Page, StoreError> {
    let head = head(conn, mailbox)?;
    let highest = head.mod_seq;
    let since = scan.since.unwrap_or(ModSeq::ZERO);
    if since >= highest {
        return Ok(Page::new(Vec::new(), None, highest));
    }
    let few = match scan.since {
        Some(_) => changed(conn, mailbox, since).map_err(failed)?,
        None => None,
    };
    let uids = match &few {
        Some(few) => &scan.uids.intersection(few),
        None => &scan.uids,
    };
    // There can be no more messages than these; room is made for no more.
    let most = uids.len().min(head.messages);
    let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
    let limit = scan.limit.clamp(1, MOST_MESSAGES).min(most);
    let (messages, next) = messages(conn, mailbox, uids, scan.fields, since, limit).map_err(failed)?;
    Ok(Page::new(messages, next, highest))
}

pub(super) fn vanished(conn: &Connection, mailbox: MailboxId, since: ModSeq) -> Result<Vanished, StoreError> {
    let forgotten = head(conn, mailbox)?.forgotten;
    let uids = expunged(conn, mailbox, since).map_err(failed)?;
    Ok(Vanished::new(uids, since >= forgotten))
}

/// The UIDs that were expunged after a mod-sequence and are remembered.
pub(super) fn expunged(conn: &Connection, mailbox: MailboxId, since: ModSeq) -> Result<UidSet> {
    let sql = "SELECT first, last FROM expunged WHERE mailbox = ?1 AND mod_seq > ?2 ORDER BY first";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query((mailbox.value() as i64, mod_seq(since)))?;
    let mut uids = UidSet::new();
    while let Some(row) = rows.next()? {
        uids.insert_range(rows::uid(row, 0)?, rows::uid(row, 1)?);
    }
    Ok(uids)
}

pub(super) fn spool(
    conn: &Connection,
    after: Option<SpoolKey>,
    limit: usize,
) -> Result<Vec<SpoolEntry>, StoreError> {
    let sql = "SELECT key, record, spool.blob, hash, octets FROM spool LEFT JOIN blob ON blob.id = spool.blob
               WHERE key > ?1 ORDER BY key LIMIT ?2";
    let entry = |row: &Row<'_>| {
        let key = SpoolKey::new(row.get::<_, i64>(0)? as u64);
        let record = row.get::<_, Vec<u8>>(1)?.into();
        // A record whose body is lost, which `check` reports, must not hide those behind it.
        let is_there = row.get_ref(3)? != ValueRef::Null;
        let blob = match row.get::<_, Option<i64>>(2)?.filter(|_| is_there) {
            Some(locator) => Some(blob(row, 3, locator)?),
            None => None,
        };
        Ok(SpoolEntry::new(key, record, blob))
    };
    let after = after.map_or(0, |key| i64::try_from(key.value()).unwrap_or(i64::MAX));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = conn.prepare_cached(sql).map_err(failed)?;
    let rows = statement.query_map((after, limit), entry).map_err(failed)?;
    rows.collect::<Result<_>>().map_err(failed)
}

fn head(conn: &Connection, mailbox: MailboxId) -> Result<cache::Mailbox, StoreError> {
    cache::read_mailbox(conn, mailbox)
        .map_err(failed)?
        .ok_or(StoreError::NoSuchMailbox)
}

/// The messages that have changed since, when they are few enough that looking each up is faster than reading all.
fn changed(conn: &Connection, mailbox: MailboxId, since: ModSeq) -> Result<Option<UidSet>> {
    let sql =
        "SELECT uid FROM message INDEXED BY message_mod_seq WHERE mailbox = ?1 AND mod_seq > ?2 LIMIT ?3";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query((mailbox.value() as i64, mod_seq(since), FEW_CHANGES + 1))?;
    let mut uids = Vec::new();
    while let Some(row) = rows.next()? {
        uids.push(rows::uid(row, 0)?);
    }
    uids.sort_unstable();
    Ok((uids.len() as i64 <= FEW_CHANGES).then(|| uids.into_iter().collect()))
}

fn messages(
    conn: &Connection,
    mailbox: MailboxId,
    uids: &UidSet,
    fields: Fields,
    since: ModSeq,
    limit: usize,
) -> Result<(Vec<Message>, Option<Uid>)> {
    let mut statement = conn.prepare_cached(&selection(fields))?;
    let (mut messages, mut octets) = (Vec::with_capacity(limit), 0);
    for range in uids.ranges() {
        let (first, last) = (range.start().value(), range.end().value());
        let mut rows = statement.query((mailbox.value() as i64, first, last, mod_seq(since)))?;
        while let Some(row) = rows.next()? {
            if messages.len() == limit {
                return Ok((messages, Some(rows::uid(row, 0)?)));
            }
            let message = message(row, fields)?;
            octets += [&message.text, &message.content]
                .into_iter()
                .flatten()
                .map(Bytes::len)
                .sum::<usize>();
            messages.push(message);
            if octets > MOST_OCTETS {
                let next = messages.last().and_then(|last| last.uid.value().checked_add(1));
                return Ok((messages, next.and_then(Uid::new)));
            }
        }
    }
    Ok((messages, None))
}

/// The query for the fields of messages, each in its own column: what is not asked for is not read.
fn selection(fields: Fields) -> String {
    let has = |field| fields.contains(field);
    let is_of_blob = has(Fields::BLOB) || has(Fields::INDEX) || has(Fields::SORT);
    let columns = [
        (has(Fields::FLAGS), "flags"),
        (has(Fields::FLAGS), "keywords"),
        (has(Fields::DATES), "internal_date"),
        (has(Fields::DATES), "save_date"),
        (has(Fields::SIZE) || has(Fields::BLOB), "message.octets"),
        (has(Fields::BLOB), "message.blob"),
        (has(Fields::THREAD), "thread"),
        (has(Fields::BLOB), "hash"),
        (has(Fields::INDEX), "part_index"),
        (has(Fields::SORT), "sort_keys"),
        (has(Fields::SORT), "threading"),
        (has(Fields::TEXT), "text.content"),
        (has(Fields::TEXT), "body.content"),
        (has(Fields::TEXT), "body.crc"),
        (has(Fields::SKETCH), "sketch.content"),
        (has(Fields::SKETCH), "sketch.crc"),
    ];
    let tables = [
        (is_of_blob, "CROSS JOIN blob ON blob.id = message.blob"),
        (has(Fields::TEXT), "LEFT JOIN text ON text.blob = message.blob"),
        (
            has(Fields::TEXT),
            "LEFT JOIN body ON text.blob IS NULL AND body.blob = message.blob",
        ),
        (
            has(Fields::SKETCH),
            "LEFT JOIN sketch ON sketch.blob = message.blob",
        ),
    ];
    let mut sql = "SELECT uid, mod_seq".to_owned();
    for (is_asked, column) in columns {
        sql += ", ";
        sql += if is_asked { column } else { "NULL" };
    }
    sql += " FROM message";
    for (_, table) in tables.iter().filter(|(is_asked, _)| *is_asked) {
        sql += " ";
        sql += table;
    }
    // `+mod_seq` keeps the query planner on the table: the few that the index would find are handled before.
    sql + " WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3 AND +mod_seq > ?4 ORDER BY uid"
}

fn message(row: &Row<'_>, fields: Fields) -> Result<Message> {
    let mut message = Message::new(rows::uid(row, 0)?, ModSeq::new(row.get::<_, i64>(1)? as u64));
    if fields.contains(Fields::FLAGS) {
        message.flags = rows::flags(row, 2)?;
    }
    if fields.contains(Fields::DATES) {
        message.internal_date = row.get(4)?;
        message.save_date = row.get(5)?;
    }
    if fields.contains(Fields::SIZE) || fields.contains(Fields::BLOB) {
        message = message.with_size(row.get::<_, i64>(6)? as u64);
    }
    if fields.contains(Fields::BLOB) {
        let hash = BlobHash::from_bytes(row.get(9)?);
        message.blob = Some(BlobRef::new(hash, message.size()).with_locator(row.get::<_, i64>(7)? as u64));
    }
    if fields.contains(Fields::THREAD) {
        message.thread = rows::thread(row, 8)?;
    }
    if fields.contains(Fields::INDEX) {
        message.index = row.get::<_, Vec<u8>>(10)?.into();
    }
    if fields.contains(Fields::SORT) {
        message.sort_keys = row.get::<_, Vec<u8>>(11)?.into();
        message.threading = Threading::from_bytes(row.get_ref(12)?.as_blob()?);
    }
    if fields.contains(Fields::SKETCH) {
        // A damaged one would hide messages: none hides nothing.
        let content = row.get_ref(16)?.as_blob_or_null()?;
        let crc = row.get::<_, Option<u32>>(17)?;
        let content = content.filter(|content| Some(crc32fast::hash(content)) == crc);
        message.sketch = content.map(Bytes::copy_from_slice).unwrap_or_default();
    }
    if fields.contains(Fields::TEXT) {
        message.text = row.get::<_, Option<Vec<u8>>>(13)?.map(Into::into);
        // A body that fails its checksum is not given here; whoever reads it by itself is told.
        let content = row.get_ref(14)?.as_blob_or_null()?;
        let crc = row.get::<_, Option<u32>>(15)?;
        let content = content.filter(|content| Some(crc32fast::hash(content)) == crc);
        message.content = content.map(Bytes::copy_from_slice);
    }
    Ok(message)
}

fn blob(row: &Row<'_>, column: usize, locator: i64) -> Result<BlobRef> {
    let hash = BlobHash::from_bytes(row.get(column)?);
    let octets = row.get::<_, i64>(column + 1)? as u64;
    Ok(BlobRef::new(hash, octets).with_locator(locator as u64))
}

fn id(row: &Row<'_>, column: usize) -> Result<MailboxId> {
    Ok(MailboxId::new(row.get::<_, i64>(column)? as u64))
}

/// A caller may pass any number; the database holds 63 bits.
fn mod_seq(since: ModSeq) -> i64 {
    i64::try_from(since.value()).unwrap_or(i64::MAX)
}

/// The most messages of a page, whatever the caller asks for.
const MOST_MESSAGES: usize = 10_000;
/// A page ends behind the message whose text takes it above this.
const MOST_OCTETS: usize = 4 << 20;
const FEW_CHANGES: i64 = 1000;
