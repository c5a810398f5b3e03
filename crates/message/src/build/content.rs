//! Bodies: which transfer encoding they need (RFC 2045 §6)

use std::borrow::Cow;

use bytes::Bytes;

/// A content transfer encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums)] // RFC 2045 §6.1
pub enum Encoding {
    /// ASCII in lines of at most 998 octets.
    SevenBit,
    /// Octets without NUL in lines of at most 998.
    EightBit,
    /// Any octets.
    Binary,
    /// Text that people can mostly read as it is.
    QuotedPrintable,
    /// Anything, a third larger.
    Base64,
}

impl Encoding {
    /// The word for it in a Content-Transfer-Encoding field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SevenBit => "7bit",
            Self::EightBit => "8bit",
            Self::Binary => "binary",
            Self::QuotedPrintable => "quoted-printable",
            Self::Base64 => "base64",
        }
    }

    /// What a transport must be able to carry for it.
    pub fn transport(self) -> Transport {
        match self {
            Self::SevenBit | Self::QuotedPrintable | Self::Base64 => Transport::SevenBit,
            Self::EightBit => Transport::EightBit,
            Self::Binary => Transport::Binary,
        }
    }
}

/// What carries the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[allow(clippy::exhaustive_enums)] // RFC 6152 and RFC 3030: there is no fourth
pub enum Transport {
    /// ASCII lines: every mail system.
    #[default]
    SevenBit,
    /// Lines of any octets: SMTP with 8BITMIME (RFC 6152).
    EightBit,
    /// Anything: SMTP with BINARYMIME and CHUNKING (RFC 3030).
    Binary,
}

/// The octets of a body.
#[derive(Debug, Clone)]
pub(super) enum Data<'a> {
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
    Shared(Bytes),
    /// The caller's number of a stream.
    Stream(u64),
}

impl Data<'_> {
    /// The octets, unless they come from a stream.
    pub(super) fn octets(&self) -> Option<&[u8]> {
        match self {
            Self::Borrowed(octets) => Some(octets),
            Self::Owned(octets) => Some(octets),
            Self::Shared(octets) => Some(octets),
            Self::Stream(_) => None,
        }
    }
}

impl<'a> From<Cow<'a, str>> for Data<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Self::Owned(text.into_bytes()),
        }
    }
}

/// What a body is made of, as far as its encoding goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Survey {
    /// Octets above 127.
    high: usize,
    /// Controls that no line of text has.
    controls: usize,
    nul: bool,
    /// A CR or LF alone.
    bare: bool,
    long_line: bool,
    /// A blank at the end of a line, or a line that an mbox would quote: neither survives every transport.
    fragile: bool,
    len: usize,
    /// Ends in CRLF, or is empty.
    pub(super) ended: bool,
}

impl Survey {
    pub(super) fn of(octets: &[u8]) -> Self {
        let mut survey = Self {
            high: count(octets, |b| b >= 0x80),
            controls: count(octets, |b| {
                (b < b' ' || b == 0x7f) && !matches!(b, b'\t' | b'\r' | b'\n')
            }),
            nul: memchr::memchr(0, octets).is_some(),
            len: octets.len(),
            ended: octets.is_empty() || octets.ends_with(b"\r\n"),
            ..Self::default()
        };
        let mut ends = 0;
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', octets).chain([octets.len()]) {
            let mut content = &octets[from..end];
            if let [line @ .., b'\r'] = content
                && end < octets.len()
            {
                content = line;
                ends += 1;
            } else {
                survey.bare |= end < octets.len();
            }
            survey.long_line |= content.len() > 998;
            survey.fragile |= matches!(content, [.., b' ' | b'\t']) || content.starts_with(b"From ");
            from = end + 1;
            if from >= octets.len() {
                break;
            }
        }
        survey.bare |= count(octets, |b| b == b'\r') != ends;
        survey
    }

    /// Whether the octets come back from this encoding as they are.
    pub(super) fn allows(&self, encoding: Encoding) -> bool {
        let lines = !self.bare && !self.nul && !self.long_line;
        match encoding {
            Encoding::SevenBit => lines && self.high == 0,
            Encoding::EightBit => lines,
            // Its encoder would write another line end for a bare LF.
            Encoding::QuotedPrintable => !self.bare,
            Encoding::Binary | Encoding::Base64 => true,
        }
    }

    /// The plainest form that this transport takes unencoded, if it takes any.
    pub(super) fn identity(&self, transport: Transport) -> Option<Encoding> {
        [Encoding::SevenBit, Encoding::EightBit, Encoding::Binary]
            .into_iter()
            .find(|encoding| self.allows(*encoding) && encoding.transport() <= transport)
    }

    /// The encoding of a text.
    pub(super) fn of_text(&self, transport: Transport) -> Encoding {
        let readable = Transport::EightBit.min(transport);
        match self.identity(readable) {
            Some(encoding) if !self.fragile && self.controls == 0 => encoding,
            _ if !self.bare && self.escapes() * 2 <= self.len / 3 => Encoding::QuotedPrintable,
            _ => Encoding::Base64,
        }
    }

    fn escapes(&self) -> usize {
        self.high + self.controls
    }
}

/// Counts without a branch: many octets at a time.
fn count(octets: &[u8], is: impl Fn(u8) -> bool) -> usize {
    octets.iter().filter(|b| is(**b)).count()
}

/// Text with CRLF line ends. CR, LF and CRLF each end a line.
pub(super) fn canonical(text: Cow<'_, str>) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let is_bare = |at: usize| match bytes[at] {
        b'\n' => at == 0 || bytes[at - 1] != b'\r',
        _ => bytes.get(at + 1) != Some(&b'\n'),
    };
    let Some(first) = memchr::memchr2_iter(b'\r', b'\n', bytes).find(|at| is_bare(*at)) else {
        return text;
    };
    let mut out = String::with_capacity(text.len() + text.len() / 32 + 2);
    out.push_str(&text[..first]);
    let mut from = first;
    for at in memchr::memchr2_iter(b'\r', b'\n', &bytes[first..]).map(|at| at + first) {
        if is_bare(at) {
            out.push_str(&text[from..at]);
            out.push_str("\r\n");
            from = at + 1;
        }
    }
    out.push_str(&text[from..]);
    Cow::Owned(out)
}

/// As [`canonical`], for octets.
pub(super) fn canonical_octets(data: Data<'_>) -> Data<'_> {
    let Some(octets) = data.octets() else { return data };
    if !Survey::of(octets).bare {
        return data;
    }
    let mut out = Vec::with_capacity(octets.len() + octets.len() / 32 + 2);
    let mut bytes = octets.iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                if bytes.peek() == Some(&&b'\n') {
                    bytes.next();
                }
                out.extend_from_slice(b"\r\n");
            }
            b'\n' => out.extend_from_slice(b"\r\n"),
            _ => out.push(*byte),
        }
    }
    Data::Shared(out.into())
}
