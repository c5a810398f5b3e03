//! Both engines joined in memory, over all extensions: what the server sees is what the client planned.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod support;

use bytes::Bytes;
use mailwright_smtp::client::{self, Cause, Client, Delivery, Outcome, StartTls, Transaction, UseBdat};
use mailwright_smtp::deliverby::{DeliverBy, Mode};
use mailwright_smtp::dsn::{EnvelopeId, Notify, OriginalRecipient, Ret};
use mailwright_smtp::futurerelease::{Hold, Interval};
use mailwright_smtp::mt_priority::Priority;
use mailwright_smtp::server::{self, Server};
use mailwright_smtp::{BodyType, Extensions, Mail, Protocol, Rcpt, Rejection};
use mailwright_wire::testing::{Pair, Turn};
use proptest::prelude::*;
use std::time::Instant;
use support::{client_config, server_config, transaction};

/// A message with its envelope. What the server says of it is written into the local parts.
#[derive(Debug, Clone)]
struct Job {
    plan: Transaction,
    body: Vec<Vec<u8>>,
}

/// How both sides are set up.
#[derive(Debug, Clone)]
struct Setup {
    protocol: Protocol,
    extensions: Extensions,
    starttls: StartTls,
    /// 0: no limit.
    transactions: u32,
    recipients: u32,
    pipelining: bool,
    window: usize,
    bdat: UseBdat,
    chunk: u64,
    ahead: usize,
    eager: u64,
    capacity: usize,
}

/// What the server took.
#[derive(Debug)]
struct Taken {
    mail: Mail,
    recipients: Vec<Rcpt>,
    body: Vec<u8>,
}

/// What should become of a recipient.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Delivered,
    /// Refused with this code.
    Refused(u16),
    Unsupported,
    NotTried,
}

/// The message in the form that every server takes.
const CONVERTED: &[u8] = b"converted\r\n.\r\n";

/// The largest message that is taken.
const LARGEST: u64 = 1 << 20;

fn says(path: &str, word: &str) -> bool {
    path.starts_with(&format!("<{word}"))
}

impl Setup {
    fn is_tls(&self) -> bool {
        self.starttls != StartTls::Never
    }

    /// The form in which this server takes the message.
    fn form(&self, plan: &Transaction) -> Option<BodyType> {
        let has = &self.extensions;
        let planned = plan.mail.params.body?;
        Some(match planned {
            BodyType::BinaryMime if has.binary_mime && self.bdat != UseBdat::Never => BodyType::BinaryMime,
            BodyType::BinaryMime | BodyType::EightBitMime if has.eight_bit_mime => BodyType::EightBitMime,
            _ => BodyType::SevenBit,
        })
    }

    /// What should become of each recipient; `mails`: transactions so far.
    fn fates(&self, plan: &Transaction, mails: &mut u32) -> Vec<Fate> {
        let (has, params) = (&self.extensions, &plan.mail.params);
        let lmtp = self.protocol == Protocol::Lmtp;
        let all = |fate| vec![fate; plan.recipients.len()];
        // Notices go to servers that hold nobody else to TLS.
        let lenient = self.is_tls() && plan.mail.path == mailwright_address::ReversePath::Null;
        let impossible = params.require_tls && !(self.is_tls() && has.require_tls || lenient)
            || !has.smtputf8 && (params.smtputf8 || !plan.mail.path.is_ascii())
            || params.by.is_some_and(|by| by.mode() == Mode::Return) && !has.deliver_by
            || params.hold.is_some() && !(has.future_release && self.protocol == Protocol::Submission)
            || has.size && params.size.is_some_and(|size| size > LARGEST)
            || self.form(plan) != params.body && !plan.convertible;
        if impossible {
            return all(Fate::Unsupported);
        }
        if has.limits && self.transactions > 0 && *mails >= self.transactions {
            return all(Fate::NotTried);
        }
        let mut tried = 0;
        let mut fates: Vec<_> = (plan.recipients.iter())
            .map(|rcpt| {
                let path = rcpt.path.to_string();
                if !has.smtputf8 && !path.is_ascii() {
                    return Fate::Unsupported;
                }
                if has.limits && tried >= self.recipients {
                    return Fate::NotTried;
                }
                tried += 1;
                match () {
                    () if says(&plan.mail.path.to_string(), "bad") => Fate::Refused(550),
                    () if says(&path, "no") => Fate::Refused(550),
                    () if says(&path, "later") => Fate::Refused(451),
                    () => Fate::Delivered,
                }
            })
            .collect();
        *mails += u32::from(tried > 0);
        let whole = ["dataless", "midway", "endless"].into_iter().find(|word| {
            let accepted = plan
                .recipients
                .iter()
                .zip(&fates)
                .filter(|(_, fate)| **fate == Fate::Delivered);
            accepted
                .into_iter()
                .any(|(rcpt, _)| says(&rcpt.path.to_string(), word))
        });
        for (rcpt, fate) in plan.recipients.iter().zip(&mut fates) {
            if *fate == Fate::Delivered {
                let full = lmtp && says(&rcpt.path.to_string(), "full");
                *fate = match whole {
                    Some(_) => Fate::Refused(550),
                    None if full => Fate::Refused(452),
                    None => Fate::Delivered,
                };
            }
        }
        fates
    }

    fn client(&self) -> client::Config {
        let mut config = client_config(self.protocol);
        config.starttls = self.starttls;
        config.pipelining = self.pipelining;
        config.limits.window = self.window;
        config.chunking.bdat = self.bdat;
        config.chunking.size = self.chunk;
        config.chunking.ahead = self.ahead;
        config.chunking.eager = self.eager;
        config
    }

    fn server(&self) -> server::Config {
        let mut config = server_config(self.protocol);
        config.extensions = self.extensions;
        config.extensions.starttls = true;
        config.require_auth = false;
        config.limits.message_size = LARGEST;
        config.limits.errors = 10_000;
        config.limits.refused_recipients = 10_000;
        if self.extensions.limits {
            config.limits.transactions = self.transactions;
            config.limits.recipients = self.recipients;
        }
        config
    }

    /// Sends all jobs from one engine to the other.
    fn exchange(&self, jobs: &[Job]) -> (Vec<Outcome>, Vec<Taken>) {
        #[allow(clippy::disallowed_methods)] // a test winds its own clock, and this is where it starts
        let now = Instant::now();
        let lmtp = self.protocol == Protocol::Lmtp;
        let client = Client::new(self.client(), [1; 32]);
        let server = Server::new(self.server(), [2; 32], now).with_wall_clock(1_800_000_000);
        let mut pair = Pair::new(client, server, now, self.capacity);
        let (mut outcomes, mut taken) = (vec![], vec![]);
        let mut jobs = jobs.iter();
        let mut body: std::vec::IntoIter<Vec<u8>> = vec![].into_iter();
        let mut feeding = false;
        let mut open: Option<Taken> = None;
        let mut next = |client: &mut Client, body: &mut std::vec::IntoIter<Vec<u8>>| match jobs.next() {
            Some(job) => {
                *body = job.body.clone().into_iter();
                client.send(job.plan.clone());
            }
            None => client.quit(),
        };
        let passed = pair
            .run(
                |client, turn| match turn {
                    Turn::Event(client::Event::Certificate(_)) => client.trust(),
                    Turn::Event(client::Event::Ready) => next(client, &mut body),
                    Turn::Event(client::Event::Convert(_)) => {
                        body = vec![CONVERTED.to_vec()].into_iter();
                        client.converted(Some(CONVERTED.len() as u64));
                    }
                    Turn::Event(client::Event::BodyWanted) => feeding = true,
                    Turn::Event(client::Event::Finished(outcome)) => {
                        assert_ne!(outcome.connection, client::Connection::Dead, "{outcome:?}");
                        outcomes.push(outcome);
                        feeding = false;
                        next(client, &mut body);
                    }
                    Turn::Answer if feeding => match body.next() {
                        Some(piece) => client.body(Bytes::from(piece)),
                        None => {
                            client.body_end();
                            feeding = false;
                        }
                    },
                    Turn::TlsStarted => client.tls_started(),
                    Turn::Closed => {}
                    other => panic!("the client: {other:?}"),
                },
                |server, turn| match turn {
                    Turn::Event(server::Event::Mail(mail)) => {
                        if says(&mail.path.to_string(), "bad") {
                            return server.reject(Rejection::POLICY);
                        }
                        open = Some(Taken {
                            mail: *mail,
                            recipients: vec![],
                            body: vec![],
                        });
                        server.accept();
                    }
                    Turn::Event(server::Event::Rcpt(rcpt)) => {
                        let path = rcpt.path.to_string();
                        if says(&path, "no") {
                            return server.reject(Rejection::NO_SUCH_USER);
                        }
                        if says(&path, "later") {
                            return server.reject(Rejection::TRY_AGAIN);
                        }
                        open.as_mut().unwrap().recipients.push(rcpt);
                        server.accept();
                    }
                    Turn::Event(server::Event::Data) => match open.as_ref().unwrap().says("dataless") {
                        true => server.reject(Rejection::POLICY),
                        false => server.accept(),
                    },
                    Turn::Event(server::Event::Body(data)) => {
                        let message = open.as_mut().unwrap();
                        message.body.extend_from_slice(&data);
                        if message.says("midway") {
                            server.refuse_message(Rejection::POLICY);
                        }
                    }
                    Turn::Event(server::Event::Message { size }) => {
                        let message = open.take().unwrap();
                        assert_eq!(size, message.body.len() as u64);
                        let refused = message.says("endless") || message.says("midway");
                        let answers = if lmtp { message.recipients.len() } else { 1 };
                        for rcpt in &message.recipients[..answers] {
                            match () {
                                () if refused => server.reject(Rejection::POLICY),
                                () if lmtp && says(&rcpt.path.to_string(), "full") => {
                                    server.reject(Rejection::OVER_QUOTA);
                                }
                                () => server.accept(),
                            }
                        }
                        let full = |rcpt: &Rcpt| lmtp && says(&rcpt.path.to_string(), "full");
                        if !refused && !message.recipients.iter().all(full) {
                            taken.push(message);
                        }
                    }
                    Turn::Event(server::Event::Aborted(_)) => open = None,
                    Turn::Event(_) => server.accept(),
                    Turn::TlsStarted => server.tls_started(),
                    Turn::Closed => {}
                    other => panic!("the server: {other:?}"),
                },
            )
            .expect("no deadlock");
        assert!(passed.is_zero(), "somebody waited for a timeout: {passed:?}");
        (outcomes, taken)
    }
}

impl Taken {
    fn says(&self, word: &str) -> bool {
        self.recipients
            .iter()
            .any(|rcpt| says(&rcpt.path.to_string(), word))
    }
}

/// What a text becomes on its way: line ends complete.
fn canonical(body: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = vec![];
    let mut last = 0;
    for &octet in body {
        match octet {
            b'\n' if last == b'\r' => {}
            b'\r' | b'\n' => out.extend_from_slice(b"\r\n"),
            octet => out.push(octet),
        }
        last = octet;
    }
    if !out.is_empty() && !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn local_part() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-z]{1,3}x",
        2 => Just(r#""a \"quoted\\ one>""#.to_owned()),
        3 => Just("no".to_owned()),
        1 => Just("later".to_owned()),
        1 => Just("full".to_owned()),
        1 => Just("dataless".to_owned()),
        1 => Just("midway".to_owned()),
        1 => Just("endless".to_owned()),
        1 => Just("\u{fc}ml\u{e4}ut".to_owned()),
    ]
}

fn path() -> impl Strategy<Value = String> {
    let host = prop_oneof![Just("b.test"), Just("[192.0.2.1]"), Just("[IPv6:2001:db8::1]")];
    (local_part(), host).prop_map(|(local, host)| format!("<{local}@{host}>"))
}

fn job() -> impl Strategy<Value = Job> {
    let sender = prop_oneof![
        1 => Just("<>".to_owned()),
        1 => Just("<bad@a.test>".to_owned()),
        1 => Just("<\u{fc}@a.test>".to_owned()),
        7 => Just("<a@a.test>".to_owned()),
    ];
    let octet = prop_oneof![
        Just(b'.'),
        Just(b'\r'),
        Just(b'\n'),
        Just(0),
        Just(b'B'),
        any::<u8>()
    ];
    let piece = prop_oneof![
        4 => proptest::collection::vec(octet, 0..60),
        1 => Just(b"BDAT 5 LAST\r\n.\r\nMAIL FROM:<>\r\n".repeat(20)),
    ];
    let body = prop_oneof![
        Just(None),
        Just(Some(BodyType::SevenBit)),
        Just(Some(BodyType::EightBitMime)),
        Just(Some(BodyType::BinaryMime)),
    ];
    let envelope = (
        sender,
        proptest::collection::vec(path(), 0..8),
        body,
        any::<bool>(),
    );
    let sometimes = || proptest::bool::weighted(0.15);
    let params = (
        prop_oneof![4 => Just(None), 4 => Just(Some(0)), 1 => Just(Some(1u64 << 40))],
        proptest::option::weighted(0.3, (-5i32..1000, any::<bool>(), any::<bool>())),
        proptest::option::weighted(0.1, 1u32..3600),
        proptest::option::weighted(0.3, -9i8..=9),
        (sometimes(), sometimes(), any::<bool>()),
    );
    (envelope, params, proptest::collection::vec(piece, 0..4)).prop_map(|(envelope, params, body)| {
        let (sender, recipients, form, convertible) = envelope;
        let (size, by, hold, priority, (require_tls, smtputf8, dsn)) = params;
        let recipients: Vec<_> = recipients.iter().map(String::as_str).collect();
        let mut plan = transaction(&sender, &recipients);
        plan.convertible = convertible;
        let length = body.iter().map(Vec::len).sum::<usize>() as u64;
        let mail = &mut plan.mail.params;
        mail.body = form;
        mail.size = size.map(|huge| length + huge);
        mail.by = by.and_then(|(seconds, back, trace)| {
            DeliverBy::new(seconds, if back { Mode::Return } else { Mode::Notify }, trace)
        });
        mail.hold = hold.and_then(Interval::new).map(Hold::For);
        mail.priority = priority.and_then(Priority::new);
        mail.require_tls = require_tls;
        mail.smtputf8 = smtputf8;
        if dsn {
            mail.ret = Some(Ret::Hdrs);
            mail.envid = EnvelopeId::new("id =+ 7");
            for rcpt in &mut plan.recipients {
                rcpt.params.notify = Some(Notify::Never);
                rcpt.params.orcpt = OriginalRecipient::new("rfc822", "x+y@b.test");
            }
        }
        Job { plan, body }
    })
}

fn extensions() -> impl Strategy<Value = Extensions> {
    proptest::collection::vec(proptest::bool::weighted(0.7), 13).prop_map(|on| {
        let mut all = Extensions::NONE;
        all.pipelining = on[0];
        all.size = on[1];
        all.eight_bit_mime = on[2];
        all.enhanced_status_codes = on[3];
        all.smtputf8 = on[4];
        all.dsn = on[5];
        all.chunking = on[6];
        // RFC 3030 §3: not without the two.
        all.binary_mime = on[7] && on[6] && on[2];
        all.deliver_by = on[8];
        all.future_release = on[9];
        all.mt_priority = on[10];
        all.require_tls = on[11];
        all.limits = on[12];
        all
    })
}

fn setup() -> impl Strategy<Value = Setup> {
    let protocol = prop_oneof![
        Just(Protocol::Smtp),
        Just(Protocol::Submission),
        Just(Protocol::Lmtp)
    ];
    let starttls = prop_oneof![
        Just(StartTls::Never),
        Just(StartTls::IfOffered),
        Just(StartTls::Verified)
    ];
    let bdat = prop_oneof![
        1 => Just(UseBdat::Never),
        1 => Just(UseBdat::ForBinary),
        4 => Just(UseBdat::WhenOffered),
    ];
    let limits = (0u32..4, 1u32..6);
    let pace = (any::<bool>(), 1usize..10, 1usize..5);
    let chunk = prop_oneof![1u64..20, Just(1000)];
    let eager = prop_oneof![Just(0), Just(50), Just(u64::MAX)];
    let capacity = prop_oneof![3 => 1usize..8, 1 => 8usize..5000];
    (
        protocol,
        extensions(),
        starttls,
        limits,
        pace,
        (bdat, chunk, eager),
        capacity,
    )
        .prop_map(
            |(protocol, extensions, starttls, limits, pace, (bdat, chunk, eager), capacity)| Setup {
                protocol,
                extensions,
                starttls,
                transactions: limits.0,
                recipients: limits.1,
                pipelining: pace.0,
                window: pace.1,
                ahead: pace.2,
                bdat,
                chunk,
                eager,
                capacity,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_was_planned_is_what_was_seen(setup in setup(), jobs in proptest::collection::vec(job(), 1..5)) {
        let (outcomes, taken) = setup.exchange(&jobs);
        prop_assert_eq!(outcomes.len(), jobs.len());
        let has = &setup.extensions;
        let mut taken = taken.into_iter();
        let mut mails = 0;
        for (job, outcome) in jobs.iter().zip(&outcomes) {
            let fates = setup.fates(&job.plan, &mut mails);
            let got: Vec<_> = (outcome.deliveries.iter())
                .map(|delivery| match delivery {
                    Delivery::Delivered(_) => Fate::Delivered,
                    Delivery::NotTried(_) => Fate::NotTried,
                    Delivery::Failed(failure) => match &failure.cause {
                        Cause::Reply(reply) => Fate::Refused(reply.code()),
                        Cause::Unsupported(_) => Fate::Unsupported,
                        other => panic!("{other:?}"),
                    },
                    other => panic!("{other:?}"),
                })
                .collect();
            prop_assert_eq!(&got, &fates, "{:?}", job);
            if !fates.contains(&Fate::Delivered) {
                continue;
            }
            let message = taken.next().expect("the server took it");
            let (plan, seen) = (&job.plan.mail.params, &message.mail.params);
            let converted = setup.form(&job.plan) != plan.body;
            prop_assert_eq!(&message.mail.path, &job.plan.mail.path);
            let size = if converted { Some(CONVERTED.len() as u64) } else { plan.size };
            prop_assert_eq!(seen.size, size.filter(|_| has.size));
            prop_assert_eq!(seen.body, setup.form(&job.plan).filter(|_| has.eight_bit_mime));
            prop_assert_eq!(seen.ret, plan.ret.filter(|_| has.dsn));
            prop_assert_eq!(&seen.envid, &plan.envid.clone().filter(|_| has.dsn));
            prop_assert_eq!(seen.by, plan.by.filter(|_| has.deliver_by));
            prop_assert_eq!(seen.hold, plan.hold);
            prop_assert_eq!(seen.priority, plan.priority.filter(|_| has.mt_priority));
            prop_assert_eq!(seen.require_tls, plan.require_tls && has.require_tls);
            // All who were not turned away at RCPT; LMTP turns some away later.
            let open = |fate: &Fate| matches!(fate, Fate::Delivered | Fate::Refused(452));
            let expected: Vec<_> = (job.plan.recipients.iter().zip(&fates))
                .filter(|(_, fate)| open(fate))
                .map(|(rcpt, _)| rcpt)
                .collect();
            prop_assert_eq!(message.recipients.len(), expected.len());
            let utf8 = plan.smtputf8 || !job.plan.mail.path.is_ascii() || {
                let tried = |fate: &Fate| !matches!(fate, Fate::NotTried | Fate::Unsupported);
                job.plan.recipients.iter().zip(&fates).any(|(r, fate)| tried(fate) && !r.path.is_ascii())
            };
            prop_assert_eq!(seen.smtputf8, utf8);
            for (got, want) in message.recipients.iter().zip(expected) {
                prop_assert_eq!(&got.path, &want.path);
                prop_assert_eq!(&got.params.orcpt, &want.params.orcpt.clone().filter(|_| has.dsn));
                let untold = plan.by.is_some() && !has.deliver_by;
                let notify = want.params.notify.or(untold.then_some(Notify::On {
                    success: false,
                    failure: true,
                    delay: true,
                }));
                prop_assert_eq!(got.params.notify, notify.filter(|_| has.dsn));
            }
            let source = if converted { CONVERTED.to_vec() } else { job.body.concat() };
            let body = match setup.form(&job.plan) {
                Some(BodyType::BinaryMime) => source,
                _ => canonical(&source),
            };
            prop_assert_eq!(message.body.escape_ascii().to_string(), body.escape_ascii().to_string());
        }
        prop_assert!(taken.next().is_none());
    }
}
