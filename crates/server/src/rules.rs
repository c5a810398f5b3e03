//! Rules: what becomes of a message that has come for an account
//!
//! Every message goes through the [`Rules`] of the server, one after the other, for each account that gets it. Each sees
//! the [`Arrival`] (the envelope, the header, the account and its settings, its mailboxes) and changes the [`Plan`], which
//! begins as "into INBOX". When all have spoken, the plan is carried out.
//!
//! | rules | what they do |
//! |---|---|
//! | sub-addresses | into the folder that the address names, where the configuration wants that |
//! | junk | into Junk what filters and DMARC put there; such mail is not forwarded, and nobody is told of absences |
//! | what [`Builder::rules`](crate::Builder::rules) adds | whatever they want |
//! | forwarding | to the addresses of [`forward`](crate::config::AccountEntry::forward), and a copy here or not |
//! | vacation | the reply of who is away |
//!
//! # Where a Sieve engine goes
//!
//! It is an implementation of [`Rules`] that finds the script of [`Arrival::account`] and runs it: envelope and address
//! tests ask [`Arrival::sender`], [`Arrival::recipient`] and [`Arrival::detail`], header tests [`Arrival::header`], `size`
//! [`Arrival::size`], `mailboxexists` [`Arrival::mailboxes`], dates [`Arrival::now`]. Its actions are the parts of
//! a plan: `fileinto` and `keep` set [`Plan::place`], `imap4flags` [`Plan::flags`], `discard` takes the place away,
//! `redirect` adds to [`Plan::forward`], `reject` and `ereject` set [`Plan::reject`], `vacation` sets [`Plan::vacation`].
//! What the actions have to heed is done by who carries the plan out, for all rules alike: loops (Delivered-To), senders
//! of forwarded mail, quotas, the rules of RFC 3834 and the memory of replies (RFC 5230 §4.2), and that nothing is lost
//! when one of them fails. Tests of the body would need it here; the header is all that is read for rules.

use crate::config::{AccountEntry, Config, Vacation};
use mailwright_address::{EmailAddress, ReversePath};
use mailwright_mailbox::{Account, Flags, MailboxInfo, MailboxName, SpecialUse};
use std::fmt::Debug;
use std::sync::Arc;

/// Decides what becomes of messages.
///
/// It is asked while a sender waits: it must not block, and take no more time than a look at the header needs.
pub trait Rules: Debug + Send + Sync {
    /// What logs call it.
    fn name(&self) -> &str;

    /// Whether it looks at the header of messages for an account. If nobody does, the header need not be read.
    fn reads_header(&self, _settings: &AccountEntry) -> bool {
        true
    }

    /// Whether it looks at the mailboxes of an account, where a message was sent to this detail of its address. If nobody
    /// does, they need not be read.
    fn reads_mailboxes(&self, _settings: &AccountEntry, _detail: Option<&str>) -> bool {
        true
    }

    /// Says what is to become of a message, by changing what those before have said.
    ///
    /// It may be asked more than once about a message: when it has to be stored once more, or comes again.
    fn apply(&self, arrival: &Arrival<'_>, plan: &mut Plan);
}

/// A message that has come for an account.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Arrival<'a> {
    /// Who sent it, by the envelope.
    pub sender: &'a ReversePath,
    /// To whom, by the envelope.
    pub recipient: &'a EmailAddress,
    /// The account.
    pub account: &'a Account,
    /// What is set for it.
    pub settings: &'a AccountEntry,
    /// What stood behind its name in the address, in lower case: `lists` in `alice+lists@example.org`.
    pub detail: Option<&'a str>,
    /// Whether filters or DMARC want it in Junk.
    pub is_junk: bool,
    /// The header, up to its empty line; no more than 1 MiB, and empty if nobody reads it.
    pub header: &'a [u8],
    /// The octets of the whole message.
    pub size: u64,
    /// The mailboxes of the account; none if nobody reads them.
    pub mailboxes: &'a [MailboxInfo],
    /// The moment, in seconds since 1970.
    pub now: u64,
}

/// What is to become of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// Where it is kept; nowhere if there is no place. Without a place and without somebody to forward it to it is thrown
    /// away.
    pub place: Option<Place>,
    /// The flags it begins with there.
    pub flags: Flags,
    /// To whom it goes as well, or instead. Where that cannot be, the message is kept.
    pub forward: Vec<EmailAddress>,
    /// What its sender is told, if that is due (RFC 3834).
    pub vacation: Option<Vacation>,
    /// Why it is refused, if it is: then nothing else happens for this account. The client is told where it delivers to this
    /// account alone, the sender by a notice otherwise.
    pub reject: Option<String>,
}

/// Where a message is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// In INBOX.
    Inbox,
    /// In the mailbox of this name; in INBOX if there is none.
    Folder(MailboxName),
    /// In the mailbox for this use, or else the one that is called so; in INBOX if there is none.
    Use(SpecialUse),
}

impl Default for Plan {
    /// Into INBOX, and nothing else.
    fn default() -> Self {
        Self {
            place: Some(Place::Inbox),
            flags: Flags::new(),
            forward: Vec::new(),
            vacation: None,
            reject: None,
        }
    }
}

/// The rules of a server, with further ones in their place.
pub(crate) fn of_server(config: &Config, further: Vec<Arc<dyn Rules>>) -> Vec<Arc<dyn Rules>> {
    let mut rules: Vec<Arc<dyn Rules>> = Vec::new();
    if config.delivery.subaddress_folders {
        rules.push(Arc::new(Subaddresses));
    }
    rules.push(Arc::new(Junk));
    rules.extend(further);
    rules.push(Arc::new(Forwarding));
    rules.push(Arc::new(Away));
    rules
}

#[derive(Debug)]
struct Subaddresses;

impl Rules for Subaddresses {
    fn name(&self) -> &str {
        "sub-addresses"
    }

    fn reads_header(&self, _: &AccountEntry) -> bool {
        false
    }

    fn reads_mailboxes(&self, _: &AccountEntry, detail: Option<&str>) -> bool {
        detail.is_some()
    }

    fn apply(&self, arrival: &Arrival<'_>, plan: &mut Plan) {
        let folder = arrival
            .detail
            .and_then(|detail| of_detail(arrival.mailboxes, detail));
        if let Some(folder) = folder {
            plan.place = Some(Place::Folder(folder.clone()));
        }
    }
}

#[derive(Debug)]
struct Junk;

impl Rules for Junk {
    fn name(&self) -> &str {
        "junk"
    }

    fn reads_header(&self, _: &AccountEntry) -> bool {
        false
    }

    fn reads_mailboxes(&self, _: &AccountEntry, _: Option<&str>) -> bool {
        false
    }

    fn apply(&self, arrival: &Arrival<'_>, plan: &mut Plan) {
        if arrival.is_junk {
            plan.place = Some(Place::Use(SpecialUse::Junk));
        }
    }
}

#[derive(Debug)]
struct Forwarding;

impl Rules for Forwarding {
    fn name(&self) -> &str {
        "forwarding"
    }

    fn reads_header(&self, settings: &AccountEntry) -> bool {
        !settings.forward.is_empty()
    }

    fn reads_mailboxes(&self, _: &AccountEntry, _: Option<&str>) -> bool {
        false
    }

    fn apply(&self, arrival: &Arrival<'_>, plan: &mut Plan) {
        let settings = arrival.settings;
        // What rules above have thrown away is not sent on.
        if settings.forward.is_empty() || arrival.is_junk || plan.place.is_none() {
            return;
        }
        plan.forward.extend(settings.forward.iter().cloned());
        if !settings.keep_copy {
            plan.place = None;
        }
    }
}

#[derive(Debug)]
struct Away;

impl Rules for Away {
    fn name(&self) -> &str {
        "vacation"
    }

    fn reads_header(&self, settings: &AccountEntry) -> bool {
        settings.vacation.is_some()
    }

    fn reads_mailboxes(&self, _: &AccountEntry, _: Option<&str>) -> bool {
        false
    }

    fn apply(&self, arrival: &Arrival<'_>, plan: &mut Plan) {
        let vacation = arrival.settings.vacation.as_ref();
        let is_wanted = !arrival.is_junk && (plan.place.is_some() || !plan.forward.is_empty());
        if let Some(vacation) = vacation.filter(|it| is_wanted && it.is_on(arrival.now)) {
            plan.vacation.get_or_insert_with(|| vacation.clone());
        }
    }
}

/// The folder that is meant by what stands behind the name in an address, whatever its case. None that has a use of its
/// own: strangers are not to put mail among what was sent, or thrown away.
fn of_detail<'m>(mailboxes: &'m [MailboxInfo], detail: &str) -> Option<&'m MailboxName> {
    let wanted = detail.to_lowercase();
    let mailbox = mailboxes
        .iter()
        .find(|mailbox| mailbox.name.as_str().to_lowercase() == wanted && !mailbox.name.is_inbox())?;
    let is_plain = mailbox.special_use.is_none()
        && SpecialUse::EACH
            .iter()
            .all(|it| !it.name().eq_ignore_ascii_case(&wanted));
    is_plain.then_some(&mailbox.name)
}
