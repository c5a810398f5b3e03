//! The way to a filter.

use crate::Stream;
use crate::config::{FilterAddress, FilterConfig};
use crate::conn::{Conn, Turn};
use mailwright_mailbox::StoreError;
use mailwright_wire::Machine;
use std::fmt::Display;
use std::io;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// A filter that is asked, and who asks it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) config: FilterConfig,
    /// What this server calls itself.
    pub(super) hostname: String,
}

impl Asked {
    pub(super) async fn connect(&self) -> Result<Stream, Failed> {
        connect(&self.config.address, self.config.connect_timeout).await
    }
}

/// Why a filter gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error("no connection to {0}: {1}")]
    Connect(FilterAddress, io::Error),
    #[error("{0}")]
    Talk(String),
    #[error("it did not answer in time")]
    Timeout,
    #[error("the message cannot be read: {0}")]
    Store(#[from] StoreError),
}

/// Connects to a filter.
async fn connect(address: &FilterAddress, limit: Duration) -> Result<Stream, Failed> {
    let connecting = async {
        match address {
            FilterAddress::Tcp(endpoint) => {
                let place = endpoint.to_string();
                TcpStream::connect(place).await.map(Stream::from)
            }
            #[cfg(unix)]
            FilterAddress::Unix(path) => tokio::net::UnixStream::connect(path).await.map(Stream::from),
            #[cfg(not(unix))]
            FilterAddress::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    };
    match tokio::time::timeout(limit, connecting).await {
        Ok(connected) => connected.map_err(|error| Failed::Connect(address.clone(), error)),
        Err(_) => Err(Failed::Connect(address.clone(), io::ErrorKind::TimedOut.into())),
    }
}

/// What the machine has next; `None` for a piece of the message, or a command.
pub(super) async fn next<M: Machine<Error: Display>>(conn: &mut Conn<M>) -> Result<Option<M::Event>, Failed> {
    match conn.next().await {
        Ok(Turn::Event(event)) => Ok(Some(event)),
        Ok(Turn::Answer) => Ok(None),
        Ok(Turn::Close | Turn::StartTls) => Err(Failed::Talk("the conversation ended early".into())),
        Err(error) => Err(Failed::Talk(error.to_string())),
    }
}

/// The time of the runtime, which tests can stop.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How much of a message is read at a time, in octets.
pub(super) const PIECE: u64 = 64 * 1024;
