//! GETACL, SETACL, DELETEACL, LISTRIGHTS, MYRIGHTS (RFC 4314)

use super::backend::{Backend, Listed, Mailboxes};
use super::convert::{rights_from_imap, rights_to_imap};
use super::session::{Session, Stop};
use mailwright_imap::{self as imap, AclRequest, Rejection, RightsChange};
use mailwright_mailbox::{AclEntry, Identifier, Rights};

impl<B: Backend> Session<B> {
    pub(super) async fn acl(&mut self, request: &AclRequest) -> Result<(), Stop> {
        match request {
            AclRequest::Mine { mailbox } => {
                let listed = self.find(mailbox).await?;
                self.conn.machine().my_rights(rights_to_imap(listed.rights));
                Ok(())
            }
            AclRequest::Get { mailbox } => {
                let (_, entries) = self.administered(mailbox).await?;
                let entries = entries.iter().map(|entry| {
                    let rights = rights_to_imap(entry.rights);
                    (entry.identifier.as_str(), rights)
                });
                self.conn.machine().acl(entries);
                Ok(())
            }
            AclRequest::List { mailbox, identifier } => {
                let (listed, _) = self.administered(mailbox).await?;
                let required = self.mail()?.required_rights(&listed, identifier);
                let each = Rights::ALL.letters().filter_map(Rights::from_letter);
                let optional: Vec<_> = each.map(rights_to_imap).collect();
                self.conn
                    .machine()
                    .list_rights(rights_to_imap(required), &optional);
                Ok(())
            }
            AclRequest::Set {
                mailbox,
                identifier,
                change,
                rights,
            } => {
                let change = Some((*change, *rights));
                self.set_rights(mailbox, identifier, change).await
            }
            AclRequest::Delete { mailbox, identifier } => self.set_rights(mailbox, identifier, None).await,
            _ => Err(Rejection::CANNOT.into()),
        }
    }

    async fn set_rights(
        &mut self,
        mailbox: &str,
        identifier: &str,
        change: Option<(RightsChange, imap::Rights)>,
    ) -> Result<(), Stop> {
        let (listed, entries) = self.administered(mailbox).await?;
        let identifier = Identifier::from(identifier);
        let present = entries.iter().find(|entry| entry.identifier == identifier);
        let present = present.map_or(Rights::NONE, |entry| entry.rights);
        let rights = match change {
            None => Rights::NONE,
            Some((RightsChange::Replace, rights)) => rights_from_imap(rights),
            Some((RightsChange::Add, rights)) => present | rights_from_imap(rights),
            Some((RightsChange::Remove, rights)) => present & !rights_from_imap(rights),
        };
        self.mail()?.set_rights(listed.id, &identifier, rights).await?;
        self.yes()
    }

    /// A mailbox whose rights the user may see and change, and its list.
    async fn administered(&mut self, mailbox: &str) -> Result<(Listed, Vec<AclEntry>), Stop> {
        let listed = self.find(mailbox).await?;
        if !listed.rights.contains(Rights::ADMINISTER) {
            return Err(Rejection::NO_PERMISSION.into());
        }
        let entries = self.mail()?.acl(listed.id).await?;
        Ok((listed, entries))
    }
}
