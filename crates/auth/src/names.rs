//! Domain names between text and the DNS (RFC 1035 §2.3.4, RFC 5890 §2.3.2.1)

use mailwright_dns::{Answer, Name, Record};
use std::fmt::Write;

/// The name that a text with dots stands for; whatever octets its labels hold, and with or without its last dot.
pub(crate) fn of_text(text: &str) -> Option<Name> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() || text.len() > 4 * 253 {
        return None;
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if text.bytes().all(plain) {
        return Name::parse(text).ok();
    }
    let mut escaped = String::with_capacity(text.len() * 2);
    for octet in text.bytes() {
        if plain(octet) {
            escaped.push(char::from(octet));
        } else {
            write!(escaped, "\\{octet:03}").expect("a String takes everything");
        }
    }
    Name::parse(&escaped).ok()
}

/// A domain with its U-labels turned into A-labels; `None` if it has no such form. ASCII stays as it is.
pub(crate) fn to_ascii(domain: &str) -> Option<String> {
    if domain.is_ascii() {
        return Some(domain.to_owned());
    }
    Name::parse(domain).ok().map(|name| name.to_string())
}

/// The names in PTR records.
pub(crate) fn of_ptr(answer: &Answer) -> impl Iterator<Item = Name> + '_ {
    answer.records().iter().filter_map(|record| match record {
        Record::Ptr(name) => Some(name.clone()),
        _ => None,
    })
}
/// Whether the domain is the other one, or below it. Both without a dot at their end.
pub(crate) fn is_within(domain: &str, ancestor: &str) -> bool {
    let Some(prefix_len) = domain.len().checked_sub(ancestor.len()) else {
        return false;
    };
    let (prefix, tail) = domain.as_bytes().split_at(prefix_len);
    tail.eq_ignore_ascii_case(ancestor.as_bytes()) && (prefix.is_empty() || prefix.ends_with(b"."))
}
