//! The parts that are open, and their boundaries

use super::{DefaultType, Mode, Nature, Scanner, Visitor};
use crate::{Defect, DefectKind};

/// An open part.
#[derive(Debug, Clone, Default)]
pub(super) struct Level {
    pub(super) boundary: Boundary,
    pub(super) digest: bool,
    pub(super) has_parts: bool,
    pub(super) is_multipart: bool,
    pub(super) is_leaf: bool,
    /// Whether lines are counted while this is the innermost part.
    pub(super) counts: bool,
    /// Whether they are because of what is around it.
    pub(super) counts_within: bool,
    /// Whether the lines of the body were counted from its start.
    pub(super) counted: bool,
    pub(super) body: u64,
    /// Line ends before the body.
    pub(super) line_ends: u64,
}

/// What delimits the parts of a multipart; empty where there is nothing to look for.
#[derive(Debug, Clone, Default)]
pub(super) enum Boundary {
    #[default]
    None,
    /// As long as RFC 2046 §5.1.1 has it at most.
    Short(u8, [u8; SHORT]),
    Long(Box<[u8]>),
}

const SHORT: usize = 70;

impl Boundary {
    pub(super) fn new(octets: &[u8]) -> Self {
        if octets.len() > SHORT {
            return Self::Long(octets.into());
        }
        let mut short = [0; SHORT];
        short[..octets.len()].copy_from_slice(octets);
        Self::Short(octets.len() as u8, short)
    }

    pub(super) fn octets(&self) -> Option<&[u8]> {
        match self {
            Self::None => None,
            Self::Short(len, octets) => octets.get(..usize::from(*len)),
            Self::Long(octets) => Some(octets),
        }
    }

    pub(super) fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }
}

/// A stack of which the first few need no memory of their own: most messages are not nested deeper.
#[derive(Debug, Default)]
pub(super) struct Levels {
    few: [Level; FEW],
    more: Vec<Level>,
    len: usize,
}

const FEW: usize = 4;

impl Levels {
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, level: Level) {
        match self.few.get_mut(self.len) {
            Some(place) => *place = level,
            None => self.more.push(level),
        }
        self.len += 1;
    }

    pub(super) fn pop(&mut self) -> Option<Level> {
        self.len = self.len.checked_sub(1)?;
        match self.few.get_mut(self.len) {
            Some(place) => Some(std::mem::take(place)),
            None => self.more.pop(),
        }
    }

    pub(super) fn get(&self, at: usize) -> Option<&Level> {
        match at {
            _ if at >= self.len => None,
            _ if at < FEW => Some(&self.few[at]),
            _ => self.more.get(at - FEW),
        }
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Level> {
        match at {
            _ if at >= self.len => None,
            _ if at < FEW => Some(&mut self.few[at]),
            _ => self.more.get_mut(at - FEW),
        }
    }

    pub(super) fn last(&self) -> Option<&Level> {
        self.get(self.len.checked_sub(1)?)
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut Level> {
        self.get_mut(self.len.checked_sub(1)?)
    }

    /// From the innermost outwards, with their places.
    pub(super) fn inside_out(&self) -> impl Iterator<Item = (usize, &Level)> {
        let few = self.few[..self.len.min(FEW)].iter().enumerate().rev();
        let more = self.more.iter().enumerate().rev();
        more.map(|(at, level)| (at + FEW, level)).chain(few)
    }

    /// No boundary is looked for any more.
    pub(super) fn forget_boundaries(&mut self) {
        for level in self.few.iter_mut().chain(&mut self.more) {
            level.boundary = Boundary::None;
        }
    }
}

impl Scanner {
    pub(super) fn begin<V: Visitor>(&mut self, at: u64, visitor: &mut V) {
        let within = self.all_lines || self.levels.last().is_some_and(|level| level.counts_within);
        self.levels.push(Level {
            body: at,
            line_ends: self.line_ends,
            counts: within,
            counts_within: within,
            counted: within,
            ..Level::default()
        });
        self.counts = within;
        self.parts += 1;
        self.field.seen_any = false;
        self.field.stray = None;
        self.announced = None;
        self.mode = Mode::Header;
        visitor.part(at);
    }

    /// Ends the innermost part. `line_ends` were counted before `end`; `line_ended`: the last octet before it is one.
    pub(super) fn end_level<V: Visitor>(
        &mut self,
        end: u64,
        line_ended: bool,
        line_ends: u64,
        visitor: &mut V,
    ) {
        let Some(level) = self.levels.pop() else { return };
        let end = end.max(level.body);
        let lines = level.counted.then_some(match end > level.body {
            true => line_ends.saturating_sub(level.line_ends) + u64::from(!line_ended),
            false => 0,
        });
        if level.boundary.is_some() {
            self.boundaries -= 1;
        }
        if level.is_multipart && !level.has_parts {
            if level.boundary.is_some() {
                visitor.defect(Defect::new(DefectKind::NoParts, level.body));
            }
            let nature = Nature::Leaf {
                default: DefaultType::Text,
                is_text: true,
            };
            visitor.part(level.body);
            visitor.body(level.body, nature);
            visitor.end(end, lines);
        } else if level.boundary.is_some() {
            visitor.defect(Defect::new(DefectKind::UnclosedMultipart, end));
        }
        visitor.end(end, lines);
        self.counts = self.levels.last().is_some_and(|level| level.counts);
    }
}
