//! Programs that show the Mailwright crates at work. Each says in its first lines what it shows and how to run it.
//!
//! | program | shows |
//! |---|---|
//! | `back_to_back` | an SMTP client and an SMTP server joined in memory: no socket, no runtime |
//! | `smtp_sink` | an SMTP server on blocking sockets that prints what it receives: no runtime, few dependencies |
//! | `imap_facade` | an IMAP server over data of one's own: a folder of `.eml` files, read-only |
//! | `inspect` | the part index, typed headers and decoders: what is in a message, for a person or as JSON |
//! | `edit` | the editor: a field changed, an attachment stripped, every other octet as it was |
