//! What the queue does over days, on a virtual clock.

mod common;

use common::*;
use mailwright_queue::*;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Without jitter, so that moments can be named.
fn config() -> Config {
    let mut config = Config::default();
    config.retry_jitter = 0.0;
    config.warn_after = None;
    config
}

fn world() -> World {
    World::new(config())
}

#[test]
fn one_copy_per_domain_whatever_its_case() {
    let mut w = world();
    w.send(
        Some("alice@a.test"),
        &["bob@b.test", "carol@B.TEST", "dave@c.test", "eve@[192.0.2.1]"],
    );
    w.run(START + MINUTE, &mut |a, _| all(a, DELIVERED, Health::Good));
    let copies: Vec<_> = w.attempts.iter().map(|(_, d, r)| (d.as_str(), r.len())).collect();
    assert_eq!(copies, [("b.test", 2), ("c.test", 1), ("[192.0.2.1]", 1)]);
    assert!(w.spool.is_empty() && w.queue.is_empty() && w.dsns.is_empty());
    assert_eq!(w.queue.deadline(), None);
}

#[test]
fn greylisting_delays_by_the_first_wait_only() {
    let mut w = world();
    let key = w.send(Some("alice@a.test"), &["bob@b.test"]);
    w.run(START + HOUR, &mut |a, now| {
        let outcome = if now < START + MINUTE {
            temporary()
        } else {
            DELIVERED
        };
        all(a, outcome, Health::Good)
    });
    assert_eq!(w.minutes(), [0, 5]);
    assert!(!w.spool.contains_key(&key));
}

#[test]
fn waits_grow_and_the_expiry_ends_them() {
    let mut w = world();
    w.send(Some("alice@a.test"), &["bob@b.test"]);
    w.run(START + DAY * 6, &mut |a, _| all(a, temporary(), Health::Good));
    assert_eq!(w.minutes()[..7], [0, 5, 20, 50, 110, 230, 470]);
    let gaps: Vec<_> = w.attempts.windows(2).map(|p| p[1].0 - p[0].0).collect();
    assert_eq!(*gaps.last().unwrap(), 4 * 3600);
    let (at, dsn) = &w.dsns[0];
    assert_eq!((*at, w.dsns.len()), (START + DAY * 5, 1));
    assert_eq!(dsn.to.to_string(), "alice@a.test");
    // The code of the actual problem, not "expired" (RFC 3463 §3.5).
    assert_eq!(dsn.recipients[0].action, Action::Failed);
    let why = dsn.recipients[0].why.as_ref().unwrap();
    assert_eq!(why.to_string(), "4.7.1 (mx.b.test) 450 4.7.1 greylisted");
    assert!(w.spool.is_empty() && w.queue.is_empty());
}

#[test]
fn a_message_nobody_ever_tried_expires_too() {
    let mut w = world();
    let key = w.send(Some("alice@a.test"), &["bob@b.test"]);
    w.run(START, &mut |a, _| all(a, temporary(), Health::Good));
    assert_eq!(w.queue.edit(w.now, key, &Edit::Hold), Some(Edited::Done));
    w.run(START + DAY * 6, &mut |_, _| panic!("held"));
    assert_eq!(w.dsns[0].0, START + DAY * 5);

    let mut w = world();
    w.send(Some("alice@a.test"), &["bob@b.test"]);
    w.now = START + DAY * 7;
    w.run(START + DAY * 7, &mut |_, _| panic!("expired before the start"));
    let why = w.dsns[0].1.recipients[0].why.as_ref().unwrap();
    assert_eq!(why.status, Status::EXPIRED);
}

#[test]
fn expiry_during_an_attempt_waits_for_its_end() {
    for (outcome, delivered, failed) in [(DELIVERED, 1, 0), (temporary(), 0, 1)] {
        let mut w = world();
        let mut record = message(&w.config(), START, Some("alice@a.test"), &["bob@b.test"]);
        record.expires = START + MINUTE;
        w.put(record);
        w.attempt_takes = MINUTE * 10;
        w.run(START + HOUR, &mut |a, _| all(a, outcome.clone(), Health::Good));
        assert_eq!(
            (w.attempts.len(), w.delivered.len(), w.dsns.len()),
            (1, delivered, failed)
        );
        assert!(w.spool.is_empty() && w.queue.is_empty());
    }
}

#[test]
fn recipients_of_one_attempt_part_ways() {
    let mut w = world();
    let key = w.send(
        Some("alice@a.test"),
        &["bob@b.test", "nobody@b.test", "full@b.test"],
    );
    w.run(START + MINUTE, &mut |_, _| {
        Report::new(vec![DELIVERED, permanent(), temporary()], Health::Good)
    });
    let record = w.record(key);
    assert!(matches!(record.recipients[0].state, State::Delivered { at } if at == START));
    assert!(matches!(record.recipients[1].state, State::Failed { .. }));
    assert_eq!(record.recipients[2].due(), Some(START + MINUTE * 5));
    assert_eq!(
        &*record.history[0].text,
        "b.test: 1 delivered, 1 deferred, 1 failed: 5.1.1 (mx.b.test) 550 5.1.1 no such user"
    );
    assert_eq!(w.dsns[0].1.recipients.len(), 1);
    w.run(START + HOUR, &mut |a, _| all(a, DELIVERED, Health::Good));
    assert_eq!(w.attempts[1].2, ["full@b.test"]);
    assert!(w.spool.is_empty());
}

#[test]
fn a_null_reverse_path_is_never_told() {
    let mut c = config();
    c.warn_after = Some(HOUR);
    let mut w = World::new(c);
    w.send(None, &["bob@b.test", "carol@c.test"]);
    w.run(START + DAY * 6, &mut |a, _| {
        let outcome = if a.destination().to_string() == "b.test" {
            permanent()
        } else {
            temporary()
        };
        all(a, outcome, Health::Good)
    });
    assert!(w.dsns.is_empty() && w.spool.is_empty());
    assert_eq!(w.unreported.len(), 2);
}

#[test]
fn notify_decides_what_is_told() {
    let mut c = config();
    c.warn_after = Some(HOUR);
    let told = |notify: Option<Notify>, outcome: Outcome| {
        let mut w = World::new(c.clone());
        let mut record = message(&c, START, Some("alice@a.test"), &["bob@b.test"]);
        record.recipients[0].notify = notify;
        record.recipients[0].original = Some(OriginalRecipient::new("rfc822", "Bob@b.test"));
        record.envelope_id = Some("QQ314159".into());
        record.ret = Some(Ret::Headers);
        w.put(record);
        w.run(START + DAY * 6, &mut |a, _| all(a, outcome.clone(), Health::Good));
        for (_, dsn) in &w.dsns {
            assert_eq!(
                (dsn.envelope_id.as_deref(), dsn.ret),
                (Some("QQ314159"), Some(Ret::Headers))
            );
            assert_eq!(
                &*dsn.recipients[0].original.as_ref().unwrap().address,
                "Bob@b.test"
            );
        }
        w.dsns
            .iter()
            .map(|(_, d)| d.recipients[0].action)
            .collect::<Vec<_>>()
    };
    let only = |success, failure, delay| {
        Some(Notify {
            success,
            failure,
            delay,
        })
    };
    use Action::{Delayed, Failed, Relayed};
    assert_eq!(told(None, permanent()), [Failed]);
    assert_eq!(told(None, DELIVERED), []);
    assert_eq!(told(None, temporary()), [Delayed, Failed]);
    assert_eq!(told(only(false, false, false), permanent()), []);
    assert_eq!(told(only(false, false, false), temporary()), []);
    assert_eq!(told(only(false, false, true), temporary()), [Delayed]);
    assert_eq!(told(only(false, true, false), temporary()), [Failed]);
    assert_eq!(told(only(true, false, false), DELIVERED), [Relayed]);
    assert_eq!(
        told(only(true, false, false), Outcome::Delivered(Handover::Mailbox)),
        [Action::Delivered]
    );
    assert_eq!(
        told(only(true, false, false), Outcome::Delivered(Handover::Reporter)),
        []
    );
}

#[test]
fn a_delay_is_told_once_and_says_how_long_it_will_be_tried() {
    let mut c = config();
    c.warn_after = Some(HOUR * 4);
    let mut w = World::new(c);
    let key = w.send(Some("alice@a.test"), &["bob@b.test", "carol@c.test"]);
    w.run(START + DAY, &mut |a, _| {
        let outcome = if a.destination().to_string() == "b.test" {
            temporary()
        } else {
            DELIVERED
        };
        all(a, outcome, Health::Good)
    });
    assert_eq!(w.dsns.len(), 1);
    let (at, dsn) = &w.dsns[0];
    assert_eq!((*at, dsn.recipients.len()), (START + HOUR * 4, 1));
    assert_eq!(dsn.recipients[0].until, Some(START + DAY * 5));
    w.crash();
    w.run(START + DAY * 4, &mut |a, _| all(a, temporary(), Health::Good));
    assert_eq!(w.dsns.len(), 1, "a restart tells nothing again");
    assert!(w.record(key).recipients[0].warned);
}

#[test]
fn a_crash_repeats_what_was_not_committed_and_nothing_else() {
    let mut w = world();
    w.send(Some("alice@a.test"), &["bob@b.test", "carol@c.test"]);
    w.commit_takes = MINUTE;
    w.run(START + Duration::from_secs(1), &mut |a, _| {
        all(a, DELIVERED, Health::Good)
    });
    w.crash();
    w.run(START + HOUR, &mut |a, _| all(a, DELIVERED, Health::Good));
    assert_eq!(w.attempts.len(), 4, "the outcome was never on disk");
    assert!(w.spool.is_empty());
    w.crash();
    w.run(START + DAY, &mut |_, _| panic!("everything was delivered"));
}

#[test]
fn outcomes_that_come_during_a_commit_share_the_next_one() {
    let mut w = world();
    let recipients: Vec<String> = (0..20).map(|i| format!("bob@b{i}.test")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    w.send(Some("alice@a.test"), &recipients);
    w.commit_takes = MINUTE;
    w.run(START + HOUR, &mut |a, _| all(a, permanent(), Health::Good));
    assert!(w.spool.is_empty());
    let told: usize = w.dsns.iter().map(|(_, d)| d.recipients.len()).sum();
    assert_eq!((told, w.dsns.len() <= 2), (20, true));
}

#[test]
fn a_destination_grows_with_success_and_shrinks_when_asked() {
    let mut w = world();
    for _ in 0..200 {
        w.send(Some("alice@a.test"), &["bob@b.test"]);
    }
    w.attempt_takes = Duration::from_secs(1);
    w.run(START, &mut |a, _| all(a, DELIVERED, Health::Good));
    assert_eq!(w.most_running, 5, "it starts gently");
    w.run(START + MINUTE, &mut |a, _| all(a, DELIVERED, Health::Good));
    assert!(w.most_running > 10 && w.most_running <= 20, "{}", w.most_running);
    assert_eq!(w.delivered.len(), 200);

    for _ in 0..100 {
        w.send(Some("alice@a.test"), &["bob@b.test"]);
    }
    let start = w.now;
    w.run(start + Duration::from_secs(5), &mut |a, _| {
        all(a, temporary(), Health::Busy)
    });
    w.most_running = 0;
    w.run(start + Duration::from_secs(30), &mut |a, _| {
        all(a, temporary(), Health::Busy)
    });
    assert_eq!(w.most_running, 1, "it asked for less until one was left");
}

#[test]
fn a_dead_destination_is_probed_and_blocks_nobody() {
    let mut w = world();
    for _ in 0..50 {
        w.send(Some("alice@a.test"), &["bob@dead.test"]);
    }
    w.send(Some("alice@a.test"), &["bob@b.test"]);
    w.attempt_takes = Duration::from_secs(30);
    w.run(START + HOUR, &mut |a, _| {
        if a.destination().to_string() == "dead.test" {
            all(a, temporary(), Health::Unreachable)
        } else {
            all(a, DELIVERED, Health::Good)
        }
    });
    assert_eq!(w.delivered, ["bob@b.test"]);
    let probes = w.attempts.iter().filter(|(_, d, _)| d == "dead.test").count();
    assert!(
        (10..25).contains(&probes),
        "{probes} attempts in an hour for 50 messages"
    );
    // It comes back: all of them go within the longest rest and the waits of those that were tried.
    w.attempt_takes = Duration::from_secs(1);
    w.run(START + HOUR * 2, &mut |a, _| all(a, DELIVERED, Health::Good));
    assert_eq!(w.delivered.len(), 51);
}

#[test]
fn attempts_have_a_limit_in_number_and_in_recipients() {
    let mut c = config();
    c.max_attempts = 3;
    c.attempt_recipients = 10;
    let mut w = World::new(c);
    let recipients: Vec<String> = (0..25).map(|i| format!("r{i}@b.test")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    w.send(Some("alice@a.test"), &recipients);
    for i in 0..10 {
        w.send(Some("alice@a.test"), &[&*format!("bob@c{i}.test")]);
    }
    w.attempt_takes = Duration::from_secs(1);
    w.run(START + MINUTE, &mut |a, _| all(a, DELIVERED, Health::Good));
    assert_eq!(w.most_running, 3);
    let sizes: Vec<_> = w
        .attempts
        .iter()
        .filter(|a| a.1 == "b.test")
        .map(|a| a.2.len())
        .collect();
    assert_eq!(sizes, [10, 10, 5]);
    assert_eq!(w.delivered.len(), 35);
}

#[test]
fn held_messages_wait_until_they_are_released() {
    let mut w = world();
    let key = w.send(Some("alice@a.test"), &["bob@b.test"]);
    w.run(START, &mut |a, _| all(a, temporary(), Health::Good));
    assert_eq!(w.queue.edit(w.now, key, &Edit::Hold), Some(Edited::Done));
    w.run(START + DAY, &mut |_, _| panic!("held"));
    assert!(w.record(key).held);
    w.crash();
    w.run(START + DAY, &mut |_, _| panic!("held over a restart"));
    assert_eq!(w.queue.edit(w.now, key, &Edit::Release), Some(Edited::Done));
    w.run(START + DAY, &mut |a, _| all(a, DELIVERED, Health::Good));
    assert!(w.spool.is_empty());
    assert_eq!(w.queue.edit(w.now, key, &Edit::Hold), None);
}

#[test]
fn retry_ends_every_wait() {
    let mut w = world();
    let key = w.send(Some("alice@a.test"), &["bob@b.test"]);
    w.run(START + MINUTE * 2, &mut |a, _| {
        all(a, temporary(), Health::Unreachable)
    });
    assert_eq!(w.queue.edit(w.now, key, &Edit::Retry), Some(Edited::Done));
    w.run(START + MINUTE * 2, &mut |a, _| all(a, DELIVERED, Health::Good));
    assert_eq!(w.minutes(), [0, 2]);
    assert!(w.spool.is_empty());
    assert_eq!(w.queue.edit(w.now, key, &Edit::Retry), None);
}

#[test]
fn discarding_tells_nobody_even_in_the_middle_of_an_attempt() {
    let mut w = world();
    let waiting = w.send(Some("alice@a.test"), &["bob@b.test"]);
    w.run(START, &mut |a, _| all(a, temporary(), Health::Good));
    assert!(w.queue.discard(w.now, waiting));
    w.attempt_takes = MINUTE;
    let running = w.send(Some("alice@a.test"), &["carol@c.test"]);
    w.run(START + Duration::from_secs(1), &mut |_, _| panic!("not over"));
    assert!(w.queue.discard(w.now, running));
    w.run(START + DAY * 6, &mut |a, _| all(a, permanent(), Health::Good));
    assert!(w.spool.is_empty() && w.queue.is_empty() && w.dsns.is_empty());
    assert_eq!(w.attempts.len(), 2);
}

#[test]
fn a_message_that_somebody_else_removed_is_let_go() {
    let mut w = world();
    let key = w.send(Some("alice@a.test"), &["bob@b.test"]);
    w.commit_takes = MINUTE;
    w.run(START, &mut |a, _| all(a, temporary(), Health::Good));
    // As a driver does that finds no record to replace: the message is discarded while its update is out.
    w.spool.remove(&key);
    assert!(w.queue.discard(w.now, key));
    w.queue.committed(w.now, key);
    let removal = w.queue.poll_update(w.now).expect("the discard is committed");
    assert_eq!(removal.change, Change::Remove);
    // Its removal finds nothing either, and that is the end.
    w.queue.discard(w.now, key);
    w.queue.committed(w.now, key);
    assert_eq!(w.queue.poll_update(w.now), None);
    assert!(w.queue.is_empty());
    assert_eq!(w.queue.deadline(), None);
}

#[test]
fn an_abandoned_attempt_is_due_as_before() {
    let mut w = world();
    let key = w.send(Some("alice@a.test"), &["bob@b.test"]);
    w.attempt_takes = HOUR;
    let page = w.queue.next_page(START).unwrap();
    let records = vec![(key, w.spool[&key].clone())];
    assert!(w.queue.loaded(START, page, records).is_empty());
    let attempt = w.queue.due(START).unwrap();
    assert!(w.queue.due(START).is_none());
    w.queue.abandoned(START, attempt);
    assert_eq!(w.queue.poll_update(START), None);
    let attempt = w.queue.due(START).unwrap();
    assert_eq!(attempt.key(), key);
    w.queue.abandoned(START, attempt);
}

#[test]
fn a_page_read_before_a_commit_brings_nothing_back() {
    let mut w = world();
    let key = w.send(Some("alice@a.test"), &["bob@b.test"]);
    let before = w.spool[&key].clone();
    let page = w.queue.next_page(START).unwrap();
    assert!(
        w.queue
            .loaded(START, page, vec![(key, before.clone())])
            .is_empty()
    );
    let attempt = w.queue.due(START).unwrap();
    w.queue.arrived();
    // The driver has read this page, and delivers it late.
    let page = w.queue.next_page(START).unwrap();
    let report = all(&attempt, DELIVERED, Health::Good);
    w.queue.finished(START, attempt, report);
    assert_eq!(w.queue.poll_update(START).unwrap().change, Change::Remove);
    w.queue.committed(START, key);
    assert!(w.queue.loaded(START, page, vec![(key, before)]).is_empty());
    assert!(w.queue.is_empty() && w.queue.due(START).is_none());
}

#[test]
fn memory_holds_what_is_due_soonest_and_the_rest_comes_back() {
    let mut c = config();
    c.memory_recipients = 40;
    c.page = 7;
    let mut w = World::new(c);
    w.attempt_takes = Duration::from_secs(1);
    let mut most = 0;
    for i in 0..400 {
        w.send(Some("alice@a.test"), &[&*format!("bob@b{}.test", i % 9)]);
    }
    // Each is deferred once, so all of them wait for later at some time.
    let mut seen = std::collections::HashSet::new();
    let turns = w.turns;
    for minute in 0..180 {
        w.run(START + MINUTE * minute, &mut |a, _| {
            let outcome = if seen.insert(a.key()) {
                temporary()
            } else {
                DELIVERED
            };
            all(a, outcome, Health::Good)
        });
        most = most.max(w.queue.len());
    }
    assert!(w.spool.is_empty(), "{} left", w.spool.len());
    assert_eq!(w.delivered.len(), 400);
    assert!(most <= 40, "{most} in memory");
    assert!(w.turns - turns < 20_000, "{} turns", w.turns - turns);
}

#[test]
fn one_destination_cannot_take_all_memory() {
    let mut c = config();
    c.memory_recipients = 40;
    let mut w = World::new(c);
    w.attempt_takes = MINUTE;
    for _ in 0..100 {
        w.send(Some("alice@a.test"), &["bob@slow.test"]);
    }
    for _ in 0..10 {
        w.send(Some("alice@a.test"), &["bob@b.test"]);
    }
    w.run(START + MINUTE * 3, &mut |a, _| all(a, DELIVERED, Health::Good));
    assert_eq!(w.delivered.iter().filter(|d| *d == "bob@b.test").count(), 10);
    w.run(START + HOUR, &mut |a, _| all(a, DELIVERED, Health::Good));
    assert_eq!(w.delivered.len(), 110);
}

#[test]
fn a_message_too_large_for_memory_is_held_alone() {
    let mut c = config();
    c.memory_recipients = 3;
    let mut w = World::new(c);
    let recipients: Vec<String> = (0..8).map(|i| format!("bob@b{i}.test")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    w.send(Some("alice@a.test"), &recipients);
    w.send(Some("alice@a.test"), &recipients);
    w.run(START + HOUR, &mut |a, _| all(a, DELIVERED, Health::Good));
    assert_eq!(w.delivered.len(), 16);
}

#[test]
fn records_nobody_can_read_stay_and_stop_nothing() {
    let mut w = world();
    let bad = Key::new(1);
    let page = w.queue.next_page(START).unwrap();
    let record = message(&w.config(), START, Some("alice@a.test"), &["bob@b.test"]);
    let records = vec![
        (bad, bytes::Bytes::from_static(b"\xffjunk")),
        (Key::new(2), record.encode()),
    ];
    assert_eq!(
        w.queue.loaded(START, page, records),
        [(bad, Error::Version(0xff))]
    );
    assert_eq!(w.queue.due(START).unwrap().key(), Key::new(2));
}

#[test]
fn a_record_with_nothing_left_to_do_is_removed() {
    let mut w = world();
    let mut record = message(&w.config(), START, Some("alice@a.test"), &["bob@b.test"]);
    record.recipients[0].state = State::Delivered { at: START };
    w.put(record);
    w.put(message(&w.config(), START, Some("alice@a.test"), &[]));
    w.run(START, &mut |_, _| panic!("nothing to deliver"));
    assert!(w.spool.is_empty());
}

#[test]
fn jitter_spreads_retries_and_never_hurries_them() {
    let mut c = Config::default();
    c.warn_after = None;
    let mut w = World::new(c);
    for i in 0..50 {
        w.send(Some("alice@a.test"), &[&*format!("bob@b{i}.test")]);
    }
    w.run(START + MINUTE * 6, &mut |a, _| all(a, temporary(), Health::Good));
    let second: Vec<u64> = w.attempts[50..].iter().map(|(at, _, _)| *at).collect();
    assert_eq!(second.len(), 50);
    assert!(second.iter().all(|at| (300..=330).contains(at)), "{second:?}");
    let distinct: std::collections::HashSet<_> = second.iter().collect();
    assert!(distinct.len() > 10, "{second:?}");
}
