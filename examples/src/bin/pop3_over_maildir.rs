//! Serves a Maildir by POP3: mail of one's own, shown by the server's sessions over two small traits.
//!
//! ```sh
//! PASSWORD=… cargo run -p mailwright-examples --bin pop3_over_maildir -- --user bob ~/Maildir
//! ```
//!
//! One maildrop for one user: who may log in, what there is, the octets of a message, and, at QUIT and at no other
//! time, which messages go. All else is done: TLS, mechanisms, time-outs, line ends, listings, TOP.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // an example brings sockets and files

use bytes::Bytes;
use clap::Parser;
use mailwright_examples::imap::password;
use mailwright_examples::net::{Fallible, self_made_certificate};
use mailwright_pop3::{Maildrop, Rejection, WireSize};
use mailwright_sasl::{Answer, Identity, Question, ScramCredentials};
use mailwright_server::pop3::{self, Backend, Messages, Options};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Serves a Maildir by POP3, to one user, whose password is read from the environment variable PASSWORD.
///
/// Under TLS by STLS, with a self-made certificate. Passwords in the clear are taken on a loopback address alone.
#[derive(Debug, Parser)]
#[command(name = "pop3_over_maildir", version, verbatim_doc_comment)]
struct Arguments {
    /// The Maildir, with its folders `new` and `cur`
    maildir: PathBuf,

    /// Who may log in
    #[arg(long)]
    user: String,

    /// Remove what clients delete; without it they are told that it stays
    #[arg(long)]
    delete: bool,

    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:1100")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pop3_over_maildir: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Fallible<()> {
    // Before anybody waits for it.
    scan(&arguments.maildir).map_err(|e| format!("{}: no Maildir: {e}", arguments.maildir.display()))?;
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)?;
    let mut options = Options::default();
    options.engine.allow_plaintext = arguments.listen.ip().is_loopback();
    options.tls = Some(self_made_certificate("localhost")?.0.into());
    let listener = tokio::net::TcpListener::bind(arguments.listen)
        .await
        .map_err(|e| format!("cannot listen at {}: {e}", arguments.listen))?;
    println!("listening at {}", listener.local_addr()?);
    let site = Arc::new(Site {
        credentials: ScramCredentials::derive(&password("PASSWORD")?.into(), &salt, 4096.try_into()?),
        arguments,
        lock: Arc::default(),
    });
    loop {
        let (stream, peer) = listener.accept().await?;
        tokio::spawn(pop3::serve(site.clone(), stream, peer, options.clone()));
    }
}

struct Site {
    arguments: Arguments,
    credentials: ScramCredentials,
    /// Held by the session that has the maildrop open (RFC 1939 §4).
    lock: Arc<Mutex<()>>,
}

impl Backend for Site {
    type Messages = Open;

    async fn authenticate(&self, question: Question, _: SocketAddr) -> Answer {
        match question.username() == self.arguments.user && question.authzid().is_none() {
            true => Answer::Scram(self.credentials.clone()),
            false => Answer::Deny,
        }
    }

    async fn open(self: &Arc<Self>, _: &Identity, _: SocketAddr) -> Result<Open, Rejection> {
        Ok(Open {
            maildir: self.arguments.maildir.clone(),
            delete: self.arguments.delete,
            files: Vec::new(),
            _lock: self
                .lock
                .clone()
                .try_lock_owned()
                .map_err(|_| Rejection::IN_USE)?,
        })
    }
}

/// The maildrop of one session.
struct Open {
    maildir: PathBuf,
    delete: bool,
    /// The messages, in the order of their numbers.
    files: Vec<PathBuf>,
    _lock: OwnedMutexGuard<()>,
}

impl Messages for Open {
    async fn list(&mut self) -> Result<Maildrop, Rejection> {
        let (maildrop, files) = scan(&self.maildir).map_err(|_| Rejection::UNAVAILABLE)?;
        self.files = files;
        Ok(maildrop)
    }

    async fn read(&mut self, message: u32, range: Range<u64>) -> Result<Bytes, Rejection> {
        let piece = read(&self.files[message as usize - 1], range);
        piece.map_err(|_| Rejection::NO_SUCH_MESSAGE)
    }

    async fn delete(&mut self, messages: &[u32]) -> Result<(), Rejection> {
        if !self.delete {
            return Err(Rejection::READ_ONLY);
        }
        let mut files = messages.iter().map(|n| &self.files[*n as usize - 1]);
        let removed = files.try_for_each(std::fs::remove_file);
        removed.map_err(|_| Rejection::UNAVAILABLE)
    }
}

/// The messages of a Maildir, oldest first, with the files they are in.
fn scan(maildir: &Path) -> Fallible<(Maildrop, Vec<PathBuf>)> {
    let mut files = Vec::new();
    for folder in ["new", "cur"] {
        for entry in std::fs::read_dir(maildir.join(folder))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // What stands behind the colon are flags, and changes.
            files.push((
                name.split(':').next().unwrap_or_default().to_owned(),
                entry.path(),
            ));
        }
    }
    files.sort();
    let mut maildrop = Maildrop::with_capacity(files.len());
    for (name, path) in &files {
        let mut size = WireSize::default();
        std::io::copy(&mut File::open(path)?, &mut size)?;
        // Names are unique for ever, but may be longer than the 70 octets of a unique id.
        let digest = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
        let id = u128::from_be_bytes(digest.as_ref()[..16].try_into()?);
        maildrop.push(size.octets(), &format!("{id:032x}"))?;
    }
    Ok((maildrop, files.into_iter().map(|(_, path)| path).collect()))
}

fn read(path: &Path, range: Range<u64>) -> std::io::Result<Bytes> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(range.start))?;
    let mut piece = Vec::new();
    file.take(range.end - range.start).read_to_end(&mut piece)?;
    Ok(piece.into())
}
