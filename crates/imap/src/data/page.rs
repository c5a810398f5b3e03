//! A page of results (RFC 9394)

use crate::UidSet;
use std::fmt;
use std::num::NonZeroU32;

/// A range of results by their place: `1:500` from the start, `-1:-100` from the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Page {
    from_end: bool,
    first: NonZeroU32,
    last: NonZeroU32,
}

impl Page {
    /// The results from place `first` to place `last`, 1 being the first one.
    pub fn from_start(first: NonZeroU32, last: NonZeroU32) -> Self {
        Self {
            from_end: false,
            first,
            last,
        }
    }

    /// The same from the end: 1 is the last one.
    pub fn from_end(first: NonZeroU32, last: NonZeroU32) -> Self {
        Self {
            from_end: true,
            first,
            last,
        }
    }

    /// The members of `set` that are on the page.
    pub fn of(self, set: &UidSet) -> UidSet {
        let (first, last) = (
            u64::from(self.first.min(self.last).get()),
            u64::from(self.first.max(self.last).get()),
        );
        match (self.from_end, set.len()) {
            (_, len) if first > len => UidSet::new(),
            (false, len) => set.places(first - 1..last.min(len)),
            (true, len) => set.places(len - last.min(len)..len - (first - 1)),
        }
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.from_end { "-" } else { "" };
        write!(f, "{sign}{}:{sign}{}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_a_set_with_gaps() {
        let set = UidSet::from_ranges([3..=5, 9..=9, 20..=29]);
        let n = |n| NonZeroU32::new(n).unwrap();
        for (page, want) in [
            (Page::from_start(n(1), n(2)), "3:4"),
            (Page::from_start(n(3), n(5)), "5,9,20"),
            (Page::from_start(n(5), n(3)), "5,9,20"),
            (Page::from_start(n(14), n(900)), "29"),
            (Page::from_start(n(15), n(16)), ""),
            (Page::from_end(n(1), n(3)), "27:29"),
            (Page::from_end(n(11), n(100)), "3:5,9"),
            (Page::from_end(n(15), n(16)), ""),
            (Page::from_end(n(1), n(u32::MAX)), "3:5,9,20:29"),
        ] {
            assert_eq!(page.of(&set).to_string(), want, "{page}");
        }
        assert_eq!(Page::from_end(n(1), n(30)).to_string(), "-1:-30");
    }
}
