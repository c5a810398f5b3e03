//! How a client behaves

use super::ProxyHeader;
use crate::Protocol;
use crate::xclient::Xclient;
use mailwright_address::Host;
use mailwright_sasl::{Credentials, Mechanism};
use std::time::Duration;

/// How a [`Client`](super::Client) behaves. One may be shared by many connections.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Which protocol the server speaks. Submission is SMTP here.
    pub protocol: Protocol,
    /// The client's own name, for EHLO.
    pub hello: Host,
    /// When the connection is encrypted.
    pub starttls: StartTls,
    /// What to log in with; `None` to stay anonymous.
    pub credentials: Option<Credentials>,
    /// The mechanisms that may be used to log in, as far as they fit the credentials; the strongest that the
    /// server offers is taken. All by default.
    pub mechanisms: Vec<Mechanism>,
    /// Whether a password may be sent before TLS, for all to read. Default no.
    pub plaintext_auth_without_tls: bool,
    /// Whether commands are pipelined where the server offers it (RFC 2920). Default yes.
    pub pipelining: bool,
    /// How messages are sent to servers with CHUNKING.
    pub chunking: Chunking,
    /// What happens to messages with a bare CR or LF. Default: mended.
    pub bare_newlines: BareNewlines,
    /// Sent ahead of everything, for a server that expects the PROXY protocol. A connection that is encrypted
    /// from its start needs it before TLS, from the caller.
    pub proxy: Option<ProxyHeader>,
    /// Who this client speaks for, told to servers that offer XCLIENT, before AUTH.
    pub xclient: Option<Box<Xclient>>,
    /// The limits.
    pub limits: Limits,
    /// How long the server is waited for.
    pub timeouts: Timeouts,
}

impl Config {
    /// The defaults: STARTTLS if it is offered, no login.
    pub fn new(protocol: Protocol, hello: Host) -> Self {
        Self {
            protocol,
            hello,
            starttls: StartTls::IfOffered,
            credentials: None,
            mechanisms: Mechanism::ALL.to_vec(),
            plaintext_auth_without_tls: false,
            pipelining: true,
            chunking: Chunking::default(),
            bare_newlines: BareNewlines::Mend,
            proxy: None,
            xclient: None,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }
}

/// When a client starts TLS. Whether the certificate is right is for the caller to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // never, perhaps, always, and not with everybody
pub enum StartTls {
    /// Not at all; also for connections that are encrypted from their start.
    Never,
    /// If the server offers it. Anybody on the way can make it seem not to.
    IfOffered,
    /// Always: without it nothing is sent.
    Required,
    /// Always, and then the caller is asked whether this server will do:
    /// [`Event::Certificate`](super::Event::Certificate).
    Verified,
}

/// How messages are sent to servers that offer CHUNKING (RFC 3030).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Chunking {
    /// When BDAT is used instead of DATA. Default: when it is offered.
    pub bdat: UseBdat,
    /// Octets in a chunk, at least 1; the last is shorter. As much of a message is held in memory. Default 256 KiB.
    pub size: u64,
    /// How many chunks may be under way at once to a server with PIPELINING, at least 1. Default 4.
    pub ahead: usize,
    /// Messages of at most this size (as declared in [`MailParams::size`](crate::MailParams::size); of any size
    /// with [`u64::MAX`]) are sent right behind the recipients, without waiting for what the server says of
    /// those (RFC 3030 §4.2): one round trip less, and for nothing if it takes none of them. Default 0.
    pub eager: u64,
}

impl Default for Chunking {
    fn default() -> Self {
        Self {
            bdat: UseBdat::WhenOffered,
            size: 256 * 1024,
            ahead: 4,
            eager: 0,
        }
    }
}

/// When a client uses BDAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // never, if it must, always
pub enum UseBdat {
    /// Never. Binary messages cannot be sent then.
    Never,
    /// For messages with `BODY=BINARYMIME` alone.
    ForBinary,
    /// For all messages.
    WhenOffered,
}

/// What a client does with a CR or LF that is not part of a CRLF (RFC 5321 §2.3.8). Messages with
/// `BODY=BINARYMIME` may hold them, and are left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // to send them is no third way
pub enum BareNewlines {
    /// It is sent as CRLF.
    Mend,
    /// The message is not sent: [`Cause::BareNewline`](super::Cause::BareNewline). Behind DATA this costs the
    /// connection; behind BDAT it does not.
    Refuse,
}

/// The limits of a client.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Octets in a line of a reply with its line ending. RFC 5321 §4.5.3.1.5 has servers send at most 512;
    /// challenges of AUTH are longer (RFC 4954 §4). Default 12288; at most 64 KiB are used.
    pub reply_line: usize,
    /// Octets in all lines of a reply. Default 64 KiB.
    pub reply_size: usize,
    /// Commands that are under way at once when pipelining, at least 1. Bounds what a server has to answer
    /// before its answers are read, for callers that do not read while they write. Default 100.
    pub window: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            reply_line: 12288,
            reply_size: 64 * 1024,
            window: 100,
        }
    }
}

/// How long a server is waited for. The defaults are those of RFC 5321 §4.5.3.2.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Timeouts {
    /// For the greeting: 5 minutes.
    pub greeting: Duration,
    /// For replies to EHLO, STARTTLS, AUTH, RSET and all that is not named here: 5 minutes.
    pub command: Duration,
    /// For the reply to MAIL: 5 minutes.
    pub mail: Duration,
    /// For the reply to each RCPT: 5 minutes.
    pub rcpt: Duration,
    /// For the reply to DATA: 2 minutes.
    pub data: Duration,
    /// For the transport to take a piece of the message, and for the reply to a chunk that is not the last: 3
    /// minutes.
    pub body: Duration,
    /// For the reply to the end of the message: 10 minutes. A short one causes duplicates (RFC 1047).
    pub end_of_data: Duration,
    /// For the reply to QUIT: 10 seconds.
    pub quit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        Self {
            greeting: minutes(5),
            command: minutes(5),
            mail: minutes(5),
            rcpt: minutes(5),
            data: minutes(2),
            body: minutes(3),
            end_of_data: minutes(10),
            quit: Duration::from_secs(10),
        }
    }
}
