//! multipart/report: which report it is, and its parts (RFC 6522)
//!
//! The machine's part of a delivery status notification is read by [`dsn::Report`](crate::dsn::Report), that of
//! a message disposition notification by [`Disposition`], that of an abuse report by [`Feedback`].

mod disposition;
mod feedback;

pub use disposition::{Disposition, DispositionKind, Mode};
pub use feedback::Feedback;

use crate::header;
use crate::index::{Index, Kind as PartKind, Part};
use crate::text::octets;

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A delivery status notification (RFC 3464).
    DeliveryStatus,
    /// A message disposition notification, a read receipt (RFC 8098).
    DispositionNotification,
    /// A report of abuse or of failed authentication (RFC 5965, RFC 6591).
    Feedback,
    /// A report about TLS in delivery (RFC 8460 §5.3).
    Tls,
    /// An aggregate report of DMARC (RFC 7489 §7.2.1.1); it comes without multipart/report.
    Dmarc,
    /// Another one.
    Other,
}

/// A report and its parts.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report<'a> {
    /// What it is about.
    pub kind: Kind,
    /// What people are to read.
    pub explanation: Option<Part<'a>>,
    /// What programs are to read.
    pub machine: Part<'a>,
    /// The message it is about, or the header of it.
    pub original: Option<Part<'a>>,
}

impl<'a> Report<'a> {
    /// The report that a message is; `None` when it is none.
    ///
    /// The type of the machine's part decides, for a `report-type` parameter is often wrong or missing.
    pub fn of(index: &'a Index) -> Option<Self> {
        let root = index.root();
        let is_report = root.is("multipart", "report");
        let mut explanation = None;
        let mut machine = None;
        let mut original = None;
        for part in index
            .parts()
            .filter(|part| part.depth() == 1 || part.place() == 0)
        {
            let kind = kind_of(&part);
            let is_original = ["rfc822", "global", "rfc822-headers", "global-headers"];
            let media_type = part.body_structure().media_type();
            if machine.is_none() && kind.is_some() {
                machine = Some((part, kind));
            } else if is_original
                .iter()
                .any(|subtype| part.is("message", subtype) || part.is("text", subtype))
            {
                original.get_or_insert(part);
            } else if media_type.eq_ignore_ascii_case(b"text")
                || part.depth() == 1 && part.kind() == PartKind::Multipart
            {
                explanation.get_or_insert(part);
            }
        }
        let (machine, kind) = match machine {
            Some((part, kind)) if is_report || kind == Some(Kind::Dmarc) || part.place() == 0 => (part, kind),
            // RFC 6522 §3: the second part is the machine's.
            _ if is_report => (root.children().nth(1)?, None),
            _ => return None,
        };
        Some(Self {
            kind: kind.unwrap_or(Kind::Other),
            explanation,
            machine,
            original,
        })
    }
}

fn kind_of(part: &Part<'_>) -> Option<Kind> {
    let is = |media_type, subtype| part.is(media_type, subtype);
    if is("message", "delivery-status") || is("message", "global-delivery-status") {
        Some(Kind::DeliveryStatus)
    } else if is("message", "disposition-notification") || is("message", "global-disposition-notification") {
        Some(Kind::DispositionNotification)
    } else if is("message", "feedback-report") {
        Some(Kind::Feedback)
    } else if is("application", "tlsrpt+gzip") || is("application", "tlsrpt+json") {
        Some(Kind::Tls)
    } else {
        is_dmarc(part).then_some(Kind::Dmarc)
    }
}

/// `receiver!domain!begin!end[!id].xml.gz` (RFC 7489 §7.2.1.1)
fn is_dmarc(part: &Part<'_>) -> bool {
    let Some(name) = part.filename() else { return false };
    let name = name.to_ascii_lowercase();
    let stem = [".xml.gz", ".xml", ".zip", ".gz"]
        .iter()
        .find_map(|end| name.strip_suffix(end));
    let fields: Vec<&str> = stem.unwrap_or_default().splitn(6, '!').collect();
    let is_time = |text: &&&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (4..=5).contains(&fields.len()) && fields[2..4].iter().filter(is_time).count() == 2
}

/// The decoded body of the machine's part of a report of this kind.
fn machine_part(index: &Index, message: &[u8], kind: Kind) -> Option<Vec<u8>> {
    let part = index.parts().find(|part| kind_of(part) == Some(kind))?;
    let body = part.decode(octets(message, part.body())).into_owned();
    // Blank lines before the fields are a common fault.
    let start = body.iter().position(|b| !matches!(b, b'\r' | b'\n'))?;
    Some(body[start..].to_vec())
}

fn field(fields: &[u8], name: &str) -> Option<String> {
    let value = header::decode(header::find(fields, name)?.value);
    Some(value).filter(|value| !value.is_empty())
}

/// The value behind a type: `rfc822;a@b` gives `a@b`.
fn address(value: &str) -> String {
    value
        .split_once(';')
        .map_or(value, |(_, address)| address)
        .trim()
        .to_owned()
}
