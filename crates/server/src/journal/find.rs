//! Looking up what became of a message

use super::event::Event;
use super::write::files;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::IpAddr;
use std::path::Path;

/// Which messages are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Query {
    /// The one of this name in logs or in the queue, or with this Message-ID.
    Id(String),
    /// Those of which one address is this: sender, recipient or account.
    Address(String),
    /// Those that a client with this address brought, or wanted to bring.
    Client(IpAddr),
}

impl Query {
    /// Reads what an operator has: a Message-ID with or without brackets, a name of the queue or of a connection, a mail
    /// address, or the IP address of a client. Without brackets, what has an `@` may be either of two.
    pub fn parse(text: &str) -> Vec<Self> {
        let text = text.trim();
        let inner = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
        match inner {
            Some(inner) => vec![Self::Id(inner.to_owned())],
            None if text.contains('@') => vec![Self::Id(text.to_owned()), Self::Address(text.to_owned())],
            None => match text.parse::<IpAddr>() {
                Ok(client) => vec![Self::Client(client.to_canonical())],
                Err(_) => vec![Self::Id(text.to_owned())],
            },
        }
    }

    fn is_met_by(&self, event: &Event) -> bool {
        match self {
            Self::Id(id) => event.id.eq_ignore_ascii_case(id) || event.message_id() == Some(id),
            Self::Client(client) => event.peer().and_then(|peer| peer.parse().ok()) == Some(*client),
            Self::Address(address) => event.addresses().any(|one| one.eq_ignore_ascii_case(address)),
        }
    }
}

/// All that is known of one message, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Story {
    /// Its name.
    pub id: String,
    /// What happened.
    pub events: Vec<Event>,
}

/// The longest line that is read; no event is as long.
const MAX_LINE: u64 = 1 << 20;

/// The stories of the last `most` messages that are meant by one of `queries`, in the order in which they began, each
/// followed by those of the notices about it. A server may write meanwhile.
///
/// # Errors
///
/// When a file cannot be read.
pub fn find(folder: &Path, queries: &[Query], most: usize) -> io::Result<Vec<Story>> {
    let mut wanted = Wanted::default();
    let meant = |event: &Event| queries.iter().any(|query| query.is_met_by(event));
    scan(folder, |event| {
        if meant(&event) {
            wanted.add(&event.id);
        }
    })?;
    wanted.keep_last(most);
    // A notice is known by the message it is about, and may come back itself.
    loop {
        let before = wanted.ids.len();
        scan(folder, |event| {
            if let Some(other) = event.other().filter(|_| wanted.places.contains(&event.id)) {
                wanted.add(other);
            }
        })?;
        if wanted.ids.len() == before {
            break;
        }
    }
    let mut events: HashMap<String, Vec<Event>> = HashMap::new();
    scan(folder, |event| {
        if wanted.places.contains(&event.id) {
            events.entry(event.id.clone()).or_default().push(event);
        }
    })?;
    let mut stories: Vec<Story> = events
        .into_iter()
        .map(|(id, events)| Story { id, events })
        .collect();
    stories.sort_by(|a, b| {
        let began = |story: &Story| story.events.first().map(|event| event.at);
        began(a).cmp(&began(b)).then_with(|| a.id.cmp(&b.id))
    });
    Ok(stories)
}

/// The names of messages, in the order in which they were found.
#[derive(Default)]
struct Wanted {
    ids: Vec<String>,
    places: HashSet<String>,
}

impl Wanted {
    fn add(&mut self, id: &str) {
        if self.places.insert(id.to_owned()) {
            self.ids.push(id.to_owned());
        }
    }

    fn keep_last(&mut self, most: usize) {
        let surplus = self.ids.len().saturating_sub(most);
        for id in self.ids.drain(..surplus) {
            self.places.remove(&id);
        }
    }
}

/// Reads all events, the oldest first. A line that is no event, as one that a kill cut short, is passed over.
fn scan(folder: &Path, mut seen: impl FnMut(Event)) -> io::Result<()> {
    for path in files(folder)? {
        let file = match File::open(&path) {
            // Its time was over between the two looks.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        let mut file = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            if (&mut file).take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if let Ok(event) = serde_json::from_slice(&line) {
                seen(event);
            }
        }
    }
    Ok(())
}
