//! What is no relay host

/// Why a text does not name a relay host. Carries no octet of that text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The host is neither an address nor a domain name.
    #[error("bad host: {0}")]
    Host(#[source] mailwright_dns::Error),
    /// What stands in brackets is not an IP address.
    #[error("no IP address in brackets")]
    Brackets,
    /// The port is not a number from 1 to 65535.
    #[error("port is not a number from 1 to 65535")]
    Port,
}
