//! The ways of mail: connections used again, routes of their own, LMTP, and the wishes of senders on their way.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests over real sockets and real time

#[path = "support/rig.rs"]
#[allow(dead_code, unreachable_pub)]
mod rig;
#[path = "support/sink.rs"]
#[allow(dead_code, unreachable_pub)]
mod sink;

use mailwright_message::dsn::Action;
use mailwright_queue::{ByMode, DeliverBy, Notify, Timestamp};
use mailwright_server::config::{
    DestinationLimits, Endpoint, EndpointHost, FixedRoute, Protocol, SmartHost, SmartHostTls, Way,
};
use mailwright_smtp::Protocol as Spoken;
use rig::*;
use sink::{Asked, Script, Sink};
use std::time::{Duration, Instant};

fn endpoint(sink: &Sink) -> Endpoint {
    Endpoint::new(EndpointHost::Address(sink.address.ip()), sink.address.port())
}

fn soon() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::default() + since.expect("after 1970")
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_one_after_another_share_a_connection() {
    let sink = Sink::start(Script::takes_all()).await;
    let rig = Rig::routed(&[("b.test", sink.address), ("c.test", sink.address)]).await;
    for n in 1..=10 {
        // Other domains at the same host share it as well.
        let to = if n % 2 == 0 { "bob@b.test" } else { "carol@c.test" };
        rig.send(Some("alice@a.test"), &[to]).await;
        sink.messages(n).await;
        rig.until_empty().await;
    }
    assert_eq!(sink.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_kept_no_longer_than_is_set() {
    let sink = Sink::start(Script::takes_all()).await;
    let rig = Rig::start(|config| {
        add_routes(config, &[("b.test", sink.address)]);
        config.queue.keep_connections = Duration::ZERO;
    })
    .await;
    for n in 1..=3 {
        rig.send(Some("alice@a.test"), &["bob@b.test"]).await;
        sink.messages(n).await;
        rig.until_empty().await;
    }
    assert_eq!(sink.connections(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_closed_while_it_waited_is_no_failure() {
    // It closes after each message: at once, or when the next one is on its way already.
    let mut script = Script::takes_all();
    script.tires_after = 1;
    let sink = Sink::start(script).await;
    let rig = Rig::start(|config| {
        add_routes(config, &[("b.test", sink.address)]);
        config.queue.retry = vec![Duration::from_secs(3600)];
    })
    .await;
    for n in 1..=20 {
        rig.send(Some("alice@a.test"), &["bob@b.test"]).await;
        sink.messages(n).await;
        if n % 2 == 0 {
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    }
    // With an hour between two tries, none of them failed once.
    rig.until_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_sets_source_and_name() {
    let (plain, partner) = (
        Sink::start(Script::takes_all()).await,
        Sink::start(Script::takes_all()).await,
    );
    let rig = Rig::start(|config| {
        let mut way = Way::default();
        way.source = vec!["127.0.0.9".parse().expect("an address")];
        way.ehlo = Some(domain("out.a.test"));
        let route = FixedRoute::new(endpoint(&partner), way);
        config.outbound.routes.insert(domain("partner.test"), route);
        let smart_host = SmartHost::new(endpoint(&plain), SmartHostTls::None);
        config.outbound.smart_host = Some(smart_host);
    })
    .await;
    rig.send(Some("alice@a.test"), &["bob@PARTNER.test", "carol@c.test"])
        .await;
    let (taken, other) = (partner.messages(1).await, plain.messages(1).await);
    assert_eq!(
        (&*taken[0].hello, taken[0].from.to_string()),
        ("out.a.test", "127.0.0.9".into())
    );
    assert_eq!(
        (&*other[0].hello, other[0].from.to_string()),
        ("mail.a.test", "127.0.0.1".into())
    );
    rig.until_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lmtp_is_a_destination_with_an_answer_for_each_recipient() {
    let mut script = Script::new(|asked| match asked {
        Asked::Rcpt("<nobody@b.test>") => Err(mailwright_smtp::Rejection::NO_SUCH_USER),
        _ => Ok(()),
    });
    script.protocol = Spoken::Lmtp;
    script.extend = |extensions| extensions.dsn = false;
    let sink = Sink::start(script).await;
    let rig = Rig::start(|config| {
        let mut way = Way::default();
        way.protocol = Protocol::Lmtp;
        let route = FixedRoute::new(endpoint(&sink), way);
        config.outbound.routes.insert(domain("b.test"), route);
    })
    .await;
    let mut record = rig.record(
        Some("alice@a.test"),
        &["bob@b.test", "nobody@b.test", "carol@b.test"],
    );
    record.recipients[0].notify = Some(Notify {
        success: true,
        failure: true,
        delay: false,
    });
    rig.put(record, MESSAGE).await;
    let taken = sink.messages(1).await;
    assert_eq!(taken[0].recipients, ["<bob@b.test>", "<carol@b.test>"]);
    rig.until_empty().await;
    let (report, _) = rig.notice().await;
    let actions: Vec<_> = report
        .recipients
        .iter()
        .map(|r| (&*r.final_recipient.value, r.action))
        .collect();
    // Whoever speaks LMTP is the last: it was delivered, and not only relayed.
    assert_eq!(
        actions,
        [
            ("bob@b.test", Action::Delivered),
            ("nobody@b.test", Action::Failed)
        ]
    );
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_program_at_a_unix_socket_is_a_destination() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lmtp");
    let rig = Rig::start(|config| {
        let mut way = Way::default();
        way.protocol = Protocol::Lmtp;
        let route = FixedRoute::to_socket(&path, way);
        config.outbound.routes.insert(domain("b.test"), route);
    })
    .await;
    // The program comes later than the mail.
    rig.send(Some("alice@a.test"), &["bob@b.test"]).await;
    let text = rig.first_failure().await;
    let via = format!("b.test via {}: 1 deferred: 4.4.1", path.display());
    assert!(text.starts_with(&via), "{text}");
    let mut script = Script::takes_all();
    script.protocol = Spoken::Lmtp;
    let sink = Sink::start_at_socket(&path, script);
    rig.send(Some("alice@a.test"), &["carol@b.test"]).await;
    let taken = sink.messages(2).await;
    let mut to: Vec<_> = taken.iter().map(|taken| taken.recipients.concat()).collect();
    to.sort();
    assert_eq!(to, ["<bob@b.test>", "<carol@b.test>"]);
    rig.until_empty().await;
    assert!(rig.inbox().await.is_empty());
}

#[tokio::test]
async fn aliases_change_while_the_server_runs() {
    use mailwright_server::delivery::Destination;

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("aliases.toml");
    let rig = Rig::start(|config| {
        config.aliases_file = Some(file.clone());
        config
            .aliases
            .insert("sales".into(), vec![address("alice@a.test")]);
        config
            .aliases
            .insert("info".into(), vec![address("alice@a.test")]);
    })
    .await;
    let shared = rig.running.shared().clone();
    let leads_to = |name: &str| match shared.destination(&address(name)) {
        Destination::Here(targets) => targets.elsewhere.iter().map(ToString::to_string).collect(),
        other => vec![format!("{other:?}")],
    };
    let until = async |name: &str, want: &[&str]| {
        let started = Instant::now();
        while leads_to(name) != want {
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "{:?}",
                leads_to(name)
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until("sales@a.test", &[]).await;
    std::fs::write(
        &file,
        "sales = \"bob@b.test\"\n\"far@a.test\" = [\"carol@c.test\"]\n",
    )
    .expect("writable");
    until("sales@a.test", &["bob@b.test"]).await;
    assert_eq!(leads_to("far@a.test"), ["carol@c.test"]);
    assert_eq!(
        leads_to("info@a.test"),
        Vec::<String>::new(),
        "of the configuration"
    );
    // A mistake changes nothing.
    std::fs::write(&file, "sales = \"bob\"\n").expect("writable");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(leads_to("sales@a.test"), ["bob@b.test"]);
    std::fs::write(&file, "\"sales\" = \"dave@d.test\"\n").expect("writable");
    until("sales@a.test", &["dave@d.test"]).await;
    assert_eq!(leads_to("far@a.test"), ["Nobody"]);
    // Nor does its absence, which may be that of a disk.
    std::fs::remove_file(&file).expect("it is there");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(leads_to("sales@a.test"), ["dave@d.test"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_to_arrive_by_travels_on_or_is_answered() {
    let mut script = Script::takes_all();
    script.extend = |extensions| {
        extensions.deliver_by = true;
        extensions.mt_priority = true;
    };
    let (knows, plain) = (Sink::start(script).await, Sink::start(Script::takes_all()).await);
    let rig = Rig::routed(&[("b.test", knows.address), ("c.test", plain.address)]).await;
    let timed = |to: &str, mode| {
        let mut record = rig.record(Some("alice@a.test"), &[to]);
        record.priority = 3;
        record.deliver_by = Some(DeliverBy {
            by: soon() + Duration::from_secs(600),
            mode,
            trace: false,
        });
        record
    };
    rig.put(timed("bob@b.test", ByMode::Return), MESSAGE).await;
    let mail = knows.messages(1).await.remove(0).mail;
    assert!(mail.contains(" BY=600;R") || mail.contains(" BY=599;R"), "{mail}");
    assert!(mail.contains(" MT-PRIORITY=3"), "{mail}");
    rig.until_empty().await;
    assert!(rig.inbox().await.is_empty());
    // A server that does not know it gets no message that is to be returned in time (RFC 2852 §4.1.4.1) ...
    rig.put(timed("carol@c.test", ByMode::Return), MESSAGE).await;
    rig.until_empty().await;
    let (report, text) = rig.notice().await;
    assert_eq!(
        (
            report.recipients[0].action,
            report.recipients[0].status.to_string()
        ),
        (Action::Failed, "5.4.7".into())
    );
    assert!(text.contains("\r\nDeliver-By-Date: "), "{text}");
    assert_eq!(plain.taken().len(), 0);
    // ... and of the others the sender is told that they went there (§4.1.4.2).
    rig.put(timed("carol@c.test", ByMode::Notify), MESSAGE).await;
    let mail = plain.messages(1).await.remove(0).mail;
    assert!(!mail.contains("BY=") && !mail.contains("MT-PRIORITY"), "{mail}");
    rig.until_empty().await;
    let inbox = rig.inbox().await;
    let told = String::from_utf8(inbox[1].clone()).expect("ASCII");
    assert!(told.contains("\r\nAction: relayed\r\n"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_keeps_to_its_own_limits() {
    let sink = Sink::start(Script::takes_all()).await;
    let rig = Rig::start(|config| {
        add_routes(config, &[("b.test", sink.address)]);
        let limits = DestinationLimits::new(Some(1), Some(240));
        config.queue.destinations.insert(domain("B.test"), limits);
    })
    .await;
    let started = Instant::now();
    for _ in 0..5 {
        rig.send(Some("alice@a.test"), &["bob@b.test"]).await;
    }
    sink.messages(5).await;
    // 240 a minute are four a second.
    assert!(
        started.elapsed() >= Duration::from_millis(990),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(sink.connections(), 1);
}
