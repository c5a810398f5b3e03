//! Names of accounts and aliases as they are looked up (RFC 5321 §2.4, RFC 5890).

use mailwright_address::Domain;

/// The key of a name, which has a domain behind its last `@` or has none: without regard to case, and with
/// the domain in A-labels.
pub(crate) fn key(name: &str) -> String {
    match name.rsplit_once('@') {
        Some((local, domain)) => format!("{}@{}", local.to_lowercase(), domain_text_key(domain)),
        None => name.to_lowercase(),
    }
}

/// The key of a domain: in lower case and in A-labels, if it has them.
pub(crate) fn domain_key(domain: &Domain) -> String {
    match domain.to_ascii() {
        Ok(ascii) => ascii.as_str().to_owned(),
        Err(_) => domain.as_str().to_lowercase(),
    }
}

fn domain_text_key(text: &str) -> String {
    text.parse()
        .map_or_else(|_| text.to_lowercase(), |domain| domain_key(&domain))
}
