//! Mailing lists: who may send to one, and what its copies say (RFC 2369, RFC 2919, RFC 5321 §3.9.2)
//!
//! A list changes nothing of a message but its envelope, and the fields of the list on top: the subject and the text are
//! as their author signed them.

use crate::config::{List, Posting};
use crate::delivery::Destination;
use crate::names;
use crate::shared::Shared;
use mailwright_address::{EmailAddress, ReversePath};
use mailwright_message::build::Field;
use mailwright_message::header::{self, Headers};
use std::fmt::Write as _;

/// A mailing list of this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailingList {
    /// Its address as it is looked up.
    name: String,
    list: List,
}

impl MailingList {
    pub(super) fn new(name: &str, list: List) -> Self {
        Self {
            name: name.into(),
            list,
        }
    }

    /// Its address.
    pub fn address(&self) -> &EmailAddress {
        &self.list.address
    }

    /// Who gets what is sent to it.
    pub fn members(&self) -> &[EmailAddress] {
        &self.list.members
    }

    /// Who answers for it.
    pub fn owner(&self) -> &EmailAddress {
        &self.list.owner
    }

    /// Whether this is its name, in the form in which names are looked up.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// The sender of what it sends: what cannot be delivered goes to its owner (RFC 5321 §3.9.2).
    pub(super) fn sender(&self) -> ReversePath {
        let sender = owner_address(&self.list);
        // A name of 64 octets has no room for more.
        ReversePath::Address(sender.unwrap_or_else(|| self.list.owner.clone()))
    }

    /// Whether a message has been here before.
    pub(super) fn has_sent(&self, header: &[u8]) -> bool {
        let headers = Headers::new(header);
        let id = self.id();
        headers
            .all("List-Id")
            .filter_map(|field| mailwright_message::list::ListId::parse(field.value))
            .any(|own| own.id.eq_ignore_ascii_case(&id))
            || was_delivered_to(&headers, &self.name)
    }

    /// The header of the copies that it sends.
    ///
    /// What another list says that this one is a member of stays, but for how to leave it and who owns it
    /// (RFC 2369 §4, RFC 2919 §8).
    pub(super) fn header(&self, header: &[u8]) -> Vec<u8> {
        let headers = Headers::new(header);
        let is_sublist = headers.field("List-Id").is_some();
        let mut out = format!("Delivered-To: {}\r\n", self.list.address);
        let local = percent_encoded(&self.list.address.unquoted_local_part());
        let host = self.list.address.host_text();
        if !is_sublist {
            let _ = write!(out, "List-Id: {}<{}>\r\n", self.description(), self.id());
            match self.list.post {
                Posting::Only(_) => out.push_str("List-Post: NO\r\n"),
                Posting::Members | Posting::Anyone => {
                    let _ = write!(out, "List-Post: <mailto:{local}@{host}>\r\n");
                }
            }
        }
        for (name, subject) in [("Help", "help"), ("Unsubscribe", "unsubscribe")] {
            let _ = write!(
                out,
                "List-{name}: <mailto:{local}-request@{host}?subject={subject}>\r\n"
            );
        }
        let _ = write!(out, "List-Owner: <mailto:owner-{local}@{host}>\r\n");
        let mut out = out.into_bytes();
        let replaced: &[&str] = match is_sublist {
            true => &[
                "List-Help",
                "List-Subscribe",
                "List-Unsubscribe",
                "List-Unsubscribe-Post",
                "List-Owner",
            ],
            false => &[
                "List-Help",
                "List-Subscribe",
                "List-Unsubscribe",
                "List-Unsubscribe-Post",
                "List-Owner",
                "List-Post",
            ],
        };
        let mut from = 0;
        for field in header::fields(header) {
            if replaced.iter().any(|name| field.is(name)) {
                let at = usize::try_from(field.offset).unwrap_or(header.len());
                out.extend_from_slice(&header[from..at]);
                from = at + field.raw.len();
            }
        }
        out.extend_from_slice(&header[from..]);
        out
    }

    /// RFC 2919 §3: the address, with a dot for its `@`.
    fn id(&self) -> String {
        let local = self.list.address.unquoted_local_part().to_lowercase();
        let is_atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
        let local: String = local.chars().map(|c| if is_atom(c) { c } else { '-' }).collect();
        let host = self
            .list
            .address
            .domain()
            .map_or_else(String::new, |domain| names::domain_key(&domain));
        format!("{}.{host}", local.trim_matches('.'))
    }

    /// What it is, as a phrase with a line end behind it.
    fn description(&self) -> String {
        let Some(text) = &self.list.description else {
            return String::new();
        };
        let text: String = text.chars().filter(|c| !c.is_control()).take(100).collect();
        if text.is_ascii() {
            let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
            return format!("\"{quoted}\"\r\n ");
        }
        // Its encoded words stand as they are in a phrase.
        let field = Field::text("List-Id", text).to_bytes().unwrap_or_default();
        let field = String::from_utf8(field).unwrap_or_default();
        let words = field.strip_prefix("List-Id: ").unwrap_or_default().trim_end();
        format!("{words}\r\n ")
    }
}

impl<S> Shared<S> {
    /// Whether somebody may send to a list: by the sender of the envelope, for that is what is known when the list is
    /// named, and what SPF vouches for. Who has no sender may not: lists do not spread reports.
    pub(crate) fn may_post(&self, list: &MailingList, sender: &ReversePath) -> bool {
        let Some(sender) = sender.address() else {
            return false;
        };
        let List {
            post, members, owner, ..
        } = &list.list;
        let allowed: Vec<&EmailAddress> = match post {
            Posting::Anyone => return true,
            Posting::Members => members.iter().chain([owner]).collect(),
            Posting::Only(those) => those.iter().collect(),
        };
        let name = names::key(sender.as_str());
        if allowed.iter().any(|one| names::key(one.as_str()) == name) {
            return true;
        }
        let accounts = match self.destination(sender) {
            Destination::Here(targets) => targets.accounts,
            // Nothing but its own name could allow it.
            Destination::Elsewhere | Destination::Disabled | Destination::Nobody => return false,
        };
        // A list that this one is a member of.
        let is_parent = |parent: &List| {
            owner_address(parent).is_some_and(|owner| names::key(owner.as_str()) == name)
                && parent
                    .members
                    .iter()
                    .any(|member| names::key(member.as_str()) == list.name)
        };
        let leads_to_one = |address: &EmailAddress| match self.destination(address) {
            Destination::Here(targets) => targets.accounts.iter().any(|it| accounts.contains(it)),
            Destination::Elsewhere | Destination::Disabled | Destination::Nobody => false,
        };
        self.lists.all().values().any(is_parent) || allowed.into_iter().any(leads_to_one)
    }
}

fn owner_address(list: &List) -> Option<EmailAddress> {
    let local = format!("owner-{}", list.address.unquoted_local_part());
    EmailAddress::new(&local, list.address.host()).ok()
}

/// RFC 6068 §2.
fn percent_encoded(local: &str) -> String {
    let mut out = String::new();
    for octet in local.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' => {
                out.push(octet.into());
            }
            _ => {
                let _ = write!(out, "%{octet:02X}");
            }
        }
    }
    out
}

/// Whether the header says that a message was delivered to an account or a list, whose name is in the form in which names
/// are looked up.
pub(super) fn was_delivered_to(headers: &Headers<'_>, name: &str) -> bool {
    let mut names = headers.delivered_to().filter_map(|mailbox| mailbox.address());
    names.any(|address| names::key(address.as_str()) == names::key(name))
}
