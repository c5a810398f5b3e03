//! Headers (RFC 5322 §2.2, §3.6, §4.5): walk, unfold, decode, write fields; and all of one header as typed values,
//! each parsed when it is asked for

use std::borrow::Cow;

use crate::address_list::{self, Items, Mailbox};
use crate::authentication::Results;
use crate::automatic::AutoSubmitted;
use crate::date::{self, DateTime};
use crate::index::{FieldSpans, Part};
use crate::list::{self, Commands, ListId};
use crate::message_id::{self, Ids};
use crate::parameters::{ContentType, Disposition};
use crate::priority::Priority;
use crate::tags::TagList;
use crate::trace::Hop;
use crate::transfer::Encoding;
use crate::{lex, message_id as ids};

mod check;

pub(crate) use crate::field::is_blank_line;
pub use crate::field::{Field, Fields, decode, fields, find, fold, message_ids, unfold, write_text};
pub use crate::limits::Limits;

/// One header, seen through typed values.
///
/// Nothing is parsed or kept until it is asked for, and what is asked for borrows from the message. Of fields that
/// should stand once, the first counts; [`Headers::defects`] tells of the others.
///
/// ```
/// use mailwright_message::{Index, header::Headers};
///
/// let message = b"From: =?utf-8?q?J=C3=BCrgen?= <juergen@a.test>\r\n\
///     Subject: Hello\r\nDate: Fri, 21 Nov 1997 09:55:06 -0600\r\n\r\nHi\r\n";
/// let index = Index::of(message);
/// let headers = Headers::of(message, index.root());
///
/// assert_eq!(headers.subject().unwrap(), "Hello");
/// assert_eq!(headers.date().unwrap().unix, 880_127_706);
/// let from = headers.mailboxes("From").next().unwrap();
/// assert_eq!((from.name.as_deref(), &*from.domain), (Some("Jürgen"), "a.test"));
/// ```
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    source: HeaderFields<'a>,
}

impl<'a> Headers<'a> {
    /// The fields of a header in memory, up to its empty line or the end.
    pub fn new(header: &'a [u8]) -> Self {
        Self {
            source: HeaderFields(Source::Walk(fields(header))),
        }
    }

    /// The fields of an indexed part. `message` is the whole message that the index is of.
    ///
    /// Only the fields that are in the index are there.
    pub fn of(message: &'a [u8], part: Part<'a>) -> Self {
        Self {
            source: HeaderFields(Source::Index {
                message,
                spans: part.fields(),
            }),
        }
    }

    /// All fields in order.
    pub fn fields(&self) -> HeaderFields<'a> {
        self.source.clone()
    }

    /// The first field of this name; case does not matter.
    pub fn field(&self, name: &str) -> Option<Field<'a>> {
        self.source.clone().find_named(name)
    }

    /// All fields of this name in order; case does not matter.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = Field<'a>> + use<'a, 'n> {
        let mut fields = self.fields();
        std::iter::from_fn(move || fields.find_named(name))
    }

    /// The octets of the first field of this name, as they stand behind the colon.
    pub fn raw(&self, name: &str) -> Option<&'a [u8]> {
        self.field(name).map(|field| field.value)
    }

    /// The first field of this name as text for people: unfolded, encoded words and charsets decoded.
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.field(name).map(|field| field.text())
    }

    /// The members of the first address list of this name; none where there is no such field.
    pub fn addresses(&self, name: &str) -> Items<'a> {
        address_list::items(self.raw(name).unwrap_or_default())
    }

    /// The mailboxes of the first address list of this name, those in groups among them.
    pub fn mailboxes(&self, name: &str) -> impl Iterator<Item = Mailbox<'a>> + use<'a> {
        address_list::mailboxes(self.raw(name).unwrap_or_default())
    }

    /// The identifiers of the first field of this name.
    pub fn ids(&self, name: &str) -> Ids<'a> {
        message_id::ids(self.raw(name).unwrap_or_default())
    }

    /// The date of the first field of this name.
    pub fn date_of(&self, name: &str) -> Option<DateTime> {
        date::parse(self.raw(name)?)
    }

    /// Subject, decoded.
    pub fn subject(&self) -> Option<Cow<'a, str>> {
        self.text("Subject")
    }

    /// Date.
    pub fn date(&self) -> Option<DateTime> {
        self.date_of("Date")
    }

    /// From.
    pub fn from(&self) -> Items<'a> {
        self.addresses("From")
    }

    /// Sender, or the first mailbox of From where that is missing (RFC 5322 §3.6.2).
    pub fn sender(&self) -> Option<Mailbox<'a>> {
        let sender = self.mailboxes("Sender").next();
        sender.or_else(|| self.mailboxes("From").next())
    }

    /// Reply-To, or From where that is missing or empty (RFC 5322 §3.6.2).
    pub fn reply_to(&self) -> Items<'a> {
        let reply_to = self.addresses("Reply-To");
        match reply_to.clone().next() {
            Some(_) => reply_to,
            None => self.from(),
        }
    }

    /// To.
    pub fn to(&self) -> Items<'a> {
        self.addresses("To")
    }

    /// Cc.
    pub fn cc(&self) -> Items<'a> {
        self.addresses("Cc")
    }

    /// Bcc.
    pub fn bcc(&self) -> Items<'a> {
        self.addresses("Bcc")
    }

    /// Message-ID, without its angle brackets.
    pub fn message_id(&self) -> Option<Cow<'a, str>> {
        self.ids("Message-ID").next()
    }

    /// In-Reply-To.
    pub fn in_reply_to(&self) -> Ids<'a> {
        self.ids("In-Reply-To")
    }

    /// References, the first message of the thread first.
    pub fn references(&self) -> Ids<'a> {
        self.ids("References")
    }

    /// Content-Type; `None` where it is missing or names no type.
    pub fn content_type(&self) -> Option<ContentType<'a>> {
        ContentType::parse(self.raw("Content-Type")?)
    }

    /// Content-Disposition.
    pub fn disposition(&self) -> Option<Disposition<'a>> {
        Disposition::parse(self.raw("Content-Disposition")?)
    }

    /// The name that a file made of this part may have: `filename` of Content-Disposition, or `name` of
    /// Content-Type. Names of folders in it are the sender's, and not removed.
    pub fn filename(&self) -> Option<String> {
        let named = |value: Option<Cow<'_, str>>| value.map(Cow::into_owned).filter(|name| !name.is_empty());
        let disposition = self.disposition();
        named(disposition.as_ref().and_then(|d| d.parameter("filename"))).or_else(|| {
            let content_type = self.content_type();
            named(content_type.as_ref().and_then(|t| t.parameter("name")))
        })
    }

    /// Content-Transfer-Encoding; without one, a part is as it is.
    pub fn encoding(&self) -> Encoding {
        Encoding::parse(self.raw("Content-Transfer-Encoding").unwrap_or_default())
    }

    /// Content-ID, without its angle brackets.
    pub fn content_id(&self) -> Option<Cow<'a, str>> {
        self.ids("Content-ID").next()
    }

    /// Content-Location: a URI, white space removed (RFC 2557 §4.4.1).
    pub fn content_location(&self) -> Option<Cow<'a, str>> {
        let value = self.raw("Content-Location")?.trim_ascii();
        Some(lex::text(match value.iter().any(|b| lex::is_space(*b)) {
            true => Cow::Owned(value.iter().copied().filter(|b| !lex::is_space(*b)).collect()),
            false => Cow::Borrowed(value),
        }))
    }

    /// Content-Language: language tags (RFC 3282 §2).
    pub fn content_language(&self) -> Vec<Cow<'a, str>> {
        list::keywords(self.raw("Content-Language").unwrap_or_default())
    }

    /// MIME-Version, `(1, 0)` in all mail there is (RFC 2045 §4); `None` where it is missing or none.
    pub fn mime_version(&self) -> Option<(u32, u32)> {
        mime_version(self.raw("MIME-Version")?)
    }

    /// The words of all Keywords fields.
    pub fn keywords(&self) -> Vec<Cow<'a, str>> {
        self.all("Keywords")
            .flat_map(|field| list::keywords(field.value))
            .collect()
    }

    /// The hops of the message, the last one first.
    pub fn received(&self) -> impl Iterator<Item = Hop<'a>> + use<'a> {
        self.all("Received").map(|field| Hop::parse(field.value))
    }

    /// Return-Path. That of a bounce, `<>`, is a mailbox without local part and domain.
    pub fn return_path(&self) -> Option<Mailbox<'a>> {
        self.mailboxes("Return-Path").next()
    }

    /// The recipients that Delivered-To fields name, the last delivery first.
    pub fn delivered_to(&self) -> impl Iterator<Item = Mailbox<'a>> + use<'a> {
        self.all("Delivered-To")
            .flat_map(|field| address_list::mailboxes(field.value))
    }

    /// Disposition-Notification-To: who asks to be told that the message was read (RFC 8098 §2.1).
    pub fn disposition_notification_to(&self) -> Items<'a> {
        self.addresses("Disposition-Notification-To")
    }

    /// Auto-Submitted.
    pub fn auto_submitted(&self) -> Option<AutoSubmitted> {
        AutoSubmitted::parse(self.raw("Auto-Submitted")?)
    }

    /// Whether a message came from a program or a list, so that no automatic answer may go back (RFC 3834 §2).
    ///
    /// It has an Auto-Submitted field other than `no`, an empty Return-Path, a List-* field, or a Precedence of
    /// `bulk`, `junk` or `list`.
    ///
    /// ```
    /// use mailwright_message::header::Headers;
    /// assert!(Headers::new(b"Auto-Submitted: auto-replied; owner-email=\"a@b\"\r\n\r\n").is_automatic());
    /// assert!(!Headers::new(b"Subject: hello\r\n\r\n").is_automatic());
    /// ```
    pub fn is_automatic(&self) -> bool {
        self.fields().any(|field| {
            let is_list = || {
                field
                    .name
                    .get(..5)
                    .is_some_and(|start| start.eq_ignore_ascii_case(b"List-"))
            };
            let value = lex::token(field.value);
            if field.is("Auto-Submitted") {
                AutoSubmitted::parse(field.value).is_some_and(|submitted| submitted != AutoSubmitted::No)
            } else if field.is("Precedence") {
                ["bulk", "junk", "list"]
                    .iter()
                    .any(|word| value.eq_ignore_ascii_case(word.as_bytes()))
            } else if field.is("Return-Path") {
                value == b"<>"
            } else {
                is_list()
            }
        })
    }

    /// How important the sender says the message is: Importance before Priority, and both before those that are in no
    /// RFC.
    pub fn priority(&self) -> Option<Priority> {
        ["Importance", "Priority", "X-Priority", "X-MSMail-Priority"]
            .iter()
            .find_map(|name| Priority::parse(self.raw(name)?))
    }

    /// List-Id.
    pub fn list_id(&self) -> Option<ListId<'a>> {
        ListId::parse(self.raw("List-Id")?)
    }

    /// A field with commands of a mailing list: `list_commands("List-Unsubscribe")`.
    pub fn list_commands(&self, name: &str) -> Option<Commands<'a>> {
        Some(list::parse(self.raw(name)?))
    }

    /// The URI to POST to so that the reader is off the list at once (RFC 8058 §3.1): the first `https` one of
    /// List-Unsubscribe, if List-Unsubscribe-Post allows it. A caller has to check that a valid DKIM signature
    /// covers both fields (RFC 8058 §4).
    pub fn one_click_unsubscribe(&self) -> Option<Cow<'a, str>> {
        let allowed = self.raw("List-Unsubscribe-Post").is_some_and(list::is_one_click);
        let links = self.list_commands("List-Unsubscribe").filter(|_| allowed)?.links;
        let is_https = |uri: &str| {
            uri.get(..8)
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
        };
        links.into_iter().map(|link| link.uri).find(|uri| is_https(uri))
    }

    /// The Authentication-Results fields, the last server first.
    pub fn authentication_results(&self) -> impl Iterator<Item = Results<'a>> + use<'a> {
        self.all("Authentication-Results")
            .map(|field| Results::parse(field.value))
    }

    /// The DKIM-Signature fields as tags.
    pub fn dkim_signatures(&self) -> impl Iterator<Item = TagList<'a>> + use<'a> {
        self.all("DKIM-Signature")
            .map(|field| TagList::parse(field.value))
    }

    /// The ARC-Seal fields as tags (RFC 8617 §4.1.3); `i` is the place in the chain.
    pub fn arc_seals(&self) -> impl Iterator<Item = TagList<'a>> + use<'a> {
        self.all("ARC-Seal").map(|field| TagList::parse(field.value))
    }

    /// The ARC-Message-Signature fields as tags (RFC 8617 §4.1.2).
    pub fn arc_message_signatures(&self) -> impl Iterator<Item = TagList<'a>> + use<'a> {
        self.all("ARC-Message-Signature")
            .map(|field| TagList::parse(field.value))
    }

    /// The ARC-Authentication-Results fields (RFC 8617 §4.1.1).
    pub fn arc_results(&self) -> impl Iterator<Item = Results<'a>> + use<'a> {
        self.all("ARC-Authentication-Results")
            .map(|field| Results::parse(field.value))
    }

    /// Who sent the message on, the last one first (RFC 5322 §3.6.6).
    ///
    /// Resent fields stand in blocks on top of the older ones: a block ends where a trace field comes, or a field
    /// of the block comes again.
    pub fn resent(&self) -> Vec<Resent<'a>> {
        let mut blocks: Vec<Resent<'a>> = Vec::new();
        let mut open = false;
        for field in self.fields() {
            let is_resent = field
                .name
                .get(..7)
                .is_some_and(|start| start.eq_ignore_ascii_case(b"Resent-"));
            if !is_resent {
                open &= !(field.is("Received") || field.is("Return-Path"));
                continue;
            }
            let again = |block: &Resent<'a>| {
                block
                    .fields
                    .iter()
                    .any(|f| f.name.eq_ignore_ascii_case(field.name))
            };
            match blocks.last_mut() {
                // A block has as many fields as there are names: so the search is short.
                Some(block) if open && !again(block) && block.fields.len() < MAX_RESENT => {
                    block.fields.push(field);
                }
                _ => blocks.push(Resent { fields: vec![field] }),
            }
            open = true;
        }
        blocks
    }
}

/// Resent-Date, -From, -Sender, -To, -Cc, -Bcc, -Message-ID and the obsolete -Reply-To, with room for unknown ones.
const MAX_RESENT: usize = 16;

/// The fields that one person who sent a message on has added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resent<'a> {
    fields: Vec<Field<'a>>,
}

impl<'a> Resent<'a> {
    /// All fields of the block in order.
    pub fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }

    /// The members of an address list by its name without `Resent-`: `To`.
    pub fn addresses(&self, name: &str) -> Items<'a> {
        address_list::items(self.raw(name))
    }

    /// Resent-Date.
    pub fn date(&self) -> Option<DateTime> {
        date::parse(self.raw("Date"))
    }

    /// Resent-Message-ID.
    pub fn message_id(&self) -> Option<Cow<'a, str>> {
        ids::ids(self.raw("Message-ID")).next()
    }

    fn raw(&self, name: &str) -> &'a [u8] {
        let is = |field: &&Field<'a>| field.name[7..].eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().find(is).map_or(&[], |field| field.value)
    }
}

/// The iterator of [`Headers::fields`].
#[derive(Debug, Clone)]
pub struct HeaderFields<'a>(Source<'a>);

#[derive(Debug, Clone)]
enum Source<'a> {
    Walk(Fields<'a>),
    Index {
        message: &'a [u8],
        spans: FieldSpans<'a>,
    },
}

impl<'a> HeaderFields<'a> {
    /// The next field of this name.
    fn find_named(&mut self, name: &str) -> Option<Field<'a>> {
        match &mut self.0 {
            Source::Walk(fields) => fields.find(|field| field.is(name)),
            Source::Index { message, spans } => loop {
                spans.skip_names_unlike(name.len(), false);
                let span = spans.next()?;
                if slice(message, &span.name).eq_ignore_ascii_case(name.as_bytes()) {
                    return Some(field(message, &span));
                }
            },
        }
    }
}

impl<'a> Iterator for HeaderFields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        match &mut self.0 {
            Source::Walk(fields) => fields.next(),
            Source::Index { message, spans } => spans.next().map(|span| field(message, &span)),
        }
    }
}

fn field<'a>(message: &'a [u8], span: &crate::index::FieldSpan) -> Field<'a> {
    Field {
        name: slice(message, &span.name),
        value: slice(message, &span.value),
        raw: slice(message, &span.field),
        offset: span.field.start,
    }
}

/// Empty where the index is of another message than this.
fn slice<'a>(message: &'a [u8], range: &std::ops::Range<u64>) -> &'a [u8] {
    let place = usize::try_from(range.start)
        .ok()
        .zip(usize::try_from(range.end).ok());
    place
        .and_then(|(start, end)| message.get(start..end))
        .unwrap_or_default()
}

/// Reads `1.0`, with comments wherever they stand (RFC 2045 §4).
fn mime_version(value: &[u8]) -> Option<(u32, u32)> {
    let mut at = 0;
    let mut number = || {
        at = lex::skip_cfws(value, at);
        let rest = &value[at..];
        let len = rest
            .iter()
            .position(|b| !b.is_ascii_digit())
            .unwrap_or(rest.len());
        let number = std::str::from_utf8(&rest[..len]).ok()?.parse().ok()?;
        at = lex::skip_cfws(value, at + len);
        let dot = value.get(at) == Some(&b'.');
        at += usize::from(dot);
        Some((number, dot))
    };
    match (number()?, number()?) {
        ((major, true), (minor, false)) => Some((major, minor)),
        _ => None,
    }
}
