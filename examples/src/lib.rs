//! Programs that show the Mailwright crates at work. Each says in its first lines what it shows and how to run it.
//!
//! | program | shows |
//! |---|---|
//! | `back_to_back` | an SMTP client and an SMTP server joined in memory: no socket, no runtime |
//! | `imap_copy` | two IMAP clients: an account copied from one server to another, resumable |
//! | `imap_tail` | an IMAP client that prints new mail as it comes: IDLE and NOTIFY |
//! | `imap_facade` | an IMAP server over data of one's own: a folder of `.eml` files, read-only |
//! | `pop3_over_maildir` | a POP3 server over a Maildir: two small traits, and the sessions of the reference server |
//! | `pop_fetch` | a POP3 client: mail fetched into a Maildir or mbox, and left on the server as long as you like |
//! | `smtp_sink` | an SMTP and LMTP server on blocking sockets that takes all mail: prints it, or keeps it as JSON, Maildir or mbox |
//! | `mail_sink` | the reference server as a library, with a filter: SMTP, submission, IMAP, POP3 and JSON over HTTP for a test suite or a container |
//! | `custom_server` | the reference server as a library over a store of one's own: an archive with a file for each message |
//! | `send` | an SMTP client on blocking sockets: STARTTLS, AUTH, DSN, LMTP, and what became of each recipient |
//! | `lmtp_deliver` | delivery to an LMTP server, for other programs to call |
//! | `chaos_peer` | a server that misbehaves by recipe, to try clients on |
//! | `mx_plan` | the resolver and the planner on blocking sockets: where mail for a domain goes, and why |
//! | `relay` | SMTP in, a queue on disk, SMTP out, bounces: store and forward from the parts |
//! | `inbound_webhook` | mail becomes JSON for a web application: kept on disk, posted and retried until it is taken |
//! | `filter_gateway` | the server's filters in front of another server: rspamd, ClamAV, SpamAssassin, milters; it keeps nothing |
//! | `inspect` | the part index, typed headers and decoders: what is in a message, for a person or as JSON |
//! | `auth_check` | SPF, DKIM, ARC, DMARC and iprev of a message: all results with their reasons, by a resolver on blocking sockets |
//! | `edit` | the editor: a field changed, an attachment stripped, every other octet as it was |
//!
//! `smtp_sink_in_test`, a server to copy into a test suite, is an example of `mailwright-smtp`, and `wasm_parse`, which
//! reads messages in WebAssembly, one of `mailwright-message`, for they need no more.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // examples bring sockets and the clock

pub mod imap;
pub mod imap_copy;
pub mod letter;
pub mod net;
pub mod outgoing;
pub mod pop3;
pub mod pop_fetch;
pub mod spool;
