//! Trees of messages, as RFC 5256 §3 makes them

#![allow(clippy::unwrap_used)]

use mailwright_mailbox::{
    ThreadKey, Threading, Uid,
    conversation::{Candidate, Place, ordered_subject, references},
};
use proptest::prelude::*;

/// A message as a test writes it: Message-ID, references, subject, seconds.
#[derive(Clone, Debug)]
struct Mail {
    threading: Threading,
    subject: String,
    is_reply: bool,
    sent: i64,
}

fn mail(id: &str, references: &str, subject: &str, sent: i64) -> Mail {
    let key = |id: &str| ThreadKey::of(id.as_bytes());
    let base = subject.trim_start_matches("Re: ");
    Mail {
        threading: Threading::new(
            (!id.is_empty()).then(|| key(id)),
            references.split_whitespace().map(key),
        ),
        subject: base.to_lowercase(),
        is_reply: base.len() < subject.len(),
        sent,
    }
}

fn candidates(mails: &[Mail]) -> Vec<Candidate<'_>> {
    let uids = (1..).map(|uid| Uid::new(uid).unwrap());
    mails
        .iter()
        .zip(uids)
        .map(|(it, uid)| Candidate::new(uid, &it.threading, it.sent, &it.subject, it.is_reply))
        .collect()
}

/// Writes trees down: each place on its level, `-` for what is not there.
fn drawn(places: &[Place]) -> String {
    let place = |place: &Place| {
        let uid = place.uid.map_or("-".into(), |uid| uid.to_string());
        format!("{}{uid}", ".".repeat(place.depth as usize))
    };
    places.iter().map(place).collect::<Vec<_>>().join(" ")
}

#[test]
fn replies_hang_below_what_they_refer_to() {
    let mails = [
        mail("1", "", "one", 10),
        mail("2", "1", "Re: one", 20),
        mail("3", "1 2", "Re: one", 30),
        mail("4", "1", "Re: one", 15),
        mail("5", "", "other", 5),
    ];
    assert_eq!(drawn(&references(&candidates(&mails))), "5 1 .4 .2 ..3");
}

#[test]
fn what_is_not_there_is_left_out_unless_it_holds_several_together() {
    let only = [mail("3", "1 2", "x", 1)];
    assert_eq!(drawn(&references(&candidates(&only))), "1");
    let chain = [mail("1", "", "x", 1), mail("4", "1 2 3", "y", 2)];
    assert_eq!(drawn(&references(&candidates(&chain))), "1 .2");
    let siblings = [mail("2", "1", "x", 5), mail("3", "1", "y", 4)];
    assert_eq!(drawn(&references(&candidates(&siblings))), "- .2 .1");
}

#[test]
fn loops_and_twins_are_put_apart() {
    let circle = [
        mail("1", "2", "a", 1),
        mail("2", "1", "b", 2),
        mail("3", "3", "c", 3),
    ];
    assert_eq!(drawn(&references(&candidates(&circle))), "2 .1 3");
    let twins = [
        mail("1", "", "a", 1),
        mail("1", "", "b", 2),
        mail("2", "1", "c", 3),
    ];
    assert_eq!(drawn(&references(&candidates(&twins))), "1 .3 2");
    // What a message says of its own parent counts for more than what another says.
    let quarrel = [
        mail("3", "1 2", "a", 3),
        mail("2", "", "b", 2),
        mail("1", "", "c", 1),
    ];
    assert_eq!(drawn(&references(&candidates(&quarrel))), "3 2 .1");
}

#[test]
fn trees_with_one_subject_are_joined() {
    // A reply without references goes below the first; two that are no replies get a common place.
    let reply = [mail("1", "", "x", 1), mail("2", "", "Re: X", 2)];
    assert_eq!(drawn(&references(&candidates(&reply))), "1 .2");
    let equals = [
        mail("1", "", "x", 2),
        mail("2", "", "x", 1),
        mail("3", "", "x", 3),
    ];
    assert_eq!(drawn(&references(&candidates(&equals))), "- .2 .1 .3");
    let replies = [mail("1", "", "Re: x", 1), mail("2", "", "x", 2)];
    assert_eq!(drawn(&references(&candidates(&replies))), "2 .1");
    let empty = [mail("1", "", "", 1), mail("2", "", "Re: ", 2)];
    assert_eq!(drawn(&references(&candidates(&empty))), "1 2");
    // Two places for what is not there become one; one that is there goes below such a place.
    let held = [
        mail("2", "1", "x", 1),
        mail("3", "1", "y", 2),
        mail("5", "4", "x", 3),
        mail("6", "4", "z", 4),
        mail("7", "", "x", 5),
    ];
    assert_eq!(drawn(&references(&candidates(&held))), "- .1 .2 .3 .4 .5");
}

#[test]
fn subjects_are_put_in_order() {
    let mails = [
        mail("1", "", "b", 3),
        mail("2", "", "a", 4),
        mail("3", "1", "Re: b", 2),
        mail("4", "", "b", 5),
        mail("5", "", "a", 4),
    ];
    assert_eq!(drawn(&ordered_subject(&candidates(&mails))), "3 .1 .4 2 .5");
    assert_eq!((references(&[]), ordered_subject(&[])), (vec![], vec![]));
}

#[test]
fn long_chains_and_wide_trees_are_no_trouble() {
    let chain: Vec<_> = (1..=100_000)
        .map(|n| mail(&n.to_string(), &(n - 1).to_string(), "x", n))
        .collect();
    let places = references(&candidates(&chain));
    assert_eq!((places.len(), places.last().unwrap().depth), (100_000, 99_999));
    let wide: Vec<_> = (1..=100_000).map(|n| mail("", "0", "x", -n)).collect();
    let places = references(&candidates(&wide));
    assert_eq!(
        (places.len(), drawn(&places[..3])),
        (100_001, "- .100000 .99999".into())
    );
    let same: Vec<_> = (1..=100_000).map(|n| mail("", "", "x", n)).collect();
    assert_eq!(drawn(&references(&candidates(&same))[..3]), "- .1 .2");
}

proptest! {
    #[test]
    fn every_message_is_there_once(
        mails in prop::collection::vec(
            (0..12u32, prop::collection::vec(0..12u32, 0..4), 0..4u32, any::<bool>(), 0..5i64),
            0..30,
        ),
    ) {
        let mails: Vec<_> = mails
            .into_iter()
            .map(|(id, references, subject, reply, sent)| {
                let id = if id == 0 { String::new() } else { id.to_string() };
                let references: Vec<_> = references.iter().map(ToString::to_string).collect();
                let subject = ["", "a", "b", "c"][subject as usize];
                let subject = format!("{}{subject}", if reply { "Re: " } else { "" });
                mail(&id, &references.join(" "), &subject, sent)
            })
            .collect();
        for places in [references(&candidates(&mails)), ordered_subject(&candidates(&mails))] {
            let mut uids: Vec<_> = places.iter().filter_map(|it| it.uid).map(Uid::value).collect();
            uids.sort_unstable();
            prop_assert_eq!(uids, (1..=mails.len() as u32).collect::<Vec<_>>());
            let mut depth = 0;
            for (at, place) in places.iter().enumerate() {
                prop_assert!(place.depth <= depth, "{}", drawn(&places));
                depth = place.depth + 1;
                // What is not there has at least two below it, and is a root.
                if place.uid.is_none() {
                    prop_assert_eq!(place.depth, 0);
                    let below = places[at + 1..].iter().take_while(|it| it.depth > 0);
                    prop_assert!(below.filter(|it| it.depth == 1).count() >= 2, "{}", drawn(&places));
                }
            }
        }
    }
}
