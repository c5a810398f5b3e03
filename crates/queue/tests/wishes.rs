//! What senders and operators wish: priority, later release, a time to arrive by, rates, redirection.

mod common;

use common::*;
use mailwright_message::Index;
use mailwright_message::dsn::{self, Notification};
use mailwright_queue::*;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn world() -> World {
    let mut config = Config::default();
    config.retry_jitter = 0.0;
    config.warn_after = None;
    World::new(config)
}

fn bob(w: &World) -> Record {
    message(&w.config(), START, Some("alice@a.test"), &["bob@b.test"])
}

fn timed(mode: ByMode, trace: bool) -> Option<DeliverBy> {
    Some(DeliverBy {
        by: START + HOUR,
        mode,
        trace,
    })
}

/// What was told: minutes since the start, action, status.
fn told(w: &World) -> Vec<(u64, Action, String)> {
    let tell = |(at, dsn): &(Timestamp, DsnRequest)| {
        let recipient = &dsn.recipients[0];
        let status = recipient.why.as_ref().map(|why| why.status.to_string());
        (
            at.after(START).as_secs() / 60,
            recipient.action,
            status.unwrap_or_default(),
        )
    };
    w.dsns.iter().map(tell).collect()
}

#[test]
fn the_urgent_go_first() {
    let mut config = Config::default();
    config.max_attempts = 1;
    let mut w = World::new(config);
    w.attempt_takes = Duration::from_secs(1);
    for (n, priority) in [0, -9, 4, 0, 9, 4].into_iter().enumerate() {
        // Of one destination and of several.
        let to = format!("n{n}@{}.test", if n % 2 == 0 { "b" } else { "c" });
        let mut record = message(&w.config(), START, Some("alice@a.test"), &[&to]);
        record.priority = priority;
        w.put(record);
    }
    w.run(START + MINUTE, &mut |a, _| all(a, DELIVERED, Health::Good));
    let order: Vec<&str> = w.delivered.iter().map(|to| &to[..2]).collect();
    assert_eq!(
        order,
        ["n4", "n5", "n2", "n3", "n0", "n1"],
        "in turns where equal"
    );
}

#[test]
fn a_postponed_message_waits_and_all_its_times_begin_later() {
    let mut config = Config::default();
    config.retry_jitter = 0.0;
    let mut w = World::new(config);
    let mut record = bob(&w);
    record.postpone(START + DAY, "for;86400");
    assert_eq!(record.expires, START + DAY * 6);
    let key = w.put(record);
    w.crash();
    w.run(START + DAY * 7, &mut |a, _| all(a, temporary(), Health::Good));
    assert_eq!(w.minutes()[..3], [1440, 1445, 1460]);
    assert!(!w.spool.contains_key(&key));
    let minutes: Vec<u64> = told(&w).iter().map(|(at, _, _)| *at).collect();
    assert_eq!(minutes, [1440 + 240, 6 * 1440], "delay and failure");
    let report = w.dsns[0].1.report("mail.a.test");
    let notification = Notification::new(
        report,
        "mailer-daemon@mail.a.test",
        "alice@a.test",
        mailwright_message::date::DateTime::new(1_800_000_000, 0),
    );
    let message: Vec<u8> = notification.build([7; 16]).concat();
    let text = String::from_utf8(message.clone()).unwrap();
    assert!(
        text.contains("\r\nFuture-Release-Request: for;86400\r\n"),
        "{text}"
    );
    assert!(text.contains("\r\nArrival-Date: "), "{text}");
    let parsed = dsn::Report::parse(&Index::of(&message), &message).unwrap();
    assert_eq!(parsed.recipients[0].action, Action::Delayed);
}

#[test]
fn a_message_to_be_returned_in_time_is() {
    let mut w = world();
    let mut record = bob(&w);
    record.deliver_by = timed(ByMode::Return, false);
    w.put(record);
    w.run(START + DAY, &mut |a, _| all(a, temporary(), Health::Good));
    assert_eq!(told(&w), [(60, Action::Failed, "5.4.7".into())]);
    assert_eq!(w.minutes(), [0, 5, 20, 50]);
    let report = w.dsns[0].1.report("mail.a.test");
    let by = report
        .extensions
        .iter()
        .find(|e| e.name() == "Deliver-By-Date")
        .unwrap();
    assert!(by.value().contains("2027 09:00:00"), "{}", by.value());
    // Its expiry, where that is sooner, is as good as any.
    let mut record = bob(&w);
    record.deliver_by = timed(ByMode::Return, false);
    record.expires = START + MINUTE;
    assert_eq!(record.ends(), START + MINUTE);
}

#[test]
fn of_a_time_that_is_over_the_sender_is_told_once_and_delivery_goes_on() {
    let mut w = world();
    let mut record = bob(&w);
    record.deliver_by = timed(ByMode::Notify, false);
    let mut quiet = record.clone();
    quiet.recipients[0].notify = Some(Notify {
        success: false,
        failure: true,
        delay: false,
    });
    w.put(record);
    w.put(quiet);
    w.run(START + HOUR * 2, &mut |a, _| all(a, temporary(), Health::Good));
    w.crash();
    w.run(START + DAY, &mut |a, _| all(a, temporary(), Health::Good));
    assert_eq!(told(&w), [(60, Action::Delayed, "4.4.7".into())]);
    w.run(START + DAY * 2, &mut |a, _| all(a, DELIVERED, Health::Good));
    assert_eq!((w.delivered.len(), w.dsns.len()), (2, 1));
}

#[test]
fn relays_are_told_to_those_who_want_to_hear_of_each() {
    use Handover::{Mailbox, Relay, Reporter, Untimed};
    let never = Some(Notify::default());
    let table = [
        (ByMode::Notify, false, None, Relay, false),
        (ByMode::Notify, false, None, Reporter, false),
        (ByMode::Notify, false, None, Untimed, true),
        (ByMode::Notify, false, never, Untimed, false),
        (ByMode::Return, true, None, Relay, true),
        (ByMode::Return, true, None, Reporter, true),
        (ByMode::Return, true, never, Reporter, false),
        (ByMode::Return, true, None, Mailbox, false),
    ];
    for (mode, trace, notify, handover, tells) in table {
        let mut w = world();
        let mut record = bob(&w);
        record.deliver_by = timed(mode, trace);
        record.recipients[0].notify = notify;
        w.put(record);
        w.run(START + HOUR, &mut |a, _| {
            all(a, Outcome::Delivered(handover), Health::Good)
        });
        let actions: Vec<Action> = told(&w).into_iter().map(|(_, action, _)| action).collect();
        let wanted = if tells { vec![Action::Relayed] } else { vec![] };
        assert_eq!(actions, wanted, "{mode:?} {trace} {notify:?} {handover:?}");
    }
}

#[test]
fn a_rate_holds_however_many_messages_there_are() {
    let mut config = Config::default();
    config.destination_rate = Some(60);
    config
        .destinations
        .insert("fast.test".into(), Pacing::new(5, 20, None));
    let mut w = World::new(config);
    for n in 0..90 {
        w.send(Some("alice@a.test"), &[&*format!("n{n}@b.test")]);
        w.send(Some("alice@a.test"), &[&*format!("n{n}@FAST.test")]);
    }
    w.run(START, &mut |a, _| all(a, DELIVERED, Health::Good));
    assert_eq!(w.delivered.len(), 91, "one of the slow ones");
    w.run(START + Duration::from_secs(59), &mut |a, _| {
        all(a, DELIVERED, Health::Good)
    });
    assert_eq!(w.delivered.len(), 90 + 60);
    w.run(START + MINUTE * 2, &mut |a, _| all(a, DELIVERED, Health::Good));
    assert_eq!(w.delivered.len(), 180);
    // It holds on when the line was empty in between.
    w.send(Some("alice@a.test"), &["a@b.test", "b@b.test"]);
    w.send(Some("alice@a.test"), &["c@b.test"]);
    let from = w.now;
    w.run(from, &mut |a, _| all(a, DELIVERED, Health::Good));
    assert_eq!(w.delivered.len(), 182);
    w.run(from + Duration::from_secs(1), &mut |a, _| {
        all(a, DELIVERED, Health::Good)
    });
    assert_eq!(w.delivered.len(), 183);
}

#[test]
fn a_destination_that_asks_for_less_again_and_again_gets_a_rate() {
    let mut config = Config::default();
    config.retry = vec![Duration::from_secs(1)];
    config.retry_jitter = 0.0;
    let mut w = World::new(config);
    for n in 0..50 {
        w.send(Some("alice@a.test"), &[&*format!("n{n}@b.test")]);
    }
    w.run(START + HOUR, &mut |a, _| all(a, temporary(), Health::Busy));
    let late = w.attempts.iter().filter(|(at, _, _)| *at >= 1800).count();
    assert!((3..=8).contains(&late), "{late} attempts in half an hour");
    let started = w.now;
    w.run(started + HOUR * 3, &mut |a, _| all(a, DELIVERED, Health::Good));
    assert_eq!(w.delivered.len(), 50, "and it comes to itself again");
}

#[test]
fn redirected_messages_go_where_they_are_sent() {
    let mut w = world();
    let key = w.send(
        Some("alice@a.test"),
        &["bob@b.test", "carol@b.test", "dave@c.test"],
    );
    w.run(START, &mut |a, _| all(a, temporary(), Health::Unreachable));
    let only = Edit::Redirect {
        from: Some(address("carol@b.test")),
        to: address("carol@d.test"),
    };
    assert_eq!(w.edit(key, &only), Some(Edited::Done));
    assert_eq!(w.edit(key, &only), Some(Edited::Unchanged));
    w.run(START, &mut |a, _| all(a, permanent(), Health::Good));
    assert_eq!(w.attempts[2].2, ["carol@d.test"], "at once");
    assert_eq!(
        &*w.dsns[0].1.recipients[0].original.as_ref().unwrap().address,
        "carol@b.test"
    );
    let record = w.record(key);
    assert_eq!(
        &*record.history.last().unwrap().text,
        "d.test: 1 failed: 5.1.1 (mx.b.test) 550 5.1.1 no such user"
    );
    // What is on its way goes on; nobody is sent two copies for it.
    w.attempt_takes = MINUTE;
    w.run(START + MINUTE * 5, &mut |_, _| panic!("not over"));
    let everybody = Edit::Redirect {
        from: None,
        to: address("bob@b.test"),
    };
    assert_eq!(w.edit(key, &everybody), Some(Edited::Partly));
    w.run(START + HOUR, &mut |a, _| all(a, DELIVERED, Health::Good));
    assert_eq!(w.delivered, ["bob@b.test", "dave@c.test"]);
    assert!(w.spool.is_empty() && w.queue.is_empty());
}

#[test]
fn what_is_given_up_by_hand_is_told_to_the_sender() {
    let mut w = world();
    let tried = w.send(Some("alice@a.test"), &["bob@b.test", "carol@b.test"]);
    w.run(START, &mut |a, _| all(a, temporary(), Health::Good));
    assert_eq!(w.edit(tried, &Edit::GiveUp), Some(Edited::Done));
    assert_eq!(
        w.edit(tried, &Edit::GiveUp),
        Some(Edited::Unchanged),
        "it is over"
    );
    w.run(START, &mut |_, _| panic!("given up"));
    let told = |w: &World| {
        let (_, dsn) = w.dsns.last().unwrap();
        let recipients = dsn.recipients.iter();
        let told = recipients.map(|r| (r.action, r.why.as_ref().unwrap().status.to_string()));
        told.collect::<Vec<_>>()
    };
    let failed = |status: &str| (Action::Failed, status.to_owned());
    assert_eq!(told(&w), [failed("4.7.1"), failed("4.7.1")], "as it stood");

    // What was never tried has no reason of its own, and being held is no hindrance.
    let held = w.send(Some("alice@a.test"), &["dave@c.test"]);
    w.run(START, &mut |a, _| all(a, temporary(), Health::Unknown));
    w.edit(
        held,
        &Edit::Redirect {
            from: None,
            to: address("erin@c.test"),
        },
    );
    w.edit(held, &Edit::Hold);
    assert_eq!(w.edit(held, &Edit::GiveUp), Some(Edited::Done));
    w.run(START, &mut |_, _| panic!("given up"));
    assert_eq!(told(&w), [failed("5.0.0")]);
    assert!(w.spool.is_empty() && w.queue.is_empty());

    // What is on its way may still arrive.
    w.attempt_takes = MINUTE;
    for (outcome, dsns) in [(DELIVERED, 2), (temporary(), 3)] {
        let key = w.send(Some("alice@a.test"), &["bob@d.test"]);
        w.run(w.now, &mut |_, _| panic!("not over"));
        assert_eq!(w.edit(key, &Edit::GiveUp), Some(Edited::Partly));
        w.run(w.now + MINUTE, &mut |a, _| all(a, outcome.clone(), Health::Good));
        assert_eq!(w.dsns.len(), dsns);
        assert!(w.spool.is_empty());
    }

    // In a record that nobody works on, it happens at the next start.
    let mut record = message(&Config::default(), START, Some("alice@a.test"), &["bob@b.test"]);
    assert_eq!(record.edit(START, &Edit::GiveUp), Edited::Done);
    assert_eq!(record.edit(START, &Edit::GiveUp), Edited::Unchanged);
    assert_eq!(record.ends(), START);
}

#[test]
fn a_message_that_is_not_in_memory_is_changed_all_the_same() {
    let mut config = Config::default();
    config.memory_recipients = 2;
    let mut w = World::new(config);
    let keys: Vec<Key> = (0..10)
        .map(|n| w.send(Some("alice@a.test"), &[&*format!("n{n}@b{n}.test")]))
        .collect();
    w.run(START, &mut |a, _| all(a, temporary(), Health::Good));
    assert!(w.queue.len() <= 2);
    for key in &keys {
        assert_eq!(w.edit(*key, &Edit::Hold), Some(Edited::Done));
    }
    w.run(START + MINUTE, &mut |_, _| panic!("held"));
    assert!(keys.iter().all(|key| w.record(*key).held));
    assert!(w.queue.len() <= 2, "{} in memory", w.queue.len());
    w.fetch(keys[0]);
    assert!(w.queue.discard(w.now, keys[0]));
    assert!(!w.queue.is_settled(keys[0]));
    w.run(START + MINUTE, &mut |_, _| panic!("held"));
    assert!(w.queue.is_settled(keys[0]) && !w.spool.contains_key(&keys[0]));
    // What was removed while it was read does not come back.
    let data = w.spool[&keys[1]].clone();
    w.fetch(keys[1]);
    let fetch = w.queue.fetch(keys[1]);
    assert!(w.queue.discard(w.now, keys[1]));
    w.run(START + MINUTE, &mut |_, _| panic!("held"));
    assert_eq!(w.queue.fetched(w.now, fetch, Some(&data)), Ok(false));
    let fetch = w.queue.fetch(keys[2]);
    assert_eq!(
        w.queue.fetched(w.now, fetch, Some(b"\xff")),
        Err(Error::Version(0xff))
    );
}
