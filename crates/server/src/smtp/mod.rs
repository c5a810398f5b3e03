//! Mail coming in: SMTP from other servers, submission from mail programs, LMTP (RFC 5321, RFC 6409, RFC 2033)
//!
//! ```text
//!  Conn<smtp::Server> ─▶ Session ─ policy: who may send what to whom
//!                           │ DATA
//!                           ▼
//!                        Intake ─ trace headers, header fix-ups, blob writers, index
//!                           │ end of message
//!                           ▼
//!                        Envelope ─▶ ONE commit: INBOX of each account, spool for the others ─▶ 250
//! ```

mod batch;
mod envelope;
pub(crate) mod held;
mod intake;
mod judged;
mod peek;
mod policy;
mod tap;
mod telling;

use crate::Stream;
use crate::accounts::{Grant, Visit};
use crate::clock::unix_now;
use crate::config::{ListenerConfig, Network, PlaintextLogin, Protocol, Service, TlsMode};
use crate::conn::{Conn, Turn};
use crate::delivery::{Destination, Stop, Targets};
use crate::gate::Pass;
use crate::journal::What;
use crate::judge::Action;
use crate::metrics::{Connected, Door, Login, Success, Taken as Fate};
use crate::quotas::Room;
use crate::random::entropy;
use crate::shared::Shared;
use envelope::{Accepted, Envelope};
use intake::{Intake, Trace};
use mailwright_address::{EmailAddress, Host};
use mailwright_mailbox::{Account, CommitError, Store, StoreError};
use mailwright_message::date::DateTime;
use mailwright_sasl::{Mechanism, Question};
use mailwright_smtp::proxy::Versions;
use mailwright_smtp::server::{AuthWithoutTls, BareNewlines, Config, Event};
use mailwright_smtp::submission::Additions;
use mailwright_smtp::{self as smtp, EnhancedCode, Mail, Rcpt, Rejection, Server};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tracing::Instrument as _;

/// Serves one SMTP, submission or LMTP connection until it ends.
pub(crate) async fn serve<S: Store>(
    shared: Arc<Shared<S>>,
    stream: Stream,
    peer: SocketAddr,
    listener: Arc<ListenerConfig>,
    pass: &Pass,
    connected: &Connected,
) {
    let mut machine = Server::new(
        machine_config(&shared, peer, &listener),
        entropy(),
        Instant::now(),
    )
    .with_wall_clock(u64::try_from(unix_now()).unwrap_or(0));
    if stream.is_tls() {
        machine = machine.over_tls();
        machine.bind_channel(stream.channel_bindings());
        if knows(&shared, &stream) {
            machine.offer(Mechanism::External);
        }
    } else if listener.tls == TlsMode::Implicit {
        // A PROXY header stands ahead of it.
        machine = machine.tls_first();
    }
    let mut session = Session::new(shared.clone(), peer, listener.clone(), &stream, pass);
    session.connection.clone_from(&connected.name);
    let mut conn = Conn::new(machine, stream);
    conn.set_write_timeout(shared.config.limits.write_timeout);
    conn.set_write_rate(shared.config.limits.write_least_rate);
    let mut stopping = false;
    loop {
        let turn = tokio::select! {
            turn = conn.next() => turn,
            () = shared.shutdown.begun(), if !stopping => {
                stopping = true;
                conn.machine().shutdown();
                continue;
            }
            () = shared.accounts.revoked(session.grant.as_ref()), if !stopping => {
                tracing::info!(%peer, "the account has changed: the session ends");
                stopping = true;
                conn.machine().shutdown();
                continue;
            }
        };
        match turn {
            // Boxed, so that a connection that waits does not keep the room that its commands need.
            Ok(Turn::Event(event)) => {
                let span = session.span();
                Box::pin(session.event(conn.machine(), event))
                    .instrument(span)
                    .await;
            }
            Ok(Turn::StartTls) => {
                let shaken = Box::pin(conn.accept_tls(shared.tls.of_listener(&listener))).await;
                shared.metrics.handshakes.of(Success::of(&shaken)).count();
                conn = match shaken {
                    Ok(conn) => conn,
                    Err(error) => return tracing::debug!(%peer, "no TLS: {error}"),
                };
                session.tls = conn.stream().tls_description();
                let dropped = conn.machine().dropped_plaintext();
                if dropped > 0 {
                    tracing::warn!(%peer, octets = dropped, "dropped plaintext behind STARTTLS");
                }
                let bindings = conn.stream().channel_bindings();
                conn.machine().tls_started();
                conn.machine().bind_channel(bindings);
                session.certificate = certificate(conn.stream());
                if knows(&shared, conn.stream()) {
                    conn.machine().offer(Mechanism::External);
                }
            }
            Ok(Turn::Close) => break,
            // Every question is answered where its event is handled.
            Ok(Turn::Answer) => break tracing::error!(%peer, "a question of the client was left open"),
            Err(error) => break tracing::debug!(%peer, "{error}"),
        }
    }
    Box::pin(conn.close()).await;
}

/// The certificate that a client has shown.
fn certificate(stream: &Stream) -> Option<Vec<u8>> {
    stream.peer_certificate().map(|certificate| certificate.to_vec())
}

/// Whether a client has shown the certificate of an account.
fn knows<S>(shared: &Shared<S>, stream: &Stream) -> bool {
    let certificate = stream.peer_certificate();
    certificate.is_some_and(|certificate| shared.accounts.of_certificate(certificate, None).is_some())
}

/// What the engine is told for a listener and a peer.
fn machine_config<S>(shared: &Shared<S>, peer: SocketAddr, listener: &ListenerConfig) -> Config {
    let (protocol, bare_newlines) = match listener.protocol {
        Protocol::Submission => (smtp::Protocol::Submission, BareNewlines::Normalise),
        Protocol::Lmtp => (smtp::Protocol::Lmtp, BareNewlines::Normalise),
        _ => (smtp::Protocol::Smtp, BareNewlines::Refuse),
    };
    let limits = &shared.config.limits;
    let mut config = Config::new(protocol, Host::Domain(shared.config.hostname.clone()));
    config.bare_newlines = bare_newlines;
    config.mechanisms = shared.accounts.mechanisms();
    config.extensions.starttls = listener.tls == TlsMode::Starttls;
    config.extensions.auth = listener.protocol == Protocol::Submission;
    config.extensions.deliver_by = true;
    config.extensions.future_release = listener.protocol == Protocol::Submission;
    config.extensions.mt_priority = listener.protocol == Protocol::Submission;
    config.auth_without_tls = match shared.config.plaintext_login {
        PlaintextLogin::Never => AuthWithoutTls::Never,
        // What is near is the proxy, not the client.
        PlaintextLogin::Loopback if listener.smtp.proxy => AuthWithoutTls::Never,
        allowed if allowed.allows(peer.ip()) => AuthWithoutTls::Always,
        _ => AuthWithoutTls::Never,
    };
    config.proxy = listener.smtp.proxy.then_some(Versions::Any);
    config.greeting_delay = listener.smtp.greeting_delay;
    config.questions.vrfy = listener.smtp.verify;
    config.limits.message_size = limits.message_size;
    config.limits.recipients = u32::try_from(limits.recipients).unwrap_or(u32::MAX);
    config.limits.recipient_domains = limits.recipient_domains;
    config.limits.body_rate = limits.smtp_least_rate;
    config.timeouts.login = limits.login_timeout;
    config.timeouts.command = limits.smtp_timeout;
    config.timeouts.body = limits.smtp_timeout;
    config
}

/// What is known of one connection, and the transaction under way.
struct Session<'a, S: Store> {
    shared: Arc<Shared<S>>,
    /// Its place among the connections.
    pass: &'a Pass,
    /// What logs call the connection.
    connection: String,
    /// The client, which is not the peer of the connection where a proxy told its address.
    peer: SocketAddr,
    listener: Arc<ListenerConfig>,
    /// Version and cipher suite, for the trace header.
    tls: Option<String>,
    /// The certificate of the client.
    certificate: Option<Vec<u8>>,
    /// The client was greeted, or turned away, once.
    greeted: bool,
    /// What filters want done with all messages of the connection.
    action: Action,
    account: Option<Account>,
    grant: Option<Grant>,
    envelope: Option<Envelope>,
    intake: Option<Intake<S>>,
}

impl<'a, S: Store> Session<'a, S> {
    fn new(
        shared: Arc<Shared<S>>,
        peer: SocketAddr,
        listener: Arc<ListenerConfig>,
        stream: &Stream,
        pass: &'a Pass,
    ) -> Self {
        Self {
            shared,
            pass,
            connection: String::new(),
            peer,
            listener,
            tls: stream.tls_description(),
            certificate: certificate(stream),
            greeted: false,
            action: Action::Accept,
            account: None,
            grant: None,
            envelope: None,
            intake: None,
        }
    }

    /// Handles an event; a question is answered when it returns.
    async fn event(&mut self, machine: &mut Server, event: Event) {
        self.count(&event);
        match event {
            Event::Connect => self.greet(machine).await,
            Event::Hello(_) => machine.accept(),
            Event::Vrfy(lookup) => self.verify(machine, &lookup.name),
            // Both are offered to those alone who may.
            Event::Xclient(attributes) => {
                tracing::debug!(peer = %self.peer, "XCLIENT {attributes}");
                (self.account, self.grant) = (None, None);
                machine.accept();
            }
            Event::Xforward(attributes) => {
                tracing::info!(peer = %self.peer, "XFORWARD {attributes}");
                machine.accept();
            }
            Event::Auth(question) => {
                let username = question.username().to_owned();
                let answer = match &*question {
                    Question::External { authzid } => {
                        let certificate = self.certificate.as_deref();
                        self.shared
                            .accounts
                            .answer_external(certificate, authzid.as_deref())
                    }
                    _ => self.shared.accounts.answer(*question, self.visit()).await,
                };
                if let Some(result) = Login::of(&answer) {
                    self.shared.metrics.login(self.listener.protocol, result);
                    tracing::info!(peer = %self.peer, user = ?username, "login refused");
                }
                machine.answer_auth(answer);
            }
            Event::Authenticated(identity) => {
                self.account = self.shared.accounts.account(&identity);
                self.grant = self.shared.accounts.grant(&identity, self.visit());
                self.shared.metrics.login(self.listener.protocol, Login::Ok);
                tracing::debug!(peer = %self.peer, user = ?identity.authcid, "logged in");
            }
            Event::Mail(mail) => match self.take_sender(machine, &mail).await {
                Ok(action) => {
                    self.envelope = Some(Envelope::new(*mail, action));
                    machine.accept();
                }
                Err(rejection) => {
                    self.tell_sender_refused(&mail, &rejection);
                    self.refuse(machine, rejection);
                }
            },
            Event::Rcpt(rcpt) => match self.take_recipient(machine, &rcpt).await {
                Ok((targets, quarantined)) => {
                    if let Some(envelope) = &mut self.envelope {
                        envelope.recipients.push(Accepted {
                            rcpt,
                            targets,
                            quarantined,
                            added: false,
                        });
                    }
                    machine.accept();
                }
                Err(rejection) => {
                    self.shared
                        .metrics
                        .recipients_refused
                        .of(self.listener.protocol)
                        .count();
                    self.tell_refused(&rcpt, &rejection);
                    machine.delay_reply(self.shared.config.limits.refusal_delay);
                    self.refuse(machine, rejection);
                }
            },
            Event::Data => {
                self.begin_message(machine);
                machine.accept();
            }
            Event::Body(data) => {
                if let Some(intake) = &mut self.intake
                    && let Err(error) = intake.write(&self.shared.store, data).await
                {
                    tracing::error!(peer = %self.peer, "a message cannot be stored: {error}");
                    self.intake = None;
                    machine.refuse_message(of_store(&error));
                }
            }
            Event::Message { .. } => self.end_message(machine).await,
            Event::Aborted(why) => {
                tracing::debug!(peer = %self.peer, ?why, "transaction aborted");
                self.envelope = None;
                self.intake = None;
            }
            // An event this service does not know cannot be a question: the configuration switches those on.
            other => tracing::debug!(peer = %self.peer, ?other, "not handled"),
        }
    }

    fn visit(&self) -> Visit {
        Visit::new(self.peer.ip(), Service::Smtp)
    }

    /// In which everything is logged that happens to the message under way.
    fn span(&self) -> tracing::Span {
        match &self.envelope {
            Some(envelope) => tracing::info_span!("message", id = envelope.id),
            None => tracing::Span::none(),
        }
    }

    fn count(&self, event: &Event) {
        if !matches!(event, Event::Connect | Event::Body(_) | Event::Aborted(_)) {
            self.shared.metrics.commands.of(self.listener.protocol).count();
        }
    }

    /// Counts and puts down that a message is not taken.
    fn refused(&self, id: &str, rejection: &Rejection) {
        self.count_message(Fate::of(rejection));
        self.tell(id, || What::Refused {
            reply: rejection.to_string(),
        });
    }

    /// Counts what became of a message.
    fn count_message(&self, fate: Fate) {
        self.shared
            .metrics
            .messages
            .of(self.listener.protocol)
            .of(fate)
            .count();
    }

    /// Whether mail may come from a sender, and what filters want done with it if so.
    async fn take_sender(&mut self, machine: &Server, mail: &Mail) -> Result<Action, Rejection> {
        self.judge_sender(mail)?;
        self.filter_sender(machine, mail).await
    }

    /// Where the mail of a recipient goes, if it may and there is room for it, and whether it goes into Junk there.
    async fn take_recipient(&mut self, machine: &Server, rcpt: &Rcpt) -> Result<(Targets, bool), Rejection> {
        let targets = self.judge_recipient(rcpt)?;
        let declared = self.envelope.as_ref().and_then(|it| it.mail.params.size);
        let shared = Arc::clone(&self.shared);
        let targets = policy::judge_room(&shared, targets, declared).await?;
        let quarantined = self.filter_recipient(machine, rcpt).await?;
        Ok((targets, quarantined))
    }

    /// Greets a client, once it is known who it is and that it can wait.
    async fn greet(&mut self, machine: &mut Server) {
        let (proxy, xclient) = (machine.session().proxy(), machine.session().xclient());
        let addresses = proxy.and_then(|header| header.addresses);
        if let Some(addresses) = addresses {
            self.peer = addresses.source;
        }
        let smtp = &self.listener.smtp;
        // Who speaks for others does so for the whole connection: trust is in who connected.
        let again = std::mem::replace(&mut self.greeted, true);
        if again {
            if let Some(address) = xclient.addr.as_ref().and_then(|address| address.known()) {
                self.peer.set_ip(*address);
            }
            if let Some(port) = xclient.port.as_ref().and_then(|port| port.known()) {
                self.peer.set_port(*port);
            }
        } else {
            let trusts = |networks: &[Network]| networks.iter().any(|n| n.contains(self.peer.ip()));
            let mut offered = machine.session().offered();
            offered.xclient = trusts(&smtp.xclient);
            offered.xforward = trusts(&smtp.xforward);
            machine.set_extensions(offered);
        }
        // Where nobody stands in between, it was counted before it was greeted.
        if (addresses.is_some() || again) && !self.pass.comes_from(self.peer.ip()) {
            let full = Rejection::new(421, EnhancedCode::new(4, 7, 0), "Too many connections");
            let full = full.expect("4xx and 4.x.x belong together");
            return self.turn_away(machine, Door::Full, full);
        }
        if machine.session().spoke_early() {
            let early = Rejection::new(554, EnhancedCode::new(5, 5, 1), "You spoke before the greeting");
            let early = early.expect("5xx and 5.x.x belong together");
            return self.turn_away(machine, Door::Refused, early);
        }
        match self.filter_connection(machine).await {
            Ok(()) => machine.accept(),
            Err(rejection) => self.turn_away(machine, Door::of(&rejection), rejection),
        }
    }

    /// Refuses a client in place of its greeting.
    fn turn_away(&self, machine: &mut Server, why: Door, rejection: Rejection) {
        self.shared
            .metrics
            .turned_away
            .of(self.listener.protocol)
            .of(why)
            .count();
        self.tell_turned_away(&rejection);
        self.refuse(machine, rejection);
    }

    /// Says whether an address is one of ours (RFC 5321 §3.5).
    fn verify(&self, machine: &mut Server, name: &str) {
        let name = name.trim_matches(['<', '>']);
        let here = self.shared.config.domains.first();
        let address = EmailAddress::parse(name)
            .ok()
            .or_else(|| EmailAddress::parse(&format!("{name}@{}", here?)).ok());
        match address.as_ref().map(|address| self.shared.destination(address)) {
            Some(Destination::Here(_)) => {
                let mailbox = address.map_or_else(String::new, |a| format!("<{a}>"));
                machine.accept_with(&mailbox);
            }
            Some(Destination::Elsewhere) => machine.accept(),
            Some(Destination::Disabled) => machine.reject(policy::disabled()),
            Some(Destination::Nobody) | None => machine.reject(Rejection::NO_SUCH_USER),
        }
    }

    fn refuse(&self, machine: &mut Server, rejection: Rejection) {
        tracing::info!(peer = %self.peer, listener = self.listener.name, "refused: {rejection}");
        machine.reject(rejection);
    }

    fn begin_message(&mut self, machine: &Server) {
        let Some(envelope) = &self.envelope else { return };
        let hello = machine.session().hello().map(|hello| hello.name().to_owned());
        let trace = Trace {
            hello,
            peer: self.peer.ip(),
            by: self.shared.config.hostname.as_str().to_owned(),
            with: machine.transmission_type(),
            tls: self.tls.clone(),
            date: DateTime::new(unix_now(), 0),
        };
        let date = u64::try_from(unix_now()).ok();
        let date = date.and_then(smtp::futurerelease::DateTime::from_unix);
        let additions = date
            .filter(|_| self.listener.protocol == Protocol::Submission)
            .map(|date| {
                let host = Host::Domain(self.shared.config.hostname.clone());
                Additions::new(date, entropy(), host)
            });
        let tap = self.tap(machine, envelope);
        let store = &self.shared.store;
        self.intake = Some(Intake::new(store, envelope, &trace, additions, tap));
    }

    /// Stores the message, and says so only when it is durable.
    async fn end_message(&mut self, machine: &mut Server) {
        let (envelope, intake) = (self.envelope.take(), self.intake.take());
        let (Some(envelope), Some(intake)) = (envelope, intake) else {
            return answer_all(machine, &Err(Rejection::TRY_AGAIN));
        };
        let id = envelope.id.clone();
        let (envelope, received) = match self.take_message(machine, envelope, intake).await {
            Ok(taken) => taken,
            Err(Some(rejection)) => {
                self.refused(&id, &rejection);
                tracing::info!(%id, peer = %self.peer, "message refused: {rejection}");
                return answer_all(machine, &Err(rejection));
            }
            // What is thrown away looks as if it had been taken.
            Err(None) => {
                self.count_message(Fate::Discarded);
                return answer_all(machine, &Ok(format!("OK, {id}")));
            }
        };
        let all: Vec<&Accepted> = envelope.recipients.iter().collect();
        let mut stored = self.store(&envelope, &all, &received, Room::ForAll).await;
        if let Err(rejection) = &stored
            && *rejection == self.shared.over_quota()
            && machine.owed() == 1
            && all.len() > 1
        {
            // Each had room when it was named: nobody goes without the message because it fills the mailbox of another.
            let room = Room::Before(received.size);
            stored = self.store(&envelope, &all, &received, room).await;
        }
        if let Err(rejection) = &stored
            && machine.owed() > 1
        {
            // RFC 2033 §4.2: one recipient's failure is not another's.
            tracing::info!(id = %envelope.id, "storing one by one: {rejection}");
            for accepted in &envelope.recipients {
                let stored = self.store(&envelope, &[accepted], &received, Room::ForAll).await;
                match stored {
                    Err(why) if accepted.added => {
                        tracing::warn!(id = %envelope.id, recipient = %accepted.rcpt.path, "not stored: {why}");
                    }
                    Ok(()) if accepted.added => {}
                    Ok(()) => machine.accept_with(&format!("OK, {}", envelope.id)),
                    Err(rejection) => {
                        self.refused(&envelope.id, &rejection);
                        machine.reject(rejection);
                    }
                }
            }
            return;
        }
        if let Err(rejection) = &stored {
            self.refused(&envelope.id, rejection);
        }
        answer_all(machine, &stored.map(|()| format!("OK, {}", envelope.id)));
    }

    /// Puts the message into mailboxes and spool in one commit.
    async fn store(
        &mut self,
        envelope: &Envelope,
        recipients: &[&Accepted],
        received: &intake::Received,
        room: Room,
    ) -> Result<(), Rejection> {
        let (spooled, rest) = loop {
            let outcome = envelope
                .batch(&self.shared, recipients, received, self.account.as_ref(), room)
                .await
                .map_err(|error| self.of_commit(envelope, &error))?;
            if let Some(why) = &outcome.refused {
                tracing::info!(id = %envelope.id, peer = %self.peer, "message refused: {why}");
                return Err(of_stop(why));
            }
            let spooled = batch::spools(&outcome.prepared.batch);
            let committed = self.shared.commit_prepared(outcome.prepared).await;
            if let Some(rest) = committed.map_err(|error| self.of_commit(envelope, &error))? {
                break (spooled, rest);
            }
        };
        if spooled {
            self.shared.spooled.notify_one();
        }
        let metrics = &self.shared.metrics;
        self.count_message(Fate::Accepted);
        metrics.octets.of(self.listener.protocol).add(received.size);
        self.tell_taken(envelope, recipients, received, &rest);
        self.shared.delivered(rest).await;
        self.shared.judge.taken(&envelope.id);
        tracing::info!(
            id = %envelope.id,
            peer = %self.peer,
            from = %envelope.mail.path,
            recipients = recipients.len(),
            size = received.size,
            "message taken"
        );
        Ok(())
    }

    fn of_commit(&self, envelope: &Envelope, error: &CommitError) -> Rejection {
        if let CommitError::OverQuota { account } = error {
            tracing::info!(id = %envelope.id, peer = %self.peer, "{account} is over its quota");
            return self.shared.over_quota();
        }
        tracing::error!(id = %envelope.id, peer = %self.peer, "a message cannot be stored: {error}");
        match error {
            CommitError::Full => Rejection::NO_STORAGE,
            // A mailbox that went away in between is looked up again when the peer comes back.
            _ => Rejection::TRY_AGAIN,
        }
    }
}

/// Gives every answer that is owed for a message.
fn answer_all(machine: &mut Server, answer: &Result<String, Rejection>) {
    while machine.owed() > 0 {
        match answer {
            Ok(text) => machine.accept_with(text),
            Err(rejection) => machine.reject(rejection.clone()),
        }
    }
}

fn of_stop(why: &Stop) -> Rejection {
    let (code, text) = match why {
        Stop::Loop => (EnhancedCode::new(5, 4, 6), why.to_string()),
        Stop::NotAllowed => (EnhancedCode::new(5, 7, 2), why.to_string()),
        Stop::Rule(text) => (EnhancedCode::new(5, 7, 1), text.clone()),
    };
    let clean = |c: char| if c.is_ascii_graphic() { c } else { ' ' };
    let text: String = text.chars().take(200).map(clean).collect();
    Rejection::new(550, code, text.trim()).unwrap_or(Rejection::POLICY)
}

fn of_store(error: &StoreError) -> Rejection {
    match error {
        StoreError::Full => Rejection::NO_STORAGE,
        _ => Rejection::TRY_AGAIN,
    }
}
