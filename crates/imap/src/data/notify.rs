//! NOTIFY: which mailboxes are watched for which events, and what happened there (RFC 5465)

use crate::{EntryName, FetchItem, ListRow, Status};

/// Which mailboxes are meant (RFC 5465 §6, RFC 7377 §2.2). Names are octets from the wire in the codec, and UTF-8
/// in requests.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MailboxFilter<N = String> {
    /// The selected mailbox.
    Selected,
    /// The selected mailbox, whose messages keep their numbers until a command lets them go.
    SelectedDelayed,
    /// Where mail is delivered to, in the user's own namespaces.
    Inboxes,
    /// All selectable mailboxes in the user's own namespaces.
    Personal,
    /// What the user is subscribed to.
    Subscribed,
    /// These mailboxes and all below them.
    Subtree(Vec<N>),
    /// These mailboxes and their children; only to be searched.
    SubtreeOne(Vec<N>),
    /// These mailboxes.
    Mailboxes(Vec<N>),
}

/// Mailboxes that are watched, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Watch<N = String> {
    /// Which mailboxes.
    pub filter: MailboxFilter<N>,
    /// Messages that come and go (`MessageNew`, `MessageExpunge`).
    pub messages: bool,
    /// Flags of messages (`FlagChange`).
    pub flags: bool,
    /// Mailboxes that are created, deleted and renamed (`MailboxName`).
    pub names: bool,
    /// Subscriptions (`SubscriptionChange`).
    pub subscriptions: bool,
    /// Annotations of the mailboxes (`MailboxMetadataChange`).
    pub mailbox_metadata: bool,
    /// Annotations of the server (`ServerMetadataChange`).
    pub server_metadata: bool,
    /// What to tell of each message that comes into the selected mailbox, besides its UID; `None` if only that
    /// it came.
    pub fetch: Option<Vec<FetchItem>>,
}

impl<N> Watch<N> {
    /// Watches mailboxes for nothing yet.
    pub fn new(filter: MailboxFilter<N>) -> Self {
        Self {
            filter,
            messages: false,
            flags: false,
            names: false,
            subscriptions: false,
            mailbox_metadata: false,
            server_metadata: false,
            fetch: None,
        }
    }

    /// Whether it is about the selected mailbox.
    pub fn is_selected(&self) -> bool {
        matches!(
            self.filter,
            MailboxFilter::Selected | MailboxFilter::SelectedDelayed
        )
    }
}

/// A NOTIFY.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotifyRequest {
    /// What is to be watched instead of what was; empty for nothing at all.
    pub watches: Vec<Watch>,
    /// The client wants to know how the mailboxes stand: answer
    /// [`notify_status`](crate::Server::notify_status) for each, then accept.
    pub status: bool,
}

/// A mailbox in which something happened, or that could be watched. The engine knows which names are watched, but
/// not what else is true of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Watched<'a> {
    /// Its name.
    pub name: &'a str,
    /// Mail is delivered to it.
    pub inbox: bool,
    /// It is in one of the user's own namespaces.
    pub personal: bool,
    /// The user is subscribed to it.
    pub subscribed: bool,
}

impl<'a> Watched<'a> {
    /// A mailbox of the user's own, to which nothing is delivered, not subscribed.
    pub fn new(name: &'a str) -> Self {
        Self {
            name,
            inbox: false,
            personal: true,
            subscribed: false,
        }
    }
}

/// What happened in a mailbox; see [`Server::notice`](crate::Server::notice).
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// Messages came or went. Give all that is known of how the mailbox stands.
    Messages(&'a Status),
    /// Flags changed, or the UID validity.
    Flags(&'a Status),
    /// It was created, or deleted: then the row says that it does not exist.
    Named(&'a ListRow<'a>),
    /// It was renamed, and its children with it.
    Renamed {
        /// The mailbox by its new name.
        row: &'a ListRow<'a>,
        /// The old name.
        from: &'a str,
    },
    /// The user has subscribed to it, or no longer is.
    Subscribed(&'a ListRow<'a>),
    /// These annotations were set or removed.
    Metadata(&'a [EntryName]),
}
