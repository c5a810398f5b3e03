//! The digest of a message: what is computed once, when it comes in
//!
//! A [`Builder`] takes the octets as they stream in and makes the part index, the keys that a message is sorted by
//! ([`Keys`]), what puts it into a thread, a sketch of the text that is searched, and, where that is worth keeping, the
//! text itself ([`text`]). All of it follows from the octets alone: what was not kept is computed again when it is asked for,
//! with the same result.

mod keys;
pub(crate) mod sketch;
pub mod text;

use mailwright_message::index::{self, Index, Section};

use crate::MessageMeta;

pub use keys::{Keys, Named};
use text::{Kept, Walk};

/// What a [`Builder`] holds in memory, and what is kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The most octets of a message that are held in memory, 32 KiB by default. Of a longer one the header alone is
    /// held, and its text is read again from where it was written. 0 suits those who have short messages at hand at
    /// their end, for [`Builder::finish_with`].
    pub buffer: usize,
    /// The longest header that is held in memory, 256 KiB by default. A longer one has no keys.
    pub header: usize,
    /// The longest message that is searched in its own octets where it is nothing but text, 32 KiB by default. The
    /// text of others is kept.
    pub plain: u64,
    /// The most octets of text that are kept of a message, 16 KiB by default. A longer text is not kept at all; its
    /// sketch is.
    pub text: usize,
    /// How parts are indexed.
    pub index: index::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            buffer: 32 * 1024,
            header: 256 * 1024,
            plain: 32 * 1024,
            text: 16 * 1024,
            index: index::Options::default(),
        }
    }
}

/// Makes the digest of a message from its octets, in chunks of any size.
///
/// ```
/// use mailwright_mailbox::digest::{Builder, Keys, Options};
/// let mut builder = Builder::new(Options::default());
/// builder.push(b"Subject: Re: [team] Lunch?\r\n");
/// builder.push(b"Date: Fri, 21 Nov 1997 09:55:06 -0600\r\n\r\nAt one.\r\n");
/// let digest = builder.finish();
/// let keys = Keys::from_bytes(&digest.meta.sort_keys).unwrap();
/// assert_eq!(keys.base_subject(), "LUNCH?");
/// assert_eq!(keys.sent().unwrap().unix, 880_127_706);
/// // A short plain message is searched in its own octets.
/// assert_eq!(digest.meta.text, None);
/// ```
#[derive(Debug)]
pub struct Builder {
    options: Options,
    index: index::Builder,
    head: Vec<u8>,
}

impl Builder {
    /// Begins a message.
    pub fn new(options: Options) -> Self {
        Self {
            index: Index::builder(options.index.clone()),
            options,
            head: Vec::new(),
        }
    }

    /// Takes the next octets.
    pub fn push(&mut self, chunk: &[u8]) {
        self.index.push(chunk);
        let Options { buffer, header, .. } = self.options;
        let header_end = self
            .index
            .header_end()
            .map(|at| usize::try_from(at).unwrap_or(usize::MAX));
        let is_short = self.index.octets() <= buffer as u64;
        let most = match header_end {
            _ if is_short => buffer,
            None => header,
            Some(end) => end.min(header),
        };
        let room = most.saturating_sub(self.head.len());
        self.head.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if self.head.len() > most {
            self.head.truncate(most);
            self.head.shrink_to_fit();
        }
    }

    /// Ends the message.
    pub fn finish(mut self) -> Digest {
        let head = core::mem::take(&mut self.head);
        self.end(&head)
    }

    /// Ends a message whose octets are at hand, all of them, so that none have to be read again.
    pub fn finish_with(self, message: &[u8]) -> Digest {
        self.end(message)
    }

    fn end(mut self, head: &[u8]) -> Digest {
        let index = self.index.finish();
        let mut meta = MessageMeta::new(index.to_bytes());
        let is_whole = index.octets() == head.len() as u64;
        let header = index.section(&[], Section::Header).unwrap_or(0..0);
        let mut is_plain = false;
        if header.end > head.len() as u64 || header.end > self.options.header as u64 {
            // Keys of half a header would be others than those of the whole; a thread is better than none.
            let known = &head[..head.len().min(self.options.header)];
            meta.threading = Keys::of(known).into_parts().1;
        } else {
            let mut keys = Keys::of(text::slice(head, header.clone()));
            is_plain = is_whole && index.octets() <= self.options.plain && text::is_plain(&index, head);
            if is_plain {
                // A header of a message that is no longer than a plain one may be.
                keys.set_plain(header.end as u32);
            }
            (meta.sort_keys, meta.threading) = keys.into_parts();
        }
        let left = match () {
            () if is_plain => {
                // Its text is what it is: only the sketch is kept.
                let mut kept = Kept::new(0);
                text::plain(head, header.end as u32, &mut kept);
                meta.sketch = kept.finish().1;
                None
            }
            () if is_whole => {
                let mut kept = Kept::new(self.options.text);
                Walk::new(&index).run(head, &mut kept);
                (meta.text, meta.sketch) = kept.finish();
                None
            }
            () => Some(Kept::new(self.options.text)),
        };
        Digest { index, meta, left }
    }
}

/// The digest of a message.
#[derive(Debug)]
#[non_exhaustive]
pub struct Digest {
    /// The part index.
    pub index: Index,
    /// What goes into [`Op::Append`](crate::Op::Append), the bytes of the index among it.
    pub meta: MessageMeta,
    /// Where the text of a message goes that was too long to be held: run a [`Walk`] over what was written with this,
    /// and give it to [`Digest::keep`]. `None` when there is nothing to do.
    pub left: Option<Kept>,
}

impl Digest {
    /// Takes the text of a message that was too long to be held.
    pub fn keep(&mut self, text: Kept) {
        (self.meta.text, self.meta.sketch) = text.finish();
    }
}
