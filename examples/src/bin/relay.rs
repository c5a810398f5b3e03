//! A store-and-forward relay from the parts: SMTP in, a queue on disk, SMTP out, bounces. No runtime; a thread for each
//! client and each attempt.
//!
//! ```sh
//! cargo run -p mailwright-examples --bin relay -- --next mail.example.org:25 127.0.0.1:2525 /var/spool/relay
//! swaks --server 127.0.0.1:2525 --from you@example.org --to friend@example.net
//! ```
//!
//! 250 is said when message and envelope are on disk. What is under way when the program is killed is tried again. Who
//! may connect may send, so listen where only friends are.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // an example brings sockets, threads, files and the clock

use clap::Parser;
use mailwright_address::ReversePath;
use mailwright_examples::net::{Conn, Fallible, Socket, Turn};
use mailwright_examples::outgoing::deliver;
use mailwright_examples::spool::Spool;
use mailwright_message::date::DateTime;
use mailwright_message::dsn::{Notification, Returned};
use mailwright_message::trace::Received;
use mailwright_queue::{
    Attempt, Body, Change, Config, Diagnosis, DsnRequest, Handover, Health, Notify, Outcome, Queue, Record,
    Report, Status, Timestamp, Update,
};
use mailwright_smtp::client::{self, Delivery, Failure, StartTls, Transaction};
use mailwright_smtp::server::{self, Event};
use mailwright_smtp::{BodyType, EnhancedCode, Mail, Protocol, Rcpt, Rejection, Server, dsn};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Takes mail, keeps it on disk, and hands it on until it is delivered or given up.
#[derive(Debug, Parser)]
#[command(name = "relay", version)]
struct Arguments {
    /// Where to listen: HOST:PORT, port 0 for any
    address: String,

    /// The folder of the queue
    spool: PathBuf,

    /// The server that all mail goes to: HOST:PORT
    #[arg(long, value_name = "ADDRESS")]
    next: String,

    /// The name of this host
    #[arg(long, default_value = "localhost", value_name = "NAME")]
    hostname: String,

    /// The waits between tries, in seconds; the last one repeats
    #[arg(
        long,
        value_name = "SECONDS",
        value_delimiter = ',',
        default_value = "300,900,3600,14400"
    )]
    retry: Vec<u64>,

    /// Give up after so many seconds, and tell the sender
    #[arg(long, value_name = "SECONDS", default_value_t = 5 * 86_400)]
    expire: u64,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relay: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What all threads share.
struct Relay {
    spool: Spool,
    next: String,
    hostname: String,
    expire: Duration,
    wakes: Sender<Wake>,
}

/// What wakes the thread of the queue.
enum Wake {
    Arrived,
    Finished(Box<Attempt>, Report),
}

fn run(arguments: Arguments) -> Fallible<()> {
    let (wakes, woken) = channel();
    let relay = Arc::new(Relay {
        spool: Spool::open(&arguments.spool)?,
        next: arguments.next,
        hostname: arguments.hostname,
        expire: Duration::from_secs(arguments.expire),
        wakes,
    });
    let mut config = Config::default();
    config.retry = arguments.retry.into_iter().map(Duration::from_secs).collect();
    config.pause_first = config.backoff(1, 0.0).min(config.pause_first);
    let queue = Queue::new(config, u64::from_ne_bytes(random()?));
    let worker = relay.clone();
    std::thread::spawn(move || worker.work(queue, &woken));

    let mut smtp = server::Config::new(Protocol::Smtp, relay.hostname.parse()?);
    smtp.limits.message_size = 50 << 20;
    let smtp = Arc::new(smtp);
    let listener = TcpListener::bind(&arguments.address)
        .map_err(|e| format!("cannot listen at {}: {e}", arguments.address))?;
    println!("listening at {}", listener.local_addr()?);
    loop {
        let (client, peer) = listener.accept()?;
        client.set_nodelay(true)?;
        let (relay, smtp) = (relay.clone(), smtp.clone());
        std::thread::spawn(move || {
            if let Err(error) = relay.take(smtp, Socket::Tcp(client)) {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

/// Mail coming in.
impl Relay {
    fn take(&self, config: Arc<server::Config>, client: Socket) -> Fallible<()> {
        let mut conn = Conn::new(Server::new(config, random()?, Instant::now()), client);
        let (mut mail, mut recipients, mut message) = (None, Vec::new(), Vec::new());
        loop {
            match conn.turn()? {
                Turn::Event(Event::Mail(new)) => {
                    (mail, recipients) = (Some(new), Vec::new());
                    conn.machine.accept();
                }
                Turn::Event(Event::Rcpt(rcpt)) if rcpt.path.address().is_some() => {
                    recipients.push(rcpt);
                    conn.machine.accept();
                }
                Turn::Event(Event::Rcpt(_)) => conn.machine.reject(Rejection::NO_SUCH_USER),
                Turn::Event(Event::Data) => {
                    message.clear();
                    conn.machine.accept();
                }
                Turn::Event(Event::Body(data)) => message.extend_from_slice(&data),
                Turn::Event(Event::Message { .. }) => {
                    let Some(mail) = mail.take() else {
                        return Err("a message without sender".into());
                    };
                    match self.keep(&mail, &recipients, &message) {
                        Ok(id) => conn.machine.accept_with(&format!("queued as {id}")),
                        Err(error) => {
                            eprintln!("a message cannot be kept: {error}");
                            conn.machine.reject(Rejection::TRY_AGAIN);
                        }
                    }
                }
                Turn::Event(Event::Aborted(_)) => {}
                Turn::Event(_) => conn.machine.accept(),
                Turn::Close => return Ok(()),
                Turn::StartTls => return Err("TLS was not offered".into()),
            }
        }
    }

    /// Puts a message into the queue; it is on disk when this returns.
    fn keep(&self, mail: &Mail, recipients: &[Rcpt], message: &[u8]) -> Fallible<String> {
        let id = format!("{:016x}", u64::from_be_bytes(random()?));
        let mut received = Received::new(&self.hostname, "ESMTP", today());
        received.id = Some(&id);
        let message = [received.to_field().as_bytes(), message].concat();
        let mut record = Record::new(id.as_str(), mail.path.clone(), now(), now() + self.expire);
        record.size = message.len() as u64;
        record.smtputf8 = mail.params.smtputf8;
        if !message.is_ascii() {
            record.body = Body::EightBit;
        }
        record.envelope_id = mail.params.envid.as_ref().map(|id| id.as_str().into());
        for rcpt in recipients {
            let Some(address) = rcpt.path.address() else {
                continue;
            };
            let recipient = record.add_recipient(address.clone());
            recipient.notify = rcpt.params.notify.map(|notify| match notify {
                dsn::Notify::Never => Notify::default(),
                dsn::Notify::On {
                    success,
                    failure,
                    delay,
                } => Notify {
                    success,
                    failure,
                    delay,
                },
            });
        }
        self.spool.add(&record.encode(), &message)?;
        self.wakes.send(Wake::Arrived)?;
        Ok(id)
    }
}

/// The queue.
impl Relay {
    fn work(self: Arc<Self>, mut queue: Queue, woken: &Receiver<Wake>) {
        loop {
            while let Some(page) = queue.next_page(now()) {
                match self.spool.read(page.after, page.limit) {
                    Ok(records) => {
                        for (key, error) in queue.loaded(now(), page, records) {
                            eprintln!("message {key} cannot be read: {error}");
                        }
                    }
                    Err(error) => {
                        eprintln!("the queue cannot be read: {error}");
                        queue.not_loaded(page);
                        break;
                    }
                }
            }
            while let Some(attempt) = queue.due(now()) {
                let relay = self.clone();
                std::thread::spawn(move || {
                    let report = relay.attempt(&attempt);
                    // Nobody waits for it when the program ends.
                    let _ = relay.wakes.send(Wake::Finished(Box::new(attempt), report));
                });
            }
            while let Some(update) = queue.poll_update(now()) {
                let key = update.key;
                while let Err(error) = self.commit(&update) {
                    eprintln!("what became of message {key} cannot be kept: {error}");
                    std::thread::sleep(Duration::from_secs(5));
                }
                queue.committed(now(), key);
            }
            let wait = queue.deadline().map_or(Duration::MAX, |at| at.after(now()));
            let wait = wait.clamp(Duration::from_millis(10), Duration::from_secs(3600));
            match woken.recv_timeout(wait) {
                Ok(Wake::Arrived) => queue.arrived(),
                Ok(Wake::Finished(attempt, report)) => queue.finished(now(), *attempt, report),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Keeps an outcome. The notice goes first: after a crash between the two it is sent once more, and not never.
    fn commit(&self, update: &Update) -> Fallible<()> {
        if let Some(request) = &update.dsn {
            self.tell(update, request)?;
        }
        for failure in &update.unreported {
            eprintln!("given up, and nobody is to be told: {}", failure.address);
        }
        match &update.change {
            Change::Replace(record) => self.spool.replace(update.key, record),
            Change::Remove => self.spool.remove(update.key),
        }
    }

    /// Puts a notice for the sender into the queue.
    fn tell(&self, update: &Update, request: &DsnRequest) -> Fallible<()> {
        let from = format!("mailer-daemon@{}", self.hostname);
        let report = request.report(self.hostname.as_str());
        let mut notification = Notification::new(report, from, request.to.as_str(), today());
        let message = self.spool.message(update.key)?;
        let header = message.windows(4).position(|w| w == b"\r\n\r\n");
        notification.returned = header.map_or(Returned::Nothing, |end| {
            Returned::Header(message.slice(..end + 2))
        });
        let notice = notification.build(random()?).concat();
        let id = format!("{:016x}", u64::from_be_bytes(random()?));
        let mut record = Record::new(id, ReversePath::Null, now(), now() + self.expire);
        record.size = notice.len() as u64;
        record.add_recipient(request.to.clone());
        self.spool.add(&record.encode(), &notice)?;
        self.wakes.send(Wake::Arrived)?;
        Ok(())
    }
}

/// Mail going out.
impl Relay {
    fn attempt(&self, attempt: &Attempt) -> Report {
        let deliveries = match self.hand_over(attempt) {
            Ok(deliveries) => deliveries,
            Err(error) => {
                let code = Status::new(4, 4, 1).unwrap_or(Status::DELAYED);
                let why = Diagnosis::local(code, format!("{}: {error}", self.next));
                let outcomes = attempt.recipients().map(|_| Outcome::Temporary(why.clone()));
                return Report::new(outcomes, Health::Unreachable);
            }
        };
        let outcomes = deliveries.iter().map(|delivery| match delivery {
            Delivery::Delivered(_) => Some(Outcome::Delivered(Handover::Relay)),
            Delivery::Failed(failure) | Delivery::Unknown(failure) => Some(self.failed(failure)),
            // It stays as it is, and is due as before.
            _ => None,
        });
        Report::partial(outcomes.collect(), Health::Good).with_via(self.next.as_str())
    }

    fn hand_over(&self, attempt: &Attempt) -> Fallible<Vec<Delivery>> {
        let record = attempt.record();
        let mut config = client::Config::new(Protocol::Smtp, self.hostname.parse()?);
        config.starttls = StartTls::Never;
        let mut mail = Mail::new(record.reverse_path.clone());
        mail.params.size = Some(record.size);
        mail.params.smtputf8 = record.smtputf8;
        mail.params.body = (record.body != Body::SevenBit).then_some(BodyType::EightBitMime);
        mail.params.envid = record.envelope_id.as_deref().and_then(dsn::EnvelopeId::new);
        let recipients = attempt
            .recipients()
            .map(|recipient| Rcpt::new(recipient.address.clone().into()));
        let transaction = Transaction::new(mail, recipients.collect());
        let message = self.spool.message(attempt.key())?;
        deliver(&self.next, config, None, transaction, &message)
    }

    fn failed(&self, failure: &Failure) -> Outcome {
        let code = |code: EnhancedCode| Status::new(code.class(), code.subject(), code.detail());
        let code = code(failure.status()).unwrap_or(Status::FAILED);
        let why = match failure.reply() {
            Some(reply) => Diagnosis::remote(code, &self.next, reply.to_string()),
            None => Diagnosis::local(code, failure.to_string()),
        };
        match failure.is_permanent() {
            true => Outcome::Permanent(why),
            false => Outcome::Temporary(why),
        }
    }
}

fn now() -> Timestamp {
    Timestamp::default() + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn today() -> DateTime {
    DateTime::new(i64::try_from(now().unix_seconds()).unwrap_or(i64::MAX), 0)
}

fn random<const N: usize>() -> Fallible<[u8; N]> {
    let mut octets = [0; N];
    getrandom::fill(&mut octets)?;
    Ok(octets)
}
