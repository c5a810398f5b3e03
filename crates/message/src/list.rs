//! Mailing lists: List-* fields (RFC 2369), List-Id (RFC 2919), List-Unsubscribe-Post (RFC 8058)

use std::borrow::Cow;

use crate::field;
use crate::lex::{self, Report};
use crate::limits::Limits;
use crate::{Defect, DefectKind, encoded_word};

/// The value of List-Help, List-Subscribe, List-Unsubscribe, List-Post, List-Owner or List-Archive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Commands<'a> {
    /// Ways to do it, the best one first.
    pub links: Vec<Link<'a>>,
    /// `NO`: it cannot be done. RFC 2369 §3.4 has this for List-Post.
    pub refused: bool,
}

/// One way to do something with a list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link<'a> {
    /// The URI, white space removed.
    pub uri: Cow<'a, str>,
    /// A comment beside it, decoded.
    pub comment: Option<Cow<'a, str>>,
}

/// Reads the value of a field with commands.
///
/// ```
/// use mailwright_message::list;
/// let archive = list::parse(b"<http://a.test/list/> (Web Archive), <mailto:a@b.test?\r\n subject=index>");
/// assert_eq!(archive.links[0].uri, "http://a.test/list/");
/// assert_eq!(archive.links[0].comment.as_deref(), Some("Web Archive"));
/// assert_eq!(archive.links[1].uri, "mailto:a@b.test?subject=index");
/// assert!(list::parse(b"NO (closed list)").refused);
/// ```
pub fn parse(value: &[u8]) -> Commands<'_> {
    read(value, &Limits::default(), &mut ())
}

/// As [`parse`], within limits of the caller's; what is odd is appended to `defects`, with offsets in `value`.
pub fn parse_with<'a>(value: &'a [u8], limits: &Limits, defects: &mut Vec<Defect>) -> Commands<'a> {
    read(value, limits, defects)
}

/// Whether a List-Unsubscribe-Post value allows to unsubscribe by one POST request (RFC 8058 §3.1).
pub fn is_one_click(value: &[u8]) -> bool {
    let value = field::unfold(value);
    let (name, answer) = match memchr::memchr(b'=', &value) {
        Some(at) => (value[..at].trim_ascii(), value[at + 1..].trim_ascii()),
        None => return false,
    };
    name.eq_ignore_ascii_case(b"List-Unsubscribe") && answer.eq_ignore_ascii_case(b"One-Click")
}

/// The value of a List-Id field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListId<'a> {
    /// What the list is called, decoded.
    pub description: Option<Cow<'a, str>>,
    /// The identifier, without angle brackets. Case does not matter.
    pub id: Cow<'a, str>,
}

impl<'a> ListId<'a> {
    /// Reads a value; `None` when there is no identifier. One without angle brackets is taken too.
    ///
    /// ```
    /// use mailwright_message::list::ListId;
    /// let id = ListId::parse(b"\"Lena's Joke List\" <lenas-jokes.da39efc25c530ad145d41b86f7420c3b.021999.localhost>");
    /// assert_eq!(id.unwrap().description.unwrap(), "Lena's Joke List");
    /// ```
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (mut at, mut quote_closes) = (0, true);
        let open = loop {
            at = lex::skip_cfws(value, at);
            match value.get(at) {
                None => break None,
                Some(b'<') => break Some(at),
                Some(b'"') if quote_closes => match lex::quote_end(value, at) {
                    Some(end) => at = end + 1,
                    None => quote_closes = false,
                },
                Some(_) => at += 1,
            }
        };
        let (phrase, id) = match open {
            Some(open) => {
                let rest = &value[open + 1..];
                let end = memchr::memchr(b'>', rest).unwrap_or(rest.len());
                (&value[..open], &rest[..end])
            }
            None => (&value[..0], lex::token(value)),
        };
        let id = without_space(id);
        (!id.is_empty()).then(|| Self {
            description: keyword(phrase, &mut ()),
            id: lex::text(id),
        })
    }
}

/// Reads a list of words and phrases between commas: Keywords (RFC 5322 §3.6.5), Content-Language (RFC 3282),
/// Require-Recipient-Valid-Since and others of that form. Comments are dropped, encoded words decoded.
///
/// ```
/// use mailwright_message::list;
/// let words = list::keywords(b"one, \"two, three\" (comment), =?utf-8?q?f=C3=BCnf?=, , ");
/// assert_eq!(words, ["one", "two, three", "fünf"]);
/// ```
pub fn keywords(value: &[u8]) -> Vec<Cow<'_, str>> {
    read_keywords(value, &Limits::default(), &mut ())
}

/// As [`keywords`], within limits of the caller's; what is odd is appended to `defects`, with offsets in `value`.
pub fn keywords_with<'a>(value: &'a [u8], limits: &Limits, defects: &mut Vec<Defect>) -> Vec<Cow<'a, str>> {
    read_keywords(value, limits, defects)
}

fn read_keywords<'a>(value: &'a [u8], limits: &Limits, report: &mut impl Report) -> Vec<Cow<'a, str>> {
    let mut words = Vec::new();
    let mut at = 0;
    let mut quote_closes = true;
    while at < value.len() {
        let from = at;
        while let Some(byte) = value.get(at).filter(|byte| **byte != b',') {
            at = match byte {
                b'(' => lex::skip_cfws(value, at),
                b'"' if quote_closes => match lex::quote_end(value, at) {
                    Some(end) => end + 1,
                    None => {
                        report.defect(DefectKind::Unbalanced, at);
                        quote_closes = false;
                        at + 1
                    }
                },
                _ => at + encoded_word::match_at(&value[at..]).map_or(1, |word| word.len),
            };
        }
        if let Some(word) = keyword(&value[from..at], report) {
            if words.len() == limits.max_values {
                report.defect(DefectKind::TooManyValues, from);
                break;
            }
            words.push(word);
        }
        at += 1;
    }
    words
}

/// A phrase without its comments and quotes, decoded.
fn keyword<'a>(phrase: &'a [u8], report: &mut impl Report) -> Option<Cow<'a, str>> {
    let trimmed = phrase.trim_ascii();
    if memchr::memchr3(b'(', b'"', b'\n', trimmed).is_none() {
        return (!trimmed.is_empty()).then(|| encoded_word::read(Cow::Borrowed(trimmed), 0, report));
    }
    let mut out: Vec<u8> = Vec::new();
    let (mut at, mut quote_closes) = (0, true);
    while let Some(byte) = phrase.get(at) {
        match byte {
            b'(' => at = lex::skip_cfws(phrase, at),
            b'"' if quote_closes => match lex::quote_end(phrase, at) {
                Some(end) => {
                    lex::unquote_into(&phrase[at + 1..end], &mut out);
                    at = end + 1;
                }
                None => quote_closes = false,
            },
            byte => {
                if !matches!(byte, b'\r' | b'\n' | b'"') {
                    out.push(*byte);
                }
                at += 1;
            }
        }
    }
    let text = out.trim_ascii().to_vec();
    (!text.is_empty()).then(|| encoded_word::read(Cow::Owned(text), 0, &mut ()))
}

fn read<'a>(value: &'a [u8], limits: &Limits, report: &mut impl Report) -> Commands<'a> {
    let mut commands = Commands::default();
    // A comment before the first link, or behind the last one.
    let mut comment: Option<Cow<'a, str>> = None;
    let mut at = 0;
    // Whether a link was read since the last comma.
    let mut linked = false;
    while let Some(byte) = value.get(at) {
        match byte {
            b',' => {
                (linked, comment) = (false, None);
                at += 1;
            }
            b'(' => {
                let end = lex::comment_end(value, at);
                let inner = &value[at + 1..end.unwrap_or(value.len())];
                if end.is_none() {
                    report.defect(DefectKind::Unbalanced, at);
                }
                let text = encoded_word::decode_cow(lex::unquoted(inner));
                match commands.links.last_mut() {
                    Some(link) if linked && link.comment.is_none() => link.comment = Some(text),
                    _ => comment = Some(text),
                }
                at = end.map_or(value.len(), |end| end + 1);
            }
            _ if lex::is_space(*byte) => at += 1,
            _ => {
                let bracket = *byte == b'<';
                let rest = &value[at + usize::from(bracket)..];
                let is_end = |b: &u8| match bracket {
                    true => *b == b'>',
                    false => lex::is_space(*b) || matches!(b, b',' | b'(' | b'<'),
                };
                let len = rest.iter().position(is_end).unwrap_or(rest.len());
                let (word, start) = (&rest[..len], at);
                at = (at + len + if bracket { 2 } else { 0 }).min(value.len());
                if !bracket && word.eq_ignore_ascii_case(b"NO") {
                    commands.refused = true;
                    continue;
                }
                let is_uri = memchr::memchr(b':', word).is_some_and(|colon| colon > 0);
                if !bracket || !is_uri {
                    report.defect(DefectKind::InvalidListHeader, start);
                }
                if !(is_uri || bracket && !word.trim_ascii().is_empty()) {
                    continue;
                }
                if commands.links.len() == limits.max_values {
                    report.defect(DefectKind::TooManyValues, start);
                    break;
                }
                commands.links.push(Link {
                    uri: lex::text(without_space(word)),
                    comment: comment.take(),
                });
                linked = true;
            }
        }
    }
    commands
}

fn without_space(word: &[u8]) -> Cow<'_, [u8]> {
    let trimmed = word.trim_ascii();
    match trimmed.iter().any(|b| lex::is_space(*b)) {
        true => Cow::Owned(trimmed.iter().copied().filter(|b| !lex::is_space(*b)).collect()),
        false => Cow::Borrowed(trimmed),
    }
}
