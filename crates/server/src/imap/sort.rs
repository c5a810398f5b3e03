//! SORT and THREAD over mailboxes, by what is kept with each message (RFC 5256, RFC 5957)
//!
//! Of a message no more is held than what it is sorted by. Pages are read while the one before is taken in, apart from
//! the threads that serve connections.

use super::backend::{Backend, Failure, Mailboxes};
use super::session::{Session, Stop};
use super::work::{Work, joined};
use super::{body, search};
use bytes::Bytes;
use mailwright_imap::{self as imap, SortRequest, ThreadAlgorithm, ThreadRequest};
use mailwright_mailbox::conversation::Place;
use mailwright_mailbox::digest::Keys;
use mailwright_mailbox::sort::{SortCriterion, SortKey, Sorter, Threader, Threads};
use mailwright_mailbox::{Fields, MailboxId, Message, Page, Scan, Uid, UidSet};
use mailwright_message::index::Section;

/// How many messages are read, and told of, at a time.
const PIECE: usize = 1000;

impl<B: Backend> Session<B> {
    pub(super) async fn sort(&mut self, request: &SortRequest) -> Result<(), Stop> {
        let (mail, mailbox) = (self.mail()?, self.selected_mailbox()?);
        let exists = self.exists();
        let work = self.work(Some(exists.saturating_mul(2)));
        let criteria = request.order.iter().filter_map(criterion).collect();
        let sorting = async {
            let found = search::run(&*mail, mailbox, &request.criterion, &work).await?;
            work.reach(exists);
            let sorter = gather(&*mail, mailbox, found, Sorter::new(criteria), &work).await?;
            joined(work.workers.start(move || sorter.finish()).await).await
        };
        let sorted = self.wait_for(&work, sorting).await?;
        for piece in sorted.chunks(PIECE) {
            let piece: Vec<u32> = piece.iter().map(|uid| uid.value()).collect();
            self.conn.machine().sorted(&piece);
            self.make_room().await?;
        }
        self.yes()
    }

    pub(super) async fn thread(&mut self, request: &ThreadRequest) -> Result<(), Stop> {
        let (mail, mailbox) = (self.mail()?, self.selected_mailbox()?);
        let exists = self.exists();
        let work = self.work(Some(exists.saturating_mul(2)));
        let how = match request.algorithm {
            ThreadAlgorithm::References => Threads::References,
            // The only other one that is offered.
            _ => Threads::OrderedSubject,
        };
        let threading = async {
            let found = search::run(&*mail, mailbox, &request.criterion, &work).await?;
            work.reach(exists);
            let threader = gather(&*mail, mailbox, found, Threader::new(), &work).await?;
            joined(work.workers.start(move || threader.finish(how)).await).await
        };
        let places: Vec<Place> = self.wait_for(&work, threading).await?;
        let places = places
            .iter()
            .map(|place| (place.depth, place.uid.map(Uid::value)));
        self.conn.machine().threads(places);
        Ok(())
    }
}

/// Takes messages in, one by one.
trait Gather: Send + 'static {
    /// What has to be read of them.
    const FIELDS: Fields;

    fn push(&mut self, message: &Message, keys: &Keys);
}

impl Gather for Sorter {
    const FIELDS: Fields = Self::FIELDS;

    fn push(&mut self, message: &Message, keys: &Keys) {
        Self::push(self, message, keys);
    }
}

impl Gather for Threader {
    const FIELDS: Fields = Self::FIELDS;

    fn push(&mut self, message: &Message, keys: &Keys) {
        Self::push(self, message, keys);
    }
}

/// Takes in messages of a mailbox, in their order.
async fn gather<M: Mailboxes, G: Gather>(
    mail: &M,
    mailbox: MailboxId,
    uids: UidSet,
    into: G,
    work: &Work,
) -> Result<G, Failure> {
    let mut next = (!uids.is_empty()).then(|| Scan::new(uids, G::FIELDS).limit(PIECE));
    let mut taking = work.workers.start(move || (into, UidSet::new())).await;
    while let Some(scan) = next {
        let page = mail.scan(mailbox, scan.clone()).await?;
        next = scan.after(&page);
        let into = take_unkept(mail, mailbox, joined(taking).await?, work).await?;
        work.advance(page.messages.len());
        taking = work.workers.start(move || take(into, &page)).await;
    }
    take_unkept(mail, mailbox, joined(taking).await?, work).await
}

/// Takes in the messages of a page, but for those whose keys were not kept.
fn take<G: Gather>(mut into: G, page: &Page) -> (G, UidSet) {
    let mut unkept = UidSet::new();
    for message in &page.messages {
        match Keys::from_bytes(&message.sort_keys) {
            Some(keys) => into.push(message, &keys),
            None => unkept.insert(message.uid),
        }
    }
    (into, unkept)
}

/// Takes in messages by their headers.
async fn take_unkept<M: Mailboxes, G: Gather>(
    mail: &M,
    mailbox: MailboxId,
    (mut into, unkept): (G, UidSet),
    work: &Work,
) -> Result<G, Failure> {
    let fields = G::FIELDS | Fields::BLOB | Fields::INDEX;
    let mut next = (!unkept.is_empty()).then(|| Scan::new(unkept, fields));
    while let Some(scan) = next {
        let page = mail.scan(mailbox, scan.clone()).await?;
        for message in &page.messages {
            let header = match header(mail, mailbox, message).await {
                Ok(header) => header,
                // Expunged since the page was read.
                Err(Failure::Gone) if body::is_gone(mail, mailbox, message.uid).await? => continue,
                Err(failure) => return Err(failure),
            };
            let keys = joined(work.workers.start(move || Keys::of(&header)).await).await?;
            into.push(message, &keys);
        }
        next = scan.after(&page);
    }
    Ok(into)
}

async fn header<M: Mailboxes>(mail: &M, mailbox: MailboxId, message: &Message) -> Result<Bytes, Failure> {
    let index = body::index_of(mail, mailbox, message).await?;
    let range = index.section(&[], Section::Header).unwrap_or(0..0);
    body::read_all(mail, mailbox, message, range).await
}

fn criterion(by: &imap::SortBy) -> Option<SortCriterion> {
    let key = match by.key {
        imap::SortKey::Arrival => SortKey::Arrival,
        imap::SortKey::Cc => SortKey::Cc,
        imap::SortKey::Date => SortKey::Date,
        imap::SortKey::From => SortKey::From,
        imap::SortKey::Size => SortKey::Size,
        imap::SortKey::Subject => SortKey::Subject,
        imap::SortKey::To => SortKey::To,
        imap::SortKey::DisplayFrom => SortKey::DisplayFrom,
        imap::SortKey::DisplayTo => SortKey::DisplayTo,
        // A key that the engine learns orders nothing before it is added here.
        _ => return None,
    };
    let reverse = by.reverse;
    Some(SortCriterion { key, reverse })
}
