//! Sealing ([RFC 8617] §5.1)
//!
//! [RFC 8617]: https://www.rfc-editor.org/rfc/rfc8617

use super::chain::{self, ChainValue, MAX_INSTANCE, push_members};
use super::{Reason, Report};
use crate::crypto::{Provider, Ring};
use crate::dkim::canon::{Bodies, push_field};
use crate::dkim::sign::{Tags, is_field_name, is_plain};
use crate::dkim::signature::covered_fields;
use crate::dkim::splitter::{Splitter, State};
use crate::dkim::{Canonicalization, Profile, SignError, base64_encode};
use crate::{AuthenticationResults, Verdict};
use mailwright_message::header::{self, Field};
use std::sync::Arc;

/// Why a message cannot be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The chain failed before, which says enough (RFC 8617 §5.1).
    #[error("the chain failed before")]
    FailedBefore,
    /// The chain has fifty members.
    #[error("the chain is too long")]
    TooLong,
    /// Whether the chain passes is not known for the time being.
    #[error("the chain could not be verified")]
    NotVerified,
    /// The message cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Adds a member to the chain of one message while it passes.
#[derive(Debug)]
pub struct Sealer {
    profile: Arc<Profile>,
    results: AuthenticationResults,
    verdict: Verdict,
    splitter: Splitter,
    bodies: Bodies,
}

impl Sealer {
    /// Begins a message: `results` is what was found out when it came in, `chain` what its chain came to then. Headers
    /// may have up to 1 MiB.
    pub fn new(profile: Arc<Profile>, results: AuthenticationResults, chain: &Report) -> Self {
        Self::with(profile, results, chain, 1 << 20, &Ring)
    }

    /// As [`new`](Self::new), with a limit for the header, in octets, and another crypto library.
    pub fn with(
        profile: Arc<Profile>,
        results: AuthenticationResults,
        chain: &Report,
        max_header: usize,
        crypto: &dyn Provider,
    ) -> Self {
        let mut bodies = Bodies::default();
        bodies.want(profile.body_way, None, crypto);
        Self {
            profile,
            results,
            verdict: chain.verdict.clone(),
            splitter: Splitter::new(max_header),
            bodies,
        }
    }

    /// Takes the next octets of the message as it leaves, cut anywhere.
    pub fn push(&mut self, chunk: &[u8]) {
        let body = self.splitter.push(chunk);
        self.bodies.push(body);
    }

    /// The message has ended: gives the three fields to put on top of it, folded, with their line endings. `now` is in
    /// seconds since 1970.
    ///
    /// # Errors
    ///
    /// When the message cannot be sealed, or should not be.
    pub fn finish(mut self, now: u64) -> Result<String, SealError> {
        self.splitter.finish();
        if self.splitter.state() == State::TooLarge {
            return Err(SignError::HeaderTooLarge.into());
        }
        let fields: Vec<Field<'_>> = header::fields(self.splitter.header()).collect();
        let members = match chain::members(&fields) {
            Ok(members) => Some(members),
            Err(Reason::TooLong) => return Err(SealError::TooLong),
            Err(_) => None,
        };
        if let Some([.., last]) = members.as_deref()
            && last.chain == ChainValue::Fail
        {
            return Err(SealError::FailedBefore);
        }
        let (instance, value) = match (&members, &self.verdict) {
            (Some(members), Verdict::Pass | Verdict::None) if members.is_empty() => (1, ChainValue::None),
            (Some(members), Verdict::Pass) => (members.len() + 1, ChainValue::Pass),
            (_, Verdict::TempError) => return Err(SealError::NotVerified),
            (Some(members), _) => (members.len() + 1, ChainValue::Fail),
            (None, _) => (highest_instance(&fields) + 1, ChainValue::Fail),
        };
        if instance > MAX_INSTANCE as usize {
            return Err(SealError::TooLong);
        }
        let hashes = self.bodies.finish();
        let (_, _, hash) = hashes.first().expect("the body was hashed");
        let results = self.results.to_field();
        let results = results.split_once(':').map_or("", |(_, value)| value);
        let results = format!("ARC-Authentication-Results: i={instance};{results}");
        let message = message_signature(&self.profile, &fields, instance, &hash.sha256, now)?;
        let mut signed = Vec::new();
        // RFC 8617 §5.1.2: a seal of a chain that failed covers its own set alone.
        if let (Some(members), ChainValue::Pass) = (&members, value) {
            push_members(&fields, members, &mut signed);
        }
        for field in [&results, &message] {
            let field = header::fields(field.as_bytes())
                .next()
                .expect("a field was written");
            push_field(
                Canonicalization::Relaxed,
                field.name,
                field.value,
                field.raw,
                &mut signed,
            );
            signed.extend_from_slice(b"\r\n");
        }
        let mut tags = Tags::new("ARC-Seal");
        tags.push("i", &instance.to_string());
        tags.push("a", self.profile.key.algorithm().as_str());
        tags.push("t", &now.to_string());
        tags.push("cv", value.as_str());
        tags.push("d", &self.profile.domain);
        tags.push("s", &self.profile.selector);
        let seal = tags.sign(Canonicalization::Relaxed, &*self.profile.key, signed)?;
        Ok(seal + &message + &results)
    }
}

fn message_signature(
    profile: &Profile,
    fields: &[Field<'_>],
    instance: usize,
    body_hash: &[u8],
    now: u64,
) -> Result<String, SignError> {
    let mut names = profile.names(fields);
    names.retain(|name| !name.to_ascii_lowercase().starts_with("arc-"));
    let signatures = fields.iter().filter(|field| field.is("DKIM-Signature")).count();
    names.extend(core::iter::repeat_n(
        "DKIM-Signature".to_owned(),
        signatures.min(MAX_SIGNATURES),
    ));
    if !names.iter().any(|name| name.eq_ignore_ascii_case("from")) {
        return Err(SignError::FromNotSigned);
    }
    let plain = is_plain(&profile.domain) && is_plain(&profile.selector);
    if !plain || !names.iter().all(|name| is_field_name(name)) {
        return Err(SignError::BadProfile);
    }
    let mut tags = Tags::new("ARC-Message-Signature");
    tags.push("i", &instance.to_string());
    tags.push("a", profile.key.algorithm().as_str());
    tags.push("c", &format!("{}/{}", profile.header_way, profile.body_way));
    tags.push("d", &profile.domain);
    tags.push("s", &profile.selector);
    tags.push("t", &now.to_string());
    tags.push_list("h", &names);
    tags.push("bh", &base64_encode(body_hash));
    tags.sign(
        profile.header_way,
        &*profile.key,
        covered_fields(fields, profile.header_way, &names),
    )
}

/// The highest instance that any field of a malformed chain has.
fn highest_instance(fields: &[Field<'_>]) -> usize {
    let chain = fields
        .iter()
        .filter(|field| field.name.len() > 4 && field.name[..4].eq_ignore_ascii_case(b"arc-"));
    let instances = chain.filter_map(|field| chain::instance(field.value));
    instances.max().unwrap_or(0) as usize
}

const MAX_SIGNATURES: usize = 50;
