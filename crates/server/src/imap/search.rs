//! SEARCH over mailboxes: the exact substring rule of RFC 9051 §6.4.4, by the stages of [`mailwright_mailbox::search`]
//!
//! Rows and keys are judged as they come. Texts are looked through apart from the threads that serve connections, a page
//! at a time and while the next one is read. Only what has no text at hand is read message by message.

use super::backend::{Abilities, Failure, Mailboxes};
use super::body;
use super::convert::{system_flag, uids_from_imap};
use super::work::{Work, joined};
use crate::clock::unix_now;
use mailwright_imap::{Criterion, Date, Flag, ObjectId};
use mailwright_mailbox::digest::text::Walk;
use mailwright_mailbox::search::{DateOf, Looking, Query, Search};
use mailwright_mailbox::{BlobHash, Keyword, MailboxId, Message, ModSeq, Page, Scan, ThreadId, Uid, UidSet};
use mailwright_message::index::Section;
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;
use tokio::sync::Semaphore;
use tokio::task::{self, JoinHandle};

/// How much of a message is decoded at a time between the work of others.
const PIECE: u64 = 64 * 1024;

/// Headers above this size are read by few at a time.
const LARGE: u64 = 256 * 1024;

/// Held by those who read a large header, which takes several times its size: no more at a time than can be at work.
static HEAVY: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, usize::from)));

/// Finds the messages of a mailbox that fulfil a criterion. Some of the UIDs may not exist.
pub(super) async fn run<M: Mailboxes>(
    mail: &M,
    mailbox: MailboxId,
    wanted: &Criterion,
    work: &Work,
) -> Result<UidSet, Failure> {
    if let Some(found) = mail.search(mailbox, wanted).await? {
        let mut uids = UidSet::new();
        found.into_iter().for_each(|uid| uids.insert(uid));
        return Ok(uids);
    }
    match wanted {
        Criterion::All => Ok(UidSet::all()),
        Criterion::Uids(uids) => Ok(uids_from_imap(uids)),
        wanted => read_through(mail, mailbox, wanted, work).await,
    }
}

async fn read_through<M: Mailboxes>(
    mail: &M,
    mailbox: MailboxId,
    wanted: &Criterion,
    work: &Work,
) -> Result<UidSet, Failure> {
    let reader = Reader {
        now: unix_now(),
        save_dates: M::ABILITIES.contains(Abilities::SAVE_DATES),
    };
    let search = Arc::new(Search::new(&reader.query(wanted)));
    let mut found = UidSet::new();
    let mut open = search.uids().clone();
    if let Some(fields) = search.first() {
        let mut next = Some(Scan::new(std::mem::take(&mut open), fields).limit(500));
        while let Some(scan) = next {
            let page = mail.scan(mailbox, scan.clone()).await?;
            let mut judged = 0;
            for message in &page.messages {
                match search.judge(message) {
                    Some(true) => found.insert(message.uid),
                    Some(false) => {}
                    None => {
                        open.insert(message.uid);
                        continue;
                    }
                }
                judged += 1;
            }
            work.advance(judged);
            next = scan.after(&page);
        }
    }
    let mut unread = Vec::new();
    let mut looking: Option<JoinHandle<Looked>> = None;
    let mut next = (!open.is_empty()).then(|| Scan::new(open, search.second()).limit(500));
    while let Some(scan) = next {
        let page = mail.scan(mailbox, scan.clone()).await?;
        next = scan.after(&page);
        let search = Arc::clone(&search);
        let look = work.workers.start(move || look(&search, page)).await;
        if let Some(before) = looking.replace(look) {
            take(before, &mut found, &mut unread, work).await?;
        }
    }
    if let Some(last) = looking {
        take(last, &mut found, &mut unread, work).await?;
    }
    for message in &unread {
        match read(mail, mailbox, &search, message).await {
            Ok(true) => found.insert(message.uid),
            Ok(false) => {}
            // Expunged since the page was read.
            Err(Failure::Gone) if body::is_gone(mail, mailbox, message.uid).await? => {}
            Err(failure) => return Err(failure),
        }
        work.advance(1);
    }
    Ok(found)
}

/// What came of looking through a page.
struct Looked {
    judged: usize,
    found: Vec<Uid>,
    unread: Vec<Message>,
}

fn look(search: &Search, page: Page) -> Looked {
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    let all = page.messages.len();
    for mut message in page.messages {
        match search.look(&message) {
            Some(true) => found.push(message.uid),
            Some(false) => {}
            None => {
                // What is read by itself is not held twice.
                (message.text, message.content) = (None, None);
                unread.push(message);
            }
        }
    }
    let judged = all - unread.len();
    Looked {
        judged,
        found,
        unread,
    }
}

async fn take(
    looked: JoinHandle<Looked>,
    found: &mut UidSet,
    unread: &mut Vec<Message>,
    work: &Work,
) -> Result<(), Failure> {
    let looked = joined(looked).await?;
    work.advance(looked.judged);
    looked.found.into_iter().for_each(|uid| found.insert(uid));
    unread.extend(looked.unread);
    Ok(())
}

/// Judges a message whose text is not at hand, by its octets.
async fn read<M: Mailboxes>(
    mail: &M,
    mailbox: MailboxId,
    search: &Search,
    message: &Message,
) -> Result<bool, Failure> {
    let index = body::index_of(mail, mailbox, message).await?;
    let mut looking = Looking::new(search, message);
    let longest = index
        .parts()
        .map(|part| part.header())
        .map(|it| it.end - it.start)
        .max();
    let _turn = match longest > Some(LARGE) {
        true => HEAVY.acquire().await.ok(),
        false => None,
    };
    if looking.wants_header() {
        let header = index.section(&[], Section::Header).unwrap_or(0..0);
        looking.header(&body::read_all(mail, mailbox, message, header).await?);
    }
    if let Some(verdict) = looking.early() {
        return Ok(verdict);
    }
    let mut walk = Walk::new(&index);
    while let Some(range) = walk.wanted(&mut looking) {
        let end = range.end.min(range.start + PIECE);
        let octets = mail.read(mailbox, message, range.start..end).await?;
        if octets.is_empty() {
            return Err(Failure::Damaged("a message is shorter than it should be".into()));
        }
        walk.push(&octets, &mut looking);
        task::yield_now().await;
    }
    Ok(looking.verdict())
}

/// Makes a query of what the engine resolved.
struct Reader {
    /// The wall clock.
    now: i64,
    /// Whether messages have dates of saving.
    save_dates: bool,
}

impl Reader {
    /// The engine bounds how deep criteria nest.
    fn query(&self, wanted: &Criterion) -> Query {
        let on = |of, day: &Date| Query::Day(of, day.unix_days()..day.unix_days() + 1);
        let before = |of, day: &Date| Query::Day(of, i64::MIN..day.unix_days());
        let since = |of, day: &Date| Query::Day(of, day.unix_days()..i64::MAX);
        let saving = match self.save_dates {
            true => DateOf::Saving,
            false => DateOf::Arrival,
        };
        match wanted {
            Criterion::All => Query::All,
            Criterion::Uids(uids) => Query::Uids(uids_from_imap(uids)),
            Criterion::Flag(Flag::Keyword(keyword)) => {
                Keyword::parse(keyword.as_str()).map_or(NOTHING, Query::Keyword)
            }
            Criterion::Flag(flag) => system_flag(flag).map_or(NOTHING, Query::Flag),
            Criterion::Before(day) => before(DateOf::Arrival, day),
            Criterion::On(day) => on(DateOf::Arrival, day),
            Criterion::Since(day) => since(DateOf::Arrival, day),
            Criterion::SentBefore(day) => before(DateOf::Sending, day),
            Criterion::SentOn(day) => on(DateOf::Sending, day),
            Criterion::SentSince(day) => since(DateOf::Sending, day),
            Criterion::SavedBefore(day) => before(saving, day),
            Criterion::SavedOn(day) => on(saving, day),
            Criterion::SavedSince(day) => since(saving, day),
            Criterion::SaveDateSupported if self.save_dates => Query::All,
            Criterion::SaveDateSupported => NOTHING,
            Criterion::Larger(size) => Query::Size(size.saturating_add(1)..u64::MAX),
            Criterion::Smaller(size) => Query::Size(0..*size),
            Criterion::ModSeq(least) => Query::ModSeq(ModSeq::new(*least)),
            Criterion::Younger(seconds) => Query::younger(self.now, *seconds),
            Criterion::Older(seconds) => Query::older(self.now, *seconds),
            Criterion::EmailId(id) => octets_of(id).map_or(NOTHING, Query::Email),
            Criterion::ThreadId(id) => thread_of(id).map_or(NOTHING, Query::Thread),
            Criterion::Header { name, value } => Query::Header {
                name: name.clone(),
                value: value.clone(),
            },
            Criterion::Body(text) => Query::Body(text.clone()),
            Criterion::Text(text) => Query::Text(text.clone()),
            Criterion::Not(inner) => Query::Not(Box::new(self.query(inner))),
            Criterion::Or(a, b) => Query::Or(vec![self.query(a), self.query(b)]),
            Criterion::And(all) => Query::And(all.iter().map(|it| self.query(it)).collect()),
            // A criterion that the engine learns finds nothing before it is added here.
            _ => NOTHING,
        }
    }
}

/// What no message fulfils.
const NOTHING: Query = Query::Or(Vec::new());

/// What an EMAILID of ours stands for: `M` and the hash of the octets.
fn octets_of(id: &ObjectId) -> Option<BlobHash> {
    let hex = id.as_str().strip_prefix('M').filter(|hex| hex.len() == 64)?;
    let mut hash = [0; 32];
    for (octet, digits) in hash.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *octet = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    let hash = BlobHash::from_bytes(hash);
    // Identifiers differ by case.
    (hash.to_string() == hex).then_some(hash)
}

/// What a THREADID of ours stands for: `T` and its number.
fn thread_of(id: &ObjectId) -> Option<ThreadId> {
    let number = id.as_str().strip_prefix('T')?;
    let thread = ThreadId::new(number.parse().ok()?);
    (thread.to_string() == number).then_some(thread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_read_as_they_are_told() {
        let id = |text: &str| ObjectId::new(text).expect("an identifier");
        let hash = BlobHash::of(b"x");
        assert_eq!(octets_of(&id(&format!("M{hash}"))), Some(hash));
        let other_case = hash.to_string().to_uppercase();
        for other in [
            format!("M{other_case}"),
            format!("T{hash}"),
            "M".into(),
            "Mxx".into(),
        ] {
            assert_eq!(octets_of(&id(&other)), None, "{other}");
        }
        assert_eq!(thread_of(&id("T17")), Some(ThreadId::new(17)));
        for other in ["T017", "T", "M17", "T-1", "T18446744073709551616"] {
            assert_eq!(thread_of(&id(other)), None, "{other}");
        }
    }
}
