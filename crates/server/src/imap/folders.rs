//! Commands about mailboxes as a whole: SELECT, LIST, STATUS, CREATE and their kin (RFC 9051 §6.3).

use super::backend::{Abilities, Backend, Listed, Mailboxes};
use super::convert::{mailbox_id, name, rights_to_imap, special_use_from_imap, special_use_to_imap};
use super::selected::{Selected, has_mod_seqs};
use super::session::{Session, Stop};
use mailwright_imap::{Code, EntryName, ListRequest, ListRow, Rejection, SpecialUse, Status};
use mailwright_mailbox::{MailboxId, MailboxName, Rights, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

/// What LIST tells of one name.
#[derive(Default)]
pub(super) struct Row {
    mailbox: Option<MailboxId>,
    special_use: Option<SpecialUse>,
    pub(super) subscribed: bool,
    rights: Rights,
    /// Others are below it.
    children: bool,
}

impl Row {
    /// The row for the engine.
    pub(super) fn told<'a>(&'a self, name: &'a str) -> ListRow<'a> {
        let mut told = ListRow::new(name);
        told.no_select = self.mailbox.is_none() || !self.rights.contains(Rights::READ);
        // A level above others is there; a name that is only subscribed to is not.
        told.non_existent = self.mailbox.is_none() && !self.children;
        told.children = Some(self.children);
        told.subscribed = self.subscribed;
        told.special_use = self.special_use.as_slice();
        told
    }
}

/// Every name there is to list: mailboxes, the levels above them, and names that are only subscribed to.
pub(super) fn rows(listed: &[Listed], missing: Vec<MailboxName>) -> BTreeMap<MailboxName, Row> {
    let mut rows: BTreeMap<MailboxName, Row> = BTreeMap::new();
    for listed in listed {
        let row = Row {
            mailbox: Some(listed.id),
            special_use: listed.special_use.and_then(special_use_to_imap),
            subscribed: listed.subscribed,
            rights: listed.rights,
            children: false,
        };
        // Levels above mailboxes are names as well, which cannot be selected.
        let mut above = listed.name.parent();
        while let Some(parent) = above {
            above = parent.parent();
            rows.entry(parent).or_default();
        }
        rows.insert(listed.name.clone(), row);
    }
    // Only what exists is a child (RFC 3348 §3), and not a name that is merely subscribed to.
    let parents: BTreeSet<MailboxName> = rows.keys().filter_map(MailboxName::parent).collect();
    for parent in parents {
        rows.entry(parent).or_default().children = true;
    }
    for name in missing {
        rows.entry(name).or_default().subscribed = true;
    }
    rows
}

impl<B: Backend> Session<B> {
    pub(super) async fn select(&mut self, mailbox: &str) -> Result<(), Stop> {
        // Whatever was selected is not, even if this fails (RFC 3501 §6.3.1).
        self.leave().await;
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
        let name = name(mailbox)?;
        let made = self.mail()?.create(&name, special_use).await?;
        self.has_made(&name).await;
        match <B::Mailboxes as Mailboxes>::ABILITIES.contains(Abilities::OBJECT_IDS) {
            true => self.conn.machine().created(&mailbox_id(made)),
            false => self.conn.machine().accept(),
        }
        Ok(())
    }

    pub(super) async fn delete(&mut self, mailbox: &str) -> Result<(), Stop> {
        let deleted = self.mail()?.delete(&name(mailbox)?).await?;
        self.has_deleted(deleted);
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
        let (from, to) = (name(from)?, name(to)?);
        self.mail()?.rename(&from, &to).await?;
        self.has_renamed(&from, &to).await;
        self.sync_or_end(None).await;
        self.yes()
    }

    pub(super) async fn subscribe(&mut self, mailbox: &str, on: bool) -> Result<(), Stop> {
        let name = name(mailbox)?;
        self.mail()?.subscribe(&name, on).await?;
        self.has_subscribed(&name, on);
        self.yes()
    }

    pub(super) async fn list(&mut self, request: &ListRequest) -> Result<(), Stop> {
        let mail = self.mail()?;
        let listed = mail.list().await?;
        let missing = match request.subscribed_only {
            true => mail.subscriptions().await?,
            false => Vec::new(),
        };
        for (name, row) in rows(&listed, missing) {
            let name = name.as_str();
            let told = row.told(name);
            if self.conn.machine().list(&told)
                && let Some(mailbox) = row.mailbox
            {
                self.list_returns(request, name, mailbox, row.rights).await?;
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

/// How a mailbox stands, for the engine.
pub(super) fn status_of<M: Mailboxes>(mailbox: MailboxId, snapshot: &Snapshot) -> Status {
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
