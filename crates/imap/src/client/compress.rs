//! COMPRESS=DEFLATE (RFC 4978)

use super::Client;
use super::error::Error;
use crate::compression::{Compression, Corrupt};
use mailwright_wire::{RecvBuf, SendBuf};

impl Client {
    /// Whether the connection is compressed.
    pub fn is_compressed(&self) -> bool {
        self.compression.is_some()
    }

    /// The server has taken COMPRESS: what follows its reply is compressed, and so is what we say next.
    pub(super) fn compress(&mut self) {
        let limit = self.rx.limit();
        let input = std::mem::replace(&mut self.rx, RecvBuf::new(limit));
        let output = std::mem::take(&mut self.tx);
        self.compression = Some(Box::new(Compression::new(input, output)));
    }

    /// Inflates more of what came; false if that is all there is.
    pub(super) fn inflate(&mut self) -> bool {
        let Some(compression) = &mut self.compression else {
            return false;
        };
        compression.inflate(&mut self.rx).unwrap_or_else(|Corrupt| {
            self.fail(Error::Compression);
            true
        })
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

    /// It may be long until more is sent.
    pub(super) fn shrink(&mut self) {
        if let Some(compression) = self.compression.as_mut().filter(|it| it.output().is_empty()) {
            compression.shrink();
        }
    }
}
