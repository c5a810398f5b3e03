//! format=flowed (RFC 3676)

/// The text of a part with `format=flowed`: paragraphs on one line each, quoted ones behind `> ` for each level.
///
/// `del_sp` is the part's DelSp parameter.
///
/// ```
/// use mailwright_message::flowed;
/// assert_eq!(flowed::decode("> a \r\n> b\r\n> c\r\n >d", false), "> a b\n> c\n>d\n");
/// ```
pub fn decode(text: &str, del_sp: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut decoder = Decoder::new(del_sp);
    decoder.push(text, &mut out);
    decoder.finish(&mut out);
    out
}

/// Reads text with `format=flowed` that comes in pieces of any size; the same for every way to cut it.
///
/// At most a line is kept, 4 KiB of it; what is behind that goes on as it is.
#[derive(Debug, Clone)]
pub struct Decoder {
    del_sp: bool,
    line: String,
    /// The start of the line that is being read was too long to keep, and is written.
    cut: bool,
    /// The paragraph that goes on, by its depth.
    open: Option<usize>,
}

const MAX_LINE: usize = 4096;

impl Decoder {
    /// A decoder at the start of a text.
    pub fn new(del_sp: bool) -> Self {
        Self {
            del_sp,
            line: String::new(),
            cut: false,
            open: None,
        }
    }

    /// Takes the next piece of text.
    pub fn push(&mut self, text: &str, out: &mut String) {
        for piece in text.split_inclusive('\n') {
            let mut piece = piece;
            while self.line.len() + piece.len() > MAX_LINE {
                let mut at = MAX_LINE - self.line.len();
                while !piece.is_char_boundary(at) {
                    at += 1;
                }
                self.line.push_str(&piece[..at]);
                piece = &piece[at..];
                self.write(true, out);
            }
            self.line.push_str(piece);
            if self.line.ends_with('\n') {
                self.write(false, out);
            }
        }
    }

    /// Ends the text.
    pub fn finish(&mut self, out: &mut String) {
        if !self.line.is_empty() || self.cut {
            self.write(false, out);
        }
        if self.open.take().is_some() {
            out.push('\n');
        }
    }

    /// Writes a line, or (`partly`) the start of one that is too long.
    fn write(&mut self, partly: bool, out: &mut String) {
        let held = std::mem::take(&mut self.line);
        let line = held.strip_suffix('\n').unwrap_or(&held);
        let line = line.strip_suffix('\r').filter(|_| !partly).unwrap_or(line);
        let mut content = line;
        if !self.cut {
            let depth = line.bytes().take_while(|b| *b == b'>').count();
            content = &line[depth..];
            content = content.strip_prefix(' ').unwrap_or(content);
            // The separator of a signature is a line of its own (§4.3).
            let continues = self.open == Some(depth) && content != "-- ";
            if !continues {
                if self.open.is_some() {
                    out.push('\n');
                }
                out.push_str(&line[..depth]);
                out.push_str(if depth > 0 { " " } else { "" });
            }
            self.open = Some(depth);
        }
        self.cut = partly;
        if partly {
            out.push_str(content);
            return;
        }
        let is_flowed = content.ends_with(' ') && content != "-- ";
        let content = if is_flowed && self.del_sp {
            &content[..content.len() - 1]
        } else {
            content
        };
        out.push_str(content);
        if !is_flowed {
            out.push('\n');
            self.open = None;
        }
    }
}

/// Writes text as `format=flowed` (DelSp is `no`): lines of at most 78 octets where words allow, ended by CRLF.
///
/// A line of the input is a paragraph; one that begins with `>` is a quote, as [`decode`] writes it.
///
/// ```
/// use mailwright_message::flowed;
/// let text = format!("From {}\n> quoted\n", "many words ".repeat(9).trim_end());
/// let flowed = flowed::encode(&text);
/// assert!(flowed.starts_with(" From many") && flowed.lines().all(|line| line.len() <= 78));
/// assert_eq!(flowed::decode(&flowed, false), text);
/// ```
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 32);
    for line in text.lines() {
        let depth = line.bytes().take_while(|b| *b == b'>').count();
        let (quote, content) = line.split_at(depth);
        let content = if depth > 0 {
            content.strip_prefix(' ').unwrap_or(content)
        } else {
            content
        };
        if content == "-- " {
            start(quote, content, &mut out);
            out.push_str("-- \r\n");
            continue;
        }
        // A space at the end would make the paragraph go on.
        let content = content.trim_end_matches(' ');
        let room = 76usize.saturating_sub(depth + 1).max(20);
        let mut rest = content;
        loop {
            let at = break_at(rest, room);
            start(quote, rest, &mut out);
            out.push_str(&rest[..at]);
            out.push_str("\r\n");
            rest = &rest[at..];
            if rest.is_empty() {
                break;
            }
        }
    }
    out
}

fn start(quote: &str, content: &str, out: &mut String) {
    out.push_str(quote);
    let is_stuffed = !quote.is_empty() || content.starts_with([' ', '>']) || content.starts_with("From ");
    if is_stuffed {
        out.push(' ');
    }
}

/// Where a line ends: behind the last space that is within the room, or behind the first one.
fn break_at(text: &str, room: usize) -> usize {
    if text.len() <= room {
        return text.len();
    }
    let mut end = room;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    // Lines must not be of spaces alone, nor look like the separator of a signature.
    let fits = |at: usize| text[..at].trim_matches(' ').len() > 2;
    let last = text[..end].rfind(' ').map(|at| at + 1).filter(|at| fits(*at));
    last.or_else(|| {
        let words = text.len() - text.trim_start_matches(' ').len();
        let word = text[words.max(end)..].find(' ').map(|at| at + words.max(end) + 1);
        word.filter(|at| fits(*at))
    })
    .unwrap_or(text.len())
}
