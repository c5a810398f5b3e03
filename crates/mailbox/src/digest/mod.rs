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
    /// The most octets of a message that are held in memory, 256 KiB by default. The text of a longer one is read again
    /// from where it was written, and a header that is longer has no keys.
    pub buffer: usize,
    /// The longest message that is searched in its own octets where it is nothing but text, 64 KiB by default. The
    /// text of others is kept.
    pub plain: u64,
    /// The most octets of text that are kept of a message, 256 KiB by default. A longer text is not kept at all.
    pub text: usize,
    /// How parts are indexed.
    pub index: index::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            buffer: 256 * 1024,
            plain: 64 * 1024,
            text: 256 * 1024,
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
        let room = self.options.buffer.saturating_sub(self.head.len());
        self.head.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }

    /// Ends the message.
    pub fn finish(mut self) -> Digest {
        let index = self.index.finish();
        let mut meta = MessageMeta::new(index.to_bytes());
        let is_whole = index.octets() == self.head.len() as u64;
        let header = index.section(&[], Section::Header).unwrap_or(0..0);
        let mut is_plain = false;
        if header.end > self.head.len() as u64 {
            // Keys of half a header would be others than those of the whole; a thread is better than none.
            meta.threading = Keys::of(&self.head).into_parts().1;
        } else {
            let mut keys = Keys::of(text::slice(&self.head, header.clone()));
            is_plain = is_whole && index.octets() <= self.options.plain && text::is_plain(&index, &self.head);
            if is_plain {
                // A header of a message that is no longer than the buffer.
                keys.set_plain(header.end as u32);
            }
            (meta.sort_keys, meta.threading) = keys.into_parts();
        }
        let mut kept = Kept::new(self.options.text);
        if is_whole && !is_plain {
            Walk::new(&index).run(&self.head, &mut kept);
            (meta.text, meta.sketch) = kept.finish();
            kept = Kept::new(0);
        }
        if is_plain {
            let mut all = Kept::new(usize::MAX);
            text::plain(&self.head, header.end as u32, &mut all);
            meta.sketch = all.finish().1;
        }
        let left = (!is_whole).then_some(kept);
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
