//! Mailbox stores on disk: SQLite with packed segments
