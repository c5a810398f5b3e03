//! Literals: kept, streamed, refused (RFC 3501 §4.3, RFC 7888)

use super::{Phase, Reply, Server, State, Turn};
use crate::codec::{AppendHead, Frame, Literal, TooLong, tag_of};
use crate::{Capability, Code, Error};
use bytes::Bytes;
use mailwright_wire::Counted;

impl Server {
    /// A literal is announced: what is to become of it?
    pub(super) fn literal(&mut self, literal: Literal) {
        if !matches!(self.state, State::NotAuthenticated) {
            let head = self.framer.take_head();
            match AppendHead::parse(&head, true) {
                Ok(Some(head)) => return self.append(head, Some(literal)),
                Ok(None) => self.framer.restore_head(&head),
                Err(error) => {
                    self.tag = tag_of(&head).unwrap_or_else(|| Bytes::from_static(b"*"));
                    self.bad(error.reason);
                    return self.skip_literal(Some(literal));
                }
            }
        }
        if !self.allows_literal(literal) {
            let head = self.framer.take_head();
            self.tag = tag_of(&head).unwrap_or_else(|| Bytes::from_static(b"*"));
            self.bad(BAD_LITERAL);
            return self.skip_literal(Some(literal));
        }
        let max_literal = match self.state {
            State::NotAuthenticated => self.config.max_literal_before_login,
            _ => self.config.max_literal,
        };
        let room = self.max_command().saturating_sub(self.framer.head().len() + 32);
        if literal.len > u64::from(max_literal).min(room as u64) {
            let head = self.framer.take_head();
            self.tag = tag_of(&head).unwrap_or_else(|| Bytes::from_static(b"*"));
            self.refuse_literal(literal);
            return;
        }
        self.framer.keep_literal(literal);
        if literal.is_sync {
            self.out().raw("+ OK\r\n");
        }
    }

    /// Whether the literal may be of this kind (RFC 7888 §4, §5).
    pub(super) fn allows_literal(&self, literal: Literal) -> bool {
        let small = !self.offers(Capability::LiteralPlus) && self.offers(Capability::LiteralMinus);
        literal.is_sync || !small || literal.len <= LITERAL_MINUS
    }

    pub(super) fn refuse_literal(&mut self, literal: Literal) {
        self.reply_now(&Reply::no(Some(Code::TooBig), "Literal is too large"));
        self.count_bad();
        self.skip_literal(Some(literal));
    }

    /// Drops the rest of a command that was refused at a literal. Of a synchronising one nothing more comes;
    /// the octets of another one are on their way, and must not be taken for commands (RFC 7888 §4).
    pub(super) fn skip_literal(&mut self, literal: Option<Literal>) {
        self.phase = match literal {
            Some(literal) if !literal.is_sync && literal.len > self.config.max_drained => {
                return self.fail(Error::LiteralTooLarge, "Literal is too large to go on");
            }
            Some(literal) if !literal.is_sync => Phase::Drain(Counted::new(literal.len)),
            _ => Phase::Command,
        };
    }

    pub(super) fn skip_turn(&mut self) -> Turn {
        let next = match self.next_frame() {
            Ok(None) => return self.read(),
            Ok(Some(Frame::Command(_))) => None,
            Ok(Some(Frame::Literal(literal))) => Some(literal),
            Err(TooLong { literal, .. }) => literal,
        };
        self.framer.take_head();
        self.skip_literal(next);
        Turn::Again
    }
}

/// The longest non-synchronising literal where LITERAL- is offered.
const LITERAL_MINUS: u64 = 4096;

pub(super) const BAD_LITERAL: &str = "A non-synchronising literal has at most 4096 octets";
