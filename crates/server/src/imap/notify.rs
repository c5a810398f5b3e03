//! NOTIFY: what happens in mailboxes other than the selected one (RFC 5465), and with annotations (RFC 5464 §4.1)
//!
//! A feed says that a mailbox has changed, and not what has. So a session that watches keeps what its client knows of
//! each mailbox, looks again at those that the feeds name, and tells the difference. Of what the session does itself
//! the client knows already: that is noted here and not told.

use super::backend::{Backend, Failure, Listed, Mailboxes};
use super::folders::{Row, rows, status_of};
use super::session::{Session, Stop};
use super::watching::{Entries, Known, State, Wants, Watching};
use mailwright_imap::{self as imap, Code, MailboxFilter, Notice, NotifyRequest, Rejection, Watch, Watched};
use mailwright_mailbox::{
    Account, Annotation, Change, EntryName, MailboxId, MailboxName, Rights, Snapshot, UidSet,
};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

impl<B: Backend> Session<B> {
    pub(super) async fn notify(&mut self, request: &NotifyRequest) -> Result<(), Stop> {
        // RFC 5465 §3.1: what has accumulated is told first, as by NOOP.
        self.sync().await?;
        let metadata = self.conn.machine().tells_metadata();
        let wants = Wants::of(&request.watches, metadata);
        // If this fails, what was watched before still is.
        self.watching = match wants == Wants::default() {
            true => None,
            false => Some(Box::new(self.begin(wants, Some(request)).await?)),
        };
        self.yes()
    }

    /// Begins to watch without NOTIFY, where the client has enabled METADATA.
    pub(super) async fn watch_metadata(&mut self) {
        let wants = Wants::of(self.conn.machine().watches(), true);
        match self.begin(wants, None).await {
            Ok(watching) => self.watching = Some(Box::new(watching)),
            Err(_) => self.conn.machine().notices_overflow(),
        }
    }

    /// Reads all that the client is to know from here on, and answers what it wants to know at once.
    async fn begin(&mut self, wants: Wants, request: Option<&NotifyRequest>) -> Result<Watching, Stop> {
        let mail = self.mail()?;
        let mut watching = Watching {
            wants,
            known: BTreeMap::new(),
            subscribed: BTreeSet::new(),
            of_server: Entries::new(),
            feeds: BTreeMap::new(),
        };
        let mut listed = mail.list().await?;
        // What changes between the list and the feed would be missed.
        if watching.follow(&*mail, &listed) {
            listed = mail.list().await?;
        }
        if listed.len() > self.max_watched {
            let why = "There are more mailboxes than can be watched";
            return Err(Rejection::new(Some(Code::NotificationOverflow), why).into());
        }
        watching.subscribed = subscriptions(&*mail, &listed).await?;
        if wants.of_server {
            watching.of_server = entries(&mail.annotations(None).await?);
        }
        let selected = self.selected.as_ref().map(|selected| selected.mailbox);
        for listed in listed {
            let Some((known, snapshot)) = read(&*mail, listed, wants).await? else {
                continue;
            };
            let listed = &known.listed;
            if let Some(request) = request {
                if let Some(snapshot) = snapshot.filter(|_| request.status && selected != Some(listed.id)) {
                    let watched = watched(&*mail, listed);
                    let status = status_of::<B::Mailboxes>(listed.id, &snapshot);
                    self.conn.machine().notify_status(&watched, &status);
                } else if !may_watch(listed) && is_named(&request.watches, listed) {
                    self.conn.machine().notify_no_access(listed.name.as_str());
                }
                self.make_room().await?;
            }
            watching.known.insert(listed.id, known);
        }
        Ok(watching)
    }

    /// Looks at what the feeds say has changed, and tells the client what did.
    pub(super) async fn look(&mut self, changes: &[Change]) {
        let (Some(mut watching), Some(mail)) = (self.watching.take(), self.mail.clone()) else {
            return;
        };
        let machine = self.conn.machine();
        if machine.watches().is_empty() && !machine.tells_metadata() {
            // It has overflowed.
            return;
        }
        match self.tell_changes(&mut watching, &mail, changes).await {
            Ok(()) => self.watching = Some(watching),
            Err(failure) => {
                // What was not seen cannot be told, and the client must know that.
                tracing::error!(peer = %self.peer, "imap: mailboxes are no longer watched: {failure}");
                self.conn.machine().notices_overflow();
            }
        }
    }

    async fn tell_changes(
        &mut self,
        watching: &mut Watching,
        mail: &Arc<B::Mailboxes>,
        changes: &[Change],
    ) -> Result<(), Failure> {
        let mut listed_again = changes.iter().any(|change| watching.asks_for_list(change));
        if listed_again {
            self.tell_names(watching, mail).await?;
        }
        for change in changes {
            if self.tell_mailbox(watching, mail, change.mailbox).await? && !listed_again {
                // It has another name.
                listed_again = true;
                self.tell_names(watching, mail).await?;
                self.tell_mailbox(watching, mail, change.mailbox).await?;
            }
        }
        if watching.wants.of_server {
            let entries = entries(&mail.annotations(None).await?);
            let changed = difference(&watching.of_server, &entries);
            watching.of_server = entries;
            if !changed.is_empty() {
                self.conn.machine().notice_server_metadata(&changed);
            }
        }
        Ok(())
    }

    /// Tells which mailboxes came, went or were renamed, and which names are subscribed to.
    async fn tell_names(&mut self, watching: &mut Watching, mail: &Arc<B::Mailboxes>) -> Result<(), Failure> {
        let mut listed = mail.list().await?;
        if watching.follow(&**mail, &listed) {
            listed = mail.list().await?;
        }
        if listed.len() > self.max_watched {
            self.conn.machine().notices_overflow();
            return Ok(());
        }
        let subscribed = subscriptions(&**mail, &listed).await?;
        let rows = rows(&listed, subscribed.iter().cloned().collect());
        let mut present: BTreeMap<_, _> = listed.into_iter().map(|listed| (listed.id, listed)).collect();
        // Who is the owner of what came or went, by its name.
        let mut named: BTreeMap<MailboxName, Option<Account>> = BTreeMap::new();
        let mut renamed: Vec<(MailboxName, Listed)> = Vec::new();
        let gone = |id: &MailboxId| !present.contains_key(id);
        let gone: Vec<_> = watching.known.keys().copied().filter(gone).collect();
        for known in gone.iter().filter_map(|id| watching.known.remove(id)) {
            note(&mut named, known.listed);
        }
        for (id, known) in &mut watching.known {
            let Some(listed) = present.remove(id) else {
                continue;
            };
            if listed.name != known.listed.name {
                renamed.push((known.listed.name.clone(), listed.clone()));
            }
            if !may_watch(&listed) {
                known.state = None;
            }
            known.listed = listed;
        }
        for listed in present.into_values() {
            // What is in it is told as it is looked at.
            let none = Wants::default();
            if let Some((mut known, _)) = read(&**mail, listed.clone(), none).await? {
                known.own_name = None;
                watching.known.insert(listed.id, known);
                note(&mut named, listed);
            }
        }
        for (name, owner) in &named {
            let watched = watched_name(&**mail, name, owner.as_ref(), &rows);
            let row = rows.get(name).map(|row| row.told(name.as_str()));
            let row = row.unwrap_or_else(|| missing(name));
            self.conn.machine().notice(&watched, &Notice::Named(&row));
        }
        for (from, listed) in &renamed {
            // What is below a mailbox moves with it, and the client knows that.
            let moved = |(old, new): &(MailboxName, Listed)| {
                from != old && from.rebased(old, &new.name).as_ref() == Some(&listed.name)
            };
            if let Some(row) = rows.get(&listed.name).filter(|_| !renamed.iter().any(moved)) {
                let row = &row.told(listed.name.as_str());
                let from = from.as_str();
                let watched = watched(&**mail, listed);
                self.conn
                    .machine()
                    .notice(&watched, &Notice::Renamed { row, from });
            }
        }
        for name in watching.subscribed.symmetric_difference(&subscribed) {
            let owner = watching.known.values().find(|known| known.listed.name == *name);
            let owner = owner.and_then(|known| known.listed.owner.as_ref());
            let watched = watched_name(&**mail, name, owner, &rows);
            let row = rows.get(name).map(|row| row.told(name.as_str()));
            let row = row.unwrap_or_else(|| missing(name));
            self.conn.machine().notice(&watched, &Notice::Subscribed(&row));
        }
        watching.subscribed = subscribed;
        Ok(())
    }

    /// Tells what has changed in a mailbox. Tells the caller whether it has another name than it had.
    async fn tell_mailbox(
        &mut self,
        watching: &mut Watching,
        mail: &Arc<B::Mailboxes>,
        mailbox: MailboxId,
    ) -> Result<bool, Failure> {
        let wants = watching.wants;
        let Some(known) = watching.known.get_mut(&mailbox) else {
            return Ok(false);
        };
        if !may_watch(&known.listed) {
            return Ok(false);
        }
        let snapshot = match mail.snapshot(mailbox).await {
            Ok(snapshot) => snapshot,
            Err(Failure::NoSuchMailbox | Failure::Refused(_)) => return Ok(true),
            Err(failure) => return Err(failure),
        };
        if *known.own_name.get_or_insert_with(|| snapshot.name.clone()) != snapshot.name {
            known.own_name = Some(snapshot.name);
            return Ok(true);
        }
        let watched = watched(&**mail, &known.listed);
        let is_selected = self.selected.as_ref().is_some_and(|it| it.mailbox == mailbox);
        // What happens in the selected mailbox is told in other words.
        if wants.messages && !is_selected {
            let state = State::of(&snapshot);
            let status = status_of::<B::Mailboxes>(mailbox, &snapshot);
            let before = known.state.replace(state);
            let same = before.map_or(state.exists == 0, |before| before.has_same_messages(&state));
            if !same {
                self.conn.machine().notice(&watched, &Notice::Messages(&status));
            }
            let flags = |before: State| {
                before.uid_validity != state.uid_validity
                    || before.unseen != state.unseen
                    || (same && before.mod_seq < state.mod_seq)
            };
            if before.is_some_and(flags) {
                self.conn.machine().notice(&watched, &Notice::Flags(&status));
            }
        }
        if wants.annotations {
            let entries = entries(&mail.annotations(Some(mailbox)).await?);
            let changed = difference(&known.annotations, &entries);
            known.annotations = entries;
            if !changed.is_empty() {
                self.conn.machine().notice(&watched, &Notice::Metadata(&changed));
            }
        }
        Ok(false)
    }

    /// This session has put messages into a mailbox.
    pub(super) async fn has_added(&mut self, mailbox: MailboxId, uids: &UidSet) {
        if self.selected.as_ref().is_some_and(|it| it.mailbox == mailbox) {
            return;
        }
        let (Some(watching), Some(mail)) = (&mut self.watching, &self.mail) else {
            return;
        };
        let known = watching.known.get_mut(&mailbox);
        let (
            Some(Known {
                state: Some(state), ..
            }),
            Some(last),
        ) = (known, uids.last())
        else {
            return;
        };
        if state.uid_next != uids.iter().next() {
            // Others were faster, and the client is yet to hear of that.
            return;
        }
        state.exists = state
            .exists
            .saturating_add(u32::try_from(uids.len()).unwrap_or(u32::MAX));
        state.uid_next = last.next();
        // If that is all, the rest is of these messages as well.
        if let Ok(snapshot) = mail.snapshot(mailbox).await
            && State::of(&snapshot).has_same_messages(state)
        {
            *state = State::of(&snapshot);
        }
    }

    /// This session has made a mailbox, perhaps with messages of its own.
    pub(super) async fn has_made(&mut self, mailbox: &MailboxName) {
        let (Some(watching), Some(mail)) = (&mut self.watching, &self.mail) else {
            return;
        };
        if let Ok(listed) = mail.find(mailbox).await
            && let Ok(Some((known, _))) = read(&**mail, listed, watching.wants).await
        {
            watching.known.insert(known.listed.id, known);
        }
    }

    /// This session has deleted a mailbox.
    pub(super) fn has_deleted(&mut self, mailbox: MailboxId) {
        if let Some(watching) = &mut self.watching {
            watching.known.remove(&mailbox);
        }
    }

    /// This session has renamed a mailbox, and what is below it.
    pub(super) async fn has_renamed(&mut self, from: &MailboxName, to: &MailboxName) {
        if from.is_inbox() {
            return self.has_made(to).await;
        }
        let Some(watching) = &mut self.watching else {
            return;
        };
        for known in watching.known.values_mut() {
            if let Some(name) = known.listed.name.rebased(from, to) {
                known.listed.name = name;
                known.own_name = None;
            }
        }
    }

    /// This session has begun or ended a subscription.
    pub(super) fn has_subscribed(&mut self, name: &MailboxName, on: bool) {
        let Some(watching) = &mut self.watching else {
            return;
        };
        match on {
            true => watching.subscribed.insert(name.clone()),
            false => watching.subscribed.remove(name),
        };
        for known in watching.known.values_mut() {
            if known.listed.name == *name {
                known.listed.subscribed = on;
            }
        }
    }

    /// This session has set annotations.
    pub(super) fn has_annotated(&mut self, mailbox: Option<MailboxId>, entries: &[(EntryName, Option<u64>)]) {
        let Some(watching) = &mut self.watching else {
            return;
        };
        let known = match mailbox {
            Some(mailbox) => watching.known.get_mut(&mailbox).map(|it| &mut it.annotations),
            None => Some(&mut watching.of_server),
        };
        let Some(known) = known else { return };
        for (name, value) in entries {
            match value {
                Some(value) => known.insert(name.clone(), *value),
                None => known.remove(name),
            };
        }
    }

    /// The client leaves the selected mailbox, with what it knows of it by now.
    pub(super) async fn leave(&mut self) {
        let Some(left) = self.selected.take() else { return };
        let told = self.conn.machine().view().and_then(imap::View::told_up_to);
        let (Some(watching), Some(mail)) = (&mut self.watching, &self.mail) else {
            return;
        };
        let Some(known) = watching.known.get_mut(&left.mailbox) else {
            return;
        };
        let Ok(snapshot) = mail.snapshot(left.mailbox).await else {
            return;
        };
        let state = State::of(&snapshot);
        if told.is_some_and(|told| told >= state.mod_seq.value()) {
            known.state = Some(state);
        } else if let Some(state) = &mut known.state {
            // Whatever the numbers were, they are not what the client takes them for.
            (state.uid_next, state.unseen) = (None, u32::MAX);
            let change = Change::new(left.mailbox, snapshot.highest_mod_seq);
            self.look(&[change]).await;
        }
    }
}

/// The hash that stands for the value of an annotation.
pub(super) fn hash_of(value: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Reads what is to be known of a mailbox; `None` when it has just gone.
async fn read<M: Mailboxes>(
    mail: &M,
    listed: Listed,
    wants: Wants,
) -> Result<Option<(Known, Option<Snapshot>)>, Failure> {
    let mut known = Known {
        listed,
        own_name: None,
        state: None,
        annotations: Entries::new(),
    };
    if !may_watch(&known.listed) {
        return Ok(Some((known, None)));
    }
    let snapshot = match mail.snapshot(known.listed.id).await {
        Ok(snapshot) => snapshot,
        Err(Failure::NoSuchMailbox | Failure::Refused(_)) => return Ok(None),
        Err(failure) => return Err(failure),
    };
    known.own_name = Some(snapshot.name.clone());
    if wants.messages {
        known.state = Some(State::of(&snapshot));
    }
    if wants.annotations {
        known.annotations = entries(&mail.annotations(Some(known.listed.id)).await?);
    }
    Ok(Some((known, Some(snapshot))))
}

/// All names that are subscribed to.
async fn subscriptions<M: Mailboxes>(mail: &M, listed: &[Listed]) -> Result<BTreeSet<MailboxName>, Failure> {
    let mut all: BTreeSet<_> = mail.subscriptions().await?.into_iter().collect();
    let subscribed = listed.iter().filter(|listed| listed.subscribed);
    all.extend(subscribed.map(|listed| listed.name.clone()));
    Ok(all)
}

fn entries(annotations: &[Annotation]) -> Entries {
    let entry = |one: &Annotation| (one.name.clone(), hash_of(&one.value));
    annotations.iter().map(entry).collect()
}

/// The names of what was set, changed or removed.
fn difference(before: &Entries, after: &Entries) -> Vec<imap::EntryName> {
    let removed = before.keys().filter(|name| !after.contains_key(*name));
    let set = after
        .iter()
        .filter(|(name, value)| before.get(*name) != Some(*value));
    let names = removed.chain(set.map(|(name, _)| name));
    names
        .filter_map(|name| imap::EntryName::parse(name.as_str().as_bytes()))
        .collect()
}

/// RFC 5465 §5: all events need the rights to see and to read.
fn may_watch(listed: &Listed) -> bool {
    listed.rights.contains(Rights::LOOKUP | Rights::READ)
}

/// Whether a request names a mailbox itself.
fn is_named(watches: &[Watch], listed: &Listed) -> bool {
    let is = |one: &String| listed.name.as_str() == one;
    listed.rights.contains(Rights::LOOKUP)
        && watches.iter().any(|watch| match &watch.filter {
            MailboxFilter::Mailboxes(names) | MailboxFilter::Subtree(names) => names.iter().any(is),
            _ => false,
        })
}

/// A mailbox as the engine decides whether it is watched.
fn watched<'a, M: Mailboxes>(mail: &M, listed: &'a Listed) -> Watched<'a> {
    let mut watched = Watched::new(listed.name.as_str());
    watched.inbox = mail.receives(listed);
    watched.personal = listed.owner.is_none();
    watched.subscribed = listed.subscribed;
    watched
}

/// The same for a name that need not have a mailbox (any more).
fn watched_name<'a, M: Mailboxes>(
    mail: &M,
    name: &'a MailboxName,
    owner: Option<&Account>,
    rows: &BTreeMap<MailboxName, Row>,
) -> Watched<'a> {
    let mut listed = Listed::new(MailboxId::new(0), name.clone());
    listed.owner = owner.cloned();
    let mut watched = Watched::new(name.as_str());
    watched.inbox = mail.receives(&listed);
    watched.personal = owner.is_none();
    watched.subscribed = rows.get(name).is_some_and(|row| row.subscribed);
    watched
}

/// A name that came or went, and the level above it: whether that has others below it may have changed
/// (RFC 5465 §5.4).
fn note(named: &mut BTreeMap<MailboxName, Option<Account>>, listed: Listed) {
    if let Some(parent) = listed.name.parent() {
        named.entry(parent).or_insert_with(|| listed.owner.clone());
    }
    named.insert(listed.name, listed.owner);
}

fn missing(name: &MailboxName) -> imap::ListRow<'_> {
    let mut row = imap::ListRow::new(name.as_str());
    row.non_existent = true;
    row
}
