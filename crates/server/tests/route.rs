//! The core of the planner's scenarios once more, over real sockets: as it should be, with every first datagram lost,
//! with every answer too large for a datagram, and with a forged answer ahead of each true one.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "support/dns.rs"]
mod support;

use hickory_proto::rr::{RData, rdata};
use mailwright_address::Domain;
use mailwright_dns::{Config as DnsConfig, Server};
use mailwright_mx::{Config as MxConfig, Outcome, Route, TlsPolicy};
use mailwright_server::dns::Dns;
use mailwright_server::route::Router;
use std::time::Duration;
use support::{DnsServer, Weather, Zone};

struct Case {
    what: &'static str,
    zone: fn(Zone) -> Zone,
    /// In a zone that DNSSEC vouches for.
    signed: bool,
    route: &'static str,
}

fn tlsa(usage: u8) -> RData {
    RData::TLSA(rdata::TLSA::new(usage.into(), 1.into(), 1.into(), vec![7; 32]))
}

const CASES: &[Case] = &[
    Case {
        what: "mail exchangers in order",
        zone: |zone| {
            let zone = zone.mx("b.test", 20, "mx2.test").mx("b.test", 10, "mx1.test");
            zone.a("mx1.test", "192.0.2.1").a("mx2.test", "192.0.2.2")
        },
        signed: false,
        route: "mx1.test@192.0.2.1:25 mx2.test@192.0.2.2:25",
    },
    Case {
        what: "both families",
        zone: |zone| {
            zone.mx("b.test", 10, "mx1.test")
                .a("mx1.test", "192.0.2.1")
                .aaaa("mx1.test", "2001:db8::1")
        },
        signed: false,
        route: "mx1.test@192.0.2.1:25 mx1.test@[2001:db8::1]:25",
    },
    Case {
        what: "an implicit mail exchanger",
        zone: |zone| zone.a("b.test", "192.0.2.1"),
        signed: false,
        route: "b.test@192.0.2.1:25",
    },
    Case {
        what: "null MX",
        zone: |zone| zone.mx("b.test", 0, "."),
        signed: false,
        route: "556 5.1.10",
    },
    Case {
        what: "no such domain",
        zone: |zone| zone.a("c.test", "192.0.2.1"),
        signed: false,
        route: "550 5.1.2",
    },
    Case {
        what: "MX to CNAME",
        zone: |zone| {
            zone.mx("b.test", 10, "mx1.test")
                .cname("mx1.test", "real.test")
                .a("real.test", "192.0.2.1")
        },
        signed: false,
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "the domain is an alias",
        zone: |zone| {
            zone.cname("b.test", "c.test")
                .mx("c.test", 10, "mx1.test")
                .a("mx1.test", "192.0.2.1")
        },
        signed: false,
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "mail exchangers without addresses",
        zone: |zone| zone.mx("b.test", 10, "mx1.test").txt("mx1.test", "nothing"),
        signed: false,
        route: "550 5.4.4",
    },
    Case {
        what: "SERVFAIL for the MX",
        zone: |zone| zone.servfail("b.test"),
        signed: false,
        route: "451 4.4.3",
    },
    Case {
        what: "SERVFAIL for the only host",
        zone: |zone| zone.mx("b.test", 10, "mx1.test").servfail("mx1.test"),
        signed: false,
        route: "451 4.4.3",
    },
    Case {
        what: "silence about the MX",
        zone: |zone| zone.silent("b.test"),
        signed: false,
        route: "451 4.4.3",
    },
    Case {
        what: "the better host is silent",
        zone: |zone| {
            let zone = zone.mx("b.test", 10, "mx1.test").mx("b.test", 20, "mx2.test");
            zone.silent("mx1.test").a("mx2.test", "192.0.2.2")
        },
        signed: false,
        route: "mx2.test@192.0.2.2:25",
    },
    Case {
        what: "DANE",
        zone: |zone| {
            zone.mx("b.test", 10, "mx1.test")
                .a("mx1.test", "192.0.2.1")
                .record("_25._tcp.mx1.test", tlsa(3))
        },
        signed: true,
        route: "mx1.test@192.0.2.1:25/dane",
    },
    Case {
        what: "DANE without a usable record",
        zone: |zone| {
            zone.mx("b.test", 10, "mx1.test")
                .a("mx1.test", "192.0.2.1")
                .record("_25._tcp.mx1.test", tlsa(0))
        },
        signed: true,
        route: "mx1.test@192.0.2.1:25/encrypted",
    },
    Case {
        what: "no TLSA records in a signed zone",
        zone: |zone| zone.mx("b.test", 10, "mx1.test").a("mx1.test", "192.0.2.1"),
        signed: true,
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "SERVFAIL for TLSA",
        zone: |zone| {
            zone.mx("b.test", 10, "mx1.test")
                .a("mx1.test", "192.0.2.1")
                .servfail("_25._tcp.mx1.test")
        },
        signed: true,
        route: "451 4.4.3",
    },
    Case {
        what: "silence about TLSA",
        zone: |zone| {
            zone.mx("b.test", 10, "mx1.test")
                .a("mx1.test", "192.0.2.1")
                .silent("_25._tcp.mx1.test")
        },
        signed: true,
        route: "451 4.4.3",
    },
    Case {
        what: "TLSA records in an unsigned zone are not asked for",
        zone: |zone| {
            zone.mx("b.test", 10, "mx1.test")
                .a("mx1.test", "192.0.2.1")
                .servfail("_25._tcp.mx1.test")
        },
        signed: false,
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "DANE at the end of an alias",
        zone: |zone| {
            let zone = zone
                .mx("b.test", 10, "mx1.test")
                .cname("mx1.test", "real.test")
                .a("real.test", "192.0.2.1");
            zone.record("_25._tcp.real.test", tlsa(2))
        },
        signed: true,
        route: "mx1.test@192.0.2.1:25/dane",
    },
    Case {
        what: "twenty hosts in one answer",
        zone: |zone| {
            (0..20u16).fold(zone, |zone, i| {
                let host = format!("a-host-with-a-rather-long-name-number-{i:02}.test");
                zone.mx("b.test", i, &host).a(&host, &format!("192.0.2.{i}"))
            })
        },
        signed: false,
        route: "16 attempts",
    },
];

fn render(route: &Route) -> String {
    match route.outcome() {
        Outcome::Attempts(attempts) if attempts.len() > 4 => format!("{} attempts", attempts.len()),
        Outcome::Attempts(attempts) => {
            let attempts = attempts.iter().map(|attempt| {
                let tls = match &attempt.tls {
                    TlsPolicy::Opportunistic => "",
                    TlsPolicy::Dane(_) => "/dane",
                    TlsPolicy::Encrypted => "/encrypted",
                    other => panic!("{other}"),
                };
                format!("{}@{}{tls}", attempt.host, attempt.addr)
            });
            attempts.collect::<Vec<_>>().join(" ")
        }
        Outcome::Permanent(refusal) | Outcome::Temporary(refusal) => {
            format!("{} {}", refusal.code, refusal.enhanced)
        }
    }
}

async fn run(case: &'static Case, weather: Weather) -> (Route, Vec<String>) {
    let zone = (case.zone)(Zone::new().weather(weather));
    let server = DnsServer::start(if case.signed { zone.authentic() } else { zone });
    let mut config = DnsConfig::new([Server::new(server.address()).trusted()]);
    config.udp_timeout = Duration::from_millis(400);
    config.tcp_timeout = Duration::from_millis(3000);
    let mut mx = MxConfig::default();
    mx.sts = false;
    let router = Router::new(Dns::start(config), mx);
    let route = router.route("b.test".parse::<Domain>().unwrap()).await;
    (route, server.log())
}

async fn all_cases(weather: Weather) {
    let mut wrong = Vec::new();
    let runs: Vec<_> = CASES
        .iter()
        .map(|case| tokio::spawn(run(case, weather)))
        .collect();
    for (case, run) in CASES.iter().zip(runs) {
        let (route, log) = run.await.unwrap();
        if render(&route) != case.route {
            wrong.push(format!(
                "{}: {} and not {}\n{route}{log:#?}",
                case.what,
                render(&route),
                case.route
            ));
        }
        let tcp = log.iter().any(|line| line.starts_with("tcp"));
        // A server that has failed has nothing more to say over TCP.
        let answered = !case.what.starts_with("silence") && case.what != "SERVFAIL for the MX";
        if weather == Weather::Truncated && answered {
            assert!(
                tcp,
                "{}: everything is truncated, and nothing asked over TCP",
                case.what
            );
        }
        if weather == Weather::FirstLost {
            assert!(log.len() >= 2, "{}: every question is lost once", case.what);
        }
    }
    assert!(wrong.is_empty(), "{weather:?}:\n{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_fair_weather() {
    all_cases(Weather::Fair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_first_datagram_lost() {
    all_cases(Weather::FirstLost).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_answer_truncated() {
    all_cases(Weather::Truncated).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_forged_answer_ahead_of_each_true_one() {
    all_cases(Weather::Forged).await;
}
