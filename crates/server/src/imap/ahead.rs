//! Short messages read before their rows are told, many at a time (RFC 3501 §6.4.5)

use super::backend::Mailboxes;
use bytes::Bytes;
use mailwright_imap::FetchItem;
use mailwright_mailbox::{MailboxId, Message};
use mailwright_message::Index;
use std::ops::Range;

/// How many octets of a message's sections are read before its row is begun; what is beyond comes piece by
/// piece, so that a command that asks for thousands of sections does not hold them all.
pub(super) const AT_ONCE: u64 = 64 * 1024;

/// How many octets are read ahead, at most.
const OCTETS: u64 = 256 * 1024;

/// How many messages are looked at ahead, at most.
const MESSAGES: usize = 64;

/// What is known of a message before its row is told. Nothing of it is needed: what is missing is read in its turn.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Its structure.
    pub(super) index: Option<Index>,
    octets: Vec<(Range<u64>, Bytes)>,
}

impl Ahead {
    /// Finds octets that were read.
    pub(super) fn octets(&self, range: &Range<u64>) -> Option<Bytes> {
        let (_, octets) = self.octets.iter().find(|(read, _)| read == range)?;
        Some(octets.clone())
    }
}

/// Reads what the first of these messages need; of how many is up to their sizes, and at least one. What cannot be read is
/// left out: it is asked for again when its row is told, where the failure has its answer.
pub(super) async fn read<M: Mailboxes>(
    mail: &M,
    mailbox: MailboxId,
    items: &[FetchItem],
    messages: &[Message],
) -> Vec<Ahead> {
    let (mut known, mut wanted, mut total) = (Vec::new(), Vec::new(), 0);
    for message in messages.iter().take(MESSAGES) {
        let mut ahead = Ahead::default();
        if !message.index.is_empty() {
            ahead.index = Index::from_bytes(message.index.clone()).ok();
        }
        if let Some(index) = &ahead.index {
            let ranges = short_sections(items, index);
            total += ranges.iter().map(|range| range.end - range.start).sum::<u64>();
            if total > OCTETS {
                break;
            }
            wanted.extend(ranges.into_iter().map(|range| (known.len(), message, range)));
        }
        known.push(ahead);
    }
    // One alone is read as well in its turn, and held no longer.
    if wanted.len() > 1 {
        let asked: Vec<_> = wanted
            .iter()
            .map(|(_, message, range)| (*message, range.clone()))
            .collect();
        for ((at, _, range), octets) in wanted.into_iter().zip(mail.read_many(mailbox, &asked).await) {
            // A read may stop short of its end.
            if let Ok(octets) = octets
                && octets.len() as u64 == range.end - range.start
            {
                known[at].octets.push((range, octets));
            }
        }
    }
    known
}

/// Where the sections are that a row holds before it is begun.
fn short_sections(items: &[FetchItem], index: &Index) -> Vec<Range<u64>> {
    let mut room = AT_ONCE;
    let located = items.iter().filter_map(|item| match item {
        FetchItem::Section(item) => item.section.locate(index),
        _ => None,
    });
    let fits = |range: &Range<u64>| {
        let len = range.end.saturating_sub(range.start);
        let fits = len > 0 && len <= room;
        room -= if fits { len } else { 0 };
        fits
    };
    located.filter(fits).collect()
}
