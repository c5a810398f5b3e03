//! Answers, forwarding and resending (RFC 5322 §3.6.3, §3.6.4, §3.6.6)

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use mailwright_address::EmailAddress;

use super::field::{self, Field, without_controls};
use super::{Address, Addresses, Error, MessageBuilder, Part};
use crate::date::DateTime;
use crate::index::{Index, Kind};
use crate::{address_list, header, html, message_id};

/// A References field has at most this many octets of identifiers: the first and the last ones stay (RFC 5537
/// §3.4.4).
pub const MAX_REFERENCES: usize = 998;

/// A message that is answered or forwarded.
///
/// ```
/// use mailwright_message::Index;
/// use mailwright_message::build::reply::{Audience, Original, quote};
/// use mailwright_message::date::DateTime;
///
/// let message = b"From: Bob <bob@b.test>\r\nTo: alice@a.test, carol@c.test\r\n\
///     Subject: Lunch\r\nMessage-ID: <1@b.test>\r\n\r\nToday?\r\n";
/// let original = Original::new(&Index::of(message), message);
/// let alice = "alice@a.test".parse()?;
///
/// let answer = original
///     .reply(Audience::Everyone, std::slice::from_ref(&alice))
///     .from(&alice)
///     .text(format!("{}\r\nYes!\r\n", quote(original.text())))
///     .build(DateTime::new(880_106_106, 0), [7; 32])?;
///
/// assert_eq!(answer.recipients().len(), 2);
/// let octets = String::from_utf8(answer.to_vec()?)?;
/// for line in ["To: Bob <bob@b.test>", "Cc: carol@c.test", "Subject: Re: Lunch", "References: <1@b.test>", "> Today?"] {
///     assert!(octets.contains(&format!("{line}\r\n")), "{octets}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Original {
    header: Vec<u8>,
    text: String,
}

/// Whom an answer goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Audience {
    /// Reply-To, or else the authors.
    Author,
    /// The same, and all recipients as Cc.
    Everyone,
    /// The mailing list that the message came by (List-Post, RFC 2369 §3.4); without one as [`Audience::Author`].
    List,
}

impl Original {
    /// Reads what an answer needs to know. `message` is what `index` is the index of.
    pub fn new(index: &Index, message: &[u8]) -> Self {
        let octets = |range: std::ops::Range<u64>| {
            let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
            message.get(range)
        };
        let is_body = |part: &crate::index::Part<'_>, subtype: &[u8]| {
            let structure = part.body_structure();
            let attached = structure
                .disposition()
                .is_some_and(|(kind, _)| !kind.eq_ignore_ascii_case(b"inline"));
            part.kind() == Kind::Leaf
                && part.is_text()
                && structure.subtype().eq_ignore_ascii_case(subtype)
                && !attached
        };
        let text_of = |subtype: &[u8]| {
            let part = index.parts().find(|part| is_body(part, subtype))?;
            Some(part.decode_text(octets(part.body())?))
        };
        let text = text_of(b"plain").or_else(|| Some(html::to_text(&text_of(b"html")?)));
        Self {
            header: octets(index.root().header()).unwrap_or_default().to_vec(),
            text: text.unwrap_or_default(),
        }
    }

    /// The first plain text that is no attachment, or else the first HTML as text; empty without one.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Sets the text, in place of the one that was found.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// Starts an answer: recipients, subject and threading fields are set. `me` are one's own addresses: no answer
    /// to everyone goes to them.
    pub fn reply(&self, audience: Audience, me: &[EmailAddress]) -> MessageBuilder<'static> {
        let mut to = self.addresses("Reply-To");
        if to.is_empty() {
            to = self.addresses("From");
        }
        let mut cc = Vec::new();
        match audience {
            Audience::Author => {}
            Audience::List => {
                if let Some(list) = self.list() {
                    to = vec![(Address::from(list.clone()), list)];
                }
            }
            Audience::Everyone => {
                cc = self.addresses("To");
                if to.iter().all(|(_, address)| me.contains(address)) {
                    // One's own message: more for its recipients.
                    std::mem::swap(&mut to, &mut cc);
                }
                cc.extend(self.addresses("Cc"));
            }
        }
        let mut seen: std::collections::HashSet<EmailAddress> = match audience {
            Audience::Everyone => me.iter().cloned().collect(),
            Audience::Author | Audience::List => Default::default(),
        };
        let mut once = |list: Vec<(Address<'static>, EmailAddress)>| -> Addresses<'static> {
            let fresh = list
                .into_iter()
                .filter(|(_, address)| seen.insert(address.clone()));
            fresh.map(|(address, _)| address).collect()
        };
        let mut reply = MessageBuilder::default()
            .to(once(to))
            .cc(once(cc))
            .subject(format!("Re: {}", base_subject(&self.subject())));
        if let Some(id) = self.message_id() {
            reply = reply.references(self.references(&id)).in_reply_to([id]);
        }
        reply
    }

    /// Starts a message that forwards this one: the subject and References are set. Add
    /// [`Original::forwarded_text`], or the message itself by [`Part::message`].
    pub fn forward(&self) -> MessageBuilder<'static> {
        let subject = self.subject();
        let is_forward = ["fwd:", "fw:", "wg:"].iter().any(|p| starts_with(&subject, p));
        let forward = MessageBuilder::default().subject(match is_forward {
            true => subject,
            false => format!("Fwd: {subject}"),
        });
        match self.message_id() {
            Some(id) => forward.references(self.references(&id)),
            None => forward,
        }
    }

    /// The text for forwarding it inline: who wrote it when to whom, and what.
    pub fn forwarded_text(&self) -> String {
        let mut out = String::from("---------- Forwarded message ----------\r\n");
        for name in ["From", "Date", "Subject", "To", "Cc"] {
            if let Some(field) = header::find(&self.header, name) {
                let _ = write!(
                    out,
                    "{name}: {}\r\n",
                    without_controls(&header::decode(field.value))
                );
            }
        }
        out.push_str("\r\n");
        out.push_str(&self.text);
        out
    }

    fn subject(&self) -> String {
        let field = header::find(&self.header, "Subject");
        let subject = field.map_or_else(String::new, |field| header::decode(field.value));
        without_controls(&subject).trim().to_owned()
    }

    /// The addresses of all fields of this name that mail can be sent to.
    fn addresses(&self, name: &str) -> Vec<(Address<'static>, EmailAddress)> {
        let fields = header::fields(&self.header).filter(|field| field.is(name));
        let mailboxes = fields.flat_map(|field| address_list::mailboxes(field.value));
        let valid = mailboxes.filter_map(|mailbox| {
            let address = mailbox.address()?;
            let name = mailbox.name.as_deref().map(without_controls).unwrap_or_default();
            Some((Address::named(name, address.to_string()), address))
        });
        valid.collect()
    }

    fn list(&self) -> Option<EmailAddress> {
        let field = header::find(&self.header, "List-Post")?;
        let value = String::from_utf8_lossy(field.value).into_owned();
        let urls = value.split('<').filter_map(|url| url.split('>').next());
        let mut mailto = urls.filter_map(|url| url.trim().strip_prefix("mailto:")?.split('?').next());
        mailto.find_map(|address| EmailAddress::parse(address).ok())
    }

    fn message_id(&self) -> Option<String> {
        self.ids("Message-ID").into_iter().next()
    }

    /// Identifiers that can be written again.
    fn ids(&self, name: &str) -> Vec<String> {
        let mut ids = header::message_ids(&self.header, name);
        ids.retain(|id| {
            id.len() < MAX_REFERENCES / 2 && field::is_id(id) && id.bytes().all(|b| b.is_ascii_graphic())
        });
        ids
    }

    /// RFC 5322 §3.6.4.
    fn references(&self, id: &str) -> Vec<String> {
        let mut ids = self.ids("References");
        if ids.is_empty() {
            ids = self.ids("In-Reply-To");
            ids.truncate(if ids.len() == 1 { 1 } else { 0 });
        }
        ids.retain(|known| known != id);
        ids.push(id.to_owned());
        let mut surplus = (ids.iter().map(|id| id.len() + 3).sum::<usize>()).saturating_sub(MAX_REFERENCES);
        let mut cut = 1;
        while surplus > 0 && cut + 1 < ids.len() {
            surplus = surplus.saturating_sub(ids[cut].len() + 3);
            cut += 1;
        }
        ids.drain(1..cut);
        ids
    }
}

/// The subject without the `Re:` of one answer or many, in the languages that have their own.
pub fn base_subject(subject: &str) -> &str {
    let mut subject = subject.trim();
    'again: loop {
        for prefix in ["re", "aw", "sv", "vs", "antw", "odp"] {
            if !starts_with(subject, prefix) {
                continue;
            }
            let mut rest = subject[prefix.len()..].trim_start();
            if let Some((count, behind)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'))
                && count.bytes().all(|b| b.is_ascii_digit())
            {
                rest = behind.trim_start();
            }
            if let Some(rest) = rest.strip_prefix(':') {
                subject = rest.trim_start();
                continue 'again;
            }
        }
        return subject;
    }
}

/// Marks every line as quoted: `> `, or `>` where it already is.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16 + 2);
    for line in text.split_inclusive('\n') {
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line
            .strip_suffix('\r')
            .unwrap_or(line)
            .trim_end_matches([' ', '\t']);
        out.push('>');
        if !line.is_empty() && !line.starts_with('>') {
            out.push(' ');
        }
        out.push_str(line);
        out.push_str("\r\n");
    }
    out
}

/// The fields that introduce a message again as it is, to others (RFC 5322 §3.6.6): they go on top of it, and
/// nothing else of it changes.
///
/// ```
/// use mailwright_message::build::reply::Resent;
/// use mailwright_message::date::DateTime;
/// let resent = Resent::new("alice@a.test", "bob@b.test").build(DateTime::new(0, 0), [7; 16])?;
/// assert!(resent.fields.starts_with(b"Resent-Date: Thu, 1 Jan 1970 00:00:00 +0000\r\nResent-From: alice@a.test\r\n"));
/// assert_eq!(resent.recipients.len(), 1);
/// # Ok::<(), mailwright_message::build::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Resent<'a> {
    from: Addresses<'a>,
    sender: Addresses<'a>,
    to: Addresses<'a>,
    cc: Addresses<'a>,
    bcc: Addresses<'a>,
    utf8: bool,
}

/// What [`Resent::build`] makes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResentFields {
    /// The fields, to stand before all others.
    pub fields: Bytes,
    /// The reverse-path.
    pub sender: EmailAddress,
    /// The forward-paths, each once.
    pub recipients: Vec<EmailAddress>,
}

const RESENT: [&str; 6] = [
    "Resent-From",
    "Resent-Sender",
    "Resent-Reply-To",
    "Resent-To",
    "Resent-Cc",
    "Resent-Bcc",
];

impl<'a> Resent<'a> {
    /// Who resends it, and to whom.
    pub fn new(from: impl Into<Addresses<'a>>, to: impl Into<Addresses<'a>>) -> Self {
        Self {
            from: from.into(),
            sender: Addresses::default(),
            to: to.into(),
            cc: Addresses::default(),
            bcc: Addresses::default(),
            utf8: false,
        }
    }

    /// Names who sends it for more than one resender.
    #[must_use]
    pub fn sender(mut self, sender: impl Into<Address<'a>>) -> Self {
        self.sender = Addresses::from(sender);
        self
    }

    /// Adds recipients who get a copy.
    #[must_use]
    pub fn cc(mut self, cc: impl Into<Addresses<'a>>) -> Self {
        self.cc.extend(cc.into());
        self
    }

    /// Adds recipients whom the others shall not see.
    #[must_use]
    pub fn bcc(mut self, bcc: impl Into<Addresses<'a>>) -> Self {
        self.bcc.extend(bcc.into());
        self
    }

    /// Writes raw UTF-8, as [`MessageBuilder::utf8_headers`].
    #[must_use]
    pub fn utf8_headers(mut self) -> Self {
        self.utf8 = true;
        self
    }

    /// Builds the fields, with a fresh Resent-Message-ID from `random`.
    ///
    /// # Errors
    ///
    /// As [`MessageBuilder::build`].
    pub fn build(self, date: DateTime, random: [u8; 16]) -> Result<ResentFields, Error> {
        let envelope = MessageBuilder {
            utf8: self.utf8,
            from: self.from,
            sender: self.sender,
            to: self.to,
            cc: self.cc,
            bcc: self.bcc,
            ..MessageBuilder::default()
        };
        let mut out = Field::date("Resent-Date", date).to_bytes()?;
        let (sender, recipients) = envelope.write_people(&mut out, &RESENT)?;
        let host = sender.domain_text().unwrap_or_default();
        let id: Cow<'_, str> = message_id::generate(&random, host).into();
        field::write_ids(&mut out, "Resent-Message-ID", &[id], self.utf8)?;
        Ok(ResentFields {
            fields: out.into(),
            sender,
            recipients,
        })
    }
}

impl<'a> MessageBuilder<'a> {
    /// Attaches a message to forward it as it is; its text, if it has one, stands before it.
    #[must_use]
    pub fn attach_message(self, message: impl Into<super::Body<'a>>) -> Self {
        self.attach(Part::message(message))
    }
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
