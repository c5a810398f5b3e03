//! Message disposition notifications, written: read receipts (RFC 8098, RFC 6533 §5)

use super::{Address, Error, Field, Message, MessageBuilder, Part, Transport};
use crate::date::DateTime;
use crate::dsn::Typed;
use crate::report::{Disposition, DispositionKind};
use crate::{address_list, header};

/// The message that tells a sender what was done with theirs, when they asked for it by Disposition-Notification-To.
///
/// Ask the person before one is sent, unless they said otherwise; never send one for a message that asks for
/// several addresses, or for one other than its Return-Path, without asking (RFC 8098 §2.1). Send it with the null
/// reverse-path, `MAIL FROM:<>`.
///
/// ```
/// use mailwright_message::Index;
/// use mailwright_message::build::disposition::Receipt;
/// use mailwright_message::date::DateTime;
/// use mailwright_message::dsn::Typed;
/// use mailwright_message::report::{Disposition, DispositionKind};
///
/// let header = b"From: bob@b.test\r\nDisposition-Notification-To: bob@b.test\r\nMessage-ID: <1@b.test>\r\n\r\n";
/// let disposition = Disposition::new(Typed::address("alice@a.test"), DispositionKind::Displayed);
/// let mut receipt = Receipt::new(disposition).about(header);
/// receipt.disposition.reporting_ua = Some("mail.a.test; Mailwright".to_owned());
/// let told = receipt.disposition.clone();
///
/// let message = receipt.build("alice@a.test", Receipt::wanted(header), DateTime::new(0, 0), [7; 32])?.to_vec()?;
/// assert_eq!(Disposition::parse(&Index::of(&message), &message), Some(told));
/// # Ok::<(), mailwright_message::build::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// What it tells. Where `errors` are in it, the modifier `error` belongs to it too (RFC 8098 §3.2.6.3).
    pub disposition: Disposition,
    /// The text for people; a plain English one when empty.
    pub text: String,
    /// Whether raw UTF-8 may stand in it, for the sender of a message that needed SMTPUTF8: the form of RFC 6533 §5.
    pub utf8: bool,
    /// The header of the message: it comes back with the receipt.
    header: Vec<u8>,
}

/// More of a header does not come back.
const MAX_HEADER: usize = 64 * 1024;

impl Receipt {
    /// A receipt with a text in plain English.
    pub fn new(disposition: Disposition) -> Self {
        Self {
            disposition,
            text: String::new(),
            utf8: false,
            header: Vec::new(),
        }
    }

    /// Takes from the header of the message what tells which one it is, and returns the header with the receipt.
    #[must_use]
    pub fn about(mut self, header: &[u8]) -> Self {
        let id = header::message_ids(header, "Message-ID").into_iter().next();
        self.disposition.original_message_id = id.filter(|id| is_id(id));
        let original = header::find(header, "Original-Recipient");
        self.disposition.original_recipient = original.map(|field| crate::dsn::typed(&field));
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
        let text = match self.text.is_empty() {
            true => default_text(&self.disposition),
            false => self.text,
        };
        let report = self.disposition.to_fields(self.utf8);
        let report_type = match report.is_ascii() {
            true => "message/disposition-notification",
            false => "message/global-disposition-notification",
        };
        let mut parts = vec![Part::text(text), Part::new(report_type, report)];
        if !self.header.is_empty() {
            let is_global = !self.header.is_ascii() && std::str::from_utf8(&self.header).is_ok();
            let header_type = match is_global {
                true => "message/global-headers",
                false => "text/rfc822-headers",
            };
            parts.push(Part::new(header_type, self.header));
        }
        let mut builder = MessageBuilder::default()
            .from(from.into())
            .to(to)
            .subject(match self.disposition.kind {
                DispositionKind::Displayed => "Your message was displayed",
                DispositionKind::Deleted => "Your message was deleted",
                DispositionKind::Dispatched => "Your message was sent on",
                _ => "Your message was processed",
            })
            // RFC 3834 §5.1: so that no responder answers.
            .field(Field::structured("Auto-Submitted", "auto-replied"))
            .body(Part::report("disposition-notification", parts));
        if self.utf8 {
            builder = builder.utf8_headers().transport(Transport::EightBit);
        }
        let id = self.disposition.original_message_id.filter(|id| is_id(id));
        if let Some(id) = id {
            builder = builder.references([id.clone()]).in_reply_to([id]);
        }
        builder.build(date, random)
    }
}

fn default_text(disposition: &Disposition) -> String {
    let what = match disposition.kind {
        DispositionKind::Displayed => {
            "was displayed. This is no guarantee that it has been read or understood."
        }
        DispositionKind::Deleted => "was deleted. It may not have been seen.",
        DispositionKind::Dispatched => "was sent on.",
        _ => "was processed.",
    };
    let Typed { value, .. } = &disposition.final_recipient;
    format!(
        "Your message to {} {what}\r\n",
        super::field::without_controls(value)
    )
}

fn is_id(id: &str) -> bool {
    let id = super::field::bare_id(id);
    !id.is_empty() && id.len() < 900 && super::field::is_id(id) && id.bytes().all(|b| b.is_ascii_graphic())
}
