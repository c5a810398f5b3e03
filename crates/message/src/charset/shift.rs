//! Charsets of two octets a character in seven bits: ISO-2022-KR (RFC 1557), ISO-2022-CN (RFC 1922), HZ (RFC 1843)
//!
//! A filter turns them into their 8-bit forms, EUC-KR and GBK.

use encoding_rs::{EUC_KR, Encoding, GBK};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Korean,
    Chinese,
    Hz,
}

impl Scheme {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Korean => "ISO-2022-KR",
            Self::Chinese => "ISO-2022-CN",
            Self::Hz => "HZ-GB-2312",
        }
    }

    pub(super) fn encoding(self) -> &'static Encoding {
        match self {
            Self::Korean => EUC_KR,
            Self::Chinese | Self::Hz => GBK,
        }
    }
}

#[derive(Debug)]
pub(super) struct Filter {
    scheme: Scheme,
    /// Two octets make a character.
    shifted: bool,
    /// The first of two octets.
    first: Option<u8>,
    /// An escape sequence, or the tilde of HZ, that has not ended.
    escape: Vec<u8>,
    /// The set that ISO-2022-CN shifts to is one that is not known here.
    foreign: bool,
    /// The next two octets are of another set (ESC N).
    single: bool,
}

impl Filter {
    pub(super) fn new(scheme: Scheme) -> Self {
        Self {
            scheme,
            shifted: false,
            first: None,
            escape: Vec::new(),
            foreign: false,
            single: false,
        }
    }

    pub(super) fn push(&mut self, octets: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(octets.len() + 2);
        for byte in octets {
            match self.scheme {
                Scheme::Hz => self.hz(*byte, &mut out),
                Scheme::Korean | Scheme::Chinese => self.iso(*byte, &mut out),
            }
        }
        out
    }

    pub(super) fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.drop_first(&mut out);
        if !self.escape.is_empty() {
            out.push(BAD);
        }
        out
    }

    fn iso(&mut self, byte: u8, out: &mut Vec<u8>) {
        if !self.escape.is_empty() {
            self.escape.push(byte);
            match byte {
                0x20..=0x2f if self.escape.len() < 5 => {}
                _ => {
                    self.escaped(out);
                    self.escape.clear();
                }
            }
            return;
        }
        match byte {
            0x1b => {
                self.drop_first(out);
                self.escape.push(byte);
            }
            0x0e | 0x0f => {
                self.drop_first(out);
                self.shifted = byte == 0x0e;
            }
            b'\r' | b'\n' => {
                self.drop_first(out);
                self.shifted = false;
                out.push(byte);
            }
            0x21..=0x7e if self.shifted || self.single => self.half(byte, out),
            _ => {
                self.drop_first(out);
                out.push(byte);
            }
        }
    }

    fn escaped(&mut self, out: &mut Vec<u8>) {
        match &self.escape[1..] {
            b"$)C" | b"$)A" => self.foreign = false,
            b"$)G" | b"$)E" => self.foreign = true,
            b"$*H" => {}
            b"N" => self.single = true,
            _ => out.push(BAD),
        }
    }

    fn hz(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.escape.pop().is_some() {
            match byte {
                b'{' => self.shifted = true,
                b'}' => self.shifted = false,
                b'~' if !self.shifted => out.push(b'~'),
                b'\n' => {}
                _ => {
                    out.push(BAD);
                    self.hz(byte, out);
                }
            }
            return;
        }
        match byte {
            b'~' if self.first.is_none() => self.escape.push(byte),
            b'\r' | b'\n' => {
                self.drop_first(out);
                self.shifted = false;
                out.push(byte);
            }
            0x21..=0x7e if self.shifted => self.half(byte, out),
            _ => {
                self.drop_first(out);
                out.push(byte);
            }
        }
    }

    fn half(&mut self, byte: u8, out: &mut Vec<u8>) {
        let Some(first) = self.first.take() else {
            self.first = Some(byte);
            return;
        };
        if std::mem::take(&mut self.single) || self.foreign {
            out.push(BAD);
        } else {
            out.extend_from_slice(&[first | 0x80, byte | 0x80]);
        }
    }

    fn drop_first(&mut self, out: &mut Vec<u8>) {
        if self.first.take().is_some() {
            out.push(BAD);
        }
        self.single = false;
    }
}

/// Stands for nothing, neither in EUC-KR nor in GBK.
const BAD: u8 = 0xff;
