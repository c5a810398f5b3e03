//! What the resolver remembers, shares, counts and forgets.
#![allow(clippy::unwrap_used)]

mod support;

use core::time::Duration;
use mailwright_dns::{Answer, Config, FailureKind, Security, Transport};
use support::{Script, World, question, render, script, servers};

fn world(script: Script) -> World {
    World::new(Config::new(servers(2)), script)
}

fn failure(answer: &Answer) -> FailureKind {
    answer.failure().unwrap_or_else(|| panic!("{answer:?}")).kind
}

#[test]
fn answers_are_remembered_until_their_ttl_ends() {
    let mut world = world(script(&[
        ("#1 A b.test", "b.test 100 A 192.0.2.1"),
        ("#2 A b.test", "b.test 100 A 192.0.2.2"),
    ]));
    world.resolve("A b.test");
    world.now += Duration::from_secs(40);
    assert_eq!(
        render(&world.resolve("A B.test")),
        "b.test indeterminate 59s: 192.0.2.1"
    );
    world.now += Duration::from_secs(59);
    let answer = world.resolve("A b.test");
    assert!(answer.ttl() <= Duration::from_secs(1), "{answer:?}");
    assert_eq!(world.sent.len(), 1);
    world.now += Duration::from_secs(1);
    assert_eq!(
        render(&world.resolve("A b.test")),
        "b.test indeterminate 100s: 192.0.2.2"
    );
    assert_eq!(world.sent.len(), 2);
    assert_eq!(world.resolver.cached(), 1);
}

#[test]
fn a_ttl_of_zero_is_for_those_who_asked_alone() {
    let mut world = world(script(&[("A b.test", "b.test 0 A 192.0.2.1")]));
    let (first, second) = (world.ask("A b.test"), world.ask("A b.test"));
    let answers = world.run();
    assert_eq!(
        answers.iter().map(|(query, _)| *query).collect::<Vec<_>>(),
        [first, second]
    );
    assert_eq!(world.sent.len(), 1);
    world.resolve("A b.test");
    assert_eq!(world.sent.len(), 2);
}

#[test]
fn no_data_is_remembered_for_its_type_and_no_domain_for_all_types() {
    let mut world = world(script(&[
        ("MX b.test", "auth test 100 SOA 100"),
        ("A b.test", "b.test 100 A 192.0.2.1"),
        ("MX gone.test", "nxdomain | auth test 100 SOA 100"),
    ]));
    world.resolve("MX b.test");
    world.resolve("MX b.test");
    assert_eq!(world.sent.len(), 1);
    assert_eq!(world.resolve("A b.test").records().len(), 1);
    world.resolve("MX gone.test");
    assert_eq!(
        render(&world.resolve("A gone.test")),
        "no domain: gone.test indeterminate 99s"
    );
    assert_eq!(world.sent.len(), 3);
    world.now += Duration::from_secs(100);
    assert_eq!(failure(&world.resolve("A gone.test")), FailureKind::Timeout);
}

#[test]
fn no_domain_at_the_end_of_an_alias_is_remembered_for_its_type_alone() {
    let mut world = world(script(&[
        (
            "MX www.test",
            "nxdomain | www.test 100 CNAME gone.test | auth test 100 SOA 100",
        ),
        ("CNAME www.test", "www.test 100 CNAME gone.test"),
    ]));
    assert!(matches!(world.resolve("MX www.test"), Answer::NxDomain(_)));
    assert!(matches!(world.resolve("CNAME www.test"), Answer::Records(_)));
}

#[test]
fn answers_without_soa_are_not_remembered() {
    let mut world = world(script(&[("MX b.test", "empty"), ("MX gone.test", "nxdomain")]));
    for name in ["MX b.test", "MX gone.test"] {
        world.resolve(name);
        world.resolve(name);
    }
    assert_eq!(world.sent.len(), 4);
    assert_eq!(world.resolver.cached(), 0);
}

#[test]
fn failures_are_remembered_for_a_while() {
    let mut world = world(script(&[("#1 A b.test", "refused"), ("#2 A b.test", "servfail")]));
    world
        .script
        .push(("A b.test".to_owned(), "b.test 100 A 192.0.2.1".to_owned()));
    assert_eq!(failure(&world.resolve("A b.test")), FailureKind::ServFail);
    world.now += Duration::from_secs(4);
    assert_eq!(failure(&world.resolve("A b.test")), FailureKind::ServFail);
    assert_eq!(world.sent.len(), 2);
    world.now += Duration::from_secs(1);
    assert_eq!(world.resolve("A b.test").records().len(), 1);
}

#[test]
fn what_is_known_of_an_aliass_target_is_used() {
    let mut world = world(script(&[
        ("A b.test", "b.test 100 A 192.0.2.1"),
        ("A www.test", "www.test 10 CNAME b.test"),
        ("A deep.test", "deep.test 1000 CNAME www.test"),
    ]));
    world.resolve("A b.test");
    assert_eq!(
        render(&world.resolve("A www.test")),
        "www.test > b.test indeterminate 10s: 192.0.2.1"
    );
    assert_eq!(
        render(&world.resolve("A deep.test")),
        "deep.test > www.test > b.test indeterminate 9s: 192.0.2.1"
    );
    assert_eq!(world.sent.len(), 3);
}

#[test]
fn a_circle_through_memory_is_found() {
    let mut config = Config::new(servers(1));
    config.failure_ttl = Duration::ZERO;
    let mut world = World::new(
        config,
        script(&[
            ("MX c.test", "c.test 100 CNAME a.test | auth test 9 SOA 9"),
            ("MX a.test", "a.test 100 CNAME c.test"),
        ]),
    );
    assert!(matches!(world.resolve("MX c.test"), Answer::NoData(_)));
    assert_eq!(failure(&world.resolve("MX a.test")), FailureKind::AliasLoop);
}

#[test]
fn chains_of_aliases_are_limited() {
    let mut rows: Vec<(String, String)> = (0..20)
        .map(|i| {
            (
                format!("A n{i}.test"),
                format!("n{i}.test 100 CNAME n{}.test", i + 1),
            )
        })
        .collect();
    rows.push(("A n20.test".to_owned(), "n20.test 100 A 192.0.2.1".to_owned()));
    let mut world = world(rows);
    let answer = world.resolve("A n4.test");
    let Answer::Records(records) = &answer else {
        panic!("{answer:?}")
    };
    assert_eq!(records.aliases().len(), 16);
    world.resolver.clear_cache();
    assert_eq!(failure(&world.resolve("A n3.test")), FailureKind::TooManyAliases);
    // The limit holds as well where memory knows the rest of the chain.
    world.resolve("A n10.test");
    assert_eq!(failure(&world.resolve("A n2.test")), FailureKind::TooManyAliases);
    // And within one response.
    let chain: Vec<String> = (0..17)
        .map(|i| format!("m{i}.test 9 CNAME m{}.test", i + 1))
        .collect();
    world.script.push((
        "A m0.test".to_owned(),
        format!("{} | m17.test 9 A 192.0.2.1", chain.join(" | ")),
    ));
    assert_eq!(failure(&world.resolve("A m0.test")), FailureKind::TooManyAliases);
}

#[test]
fn the_security_of_the_first_step_is_kept_apart() {
    let mut config = Config::new(servers(1));
    config.servers[0].trust_ad = true;
    let mut world = World::new(
        config,
        script(&[
            ("A www.test", "ad | www.test 50 CNAME b.test"),
            ("A b.test", "b.test 40 A 192.0.2.1"),
        ]),
    );
    let Answer::Records(records) = world.resolve("A www.test") else {
        panic!()
    };
    assert_eq!(
        (records.first_security(), records.security()),
        (Security::Secure, Security::Insecure)
    );
    // The same when it comes from memory.
    let Answer::Records(records) = world.resolve("A www.test") else {
        panic!()
    };
    assert_eq!(
        (records.first_security(), records.security()),
        (Security::Secure, Security::Insecure)
    );
}

#[test]
fn the_cache_keeps_its_limits_and_drops_what_ends_first() {
    let mut config = Config::new(servers(1));
    config.cache_entries = 10;
    let rows: Vec<_> = (0..30)
        .map(|i| {
            (
                format!("A n{i}.test"),
                format!("n{i}.test {} A 192.0.2.1", 1000 - i),
            )
        })
        .collect();
    let mut world = World::new(config, rows);
    for i in 0..30 {
        world.resolve(&format!("A n{i}.test"));
        assert!(world.resolver.cached() <= 10);
    }
    for i in 0..9 {
        world.resolve(&format!("A n{i}.test"));
    }
    assert_eq!(world.sent.len(), 30, "those that hold longest are kept");
}

#[test]
fn the_cache_keeps_its_limit_of_octets() {
    let mut config = Config::new(servers(1));
    config.cache_octets = 4000;
    let text = "x".repeat(200);
    let rows: Vec<_> = (0..30)
        .map(|i| (format!("TXT n{i}.test"), format!("n{i}.test 100 TXT {text}")))
        .collect();
    let mut world = World::new(config, rows);
    for i in 0..30 {
        assert_eq!(world.resolve(&format!("TXT n{i}.test")).records().len(), 1);
    }
    assert!(
        (1..20).contains(&world.resolver.cached()),
        "{}",
        world.resolver.cached()
    );
}

#[test]
fn the_same_question_is_asked_once() {
    let mut world = world(script(&[("MX b.test", "b.test 100 MX 1 mx.test")]));
    let queries = [
        world.ask("MX b.test"),
        world.ask("MX B.TEST"),
        world.ask("MX b.test."),
    ];
    let answers = world.run();
    assert_eq!(answers.len(), 3);
    assert!(
        queries
            .iter()
            .all(|query| answers.iter().any(|(answered, _)| answered == query))
    );
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn a_cancelled_question_gets_no_answer_and_leaves_nothing_open() {
    let mut world = world(script(&[]));
    let (first, second) = (world.ask("A b.test"), world.ask("A b.test"));
    world.exchange();
    assert_eq!(world.sockets.len(), 1);
    world.resolver.cancel(world.now, first);
    world.exchange();
    assert_eq!(world.sockets.len(), 1, "somebody else still waits");
    world.resolver.cancel(world.now, second);
    world.exchange();
    assert!(world.sockets.is_empty());
    assert_eq!(world.resolver.deadline(), None);
    assert!(world.run().is_empty());
    // Once more does no harm, and neither does cancelling what is answered.
    world.resolver.cancel(world.now, second);
    let third = world.ask("A localhost");
    world.resolver.cancel(world.now, third);
    assert!(world.run().is_empty());
}

#[test]
fn a_cancelled_question_that_was_not_sent_is_not_sent() {
    let mut world = world(script(&[]));
    let query = world.ask("A b.test");
    world.resolver.cancel(world.now, query);
    assert_eq!(world.resolver.poll_transmit(), None);
}

#[test]
fn questions_beyond_the_limit_wait_for_their_turn() {
    let mut config = Config::new(servers(1));
    config.max_lookups = 2;
    let rows: Vec<_> = (0..6)
        .map(|i| (format!("A n{i}.test"), format!("n{i}.test 9 A 192.0.2.1")))
        .collect();
    let mut world = World::new(config, rows);
    let queries: Vec<_> = (0..6).map(|i| world.ask(&format!("A n{i}.test"))).collect();
    let first: Vec<_> = core::iter::from_fn(|| world.resolver.poll_transmit()).collect();
    assert_eq!(first.len(), 2);
    // One that runs and one that waits are given up; the next in line moves up.
    world.resolver.cancel(world.now, queries[0]);
    world.resolver.cancel(world.now, queries[3]);
    assert_eq!(core::iter::from_fn(|| world.resolver.poll_transmit()).count(), 1);
    world.resolver.handle_failed(world.now, first[1].socket);
    let answered = world.run();
    assert_eq!(answered.len(), 4);
    assert!(
        answered
            .iter()
            .all(|(query, _)| ![queries[0], queries[3]].contains(query))
    );
}

#[test]
fn many_questions_without_servers_all_fail() {
    let mut config = Config::default();
    config.max_lookups = 1;
    config.failure_ttl = Duration::ZERO;
    let mut world = World::new(config, script(&[]));
    for i in 0..10_000 {
        world.ask(&format!("A n{i}.test"));
    }
    let answers = world.run();
    assert_eq!(answers.len(), 10_000);
    assert!(
        answers
            .iter()
            .all(|(_, answer)| failure(answer) == FailureKind::NoServers)
    );
}

#[test]
fn strays_are_counted_by_what_is_wrong_with_them() {
    let mut world = world(script(&[(
        "A b.test",
        "from 10.0.0.66:53 && id && case && question c.test. && type && query && garbage && b.test 9 A 192.0.2.1",
    )]));
    world.resolve("A b.test");
    let stats = world.resolver.stats();
    assert_eq!(
        (
            stats.wrong_source,
            stats.wrong_id,
            stats.wrong_case,
            stats.wrong_question
        ),
        (1, 1, 1, 2)
    );
    assert_eq!(
        (stats.unrelated, stats.malformed, stats.timeouts, stats.truncated),
        (2, 0, 0, 0)
    );
    assert_eq!(
        (stats.queries, stats.cache_hits, stats.sent_udp, stats.sent_tcp),
        (1, 0, 1, 0)
    );
}

#[test]
fn a_late_answer_is_not_taken() {
    let mut world = world(script(&[]));
    world.ask("A b.test");
    let transmit = world.resolver.poll_transmit().unwrap();
    let query = hickory_proto::op::Message::from_vec(&transmit.bytes).unwrap();
    let (from, answer) = support::build(transmit.server, &query, "b.test 9 A 192.0.2.66");
    world.now = world.resolver.deadline().unwrap();
    world.resolver.handle_timeout(world.now);
    world
        .resolver
        .handle_datagram(world.now, transmit.socket, from, &answer);
    world.resolver.handle_stream(world.now, transmit.socket, &answer);
    world.resolver.handle_failed(world.now, transmit.socket);
    assert_eq!(world.resolver.stats().unrelated, 2);
    assert_eq!(world.resolver.poll_answer(), None);
}

#[test]
fn ids_and_letters_differ_from_query_to_query() {
    let mut config = Config::new(servers(1));
    config.rounds = 1;
    config.failure_ttl = Duration::ZERO;
    let mut world = World::new(config, script(&[]));
    for _ in 0..200 {
        world.resolve("A a-name-with-some-letters.test");
    }
    let distinct = |part: core::ops::Range<usize>| {
        world
            .queries
            .iter()
            .map(|query| query[part.clone()].to_vec())
            .collect::<std::collections::HashSet<_>>()
            .len()
    };
    assert_eq!(world.queries.len(), 200);
    assert!(distinct(0..2) > 190, "ids");
    assert!(distinct(12..43) > 190, "letters");
}

#[test]
fn letters_stay_as_they_are_if_so_configured() {
    let mut config = Config::new(servers(1));
    config.random_case = false;
    let mut world = World::new(config, script(&[("A b.test", "b.test 9 A 192.0.2.1")]));
    world.resolve("A b.test");
    assert_eq!(&world.queries[0][12..20], b"\x01b\x04test\0");
}

#[test]
fn queries_offer_edns_and_ask_a_trusted_server_for_signatures() {
    let mut config = Config::new(servers(2));
    config.servers[0].trust_ad = true;
    let mut world = World::new(
        config,
        script(&[("s1 A b.test", "servfail"), ("s2 A b.test", "servfail")]),
    );
    world.resolve("A b.test");
    for (query, dnssec_ok) in world.queries.iter().zip([true, false]) {
        let edns = hickory_proto::op::Message::from_vec(query).unwrap().edns.unwrap();
        assert_eq!((edns.max_payload(), edns.flags().dnssec_ok), (1232, dnssec_ok));
    }
}

#[test]
fn a_server_without_edns_is_known_for_a_while() {
    let mut world = world(script(&[
        ("edns A a.test", "formerr"),
        ("A a.test", "a.test 9 A 192.0.2.1"),
        ("A b.test", "b.test 9 A 192.0.2.1"),
        ("A c.test", "c.test 9 A 192.0.2.1"),
    ]));
    world.resolve("A a.test");
    world.resolve("A b.test");
    world.now += Duration::from_secs(15 * 60);
    world.resolve("A c.test");
    assert_eq!(
        world.sent,
        ["1u:A a.test", "1up:A a.test", "1up:A b.test", "1u:A c.test"]
    );
}

#[test]
fn a_silent_server_rests_and_comes_back() {
    let mut world = world(script(&[
        ("s2 A a.test", "a.test 9 A 192.0.2.1"),
        ("s2 A b.test", "b.test 9 A 192.0.2.1"),
        ("s2 A c.test", "c.test 9 A 192.0.2.1"),
        ("A d.test", "d.test 9 A 192.0.2.1"),
        ("A e.test", "e.test 9 A 192.0.2.1"),
    ]));
    for name in ["A a.test", "A b.test", "A c.test"] {
        world.resolve(name);
    }
    assert_eq!(
        world.sent,
        [
            "1u:A a.test",
            "2u:A a.test",
            "1u:A b.test",
            "2u:A b.test",
            "2u:A c.test"
        ]
    );
    world.now += Duration::from_secs(30);
    world.resolve("A d.test");
    world.resolve("A e.test");
    assert_eq!(world.sent[5..], ["1u:A d.test", "1u:A e.test"]);
}

#[test]
fn timeouts_grow_by_round_and_end_in_all() {
    let mut world = world(script(&[]));
    let start = world.now;
    world.resolve("A b.test");
    // Two servers: 2 s and 4 s each over UDP, then TCP until 20 s are over, less what fits.
    let took = world.now - start;
    assert!(
        (Duration::from_secs(20)..Duration::from_secs(21)).contains(&took),
        "{took:?}"
    );
    let mut config = Config::new(servers(1));
    config.query_timeout = Duration::from_secs(5);
    let mut world = World::new(config, script(&[]));
    let start = world.now;
    world.resolve("A b.test");
    assert_eq!(world.sent, ["1u:A b.test", "1u:A b.test"]);
    assert_eq!(world.now - start, Duration::from_secs(5));
}

#[test]
fn a_stream_in_any_pieces_gives_the_same_answer() {
    let run = |pieces: usize| {
        let mut world = world(script(&[("udp A b.test", "tc")]));
        let query = world.ask("A b.test");
        let transmit = world.resolver.poll_transmit().unwrap();
        let message = hickory_proto::op::Message::from_vec(&transmit.bytes).unwrap();
        let (from, answer) = support::build(transmit.server, &message, "tc");
        world
            .resolver
            .handle_datagram(world.now, transmit.socket, from, &answer);
        assert_eq!(world.resolver.poll_close(), Some(transmit.socket));
        let transmit = world.resolver.poll_transmit().unwrap();
        assert_eq!(transmit.transport, Transport::Tcp);
        let message = hickory_proto::op::Message::from_vec(&transmit.bytes[2..]).unwrap();
        let (_, answer) = support::build(
            transmit.server,
            &message,
            "b.test 9 A 192.0.2.1 | b.test 9 A 192.0.2.2",
        );
        let mut stream = u16::try_from(answer.len()).unwrap().to_be_bytes().to_vec();
        stream.extend_from_slice(&answer);
        for piece in stream.chunks(pieces) {
            assert_eq!(world.resolver.poll_answer(), None);
            world.resolver.handle_stream(world.now, transmit.socket, piece);
        }
        let (answered, answer) = world.resolver.poll_answer().unwrap();
        assert_eq!(answered, query);
        render(&answer)
    };
    for pieces in 1..80 {
        assert_eq!(run(pieces), "b.test indeterminate 9s: 192.0.2.1, 192.0.2.2");
    }
}

#[test]
fn a_stream_that_ends_early_or_promises_too_much_is_given_up() {
    let last_word = |stream: &[u8], close: bool| {
        let mut config = Config::new(servers(1));
        config.rounds = 1;
        let mut world = World::new(config, script(&[("udp A b.test", "tc")]));
        world.ask("A b.test");
        world.exchange();
        let transmit = core::iter::from_fn(|| world.resolver.poll_transmit()).last();
        assert!(transmit.is_none(), "the exchange took it");
        let socket = *world.sockets.last().unwrap();
        world.resolver.handle_stream(world.now, socket, stream);
        if close {
            world.resolver.handle_closed(world.now, socket);
        }
        failure(&world.resolver.poll_answer().unwrap().1)
    };
    assert_eq!(last_word(b"", true), FailureKind::Unreachable);
    assert_eq!(last_word(b"\0\x20half", true), FailureKind::Unreachable);
    assert_eq!(last_word(b"\xff\xff", false), FailureKind::Malformed);
    assert_eq!(last_word(b"\0\0", false), FailureKind::Malformed);
    assert_eq!(last_word(b"\0\x05hello", false), FailureKind::Malformed);
}

#[test]
fn an_answer_larger_than_the_limit_is_refused() {
    let records: Vec<String> = (0..300)
        .map(|i| format!("b.test 9 AAAA 2001:db8::{i:x}"))
        .collect();
    let reaction = records.join(" | ");
    let run = |max_message| {
        let mut config = Config::new(servers(1));
        config.max_message = max_message;
        World::new(
            config,
            script(&[("udp AAAA b.test", "tc"), ("tcp AAAA b.test", &reaction)]),
        )
        .resolve("AAAA b.test")
    };
    assert_eq!(run(16_384).records().len(), 300);
    assert_eq!(failure(&run(4096)), FailureKind::Malformed);
}

#[test]
fn resolv_conf_is_read() {
    let text = "# comment\nsearch b.test\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver 2001:db8::1\n\
                nameserver 192.0.2.3\nnameserver 192.0.2.4\noptions timeout:7 attempts:2 rotate\n";
    let config = Config::from_resolv_conf(text);
    let addresses: Vec<String> = config
        .servers
        .iter()
        .map(|server| server.address.to_string())
        .collect();
    assert_eq!(addresses, ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.3:53"]);
    assert_eq!((config.udp_timeout, config.rounds), (Duration::from_secs(7), 2));
    assert!(config.servers.iter().all(|server| !server.trust_ad));
    assert!(Config::from_resolv_conf("options trust-ad\nnameserver ::1").servers[0].trust_ad);
    let config = Config::from_resolv_conf("nameserver nonsense\noptions timeout:x attempts:0\n");
    assert_eq!(config.servers[0].address.to_string(), "127.0.0.1:53");
    assert_eq!((config.udp_timeout, config.rounds), (Duration::from_secs(2), 1));
}

#[test]
fn questions_print_as_in_logs() {
    assert_eq!(question("MX Example.ORG.").to_string(), "Example.ORG MX");
}
