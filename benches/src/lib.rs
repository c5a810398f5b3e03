//! Mailwright measured, with the peer or the physical limit in the same run.
//!
//! Run with `cargo bench -p mailwright-benches`. Each bench asserts its result before it is timed. The script in
//! this folder measures the whole server: `server_figures.py`.
