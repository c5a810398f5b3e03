//! AUTH (RFC 4954)

use crate::{EnhancedCode, Reply};
use mailwright_sasl::{self as sasl, Failure, Identity, ServerStep};

/// A SASL exchange in SMTP's dress: base64 lines, `*` to cancel, `=` for an empty initial response.
#[derive(Debug)]
pub(super) struct Exchange {
    server: Box<sasl::Server>,
}

pub(super) enum Step {
    /// Send 334 with this text.
    Challenge(String),
    Ask(sasl::Question),
    Done(Identity),
    Failed(Reply),
}

impl Exchange {
    pub(super) fn new(server: sasl::Server) -> Self {
        Self {
            server: Box::new(server),
        }
    }

    pub(super) fn begin(&mut self, initial: Option<&str>) -> Step {
        let response = match initial {
            None => None,
            Some(initial) => match sasl::base64_decode_initial(initial.as_bytes()) {
                Some(response) => Some(response),
                None => return Step::Failed(failure(Failure::Malformed)),
            },
        };
        let step = self.server.step(response.as_deref());
        self.dress(step)
    }

    pub(super) fn line(&mut self, line: &[u8]) -> Step {
        let step = match line {
            b"*" => self.server.abort(),
            line => match sasl::base64_decode(line) {
                Some(response) => self.server.step(Some(&response)),
                None => ServerStep::Failed(Failure::Malformed),
            },
        };
        self.dress(step)
    }

    pub(super) fn answer(&mut self, answer: sasl::Answer) -> Step {
        let step = self.server.answer(answer);
        self.dress(step)
    }

    fn dress(&self, step: ServerStep) -> Step {
        match step {
            ServerStep::Challenge(data) => Step::Challenge(sasl::base64_encode(&data)),
            ServerStep::Ask(question) => Step::Ask(question),
            // RFC 4954 §4: 235 carries no data, so it goes as one more challenge.
            ServerStep::Done {
                final_data: Some(data),
                ..
            } => Step::Challenge(sasl::base64_encode(&data)),
            ServerStep::Done { identity, .. } => Step::Done(identity),
            ServerStep::Failed(why) => Step::Failed(failure(why)),
            _ => Step::Failed(failure(Failure::Unavailable)),
        }
    }
}

/// RFC 4954 §4 and §6.
fn failure(why: Failure) -> Reply {
    match why {
        Failure::Malformed => Reply::fixed(501, EnhancedCode::new(5, 5, 2), "Malformed authentication data"),
        Failure::Denied | Failure::ChannelBinding => Reply::fixed(
            535,
            EnhancedCode::new(5, 7, 8),
            "Authentication credentials invalid",
        ),
        Failure::Aborted => Reply::fixed(501, EnhancedCode::new(5, 7, 0), "Authentication cancelled"),
        _ => Reply::fixed(
            454,
            EnhancedCode::new(4, 7, 0),
            "Temporary authentication failure",
        ),
    }
}

pub(super) fn line_too_long() -> Reply {
    Reply::fixed(
        500,
        EnhancedCode::new(5, 5, 6),
        "Authentication exchange line is too long",
    )
}
