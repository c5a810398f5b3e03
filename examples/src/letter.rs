//! A message as JSON, for programs that would rather not read mail.

use mailwright_address::ReversePath;
use mailwright_message::address_list::Mailbox;
use mailwright_message::header::Headers;
use mailwright_message::index::Part;
use mailwright_message::{Index, charset, header};
use mailwright_sasl::base64_encode;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::net::SocketAddr;

/// What SMTP said besides the message.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Envelope {
    /// The same at each try: by it the application knows a message that it has taken before.
    pub id: String,
    /// When it was taken, in seconds since 1970.
    pub received: u64,
    /// The client.
    pub peer: SocketAddr,
    /// What the client called itself.
    pub helo: String,
    /// Who is told when it cannot be delivered; empty if nobody is.
    pub from: String,
    /// Whom it is for.
    pub to: Vec<String>,
}

impl Envelope {
    /// That of a client that has said nothing so far.
    pub fn new(peer: SocketAddr) -> Self {
        Self {
            id: String::new(),
            received: 0,
            peer,
            helo: String::new(),
            from: String::new(),
            to: Vec::new(),
        }
    }

    /// Begins a transaction.
    pub fn begin(&mut self, path: &ReversePath) {
        self.from = path.address().map_or_else(String::new, ToString::to_string);
        self.to.clear();
    }
}

/// A message with its envelope, read and decoded.
#[derive(Debug, Serialize)]
pub struct Letter<'a> {
    envelope: &'a Envelope,
    message_id: Option<Cow<'a, str>>,
    /// `Date`, in seconds since 1970.
    date: Option<i64>,
    subject: Option<Cow<'a, str>>,
    from: Vec<Person>,
    to: Vec<Person>,
    cc: Vec<Person>,
    in_reply_to: Option<String>,
    references: Vec<String>,
    /// Whether a program wrote it: do not answer it (RFC 3834).
    automatic: bool,
    /// All fields in their order, decoded.
    headers: Vec<(String, String)>,
    text: Option<String>,
    html: Option<String>,
    attachments: Vec<Attachment>,
}

#[derive(Debug, Serialize)]
struct Person {
    name: Option<String>,
    address: String,
}

#[derive(Debug, Serialize)]
struct Attachment {
    name: Option<String>,
    content_type: String,
    /// By which HTML refers to it, without angle brackets.
    content_id: Option<String>,
    /// The decoded content, in base64.
    content: String,
}

impl<'a> Letter<'a> {
    /// Reads a message.
    pub fn new(envelope: &'a Envelope, message: &'a [u8]) -> Self {
        let index = Index::of(message);
        let headers = Headers::new(&message[..index.root().header().end as usize]);
        let bodies = index.bodies();
        Self {
            envelope,
            message_id: headers.message_id(),
            date: headers.date().map(|date| date.unix),
            subject: headers.subject(),
            from: people(headers.mailboxes("From")),
            to: people(headers.mailboxes("To")),
            cc: people(headers.mailboxes("Cc")),
            in_reply_to: headers.in_reply_to().next().map(Cow::into_owned),
            references: headers.references().map(Cow::into_owned).collect(),
            automatic: headers.is_automatic(),
            headers: headers
                .fields()
                .map(|field| {
                    (
                        charset::guess(field.name).into_owned(),
                        header::decode(field.value),
                    )
                })
                .collect(),
            text: joined(&bodies.text, "plain", message),
            html: joined(&bodies.html, "html", message),
            attachments: bodies
                .attachments
                .iter()
                .map(|part| attachment(*part, message))
                .collect(),
        }
    }
}

fn people<'a>(mailboxes: impl Iterator<Item = Mailbox<'a>>) -> Vec<Person> {
    let person = |mailbox: Mailbox<'a>| Person {
        address: format!("{}@{}", mailbox.local_part, mailbox.domain),
        name: mailbox.name.map(Cow::into_owned),
    };
    mailboxes.map(person).collect()
}

/// The parts of one kind of text, one behind the other, with lines that end in LF. What stands there as another kind is of no use in it.
fn joined(parts: &[Part<'_>], subtype: &str, message: &[u8]) -> Option<String> {
    let texts: Vec<_> = parts
        .iter()
        .filter(|part| part.is("text", subtype))
        .map(|part| part.decode_text(octets(message, part)).replace("\r\n", "\n"))
        .collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

fn attachment(part: Part<'_>, message: &[u8]) -> Attachment {
    let structure = part.body_structure();
    let headers = Headers::of(message, part);
    let lower = |octets: &[u8]| String::from_utf8_lossy(octets).to_lowercase();
    Attachment {
        name: part.safe_filename(),
        content_type: format!("{}/{}", lower(structure.media_type()), lower(structure.subtype())),
        content_id: headers.content_id().map(Cow::into_owned),
        content: base64_encode(&part.decode(octets(message, &part))),
    }
}

fn octets<'a>(message: &'a [u8], part: &Part<'_>) -> &'a [u8] {
    let body = part.body();
    &message[body.start as usize..body.end as usize]
}
