use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;

/// Output waiting for the transport: a queue of chunks.
///
/// Small pieces are gathered in one growing tail; a large one is queued by reference, so a blob travels from
/// the store to the socket without a copy.
#[derive(Debug, Default)]
pub struct SendBuf {
    chunks: VecDeque<Bytes>,
    tail: Vec<u8>,
    /// How much of the tail was sent.
    tail_sent: usize,
    len: usize,
}

impl SendBuf {
    /// Pieces of at least this many octets are queued by reference in [`put_bytes`](SendBuf::put_bytes).
    pub const BY_REFERENCE: usize = 1024;

    /// An empty queue keeps its memory up to this size, in octets: room for a line or two of reply.
    const KEPT: usize = 256;

    /// Octets that a tail has room for at first.
    const FIRST: usize = 128;

    /// Makes an empty queue; allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a copy of `data`.
    pub fn put(&mut self, data: &[u8]) {
        self.make_room(data.len());
        self.tail.extend_from_slice(data);
        self.len += data.len();
    }

    #[inline]
    fn make_room(&mut self, len: usize) {
        if self.tail.capacity() - self.tail.len() < len {
            // What is put in is often a word of a line.
            self.tail.reserve(len.max(Self::FIRST));
        }
    }

    /// Appends copies of all `parts`, in their order.
    #[inline]
    pub fn put_all<const N: usize>(&mut self, parts: [&[u8]; N]) {
        let len = parts.iter().map(|part| part.len()).sum();
        self.make_room(len);
        for part in parts {
            self.tail.extend_from_slice(part);
        }
        self.len += len;
    }

    /// Appends the last `len` octets once more, as long as all of them are in the tail; whether they were.
    ///
    /// For what is said twice in a row: a copy is cheaper than printing it anew.
    pub fn put_again(&mut self, len: usize) -> bool {
        let Some(start) = self
            .tail
            .len()
            .checked_sub(len)
            .filter(|start| *start >= self.tail_sent)
        else {
            return false;
        };
        self.make_room(len);
        self.tail.extend_from_within(start..);
        self.len += len;
        true
    }

    /// Appends `data`: by reference if it is large, else copied behind what is there.
    pub fn put_bytes(&mut self, data: Bytes) {
        if data.len() < Self::BY_REFERENCE {
            return self.put(&data);
        }
        self.seal();
        self.len += data.len();
        self.chunks.push_back(data);
    }

    /// Appends `n` in decimal.
    pub fn put_u64(&mut self, mut n: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (n % 10) as u8;
            n /= 10;
            if n == 0 {
                break;
            }
        }
        self.put(&digits[at..]);
    }

    /// The front chunk; empty only if the whole queue is.
    pub fn data(&self) -> &[u8] {
        self.chunks.front().map_or(self.tail(), |c| c)
    }

    /// Fills `slices` with chunks from the front; returns how many were filled.
    pub fn vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let tail = Some(self.tail()).filter(|t| !t.is_empty());
        let mut filled = 0;
        for (slot, chunk) in slices
            .iter_mut()
            .zip(self.chunks.iter().map(|c| &c[..]).chain(tail))
        {
            *slot = IoSlice::new(chunk);
            filled += 1;
        }
        filled
    }

    /// Drops the first `n` octets: they were sent.
    ///
    /// # Panics
    ///
    /// Panics if fewer than `n` octets are pending.
    pub fn sent(&mut self, mut n: usize) {
        assert!(n <= self.len, "sent() more than send_buf() held");
        self.len -= n;
        while let Some(front) = self.chunks.front_mut() {
            if n < front.len() {
                bytes::Buf::advance(front, n);
                return;
            }
            n -= front.len();
            self.chunks.pop_front();
        }
        self.tail_sent += n;
        if self.len == 0 {
            self.tail_sent = 0;
            self.tail.clear();
            // An idle connection keeps next to no output memory.
            if self.tail.capacity() > Self::KEPT {
                self.tail = Vec::new();
            }
            self.chunks = VecDeque::new();
        } else if self.tail_sent >= Self::BY_REFERENCE && self.tail_sent >= self.tail.len() / 2 {
            // Whoever never catches up must not make it grow.
            self.tail.drain(..self.tail_sent);
            self.tail_sent = 0;
        }
    }

    /// How many octets are pending.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn tail(&self) -> &[u8] {
        &self.tail[self.tail_sent..]
    }

    fn seal(&mut self) {
        if !self.tail().is_empty() {
            let mut chunk = Bytes::from(std::mem::take(&mut self.tail));
            bytes::Buf::advance(&mut chunk, self.tail_sent);
            self.chunks.push_back(chunk);
        }
        self.tail.clear();
        self.tail_sent = 0;
    }
}

/// Appends formatted text: `write!(send, "{code} {text}\r\n")` never fails.
impl fmt::Write for SendBuf {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.put(s.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    fn all(buf: &SendBuf) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 16];
        let n = buf.vectored(&mut slices);
        slices[..n].iter().flat_map(|s| s.to_vec()).collect()
    }

    #[test]
    fn what_is_said_twice_is_copied_while_it_is_there() {
        let mut tx = SendBuf::new();
        tx.put(b"abc");
        assert!(tx.put_again(2));
        assert_eq!(tx.data(), b"abcbc");
        assert!(!tx.put_again(6));
        tx.sent(4);
        assert!(!tx.put_again(2), "one of them was sent");
        assert!(tx.put_again(1));
        assert_eq!((tx.data(), tx.len()), (&b"cc"[..], 2));
    }

    #[test]
    fn large_pieces_are_not_copied_and_keep_their_place() {
        let mut buf = SendBuf::new();
        let blob = Bytes::from(vec![7; 5000]);
        buf.put(b"head");
        buf.put_bytes(blob.clone());
        buf.put_bytes(Bytes::from_static(b"tail"));
        assert_eq!(buf.len(), 5008);
        assert_eq!(all(&buf), [&b"head"[..], &[7; 5000], b"tail"].concat());
        buf.sent(4);
        assert_eq!(buf.data().as_ptr(), blob.as_ptr());
        buf.sent(5001);
        assert_eq!(buf.data(), b"ail");
        buf.sent(3);
        assert!(buf.is_empty() && buf.data().is_empty());
        assert!(buf.tail.capacity() <= SendBuf::KEPT);
        buf.put(&[b'x'; 2 * SendBuf::KEPT]);
        buf.sent(1);
        buf.put_bytes(blob.clone());
        assert_eq!(buf.data().len(), 2 * SendBuf::KEPT - 1);
        buf.sent(buf.len());
        assert_eq!((buf.tail.capacity(), buf.tail_sent), (0, 0));
    }

    #[test]
    fn a_transport_that_never_catches_up_costs_no_memory() {
        let mut buf = SendBuf::new();
        for n in 0..10_000u64 {
            buf.put(&n.to_be_bytes().repeat(100));
            buf.sent(buf.len() - 8);
            assert_eq!(buf.data(), n.to_be_bytes());
            assert!(buf.tail.capacity() < 8 * 1024, "{}", buf.tail.capacity());
        }
    }

    #[test]
    fn numbers_and_text() {
        let mut buf = SendBuf::new();
        buf.put_u64(0);
        buf.put_u64(u64::MAX);
        write!(buf, " {}", 5).unwrap();
        assert_eq!(buf.data(), b"018446744073709551615 5");
    }

    #[test]
    fn short_vectors_take_what_fits() {
        let mut buf = SendBuf::new();
        for _ in 0..4 {
            buf.put_bytes(Bytes::from(vec![1; SendBuf::BY_REFERENCE]));
        }
        let mut slices = [IoSlice::new(&[]); 2];
        assert_eq!(buf.vectored(&mut slices), 2);
    }

    #[test]
    #[should_panic(expected = "sent() more than send_buf() held")]
    fn claiming_more_than_pending_panics() {
        SendBuf::new().sent(1);
    }
}
