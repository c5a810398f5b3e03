//! IDLE (RFC 2177)

use super::notify::Resume;
use super::{Phase, Reply, Server, State, Turn};
use crate::When;

impl Server {
    pub(super) fn idle_turn(&mut self) -> Turn {
        let Phase::Idle(updates) = &mut self.phase else {
            return Turn::Again;
        };
        if let Some(update) = updates.next() {
            self.tell(update);
            return Turn::Again;
        }
        if let Some(turn) = self.tell_unasked(Resume::Idle) {
            return turn;
        }
        if self.tells_selected()
            && let State::Selected(selection) = &mut self.state
            && selection.view.has_updates(When::Anything)
        {
            self.phase = Phase::Idle(selection.view.updates(When::Anything));
            return Turn::Again;
        }
        if self.farewell.is_some() {
            self.phase = Phase::Command;
            return Turn::Again;
        }
        match self.next_line() {
            Ok(None) => return self.read(),
            Ok(Some(line)) if line.trim_ascii().eq_ignore_ascii_case(b"DONE") => {
                self.complete(Reply::ok("Idle completed"), When::Anything);
            }
            // RFC 2177 has no other way out; whatever it was, the client no longer idles.
            _ => {
                self.phase = Phase::Command;
                self.bad("DONE was expected");
            }
        }
        Turn::Again
    }
}
