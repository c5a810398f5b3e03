//! Edits of parts: bodies, and the parts of multiparts (RFC 2046 §5.1)

use std::cmp::Reverse;
use std::ops::Range;

use bytes::Bytes;

use super::splice::{Slot, Start};
use super::{Editor, Error, Head, Place, Span};
use crate::build;
use crate::header;
use crate::index::{Kind, Part};
use crate::message_id;
use crate::parameters::ContentType;

impl<'a> Editor<'a> {
    /// Replaces the body of a part by octets that are in the transfer encoding that its header names.
    ///
    /// # Errors
    ///
    /// [`Error::Delimiter`] when a line of them would end a multipart around the part.
    pub fn replace_body(&mut self, part: Part<'_>, body: impl Into<Bytes>) -> Result<(), Error> {
        let mut body = body.into();
        self.check_delimiters(part, &body)?;
        if self.meets_delimiter(part)? && !body.is_empty() {
            body = [&body[..], self.line_end].concat().into();
        }
        let head = self.head(part)?;
        if !head.ended {
            self.end_header(part, &head)?;
        }
        if part.body().is_empty() {
            let slot = Slot::Start(part.depth(), Start::Open);
            self.splices.insert(part.body().start, slot, body);
        } else {
            self.splices.replace(part.body(), body);
        }
        Ok(())
    }

    /// Replaces a part, header and body. Of the root of a message the Content-* fields are replaced, and all other
    /// fields stay. `random` is fresh randomness for boundaries.
    ///
    /// # Errors
    ///
    /// [`Error::Build`] when the part cannot be written; [`Error::Delimiter`] as [`Editor::replace_body`].
    pub fn replace_part(
        &mut self,
        part: Part<'_>,
        by: build::Part<'_>,
        random: [u8; 16],
    ) -> Result<(), Error> {
        let mut entity = self.entity(by, random, 0)?;
        if !self.is_message_root(part) {
            self.check_delimiters(part, &entity)?;
            if self.meets_delimiter(part)? {
                entity.extend_from_slice(self.line_end);
            }
            self.splices.replace(part.header().start..part.body().end, entity);
            return Ok(());
        }
        let header_len = header_len(&entity);
        let (fields, body) = entity.split_at(header_len);
        let mut body = body.to_vec();
        if !body.is_empty() && !body.ends_with(b"\n") {
            body.extend_from_slice(self.line_end);
        }
        let fields = fields.strip_suffix(self.line_end).unwrap_or(fields).to_vec();
        self.replace_content_fields(part, fields)?;
        self.replace_body(part, body)
    }

    /// Removes a part of a multipart, with the delimiter before it.
    ///
    /// The last part cannot go: [`Editor::replace_part`] it by a note, or remove the multipart.
    ///
    /// # Errors
    ///
    /// [`Error::NotInMultipart`] for the root of a message.
    pub fn remove_part(&mut self, part: Part<'_>) -> Result<(), Error> {
        let multipart = self.multipart_of(part)?;
        self.check_parts(multipart)?;
        self.removed.insert(part.place());
        Ok(())
    }

    /// Adds a part to a multipart, before its part of this number, counted from 0, or behind its last one.
    ///
    /// # Errors
    ///
    /// [`Error::NotMultipart`] when it is none: [`Editor::wrap`] it; [`Error::Build`] and [`Error::Delimiter`] as
    /// [`Editor::replace_part`].
    pub fn add_part(
        &mut self,
        multipart: Part<'_>,
        before: usize,
        part: build::Part<'_>,
        random: [u8; 16],
    ) -> Result<(), Error> {
        self.check_parts(multipart)?;
        let delimiter = self.delimiter(multipart)?.ok_or(Error::NotMultipart)?;
        let entity = self.entity(part, random, 0)?;
        let first = multipart.children().next().ok_or(Error::NotMultipart)?;
        self.check_delimiters(first, &entity)?;
        let mut out = Vec::with_capacity(entity.len() + delimiter.len() + 4);
        if before == 0 {
            out.extend_from_slice(&entity);
            self.push_delimiter(&delimiter, &mut out);
            let slot = Slot::Start(first.depth(), Start::Part);
            self.splices.insert(first.header().start, slot, out);
            return Ok(());
        }
        let previous = multipart.children().take(before).last().unwrap_or(first);
        let slot = Slot::Close(Reverse(multipart.depth()));
        if previous.body().end == multipart.body().end {
            // The multipart is not closed.
            self.push_delimiter(&delimiter, &mut out);
            out.extend_from_slice(&entity);
            if self.meets_delimiter(previous)? {
                out.extend_from_slice(self.line_end);
            }
            self.splices.insert(previous.body().end, slot, out);
            return Ok(());
        }
        out.extend_from_slice(&delimiter);
        out.extend_from_slice(self.line_end);
        out.extend_from_slice(&entity);
        out.extend_from_slice(self.line_end);
        self.splices.insert(self.delimiter_behind(previous)?, slot, out);
        Ok(())
    }

    /// Makes a part the content of a multipart that takes its place, with parts before and behind it: a footer, say,
    /// or a text that introduces it. Its Content-* fields go with it, octet by octet, and its body is not touched.
    ///
    /// A header without an empty line behind it gets one. `random` is fresh randomness for the boundary; the body is
    /// read once to see that it does not hold it.
    ///
    /// # Errors
    ///
    /// [`Error::Build`] when a part cannot be written; [`Error::Delimiter`] as [`Editor::replace_part`], and when the
    /// body holds the boundary: other randomness makes another one.
    pub fn wrap<'p>(
        &mut self,
        part: Part<'_>,
        subtype: &str,
        before: impl IntoIterator<Item = build::Part<'p>>,
        behind: impl IntoIterator<Item = build::Part<'p>>,
        random: [u8; 16],
    ) -> Result<(), Error> {
        // No base64 and no quoted-printable has `=-`, and no boundary of an added part starts so.
        let mut boundary = String::from("=-");
        message_id::push_token(&random, &mut boundary);
        let content_type = build::Field::structured(
            "Content-Type",
            format!("multipart/{subtype}; boundary=\"{boundary}\""),
        );
        let content_type = self.field(&content_type)?;
        let head = self.head(part)?;
        let (spans, mut moved) = content_fields(&head, self.line_end);
        if part.kind() == Kind::Message && header::find(&moved, "Content-Type").is_none() {
            // The default type of a part of a digest does not hold in this multipart (RFC 2046 §5.1.5).
            moved.extend_from_slice(b"Content-Type: message/rfc822");
            moved.extend_from_slice(self.line_end);
        }
        let delimiter = format!("--{boundary}").into_bytes();
        if self.holds(part.body(), &delimiter)? {
            return Err(Error::Delimiter);
        }
        let mut open = delimiter.clone();
        open.extend_from_slice(self.line_end);
        let mut number = 0;
        for part in before {
            open.extend(self.entity(part, random, number)?);
            self.push_delimiter(&delimiter, &mut open);
            number += 1;
        }
        open.extend_from_slice(&moved);
        open.extend_from_slice(self.line_end);
        let mut close = Vec::new();
        for part in behind {
            self.push_delimiter(&delimiter, &mut close);
            close.extend(self.entity(part, random, number)?);
            number += 1;
        }
        close.extend_from_slice(self.line_end);
        close.extend_from_slice(&delimiter);
        close.extend_from_slice(b"--");
        if part.place() == 0 || self.meets_delimiter(part)? {
            close.extend_from_slice(self.line_end);
        }
        self.check_delimiters(part, &open)?;
        self.check_delimiters(part, &close)?;

        for span in spans {
            self.cut(part, &head, span.all, Vec::new());
        }
        self.put_content_fields(part, content_type)?;
        if !head.ended {
            self.end_header(part, &head)?;
        }
        let open_slot = Slot::Start(part.depth(), Start::Open);
        self.splices.insert(part.body().start, open_slot, open);
        let close_slot = Slot::Close(Reverse(part.depth()));
        self.splices.insert(part.body().end, close_slot, close);
        Ok(())
    }

    /// Puts one part of a multipart in the place of the multipart; its other parts go. The Content-* fields of the part
    /// replace those of the multipart, octet by octet, and its body is not touched.
    ///
    /// # Errors
    ///
    /// [`Error::NotInMultipart`] when the part is in none.
    pub fn unwrap(&mut self, part: Part<'_>) -> Result<(), Error> {
        let multipart = self.multipart_of(part)?;
        self.check_parts(multipart)?;
        let (_, fields) = content_fields(&self.head(part)?, self.line_end);
        self.replace_content_fields(multipart, fields)?;
        let (outer, inner) = (multipart.body(), part.body());
        self.splices.replace(outer.start..inner.start, Bytes::new());
        let open_line = inner.is_empty() || self.octets(inner.end - 1..inner.end)?[..] != *b"\n";
        let line_end = match multipart.place() == 0 && open_line && !inner.is_empty() {
            true => Bytes::from_static(self.line_end),
            false => Bytes::new(),
        };
        if inner.end < outer.end || !line_end.is_empty() {
            self.splices.replace(inner.end..outer.end, line_end);
        }
        Ok(())
    }

    /// Turns the marks of [`Editor::remove_part`] into edits: parts that stand side by side go together.
    pub(super) fn remove_marked(&mut self) -> Result<(), Error> {
        let removed = std::mem::take(&mut self.removed);
        let multiparts: std::collections::BTreeSet<u32> = removed
            .iter()
            .map(|place| self.parents[*place as usize])
            .collect();
        for multipart in multiparts
            .into_iter()
            .filter_map(|place| self.part(place))
            .collect::<Vec<_>>()
        {
            let mut kept: Option<Part<'_>> = None;
            // The last of the removed parts that stand side by side, and where the first one starts.
            let mut run: Option<(Part<'_>, u64)> = None;
            for child in multipart.children() {
                if removed.contains(&child.place()) {
                    let start = run.map_or(child.header().start, |(_, start)| start);
                    run = Some((child, start));
                    continue;
                }
                match (run.take(), kept) {
                    (Some((_, start)), None) => {
                        self.splices.replace(start..child.header().start, Bytes::new());
                    }
                    (Some((last, _)), Some(kept)) => {
                        let range = self.delimiter_behind(kept)?..self.delimiter_behind(last)?;
                        self.splices.replace(range, Bytes::new());
                    }
                    (None, _) => {}
                }
                kept = Some(child);
            }
            match (run, kept) {
                (_, None) => return Err(Error::LastPart),
                (None, Some(_)) => {}
                // Where the multipart is not closed, no delimiter follows.
                (Some((last, _)), Some(kept)) if last.body().end == multipart.body().end => {
                    self.splices
                        .replace(kept.body().end..last.body().end, Bytes::new());
                }
                (Some((last, _)), Some(kept)) => {
                    let range = self.delimiter_behind(kept)?..self.delimiter_behind(last)?;
                    self.splices.replace(range, Bytes::new());
                }
            }
        }
        Ok(())
    }

    /// Where the delimiter behind a part starts, its line end passed over.
    fn delimiter_behind(&self, part: Part<'_>) -> Result<u64, Error> {
        let end = part.body().end;
        let next = self.octets(end..self.index.octets().min(end + 2))?;
        Ok(end
            + match &next[..] {
                [b'\r', b'\n'] => 2,
                [b'\n', ..] => 1,
                _ => 0,
            })
    }

    /// Whether the octets behind a part are a delimiter without a line end of its own, as behind an empty body.
    fn meets_delimiter(&self, part: Part<'_>) -> Result<bool, Error> {
        let end = part.body().end;
        Ok(end < self.index.octets() && self.delimiter_behind(part)? == end)
    }

    /// The multipart that a part stands in.
    fn multipart_of(&self, part: Part<'_>) -> Result<Part<'a>, Error> {
        if self.is_message_root(part) {
            return Err(Error::NotInMultipart);
        }
        let parent = self.parents.get(part.place() as usize).copied();
        parent
            .and_then(|parent| self.part(parent))
            .ok_or(Error::NotInMultipart)
    }

    /// Fails where no delimiter stands before the first part: it is a stand-in for all of the body.
    fn check_parts(&self, multipart: Part<'_>) -> Result<(), Error> {
        let first = multipart
            .children()
            .next()
            .filter(|_| multipart.kind() == Kind::Multipart);
        match first.is_some_and(|first| first.header().start > multipart.body().start) {
            true => Ok(()),
            false => Err(Error::NotMultipart),
        }
    }

    /// The octets that start a delimiter of a multipart.
    fn delimiter(&mut self, multipart: Part<'_>) -> Result<Option<Vec<u8>>, Error> {
        if let Some(known) = self.delimiters.get(&multipart.place()) {
            return Ok(known.clone());
        }
        let head = self.head(multipart)?;
        let field = header::find(&head.octets, "Content-Type");
        let content_type = field.and_then(|field| ContentType::parse(field.value));
        let delimiter =
            content_type.and_then(|content_type| Some([b"--", content_type.boundary()?].concat()));
        self.delimiters.insert(multipart.place(), delimiter.clone());
        Ok(delimiter)
    }

    /// Fails when a line would be a delimiter of a multipart around the part.
    fn check_delimiters(&mut self, part: Part<'_>, octets: &[u8]) -> Result<(), Error> {
        let mut place = part.place();
        while place != 0 {
            place = self.parents.get(place as usize).copied().unwrap_or_default();
            let Some(around) = self.part(place).filter(|around| around.kind() == Kind::Multipart) else {
                continue;
            };
            let Some(delimiter) = self.delimiter(around)? else {
                continue;
            };
            let mut found = memchr::memmem::find_iter(octets, &delimiter);
            if found.any(|at| at == 0 || octets[at - 1] == b'\n') {
                return Err(Error::Delimiter);
            }
        }
        Ok(())
    }

    /// Whether octets are found in a range of the message.
    fn holds(&self, range: Range<u64>, octets: &[u8]) -> Result<bool, Error> {
        const STEP: u64 = 64 * 1024;
        let mut start = range.start;
        while start < range.end {
            // What is cut by the end of a step is seen whole by its overlap with the next.
            let end = range.end.min(start + STEP + octets.len() as u64);
            if memchr::memmem::find(&self.octets(start..end)?, octets).is_some() {
                return Ok(true);
            }
            start += STEP;
        }
        Ok(false)
    }

    fn push_delimiter(&self, delimiter: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(self.line_end);
        out.extend_from_slice(delimiter);
        out.extend_from_slice(self.line_end);
    }

    /// The octets of a part that is put in, with boundaries of its own.
    fn entity(&self, part: build::Part<'_>, mut random: [u8; 16], number: u8) -> Result<Vec<u8>, Error> {
        random[0] ^= number;
        Ok(self.own_line_ends(part.to_entity(random)?))
    }

    fn replace_content_fields(&mut self, part: Part<'_>, fields: Vec<u8>) -> Result<(), Error> {
        let head = self.head(part)?;
        for span in content_fields(&head, self.line_end).0 {
            self.cut(part, &head, span.all, Vec::new());
        }
        self.put_content_fields(part, fields)
    }

    fn put_content_fields(&mut self, part: Part<'_>, mut fields: Vec<u8>) -> Result<(), Error> {
        if self.is_message_root(part) && self.head(part)?.find("MIME-Version").is_empty() {
            fields.splice(0..0, [b"MIME-Version: 1.0", self.line_end].concat());
        }
        self.put_field(part, Place::Bottom, fields)
    }
}

/// The Content-* fields of a header, and their octets.
fn content_fields(head: &Head<'_>, line_end: &[u8]) -> (Vec<Span>, Vec<u8>) {
    let mut octets = Vec::new();
    let mut spans = Vec::new();
    for (name, span) in head.spans() {
        if name
            .get(..8)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"content-"))
        {
            octets.extend_from_slice(&head.octets[head.local(&span.raw)]);
            if !octets.ends_with(b"\n") {
                octets.extend_from_slice(line_end);
            }
            spans.push(span);
        }
    }
    (spans, octets)
}

/// The length of a header with its empty line.
fn header_len(entity: &[u8]) -> usize {
    let mut len = 0;
    for line in entity.split_inclusive(|b| *b == b'\n') {
        len += line.len();
        if header::is_blank_line(line) {
            break;
        }
    }
    len
}
