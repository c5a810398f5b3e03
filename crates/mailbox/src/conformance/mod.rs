//! What every [`Store`] must do, as tests (feature `conformance`)
//!
//! A store's own tests say how to make one and get all of them, each under its own name:
//!
//! ```
//! use mailwright_mailbox::{Limits, MemoryStore, conformance::Harness};
//!
//! struct InMemory;
//!
//! impl Harness for InMemory {
//!     type Store = MemoryStore;
//!
//!     fn open(&mut self, limits: Limits) -> MemoryStore {
//!         MemoryStore::new(limits)
//!     }
//!
//!     // A store on a disk closes and opens it.
//!     fn reopen(&mut self, store: MemoryStore) -> MemoryStore {
//!         store
//!     }
//! }
//!
//! mailwright_mailbox::conformance_tests!(InMemory);
//! # fn main() {}
//! ```
//!
//! Some tests look at one rule each. [`random_batches_match_the_model`] commits batches made from a seed and
//! compares every outcome and every state with the [`Model`](crate::Model)'s, and
//! [`concurrent_sessions_see_one_order`] has many sessions commit at once.
//!
//! It needs no executor: waiting is done by [`block_on`].
#![allow(clippy::unwrap_used)] // These are tests, in a crate of their own each.

mod adopted;
mod annotations;
mod bodies;
mod executor;
mod mailboxes;
mod messages;
mod oracle;
mod sessions;
mod threads;

use bytes::Bytes;

pub use self::{
    adopted::uids_from_elsewhere_are_taken_over,
    annotations::{
        accounts_are_listed_and_removed, annotations_are_kept_with_their_mailbox, rights_are_given_and_found,
    },
    bodies::{
        bodies_are_read_together_as_they_are_alone, bodies_are_shared_and_dropped_with_their_last_reference,
        bodies_read_back_in_whole_and_in_parts, spool_entries_last_until_they_are_removed,
    },
    executor::{block_on, join},
    mailboxes::{
        batches_are_applied_whole_or_not_at_all, deleting_keeps_what_is_below, inbox_has_its_own_rules,
        limits_and_quotas_are_kept, mailboxes_are_created_and_listed, renaming_takes_what_is_below_along,
        subscriptions_outlive_mailboxes, uid_validity_never_comes_back,
    },
    messages::{
        copies_and_moves_tell_both_uids, expunges_are_remembered_within_limits, feeds_tell_of_changes,
        flags_change_as_asked, pages_go_on_where_they_ended, uids_are_never_given_twice,
        unchanged_since_is_exact,
    },
    oracle::random_batches_match_the_model,
    sessions::concurrent_sessions_see_one_order,
    threads::{messages_keep_what_was_computed_from_them, replies_join_threads},
};
use crate::{
    Account, Batch, BlobRef, BlobWriter, CommitError, Committed, Fields, Flags, Limits, MailboxId,
    MailboxName, Message, MessageMeta, Op, Outcome, Scan, Store, ThreadKey, Threading, Uid,
};

/// Makes the stores that are tested.
pub trait Harness {
    /// The store.
    type Store: Store;

    /// Opens an empty store.
    fn open(&mut self, limits: Limits) -> Self::Store;

    /// Closes a store and opens it again with the same limits; all that was committed must be there.
    fn reopen(&mut self, store: Self::Store) -> Self::Store;
}

/// Makes a test function of each test of the suite; the argument is an expression that makes a
/// [`Harness`](crate::conformance::Harness).
#[macro_export]
macro_rules! conformance_tests {
    ($harness:expr) => {
        $crate::conformance_tests! { @each $harness;
            mailboxes_are_created_and_listed
            inbox_has_its_own_rules
            renaming_takes_what_is_below_along
            deleting_keeps_what_is_below
            subscriptions_outlive_mailboxes
            uid_validity_never_comes_back
            batches_are_applied_whole_or_not_at_all
            limits_and_quotas_are_kept
            uids_are_never_given_twice
            uids_from_elsewhere_are_taken_over
            flags_change_as_asked
            unchanged_since_is_exact
            copies_and_moves_tell_both_uids
            expunges_are_remembered_within_limits
            pages_go_on_where_they_ended
            feeds_tell_of_changes
            bodies_read_back_in_whole_and_in_parts
            bodies_are_read_together_as_they_are_alone
            bodies_are_shared_and_dropped_with_their_last_reference
            spool_entries_last_until_they_are_removed
            annotations_are_kept_with_their_mailbox
            rights_are_given_and_found
            accounts_are_listed_and_removed
            messages_keep_what_was_computed_from_them
            replies_join_threads
            random_batches_match_the_model
            concurrent_sessions_see_one_order
        }
    };
    (@each $harness:expr; $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $crate::conformance::$name(&mut $harness);
            }
        )*
    };
}

/// The wall clock of the tests.
const NOW: i64 = 1_700_000_000;

fn name(name: &str) -> MailboxName {
    MailboxName::parse(name).unwrap()
}

fn bob() -> Account {
    Account::new("bob@b.test")
}

fn commit(store: &impl Store, batch: Batch) -> Result<Committed, CommitError> {
    block_on(store.commit(batch))
}

/// Commits one operation, which must succeed.
fn done(store: &impl Store, op: Op) -> Outcome {
    let mut committed = commit(store, Batch::new(NOW).with(op.clone()));
    match &mut committed {
        Ok(committed) if committed.outcomes.len() == 1 => committed.outcomes.remove(0),
        other => panic!("{op:?} gave {other:?}"),
    }
}

/// Commits one operation, which must be refused.
fn refused(store: &impl Store, op: Op) -> CommitError {
    commit(store, Batch::new(NOW).with(op.clone())).expect_err(&format!("{op:?} should have been refused"))
}

fn create_op(name: &MailboxName) -> Op {
    Op::CreateMailbox {
        account: bob(),
        name: name.clone(),
        special_use: None,
    }
}

fn create(store: &impl Store, mailbox: &str) -> MailboxId {
    match done(store, create_op(&name(mailbox))) {
        Outcome::Created { mailbox, .. } => mailbox,
        other => panic!("creating gave {other:?}"),
    }
}

/// Puts a body into the store, in pieces of uneven length.
async fn put(store: &impl Store, body: &[u8]) -> BlobRef {
    let mut writer = store.new_blob();
    let mut rest = body;
    let mut length = 1;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(length.min(rest.len()));
        writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
        rest = after;
        length = length * 3 + 1;
    }
    writer.finish().await.unwrap()
}

/// Something that follows from the bytes, as a part index does. Some messages have a thread key in common.
fn meta(blob: &BlobRef) -> MessageMeta {
    let [a, b, c, ..] = *blob.hash().as_bytes();
    let key = |n: u8| ThreadKey::new(u64::from(n % 16));
    let mut meta = MessageMeta::new(format!("index of {}", blob.hash()).into());
    meta.sort_keys = format!("sort keys of {}", blob.hash()).into();
    meta.sketch = format!("sketch of {}", blob.hash()).into();
    meta.text = (a < 128).then(|| format!("text of {}", blob.hash()).into());
    meta.threading = Threading::new((c < 200).then(|| key(a)), (b < 100).then(|| key(b)));
    meta
}

fn append_op(mailbox: MailboxId, blob: &BlobRef, flags: Flags) -> Op {
    Op::Append {
        mailbox,
        blob: blob.clone(),
        message: meta(blob),
        flags,
        internal_date: NOW - 3600,
    }
}

fn append(store: &impl Store, mailbox: MailboxId, body: &[u8]) -> Uid {
    let blob = block_on(put(store, body));
    match done(store, append_op(mailbox, &blob, Flags::new())) {
        Outcome::Appended { uid, .. } => uid,
        other => panic!("appending gave {other:?}"),
    }
}

fn uid(uid: u32) -> Uid {
    Uid::new(uid).unwrap()
}

/// Reads all that is asked for, page by page.
fn scan(store: &impl Store, mailbox: MailboxId, scan: Scan) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut next = Some(scan);
    while let Some(scan) = next {
        let page = block_on(store.scan(mailbox, scan.clone())).unwrap();
        assert!(
            page.messages.len() <= scan.limit,
            "a page is longer than asked for"
        );
        next = scan.after(&page);
        messages.extend(page.messages);
    }
    messages
}

fn all(store: &impl Store, mailbox: MailboxId) -> Vec<Message> {
    scan(store, mailbox, Scan::all(Fields::ALL))
}

fn uids(messages: &[Message]) -> Vec<u32> {
    messages.iter().map(|message| message.uid.value()).collect()
}

/// Reads a whole body.
fn read(store: &impl Store, blob: &BlobRef) -> Vec<u8> {
    let mut body = Vec::new();
    while (body.len() as u64) < blob.size() {
        let piece = block_on(store.read_blob(blob, body.len() as u64..blob.size())).unwrap();
        assert!(!piece.is_empty(), "reading ends before the body does");
        body.extend_from_slice(&piece);
    }
    body
}

fn names(store: &impl Store) -> Vec<String> {
    block_on(store.mailboxes(&bob()))
        .unwrap()
        .iter()
        .map(|it| it.name.to_string())
        .collect()
}
