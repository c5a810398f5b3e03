//! What is odd about the values of a header

use std::collections::HashSet;

use super::{Field, Headers, Limits, mime_version};
use crate::authentication::Results;
use crate::automatic::AutoSubmitted;
use crate::lex::Report;
use crate::parameters::{ContentType, Disposition};
use crate::priority::Priority;
use crate::tags::TagList;
use crate::trace::Hop;
use crate::{Defect, DefectKind, address_list, date, encoded_word, list, message_id};

impl Headers<'_> {
    /// Reads every field that has a form, and tells what is odd about it, in order. Offsets count as
    /// [`Field::offset`] does.
    ///
    /// ```
    /// use mailwright_message::{DefectKind, header::{Headers, Limits}};
    /// let headers = Headers::new(b"Date: yesterday\r\nSubject: a\r\nSubject: b\r\n\r\n");
    /// let told: Vec<_> = headers.defects(&Limits::default()).iter().map(|d| (d.kind, d.offset)).collect();
    /// assert_eq!(told, [(DefectKind::InvalidDate, 5), (DefectKind::DuplicateField, 29)]);
    /// ```
    pub fn defects(&self, limits: &Limits) -> Vec<Defect> {
        let mut all = Vec::new();
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for field in self.fields() {
            let name = field.name.to_ascii_lowercase();
            if SINGLE.contains(&&*name) && !seen.insert(name.clone()) {
                all.defect(DefectKind::DuplicateField, field.offset as usize);
            }
            check(&field, &name, limits, &mut found);
            let base = field.value_offset();
            all.extend(
                found
                    .drain(..)
                    .map(|defect: Defect| Defect::new(defect.kind, base + defect.offset)),
            );
        }
        all
    }
}

fn check(field: &Field<'_>, name: &[u8], limits: &Limits, out: &mut Vec<Defect>) {
    let value = field.value;
    match name.strip_prefix(b"resent-").unwrap_or(name) {
        b"from" | b"sender" | b"reply-to" | b"to" | b"cc" | b"bcc" | b"disposition-notification-to" => {
            address_list::parse_with(value, limits, out);
        }
        b"date" | b"delivery-date" | b"expires" => drop(date::parse_with(value, out)),
        b"message-id" | b"in-reply-to" | b"references" | b"content-id" => {
            message_id::parse_with(value, limits, out);
        }
        b"content-type" => drop(ContentType::parse_with(value, limits, out)),
        b"content-disposition" => drop(Disposition::parse_with(value, limits, out)),
        b"received" => drop(Hop::parse_with(value, out)),
        b"authentication-results" | b"arc-authentication-results" => {
            Results::parse_with(value, limits, out);
        }
        b"dkim-signature" | b"arc-seal" | b"arc-message-signature" => {
            TagList::parse_with(value, limits, out);
        }
        b"list-help" | b"list-subscribe" | b"list-unsubscribe" | b"list-post" | b"list-owner"
        | b"list-archive" => {
            list::parse_with(value, limits, out);
        }
        b"keywords" | b"content-language" => drop(list::keywords_with(value, limits, out)),
        b"auto-submitted" => {
            known(
                !matches!(AutoSubmitted::parse(value), None | Some(AutoSubmitted::Other)),
                out,
            );
        }
        b"importance" | b"priority" | b"x-priority" => known(Priority::parse(value).is_some(), out),
        b"mime-version" => known(mime_version(value) == Some((1, 0)), out),
        b"subject" | b"comments" | b"content-description" => {
            // Where nothing is folded, the offsets are those of the value.
            let space = value.len() - value.trim_ascii_start().len();
            encoded_word::read(field.unfolded(), space, out);
        }
        _ => {}
    }
}

fn known(known: bool, out: &mut Vec<Defect>) {
    if !known {
        out.defect(DefectKind::InvalidKeyword, 0);
    }
}

/// Fields that may stand once (RFC 5322 §3.6, RFC 2045 §3), in lower case.
const SINGLE: &[&[u8]] = &[
    b"date",
    b"from",
    b"sender",
    b"reply-to",
    b"to",
    b"cc",
    b"bcc",
    b"message-id",
    b"in-reply-to",
    b"references",
    b"subject",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
    b"content-id",
    b"content-description",
    b"content-disposition",
    b"content-language",
    b"content-location",
    b"list-id",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
    b"list-post",
    b"auto-submitted",
    b"return-path",
];
