//! NOTIFY (RFC 5465)

use super::{Phase, Reply, Server, State, Task, Turn};
use crate::codec::{NotifyCommand, Out};
use crate::data::StatusItem;
use crate::{
    Capability, EntryName, Event, FetchItem, ListRow, MailboxFilter, Notice, NotifyRequest, Status, UidSet,
    Updates, Watch, Watched, When,
};
use bytes::Bytes;
use mailwright_wire::SendBuf;
use std::collections::BTreeMap;

/// What the client wants to hear of, and what waits to be told.
#[derive(Debug, Default)]
pub(super) struct Watching {
    watches: Vec<Watch>,
    /// Mailboxes whose state is to be told, with which items.
    statuses: BTreeMap<String, (Vec<StatusItem>, Status)>,
    /// Responses that are to be told.
    lines: SendBuf,
    /// Messages of the selected mailbox up to here need not be fetched for the client.
    fetched_up_to: u32,
}

/// Where the session goes on after telling what nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Resume {
    Command,
    Idle,
}

impl Resume {
    /// Nobody asked, so there is nothing to complete.
    pub(super) fn phase(self) -> Phase {
        match self {
            Self::Command => Phase::Command,
            Self::Idle => Phase::Idle(Updates::default()),
        }
    }
}

impl Watching {
    fn selected(&self) -> Option<&Watch> {
        self.watches.iter().find(|watch| watch.is_selected())
    }
}

impl Server {
    pub(super) fn notify_command(&mut self, command: NotifyCommand) {
        if !self.offers(Capability::Notify) {
            return self.bad("the command is not known");
        }
        if command.has_unknown {
            let mut code =
                String::from("BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange");
            code.push_str(" MailboxMetadataChange ServerMetadataChange)");
            return self.reply_now(&Reply::no_with(code, "An event is not supported"));
        }
        let items = command
            .watches
            .iter()
            .flat_map(|watch| watch.fetch.iter().flatten());
        if !items.into_iter().all(|item| self.knows_item(item)) {
            return self.bad("a data item is not known");
        }
        let mut watches = Vec::with_capacity(command.watches.len());
        for watch in command.watches {
            let Some(filter) = self.mailbox_filter(watch.filter) else {
                return;
            };
            watches.push(Watch {
                filter,
                messages: watch.messages,
                flags: watch.flags,
                names: watch.names,
                subscriptions: watch.subscriptions,
                mailbox_metadata: watch.mailbox_metadata,
                server_metadata: watch.server_metadata,
                fetch: watch.fetch,
            });
        }
        let request = NotifyRequest {
            watches: watches.clone(),
            status: command.status,
        };
        self.ask(Event::Notify(request), Task::Notify(watches));
    }

    /// Tells how a mailbox stands in answer to [`Event::Notify`], if the request asks for that. Give every mailbox
    /// that the user may see but for the selected one; the engine picks what is watched.
    ///
    /// # Panics
    ///
    /// Panics if that was not asked.
    pub fn notify_status(&mut self, mailbox: &Watched<'_>, status: &Status) {
        let Phase::Asked(Task::Notify(watches)) = &self.phase else {
            panic!("nothing was to be watched")
        };
        let watched = |event: fn(&Watch) -> bool| self.is_watched(watches, mailbox, event);
        let (messages, flags) = (watched(|it| it.messages), watched(|it| it.flags));
        let items = self.status_items(messages, flags, true);
        if messages || flags {
            self.put_status(mailbox.name, &items, status);
        }
    }

    /// Tells, in answer to [`Event::Notify`], that the user can see a mailbox of the request but may not watch it
    /// (RFC 5465 §3.1).
    ///
    /// # Panics
    ///
    /// Panics if that was not asked.
    pub fn notify_no_access(&mut self, name: &str) {
        assert!(
            matches!(self.phase, Phase::Asked(Task::Notify(_))),
            "nothing was to be watched"
        );
        let delimiter = self.config.delimiter;
        let row = ListRow::new(name);
        self.out()
            .raw("* LIST ")
            .list_row(&row, delimiter, &["\\NoAccess"])
            .raw("\r\n");
    }

    /// Whether the client hears of changes at any time, and not only with the answer to a command: it idles, or
    /// watches something.
    pub fn is_listening(&self) -> bool {
        self.is_idling() || self.watching.is_some()
    }

    /// What the client watches; nothing before NOTIFY and after an overflow.
    pub fn watches(&self) -> &[Watch] {
        self.watching.as_deref().map_or(&[], |watching| &watching.watches)
    }

    /// Whether changes of annotations are told, be they [watched](Server::watches) or not: the client has enabled
    /// METADATA (RFC 5464 §4.1).
    pub fn tells_metadata(&self) -> bool {
        self.enabled.metadata
    }

    pub(super) fn accept_notify(&mut self, watches: Vec<Watch>) {
        let fetched_up_to = self.last_uid();
        self.watching = (!watches.is_empty() || self.enabled.metadata).then(|| {
            Box::new(Watching {
                watches,
                fetched_up_to,
                ..Watching::default()
            })
        });
        self.complete(Reply::ok("Notify completed"), When::Anything);
    }

    /// Tells what happened in a mailbox other than the selected one, if the client watches it (RFC 5465 §5). It
    /// goes out as soon as no response is in the way, whether the client idles or not. Call it at any time, but
    /// not for what this session did itself.
    ///
    /// When more waits than [`Config::max_notices`](crate::Config::max_notices), nothing is watched any longer, and
    /// the client is told so (RFC 5465 §5.8).
    pub fn notice(&mut self, mailbox: &Watched<'_>, notice: &Notice<'_>) {
        let Some(watching) = &self.watching else { return };
        let watched = |event: fn(&Watch) -> bool| self.is_watched(&watching.watches, mailbox, event);
        let is_watched = match notice {
            Notice::Messages(_) => watched(|it| it.messages),
            Notice::Flags(_) => watched(|it| it.flags),
            Notice::Named(_) | Notice::Renamed { .. } => watched(|it| it.names),
            Notice::Subscribed(_) => watched(|it| it.subscriptions),
            Notice::Metadata(_) => self.enabled.metadata || watched(|it| it.mailbox_metadata),
        };
        if !is_watched {
            return;
        }
        match notice {
            Notice::Messages(status) => self.keep_status(mailbox.name, status, (true, false)),
            Notice::Flags(status) => self.keep_status(mailbox.name, status, (false, true)),
            Notice::Named(row) => self.keep_row(row, mailbox.subscribed, None),
            Notice::Renamed { row, from } => self.keep_row(row, mailbox.subscribed, Some(from)),
            Notice::Subscribed(row) => self.keep_row(row, row.subscribed, None),
            Notice::Metadata(entries) => self.keep_entries(mailbox.name, entries),
        }
    }

    /// Tells that annotations of the server were set or removed, as [`notice`](Server::notice) does.
    pub fn notice_server_metadata(&mut self, entries: &[EntryName]) {
        let is_watched = |watching: &Watching| watching.watches.iter().any(|it| it.server_metadata);
        if self.enabled.metadata || self.watching.as_deref().is_some_and(is_watched) {
            self.keep_entries("", entries);
        }
    }

    /// Stops watching, and tells the client (RFC 5465 §5.8). For when changes can no longer be followed.
    pub fn notices_overflow(&mut self) {
        if let Some(watching) = &mut self.watching {
            **watching = Watching::default();
            Out::new(&mut watching.lines).raw("* OK [NOTIFICATIONOVERFLOW] Too much has changed\r\n");
        }
    }

    fn keep_status(&mut self, name: &str, status: &Status, (messages, flags): (bool, bool)) {
        let items = self.status_items(messages, flags, false);
        let most = self.config.max_notices;
        let Some(watching) = &mut self.watching else {
            return;
        };
        let kept = watching.statuses.entry(name.to_owned()).or_default();
        kept.1 = status.clone();
        for item in items {
            if !kept.0.contains(&item) {
                kept.0.push(item);
            }
        }
        if watching.statuses.len() > most {
            self.notices_overflow();
        }
    }

    fn keep_row(&mut self, row: &ListRow<'_>, subscribed: bool, from: Option<&str>) {
        let extra = [
            row.non_existent.then_some("\\NonExistent"),
            subscribed.then_some("\\Subscribed"),
        ];
        let extra: Vec<&str> = extra.into_iter().flatten().collect();
        let delimiter = self.config.delimiter;
        self.keep_line(|out| {
            out.raw("* LIST ").list_row(row, delimiter, &extra);
            if let Some(from) = from {
                out.raw(" (\"OLDNAME\" (").mailbox(from).raw("))");
            }
            out.raw("\r\n");
        });
    }

    fn keep_entries(&mut self, name: &str, entries: &[EntryName]) {
        self.keep_line(|out| {
            out.raw("* METADATA ").mailbox(name);
            for entry in entries {
                out.raw(" ").astring(entry.as_str().as_bytes());
            }
            out.raw("\r\n");
        });
    }

    fn keep_line(&mut self, print: impl FnOnce(&mut Out<'_>)) {
        let utf8 = self.uses_utf8();
        let most = self.config.max_notices.saturating_mul(LONGEST_LINE);
        let Some(watching) = &mut self.watching else {
            return;
        };
        print(&mut Out::with_utf8(&mut watching.lines, utf8));
        if watching.lines.len() > most {
            self.notices_overflow();
        }
    }

    fn status_items(&self, messages: bool, flags: bool, whole: bool) -> Vec<StatusItem> {
        use StatusItem as S;
        let pick: &[(bool, StatusItem)] = &[
            (messages, S::Messages),
            (messages, S::UidNext),
            (whole || flags, S::UidValidity),
            (flags && !whole, S::Unseen),
            (
                self.enabled.condstore || (whole && flags && self.offers_mod_seqs()),
                S::HighestModSeq,
            ),
        ];
        let picked = pick.iter().filter(|(wanted, _)| *wanted);
        picked.map(|(_, item)| *item).collect()
    }

    /// Whether a group of mailboxes to which this one belongs is watched for an event.
    fn is_watched(&self, watches: &[Watch], mailbox: &Watched<'_>, event: fn(&Watch) -> bool) -> bool {
        let delimiter = self.config.delimiter;
        let is_below = |top: &String| {
            let rest = mailbox.name.strip_prefix(top.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(delimiter) || top.is_empty())
        };
        let belongs = |filter: &MailboxFilter| match filter {
            MailboxFilter::Inboxes => mailbox.inbox,
            MailboxFilter::Personal => mailbox.personal,
            MailboxFilter::Subscribed => mailbox.subscribed,
            MailboxFilter::Subtree(tops) => tops.iter().any(is_below),
            MailboxFilter::Mailboxes(names) => names.iter().any(|name| name == mailbox.name),
            MailboxFilter::Selected | MailboxFilter::SelectedDelayed | MailboxFilter::SubtreeOne(_) => false,
        };
        watches.iter().any(|watch| event(watch) && belongs(&watch.filter))
    }

    /// The names of a filter in UTF-8; `None` if it was refused.
    pub(super) fn mailbox_filter(&mut self, filter: MailboxFilter<Bytes>) -> Option<MailboxFilter> {
        use MailboxFilter as F;
        let mut names = |list: Vec<Bytes>| -> Option<Vec<String>> {
            list.iter().map(|name| self.mailbox_name(name)).collect()
        };
        Some(match filter {
            F::Selected => F::Selected,
            F::SelectedDelayed => F::SelectedDelayed,
            F::Inboxes => F::Inboxes,
            F::Personal => F::Personal,
            F::Subscribed => F::Subscribed,
            F::Subtree(list) => F::Subtree(names(list)?),
            F::SubtreeOne(list) => F::SubtreeOne(names(list)?),
            F::Mailboxes(list) => F::Mailboxes(names(list)?),
        })
    }

    /// Whether changes of the selected mailbox are told while the client idles: always, but where NOTIFY left
    /// it out (RFC 5465 §4).
    pub(super) fn tells_selected(&self) -> bool {
        let leaves_out = |watching: &Watching| {
            let tells = |watch: &Watch| watch.is_selected() && watch.messages;
            !watching.watches.is_empty() && !watching.watches.iter().any(tells)
        };
        !self.watching.as_deref().is_some_and(leaves_out)
    }

    /// Tells what nobody asked for: between commands, or while the client idles. `None` if there is nothing.
    pub(super) fn tell_unasked(&mut self, resume: Resume) -> Option<Turn> {
        let watching = self.watching.as_mut()?;
        if !watching.lines.is_empty() {
            while !watching.lines.is_empty() {
                self.tx.put(watching.lines.data());
                watching.lines.sent(watching.lines.data().len());
            }
            if watching.watches.is_empty() && !self.enabled.metadata {
                // It has overflowed: as after NOTIFY NONE.
                self.watching = None;
            }
            return Some(Turn::Again);
        }
        if let Some((name, (items, status))) = watching.statuses.pop_first() {
            self.put_status(&name, &items, &status);
            return Some(Turn::Again);
        }
        let watch = watching.selected().filter(|watch| watch.messages)?;
        let when = match watch.filter {
            MailboxFilter::SelectedDelayed if resume == Resume::Command => When::DuringFetch,
            _ => When::Anything,
        };
        if let Some(items) = watch.fetch.clone()
            && let Some(turn) = self.fetch_unasked(resume, items)
        {
            return Some(turn);
        }
        if resume == Resume::Command
            && let State::Selected(selection) = &mut self.state
            && selection.view.has_updates(when)
        {
            let updates = selection.view.updates(when);
            self.phase = Phase::Tell(updates);
            return Some(Turn::Again);
        }
        None
    }

    /// Has the embedder tell of messages that came what the client wants to know of them.
    fn fetch_unasked(&mut self, resume: Resume, items: Vec<FetchItem>) -> Option<Turn> {
        let last = self.last_uid();
        let watching = self.watching.as_mut()?;
        let first = watching.fetched_up_to.checked_add(1)?;
        if last < first {
            return None;
        }
        watching.fetched_up_to = last;
        let uids = self.view()?.uids().intersection(&UidSet::from(first..=last));
        if uids.is_empty() {
            return None;
        }
        self.unasked = Some(resume);
        self.ask_fetch_unasked(uids, items);
        Some(Turn::Again)
    }

    /// A mailbox was selected: what is in it the client asks for itself.
    pub(super) fn watch_selected(&mut self) {
        let last = self.last_uid();
        if let Some(watching) = &mut self.watching {
            watching.fetched_up_to = last;
        }
    }

    pub(super) fn tell_turn(&mut self) -> Turn {
        let Phase::Tell(updates) = &mut self.phase else {
            return Turn::Again;
        };
        match updates.next() {
            Some(update) => self.tell(update),
            None => self.phase = Phase::Command,
        }
        Turn::Again
    }

    fn last_uid(&self) -> u32 {
        let last = self.view().and_then(|view| view.uid(view.exists()));
        last.unwrap_or(0)
    }
}

/// What a response about a mailbox takes, in octets: a name of the longest kind, and its attributes.
const LONGEST_LINE: usize = 1200;
