//! IMAP URLs of this server, as CATENATE has them (RFC 4469 §3, RFC 5092)

use mailwright_imap::{Section, SectionText};
use std::num::NonZeroU32;
use std::ops::Range;

/// What an absolute-path or relative URL refers to: octets of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// The mailbox; none for the one that is selected.
    pub(super) mailbox: Option<String>,
    pub(super) uid_validity: Option<u32>,
    pub(super) uid: NonZeroU32,
    pub(super) section: Section,
    /// Of the section, from where and how much.
    pub(super) partial: Option<(u64, Option<u64>)>,
}

impl Reference {
    /// Reads `/Mailbox;UIDVALIDITY=1/;UID=2/;SECTION=1.2/;PARTIAL=0.100`, of which the last two may be missing.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let (mailbox, rest) = match url.strip_prefix('/') {
            Some(path) => {
                let (mailbox, rest) = path.split_once("/;")?;
                (Some(mailbox), rest)
            }
            None => (None, url.strip_prefix(';')?),
        };
        let (mut uid, mut section, mut partial) = (None, Section::default(), None);
        for part in rest.split("/;") {
            let (name, value) = part.split_once('=')?;
            match name.to_ascii_uppercase().as_str() {
                "UID" if uid.is_none() => uid = value.parse().ok(),
                "SECTION" => section = parse_section(&unescape(value)?)?,
                "PARTIAL" => partial = Some(parse_partial(value)?),
                _ => return None,
            }
        }
        let (mailbox, uid_validity) = match mailbox {
            None => (None, None),
            Some(mailbox) => match split_validity(mailbox) {
                Some((name, validity)) => (Some(unescape(name)?), Some(validity.parse().ok()?)),
                None => (Some(unescape(mailbox)?), None),
            },
        };
        Some(Self {
            mailbox: mailbox.filter(|name| !name.is_empty()),
            uid_validity,
            uid: uid?,
            section,
            partial,
        })
    }

    /// The octets of a section that are meant; none if they lie behind its end.
    pub(super) fn within(&self, section: Range<u64>) -> Range<u64> {
        let Some((from, len)) = self.partial else {
            return section;
        };
        let start = section.start.saturating_add(from).min(section.end);
        let end = len.map_or(section.end, |len| start.saturating_add(len).min(section.end));
        start..end
    }
}

fn split_validity(mailbox: &str) -> Option<(&str, &str)> {
    let at = mailbox.to_ascii_uppercase().find(";UIDVALIDITY=")?;
    Some((&mailbox[..at], &mailbox[at + ";UIDVALIDITY=".len()..]))
}

fn parse_partial(value: &str) -> Option<(u64, Option<u64>)> {
    match value.split_once('.') {
        Some((from, len)) => Some((from.parse().ok()?, Some(len.parse().ok()?))),
        None => Some((value.parse().ok()?, None)),
    }
}

/// `1.2`, `1.2.MIME`, `HEADER`, `1.TEXT`; single fields cannot be told apart from others by range, and are not taken.
fn parse_section(text: &str) -> Option<Section> {
    let mut section = Section::default();
    let mut words = text.split('.').peekable();
    while let Some(number) = words.peek().and_then(|word| word.parse().ok()) {
        section.part.push(number);
        words.next();
    }
    section.text = match (words.next(), words.next()) {
        (None, _) => SectionText::All,
        (Some(word), None) => match word.to_ascii_uppercase().as_str() {
            "HEADER" => SectionText::Header,
            "TEXT" => SectionText::Text,
            "MIME" if !section.part.is_empty() => SectionText::Mime,
            _ => return None,
        },
        _ => return None,
    };
    Some(section)
}

/// Takes off percent-encoding.
fn unescape(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'%' => {
                let digits = [rest.next()?, rest.next()?].map(|digit| char::from(digit).to_digit(16));
                let [Some(high), Some(low)] = digits else {
                    return None;
                };
                (high * 16 + low) as u8
            }
            octet => octet,
        });
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read() {
        let url = "/Dr%C3%A4fte/Two;UIDVALIDITY=385759045/;UID=20/;SECTION=1.2.MIME/;PARTIAL=5.10";
        let reference = Reference::parse(url).unwrap();
        assert_eq!(reference.mailbox.as_deref(), Some("Dräfte/Two"));
        assert_eq!(
            (reference.uid_validity, reference.uid.get()),
            (Some(385_759_045), 20)
        );
        assert_eq!(reference.section.part.len(), 2);
        assert_eq!(reference.section.text, SectionText::Mime);
        assert_eq!(reference.within(100..200), 105..115);
        assert_eq!(reference.within(100..103), 103..103);

        let reference = Reference::parse(";UID=7").unwrap();
        assert_eq!((reference.mailbox, reference.uid.get()), (None, 7));
        assert_eq!(reference.section, Section::default());
        let reference = Reference::parse("/INBOX/;uid=1/;section=HEADER").unwrap();
        assert_eq!(
            (reference.section.text, reference.uid_validity),
            (SectionText::Header, None)
        );
    }

    #[test]
    fn others_are_not() {
        for url in [
            "",
            "imap://other.example/INBOX/;UID=1",
            "/INBOX",
            "/INBOX/;UID=0",
            "/INBOX/;UID=1/;SECTION=1.HEADER.FIELDS",
            "/INBOX/;UID=1/;PARTIAL=x",
            "/INBOX/;UID=1/;EXPIRE=2",
            "/IN%zzBOX/;UID=1",
            "/IN%8/;UID=1",
            "/%ff/;UID=1",
            "/INBOX;UIDVALIDITY=x/;UID=1",
        ] {
            assert_eq!(Reference::parse(url), None, "{url}");
        }
    }
}
