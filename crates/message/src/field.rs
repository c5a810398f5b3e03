//! Header fields (RFC 5322 §2.2, §4.5): walk, unfold, decode, write

use std::borrow::Cow;

use crate::{encoded_word, message_id};

/// One field of a header in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field<'a> {
    /// The name as written, without space before the colon.
    pub name: &'a [u8],
    /// What stands behind the colon, folding included, without the last line end.
    pub value: &'a [u8],
    /// All of the field with its line ends.
    pub raw: &'a [u8],
    /// Where `raw` starts in what was walked; for one of [`Headers::of`](crate::header::Headers::of), in the message.
    pub offset: u64,
}

impl<'a> Field<'a> {
    /// The value on one line: see [`unfold`].
    pub fn unfolded(&self) -> Cow<'a, [u8]> {
        unfold(self.value)
    }

    /// The value as unstructured text for people: unfolded, encoded words and charsets decoded.
    pub fn text(&self) -> Cow<'a, str> {
        encoded_word::decode_cow(self.unfolded())
    }

    /// Where `value` starts, counted as `offset` is.
    pub fn value_offset(&self) -> u64 {
        // Both are slices of the same field.
        self.offset + (self.value.as_ptr() as usize - self.raw.as_ptr() as usize) as u64
    }

    /// Whether the field has this name; case does not matter.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// Walks the fields of a header, up to its empty line or the end.
///
/// Lines that are no field and continue none are passed over, as the scanner does, and so is a byte order mark before
/// a name.
///
/// ```
/// use mailwright_message::header;
/// let names: Vec<&[u8]> = header::fields(b"To: a@b\r\nSubject: x\r\n y\r\n\r\nbody").map(|f| f.name).collect();
/// assert_eq!(names, [&b"To"[..], b"Subject"]);
/// ```
pub fn fields(header: &[u8]) -> Fields<'_> {
    Fields {
        rest: header,
        offset: 0,
    }
}

/// The iterator of [`fields`].
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
    /// Where `rest` starts.
    offset: u64,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        loop {
            let line = line_len(self.rest);
            if line == 0 || is_blank_line(&self.rest[..line]) {
                self.rest = &[];
                return None;
            }
            let mut len = line;
            while matches!(self.rest.get(len), Some(b' ' | b'\t')) {
                len += line_len(&self.rest[len..]);
            }
            let (raw, rest) = self.rest.split_at(len);
            let offset = self.offset;
            self.offset += len as u64;
            let is_continuation = matches!(raw[0], b' ' | b'\t');
            self.rest = rest;
            let mark = mark_len(&raw[..line]);
            let raw = &raw[mark..];
            if let (false, Some(name)) = (is_continuation, Name::of(&raw[..line - mark])) {
                return Some(Field {
                    name: &raw[..name.len],
                    value: without_line_end(&raw[name.colon + 1..]),
                    raw,
                    offset: offset + mark as u64,
                });
            }
        }
    }
}

/// A byte order mark.
pub(crate) const MARK: &[u8] = "\u{feff}".as_bytes();

/// The length of a byte order mark that a line starts with: some programs leave one in what they send.
pub(crate) fn mark_len(line: &[u8]) -> usize {
    if line.starts_with(MARK) { MARK.len() } else { 0 }
}

/// The first field of this name.
pub fn find<'a>(header: &'a [u8], name: &str) -> Option<Field<'a>> {
    fields(header).find(|field| field.is(name))
}

/// Where the name in a line ends, and its colon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name {
    pub(crate) len: usize,
    pub(crate) colon: usize,
}

impl Name {
    /// Reads the start of a field. White space before the colon is obsolete, and allowed (RFC 5322 §4.5).
    pub(crate) fn of(line: &[u8]) -> Option<Self> {
        let colon = memchr::memchr(b':', line)?;
        let len = line[..colon].iter().rposition(|b| !matches!(b, b' ' | b'\t'))? + 1;
        // A longer name is a mistake or an attack; the index keeps its length in two octets.
        let valid = colon <= 1000 && line[..len].iter().all(|b| (33..=126).contains(b));
        valid.then_some(Self { len, colon })
    }
}

/// The length of the first line with its line end.
fn line_len(text: &[u8]) -> usize {
    memchr::memchr(b'\n', text).map_or(text.len(), |at| at + 1)
}

/// A line of nothing but its line end; CRs before it are a fault of some gateways.
pub(crate) fn is_blank_line(line: &[u8]) -> bool {
    matches!(line, [crs @ .., b'\n'] if crs.iter().all(|b| *b == b'\r'))
}

pub(crate) fn without_line_end(text: &[u8]) -> &[u8] {
    match text {
        [text @ .., b'\r', b'\n'] | [text @ .., b'\n'] => text,
        _ => text,
    }
}

/// A value on one line: line ends removed, the white space of the folding kept, both ends trimmed.
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    if memchr::memchr3(b'\r', b'\n', 0, value).is_none() {
        return Cow::Borrowed(value);
    }
    let kept = value.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n' | 0));
    Cow::Owned(kept.collect())
}

/// An unstructured value for people: unfolded, encoded words and charsets decoded.
pub fn decode(value: &[u8]) -> String {
    encoded_word::decode(&unfold(value)).into_owned()
}

/// The identifiers of the first field of this name.
pub fn message_ids(header: &[u8], name: &str) -> Vec<String> {
    let field = find(header, name);
    let ids = field.into_iter().flat_map(|field| message_id::ids(field.value));
    ids.map(Cow::into_owned).collect()
}

/// Writes a field of unstructured text: folded at 78 octets, encoded where it is not plain ASCII.
///
/// The result ends in CRLF. No text can end the field early or make a line of more than 998 octets.
///
/// ```
/// let field = mailwright_message::header::write_text("Subject", "Hello, Jürgen\r\nBcc: x@y");
/// assert_eq!(field, "Subject: =?utf-8?B?SGVsbG8sIErDvHJnZW4NCkJjYzogeEB5?=\r\n");
/// ```
pub fn write_text(name: &str, text: &str) -> String {
    let long = text.split([' ', '\t']).any(|word| word.len() > MAX_TOKEN);
    if long || text.trim_ascii() != text || has_wide_gap(text) || encoded_word::needs_encoding(text) {
        fold(name, &encoded_word::encode(text))
    } else {
        fold(name, text)
    }
}

/// A word up to this length can stand on a line of its own with every name.
const MAX_TOKEN: usize = 900;

/// White space in a row that [`fold`] keeps.
const MAX_GAP: usize = 64;

/// Writes a field whose value is already in its ASCII form: folded at white space to 78 octets where there is any.
///
/// The result ends in CRLF. White space is kept, but a line end in `value` counts as a space, and more than 64
/// spaces in a row are cut down. A word that fits on no line of 998 octets is cut in two: nothing better can be
/// done with it.
pub fn fold(name: &str, value: &str) -> String {
    let mut out = String::with_capacity(name.len() + value.len() + value.len() / 32 + 8);
    out.push_str(name);
    out.push(':');
    let mut column = out.len();
    let mut first = true;
    let mut rest = value.trim_ascii();
    while !rest.is_empty() {
        let word_at = rest.find(|c| !is_fold_space(c)).unwrap_or(rest.len());
        let gap: String = match rest[..word_at.min(MAX_GAP)].replace(['\r', '\n'], " ") {
            none if none.is_empty() => " ".to_owned(),
            gap => gap,
        };
        rest = &rest[word_at..];
        let len = rest.find(is_fold_space).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(floor_char_boundary(rest, len.min(MAX_TOKEN)));
        rest = behind;
        let width = gap.len() + word.len();
        if column + width > if first { 990 } else { 78 } {
            out.push_str("\r\n");
            column = 0;
        }
        out.push_str(&gap);
        out.push_str(word);
        column += width;
        first = false;
    }
    out.push_str("\r\n");
    out
}

fn has_wide_gap(text: &str) -> bool {
    text.as_bytes()
        .chunk_by(|a, b| matches!(a, b' ' | b'\t') && matches!(b, b' ' | b'\t'))
        .any(|run| run.len() > MAX_GAP)
}

fn is_fold_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn floor_char_boundary(text: &str, max: usize) -> usize {
    let mut cut = max.min(text.len());
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn walks_what_the_wild_sends() {
        let header = b"From me\nA: 1\r\n x\r\nB  : 2\n\tgarbage\nno field\n still none\n: empty\nC:\r\n\r\nD: body\r\n";
        let seen: Vec<(&[u8], &[u8])> = fields(header).map(|f| (f.name, f.value)).collect();
        assert_eq!(
            seen,
            [
                (&b"A"[..], &b" 1\r\n x"[..]),
                (b"B", b" 2\n\tgarbage"),
                (b"C", b""),
            ]
        );
        assert_eq!(find(header, "b").unwrap().raw, b"B  : 2\n\tgarbage\n");
        assert!(find(header, "D").is_none());
        assert_eq!(fields(b"A: open").next().unwrap().value, b" open");
        assert!(fields(b"").next().is_none());
    }

    #[test]
    fn unfolds_and_decodes() {
        assert_eq!(&*unfold(b" a\r\n b\n\tc\0 "), b"a b\tc");
        assert_eq!(decode(b" =?utf-8?q?a?=\r\n =?utf-8?q?b?= c\xe9"), "ab cé");
    }

    #[test]
    fn folds_at_spaces_only_where_needed() {
        assert_eq!(fold("To", "a@b"), "To: a@b\r\n");
        let folded = fold("Subject", &"word ".repeat(40));
        assert!(folded.lines().count() > 2 && folded.lines().all(|line| line.len() <= 78));
        assert_eq!(
            folded.replace("\r\n", ""),
            format!("Subject: {}", "word ".repeat(40).trim_end())
        );
        let long = "x".repeat(3000);
        assert!(fold("X", &long).lines().all(|line| line.len() <= 998));
        assert_eq!(decode(&write_text("X", &long).as_bytes()[2..]), long);
        for gap in [" ".repeat(64), " ".repeat(65), "\t".repeat(99)] {
            let text = format!("a{gap}b");
            assert_eq!(decode(&write_text("X", &text).as_bytes()[2..]), text);
        }
        let address = "y".repeat(200);
        assert_eq!(fold("X", &address), format!("X: {address}\r\n"));
    }

    proptest! {
        #[test]
        fn text_round_trip(text in "[ -~é\r\n\0]{0,200}|[ a]{0,200}") {
            let field = write_text("Subject", &text);
            prop_assert!(field.is_ascii() && field.ends_with("\r\n"));
            let parsed: Vec<_> = fields(field.as_bytes()).collect();
            prop_assert_eq!(parsed.len(), 1);
            prop_assert!(field.lines().all(|line| line.len() <= 998 && !line.trim_ascii().is_empty()));
            prop_assert_eq!(decode(parsed[0].value), text);
        }
    }
}
