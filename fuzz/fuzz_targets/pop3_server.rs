//! The POP3 server engine in front of two messages.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_fuzz::{check_machine, choices, inputs, seed};
use mailwright_pop3::Language;
use mailwright_sasl::{Answer, Question};

#[path = "../../crates/pop3/tests/common/mod.rs"]
mod common;

/// Those of the tests, and one with APOP.
fn accounts(question: &Question) -> Answer {
    match question {
        Question::SharedSecret { username } if username == "mrose" => Answer::Password("tanstaaf".into()),
        question => common::account(question),
    }
}

fuzz_target!(|data: &[u8]| {
    let (choice, rest) = choices(data);
    let fixture = || {
        common::ServerFixture::new().with(|fixture| {
            fixture.config.allow_plaintext = choice & 1 == 0;
            if choice & 2 == 0 {
                fixture.config.utf8 = true;
                fixture.config.languages = vec![Language::ENGLISH, Language::GERMAN];
                fixture.config.stls = true;
                fixture.config.apop = Some("dbc.mtview.ca.us".to_owned());
                fixture.accounts = accounts;
            }
            fixture.piece = 1 + usize::from(choice >> 1);
        })
    };
    check_machine(fixture, &inputs(rest), seed(data));
});
