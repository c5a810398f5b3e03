//! Commands about mailboxes as a whole: SELECT, LIST, STATUS, CREATE and their kin (RFC 9051 §6.3).

use super::backend::{Abilities, Backend, Mailboxes};
use super::convert::{mailbox_id, name, rights_to_imap, special_use_from_imap, special_use_to_imap};
use super::selected::{Selected, has_mod_seqs};
use super::session::{Session, Stop};
use mailwright_imap::{Code, EntryName, ListRequest, ListRow, Rejection, SpecialUse, Status};
use mailwright_mailbox::{MailboxId, MailboxName, Rights, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

/// What LIST tells of one name.
#[derive(Default)]
struct Row {
    mailbox: Option<MailboxId>,
    special_use: Option<SpecialUse>,
    subscribed: bool,
    rights: Rights,
}

impl<B: Backend> Session<B> {
    pub(super) async fn select(&mut self, mailbox: &str) -> Result<(), Stop> {
        // Whatever was selected is not, even if this fails (RFC 3501 §6.3.1).
        self.selected = None;
        let listed = self.find(mailbox).await?;
        let (selected, told) = Selected::open(&*self.mail()?, &listed).await?;
        self.selected = Some(selected);
        self.conn.machine().selected(told);
        Ok(())
    }

    pub(super) async fn create(&mut self, mailbox: &str, special_use: &[SpecialUse]) -> Result<(), Stop> {
        let special_use = match special_use {
            [] => None,
            [one] => Some(special_use_from_imap(*one).ok_or(Rejection::CANNOT)?),
            _ => return Err(Rejection::new(Some(Code::UseAttr), "One special use at a time").into()),
        };
        let made = self.mail()?.create(&name(mailbox)?, special_use).await?;
        match <B::Mailboxes as Mailboxes>::ABILITIES.contains(Abilities::OBJECT_IDS) {
            true => self.conn.machine().created(&mailbox_id(made)),
            false => self.conn.machine().accept(),
        }
        Ok(())
    }

    pub(super) async fn delete(&mut self, mailbox: &str) -> Result<(), Stop> {
        let deleted = self.mail()?.delete(&name(mailbox)?).await?;
        self.conn.machine().accept();
        if self
            .selected
            .as_ref()
            .is_some_and(|selected| selected.mailbox == deleted)
        {
            self.selected = None;
            self.conn.machine().shutdown("The selected mailbox was deleted");
        }
        Ok(())
    }

    pub(super) async fn rename(&mut self, from: &str, to: &str) -> Result<(), Stop> {
        self.mail()?.rename(&name(from)?, &name(to)?).await?;
        self.sync_or_end().await;
        self.yes()
    }

    pub(super) async fn subscribe(&mut self, mailbox: &str, on: bool) -> Result<(), Stop> {
        self.mail()?.subscribe(&name(mailbox)?, on).await?;
        self.yes()
    }

    pub(super) async fn list(&mut self, request: &ListRequest) -> Result<(), Stop> {
        for (name, row, children) in self.rows(request.subscribed_only).await? {
            let special_use: Vec<_> = row.special_use.into_iter().collect();
            let mut told = ListRow::new(&name);
            told.no_select = row.mailbox.is_none() || !row.rights.contains(Rights::READ);
            // A level above others is there; a name that is only subscribed to is not.
            told.non_existent = row.mailbox.is_none() && !children;
            told.children = Some(children);
            told.subscribed = row.subscribed;
            told.special_use = &special_use;
            if self.conn.machine().list(&told)
                && let Some(mailbox) = row.mailbox
            {
                self.list_returns(request, &name, mailbox, row.rights).await?;
            }
            self.make_room().await?;
        }
        self.yes()
    }

    /// What else is to be told of a mailbox that is listed.
    async fn list_returns(
        &mut self,
        request: &ListRequest,
        name: &str,
        mailbox: MailboxId,
        rights: Rights,
    ) -> Result<(), Stop> {
        let mail = self.mail()?;
        if !request.status.is_empty()
            && let Ok(snapshot) = mail.snapshot(mailbox).await
        {
            self.conn
                .machine()
                .list_status(name, &status_of::<B::Mailboxes>(mailbox, &snapshot));
        }
        if request.my_rights {
            self.conn.machine().list_my_rights(name, rights_to_imap(rights));
        }
        if !request.metadata.is_empty()
            && let Ok(annotations) = mail.annotations(Some(mailbox)).await
        {
            let value = |wanted: &EntryName| {
                let found = annotations
                    .iter()
                    .find(|one| one.name.as_str() == wanted.as_str());
                found.map(|one| one.value.clone())
            };
            self.conn.machine().list_metadata(name, value);
        }
        Ok(())
    }

    /// Every name there is to list, with whether others are below it.
    async fn rows(&mut self, with_missing: bool) -> Result<Vec<(String, Row, bool)>, Stop> {
        let mail = self.mail()?;
        let mut rows: BTreeMap<MailboxName, Row> = BTreeMap::new();
        for listed in mail.list().await? {
            let special_use = listed.special_use.and_then(special_use_to_imap);
            let row = Row {
                mailbox: Some(listed.id),
                special_use,
                subscribed: listed.subscribed,
                rights: listed.rights,
            };
            // Levels above mailboxes are names as well, which cannot be selected.
            let mut above = listed.name.parent();
            while let Some(parent) = above {
                above = parent.parent();
                rows.entry(parent).or_default();
            }
            rows.insert(listed.name, row);
        }
        // Only what exists is a child (RFC 3348 §3), and not a name that is merely subscribed to.
        let parents: BTreeSet<MailboxName> = rows.keys().filter_map(MailboxName::parent).collect();
        if with_missing {
            for name in mail.subscriptions().await? {
                rows.entry(name).or_default().subscribed = true;
            }
        }
        let rows = rows.into_iter().map(|(name, row)| {
            let children = parents.contains(&name);
            (name.as_str().to_owned(), row, children)
        });
        Ok(rows.collect())
    }

    pub(super) async fn status(&mut self, mailbox: &str) -> Result<(), Stop> {
        let listed = self.find(mailbox).await?;
        let mailbox = listed.id;
        let snapshot = self.mail()?.snapshot(mailbox).await?;
        self.conn
            .machine()
            .status(&status_of::<B::Mailboxes>(mailbox, &snapshot));
        Ok(())
    }
}

fn status_of<M: Mailboxes>(mailbox: MailboxId, snapshot: &Snapshot) -> Status {
    let mut status = Status::default();
    status.messages = Some(snapshot.exists);
    status.uid_next = snapshot.uid_next.and_then(|uid| NonZeroU32::new(uid.value()));
    status.uid_validity = NonZeroU32::new(snapshot.uid_validity.value());
    status.unseen = Some(snapshot.unseen);
    status.deleted = Some(snapshot.deleted);
    status.size = Some(snapshot.size);
    status.deleted_storage = Some(snapshot.deleted_size);
    if has_mod_seqs::<M>() {
        status.highest_mod_seq = Some(snapshot.highest_mod_seq.value());
    }
    if M::ABILITIES.contains(Abilities::OBJECT_IDS) {
        status.mailbox_id = Some(mailbox_id(mailbox));
    }
    status
}
