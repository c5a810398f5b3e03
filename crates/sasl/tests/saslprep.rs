//! SASLprep (RFC 4013), with the feature `saslprep`.

use mailwright_sasl::{
    Answer, Client, ClientStep, Credentials, Error, Failure, Mechanism, Question, ScramCredentials, Secret,
    Server, ServerStep, saslprep,
};

const NONCE: [u8; 16] = *b"0123456789abcdef";

#[test]
fn the_examples_of_rfc_4013() {
    for (text, prepared) in [
        ("I\u{ad}X", Some("IX")),
        ("user", Some("user")),
        ("USER", Some("USER")),
        ("\u{aa}", Some("a")),
        ("\u{2168}", Some("IX")),
        ("\u{7}", None),
        ("\u{627}1", None),
        ("a\u{a0}b", Some("a b")),
        ("bu\u{308}cher", Some("bücher")),
        // Unassigned in Unicode 3.2.
        ("\u{1f600}", None),
    ] {
        assert_eq!(saslprep(text).as_deref(), prepared, "{text:?}");
    }
}

fn runs(given: &str, stored: &str) -> bool {
    let stored = ScramCredentials::derive(
        &Secret::from(stored),
        b"some salt",
        4096.try_into().expect("not zero"),
    );
    let mut server = Server::new(Mechanism::ScramSha256, &NONCE);
    let mut client = Client::new(
        Mechanism::ScramSha256,
        Credentials::new("u\u{ad}ser", given),
        &NONCE,
    );
    let Ok(ClientStep::Respond(first)) = client.step(None) else {
        panic!("no first message")
    };
    let ServerStep::Ask(question) = server.step(Some(&first)) else {
        panic!("no question")
    };
    assert_eq!(question.username(), "user");
    let ServerStep::Challenge(challenge) = server.answer(Answer::Scram(stored)) else {
        panic!("no challenge")
    };
    let Ok(ClientStep::Respond(proof)) = client.step(Some(&challenge)) else {
        panic!("no proof")
    };
    matches!(server.step(Some(&proof)), ServerStep::Done { .. })
}

#[test]
fn spellings_of_a_password_are_one() {
    assert!(runs("bu\u{308}\u{ad}cher", "b\u{fc}cher"));
    assert!(runs("\u{2168}", "IX"));
    // What is forbidden is taken as it is.
    assert!(runs("\u{1f600}", "\u{1f600}") && !runs("\u{1f600}", "\u{1f601}"));
    assert!(!runs("BÜCHER", "bücher"));
}

#[test]
fn names_and_passwords_reach_the_embedder_prepared() {
    let ask = |message: &str| Server::new(Mechanism::Plain, &NONCE).step(Some(message.as_bytes()));
    assert_eq!(
        ask("I\u{ad}X\0u\u{aa}\0p\u{a0}w"),
        ServerStep::Ask(Question::Password {
            authzid: Some("IX".into()),
            username: "ua".into(),
            password: "p w".into()
        })
    );
    // A name of nothing but what is mapped to nothing, and one that is forbidden.
    for forbidden in ["\0\u{ad}\0pw", "\0\u{627}1\0pw", "\u{e000}\0user\0pw"] {
        assert_eq!(ask(forbidden), ServerStep::Failed(Failure::Malformed));
    }
    let mut client = Client::new(Mechanism::Plain, Credentials::new("\u{627}1", "pw"), &NONCE);
    assert_eq!(client.step(None), Err(Error::Credentials));
}
