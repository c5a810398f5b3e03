//! Writes the body structure and envelope of a part into its record

use super::format::{put_block, put_number, put_string};
use crate::address_list::{self, RawItem};
use crate::lex::token;
use crate::parameters::{ContentType, Disposition, Parameter};
use crate::scan::{DefaultType, Nature};
use crate::{DefectKind, header};

macro_rules! slots {
    ($($slot:ident $name:literal $of_envelope:literal,)*) => {
        /// A field whose value the record needs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Slot {
            $($slot,)*
        }

        impl Slot {
            const COUNT: usize = [$($name.len()),*].len();

            pub(super) fn of(name: &[u8]) -> Option<Self> {
                // Most names are told apart by their lengths.
                $(if name.len() == $name.len() && name.eq_ignore_ascii_case($name) {
                    return Some(Self::$slot);
                })*
                None
            }

            fn is_of_envelope(self) -> bool {
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

/// The values of the innermost open header that the record needs, one after the other.
#[derive(Debug, Default)]
pub(super) struct Slots {
    octets: Vec<u8>,
    places: [Option<(u32, u32)>; Slot::COUNT],
    envelope: bool,
    scratch: Vec<u8>,
    block: Vec<u8>,
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

impl Slots {
    /// Starts a header; `envelope`: it is that of a message.
    pub(super) fn clear(&mut self, envelope: bool) {
        self.octets.clear();
        self.places = [None; Slot::COUNT];
        self.envelope = envelope;
    }

    /// Keeps a value; `false` if the header had this field before.
    pub(super) fn fill(&mut self, slot: Slot, value: &[u8]) -> bool {
        if slot.is_of_envelope() && !self.envelope {
            return true;
        }
        let place = &mut self.places[slot as usize];
        if place.is_some() {
            return false;
        }
        let from = self.octets.len();
        self.octets.extend_from_slice(value);
        *place = Some((from as u32, self.octets.len() as u32));
        true
    }

    pub(super) fn value(&self, slot: Slot) -> Option<&[u8]> {
        let (from, to) = self.places[slot as usize]?;
        self.octets.get(from as usize..to as usize)
    }

    /// Appends the record of the part.
    pub(super) fn write(
        &mut self,
        content_type: Option<&ContentType<'_>>,
        nature: Nature,
        with_envelope: bool,
        bounds: &mut Bounds,
        out: &mut Vec<u8>,
    ) {
        let mut block = std::mem::take(&mut self.block);
        put_block(out, &mut block, |out| {
            self.write_structure(content_type, nature, bounds, out);
        });
        self.block = block;
        if with_envelope {
            self.write_envelope(bounds, out);
        }
    }

    fn write_structure(
        &self,
        content_type: Option<&ContentType<'_>>,
        nature: Nature,
        bounds: &mut Bounds,
        out: &mut Vec<u8>,
    ) {
        match (content_type, nature) {
            (_, Nature::Opaque) => put_type(b"application", b"octet-stream", out),
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
            (
                None,
                Nature::Leaf {
                    default: DefaultType::Text,
                },
            ) => {
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

    fn write_envelope(&mut self, bounds: &mut Bounds, out: &mut Vec<u8>) {
        for slot in [
            Slot::Date,
            Slot::Subject,
            Slot::InReplyTo,
            Slot::MessageId,
            Slot::References,
        ] {
            self.put_unfolded(slot, bounds, out);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        for slot in [
            Slot::From,
            Slot::Sender,
            Slot::ReplyTo,
            Slot::To,
            Slot::Cc,
            Slot::Bcc,
        ] {
            let value = self.value(slot).unwrap_or_default();
            put_block(out, &mut scratch, |out| put_addresses(value, bounds, out));
        }
        self.scratch = scratch;
    }

    fn put_unfolded(&self, slot: Slot, bounds: &mut Bounds, out: &mut Vec<u8>) {
        let value = self.value(slot).map(header::unfold);
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
