use mailwright_sasl as sasl;

/// What a client did, and what the embedder has to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A question: the client wants to log in. Answer with [`Server::answer_auth`](crate::Server::answer_auth).
    ///
    /// APOP asks for a shared secret, as CRAM-MD5 does.
    Auth(sasl::Question),
    /// A notice: it did not get in, and was told. A good place to count failures of its address.
    AuthFailed(sasl::Failure),
    /// A question: the client is who it says and wants its maildrop. Lock the maildrop for this session alone
    /// (RFC 1939 §4), and answer with [`Server::open`](crate::Server::open) or [`Server::reject`](crate::Server::reject); [`Rejection::IN_USE`](crate::Rejection::IN_USE) if another
    /// session has it.
    Open(sasl::Identity),
    /// A question: the client wants the message of this number, counted from 1. Answer with its octets, in
    /// pieces: [`Server::message_chunk`](crate::Server::message_chunk) and [`Server::message_end`](crate::Server::message_end); or with [`Server::reject`](crate::Server::reject).
    Retrieve {
        /// The number of the message in the maildrop that was opened.
        message: u32,
        /// `None` for the whole message. Otherwise only the header and this many lines of the body are
        /// wanted; the engine cuts there itself, but need not be given more.
        body_lines: Option<u64>,
        /// Whether the client is in UTF-8 mode (RFC 6856 §2). If not, a message whose header holds UTF-8 is to
        /// be refused with [`Rejection::UTF8`](crate::Rejection::UTF8), or another one given in its place
        /// (RFC 6856 §2.1, RFC 6857, RFC 6858).
        utf8: bool,
    },
    /// A question, and the only one that changes anything: the client said QUIT, and these messages are to be
    /// removed for good. Never empty, ascending. Answer with [`Server::accept`](crate::Server::accept) once they are, or with
    /// [`Server::reject`](crate::Server::reject) if some could not be removed.
    ///
    /// If the conversation ends in any other way, nothing is removed (RFC 1939 §6).
    Update {
        /// The numbers of the messages, counted from 1.
        deleted: Vec<u32>,
    },
}
