//! Fields written by the checks, folded and safe (RFC 5322 §2.2.3, §3.2)

/// A field of words, folded before [`WIDTH`], with its line ending.
pub(crate) fn field(name: &str, words: impl IntoIterator<Item = String>) -> String {
    let mut out = format!("{name}:");
    let mut column = out.len();
    for word in words {
        if column + 1 + word.len() > WIDTH && column > 1 {
            out.push_str("\r\n");
            column = 0;
        }
        out.push(' ');
        out.push_str(&word);
        column += 1 + word.len();
    }
    out.push_str("\r\n");
    out
}

/// A dot-atom where that is enough, else a quoted string; controls become `?`, and what is too long is cut.
pub(crate) fn word(text: &str) -> String {
    let text = cut(text);
    let atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
    let dots = text.starts_with('.') || text.ends_with('.') || text.contains("..");
    if !text.is_empty() && !dots && text.bytes().all(atom) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The inside of a comment.
pub(crate) fn comment(text: &str) -> String {
    let mut out = String::new();
    for c in cut(text).chars() {
        match c {
            '(' | ')' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_VALUE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// RFC 5322 §2.1.1.
const WIDTH: usize = 78;
const MAX_VALUE: usize = 512;
