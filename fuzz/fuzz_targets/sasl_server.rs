//! SASL mechanisms, the server's and the client's side, against any responses and challenges.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use mailwright_fuzz::choices;
use mailwright_sasl::{
    Answer, Client, ClientStep, Credentials, Mechanism, Question, ScramCredentials, Secret, Server,
    ServerStep, base64_decode, base64_encode,
};

fn stored() -> ScramCredentials {
    static STORED: OnceLock<ScramCredentials> = OnceLock::new();
    let derive = || {
        ScramCredentials::derive(
            &Secret::from("pencil"),
            b"salt",
            4096.try_into().expect("not zero"),
        )
    };
    STORED.get_or_init(derive).clone()
}

fuzz_target!(|data: &[u8]| {
    let (choice, data) = choices(data);
    let mechanism = match choice % 3 {
        0 => Mechanism::Plain,
        1 => Mechanism::Login,
        _ => Mechanism::ScramSha256,
    };
    let mut server = Server::new(mechanism, b"0123456789abcdef");
    for response in data.split(|b| *b == 0xf8) {
        let response = (!(response.is_empty() && choice & 4 != 0)).then_some(response);
        let mut step = server.step(response);
        if let ServerStep::Ask(question) = step {
            step = server.answer(match question {
                Question::Scram { .. } if choice & 8 == 0 => Answer::Scram(stored()),
                Question::Password { .. } if choice & 8 == 0 => Answer::Accept,
                _ => Answer::Deny,
            });
        }
        match step {
            ServerStep::Done { .. } | ServerStep::Failed(_) => break,
            _ => {}
        }
    }
    // The client runs PBKDF2 as often as the server says: few times here, to be fast.
    let credentials = Credentials::new("user", Secret::from("pencil"));
    let mut client = Client::new(mechanism, credentials, b"0123456789abcdef").iteration_limits(1..=10);
    for challenge in data.split(|b| *b == 0xf8) {
        match client.step(Some(challenge)) {
            Ok(ClientStep::Respond(_)) => {}
            _ => break,
        }
    }
    let _ = client.finish();
    assert_eq!(
        base64_decode(base64_encode(data).as_bytes()).as_deref(),
        Some(data)
    );
    if let Some(decoded) = base64_decode(data) {
        assert_eq!(
            base64_encode(&decoded).as_bytes(),
            data,
            "strict base64 has one form"
        );
    }
});
