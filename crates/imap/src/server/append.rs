//! APPEND: the message streams through (RFC 3501 §6.3.11, RFC 7889)

use super::{Phase, Reply, Server, Task, Turn};
use crate::codec::{Body, Command, Frame, Literal, TooLong};
use crate::{AppendRequest, Code, Event};
use mailwright_wire::Counted;

/// A message that is coming.
#[derive(Debug)]
pub(super) struct Appending {
    literal: Literal,
    message: Counted,
}

impl Server {
    /// The head of an APPEND is complete, up to the message itself.
    pub(super) fn append(&mut self, command: Command, literal: Literal) {
        self.tag = command.tag;
        let Body::Append {
            mailbox,
            flags,
            internal_date,
        } = command.body
        else {
            return;
        };
        self.bad_commands = 0;
        let Some(mailbox) = self.mailbox_name(&mailbox) else {
            return self.skip_literal(Some(literal));
        };
        if literal.len > self.config.max_append {
            return self.refuse_literal(literal);
        }
        if literal.len == 0 {
            self.no(Some(Code::Cannot), "An empty message cannot be stored");
            return self.skip_literal(Some(literal));
        }
        self.phase = Phase::Asked(Task::AppendStart(Appending {
            literal,
            message: Counted::new(literal.len),
        }));
        self.events.push_back(Event::Append(AppendRequest {
            mailbox,
            flags,
            internal_date,
            size: literal.len,
        }));
    }

    pub(super) fn accept_append(&mut self, appending: Appending) {
        if appending.literal.is_sync {
            self.out().raw("+ OK\r\n");
        }
        self.phase = Phase::Append(appending);
    }

    /// Says no before the message has come: the rest of the command has to go, too.
    pub(super) fn refuse_append(&mut self, appending: Appending, reply: &Reply) {
        self.reply_now(reply);
        self.skip_literal(Some(appending.literal));
    }

    pub(super) fn append_turn(&mut self) -> Turn {
        let Phase::Append(appending) = &mut self.phase else {
            return Turn::Again;
        };
        if let Some(data) = appending.message.next(&mut self.rx) {
            self.events.push_back(Event::AppendData(data));
            return Turn::Again;
        }
        if !appending.message.is_done() {
            return self.read();
        }
        let trailing = match self.next_frame() {
            Ok(None) => return self.read(),
            Ok(Some(Frame::Command(rest))) if rest.trim_ascii().is_empty() => {
                self.phase = Phase::Asked(Task::AppendEnd);
                self.events.push_back(Event::AppendEnd);
                return Turn::Again;
            }
            Ok(Some(Frame::Command(_))) => None,
            Ok(Some(Frame::Literal(literal))) => {
                self.framer.take_head();
                Some(literal)
            }
            Err(TooLong { literal, .. }) => literal,
        };
        self.events.push_back(Event::AppendAborted);
        self.bad("There is more than one message");
        self.skip_literal(trailing);
        Turn::Again
    }
}
