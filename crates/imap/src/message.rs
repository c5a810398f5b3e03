//! ENVELOPE, BODYSTRUCTURE and BODY[...] straight from a part index (RFC 3501 §7.4.2)
//!
//! What the index holds is printed into the send buffer as it is: nothing is parsed again, nothing allocated.

use crate::codec::Out;
use crate::{FetchRow, Section, SectionText};
use mailwright_message::Index;
use mailwright_message::body_structure::{BodyStructure, Content, Parameters};
use mailwright_message::envelope::{Addresses, Envelope};
use mailwright_message::index;
use std::ops::Range;

impl FetchRow<'_> {
    /// ENVELOPE of an indexed message.
    pub fn envelope_of(&mut self, index: &Index) -> &mut Self {
        self.item("ENVELOPE ").indexed_envelope(&index.envelope());
        self
    }

    /// BODY of an indexed message, the structure without extension data.
    pub fn body_of(&mut self, index: &Index) -> &mut Self {
        self.item("BODY ").indexed_body(&index.body_structure(), false);
        self
    }

    /// BODYSTRUCTURE of an indexed message.
    pub fn body_structure_of(&mut self, index: &Index) -> &mut Self {
        self.item("BODYSTRUCTURE ")
            .indexed_body(&index.body_structure(), true);
        self
    }
}

impl Section {
    /// Where the section is in an indexed message; `None` if there is no such section, which is told by
    /// [`FetchRow::section_missing`].
    ///
    /// For `HEADER.FIELDS` and `HEADER.FIELDS.NOT` it is the whole header, from which
    /// [`SectionText::pick`] takes what was asked for.
    pub fn locate(&self, index: &Index) -> Option<Range<u64>> {
        let number: Vec<u32> = self.part.iter().map(|n| n.get()).collect();
        let section = match self.text {
            SectionText::All => index::Section::Content,
            SectionText::Header | SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_) => {
                index::Section::Header
            }
            SectionText::Text => index::Section::Text,
            SectionText::Mime => index::Section::Mime,
        };
        index.section(&number, section)
    }
}

impl Out<'_> {
    fn indexed_envelope(&mut self, e: &Envelope<'_>) -> &mut Self {
        self.raw("(")
            .octets_or_nil(e.date())
            .raw(" ")
            .octets_or_nil(e.subject());
        for list in [e.from(), e.sender(), e.reply_to(), e.to(), e.cc(), e.bcc()] {
            self.raw(" ").indexed_addresses(list);
        }
        self.raw(" ").octets_or_nil(e.in_reply_to());
        self.raw(" ").octets_or_nil(e.message_id()).raw(")")
    }

    fn indexed_addresses(&mut self, list: Addresses<'_>) -> &mut Self {
        if list.is_empty() {
            return self.raw("NIL");
        }
        self.raw("(");
        for address in list {
            self.raw("(").octets_or_nil(address.name);
            self.raw(" ").octets_or_nil(address.route);
            self.raw(" ").octets_or_nil(address.mailbox);
            self.raw(" ").octets_or_nil(address.host).raw(")");
        }
        self.raw(")")
    }

    /// Recurses as deep as the index is nested, which its limits bound at 500 levels.
    fn indexed_body(&mut self, body: &BodyStructure<'_>, extended: bool) -> &mut Self {
        self.raw("(");
        let content = body.content();
        if let Content::Multipart(children) = content {
            for child in children {
                self.indexed_body(&child, extended);
            }
            self.raw(" ").string(body.subtype());
            if extended {
                self.raw(" ").indexed_params(body.parameters());
                self.indexed_fields(body);
            }
            return self.raw(")");
        }
        self.string(body.media_type()).raw(" ").string(body.subtype());
        self.raw(" ").indexed_params(body.parameters());
        self.raw(" ").octets_or_nil(body.id());
        self.raw(" ").octets_or_nil(body.description());
        self.raw(" ")
            .string(body.encoding())
            .raw(" ")
            .number(body.octets());
        match content {
            Content::Text => {
                self.raw(" ").number(body.lines());
            }
            Content::Message {
                envelope,
                body: inner,
            } => {
                self.raw(" ").indexed_envelope(&envelope);
                self.raw(" ").indexed_body(&inner, extended);
                self.raw(" ").number(body.lines());
            }
            _ => {}
        }
        if extended {
            self.raw(" ").octets_or_nil(body.md5());
            self.indexed_fields(body);
        }
        self.raw(")")
    }

    fn indexed_fields(&mut self, body: &BodyStructure<'_>) {
        match body.disposition() {
            None => self.raw(" NIL"),
            Some((kind, params)) => self
                .raw(" (")
                .string(kind)
                .raw(" ")
                .indexed_params(params)
                .raw(")"),
        };
        let languages = body.languages();
        if languages.is_empty() {
            self.raw(" NIL ");
        } else {
            self.raw(" (");
            self.joined(languages, |out, language| {
                out.string(language);
            });
            self.raw(") ");
        }
        self.octets_or_nil(body.location());
    }

    fn indexed_params(&mut self, params: Parameters<'_>) -> &mut Self {
        if params.is_empty() {
            return self.raw("NIL");
        }
        self.raw("(");
        self.joined(params, |out, (name, value)| {
            out.string(name).raw(" ").string(value);
        });
        self.raw(")")
    }
}
