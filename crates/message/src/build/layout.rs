//! Lays a tree of parts out: headers, delimiters, encodings (RFC 2045 §6, RFC 2046 §5.1)

use super::content::{Data, Encoding, Survey, Transport};
use super::encode::Encoder;
use super::field::check;
use super::fold::{Folder, is_token};
use super::part::{Content, Disposition, Part};
use super::{Error, MAX_DEPTH};
use crate::message_id;

/// Bodies up to this size are encoded at once, into the frame.
const SMALL: usize = 32 * 1024;

/// Names of parameters are not folded.
const MAX_PARAMETER_NAME: usize = 40;

/// A message laid out: all but its large bodies.
#[derive(Debug, Clone)]
pub(super) struct Layout<'a> {
    pub(super) frame: Vec<u8>,
    pub(super) pieces: Vec<Piece<'a>>,
    pub(super) boundaries: Boundaries,
}

/// A body that is encoded while the message is handed out.
#[derive(Debug, Clone)]
pub(super) struct Piece<'a> {
    /// Where it goes in the frame.
    pub(super) at: usize,
    pub(super) data: Data<'a>,
    pub(super) encoding: Encoding,
    /// Whether nothing comes behind it: its last line must be complete.
    pub(super) last: bool,
}

/// Makes boundaries: all of one message start alike, and none is the start of another.
#[derive(Debug, Clone)]
pub(super) struct Boundaries {
    /// `--=_` and randomness: no base64 and no quoted-printable has it, and other octets are looked through.
    pub(super) prefix: Vec<u8>,
    count: u32,
}

impl Boundaries {
    pub(super) fn new(random: &[u8]) -> Self {
        let mut token = String::with_capacity(4 + random.len() * 8 / 5 + 1);
        token.push_str("--=_");
        message_id::push_token(random, &mut token);
        Self {
            prefix: token.into_bytes(),
            count: 0,
        }
    }

    /// The next one, with the two hyphens of a delimiter in front.
    fn next(&mut self) -> Vec<u8> {
        let mut delimiter = Vec::with_capacity(self.prefix.len() + 8);
        delimiter.extend_from_slice(&self.prefix);
        message_id::push_token(&self.count.to_be_bytes()[1..], &mut delimiter);
        self.count += 1;
        delimiter
    }
}

/// What is decided for a part before anything is written: a multipart is sent as what its parts need.
struct Plan {
    encoding: Encoding,
    /// The text is ASCII.
    ascii: bool,
    parts: Vec<Plan>,
}

impl Plan {
    fn of(
        part: &Part<'_>,
        transport: Transport,
        boundary: &[u8],
        depth: usize,
        root: bool,
    ) -> Result<Self, Error> {
        let leaf = |encoding, ascii| Self {
            encoding,
            ascii,
            parts: Vec::new(),
        };
        match &part.content {
            Content::Multipart(parts) => {
                let least = match &*part.media_type {
                    "multipart/signed" | "multipart/encrypted" | "multipart/report" => 2,
                    _ => 1,
                };
                if parts.len() < least {
                    return Err(Error::NoParts);
                }
                if depth >= MAX_DEPTH {
                    return Err(Error::TooDeep);
                }
                let parts = parts
                    .iter()
                    .map(|part| Self::of(part, transport, boundary, depth + 1, false))
                    .collect::<Result<Vec<_>, _>>()?;
                let most = parts.iter().map(|plan| plan.encoding.transport()).max();
                let encoding = match most.unwrap_or_default() {
                    Transport::SevenBit => Encoding::SevenBit,
                    Transport::EightBit => Encoding::EightBit,
                    Transport::Binary => Encoding::Binary,
                };
                match part.encoding.is_none_or(|wanted| wanted == encoding) {
                    true => Ok(Self {
                        parts,
                        ..leaf(encoding, true)
                    }),
                    false => Err(part.encoding.map_or(Error::NoParts, Error::Encoding)),
                }
            }
            Content::Message(data) | Content::Entity(data) => {
                let encoding = match (data.octets(), part.encoding) {
                    (_, Some(wanted @ (Encoding::QuotedPrintable | Encoding::Base64))) => {
                        return Err(Error::Encoding(wanted));
                    }
                    (None, wanted) => wanted.unwrap_or(Encoding::SevenBit),
                    (Some(octets), wanted) => {
                        let survey = Survey::of(octets);
                        let plainest = survey.identity(transport).ok_or(Error::NotTransportable)?;
                        wanted
                            .filter(|wanted| !survey.allows(*wanted))
                            .map_or(Ok(()), |wanted| Err(Error::Encoding(wanted)))?;
                        wanted.unwrap_or(plainest)
                    }
                };
                check_clear(data, encoding, transport, boundary)?;
                Ok(leaf(encoding, true))
            }
            Content::Text(data) | Content::Octets(data) => {
                let is_text = matches!(part.content, Content::Text(_));
                // Reports are lines of text too, and RFC 3464 §2.1 has no encoding for them.
                let is_type = |start: &str| {
                    part.media_type
                        .get(..start.len())
                        .is_some_and(|t| t.eq_ignore_ascii_case(start))
                };
                let text_type = is_text || is_type("text/") || is_type("message/");
                let octets = data.octets();
                let survey = octets
                    .filter(|_| text_type || part.encoding.is_some())
                    .map(Survey::of);
                let encoding = match (part.encoding, &survey) {
                    (Some(wanted), Some(survey)) if !survey.allows(wanted) => {
                        return Err(Error::Encoding(wanted));
                    }
                    (Some(wanted), _) => wanted,
                    (None, Some(survey)) => match survey.of_text(transport) {
                        // Without a line end at its end a message is not canonical, with one these octets would
                        // be others.
                        Encoding::SevenBit | Encoding::EightBit if root && !is_text && !survey.ended => {
                            Encoding::QuotedPrintable
                        }
                        encoding => encoding,
                    },
                    (None, None) if transport == Transport::Binary && octets.is_some() => Encoding::Binary,
                    (None, None) => Encoding::Base64,
                };
                check_clear(data, encoding, transport, boundary)?;
                Ok(leaf(encoding, is_text && octets.is_some_and(<[u8]>::is_ascii)))
            }
        }
    }
}

/// Checks that the transport takes a body in this encoding, and that no boundary is in it.
fn check_clear(
    data: &Data<'_>,
    encoding: Encoding,
    transport: Transport,
    boundary: &[u8],
) -> Result<(), Error> {
    if encoding.transport() > transport {
        return Err(Error::Encoding(encoding));
    }
    let identity = !matches!(encoding, Encoding::Base64 | Encoding::QuotedPrintable);
    let octets = data.octets().filter(|_| identity && !boundary.is_empty());
    match octets.and_then(|octets| memchr::memmem::find(octets, boundary)) {
        Some(_) => Err(Error::Boundary),
        None => Ok(()),
    }
}

impl<'a> Layout<'a> {
    /// Lays out the tree behind a header that is in `frame` without its empty line.
    pub(super) fn of(
        frame: Vec<u8>,
        root: Part<'a>,
        transport: Transport,
        utf8: bool,
        boundaries: Boundaries,
        ends_message: bool,
    ) -> Result<Self, Error> {
        let plan = Plan::of(&root, transport, &boundaries.prefix, 0, ends_message)?;
        let mut layout = Self {
            frame,
            pieces: Vec::new(),
            boundaries,
        };
        layout.part(root, &plan, utf8, ends_message)?;
        Ok(layout)
    }

    /// What the transport must be able to carry.
    pub(super) fn transport(&self) -> Transport {
        let most = self.pieces.iter().map(|piece| piece.encoding.transport()).max();
        most.unwrap_or_default()
    }

    fn part(&mut self, part: Part<'a>, plan: &Plan, utf8: bool, last: bool) -> Result<(), Error> {
        if let Content::Entity(data) = part.content {
            return self.body(data, plan.encoding, last);
        }
        part.check_type()?;
        let delimiter = match &part.content {
            Content::Multipart(_) => self.boundaries.next(),
            _ => Vec::new(),
        };
        write_header(&mut self.frame, &part, plan, &delimiter, utf8)?;
        self.frame.extend_from_slice(b"\r\n");
        match part.content {
            Content::Multipart(parts) => {
                for (i, (part, plan)) in parts.into_iter().zip(&plan.parts).enumerate() {
                    if i > 0 {
                        self.frame.extend_from_slice(b"\r\n");
                    }
                    self.frame.extend_from_slice(&delimiter);
                    self.frame.extend_from_slice(b"\r\n");
                    self.part(part, plan, utf8, false)?;
                }
                self.frame.extend_from_slice(b"\r\n");
                self.frame.extend_from_slice(&delimiter);
                self.frame.extend_from_slice(b"--");
                if last {
                    self.frame.extend_from_slice(b"\r\n");
                }
                Ok(())
            }
            Content::Text(data) | Content::Octets(data) => self.body(data, plan.encoding, last),
            Content::Message(data) | Content::Entity(data) => self.body(data, plan.encoding, last),
        }
    }

    fn body(&mut self, data: Data<'a>, encoding: Encoding, last: bool) -> Result<(), Error> {
        match data.octets() {
            Some(octets) if octets.len() <= SMALL && encoding.transport() == Transport::SevenBit => {
                let is_identity = encoding == Encoding::SevenBit;
                if is_identity {
                    self.frame.extend_from_slice(octets);
                    if last && !octets.is_empty() && !octets.ends_with(b"\r\n") {
                        self.frame.extend_from_slice(b"\r\n");
                    }
                    return Ok(());
                }
                let mut encoder = Encoder::new(encoding, b"");
                encoder.push(octets, &mut self.frame)?;
                encoder.finish(last, &mut self.frame)
            }
            _ => {
                self.pieces.push(Piece {
                    at: self.frame.len(),
                    data,
                    encoding,
                    last,
                });
                Ok(())
            }
        }
    }
}

fn write_header(
    out: &mut Vec<u8>,
    part: &Part<'_>,
    plan: &Plan,
    delimiter: &[u8],
    utf8: bool,
) -> Result<(), Error> {
    let mut folder = Folder::new(out, "Content-Type", utf8);
    folder.word(b" ", part.media_type.as_bytes())?;
    let named = |name: &str| part.parameters.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    if matches!(part.content, Content::Text(_)) && !named("charset") {
        folder.parameter("charset", if plan.ascii { "us-ascii" } else { "utf-8" })?;
    }
    for (name, value) in &part.parameters {
        let valid = !name.is_empty() && name.len() <= MAX_PARAMETER_NAME;
        let valid = valid
            && name
                .bytes()
                .all(|b| is_token(b) && !matches!(b, b'*' | b'\'' | b'%'));
        if !valid || name.eq_ignore_ascii_case("boundary") {
            return Err(Error::Value("Content-Type".to_owned()));
        }
        check(name, value)?;
        folder.parameter(name, value)?;
    }
    if let [b'-', b'-', boundary @ ..] = delimiter {
        folder.mark(b';');
        folder.joined(b" ", &[b"boundary=\"", boundary, b"\""])?;
    }
    folder.end();
    if plan.encoding != Encoding::SevenBit {
        let mut folder = Folder::new(out, "Content-Transfer-Encoding", utf8);
        folder.word(b" ", plan.encoding.as_str().as_bytes())?;
        folder.end();
    }
    if let Some(disposition) = part.disposition {
        let mut folder = Folder::new(out, "Content-Disposition", utf8);
        folder.word(
            b" ",
            match disposition {
                Disposition::Inline => b"inline",
                Disposition::Attachment => b"attachment",
            },
        )?;
        if let Some(filename) = &part.filename {
            check("filename", filename)?;
            folder.parameter("filename", filename)?;
        }
        folder.end();
    }
    for field in &part.fields {
        let name = field.name();
        let is_content = name
            .get(..8)
            .is_some_and(|start| start.eq_ignore_ascii_case("content-"));
        let reserved = ["Content-Type", "Content-Transfer-Encoding", "Content-Disposition"];
        if !is_content
            || reserved
                .iter()
                .any(|reserved| name.eq_ignore_ascii_case(reserved))
        {
            return Err(Error::ReservedField(name.to_owned()));
        }
        field.write(out, utf8)?;
    }
    Ok(())
}
