//! MAPI properties (MS-OXTNEF §2.1.3.3, MS-OXCDATA §2.11.1)

use super::Reader;
use crate::charset::Charset;

/// A property; of several values the first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Property<'a> {
    pub(super) id: u16,
    kind: u16,
    value: &'a [u8],
}

const OBJECT: u16 = 0x000d;
const STRING8: u16 = 0x001e;
const UNICODE: u16 = 0x001f;
const BINARY: u16 = 0x0102;
const MULTIPLE: u16 = 0x1000;

impl<'a> Property<'a> {
    /// The value of a property that is text; `charset` is that of the stream.
    pub(super) fn text(&self, charset: Charset) -> Option<String> {
        let text = match self.kind {
            STRING8 => charset.decode(self.value),
            UNICODE => Charset::find(b"utf-16le")?.decode(self.value),
            _ => return None,
        };
        Some(text.trim_end_matches('\0').to_owned())
    }

    pub(super) fn octets(&self) -> Option<&'a [u8]> {
        matches!(self.kind, BINARY | OBJECT).then_some(self.value)
    }

    pub(super) fn is_object(&self) -> bool {
        self.kind == OBJECT
    }
}

/// Walks properties; `None` is the last item where they are damaged.
pub(super) fn properties(data: &[u8]) -> impl Iterator<Item = Option<Property<'_>>> {
    let mut reader = Reader { input: data, at: 0 };
    let mut left = reader.u32().unwrap_or(0);
    std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        let property = read(&mut reader);
        if property.is_none() {
            left = 0;
        }
        Some(property)
    })
}

fn read<'a>(reader: &mut Reader<'a>) -> Option<Property<'a>> {
    let kind = reader.u16()?;
    let id = reader.u16()?;
    if id >= 0x8000 {
        // The name of a property: a number, or text.
        reader.take(16)?;
        if reader.u32()? == 0 {
            reader.u32()?;
        } else {
            padded(reader)?;
        }
    }
    let base = kind & !MULTIPLE;
    let is_variable = matches!(base, OBJECT | STRING8 | UNICODE | BINARY);
    let count = if kind & MULTIPLE != 0 || is_variable {
        reader.u32()?
    } else {
        1
    };
    let size: usize = match base {
        // A short one is padded to four octets.
        0x0000 | 0x0001 => 0,
        0x0002 | 0x0003 | 0x0004 | 0x000a | 0x000b => 4,
        0x0005 | 0x0006 | 0x0007 | 0x0014 | 0x0040 => 8,
        0x0048 => 16,
        _ if is_variable => 0,
        _ => return None,
    };
    let mut value: Option<&[u8]> = None;
    if is_variable {
        for _ in 0..count {
            let item = padded(reader)?;
            value.get_or_insert(item);
        }
    } else {
        let all = reader.take(size.checked_mul(usize::try_from(count).ok()?)?)?;
        value = Some(&all[..size.min(all.len())]);
    }
    Some(Property {
        id,
        kind: base,
        value: value.unwrap_or_default(),
    })
}

/// Octets behind their length, filled up to a multiple of four.
fn padded<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let len = reader.u32()? as usize;
    let octets = reader.take(len)?;
    // The last one of a stream may lack what fills it up.
    let fill = len.next_multiple_of(4) - len;
    reader.at = (reader.at + fill).min(reader.input.len());
    Some(octets)
}
