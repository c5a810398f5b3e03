//! What sources tell, piece by piece.

use super::TransferError;
use bytes::Bytes;
use mailwright_mailbox::{Flags, MailboxName, Uid, UidValidity};
use tokio::sync::mpsc;

/// A piece of what a source has. [`Message`](Piece::Message) is followed by its octets and by
/// [`End`](Piece::End) or [`Broken`](Piece::Broken).
#[derive(Debug)]
pub(super) enum Piece {
    /// How much there is altogether.
    Total {
        messages: Option<u64>,
        octets: Option<u64>,
    },
    /// The messages that follow are of this folder.
    Folder(Folder),
    /// The name is subscribed to.
    Subscribed(MailboxName),
    /// A message begins. The name is for people.
    Message(String),
    /// Its next octets.
    Octets(Bytes),
    /// It is complete.
    End(Item),
    /// It is here already.
    Known,
    /// It cannot be read to its end.
    Broken(String),
    /// Something cannot be read.
    Skipped { what: String, why: String },
    /// The source is of no more use.
    Failed(TransferError),
}

/// A folder of a source.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) name: MailboxName,
    /// What its UIDs are worth.
    pub(super) uid_validity: Option<UidValidity>,
    pub(super) uid_next: Option<Uid>,
    /// The name under which is noted, on the mailbox, up to which UID the source was read.
    pub(super) mark: Option<String>,
    /// The messages that follow come behind those that the mark tells of.
    pub(super) goes_on: bool,
}

/// What a source tells of a message beside its octets.
#[derive(Debug, Default)]
pub(super) struct Item {
    pub(super) uid: Option<Uid>,
    pub(super) flags: Flags,
    /// In seconds since 1970-01-01 UTC; `None` where the source does not tell.
    pub(super) internal_date: Option<i64>,
}

/// Where a source puts its pieces; few of them wait, so that memory stays flat.
#[derive(Debug, Clone)]
pub(super) struct Sink(mpsc::Sender<Piece>);

/// Nobody wants more pieces.
#[derive(Debug)]
pub(super) struct Ended;

impl Sink {
    /// How many pieces wait; those of octets have at most [`CHUNK`](Self::CHUNK).
    const WAITING: usize = 64;

    /// The most octets of a piece.
    pub(super) const CHUNK: usize = 64 * 1024;

    pub(super) fn new() -> (Self, mpsc::Receiver<Piece>) {
        let (sender, receiver) = mpsc::channel(Self::WAITING);
        (Self(sender), receiver)
    }

    /// Gives a piece from a thread.
    pub(super) fn give(&self, piece: Piece) -> Result<(), Ended> {
        self.0.blocking_send(piece).map_err(|_| Ended)
    }

    /// Gives a piece from a task.
    pub(super) async fn pass(&self, piece: Piece) -> Result<(), Ended> {
        self.0.send(piece).await.map_err(|_| Ended)
    }

    pub(super) fn skipped(&self, what: impl Into<String>, why: impl ToString) -> Result<(), Ended> {
        let (what, why) = (what.into(), why.to_string());
        self.give(Piece::Skipped { what, why })
    }
}
