//! SASL mechanisms for both ends of SMTP, IMAP and POP3: passwords, SCRAM, tokens, certificates.
//!
//! A mechanism takes the decoded challenges and responses and gives the next one. Who may log in is a
//! [`Question`] to the embedder, which may take its time. How the messages are framed in a protocol, and
//! whether a password may travel without TLS, is not decided here: [`Mechanism::is_plaintext`] tells. There
//! is no I/O, no clock and no source of randomness; nonces are arguments.
//!
//! ```text
//!   AUTH PLAIN AGJvYgBzZWNyZXQ=            (the protocol's line)
//!        │ base64_decode
//!        ▼
//!   Server::step ──▶ ServerStep::Ask(Question) ──▶ accounts
//!        │                                            │
//!        │◀───────── Server::answer(Answer) ◀─────────┘
//!        ▼
//!   Challenge ─▶ protocol      Done { identity }      Failed(why)
//! ```
//!
//! # Example
//!
//! ```
//! use mailwright_sasl::{Answer, Client, ClientStep, Credentials, Mechanism, NonceSource};
//! use mailwright_sasl::{ScramCredentials, Secret, Server, ServerStep};
//!
//! // What the server keeps instead of the password.
//! let stored = ScramCredentials::derive(&Secret::from("pencil"), b"some salt", 4096.try_into()?);
//!
//! let mut nonces = NonceSource::new([7; 32]); // from the operating system's randomness
//! let mut server = Server::new(Mechanism::ScramSha256, &nonces.draw());
//! let credentials = Credentials::new("user", Secret::from("pencil"));
//! let mut client = Client::new(Mechanism::ScramSha256, credentials, &nonces.draw());
//!
//! let mut challenge = None;
//! let identity = loop {
//!     let response = match client.step(challenge.as_deref())? {
//!         ClientStep::Respond(response) => response,
//!         _ => Vec::new(),
//!     };
//!     let mut step = server.step(Some(&response));
//!     if let ServerStep::Ask(_question) = step {
//!         step = server.answer(Answer::Scram(stored.clone()));
//!     }
//!     challenge = match step {
//!         ServerStep::Challenge(data) => Some(data),
//!         // Mail protocols have no room for this data in their success reply: one more round.
//!         ServerStep::Done { final_data: Some(data), .. } => Some(data),
//!         ServerStep::Done { identity, .. } => break identity,
//!         ServerStep::Failed(why) => panic!("{why}"),
//!         _ => unreachable!(),
//!     };
//! };
//! client.finish()?; // the server has shown that it knows the password, too
//! assert_eq!(identity.authcid, "user");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Modules
//!
//! | what | RFC |
//! |---|---|
//! | [`Mechanism`], [`Server`], [`Client`], [`Question`], [`Credentials`] | RFC 4422 |
//! | PLAIN | RFC 4616 |
//! | LOGIN | draft-murchison-sasl-login |
//! | SCRAM-SHA-1, SCRAM-SHA-256, both -PLUS, [`ScramCredentials`] | RFC 5802, RFC 7677, RFC 5803 |
//! | [`ChannelBindings`], [`tls_server_end_point`] | RFC 5929 §4, RFC 9266 |
//! | OAUTHBEARER, XOAUTH2 | RFC 7628 |
//! | EXTERNAL | RFC 4422 Appendix A |
//! | ANONYMOUS | RFC 4505 |
//! | CRAM-MD5, with the feature `cram-md5` | RFC 2195 |
//! | `saslprep`, with the feature `saslprep` | RFC 4013 |
//! | [`base64_encode`], [`base64_decode`] | RFC 4648 §4, as RFC 4954 §4 and RFC 5034 §4 use it |
//!
//! # Features
//!
//! Both are off by default, for the sake of the crates they bring; they add to each other.
//!
//! - `saslprep` prepares names and passwords outside ASCII by SASLprep (RFC 4013), on both ends and for
//!   [`ScramCredentials`]. Without it they are UTF-8 as they came, and two spellings of the same password are
//!   two passwords. ASCII is the same with and without.
//! - `cram-md5` adds CRAM-MD5, for peers that have nothing better. No default of this workspace offers it: it
//!   is weaker than PLAIN under TLS, and its server has to keep the password itself.
//!
//! # Limits
//!
//! A message is as long as the protocol's line limit lets it be; what is kept of it is a few copies of that
//! size at most. A client runs PBKDF2 as often as the server asks within [`Client::iteration_limits`].
//!
//! # What is incomplete
//!
//! - A [`Secret`] is wiped from memory, and so is what SCRAM computes from it; the buffers of a protocol that
//!   its octets came through are not, nor the responses in a [`ClientStep`].
//! - The channel binding `tls-unique` is not there: see [`ChannelBindings`].
//!
//! Minimum Rust version: 1.89.

mod base64;
mod binding;
mod client;
#[cfg(feature = "cram-md5")]
mod cram;
mod credentials;
mod crypto;
mod error;
mod mechanism;
mod oauth;
mod plain;
mod prep;
mod question;
mod scram;
mod secret;
mod server;

pub use base64::{base64_decode, base64_decode_initial, base64_encode, base64_encode_initial};
pub use binding::{ChannelBindings, tls_server_end_point};
pub use client::{Client, ClientStep};
pub use credentials::Credentials;
pub use crypto::{NonceSource, ScramHash};
pub use error::{Error, Failure};
pub use mechanism::Mechanism;
#[cfg(feature = "saslprep")]
pub use prep::saslprep;
pub use question::{Answer, Identity, Question};
pub use scram::{ParseCredentialsError, ScramCredentials};
pub use secret::Secret;
pub use server::{Server, ServerStep};
