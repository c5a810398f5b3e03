//! A stub resolver without I/O, over hickory-proto
