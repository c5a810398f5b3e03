//! The readable text of parts, for search and previews (RFC 2045, RFC 3676)
//!
//! Transfer encoding, charset, format=flowed and HTML are taken away in one go, chunk by chunk and in bounded
//! memory. Text grows by a small factor at the most, because no step of it repeats anything.

use crate::charset::{self, Charset};
use crate::index::{Index, Part};
use crate::{Defect, DefectKind, flowed, html, transfer};

/// Reads the text of one part, whose body comes in chunks of any size.
///
/// ```
/// use mailwright_message::{Index, text};
/// let message = b"Content-Type: text/html; charset=iso-8859-1\r\n\
///     Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>Gr=FC=DFe</p>";
/// let index = Index::of(message);
/// let (mut reader, mut out) = (text::Reader::of(&index.root()).unwrap(), String::new());
/// for chunk in message[index.root().body().start as usize..].chunks(3) {
///     reader.push(chunk, &mut out);
/// }
/// reader.finish(&mut out);
/// assert_eq!(out, "Grüße");
/// ```
#[derive(Debug)]
pub struct Reader {
    transfer: transfer::Decoder,
    charset: charset::Decoder,
    form: Form,
    octets: Vec<u8>,
    text: String,
    is_charset_unknown: bool,
}

#[derive(Debug)]
enum Form {
    Plain,
    Flowed(flowed::Decoder),
    Html(html::Converter),
}

impl Reader {
    /// A reader for a part of type text/*; `None` for another one. HTML gives its words alone.
    pub fn of(part: &Part<'_>) -> Option<Self> {
        Self::with(part, html::Options::WORDS)
    }

    /// As [`Reader::of`], and says what of HTML becomes text.
    pub fn with(part: &Part<'_>, options: html::Options) -> Option<Self> {
        if !part.is_text() {
            return None;
        }
        let label = part.parameter("charset");
        let known = label.as_ref().map(|label| Charset::find(label.as_bytes()));
        let is = |name: &str, value: &str| {
            part.parameter(name)
                .is_some_and(|v| v.trim().eq_ignore_ascii_case(value))
        };
        let form = if part.is("text", "html") {
            Form::Html(html::Converter::new(options))
        } else if part.is("text", "plain") && is("format", "flowed") {
            Form::Flowed(flowed::Decoder::new(is("delsp", "yes")))
        } else {
            Form::Plain
        };
        Some(Self {
            transfer: part.encoding().decoder(),
            charset: known.flatten().unwrap_or_else(Charset::guess).decoder(),
            form,
            octets: Vec::new(),
            text: String::new(),
            is_charset_unknown: known == Some(None),
        })
    }

    /// Takes the next octets of the part's body as it is in the message.
    pub fn push(&mut self, chunk: &[u8], out: &mut String) {
        // Pieces keep the buffers between the steps small.
        for piece in chunk.chunks(16 * 1024) {
            self.transfer.push(piece, &mut self.octets);
            self.pass(out);
        }
    }

    /// Ends the body.
    pub fn finish(&mut self, out: &mut String) {
        self.transfer.finish(&mut self.octets);
        self.pass(out);
        self.charset.finish(&mut self.text);
        self.pass(out);
        match &mut self.form {
            Form::Plain => {}
            Form::Flowed(decoder) => decoder.finish(out),
            Form::Html(converter) => converter.finish(out),
        }
    }

    /// What was odd so far, offsets counted from the start of the body. What is wrong with its charset is told
    /// at offset 0.
    pub fn defects(&self) -> impl Iterator<Item = Defect> + '_ {
        let unknown = self
            .is_charset_unknown
            .then(|| Defect::new(DefectKind::UnknownCharset, 0));
        let errors = self.charset.had_errors() && !self.is_charset_unknown;
        let errors = errors.then(|| Defect::new(DefectKind::UndecodableText, 0));
        self.transfer
            .defects()
            .iter()
            .copied()
            .chain(unknown)
            .chain(errors)
    }

    fn pass(&mut self, out: &mut String) {
        if let Form::Plain = self.form {
            self.charset.push(&self.octets, out);
            out.push_str(&self.text);
        } else {
            self.charset.push(&self.octets, &mut self.text);
            match &mut self.form {
                Form::Plain => {}
                Form::Flowed(decoder) => decoder.push(&self.text, out),
                Form::Html(converter) => converter.push(&self.text, out),
            }
        }
        self.octets.clear();
        self.text.clear();
    }
}

/// The text of all parts of type text/*, nested messages included, one behind the other with an empty line
/// between. Case is as in the message.
///
/// `message` is what `index` is the index of. Use [`Reader`] for a message that is not in memory.
pub fn of_message(index: &Index, message: &[u8]) -> String {
    let mut out = String::new();
    for part in index.parts() {
        let Some(mut reader) = Reader::of(&part) else {
            continue;
        };
        if !out.is_empty() {
            out.push_str(if out.ends_with('\n') { "\n" } else { "\n\n" });
        }
        reader.push(octets(message, part.body()), &mut out);
        reader.finish(&mut out);
    }
    out
}

/// The octets of a range of the message; none when it is another message.
pub(crate) fn octets(message: &[u8], range: std::ops::Range<u64>) -> &[u8] {
    let range = usize::try_from(range.start)
        .ok()
        .zip(usize::try_from(range.end).ok());
    range
        .and_then(|(start, end)| message.get(start..end))
        .unwrap_or_default()
}
