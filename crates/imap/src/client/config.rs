//! How a client behaves, and its limits (RFC 2683 §3.2.1.5, RFC 2177, RFC 9051 §5.5)

use std::time::Duration;

/// How a client behaves, and its limits. The same for many connections: share it in an `Arc`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// How long the server may say nothing while an answer is due, or take nothing. Default 5 minutes.
    pub reply_timeout: Duration,
    /// After how long IDLE is begun anew. Default 29 minutes: servers may log a client out that is silent for
    /// 30 (RFC 2177 §3).
    pub idle_refresh: Duration,
    /// The longest response that is read whole, in octets, with the literals that are kept. Default 8 MiB:
    /// SEARCH in a mailbox of a million messages. Memory is taken only for what comes. Body sections do not
    /// count, they pass through. What is longer is handed over cut off, and does not end the session.
    pub max_response: usize,
    /// How many commands are sent ahead of their answers, where RFC 9051 §5.5 lets them. Default 16; 1 never
    /// does it.
    pub max_pipelined: usize,
    /// Whether passwords may be sent without TLS, and a server may greet with PREAUTH without it. Default
    /// `false`.
    pub allow_plaintext: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            reply_timeout: Duration::from_secs(5 * 60),
            idle_refresh: Duration::from_secs(29 * 60),
            max_response: 8 * 1024 * 1024,
            max_pipelined: 16,
            allow_plaintext: false,
        }
    }
}
