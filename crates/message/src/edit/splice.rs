//! What an edited message is made of: ranges of the original, and octets between them

use std::ops::Range;

use bytes::Bytes;

use super::Error;

/// A piece of an edited message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // octets are either kept or put in
pub enum Segment {
    /// Octets of the original message, by offset.
    Original(Range<u64>),
    /// Octets that were put in.
    Inserted(Bytes),
}

impl Segment {
    /// Its length in octets.
    pub fn len(&self) -> u64 {
        match self {
            Self::Original(range) => range.end - range.start,
            Self::Inserted(octets) => octets.len() as u64,
        }
    }

    /// Whether it has no octets; segments of an [`Edited`] all have some.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An edited message: its segments in order. Ranges of the original come in rising order and never overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    segments: Vec<Segment>,
}

impl Edited {
    /// The segments.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The size of the edited message in octets.
    pub fn octets(&self) -> u64 {
        self.segments.iter().map(Segment::len).sum()
    }

    /// The edited message as slices of the original and of what was put in. Ranges that are not in `message`, which
    /// must be what was edited, are empty.
    pub fn slices<'a>(&'a self, message: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.segments.iter().map(move |segment| match segment {
            Segment::Original(range) => usize_range(range)
                .and_then(|range| message.get(range))
                .unwrap_or_default(),
            Segment::Inserted(octets) => octets,
        })
    }

    /// The edited message as a rope that shares the octets of the original. As [`Edited::slices`].
    pub fn chunks(&self, message: &Bytes) -> Vec<Bytes> {
        let chunk = |segment: &Segment| match segment {
            Segment::Original(range) => usize_range(range)
                .filter(|range| range.end <= message.len())
                .map_or_else(Bytes::new, |range| message.slice(range)),
            Segment::Inserted(octets) => octets.clone(),
        };
        self.segments.iter().map(chunk).collect()
    }

    /// The edited message in one piece. As [`Edited::slices`].
    pub fn to_vec(&self, message: &[u8]) -> Vec<u8> {
        self.slices(message).collect::<Vec<_>>().concat()
    }
}

fn usize_range(range: &Range<u64>) -> Option<Range<usize>> {
    Some(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}

/// Where an insertion stands among others at the same offset. Variants are in their order in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    /// At the header or the front of the body of a part of this depth: of outer parts first.
    Start(u16, Start),
    /// Behind the body of a part of this depth: of inner parts first.
    Close(std::cmp::Reverse<u16>),
    /// Takes the place of octets.
    Replace,
}

/// What is put at the start of a part, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Start {
    /// A part before it.
    Part,
    /// Ends a last line that has no line end.
    LineEnd,
    /// A field; those that were put on top count down.
    Field(i64),
    /// Ends a header.
    Blank,
    /// Stands before the body.
    Open,
}

#[derive(Debug, Clone)]
struct Edit {
    range: Range<u64>,
    slot: Slot,
    octets: Bytes,
}

/// The edits so far, in any order.
#[derive(Debug, Clone, Default)]
pub(super) struct Splices(Vec<Edit>);

impl Splices {
    pub(super) fn insert(&mut self, at: u64, slot: Slot, octets: impl Into<Bytes>) {
        self.0.push(Edit {
            range: at..at,
            slot,
            octets: octets.into(),
        });
    }

    pub(super) fn replace(&mut self, range: Range<u64>, octets: impl Into<Bytes>) {
        self.0.push(Edit {
            range,
            slot: Slot::Replace,
            octets: octets.into(),
        });
    }

    pub(super) fn finish(mut self, message: u64) -> Result<Edited, Error> {
        // Stable: of equal slots, what was put in first stands first.
        self.0.sort_by_key(|edit| (edit.range.start, edit.slot));
        let mut segments = Vec::with_capacity(self.0.len() * 2 + 1);
        let mut at = 0;
        for edit in self.0 {
            if edit.range.start < at {
                return Err(Error::Conflict(edit.range.start));
            }
            if edit.range.start > at {
                push(&mut segments, at..edit.range.start);
            }
            at = edit.range.end;
            if !edit.octets.is_empty() {
                segments.push(Segment::Inserted(edit.octets));
            }
        }
        if at < message {
            push(&mut segments, at..message);
        }
        Ok(Edited { segments })
    }
}

fn push(segments: &mut Vec<Segment>, range: Range<u64>) {
    match segments.last_mut() {
        Some(Segment::Original(last)) if last.end == range.start => last.end = range.end,
        _ => segments.push(Segment::Original(range)),
    }
}
