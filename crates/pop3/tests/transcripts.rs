//! Both engines against written conversations, cut in every way.

mod common;

use common::{ClientFixture, ServerFixture};
use mailwright_pop3::{Expire, Language, Text};
use mailwright_wire::testing::{Role, run_transcript};
use std::time::Duration;

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
    rfc6856 |f| {
        f.config.utf8 = true;
        f.config.utf8_user = true;
        f.config.languages = vec![Language::GERMAN, Language::ENGLISH, french()];
    };
    utf8_needed |f| f.config.utf8 = true;
    utf8_stls |f| {
        f.config.utf8 = true;
        f.config.stls = true;
        f.config.languages = vec![Language::GERMAN];
    };
    lang_stls |f| {
        f.config.stls = true;
        f.config.languages = vec![Language::GERMAN];
    };
    not_offered |_| {};
    policies |f| {
        f.config.expire = Some(Expire::Days(0));
        f.config.login_delay = Some(Duration::from_secs(900));
        f.config.by_user = true;
        f.prepare = |maildrop| {
            maildrop.set_expire(Expire::Never);
            maildrop.set_login_delay(Duration::from_secs(60));
        };
    };
    policies_of_all |f| {
        f.config.expire = Some(Expire::Days(30));
        f.config.login_delay = Some(Duration::from_secs(900));
    };
    auth_list |f| {
        f.config.stls = true;
        f.config.allow_plaintext = false;
    };
}

/// A language of the embedder, in which little is said.
fn french() -> Language {
    let say = |text| match text {
        Text::LanguageChanged => Some("langue changée"),
        Text::Totals => Some("{1} octets dans {0} messages"),
        _ => None,
    };
    Language::new("fr-CH", "français", say).expect("a tag")
}

#[test]
fn languages_say_everything_in_one_line() {
    for bad in ["", "de_DE", "de DE", "d\u{e9}", &"x".repeat(65)] {
        assert!(Language::new(bad.to_owned(), "", |_| None).is_none(), "{bad}");
    }
    for language in [Language::ENGLISH, Language::GERMAN] {
        for text in Text::ALL {
            let said = language.say(*text);
            assert!(
                !said.chars().any(char::is_control) && said.len() < 400,
                "{text:?}"
            );
            for number in ["{0}", "{1}"] {
                let wanted = text.as_english().contains(number);
                assert_eq!(said.contains(number), wanted, "{text:?} in {language:?}");
            }
        }
    }
    let mut all = Text::ALL.to_vec();
    all.dedup();
    assert_eq!(all.len(), Text::ALL.len());
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
    client_bad_number |_| {};
    client_long_line |f| f.config.max_line = 100;
    client_rfc6856 |_| {};
    quirk_no_capa |_| {};
    quirk_capa_changes |_| {};
    quirk_odd_rows |_| {};
    quirk_spaces |_| {};
    quirk_sizes |_| {};
    quirk_last_line |_| {};
    quirk_no_farewell |_| {};
    quirk_long_lines |_| {};
    quirk_empty |_| {};
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
