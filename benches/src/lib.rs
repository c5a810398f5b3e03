//! Mailwright's benches.
