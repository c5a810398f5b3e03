//! GETMETADATA, SETMETADATA (RFC 5464)

use super::backend::{Backend, Failure, Mailboxes};
use super::notify;
use super::session::{Session, Stop};
use bytes::Bytes;
use mailwright_imap::{self as imap, MetadataRefusal, MetadataRequest, Rejection};
use mailwright_mailbox::{EntryName, MailboxId};

impl<B: Backend> Session<B> {
    pub(super) async fn metadata(&mut self, request: MetadataRequest) -> Result<(), Stop> {
        match request {
            MetadataRequest::Get { mailbox, .. } => {
                let mailbox = self.annotated(mailbox.as_deref()).await?;
                for annotation in self.mail()?.annotations(mailbox).await? {
                    if let Some(name) = imap::EntryName::parse(annotation.name.as_str().as_bytes()) {
                        self.conn.machine().metadata(&name, &annotation.value);
                        self.make_room().await?;
                    }
                }
                self.yes()
            }
            MetadataRequest::Set { mailbox, entries } => {
                let mailbox = self.annotated(mailbox.as_deref()).await?;
                let entries = entries.into_iter().map(|(name, value)| {
                    let name = EntryName::parse(name.as_str());
                    name.map(|name| (name, value)).ok_or(Rejection::CANNOT)
                });
                let entries = entries.collect::<Result<Vec<_>, _>>()?;
                let hash = |value: &Option<Bytes>| value.as_deref().map(notify::hash_of);
                let set: Vec<_> = entries
                    .iter()
                    .map(|(name, value)| (name.clone(), hash(value)))
                    .collect();
                match self.mail()?.annotate(mailbox, entries).await {
                    Ok(()) => {
                        self.has_annotated(mailbox, &set);
                        self.yes()
                    }
                    Err(Failure::AnnotationTooLarge(most)) => {
                        self.refuse_metadata(MetadataRefusal::TooLarge(most))
                    }
                    Err(Failure::TooManyAnnotations) => self.refuse_metadata(MetadataRefusal::TooMany),
                    Err(failure) => Err(failure.into()),
                }
            }
            _ => Err(Rejection::CANNOT.into()),
        }
    }

    fn refuse_metadata(&mut self, refusal: MetadataRefusal) -> Result<(), Stop> {
        self.conn.machine().reject_metadata(refusal);
        Ok(())
    }

    async fn annotated(&mut self, mailbox: Option<&str>) -> Result<Option<MailboxId>, Stop> {
        Ok(match mailbox {
            Some(mailbox) => Some(self.find(mailbox).await?.id),
            None => None,
        })
    }
}
