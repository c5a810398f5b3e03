//! SEARCH over mailboxes: the exact substring rule of RFC 9051 §6.4.4, by the stages of [`mailwright_mailbox::search`]
//!
//! Rows and keys are judged as they come. Texts are looked through apart from the threads that serve connections, a page
//! at a time and while the next one is read. Only what has no text at hand is read message by message.

use super::backend::{Failure, Mailboxes};
use super::body;
use super::convert::{system_flag, uids_from_imap};
use mailwright_imap::{Criterion, Flag};
use mailwright_mailbox::digest::text::Walk;
use mailwright_mailbox::search::{DateOf, Looking, Query, Search};
use mailwright_mailbox::{Keyword, MailboxId, Message, Page, Scan, Uid, UidSet};
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

/// Finds the messages of a mailbox that fulfil a criterion, in order.
pub(super) async fn run<M: Mailboxes>(
    mail: &M,
    mailbox: MailboxId,
    wanted: &Criterion,
) -> Result<Vec<Uid>, Failure> {
    let search = Arc::new(Search::new(&query(wanted)));
    let mut found = UidSet::new();
    let mut open = search.uids().clone();
    if let Some(fields) = search.first() {
        let mut next = Some(Scan::new(std::mem::take(&mut open), fields).limit(500));
        while let Some(scan) = next {
            let page = mail.scan(mailbox, scan.clone()).await?;
            for message in &page.messages {
                match search.judge(message) {
                    Some(true) => found.insert(message.uid),
                    Some(false) => {}
                    None => open.insert(message.uid),
                }
            }
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
        let look = task::spawn_blocking(move || look(&search, page));
        if let Some(before) = looking.replace(look) {
            take(before, &mut found, &mut unread).await?;
        }
    }
    if let Some(last) = looking {
        take(last, &mut found, &mut unread).await?;
    }
    for message in &unread {
        match read(mail, mailbox, &search, message).await {
            Ok(true) => found.insert(message.uid),
            Ok(false) => {}
            // Expunged since the page was read.
            Err(Failure::Gone) if body::is_gone(mail, mailbox, message.uid).await? => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(found.iter().collect())
}

/// What came of looking through a page.
struct Looked {
    found: Vec<Uid>,
    unread: Vec<Message>,
}

fn look(search: &Search, page: Page) -> Looked {
    let (mut found, mut unread) = (Vec::new(), Vec::new());
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
    Looked { found, unread }
}

async fn take(
    looked: JoinHandle<Looked>,
    found: &mut UidSet,
    unread: &mut Vec<Message>,
) -> Result<(), Failure> {
    let looked = looked.await.map_err(|error| Failure::Broken(error.to_string()))?;
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
        walk.push(&octets, &mut looking);
        task::yield_now().await;
    }
    Ok(looking.verdict())
}

/// What the engine resolved, as the mailbox is searched for it. The engine bounds how deep criteria nest.
fn query(wanted: &Criterion) -> Query {
    let many = |all: &[Criterion]| all.iter().map(query).collect();
    match wanted {
        Criterion::All => Query::All,
        Criterion::Uids(uids) => Query::Uids(uids_from_imap(uids)),
        Criterion::Flag(Flag::Keyword(keyword)) => match Keyword::parse(keyword.as_str()) {
            Some(keyword) => Query::Keyword(keyword),
            None => Query::Or(Vec::new()),
        },
        Criterion::Flag(flag) => match system_flag(flag) {
            Some(flag) => Query::Flag(flag),
            None => Query::Or(Vec::new()),
        },
        Criterion::Before(day) => Query::Day(DateOf::Arrival, i64::MIN..day.unix_days()),
        Criterion::On(day) => Query::Day(DateOf::Arrival, day.unix_days()..day.unix_days() + 1),
        Criterion::Since(day) => Query::Day(DateOf::Arrival, day.unix_days()..i64::MAX),
        Criterion::SentBefore(day) => Query::Day(DateOf::Sending, i64::MIN..day.unix_days()),
        Criterion::SentOn(day) => Query::Day(DateOf::Sending, day.unix_days()..day.unix_days() + 1),
        Criterion::SentSince(day) => Query::Day(DateOf::Sending, day.unix_days()..i64::MAX),
        Criterion::Larger(size) => Query::Size(size.saturating_add(1)..u64::MAX),
        Criterion::Smaller(size) => Query::Size(0..*size),
        Criterion::Header { name, value } => Query::Header {
            name: name.clone(),
            value: value.clone(),
        },
        Criterion::Body(text) => Query::Body(text.clone()),
        Criterion::Text(text) => Query::Text(text.clone()),
        Criterion::Not(inner) => Query::Not(Box::new(query(inner))),
        Criterion::Or(a, b) => Query::Or(vec![query(a), query(b)]),
        Criterion::And(all) => Query::And(many(all)),
        // A criterion that the engine learns finds nothing before it is added here.
        _ => Query::Or(Vec::new()),
    }
}
