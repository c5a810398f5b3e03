//! A message for a person to look at.

use mailwright_message::index::Kind;
use mailwright_message::{DefectKind, header};
use std::io::Write;

use crate::Fallible;
use crate::headers::{Headers, Member, Person};
use crate::parts::{self, Facts};
use crate::source::Source;

/// No line is longer than this many characters; the rest of a value is cut off.
const WIDTH: usize = 110;

/// Fields that are shown with their meaning, before all others.
const TYPED: [&str; 7] = ["From", "To", "Cc", "Subject", "Date", "Message-ID", "References"];

pub(crate) fn print(source: &Source, name: &str, out: &mut impl Write) -> Fallible {
    let index = &source.index;
    let mut defects: Vec<_> = index
        .defects()
        .map(|defect| (defect.kind, defect.offset))
        .collect();
    for part in index.parts() {
        defects.extend(parts::each_decoded(source, part, |_| Ok(()))?);
        defects.extend(parts::header_defects(part, &source.header(part)?));
    }
    defects.sort_by_key(|(kind, offset)| (*offset, *kind as u8));
    defects.dedup();
    writeln!(
        out,
        "{}: {}, {}, {}",
        visible(name),
        count(index.octets(), "octet"),
        count(index.parts().count() as u64, "part"),
        count(defects.len() as u64, "defect")
    )?;
    print_header(&source.header(index.root())?, out)?;
    print_tree(source, out)?;
    let preview = parts::preview(source)?;
    if !preview.is_empty() {
        writeln!(out, "\nPreview")?;
        wrap(&visible(&preview), out)?;
    }
    print_defects(&defects, out)
}

fn print_header(header: &[u8], out: &mut impl Write) -> Fallible {
    let typed = Headers::read(header);
    let raw = |name| header::find(header, name).map(|field| header::decode(field.value));
    let list = |members: &[Member]| {
        let members: Vec<String> = members.iter().map(member).collect();
        (!members.is_empty()).then(|| members.join(", "))
    };
    let date = match &typed.date {
        Some(moment) => Some(mailwright_message::date::format(moment.written)),
        None => raw("Date").map(|text| format!("{text} (no date)")),
    };
    let ids = |ids: &[String]| {
        let ids: Vec<String> = ids.iter().map(|id| format!("<{id}>")).collect();
        (!ids.is_empty()).then(|| ids.join(" "))
    };
    let values = [
        list(&typed.from),
        list(&typed.to),
        list(&typed.cc),
        typed.subject,
        date,
        ids(typed.message_id.as_slice()),
        ids(&typed.references),
    ];
    writeln!(out, "\nHeader")?;
    for (name, value) in TYPED.iter().zip(values) {
        if let Some(value) = value {
            print_field(name, &value, out)?;
        }
    }
    let mut seen = [false; TYPED.len()];
    for field in header::fields(header) {
        // The first field of a typed name was shown above.
        let first = TYPED.iter().position(|name| field.is(name));
        if first.is_some_and(|at| !std::mem::replace(&mut seen[at], true)) {
            continue;
        }
        let name = String::from_utf8_lossy(field.name);
        print_field(&name, &header::decode(field.value), out)?;
    }
    Ok(())
}

fn print_field(name: &str, value: &str, out: &mut impl Write) -> Fallible {
    let words: Vec<&str> = value.split_whitespace().collect();
    let line = format!("{:<26} {}", visible(name), visible(&words.join(" ")));
    writeln!(out, "  {}", clipped(line.trim_end(), WIDTH - 2))?;
    Ok(())
}

fn member(member: &Member) -> String {
    match member {
        Member::Mailbox(mailbox) => person(mailbox),
        Member::Group { name, mailboxes } => {
            let mailboxes: Vec<String> = mailboxes.iter().map(person).collect();
            format!("{name}: {};", mailboxes.join(", "))
        }
    }
}

fn person(person: &Person) -> String {
    match (&person.name, &person.address) {
        (Some(name), Some(address)) if name.contains([',', ';', ':', '<', '>', '@', '"', '(', ')']) => {
            format!("{name:?} <{address}>")
        }
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (name, address) => address.clone().or_else(|| name.clone()).unwrap_or_default(),
    }
}

fn print_tree(source: &Source, out: &mut impl Write) -> Fallible {
    writeln!(out, "\nParts")?;
    let numbers = || source.index.numbered().filter_map(|(number, _)| number);
    let width = numbers()
        .map(|number| parts::path(&number).len())
        .max()
        .unwrap_or(0);
    // For each open part, how many of its children are still to come.
    let mut left: Vec<usize> = Vec::new();
    for (number, part) in source.index.numbered() {
        left.truncate(part.depth().into());
        let mut branch = String::new();
        if let Some((last, outer)) = left.split_last_mut() {
            *last -= 1;
            for left in outer.iter() {
                branch.push_str(if *left > 0 { "│  " } else { "   " });
            }
            branch.push_str(if *last > 0 { "├─ " } else { "└─ " });
        }
        left.push(part.children().count());

        let facts = Facts::read(part, &source.header(part)?);
        let number = parts::path(&number.unwrap_or_default());
        let mut line = format!("{number:<width$}  {branch}{}", facts.content_type);
        if let Some(filename) = &facts.filename {
            line.push_str(&format!("  \"{filename}\""));
        }
        let body = part.body();
        let mut details = vec![facts.encoding];
        details.extend(facts.charset);
        if part.kind() == Kind::Leaf {
            details.push(count(part.lines().unwrap_or(0), "line"));
        }
        details.push(count(body.end - body.start, "octet"));
        line.push_str(&format!("  {}", details.join(", ")));
        writeln!(out, "  {}", clipped(&visible(&line), WIDTH - 2))?;
    }
    Ok(())
}

fn print_defects(defects: &[(DefectKind, u64)], out: &mut impl Write) -> Fallible {
    if defects.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nDefects")?;
    for (kind, offset) in defects {
        writeln!(out, "  at octet {offset:<10} {}", words(&format!("{kind:?}")))?;
    }
    Ok(())
}

/// `MissingHeader` as `missing header`.
fn words(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

fn count(number: u64, what: &str) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let plural = if number == 1 { "" } else { "s" };
    format!("{grouped} {what}{plural}")
}

/// Prints text in lines of words.
fn wrap(text: &str, out: &mut impl Write) -> Fallible {
    let mut column = 0;
    for word in text.split_whitespace() {
        let word = clipped(word, WIDTH - 2);
        let width = word.chars().count() + 1;
        if column > 0 && column + width > WIDTH {
            writeln!(out)?;
            column = 0;
        }
        write!(out, "{}{word}", if column == 0 { "  " } else { " " })?;
        column += width + usize::from(column == 0);
    }
    writeln!(out)?;
    Ok(())
}

fn clipped(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        None => text.to_owned(),
        Some(_) => text.chars().take(width - 1).chain(['…']).collect(),
    }
}

/// Text that can do nothing to a terminal: no control characters, and none that change the direction of writing.
fn visible(text: &str) -> String {
    let changes_direction =
        |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .map(|c| match c {
            '\t' | '\r' | '\n' => ' ',
            c if c.is_control() || changes_direction(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}
