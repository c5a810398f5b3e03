//! Trace fields, written and read (RFC 5321 §4.4)

mod hop;

use core::net::IpAddr;
use std::fmt::Write as _;

use crate::date::{self, DateTime};

pub use hop::Hop;

/// A Received field to put before a message.
///
/// All texts may come from a peer: what does not belong into its place is replaced by a question mark, and too
/// much of it is cut, so that the field stays one field of short lines.
///
/// ```
/// use mailwright_message::{date::DateTime, trace::Received};
/// let mut received = Received::new("mx.b.test", "ESMTPS", DateTime::new(880_106_106, 0));
/// received.helo = Some("a.test");
/// received.ip = Some([192, 0, 2, 1].into());
/// received.id = Some("q7XsH2");
/// received.recipient = Some("bob@b.test");
/// assert_eq!(
///     received.to_field(),
///     "Received: from a.test ([192.0.2.1])\r\n\tby mx.b.test with ESMTPS id q7XsH2\r\n\
///      \tfor <bob@b.test>; Fri, 21 Nov 1997 09:55:06 +0000\r\n"
/// );
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Received<'a> {
    /// What the client called itself in EHLO, HELO or LHLO.
    pub helo: Option<&'a str>,
    /// The name that the client's address has in the DNS.
    pub reverse_name: Option<&'a str>,
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// The name of this host.
    pub by: &'a str,
    /// The protocol, from the registry of RFC 3848: `ESMTP`, `ESMTPSA`, `LMTP`, `UTF8SMTPS`.
    pub with: &'a str,
    /// For a comment on the connection: `TLS1.3 TLS_AES_256_GCM_SHA384`.
    pub tls: Option<&'a str>,
    /// What the log of this host calls the message.
    pub id: Option<&'a str>,
    /// The recipient without angle brackets. Leave it out when there is more than one: RFC 5321 §7.2.
    pub recipient: Option<&'a str>,
    /// When the message came.
    pub date: DateTime,
}

impl<'a> Received<'a> {
    /// A field with what each one has; set the rest.
    pub fn new(by: &'a str, with: &'a str, date: DateTime) -> Self {
        Self {
            helo: None,
            reverse_name: None,
            ip: None,
            by,
            with,
            tls: None,
            id: None,
            recipient: None,
            date,
        }
    }

    /// The field, folded, with its CRLF.
    pub fn to_field(&self) -> String {
        let mut out = String::from("Received:");
        if self.helo.is_some() || self.ip.is_some() {
            out.push_str(" from ");
            match (self.helo.map(name).filter(|helo| !helo.is_empty()), self.ip) {
                (Some(helo), _) => out.push_str(&helo),
                (None, Some(ip)) => push_literal(ip, &mut out),
                (None, None) => out.push_str("unknown"),
            }
            let reverse_name = self.reverse_name.map(name).filter(|name| !name.is_empty());
            match (reverse_name, self.ip) {
                (Some(name), Some(ip)) => {
                    let _ = write!(out, " ({name} ");
                    push_literal(ip, &mut out);
                    out.push(')');
                }
                (None, Some(ip)) => {
                    out.push_str(" (");
                    push_literal(ip, &mut out);
                    out.push(')');
                }
                (_, None) => {}
            }
            out.push_str("\r\n\tby ");
        } else {
            out.push_str(" by ");
        }
        let _ = write!(out, "{} with {}", name(self.by), name(self.with));
        if let Some(tls) = self.tls {
            let _ = write!(out, "\r\n\t({})", clean(tls, |c| c == ' ' || is_name(c)));
        }
        if let Some(id) = self.id.map(name).filter(|id| !id.is_empty()) {
            let _ = write!(out, " id {id}");
        }
        let date = date::format(self.date);
        match self.recipient {
            Some(recipient) => {
                let recipient = clean(recipient, |c| !c.is_control() && !matches!(c, '<' | '>'));
                let _ = write!(out, "\r\n\tfor <{recipient}>; {date}\r\n");
            }
            None => {
                let _ = write!(out, ";\r\n\t{date}\r\n");
            }
        }
        out
    }
}

/// The Return-Path field that final delivery adds, with its CRLF; an empty address is the null path.
pub fn return_path(address: &str) -> String {
    let address = clean(address, |c| !c.is_control() && !matches!(c, '<' | '>'));
    format!("Return-Path: <{address}>\r\n")
}

/// Longer than any domain (255) or path (256) of RFC 5321 §4.5.3.1, with room for UTF-8.
const MAX_TEXT: usize = 400;

fn name(text: &str) -> String {
    clean(text, is_name)
}

fn is_name(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '(' | ')' | '<' | '>' | '\\' | '"' | ';' | ',')
}

fn clean(text: &str, keep: impl Fn(char) -> bool) -> String {
    let kept = text.chars().map(|c| if keep(c) { c } else { '?' });
    kept.scan(0, |len, c| {
        *len += c.len_utf8();
        (*len <= MAX_TEXT).then_some(c)
    })
    .collect()
}

fn push_literal(ip: IpAddr, out: &mut String) {
    let _ = match ip.to_canonical() {
        IpAddr::V4(ip) => write!(out, "[{ip}]"),
        IpAddr::V6(ip) => write!(out, "[IPv6:{ip}]"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field as header;

    fn full() -> Received<'static> {
        let mut received = Received::new("mx.b.test", "ESMTPSA", DateTime::new(0, 60));
        received.helo = Some("a.test");
        received.reverse_name = Some("host.a.test");
        received.ip = Some("2001:db8::1".parse().unwrap());
        received.tls = Some("TLS1.3 TLS_AES_128_GCM_SHA256");
        received.id = Some("abc");
        received
    }

    #[test]
    fn all_clauses() {
        assert_eq!(
            full().to_field(),
            "Received: from a.test (host.a.test [IPv6:2001:db8::1])\r\n\tby mx.b.test with ESMTPSA\r\n\
             \t(TLS1.3 TLS_AES_128_GCM_SHA256) id abc;\r\n\tThu, 1 Jan 1970 01:00:00 +0100\r\n"
        );
        let local = Received::new("mx.b.test", "LMTP", DateTime::new(0, 0)).to_field();
        assert_eq!(
            local,
            "Received: by mx.b.test with LMTP;\r\n\tThu, 1 Jan 1970 00:00:00 +0000\r\n"
        );
        let mut mapped = Received::new("mx", "SMTP", DateTime::new(0, 0));
        mapped.ip = Some("::ffff:192.0.2.7".parse().unwrap());
        assert!(
            mapped
                .to_field()
                .starts_with("Received: from [192.0.2.7] ([192.0.2.7])\r\n")
        );
    }

    #[test]
    fn a_peer_cannot_break_out() {
        let evil = format!("x\r\nBcc: y (\"; <z>\0\u{85}{}", "w".repeat(5000));
        let mut received = full();
        received.helo = Some(&evil);
        received.reverse_name = Some(&evil);
        received.id = Some(&evil);
        received.recipient = Some(&evil);
        received.tls = Some(&evil);
        for field in [received.to_field(), return_path(&evil)] {
            assert_eq!(header::fields(field.as_bytes()).count(), 1);
            assert!(
                field
                    .split("\r\n")
                    .all(|line| line.len() <= 998 && !line.contains(char::is_control)
                        || line.starts_with('\t') && !line[1..].contains(char::is_control))
            );
        }
        assert_eq!(return_path(""), "Return-Path: <>\r\n");
        assert_eq!(return_path("ü@b.test"), "Return-Path: <ü@b.test>\r\n");
    }
}
