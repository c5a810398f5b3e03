//! Load for a mail server over IMAP: clients that cost little, so that the server is what is measured.
//!
//! ```text
//! load mix    ADDRESS PASSWORD CLIENTS ROUNDS USER...   # LOGIN to LOGOUT with SELECT, FETCH, STORE, APPEND, EXPUNGE
//! load logins ADDRESS PASSWORD CLIENTS ROUNDS USER...   # LOGIN and LOGOUT alone
//! load large  ADDRESS PASSWORD CLIENTS ROUNDS USER...   # APPEND of 10 MB, FETCH of it, and its end
//! ```
//!
//! The standard library is all it needs, so `rustc -O` makes it in a moment. Clients take the users by turns. Printed is one line: sessions in a second, and the median and 99th percentile of
//! their milliseconds.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // real sockets and real time

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A connection that sends a command, and reads up to its answer.
struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    tag: usize,
}

impl Client {
    fn connect(address: &str) -> Fallible<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut client = Self {
            stream,
            input: Vec::new(),
            tag: 0,
        };
        client.until(b"* OK")?;
        Ok(client)
    }

    /// Sends a command with its literals, and reads the answer, which has to be OK. Returns the octets of it.
    fn run(&mut self, command: &str, literal: Option<&[u8]>) -> Fallible<usize> {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        let mut data = format!("{tag} {command}").into_bytes();
        if let Some(literal) = literal {
            data.extend_from_slice(format!(" {{{}+}}\r\n", literal.len()).as_bytes());
            data.extend_from_slice(literal);
        }
        data.extend_from_slice(b"\r\n");
        self.stream.write_all(&data)?;
        let octets = self.until(format!("{tag} ").as_bytes())?;
        Ok(octets)
    }

    /// Reads up to the line that begins with a mark, and fails unless that says OK. Returns the octets read.
    fn until(&mut self, mark: &[u8]) -> Fallible<usize> {
        let (mut octets, mut whole) = (0, true);
        loop {
            let mut at = 0;
            while let Some(length) = self.input[at..].iter().position(|octet| *octet == b'\n') {
                let line = &self.input[at..=at + length];
                (at, octets) = (at + line.len(), octets + line.len());
                if whole && line.starts_with(mark) {
                    let text = String::from_utf8_lossy(line).into_owned();
                    self.input.drain(..at);
                    return match text.contains("OK") {
                        true => Ok(octets),
                        false => Err(text.into()),
                    };
                }
                whole = true;
            }
            self.input.drain(..at);
            // Of a line that is longer than any answer, only its end matters.
            if self.input.len() > 4096 {
                octets += self.input.len();
                self.input.clear();
                whole = false;
            }
            let mut piece = [0; 65536];
            match self.stream.read(&mut piece)? {
                0 => return Err("the server closed the connection".into()),
                count => self.input.extend_from_slice(&piece[..count]),
            }
        }
    }
}

fn message(size: usize, number: usize) -> Vec<u8> {
    let mut text = format!(
        "From: Sender <sender@elsewhere.example>\r\nTo: user@localhost\r\nSubject: load {number}\r\n\
         Message-ID: <{number}.{}@load.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n",
        std::process::id()
    );
    while text.len() < size {
        text.push_str("A line of a message of which there are many, none of them long.\r\n");
    }
    text.into_bytes()
}

fn session(kind: &str, address: &str, user: &str, password: &str, number: usize) -> Fallible<()> {
    let mut client = Client::connect(address)?;
    client.run(&format!("LOGIN {user} {password}"), None)?;
    match kind {
        "mix" => {
            client.run("SELECT INBOX", None)?;
            client.run("FETCH 1:100 (FLAGS UID ENVELOPE)", None)?;
            client.run("FETCH 1:10 BODY.PEEK[]", None)?;
            client.run("STORE 1:10 +FLAGS (\\Seen)", None)?;
            client.run("APPEND INBOX (\\Deleted)", Some(&message(4096, number)))?;
            client.run("NOOP", None)?;
            client.run("STORE 1:10 -FLAGS (\\Seen)", None)?;
            client.run("EXPUNGE", None)?;
        }
        "large" => {
            client.run("SELECT INBOX", None)?;
            client.run("APPEND INBOX", Some(&message(10_000_000, number)))?;
            client.run("NOOP", None)?;
            if client.run("FETCH * BODY.PEEK[]", None)? < 10_000_000 {
                return Err("the message did not come back whole".into());
            }
            client.run("STORE * +FLAGS.SILENT (\\Deleted)", None)?;
            client.run("EXPUNGE", None)?;
        }
        "logins" => {}
        other => return Err(format!("unknown kind of load: {other}").into()),
    }
    client.run("LOGOUT", None)?;
    Ok(())
}

fn work(arguments: &[String]) -> Fallible<String> {
    let [kind, address, password, clients, rounds, users @ ..] = arguments else {
        return Err("usage: load mix|logins|large ADDRESS PASSWORD CLIENTS ROUNDS USER...".into());
    };
    let (clients, rounds): (usize, usize) = (clients.parse()?, rounds.parse()?);
    if users.is_empty() || clients == 0 || rounds == 0 {
        return Err("at least one user, one client and one round".into());
    }
    let together = Arc::new(Barrier::new(clients + 1));
    let threads: Vec<_> = (0..clients)
        .map(|client| {
            let (kind, address, password) = (kind.clone(), address.clone(), password.clone());
            let user = users[client % users.len()].clone();
            let together = Arc::clone(&together);
            std::thread::spawn(move || -> Fallible<Vec<Duration>> {
                together.wait();
                (0..rounds)
                    .map(|round| {
                        let began = Instant::now();
                        session(&kind, &address, &user, &password, client * rounds + round)?;
                        Ok(began.elapsed())
                    })
                    .collect()
            })
        })
        .collect();
    together.wait();
    let began = Instant::now();
    let mut took = Vec::new();
    for thread in threads {
        took.extend(thread.join().map_err(|_| "a client panicked")??);
    }
    let all = began.elapsed().as_secs_f64();
    took.sort();
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize].as_secs_f64() * 1000.0;
    Ok(format!(
        "{:.2} {:.3} {:.3}",
        took.len() as f64 / all,
        at(0.5),
        at(0.99)
    ))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match work(&arguments) {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("load: {problem}");
            ExitCode::FAILURE
        }
    }
}
