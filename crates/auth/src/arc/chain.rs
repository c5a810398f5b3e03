//! The fields of a chain, sorted ([RFC 8617] §4.2, §5.2)
//!
//! [RFC 8617]: https://www.rfc-editor.org/rfc/rfc8617

use super::Reason;
use crate::crypto::Algorithm;
use crate::dkim::canon::push_field;
use crate::dkim::signature::{host, octets, push_own, required};
use crate::dkim::{self, Canonicalization, Signature, read_tags};
use mailwright_message::header::Field;
use mailwright_message::tags::TagList;

/// One member: the places of its fields in the header, and its signatures.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) results: usize,
    pub(super) message: usize,
    pub(super) seal: usize,
    pub(super) message_signature: Signature,
    pub(super) seal_signature: Signature,
    pub(super) chain: ChainValue,
}

/// `cv=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChainValue {
    None,
    Pass,
    Fail,
}

impl ChainValue {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
        }
    }
}

#[derive(Debug, Default)]
struct Places {
    results: Option<usize>,
    message: Option<usize>,
    seal: Option<usize>,
}

/// The members of a chain in order; empty if there is none.
pub(super) fn members(fields: &[Field<'_>]) -> Result<Vec<Member>, Reason> {
    let mut places: Vec<Places> = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        let kind: fn(&mut Places) -> &mut Option<usize> = if field.is("ARC-Authentication-Results") {
            |places| &mut places.results
        } else if field.is("ARC-Message-Signature") {
            |places| &mut places.message
        } else if field.is("ARC-Seal") {
            |places| &mut places.seal
        } else {
            continue;
        };
        let instance = instance(field.value).ok_or(Reason::Structure(0))?;
        if instance > MAX_INSTANCE {
            return Err(Reason::TooLong);
        }
        let index = instance as usize - 1;
        if places.len() <= index {
            places.resize_with(index + 1, Places::default);
        }
        if kind(&mut places[index]).replace(at).is_some() {
            return Err(Reason::Structure(instance));
        }
    }
    let numbered = (1..).zip(&places);
    numbered
        .map(|(instance, places)| member(fields, instance, places))
        .collect()
}

fn member(fields: &[Field<'_>], instance: u32, places: &Places) -> Result<Member, Reason> {
    let structure = Reason::Structure(instance);
    let (Some(results), Some(message), Some(seal)) = (places.results, places.message, places.seal) else {
        return Err(structure);
    };
    let message_tags = read_tags(fields[message].value).ok_or(structure.clone())?;
    let seal_tags = read_tags(fields[seal].value).ok_or(structure.clone())?;
    let message_signature =
        Signature::parse_common(&message_tags).map_err(|reason| Reason::Message(reason.clone()))?;
    let covers_chain = |name: &String| {
        let start = name.as_bytes().get(..4);
        start.is_some_and(|start| start.eq_ignore_ascii_case(b"arc-"))
    };
    if message_signature.headers.iter().any(covers_chain) || seal_tags.tag("h").is_some() {
        return Err(structure);
    }
    let chain = match seal_tags.tag("cv").map(|tag| tag.raw().trim_ascii()) {
        Some(b"none") => ChainValue::None,
        Some(b"pass") => ChainValue::Pass,
        Some(b"fail") => ChainValue::Fail,
        _ => return Err(structure),
    };
    Ok(Member {
        results,
        message,
        seal,
        message_signature,
        seal_signature: seal_signature(&seal_tags).map_err(|reason| Reason::Seal(instance, reason))?,
        chain,
    })
}

fn seal_signature(tags: &TagList<'_>) -> Result<Signature, dkim::Reason> {
    let algorithm = match required(tags, "a")? {
        b"rsa-sha256" => Algorithm::RsaSha256,
        b"ed25519-sha256" => Algorithm::Ed25519Sha256,
        b"rsa-sha1" => return Err(dkim::Reason::Sha1),
        _ => return Err(dkim::Reason::Algorithm),
    };
    Ok(Signature {
        algorithm,
        domain: host(tags, "d")?,
        selector: host(tags, "s")?,
        identity: None,
        header_way: Canonicalization::Relaxed,
        body_way: Canonicalization::Relaxed,
        headers: Vec::new(),
        length: None,
        signed_at: tags.number("t"),
        expires_at: None,
        body_hash: Vec::new(),
        signature: octets(tags, "b")?,
        signature_range: tags.tag("b").ok_or(dkim::Reason::MissingTag("b"))?.value_range(),
    })
}

/// What the seal of the last of these members signs, its own field included (RFC 8617 §5.1.1).
pub(super) fn sealed(fields: &[Field<'_>], members: &[Member]) -> Vec<u8> {
    let mut out = Vec::new();
    let Some((last, before)) = members.split_last() else {
        return out;
    };
    push_members(fields, before, &mut out);
    for place in [last.results, last.message] {
        push_line(&fields[place], &mut out);
    }
    let range = last.seal_signature.signature_range.clone();
    push_own(Canonicalization::Relaxed, &fields[last.seal], range, &mut out);
    out
}

/// The fields of whole members, for a seal that follows them.
pub(super) fn push_members(fields: &[Field<'_>], members: &[Member], out: &mut Vec<u8>) {
    for member in members {
        for place in [member.results, member.message, member.seal] {
            push_line(&fields[place], out);
        }
    }
}

fn push_line(field: &Field<'_>, out: &mut Vec<u8>) {
    push_field(Canonicalization::Relaxed, field.name, field.value, field.raw, out);
    out.extend_from_slice(b"\r\n");
}

/// `i=`, the first tag of every field of a chain, at least 1.
pub(super) fn instance(value: &[u8]) -> Option<u32> {
    let first = value.split(|b| *b == b';').next()?;
    let text = core::str::from_utf8(first).ok()?;
    let (name, number) = text.split_once('=')?;
    let number = number.trim();
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| number.parse().ok())??;
    (name.trim() == "i" && number > 0).then_some(number)
}

/// RFC 8617 §5.1.1.1.1.
pub(super) const MAX_INSTANCE: u32 = 50;
