//! Addresses to write (RFC 5322 §3.4, RFC 6854)

use std::borrow::Cow;

use mailwright_address::EmailAddress;

use super::Error;
use super::fold::Folder;
use crate::address_list;

/// A member of an address list to write: a mailbox, or a named group of them.
///
/// Made from `"bob@b.test"`, `("Bob", "bob@b.test")`, an [`EmailAddress`] or a parsed
/// [`address_list::Address`]. The text of an address is the address alone: no text can add a second one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address<'a>(Kind<'a>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind<'a> {
    Mailbox(Mailbox<'a>),
    Group(Cow<'a, str>, Vec<Mailbox<'a>>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mailbox<'a> {
    name: Option<Cow<'a, str>>,
    address: Cow<'a, str>,
}

impl<'a> Address<'a> {
    /// A mailbox with a display name; an empty one is none.
    pub fn named(name: impl Into<Cow<'a, str>>, address: impl Into<Cow<'a, str>>) -> Self {
        let name: Cow<'a, str> = name.into();
        Self(Kind::Mailbox(Mailbox {
            name: (!name.is_empty()).then_some(name),
            address: address.into(),
        }))
    }

    /// A group, perhaps without members: `undisclosed-recipients:;`. Groups in `members` give their members.
    pub fn group(name: impl Into<Cow<'a, str>>, members: impl Into<Addresses<'a>>) -> Self {
        let members = members.into().0.into_iter().flat_map(|member| match member.0 {
            Kind::Mailbox(mailbox) => vec![mailbox],
            Kind::Group(_, mailboxes) => mailboxes,
        });
        Self(Kind::Group(name.into(), members.collect()))
    }

    fn mailboxes(&self) -> &[Mailbox<'a>] {
        match &self.0 {
            Kind::Mailbox(mailbox) => std::slice::from_ref(mailbox),
            Kind::Group(_, mailboxes) => mailboxes,
        }
    }
}

/// Any number of addresses: one, an array or a vector of what makes an [`Address`], or a parsed list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Addresses<'a>(Vec<Address<'a>>);

impl<'a> Addresses<'a> {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn extend(&mut self, more: Self) {
        if self.0.is_empty() {
            self.0 = more.0;
        } else {
            self.0.extend(more.0);
        }
    }

    /// The number of mailboxes, those of groups included.
    pub(super) fn mailbox_count(&self) -> usize {
        self.0.iter().map(|address| address.mailboxes().len()).sum()
    }

    /// The addresses, those of groups included, in the form that a header has.
    pub(super) fn parse(&self, utf8: bool) -> impl Iterator<Item = Result<EmailAddress, Error>> + '_ {
        self.0
            .iter()
            .flat_map(Address::mailboxes)
            .map(move |mailbox| mailbox.resolve(utf8))
    }

    pub(super) fn write(
        &self,
        folder: &mut Folder<'_>,
        name: &str,
        utf8: bool,
        written: &mut Vec<EmailAddress>,
    ) -> Result<(), Error> {
        for (i, address) in self.0.iter().enumerate() {
            if i > 0 {
                folder.mark(b',');
            }
            match &address.0 {
                Kind::Mailbox(mailbox) => written.push(mailbox.write(folder, name, utf8)?),
                Kind::Group(group, mailboxes) => {
                    if group.is_empty() {
                        return Err(Error::GroupName);
                    }
                    super::field::check(name, group)?;
                    folder.phrase(group)?;
                    folder.mark(b':');
                    for (i, mailbox) in mailboxes.iter().enumerate() {
                        if i > 0 {
                            folder.mark(b',');
                        }
                        written.push(mailbox.write(folder, name, utf8)?);
                    }
                    folder.mark(b';');
                }
            }
        }
        Ok(())
    }
}

impl Mailbox<'_> {
    /// The address; without UTF-8 in headers its domain in A-labels (RFC 5890 §2.3.2.1) if the feature `idna` is
    /// there, so that only a local part can be in the way.
    fn resolve(&self, utf8: bool) -> Result<EmailAddress, Error> {
        let address = EmailAddress::parse(&self.address);
        let address = address.map_err(|_| Error::Address(self.address.clone().into_owned()))?;
        if utf8 || address.is_ascii() {
            return Ok(address);
        }
        let ascii = to_ascii_domain(&address).filter(EmailAddress::is_ascii);
        ascii.ok_or_else(|| Error::NonAsciiAddress(address.to_string()))
    }

    fn write(&self, folder: &mut Folder<'_>, name: &str, utf8: bool) -> Result<EmailAddress, Error> {
        let address = self.resolve(utf8)?;
        let Some(display) = &self.name else {
            folder.word(b" ", address.as_str().as_bytes())?;
            return Ok(address);
        };
        super::field::check(name, display)?;
        folder.phrase(display)?;
        folder.joined(b" ", &[b"<", address.as_str().as_bytes(), b">"])?;
        Ok(address)
    }
}

#[cfg(feature = "idna")]
fn to_ascii_domain(address: &EmailAddress) -> Option<EmailAddress> {
    address.to_ascii_domain().ok()
}

#[cfg(not(feature = "idna"))]
fn to_ascii_domain(_: &EmailAddress) -> Option<EmailAddress> {
    None
}

impl<'a> From<&'a str> for Address<'a> {
    fn from(address: &'a str) -> Self {
        Self::named("", address)
    }
}

impl From<String> for Address<'_> {
    fn from(address: String) -> Self {
        Self::named("", address)
    }
}

impl<'a> From<&'a EmailAddress> for Address<'a> {
    fn from(address: &'a EmailAddress) -> Self {
        Self::named("", address.as_str())
    }
}

impl From<EmailAddress> for Address<'_> {
    fn from(address: EmailAddress) -> Self {
        Self::named("", address.to_string())
    }
}

impl<'a, N: Into<Cow<'a, str>>, A: Into<Cow<'a, str>>> From<(N, A)> for Address<'a> {
    fn from((name, address): (N, A)) -> Self {
        Self::named(name, address)
    }
}

/// A parsed address as it was meant: controls in names become spaces, so that any address of a received message
/// can be written.
impl From<&address_list::Address<'_>> for Address<'_> {
    fn from(address: &address_list::Address) -> Self {
        match address {
            address_list::Address::Mailbox(mailbox) => Self(Kind::Mailbox(mailbox.into())),
            address_list::Address::Group(group) => Self(Kind::Group(
                Cow::Owned(super::field::without_controls(&group.name)),
                group.mailboxes.iter().map(Into::into).collect(),
            )),
        }
    }
}

impl From<&address_list::Mailbox<'_>> for Mailbox<'_> {
    fn from(mailbox: &address_list::Mailbox) -> Self {
        Self {
            name: mailbox
                .name
                .as_deref()
                .map(|name| Cow::Owned(super::field::without_controls(name))),
            address: Cow::Owned(format!("{}@{}", mailbox.local_part, mailbox.domain)),
        }
    }
}

impl<'a, A: Into<Address<'a>>> From<A> for Addresses<'a> {
    fn from(address: A) -> Self {
        Self(vec![address.into()])
    }
}

impl<'a, A: Into<Address<'a>>> From<Vec<A>> for Addresses<'a> {
    fn from(addresses: Vec<A>) -> Self {
        addresses.into_iter().collect()
    }
}

impl<'a, A: Into<Address<'a>>, const N: usize> From<[A; N]> for Addresses<'a> {
    fn from(addresses: [A; N]) -> Self {
        addresses.into_iter().collect()
    }
}

impl<'a, A: Into<Address<'a>>> FromIterator<A> for Addresses<'a> {
    fn from_iter<I: IntoIterator<Item = A>>(addresses: I) -> Self {
        Self(addresses.into_iter().map(Into::into).collect())
    }
}
