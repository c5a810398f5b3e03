//! Random batches, against the model

use std::collections::HashMap;

use bytes::Bytes;

use super::{Harness, NOW, block_on, meta, name, put, scan};
use crate::{
    Account, Batch, BlobHash, BlobRef, CommitError, EntryName, Fields, FlagChange, Flags, Identifier,
    Keyword, Limits, MailboxId, MailboxName, Message, ModSeq, Model, Op, Outcome, Precondition, Rights, Scan,
    SpecialUse, SpoolKey, Store, SystemFlags, ThreadId, Uid, UidSet, UidValidity,
};

/// Commits batches made from seeds, with all operations, good and bad, and compares every outcome and every state
/// with what the model says; the store is closed and opened again between.
pub fn random_batches_match_the_model<H: Harness>(harness: &mut H) {
    for seed in [1, 2, 3] {
        let mut run = Run::new(harness.open(limits()), seed);
        for round in 0..6 {
            for step in 0..60 {
                run.step(&format!("seed {seed}, round {round}, step {step}"));
            }
            run.compare_all(&format!("seed {seed}, round {round}"));
            // What is not committed need not outlast the store.
            run.pinned.clear();
            run.store = run.store.take().map(|store| harness.reopen(store));
            run.compare_all(&format!("seed {seed}, round {round}, opened again"));
        }
        assert!(
            run.committed > 100 && run.refused > 30,
            "{} and {}",
            run.committed,
            run.refused
        );
    }
}

fn limits() -> Limits {
    Limits {
        mailboxes_per_account: 7,
        subscriptions_per_account: 5,
        keywords_per_message: 3,
        annotations_per_mailbox: 2,
        annotation_octets: 8,
        identifiers_per_mailbox: 2,
        history_uids: 25,
        history_seconds: 500,
    }
}

/// The store and the model side by side. Ids may differ between the two; everything else may not.
struct Run<S> {
    store: Option<S>,
    model: Model,
    random: Random,
    now: i64,
    bodies: u64,
    // From the model's ids to the store's.
    mailboxes: HashMap<MailboxId, MailboxId>,
    spool: HashMap<SpoolKey, SpoolKey>,
    threads: HashMap<ThreadId, ThreadId>,
    // References that the writers gave, and such as were read back; the latter may be dead.
    pinned: Vec<BlobRef>,
    loose: Vec<BlobRef>,
    committed: u32,
    refused: u32,
}

impl<S: Store> Run<S> {
    fn new(store: S, seed: u64) -> Self {
        let model = Model::new(limits());
        let (mailboxes, spool) = (HashMap::new(), HashMap::new());
        let random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let (pinned, loose) = (Vec::new(), Vec::new());
        let store = Some(store);
        Self {
            store,
            model,
            random,
            now: NOW,
            bodies: 0,
            mailboxes,
            spool,
            threads: HashMap::new(),
            pinned,
            loose,
            committed: 0,
            refused: 0,
        }
    }

    fn store(&self) -> &S {
        self.store.as_ref().unwrap()
    }

    fn step(&mut self, place: &str) {
        self.now += [0, 1, 30, 100, 400, -200][self.random.below(6)];
        let mut batch = Batch::new(self.now);
        for _ in 0..[0, 1, 1, 1, 1, 2, 3, 6][self.random.below(8)] {
            let op = self.op();
            batch.push(op);
        }
        if self.random.one_in(5) {
            let precondition = self.precondition();
            batch = batch.only_if(precondition);
        }
        let known: Vec<BlobHash> = self.pinned.iter().map(|blob| *blob.hash()).collect();
        let expected = self.model.apply(&batch, |blob| known.contains(blob.hash()));
        let expected = expected.map(|applied| applied.committed);
        let found = block_on(self.store().commit(self.for_store(&batch)));
        match (&expected, found) {
            (Ok(expected), Ok(found)) => {
                assert_eq!(
                    expected.outcomes.len(),
                    found.outcomes.len(),
                    "{place}: {batch:?}"
                );
                for (expected, found) in expected.outcomes.iter().zip(&found.outcomes) {
                    self.learn(expected, found);
                    assert_eq!(self.outcome_for_store(expected), *found, "{place}: {batch:?}");
                }
                self.committed += 1;
            }
            (Err(expected), Err(found)) => {
                assert_eq!(self.error_for_store(expected), found, "{place}: {batch:?}");
                self.refused += 1;
            }
            (expected, found) => panic!("{place}: {batch:?}\nexpected {expected:?}\nfound    {found:?}"),
        }
        self.forget_some();
        let account = self.account();
        self.compare(&account, place);
    }

    fn compare_all(&mut self, place: &str) {
        for account in ACCOUNTS {
            self.compare(&Account::new(account), place);
        }
        let accounts = block_on(self.store().accounts(None, 10)).unwrap();
        assert_eq!(accounts, self.model.accounts(None, 10), "{place}");
        for identifiers in [
            vec![],
            vec![Identifier::new("anyone"), Identifier::new("alice@a.test")],
        ] {
            let found = block_on(self.store().shared_with(&identifiers)).unwrap();
            let mut expected = self.model.shared_with(&identifiers);
            expected
                .iter_mut()
                .for_each(|it| it.mailbox = self.in_store(it.mailbox));
            assert_eq!(found, expected, "{place}");
        }
        let entries = block_on(self.store().spool(None, usize::MAX)).unwrap();
        let expected = self.model.spool(None, usize::MAX);
        assert_eq!(entries.len(), expected.len(), "{place}");
        for (entry, expected) in entries.iter().zip(&expected) {
            assert_eq!(Some(&entry.key), self.spool.get(&expected.key), "{place}");
            assert_eq!(
                (&entry.record, &entry.blob),
                (&expected.record, &expected.blob),
                "{place}"
            );
            entry.blob.iter().for_each(|blob| self.check_body(blob, place));
        }
    }

    fn compare(&mut self, account: &Account, place: &str) {
        let listed = block_on(self.store().mailboxes(account)).unwrap();
        let expected = self.model.mailboxes(account);
        assert_eq!(listed.len(), expected.len(), "{place}");
        for (info, expected) in listed.iter().zip(&expected) {
            let seen = (Some(&info.id), &info.name, info.special_use, info.subscribed);
            let id = self.mailboxes.get(&expected.id);
            assert_eq!(
                seen,
                (id, &expected.name, expected.special_use, expected.subscribed),
                "{place}"
            );
            self.compare_mailbox(expected.id, info.id, place);
        }
        let subscriptions = block_on(self.store().subscriptions(account)).unwrap();
        assert_eq!(subscriptions, self.model.subscriptions(account), "{place}");
        assert_eq!(
            block_on(self.store().usage(account)).unwrap(),
            self.model.usage(account),
            "{place}"
        );
    }

    fn compare_mailbox(&mut self, in_model: MailboxId, in_store: MailboxId, place: &str) {
        let expected = self.model.snapshot(in_model).unwrap();
        assert_eq!(
            block_on(self.store().snapshot(in_store)).unwrap(),
            expected,
            "{place}"
        );
        let mut messages = self
            .model
            .scan(in_model, &Scan::all(Fields::ALL).limit(usize::MAX))
            .unwrap()
            .messages;
        let limit = 1 + self.random.below(40);
        let mut found = scan(self.store(), in_store, Scan::all(Fields::ALL).limit(limit));
        self.learn_threads(&messages, &found);
        // A store need not have the octets of a message beside it; those it has are the right ones.
        for message in &mut found {
            if let Some(content) = message.content.take() {
                let hash = message.blob.as_ref().map(BlobRef::hash);
                assert_eq!(Some(&BlobHash::of(&content)), hash, "{place}");
                assert!(message.text.is_none(), "{place}: what was kept is there twice");
            }
        }
        // It need not keep sketches either.
        for (expected, found) in messages.iter_mut().zip(&found) {
            if found.sketch.is_empty() {
                expected.sketch = Bytes::new();
            }
        }
        messages
            .iter_mut()
            .for_each(|it| it.thread = self.threads.get(&it.thread).copied().unwrap_or_default());
        assert_eq!(found, messages, "{place}");
        let contents = block_on(self.store().contents(in_store)).unwrap();
        let unseen = messages.iter().filter(|it| !it.flags.contains(SystemFlags::SEEN));
        let of = |messages: &mut dyn Iterator<Item = &Message>| messages.map(|it| it.uid).collect::<UidSet>();
        assert_eq!(
            (&contents.snapshot, contents.uids, contents.unseen),
            (&expected, of(&mut messages.iter()), of(&mut { unseen })),
            "{place}"
        );
        let mut keywords = messages.iter().flat_map(|it| it.flags.keywords());
        assert!(
            keywords.all(|keyword| contents.keywords.contains(keyword)),
            "{place}"
        );
        let on = [None, Some(in_model)];
        for (mailbox, account) in on
            .into_iter()
            .flat_map(|it| ACCOUNTS.map(|account| (it, account)))
        {
            let account = Account::new(account);
            let there = mailbox.map(|_| in_store);
            let found = block_on(self.store().annotations(&account, there)).unwrap();
            assert_eq!(
                found,
                self.model.annotations(&account, mailbox).unwrap(),
                "{place}"
            );
        }
        let acl = block_on(self.store().acl(in_store)).unwrap();
        assert_eq!(acl, self.model.acl(in_model).unwrap(), "{place}");
        let since = ModSeq::new(self.random.below(expected.highest_mod_seq.value() as usize + 2) as u64);
        let mut narrow = Scan::new(self.uids(in_model), Fields::FLAGS | Fields::SIZE);
        if self.random.one_in(2) {
            narrow = narrow.since(since);
        }
        let expected = self
            .model
            .scan(in_model, &narrow.clone().limit(usize::MAX))
            .unwrap()
            .messages;
        assert_eq!(
            scan(self.store(), in_store, narrow.clone().limit(limit)),
            expected,
            "{place}: {narrow:?}"
        );
        let vanished = block_on(self.store().vanished(in_store, since)).unwrap();
        assert_eq!(
            vanished,
            self.model.vanished(in_model, since).unwrap(),
            "{place}: vanished since {since}"
        );
        if let Some(message) = messages.get(self.random.below(messages.len().max(1))) {
            message.blob.iter().for_each(|blob| self.check_body(blob, place));
        }
    }

    fn check_body(&self, blob: &BlobRef, place: &str) {
        let body = super::read(self.store(), blob);
        assert_eq!(BlobHash::of(&body), *blob.hash(), "{place}");
    }

    fn learn(&mut self, expected: &Outcome, found: &Outcome) {
        match (expected, found) {
            (Outcome::Created { mailbox: a, .. }, Outcome::Created { mailbox: b, .. })
            | (Outcome::Renamed { mailbox: Some(a) }, Outcome::Renamed { mailbox: Some(b) }) => {
                let before = self.mailboxes.values().any(|it| it == b);
                let known = self.mailboxes.insert(*a, *b);
                assert!(
                    known.is_none_or(|it| it == *b) && (known.is_some() || !before),
                    "an id was given twice"
                );
            }
            (Outcome::SpoolPut { key: a }, Outcome::SpoolPut { key: b }) => drop(self.spool.insert(*a, *b)),
            _ => {}
        }
    }

    /// A thread of the model is one of the store, and the other way round.
    fn learn_threads(&mut self, expected: &[Message], found: &[Message]) {
        for (expected, found) in expected.iter().zip(found) {
            let taken = self
                .threads
                .iter()
                .any(|(a, b)| *b == found.thread && *a != expected.thread);
            assert!(!taken, "two threads have become one");
            self.threads.entry(expected.thread).or_insert(found.thread);
        }
    }

    /// Lets go of references, so that bodies die, and picks up some that are stored.
    fn forget_some(&mut self) {
        if self.pinned.len() > 4 {
            let at = self.random.below(self.pinned.len());
            let blob = self.pinned.swap_remove(at);
            if !self.pinned.contains(&blob) {
                self.loose.push(blob.unpinned());
            }
        }
        if self.loose.len() > 12 {
            self.loose.remove(0);
        }
    }

    fn op(&mut self) -> Op {
        let account = self.account();
        match self.random.below(21) {
            0 | 1 => {
                let special_use = self.random.one_in(3).then_some(SpecialUse::Archive);
                Op::CreateMailbox {
                    account,
                    name: self.name(),
                    special_use,
                }
            }
            2 => Op::RenameMailbox {
                account,
                from: self.name(),
                to: self.name(),
            },
            3 => Op::DeleteMailbox {
                account,
                name: self.name(),
            },
            4 => Op::Subscribe {
                account,
                name: self.name(),
                on: !self.random.one_in(3),
            },
            5..=8 => {
                let (mailbox, blob, flags) = (self.mailbox(), self.blob(), self.flags());
                Op::Append {
                    mailbox,
                    message: meta(&blob),
                    blob,
                    flags,
                    internal_date: self.now - 77,
                }
            }
            9 | 10 => {
                let mailbox = self.mailbox();
                let change = match self.random.below(3) {
                    0 => FlagChange::Replace(self.flags()),
                    1 => FlagChange::Remove(self.flags()),
                    _ => FlagChange::Add(self.flags()),
                };
                let unchanged_since = self.random.one_in(3).then(|| self.mod_seq(mailbox));
                Op::StoreFlags {
                    mailbox,
                    uids: self.uids(mailbox),
                    change,
                    unchanged_since,
                }
            }
            11 => {
                let from = self.mailbox();
                Op::Copy {
                    from,
                    uids: self.uids(from),
                    to: self.mailbox(),
                }
            }
            12 => {
                let from = self.mailbox();
                Op::Move {
                    from,
                    uids: self.uids(from),
                    to: self.mailbox(),
                }
            }
            13 => {
                let mailbox = self.mailbox();
                Op::Expunge {
                    mailbox,
                    uids: self.uids(mailbox),
                    deleted_only: self.random.one_in(2),
                }
            }
            14 => {
                let key = self.random.one_in(2).then(|| self.spool_key());
                let blob = self.random.one_in(2).then(|| self.blob());
                Op::SpoolPut {
                    key,
                    record: Bytes::from(format!("record {}", self.random.below(1000))),
                    blob,
                }
            }
            15 => {
                let mailbox = (!self.random.one_in(3)).then(|| self.mailbox());
                let names = ["/private/a", "/private/b", "/private/c", "/shared/a", "/shared/b"];
                let name = EntryName::parse(names[self.random.below(names.len())]).unwrap();
                let length = self.random.below(10);
                let value = (!self.random.one_in(4)).then(|| Bytes::from(vec![b'v'; length]));
                Op::Annotate {
                    account,
                    mailbox,
                    name,
                    value,
                }
            }
            16 => {
                let identifier = ["anyone", "alice@a.test", "-bob@b.test"][self.random.below(3)];
                let rights = Rights::from_bits(self.random.below(4) as u16);
                Op::SetRights {
                    mailbox: self.mailbox(),
                    identifier: Identifier::new(identifier),
                    rights,
                }
            }
            17 if self.random.one_in(8) => Op::RemoveAccount { account },
            18 => {
                let validity = NOW as u32 + self.random.below(3000) as u32;
                Op::AdoptUids {
                    mailbox: self.mailbox(),
                    uid_validity: (!self.random.one_in(4)).then(|| UidValidity::new(validity).unwrap()),
                    uid_next: Uid::new(1 + self.random.below(40) as u32).unwrap(),
                }
            }
            _ => Op::SpoolRemove {
                key: self.spool_key(),
            },
        }
    }

    fn precondition(&mut self) -> Precondition {
        if self.random.one_in(2) {
            let mailbox = self.mailbox();
            return Precondition::Unchanged {
                mailbox,
                since: self.mod_seq(mailbox),
            };
        }
        let account = self.account();
        let used = self.model.usage(&account);
        let octets = self
            .random
            .one_in(2)
            .then(|| used.octets + self.random.below(200) as u64);
        let messages = self
            .random
            .one_in(2)
            .then(|| used.messages + self.random.below(3) as u64);
        Precondition::Quota {
            account,
            octets,
            messages,
        }
    }

    fn account(&mut self) -> Account {
        Account::new(ACCOUNTS[self.random.below(ACCOUNTS.len())])
    }

    fn name(&mut self) -> MailboxName {
        let names = [
            "INBOX", "inbox", "INBOX/x", "a", "a/b", "a/b/c", "a/b/b", "a-", "a0", "b", "b/a", "Ü/ß",
        ];
        name(names[self.random.below(names.len())])
    }

    fn mailbox(&mut self) -> MailboxId {
        let account = self.account();
        let listed = self.model.mailboxes(&account);
        match listed.get(self.random.below(listed.len() + 1)) {
            Some(info) => info.id,
            None => {
                // One that was there once, or never.
                let last = self.mailboxes.keys().map(|it| it.value()).max().unwrap_or(0);
                match 1 + self.random.below(last as usize + 1) as u64 {
                    id if id <= last => MailboxId::new(id),
                    _ => NO_MAILBOX,
                }
            }
        }
    }

    fn uids(&mut self, mailbox: MailboxId) -> UidSet {
        let next = self
            .model
            .snapshot(mailbox)
            .ok()
            .and_then(|it| it.uid_next)
            .map_or(1, Uid::value);
        match self.random.below(4) {
            0 => UidSet::all(),
            1 => UidSet::new(),
            n => {
                let mut uids = UidSet::new();
                for _ in 0..n {
                    let mut any = || Uid::new(1 + self.random.below(next as usize + 2) as u32).unwrap();
                    uids.insert_range(any(), any());
                    uids.insert(any());
                }
                uids
            }
        }
    }

    fn mod_seq(&mut self, mailbox: MailboxId) -> ModSeq {
        let highest = self
            .model
            .snapshot(mailbox)
            .map_or(1, |it| it.highest_mod_seq.value());
        ModSeq::new((highest + 1).saturating_sub(self.random.below(6) as u64))
    }

    fn flags(&mut self) -> Flags {
        let mut flags = Flags::from(SystemFlags::from_bits(
            self.random.below(32) as u8 & self.random.below(32) as u8,
        ));
        for keyword in ["$Junk", "$junk", "later", "Work", "zz"] {
            if self.random.one_in(4) {
                flags.insert_keyword(Keyword::parse(keyword).unwrap());
            }
        }
        flags
    }

    /// A key that was given once, or one that never was.
    fn spool_key(&mut self) -> SpoolKey {
        let last = self.spool.keys().map(|key| key.value()).max().unwrap_or(0);
        match 1 + self.random.below(last as usize + 1) as u64 {
            key if key <= last => SpoolKey::new(key),
            _ => NEVER_GIVEN,
        }
    }

    /// A body that was never seen, or one that was: pinned, stored, or gone.
    fn blob(&mut self) -> BlobRef {
        match self.random.below(6) {
            0 if !self.pinned.is_empty() => self.pinned[self.random.below(self.pinned.len())].clone(),
            1 if !self.loose.is_empty() => self.loose[self.random.below(self.loose.len())].clone(),
            _ => {
                self.bodies += 1;
                let size = if self.random.one_in(12) {
                    65_000 + self.random.below(2000)
                } else {
                    self.random.below(300)
                };
                // No two bodies are the same: whether those share their storage is up to the store.
                let mut body = format!("body {}\n", self.bodies).into_bytes();
                body.resize(body.len() + size, b'.');
                let blob = block_on(put(self.store(), &body));
                self.pinned.push(blob.clone());
                blob
            }
        }
    }

    fn for_store(&self, batch: &Batch) -> Batch {
        let mailbox = |it: &mut MailboxId| *it = self.in_store(*it);
        let spool = |it: &mut SpoolKey| *it = self.spool.get(it).copied().unwrap_or(NEVER_GIVEN);
        let mut batch = batch.clone();
        for precondition in &mut batch.preconditions {
            if let Precondition::Unchanged { mailbox: it, .. } = precondition {
                mailbox(it);
            }
        }
        for op in &mut batch.ops {
            match op {
                Op::Append { mailbox: it, .. }
                | Op::AdoptUids { mailbox: it, .. }
                | Op::StoreFlags { mailbox: it, .. }
                | Op::Expunge { mailbox: it, .. }
                | Op::SetRights { mailbox: it, .. }
                | Op::Annotate {
                    mailbox: Some(it), ..
                } => mailbox(it),
                Op::Copy { from, to, .. } | Op::Move { from, to, .. } => {
                    mailbox(from);
                    mailbox(to);
                }
                Op::SpoolPut { key: Some(key), .. } | Op::SpoolRemove { key } => spool(key),
                _ => {}
            }
        }
        batch
    }

    fn outcome_for_store(&self, outcome: &Outcome) -> Outcome {
        let mut outcome = outcome.clone();
        match &mut outcome {
            Outcome::Created { mailbox, .. }
            | Outcome::Deleted { mailbox }
            | Outcome::Renamed {
                mailbox: Some(mailbox),
            } => *mailbox = self.in_store(*mailbox),
            Outcome::SpoolPut { key } => *key = self.spool.get(key).copied().unwrap_or(*key),
            _ => {}
        }
        outcome
    }

    fn error_for_store(&self, error: &CommitError) -> CommitError {
        match error {
            CommitError::Conflict { mailbox } => CommitError::Conflict {
                mailbox: self.in_store(*mailbox),
            },
            other => other.clone(),
        }
    }

    fn in_store(&self, mailbox: MailboxId) -> MailboxId {
        self.mailboxes.get(&mailbox).copied().unwrap_or(NO_MAILBOX)
    }
}

/// A small generator of numbers (xorshift64*), so that a seed gives the same run everywhere.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

const NO_MAILBOX: MailboxId = MailboxId::new(1 << 50);
const NEVER_GIVEN: SpoolKey = SpoolKey::new(1 << 50);
const ACCOUNTS: [&str; 2] = ["alice@a.test", "bob@b.test"];
