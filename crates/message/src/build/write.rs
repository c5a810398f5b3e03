//! Hands a message out in pieces

use bytes::Bytes;
use mailwright_address::EmailAddress;

use super::content::{Data, Transport};
use super::encode::{Encoder, base64_len};
use super::layout::{Boundaries, Layout, Piece};
use super::part::Part;
use super::{Encoding, Error};

/// The size of the chunks that a [`Writer`] makes, about, in octets.
const CHUNK: usize = 64 * 1024;

/// Input that becomes one chunk of base64.
const BLOCK: usize = CHUNK / 78 * 57;

/// A message that is built: its octets, and its envelope.
///
/// The octets are canonical: CRLF line ends, no line of more than 998 octets (but in bodies that are sent as
/// binary), no blanks at the ends of lines that were not in a body that had to go as it is, and CRLF at the end.
/// A DKIM signature over them holds on every conforming transport.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    pub(super) layout: Layout<'a>,
    pub(super) sender: EmailAddress,
    pub(super) recipients: Vec<EmailAddress>,
    pub(super) id: String,
    pub(super) utf8: bool,
}

impl<'a> Message<'a> {
    /// Starts a message.
    pub fn builder() -> super::MessageBuilder<'a> {
        super::MessageBuilder::default()
    }

    /// The reverse-path for the envelope: the Sender, or else the first author.
    pub fn sender(&self) -> &EmailAddress {
        &self.sender
    }

    /// The forward-paths for the envelope: To, Cc and Bcc, each address once.
    pub fn recipients(&self) -> &[EmailAddress] {
        &self.recipients
    }

    /// The Message-ID without its angle brackets.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the transport must be able to carry.
    pub fn transport(&self) -> Transport {
        self.layout.transport()
    }

    /// Whether the header or the envelope is not ASCII: the transport must have SMTPUTF8 (RFC 6531).
    pub fn needs_smtputf8(&self) -> bool {
        self.utf8
    }

    /// The size in octets; `None` when a body comes from a stream.
    ///
    /// A large body in quoted-printable is encoded once more for it.
    pub fn octets(&self) -> Option<u64> {
        let bodies: Option<u64> = self.layout.pieces.iter().map(Piece::octets).sum();
        Some(self.layout.frame.len() as u64 + bodies?)
    }

    /// All octets in one piece.
    ///
    /// # Errors
    ///
    /// [`Error::Stream`] when a body comes from a stream: use [`Message::writer`].
    pub fn to_vec(self) -> Result<Vec<u8>, Error> {
        let Layout {
            frame,
            pieces,
            boundaries,
        } = self.layout;
        join(frame, &pieces, &boundaries)
    }

    /// The octets in chunks of about 64 KiB, made when they are asked for.
    pub fn writer(self) -> Writer<'a> {
        Writer {
            frame: self.layout.frame.into(),
            at: 0,
            pieces: self.layout.pieces.into_iter(),
            boundary: self.layout.boundaries.prefix,
            open: None,
            next: None,
        }
    }
}

impl Part<'_> {
    /// The octets of the part, 7-bit, its header and the empty line behind it included: what to sign, and then to
    /// give to [`Part::entity`]. `random` is fresh randomness for boundaries.
    ///
    /// # Errors
    ///
    /// As [`MessageBuilder::build`](super::MessageBuilder::build) for bodies, and [`Error::Stream`].
    pub fn to_entity(self, random: [u8; 16]) -> Result<Vec<u8>, Error> {
        let boundaries = Boundaries::new(&random);
        let layout = Layout::of(Vec::new(), self, Transport::SevenBit, false, boundaries, false)?;
        join(layout.frame, &layout.pieces, &layout.boundaries)
    }
}

/// Puts the bodies into the frame.
pub(super) fn join(frame: Vec<u8>, pieces: &[Piece<'_>], boundaries: &Boundaries) -> Result<Vec<u8>, Error> {
    if pieces.is_empty() {
        return Ok(frame);
    }
    let room = |piece: &Piece<'_>| {
        piece
            .data
            .octets()
            .map_or(0, |octets| octets.len() / 57 * 78 + 128)
    };
    let mut out = Vec::with_capacity(frame.len() + pieces.iter().map(room).sum::<usize>());
    let mut from = 0;
    for piece in pieces {
        out.extend_from_slice(&frame[from..piece.at]);
        from = piece.at;
        let octets = piece.data.octets().ok_or(Error::Stream)?;
        let mut encoder = piece.encoder(&boundaries.prefix);
        encoder.push(octets, &mut out)?;
        encoder.finish(piece.last, &mut out)?;
    }
    out.extend_from_slice(&frame[from..]);
    Ok(out)
}

impl Piece<'_> {
    fn encoder(&self, boundary: &[u8]) -> Encoder {
        Encoder::new(self.encoding, boundary)
    }

    fn octets(&self) -> Option<u64> {
        let octets = self.data.octets()?;
        let len = octets.len() as u64;
        let line_end = u64::from(self.last) * 2;
        Some(match self.encoding {
            Encoding::Base64 if octets.is_empty() => 0,
            Encoding::Base64 => base64_len(len) + line_end,
            Encoding::QuotedPrintable => {
                let mut encoder = self.encoder(b"");
                let (mut out, mut total) = (Vec::new(), 0);
                for chunk in octets.chunks(BLOCK) {
                    encoder.push(chunk, &mut out).ok()?;
                    total += out.len();
                    out.clear();
                }
                encoder.finish(self.last, &mut out).ok()?;
                (total + out.len()) as u64
            }
            _ if octets.is_empty() || octets.ends_with(b"\r\n") => len,
            _ => len + line_end,
        })
    }
}

/// What a [`Writer`] has to give.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The next octets of the message.
    Chunk(Bytes),
    /// More octets of the stream with this number are wanted: give them to [`Writer::supply`].
    Want(u64),
    /// That was all.
    Done,
}

/// Hands a message out in chunks, with memory for about one of them, whatever size it has.
///
/// ```
/// use mailwright_message::build::{Body, Message, Part, Step};
/// use mailwright_message::date::DateTime;
///
/// let mut file = [&b"any number "[..], b"of chunks"].into_iter();
/// let message = Message::builder()
///     .from("alice@a.test")
///     .to("bob@b.test")
///     .text("See the file.")
///     .attach(Part::attachment("big.bin", "application/octet-stream", Body::stream(1)))
///     .build(DateTime::new(880_106_106, 0), [7; 32])?;
///
/// let mut sent = Vec::new();
/// let mut writer = message.writer();
/// loop {
///     match writer.poll()? {
///         Step::Chunk(chunk) => sent.extend_from_slice(&chunk),
///         Step::Want(_) => writer.supply(file.next().unwrap_or_default().into()),
///         _ => break,
///     }
/// }
/// assert!(String::from_utf8_lossy(&sent).contains("\r\n\r\nYW55IG51bWJlciBvZiBjaHVua3M=\r\n--"));
/// # Ok::<(), mailwright_message::build::Error>(())
/// ```
#[derive(Debug)]
pub struct Writer<'a> {
    frame: Bytes,
    /// How much of the frame went out.
    at: usize,
    pieces: std::vec::IntoIter<Piece<'a>>,
    boundary: Vec<u8>,
    open: Option<Open<'a>>,
    next: Option<Piece<'a>>,
}

#[derive(Debug)]
struct Open<'a> {
    piece: Piece<'a>,
    encoder: Encoder,
    /// How much of the data went into the encoder.
    done: usize,
    supplied: Option<Bytes>,
}

impl Writer<'_> {
    /// The next step. A chunk is never empty.
    ///
    /// # Errors
    ///
    /// [`Error::Encoding`] or [`Error::Boundary`] when a stream that goes unencoded holds what it must not; what
    /// was handed out so far is no message, and nothing more comes.
    pub fn poll(&mut self) -> Result<Step, Error> {
        loop {
            if let Some(mut open) = self.open.take() {
                let step = open.step().inspect_err(|_| self.stop())?;
                if !matches!(step, Step::Done) {
                    self.open = Some(open);
                    return Ok(step);
                }
                let mut rest = Vec::new();
                let finished = open.encoder.finish(open.piece.last, &mut rest);
                finished.inspect_err(|_| self.stop())?;
                if !rest.is_empty() {
                    return Ok(Step::Chunk(rest.into()));
                }
            }
            let piece = self.next.take().or_else(|| self.pieces.next());
            let until = piece.as_ref().map_or(self.frame.len(), |piece| piece.at);
            if self.at < until {
                self.next = piece;
                let chunk = self.frame.slice(self.at..until);
                self.at = until;
                return Ok(Step::Chunk(chunk));
            }
            let Some(piece) = piece else {
                return Ok(Step::Done);
            };
            self.open = Some(Open {
                encoder: piece.encoder(&self.boundary),
                piece,
                done: 0,
                supplied: None,
            });
        }
    }

    fn stop(&mut self) {
        self.at = self.frame.len();
        self.pieces = Vec::new().into_iter();
        self.next = None;
    }

    /// Gives octets of the stream that the last [`Step::Want`] asked for, as many as there are at hand. None at
    /// all: the stream has ended.
    ///
    /// Octets that nothing asked for are dropped.
    pub fn supply(&mut self, octets: Bytes) {
        if let Some(open) = &mut self.open {
            open.supplied = Some(octets);
        }
    }
}

impl Open<'_> {
    fn step(&mut self) -> Result<Step, Error> {
        loop {
            let octets = match (&self.piece.data, &self.supplied) {
                (Data::Stream(number), None) => return Ok(Step::Want(*number)),
                (Data::Stream(_), Some(octets)) if octets.is_empty() => return Ok(Step::Done),
                (Data::Stream(_), Some(octets)) => &octets[..],
                (data, _) => data.octets().unwrap_or_default(),
            };
            let end = octets.len().min(self.done + BLOCK);
            if self.done == octets.len() {
                match self.piece.data {
                    Data::Stream(_) => {
                        self.supplied = None;
                        self.done = 0;
                        continue;
                    }
                    _ => return Ok(Step::Done),
                }
            }
            // Octets that go as they are need no copy.
            let shared = match (&self.encoder, &self.piece.data, &self.supplied) {
                (Encoder::Identity(_), Data::Shared(octets), _) => Some(octets.slice(self.done..end)),
                (Encoder::Identity(_), Data::Stream(_), Some(octets)) => Some(octets.slice(self.done..end)),
                _ => None,
            };
            let input = &octets[self.done..end];
            if let (Encoder::Identity(encoder), Some(shared)) = (&mut self.encoder, shared) {
                encoder.check(input)?;
                self.done = end;
                return Ok(Step::Chunk(shared));
            }
            let mut out = Vec::with_capacity(CHUNK + 128);
            self.encoder.push(input, &mut out)?;
            self.done = end;
            if !out.is_empty() {
                return Ok(Step::Chunk(out.into()));
            }
        }
    }
}
