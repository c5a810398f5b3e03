//! Octets of any kind do no harm.
#![allow(clippy::unwrap_used)]

mod support;

use core::net::SocketAddr;
use mailwright_dns::{Answer, Config, QueryId, Resolver, SocketId, Transmit, Transport};
use proptest::prelude::*;
use support::{World, script, servers};

/// A resolver that waits for an answer, over TCP if asked so.
fn waiting(transport: Transport) -> (World, Transmit) {
    let mut config = Config::new(servers(2));
    config.random_case = false;
    let mut world = World::new(config, script(&[]));
    world.ask("MX b.test");
    let mut transmit = world.resolver.poll_transmit().unwrap();
    if transport == Transport::Tcp {
        let query = hickory_proto::op::Message::from_vec(&transmit.bytes).unwrap();
        let (from, answer) = support::build(transmit.server, &query, "tc");
        world
            .resolver
            .handle_datagram(world.now, transmit.socket, from, &answer);
        transmit = world.resolver.poll_transmit().unwrap();
    }
    assert_eq!(transmit.transport, transport);
    (world, transmit)
}

/// Runs to the end with silent servers: every question must get its one answer, and nothing may stay open.
fn finish(world: &mut World, already: Vec<(QueryId, Answer)>) {
    let mut answers = already;
    answers.extend(world.run());
    assert_eq!(answers.len(), 1);
    assert_eq!(world.resolver.deadline(), None);
}

fn take(resolver: &mut Resolver) -> Vec<(QueryId, Answer)> {
    core::iter::from_fn(|| resolver.poll_answer()).collect()
}

/// A true answer with everything in it that is decoded.
fn answer_to(transmit: &Transmit) -> (SocketAddr, Vec<u8>) {
    let query = hickory_proto::op::Message::from_vec(match transmit.transport {
        Transport::Udp => &transmit.bytes,
        Transport::Tcp => &transmit.bytes[2..],
    })
    .unwrap();
    let reaction = "b.test 60 CNAME c.test | c.test 60 MX 10 mx.c.test | c.test 60 MX 20 mx2.c.test | c.test 9 TXT x \
                    | auth test 60 SOA 60 | auth test 60 NS ns.test | ede 6 | extra mx.c.test 60 A 192.0.2.1";
    support::build(transmit.server, &query, reaction)
}

fn datagrams(world: &mut World, socket: SocketId, from: SocketAddr, datagrams: &[Vec<u8>]) {
    for datagram in datagrams {
        world.resolver.handle_datagram(world.now, socket, from, datagram);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_datagrams(data in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 0..8)) {
        let (mut world, transmit) = waiting(Transport::Udp);
        datagrams(&mut world, transmit.socket, transmit.server, &data);
        let answers = take(&mut world.resolver);
        finish(&mut world, answers);
    }

    #[test]
    fn random_octets_behind_a_true_header_and_question(
        flags in any::<[u8; 2]>(),
        counts in any::<[u8; 6]>(),
        rest in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let (mut world, transmit) = waiting(Transport::Udp);
        let mut datagram = transmit.bytes[..2].to_vec();
        datagram.extend_from_slice(&[flags[0] | 0x80, flags[1], 0, 1]);
        datagram.extend_from_slice(&counts);
        datagram.extend_from_slice(&transmit.bytes[12..24]);
        datagram.extend_from_slice(&rest);
        datagrams(&mut world, transmit.socket, transmit.server, &[datagram]);
        let answers = take(&mut world.resolver);
        finish(&mut world, answers);
    }

    #[test]
    fn true_answers_with_octets_changed(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        keep in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        for transport in [Transport::Udp, Transport::Tcp] {
            let (mut world, transmit) = waiting(transport);
            let (from, mut datagram) = answer_to(&transmit);
            for (place, octet) in &changes {
                let place = place.index(datagram.len());
                datagram[place] = *octet;
            }
            if cut {
                datagram.truncate(keep.index(datagram.len()));
            }
            match transport {
                Transport::Udp => world.resolver.handle_datagram(world.now, transmit.socket, from, &datagram),
                Transport::Tcp => {
                    let length = u16::try_from(datagram.len()).unwrap().to_be_bytes();
                    world.resolver.handle_stream(world.now, transmit.socket, &length);
                    world.resolver.handle_stream(world.now, transmit.socket, &datagram);
                }
            }
            let answers = take(&mut world.resolver);
            finish(&mut world, answers);
        }
    }

    #[test]
    fn random_streams(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4000), 0..12)) {
        let (mut world, transmit) = waiting(Transport::Tcp);
        for piece in &pieces {
            world.resolver.handle_stream(world.now, transmit.socket, piece);
        }
        let answers = take(&mut world.resolver);
        finish(&mut world, answers);
    }
}

#[test]
fn the_unchanged_answer_is_taken() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let (mut world, transmit) = waiting(transport);
        let (from, message) = answer_to(&transmit);
        match transport {
            Transport::Udp => world
                .resolver
                .handle_datagram(world.now, transmit.socket, from, &message),
            Transport::Tcp => {
                let length = u16::try_from(message.len()).unwrap().to_be_bytes();
                world
                    .resolver
                    .handle_stream(world.now, transmit.socket, &[&length[..], &message].concat());
            }
        }
        let answers = take(&mut world.resolver);
        assert_eq!(
            support::render(&answers[0].1),
            "b.test > c.test indeterminate 60s: 10 mx.c.test, 20 mx2.c.test"
        );
    }
}

/// Names made of pointers to pointers cost the most to read; the limit on messages keeps that in bounds.
#[test]
fn a_message_of_pointers_is_read_in_bounded_time() {
    let (mut world, transmit) = waiting(Transport::Tcp);
    let mut message = transmit.bytes[2..4].to_vec();
    message.extend_from_slice(&[0x80, 0, 0, 1, 0x04, 0, 0, 0, 0, 0]);
    message.extend_from_slice(&transmit.bytes[14..26]);
    // A record of data that nobody reads: each pointer in it leads to the one before.
    let data = message.len() + 12;
    let count = 4000;
    message.extend_from_slice(&[0xc0, 12, 0, 99, 0, 1, 0, 0, 0, 0]);
    message.extend_from_slice(&u16::try_from(2 * count).unwrap().to_be_bytes());
    for i in 0..count {
        let target = if i == 0 { 12 } else { data + 2 * (i - 1) };
        message.extend_from_slice(&(0xc000 | u16::try_from(target).unwrap()).to_be_bytes());
    }
    let last = (0xc000 | u16::try_from(data + 2 * (count - 1)).unwrap()).to_be_bytes();
    while message.len() + 12 <= 16_384 {
        message.extend_from_slice(&last);
        message.extend_from_slice(&[0, 15, 0, 1, 0, 0, 0, 0, 0, 0]);
    }
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    #[allow(clippy::disallowed_methods)] // how long it takes is what is tested
    let start = std::time::Instant::now();
    world
        .resolver
        .handle_stream(world.now, transmit.socket, &[&length[..], &message].concat());
    assert!(
        start.elapsed() < core::time::Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    let answers = take(&mut world.resolver);
    finish(&mut world, answers);
}
