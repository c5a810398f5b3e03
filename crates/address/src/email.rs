//! Mailboxes: local part, `@`, host (RFC 5321 §4.1.2, RFC 6531 §3.3)

use crate::scan::{self, Mailbox};
use crate::{Domain, Host, ParseError, ParseErrorKind};
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;
use std::borrow::Cow;

/// An email address, kept and printed exactly as written.
///
/// Two addresses are equal if they mean the same: the local part is compared without its quoting and with
/// regard to case, as RFC 5321 §2.4 asks of everybody but the host that owns it; the host without regard to
/// ASCII case.
#[derive(Clone)]
pub struct EmailAddress {
    text: Box<str>,
    /// Where the `@` is.
    at: u16,
}

impl EmailAddress {
    /// Parses an address without angle brackets; all of `text` must belong to it.
    ///
    /// # Errors
    ///
    /// Fails on anything that RFC 5321 §4.1.2 `Mailbox`, with the UTF-8 of RFC 6531 §3.3, does not allow, on
    /// control characters of any kind, and above the limits of this crate.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mailbox = scan::mailbox(text, 0)?;
        scan::finish(text, mailbox.end)?;
        Ok(Self::scanned(text, mailbox))
    }

    /// Builds an address from the meaning of a local part: it is quoted here if it needs to be, so `local`
    /// is the text without quotes and backslashes.
    ///
    /// # Errors
    ///
    /// Fails if `local` holds a control character, or is too long once it is quoted.
    pub fn new(local: &str, host: Host) -> Result<Self, ParseError> {
        let is_text = |c: char| matches!(c, ' '..='~') || scan::is_utf8_text(c);
        if let Some((offset, _)) = local.char_indices().find(|(_, c)| !is_text(*c)) {
            return Err(ParseError::new(ParseErrorKind::Unexpected, offset));
        }
        let local = quoted_if_needed(local).into_owned();
        scan::local_part(&local, 0)?;
        Ok(Self::joined(local, &host))
    }

    /// `local` must be a local part as it is written.
    fn joined(local: String, host: &Host) -> Self {
        let at = local.len();
        Self::of(format!("{local}@{host}").into(), at)
    }

    #[inline(always)]
    fn of(text: Box<str>, at: usize) -> Self {
        let at = u16::try_from(at).expect("a local part has a bound");
        Self { text, at }
    }

    /// The address as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The local part as written, with its quotes if it has any.
    pub fn local_part(&self) -> &str {
        &self.text[..usize::from(self.at)]
    }

    /// What the local part means: without quotes and backslashes. It may hold any printable character, so
    /// it must be quoted again before it is sent anywhere.
    pub fn unquoted_local_part(&self) -> Cow<'_, str> {
        let local = self.local_part();
        let Some(quoted) = local.strip_prefix('"').and_then(|l| l.strip_suffix('"')) else {
            return Cow::Borrowed(local);
        };
        if !quoted.contains('\\') {
            return Cow::Borrowed(quoted);
        }
        let mut out = String::with_capacity(quoted.len());
        let mut chars = quoted.chars();
        while let Some(c) = chars.next() {
            out.extend(if c == '\\' { chars.next() } else { Some(c) });
        }
        Cow::Owned(out)
    }

    /// What stands behind the `@`, made anew at each call; [`host_text`](EmailAddress::host_text) costs nothing.
    pub fn host(&self) -> Host {
        match self.domain() {
            Some(domain) => Host::Domain(domain),
            None => Host::parse(self.host_text()).expect("it was parsed before"),
        }
    }

    /// What stands behind the `@`, as written.
    pub fn host_text(&self) -> &str {
        &self.text[usize::from(self.at) + 1..]
    }

    /// The domain, unless the host is an address literal; made anew at each call.
    pub fn domain(&self) -> Option<Domain> {
        self.domain_text().map(Domain::scanned)
    }

    /// The domain as written, unless the host is an address literal.
    pub fn domain_text(&self) -> Option<&str> {
        Some(self.host_text()).filter(|host| !host.starts_with('['))
    }

    /// Whether it can be used where RFC 6531 (SMTPUTF8) is not understood.
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }

    /// The same local part, as written, at another host.
    pub fn with_host(&self, host: Host) -> Self {
        Self::joined(self.local_part().to_owned(), &host)
    }

    /// What the local part means, divided at the first `separator` into user and detail (RFC 5233 §4):
    /// `ken+sieve@b.test` has the detail `sieve` with the separator `+`. `None` if there is no detail.
    ///
    /// A separator at the very start divides nothing, for there would be no user; a detail may be empty.
    /// Only the host that owns the address knows whether it divides local parts at all, and where.
    ///
    /// # Examples
    ///
    /// ```
    /// use mailwright_address::EmailAddress;
    ///
    /// let address: EmailAddress = "ken+sieve+x@b.test".parse()?;
    /// assert_eq!(address.split_detail('+'), Some(("ken".into(), "sieve+x".into())));
    /// assert_eq!(address.split_detail('-'), None);
    /// assert_eq!(address.without_detail('+').as_str(), "ken@b.test");
    /// # Ok::<(), mailwright_address::ParseError>(())
    /// ```
    pub fn split_detail(&self, separator: char) -> Option<(String, String)> {
        let local = self.unquoted_local_part();
        let (user, detail) = local.split_once(separator)?;
        (!user.is_empty()).then(|| (user.to_owned(), detail.to_owned()))
    }

    /// The address of the user alone, without the detail that [`split_detail`](EmailAddress::split_detail)
    /// finds; the same address if there is none.
    pub fn without_detail(&self, separator: char) -> Self {
        match self.split_detail(separator) {
            Some((user, _)) => Self::joined(quoted_if_needed(&user).into_owned(), &self.host()),
            None => self.clone(),
        }
    }

    /// A key for tables of addresses in which case does not count: what the address means, all in lower case.
    ///
    /// Hosts that own mailboxes are wise to let no two differ in case alone (RFC 5321 §2.4). The key is not
    /// meant to be sent. With domains outside ASCII in the table, take the key of the address that has its
    /// domain in A-labels (feature `idna`).
    ///
    /// # Examples
    ///
    /// ```
    /// use mailwright_address::EmailAddress;
    ///
    /// let (a, b) = (EmailAddress::parse(r#""Ken"@B.test"#)?, EmailAddress::parse("kEN@b.TEST")?);
    /// assert_ne!(a, b);
    /// assert_eq!(a.lookup_key(), b.lookup_key());
    /// # Ok::<(), mailwright_address::ParseError>(())
    /// ```
    pub fn lookup_key(&self) -> String {
        let local = self.unquoted_local_part().to_lowercase();
        format!(
            "{}@{}",
            quoted_if_needed(&local),
            self.host().to_string().to_lowercase()
        )
    }

    /// `mailbox` must be what [`scan::mailbox`] found in `text`.
    #[inline(always)] // so is what makes a path of it
    pub(crate) fn scanned(text: &str, mailbox: Mailbox) -> Self {
        Self::of(
            text[mailbox.start..mailbox.end].into(),
            mailbox.at - mailbox.start,
        )
    }
}

impl PartialEq for EmailAddress {
    fn eq(&self, other: &Self) -> bool {
        self.unquoted_local_part() == other.unquoted_local_part()
            && match (self.domain_text(), other.domain_text()) {
                (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
                (None, None) => self.host() == other.host(),
                _ => false,
            }
    }
}

impl Eq for EmailAddress {}

impl Hash for EmailAddress {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.unquoted_local_part().hash(state);
        match self.domain_text() {
            Some(domain) => folded(domain).for_each(|b| state.write_u8(b)),
            None => self.host().hash(state),
        }
        state.write_u8(0xff);
    }
}

/// By domain first (literals before all domains), then by local part.
impl Ord for EmailAddress {
    fn cmp(&self, other: &Self) -> Ordering {
        let literal = |a: &Self| match a.host() {
            Host::Domain(_) => None,
            Host::Literal(literal) => Some(literal.to_string().to_ascii_lowercase()),
        };
        let domains = match (self.domain_text(), other.domain_text()) {
            (Some(a), Some(b)) => folded(a).cmp(folded(b)),
            (None, None) => literal(self).cmp(&literal(other)),
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        domains.then_with(|| self.unquoted_local_part().cmp(&other.unquoted_local_part()))
    }
}

impl PartialOrd for EmailAddress {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl AsRef<str> for EmailAddress {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl FromStr for EmailAddress {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmailAddress({})", self.text)
    }
}

/// The octets of a domain as they are compared.
fn folded(domain: &str) -> impl Iterator<Item = u8> {
    domain.bytes().map(|b| b.to_ascii_lowercase())
}

/// A local part as it is written, made from what it means: quoted where it is no `Dot-string`.
fn quoted_if_needed(local: &str) -> Cow<'_, str> {
    let is_atom = |atom: &str| !atom.is_empty() && atom.chars().all(scan::is_atext);
    if local.split('.').all(is_atom) {
        return Cow::Borrowed(local);
    }
    let mut quoted = String::with_capacity(local.len() + 2);
    quoted.push('"');
    for c in local.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    Cow::Owned(quoted)
}
