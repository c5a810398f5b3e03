//! Received fields, read (RFC 5321 §4.4, and what servers write in its place)

use core::net::{IpAddr, Ipv6Addr};
use std::borrow::Cow;

use crate::date::{self, DateTime};
use crate::lex::{self, Report};
use crate::{Defect, DefectKind};

/// One hop of a message, as its Received field tells it. Everything in it is what some server claims.
///
/// ```
/// use mailwright_message::trace::Hop;
/// let hop = Hop::parse(
///     b"from a.test (host.a.test [192.0.2.1]) (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\r\n\
///       \tby mx.b.test (Postfix) with ESMTPS id 4XyZ for <bob@b.test>; Fri, 21 Nov 1997 09:55:06 -0600",
/// );
/// assert_eq!((hop.from.as_deref(), hop.reverse_name.as_deref()), (Some("a.test"), Some("host.a.test")));
/// assert_eq!(hop.ip, Some([192, 0, 2, 1].into()));
/// assert_eq!((hop.by.as_deref(), hop.with.as_deref()), (Some("mx.b.test"), Some("ESMTPS")));
/// assert_eq!((hop.id.as_deref(), hop.recipient.as_deref()), (Some("4XyZ"), Some("bob@b.test")));
/// assert_eq!(hop.tls_version.as_deref(), Some("TLSv1.3"));
/// assert_eq!(hop.date.unwrap().unix, 880_127_706);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Hop<'a> {
    /// The client: the name it gave, or an address literal, mostly.
    pub from: Option<Cow<'a, str>>,
    /// The name that the client's address has in the DNS, from the comment behind `from`.
    pub reverse_name: Option<Cow<'a, str>>,
    /// The client's address, from that comment, or from a literal that stands as `from`.
    pub ip: Option<IpAddr>,
    /// What the client said in HELO or EHLO, where the comment tells that apart.
    pub helo: Option<Cow<'a, str>>,
    /// The user that ident (RFC 1413) or a login gave, where the comment tells it.
    pub ident: Option<Cow<'a, str>>,
    /// The host that took the message.
    pub by: Option<Cow<'a, str>>,
    /// The link, rarely given: `TCP`.
    pub via: Option<Cow<'a, str>>,
    /// The protocol as written: `ESMTPS`, `Microsoft SMTP Server`.
    pub with: Option<Cow<'a, str>>,
    /// What the host calls the message, without angle brackets.
    pub id: Option<Cow<'a, str>>,
    /// The recipient, without angle brackets.
    pub recipient: Option<Cow<'a, str>>,
    /// The version of TLS as written: `TLSv1.3`, `TLS1_2`.
    pub tls_version: Option<Cow<'a, str>>,
    /// The cipher suite as written.
    pub tls_cipher: Option<Cow<'a, str>>,
    /// When the message came.
    pub date: Option<DateTime>,
}

impl<'a> Hop<'a> {
    /// Reads a value, and whatever stands in its place.
    pub fn parse(value: &'a [u8]) -> Self {
        read(value, &mut ())
    }

    /// As [`Hop::parse`]; what is odd is appended to `defects`, with offsets in `value`.
    pub fn parse_with(value: &'a [u8], defects: &mut Vec<Defect>) -> Self {
        read(value, defects)
    }

    /// The protocol among the words of `with`, in capitals, if it is a registered one (RFC 3848, RFC 6531 §4.3).
    ///
    /// ```
    /// use mailwright_message::trace::Hop;
    /// assert_eq!(Hop::parse(b"by b with Microsoft SMTP Server; x").protocol(), Some("SMTP"));
    /// assert_eq!(Hop::parse(b"by b with local-esmtps").protocol(), Some("ESMTPS"));
    /// ```
    pub fn protocol(&self) -> Option<&'static str> {
        let words = self.with.as_deref()?.split(|c: char| !c.is_ascii_alphanumeric());
        let known = |word: &str| {
            PROTOCOLS
                .iter()
                .find(|known| known.eq_ignore_ascii_case(word))
                .copied()
        };
        words.filter_map(known).next()
    }
}

const PROTOCOLS: [&str; 17] = [
    "SMTP",
    "ESMTP",
    "ESMTPA",
    "ESMTPS",
    "ESMTPSA",
    "LMTP",
    "LMTPA",
    "LMTPS",
    "LMTPSA",
    "UTF8SMTP",
    "UTF8SMTPA",
    "UTF8SMTPS",
    "UTF8SMTPSA",
    "UTF8LMTP",
    "UTF8LMTPA",
    "UTF8LMTPS",
    "UTF8LMTPSA",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clause {
    From,
    By,
    Via,
    With,
    Id,
    For,
}

impl Clause {
    fn of(word: &[u8]) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_slice() {
            b"from" => Self::From,
            b"by" => Self::By,
            b"via" => Self::Via,
            b"with" => Self::With,
            b"id" => Self::Id,
            b"for" => Self::For,
            _ => return None,
        })
    }
}

fn read<'a>(value: &'a [u8], report: &mut impl Report) -> Hop<'a> {
    let mut reader = Reader {
        value,
        at: 0,
        hop: Hop::default(),
        clause: None,
        words: 0,
    };
    // Some programs put the first clause into a comment: `(from localhost [192.0.2.1]) by …`.
    let start = value.len() - value.trim_ascii_start().len();
    if value[start..]
        .get(..6)
        .is_some_and(|open| open.eq_ignore_ascii_case(b"(from "))
    {
        reader.at = start + 1;
    }
    reader.clauses(report);
    let mut hop = reader.hop;
    if let Some(from) = hop.from.as_deref().filter(|_| hop.ip.is_none()) {
        hop.ip = literal(from.as_bytes());
    }
    hop
}

struct Reader<'a> {
    value: &'a [u8],
    at: usize,
    hop: Hop<'a>,
    clause: Option<Clause>,
    /// How many words the clause has.
    words: usize,
}

impl<'a> Reader<'a> {
    fn clauses(&mut self, report: &mut impl Report) {
        while let Some(byte) = self.value.get(self.at).copied() {
            let start = self.at;
            match byte {
                _ if lex::is_space(byte) || byte == b')' => self.at += 1,
                b';' => {
                    // The date is behind the last semicolon; more of them are a mistake.
                    let last = memchr::memrchr(b';', self.value).unwrap_or(start).max(start);
                    self.hop.date = date::parse(&self.value[start + 1..]);
                    if self.hop.date.is_none() && last > start {
                        self.hop.date = date::parse(&self.value[last + 1..]);
                    }
                    if self.hop.date.is_none() {
                        report.defect(DefectKind::InvalidDate, start + 1);
                    }
                    return;
                }
                b'(' => {
                    let end = lex::comment_end(self.value, start);
                    if end.is_none() {
                        report.defect(DefectKind::Unbalanced, start);
                    }
                    let end = end.unwrap_or(self.value.len());
                    self.comment(&self.value[start + 1..end]);
                    self.at = (end + 1).min(self.value.len());
                }
                _ => {
                    let word = self.word();
                    self.take(word, start, report);
                }
            }
        }
        report.defect(DefectKind::InvalidDate, self.value.len());
    }

    /// A run of octets up to a space, a comment or a semicolon; one in angle brackets, square ones or quotes whole.
    fn word(&mut self) -> &'a [u8] {
        let start = self.at;
        let rest = &self.value[start..];
        let closing = match rest[0] {
            b'<' => memchr::memchr2(b'>', b';', rest).filter(|at| rest[*at] == b'>'),
            b'[' => memchr::memchr2(b']', b';', rest).filter(|at| rest[*at] == b']'),
            b'"' => lex::quote_end(self.value, start).map(|end| end - start),
            _ => None,
        };
        if let (Some(end), b'[') = (closing, rest[0]) {
            self.at = start + end + 1;
            return &rest[..=end];
        }
        let from = closing.unwrap_or(0).max(1);
        let is_end = |b: &u8| lex::is_space(*b) || matches!(b, b'(' | b')' | b';');
        let len = rest[from..]
            .iter()
            .position(is_end)
            .map_or(rest.len(), |len| from + len);
        self.at = start + len;
        &rest[..len]
    }

    fn take(&mut self, word: &'a [u8], at: usize, report: &mut impl Report) {
        if let Some(clause) = Clause::of(word) {
            if self.slot(clause).is_some() {
                report.defect(DefectKind::InvalidTrace, at);
                self.clause = None;
            } else {
                self.clause = Some(clause);
            }
            self.words = 0;
            return;
        }
        self.words += 1;
        let Some(clause) = self.clause else {
            report.defect(DefectKind::InvalidTrace, at);
            return;
        };
        if self.words == 1 {
            let word = word.strip_suffix(b",").unwrap_or(word);
            let word = without_brackets(word);
            *self.slot(clause) = Some(lex::text(Cow::Borrowed(word)));
        } else if clause == Clause::With {
            // `with Microsoft SMTP Server`: all words are one name.
            if let Some(with) = self.hop.with.as_mut().filter(|with| with.len() < MAX_WITH) {
                *with = Cow::Owned(format!("{with} {}", crate::charset::guess(word)));
            }
        } else if let (Clause::From, Some(ip)) = (clause, literal(word)) {
            // `from host.a.test [192.0.2.1]`: the comment without its parentheses.
            self.hop.ip.get_or_insert(ip);
        } else {
            report.defect(DefectKind::InvalidTrace, at);
        }
    }

    fn slot(&mut self, clause: Clause) -> &mut Option<Cow<'a, str>> {
        match clause {
            Clause::From => &mut self.hop.from,
            Clause::By => &mut self.hop.by,
            Clause::Via => &mut self.hop.via,
            Clause::With => &mut self.hop.with,
            Clause::Id => &mut self.hop.id,
            Clause::For => &mut self.hop.recipient,
        }
    }

    fn comment(&mut self, comment: &'a [u8]) {
        self.tls(comment);
        let from =
            matches!(self.clause, Some(Clause::From)) || self.clause.is_none() && self.hop.by.is_none();
        if from {
            self.peer(comment);
        }
    }

    /// What the comment behind `from` tells of the client: `(host.a.test [192.0.2.1])`, `(helo=x ident=y)`,
    /// `(HELO x)`, `(192.0.2.1:25)`.
    fn peer(&mut self, comment: &'a [u8]) {
        let is_end = |b: &u8| lex::is_space(*b) || matches!(b, b',' | b'(' | b')' | b'<' | b'>');
        // `host.a.test[192.0.2.1]` is two words.
        let literal_apart = |word: &'a [u8]| {
            let cut = memchr::memchr(b'[', word)
                .filter(|at| !word[..*at].ends_with(b"="))
                .unwrap_or(0);
            [&word[..cut], &word[cut..]]
        };
        let words = comment.split(is_end).flat_map(literal_apart);
        let mut words = words.filter(|word| !word.is_empty()).peekable();
        let mut first = true;
        while let Some(word) = words.next() {
            let named = |keys: &[&str]| {
                keys.iter().find_map(|key| {
                    let value = word.get(key.len()..)?;
                    word[..key.len()]
                        .eq_ignore_ascii_case(key.as_bytes())
                        .then_some(value)
                })
            };
            let is = |key: &str| word.eq_ignore_ascii_case(key.as_bytes());
            if let Some(name) = named(&["helo=", "ehlo="]) {
                self.hop
                    .helo
                    .get_or_insert_with(|| lex::text(Cow::Borrowed(name)));
            } else if let Some(name) = named(&["ident="]) {
                self.hop
                    .ident
                    .get_or_insert_with(|| lex::text(Cow::Borrowed(name)));
            } else if is("helo") || is("ehlo") || is("lhlo") {
                if let Some(name) = words.next() {
                    self.hop
                        .helo
                        .get_or_insert_with(|| lex::text(Cow::Borrowed(name)));
                }
            } else if let Some(ip) = literal(word) {
                self.hop.ip.get_or_insert(ip);
            } else if first && self.hop.reverse_name.is_none() {
                let alone = words.peek().is_none();
                let with_address = words
                    .peek()
                    .is_some_and(|next| next.starts_with(b"[") || literal(next).is_some());
                // `user@host [192.0.2.1]`, `user@192.0.2.1`: who ident or a login says it is.
                let (user, host) = match memchr::memrchr(b'@', word) {
                    Some(at) => (&word[..at], &word[at + 1..]),
                    None => (&b""[..], word),
                };
                let user = user.strip_prefix(b"IDENT:").unwrap_or(user);
                if alone || with_address {
                    if !user.is_empty() {
                        self.hop
                            .ident
                            .get_or_insert_with(|| lex::text(Cow::Borrowed(user)));
                    }
                    if let Some(ip) = literal(host) {
                        self.hop.ip.get_or_insert(ip);
                    } else if is_host(host) {
                        self.hop.reverse_name = Some(lex::text(Cow::Borrowed(host)));
                    }
                }
            }
            first = false;
        }
    }

    /// `using TLSv1.3 with cipher X`, `version=TLS1_2, cipher=X`, `TLS1.3:X:256` and the like.
    fn tls(&mut self, comment: &'a [u8]) {
        if self.hop.tls_version.is_some() {
            return;
        }
        let is_end = |b: &u8| lex::is_space(*b) || matches!(b, b',' | b'(' | b')' | b':' | b'=' | b';');
        let mut after_cipher = false;
        let mut words = 0;
        for word in comment.split(is_end).filter(|word| !word.is_empty()) {
            if self.hop.tls_version.is_none() && is_tls_version(word) {
                self.hop.tls_version = Some(lex::text(Cow::Borrowed(word)));
                words = 0;
                continue;
            }
            let suite = after_cipher || self.hop.tls_version.is_some() && words < 4 && is_suite(word);
            if suite && self.hop.tls_cipher.is_none() {
                self.hop.tls_cipher = Some(lex::text(Cow::Borrowed(word)));
            }
            after_cipher = word.eq_ignore_ascii_case(b"cipher");
            words += 1;
        }
        if self.hop.tls_version.is_none() {
            self.hop.tls_cipher = None;
        }
    }
}

/// Longer than the name of any protocol.
const MAX_WITH: usize = 100;

fn without_brackets(word: &[u8]) -> &[u8] {
    let word = word.strip_prefix(b"<").unwrap_or(word);
    word.strip_suffix(b">").unwrap_or(word)
}

/// `[192.0.2.1]`, `[IPv6:2001:db8::1]`, `192.0.2.1`, `192.0.2.1:25`, `[fe80::1%6]`.
fn literal(word: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(word).ok()?;
    let text = match text.strip_prefix('[') {
        Some(inner) => inner.split(']').next()?,
        None => text,
    };
    let text = match text.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => &text[5..],
        _ => text,
    };
    let text = text.split('%').next()?;
    if let Ok(ip) = text.parse::<Ipv6Addr>() {
        return Some(ip.into());
    }
    text.split(':').next()?.parse().ok()
}

/// A host has a full stop in its name, or is the one that needs none.
fn is_host(word: &[u8]) -> bool {
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_') || *b >= 0x80;
    word.iter().all(is_name) && (word.contains(&b'.') || word.eq_ignore_ascii_case(b"localhost"))
}

/// `TLSv1.3`, `TLS1_2`, `TLS-1.0`, `TLSv1/SSLv3`, `SSLv3`.
fn is_tls_version(word: &[u8]) -> bool {
    let tls = |tag: &[u8]| tag.eq_ignore_ascii_case(b"TLS") || tag.eq_ignore_ascii_case(b"SSL");
    word.len() <= 12
        && word.get(..3).is_some_and(tls)
        && word[3..].iter().take(2).any(u8::is_ascii_digit)
        && !word[3..]
            .iter()
            .any(|b| b.is_ascii_uppercase() && !b"SL".contains(b))
}

/// The name of a cipher suite: capitals, digits and hyphens or underscores.
fn is_suite(word: &[u8]) -> bool {
    let is_part = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    word.len() >= 7 && word.iter().all(is_part) && word.iter().any(|b| matches!(b, b'-' | b'_'))
}
