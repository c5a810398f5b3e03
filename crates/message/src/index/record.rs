//! Writes the body structure and envelope of a part into its record

use super::format::{KIND_LEAF, KIND_OPAQUE};
use super::format::{put_block, put_number, put_string};
use crate::address_list::{self, RawItem};
use crate::lex::token;
use crate::parameters::{ContentType, Disposition, Parameter};
use crate::{DefectKind, field};

macro_rules! slots {
    ($($slot:ident $name:literal $of_envelope:literal,)*) => {
        /// A field whose value the record needs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Slot {
            $($slot,)*
        }

        impl Slot {
            const COUNT: usize = [$($name.len()),*].len();

            #[cfg(test)]
            const ALL: [Self; Self::COUNT] = [$(Self::$slot),*];

            fn name(self) -> &'static [u8] {
                match self {
                    $(Self::$slot => $name,)*
                }
            }

            pub(super) fn is_of_envelope(self) -> bool {
                match self {
                    $(Self::$slot => $of_envelope,)*
                }
            }
        }
    };
}

slots! {
    Date b"Date" true,
    Subject b"Subject" true,
    From b"From" true,
    Sender b"Sender" true,
    ReplyTo b"Reply-To" true,
    To b"To" true,
    Cc b"Cc" true,
    Bcc b"Bcc" true,
    InReplyTo b"In-Reply-To" true,
    MessageId b"Message-ID" true,
    References b"References" true,
    ContentType b"Content-Type" false,
    Encoding b"Content-Transfer-Encoding" false,
    Id b"Content-ID" false,
    Description b"Content-Description" false,
    Md5 b"Content-MD5" false,
    Disposition b"Content-Disposition" false,
    Language b"Content-Language" false,
    Location b"Content-Location" false,
}

impl Slot {
    /// The slot of a field; most names are told apart by their length and first letter.
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        let slot = match (name.len(), name.first()? | 0x20) {
            (2, b't') => Self::To,
            (2, b'c') => Self::Cc,
            (3, b'b') => Self::Bcc,
            (4, b'd') => Self::Date,
            (4, b'f') => Self::From,
            (6, b's') => Self::Sender,
            (7, b's') => Self::Subject,
            (8, b'r') => Self::ReplyTo,
            (10, b'm') => Self::MessageId,
            (10, b'r') => Self::References,
            (10, b'c') => Self::Id,
            (11, b'i') => Self::InReplyTo,
            (11, b'c') => Self::Md5,
            (12, b'c') => Self::ContentType,
            (16, b'c') if name[9] | 0x20 == b'a' => Self::Language,
            (16, b'c') => Self::Location,
            (19, b'c') if name[9] | 0x20 == b'e' => Self::Description,
            (19, b'c') => Self::Disposition,
            (25, b'c') => Self::Encoding,
            _ => return None,
        };
        name.eq_ignore_ascii_case(slot.name()).then_some(slot)
    }
}

/// The values of one header that the record needs: each as slot, length (u32), octets.
#[derive(Debug, Default)]
pub(super) struct Values<'a> {
    values: [Option<&'a [u8]>; Slot::COUNT],
}

impl<'a> Values<'a> {
    /// Reads what [`put_value`] wrote.
    pub(super) fn read(mut block: &'a [u8]) -> Self {
        let mut values = [None; Slot::COUNT];
        while let [slot, a, b, c, d, rest @ ..] = block {
            let len = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
            let (value, rest) = rest.split_at(len.min(rest.len()));
            if let Some(place) = values.get_mut(usize::from(*slot)) {
                *place = Some(value);
            }
            block = rest;
        }
        Self { values }
    }
}

/// Appends a value for [`Values::read`].
pub(super) fn put_value(slot: Slot, value: &[u8], out: &mut Vec<u8>) {
    let [a, b, c, d] = (value.len() as u32).to_le_bytes();
    out.extend_from_slice(&[slot as u8, a, b, c, d]);
    out.extend_from_slice(value);
}

/// Memory that one record after the other is written with.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    structure: Vec<u8>,
    list: Vec<u8>,
}

/// What a record may hold.
#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) max_addresses: usize,
    pub(super) max_parameters: usize,
    /// Octets of text that are left.
    pub(super) text: usize,
    /// The limits that cut something.
    pub(super) cut: Vec<DefectKind>,
}

impl Bounds {
    /// Whether a text still fits.
    fn fits(&mut self, len: usize) -> bool {
        if len <= self.text {
            self.text -= len;
            return true;
        }
        self.text = 0;
        self.cut(DefectKind::TooMuchText);
        false
    }

    fn cut(&mut self, kind: DefectKind) {
        if !self.cut.contains(&kind) {
            self.cut.push(kind);
        }
    }

    fn cut_if(&mut self, cut: bool, kind: DefectKind) {
        if cut {
            self.cut(kind);
        }
    }
}

impl<'a> Values<'a> {
    pub(super) fn value(&self, slot: Slot) -> Option<&'a [u8]> {
        self.values[slot as usize]
    }

    /// Appends the record of a part.
    pub(super) fn write(
        &self,
        kind: u8,
        with_envelope: bool,
        bounds: &mut Bounds,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) {
        put_block(out, &mut scratch.structure, |out| {
            self.write_structure(kind, bounds, out);
        });
        if with_envelope {
            self.write_envelope(bounds, &mut scratch.list, out);
        }
    }

    fn write_structure(&self, kind: u8, bounds: &mut Bounds, out: &mut Vec<u8>) {
        let (content_type, cut) = match self.value(Slot::ContentType) {
            Some(value) => ContentType::parse_limited(value, bounds.max_parameters),
            None => (None, false),
        };
        bounds.cut_if(cut, DefectKind::TooManyParameters);
        match (content_type, kind) {
            (_, KIND_OPAQUE) => put_type(b"application", b"octet-stream", out),
            (Some(t), _) => {
                let names = bounds.fits(t.media_type().len() + t.subtype().len());
                let (media_type, subtype) = match names {
                    true => (t.media_type().as_bytes(), t.subtype().as_bytes()),
                    false => (&b"application"[..], &b"octet-stream"[..]),
                };
                put_string(Some(media_type), out);
                put_string(Some(subtype), out);
                put_parameters(t.parameters(), bounds, out);
            }
            (None, KIND_LEAF) => {
                put_string(Some(b"text"), out);
                put_string(Some(b"plain"), out);
                put_number(1, out);
                put_string(Some(b"charset"), out);
                put_string(Some(b"us-ascii"), out);
            }
            (None, _) => put_type(b"message", b"rfc822", out),
        }
        for slot in [Slot::Id, Slot::Description] {
            self.put_unfolded(slot, bounds, out);
        }
        let encoding = self
            .value(Slot::Encoding)
            .map(token)
            .filter(|name| !name.is_empty());
        put_fitting(encoding, bounds, out);
        self.put_unfolded(Slot::Md5, bounds, out);
        let (disposition, cut) = match self.value(Slot::Disposition) {
            Some(value) => Disposition::parse_limited(value, bounds.max_parameters),
            None => (None, false),
        };
        bounds.cut_if(cut, DefectKind::TooManyParameters);
        put_fitting(disposition.as_ref().map(|d| d.kind().as_bytes()), bounds, out);
        put_parameters(disposition.as_ref().map_or(&[], |d| d.parameters()), bounds, out);
        self.put_languages(bounds, out);
        self.put_unfolded(Slot::Location, bounds, out);
    }

    fn write_envelope(&self, bounds: &mut Bounds, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
        for slot in [
            Slot::Date,
            Slot::Subject,
            Slot::InReplyTo,
            Slot::MessageId,
            Slot::References,
        ] {
            self.put_unfolded(slot, bounds, out);
        }
        for slot in [
            Slot::From,
            Slot::Sender,
            Slot::ReplyTo,
            Slot::To,
            Slot::Cc,
            Slot::Bcc,
        ] {
            let value = self.value(slot).unwrap_or_default();
            put_block(out, scratch, |out| put_addresses(value, bounds, out));
        }
    }

    fn put_unfolded(&self, slot: Slot, bounds: &mut Bounds, out: &mut Vec<u8>) {
        let value = self.value(slot).map(field::unfold);
        put_fitting(value.as_deref(), bounds, out);
    }

    fn put_languages(&self, bounds: &mut Bounds, out: &mut Vec<u8>) {
        let value = self.value(Slot::Language).unwrap_or_default();
        let tags: Vec<&[u8]> = value
            .split(|b| *b == b',')
            .map(token)
            .filter(|tag| !tag.is_empty())
            .take(bounds.max_parameters)
            .collect();
        put_number(tags.len() as u64, out);
        for tag in tags {
            put_fitting(Some(tag), bounds, out);
        }
    }
}

fn put_type(media_type: &[u8], subtype: &[u8], out: &mut Vec<u8>) {
    put_string(Some(media_type), out);
    put_string(Some(subtype), out);
    put_number(0, out);
}

fn put_fitting(string: Option<&[u8]>, bounds: &mut Bounds, out: &mut Vec<u8>) {
    put_string(string.filter(|string| bounds.fits(string.len())), out);
}

/// A value that came with a charset is stored as RFC 9051 §7.5.2 wants it told: in one piece under `name*`, in
/// UTF-8; where it turns out to be plain ASCII, under its plain name.
fn put_parameters(parameters: &[Parameter<'_>], bounds: &mut Bounds, out: &mut Vec<u8>) {
    let len = |p: &Parameter<'_>| p.name().len() + p.octets().len() * if p.is_extended() { 3 } else { 1 } + 8;
    let fitting = parameters.iter().take_while(|p| bounds.fits(len(p))).count();
    put_number(fitting as u64, out);
    for parameter in &parameters[..fitting] {
        let octets = parameter.octets();
        let plain = octets.iter().all(|b| (b' '..=b'~').contains(b));
        if !parameter.is_extended() || plain {
            put_string(Some(parameter.name().as_bytes()), out);
            put_string(Some(octets), out);
        } else {
            put_string(Some(format!("{}*", parameter.name()).as_bytes()), out);
            put_string(Some(extended_value(octets).as_bytes()), out);
        }
    }
}

/// The value in the form of RFC 2231 §4: `utf-8''%E2%82%AC`.
fn extended_value(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut value = String::from("utf-8''");
    for byte in octets {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            value.push(char::from(*byte));
        } else {
            value.push('%');
            value.push(char::from(DIGITS[usize::from(byte >> 4)]));
            value.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    value
}

/// Four strings for each address, in the shape of RFC 9051 §7.5.2.
fn put_addresses(value: &[u8], bounds: &mut Bounds, out: &mut Vec<u8>) {
    let max = bounds.max_addresses;
    let (mut full, mut in_group) = (false, false);
    let cut = address_list::walk(value, max, |item| {
        let strings = match &item {
            RawItem::Mailbox(m) => [
                m.name.as_deref(),
                m.route.as_deref(),
                Some(&*m.local_part),
                Some(&*m.domain),
            ],
            RawItem::GroupStart(name) => [None, None, Some(&**name), None],
            RawItem::GroupEnd => [None; 4],
        };
        let len = strings.iter().flatten().map(|s| s.len() + 1).sum();
        full = full || !bounds.fits(len);
        // A group whose start is there needs its end.
        if !full || in_group && item == RawItem::GroupEnd {
            for string in strings {
                put_string(string, out);
            }
            in_group = matches!(item, RawItem::GroupStart(_)) || in_group && item != RawItem::GroupEnd;
        }
    });
    bounds.cut_if(cut, DefectKind::TooManyAddresses);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_is_found_by_its_name() {
        for slot in Slot::ALL {
            assert_eq!(Slot::of(slot.name()), Some(slot));
            assert_eq!(Slot::of(&slot.name().to_ascii_uppercase()), Some(slot));
            assert_eq!(Slot::of(&[slot.name(), b"x"].concat()), None);
            let unlike = [&slot.name()[..1], &vec![b'!'; slot.name().len() - 1]].concat();
            assert_eq!(Slot::of(&unlike), None);
        }
        assert_eq!(Slot::of(b""), None);
    }

    #[test]
    fn values_round_trip() {
        let mut block = Vec::new();
        put_value(Slot::Location, b"", &mut block);
        put_value(Slot::Date, b"today", &mut block);
        let values = Values::read(&block);
        assert_eq!(values.value(Slot::Date), Some(&b"today"[..]));
        assert_eq!(values.value(Slot::Location), Some(&b""[..]));
        assert_eq!(values.value(Slot::To), None);
    }
}
