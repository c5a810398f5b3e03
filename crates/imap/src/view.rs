//! One session's view of a mailbox: sequence numbers, and what may be told when (RFC 3501 §7.4.1, RFC 2180,
//! RFC 9051 §7.5.1, RFC 7162 §3.2.10)

use crate::{Flags, SequenceSet, UidSet};
use std::collections::{BTreeMap, VecDeque};

/// A change of the mailbox, by whomever.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Messages came.
    Appended(UidSet),
    /// A message has these flags.
    Flags {
        /// The message.
        uid: u32,
        /// All its flags.
        flags: Flags,
        /// The mod-sequence of this change, if there are any (RFC 7162).
        mod_seq: Option<u64>,
    },
    /// Messages are gone.
    Expunged(UidSet),
    /// All changes up to this mod-sequence were given (RFC 7162). The client may be told so only when it has heard
    /// of all of them.
    UpTo(u64),
}

/// The map between sequence numbers and UIDs of one session, and the changes it has not been told yet.
///
/// A session's sequence numbers must not move under its feet: another session's EXPUNGE may be told only at
/// certain moments, and until then the expunged message keeps its number. So changes go in at any time, with
/// [`change`](View::change), and come out with [`updates`](View::updates) when the protocol lets them.
/// Changes may be repeated, and may come late: what is known already is not told again.
///
/// ```
/// use mailwright_imap::{Change, Update, UidSet, View, When};
///
/// let mut view = View::new(UidSet::from(10..=13), None);
/// view.change(Change::Expunged(UidSet::from(11..=12)));
/// view.change(Change::Appended(UidSet::from(14..=14)));
///
/// // During FETCH, only the message that came may be told; 11 and 12 keep their numbers.
/// assert_eq!(view.updates(When::DuringFetch).collect::<Vec<_>>(), [Update::Exists(5)]);
/// assert_eq!((view.uid(2), view.uid(4)), (Some(11), Some(13)));
///
/// // Afterwards the rest: both had number 2 when it was their turn.
/// let told: Vec<_> = view.updates(When::Anything).collect();
/// assert_eq!(told, [Update::Expunge(2), Update::Expunge(2)]);
/// assert_eq!((view.exists(), view.uid(2)), (3, Some(13)));
/// ```
///
/// With [`report_uids`](View::report_uids), messages that are gone are told by their UIDs (`VANISHED`, RFC 7162
/// §3.2.10), at the same moments.
///
/// Memory: 8 octets for each run of consecutive UIDs, so at most 8 for each message.
#[derive(Debug, Clone, Default)]
pub struct View {
    runs: Vec<Run>,
    exists: u32,
    /// UIDs up to here are told, waiting to be told, or gone.
    highest: u32,
    first_recent: Option<u32>,
    appended: UidSet,
    /// Only of messages that were told.
    flags: BTreeMap<u32, (Flags, Option<u64>)>,
    /// The highest mod-sequence whose change is here, and the one up to which everything was told.
    up_to: Option<u64>,
    settled: Option<u64>,
    /// Messages that are gone are told by UID.
    by_uid: bool,
    /// Only messages that were told.
    gone: UidSet,
    /// Expunges that overtook the notice that their message came.
    early: UidSet,
}

/// `uid`, `uid + 1`, ... have the numbers `seq`, `seq + 1`, ... up to the next run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    uid: u32,
    seq: u32,
}

/// What may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // the RFC's two cases
pub enum When {
    /// FETCH, STORE or SEARCH with sequence numbers is being answered: no EXPUNGE.
    DuringFetch,
    /// Any other command is being answered, or the client idles.
    Anything,
}

/// An untagged response that tells a change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Update {
    /// `* seq FETCH (FLAGS ...)`
    Flags {
        /// The sequence number.
        seq: u32,
        /// The UID.
        uid: u32,
        /// All flags of the message.
        flags: Flags,
        /// The mod-sequence of the change.
        mod_seq: Option<u64>,
    },
    /// `* seq EXPUNGE`: all higher numbers fall by one.
    Expunge(u32),
    /// `* VANISHED uids`: as many messages are gone, and the numbers above each fall by one.
    Vanished(UidSet),
    /// `* n EXISTS`
    Exists(u32),
    /// `* n RECENT`
    Recent(u32),
}

/// A set holds a message number that no message has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoSuchMessage;

impl View {
    /// Starts with the messages of a mailbox that is being selected. From `first_recent` on they are
    /// `\Recent` in this session; see [`Selected::first_recent`](crate::Selected::first_recent).
    pub fn new(uids: UidSet, first_recent: Option<u32>) -> Self {
        let mut view = Self {
            first_recent,
            ..Self::default()
        };
        view.grow(&uids);
        view.highest = uids.last().unwrap_or(0);
        view
    }

    /// Takes note of a change.
    pub fn change(&mut self, change: Change) {
        match change {
            Change::Appended(uids) => {
                if self.highest < u32::MAX {
                    let unknown = uids.intersection(&UidSet::from(self.highest + 1..=u32::MAX));
                    self.highest = unknown.last().unwrap_or(self.highest);
                    self.appended = self.appended.union(&unknown.difference(&self.early));
                    self.early = self.early.difference(&UidSet::from(1..=self.highest));
                }
            }
            Change::Flags { uid, flags, mod_seq } => {
                // Of a message that was not told yet the client knows no flags that could be wrong.
                if self.seq(uid).is_some() && !self.gone.contains(uid) {
                    self.flags.insert(uid, (flags, mod_seq));
                }
            }
            Change::UpTo(mod_seq) => {
                self.up_to = self.up_to.max(Some(mod_seq));
                self.settle();
            }
            Change::Expunged(uids) => {
                self.appended = self.appended.difference(&uids);
                self.gone = self.gone.union(&self.told(&uids));
                self.flags.retain(|&uid, _| !uids.contains(uid));
                if uids.last() > Some(self.highest) {
                    let early = uids.intersection(&UidSet::from(self.highest + 1..=u32::MAX));
                    self.early = self.early.union(&early);
                }
            }
        }
    }

    /// Takes out everything that may be told. All of it has to be told, in this order, before the session's
    /// next command is looked at: the view is already what it will be afterwards.
    pub fn updates(&mut self, when: When) -> Updates {
        let mut updates = Updates::default();
        for (uid, (flags, mod_seq)) in std::mem::take(&mut self.flags) {
            let seq = self.seq(uid);
            updates.flags.extend(seq.map(|seq| Update::Flags {
                seq,
                uid,
                flags,
                mod_seq,
            }));
        }
        let recent = self.recent();
        if when == When::Anything && !self.gone.is_empty() {
            if self.by_uid {
                updates.vanished = self.gone.clone();
            }
            let told = self.expunge();
            if !self.by_uid {
                updates.expunges = told;
            }
        }
        if !self.appended.is_empty() {
            let appended = std::mem::take(&mut self.appended);
            self.grow(&appended);
            updates.exists = Some(self.exists);
        }
        if self.recent() != recent {
            updates.recent = Some(self.recent());
        }
        self.settle();
        updates
    }

    /// Forgets a flag change that waits to be told, if it says just this: the client has learnt it otherwise.
    pub fn known(&mut self, uid: u32, flags: &Flags) {
        if self.flags.get(&uid).is_some_and(|(pending, _)| pending == flags) {
            self.flags.remove(&uid);
            self.settle();
        }
    }

    /// The same for a client that follows mod-sequences: it has learnt the flags as of this one.
    pub fn known_at(&mut self, uid: u32, mod_seq: u64) {
        let pending = self.flags.get(&uid);
        if pending.is_some_and(|(_, pending)| pending.is_none_or(|pending| pending <= mod_seq)) {
            self.flags.remove(&uid);
            self.settle();
        }
    }

    /// The messages with flags that wait to be told.
    pub(crate) fn flagged(&self) -> UidSet {
        UidSet::from_ranges(self.flags.keys().map(|&uid| uid..=uid))
    }

    /// From here on, tells messages that are gone by their UIDs: [`Update::Vanished`].
    pub fn report_uids(&mut self) {
        self.by_uid = true;
    }

    /// The mod-sequence up to which the client has been told everything; `None` if there are none. It never
    /// runs ahead of what waits to be told, or a client that comes back with it would miss that.
    pub fn told_up_to(&self) -> Option<u64> {
        self.settled
    }

    fn settle(&mut self) {
        if !self.has_updates(When::Anything) {
            self.settled = self.up_to;
        }
    }

    /// Whether [`updates`](View::updates) has something to tell.
    pub fn has_updates(&self, when: When) -> bool {
        !self.flags.is_empty()
            || !self.appended.is_empty()
            || (when == When::Anything && !self.gone.is_empty())
    }

    /// How many messages the session has been told of.
    pub fn exists(&self) -> u32 {
        self.exists
    }

    /// How many of them are `\Recent`.
    pub fn recent(&self) -> u32 {
        match self.first_recent {
            None => 0,
            Some(first) => {
                let at = self.runs.partition_point(|r| r.uid < first);
                let before = match at.checked_sub(1) {
                    None => 0,
                    Some(i) => {
                        let run = self.runs[i];
                        run.seq - 1 + (first - run.uid).min(self.len_of(i))
                    }
                };
                self.exists - before
            }
        }
    }

    /// Whether the message is `\Recent`.
    pub fn is_recent(&self, uid: u32) -> bool {
        self.first_recent.is_some_and(|first| uid >= first)
    }

    /// The UID of the message with this number.
    pub fn uid(&self, seq: u32) -> Option<u32> {
        if seq == 0 || seq > self.exists {
            return None;
        }
        let run = self.runs[self.runs.partition_point(|r| r.seq <= seq) - 1];
        Some(run.uid + (seq - run.seq))
    }

    /// The number of the message with this UID; `None` if the session does not know it.
    pub fn seq(&self, uid: u32) -> Option<u32> {
        let at = self.runs.partition_point(|r| r.uid <= uid).checked_sub(1)?;
        let run = self.runs[at];
        (uid - run.uid < self.len_of(at)).then(|| run.seq + (uid - run.uid))
    }

    /// The UIDs of all messages the session has been told of.
    pub fn uids(&self) -> UidSet {
        UidSet::from_ranges(self.ranges())
    }

    /// Messages that are gone, but still have their number here.
    pub fn expunged(&self) -> &UidSet {
        &self.gone
    }

    /// The messages that a set of sequence numbers names, some of which may be [`expunged`](View::expunged).
    ///
    /// Cheap for any set: a range of numbers is a range of UIDs. A range that reaches beyond the last message
    /// ends there.
    ///
    /// # Errors
    ///
    /// [`NoSuchMessage`] if a number or the smaller end of a range has no message. `*` names nothing, rather
    /// than something wrong, in an empty mailbox.
    pub fn resolve(&self, set: &SequenceSet) -> Result<UidSet, NoSuchMessage> {
        self.span(set).map(|uids| self.told(&uids))
    }

    /// The messages that a set of UIDs names. UIDs that no message has are left out (RFC 3501 §6.4.8).
    pub fn resolve_uids(&self, set: &SequenceSet) -> UidSet {
        self.told(&self.span_uids(set))
    }

    /// The UIDs between the ends of each range of sequence numbers: no more ranges than `set` has, whatever
    /// the mailbox looks like. UIDs in between that no message has are among them.
    pub(crate) fn span(&self, set: &SequenceSet) -> Result<UidSet, NoSuchMessage> {
        let mut ranges = Vec::new();
        for (from, to) in set.bounded(self.exists) {
            // In an empty mailbox `*` is 0, and so is the smaller end of its range.
            if from > 0 {
                let first = self.uid(from).ok_or(NoSuchMessage)?;
                let last = self.uid(to.min(self.exists)).ok_or(NoSuchMessage)?;
                ranges.push(first..=last);
            }
        }
        Ok(UidSet::from_ranges(ranges))
    }

    /// The same for a set of UIDs.
    pub(crate) fn span_uids(&self, set: &SequenceSet) -> UidSet {
        let last = self.uid(self.exists).unwrap_or(0);
        UidSet::from_ranges(set.bounded(last).map(|(from, to)| from..=to.min(last)))
    }

    /// The highest UID that was ever seen here.
    pub(crate) fn highest(&self) -> u32 {
        self.highest
    }

    /// The UIDs from the first `\Recent` one on.
    pub(crate) fn span_recent(&self) -> UidSet {
        let last = self.uid(self.exists).unwrap_or(0);
        self.first_recent
            .map_or_else(UidSet::new, |first| UidSet::from(first..=last))
    }

    /// The numbers of messages that the session knows, each of which has a UID in `uids`.
    pub(crate) fn seqs(&self, uids: &UidSet) -> UidSet {
        let ends =
            |range: std::ops::RangeInclusive<u32>| Some(self.seq(*range.start())?..=self.seq(*range.end())?);
        UidSet::from_ranges(self.told(uids).ranges().filter_map(ends))
    }

    /// The members of `uids` that the session knows.
    pub(crate) fn told(&self, uids: &UidSet) -> UidSet {
        let mut out = UidSet::new();
        for range in uids.ranges() {
            let (from, to) = range.into_inner();
            let start = self.runs.partition_point(|r| r.uid <= from).saturating_sub(1);
            for i in start..self.runs.len() {
                let run = self.runs[i];
                if run.uid > to {
                    break;
                }
                let (a, b) = (run.uid.max(from), (run.uid + (self.len_of(i) - 1)).min(to));
                if a <= b {
                    out.insert_range(a..=b);
                }
            }
        }
        out
    }

    fn ranges(&self) -> impl Iterator<Item = std::ops::RangeInclusive<u32>> + '_ {
        (0..self.runs.len()).map(|i| {
            let run = self.runs[i];
            run.uid..=run.uid + (self.len_of(i) - 1)
        })
    }

    fn len_of(&self, run: usize) -> u32 {
        let end = self.runs.get(run + 1).map_or(self.exists + 1, |next| next.seq);
        end - self.runs[run].seq
    }

    /// Gives numbers to messages above all others.
    fn grow(&mut self, uids: &UidSet) {
        for range in uids.ranges() {
            // u32::MAX messages cannot all have a number; nobody has a mailbox of 4 billion messages.
            let count = (range.end() - range.start())
                .saturating_add(1)
                .min(u32::MAX - 1 - self.exists);
            if count == 0 {
                return;
            }
            let touches = self
                .uid(self.exists)
                .is_some_and(|last| last + 1 == *range.start());
            if !touches {
                self.runs.push(Run {
                    uid: *range.start(),
                    seq: self.exists + 1,
                });
            }
            self.exists += count;
        }
    }

    /// Takes the numbers of all messages that are gone; returns (number, how often it is told) in order.
    fn expunge(&mut self) -> VecDeque<(u32, u32)> {
        let gone = std::mem::take(&mut self.gone);
        let mut told: VecDeque<(u32, u32)> = VecDeque::new();
        let mut removed = 0;
        for range in gone.ranges() {
            // `gone` holds only messages with numbers, and neighbours in UIDs are neighbours in numbers.
            let Some(seq) = self.seq(*range.start()) else {
                continue;
            };
            let count = range.end() - range.start() + 1;
            match told.back_mut() {
                Some(last) if last.0 == seq - removed => last.1 += count,
                _ => told.push_back((seq - removed, count)),
            }
            removed += count;
        }
        let left = self.uids().difference(&gone);
        self.runs.clear();
        self.runs.shrink_to_fit();
        self.exists = 0;
        self.grow(&left);
        told
    }
}

/// Updates to be told, made by [`View::updates`].
#[derive(Debug, Default)]
pub struct Updates {
    flags: VecDeque<Update>,
    /// (number, how often it is told)
    expunges: VecDeque<(u32, u32)>,
    vanished: UidSet,
    exists: Option<u32>,
    recent: Option<u32>,
}

impl Updates {
    /// Whether messages are gone among what is to be told.
    pub fn has_expunges(&self) -> bool {
        !self.expunges.is_empty() || !self.vanished.is_empty()
    }
}

impl Iterator for Updates {
    type Item = Update;

    fn next(&mut self) -> Option<Update> {
        if let Some(flags) = self.flags.pop_front() {
            return Some(flags);
        }
        if !self.vanished.is_empty() {
            return Some(Update::Vanished(std::mem::take(&mut self.vanished)));
        }
        if let Some((seq, count)) = self.expunges.front_mut() {
            let seq = *seq;
            *count -= 1;
            if *count == 0 {
                self.expunges.pop_front();
            }
            return Some(Update::Expunge(seq));
        }
        self.exists
            .take()
            .map(Update::Exists)
            .or_else(|| self.recent.take().map(Update::Recent))
    }
}
