//! The driver of every connection: one [`Machine`] over one [`Stream`].
//!
//! ```text
//!             ┌───────────────── Conn ─────────────────┐
//!   socket ──▶│ read ─▶ recv_buf ─┐                     │
//!             │                   machine.poll ─▶ Turn ─┼─▶ service (SMTP, IMAP, POP3, a client)
//!   socket ◀──│ write ◀─ send_buf ┘                     │◀─ answers, by the machine's methods
//!             └─────────────────────────────────────────┘
//! ```
//!
//! Reading goes on while output waits for the peer, so two ends that both have much to say cannot block each
//! other. Not calling [`Conn::next`] is back-pressure.

use crate::Stream;
use crate::tls::Acceptor;
use mailwright_wire::{Machine, Step};
use rustls::pki_types::ServerName;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep_until};

/// One connection: a protocol machine and the transport it talks over.
///
/// The service that owns it calls [`next`](Conn::next), answers events by the methods of
/// [`machine`](Conn::machine), and ends with [`close`](Conn::close).
#[derive(Debug)]
pub struct Conn<M> {
    machine: M,
    stream: Stream,
    /// An octet that was read to learn that there is one, and has no room in the machine yet.
    held: Option<u8>,
    eof: bool,
    /// Octets were written into the transport that it may still hold back.
    unflushed: bool,
    /// Since when the peer has taken nothing of what waits for it.
    stalled: Option<Instant>,
    /// Since when output has waited for the peer without a break, and how many octets it has taken since.
    draining: Option<(Instant, u64)>,
    least_rate: u64,
    write_timeout: Duration,
    /// Made at the first deadline; may fire early, never late.
    timer: Option<Pin<Box<Sleep>>>,
}

/// What [`Conn::next`] came back with.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums)] // mirrors `Step`
pub enum Turn<E> {
    /// The peer did something; the event's docs say whether an answer is owed.
    Event(E),
    /// The last question is still unanswered, and all output so far was taken.
    Answer,
    /// Call [`Conn::accept_tls`] or [`Conn::connect_tls`], then the machine's `tls_started`.
    StartTls,
    /// The conversation is over: call [`Conn::close`].
    Close,
}

/// Why a connection ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnError<E> {
    /// The machine gave up: the peer broke the protocol or a limit, or was too slow. The peer was told.
    #[error("{0}")]
    Machine(E),
    /// The transport failed.
    #[error("connection lost: {0}")]
    Io(io::Error),
    /// The peer took nothing of the pending output for longer than the write timeout, or took it too slowly.
    #[error("the peer stopped reading")]
    Stalled,
}

/// What [`Conn::next`] gives.
pub type Next<M> = Result<Turn<<M as Machine>::Event>, ConnError<<M as Machine>::Error>>;

impl<M: Machine> Conn<M> {
    /// How long the peer may take nothing of the pending output, unless
    /// [`set_write_timeout`](Conn::set_write_timeout) says otherwise.
    pub const WRITE_TIMEOUT: Duration = Duration::from_secs(300);

    /// How long a TLS handshake may take.
    pub const TLS_TIMEOUT: Duration = Duration::from_secs(30);

    /// How long [`close`](Conn::close) waits for the peer to take the farewell.
    pub const LINGER: Duration = Duration::from_secs(2);

    /// Joins a machine with its transport.
    pub fn new(machine: M, stream: impl Into<Stream>) -> Self {
        Self {
            machine,
            stream: stream.into(),
            held: None,
            eof: false,
            unflushed: false,
            stalled: None,
            draining: None,
            least_rate: 0,
            write_timeout: Self::WRITE_TIMEOUT,
            timer: None,
        }
    }

    /// Drives the machine until it has something for the caller.
    ///
    /// Cancel-safe: dropping the future loses nothing, so it can stand in a `select!` next to a change feed
    /// or a shutdown signal.
    ///
    /// # Errors
    ///
    /// When the machine or the transport failed, or the peer stopped reading. Call [`close`](Conn::close) then
    /// as well: it gives a farewell the time to arrive.
    pub async fn next(&mut self) -> Next<M> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Becomes the server side of TLS, after [`Turn::StartTls`]. Call the machine's `tls_started` then.
    ///
    /// # Errors
    ///
    /// When the handshake fails or takes longer than [`TLS_TIMEOUT`](Conn::TLS_TIMEOUT). The connection is of
    /// no use then.
    pub async fn accept_tls(self, acceptor: impl Into<Acceptor>) -> io::Result<Self> {
        let stream = self.stream.accept_tls(acceptor, Self::TLS_TIMEOUT).await?;
        // An octet that came in the clear must not pass for one that came under TLS.
        Ok(Self {
            stream,
            held: None,
            ..self
        })
    }

    /// Becomes the client side of TLS, after [`Turn::StartTls`]. Call the machine's `tls_started` then.
    ///
    /// # Errors
    ///
    /// When the handshake fails or takes longer than [`TLS_TIMEOUT`](Conn::TLS_TIMEOUT). The connection is of
    /// no use then.
    pub async fn connect_tls(
        self,
        config: Arc<rustls::ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<Self> {
        let stream = self.stream.connect_tls(config, name, Self::TLS_TIMEOUT).await?;
        Ok(Self {
            stream,
            held: None,
            ..self
        })
    }

    /// Ends the connection in order: what the machine still has to say is sent, TLS says goodbye, and the
    /// peer gets a moment ([`LINGER`](Conn::LINGER)) to take it.
    pub async fn close(mut self) {
        if self.stalled.is_none() {
            let _ = tokio::time::timeout(Self::LINGER, poll_fn(|cx| self.poll_drain(cx))).await;
            self.stream.linger(Self::LINGER).await;
        }
    }

    /// The machine, to answer its questions.
    pub fn machine(&mut self) -> &mut M {
        &mut self.machine
    }

    /// The transport.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Sets how long the peer may take nothing of the pending output.
    pub fn set_write_timeout(&mut self, limit: Duration) {
        self.write_timeout = limit;
    }

    /// Sets how many octets a second the peer has to take of the pending output, on average since output began to wait
    /// and once the write timeout has passed; 0, as by default, for no such limit.
    pub fn set_write_rate(&mut self, least: u64) {
        self.least_rate = least;
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next<M>> {
        loop {
            // tokio's clock, so that tests may stop it.
            let now = tokio::time::Instant::now().into_std();
            let step = self.machine.poll(now).map_err(ConnError::Machine)?;
            let progress = match step {
                Step::Event(event) => return Poll::Ready(Ok(Turn::Event(event))),
                Step::Answer => return Poll::Ready(Ok(Turn::Answer)),
                Step::Write => {
                    let wrote = self.poll_send(cx).map_err(ConnError::Io)?.is_ready();
                    wrote || self.poll_fill(cx).map_err(ConnError::Io)?.is_ready()
                }
                Step::Read if self.eof => return Poll::Ready(Err(ConnError::Io(unexpected_end()))),
                Step::Read => {
                    // Below the machine, TLS may hold octets that the socket did not take.
                    let _ = self.poll_flush(cx).map_err(ConnError::Io)?;
                    self.poll_fill(cx).map_err(ConnError::Io)?.is_ready()
                }
                Step::StartTls | Step::Close => match self.poll_flush(cx).map_err(ConnError::Io)? {
                    Poll::Ready(()) if matches!(step, Step::StartTls) => {
                        return Poll::Ready(Ok(Turn::StartTls));
                    }
                    Poll::Ready(()) => return Poll::Ready(Ok(Turn::Close)),
                    Poll::Pending => false,
                },
            };
            if !progress {
                let stall_end = self.note_stall(now);
                if stall_end.is_some_and(|end| end <= now) {
                    return Poll::Ready(Err(ConnError::Stalled));
                }
                // A deadline that this poll has seen is the machine's past.
                let deadline = self.machine.deadline().filter(|deadline| *deadline > now);
                ready!(self.poll_timer(cx, deadline.into_iter().chain(stall_end).min()));
            }
        }
    }

    /// Writes some of the machine's output.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut slices = [IoSlice::new(&[]); 16];
        let filled = self.machine.send_bufs(&mut slices);
        let n = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &slices[..filled]))?;
        if n == 0 && filled > 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.machine.sent(n);
        self.unflushed = true;
        self.stalled = None;
        if let Some((_, taken)) = &mut self.draining {
            *taken += n as u64;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
            self.stalled = None;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads into the machine, which is asked for room only when there is something to put into it: an idle
    /// connection holds no buffer.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.eof {
            return Poll::Pending;
        }
        let mut taken = 0;
        if self.held.is_none() {
            match self.stream.poll_readable(cx) {
                Some(readable) => ready!(readable)?,
                None => {
                    let mut octet = [0];
                    if ready!(poll_read(&mut self.stream, cx, &mut octet))? == 0 {
                        return self.end_of_input();
                    }
                    self.held = Some(octet[0]);
                }
            }
        }
        let room = self.machine.recv_buf();
        if room.is_empty() {
            // The machine has enough to do; what wakes this task is room for its output.
            return Poll::Pending;
        }
        if let Some(octet) = self.held.take() {
            room[0] = octet;
            taken = 1;
        }
        let more = if taken < room.len() {
            match poll_read(&mut self.stream, cx, &mut room[taken..]) {
                Poll::Ready(Ok(n)) => n,
                Poll::Ready(Err(error)) if taken == 0 => return Poll::Ready(Err(error)),
                Poll::Pending if taken == 0 => return Poll::Pending,
                // The next read tells it again.
                Poll::Ready(Err(_)) | Poll::Pending => 0,
            }
        } else {
            0
        };
        if taken + more == 0 {
            return self.end_of_input();
        }
        self.machine.received(taken + more);
        Poll::Ready(Ok(()))
    }

    fn end_of_input(&mut self) -> Poll<io::Result<()>> {
        self.eof = true;
        self.machine.received(0);
        Poll::Ready(Ok(()))
    }

    /// Sends what the machine still has to say, and asks it nothing.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.machine.send_buf().is_empty() {
            ready!(self.poll_send(cx))?;
        }
        self.poll_flush(cx)
    }

    /// Starts the clock of a peer that takes nothing; returns when its time is over.
    fn note_stall(&mut self, now: Instant) -> Option<Instant> {
        let pending = self.unflushed || !self.machine.send_buf().is_empty();
        if !pending {
            (self.stalled, self.draining) = (None, None);
            return None;
        }
        let stall_end = *self.stalled.get_or_insert(now) + self.write_timeout;
        let (since, taken) = *self.draining.get_or_insert((now, 0));
        let earned = taken.checked_div(self.least_rate).map(Duration::from_secs);
        let slow_end = earned.and_then(|earned| since.checked_add(self.write_timeout)?.checked_add(earned));
        Some(slow_end.map_or(stall_end, |slow_end| slow_end.min(stall_end)))
    }

    /// Ready when `wanted` has come; registers the task with the timer before that.
    fn poll_timer(&mut self, cx: &mut Context<'_>, wanted: Option<Instant>) -> Poll<()> {
        let Some(wanted) = wanted else {
            return Poll::Pending;
        };
        let wanted = tokio::time::Instant::from_std(wanted);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(wanted)));
        loop {
            if timer.deadline() > wanted {
                timer.as_mut().reset(wanted);
            }
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= wanted {
                // Far enough away not to fire again before it is set for the next wish.
                timer.as_mut().reset(wanted + Duration::from_secs(86_400));
                return Poll::Ready(());
            }
            // It was set for a deadline that has moved since. Moving the timer with every command would cost more.
            timer.as_mut().reset(wanted);
        }
    }
}

fn poll_read(stream: &mut Stream, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
    let mut buf = ReadBuf::new(room);
    match ready!(Pin::new(stream).poll_read(cx, &mut buf)) {
        Ok(()) => Poll::Ready(Ok(buf.filled().len())),
        // TLS without a close_notify. The protocols have ends of their own, so nothing is cut off unseen.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(0)),
        Err(error) => Poll::Ready(Err(error)),
    }
}

fn unexpected_end() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed the connection")
}
