//! Builder: messages to send (RFC 5322 §3, RFC 2045 to RFC 2047, RFC 2231, RFC 6532)
//!
//! ```
//! use mailwright_message::Message;
//! use mailwright_message::date::DateTime;
//!
//! let random = [7; 32]; // fresh from the operating system
//! let message = Message::builder()
//!     .from(("Jürgen", "juergen@a.test"))
//!     .to(["bob@b.test", "carol@c.test"])
//!     .subject("Grüße")
//!     .text("Bis morgen!\n")
//!     .build(DateTime::new(880_106_106, 60), random)?;
//!
//! assert_eq!(message.recipients().len(), 2);
//! let octets = message.to_vec()?;
//! assert!(octets.starts_with(b"Date: Fri, 21 Nov 1997 10:55:06 +0100\r\n"));
//! assert!(octets.ends_with(b"\r\n\r\nBis morgen!\r\n"));
//! # Ok::<(), mailwright_message::build::Error>(())
//! ```
//!
//! What comes out can be sent and signed as it is: nothing has to be rewritten after. No value can end its field,
//! add a recipient or make a line that is too long: where a text cannot be encoded, building fails and says why.
//!
//! | for | see |
//! |---|---|
//! | text, HTML, pictures in it, attachments | [`MessageBuilder`] |
//! | any other tree: reports, digests, signed and encrypted mail, calendars | [`Part`] |
//! | fields that have no method | [`Field`] |
//! | bodies that are read while they are sent | [`Body::stream`], [`Writer`] |
//! | answers, forwarding, resending | [`reply`] |
//! | delivery reports and read receipts | [`dsn`](crate::dsn), [`disposition`] |

mod address;
mod content;
pub mod disposition;
mod encode;
mod error;
mod field;
mod fold;
mod layout;
mod part;
pub mod reply;
mod write;

use std::borrow::Cow;
use std::collections::HashSet;

use mailwright_address::EmailAddress;

use crate::date::{self, DateTime};
use crate::message_id;
use layout::{Boundaries, Layout};

pub use address::{Address, Addresses};
pub use content::{Encoding, Transport};
pub use error::Error;
pub use field::Field;
pub use part::{Body, Part};
pub use write::{Message, Step, Writer};

/// How deep parts may be nested in what is built.
pub const MAX_DEPTH: usize = 50;

/// The fields of addresses, in their order.
const PEOPLE: [&str; 6] = ["From", "Sender", "Reply-To", "To", "Cc", "Bcc"];

/// The fields that [`MessageBuilder`] writes itself.
const RESERVED: [&str; 12] = [
    "Date",
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
];

/// Puts a message together.
///
/// Text and HTML become alternatives; inline parts are related to the HTML; attachments come last. Every setter
/// that takes addresses or parts adds to what was given before, every other one replaces it.
#[derive(Debug, Clone, Default)]
pub struct MessageBuilder<'a> {
    from: Addresses<'a>,
    sender: Addresses<'a>,
    reply_to: Addresses<'a>,
    to: Addresses<'a>,
    cc: Addresses<'a>,
    bcc: Addresses<'a>,
    show_bcc: bool,
    subject: Option<Cow<'a, str>>,
    message_id: Option<Cow<'a, str>>,
    in_reply_to: Vec<Cow<'a, str>>,
    references: Vec<Cow<'a, str>>,
    fields: Vec<Field<'a>>,
    text: Option<Cow<'a, str>>,
    is_flowed: bool,
    html: Option<Cow<'a, str>>,
    alternatives: Vec<Part<'a>>,
    inline: Vec<Part<'a>>,
    attachments: Vec<Part<'a>>,
    body: Option<Box<Part<'a>>>,
    transport: Transport,
    utf8: bool,
}

impl<'a> MessageBuilder<'a> {
    /// Adds authors. With more than one, [`MessageBuilder::sender`] must name who sends (RFC 5322 §3.6.2).
    #[must_use]
    pub fn from(mut self, from: impl Into<Addresses<'a>>) -> Self {
        self.from.extend(from.into());
        self
    }

    /// Names who sends the message, when that is not its author.
    #[must_use]
    pub fn sender(mut self, sender: impl Into<Address<'a>>) -> Self {
        self.sender = Addresses::from(sender);
        self
    }

    /// Adds addresses that answers shall go to, in place of the authors'.
    #[must_use]
    pub fn reply_to(mut self, reply_to: impl Into<Addresses<'a>>) -> Self {
        self.reply_to.extend(reply_to.into());
        self
    }

    /// Adds recipients.
    #[must_use]
    pub fn to(mut self, to: impl Into<Addresses<'a>>) -> Self {
        self.to.extend(to.into());
        self
    }

    /// Adds recipients who get a copy.
    #[must_use]
    pub fn cc(mut self, cc: impl Into<Addresses<'a>>) -> Self {
        self.cc.extend(cc.into());
        self
    }

    /// Adds recipients whom the others shall not see: they are among [`Message::recipients`], and not in the header.
    #[must_use]
    pub fn bcc(mut self, bcc: impl Into<Addresses<'a>>) -> Self {
        self.bcc.extend(bcc.into());
        self
    }

    /// Writes the Bcc field, as the sender's own copy or a draft should have it. Never send such a message.
    #[must_use]
    pub fn show_bcc(mut self) -> Self {
        self.show_bcc = true;
        self
    }

    /// Sets the subject.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<Cow<'a, str>>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Sets the Message-ID, in place of a fresh one. Without angle brackets or with.
    #[must_use]
    pub fn message_id(mut self, id: impl Into<Cow<'a, str>>) -> Self {
        self.message_id = Some(id.into());
        self
    }

    /// Sets the identifiers of the messages that this one answers.
    #[must_use]
    pub fn in_reply_to<I: Into<Cow<'a, str>>>(mut self, ids: impl IntoIterator<Item = I>) -> Self {
        self.in_reply_to = ids.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the identifiers of the thread, the oldest first.
    #[must_use]
    pub fn references<I: Into<Cow<'a, str>>>(mut self, ids: impl IntoIterator<Item = I>) -> Self {
        self.references = ids.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a field that has no method here.
    #[must_use]
    pub fn field(mut self, field: Field<'a>) -> Self {
        self.fields.push(field);
        self
    }

    /// Sets the text.
    #[must_use]
    pub fn text(mut self, text: impl Into<Cow<'a, str>>) -> Self {
        self.text = Some(text.into());
        self.is_flowed = false;
        self
    }

    /// Sets the text, as format=flowed: see [`Part::flowed`].
    #[must_use]
    pub fn flowed(mut self, text: &str) -> Self {
        self.text = Some(crate::flowed::encode(text).into());
        self.is_flowed = true;
        self
    }

    /// Sets the HTML.
    #[must_use]
    pub fn html(mut self, html: impl Into<Cow<'a, str>>) -> Self {
        self.html = Some(html.into());
        self
    }

    /// Adds another form of the text, such as [`Part::calendar`]; the best form is the last one.
    #[must_use]
    pub fn alternative(mut self, part: Part<'a>) -> Self {
        self.alternatives.push(part);
        self
    }

    /// Adds what the HTML shows, by [`Part::content_id`].
    #[must_use]
    pub fn inline(mut self, part: Part<'a>) -> Self {
        self.inline.push(part);
        self
    }

    /// Adds an attachment.
    #[must_use]
    pub fn attach(mut self, part: Part<'a>) -> Self {
        self.attachments.push(part);
        self
    }

    /// Sets the whole body: a tree of one's own, in place of text, HTML, alternatives and inline parts.
    /// Attachments are put behind it.
    #[must_use]
    pub fn body(mut self, body: Part<'a>) -> Self {
        self.body = Some(Box::new(body));
        self
    }

    /// Says what can carry the message. The default is [`Transport::SevenBit`], which everything can.
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Writes names, subjects and addresses that are not ASCII as raw UTF-8 (RFC 6532), for a transport with
    /// SMTPUTF8. Without it names and subjects are encoded, and an address that is not ASCII is an error.
    #[must_use]
    pub fn utf8_headers(mut self) -> Self {
        self.utf8 = true;
        self
    }

    /// Builds the message. `date` is its date; `random` is fresh randomness, for the Message-ID and the boundaries.
    ///
    /// # Errors
    ///
    /// [`Error`] names the field, address or body that cannot be written. For a body that comes from a stream,
    /// some errors can show up later, from [`Writer::poll`].
    pub fn build(mut self, date: DateTime, random: [u8; 32]) -> Result<Message<'a>, Error> {
        let (id, boundary) = random.split_at(16);
        let mut header = Vec::with_capacity(2048);
        header.extend_from_slice(b"Date: ");
        date::push(date, &mut header);
        header.extend_from_slice(b"\r\n");
        let (sender, recipients) = self.write_people(&mut header, &PEOPLE)?;
        if let Some(subject) = &self.subject {
            field::write_text(&mut header, "Subject", subject, self.utf8)?;
        }
        let id = match self.message_id.take() {
            Some(id) => field::bare_id(&id).to_owned(),
            None => {
                let host = sender.domain_text().unwrap_or_default();
                let mut id = message_id::generate(id, host);
                id.pop();
                id.remove(0);
                id
            }
        };
        field::write_ids(&mut header, "Message-ID", &[Cow::Borrowed(&id)], self.utf8)?;
        for (name, ids) in [
            ("In-Reply-To", &self.in_reply_to),
            ("References", &self.references),
        ] {
            if !ids.is_empty() {
                field::write_ids(&mut header, name, ids, self.utf8)?;
            }
        }
        let header_is_ascii = header.is_ascii();
        let ascii_envelope = sender.is_ascii() && recipients.iter().all(EmailAddress::is_ascii);
        let (transport, utf8) = (self.transport, self.utf8);
        let fields = std::mem::take(&mut self.fields);
        let layout = match self.into_body() {
            Some(root) => {
                header.extend_from_slice(b"MIME-Version: 1.0\r\n");
                write_fields(&fields, &mut header, utf8)?;
                Layout::of(header, root, transport, utf8, Boundaries::new(boundary), true)?
            }
            None => {
                write_fields(&fields, &mut header, utf8)?;
                header.extend_from_slice(b"\r\n");
                Layout {
                    frame: header,
                    pieces: Vec::new(),
                    boundaries: Boundaries::new(boundary),
                }
            }
        };
        Ok(Message {
            utf8: utf8 && !(header_is_ascii && ascii_envelope && layout.frame.is_ascii()),
            layout,
            sender,
            recipients,
            id,
        })
    }

    /// Writes the fields of addresses under these names, and gives the reverse-path and the forward-paths, each of
    /// them once.
    fn write_people(
        &self,
        out: &mut Vec<u8>,
        names: &[&'static str; 6],
    ) -> Result<(EmailAddress, Vec<EmailAddress>), Error> {
        let [from, sender, reply_to, to, cc, bcc] = *names;
        if self.from.is_empty() {
            return Err(Error::Missing(from));
        }
        if self.from.mailbox_count() > 1 && self.sender.is_empty() {
            return Err(Error::Missing(sender));
        }
        let mut write = |name, addresses: &Addresses<'_>| match addresses.is_empty() {
            true => Ok(Vec::new()),
            false => field::write_addresses(out, name, addresses, self.utf8),
        };
        let authors = write(from, &self.from)?;
        let senders = write(sender, &self.sender)?;
        write(reply_to, &self.reply_to)?;
        let mut recipients = write(to, &self.to)?;
        recipients.append(&mut write(cc, &self.cc)?);
        match self.show_bcc {
            true => recipients.append(&mut write(bcc, &self.bcc)?),
            false => {
                for address in self.bcc.parse(self.utf8) {
                    recipients.push(address?);
                }
            }
        }
        keep_first(&mut recipients);
        let first = senders.into_iter().chain(authors).next();
        Ok((first.ok_or(Error::Missing(from))?, recipients))
    }

    fn into_body(self) -> Option<Part<'a>> {
        let text_and_html = || {
            let html = self.html.map(Part::html);
            let text = self.text.map(|text| match self.is_flowed {
                true => Part::ready_flowed(text),
                false => Part::text(text),
            });
            let html = match (html, self.inline.is_empty()) {
                (Some(html), false) => Some(Part::related(html, self.inline)),
                (None, false) => Some(Part::mixed(self.inline)),
                (html, true) => html,
            };
            let forms = text.into_iter().chain(html).chain(self.alternatives);
            one_or(Part::alternative, forms.collect())
        };
        let body = self.body.map(|body| *body).or_else(text_and_html);
        one_or(Part::mixed, body.into_iter().chain(self.attachments).collect())
    }
}

/// Drops addresses that were there before.
fn keep_first(addresses: &mut Vec<EmailAddress>) {
    // To compare a few with each other is quicker than a table.
    if addresses.len() <= 8 {
        let mut at = 1;
        while at < addresses.len() {
            match addresses[..at].contains(&addresses[at]) {
                true => drop(addresses.remove(at)),
                false => at += 1,
            }
        }
        return;
    }
    let mut seen = HashSet::with_capacity(addresses.len());
    addresses.retain(|address| seen.insert(address.clone()));
}

fn one_or<'a>(multipart: fn(Vec<Part<'a>>) -> Part<'a>, mut parts: Vec<Part<'a>>) -> Option<Part<'a>> {
    match parts.len() {
        0 | 1 => parts.pop(),
        _ => Some(multipart(parts)),
    }
}

fn write_fields(fields: &[Field<'_>], out: &mut Vec<u8>, utf8: bool) -> Result<(), Error> {
    for field in fields {
        let name = field.name();
        let content = name
            .get(..8)
            .is_some_and(|start| start.eq_ignore_ascii_case("content-"));
        if content
            || RESERVED
                .iter()
                .any(|reserved| reserved.eq_ignore_ascii_case(name))
        {
            return Err(Error::ReservedField(name.to_owned()));
        }
        field.write(out, utf8)?;
    }
    Ok(())
}
