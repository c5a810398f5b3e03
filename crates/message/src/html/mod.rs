//! HTML to text (WHATWG HTML §13.2, as far as text needs it)
//!
//! Linear in the input, without recursion, in bounded memory, and nothing is fetched or run. Scripts, styles, the
//! head, templates and elements that are hidden (`hidden`, `display:none`) give no text. Blocks end lines, cells
//! are set apart by tabs, lists get their markers, quotes their `>`. All named character references of HTML are
//! known.

mod entities;
mod writer;

use std::borrow::Cow;

use writer::Writer;

/// The text of an HTML document, as a person would read it.
///
/// ```
/// use mailwright_message::html;
/// let text = html::to_text("<style>p{}</style><p>Hello&nbsp;<b>you</b>,<ul><li>one<li>two</ul>");
/// assert_eq!(text, "Hello you,\n\n- one\n- two");
/// ```
pub fn to_text(html: &str) -> String {
    let mut out = String::with_capacity(html.len() / 4);
    let mut converter = Converter::new(Options::default());
    converter.push(html, &mut out);
    converter.finish(&mut out);
    out
}

/// What of HTML becomes text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Whether the target of a link stands behind its text, in angle brackets, where it is not the text itself.
    /// Default: true.
    pub links: bool,
    /// Whether list markers and the `>` of quotes are written. Default: true.
    pub marks: bool,
}

impl Options {
    /// Nothing but the words, for search and previews.
    pub const WORDS: Self = Self {
        links: false,
        marks: false,
    };
}

impl Default for Options {
    fn default() -> Self {
        Self {
            links: true,
            marks: true,
        }
    }
}

/// Converts HTML that comes in pieces of any size; the same for every way to cut it.
///
/// At most a tag is kept between pieces, 16 KiB of it.
#[derive(Debug, Clone)]
pub struct Converter {
    state: State,
    /// What of a tag, a reference or an end of raw text has been read.
    held: String,
    hidden: Option<Hidden>,
    writer: Writer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    /// Behind `&`.
    Reference,
    /// Behind `<`.
    Open,
    /// In a tag, of which the name is read; the quote that is open, and whether a value may start.
    Tag {
        quote: Option<char>,
        value: bool,
    },
    /// Behind `<!`, up to what makes it a comment.
    Markup,
    /// Up to `>`.
    Bogus,
    /// In a comment; so many hyphens, and whether an exclamation mark, were right before.
    Comment {
        hyphens: u8,
        bang: bool,
    },
    /// In an element whose text is not HTML, up to its end tag.
    Raw(&'static str),
}

/// An element that gives no text, and how many of its name are open within.
#[derive(Debug, Clone)]
struct Hidden {
    name: String,
    depth: u32,
}

/// What is behind this of one tag is not looked at.
const MAX_TAG: usize = 16 * 1024;

/// The longest name of a character reference.
const MAX_NAME: usize = 32;

impl Converter {
    /// A converter at the start of a document.
    pub fn new(options: Options) -> Self {
        Self {
            state: State::Text,
            held: String::new(),
            hidden: None,
            writer: Writer::new(options),
        }
    }

    /// Takes the next piece of HTML, and appends to `out` the text that is certain.
    pub fn push(&mut self, html: &str, out: &mut String) {
        for c in html.chars() {
            self.step(c, out);
        }
    }

    /// Ends the document. A tag or comment that is open is dropped.
    pub fn finish(&mut self, out: &mut String) {
        match self.state {
            State::Reference => self.reference(false, out),
            State::Open => self.text("<", out),
            _ => {}
        }
        self.writer.finish(out);
    }

    fn step(&mut self, c: char, out: &mut String) {
        match self.state {
            State::Text => match c {
                '<' => self.state = State::Open,
                '&' => self.state = State::Reference,
                _ if self.hidden.is_none() => self.writer.char(c, out),
                _ => {}
            },
            State::Reference => match c {
                ';' => {
                    self.reference(true, out);
                    self.state = State::Text;
                }
                _ if (c.is_ascii_alphanumeric() || c == '#') && self.held.len() < MAX_NAME => {
                    self.held.push(c);
                }
                _ => {
                    self.reference(false, out);
                    self.state = State::Text;
                    self.step_text(c, out);
                }
            },
            State::Open => match c {
                'a'..='z' | 'A'..='Z' | '/' => {
                    self.held.push(c);
                    self.state = State::Tag {
                        quote: None,
                        value: false,
                    };
                }
                '!' => self.state = State::Markup,
                '?' => self.state = State::Bogus,
                _ => {
                    self.text("<", out);
                    self.state = State::Text;
                    self.step_text(c, out);
                }
            },
            State::Tag { quote, value } => self.in_tag(c, quote, value, out),
            State::Markup => match (c, self.held.as_str()) {
                ('-', "") => self.held.push(c),
                ('-', _) => {
                    self.held.clear();
                    // "<!-->" and "<!--->" are comments too.
                    self.state = State::Comment {
                        hyphens: 2,
                        bang: false,
                    };
                }
                _ => {
                    self.held.clear();
                    self.state = if c == '>' { State::Text } else { State::Bogus };
                }
            },
            State::Bogus if c == '>' => self.state = State::Text,
            State::Bogus => {}
            State::Comment { hyphens, bang } => {
                self.state = match c {
                    '-' if !bang => State::Comment {
                        hyphens: (hyphens + 1).min(2),
                        bang,
                    },
                    '-' => State::Comment {
                        hyphens: 1,
                        bang: false,
                    },
                    '!' if hyphens == 2 && !bang => State::Comment { hyphens, bang: true },
                    '>' if hyphens == 2 => State::Text,
                    _ => State::Comment {
                        hyphens: 0,
                        bang: false,
                    },
                };
            }
            State::Raw(name) => self.in_raw(c, name),
        }
    }

    /// A step from a state that was left for text; `step` goes no deeper then.
    fn step_text(&mut self, c: char, out: &mut String) {
        match c {
            '<' => self.state = State::Open,
            '&' => self.state = State::Reference,
            _ => self.text(c.encode_utf8(&mut [0; 4]), out),
        }
    }

    fn text(&mut self, text: &str, out: &mut String) {
        if self.hidden.is_none() {
            text.chars().for_each(|c| self.writer.char(c, out));
        }
    }

    fn reference(&mut self, ended: bool, out: &mut String) {
        let held = std::mem::take(&mut self.held);
        match resolve(&held, ended) {
            Some(text) => self.text(&text, out),
            None => {
                self.text("&", out);
                self.text(&held, out);
                if ended {
                    self.text(";", out);
                }
            }
        }
    }

    fn in_tag(&mut self, c: char, quote: Option<char>, value: bool, out: &mut String) {
        let (quote, value) = match (quote, c) {
            (None, '>') => {
                let tag = std::mem::take(&mut self.held);
                self.state = State::Text;
                self.tag(&tag, out);
                return;
            }
            (Some(open), _) => (Some(open).filter(|open| *open != c), false),
            (None, '"' | '\'') if value => (Some(c), false),
            (None, '=') => (None, true),
            (None, _) => (None, value && c.is_ascii_whitespace()),
        };
        if self.held.len() < MAX_TAG {
            self.held.push(c);
        }
        self.state = State::Tag { quote, value };
    }

    fn in_raw(&mut self, c: char, name: &'static str) {
        // What could be the start of the end tag is held.
        let ends = match self.held.len() {
            0 => c == '<',
            1 => c == '/',
            n if n < name.len() + 2 => c.eq_ignore_ascii_case(&char::from(name.as_bytes()[n - 2])),
            _ => {
                if c == '>' {
                    self.held.clear();
                    self.state = State::Text;
                    return;
                }
                c.is_ascii_whitespace() || c == '/' || self.held.len() > name.len() + 2
            }
        };
        if !ends {
            self.held.clear();
            if c == '<' {
                self.held.push(c);
            }
        } else if self.held.len() < name.len() + 3 {
            self.held.push(c.to_ascii_lowercase());
        }
    }

    fn tag(&mut self, tag: &str, out: &mut String) {
        let (closes, rest) = match tag.strip_prefix('/') {
            Some(rest) => (true, rest),
            None => (false, tag),
        };
        let end = rest
            .find(|c: char| c.is_ascii_whitespace() || c == '/')
            .unwrap_or(rest.len());
        // No name that matters is longer.
        let name = rest[..end]
            .get(..end.min(16))
            .unwrap_or_default()
            .to_ascii_lowercase();
        let attributes = &rest[end..];
        if !closes {
            let raw = ["script", "style", "title", "xmp", "noembed"]
                .into_iter()
                .find(|raw| *raw == name);
            if let Some(raw) = raw {
                self.state = State::Raw(raw);
                return;
            }
        }
        if let Some(hidden) = &mut self.hidden {
            let is_over = match (hidden.name == name, closes) {
                (true, false) if name == "p" => true,
                (true, false) => {
                    hidden.depth = hidden.depth.saturating_add(1);
                    false
                }
                (true, true) => {
                    hidden.depth -= 1;
                    hidden.depth == 0
                }
                (false, false) => {
                    hidden.name == "head" && name == "body" || hidden.name == "p" && is_block(&name)
                }
                (false, true) => false,
            };
            if !is_over {
                return;
            }
            self.hidden = None;
            if closes {
                return;
            }
        }
        if !closes
            && (matches!(name.as_str(), "head" | "template") || is_hidden(attributes))
            && !is_void(&name)
        {
            self.hidden = Some(Hidden { name, depth: 1 });
            return;
        }
        self.writer.tag(&name, closes, attributes, out);
    }
}

fn is_void(name: &str) -> bool {
    matches!(
        name,
        "area"
            | "base"
            | "br"
            | "col"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "link"
            | "meta"
            | "source"
            | "wbr"
    )
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "p" | "div"
            | "table"
            | "ul"
            | "ol"
            | "dl"
            | "pre"
            | "blockquote"
            | "hr"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "section"
            | "article"
            | "header"
            | "footer"
            | "center"
            | "form"
    )
}

fn is_hidden(attributes: &str) -> bool {
    if attributes.len() < 6 {
        return false;
    }
    Attributes(attributes).any(|(name, value)| {
        if name.eq_ignore_ascii_case("hidden") {
            return true;
        }
        name.eq_ignore_ascii_case("style")
            && value.split(';').any(|declaration| {
                let (property, value) = declaration.split_once(':').unwrap_or(("", ""));
                property.trim().eq_ignore_ascii_case("display")
                    && value
                        .trim()
                        .get(..4)
                        .is_some_and(|v| v.eq_ignore_ascii_case("none"))
            })
    })
}

/// Names and values of attributes, references in them not resolved.
struct Attributes<'a>(&'a str);

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let is_space = |c: char| c.is_ascii_whitespace() || c == '/';
        let text = self.0.trim_start_matches(is_space);
        if text.is_empty() {
            return None;
        }
        let first = text.chars().next().map_or(0, char::len_utf8);
        let end = text[first..]
            .find(|c: char| is_space(c) || c == '=')
            .map_or(text.len(), |at| at + first);
        let (name, rest) = text.split_at(end);
        let Some(rest) = rest.trim_start().strip_prefix('=') else {
            self.0 = rest;
            return Some((name, ""));
        };
        let rest = rest.trim_start();
        let (value, rest) = match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let value = &rest[1..];
                value.split_once(quote).unwrap_or((value, ""))
            }
            _ => rest.split_at(rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len())),
        };
        self.0 = rest;
        Some((name, value))
    }
}

/// The value of an attribute, references resolved.
fn attribute<'a>(attributes: &'a str, wanted: &str) -> Option<Cow<'a, str>> {
    let (_, value) = Attributes(attributes).find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
    if !value.contains('&') {
        return Some(Cow::Borrowed(value));
    }
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let len = rest
            .bytes()
            .take(MAX_NAME)
            .take_while(|b| b.is_ascii_alphanumeric() || *b == b'#')
            .count();
        let ended = rest[len..].starts_with(';');
        match resolve(&rest[..len], ended).filter(|_| ended) {
            Some(text) => {
                out.push_str(&text);
                rest = &rest[len + 1..];
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
    Some(Cow::Owned(out))
}

/// What stands between `&` and, when it `ended` so, a semicolon.
fn resolve(name: &str, ended: bool) -> Option<Cow<'static, str>> {
    let Some(number) = name.strip_prefix('#') else {
        return (ended || entities::is_bare(name)).then(|| entities::find(name).map(Cow::Borrowed))?;
    };
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let code = u32::from_str_radix(digits, radix).unwrap_or(u32::MAX);
    let c = match code {
        // Pages that count in Windows-1252.
        0x80..=0x9f => encoding_rs::WINDOWS_1252
            .decode_without_bom_handling(&[code as u8])
            .0
            .chars()
            .next(),
        0 => None,
        _ => char::from_u32(code),
    };
    Some(Cow::Owned(c.unwrap_or(char::REPLACEMENT_CHARACTER).to_string()))
}
