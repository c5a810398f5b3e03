//! Whole exchanges of both ends, as a protocol would run them, and what happens to bad ones.

use mailwright_sasl::{
    Answer, ChannelBindings, Client, ClientStep, Credentials, Error, Failure, Identity, Mechanism,
    NonceSource, Question, ScramCredentials, ScramHash, Secret, Server, ServerStep, base64_decode,
    base64_decode_initial, base64_encode, base64_encode_initial,
};
use proptest::prelude::*;
use std::num::NonZeroU32;

const NONCE: [u8; 16] = *b"0123456789abcdef";

/// The mechanisms that ask for a password.
const PASSWORD: &[Mechanism] = &[
    Mechanism::ScramSha256Plus,
    Mechanism::ScramSha1Plus,
    Mechanism::ScramSha256,
    Mechanism::ScramSha1,
    Mechanism::Plain,
    Mechanism::Login,
];

fn channel() -> ChannelBindings {
    ChannelBindings::none().with_tls_exporter(&[7; 32])
}

fn stored(password: &str) -> ScramCredentials {
    stored_with(ScramHash::Sha256, password)
}

fn stored_with(hash: ScramHash, password: &str) -> ScramCredentials {
    ScramCredentials::derive_with(
        hash,
        &Secret::from(password),
        b"0123456789abcdef",
        NonZeroU32::new(4096).expect("not zero"),
    )
}

fn server(mechanism: Mechanism) -> Server {
    Server::new(mechanism, &NONCE)
}

/// What a server keeps of a password: prepared as far as SASLprep allows it (RFC 4616 §2).
fn prepared(password: &str) -> String {
    #[cfg(feature = "saslprep")]
    if let Some(prepared) = mailwright_sasl::saslprep(password).filter(|text| !text.is_empty()) {
        return prepared.into_owned();
    }
    password.to_owned()
}

/// Runs both ends against each other as SMTP would; `account` decides.
fn exchange(
    mechanism: Mechanism,
    credentials: Credentials,
    initial: bool,
    account: impl Fn(Question) -> Answer,
) -> Result<Identity, Result<Failure, Error>> {
    let mut server = server(mechanism).bound_to(&channel(), PASSWORD);
    let client = Client::new(mechanism, credentials, b"another nonce of the client");
    let mut client = client.bound_to(&channel(), PASSWORD);
    let mut response = match client.step(None).map_err(Err)? {
        ClientStep::Respond(response) => Some(response),
        ClientStep::Wait => None,
        other => panic!("{other:?} at the start"),
    };
    // Without room for it, the initial response waits for an empty challenge.
    let mut held = if initial { None } else { response.take() };
    loop {
        let mut step = server.step(response.as_deref());
        if let ServerStep::Ask(question) = step {
            step = server.answer(account(question));
        }
        let challenge = match step {
            ServerStep::Challenge(challenge) => challenge,
            ServerStep::Done {
                final_data: Some(data),
                ..
            } => data,
            ServerStep::Done { identity, .. } => {
                client.finish().map_err(Err)?;
                return Ok(identity);
            }
            ServerStep::Failed(failure) => {
                assert_eq!(server.step(Some(b"")), ServerStep::Failed(Failure::Malformed));
                return Err(Ok(failure));
            }
            other => panic!("{other:?}"),
        };
        response = match held.take() {
            Some(held) => {
                assert_eq!(challenge, b"");
                Some(held)
            }
            None => match client.step(Some(&challenge)).map_err(Err)? {
                ClientStep::Respond(response) => Some(response),
                ClientStep::Done => Some(vec![]),
                other => panic!("{other:?} to a challenge"),
            },
        };
    }
}

/// An account of bob with the password `s3cret`, who may act as carol.
fn bob(question: Question) -> Answer {
    let known = question.username() == "bob" && matches!(question.authzid(), None | Some("carol"));
    match question {
        Question::Password { password, .. } if known && password.constant_time_eq(b"s3cret") => {
            Answer::Accept
        }
        Question::Scram { hash, .. } if known => Answer::Scram(stored_with(hash, "s3cret")),
        _ => Answer::Deny,
    }
}

#[test]
fn every_mechanism_lets_the_right_ones_in_and_nobody_else() {
    for mechanism in PASSWORD.iter().copied() {
        for initial in [true, false] {
            let run = |user: &str, password: &str| {
                exchange(mechanism, Credentials::new(user, password), initial, bob)
            };
            assert_eq!(
                run("bob", "s3cret"),
                Ok(Identity::new("bob", None)),
                "{mechanism}"
            );
            assert_eq!(run("bob", "s3cre"), Err(Ok(Failure::Denied)), "{mechanism}");
            assert_eq!(run("alice", "s3cret"), Err(Ok(Failure::Denied)), "{mechanism}");
            assert_eq!(run("", "s3cret"), Err(Err(Error::Credentials)));
            assert_eq!(run("bob", ""), Err(Err(Error::Credentials)));
            assert_eq!(run("b\0b", "s3cret"), Err(Err(Error::Credentials)));
            assert_eq!(run("bob", "s3cret\0"), Err(Err(Error::Credentials)));
            let unavailable = exchange(mechanism, Credentials::new("bob", "x"), initial, |_| {
                Answer::Unavailable
            });
            assert_eq!(unavailable, Err(Ok(Failure::Unavailable)));
        }
    }
}

#[test]
fn acting_for_somebody_else_is_asked_and_told() {
    for mechanism in PASSWORD.iter().copied().filter(|m| *m != Mechanism::Login) {
        let run = |authzid: &str| {
            exchange(
                mechanism,
                Credentials::new("bob", "s3cret").acting_as(authzid),
                true,
                bob,
            )
        };
        let identity = run("carol").unwrap();
        assert_eq!(identity, Identity::new("bob", Some("carol".into())));
        assert_eq!(identity.acting(), "carol");
        assert_eq!(run("root"), Err(Ok(Failure::Denied)));
        assert_eq!(run(""), Ok(Identity::new("bob", None)));
    }
    let login = exchange(
        Mechanism::Login,
        Credentials::new("bob", "s3cret").acting_as("carol"),
        true,
        bob,
    );
    assert_eq!(login, Err(Err(Error::Credentials)));
}

#[test]
fn a_stored_scram_secret_answers_for_passwords_as_well() {
    let run = |password| {
        exchange(Mechanism::Plain, Credentials::new("bob", password), true, |_| {
            Answer::Scram(stored("s3cret"))
        })
    };
    assert!(run("s3cret").is_ok());
    assert_eq!(run("wrong"), Err(Ok(Failure::Denied)));
    // An embedder that mixes the answers up must not open the door.
    let accept = exchange(Mechanism::ScramSha256, Credentials::new("bob", "x"), true, |_| {
        Answer::Accept
    });
    assert_eq!(accept, Err(Ok(Failure::Unavailable)));
}

#[test]
fn plain_messages_of_rfc_4616() {
    let mut plain = server(Mechanism::Plain);
    assert_eq!(
        plain.step(Some(b"\0tim\0tanstaaftanstaaf")),
        ServerStep::Ask(Question::Password {
            authzid: None,
            username: "tim".into(),
            password: "tanstaaftanstaaf".into()
        })
    );
    let mut plain = server(Mechanism::Plain);
    assert_eq!(plain.step(None), ServerStep::Challenge(vec![]));
    let ServerStep::Ask(question) = plain.step(Some(b"Ursel\0Kurt\0xipj3plmq")) else {
        panic!("no question")
    };
    assert_eq!((question.authzid(), question.username()), (Some("Ursel"), "Kurt"));
    assert!(matches!(
        plain.answer(Answer::Accept),
        ServerStep::Done { final_data: None, .. }
    ));

    for malformed in [
        &b""[..],
        b"bob",
        b"\0bob",
        b"\0bob\0",
        b"\0\0pass",
        b"\0bob\0pass\0",
        b"\0b\xffb\0pass",
        b"\0bob\0\xff",
    ] {
        let step = server(Mechanism::Plain).step(Some(malformed));
        assert_eq!(step, ServerStep::Failed(Failure::Malformed), "{malformed:?}");
    }
}

#[test]
fn login_prompts_and_refuses_what_no_one_types() {
    let mut login = server(Mechanism::Login);
    assert_eq!(login.step(None), ServerStep::Challenge(b"Username:".to_vec()));
    assert_eq!(
        login.step(Some(b"bob")),
        ServerStep::Challenge(b"Password:".to_vec())
    );
    assert!(matches!(login.step(Some(b"pass")), ServerStep::Ask(_)));
    for malformed in [&b""[..], b"b\0b", b"\xff"] {
        let mut login = server(Mechanism::Login);
        assert_eq!(
            login.step(Some(malformed)),
            ServerStep::Failed(Failure::Malformed)
        );
        let mut login = server(Mechanism::Login);
        let _ = login.step(Some(b"bob"));
        assert_eq!(
            login.step(Some(malformed)),
            ServerStep::Failed(Failure::Malformed)
        );
    }
}

#[test]
fn an_unknown_user_looks_like_a_wrong_password() {
    let key = b"a secret of the server, kept for long";
    let iterations = NonZeroU32::new(4096).unwrap();
    let challenge = |answer: Answer, user: &str| {
        let mut server = server(Mechanism::ScramSha256);
        let _ = server.step(Some(format!("n,,n={user},r=abc").as_bytes()));
        let ServerStep::Challenge(challenge) = server.answer(answer) else {
            panic!("no challenge")
        };
        let text = String::from_utf8(challenge).unwrap();
        let nonce = text.split(',').next().unwrap().to_owned();
        let proof = format!("c=biws,{nonce},p={}", base64_encode(&[7; 32]));
        assert_eq!(
            server.step(Some(proof.as_bytes())),
            ServerStep::Failed(Failure::Denied)
        );
        text
    };
    let decoy = |user: &str| {
        challenge(
            Answer::Scram(ScramCredentials::decoy(key, user, iterations)),
            user,
        )
    };
    assert_eq!(decoy("nobody"), decoy("nobody"));
    assert_ne!(decoy("nobody"), decoy("noone"));
    let (real, fake) = (challenge(Answer::Scram(stored("x")), "bob"), decoy("nobody"));
    assert_eq!(real.len(), fake.len());
    assert!(challenge(Answer::Deny, "nobody").starts_with("r=abc"));
    assert!(!ScramCredentials::decoy(key, "nobody", iterations).verify(&Secret::from("")));
}

#[test]
fn the_final_data_of_scram_must_be_taken_in_silence() {
    let finish = |response: Option<&[u8]>| {
        let mut server = server(Mechanism::ScramSha256);
        let mut client = Client::new(Mechanism::ScramSha256, Credentials::new("bob", "s3cret"), &NONCE);
        let ClientStep::Respond(first) = client.step(None).unwrap() else {
            panic!("no first message")
        };
        let _ = server.step(Some(&first));
        let ServerStep::Challenge(challenge) = server.answer(Answer::Scram(stored("s3cret"))) else {
            panic!("no challenge")
        };
        let ClientStep::Respond(proof) = client.step(Some(&challenge)).unwrap() else {
            panic!("no proof")
        };
        assert_eq!(client.finish(), Err(Error::Incomplete));
        assert!(matches!(
            server.step(Some(&proof)),
            ServerStep::Done {
                final_data: Some(_),
                ..
            }
        ));
        match response {
            Some(response) => server.step(Some(response)),
            None => server.abort(),
        }
    };
    assert!(matches!(
        finish(Some(b"")),
        ServerStep::Done { final_data: None, .. }
    ));
    assert_eq!(finish(Some(b"x")), ServerStep::Failed(Failure::Malformed));
    assert_eq!(finish(None), ServerStep::Failed(Failure::Aborted));
}

#[test]
fn clients_do_not_follow_strange_servers() {
    let client = |mechanism| Client::new(mechanism, Credentials::new("bob", "s3cret"), &NONCE);
    let mut plain = client(Mechanism::Plain);
    assert_eq!(plain.step(Some(b"tell me")), Err(Error::Malformed));
    assert_eq!(plain.step(Some(b"")), Err(Error::Malformed));
    assert_eq!(plain.finish(), Err(Error::Malformed));

    let mut plain = client(Mechanism::Plain);
    assert_eq!(
        plain.step(Some(b"")),
        Ok(ClientStep::Respond(b"\0bob\0s3cret".to_vec()))
    );
    assert_eq!(plain.step(Some(b"")), Err(Error::Unexpected));

    let mut login = client(Mechanism::Login);
    assert_eq!(login.step(None), Ok(ClientStep::Wait));
    assert_eq!(
        login.step(Some(b"User Name\0")),
        Ok(ClientStep::Respond(b"bob".to_vec()))
    );
    assert_eq!(login.finish(), Err(Error::Incomplete));
    assert_eq!(
        login.step(Some(b"Password\0")),
        Ok(ClientStep::Respond(b"s3cret".to_vec()))
    );
    assert_eq!(login.finish(), Ok(()));
}

#[test]
fn iteration_limits_can_be_set() {
    let run = |limits| {
        let mut client = Client::new(Mechanism::ScramSha256, Credentials::new("bob", "x"), &NONCE);
        client = client.iteration_limits(limits);
        let _ = client.step(None);
        let challenge = format!("r={}more,s=c2FsdA==,i=100", base64_encode(&NONCE));
        client.step(Some(challenge.as_bytes())).map(|_| ())
    };
    assert_eq!(run(4096..=1_000_000), Err(Error::Iterations(100)));
    assert_eq!(run(1..=99), Err(Error::Iterations(100)));
    assert_eq!(run(1..=100), Ok(()));
}

#[test]
fn the_strongest_mechanism_is_chosen() {
    use Mechanism::*;
    let choose = |offered: &[Mechanism], is_tls| {
        Client::choose(
            offered,
            &Credentials::new("bob", "x"),
            is_tls,
            &ChannelBindings::none(),
        )
    };
    assert_eq!(choose(&[Login, Plain, ScramSha256], true), Some(ScramSha256));
    assert_eq!(choose(&[Login, Plain, ScramSha256], false), Some(ScramSha256));
    assert_eq!(
        choose(&[ScramSha1, ScramSha256Plus, Plain], true),
        Some(ScramSha1)
    );
    assert_eq!(choose(&[Login, Plain], true), Some(Plain));
    assert_eq!(choose(&[Login], true), Some(Login));
    assert_eq!(choose(&[Login, Plain], false), None);
    assert_eq!(choose(&[Anonymous, External, OAuthBearer, XOAuth2], true), None);
    assert_eq!(choose(&[], true), None);
    let everything = |credentials, is_tls| Client::choose(Mechanism::ALL, &credentials, is_tls, &channel());
    assert_eq!(
        everything(Credentials::new("bob", "x"), false),
        Some(ScramSha256Plus)
    );
    assert_eq!(
        everything(Credentials::token("bob", "x"), true),
        Some(OAuthBearer)
    );
    assert_eq!(everything(Credentials::token("bob", "x"), false), None);
    assert_eq!(
        everything(Credentials::external().acting_as("bob"), true),
        Some(External)
    );
    assert_eq!(everything(Credentials::anonymous("me"), false), Some(Anonymous));
    for mechanism in Mechanism::ALL {
        assert_eq!(
            Mechanism::from_name(&mechanism.name().to_lowercase()),
            Some(*mechanism)
        );
    }
    assert_eq!(Mechanism::from_name("PLAIN2"), None);
}

#[test]
fn stored_credentials_print_and_parse() {
    // The vector of RFC 7677 §3: salt and password there, keys derived.
    let salt = base64_decode(b"W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let credentials = ScramCredentials::derive(&Secret::from("pencil"), &salt, 4096.try_into().unwrap());
    let text = credentials.to_string();
    assert_eq!(
        text,
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
         WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    );
    assert_eq!(text.parse(), Ok(credentials.clone()));
    assert!(credentials.verify(&Secret::from("pencil")) && !credentials.verify(&Secret::from("pen")));
    for wrong in [
        "",
        "pencil",
        &text[1..],
        &text[..text.len() - 1],
        &text.replace("4096", "0"),
        &text.replace("4096", "4294967296"),
        &text.replace("W22ZaJ0SNY7soEsUEjb6gQ==", ""),
        &text.replace(":wf", "$wf"),
    ] {
        assert!(wrong.parse::<ScramCredentials>().is_err(), "{wrong}");
    }
}

#[test]
fn secrets_do_not_show() {
    let secret = Secret::from("s3cret");
    assert_eq!(
        (secret.as_bytes(), secret.as_str()),
        (&b"s3cret"[..], Some("s3cret"))
    );
    assert!(secret == Secret::from("s3cret") && secret != Secret::from("s3cret2"));
    let mut asked = server(Mechanism::Plain);
    let step = asked.step(Some(b"\0bob\0s3cret"));
    let client = Client::new(Mechanism::Plain, Credentials::new("bob", "s3cret"), &NONCE);
    let keys = stored("s3cret");
    for text in [
        format!("{secret:?}{step:?}{asked:?}{client:?}{keys:?}"),
        format!("{:?}", NonceSource::new(*b"s3cret78901234567890123456789012")),
    ] {
        assert!(
            !text.contains("s3cret") && !text.contains("115, 51, 99"),
            "{text}"
        );
    }
    assert!(format!("{step:?}").contains("***"));
}

#[test]
fn nonces_differ() {
    let mut nonces = NonceSource::new([1; 32]);
    let (a, b) = (nonces.draw(), nonces.draw());
    assert_ne!(a, b);
    assert_eq!(NonceSource::new([1; 32]).draw(), a);
    assert_ne!(NonceSource::new([2; 32]).draw(), a);
}

#[test]
fn base64_is_strict() {
    assert_eq!(base64_decode(b"").as_deref(), Some(&b""[..]));
    assert_eq!(base64_decode(b"AGJvYg==").as_deref(), Some(&b"\0bob"[..]));
    for wrong in [
        "=", "A", "AA", "AAA", "AA=", "AA==A", "AB==", "AA== ", " AA==", "A-_=", "AA==\r\n", "AA\r\n==",
        "====", "AAAA=", "\u{e9}",
    ] {
        assert_eq!(base64_decode(wrong.as_bytes()), None, "{wrong:?}");
    }
    assert_eq!(base64_decode_initial(b"=").as_deref(), Some(&b""[..]));
    assert_eq!(base64_decode_initial(b""), None);
    assert_eq!(base64_decode_initial(b"AA==").as_deref(), Some(&b"\0"[..]));
    assert_eq!(base64_encode_initial(b""), "=");
    assert_eq!(base64_encode_initial(b"\0"), "AA==");
}

#[test]
#[should_panic(expected = "no answer is owed")]
fn answering_when_nothing_was_asked_panics() {
    let _ = server(Mechanism::Plain).answer(Answer::Accept);
}

#[test]
#[should_panic(expected = "an answer is owed")]
fn going_on_without_an_answer_panics() {
    let mut server = server(Mechanism::Plain);
    let _ = server.step(Some(b"\0bob\0s3cret"));
    let _ = server.step(Some(b""));
}

proptest! {
    #[test]
    fn any_names_and_passwords_arrive(
        user in "[ -~äß日]{1,20}", password in "[^\0]{1,20}", authzid in "[ -~äß日]{1,8}", which in 0..PASSWORD.len()
    ) {
        let mechanism = PASSWORD[which];
        let mut credentials = Credentials::new(&user, password.as_str());
        if mechanism != Mechanism::Login {
            credentials = credentials.acting_as(&authzid);
        }
        let expected = Identity::new(&user, credentials.authzid().map(str::to_owned));
        // A password is asked about as both ends prepare it.
        let kept = prepared(&password);
        let account = |question: Question| match question {
            Question::Password { password: given, .. } if given.as_str() == Some(&kept) => Answer::Accept,
            Question::Scram { hash, .. } => Answer::Scram(stored_with(hash, &password)),
            _ => Answer::Deny,
        };
        prop_assert_eq!(exchange(mechanism, credentials, true, account), Ok(expected));
    }

    #[test]
    fn garbage_never_gets_in(
        responses in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                "[nyp],(a=x)?,n=[a-z=,]{0,4},r=[a-z,]{0,4}".prop_map(String::into_bytes),
                "c=biws,r=[ -~]{0,80},p=[A-Za-z0-9+/]{43}=".prop_map(String::into_bytes),
            ],
            1..5,
        ),
        which in 0..PASSWORD.len(),
    ) {
        let mut server = server(PASSWORD[which]);
        let mut client = Client::new(PASSWORD[which], Credentials::new("bob", "x"), &NONCE);
        client = client.iteration_limits(1..=1);
        for response in responses {
            let _ = client.step(Some(&response));
            let mut step = server.step(Some(&response));
            if let ServerStep::Ask(_) = step {
                step = server.answer(Answer::Deny);
            }
            let is_in = matches!(step, ServerStep::Done { .. });
            prop_assert!(!is_in);
        }
    }
}
