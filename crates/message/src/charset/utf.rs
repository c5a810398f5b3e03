//! UTF-7 (RFC 2152), its form for IMAP (RFC 3501 §5.1.3), and UTF-32

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Big,
    Little,
    /// A byte order mark tells; without one, what makes the first character a character.
    Told,
}

impl Order {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Big => "UTF-32BE",
            Self::Little => "UTF-32LE",
            Self::Told => "UTF-32",
        }
    }
}

#[derive(Debug)]
pub(super) struct Utf32 {
    order: Order,
    open: [u8; 4],
    len: usize,
    started: bool,
}

impl Utf32 {
    pub(super) fn new(order: Order) -> Self {
        Self {
            order,
            open: [0; 4],
            len: 0,
            started: false,
        }
    }

    pub(super) fn push(&mut self, octets: &[u8], out: &mut String) -> bool {
        let mut errors = false;
        for byte in octets {
            self.open[self.len] = *byte;
            self.len += 1;
            if self.len == 4 {
                self.len = 0;
                errors |= self.unit(out);
            }
        }
        errors
    }

    fn unit(&mut self, out: &mut String) -> bool {
        let (big, little) = (u32::from_be_bytes(self.open), u32::from_le_bytes(self.open));
        if self.order == Order::Told {
            let is_little =
                little == MARK || char::from_u32(big).is_none() && char::from_u32(little).is_some();
            self.order = if is_little { Order::Little } else { Order::Big };
        }
        let code = if self.order == Order::Little { little } else { big };
        let is_mark = code == MARK && !std::mem::replace(&mut self.started, true);
        let c = char::from_u32(code);
        if !is_mark {
            out.push(c.unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        c.is_none()
    }

    pub(super) fn finish(&mut self, out: &mut String) -> bool {
        if self.len > 0 {
            out.push(char::REPLACEMENT_CHARACTER);
        }
        self.len > 0
    }
}

const MARK: u32 = 0xfeff;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Text,
    Imap,
}

impl Dialect {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "UTF-7",
            Self::Imap => "UTF-7-IMAP",
        }
    }
}

#[derive(Debug)]
pub(super) struct Utf7 {
    dialect: Dialect,
    /// Within base64: so many bits of a unit, and whether there was a symbol.
    bits: Option<(u32, u32, bool)>,
    /// The first of two surrogates.
    high: Option<u16>,
}

impl Utf7 {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            bits: None,
            high: None,
        }
    }

    pub(super) fn push(&mut self, octets: &[u8], out: &mut String) -> bool {
        let mut errors = false;
        for byte in octets {
            errors |= self.octet(*byte, out);
        }
        errors
    }

    pub(super) fn finish(&mut self, out: &mut String) -> bool {
        self.end(out)
    }

    fn octet(&mut self, byte: u8, out: &mut String) -> bool {
        let Some((bits, count, started)) = self.bits else {
            match byte {
                _ if char::from(byte) == self.opener() => self.bits = Some((0, 0, false)),
                0..=0x7f => out.push(char::from(byte)),
                _ => out.push(char::REPLACEMENT_CHARACTER),
            }
            return byte > 0x7f;
        };
        if let Some(value) = self.symbol(byte) {
            let (bits, count) = (bits << 6 | value, count + 6);
            if count < 16 {
                self.bits = Some((bits, count, true));
                return false;
            }
            let count = count - 16;
            self.bits = Some((bits & ((1 << count) - 1), count, true));
            return self.unit((bits >> count) as u16, out);
        }
        if byte == b'-' {
            if started {
                return self.end(out);
            }
            self.bits = None;
            out.push(self.opener());
            return false;
        }
        let errors = self.end(out);
        self.octet(byte, out) || errors || !started
    }

    fn opener(&self) -> char {
        if self.dialect == Dialect::Imap { '&' } else { '+' }
    }

    /// Ends base64.
    fn end(&mut self, out: &mut String) -> bool {
        let (bits, count, started) = self.bits.take().unwrap_or((0, 0, true));
        if !started {
            // An opener that opens nothing: somebody wrote a sum.
            out.push(self.opener());
            return true;
        }
        let left = count >= 6 || bits != 0;
        let high = self.high.take().is_some();
        if high || left {
            out.push(char::REPLACEMENT_CHARACTER);
        }
        high || left
    }

    fn unit(&mut self, unit: u16, out: &mut String) -> bool {
        let mut errors = false;
        match (self.high.take(), unit) {
            (Some(high), 0xdc00..=0xdfff) => {
                out.extend(char::decode_utf16([high, unit]).flatten());
                return false;
            }
            (Some(_), _) => {
                out.push(char::REPLACEMENT_CHARACTER);
                errors = true;
            }
            (None, _) => {}
        }
        if (0xd800..0xdc00).contains(&unit) {
            self.high = Some(unit);
            return errors;
        }
        let c = char::from_u32(u32::from(unit));
        out.push(c.unwrap_or(char::REPLACEMENT_CHARACTER));
        errors || c.is_none()
    }

    fn symbol(&self, byte: u8) -> Option<u32> {
        Some(u32::from(match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' if self.dialect == Dialect::Text => 63,
            b',' if self.dialect == Dialect::Imap => 63,
            _ => return None,
        }))
    }
}
