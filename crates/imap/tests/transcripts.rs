//! The examples of RFC 3501 and of each extension, and what goes wrong, at every fragmentation.

mod support;

use mailwright_wire::testing::{Role, run_transcript};
use support::{Host, sample_account};

macro_rules! transcripts {
    ($($name:ident: $file:literal,)*) => {$(
        #[test]
        fn $name() {
            run(include_str!(concat!("transcripts/", $file, ".txt")));
        }
    )*};
}

transcripts! {
    any_state: "any-state",
    append: "append",
    copy_move: "copy-move",
    expunge: "expunge",
    fetch: "fetch",
    idle: "idle",
    list_extended: "list-extended",
    literals: "literals",
    mailboxes: "mailboxes",
    malformed: "malformed",
    namespace_enable: "namespace-enable",
    not_authenticated: "not-authenticated",
    rfc3501_sample: "rfc3501-sample",
    sasl_ir: "sasl-ir",
    search: "search",
    select: "select",
    shutdown: "shutdown",
    starttls: "starttls",
    store: "store",
    timeouts: "timeouts",
    timeouts_idle: "timeouts-idle",
    too_many_bad: "too-many-bad",
    too_many_logins: "too-many-logins",
    untold: "untold",
}

fn run(text: &str) {
    run_transcript(Role::Server, text, || {
        let mut host = Host::new(sample_account());
        host.preauth = text.contains("# fixture: preauth");
        host.config.plaintext_login = !text.contains("# fixture: no passwords in the clear");
        host
    });
}
