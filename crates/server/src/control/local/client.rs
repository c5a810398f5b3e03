//! The program's end of the socket for users

use super::super::client::Wire;
use super::super::submit::{self, Taken};
use super::super::{Answer, Line, Outcome, VERSION};
use super::{Kind, Refusal, Request, Who};
use serde::de::DeserializeOwned;
use std::io;
use std::path::Path;

/// A connection to the socket over which users hand mail in.
#[derive(Debug)]
pub struct Client(Wire);

/// Why there is no answer, or not the one that was hoped for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server said no, in these words.
    #[error("{text}")]
    Refused {
        /// What a program has to know of it.
        kind: Kind,
        /// What a person has to know of it.
        text: String,
    },
    /// The connection failed.
    #[error("the connection to the server: {0}")]
    Io(#[from] io::Error),
    /// The reply is not understood: the server is of another version.
    #[error("the server's reply is not understood ({0}): it is perhaps of another version")]
    Unknown(#[from] serde_json::Error),
}

impl Client {
    /// Connects to a socket.
    ///
    /// # Errors
    ///
    /// When there is none, or this user may not open it.
    pub fn connect(socket: &Path) -> io::Result<Self> {
        Wire::connect(socket).map(Self)
    }

    /// Asks who the server takes this user for.
    ///
    /// # Errors
    ///
    /// When the server refuses, the connection fails, or the reply is not understood.
    pub fn who(&mut self) -> Result<Who, CallError> {
        self.send(Request::Who {})?;
        self.reply()
    }

    /// Hands in a message, whose octets are as many as the request says.
    ///
    /// # Errors
    ///
    /// When the server refuses it, the connection fails, or the reply is not understood.
    pub fn submit(&mut self, request: submit::Request, message: &[u8]) -> Result<Taken, CallError> {
        self.send(Request::Submit(request))?;
        let written = self.0.write(message);
        // Who refuses it before its end says why.
        match (self.reply(), written) {
            (Err(CallError::Io(_)), Err(error)) => Err(error.into()),
            (reply, _) => reply,
        }
    }

    fn send(&mut self, request: Request) -> Result<(), CallError> {
        let line = serde_json::to_vec(&Line { v: VERSION, request })?;
        Ok(self.0.write_line(line)?)
    }

    fn reply<T: DeserializeOwned>(&mut self) -> Result<T, CallError> {
        let answer: Answer<Refusal> = serde_json::from_slice(&self.0.read_line()?)?;
        match answer.result {
            Outcome::Ok(value) => Ok(serde_json::from_value(value)?),
            Outcome::Error(Refusal { kind, text }) => Err(CallError::Refused { kind, text }),
        }
    }
}
