//! The typed values of a message's own header.

use mailwright_message::address_list::{self, Address, Mailbox};
use mailwright_message::date::{self, DateTime};
use mailwright_message::{header, message_id};
use serde::Serialize;
use std::borrow::Cow;

#[derive(Serialize)]
pub(crate) struct Headers {
    pub(crate) from: Vec<Member>,
    pub(crate) to: Vec<Member>,
    pub(crate) cc: Vec<Member>,
    pub(crate) subject: Option<String>,
    pub(crate) date: Option<Moment>,
    pub(crate) message_id: Option<String>,
    pub(crate) references: Vec<String>,
}

/// A member of an address list.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Member {
    Mailbox(Person),
    Group { name: String, mailboxes: Vec<Person> },
}

#[derive(Serialize)]
pub(crate) struct Person {
    pub(crate) name: Option<String>,
    pub(crate) address: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Moment {
    rfc3339: String,
    unix: i64,
    #[serde(skip)]
    pub(crate) written: DateTime,
}

impl Headers {
    pub(crate) fn read(header: &[u8]) -> Self {
        let value = |name| header::find(header, name).map(|field| field.value);
        let list = |name| {
            let members = value(name).map(address_list::parse).unwrap_or_default();
            members.into_iter().map(Member::from).collect()
        };
        let ids = |name| -> Vec<String> {
            let ids = value(name).map(message_id::ids);
            ids.into_iter().flatten().map(Cow::into_owned).collect()
        };
        Self {
            from: list("From"),
            to: list("To"),
            cc: list("Cc"),
            subject: value("Subject").map(header::decode),
            date: value("Date").and_then(date::parse).map(Moment::from),
            message_id: ids("Message-ID").into_iter().next(),
            references: ids("References"),
        }
    }
}

impl From<Address<'_>> for Member {
    fn from(address: Address<'_>) -> Self {
        match address {
            Address::Mailbox(mailbox) => Self::Mailbox(mailbox.into()),
            Address::Group(group) => Self::Group {
                name: group.name.into_owned(),
                mailboxes: group.mailboxes.into_iter().map(Person::from).collect(),
            },
        }
    }
}

impl From<Mailbox<'_>> for Person {
    fn from(mailbox: Mailbox<'_>) -> Self {
        let (local_part, domain) = (mailbox.local_part, mailbox.domain);
        let address = match (local_part.is_empty(), domain.is_empty()) {
            (true, true) => None,
            (false, true) => Some(local_part.into_owned()),
            _ => Some(format!("{local_part}@{domain}")),
        };
        Self {
            name: mailbox.name.map(Cow::into_owned),
            address,
        }
    }
}

impl From<DateTime> for Moment {
    fn from(written: DateTime) -> Self {
        let civil = written.civil();
        let minutes = written.offset.unsigned_abs();
        let zone = match written.offset {
            0 => "Z".to_owned(),
            offset => {
                let sign = if offset < 0 { '-' } else { '+' };
                format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        };
        let rfc3339 = format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{zone}",
            civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.second
        );
        Self {
            rfc3339,
            unix: written.unix,
            written,
        }
    }
}
