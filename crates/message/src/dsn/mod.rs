//! Delivery status notifications (RFC 3464, RFC 6522, RFC 6533)

mod build;
mod extension;
mod parse;
mod text;

use std::fmt;
use std::str::FromStr;

pub(crate) use build::Fields;
pub use build::{Notification, Returned};
pub use extension::Extension;
pub(crate) use parse::typed;

use crate::date::DateTime;

/// What a notification reports about one message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The ENVID that the sender gave with the message.
    pub original_envelope_id: Option<String>,
    /// Who tried to deliver.
    pub reporting_mta: Typed,
    /// Who made this report out of one in a foreign form.
    pub gateway: Option<Typed>,
    /// Who the message came from.
    pub received_from_mta: Option<Typed>,
    /// When it came.
    pub arrival_date: Option<DateTime>,
    /// Other fields about the message, in their order.
    pub extensions: Vec<Extension>,
    /// What happened to each recipient.
    pub recipients: Vec<Recipient>,
}

impl Report {
    /// A report without recipients; add them.
    pub fn new(reporting_mta: Typed) -> Self {
        Self {
            original_envelope_id: None,
            reporting_mta,
            gateway: None,
            received_from_mta: None,
            arrival_date: None,
            extensions: Vec::new(),
            recipients: Vec::new(),
        }
    }
}

/// What happened to one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recipient {
    /// The address that the sender gave, from the ORCPT parameter (RFC 3461 §4.2).
    pub original_recipient: Option<Typed>,
    /// The address from the envelope.
    pub final_recipient: Typed,
    /// What was done.
    pub action: Action,
    /// How it went.
    pub status: Status,
    /// The host that said so, if it was another one.
    pub remote_mta: Option<Typed>,
    /// What that host, or this one, said.
    pub diagnostic: Option<Typed>,
    /// The text of the diagnostic in other languages: the kind of each is its language tag (RFC 6533 §4.1). They are
    /// only written beside a diagnostic, in the form with UTF-8.
    pub localized_diagnostics: Vec<Typed>,
    /// When delivery was last tried.
    pub last_attempt: Option<DateTime>,
    /// What the last host's log calls the message.
    pub final_log_id: Option<String>,
    /// Until when delivery is tried; only printed for [`Action::Delayed`].
    pub will_retry_until: Option<DateTime>,
    /// Other fields, in their order.
    pub extensions: Vec<Extension>,
}

impl Recipient {
    /// A recipient with what each one has; set the rest.
    pub fn new(final_recipient: Typed, action: Action, status: Status) -> Self {
        Self {
            original_recipient: None,
            final_recipient,
            action,
            status,
            remote_mta: None,
            diagnostic: None,
            localized_diagnostics: Vec::new(),
            last_attempt: None,
            final_log_id: None,
            will_retry_until: None,
            extensions: Vec::new(),
        }
    }
}

/// A value that says what kind it is: `dns; mx.example`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Typed {
    /// The kind: `rfc822`, `utf-8`, `dns`, `smtp`, `x-…`. Case does not matter.
    pub kind: String,
    /// The value. One of kind `utf-8` is in plain UTF-8 here, whatever it is in the report.
    pub value: String,
}

impl Typed {
    /// A value of any kind.
    pub fn new(kind: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            value: value.into(),
        }
    }

    /// A host: `dns; mx.example`.
    pub fn dns(host: impl Into<String>) -> Self {
        Self::new("dns", host)
    }

    /// An SMTP reply: `smtp; 550 5.1.1 no such user`.
    pub fn smtp(reply: impl Into<String>) -> Self {
        Self::new("smtp", reply)
    }

    /// A mail address: `rfc822; a@b`, or of kind `utf-8` when it is not ASCII.
    pub fn address(address: impl Into<String>) -> Self {
        let address = address.into();
        let kind = if address.is_ascii() { "rfc822" } else { "utf-8" };
        Self::new(kind, address)
    }
}

/// What was done with a message for a recipient (RFC 3464 §2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // RFC 3464 §2.3.3: action-value
pub enum Action {
    /// It could not be delivered, and will not be tried again.
    Failed,
    /// It could not be delivered yet.
    Delayed,
    /// It was delivered.
    Delivered,
    /// It went to a system that sends no notifications.
    Relayed,
    /// It went to the members of a list of addresses.
    Expanded,
}

impl Action {
    /// The word for it in a report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [
            Self::Failed,
            Self::Delayed,
            Self::Delivered,
            Self::Relayed,
            Self::Expanded,
        ]
        .into_iter()
        .find(|action| action.as_str().eq_ignore_ascii_case(word))
    }
}

/// An enhanced status code (RFC 3463): `5.1.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status {
    class: u8,
    subject: u16,
    detail: u16,
}

impl Status {
    /// `5.0.0`, a failure of which nothing more is known.
    pub const FAILED: Self = Self::known(5, 0, 0);
    /// `4.0.0`, a delay of which nothing more is known.
    pub const DELAYED: Self = Self::known(4, 0, 0);
    /// `2.0.0`, a success.
    pub const DELIVERED: Self = Self::known(2, 0, 0);
    /// `4.4.7`, delivery was tried for as long as it is.
    pub const EXPIRED: Self = Self::known(4, 4, 7);
    /// `5.1.1`, there is no such mailbox.
    pub const NO_SUCH_MAILBOX: Self = Self::known(5, 1, 1);

    const fn known(class: u8, subject: u16, detail: u16) -> Self {
        Self {
            class,
            subject,
            detail,
        }
    }

    /// A code of class 2, 4 or 5, and of numbers up to 999.
    pub fn new(class: u8, subject: u16, detail: u16) -> Option<Self> {
        let valid = matches!(class, 2 | 4 | 5) && subject <= 999 && detail <= 999;
        valid.then_some(Self {
            class,
            subject,
            detail,
        })
    }

    /// 2 is success, 4 is a trouble that may pass, 5 one that does not.
    pub fn class(self) -> u8 {
        self.class
    }

    /// Where the trouble is: 1 address, 2 mailbox, 3 mail system, 4 network, 5 protocol, 6 content, 7 policy.
    pub fn subject(self) -> u16 {
        self.subject
    }

    /// What exactly it is.
    pub fn detail(self) -> u16 {
        self.detail
    }

    /// The code at the start of a text, such as that of a reply or of a Status field with a comment.
    pub fn find(text: &str) -> Option<Self> {
        let text = text.trim_start();
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        text[..end].trim_end_matches('.').parse().ok()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl FromStr for Status {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self, crate::Error> {
        let mut numbers = text.split('.').map(|digits| {
            let valid = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            valid.then(|| digits.parse::<u16>().ok()).flatten()
        });
        let mut next = || numbers.next().flatten();
        let code = (next(), next(), next());
        match (code, numbers.next()) {
            ((Some(class @ ..=9), Some(subject), Some(detail)), None) => {
                Self::new(class as u8, subject, detail)
            }
            _ => None,
        }
        .ok_or(crate::Error::NotAStatus)
    }
}
