//! Which mailboxes there are, and what they are called on the other server.

use super::Copy;
use crate::imap::{Refused, Session};
use crate::net::Fallible;
use mailwright_imap::client::{Command, Data, ListRow, Mailbox};
use mailwright_imap::{SpecialUse, matches_pattern};
use std::collections::BTreeSet;

/// A mailbox to copy, and where to.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) from: Mailbox,
    pub(super) to: Mailbox,
    /// It has no messages of its own.
    pub(super) is_only_a_level: bool,
    is_subscribed: bool,
    uses: Vec<SpecialUse>,
}

impl Copy {
    /// The mailboxes to copy, INBOX first.
    pub(super) fn pairs(&mut self) -> Fallible<Vec<Pair>> {
        let subscribed = subscribed(&mut self.from)?;
        let (old, new) = (Names::of(&mut self.from)?, Names::of(&mut self.to)?);
        let matches = |patterns: &[String], name: &str| {
            let delimiter = old.delimiter.unwrap_or('/');
            patterns
                .iter()
                .any(|pattern| matches_pattern(name, pattern, delimiter))
        };
        let mut pairs = Vec::new();
        for row in list(&mut self.from)? {
            let name = row.mailbox.name();
            if !matches(&self.patterns, name) || matches(&self.excluded, name) {
                continue;
            }
            let renamed = self.renamed.iter().find(|(old, _)| old == name);
            let to = match renamed {
                Some((_, new)) => new.clone(),
                None => old.translated(name, &new),
            };
            pairs.push(Pair {
                is_subscribed: subscribed.contains(name),
                is_only_a_level: !row.is_selectable(),
                uses: row.special_uses().collect(),
                from: row.mailbox,
                to: to.into(),
            });
        }
        pairs.sort_by_key(|pair| (pair.from.name() != "INBOX", pair.from.name().to_owned()));
        Ok(pairs)
    }

    /// Makes sure that the mailbox is there.
    pub(super) fn make(&mut self, pair: &Pair) -> Fallible<()> {
        if !pair.to.name().eq_ignore_ascii_case("INBOX") {
            let there = self.to.run("LIST", Command::list(pair.to.name()))?.1;
            let there = there
                .iter()
                .any(|data| matches!(data, Data::List(row) if row.mailbox == pair.to));
            if !there {
                self.create(pair)?;
            }
        }
        if pair.is_subscribed {
            // A server that keeps no subscriptions loses nothing else.
            ignore_refusal(self.to.run("SUBSCRIBE", Command::subscribe(pair.to.clone())))?;
        }
        Ok(())
    }

    fn create(&mut self, pair: &Pair) -> Fallible<()> {
        if !pair.uses.is_empty() {
            // The use may be given to another mailbox, or not be for clients to give.
            let with_use = Command::create(pair.to.clone(), &pair.uses);
            if !is_refused(&self.to.run("CREATE", with_use))? {
                return Ok(());
            }
        }
        let create = Command::create(pair.to.clone(), &[]);
        self.to.run(&format!("CREATE {}", pair.to), create)?;
        Ok(())
    }
}

/// How a server puts names together.
struct Names {
    prefix: String,
    delimiter: Option<char>,
}

impl Names {
    fn of(session: &mut Session) -> Fallible<Self> {
        let told = session.run("NAMESPACE", Command::namespace());
        if !is_refused(&told)?
            && let Some(Data::Namespaces([personal, ..])) =
                told?.1.into_iter().find(|d| matches!(d, Data::Namespaces(_)))
            && let Some(first) = personal.into_iter().next()
        {
            return Ok(Self {
                prefix: first.prefix.name().to_owned(),
                delimiter: first.delimiter,
            });
        }
        let (_, told) = session.run("LIST", Command::list(""))?;
        let delimiter = told.into_iter().find_map(|data| match data {
            Data::List(row) => row.delimiter,
            _ => None,
        });
        Ok(Self {
            prefix: String::new(),
            delimiter,
        })
    }

    /// The name of this server's mailbox as the other would write it.
    fn translated(&self, name: &str, other: &Self) -> String {
        if name.eq_ignore_ascii_case("INBOX") {
            return name.to_owned();
        }
        let bare = name.strip_prefix(&self.prefix).unwrap_or(name);
        let bare = match (self.delimiter, other.delimiter) {
            (Some(ours), Some(theirs)) if ours != theirs => {
                // Their delimiter within a name would begin a level that is none.
                let swapped = bare.chars().map(|c| match c {
                    c if c == ours => theirs,
                    c if c == theirs => '_',
                    c => c,
                });
                swapped.collect()
            }
            _ => bare.to_owned(),
        };
        format!("{}{bare}", other.prefix)
    }
}

fn list(session: &mut Session) -> Fallible<Vec<ListRow>> {
    let (_, told) = session.run("LIST", Command::list("*"))?;
    let row = |data| match data {
        Data::List(row) => Some(*row),
        _ => None,
    };
    Ok(told.into_iter().filter_map(row).collect())
}

fn subscribed(session: &mut Session) -> Fallible<BTreeSet<String>> {
    let told = session.run("LSUB", Command::lsub("*"));
    if is_refused(&told)? {
        return Ok(BTreeSet::new());
    }
    let name = |data| match data {
        Data::List(row) => Some(row.mailbox.name().to_owned()),
        _ => None,
    };
    Ok(told?.1.into_iter().filter_map(name).collect())
}

/// Whether the server refused; other failures stay failures.
fn is_refused<T>(result: &Fallible<T>) -> Fallible<bool> {
    match result {
        Ok(_) => Ok(false),
        Err(error) if error.is::<Refused>() => Ok(true),
        Err(error) => Err(error.to_string().into()),
    }
}

fn ignore_refusal<T>(result: Fallible<T>) -> Fallible<()> {
    match result {
        Err(error) if !error.is::<Refused>() => Err(error),
        _ => Ok(()),
    }
}
