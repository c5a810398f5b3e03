//! Shows what is in a message: its headers, the tree of its parts, a preview, and what is odd about it.
//!
//! ```sh
//! cargo run -p mailwright-examples --bin inspect -- message.eml          # for a person
//! cargo run -p mailwright-examples --bin inspect -- --json message.eml   # for a program
//! cargo run -p mailwright-examples --bin inspect -- --part 2 message.eml > photo.jpg
//! ```
//!
//! The message is read once, in pieces, to build its part index. Everything else is fetched by the ranges that the
//! index knows, so a message of any size needs memory for the index and for its largest text alone.
//! `inspect --help` tells the fields of the JSON and how parts are numbered.
#![allow(clippy::disallowed_types)] // an example is the one who brings files

mod headers;
mod json;
mod parts;
mod person;
mod source;

use clap::Parser;
use parts::Selector;
use source::Source;
use std::error::Error;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::process::ExitCode;

/// Shows what is in mail messages.
///
/// Prints the headers of messages (RFC 5322, MIME), the tree of their parts, a preview,
/// and what is odd about them. Whatever octets a file holds, they are shown as a message.
#[derive(Debug, Parser)]
#[command(name = "inspect", version, verbatim_doc_comment, after_long_help = HELP)]
struct Arguments {
    /// Files with one message each; `-` is the standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,

    /// Print one line of JSON for each file
    #[arg(long, conflicts_with = "part")]
    json: bool,

    /// Write the body of one part to the standard output, its transfer encoding removed
    ///
    /// NUMBER is an IMAP part number, as 2.1; the message itself is "" or TEXT. HEADER is its
    /// header; 2.MIME is the header of part 2; 2.HEADER and 2.TEXT are header and body of a
    /// message that is part 2.
    #[arg(long, value_name = "NUMBER", verbatim_doc_comment)]
    part: Option<Selector>,

    /// With --part: leave the transfer encoding as it is
    #[arg(long, requires = "part")]
    raw: bool,
}

const HELP: &str = "\
Part numbers are those of IMAP (RFC 9051 §6.4.5.1). The message itself has the path \"\",
its parts are 1, 2, 2.1 and so on. The one part of a message that is no multipart is the
message itself: it is listed once, as \"\", and --part takes 1 for it too. Parts of a
message inside of part 3 (message/rfc822) are 3.1, 3.2 and so on; if it is no multipart,
3.1 is all of it: its own header, and its body. If it is one, IMAP has no number for the
multipart as a whole, and the JSON has no entry for it; --part takes 3.HEADER and 3.TEXT.

Fields of the JSON:
  parts[]    in the order in which they stand in the message
    path            IMAP part number, \"\" for the message itself
    header          [start, end) in octets of the file, with the empty line that ends it
    body            [start, end), without the line end that belongs to the boundary behind it
    content_type    in lower case; where none is named, the one that RFC 2046 says to assume
    charset         in lower case, or null where none is named
    encoding        transfer encoding in lower case; 7bit where none is named
    lines, octets   size of the body as it stands, as in BODYSTRUCTURE
    decoded_sha256  of the body without its transfer encoding, in hexadecimal digits;
                    charset and line ends are as they are
    text            of text/*: decoded to Unicode, line ends as they are; else null
    filename        decoded, or null
  headers    of the message itself; where a field is there more than once, the first
    from, to, cc    lists of {name, address} and, for groups, {name, mailboxes}, which is
                    such a list again; name is null where there is none, and address
                    where there is neither local part nor domain
    subject         decoded, or null
    date            {rfc3339, unix}, or null where there is none that can be read
    message_id      without angle brackets, or null
    references      list of identifiers without angle brackets
  preview    the first words of the text (RFC 8970), \"\" where there are none
  defects[]  {kind, offset}: see DefectKind in the documentation of mailwright-message

A file that cannot be read has the line null.

Exit status: 0 if all went well; 1 if a file could not be read, or there is no such part;
2 if the command line is wrong.";

type Fallible<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut failed = false;
    for (at, file) in arguments.files.iter().enumerate() {
        let result = inspect(&arguments, file, at, &mut out).and_then(|()| Ok(out.flush()?));
        if let Err(error) = result {
            if is_broken_pipe(&*error) {
                return ExitCode::SUCCESS;
            }
            eprintln!("inspect: {}: {error}", shown_name(file));
            failed = true;
        }
    }
    ExitCode::from(u8::from(failed))
}

fn inspect(arguments: &Arguments, file: &str, at: usize, out: &mut impl Write) -> Fallible {
    let source = Source::open(file);
    if arguments.json {
        let line = source
            .map_err(Into::into)
            .and_then(|source| json::line(&source, out));
        if line.is_err() {
            writeln!(out, "null")?;
        }
        return line;
    }
    let source = source?;
    match &arguments.part {
        Some(selector) => parts::write(&source, selector, arguments.raw, out),
        None => {
            if at > 0 {
                writeln!(out)?;
            }
            person::print(&source, shown_name(file), out)
        }
    }
}

fn shown_name(file: &str) -> &str {
    if file == "-" { "standard input" } else { file }
}

/// Whoever reads has seen enough: `inspect … | head`.
fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let kind = match error.downcast_ref::<serde_json::Error>() {
        Some(error) => error.io_error_kind(),
        None => error.downcast_ref::<io::Error>().map(io::Error::kind),
    };
    kind == Some(ErrorKind::BrokenPipe)
}
