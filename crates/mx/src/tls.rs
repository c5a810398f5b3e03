//! What is asked of TLS for one attempt ([RFC 7435], [RFC 7672], [RFC 8461], [RFC 8689])
//!
//! [RFC 7435]: https://www.rfc-editor.org/rfc/rfc7435
//! [RFC 7672]: https://www.rfc-editor.org/rfc/rfc7672
//! [RFC 8461]: https://www.rfc-editor.org/rfc/rfc8461
//! [RFC 8689]: https://www.rfc-editor.org/rfc/rfc8689

use crate::{dane, sts};
use core::fmt;
use std::sync::Arc;

/// What the sender of a message asks of TLS (RFC 8689).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Demand {
    /// Nothing beyond what the destination publishes.
    #[default]
    Usual,
    /// `REQUIRETLS`: only hosts whose name is sure and whose certificate is verified (RFC 8689 §4.2.1).
    Required,
    /// `TLS-Required: No`: it goes even where the policy of the destination cannot be met (RFC 8689 §4.2.2).
    Optional,
}

/// What is asked of TLS for one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsPolicy {
    /// Speak in the clear.
    Cleartext,
    /// Use STARTTLS if it is offered, whatever the certificate says, and plaintext if it is not (RFC 7435).
    Opportunistic,
    /// Use STARTTLS, or do not deliver; the certificate says nothing.
    Encrypted,
    /// Use STARTTLS with a certificate that the usual authorities vouch for, or do not deliver.
    Verified,
    /// Speak TLS from the first octet with such a certificate, or do not deliver.
    Implicit,
    /// Use STARTTLS with a certificate that matches these records, or do not deliver (RFC 7672).
    Dane(Arc<dane::Policy>),
    /// Use STARTTLS with a certificate that the usual authorities vouch for (RFC 8461 §4). In mode `enforce` do not
    /// deliver otherwise; in mode `testing` deliver as with [`Opportunistic`](Self::Opportunistic), and report.
    Sts {
        /// The policy.
        policy: Arc<sts::Policy>,
        /// Whether the policy lists the host. Always so in mode `enforce`.
        listed: bool,
    },
}

impl TlsPolicy {
    /// Whether the attempt fails if TLS cannot be had as asked for.
    pub fn is_mandatory(&self) -> bool {
        match self {
            Self::Cleartext | Self::Opportunistic => false,
            Self::Encrypted | Self::Verified | Self::Implicit | Self::Dane(_) => true,
            Self::Sts { policy, .. } => policy.mode() == sts::Mode::Enforce,
        }
    }

    /// Whether the peer is sure to be the host that was meant, once the attempt succeeds.
    pub fn is_authenticated(&self) -> bool {
        self.is_mandatory() && *self != Self::Encrypted
    }
}

impl fmt::Display for TlsPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cleartext => f.write_str("none"),
            Self::Opportunistic => f.write_str("opportunistic"),
            Self::Encrypted => f.write_str("required, any certificate"),
            Self::Verified => f.write_str("required, verified certificate"),
            Self::Implicit => f.write_str("from the start, verified certificate"),
            Self::Dane(policy) => write!(f, "required, certificate by DANE at {}", policy.base()),
            Self::Sts { policy, listed } => match (policy.mode(), listed) {
                (sts::Mode::Enforce, _) => f.write_str("required, verified certificate by MTA-STS"),
                (_, true) => f.write_str("tried, verified certificate by MTA-STS in testing"),
                (_, false) => f.write_str("tried, host not listed by MTA-STS in testing"),
            },
        }
    }
}

/// Why an attempt has its [`TlsPolicy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsReason {
    /// The destination publishes nothing that binds.
    NothingPublished,
    /// The host has TLSA records that DNSSEC vouches for.
    TlsaRecords,
    /// The host has such records, and none that can be used: it promises TLS all the same (RFC 7672 §2.2).
    UnusableTlsa,
    /// The domain has an MTA-STS policy.
    StsPolicy,
    /// The operator says so.
    Operator,
    /// The sender requires TLS.
    RequireTls,
    /// The sender says that TLS is optional.
    TlsOptional,
    /// The destination is an address: it has no name that a policy could be published for.
    Literal,
}

impl fmt::Display for TlsReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NothingPublished => "no policy is published",
            Self::TlsaRecords => "TLSA records",
            Self::UnusableTlsa => "TLSA records that cannot be used",
            Self::StsPolicy => "MTA-STS policy",
            Self::Operator => "the operator's rule",
            Self::RequireTls => "the sender requires TLS",
            Self::TlsOptional => "the sender says that TLS is optional",
            Self::Literal => "an address has no policy",
        })
    }
}
