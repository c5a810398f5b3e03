//! How a policy is fetched ([RFC 8461] §3.3)
//!
//! [RFC 8461]: https://www.rfc-editor.org/rfc/rfc8461

use super::{Id, Policy, PolicyError};
use core::time::Duration;
use mailwright_dns::Name;

/// A GET over HTTPS that the embedder makes: no redirects, no proxies' caches, and a certificate that the usual
/// authorities vouch for, for [`host`](Self::host).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Fetch {
    /// The domain whose policy it is.
    pub domain: Name,
    /// The id the policy is announced with.
    pub id: Id,
    /// The host to connect to, at port 443.
    pub host: Name,
}

impl Fetch {
    /// The path to ask for.
    pub const PATH: &'static str = "/.well-known/mta-sts.txt";
    /// How large the body may be, in octets (RFC 8461 §3.3: at least 64 KiB).
    pub const MAX_BODY: usize = 64 * 1024;
    /// How long it may take, connecting included (RFC 8461 §3.3 suggests one minute).
    pub const TIMEOUT: Duration = Duration::from_secs(60);

    /// `None` if the domain leaves no room for the label `mta-sts`.
    pub(crate) fn new(domain: Name, id: Id) -> Option<Self> {
        let host = domain.with_prefix("mta-sts").ok()?;
        Some(Self { domain, id, host })
    }

    /// The URL.
    pub fn url(&self) -> String {
        format!("https://{}{}", self.host, Self::PATH)
    }

    /// Reads what came back.
    ///
    /// # Errors
    ///
    /// [`FetchError::Status`] unless the status is 200, [`FetchError::ContentType`] unless it is `text/plain`,
    /// [`FetchError::TooLarge`] and [`FetchError::Invalid`] for the body.
    pub fn read(status: u16, content_type: Option<&str>, body: &[u8]) -> Result<Policy, FetchError> {
        if status != 200 {
            return Err(FetchError::Status(status));
        }
        let media_type = content_type.and_then(|value| value.split(';').next());
        if !media_type.is_some_and(|value| value.trim().eq_ignore_ascii_case("text/plain")) {
            return Err(FetchError::ContentType);
        }
        if body.len() > Self::MAX_BODY {
            return Err(FetchError::TooLarge);
        }
        Policy::parse(body).map_err(FetchError::Invalid)
    }
}

/// Why a policy could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The host has no address, or none that answers.
    #[error("the policy host cannot be reached")]
    Unreachable,
    /// TLS failed, or the certificate is not to be trusted.
    #[error("the certificate of the policy host is not trusted")]
    Certificate,
    /// It took too long.
    #[error("the policy host took too long")]
    Timeout,
    /// What came back is not HTTP.
    #[error("the policy host does not speak HTTP")]
    Protocol,
    /// A status other than 200, redirects included.
    #[error("the policy host answered with status {0}")]
    Status(u16),
    /// Not `text/plain`.
    #[error("the policy has another type than text/plain")]
    ContentType,
    /// More than [`Fetch::MAX_BODY`].
    #[error("the policy is too large")]
    TooLarge,
    /// The body is no policy.
    #[error("{0}")]
    Invalid(PolicyError),
    /// It failed a short while ago, and is not tried again yet.
    #[error("the policy could not be fetched a short while ago")]
    Recently,
}
