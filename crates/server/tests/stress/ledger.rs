//! What all sessions know together: which messages there must be, and what was told of them.

use mailwright_imap::{Flags, UidSet};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// One of the two mailboxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    Inbox,
    Other,
}

#[derive(Default)]
pub struct Ledger {
    books: Mutex<Books>,
    /// The highest MODSEQ that anybody was told of INBOX.
    highest: AtomicU64,
    /// How often the counter was counted up.
    counted: AtomicU64,
}

#[derive(Default)]
struct Books {
    /// What APPENDUID and COPYUID named in INBOX, and in the other mailbox.
    given: UidSet,
    given_other: UidSet,
    /// What may go: it was marked `\Deleted`, or moved.
    doomed: HashSet<(Target, u32)>,
    /// What became of what. A copy is marked as its original was.
    copies: Vec<((Target, u32), (Target, u32))>,
    moved: UidSet,
    moved_other: UidSet,
    /// What is known to be gone.
    removed: UidSet,
    /// The flags of a message at a MODSEQ.
    told: HashMap<(u32, u64), Flags>,
}

impl Ledger {
    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn given(&self, of: Target, uids: &UidSet) {
        let mut books = self.books();
        let set = match of {
            Target::Inbox => &mut books.given,
            Target::Other => &mut books.given_other,
        };
        assert!(set.intersection(uids).is_empty(), "given twice: {uids}");
        *set = set.union(uids);
    }

    pub fn doom(&self, uids: &UidSet) {
        let doomed = uids.iter().map(|uid| (Target::Inbox, uid));
        self.books().doomed.extend(doomed);
    }

    pub fn copied(&self, from: Target, to: Target, pairs: impl Iterator<Item = (u32, u32)>) {
        let pairs = pairs.map(|(old, new)| ((from, old), (to, new)));
        self.books().copies.extend(pairs);
    }

    /// A message can be moved away only once.
    pub fn moved(&self, of: Target, uids: &UidSet) {
        let mut books = self.books();
        let set = match of {
            Target::Inbox => &mut books.moved,
            Target::Other => &mut books.moved_other,
        };
        assert!(set.intersection(uids).is_empty(), "moved twice: {uids}");
        *set = set.union(uids);
    }

    /// Somebody was told that these are gone.
    pub fn gone(&self, uids: &UidSet) {
        let mut books = self.books();
        books.removed = books.removed.union(uids);
    }

    pub fn removed(&self) -> UidSet {
        self.books().removed.clone()
    }

    /// A row: what it says was said to others in the same words.
    pub fn told(&self, uid: u32, mod_seq: u64, flags: &Flags) {
        self.highest.fetch_max(mod_seq, Ordering::SeqCst);
        let mut books = self.books();
        let before = books.told.entry((uid, mod_seq)).or_insert_with(|| flags.clone());
        assert_eq!(before, flags, "UID {uid} at MODSEQ {mod_seq}");
    }

    pub fn highest(&self) -> u64 {
        self.highest.load(Ordering::SeqCst)
    }

    pub fn counted(&self) {
        self.counted.fetch_add(1, Ordering::SeqCst);
    }

    /// The books are right when nothing was lost and nothing came of itself.
    pub fn balance(&self, inbox: UidSet, counter: u64, other: UidSet) {
        let mut books = self.books();
        books.inherit();
        let missing = books.given.difference(&inbox);
        let lost = missing
            .iter()
            .filter(|uid| !books.doomed.contains(&(Target::Inbox, *uid)));
        let lost = UidSet::from_ranges(lost.map(|uid| uid..=uid));
        assert!(lost.is_empty(), "lost from INBOX: {lost}");
        let risen = inbox.intersection(&books.removed.union(&books.moved));
        assert!(risen.is_empty(), "gone and still there: {risen}");
        let strange = inbox.difference(&books.given);
        assert!(strange.is_empty(), "nobody put {strange} there");
        assert_eq!(other, books.given_other.difference(&books.moved_other), "Other");
        assert_eq!(
            counter,
            self.counted.load(Ordering::SeqCst),
            "a STORE with UNCHANGEDSINCE was lost, or done twice"
        );
    }
}

impl Books {
    fn inherit(&mut self) {
        let mut before = 0;
        while before < self.doomed.len() {
            before = self.doomed.len();
            for (old, new) in &self.copies {
                if self.doomed.contains(old) {
                    self.doomed.insert(*new);
                }
            }
        }
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let books = self.books();
        write!(
            f,
            "{} messages came, {} went, {} were moved, the counter is at {}, MODSEQ at {}",
            books.given.len(),
            books.removed.len(),
            books.moved.len() + books.moved_other.len(),
            self.counted.load(Ordering::SeqCst),
            self.highest()
        )
    }
}
