//! SELECT, LIST, FETCH and STORE with options (RFC 5258, RFC 5819, RFC 6154, RFC 7162)

use super::Mailbox;
use super::command::{Command, Kind, Messages};
use super::text::Text;
use crate::codec::put_fetch_items;
use crate::data::{FetchItem, StatusItem};
use crate::{Flags, SequenceSet, StoreAction, UidSet};

impl Command {
    /// LIST of all mailboxes that match a pattern. [`List`] has the options.
    pub fn list(pattern: &str) -> Self {
        List::new(pattern).into()
    }

    /// FETCH. [`Fetch`] has the options.
    pub fn fetch(messages: Messages, items: &[FetchItem]) -> Self {
        Fetch::new(messages, items).into()
    }
}

/// SELECT or EXAMINE with options (RFC 7162).
#[derive(Debug, Clone)]
pub struct Select(Command);

impl Select {
    /// SELECT
    pub fn new(mailbox: impl Into<Mailbox>) -> Self {
        Self(Command::select(mailbox))
    }

    /// EXAMINE
    pub fn read_only(mailbox: impl Into<Mailbox>) -> Self {
        Self(Command::examine(mailbox))
    }

    /// Asks for MODSEQs from here on.
    #[must_use]
    pub fn condstore(mut self) -> Self {
        self.0.text.raw(" (CONDSTORE)");
        Self(self.0.needing(&["CONDSTORE", "QRESYNC"]))
    }

    /// Asks what changed since `modseq`, among the `known` messages; QRESYNC must have been enabled.
    #[must_use]
    pub fn qresync(mut self, uid_validity: core::num::NonZeroU32, modseq: u64, known: &UidSet) -> Self {
        self.0.text.raw(&format!(" (QRESYNC ({uid_validity} {modseq}"));
        if !known.is_empty() {
            self.0.text.raw(&format!(" {known}"));
        }
        self.0.text.raw("))");
        Self(self.0.needing(&["QRESYNC"]))
    }
}

impl From<Select> for Command {
    fn from(select: Select) -> Self {
        select.0
    }
}

/// LIST with options (RFC 5258, RFC 5819, RFC 6154).
#[derive(Debug, Clone)]
pub struct List {
    patterns: Vec<Mailbox>,
    select: Vec<&'static str>,
    returns: Vec<&'static str>,
    status: Vec<StatusItem>,
}

impl List {
    /// All mailboxes that match: `*` stands for anything, `%` for anything within one level.
    pub fn new(pattern: &str) -> Self {
        Self {
            patterns: vec![pattern.into()],
            select: Vec::new(),
            returns: Vec::new(),
            status: Vec::new(),
        }
    }

    /// Those that match this pattern, too.
    #[must_use]
    pub fn or(mut self, pattern: &str) -> Self {
        self.patterns.push(pattern.into());
        self
    }

    /// Only subscribed ones.
    #[must_use]
    pub fn only_subscribed(mut self) -> Self {
        self.select.push("SUBSCRIBED");
        self
    }

    /// Only those with a special use.
    #[must_use]
    pub fn only_special_use(mut self) -> Self {
        self.select.push("SPECIAL-USE");
        self
    }

    /// Tells whether they are subscribed.
    #[must_use]
    pub fn with_subscribed(mut self) -> Self {
        self.returns.push("SUBSCRIBED");
        self
    }

    /// Tells whether they have children.
    #[must_use]
    pub fn with_children(mut self) -> Self {
        self.returns.push("CHILDREN");
        self
    }

    /// Tells what they are for.
    #[must_use]
    pub fn with_special_use(mut self) -> Self {
        self.returns.push("SPECIAL-USE");
        self
    }

    /// Tells STATUS items of each.
    #[must_use]
    pub fn with_status(mut self, items: &[StatusItem]) -> Self {
        self.status.extend_from_slice(items);
        self
    }
}

impl From<List> for Command {
    fn from(list: List) -> Self {
        let mut text = Text::new("LIST ");
        if !list.select.is_empty() {
            text.raw(&format!("({}) ", list.select.join(" ")));
        }
        text.raw("\"\" ");
        let several = list.patterns.len() > 1;
        for (i, pattern) in list.patterns.into_iter().enumerate() {
            text.raw(match (several, i) {
                (true, 0) => "(",
                (true, _) => " ",
                (false, _) => "",
            })
            .mailbox(pattern);
        }
        text.raw(if several { ")" } else { "" });
        let mut returns: Vec<String> = list.returns.iter().map(|&r| r.to_owned()).collect();
        if !list.status.is_empty() {
            let items: Vec<_> = list.status.iter().map(|i| i.as_str()).collect();
            returns.push(format!("STATUS ({})", items.join(" ")));
        }
        if !returns.is_empty() {
            text.raw(&format!(" RETURN ({})", returns.join(" ")));
        }
        let needs: &[&str] = match () {
            () if !list.status.is_empty() => &["LIST-STATUS", "IMAP4rev2"],
            () if list.returns == ["SPECIAL-USE"] && list.select.is_empty() && !several => {
                &["SPECIAL-USE", "LIST-EXTENDED", "IMAP4rev2"]
            }
            () if several || !returns.is_empty() || !list.select.is_empty() => {
                &["LIST-EXTENDED", "IMAP4rev2"]
            }
            () => &[],
        };
        Command::new(text, Kind::List).needing(needs)
    }
}

/// FETCH with options (RFC 7162).
#[derive(Debug, Clone)]
pub struct Fetch {
    text: Text,
    set: SequenceSet,
    by_seq: bool,
    changed_since: Option<u64>,
    vanished: bool,
}

impl Fetch {
    /// Fetches these items of the messages; the UID always comes with them.
    pub fn new(messages: Messages, items: &[FetchItem]) -> Self {
        let (mut text, by_seq) = messages.start("FETCH");
        let (Messages::Uids(set) | Messages::Seqs(set)) = messages;
        text.printed(|tx| put_fetch_items(items, by_seq, tx));
        Self {
            text,
            set,
            by_seq,
            changed_since: None,
            vanished: false,
        }
    }

    /// Only messages that were changed after this MODSEQ.
    #[must_use]
    pub fn changed_since(mut self, modseq: u64) -> Self {
        self.changed_since = Some(modseq);
        self
    }

    /// Tells with [`changed_since`](Fetch::changed_since) what is gone as well; QRESYNC must have been enabled.
    #[must_use]
    pub fn vanished(mut self) -> Self {
        self.vanished = true;
        self
    }
}

impl From<Fetch> for Command {
    fn from(fetch: Fetch) -> Self {
        let mut command = Command {
            by_seq: fetch.by_seq,
            ..Command::new(fetch.text, Kind::Fetch(fetch.set))
        };
        if let Some(modseq) = fetch.changed_since {
            let vanished = if fetch.vanished { " VANISHED" } else { "" };
            command.text.raw(&format!(" (CHANGEDSINCE {modseq}{vanished})"));
            return command.needing(if fetch.vanished {
                &["QRESYNC"]
            } else {
                &["CONDSTORE", "QRESYNC"]
            });
        }
        command
    }
}

/// STORE with options (RFC 7162).
#[derive(Debug, Clone)]
pub struct Store {
    messages: Messages,
    action: StoreAction,
    flags: Flags,
    silent: bool,
    unchanged_since: Option<u64>,
}

impl Store {
    /// Changes the flags of the messages.
    pub fn new(messages: Messages, action: StoreAction, flags: Flags) -> Self {
        Self {
            messages,
            action,
            flags,
            silent: false,
            unchanged_since: None,
        }
    }

    /// The server need not tell the flags.
    #[must_use]
    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// Leaves messages alone that were changed after this MODSEQ: the reply's code lists them.
    #[must_use]
    pub fn unchanged_since(mut self, modseq: u64) -> Self {
        self.unchanged_since = Some(modseq);
        self
    }
}

impl From<Store> for Command {
    fn from(store: Store) -> Self {
        let (mut text, by_seq) = store.messages.start("STORE");
        if let Some(modseq) = store.unchanged_since {
            text.raw(&format!(" (UNCHANGEDSINCE {modseq})"));
        }
        text.raw(match store.action {
            StoreAction::Replace => " FLAGS",
            StoreAction::Add => " +FLAGS",
            StoreAction::Remove => " -FLAGS",
        });
        text.raw(if store.silent { ".SILENT" } else { "" });
        text.raw(&format!(" ({})", store.flags));
        let command = Command {
            by_seq,
            ..Command::new(text, Kind::Store)
        };
        match store.unchanged_since {
            Some(_) => command.needing(&["CONDSTORE", "QRESYNC"]),
            None => command,
        }
    }
}
