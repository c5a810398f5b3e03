//! Filters, lists in the DNS, greylisting and rate limits, from outside.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)] // tests over real sockets

#[path = "support/dns.rs"]
mod dns;
#[allow(dead_code, unreachable_pub)] // these tests use a part of them
#[path = "support/lines.rs"]
mod lines;
#[allow(dead_code, unreachable_pub)]
#[path = "support/receiver.rs"]
mod receiver;
#[allow(dead_code, unreachable_pub)]
#[path = "support/unwell.rs"]
mod unwell;

use dns::{DnsServer, Zone};
use lines::Lines;
use mailwright_filter::dns_list::List;
use mailwright_filter::rate::Rate;
use mailwright_queue::Notify;
use mailwright_server::Config;
use mailwright_server::config::{
    FilterAddress, FilterConfig, FilterKind, FilteredMail, OnFilterError, OnHit,
};
use receiver::{Receiver, transfer};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use unwell::{Ill, Listening, packet, say};

const MESSAGE: &str = "From: carol@c.test\r\nX-Spam-Flag: NO\r\nSubject: hello\r\n\r\nHello\r\n";

fn spamd() -> FilterKind {
    FilterKind::Spamd {
        user: None,
        reject: Some(20.0),
    }
}

fn at(kind: FilterKind, address: SocketAddr) -> FilterConfig {
    let mut filter = FilterConfig::new(kind, FilterAddress::Tcp(address.to_string().parse().unwrap()));
    filter.mail = FilteredMail::All;
    filter
}

/// A server with these filters.
async fn site(filters: Vec<FilterConfig>) -> Receiver {
    Receiver::start(vec![], |config| config.filtering.filters = filters).await
}

/// A connection that says whom it speaks for.
async fn from(site: &Receiver, address: &str) -> Lines {
    let mut c = site.connect("smtp").await;
    c.say(&format!("XCLIENT ADDR={address}"), "220").await;
    c.say("EHLO client.example", "250").await;
    c
}

fn believes_xclient(config: &mut Config) {
    for listener in &mut config.listeners {
        listener.smtp.xclient = vec!["127.0.0.1".parse().unwrap()];
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_is_not_well_harms_nothing() {
    for kind in [FilterKind::Rspamd, FilterKind::Clamd, spamd(), FilterKind::Milter] {
        for ill in [Ill::Hangs, Ill::Dies, Ill::Babbles, Ill::Dribbles] {
            let filter = Listening::ill(ill).await;
            for (on_error, rcpt) in [
                (OnFilterError::Accept, "250"),
                (OnFilterError::Defer, "451 4.7.1"),
            ] {
                let mut config = at(kind.clone(), filter.address);
                config.on_error = on_error;
                config.timeout = Duration::from_millis(500);
                let site = site(vec![config]).await;
                let mut c = site.connect("smtp").await;
                c.say("MAIL FROM:<carol@c.test>", "250").await;
                // Milters hear of recipients; the others of the message alone.
                let early = if kind == FilterKind::Milter { rcpt } else { "250" };
                c.say("RCPT TO:<bob@b.test>", early).await;
                if early == "250" {
                    c.say("DATA", "354").await;
                    c.send_raw(MESSAGE.as_bytes()).await;
                    c.say(".", rcpt).await;
                }
                let taken = site.mail("bob@b.test", "INBOX").await;
                match on_error {
                    OnFilterError::Accept => assert!(taken[0].ends_with(MESSAGE), "{kind} {ill:?}"),
                    OnFilterError::Defer => assert!(taken.is_empty(), "{kind} {ill:?}"),
                }
                // The session goes on.
                c.say("RSET", "250").await;
            }
            assert!(filter.connections() >= 2, "{kind} {ill:?} was not asked");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_is_not_there_holds_mail_back_or_lets_it_pass() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let socket = FilterAddress::Unix(folder.path().join("nobody"));
    for address in [FilterAddress::Tcp(nobody.to_string().parse().unwrap()), socket] {
        let mut config = FilterConfig::new(FilterKind::Clamd, address);
        let deferring = site(vec![config.clone()]).await;
        deferring
            .send("carol@c.test", &["bob@b.test"], MESSAGE, "451 4.7.1")
            .await;
        config.on_error = OnFilterError::Accept;
        let accepting = site(vec![config]).await;
        accepting
            .send("carol@c.test", &["bob@b.test"], MESSAGE, "250")
            .await;
    }
}

/// A clamd that finds what holds the word "virus", and writes down what it was given.
async fn clamd(tcp: TcpStream, given: Arc<Mutex<Vec<Vec<u8>>>>) {
    let mut tcp = tcp;
    let mut command = [0; 10];
    tcp.read_exact(&mut command).await.unwrap();
    assert_eq!(&command, b"zINSTREAM\0");
    let mut message = Vec::new();
    loop {
        let len = tcp.read_u32().await.unwrap();
        if len == 0 {
            break;
        }
        let mut piece = vec![0; len as usize];
        tcp.read_exact(&mut piece).await.unwrap();
        message.extend_from_slice(&piece);
    }
    let text = String::from_utf8_lossy(&message).into_owned();
    given.lock().unwrap().push(message);
    let answer: &[u8] = match () {
        () if text.contains("virus") => b"stream: Test.Virus FOUND\0",
        () if text.contains("large") => b"INSTREAM size limit exceeded. ERROR\0",
        () => b"stream: OK\0",
    };
    tcp.write_all(answer).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn viruses_are_refused_or_put_aside() {
    let given = Arc::new(Mutex::new(Vec::new()));
    let seen = given.clone();
    let filter = Listening::start(move |tcp, _| clamd(tcp, seen.clone())).await;
    let mut config = at(FilterKind::Clamd, filter.address);
    config.max_size = 600_000;
    let refusing = site(vec![config.clone()]).await;
    let bob = ["bob@b.test"];
    let sick = "Subject: x\r\n\r\na virus\r\n";
    refusing
        .send(
            "carol@c.test",
            &bob,
            sick,
            "554 5.7.1 The message holds a virus: Test.Virus",
        )
        .await;
    refusing
        .send("carol@c.test", &bob, "Subject: x\r\n\r\nlarge\r\n", "451 4.7.1")
        .await;
    refusing.send("carol@c.test", &bob, MESSAGE, "250").await;
    // More than is held in memory goes out whole.
    let long = format!(
        "Subject: long\r\n\r\n{}",
        "0123456789abcdef0123456789abcdef\r\n".repeat(15_000)
    );
    refusing.send("carol@c.test", &bob, &long, "250").await;
    assert_eq!(given.lock().unwrap().last().unwrap(), long.as_bytes());
    // What is above the limit passes unasked.
    let asked = filter.connections();
    let longer = format!(
        "Subject: virus\r\n\r\n{}",
        "0123456789abcdef0123456789abcdef\r\n".repeat(18_000)
    );
    refusing.send("carol@c.test", &bob, &longer, "250").await;
    assert_eq!(filter.connections(), asked);
    let mut c = refusing.submit_as("bob@b.test").await;
    transfer(&mut c, "bob@b.test", &["alice@b.test"], sick, "554 5.7.1").await;

    config.on_hit = OnHit::Junk;
    let quarantining = site(vec![config]).await;
    quarantining.send("carol@c.test", &bob, sick, "250").await;
    assert!(quarantining.mail("bob@b.test", "INBOX").await.is_empty());
    let junk = quarantining.mail("bob@b.test", "Junk").await;
    assert!(junk[0].contains("X-Virus-Found: Test.Virus\r\n"), "{}", junk[0]);
}

/// A spamd that counts the word "spam".
async fn spamd_talk(mut tcp: TcpStream) {
    let mut request = Vec::new();
    let mut room = [0; 4096];
    // The message ends where its last line does.
    while !request.ends_with(b"Hello\r\n") {
        let n = tcp.read(&mut room).await.unwrap();
        assert_ne!(n, 0, "{}", request.escape_ascii());
        request.extend_from_slice(&room[..n]);
    }
    let text = String::from_utf8(request).unwrap();
    assert!(
        text.starts_with("SYMBOLS SPAMC/1.5\r\nContent-length: "),
        "{text}"
    );
    assert!(
        text.contains("\r\n\r\nX-Envelope-From: <carol@c.test>\r\nReceived: from client.example"),
        "{text}"
    );
    let count = text.matches("spam").count() * 10;
    let verdict = if count >= 5 { "True" } else { "False" };
    let answer = format!(
        "SPAMD/1.1 0 EX_OK\r\nContent-length: 14\r\nSpam: {verdict} ; {count}.5 / 5.0\r\n\r\nRULE_A,RULE_B\n"
    );
    tcp.write_all(answer.as_bytes()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn spam_is_marked_and_put_into_junk_or_refused() {
    let filter = Listening::start(|tcp, _| spamd_talk(tcp)).await;
    let mut config = FilterConfig::new(
        spamd(),
        FilterAddress::Tcp(filter.address.to_string().parse().unwrap()),
    );
    let site_of_junk = site(vec![config.clone()]).await;
    let bob = ["bob@b.test"];
    site_of_junk.send("carol@c.test", &bob, MESSAGE, "250").await;
    let inbox = site_of_junk.mail("bob@b.test", "INBOX").await;
    let status = "X-Spam-Status: No, score=0.50 required=5.00 tests=RULE_A,RULE_B\r\n";
    assert!(inbox[0].contains(status), "{}", inbox[0]);
    assert!(
        !inbox[0].contains("X-Spam-Flag"),
        "what it came with is not to be believed: {}",
        inbox[0]
    );
    let spam = MESSAGE.replace("hello", "spam");
    site_of_junk.send("carol@c.test", &bob, &spam, "250").await;
    let junk = site_of_junk.mail("bob@b.test", "Junk").await;
    assert!(
        junk[0].contains("X-Spam-Flag: YES\r\n") && junk[0].contains("X-Spam-Score: 10.50\r\n"),
        "{}",
        junk[0]
    );
    let worse = MESSAGE.replace("hello", "spam spam");
    site_of_junk.send("carol@c.test", &bob, &worse, "554 5.7.1").await;
    // It is asked about strangers alone.
    let asked = filter.connections();
    let mut c = site_of_junk.submit_as("bob@b.test").await;
    transfer(&mut c, "bob@b.test", &["alice@b.test"], &spam, "250").await;
    assert_eq!(filter.connections(), asked);
    for (on_hit, want, folder) in [
        (OnHit::Mark, "250", Some("INBOX")),
        (OnHit::Discard, "250", None),
        (OnHit::Reject, "554 5.7.1", None),
    ] {
        config.on_hit = on_hit;
        let site = site(vec![config.clone()]).await;
        site.send("carol@c.test", &bob, &spam, want).await;
        for name in ["INBOX", "Junk"] {
            let count = usize::from(folder == Some(name));
            assert_eq!(
                site.mail("bob@b.test", name).await.len(),
                count,
                "{on_hit:?} {name}"
            );
        }
    }
}

/// Answers a request to rspamd with this JSON.
async fn rspamd(mut tcp: TcpStream, answer: String, asked: Arc<Mutex<String>>) {
    let mut request = Vec::new();
    let mut room = [0; 4096];
    while !request.ends_with(b"Hello\r\n") {
        let n = tcp.read(&mut room).await.unwrap();
        assert_ne!(n, 0);
        request.extend_from_slice(&room[..n]);
    }
    *asked.lock().unwrap() = String::from_utf8(request).unwrap();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
    let response = format!("{head}Content-Length: {}\r\n\r\n{answer}", answer.len());
    tcp.write_all(response.as_bytes()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rspamd_has_its_will() {
    let asked = Arc::new(Mutex::new(String::new()));
    let answer = Arc::new(Mutex::new(String::new()));
    let (to_ask, to_say) = (asked.clone(), answer.clone());
    let filter = Listening::start(move |tcp, _| {
        let answer = to_say.lock().unwrap().clone();
        rspamd(tcp, answer, to_ask.clone())
    })
    .await;
    let site = site(vec![at(FilterKind::Rspamd, filter.address)]).await;
    let bob = ["bob@b.test"];
    let says = |json: &str| *answer.lock().unwrap() = json.to_owned();
    says(r#"{"action": "reject", "score": 20, "required_score": 15}"#);
    site.send(
        "carol@c.test",
        &bob,
        MESSAGE,
        "554 5.7.1 The message looks like spam",
    )
    .await;
    let request = asked.lock().unwrap().to_lowercase();
    for part in [
        "post /checkv2 http/1.1\r\n",
        "\r\nip: 127.0.0.1\r\n",
        "\r\nhelo: client.example\r\n",
        "\r\nfrom: carol@c.test\r\n",
        "\r\nrcpt: bob@b.test\r\n",
        "\r\nmta-name: mail.b.test\r\n",
        "\r\n\r\nfrom: carol@c.test\r\n",
    ] {
        assert!(request.contains(part), "{part}: {request}");
    }
    says(r#"{"action": "soft reject", "messages": {"smtp_message": "Come back"}}"#);
    site.send("carol@c.test", &bob, MESSAGE, "451 4.7.1 Come back")
        .await;
    says(r#"{"action": "reject", "milter": {"reject": "discard"}}"#);
    site.send("carol@c.test", &bob, MESSAGE, "250").await;
    says("no JSON");
    site.send("carol@c.test", &bob, MESSAGE, "451 4.7.1").await;
    assert!(site.mail("bob@b.test", "INBOX").await.is_empty());
    says(
        r#"{"action": "no action", "score": 1.5, "required_score": 15, "symbols": {"RULE_A": {"score": 1.5}},
            "milter": {"add_headers": {"X-Top": {"value": "1", "order": 0}, "X-End": "2"}, "remove_headers": {"From": -1}},
            "dkim-signature": "v=1; b=abc"}"#,
    );
    site.send("carol@c.test", &bob, MESSAGE, "250").await;
    let taken = site.mail("bob@b.test", "INBOX").await.remove(0);
    assert!(
        taken.contains("\r\nDKIM-Signature: v=1; b=abc\r\nX-Top: 1\r\nX-Spam-Score: 1.50\r\n"),
        "{taken}"
    );
    assert!(taken.contains("tests=RULE_A(1.50)\r\n"), "{taken}");
    assert!(
        taken.ends_with("\r\nSubject: hello\r\nX-End: 2\r\n\r\nHello\r\n"),
        "{taken}"
    );
    says(r#"{"action": "rewrite subject", "score": 9, "required_score": 15, "subject": "[SPAM] hello"}"#);
    site.send("carol@c.test", &bob, MESSAGE, "250").await;
    let junk = site.mail("bob@b.test", "Junk").await.remove(0);
    assert!(
        junk.ends_with("\r\nSubject: [SPAM] hello\r\n\r\nHello\r\n"),
        "{junk}"
    );
    assert!(junk.contains("X-Spam: Yes\r\nX-Spam-Flag: YES\r\n"), "{junk}");
}

/// A milter that wants everything, refuses nobody@, and changes all that there is to change.
async fn milter(mut tcp: TcpStream, heard: Arc<Mutex<Vec<String>>>) {
    while let Some((letter, data)) = packet(&mut tcp).await {
        let text = String::from_utf8_lossy(&data).replace('\0', " ");
        heard
            .lock()
            .unwrap()
            .push(format!("{} {text}", char::from(letter)));
        match letter {
            b'O' => say(&mut tcp, b'O', b"\0\0\0\x06\0\0\0\x33\0\0\0\0").await,
            b'D' => {}
            b'Q' => return,
            b'R' if text.contains("nobody") => say(&mut tcp, b'y', b"550 5.1.1 Who is that?\0").await,
            b'L' if text.starts_with("Subject refuse") => say(&mut tcp, b'r', b"").await,
            b'L' if text.starts_with("Subject discard") => say(&mut tcp, b'd', b"").await,
            b'L' if text.starts_with("Subject later") => say(&mut tcp, b't', b"").await,
            b'L' if text.starts_with("Subject fine") => say(&mut tcp, b'a', b"").await,
            b'E' => {
                say(&mut tcp, b'p', b"").await;
                say(&mut tcp, b'h', b"X-End\0folded\n value\0").await;
                say(&mut tcp, b'i', b"\0\0\0\0X-Top\0one\0").await;
                say(&mut tcp, b'm', b"\0\0\0\x01Subject\0changed\0").await;
                say(&mut tcp, b'm', b"\0\0\0\x01X-Spam-Flag\0\0").await;
                say(&mut tcp, b'b', b"Another\nbody\r\n").await;
                if heard.lock().unwrap().iter().any(|it| it == "L Subject odd ") {
                    say(&mut tcp, b'q', b"looks odd\0").await;
                }
                say(&mut tcp, b'c', b"").await;
            }
            _ => say(&mut tcp, b'c', b"").await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn milters_hear_and_change_everything() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ears = heard.clone();
    let filter = Listening::start(move |tcp, _| milter(tcp, ears.clone())).await;
    let site = site(vec![at(FilterKind::Milter, filter.address)]).await;
    let mut c = site.connect("smtp").await;
    c.say("MAIL FROM:<carol@c.test>", "250").await;
    c.say("RCPT TO:<bob@b.test>", "250").await;
    c.say("DATA", "354").await;
    c.send_raw(MESSAGE.as_bytes()).await;
    c.say(".", "250").await;
    let taken = site.mail("bob@b.test", "INBOX").await.remove(0);
    assert!(
        taken.contains("\r\nX-Top: one\r\nReceived: from client.example"),
        "{taken}"
    );
    let end =
        "\r\nFrom: carol@c.test\r\nSubject: changed\r\nX-End: folded\r\n value\r\n\r\nAnother\r\nbody\r\n";
    assert!(taken.ends_with(end), "{taken}");
    let bob = ["bob@b.test"];
    let with = |subject: &str| MESSAGE.replace("hello", subject);
    transfer(&mut c, "carol@c.test", &bob, &with("refuse"), "550 5.7.1").await;
    transfer(&mut c, "carol@c.test", &bob, &with("later"), "451 4.7.1").await;
    transfer(&mut c, "carol@c.test", &bob, &with("discard"), "250").await;
    assert_eq!(site.mail("bob@b.test", "INBOX").await.len(), 1);
    transfer(&mut c, "carol@c.test", &bob, &with("fine"), "250").await;
    assert!(site.mail("bob@b.test", "INBOX").await[1].ends_with(&with("fine")));
    transfer(&mut c, "carol@c.test", &bob, &with("odd"), "250").await;
    assert_eq!(site.mail("bob@b.test", "Junk").await.len(), 1);
    let heard = heard.lock().unwrap().clone();
    let says = |what: &str| assert!(heard.iter().any(|it| it.starts_with(what)), "{what}: {heard:#?}");
    says("C [127.0.0.1] 4");
    says("H client.example ");
    says("M <carol@c.test> ");
    says("D M{mail_addr} carol@c.test i ");
    says("R <bob@b.test> ");
    says("L Subject hello ");
    says("B Hello\r\n");
    says("Q ");
    assert!(!heard.iter().any(|it| it.starts_with("L Received")), "{heard:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn milters_hear_parameters_and_change_envelopes() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ears = heard.clone();
    let filter = Listening::start(move |mut tcp, _| {
        let ears = ears.clone();
        async move {
            while let Some((letter, data)) = packet(&mut tcp).await {
                let text = String::from_utf8_lossy(&data).replace('\0', "|");
                ears.lock()
                    .unwrap()
                    .push(format!("{} {text}", char::from(letter)));
                match letter {
                    b'O' => say(&mut tcp, b'O', b"\0\0\0\x06\0\0\0\xcc\0\0\0\0").await,
                    b'D' => {}
                    b'Q' => return,
                    b'E' => {
                        say(&mut tcp, b'e', b"<list@b.test>\0RET=HDRS\0").await;
                        say(&mut tcp, b'-', b"<bob@b.test>\0").await;
                        say(&mut tcp, b'+', b"alice@b.test\0").await;
                        say(&mut tcp, b'2', b"<erin@e.test>\0NOTIFY=NEVER\0").await;
                        say(&mut tcp, b'c', b"").await;
                    }
                    _ => say(&mut tcp, b'c', b"").await,
                }
            }
        }
    })
    .await;
    let site = site(vec![at(FilterKind::Milter, filter.address)]).await;
    let mut c = site.connect("smtp").await;
    c.say(
        "MAIL FROM:<carol@c.test> SIZE=100 BODY=8BITMIME ENVID=x+20y",
        "250",
    )
    .await;
    c.say("RCPT TO:<bob@b.test> NOTIFY=FAILURE,DELAY", "250").await;
    c.say("DATA", "354").await;
    c.send_raw(MESSAGE.as_bytes()).await;
    c.say(".", "250").await;
    let heard = heard.lock().unwrap().clone();
    let says = |what: &str| assert!(heard.iter().any(|it| it == what), "{what}: {heard:#?}");
    says("M <carol@c.test>|SIZE=100|BODY=8BITMIME|ENVID=x+20y|");
    says("R <bob@b.test>|NOTIFY=FAILURE,DELAY|");
    assert!(site.mail("bob@b.test", "INBOX").await.is_empty());
    let taken = site.mail("alice@b.test", "INBOX").await.remove(0);
    assert!(taken.starts_with("Return-Path: <list@b.test>\r\n"), "{taken}");
    let [(record, _)] = &site.spool().await[..] else {
        panic!("it is not on its way")
    };
    assert_eq!(record.recipients.len(), 1);
    assert_eq!(record.recipients[0].address.to_string(), "erin@e.test");
    assert_eq!(record.recipients[0].notify, Some(Notify::default()), "never");
}

#[tokio::test(flavor = "multi_thread")]
async fn milters_refuse_recipients_one_by_one() {
    let filter = Listening::start(|mut tcp, _| async move {
        while let Some((letter, data)) = packet(&mut tcp).await {
            match letter {
                b'O' => say(&mut tcp, b'O', b"\0\0\0\x06\0\0\0\0\0\0\0\0").await,
                b'D' => {}
                b'Q' => return,
                b'R' if data.starts_with(b"<alice") => say(&mut tcp, b'y', b"550 5.1.1 Not her\0").await,
                _ => say(&mut tcp, b'c', b"").await,
            }
        }
    })
    .await;
    let site = site(vec![at(FilterKind::Milter, filter.address)]).await;
    let mut c = site.connect("smtp").await;
    for _ in 0..3 {
        c.say("MAIL FROM:<carol@c.test>", "250").await;
        c.say("RCPT TO:<alice@b.test>", "550 5.1.1 Not her").await;
        c.say("RCPT TO:<bob@b.test>", "250").await;
        c.say("DATA", "354").await;
        c.send_raw(MESSAGE.as_bytes()).await;
        c.say(".", "250").await;
    }
    assert_eq!(site.mail("bob@b.test", "INBOX").await.len(), 3);
    assert!(site.mail("alice@b.test", "INBOX").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_are_asked_in_their_order() {
    let given = Arc::new(Mutex::new(Vec::new()));
    let seen = given.clone();
    let first = Listening::start(|tcp, _| spamd_talk(tcp)).await;
    let second = Listening::start(move |tcp, _| clamd(tcp, seen.clone())).await;
    let site = site(vec![
        at(spamd(), first.address),
        at(FilterKind::Clamd, second.address),
    ])
    .await;
    site.send(
        "carol@c.test",
        &["bob@b.test"],
        &MESSAGE.replace("hello", "spam"),
        "250",
    )
    .await;
    assert_eq!(site.mail("bob@b.test", "Junk").await.len(), 1);
    // Refused by the first, the second is not asked.
    let asked = second.connections();
    site.send(
        "carol@c.test",
        &["bob@b.test"],
        &MESSAGE.replace("hello", "spam spam"),
        "554",
    )
    .await;
    assert_eq!(second.connections(), asked);
    assert!(asked > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_on_lists_are_refused_marked_or_spoken_for() {
    let dns = DnsServer::start(
        Zone::new()
            .a("1.2.0.192.bl.test", "127.0.0.2")
            .a("2.2.0.192.bl.test", "127.0.0.9")
            .a("3.2.0.192.some.test", "127.0.0.4")
            .a("4.2.0.192.bl.test", "127.0.0.2")
            .a("4.2.0.192.wl.test", "127.0.2.3")
            .a(
                "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.test",
                "127.0.0.3",
            )
            .a("5.2.0.192.made.test", "203.0.113.9")
            .servfail("6.2.0.192.bl.test"),
    );
    let site = Receiver::start(vec![], |config| {
        believes_xclient(config);
        config.outbound.resolver = Some(dns.address());
        let lists = &mut config.filtering.dns_lists;
        lists.lists = vec![
            List::new("bl.test", 5.0).with_codes(vec!["127.0.0.2-3".parse().unwrap()]),
            List::new("some.test", 2.5),
            List::new("made.test", 9.0),
            List::new("wl.test", -4.0),
        ];
    })
    .await;
    for (address, want) in [
        (
            "192.0.2.1",
            "550 5.7.1 Client host [192.0.2.1] is listed by bl.test",
        ),
        (
            "IPV6:2001:db8::1",
            "550 5.7.1 Client host [2001:db8::1] is listed by bl.test",
        ),
        ("192.0.2.2", "250"),
        ("192.0.2.3", "250"),
        ("192.0.2.4", "250"),
        ("192.0.2.5", "250"),
        ("192.0.2.6", "250"),
    ] {
        let mut c = from(&site, address).await;
        c.say("MAIL FROM:<carol@c.test>", "250").await;
        c.say("RCPT TO:<bob@b.test>", want).await;
        c.say("RCPT TO:<postmaster@b.test>", "250").await;
        c.say("RSET", "250").await;
        if want == "250" {
            transfer(&mut c, "carol@c.test", &["bob@b.test"], MESSAGE, "250").await;
        }
    }
    let junk = site.mail("bob@b.test", "Junk").await;
    assert_eq!(junk.len(), 1, "{junk:#?}");
    assert!(
        junk[0].contains("X-DNS-Lists: 2.50 (some.test)\r\n"),
        "{}",
        junk[0]
    );
    assert_eq!(site.mail("bob@b.test", "INBOX").await.len(), 4);
    assert_eq!(dns.asked("A 1.2.0.192.bl.test"), 1, "the resolver remembers");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_come_back_and_are_known_after_a_restart() {
    let dns = DnsServer::start(Zone::new().a("7.2.0.192.wl.test", "127.0.2.3"));
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_owned();
    let resolver = dns.address();
    let start = async || {
        Receiver::start(vec![], |config| {
            believes_xclient(config);
            config.data = data.clone();
            config.outbound.resolver = Some(resolver);
            config.filtering.greylist.enabled = true;
            config.filtering.greylist.table.wait = Duration::from_secs(1);
            config.filtering.dns_lists.lists = vec![List::new("wl.test", -1.0)];
        })
        .await
    };
    let site = start().await;
    let mut c = from(&site, "192.0.2.77").await;
    c.say("MAIL FROM:<carol@c.test>", "250").await;
    c.say(
        "RCPT TO:<bob@b.test>",
        "450 4.7.1 Greylisted, try again in 1 seconds",
    )
    .await;
    // An allow list speaks for this one, and who logged in is no stranger.
    let mut friend = from(&site, "192.0.2.7").await;
    transfer(&mut friend, "carol@c.test", &["bob@b.test"], MESSAGE, "250").await;
    let mut own = site.submit_as("bob@b.test").await;
    transfer(&mut own, "bob@b.test", &["alice@b.test"], MESSAGE, "250").await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    site.running.shutdown().await;
    let site = start().await;
    // Another host of the same network, as large senders have them.
    let mut c = from(&site, "192.0.2.78").await;
    transfer(&mut c, "carol@c.test", &["bob@b.test"], MESSAGE, "250").await;
    c.say("MAIL FROM:<dave@c.test>", "250").await;
    c.say("RCPT TO:<bob@b.test>", "450 4.7.1").await;
    site.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_at_once_has_to_wait() {
    let hour = Duration::from_secs(3600);
    let site = Receiver::start(vec![], |config| {
        believes_xclient(config);
        let rates = &mut config.filtering.rates;
        rates.connections_per_address = Some(Rate::new(4, hour));
        rates.messages_per_address = Some(Rate::new(2, hour));
        rates.messages_per_network = Some(Rate::new(5, hour));
        rates.messages_per_sender = Some(Rate::new(3, hour));
        rates.recipients_per_account = Some(Rate::new(2, hour));
    })
    .await;
    let mut c = from(&site, "192.0.2.1").await;
    for n in 0..2 {
        c.say(&format!("MAIL FROM:<{n}@c.test>"), "250").await;
        c.say("RSET", "250").await;
    }
    c.say(
        "MAIL FROM:<2@c.test>",
        "450 4.7.1 Too many messages from your address, try again in ",
    )
    .await;
    // Another address of the network goes on, until the network has had enough.
    let mut c = from(&site, "192.0.2.2").await;
    for n in 3..5 {
        c.say(&format!("MAIL FROM:<{n}@c.test>"), "250").await;
        c.say("RSET", "250").await;
    }
    let mut c = from(&site, "192.0.2.3").await;
    c.say("MAIL FROM:<5@c.test>", "250").await;
    c.say("RSET", "250").await;
    c.say(
        "MAIL FROM:<6@c.test>",
        "450 4.7.1 Too many messages from your network",
    )
    .await;
    for n in 1..=3 {
        let mut c = from(&site, &format!("198.51.{n}.1")).await;
        c.say("MAIL FROM:<Loud@c.test>", "250").await;
    }
    let mut c = from(&site, "198.51.4.1").await;
    c.say(
        "MAIL FROM:<loud@c.test>",
        "450 4.7.1 Too many messages of this sender",
    )
    .await;
    for _ in 0..3 {
        from(&site, "192.0.2.1").await;
    }
    let mut c = site.connect("smtp").await;
    c.say(
        "XCLIENT ADDR=192.0.2.1",
        "421 Too many connections from your address",
    )
    .await;
    // An account, from wherever it comes.
    let mut c = site.submit_as("bob@b.test").await;
    c.say("MAIL FROM:<bob@b.test>", "250").await;
    c.say("RCPT TO:<alice@b.test>", "250").await;
    c.say("RCPT TO:<bob@b.test>", "250").await;
    c.say(
        "RCPT TO:<postmaster@b.test>",
        "450 4.7.1 Too many recipients of this account",
    )
    .await;
}
