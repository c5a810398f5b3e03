//! ENABLE (RFC 5161), and what follows from it: IMAP4rev2 (RFC 9051), CONDSTORE and QRESYNC (RFC 7162),
//! UTF8=ACCEPT (RFC 6855), UIDONLY (RFC 9586)

use super::{Reply, Server, State};
use crate::{Capability, Event, When};
use bytes::Bytes;

/// What the client has switched on, for the rest of the session.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Enabled {
    pub(super) condstore: bool,
    pub(super) qresync: bool,
    pub(super) rev2: bool,
    pub(super) utf8: bool,
    pub(super) uid_only: bool,
    /// Changes of annotations are told, whether NOTIFY asks for them or not (RFC 5464 §4.1).
    pub(super) metadata: bool,
}

impl Enabled {
    pub(super) fn uses_utf8(self) -> bool {
        self.utf8 || self.rev2
    }
}

impl Server {
    /// Whether the session speaks IMAP4rev2: the client has enabled it.
    pub fn is_rev2(&self) -> bool {
        self.enabled.rev2
    }

    pub(super) fn offers_mod_seqs(&self) -> bool {
        self.offers(Capability::CondStore) || self.offers(Capability::QResync)
    }

    /// Whether mailbox names cross the wire in UTF-8.
    pub(super) fn uses_utf8(&self) -> bool {
        self.enabled.uses_utf8()
    }

    pub(super) fn enable(&mut self, names: &[Bytes]) {
        let mut told = Vec::new();
        for name in names {
            let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
            // What is not known or not offered is ignored: RFC 5161 §3.1.
            let word = match () {
                () if is("CONDSTORE") && self.offers_mod_seqs() => "CONDSTORE",
                () if is("QRESYNC") && self.offers(Capability::QResync) => {
                    self.enabled.qresync = true;
                    "QRESYNC"
                }
                () if is("IMAP4rev2") && self.offers(Capability::Imap4Rev2) => {
                    self.enabled.rev2 = true;
                    "IMAP4rev2"
                }
                () if is("UTF8=ACCEPT") && self.offers(Capability::Utf8Accept) => {
                    self.enabled.utf8 = true;
                    "UTF8=ACCEPT"
                }
                () if is("METADATA") && self.offers(Capability::Metadata) => {
                    if !std::mem::replace(&mut self.enabled.metadata, true) {
                        self.events.push_back(Event::MetadataEnabled);
                    }
                    self.watching.get_or_insert_default();
                    "METADATA"
                }
                () if is("UIDONLY") && self.offers(Capability::UidOnly) => {
                    self.enabled.uid_only = true;
                    "UIDONLY"
                }
                () => continue,
            };
            if !told.contains(&word) {
                told.push(word);
            }
        }
        self.out().raw("* ENABLED");
        for word in &told {
            self.out().raw(" ").raw(word);
        }
        self.out().raw("\r\n");
        if told.contains(&"CONDSTORE") || told.contains(&"QRESYNC") {
            self.enable_mod_seqs();
        }
        self.choose_report();
        self.complete(Reply::ok("Enable completed"), When::Anything);
    }

    /// The client has used something of CONDSTORE: from here on it hears of mod-sequences (RFC 7162 §3.1).
    pub(super) fn enable_mod_seqs(&mut self) {
        if std::mem::replace(&mut self.enabled.condstore, true) {
            return;
        }
        let highest = match &self.state {
            State::Selected(selection) if selection.has_mod_seqs => selection.view.told_up_to(),
            _ => None,
        };
        if let Some(highest) = highest {
            self.put_highest(highest);
        }
    }

    /// A row told this mod-sequence.
    pub(super) fn said(&mut self, mod_seq: Option<u64>) {
        if let (State::Selected(selection), Some(mod_seq)) = (&mut self.state, mod_seq) {
            selection.said = selection.said.max(mod_seq);
        }
    }

    /// The mod-sequence that the client has to be told before a tagged response. It takes the highest that it has
    /// heard, and would miss what waits to be told if the connection broke (RFC 7162 §6).
    pub(super) fn corrected_highest(&mut self) -> Option<u64> {
        let State::Selected(selection) = &mut self.state else {
            return None;
        };
        let settled = selection.view.told_up_to();
        let settled = settled.filter(|_| self.enabled.condstore && selection.has_mod_seqs)?;
        let runs_ahead = selection.said > settled;
        let was_held_back = std::mem::replace(&mut selection.held_back, runs_ahead);
        (runs_ahead || was_held_back).then_some(settled)
    }

    pub(super) fn put_highest(&mut self, highest: u64) {
        self.out()
            .raw("* OK [HIGHESTMODSEQ ")
            .number(highest)
            .raw("] Highest mod-sequence\r\n");
    }

    /// How the selected mailbox tells of messages that are gone.
    pub(super) fn choose_report(&mut self) {
        let Enabled {
            qresync, uid_only, ..
        } = self.enabled;
        if let State::Selected(selection) = &mut self.state
            && (uid_only || (qresync && selection.has_mod_seqs))
        {
            selection.view.report_uids();
        }
    }

    /// Refuses message numbers in a session that has none (RFC 9586 §3.1); false if it did.
    pub(super) fn may_number(&mut self, uid: bool) -> bool {
        if uid || !self.enabled.uid_only {
            return true;
        }
        self.bad_with("UIDREQUIRED", "Message numbers are not in use");
        false
    }

    /// Whether the client may ask for mod-sequences; if not it has been told.
    pub(super) fn may_use_mod_seqs(&mut self) -> bool {
        if !self.offers_mod_seqs() {
            self.bad("a modifier is not known");
            return false;
        }
        if let State::Selected(selection) = &self.state
            && !selection.has_mod_seqs
        {
            // RFC 7162 §3.1.2.2.
            self.bad("The mailbox has no mod-sequences");
            return false;
        }
        self.enable_mod_seqs();
        true
    }
}
