//! The stub resolver: any datagrams and streams in answer to its queries. Every question gets one answer.
#![no_main]

use core::net::SocketAddr;
use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use mailwright_dns::{Config, Name, Question, RecordType, Resolver, Server, Transport};
use mailwright_fuzz::choices;

fuzz_target!(|data: &[u8]| {
    let (choice, data) = choices(data);
    let servers = [1, 2].map(|n| Server::new(SocketAddr::from(([10, 0, 0, n], 53))));
    let mut config = Config::new(servers);
    config.random_case = choice & 1 != 0;
    let mut state = 1u64;
    let mut resolver = Resolver::new(config, move |octets: &mut [u8]| {
        for octet in octets {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *octet = (state >> 33) as u8;
        }
    });
    let record_type = match choice >> 1 & 3 {
        0 => RecordType::Mx,
        1 => RecordType::A,
        2 => RecordType::Txt,
        _ => RecordType::Tlsa,
    };
    let mut now = Instant::now();
    let name = Name::parse("b.test").expect("a name");
    resolver.query(now, Question::new(name, record_type));
    let mut answers = data.split(|b| *b == 0xf8);
    let mut seen = 0;
    loop {
        while let Some(transmit) = resolver.poll_transmit() {
            let Some(rest) = answers.next() else { continue };
            // The id and question are those of the query, or forging them is all the fuzzer would do.
            let udp = transmit.transport == Transport::Udp;
            let query = if udp {
                &transmit.bytes[..]
            } else {
                &transmit.bytes[2..]
            };
            let question_end = 12 + query[12..].iter().position(|b| *b == 0).unwrap_or(0) + 5;
            let (head, body) = rest.split_at(rest.len().min(8));
            let mut answer = query[..question_end].to_vec();
            answer[2] |= 0x80;
            for (at, byte) in head.iter().enumerate() {
                let at = [2, 3, 7, 9, 11, 6, 8, 10][at];
                answer[at] = if at == 2 { byte | 0x80 } else { *byte };
            }
            answer.extend_from_slice(body);
            if udp {
                resolver.handle_datagram(now, transmit.socket, transmit.server, &answer);
            } else {
                let len = (answer.len() as u16).to_be_bytes();
                let stream = [&len[..], &answer].concat();
                for piece in stream.chunks(1 + usize::from(choice)) {
                    resolver.handle_stream(now, transmit.socket, piece);
                }
            }
        }
        while resolver.poll_close().is_some() {}
        while resolver.poll_answer().is_some() {
            seen += 1;
        }
        match resolver.deadline() {
            Some(deadline) => now = now.max(deadline),
            None => break,
        }
        resolver.handle_timeout(now);
    }
    assert_eq!(seen, 1, "one answer to one question");
});
