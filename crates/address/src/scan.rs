use crate::{MAX_DOMAIN, MAX_LABEL, MAX_LOCAL_PART, ParseError, ParseErrorKind};

/// The end of the local part that starts at `from`.
pub(crate) fn local_part(text: &str, from: usize) -> Result<usize, ParseError> {
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
pub(crate) fn domain(text: &str, from: usize) -> Result<usize, ParseError> {
    let end = text[from..]
        .find(|c| !(is_label_char(c) || c == '.'))
        .map_or(text.len(), |n| from + n);
    let mut at = from;
    for label in text[from..end].split('.') {
        let fail = |kind, n| Err(ParseError::new(kind, at + n));
        if label.is_empty() {
            let c = text[at..].chars().next().unwrap_or('.');
            return Err(unexpected(c, at, ParseErrorKind::EmptyLabel));
        }
        if label.starts_with('-') {
            return fail(ParseErrorKind::Hyphen, 0);
        }
        if label.ends_with('-') {
            return fail(ParseErrorKind::Hyphen, label.len() - 1);
        }
        if label.len() > MAX_LABEL && label.is_ascii() {
            return fail(ParseErrorKind::LabelTooLong, MAX_LABEL);
        }
        at += label.len() + 1;
    }
    if end - from > MAX_DOMAIN {
        return Err(ParseError::new(ParseErrorKind::DomainTooLong, from + MAX_DOMAIN));
    }
    Ok(end)
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

const ATEXT: [bool; 128] = {
    let mut table = [false; 128];
    let marks = b"!#$%&'*+-/=?^_`{|}~";
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
};

/// RFC 6531 §3.3 `UTF8-non-ascii`, without what breaks lines or is invisible control.
pub(crate) fn is_utf8_text(c: char) -> bool {
    !c.is_ascii() && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}')
}

/// Characters that domain labels are made of. Of the non-ASCII ones, those are left out that no U-label can
/// hold and that look like something else: spaces, formatting, and what IDNA mappings turn into a dot.
#[inline]
fn is_label_char(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || c == '-'
        || (is_utf8_text(c)
            && !c.is_whitespace()
            && !matches!(c, '\u{3002}' | '\u{FF0E}' | '\u{FF61}')
            && !matches!(c, '\u{AD}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{FEFF}')
            && !matches!(c, '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FFF9}'..='\u{FFFF}'))
}

fn dot_string(text: &str, from: usize) -> Result<usize, ParseError> {
    let mut atom = from;
    for (n, c) in text[from..].char_indices() {
        let at = from + n;
        match c {
            '.' if at == atom => return Err(ParseError::new(ParseErrorKind::EmptyAtom, at)),
            '.' => atom = at + 1,
            c if is_atext(c) => {}
            '@' if at == atom => return Err(ParseError::new(ParseErrorKind::EmptyAtom, at)),
            '@' => return Ok(at),
            _ => return Err(ParseError::new(ParseErrorKind::Unexpected, at)),
        }
    }
    if atom == text.len() {
        return Err(ParseError::new(ParseErrorKind::UnexpectedEnd, atom));
    }
    Ok(text.len())
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
