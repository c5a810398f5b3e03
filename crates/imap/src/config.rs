//! Limits and choices of a server session

use crate::{Capabilities, QuotaResource};
use mailwright_sasl::Mechanism;
use std::time::Duration;

/// How a server session behaves. One value can serve any number of sessions behind an `Arc`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The text of the greeting; default `Mailwright ready`.
    pub greeting: String,
    /// Extensions offered; default [`Capabilities::basic`]. Add what you can answer.
    /// [`Server::set_capabilities`](crate::Server::set_capabilities) changes them for one session.
    pub capabilities: Capabilities,
    /// SASL mechanisms offered, in this order; -PLUS ones once
    /// [`Server::bind_channel`](crate::Server::bind_channel) says to what. Default PLAIN,
    /// LOGIN, SCRAM-SHA-256 and SCRAM-SHA-256-PLUS.
    pub mechanisms: Vec<Mechanism>,
    /// Whether STARTTLS is offered on a plaintext connection; default true. Without a certificate, set false.
    pub starttls: bool,
    /// Whether passwords may cross a plaintext connection; default false: LOGINDISABLED (RFC 3501 §6.2.3).
    pub plaintext_login: bool,
    /// What the quotas count that [`Capability::Quota`](crate::Capability::Quota) offers; default space and
    /// messages.
    pub quota_resources: Vec<QuotaResource>,
    /// How many changes of mailboxes NOTIFY keeps until they can be told; default 1,000. Each is bounded by the
    /// length of a name.
    pub max_notices: usize,
    /// What ID answers (RFC 2971): name and value; default the name `Mailwright`.
    pub id: Vec<(String, String)>,
    /// The hierarchy delimiter; default `/`. ASCII, neither a letter nor a wildcard.
    pub delimiter: char,
    /// The longest command in octets, its small literals included; default 65,536, at least 8,000 (RFC 7162 §4).
    pub max_command: usize,
    /// The same before login; default 16,384.
    pub max_command_before_login: usize,
    /// The largest literal of a command other than APPEND; default 65,536. The command's limit holds too.
    pub max_literal: u32,
    /// The same before login; default 4,096.
    pub max_literal_before_login: u32,
    /// The largest message that APPEND takes, in octets; default 64 MiB.
    pub max_append: u64,
    /// How much of a refused non-synchronising literal is read and dropped to stay in step, in octets; a
    /// larger one ends the session. Default 64 MiB.
    pub max_drained: u64,
    /// How deep search keys may nest; default 50.
    pub max_depth: usize,
    /// How many commands in a row may be malformed before the session is ended; default 20.
    pub max_bad_commands: u32,
    /// How often authentication may fail before the session is ended; default 5.
    pub max_auth_failures: u32,
    /// How long a client may take until it is logged in, whatever it does meanwhile; default 3 minutes.
    pub login_timeout: Duration,
    /// How long a client may be silent once it is logged in, IDLE included; default 30 minutes, the least that
    /// RFC 3501 §5.4 permits and what clients expect of IDLE (RFC 2177).
    pub idle_timeout: Duration,
    /// How many octets of output may wait before the engine stops making more; default 65,536.
    pub output_high_water: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            greeting: "Mailwright ready".into(),
            capabilities: Capabilities::basic(),
            mechanisms: vec![
                Mechanism::Plain,
                Mechanism::Login,
                Mechanism::ScramSha256,
                Mechanism::ScramSha256Plus,
            ],
            starttls: true,
            plaintext_login: false,
            quota_resources: vec![QuotaResource::Storage, QuotaResource::Message],
            max_notices: 1000,
            id: vec![("name".into(), "Mailwright".into())],
            delimiter: '/',
            max_command: 64 * 1024,
            max_command_before_login: 16 * 1024,
            max_literal: 64 * 1024,
            max_literal_before_login: 4096,
            max_append: 64 * 1024 * 1024,
            max_drained: 64 * 1024 * 1024,
            max_depth: 50,
            max_bad_commands: 20,
            max_auth_failures: 5,
            login_timeout: Duration::from_secs(3 * 60),
            idle_timeout: Duration::from_secs(30 * 60),
            output_high_water: 64 * 1024,
        }
    }
}
