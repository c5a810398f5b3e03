//! Folding, encoded words and parameters, written (RFC 5322 §2.2.3, RFC 2047, RFC 2231)

use super::Error;

/// Lines of a header are folded so that none is longer where white space allows: RFC 2047 §2 asks it of lines with
/// encoded words, and two octets of punctuation still fit into the 78 of RFC 5322 §2.1.1.
const WIDTH: usize = 76;

/// The longest line, without CRLF (RFC 5322 §2.1.1).
const MAX_LINE: usize = 998;

/// `=?utf-8?Q?` and `?=`.
const OVERHEAD: usize = 12;

/// What one encoded word of at most 75 octets carries.
const WORD: usize = 75 - OVERHEAD;

/// More white space in a row than this goes into an encoded word.
const MAX_GAP: usize = 60;

/// Writes one header field.
pub(super) struct Folder<'a> {
    out: &'a mut Vec<u8>,
    name: &'a str,
    /// Where the line at hand starts in `out`.
    line: usize,
    /// Whether the line at hand has anything behind the field name or the fold.
    used: bool,
    /// Raw UTF-8 may stand in headers (RFC 6532).
    utf8: bool,
}

impl<'a> Folder<'a> {
    /// Starts a field.
    pub(super) fn new(out: &'a mut Vec<u8>, name: &'a str, utf8: bool) -> Self {
        let line = out.len();
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        Self {
            out,
            name,
            line,
            used: false,
            utf8,
        }
    }

    /// Ends the field.
    pub(super) fn end(self) {
        self.out.extend_from_slice(b"\r\n");
    }

    fn column(&self) -> usize {
        self.out.len() - self.line
    }

    fn fold(&mut self) {
        self.out.extend_from_slice(b"\r\n");
        self.line = self.out.len();
        self.used = false;
    }

    /// Puts punctuation behind the last word: at most two octets between two words.
    pub(super) fn mark(&mut self, mark: u8) {
        self.out.push(mark);
    }

    /// Puts a word that cannot be broken, on a line of its own if there is no room on this one.
    pub(super) fn word(&mut self, gap: &[u8], word: &[u8]) -> Result<(), Error> {
        self.joined(gap, &[word])
    }

    /// As [`Folder::word`], for a word of several pieces.
    pub(super) fn joined(&mut self, gap: &[u8], pieces: &[&[u8]]) -> Result<(), Error> {
        let width = gap.len() + pieces.iter().map(|piece| piece.len()).sum::<usize>();
        let full = self.column() + width > WIDTH;
        // A line of a field's name alone is only made where it helps.
        if full && (self.used || width <= WIDTH || self.column() + width > MAX_LINE) {
            self.fold();
        }
        if width + 2 > MAX_LINE {
            return Err(Error::TooLong(self.name.to_owned()));
        }
        self.out.extend_from_slice(gap);
        for piece in pieces {
            self.out.extend_from_slice(piece);
        }
        self.used = true;
        Ok(())
    }

    /// Puts text: words as they are where they can be, encoded words for the rest.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Error> {
        if self.column() + 1 + text.len() <= WIDTH && is_plain_line(text) {
            self.out.push(b' ');
            self.out.extend_from_slice(text.as_bytes());
            self.used = true;
            return Ok(());
        }
        let end = text.trim_end_matches(is_blank).len();
        let mut at = 0;
        while at < text.len() {
            let piece = Piece::at(text, at);
            let starts_text = at == 0;
            if !self.must_encode(&piece, end, starts_text) {
                let gap = if starts_text {
                    " "
                } else {
                    &text[at..piece.word_at]
                };
                self.word(gap.as_bytes(), piece.word.as_bytes())?;
                at = piece.end;
                continue;
            }
            // The space before an encoded word counts, between two of them it does not (RFC 2047 §6.2): a run is
            // encoded with the spaces inside of it.
            let (gap, from) = if starts_text {
                (" ", 0)
            } else {
                (&text[at..=at], at + 1)
            };
            let mut to = piece.end;
            while to < text.len() {
                let next = Piece::at(text, to);
                if !self.must_encode(&next, end, false) {
                    break;
                }
                to = next.end;
            }
            self.encoded(gap.as_bytes(), &text[from..to]);
            at = to;
        }
        Ok(())
    }

    fn must_encode(&self, piece: &Piece<'_>, end: usize, starts_text: bool) -> bool {
        let lost_space = piece.gap > 0 && starts_text || piece.end >= end && end < piece.text_len;
        lost_space
            || piece.gap > MAX_GAP
            || piece.word.len() >= WIDTH
            || !(piece.word.bytes().all(|b| b.is_ascii_graphic()) || self.utf8 && is_utf8_word(piece.word))
            || piece.word.contains("=?")
    }

    /// Puts text as encoded words, `gap` before the first of them. No character is split between words.
    pub(super) fn encoded(&mut self, gap: &[u8], text: &str) {
        let escaped = text.bytes().filter(|b| !is_q_plain(*b) && *b != b' ').count();
        // A base64 word carries 45 octets whatever they are; an escaped octet takes three.
        let base64 = escaped * 2 > text.len() / 3;
        let mut rest = text;
        let mut gap = gap;
        while !rest.is_empty() {
            let room = WIDTH
                .saturating_sub(self.column() + gap.len() + OVERHEAD)
                .min(WORD);
            let mut taken = take(rest, room, base64);
            // A short rest is cut in two only where nothing helps: some readers put a space between the halves.
            let whole = || take(rest, WORD, base64) == rest.len();
            let crowded = taken < rest.len() && (room < WORD / 3 || whole());
            if (taken == 0 || crowded) && (self.used || self.column() > 1) {
                self.fold();
                taken = take(rest, WORD, base64);
            }
            let (word, behind) = rest.split_at(taken);
            rest = behind;
            self.out.extend_from_slice(gap);
            self.used = true;
            gap = b" ";
            if base64 {
                self.out.extend_from_slice(b"=?utf-8?B?");
                encodify::base64::STANDARD.encode_append(word, self.out);
            } else {
                self.out.extend_from_slice(b"=?utf-8?Q?");
                for byte in word.bytes() {
                    match byte {
                        b' ' => self.out.push(b'_'),
                        _ if is_q_plain(byte) => self.out.push(byte),
                        _ => self.out.extend_from_slice(&escape(b'=', byte)),
                    }
                }
            }
            self.out.extend_from_slice(b"?=");
        }
    }

    /// Puts a phrase, such as a display name: atoms, else a quoted string, else encoded words.
    pub(super) fn phrase(&mut self, phrase: &str) -> Result<(), Error> {
        let is_word = |word: &str, ok: fn(u8) -> bool| {
            word.len() < WIDTH - 2
                && word
                    .bytes()
                    .all(|b| ok(b) || b >= 0x80 && self.utf8 && is_utf8_word(word))
        };
        let safe = !phrase.contains("=?") && !phrase.starts_with(' ') && !phrase.ends_with(' ');
        if safe
            && phrase
                .split(' ')
                .all(|word| !word.is_empty() && is_word(word, is_atext))
        {
            return phrase
                .split(' ')
                .try_for_each(|word| self.word(b" ", word.as_bytes()));
        }
        let quotable = |b: u8| b.is_ascii_graphic();
        let short =
            |word: &str| word.bytes().filter(|b| matches!(b, b'"' | b'\\')).count() + word.len() < WIDTH - 4;
        if !safe
            || !phrase
                .split(' ')
                .all(|word| is_word(word, quotable) && short(word))
            || has_wide_gap(phrase)
        {
            self.encoded(b" ", phrase);
            return Ok(());
        }
        let mut quoted = Vec::with_capacity(phrase.len() + 8);
        quoted.push(b'"');
        push_quoted(phrase, &mut quoted);
        quoted.push(b'"');
        // White space inside of a quoted string may be folded, and is kept (RFC 5322 §3.2.4).
        let mut gap = vec![b' '];
        for word in quoted.split(|b| *b == b' ') {
            if word.is_empty() {
                gap.push(b' ');
                continue;
            }
            self.word(&gap, word)?;
            gap.truncate(1);
        }
        Ok(())
    }

    /// Puts `; name=value`, in the form of RFC 2231 where the value needs it.
    pub(super) fn parameter(&mut self, name: &str, value: &str) -> Result<(), Error> {
        self.mark(b';');
        if !value.is_empty() && value.bytes().all(is_token) && name.len() + 1 + value.len() < WIDTH {
            return self.joined(b" ", &[name.as_bytes(), b"=", value.as_bytes()]);
        }
        let mut buffer = Vec::with_capacity(name.len() + value.len() + 3);
        buffer.extend_from_slice(name.as_bytes());
        buffer.push(b'=');
        let plain = |c: char| matches!(c, ' '..='~') || self.utf8 && !c.is_ascii() && is_utf8_char(c);
        if value.chars().all(plain) && !value.contains("=?") {
            buffer.push(b'"');
            push_quoted(value, &mut buffer);
            buffer.push(b'"');
            if buffer.len() < WIDTH {
                return self.word(b" ", &buffer);
            }
        }
        self.extended_parameter(name, value)
    }

    /// RFC 2231 §3 and §4: percent encoding in UTF-8, in sections where it is long.
    fn extended_parameter(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let width = |c: char| match c {
            _ if c.is_ascii() && is_attribute_char(c as u8) => 1,
            _ => 3 * c.len_utf8(),
        };
        let total: usize = value.chars().map(width).sum();
        let in_one = name.len() + "*=utf-8''".len() + total < WIDTH;
        let mut rest = value;
        let mut section = 0;
        while !rest.is_empty() || section == 0 {
            let mut buffer = name.as_bytes().to_vec();
            if !in_one {
                buffer.extend_from_slice(format!("*{section}").as_bytes());
            }
            buffer.extend_from_slice(b"*=");
            if section == 0 {
                buffer.extend_from_slice(b"utf-8''");
            }
            let mut taken = 0;
            for c in rest.chars() {
                if taken > 0 && buffer.len() + width(c) >= WIDTH {
                    break;
                }
                taken += c.len_utf8();
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    match byte {
                        _ if is_attribute_char(byte) => buffer.push(byte),
                        _ => buffer.extend_from_slice(&escape(b'%', byte)),
                    }
                }
            }
            rest = &rest[taken..];
            if section > 0 {
                self.mark(b';');
            }
            self.word(b" ", &buffer)?;
            section += 1;
        }
        Ok(())
    }
}

/// A word of a text, and the white space before it.
struct Piece<'a> {
    word: &'a str,
    word_at: usize,
    gap: usize,
    end: usize,
    text_len: usize,
}

impl<'a> Piece<'a> {
    fn at(text: &'a str, at: usize) -> Self {
        let rest = &text[at..];
        let word = rest.trim_start_matches(is_blank);
        let gap = rest.len() - word.len();
        let len = word.find(is_blank).unwrap_or(word.len());
        Self {
            word: &word[..len],
            word_at: at + gap,
            gap,
            end: at + gap + len,
            text_len: text.len(),
        }
    }
}

/// How many octets of `text` go into an encoded word with room for `room`.
fn take(text: &str, room: usize, base64: bool) -> usize {
    let room = if base64 { room / 4 * 3 } else { room };
    let mut used = 0;
    let mut width = 0;
    for c in text.chars() {
        let len = c.len_utf8();
        width += match c {
            _ if base64 => len,
            ' ' => 1,
            _ if len == 1 && is_q_plain(c as u8) => 1,
            _ => 3 * len,
        };
        if width > room {
            break;
        }
        used += len;
    }
    used
}

/// Whether a text may stand in a header as it is, on one line.
fn is_plain_line(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(|b| (b' '..=b'~').contains(b))
        && !matches!(bytes, [b' ', ..] | [.., b' '])
        && memchr::memmem::find(bytes, b"=?").is_none()
        && !bytes.is_empty()
}

fn has_wide_gap(text: &str) -> bool {
    text.as_bytes()
        .windows(MAX_GAP)
        .any(|run| run.iter().all(|b| *b == b' '))
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// Non-ASCII text that may stand raw in a UTF-8 header: no controls, no separators of lines, no byte order mark.
fn is_utf8_word(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_graphic() || is_utf8_char(c))
}

fn is_utf8_char(c: char) -> bool {
    !c.is_ascii()
        && !c.is_control()
        && !c.is_whitespace()
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// RFC 5322 §3.2.3.
pub(super) fn is_atext(byte: u8) -> bool {
    CLASS[usize::from(byte)] & ATEXT != 0
}

/// RFC 2045 §5.1.
pub(super) fn is_token(byte: u8) -> bool {
    CLASS[usize::from(byte)] & TOKEN != 0
}

/// RFC 2231 §7.
fn is_attribute_char(byte: u8) -> bool {
    is_token(byte) && !matches!(byte, b'*' | b'\'' | b'%')
}

/// Needs no escape in any encoded word, those of phrases included: RFC 2047 §5 (3).
fn is_q_plain(byte: u8) -> bool {
    CLASS[usize::from(byte)] & Q_PLAIN != 0
}

const ATEXT: u8 = 1;
const TOKEN: u8 = 2;
const Q_PLAIN: u8 = 4;

/// What each octet may stand in.
static CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        let mut class = TOKEN;
        if byte.is_ascii_alphanumeric() {
            class |= ATEXT | Q_PLAIN;
        }
        table[byte as usize] = class;
        byte += 1;
    }
    mark(&mut table, b"!#$%&'*+-/=?^_`{|}~", ATEXT, true);
    mark(&mut table, b"()<>@,;:\\\"/[]?=", TOKEN, false);
    mark(&mut table, b"!*+-/", Q_PLAIN, true);
    table
};

const fn mark(table: &mut [u8; 256], octets: &[u8], class: u8, on: bool) {
    let mut i = 0;
    while i < octets.len() {
        let entry = &mut table[octets[i] as usize];
        *entry = if on { *entry | class } else { *entry & !class };
        i += 1;
    }
}

fn push_quoted(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

/// Two hexadecimal digits behind a mark.
pub(super) fn escape(mark: u8, byte: u8) -> [u8; 3] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    [
        mark,
        DIGITS[usize::from(byte >> 4)],
        DIGITS[usize::from(byte & 15)],
    ]
}
