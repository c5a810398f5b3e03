//! Mailwright's examples.
