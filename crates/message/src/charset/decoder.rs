//! Decodes text that comes in chunks

use std::fmt;

use super::{Kind, shift, tables::Table, utf};

/// Decodes text that comes in chunks of any size; the same for every way to cut it.
///
/// A few octets are kept between chunks. Octets that mean nothing in the charset become U+FFFD.
pub struct Decoder {
    state: State,
    had_errors: bool,
}

enum State {
    Standard(encoding_rs::Decoder),
    Guess(Guess),
    Utf32(utf::Utf32),
    Utf7(utf::Utf7),
    Shifted(shift::Filter, encoding_rs::Decoder),
    Table(&'static Table),
}

impl Decoder {
    pub(super) fn new(kind: Kind) -> Self {
        let state = match kind {
            Kind::Standard(encoding) => State::Standard(encoding.new_decoder_with_bom_removal()),
            Kind::Ascii => State::Guess(Guess::default()),
            Kind::Utf16 => State::Standard(encoding_rs::UTF_16LE.new_decoder()),
            Kind::Utf32(order) => State::Utf32(utf::Utf32::new(order)),
            Kind::Utf7(dialect) => State::Utf7(utf::Utf7::new(dialect)),
            Kind::Shifted(scheme) => State::Shifted(
                shift::Filter::new(scheme),
                scheme.encoding().new_decoder_without_bom_handling(),
            ),
            Kind::Table(_, table) => State::Table(table),
        };
        Self {
            state,
            had_errors: false,
        }
    }

    /// Takes the next octets, and appends to `out` what they give.
    pub fn push(&mut self, octets: &[u8], out: &mut String) {
        // Room is made for the worst, so it is made piece by piece.
        for piece in octets.chunks(8192) {
            self.had_errors |= match &mut self.state {
                State::Standard(decoder) => feed(decoder, piece, out, false),
                State::Guess(guess) => guess.push(piece, out),
                State::Utf32(decoder) => decoder.push(piece, out),
                State::Utf7(decoder) => decoder.push(piece, out),
                State::Shifted(filter, decoder) => feed(decoder, &filter.push(piece), out, false),
                State::Table(table) => push_table(table, piece, out),
            };
        }
    }

    /// Ends the text. Nothing may be pushed behind that.
    pub fn finish(&mut self, out: &mut String) {
        self.had_errors |= match &mut self.state {
            State::Standard(decoder) => feed(decoder, b"", out, true),
            State::Guess(guess) => guess.finish(out),
            State::Utf32(decoder) => decoder.finish(out),
            State::Utf7(decoder) => decoder.finish(out),
            State::Shifted(filter, decoder) => feed(decoder, &filter.finish(), out, true),
            State::Table(_) => false,
        };
        self.state = State::Guess(Guess::default());
    }

    /// Whether octets so far meant nothing in the charset, or were not what the lack of a label promises.
    pub fn had_errors(&self) -> bool {
        self.had_errors
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("had_errors", &self.had_errors)
            .finish_non_exhaustive()
    }
}

fn feed(decoder: &mut encoding_rs::Decoder, octets: &[u8], out: &mut String, last: bool) -> bool {
    let room = decoder.max_utf8_buffer_length(octets.len());
    out.reserve(room.expect("a piece is small"));
    decoder.decode_to_string(octets, out, last).2
}

fn push_table(table: &Table, octets: &[u8], out: &mut String) -> bool {
    let mut errors = false;
    for byte in octets {
        let c = match byte.checked_sub(0x80) {
            None => char::from(*byte),
            Some(place) => {
                let code = table[usize::from(place)];
                char::from_u32(u32::from(code)).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
        };
        errors |= c == char::REPLACEMENT_CHARACTER;
        out.push(c);
    }
    errors
}

/// Text without a charset.
#[derive(Debug, Default)]
struct Guess {
    is: Is,
    /// The start of a sequence of UTF-8.
    open: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Is {
    #[default]
    Ascii,
    Utf8,
    Windows,
}

impl Guess {
    fn push(&mut self, octets: &[u8], out: &mut String) -> bool {
        if self.open.is_empty() {
            return self.take(octets, out);
        }
        let text = [std::mem::take(&mut self.open).as_slice(), octets].concat();
        self.take(&text, out)
    }

    fn take(&mut self, mut text: &[u8], out: &mut String) -> bool {
        let mut errors = false;
        while self.is != Is::Windows {
            let (valid, rest, bad) = match std::str::from_utf8(text) {
                Ok(valid) => (valid, &[][..], None),
                Err(error) => {
                    let (valid, rest) = text.split_at(error.valid_up_to());
                    let valid = std::str::from_utf8(valid).expect("it is valid up to there");
                    (valid, rest, error.error_len())
                }
            };
            out.push_str(valid);
            if !valid.is_ascii() {
                self.is = Is::Utf8;
            }
            let Some(bad) = bad else {
                self.open.extend_from_slice(rest);
                return errors;
            };
            errors = true;
            text = rest;
            if self.is == Is::Ascii {
                self.is = Is::Windows;
            } else {
                push_windows(&rest[..bad], out);
                text = &rest[bad..];
            }
        }
        push_windows(text, out);
        errors
    }

    fn finish(&mut self, out: &mut String) -> bool {
        let open = std::mem::take(&mut self.open);
        match self.is {
            _ if open.is_empty() => return false,
            Is::Ascii | Is::Windows => push_windows(&open, out),
            Is::Utf8 => out.push(char::REPLACEMENT_CHARACTER),
        }
        true
    }
}

fn push_windows(octets: &[u8], out: &mut String) {
    out.push_str(&encoding_rs::WINDOWS_1252.decode_without_bom_handling(octets).0);
}
