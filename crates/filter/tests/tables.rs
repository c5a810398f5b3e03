//! Lists in the DNS, greylisting, rate limits, and what rspamd says.

use mailwright_filter::dns_list::{CodePattern, List, Listing, weigh};
use mailwright_filter::greylist::{self, Answer, Greylist};
use mailwright_filter::rate::{Limiter, Rate};
use mailwright_filter::{Error, client_network, rspamd};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn v4(text: &str) -> Ipv4Addr {
    text.parse().expect("an address")
}

#[test]
fn names_of_lists_are_those_of_the_rfc() {
    // RFC 5782 §2.1 and §2.4.
    assert_eq!(
        List::new("bad.example.com", 1.0).name(ip("192.0.2.99")),
        "99.2.0.192.bad.example.com"
    );
    assert_eq!(
        List::new("bad.example.com.", 1.0).name(ip("::ffff:192.0.2.99")),
        "99.2.0.192.bad.example.com"
    );
    assert_eq!(
        List::new("ugly.example.com", 1.0).name(ip("2001:db8:1:2:3:4:567:89ab")),
        "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ugly.example.com"
    );
}

#[test]
fn answers_of_lists_are_weighed() {
    let any = List::new("any.example", 2.0);
    assert_eq!(any.listing(&[]), Listing::NotListed);
    assert_eq!(any.listing(&[v4("127.0.0.2")]), Listing::Listed);
    // A resolver that makes up answers, and a list that refuses to give one.
    assert_eq!(any.listing(&[v4("203.0.113.7")]), Listing::Broken);
    assert_eq!(any.listing(&[v4("127.255.255.254")]), Listing::Broken);
    let codes = ["127.0.0.2-3", "127.0.*.9"].map(|code| code.parse().expect("a pattern"));
    let some = List::new("some.example", -1.5).with_codes(codes.to_vec());
    assert_eq!(some.listing(&[v4("127.0.0.4")]), Listing::NotListed);
    assert_eq!(some.listing(&[v4("127.0.0.4"), v4("127.0.7.9")]), Listing::Listed);
    assert_eq!(weigh([(&any, Listing::Listed), (&some, Listing::Listed)]), 0.5);
    assert_eq!(weigh([(&any, Listing::Broken), (&some, Listing::NotListed)]), 0.0);
    for wrong in [
        "",
        "127.0.0",
        "127.0.0.2.3",
        "127.0.0.3-2",
        "127.0.0.256",
        "192.0.2.1",
        "*.0.0.1",
    ] {
        assert!(wrong.parse::<CodePattern>().is_err(), "{wrong}");
    }
}

#[test]
fn networks_of_clients() {
    assert_eq!(client_network(ip("192.0.2.99"), 24, 64), ip("192.0.2.0"));
    assert_eq!(client_network(ip("::ffff:192.0.2.99"), 24, 64), ip("192.0.2.0"));
    assert_eq!(
        client_network(ip("2001:db8:1:2:3::4"), 24, 64),
        ip("2001:db8:1:2::")
    );
    assert_eq!(client_network(ip("192.0.2.99"), 32, 64), ip("192.0.2.99"));
    assert_eq!(client_network(ip("192.0.2.99"), 0, 0), ip("0.0.0.0"));
}

#[test]
fn strangers_wait_and_friends_do_not() {
    let mut list = Greylist::new(greylist::Config::default());
    let network = ip("192.0.2.0");
    let minute = 60;
    let check = |list: &mut Greylist, recipient: &str, now| list.check(network, "a@a.test", recipient, now);
    assert_eq!(
        check(&mut list, "b@b.test", 0),
        Answer::Later(Duration::from_secs(300))
    );
    assert_eq!(
        check(&mut list, "B@b.test", 2 * minute),
        Answer::Later(Duration::from_secs(180))
    );
    assert_eq!(check(&mut list, "b@b.test", 5 * minute), Answer::Pass);
    assert_eq!(check(&mut list, "b@b.test", 6 * minute), Answer::Pass);
    // Others of this network wait until so many have passed.
    for n in 0..4 {
        let recipient = format!("{n}@b.test");
        assert_ne!(check(&mut list, &recipient, 10 * minute), Answer::Pass);
        assert_eq!(check(&mut list, &recipient, 16 * minute), Answer::Pass);
    }
    assert_eq!(check(&mut list, "stranger@b.test", 20 * minute), Answer::Pass);
    assert_ne!(
        list.check(ip("198.51.100.0"), "a@a.test", "b@b.test", 20 * minute),
        Answer::Pass
    );
    // Who never came back is a stranger again, and so is a friend after long silence.
    let day = 24 * 60 * minute;
    assert_ne!(
        list.check(ip("198.51.100.0"), "a@a.test", "b@b.test", 30 * day),
        Answer::Pass
    );
    assert_eq!(check(&mut list, "b@b.test", 30 * day), Answer::Pass);
    assert_ne!(check(&mut list, "b@b.test", 70 * day), Answer::Pass);
}

#[test]
fn the_greylist_is_bounded_and_survives_a_restart() {
    let mut config = greylist::Config::default();
    config.capacity = 100;
    let mut list = Greylist::new(config.clone());
    for n in 0..1000 {
        list.check(ip("192.0.2.0"), &format!("{n}@a.test"), "b@b.test", n);
        assert!(list.len() <= 100);
    }
    list.check(ip("2001:db8::"), "\"a b\"@a.test", "b\n@b.test", 1000);
    let text = list.print();
    let mut again = Greylist::new(config);
    again.read(&text);
    again.read("nonsense\n1 2\n1 2 99999999999 192.0.2.1 a b\n1 2 3 address a b\n");
    assert_eq!(again.print(), text);
    assert_eq!(
        again.check(ip("192.0.2.0"), "999@a.test", "b@b.test", 2000),
        Answer::Pass
    );
    assert_ne!(
        again.check(ip("192.0.2.0"), "0@a.test", "b@b.test", 2000),
        Answer::Pass
    );
    assert!(again.changes() > 0 && !again.is_empty());
}

#[test]
fn controls_make_no_other_entry_of_the_greylist() {
    let mut list = Greylist::new(greylist::Config::default());
    list.read("0 9 1 192.0.2.0 \0\0\n0 9 1 192.0.2.0 a\0b\n0 9 1 192.0.2.0 ab\n");
    let mut again = Greylist::new(greylist::Config::default());
    again.read(&list.print());
    assert_eq!((again.len(), again.print()), (2, list.print()));
}

#[test]
fn buckets_fill_evenly() {
    #[allow(clippy::disallowed_methods)] // a test brings the clock
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut limiter = Limiter::new(Rate::new(3, Duration::from_secs(30)), 10);
    for _ in 0..3 {
        assert_eq!(limiter.check(&"a", at(0)), Ok(()));
        assert_eq!(limiter.take("a", 1, at(0)), Ok(()));
    }
    assert_eq!(limiter.check(&"a", at(0)), Err(Duration::from_secs(10)));
    assert_eq!(limiter.take("a", 1, at(4)), Err(Duration::from_secs(6)));
    assert_eq!(limiter.take("b", 2, at(4)), Ok(()));
    assert_eq!(limiter.take("a", 1, at(10)), Ok(()));
    assert_eq!(limiter.take("a", 1, at(10)), Err(Duration::from_secs(10)));
    // More than a bucket holds is taken when it is full.
    assert_eq!(limiter.take("a", 9, at(10)), Err(Duration::from_secs(30)));
    assert_eq!(limiter.take("a", 9, at(40)), Ok(()));
}

proptest! {
    #[test]
    fn no_key_gets_more_than_its_rate_and_the_table_is_bounded(
        events in prop::collection::vec((0..5u8, 0..20u64), 1..200),
    ) {
        #[allow(clippy::disallowed_methods)] // a test brings the clock
        let start = Instant::now();
        let mut limiter = Limiter::new(Rate::new(4, Duration::from_secs(40)), 5);
        let (mut now, mut taken) = (0, vec![Vec::new(); 5]);
        for (key, pause) in events {
            now += pause;
            if limiter.take(key, 1, start + Duration::from_secs(now)).is_ok() {
                taken[usize::from(key)].push(now);
            }
            prop_assert!(limiter.len() <= 5);
        }
        for times in taken {
            // A bucket of four that fills every ten seconds.
            for (n, from) in times.iter().enumerate() {
                let within = times[n..].iter().filter(|at| **at - from < 40).count();
                prop_assert!(within <= 8, "{times:?}");
                let burst = times[n..].iter().filter(|at| **at - from < 10).count();
                prop_assert!(burst <= 5, "{times:?}");
            }
        }
    }

    #[test]
    fn names_of_ipv6_lists_read_back(bits in any::<u128>()) {
        let address = std::net::Ipv6Addr::from_bits(bits);
        prop_assume!(address.to_ipv4_mapped().is_none());
        let name = List::new("l.test", 1.0).name(address.into());
        let nibbles: String = name.strip_suffix("l.test").expect("the zone").split('.').collect();
        let back: String = nibbles.chars().rev().collect();
        prop_assert_eq!(u128::from_str_radix(&back, 16), Ok(bits));
    }
}

#[test]
fn tokens_are_given_back_as_far_as_they_are_missing() {
    #[allow(clippy::disallowed_methods)] // a test brings the clock
    let start = Instant::now();
    let mut limiter = Limiter::new(Rate::new(3, Duration::from_secs(30)), 10);
    assert_eq!(limiter.taken(&"a", start), 0);
    for taken in 1..=3 {
        assert!(limiter.take("a", 1, start).is_ok());
        assert_eq!(limiter.taken(&"a", start), taken);
    }
    assert!(limiter.take("a", 1, start).is_err());
    limiter.give_back(&"a", 1, start);
    assert_eq!(limiter.taken(&"a", start), 2);
    assert_eq!(
        limiter.taken(&"a", start + Duration::from_secs(1)),
        2,
        "one is on its way"
    );
    assert_eq!(limiter.taken(&"a", start + Duration::from_secs(10)), 1);
    limiter.give_back(&"a", u32::MAX, start);
    assert_eq!((limiter.taken(&"a", start), limiter.len()), (0, 0));
    limiter.give_back(&"a", 5, start);
    for _ in 0..3 {
        assert!(limiter.take("a", 1, start).is_ok(), "no more than there can be");
    }
    assert!(limiter.take("a", 1, start).is_err());
}

#[test]
fn a_flood_of_keys_does_not_grow_the_table() {
    #[allow(clippy::disallowed_methods)] // a test brings the clock
    let now = Instant::now();
    let mut limiter = Limiter::new(Rate::new(1, Duration::from_secs(3600)), 100);
    assert!(limiter.is_empty());
    for key in 0..10_000 {
        assert_eq!(limiter.take(key, 1, now), Ok(()));
        assert!(limiter.len() <= 100);
    }
    assert!(limiter.take(9_999, 1, now).is_err());
    // All are full again in time, and forgotten.
    let later = now + Duration::from_secs(3600);
    for key in 0..200 {
        assert_eq!(limiter.take(key, 1, later), Ok(()));
    }
}

#[test]
fn answers_of_rspamd_are_read() {
    let body = br#"{
        "is_skipped": false, "score": 7.25, "required_score": 15.0, "action": "rewrite subject",
        "symbols": {"B": {"name": "B", "score": 3.5, "options": ["x"]}, "A": {"name": "A", "score": 3.75}},
        "messages": {"smtp_message": "Try\r\nagain"}, "subject": "*** SPAM *** hello",
        "dkim-signature": "v=1; a=rsa-sha256;\r\n\tb=abc",
        "milter": {
            "add_headers": {
                "X-Spam": {"value": "Yes", "order": 0},
                "X-Two": [{"value": "1\n 2", "order": -1}, "3"]
            },
            "remove_headers": {"X-Old": 0, "X-Some": [1, -1]},
            "change_from": "b@b.test", "add_rcpt": ["c@c.test"], "del_rcpt": "d@d.test"
        }
    }"#;
    let answer = rspamd::Answer::parse(body).expect("an answer");
    assert_eq!(answer.action, rspamd::Action::RewriteSubject);
    assert_eq!((answer.score, answer.required_score), (7.25, 15.0));
    assert_eq!(answer.symbols, [("A".to_owned(), 3.75), ("B".to_owned(), 3.5)]);
    assert_eq!(answer.smtp_message.as_deref(), Some("Try  again"));
    assert_eq!(answer.subject.as_deref(), Some("*** SPAM *** hello"));
    let added: Vec<_> = answer
        .add_headers
        .iter()
        .map(|header| (header.name.as_str(), header.value.as_str(), header.order))
        .collect();
    assert_eq!(
        added,
        [
            ("X-Spam", "Yes", Some(0)),
            ("X-Two", "1\r\n 2", Some(-1)),
            ("X-Two", "3", None)
        ]
    );
    let removed: Vec<_> = answer
        .remove_headers
        .iter()
        .map(|header| (header.name.as_str(), header.which))
        .collect();
    assert_eq!(removed, [("X-Old", 0), ("X-Some", 1), ("X-Some", -1)]);
    assert_eq!(answer.dkim_signatures, ["v=1; a=rsa-sha256;\r\n\tb=abc"]);
    assert_eq!(answer.change_from.as_deref(), Some("b@b.test"));
    assert_eq!(
        (answer.add_recipients, answer.remove_recipients),
        (vec!["c@c.test".into()], vec!["d@d.test".into()])
    );
    let other = |body: &str| rspamd::Answer::parse(body.as_bytes());
    let discard = other(r#"{"action":"reject","milter":{"reject":"discard"}}"#).expect("an answer");
    assert_eq!(discard.action, rspamd::Action::Discard);
    let none = other(r#"{"action":"reject","milter":{"no_action":true}}"#).expect("an answer");
    assert_eq!(none.action, rspamd::Action::NoAction);
    for (wrong, what) in [
        ("", "JSON"),
        ("[]", "JSON"),
        ("{}", "no action"),
        (r#"{"action":"explode"}"#, "action"),
        (
            r#"{"action":"reject","milter":{"add_headers":{"X Y":"a"}}}"#,
            "name of a field",
        ),
        (
            r#"{"action":"reject","milter":{"add_headers":{"X":"a\nBcc: b"}}}"#,
            "value of a field",
        ),
        (
            r#"{"action":"reject","milter":{"add_headers":{"X":1}}}"#,
            "value of a field",
        ),
        (
            r#"{"action":"reject","milter":{"remove_headers":{"X":"a"}}}"#,
            "number of a field",
        ),
    ] {
        assert_eq!(other(wrong), Err(Error::Malformed(what)), "{wrong}");
    }
}

#[test]
fn requests_to_rspamd_hold_no_line_breaks() {
    let recipients = ["b@b.test", "c@c.test\r\nPass: all"];
    let mut request = rspamd::Request::default();
    request.ip = Some(ip("::ffff:192.0.2.1"));
    request.helo = Some("client.test\n");
    request.from = "a@a.test";
    request.recipients = &recipients;
    request.queue_id = Some("id-1");
    request.user = Some("alice@a.test");
    request.mta_name = Some("mx.a.test");
    request.hostname = Some("client.test");
    request.tls = true;
    let headers = request.headers();
    assert!(headers.contains(&("IP", "192.0.2.1".to_owned())));
    assert!(headers.contains(&("Rcpt", "c@c.testPass: all".to_owned())));
    assert!(headers.iter().all(|(_, value)| !value.contains(['\r', '\n'])));
    assert_eq!(headers.iter().filter(|(name, _)| *name == "Rcpt").count(), 2);
}
