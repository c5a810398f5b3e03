//! Settings of the resolver

use crate::{Name, Record};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::collections::HashMap;

/// A recursive server to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// Address and port, the same for UDP and TCP.
    pub address: SocketAddr,
    /// Whether its AD bit is believed (RFC 4035 §4.9.3). Say so only of a server that validates and that is reached
    /// over a path nobody else can write to, such as loopback. If one of several servers is trusted, all should be:
    /// which of them answers is a matter of chance. Default: false.
    pub trust_ad: bool,
}

impl Server {
    /// A server whose AD bit is not believed.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            trust_ad: false,
        }
    }

    /// The same server, with its AD bit believed.
    #[must_use]
    pub fn trusted(mut self) -> Self {
        self.trust_ad = true;
        self
    }
}

/// Settings and limits of a [`Resolver`](crate::Resolver).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The servers, the first one preferred. Default: none.
    pub servers: Vec<Server>,
    /// How often all servers are tried before a question fails. With more than one round the last goes over TCP,
    /// against paths that lose large datagrams. Default: 3.
    pub rounds: usize,
    /// How long the first round waits for one server over UDP; each later round waits twice as long. Default: 2 s.
    pub udp_timeout: Duration,
    /// How long one server may take over TCP, connecting included. Default: 5 s.
    pub tcp_timeout: Duration,
    /// How long a question may take, with all servers and aliases. Default: 20 s.
    pub query_timeout: Duration,
    /// How long a server that failed to answer twice in a row is asked after the others; each further silence doubles
    /// it. Default: 30 s.
    pub server_rest: Duration,
    /// How long that is at most. Default: 10 minutes.
    pub max_server_rest: Duration,
    /// How many messages that are no answer one query over UDP bears with; after more it is put over TCP, where nobody
    /// can guess. Default: 16.
    pub max_strays: u32,
    /// The largest datagram asked for with EDNS (RFC 6891 §6.2.3). Default: 1232 octets; at least 512.
    pub udp_payload: u16,
    /// Whether the letters of each question are sent in random case, which an answer must repeat. An answer over TCP
    /// may have them in another case, so a server that changes them is asked over TCP. Default: true.
    pub random_case: bool,
    /// The largest message read, in octets. It bounds the work that one message can cause. Default: 16,384; at least
    /// 512 (RFC 1035 §2.3.4).
    pub max_message: usize,
    /// The longest chain of CNAME records followed. Default: 16.
    pub max_aliases: usize,
    /// How many questions are open at servers at once; others wait for their turn. Default: 1,024.
    pub max_lookups: usize,
    /// How long records are remembered at most. Default: 1 day.
    pub max_ttl: Duration,
    /// How long it is remembered at most that there are none (RFC 2308 §5 finds one to three hours sensible, more
    /// than a day problematic). Default: 3 hours.
    pub max_negative_ttl: Duration,
    /// How long an answer may be given past its TTL while no server can be asked (RFC 8767; it suggests 1 to 3 days).
    /// Its [`Security`](crate::Security) stays what it was. Never used where validation fails. Default: zero, not at
    /// all: mail can wait, and an old answer may lead it astray.
    pub serve_stale: Duration,
    /// How long failures are remembered (RFC 9520 §3.2: at least 1 s, at most 5 min). Default: 5 s.
    pub failure_ttl: Duration,
    /// How many answers are remembered. When there are more, those go that would expire first. Default: 10,000.
    pub cache_entries: usize,
    /// How many octets all remembered answers may hold, about. Default: 16 MiB.
    pub cache_octets: usize,
    pub(crate) records: HashMap<Name, Vec<Record>>,
}

impl Config {
    /// The defaults, with these servers.
    pub fn new(servers: impl IntoIterator<Item = Server>) -> Self {
        Self {
            servers: servers.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Adds a record that is answered without asking any server.
    ///
    /// A name that has such records has no others: what is not given here does not exist there. CNAME records are
    /// followed. The answers are [`Insecure`](crate::Security::Insecure).
    pub fn add_record(&mut self, name: Name, record: Record) {
        self.records.entry(name).or_default().push(record);
    }

    /// Adds the addresses in the text of a `hosts` file, with [`add_record`](Self::add_record), and gives their number.
    ///
    /// Lines that are not understood are passed over, as everywhere, and so are addresses with a zone.
    ///
    /// ```
    /// use mailwright_dns::Config;
    ///
    /// let mut config = Config::default();
    /// assert_eq!(config.add_hosts("192.0.2.1 mail.lab.example mail # the test bench\n"), 2);
    /// ```
    pub fn add_hosts(&mut self, text: &str) -> usize {
        let mut count = 0;
        for line in text.lines() {
            let mut words = line
                .split('#')
                .next()
                .unwrap_or_default()
                .split_ascii_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else {
                continue;
            };
            for name in words.filter_map(|word| Name::parse(word).ok()) {
                let record = Record::from(address);
                let known = self.records.entry(name).or_default();
                if !known.contains(&record) {
                    known.push(record);
                    count += 1;
                }
            }
        }
        count
    }

    /// Reads the servers out of the text of a `resolv.conf` file.
    ///
    /// `nameserver` lines, at port 53, and of `options` lines `timeout`, `attempts` and `trust-ad`, which declares all
    /// servers trusted, are used; the rest does not matter to names that are always complete. Without any server there
    /// is 127.0.0.1, as everywhere.
    ///
    /// ```
    /// use mailwright_dns::Config;
    ///
    /// let config = Config::from_resolv_conf("nameserver 127.0.0.53\noptions edns0 trust-ad\n");
    /// assert_eq!(config.servers[0].address, "127.0.0.53:53".parse()?);
    /// assert!(config.servers[0].trust_ad);
    /// # Ok::<(), core::net::AddrParseError>(())
    /// ```
    pub fn from_resolv_conf(text: &str) -> Self {
        let mut config = Self::default();
        let mut trust_ad = false;
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    if let Some(address) = address.filter(|_| config.servers.len() < MAX_NAMESERVERS) {
                        config.servers.push(Server::new(SocketAddr::new(address, 53)));
                    }
                }
                Some("options") => {
                    for option in words {
                        match option.split_once(':') {
                            Some(("timeout", value)) => {
                                if let Ok(seconds) = value.parse::<u64>() {
                                    config.udp_timeout = Duration::from_secs(seconds.clamp(1, 30));
                                }
                            }
                            Some(("attempts", value)) => {
                                if let Ok(rounds) = value.parse::<usize>() {
                                    config.rounds = rounds.clamp(1, 5);
                                }
                            }
                            _ => trust_ad |= option == "trust-ad",
                        }
                    }
                }
                _ => {}
            }
        }
        if config.servers.is_empty() {
            config
                .servers
                .push(Server::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 53))));
        }
        for server in &mut config.servers {
            server.trust_ad = trust_ad;
        }
        config
    }
}

/// The values given with each field; `localhost` is answered with the loopback addresses (RFC 6761 §6.3).
impl Default for Config {
    fn default() -> Self {
        let mut config = Self {
            servers: Vec::new(),
            rounds: 3,
            udp_timeout: Duration::from_secs(2),
            tcp_timeout: Duration::from_secs(5),
            query_timeout: Duration::from_secs(20),
            server_rest: Duration::from_secs(30),
            max_server_rest: Duration::from_secs(10 * 60),
            max_strays: 16,
            udp_payload: 1232,
            random_case: true,
            max_message: 16_384,
            max_aliases: 16,
            max_lookups: 1024,
            max_ttl: Duration::from_secs(24 * 60 * 60),
            max_negative_ttl: Duration::from_secs(3 * 60 * 60),
            serve_stale: Duration::ZERO,
            failure_ttl: Duration::from_secs(5),
            cache_entries: 10_000,
            cache_octets: 16 * 1024 * 1024,
            records: HashMap::new(),
        };
        let localhost = Name::parse("localhost").expect("a valid name");
        config.add_record(localhost.clone(), Record::A(Ipv4Addr::LOCALHOST));
        config.add_record(localhost, Record::Aaaa(Ipv6Addr::LOCALHOST));
        config
    }
}

/// What resolv.conf(5) allows.
const MAX_NAMESERVERS: usize = 3;
