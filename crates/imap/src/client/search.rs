//! SEARCH, SORT and THREAD (RFC 3501 §6.4.4, RFC 4731, RFC 5256, RFC 5957)

use super::command::{Command, Kind};
use super::text::Text;
use crate::codec::{SearchKey, put_search_keys};

/// SEARCH with options. Results are UIDs.
#[derive(Debug, Clone)]
pub struct Search {
    keys: Vec<SearchKey>,
    returns: Vec<&'static str>,
}

impl Search {
    /// Searches for messages that match all the keys; for all messages if there are none.
    pub fn new(keys: Vec<SearchKey>) -> Self {
        Self {
            keys,
            returns: Vec::new(),
        }
    }

    /// Asks for the smallest UID (RFC 4731).
    #[must_use]
    pub fn min(mut self) -> Self {
        self.returns.push("MIN");
        self
    }

    /// Asks for the largest UID (RFC 4731).
    #[must_use]
    pub fn max(mut self) -> Self {
        self.returns.push("MAX");
        self
    }

    /// Asks how many there are (RFC 4731).
    #[must_use]
    pub fn count(mut self) -> Self {
        self.returns.push("COUNT");
        self
    }

    /// Asks for all of them as a set, which is shorter than a list (RFC 4731).
    #[must_use]
    pub fn all(mut self) -> Self {
        self.returns.push("ALL");
        self
    }

    /// Lets the server keep the result, for `$` in later commands (RFC 5182).
    #[must_use]
    pub fn save(mut self) -> Self {
        self.returns.push("SAVE");
        self
    }
}

impl From<Search> for Command {
    fn from(search: Search) -> Self {
        let mut text = Text::new("UID SEARCH");
        if !search.returns.is_empty() {
            text.raw(&format!(" RETURN ({})", search.returns.join(" ")));
        }
        put_keys(&mut text, search.keys, false);
        Self {
            text,
            kind: Kind::Search { uid: true },
            needs: match search.returns.is_empty() {
                true => &[],
                false if search.returns.contains(&"SAVE") => &["SEARCHRES", "IMAP4rev2"],
                false => &["ESEARCH", "IMAP4rev2"],
            },
            by_seq: false,
        }
    }
}

/// What SORT goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SortKey {
    /// The internal date.
    Arrival,
    /// The first mailbox of Cc.
    Cc,
    /// The sent date.
    Date,
    /// The first mailbox of From.
    From,
    /// The size.
    Size,
    /// The base subject.
    Subject,
    /// The first mailbox of To.
    To,
    /// The name in From as it is shown (RFC 5957).
    DisplayFrom,
    /// The name in To as it is shown (RFC 5957).
    DisplayTo,
}

impl SortKey {
    fn as_str(self) -> &'static str {
        match self {
            Self::Arrival => "ARRIVAL",
            Self::Cc => "CC",
            Self::Date => "DATE",
            Self::From => "FROM",
            Self::Size => "SIZE",
            Self::Subject => "SUBJECT",
            Self::To => "TO",
            Self::DisplayFrom => "DISPLAYFROM",
            Self::DisplayTo => "DISPLAYTO",
        }
    }
}

impl Command {
    /// SEARCH for UIDs; all keys must match. [`Search`] has the options.
    pub fn search(keys: Vec<SearchKey>) -> Self {
        Search::new(keys).into()
    }

    /// SORT: the UIDs of the messages that match, in the order of the criteria; `true` reverses one. Without
    /// criteria, by arrival.
    pub fn sort(criteria: &[(SortKey, bool)], keys: Vec<SearchKey>) -> Self {
        let words: Vec<_> = criteria
            .iter()
            .map(|(key, reverse)| format!("{}{}", if *reverse { "REVERSE " } else { "" }, key.as_str()))
            .collect();
        let words = if words.is_empty() {
            "ARRIVAL".into()
        } else {
            words.join(" ")
        };
        let mut text = Text::new(&format!("UID SORT ({words})"));
        put_keys(&mut text, keys, true);
        let shown = criteria
            .iter()
            .any(|(key, _)| matches!(key, SortKey::DisplayFrom | SortKey::DisplayTo));
        Self {
            text,
            kind: Kind::Sort,
            needs: if shown { &["SORT=DISPLAY"] } else { &["SORT"] },
            by_seq: false,
        }
    }

    /// THREAD by REFERENCES: the UIDs of the messages that match, in conversations.
    pub fn thread_references(keys: Vec<SearchKey>) -> Self {
        Self::thread("REFERENCES", &["THREAD=REFERENCES"], keys)
    }

    /// THREAD by ORDEREDSUBJECT: the UIDs of the messages that match, those with one subject together.
    pub fn thread_ordered_subject(keys: Vec<SearchKey>) -> Self {
        Self::thread("ORDEREDSUBJECT", &["THREAD=ORDEREDSUBJECT"], keys)
    }

    fn thread(algorithm: &str, needs: &'static [&'static str], keys: Vec<SearchKey>) -> Self {
        let mut text = Text::new(&format!("UID THREAD {algorithm}"));
        put_keys(&mut text, keys, true);
        Self {
            text,
            kind: Kind::Thread,
            needs,
            by_seq: false,
        }
    }
}

/// Adds keys, with the charset before them where it is needed, or wanted in any case.
fn put_keys(text: &mut Text, mut keys: Vec<SearchKey>, always_charset: bool) {
    if keys.is_empty() {
        keys.push(SearchKey::All);
    }
    let mut printed = Text::default();
    printed.printed(|tx| put_search_keys(&keys, tx));
    if always_charset {
        text.raw(" UTF-8");
    } else if printed.has_8bit() {
        text.charset();
    }
    text.raw_octets(&printed.finish(false));
}
