//! The selected mailbox of a session, and how it keeps up with the store.

use super::backend::{Abilities, Failure, Listed, Mailboxes, Stored};
use super::convert::{flags_to_imap, mailbox_id, uids_to_imap};
use mailwright_imap as imap;
use mailwright_mailbox::{Contents, Feed, Fields, MailboxId, ModSeq, Rights, Scan, Uid, UidSet};
use std::num::NonZeroU32;

/// What a session knows of the mailbox it has selected.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) mailbox: MailboxId,
    /// Everything up to here was given to the engine.
    known: ModSeq,
    /// The highest UID that was given to the engine.
    last: Option<Uid>,
    /// What changes in the mailboxes of whom it belongs to, where that is somebody else.
    pub(super) feed: Option<Feed>,
}

impl Selected {
    /// Reads a mailbox that is being selected: for the engine, and to keep up with.
    pub(super) async fn open<M: Mailboxes>(
        mail: &M,
        listed: &Listed,
    ) -> Result<(Self, imap::Selected), Failure> {
        let mailbox = listed.id;
        let Contents {
            snapshot,
            uids,
            unseen,
            keywords,
            ..
        } = mail.contents(mailbox).await?;
        // What changes while it is read is read once more by the first `sync`.
        let known = snapshot.highest_mod_seq;
        let uid_next = snapshot.uid_next.map_or(u32::MAX, Uid::value).max(
            uids.last()
                .map_or(1, |last| last.next().map_or(u32::MAX, Uid::value)),
        );
        let mut selected = imap::Selected::new(
            uids_to_imap(&uids),
            NonZeroU32::new(snapshot.uid_validity.value()).unwrap_or(NonZeroU32::MIN),
            NonZeroU32::new(uid_next).unwrap_or(NonZeroU32::MIN),
        );
        selected.first_unseen = unseen.first().map(Uid::value);
        selected.read_only = !is_writable::<M>(listed.rights);
        selected.keywords = keywords
            .iter()
            .filter_map(|keyword| imap::Keyword::new(keyword.as_str()))
            .collect();
        selected.highest_mod_seq = has_mod_seqs::<M>().then(|| known.value().max(1));
        if M::ABILITIES.contains(Abilities::OBJECT_IDS) {
            selected.mailbox_id = Some(mailbox_id(mailbox));
        }
        Ok((
            Self {
                mailbox,
                known,
                last: uids.last(),
                feed: listed.owner.as_ref().and_then(|owner| mail.feed(Some(owner))),
            },
            selected,
        ))
    }

    /// Whether nobody has changed the mailbox between what is known of it and what was stored.
    pub(super) fn is_next<M: Mailboxes>(&self, stored: &Stored) -> bool {
        let expected = match stored.changed.is_empty() {
            true => self.known,
            false => self.known.next(),
        };
        !has_mod_seqs::<M>() || stored.mod_seq == Some(expected)
    }

    /// Whether a notice tells of something new.
    pub(super) fn is_behind<M: Mailboxes>(&self, change: &mailwright_mailbox::Change) -> bool {
        change.mailbox == self.mailbox && (change.mod_seq > self.known || !has_mod_seqs::<M>())
    }

    /// Reads what has changed since the last look, as far as a notice says where one does. What is told twice does the
    /// engine no harm.
    pub(super) async fn sync<M: Mailboxes>(
        &mut self,
        mail: &M,
        until: Option<ModSeq>,
    ) -> Result<Vec<imap::Change>, Failure> {
        let mut changes = vec![];
        let since = match has_mod_seqs::<M>() {
            true => self.known,
            false => ModSeq::ZERO,
        };
        let (mut appended, before) = (UidSet::new(), self.last);
        let delta = mail.delta(self.mailbox, since, until).await?;
        for (uid, flags, mod_seq) in &delta.messages {
            if before.is_none_or(|before| *uid > before) {
                appended.insert(*uid);
            } else if has_mod_seqs::<M>() {
                changes.push(imap::Change::Flags {
                    uid: uid.value(),
                    flags: flags_to_imap(flags),
                    mod_seq: Some(mod_seq.value()),
                });
            }
        }
        let mut expunged = delta.vanished.uids.clone();
        if !delta.vanished.complete {
            // The history does not reach back so far: what is not there is gone.
            let present = self.present(mail).await?;
            let ever: UidSet = before
                .or(appended.last())
                .map_or_else(UidSet::new, |last| (Uid::MIN..=last).into());
            expunged = ever.difference(&present);
        }
        self.last = self.last.max(appended.last());
        self.known = delta.until.max(since);
        if !appended.is_empty() {
            changes.push(imap::Change::Appended(uids_to_imap(&appended)));
        }
        if !expunged.is_empty() {
            changes.push(imap::Change::Expunged(uids_to_imap(&expunged)));
        }
        if has_mod_seqs::<M>() {
            changes.push(imap::Change::UpTo(self.known.value()));
        }
        Ok(changes)
    }

    async fn present<M: Mailboxes>(&self, mail: &M) -> Result<UidSet, Failure> {
        let mut uids = UidSet::new();
        let mut next = Some(Scan::all(Fields::NONE).limit(10_000));
        while let Some(scan) = next {
            let page = mail.scan(self.mailbox, scan.clone()).await?;
            page.messages.iter().for_each(|message| uids.insert(message.uid));
            next = scan.after(&page);
        }
        Ok(uids)
    }
}

/// Whether it is known what has changed; else all is compared, and flags that others change are not noticed.
pub(super) fn has_mod_seqs<M: Mailboxes>() -> bool {
    M::ABILITIES.contains(Abilities::MOD_SEQS)
}

/// Whether anything can be changed by somebody who has these rights (RFC 4314 §5.2).
fn is_writable<M: Mailboxes>(rights: Rights) -> bool {
    let any = Rights::SEEN | Rights::WRITE | Rights::DELETE_MESSAGES | Rights::EXPUNGE | Rights::INSERT;
    M::ABILITIES.contains(Abilities::CHANGE) && !(rights & any).is_empty()
}
