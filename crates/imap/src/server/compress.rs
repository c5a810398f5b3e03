//! COMPRESS=DEFLATE (RFC 4978)

use super::{Phase, Reply, Server};
use crate::compression::{Compression, Corrupt};
use crate::{Capability, Error};
use mailwright_wire::{RecvBuf, SendBuf};

impl Server {
    /// Whether the session is compressed (RFC 4978).
    pub fn is_compressed(&self) -> bool {
        self.compression.as_ref().is_some_and(|it| !it.is_ending())
    }

    pub(super) fn compress_command(&mut self, algorithm: &[u8]) {
        if !self.offers(Capability::Compress) {
            return self.bad("the command is not known");
        }
        if !algorithm.eq_ignore_ascii_case(b"DEFLATE") {
            return self.bad("the algorithm is not known");
        }
        if self.compression.is_some() {
            let text = "DEFLATE is active already";
            return self.reply_now(&Reply::no_with("COMPRESSIONACTIVE".into(), text));
        }
        self.reply_now(&Reply::ok("DEFLATE active"));
        // What is left in the buffer came behind the command: the client may be faster than our OK.
        let limit = self.rx.limit();
        let input = std::mem::replace(&mut self.rx, RecvBuf::new(limit));
        let output = std::mem::take(&mut self.tx);
        self.compression = Some(Box::new(Compression::new(input, output)));
    }

    /// Ends the layer behind what was said last (RFC 8437 §4.1).
    pub(super) fn end_compression(&mut self) {
        if let Some(compression) = &mut self.compression {
            compression.end(&mut self.tx);
        }
    }

    /// Inflates more of what came; false if that is all there is.
    pub(super) fn inflate(&mut self) -> bool {
        let Some(compression) = &mut self.compression else {
            return false;
        };
        let inflated = match compression.taken_off() {
            Ok(Some((input, mut output))) => {
                while !self.tx.is_empty() {
                    output.put(self.tx.data());
                    self.tx.sent(self.tx.data().len());
                }
                (self.rx, self.tx) = (input, output);
                self.rx.set_limit(self.max_command() + 1);
                self.compression = None;
                return true;
            }
            Ok(None) => compression.inflate(&mut self.rx),
            Err(corrupt) => Err(corrupt),
        };
        match inflated {
            Ok(some) => some,
            Err(Corrupt) => {
                self.fail(Error::Compression, "The compressed stream is corrupt");
                true
            }
        }
    }

    /// Moves output to where the caller takes it from.
    pub(super) fn deflate(&mut self) {
        if let Some(compression) = &mut self.compression
            && compression.output().is_empty()
        {
            compression.deflate(&mut self.tx);
        }
    }

    /// Output that is ready for the wire.
    pub(super) fn wire_output(&self) -> &SendBuf {
        self.compression
            .as_ref()
            .map_or(&self.tx, |compression| compression.output())
    }

    pub(super) fn has_output(&self) -> bool {
        !self.tx.is_empty() || !self.wire_output().is_empty()
    }

    /// The client does not read: what was not sent is dropped.
    pub(super) fn drop_output(&mut self) {
        self.tx = SendBuf::new();
        if let Some(compression) = &mut self.compression {
            compression.clear_output();
        }
    }

    pub(super) fn input_has_ended(&self) -> bool {
        self.compression
            .as_ref()
            .map_or(self.rx.is_eof(), |compression| compression.is_eof())
    }

    /// It may be long until more comes, and most sessions are quiet most of the time.
    pub(super) fn shrink(&mut self) {
        if !matches!(self.phase, Phase::Command | Phase::Idle(_)) {
            return;
        }
        self.rx.shrink();
        if let Some(compression) = self.compression.as_mut().filter(|it| it.output().is_empty()) {
            compression.shrink();
        }
    }
}
