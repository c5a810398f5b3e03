//! TNEF, the content of winmail.dat (MS-OXTNEF, MS-OXRTFCP)
//!
//! What Outlook puts into application/ms-tnef: attachments, the text in several forms, and a subject. Damage ends
//! the reading and is told; what came before it is there. Only the compressed RTF can be larger than its input;
//! [`Limits::max_octets`] bounds all that is made.

mod mapi;
mod rtf;

use crate::charset::Charset;
use crate::transfer::Found;
use crate::{Defect, DefectKind};

pub use rtf::decompress as decompress_rtf;

/// What is in a TNEF stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tnef {
    /// The class of the message: `IPM.Note`, `IPM.Microsoft Mail.Note`, and others for appointments and tasks.
    pub message_class: Option<String>,
    /// The subject.
    pub subject: Option<String>,
    /// The text as plain text.
    pub text: Option<String>,
    /// The text as HTML.
    pub html: Option<String>,
    /// The text as RTF, decompressed; offer it as an attachment of type text/rtf.
    pub rtf: Option<Vec<u8>>,
    /// The attachments.
    pub attachments: Vec<Attachment>,
    /// What was odd, offsets counted from the start of the stream.
    pub defects: Vec<Defect>,
}

/// A file in a TNEF stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attachment {
    /// The name, the long form where there is one: not safe as the name of a file.
    pub name: Option<String>,
    /// The media type.
    pub mime_tag: Option<String>,
    /// The Content-ID by which HTML names it, without brackets.
    pub content_id: Option<String>,
    /// The content.
    pub data: Vec<u8>,
    /// Whether the content is a TNEF stream itself: a message that was attached.
    pub is_message: bool,
}

/// Bounds of what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many attachments. Default: 1,000.
    pub max_attachments: usize,
    /// How many octets of content all in all, text included. Default: 256 MiB.
    pub max_octets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_attachments: 1_000,
            max_octets: 256 << 20,
        }
    }
}

impl Tnef {
    /// Reads a stream; `None` when it is no TNEF.
    pub fn parse(input: &[u8]) -> Option<Self> {
        Self::parse_limited(input, Limits::default())
    }

    /// As [`Tnef::parse`], within other bounds.
    pub fn parse_limited(input: &[u8], limits: Limits) -> Option<Self> {
        let mut reader = Reader { input, at: 0 };
        if reader.u32()? != 0x223e_9f78 {
            return None;
        }
        reader.u16()?;
        let mut parse = Parse {
            tnef: Self::default(),
            charset: Charset::find(b"windows-1252")?,
            limits,
            left: limits.max_octets,
            found: Found::default(),
        };
        while reader.at < input.len() {
            let start = reader.at;
            if parse.attribute(&mut reader).is_none() {
                parse.found.note(DefectKind::DamagedTnef, start);
                break;
            }
        }
        parse.tnef.defects = parse.found.into_list();
        Some(parse.tnef)
    }
}

struct Parse {
    tnef: Tnef,
    charset: Charset,
    limits: Limits,
    left: usize,
    found: Found,
}

const ATTACHMENT: u8 = 2;

impl Parse {
    fn attribute(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let start = reader.at;
        let level = reader.u8()?;
        let id = reader.u32()?;
        let len = reader.u32()? as usize;
        let data = reader.take(len)?;
        let sum = data
            .iter()
            .fold(0u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
        if reader.u16()? != sum {
            self.found.note(DefectKind::DamagedTnef, start);
        }
        if level == ATTACHMENT {
            self.of_attachment(id & 0xffff, data, start);
        } else {
            self.of_message(id & 0xffff, data, start);
        }
        Some(())
    }

    fn of_message(&mut self, id: u32, data: &[u8], at: usize) {
        match id {
            // OemCodepage
            0x9007 => {
                let page = Reader { input: data, at: 0 }.u32().unwrap_or_default();
                if let Some(charset) = Charset::find(format!("cp{page}").as_bytes()) {
                    self.charset = charset;
                }
            }
            0x8008 => self.tnef.message_class = Some(self.string(data)),
            0x8004 => self.tnef.subject = Some(self.string(data)),
            0x800c => self.set_text(data, at),
            0x9003 => self.properties(data, at),
            _ => {}
        }
    }

    fn properties(&mut self, data: &[u8], at: usize) {
        for property in mapi::properties(data) {
            let Some(property) = property else {
                self.found.note(DefectKind::DamagedTnef, at);
                return;
            };
            match property.id {
                0x001a if self.tnef.message_class.is_none() => {
                    self.tnef.message_class = property.text(self.charset);
                }
                0x0037 => self.tnef.subject = property.text(self.charset).or(self.tnef.subject.take()),
                // PidTagBody, and its form in HTML, which is octets or text.
                0x1000 => {
                    if let Some(text) = property
                        .text(self.charset)
                        .filter(|text| self.claim(text.len(), at))
                    {
                        self.tnef.text = Some(text);
                    }
                }
                0x1013 => {
                    let html = property.text(self.charset);
                    let html = html.or_else(|| Some(self.charset.decode(property.octets()?).into_owned()));
                    if let Some(html) = html.filter(|html| self.claim(html.len(), at)) {
                        self.tnef.html = Some(html.trim_end_matches('\0').to_owned());
                    }
                }
                0x1009 => {
                    let Some(octets) = property.octets() else { continue };
                    match rtf::decompress(octets, self.left) {
                        Some(rtf) if self.claim(rtf.len(), at) => self.tnef.rtf = Some(rtf),
                        _ => self.found.note(DefectKind::DamagedTnef, at),
                    }
                }
                _ => {}
            }
        }
    }

    fn of_attachment(&mut self, id: u32, data: &[u8], at: usize) {
        // AttachRendData opens an attachment.
        if id == 0x9002 {
            if self.tnef.attachments.len() >= self.limits.max_attachments {
                self.found.note(DefectKind::TnefLimit, at);
                // What belongs to it is not for the one before it.
                self.left = 0;
                return;
            }
            self.tnef.attachments.push(Attachment::default());
            return;
        }
        let name = (id == 0x8010).then(|| self.string(data));
        let claimed = id == 0x800f && self.claim(data.len(), at);
        let properties = if id == 0x9005 {
            self.attachment_properties(data, at)
        } else {
            None
        };
        let Some(attachment) = self.tnef.attachments.last_mut() else {
            return;
        };
        if let Some(name) = name {
            // The long name from the properties counts more.
            attachment.name.get_or_insert(name);
        }
        if claimed {
            attachment.data = data.to_vec();
        }
        if let Some(found) = properties {
            attachment.name = found.name.or(attachment.name.take());
            attachment.mime_tag = found.mime_tag.or(attachment.mime_tag.take());
            attachment.content_id = found.content_id.or(attachment.content_id.take());
            if !found.data.is_empty() {
                (attachment.data, attachment.is_message) = (found.data, found.is_message);
            }
        }
    }

    fn attachment_properties(&mut self, data: &[u8], at: usize) -> Option<Attachment> {
        let mut attachment = Attachment::default();
        let mut short = None;
        for property in mapi::properties(data) {
            let Some(property) = property else {
                self.found.note(DefectKind::DamagedTnef, at);
                break;
            };
            match property.id {
                0x3707 => attachment.name = property.text(self.charset),
                0x3704 => short = property.text(self.charset),
                0x3001 => short = short.or_else(|| property.text(self.charset)),
                0x370e => attachment.mime_tag = property.text(self.charset),
                0x3712 => {
                    let id = property.text(self.charset);
                    attachment.content_id = id.map(|id| id.trim_matches(['<', '>']).to_owned());
                }
                // PidTagAttachDataObject or PidTagAttachDataBinary; before an object stands what it is.
                0x3701 => {
                    let Some(octets) = property.octets() else { continue };
                    let octets = if property.is_object() {
                        octets.get(16..).unwrap_or_default()
                    } else {
                        octets
                    };
                    if self.claim(octets.len(), at) {
                        attachment.data = octets.to_vec();
                        attachment.is_message = octets.starts_with(&0x223e_9f78u32.to_le_bytes());
                    }
                }
                _ => {}
            }
        }
        attachment.name = attachment.name.or(short);
        Some(attachment)
    }

    fn set_text(&mut self, data: &[u8], at: usize) {
        if self.claim(data.len(), at) {
            let text = self.string(data);
            self.tnef.text.get_or_insert(text);
        }
    }

    fn string(&self, data: &[u8]) -> String {
        let end = memchr::memchr(0, data).unwrap_or(data.len());
        self.charset.decode(&data[..end]).into_owned()
    }

    /// Takes octets from what may still be made.
    fn claim(&mut self, octets: usize, at: usize) -> bool {
        match self.left.checked_sub(octets) {
            Some(left) => {
                self.left = left;
                true
            }
            None => {
                self.found.note(DefectKind::TnefLimit, at);
                false
            }
        }
    }
}

/// Little-endian numbers and octets.
#[derive(Debug, Clone)]
struct Reader<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let octets = self.input.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(octets)
    }

    fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }
}
