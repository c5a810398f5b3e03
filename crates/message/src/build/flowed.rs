//! format=flowed, written (RFC 3676 §4.2)

/// Where lines are broken, in characters: RFC 3676 §4.2 recommends 72.
const WIDTH: usize = 72;

/// Breaks each line of `text` into flowed lines. The last line keeps its line end or its lack of one.
pub(super) fn flow(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    for line in text.split_inclusive('\n') {
        let (line, ended) = match line.strip_suffix('\n') {
            Some(line) => (line.strip_suffix('\r').unwrap_or(line), true),
            None => (line, false),
        };
        paragraph(line, &mut out);
        if ended {
            out.push_str("\r\n");
        }
    }
    out
}

fn paragraph(line: &str, out: &mut String) {
    let depth = line.bytes().take_while(|b| *b == b'>').count();
    let (marks, text) = line.split_at(depth);
    let text = match depth {
        0 => text,
        _ => text.strip_prefix(' ').unwrap_or(text),
    };
    // A signature separator is as it is (§4.3); a space at the end of any other fixed line would make it flow.
    let mut rest = match text {
        "-- " => {
            start(marks, text, out);
            out.push_str(text);
            return;
        }
        _ => text.trim_end_matches(' '),
    };
    loop {
        start(marks, rest, out);
        let Some(cut) = break_at(rest, WIDTH.saturating_sub(depth + 2)) else {
            out.push_str(rest);
            return;
        };
        out.push_str(&rest[..cut]);
        out.push_str("\r\n");
        rest = &rest[cut..];
    }
}

/// Quote marks, and the stuffing that keeps text from being taken for them (§4.4).
fn start(marks: &str, text: &str, out: &mut String) {
    out.push_str(marks);
    let stuffed = !marks.is_empty() || text.starts_with([' ', '>']) || text.starts_with("From ");
    if stuffed && !(marks.is_empty() && text.is_empty()) {
        out.push(' ');
    }
}

/// Behind the last space that keeps the line within `width`, or behind the first one after it. A break must leave
/// something for the next line, and must not make a signature separator.
fn break_at(text: &str, width: usize) -> Option<usize> {
    let mut last = None;
    for (count, (at, c)) in text.char_indices().enumerate() {
        if c != ' ' {
            continue;
        }
        let end = at + 1;
        if count + 1 > width && last.is_some() {
            break;
        }
        if end < text.len() && &text[..end] != "-- " {
            last = Some(end);
        }
        if count + 1 > width && last.is_some() {
            break;
        }
    }
    last.filter(|_| text.chars().nth(width).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_become_lines_that_flow() {
        let words = "word ".repeat(30);
        let flowed = flow(&format!("{words}\r\nshort \n-- \nme"));
        let lines: Vec<&str> = flowed.split("\r\n").collect();
        assert!(lines.iter().all(|line| line.len() <= WIDTH));
        let end = lines.iter().position(|line| !line.ends_with(' ')).unwrap();
        assert_eq!(lines[..=end].concat(), words.trim_end());
        assert_eq!(lines[end + 1..], ["short", "-- ", "me"]);
    }

    #[test]
    fn quotes_and_stuffing() {
        assert_eq!(flow(">> a"), ">> a");
        assert_eq!(flow(">>a"), ">> a");
        assert_eq!(flow(" indented\nFrom here"), "  indented\r\n From here");
        let quoted = flow(&format!("> {}", "word ".repeat(30)));
        assert!(quoted.split("\r\n").count() > 1);
        assert!(
            quoted
                .split("\r\n")
                .all(|line| line.starts_with("> word") && line.len() <= WIDTH)
        );
    }
}
