//! IMAP4rev1 and IMAP4rev2 session engines, without I/O
