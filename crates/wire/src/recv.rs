use bytes::{Bytes, BytesMut};

/// Bytes that arrived and were not parsed yet; bounded, and small again when idle.
///
/// The buffer offers room in steps of [`READ_SIZE`](RecvBuf::READ_SIZE) up to its limit. When everything was
/// taken and the buffer had grown, its memory is given back, so an idle connection costs at most one read.
#[derive(Debug)]
pub struct RecvBuf {
    /// `buf[..filled]` is data, the rest is zeroed room.
    buf: BytesMut,
    filled: usize,
    limit: usize,
    eof: bool,
}

impl RecvBuf {
    /// How much room is offered at a time at least, in octets, while the limit allows it.
    pub const READ_SIZE: usize = 4096;

    /// Makes a buffer that never holds more than `limit` octets of unread data (at least 1).
    pub fn new(limit: usize) -> Self {
        Self {
            buf: BytesMut::new(),
            filled: 0,
            limit: limit.max(1),
            eof: false,
        }
    }

    /// Changes the limit. Data that is already held stays, even above a smaller limit.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit.max(1);
    }

    /// The most octets of unread data this buffer holds.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// The room to read into; empty when the buffer is full.
    pub fn room(&mut self) -> &mut [u8] {
        let want = (self.filled + Self::READ_SIZE).min(self.limit).max(self.filled);
        // Room that a larger read left behind is used in full rather than cut to one step.
        let end = want.max(self.buf.len().min(self.limit));
        if self.buf.len() < end {
            self.buf.resize(end, 0);
        }
        &mut self.buf[self.filled..end]
    }

    /// Offers up to `size` octets of room, within the limit: for bodies, where large reads pay off.
    pub fn room_for(&mut self, size: usize) -> &mut [u8] {
        let end = self.filled.saturating_add(size).min(self.limit).max(self.filled);
        if self.buf.len() < end {
            self.buf.resize(end, 0);
        }
        self.room()
    }

    /// Takes note of `n` octets that were written into [`room`](RecvBuf::room); 0 is the end of input.
    ///
    /// # Panics
    ///
    /// Panics if `n` is larger than the room that was offered.
    pub fn received(&mut self, n: usize) {
        assert!(
            self.filled + n <= self.buf.len(),
            "received() more than recv_buf() offered"
        );
        self.eof |= n == 0;
        self.filled += n;
    }

    /// The unread data.
    pub fn data(&self) -> &[u8] {
        &self.buf[..self.filled]
    }

    /// Whether the peer ended its side; unread data may be left.
    pub fn is_eof(&self) -> bool {
        self.eof
    }

    /// Whether the buffer holds as much as it may.
    pub fn is_full(&self) -> bool {
        self.filled >= self.limit
    }

    /// Takes the first `n` octets out, without copying them.
    ///
    /// # Panics
    ///
    /// Panics if fewer than `n` octets are held.
    pub fn take(&mut self, n: usize) -> Bytes {
        assert!(n <= self.filled, "take() more than was received");
        let taken = self.buf.split_to(n).freeze();
        self.consumed(n);
        taken
    }

    /// Drops the first `n` octets.
    ///
    /// # Panics
    ///
    /// Panics if fewer than `n` octets are held.
    pub fn skip(&mut self, n: usize) {
        assert!(n <= self.filled, "skip() more than was received");
        bytes::Buf::advance(&mut self.buf, n);
        self.consumed(n);
    }

    /// Drops all unread data and says how much there was.
    ///
    /// For what must not survive a change of trust: plaintext after STARTTLS (RFC 3207 §4.2).
    pub fn clear(&mut self) -> usize {
        let dropped = self.filled;
        self.skip(dropped);
        dropped
    }

    fn consumed(&mut self, n: usize) {
        self.filled -= n;
        if self.filled == 0 && self.buf.len() > 4 * Self::READ_SIZE {
            self.buf = BytesMut::new();
        }
    }

    /// Gives back all memory if no data is held: for connections that will be quiet for long.
    pub fn shrink(&mut self) {
        if self.filled == 0 {
            self.buf = BytesMut::new();
        }
    }
}

impl Default for RecvBuf {
    /// A buffer of at most 64 KiB.
    fn default() -> Self {
        Self::new(64 * 1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(buf: &mut RecvBuf, mut data: &[u8]) {
        while !data.is_empty() {
            let room = buf.room();
            let n = room.len().min(data.len());
            assert!(n > 0, "no room");
            room[..n].copy_from_slice(&data[..n]);
            buf.received(n);
            data = &data[n..];
        }
    }

    #[test]
    fn room_ends_at_the_limit() {
        let mut buf = RecvBuf::new(5000);
        fill(&mut buf, &[1; 5000]);
        assert!(buf.room().is_empty() && buf.is_full());
        assert_eq!(buf.take(1).as_ref(), &[1]);
        assert_eq!(buf.room().len(), 1);
    }

    #[test]
    fn taken_chunks_stay_valid_while_the_buffer_is_reused() {
        let mut buf = RecvBuf::new(100_000);
        fill(&mut buf, b"hello world");
        let hello = buf.take(5);
        fill(&mut buf, &[b'x'; 9000]);
        assert_eq!(hello.as_ref(), b"hello");
        assert!(buf.data().starts_with(b" worldxxx"));
        assert_eq!(buf.clear(), 9006);
        assert!(buf.data().is_empty());
    }

    #[test]
    fn idle_buffers_are_small() {
        let mut buf = RecvBuf::new(1 << 20);
        fill(&mut buf, &[b'x'; 1 << 20]);
        buf.skip(1 << 20);
        assert_eq!(buf.buf.capacity(), 0);
        fill(&mut buf, b"x");
        buf.skip(1);
        buf.shrink();
        assert_eq!(buf.buf.capacity(), 0);
    }

    #[test]
    fn end_of_input_is_remembered() {
        let mut buf = RecvBuf::default();
        let _ = buf.room();
        buf.received(0);
        assert!(buf.is_eof());
    }

    #[test]
    #[should_panic(expected = "received() more than recv_buf() offered")]
    fn claiming_more_than_the_room_panics() {
        let mut buf = RecvBuf::new(10);
        let _ = buf.room();
        buf.received(11);
    }
}
