//! The example exchanges of the RFCs, each at every fragmentation: what the client says is given to the server engine,
//! and what the server says, as it stands there, to the client engine.
//!
//! `exchanges/list.txt` names them all: RFC, section, which one of the section, and who speaks in it. In the
//! transcripts `== section (which)` begins one. A server has its own mail and its own words, so its answers here are
//! not those of the RFC to the letter; a client reads the RFC's own lines.
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod client_support;
mod support;

use mailwright_imap::Capabilities;
use mailwright_wire::testing::{Role, run_transcript};
use std::collections::BTreeSet;
use support::sample_account;

macro_rules! exchanges {
    ($($rfc:ident,)*) => {
        const ALL: &[(&str, &str, &str)] = &[$((
            stringify!($rfc),
            include_str!(concat!("exchanges/server/", stringify!($rfc), ".txt")),
            include_str!(concat!("exchanges/client/", stringify!($rfc), ".txt")),
        ),)*];
        $(mod $rfc {
            #[test]
            fn server() {
                super::serve(include_str!(concat!("exchanges/server/", stringify!($rfc), ".txt")));
            }
            #[test]
            fn client() {
                super::ask(include_str!(concat!("exchanges/client/", stringify!($rfc), ".txt")));
            }
        })*
    };
}

exchanges! {
    rfc2177,
    rfc2342,
    rfc2971,
    rfc3348,
    rfc3501,
    rfc3502,
    rfc3691,
    rfc4314,
    rfc4315,
    rfc4469,
    rfc4731,
    rfc4959,
    rfc4978,
    rfc5032,
    rfc5161,
    rfc5182,
    rfc5256,
    rfc5258,
    rfc5267,
    rfc5464,
    rfc5465,
    rfc5530,
    rfc5819,
    rfc6154,
    rfc6203,
    rfc6851,
    rfc7162,
    rfc7377,
    rfc7888,
    rfc7889,
    rfc8438,
    rfc8440,
    rfc8457,
    rfc8474,
    rfc8508,
    rfc8514,
    rfc8970,
    rfc9051,
    rfc9208,
    rfc9394,
    rfc9585,
    rfc9586,
    rfc9590,
}

/// The exchanges of a file: which one, and its transcript.
fn exchanges(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts = text.split("== ").skip(1);
    parts.map(|part| part.split_once('\n').unwrap_or((part, "")))
}

fn given(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("# given: "))
}

fn serve(text: &str) {
    for (name, text) in exchanges(text) {
        println!("{name}");
        run_transcript(Role::Server, text, || {
            let mut host = support::Host::new(sample_account());
            host.config.capabilities = Capabilities::all();
            host.preauth = true;
            host.backend.is_open = true;
            host.given = vec!["NOOP".into()];
            for given in given(text) {
                match given {
                    "not authenticated" => host.preauth = false,
                    "wrong passwords" => host.backend.is_open = false,
                    messages if messages.starts_with("messages ") || messages.ends_with(" messages") => {
                        host.fill(messages);
                    }
                    command => host.given.push(command.into()),
                }
            }
            host
        });
    }
}

fn ask(text: &str) {
    const GREETING: &str =
        "* PREAUTH [CAPABILITY IMAP4rev1 LITERAL+ ENABLE IDLE UNSELECT CONDSTORE QRESYNC] hi\r\n";
    for (name, text) in exchanges(text) {
        println!("{name}");
        run_transcript(Role::Client, text, || {
            let mut host = client_support::Host::new();
            host.given = Some(GREETING.into());
            for given in given(text) {
                match given {
                    "no greeting" => host.given = None,
                    greeting => host.given = Some(format!("{greeting}\r\n")),
                }
            }
            host
        });
    }
}

#[test]
fn no_exchange_is_missing() {
    let mut listed = [BTreeSet::new(), BTreeSet::new()];
    for row in include_str!("exchanges/list.txt").lines() {
        let words: Vec<_> = row.split(' ').collect();
        let [rfc, section, which, speakers] = words[..] else {
            panic!("{row:?}")
        };
        for (listed, speaker) in listed.iter_mut().zip(['C', 'S']) {
            if speakers.contains(speaker) {
                assert!(
                    listed.insert((format!("rfc{rfc}"), format!("{section} ({which})"))),
                    "{row:?} is there twice"
                );
            }
        }
    }
    let mut played = [BTreeSet::new(), BTreeSet::new()];
    for (rfc, server, client) in ALL {
        for (played, text) in played.iter_mut().zip([server, client]) {
            for (name, transcript) in exchanges(text) {
                let says = |line: &str| ["C: ", "S: ", "DO: "].iter().any(|it| line.starts_with(it));
                assert!(transcript.lines().any(says), "nothing happens in {rfc} §{name}");
                assert!(
                    played.insert(((*rfc).to_owned(), name.to_owned())),
                    "{rfc} §{name} is there twice"
                );
            }
        }
    }
    assert_eq!(played, listed);
    assert!(listed[0].len() > 300 && listed[1].len() > 350, "{listed:?}");
}
