//! Message disposition notifications, written: read receipts (RFC 8098)

use super::{Address, Error, Field, Message, MessageBuilder, Part};
use crate::date::DateTime;
use crate::{address_list, header};

/// What was done with a message, for the sender who asked by Disposition-Notification-To.
///
/// Ask the person before one is sent, unless they said otherwise; never send one for a message that asks for
/// several addresses, or for one other than its Return-Path, without asking (RFC 8098 §2.1). Send it with the null
/// reverse-path, `MAIL FROM:<>`.
///
/// ```
/// use mailwright_message::build::disposition::{Disposition, Receipt};
/// use mailwright_message::date::DateTime;
///
/// let header = b"From: bob@b.test\r\nDisposition-Notification-To: bob@b.test\r\nMessage-ID: <1@b.test>\r\n\r\n";
/// let mut receipt = Receipt::new("alice@a.test", Disposition::Displayed).about(header);
/// receipt.reporting_ua = Some("mail.a.test; Mailwright".to_owned());
/// let message = receipt.build("alice@a.test", Receipt::wanted(header), DateTime::new(0, 0), [7; 32])?;
/// let octets = String::from_utf8(message.to_vec()?)?;
/// assert!(octets.contains("\r\nDisposition: manual-action/MDN-sent-manually; displayed\r\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// What did it: a host name, and perhaps `;` and the name of the program.
    pub reporting_ua: Option<String>,
    /// The address that the sender gave, from the Original-Recipient field: `rfc822; alice@a.test`.
    pub original_recipient: Option<String>,
    /// The address that the message came to.
    pub final_recipient: String,
    /// The Message-ID of the message, without angle brackets.
    pub original_message_id: Option<String>,
    /// Whether a person did it, or a program without being told to.
    pub action: Mode,
    /// Whether a person agreed to send this.
    pub sending: Mode,
    /// What was done.
    pub disposition: Disposition,
    /// What went wrong; the disposition gets the modifier `error` then.
    pub errors: Vec<String>,
    /// The text for people; a plain English one when empty.
    pub text: String,
    /// The header of the message: it comes back with the receipt.
    header: Vec<u8>,
}

/// Who acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // RFC 8098 §3.2.6.1
pub enum Mode {
    /// A person.
    Manual,
    /// A program.
    Automatic,
}

/// What was done with a message (RFC 8098 §3.2.6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // RFC 8098 §3.2.6.2: disposition-type
pub enum Disposition {
    /// It was shown; that says nothing on whether it was read or understood.
    Displayed,
    /// It was deleted, perhaps without having been shown.
    Deleted,
    /// It was sent on.
    Dispatched,
    /// It was processed in another way.
    Processed,
}

/// More of a header does not come back.
const MAX_HEADER: usize = 64 * 1024;

impl Receipt {
    /// A receipt that a person agreed to.
    pub fn new(final_recipient: impl Into<String>, disposition: Disposition) -> Self {
        Self {
            reporting_ua: None,
            original_recipient: None,
            final_recipient: final_recipient.into(),
            original_message_id: None,
            action: Mode::Manual,
            sending: Mode::Manual,
            disposition,
            errors: Vec::new(),
            text: String::new(),
            header: Vec::new(),
        }
    }

    /// Takes from the header of the message what tells which one it is, and returns the header with the receipt.
    #[must_use]
    pub fn about(mut self, header: &[u8]) -> Self {
        self.original_message_id = header::message_ids(header, "Message-ID").into_iter().next();
        let original = header::find(header, "Original-Recipient");
        self.original_recipient = original.map(|field| header::decode(field.value));
        for field in header::fields(header) {
            if self.header.len() + field.raw.len() <= MAX_HEADER {
                self.header.extend_from_slice(field.raw);
            }
        }
        self
    }

    /// The addresses that ask for a receipt; none: nobody did.
    pub fn wanted(header: &[u8]) -> Vec<Address<'static>> {
        let fields = header::fields(header).filter(|field| field.is("Disposition-Notification-To"));
        let lists = fields.flat_map(|field| address_list::parse(field.value));
        lists.map(|address| Address::from(&address)).collect()
    }

    /// Builds the message. `random` is fresh randomness.
    ///
    /// # Errors
    ///
    /// As [`MessageBuilder::build`].
    pub fn build<'a>(
        self,
        from: impl Into<Address<'a>>,
        to: Vec<Address<'a>>,
        date: DateTime,
        random: [u8; 32],
    ) -> Result<Message<'a>, Error> {
        let report = self.report()?;
        let text = match self.text.is_empty() {
            true => self.default_text(),
            false => self.text,
        };
        let mut parts = vec![
            Part::text(text),
            Part::new("message/disposition-notification", report),
        ];
        if !self.header.is_empty() {
            parts.push(Part::new("text/rfc822-headers", self.header));
        }
        let mut builder = MessageBuilder::default()
            .from(from.into())
            .to(to)
            .subject(match self.disposition {
                Disposition::Displayed => "Your message was displayed",
                Disposition::Deleted => "Your message was deleted",
                Disposition::Dispatched => "Your message was sent on",
                Disposition::Processed => "Your message was processed",
            })
            // RFC 3834 §5.1: so that no responder answers.
            .field(Field::structured("Auto-Submitted", "auto-replied"))
            .body(Part::report("disposition-notification", parts));
        let id = self.original_message_id.filter(|id| is_id(id));
        if let Some(id) = id {
            builder = builder.references([id.clone()]).in_reply_to([id]);
        }
        builder.build(date, random)
    }

    /// The fields of RFC 8098 §3.1.
    fn report(&self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        let mut field = |name: &'static str, value: &str| -> Result<(), Error> {
            out.extend(Field::structured(name, value).to_bytes()?);
            Ok(())
        };
        if let Some(ua) = &self.reporting_ua {
            field("Reporting-UA", ua)?;
        }
        if let Some(original) = self.original_recipient.as_deref().filter(|o| o.is_ascii()) {
            field("Original-Recipient", &super::field::without_controls(original))?;
        }
        let recipient = &self.final_recipient;
        let recipient = match recipient.is_ascii() {
            true => format!("rfc822; {recipient}"),
            false => format!("utf-8; {}", crate::dsn::escape_address(recipient)),
        };
        field("Final-Recipient", &recipient)?;
        if let Some(id) = self.original_message_id.as_deref().filter(|id| is_id(id)) {
            field("Original-Message-ID", &format!("<{}>", super::field::bare_id(id)))?;
        }
        let (action, sending) = (self.action, self.sending);
        let disposition = format!(
            "{}-action/MDN-sent-{}; {}{}",
            if action == Mode::Manual {
                "manual"
            } else {
                "automatic"
            },
            if sending == Mode::Manual {
                "manually"
            } else {
                "automatically"
            },
            self.disposition.as_str(),
            if self.errors.is_empty() { "" } else { "/error" }
        );
        field("Disposition", &disposition)?;
        for error in &self.errors {
            field("Error", error)?;
        }
        Ok(out)
    }

    fn default_text(&self) -> String {
        let what = match self.disposition {
            Disposition::Displayed => {
                "was displayed. This is no guarantee that it has been read or understood."
            }
            Disposition::Deleted => "was deleted. It may not have been seen.",
            Disposition::Dispatched => "was sent on.",
            Disposition::Processed => "was processed.",
        };
        format!(
            "Your message to {} {what}\r\n",
            super::field::without_controls(&self.final_recipient)
        )
    }
}

impl Disposition {
    /// The word for it in a notification.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Displayed => "displayed",
            Self::Deleted => "deleted",
            Self::Dispatched => "dispatched",
            Self::Processed => "processed",
        }
    }
}

fn is_id(id: &str) -> bool {
    let id = super::field::bare_id(id);
    !id.is_empty() && id.len() < 900 && super::field::is_id(id) && id.bytes().all(|b| b.is_ascii_graphic())
}
