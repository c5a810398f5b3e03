//! The other end of the control socket, for programs that wait for each reply.

use super::{Answer, Line, MAX_REPLY, Outcome, Request, VERSION, socket, submit};
use serde::de::DeserializeOwned;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A connection to the control socket of a running server.
#[derive(Debug)]
pub struct Client(Wire);

/// A connection over which lines go.
#[derive(Debug)]
pub(super) struct Wire(BufReader<UnixStream>);

/// Why there is no answer, or not the one that was hoped for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server said no, in these words.
    #[error("{0}")]
    Refused(String),
    /// The connection failed.
    #[error("the connection to the server: {0}")]
    Io(#[from] io::Error),
    /// The reply is not understood: the server is of another version.
    #[error("the server's reply is not understood ({0}): it is perhaps of another version")]
    Unknown(serde_json::Error),
}

impl Client {
    /// How long a reply may take.
    pub const TIMEOUT: Duration = Duration::from_secs(120);

    /// Connects to the server that runs on a data folder; `None` if none does.
    ///
    /// # Errors
    ///
    /// When there is a socket that this user may not open, or that cannot be connected to for another reason.
    pub fn connect(data: &Path) -> io::Result<Option<Self>> {
        match Wire::connect(&socket(data)) {
            Ok(wire) => Ok(Some(Self(wire))),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Asks something and waits for the reply, which is of the type that the request's documentation names.
    ///
    /// # Errors
    ///
    /// When the server refuses, the connection fails, or the reply is not understood.
    pub fn call<T: DeserializeOwned>(&mut self, request: Request) -> Result<T, CallError> {
        self.send(request)?;
        self.reply()
    }

    /// Hands in a message, whose octets are as many as the request says.
    ///
    /// # Errors
    ///
    /// When the server refuses it, the connection fails, or the reply is not understood.
    pub fn submit(&mut self, request: submit::Request, message: &[u8]) -> Result<submit::Taken, CallError> {
        self.send(Request::Submit(request))?;
        let written = self.0.write(message);
        // Who refuses it before its end says why.
        match (self.reply(), written) {
            (Err(CallError::Io(_)), Err(error)) => Err(error.into()),
            (reply, _) => reply,
        }
    }

    fn send(&mut self, request: Request) -> Result<(), CallError> {
        let line = Line { v: VERSION, request };
        let line = serde_json::to_vec(&line).map_err(CallError::Unknown)?;
        Ok(self.0.write_line(line)?)
    }

    fn reply<T: DeserializeOwned>(&mut self) -> Result<T, CallError> {
        let reply = self.0.read_line()?;
        let answer: Answer<String> = serde_json::from_slice(&reply).map_err(CallError::Unknown)?;
        match answer.result {
            Outcome::Ok(value) => serde_json::from_value(value).map_err(CallError::Unknown),
            Outcome::Error(text) => Err(CallError::Refused(text)),
        }
    }
}

impl Wire {
    pub(super) fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Client::TIMEOUT))?;
        stream.set_write_timeout(Some(Client::TIMEOUT))?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(super) fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(octets)
    }

    pub(super) fn write_line(&mut self, mut line: Vec<u8>) -> io::Result<()> {
        line.push(b'\n');
        self.write(&line)
    }

    pub(super) fn read_line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        let most = u64::try_from(MAX_REPLY).unwrap_or(u64::MAX);
        (&mut self.0).take(most).read_until(b'\n', &mut line)?;
        match line.ends_with(b"\n") {
            true => Ok(line),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
