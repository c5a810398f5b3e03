//! Makes a database of what can be read of a damaged one
//!
//! Neither SQLite nor the tables it needs to find others are relied on: pages are read one by one. Rows that contradict
//! each other are left to [`fsck`](super::fsck).

mod image;
mod tree;

use std::path::Path;

use mailwright_mailbox::StoreError;
use rusqlite::{Connection, ErrorCode, params_from_iter};

use self::{
    image::Image,
    tree::{Found, Table},
};
use super::failed;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Salvaged {
    /// Pages that nothing could be read of.
    pub(super) lost_pages: u64,
    /// Whether all rows were found where they belong: if not, some are lost.
    pub(super) is_whole: bool,
}

/// Copies all rows that can be read of a database and its log into an empty one, inside one transaction.
pub(super) fn copy(database: &Path, log: &Path, to: &Connection) -> Result<Salvaged, StoreError> {
    let image = Image::open(database, log);
    let mut refused = 0;
    let tally = tree::rows(&image, TABLES, &mut |found: Found| {
        match insert(to, found) {
            Ok(()) => Ok(()),
            // A row whose number or name another one has; of a damaged page, or from before a change.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                refused += 1;
                Ok(())
            }
            Err(error) => Err(failed(error)),
        }
    })?;
    // Rows of pages that were cut off may be from before an expunge.
    let sql = "DELETE FROM message WHERE EXISTS (SELECT 1 FROM expunged AS e
               WHERE e.mailbox = message.mailbox AND message.uid BETWEEN e.first AND e.last)";
    if tally.cut_off > 0 {
        to.execute(sql, []).map_err(failed)?;
    }
    Ok(Salvaged {
        lost_pages: tally.lost,
        is_whole: tally.lost == 0 && tally.cut_off == 0 && refused == 0 && image.pages() > 0,
    })
}

fn insert(to: &Connection, found: Found) -> rusqlite::Result<()> {
    let Found { table, mut values } = found;
    // Rows of before a column came have what it has where nothing else is said.
    for column in &table.columns.as_bytes()[values.len()..] {
        values.push(match column {
            b'b' => rusqlite::types::Value::Blob(Vec::new()),
            _ => rusqlite::types::Value::Integer(0),
        });
    }
    let places = vec!["?"; values.len()].join(", ");
    let on_conflict = match table.name {
        "message" => {
            "ON CONFLICT (mailbox, uid) DO UPDATE SET mod_seq = excluded.mod_seq, flags = excluded.flags,
             keywords = excluded.keywords WHERE excluded.mod_seq > mod_seq"
        }
        "mailbox" => {
            "ON CONFLICT (id) DO UPDATE SET name = excluded.name, uid_next = excluded.uid_next,
             mod_seq = excluded.mod_seq, forgotten = excluded.forgotten WHERE excluded.mod_seq > mod_seq"
        }
        "counter" => "ON CONFLICT DO UPDATE SET value = max(value, excluded.value)",
        _ => "ON CONFLICT DO NOTHING",
    };
    let sql = format!("INSERT INTO {} VALUES ({places}) {on_conflict}", table.name);
    to.prepare_cached(&sql)?.execute(params_from_iter(values))?;
    Ok(())
}

const fn table(name: &'static str, columns: &'static str, least: usize, is_unlike_others: bool) -> Table {
    Table {
        name,
        columns,
        least,
        is_unlike_others,
    }
}

/// The tables of all versions, owners first.
const TABLES: &[Table] = &[
    table("counter", "ti", 2, false),
    table("account", "ntiii", 5, true),
    table("mailbox", "nitTiiiiiiiiii", 13, true),
    table("subscription", "it", 2, true),
    table("expunged", "iiiii", 5, true),
    table("message", "iiiiTiiiii", 9, true),
    table("blob", "nbiiIIbbb", 7, true),
    table("body", "nib", 3, true),
    table("text", "nb", 2, true),
    table("sketch", "nibi", 4, true),
    table("spool", "nbI", 3, true),
    table("thread_key", "iii", 3, false),
    table("annotation", "iitb", 4, true),
    table("acl", "iti", 3, false),
];
