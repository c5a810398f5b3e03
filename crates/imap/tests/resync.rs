//! A client comes back with a cache (RFC 7162 §3.2.5): whatever it says of it, and whatever the mailbox has forgotten,
//! it ends with what the mailbox holds.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test fails by panicking, and needs a moment to start at

use mailwright_imap::{
    Capabilities, Config, Event, Flag, Flags, Selected, SequenceSet, Server, Transport, UidSet,
};
use mailwright_wire::{Machine, Step};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

#[derive(Debug, Clone, PartialEq)]
struct Message {
    flagged: bool,
    mod_seq: u64,
}

/// A mailbox that remembers when messages went.
#[derive(Debug, Clone)]
struct Mailbox {
    messages: BTreeMap<u32, Message>,
    went: Vec<(u32, u64)>,
    highest: u64,
    next: u32,
}

#[derive(Debug, Clone)]
enum Happening {
    Append,
    Skip,
    Flag(usize),
    Expunge(usize),
}

impl Mailbox {
    fn act(&mut self, step: &Happening) {
        self.highest += 1;
        let mod_seq = self.highest;
        let nth = |at: usize| self.messages.keys().nth(at % self.messages.len().max(1)).copied();
        match step {
            Happening::Append => {
                let flagged = false;
                self.messages.insert(self.next, Message { flagged, mod_seq });
                self.next += 1;
            }
            Happening::Skip => self.next += 1,
            Happening::Flag(at) => {
                if let Some(message) = nth(*at).and_then(|uid| self.messages.get_mut(&uid)) {
                    message.flagged = !message.flagged;
                    message.mod_seq = mod_seq;
                }
            }
            Happening::Expunge(at) => {
                if let Some(uid) = nth(*at) {
                    self.messages.remove(&uid);
                    self.went.push((uid, mod_seq));
                }
            }
        }
    }
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Happening>> {
    let step = prop_oneof![
        3 => Just(Happening::Append),
        1 => Just(Happening::Skip),
        2 => (0usize..40).prop_map(Happening::Flag),
        2 => (0usize..40).prop_map(Happening::Expunge),
    ];
    vec(step, 0..most)
}

/// Selects with what the client says of its cache; returns the output.
fn select(mailbox: &Mailbox, remembers: bool, parameter: &str) -> String {
    let now = Instant::now();
    let mut config = Config::default();
    config.capabilities = Capabilities::all();
    let mut server = Server::preauthenticated(Arc::new(config), Transport::Tls, [7; 32], now);
    let input = format!("a ENABLE QRESYNC\r\nb SELECT INBOX (QRESYNC ({parameter}))\r\n");
    let mut input = input.as_bytes();
    let (mut output, mut question) = (Vec::new(), None);
    loop {
        match server.poll(now).unwrap() {
            Step::Event(event) => question = Some(event),
            Step::Write => {
                output.extend_from_slice(server.send_buf());
                server.sent(server.send_buf().len());
            }
            Step::Answer => match question.take() {
                Some(Event::Select { .. }) => {
                    let uids = mailbox.messages.keys().copied().collect();
                    let next = NonZeroU32::new(mailbox.next).unwrap();
                    let mut selected = Selected::new(uids, NonZeroU32::new(5).unwrap(), next);
                    selected.highest_mod_seq = Some(mailbox.highest);
                    server.selected(selected);
                }
                Some(Event::Fetch(request)) => {
                    let since = request.changed_since.unwrap();
                    if remembers {
                        let gone = mailbox.went.iter().filter(|(_, at)| *at > since);
                        server.vanished(&gone.map(|(uid, _)| *uid).collect());
                    }
                    for (&uid, message) in &mailbox.messages {
                        if request.uids.contains(uid) && message.mod_seq > since {
                            let flags = message.flagged.then_some(Flag::Flagged);
                            let mut row = server.fetch(uid).unwrap();
                            row.flags(&flags.into_iter().collect::<Flags>());
                            row.mod_seq(message.mod_seq);
                        }
                    }
                    server.accept();
                }
                other => panic!("{other:?}"),
            },
            Step::Read if input.is_empty() => return String::from_utf8(output).unwrap(),
            Step::Read => {
                let room = server.recv_buf();
                let n = room.len().min(input.len());
                room[..n].copy_from_slice(&input[..n]);
                server.received(n);
                input = &input[n..];
            }
            other => panic!("{other:?}"),
        }
    }
}

fn uid_set(text: &str) -> UidSet {
    let set = SequenceSet::parse(text.as_bytes()).unwrap();
    let number = |n: mailwright_imap::SeqNumber| n.to_string().parse::<u32>().unwrap();
    UidSet::from_ranges(set.ranges().map(|(a, b)| number(a)..=number(b)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_cache_is_brought_up_to_date(
        before in steps(40),
        after in steps(30),
        remembers: bool,
        says_known: bool,
        sample in prop::option::of(vec(any::<prop::sample::Index>(), 1..6)),
    ) {
        let mut mailbox = Mailbox { messages: BTreeMap::new(), went: vec![], highest: 1, next: 1 };
        before.iter().for_each(|step| mailbox.act(step));
        let cache = mailbox.clone();
        after.iter().for_each(|step| mailbox.act(step));

        let known: UidSet = cache.messages.keys().copied().collect();
        let mut parameter = format!("5 {}", cache.highest);
        if says_known && !known.is_empty() {
            parameter += &format!(" {known}");
        }
        if let Some(sample) = sample.filter(|_| !known.is_empty()) {
            let numbers: UidSet = sample.iter().map(|at| at.index(cache.messages.len()) as u32 + 1).collect();
            let uids: Vec<u32> = known.iter().collect();
            let uids: UidSet = numbers.iter().map(|n| uids[n as usize - 1]).collect();
            parameter += &format!(" ({numbers} {uids})");
        }
        let output = select(&mailbox, remembers, &parameter);
        prop_assert!(output.contains("\r\nb OK [READ-WRITE]"), "{}", output);

        let mut client: BTreeMap<u32, bool> = cache.messages.iter().map(|(uid, m)| (*uid, m.flagged)).collect();
        let mut rows = false;
        for line in output.lines() {
            if let Some(gone) = line.strip_prefix("* VANISHED (EARLIER) ") {
                prop_assert!(!rows, "VANISHED behind FETCH: {}", output);
                for uid in uid_set(gone).iter() {
                    prop_assert!(!mailbox.messages.contains_key(&uid) && uid < mailbox.next, "{} is there", uid);
                    client.remove(&uid);
                }
            }
            if let Some((_, row)) = line.split_once(" FETCH (UID ") {
                rows = true;
                let uid: u32 = row.split(' ').next().unwrap().parse().unwrap();
                let number: usize = line.split(' ').nth(1).unwrap().parse().unwrap();
                prop_assert_eq!(mailbox.messages.keys().nth(number - 1), Some(&uid));
                let told = row.contains(&format!("MODSEQ ({})", mailbox.messages[&uid].mod_seq));
                prop_assert!(told, "{}", line);
                prop_assert!(!says_known || known.is_empty() || known.contains(uid), "{} was not asked for", uid);
                client.insert(uid, row.contains("\\Flagged"));
            }
        }
        // Messages that came since are told by EXISTS, and here only if all were asked for.
        let model: BTreeMap<u32, bool> = mailbox
            .messages
            .iter()
            .filter(|(uid, _)| **uid < cache.next || (!says_known || known.is_empty()))
            .map(|(uid, m)| (*uid, m.flagged))
            .collect();
        prop_assert_eq!(client, model);
    }
}

#[test]
fn the_largest_parameters_cost_nothing() {
    let messages = (1..=1000).map(|n| {
        (
            n * 3,
            Message {
                flagged: false,
                mod_seq: 1,
            },
        )
    });
    let mailbox = Mailbox {
        messages: messages.collect(),
        went: vec![],
        highest: 9,
        next: u32::MAX,
    };
    for parameter in [
        "5 1 1:4294967295",
        "5 1 1:4294967295 (1:4294967295 1:4294967295)",
        "5 1 (1:1000,4294967295 3:1002,4294967295)",
        "5 9223372036854775807 1:4294967295",
    ] {
        for remembers in [false, true] {
            let output = select(&mailbox, remembers, parameter);
            assert!(output.contains("\r\nb OK [READ-WRITE]"), "{parameter}");
            assert!(output.lines().all(|line| line.len() < 10_000), "{parameter}");
        }
    }
    let long: Vec<String> = (0..9_000).map(|n| (n * 3 + 2).to_string()).collect();
    let output = select(&mailbox, false, &format!("5 1 {}", long.join(",")));
    assert!(output.matches("* VANISHED (EARLIER) ").count() > 1);
    assert!(output.lines().all(|line| line.len() < 10_000));
}
