//! What passes between a resolver and its caller

use core::net::SocketAddr;

/// A question put to a [`Resolver`](crate::Resolver).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueryId(pub(crate) u64);

/// A socket that the caller opens for one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub(crate) u64);

/// What an exchange goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
// DNS over TLS or HTTPS would come as another transport that callers must know how to open.
#[allow(clippy::exhaustive_enums)]
pub enum Transport {
    /// One datagram, from a port that the operating system picks at random for it (RFC 5452 §9.2).
    Udp,
    /// One connection.
    Tcp,
}

/// Octets to send on a socket that is to be opened for them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transmit {
    /// The socket. Every transmit has its own; it stays open until [`Resolver::poll_close`](crate::Resolver::poll_close) names it.
    pub socket: SocketId,
    /// How to open it.
    pub transport: Transport,
    /// Where to send.
    pub server: SocketAddr,
    /// The datagram, or all that goes into the stream: the length before the message is there (RFC 1035 §4.2.2).
    pub bytes: Vec<u8>,
}

/// What a resolver counted since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Questions put.
    pub queries: u64,
    /// Questions answered from memory.
    pub cache_hits: u64,
    /// Datagrams sent.
    pub sent_udp: u64,
    /// Queries sent over TCP.
    pub sent_tcp: u64,
    /// Exchanges that got no answer in time.
    pub timeouts: u64,
    /// Datagrams from another address than the one asked.
    pub wrong_source: u64,
    /// Messages with another id.
    pub wrong_id: u64,
    /// Messages with another question.
    pub wrong_question: u64,
    /// Messages whose question is right but for the case of its letters.
    pub wrong_case: u64,
    /// Messages that are no DNS responses, and those on sockets that expect none.
    pub unrelated: u64,
    /// Answers that could not be read or contradict themselves.
    pub malformed: u64,
    /// Answers that had no room in a datagram.
    pub truncated: u64,
    /// Queries given up over UDP for [strays](crate::Config::max_strays), and put again over TCP.
    pub flooded: u64,
    /// Questions answered with records past their TTL (RFC 8767).
    pub stale: u64,
}

/// How a server is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// The server.
    pub server: SocketAddr,
    /// How often in a row it did not answer.
    pub silent: u32,
    /// For how long it is asked after the others; `None` while it is well.
    pub resting: Option<core::time::Duration>,
}
