//! One mail transaction on the receiving side (RFC 5321 §3.3, RFC 1870, RFC 2033)

use super::session::BAD_SEQUENCE;
use super::{Aborted, BareNewlines, Limits};
use crate::{Mail, Rcpt, Rejection, Reply};
use bytes::Bytes;
use mailwright_wire::{self as wire, DotDecoder, DotPiece, RecvBuf};

/// The transaction layer: what was accepted since MAIL.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) smtputf8: bool,
    /// Accepted recipients.
    pub(super) recipients: u32,
}

impl Transaction {
    /// Whether `mail` may begin a transaction.
    pub(super) fn begin(open: Option<&Self>, mail: &Mail, limits: &Limits) -> Result<Self, Reply> {
        if open.is_some() {
            return Err(Reply::fixed(503, BAD_SEQUENCE, "Sender already given"));
        }
        if limits.message_size > 0 && mail.params.size.is_some_and(|size| size > limits.message_size) {
            return Err(Rejection::TOO_BIG.into());
        }
        Ok(Self {
            smtputf8: mail.params.smtputf8,
            recipients: 0,
        })
    }

    /// Whether `rcpt` may be asked about.
    pub(super) fn recipient(open: Option<&Self>, rcpt: &Rcpt, limits: &Limits) -> Result<(), Reply> {
        let Some(open) = open else {
            return Err(Reply::fixed(503, BAD_SEQUENCE, "Need MAIL before RCPT"));
        };
        if !open.smtputf8 && !rcpt.path.is_ascii() {
            return Err(crate::CommandError::NonAsciiAddress.reply());
        }
        if open.recipients >= limits.recipients {
            return Err(Rejection::TOO_MANY_RECIPIENTS.into());
        }
        Ok(())
    }

    /// Whether the message may come.
    pub(super) fn data(open: Option<&Self>) -> Result<(), Reply> {
        match open {
            None => Err(Reply::fixed(503, BAD_SEQUENCE, "Need MAIL before DATA")),
            // RFC 2033 §4.2 demands 503, RFC 5321 §3.3 allows it.
            Some(open) if open.recipients == 0 => Err(Reply::fixed(503, BAD_SEQUENCE, "No valid recipients")),
            Some(_) => Ok(()),
        }
    }
}

/// The message on its way in.
#[derive(Debug)]
pub(super) struct Receiving {
    dot: DotDecoder,
    bare_newlines: BareNewlines,
    /// Octets of the message handed on so far.
    size: u64,
    limit: u64,
    /// Set once the message is to be refused at its end; its octets are dropped from there on.
    verdict: Option<(Rejection, Aborted)>,
}

/// A step of [`Receiving`].
pub(super) enum Received {
    /// Octets to hand on.
    Body(Bytes),
    /// Octets were dropped.
    Dropped,
    /// The message is complete.
    Complete { size: u64 },
    /// The message is complete, and refused.
    Refused(Rejection, Aborted),
}

impl Receiving {
    pub(super) fn new(bare_newlines: BareNewlines, limits: &Limits) -> Self {
        let policy = match bare_newlines {
            BareNewlines::Refuse => wire::BareNewlines::Keep,
            BareNewlines::Normalise => wire::BareNewlines::Normalise,
        };
        let limit = match limits.message_size {
            0 => u64::MAX,
            limit => limit,
        };
        Self {
            dot: DotDecoder::new(policy),
            bare_newlines,
            size: 0,
            limit,
            verdict: None,
        }
    }

    /// Decides the message's fate before its end; the first such decision stands.
    pub(super) fn refuse(&mut self, rejection: Rejection, why: Aborted) {
        self.verdict.get_or_insert((rejection, why));
    }

    /// The next step; `None` when more input is needed.
    pub(super) fn next(&mut self, rx: &mut RecvBuf) -> Option<Received> {
        match self.dot.next(rx)? {
            DotPiece::Data(data) => Some(self.data(data)),
            DotPiece::End => Some(match self.verdict.take() {
                Some((rejection, why)) => Received::Refused(rejection, why),
                None => Received::Complete { size: self.size },
            }),
        }
    }

    /// Hands on what comes before the first fault, so that it does not depend on how the input was cut.
    fn data(&mut self, mut data: Bytes) -> Received {
        if self.verdict.is_some() {
            return Received::Dropped;
        }
        if self.bare_newlines == BareNewlines::Refuse
            && self.dot.saw_bare_newline()
            && let Some(at) = first_bare_newline(&data)
        {
            data.truncate(at);
            self.refuse(Rejection::BARE_NEWLINE, Aborted::BareNewline);
        }
        let room = self.limit - self.size;
        if data.len() as u64 > room {
            data.truncate(usize::try_from(room).unwrap_or(usize::MAX));
            self.verdict = Some((Rejection::TOO_BIG, Aborted::TooBig));
        }
        self.size += data.len() as u64;
        match data.is_empty() {
            true => Received::Dropped,
            false => Received::Body(data),
        }
    }
}

/// Where the first CR or LF outside of a CRLF is. The decoder never cuts a CRLF in two.
fn first_bare_newline(data: &[u8]) -> Option<usize> {
    memchr::memchr2_iter(b'\r', b'\n', data).find(|&at| match data[at] {
        b'\r' => data.get(at + 1) != Some(&b'\n'),
        _ => at == 0 || data[at - 1] != b'\r',
    })
}
