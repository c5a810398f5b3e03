//! Reading mbox files.

use super::Quoting;
use crate::transfer::TransferError;
use crate::transfer::source::{Ended, Folder, Item, Piece, Sink};
use mailwright_mailbox::{Flags, Keyword, MailboxName, SystemFlags, Uid, UidValidity};
use mailwright_message::date;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Gives all that a file has, or all files in a folder and below it. A file alone is of this mailbox.
pub(in crate::transfer) fn read(
    path: &Path,
    alone: &MailboxName,
    quoting: Quoting,
    sink: &Sink,
) -> Result<(), Ended> {
    let files = if path.is_dir() {
        match files(path, sink)? {
            Ok(files) => files,
            Err(error) => return sink.give(Piece::Failed(TransferError::file(path, error))),
        }
    } else {
        if let Err(error) = File::open(path) {
            return sink.give(Piece::Failed(TransferError::file(path, error)));
        }
        vec![(alone.clone(), path.to_owned())]
    };
    let octets = files
        .iter()
        .filter_map(|(_, path)| fs::metadata(path).ok())
        .map(|it| it.len());
    sink.give(Piece::Total {
        messages: None,
        octets: Some(octets.sum()),
    })?;
    for (name, path) in files {
        file(name, &path, quoting, sink)?;
    }
    Ok(())
}

type Found = Vec<(MailboxName, PathBuf)>;

/// The mbox files of a folder: `Archive/2026.mbox`, `Archive/2026`, and as Thunderbird has it `Archive.sbd/2026`.
fn files(root: &Path, sink: &Sink) -> Result<io::Result<Found>, Ended> {
    let mut found = Vec::new();
    let mut open = vec![(root.to_owned(), String::new())];
    while let Some((folder, above)) = open.pop() {
        let entries = match fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) if above.is_empty() => return Ok(Err(error)),
            Err(error) => {
                sink.skipped(folder.display().to_string(), error)?;
                continue;
            }
        };
        for entry in entries {
            let path = entry.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                sink.skipped(path.display().to_string(), "the name is not UTF-8")?;
                continue;
            };
            if name.starts_with('.') {
                continue;
            }
            let bare = [".sbd", ".mbox"].iter().find_map(|end| name.strip_suffix(end));
            let mailbox = format!("{above}{}", bare.unwrap_or(name));
            if path.is_dir() {
                if !path.is_symlink() && mailbox.matches('/').count() < MailboxName::MAX_LEVELS {
                    open.push((path.clone(), mailbox + "/"));
                }
                continue;
            }
            match (begins_as_mbox(&path), MailboxName::parse(&mailbox)) {
                (Ok(true), Ok(mailbox)) => found.push((mailbox, path.clone())),
                (Ok(false), _) => sink.skipped(path.display().to_string(), "not an mbox file")?,
                (Err(error), _) => sink.skipped(path.display().to_string(), error)?,
                (_, Err(error)) => sink.skipped(path.display().to_string(), error)?,
            }
        }
    }
    found.sort();
    Ok(Ok(found))
}

/// An empty file is an mbox without messages.
fn begins_as_mbox(path: &Path) -> io::Result<bool> {
    let mut first = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(File::open(path)?, 5), &mut first)?;
    Ok(first.is_empty() || first == b"From ")
}

fn file(name: MailboxName, path: &Path, quoting: Quoting, sink: &Sink) -> Result<(), Ended> {
    let mut lines = match File::open(path) {
        Ok(file) => Lines::new(BufReader::with_capacity(Sink::CHUNK, file)),
        Err(error) => return sink.skipped(path.display().to_string(), error),
    };
    let mut reader = Reader {
        path: path.display().to_string(),
        quoting,
        sink,
        folder: Some(name),
        count: 0,
        strict: false,
        current: None,
        is_blank_held: false,
    };
    loop {
        match lines.next() {
            Ok(Some(line)) => reader.line(&line)?,
            Ok(None) => return reader.end(),
            Err(error) => return reader.broken(&error.to_string()),
        }
    }
}

/// A line, or a piece of a long one.
struct Line {
    octets: Vec<u8>,
    is_start: bool,
}

struct Lines<R> {
    input: R,
    is_start: bool,
}

impl<R: BufRead> Lines<R> {
    fn new(input: R) -> Self {
        Self {
            input,
            is_start: true,
        }
    }

    fn next(&mut self) -> io::Result<Option<Line>> {
        let mut octets = Vec::new();
        let limit = Sink::CHUNK as u64;
        io::Read::take(&mut self.input, limit).read_until(b'\n', &mut octets)?;
        if octets.is_empty() {
            return Ok(None);
        }
        let is_start = core::mem::replace(&mut self.is_start, octets.ends_with(b"\n"));
        Ok(Some(Line { octets, is_start }))
    }
}

struct Reader<'s> {
    path: String,
    quoting: Quoting,
    sink: &'s Sink,
    /// Until its first message was seen, which may tell what its UIDs are worth.
    folder: Option<MailboxName>,
    count: u64,
    /// The first line between messages has a date, so all others have.
    strict: bool,
    current: Option<Current>,
    /// An empty line: part of the message, or what stands before the next.
    is_blank_held: bool,
}

/// A message that is being read.
struct Current {
    name: String,
    date: Option<i64>,
    /// The header while it comes; `None` behind it.
    header: Option<Vec<u8>>,
    found: Told,
    out: Vec<u8>,
    is_internal: bool,
}

/// What header fields tell.
#[derive(Default)]
struct Told {
    item: Item,
    uid_validity: Option<UidValidity>,
    uid_next: Option<Uid>,
}

impl Reader<'_> {
    /// A header that is longer holds no fields that are looked for.
    const HEADER: usize = 1 << 20;

    fn line(&mut self, line: &Line) -> Result<(), Ended> {
        let may_separate = self.current.is_none() || self.is_blank_held;
        if line.is_start && may_separate && line.octets.starts_with(b"From ") {
            let date = separator_date(&line.octets);
            if self.current.is_none() || date.is_some() || !self.strict {
                self.is_blank_held = false;
                self.end_message()?;
                self.strict |= self.count == 0 && date.is_some();
                self.count += 1;
                self.current = Some(Current {
                    name: format!("{}, message {}", self.path, self.count),
                    date,
                    header: Some(Vec::new()),
                    found: Told::default(),
                    out: Vec::new(),
                    is_internal: false,
                });
                return Ok(());
            }
        }
        if self.current.is_none() {
            // Empty lines before the first message are nothing.
            return match line.octets.trim_ascii().is_empty() {
                true => Ok(()),
                false if self.count == 0 => {
                    self.count = 1;
                    self.sink.skipped(
                        self.path.clone(),
                        "not an mbox file: it does not begin with \"From \"",
                    )
                }
                false => Ok(()),
            };
        }
        if core::mem::take(&mut self.is_blank_held) {
            self.put(b"\r\n", false)?;
        }
        let text = line.octets.strip_suffix(b"\n");
        let is_whole = text.is_some();
        let text = text.map_or(&*line.octets, |text| text.strip_suffix(b"\r").unwrap_or(text));
        if is_whole && line.is_start && text.is_empty() {
            let current = self.current.as_mut().expect("a message has begun");
            if current.header.is_some() {
                return self.end_header();
            }
            self.is_blank_held = true;
            return Ok(());
        }
        let text = match line.is_start && self.quoting.is_quoted(text) {
            true => &text[1..],
            false => text,
        };
        self.put(text, is_whole)
    }

    fn put(&mut self, text: &[u8], ends: bool) -> Result<(), Ended> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        let out = current.header.as_mut().unwrap_or(&mut current.out);
        out.extend_from_slice(text);
        if ends {
            out.extend_from_slice(b"\r\n");
        }
        if current
            .header
            .as_ref()
            .is_some_and(|header| header.len() > Self::HEADER)
        {
            let header = current.header.take().unwrap_or_default();
            self.begin(header)?;
        }
        self.flush(Sink::CHUNK)
    }

    fn flush(&mut self, above: usize) -> Result<(), Ended> {
        match &mut self.current {
            Some(current)
                if current.header.is_none() && current.out.len() > above && !current.is_internal =>
            {
                let octets = core::mem::take(&mut current.out).into();
                self.sink.give(Piece::Octets(octets))
            }
            _ => Ok(()),
        }
    }

    /// The empty line behind the header.
    fn end_header(&mut self) -> Result<(), Ended> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        let header = current.header.take().unwrap_or_default();
        let (mut header, found) = take_fields(&header);
        // What UW-IMAP keeps its own notes in is no message.
        current.is_internal = self.count == 1 && is_folder_data(&header);
        current.found = found;
        header.extend_from_slice(b"\r\n");
        self.begin(header)
    }

    /// The octets of the message begin with these.
    fn begin(&mut self, header: Vec<u8>) -> Result<(), Ended> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        if let Some(name) = self.folder.take() {
            self.sink.give(Piece::Folder(Folder {
                name,
                uid_validity: current.found.uid_validity,
                uid_next: current.found.uid_next,
                mark: None,
                goes_on: false,
            }))?;
        }
        if !current.is_internal {
            self.sink.give(Piece::Message(current.name.clone()))?;
        }
        current.out = header;
        Ok(())
    }

    fn end_message(&mut self) -> Result<(), Ended> {
        if let Some(header) = self.current.as_mut().and_then(|it| it.header.take()) {
            // A message without the empty line behind its header.
            let (header, found) = take_fields(&header);
            if let Some(current) = &mut self.current {
                current.found = found;
            }
            self.begin(header)?;
        }
        self.flush(0)?;
        match self.current.take() {
            Some(current) if !current.is_internal => {
                let mut item = current.found.item;
                item.internal_date = current.date;
                self.sink.give(Piece::End(item))
            }
            _ => Ok(()),
        }
    }

    fn end(mut self) -> Result<(), Ended> {
        // The line behind the last message is not part of it.
        self.is_blank_held = false;
        self.end_message()?;
        match self.folder.take() {
            Some(name) => self.sink.give(Piece::Folder(Folder {
                name,
                uid_validity: None,
                uid_next: None,
                mark: None,
                goes_on: false,
            })),
            None => Ok(()),
        }
    }

    fn broken(self, why: &str) -> Result<(), Ended> {
        match self.current.filter(|it| it.header.is_none() && !it.is_internal) {
            Some(_) => self.sink.give(Piece::Broken(why.to_owned())),
            None => self.sink.skipped(self.path, why),
        }
    }
}

/// The date of `From sender Mon Jan  1 00:00:00 2001`, whatever stands for the sender.
fn separator_date(line: &[u8]) -> Option<i64> {
    const DAYS: [&[u8]; 7] = [b" Mon", b" Tue", b" Wed", b" Thu", b" Fri", b" Sat", b" Sun"];
    let line = line.trim_ascii_end();
    let starts = (0..line.len()).filter(|at| DAYS.iter().any(|day| line[*at..].starts_with(day)));
    starts
        .filter_map(|at| date::parse(&line[at + 1..]))
        .map(|date| date.unix)
        .next()
}

fn is_folder_data(header: &[u8]) -> bool {
    let subject = b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\r\n";
    header.windows(subject.len()).any(|it| it == subject)
}

/// Takes the fields that are no part of the message out of its header.
fn take_fields(header: &[u8]) -> (Vec<u8>, Told) {
    let mut found = Told::default();
    let lines: Vec<&[u8]> = header.split_inclusive(|octet| *octet == b'\n').collect();
    let own: Vec<Option<(&str, &str)>> = lines.iter().map(|line| own_field(line)).collect();
    // All at the top up to X-UID: those are ours, and what comes behind is the message's.
    let top = own.iter().take_while(|field| field.is_some());
    let run = top.clone().count();
    let last = top
        .take(run)
        .position(|field| field.is_some_and(|(name, _)| name.eq_ignore_ascii_case("X-UID")));
    let end = last.map_or(lines.len(), |at| at + 1);
    let mut rest = Vec::with_capacity(header.len());
    let mut is_taken = false;
    for (at, line) in lines.iter().enumerate() {
        // A field goes on in lines that begin with a blank.
        let goes_on = at > 0 && matches!(line.first(), Some(b' ' | b'\t'));
        match own[at].filter(|_| at < end) {
            Some((name, value)) => {
                note(&mut found, name, value);
                is_taken = true;
            }
            None if goes_on && is_taken => {}
            None => {
                is_taken = false;
                rest.extend_from_slice(line);
            }
        }
    }
    (rest, found)
}

fn own_field(line: &[u8]) -> Option<(&str, &str)> {
    const NAMES: [&str; 9] = [
        "Status",
        "X-Status",
        "X-Keywords",
        "X-UID",
        "X-IMAP",
        "X-IMAPbase",
        "X-Mozilla-Status",
        "X-Mozilla-Status2",
        "X-Mozilla-Keys",
    ];
    let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    NAMES
        .iter()
        .any(|own| own.eq_ignore_ascii_case(name))
        .then_some((name, value.trim()))
}

fn note(found: &mut Told, name: &str, value: &str) {
    let flags = &mut found.item.flags;
    match &*name.to_ascii_lowercase() {
        "status" if value.contains('R') => flags.insert(SystemFlags::SEEN),
        "x-status" => {
            for letter in value.chars() {
                match letter {
                    'A' => flags.insert(SystemFlags::ANSWERED),
                    'F' => flags.insert(SystemFlags::FLAGGED),
                    'D' => flags.insert(SystemFlags::DELETED),
                    'T' => flags.insert(SystemFlags::DRAFT),
                    _ => {}
                }
            }
        }
        "x-keywords" | "x-mozilla-keys" => keywords(flags, value),
        "x-mozilla-status" => {
            let bits = u32::from_str_radix(value, 16).unwrap_or(0);
            let known = [
                (0x1, SystemFlags::SEEN),
                (0x2, SystemFlags::ANSWERED),
                (0x4, SystemFlags::FLAGGED),
                (0x8, SystemFlags::DELETED),
            ];
            let set = known.iter().filter(|(bit, _)| bits & bit != 0);
            set.for_each(|(_, flag)| flags.insert(*flag));
            if bits & 0x1000 != 0 {
                keywords(flags, "$Forwarded");
            }
        }
        "x-uid" => found.item.uid = value.parse().ok().and_then(Uid::new),
        "x-imap" | "x-imapbase" => {
            let mut words = value.split_whitespace();
            let mut number = || words.next().and_then(|word| word.parse::<u32>().ok());
            found.uid_validity = number().and_then(UidValidity::new);
            found.uid_next = number().and_then(|last| Uid::new(last.checked_add(1)?));
        }
        _ => {}
    }
}

fn keywords(flags: &mut Flags, value: &str) {
    let all = value.split([' ', ',', '\t']).filter_map(Keyword::parse);
    all.for_each(|keyword| flags.insert_keyword(keyword));
}
