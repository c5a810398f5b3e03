//! SASL mechanisms, the server's and the client's side, against any responses and challenges.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use mailwright_fuzz::choices;
use mailwright_sasl::{
    Answer, ChannelBindings, Client, ClientStep, Credentials, Mechanism, Question, ScramCredentials,
    ScramHash, Secret, Server, ServerStep, base64_decode, base64_encode, saslprep, tls_server_end_point,
};

fn stored(hash: ScramHash) -> ScramCredentials {
    static SHA1: OnceLock<ScramCredentials> = OnceLock::new();
    static SHA256: OnceLock<ScramCredentials> = OnceLock::new();
    let stored = if hash == ScramHash::Sha1 { &SHA1 } else { &SHA256 };
    let password = Secret::from("pencil");
    let derive =
        || ScramCredentials::derive_with(hash, &password, b"salt", 4096.try_into().expect("not zero"));
    stored.get_or_init(derive).clone()
}

fuzz_target!(|data: &[u8]| {
    let (choice, data) = choices(data);
    let mechanism = Mechanism::ALL[usize::from(choice >> 4) % Mechanism::ALL.len()];
    let channel = ChannelBindings::none().with_tls_exporter(b"channel");
    let mut server = Server::new(mechanism, b"0123456789abcdef");
    if choice & 1 != 0 {
        server = server.bound_to(&channel, Mechanism::ALL);
    }
    for response in data.split(|b| *b == 0xf8) {
        let response = (!(response.is_empty() && choice & 4 != 0)).then_some(response);
        let mut step = server.step(response);
        if let ServerStep::Ask(question) = step {
            // Nobody is let in but by a proof, which garbage cannot make.
            step = server.answer(match question {
                Question::Scram { hash, .. } if choice & 8 == 0 => Answer::Scram(stored(hash)),
                Question::SharedSecret { .. } if choice & 8 == 0 => Answer::Password(Secret::from("pencil")),
                _ => Answer::Deny,
            });
        }
        match step {
            ServerStep::Done { .. } => panic!("garbage got in by {mechanism}"),
            ServerStep::Failed(_) => break,
            _ => {}
        }
    }
    // The client runs PBKDF2 as often as the server says: few times here, to be fast.
    let credentials = match mechanism {
        Mechanism::OAuthBearer | Mechanism::XOAuth2 => Credentials::token("user", "t0ken"),
        Mechanism::External => Credentials::external(),
        Mechanism::Anonymous => Credentials::anonymous("user"),
        _ => Credentials::new("user", "pencil"),
    };
    let mut client = Client::new(mechanism, credentials, b"0123456789abcdef")
        .iteration_limits(1..=10)
        .bound_to(&channel, Mechanism::ALL);
    for challenge in data.split(|b| *b == 0xf8) {
        match client.step(Some(challenge)) {
            Ok(ClientStep::Respond(_)) => {}
            _ => break,
        }
    }
    if mechanism.scram_hash().is_some() {
        assert!(
            client.finish().is_err(),
            "garbage passed for the server's signature"
        );
    }
    let _ = tls_server_end_point(data);
    if let Ok(text) = core::str::from_utf8(data) {
        if let Some(prepared) = saslprep(text) {
            assert_eq!(
                saslprep(&prepared).as_deref(),
                Some(&*prepared),
                "prepared once is prepared"
            );
        }
        if let Ok(credentials) = text.parse::<ScramCredentials>() {
            assert_eq!(credentials.to_string().parse(), Ok(credentials));
        }
    }
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
