//! Where the header ends, in a message that comes in pieces (RFC 5322 §2.1)

use memchr::memmem;

/// Keeps the header, up to a limit, and passes on the body.
#[derive(Debug)]
pub(crate) struct Splitter {
    header: Vec<u8>,
    max_header: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Header,
    Body,
    /// The header is larger than allowed; nothing of the message is looked at any more.
    TooLarge,
}

impl Splitter {
    pub(crate) fn new(max_header: usize) -> Self {
        Self {
            header: Vec::new(),
            max_header,
            state: State::Header,
        }
    }

    /// Takes a chunk, and returns what of it belongs to the body.
    pub(crate) fn push<'a>(&mut self, chunk: &'a [u8]) -> &'a [u8] {
        match self.state {
            State::Body => return chunk,
            State::TooLarge => return &[],
            State::Header => {}
        }
        // The end of the header may have begun in the chunks before.
        let old = self.header.len();
        let room = (self.max_header + 1).saturating_sub(old);
        let taken = &chunk[..chunk.len().min(room)];
        self.header.extend_from_slice(taken);
        if let Some(end) = header_end(&self.header, old.saturating_sub(3)) {
            self.header.truncate(end.header);
            self.state = State::Body;
            return &chunk[end.body - old..];
        }
        if self.header.len() > self.max_header {
            self.header = Vec::new();
            self.state = State::TooLarge;
        }
        &[]
    }

    /// The message has ended; true if that ended the header too.
    pub(crate) fn finish(&mut self) -> bool {
        if self.state != State::Header {
            return false;
        }
        if !self.header.is_empty() && !self.header.ends_with(b"\r\n") {
            self.header.extend_from_slice(b"\r\n");
        }
        self.state = State::Body;
        true
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// All of the header once the body has begun, without the empty line.
    pub(crate) fn header(&self) -> &[u8] {
        &self.header
    }
}

struct End {
    /// Where the header ends.
    header: usize,
    /// Where the body begins.
    body: usize,
}

fn header_end(text: &[u8], from: usize) -> Option<End> {
    // A message may begin with its empty line.
    if from == 0 && text.starts_with(b"\r\n") {
        return Some(End { header: 0, body: 2 });
    }
    let found = from + memmem::find(&text[from..], b"\r\n\r\n")?;
    Some(End {
        header: found + 2,
        body: found + 4,
    })
}
