//! Where mail for a domain goes, and why: the resolver and the planner on blocking sockets, without a runtime.
//!
//! ```sh
//! cargo run -p mailwright-examples --bin mx_plan -- gmail.com
//! cargo run -p mailwright-examples --bin mx_plan -- --resolver 127.0.0.1:53 --trust-ad debian.org
//! ```
//!
//! Without `--resolver` the servers of `/etc/resolv.conf` are asked. Their AD bit, without which there is no DANE, is
//! believed with `--trust-ad`, or where `resolv.conf` says so. The exit code is 0 if there is a way, 75 if there is
//! none for the moment, and 68 if there will be none.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // the example brings sockets and the clock

use clap::Parser;
use mailwright_dns::{Answer, Config, Question, Resolver, SelfTest, Server, SocketId, Transmit, Transport};
use mailwright_mx::sts::{Cache, Fetch, FetchError, Known, Lookup, Policy, Request};
use mailwright_mx::{Config as MxConfig, Demand, Destination, Outcome, Planner, Route, Step};
use std::collections::HashMap;
use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Prints where mail for a domain goes, and why.
#[derive(Debug, Parser)]
struct Arguments {
    /// The domain, or an address literal in brackets.
    domain: String,
    /// The DNS server to ask.
    #[arg(long, value_name = "ADDRESS:PORT")]
    resolver: Option<SocketAddr>,
    /// Believe the DNS server when it says that an answer is secure.
    #[arg(long)]
    trust_ad: bool,
    /// Plan for a message that requires TLS.
    #[arg(long)]
    require_tls: bool,
    /// Do not fetch MTA-STS policies.
    #[arg(long)]
    no_fetch: bool,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::parse();
    let mut config = match arguments.resolver {
        Some(address) => Config::new([Server::new(address)]),
        None => Config::from_resolv_conf(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default()),
    };
    if arguments.trust_ad {
        config.servers = config.servers.into_iter().map(Server::trusted).collect();
    }
    let test = SelfTest::new(&config);
    let mut network = Network::new(test.config(&config));
    let answers = test
        .questions()
        .map(|question| (question.clone(), network.resolve(question)));
    println!("{}", test.verdict(&answers.collect::<Vec<_>>()));

    let destination: Destination = match arguments.domain.starts_with('[') {
        true => Destination::Literal(arguments.domain.parse()?),
        false => Destination::Domain(arguments.domain.parse()?),
    };
    let demand = match arguments.require_tls {
        true => Demand::Required,
        false => Demand::Usual,
    };
    let mut network = Network::new(config);
    let route = plan(&mut network, destination, demand, !arguments.no_fetch);
    for line in route.explain() {
        println!("{line}");
    }
    let stats = network.resolver.stats();
    let (queries, strays) = (
        stats.sent_udp + stats.sent_tcp,
        stats.wrong_id + stats.wrong_question,
    );
    println!("{queries} queries, {strays} answers that were somebody else's");
    Ok(match route.outcome() {
        Outcome::Attempts(_) => ExitCode::SUCCESS,
        Outcome::Temporary(_) => ExitCode::from(75),
        Outcome::Permanent(_) => ExitCode::from(68),
    })
}

/// Asks what the planner wants to know, and tells it, until the route is there.
fn plan(network: &mut Network, destination: Destination, demand: Demand, fetch: bool) -> Route {
    let mut config = MxConfig::default();
    config.sts = fetch;
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).expect("the system has random octets");
    let mut planner = Planner::with_demand(destination, Arc::new(config), u64::from_ne_bytes(seed), demand);
    let mut open = Vec::new();
    loop {
        match planner.poll() {
            Step::Ask(question) => open.push(question),
            Step::Wait => {
                for question in open.drain(..) {
                    planner.answer(&question, network.resolve(&question));
                }
            }
            Step::Policy(request) => planner.policy(policy(network, &request)),
            Step::Ready(route) => return route,
        }
    }
}

/// A program that runs once has no memory for policies; a server keeps its `Cache`.
fn policy(network: &mut Network, request: &Request) -> Known {
    let mut cache = Cache::default();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    match cache.lookup(now, request) {
        Lookup::Known(known) => known,
        Lookup::Fetch(fetch) => {
            let result = download(network, &fetch);
            cache.fetched(now, &fetch, result)
        }
    }
}

/// The sockets of a resolver.
struct Network {
    resolver: Resolver,
    sockets: HashMap<SocketId, Socket>,
}

enum Socket {
    Udp(UdpSocket, SocketAddr),
    Tcp(TcpStream),
}

impl Network {
    fn new(config: Config) -> Self {
        let entropy = |octets: &mut [u8]| getrandom::fill(octets).expect("the system has random octets");
        Self {
            resolver: Resolver::new(config, entropy),
            sockets: HashMap::new(),
        }
    }

    fn resolve(&mut self, question: &Question) -> Answer {
        let query = self.resolver.query(Instant::now(), question.clone());
        loop {
            while let Some(transmit) = self.resolver.poll_transmit() {
                match open(&transmit) {
                    Ok(socket) => _ = self.sockets.insert(transmit.socket, socket),
                    Err(_) => self.resolver.handle_failed(Instant::now(), transmit.socket),
                }
            }
            while let Some(socket) = self.resolver.poll_close() {
                self.sockets.remove(&socket);
            }
            while let Some((answered, answer)) = self.resolver.poll_answer() {
                if answered == query {
                    return answer;
                }
            }
            self.listen();
            self.resolver.handle_timeout(Instant::now());
        }
    }

    /// Waits a moment for each socket that is open: with one question at a time that is one.
    fn listen(&mut self) {
        let mut room = [0; 16 * 1024];
        for (id, socket) in &mut self.sockets {
            let now = Instant::now;
            match socket {
                Socket::Udp(udp, server) => match udp.recv(&mut room) {
                    Ok(n) => self.resolver.handle_datagram(now(), *id, *server, &room[..n]),
                    Err(error) if is_quiet(&error) => {}
                    Err(_) => self.resolver.handle_failed(now(), *id),
                },
                Socket::Tcp(tcp) => match tcp.read(&mut room) {
                    Ok(0) => self.resolver.handle_closed(now(), *id),
                    Ok(n) => self.resolver.handle_stream(now(), *id, &room[..n]),
                    Err(error) if is_quiet(&error) => {}
                    Err(_) => self.resolver.handle_failed(now(), *id),
                },
            }
        }
    }
}

/// Opens the socket that a query wants, from a port of its own, and sends it.
fn open(transmit: &Transmit) -> io::Result<Socket> {
    match transmit.transport {
        Transport::Udp => {
            let udp = match transmit.server {
                SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?,
                SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?,
            };
            // The system drops what others send to a connected socket.
            udp.connect(transmit.server)?;
            udp.set_read_timeout(Some(PATIENCE))?;
            udp.send(&transmit.bytes)?;
            Ok(Socket::Udp(udp, transmit.server))
        }
        Transport::Tcp => {
            let mut tcp = TcpStream::connect_timeout(&transmit.server, Duration::from_secs(5))?;
            tcp.set_read_timeout(Some(PATIENCE))?;
            tcp.write_all(&transmit.bytes)?;
            Ok(Socket::Tcp(tcp))
        }
    }
}

/// Fetches a policy. HTTP/1.0 has no pieces to put together, and ends with the connection.
fn download(network: &mut Network, fetch: &Fetch) -> Result<Policy, FetchError> {
    let mut addresses = Vec::new();
    for record_type in [mailwright_dns::RecordType::A, mailwright_dns::RecordType::Aaaa] {
        let answer = network.resolve(&Question::new(fetch.host.clone(), record_type));
        addresses.extend(
            answer
                .records()
                .iter()
                .filter_map(mailwright_dns::Record::address),
        );
    }
    let until = Instant::now() + Fetch::TIMEOUT;
    let connect =
        |address| TcpStream::connect_timeout(&SocketAddr::new(address, 443), Duration::from_secs(10));
    let tcp = addresses.into_iter().find_map(|address| connect(address).ok());
    let tcp = tcp.ok_or(FetchError::Unreachable)?;
    let timeout = Some(Duration::from_secs(10));
    tcp.set_read_timeout(timeout)
        .map_err(|_| FetchError::Unreachable)?;
    let name = fetch
        .host
        .to_string()
        .try_into()
        .map_err(|_| FetchError::Certificate)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the suites of both versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let session =
        rustls::ClientConnection::new(Arc::new(config), name).map_err(|_| FetchError::Certificate)?;
    let mut tls = rustls::StreamOwned::new(session, tcp);
    let request = format!("GET {} HTTP/1.0\r\nHost: {}\r\n\r\n", Fetch::PATH, fetch.host);
    // The first write makes the handshake.
    tls.write_all(request.as_bytes())
        .map_err(|_| FetchError::Certificate)?;
    let mut response = Vec::new();
    let mut room = [0; 4096];
    loop {
        match tls.read(&mut room) {
            Ok(0) => break,
            Ok(n) => response.extend_from_slice(&room[..n]),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
            Err(_) => return Err(FetchError::Timeout),
        }
        if response.len() > Fetch::MAX_BODY + room.len() || Instant::now() > until {
            return Err(FetchError::TooLarge);
        }
    }
    let (head, body) = split_head(&response).ok_or(FetchError::Protocol)?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let content_type = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-type").then(|| value.trim())
    });
    Fetch::read(status.ok_or(FetchError::Protocol)?, content_type, body)
}

fn split_head(response: &[u8]) -> Option<(&str, &[u8])> {
    let end = response.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some((std::str::from_utf8(&response[..end]).ok()?, &response[end + 4..]))
}

fn is_quiet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// How long one socket is listened to before the clock is looked at.
const PATIENCE: Duration = Duration::from_millis(50);
