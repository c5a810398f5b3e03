//! `mailwright queue`: looking after the queue, of a running server or in its data folder.

use super::kept::Kept;
use super::{Failure, terminal};
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use mailwright_address::EmailAddress;
#[cfg(unix)]
use mailwright_server::control::Client;
use mailwright_server::control::Request as ControlRequest;
use mailwright_server::control::queue::{
    Change, Changed, Changes, Desk, Doing, Filter, List, Message, Messages, Recipient, Request,
};
use mailwright_server::{Config, unix_now};
use serde::de::DeserializeOwned;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The configuration file of the server.
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "data")]
    config: Option<PathBuf>,
    /// The data folder of a `localserve`.
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the messages in the queue.
    List {
        #[command(flatten)]
        filter: Filters,
        /// One line of JSON for each message.
        #[arg(long)]
        json: bool,
    },
    /// Show a message with the history of its attempts.
    Show {
        /// Its number in the list, or its id in the log.
        message: Name,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Try messages at once.
    Retry(Selection),
    /// Let messages rest until they are released. They expire all the same.
    Hold(Selection),
    /// Let held messages go on.
    Release(Selection),
    /// Give messages up at once; their senders are told, as at their expiry.
    Bounce(Selection),
    /// Remove messages; nobody is told.
    Drop(Selection),
    /// Send messages to somebody else.
    Redirect {
        /// To whom.
        #[arg(long, value_name = "ADDRESS")]
        redirect_to: EmailAddress,
        /// In place of this recipient alone.
        #[arg(long, value_name = "ADDRESS")]
        instead_of: Option<EmailAddress>,
        #[command(flatten)]
        selection: Selection,
    },
}

/// Which messages are meant.
#[derive(Debug, Args)]
struct Selection {
    /// Numbers in the list, or ids in the log.
    messages: Vec<Name>,
    /// All messages in the queue.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: Filters,
}

#[derive(Debug, Args)]
struct Filters {
    /// Messages of this sender; `<>` for notices.
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// Messages still to be delivered to this address, or to this domain: `@example.org`.
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    /// Messages in this state.
    #[arg(long, value_name = "STATE")]
    state: Option<State>,
    /// Messages that came longer ago: `90s`, `30m`, `12h`, `2d`.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    older_than: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    /// Waiting for the first attempt.
    Queued,
    /// Waiting for another attempt.
    Deferred,
    /// Resting until it is released.
    Held,
    /// Being delivered at this moment.
    Active,
}

/// How a person names a message: by its key, or by its id of 16 hexadecimal digits.
#[derive(Debug, Clone)]
enum Name {
    Key(u64),
    Id(String),
}

impl std::str::FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim_start_matches('#').parse() {
            Ok(key) if text.len() < 16 => Ok(Self::Key(key)),
            _ if text.len() >= 8 => Ok(Self::Id(text.into())),
            _ => Err("expected the number of a message in the list, or its id in the log".into()),
        }
    }
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut place = Place::find(arguments.config, arguments.data)?;
    match arguments.command {
        Command::List { filter, json } => list(&mut place, filter.into(), json),
        Command::Show { message, json } => show(&mut place, &message, json),
        Command::Retry(selection) => change(&mut place, selection, &Change::Retry {}),
        Command::Hold(selection) => change(&mut place, selection, &Change::Hold {}),
        Command::Release(selection) => change(&mut place, selection, &Change::Release {}),
        Command::Bounce(selection) => change(&mut place, selection, &Change::Bounce {}),
        Command::Drop(selection) => change(&mut place, selection, &Change::Drop {}),
        Command::Redirect {
            redirect_to,
            instead_of,
            selection,
        } => {
            let redirect = Change::Redirect {
                from: instead_of.map(|address| address.to_string()),
                to: redirect_to.to_string(),
            };
            change(&mut place, selection, &redirect)
        }
    }
}

/// The queue of a running server, or that of a folder where none runs.
pub(super) enum Place {
    #[cfg(unix)]
    Running(Client),
    Resting(Box<Kept>, tokio::runtime::Runtime),
}

impl Place {
    fn find(config: Option<PathBuf>, data: Option<PathBuf>) -> Result<Self, Failure> {
        let data = match config {
            Some(path) => Config::load(&path)?.data,
            None => data.unwrap_or_else(|| Path::new(super::localserve::DATA).into()),
        };
        Self::at(&data)
    }

    /// The queue of a data folder that has a store.
    pub(super) fn at(data: &Path) -> Result<Self, Failure> {
        if !data.join("mail").is_dir() {
            return Err(format!(
                "there is no mail in {}: say which server it is by --config FILE or --data DIR",
                data.display()
            )
            .into());
        }
        #[cfg(unix)]
        if let Some(client) = Client::connect(data).map_err(|error| {
            format!(
                "the server's socket {}: {error}",
                mailwright_server::control::socket(data).display()
            )
        })? {
            return Ok(Self::Running(client));
        }
        let store = Kept::open(data, None, super::place::IN_USE)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self::Resting(Box::new(store), runtime))
    }

    fn call<T: DeserializeOwned>(&mut self, request: Request) -> Result<T, Failure> {
        match self {
            #[cfg(unix)]
            Self::Running(client) => Ok(client.call(ControlRequest::Queue(request))?),
            Self::Resting(store, runtime) => {
                let answer = runtime.block_on(Desk::of_store(&**store).answer(request))?;
                Ok(serde_json::from_value(answer)?)
            }
        }
    }

    /// Walks through all messages that a filter takes.
    pub(super) fn each(
        &mut self,
        filter: Filter,
        mut take: impl FnMut(&mut Self, Vec<Message>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut list = List::default();
        list.limit = Request::MAX_KEYS;
        list.filter = filter;
        loop {
            let page: Messages = self.call(Request::List(list.clone()))?;
            list.after = page.next;
            take(self, page.messages)?;
            if list.after.is_none() {
                return Ok(());
            }
        }
    }

    fn key(&mut self, name: &Name) -> Result<u64, Failure> {
        let id = match name {
            Name::Key(key) => return Ok(*key),
            Name::Id(id) => id,
        };
        let mut filter = Filter::default();
        filter.id = Some(id.clone());
        let mut found = None;
        self.each(filter, |_, messages| {
            found = found.or(messages.first().map(|message| message.key));
            Ok(())
        })?;
        found.ok_or_else(|| format!("there is no message {id} in the queue").into())
    }
}

fn list(place: &mut Place, filter: Filter, json: bool) -> Result<(), Failure> {
    let (mut count, mut octets) = (0u64, 0);
    place.each(filter, |_, messages| {
        for message in messages {
            count += 1;
            octets += message.size;
            terminal::print(&match json {
                true => serde_json::to_string(&message)? + "\n",
                false => in_list(&message),
            });
        }
        Ok(())
    })?;
    if !json {
        terminal::print(&match count {
            0 => "No message in the queue is meant.\n".to_owned(),
            1 => format!("1 message, {}\n", size(octets)),
            _ => format!("{count} messages, {}\n", size(octets)),
        });
    }
    Ok(())
}

/// Lists all messages of a data folder.
#[cfg(unix)]
pub(super) fn tell_all(data: &Path) -> Result<(), Failure> {
    list(&mut Place::at(data)?, Filter::default(), false)
}

fn show(place: &mut Place, name: &Name, json: bool) -> Result<(), Failure> {
    let key = place.key(name)?;
    let message: Message = place.call(Request::Show { key })?;
    if json {
        terminal::print(&(serde_json::to_string_pretty(&message)? + "\n"));
        return Ok(());
    }
    let mut text = in_list(&message);
    let _ = write!(
        text,
        "  arrived {}\n  expires {}\n",
        date(message.arrival),
        date(message.expires)
    );
    if let Some(account) = &message.origin {
        let _ = writeln!(text, "  submitted by {account}");
    }
    for (at, what) in &message.history {
        let _ = writeln!(text, "  {}  {what}", date(*at));
    }
    terminal::print(&text);
    Ok(())
}

fn change(place: &mut Place, selection: Selection, change: &Change) -> Result<(), Failure> {
    let has_filter = selection.filter.is_set();
    if selection.messages.is_empty() && !selection.all && !has_filter {
        return Err(
            "which messages? Name them, describe them by --from, --to, --state or --older-than, or say --all"
                .into(),
        );
    }
    let mut tally = Tally::default();
    let mut keys = Vec::new();
    for name in &selection.messages {
        keys.push(place.key(name)?);
    }
    for keys in keys.chunks(Request::MAX_KEYS) {
        tally.count(place.call(Request::Change {
            keys: keys.to_vec(),
            change: change.clone(),
        })?);
    }
    if selection.all || has_filter {
        place.each(selection.filter.into(), |place, messages| {
            if !messages.is_empty() {
                tally.count(place.call(Request::Change {
                    keys: messages.iter().map(|message| message.key).collect(),
                    change: change.clone(),
                })?);
            }
            Ok(())
        })?;
    }
    tally.tell()
}

#[derive(Default)]
struct Tally {
    done: usize,
    unchanged: usize,
    troubles: Vec<String>,
}

impl Tally {
    fn count(&mut self, changes: Changes) {
        for (key, changed) in changes.done {
            let trouble = match changed {
                Changed::Done => {
                    self.done += 1;
                    continue;
                }
                Changed::Unchanged => {
                    self.unchanged += 1;
                    continue;
                }
                Changed::Partly => {
                    "recipients that are being delivered at this moment stay as they are".into()
                }
                Changed::NoSuchMessage => "it is not in the queue".into(),
                Changed::Failed(why) => why,
                _ => "the server says something unknown of it".into(),
            };
            self.troubles.push(format!("#{key}: {trouble}"));
        }
    }

    fn tell(self) -> Result<(), Failure> {
        let unchanged = match self.unchanged {
            0 => String::new(),
            n => format!(", {n} as before"),
        };
        terminal::print(&format!("{} changed{unchanged}\n", self.done));
        match self.troubles.is_empty() {
            true => Ok(()),
            false => Err(self.troubles.join("\n").into()),
        }
    }
}

impl Filters {
    fn is_set(&self) -> bool {
        self.from.is_some() || self.to.is_some() || self.state.is_some() || self.older_than.is_some()
    }
}

impl From<Filters> for Filter {
    fn from(filters: Filters) -> Self {
        let mut filter = Self::default();
        filter.from = filters.from;
        filter.to = filters.to;
        filter.state = filters.state.map(|state| match state {
            State::Queued => Doing::Queued,
            State::Deferred => Doing::Deferred,
            State::Held => Doing::Held,
            State::Active => Doing::Active,
        });
        filter.before = filters.older_than.map(|span| now().saturating_sub(span));
        filter
    }
}

/// A message and its recipients, for a list.
fn in_list(message: &Message) -> String {
    let doing = match message.doing {
        Doing::Queued | Doing::Deferred => {
            let wait = message.due.map_or(0, |due| due.saturating_sub(now()));
            let what = match message.doing {
                Doing::Queued => "queued",
                _ => "deferred",
            };
            match wait {
                0 => format!("{what}, due"),
                _ => format!("{what}, due in {}", age(wait)),
            }
        }
        Doing::Held => "held".to_owned(),
        Doing::Active => "being delivered".to_owned(),
        _ => "?".to_owned(),
    };
    let mut text = format!(
        "#{}  {}  {}  {} ago  {doing}\n  from {}\n",
        message.key,
        message.id,
        size(message.size),
        age(now().saturating_sub(message.arrival)),
        message.from,
    );
    for recipient in &message.to {
        text += &to(recipient);
    }
    match message.recipients - message.to.len() {
        0 => {}
        more => {
            let _ = writeln!(text, "  and {more} more");
        }
    }
    text
}

fn to(recipient: &Recipient) -> String {
    let mut text = format!("  to   {}", recipient.address);
    if let Some(original) = &recipient.original {
        let _ = write!(text, " (for {original})");
    }
    if recipient.state != "queued" {
        let _ = write!(text, "  {}", recipient.state);
    }
    if recipient.attempts > 0 {
        let _ = write!(text, "  tried {}×", recipient.attempts);
    }
    if let Some(why) = &recipient.why {
        let _ = write!(text, "  {why}");
    }
    text + "\n"
}

fn now() -> u64 {
    u64::try_from(unix_now()).unwrap_or(0)
}

fn date(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |at| at.to_string())
}

pub(super) fn size(octets: u64) -> String {
    match octets {
        0..1024 => format!("{octets} octets"),
        1024..1_048_576 => format!("{:.1} KiB", octets as f64 / 1024.0),
        _ => format!("{:.1} MiB", octets as f64 / 1_048_576.0),
    }
}

pub(super) fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Seconds of a span with its unit.
fn span(text: &str) -> Result<u64, String> {
    let wrong = || "expected a number and a unit, as 90s, 30m, 12h or 2d".to_owned();
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number.checked_mul(unit).ok_or_else(wrong)
}
