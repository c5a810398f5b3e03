//! Which server is asked next, and how ([RFC 1035] §7, [RFC 5452], [RFC 6891])
//!
//! [RFC 1035]: https://www.rfc-editor.org/rfc/rfc1035
//! [RFC 5452]: https://www.rfc-editor.org/rfc/rfc5452
//! [RFC 6891]: https://www.rfc-editor.org/rfc/rfc6891

use super::Resolver;
use crate::conclude::conclude;
use crate::lookup::{Exchange, Lookup};
use crate::message::{self, EdnsOptions, Reply, Response};
use crate::{Answer, Failure, FailureKind, Record, RecordType, Security, SocketId, Transmit, Transport};
use core::time::Duration;
use std::time::Instant;

impl Resolver {
    /// Answers from static records and memory, or asks the first server.
    pub(super) fn resolve(&mut self, now: Instant, key: u64, lookup: &mut Lookup) -> Option<Answer> {
        let wanted = lookup.question.record_type;
        while let Some(records) = self.config.records.get(&lookup.name) {
            lookup.secured_by(Security::Insecure);
            let found: Vec<Record> = records
                .iter()
                .filter(|r| r.record_type() == wanted)
                .cloned()
                .collect();
            if !found.is_empty() {
                return Some(lookup.records(found, self.config.max_ttl));
            }
            let target = records.iter().find_map(|record| match record {
                Record::Cname(target) if wanted != RecordType::Cname => Some(target),
                _ => None,
            });
            let Some(target) = target else {
                return Some(Answer::NoData(lookup.negative(self.config.max_ttl)));
            };
            if let Err(kind) = lookup.follow(target.clone(), self.config.max_aliases) {
                return Some(Failure::new(kind).into());
            }
        }
        if lookup.is_at_alias()
            && let Some(known) = self.cache.find(now, &lookup.present_question())
        {
            return Some(lookup.join(known, self.config.max_aliases));
        }
        if self.servers.is_empty() {
            return Some(Failure::new(FailureKind::NoServers).into());
        }
        let mut order: Vec<usize> = (0..self.servers.len()).collect();
        // Those that rest come last, the one first that has rested most; the sort is stable.
        order.sort_by_key(|&server| self.servers[server].resting_until.filter(|until| *until > now));
        lookup.start_rounds(order);
        self.next_attempt(now, key, lookup)
    }

    fn next_attempt(&mut self, now: Instant, key: u64, lookup: &mut Lookup) -> Option<Answer> {
        let rounds = self.config.rounds.max(1);
        let out_of_time = lookup.end.is_some_and(|end| end <= now);
        let next = lookup.next_server(rounds);
        let Some((server, round)) = next.filter(|_| !out_of_time) else {
            return Some(lookup.take_failure());
        };
        let last = round > 0 && round + 1 == rounds;
        let transport = if last { Transport::Tcp } else { Transport::Udp };
        let attempt = Attempt {
            server,
            transport,
            round,
            edns_refused: false,
        };
        self.ask(now, key, lookup, attempt);
        None
    }

    fn ask(&mut self, now: Instant, key: u64, lookup: &mut Lookup, attempt: Attempt) {
        self.close(lookup);
        let Attempt {
            server,
            transport,
            round,
            edns_refused,
        } = attempt;
        let mut random = [0; 2 + CASE_OCTETS];
        (self.entropy)(&mut random);
        let id = u16::from_be_bytes([random[0], random[1]]);
        let name = if self.config.random_case {
            lookup.name.with_case(&random[2..])
        } else {
            lookup.name.clone()
        };
        let edns = !edns_refused && self.servers[server].plain_until.is_none_or(|until| until <= now);
        let settings = self.config.servers[server];
        let options = edns.then(|| EdnsOptions {
            payload: self.config.udp_payload.max(512),
            // Signatures are of no use from a server whose word on them is not believed.
            dnssec_ok: settings.trust_ad,
        });
        let message = message::query(id, &name, lookup.question.record_type, options);
        let (bytes, timeout) = match transport {
            Transport::Udp => {
                self.stats.sent_udp += 1;
                let factor = 1 << round.min(MAX_DOUBLINGS);
                (message, self.config.udp_timeout.saturating_mul(factor))
            }
            Transport::Tcp => {
                self.stats.sent_tcp += 1;
                let length = u16::try_from(message.len()).expect("a query is less than 1,000 octets");
                (
                    [&length.to_be_bytes(), &message[..]].concat(),
                    self.config.tcp_timeout,
                )
            }
        };
        let socket = SocketId(self.next_serial());
        self.by_socket.insert(socket, key);
        self.transmits.push_back(Transmit {
            socket,
            transport,
            server: settings.address,
            bytes,
        });
        lookup.deadline = Some((now + timeout).min(lookup.end.unwrap_or(now + timeout)));
        lookup.exchange = Some(Exchange {
            socket,
            server,
            transport,
            id,
            name,
            edns,
            edns_refused,
            wrong_case: false,
            strays: 0,
            stream: Vec::new(),
        });
    }

    pub(super) fn on_silence(
        &mut self,
        now: Instant,
        key: u64,
        lookup: &mut Lookup,
        kind: FailureKind,
    ) -> Option<Answer> {
        let exchange = lookup
            .exchange
            .take()
            .expect("only an open exchange can fall silent");
        self.close_socket(exchange.socket);
        if kind == FailureKind::Timeout {
            self.stats.timeouts += 1;
        }
        let server = &mut self.servers[exchange.server];
        if exchange.wrong_case {
            let attempt = Attempt {
                server: exchange.server,
                transport: Transport::Tcp,
                round: 0,
                edns_refused: exchange.edns_refused,
            };
            if lookup.end.is_none_or(|end| end > now) {
                self.ask(now, key, lookup, attempt);
                return None;
            }
        } else {
            server.silent += 1;
            if server.silent >= SILENT_BEFORE_REST {
                // Each further silence doubles the rest.
                let doublings = (server.silent - SILENT_BEFORE_REST).min(MAX_DOUBLINGS_OF_REST);
                let rest = self.config.server_rest.saturating_mul(1 << doublings);
                server.resting_until = Some(now + rest.min(self.config.max_server_rest));
            }
        }
        lookup.note(Failure {
            server: Some(self.config.servers[exchange.server].address),
            ..Failure::new(kind)
        });
        self.next_attempt(now, key, lookup)
    }

    pub(super) fn on_reply(
        &mut self,
        now: Instant,
        key: u64,
        lookup: &mut Lookup,
        reply: Reply,
    ) -> Option<Answer> {
        let exchange = lookup
            .exchange
            .take()
            .expect("a reply belongs to an open exchange");
        self.close_socket(exchange.socket);
        if !matches!(reply, Reply::Flooded) {
            let server = &mut self.servers[exchange.server];
            server.silent = 0;
            server.resting_until = None;
        }
        match reply {
            Reply::Truncated | Reply::Flooded => {
                self.stats.truncated += u64::from(matches!(reply, Reply::Truncated));
                let attempt = Attempt {
                    server: exchange.server,
                    transport: Transport::Tcp,
                    round: 0,
                    edns_refused: exchange.edns_refused,
                };
                self.ask(now, key, lookup, attempt);
                None
            }
            Reply::Malformed => {
                self.stats.malformed += 1;
                self.give_up(now, key, lookup, &exchange, FailureKind::Malformed, None)
            }
            Reply::Response(response) => self.on_response(now, key, lookup, &exchange, &response),
        }
    }

    fn on_response(
        &mut self,
        now: Instant,
        key: u64,
        lookup: &mut Lookup,
        exchange: &Exchange,
        response: &Response,
    ) -> Option<Answer> {
        let kind = match response.code {
            message::NO_ERROR | message::NX_DOMAIN => {
                if exchange.edns_refused {
                    self.servers[exchange.server].plain_until = Some(now + PLAIN_FOR);
                }
                let record_type = lookup.question.record_type;
                match conclude(response, &lookup.name, record_type, self.config.max_aliases) {
                    Ok(conclusion) => {
                        let security = self.security(exchange.server, response.authentic);
                        let answer = lookup.conclude(conclusion, security, self.config.max_aliases);
                        return answer.or_else(|| self.resolve(now, key, lookup));
                    }
                    // The data itself is at fault: another server has the same.
                    Err(kind @ (FailureKind::AliasLoop | FailureKind::TooManyAliases)) => {
                        return Some(Failure::new(kind).into());
                    }
                    Err(kind) => kind,
                }
            }
            message::FORM_ERR | message::NOT_IMP | message::BAD_VERS if exchange.edns => {
                let attempt = Attempt {
                    server: exchange.server,
                    transport: exchange.transport,
                    round: 0,
                    edns_refused: true,
                };
                self.ask(now, key, lookup, attempt);
                return None;
            }
            message::SERV_FAIL => FailureKind::ServFail,
            message::REFUSED => FailureKind::Refused,
            code => FailureKind::ResponseCode(code),
        };
        if kind == FailureKind::Malformed {
            self.stats.malformed += 1;
        }
        self.give_up(now, key, lookup, exchange, kind, response.extended_error)
    }

    /// Takes the server's word on the question as final, and goes on to the next server.
    fn give_up(
        &mut self,
        now: Instant,
        key: u64,
        lookup: &mut Lookup,
        exchange: &Exchange,
        kind: FailureKind,
        extended_error: Option<u16>,
    ) -> Option<Answer> {
        lookup.given_up[exchange.server] = true;
        let server = self.config.servers[exchange.server];
        lookup.note(Failure {
            kind,
            server: Some(server.address),
            extended_error,
            trusted: server.trust_ad,
        });
        self.next_attempt(now, key, lookup)
    }

    fn security(&self, server: usize, authentic: bool) -> Security {
        match (self.config.servers[server].trust_ad, authentic) {
            (true, true) => Security::Secure,
            (true, false) => Security::Insecure,
            (false, _) => Security::Indeterminate,
        }
    }
}

#[derive(Debug)]
struct Attempt {
    server: usize,
    transport: Transport,
    round: usize,
    edns_refused: bool,
}

/// One bit for each octet of the longest name.
const CASE_OCTETS: usize = 32;
const MAX_DOUBLINGS: usize = 5;
const SILENT_BEFORE_REST: u32 = 2;
const MAX_DOUBLINGS_OF_REST: u32 = 10;
/// How long a server that knows no EDNS is asked without it.
const PLAIN_FOR: Duration = Duration::from_secs(15 * 60);
