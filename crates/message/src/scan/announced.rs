//! What a Content-Type field says about how a body is read (RFC 2045 §5, RFC 2046 §5.1)

use super::level::Boundary;
use crate::lex;
use crate::parameters::ContentType;

/// What the scanner needs of a Content-Type field.
#[derive(Debug, Clone)]
pub(super) enum Announced {
    /// Nothing stands behind the colon.
    Empty,
    /// No type can be read.
    Invalid,
    Multipart {
        digest: bool,
        boundary: Boundary,
    },
    /// message/rfc822 or message/global.
    Message,
    Text,
    Other,
}

impl Announced {
    pub(super) fn read(value: &[u8], max_parameters: usize) -> Self {
        let (media_type, at) = token(value, 0, b"/;");
        let slash = lex::skip_cfws(value, at);
        let (subtype, at) = match value.get(slash) {
            Some(b'/') => token(value, slash + 1, b";"),
            _ => (&[][..], slash),
        };
        if media_type.is_empty() || subtype.is_empty() {
            return match value.trim_ascii().is_empty() {
                true => Self::Empty,
                false => Self::Invalid,
            };
        }
        if media_type.eq_ignore_ascii_case(b"text") {
            Self::Text
        } else if media_type.eq_ignore_ascii_case(b"multipart") {
            Self::Multipart {
                digest: subtype.eq_ignore_ascii_case(b"digest"),
                boundary: boundary(value, at, max_parameters),
            }
        } else if media_type.eq_ignore_ascii_case(b"message")
            && (subtype.eq_ignore_ascii_case(b"rfc822") || subtype.eq_ignore_ascii_case(b"global"))
        {
            Self::Message
        } else {
            Self::Other
        }
    }
}

fn token<'a>(value: &'a [u8], at: usize, ends: &[u8]) -> (&'a [u8], usize) {
    let from = lex::skip_cfws(value, at);
    let is_end = |b: &u8| lex::is_space(*b) || matches!(b, b'(' | b'"') || ends.contains(b);
    let len = value[from..]
        .iter()
        .position(is_end)
        .unwrap_or(value.len() - from);
    (&value[from..from + len], from + len)
}

fn boundary(value: &[u8], at: usize, max_parameters: usize) -> Boundary {
    let found = match plain_boundary(value, at, max_parameters) {
        Some(found) => return found.map_or(Boundary::None, Boundary::new),
        None => ContentType::parse_limited(value, max_parameters).0,
    };
    let boundary = found.as_ref().and_then(ContentType::boundary);
    boundary.map_or(Boundary::None, Boundary::new)
}

/// The boundary among parameters that are written plainly, as nearly all are; `None` where [`ContentType`] has to
/// be asked: for comments, quoted pairs, sections, and all that is odd.
fn plain_boundary(value: &[u8], mut at: usize, max: usize) -> Option<Option<&[u8]>> {
    let mut found = None;
    for count in 0.. {
        at = skip_spaces(value, at);
        match value.get(at) {
            None => return Some(found),
            Some(b';') => at = skip_spaces(value, at + 1),
            Some(_) => return None,
        }
        let rest = &value[at..];
        if rest.is_empty() {
            return Some(found);
        }
        let name = &rest[..rest
            .iter()
            .position(|b| !is_plain(*b) || matches!(b, b'=' | b'*'))?];
        if name.is_empty() || rest.get(name.len()) != Some(&b'=') || count == max {
            return None;
        }
        let rest = &rest[name.len() + 1..];
        let (text, len) = match rest.first()? {
            b'"' => {
                let len = rest[1..]
                    .iter()
                    .position(|b| matches!(b, b'"' | b'\\' | b'\r' | b'\n' | 0))?;
                (&rest[1..=len], (rest[len + 1] == b'"').then_some(len + 2)?)
            }
            _ => {
                let len = rest.iter().position(|b| !is_plain(*b)).unwrap_or(rest.len());
                (&rest[..len], len)
            }
        };
        if found.is_none() && name.eq_ignore_ascii_case(b"boundary") {
            let text = text.trim_ascii_end();
            found = (!text.is_empty()).then_some(text);
            // An empty one is not looked past.
            found?;
        }
        at += name.len() + 1 + len;
    }
    None
}

fn skip_spaces(value: &[u8], at: usize) -> usize {
    let rest = &value[at..];
    at + rest
        .iter()
        .position(|b| !matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
        .unwrap_or(rest.len())
}

/// Octets that mean nothing but themselves in a parameter.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'(' | b')' | b'\\' | b';' | b',')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same, by the full reading of the field.
    fn slow(value: &[u8]) -> (bool, Option<Vec<u8>>) {
        let content_type = ContentType::parse(value);
        let multipart = content_type
            .as_ref()
            .filter(|t| t.media_type().eq_ignore_ascii_case("multipart"));
        let boundary = multipart.and_then(|t| t.boundary().map(<[u8]>::to_vec));
        (content_type.is_some(), boundary)
    }

    fn fast(value: &[u8]) -> (bool, Option<Vec<u8>>) {
        match Announced::read(value, usize::MAX) {
            Announced::Empty | Announced::Invalid => (false, None),
            Announced::Multipart { boundary, .. } => (true, boundary.octets().map(<[u8]>::to_vec)),
            _ => (true, None),
        }
    }

    #[test]
    fn boundaries_plain_and_odd() {
        let long = format!("multipart/mixed; boundary={}", "x".repeat(90));
        for value in [
            "multipart/mixed; boundary=b",
            " Multipart/Mixed;\r\n\tcharset=x; BOUNDARY=\"a b \" ",
            "multipart/mixed; boundary=\"a\\\"b\"",
            "multipart/mixed; boundary*0=a; boundary*1=b",
            "multipart/mixed; boundary=a b; c=d",
            "multipart/mixed (c); (d) boundary (e) = (f) b (g)",
            "multipart/mixed; boundary=; boundary=b",
            "multipart/mixed; boundary=a; boundary=b;",
            "multipart/mixed; boundary=\"\"",
            "multipart/mixed boundary=b",
            "multipart/mixed; boundary=\"b",
            &long,
        ] {
            assert_eq!(fast(value.as_bytes()), slow(value.as_bytes()), "{value}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_full_reading(rest in "([ ;=\"\\\\(),*a-c]|boundary=|; |\r\n |\"b\"){0,12}", start in 0usize..5) {
            let start = ["multipart/x", "multipart / x;", "", "a/b", "multipart/x; boundary="][start];
            let value = format!("{start}{rest}");
            prop_assert_eq!(fast(value.as_bytes()), slow(value.as_bytes()), "{}", value);
        }
    }
}
