//! UNAUTHENTICATE (RFC 8437)

use super::{Reply, Server, State};
use crate::{Capability, Event};

impl Server {
    /// The session becomes what it was after the greeting, but for TLS: nobody is logged in, nothing is
    /// selected, enabled, compressed or watched.
    pub(super) fn unauthenticate(&mut self) {
        if !self.offers(Capability::Unauthenticate) {
            return self.bad("the command is not known");
        }
        self.reply_now(&Reply::ok("Unauthenticated"));
        self.layer.end(&mut self.tx);
        self.state = State::NotAuthenticated;
        self.watching = None;
        self.enabled = super::enable::Enabled::default();
        self.capabilities = self.config.capabilities;
        self.rx.set_limit(self.config.max_command_before_login + 1);
        self.login_restarts = true;
        self.events.push_back(Event::Unauthenticated);
    }
}
