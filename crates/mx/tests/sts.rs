//! Policies and the memory for them, over time (RFC 8461).
#![allow(clippy::unwrap_used)]

mod support;

use core::time::Duration;
use mailwright_mx::sts::{
    Announced, Cache, CacheConfig, Fetch, FetchError, Id, Known, Lookup, Mode, Pattern, Policy, PolicyError,
    Request,
};
use support::name;

const DAY: u64 = 86_400;
const START: u64 = 1_795_392_000;

fn policy(mode: &str, host: &str, max_age: u64) -> Policy {
    let text = format!("version: STSv1\nmode: {mode}\nmx: {host}\nmax_age: {max_age}\n");
    Policy::parse(text.as_bytes()).unwrap()
}

fn request(id: &str) -> Request {
    let record = match id {
        "" => Announced::Nothing,
        id => Announced::Id(Id::parse(id).unwrap()),
    };
    Request::new(name("b.test"), record)
}

/// What the cache says: `fetch`, or the first host of the policy and the error.
fn ask(cache: &Cache, now: u64, id: &str) -> String {
    match cache.lookup(now, &request(id)) {
        Lookup::Fetch(fetch) => format!("fetch {}", fetch.id),
        Lookup::Known(known) => said(&known),
    }
}

fn said(known: &Known) -> String {
    let policy = known
        .policy
        .as_ref()
        .map_or("none".into(), |policy| policy.patterns()[0].to_string());
    match known.error {
        Some(error) => format!("{policy}: {error}"),
        None => policy,
    }
}

fn fetched(cache: &mut Cache, now: u64, id: &str, result: Result<Policy, FetchError>) -> String {
    let Lookup::Fetch(fetch) = cache.lookup(now, &request(id)) else {
        panic!("nothing is fetched")
    };
    assert_eq!(fetch.url(), "https://mta-sts.b.test/.well-known/mta-sts.txt");
    said(&cache.fetched(now, &fetch, result))
}

#[test]
fn a_policy_holds_until_its_age_is_over() {
    let mut cache = Cache::default();
    assert_eq!(ask(&cache, START, ""), "none");
    assert_eq!(ask(&cache, START, "a"), "fetch a");
    assert_eq!(
        fetched(
            &mut cache,
            START,
            "a",
            Ok(policy("enforce", "mx.b.test", 7 * DAY))
        ),
        "mx.b.test"
    );
    for (after, id, said) in [
        (0, "a", "mx.b.test"),
        (6 * DAY - 1, "a", "mx.b.test"),
        // In good time before the end it is fetched again.
        (6 * DAY, "a", "fetch a"),
        (7 * DAY - 1, "", "mx.b.test"),
        (7 * DAY, "", "none"),
        (7 * DAY, "a", "fetch a"),
        (1, "b", "fetch b"),
    ] {
        assert_eq!(ask(&cache, START + after, id), said, "{after} {id}");
    }
}

#[test]
fn a_failure_leaves_the_policy_and_is_not_repeated_at_once() {
    let mut cache = Cache::default();
    fetched(
        &mut cache,
        START,
        "a",
        Ok(policy("enforce", "mx.b.test", 7 * DAY)),
    );
    let failed = "mx.b.test: the policy host took too long";
    assert_eq!(
        fetched(&mut cache, START + 10, "b", Err(FetchError::Timeout)),
        failed
    );
    let recently = "mx.b.test: the policy could not be fetched a short while ago";
    assert_eq!(ask(&cache, START + 11, "b"), recently);
    assert_eq!(ask(&cache, START + 309, "b"), recently);
    assert_eq!(ask(&cache, START + 310, "b"), "fetch b");
    // The id it was fetched with is as good as before.
    assert_eq!(ask(&cache, START + 11, "a"), "mx.b.test");
    // While the refresh of a known id fails, that is no error yet.
    let late = START + 6 * DAY;
    assert_eq!(
        fetched(&mut cache, late, "a", Err(FetchError::Unreachable)),
        "mx.b.test: the policy host cannot be reached"
    );
    assert_eq!(ask(&cache, late + 1, "a"), "mx.b.test");
    assert_eq!(ask(&cache, START + 7 * DAY, "a"), "fetch a");
}

#[test]
fn a_domain_without_a_policy_is_left_alone_for_a_while() {
    let mut cache = Cache::default();
    fetched(&mut cache, START, "a", Err(FetchError::Status(404)));
    assert_eq!(
        ask(&cache, START + 299, "a"),
        "none: the policy could not be fetched a short while ago"
    );
    assert_eq!(ask(&cache, START + 300, "a"), "fetch a");
    assert_eq!(cache.len(), 1);
}

#[test]
fn mode_none_takes_a_policy_back() {
    let mut cache = Cache::default();
    fetched(
        &mut cache,
        START,
        "a",
        Ok(policy("enforce", "mx.b.test", 7 * DAY)),
    );
    assert_eq!(
        fetched(&mut cache, START, "b", Ok(policy("none", "mx.b.test", DAY))),
        "none"
    );
    assert_eq!(ask(&cache, START, "b"), "none");
    assert_eq!(ask(&cache, START, ""), "none");
}

#[test]
fn a_short_life_is_renewed_in_its_second_half() {
    let mut cache = Cache::default();
    fetched(&mut cache, START, "a", Ok(policy("enforce", "mx.b.test", 100)));
    assert_eq!(ask(&cache, START + 49, "a"), "mx.b.test");
    assert_eq!(ask(&cache, START + 50, "a"), "fetch a");
    // And with no life at all it serves once.
    fetched(
        &mut cache,
        START + 200,
        "a",
        Ok(policy("enforce", "mx.b.test", 0)),
    );
    assert_eq!(ask(&cache, START + 200, "a"), "fetch a");
}

#[test]
fn the_cache_keeps_its_limit() {
    let mut config = CacheConfig::default();
    config.max_entries = 10;
    let mut cache = Cache::new(config);
    for i in 0..100u64 {
        let request = Request::new(
            name(&format!("d{i}.test")),
            Announced::Id(Id::parse("a").unwrap()),
        );
        let Lookup::Fetch(fetch) = cache.lookup(START, &request) else {
            panic!()
        };
        cache.fetched(START, &fetch, Ok(policy("enforce", "mx.b.test", 1000 + i)));
        assert!(cache.len() <= 10);
    }
    // Those that would have ended first are gone.
    let kept = cache.print();
    assert!(
        kept.contains("domain: d99.test\n") && kept.contains("domain: d90.test\n") && !kept.contains("d89")
    );
}

#[test]
fn what_is_printed_is_read_back() {
    let mut cache = Cache::default();
    fetched(&mut cache, START, "a", Ok(policy("enforce", "*.b.test", 7 * DAY)));
    let request = Request::new(name("c.test"), Announced::Id(Id::parse("z9").unwrap()));
    let Lookup::Fetch(fetch) = cache.lookup(START, &request) else {
        panic!()
    };
    cache.fetched(START, &fetch, Ok(policy("testing", "mx.c.test", DAY)));
    let text = cache.print();
    let mut after = Cache::default();
    assert_eq!(after.read(START + 10, &text), 2);
    assert_eq!(after.print(), text);
    assert_eq!(ask(&after, START + 10, "a"), "*.b.test");
    // What has expired meanwhile is left out, and so is what cannot be read.
    let mut late = Cache::default();
    assert_eq!(late.read(START + 2 * DAY, &text), 1);
    let mut broken = Cache::default();
    let halves = text.replace("fetched: ", "fetched: x").replacen("x", "", 1);
    assert_eq!(broken.read(START, &halves), 1);
    assert_eq!(broken.read(START, "domain: b.test\nid: a\n"), 0);
    // A date in the future does not make a policy hold longer than its age.
    let mut early = Cache::default();
    assert_eq!(early.read(START - 100 * DAY, &text), 2);
    assert_eq!(ask(&early, START - 93 * DAY, ""), "none");
}

#[test]
fn policies_are_read_strictly_where_it_matters() {
    let read = |text: &str| {
        Policy::parse(text.as_bytes()).map(|p| (p.mode(), p.max_age().as_secs(), p.patterns().len()))
    };
    let ok = |mode, age, hosts| Ok((mode, age, hosts));
    for (text, result) in [
        (
            "version: STSv1\r\nmode: enforce\r\nmx: a.b.test\r\nmx: *.c.test\r\nmax_age: 1\r\n",
            ok(Mode::Enforce, 1, 2),
        ),
        (
            "max_age:1\nmode:testing\nmx:a.b.test\nversion:STSv1",
            ok(Mode::Testing, 1, 1),
        ),
        ("version: STSv1\nmode: none\nmax_age: 0", ok(Mode::None, 0, 0)),
        (
            "version: STSv1\nmode: enforce\nmode: none\nmx: a\nmax_age: 5\nmax_age: 6",
            ok(Mode::Enforce, 5, 1),
        ),
        (
            "version: STSv1\nmode: enforce\nmx: a\nmax_age: 9999999999",
            ok(Mode::Enforce, 31_557_600, 1),
        ),
        (
            "version: STSv1\n\nmode: enforce\nnew-field: x: y\nmx: a\nmax_age: 5",
            ok(Mode::Enforce, 5, 1),
        ),
        ("", Err(PolicyError::Version)),
        (
            "version: STSv2\nmode: enforce\nmx: a\nmax_age: 5",
            Err(PolicyError::Version),
        ),
        (
            "version: STSv1\nmode: Enforce\nmx: a\nmax_age: 5",
            Err(PolicyError::Mode),
        ),
        ("version: STSv1\nmx: a\nmax_age: 5", Err(PolicyError::Mode)),
        ("version: STSv1\nmode: enforce\nmx: a", Err(PolicyError::MaxAge)),
        (
            "version: STSv1\nmode: enforce\nmx: a\nmax_age: -5",
            Err(PolicyError::MaxAge),
        ),
        (
            "version: STSv1\nmode: enforce\nmx: a\nmax_age: 5d",
            Err(PolicyError::MaxAge),
        ),
        (
            "version: STSv1\nmode: enforce\nmx: a\nmax_age: 12345678901",
            Err(PolicyError::MaxAge),
        ),
        (
            "version: STSv1\nmode: enforce\nmax_age: 5",
            Err(PolicyError::Patterns),
        ),
        (
            "version: STSv1\nmode: enforce\nmx: a b\nmax_age: 5",
            Err(PolicyError::Pattern),
        ),
        (
            "version: STSv1\nmode: enforce\nmx: *\nmax_age: 5",
            Err(PolicyError::Pattern),
        ),
        (
            "version: STSv1\nmode: enforce\nmx:\nmax_age: 5",
            Err(PolicyError::Pattern),
        ),
        (
            "version: STSv1\nmode: enforce\nmx: b\u{fc}cher.test\nmax_age: 5",
            Err(PolicyError::Pattern),
        ),
        ("version: STSv1\nmode", Err(PolicyError::NoField)),
    ] {
        assert_eq!(read(text), result, "{text:?}");
    }
    assert_eq!(Policy::parse(b"version: \xff"), Err(PolicyError::NotText));
    let many = format!(
        "version: STSv1\nmode: enforce\nmax_age: 5\n{}",
        "mx: a\n".repeat(1001)
    );
    assert_eq!(read(&many), Err(PolicyError::Patterns));
}

#[test]
fn patterns_match_whole_labels() {
    for (pattern, host, matches) in [
        ("mx.b.test", "MX.b.test", true),
        ("mx.b.test", "a.mx.b.test", false),
        ("*.b.test", "mx.b.test", true),
        ("*.b.test", "a.mx.b.test", false),
        ("*.b.test", "b.test", false),
        ("*.b.test", "mxb.test", false),
    ] {
        assert_eq!(
            Pattern::parse(pattern).unwrap().matches(&name(host)),
            matches,
            "{pattern} {host}"
        );
    }
    for pattern in ["", ".", "*.", "*.*.b.test", "mx*.b.test", "a..b", "a/b"] {
        assert_eq!(Pattern::parse(pattern), None, "{pattern}");
    }
}

#[test]
fn what_a_web_server_says_is_looked_at_closely() {
    let body = b"version: STSv1\nmode: enforce\nmx: a\nmax_age: 5\n";
    assert!(Fetch::read(200, Some("Text/Plain; charset=us-ascii"), body).is_ok());
    for (status, content_type, body, error) in [
        (204, Some("text/plain"), &body[..], FetchError::Status(204)),
        (301, Some("text/plain"), body, FetchError::Status(301)),
        (200, None, body, FetchError::ContentType),
        (200, Some("text/html"), body, FetchError::ContentType),
        (200, Some("text/plainer"), body, FetchError::ContentType),
        (
            200,
            Some("text/plain"),
            &[b' '; Fetch::MAX_BODY + 1],
            FetchError::TooLarge,
        ),
        (
            200,
            Some("text/plain"),
            b"",
            FetchError::Invalid(PolicyError::Version),
        ),
    ] {
        assert_eq!(Fetch::read(status, content_type, body), Err(error));
    }
    assert_eq!(Fetch::TIMEOUT, Duration::from_secs(60));
}
