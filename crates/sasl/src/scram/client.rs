use super::{are_extensions, escaped, hash, nonce, value};
use crate::{Error, ScramHash, Secret, base64_decode, base64_encode, crypto};
use core::num::NonZeroU32;
use core::ops::RangeInclusive;

/// The client's first message was sent.
#[derive(Debug)]
pub(crate) struct FirstSent {
    hash: ScramHash,
    gs2_header: String,
    binding: Box<[u8]>,
    bare: String,
    nonce: String,
}

impl FirstSent {
    /// `binding` is the flag of RFC 5802 §5.1, and the data of the binding if it names one.
    pub(crate) fn new(
        hash: ScramHash,
        binding: (String, &[u8]),
        authzid: Option<&str>,
        username: &str,
        nonce: String,
    ) -> Self {
        let (flag, data) = binding;
        let authzid = authzid.map_or(String::new(), |a| format!("a={}", escaped(a)));
        Self {
            hash,
            gs2_header: format!("{flag},{authzid},"),
            binding: data.into(),
            bare: format!("n={},r={nonce}", escaped(username)),
            nonce,
        }
    }

    pub(crate) fn message(&self) -> String {
        format!("{}{}", self.gs2_header, self.bare)
    }

    /// Takes the server's first message; gives the client's final one. The password must be prepared.
    pub(crate) fn respond(
        &self,
        password: &Secret,
        server_first: &[u8],
        limits: &RangeInclusive<u32>,
    ) -> Result<(FinalSent, String), Error> {
        let server_first = core::str::from_utf8(server_first).map_err(|_| Error::Malformed)?;
        let mut attributes = server_first.split(',');
        let mut next = |name| value(attributes.next(), name).ok_or(Error::Malformed);
        let full_nonce = nonce(next('r')?).ok_or(Error::Malformed)?;
        let salt = base64_decode(next('s')?.as_bytes()).ok_or(Error::Malformed)?;
        let iterations = next('i')?;
        let iterations: NonZeroU32 = Some(iterations)
            .filter(|i| i.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|i| i.parse().ok())
            .ok_or(Error::Malformed)?;
        if salt.is_empty() || !are_extensions(attributes) {
            return Err(Error::Malformed);
        }
        if full_nonce.strip_prefix(&self.nonce).is_none_or(str::is_empty) {
            return Err(Error::Nonce);
        }
        if !limits.contains(&iterations.get()) {
            return Err(Error::Iterations(iterations.get()));
        }
        let binding = base64_encode(&[self.gs2_header.as_bytes(), &self.binding].concat());
        let without_proof = format!("c={binding},r={full_nonce}");
        let auth_message = format!("{},{server_first},{without_proof}", self.bare);
        let salted = self.hash.pbkdf2(password.as_bytes(), &salt, iterations);
        let mut proof = self.hash.hmac(&salted, b"Client Key");
        let stored_key = self.hash.digest(&proof);
        let signature = self.hash.hmac(&stored_key, auth_message.as_bytes());
        for (key, mask) in proof.iter_mut().zip(&*signature) {
            *key ^= mask;
        }
        let server_key = self.hash.hmac(&salted, b"Server Key");
        let expected = FinalSent {
            hash: self.hash,
            server_signature: self.hash.hmac(&server_key, auth_message.as_bytes()),
        };
        Ok((expected, format!("{without_proof},p={}", base64_encode(&proof))))
    }
}

/// The client's final message was sent.
#[derive(Debug)]
pub(crate) struct FinalSent {
    hash: ScramHash,
    server_signature: crypto::Hash,
}

impl FinalSent {
    /// Checks the server's final message.
    pub(crate) fn verify(&self, server_final: &[u8]) -> Result<(), Error> {
        let text = core::str::from_utf8(server_final).map_err(|_| Error::Malformed)?;
        let mut attributes = text.split(',');
        let first = attributes.next();
        if value(first, 'e').is_some() {
            return Err(Error::Refused);
        }
        let signature = value(first, 'v')
            .and_then(|signature| hash(self.hash, signature))
            .ok_or(Error::Malformed)?;
        if !are_extensions(attributes) {
            return Err(Error::Malformed);
        }
        if !crypto::constant_time_eq(&signature, &self.server_signature) {
            return Err(Error::ServerSignature);
        }
        Ok(())
    }
}
