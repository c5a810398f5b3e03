//! Prints mail as it comes.
//!
//! ```sh
//! PASSWORD=… cargo run -p mailwright-examples --bin imap_tail -- imaps://bob@mail.example.org
//! ```
//!
//! One mailbox is watched with IDLE (RFC 2177), all of them with NOTIFY (RFC 5465). Nothing is changed: mailboxes are
//! opened read-only, and no message is marked as read.

use clap::Parser;
use mailwright_examples::imap::{Account, Session, Trust, password};
use mailwright_examples::net::Fallible;
use mailwright_imap::client::{Command, Data, Event, Mailbox, Messages, Row};
use mailwright_imap::{FetchItem, SequenceSet, StatusItem};
use mailwright_message::encoded_word;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Prints mail as it comes: mailbox, UID, date, sender and subject, a line for each message.
///
/// The password is read from the environment variable PASSWORD. Exit status: 0 after --count
/// messages, 75 if the connection was lost, 2 if the command line is wrong.
#[derive(Debug, Parser)]
#[command(name = "imap_tail", version, verbatim_doc_comment)]
struct Arguments {
    /// The account, as imaps://USER@HOST or imaps://USER@HOST:PORT; imap:// means STARTTLS
    #[arg(value_name = "URL")]
    account: Account,

    /// The mailbox to watch
    #[arg(long, short, default_value = "INBOX", value_name = "NAME")]
    mailbox: String,

    /// Watch all mailboxes; the server must have NOTIFY
    #[arg(long, short, conflicts_with_all = ["mailbox", "lines"])]
    all: bool,

    /// Begin with so many of the messages that are there
    #[arg(long, short = 'n', default_value_t = 0, value_name = "NUMBER")]
    lines: u32,

    /// End after so many messages
    #[arg(long, short, value_name = "NUMBER")]
    count: Option<u64>,

    /// Trust the certificates in this PEM file, and no others
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Do without TLS where the server has none: the password and mail can be read on the way
    #[arg(long)]
    in_clear: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("imap_tail: {error}");
            ExitCode::from(75)
        }
    }
}

fn run(arguments: &Arguments) -> Fallible<()> {
    let trust = Trust::new(arguments.ca.as_deref(), arguments.in_clear);
    let session = Session::open(&arguments.account, &password("PASSWORD")?, &trust)?;
    let mut tail = Tail {
        session,
        left: arguments.count,
        news: News::default(),
    };
    match arguments.all {
        true => tail.all()?,
        false => tail.one(&arguments.mailbox.as_str().into(), arguments.lines)?,
    }
    tail.session.log_out();
    Ok(())
}

struct Tail {
    session: Session,
    /// How many messages are still to be printed; for ever if `None`.
    left: Option<u64>,
    news: News,
}

/// What the server has told besides what it was asked.
#[derive(Default)]
struct News {
    /// The next UID of mailboxes.
    next: BTreeMap<Mailbox, u32>,
    /// The messages of the mailbox that is open.
    exists: u32,
    /// They became more.
    is_more: bool,
}

impl News {
    /// Takes note of data; says whether it is news.
    fn note(&mut self, data: &Data) -> bool {
        match data {
            Data::Exists(n) => {
                self.is_more |= *n > self.exists;
                self.exists = *n;
                self.is_more
            }
            Data::Expunged(_) => {
                self.exists = self.exists.saturating_sub(1);
                false
            }
            Data::Status(row) => {
                let uid = row.status.uid_next.map(u32::from);
                self.next.extend(uid.map(|uid| (row.mailbox.clone(), uid)));
                true
            }
            _ => false,
        }
    }
}

impl Tail {
    fn is_done(&self) -> bool {
        self.left == Some(0)
    }

    /// Watches one mailbox.
    fn one(&mut self, mailbox: &Mailbox, lines: u32) -> Fallible<()> {
        let (_, told) = self
            .session
            .run(&format!("EXAMINE {mailbox}"), Command::examine(mailbox.clone()))?;
        let selected = told.into_iter().find_map(|data| match data {
            Data::Selected(selected) => Some(*selected),
            _ => None,
        });
        let selected = selected.ok_or("the server does not say what it selected")?;
        let exists = selected.exists;
        let mut next = selected.uid_next.map_or(1, u32::from);
        self.news.exists = exists;
        if lines > 0 && exists > 0 {
            let first = exists.saturating_sub(lines) + 1;
            self.print(mailbox, Messages::Seqs(set(&format!("{first}:{exists}"))), 0)?;
        }
        while !self.is_done() {
            if std::mem::take(&mut self.news.is_more) {
                let highest = self.print(mailbox, Messages::Uids(set(&format!("{next}:*"))), next)?;
                next = next.max(highest.saturating_add(1));
            } else {
                self.wait()?;
            }
        }
        Ok(())
    }

    /// Watches all mailboxes.
    fn all(&mut self) -> Fallible<()> {
        let told = self.run("LIST", Command::list("*"))?;
        for data in told {
            if let Data::List(row) = data
                && row.is_selectable()
            {
                let status = Command::status(row.mailbox.clone(), &[StatusItem::UidNext]);
                self.run(&format!("STATUS {}", row.mailbox), status)?;
            }
        }
        let mut printed = self.news.next.clone();
        let events = Command::notify("(personal (MessageNew MessageExpunge MailboxName))")?;
        self.run("NOTIFY", events)
            .map_err(|e| format!("{e}; name one mailbox with --mailbox instead"))?;
        while !self.is_done() {
            let is_more =
                |(mailbox, uid): &(&Mailbox, &u32)| printed.get(*mailbox).is_none_or(|known| *uid > known);
            let news = self
                .news
                .next
                .iter()
                .find(is_more)
                .map(|(mailbox, uid)| (mailbox.clone(), *uid));
            let Some((mailbox, uid)) = news else {
                self.wait()?;
                continue;
            };
            let from = printed.insert(mailbox.clone(), uid).unwrap_or(1);
            if uid > from {
                self.run(&format!("EXAMINE {mailbox}"), Command::examine(mailbox.clone()))?;
                self.print(
                    &mailbox,
                    Messages::Uids(set(&format!("{from}:{}", uid - 1))),
                    from,
                )?;
                self.run("UNSELECT", Command::unselect())?;
            }
        }
        Ok(())
    }

    /// Runs a command, and takes note of what is told besides.
    fn run(&mut self, what: &str, command: impl Into<Command>) -> Fallible<Vec<Data>> {
        let (_, told) = self.session.run(what, command)?;
        for data in &told {
            self.news.note(data);
        }
        Ok(told)
    }

    /// Idles until there are news.
    fn wait(&mut self) -> Fallible<()> {
        let idle = self.session.queue(Command::idle());
        let mut stopping = false;
        loop {
            match self.session.event()? {
                Event::Data(_, data) if self.news.note(&data) && !stopping => {
                    stopping = true;
                    self.session.client().stop_idle();
                }
                Event::Done(done, _) if done == idle => return Ok(()),
                Event::Refused(done, reply) if done == idle => return Err(format!("IDLE: {reply}").into()),
                Event::Unsent(done, why) if done == idle => return Err(format!("IDLE: {why}").into()),
                Event::Bye(reply) => return Err(format!("the server ends the session: {reply}").into()),
                _ => {}
            }
        }
    }

    /// Prints messages from this UID on; returns the highest UID.
    fn print(&mut self, mailbox: &Mailbox, messages: Messages, from: u32) -> Fallible<u32> {
        let fetch = Command::fetch(messages, &[FetchItem::Envelope, FetchItem::InternalDate]);
        let told = self.run("FETCH", fetch)?;
        let mut highest = 0;
        let mut out = std::io::stdout().lock();
        for data in told {
            let Data::Row(row) = data else { continue };
            // `*` is the last message even if that is below.
            let Some(uid) = row.uid.filter(|uid| *uid >= from) else {
                continue;
            };
            if row.envelope.is_none() || self.left == Some(0) {
                continue;
            }
            highest = highest.max(uid);
            writeln!(out, "{}", line(mailbox, uid, &row))?;
            self.left = self.left.map(|left| left - 1);
        }
        out.flush()?;
        Ok(highest)
    }
}

/// A message as a line, fit for a terminal.
fn line(mailbox: &Mailbox, uid: u32, row: &Row) -> String {
    let text = |octets: &[u8]| encoded_word::decode(octets).into_owned();
    let envelope = row.envelope.as_deref();
    let sender = envelope.and_then(|envelope| envelope.from.first()).map(|sender| {
        let part = |part: &Option<bytes::Bytes>| part.as_deref().map(text).unwrap_or_default();
        match &sender.name {
            Some(name) => text(name),
            None => format!("{}@{}", part(&sender.mailbox), part(&sender.host)),
        }
    });
    let subject = envelope
        .and_then(|envelope| envelope.subject.as_deref())
        .map(text);
    let date = row.internal_date.map(|date| date.to_string()).unwrap_or_default();
    let line = format!(
        "{mailbox} {uid}  {date}  {}  {}",
        sender.as_deref().unwrap_or("(nobody)"),
        subject.as_deref().unwrap_or("(no subject)")
    );
    line.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn set(text: &str) -> SequenceSet {
    SequenceSet::parse(text.as_bytes()).expect("it is a set")
}
