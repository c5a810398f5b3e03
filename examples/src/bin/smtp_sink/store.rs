//! What becomes of messages.

use bytes::Bytes;
use mailwright_examples::net::Fallible;
use mailwright_smtp::{Mail, Rcpt, Server};
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A way to keep messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Way {
    /// On the standard output, for a person
    Print,
    /// A line of JSON for each
    Json,
    /// A Maildir
    Maildir,
    /// An mbox file, `>From ` quoted
    Mbox,
    /// Not at all
    Drop,
}

/// A message and its envelope.
#[derive(Debug, Serialize)]
pub(crate) struct Message<'a> {
    peer: &'a str,
    /// The name the client introduced itself by.
    helo: String,
    /// `ESMTPSA` and the like.
    with: &'static str,
    user: Option<String>,
    /// Paths with their parameters, as the client wrote them.
    mail: String,
    rcpt: Vec<String>,
    size: usize,
    /// Octets that are no UTF-8 are replaced.
    data: String,
    #[serde(skip)]
    pieces: Vec<Bytes>,
}

impl<'a> Message<'a> {
    pub(crate) fn new(peer: &'a str) -> Self {
        Self {
            peer,
            helo: String::new(),
            with: "",
            user: None,
            mail: String::new(),
            rcpt: vec![],
            size: 0,
            data: String::new(),
            pieces: vec![],
        }
    }

    pub(crate) fn begin(&mut self, mail: &Mail, server: &Server) {
        let session = server.session();
        self.helo = session
            .hello()
            .map(|hello| hello.name().to_owned())
            .unwrap_or_default();
        self.user = session.identity().map(|identity| identity.acting().to_owned());
        self.mail = mail.to_string();
    }

    /// The message is complete. What kind of transaction it came by stands once MAIL is accepted, and until here.
    pub(crate) fn end(&mut self, server: &Server) {
        self.with = server.transmission_type();
    }

    pub(crate) fn to(&mut self, rcpt: &Rcpt) {
        self.rcpt.push(rcpt.to_string());
    }

    pub(crate) fn add(&mut self, data: Bytes) {
        self.size += data.len();
        self.pieces.push(data);
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        self.pieces.iter().try_for_each(|piece| out.write_all(piece))
    }

    /// The path without its brackets and parameters.
    fn sender(&self) -> &str {
        let path = self.mail.split(' ').next().unwrap_or("");
        path.trim_start_matches('<').trim_end_matches('>')
    }
}

/// Where messages go.
#[derive(Debug)]
pub(crate) struct Store {
    way: Way,
    /// The file that grows; `None` where there is none.
    file: Option<Mutex<File>>,
    folder: PathBuf,
    count: AtomicU64,
    end_after: Option<u64>,
}

impl Store {
    pub(crate) fn open(way: Way, output: Option<PathBuf>, end_after: Option<u64>) -> Fallible<Self> {
        let path = match (way, output) {
            (Way::Print | Way::Drop, _) => PathBuf::new(),
            (Way::Json, None) => PathBuf::from("/dev/stdout"),
            (_, Some(path)) => path,
            (way, None) => return Err(format!("--store {way:?} needs --output").to_lowercase().into()),
        };
        let say = |e: io::Error| format!("{}: {e}", path.display());
        let file = match way {
            Way::Json | Way::Mbox => {
                let file = OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(&path)
                    .map_err(say)?;
                Some(Mutex::new(file))
            }
            Way::Maildir => {
                for sub in ["tmp", "new", "cur"] {
                    std::fs::create_dir_all(path.join(sub)).map_err(say)?;
                }
                None
            }
            Way::Print | Way::Drop => None,
        };
        Ok(Self {
            way,
            file,
            folder: path,
            count: AtomicU64::new(0),
            end_after,
        })
    }

    /// Keeps a message; when it returns, the message may be acknowledged.
    pub(crate) fn keep(&self, message: &Message<'_>) -> Fallible<()> {
        let mut text = Vec::new();
        match self.way {
            Way::Drop => return Ok(()),
            Way::Print => {
                writeln!(text, "from {}", message.mail)?;
                for rcpt in &message.rcpt {
                    writeln!(text, "to {rcpt}")?;
                }
                writeln!(text, "{} octets:", message.size)?;
                message.write(&mut text)?;
                text.push(b'\n');
                io::stdout().lock().write_all(&text)?;
                return Ok(());
            }
            Way::Json => {
                message.write(&mut text)?;
                let whole = Message {
                    data: String::from_utf8_lossy(&text).into_owned(),
                    helo: message.helo.clone(),
                    user: message.user.clone(),
                    mail: message.mail.clone(),
                    rcpt: message.rcpt.clone(),
                    pieces: vec![],
                    ..*message
                };
                text = serde_json::to_vec(&whole)?;
                text.push(b'\n');
            }
            Way::Mbox => mbox(message, &mut text)?,
            Way::Maildir => return maildir(message, &self.folder, self.count.load(Ordering::Relaxed)),
        }
        if let Some(file) = &self.file {
            file.lock()
                .map_err(|_| "another session failed while it wrote")?
                .write_all(&text)?;
        }
        Ok(())
    }

    /// Counts a message that was acknowledged; ends the program, after `farewell`, if that was the last.
    pub(crate) fn kept(&self, farewell: impl FnOnce()) {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        if self.end_after.is_some_and(|last| count >= last) {
            farewell();
            std::process::exit(0);
        }
    }
}

/// mboxrd, which loses nothing: RFC 4155 and its better-known variants.
fn mbox(message: &Message<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    let sender = match message.sender() {
        "" => "MAILER-DAEMON",
        sender => sender,
    };
    // RFC 4155 asks for a date in the form of asctime(3); readers take any.
    writeln!(out, "From {sender} Thu Jan  1 00:00:00 1970")?;
    let whole = message.pieces.concat();
    for line in whole.split_inclusive(|b| *b == b'\n') {
        let quotes = line.iter().take_while(|b| **b == b'>').count();
        if line[quotes..].starts_with(b"From ") {
            out.push(b'>');
        }
        match line.strip_suffix(b"\r\n") {
            Some(line) => {
                out.extend_from_slice(line);
                out.push(b'\n');
            }
            None => out.extend_from_slice(line),
        }
    }
    if !out.ends_with(b"\n") {
        out.push(b'\n');
    }
    out.push(b'\n');
    Ok(())
}

/// One file, which appears in `new` when it is complete.
fn maildir(message: &Message<'_>, folder: &Path, count: u64) -> Fallible<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let name = format!(
        "{}.{}M{}_{count}.localhost",
        now.as_secs(),
        std::process::id(),
        now.as_nanos()
    );
    let path = folder.join("tmp").join(&name);
    let mut file = File::create_new(&path)?;
    writeln!(file, "Return-Path: <{}>\r", message.sender())?;
    message.write(&mut file)?;
    file.sync_all()?;
    std::fs::rename(&path, folder.join("new").join(&name))?;
    Ok(())
}
