//! The machine: questions in, octets out and in, answers out ([RFC 1035] §7, [RFC 5452])
//!
//! [RFC 1035]: https://www.rfc-editor.org/rfc/rfc1035
//! [RFC 5452]: https://www.rfc-editor.org/rfc/rfc5452

mod attempts;

use crate::cache::Cache;
use crate::lookup::{Exchange, Lookup};
use crate::message::{self, Asked, Reply, Stray};
use crate::{Answer, Config, FailureKind, Health, QueryId, Question, SocketId, Stats, Transmit, Transport};
use core::fmt;
use core::net::SocketAddr;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Instant;

/// A stub resolver without I/O.
///
/// Put questions with [`query`](Self::query). After every call, and in this order: send what
/// [`poll_transmit`](Self::poll_transmit) gives, close what [`poll_close`](Self::poll_close) names, take answers from
/// [`poll_answer`](Self::poll_answer), and wait for bytes or for [`deadline`](Self::deadline).
pub struct Resolver {
    config: Config,
    entropy: Entropy,
    cache: Cache,
    servers: Vec<ServerState>,
    lookups: HashMap<u64, Lookup>,
    by_question: HashMap<Question, u64>,
    by_query: HashMap<QueryId, u64>,
    by_socket: HashMap<SocketId, u64>,
    timers: BTreeSet<(Instant, u64)>,
    waiting: VecDeque<u64>,
    active: usize,
    transmits: VecDeque<Transmit>,
    closes: VecDeque<SocketId>,
    answers: VecDeque<(QueryId, Answer)>,
    serial: u64,
    stats: Stats,
}

impl Resolver {
    /// Makes a resolver.
    ///
    /// `entropy` fills its argument with octets that nobody else can predict: the defence against forged answers
    /// rests on it (RFC 5452 §9.2). Tests may pass a counter.
    pub fn new(config: Config, entropy: impl FnMut(&mut [u8]) + Send + 'static) -> Self {
        Self {
            cache: Cache::new(&config),
            servers: vec![ServerState::default(); config.servers.len()],
            config,
            entropy: Box::new(entropy),
            lookups: HashMap::new(),
            by_question: HashMap::new(),
            by_query: HashMap::new(),
            by_socket: HashMap::new(),
            timers: BTreeSet::new(),
            waiting: VecDeque::new(),
            active: 0,
            transmits: VecDeque::new(),
            closes: VecDeque::new(),
            answers: VecDeque::new(),
            serial: 0,
            stats: Stats::default(),
        }
    }

    /// Puts a question. Its answer comes from [`poll_answer`](Self::poll_answer), at once if it is known already.
    ///
    /// The same question put twice is asked once.
    pub fn query(&mut self, now: Instant, question: Question) -> QueryId {
        let query = QueryId(self.next_serial());
        self.stats.queries += 1;
        if let Some(answer) = self.cache.find(now, &question) {
            self.stats.cache_hits += 1;
            self.answers.push_back((query, answer));
            return query;
        }
        if let Some(lookup) = self
            .by_question
            .get(&question)
            .and_then(|key| self.lookups.get_mut(key))
        {
            lookup.waiters.push(query);
            self.by_query.insert(query, self.by_question[&question]);
            return query;
        }
        let key = self.next_serial();
        self.by_question.insert(question.clone(), key);
        self.by_query.insert(query, key);
        self.lookups.insert(key, Lookup::new(question, query));
        self.waiting.push_back(key);
        self.start_waiting(now);
        query
    }

    /// Gives a question up; its answer will not come. Does nothing if it came already.
    pub fn cancel(&mut self, now: Instant, query: QueryId) {
        self.answers.retain(|(answered, _)| *answered != query);
        let Some(key) = self.by_query.remove(&query) else {
            return;
        };
        let Some(lookup) = self.lookups.get_mut(&key) else {
            return;
        };
        lookup.waiters.retain(|waiter| *waiter != query);
        if lookup.waiters.is_empty() {
            let mut lookup = self.take(key).expect("looked up above");
            self.forget(key, &mut lookup);
            self.start_waiting(now);
        }
    }

    /// Takes a datagram that arrived on `socket` from the address `from`.
    ///
    /// What is not from the server asked, or does not answer the question, is ignored and counted (RFC 5452 §9.1).
    pub fn handle_datagram(&mut self, now: Instant, socket: SocketId, from: SocketAddr, datagram: &[u8]) {
        let Some(key) = self.expecting(socket, Transport::Udp) else {
            self.stats.unrelated += 1;
            return;
        };
        let exchange = self.exchange(key);
        let server = self.config.servers[exchange.server].address;
        if (server.ip().to_canonical(), server.port()) != (from.ip().to_canonical(), from.port()) {
            self.stats.wrong_source += 1;
            return;
        }
        match self.read(key, datagram) {
            Ok(reply) => self.drive(now, key, Input::Reply(reply)),
            Err(stray) => {
                let max_strays = self.config.max_strays;
                let exchange = self.exchange_mut(key);
                exchange.wrong_case |= stray == Stray::Case;
                exchange.strays += 1;
                // Somebody is guessing, or stands in the way: a connection keeps him out (RFC 5452 §9.3).
                if exchange.strays > max_strays {
                    self.stats.flooded += 1;
                    self.drive(now, key, Input::Reply(Reply::Flooded));
                }
            }
        }
    }

    /// Takes octets that arrived on the TCP connection `socket`.
    pub fn handle_stream(&mut self, now: Instant, socket: SocketId, octets: &[u8]) {
        let Some(key) = self.expecting(socket, Transport::Tcp) else {
            self.stats.unrelated += 1;
            return;
        };
        let max_message = self.config.max_message.max(512);
        let stream = &mut self.exchange_mut(key).stream;
        let room = (PREFIX + max_message).saturating_sub(stream.len());
        stream.extend_from_slice(&octets[..octets.len().min(room)]);
        let Some((prefix, message)) = stream.split_first_chunk::<PREFIX>() else {
            return;
        };
        let length = usize::from(u16::from_be_bytes(*prefix));
        let input = if length > max_message {
            Input::Reply(Reply::Malformed)
        } else if message.len() < length {
            return;
        } else {
            let message = message[..length].to_vec();
            // Nobody but the server writes into the connection, so a stray message is its mistake.
            Input::Reply(self.read(key, &message).unwrap_or(Reply::Malformed))
        };
        self.drive(now, key, input);
    }

    /// Takes notice that the server closed the TCP connection `socket`.
    pub fn handle_closed(&mut self, now: Instant, socket: SocketId) {
        self.handle_failed(now, socket);
    }

    /// Takes notice that `socket` could not be opened, connected, written or read.
    pub fn handle_failed(&mut self, now: Instant, socket: SocketId) {
        if let Some(&key) = self.by_socket.get(&socket) {
            self.drive(now, key, Input::Failed);
        }
    }

    /// Acts on all deadlines up to `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(deadline, key)) = self.timers.first() {
            if deadline > now {
                break;
            }
            self.drive(now, key, Input::Timeout);
        }
    }

    /// Takes the next octets to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Takes the next socket that is not needed any more. Sockets that were never handed out may be named too.
    pub fn poll_close(&mut self) -> Option<SocketId> {
        self.closes.pop_front()
    }

    /// Takes the next answer.
    pub fn poll_answer(&mut self) -> Option<(QueryId, Answer)> {
        self.answers.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called, unless something happens before.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(deadline, _)| *deadline)
    }

    /// How the servers are doing, in the order of [`Config::servers`].
    pub fn health(&self, now: Instant) -> impl Iterator<Item = Health> {
        self.servers
            .iter()
            .zip(&self.config.servers)
            .map(move |(state, server)| Health {
                server: server.address,
                silent: state.silent,
                resting: state
                    .resting_until
                    .and_then(|until| until.checked_duration_since(now)),
            })
    }

    /// What happened so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// How many answers are remembered.
    pub fn cached(&self) -> usize {
        self.cache.len()
    }

    /// Forgets all remembered answers.
    pub fn clear_cache(&mut self) {
        self.cache.clear();
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    fn start_waiting(&mut self, now: Instant) {
        while self.active < self.config.max_lookups.max(1)
            && let Some(key) = self.waiting.pop_front()
        {
            // Questions that were cancelled while they waited are gone.
            if self.lookups.contains_key(&key) {
                self.active += 1;
                self.drive_one(now, key, Input::Begin);
            }
        }
    }

    fn drive(&mut self, now: Instant, key: u64, input: Input) {
        self.drive_one(now, key, input);
        self.start_waiting(now);
    }

    fn drive_one(&mut self, now: Instant, key: u64, input: Input) {
        let Some(mut lookup) = self.take(key) else { return };
        let answer = match input {
            Input::Begin => {
                lookup.end = Some(now + self.config.query_timeout);
                self.resolve(now, key, &mut lookup)
            }
            Input::Reply(reply) => self.on_reply(now, key, &mut lookup, reply),
            Input::Failed => self.on_silence(now, key, &mut lookup, FailureKind::Unreachable),
            Input::Timeout => self.on_silence(now, key, &mut lookup, FailureKind::Timeout),
        };
        let Some(answer) = answer else {
            let deadline = lookup
                .deadline
                .expect("a lookup without an answer waits for a server");
            self.timers.insert((deadline, key));
            self.lookups.insert(key, lookup);
            return;
        };
        let stale = match &answer {
            Answer::Failure(failure) if failure.allows_stale() => {
                self.cache.find_stale(now, &lookup.question)
            }
            _ => None,
        };
        let answer = match stale {
            Some(stale) => {
                self.stats.stale += 1;
                stale
            }
            None => {
                let answer = self.cache.clamp(answer);
                self.cache.insert(now, &lookup.question, &answer);
                answer
            }
        };
        for waiter in core::mem::take(&mut lookup.waiters) {
            self.by_query.remove(&waiter);
            self.answers.push_back((waiter, answer.clone()));
        }
        self.forget(key, &mut lookup);
    }

    fn read(&mut self, key: u64, message: &[u8]) -> Result<Reply, Stray> {
        let lookup = &self.lookups[&key];
        let exchange = lookup.exchange.as_ref().expect("checked by expecting");
        let datagram = exchange.transport == Transport::Udp;
        if message.len() > self.config.max_message.max(512) {
            self.stats.unrelated += 1;
            return Err(Stray::NoResponse);
        }
        let asked = Asked {
            id: exchange.id,
            name: &exchange.name,
            record_type: lookup.question.record_type,
            datagram,
        };
        message::read(message, &asked).inspect_err(|stray| match stray {
            Stray::NoResponse => self.stats.unrelated += 1,
            Stray::Id => self.stats.wrong_id += 1,
            Stray::Question => self.stats.wrong_question += 1,
            Stray::Case => self.stats.wrong_case += 1,
        })
    }

    /// The lookup that waits for something on `socket`.
    fn expecting(&self, socket: SocketId, transport: Transport) -> Option<u64> {
        let &key = self.by_socket.get(&socket)?;
        (self.exchange(key).transport == transport).then_some(key)
    }

    fn exchange(&self, key: u64) -> &Exchange {
        self.lookups[&key]
            .exchange
            .as_ref()
            .expect("a socket belongs to an open exchange")
    }

    fn exchange_mut(&mut self, key: u64) -> &mut Exchange {
        let lookup = self.lookups.get_mut(&key).expect("a socket belongs to a lookup");
        lookup
            .exchange
            .as_mut()
            .expect("a socket belongs to an open exchange")
    }

    /// Takes a lookup out of the tables that other events reach it by.
    fn take(&mut self, key: u64) -> Option<Lookup> {
        let lookup = self.lookups.remove(&key)?;
        if let Some(deadline) = lookup.deadline {
            self.timers.remove(&(deadline, key));
        }
        Some(lookup)
    }

    /// Frees what a lookup holds after [`take`](Self::take).
    fn forget(&mut self, key: u64, lookup: &mut Lookup) {
        self.close(lookup);
        self.by_question.remove(&lookup.question);
        if lookup.end.is_some() {
            self.active -= 1;
        } else {
            self.waiting.retain(|waiting| *waiting != key);
        }
    }

    fn close(&mut self, lookup: &mut Lookup) {
        if let Some(exchange) = lookup.exchange.take() {
            self.close_socket(exchange.socket);
        }
    }

    fn close_socket(&mut self, socket: SocketId) {
        self.by_socket.remove(&socket);
        // What was not sent yet need not be.
        self.transmits.retain(|transmit| transmit.socket != socket);
        self.closes.push_back(socket);
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("lookups", &self.lookups.len())
            .field("waiting", &self.waiting.len())
            .field("cached", &self.cache.len())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

type Entropy = Box<dyn FnMut(&mut [u8]) + Send>;

/// What is remembered of a server.
#[derive(Debug, Clone, Copy, Default)]
struct ServerState {
    /// How often in a row it did not answer.
    silent: u32,
    resting_until: Option<Instant>,
    /// Until when it is asked without EDNS.
    plain_until: Option<Instant>,
}

#[derive(Debug)]
enum Input {
    Begin,
    Reply(Reply),
    Failed,
    Timeout,
}

/// A length before each message in a stream (RFC 1035 §4.2.2).
const PREFIX: usize = 2;
