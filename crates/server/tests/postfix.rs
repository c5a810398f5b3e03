//! Mail to Debian's Postfix and from it, with the real binary; the script has the particulars.
//!
//! Without Postfix, OpenSSL or root it is named and passed over; with `REQUIRE_CLIENTS=1`, as in CI, python3 and
//! OpenSSL must be there.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests over real sockets and real time

mod support;

use std::path::Path;
use std::process::Command;
use support::programs::{at_hand, installed, succeeds};

#[test]
fn mail_goes_to_postfix_and_comes_from_it() {
    if !["python3", "openssl"].iter().all(|tool| installed(tool)) {
        return;
    }
    if !at_hand("postfix") {
        return println!("SKIPPED: Postfix is not installed");
    }
    if !rustix::process::geteuid().is_root() {
        return println!("SKIPPED: Postfix starts for root alone");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/postfix.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(env!("CARGO_BIN_EXE_mailwright"));
    let said = succeeds(&mut command);
    assert!(said.contains("all is well"), "{said}");
}
