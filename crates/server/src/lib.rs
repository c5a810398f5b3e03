//! The Mailwright reference server: a library and the mailwright binary
