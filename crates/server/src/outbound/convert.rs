//! An 8-bit message for a server that takes 7 bits only (RFC 6152 §3, RFC 2045 §6)

use bytes::Bytes;
use mailwright_message::build::Field;
use mailwright_message::edit::{Editor, Error};
use mailwright_message::header::Headers;
use mailwright_message::index::{Index, Kind, Part};
use mailwright_message::transfer::{Encoder, Encoding};
use std::ops::Range;

/// The longest message that is converted, in octets: it is held in memory, twice.
pub(super) const LONGEST: u64 = 16 << 20;

/// The same message in 7 bits: bodies of 8-bit parts in quoted-printable if they are text, else in base64. `None` if
/// there is no such form that says the same.
pub(super) fn to_seven_bit(message: &[u8]) -> Option<Bytes> {
    let index = Index::of(message);
    let octets = |range: Range<u64>| {
        let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
        message.get(range)
    };
    let mut editor = Editor::new(&index, message);
    // The depth of a part whose insides nobody may change.
    let mut sealed: Option<u16> = None;
    for part in index.parts() {
        if sealed.is_some_and(|depth| part.depth() <= depth) {
            sealed = None;
        }
        let body = octets(part.body())?;
        // RFC 5322 knows no 8-bit header, and RFC 6532 no way back to 7 bits.
        if !octets(part.header())?.is_ascii() {
            return None;
        }
        let header = Headers::new(octets(part.header())?);
        if sealed.is_none() && is_sealed(&header) {
            sealed = Some(part.depth());
        }
        match body.is_ascii() {
            false if sealed.is_some() => return None,
            _ if sealed.is_some() => {}
            is_ascii => lower(&mut editor, part, &header, body, is_ascii).ok()??,
        }
    }
    let converted = editor.finish().ok()?.to_vec(message);
    // What stands around the parts of a multipart belongs to none of them.
    converted.is_ascii().then(|| converted.into())
}

/// RFC 1847 §2.1, §2.2: a signature, or what else is made over such a body, holds for these very octets.
fn is_sealed(header: &Headers<'_>) -> bool {
    let kind = header.content_type();
    kind.is_some_and(|kind| kind.is("multipart", "signed") || kind.is("multipart", "encrypted"))
}

/// `None` if the body cannot be had in 7 bits.
fn lower(
    editor: &mut Editor<'_>,
    part: Part<'_>,
    header: &Headers<'_>,
    body: &[u8],
    is_ascii: bool,
) -> Result<Option<()>, Error> {
    let announced = header.raw("Content-Transfer-Encoding").unwrap_or_default();
    let is_raw = ["8bit", "binary"]
        .iter()
        .any(|raw| announced.trim_ascii().eq_ignore_ascii_case(raw.as_bytes()));
    let encoding = match (part.kind(), is_ascii) {
        (Kind::Leaf, false) if part.encoding() != Encoding::Identity => return Ok(None),
        (Kind::Leaf, false) if part.is_text() => Encoding::QuotedPrintable,
        (Kind::Leaf, false) => Encoding::Base64,
        // It says of the parts inside that they are 8-bit, and they will not be.
        (_, _) if is_raw => Encoding::Identity,
        _ => return Ok(Some(())),
    };
    let is_root_without_mime = part.depth() == 0 && header.raw("MIME-Version").is_none();
    if is_root_without_mime {
        editor.set_field(part, &Field::structured("MIME-Version", "1.0"))?;
        if header.raw("Content-Type").is_none() {
            // RFC 1428 §3: nobody knows what the octets mean.
            let unknown = Field::structured("Content-Type", "text/plain; charset=unknown-8bit");
            editor.set_field(part, &unknown)?;
        }
    }
    let name = match encoding {
        Encoding::QuotedPrintable => "quoted-printable",
        Encoding::Base64 => "base64",
        _ => "7bit",
    };
    editor.set_field(part, &Field::structured("Content-Transfer-Encoding", name))?;
    if encoding != Encoding::Identity {
        let mut encoder = Encoder::new(encoding);
        let mut encoded = Vec::with_capacity(body.len() / 2 * 3);
        encoder.push(body, &mut encoded);
        encoder.finish(&mut encoded);
        editor.replace_body(part, encoded)?;
    }
    Ok(Some(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each leaf says, without its transfer encoding.
    fn leaves(message: &[u8]) -> Vec<Vec<u8>> {
        let index = Index::of(message);
        let leaves = index.parts().filter(|part| part.kind() == Kind::Leaf);
        let body = |part: Part<'_>| {
            let range = part.body();
            part.decode(&message[range.start as usize..range.end as usize])
                .into_owned()
        };
        leaves.map(body).collect()
    }

    #[test]
    fn every_part_says_the_same_in_7_bits() {
        let message = "From: a@b.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\
            Content-Transfer-Encoding: 8bit\r\nX-Odd :kept as it is\r\n\r\n--x\r\nContent-Type: text/plain; charset=utf-8\r\n\
            Content-Transfer-Encoding: 8bit\r\n\r\nfünf \r\nFrom here\r\n--x\r\nContent-Type: application/octet-stream\r\n\
            Content-Transfer-Encoding: binary\r\n\r\nüü\r\n--x\r\nContent-Type: message/rfc822\r\n\
            Content-Transfer-Encoding: 8bit\r\n\r\nSubject: inside\r\nMIME-Version: 1.0\r\n\
            Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nélan\r\n--x\r\n\r\nplain\r\n--x--\r\n";
        let converted = to_seven_bit(message.as_bytes()).unwrap();
        let text = std::str::from_utf8(&converted).unwrap();
        assert!(converted.is_ascii(), "{text}");
        assert_eq!(leaves(&converted), leaves(message.as_bytes()), "{text}");
        assert!(text.contains("X-Odd :kept as it is\r\n"), "{text}");
        assert!(text.contains("f=C3=BCnf=20\r\n"), "{text}");
        assert!(text.contains("\r\n\r\nplain\r\n--x--\r\n"), "{text}");
        assert!(!text.contains("8bit") && !text.contains("binary"), "{text}");
    }

    #[test]
    fn a_message_without_mime_gets_it() {
        let converted = to_seven_bit(b"Subject: x\r\n\r\nf\xfcnf\r\n").unwrap();
        assert_eq!(
            std::str::from_utf8(&converted).unwrap(),
            "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\nf=FCnf\r\n"
        );
    }

    #[test]
    fn what_must_not_be_touched_is_not() {
        let signed = |inside: &str, outside: &str| {
            format!(
                "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\
                 Content-Type: multipart/signed; boundary=s; micalg=sha-256;\r\n protocol=\"application/pgp-signature\"\r\n\r\n\
                 --s\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{inside}\r\n--s\r\n\
                 Content-Type: application/pgp-signature\r\n\r\nsignature\r\n--s--\r\n--o\r\n\
                 Content-Type: text/plain; charset=utf-8\r\n\r\n{outside}\r\n--o--\r\n"
            )
        };
        assert_eq!(to_seven_bit(signed("fünf", "five").as_bytes()), None);
        let converted = to_seven_bit(signed("five", "fünf").as_bytes()).unwrap();
        let text = std::str::from_utf8(&converted).unwrap();
        let seal = |text: &str| {
            let (_, from) = text.split_once("--s\r\n").unwrap();
            from.split_once("--s--").unwrap().0.to_owned()
        };
        assert_eq!(seal(text), seal(&signed("five", "fünf")));
        assert!(text.contains("f=C3=BCnf"), "{text}");

        for lost in [
            "Subject: f\u{fc}nf\r\n\r\nbody\r\n",
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\nprélude\r\n--x\r\n\r\nplain\r\n--x--\r\n",
            "MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nf\u{fc}\r\n",
        ] {
            assert_eq!(to_seven_bit(lost.as_bytes()), None, "{lost}");
        }
    }
}
