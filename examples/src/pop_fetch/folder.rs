//! Where messages go: a Maildir, or an mbox (RFC 4155, in its form mboxrd).

use crate::net::Fallible;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where messages go.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    kind: Kind,
    count: u64,
}

#[derive(Debug)]
enum Kind {
    Maildir,
    Mbox(File),
}

/// A message that is on its way into a folder; it is thrown away unless it is kept.
#[derive(Debug)]
pub(super) struct Arriving<'a> {
    folder: &'a mut Folder,
    path: PathBuf,
    file: BufWriter<File>,
    /// The last octet was a CR that is not written yet.
    held_cr: bool,
}

impl Folder {
    /// Opens a Maildir, or makes it.
    ///
    /// # Errors
    ///
    /// If that cannot be done.
    pub fn maildir(path: &Path) -> Fallible<Self> {
        for sub in ["tmp", "new", "cur"] {
            std::fs::create_dir_all(path.join(sub)).map_err(|e| format!("{}: {e}", path.display()))?;
        }
        Ok(Self {
            path: path.to_owned(),
            kind: Kind::Maildir,
            count: 0,
        })
    }

    /// Opens an mbox, or makes it, and locks it against others like this one.
    ///
    /// # Errors
    ///
    /// If that cannot be done, or another program has it.
    pub fn mbox(path: &Path) -> Fallible<Self> {
        let say = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|e| say(&e))?;
        file.try_lock().map_err(|e| say(&e))?;
        Ok(Self {
            path: path.to_owned(),
            kind: Kind::Mbox(file),
            count: 0,
        })
    }

    pub(super) fn begin(&mut self) -> Fallible<Arriving<'_>> {
        self.count += 1;
        let path = match &self.kind {
            Kind::Maildir => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
                let (seconds, micros) = (now.as_secs(), now.subsec_micros());
                let (process, count) = (std::process::id(), self.count);
                self.path
                    .join("tmp")
                    .join(format!("{seconds}.M{micros}P{process}Q{count}.localhost"))
            }
            Kind::Mbox(_) => {
                let mut path = self.path.clone().into_os_string();
                path.push(".part");
                path.into()
            }
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)?;
        Ok(Arriving {
            folder: self,
            path,
            file: BufWriter::new(file),
            held_cr: false,
        })
    }

    /// Returns when what was kept survives a loss of power.
    pub(super) fn sync(&self) -> Fallible<()> {
        match &self.kind {
            Kind::Maildir => File::open(self.path.join("new"))?.sync_all()?,
            Kind::Mbox(file) => file.sync_all()?,
        }
        Ok(())
    }
}

impl Arriving<'_> {
    /// Takes octets of the message. Lines end in LF on disk.
    pub(super) fn write(&mut self, octets: &[u8]) -> Fallible<()> {
        for run in octets.split_inclusive(|b| *b == b'\r') {
            if core::mem::take(&mut self.held_cr) && run[0] != b'\n' {
                self.file.write_all(b"\r")?;
            }
            let (run, held_cr) = run.strip_suffix(b"\r").map_or((run, false), |run| (run, true));
            self.held_cr = held_cr;
            self.file.write_all(run)?;
        }
        Ok(())
    }

    /// The message is whole: keeps it.
    pub(super) fn keep(mut self) -> Fallible<()> {
        if self.held_cr {
            self.file.write_all(b"\r")?;
        }
        self.file.flush()?;
        match &mut self.folder.kind {
            Kind::Maildir => {
                self.file.get_ref().sync_all()?;
                let name = self.path.file_name().ok_or("a message without a name")?;
                std::fs::rename(&self.path, self.folder.path.join("new").join(name))?;
            }
            Kind::Mbox(mbox) => {
                let end = mbox.seek(SeekFrom::End(0))?;
                let spooled = self.file.get_mut();
                spooled.rewind()?;
                // A part of a message would be taken for a whole one.
                append(mbox, spooled).inspect_err(|_| drop(mbox.set_len(end)))?;
            }
        }
        Ok(())
    }
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        // Gone already if it was kept in a Maildir; if it cannot be removed, it does no harm.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn append(mbox: &mut File, message: &mut File) -> std::io::Result<()> {
    let mut out = BufWriter::new(mbox);
    // RFC 4155 asks for a date in the form of asctime(3); readers take any.
    out.write_all(b"From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n")?;
    let (mut message, mut line) = (BufReader::new(message), Vec::new());
    while {
        line.clear();
        message.read_until(b'\n', &mut line)? > 0
    } {
        let quotes = line.iter().take_while(|b| **b == b'>').count();
        if line[quotes..].starts_with(b"From ") {
            out.write_all(b">")?;
        }
        out.write_all(&line)?;
        if !line.ends_with(b"\n") {
            out.write_all(b"\n")?;
        }
    }
    out.write_all(b"\n")?;
    out.flush()
}
