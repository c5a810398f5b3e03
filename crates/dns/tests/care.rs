//! What the resolver does when servers fail, lie, or are flooded with guesses.
#![allow(clippy::unwrap_used)]

mod support;

use core::time::Duration;
use mailwright_dns::{
    Answer, Config, Failure, FailureKind, Health, Name, Negative, Question, Record, RecordType, Records,
    Security, SelfTest, Server, Verdict,
};
use support::{World, question, render, script, servers};

fn config() -> Config {
    Config::new(servers(2))
}

fn stale_config() -> Config {
    let mut config = config();
    config.serve_stale = Duration::from_secs(86_400);
    config
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn old_answers_are_given_while_nobody_can_be_asked() {
    for reaction in ["silence", "servfail", "refused", "fail"] {
        let rows = [("#1 A b.test", "b.test 60 A 192.0.2.1"), ("A b.test", reaction)];
        let mut world = World::new(stale_config(), script(&rows));
        let fresh = world.resolve("A b.test");
        assert!(!fresh.is_stale());
        world.now += seconds(61);
        let stale = world.resolve("A b.test");
        assert!(stale.is_stale(), "{reaction}: {stale:?}");
        assert_eq!(
            render(&stale),
            "b.test indeterminate 30s: 192.0.2.1",
            "{reaction}"
        );
        // For half a minute nobody is asked again.
        let sent = world.sent.len();
        world.now += seconds(29);
        assert!(world.resolve("A b.test").is_stale());
        assert_eq!(world.sent.len(), sent);
        world.now += seconds(2);
        assert!(world.resolve("A b.test").is_stale());
        assert!(world.sent.len() > sent);
        assert_eq!(world.resolver.stats().stale, 2);
        // And not for ever.
        world.now += seconds(86_400);
        assert!(world.resolve("A b.test").failure().is_some(), "{reaction}");
    }
}

#[test]
fn a_fresh_answer_takes_the_place_of_an_old_one() {
    let rows = [
        ("#1 A b.test", "b.test 60 A 192.0.2.1"),
        ("s1 #2 A b.test", "servfail"),
        ("s2 #3 A b.test", "servfail"),
        ("A b.test", "b.test 60 A 192.0.2.2"),
    ];
    let mut world = World::new(stale_config(), script(&rows));
    world.resolve("A b.test");
    world.now += seconds(61);
    assert!(world.resolve("A b.test").is_stale());
    world.now += seconds(31);
    assert_eq!(
        render(&world.resolve("A b.test")),
        "b.test indeterminate 60s: 192.0.2.2"
    );
}

#[test]
fn old_denials_are_answers_too() {
    let rows = [
        ("#1 MX b.test", "nxdomain | auth test 60 SOA 60"),
        ("MX b.test", "silence"),
    ];
    let mut world = World::new(stale_config(), script(&rows));
    assert!(matches!(world.resolve("MX b.test"), Answer::NxDomain(_)));
    world.now += seconds(61);
    let answer = world.resolve("MX b.test");
    assert!(matches!(answer, Answer::NxDomain(_)) && answer.is_stale());
}

#[test]
fn old_answers_do_not_stand_in_where_validation_fails() {
    let rows = [
        ("#1 A b.test", "b.test 60 A 192.0.2.1 | ad"),
        ("A b.test", "servfail | ede 6"),
    ];
    let mut config = stale_config();
    config.servers = vec![servers(1)[0].trusted()];
    let mut world = World::new(config, script(&rows));
    assert_eq!(world.resolve("A b.test").security(), Security::Secure);
    world.now += seconds(61);
    assert_eq!(world.resolve("A b.test").security(), Security::Bogus);
    // What its owner revoked does not come back later either.
    world.now += seconds(10);
    assert!(world.resolve("A b.test").failure().is_some());
}

#[test]
fn old_answers_are_not_given_unasked() {
    let rows = [("#1 A b.test", "b.test 60 A 192.0.2.1"), ("A b.test", "silence")];
    let mut world = World::new(config(), script(&rows));
    world.resolve("A b.test");
    world.now += seconds(61);
    assert_eq!(
        world.resolve("A b.test").failure().unwrap().kind,
        FailureKind::Timeout
    );
}

#[test]
fn too_many_guesses_lead_to_tcp() {
    let mut guesses = vec!["id"; 17].join(" && ");
    guesses.push_str(" && b.test 9 A 192.0.2.66");
    let rows = [
        ("udp A b.test", guesses.as_str()),
        ("tcp A b.test", "b.test 9 A 192.0.2.1"),
        ("udp A few.test", "id && id && few.test 9 A 192.0.2.2"),
    ];
    let mut world = World::new(config(), script(&rows));
    assert_eq!(
        render(&world.resolve("A b.test")),
        "b.test indeterminate 9s: 192.0.2.1"
    );
    assert_eq!(world.sent, ["1u:A b.test", "1t:A b.test"]);
    let stats = world.resolver.stats();
    // What came behind the last one that was borne with belongs to no query any more.
    assert_eq!((stats.flooded, stats.wrong_id, stats.unrelated), (1, 17, 1));
    world.resolve("A few.test");
    assert_eq!(world.sent.len(), 3);
    assert_eq!(world.resolver.stats().flooded, 1);
}

#[test]
fn a_server_that_stays_silent_rests_longer_each_time() {
    let mut config = config();
    config.cache_entries = 0;
    config.max_server_rest = seconds(100);
    let mut world = World::new(config, script(&[("s2 A b.test", "b.test 0 A 192.0.2.1")]));
    let resting = |world: &World| -> Vec<Option<u64>> {
        let health = world.resolver.health(world.now);
        health
            .map(|health: Health| health.resting.map(|left| left.as_secs_f64().round() as u64))
            .collect()
    };
    let mut rests = Vec::new();
    for _ in 0..6 {
        world.resolve("A b.test");
        let rest = resting(&world)[0];
        rests.push(rest.unwrap_or(0));
        assert_eq!(resting(&world)[1], None);
        // While it rests the other one is asked first, and nobody waits.
        if rest.is_some() {
            let sent = world.sent.len();
            world.resolve("A b.test");
            assert_eq!(world.sent[sent..], ["2u:A b.test"]);
        }
        world.now += seconds(rest.unwrap_or(0) + 1);
    }
    assert_eq!(rests, [0, 30, 60, 100, 100, 100]);
    world.script = script(&[("A b.test", "b.test 0 A 192.0.2.1")]);
    world.resolve("A b.test");
    assert_eq!(world.resolver.health(world.now).next().unwrap().silent, 0);
}

#[test]
fn hosts_files_go_before_servers() {
    let mut config = config();
    let text = "\
# a comment
127.0.1.1\tmail.a.test mail   # ours
::1 ip6-localhost
192.0.2.1 mail.a.test
192.0.2.1 mail.a.test
fe80::1%eth0 link.test
nonsense here
192.0.2.7
";
    assert_eq!(config.add_hosts(text), 4);
    let mut world = World::new(config, script(&[]));
    let lines = ["A mail.a.test", "AAAA IP6-localhost", "AAAA mail", "A localhost"]
        .map(|asked| render(&world.resolve(asked)));
    assert_eq!(
        lines,
        [
            "mail.a.test insecure 86400s: 127.0.1.1, 192.0.2.1",
            "ip6-localhost insecure 86400s: ::1",
            "no data: mail insecure 10800s",
            "localhost insecure 86400s: 127.0.0.1",
        ]
    );
    assert!(world.sent.is_empty());
}

#[test]
fn the_self_test_tells_what_the_servers_are_worth() {
    let broken = question("A broken.test");
    // The root, the broken name, whether the server is declared trusted, and the verdict.
    let table = [
        (
            ". 60 SOA 60 | ad",
            "servfail",
            true,
            "the resolver validates DNSSEC",
        ),
        (
            ". 60 SOA 60 | ad",
            "servfail",
            false,
            "the resolver seems to validate DNSSEC, and is not declared trusted",
        ),
        (
            ". 60 SOA 60 | ad",
            "broken.test 60 A 192.0.2.1",
            true,
            "the resolver claims to validate DNSSEC, and takes forged answers",
        ),
        (
            ". 60 SOA 60",
            "servfail",
            true,
            "the resolver does not validate DNSSEC",
        ),
        (
            ". 60 SOA 60",
            "broken.test 60 A 192.0.2.1",
            false,
            "the resolver does not validate DNSSEC",
        ),
        (
            "silence",
            "silence",
            true,
            "whether the resolver validates DNSSEC is not known: timeout from 10.0.0.1:53",
        ),
        (
            "refused",
            "silence",
            true,
            "whether the resolver validates DNSSEC is not known: REFUSED from 10.0.0.1:53",
        ),
    ];
    for (root, other, trusted, verdict) in table {
        let server = servers(1)[0];
        let config = Config::new([if trusted { server.trusted() } else { server }]);
        let test = SelfTest::new(&config).with_broken(broken.clone());
        let mut world = World::new(
            test.config(&config),
            script(&[("SOA .", root), ("A broken.test", other)]),
        );
        let answers: Vec<_> = test
            .questions()
            .map(|question| {
                let answer = world.resolve(&format!("{} {}", question.record_type, question.name));
                (question.clone(), answer)
            })
            .collect();
        assert_eq!(test.verdict(&answers).to_string(), verdict);
    }
}

#[test]
fn the_self_test_goes_by_its_own_questions() {
    let config = Config::new([Server::new(([10, 0, 0, 1], 53).into()).trusted()]);
    let signed = question("SOA signed.test");
    let test = SelfTest::new(&config).with_signed(signed.clone());
    assert_eq!(test.questions().collect::<Vec<_>>(), [&signed]);
    let answers = [(
        signed.clone(),
        Answer::NoData(Negative::new(signed.name.clone(), Security::Secure)),
    )];
    assert_eq!(test.verdict(&answers), Verdict::Validates);
    assert_eq!(test.verdict(&[]), Verdict::NotValidating);
    // Mixed servers are as good as the worst.
    let mut mixed = config.clone();
    mixed.servers.push(Server::new(([10, 0, 0, 2], 53).into()));
    assert_eq!(
        SelfTest::new(&mixed).with_signed(signed).verdict(&answers),
        Verdict::NotTrusted
    );
}

#[test]
fn answers_made_by_hand_are_as_secure_as_said() {
    assert_eq!(Failure::bogus().security(), Security::Bogus);
    assert_eq!(
        Failure::new(FailureKind::ServFail).security(),
        Security::Indeterminate
    );
    let name = Name::parse("b.test").unwrap();
    let record = Record::A([192, 0, 2, 1].into());
    let records =
        Records::new(name.clone(), [record], Security::Insecure).with_first_security(Security::Secure);
    assert_eq!(
        (records.security(), records.first_security()),
        (Security::Insecure, Security::Secure)
    );
    let question = Question::new(name, RecordType::A);
    assert_eq!(question.to_string(), "b.test A");
}
