//! What the table of scenarios does not show: chance, questions, reasons, security.

mod support;

use mailwright_dns::{Answer, Failure, FailureKind, Question, RecordType, Security};
use mailwright_mx::{Config, Error, Families, Planner, Relay, TlsPolicy, Via};
use std::collections::HashMap;
use std::sync::Arc;
use support::{Order, Rows, destination, name, plan, render};

const TIES: Rows<'_> = &[
    (
        "MX b.test",
        "MX 10 a.test, 20 b1.test, 20 b2.test, 20 b3.test, 20 b4.test, 30 c.test",
    ),
    ("A a.test", "A 192.0.2.1"),
    ("A b1.test", "A 192.0.2.11"),
    ("A b2.test", "A 192.0.2.12"),
    ("A b3.test", "A 192.0.2.13"),
    ("A b4.test", "A 192.0.2.14"),
    ("A c.test", "A 192.0.2.3"),
];

#[test]
fn ties_are_broken_evenly_and_nothing_else_moves() {
    let rounds = 4800;
    let mut orders: HashMap<String, u32> = HashMap::new();
    for seed in 0..rounds {
        let (route, _) = plan("b.test", &Config::default(), TIES, seed, Order::AtOnce);
        let hosts: Vec<String> = route
            .attempts()
            .iter()
            .map(|attempt| attempt.host.to_string())
            .collect();
        assert_eq!(
            (hosts[0].as_str(), hosts[5].as_str(), hosts.len()),
            ("a.test", "c.test", 6)
        );
        *orders.entry(hosts[1..5].join(" ")).or_default() += 1;
    }
    // 24 orders, 200 of each expected; with a fair shuffle all are within five standard deviations (14) of that.
    assert_eq!(orders.len(), 24);
    for (order, count) in orders {
        assert!((130..=270).contains(&count), "{order}: {count}");
    }
}

#[test]
fn addresses_of_one_host_share_the_load() {
    let rows: Rows<'_> = &[
        ("MX b.test", "MX 10 mx.test"),
        ("A mx.test", "A 192.0.2.1, 192.0.2.2, 192.0.2.3"),
    ];
    let mut first: HashMap<String, u32> = HashMap::new();
    for seed in 0..3000 {
        let (route, _) = plan("b.test", &Config::default(), rows, seed, Order::AtOnce);
        assert_eq!(route.attempts().len(), 3);
        *first.entry(route.attempts()[0].addr.to_string()).or_default() += 1;
    }
    assert_eq!(first.len(), 3);
    assert!(
        first.values().all(|count| (850..=1150).contains(count)),
        "{first:?}"
    );
}

#[test]
fn a_limit_on_addresses_leaves_some_of_both_families() {
    let rows: Rows<'_> = &[
        ("MX b.test", "MX 10 mx.test"),
        (
            "A mx.test",
            "A 192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, 192.0.2.5",
        ),
        ("AAAA mx.test", "AAAA ::1:1, ::1:2, ::1:3, ::1:4, ::1:5"),
    ];
    let mut config = Config::default();
    config.max_addresses_per_host = 4;
    let (route, _) = plan("b.test", &config, rows, 1, Order::AtOnce);
    let ipv4: Vec<bool> = route
        .attempts()
        .iter()
        .map(|attempt| attempt.addr.is_ipv4())
        .collect();
    assert_eq!(ipv4, [true, false, true, false]);
}

#[test]
fn the_same_seed_gives_the_same_route() {
    let route = |seed, order| render(&plan("b.test", &Config::default(), TIES, seed, order).0);
    for seed in 0..50 {
        assert_eq!(route(seed, Order::AtOnce), route(seed, Order::LastToFirst));
    }
}

#[test]
fn nothing_is_asked_that_is_not_needed() {
    let asked = |to: &str, rows: Rows<'_>, config: &Config| plan(to, config, rows, 0, Order::FirstToLast).1;
    let mut config = Config::default();
    config.own_names.push(name("own.test"));
    assert!(asked("[192.0.2.1]", &[], &config).is_empty());
    assert_eq!(
        asked("b.test", &[("MX b.test", "MX 0 .")], &config),
        ["MX b.test"]
    );
    assert_eq!(
        asked("b.test", &[("MX b.test", "servfail")], &config),
        ["MX b.test"]
    );
    // Hosts that are not better than this one are not looked up.
    let rows: Rows<'_> = &[("MX b.test", "MX 10 mx1.test, 20 own.test, 30 mx3.test")];
    assert_eq!(
        asked("b.test", rows, &config),
        ["MX b.test", "A mx1.test", "AAAA mx1.test", "TXT _mta-sts.b.test"]
    );
    config.sts = false;
    config.families = Families::Ipv6Only;
    assert_eq!(asked("b.test", rows, &config), ["MX b.test", "AAAA mx1.test"]);
}

#[test]
fn attempts_are_as_secure_as_their_weakest_answer() {
    let security = |rows: Rows<'_>| {
        let (route, _) = plan("b.test", &Config::default(), rows, 0, Order::AtOnce);
        route
            .attempts()
            .iter()
            .map(|attempt| attempt.security)
            .collect::<Vec<_>>()
    };
    let (secure, insecure) = (Security::Secure, Security::Insecure);
    let mx = ("MX b.test", "secure MX 10 mx.test");
    assert_eq!(security(&[mx, ("A mx.test", "secure A 192.0.2.1")]), [secure]);
    assert_eq!(security(&[mx, ("A mx.test", "A 192.0.2.1")]), [insecure]);
    assert_eq!(
        security(&[
            mx,
            ("A mx.test", "A 192.0.2.1"),
            ("AAAA mx.test", "secure AAAA ::1:1")
        ]),
        [insecure, secure]
    );
    let insecure_mx = ("MX b.test", "MX 10 mx.test");
    assert_eq!(
        security(&[insecure_mx, ("A mx.test", "secure A 192.0.2.1")]),
        [insecure]
    );
    assert_eq!(
        security(&[("MX b.test", "secure none"), ("A b.test", "secure A 192.0.2.1")]),
        [secure]
    );
    let (literal, _) = plan("[192.0.2.1]", &Config::default(), &[], 0, Order::AtOnce);
    assert_eq!(literal.attempts()[0].security, Security::Indeterminate);
}

#[test]
fn attempts_say_what_the_host_is() {
    let a = ("A mx.test", "A 192.0.2.1");
    let mut config = Config::default();
    let via = |to: &str, rows: Rows<'_>, config: &Config| {
        let (route, _) = plan(to, config, rows, 0, Order::AtOnce);
        assert_eq!(route.attempts()[0].tls, TlsPolicy::Opportunistic);
        (route.attempts()[0].via, route.attempts()[0].preference)
    };
    assert_eq!(
        via("b.test", &[("MX b.test", "MX 7 mx.test"), a], &config),
        (Via::MailExchanger, 7)
    );
    assert_eq!(via("mx.test", &[a], &config), (Via::ImplicitExchanger, 0));
    assert_eq!(via("[192.0.2.1]", &[], &config), (Via::Literal, 0));
    assert_eq!(via("relay mx.test", &[a], &config), (Via::Relay, 0));
    config.smart_hosts.push(Relay::parse("mx.test", 25).unwrap());
    assert_eq!(via("b.test", &[a], &config), (Via::SmartHost, 0));
    config.add_route(name("b.test"), vec![Relay::parse("mx.test", 25).unwrap()]);
    assert_eq!(via("b.test", &[a], &config), (Via::FixedRoute, 0));
    config.add_route(name("b.test"), vec![]);
    assert_eq!(via("b.test", &[a], &config), (Via::SmartHost, 0));
}

#[test]
fn a_route_explains_itself() {
    let mut config = Config::default();
    config.own_names.push(name("own.test"));
    let rows: Rows<'_> = &[
        (
            "MX www.test",
            "alias b.test MX 30 mx3.test, 10 mx1.test, 20 own.test, 0 .",
        ),
        ("A mx1.test", "A 192.0.2.1"),
        ("AAAA mx1.test", "servfail"),
    ];
    let (route, _) = plan("www.test", &config, rows, 0, Order::FirstToLast);
    let expected = "\
www.test is an alias for b.test
b.test has MX records (insecure): 0 . 10 mx1.test 20 own.test 30 mx3.test
a null MX record beside others means nothing: ignored
own.test with preference 20 is this host: dropped with all that are not better
looking up mx1.test AAAA failed: SERVFAIL
MTA-STS is not announced
no MTA-STS policy holds
mx1.test has addresses (insecure): 192.0.2.1
try mx1.test at 192.0.2.1:25 (mail exchanger, preference 10, DNS insecure, TLS opportunistic: no policy is published)
";
    assert_eq!(route.to_string(), expected);
    let (route, _) = plan("b.test", &config, &[("MX b.test", "nxdomain")], 0, Order::AtOnce);
    assert_eq!(
        route.to_string(),
        "permanent failure: 550 5.1.2 the domain b.test does not exist\n"
    );
    let (route, _) = plan("b.test", &config, &[("MX b.test", "timeout")], 0, Order::AtOnce);
    let last = route.explain().last().unwrap();
    assert_eq!(
        last,
        "temporary failure: 451 4.4.3 looking up the MX records of b.test failed: timeout"
    );
}

#[test]
fn a_domain_without_a_valid_dns_name_is_refused() {
    // Sixty octets as a U-label, more than 63 as an A-label.
    let label: String = (0..20)
        .filter_map(|i| char::from_u32(0x4e00 + i * 1009))
        .collect();
    assert_eq!(label.len(), 60);
    let domain = format!("{label}.test");
    let (route, asked) = plan(&domain, &Config::default(), &[], 0, Order::AtOnce);
    assert_eq!(render(&route), "550 5.1.2");
    assert!(asked.is_empty());
}

#[test]
#[should_panic(expected = "answer to a question that is not open")]
fn an_answer_to_no_question_panics() {
    let mut planner = Planner::new(destination("b.test"), Arc::new(Config::default()), 0);
    let question = Question::new(name("b.test"), RecordType::Mx);
    planner.answer(&question, Answer::Failure(Failure::new(FailureKind::Timeout)));
}

#[test]
fn relays_parse_and_print() {
    for (text, printed) in [
        ("mail.example", "mail.example:25"),
        ("mail.example:587", "mail.example:587"),
        ("192.0.2.1", "[192.0.2.1]:25"),
        ("192.0.2.1:2025", "[192.0.2.1]:2025"),
        ("[192.0.2.1]", "[192.0.2.1]:25"),
        ("::1", "[::1]:25"),
        ("[::1]:2025", "[::1]:2025"),
    ] {
        let relay = Relay::parse(text, 25).unwrap();
        assert_eq!(relay.to_string(), printed);
        assert_eq!(Relay::parse(printed, 1).unwrap(), relay);
    }
    for (text, error) in [
        ("mail.example:0", Error::Port),
        ("mail.example:65536", Error::Port),
        ("mail.example:+25", Error::Port),
        ("mail.example:", Error::Port),
        ("[::1]25", Error::Port),
        ("[::1", Error::Brackets),
        ("[mail.example]", Error::Brackets),
        ("mail..example", Error::Host(mailwright_dns::Error::EmptyLabel)),
        ("", Error::Host(mailwright_dns::Error::EmptyLabel)),
    ] {
        assert_eq!(Relay::parse(text, 25), Err(error), "{text}");
    }
}
