//! The HTTP client against servers that do what a test wants.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)]

use mailwright_dns::{Config as DnsConfig, FailureKind, Name, Record};
use mailwright_server::dns::Dns;
use mailwright_server::http::{Client, HttpError, Limits, Request, Response};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Answers every connection with these octets, in pieces, and gives back what was asked last.
async fn server(pieces: Vec<Vec<u8>>, tls: Option<TlsAcceptor>) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        match tls {
            Some(tls) => match tls.accept(tcp).await {
                Ok(stream) => answer(stream, pieces).await,
                Err(error) => error.to_string(),
            },
            None => answer(tcp, pieces).await,
        }
    });
    (address, task)
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, pieces: Vec<Vec<u8>>) -> String {
    let mut asked = Vec::new();
    while !asked.windows(4).any(|four| four == b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0);
    }
    for piece in pieces {
        // The client may have had enough.
        if stream.write_all(&piece).await.is_err() {
            break;
        }
        stream.flush().await.unwrap_or_default();
    }
    let _ = stream.shutdown().await;
    String::from_utf8(asked).unwrap()
}

fn client(authorities: Option<CertificateDer<'static>>) -> Client {
    let mut dns = DnsConfig::default();
    dns.add_record(Name::parse("web.test").unwrap(), Record::A(Ipv4Addr::LOCALHOST));
    let mut roots = rustls::RootCertStore::empty();
    if let Some(certificate) = authorities {
        roots.add(certificate).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::new(Dns::start(dns), Arc::new(tls))
}

fn limits() -> Limits {
    Limits::new(Duration::from_secs(5), 1000)
}

async fn get(response: &str) -> Result<Response, HttpError> {
    let (address, _task) = server(vec![response.as_bytes().to_vec()], None).await;
    let request = Request::get(&format!("http://web.test:{}/a?b=c", address.port())).unwrap();
    client(None).send(request, limits()).await
}

#[tokio::test]
async fn a_get_and_what_comes_back() {
    let response = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
    let (address, task) = server(vec![response.as_bytes().to_vec()], None).await;
    let request = Request::get(&format!("http://web.test:{}/a?b=c", address.port())).unwrap();
    let request = request.with_header("Accept", "text/plain").unwrap();
    let response = client(None).send(request, limits()).await.unwrap();
    assert_eq!(
        (response.status, response.content_type.as_deref()),
        (200, Some("text/plain"))
    );
    assert_eq!(&response.body[..], b"hello");
    let asked = task.await.unwrap();
    assert!(asked.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{asked}");
    for line in [
        format!("host: web.test:{}", address.port()),
        "accept: text/plain".into(),
        "connection: close".into(),
    ] {
        assert!(asked.to_lowercase().contains(&line), "{line} in {asked}");
    }
}

#[tokio::test]
async fn a_post_carries_its_body() {
    let (address, task) = server(vec![b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()], None).await;
    let request = Request::post(&format!("http://127.0.0.1:{}/", address.port()), "four").unwrap();
    let response = client(None).send(request, limits()).await.unwrap();
    assert_eq!((response.status, response.body.len()), (204, 0));
    let asked = task.await.unwrap().to_lowercase();
    assert!(
        asked.starts_with("post / http/1.1\r\n") && asked.contains("content-length: 4\r\n"),
        "{asked}"
    );
}

#[tokio::test]
async fn redirects_are_answers_and_not_followed() {
    let response = get("HTTP/1.1 302 Found\r\nLocation: http://web.test/\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(response.unwrap().status, 302);
}

#[tokio::test]
async fn bodies_in_pieces_and_to_the_end() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    assert_eq!(&get(chunked).await.unwrap().body[..], b"abcde");
    assert_eq!(
        &get("HTTP/1.1 200 OK\r\n\r\nto the end").await.unwrap().body[..],
        b"to the end"
    );
    assert_eq!(&get("HTTP/1.0 200 OK\r\n\r\nold").await.unwrap().body[..], b"old");
}

#[tokio::test]
async fn what_is_too_large_is_not_read() {
    let body = "x".repeat(1001);
    for head in ["Content-Length: 1001\r\n", ""] {
        let error = get(&format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}"))
            .await
            .unwrap_err();
        assert!(matches!(error, HttpError::TooLarge), "{error}");
    }
    assert_eq!(
        get(&format!("HTTP/1.1 200 OK\r\n\r\n{}", &body[1..]))
            .await
            .unwrap()
            .body
            .len(),
        1000
    );
    for head in ["X: y\r\n".repeat(65), format!("X: {}\r\n", "y".repeat(20_000))] {
        let error = get(&format!("HTTP/1.1 200 OK\r\n{head}\r\n")).await.unwrap_err();
        assert!(matches!(error, HttpError::Protocol(_)), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_http_or_broken_off_is_an_error() {
    for response in [
        "",
        "220 mail.test ESMTP\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
    ] {
        let error = get(response).await.unwrap_err();
        assert!(matches!(error, HttpError::Protocol(_)), "{response}: {error}");
    }
}

#[tokio::test]
async fn whoever_takes_too_long_is_left() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://web.test:{}/", listener.local_addr().unwrap().port());
    let limits = Limits::new(Duration::from_millis(200), 1000);
    let error = client(None)
        .send(Request::get(&url).unwrap(), limits)
        .await
        .unwrap_err();
    assert!(matches!(error, HttpError::Timeout), "{error}");
}

#[tokio::test]
async fn hosts_that_cannot_be_found_or_reached() {
    let send = async |url: &str| {
        client(None)
            .send(Request::get(url).unwrap(), limits())
            .await
            .unwrap_err()
    };
    // Nothing listens there.
    let error = send("http://127.0.0.1:1/").await;
    assert!(matches!(error, HttpError::Connect(_)), "{error}");
    match send("http://elsewhere.test/").await {
        HttpError::Lookup(failure) => assert_eq!(failure.kind, FailureKind::NoServers),
        error => panic!("{error}"),
    }
}

#[test]
fn urls_are_those_of_the_web() {
    for url in [
        "ftp://web.test/",
        "web.test",
        "/path",
        "http://",
        "https://user@web.test/",
        "mailto:a@b.test",
        "http://web test/",
    ] {
        assert!(matches!(Request::get(url), Err(HttpError::Url)), "{url}");
    }
    let request = Request::get("https://web.test").unwrap();
    assert!(matches!(
        request.with_header("X", "a\r\nY: b"),
        Err(HttpError::Header)
    ));
}

#[tokio::test]
async fn certificates_are_verified_for_the_name() {
    let authority = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = params.self_signed(&authority).unwrap();
    let issuer = rcgen::Issuer::from_params(&params, &authority);
    let acceptor = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    };
    for (name, trusted, works) in [
        ("web.test", true, true),
        ("other.test", true, false),
        ("web.test", false, false),
    ] {
        let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
        let (address, _task) = server(vec![response], Some(acceptor(name))).await;
        let request = Request::get(&format!("https://web.test:{}/", address.port())).unwrap();
        let client = client(trusted.then(|| root.der().clone()));
        match (client.send(request, limits()).await, works) {
            (Ok(response), true) => assert_eq!(&response.body[..], b"ok"),
            (Err(HttpError::Tls(_)), false) => {}
            (other, _) => panic!("{name} {trusted}: {other:?}"),
        }
    }
}
