//! COMPRESS=DEFLATE (RFC 4978)

use super::Client;
use super::error::Error;
use crate::compression::{Corrupt, Inflated};

impl Client {
    /// Whether the connection is compressed.
    pub fn is_compressed(&self) -> bool {
        self.layer.is_on()
    }

    /// The server has taken COMPRESS: what follows its reply is compressed, and so is what we say next.
    pub(super) fn compress(&mut self) {
        self.layer.start(&mut self.rx, &mut self.tx);
    }

    /// Inflates more of what came; false if that is all there is.
    pub(super) fn inflate(&mut self) -> bool {
        match self.layer.inflate(&mut self.rx, &mut self.tx) {
            Ok(inflated) => inflated != Inflated::Nothing,
            Err(Corrupt) => {
                self.fail(Error::Compression);
                true
            }
        }
    }
}
