//! Which parts are the body and which are attachments (RFC 8621 §4.1.4), their names, and calendars among them
//! (RFC 6047)

use crate::charset;
use crate::index::{Index, Kind, Part};
use crate::parameters::{ContentType, Disposition};
use crate::transfer::Encoding;

/// The parts of a message as a mail program shows them. A part may be in more than one list.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Bodies<'a> {
    /// The parts to show in turn where plain text is preferred.
    pub text: Vec<Part<'a>>,
    /// The parts to show in turn where HTML is preferred.
    pub html: Vec<Part<'a>>,
    /// The parts to offer for saving.
    pub attachments: Vec<Part<'a>>,
}

impl Index {
    /// The body parts and attachments, exactly by the algorithm of RFC 8621 §4.1.4.
    ///
    /// Nested messages are attachments here; ask for the bodies of their root with [`Part::bodies`].
    ///
    /// ```
    /// use mailwright_message::Index;
    /// let message = b"Content-Type: multipart/alternative; boundary=x\r\n\r\n\
    ///     --x\r\n\r\nplain\r\n--x\r\nContent-Type: text/html\r\n\r\n<p>rich\r\n--x--\r\n";
    /// let index = Index::of(message);
    /// let bodies = index.bodies();
    /// assert_eq!(bodies.text.len() + bodies.html.len(), 2);
    /// assert_eq!(bodies.html[0].body_structure().subtype(), b"html");
    /// ```
    pub fn bodies(&self) -> Bodies<'_> {
        self.root().bodies()
    }
}

/// The media types that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Media {
    Plain,
    Html,
    /// Images, sound and films may be shown within a text.
    Inline,
    Other,
}

/// A multipart whose parts are being looked at.
struct Level<'a> {
    parts: crate::index::Parts<'a>,
    is_first: bool,
    is_alternative: bool,
    is_related: bool,
    in_alternative: bool,
    /// Whether parts still go to a list: the variables `textBody` and `htmlBody` of the RFC may be null.
    text: bool,
    html: bool,
    text_len: usize,
    html_len: usize,
}

impl<'a> Part<'a> {
    /// The body parts and attachments of what is in this part; see [`Index::bodies`].
    pub fn bodies(&self) -> Bodies<'a> {
        let mut bodies = Bodies::default();
        if self.kind() != Kind::Multipart {
            bodies.sort(*self, true, false, false, false, &mut true, &mut true);
            return bodies;
        }
        let mut levels = vec![bodies.level(*self, None)];
        while let Some(level) = levels.last_mut() {
            let Some(part) = level.parts.next() else {
                bodies.end(level);
                levels.pop();
                continue;
            };
            let is_first = std::mem::take(&mut level.is_first);
            if part.kind() == Kind::Multipart {
                let inner = bodies.level(part, Some(level));
                levels.push(inner);
            } else {
                bodies.sort(
                    part,
                    is_first,
                    level.is_alternative,
                    level.is_related,
                    level.in_alternative,
                    &mut level.text,
                    &mut level.html,
                );
            }
        }
        bodies
    }

    /// The name under which the part asks to be saved: the `filename` of its disposition, or the `name` of its
    /// type, decoded. It is what the sender wrote; see [`Part::safe_filename`].
    pub fn filename(&self) -> Option<String> {
        let structure = self.body_structure();
        let of = |name: &str, parameters| decoded_parameter(name, parameters);
        let disposition = structure
            .disposition()
            .and_then(|(_, parameters)| of("filename", parameters));
        disposition
            .or_else(|| of("name", structure.parameters()))
            .filter(|name| !name.is_empty())
    }

    /// [`Part::filename`] made safe as the name of a file; see [`safe_filename`].
    pub fn safe_filename(&self) -> Option<String> {
        self.filename().and_then(|name| safe_filename(&name))
    }

    /// The nested message of a message/rfc822 part that is in base64 or quoted-printable against RFC 2045 §6.4:
    /// the decoded octets of the part's body, and their index. `None` when the part is no message, or has none of
    /// these encodings: its message is in the index then.
    pub fn decode_message(&self, body: &[u8]) -> Option<(Vec<u8>, Index)> {
        let is_encoded = !matches!(self.encoding(), Encoding::Identity | Encoding::Unknown);
        if self.kind() != Kind::Message || !is_encoded {
            return None;
        }
        let octets = self.encoding().decode(body).into_owned();
        let index = Index::of(&octets);
        Some((octets, index))
    }

    /// The decoded value of a parameter of the Content-Type field.
    pub fn parameter(&self, name: &str) -> Option<String> {
        decoded_parameter(name, self.body_structure().parameters())
    }

    /// Whether the part has this type; case does not matter.
    pub fn is(&self, media_type: &str, subtype: &str) -> bool {
        let structure = self.body_structure();
        structure.media_type().eq_ignore_ascii_case(media_type.as_bytes())
            && structure.subtype().eq_ignore_ascii_case(subtype.as_bytes())
    }

    /// The scheduling method of a calendar part (RFC 6047 §2.4), in capitals: `REQUEST`, `REPLY`, `CANCEL` and
    /// so on; empty for a calendar without one. `None` when the part is no text/calendar.
    pub fn calendar_method(&self) -> Option<String> {
        self.is("text", "calendar")
            .then(|| self.parameter("method").unwrap_or_default().to_ascii_uppercase())
    }

    fn media(&self) -> Media {
        let structure = self.body_structure();
        let is = |value: &[u8], known: &str| value.eq_ignore_ascii_case(known.as_bytes());
        let (media_type, subtype) = (structure.media_type(), structure.subtype());
        if self.kind() != Kind::Leaf {
            Media::Other
        } else if is(media_type, "text") && is(subtype, "plain") {
            Media::Plain
        } else if is(media_type, "text") && is(subtype, "html") {
            Media::Html
        } else if ["image", "audio", "video"]
            .iter()
            .any(|known| is(media_type, known))
        {
            Media::Inline
        } else {
            Media::Other
        }
    }

    fn is_attachment(&self) -> bool {
        let disposition = self.body_structure().disposition();
        disposition.is_some_and(|(kind, _)| kind.eq_ignore_ascii_case(b"attachment"))
    }
}

impl<'a> Bodies<'a> {
    fn level(&self, part: Part<'a>, outer: Option<&Level<'a>>) -> Level<'a> {
        let is_alternative = part.is("multipart", "alternative");
        Level {
            parts: part.children(),
            is_first: true,
            is_alternative,
            is_related: part.is("multipart", "related"),
            in_alternative: is_alternative || outer.is_some_and(|outer| outer.in_alternative),
            text: outer.is_none_or(|outer| outer.text),
            html: outer.is_none_or(|outer| outer.html),
            text_len: self.text.len(),
            html_len: self.html.len(),
        }
    }

    #[allow(clippy::too_many_arguments)] // the variables of the RFC's algorithm
    fn sort(
        &mut self,
        part: Part<'a>,
        is_first: bool,
        is_alternative: bool,
        is_related: bool,
        in_alternative: bool,
        text: &mut bool,
        html: &mut bool,
    ) {
        let media = part.media();
        let may_be_second = !is_related && (media == Media::Inline || part.filename().is_none());
        let is_inline = !part.is_attachment() && media != Media::Other && (is_first || may_be_second);
        if !is_inline {
            self.attachments.push(part);
            return;
        }
        if is_alternative {
            match media {
                Media::Plain if *text => self.text.push(part),
                Media::Html if *html => self.html.push(part),
                Media::Plain | Media::Html => {}
                _ => self.attachments.push(part),
            }
            return;
        }
        if in_alternative {
            *html &= media != Media::Plain;
            *text &= media != Media::Html;
        }
        if *text {
            self.text.push(part);
        }
        if *html {
            self.html.push(part);
        }
        if !(*text && *html) && media == Media::Inline {
            self.attachments.push(part);
        }
    }

    /// The end of a multipart: an alternative that has one form only has it for both.
    fn end(&mut self, level: &Level<'a>) {
        if !level.is_alternative || !level.text || !level.html {
            return;
        }
        let (has_text, has_html) = (self.text.len() > level.text_len, self.html.len() > level.html_len);
        if has_html && !has_text {
            self.text.extend_from_slice(&self.html[level.html_len..]);
        } else if has_text && !has_html {
            self.html.extend_from_slice(&self.text[level.text_len..]);
        }
    }
}

/// Takes a parameter out of a structure, where RFC 2231 values are still encoded.
fn decoded_parameter(wanted: &str, parameters: crate::body_structure::Parameters<'_>) -> Option<String> {
    for (name, value) in parameters {
        let (base, is_extended) = match name.strip_suffix(b"*") {
            Some(base) => (base, true),
            None => (name, false),
        };
        if !base.eq_ignore_ascii_case(wanted.as_bytes()) {
            continue;
        }
        if is_extended {
            let mut field = format!("x; {wanted}*=").into_bytes();
            field.extend_from_slice(value);
            let disposition = Disposition::parse(&field)?;
            return disposition.parameter(wanted).map(std::borrow::Cow::into_owned);
        }
        // Encoded words do not belong here, but are common; a quoted value keeps its spaces.
        let mut field = format!("a/b; {wanted}=\"").into_bytes();
        for byte in value {
            if matches!(byte, b'"' | b'\\') {
                field.push(b'\\');
            }
            field.push(*byte);
        }
        field.push(b'"');
        let content_type = ContentType::parse(&field);
        let decoded = content_type.and_then(|t| Some(t.parameter(wanted)?.into_owned()));
        return Some(decoded.unwrap_or_else(|| charset::guess(value).into_owned()));
    }
    None
}

/// The last part of a name from a message, such that a program may use it for a file on any system.
///
/// No folder is left, no control or invisible character, none of `<>:"|?*`, no dot or space at either end, no
/// name that Windows keeps for a device, and at most 200 octets with the extension kept. `None` when nothing is
/// left.
///
/// ```
/// use mailwright_message::body::safe_filename;
/// assert_eq!(safe_filename("../../etc/passwd").as_deref(), Some("passwd"));
/// assert_eq!(safe_filename("C:\\evil\u{202e}fdp.exe").as_deref(), Some("evilfdp.exe"));
/// assert_eq!(safe_filename("con.txt").as_deref(), Some("_con.txt"));
/// assert_eq!(safe_filename(" .. "), None);
/// ```
pub fn safe_filename(name: &str) -> Option<String> {
    const MAX: usize = 200;
    let last = name
        .rsplit(['/', '\\'])
        .find(|part| !part.trim_matches(['.', ' ']).is_empty())?;
    let kept = last.chars().filter(|c| {
        !c.is_control()
            && !crate::preview::is_invisible(*c)
            && !matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*')
    });
    let kept: String = kept.map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
    let name = kept.trim_matches(['.', ' ']);
    if name.is_empty() {
        return None;
    }
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let is_device = ["con", "prn", "aux", "nul"]
        .iter()
        .any(|device| stem.eq_ignore_ascii_case(device))
        || stem
            .get(..3)
            .is_some_and(|s| s.eq_ignore_ascii_case("com") || s.eq_ignore_ascii_case("lpt"))
            && stem.len() == 4
            && stem.ends_with(|c: char| c.is_ascii_digit());
    let mut safe = if is_device {
        format!("_{name}")
    } else {
        name.to_owned()
    };
    if safe.len() > MAX {
        let extension = safe
            .rfind('.')
            .filter(|at| safe.len() - at <= 20)
            .map(|at| safe[at..].to_owned());
        let extension = extension.unwrap_or_default();
        let mut end = MAX - extension.len();
        while !safe.is_char_boundary(end) {
            end -= 1;
        }
        safe.truncate(end);
        safe.push_str(&extension);
    }
    Some(safe)
}
