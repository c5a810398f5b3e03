//! Sets of UIDs (RFC 9051 §9 `sequence-set`, without its syntax)

use core::{fmt, ops::RangeInclusive};

use crate::Uid;

/// A set of UIDs, kept as ranges in ascending order.
///
/// Ranges never touch or overlap, so two sets with the same members are equal, and a set takes memory for its
/// gaps, not for its members.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct UidSet {
    ranges: Vec<(u32, u32)>,
}

impl UidSet {
    /// Returns the empty set.
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// Returns the set of all UIDs.
    pub fn all() -> Self {
        Self {
            ranges: vec![(1, u32::MAX)],
        }
    }

    /// Tells whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Counts the members.
    pub fn len(&self) -> u64 {
        self.ranges
            .iter()
            .map(|&(first, last)| u64::from(last - first) + 1)
            .sum()
    }

    /// Returns the lowest member.
    pub fn first(&self) -> Option<Uid> {
        self.ranges.first().and_then(|&(first, _)| Uid::new(first))
    }

    /// Returns the highest member.
    pub fn last(&self) -> Option<Uid> {
        self.ranges.last().and_then(|&(_, last)| Uid::new(last))
    }

    /// Tells whether a UID is a member.
    pub fn contains(&self, uid: Uid) -> bool {
        let at = self.ranges.partition_point(|&(_, last)| last < uid.value());
        self.ranges
            .get(at)
            .is_some_and(|&(first, _)| first <= uid.value())
    }

    /// Iterates over the ranges, ascending; both ends are members.
    pub fn ranges(
        &self,
    ) -> impl DoubleEndedIterator<Item = RangeInclusive<Uid>> + ExactSizeIterator + Clone + '_ {
        self.ranges.iter().map(|&(first, last)| uid(first)..=uid(last))
    }

    /// Iterates over the members, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Uid> + Clone + '_ {
        self.ranges
            .iter()
            .flat_map(|&(first, last)| first..=last)
            .map(uid)
    }

    /// Adds one UID.
    pub fn insert(&mut self, uid: Uid) {
        self.insert_range(uid, uid);
    }

    /// Adds all UIDs from `first` to `last`, in whichever order the two are given (RFC 9051 §9: `2:4` and `4:2`
    /// are the same).
    pub fn insert_range(&mut self, first: Uid, last: Uid) {
        let (first, last) = (first.min(last).value(), first.max(last).value());
        // Members mostly come in ascending order: the end is looked at before the middle.
        match self.ranges.last_mut() {
            None => return self.ranges.push((first, last)),
            Some(end) if end.1 < first => {
                if end.1 + 1 == first {
                    end.1 = last;
                } else {
                    self.ranges.push((first, last));
                }
                return;
            }
            Some(_) => {}
        }
        let from = self
            .ranges
            .partition_point(|range| range.1.saturating_add(1) < first);
        let to = self
            .ranges
            .partition_point(|range| range.0 <= last.saturating_add(1));
        let mut merged = (first, last);
        if let Some(touched) = self.ranges.get(from..to).filter(|touched| !touched.is_empty()) {
            merged.0 = merged.0.min(touched[0].0);
            merged.1 = merged.1.max(touched[touched.len() - 1].1);
        }
        self.ranges.splice(from..to.max(from), [merged]);
    }

    /// Takes one UID out; tells whether it was a member.
    pub fn remove(&mut self, uid: Uid) -> bool {
        let uid = uid.value();
        let at = self.ranges.partition_point(|&(_, last)| last < uid);
        let Some(&(first, last)) = self.ranges.get(at).filter(|&&(first, _)| first <= uid) else {
            return false;
        };
        let left = (first < uid).then(|| (first, uid - 1));
        let right = (uid < last).then(|| (uid + 1, last));
        self.ranges.splice(at..=at, left.into_iter().chain(right));
        true
    }

    /// Returns the members that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut a, mut b) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        let mut ranges = Vec::new();
        while let (Some(&&x), Some(&&y)) = (a.peek(), b.peek()) {
            let (first, last) = (x.0.max(y.0), x.1.min(y.1));
            if first <= last {
                ranges.push((first, last));
            }
            if x.1 <= y.1 {
                a.next()
            } else {
                b.next()
            };
        }
        Self { ranges }
    }

    /// Returns the members that are in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let (mut a, mut b) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        let mut result = Self::new();
        while let Some(&(first, last)) = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) if x.0 <= y.0 => a.next(),
            (Some(_), None) => a.next(),
            (_, _) => b.next(),
        } {
            result.insert_range(uid(first), uid(last));
        }
        result
    }

    /// Returns the members of this set that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut gaps = Self::new();
        let mut from = 1;
        for &(first, last) in &other.ranges {
            if from < first {
                gaps.ranges.push((from, first - 1));
            }
            match last.checked_add(1) {
                Some(next) => from = next,
                None => return self.intersection(&gaps),
            }
        }
        gaps.ranges.push((from, u32::MAX));
        self.intersection(&gaps)
    }
}

fn uid(value: u32) -> Uid {
    Uid::new(value).expect("a set holds what was put in, and 0 is no Uid")
}

impl From<Uid> for UidSet {
    fn from(uid: Uid) -> Self {
        Self {
            ranges: vec![(uid.value(), uid.value())],
        }
    }
}

impl From<RangeInclusive<Uid>> for UidSet {
    /// The UIDs of the range, whichever way round it is written.
    fn from(range: RangeInclusive<Uid>) -> Self {
        let mut set = Self::new();
        set.insert_range(*range.start(), *range.end());
        set
    }
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> Self {
        let mut set = Self::new();
        set.extend(uids);
        set
    }
}

impl Extend<Uid> for UidSet {
    fn extend<I: IntoIterator<Item = Uid>>(&mut self, uids: I) {
        uids.into_iter().for_each(|uid| self.insert(uid));
    }
}

impl fmt::Display for UidSet {
    /// Prints the set as `1:3,7`; the empty set prints nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, &(first, last)) in self.ranges.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "," })?;
            match first == last {
                true => write!(f, "{first}")?,
                false => write!(f, "{first}:{last}")?,
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
