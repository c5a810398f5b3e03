//! What a report says ([RFC 8460] §4)
//!
//! [RFC 8460]: https://www.rfc-editor.org/rfc/rfc8460

use core::fmt;
use core::net::IpAddr;

/// A report: what one sender saw of one domain in one day.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The organization that reports.
    pub organization: String,
    /// The first second that is told of, since 1970.
    pub start: u64,
    /// The last second that is told of, since 1970.
    pub end: u64,
    /// How to reach those who report.
    pub contact: String,
    /// The name of this report, no other has it.
    pub id: String,
    /// What happened, by policy.
    pub policies: Vec<PolicyReport>,
}

impl Report {
    /// A report about nothing yet.
    pub fn new(organization: impl Into<String>, contact: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            organization: organization.into(),
            start: 0,
            end: 0,
            contact: contact.into(),
            id: id.into(),
            policies: Vec::new(),
        }
    }

    /// The name of the file, compressed or not, that a report to `domain` travels in (RFC 8460 §5.1).
    pub fn file_name(&self, sender: &str, domain: &str) -> String {
        let (start, end) = (self.start, self.end);
        format!("{sender}!{domain}!{start}!{end}.json")
    }
}

/// What happened under one policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PolicyReport {
    /// What kind of policy it was.
    pub kind: PolicyKind,
    /// The policy, as its domain published it: lines of MTA-STS, TLSA records.
    pub lines: Vec<String>,
    /// The domain the policy was for.
    pub domain: String,
    /// The patterns of an MTA-STS policy, or the host with TLSA records.
    pub hosts: Vec<String>,
    /// How many sessions met the policy.
    pub successes: u64,
    /// How many did not.
    pub failures: u64,
    /// Of those, by what went wrong. They may be fewer than [`failures`](Self::failures).
    pub details: Vec<Detail>,
}

/// The kinds of policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PolicyKind {
    /// DANE.
    Tlsa,
    /// MTA-STS.
    Sts,
    /// None was found.
    #[default]
    NoPolicy,
}

impl PolicyKind {
    pub(crate) const ALL: [Self; 3] = [Self::Tlsa, Self::Sts, Self::NoPolicy];

    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tlsa => "tlsa",
            Self::Sts => "sts",
            Self::NoPolicy => "no-policy-found",
        }
    }
}

/// Sessions that failed in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Detail {
    /// What went wrong.
    pub result: ResultType,
    /// The address it was sent from.
    pub sending_address: Option<IpAddr>,
    /// The host that was to take the mail.
    pub receiving_host: Option<String>,
    /// What that host called itself.
    pub receiving_helo: Option<String>,
    /// The address of that host.
    pub receiving_address: Option<IpAddr>,
    /// How many sessions.
    pub sessions: u64,
    /// Where more is to be read.
    pub information: Option<String>,
    /// What the software said.
    pub reason: Option<String>,
}

impl Detail {
    /// One session that failed.
    pub fn new(result: ResultType) -> Self {
        Self {
            result,
            sending_address: None,
            receiving_host: None,
            receiving_helo: None,
            receiving_address: None,
            sessions: 1,
            information: None,
            reason: None,
        }
    }

    /// Whether both tell of the same, but for the number of sessions.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let parts = |detail: &Self| (detail.result, detail.sending_address, detail.receiving_address);
        parts(self) == parts(other)
            && self.receiving_host == other.receiving_host
            && self.receiving_helo == other.receiving_helo
            && self.information == other.information
            && self.reason == other.reason
    }
}

/// What can go wrong (RFC 8460 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ResultType {
    /// The host does not offer STARTTLS.
    StartTlsNotSupported,
    /// The certificate is for another name.
    CertificateHostMismatch,
    /// The certificate has expired.
    CertificateExpired,
    /// Nobody vouches for the certificate.
    CertificateNotTrusted,
    /// Something else is wrong with TLS.
    ValidationFailure,
    /// No TLSA record can be used.
    TlsaInvalid,
    /// DNSSEC says that an answer is forged.
    DnssecInvalid,
    /// The sender requires DANE, and there is none.
    DaneRequired,
    /// The MTA-STS policy could not be fetched.
    StsPolicyFetchError,
    /// The MTA-STS policy makes no sense.
    StsPolicyInvalid,
    /// The certificate of the policy host is not trusted.
    StsWebpkiInvalid,
}

impl ResultType {
    pub(crate) const ALL: [Self; 11] = [
        Self::StartTlsNotSupported,
        Self::CertificateHostMismatch,
        Self::CertificateExpired,
        Self::CertificateNotTrusted,
        Self::ValidationFailure,
        Self::TlsaInvalid,
        Self::DnssecInvalid,
        Self::DaneRequired,
        Self::StsPolicyFetchError,
        Self::StsPolicyInvalid,
        Self::StsWebpkiInvalid,
    ];

    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StartTlsNotSupported => "starttls-not-supported",
            Self::CertificateHostMismatch => "certificate-host-mismatch",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateNotTrusted => "certificate-not-trusted",
            Self::ValidationFailure => "validation-failure",
            Self::TlsaInvalid => "tlsa-invalid",
            Self::DnssecInvalid => "dnssec-invalid",
            Self::DaneRequired => "dane-required",
            Self::StsPolicyFetchError => "sts-policy-fetch-error",
            Self::StsPolicyInvalid => "sts-policy-invalid",
            Self::StsWebpkiInvalid => "sts-webpki-invalid",
        }
    }
}

impl fmt::Display for ResultType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
