use bytes::{Bytes, BytesMut};

/// Bytes that arrived and were not parsed yet; bounded, and small again when idle.
///
/// The buffer offers room in steps of [`READ_SIZE`](RecvBuf::READ_SIZE) up to its limit. When everything was
/// taken and the buffer had grown, its memory is given back, so an idle connection costs at most one read.
#[derive(Debug)]
pub struct RecvBuf {
    /// `buf[start..end]` is data, what is behind it room, and what is before it was skipped.
    buf: BytesMut,
    start: usize,
    end: usize,
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
            start: 0,
            end: 0,
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
        self.room_for(Self::READ_SIZE)
    }

    /// Offers up to `size` octets of room, within the limit: for bodies, where large reads pay off. Room that a larger
    /// read left behind is offered in full, and never less than [`READ_SIZE`](RecvBuf::READ_SIZE).
    pub fn room_for(&mut self, size: usize) -> &mut [u8] {
        let most = self.limit.saturating_sub(self.data().len());
        let least = size.max(Self::READ_SIZE).min(most);
        if self.buf.len() - self.end < least {
            self.drop_skipped();
            if self.buf.len() - self.end < least {
                self.buf.resize(self.end + least, 0);
            }
        }
        let room = &mut self.buf[self.end..];
        let most = most.min(room.len());
        &mut room[..most]
    }

    /// Takes note of `n` octets that were written into [`room`](RecvBuf::room); 0 is the end of input.
    ///
    /// # Panics
    ///
    /// Panics if `n` is larger than the room that was offered.
    pub fn received(&mut self, n: usize) {
        assert!(
            n <= self.buf.len() - self.end,
            "received() more than recv_buf() offered"
        );
        self.eof |= n == 0;
        self.end += n;
    }

    /// The unread data.
    #[inline]
    pub fn data(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    /// Whether the peer ended its side; unread data may be left.
    pub fn is_eof(&self) -> bool {
        self.eof
    }

    /// Whether the buffer holds as much as it may.
    pub fn is_full(&self) -> bool {
        self.data().len() >= self.limit
    }

    /// Takes the first `n` octets out, without copying them.
    ///
    /// # Panics
    ///
    /// Panics if fewer than `n` octets are held.
    pub fn take(&mut self, n: usize) -> Bytes {
        assert!(n <= self.data().len(), "take() more than was received");
        bytes::Buf::advance(&mut self.buf, self.start);
        let taken = self.buf.split_to(n).freeze();
        self.end -= self.start + n;
        self.start = 0;
        self.consumed();
        taken
    }

    /// Drops the first `n` octets.
    ///
    /// # Panics
    ///
    /// Panics if fewer than `n` octets are held.
    #[inline]
    pub fn skip(&mut self, n: usize) {
        assert!(n <= self.data().len(), "skip() more than was received");
        self.start += n;
        self.consumed();
    }

    /// Drops all unread data and says how much there was.
    ///
    /// For what must not survive a change of trust: plaintext after STARTTLS (RFC 3207 §4.2).
    pub fn clear(&mut self) -> usize {
        let dropped = self.data().len();
        self.skip(dropped);
        dropped
    }

    #[inline]
    fn consumed(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.buf.len() > 4 * Self::READ_SIZE {
                self.buf = BytesMut::new();
            }
        }
    }

    /// Makes room of what was skipped.
    fn drop_skipped(&mut self) {
        let held = self.end - self.start;
        // To move no more than was skipped costs no more than to have read it.
        match held <= self.start {
            true => self.buf.copy_within(self.start..self.end, 0),
            false => bytes::Buf::advance(&mut self.buf, self.start),
        }
        (self.start, self.end) = (0, held);
    }

    /// Gives back all memory if no data is held: for connections that will be quiet for long.
    pub fn shrink(&mut self) {
        if self.data().is_empty() {
            self.buf = BytesMut::new();
            (self.start, self.end) = (0, 0);
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
