//! Channel binding, tokens, certificates and nobody: both ends, and what happens to bad messages.

use mailwright_sasl::{
    Answer, ChannelBindings, Client, ClientStep, Credentials, Error, Failure, Identity, Mechanism, Question,
    ScramCredentials, ScramHash, Secret, Server, ServerStep, base64_decode, base64_encode,
    tls_server_end_point,
};
use proptest::prelude::*;

const NONCE: [u8; 16] = *b"0123456789abcdef";
const SCRAM: &[Mechanism] = &[
    Mechanism::ScramSha256Plus,
    Mechanism::ScramSha1Plus,
    Mechanism::ScramSha256,
    Mechanism::ScramSha1,
];

fn stored(hash: ScramHash) -> ScramCredentials {
    ScramCredentials::derive_with(
        hash,
        &Secret::from("pencil"),
        b"some salt",
        1.try_into().expect("not zero"),
    )
}

/// What the server says to a first response.
fn ask(mechanism: Mechanism, response: &[u8]) -> ServerStep {
    Server::new(mechanism, &NONCE).step(Some(response))
}

fn done(identity: Identity) -> ServerStep {
    ServerStep::Done {
        identity,
        final_data: None,
    }
}

/// How a SCRAM exchange ends; `changed` stands between the two ends. The client's end is its opinion of it.
fn scram(
    mut server: Server,
    mut client: Client,
    mut changed: impl FnMut(Vec<u8>) -> Vec<u8>,
) -> (Result<Identity, Failure>, Result<(), Error>) {
    let mut challenge = None;
    loop {
        let response = match client.step(challenge.as_deref()) {
            Ok(ClientStep::Respond(response)) => response,
            Ok(_) => vec![],
            Err(error) => {
                assert_eq!(client.finish(), Err(error));
                return (Err(Failure::Aborted), Err(error));
            }
        };
        let mut step = server.step(Some(&changed(response)));
        if let ServerStep::Ask(question) = step {
            let Question::Scram { hash, .. } = question else {
                panic!("{question:?}")
            };
            step = server.answer(Answer::Scram(stored(hash)));
        }
        match step {
            ServerStep::Challenge(next)
            | ServerStep::Done {
                final_data: Some(next),
                ..
            } => challenge = Some(changed(next)),
            ServerStep::Done { identity, .. } => return (Ok(identity), client.finish()),
            ServerStep::Failed(failure) => return (Err(failure), client.finish()),
            ServerStep::Ask(_) => panic!("asked twice"),
            other => panic!("{other:?}"),
        }
    }
}

fn bound(
    mechanism: Mechanism,
    (of_server, offered): (&ChannelBindings, &[Mechanism]),
    (of_client, seen): (&ChannelBindings, &[Mechanism]),
) -> (Result<Identity, Failure>, Result<(), Error>) {
    let server = Server::new(mechanism, &NONCE).bound_to(of_server, offered);
    let client = Client::new(mechanism, Credentials::new("user", "pencil"), &NONCE)
        .iteration_limits(1..=1)
        .bound_to(of_client, seen);
    scram(server, client, |message| message)
}

#[test]
fn plus_needs_the_same_channel_on_both_ends() {
    let none = ChannelBindings::none();
    let exporter = |octet| ChannelBindings::none().with_tls_exporter(&[octet; 32]);
    let both = exporter(1).with_tls_server_end_point(&[2; 32]);
    let end_point = ChannelBindings::none().with_tls_server_end_point(&[2; 32]);
    let user = || Ok(Identity::new("user", None));
    for plus in [Mechanism::ScramSha256Plus, Mechanism::ScramSha1Plus] {
        let run = |server: &ChannelBindings, client: &ChannelBindings| {
            bound(plus, (server, SCRAM), (client, SCRAM))
        };
        assert_eq!(run(&both, &both), (user(), Ok(())));
        assert_eq!(run(&both, &exporter(1)), (user(), Ok(())));
        assert_eq!(run(&both, &end_point), (user(), Ok(())));
        // Somebody in the middle has two channels.
        let between = (Err(Failure::ChannelBinding), Err(Error::Incomplete));
        assert_eq!(run(&exporter(1), &exporter(3)), between);
        // What the server does not have cannot be checked.
        assert_eq!(run(&end_point, &exporter(1)).0, Err(Failure::Malformed));
        assert_eq!(run(&none, &exporter(1)).0, Err(Failure::Malformed));
        assert_eq!(run(&both, &none).1, Err(Error::NoBinding));
    }
}

#[test]
fn nobody_takes_plus_away_unseen() {
    use Mechanism::{ScramSha256, ScramSha256Plus};
    let (none, channel) = (
        ChannelBindings::none(),
        ChannelBindings::none().with_tls_exporter(&[1; 32]),
    );
    let plain: &[Mechanism] = &[ScramSha256];
    let run = |server, client| bound(ScramSha256, server, client);
    let user = (Ok(Identity::new("user", None)), Ok(()));
    // The server offers it, somebody removed it from the list: the client says `y`.
    let robbed = run((&channel, SCRAM), (&channel, plain)).0;
    assert_eq!(robbed, Err(Failure::ChannelBinding));
    // The server does not offer it, or cannot; the client cannot; the client was told to do without.
    assert_eq!(run((&channel, plain), (&channel, plain)), user);
    assert_eq!(run((&none, SCRAM), (&channel, plain)), user);
    assert_eq!(run((&channel, SCRAM), (&none, SCRAM)), user);
    assert_eq!(run((&channel, SCRAM), (&channel, SCRAM)), user);

    let flag = |mechanism, header: &str| {
        let mut server = Server::new(mechanism, &NONCE).bound_to(&channel, SCRAM);
        match server.step(Some(format!("{header},n=user,r=abc").as_bytes())) {
            ServerStep::Ask(_) => Ok(()),
            ServerStep::Failed(failure) => Err(failure),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(flag(ScramSha256Plus, "p=tls-exporter,"), Ok(()));
    assert_eq!(flag(ScramSha256Plus, "n,"), Err(Failure::Malformed));
    assert_eq!(flag(ScramSha256Plus, "y,"), Err(Failure::Malformed));
    assert_eq!(flag(ScramSha256Plus, "p=tls-unique,"), Err(Failure::Malformed));
    assert_eq!(flag(ScramSha256, "p=tls-exporter,"), Err(Failure::Malformed));
    assert_eq!(flag(ScramSha256, "y,"), Err(Failure::ChannelBinding));
    assert_eq!(flag(ScramSha256, "n,"), Ok(()));
}

#[test]
fn credentials_of_another_hash_let_nobody_in() {
    let mut server = Server::new(Mechanism::ScramSha1, &NONCE);
    let ServerStep::Ask(Question::Scram { hash, .. }) = server.step(Some(b"n,,n=user,r=abc")) else {
        panic!("no question")
    };
    assert_eq!(hash, ScramHash::Sha1);
    let answer = server.answer(Answer::Scram(stored(ScramHash::Sha256)));
    assert_eq!(answer, ServerStep::Failed(Failure::Unavailable));
    let text = stored(ScramHash::Sha1).to_string();
    assert!(text.starts_with("SCRAM-SHA-1$1:"), "{text}");
    assert_eq!(text.parse(), Ok(stored(ScramHash::Sha1)));
    assert!(
        text.replace("SHA-1", "SHA-256")
            .parse::<ScramCredentials>()
            .is_err()
    );
    // They check a password that is sent as well.
    let mut plain = Server::new(Mechanism::Plain, &NONCE);
    let _ = plain.step(Some(b"\0user\0pencil"));
    let answer = plain.answer(Answer::Scram(stored(ScramHash::Sha1)));
    assert_eq!(answer, done(Identity::new("user", None)));
}

/// RFC 7628 §4.1 and §4.3, and the example in Google's documentation of XOAUTH2.
#[test]
fn tokens_of_the_documents() {
    let bearer = b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
    let token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
    let question = |username: &str, token: &str| {
        ServerStep::Ask(Question::Token {
            username: username.into(),
            token: token.into(),
        })
    };
    assert_eq!(
        ask(Mechanism::OAuthBearer, bearer),
        question("user@example.com", token)
    );
    let credentials = Credentials::token("user@example.com", token).at_server("server.example.com", 143);
    let mut client = Client::new(Mechanism::OAuthBearer, credentials, &NONCE);
    assert_eq!(client.step(None), Ok(ClientStep::Respond(bearer.to_vec())));
    assert_eq!(client.finish(), Ok(()));

    let google = base64_decode(
        b"dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ==",
    )
    .unwrap();
    let token = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg";
    assert_eq!(
        ask(Mechanism::XOAuth2, &google),
        question("someuser@example.com", token)
    );
    let credentials = Credentials::token("someuser@example.com", token);
    let mut client = Client::new(Mechanism::XOAuth2, credentials, &NONCE);
    assert_eq!(client.step(None), Ok(ClientStep::Respond(google)));
}

#[test]
fn tokens_let_in_whom_the_embedder_names() {
    let run = |mechanism, username: &str, answer| {
        let credentials = Credentials::token(username, "t0ken");
        let mut client = Client::new(mechanism, credentials, &NONCE);
        let Ok(ClientStep::Respond(response)) = client.step(None) else {
            panic!("no response")
        };
        let mut server = Server::new(mechanism, &NONCE);
        let ServerStep::Ask(_) = server.step(Some(&response)) else {
            panic!("no question")
        };
        server.answer(answer)
    };
    let named = || Answer::AcceptAs("bob".into());
    for mechanism in [Mechanism::OAuthBearer, Mechanism::XOAuth2] {
        assert_eq!(
            run(mechanism, "b,=", Answer::Accept),
            done(Identity::new("b,=", None))
        );
        assert_eq!(run(mechanism, "b", named()), done(Identity::new("bob", None)));
        let unfit = run(mechanism, "b", Answer::Scram(stored(ScramHash::Sha256)));
        assert_eq!(unfit, ServerStep::Failed(Failure::Unavailable));
    }
    assert_eq!(
        run(Mechanism::OAuthBearer, "", named()),
        done(Identity::new("bob", None))
    );
    let nobody = run(Mechanism::OAuthBearer, "", Answer::Accept);
    assert_eq!(nobody, ServerStep::Failed(Failure::Unavailable));
}

#[test]
fn refused_tokens_say_why_and_end() {
    for (mechanism, dummy) in [(Mechanism::OAuthBearer, &b"\x01"[..]), (Mechanism::XOAuth2, b"")] {
        for (answer, failure) in [
            (Answer::Deny, Failure::Denied),
            (Answer::Unavailable, Failure::Unavailable),
        ] {
            let mut client = Client::new(mechanism, Credentials::token("bob", "old"), &NONCE);
            let Ok(ClientStep::Respond(response)) = client.step(None) else {
                panic!("no response")
            };
            let mut server = Server::new(mechanism, &NONCE);
            let _ = server.step(Some(&response));
            let ServerStep::Challenge(why) = server.answer(answer) else {
                panic!("no reason")
            };
            assert!(why.starts_with(b"{\"status\":\""));
            assert_eq!(client.step(Some(&why)), Ok(ClientStep::Respond(dummy.to_vec())));
            assert_eq!(client.refusal(), Some(&why[..]));
            // Whatever the server says then, this was no success.
            assert_eq!(client.finish(), Err(Error::Refused));
            assert_eq!(client.step(Some(b"")), Err(Error::Refused));
            assert_eq!(server.step(Some(dummy)), ServerStep::Failed(failure));
            assert_eq!(server.step(Some(b"")), ServerStep::Failed(Failure::Malformed));
        }
    }
}

#[test]
fn malformed_tokens_are_refused() {
    for bearer in [
        "",
        "n,,",
        "n,,\x01\x01",
        "n,,\x01auth=Bearer t\x01",
        "n,,\x01auth=Basic dDp0\x01\x01",
        "n,,\x01auth=Bearer \x01\x01",
        "n,,\x01auth=Bearer t t\x01\x01",
        "n,,\x01auth=Bearer t\x01auth=Bearer u\x01\x01",
        "n,,\x01host\x01auth=Bearer t\x01\x01",
        "n,,\x011=2\x01auth=Bearer t\x01\x01",
        "n,b=x,\x01auth=Bearer t\x01\x01",
        "n,a=,\x01auth=Bearer t\x01\x01",
        "n,a=a,b,\x01auth=Bearer t\x01\x01",
        "n,a=a=,\x01auth=Bearer t\x01\x01",
        "p=tls-exporter,,\x01auth=Bearer t\x01\x01",
        "user=u\x01auth=Bearer t\x01\x01",
    ] {
        let step = ask(Mechanism::OAuthBearer, bearer.as_bytes());
        assert_eq!(step, ServerStep::Failed(Failure::Malformed), "{bearer:?}");
    }
    for xoauth in [
        "",
        "user=\x01auth=Bearer t\x01\x01",
        "user=u\x01\x01",
        "user=u\x01auth=Bearer t\x01",
        "auth=Bearer t\x01user=u\x01\x01",
        "n,,\x01auth=Bearer t\x01\x01",
    ] {
        let step = ask(Mechanism::XOAuth2, xoauth.as_bytes());
        assert_eq!(step, ServerStep::Failed(Failure::Malformed), "{xoauth:?}");
    }
    let sends = |mechanism, credentials| Client::new(mechanism, credentials, &NONCE).step(None).map(|_| ());
    for credentials in [
        Credentials::token("bob", ""),
        Credentials::token("bob", "a b"),
        Credentials::token("bob", "a\x01b"),
        Credentials::token("b\x01b", "t"),
        Credentials::token("bob", "t").at_server("a\x01b", 1),
        Credentials::token("bob", "t").acting_as("tom"),
        Credentials::new("bob", "t"),
    ] {
        assert_eq!(
            sends(Mechanism::OAuthBearer, credentials),
            Err(Error::Credentials)
        );
    }
    let nameless = sends(Mechanism::XOAuth2, Credentials::token("", "t"));
    assert_eq!(nameless, Err(Error::Credentials));
    let password = sends(Mechanism::Plain, Credentials::token("bob", "t"));
    assert_eq!(password, Err(Error::Credentials));
}

#[test]
fn external_asks_what_is_known() {
    let run = |credentials, answer| {
        let mut client = Client::new(Mechanism::External, credentials, &NONCE);
        let Ok(ClientStep::Respond(response)) = client.step(Some(b"")) else {
            panic!("no response")
        };
        assert_eq!(client.finish(), Ok(()));
        let mut server = Server::new(Mechanism::External, &NONCE);
        assert_eq!(server.step(None), ServerStep::Challenge(vec![]));
        let ServerStep::Ask(Question::External { .. }) = server.step(Some(&response)) else {
            panic!("no question")
        };
        server.answer(answer)
    };
    let cert = || Answer::AcceptAs("bob".into());
    let bob = |authzid: Option<&str>| done(Identity::new("bob", authzid.map(str::to_owned)));
    assert_eq!(run(Credentials::external(), cert()), bob(None));
    assert_eq!(
        run(Credentials::external().acting_as("tom"), cert()),
        bob(Some("tom"))
    );
    let tom = done(Identity::new("tom", Some("tom".into())));
    assert_eq!(run(Credentials::external().acting_as("tom"), Answer::Accept), tom);
    // Nobody in particular is nobody.
    let nobody = run(Credentials::external(), Answer::Accept);
    assert_eq!(nobody, ServerStep::Failed(Failure::Unavailable));
    let empty = run(Credentials::external(), Answer::AcceptAs(String::new()));
    assert_eq!(empty, ServerStep::Failed(Failure::Unavailable));
    assert_eq!(
        run(Credentials::external(), Answer::Deny),
        ServerStep::Failed(Failure::Denied)
    );
    for malformed in [&b"a\0b"[..], b"\xff", b"a\nb"] {
        let step = ask(Mechanism::External, malformed);
        assert_eq!(step, ServerStep::Failed(Failure::Malformed));
    }
}

#[test]
fn anonymous_leaves_a_trace() {
    let mut server = Server::new(Mechanism::Anonymous, &NONCE);
    let mut client = Client::new(Mechanism::Anonymous, Credentials::anonymous("sirhc"), &NONCE);
    // RFC 4505 §4.
    assert_eq!(client.step(None), Ok(ClientStep::Respond(b"sirhc".to_vec())));
    let step = server.step(Some(b"sirhc"));
    let question = Question::Anonymous {
        trace: "sirhc".into(),
    };
    assert_eq!(step, ServerStep::Ask(question));
    assert_eq!(
        server.answer(Answer::Accept),
        done(Identity::new("anonymous", None))
    );
    assert!(matches!(ask(Mechanism::Anonymous, b""), ServerStep::Ask(_)));
    let long = "ü".repeat(255);
    assert!(matches!(
        ask(Mechanism::Anonymous, long.as_bytes()),
        ServerStep::Ask(_)
    ));
    let longer = "ü".repeat(256);
    for malformed in [longer.as_bytes(), b"a\nb", b"\x1b[2J", b"\xff"] {
        let step = ask(Mechanism::Anonymous, malformed);
        assert_eq!(step, ServerStep::Failed(Failure::Malformed));
    }
    let mut client = Client::new(Mechanism::Anonymous, Credentials::anonymous(longer), &NONCE);
    assert_eq!(client.step(None), Err(Error::Credentials));
}

/// The skeleton of a certificate: what `tls-server-end-point` looks at.
fn certificate(algorithm: &[u8]) -> Vec<u8> {
    let sequence = |content: &[u8]| {
        let length = u16::try_from(content.len()).expect("it is short").to_be_bytes();
        [&[0x30, 0x82, length[0], length[1]], content].concat()
    };
    sequence(&[sequence(&[5; 200]), sequence(algorithm), vec![3, 2, 0, 1]].concat())
}

#[test]
fn certificates_are_hashed_as_they_are_signed() {
    let rsa = |n: u8| vec![6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, n, 5, 0];
    let length = |algorithm: &[u8]| tls_server_end_point(&certificate(algorithm)).map(|hash| hash.len());
    // MD5 and SHA-1 give way to SHA-256 (RFC 5929 §4.1).
    for (n, octets) in [(4, 32), (5, 32), (11, 32), (12, 48), (13, 64)] {
        assert_eq!(length(&rsa(n)), Some(octets));
    }
    let pss = |parameters: &[u8]| [&rsa(10)[..11], parameters].concat();
    let sha512 = [
        0x30, 15, 0xa0, 13, 0x30, 11, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3,
    ];
    assert_eq!(length(&pss(&sha512)), Some(64));
    assert_eq!(length(&pss(&[0x30, 0])), Some(32));
    let ecdsa = |n: u8| [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, n];
    assert_eq!(length(&ecdsa(2)), Some(32));
    assert_eq!(length(&ecdsa(3)), Some(48));
    // Ed25519 signs without a hash function of its own.
    assert_eq!(length(&[6, 3, 0x2b, 0x65, 0x70]), None);
    // SHA-256 of the whole certificate, from another implementation.
    let whole = certificate(&rsa(11));
    assert_eq!(
        base64_encode(&tls_server_end_point(&whole).unwrap()),
        "BpWM0yFKQc/vRhuuiBzAcjh9Zwt/b8i1ylp8K+SU9XE="
    );
    for end in 0..whole.len() {
        let _ = tls_server_end_point(&whole[..end]);
    }
    assert_eq!(tls_server_end_point(b""), None);
}

fn bytes_changed(mut message: Vec<u8>, at: usize, how: u8) -> Vec<u8> {
    let n = message.len().max(1);
    match how {
        0 => message.truncate(at % n),
        1 if !message.is_empty() => message[at % n] ^= 1 << (at % 7),
        2 => message.insert(at % n, b','),
        3 if !message.is_empty() => drop(message.remove(at % n)),
        _ => message.extend_from_slice(b",x=y"),
    }
    message
}

proptest! {
    /// Somebody in the middle changes one message: nobody gets in, or both ends notice nothing because
    /// nothing was changed.
    #[test]
    fn changed_messages_are_noticed(which in 0..4usize, nth in 0..4usize, at in 0..200usize, how in 0..5u8) {
        let mechanism = SCRAM[which];
        let channel = ChannelBindings::none().with_tls_exporter(&[1; 32]);
        let server = Server::new(mechanism, &NONCE).bound_to(&channel, SCRAM);
        let client = Client::new(mechanism, Credentials::new("user", "pencil"), b"the nonce of the client")
            .iteration_limits(1..=1)
            .bound_to(&channel, SCRAM);
        let (mut count, mut same) = (0, true);
        let (server, client) = scram(server, client, |message| {
            count += 1;
            match count == nth + 1 {
                true => {
                    let changed = bytes_changed(message.clone(), at, how);
                    same = changed == message;
                    changed
                }
                false => message,
            }
        });
        let both_in = server.is_ok() && client.is_ok();
        // An extension behind the server's signature is allowed, and changes nothing.
        prop_assert!(!both_in || same || (nth == 3 && how == 4), "{server:?} {client:?}");
    }

    #[test]
    fn wrong_passwords_and_channels_fail(
        which in 0..4usize,
        password in "[ -~]{1,12}",
        theirs in any::<[u8; 4]>(),
        ours in any::<[u8; 4]>(),
    ) {
        let mechanism = SCRAM[which];
        let server = Server::new(mechanism, &NONCE)
            .bound_to(&ChannelBindings::none().with_tls_exporter(&ours), SCRAM);
        let client = Client::new(mechanism, Credentials::new("user", password.as_str()), &NONCE)
            .iteration_limits(1..=1)
            .bound_to(&ChannelBindings::none().with_tls_exporter(&theirs), SCRAM);
        let right = password == "pencil" && (ours == theirs || !mechanism.is_plus());
        let (server, client) = scram(server, client, |message| message);
        prop_assert_eq!(server.is_ok() && client.is_ok(), right);
    }

    #[test]
    fn garbage_gets_nobody_in_by_any_mechanism(
        which in 0..Mechanism::ALL.len(),
        responses in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                "(n|y|p=tls-exporter),(a=x)?,(n=[a-z=,]{0,4},r=[a-z,]{0,4}|\x01auth=Bearer [a-z]{1,4}\x01\x01)"
                    .prop_map(String::into_bytes),
                "c=biws,r=[ -~]{0,80},p=[A-Za-z0-9+/]{43}=".prop_map(String::into_bytes),
            ],
            1..5,
        ),
    ) {
        let mechanism = Mechanism::ALL[which];
        let channel = ChannelBindings::none().with_tls_exporter(&[1; 32]);
        let mut server = Server::new(mechanism, &NONCE).bound_to(&channel, Mechanism::ALL);
        for credentials in [
            Credentials::new("bob", "x"),
            Credentials::token("bob", "x"),
            Credentials::external(),
            Credentials::anonymous("bob"),
        ] {
            let mut client = Client::new(mechanism, credentials, &NONCE).iteration_limits(1..=1);
            for response in &responses {
                let _ = client.step(Some(response));
            }
        }
        for response in responses {
            let mut step = server.step(Some(&response));
            if let ServerStep::Ask(question) = step {
                // What fits no question of this mechanism.
                step = server.answer(match question {
                    Question::Scram { .. } => Answer::Accept,
                    _ => Answer::Deny,
                });
            }
            let is_in = matches!(step, ServerStep::Done { .. });
            prop_assert!(!is_in);
        }
    }
}
