//! Rewritten senders: what others make of the same secrets, and what nobody can make without them.

use crate::site::address;
use mailwright_address::EmailAddress;
use mailwright_server::delivery::srs::{Refusal, Rewriter, is_rewritten};
use proptest::prelude::*;

/// 2026-11-23.
const NOW: u64 = 1_795_464_000;
const DAY: u64 = 86_400;

fn rewriter(secrets: &[&str], domain: &str, hash_length: usize) -> Rewriter {
    Rewriter::new(secrets.iter().copied(), domain.parse().unwrap(), hash_length, 21).unwrap()
}

fn local(address: &EmailAddress) -> String {
    address.unquoted_local_part().into_owned()
}

#[test]
fn the_addresses_are_those_of_mail_srs() {
    // Made by the Python package `pysrs` 1.0.3, class Guarded.
    let first = rewriter(&["tops3cr3t"], "a.test", 4);
    let second = rewriter(&["tops3cr3t"], "c.test", 4);
    let third = rewriter(&["tops3cr3t"], "d.test", 4);
    let a = first.forward(&address("alice@b.test"), NOW).unwrap();
    assert_eq!(a.as_str(), "SRS0=h1bu=JM=b.test=alice@a.test");
    let b = second.forward(&a, NOW).unwrap();
    assert_eq!(b.as_str(), "SRS1=TuIe=a.test==h1bu=JM=b.test=alice@c.test");
    let c = third.forward(&b, NOW).unwrap();
    assert_eq!(c.as_str(), "SRS1=TuIe=a.test==h1bu=JM=b.test=alice@d.test");
    assert_eq!(third.reverse(&local(&c), NOW).unwrap(), a);
    assert_eq!(second.reverse(&local(&b), NOW).unwrap(), a);
    assert_eq!(first.reverse(&local(&a), NOW).unwrap(), address("alice@b.test"));

    let other = rewriter(&["other secret"], "fwd.example", 8);
    for (sender, want) in [
        (
            "Bob+Tag=x@Mixed.Example",
            "SRS0=QOwsODPx=JM=Mixed.Example=Bob+Tag=x@fwd.example",
        ),
        (
            "SRS0+abcd=XY=z.test=joe@other.test",
            "SRS1=z0bmoj/K=other.test=+abcd=XY=z.test=joe@fwd.example",
        ),
        (
            "srs0-q=XY=z.test=joe@other.test",
            "SRS1=rq/ABMSe=other.test=-q=XY=z.test=joe@fwd.example",
        ),
    ] {
        assert_eq!(other.forward(&address(sender), NOW).unwrap().as_str(), want);
    }
    let at = |now| first.forward(&address("alice@b.test"), now).unwrap().to_string();
    assert_eq!(at(0), "SRS0=usIy=AA=b.test=alice@a.test");
    assert_eq!(at(DAY * 1023 + 5), "SRS0=7q7j=77=b.test=alice@a.test");
}

#[test]
fn they_are_good_for_their_time_alone() {
    let rewriter = rewriter(&["secret"], "a.test", 6);
    let sender = address("alice@b.test");
    for start in [NOW, DAY * 1020, DAY * 1024] {
        let rewritten = local(&rewriter.forward(&sender, start).unwrap());
        for (days, good) in [(0, true), (21, true), (22, false), (500, false), (1023, false)] {
            let found = rewriter.reverse(&rewritten, start + days * DAY);
            assert_eq!(
                found,
                if good {
                    Ok(sender.clone())
                } else {
                    Err(Refusal::Expired)
                },
                "{days}"
            );
        }
    }
}

#[test]
fn secrets_can_be_changed() {
    let before = rewriter(&["old"], "a.test", 6);
    let after = rewriter(&["new", "old"], "a.test", 6);
    let without = rewriter(&["new"], "a.test", 6);
    let sender = address("alice@b.test");
    let old = local(&before.forward(&sender, NOW).unwrap());
    assert_eq!(after.reverse(&old, NOW), Ok(sender.clone()));
    assert_eq!(without.reverse(&old, NOW), Err(Refusal::Forged));
    assert_eq!(after.forward(&sender, NOW), without.forward(&sender, NOW));
    assert!(Rewriter::new([], "a.test".parse().unwrap(), 6, 21).is_none());
}

#[test]
fn what_is_none_is_refused() {
    let rewriter = rewriter(&["secret"], "a.test", 6);
    for text in [
        "alice",
        "SRS0",
        "SRS2=x=y",
        "SRS0=",
        "SRS0=abcdef",
        "SRS0=abcdef=AA",
        "SRS0=abcdef=AA=b.test",
        "SRS1=",
        "SRS1=abcdef=a.test",
        "SRS0\u{e9}abc",
    ] {
        assert_eq!(rewriter.reverse(text, NOW), Err(Refusal::NoSuchForm), "{text}");
    }
    for text in [
        "SRS0==AA=b.test=alice",
        "SRS0=abcdef=AA=b.test=alice",
        "SRS1=abcdef=a.test==x=y=z=a",
    ] {
        assert_eq!(rewriter.reverse(text, NOW), Err(Refusal::Forged), "{text}");
    }
    assert!(
        is_rewritten("srs0=x") && is_rewritten("SRS1+x") && !is_rewritten("srs0x") && !is_rewritten("srs")
    );
    // No room.
    let long = EmailAddress::new(&"x".repeat(60), "b.test".parse().unwrap()).unwrap();
    assert_eq!(rewriter.forward(&long, NOW), None);
}

fn senders() -> impl Strategy<Value = EmailAddress> {
    let user = "[a-zA-Z0-9.+=_ -]{1,24}";
    let host = "[a-z0-9]{1,8}(\\.[a-z0-9]{1,6}){0,2}";
    (user, host).prop_filter_map("an address", |(user, host)| {
        EmailAddress::new(&user, host.parse().ok()?).ok()
    })
}

proptest! {
    #[test]
    fn what_is_rewritten_comes_back(sender in senders(), now in 0u64..4_000_000_000, upper in any::<bool>()) {
        let rewriter = rewriter(&["secret"], "a.test", 6);
        let Some(rewritten) = rewriter.forward(&sender, now) else { return Ok(()) };
        prop_assert_eq!(rewritten.domain_text(), Some("a.test"));
        let text = local(&rewritten);
        let found = rewriter.reverse(&text, now);
        if is_rewritten(&sender.unquoted_local_part()) {
            return Ok(());
        }
        prop_assert_eq!(found.as_ref(), Ok(&sender));
        // Case changes on the way, and does no harm.
        let changed = if upper { text.to_ascii_uppercase() } else { text.to_ascii_lowercase() };
        let found = rewriter.reverse(&changed, now).unwrap();
        prop_assert!(found.as_str().eq_ignore_ascii_case(sender.as_str()));
    }

    #[test]
    fn two_servers_lead_back_to_the_first(sender in senders(), now in 0u64..4_000_000_000) {
        let (first, second) = (rewriter(&["one"], "a.test", 4), rewriter(&["two"], "b.test", 4));
        let Some(once) = first.forward(&sender, now) else { return Ok(()) };
        if is_rewritten(&sender.unquoted_local_part()) {
            return Ok(());
        }
        let Some(twice) = second.forward(&once, now) else { return Ok(()) };
        prop_assert!(local(&twice).starts_with("SRS1="));
        let back = second.reverse(&local(&twice), now).unwrap();
        prop_assert_eq!(&back, &once);
        prop_assert_eq!(first.reverse(&local(&back), now).unwrap(), sender);
        prop_assert_eq!(first.reverse(&local(&twice), now), Err(Refusal::Forged));
    }

    #[test]
    fn nobody_else_makes_one(sender in senders(), at in any::<prop::sample::Index>(), with in "[a-z0-9]") {
        let rewriter = rewriter(&["secret"], "a.test", 12);
        let Some(rewritten) = rewriter.forward(&sender, NOW) else { return Ok(()) };
        let mut text = local(&rewritten);
        let at = at.index(text.len());
        if text[at..=at].eq_ignore_ascii_case(&with) {
            return Ok(());
        }
        text.replace_range(at..=at, &with);
        // Whatever was changed, it leads to nobody else: one in 2^60 would be an accident.
        prop_assert!(rewriter.reverse(&text, NOW).is_err());
    }

    #[test]
    fn nothing_makes_it_fall_over(text in "\\PC{0,70}", tail in "SRS[01][=+-]\\PC{0,60}") {
        let rewriter = rewriter(&["secret"], "a.test", 6);
        for text in [text, tail] {
            prop_assert!(rewriter.reverse(&text, NOW).is_err());
            if let Ok(sender) = EmailAddress::new(&text, "b.test".parse().unwrap()) {
                let _ = rewriter.forward(&sender, NOW);
            }
        }
    }
}
