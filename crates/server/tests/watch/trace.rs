//! What the server remembers of a message, and `mailwright trace`.

use crate::http::{PATIENCE, Rig};
use crate::support::lines::Lines;
use mailwright_filter::rate::Rate;
use mailwright_server::config::{Endpoint, EndpointHost, ListenerConfig, PlaintextLogin, Protocol, TlsMode};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const MARKER: &str = "the body that nobody may remember";

/// What `mailwright trace` says: its messages, each as its name and its events.
fn trace(folder: &Path, what: &str) -> Vec<(String, Vec<Value>)> {
    let output = Command::new(env!("CARGO_BIN_EXE_mailwright"))
        .args(["trace", what, "--json", "--data"])
        .arg(folder)
        .output()
        .expect("it runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let stories = text.lines().map(|line| {
        let story: Value = serde_json::from_str(line).expect("JSON");
        let events = story["events"].as_array().expect("a list").clone();
        (story["id"].as_str().expect("a name").to_owned(), events)
    });
    stories.collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| event["event"].as_str())
        .collect()
}

/// Two servers: the first one sends mail for c.test to the second one, where only Carol is.
async fn pair() -> (Rig, Rig) {
    let far = Rig::start(|config| {
        config.domains = vec!["c.test".parse().expect("a name")];
        config.accounts[0].name = "carol@c.test".parse().expect("an address");
    })
    .await;
    let smtp = far.address("smtp");
    let near = Rig::start(|config| {
        config.plaintext_login = PlaintextLogin::Loopback;
        config.outbound.enabled = true;
        let there = Endpoint::new(EndpointHost::Address(smtp.ip()), smtp.port());
        let domain = "c.test".parse().expect("a name");
        config.outbound.routes.insert(domain, there.into());
    })
    .await;
    (near, far)
}

#[tokio::test]
async fn a_message_is_followed_to_its_delivery_and_its_bounce() {
    let (near, far) = pair().await;
    let mut alice = Lines::connect(near.address("submission")).await;
    alice.reply("220").await;
    alice.say("EHLO laptop.a.test", "250").await;
    alice.auth_plain("alice@a.test", "wonder land", "235").await;
    alice.say("MAIL FROM:<alice@a.test>", "250").await;
    for to in ["alice@a.test", "carol@c.test", "nobody@c.test"] {
        alice.say(&format!("RCPT TO:<{to}>"), "250").await;
    }
    alice.say("DATA", "354").await;
    let message = format!("Message-ID: <way@a.test>\r\nSubject: x\r\n\r\n{MARKER}\r\n.");
    alice.say(&message, "250").await;
    let began = Instant::now();
    let folder = near.folder.path();
    // The events of the notice come last.
    let stories = loop {
        let stories = trace(folder, "<way@a.test>");
        if stories.len() == 2 && kinds(&stories[0].1).contains(&"done") {
            break stories;
        }
        assert!(began.elapsed() < PATIENCE, "{stories:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let (id, events) = &stories[0];
    assert_eq!(
        kinds(events),
        ["came", "taken", "tried", "told", "done"],
        "{events:#?}"
    );
    let came = &events[0];
    assert_eq!(
        (&came["from"], &came["account"]),
        (&"alice@a.test".into(), &"alice@a.test".into())
    );
    assert_eq!(
        (&came["message_id"], &came["protocol"]),
        (&"way@a.test".into(), &"submission".into())
    );
    assert!(
        came["connection"].as_str().is_some_and(|name| name.len() == 12),
        "{came}"
    );
    assert_eq!(events[1]["inbox"], serde_json::json!(["alice@a.test"]));
    assert_eq!(
        events[1]["queued"],
        serde_json::json!(["carol@c.test", "nobody@c.test"])
    );
    let fates: Vec<_> = events[2]["recipients"]
        .as_array()
        .expect("a list")
        .iter()
        .collect();
    assert_eq!(
        (&fates[0]["fate"], &fates[1]["fate"]),
        (&"delivered".into(), &"failed".into())
    );
    assert!(
        fates[1]["why"].as_str().is_some_and(|why| why.contains("550")),
        "{}",
        fates[1]
    );
    let (notice, about) = &stories[1];
    assert_eq!(
        (&events[3]["notice"], &about[0]["of"]),
        (&notice.as_str().into(), &id.as_str().into())
    );
    assert_eq!(about[0]["inbox"], serde_json::json!(["alice@a.test"]));
    // By every name that an operator may have it is the same message.
    for what in [
        id.as_str(),
        "way@a.test",
        "nobody@c.test",
        "carol@c.test",
        notice.as_str(),
    ] {
        assert_eq!(trace(folder, what), stories, "{what}");
    }
    assert_eq!(trace(folder, "eve@c.test"), []);
    // The other server knows it under a name of its own, and whom it refused.
    let there = trace(far.folder.path(), "nobody@c.test");
    assert!(
        there
            .iter()
            .any(|(_, events)| kinds(events).contains(&"recipient-refused")),
        "{there:#?}"
    );
    let told = Command::new(env!("CARGO_BIN_EXE_mailwright"))
        .args(["trace", "way@a.test", "--data"])
        .arg(folder)
        .output()
        .expect("it runs");
    let told = String::from_utf8(told.stdout).expect("UTF-8");
    for words in [
        "came by submission",
        "delivered",
        "failed (",
        "is told by the notice",
        "done: it has left the queue",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    drop(alice);
    let Rig { running, folder } = near;
    running.shutdown().await;
    assert_eq!(trace(folder.path(), "way@a.test"), stories, "no server is needed");
    for entry in std::fs::read_dir(folder.path().join("trace")).expect("the journal") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("UTF-8");
        assert!(!text.contains(MARKER) && !text.contains("Subject"), "{text}");
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&path).expect("it is there").permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }
}

/// Waits until so many messages and connections are known of something.
async fn known(rig: &Rig, what: &str, number: usize) -> Vec<(String, Vec<Value>)> {
    let began = Instant::now();
    loop {
        let stories = trace(rig.folder.path(), what);
        if stories.len() >= number {
            return stories;
        }
        assert!(began.elapsed() < PATIENCE, "{what}: {stories:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn whoever_is_refused_before_there_is_a_message_is_known() {
    let rig = Rig::start(|config| {
        config.plaintext_login = PlaintextLogin::Loopback;
        let mut proxied = ListenerConfig::new(Protocol::Smtp, ([127, 0, 0, 1], 0).into())
            .with_tls(TlsMode::None)
            .with_name("proxied");
        proxied.smtp.proxy = true;
        config.listeners.push(proxied);
        // Who speaks at once is too early, whenever that is.
        config.listeners[0].smtp.greeting_delay = Duration::from_secs(30);
        config.filtering.rates.connections_per_address = Some(Rate::new(1, Duration::from_secs(86_400)));
    })
    .await;
    let mut alice = Lines::connect(rig.address("submission")).await;
    alice.reply("220").await;
    alice.say("EHLO laptop.a.test", "250").await;
    alice.auth_plain("alice@a.test", "wonder land", "235").await;
    alice.say("MAIL FROM:<mallory@c.test>", "550").await;
    for who in ["mallory@c.test", "alice@a.test"] {
        let stories = known(&rig, who, 1).await;
        let (connection, events) = &stories[0];
        assert_eq!(kinds(events), ["sender-refused"], "{stories:#?}");
        assert_eq!(connection.len(), 12, "it has the name of the connection");
        assert_eq!(
            (&events[0]["account"], &events[0]["from"]),
            (&"alice@a.test".into(), &"mallory@c.test".into())
        );
        let reply = events[0]["reply"].as_str().unwrap_or_default();
        assert!(reply.contains("does not belong to this account"), "{reply}");
    }
    let mut hasty = Lines::connect(rig.address("smtp")).await;
    hasty.send_raw(b"EHLO hasty.example\r\n").await;
    hasty.reply("554").await;
    let mut first = Lines::connect(rig.address("proxied")).await;
    first.send_raw(b"PROXY TCP4 192.0.2.7 127.0.0.1 999 25\r\n").await;
    first.reply("220").await;
    let mut second = Lines::connect(rig.address("proxied")).await;
    second
        .send_raw(b"PROXY TCP4 192.0.2.7 127.0.0.1 998 25\r\n")
        .await;
    second.reply("421").await;
    let stories = known(&rig, "192.0.2.7", 1).await;
    assert_eq!(kinds(&stories[0].1), ["turned-away"], "{stories:#?}");
    let reply = stories[0].1[0]["reply"].as_str().unwrap_or_default();
    assert!(
        reply.starts_with("421 ") && reply.contains("Too many connections"),
        "{reply}"
    );
    let of_this_machine = known(&rig, "127.0.0.1", 2).await;
    let mut all: Vec<_> = of_this_machine
        .iter()
        .flat_map(|(_, events)| kinds(events))
        .collect();
    all.sort_unstable();
    assert_eq!(all, ["sender-refused", "turned-away"], "{of_this_machine:#?}");
    let numbers = crate::exposition::Exposition::parse(&rig.metrics().await);
    for reason in ["refused", "throttled"] {
        let series = format!("mailwright_connections_refused_total{{protocol=\"smtp\",reason=\"{reason}\"}}");
        assert!(
            (numbers.of(&series) - 1.0).abs() < 0.5,
            "{series}: {}",
            numbers.of(&series)
        );
    }
    let told = Command::new(env!("CARGO_BIN_EXE_mailwright"))
        .args(["trace", "mallory@c.test", "--data"])
        .arg(rig.folder.path())
        .output()
        .expect("it runs");
    let told = String::from_utf8(told.stdout).expect("UTF-8");
    assert!(
        told.contains("127.0.0.1 by submission as alice@a.test was refused mail from mallory@c.test: 550"),
        "{told}"
    );
}
