//! Reads a message where there is no operating system to speak of: the same program natively and in WebAssembly.
//!
//! ```sh
//! cargo run -p mailwright-message --example wasm_parse < message.eml
//!
//! rustup target add wasm32-wasip1
//! cargo build -p mailwright-message --example wasm_parse --target wasm32-wasip1
//! node --no-warnings crates/message/examples/wasm_parse.mjs \
//!   target/wasm32-wasip1/debug/examples/wasm_parse.wasm < message.eml
//! ```
//!
//! Nothing in the crate asks for files, sockets, threads or the time, so it compiles for `wasm32-unknown-unknown` as well;
//! with WASI there is a standard input to read from.

use mailwright_message::Index;
use mailwright_message::header::Headers;
use std::io::{Read, Result, stdin};

fn main() -> Result<()> {
    let mut message = Vec::new();
    stdin().read_to_end(&mut message)?;
    let index = Index::of(&message);
    let headers = Headers::of(&message, index.root());
    println!("subject: {}", headers.subject().unwrap_or_default());
    for mailbox in headers.mailboxes("From") {
        println!("from: {}@{}", mailbox.local_part, mailbox.domain);
    }
    let bodies = index.bodies();
    for part in &bodies.text {
        let body = part.body();
        println!(
            "text: {}",
            part.decode_text(&message[body.start as usize..body.end as usize])
                .trim_end()
        );
    }
    for part in &bodies.attachments {
        let name = part.safe_filename().unwrap_or_else(|| "unnamed".to_owned());
        println!(
            "attachment: {name}, {} octets as sent",
            part.body().end - part.body().start
        );
    }
    Ok(())
}
