//! CRAM-MD5 (RFC 2195), with the feature `cram-md5`.

use mailwright_sasl::{
    Answer, ChannelBindings, Client, ClientStep, Credentials, Error, Failure, Identity, Mechanism, Question,
    Secret, Server, ServerStep,
};

const NONCE: [u8; 16] = *b"0123456789abcdef";

fn client(password: &str) -> Client {
    Client::new(Mechanism::CramMd5, Credentials::new("tim", password), &NONCE)
}

fn response(client: &mut Client, challenge: &[u8]) -> Vec<u8> {
    assert_eq!(client.step(None), Ok(ClientStep::Wait));
    let Ok(ClientStep::Respond(response)) = client.step(Some(challenge)) else {
        panic!("no response")
    };
    assert_eq!(client.finish(), Ok(()));
    response
}

#[test]
fn the_example_of_rfc_2195() {
    let challenge = b"<1896.697170952@postoffice.reston.mci.net>";
    assert_eq!(
        response(&mut client("tanstaaftanstaaf"), challenge),
        b"tim b913a602c7eda7a495b4e6e7334d3890"
    );
}

#[test]
fn both_ends_agree_and_nobody_else_gets_in() {
    // Longer than a block of MD5, too.
    let long = "x".repeat(65);
    for password in ["s3cret", long.as_str()] {
        let run = |given: &str, answer: Answer| {
            let mut server = Server::new(Mechanism::CramMd5, &NONCE);
            let ServerStep::Challenge(challenge) = server.step(None) else {
                panic!("no challenge")
            };
            let step = server.step(Some(&response(&mut client(given), &challenge)));
            assert_eq!(
                step,
                ServerStep::Ask(Question::SharedSecret {
                    username: "tim".into()
                })
            );
            server.answer(answer)
        };
        let stored = || Answer::Password(Secret::from(password));
        let done = ServerStep::Done {
            identity: Identity::new("tim", None),
            final_data: None,
        };
        assert_eq!(run(password, stored()), done);
        assert_eq!(run("wrong", stored()), ServerStep::Failed(Failure::Denied));
        assert_eq!(run(password, Answer::Deny), ServerStep::Failed(Failure::Denied));
        for unfit in [
            Answer::Accept,
            Answer::AcceptAs("tim".into()),
            Answer::Unavailable,
        ] {
            assert_eq!(run(password, unfit), ServerStep::Failed(Failure::Unavailable));
        }
    }
    let challenge = |nonce: &[u8]| Server::new(Mechanism::CramMd5, nonce).step(None);
    assert_ne!(challenge(&NONCE), challenge(b"another nonce of the server"));
}

#[test]
fn malformed_responses_are_refused() {
    for malformed in [
        &b""[..],
        b"tim",
        b" b913a602c7eda7a495b4e6e7334d3890",
        b"tim B913A602C7EDA7A495B4E6E7334D3890",
        b"tim b913a602c7eda7a495b4e6e7334d389",
        b"tim b913a602c7eda7a495b4e6e7334d3890 ",
        b"t\0im b913a602c7eda7a495b4e6e7334d3890",
    ] {
        let mut server = Server::new(Mechanism::CramMd5, &NONCE);
        let _ = server.step(None);
        assert_eq!(
            server.step(Some(malformed)),
            ServerStep::Failed(Failure::Malformed)
        );
    }
    // The server speaks first: there is no initial response.
    let mut server = Server::new(Mechanism::CramMd5, &NONCE);
    let early = server.step(Some(b"tim b913a602c7eda7a495b4e6e7334d3890"));
    assert_eq!(early, ServerStep::Failed(Failure::Malformed));
    let acting = Credentials::new("tim", "x").acting_as("tom");
    let mut client = Client::new(Mechanism::CramMd5, acting, &NONCE);
    assert_eq!(client.step(None), Err(Error::Credentials));
}

#[test]
fn it_is_the_last_choice() {
    use Mechanism::{CramMd5, Plain};
    let choose = |offered: &[Mechanism], is_tls| {
        Client::choose(
            offered,
            &Credentials::new("tim", "x"),
            is_tls,
            &ChannelBindings::none(),
        )
    };
    assert_eq!(choose(&[CramMd5, Plain], true), Some(Plain));
    assert_eq!(choose(&[CramMd5, Plain], false), Some(CramMd5));
    assert!(CramMd5.is_weak() && !Mechanism::USUAL.contains(&CramMd5));
    assert_eq!(Mechanism::from_name("cram-md5"), Some(CramMd5));
}
