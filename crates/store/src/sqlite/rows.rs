//! Rows of messages and mailboxes, as writer and readers share them

use mailwright_mailbox::{
    Flags, Keyword, MailboxId, MailboxName, ModSeq, SystemFlags, ThreadId, Uid, UidSet,
};
use rusqlite::{Connection, Result, Row, types::Type};

/// A message as its row has it.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) uid: Uid,
    /// The message before it in the range that was asked for: there is none between the two.
    pub(super) after: Option<Uid>,
    pub(super) mod_seq: ModSeq,
    pub(super) flags: Flags,
    pub(super) internal_date: i64,
    pub(super) octets: u64,
    pub(super) blob: i64,
    pub(super) thread: ThreadId,
}

/// Reads messages in the order of their UIDs.
pub(super) fn select(conn: &Connection, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Stored>> {
    let sql = "SELECT uid, mod_seq, flags, keywords, internal_date, octets, blob, thread FROM message
               WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3 ORDER BY uid";
    let mut statement = conn.prepare_cached(sql)?;
    let mut stored = Vec::new();
    for range in uids.ranges() {
        let mut after = None;
        let mut rows =
            statement.query((mailbox.value() as i64, range.start().value(), range.end().value()))?;
        while let Some(row) = rows.next()? {
            let uid = uid(row, 0)?;
            stored.push(Stored {
                uid,
                after: after.replace(uid),
                mod_seq: ModSeq::new(row.get::<_, i64>(1)? as u64),
                flags: flags(row, 2)?,
                internal_date: row.get(4)?,
                octets: row.get::<_, i64>(5)? as u64,
                blob: row.get(6)?,
                thread: thread(row, 7)?,
            });
        }
    }
    Ok(stored)
}

/// The mailbox of that name, if there is one, and all below it.
pub(super) fn subtree(
    conn: &Connection,
    account: i64,
    name: &MailboxName,
) -> Result<Vec<(MailboxId, MailboxName)>> {
    // '0' follows '/' in ASCII: all names below are between the two, and nothing else is.
    let sql = "SELECT id, name FROM mailbox WHERE account = ?1 AND (name = ?2 OR (name >= ?3 AND name < ?4))
               ORDER BY name";
    let (first, end) = (format!("{name}/"), format!("{name}0"));
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map((account, name.as_str(), first, end), |row| {
        Ok((
            MailboxId::new(row.get::<_, i64>(0)? as u64),
            mailbox_name(row, 1)?,
        ))
    });
    rows?.collect()
}

/// All mailboxes of an account.
pub(super) fn mailboxes(conn: &Connection, account: i64) -> Result<Vec<(MailboxId, MailboxName)>> {
    let mut statement =
        conn.prepare_cached("SELECT id, name FROM mailbox WHERE account = ?1 ORDER BY name")?;
    let rows = statement.query_map([account], |row| {
        Ok((
            MailboxId::new(row.get::<_, i64>(0)? as u64),
            mailbox_name(row, 1)?,
        ))
    });
    rows?.collect()
}

/// The names an account is subscribed to.
pub(super) fn subscriptions(conn: &Connection, account: i64) -> Result<Vec<MailboxName>> {
    let mut statement =
        conn.prepare_cached("SELECT name FROM subscription WHERE account = ?1 ORDER BY name")?;
    let rows = statement.query_map([account], |row| mailbox_name(row, 0));
    rows?.collect()
}

/// The number that an annotation has for its mailbox; no mailbox has 0.
pub(super) fn on(mailbox: Option<MailboxId>) -> i64 {
    mailbox.map_or(0, |mailbox| mailbox.value() as i64)
}

pub(super) fn thread(row: &Row<'_>, column: usize) -> Result<ThreadId> {
    Ok(ThreadId::new(row.get::<_, i64>(column)? as u64))
}

pub(super) fn uid(row: &Row<'_>, column: usize) -> Result<Uid> {
    Uid::new(row.get(column)?).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, 0))
}

pub(super) fn mailbox_name(row: &Row<'_>, column: usize) -> Result<MailboxName> {
    let name = MailboxName::parse(row.get_ref(column)?.as_str()?);
    name.map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// Reads flags from a column and keywords from the one after it.
pub(super) fn flags(row: &Row<'_>, column: usize) -> Result<Flags> {
    let mut flags = match row.get_ref(column + 1)?.as_str_or_null()? {
        Some(keywords) => keywords.split(' ').filter_map(Keyword::parse).collect(),
        None => Flags::new(),
    };
    flags.insert(SystemFlags::from_bits(row.get(column)?));
    Ok(flags)
}

/// Writes keywords as one text; none at all as NULL.
pub(super) fn join_keywords(flags: &Flags) -> Option<String> {
    let keywords = flags.keywords();
    (!keywords.is_empty()).then(|| keywords.iter().map(Keyword::as_str).collect::<Vec<_>>().join(" "))
}
