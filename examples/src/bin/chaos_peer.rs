//! A mail server that misbehaves by recipe, to see what a client makes of it.
//!
//! ```sh
//! cargo run -p mailwright-examples --bin chaos_peer -- 127.0.0.1:2525 'rcpt#2: reply 451 4.3.0 Busy' 'message: drop'
//! cargo run -p mailwright-examples --bin chaos_peer -- --recipe bad-day.txt
//! ```
//!
//! It speaks SMTP by hand, line by line: no engine of this project would say such things. `chaos_peer --help` tells
//! the stages and what can be done at them.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // an example brings sockets and threads

use clap::Parser;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// A mail server that misbehaves by recipe.
#[derive(Debug, Parser)]
#[command(name = "chaos_peer", version, after_help = HELP)]
struct Arguments {
    /// Where to listen; port 0 for any
    #[arg(default_value = "127.0.0.1:2525", value_name = "HOST:PORT")]
    address: String,

    /// What to do: STAGE: ACTION
    #[arg(value_name = "RULE")]
    rules: Vec<Rule>,

    /// A file with a rule in each line; empty lines and those that begin with # are left out
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
}

const HELP: &str = "\
Stages: connect, ehlo, mail, rcpt, data, body (in the middle of a message), message (its
end), rset, noop, quit, other. `rcpt#2` is the second RCPT of a connection.

Actions, in the order of the rules for a stage:
  delay SECONDS      wait, then go on
  reply TEXT         answer this, and nothing else; \\n in it begins another line
  twice              answer twice
  slow MILLISECONDS  answer octet by octet, with so much time between them
  lf                 end the lines of the answer with LF alone
  garbage OCTETS     send so many octets without a line end, then answer
  flood LINES        answer with so many lines
  silence            do not answer, and go on reading
  drop               close the connection instead of an answer
  half               close it in the middle of the answer";

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    stage: Stage,
    /// Which time, from 1 on; 0 for every time.
    nth: usize,
    action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connect,
    Ehlo,
    Mail,
    Rcpt,
    Data,
    Body,
    Message,
    Rset,
    Noop,
    Quit,
    Other,
}

const STAGES: [(&str, Stage); 11] = [
    ("connect", Stage::Connect),
    ("ehlo", Stage::Ehlo),
    ("mail", Stage::Mail),
    ("rcpt", Stage::Rcpt),
    ("data", Stage::Data),
    ("body", Stage::Body),
    ("message", Stage::Message),
    ("rset", Stage::Rset),
    ("noop", Stage::Noop),
    ("quit", Stage::Quit),
    ("other", Stage::Other),
];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Delay(Duration),
    Reply(String),
    Twice,
    Slow(Duration),
    Lf,
    Garbage(usize),
    Flood(usize),
    Silence,
    Drop,
    Half,
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (stage, action) = text.split_once(':').ok_or("a rule is STAGE: ACTION")?;
        let (name, nth) = stage.trim().split_once('#').unwrap_or((stage.trim(), "0"));
        let stage = STAGES.iter().find(|(known, _)| *known == name);
        let (_, stage) = stage.ok_or_else(|| format!("there is no stage {name}"))?;
        let nth = nth.parse().map_err(|_| format!("#{nth} is not a number"))?;
        let (verb, value) = action.trim().split_once(' ').unwrap_or((action.trim(), ""));
        let number = || {
            value
                .trim()
                .parse::<usize>()
                .map_err(|_| format!("{verb} wants a number"))
        };
        let action = match verb {
            "delay" => {
                let seconds = value.trim().parse::<f64>().ok();
                let time = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
                Action::Delay(time.ok_or("delay wants seconds")?)
            }
            "reply" => Action::Reply(value.replace("\\n", "\r\n")),
            "twice" => Action::Twice,
            "slow" => Action::Slow(Duration::from_millis(number()? as u64)),
            "lf" => Action::Lf,
            "garbage" => Action::Garbage(number()?),
            "flood" => Action::Flood(number()?),
            "silence" => Action::Silence,
            "drop" => Action::Drop,
            "half" => Action::Half,
            _ => return Err(format!("there is no action {verb}; see --help")),
        };
        Ok(Self {
            stage: *stage,
            nth,
            action,
        })
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chaos_peer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let mut rules = arguments.rules;
    if let Some(path) = &arguments.recipe {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        for (n, line) in text.lines().enumerate() {
            if !line.trim().is_empty() && !line.starts_with('#') {
                let at = |e| format!("{}:{}: {e}", path.display(), n + 1);
                rules.push(line.parse().map_err(at)?);
            }
        }
    }
    let listener = TcpListener::bind(&arguments.address)
        .map_err(|e| format!("cannot listen at {}: {e}", arguments.address))?;
    println!("listening at {}", listener.local_addr()?);
    let rules: Arc<[Rule]> = rules.into();
    for client in listener.incoming() {
        let (client, rules) = (client?, rules.clone());
        std::thread::spawn(move || {
            let peer = client.peer_addr();
            let ended = Session::new(client, rules).and_then(|mut session| session.run());
            match (peer, ended) {
                (Ok(peer), Ok(())) => println!("{peer}: the end"),
                (Ok(peer), Err(error)) => println!("{peer}: {error}"),
                (Err(error), _) => println!("{error}"),
            }
        });
    }
    Ok(())
}

struct Session {
    input: BufReader<TcpStream>,
    output: TcpStream,
    rules: Arc<[Rule]>,
    /// How often each stage was reached.
    times: [usize; STAGES.len()],
}

/// Whether the session goes on.
type Going = io::Result<bool>;

impl Session {
    fn new(client: TcpStream, rules: Arc<[Rule]>) -> io::Result<Self> {
        client.set_nodelay(true)?;
        Ok(Self {
            input: BufReader::new(client.try_clone()?),
            output: client,
            rules,
            times: [0; STAGES.len()],
        })
    }

    fn run(&mut self) -> io::Result<()> {
        if !self.answer(Stage::Connect, "220 chaos.example ESMTP")? {
            return Ok(());
        }
        while let Some(line) = self.line()? {
            println!("C: {}", line.escape_ascii());
            let verb = line
                .split(|b| *b == b' ')
                .next()
                .unwrap_or_default()
                .to_ascii_uppercase();
            let (stage, reply) = match &verb[..] {
                b"EHLO" => (
                    Stage::Ehlo,
                    "250-chaos.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE",
                ),
                b"HELO" => (Stage::Ehlo, "250 chaos.example"),
                b"MAIL" => (Stage::Mail, "250 2.1.0 Sender OK"),
                b"RCPT" => (Stage::Rcpt, "250 2.1.5 Recipient OK"),
                b"DATA" => (Stage::Data, "354 Go on"),
                b"RSET" => (Stage::Rset, "250 2.0.0 Reset"),
                b"NOOP" => (Stage::Noop, "250 2.0.0 OK"),
                b"QUIT" => (Stage::Quit, "221 2.0.0 Goodbye"),
                _ => (Stage::Other, "502 5.5.1 Not implemented"),
            };
            let said = self.said(stage, reply);
            let goes_on = self.answer(stage, reply)?;
            if !goes_on || (stage == Stage::Data && said.starts_with('3') && !self.message()?) {
                return Ok(());
            }
            if stage == Stage::Quit {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads a message; the rules for `body` apply when its first line has come.
    fn message(&mut self) -> Going {
        let mut octets = 0;
        while let Some(line) = self.line()? {
            if octets == 0 && !self.answer(Stage::Body, "")? {
                return Ok(false);
            }
            if line == b"." {
                println!("C: ({octets} octets of a message)");
                return self.answer(Stage::Message, "250 2.0.0 Message accepted");
            }
            octets += line.len() + 2;
        }
        Ok(false)
    }

    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        // Whoever sends more without a line end is not worth more memory.
        let mut limited = io::Read::take(&mut self.input, 1 << 20);
        limited.read_until(b'\n', &mut line)?;
        let ended = line
            .strip_suffix(b"\n")
            .map(|l| l.strip_suffix(b"\r").unwrap_or(l).to_vec());
        Ok(ended)
    }

    /// The rules for this time at a stage.
    fn actions(&self, stage: Stage, nth: usize) -> Vec<Action> {
        let apply = |rule: &&Rule| rule.stage == stage && (rule.nth == 0 || rule.nth == nth);
        self.rules
            .iter()
            .filter(apply)
            .map(|rule| rule.action.clone())
            .collect()
    }

    /// What the next answer at a stage will be.
    fn said(&self, stage: Stage, reply: &str) -> String {
        let actions = self.actions(stage, self.times[stage as usize] + 1);
        let said = actions.into_iter().rev().find_map(|action| match action {
            Action::Reply(text) => Some(text),
            _ => None,
        });
        said.unwrap_or_else(|| reply.to_owned())
    }

    fn answer(&mut self, stage: Stage, reply: &str) -> Going {
        let text = self.said(stage, reply);
        self.times[stage as usize] += 1;
        let mut text = match text.is_empty() {
            true => text,
            false => format!("{text}\r\n"),
        };
        let mut pause = None;
        for action in self.actions(stage, self.times[stage as usize]) {
            match action {
                Action::Delay(time) => std::thread::sleep(time),
                Action::Reply(_) => {}
                Action::Twice => text = text.repeat(2),
                Action::Slow(time) => pause = Some(time),
                Action::Lf => text = text.replace("\r\n", "\n"),
                Action::Garbage(octets) => text.insert_str(0, &"\u{1}".repeat(octets)),
                Action::Flood(lines) => {
                    text = format!("{}-and on\r\n", &text[..text.len().min(3)]).repeat(lines) + &text;
                }
                Action::Silence => text.clear(),
                Action::Drop => return Ok(false),
                Action::Half => {
                    let half = text.len() / 2;
                    self.output.write_all(&text.as_bytes()[..half])?;
                    return Ok(false);
                }
            }
        }
        match pause {
            None => self.output.write_all(text.as_bytes())?,
            Some(pause) => {
                for octet in text.as_bytes().chunks(1) {
                    self.output.write_all(octet)?;
                    std::thread::sleep(pause);
                }
            }
        }
        Ok(true)
    }
}
