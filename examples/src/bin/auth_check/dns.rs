//! Answers: from a resolver on blocking sockets, or from a file of records.

use mailwright_dns::{
    Answer, Config, Failure, FailureKind, Mx, Name, Negative, Question, Record, Records, Resolver, Security,
    Server, SocketId, Transmit, Transport, Txt,
};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// Where answers come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// The DNS.
    Resolver(Box<Resolver>),
    /// A file; what is not in it does not exist.
    Zone(HashMap<Name, Vec<Record>>),
}

impl Source {
    /// Asks a server, or those of the system.
    pub(crate) fn resolver(server: Option<SocketAddr>) -> Self {
        let config = match server {
            Some(address) => Config::new([Server::new(address)]),
            None => {
                Config::from_resolv_conf(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default())
            }
        };
        let random =
            |octets: &mut [u8]| getrandom::fill(octets).expect("the operating system gives random octets");
        Self::Resolver(Box::new(Resolver::new(config, random)))
    }

    /// Reads lines of `NAME TYPE DATA`; those that are empty or begin with `;` are passed over. The data of TXT is one
    /// text, or strings in quotes.
    pub(crate) fn zone(text: &str) -> Result<Self, String> {
        let mut zone: HashMap<Name, Vec<Record>> = HashMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with(';') {
                continue;
            }
            let (name, record) =
                read_record(line).ok_or_else(|| format!("line {number} of the zone: {line}"))?;
            zone.entry(name).or_default().push(record);
        }
        Ok(Self::Zone(zone))
    }

    pub(crate) fn answer(&mut self, question: &Question) -> Answer {
        match self {
            Self::Resolver(resolver) => resolve(resolver, question),
            Self::Zone(zone) => {
                let of_type = |record: &&Record| record.record_type() == question.record_type;
                let records = zone.get(&question.name);
                let found: Vec<Record> = records.into_iter().flatten().filter(of_type).cloned().collect();
                let exists = || zone.keys().any(|name| name.is_within(&question.name));
                let name = question.name.clone();
                match found.is_empty() {
                    false => Answer::Records(Records::new(name, found, Security::Insecure)),
                    true if exists() => Answer::NoData(Negative::new(name, Security::Insecure)),
                    true => Answer::NxDomain(Negative::new(name, Security::Insecure)),
                }
            }
        }
    }
}

/// An answer in a few words.
pub(crate) fn describe(answer: &Answer) -> String {
    match answer {
        Answer::Records(records) => format!("{} records", records.as_slice().len()),
        Answer::NoData(_) => "no such record".to_owned(),
        Answer::NxDomain(_) => "no such name".to_owned(),
        Answer::Failure(failure) => failure.to_string(),
    }
}

fn read_record(line: &str) -> Option<(Name, Record)> {
    let (name, rest) = line.split_once(char::is_whitespace)?;
    let (kind, data) = rest.trim_start().split_once(char::is_whitespace)?;
    let data = data.trim();
    let record = match kind.to_ascii_uppercase().as_str() {
        "A" => Record::A(data.parse().ok()?),
        "AAAA" => Record::Aaaa(data.parse().ok()?),
        "PTR" => Record::Ptr(Name::parse(data).ok()?),
        "MX" => {
            let (preference, host) = data.split_once(char::is_whitespace)?;
            Record::Mx(Mx::new(preference.parse().ok()?, Name::parse(host.trim()).ok()?))
        }
        "TXT" => match data.strip_prefix('"') {
            Some(quoted) => Record::Txt(Txt::new(
                quoted
                    .trim_end_matches('"')
                    .split("\" \"")
                    .map(|string| string.as_bytes().to_vec()),
            )),
            None => Record::Txt(Txt::new([data.as_bytes()])),
        },
        _ => return None,
    };
    Some((Name::parse(name).ok()?, record))
}

/// Drives the resolver until it has the answer: one exchange at a time, each on a socket of its own.
fn resolve(resolver: &mut Resolver, question: &Question) -> Answer {
    resolver.query(Instant::now(), question.clone());
    let mut open = None;
    loop {
        if let Some((_, answer)) = resolver.poll_answer() {
            return answer;
        }
        if let Some(transmit) = resolver.poll_transmit() {
            let socket = transmit.socket;
            match Socket::open(&transmit) {
                Ok(opened) => open = Some((socket, opened)),
                Err(_) => resolver.handle_failed(Instant::now(), socket),
            }
            continue;
        }
        let Some(deadline) = resolver.deadline() else {
            return Failure::new(FailureKind::Timeout).into();
        };
        let wait = deadline.saturating_duration_since(Instant::now());
        match open.as_mut().filter(|_| !wait.is_zero()) {
            Some((socket, opened)) => opened.receive(resolver, *socket, wait),
            None => {
                std::thread::sleep(wait);
                resolver.handle_timeout(Instant::now());
            }
        }
        while let Some(closed) = resolver.poll_close() {
            if open.as_ref().is_some_and(|(socket, _)| *socket == closed) {
                open = None;
            }
        }
    }
}

enum Socket {
    Udp(UdpSocket, SocketAddr),
    Tcp(TcpStream),
}

impl Socket {
    fn open(transmit: &Transmit) -> std::io::Result<Self> {
        match transmit.transport {
            Transport::Udp => {
                let any: SocketAddr = match transmit.server {
                    SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                let socket = UdpSocket::bind(any)?;
                socket.connect(transmit.server)?;
                socket.send(&transmit.bytes)?;
                Ok(Self::Udp(socket, transmit.server))
            }
            Transport::Tcp => {
                let mut stream = TcpStream::connect_timeout(&transmit.server, Duration::from_secs(5))?;
                stream.write_all(&transmit.bytes)?;
                Ok(Self::Tcp(stream))
            }
        }
    }

    fn receive(&mut self, resolver: &mut Resolver, socket: SocketId, wait: Duration) {
        let mut buffer = [0; 4096];
        let received = match self {
            Self::Udp(udp, _) => udp
                .set_read_timeout(Some(wait))
                .and_then(|()| udp.recv(&mut buffer)),
            Self::Tcp(tcp) => tcp
                .set_read_timeout(Some(wait))
                .and_then(|()| tcp.read(&mut buffer)),
        };
        let now = Instant::now();
        match (received, self) {
            (Ok(len), Self::Udp(_, server)) => resolver.handle_datagram(now, socket, *server, &buffer[..len]),
            (Ok(0), Self::Tcp(_)) => resolver.handle_closed(now, socket),
            (Ok(len), Self::Tcp(_)) => resolver.handle_stream(now, socket, &buffer[..len]),
            (Err(error), _) if is_timeout(&error) => resolver.handle_timeout(now),
            (Err(_), _) => resolver.handle_failed(now, socket),
        }
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}
