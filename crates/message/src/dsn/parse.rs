//! Reads message/delivery-status (RFC 3464 §2)

use super::{Action, Extension, Recipient, Report, Status, Typed};
use crate::date;
use crate::header::{self, Field};
use crate::index::{Index, Kind};

impl Report {
    /// Reads the report in a message, from its first part of type message/delivery-status (or, RFC 6533,
    /// message/global-delivery-status).
    ///
    /// `message` is what `index` is the index of. `None` when there is no such part, or it tells of no
    /// recipient. Fields that are missing or damaged are passed over where that makes sense: a recipient needs
    /// its Final-Recipient and an Action, and a missing Status follows from the Action.
    pub fn parse(index: &Index, message: &[u8]) -> Option<Self> {
        let part = index.parts().find(|part| {
            let structure = part.body_structure();
            let subtype = structure.subtype();
            part.kind() == Kind::Leaf
                && structure.media_type().eq_ignore_ascii_case(b"message")
                && (subtype.eq_ignore_ascii_case(b"delivery-status")
                    || subtype.eq_ignore_ascii_case(b"global-delivery-status"))
        })?;
        let body = part.body();
        let body = message.get(usize::try_from(body.start).ok()?..usize::try_from(body.end).ok()?)?;
        let body = part.decode(body);
        let mut report = Self::new(Typed::new("", ""));
        for block in Blocks(&body) {
            match recipient(block) {
                Some(recipient) => report.recipients.push(recipient),
                None => report.per_message(block),
            }
        }
        (!report.recipients.is_empty()).then_some(report)
    }

    fn per_message(&mut self, block: &[u8]) {
        for field in header::fields(block) {
            if field.is("Reporting-MTA") {
                self.reporting_mta = typed(&field);
            } else if field.is("Original-Envelope-Id") {
                self.original_envelope_id = Some(text(&field));
            } else if field.is("DSN-Gateway") {
                self.gateway = Some(typed(&field));
            } else if field.is("Received-From-MTA") {
                self.received_from_mta = Some(typed(&field));
            } else if field.is("Arrival-Date") {
                self.arrival_date = date::parse(field.value);
            } else {
                self.extensions.extend(Extension::read(&field));
            }
        }
    }
}

fn recipient(block: &[u8]) -> Option<Recipient> {
    let find = |name| header::find(block, name);
    let final_recipient = typed(&find("Final-Recipient")?);
    let action = text(&find("Action")?);
    let word = action.split([' ', '(']).next().unwrap_or_default();
    let action = Action::of(word)?;
    let status = find("Status").and_then(|field| Status::find(&text(&field)));
    let status = status.unwrap_or(match action {
        Action::Failed => Status::FAILED,
        Action::Delayed => Status::DELAYED,
        Action::Delivered | Action::Relayed | Action::Expanded => Status::DELIVERED,
    });
    let date = |name| find(name).and_then(|field| date::parse(field.value));
    Some(Recipient {
        original_recipient: find("Original-Recipient").map(|field| typed(&field)),
        remote_mta: find("Remote-MTA").map(|field| typed(&field)),
        diagnostic: find("Diagnostic-Code").map(|field| typed(&field)),
        localized_diagnostics: header::fields(block)
            .filter(|field| field.is("Localized-Diagnostic"))
            .map(|field| typed(&field))
            .collect(),
        last_attempt: date("Last-Attempt-Date"),
        final_log_id: find("Final-Log-ID").map(|field| text(&field)),
        will_retry_until: date("Will-Retry-Until"),
        extensions: header::fields(block)
            .filter_map(|field| Extension::read(&field))
            .collect(),
        ..Recipient::new(final_recipient, action, status)
    })
}

fn text(field: &Field<'_>) -> String {
    header::decode(field.value)
}

pub(crate) fn typed(field: &Field<'_>) -> Typed {
    let text = text(field);
    let (kind, value) = text.split_once(';').unwrap_or(("", &text));
    let (kind, value) = (kind.trim(), value.trim());
    if kind.eq_ignore_ascii_case("utf-8") {
        return Typed::new(kind, unescape(value));
    }
    Typed::new(kind, value)
}

/// Resolves the `\x{HEX}` of RFC 6533 §3.
fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find("\\x{") {
        out.push_str(&rest[..at]);
        let escape = &rest[at + 3..];
        // Six digits at the most: a brace that never closes is looked for only there.
        let digits = escape.bytes().take(7).position(|b| b == b'}');
        let decoded = digits.and_then(|end| {
            let code = u32::from_str_radix(escape.get(..end)?, 16).ok()?;
            Some((char::from_u32(code)?, end))
        });
        match decoded {
            Some((c, end)) => {
                out.push(c);
                rest = &escape[end + 1..];
            }
            None => {
                out.push_str("\\x{");
                rest = escape;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Groups of lines between empty lines.
struct Blocks<'a>(&'a [u8]);

impl<'a> Iterator for Blocks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (mut start, mut len) = (0, 0);
        for line in self.0.split_inclusive(|b| *b == b'\n') {
            match (header::is_blank_line(line), len) {
                (true, 0) => start += line.len(),
                (true, _) => break,
                (false, _) => len += line.len(),
            }
        }
        let (block, rest) = self.0[start..].split_at(len);
        self.0 = rest;
        (len > 0).then_some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_rfc_6533() {
        for (escaped, plain) in [
            ("\\x{C3BC}@b", "\u{c3bc}@b"),
            ("a\\x{FC}b\\x{2B}", "aüb+"),
            ("\\x{", "\\x{"),
            ("\\x{FFFFFFFFFFF}", "\\x{FFFFFFFFFFF}"),
            ("\\x{D800}ü", "\\x{D800}ü"),
            ("\\x{üüü}", "\\x{üüü}"),
        ] {
            assert_eq!(unescape(escaped), plain);
        }
    }

    #[test]
    fn blocks_between_empty_lines() {
        let blocks: Vec<&[u8]> = Blocks(b"\r\n\na: 1\r\nb: 2\r\n\r\n\r\nc: 3").collect();
        assert_eq!(blocks, [&b"a: 1\r\nb: 2\r\n"[..], b"c: 3"]);
    }
}
