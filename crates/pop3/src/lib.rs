//! POP3 engines for both ends, without I/O
