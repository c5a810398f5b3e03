//! Both engines against written conversations, cut in every way.

mod common;

use common::{ClientFixture, ServerFixture};
use mailwright_wire::testing::{Role, run_transcript};

fn server(text: &str, change: fn(&mut ServerFixture)) {
    run_transcript(Role::Server, text, || ServerFixture::new().with(change));
}

fn client(text: &str, change: fn(&mut ClientFixture)) {
    run_transcript(Role::Client, text, || ClientFixture::new().with(change));
}

macro_rules! servers {
    ($($name:ident $change:expr;)*) => {$(
        #[test]
        fn $name() {
            server(include_str!(concat!("transcripts/", stringify!($name), ".txt")), $change);
        }
    )*};
}

macro_rules! clients {
    ($($name:ident $change:expr;)*) => {$(
        #[test]
        fn $name() {
            client(include_str!(concat!("transcripts/", stringify!($name), ".txt")), $change);
        }
    )*};
}

servers! {
    rfc1939 |_| {};
    rfc1939_commands |_| {};
    rfc2449 |f| f.config.implementation = Some("test 1".into());
    states |_| {};
    in_use |_| {};
    stls |f| {
        f.config.allow_plaintext = false;
        f.config.stls = true;
        f.config.implementation = Some("test 1".into());
    };
    auth |_| {};
    auth_plain |_| {};
    auth_initial |_| {};
    auth_login |_| {};
    auth_errors |f| f.config.max_failures = 6;
    hostile |f| f.config.max_errors = 5;
    trouble |_| {};
    aborted |_| {};
    idle |_| {};
    slow_login |_| {};
    gone |_| {};
    shutdown |_| {};
}

clients! {
    client_session |_| {};
    client_pipelining |_| {};
    client_stls |f| f.config.allow_plaintext = false;
    client_stls_refused |f| f.config.allow_plaintext = false;
    client_auth |_| {};
    client_refused |_| {};
    client_nonsense |_| {};
    client_eof |_| {};
    client_unsolicited |_| {};
    client_timeout |_| {};
    client_greeting_timeout |_| {};
    client_bad_row |_| {};
    client_bad_number |_| {};
    client_long_line |f| f.config.max_line = 100;
}

/// The nonce of the client depends on its entropy alone, so the transcript is complete but for it.
#[test]
fn client_mitm() {
    let mut nonces = mailwright_sasl::NonceSource::new([2; 32]);
    let nonce = mailwright_sasl::base64_encode(&nonces.draw());
    let first = mailwright_sasl::base64_encode(format!("n,,n=bob,r={nonce}").as_bytes());
    let text = include_str!("transcripts/client_mitm.txt").replace("CLIENTFIRST", &first);
    client(&text, |_| {});
}
