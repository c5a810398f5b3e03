//! The layer of COMPRESS=DEFLATE, between the session and the wire (RFC 4978, RFC 1951)

use bytes::BytesMut;
use mailwright_wire::{RecvBuf, SendBuf};
use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};
use std::fmt;

/// What is between the buffers of a session and the wire: nothing, or compression.
///
/// The session keeps its own two buffers, of what was received and of what is to be sent, and gives them to each call.
#[derive(Debug, Default)]
pub(crate) struct Layer(Option<Box<Compression>>);

/// What came of inflating.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inflated {
    /// That was all there is.
    Nothing,
    /// There is more to read.
    Some,
    /// The layer has come off, and what came behind it is there to be read.
    TakenOff,
}

impl Layer {
    /// Starts to compress: what is in `rx` came compressed, and what is in `tx` goes as it is.
    pub(crate) fn start(&mut self, rx: &mut RecvBuf, tx: &mut SendBuf) {
        let limit = rx.limit();
        let input = std::mem::replace(rx, RecvBuf::new(limit));
        self.0 = Some(Box::new(Compression::new(input, std::mem::take(tx))));
    }

    /// Ends the layer behind what was said last (RFC 8437 §4.1).
    pub(crate) fn end(&mut self, tx: &mut SendBuf) {
        if let Some(compression) = &mut self.0 {
            compression.end(tx);
        }
    }

    /// Whether there is a layer, be it one that is coming off.
    pub(crate) fn is_present(&self) -> bool {
        self.0.is_some()
    }

    /// Whether what is said is compressed.
    pub(crate) fn is_on(&self) -> bool {
        self.0.as_ref().is_some_and(|it| !it.is_ending)
    }

    /// Inflates more of what came.
    pub(crate) fn inflate(&mut self, rx: &mut RecvBuf, tx: &mut SendBuf) -> Result<Inflated, Corrupt> {
        let Some(compression) = &mut self.0 else {
            return Ok(Inflated::Nothing);
        };
        let Some((input, mut output)) = compression.taken_off()? else {
            let more = compression.inflate(rx)?;
            return Ok(if more { Inflated::Some } else { Inflated::Nothing });
        };
        pour(tx, &mut output);
        (*rx, *tx) = (input, output);
        self.0 = None;
        Ok(Inflated::TakenOff)
    }

    /// Moves output to where the caller takes it from.
    pub(crate) fn deflate(&mut self, tx: &mut SendBuf) {
        if let Some(compression) = self.0.as_mut().filter(|it| it.output.is_empty()) {
            compression.deflate(tx);
        }
    }

    /// Output that is ready for the wire.
    pub(crate) fn output<'a>(&'a self, tx: &'a SendBuf) -> &'a SendBuf {
        self.0.as_ref().map_or(tx, |compression| &compression.output)
    }

    pub(crate) fn has_output(&self, tx: &SendBuf) -> bool {
        !tx.is_empty() || !self.output(tx).is_empty()
    }

    /// Octets of the output were sent.
    pub(crate) fn sent(&mut self, n: usize, tx: &mut SendBuf) {
        self.0
            .as_mut()
            .map_or(tx, |compression| &mut compression.output)
            .sent(n);
    }

    /// The peer does not read: what was not sent is dropped.
    pub(crate) fn drop_output(&mut self, tx: &mut SendBuf) {
        *tx = SendBuf::new();
        if let Some(compression) = &mut self.0 {
            compression.output = SendBuf::new();
        }
    }

    /// Room for what comes from the wire; `None` where that needs no inflating.
    pub(crate) fn room(&mut self) -> Option<&mut [u8]> {
        self.0.as_mut().map(|compression| compression.input.room())
    }

    /// Octets came from the wire.
    pub(crate) fn received(&mut self, n: usize, rx: &mut RecvBuf) {
        self.0
            .as_mut()
            .map_or(rx, |compression| &mut compression.input)
            .received(n);
    }

    /// Whether the peer has ended its side.
    pub(crate) fn has_ended(&self, rx: &RecvBuf) -> bool {
        self.0
            .as_ref()
            .map_or(rx, |compression| &compression.input)
            .is_eof()
    }

    /// Gives back what a quiet session does not need: it may be long until more comes or goes.
    pub(crate) fn shrink(&mut self) {
        if let Some(compression) = self.0.as_mut().filter(|it| it.output.is_empty()) {
            compression.input.shrink();
            compression.deflater = None;
        }
    }
}

/// Both directions of a compressed connection.
///
/// What the client sends is inflated only as far as the session has room for it, so a stream that swells is
/// bounded by the limits of commands and literals. The compressor lives only while there is something to send: a
/// flushed DEFLATE stream may go on with an empty window, so a quiet session keeps nothing of it. Of the other
/// direction the window of 32 KiB has to stay, for the client may refer back to it at any time.
struct Compression {
    /// As it came from the wire.
    input: RecvBuf,
    inflater: Box<InflateState>,
    /// The client ended its stream.
    has_ended: bool,
    /// The last octets that were inflated.
    last: [u8; 4],
    /// The layer is coming off: output goes as it is, and of the input only the end of the stream is left.
    is_ending: bool,
    deflater: Option<Box<CompressorOxide>>,
    /// As it goes to the wire.
    output: SendBuf,
}

/// What the client sent is no DEFLATE stream.
#[derive(Debug)]
pub(crate) struct Corrupt;

impl Compression {
    /// Starts. What is in `input` came compressed; what is in `output` goes as it is.
    fn new(input: RecvBuf, output: SendBuf) -> Self {
        Self {
            input,
            inflater: InflateState::new_boxed(DataFormat::Raw),
            has_ended: false,
            last: [0; 4],
            is_ending: false,
            deflater: None,
            output,
        }
    }

    /// Ends the stream behind `plain`. The client's stream ends, too, but that may not have come yet.
    fn end(&mut self, plain: &mut SendBuf) {
        self.deflate_all(plain, MZFlush::Finish);
        self.deflater = None;
        self.is_ending = true;
    }

    /// What is left when the layer has come off: what came behind the client's stream, and what is still to be
    /// sent. `None` while it is on.
    fn taken_off(&mut self) -> Result<Option<(RecvBuf, SendBuf)>, Corrupt> {
        if !self.is_ending {
            return Ok(None);
        }
        // Octet by octet: what follows the stream is none of the inflater's.
        while !self.has_ended && self.last != FLUSHED {
            let Some(&octet) = self.input.data().first() else {
                return Ok(None);
            };
            let mut nothing = [0; 16];
            let done = inflate(&mut self.inflater, &[octet], &mut nothing, MZFlush::None);
            if done.bytes_written > 0 || matches!(done.status, Err(error) if error != MZError::Buf) {
                return Err(Corrupt);
            }
            self.consume(done.bytes_consumed);
            self.has_ended = done.status == Ok(MZStatus::StreamEnd);
        }
        Ok(Some((
            std::mem::take(&mut self.input),
            std::mem::take(&mut self.output),
        )))
    }

    fn consume(&mut self, n: usize) {
        for &octet in &self.input.data()[n.saturating_sub(4)..n] {
            self.last.rotate_left(1);
            self.last[3] = octet;
        }
        self.input.skip(n);
    }

    /// Inflates what there is into `plain`, as far as that has room; says whether anything came of it.
    fn inflate(&mut self, plain: &mut RecvBuf) -> Result<bool, Corrupt> {
        if self.is_ending {
            return Ok(false);
        }
        if self.has_ended {
            return if self.input.data().is_empty() {
                Ok(false)
            } else {
                Err(Corrupt)
            };
        }
        let room = plain.room();
        if room.is_empty() {
            return Ok(false);
        }
        let done = inflate(&mut self.inflater, self.input.data(), room, MZFlush::None);
        self.consume(done.bytes_consumed);
        if done.bytes_written > 0 {
            plain.received(done.bytes_written);
        }
        match done.status {
            Ok(MZStatus::StreamEnd) => self.has_ended = true,
            // Nothing to do: more input is needed.
            Ok(_) | Err(MZError::Buf) => {}
            Err(_) => return Err(Corrupt),
        }
        Ok(done.bytes_written > 0)
    }

    /// Takes all of `plain`, so that the client can read it to the last octet.
    fn deflate(&mut self, plain: &mut SendBuf) {
        if self.is_ending {
            pour(plain, &mut self.output);
        } else if !plain.is_empty() {
            self.deflate_all(plain, MZFlush::Sync);
        }
    }

    fn deflate_all(&mut self, plain: &mut SendBuf, flush: MZFlush) {
        let deflater = self.deflater.get_or_insert_with(|| {
            // No header, as the field's `windowBits` of -15.
            Box::new(CompressorOxide::new(create_comp_flags_from_zip_params(
                LEVEL, -15, 0,
            )))
        });
        let mut piece = BytesMut::zeroed(PIECE);
        while !plain.is_empty() {
            let done = deflate(deflater, plain.data(), &mut piece, MZFlush::None);
            plain.sent(done.bytes_consumed);
            self.output.put(&piece[..done.bytes_written]);
        }
        loop {
            let done = deflate(deflater, &[], &mut piece, flush);
            self.output.put(&piece[..done.bytes_written]);
            if done.bytes_written < piece.len() {
                return;
            }
        }
    }
}

impl fmt::Debug for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compression")
            .field("input", &self.input.data().len())
            .field("output", &self.output.len())
            .finish_non_exhaustive()
    }
}

/// Moves all of one buffer behind what is in another.
fn pour(from: &mut SendBuf, to: &mut SendBuf) {
    while !from.is_empty() {
        to.put(from.data());
        from.sent(from.data().len());
    }
}

/// Fast rather than small: responses shrink to a third at any level.
const LEVEL: i32 = 2;
/// How a flush ends (RFC 1951 §3.2.4): an empty stored block.
const FLUSHED: [u8; 4] = [0, 0, 0xff, 0xff];
/// How much is compressed into at a time.
const PIECE: usize = 4096;
