//! `wasm_parse`, an example of `mailwright-message`: the same output natively and in WebAssembly.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // runs other programs

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const TARGET: &str = "wasm32-wasip1";

const MESSAGE: &str = "From: =?utf-8?q?Alic=C3=A9?= <alice@a.test>\r\nSubject: =?utf-8?b?SGkg4pyT?=\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=x\r\n\r\n\
    --x\r\nContent-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n\r\n8NLJ18XU\r\n\
    --x\r\nContent-Disposition: attachment; filename=a.bin\r\nContent-Type: application/octet-stream\r\n\r\n1234\r\n--x--\r\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace")
}

/// The output of a program that reads the message.
fn output(command: &mut Command) -> String {
    let mut child = command
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(MESSAGE.as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn says(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(said)
}

#[test]
fn a_message_reads_the_same_natively_and_in_webassembly() {
    let example = ["-p", "mailwright-message", "--example", "wasm_parse"];
    let native = output(
        Command::new(env!("CARGO"))
            .args(["run", "--quiet", "--offline"])
            .args(example),
    );
    let expected = "subject: Hi ✓\nfrom: alice@a.test\ntext: Привет\nattachment: a.bin, 4 octets as sent\n";
    assert_eq!(native, expected);

    let installed = says("rustup", &["target", "list", "--installed"]).unwrap_or_default();
    if !installed.lines().any(|target| target == TARGET) {
        eprintln!("not tried in WebAssembly: rustup target add {TARGET}");
        return;
    }
    if says("node", &["--eval", "require('node:wasi')"]).is_none() {
        eprintln!("not tried in WebAssembly: there is no node with WASI");
        return;
    }
    // What is needed for this target alone may have to be fetched. A folder of its own, for cargo has one build at a time in each.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wasm");
    let built = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--offline",
            "--target",
            TARGET,
            "--target-dir",
        ])
        .arg(&folder)
        .args(example)
        .current_dir(root())
        .status()
        .expect("cargo runs");
    assert!(built.success());
    let program = folder.join(TARGET).join("debug/examples/wasm_parse.wasm");
    let wasm = output(
        Command::new("node")
            .args(["--no-warnings", "crates/message/examples/wasm_parse.mjs"])
            .arg(program),
    );
    assert_eq!(wasm, expected);
}
