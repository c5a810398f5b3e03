//! Messages in pieces and bodies that are elsewhere (RFC 2046 §5.2.2, §5.2.3, RFC 2017)

use crate::date::{self, DateTime};
use crate::header;
use crate::index::{Index, Part};
use crate::text::octets;

/// What a message/partial part says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Partial {
    /// The same for all pieces of one message.
    pub id: String,
    /// Which piece this is, from 1.
    pub number: u32,
    /// How many pieces there are; only the last one must say.
    pub total: Option<u32>,
}

impl Partial {
    /// Reads it from a part; `None` when it is no message/partial, has no id, or numbers that make no sense.
    pub fn of(part: &Part<'_>) -> Option<Self> {
        if !part.is("message", "partial") {
            return None;
        }
        let number = |name| {
            part.parameter(name)?
                .trim()
                .parse::<u32>()
                .ok()
                .filter(|n| *n > 0)
        };
        let partial = Self {
            id: part.parameter("id").filter(|id| !id.is_empty())?,
            number: number("number")?,
            total: number("total"),
        };
        partial
            .total
            .is_none_or(|total| partial.number <= total)
            .then_some(partial)
    }
}

/// Why pieces make no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Incomplete {
    /// One of the messages is no piece, or a piece of another message.
    Foreign,
    /// The piece of this number is missing. Where no piece says how many there are, it is the one behind the
    /// last.
    Missing(u32),
    /// The message would be larger than the limit.
    TooLarge,
}

impl std::fmt::Display for Incomplete {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Foreign => f.write_str("not a piece of the same message"),
            Self::Missing(number) => write!(f, "piece {number} is missing"),
            Self::TooLarge => f.write_str("the message is larger than the limit"),
        }
    }
}

impl std::error::Error for Incomplete {}

/// Puts a message together from its pieces, given in any order; of equal ones the first counts.
///
/// The header is that of the first piece without its Content-*, Subject, Message-ID, Encrypted and MIME-Version
/// fields; those are taken from the message inside. `max_octets` bounds the result.
///
/// # Errors
///
/// [`Incomplete`] says what is wrong with the set.
pub fn join(pieces: &[(&Index, &[u8])], max_octets: usize) -> Result<Vec<u8>, Incomplete> {
    let mut found: Vec<(Partial, &Index, &[u8])> = Vec::with_capacity(pieces.len());
    for (index, message) in pieces {
        let partial = Partial::of(&index.root()).ok_or(Incomplete::Foreign)?;
        found.push((partial, index, message));
    }
    found.sort_by_key(|(partial, ..)| partial.number);
    found.dedup_by_key(|(partial, ..)| partial.number);
    let id = &found.first().ok_or(Incomplete::Missing(1))?.0.id;
    if found.iter().any(|(partial, ..)| partial.id != *id) {
        return Err(Incomplete::Foreign);
    }
    for (place, (partial, ..)) in found.iter().enumerate() {
        let wanted = place as u32 + 1;
        if partial.number != wanted {
            return Err(Incomplete::Missing(wanted));
        }
    }
    let last = found.len() as u32;
    match found.iter().find_map(|(partial, ..)| partial.total) {
        Some(total) if total <= last => {}
        _ => return Err(Incomplete::Missing(last + 1)),
    }
    let mut out = Vec::new();
    for (place, (_, index, message)) in found.iter().enumerate() {
        let mut body = octets(message, index.root().body());
        if place == 0 {
            let inner = Index::of(body);
            let (outer_header, inner_header) = (
                octets(message, index.root().header()),
                octets(body, inner.root().header()),
            );
            let outer = header::fields(outer_header).filter(|field| !is_inner(field.name));
            let inside = header::fields(inner_header).filter(|field| is_inner(field.name));
            for field in outer.chain(inside) {
                append(&mut out, field.raw, max_octets)?;
                if !field.raw.ends_with(b"\n") {
                    out.extend_from_slice(b"\r\n");
                }
            }
            append(&mut out, b"\r\n", max_octets)?;
            body = octets(body, inner.root().body());
        }
        append(&mut out, body, max_octets)?;
    }
    Ok(out)
}

fn append(out: &mut Vec<u8>, octets: &[u8], max: usize) -> Result<(), Incomplete> {
    if out.len() + octets.len() > max {
        return Err(Incomplete::TooLarge);
    }
    out.extend_from_slice(octets);
    Ok(())
}

/// Whether the enclosed message has the say about a field.
fn is_inner(name: &[u8]) -> bool {
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    name.get(..8)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"content-"))
        || ["Subject", "Message-ID", "Encrypted", "MIME-Version"]
            .into_iter()
            .any(is)
}

/// What a message/external-body part says of the body it stands for. Nothing is ever fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExternalBody {
    /// How to get it, in lower case: `ftp`, `anon-ftp`, `tftp`, `local-file`, `mail-server`, `url` and others.
    pub access_type: String,
    /// The name of the file.
    pub name: Option<String>,
    /// The host that has it.
    pub site: Option<String>,
    /// The folder on that host.
    pub directory: Option<String>,
    /// How to transfer it, as FTP and TFTP call it.
    pub mode: Option<String>,
    /// The address to write to, for `mail-server`.
    pub server: Option<String>,
    /// What to write about.
    pub subject: Option<String>,
    /// Where it is, for `url` (RFC 2017); white space is taken out.
    pub url: Option<String>,
    /// Until when it is there.
    pub expiration: Option<DateTime>,
    /// How large it is, in octets.
    pub size: Option<u64>,
    /// Whether it may be changed there: `read` or `read-write`.
    pub permission: Option<String>,
    /// The header of the body, as octets: it has the type and a Content-ID.
    pub header: Vec<u8>,
    /// What is behind that header: for `mail-server` the command to send.
    pub phantom: Vec<u8>,
}

impl ExternalBody {
    /// Reads it from a part; `None` when it is no message/external-body or names no way to get it.
    ///
    /// `message` is what the part's index is the index of.
    pub fn of(part: &Part<'_>, message: &[u8]) -> Option<Self> {
        if !part.is("message", "external-body") {
            return None;
        }
        let body = part.decode(octets(message, part.body())).into_owned();
        let index = Index::of(&body);
        let root = index.root();
        let parameter = |name| part.parameter(name);
        Some(Self {
            access_type: parameter("access-type")
                .filter(|kind| !kind.is_empty())?
                .to_ascii_lowercase(),
            name: parameter("name"),
            site: parameter("site"),
            directory: parameter("directory"),
            mode: parameter("mode"),
            server: parameter("server"),
            subject: parameter("subject"),
            url: parameter("url").map(|url| url.split_whitespace().collect()),
            expiration: parameter("expiration").and_then(|value| date::parse(value.as_bytes())),
            size: parameter("size").and_then(|value| value.trim().parse().ok()),
            permission: parameter("permission"),
            header: octets(&body, root.header()).to_vec(),
            phantom: octets(&body, root.body()).to_vec(),
        })
    }
}
