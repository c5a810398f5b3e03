//! Timers: login, autologout, a client that does not read (RFC 3501 §5.4)

use super::{Phase, Server, State};
use crate::Error;
use std::time::{Duration, Instant};

impl Server {
    pub(super) fn watch_clock(&mut self, now: Instant) {
        let logged_in = !matches!(self.state, State::NotAuthenticated);
        if std::mem::take(&mut self.login_restarts) {
            self.deadline = now + self.config.login_timeout;
        }
        if std::mem::take(&mut self.active) && logged_in && self.failed.is_none() {
            self.deadline = now + self.config.idle_timeout;
        }
        if self.waits_for_caller() {
            // The client's time starts again when it is its turn.
            self.active = true;
            return;
        }
        let done = matches!(self.phase, Phase::Closing) && !self.layer.has_output(&self.tx);
        if now < self.deadline || done {
            return;
        }
        let (error, text) = match logged_in {
            true => (Error::IdleTimeout, "Idle for too long"),
            false => (Error::LoginTimeout, "Login took too long"),
        };
        let can_hear = !self.layer.has_output(&self.tx) && !matches!(self.phase, Phase::StartTls);
        if can_hear && self.failed.is_none() {
            self.fail(error, text);
            self.deadline = now + FAREWELL_TIME;
        } else {
            // The client does not take our output, so it will not take a farewell either.
            self.layer.drop_output(&mut self.tx);
            self.failed.get_or_insert(error);
        }
    }

    /// Nothing the client does could help: the embedder has to answer.
    pub(super) fn waits_for_caller(&self) -> bool {
        matches!(self.phase, Phase::Asked(_)) && !self.layer.has_output(&self.tx) && self.failed.is_none()
    }
}

/// How long a client may take to read a farewell.
const FAREWELL_TIME: Duration = Duration::from_secs(10);
