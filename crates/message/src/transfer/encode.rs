//! Writes base64 and quoted-printable (RFC 2045 §6.7, §6.8)

use super::Encoding;

/// Encodes a body that comes in chunks of any size; the same for every way to cut it.
///
/// Lines have at most 76 octets and end in CRLF. Other encodings than base64 and quoted-printable pass octets on
/// as they are.
#[derive(Debug, Clone)]
pub struct Encoder {
    encoding: Encoding,
    /// base64: what does not fill a line yet.
    rest: Vec<u8>,
    /// quoted-printable: the column, and a blank or CR that may be the last of its line.
    column: usize,
    held: Option<u8>,
    /// quoted-printable: so many octets of `From ` at the start of a line wait for what comes.
    from: usize,
}

/// As many octets as a line of base64 takes.
const LINE: usize = 57;

impl Encoder {
    /// An encoder at the start of a body.
    pub fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            rest: Vec::new(),
            column: 0,
            held: None,
            from: 0,
        }
    }

    /// Takes the next octets of the body, and appends to `out` the lines that they complete.
    pub fn push(&mut self, mut chunk: &[u8], out: &mut Vec<u8>) {
        match self.encoding {
            Encoding::Base64 => {
                if !self.rest.is_empty() {
                    let (head, more) = chunk.split_at(chunk.len().min(LINE - self.rest.len()));
                    self.rest.extend_from_slice(head);
                    chunk = more;
                    if self.rest.len() < LINE {
                        return;
                    }
                    encode_lines(&self.rest, out);
                    self.rest.clear();
                }
                let (lines, rest) = chunk.split_at(chunk.len() / LINE * LINE);
                encode_lines(lines, out);
                self.rest.extend_from_slice(rest);
            }
            Encoding::QuotedPrintable => self.quote_next(chunk, out),
            _ => out.extend_from_slice(chunk),
        }
    }

    /// Ends the body.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        encode_lines(&self.rest, out);
        self.rest.clear();
        let start = std::mem::take(&mut self.from);
        out.extend_from_slice(&FROM[..start]);
        self.column += start;
        if let Some(byte) = self.held.take() {
            self.escaped(byte, out);
        }
        if self.column > 0 {
            out.extend_from_slice(b"=\r\n");
            self.column = 0;
        }
    }

    /// Takes the next octets of a text, those included that were too few to decide on.
    fn quote_next(&mut self, mut chunk: &[u8], out: &mut Vec<u8>) {
        while self.from > 0 && !chunk.is_empty() {
            let mut text = *FROM;
            let kept = std::mem::take(&mut self.from);
            let (head, rest) = chunk.split_at(chunk.len().min(FROM.len() - kept));
            text[kept..kept + head.len()].copy_from_slice(head);
            chunk = rest;
            self.quote(&text[..kept + head.len()], out);
        }
        self.quote(chunk, out);
    }

    fn quote(&mut self, mut rest: &[u8], out: &mut Vec<u8>) {
        out.reserve(rest.len() + rest.len() / 8);
        while let [byte, behind @ ..] = rest {
            if let Some(held) = self.held.take() {
                // The last blank of a line is escaped; for a CR it must be known whether it ends one.
                match (held, byte) {
                    (b'\r', b'\n') => {
                        self.line_end(out);
                        rest = behind;
                    }
                    (b'\r', _) | (_, b'\r' | b'\n') => self.escaped(held, out),
                    _ => {
                        self.make_room(1, out);
                        out.push(held);
                        self.column += 1;
                    }
                }
                continue;
            }
            if !PLAIN[usize::from(*byte)] {
                match byte {
                    b'\n' => self.line_end(out),
                    b'\r' => self.held = Some(b'\r'),
                    _ => self.escaped(*byte, out),
                }
                rest = behind;
                continue;
            }
            if !is_blank(*byte) {
                self.make_room(1, out);
            }
            if self.column == 0 && matches!(byte, b'F' | b'.') {
                // What starts so may be taken for a mailbox separator, or for the end of the message.
                if *byte == b'.' || rest.starts_with(FROM) {
                    self.escaped(*byte, out);
                    rest = behind;
                    continue;
                }
                if FROM.starts_with(rest) {
                    self.from = rest.len();
                    return;
                }
            }
            let room = (MAX - self.column).min(rest.len());
            let run = rest[..room]
                .iter()
                .take_while(|b| PLAIN[usize::from(**b)])
                .count();
            // Of blanks behind a run, the last one may be the last of its line.
            let is_sure = run == room && rest.get(run).is_some_and(|b| !matches!(b, b'\r' | b'\n'));
            let blanks = rest[..run].iter().rev().take_while(|b| is_blank(**b)).count();
            let run = run - usize::from(blanks > 0 && !is_sure);
            out.extend_from_slice(&rest[..run]);
            self.column += run;
            rest = &rest[run..];
            if let [blank @ (b' ' | b'\t'), behind @ ..] = rest {
                self.held = Some(*blank);
                rest = behind;
            }
        }
    }

    fn escaped(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.make_room(3, out);
        let [high, low] = digits(byte);
        out.extend_from_slice(&[b'=', high, low]);
        self.column += 3;
    }

    fn make_room(&mut self, width: usize, out: &mut Vec<u8>) {
        if self.column + width > MAX {
            out.extend_from_slice(b"=\r\n");
            self.column = 0;
        }
    }

    fn line_end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n");
        self.column = 0;
    }
}

/// The `=` of a soft line break is the 76th octet.
const MAX: usize = 75;

/// A line that starts so separates the messages of a mailbox file.
const FROM: &[u8; 5] = b"From ";

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Octets that may stand for themselves: blanks but at the end of a line.
static PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    table[b' ' as usize] = true;
    table[b'\t' as usize] = true;
    let mut byte = 33;
    while byte <= 126 {
        table[byte] = byte != b'=' as usize;
        byte += 1;
    }
    table
};

fn encode_lines(octets: &[u8], out: &mut Vec<u8>) {
    if !octets.is_empty() {
        encodify::base64::MIME.encode_append(octets, out);
        if !out.ends_with(b"\n") {
            out.extend_from_slice(b"\r\n");
        }
    }
}

fn encode_whole(encoding: Encoding, input: &[u8], room: usize) -> String {
    let mut out = Vec::with_capacity(room);
    let mut encoder = Encoder::new(encoding);
    encoder.push(input, &mut out);
    encoder.finish(&mut out);
    String::from_utf8(out).expect("both encodings are ASCII")
}

/// Encodes base64 in lines of 76 octets, each ended by CRLF.
pub fn encode_base64(input: &[u8]) -> String {
    encode_whole(Encoding::Base64, input, input.len().div_ceil(LINE) * 78)
}

/// Encodes text as quoted-printable: lines of at most 76 octets, each ended by CRLF, no blank at the end of one.
///
/// CRLF and LF in the input are line breaks; a CR alone is data. No line starts with a dot or with `From `.
pub fn encode_quoted_printable(input: &[u8]) -> String {
    encode_whole(
        Encoding::QuotedPrintable,
        input,
        input.len() + input.len() / 8 + 8,
    )
}

fn digits(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

pub(crate) fn push_escape(byte: u8, out: &mut String) {
    out.push('=');
    out.extend(digits(byte).map(char::from));
}
