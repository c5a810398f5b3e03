use super::{ScramCredentials, are_extensions, hash, nonce, value};
use crate::{base64_encode, crypto};

/// The client's first message.
#[derive(Debug)]
pub(crate) struct ClientFirst {
    pub(crate) authzid: Option<String>,
    pub(crate) username: String,
    /// What the client must repeat in base64: the channel binding flag and the authzid.
    gs2_header: String,
    bare: String,
    nonce: String,
}

impl ClientFirst {
    /// RFC 5802 §7 `client-first-message`. Refuses channel binding (`p=`): it is not offered.
    pub(crate) fn parse(message: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(message).ok().filter(|t| !t.contains('\0'))?;
        // `y`: the client could bind but believes that the server cannot. It is right.
        let after_flag = text.strip_prefix("n,").or_else(|| text.strip_prefix("y,"))?;
        let (authzid, bare) = after_flag.split_once(',')?;
        let authzid = match authzid {
            "" => None,
            some => Some(sasl_name(value(Some(some), 'a')?)?),
        };
        let mut attributes = bare.split(',');
        let username = sasl_name(value(attributes.next(), 'n')?)?;
        let client_nonce = nonce(value(attributes.next(), 'r')?)?;
        if !are_extensions(attributes) {
            return None;
        }
        Some(Self {
            authzid,
            username,
            gs2_header: text[..text.len() - bare.len()].to_owned(),
            bare: bare.to_owned(),
            nonce: client_nonce.to_owned(),
        })
    }
}

/// The exchange from the server's first message on.
#[derive(Debug)]
pub(crate) struct Exchange {
    client: ClientFirst,
    credentials: ScramCredentials,
    server_first: String,
    nonce: String,
}

impl Exchange {
    pub(crate) fn new(client: ClientFirst, credentials: ScramCredentials, server_nonce: &str) -> Self {
        let nonce = format!("{}{server_nonce}", client.nonce);
        let salt = base64_encode(credentials.salt());
        let server_first = format!("r={nonce},s={salt},i={}", credentials.iterations());
        Self {
            client,
            credentials,
            server_first,
            nonce,
        }
    }

    pub(crate) fn server_first(&self) -> &str {
        &self.server_first
    }

    /// Checks the client's final message and gives the server's, or `None` if the message is malformed; in
    /// it, `None` if the proof is wrong.
    pub(crate) fn verify(&self, message: &[u8]) -> Option<Option<String>> {
        let text = core::str::from_utf8(message).ok().filter(|t| !t.contains('\0'))?;
        let (without_proof, proof) = text.rsplit_once(",p=")?;
        let proof = hash(proof)?;
        let mut attributes = without_proof.split(',');
        let binding = value(attributes.next(), 'c')?;
        let repeated = value(attributes.next(), 'r')?;
        if binding != base64_encode(self.client.gs2_header.as_bytes())
            || repeated != self.nonce
            || !are_extensions(attributes)
        {
            return None;
        }
        let auth_message = format!("{},{},{without_proof}", self.client.bare, self.server_first);
        let signature = crypto::hmac_sha256(self.credentials.stored_key(), auth_message.as_bytes());
        let mut client_key = proof;
        for (key, mask) in client_key.iter_mut().zip(signature) {
            *key ^= mask;
        }
        if !crypto::constant_time_eq(&crypto::sha256(&client_key), self.credentials.stored_key()) {
            return Some(None);
        }
        let signature = crypto::hmac_sha256(self.credentials.server_key(), auth_message.as_bytes());
        Some(Some(format!("v={}", base64_encode(&signature))))
    }

    pub(crate) fn into_names(self) -> (Option<String>, String) {
        (self.client.authzid, self.client.username)
    }
}

/// Undoes the escapes of RFC 5802 §5.1: `=2C` for a comma and `=3D` for an equals sign, and no others.
fn sasl_name(escaped: &str) -> Option<String> {
    let mut name = String::with_capacity(escaped.len());
    let mut parts = escaped.split('=');
    name.push_str(parts.next()?);
    for part in parts {
        let (c, rest) = match part.split_at_checked(2)? {
            ("2C", rest) => (',', rest),
            ("3D", rest) => ('=', rest),
            _ => return None,
        };
        name.push(c);
        name.push_str(rest);
    }
    (!name.is_empty()).then_some(name)
}
