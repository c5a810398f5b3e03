//! Writes the message that carries a report (RFC 3464 §2, RFC 6522 §3, RFC 6533 §4)

use bytes::Bytes;

use super::{Action, Extension, Recipient, Report, Typed, text};
use crate::build::{Address, Addresses, Field};
use crate::date::{self, DateTime};
use crate::{encoded_word, header, message_id, transfer};

/// The message that carries a report to the sender of the message it is about.
///
/// Send it with the null reverse-path, `MAIL FROM:<>`, so that no report is ever made about a report.
///
/// ```
/// use mailwright_message::dsn::*;
/// use mailwright_message::{Index, date::DateTime};
///
/// let mut report = Report::new(Typed::dns("mx.b.test"));
/// let mut nobody = Recipient::new(Typed::address("nobody@b.test"), Action::Failed, Status::NO_SUCH_MAILBOX);
/// nobody.diagnostic = Some(Typed::smtp("550 5.1.1 no such user"));
/// report.recipients.push(nobody);
/// let date = DateTime::new(880_106_106, 0);
/// let mut notification = Notification::new(report.clone(), "mailer-daemon@mx.b.test", "alice@a.test", date);
/// notification.returned = Returned::Header("Subject: Hello\r\n".into());
///
/// let message = notification.build([7; 16]).concat();
/// assert_eq!(Report::parse(&Index::of(&message), &message), Some(report));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Notification {
    /// What it reports.
    pub report: Report,
    /// The address of its From field, such as `mailer-daemon@mx.example`; a person should read mail to it.
    pub from: String,
    /// The reverse-path of the message it is about: its To field, and where to send it.
    pub to: String,
    /// Its Date field.
    pub date: DateTime,
    /// What comes back of the message it is about.
    pub returned: Returned,
    /// Whether raw UTF-8 may stand in it, in the header too: the form of RFC 6533, for the sender of a message that
    /// needed SMTPUTF8 itself. What is ASCII has the form of RFC 3464 all the same.
    pub utf8: bool,
}

/// What comes back of a message to its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Returned {
    /// Nothing.
    Nothing,
    /// Its header; all that stands behind the empty line is left out.
    Header(Bytes),
    /// All of it, in pieces of any size that go into the result by reference.
    ///
    /// A message with raw UTF-8 in its header goes as message/global, in base64 where the notification must be 7-bit. Of
    /// any other one that has 8-bit octets (without [`Notification::utf8`]), bare line ends, NUL, or lines of more than
    /// 998 octets, the header alone comes back: no encoding may hide a message/rfc822 (RFC 2046 §5.2.1).
    Message(Vec<Bytes>),
}

/// More of a header is cut off at a line end.
const MAX_HEADER: usize = 64 * 1024;

impl Notification {
    /// A notification that returns nothing of the message.
    pub fn new(report: Report, from: impl Into<String>, to: impl Into<String>, date: DateTime) -> Self {
        Self {
            report,
            from: from.into(),
            to: to.into(),
            date,
            returned: Returned::Nothing,
            utf8: false,
        }
    }

    /// The whole message: CRLF line ends, no line over 998 octets, and 7-bit unless [`Notification::utf8`] is set and
    /// something in it is not ASCII; then it needs SMTPUTF8. `random` is fresh randomness for the Message-ID and the
    /// boundary.
    pub fn build(&self, random: [u8; 16]) -> Vec<Bytes> {
        let (id, boundary) = random.split_at(10);
        let boundary = {
            let mut token = String::from("=_");
            message_id::push_token(boundary, &mut token);
            message_id::push_token(&id[..4], &mut token);
            token
        };
        let header = self.returned_header();
        let mut out = self.header(id, &boundary, &header);
        out.push_str(&format!(
            "\r\n--{boundary}\r\nContent-Description: Notification\r\n"
        ));
        let explanation = text::explain(self, &header);
        let charset = if explanation.is_ascii() {
            "us-ascii"
        } else {
            "utf-8"
        };
        let text_type = format!("text/plain; charset={charset}");
        self.push_body(&text_type, explanation.as_bytes(), &mut out);

        let mut report = String::new();
        self.report.write(self.utf8, &mut report);
        out.push_str(&format!(
            "\r\n--{boundary}\r\nContent-Description: Delivery report\r\n"
        ));
        let report_type = match report.is_ascii() {
            true => "message/delivery-status",
            false => "message/global-delivery-status",
        };
        self.push_body(report_type, report.as_bytes(), &mut out);

        let mut chunks = Vec::new();
        let is_global = !header.is_ascii() && std::str::from_utf8(&header).is_ok();
        let lines = match &self.returned {
            Returned::Message(message) => Lines::of(message),
            Returned::Nothing | Returned::Header(_) => Lines::Other,
        };
        match &self.returned {
            Returned::Nothing => {}
            Returned::Message(message) if is_global || self.takes(lines) => {
                out.push_str(&format!(
                    "\r\n--{boundary}\r\nContent-Description: Original message\r\nContent-Type: message/{}\r\n",
                    if is_global { "global" } else { "rfc822" }
                ));
                let as_it_is = self.takes(lines);
                out.push_str(match lines {
                    _ if !as_it_is => "Content-Transfer-Encoding: base64\r\n\r\n",
                    Lines::EightBit => "Content-Transfer-Encoding: 8bit\r\n\r\n",
                    Lines::SevenBit | Lines::Other => "\r\n",
                });
                chunks.push(Bytes::from(std::mem::take(&mut out)));
                match as_it_is {
                    true => chunks.extend(message.iter().filter(|chunk| !chunk.is_empty()).cloned()),
                    false => chunks.push(base64(message)),
                }
            }
            Returned::Header(_) | Returned::Message(_) => {
                out.push_str(&format!(
                    "\r\n--{boundary}\r\nContent-Description: Header of the original message\r\n"
                ));
                let header_type = match is_global {
                    true => "message/global-headers",
                    false => "text/rfc822-headers",
                };
                self.push_body(header_type, &header, &mut out);
            }
        }
        out.push_str(&format!("\r\n--{boundary}--\r\n"));
        chunks.push(Bytes::from(out));
        chunks
    }

    fn header(&self, id: &[u8], boundary: &str, original: &[u8]) -> String {
        let host = self.from.rsplit('@').next().unwrap_or_default();
        let mut out = String::new();
        out.push_str(&header::fold("Date", &date::format(self.date)));
        out.push_str(&self.address_field("From", "Mail Delivery System", &self.from));
        out.push_str(&self.address_field("To", "", &self.to));
        out.push_str(&header::write_text("Subject", text::subject(&self.report)));
        out.push_str(&header::fold("Message-ID", &message_id::generate(id, host)));
        // So that the notification shows up beside the message it is about.
        let original_id = header::message_ids(original, "Message-ID").into_iter().next();
        if let Some(id) = original_id.filter(|id| id.len() < 500 && id.bytes().all(|b| b.is_ascii_graphic()))
        {
            out.push_str(&header::fold("In-Reply-To", &format!("<{id}>")));
            out.push_str(&header::fold("References", &format!("<{id}>")));
        }
        // RFC 3834 §5.1: so that no responder answers.
        out.push_str("Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
        out.push_str(&format!(
            "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"{boundary}\"\r\n"
        ));
        out
    }

    /// An address in a field. One that cannot stand there, as when it is not ASCII in a 7-bit header, is named by a
    /// group without members, as RFC 6857 §3.1.7 has it.
    fn address_field(&self, name: &str, display: &str, address: &str) -> String {
        let write = |field: Field<'_>| match self.utf8 {
            true => field.to_utf8_bytes(),
            false => field.to_bytes(),
        };
        let field = write(Field::addresses(name, Address::named(display, address)));
        let field = field.or_else(|_| {
            let visible: String = address.chars().filter(|c| !c.is_control()).collect();
            let shown = if visible.is_empty() { "unknown" } else { &visible };
            Field::addresses(name, Address::group(shown, Addresses::default())).to_bytes()
        });
        String::from_utf8(field.unwrap_or_default()).unwrap_or_default()
    }

    /// Whether lines may go as they are.
    fn takes(&self, lines: Lines) -> bool {
        match lines {
            Lines::SevenBit => true,
            Lines::EightBit => self.utf8,
            Lines::Other => false,
        }
    }

    /// Puts the type of a part, the end of its header, and its body, encoded if it must be.
    fn push_body(&self, media_type: &str, body: &[u8], out: &mut String) {
        out.push_str(&format!("Content-Type: {media_type}\r\n"));
        let lines = Lines::of(&[Bytes::copy_from_slice(body)]);
        match std::str::from_utf8(body) {
            Ok(text) if self.takes(lines) => {
                if lines == Lines::EightBit {
                    out.push_str("Content-Transfer-Encoding: 8bit\r\n");
                }
                out.push_str("\r\n");
                out.push_str(text);
            }
            _ => {
                out.push_str("Content-Transfer-Encoding: quoted-printable\r\n\r\n");
                out.push_str(&transfer::encode_quoted_printable(body));
            }
        }
    }

    /// The header of the message, complete lines of it only.
    fn returned_header(&self) -> Vec<u8> {
        let one;
        let chunks = match &self.returned {
            Returned::Nothing => return Vec::new(),
            Returned::Header(header) => {
                one = [header.clone()];
                &one[..]
            }
            Returned::Message(chunks) => chunks,
        };
        let mut header = Vec::new();
        for chunk in chunks {
            header.extend_from_slice(&chunk[..chunk.len().min(MAX_HEADER - header.len())]);
        }
        let mut end = 0;
        for line in header.split_inclusive(|b| *b == b'\n') {
            let complete = line.ends_with(b"\n") || header.len() < MAX_HEADER;
            if header::is_blank_line(line) || !complete {
                break;
            }
            end += line.len();
        }
        header.truncate(end);
        header
    }
}

impl Report {
    /// The body of the message/delivery-status part.
    fn write(&self, utf8: bool, out: &mut String) {
        let mut fields = Fields { out, utf8 };
        fields.text("Original-Envelope-Id", self.original_envelope_id.as_deref());
        fields.typed("Reporting-MTA", Some(&self.reporting_mta));
        fields.typed("DSN-Gateway", self.gateway.as_ref());
        fields.typed("Received-From-MTA", self.received_from_mta.as_ref());
        fields.date("Arrival-Date", self.arrival_date);
        fields.extensions(&self.extensions);
        for recipient in &self.recipients {
            fields.out.push_str("\r\n");
            recipient.write(&mut fields);
        }
    }
}

impl Recipient {
    fn write(&self, fields: &mut Fields<'_>) {
        let delayed = self.action == Action::Delayed;
        fields.typed("Original-Recipient", self.original_recipient.as_ref());
        fields.typed("Final-Recipient", Some(&self.final_recipient));
        fields.text("Action", Some(self.action.as_str()));
        fields.text("Status", Some(&self.status.to_string()));
        fields.typed("Remote-MTA", self.remote_mta.as_ref());
        fields.typed("Diagnostic-Code", self.diagnostic.as_ref());
        if fields.utf8 && self.diagnostic.is_some() {
            for text in &self.localized_diagnostics {
                fields.typed("Localized-Diagnostic", Some(text));
            }
        }
        fields.date("Last-Attempt-Date", self.last_attempt);
        fields.text("Final-Log-ID", self.final_log_id.as_deref());
        fields.date("Will-Retry-Until", self.will_retry_until.filter(|_| delayed));
        fields.extensions(&self.extensions);
    }
}

/// The fields of a report that is written.
pub(crate) struct Fields<'a> {
    pub(crate) out: &'a mut String,
    /// Raw UTF-8 may stand in them.
    pub(crate) utf8: bool,
}

impl Fields<'_> {
    /// Puts text: what cannot stand in the field as it is becomes encoded words, which RFC 2047 §5 (1) allows in `*text`.
    pub(crate) fn text(&mut self, name: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        // A control could end the field.
        let visible = |c: char| match c {
            '\t' | '\r' | '\n' => ' ',
            c if c.is_control() => '?',
            c => c,
        };
        let value: String = value.chars().map(visible).collect();
        let plain = (self.utf8 || value.is_ascii()) && !value.contains("=?");
        let value = match plain {
            true => value,
            false => encoded_word::encode(value.trim()),
        };
        self.out.push_str(&header::fold(name, &value));
    }

    pub(crate) fn typed(&mut self, name: &str, value: Option<&Typed>) {
        let Some(Typed { kind, value }) = value else {
            return;
        };
        let graphic = |c: &char| c.is_ascii_graphic() && *c != ';';
        let kind: String = kind.chars().filter(graphic).collect();
        let is_utf8 = kind.eq_ignore_ascii_case("utf-8");
        let value = match is_utf8 && (!self.utf8 || value.contains("\\x{")) {
            true => escape_address(value),
            false => value.clone(),
        };
        let text = match kind.is_empty() {
            true => value,
            false => format!("{kind}; {value}"),
        };
        self.text(name, Some(&text));
    }

    fn date(&mut self, name: &str, date: Option<DateTime>) {
        self.text(name, date.map(date::format).as_deref());
    }

    pub(crate) fn extensions(&mut self, extensions: &[Extension]) {
        for extension in extensions {
            self.text(extension.name(), Some(extension.value()));
        }
    }
}

/// An address of kind `utf-8` in a report that is ASCII: utf-8-addr-xtext of RFC 6533 §3.
fn escape_address(address: &str) -> String {
    let mut out = String::with_capacity(address.len() * 2);
    for c in address.chars() {
        if c.is_ascii_graphic() && !matches!(c, '\\' | '+' | '=') {
            out.push(c);
        } else {
            out.push_str(&format!("\\x{{{:02X}}}", u32::from(c)));
        }
    }
    out
}

fn base64(chunks: &[Bytes]) -> Bytes {
    let mut out = Vec::with_capacity(chunks.iter().map(Bytes::len).sum::<usize>() / 57 * 78 + 128);
    let mut encoder = transfer::Encoder::new(transfer::Encoding::Base64);
    for chunk in chunks {
        encoder.push(chunk, &mut out);
    }
    encoder.finish(&mut out);
    out.into()
}

/// What octets are, as far as a transport of lines goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lines {
    /// ASCII in lines of at most 998 octets that end in CRLF.
    SevenBit,
    /// Octets without NUL in such lines.
    EightBit,
    Other,
}

impl Lines {
    fn of(chunks: &[Bytes]) -> Self {
        let mut lines = Self::SevenBit;
        let mut line = 0;
        let mut cr = false;
        for byte in chunks.iter().flat_map(|chunk| chunk.iter()) {
            match byte {
                b'\n' if !cr => return Self::Other,
                b'\n' => line = 0,
                _ if cr => return Self::Other,
                0 => return Self::Other,
                b'\r' => {}
                _ => line += 1,
            }
            if *byte >= 0x80 {
                lines = Self::EightBit;
            }
            cr = *byte == b'\r';
            if line > 998 {
                return Self::Other;
            }
        }
        if cr { Self::Other } else { lines }
    }
}
