use super::*;
use crate::{Error, ScramHash, Secret};
use core::num::NonZeroU32;

/// The exchange of RFC 7677 §3, whose nonces are not base64 and so cannot be had through the public API.
const CLIENT_NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                            p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn stored() -> ScramCredentials {
    let salt = base64_decode(b"W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    ScramCredentials::derive(&Secret::from("pencil"), &salt, NonZeroU32::new(4096).unwrap())
}

fn first_sent(hash: ScramHash, authzid: Option<&str>, username: &str, nonce: &str) -> FirstSent {
    FirstSent::new(hash, ("n".into(), &[]), authzid, username, nonce.into())
}

/// RFC 5802 §5, both sides.
#[test]
fn rfc_5802() {
    const FIRST: &str = "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL";
    const CHALLENGE: &str = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
    const PROOF: &str = "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=";
    const SIGNATURE: &str = "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=";
    let (password, salt) = (
        Secret::from("pencil"),
        base64_decode(b"QSXCR+Q6sek8bf92").unwrap(),
    );
    let iterations = NonZeroU32::new(4096).unwrap();
    let stored = ScramCredentials::derive_with(ScramHash::Sha1, &password, &salt, iterations);
    let exchange = Exchange::new(
        ClientFirst::parse(FIRST.as_bytes()).unwrap(),
        stored,
        "3rfcNHYJY1ZVvWVs7j",
    );
    assert_eq!(exchange.server_first(), CHALLENGE);
    assert_eq!(
        exchange.verify(PROOF.as_bytes()),
        Verdict::Right(SIGNATURE.into())
    );

    let first = first_sent(ScramHash::Sha1, None, "user", "fyko+d2lbbFgONRv9qkxdawL");
    assert_eq!(first.message(), FIRST);
    let (sent, message) = first
        .respond(&password, CHALLENGE.as_bytes(), &(4096..=4096))
        .unwrap();
    assert_eq!(message, PROOF);
    assert_eq!(sent.verify(SIGNATURE.as_bytes()), Ok(()));
    // A signature of another hash function is none.
    assert_eq!(sent.verify(SERVER_FINAL.as_bytes()), Err(Error::Malformed));
}

#[test]
fn rfc_7677_server() {
    let first = ClientFirst::parse(CLIENT_FIRST.as_bytes()).unwrap();
    assert_eq!((first.username.as_str(), &first.authzid), ("user", &None));
    let exchange = Exchange::new(first, stored(), SERVER_NONCE);
    assert_eq!(exchange.server_first(), SERVER_FIRST);
    assert_eq!(
        exchange.verify(CLIENT_FINAL.as_bytes()),
        Verdict::Right(SERVER_FINAL.into())
    );
    let wrong = CLIENT_FINAL.replace("p=dH", "p=dI");
    assert_eq!(exchange.verify(wrong.as_bytes()), Verdict::WrongProof);
}

#[test]
fn rfc_7677_client() {
    let password = Secret::from("pencil");
    let first = first_sent(ScramHash::Sha256, None, "user", CLIENT_NONCE);
    assert_eq!(first.message(), CLIENT_FIRST);
    let (sent, message) = first
        .respond(&password, SERVER_FIRST.as_bytes(), &(4096..=4096))
        .unwrap();
    assert_eq!(message, CLIENT_FINAL);
    assert_eq!(sent.verify(SERVER_FINAL.as_bytes()), Ok(()));
    assert_eq!(
        sent.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="),
        Err(Error::Malformed)
    );
    assert_eq!(
        sent.verify(b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="),
        Err(Error::ServerSignature)
    );
    assert_eq!(sent.verify(b"e=invalid-proof"), Err(Error::Refused));
}

#[test]
fn malformed_messages_of_clients_are_refused() {
    for first in [
        "",
        "n",
        "n,,",
        "n,,n=user",
        "n,,n=,r=abc",
        "n,,n=user,r=",
        "n,,n=user,r=a b",
        "n,,n=us=er,r=abc",
        "n,,n=us=2c,r=abc",
        "n,,n=us=2Cer=3",
        "n,,r=abc,n=user",
        "n,,m=ext,n=user,r=abc",
        "n,b=x,n=user,r=abc",
        "n,a=,n=user,r=abc",
        "n,,n=user,r=abc,extension",
        "n,,n=us\0er,r=abc",
        "p,,n=user,r=abc",
        "p=,,n=user,r=abc",
        "p=tls exporter,,n=user,r=abc",
        "x,,n=user,r=abc",
    ] {
        assert!(ClientFirst::parse(first.as_bytes()).is_none(), "{first:?}");
    }
    assert!(ClientFirst::parse(b"n,,n=\xff,r=abc").is_none());
    let bound = ClientFirst::parse(b"p=tls-exporter,,n=user,r=abc").unwrap();
    assert_eq!(bound.flag, Flag::Bound("tls-exporter".into()));
    let odd = ClientFirst::parse(b"y,a=ad=3Dmin,n=a=2Cb,r=abc,x=ignored").unwrap();
    assert_eq!(
        (odd.username.as_str(), odd.authzid.as_deref()),
        ("a,b", Some("ad=min"))
    );

    let exchange = Exchange::new(
        ClientFirst::parse(CLIENT_FIRST.as_bytes()).unwrap(),
        stored(),
        SERVER_NONCE,
    );
    for (from, to) in [
        // A client that said `n` must not have been made to say `y`.
        ("c=biws", "c=eSws"),
        ("c=biws", "c=biwt"),
        ("k0,p", "k1,p"),
        ("r=rOpr", "r=sOpr"),
        (",p=", ",q="),
        ("VQ=", "VQ"),
        ("k0,p", "k0,junk,p"),
    ] {
        let message = CLIENT_FINAL.replacen(from, to, 1);
        assert_eq!(
            exchange.verify(message.as_bytes()),
            Verdict::Malformed,
            "{message}"
        );
    }
}

#[test]
fn malformed_messages_of_servers_are_refused() {
    let password = Secret::from("pencil");
    let first = first_sent(ScramHash::Sha256, None, "user", CLIENT_NONCE);
    let respond = |message: &str| {
        first
            .respond(&password, message.as_bytes(), &(4096..=10_000))
            .map(|_| ())
    };
    for (from, to, error) in [
        ("r=rO", "r=sO", Error::Nonce),
        ("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "", Error::Nonce),
        ("i=4096", "i=4095", Error::Iterations(4095)),
        ("i=4096", "i=10001", Error::Iterations(10_001)),
        ("i=4096", "i=4294967296", Error::Malformed),
        ("i=4096", "i=+4096", Error::Malformed),
        ("i=4096", "i=0", Error::Malformed),
        ("i=4096", "i=4096,junk", Error::Malformed),
        ("r=rO", "m=x,r=rO", Error::Malformed),
        ("s=W22ZaJ0SNY7soEsUEjb6gQ==", "s=", Error::Malformed),
        ("s=W22", "s=W-2", Error::Malformed),
    ] {
        let message = SERVER_FIRST.replacen(from, to, 1);
        assert_eq!(respond(&message), Err(error), "{message}");
    }
    assert_eq!(respond(&format!("{SERVER_FIRST},x=ignored")), Ok(()));
}

#[test]
fn names_with_commas_and_equals_signs_are_escaped() {
    let message = first_sent(ScramHash::Sha256, Some("=,"), "a,b=c", "abc").message();
    assert_eq!(message, "n,a==3D=2C,n=a=2Cb=3Dc,r=abc");
    let parsed = ClientFirst::parse(message.as_bytes()).unwrap();
    assert_eq!(
        (parsed.username.as_str(), parsed.authzid.as_deref()),
        ("a,b=c", Some("=,"))
    );
}
