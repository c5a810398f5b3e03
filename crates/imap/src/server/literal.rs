//! Literals: kept, streamed, refused (RFC 3501 §4.3, RFC 7888)

use super::{Phase, Reply, Server, State, Turn};
use crate::codec::{Frame, Literal, TooLong, append_head, tag_of};
use crate::{Code, Error};
use bytes::Bytes;
use mailwright_wire::Counted;

impl Server {
    /// A literal is announced: what is to become of it?
    pub(super) fn literal(&mut self, literal: Literal) {
        if !matches!(self.state, State::NotAuthenticated) {
            let head = self.framer.take_head();
            match append_head(&head) {
                Ok(Some(command)) => return self.append(command, literal),
                Ok(None) => self.framer.restore_head(&head),
                Err(error) => {
                    self.tag = tag_of(&head).unwrap_or_else(|| Bytes::from_static(b"*"));
                    self.bad(error.reason);
                    return self.skip_literal(Some(literal));
                }
            }
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
