//! Changes the header of a message or strips its attachments; every octet that is not named stays as it is.
//!
//! ```sh
//! cargo run -p mailwright-examples --bin edit -- --set Subject=Hello --remove X-Spam message.eml > changed.eml
//! cargo run -p mailwright-examples --bin edit -- --list message.eml
//! cargo run -p mailwright-examples --bin edit -- --strip-attachments -o small.eml message.eml
//! ```
//!
//! The message is read once to build its part index, and once more while the result is written: of a message of any
//! size, the index and the headers that are edited are in memory, and nothing else.
#![allow(clippy::disallowed_types)] // an example is the one who brings files

// `inspect` reads messages the same way, and more of them.
#[path = "inspect/source.rs"]
#[allow(dead_code)]
mod source;

use clap::Parser;
use mailwright_message::build::{self, Field};
use mailwright_message::edit::{Edited, Editor, Error as EditError, Place, Segment};
use mailwright_message::index::{Kind, Part};
use source::Source;
use std::borrow::Cow;
use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::process::ExitCode;

/// Changes the header of a mail message, or strips its attachments.
///
/// Every octet that is not named stays as it is: other fields, their folding, line ends, and whatever is wrong with
/// the message. Changes break signatures over what they change.
#[derive(Debug, Parser)]
#[command(name = "edit", version, after_long_help = HELP)]
struct Arguments {
    /// The file with the message; `-` is the standard input
    #[arg(default_value = "-")]
    file: String,

    /// List the parts, and change nothing
    #[arg(long, conflicts_with_all = ["set", "add", "remove", "strip", "strip_attachments", "output"])]
    list: bool,

    /// Put a field in the place of the first of its name, and remove the others; add it where there is none
    #[arg(long, value_name = "NAME=VALUE", value_parser = field)]
    set: Vec<(String, String)>,

    /// Add a field behind all others
    #[arg(long, value_name = "NAME=VALUE", value_parser = field)]
    add: Vec<(String, String)>,

    /// Remove all fields of this name
    #[arg(long, value_name = "NAME")]
    remove: Vec<String>,

    /// Strip a part; --list tells their numbers
    #[arg(long, value_name = "PART", value_parser = number)]
    strip: Vec<Vec<u32>>,

    /// Strip all parts that are for saving
    #[arg(long)]
    strip_attachments: bool,

    /// Leave no note in the place of what is stripped
    #[arg(long)]
    no_note: bool,

    /// Write to this file; without it, to the standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<String>,
}

const HELP: &str = "\
VALUE is text: what is not ASCII is encoded as RFC 2047 has it, and long lines are folded.
PART is a number as IMAP counts parts, such as 2 or 1.3.

Exit status: 0 if all went well; 1 if the message could not be read, changed or written;
2 if the command line is wrong.";

type Fallible<T = ()> = Result<T, Box<dyn Error>>;

fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn number(text: &str) -> Result<Vec<u32>, String> {
    let number = |n: &str| n.parse().ok().filter(|n| *n > 0);
    let numbers = text.split('.').map(number).collect::<Option<_>>();
    numbers.ok_or_else(|| "write it as numbers from 1 with full stops between them".to_owned())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("edit: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Fallible {
    let name = if arguments.file == "-" {
        "standard input"
    } else {
        &arguments.file
    };
    let source = Source::open(&arguments.file).map_err(|error| format!("{name}: {error}"))?;
    if arguments.list {
        let mut out = io::stdout().lock();
        return list(source.index.root(), &mut Vec::new(), &mut out);
    }
    let edited = edit(arguments, &source)?;
    match &arguments.output {
        None => write(&source, &edited, io::stdout().lock()),
        Some(output) => {
            if is_same_file(&arguments.file, output) {
                return Err(
                    "the output is the file that is read: write to another one, and rename it".into(),
                );
            }
            let file = File::create(output).map_err(|error| format!("{output}: {error}"))?;
            write(&source, &edited, &file).map_err(|error| format!("{output}: {error}"))?;
            Ok(file.sync_all()?)
        }
    }
}

fn edit(arguments: &Arguments, source: &Source) -> Fallible<Edited> {
    let index = &source.index;
    let mut editor = Editor::stored(index, |range| source.read(range).ok().map(Cow::Owned));
    let root = index.root();
    for (name, value) in &arguments.set {
        let set = editor.set_field(root, &Field::text(name, value));
        set.map_err(|error| format!("--set {name}: {error}"))?;
    }
    for (name, value) in &arguments.add {
        let added = editor.add_field(root, Place::Bottom, &Field::text(name, value));
        added.map_err(|error| format!("--add {name}: {error}"))?;
    }
    for name in &arguments.remove {
        if editor.remove_fields(root, name)? == 0 {
            eprintln!("edit: there is no field {}", name.escape_debug());
        }
    }
    let mut stripped = Vec::new();
    for number in &arguments.strip {
        let part = index.part(number).filter(|part| part.place() > 0);
        stripped.push(part.ok_or_else(|| format!("there is no part {}: see --list", shown(number)))?);
    }
    if arguments.strip_attachments {
        attachments(root, &mut stripped);
    }
    stripped.sort_by_key(Part::place);
    stripped.dedup_by_key(|part| part.place());
    let mut end = 0;
    for part in stripped {
        // What is inside of a stripped part goes with it.
        if part.place() < end {
            continue;
        }
        end = index
            .parts()
            .skip(part.place() as usize + 1)
            .find(|next| next.depth() <= part.depth())
            .map_or(u32::MAX, |next| next.place());
        match arguments.no_note {
            true => editor.remove_part(part)?,
            false => {
                let random = random()?;
                editor.replace_part(part, note(part), random)?;
            }
        }
    }
    editor.finish().map_err(|error| match error {
        EditError::LastPart => "nothing would be left of a multipart: leave out --no-note".into(),
        EditError::Conflict(_) => "two options change the same field or part".into(),
        error => error.into(),
    })
}

/// The parts that ask to be saved; what is in one is not looked at.
fn attachments<'a>(part: Part<'a>, found: &mut Vec<Part<'a>>) {
    let mut open = vec![part];
    while let Some(part) = open.pop() {
        for child in part.children() {
            let disposition = child.body_structure().disposition();
            match disposition.is_some_and(|(kind, _)| kind.eq_ignore_ascii_case(b"attachment")) {
                true => found.push(child),
                false => open.push(child),
            }
        }
    }
}

/// What stands in the place of a stripped part.
fn note(part: Part<'_>) -> build::Part<'static> {
    let name = part
        .filename()
        .map_or_else(String::new, |name| format!(" \"{name}\""));
    let range = part.body();
    let text = format!(
        "An attachment{} of type {} with {} octets was here. It was removed.\n",
        name.replace(char::is_control, " "),
        media_type(part),
        range.end - range.start
    );
    build::Part::text(text).inline()
}

fn list(part: Part<'_>, number: &mut Vec<u32>, out: &mut impl Write) -> Fallible {
    let children: Vec<_> = part.children().collect();
    if number.is_empty() && children.is_empty() {
        writeln!(out, "the message is one part: {}", media_type(part))?;
    }
    for (n, child) in children.into_iter().enumerate() {
        // A nested message has no number of its own: its parts go on with that of the part it is in.
        let counts = part.kind() == Kind::Multipart;
        if counts {
            number.push(n as u32 + 1);
            let name = child
                .filename()
                .map_or_else(String::new, |name| format!("  {}", name.escape_debug()));
            let octets = child.body().end - child.body().start;
            writeln!(
                out,
                "{:8} {:28} {octets:>10} octets{name}",
                shown(number),
                media_type(child)
            )?;
        }
        list(child, number, out)?;
        if counts {
            number.pop();
        }
    }
    Ok(())
}

fn media_type(part: Part<'_>) -> String {
    let structure = part.body_structure();
    let word = |octets: &[u8]| octets.escape_ascii().to_string().to_ascii_lowercase();
    format!("{}/{}", word(structure.media_type()), word(structure.subtype()))
}

fn shown(number: &[u32]) -> String {
    number.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
}

fn write(source: &Source, edited: &Edited, out: impl Write) -> Fallible {
    let mut out = BufWriter::new(out);
    for segment in edited.segments() {
        match segment {
            Segment::Original(range) => source.each_chunk_of(range.clone(), |chunk| out.write_all(chunk))?,
            Segment::Inserted(octets) => out.write_all(octets)?,
        }
    }
    Ok(out.flush()?)
}

fn random() -> Fallible<[u8; 16]> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| format!("the system gives no randomness: {error}"))?;
    Ok(random)
}

fn is_same_file(a: &str, b: &str) -> bool {
    let path = |name| std::fs::canonicalize(name).ok();
    path(a).is_some_and(|a| Some(a) == path(b))
}

/// Whoever reads has seen enough: `edit … | head`.
fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().map(io::Error::kind) == Some(ErrorKind::BrokenPipe)
}
