//! Serves a Maildir by POP3: what an embedder of the server engine writes, on blocking sockets.
//!
//! ```sh
//! PASSWORD=… cargo run -p mailwright-examples --bin pop3_over_maildir -- --user bob ~/Maildir
//! ```
//!
//! One maildrop for one user. The engine asks who may log in, what there is, for the octets of a message, and, at QUIT
//! and at no other time, for messages to be removed; all else it answers by itself.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // brings sockets, files and the clock

use bytes::Bytes;
use clap::Parser;
use mailwright_examples::imap::password;
use mailwright_examples::net::{Conn, Fallible, Socket, Turn, self_made_certificate};
use mailwright_pop3::server::{Config, Event};
use mailwright_pop3::{Maildrop, Rejection, ResponseCode, Server, WireSize};
use mailwright_sasl::{Answer, Question, ScramCredentials};
use std::fs::File;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

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

struct Site {
    arguments: Arguments,
    credentials: ScramCredentials,
    config: Arc<Config>,
    tls: Arc<rustls::ServerConfig>,
    /// Held by the session that has the maildrop open (RFC 1939 §4).
    maildrop: Mutex<()>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pop3_over_maildir: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Fallible<()> {
    // Before anybody waits for it.
    scan(&arguments.maildir).map_err(|e| format!("{}: no Maildir: {e}", arguments.maildir.display()))?;
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)?;
    let credentials = ScramCredentials::derive(&password("PASSWORD")?.into(), &salt, 4096.try_into()?);
    let mut config = Config::default();
    config.stls = true;
    config.allow_plaintext = arguments.listen.ip().is_loopback();
    let listener = TcpListener::bind(arguments.listen)
        .map_err(|e| format!("cannot listen at {}: {e}", arguments.listen))?;
    println!("listening at {}", listener.local_addr()?);
    let site = Arc::new(Site {
        arguments,
        credentials,
        config: config.into(),
        tls: self_made_certificate("localhost")?.0,
        maildrop: Mutex::new(()),
    });
    for socket in listener.incoming() {
        let (site, socket) = (site.clone(), socket?);
        std::thread::spawn(move || {
            if let Err(error) = serve(&site, socket) {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

fn serve(site: &Site, socket: TcpStream) -> Fallible<()> {
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy)?;
    socket.set_write_timeout(Some(Duration::from_secs(300)))?;
    let server = Server::new(site.config.clone(), entropy, Instant::now());
    let mut conn = Conn::new(server, Socket::Tcp(socket));
    // What the session has open, and the lock that keeps others out.
    let mut open: Option<(Vec<PathBuf>, MutexGuard<'_, ()>)> = None;
    loop {
        let event = match conn.turn()? {
            Turn::Event(event) => event,
            Turn::StartTls => {
                conn.accept_tls(site.tls.clone())?;
                conn.machine.tls_started();
                continue;
            }
            Turn::Close => return Ok(()),
        };
        let path = |number: u32| open.as_ref().map(|(paths, _)| paths[number as usize - 1].clone());
        match event {
            Event::Auth(question) => conn.machine.answer_auth(site.answer(&question)),
            Event::Open(_) => match site.maildrop.try_lock() {
                Err(TryLockError::WouldBlock) => conn.machine.reject(Rejection::IN_USE),
                Err(TryLockError::Poisoned(_)) => conn.machine.reject(Rejection::UNAVAILABLE),
                Ok(lock) => {
                    let (maildrop, paths) = scan(&site.arguments.maildir)?;
                    open = Some((paths, lock));
                    conn.machine.open(maildrop);
                }
            },
            Event::Retrieve { message, .. } => match path(message).map(File::open) {
                Some(Ok(file)) => give(&mut conn, file)?,
                _ => conn.machine.reject(Rejection::NO_SUCH_MESSAGE),
            },
            Event::Update { deleted } => {
                let remove = |number| std::fs::remove_file(path(number).unwrap_or_default());
                match site.arguments.delete && deleted.into_iter().all(|n| remove(n).is_ok()) {
                    true => conn.machine.accept(),
                    false => conn.machine.reject(Rejection::new(
                        Some(ResponseCode::SysPerm),
                        "messages stay here: the maildrop is read-only",
                    )),
                }
            }
            _ => {}
        }
    }
}

/// Gives a message piece by piece, so that none is held in memory. The engine sees to line ends and dots.
fn give(conn: &mut Conn<Server>, mut file: File) -> Fallible<()> {
    let mut piece = vec![0; 64 * 1024];
    loop {
        let n = file.read(&mut piece)?;
        if n == 0 || !conn.machine.message_chunk(Bytes::copy_from_slice(&piece[..n])) {
            conn.machine.message_end();
            return Ok(());
        }
        conn.flush()?;
    }
}

impl Site {
    fn answer(&self, question: &Question) -> Answer {
        match question.username() == self.arguments.user && question.authzid().is_none() {
            true => Answer::Scram(self.credentials.clone()),
            false => Answer::Deny,
        }
    }
}

/// The messages of a Maildir, oldest first, with the files they are in.
fn scan(maildir: &Path) -> Fallible<(Maildrop, Vec<PathBuf>)> {
    let mut files = Vec::new();
    for folder in ["new", "cur"] {
        for entry in std::fs::read_dir(maildir.join(folder))? {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            // What stands behind the colon are flags, and changes.
            files.push((name.split(':').next().unwrap_or_default().to_owned(), path));
        }
    }
    files.sort();
    let mut maildrop = Maildrop::with_capacity(files.len());
    for (name, path) in &files {
        // Names are unique for ever, but may be longer than the 70 octets of a unique id.
        let digest = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
        let uid: String = digest.as_ref()[..16]
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        maildrop.push(octets(path)?, &uid)?;
    }
    Ok((maildrop, files.into_iter().map(|(_, path)| path).collect()))
}

/// How long a message is on the wire.
fn octets(path: &Path) -> Fallible<u64> {
    let (mut file, mut piece, mut size) = (File::open(path)?, vec![0; 64 * 1024], WireSize::default());
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(size.octets()),
            n => size.push(&piece[..n]),
        }
    }
}
