//! Parts to write (RFC 2045, RFC 2046, RFC 2183)

use std::borrow::Cow;

use bytes::Bytes;

use super::content::{Data, Encoding, canonical, canonical_octets};
use super::{Error, Field};
use crate::flowed;

/// A part of a message to write: a body with its header, or a multipart with its parts.
///
/// ```
/// use mailwright_message::build::{Message, Part};
/// use mailwright_message::date::DateTime;
///
/// let picture = Part::new("image/png", &b"\x89PNG"[..]).content_id("logo@a.test");
/// let page = Part::related(Part::html("<img src=cid:logo@a.test>"), [picture]);
/// let message = Message::builder()
///     .from("alice@a.test")
///     .body(Part::alternative([Part::text("A logo."), page]))
///     .build(DateTime::new(0, 0), [7; 32])?;
/// # Ok::<(), mailwright_message::build::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Part<'a> {
    pub(super) media_type: Cow<'a, str>,
    pub(super) parameters: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub(super) disposition: Option<Disposition>,
    pub(super) filename: Option<Cow<'a, str>>,
    pub(super) fields: Vec<Field<'a>>,
    pub(super) encoding: Option<Encoding>,
    pub(super) content: Content<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposition {
    Inline,
    Attachment,
}

#[derive(Debug, Clone)]
pub(super) enum Content<'a> {
    /// Text in canonical form; the charset parameter goes by its content.
    Text(Data<'a>),
    /// Octets that must come back as they are.
    Octets(Data<'a>),
    /// A message, which no encoding may hide.
    Message(Data<'a>),
    /// Header and body of an entity, as they are.
    Entity(Data<'a>),
    Multipart(Vec<Part<'a>>),
}

impl<'a> Part<'a> {
    /// Plain text in UTF-8. Line ends of any kind become CRLF.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::text_of_type("text/plain", text)
    }

    /// HTML in UTF-8. Line ends of any kind become CRLF.
    pub fn html(html: impl Into<Cow<'a, str>>) -> Self {
        Self::text_of_type("text/html", html)
    }

    /// Text of another type, in UTF-8: `text/calendar`, `text/markdown`. Line ends of any kind become CRLF.
    pub fn text_of_type(media_type: impl Into<Cow<'a, str>>, text: impl Into<Cow<'a, str>>) -> Self {
        Self::of(media_type, Content::Text(canonical(text.into()).into()))
    }

    /// Plain text as format=flowed (RFC 3676): each line of `text` is a paragraph, and is broken into lines that
    /// readers join again and show in any width: see [`flowed::encode`].
    ///
    /// Lines that start with `>` are quotations: their lines get the same marks.
    pub fn flowed(text: &str) -> Self {
        Self::ready_flowed(flowed::encode(text).into())
    }

    /// As [`Part::flowed`], for text that is encoded so.
    pub(super) fn ready_flowed(text: Cow<'a, str>) -> Self {
        Self::text(text).parameter("format", "flowed")
    }

    /// An iCalendar object with its method, such as `REQUEST` or `REPLY` (RFC 6047 §2.4). Put it among the
    /// alternatives of the text, where calendars look for it.
    pub fn calendar(method: impl Into<Cow<'a, str>>, calendar: impl Into<Cow<'a, str>>) -> Self {
        Self::text_of_type("text/calendar", calendar).parameter("method", method)
    }

    /// Octets of any type, which come back exactly as they are; those of a message go as [`Part::message`] has them.
    pub fn new(media_type: impl Into<Cow<'a, str>>, octets: impl Into<Body<'a>>) -> Self {
        let media_type = media_type.into();
        let is = |known: &str| media_type.eq_ignore_ascii_case(known);
        let data = octets.into().0;
        // No encoding may stand around a message (RFC 2046 §5.2.1): readers look into it as it is.
        let content = match is("message/rfc822") || is("message/global") {
            true => Content::Message(canonical_octets(data)),
            false => Content::Octets(data),
        };
        Self::of(media_type, content)
    }

    /// A file to save, under this name.
    pub fn attachment(
        filename: impl Into<Cow<'a, str>>,
        media_type: impl Into<Cow<'a, str>>,
        octets: impl Into<Body<'a>>,
    ) -> Self {
        Self::new(media_type, octets).filename(filename)
    }

    /// A whole message as it is (RFC 2046 §5.2.1): to forward it with all that it has. Bare CR and LF become CRLF.
    pub fn message(message: impl Into<Body<'a>>) -> Self {
        Self::of(
            "message/rfc822",
            Content::Message(canonical_octets(message.into().0)),
        )
    }

    /// A part that is ready, its header and the empty line behind it included: what was signed or encrypted.
    ///
    /// Its octets are not touched, so that a signature holds (RFC 1847 §2.1); they must have CRLF line ends.
    pub fn entity(entity: impl Into<Body<'a>>) -> Self {
        Self::of("", Content::Entity(entity.into().0))
    }

    /// Parts of any kind one after the other: `mixed`, or a subtype of one's own.
    pub fn multipart(subtype: &str, parts: impl IntoIterator<Item = Self>) -> Self {
        Self::of(
            format!("multipart/{subtype}"),
            Content::Multipart(parts.into_iter().collect()),
        )
    }

    /// multipart/mixed: parts one after the other.
    pub fn mixed(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::multipart("mixed", parts)
    }

    /// multipart/alternative: the same in several forms, the plainest first.
    pub fn alternative(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::multipart("alternative", parts)
    }

    /// multipart/related (RFC 2387): a root, such as HTML, and what it shows by [`Part::content_id`].
    pub fn related(root: Self, parts: impl IntoIterator<Item = Self>) -> Self {
        let root_type = root.media_type.clone();
        Self::multipart("related", std::iter::once(root).chain(parts)).parameter("type", root_type)
    }

    /// multipart/digest: messages.
    pub fn digest(messages: impl IntoIterator<Item = Self>) -> Self {
        Self::multipart("digest", messages)
    }

    /// multipart/report (RFC 6522): text for people, the report, and perhaps what it is about.
    pub fn report(report_type: impl Into<Cow<'a, str>>, parts: impl IntoIterator<Item = Self>) -> Self {
        Self::multipart("report", parts).parameter("report-type", report_type)
    }

    /// multipart/signed (RFC 1847 §2.1): an entity and its signature. `micalg` names the digest, as in `sha-256`.
    pub fn signed(
        protocol: impl Into<Cow<'a, str>>,
        micalg: impl Into<Cow<'a, str>>,
        entity: Self,
        signature: Self,
    ) -> Self {
        Self::multipart("signed", [entity, signature])
            .parameter("protocol", protocol)
            .parameter("micalg", micalg)
    }

    /// multipart/encrypted (RFC 1847 §2.2): what tells how, and the octets.
    pub fn encrypted(protocol: impl Into<Cow<'a, str>>, control: Self, encrypted: Self) -> Self {
        Self::multipart("encrypted", [control, encrypted]).parameter("protocol", protocol)
    }

    /// Adds a parameter of the Content-Type.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// Names the file to save it as, and makes the part an attachment unless [`Part::inline`] was said.
    #[must_use]
    pub fn filename(mut self, filename: impl Into<Cow<'a, str>>) -> Self {
        self.filename = Some(filename.into());
        self.disposition.get_or_insert(Disposition::Attachment);
        self
    }

    /// Asks readers to show the part where it stands.
    #[must_use]
    pub fn inline(mut self) -> Self {
        self.disposition = Some(Disposition::Inline);
        self
    }

    /// Asks readers to offer the part for saving.
    #[must_use]
    pub fn attached(mut self) -> Self {
        self.disposition = Some(Disposition::Attachment);
        self
    }

    /// Gives the part a name that HTML can show it by: `cid:` and the identifier. Without angle brackets or with.
    #[must_use]
    pub fn content_id(mut self, id: impl Into<Cow<'a, str>>) -> Self {
        self.fields.push(Field::ids("Content-ID", [id.into()]));
        self.disposition.get_or_insert(Disposition::Inline);
        self
    }

    /// Says for people what the part is.
    #[must_use]
    pub fn description(mut self, description: impl Into<Cow<'a, str>>) -> Self {
        self.fields.push(Field::text("Content-Description", description));
        self
    }

    /// Says in what languages it is: `en`, `de-CH` (RFC 3282).
    #[must_use]
    pub fn language(mut self, tags: impl Into<Cow<'a, str>>) -> Self {
        self.fields.push(Field::structured("Content-Language", tags));
        self
    }

    /// Adds a field to the header of the part; it must be one of the Content-* fields that have no method here.
    #[must_use]
    pub fn field(mut self, field: Field<'a>) -> Self {
        self.fields.push(field);
        self
    }

    /// Sets the transfer encoding, in place of the one that content and transport ask for.
    ///
    /// Building fails if the octets do not allow it, or the transport does not.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = Some(encoding);
        self
    }

    pub(super) fn of(media_type: impl Into<Cow<'a, str>>, content: Content<'a>) -> Self {
        Self {
            media_type: media_type.into(),
            parameters: Vec::new(),
            disposition: None,
            filename: None,
            fields: Vec::new(),
            encoding: None,
            content,
        }
    }

    /// Whether the type is one that a Content-Type field can name.
    pub(super) fn check_type(&self) -> Result<(), Error> {
        let is_token =
            |word: &str| !word.is_empty() && word.len() <= 127 && word.bytes().all(super::fold::is_token);
        let valid = |(media_type, subtype)| is_token(media_type) && is_token(subtype);
        let is_multipart = self
            .media_type
            .get(..10)
            .is_some_and(|t| t.eq_ignore_ascii_case("multipart/"));
        let composite = matches!(self.content, Content::Multipart(_));
        if self.media_type.split_once('/').is_some_and(valid) && is_multipart == composite {
            return Ok(());
        }
        Err(Error::MediaType(self.media_type.clone().into_owned()))
    }
}

/// The octets of a body: a slice, a vector, [`Bytes`], or a stream.
#[derive(Debug, Clone)]
pub struct Body<'a>(Data<'a>);

impl Body<'_> {
    /// A body that comes while the message is written, from the stream that the caller knows by this number:
    /// [`Step::Want`](super::Step::Want) asks for it.
    ///
    /// It is sent as base64, unless [`Part::encoding`] says otherwise. In quoted-printable a bare LF becomes CRLF.
    pub fn stream(number: u64) -> Self {
        Self(Data::Stream(number))
    }
}

impl<'a> From<&'a [u8]> for Body<'a> {
    fn from(octets: &'a [u8]) -> Self {
        Self(Data::Borrowed(octets))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Body<'a> {
    fn from(octets: &'a [u8; N]) -> Self {
        Self(Data::Borrowed(octets))
    }
}

impl<'a> From<&'a Vec<u8>> for Body<'a> {
    fn from(octets: &'a Vec<u8>) -> Self {
        Self(Data::Borrowed(octets))
    }
}

impl<'a> From<&'a str> for Body<'a> {
    fn from(octets: &'a str) -> Self {
        Self(Data::Borrowed(octets.as_bytes()))
    }
}

impl From<Vec<u8>> for Body<'_> {
    fn from(octets: Vec<u8>) -> Self {
        Self(Data::Shared(octets.into()))
    }
}

impl From<String> for Body<'_> {
    fn from(octets: String) -> Self {
        Self(Data::Shared(octets.into_bytes().into()))
    }
}

impl From<Bytes> for Body<'_> {
    fn from(octets: Bytes) -> Self {
        Self(Data::Shared(octets))
    }
}
