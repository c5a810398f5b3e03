//! Sorting (RFC 5256 §2.2, RFC 5957), and gathering what threads are made of

use core::cmp::Ordering;

use crate::{
    Fields, Message, Threading, Uid,
    conversation::{self, Candidate, Place},
    digest::Keys,
};

/// What messages are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // RFC 5256 has seven, RFC 5957 two
pub enum SortKey {
    /// The internal date.
    Arrival,
    /// The mailbox of the first address in Cc.
    Cc,
    /// When it was sent, in UTC; the internal date where the header does not tell.
    Date,
    /// The mailbox of the first address in From.
    From,
    /// The size in octets.
    Size,
    /// The base subject.
    Subject,
    /// The mailbox of the first address in To.
    To,
    /// The name in the first address of From.
    DisplayFrom,
    /// The name in the first address of To.
    DisplayTo,
}

/// A criterion of a sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs)] // RFC 5256 §3 BASE.6.4.SORT
pub struct SortCriterion {
    /// What is compared.
    pub key: SortKey,
    /// Whether the greatest comes first.
    pub reverse: bool,
}

/// Sorts messages that come one by one. Those that are equal by all criteria stay in the order of their UIDs.
///
/// Holds of each message no more than what it is sorted by.
///
/// ```
/// use mailwright_mailbox::sort::{SortCriterion, SortKey, Sorter};
/// use mailwright_mailbox::{Message, ModSeq, Uid, digest::Keys};
/// let mut sorter = Sorter::new(vec![SortCriterion { key: SortKey::Subject, reverse: false }]);
/// for (uid, subject) in [(1, "Subject: Re: pears\r\n"), (2, "Subject: apples\r\n"), (3, "Subject: PEARS\r\n")] {
///     let message = Message::new(Uid::new(uid).unwrap(), ModSeq::ONE);
///     sorter.push(&message, &Keys::of(subject.as_bytes()));
/// }
/// let sorted: Vec<_> = sorter.finish().into_iter().map(Uid::value).collect();
/// assert_eq!(sorted, [2, 1, 3]);
/// ```
#[derive(Debug)]
pub struct Sorter {
    criteria: Vec<SortCriterion>,
    uids: Vec<Uid>,
    /// As many for each message as there are criteria.
    values: Vec<Value>,
    texts: Vec<u8>,
}

/// A number, or the place of a text.
#[derive(Clone, Copy, Debug)]
enum Value {
    Number(i64),
    Text { at: usize, len: u32 },
}

impl Sorter {
    /// What has to be read of a message.
    pub const FIELDS: Fields = FIELDS;

    /// Begins to sort.
    pub const fn new(criteria: Vec<SortCriterion>) -> Self {
        Self {
            criteria,
            uids: Vec::new(),
            values: Vec::new(),
            texts: Vec::new(),
        }
    }

    /// Takes a message; `keys` are [those that were stored with it](Keys::from_bytes), or come from its header.
    pub fn push(&mut self, message: &Message, keys: &Keys) {
        self.uids.push(message.uid);
        for criterion in &self.criteria {
            let text = match criterion.key {
                SortKey::Arrival => Err(message.internal_date),
                SortKey::Date => Err(sent(message, keys)),
                SortKey::Size => Err(i64::try_from(message.size()).unwrap_or(i64::MAX)),
                SortKey::Cc => Ok(keys.cc()),
                SortKey::From => Ok(keys.from()),
                SortKey::Subject => Ok(keys.base_subject()),
                SortKey::To => Ok(keys.to()),
                SortKey::DisplayFrom => Ok(keys.display_from()),
                SortKey::DisplayTo => Ok(keys.display_to()),
            };
            self.values.push(match text {
                Err(number) => Value::Number(number),
                Ok(text) => {
                    let at = self.texts.len();
                    self.texts.extend_from_slice(text.as_bytes());
                    Value::Text {
                        at,
                        len: text.len() as u32,
                    }
                }
            });
        }
    }

    /// Returns the messages in their order.
    pub fn finish(self) -> Vec<Uid> {
        let mut order: Vec<usize> = (0..self.uids.len()).collect();
        order.sort_unstable_by(|a, b| self.compare(*a, *b));
        order.into_iter().map(|at| self.uids[at]).collect()
    }

    fn compare(&self, a: usize, b: usize) -> Ordering {
        let count = self.criteria.len();
        for (at, criterion) in self.criteria.iter().enumerate() {
            let [x, y] = [a, b].map(|it| self.values[it * count + at]);
            let ordering = match (x, y) {
                (Value::Number(x), Value::Number(y)) => x.cmp(&y),
                (x, y) => self.text(x).cmp(self.text(y)),
            };
            if ordering.is_ne() {
                return if criterion.reverse {
                    ordering.reverse()
                } else {
                    ordering
                };
            }
        }
        self.uids[a].cmp(&self.uids[b])
    }

    fn text(&self, value: Value) -> &[u8] {
        match value {
            Value::Text { at, len } => &self.texts[at..at + len as usize],
            Value::Number(_) => &[],
        }
    }
}

/// How threads are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Threads {
    /// By subject alone (RFC 5256 §3).
    OrderedSubject,
    /// By what messages refer to, then by subject.
    References,
}

/// Makes threads of messages that come one by one; see [`conversation`].
#[derive(Debug, Default)]
pub struct Threader {
    messages: Vec<(Uid, Threading, i64, String, bool)>,
}

impl Threader {
    /// What has to be read of a message.
    pub const FIELDS: Fields = FIELDS;

    /// Begins without messages.
    pub const fn new() -> Self {
        Self { messages: Vec::new() }
    }

    /// Takes a message; `keys` are those that were stored with it, or come from its header.
    pub fn push(&mut self, message: &Message, keys: &Keys) {
        // A message that was stored without keys has no threading either, but its header does.
        let threading = match message.sort_keys.is_empty() {
            true => keys.threading(),
            false => &message.threading,
        };
        self.messages.push((
            message.uid,
            threading.clone(),
            sent(message, keys),
            keys.base_subject().to_owned(),
            keys.is_reply(),
        ));
    }

    /// Returns the threads.
    pub fn finish(&self, how: Threads) -> Vec<Place> {
        let candidates: Vec<_> = self
            .messages
            .iter()
            .map(|(uid, threading, sent, subject, is_reply)| {
                Candidate::new(*uid, threading, *sent, subject, *is_reply)
            })
            .collect();
        match how {
            Threads::OrderedSubject => conversation::ordered_subject(&candidates),
            Threads::References => conversation::references(&candidates),
        }
    }
}

const FIELDS: Fields = Fields::DATES.union(Fields::SIZE).union(Fields::SORT);

fn sent(message: &Message, keys: &Keys) -> i64 {
    keys.sent().map_or(message.internal_date, |sent| sent.unix)
}
