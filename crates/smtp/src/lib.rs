//! SMTP, submission and LMTP engines for both ends, without I/O
