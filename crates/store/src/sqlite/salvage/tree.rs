//! The rows on the pages of a database file, whatever is wrong with it
//!
//! The trees of the tables are followed from their roots as far as they can be read. What a damaged page has cut off
//! is then found by going through all pages that no tree and no list of free pages has: the rows of most tables tell by
//! the number and the types of their columns whose they are.
//!
//! The format is in "Database File Format" on sqlite.org, §1.5, §1.6 and §2.

use rusqlite::types::Value;

use super::image::{Image, number};

/// A table as its rows tell it.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// The types of its columns: `n` for the number of the row, `i`, `t` and `b` for integer, text and octets, in
    /// capitals where there may be none.
    pub(super) columns: &'static str,
    /// How many columns there were at first; rows of before have no others.
    pub(super) least: usize,
    /// Whether no other table, and no index, has rows like it.
    pub(super) is_unlike_others: bool,
}

/// A row, and how sure it is that it is in use.
pub(super) struct Found {
    pub(super) table: &'static Table,
    pub(super) values: Vec<Value>,
}

/// What could be read.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Pages that a tree has and that could not be read, or make no sense.
    pub(super) lost: u64,
    /// Pages that no tree has any more, with rows on them.
    pub(super) cut_off: u64,
}

/// Reads all rows of these tables, those of trees before those that were cut off.
pub(super) fn rows<E>(
    image: &Image,
    tables: &'static [Table],
    each: &mut dyn FnMut(Found) -> Result<(), E>,
) -> Result<Tally, E> {
    let mut reader = Reader {
        image,
        seen: vec![false; image.pages() as usize + 1],
        tally: Tally::default(),
    };
    let mut roots = Vec::new();
    // Page 1 has the header of the file and the root of the schema.
    reader.tree(1, &mut |values, _| {
        if let [Value::Text(kind), Value::Text(name), _, Value::Integer(root), ..] = &values[..]
            && kind == "table"
            && let Some(table) = tables.iter().find(|table| table.name == name)
        {
            roots.push((table, u32::try_from(*root).unwrap_or(0)));
        }
        Ok(())
    })?;
    reader.pass_over_free_pages();
    for (table, root) in roots {
        reader.tree(root, &mut |values, row| match fit(table, values, row) {
            Some(values) => each(Found { table, values }),
            None => Ok(()),
        })?;
    }
    reader.cut_off(tables, each)?;
    Ok(reader.tally)
}

struct Reader<'i> {
    image: &'i Image,
    seen: Vec<bool>,
    tally: Tally,
}

/// Takes the values of a row and, in tables that have one, its number.
type Each<'e, E> = &'e mut dyn FnMut(Vec<Value>, Option<i64>) -> Result<(), E>;

impl Reader<'_> {
    /// Follows a tree.
    fn tree<E>(&mut self, root: u32, each: Each<'_, E>) -> Result<(), E> {
        let mut waiting = vec![root];
        while let Some(at) = waiting.pop() {
            // A page that is reached twice is damage of the second way to it.
            if !self.enter(at) {
                self.tally.lost += 1;
                continue;
            }
            let Some(page) = self.image.page(at).and_then(|page| Page::parse(page, at)) else {
                self.tally.lost += 1;
                continue;
            };
            let children = waiting.len();
            for cell in page.cells() {
                if let Some(child) = cell.child {
                    waiting.push(child);
                }
                if let Some((payload, row)) = cell.payload {
                    match self.values(&page, payload) {
                        Some(values) => each(values, row)?,
                        None => self.tally.lost += 1,
                    }
                }
            }
            waiting.extend(page.rightmost());
            waiting[children..].reverse();
        }
        Ok(())
    }

    /// Reads the rows of pages that nothing leads to.
    fn cut_off<E>(
        &mut self,
        tables: &'static [Table],
        each: &mut dyn FnMut(Found) -> Result<(), E>,
    ) -> Result<(), E> {
        // Indexes are left alone, and their pages look cut off: it is rows of tables that count.
        for at in 1..=self.image.pages() {
            if self.seen[at as usize] {
                continue;
            }
            let Some(page) = self.image.page(at).and_then(|page| Page::parse(page, at)) else {
                continue;
            };
            let mut has_rows = false;
            for (payload, row) in page.cells().filter_map(|cell| cell.payload) {
                let Some(values) = self.values(&page, payload) else {
                    continue;
                };
                let likely = tables.iter().filter(|table| table.is_unlike_others);
                for table in likely {
                    if let Some(values) = fit(table, values.clone(), row) {
                        has_rows = true;
                        each(Found { table, values })?;
                        break;
                    }
                }
            }
            self.tally.cut_off += u64::from(has_rows);
        }
        Ok(())
    }

    /// Free pages hold rows that were deleted.
    fn pass_over_free_pages(&mut self) {
        let Some(first) = self.image.page(1) else { return };
        let mut trunk = number(&first, 32);
        while self.enter(trunk) {
            let Some(page) = self.image.page(trunk) else {
                return;
            };
            let count = (number(&page, 4) as usize).min(page.len() / 4 - 2);
            for leaf in 0..count {
                self.enter(number(&page, 8 + 4 * leaf));
            }
            trunk = number(&page, 0);
        }
    }

    /// Notes that a page is in use; `false` when it was, or is none.
    fn enter(&mut self, page: u32) -> bool {
        match self.seen.get_mut(page as usize) {
            Some(seen) if page > 0 => !core::mem::replace(seen, true),
            _ => false,
        }
    }

    /// Reads the values of a row, part of which may be on pages of their own.
    fn values(&mut self, page: &Page, payload: Payload) -> Option<Vec<Value>> {
        let octets = page.octets.get(payload.start..payload.start + payload.here)?;
        if payload.here == payload.length {
            return record(octets);
        }
        let mut all = Vec::with_capacity(payload.length);
        all.extend_from_slice(octets);
        let link = page.octets.get(payload.start + payload.here..)?;
        let mut next = number(link.get(..4)?, 0);
        while all.len() < payload.length {
            let further = self.image.page(next)?;
            self.enter(next);
            let here = (payload.length - all.len()).min(further.len() - 4);
            all.extend_from_slice(&further[4..4 + here]);
            next = number(&further, 0);
        }
        record(&all)
    }
}

/// A page of a tree.
struct Page {
    octets: Vec<u8>,
    header: usize,
    kind: Kind,
    cells: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    InteriorIndex = 2,
    InteriorTable = 5,
    LeafIndex = 10,
    LeafTable = 13,
}

struct Cell {
    child: Option<u32>,
    payload: Option<(Payload, Option<i64>)>,
}

/// Where on its page a row begins, how much of it is there, and how long it is.
#[derive(Clone, Copy)]
struct Payload {
    start: usize,
    here: usize,
    length: usize,
}

impl Page {
    fn parse(octets: Vec<u8>, number: u32) -> Option<Self> {
        let header = if number == 1 { 100 } else { 0 };
        let kind = match octets[header] {
            2 => Kind::InteriorIndex,
            5 => Kind::InteriorTable,
            10 => Kind::LeafIndex,
            13 => Kind::LeafTable,
            _ => return None,
        };
        let cells = usize::from(u16::from_be_bytes([octets[header + 3], octets[header + 4]]));
        let page = Self {
            octets,
            header,
            kind,
            cells,
        };
        (page.first_pointer() + 2 * cells <= page.octets.len()).then_some(page)
    }

    const fn is_leaf(&self) -> bool {
        matches!(self.kind, Kind::LeafIndex | Kind::LeafTable)
    }

    const fn first_pointer(&self) -> usize {
        self.header + if self.is_leaf() { 8 } else { 12 }
    }

    fn rightmost(&self) -> Option<u32> {
        (!self.is_leaf()).then(|| number(&self.octets, self.header + 8))
    }

    /// The cells that make sense.
    fn cells(&self) -> impl Iterator<Item = Cell> + '_ {
        let pointers = self.octets[self.first_pointer()..]
            .chunks_exact(2)
            .take(self.cells);
        pointers.filter_map(|at| self.cell(usize::from(u16::from_be_bytes([at[0], at[1]]))))
    }

    fn cell(&self, mut at: usize) -> Option<Cell> {
        let child = match self.is_leaf() {
            true => None,
            false => {
                let child = number(self.octets.get(at..at + 4)?, 0);
                at += 4;
                Some(child)
            }
        };
        if self.kind == Kind::InteriorTable {
            return Some(Cell { child, payload: None });
        }
        let length = usize::try_from(varint(&self.octets, &mut at)?).ok()?;
        let row = match self.kind {
            Kind::LeafTable => Some(varint(&self.octets, &mut at)?.cast_signed()),
            _ => None,
        };
        if length > MOST_OCTETS {
            return None;
        }
        let here = self.here(length);
        let payload = Payload {
            start: at,
            here,
            length,
        };
        Some(Cell {
            child,
            payload: Some((payload, row)),
        })
    }

    /// How much of a row of this length is on the page itself.
    fn here(&self, length: usize) -> usize {
        let usable = self.octets.len();
        let most = match self.kind {
            Kind::LeafTable => usable - 35,
            _ => (usable - 12) * 64 / 255 - 23,
        };
        if length <= most {
            return length;
        }
        let least = (usable - 12) * 32 / 255 - 23;
        let here = least + (length - least) % (usable - 4);
        if here <= most { here } else { least }
    }
}

/// Reads a record; `None` when it is none.
fn record(octets: &[u8]) -> Option<Vec<Value>> {
    let mut at = 0;
    let header = usize::try_from(varint(octets, &mut at)?).ok()?;
    let mut content = header;
    let mut values = Vec::new();
    while at < header {
        let kind = varint(octets, &mut at)?;
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind as usize,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            _ => usize::try_from((kind - 12) / 2).ok()?,
        };
        let end = content.checked_add(length)?;
        let value = octets.get(content..end)?;
        content = end;
        values.push(match kind {
            0 => Value::Null,
            8 | 9 => Value::Integer(kind as i64 - 8),
            1..=6 => {
                let negative = value[0] & 0x80 != 0;
                let start = if negative { -1 } else { 0 };
                Value::Integer(value.iter().fold(start, |n, octet| n << 8 | i64::from(*octet)))
            }
            7 => Value::Real(f64::from_be_bytes(value.try_into().ok()?)),
            _ if kind % 2 == 0 => Value::Blob(value.to_vec()),
            _ => Value::Text(String::from_utf8(value.to_vec()).ok()?),
        });
    }
    // The header ends with the last type, and nothing is left behind the last value.
    (at == header && content == octets.len()).then_some(values)
}

/// Reads a number of one to nine octets, seven bits each, the most significant first.
fn varint(octets: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0;
    for i in 0..9 {
        let octet = *octets.get(*at)?;
        *at += 1;
        if i == 8 {
            return Some(value << 8 | u64::from(octet));
        }
        value = value << 7 | u64::from(octet & 0x7f);
        if octet & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Returns the values of a row of the table, with its number in its place; `None` when it is not one of it.
fn fit(table: &Table, mut values: Vec<Value>, row: Option<i64>) -> Option<Vec<Value>> {
    let has_number = table.columns.starts_with('n');
    if !(table.least..=table.columns.len()).contains(&values.len()) || has_number != row.is_some() {
        return None;
    }
    let fits = |(column, value): (u8, &Value)| match value {
        Value::Null => column == b'n' || column.is_ascii_uppercase(),
        Value::Integer(_) => column.eq_ignore_ascii_case(&b'i'),
        Value::Text(_) => column.eq_ignore_ascii_case(&b't'),
        Value::Blob(_) => column.eq_ignore_ascii_case(&b'b'),
        Value::Real(_) => false,
    };
    if !table.columns.bytes().zip(&values).all(fits) {
        return None;
    }
    if let Some(row) = row {
        values[0] = Value::Integer(row);
    }
    Some(values)
}

/// No row of a store is longer.
const MOST_OCTETS: usize = 64 << 20;
