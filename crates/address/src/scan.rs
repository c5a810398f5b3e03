use crate::{Host, MAX_DOMAIN, MAX_LABEL, MAX_LOCAL_PART, ParseError, ParseErrorKind, plain};

/// Where a mailbox is in a text.
#[derive(Clone, Copy)]
pub(crate) struct Mailbox {
    pub(crate) start: usize,
    /// Where its `@` is.
    pub(crate) at: usize,
    pub(crate) end: usize,
}

/// The mailbox that starts at `start`.
#[inline]
pub(crate) fn mailbox(text: &str, start: usize) -> Result<Mailbox, ParseError> {
    let at = local_part(text, start)?;
    let host = expect(text, at, b'@')?;
    let end = match text.as_bytes().get(host) {
        Some(b'[') => literal(text, host)?,
        _ => domain(text, host)?,
    };
    Ok(Mailbox { start, at, end })
}

/// The end of the address literal that starts at `from`.
#[cold]
fn literal(text: &str, from: usize) -> Result<usize, ParseError> {
    Host::scan(text, from).map(|(_, end)| end)
}

/// The end of the local part that starts at `from`.
#[inline]
pub(crate) fn local_part(text: &str, from: usize) -> Result<usize, ParseError> {
    match plain::local_part(text, from) {
        Some(end) if text.as_bytes().get(end) == Some(&b'@') => Ok(end),
        _ => any_local_part(text, from),
    }
}

#[cold]
fn any_local_part(text: &str, from: usize) -> Result<usize, ParseError> {
    let end = if text[from..].starts_with('"') {
        quoted_string(text, from)?
    } else {
        dot_string(text, from)?
    };
    if end - from > MAX_LOCAL_PART {
        return Err(ParseError::new(
            ParseErrorKind::LocalPartTooLong,
            floor(text, from + MAX_LOCAL_PART),
        ));
    }
    Ok(end)
}

/// The end of the domain that starts at `from`: everything that domains are made of belongs to it.
#[inline]
pub(crate) fn domain(text: &str, from: usize) -> Result<usize, ParseError> {
    plain::domain(text, from).map_or_else(|| any_domain(text, from), Ok)
}

#[cold]
fn any_domain(text: &str, from: usize) -> Result<usize, ParseError> {
    let mut at = from;
    let end = loop {
        let end = label(text, at)?;
        if text.as_bytes().get(end) != Some(&b'.') {
            break end;
        }
        at = end + 1;
    };
    if end - from > MAX_DOMAIN {
        return Err(ParseError::new(ParseErrorKind::DomainTooLong, from + MAX_DOMAIN));
    }
    Ok(end)
}

/// The end of the label that starts at `from`.
fn label(text: &str, from: usize) -> Result<usize, ParseError> {
    let end = run(text, from, &LABEL, is_label_char);
    let label = &text.as_bytes()[from..end];
    let fail = |kind, n| Err(ParseError::new(kind, from + n));
    match label {
        [] => {
            let c = text[from..].chars().next().unwrap_or('.');
            Err(unexpected(c, from, ParseErrorKind::EmptyLabel))
        }
        [b'-', ..] => fail(ParseErrorKind::Hyphen, 0),
        [.., b'-'] => fail(ParseErrorKind::Hyphen, label.len() - 1),
        label if label.len() > MAX_LABEL && label.is_ascii() => fail(ParseErrorKind::LabelTooLong, MAX_LABEL),
        _ => Ok(end),
    }
}

/// The end of the characters from `from` on that `table` has, or, where they are not ASCII, that `is_member`
/// takes. Nearly all addresses are ASCII throughout, so octets are looked at first.
#[inline]
fn run(text: &str, from: usize, table: &[bool; 256], is_member: fn(char) -> bool) -> usize {
    let mut at = from;
    loop {
        match text.as_bytes().get(at) {
            Some(b) if table[usize::from(*b)] => at += 1,
            None | Some(..=0x7f) => return at,
            Some(_) => match text[at..].chars().next() {
                Some(c) if is_member(c) => at += c.len_utf8(),
                _ => return at,
            },
        }
    }
}

/// Steps over `c`.
pub(crate) fn expect(text: &str, at: usize, c: u8) -> Result<usize, ParseError> {
    match text.as_bytes().get(at) {
        Some(b) if *b == c => Ok(at + 1),
        Some(_) => Err(ParseError::new(ParseErrorKind::Unexpected, at)),
        None => Err(ParseError::new(ParseErrorKind::UnexpectedEnd, at)),
    }
}

/// Succeeds if the text ends at `at`.
pub(crate) fn finish(text: &str, at: usize) -> Result<(), ParseError> {
    match text[at..].chars().next() {
        None => Ok(()),
        Some(c) => Err(unexpected(c, at, ParseErrorKind::Trailing)),
    }
}

/// RFC 5321 §4.1.2 `atext` (from RFC 5322 §3.2.3), with RFC 6531 §3.3.
#[inline]
pub(crate) fn is_atext(c: char) -> bool {
    match u8::try_from(c) {
        Ok(b) if b.is_ascii() => ATEXT[usize::from(b)],
        _ => is_utf8_text(c),
    }
}

static ATEXT: [bool; 256] = ascii(b"!#$%&'*+-/=?^_`{|}~");
static LABEL: [bool; 256] = ascii(b"-");

/// The letters, the digits, and `marks`.
const fn ascii(marks: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut i = 0;
    while i < marks.len() {
        table[marks[i] as usize] = true;
        i += 1;
    }
    let mut b = 0u8;
    while b < 128 {
        table[b as usize] |= b.is_ascii_alphanumeric();
        b += 1;
    }
    table
}

/// RFC 6531 §3.3 `UTF8-non-ascii`, without what breaks lines or is invisible control.
pub(crate) fn is_utf8_text(c: char) -> bool {
    !c.is_ascii() && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}')
}

/// Characters that domain labels are made of. Of the non-ASCII ones, those are left out that no U-label can
/// hold and that look like something else: spaces, formatting, and what IDNA mappings turn into a dot.
fn is_label_char(c: char) -> bool {
    u8::try_from(c).is_ok_and(|b| LABEL[usize::from(b)])
        || (is_utf8_text(c)
            && !c.is_whitespace()
            && !matches!(c, '\u{3002}' | '\u{FF0E}' | '\u{FF61}')
            && !matches!(c, '\u{AD}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{FEFF}')
            && !matches!(c, '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FFF9}'..='\u{FFFF}'))
}

fn dot_string(text: &str, from: usize) -> Result<usize, ParseError> {
    let mut atom = from;
    loop {
        let at = run(text, atom, &ATEXT, is_atext);
        let kind = match text.as_bytes().get(at) {
            Some(b'.' | b'@') if at == atom => ParseErrorKind::EmptyAtom,
            None if at == atom => ParseErrorKind::UnexpectedEnd,
            Some(b'.') => {
                atom = at + 1;
                continue;
            }
            Some(b'@') | None => return Ok(at),
            Some(_) => ParseErrorKind::Unexpected,
        };
        return Err(ParseError::new(kind, at));
    }
}

fn quoted_string(text: &str, from: usize) -> Result<usize, ParseError> {
    let mut escaped = false;
    for (n, c) in text[from + 1..].char_indices() {
        let at = from + 1 + n;
        match c {
            // RFC 5321 §4.1.2 quoted-pairSMTP; RFC 6531 does not widen it.
            ' '..='~' if escaped => escaped = false,
            '\\' if !escaped => escaped = true,
            '"' => return Ok(at + 1),
            ' '..='~' => {}
            c if is_utf8_text(c) && !escaped => {}
            _ => return Err(ParseError::new(ParseErrorKind::Unexpected, at)),
        }
    }
    Err(ParseError::new(ParseErrorKind::UnexpectedEnd, text.len()))
}

/// The last boundary between characters up to `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

/// A character that stands nowhere in an address is the problem itself, not what it makes of the rest.
fn unexpected(c: char, at: usize, otherwise: ParseErrorKind) -> ParseError {
    let kind = if c.is_control() {
        ParseErrorKind::Unexpected
    } else {
        otherwise
    };
    ParseError::new(kind, at)
}
