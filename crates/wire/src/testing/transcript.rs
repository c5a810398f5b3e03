use super::Fixture;
use super::fragments::{Way, ways_to_cut};
use super::run::{End, Run};
use crate::Machine;
use std::collections::VecDeque;
use std::fmt::Display;
use std::time::Duration;

/// Which side of a transcript the machine under test plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // a conversation has two sides
pub enum Role {
    /// The machine says the `S:` lines.
    Server,
    /// The machine says the `C:` lines.
    Client,
}

/// Runs a transcript against a machine, cut in every way of [`every_fragmentation`](super::every_fragmentation).
///
/// A transcript is text; each line starts with what it is:
///
/// | line | meaning |
/// |---|---|
/// | `C: text`, `S: text` | the client or the server sends this line; CRLF is added |
/// | `E: text` | the machine reports this event; if a transcript has one such line, it must have them all |
/// | `A: text` | the answer to the next question; without one the fixture's default is given |
/// | `DO: text` | the embedder acts unasked: a notice, a command to a client engine |
/// | `T: 5m` | time passes (`s`, `m`, `h`) |
/// | `TLS:` | the machine asked for TLS, and the handshake happens |
/// | `EOF:` | the peer ends its side |
/// | `END: close`, `END: error text`, `END: open` | how the machine stands at the end |
/// | `# text` | a comment |
///
/// In sent lines `\r`, `\n`, `\t`, `\0`, `\xNN` and `\\` stand for octets, and a lone `\` at the end means
/// that no CRLF is added. The peer's lines up to the machine's next line arrive as one block.
///
/// # Panics
///
/// Panics with the line number where the machine did something else, or the transcript cannot be read.
pub fn run_transcript<F: Fixture>(role: Role, text: &str, mut fixture: impl FnMut() -> F)
where
    <F::Machine as Machine>::Error: Display,
{
    let script = Script::parse(role, text);
    let longest = script.groups.iter().map(|g| g.input.len()).max().unwrap_or(0);
    script.play(fixture(), Way::Every(usize::MAX));
    for way in ways_to_cut(longest) {
        script.play(fixture(), way);
    }
}

struct Script<'a> {
    groups: Vec<Group<'a>>,
    end: Option<(usize, End)>,
    has_events: bool,
}

/// One thing done to the machine, and all that it does about it.
#[derive(Default)]
struct Group<'a> {
    line: usize,
    cause: Cause<'a>,
    input: Vec<u8>,
    output: Vec<u8>,
    events: Vec<&'a str>,
    answers: Vec<&'a str>,
}

#[derive(Default, PartialEq)]
enum Cause<'a> {
    #[default]
    Start,
    Input,
    Act(&'a str),
    Wait(Duration),
    Tls,
    Eof,
}

impl<'a> Script<'a> {
    fn parse(role: Role, text: &'a str) -> Self {
        let (own, peer) = match role {
            Role::Server => ("S", "C"),
            Role::Client => ("C", "S"),
        };
        let mut script = Self {
            groups: vec![Group::default()],
            end: None,
            has_events: false,
        };
        for (number, line) in text.lines().enumerate().map(|(n, l)| (n + 1, l)) {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((kind, rest)) = line.split_once(':') else {
                panic!("line {number}: no directive in {line:?}")
            };
            assert!(script.end.is_none(), "line {number}: something behind END");
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            let groups = &mut script.groups;
            let begin = |groups: &mut Vec<Group<'a>>, cause| {
                groups.push(Group {
                    line: number,
                    cause,
                    ..Group::default()
                });
            };
            let last = groups.last_mut().expect("there is always a first group");
            match kind {
                "E" => {
                    last.events.push(rest);
                    script.has_events = true;
                }
                "A" => last.answers.push(rest),
                "DO" => begin(groups, Cause::Act(rest)),
                "T" => begin(groups, Cause::Wait(duration(rest, number))),
                "TLS" => begin(groups, Cause::Tls),
                "EOF" => begin(groups, Cause::Eof),
                "END" => script.end = Some((number, end(rest, number))),
                _ if kind == own => octets(rest, number, &mut last.output),
                _ if kind == peer => {
                    let fresh = last.cause != Cause::Input
                        || !(last.output.is_empty() && last.events.is_empty() && last.answers.is_empty());
                    if fresh {
                        begin(groups, Cause::Input);
                    }
                    let last = groups.last_mut().expect("there is always a first group");
                    octets(rest, number, &mut last.input);
                }
                _ => panic!("line {number}: unknown directive {kind:?}"),
            }
        }
        script
    }

    fn play<F: Fixture>(&self, fixture: F, way: Way)
    where
        <F::Machine as Machine>::Error: Display,
    {
        let (mut cut, write_size) = way.cutter();
        let mut run = Run::start(fixture, write_size);
        for group in &self.groups {
            let at = format!("line {} ({way:?})", group.line);
            let answers = &mut group.answers.iter().copied().collect::<VecDeque<_>>();
            match group.cause {
                Cause::Start => drop(run.pump(answers)),
                Cause::Input => run.feed(&group.input, &mut cut, answers),
                Cause::Act(text) => run.act(text, answers),
                Cause::Wait(time) => run.wait(time, answers),
                Cause::Tls => assert!(run.tls(answers), "{at}: the machine did not ask for TLS"),
                Cause::Eof => run.end_of_input(answers),
            }
            let sent = run.take_sent();
            assert!(
                sent == group.output,
                "{at}: sent\n  {}\ninstead of\n  {}\nevents: {:#?}\nend: {:?}",
                lines(&sent),
                lines(&group.output),
                run.take_log(),
                run.end(),
            );
            let events = run.take_log();
            if self.has_events {
                assert_eq!(events, group.events, "{at}: events");
            }
            assert!(
                answers.is_empty(),
                "{at}: nobody asked for the answers {answers:?}"
            );
        }
        if let Some((line, want)) = &self.end {
            assert_eq!(run.end(), want, "line {line} ({way:?})");
        }
    }
}

/// Appends the octets that a sent line stands for.
fn octets(text: &str, line: usize, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let Some((kind, tail)) = rest.split_first() else {
            return;
        };
        rest = tail;
        out.push(match kind {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let hex = rest.get(..2).and_then(|h| std::str::from_utf8(h).ok());
                rest = rest.get(2..).unwrap_or_default();
                hex.and_then(|h| u8::from_str_radix(h, 16).ok())
                    .unwrap_or_else(|| panic!("line {line}: \\x needs two hexadecimal digits"))
            }
            other => panic!("line {line}: unknown escape \\{}", other.escape_ascii()),
        });
    }
    out.extend_from_slice(b"\r\n");
}

fn duration(text: &str, line: usize) -> Duration {
    let (number, unit) = text.trim().split_at(text.trim().len().saturating_sub(1));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => panic!("line {line}: a time is a number and s, m or h"),
    };
    let number: u64 = number
        .parse()
        .unwrap_or_else(|_| panic!("line {line}: {number:?} is no number"));
    Duration::from_secs(number * seconds)
}

fn end(text: &str, line: usize) -> End {
    match (text.trim(), text.strip_prefix("error ")) {
        ("close", _) => End::Closed,
        ("open", _) => End::Open,
        (_, Some(error)) => End::Failed(error.to_owned()),
        _ => panic!("line {line}: END is close, open or error TEXT"),
    }
}

fn lines(data: &[u8]) -> String {
    data.escape_ascii().to_string().replace("\\r\\n", "\n  ")
}
