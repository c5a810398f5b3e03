//! Printing responses straight into the send buffer (RFC 3501 §9)

use super::cursor::{is_astring_char, is_plain};
use crate::data::{
    Address, Alias, BodyItem, BodyStructure, Disposition, Envelope, Fields, ListRow, Multipart, Namespace,
    Params, Part, PartKind, Section, SectionText, Status, StatusItem,
};
use crate::name::encode_name;
use crate::{DateTime, Flags, UidSet};
use bytes::Bytes;
use mailwright_wire::SendBuf;
use std::fmt::Write;
use std::num::NonZeroU32;

/// Prints into the send buffer. Nothing here allocates but where a mailbox name must be encoded.
#[derive(Debug)]
pub(crate) struct Out<'a>(
    pub(crate) &'a mut SendBuf,
    /// The peer takes mailbox names in UTF-8 (RFC 6855, RFC 9051).
    bool,
);

/// Quoted strings above this length go as literals, which are cheaper to read.
const LONGEST_QUOTED: usize = 1024;

/// Whether no octet needs an escape: eight at a time. May say no of text that is plain, never yes of other text.
fn all_plain(text: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // A zero octet of `x`, or an octet behind one, has its high bit in the result.
    let zero = |x: u64| x.wrapping_sub(ONES) & !x;
    let plain = |octets: &[u8; 8]| {
        let x = u64::from_ne_bytes(*octets);
        let below_space = x.wrapping_sub(ONES * 0x20) & !x;
        let above_tilde = x.wrapping_add(ONES) | x;
        let special = zero(x ^ (ONES * u64::from(b'"'))) | zero(x ^ (ONES * u64::from(b'\\')));
        (below_space | above_tilde | special) & HIGH == 0
    };
    let (eights, _) = text.as_chunks::<8>();
    // The last eight overlap those before.
    match text.last_chunk::<8>() {
        Some(last) => eights.iter().all(plain) && plain(last),
        None => text.iter().all(|&b| is_plain(b)),
    }
}

/// What stands around a string, without the quotes that a quoted one has.
fn without_quotes<'a>(open: &'a str, close: &'a str) -> (&'a str, &'a str) {
    let before = open.strip_suffix('"').unwrap_or(open);
    (before, close.strip_prefix('"').unwrap_or(close))
}

/// How deep a body structure is printed. `message` stops earlier; a structure built by hand might not.
const DEEPEST: usize = 100;

impl<'a> Out<'a> {
    pub(crate) fn new(tx: &'a mut SendBuf) -> Self {
        Self(tx, false)
    }

    /// The same with mailbox names in UTF-8, if `utf8`.
    pub(crate) fn with_utf8(tx: &'a mut SendBuf, utf8: bool) -> Self {
        Self(tx, utf8)
    }
}

impl Out<'_> {
    pub(crate) fn raw(&mut self, text: &str) -> &mut Self {
        self.0.put(text.as_bytes());
        self
    }

    pub(crate) fn number(&mut self, n: u64) -> &mut Self {
        self.0.put_u64(n);
        self
    }

    pub(crate) fn display(&mut self, value: impl std::fmt::Display) -> &mut Self {
        write!(self.0, "{value}").expect("a send buffer takes all text");
        self
    }

    /// Text for people: one line of printable ASCII that cannot be taken for a response code.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        if text.is_empty() || text.starts_with('[') {
            self.0.put(b"- ");
        }
        let mut octets = [0; 64];
        for chunk in text.as_bytes().chunks(octets.len()) {
            for (to, &from) in octets.iter_mut().zip(chunk) {
                *to = if (b' '..=b'~').contains(&from) { from } else { b'?' };
            }
            self.0.put(&octets[..chunk.len()]);
        }
        self
    }

    /// A string: quoted if it can be, else a literal. NUL, which no string may hold, becomes a space.
    pub(crate) fn string(&mut self, text: &[u8]) -> &mut Self {
        self.string_between("\"", text, "\"")
    }

    /// A string with what stands before and behind it, which is cheaper than three calls: `open` ends with its opening
    /// quote, and `close` begins with its closing quote.
    fn string_between(&mut self, open: &str, text: &[u8], close: &str) -> &mut Self {
        if text.len() <= LONGEST_QUOTED && all_plain(text) {
            self.0.put_all([open.as_bytes(), text, close.as_bytes()]);
            return self;
        }
        let (before, behind) = without_quotes(open, close);
        self.raw(before).unplain_string(text).raw(behind)
    }

    /// A string that may need escapes, or be a literal.
    fn unplain_string(&mut self, text: &[u8]) -> &mut Self {
        let plain = text.iter().position(|&b| !is_plain(b)).unwrap_or(text.len());
        let quotable = |b: &u8| matches!(b, 1..=9 | 11..=12 | 14..=127);
        if text.len() > LONGEST_QUOTED || !text[plain..].iter().all(quotable) {
            self.0.put(b"{");
            self.0.put_u64(text.len() as u64);
            self.0.put(b"}\r\n");
            for (i, piece) in text.split(|&b| b == 0).enumerate() {
                if i > 0 {
                    self.0.put(b" ");
                }
                self.0.put(piece);
            }
            return self;
        }
        self.0.put(b"\"");
        let mut from = 0;
        for at in memchr::memchr2_iter(b'"', b'\\', &text[plain..]) {
            self.0.put(&text[from..plain + at]);
            self.0.put(b"\\");
            from = plain + at;
        }
        self.0.put(&text[from..]);
        self.0.put(b"\"");
        self
    }

    pub(crate) fn nstring(&mut self, text: Option<&Bytes>) -> &mut Self {
        self.octets_or_nil(text.map(|text| &text[..]))
    }

    /// The same with what stands before and behind it, as [`string_between`](Self::string_between) takes it.
    fn nstring_between(&mut self, open: &str, text: Option<&Bytes>, close: &str) -> &mut Self {
        let Some(text) = text else {
            let (before, behind) = without_quotes(open, close);
            return self.raw(before).raw("NIL").raw(behind);
        };
        self.string_between(open, text, close)
    }

    pub(crate) fn octets_or_nil(&mut self, text: Option<&[u8]>) -> &mut Self {
        match text {
            Some(text) => self.string(text),
            None => self.raw("NIL"),
        }
    }

    pub(crate) fn astring(&mut self, text: &[u8]) -> &mut Self {
        if !text.is_empty() && text.iter().all(|&b| is_astring_char(b)) && !text.eq_ignore_ascii_case(b"NIL")
        {
            self.0.put(text);
            return self;
        }
        self.string(text)
    }

    /// A mailbox name, which is UTF-8 here, and there too, or modified UTF-7.
    pub(crate) fn mailbox(&mut self, name: &str) -> &mut Self {
        if !self.1 {
            return self.astring(encode_name(name).as_bytes());
        }
        if name.is_ascii() || name.chars().any(char::is_control) {
            return self.astring(name.as_bytes());
        }
        self.quoted_utf8(name)
    }

    /// A quoted string that may hold UTF-8, of text without control characters.
    fn quoted_utf8(&mut self, text: &str) -> &mut Self {
        self.0.put(b"\"");
        let mut from = 0;
        for at in memchr::memchr2_iter(b'"', b'\\', text.as_bytes()) {
            self.0.put(&text.as_bytes()[from..at]);
            self.0.put(b"\\");
            from = at;
        }
        self.0.put(&text.as_bytes()[from..]);
        self.raw("\"")
    }

    /// Flags in parentheses.
    pub(crate) fn flags(&mut self, flags: &Flags, recent: bool) -> &mut Self {
        let mut before = "(";
        for name in flags.names() {
            self.0.put_all([before.as_bytes(), name.as_bytes()]);
            before = " ";
        }
        match (recent, before) {
            (true, _) => self.0.put_all([before.as_bytes(), b"\\Recent)"]),
            (false, " ") => self.0.put(b")"),
            (false, _) => self.0.put(b"()"),
        }
        self
    }

    pub(crate) fn date_time(&mut self, date: DateTime) -> &mut Self {
        self.raw("\"").display(date).raw("\"")
    }

    pub(crate) fn uid_set(&mut self, set: &UidSet) -> &mut Self {
        self.display(set)
    }

    pub(crate) fn list_row(&mut self, row: &ListRow<'_>, delimiter: char, extra: &[&str]) -> &mut Self {
        let attributes = [
            row.no_select.then_some("\\Noselect"),
            row.no_inferiors.then_some("\\Noinferiors"),
            row.children
                .map(|some| if some { "\\HasChildren" } else { "\\HasNoChildren" }),
            row.marked
                .map(|marked| if marked { "\\Marked" } else { "\\Unmarked" }),
        ];
        let uses = row.special_use.iter().map(|u| u.as_str());
        let all = attributes
            .into_iter()
            .flatten()
            .chain(uses)
            .chain(extra.iter().copied());
        self.raw("(");
        self.joined(all, |out, name| {
            out.raw(name);
        });
        self.raw(") ").delimiter(delimiter).raw(" ").mailbox(row.name)
    }

    pub(crate) fn delimiter(&mut self, delimiter: char) -> &mut Self {
        let mut utf8 = [0; 4];
        let text = delimiter.encode_utf8(&mut utf8);
        self.string(text.as_bytes())
    }

    pub(crate) fn status(&mut self, name: &str, items: &[StatusItem], status: &Status) -> &mut Self {
        self.raw("* STATUS ").mailbox(name).raw(" (");
        let told = items.iter().filter(|&&item| match item {
            StatusItem::MailboxId => status.mailbox_id.is_some(),
            item => status.value(item).is_some(),
        });
        self.joined(told, |out, &item| {
            out.raw(item.as_str()).raw(" ");
            match (status.value(item), &status.mailbox_id) {
                (Some(value), _) => out.number(value),
                (None, Some(id)) => out.raw("(").raw(id.as_str()).raw(")"),
                (None, None) => out,
            };
        });
        self.raw(")\r\n")
    }

    pub(crate) fn namespaces(&mut self, list: &[Namespace], delimiter: char) -> &mut Self {
        if list.is_empty() {
            return self.raw("NIL");
        }
        self.raw("(");
        for namespace in list {
            self.raw("(");
            match self.1 && !namespace.prefix.is_ascii() {
                true => self.quoted_utf8(&namespace.prefix),
                false => self.string(encode_name(&namespace.prefix).as_bytes()),
            };
            self.raw(" ").delimiter(delimiter).raw(")");
        }
        self.raw(")")
    }

    pub(crate) fn envelope(&mut self, e: &Envelope) -> &mut Self {
        self.nstring_between("(\"", e.date.as_ref(), "\" ")
            .nstring_between("\"", e.subject.as_ref(), "\" ");
        let before = self.0.len();
        self.addresses(&e.from);
        let mut last = (&e.from, self.0.len() - before);
        for list in [&e.sender, &e.reply_to] {
            // RFC 3501 §7.4.2: a missing or empty one is told as From. Most are From's.
            let list = if list.is_empty() { &e.from } else { list };
            if list == last.0 && self.0.put_again(last.1) {
                continue;
            }
            let before = self.0.len();
            self.addresses(list);
            last = (list, self.0.len() - before);
        }
        self.addresses(&e.to).addresses(&e.cc).addresses(&e.bcc);
        self.nstring_between("\"", e.in_reply_to.as_ref(), "\" ")
            .nstring_between("\"", e.message_id.as_ref(), "\")")
    }

    /// A list of addresses, and a space.
    fn addresses(&mut self, list: &[Address]) -> &mut Self {
        if list.is_empty() {
            return self.raw("NIL ");
        }
        let mut open = "((\"";
        for address in list {
            self.nstring_between(open, address.name.as_ref(), "\" NIL ")
                .nstring_between("\"", address.mailbox.as_ref(), "\" ")
                .nstring_between("\"", address.host.as_ref(), "\")");
            open = "(\"";
        }
        self.raw(") ")
    }

    /// BODYSTRUCTURE with `extended`, else BODY.
    pub(crate) fn body_structure(&mut self, body: &BodyStructure, extended: bool) -> &mut Self {
        self.body(body, extended, DEEPEST)
    }

    fn body(&mut self, body: &BodyStructure, extended: bool, depth: usize) -> &mut Self {
        match body {
            BodyStructure::Multipart(multipart) if depth > 0 => {
                self.multipart(multipart, extended, depth - 1)
            }
            BodyStructure::Part(part) if depth > 0 => self.leaf(part, extended, depth - 1),
            _ => self.raw(EMPTY_PART),
        }
    }

    fn multipart(&mut self, m: &Multipart, extended: bool, depth: usize) -> &mut Self {
        self.raw("(");
        for part in &m.parts {
            self.body(part, extended, depth);
        }
        if m.parts.is_empty() {
            self.raw(EMPTY_PART);
        }
        self.raw(" ").string(&m.subtype);
        if extended {
            self.raw(" ").params(&m.params).fields(&m.fields);
        }
        self.raw(")")
    }

    fn leaf(&mut self, part: &Part, extended: bool, depth: usize) -> &mut Self {
        let or = |text: &Bytes, default: &'static str| {
            if text.is_empty() {
                Bytes::from_static(default.as_bytes())
            } else {
                text.clone()
            }
        };
        self.raw("(")
            .string(&part.media_type)
            .raw(" ")
            .string(&part.subtype);
        self.raw(" ").params(&part.params);
        self.raw(" ").nstring(part.id.as_ref());
        self.raw(" ").nstring(part.description.as_ref());
        self.raw(" ").string(&or(&part.encoding, "7bit"));
        self.raw(" ").number(part.octets);
        match &part.kind {
            PartKind::Basic => {}
            PartKind::Text { lines } => {
                self.raw(" ").number(*lines);
            }
            PartKind::Message {
                envelope,
                body,
                lines,
            } => {
                self.raw(" ")
                    .envelope(envelope)
                    .raw(" ")
                    .body(body, extended, depth);
                self.raw(" ").number(*lines);
            }
        }
        if extended {
            self.raw(" ").nstring(part.md5.as_ref()).fields(&part.fields);
        }
        self.raw(")")
    }

    fn params(&mut self, params: &Params) -> &mut Self {
        if params.is_empty() {
            return self.raw("NIL");
        }
        self.raw("(");
        self.joined(params, |out, (name, value)| {
            out.string(name).raw(" ").string(value);
        });
        self.raw(")")
    }

    fn fields(&mut self, fields: &Fields) -> &mut Self {
        match &fields.disposition {
            None => self.raw(" NIL"),
            Some(Disposition { kind, params }) => {
                self.raw(" (").string(kind).raw(" ").params(params).raw(")")
            }
        };
        match fields.language.as_slice() {
            [] => self.raw(" NIL "),
            [one] => self.raw(" ").string(one).raw(" "),
            several => {
                self.raw(" (");
                self.joined(several, |out, language| {
                    out.string(language);
                });
                self.raw(") ")
            }
        };
        self.nstring(fields.location.as_ref())
    }

    /// The name of a body section in an answer: `BODY[1.TEXT]<0>`.
    pub(crate) fn body_item(&mut self, item: &BodyItem) -> &mut Self {
        match item.alias {
            Some(alias) => self.raw(Alias::as_str(alias)),
            None => {
                self.raw("BODY[").section(&item.section).raw("]");
                if let Some(partial) = item.partial {
                    self.raw("<").number(u64::from(partial.start)).raw(">");
                }
                self
            }
        }
    }

    pub(super) fn section(&mut self, section: &Section) -> &mut Self {
        self.part(&section.part);
        if !section.part.is_empty() && section.text != SectionText::All {
            self.raw(".");
        }
        let (name, fields) = match &section.text {
            SectionText::All => ("", None),
            SectionText::Header => ("HEADER", None),
            SectionText::HeaderFields(fields) => ("HEADER.FIELDS", Some(fields)),
            SectionText::HeaderFieldsNot(fields) => ("HEADER.FIELDS.NOT", Some(fields)),
            SectionText::Text => ("TEXT", None),
            SectionText::Mime => ("MIME", None),
        };
        self.raw(name);
        if let Some(fields) = fields {
            self.raw(" (");
            self.joined(fields, |out, field| {
                out.astring(field);
            });
            self.raw(")");
        }
        self
    }

    /// The number of a part: `1.2`.
    pub(crate) fn part(&mut self, part: &[NonZeroU32]) -> &mut Self {
        for (i, number) in part.iter().enumerate() {
            self.raw(if i > 0 { "." } else { "" })
                .number(u64::from(number.get()));
        }
        self
    }

    /// Prints each item with `print`, spaces between.
    pub(crate) fn joined<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut print: impl FnMut(&mut Self, T),
    ) {
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                self.raw(" ");
            }
            print(self, item);
        }
    }
}

const EMPTY_PART: &str = "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0)";

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(print: impl FnOnce(&mut Out<'_>)) -> String {
        let mut tx = SendBuf::new();
        print(&mut Out::new(&mut tx));
        let mut all = Vec::new();
        while !tx.is_empty() {
            all.extend_from_slice(tx.data());
            tx.sent(tx.data().len());
        }
        String::from_utf8_lossy(&all).into_owned()
    }

    #[test]
    fn strings_choose_their_form() {
        for (text, want) in [
            (&b"plain"[..], "\"plain\""),
            (b"", "\"\""),
            (b"a\"b\\", "\"a\\\"b\\\\\""),
            (b"two\r\nlines", "{10}\r\ntwo\r\nlines"),
            (b"nul\0here", "{8}\r\nnul here"),
            ("\u{e4}".as_bytes(), "{2}\r\n\u{e4}"),
        ] {
            assert_eq!(
                printed(|out| {
                    out.string(text);
                }),
                want
            );
        }
        for (text, want) in [
            (&b"NIL"[..], "\"NIL\""),
            (b"a]b", "a]b"),
            (b"", "\"\""),
            (b"a b", "\"a b\""),
        ] {
            assert_eq!(
                printed(|out| {
                    out.astring(text);
                }),
                want
            );
        }
    }

    #[test]
    fn plain_is_seen_at_every_place() {
        for len in 1..40 {
            assert!(all_plain(&vec![b'~'; len]) && all_plain(&vec![b' '; len]));
            for at in 0..len {
                for b in 0..=255 {
                    let mut text = vec![b'x'; len];
                    text[at] = b;
                    assert_eq!(all_plain(&text), is_plain(b), "{b} at {at} of {len}");
                }
            }
        }
    }

    #[test]
    fn text_stays_on_its_line() {
        assert_eq!(
            printed(|out| {
                out.text("a\r\n* BYE \u{e4}\0");
            }),
            "a??* BYE ???"
        );
        assert_eq!(
            printed(|out| {
                out.text("[ALERT] x");
            }),
            "- [ALERT] x"
        );
        assert_eq!(
            printed(|out| {
                out.text("");
            }),
            "- "
        );
    }

    #[test]
    fn a_structure_without_bottom_is_cut() {
        let mut body = BodyStructure::Multipart(Multipart::default());
        for _ in 0..1000 {
            body = BodyStructure::Multipart(Multipart {
                parts: vec![body],
                subtype: Bytes::from_static(b"mixed"),
                ..Multipart::default()
            });
        }
        let text = printed(|out| {
            out.body_structure(&body, false);
        });
        assert_eq!(text.matches("\"mixed\"").count(), DEEPEST);
        assert_eq!(text.matches('(').count(), text.matches(')').count());
        // Taken apart by hand: the nested value would be dropped recursively.
        while let BodyStructure::Multipart(mut m) = body {
            match m.parts.pop() {
                Some(inner) => body = inner,
                None => break,
            }
        }
    }
}
