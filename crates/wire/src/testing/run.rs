use super::{Fixture, Seen};
use crate::{Machine, Step};
use std::collections::VecDeque;
use std::fmt::Display;
use std::time::{Duration, Instant};

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // mirrors what `poll` can end with
pub enum End {
    /// The machine waits for more input.
    Open,
    /// The machine said [`Step::Close`].
    Closed,
    /// The machine failed with this error text.
    Failed(String),
}

/// What a machine waits for when it has nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    Input,
    Tls,
    Nothing,
}

/// One machine, driven by hand.
pub(super) struct Run<F: Fixture> {
    fixture: F,
    machine: F::Machine,
    now: Instant,
    log: Vec<Seen>,
    sent: Vec<u8>,
    end: End,
    /// How many octets a write takes at the most.
    write_size: usize,
}

/// More steps than this without new input, and the machine turns in circles.
const MOST_STEPS: usize = 1_000_000;

impl<F: Fixture> Run<F>
where
    <F::Machine as Machine>::Error: Display,
{
    pub(super) fn start(mut fixture: F, write_size: usize) -> Self {
        let now = fixture.origin();
        let machine = fixture.start(now);
        Self {
            fixture,
            machine,
            now,
            log: vec![],
            sent: vec![],
            end: End::Open,
            write_size,
        }
    }

    /// Lets the machine work until it waits for something the test has to give.
    pub(super) fn pump(&mut self, answers: &mut VecDeque<&str>) -> Waits {
        if self.end != End::Open {
            return Waits::Nothing;
        }
        for _ in 0..MOST_STEPS {
            match self.machine.poll(self.now) {
                Ok(Step::Event(event)) => {
                    let seen = self.fixture.event(&mut self.machine, event);
                    self.note(seen);
                }
                Ok(Step::Write) => {
                    let data = self.machine.send_buf();
                    assert!(!data.is_empty(), "Step::Write without output");
                    let n = data.len().min(self.write_size);
                    self.sent.extend_from_slice(&data[..n]);
                    self.machine.sent(n);
                }
                Ok(Step::Answer) => match answers.pop_front() {
                    Some(text) => self.fixture.answer(&mut self.machine, text),
                    None => self.fixture.default_answer(&mut self.machine),
                },
                Ok(step) => {
                    assert!(
                        self.machine.send_buf().is_empty(),
                        "output is pending at this step"
                    );
                    match step {
                        Step::Read => return Waits::Input,
                        Step::StartTls => return Waits::Tls,
                        _ => self.end = End::Closed,
                    }
                    return Waits::Nothing;
                }
                Err(error) => {
                    let text = error.to_string();
                    let again = self.machine.poll(self.now).err().map(|e| e.to_string());
                    assert_eq!(again.as_ref(), Some(&text), "errors are sticky");
                    self.end = End::Failed(text);
                    return Waits::Nothing;
                }
            }
        }
        panic!("the machine makes no progress: {MOST_STEPS} steps without input");
    }

    /// Gives the machine `input`, in pieces of at most the sizes that `cut` says.
    pub(super) fn feed(
        &mut self,
        mut input: &[u8],
        cut: &mut dyn FnMut() -> usize,
        answers: &mut VecDeque<&str>,
    ) {
        while self.pump(answers) == Waits::Input && !input.is_empty() {
            let room = self.machine.recv_buf();
            assert!(!room.is_empty(), "Step::Read without room");
            let n = cut().max(1).min(room.len()).min(input.len());
            room[..n].copy_from_slice(&input[..n]);
            self.machine.received(n);
            input = &input[n..];
        }
        // What is left was sent in the clear before a handshake, or to a closed connection.
        self.pump(answers);
    }

    pub(super) fn end_of_input(&mut self, answers: &mut VecDeque<&str>) {
        if self.pump(answers) == Waits::Input {
            self.machine.received(0);
            self.pump(answers);
        }
    }

    pub(super) fn wait(&mut self, time: Duration, answers: &mut VecDeque<&str>) {
        self.now += time;
        self.pump(answers);
    }

    /// Does the handshake if the machine asked for it, and says whether it had.
    pub(super) fn tls(&mut self, answers: &mut VecDeque<&str>) -> bool {
        let asked = self.pump(answers) == Waits::Tls;
        if asked {
            self.fixture.tls_started(&mut self.machine);
            self.pump(answers);
        }
        asked
    }

    pub(super) fn act(&mut self, text: &str, answers: &mut VecDeque<&str>) {
        self.fixture.answer(&mut self.machine, text);
        self.pump(answers);
    }

    pub(super) fn end(&self) -> &End {
        &self.end
    }

    /// Takes what was sent since the last call.
    pub(super) fn take_sent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.sent)
    }

    /// Takes the events since the last call, each as one line.
    pub(super) fn take_log(&mut self) -> Vec<String> {
        let line = |seen| match seen {
            Seen::Line(line) => line,
            Seen::Body(body) => format!("body \"{}\"", body.escape_ascii()),
        };
        self.log.drain(..).map(line).collect()
    }

    fn note(&mut self, seen: Seen) {
        match (self.log.last_mut(), seen) {
            (Some(Seen::Body(joined)), Seen::Body(more)) => *joined = [&joined[..], &more].concat().into(),
            (_, seen) => self.log.push(seen),
        }
    }
}
