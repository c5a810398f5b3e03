//! Writing mbox files.

use super::Quoting;
use mailwright_mailbox::{Flags, Message, Snapshot, SystemFlags};
use mailwright_message::date::DateTime;
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A file that a mailbox is written to; it takes its place, and that of one before it, when it is complete.
#[derive(Debug)]
pub(in crate::transfer) struct Target {
    path: PathBuf,
    partial: PathBuf,
    out: BufWriter<File>,
    quoting: Quoting,
    base: Option<String>,
    /// Where the message began that is being written, and what of it is not written yet: part of a line.
    begun: Option<u64>,
    carry: Vec<u8>,
    is_mid_line: bool,
    ends_line: bool,
}

impl Target {
    /// The longest beginning of a line that is looked at for `From `.
    const CARRY: usize = 64 * 1024;

    /// Begins the file of a mailbox below the root.
    pub(in crate::transfer) fn open(root: &Path, mailbox: &Snapshot, quoting: Quoting) -> io::Result<Self> {
        let path = root.join(format!("{}.mbox", mailbox.name));
        let partial = root.join(format!("{}.mbox.partial", mailbox.name));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let last = mailbox.uid_next.map_or(u32::MAX, |next| next.value() - 1);
        Ok(Self {
            path,
            out: BufWriter::with_capacity(256 * 1024, File::create(&partial)?),
            partial,
            quoting,
            base: Some(format!("X-IMAPbase: {} {last:010}\n", mailbox.uid_validity)),
            begun: None,
            carry: Vec::new(),
            is_mid_line: false,
            ends_line: true,
        })
    }

    /// Begins a message.
    pub(in crate::transfer) fn begin(&mut self, message: &Message) -> io::Result<()> {
        self.begun = Some(self.out.stream_position()?);
        let base = self.base.clone().unwrap_or_default();
        let head = format!("From MAILER-DAEMON {}\n{base}", ctime(message.internal_date));
        self.out.write_all(head.as_bytes())?;
        self.out.write_all(fields(&message.flags).as_bytes())?;
        self.out
            .write_all(format!("X-UID: {}\n", message.uid).as_bytes())?;
        (self.is_mid_line, self.ends_line) = (false, true);
        Ok(())
    }

    /// Takes the next octets of the message.
    pub(in crate::transfer) fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let mut text = core::mem::take(&mut self.carry);
        text.extend_from_slice(octets);
        let mut rest = &*text;
        while let Some(at) = rest.iter().position(|octet| *octet == b'\n') {
            let (line, after) = rest.split_at(at + 1);
            self.piece(line)?;
            rest = after;
        }
        if rest.len() > Self::CARRY {
            // A CR may belong to the LF that comes next.
            let end = rest.len() - usize::from(rest.ends_with(b"\r"));
            self.piece(&rest[..end])?;
            rest = &rest[end..];
        }
        self.carry = rest.to_vec();
        Ok(())
    }

    /// Ends the message. One that does not end with a line end gets one.
    pub(in crate::transfer) fn finish(&mut self) -> io::Result<()> {
        let rest = core::mem::take(&mut self.carry);
        if !rest.is_empty() {
            self.piece(&rest)?;
        }
        self.out.write_all(if self.ends_line { b"\n" } else { b"\n\n" })?;
        (self.begun, self.base) = (None, None);
        Ok(())
    }

    /// Takes back what was written of a message that cannot be read to its end.
    pub(in crate::transfer) fn abandon(&mut self) -> io::Result<()> {
        self.carry.clear();
        if let Some(begun) = self.begun.take() {
            self.out.seek(SeekFrom::Start(begun))?;
            self.out.get_ref().set_len(begun)?;
        }
        Ok(())
    }

    /// Completes the file.
    pub(in crate::transfer) fn end(mut self) -> io::Result<()> {
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        fs::rename(&self.partial, &self.path)
    }

    /// A line, or a piece of a long one.
    fn piece(&mut self, piece: &[u8]) -> io::Result<()> {
        if !self.is_mid_line && self.quoting.needs_quote(piece) {
            self.out.write_all(b">")?;
        }
        let text = match piece.strip_suffix(b"\r\n") {
            Some(text) => {
                self.out.write_all(text)?;
                &b"\n"[..]
            }
            None => piece,
        };
        self.out.write_all(text)?;
        self.ends_line = piece.ends_with(b"\n");
        self.is_mid_line = !self.ends_line;
        Ok(())
    }
}

fn fields(flags: &Flags) -> String {
    let seen = if flags.contains(SystemFlags::SEEN) {
        "RO"
    } else {
        "O"
    };
    let mut fields = format!("Status: {seen}\n");
    let letters: String = [
        (SystemFlags::ANSWERED, 'A'),
        (SystemFlags::FLAGGED, 'F'),
        (SystemFlags::DELETED, 'D'),
        (SystemFlags::DRAFT, 'T'),
    ]
    .into_iter()
    .filter(|(flag, _)| flags.contains(*flag))
    .map(|(_, letter)| letter)
    .collect();
    if !letters.is_empty() {
        fields.push_str(&format!("X-Status: {letters}\n"));
    }
    if !flags.keywords().is_empty() {
        let keywords: Vec<_> = flags
            .keywords()
            .iter()
            .map(mailwright_mailbox::Keyword::as_str)
            .collect();
        fields.push_str(&format!("X-Keywords: {}\n", keywords.join(" ")));
    }
    fields
}

/// A moment as the C library's `ctime` writes it, in UTC.
fn ctime(unix: i64) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    // Years of four digits: what else there is cannot be read again.
    let it = DateTime::new(unix.clamp(0, 253_402_300_799), 0).civil();
    format!(
        "{} {} {:2} {:02}:{:02}:{:02} {:04}",
        DAYS[usize::from(it.weekday)],
        MONTHS[usize::from(it.month) - 1],
        it.day,
        it.hour,
        it.minute,
        it.second,
        it.year
    )
}
