use std::io::IoSlice;
use std::time::Instant;

/// What the caller of a [`Machine`] has to do next.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
// Callers must handle every step; a new one would be a new contract.
#[allow(clippy::exhaustive_enums)]
pub enum Step<E> {
    /// The peer did something. The event's own docs say whether an answer is owed.
    Event(E),
    /// The machine needs bytes, or its deadline. Never returned while output is pending.
    Read,
    /// Write some of [`Machine::send_buf`], report it with [`Machine::sent`], poll again.
    ///
    /// Reading at the same time is allowed, and keeps two talkative peers from blocking each other.
    Write,
    /// The last question is still unanswered; answer it with the machine's methods.
    Answer,
    /// Both buffers are empty: hand the transport to TLS, then call the machine's `tls_started`.
    StartTls,
    /// The conversation is over and all output was taken: close the transport.
    Close,
}

/// One end of a connection as a state machine without I/O.
///
/// Whatever woke the caller (bytes, a timer, an answer), it calls [`poll`](Machine::poll). There is no
/// order of calls to remember and no flush to forget. Not polling is back-pressure: the receive buffer
/// is bounded, and [`recv_buf`](Machine::recv_buf) becomes empty when it is full.
///
/// The property every implementation keeps: cutting the same input into pieces of any size gives the
/// same events (chunks of one body joined), the same output and the same error.
pub trait Machine {
    /// What the peer did, owning its data.
    type Event;
    /// Why the conversation cannot go on. Errors are sticky: later polls return the same one.
    type Error;

    /// Makes progress and says what is needed next. `now` must not go backwards.
    ///
    /// # Errors
    ///
    /// Fatal errors only, and after the farewell they caused was handed out as [`Step::Write`].
    fn poll(&mut self, now: Instant) -> Result<Step<Self::Event>, Self::Error>;

    /// The room for bytes from the peer. Empty when the buffer is full: poll first.
    fn recv_buf(&mut self) -> &mut [u8];

    /// Reports that `n` octets were written into [`recv_buf`](Machine::recv_buf); 0 is the end of input.
    ///
    /// # Panics
    ///
    /// Panics if `n` is larger than the room that was offered.
    fn received(&mut self, n: usize);

    /// The octets to send next: the front chunk of the output, empty when there is none.
    fn send_buf(&self) -> &[u8];

    /// Fills `chunks` with the front of the output for a vectored write; returns how many were filled.
    fn send_bufs<'a>(&'a self, chunks: &mut [IoSlice<'a>]) -> usize {
        match (chunks.first_mut(), self.send_buf()) {
            (Some(first), data) if !data.is_empty() => {
                *first = IoSlice::new(data);
                1
            }
            _ => 0,
        }
    }

    /// Reports that `n` octets of the output were sent.
    ///
    /// # Panics
    ///
    /// Panics if `n` is larger than the pending output.
    fn sent(&mut self, n: usize);

    /// When [`poll`](Machine::poll) must be called again even if nothing arrived.
    fn deadline(&self) -> Option<Instant>;
}

impl<M: Machine + ?Sized> Machine for &mut M {
    type Event = M::Event;
    type Error = M::Error;

    fn poll(&mut self, now: Instant) -> Result<Step<M::Event>, M::Error> {
        (**self).poll(now)
    }
    fn recv_buf(&mut self) -> &mut [u8] {
        (**self).recv_buf()
    }
    fn received(&mut self, n: usize) {
        (**self).received(n);
    }
    fn send_buf(&self) -> &[u8] {
        (**self).send_buf()
    }
    fn send_bufs<'a>(&'a self, chunks: &mut [IoSlice<'a>]) -> usize {
        (**self).send_bufs(chunks)
    }
    fn sent(&mut self, n: usize) {
        (**self).sent(n);
    }
    fn deadline(&self) -> Option<Instant> {
        (**self).deadline()
    }
}
