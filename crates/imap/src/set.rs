//! Sequence sets and UID sets (RFC 3501 §9 `sequence-set`, RFC 4315 §4 `uid-set`)

use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

/// A message number or UID as a client writes it: a number, or `*` for the largest one in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // the grammar's `seq-number` has these two forms
pub enum SeqNumber {
    /// A number.
    Number(NonZeroU32),
    /// `*`.
    Last,
}

impl SeqNumber {
    fn or(self, last: u32) -> u32 {
        match self {
            Self::Number(n) => n.get(),
            Self::Last => last,
        }
    }
}

impl fmt::Display for SeqNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => n.fmt(f),
            Self::Last => f.write_str("*"),
        }
    }
}

/// A `sequence-set` as a client sent it: unresolved, in its own order, overlaps and all.
///
/// Ranges stay ranges: `1:4294967295` takes eight octets. A set can also be [`saved`](Self::saved), `$`: what the
/// last SEARCH with SAVE found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SequenceSet(Vec<(SeqNumber, SeqNumber)>);

impl SequenceSet {
    /// Makes a set of ranges; `None` if there is none, for the grammar has no empty set.
    pub fn new(ranges: Vec<(SeqNumber, SeqNumber)>) -> Option<Self> {
        (!ranges.is_empty()).then_some(Self(ranges))
    }

    /// `$`: what the last SEARCH with SAVE found (RFC 5182). It has no ranges of its own.
    pub const fn saved() -> Self {
        Self(Vec::new())
    }

    /// Whether this is `$`.
    pub fn is_saved(&self) -> bool {
        self.0.is_empty()
    }

    /// Parses a whole sequence set such as `2,4:7,9,12:*` or `$`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text == b"$" {
            return Some(Self::saved());
        }
        let mut ranges = Vec::with_capacity(1 + memchr::memchr_iter(b',', text).count());
        let mut at = 0;
        loop {
            let from = parse_number(text, &mut at)?;
            let mut to = from;
            if text.get(at) == Some(&b':') {
                at += 1;
                to = parse_number(text, &mut at)?;
            }
            ranges.push((from, to));
            match text.get(at) {
                None => return Some(Self(ranges)),
                Some(b',') => at += 1,
                Some(_) => return None,
            }
        }
    }

    /// The ranges in the order they were written. Either end may be the larger one.
    pub fn ranges(&self) -> impl Iterator<Item = (SeqNumber, SeqNumber)> + '_ {
        self.0.iter().copied()
    }

    /// The ranges with `*` replaced by `last` and the smaller end first.
    pub(crate) fn bounded(&self, last: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.0.iter().map(move |&(a, b)| {
            let (a, b) = (a.or(last), b.or(last));
            (a.min(b), a.max(b))
        })
    }
}

impl From<SeqNumber> for SequenceSet {
    fn from(number: SeqNumber) -> Self {
        Self(vec![(number, number)])
    }
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_saved() {
            return f.write_str("$");
        }
        for (i, (from, to)) in self.ranges().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            from.fmt(f)?;
            if from != to {
                write!(f, ":{to}")?;
            }
        }
        Ok(())
    }
}

/// Parses the number or `*` at `at`, and moves behind it.
fn parse_number(text: &[u8], at: &mut usize) -> Option<SeqNumber> {
    if text.get(*at) == Some(&b'*') {
        *at += 1;
        return Some(SeqNumber::Last);
    }
    let mut n = 0u32;
    while let Some(b @ b'0'..=b'9') = text.get(*at) {
        n = n.checked_mul(10)?.checked_add(u32::from(b - b'0'))?;
        *at += 1;
    }
    NonZeroU32::new(n).map(SeqNumber::Number)
}

/// A set of UIDs as sorted ranges that neither overlap nor touch.
///
/// What is stored is proportional to the number of gaps, never to the number of UIDs, so a set that a peer
/// chose can be `1:4294967295` without costing anything. 0 is not a UID and is never in the set.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct UidSet(Vec<(u32, u32)>);

impl UidSet {
    /// Makes an empty set; allocates nothing.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Makes a set from ranges in any order, with overlaps or without. Empty ranges and 0 are left out.
    pub fn from_ranges(ranges: impl IntoIterator<Item = RangeInclusive<u32>>) -> Self {
        let mut list: Vec<_> = ranges
            .into_iter()
            .map(|r| ((*r.start()).max(1), *r.end()))
            .filter(|(a, b)| a <= b)
            .collect();
        list.sort_unstable();
        list.dedup_by(|next, kept| {
            let joins = next.0 <= kept.1.saturating_add(1);
            if joins {
                kept.1 = kept.1.max(next.1);
            }
            joins
        });
        Self(list)
    }

    /// Adds one UID. Adding in ascending order takes constant time.
    pub fn insert(&mut self, uid: u32) {
        self.insert_range(uid..=uid);
    }

    /// Adds a range of UIDs. Adding in ascending order takes constant time.
    pub fn insert_range(&mut self, range: RangeInclusive<u32>) {
        let (from, to) = ((*range.start()).max(1), *range.end());
        if from > to {
            return;
        }
        match self.0.last_mut() {
            None => self.0.push((from, to)),
            Some(last) if from > last.1.saturating_add(1) => self.0.push((from, to)),
            Some(last) if from >= last.0 => last.1 = last.1.max(to),
            Some(_) => {
                let start = self.0.partition_point(|r| r.1.saturating_add(1) < from);
                let end = self.0.partition_point(|r| r.0 <= to.saturating_add(1));
                let joined = self.0[start..end]
                    .iter()
                    .fold((from, to), |(a, b), r| (a.min(r.0), b.max(r.1)));
                self.0.splice(start..end, [joined]);
            }
        }
    }

    /// Whether `uid` is in the set.
    pub fn contains(&self, uid: u32) -> bool {
        let at = self.0.partition_point(|r| r.1 < uid);
        self.0.get(at).is_some_and(|r| r.0 <= uid)
    }

    /// The ranges in ascending order.
    pub fn ranges(&self) -> impl DoubleEndedIterator<Item = RangeInclusive<u32>> + ExactSizeIterator + '_ {
        self.0.iter().map(|&(a, b)| a..=b)
    }

    /// Each UID in ascending order. Do not walk a set that a peer chose: use [`ranges`](UidSet::ranges).
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.0.iter().flat_map(|&(a, b)| a..=b)
    }

    /// How many UIDs are in the set.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|&(a, b)| u64::from(b - a) + 1).sum()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The smallest UID.
    pub fn first(&self) -> Option<u32> {
        self.0.first().map(|r| r.0)
    }

    /// The largest UID.
    pub fn last(&self) -> Option<u32> {
        self.0.last().map(|r| r.1)
    }

    /// The UIDs that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut i, mut j, mut out) = (0, 0, Vec::new());
        while let (Some(&a), Some(&b)) = (self.0.get(i), other.0.get(j)) {
            let (from, to) = (a.0.max(b.0), a.1.min(b.1));
            if from <= to {
                out.push((from, to));
            }
            if a.1 < b.1 { i += 1 } else { j += 1 }
        }
        Self(out)
    }

    /// The UIDs of this set that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let (mut j, mut out) = (0, Vec::new());
        for &(mut from, to) in &self.0 {
            while other.0.get(j).is_some_and(|r| r.1 < from) {
                j += 1;
            }
            let mut k = j;
            while let Some(&(a, b)) = other.0.get(k).filter(|r| r.0 <= to) {
                if a > from {
                    out.push((from, a - 1));
                }
                match b.checked_add(1) {
                    Some(next) if next <= to => from = next,
                    _ => {
                        from = 0;
                        break;
                    }
                }
                k += 1;
            }
            if from != 0 {
                out.push((from, to));
            }
        }
        Self(out)
    }

    /// The members from one place to another, in ascending order, 0 being the smallest. Places behind the end
    /// are left out.
    #[must_use]
    pub fn places(&self, places: std::ops::Range<u64>) -> Self {
        let (mut at, mut out) = (0, Vec::new());
        for &(from, to) in &self.0 {
            let len = u64::from(to - from) + 1;
            let (start, end) = (places.start.max(at), places.end.min(at + len));
            if start < end {
                // Both are within the range, whose length fits.
                out.push((from + (start - at) as u32, from + (end - 1 - at) as u32));
            }
            at += len;
            if at >= places.end {
                break;
            }
        }
        Self(out)
    }

    /// The UIDs that are in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::from_ranges(self.ranges().chain(other.ranges()))
    }
}

impl FromIterator<u32> for UidSet {
    fn from_iter<I: IntoIterator<Item = u32>>(uids: I) -> Self {
        let mut set = Self::new();
        set.extend(uids);
        set
    }
}

impl Extend<u32> for UidSet {
    fn extend<I: IntoIterator<Item = u32>>(&mut self, uids: I) {
        for uid in uids {
            self.insert(uid);
        }
    }
}

impl From<RangeInclusive<u32>> for UidSet {
    fn from(range: RangeInclusive<u32>) -> Self {
        Self::from_ranges([range])
    }
}

impl From<NonZeroU32> for UidSet {
    fn from(uid: NonZeroU32) -> Self {
        Self(vec![(uid.get(), uid.get())])
    }
}

impl fmt::Display for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, &(from, to)) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            if from == to {
                write!(f, "{from}")?;
            } else {
                write!(f, "{from}:{to}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UidSet({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn sequence_sets_print_as_they_were_written() {
        for text in ["1", "*", "$", "2,4:7,9,12:*", "*:4,5:7", "4294967295", "7:3"] {
            assert_eq!(SequenceSet::parse(text.as_bytes()).unwrap().to_string(), text);
        }
        for text in [
            "",
            "0",
            "1,",
            ",1",
            "1:",
            ":1",
            "1:2:3",
            "a",
            "4294967296",
            "-1",
            "1,,2",
            "+1",
            "**",
        ] {
            assert_eq!(SequenceSet::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_largest_set_is_small() {
        let all = UidSet::from(1..=u32::MAX);
        assert_eq!((all.len(), all.0.len()), (u64::from(u32::MAX), 1));
        assert_eq!(
            all.difference(&UidSet::from(u32::MAX..=u32::MAX)).last(),
            Some(u32::MAX - 1)
        );
        assert!(all.difference(&all).is_empty());
    }

    fn set() -> impl Strategy<Value = (UidSet, BTreeSet<u32>)> {
        proptest::collection::vec((1u32..60, 0u32..6), 0..12).prop_map(|ranges| {
            let mut set = UidSet::new();
            let mut model = BTreeSet::new();
            for (from, len) in ranges {
                set.insert_range(from..=from + len);
                model.extend(from..=from + len);
            }
            (set, model)
        })
    }

    proptest! {
        #[test]
        fn sets_agree_with_a_plain_model((a, ma) in set(), (b, mb) in set()) {
            let list = |s: &UidSet| s.iter().collect::<BTreeSet<_>>();
            prop_assert_eq!(list(&a), ma.clone());
            prop_assert_eq!(list(&a.union(&b)), &ma | &mb);
            prop_assert_eq!(list(&a.intersection(&b)), &ma & &mb);
            prop_assert_eq!(list(&a.difference(&b)), &ma - &mb);
            prop_assert_eq!(a.len(), ma.len() as u64);
            for uid in 0..70 {
                prop_assert_eq!(a.contains(uid), ma.contains(&uid));
            }
            for pair in a.0.windows(2) {
                prop_assert!(pair[0].1 + 1 < pair[1].0, "ranges touch: {:?}", a);
            }
            prop_assert_eq!(UidSet::from_iter(ma.iter().rev().copied()), a);
        }
    }
}
