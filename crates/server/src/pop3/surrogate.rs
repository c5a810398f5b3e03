//! Headers for clients that are not in UTF-8 mode (RFC 6856 §2.1, RFC 6858)
//!
//! A message whose header is UTF-8 (RFC 6532) goes out with one that is ASCII: texts as encoded words (RFC 2047),
//! addresses that are not ASCII as ones that cannot exist, parameters that are not ASCII left out, and fields of which
//! nothing can be kept left out. The headers of its parts are sent as they are.

use mailwright_message::address_list::{self, Address, Mailbox};
use mailwright_message::build::{self, Field};
use mailwright_message::header;

/// How much of a message is looked at for the end of its header, in octets. A longer header goes out as it is.
pub(super) const MAX_HEADER: usize = 256 * 1024;

/// Where the header of a message ends, behind its blank line, if that is in `start`.
pub(super) fn header_end(start: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = start[at..].iter().position(|b| *b == b'\n')? + 1;
        if matches!(&start[at..at + line], b"\n" | b"\r\n") {
            return Some(at + line);
        }
        at += line;
    }
}

/// Another header in place of one that holds UTF-8; `None` if it need not, or cannot, be another: octets that are
/// neither ASCII nor UTF-8 are the fault of whoever sent them.
pub(super) fn surrogate(header: &[u8]) -> Option<Vec<u8>> {
    if header.is_ascii() {
        return None;
    }
    core::str::from_utf8(header).ok()?;
    let mut out = Vec::with_capacity(header.len() + header.len() / 2);
    for field in header::fields(header) {
        if field.raw.is_ascii() {
            out.extend_from_slice(field.raw);
        } else if let Some(field) = rewritten(&field) {
            out.extend_from_slice(&field);
        }
    }
    out.extend_from_slice(b"\r\n");
    Some(out)
}

fn rewritten(field: &header::Field<'_>) -> Option<Vec<u8>> {
    let name = core::str::from_utf8(field.name).ok()?;
    let is = |names: &[&str]| names.iter().any(|n| n.eq_ignore_ascii_case(name));
    let written = if is(ADDRESSES) {
        let value = field.unfolded();
        let list: Vec<_> = address_list::parse(&value).iter().map(address).collect();
        Field::addresses(name, list).to_bytes()
    } else if is(PARAMETERS) {
        let value = field.unfolded();
        let kept: Vec<_> = split(core::str::from_utf8(&value).ok()?)
            .filter(|parameter| parameter.is_ascii())
            .collect();
        Field::structured(name, kept.join("; ")).to_bytes()
    } else if is(IDENTIFIERS) {
        return None;
    } else {
        Field::text(name, field.text()).to_bytes()
    };
    written.ok().filter(|written| written.is_ascii())
}

/// RFC 6858 §2.1: an address that a conventional client can show, and that nobody can write to by mistake.
fn address(address: &Address<'_>) -> build::Address<'static> {
    match address {
        Address::Mailbox(mailbox) => conventional(mailbox),
        Address::Group(group) => {
            let members: Vec<_> = group.mailboxes.iter().map(conventional).collect();
            build::Address::group(group.name.to_string(), members)
        }
    }
}

fn conventional(mailbox: &Mailbox<'_>) -> build::Address<'static> {
    let written = format!("{}@{}", mailbox.local_part, mailbox.domain);
    let name = mailbox.name.as_deref().unwrap_or("");
    match written.is_ascii() {
        true => build::Address::named(name.to_owned(), written),
        false => {
            let name = match name {
                "" => written,
                name => format!("{name} <{written}>"),
            };
            build::Address::named(name, "invalid@internationalized-address.invalid")
        }
    }
}

/// The value of a field and its parameters, at semicolons outside of quotes.
fn split(value: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    value
        .split(move |c| {
            let was_escaped = core::mem::take(&mut escaped);
            match c {
                '\\' if quoted && !was_escaped => escaped = true,
                '"' if !was_escaped => quoted = !quoted,
                ';' => return !quoted,
                _ => {}
            }
            false
        })
        .map(str::trim)
}

/// RFC 6858 §2.1, and those of RFC 8098 and the like that hold addresses too.
const ADDRESSES: &[&str] = &[
    "Bcc",
    "Cc",
    "Delivered-To",
    "Disposition-Notification-To",
    "From",
    "Mail-Followup-To",
    "Mail-Reply-To",
    "Reply-To",
    "Resent-Bcc",
    "Resent-Cc",
    "Resent-From",
    "Resent-Reply-To",
    "Resent-Sender",
    "Resent-To",
    "Return-Path",
    "Sender",
    "To",
];

const PARAMETERS: &[&str] = &["Content-Disposition", "Content-Type"];

/// What is no text, and says nothing once it is altered.
const IDENTIFIERS: &[&str] = &[
    "ARC-Authentication-Results",
    "ARC-Message-Signature",
    "ARC-Seal",
    "Authentication-Results",
    "Content-ID",
    "Content-Location",
    "Content-Transfer-Encoding",
    "Date",
    "DKIM-Signature",
    "In-Reply-To",
    "List-Archive",
    "List-Help",
    "List-Id",
    "List-Owner",
    "List-Post",
    "List-Subscribe",
    "List-Unsubscribe",
    "Message-ID",
    "MIME-Version",
    "Received",
    "Received-SPF",
    "References",
    "Resent-Date",
    "Resent-Message-ID",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_in_ascii() {
        let header = "Received: from a by b\r\n\
            From: J\u{fc}rgen <jurgen@example.com>\r\n\
            To: \u{5f20}@\u{4f8b}.example, Team: bob@b.test, \u{e9}@b.test;\r\n\
            Subject: Gr\u{fc}\u{df}e\r\n aus K\u{f6}ln\r\n\
            Message-ID: <\u{e9}@b.test>\r\n\
            Content-Type: text/plain; name=\"r;\u{e9}sum\u{e9}\"; charset=utf-8\r\n\
            X-Note: caf\u{e9}\r\n\
            Date: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\n";
        let out = surrogate(header.as_bytes()).expect("it is not ASCII");
        assert!(out.is_ascii() && out.ends_with(b"\r\n\r\n"));
        let headers = header::Headers::new(&out);
        assert_eq!(
            headers.subject().as_deref(),
            Some("Gr\u{fc}\u{df}e aus K\u{f6}ln")
        );
        let from: Vec<_> = headers.mailboxes("From").collect();
        assert_eq!(from[0].name.as_deref(), Some("J\u{fc}rgen"));
        assert_eq!(
            from[0].address().expect("an address").to_string(),
            "jurgen@example.com"
        );
        let to: Vec<_> = headers.mailboxes("To").collect();
        assert_eq!(to.len(), 3);
        assert_eq!(to[0].name.as_deref(), Some("\u{5f20}@\u{4f8b}.example"));
        assert_eq!(to[0].domain, "internationalized-address.invalid");
        assert_eq!((&*to[1].local_part, &*to[1].domain), ("bob", "b.test"));
        assert_eq!(to[2].domain, "internationalized-address.invalid");
        assert_eq!(headers.message_id(), None);
        assert_eq!(
            headers.raw("Content-Type"),
            Some(&b" text/plain; charset=utf-8"[..])
        );
        assert_eq!(headers.text("X-Note").as_deref(), Some("caf\u{e9}"));
        assert!(headers.date().is_some() && headers.raw("Received").is_some());
    }

    #[test]
    fn what_stays_as_it_is() {
        assert_eq!(surrogate(b"Subject: x\r\n\r\n"), None);
        assert_eq!(surrogate(b"Subject: caf\xe9\r\n\r\n"), None);
    }

    #[test]
    fn where_a_header_ends() {
        assert_eq!(header_end(b"a: b\r\n\r\nbody"), Some(8));
        assert_eq!(header_end(b"a: b\n\nbody"), Some(6));
        assert_eq!(header_end(b"\r\nbody"), Some(2));
        assert_eq!(header_end(b"a: b\r\n"), None);
        assert_eq!(header_end(b"a: b\r\n\r"), None);
    }
}
