//! HTTP from those who mean no good.

use crate::http::{PATIENCE, Rig, parse, raw};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn what_is_no_http_or_too_much_is_refused_and_harms_nobody() {
    let rig = Rig::start(|config| config.web.behind_tls = true).await;
    let address = rig.address("http");
    let field = format!("X: {}\r\n", "a".repeat(4000));
    for (what, request) in [
        (
            "a head without end",
            format!("GET / HTTP/1.1\r\n{}", field.repeat(20)),
        ),
        (
            "too many fields",
            format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(500)),
        ),
        (
            "a long line",
            format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000)),
        ),
        ("no HTTP", "\0\u{1}\u{2}EHLO me\r\n\r\n".to_owned()),
        (
            "two lengths",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned(),
        ),
        (
            "a length that is none",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n".to_owned(),
        ),
        (
            "a body too large",
            format!(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{}",
                "a".repeat(100_000)
            ),
        ),
        (
            "a chunked body too large",
            format!(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{}",
                format!("fff\r\n{}\r\n", "a".repeat(4095)).repeat(20)
            ),
        ),
        (
            "a path with control characters",
            "GET /\u{7f}\u{1} HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        ),
    ] {
        let said = raw(address, request.as_bytes()).await;
        // The reset of a connection whose octets nobody read may overtake the reply.
        assert!(
            said.is_empty() || (400..500).contains(&parse(&said).status),
            "{what}: {said}"
        );
    }
    for path in ["/../../etc/passwd", "/%2e%2e/", "//", "/metrics", "/healthz", "*"] {
        assert!(
            matches!(rig.get("a.test", path).await.status, 400 | 404),
            "{path}"
        );
    }
    let injected = rig
        .get("a.test", "/apple.mobileconfig?email=%3Cplist%3E%0d%0aX:1@a.test")
        .await;
    assert!(!injected.body.contains("<plist>\r"), "{injected:?}");
    assert_eq!(
        rig.get("mta-sts.a.test", "/.well-known/mta-sts.txt").await.status,
        200
    );
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go() {
    let rig = Rig::start(|_| {}).await;
    let mut silent = Vec::new();
    for begun in [
        "",
        "GET / HT",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab",
    ] {
        let mut stream = TcpStream::connect(rig.address("http")).await.expect("it listens");
        stream.write_all(begun.as_bytes()).await.expect("it reads");
        silent.push(stream);
    }
    // Others are served meanwhile.
    assert_eq!(rig.get("evil.test", "/nothing").await.status, 404);
    for mut stream in silent {
        let mut said = String::new();
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut said)).await;
        let _ = ended.expect("the server lost its patience first");
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 40"), "{said}");
    }
}
