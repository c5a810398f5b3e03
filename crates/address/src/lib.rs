//! Email addresses of RFC 5321, 5322 and 6531, kept exactly as written
