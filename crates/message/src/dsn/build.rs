//! Writes the message that carries a report (RFC 3464 §2, RFC 6522 §3)

use bytes::Bytes;

use super::{Action, Recipient, Report, Typed, text};
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
}

/// What comes back of a message to its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Returned {
    /// Nothing.
    Nothing,
    /// Its header; all that stands behind the empty line is left out.
    Header(Bytes),
    /// All of it, in pieces of any size that go into the result by reference. If it has 8-bit octets, bare line
    /// ends, NUL, or lines of more than 998 octets, its header alone.
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
        }
    }

    /// The whole message: CRLF line ends, 7-bit, no line over 998 octets. `random` is fresh randomness for the
    /// Message-ID and the boundary.
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
        out.push_str(&format!("\r\n--{boundary}\r\n"));
        push_text(&text::explain(self, &header), &mut out);
        out.push_str(&format!(
            "\r\n--{boundary}\r\nContent-Description: Delivery report\r\nContent-Type: message/delivery-status\r\n\r\n"
        ));
        self.report.write(&mut out);
        let mut chunks = Vec::new();
        match &self.returned {
            Returned::Nothing => {}
            Returned::Message(message) if is_clean(message) => {
                out.push_str(&format!(
                    "\r\n--{boundary}\r\nContent-Description: Original message\r\nContent-Type: message/rfc822\r\n\r\n"
                ));
                chunks.push(Bytes::from(std::mem::take(&mut out)));
                chunks.extend(message.iter().filter(|chunk| !chunk.is_empty()).cloned());
            }
            Returned::Header(_) | Returned::Message(_) => {
                out.push_str(&format!(
                    "\r\n--{boundary}\r\nContent-Description: Header of the original message\r\nContent-Type: text/rfc822-headers\r\n"
                ));
                push_body(&header, &mut out);
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
        out.push_str(&address_field("From", "Mail Delivery System", &self.from));
        out.push_str(&address_field("To", "", &self.to));
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
    fn write(&self, out: &mut String) {
        let mut field = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                out.push_str(&header::fold(name, &ascii(&value)));
            }
        };
        field("Original-Envelope-Id", self.original_envelope_id.clone());
        field("Reporting-MTA", Some(print(&self.reporting_mta)));
        field("DSN-Gateway", self.gateway.as_ref().map(print));
        field("Received-From-MTA", self.received_from_mta.as_ref().map(print));
        field("Arrival-Date", self.arrival_date.map(date::format));
        for recipient in &self.recipients {
            out.push_str("\r\n");
            recipient.write(out);
        }
    }
}

impl Recipient {
    fn write(&self, out: &mut String) {
        let mut field = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                out.push_str(&header::fold(name, &ascii(&value)));
            }
        };
        let delayed = self.action == Action::Delayed;
        field("Original-Recipient", self.original_recipient.as_ref().map(print));
        field("Final-Recipient", Some(print(&self.final_recipient)));
        field("Action", Some(self.action.as_str().to_owned()));
        field("Status", Some(self.status.to_string()));
        field("Remote-MTA", self.remote_mta.as_ref().map(print));
        field("Diagnostic-Code", self.diagnostic.as_ref().map(print));
        field("Last-Attempt-Date", self.last_attempt.map(date::format));
        field("Final-Log-ID", self.final_log_id.clone());
        field(
            "Will-Retry-Until",
            self.will_retry_until.filter(|_| delayed).map(date::format),
        );
    }
}

fn print(typed: &Typed) -> String {
    let kind: String = typed
        .kind
        .chars()
        .filter(|c| c.is_ascii_graphic() && *c != ';')
        .collect();
    if !kind.eq_ignore_ascii_case("utf-8") {
        return format!("{kind}; {}", typed.value);
    }
    format!("{kind}; {}", escape_address(&typed.value))
}

/// An address of kind `utf-8` in a report that is ASCII: utf-8-addr-xtext of RFC 6533 §3.
pub(crate) fn escape_address(address: &str) -> String {
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

/// What cannot stand in a field of a report becomes a question mark.
fn ascii(value: &str) -> String {
    let replace = |c: char| match c {
        ' '..='~' => c,
        '\t' | '\r' | '\n' => ' ',
        _ => '?',
    };
    value.chars().map(replace).collect()
}

/// An address in a field. One that is not ASCII cannot stand in a 7-bit header: a group without members names
/// it, as RFC 6857 §3.1.7 has it.
fn address_field(name: &str, display: &str, address: &str) -> String {
    let printable = address.bytes().all(|b| (b' '..=b'~').contains(&b)) && address.len() < 900;
    match (printable, display) {
        (true, "") => header::fold(name, &format!("<{address}>")),
        (true, _) => header::fold(name, &format!("{display} <{address}>")),
        (false, _) => header::fold(name, &format!("{} :;", encoded_word::encode(address))),
    }
}

fn push_text(text: &str, out: &mut String) {
    let charset = if text.is_ascii() { "us-ascii" } else { "utf-8" };
    out.push_str(&format!(
        "Content-Description: Notification\r\nContent-Type: text/plain; charset={charset}\r\n"
    ));
    push_body(text.as_bytes(), out);
}

/// Puts the empty line and a body, encoded if it must be.
fn push_body(body: &[u8], out: &mut String) {
    match std::str::from_utf8(body) {
        Ok(text) if is_clean(&[Bytes::copy_from_slice(body)]) => {
            out.push_str("\r\n");
            out.push_str(text);
        }
        _ => {
            out.push_str("Content-Transfer-Encoding: quoted-printable\r\n\r\n");
            out.push_str(&transfer::encode_quoted_printable(body));
        }
    }
}

/// Whether octets may go as they are: 7-bit, CRLF line ends, no line of more than 998 octets.
fn is_clean(chunks: &[Bytes]) -> bool {
    let mut line = 0;
    let mut cr = false;
    for byte in chunks.iter().flat_map(|chunk| chunk.iter()) {
        match byte {
            b'\n' if !cr => return false,
            b'\n' => line = 0,
            _ if cr => return false,
            0 | 0x80.. => return false,
            b'\r' => {}
            _ => line += 1,
        }
        cr = *byte == b'\r';
        if line > 998 {
            return false;
        }
    }
    !cr
}
