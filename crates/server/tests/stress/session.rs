//! A session that does at random what clients do.

use super::ledger::{Ledger, Target};
use super::picture::{Picture, Slot, Terms};
use super::wire::Wire;
use bytes::Bytes;
use mailwright_imap::client::{
    Cached, Command, Data, Event, Fetch, Handle, Message, Messages, Reply, ReplyCode, Search, SearchKey,
    Select, Selected, Store,
};
use mailwright_imap::{Code, FetchItem, Flag, Flags, Keyword, SequenceSet, StoreAction, UidSet};
use mailwright_sasl::Credentials;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// What a client knows of IMAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Plain,
    Condstore,
    Qresync,
}

pub struct Session {
    address: SocketAddr,
    wire: Wire,
    kind: Kind,
    random: u64,
    ledger: Arc<Ledger>,
    picture: Picture,
    validity: Option<NonZeroU32>,
    /// Everything up to here was told (RFC 7162 §6).
    up_to: u64,
    /// The server said so.
    said: Option<u64>,
    pub acts: u64,
    pub resyncs: u64,
    /// The other mailbox is selected.
    elsewhere: bool,
}

const INBOX: &str = "INBOX";
const OTHER: &str = "Other";
/// The message whose flags count; nobody deletes it.
const COUNTER: u32 = 1;
/// The mailbox shrinks above this.
const CROWDED: usize = 120;

impl Session {
    pub async fn open(address: SocketAddr, kind: Kind, seed: u64, ledger: Arc<Ledger>) -> Self {
        let mut session = Self {
            address,
            wire: Wire::connect(address).await,
            kind,
            random: seed | 1,
            ledger,
            picture: Picture::default(),
            validity: None,
            up_to: 0,
            said: None,
            acts: 0,
            resyncs: 0,
            elsewhere: false,
        };
        session.log_in().await;
        session.select().await;
        session
    }

    /// Makes the other mailbox and the message that counts.
    pub async fn prepare(&mut self) {
        self.one(Command::create(OTHER, &[])).await;
        self.append(1).await;
    }

    async fn log_in(&mut self) {
        self.one(Command::login(Credentials::new("alice@a.test", "secret")))
            .await;
        if self.kind == Kind::Qresync {
            self.one(Command::enable(&["QRESYNC"])).await;
        }
    }

    async fn select(&mut self) {
        let highest = self.ledger.highest();
        let mut select = Select::new(INBOX);
        if self.kind != Kind::Plain {
            select = select.condstore();
        }
        self.picture = Picture::default();
        let (_, told) = self.one(select).await;
        let selected = self.selected(told);
        self.picture
            .slots
            .resize(selected.exists as usize, Slot::default());
        if self.kind != Kind::Plain {
            let now = selected.highest_mod_seq.expect("MODSEQs");
            assert!(now >= highest, "HIGHESTMODSEQ went back from {highest} to {now}");
            self.up_to = now;
        }
        self.fetch("1:*").await;
    }

    fn selected(&mut self, told: Vec<Data>) -> Selected {
        let selected = told.into_iter().find_map(|data| match data {
            Data::Selected(selected) => Some(*selected),
            _ => None,
        });
        let selected = selected.expect("what was selected");
        let validity = self.validity.get_or_insert(selected.uid_validity.expect("UIDs"));
        assert_eq!(Some(*validity), selected.uid_validity);
        selected
    }

    // ---- one act after the other

    /// Does something.
    pub async fn act(&mut self) {
        self.acts += 1;
        let crowded = self.picture.slots.len() > CROWDED;
        match self.dice(if crowded { 30 } else { 24 }) {
            0..3 => self.append_some().await,
            3 => self.copy_within().await,
            4 => self.copy_out().await,
            5 => self.move_out().await,
            6..9 => self.store().await,
            9..11 => self.store_if_unchanged().await,
            11 => self.count_up().await,
            12 => self.delete().await,
            13 => self.expunge().await,
            14..16 => self.fetch_by_number().await,
            16 => self.fetch_news().await,
            17..19 => self.search().await,
            19 => self.several_at_once().await,
            20 => self.idle().await,
            21 => self.look_elsewhere().await,
            22 => self.reconnect().await,
            23 => drop(self.one(Command::noop()).await),
            24 => self.move_out().await,
            25..28 => self.delete().await,
            _ => self.expunge().await,
        }
    }

    async fn append_some(&mut self) {
        match self.dice(4) {
            0 => self.append(3).await,
            _ => self.append(1).await,
        }
    }

    async fn append(&mut self, count: usize) {
        let flags = self.some_flags();
        let message = |_| {
            let mut message = Message::new(MESSAGE.len() as u64);
            message.flags = flags.clone();
            message
        };
        let messages: Vec<_> = (0..count).map(message).collect();
        self.one(Command::append_all(INBOX, messages)).await;
    }

    async fn copy_within(&mut self) {
        let Some((messages, _)) = self.some() else { return };
        let terms = Terms::to(Target::Inbox, None).with(&messages);
        self.run(vec![Command::copy(&messages, INBOX)], &terms).await;
    }

    async fn copy_out(&mut self) {
        let Some((messages, _)) = self.some() else { return };
        let terms = Terms::to(Target::Other, None).with(&messages);
        self.run(vec![Command::copy(&messages, OTHER)], &terms).await;
    }

    async fn move_out(&mut self) {
        let Some((messages, uids)) = self.some() else {
            return;
        };
        self.ledger.doom(&uids);
        let (name, to) = match self.dice(3) {
            0 => (INBOX, Target::Inbox),
            _ => (OTHER, Target::Other),
        };
        let terms = Terms::to(to, Some(Target::Inbox)).with(&messages);
        self.run(vec![Command::move_to(&messages, name)], &terms).await;
    }

    async fn store(&mut self) {
        let Some((messages, _)) = self.some() else { return };
        let (action, flags) = (self.action(), self.some_flags());
        let mut store = Store::new(messages.clone(), action, flags.clone());
        let mut terms = terms(&messages);
        // Without MODSEQs a client cannot know whether news are older than its own silent change.
        if self.kind != Kind::Plain && self.dice(2) == 0 {
            store = store.silent();
            terms.silent = Some((action, flags));
        }
        self.run(vec![store.into()], &terms).await;
    }

    async fn store_if_unchanged(&mut self) {
        if self.kind == Kind::Plain {
            return self.store().await;
        }
        let Some((messages, uids)) = self.some() else {
            return;
        };
        let Some(slot) = self.slot(uids.first()) else {
            return;
        };
        let since = slot.mod_seq;
        let flags = self.some_flags();
        let store = Store::new(messages.clone(), self.action(), flags).unchanged_since(since);
        let (reply, _) = self.run(vec![store.into()], &terms(&messages)).await.remove(0);
        let by_uid = matches!(messages, Messages::Uids(_));
        if let Some(ReplyCode::Modified(left)) = reply.code.filter(|_| by_uid) {
            // What was left alone had changed; and the client is to be told how, or that it is gone.
            for uid in left.iter() {
                let slot = self.slot(Some(uid));
                assert!(
                    slot.is_none_or(|slot| slot.mod_seq > since),
                    "UID {uid} was left alone and had not changed since {since}: {slot:?}"
                );
            }
        }
    }

    /// Counts up in the flags of a message, if nobody else does at the same time.
    async fn count_up(&mut self) {
        if self.kind == Kind::Plain {
            return;
        }
        self.fetch("1").await;
        let (count, since) = (self.counter(), self.slot(Some(COUNTER)).unwrap().mod_seq);
        let bits = (0..16).filter(|bit| (count + 1) >> bit & 1 == 1);
        let mut flags = Flags::new();
        for bit in bits {
            flags.insert(keyword(&format!("bit{bit}")));
        }
        let counter = Messages::Uids(set("1"));
        let store = Store::new(counter, StoreAction::Replace, flags).unchanged_since(since);
        let (reply, _) = self.one(store).await;
        match &reply.code {
            Some(ReplyCode::Modified(left)) => assert_eq!(*left, UidSet::from(1..=1)),
            _ => self.ledger.counted(),
        }
    }

    async fn delete(&mut self) {
        let Some((messages, uids)) = self.some() else {
            return;
        };
        self.ledger.doom(&uids);
        let mut deleted = Flags::new();
        deleted.insert(Flag::Deleted);
        let store = Store::new(messages.clone(), StoreAction::Add, deleted);
        self.run(vec![store.into()], &terms(&messages)).await;
    }

    async fn expunge(&mut self) {
        let uids = self.picture.uids();
        match (self.dice(3), uids.first().zip(uids.last())) {
            (0, Some((first, last))) => {
                let some = UidSet::from(first + self.dice(last - first + 1)..=last);
                self.one(Command::uid_expunge(&set(&some.to_string()))).await;
            }
            _ => drop(self.one(Command::expunge()).await),
        }
    }

    async fn fetch_by_number(&mut self) {
        let count = self.picture.slots.len() as u32;
        if count > 0 {
            let from = 1 + self.dice(count);
            let to = from + self.dice(count - from + 1);
            let messages = Messages::Seqs(set(&format!("{from}:{to}")));
            let fetch = Fetch::new(messages.clone(), &self.items());
            self.run(vec![fetch.into()], &terms(&messages)).await;
        }
    }

    async fn fetch_news(&mut self) {
        let next = self.picture.uids().last().map_or(1, |last| last + 1);
        self.fetch(&format!("{next}:*")).await;
    }

    async fn fetch(&mut self, uids: &str) {
        let fetch = Fetch::new(Messages::Uids(set(uids)), &self.items());
        self.one(fetch).await;
    }

    async fn search(&mut self) {
        if self.dice(3) == 0 {
            let terms = Terms {
                no_expunge: true,
                by_number: true,
                ..Terms::default()
            };
            let search = Command::raw("SEARCH UNDELETED").unwrap();
            let (_, told) = self.run(vec![search], &terms).await.remove(0);
            let found = found(&told);
            assert!(
                found.last().unwrap_or(0) as usize <= self.picture.slots.len(),
                "{found}"
            );
            return;
        }
        let before = self.picture.uids();
        let key = match self.dice(3) {
            0 => SearchKey::All,
            1 => SearchKey::Has(Flag::Seen),
            _ => SearchKey::Has(keyword("a")),
        };
        let mut search = Search::new(vec![key]);
        if self.dice(2) == 0 {
            search = search.all().count();
        }
        let (_, told) = self.one(search).await;
        let strange = found(&told).difference(&before).difference(&self.picture.uids());
        let removed = strange.intersection(&self.ledger.removed());
        let room = self.picture.unknown() as u64 + removed.len();
        assert!(strange.len() <= room, "found, and never told of: {strange}");
    }

    async fn several_at_once(&mut self) {
        let (Some(some), Some(more)) = (self.some_uids(), self.some_uids()) else {
            return;
        };
        let fetch = |uids: &UidSet| Fetch::new(Messages::try_from(uids).unwrap(), &self.items());
        let commands = vec![
            fetch(&some).into(),
            Command::copy(&Messages::try_from(&more).unwrap(), OTHER),
            fetch(&more.difference(&some).union(&UidSet::from(1..=1))).into(),
            Command::noop(),
        ];
        self.run(commands, &Terms::to(Target::Other, None)).await;
    }

    async fn idle(&mut self) {
        let handle = self.wire.client.command(Command::idle());
        let ends = tokio::time::Instant::now() + Duration::from_millis(u64::from(self.dice(60)));
        let mut stopped = false;
        loop {
            let event = match stopped {
                true => self.wire.event().await,
                false => match tokio::time::timeout_at(ends, self.wire.event()).await {
                    Ok(event) => event,
                    Err(_) => {
                        stopped = true;
                        self.wire.client.stop_idle();
                        continue;
                    }
                },
            };
            match event {
                Event::Data(_, data) => self.picture.hear(&data, &Terms::default(), &self.ledger),
                Event::Notice(reply) => self.hear_code(&reply),
                Event::Done(done, reply) if done == handle => {
                    self.hear_code(&reply);
                    return self.tagged();
                }
                Event::Refused(_, reply) => panic!("IDLE: {reply}"),
                _ => {}
            }
        }
    }

    /// Takes messages back from the other mailbox.
    async fn look_elsewhere(&mut self) {
        let there = self.others().await;
        if let Ok(messages) = Messages::try_from(&there.places(0..4)) {
            let terms = Terms::to(Target::Inbox, Some(Target::Other));
            self.run(vec![Command::move_to(&messages, INBOX)], &terms).await;
        }
        self.elsewhere = false;
        self.select().await;
    }

    /// Comes back and asks what happened in between.
    async fn reconnect(&mut self) {
        if self.kind != Kind::Qresync {
            return;
        }
        self.resyncs += 1;
        let before = std::mem::take(&mut self.picture);
        self.wire = Wire::connect(self.address).await;
        self.log_in().await;
        tokio::time::sleep(Duration::from_millis(u64::from(self.dice(30)))).await;
        let cached = Cached::new(self.validity.unwrap(), Some(self.up_to), before.uids());
        let handle = self.wire.client.resync(INBOX, cached);
        let (mut rows, mut exists) = (vec![], 0);
        let resynced = loop {
            match self.wire.event().await {
                Event::Data(_, Data::Row(row)) => rows.push(row),
                Event::Data(_, Data::Selected(selected)) => exists = u64::from(selected.exists),
                Event::Data(_, Data::Exists(n)) => exists = u64::from(n),
                Event::Data(_, Data::Vanished { earlier: false, uids }) => exists -= uids.len(),
                Event::Resynced(done, resynced) if done == handle => break resynced,
                Event::Refused(_, reply) => panic!("SELECT: {reply}"),
                _ => {}
            }
        };
        self.ledger.gone(&resynced.drop);
        let mut known: Vec<Slot> = before.slots;
        known.retain(|slot| slot.uid.is_some_and(|uid| !resynced.drop.contains(uid)));
        known.extend(resynced.fetch.iter().map(|uid| Slot {
            uid: Some(uid),
            ..Slot::default()
        }));
        known.sort_by_key(|slot| slot.uid);
        self.picture.slots = known;
        let count = self.picture.slots.len() as u64;
        assert!(count <= exists, "{count} of {exists}: {resynced:?}");
        if count < exists {
            // Some came or went in between, and nobody said which number they have.
            self.picture.slots = vec![Slot::default(); exists as usize];
            self.up_to = resynced.highest_mod_seq.expect("MODSEQs");
            return self.fetch("1:*").await;
        }
        for mut row in rows {
            let Some(place) = row.uid.and_then(|uid| self.picture.place(uid).ok()) else {
                continue;
            };
            row.seq = place as u32 + 1;
            self.picture
                .hear(&Data::Row(row), &Terms::default(), &self.ledger);
        }
        // What the rows told came before the server said this.
        self.picture.mod_seq = 0;
        self.up_to = resynced.highest_mod_seq.expect("MODSEQs");
        if let Ok(news) = Messages::try_from(&resynced.fetch) {
            self.one(Fetch::new(news, &self.items())).await;
        }
    }

    // ---- when nobody acts

    /// Hears all that is left to hear.
    pub async fn settle(&mut self) {
        self.one(Command::noop()).await;
    }

    /// Holds this session's picture against that of one that has just come.
    pub async fn compare(&mut self, fresh: &Self) {
        let (mine, theirs) = (&self.picture.slots, &fresh.picture.slots);
        assert_eq!(mine.len(), theirs.len(), "{:?}", self.kind);
        for (n, (mine, theirs)) in mine.iter().zip(theirs).enumerate() {
            assert!(
                mine.uid.is_none() || mine.uid == theirs.uid,
                "{n}: {mine:?} {theirs:?}"
            );
            assert!(
                mine.flags.is_none() || mine.flags == theirs.flags,
                "{:?}, number {}: {mine:?} and not {theirs:?}",
                self.kind,
                n + 1
            );
            let is_told = self.kind == Kind::Plain || mine.flags.is_none();
            assert!(is_told || mine.mod_seq == theirs.mod_seq, "{mine:?} {theirs:?}");
        }
        for (key, flag) in [
            (SearchKey::All, None),
            (SearchKey::Has(Flag::Flagged), Some(Flag::Flagged)),
            (SearchKey::Has(keyword("a")), Some(keyword("a"))),
        ] {
            let (_, told) = self.one(Search::new(vec![key])).await;
            let has = |slot: &&Slot| {
                flag.as_ref()
                    .is_none_or(|f| slot.flags.as_ref().unwrap().contains(f))
            };
            let there = fresh.picture.slots.iter().filter(has);
            let there = UidSet::from_ranges(there.filter_map(|slot| slot.uid).map(|uid| uid..=uid));
            assert_eq!(found(&told), there, "SEARCH {flag:?}");
        }
        self.fetch("1:*").await;
    }

    pub fn uids(&self) -> UidSet {
        self.picture.uids()
    }

    /// What the flags of the message that counts say.
    pub fn counter(&self) -> u64 {
        let slot = self.slot(Some(COUNTER)).expect("nobody deletes it");
        let flags = slot.flags.as_ref().expect("it was fetched");
        let is_set = |bit: &u64| flags.contains(&keyword(&format!("bit{bit}")));
        (0..16).filter(is_set).map(|bit| 1 << bit).sum()
    }

    /// Selects the other mailbox, and says what is in it.
    pub async fn others(&mut self) -> UidSet {
        self.elsewhere = true;
        self.one(Command::select(OTHER)).await;
        found(&self.one(Search::new(vec![])).await.1)
    }

    // ---- commands

    /// Runs a command during which anything may be told.
    async fn one(&mut self, command: impl Into<Command>) -> (Reply, Vec<Data>) {
        self.run(vec![command.into()], &Terms::default()).await.remove(0)
    }

    /// Runs commands, as many at once as may be, and takes note of everything. None may fail, but for those with
    /// sequence numbers of messages that another session has expunged.
    async fn run(&mut self, commands: Vec<Command>, terms: &Terms) -> Vec<(Reply, Vec<Data>)> {
        let said = format!("{commands:?}");
        let handles = self.wire.queue(commands);
        let mut replies: Vec<(Option<Reply>, Vec<Data>)> = handles.iter().map(|_| (None, vec![])).collect();
        let of = |handle: Handle| handles.iter().position(|it| *it == handle);
        while replies.iter().any(|(reply, _)| reply.is_none()) {
            match self.wire.event().await {
                Event::Data(owner, data) => {
                    self.note(&data, terms);
                    if !self.elsewhere {
                        self.picture.hear(&data, terms, &self.ledger);
                    }
                    if let Some(at) = owner.and_then(of) {
                        replies[at].1.push(data);
                    }
                }
                Event::Upload { .. } => self.wire.upload(Bytes::from_static(MESSAGE)),
                Event::Done(handle, reply) => {
                    self.hear_code(&reply);
                    self.tagged();
                    replies[of(handle).expect("one of them")].0 = Some(reply);
                }
                Event::Notice(reply) => self.hear_code(&reply),
                Event::Refused(handle, reply) => {
                    // RFC 2180 §4.2.1, RFC 7162 §3.1.3
                    let gone = reply.refusal() == Some(Code::ExpungeIssued)
                        || matches!(reply.code, Some(ReplyCode::Modified(_)));
                    let excused = gone && terms.by_number;
                    assert!(excused, "{said}: {reply:?}");
                    replies[of(handle).expect("one of them")].0 = Some(reply);
                }
                Event::Unsent(_, why) => panic!("{said}: {why}"),
                Event::Bye(reply) => panic!("{said}: BYE {reply}"),
                _ => {}
            }
        }
        replies
            .into_iter()
            .map(|(reply, told)| (reply.expect("all are answered"), told))
            .collect()
    }

    fn hear_code(&mut self, reply: &Reply) {
        if let Some(ReplyCode::HighestModSeq(highest)) = reply.code {
            self.said = Some(highest);
        }
    }

    /// The rule of RFC 7162 §6.
    fn tagged(&mut self) {
        let highest = std::mem::take(&mut self.picture.mod_seq);
        self.up_to = match self.said.take() {
            Some(said) => said,
            None => self.up_to.max(highest),
        };
    }

    /// Puts into the books what a command brought and took.
    fn note(&self, data: &Data, terms: &Terms) {
        match data {
            Data::Appended(appended) => self.ledger.given(Target::Inbox, &appended.uids.to_set()),
            Data::Copied(copied) => {
                let to = terms.to.expect("a command that copies");
                self.ledger.given(to, &copied.to.to_set());
                let from = terms.from.unwrap_or(Target::Inbox);
                self.ledger.copied(from, to, copied.pairs());
                if let Some(from) = terms.from {
                    self.ledger.moved(from, &copied.from.to_set());
                }
            }
            _ => {}
        }
    }

    // ---- chance

    fn dice(&mut self, sides: u32) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 32) % u64::from(sides.max(1))) as u32
    }

    fn action(&mut self) -> StoreAction {
        [StoreAction::Add, StoreAction::Remove, StoreAction::Replace][self.dice(3) as usize]
    }

    fn some_flags(&mut self) -> Flags {
        let mut flags = Flags::new();
        for flag in [
            Flag::Seen,
            Flag::Flagged,
            Flag::Answered,
            keyword("a"),
            keyword("b"),
        ] {
            if self.dice(2) == 0 {
                flags.insert(flag);
            }
        }
        flags
    }

    /// Some messages whose UIDs are known, by number or by UID, and their UIDs. Not the one that counts.
    fn some(&mut self) -> Option<(Messages, UidSet)> {
        let uids = self.some_uids()?;
        let first = self.slots_from(&uids);
        let messages = match self.dice(2) {
            0 => Messages::Seqs(set(&first.to_string())),
            _ => Messages::try_from(&uids).ok()?,
        };
        Some((messages, uids))
    }

    fn some_uids(&mut self) -> Option<UidSet> {
        let known = self.picture.uids().difference(&UidSet::from(COUNTER..=COUNTER));
        let at = u64::from(self.dice(known.len() as u32));
        let count = 1 + u64::from(self.dice(5));
        let some = known.places(at..at + count);
        (!some.is_empty()).then_some(some)
    }

    /// The sequence numbers of messages.
    fn slots_from(&self, uids: &UidSet) -> UidSet {
        let numbered = self.picture.slots.iter().zip(1..);
        let there = numbered.filter(|(slot, _)| slot.uid.is_some_and(|uid| uids.contains(uid)));
        UidSet::from_ranges(there.map(|(_, n)| n..=n))
    }

    fn slot(&self, uid: Option<u32>) -> Option<&Slot> {
        self.picture.slots.iter().find(|slot| slot.uid == uid)
    }

    fn items(&self) -> Vec<FetchItem> {
        match self.kind {
            Kind::Plain => vec![FetchItem::Flags],
            _ => vec![FetchItem::Flags, FetchItem::ModSeq],
        }
    }
}

fn terms(messages: &Messages) -> Terms {
    Terms {
        no_expunge: matches!(messages, Messages::Seqs(_)),
        by_number: matches!(messages, Messages::Seqs(_)),
        ..Terms::default()
    }
}

fn keyword(name: &str) -> Flag {
    Flag::Keyword(Keyword::new(name).expect("a keyword"))
}

fn set(text: &str) -> SequenceSet {
    SequenceSet::parse(text.as_bytes()).expect("a set")
}

fn found(told: &[Data]) -> UidSet {
    let found = told.iter().find_map(|data| match data {
        Data::Search(result) => Some(result.all.clone()),
        _ => None,
    });
    found.unwrap_or_default()
}

const MESSAGE: &[u8] = b"Subject: stress\r\nFrom: a@a.test\r\n\r\nA body.\r\n";
