//! Makes the stored form of an index out of what its builder found

use bytes::Bytes;

use super::build::Draft;
use super::format::KIND_MESSAGE;
use super::format::{BODY, DEFECT, DEPTH, HEAD, KIND, PART, RECORD, Table, set_u32};
use super::record::{Bounds, Scratch, Values};
use crate::{Defect, DefectKind};

/// The octets of an index, and where its tables start.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    pub(super) bytes: Bytes,
    pub(super) fields_at: usize,
    pub(super) defects_at: usize,
    pub(super) records_at: usize,
}

impl Draft {
    /// The values that were kept of a part.
    pub(super) fn values_of(&self, place: usize) -> Values<'_> {
        let from = |place: usize| {
            let entry = self
                .parts
                .get(HEAD + place * PART..)
                .filter(|entry| !entry.is_empty());
            entry.map_or(self.values.len(), |entry| Table(entry).u32(RECORD) as usize)
        };
        Values::read(self.values.get(from(place)..from(place + 1)).unwrap_or_default())
    }

    /// Reads the values and writes the records.
    pub(super) fn compile(&self) -> Whole {
        let mut parts = self.parts.clone();
        let mut records = Vec::with_capacity(self.values.len() + self.values.len() / 2 + 64);
        let mut defects = self.defects.clone();
        let mut scratch = Scratch::default();
        let mut before = None;
        let mut told_text = defects
            .iter()
            .any(|defect| defect.kind == DefectKind::TooMuchText);
        let count = (parts.len() - HEAD) / PART;
        for place in 0..count {
            let entry = |place: usize| Table(&self.parts[HEAD + place * PART..]);
            let (kind, depth) = (entry(place).u8(KIND), entry(place).u16(DEPTH));
            let is_message_root = before.is_none_or(|before| before == (KIND_MESSAGE, depth.wrapping_sub(1)));
            before = Some((kind, depth));
            let mut bounds = Bounds {
                max_addresses: self.bounds.max_addresses as usize,
                max_parameters: self.bounds.max_parameters as usize,
                text: (self.bounds.max_text_octets as usize).saturating_sub(records.len()),
                cut: Vec::new(),
            };
            set_u32(records.len() as u32, HEAD + place * PART + RECORD, &mut parts);
            self.values_of(place)
                .write(kind, is_message_root, &mut bounds, &mut scratch, &mut records);
            for kind in bounds.cut {
                let first = !defects.iter().any(|defect| defect.kind == kind);
                let repeated = kind == DefectKind::TooMuchText && std::mem::replace(&mut told_text, true);
                if !repeated && (first || defects.len() < self.bounds.max_defects as usize) {
                    defects.push(Defect::new(kind, entry(place).u48(BODY)));
                }
            }
        }
        set_u32(defects.len() as u32, 12, &mut parts);
        let fields_at = parts.len();
        let defects_at = fields_at + self.fields.len();
        let records_at = defects_at + defects.len() * DEFECT;
        let mut bytes = parts;
        bytes.reserve_exact(records_at + records.len() - fields_at);
        bytes.extend_from_slice(&self.fields);
        for defect in &defects {
            bytes.push(defect.kind as u8);
            bytes.extend_from_slice(&defect.offset.to_le_bytes());
        }
        bytes.extend_from_slice(&records);
        Whole {
            bytes: Bytes::from(bytes),
            fields_at,
            defects_at,
            records_at,
        }
    }
}
