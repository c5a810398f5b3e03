//! COMPRESS=DEFLATE (RFC 4978)

use super::{Phase, Reply, Server};
use crate::compression::{Corrupt, Inflated};
use crate::{Capability, Error};

impl Server {
    /// Whether the session is compressed (RFC 4978).
    pub fn is_compressed(&self) -> bool {
        self.layer.is_on()
    }

    pub(super) fn compress_command(&mut self, algorithm: &[u8]) {
        if !self.offers(Capability::Compress) {
            return self.bad("the command is not known");
        }
        if !algorithm.eq_ignore_ascii_case(b"DEFLATE") {
            return self.bad("the algorithm is not known");
        }
        if self.layer.is_present() {
            let text = "DEFLATE is active already";
            return self.reply_now(&Reply::no_with("COMPRESSIONACTIVE".into(), text));
        }
        self.reply_now(&Reply::ok("DEFLATE active"));
        // What is left in the buffer came behind the command: the client may be faster than our OK.
        self.layer.start(&mut self.rx, &mut self.tx);
    }

    /// Inflates more of what came; false if that is all there is.
    pub(super) fn inflate(&mut self) -> bool {
        match self.layer.inflate(&mut self.rx, &mut self.tx) {
            Ok(Inflated::Nothing) => return false,
            Ok(Inflated::Some) => {}
            Ok(Inflated::TakenOff) => self.rx.set_limit(self.max_command() + 1),
            Err(Corrupt) => self.fail(Error::Compression, "The compressed stream is corrupt"),
        }
        true
    }

    /// It may be long until more comes, and most sessions are quiet most of the time.
    pub(super) fn shrink(&mut self) {
        if matches!(self.phase, Phase::Command | Phase::Idle(_)) {
            self.rx.shrink();
            self.layer.shrink();
        }
    }
}
