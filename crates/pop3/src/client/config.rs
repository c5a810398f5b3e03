use std::time::Duration;

/// How a client behaves, and its limits. The same for many connections: share it in an `Arc`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// How long the server may say nothing, or take nothing. Default 5 minutes.
    pub reply_timeout: Duration,
    /// The longest line of the server that is accepted, in octets, outside of messages. Default 16 KiB. RFC
    /// 1939 §3 gives 512 to status lines; challenges are longer.
    pub max_line: usize,
    /// The most capabilities that are kept of CAPA. Default 200.
    pub max_capabilities: usize,
    /// How many commands are sent ahead of their replies, if the server announced PIPELINING in the last CAPA
    /// (RFC 2449 §6.6). Default 32; 1 never does it.
    pub max_pipelined: usize,
    /// Whether passwords may be sent without TLS. Default `false`.
    pub allow_plaintext: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            reply_timeout: Duration::from_secs(5 * 60),
            max_line: 16 * 1024,
            max_capabilities: 200,
            max_pipelined: 32,
            allow_plaintext: false,
        }
    }
}
