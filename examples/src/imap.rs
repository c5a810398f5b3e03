//! An IMAP client on a blocking socket, logged in.

use crate::net::{Conn, Fallible, Socket, Turn, client_tls};
use bytes::Bytes;
use mailwright_imap::client::{Client, Command, Config, Data, Event, Handle, Reply, Unsent};
use mailwright_sasl::Credentials;
use rustls::pki_types::ServerName;
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Where an account is, and whose: `imaps://bob@mail.example.org`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// Who logs in.
    pub user: String,
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// TLS from the start (RFC 8314 §3), and not by STARTTLS or STLS.
    pub tls_first: bool,
}

impl Account {
    /// Reads a URL of one of two schemes, each with its usual port: the first one has TLS from the start.
    ///
    /// The user may have an `@` of their own: the last one counts.
    pub(crate) fn read(text: &str, secure: (&str, u16), upgraded: (&str, u16)) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let (tls_first, usual_port) = match scheme {
            scheme if scheme == secure.0 => (true, secure.1),
            scheme if scheme == upgraded.0 => (false, upgraded.1),
            _ => return Err(format!("it must begin with {}:// or {}://", secure.0, upgraded.0)),
        };
        let (user, server) = rest
            .rsplit_once('@')
            .ok_or_else(|| format!("it names no user: {}://USER@HOST", secure.0))?;
        let server = server.trim_end_matches('/');
        let (host, port) = match server.rsplit_once(':') {
            // What stands between brackets is an IPv6 address.
            Some((host, port)) if !port.contains(']') => {
                let port = port.parse().map_err(|_| format!("{port} is no port"))?;
                (host, port)
            }
            _ => (server, usual_port),
        };
        if user.is_empty() || host.is_empty() {
            return Err(format!(
                "it must name a user and a host: {}://USER@HOST",
                secure.0
            ));
        }
        Ok(Self {
            user: user.to_owned(),
            host: host.to_owned(),
            port,
            tls_first,
        })
    }
}

impl FromStr for Account {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text, ("imaps", 993), ("imap", 143))
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}:{}", self.user, self.host, self.port)
    }
}

/// How careful to be with a server.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Trust {
    /// Trust the certificates in this PEM file, and no others; those that browsers trust if there is none.
    pub authorities: Option<PathBuf>,
    /// Do without TLS where the server has none, password and all.
    pub in_clear: bool,
}

impl Trust {
    /// Makes it of what a command line says.
    pub fn new(authorities: Option<&Path>, in_clear: bool) -> Self {
        Self {
            authorities: authorities.map(Path::to_owned),
            in_clear,
        }
    }
}

/// The server said no.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Refused {
    /// What it was asked.
    pub what: String,
    /// Why, in its words.
    pub why: String,
}

impl Refused {
    /// Makes it of the server's words.
    pub fn new(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self {
            what: what.into(),
            why: why.to_string(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl Error for Refused {}

/// A connection that is logged in.
#[derive(Debug)]
pub struct Session {
    conn: Conn<Client>,
}

impl Session {
    /// Connects, and logs in under TLS.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached, is not who it should be, or does not let the user in.
    pub fn open(account: &Account, password: &str, trust: &Trust) -> Fallible<Self> {
        let mut entropy = [0; 32];
        getrandom::fill(&mut entropy)?;
        let mut config = Config::default();
        config.allow_plaintext = trust.in_clear;
        let address = format!("{}:{}", account.host, account.port);
        let socket = Socket::connect(&address, Duration::from_secs(120))?;
        let mut client = Client::new(config, entropy, Instant::now());
        if account.tls_first {
            client = client.over_tls();
        }
        let mut conn = Conn::new(client, socket);
        let host = account
            .host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let name: ServerName<'static> = host
            .try_into()
            .map_err(|_| format!("{address}: no name to verify"))?;
        if account.tls_first {
            conn.connect_tls(client_tls(trust.authorities.as_deref())?, name.clone())
                .map_err(|e| format!("{address}: {e}"))?;
        }
        let mut session = Self { conn };
        session.greeting().map_err(|e| format!("{address}: {e}"))?;
        if !account.tls_first {
            session.start_tls(&address, name, trust)?;
        }
        let login = Command::login(Credentials::new(account.user.as_str(), password));
        match session.run("login", login) {
            Ok(_) => Ok(session),
            Err(e) => Err(format!("{account}: {e}").into()),
        }
    }

    fn greeting(&mut self) -> Fallible<()> {
        loop {
            if let Event::Greeting(_) = self.event()? {
                return Ok(());
            }
        }
    }

    fn start_tls(&mut self, address: &str, name: ServerName<'static>, trust: &Trust) -> Fallible<()> {
        self.conn.machine.command(Command::start_tls());
        loop {
            match self.conn.turn().map_err(|e| format!("{address}: {e}"))? {
                Turn::StartTls => {
                    self.conn
                        .connect_tls(client_tls(trust.authorities.as_deref())?, name)
                        .map_err(|e| format!("{address}: {e}"))?;
                    self.conn.machine.tls_started();
                    return Ok(());
                }
                Turn::Event(Event::Unsent(_, Unsent::Missing(_)) | Event::Refused(..)) => {
                    return match trust.in_clear {
                        true => Ok(()),
                        false => Err(format!(
                            "{address}: the server does not offer STARTTLS; use imaps://, or --in-clear to do without TLS"
                        )
                        .into()),
                    };
                }
                Turn::Event(_) => {}
                Turn::Close => return Err(format!("{address}: the server closed the connection").into()),
            }
        }
    }

    /// What happens next.
    ///
    /// # Errors
    ///
    /// If the connection is lost.
    pub fn event(&mut self) -> Fallible<Event> {
        match self.conn.turn()? {
            Turn::Event(event) => Ok(event),
            Turn::StartTls => Err("the server wants TLS a second time".into()),
            Turn::Close => Err("the server closed the connection".into()),
        }
    }

    /// Queues a command, whose events will come.
    pub fn queue(&mut self, command: impl Into<Command>) -> Handle {
        self.conn.machine.command(command)
    }

    /// Runs a command to its end; returns the server's last word, and the data that came.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the server says no, or cannot do it at all; others if the connection is lost.
    pub fn run(&mut self, what: &str, command: impl Into<Command>) -> Fallible<(Reply, Vec<Data>)> {
        let handle = self.queue(command);
        let mut told = Vec::new();
        loop {
            match self.event()? {
                Event::Data(_, data) => told.push(data),
                Event::Done(done, reply) if done == handle => return Ok((reply, told)),
                Event::Refused(done, reply) if done == handle => return Err(Refused::new(what, reply).into()),
                Event::Unsent(done, why) if done == handle => return Err(Refused::new(what, why).into()),
                _ => {}
            }
        }
    }

    /// Gives octets of a message that was asked for by [`Event::Upload`].
    ///
    /// # Errors
    ///
    /// If the connection is lost.
    pub fn upload(&mut self, octets: Bytes) -> Fallible<()> {
        self.conn.machine.upload(octets);
        if !self.conn.machine.has_room() || self.conn.machine.upload_left() == 0 {
            self.conn.flush()?;
        }
        Ok(())
    }

    /// The engine, to ask what it knows.
    pub fn client(&mut self) -> &mut Client {
        &mut self.conn.machine
    }

    /// Takes leave. What the server says to that is of no interest.
    pub fn log_out(mut self) {
        self.queue(Command::logout());
        while self.event().is_ok() {}
    }
}

/// The password in an environment variable.
///
/// # Errors
///
/// If there is none; the error says where to put it.
#[allow(clippy::disallowed_methods)] // where else would a program without a terminal find it
pub fn password(variable: &str) -> Fallible<String> {
    std::env::var(variable)
        .map_err(|_| format!("put the password into the environment variable {variable}").into())
}
