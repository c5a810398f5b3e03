use super::{are_extensions, hash, nonce, value};
use crate::{Credentials, Error, base64_decode, base64_encode, crypto};
use core::num::NonZeroU32;
use core::ops::RangeInclusive;

/// The client's first message was sent.
#[derive(Debug)]
pub(crate) struct FirstSent {
    gs2_header: String,
    bare: String,
    nonce: String,
}

impl FirstSent {
    pub(crate) fn new(credentials: &Credentials, nonce: String) -> Self {
        let authzid = credentials.authzid().map(sasl_name);
        let gs2_header = authzid.map_or("n,,".to_owned(), |a| format!("n,a={a},"));
        Self {
            gs2_header,
            bare: format!("n={},r={nonce}", sasl_name(credentials.username())),
            nonce,
        }
    }

    pub(crate) fn message(&self) -> String {
        format!("{}{}", self.gs2_header, self.bare)
    }

    /// Takes the server's first message; gives the client's final one.
    pub(crate) fn respond(
        &self,
        credentials: &Credentials,
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
        let binding = base64_encode(self.gs2_header.as_bytes());
        let without_proof = format!("c={binding},r={full_nonce}");
        let auth_message = format!("{},{server_first},{without_proof}", self.bare);
        let salted = crypto::pbkdf2_sha256(credentials.password().as_bytes(), &salt, iterations);
        let mut proof = crypto::hmac_sha256(&*salted, b"Client Key");
        let stored_key = crypto::sha256(&proof);
        let signature = crypto::hmac_sha256(&stored_key, auth_message.as_bytes());
        for (key, mask) in proof.iter_mut().zip(signature) {
            *key ^= mask;
        }
        let server_key = crypto::hmac_sha256(&*salted, b"Server Key");
        let expected = FinalSent {
            server_signature: crypto::hmac_sha256(&server_key, auth_message.as_bytes()),
        };
        Ok((expected, format!("{without_proof},p={}", base64_encode(&proof))))
    }
}

/// The client's final message was sent.
#[derive(Debug)]
pub(crate) struct FinalSent {
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
        let signature = value(first, 'v').and_then(hash).ok_or(Error::Malformed)?;
        if !are_extensions(attributes) {
            return Err(Error::Malformed);
        }
        if !crypto::constant_time_eq(&signature, &self.server_signature) {
            return Err(Error::ServerSignature);
        }
        Ok(())
    }
}

/// RFC 5802 §5.1: commas and equals signs are escaped.
fn sasl_name(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}
