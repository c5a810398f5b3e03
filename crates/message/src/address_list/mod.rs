//! Address lists (RFC 5322 §3.4, §4.4; RFC 6854)
//!
//! What parses is handed out as it is found, and borrows from the value wherever nothing has to be unescaped, so
//! that an ordinary list costs no allocation.

mod read;
mod write;

use std::borrow::Cow;

use mailwright_address::EmailAddress;

use crate::Defect;
use crate::encoded_word;
use crate::lex::{self, Report};
use crate::limits::Limits;
use read::Walker;

pub(crate) use read::{RawItem, RawMailbox, walk};

/// A member of an address list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // RFC 5322 §3.4: an address is a mailbox or a group
pub enum Address<'a> {
    /// One mailbox.
    Mailbox(Mailbox<'a>),
    /// A named list of mailboxes.
    Group(Group<'a>),
}

/// A named list of mailboxes, often empty: `undisclosed-recipients:;`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group<'a> {
    /// The display name, decoded.
    pub name: Cow<'a, str>,
    /// Its members.
    pub mailboxes: Vec<Mailbox<'a>>,
}

/// A mailbox as a header has it: perhaps not one that mail can be sent to.
///
/// Its `Display` is the form for a header: a name that needs it is quoted or encoded. It is not folded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Mailbox<'a> {
    /// The display name, decoded; for an address without one, the last comment beside it.
    pub name: Option<Cow<'a, str>>,
    /// The obsolete source route, `@a.example,@b.example`.
    pub route: Option<Cow<'a, str>>,
    /// The local part. One that was quoted still is.
    pub local_part: Cow<'a, str>,
    /// The domain or literal; empty when the header gave none.
    pub domain: Cow<'a, str>,
}

/// What an address list is made of, in order. Every start of a group has an end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // RFC 5322 §3.4: an address is a mailbox or a group
pub enum Item<'a> {
    /// A mailbox, in a group when one is open.
    Mailbox(Mailbox<'a>),
    /// The name of a group; its members follow.
    GroupStart(Cow<'a, str>),
    /// The group ends.
    GroupEnd,
}

impl<'a> Mailbox<'a> {
    /// A mailbox with an address, and a name where it has one.
    pub fn new(name: Option<&'a str>, address: &EmailAddress) -> Self {
        let written = address.to_string();
        let (local_part, domain) = written.rsplit_once('@').unwrap_or((&written, ""));
        Self {
            name: name.map(Cow::Borrowed),
            route: None,
            local_part: Cow::Owned(local_part.to_owned()),
            domain: Cow::Owned(domain.to_owned()),
        }
    }

    /// The address, if mail can be sent to it.
    pub fn address(&self) -> Option<EmailAddress> {
        EmailAddress::parse(&format!("{}@{}", self.local_part, self.domain)).ok()
    }

    /// A mailbox that borrows from nothing.
    pub fn into_owned(self) -> Mailbox<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Mailbox {
            name: self.name.map(owned),
            route: self.route.map(owned),
            local_part: owned(self.local_part),
            domain: owned(self.domain),
        }
    }
}

impl<'a> Address<'a> {
    /// The mailboxes: one, or the members of the group.
    pub fn mailboxes(&self) -> &[Mailbox<'a>] {
        match self {
            Self::Mailbox(mailbox) => std::slice::from_ref(mailbox),
            Self::Group(group) => &group.mailboxes,
        }
    }

    /// An address that borrows from nothing.
    pub fn into_owned(self) -> Address<'static> {
        match self {
            Self::Mailbox(mailbox) => Address::Mailbox(mailbox.into_owned()),
            Self::Group(group) => Address::Group(Group {
                name: Cow::Owned(group.name.into_owned()),
                mailboxes: group.mailboxes.into_iter().map(Mailbox::into_owned).collect(),
            }),
        }
    }
}

/// Reads an address list, and whatever stands in its place.
///
/// Obsolete forms are read with their meaning: empty members, routes, white space and comments between all
/// tokens, full stops in phrases. Of forms that are in no RFC, it understands a name without angle brackets
/// before an address, words behind an address, missing commas, semicolons in place of commas, quotes,
/// parentheses and brackets without partners, and 8-bit text.
///
/// ```
/// use mailwright_message::address_list::{self, Address};
/// let list = address_list::parse(b"Joe Q. Public <john.q.public@example.com>, , jdoe@test  . example");
/// let [Address::Mailbox(joe), Address::Mailbox(jdoe)] = list.as_slice() else { panic!() };
/// assert_eq!(joe.name.as_deref(), Some("Joe Q. Public"));
/// assert_eq!(jdoe.address().unwrap().to_string(), "jdoe@test.example");
/// ```
pub fn parse(value: &[u8]) -> Vec<Address<'_>> {
    collect(value, &Limits::default(), &mut ())
}

/// As [`parse`], within limits of the caller's; what is odd is appended to `defects`, with offsets in `value`.
///
/// ```
/// use mailwright_message::{DefectKind, address_list, header::Limits};
/// let mut defects = Vec::new();
/// let list = address_list::parse_with(b"Joe <joe@a.test> \"Ann <ann@a.test>", &Limits::default(), &mut defects);
/// assert_eq!(list.len(), 2);
/// assert_eq!((defects[0].kind, defects[0].offset), (DefectKind::Unbalanced, 17));
/// ```
pub fn parse_with<'a>(value: &'a [u8], limits: &Limits, defects: &mut Vec<Defect>) -> Vec<Address<'a>> {
    collect(value, limits, defects)
}

/// Reads an address list one by one, within the default limits. See [`parse`] for what it understands.
pub fn items(value: &[u8]) -> Items<'_> {
    Items {
        walker: Walker::new(value, Limits::default().max_addresses),
    }
}

/// The mailboxes of a list, those in groups among them, within the default limits.
///
/// ```
/// use mailwright_message::address_list;
/// let names = address_list::mailboxes(b"A Group:Ed <c@a.test>,joe@b.test;, x@y").map(|m| m.local_part);
/// assert_eq!(names.collect::<Vec<_>>(), ["c", "joe", "x"]);
/// ```
pub fn mailboxes(value: &[u8]) -> impl Iterator<Item = Mailbox<'_>> {
    items(value).filter_map(|item| match item {
        Item::Mailbox(mailbox) => Some(mailbox),
        Item::GroupStart(_) | Item::GroupEnd => None,
    })
}

/// The iterator of [`items`].
#[derive(Debug, Clone)]
pub struct Items<'a> {
    walker: Walker<'a>,
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        self.walker.next(&mut ()).map(Item::from)
    }
}

fn collect<'a>(value: &'a [u8], limits: &Limits, report: &mut impl Report) -> Vec<Address<'a>> {
    let mut list = Vec::new();
    let mut group: Option<Group<'a>> = None;
    let mut walker = Walker::new(value, limits.max_addresses);
    while let Some(raw) = walker.next(report) {
        match Item::from(raw) {
            Item::Mailbox(mailbox) => match &mut group {
                Some(group) => group.mailboxes.push(mailbox),
                None => list.push(Address::Mailbox(mailbox)),
            },
            Item::GroupStart(name) => {
                group = Some(Group {
                    name,
                    mailboxes: Vec::new(),
                });
            }
            Item::GroupEnd => list.extend(group.take().map(Address::Group)),
        }
    }
    list
}

impl<'a> From<RawItem<'a>> for Item<'a> {
    fn from(raw: RawItem<'a>) -> Self {
        match raw {
            RawItem::Mailbox(raw) => Self::Mailbox(raw.into()),
            RawItem::GroupStart(name) => Self::GroupStart(encoded_word::decode_cow(name)),
            RawItem::GroupEnd => Self::GroupEnd,
        }
    }
}

impl<'a> From<RawMailbox<'a>> for Mailbox<'a> {
    fn from(raw: RawMailbox<'a>) -> Self {
        Self {
            name: raw.name.map(encoded_word::decode_cow),
            route: raw.route.map(lex::text),
            local_part: lex::text(raw.local_part),
            domain: lex::text(raw.domain),
        }
    }
}
