//! RFC 5322 and MIME messages: scan, index, typed headers, decode, build
