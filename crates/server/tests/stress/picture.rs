//! What a client makes of untagged responses: its picture of the mailbox.

use super::ledger::{Ledger, Target};
use mailwright_imap::client::{Data, Messages, Row};
use mailwright_imap::{Flags, StoreAction, UidSet};

/// The messages by their sequence numbers.
#[derive(Default)]
pub struct Picture {
    pub slots: Vec<Slot>,
    /// The highest MODSEQ told, which counts from the next tagged response on (RFC 7162 §6).
    pub mod_seq: u64,
}

/// What is known of a message.
#[derive(Default, Clone, Debug)]
pub struct Slot {
    pub uid: Option<u32>,
    pub flags: Option<Flags>,
    pub mod_seq: u64,
}

/// What holds while a command is being answered.
#[derive(Default, Clone)]
pub struct Terms {
    /// It is FETCH, STORE or SEARCH with sequence numbers.
    pub no_expunge: bool,
    /// It names messages by number, and fails if one was expunged before the session heard of it.
    pub by_number: bool,
    /// It is this STORE, with `.SILENT`.
    pub silent: Option<(StoreAction, Flags)>,
    /// It copies messages there, and takes them away from there.
    pub to: Option<Target>,
    pub from: Option<Target>,
}

impl Terms {
    pub fn to(to: Target, from: Option<Target>) -> Self {
        Self {
            to: Some(to),
            from,
            ..Self::default()
        }
    }

    pub fn with(self, messages: &Messages) -> Self {
        Self {
            by_number: matches!(messages, Messages::Seqs(_)),
            ..self
        }
    }
}

impl Picture {
    /// The place of a message, or where it would be.
    pub fn place(&self, uid: u32) -> Result<usize, usize> {
        let known = |slot: &Slot| slot.uid;
        if let Some(at) = self.slots.iter().position(|slot| known(slot) == Some(uid)) {
            return Ok(at);
        }
        let above = self.slots.iter().position(|slot| known(slot) > Some(uid));
        Err(above.unwrap_or(self.slots.len()))
    }

    pub fn uids(&self) -> UidSet {
        let known = self.slots.iter().filter_map(|slot| slot.uid);
        UidSet::from_ranges(known.map(|uid| uid..=uid))
    }

    pub fn unknown(&self) -> usize {
        self.slots.iter().filter(|slot| slot.uid.is_none()).count()
    }

    pub fn hear(&mut self, data: &Data, terms: &Terms, ledger: &Ledger) {
        match data {
            Data::Exists(n) => {
                let n = *n as usize;
                assert!(n >= self.slots.len(), "EXISTS takes messages away: {n}");
                self.slots.resize(n, Slot::default());
            }
            Data::Expunged(seq) => {
                assert!(!terms.no_expunge, "EXPUNGE at the wrong moment");
                self.remove(*seq as usize - 1, ledger);
            }
            Data::Vanished { earlier: true, .. } => {}
            Data::Vanished { uids, .. } => {
                assert!(!terms.no_expunge, "VANISHED at the wrong moment");
                for uid in uids.iter() {
                    let at = self.place(uid).unwrap_or_else(|above| {
                        // It came, and its UID was never told.
                        let before = above.checked_sub(1).expect("a place");
                        assert_eq!(self.slots[before].uid, None, "{uid} was never there");
                        before
                    });
                    self.slots[at].uid = Some(uid);
                    self.remove(at, ledger);
                }
            }
            Data::Row(row) => self.row(row, terms, ledger),
            Data::Raw(octets) => panic!("cannot be read: {}", octets.escape_ascii()),
            _ => {}
        }
    }

    fn remove(&mut self, at: usize, ledger: &Ledger) {
        assert!(at < self.slots.len(), "number {} of {}", at + 1, self.slots.len());
        let slot = self.slots.remove(at);
        ledger.gone(&slot.uid.map_or_else(UidSet::new, |uid| UidSet::from(uid..=uid)));
    }

    fn row(&mut self, row: &Row, terms: &Terms, ledger: &Ledger) {
        assert!(row.raw.is_empty() && row.odd_flags.is_empty(), "{row:?}");
        let count = self.slots.len();
        assert!(
            (1..=count).contains(&(row.seq as usize)),
            "{} of {count}",
            row.seq
        );
        let at = row.seq as usize - 1;
        if let Some(uid) = row.uid {
            let known = *self.slots[at].uid.get_or_insert(uid);
            assert_eq!(known, uid, "number {} is that of another message", row.seq);
            let below = self.slots[..at].iter().filter_map(|slot| slot.uid).next_back();
            let above = self.slots[at + 1..].iter().find_map(|slot| slot.uid);
            assert!(
                below < Some(uid) && above.is_none_or(|above| above > uid),
                "{uid} after {below:?} and before {above:?}"
            );
        }
        let slot = &mut self.slots[at];
        match (&row.flags, &terms.silent, &mut slot.flags) {
            (Some(flags), ..) => slot.flags = Some(flags.clone()),
            (None, Some((action, flags)), Some(known)) if row.mod_seq.is_some() => match action {
                StoreAction::Replace => *known = flags.clone(),
                StoreAction::Add => flags.iter().for_each(|flag| {
                    known.insert(flag);
                }),
                StoreAction::Remove => flags.iter().for_each(|flag| {
                    known.remove(&flag);
                }),
            },
            _ => {}
        }
        if let Some(mod_seq) = row.mod_seq {
            let before = std::mem::replace(&mut slot.mod_seq, mod_seq);
            assert!(before <= mod_seq, "MODSEQ went back from {before} to {mod_seq}");
            self.mod_seq = self.mod_seq.max(mod_seq);
            if let (Some(uid), Some(flags)) = (slot.uid, &slot.flags) {
                ledger.told(uid, mod_seq, flags);
            }
        }
    }
}
