//! Signing ([RFC 6376] §5)
//!
//! [RFC 6376]: https://www.rfc-editor.org/rfc/rfc6376

use super::canon::{Bodies, push_field};
use super::signature::covered_fields;
use super::splitter::{Splitter, State};
use super::{BodyHash, Canonicalization, base64_encode};
use crate::crypto::{KeyError, Provider, Ring, SigningKey};
use core::fmt::Write;
use mailwright_message::header::{self, Field};
use std::sync::Arc;

/// Who signs, with which key, and what.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Profile {
    /// `d=`, the domain that answers for the message.
    pub domain: String,
    /// `s=`, under which the key is published.
    pub selector: String,
    /// `i=`, on whose behalf it is signed. None by default.
    pub identity: Option<String>,
    /// The key.
    pub key: Arc<dyn SigningKey>,
    /// The form of the header. Default relaxed.
    pub header_way: Canonicalization,
    /// The form of the body. Default relaxed.
    pub body_way: Canonicalization,
    /// The fields that are signed where they are in the message, each as often as it is. Default: those of
    /// RFC 6376 §5.4.1, and what readers act on (List-Unsubscribe-Post, Content-Type and others).
    pub headers: Vec<String>,
    /// Of those, the ones that are signed once more than they are there, so that none can be added (RFC 6376 §5.4.2).
    /// Default: From, To, Cc, Subject, Date, Reply-To, Message-ID, MIME-Version, Content-Type,
    /// Content-Transfer-Encoding, In-Reply-To and References.
    pub oversigned: Vec<String>,
    /// How long the signature is valid, in seconds. None, which is the default, for ever.
    pub valid_for: Option<u64>,
}

impl Profile {
    /// Signs for a domain, with the key that it publishes under a selector.
    pub fn new(domain: impl Into<String>, selector: impl Into<String>, key: Arc<dyn SigningKey>) -> Self {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            domain: domain.into(),
            selector: selector.into(),
            identity: None,
            key,
            header_way: Canonicalization::Relaxed,
            body_way: Canonicalization::Relaxed,
            headers: list(HEADERS),
            oversigned: list(OVERSIGNED),
            valid_for: None,
        }
    }

    /// The names in `h=`, for a header.
    pub(crate) fn names(&self, fields: &[Field<'_>]) -> Vec<String> {
        let mut names = Vec::new();
        for name in &self.headers {
            let present = fields.iter().filter(|field| field.is(name)).count();
            let over = self.oversigned.iter().any(|o| o.eq_ignore_ascii_case(name));
            let times = present + usize::from(over);
            names.extend(core::iter::repeat_n(name.clone(), times.min(MAX_REPEATS)));
        }
        names
    }
}

/// Why a message cannot be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// It has no field From (RFC 6376 §5.4).
    #[error("the message has no From")]
    NoFrom,
    /// The profile does not sign From.
    #[error("the profile does not sign From")]
    FromNotSigned,
    /// Its header is larger than the signer takes.
    #[error("the header is too large to be signed")]
    HeaderTooLarge,
    /// A domain, selector or identity, or a name of a field, cannot stand in a signature.
    #[error("the profile has a name that cannot stand in a signature")]
    BadProfile,
    /// The key does not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Signs one message while it passes.
///
/// The message must be as it is sent: lines end in CRLF, and dots are not doubled.
#[derive(Debug)]
pub struct Signer {
    profiles: Vec<Arc<Profile>>,
    splitter: Splitter,
    bodies: Bodies,
}

impl Signer {
    /// Begins a message that gets one signature by each profile, with the default crypto and headers up to 1 MiB.
    pub fn new(profiles: impl IntoIterator<Item = Arc<Profile>>) -> Self {
        Self::with(profiles, 1 << 20, &Ring)
    }

    /// As [`new`](Self::new), with a limit for the header, in octets, and another crypto library.
    pub fn with(
        profiles: impl IntoIterator<Item = Arc<Profile>>,
        max_header: usize,
        crypto: &dyn Provider,
    ) -> Self {
        let profiles: Vec<Arc<Profile>> = profiles.into_iter().collect();
        let mut bodies = Bodies::default();
        for profile in &profiles {
            bodies.want(profile.body_way, None, crypto);
        }
        Self {
            profiles,
            splitter: Splitter::new(max_header),
            bodies,
        }
    }

    /// Takes the next octets of the message, cut anywhere.
    pub fn push(&mut self, chunk: &[u8]) {
        let body = self.splitter.push(chunk);
        self.bodies.push(body);
    }

    /// The message has ended: gives the DKIM-Signature fields to put on top of it, folded, with their line endings.
    /// `now` is in seconds since 1970.
    ///
    /// # Errors
    ///
    /// When the message or a profile cannot be signed with.
    pub fn finish(mut self, now: u64) -> Result<String, SignError> {
        self.splitter.finish();
        if self.splitter.state() == State::TooLarge {
            return Err(SignError::HeaderTooLarge);
        }
        let fields: Vec<Field<'_>> = header::fields(self.splitter.header()).collect();
        if !fields.iter().any(|field| field.is("From")) {
            return Err(SignError::NoFrom);
        }
        let hashes = self.bodies.finish();
        let mut out = String::new();
        for profile in &self.profiles {
            let hash = hashes.iter().find(|(way, _, _)| *way == profile.body_way);
            let (_, _, hash) = hash.expect("it was asked for");
            out.push_str(&sign(profile, &fields, hash, now)?);
        }
        Ok(out)
    }
}

/// Keys that follow each other: a key that is published, one that signs from some time on, and one that has had its
/// time, which stays published for the mail that is on its way.
#[derive(Debug, Clone, Default)]
pub struct Rotation {
    /// In the order they were added.
    profiles: Vec<(u64, Arc<Profile>)>,
}

impl Rotation {
    /// Begins without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a profile that signs from this second since 1970 on.
    #[must_use]
    pub fn with(mut self, from: u64, profile: Arc<Profile>) -> Self {
        self.profiles.push((from, profile));
        self
    }

    /// The profiles that sign at a time: of each algorithm the one that began last.
    pub fn at(&self, now: u64) -> Vec<Arc<Profile>> {
        let mut current: Vec<(u64, &Arc<Profile>)> = Vec::new();
        for (from, profile) in self.profiles.iter().filter(|(from, _)| *from <= now) {
            let algorithm = profile.key.algorithm();
            match current
                .iter_mut()
                .find(|(_, known)| known.key.algorithm() == algorithm)
            {
                Some(known) if known.0 <= *from => *known = (*from, profile),
                Some(_) => {}
                None => current.push((*from, profile)),
            }
        }
        current
            .into_iter()
            .map(|(_, profile)| Arc::clone(profile))
            .collect()
    }
}

fn sign(profile: &Profile, fields: &[Field<'_>], body: &BodyHash, now: u64) -> Result<String, SignError> {
    let names = profile.names(fields);
    if !names.iter().any(|name| name.eq_ignore_ascii_case("from")) {
        return Err(SignError::FromNotSigned);
    }
    let mut tags = Tags::new("DKIM-Signature");
    tags.push("v", "1");
    tags.push("a", profile.key.algorithm().as_str());
    tags.push("c", &format!("{}/{}", profile.header_way, profile.body_way));
    tags.push("d", &profile.domain);
    tags.push("s", &profile.selector);
    if let Some(identity) = &profile.identity {
        tags.push("i", identity);
    }
    tags.push("t", &now.to_string());
    if let Some(valid_for) = profile.valid_for {
        tags.push("x", &now.saturating_add(valid_for).to_string());
    }
    tags.push_list("h", &names);
    tags.push("bh", &base64_encode(&body.sha256));
    let plain = [&profile.domain, &profile.selector]
        .into_iter()
        .all(|name| is_plain(name));
    let agent = profile.identity.as_deref().is_none_or(is_plain);
    if !plain || !agent || !names.iter().all(|name| is_field_name(name)) {
        return Err(SignError::BadProfile);
    }
    tags.sign(
        profile.header_way,
        &*profile.key,
        covered_fields(fields, profile.header_way, &names),
    )
}

/// A field of tags that is being written.
#[derive(Debug)]
pub(crate) struct Tags {
    text: String,
    name: &'static str,
    column: usize,
}

impl Tags {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            text: format!("{name}:"),
            name,
            column: name.len() + 1,
        }
    }

    pub(crate) fn push(&mut self, name: &str, value: &str) {
        self.word(&format!("{name}={value};"), true);
    }

    pub(crate) fn push_list(&mut self, name: &str, values: &[String]) {
        for (place, value) in values.iter().enumerate() {
            let end = if place + 1 == values.len() { ";" } else { ":" };
            match place {
                0 => self.word(&format!("{name}={value}{end}"), true),
                _ => self.word(&format!("{value}{end}"), false),
            }
        }
    }

    /// Adds the signature of `signed` and of the field itself.
    pub(crate) fn sign(
        mut self,
        way: Canonicalization,
        key: &dyn SigningKey,
        mut signed: Vec<u8>,
    ) -> Result<String, SignError> {
        // RFC 6376 §3.7: the field is signed as it will stand there, its signature taken out, so it is folded first.
        self.word("b=", true);
        let value = &self.text.as_bytes()[self.name.len() + 1..];
        push_field(
            way,
            self.name.as_bytes(),
            value,
            self.text.as_bytes(),
            &mut signed,
        );
        let signature = base64_encode(&key.sign(&signed)?);
        let mut rest = &*signature;
        while !rest.is_empty() {
            let room = WIDTH.saturating_sub(self.column).max(1).min(rest.len());
            let (line, tail) = rest.split_at(room);
            write!(self.text, "{line}").expect("a String takes everything");
            self.column += room;
            rest = tail;
            if !rest.is_empty() {
                self.fold();
            }
        }
        self.text.push_str("\r\n");
        Ok(self.text)
    }

    /// A word on this line if it has room, else on the next.
    fn word(&mut self, word: &str, blank: bool) {
        if self.column + 1 + word.len() > WIDTH && self.column > 1 {
            self.fold();
        } else if blank {
            self.text.push(' ');
            self.column += 1;
        }
        self.text.push_str(word);
        self.column += word.len();
    }

    fn fold(&mut self) {
        self.text.push_str("\r\n ");
        self.column = 1;
    }
}

/// A domain, a selector or an address without anything that ends a tag or a line.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| !c.is_control() && !c.is_whitespace() && c != ';')
}

/// RFC 5322 §3.6.8, without the colon that ends a name in `h=`, and the semicolon that ends `h=`.
pub(crate) fn is_field_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b':' | b';'))
}

const HEADERS: &[&str] = &[
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-ID",
    "Content-Description",
    "Resent-Date",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
    "Resent-Message-ID",
    "List-Id",
    "List-Help",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
    "Autocrypt",
];
const OVERSIGNED: &[&str] = &[
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Reply-To",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];
/// A field that comes more often than this is not one that a signature helps.
const MAX_REPEATS: usize = 100;
/// RFC 5322 §2.1.1.
const WIDTH: usize = 78;
