//! ESEARCH over several mailboxes (RFC 7377)

use super::backend::{Backend, Failure, Listed, Mailboxes};
use super::convert::uids_to_imap;
use super::search;
use super::session::{Session, Stop};
use mailwright_imap::{MailboxFilter, SearchInRequest, UidSet};
use mailwright_mailbox::{Fields, MailboxId, MailboxName, Rights, Scan};
use std::num::NonZeroU32;

impl<B: Backend> Session<B> {
    pub(super) async fn search_in(&mut self, request: &SearchInRequest) -> Result<(), Stop> {
        let mail = self.mail()?;
        let selected = self.selected.as_ref().map(|selected| selected.mailbox);
        let mut sources = mail.list().await?;
        // Each mailbox once, however many sources it is in; without rights as if it were not there (RFC 7377 §2.2).
        sources.retain(|listed| {
            let among = |filter| is_among::<B::Mailboxes>(&mail, filter, listed, selected);
            listed.rights.contains(Rights::READ) && request.sources.iter().any(among)
        });
        let work = self.work(u32::try_from(sources.len()).ok());
        for (at, listed) in (1..).zip(sources) {
            let searching = async {
                // What goes away meanwhile is not there.
                let found = async {
                    let each = work.part();
                    let validity = mail.snapshot(listed.id).await?.uid_validity;
                    let found = search::run(&*mail, listed.id, &request.criterion, &each).await?;
                    Ok((validity, present(&*mail, listed.id, found).await?))
                };
                match found.await {
                    Ok(found) => Ok(Some(found)),
                    Err(Failure::NoSuchMailbox | Failure::Refused(_)) => Ok(None),
                    Err(failure) => Err(failure),
                }
            };
            let found = self.wait_for(&work, searching).await?;
            if let Some((validity, uids)) = found
                && let Some(validity) = NonZeroU32::new(validity.value())
            {
                let name = listed.name.as_str();
                self.conn.machine().found_in(name, validity, &uids);
            }
            work.reach(at);
            self.make_room().await?;
        }
        self.yes()
    }
}

/// Of UIDs those that a mailbox has.
async fn present<M: Mailboxes>(
    mail: &M,
    mailbox: MailboxId,
    uids: mailwright_mailbox::UidSet,
) -> Result<UidSet, Failure> {
    let mut found = mailwright_mailbox::UidSet::new();
    let mut next = (!uids.is_empty()).then(|| Scan::new(uids, Fields::NONE).limit(10_000));
    while let Some(scan) = next {
        let page = mail.scan(mailbox, scan.clone()).await?;
        page.messages.iter().for_each(|message| found.insert(message.uid));
        next = scan.after(&page);
    }
    Ok(uids_to_imap(&found))
}

/// Whether a mailbox is among those that a client means.
pub(super) fn is_among<M: Mailboxes>(
    mail: &M,
    filter: &MailboxFilter,
    listed: &Listed,
    selected: Option<MailboxId>,
) -> bool {
    let is = |top: &String| listed.name.as_str() == top;
    let is_below = |top: &String| {
        let rest = listed.name.as_str().strip_prefix(top.as_str());
        rest.is_some_and(|rest| top.is_empty() || rest.starts_with(MailboxName::SEPARATOR))
    };
    let is_child = |top: &String| {
        let parent = listed.name.parent();
        parent.map_or(top.is_empty(), |parent| parent.as_str() == top)
    };
    // Who names a mailbox need not be able to list it.
    let lookup = listed.rights.contains(Rights::LOOKUP);
    match filter {
        MailboxFilter::Selected | MailboxFilter::SelectedDelayed => selected == Some(listed.id),
        MailboxFilter::Inboxes => lookup && mail.receives(listed),
        MailboxFilter::Personal => lookup && listed.owner.is_none(),
        MailboxFilter::Subscribed => lookup && listed.subscribed,
        MailboxFilter::Subtree(tops) => tops.iter().any(|top| is(top) || (lookup && is_below(top))),
        MailboxFilter::SubtreeOne(tops) => tops.iter().any(|top| is(top) || (lookup && is_child(top))),
        MailboxFilter::Mailboxes(names) => names.iter().any(is),
        _ => false,
    }
}
