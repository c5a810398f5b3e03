//! QUOTA: resources, limits and what is used of them (RFC 9208)

/// What a quota counts (RFC 9208 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QuotaResource {
    /// Space, in units of 1024 octets.
    Storage,
    /// The number of messages.
    Message,
    /// The number of mailboxes.
    Mailbox,
    /// Space of annotations, in units of 1024 octets.
    AnnotationStorage,
}

impl QuotaResource {
    const ALL: [Self; 4] = [
        Self::Storage,
        Self::Message,
        Self::Mailbox,
        Self::AnnotationStorage,
    ];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Storage => "STORAGE",
            Self::Message => "MESSAGE",
            Self::Mailbox => "MAILBOX",
            Self::AnnotationStorage => "ANNOTATION-STORAGE",
        }
    }

    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|resource| resource.as_str().as_bytes().eq_ignore_ascii_case(text))
    }
}

/// How much of a resource there may be, and how much there is. Both below 2^63 (RFC 9208 §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs)] // the response's triplet
pub struct QuotaUsage {
    /// What is counted.
    pub resource: QuotaResource,
    /// How much of it is used.
    pub used: u64,
    /// How much of it may be used.
    pub limit: u64,
}

/// A quota root with its limits. What is not listed is not limited.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // the response's two parts
pub struct Quota {
    /// Its name; may be empty.
    pub root: String,
    /// Its limits.
    pub usage: Vec<QuotaUsage>,
}

/// A question about quotas.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuotaRequest {
    /// GETQUOTA, answered by [`quota`](crate::Server::quota).
    Get {
        /// The name of the quota root.
        root: String,
    },
    /// GETQUOTAROOT, answered by [`quota_roots`](crate::Server::quota_roots).
    Roots {
        /// The mailbox, which need not exist: what would apply to it is asked.
        mailbox: String,
    },
    /// SETQUOTA, answered by [`quota`](crate::Server::quota) with what the limits are then. Limits that are not
    /// listed are lifted.
    Set {
        /// The name of the quota root.
        root: String,
        /// The limits, each resource once.
        limits: Vec<(QuotaResource, u64)>,
    },
}
