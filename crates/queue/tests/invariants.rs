//! Whatever the network, the clock, crashes and the operator do: nothing is lost, told twice, or kept for ever.

mod common;

use common::*;
use mailwright_queue::*;
use proptest::prelude::*;
use std::collections::HashMap;
use std::time::Duration;

/// One thing that happens.
#[derive(Debug, Clone)]
enum Happening {
    /// A message to these users (0..4) at these domains (0..4), with a null sender or not.
    Send(Vec<(u8, u8)>, bool),
    /// Time passes, in seconds; attempts end by the given dice.
    Run(u64, u64),
    Crash,
    Hold(u8, bool),
    Retry(u8),
    Redirect(u8),
    Drop(u8),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (proptest::collection::vec((0u8..4, 0u8..4), 1..6), proptest::bool::weighted(0.2))
            .prop_map(|(to, null)| Happening::Send(to, null)),
        4 => (0u64..4000, any::<u64>()).prop_map(|(secs, dice)| Happening::Run(secs, dice)),
        1 => Just(Happening::Crash),
        1 => (0u8..8, any::<bool>()).prop_map(|(n, held)| Happening::Hold(n, held)),
        1 => (0u8..8).prop_map(Happening::Retry),
        1 => (0u8..8).prop_map(Happening::Redirect),
        1 => (0u8..8).prop_map(Happening::Drop),
    ]
}

fn small_config() -> impl Strategy<Value = Config> {
    (
        1usize..6,
        1usize..5,
        1usize..12,
        1usize..4,
        proptest::option::of(600u64..4000),
        proptest::option::of(1u32..4),
    )
        .prop_map(|(attempts, recipients, memory, page, warn, rate)| {
            let mut config = Config::default();
            config.retry = [60, 120, 600, 1800].map(Duration::from_secs).to_vec();
            config.expire_after = Duration::from_secs(4 * 3600);
            config.warn_after = warn.map(Duration::from_secs);
            config.max_attempts = attempts;
            config.destination_start = 2;
            config.attempt_recipients = recipients;
            config.memory_recipients = memory;
            config.page = page;
            config.destination_rate = rate;
            config
        })
}

/// Outcomes out of thin air, the same for the same dice.
fn network(dice: &mut u64) -> impl FnMut(&Attempt, Timestamp) -> Report + '_ {
    |attempt, _| {
        let mut roll = |n: u64| {
            *dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (*dice >> 33) % n
        };
        let health = match roll(5) {
            0 => Health::Unreachable,
            1 => Health::Busy,
            2 => Health::Unknown,
            _ => Health::Good,
        };
        let outcomes = attempt
            .recipients()
            .map(|_| match roll(9) {
                0 | 1 => Some(DELIVERED),
                2 | 3 => Some(permanent()),
                4 => None,
                _ => Some(temporary()),
            })
            .collect();
        Report::partial(outcomes, health)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_recipient_ends_in_exactly_one_way(
        config in small_config(),
        happenings in proptest::collection::vec(happening(), 1..40),
        takes in (0u64..90, 0u64..5),
        last_dice in any::<u64>(),
    ) {
        let mut w = World::new(config);
        w.attempt_takes = Duration::from_secs(takes.0 + 1);
        w.commit_takes = Duration::from_secs(takes.1);
        let mut keys = vec![];
        let mut sent: Vec<(String, bool)> = vec![];
        let mut crashed = false;
        let mut dropped = vec![];
        for happening in happenings {
            match happening {
                Happening::Send(to, null) => {
                    // Every recipient has its own name, so that it can be followed.
                    let to: Vec<String> = to
                        .iter()
                        .map(|(user, domain)| format!("u{user}-{}-{}@d{domain}.test", keys.len(), sent.len()))
                        .enumerate()
                        .map(|(i, a)| format!("{i}{a}"))
                        .collect();
                    let refs: Vec<&str> = to.iter().map(String::as_str).collect();
                    keys.push(w.send((!null).then_some("alice@a.test"), &refs));
                    sent.extend(to.into_iter().map(|to| (to, null)));
                }
                Happening::Run(secs, mut dice) => {
                    let until = w.now + Duration::from_secs(secs);
                    w.run(until, &mut network(&mut dice));
                }
                Happening::Crash => {
                    w.crash();
                    crashed = true;
                }
                Happening::Hold(n, held) => {
                    if let Some(key) = keys.get(usize::from(n)) {
                        w.queue.edit(w.now, *key, if held { &Edit::Hold } else { &Edit::Release });
                    }
                }
                Happening::Retry(n) => {
                    if let Some(key) = keys.get(usize::from(n)) {
                        w.edit(*key, &Edit::Retry);
                    }
                }
                Happening::Redirect(n) => {
                    if let Some(key) = keys.get(usize::from(n)) {
                        let to = Edit::Redirect { from: None, to: address("else@d9.test") };
                        w.edit(*key, &to);
                    }
                }
                Happening::Drop(n) => {
                    if let Some(key) = keys.get(usize::from(n)) {
                        dropped.extend(w.names(*key));
                        w.fetch(*key);
                        w.queue.discard(w.now, *key);
                    }
                }
            }
        }
        // Expiry, the longest running attempt and the re-reading all lie within this.
        let until = w.now + Duration::from_secs(5 * 3600);
        let mut dice = last_dice;
        w.run(until, &mut network(&mut dice));
        prop_assert!(w.spool.is_empty(), "{} messages outlived their expiry", w.spool.len());
        prop_assert!(w.queue.is_empty());
        prop_assert_eq!(w.queue.deadline(), None);

        let mut ends: HashMap<String, (usize, usize, usize, usize)> = HashMap::new();
        for to in &w.delivered {
            ends.entry(to.clone()).or_default().0 += 1;
        }
        for (_, dsn) in &w.dsns {
            for recipient in &dsn.recipients {
                let end = ends.entry(name(recipient.original.as_ref(), &recipient.address)).or_default();
                match recipient.action {
                    Action::Failed => end.1 += 1,
                    _ => end.3 += 1,
                }
            }
        }
        for recipient in &w.unreported {
            ends.entry(name(recipient.original.as_ref(), &recipient.address)).or_default().2 += 1;
        }
        for (to, null) in &sent {
            let (delivered, bounced, unreported, delayed) = ends.get(to).copied().unwrap_or_default();
            if dropped.contains(to) {
                // Nobody is told, but what was on its way may have arrived.
                continue;
            }
            if crashed {
                // A duplicate may fall between an outcome and its commit; a loss may not.
                prop_assert!(delivered + bounced + unreported >= 1, "{to} was lost");
            } else {
                prop_assert_eq!(delivered + bounced + unreported, 1, "{} ended {:?}", to, ends.get(to));
            }
            prop_assert!(bounced <= 1 && delayed <= 1);
            if *null {
                prop_assert_eq!(bounced + delayed, 0, "a null reverse-path was told");
            }
        }

    }
}
