//! XML that is written, and the little of it that is read

use quick_xml::Reader;
use quick_xml::events::Event;
use std::fmt::Write as _;

/// Writes elements one within the other, each on a line of its own.
#[derive(Debug)]
pub(super) struct Xml {
    text: String,
    open: Vec<&'static str>,
}

impl Xml {
    /// A document, with what stands ahead of its root.
    pub(super) fn new(doctype: &str) -> Self {
        Self {
            text: format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{doctype}"),
            open: Vec::new(),
        }
    }

    /// Begins an element, which lasts until [`close`](Self::close).
    pub(super) fn open(&mut self, name: &'static str, attributes: &[(&str, &str)]) {
        self.indent();
        self.text.push('<');
        self.text.push_str(name);
        for (attribute, value) in attributes {
            // Writing into a string cannot fail.
            let _ = write!(self.text, " {attribute}=\"{}\"", escape(value));
        }
        self.text.push_str(">\n");
        self.open.push(name);
    }

    /// Ends the element that was begun last.
    pub(super) fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            self.indent();
            let _ = writeln!(self.text, "</{name}>");
        }
    }

    /// An element that holds text alone.
    pub(super) fn leaf(&mut self, name: &str, text: &str) {
        self.indent();
        let _ = writeln!(self.text, "<{name}>{}</{name}>", escape(text));
    }

    /// An element that holds nothing.
    pub(super) fn empty(&mut self, name: &str) {
        self.indent();
        let _ = writeln!(self.text, "<{name}/>");
    }

    /// Ends all elements.
    pub(super) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.text
    }

    fn indent(&mut self) {
        self.text.extend(self.open.iter().map(|_| "  "));
    }
}

/// A text as it stands in an element or an attribute. What no document can hold (XML 1.0 §2.2) is left out.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() && !matches!(c, '\t' | '\n' | '\r') => {}
            c => out.push(c),
        }
    }
    out
}

/// The texts of the first elements that are called so, in whatever namespace; `None` if it is no XML, or one of them is
/// not there.
pub(super) fn find<const N: usize>(document: &[u8], names: [&str; N]) -> Option<[String; N]> {
    let mut reader = Reader::from_str(std::str::from_utf8(document).ok()?);
    let mut found = [const { None::<String> }; N];
    // The element whose text is being read.
    let mut within: Option<usize> = None;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                let name = start.local_name();
                let place = names.iter().position(|known| **known == *name.as_ref());
                within = place.filter(|place| found[*place].is_none());
                if let Some(place) = within {
                    found[place] = Some(String::new());
                }
            }
            Event::Text(text) => {
                if let Some(place) = within {
                    found[place].get_or_insert_default().push_str(&text);
                }
            }
            Event::GeneralRef(entity) => {
                if let Some(place) = within {
                    // Only the characters that XML itself names: a document type has no say.
                    let c = match entity.resolve_char_ref().ok()? {
                        Some(c) => c,
                        None => match &*entity {
                            "amp" => '&',
                            "lt" => '<',
                            "gt" => '>',
                            "quot" => '"',
                            "apos" => '\'',
                            _ => return None,
                        },
                    };
                    found[place].get_or_insert_default().push(c);
                }
            }
            Event::End(_) => within = None,
            Event::Eof => break,
            _ => {}
        }
    }
    let mut all = [const { String::new() }; N];
    for (text, found) in all.iter_mut().zip(found) {
        *text = found?.trim().to_owned();
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_break_out_of_their_elements() {
        let mut xml = Xml::new("");
        xml.open("a", &[("b", "\"><c>'&")]);
        xml.leaf("d", "</d>\u{0}\u{b}\u{ffff}&amp;");
        let text = xml.finish();
        assert!(
            text.contains("<a b=\"&quot;&gt;&lt;c&gt;&apos;&amp;\">"),
            "{text}"
        );
        assert!(text.contains("<d>&lt;/d&gt;&amp;amp;</d>"), "{text}");
        let read = find(text.as_bytes(), ["d"]).expect("it is XML");
        assert_eq!(read, ["</d>&amp;".to_owned()]);
    }

    #[test]
    fn what_is_missing_broken_or_declared_is_not_read() {
        let found = find(
            b"<x:r xmlns:x='u'><x:a> 1&#x32; </x:a><b/><b>2</b><a>3</a></x:r>",
            ["b", "a"],
        );
        assert_eq!(found, Some(["2".to_owned(), "12".to_owned()]));
        assert_eq!(find(b"<r><a>1</a></r>", ["a", "b"]), None);
        assert_eq!(find(b"<r><a>1</b></r>", ["a"]), None);
        let bomb = b"<!DOCTYPE r [<!ENTITY e \"eeee\">]><r><a>&e;</a></r>";
        assert_eq!(find(bomb, ["a"]), None);
    }
}
