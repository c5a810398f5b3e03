//! The resolver over real sockets, against the DNS server of the tests.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "support/dns.rs"]
mod support;

use mailwright_address::Domain;
use mailwright_dns::{
    Answer, Config as DnsConfig, FailureKind, Name, Question, Record, RecordType, Security, Server,
};
use mailwright_mx::{Config as MxConfig, Outcome};
use mailwright_server::Config;
use mailwright_server::dns::{Dns, dns_config};
use mailwright_server::route::{Router, mx_config};
use std::net::SocketAddr;
use std::time::Duration;
use support::{DnsServer, Zone};

fn start(server: &DnsServer) -> Dns {
    start_with(&[server.address()], |_| {})
}

fn start_with(servers: &[SocketAddr], change: impl FnOnce(&mut DnsConfig)) -> Dns {
    let mut config = DnsConfig::new(servers.iter().map(|address| Server::new(*address)));
    config.udp_timeout = Duration::from_millis(200);
    config.tcp_timeout = Duration::from_millis(500);
    change(&mut config);
    Dns::start(config)
}

fn router(dns: &Dns) -> Router {
    let mut mx = MxConfig::default();
    mx.loopback_is_own = false;
    Router::new(dns.clone(), mx)
}

fn question(record_type: RecordType, name: &str) -> Question {
    Question::new(Name::parse(name).unwrap(), record_type)
}

fn addresses(answer: &Answer) -> Vec<String> {
    answer
        .records()
        .iter()
        .map(|record| record.address().unwrap().to_string())
        .collect()
}

#[tokio::test]
async fn resolves_and_remembers() {
    let server = DnsServer::start(
        Zone::new()
            .a("mx.b.test", "192.0.2.1")
            .a("mx.b.test", "192.0.2.2"),
    );
    let dns = start(&server);
    for _ in 0..3 {
        let answer = dns.resolve(question(RecordType::A, "MX.b.test")).await;
        assert_eq!(addresses(&answer), ["192.0.2.1", "192.0.2.2"]);
        assert_eq!(answer.security(), Security::Indeterminate);
    }
    assert_eq!(server.log(), ["udp A mx.b.test"]);
    let stats = dns.stats().await;
    assert_eq!((stats.queries, stats.cache_hits, stats.sent_udp), (3, 2, 1));
}

#[tokio::test]
async fn many_at_once_ask_once_for_each_name() {
    let zone = (0..100).fold(Zone::new(), |zone, i| {
        zone.a(&format!("h{i}.test"), &format!("192.0.2.{i}"))
    });
    let server = DnsServer::start(zone);
    let dns = start(&server);
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..300 {
        let dns = dns.clone();
        tasks.spawn(async move {
            let i = i % 100;
            let answer = dns.resolve(question(RecordType::A, &format!("h{i}.test"))).await;
            assert_eq!(addresses(&answer), [format!("192.0.2.{i}")]);
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(server.log().len(), 100);
}

#[tokio::test]
async fn large_answers_come_over_tcp() {
    let zone = (0..200).fold(
        Zone::new().truncated("cut.test").a("cut.test", "192.0.2.7"),
        |zone, i| zone.aaaa("large.test", &format!("2001:db8::{i:x}")),
    );
    let server = DnsServer::start(zone);
    let dns = start(&server);
    let answer = dns.resolve(question(RecordType::Aaaa, "large.test")).await;
    assert_eq!(answer.records().len(), 200);
    let answer = dns.resolve(question(RecordType::A, "cut.test")).await;
    assert_eq!(addresses(&answer), ["192.0.2.7"]);
    let expected = [
        "udp AAAA large.test",
        "tcp AAAA large.test",
        "udp A cut.test",
        "tcp A cut.test",
    ];
    assert_eq!(server.log(), expected);
}

#[tokio::test]
async fn negative_answers_differ_from_failures() {
    let server = DnsServer::start(
        Zone::new()
            .a("b.test", "192.0.2.1")
            .servfail("bad.test")
            .refused("no.test"),
    );
    let dns = start(&server);
    assert!(matches!(
        dns.resolve(question(RecordType::Mx, "b.test")).await,
        Answer::NoData(_)
    ));
    assert!(matches!(
        dns.resolve(question(RecordType::Mx, "gone.test")).await,
        Answer::NxDomain(_)
    ));
    let kind = |answer: Answer| answer.failure().map(|failure| failure.kind);
    assert_eq!(
        kind(dns.resolve(question(RecordType::Mx, "bad.test")).await),
        Some(FailureKind::ServFail)
    );
    assert_eq!(
        kind(dns.resolve(question(RecordType::Mx, "no.test")).await),
        Some(FailureKind::Refused)
    );
    // A name that does not exist has no records of other types either.
    assert!(matches!(
        dns.resolve(question(RecordType::A, "gone.test")).await,
        Answer::NxDomain(_)
    ));
    assert_eq!(server.asked("A gone.test"), 0);
}

#[tokio::test]
async fn forged_answers_are_ignored() {
    let server = DnsServer::start(Zone::new().forged("b.test").a("b.test", "192.0.2.1"));
    let dns = start(&server);
    assert_eq!(
        addresses(&dns.resolve(question(RecordType::A, "b.test")).await),
        ["192.0.2.1"]
    );
    let stats = dns.stats().await;
    assert_eq!((stats.wrong_id, stats.sent_udp), (1, 1));
}

#[tokio::test]
async fn a_silent_server_is_followed_by_the_next() {
    let silent = DnsServer::start(Zone::new().silent("b.test"));
    let server = DnsServer::start(Zone::new().a("b.test", "192.0.2.1"));
    let dns = start_with(&[silent.address(), server.address()], |_| {});
    assert_eq!(
        addresses(&dns.resolve(question(RecordType::A, "b.test")).await),
        ["192.0.2.1"]
    );
    assert_eq!((silent.log().len(), server.log().len()), (1, 1));
}

#[tokio::test]
async fn a_server_that_is_not_there_fails_fast() {
    let closed = std::net::UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let dns = start_with(&[closed], |config| config.udp_timeout = Duration::from_secs(60));
    let answer = dns.resolve(question(RecordType::A, "b.test"));
    let answer = tokio::time::timeout(Duration::from_secs(20), answer)
        .await
        .unwrap();
    assert_eq!(answer.failure().unwrap().kind, FailureKind::Unreachable);
}

#[tokio::test]
async fn silence_ends_in_a_timeout_after_tcp_was_tried() {
    let server = DnsServer::start(Zone::new().silent("b.test"));
    let dns = start_with(&[server.address()], |config| {
        config.udp_timeout = Duration::from_millis(50);
    });
    let answer = dns.resolve(question(RecordType::A, "b.test")).await;
    assert!(answer.failure().is_some());
    assert_eq!(server.log(), ["udp A b.test", "udp A b.test", "tcp A b.test"]);
}

#[tokio::test]
async fn a_dropped_question_frees_its_place() {
    let server = DnsServer::start(Zone::new().silent("hang.test").a("b.test", "192.0.2.1"));
    let dns = start_with(&[server.address()], |config| {
        config.max_lookups = 1;
        config.udp_timeout = Duration::from_secs(60);
    });
    let hanging = dns.resolve(question(RecordType::A, "hang.test"));
    tokio::time::timeout(Duration::from_millis(100), hanging)
        .await
        .unwrap_err();
    let answer = dns.resolve(question(RecordType::A, "b.test"));
    let answer = tokio::time::timeout(Duration::from_secs(20), answer)
        .await
        .unwrap();
    assert_eq!(addresses(&answer), ["192.0.2.1"]);
}

#[tokio::test]
async fn routes_follow_mail_exchangers() {
    let zone = Zone::new()
        .mx("b.test", 20, "mx2.b.test")
        .mx("b.test", 10, "mx1.b.test")
        .a("mx1.b.test", "127.0.0.1")
        .aaaa("mx1.b.test", "::1")
        .a("mx2.b.test", "127.0.0.2")
        .mx("null.test", 0, ".")
        .servfail("later.test");
    let server = DnsServer::start(zone);
    let dns = start(&server);
    let router = router(&dns);
    let route = async |domain: &str| router.route(domain.parse::<Domain>().unwrap()).await;
    let attempts: Vec<String> = route("b.test")
        .await
        .attempts()
        .iter()
        .map(|attempt| format!("{} {}", attempt.host, attempt.addr))
        .collect();
    assert_eq!(
        attempts,
        [
            "mx1.b.test 127.0.0.1:25",
            "mx1.b.test [::1]:25",
            "mx2.b.test 127.0.0.2:25"
        ]
    );
    let enhanced = |outcome: &Outcome| match outcome {
        Outcome::Permanent(refusal) | Outcome::Temporary(refusal) => refusal.enhanced.to_string(),
        Outcome::Attempts(attempts) => panic!("{attempts:?}"),
    };
    assert_eq!(enhanced(route("null.test").await.outcome()), "5.1.10");
    assert_eq!(enhanced(route("gone.test").await.outcome()), "5.1.2");
    assert_eq!(enhanced(route("later.test").await.outcome()), "4.4.3");
}

#[tokio::test]
async fn the_configuration_of_a_server_is_heeded() {
    let server = DnsServer::start(
        Zone::new()
            .authentic()
            .mx("b.test", 10, "mx.b.test")
            .a("mx.b.test", "127.0.0.1"),
    );
    let mut config = Config::new("mail.a.test".parse().unwrap(), "unused");
    config.outbound.resolver = Some(server.address());
    config.outbound.port = 2525;
    config.outbound.routes.insert(
        "fixed.test".parse().unwrap(),
        "127.0.0.1:2600"
            .parse::<mailwright_server::config::Endpoint>()
            .unwrap()
            .into(),
    );
    let router = Router::new(Dns::from_config(&config), mx_config(&config));
    let route = router.route("b.test".parse::<Domain>().unwrap()).await;
    assert_eq!(route.attempts()[0].addr, "127.0.0.1:2525".parse().unwrap());
    // A resolver on loopback is trusted.
    assert_eq!(route.attempts()[0].security, Security::Secure);
    let route = router.route("fixed.test".parse::<Domain>().unwrap()).await;
    assert_eq!(route.attempts()[0].addr, "127.0.0.1:2600".parse().unwrap());
    assert_eq!(server.asked("MX fixed.test"), 0);
    assert!(
        mx_config(&config)
            .own_names
            .contains(&Name::parse("mail.a.test").unwrap())
    );
    config.outbound.resolver = Some("192.0.2.53:53".parse().unwrap());
    assert!(!dns_config(&config).servers[0].trust_ad);
}

#[test]
fn answers_fail_when_the_runtime_has_ended() {
    let server = DnsServer::start(Zone::new().a("b.test", "192.0.2.1"));
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let first = runtime();
    let dns = first.block_on(async { start(&server) });
    drop(first);
    let (answer, route) = runtime().block_on(async {
        let answer = dns.resolve(question(RecordType::A, "b.test")).await;
        (
            answer,
            router(&dns).route("b.test".parse::<Domain>().unwrap()).await,
        )
    });
    assert!(answer.failure().is_some());
    assert!(matches!(route.outcome(), Outcome::Temporary(_)));
}

#[test]
fn static_records_need_no_server() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let dns = start_with(&[], |config| {
            config.add_record(Name::parse("mx.test").unwrap(), Record::A([192, 0, 2, 9].into()));
        });
        assert_eq!(
            addresses(&dns.resolve(question(RecordType::A, "mx.test")).await),
            ["192.0.2.9"]
        );
    });
}
