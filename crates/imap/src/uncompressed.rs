//! The layer between the session and the wire where the crate is built without COMPRESS=DEFLATE: none (RFC 4978)
//!
//! Neither is the capability offered then, nor does the client have the command, so nothing starts one.

use mailwright_wire::{RecvBuf, SendBuf};

/// What is between the buffers of a session and the wire: nothing.
#[derive(Debug, Default)]
pub(crate) struct Layer;

/// What came of inflating.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code)] // what would come with compression is matched, and is never there
pub(crate) enum Inflated {
    Nothing,
    Some,
    TakenOff,
}

/// No octets are compressed, and none are wrongly.
#[derive(Debug)]
#[allow(dead_code)] // as above
pub(crate) struct Corrupt;

#[allow(clippy::unused_self)] // the interface of the other layer
impl Layer {
    pub(crate) fn start(&mut self, _: &mut RecvBuf, _: &mut SendBuf) {
        unreachable!("COMPRESS is neither offered nor asked for")
    }

    pub(crate) fn end(&mut self, _: &mut SendBuf) {}

    pub(crate) fn is_present(&self) -> bool {
        false
    }

    pub(crate) fn is_on(&self) -> bool {
        false
    }

    pub(crate) fn inflate(&mut self, _: &mut RecvBuf, _: &mut SendBuf) -> Result<Inflated, Corrupt> {
        Ok(Inflated::Nothing)
    }

    pub(crate) fn deflate(&mut self, _: &mut SendBuf) {}

    pub(crate) fn output<'a>(&'a self, tx: &'a SendBuf) -> &'a SendBuf {
        tx
    }

    pub(crate) fn has_output(&self, tx: &SendBuf) -> bool {
        !tx.is_empty()
    }

    pub(crate) fn sent(&mut self, n: usize, tx: &mut SendBuf) {
        tx.sent(n);
    }

    pub(crate) fn drop_output(&mut self, tx: &mut SendBuf) {
        *tx = SendBuf::new();
    }

    pub(crate) fn room(&mut self) -> Option<&mut [u8]> {
        None
    }

    pub(crate) fn received(&mut self, n: usize, rx: &mut RecvBuf) {
        rx.received(n);
    }

    pub(crate) fn has_ended(&self, rx: &RecvBuf) -> bool {
        rx.is_eof()
    }

    pub(crate) fn shrink(&mut self) {}
}
