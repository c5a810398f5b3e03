//! A resolver, servers that follow a script, and a clock that moves when nothing else does.
//!
//! A script is a list of `(query, reaction)`. The query is `TYPE NAME` after any of `s1` `s2` (the server), `udp`
//! `tcp`, `edns` `plain`, and `#N` (the Nth query of that type and name); the first entry that fits is used, and without
//! one the server is silent. The reaction is a list of messages, separated by ` && `, each a list of parts, separated
//! by ` | `:
//!
//! - `NAME TTL TYPE DATA` in the answer section, `auth NAME TTL TYPE DATA` in the authority section
//! - `ad`, `tc`, `ede N`, and the response codes `nxdomain`, `servfail`, `refused`, `formerr`, `notimp`, `badvers`
//! - `from ADDRESS`, `id`, `case`, `question NAME`, `type`, `query`, `no-question`: what a forger gets wrong
//! - `cut N` (octets kept), `trailing`, `garbage`: what a broken server gets wrong
//! - `silence`, `fail`: no message at all

#![allow(clippy::unwrap_used, clippy::disallowed_methods, dead_code)]

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{
    Name as HickoryName, RData, Record as HickoryRecord, RecordType as HickoryType, rdata,
};
use mailwright_dns::{
    Answer, Config, Name, QueryId, Question, Record, RecordType, Resolver, Server, SocketId, Transmit,
    Transport,
};
use std::collections::HashMap;
use std::str::FromStr;
use std::time::Instant;

pub(crate) type Script = Vec<(String, String)>;

pub(crate) struct World {
    pub(crate) resolver: Resolver,
    pub(crate) now: Instant,
    pub(crate) script: Script,
    /// What was sent, as in `1u:MX b.test`; `p` after the transport means without EDNS.
    pub(crate) sent: Vec<String>,
    pub(crate) queries: Vec<Vec<u8>>,
    pub(crate) sockets: Vec<SocketId>,
    counts: HashMap<String, usize>,
}

pub(crate) fn servers(count: u8) -> Vec<Server> {
    (1..=count)
        .map(|n| Server::new(SocketAddr::from(([10, 0, 0, n], 53))))
        .collect()
}

pub(crate) fn script(rows: &[(&str, &str)]) -> Script {
    rows.iter()
        .map(|(query, reaction)| ((*query).to_owned(), (*reaction).to_owned()))
        .collect()
}

pub(crate) fn question(text: &str) -> Question {
    let (record_type, name) = text.split_once(' ').unwrap();
    let record_type = match record_type {
        "A" => RecordType::A,
        "AAAA" => RecordType::Aaaa,
        "CNAME" => RecordType::Cname,
        "MX" => RecordType::Mx,
        "PTR" => RecordType::Ptr,
        "SOA" => RecordType::Soa,
        "TLSA" => RecordType::Tlsa,
        "TXT" => RecordType::Txt,
        other => panic!("record type {other}"),
    };
    Question::new(Name::parse(name).unwrap(), record_type)
}

impl World {
    pub(crate) fn new(config: Config, script: Script) -> Self {
        let mut state = 0x1234_5678_9abc_def1_u64;
        let entropy = move |octets: &mut [u8]| {
            for octet in octets {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                *octet = state as u8;
            }
        };
        Self {
            resolver: Resolver::new(config, entropy),
            now: Instant::now(),
            script,
            sent: Vec::new(),
            queries: Vec::new(),
            sockets: Vec::new(),
            counts: HashMap::new(),
        }
    }

    pub(crate) fn ask(&mut self, text: &str) -> QueryId {
        self.resolver.query(self.now, question(text))
    }

    /// Asks and runs until the answer is there.
    pub(crate) fn resolve(&mut self, text: &str) -> Answer {
        let query = self.ask(text);
        let mut answers = self.run();
        let place = answers.iter().position(|(id, _)| *id == query);
        answers.swap_remove(place.expect("an answer to the question")).1
    }

    /// Runs until nothing is left to happen.
    pub(crate) fn run(&mut self) -> Vec<(QueryId, Answer)> {
        let mut answers = Vec::new();
        loop {
            self.exchange();
            while let Some(answer) = self.resolver.poll_answer() {
                answers.push(answer);
            }
            let Some(deadline) = self.resolver.deadline() else {
                return answers;
            };
            assert!(deadline > self.now, "a deadline that has passed is left");
            self.now = deadline;
            self.resolver.handle_timeout(self.now);
        }
    }

    /// Lets all that was sent reach the servers, and their reactions the resolver.
    pub(crate) fn exchange(&mut self) {
        while let Some(transmit) = self.resolver.poll_transmit() {
            self.react(&transmit);
            self.now += Duration::from_millis(1);
        }
        while let Some(socket) = self.resolver.poll_close() {
            self.sockets.retain(|open| *open != socket);
        }
    }

    fn react(&mut self, transmit: &Transmit) {
        let wire = match transmit.transport {
            Transport::Udp => &transmit.bytes[..],
            Transport::Tcp => {
                assert_eq!(
                    usize::from(u16::from_be_bytes([transmit.bytes[0], transmit.bytes[1]])) + 2,
                    transmit.bytes.len()
                );
                &transmit.bytes[2..]
            }
        };
        self.sockets.push(transmit.socket);
        self.queries.push(wire.to_vec());
        let query = Message::from_vec(wire).unwrap();
        assert!(query.metadata.recursion_desired && query.metadata.authentic_data);
        let asked = &query.queries[0];
        let name = asked.name.to_lowercase().to_ascii();
        let name = if name == "." {
            "."
        } else {
            name.trim_end_matches('.')
        };
        let what = format!("{} {name}", asked.query_type);
        let nth = self.counts.entry(what.clone()).or_default();
        *nth += 1;
        let server = match transmit.server.ip() {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(address) => address.octets()[15],
        };
        let transport = if transmit.transport == Transport::Udp {
            "udp"
        } else {
            "tcp"
        };
        let edns = if query.edns.is_some() { "edns" } else { "plain" };
        let plain = if query.edns.is_some() { "" } else { "p" };
        self.sent
            .push(format!("{server}{}{plain}:{what}", &transport[..1]));
        let facts = [
            format!("s{server}"),
            transport.to_owned(),
            edns.to_owned(),
            format!("#{nth}"),
        ];
        let fits = |entry: &str| {
            let Some(conditions) = entry.strip_suffix(what.as_str()) else {
                return false;
            };
            conditions
                .split_whitespace()
                .all(|condition| facts.iter().any(|fact| fact == condition))
        };
        let Some((_, reaction)) = self.script.iter().find(|(entry, _)| fits(entry)) else {
            return;
        };
        for message in reaction.clone().split(" && ") {
            self.deliver(transmit, &query, message);
        }
    }

    fn deliver(&mut self, transmit: &Transmit, query: &Message, reaction: &str) {
        match reaction {
            "silence" => return,
            "fail" => return self.resolver.handle_failed(self.now, transmit.socket),
            _ => {}
        }
        let (from, wire) = build(transmit.server, query, reaction);
        match transmit.transport {
            Transport::Udp => self
                .resolver
                .handle_datagram(self.now, transmit.socket, from, &wire),
            Transport::Tcp => {
                let length = u16::try_from(wire.len()).unwrap().to_be_bytes();
                // In three pieces, for streams know no messages.
                for piece in [&length[..1], &[&length[1..], &wire[..7]].concat(), &wire[7..]] {
                    self.resolver.handle_stream(self.now, transmit.socket, piece);
                }
            }
        }
    }
}

/// Builds the message that a reaction describes.
pub(crate) fn build(server: SocketAddr, query: &Message, reaction: &str) -> (SocketAddr, Vec<u8>) {
    let mut message = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
    message.metadata.recursion_available = true;
    message.metadata.recursion_desired = true;
    message.queries = query.queries.clone();
    let mut from = server;
    let mut keep = usize::MAX;
    let mut trailing: &[u8] = &[];
    for part in reaction.split(" | ") {
        let (word, rest) = part.split_once(' ').unwrap_or((part, ""));
        match word {
            "empty" => {}
            "ad" => message.metadata.authentic_data = true,
            "tc" => message.metadata.truncation = true,
            "nxdomain" => message.metadata.response_code = ResponseCode::NXDomain,
            "servfail" => message.metadata.response_code = ResponseCode::ServFail,
            "refused" => message.metadata.response_code = ResponseCode::Refused,
            "formerr" => message.metadata.response_code = ResponseCode::FormErr,
            "notimp" => message.metadata.response_code = ResponseCode::NotImp,
            "badvers" => {
                message.metadata.response_code = ResponseCode::BADVERS;
                message.set_edns(Edns::new());
            }
            "ede" => {
                let code = rest.parse::<u16>().unwrap().to_be_bytes();
                let mut edns = Edns::new();
                edns.options_mut()
                    .insert(EdnsOption::Unknown(15, [&code[..], b"why"].concat()));
                message.set_edns(edns);
            }
            "from" => from = rest.parse().unwrap(),
            "id" => message.metadata.id ^= 0x0100,
            "case" => {
                let name = message.queries[0].name.to_ascii();
                let flipped: String = name
                    .chars()
                    .map(|c| {
                        if c.is_ascii_lowercase() {
                            c.to_ascii_uppercase()
                        } else {
                            c.to_ascii_lowercase()
                        }
                    })
                    .collect();
                message.queries[0].name = HickoryName::from_ascii(flipped).unwrap();
            }
            "question" => message.queries[0].name = HickoryName::from_ascii(rest).unwrap(),
            "type" => message.queries[0].query_type = HickoryType::NS,
            "query" => message.metadata.message_type = MessageType::Query,
            "no-question" => message.queries.clear(),
            "two-questions" => {
                message.queries.push(Query::query(
                    HickoryName::from_ascii("two.test.").unwrap(),
                    HickoryType::A,
                ));
            }
            "cut" => keep = rest.parse().unwrap(),
            "trailing" => trailing = b"left over",
            "garbage" => return (from, b"\xff\xfe\xfd".to_vec()),
            "auth" => {
                message.add_authority(record(rest));
            }
            "extra" => {
                message.add_additional(record(rest));
            }
            _ => {
                message.add_answer(record(part));
            }
        }
    }
    let mut wire = message.to_vec().unwrap();
    wire.truncate(keep);
    wire.extend_from_slice(trailing);
    (from, wire)
}

fn record(text: &str) -> HickoryRecord {
    let mut words = text.split(' ');
    let mut word = || {
        words
            .next()
            .unwrap_or_else(|| panic!("incomplete record: {text}"))
    };
    let absolute = |text: &str| HickoryName::from_ascii(format!("{}.", text.trim_end_matches('.'))).unwrap();
    let name = absolute(word());
    let ttl = word().parse().unwrap();
    let data = match word() {
        "A" => RData::A(rdata::A(word().parse().unwrap())),
        "AAAA" => RData::AAAA(rdata::AAAA(word().parse().unwrap())),
        "CNAME" => RData::CNAME(rdata::CNAME(absolute(word()))),
        "PTR" => RData::PTR(rdata::PTR(absolute(word()))),
        "NS" => RData::NS(rdata::NS(absolute(word()))),
        "MX" => {
            let preference = word().parse().unwrap();
            let exchange = word();
            let exchange = if exchange == "." {
                HickoryName::root()
            } else {
                absolute(exchange)
            };
            RData::MX(rdata::MX::new(preference, exchange))
        }
        "TXT" => RData::TXT(rdata::TXT::new(vec![word().to_owned()])),
        "TLSA" => {
            let (usage, selector, matching) = (number(word()), number(word()), number(word()));
            RData::TLSA(rdata::TLSA::new(
                usage.into(),
                selector.into(),
                matching.into(),
                vec![0xab; 32],
            ))
        }
        "SOA" => {
            let minimum = word().parse().unwrap();
            RData::SOA(rdata::SOA::new(
                absolute("ns.test"),
                absolute("root.test"),
                1,
                2,
                3,
                4,
                minimum,
            ))
        }
        // Of no RDATA at all: broken for every type.
        "EMPTY" => return HickoryRecord::update0(name, ttl, HickoryType::from_str(word()).unwrap()),
        other => panic!("record type {other}"),
    };
    HickoryRecord::from_rdata(name, ttl, data)
}

fn number(text: &str) -> u8 {
    text.parse().unwrap()
}

/// Puts an answer into words, for comparison.
pub(crate) fn render(answer: &Answer) -> String {
    let path = |aliases: &[Name], canonical: &Name| {
        aliases
            .iter()
            .chain([canonical])
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" > ")
            .to_lowercase()
    };
    match answer {
        Answer::Records(records) => {
            let data: Vec<String> = records.as_slice().iter().map(render_record).collect();
            let path = path(records.aliases(), records.canonical_name());
            format!(
                "{path} {} {}s: {}",
                records.security(),
                records.ttl().as_secs(),
                data.join(", ")
            )
        }
        Answer::NoData(negative) => {
            let path = path(negative.aliases(), negative.canonical_name());
            format!(
                "no data: {path} {} {}s",
                negative.security(),
                negative.ttl().as_secs()
            )
        }
        Answer::NxDomain(negative) => {
            let path = path(negative.aliases(), negative.canonical_name());
            format!(
                "no domain: {path} {} {}s",
                negative.security(),
                negative.ttl().as_secs()
            )
        }
        Answer::Failure(failure) => format!("failure {}: {failure}", failure.security()),
    }
}

fn render_record(record: &Record) -> String {
    match record {
        Record::A(address) => address.to_string(),
        Record::Aaaa(address) => address.to_string(),
        Record::Cname(name) | Record::Ptr(name) => name.to_string().to_lowercase(),
        Record::Mx(mx) => format!("{} {}", mx.preference, mx.exchange).to_lowercase(),
        Record::Soa(soa) => format!(
            "{} {} {} {}",
            soa.primary, soa.responsible, soa.serial, soa.minimum
        ),
        Record::Tlsa(tlsa) => format!(
            "{} {} {} {}",
            tlsa.usage,
            tlsa.selector,
            tlsa.matching,
            tlsa.data.len()
        ),
        Record::Txt(txt) => String::from_utf8(txt.joined()).unwrap(),
        other => panic!("{other:?}"),
    }
}
