//! What LIST can return with each mailbox: LIST-MYRIGHTS (RFC 8440), LIST-METADATA (RFC 9590)

use super::list::{Listing, Returned};
use super::{Phase, Server, Task};
use crate::codec::Out;
use crate::{EntryName, Rights};
use bytes::Bytes;

impl Server {
    /// Tells the user's rights to the mailbox for which [`list`](Server::list) has just returned true, if
    /// [`ListRequest::my_rights`](crate::ListRequest::my_rights) asks for them.
    ///
    /// # Panics
    ///
    /// Panics if mailboxes were not asked for.
    pub fn list_my_rights(&mut self, name: &str, rights: Rights) {
        let listing = self.listing();
        if !listing.options.return_my_rights {
            return;
        }
        if !listing.options.recursive {
            self.out().my_rights(name, rights);
        } else if let Some(row) = listing.held_row(name) {
            row.rights = Some(rights);
        }
    }

    /// Tells annotations of the mailbox for which [`list`](Server::list) has just returned true, if
    /// [`ListRequest::metadata`](crate::ListRequest::metadata) asks for some. `value` gives the value of each one,
    /// `None` if it has none, which is told, too.
    ///
    /// # Panics
    ///
    /// Panics if mailboxes were not asked for.
    pub fn list_metadata(&mut self, name: &str, value: impl Fn(&EntryName) -> Option<Bytes>) {
        let listing = self.listing();
        let entries: Vec<_> = listing.options.return_metadata.clone();
        if entries.is_empty() {
            return;
        }
        let values = entries.into_iter().map(|entry| {
            let value = value(&entry);
            (entry, value)
        });
        let metadata: Vec<_> = values.collect();
        if !listing.options.recursive {
            self.out().list_metadata(name, &metadata);
        } else if let Some(row) = listing.held_row(name) {
            row.metadata = metadata;
        }
    }

    /// Tells what was held back with a row.
    pub(super) fn put_returned(&mut self, name: &str, returned: &Returned) {
        if let Some(rights) = returned.rights {
            self.out().my_rights(name, rights);
        }
        if !returned.metadata.is_empty() {
            self.out().list_metadata(name, &returned.metadata);
        }
    }

    fn listing(&mut self) -> &mut Listing {
        match &mut self.phase {
            Phase::Asked(Task::List(listing)) => listing,
            _ => panic!("no mailboxes were asked for"),
        }
    }
}

impl Out<'_> {
    fn list_metadata(&mut self, mailbox: &str, entries: &[(EntryName, Option<Bytes>)]) {
        self.raw("* METADATA ").mailbox(mailbox).raw(" (");
        self.joined(entries, |out, (name, value)| {
            out.entry(name, value.as_deref());
        });
        self.raw(")\r\n");
    }
}
