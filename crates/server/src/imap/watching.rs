//! What a session watches, and what its client knows of it (RFC 5465)

use super::backend::{Listed, Mailboxes};
use mailwright_imap::{MailboxFilter, Watch};
use mailwright_mailbox::{
    Account, Change, EntryName, Feed, MailboxId, MailboxName, ModSeq, Snapshot, Uid, UidValidity,
};
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// What a session watches, and what its client knows of it.
#[derive(Debug)]
pub(super) struct Watching {
    pub(super) wants: Wants,
    pub(super) known: BTreeMap<MailboxId, Known>,
    /// All names that are subscribed to.
    pub(super) subscribed: BTreeSet<MailboxName>,
    /// The annotations of the server.
    pub(super) of_server: Entries,
    /// What changes in the mailboxes of those who share some with the user.
    pub(super) feeds: BTreeMap<Account, Feed>,
}

/// What has to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Wants {
    pub(super) messages: bool,
    /// Names and subscriptions, whether to tell of them or because they decide what is watched.
    pub(super) names: bool,
    pub(super) annotations: bool,
    pub(super) of_server: bool,
}

impl Wants {
    pub(super) fn of(watches: &[Watch], metadata: bool) -> Self {
        let any = |wanted: fn(&Watch) -> bool| watches.iter().any(wanted);
        Self {
            messages: any(|it| it.messages && !it.is_selected()),
            names: any(|it| it.names || it.subscriptions || it.filter == MailboxFilter::Subscribed),
            annotations: metadata || any(|it| it.mailbox_metadata),
            of_server: metadata || any(|it| it.server_metadata),
        }
    }
}

/// What the client knows of a mailbox.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) listed: Listed,
    /// Its name in the account that it belongs to.
    pub(super) own_name: Option<MailboxName>,
    /// `None` before it was there, and where it may not be read.
    pub(super) state: Option<State>,
    pub(super) annotations: Entries,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) uid_validity: UidValidity,
    pub(super) uid_next: Option<Uid>,
    pub(super) exists: u32,
    pub(super) unseen: u32,
    pub(super) mod_seq: ModSeq,
}

impl State {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        Self {
            uid_validity: snapshot.uid_validity,
            uid_next: snapshot.uid_next,
            exists: snapshot.exists,
            unseen: snapshot.unseen,
            mod_seq: snapshot.highest_mod_seq,
        }
    }

    pub(super) fn has_same_messages(&self, other: &Self) -> bool {
        let messages = |it: &Self| (it.uid_validity, it.uid_next, it.exists);
        messages(self) == messages(other)
    }
}

/// Annotations: a hash stands for each value.
pub(super) type Entries = BTreeMap<EntryName, u64>;

impl Watching {
    /// Waits for changes in the mailboxes of others.
    pub(super) async fn changed(&mut self) -> Option<Vec<Change>> {
        poll_fn(|cx| {
            for feed in self.feeds.values_mut() {
                if let Poll::Ready(changes) = pin!(feed.changed()).poll(cx) {
                    return Poll::Ready(changes);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Begins to follow those who share mailboxes with the user; tells whether there were others than before.
    pub(super) fn follow<M: Mailboxes>(&mut self, mail: &M, listed: &[Listed]) -> bool {
        let mut more = false;
        for owner in listed.iter().filter_map(|listed| listed.owner.as_ref()) {
            if !self.feeds.contains_key(owner)
                && let Some(feed) = mail.feed(Some(owner))
            {
                self.feeds.insert(owner.clone(), feed);
                more = true;
            }
        }
        more
    }

    /// Whether a change can be one of what there is, rather than of what is in it.
    pub(super) fn asks_for_list(&self, change: &Change) -> bool {
        let may_differ = || {
            let known = self.known.get(&change.mailbox);
            self.wants.names || known.is_none_or(|known| known.listed.owner.is_some())
        };
        !change.messages_only && may_differ()
    }
}

/// Waits for changes that only a session that watches hears of.
pub(super) async fn changed(watching: Option<&mut Box<Watching>>) -> Option<Vec<Change>> {
    match watching {
        Some(watching) => watching.changed().await,
        None => std::future::pending().await,
    }
}
