//! Fetching mail: POP3 over the INBOX of an account (RFC 1939)
//!
//! ```text
//!  Conn<pop3::Server> ─▶ Session ─ Auth ──▶ accounts
//!                           ├───── Open ──▶ the maildrop's lock, then a snapshot of INBOX
//!                           ├─ Retrieve ──▶ the blob of one message, piece by piece
//!                           └─── Update ──▶ ONE commit that expunges what was marked, and nothing else
//! ```
//!
//! A message's unique id is `UIDVALIDITY.UID`: it stays the same over sessions, is that of IMAP, and is never
//! given to another message. A client that is not in UTF-8 mode (RFC 6856) is given a header in ASCII in place of one
//! in UTF-8: see [`surrogate`].

mod surrogate;

use crate::accounts::{Grant, Visit};
use crate::clock::unix_now;
use crate::config::{ListenerConfig, Protocol, Service, TlsMode};
use crate::conn::{Conn, Turn};
use crate::maildrops::Lock;
use crate::metrics::{Login, Success};
use crate::random::entropy;
use crate::shared::Shared;
use crate::{Stream, delivery};
use bytes::Bytes;
use mailwright_mailbox::{
    Account, Batch, BlobRef, Fields, MailboxId, Op, Scan, Store, StoreError, Uid, UidSet, UidValidity,
};
use mailwright_pop3::server::{Config, Event};
use mailwright_pop3::{Expire, Language, Maildrop, Rejection, ResponseCode, Server};
use mailwright_sasl::{Failure, Identity, Mechanism, Question};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// Serves one POP3 connection until it ends.
pub(crate) async fn serve<S: Store>(
    shared: Arc<Shared<S>>,
    stream: Stream,
    peer: SocketAddr,
    listener: Arc<ListenerConfig>,
) {
    let mut machine = Server::new(
        machine_config(&shared, peer, &listener),
        entropy(),
        Instant::now(),
    );
    if stream.is_tls() {
        machine = machine.over_tls();
        machine.bind_channel(stream.channel_bindings());
        if knows(&shared, &stream) {
            machine.offer(Mechanism::External);
        }
    }
    let mut session = Session::new(shared.clone(), peer);
    session.certificate = certificate(&stream);
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
            Ok(Turn::Event(event)) => session.event(conn.machine(), event).await,
            // Every other question is answered where its event is handled.
            Ok(Turn::Answer) => session.next_piece(conn.machine()).await,
            Ok(Turn::StartTls) => {
                let dropped = conn.machine().dropped_plaintext();
                if dropped > 0 {
                    tracing::warn!(%peer, octets = dropped, "dropped plaintext behind STLS");
                }
                let shaken = conn.accept_tls(shared.tls.of_listener(&listener)).await;
                shared.metrics.handshakes.of(Success::of(&shaken)).count();
                conn = match shaken {
                    Ok(conn) => conn,
                    Err(error) => return tracing::debug!(%peer, "no TLS: {error}"),
                };
                let bindings = conn.stream().channel_bindings();
                conn.machine().tls_started();
                conn.machine().bind_channel(bindings);
                session.certificate = certificate(conn.stream());
                if knows(&shared, conn.stream()) {
                    conn.machine().offer(Mechanism::External);
                }
            }
            Ok(Turn::Close) => break,
            Err(error) => break tracing::debug!(%peer, "{error}"),
        }
    }
    // The next session of this account need not wait for this client to take its farewell.
    drop(session);
    conn.close().await;
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
    let mut config = Config::default();
    config.mechanisms = shared.accounts.mechanisms();
    config.greeting = format!("{} POP3 server ready", shared.config.hostname);
    config.implementation = Some("Mailwright".to_owned());
    config.stls = listener.tls == TlsMode::Starttls;
    config.allow_plaintext = shared.config.plaintext_login.allows(peer.ip());
    config.utf8 = true;
    config.languages = vec![Language::ENGLISH, Language::GERMAN];
    // Nothing here removes what its owner does not.
    config.expire = Some(Expire::Never);
    let delay = shared.config.limits.pop3_login_delay;
    config.login_delay = (!delay.is_zero()).then_some(delay);
    config.login_timeout = shared.config.limits.login_timeout;
    config.idle_timeout = shared.config.limits.pop3_timeout;
    config
}

/// What is known of one connection.
struct Session<S: Store> {
    shared: Arc<Shared<S>>,
    peer: SocketAddr,
    /// The name that the client last tried to log in with.
    username: String,
    /// The certificate that the client has shown.
    certificate: Option<Vec<u8>>,
    /// What the login gave.
    grant: Option<Grant>,
    opened: Option<Opened>,
    transfer: Option<Transfer>,
}

/// The maildrop of the session. Nobody else has it open.
struct Opened {
    account: Account,
    inbox: MailboxId,
    /// The UIDs of the messages in the order of their numbers.
    uids: Vec<Uid>,
    _lock: Lock,
}

/// A message on its way to the client.
struct Transfer {
    blob: BlobRef,
    at: u64,
    /// How much is read at a time.
    piece: u64,
    /// Whether the header may be UTF-8.
    utf8: bool,
}

impl Transfer {
    async fn piece<S: Store>(&mut self, store: &S) -> Result<Bytes, StoreError> {
        let range = self.at..self.blob.size().min(self.at + self.piece);
        let piece = store.read_blob(&self.blob, range).await?;
        self.at += piece.len() as u64;
        Ok(piece)
    }

    /// The header and what was read with it, in ASCII if it is UTF-8.
    async fn first_piece<S: Store>(&mut self, store: &S) -> Result<Bytes, StoreError> {
        let mut start = self.piece(store).await?;
        loop {
            if let Some(end) = surrogate::header_end(&start) {
                let (header, body) = start.split_at(end);
                return Ok(match surrogate::surrogate(header) {
                    Some(header) => [&header[..], body].concat().into(),
                    None => start,
                });
            }
            if start.len() >= surrogate::MAX_HEADER {
                return Ok(start);
            }
            let more = self.piece(store).await?;
            if more.is_empty() {
                return Ok(start);
            }
            start = [start, more].concat().into();
        }
    }
}

impl<S: Store> Session<S> {
    fn new(shared: Arc<Shared<S>>, peer: SocketAddr) -> Self {
        Self {
            shared,
            peer,
            username: String::new(),
            certificate: None,
            grant: None,
            opened: None,
            transfer: None,
        }
    }

    /// Handles an event. A question is answered when it returns, but for a message, which is given piece by
    /// piece.
    async fn event(&mut self, machine: &mut Server, event: Event) {
        self.shared.metrics.commands.of(Protocol::Pop3).count();
        match event {
            Event::Auth(question) => {
                question.username().clone_into(&mut self.username);
                machine.answer_auth(match &question {
                    Question::External { authzid } => {
                        let certificate = self.certificate.as_deref();
                        self.shared
                            .accounts
                            .answer_external(certificate, authzid.as_deref())
                    }
                    _ => self.shared.accounts.answer(question, self.visit()).await,
                });
            }
            Event::AuthFailed(failure) => {
                let result = match failure {
                    Failure::Unavailable => Login::Throttled,
                    _ => Login::Failed,
                };
                self.shared.metrics.login(Protocol::Pop3, result);
                tracing::info!(peer = %self.peer, user = ?self.username, "login refused: {failure}");
            }
            Event::Open(identity) => match self.open(&identity).await {
                Ok(maildrop) => {
                    self.shared.metrics.login(Protocol::Pop3, Login::Ok);
                    machine.open(maildrop);
                }
                Err(rejection) => machine.reject(rejection),
            },
            Event::Retrieve {
                message,
                body_lines,
                utf8,
                ..
            } => {
                self.transfer = match self.retrieve(message, body_lines, utf8).await {
                    Ok(transfer) => Some(transfer),
                    Err(rejection) => return machine.reject(rejection),
                };
            }
            Event::Update { deleted } => match self.update(&deleted).await {
                Ok(()) => machine.accept(),
                Err(rejection) => machine.reject(rejection),
            },
            _ => tracing::error!(peer = %self.peer, "an event of the client was not understood"),
        }
    }

    async fn open(&mut self, identity: &Identity) -> Result<Maildrop, Rejection> {
        let peer = self.peer;
        let grant = self.shared.accounts.grant(identity, self.visit());
        let Some(account) = self.shared.accounts.account(identity) else {
            // It was removed since its password was checked.
            return Err(Rejection::new(Some(ResponseCode::Auth), "no such account"));
        };
        let unavailable = |account: &Account, error: &dyn std::fmt::Display| {
            tracing::error!(%peer, %account, "the maildrop cannot be opened: {error}");
            Rejection::UNAVAILABLE
        };
        let store = &self.shared.store;
        let inbox = delivery::inbox(store, &account, self.shared.accounts.folders())
            .await
            .map_err(|error| unavailable(&account, &error))?;
        let delay = self.shared.config.limits.pop3_login_delay;
        if let Some(wait) = self.shared.maildrops.wait_for_login(inbox, delay) {
            tracing::info!(%peer, %account, "logins follow each other too fast");
            let text = format!("wait {} seconds before the next login", wait.as_secs() + 1);
            return Err(Rejection::new(Some(ResponseCode::LoginDelay), text));
        }
        let Some(lock) = self.shared.maildrops.lock(inbox).await else {
            tracing::info!(%peer, %account, "another session has the maildrop");
            return Err(Rejection::IN_USE);
        };
        let (maildrop, uids) = snapshot(store, inbox)
            .await
            .map_err(|error| unavailable(&account, &error))?;
        tracing::debug!(%peer, %account, messages = uids.len(), "maildrop opened");
        self.shared.maildrops.logged_in(inbox, delay);
        self.grant = grant;
        self.opened = Some(Opened {
            account,
            inbox,
            uids,
            _lock: lock,
        });
        Ok(maildrop)
    }

    fn visit(&self) -> Visit {
        Visit::new(self.peer.ip(), Service::Pop3)
    }

    async fn retrieve(
        &self,
        message: u32,
        body_lines: Option<u64>,
        utf8: bool,
    ) -> Result<Transfer, Rejection> {
        let (opened, uid) = self.message(message).ok_or(Rejection::NO_SUCH_MESSAGE)?;
        let scan = Scan::new(uid.into(), Fields::BLOB);
        let page = self.shared.store.scan(opened.inbox, scan).await;
        let page = page.map_err(|error| self.unreadable(opened, uid, &error))?;
        // An IMAP client may have expunged it since.
        let gone = || Rejection::new(None, "the message was removed by another program");
        let blob = page.messages.into_iter().next().and_then(|found| found.blob);
        Ok(Transfer {
            blob: blob.ok_or_else(gone)?,
            at: 0,
            piece: match body_lines {
                None => WHOLE_PIECE,
                Some(_) => TOP_PIECE,
            },
            utf8,
        })
    }

    /// Gives the client the next piece of the message it asked for.
    async fn next_piece(&mut self, machine: &mut Server) {
        let Some(transfer) = &mut self.transfer else {
            tracing::error!(peer = %self.peer, "a question of the client was left open");
            return machine.shutdown();
        };
        if transfer.at == transfer.blob.size() {
            self.transfer = None;
            return machine.message_end();
        }
        let store = &self.shared.store;
        let piece = match transfer.at == 0 && !transfer.utf8 {
            true => transfer.first_piece(store).await,
            false => transfer.piece(store).await,
        };
        match piece {
            Ok(piece) if !piece.is_empty() => {
                if !machine.message_chunk(piece) {
                    self.transfer = None;
                    machine.message_end();
                }
            }
            outcome => {
                let why = match outcome {
                    Ok(_) => "it is shorter than it should be".to_owned(),
                    Err(error) => error.to_string(),
                };
                tracing::error!(peer = %self.peer, user = ?self.username, "a message cannot be read: {why}");
                self.transfer = None;
                machine.message_abort();
            }
        }
    }

    async fn update(&self, deleted: &[u32]) -> Result<(), Rejection> {
        let Some(opened) = &self.opened else {
            return Err(Rejection::UNAVAILABLE);
        };
        let uids: UidSet = deleted
            .iter()
            .filter_map(|n| self.message(*n))
            .map(|(_, uid)| uid)
            .collect();
        let batch = Batch::new(unix_now()).with(Op::Expunge {
            mailbox: opened.inbox,
            uids,
            deleted_only: false,
        });
        match self.shared.commit(batch).await {
            Ok(_) => {
                let account = &opened.account;
                tracing::info!(peer = %self.peer, %account, messages = deleted.len(), "messages deleted");
                Ok(())
            }
            Err(error) => {
                let account = &opened.account;
                tracing::error!(peer = %self.peer, %account, "messages cannot be deleted: {error}");
                Err(Rejection::new(
                    Some(ResponseCode::SysTemp),
                    "the deleted messages were not removed",
                ))
            }
        }
    }

    /// The maildrop, and the UID of one of its messages.
    fn message(&self, number: u32) -> Option<(&Opened, Uid)> {
        let opened = self.opened.as_ref()?;
        let uid = opened.uids.get((number as usize).checked_sub(1)?)?;
        Some((opened, *uid))
    }

    fn unreadable(&self, opened: &Opened, uid: Uid, error: &StoreError) -> Rejection {
        let account = &opened.account;
        tracing::error!(peer = %self.peer, %account, %uid, "a message cannot be read: {error}");
        Rejection::UNAVAILABLE
    }
}

/// The messages of a mailbox as they are at this moment, with their UIDs in the same order.
async fn snapshot<S: Store>(store: &S, mailbox: MailboxId) -> Result<(Maildrop, Vec<Uid>), StoreError> {
    let state = store.snapshot(mailbox).await?;
    let mut maildrop = Maildrop::with_capacity(state.exists as usize);
    let mut uids = Vec::with_capacity(state.exists as usize);
    let mut scan = Some(Scan::all(Fields::SIZE));
    while let Some(wanted) = scan {
        let page = store.scan(mailbox, wanted.clone()).await?;
        for message in &page.messages {
            maildrop
                .push(message.size(), &unique_id(state.uid_validity, message.uid))
                .map_err(|error| StoreError::Corrupt(error.to_string()))?;
            uids.push(message.uid);
        }
        scan = wanted.after(&page);
    }
    Ok((maildrop, uids))
}

/// RFC 1939 §7: never given to another message, because a UID never is while UIDVALIDITY stays.
fn unique_id(validity: UidValidity, uid: Uid) -> String {
    format!("{validity}.{uid}")
}

/// How much of a message is read at a time, in octets.
const WHOLE_PIECE: u64 = 64 * 1024;

/// The same for TOP, which is done after a header in most cases.
const TOP_PIECE: u64 = 8 * 1024;
