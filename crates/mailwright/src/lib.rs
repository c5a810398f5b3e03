//! Mailwright's crates under one name.
