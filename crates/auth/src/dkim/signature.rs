//! The DKIM-Signature field, read ([RFC 6376] §3.5, [RFC 8616] §5)
//!
//! [RFC 6376]: https://www.rfc-editor.org/rfc/rfc6376
//! [RFC 8616]: https://www.rfc-editor.org/rfc/rfc8616

use super::{Canonicalization, Reason, base64_decode, canon, read_tags};
use crate::crypto::Algorithm;
use crate::names;
use core::ops::Range;
use mailwright_dns::{Name, Question, RecordType};
use mailwright_message::header::Field;
use mailwright_message::tags::TagList;
use std::collections::HashMap;

/// What a signature says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signature {
    /// `a=`.
    pub algorithm: Algorithm,
    /// `d=`, the domain that answers for the message, in A-labels.
    pub domain: String,
    /// `s=`, in A-labels.
    pub selector: String,
    /// `i=`, on whose behalf it signs; none if the tag is missing.
    pub identity: Option<String>,
    /// The form of the header that was signed.
    pub header_way: Canonicalization,
    /// The form of the body that was signed.
    pub body_way: Canonicalization,
    /// `h=`, the names of the fields that are signed, in order.
    pub headers: Vec<String>,
    /// `l=`, the octets of the canonical body that are signed; none for all.
    pub length: Option<u64>,
    /// `t=`, when it was signed, in seconds since 1970.
    pub signed_at: Option<u64>,
    /// `x=`, when it ends to be valid, in seconds since 1970.
    pub expires_at: Option<u64>,
    /// `bh=`.
    pub(crate) body_hash: Vec<u8>,
    /// `b=`.
    pub(crate) signature: Vec<u8>,
    /// Where the value of `b=` stands in the value of the field.
    pub(crate) signature_range: Range<usize>,
}

impl Signature {
    /// Reads what stands behind the colon of the field, and holds it to the rules that need neither clock nor DNS:
    /// RFC 6376 §6.1.1.
    ///
    /// # Errors
    ///
    /// When it cannot be a valid signature.
    pub fn parse(value: &[u8]) -> Result<Self, Reason> {
        let tags = read_tags(value).ok_or(Reason::Syntax)?;
        if required(&tags, "v")? != b"1" {
            return Err(Reason::Version);
        }
        let mut signature = Self::parse_common(&tags)?;
        let query = tags.tag("q");
        let by_dns = |tag: &mailwright_message::tags::Tag<'_>| tag.split().any(|method| method == b"dns/txt");
        if !query.is_none_or(by_dns) {
            return Err(Reason::QueryMethod);
        }
        if let Some(identity) = tags.tag("i") {
            let identity = identity.value().trim().to_owned();
            let (local, domain) = identity.rsplit_once('@').ok_or(Reason::BadTag("i"))?;
            let domain = names::to_ascii(domain).ok_or(Reason::BadTag("i"))?;
            if !names::is_within(&domain, &signature.domain) {
                return Err(Reason::IdentityOutside);
            }
            signature.identity = Some(format!("{local}@{domain}"));
        }
        let length = tags.tag("l").map(|_| tags.number("l").ok_or(Reason::BadTag("l")));
        signature.length = length.transpose()?;
        if !signature
            .headers
            .iter()
            .any(|name| name.eq_ignore_ascii_case("from"))
        {
            return Err(Reason::FromNotSigned);
        }
        Ok(signature)
    }

    /// The tags that signatures of messages have in common with those of ARC (RFC 8617 §4.1.2).
    pub(crate) fn parse_common(tags: &TagList<'_>) -> Result<Self, Reason> {
        let algorithm = match required(tags, "a")? {
            b"rsa-sha256" => Algorithm::RsaSha256,
            b"ed25519-sha256" => Algorithm::Ed25519Sha256,
            b"rsa-sha1" => return Err(Reason::Sha1),
            _ => return Err(Reason::Algorithm),
        };
        let (header_way, body_way) = match tags.tag("c") {
            None => Default::default(),
            Some(tag) => ways(tag.raw().trim_ascii()).ok_or(Reason::BadTag("c"))?,
        };
        let headers: Vec<String> = tags
            .tag("h")
            .ok_or(Reason::MissingTag("h"))?
            .split()
            .map(name)
            .collect();
        if headers.iter().any(String::is_empty) {
            return Err(Reason::BadTag("h"));
        }
        let number = |name| match tags.tag(name) {
            None => Ok(None),
            Some(_) => tags.number(name).map(Some).ok_or(Reason::BadTag(name)),
        };
        let (signed_at, expires_at) = (number("t")?, number("x")?);
        if matches!((signed_at, expires_at), (Some(from), Some(until)) if until <= from) {
            return Err(Reason::BadTag("x"));
        }
        Ok(Self {
            algorithm,
            domain: host(tags, "d")?,
            selector: host(tags, "s")?,
            identity: None,
            header_way,
            body_way,
            headers,
            length: None,
            signed_at,
            expires_at,
            body_hash: octets(tags, "bh")?,
            signature: octets(tags, "b")?,
            signature_range: tags.tag("b").ok_or(Reason::MissingTag("b"))?.value_range(),
        })
    }

    /// The question for its key.
    pub fn question(&self) -> Option<Question> {
        key_question(&self.selector, &self.domain)
    }
}

/// The octets that a DKIM-Signature field signs beside the body: the fields of `h=`, and the signature field itself,
/// in canonical form (RFC 6376 §3.7). `header` is that of the message, `field` the whole field, which need not be in it.
///
/// # Errors
///
/// When the field is no valid signature; an empty `b=` is none here, as it is not looked at.
pub fn signed_octets(header: &[u8], field: &[u8]) -> Result<Vec<u8>, Reason> {
    let fields: Vec<Field<'_>> = mailwright_message::header::fields(header).collect();
    let field = mailwright_message::header::fields(field)
        .next()
        .ok_or(Reason::Syntax)?;
    let tags = read_tags(field.value).ok_or(Reason::Syntax)?;
    let (header_way, _) = match tags.tag("c") {
        None => Default::default(),
        Some(tag) => ways(tag.raw().trim_ascii()).ok_or(Reason::BadTag("c"))?,
    };
    let names: Vec<String> = tags
        .tag("h")
        .ok_or(Reason::MissingTag("h"))?
        .split()
        .map(name)
        .collect();
    let range = tags.tag("b").ok_or(Reason::MissingTag("b"))?.value_range();
    let mut out = covered_fields(&fields, header_way, &names);
    push_own(header_way, &field, range, &mut out);
    Ok(out)
}

/// The fields that are signed, in canonical form. Of fields with one name, the last is signed first (RFC 6376 §5.4.2);
/// a name with no field left stands for nothing.
pub(crate) fn covered_fields(fields: &[Field<'_>], way: Canonicalization, names: &[String]) -> Vec<u8> {
    let mut places: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
    for name in names {
        places.entry(name.to_ascii_lowercase().into_bytes()).or_default();
    }
    for (place, field) in fields.iter().enumerate() {
        if let Some(places) = places.get_mut(&field.name.to_ascii_lowercase()) {
            places.push(place);
        }
    }
    let mut out = Vec::new();
    for name in names {
        let places = places.get_mut(name.to_ascii_lowercase().as_bytes());
        if let Some(place) = places.and_then(Vec::pop) {
            let field = &fields[place];
            canon::push_field(way, field.name, field.value, field.raw, &mut out);
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

/// Appends the signature field itself, without its signature and its line end.
pub(crate) fn push_own(way: Canonicalization, field: &Field<'_>, signature: Range<usize>, out: &mut Vec<u8>) {
    let (raw, value) = canon::without_signature(field.raw, field.value, signature);
    canon::push_field(way, field.name, &value, &raw, out);
}

pub(crate) fn key_question(selector: &str, domain: &str) -> Option<Question> {
    let name: Name = names::of_text(&format!("{selector}._domainkey.{domain}"))?;
    Some(Question::new(name, RecordType::Txt))
}

pub(crate) fn required<'a>(tags: &TagList<'a>, name: &'static str) -> Result<&'a [u8], Reason> {
    let value = tags.tag(name).ok_or(Reason::MissingTag(name))?.raw().trim_ascii();
    match value.is_empty() {
        true => Err(Reason::MissingTag(name)),
        false => Ok(value),
    }
}

pub(crate) fn octets(tags: &TagList<'_>, name: &'static str) -> Result<Vec<u8>, Reason> {
    required(tags, name)?;
    let text = tags.compact(name).ok_or(Reason::MissingTag(name))?;
    base64_decode(&text).ok_or(Reason::BadTag(name))
}

/// A domain or selector, in A-labels.
pub(crate) fn host(tags: &TagList<'_>, name: &'static str) -> Result<String, Reason> {
    let text = core::str::from_utf8(required(tags, name)?).map_err(|_| Reason::BadTag(name))?;
    let clean = text
        .chars()
        .all(|c| !c.is_control() && !c.is_whitespace() && c != '\\');
    let ascii = names::to_ascii(text)
        .filter(|_| clean)
        .ok_or(Reason::BadTag(name))?;
    match names::of_text(&ascii) {
        Some(_) => Ok(ascii),
        None => Err(Reason::BadTag(name)),
    }
}

/// `header/body`, the second of which is simple if it is missing.
fn ways(value: &[u8]) -> Option<(Canonicalization, Canonicalization)> {
    let mut words = value.splitn(2, |b| *b == b'/');
    let header = Canonicalization::parse(words.next()?)?;
    let body = words
        .next()
        .map_or(Some(Canonicalization::Simple), Canonicalization::parse)?;
    Some((header, body))
}

fn name(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}
