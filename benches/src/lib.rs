//! Mailwright measured, with the peer or the physical limit in the same run.
//!
//! Run with `cargo bench -p mailwright-benches`. Each bench asserts its result before it is timed. Where there is a
//! peer, it is in the same run:
//!
//! ```text
//! cargo bench -p mailwright-benches --features peers --ignore-rust-version --bench message
//! benches/ratios.py
//! cargo bench -p mailwright-benches --features peers --ignore-rust-version --bench smtp
//! ```
//!
//! The script in this folder measures the whole server: `server_figures.py`. With `MAIL_CORPUS` set, messages from
//! public sources are measured besides the generated ones.

pub mod samples;
mod time;

pub use time::CpuTime;
