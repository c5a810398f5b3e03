//! POP3 over mail that is kept anywhere: sessions of the POP3 engine over a [`Backend`] (RFC 1939)
//!
//! ```text
//!  Conn<pop3::Server> ─▶ Session ─ Auth ──▶ Backend::authenticate
//!                           ├───── Open ──▶ Backend::open, which locks; Messages::list
//!                           ├─ Retrieve ──▶ Messages::read, piece by piece
//!                           └─── Update ──▶ Messages::delete, once, at QUIT
//! ```
//!
//! Whoever has mail, or what can be shown as mail, implements [`Backend`] and [`Messages`] and calls [`serve`] for each
//! connection: `examples/pop3_over_maildir` shows a Maildir. The reference server is one implementation among others:
//! [`Shared`], over whatever `Store` it has.
//!
//! A client that is not in UTF-8 mode (RFC 6856) is given a header in ASCII in place of one in UTF-8 (RFC 6858).
//!
//! # Example
//!
//! ```
//! use mailwright_pop3::{Maildrop, Rejection};
//! use mailwright_sasl::{Answer, Identity, Question};
//! use mailwright_server::pop3::{self, Backend, Messages, Options};
//! use std::{net::SocketAddr, ops::Range, sync::Arc};
//!
//! /// One message, for everybody who says `secret`.
//! struct Motto;
//!
//! const MESSAGE: &[u8] = b"Subject: Motto\r\n\r\nKeep it simple.\r\n";
//!
//! impl Backend for Motto {
//!     type Messages = Self;
//!
//!     async fn authenticate(&self, question: Question, _: SocketAddr) -> Answer {
//!         match question {
//!             Question::Password { password, .. } if password.constant_time_eq(b"secret") => Answer::Accept,
//!             _ => Answer::Deny,
//!         }
//!     }
//!
//!     async fn open(self: &Arc<Self>, _: &Identity, _: SocketAddr) -> Result<Self, Rejection> {
//!         Ok(Self) // nothing changes, so there is nothing to lock
//!     }
//! }
//!
//! impl Messages for Motto {
//!     async fn list(&mut self) -> Result<Maildrop, Rejection> {
//!         let mut maildrop = Maildrop::new();
//!         let listed = maildrop.push(MESSAGE.len() as u64, "motto");
//!         listed.map(|()| maildrop).map_err(|_| Rejection::UNAVAILABLE)
//!     }
//!
//!     async fn read(&mut self, _: u32, range: Range<u64>) -> Result<bytes::Bytes, Rejection> {
//!         let at = |place: u64| MESSAGE.len().min(place as usize);
//!         Ok(MESSAGE[at(range.start)..at(range.end)].into())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! # let client = tokio::spawn(async move {
//! #     let mut client = tokio::net::TcpStream::connect(address).await?;
//! #     client.write_all(b"USER me\r\nPASS secret\r\nLIST\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n").await?;
//! #     let mut said = String::new();
//! #     client.read_to_string(&mut said).await?;
//! #     std::io::Result::Ok(said)
//! # });
//! let mut options = Options::default();
//! options.engine.allow_plaintext = true; // on loopback
//! let (stream, peer) = listener.accept().await?;
//! pop3::serve(Arc::new(Motto), stream, peer, options).await;
//! # let said = client.await.expect("it ends")?;
//! # assert!(said.contains("\r\n1 35\r\n.\r\n") && said.contains("\r\nKeep it simple.\r\n.\r\n"), "{said}");
//! # assert!(said.ends_with("-ERR [SYS/PERM] messages stay here: the maildrop is read-only\r\n"), "{said}");
//! # Ok(())
//! # }
//! ```

mod backend;
mod session;
mod store;
mod surrogate;

use crate::config::{ListenerConfig, TlsMode};
use crate::shared::Shared;
use mailwright_mailbox::Store;
use mailwright_pop3::Expire;
use std::net::SocketAddr;

pub use backend::{Backend, Messages};
pub use session::{Options, serve};
pub use store::StoreMessages;

/// How a connection to a listener of the reference server is served.
pub(crate) fn options<S: Store>(shared: &Shared<S>, listener: &ListenerConfig, peer: SocketAddr) -> Options {
    let config = &shared.config;
    let mut options = Options::default();
    let engine = &mut options.engine;
    engine.mechanisms = shared.accounts.mechanisms();
    engine.greeting = format!("{} POP3 server ready", config.hostname);
    engine.implementation = Some("Mailwright".to_owned());
    engine.allow_plaintext = config.plaintext_login.allows(peer.ip());
    // Nothing here removes what its owner does not.
    engine.expire = Some(Expire::Never);
    let delay = config.limits.pop3_login_delay;
    engine.login_delay = (!delay.is_zero()).then_some(delay);
    engine.login_timeout = config.limits.login_timeout;
    engine.idle_timeout = config.limits.pop3_timeout;
    options.tls = (listener.tls == TlsMode::Starttls).then(|| shared.tls.of_listener(listener));
    options.write_timeout = config.limits.write_timeout;
    options.write_least_rate = config.limits.write_least_rate;
    options.shutdown = shared.shutdown.clone();
    options.metrics = Some(shared.metrics.clone());
    options
}
