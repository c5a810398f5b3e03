//! The test tools themselves, tried on a small machine that echoes lines.
#![cfg(feature = "testing")]

use bytes::Bytes;
use mailwright_wire::testing::{
    End, Fixture, Input, Pair, Role, Seen, Stuck, Turn, every_fragmentation, run_transcript,
};
use mailwright_wire::{LineFramer, Machine, RecvBuf, SendBuf, Step};
use std::time::{Duration, Instant};

/// Echoes lines; `ASK` is a question, `TLS` asks for the handshake, `QUIT` closes.
struct Echo {
    rx: RecvBuf,
    tx: SendBuf,
    framer: LineFramer,
    state: State,
    deadline: Instant,
    /// Breaks the fragmentation property on purpose.
    leaky: bool,
    /// Listens only.
    quiet: bool,
    /// Has no deadline.
    timeless: bool,
}

#[derive(PartialEq)]
enum State {
    Open,
    Asked,
    Tls,
    Closing,
    Late,
}

impl Echo {
    fn new(now: Instant) -> Self {
        let mut tx = SendBuf::new();
        tx.put(b"hello\r\n");
        let deadline = now + Duration::from_secs(60);
        Self {
            rx: RecvBuf::new(64),
            tx,
            framer: LineFramer::new(32),
            state: State::Open,
            deadline,
            leaky: false,
            quiet: false,
            timeless: false,
        }
    }

    fn answer(&mut self, text: &str) {
        self.tx.put(text.as_bytes());
        self.tx.put(b"\r\n");
        if self.state == State::Asked {
            self.state = State::Open;
        }
    }
}

impl Machine for Echo {
    type Event = Bytes;
    type Error = &'static str;

    fn poll(&mut self, now: Instant) -> Result<Step<Bytes>, &'static str> {
        if now >= self.deadline && self.state != State::Late {
            self.state = State::Late;
            self.tx.put(b"too late\r\n");
        }
        while self.state == State::Open {
            let piece = if self.leaky { self.rx.data().len() } else { 0 };
            match self.framer.next(&mut self.rx) {
                Err(_) => self.tx.put(b"too long\r\n"),
                Ok(None) => break,
                Ok(Some(line)) => {
                    match &line.data[..] {
                        b"ASK" => self.state = State::Asked,
                        b"QUIT" => self.state = State::Closing,
                        b"TLS" => {
                            self.rx.clear();
                            self.framer.reset();
                            self.state = State::Tls;
                        }
                        _ if self.quiet => {}
                        _ => {
                            self.tx.put(&line.data);
                            self.tx.put(if piece > 6 { b"!\r\n" } else { b"\r\n" });
                        }
                    }
                    return Ok(Step::Event(line.data));
                }
            }
        }
        Ok(match self.state {
            _ if !self.tx.is_empty() => Step::Write,
            State::Asked => Step::Answer,
            State::Tls => Step::StartTls,
            State::Closing => Step::Close,
            State::Late => return Err("late"),
            State::Open if self.rx.is_eof() => return Err("gone"),
            State::Open => Step::Read,
        })
    }
    fn recv_buf(&mut self) -> &mut [u8] {
        self.rx.room()
    }
    fn received(&mut self, n: usize) {
        self.rx.received(n);
    }
    fn send_buf(&self) -> &[u8] {
        self.tx.data()
    }
    fn sent(&mut self, n: usize) {
        self.tx.sent(n);
    }
    fn deadline(&self) -> Option<Instant> {
        (!self.timeless).then_some(self.deadline)
    }
}

#[derive(Default)]
struct Plain {
    leaky: bool,
}

impl Fixture for Plain {
    type Machine = Echo;

    fn origin(&self) -> Instant {
        clock()
    }

    fn start(&mut self, now: Instant) -> Echo {
        Echo {
            leaky: self.leaky,
            ..Echo::new(now)
        }
    }
    fn event(&mut self, _: &mut Echo, event: Bytes) -> Seen {
        match event.strip_prefix(b"body ") {
            Some(body) => Seen::Body(Bytes::copy_from_slice(body)),
            None => Seen::Line(format!("line {}", event.escape_ascii())),
        }
    }
    fn answer(&mut self, machine: &mut Echo, text: &str) {
        machine.answer(text);
    }
    fn default_answer(&mut self, machine: &mut Echo) {
        machine.answer("default");
    }
    fn tls_started(&mut self, machine: &mut Echo) {
        machine.state = State::Open;
    }
}

const SESSION: &str = r"
S: hello
C: a\0\x41\tz
C: ASK
C: ASK
E: line a\x00A\tz
E: line ASK
E: line ASK
A: forty-two
S: a\0A\tz
S: forty-two
S: default
C: body one
C: body two
E: body \x22onetwo\x22
S: body one
S: body two
C: TLS
C: dropped
E: line TLS
TLS:
DO: notice
S: notice
C: no end\
C: , it goes on
E: line no end, it goes on
S: no end, it goes on
T: 1m
S: too late
END: error late
";

#[test]
fn a_whole_session() {
    let session = SESSION.replace("\\x22", "\"");
    run_transcript(Role::Server, &session, Plain::default);
}

fn fails(text: &str) -> bool {
    let text = text.to_owned();
    std::panic::catch_unwind(|| run_transcript(Role::Server, &text, Plain::default)).is_err()
}

#[test]
fn a_transcript_that_is_wrong_fails() {
    assert!(!fails("S: hello\nC: QUIT\nEND: close"));
    for wrong in [
        "S: hallo",
        "S: hello\nC: x\nS: y",
        "S: hello\nC: x\nE: line y\nS: x",
        "S: hello\nC: x\nS: x\nEND: close",
        "S: hello\nC: x\nA: never asked\nS: x",
        "S: hello\nTLS:",
        "S: hello\nEOF:\nEND: error other",
        "S: hello\nX: what",
        "S: hello\nC: \\q",
    ] {
        assert!(fails(wrong), "{wrong:?} passed");
    }
    // A client's transcript expects the client to speak.
    assert!(std::panic::catch_unwind(|| run_transcript(Role::Client, "S: hello", Plain::default)).is_err());
}

#[test]
fn fragmentation_is_checked() {
    let input = [
        Input::Bytes(b"one\r\ntwo\r\n012345678901234567890123456789012\r\nQUIT\r\n".to_vec()),
        Input::Eof,
    ];
    let trace = every_fragmentation(Plain::default, &input);
    assert_eq!(trace.sent, b"hello\r\none\r\ntwo\r\ntoo long\r\n");
    assert_eq!(trace.events, ["line one", "line two", "line QUIT"]);
    assert_eq!(trace.end, End::Closed);
    let leaky = std::panic::catch_unwind(|| every_fragmentation(|| Plain { leaky: true }, &input));
    assert!(
        leaky.is_err(),
        "a machine whose output depends on the pieces was not caught"
    );
}

/// Has fifty lines to say, and says goodbye when all came back.
fn talker(now: Instant) -> Echo {
    let mut talker = Echo {
        quiet: true,
        tx: SendBuf::new(),
        ..Echo::new(now)
    };
    for n in 0..50 {
        talker.tx.put(format!("echo {n}\r\n").as_bytes());
    }
    talker
}

#[test]
fn joined_machines_run_over_tiny_pipes() {
    for capacity in [1, 2, 7, 4096] {
        let now = clock();
        let mut echoes = 0;
        let took = Pair::new(talker(now), Echo::new(now), now, capacity).run(
            |a, turn| {
                let Turn::Event(_) = turn else { return };
                echoes += 1;
                // The greeting came first.
                if echoes == 51 {
                    a.tx.put(b"QUIT\r\n");
                    a.state = State::Closing;
                }
            },
            |_, turn| assert!(!matches!(turn, Turn::Failed(_))),
        );
        assert_eq!((took, echoes), (Ok(Duration::ZERO), 51), "capacity {capacity}");
    }
}

#[test]
fn time_jumps_to_deadlines_and_deadlocks_are_told() {
    let now = clock();
    let mut patient = Echo {
        quiet: true,
        ..Echo::new(now)
    };
    patient.deadline = now + Duration::from_secs(30);
    let mut ends = vec![];
    let took = Pair::new(patient, talker(now), now, 100).run(
        |_, turn| {
            if let Turn::Failed(error) = turn {
                ends.push(error);
            }
        },
        |b, turn| {
            if let Turn::Failed(error) = turn {
                assert_eq!(error, "gone");
                b.state = State::Closing;
            }
        },
    );
    assert_eq!((took, ends), (Ok(Duration::from_secs(30)), vec!["late"]));

    let endless = |mut echo: Echo| {
        echo.timeless = true;
        echo
    };
    let mute = Echo {
        quiet: true,
        ..Echo::new(now)
    };
    let stuck = Pair::new(endless(mute), endless(talker(now)), now, 100).run(|_, _| {}, |_, _| {});
    let stuck: Result<_, Stuck> = stuck;
    assert!(stuck.is_err());
}

#[test]
fn both_sides_start_tls_together() {
    let now = clock();
    let mut client = Echo {
        quiet: true,
        tx: SendBuf::new(),
        ..Echo::new(now)
    };
    client.tx.put(b"TLS\r\ninjected\r\n");
    let (mut secured, mut heard) = (0, vec![]);
    let took = Pair::new(client, Echo::new(now), now, 4096).run(
        |a, turn| match turn {
            Turn::Event(line) if line == "hello" => a.state = State::Tls,
            Turn::TlsStarted => {
                secured += 1;
                a.tx.put(b"QUIT\r\n");
                a.state = State::Closing;
            }
            _ => {}
        },
        |b, turn| match turn {
            Turn::Event(line) => heard.push(line),
            Turn::TlsStarted => b.state = State::Open,
            _ => {}
        },
    );
    assert_eq!((took, secured), (Ok(Duration::ZERO), 1));
    assert_eq!(heard, ["TLS", "QUIT"]);
}

/// Where simulated time starts.
#[allow(clippy::disallowed_methods)]
fn clock() -> Instant {
    Instant::now()
}
