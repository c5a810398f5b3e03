//! The throttle of logins: whatever an attacker does, guesses are bounded, and the owner gets in.

use mailwright_filter::rate::Rate;
use mailwright_server::accounts::throttle::{Attempt, Throttle, Verdict};
use mailwright_server::config::LoginLimits;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

const HOUR: Duration = Duration::from_secs(3600);

fn limits() -> LoginLimits {
    let mut limits = LoginLimits::default();
    limits.failures_per_address = Some(Rate::new(5, HOUR));
    limits.failures_per_network = Some(Rate::new(8, HOUR));
    limits.failures_per_account = Some(Rate::new(10, HOUR));
    limits.failures_per_known_place = Some(Rate::new(6, HOUR));
    limits
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn attempt(name: &str, address: IpAddr) -> Attempt<'_> {
    Attempt {
        name,
        exists: name != "nobody",
        address,
    }
}

/// How many of many attempts in a row are let through.
fn guesses(throttle: &mut Throttle, name: &str, address: IpAddr, now: Instant) -> usize {
    let mut passes = 0;
    for _ in 0..100 {
        passes += usize::from(matches!(
            throttle.begin(&attempt(name, address), now),
            Verdict::After(..)
        ));
    }
    passes
}

fn log_in(throttle: &mut Throttle, name: &str, address: IpAddr, now: Instant) -> Option<Duration> {
    match throttle.begin(&attempt(name, address), now) {
        Verdict::After(delay, ticket) => {
            throttle.succeeded(&attempt(name, address), Some(ticket), now, 0);
            Some(delay)
        }
        Verdict::Refused(_) => None,
    }
}

#[test]
fn addresses_networks_and_accounts_are_counted() {
    let (mut throttle, now) = (Throttle::new(limits()), Instant::now());
    assert_eq!(
        guesses(&mut throttle, "a", ip("192.0.2.1"), now),
        5,
        "of an address"
    );
    assert_eq!(
        guesses(&mut throttle, "b", ip("192.0.2.2"), now),
        3,
        "of its network"
    );
    assert_eq!(
        guesses(&mut throttle, "c", ip("192.0.2.3"), now),
        0,
        "the network is full"
    );
    assert_eq!(
        guesses(&mut throttle, "a", ip("198.51.100.1"), now),
        5,
        "of an account"
    );
    assert_eq!(
        guesses(&mut throttle, "a", ip("203.0.113.1"), now),
        0,
        "the account is full"
    );
    let v6 = |n: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]);
    let all: usize = (0..50).map(|n| guesses(&mut throttle, "d", v6(n), now)).sum();
    assert_eq!(all, 8, "a /64 is one network, whatever addresses it takes");
    let mapped = ip("::ffff:192.0.2.1");
    assert_eq!(
        guesses(&mut throttle, "e", mapped, now),
        0,
        "IPv4 in IPv6 clothes"
    );
}

#[test]
fn a_name_that_nobody_has_is_counted_like_one_that_somebody_has() {
    let (mut throttle, now) = (Throttle::new(limits()), Instant::now());
    for (n, name) in [(1, "somebody"), (2, "nobody")] {
        let passes =
            |throttle: &mut Throttle, net| guesses(throttle, name, IpAddr::from([10, n, net, 1]), now);
        let all: Vec<_> = (0..4).map(|net| passes(&mut throttle, net)).collect();
        assert_eq!(all, [5, 5, 0, 0], "{name}");
    }
}

#[test]
fn delays_grow_and_are_bounded() {
    let mut limits = limits();
    limits.failures_per_address = Some(Rate::new(100, HOUR));
    (limits.failures_per_network, limits.failures_per_account) = (None, None);
    let (mut throttle, now) = (Throttle::new(limits), Instant::now());
    let mut seconds = vec![];
    for _ in 0..9 {
        match throttle.begin(&attempt("a", ip("192.0.2.1")), now) {
            Verdict::After(delay, _) => seconds.push(delay.as_secs()),
            Verdict::Refused(_) => panic!("there are tokens"),
        }
    }
    assert_eq!(seconds, [0, 0, 0, 1, 2, 4, 5, 5, 5]);
}

#[test]
fn success_costs_nothing_and_forgives_what_the_account_failed_there_alone() {
    let (mut throttle, now) = (Throttle::new(limits()), Instant::now());
    let home = ip("192.0.2.1");
    for _ in 0..50 {
        assert!(
            log_in(&mut throttle, "a", home, now).is_some(),
            "success is no failure"
        );
    }
    // Somebody with an account of his own interleaves its logins with guesses: they forgive him nothing.
    let lair = ip("203.0.113.1");
    let mut passes = 0;
    for _ in 0..50 {
        assert!(log_in(&mut throttle, "mallory", lair, now).is_some());
        let verdict = throttle.begin(&attempt("victim", lair), now);
        passes += usize::from(matches!(verdict, Verdict::After(..)));
    }
    assert_eq!(passes, 5);
    // The owner mistypes, and gets it right: all is as before.
    for _ in 0..4 {
        assert!(matches!(
            throttle.begin(&attempt("a", home), now),
            Verdict::After(..)
        ));
    }
    assert!(log_in(&mut throttle, "a", home, now).is_some());
    assert_eq!(log_in(&mut throttle, "a", home, now), Some(Duration::ZERO));
}

#[test]
fn neighbours_cannot_use_up_an_address_that_the_account_knows() {
    let (mut throttle, now) = (Throttle::new(limits()), Instant::now());
    let (home, neighbour) = (ip("192.0.2.1"), ip("192.0.2.9"));
    log_in(&mut throttle, "a", home, now);
    assert!(
        guesses(&mut throttle, "a", neighbour, now) <= 6 + 5,
        "of the network, and as a stranger"
    );
    assert_eq!(
        guesses(&mut throttle, "b", home, now),
        3,
        "others at the same address fill the network"
    );
    assert_eq!(log_in(&mut throttle, "a", home, now), Some(Duration::ZERO));
    // A place of the same network that is new is known by it, but that is used up; as a stranger it is refused.
    assert_eq!(log_in(&mut throttle, "a", ip("192.0.2.20"), now), None);
}

#[test]
fn whoever_shares_the_address_of_the_owner_is_bounded_as_well() {
    let (mut throttle, now) = (Throttle::new(limits()), Instant::now());
    let home = ip("192.0.2.1");
    log_in(&mut throttle, "a", home, now);
    let mut passes = 0;
    for _ in 0..50 {
        passes += guesses(&mut throttle, "a", home, now);
        throttle.succeeded(&attempt("a", home), None, now, 0);
    }
    assert_eq!(passes, 6 * (1 + 4), "four pardons an hour");
}

#[test]
fn exempt_networks_are_counted_for_the_account_alone() {
    let (mut throttle, now) = (Throttle::new(limits()), Instant::now());
    let webmail = ip("127.0.0.1");
    for user in ["a", "b", "c", "d"] {
        assert_eq!(guesses(&mut throttle, user, webmail, now), 10, "{user}");
    }
    assert!(log_in(&mut throttle, "e", webmail, now).is_some());
}

#[test]
fn what_came_to_nothing_is_given_back() {
    let (mut throttle, now) = (Throttle::new(limits()), Instant::now());
    let from = ip("192.0.2.1");
    for _ in 0..100 {
        match throttle.begin(&attempt("a", from), now) {
            Verdict::After(_, ticket) => throttle.undone(ticket, now),
            Verdict::Refused(_) => panic!("nothing was used up"),
        }
    }
}

#[test]
fn places_are_kept_and_forgotten() {
    let mut throttle = Throttle::new(limits());
    for n in 0..40u8 {
        throttle.remember("a", IpAddr::from([10, 0, 0, n]), i64::from(n) * 1000);
    }
    throttle.remember("b", ip("192.0.2.1"), 5);
    assert!(throttle.has_changed() && !throttle.has_changed());
    throttle.remember("b", ip("192.0.2.1"), 6);
    assert!(!throttle.has_changed(), "an hour later is the same day");
    let places: Vec<_> = throttle.places().map(|(name, ..)| name.to_owned()).collect();
    assert_eq!(
        places.iter().filter(|name| *name == "a").count(),
        Throttle::MOST_PLACES
    );
    throttle.forget_before(30_000);
    let left: Vec<_> = throttle
        .places()
        .map(|(name, _, date)| (name.to_owned(), date))
        .collect();
    assert_eq!(left.len(), 10, "{left:?}");
    assert!(left.iter().all(|(name, date)| name == "a" && *date >= 30_000));
}

/// What an attacker does: guesses a password of the owner or of somebody else, from somewhere, after some time; or logs
/// in to an account of its own.
#[derive(Debug, Clone)]
enum Move {
    Guess { name: usize, from: [u8; 3] },
    OwnLogin { from: [u8; 3] },
    Wait(u64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let from = || [1..4u8, 0..6u8, 1..5u8].prop_map(|[a, b, c]| [a, b, c]);
    let one = prop_oneof![
        6 => (0..3usize, from()).prop_map(|(name, from)| Move::Guess { name, from }),
        1 => from().prop_map(|from| Move::OwnLogin { from }),
        2 => (0..900u64).prop_map(Move::Wait),
    ];
    prop::collection::vec(one, 0..300)
}

/// Anywhere but in the owner's network.
fn place([a, b, c]: [u8; 3]) -> IpAddr {
    Ipv4Addr::new(100 + a, b, 0, c).into()
}

proptest! {
    #[test]
    fn no_schedule_of_an_attacker_elsewhere_keeps_the_owner_out_or_guesses_more(moves in moves()) {
        let (limits, home) = (limits(), ip("192.0.2.1"));
        let longest = limits.longest_delay;
        let (mut throttle, mut now) = (Throttle::new(limits), Instant::now());
        log_in(&mut throttle, "owner", home, now);
        let mut tried: Vec<Instant> = vec![];
        for one in moves {
            match one {
                Move::Guess { name, from } => {
                    let name = ["owner", "other", "nobody"][name];
                    if let Verdict::After(delay, _) = throttle.begin(&attempt(name, place(from)), now) {
                        prop_assert!(delay <= longest);
                        if name == "owner" {
                            tried.push(now);
                        }
                    }
                }
                Move::OwnLogin { from } => {
                    log_in(&mut throttle, "mallory", place(from), now);
                }
                Move::Wait(seconds) => now += Duration::from_secs(seconds),
            }
            // The owner at home, at any moment: at once, as nobody failed there.
            let mut probe = throttle.begin(&attempt("owner", home), now);
            if let Verdict::After(_, ticket) = &mut probe {
                throttle.undone(*ticket, now);
            }
            prop_assert!(matches!(probe, Verdict::After(delay, _) if delay.is_zero()), "{:?}", probe);
        }
        // A bucket of ten that fills in an hour lets through twenty in any hour.
        for (n, start) in tried.iter().enumerate() {
            let within = tried[n..].iter().take_while(|at| **at - *start < HOUR).count();
            prop_assert!(within <= 20, "{} guesses within an hour", within);
        }
    }
}
