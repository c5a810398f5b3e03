//! Internationalised domain names (RFC 5890, RFC 5891, UTS 46)
//!
//! Only with the feature `idna`, which brings the tables of Unicode along.

use crate::{Domain, EmailAddress, Host};
use core::fmt;
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// A domain has no other form: a label is no U-label, or its A-label is too long for the DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdnaError;

/// With the feature `idna`.
impl Domain {
    /// The form for the DNS and for hosts without RFC 6531: A-labels (`xn--…`), in lower case.
    ///
    /// Mapped by UTS 46 without transitional processing, so `ß` stays a letter of its own. A domain that is
    /// all ASCII is put into lower case and not looked into: what its A-labels stand for is not asked.
    ///
    /// # Errors
    ///
    /// Fails if a label with other than ASCII characters is not one that RFC 5891 allows, or if the result
    /// is too long for the DNS: 63 octets a label, 253 in all.
    ///
    /// # Examples
    ///
    /// ```
    /// use mailwright_address::Domain;
    ///
    /// let domain: Domain = "Bücher.Example".parse()?;
    /// assert_eq!(domain.to_ascii()?.as_str(), "xn--bcher-kva.example");
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn to_ascii(&self) -> Result<Self, IdnaError> {
        if self.is_ascii() {
            return Ok(Self::scanned(&self.as_str().to_ascii_lowercase()));
        }
        let ascii = Uts46::new()
            .to_ascii(
                self.as_str().as_bytes(),
                AsciiDenyList::STD3,
                Hyphens::CheckFirstLast,
                DnsLength::Verify,
            )
            .map_err(|_| IdnaError)?;
        Self::parse(&ascii).map_err(|_| IdnaError)
    }

    /// The form to show to people: U-labels, in lower case and normalised (NFC).
    ///
    /// Letters of different scripts can look alike: do not let anybody trust a domain by its look.
    ///
    /// # Errors
    ///
    /// Fails if an A-label stands for nothing, or for what RFC 5891 does not allow; show the domain as it is
    /// then.
    pub fn to_unicode(&self) -> Result<Self, IdnaError> {
        let (unicode, result) = Uts46::new().to_unicode(
            self.as_str().as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
        );
        result.map_err(|_| IdnaError)?;
        Self::parse(&unicode).map_err(|_| IdnaError)
    }

    /// Whether both name the same domain of the DNS, in whatever form: `Bücher.example` and
    /// `xn--bcher-kva.EXAMPLE` do.
    ///
    /// Domains without an ASCII form are the same only if they are equal.
    pub fn same_as(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        // Two ASCII domains that are not equal are two domains.
        if self.is_ascii() && other.is_ascii() {
            return false;
        }
        matches!((self.to_ascii(), other.to_ascii()), (Ok(a), Ok(b)) if a == b)
    }
}

/// With the feature `idna`.
impl EmailAddress {
    /// The address with its domain in A-labels; the local part stays as written, whether ASCII or not.
    ///
    /// With an ASCII local part the result [is ASCII](EmailAddress::is_ascii): such an address reaches hosts
    /// that do not know RFC 6531.
    ///
    /// # Errors
    ///
    /// Those of [`Domain::to_ascii`].
    pub fn to_ascii_domain(&self) -> Result<Self, IdnaError> {
        match self.domain() {
            Some(domain) => Ok(self.with_host(Host::Domain(domain.to_ascii()?))),
            None => Ok(self.clone()),
        }
    }
}

impl fmt::Display for IdnaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the domain has no valid internationalised form")
    }
}

impl core::error::Error for IdnaError {}
