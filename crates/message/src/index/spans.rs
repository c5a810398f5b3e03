//! Spans that signatures and encryption are about (RFC 6376 §5.4, RFC 1847, RFC 3156, RFC 8551)

use std::collections::HashMap;
use std::ops::Range;

use super::{FieldSpans, Index, Kind, Part};
use crate::field;

impl Index {
    /// The header fields that a DKIM or ARC signature is over, in the order in which they are signed.
    ///
    /// `header` is the octets of the root's [`Part::header`]; `names` is what the `h=` tag lists. Each name takes the
    /// last field of that name that is not taken yet; for one too many there is `None` (RFC 6376 §5.4.2). The body
    /// that is signed is [`Part::body`] of the root.
    ///
    /// ```
    /// use mailwright_message::Index;
    ///
    /// let message = b"Received: by b\r\nReceived: by a\r\nFrom: a@b\r\n\r\nbody";
    /// let index = Index::of(message);
    /// let header = &message[..index.root().header().end as usize];
    /// let signed = index.signed_fields(header, ["from", "received", "from"]);
    /// assert_eq!(signed[1].unwrap().value, b" by a");
    /// assert!(signed[2].is_none());
    /// ```
    pub fn signed_fields<'m, N: AsRef<[u8]>>(
        &self,
        header: &'m [u8],
        names: impl IntoIterator<Item = N>,
    ) -> Vec<Option<field::Field<'m>>> {
        let mut by_name: HashMap<Vec<u8>, Vec<field::Field<'m>>> = HashMap::new();
        for field in self.root().fields_in(header) {
            by_name
                .entry(field.name.to_ascii_lowercase())
                .or_default()
                .push(field);
        }
        let mut take = |name: N| by_name.get_mut(&name.as_ref().to_ascii_lowercase())?.pop();
        names.into_iter().map(&mut take).collect()
    }
}

impl<'a> Part<'a> {
    /// The fields of the header. `header` is the octets of [`Part::header`].
    pub fn fields_in<'m>(&self, header: &'m [u8]) -> Fields<'a, 'm> {
        Fields {
            spans: self.fields(),
            start: self.header().start,
            header,
            name: None,
        }
    }

    /// The fields of one name; from the bottom with [`Iterator::rev`]. `header` is the octets of [`Part::header`].
    ///
    /// ```
    /// use mailwright_message::Index;
    ///
    /// let message = b"Received: by b\r\nReceived: by a\r\n\r\n";
    /// let index = Index::of(message);
    /// let mut received = index.root().fields_named(message, "received").rev();
    /// assert_eq!(received.nth(1).unwrap().value, b" by b");
    /// ```
    pub fn fields_named<'m>(&self, header: &'m [u8], name: &'m str) -> Fields<'a, 'm> {
        Fields {
            name: Some(name.as_bytes()),
            ..self.fields_in(header)
        }
    }

    /// The first field of a name. `header` is the octets of [`Part::header`].
    pub fn field<'m>(&self, header: &'m [u8], name: &'m str) -> Option<field::Field<'m>> {
        self.fields_named(header, name).next()
    }

    /// What a multipart/signed signs, and the signature (RFC 1847 §2.1); `None` for any other part, and where it
    /// has not just the two parts.
    ///
    /// The octets that are signed are those of the first part, header included, without the line end before the
    /// delimiter. They are signed with CRLF at the line ends.
    pub fn signed(&self) -> Option<Signed<'a>> {
        let (content, signature) = self.pair_in(b"signed")?;
        Some(Signed {
            protocol: self.protocol(),
            octets: content.header().start..content.body().end,
            content,
            signature,
        })
    }

    /// The control part and the encrypted octets of a multipart/encrypted (RFC 1847 §2.2); `None` for any other
    /// part, and where it has not just the two parts. An application/pkcs7-mime is encrypted, or signed, as a whole.
    pub fn encrypted(&self) -> Option<Encrypted<'a>> {
        let (control, data) = self.pair_in(b"encrypted")?;
        Some(Encrypted {
            protocol: self.protocol(),
            control,
            data,
        })
    }

    fn pair_in(&self, subtype: &[u8]) -> Option<(Part<'a>, Part<'a>)> {
        let is_it =
            self.kind() == Kind::Multipart && self.body_structure().subtype().eq_ignore_ascii_case(subtype);
        let mut children = is_it.then(|| self.children())?;
        let pair = (children.next()?, children.next()?);
        children.next().is_none().then_some(pair)
    }

    fn protocol(&self) -> Protocol {
        let mut parameters = self.body_structure().parameters();
        let protocol = parameters.find(|(name, _)| name.eq_ignore_ascii_case(b"protocol"));
        let value = protocol.map(|(_, value)| value).unwrap_or_default();
        let is = |known: &str| value.eq_ignore_ascii_case(known.as_bytes());
        if is("application/pgp-signature") || is("application/pgp-encrypted") {
            Protocol::OpenPgp
        } else if is("application/pkcs7-signature") || is("application/x-pkcs7-signature") {
            Protocol::Smime
        } else {
            Protocol::Other
        }
    }
}

/// Who reads a signature or encrypted octets, by the `protocol` parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// OpenPGP (RFC 3156).
    OpenPgp,
    /// S/MIME (RFC 8551).
    Smime,
    /// Any other, or none named.
    Other,
}

/// The parts of a multipart/signed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Signed<'a> {
    /// Who reads the signature.
    pub protocol: Protocol,
    /// The octets that are signed, from the start of the message.
    pub octets: Range<u64>,
    /// The part that is signed.
    pub content: Part<'a>,
    /// The part with the signature.
    pub signature: Part<'a>,
}

/// The parts of a multipart/encrypted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Encrypted<'a> {
    /// Who reads it.
    pub protocol: Protocol,
    /// The part with what is needed to decrypt.
    pub control: Part<'a>,
    /// The part whose body is encrypted.
    pub data: Part<'a>,
}

/// Fields of an indexed header in memory, from the top or from the bottom.
#[derive(Debug, Clone)]
pub struct Fields<'a, 'm> {
    spans: FieldSpans<'a>,
    start: u64,
    header: &'m [u8],
    /// Only those of this name.
    name: Option<&'m [u8]>,
}

impl<'m> Fields<'_, 'm> {
    fn at(&self, range: &Range<u64>) -> Option<&'m [u8]> {
        let place = |at: u64| usize::try_from(at.saturating_sub(self.start)).ok();
        self.header.get(place(range.start)?..place(range.end)?)
    }

    /// The next field; those that `header` is too short for are none.
    fn step(&mut self, from_bottom: bool) -> Option<field::Field<'m>> {
        loop {
            if let Some(name) = self.name {
                self.spans.skip_names_unlike(name.len(), from_bottom);
            }
            let span = match from_bottom {
                false => self.spans.next()?,
                true => self.spans.next_back()?,
            };
            let (Some(name), Some(value), Some(raw)) =
                (self.at(&span.name), self.at(&span.value), self.at(&span.field))
            else {
                continue;
            };
            if self.name.is_none_or(|wanted| wanted.eq_ignore_ascii_case(name)) {
                let offset = span.field.start;
                return Some(field::Field {
                    name,
                    value,
                    raw,
                    offset,
                });
            }
        }
    }
}

impl<'m> Iterator for Fields<'_, 'm> {
    type Item = field::Field<'m>;

    fn next(&mut self) -> Option<field::Field<'m>> {
        self.step(false)
    }
}

impl DoubleEndedIterator for Fields<'_, '_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(true)
    }
}
