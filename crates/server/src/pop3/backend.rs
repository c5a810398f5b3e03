//! What a POP3 server asks of whoever keeps the mail (RFC 1939 §4 to §6)
//!
//! [`Backend`] says who may log in, [`Messages`] is the maildrop that one of them has open: it is listed once, read by
//! range, and changed at its end alone.

use bytes::Bytes;
use mailwright_pop3::{Maildrop, Rejection};
use mailwright_sasl::{Answer, Identity, Question};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

/// Who may log in, and to what. One value serves all sessions.
pub trait Backend: Send + Sync + 'static {
    /// The maildrop of somebody who is logged in.
    type Messages: Messages;

    /// Answers whether credentials are good. An exchange that goes on, as SCRAM's, may be answered with what the
    /// password is checked against. `client` is where it comes from.
    fn authenticate(&self, question: Question, client: SocketAddr) -> impl Future<Output = Answer> + Send;

    /// Tells the name of the user that a certificate stands for and that may act as `authzid`, if one is given. The
    /// certificate, in DER, is the client's, and was verified when TLS started. By default it stands for nobody; whom it
    /// stands for is offered EXTERNAL (RFC 4422 Appendix A).
    fn of_certificate(&self, _certificate: &[u8], _authzid: Option<&str>) -> Option<String> {
        None
    }

    /// Opens the maildrop of somebody who was authenticated, and comes from `client`. No other session may have it
    /// open until what is returned is dropped (RFC 1939 §4).
    ///
    /// # Errors
    /// [`Rejection::IN_USE`] when another session has it, others when it cannot be opened. The client may log in again.
    fn open(
        self: &Arc<Self>,
        user: &Identity,
        client: SocketAddr,
    ) -> impl Future<Output = Result<Self::Messages, Rejection>> + Send;
}

/// The messages of a maildrop that one session has open; dropping it gives the maildrop back.
///
/// Messages have the numbers of [`list`](Messages::list), from 1 on, until the session ends, whatever comes or goes
/// meanwhile. Line ends may be any: they are made CRLF on the way.
pub trait Messages: Send + Sync + 'static {
    /// Lists the messages with the sizes they have on the wire and their unique ids, oldest first. It is called once,
    /// before anything else. [`WireSize`](mailwright_pop3::WireSize) measures what is kept with other line ends.
    ///
    /// # Errors
    /// When they cannot be read: the login is refused with the reason.
    fn list(&mut self) -> impl Future<Output = Result<Maildrop, Rejection>> + Send;

    /// Reads octets of a message as it is kept, from the start of the range on; perhaps less than the range, but
    /// nothing only behind the end. A message is read from its start, piece by piece, and perhaps not to its end.
    ///
    /// # Errors
    /// When it cannot be read. The client is told the reason at the start of a message; within it the connection ends, as
    /// there is no other way to tell that it is not whole.
    fn read(
        &mut self,
        message: u32,
        range: Range<u64>,
    ) -> impl Future<Output = Result<Bytes, Rejection>> + Send;

    /// Removes messages for good, and returns when that is durable. It is called at most once, when the client has
    /// said QUIT: the numbers are ascending, and never none. By default messages stay, and the client is told so.
    ///
    /// # Errors
    /// When some of them are still there.
    fn delete(&mut self, _messages: &[u32]) -> impl Future<Output = Result<(), Rejection>> + Send {
        async { Err(Rejection::READ_ONLY) }
    }

    /// Waits until the user loses the right to be here: the account was removed, or its password changed. The session
    /// ends then, and deletes nothing. By default that does not happen. It is called anew for every command, and
    /// dropped in between.
    fn revoked(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
}
