//! What a server offers to mail programs, and under which names: the same in SRV records (RFC 6186, RFC 8314 §5.1) and
//! in every document that sets them up

use crate::config::{Config, Protocol, TlsMode};
use crate::names::domain_key;

/// A service, as mail programs reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    /// Its name in the DNS without the underscore, such as `imaps`.
    pub(crate) name: &'static str,
    pub(crate) protocol: Protocol,
    /// TLS at once, or by STARTTLS.
    pub(crate) implicit: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// The services that mail programs from elsewhere can use, the best of each kind first. Nothing without TLS is among
/// them.
pub(crate) fn services(config: &Config) -> Vec<Service> {
    let host = config.web.hostname.as_ref().unwrap_or(&config.hostname);
    let host = domain_key(host);
    let service = |(name, protocol, implicit): &(&'static str, Protocol, bool)| {
        let told = config.web.ports.get(*name).copied();
        let port = told.or_else(|| port_of(config, *protocol, *implicit))?;
        Some(Service {
            name,
            protocol: *protocol,
            implicit: *implicit,
            host: host.clone(),
            port,
        })
    };
    SERVICES.iter().filter_map(service).collect()
}

/// Whether a name is that of a service.
pub(crate) fn is_service(name: &str) -> bool {
    SERVICES.iter().any(|(known, ..)| *known == name)
}

/// The port of a listener that others than this machine reach.
fn port_of(config: &Config, protocol: Protocol, implicit: bool) -> Option<u16> {
    let mode = match implicit {
        true => TlsMode::Implicit,
        false => TlsMode::Starttls,
    };
    let mut listeners = config.listeners.iter();
    let listener =
        listeners.find(|it| it.protocol == protocol && it.tls == mode && !it.address.ip().is_loopback())?;
    Some(listener.address.port())
}

/// The services of RFC 6186 §3 and RFC 8314 §5.1, the protocol, and whether TLS starts at once.
const SERVICES: &[(&str, Protocol, bool)] = &[
    ("submissions", Protocol::Submission, true),
    ("submission", Protocol::Submission, false),
    ("imaps", Protocol::Imap, true),
    ("imap", Protocol::Imap, false),
    ("pop3s", Protocol::Pop3, true),
    ("pop3", Protocol::Pop3, false),
];
