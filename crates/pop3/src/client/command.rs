use mailwright_sasl::{Credentials, Mechanism};
use mailwright_wire::SendBuf;

/// What a client can ask of a server. Each command ends in one [`Event::Done`](super::Event::Done) or
/// [`Event::Refused`](super::Event::Refused).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// CAPA: what can the server do? Gives [`Event::Capabilities`](super::Event::Capabilities). Ask again
    /// after [`Stls`](Command::Stls) and after login: the answers may differ (RFC 2449 §5, RFC 2595 §4).
    Capa,
    /// STLS: go on under TLS. Leads to [`Step::StartTls`](mailwright_wire::Step::StartTls).
    Stls,
    /// USER and PASS: log in with a password, which needs no AUTH on the server's side. What is not ASCII goes
    /// out as UTF-8, which a server promises to understand if it announces `UTF8 USER` (RFC 6856 §2.2).
    Login(Credentials),
    /// APOP: log in with a digest of the password and the timestamp in the greeting (RFC 1939 §7). Better than
    /// a password in the clear and worse than anything else.
    #[cfg(feature = "apop")]
    Apop(Credentials),
    /// AUTH: log in with a SASL mechanism (RFC 5034).
    Auth(Mechanism, Credentials),
    /// UTF8: go into UTF-8 mode (RFC 6856 §2), before login and not before STLS. Messages may then hold UTF-8
    /// in their headers, which servers otherwise refuse with
    /// [`ResponseCode::Utf8`](crate::ResponseCode::Utf8), or alter.
    Utf8,
    /// LANG: speak in this language, as a basic language range (RFC 6856 §3), such as `de-AT`, or `*` for what
    /// the server likes best. `None` asks which there are, and gives
    /// [`Event::Language`](super::Event::Language)s.
    Lang(Option<String>),
    /// STAT: how much is there? Gives [`Event::Stat`](super::Event::Stat).
    Stat,
    /// LIST: sizes, of all messages or of one. Gives [`Event::Size`](super::Event::Size)s.
    List(Option<u32>),
    /// UIDL: unique ids, of all messages or of one. Gives [`Event::UniqueId`](super::Event::UniqueId)s.
    Uidl(Option<u32>),
    /// RETR: a whole message. Gives [`Event::Body`](super::Event::Body)s.
    Retr(u32),
    /// TOP: a message's header, and so many lines of its body. Gives [`Event::Body`](super::Event::Body)s.
    Top {
        /// The number of the message, counted from 1.
        message: u32,
        /// How many lines of the body are wanted.
        lines: u32,
    },
    /// DELE: mark a message, to be removed at QUIT.
    Dele(u32),
    /// NOOP: nothing; keeps the server from timing out.
    Noop,
    /// RSET: take all marks of DELE away.
    Rset,
    /// QUIT: remove what is marked, and end. Nothing can follow.
    Quit,
}

impl Command {
    /// Writes the command line of those that consist of one.
    pub(super) fn put(&self, tx: &mut SendBuf) {
        let (verb, numbers): (&str, [Option<u32>; 2]) = match self {
            Self::Capa => ("CAPA", [None; 2]),
            Self::Stls => ("STLS", [None; 2]),
            Self::Stat => ("STAT", [None; 2]),
            Self::List(message) => ("LIST", [*message, None]),
            Self::Uidl(message) => ("UIDL", [*message, None]),
            Self::Retr(message) => ("RETR", [Some(*message), None]),
            Self::Top { message, lines } => ("TOP", [Some(*message), Some(*lines)]),
            Self::Dele(message) => ("DELE", [Some(*message), None]),
            Self::Noop => ("NOOP", [None; 2]),
            Self::Rset => ("RSET", [None; 2]),
            Self::Quit => ("QUIT", [None; 2]),
            Self::Utf8 => ("UTF8", [None; 2]),
            Self::Lang(range) => {
                tx.put(b"LANG");
                if let Some(range) = range {
                    tx.put_all([b" ", range.as_bytes()]);
                }
                return tx.put(b"\r\n");
            }
            #[cfg(feature = "apop")]
            Self::Apop(_) => unreachable!("logins take more than a line"),
            Self::Login(_) | Self::Auth(..) => unreachable!("logins take more than a line"),
        };
        tx.put(verb.as_bytes());
        for number in numbers.into_iter().flatten() {
            tx.put(b" ");
            tx.put_u64(number.into());
        }
        tx.put(b"\r\n");
    }

    /// Whether nothing may be sent between this command and its reply, nor it before the reply to another.
    pub(super) fn stands_alone(&self) -> bool {
        #[cfg(feature = "apop")]
        if let Self::Apop(_) = self {
            return true;
        }
        matches!(self, Self::Stls | Self::Login(_) | Self::Auth(..) | Self::Quit)
    }
}
