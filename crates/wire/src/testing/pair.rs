use crate::{Machine, Step};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Two machines joined in memory, with simulated time.
///
/// Each direction is a pipe that holds `capacity` octets: with a small one, both sides feel back-pressure
/// as over a slow network. Time stands still while anything can happen, then jumps to the next deadline.
#[derive(Debug)]
pub struct Pair<A: Machine, B: Machine> {
    a: Side<A>,
    b: Side<B>,
    now: Instant,
    started: Instant,
    capacity: usize,
}

/// What a machine of a [`Pair`] wants from its embedder.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums)] // mirrors the steps that concern the embedder
pub enum Turn<E, R> {
    /// Something happened.
    Event(E),
    /// The last question has to be answered.
    Answer,
    /// Both sides asked for TLS; call `tls_started`.
    TlsStarted,
    /// The machine is done.
    Closed,
    /// The machine failed.
    Failed(R),
}

/// Neither machine can go on, and neither has a deadline: a deadlock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stuck;

#[derive(Debug)]
struct Side<M> {
    machine: M,
    /// Octets on their way to this side.
    inbox: VecDeque<u8>,
    state: SideState,
    told_eof: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SideState {
    Running,
    WantsTls,
    Done,
}

impl<A: Machine, B: Machine> Pair<A, B> {
    /// Joins `a` and `b`, both made at the time `now`, by pipes of `capacity` octets (at least 1).
    pub fn new(a: A, b: B, now: Instant, capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self {
            a: Side::new(a),
            b: Side::new(b),
            now,
            started: now,
            capacity,
        }
    }

    /// Runs both machines until both are done; returns the simulated time that passed.
    ///
    /// # Errors
    ///
    /// [`Stuck`] if both wait for each other for ever.
    ///
    /// # Panics
    ///
    /// Panics if a machine or its embedder turns in circles.
    pub fn run(
        &mut self,
        mut on_a: impl FnMut(&mut A, Turn<A::Event, A::Error>),
        mut on_b: impl FnMut(&mut B, Turn<B::Event, B::Error>),
    ) -> Result<Duration, Stuck> {
        for _ in 0..10_000_000 {
            let moved = self.a.turn(&mut self.b, self.now, self.capacity, &mut on_a)
                | self.b.turn(&mut self.a, self.now, self.capacity, &mut on_b);
            if moved {
                continue;
            }
            match (self.a.state, self.b.state) {
                (SideState::Done, SideState::Done) => return Ok(self.now - self.started),
                (SideState::WantsTls, SideState::WantsTls) => {
                    // What either sent in the clear behind its last word went into the handshake.
                    self.a.start_tls(&mut on_a);
                    self.b.start_tls(&mut on_b);
                }
                _ => self.now = self.next_deadline().ok_or(Stuck)?,
            }
        }
        panic!("the machines turn in circles");
    }

    /// The simulated time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Both machines, for a last look.
    pub fn into_parts(self) -> (A, B) {
        (self.a.machine, self.b.machine)
    }

    fn next_deadline(&self) -> Option<Instant> {
        let of_a = (self.a.state == SideState::Running)
            .then(|| self.a.machine.deadline())
            .flatten();
        let of_b = (self.b.state == SideState::Running)
            .then(|| self.b.machine.deadline())
            .flatten();
        of_a.into_iter().chain(of_b).min().filter(|at| *at > self.now)
    }
}

impl<M: Machine> Side<M> {
    fn new(machine: M) -> Self {
        Self {
            machine,
            inbox: VecDeque::new(),
            state: SideState::Running,
            told_eof: false,
        }
    }

    /// One poll and what it asks for; returns whether anything moved.
    fn turn<N>(
        &mut self,
        peer: &mut Side<N>,
        now: Instant,
        capacity: usize,
        on: &mut impl FnMut(&mut M, Turn<M::Event, M::Error>),
    ) -> bool {
        if self.state != SideState::Running {
            return false;
        }
        match self.machine.poll(now) {
            Ok(Step::Event(event)) => on(&mut self.machine, Turn::Event(event)),
            Ok(Step::Answer) => on(&mut self.machine, Turn::Answer),
            Ok(Step::Read) => return self.read(peer),
            Ok(Step::Write) => {
                let data = self.machine.send_buf();
                // A peer that is gone takes everything, as a closed socket would.
                let room = match peer.state {
                    SideState::Done => data.len(),
                    _ => (capacity - peer.inbox.len()).min(data.len()),
                };
                if peer.state != SideState::Done {
                    peer.inbox.extend(&data[..room]);
                }
                self.machine.sent(room);
                // While the pipe is full, take what the peer sends: both may have much to say.
                return room > 0 || (!self.inbox.is_empty() && self.read(peer));
            }
            Ok(Step::StartTls) => self.state = SideState::WantsTls,
            Ok(Step::Close) => {
                self.state = SideState::Done;
                on(&mut self.machine, Turn::Closed);
            }
            Err(error) => {
                self.state = SideState::Done;
                on(&mut self.machine, Turn::Failed(error));
            }
        }
        true
    }

    fn read<N>(&mut self, peer: &Side<N>) -> bool {
        if self.inbox.is_empty() {
            let eof = peer.state == SideState::Done && !self.told_eof;
            if eof {
                self.told_eof = true;
                self.machine.received(0);
            }
            return eof;
        }
        let room = self.machine.recv_buf();
        let n = room.len().min(self.inbox.len());
        for (slot, octet) in room.iter_mut().zip(self.inbox.drain(..n)) {
            *slot = octet;
        }
        if n > 0 {
            self.machine.received(n);
        }
        n > 0
    }

    fn start_tls(&mut self, on: &mut impl FnMut(&mut M, Turn<M::Event, M::Error>)) {
        self.inbox.clear();
        self.state = SideState::Running;
        on(&mut self.machine, Turn::TlsStarted);
    }
}
