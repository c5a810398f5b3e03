//! The client engine against written conversations, at every fragmentation.

mod client_support;

use client_support::Host;
use mailwright_wire::testing::{Role, run_transcript};

macro_rules! transcripts {
    ($($name:ident: $file:literal,)*) => {$(
        #[test]
        fn $name() {
            run(include_str!(concat!("transcripts/client/", $file, ".txt")));
        }
    )*};
}

transcripts! {
    session: "session",
    streaming: "streaming",
    append: "append",
    idle: "idle",
    starttls: "starttls",
    pipelining: "pipelining",
    resync: "resync",
    resync_fallbacks: "resync-fallbacks",
    quirks: "quirks",
    quirks_fetch: "quirks-fetch",
    long_responses: "long-responses",
    extensions: "extensions",
}

fn run(text: &str) {
    run_transcript(Role::Client, text, || {
        let mut host = Host::new();
        host.config.allow_plaintext = !text.contains("# fixture: no passwords in the clear");
        host.tls = text.contains("# fixture: tls");
        if text.contains("# fixture: short responses") {
            host.config.max_response = 120;
        }
        host
    });
}
