//! The examples of RFC 3501 and of each extension, and what goes wrong, at every fragmentation.

mod support;

use mailwright_imap::{Capabilities, Capability};
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
    acl: "acl",
    any_state: "any-state",
    append: "append",
    apple_push: "apple-push",
    binary: "binary",
    catenate: "catenate",
    condstore: "condstore",
    held_back: "held-back",
    copy_move: "copy-move",
    expunge: "expunge",
    fetch: "fetch",
    idle: "idle",
    inprogress: "inprogress",
    list_extended: "list-extended",
    list_returns: "list-returns",
    literals: "literals",
    mailboxes: "mailboxes",
    malformed: "malformed",
    metadata: "metadata",
    multisearch: "multisearch",
    multiappend: "multiappend",
    namespace_enable: "namespace-enable",
    notify: "notify",
    not_authenticated: "not-authenticated",
    not_offered: "not-offered",
    objectid: "objectid",
    partial: "partial",
    qresync: "qresync",
    quota: "quota",
    replace: "replace",
    rev2: "rev2",
    rfc3501_sample: "rfc3501-sample",
    sasl_ir: "sasl-ir",
    search: "search",
    searchres: "searchres",
    select: "select",
    shutdown: "shutdown",
    sort: "sort",
    starttls: "starttls",
    store: "store",
    thread: "thread",
    timeouts: "timeouts",
    timeouts_idle: "timeouts-idle",
    too_many_bad: "too-many-bad",
    too_many_logins: "too-many-logins",
    uidonly: "uidonly",
    unauthenticate: "unauthenticate",
    untold: "untold",
    utf8_accept: "utf8-accept",
}

fn run(text: &str) {
    run_transcript(Role::Server, text, || {
        let mut host = Host::new(sample_account());
        host.preauth = text.contains("# fixture: preauth");
        if let Some(line) = text
            .lines()
            .find_map(|line| line.strip_prefix("# capabilities: "))
        {
            let chosen = |c: &Capability| line.split(' ').any(|name| name == c.as_str());
            let chosen = Capability::ALL.into_iter().filter(chosen);
            host.config.capabilities = chosen.fold(Capabilities::NONE, Capabilities::with);
        }
        host.config.plaintext_login = !text.contains("# fixture: no passwords in the clear");
        host
    });
}
