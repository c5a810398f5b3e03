//! Previews: the first words of a message (RFC 8970)

use crate::html;
use crate::index::Index;
use crate::text::{self, Reader};

/// The longest preview, in characters (RFC 8970 §3.1).
pub const MAX_CHARS: usize = 200;

/// The preview of a message: at most [`MAX_CHARS`] characters of its text on one line.
///
/// It is taken from the first body part that has any text, after [`from_text`]'s rules. `message` is what `index`
/// is the index of. At most 256 KiB of a part are read.
///
/// ```
/// use mailwright_message::{Index, preview};
/// let message = b"Content-Type: text/html\r\n\r\n<style>p{}</style><p>Hi Bob,</p><p>lunch at <b>noon</b>?</p>";
/// assert_eq!(preview::of(&Index::of(message), message), "lunch at noon?");
/// ```
pub fn of(index: &Index, message: &[u8]) -> String {
    const MAX_OCTETS: usize = 256 * 1024;
    const ENOUGH: usize = 8 * 1024;
    let bodies = index.bodies();
    for part in bodies.text.iter().chain(&bodies.html) {
        let Some(mut reader) = Reader::with(part, html::Options::WORDS) else {
            continue;
        };
        let octets = text::octets(message, part.body());
        let mut text = String::new();
        for chunk in octets[..octets.len().min(MAX_OCTETS)].chunks(4096) {
            reader.push(chunk, &mut text);
            if text.len() > ENOUGH {
                break;
            }
        }
        reader.finish(&mut text);
        let preview = from_text(&text);
        if !preview.is_empty() {
            return preview;
        }
    }
    String::new()
}

/// The preview of a text.
///
/// Left out are quoted lines and the line that introduces them, the header of a forwarded message, rules made of
/// punctuation, a signature, the armour of OpenPGP, a first line that only greets, and the invisible characters with which newsletters
/// pad their own previews. When that leaves nothing, only the invisible characters are left out.
pub fn from_text(text: &str) -> String {
    let own = words(own_lines(text));
    if own.is_empty() {
        words(text.lines().map(unquoted))
    } else {
        own
    }
}

/// Whether a character shows nothing, or only changes how others are shown.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

fn own_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut lines = text.lines().peekable();
    let (mut is_first, mut is_over) = (true, false);
    std::iter::from_fn(move || {
        loop {
            let line = lines.next().filter(|_| !is_over)?;
            let shown = line.trim_matches(is_blank);
            if shown.is_empty() {
                continue;
            }
            if line.trim_end_matches('\r') == "-- " || shown == "-----BEGIN PGP SIGNATURE-----" {
                is_over = true;
                return None;
            }
            if shown == "-----BEGIN PGP SIGNED MESSAGE-----" {
                // Its header goes up to an empty line (RFC 9580 §7).
                while lines.next_if(|line| !line.trim().is_empty()).is_some() {}
                continue;
            }
            let mut ahead = lines
                .clone()
                .map(|line| line.trim_matches(is_blank))
                .filter(|line| !line.is_empty());
            let quote_follows = ahead.next().is_some_and(|line| line.starts_with('>'));
            let is_noise = shown.starts_with('>')
                || is_rule(shown)
                || shown.ends_with(':') && quote_follows
                || is_forward(shown)
                || std::mem::take(&mut is_first) && is_greeting(shown);
            if !is_noise {
                return Some(shown);
            }
        }
    })
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || is_invisible(c)
}

fn unquoted(line: &str) -> &str {
    line.trim_start_matches(|c: char| c == '>' || is_blank(c))
}

/// `-----`, `* * *`, `=====`, `────`
fn is_rule(line: &str) -> bool {
    // Dashes, and what boxes are drawn with.
    let is_line = |c: char| matches!(c, '\u{2010}'..='\u{2015}' | '\u{2500}'..='\u{259f}');
    line.chars().nth(2).is_some()
        && line
            .chars()
            .all(|c| c.is_ascii_punctuation() || c == ' ' || is_line(c))
}

/// `----- Forwarded message -----`, `---------- Original Message ----------`
fn is_forward(line: &str) -> bool {
    line.starts_with("---") && line.ends_with("---")
}

/// `Hi Bob,`
fn is_greeting(line: &str) -> bool {
    const WORDS: [&str; 18] = [
        "hi",
        "hello",
        "hey",
        "dear",
        "greetings",
        "good",
        "hallo",
        "liebe",
        "lieber",
        "guten",
        "sehr",
        "bonjour",
        "cher",
        "hola",
        "estimado",
        "ciao",
        "beste",
        "hej",
    ];
    if line.len() > 60 || !line.ends_with([',', '!']) || line.matches([',', '!', '.', '?']).count() > 1 {
        return false;
    }
    let first = line
        .split(|c: char| !c.is_alphabetic())
        .next()
        .unwrap_or_default()
        .to_lowercase();
    WORDS.contains(&first.as_str()) && line.split_whitespace().count() <= 5
}

/// Words on one line, as many as fit.
fn words<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut out = String::new();
    let (mut chars, mut word_end) = (0, 0);
    for line in lines {
        let mut space = !out.is_empty();
        for c in line.chars().filter(|c| !is_invisible(*c)) {
            if c.is_whitespace() || c.is_control() {
                space = !out.is_empty();
                continue;
            }
            if std::mem::take(&mut space) {
                word_end = out.len();
                out.push(' ');
                chars += 1;
            }
            if chars >= MAX_CHARS {
                // Where a word would lose much of itself the cut is between words.
                if out.len() - word_end < out.len() / 5 || out.ends_with(' ') {
                    out.truncate(word_end);
                }
                return out;
            }
            out.push(c);
            chars += 1;
        }
    }
    out
}
