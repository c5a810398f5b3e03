//! SEARCH over the store: the exact substring rule of RFC 3501 §6.4.4, on decoded text without regard to case
//!
//! A criterion is first judged by what the store tells of a message without reading it. Only where that leaves it
//! open is the header read, and only then the text of the body, one part at a time.

use super::backend::{Failure, Mailboxes};
use super::body;
use super::convert::{has_flag, uids_from_imap};
use bytes::Bytes;
use mailwright_imap::{Criterion, Date};
use mailwright_mailbox::{Fields, MailboxId, Message, Scan, Uid};
use mailwright_message::index::{Kind, Section};
use mailwright_message::{Index, date, header};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;
use std::thread::available_parallelism;
use tokio::sync::Semaphore;

/// Parts above this size are decoded apart from the threads that serve connections.
const LARGE: usize = 256 * 1024;

/// Held by those who decode a large part, which takes several times its size: no more at a time than can be at work.
static HEAVY: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, usize::from)));

/// Finds the messages of a mailbox that fulfil a criterion, in order.
pub(super) async fn run<M: Mailboxes>(
    mail: &M,
    mailbox: MailboxId,
    wanted: &Criterion,
) -> Result<Vec<Uid>, Failure> {
    let mut words = Words::new();
    collect_words(wanted, &mut words);
    let mut fields = Fields::FLAGS | Fields::DATES | Fields::BLOB;
    if looks_inside(wanted) {
        fields = fields | Fields::INDEX;
    }
    let mut found = vec![];
    let mut next = Some(Scan::new(candidates(wanted), fields).limit(500));
    while let Some(scan) = next {
        let page = mail.scan(mailbox, scan.clone()).await?;
        for message in &page.messages {
            match holds(mail, mailbox, wanted, &words, message).await {
                Ok(true) => found.push(message.uid),
                Ok(false) => {}
                // Expunged since the page was read.
                Err(Failure::Gone) if body::is_gone(mail, mailbox, message.uid).await? => {}
                Err(failure) => return Err(failure),
            }
        }
        next = scan.after(&page);
    }
    Ok(found)
}

/// The messages that can fulfil a criterion at all, as far as UIDs tell.
fn candidates(wanted: &Criterion) -> mailwright_mailbox::UidSet {
    match wanted {
        Criterion::Uids(uids) => uids_from_imap(uids),
        Criterion::And(all) => all
            .iter()
            .map(candidates)
            .fold(mailwright_mailbox::UidSet::all(), |some, more| {
                some.intersection(&more)
            }),
        Criterion::Or(a, b) => candidates(a).union(&candidates(b)),
        _ => mailwright_mailbox::UidSet::all(),
    }
}

/// Whether a criterion can need more than flags, dates and sizes.
fn looks_inside(wanted: &Criterion) -> bool {
    match wanted {
        Criterion::Not(inner) => looks_inside(inner),
        Criterion::Or(a, b) => looks_inside(a) || looks_inside(b),
        Criterion::And(all) => all.iter().any(looks_inside),
        Criterion::SentBefore(_)
        | Criterion::SentOn(_)
        | Criterion::SentSince(_)
        | Criterion::Header { .. }
        | Criterion::Body(_)
        | Criterion::Text(_) => true,
        _ => false,
    }
}

/// Strings to be looked for in bodies, in lower case.
type Words = HashSet<String>;

fn collect_words(wanted: &Criterion, words: &mut Words) {
    match wanted {
        Criterion::Body(text) | Criterion::Text(text) => {
            words.insert(text.to_lowercase());
        }
        Criterion::Not(inner) => collect_words(inner, words),
        Criterion::Or(a, b) => [a, b].into_iter().for_each(|one| collect_words(one, words)),
        Criterion::And(all) => all.iter().for_each(|one| collect_words(one, words)),
        _ => {}
    }
}

async fn holds<M: Mailboxes>(
    mail: &M,
    mailbox: MailboxId,
    wanted: &Criterion,
    words: &Words,
    message: &Message,
) -> Result<bool, Failure> {
    let mut known = Known {
        message,
        sent: None,
        header: None,
        body: None,
    };
    if let Some(answer) = known.judge(wanted) {
        return Ok(answer);
    }
    let source = Source {
        mail,
        mailbox,
        message,
    };
    let index = body::index_of(mail, mailbox, message).await?;
    known.sent = Some(index.envelope().date().and_then(date::parse).map(day_of));
    if let Some(answer) = known.judge(wanted) {
        return Ok(answer);
    }
    known.header = Some(source.read_header(&index).await?);
    if let Some(answer) = known.judge(wanted) {
        return Ok(answer);
    }
    known.body = Some(source.words_in_body(&index, words).await?);
    Ok(known.judge(wanted).unwrap_or(false))
}

/// What is known of a message so far.
struct Known<'a> {
    message: &'a Message,
    /// The day of the Date field, if there is one.
    sent: Option<Option<Date>>,
    /// Name and decoded, lower-case value of each field.
    header: Option<Vec<(String, String)>>,
    /// Which of the words are in the body.
    body: Option<Words>,
}

impl Known<'_> {
    /// Whether the criterion holds; `None` if that cannot be told yet.
    ///
    /// The engine bounds how deep criteria nest.
    fn judge(&self, wanted: &Criterion) -> Option<bool> {
        let arrived = || Date::from_unix_days(self.message.internal_date.div_euclid(86_400));
        let sent = |test: &dyn Fn(Date) -> bool| self.sent.map(|sent| sent.is_some_and(test));
        Some(match wanted {
            Criterion::All => true,
            Criterion::Uids(uids) => uids.contains(self.message.uid.value()),
            Criterion::Flag(flag) => has_flag(&self.message.flags, flag),
            Criterion::Before(day) => arrived() < *day,
            Criterion::On(day) => arrived() == *day,
            Criterion::Since(day) => arrived() >= *day,
            Criterion::SentBefore(day) => return sent(&|sent| sent < *day),
            Criterion::SentOn(day) => return sent(&|sent| sent == *day),
            Criterion::SentSince(day) => return sent(&|sent| sent >= *day),
            Criterion::Larger(size) => self.message.size() > *size,
            Criterion::Smaller(size) => self.message.size() < *size,
            Criterion::Header { name, value } => {
                let value = value.to_lowercase();
                let fields = self.header.as_ref()?;
                fields
                    .iter()
                    .any(|(field, text)| field.eq_ignore_ascii_case(name) && text.contains(&value))
            }
            Criterion::Body(text) => return self.body_has(&text.to_lowercase()),
            Criterion::Text(text) => {
                let text = text.to_lowercase();
                let in_header = |(name, value): &(String, String)| {
                    let name = name.to_lowercase();
                    value.contains(&text) || format!("{name}: {value}").contains(&text)
                };
                if self.header.as_ref()?.iter().any(in_header) {
                    return Some(true);
                }
                return self.body_has(&text);
            }
            Criterion::Not(inner) => return self.judge(inner).map(|answer| !answer),
            Criterion::Or(a, b) => match (self.judge(a), self.judge(b)) {
                (Some(true), _) | (_, Some(true)) => true,
                (Some(false), Some(false)) => false,
                _ => return None,
            },
            Criterion::And(all) => {
                let mut open = false;
                for one in all {
                    match self.judge(one) {
                        Some(false) => return Some(false),
                        Some(true) => {}
                        None => open = true,
                    }
                }
                return (!open).then_some(true);
            }
            // A criterion that a later engine resolves to finds nothing here.
            _ => false,
        })
    }

    fn body_has(&self, text: &str) -> Option<bool> {
        Some(self.body.as_ref()?.contains(text))
    }
}

/// The day that a moment has in its own zone.
fn day_of(moment: date::DateTime) -> Date {
    Date::from_unix_days((moment.unix + i64::from(moment.offset) * 60).div_euclid(86_400))
}

/// Where the octets of a message are.
struct Source<'a, M> {
    mail: &'a M,
    mailbox: MailboxId,
    message: &'a Message,
}

impl<M: Mailboxes> Source<'_, M> {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, Failure> {
        body::read_all(self.mail, self.mailbox, self.message, range).await
    }

    async fn read_header(&self, index: &Index) -> Result<Vec<(String, String)>, Failure> {
        let bytes = self
            .read(index.section(&[], Section::Header).unwrap_or(0..0))
            .await?;
        let field = |field: header::Field<'_>| {
            let name = String::from_utf8_lossy(field.name).into_owned();
            (name, header::decode(field.value).to_lowercase())
        };
        Ok(header::fields(&bytes).map(field).collect())
    }

    /// Which of the words are in the text of a message: its text parts, and the headers of messages within it, but
    /// not its attachments.
    async fn words_in_body(&self, index: &Index, words: &Words) -> Result<Words, Failure> {
        let mut found = Words::new();
        let mut left: Vec<String> = words.iter().cloned().collect();
        // The empty string is in every body, whatever that holds.
        left.retain(|word| !(word.is_empty() && found.insert(String::new())));
        for (place, part) in index.parts().enumerate() {
            if left.is_empty() {
                break;
            }
            let range = match part.kind() {
                Kind::Message => part.children().next().map_or(0..0, |nested| nested.header()),
                _ if part.is_text() => part.body(),
                _ => continue,
            };
            let _turn = match range.end.saturating_sub(range.start) > LARGE as u64 {
                true => HEAVY.acquire().await.ok(),
                false => None,
            };
            let octets = self.read(range).await?;
            let missing = if octets.len() > LARGE {
                let (index, looked_for) = (index.clone(), left.clone());
                let look = move || words_not_in(&index, place, &octets, looked_for);
                let looked = tokio::task::spawn_blocking(look).await;
                looked.map_err(|error| Failure::Broken(error.to_string()))?
            } else {
                words_not_in(index, place, &octets, left.clone())
            };
            found.extend(left.into_iter().filter(|word| !missing.contains(word)));
            left = missing;
        }
        Ok(found)
    }
}

/// The words that are not in the text of the part at a place, of which these are the octets.
fn words_not_in(index: &Index, place: usize, octets: &Bytes, mut words: Vec<String>) -> Vec<String> {
    let Some(part) = index.parts().nth(place) else {
        return words;
    };
    let text = match part.kind() {
        Kind::Message => header::decode(octets),
        _ => part.decode_text(octets),
    };
    let text = text.to_lowercase();
    words.retain(|word| !text.contains(word.as_str()));
    words
}
