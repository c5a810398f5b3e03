//! A small authoritative DNS server on loopback, for tests.
//!
//! ```ignore
//! let dns = DnsServer::start(Zone::new().mx("b.test", 10, "mx.b.test").a("mx.b.test", "127.0.0.1"));
//! config.outbound.resolver = Some(dns.address());
//! // ... mail goes out ...
//! assert_eq!(dns.asked("MX b.test"), 1);
//! ```
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, rdata};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the server knows. Names without records do not exist, unless there are names below them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Zone {
    records: HashMap<Name, Vec<RData>>,
    quirks: HashMap<Name, Quirk>,
    ttl: Option<u32>,
    authentic: bool,
    weather: Weather,
}

/// What happens to every answer on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Weather {
    #[default]
    Fair,
    /// The first datagram of every question is lost.
    FirstLost,
    /// Nothing fits into a datagram.
    Truncated,
    /// A forged answer comes ahead of each true one.
    Forged,
}

/// How a name is answered instead of with its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quirk {
    Silent,
    Code(ResponseCode),
    /// Only over TCP; UDP answers are truncated.
    Truncated,
    /// With the wrong id first, then as it should be.
    Forged,
}

impl Zone {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn a(self, name: &str, address: &str) -> Self {
        self.record(name, RData::A(rdata::A(address.parse().unwrap())))
    }

    pub(crate) fn aaaa(self, name: &str, address: &str) -> Self {
        self.record(name, RData::AAAA(rdata::AAAA(address.parse().unwrap())))
    }

    /// `"."` as the host makes a null MX.
    pub(crate) fn mx(self, name: &str, preference: u16, host: &str) -> Self {
        self.record(name, RData::MX(rdata::MX::new(preference, absolute(host))))
    }

    pub(crate) fn cname(self, name: &str, target: &str) -> Self {
        self.record(name, RData::CNAME(rdata::CNAME(absolute(target))))
    }

    pub(crate) fn ptr(self, name: &str, target: &str) -> Self {
        self.record(name, RData::PTR(rdata::PTR(absolute(target))))
    }

    /// One string of at most 255 octets.
    pub(crate) fn txt(self, name: &str, text: &str) -> Self {
        self.record(name, RData::TXT(rdata::TXT::new(vec![text.to_owned()])))
    }

    pub(crate) fn record(mut self, name: &str, data: RData) -> Self {
        self.records.entry(absolute(name)).or_default().push(data);
        self
    }

    /// The TTL of all records and of the SOA, in seconds; 60 unless set.
    pub(crate) fn ttl(mut self, seconds: u32) -> Self {
        self.ttl = Some(seconds);
        self
    }

    /// Sets AD in all answers, as a validating server does for a signed zone.
    pub(crate) fn authentic(mut self) -> Self {
        self.authentic = true;
        self
    }

    pub(crate) fn weather(self, weather: Weather) -> Self {
        Self { weather, ..self }
    }

    /// Questions about the name get no answer.
    pub(crate) fn silent(self, name: &str) -> Self {
        self.quirk(name, Quirk::Silent)
    }

    /// Questions about the name get SERVFAIL.
    pub(crate) fn servfail(self, name: &str) -> Self {
        self.quirk(name, Quirk::Code(ResponseCode::ServFail))
    }

    /// Questions about the name get REFUSED.
    pub(crate) fn refused(self, name: &str) -> Self {
        self.quirk(name, Quirk::Code(ResponseCode::Refused))
    }

    /// Answers about the name fit in TCP only.
    pub(crate) fn truncated(self, name: &str) -> Self {
        self.quirk(name, Quirk::Truncated)
    }

    /// A forged answer comes before the true one.
    pub(crate) fn forged(self, name: &str) -> Self {
        self.quirk(name, Quirk::Forged)
    }

    fn quirk(mut self, name: &str, quirk: Quirk) -> Self {
        self.quirks.insert(absolute(name), quirk);
        self
    }

    fn answer(&self, query: &Message) -> Message {
        let mut answer = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
        answer.metadata.recursion_desired = query.metadata.recursion_desired;
        answer.metadata.recursion_available = true;
        answer.metadata.authentic_data = self.authentic;
        answer.queries = query.queries.clone();
        let asked = &query.queries[0];
        if let Some(Quirk::Code(code)) = self.quirks.get(&asked.name) {
            answer.metadata.response_code = *code;
            return answer;
        }
        let ttl = self.ttl.unwrap_or(60);
        let mut name = asked.name.clone();
        // A chain of aliases, but no circle.
        for _ in 0..8 {
            let records = self.records.get(&name).map_or(&[][..], Vec::as_slice);
            let found: Vec<_> = records
                .iter()
                .filter(|data| data.record_type() == asked.query_type)
                .collect();
            let alias = records.iter().find_map(|data| match data {
                RData::CNAME(target) => Some(target.0.clone()),
                _ => None,
            });
            match alias {
                Some(target) if found.is_empty() => {
                    answer.add_answer(Record::from_rdata(
                        name,
                        ttl,
                        RData::CNAME(rdata::CNAME(target.clone())),
                    ));
                    name = target;
                }
                _ => {
                    for data in &found {
                        answer.add_answer(Record::from_rdata(name.clone(), ttl, (*data).clone()));
                    }
                    if found.is_empty() {
                        let apex = name.trim_to(1);
                        let soa =
                            rdata::SOA::new(absolute("ns.test"), absolute("root.test"), 1, 60, 60, 60, ttl);
                        answer.add_authority(Record::from_rdata(apex, ttl, RData::SOA(soa)));
                        if !self.records.keys().any(|known| name.zone_of(known)) {
                            answer.metadata.response_code = ResponseCode::NXDomain;
                        }
                    }
                    break;
                }
            }
        }
        answer
    }
}

/// A running server. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct DnsServer {
    address: SocketAddr,
    state: Arc<State>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    zone: Mutex<Zone>,
    /// The questions that came, as `udp MX b.test`.
    log: Mutex<Vec<String>>,
    stop: AtomicBool,
}

impl State {
    fn count(&self, line: &str) -> usize {
        let log = self.log.lock().unwrap();
        log.iter().filter(|other| *other == line).count()
    }
}

impl DnsServer {
    /// Serves the zone over UDP and TCP on a free port of 127.0.0.1.
    pub(crate) fn start(zone: Zone) -> Self {
        let (udp, tcp) = bind();
        let address = udp.local_addr().unwrap();
        let state = Arc::new(State {
            zone: Mutex::new(zone),
            log: Mutex::new(Vec::new()),
            stop: AtomicBool::new(false),
        });
        let threads = vec![
            std::thread::spawn({
                let state = Arc::clone(&state);
                move || serve_udp(&udp, &state)
            }),
            std::thread::spawn({
                let state = Arc::clone(&state);
                move || serve_tcp(&tcp, &state)
            }),
        ];
        Self {
            address,
            state,
            threads,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves another zone from here on.
    pub(crate) fn set_zone(&self, zone: Zone) {
        *self.state.zone.lock().unwrap() = zone;
    }

    /// How often a question came, such as `MX b.test`, over UDP and TCP.
    pub(crate) fn asked(&self, question: &str) -> usize {
        self.log()
            .iter()
            .filter(|line| line.split_once(' ').unwrap().1.eq_ignore_ascii_case(question))
            .count()
    }

    /// All questions that came, in order, such as `udp MX b.test`.
    pub(crate) fn log(&self) -> Vec<String> {
        self.state.log.lock().unwrap().clone()
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // The thread's own panic was reported already.
            let _ = thread.join();
        }
    }
}

/// Takes a port that is free for both.
fn bind() -> (UdpSocket, TcpListener) {
    for _ in 0..50 {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            udp.set_read_timeout(Some(TICK)).unwrap();
            tcp.set_nonblocking(true).unwrap();
            return (udp, tcp);
        }
    }
    panic!("no port is free for both UDP and TCP");
}

fn serve_udp(udp: &UdpSocket, state: &State) {
    let mut room = [0; 4096];
    while !state.stop.load(Ordering::Relaxed) {
        // Errors are timeouts, and the refusals of clients that are gone.
        let Ok((n, from)) = udp.recv_from(&mut room) else {
            continue;
        };
        let Ok(query) = Message::from_vec(&room[..n]) else {
            continue;
        };
        let Some((mut answer, quirk)) = react(state, "udp", &query) else {
            continue;
        };
        let weather = state.zone.lock().unwrap().weather;
        let line = state.log.lock().unwrap().last().cloned();
        if weather == Weather::FirstLost && state.count(&line.unwrap()) == 1 {
            continue;
        }
        if quirk == Some(Quirk::Forged) || weather == Weather::Forged {
            let mut forged = answer.clone();
            forged.metadata.id ^= 1;
            udp.send_to(&forged.to_vec().unwrap(), from).unwrap();
        }
        let room_there = query
            .edns
            .as_ref()
            .map_or(512, |edns| usize::from(edns.max_payload()));
        if quirk == Some(Quirk::Truncated)
            || weather == Weather::Truncated
            || answer.to_vec().unwrap().len() > room_there
        {
            answer = answer.truncate();
        }
        // The client may have gone.
        let _ = udp.send_to(&answer.to_vec().unwrap(), from);
    }
}

fn serve_tcp(tcp: &TcpListener, state: &State) {
    while !state.stop.load(Ordering::Relaxed) {
        match tcp.accept() {
            Ok((mut stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                stream.set_read_timeout(Some(TCP_PATIENCE)).unwrap();
                // A client that goes away, or says nonsense, is of no interest.
                let _ = converse(&mut stream, state);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(TICK),
            Err(_) => {}
        }
    }
}

fn converse(stream: &mut TcpStream, state: &State) -> std::io::Result<()> {
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut message)?;
        let Ok(query) = Message::from_vec(&message) else {
            return Ok(());
        };
        let Some((answer, _)) = react(state, "tcp", &query) else {
            return Ok(());
        };
        let answer = answer.to_vec().unwrap();
        let length = u16::try_from(answer.len()).unwrap();
        stream.write_all(&[&length.to_be_bytes()[..], &answer].concat())?;
    }
}

fn react(state: &State, transport: &str, query: &Message) -> Option<(Message, Option<Quirk>)> {
    let asked = query.queries.first()?;
    let name = asked.name.to_lowercase().to_ascii();
    let name = if name == "." {
        "."
    } else {
        name.trim_end_matches('.')
    };
    state
        .log
        .lock()
        .unwrap()
        .push(format!("{transport} {} {name}", asked.query_type));
    let zone = state.zone.lock().unwrap();
    let quirk = zone.quirks.get(&asked.name).copied();
    (quirk != Some(Quirk::Silent)).then(|| (zone.answer(query), quirk))
}

fn absolute(name: &str) -> Name {
    if name == "." {
        return Name::root();
    }
    Name::from_utf8(format!("{}.", name.trim_end_matches('.'))).unwrap()
}

const TICK: Duration = Duration::from_millis(20);
const TCP_PATIENCE: Duration = Duration::from_millis(500);
