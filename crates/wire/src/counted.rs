use crate::RecvBuf;
use bytes::Bytes;

/// Input framed by a length that was announced: an IMAP literal, an SMTP BDAT chunk.
///
/// The octets are handed on as they come and may hold anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    remaining: u64,
}

impl Counted {
    /// Frames the next `len` octets.
    pub fn new(len: u64) -> Self {
        Self { remaining: len }
    }

    /// How many octets are still to come.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Whether all octets were taken.
    pub fn is_done(&self) -> bool {
        self.remaining == 0
    }

    /// The next octets that are there; `None` when more input is needed or none are left.
    pub fn next(&mut self, rx: &mut RecvBuf) -> Option<Bytes> {
        let n = self.available(rx);
        (n > 0).then(|| {
            self.remaining -= n as u64;
            rx.take(n)
        })
    }

    /// Drops what is there of the octets; returns whether all were dropped.
    pub fn drain(&mut self, rx: &mut RecvBuf) -> bool {
        let n = self.available(rx);
        self.remaining -= n as u64;
        rx.skip(n);
        self.is_done()
    }

    fn available(&self, rx: &RecvBuf) -> usize {
        usize::try_from(self.remaining)
            .unwrap_or(usize::MAX)
            .min(rx.data().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_exactly_what_was_announced() {
        let mut rx = RecvBuf::default();
        rx.room()[..9].copy_from_slice(b"12345NOOP");
        rx.received(9);
        let mut literal = Counted::new(5);
        assert_eq!(literal.next(&mut rx).unwrap().as_ref(), b"12345");
        assert!(literal.is_done() && literal.next(&mut rx).is_none());
        assert_eq!(rx.data(), b"NOOP");
        let mut huge = Counted::new(u64::MAX);
        assert!(!huge.drain(&mut rx));
        assert_eq!((huge.remaining(), rx.data().len()), (u64::MAX - 4, 0));
    }
}
