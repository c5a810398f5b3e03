//! The engines, on the plain sockets of `send` and `smtp_sink`, against Postfix, Exim and aiosmtplib: see `peers.py`.
#![allow(clippy::disallowed_methods)] // a test is where programs come in

use std::path::Path;
use std::process::Command;

#[test]
fn mail_to_and_from_servers_that_others_wrote() {
    if Command::new("python3").arg("--version").output().is_err() {
        assert!(
            std::env::var_os("REQUIRE_CLIENTS").is_none(),
            "python3 is not installed"
        );
        eprintln!("SKIPPED: python3 is not installed");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers.py");
    let programs = [env!("CARGO_BIN_EXE_send"), env!("CARGO_BIN_EXE_smtp_sink")];
    let output = Command::new("python3")
        .arg(script)
        .args(programs)
        .output()
        .expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    eprintln!("{said}");
    assert!(
        output.status.success() && said.contains("all as expected"),
        "{said}"
    );
}
