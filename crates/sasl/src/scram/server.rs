use super::{ScramCredentials, are_extensions, nonce, sasl_name, value};
use crate::{base64_decode, base64_encode, crypto};

/// The client's first message.
#[derive(Debug)]
pub(crate) struct ClientFirst {
    pub(crate) authzid: Option<String>,
    pub(crate) username: String,
    pub(crate) flag: Flag,
    /// The data of the binding that was agreed on; the server adds it.
    pub(crate) binding: Vec<u8>,
    /// What the client must repeat in base64, in front of the binding: the flag and the authzid.
    gs2_header: String,
    bare: String,
    nonce: String,
}

/// What the client says about channel binding: RFC 5802 §5.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flag {
    /// `n`: it cannot.
    Unable,
    /// `y`: it can, but believes that the server cannot.
    Unseen,
    /// `p=name`: it does.
    Bound(String),
}

impl ClientFirst {
    /// RFC 5802 §7 `client-first-message`.
    pub(crate) fn parse(message: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(message).ok().filter(|t| !t.contains('\0'))?;
        let (flag, after_flag) = text.split_once(',')?;
        let flag = match flag {
            "n" => Flag::Unable,
            "y" => Flag::Unseen,
            flag => Flag::Bound(binding_name(flag.strip_prefix("p=")?)?.to_owned()),
        };
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
            flag,
            binding: Vec::new(),
            gs2_header: text[..text.len() - bare.len()].to_owned(),
            bare: bare.to_owned(),
            nonce: client_nonce.to_owned(),
        })
    }
}

/// What the client's final message is worth.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Malformed,
    /// It is bound to another channel than this one.
    OtherChannel,
    WrongProof,
    /// The server's final message.
    Right(String),
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

    /// Checks the client's final message.
    pub(crate) fn verify(&self, message: &[u8]) -> Verdict {
        let Some((without_proof, binding, mut client_key)) = self.parse(message) else {
            return Verdict::Malformed;
        };
        let Some(data) = binding.strip_prefix(self.client.gs2_header.as_bytes()) else {
            return Verdict::Malformed;
        };
        if !crypto::constant_time_eq(data, &self.client.binding) {
            return match self.client.flag {
                Flag::Bound(_) => Verdict::OtherChannel,
                _ => Verdict::Malformed,
            };
        }
        let hash = self.credentials.hash();
        let auth_message = format!("{},{},{without_proof}", self.client.bare, self.server_first);
        let signature = hash.hmac(self.credentials.stored_key(), auth_message.as_bytes());
        for (key, mask) in client_key.iter_mut().zip(&*signature) {
            *key ^= mask;
        }
        if !crypto::constant_time_eq(&hash.digest(&client_key), self.credentials.stored_key()) {
            return Verdict::WrongProof;
        }
        let signature = hash.hmac(self.credentials.server_key(), auth_message.as_bytes());
        Verdict::Right(format!("v={}", base64_encode(&signature)))
    }

    pub(crate) fn into_names(self) -> (Option<String>, String) {
        (self.client.authzid, self.client.username)
    }

    /// RFC 5802 §7 `client-final-message`: what is in front of the proof, the binding, and the proof.
    fn parse<'a>(&self, message: &'a [u8]) -> Option<(&'a str, Vec<u8>, crypto::Hash)> {
        let text = core::str::from_utf8(message).ok().filter(|t| !t.contains('\0'))?;
        let (without_proof, proof) = text.rsplit_once(",p=")?;
        let proof = super::hash(self.credentials.hash(), proof)?;
        let mut attributes = without_proof.split(',');
        let binding = base64_decode(value(attributes.next(), 'c')?.as_bytes())?;
        let repeated = value(attributes.next(), 'r')?;
        (repeated == self.nonce && are_extensions(attributes)).then_some((without_proof, binding, proof))
    }
}

/// RFC 5802 §7 `cb-name`.
fn binding_name(text: &str) -> Option<&str> {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    (!text.is_empty() && text.bytes().all(is_name)).then_some(text)
}
