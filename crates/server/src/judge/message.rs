//! A message that is being judged

use bytes::Bytes;
use mailwright_mailbox::StoreError;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;

/// Octets under way.
pub type Reading<'a> = Pin<Box<dyn Future<Output = Result<Bytes, StoreError>> + Send + 'a>>;

/// Something that octets are read from.
pub trait Octets: Send + Sync {
    /// How many there are.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads a range, which lies within [`len`](Self::len).
    fn read(&self, range: Range<u64>) -> Reading<'_>;
}

impl Octets for Bytes {
    fn len(&self) -> u64 {
        Bytes::len(self) as u64
    }

    fn read(&self, range: Range<u64>) -> Reading<'_> {
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(Bytes::len(self));
        let octets = self.slice(place(range.start)..place(range.end).max(place(range.start)));
        Box::pin(std::future::ready(Ok(octets)))
    }
}

/// A message that is being judged, as the filters before have changed it. Lines end in CRLF.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    header: &'a [u8],
    on_top: &'a [u8],
    rest: &'a dyn Octets,
}

impl std::fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Message<'a> {
    pub(crate) fn new(header: &'a [u8], on_top: &'a [u8], rest: &'a dyn Octets) -> Self {
        Self { header, on_top, rest }
    }

    /// Its header, without the empty line.
    pub fn header(&self) -> &'a [u8] {
        self.header
    }

    /// The fields that this server puts on top of it, Received among them, which are not in the message yet.
    pub fn on_top(&self) -> &'a [u8] {
        self.on_top
    }

    /// How many octets it has, without [`on_top`](Self::on_top).
    #[allow(clippy::len_without_is_empty)] // a message of no octets is a message
    pub fn len(&self) -> u64 {
        self.header.len() as u64 + self.rest.len()
    }

    /// How many octets stand ahead of the body: the header, and the empty line behind it if there is one.
    pub fn body_offset(&self) -> u64 {
        self.header.len() as u64 + self.rest.len().min(2)
    }

    /// Reads a range of its octets; what of it lies behind the end is not there. Read pieces of a sensible size: a
    /// message may have gigabytes.
    ///
    /// # Errors
    ///
    /// When the store, which holds long messages, fails.
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        let (start, end) = (range.start.min(self.len()), range.end.min(self.len()));
        let border = self.header.len() as u64;
        let within = |at: u64| usize::try_from(at.min(border)).unwrap_or(self.header.len());
        let first = self.header.get(within(start)..within(end)).unwrap_or_default();
        if end <= border {
            return Ok(Bytes::copy_from_slice(first));
        }
        let rest = self.rest.read(start.saturating_sub(border)..end - border).await?;
        Ok(match first.is_empty() {
            true => rest,
            false => [first, &rest].concat().into(),
        })
    }
}
