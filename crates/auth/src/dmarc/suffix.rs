//! The public suffix list (RFC 7489 §3.2)

use mailwright_dns::Name;

/// The organizational domain of a name by the public suffix list: the suffix and one label more. A name that is a
/// suffix itself is its own.
pub(super) fn organization(name: &Name) -> Name {
    let text = name.to_string().to_ascii_lowercase();
    match psl::domain_str(&text) {
        Some(domain) => Name::parse(domain).unwrap_or_else(|_| name.clone()),
        None => name.clone(),
    }
}

/// The registrable domain of a name by the public suffix list (RFC 7489 §3.2): none for what is a suffix itself, or no
/// domain name. U-labels become A-labels.
///
/// ```
/// use mailwright_auth::dmarc::registrable_domain;
///
/// assert_eq!(registrable_domain("mail.example.co.uk").as_deref(), Some("example.co.uk"));
/// assert_eq!(registrable_domain("co.uk"), None);
/// ```
pub fn registrable_domain(domain: &str) -> Option<String> {
    let ascii = Name::parse(domain).ok()?.to_string().to_ascii_lowercase();
    psl::domain_str(&ascii).map(str::to_owned)
}
