//! Authentication-Results as data, and as text (RFC 8601 §2)

use crate::{Error, Keyword, Verdict, parse};
use core::net::IpAddr;
use mailwright_address::{Domain, EmailAddress};
use mailwright_message::header;
use std::fmt::Write;

/// What one server found out about one message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthenticationResults {
    /// Who found it out, its authserv-id: the name of a host or a domain, mostly. Case does not matter.
    pub authserv_id: String,
    /// What it found. Empty if it checked nothing, which is written as `none`.
    pub results: Vec<MethodResult>,
}

/// What one method came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MethodResult {
    /// The method.
    pub method: Keyword,
    /// What it came to.
    pub verdict: Verdict,
    /// Why, in words.
    pub reason: Option<String>,
    /// What was looked at.
    pub properties: Vec<Property>,
}

/// A property of a message that a method looked at: `smtp.mailfrom=alice@a.test`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Property {
    /// Where it is from.
    pub kind: Keyword,
    /// Which one it is.
    pub name: Keyword,
    /// What it is.
    pub value: String,
}

impl AuthenticationResults {
    /// Begins without results.
    pub fn new(authserv_id: impl Into<String>) -> Self {
        Self {
            authserv_id: authserv_id.into(),
            results: Vec::new(),
        }
    }

    /// Reads what stands behind the colon of a field, folded or not.
    ///
    /// Versions of methods are passed over, as are comments; both are gone when it is written again.
    ///
    /// # Errors
    ///
    /// When it does not follow RFC 8601 §2.2. Some common liberties are taken for right: values with `:`, `/` or
    /// `=` outside of quotes, and a `;` at the end.
    pub fn parse(value: &[u8]) -> Result<Self, Error> {
        parse::field(value)
    }

    /// Whether it claims to come from the server with this name.
    pub fn is_from(&self, authserv_id: &str) -> bool {
        self.authserv_id.eq_ignore_ascii_case(authserv_id)
    }

    /// The results of a method.
    pub fn of(&self, method: &Keyword) -> impl Iterator<Item = &MethodResult> {
        self.results.iter().filter(move |result| result.method == *method)
    }

    /// The whole field, folded, with its line ending. It goes above all that was there (RFC 8601 §4.1).
    pub fn to_field(&self) -> String {
        let mut value = String::new();
        push_value(&self.authserv_id, &mut value);
        if self.results.is_empty() {
            value.push_str("; none");
        }
        for result in &self.results {
            // Writing to a string cannot fail, here and below.
            let _ = write!(value, "; {}={}", result.method, result.verdict);
            if let Some(reason) = &result.reason {
                value.push_str(" reason=");
                push_value(reason, &mut value);
            }
            for property in &result.properties {
                let _ = write!(value, " {}.{}=", property.kind, property.name);
                if is_address(&property.value) && property.value.len() <= Property::MAX_VALUE {
                    value.push_str(&property.value);
                } else {
                    push_value(&property.value, &mut value);
                }
            }
        }
        header::fold("Authentication-Results", &value)
    }
}

impl MethodResult {
    /// A result without reason and properties.
    pub fn new(method: Keyword, verdict: Verdict) -> Self {
        Self {
            method,
            verdict,
            reason: None,
            properties: Vec::new(),
        }
    }

    /// The client logged in as `user` (RFC 8601 §2.7.4).
    pub fn auth(user: &str) -> Self {
        let name = Keyword::AUTH;
        Self::new(Keyword::AUTH, Verdict::Pass).with(Property::new(Keyword::SMTP, name, user))
    }

    /// What the reverse DNS entry of the peer came to (RFC 8601 §2.7.3).
    pub fn iprev(verdict: Verdict, peer: IpAddr) -> Self {
        let name = Keyword::IPREV;
        let property = Property::new(Keyword::POLICY, name, peer.to_string());
        Self::new(Keyword::IPREV, verdict).with(property)
    }

    /// Adds a property.
    #[must_use]
    pub fn with(mut self, property: Property) -> Self {
        self.properties.push(property);
        self
    }

    /// Sets the reason.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// The value of a property.
    pub fn property(&self, kind: &Keyword, name: &Keyword) -> Option<&str> {
        self.properties
            .iter()
            .find(|property| property.kind == *kind && property.name == *name)
            .map(|property| property.value.as_str())
    }
}

impl Property {
    /// Longer values are cut when they are written, in octets.
    pub const MAX_VALUE: usize = 512;

    /// Joins the parts.
    pub fn new(kind: Keyword, name: Keyword, value: impl Into<String>) -> Self {
        Self {
            kind,
            name,
            value: value.into(),
        }
    }
}

/// RFC 8601 §2.2: what is a mail address stands as such, quoted or not as it is itself.
fn is_address(value: &str) -> bool {
    match value.strip_prefix('@') {
        Some(domain) => Domain::parse(domain).is_ok(),
        None => EmailAddress::parse(value).is_ok_and(|address| address.domain().is_some()),
    }
}

/// A token where that is enough, else a quoted string.
fn push_value(value: &str, out: &mut String) {
    let end = value
        .char_indices()
        .map(|(at, c)| at + c.len_utf8())
        .take_while(|end| *end <= Property::MAX_VALUE)
        .last()
        .unwrap_or(0);
    let value = &value[..end];
    if !value.is_empty() && value.bytes().all(is_token) {
        return out.push_str(value);
    }
    out.push('"');
    let start = out.len();
    for c in value.chars() {
        // A word that is too long for a line would be cut, perhaps within a quoted pair.
        if out.len() - start >= MAX_QUOTED {
            break;
        }
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// RFC 2045 §5.1.
fn is_token(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&octet)
}

/// A word of more than 900 octets is cut in two, and the name of a property stands before the value.
const MAX_QUOTED: usize = 760;
