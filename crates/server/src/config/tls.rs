//! TLS of listeners: certificates, authorities for those of clients, and an ACME server to get certificates from

use super::problem::Problems;
use super::values::{Span, Text};
use super::{Config, ListenerConfig, Protocol, TlsMode};
use mailwright_address::{Domain, EmailAddress};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

/// A certificate chain and its key, both PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct CertificateFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl CertificateFiles {
    /// Names the two files.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
        }
    }
}

/// What listeners do under TLS, beside the [common certificate](Config::certificate).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TlsConfig {
    /// Further certificates, shown to those who ask for a name in them.
    pub also: Vec<CertificateFiles>,
    /// A PEM file with the authorities whose certificates mail programs may log in with (EXTERNAL, RFC 4422
    /// Appendix A). A certificate stands for the account that it names as a mail address, or whose entry has its
    /// [fingerprint](super::AccountEntry::certificates). Without it, no client is asked for a certificate.
    pub client_ca: Option<PathBuf>,
}

/// Where certificates are got from, and for which names (RFC 8555).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acme {
    /// The directory of the ACME server.
    pub directory: String,
    /// Whom the ACME server may write to.
    pub contact: Vec<EmailAddress>,
    /// The names to get certificates for, one for each. The first is shown to clients that ask for none of the names.
    ///
    /// A file that names none means the server's own name and, where a listener for HTTP begins with TLS,
    /// `autoconfig.` and `mta-sts.` in front of each local domain that is known when the file is read.
    pub names: Vec<Domain>,
    /// An address to listen at for the ACME server's look at port 443 (TLS-ALPN-01, RFC 8737), where no other listener
    /// has that port: each that begins with TLS answers as well.
    pub address: Option<SocketAddr>,
    /// A PEM file with an authority to trust on connections to the ACME server, beside the public ones.
    pub ca: Option<PathBuf>,
    /// How long to wait after a failure. It doubles with each further one, up to twelve hours.
    pub retry: Duration,
}

impl Acme {
    /// The directory of Let's Encrypt.
    pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

    /// Certificates of Let's Encrypt for these names. Whoever makes this agrees to the terms of its service.
    pub fn new(names: Vec<Domain>) -> Self {
        Self {
            directory: Self::LETS_ENCRYPT.to_owned(),
            contact: Vec::new(),
            names,
            address: None,
            ca: None,
            retry: Duration::from_secs(300),
        }
    }

    /// The folder of the account key and of the certificates.
    pub fn folder(data: &Path) -> PathBuf {
        data.join("tls/acme")
    }

    /// Where the certificate of each name is kept.
    pub(crate) fn files(&self, data: &Path) -> Vec<(Domain, CertificateFiles)> {
        let folder = Self::folder(data);
        let of_name = |name: &Domain| {
            let ascii = name
                .to_ascii()
                .map_or_else(|_| name.to_string(), |ascii| ascii.to_string());
            let ascii = ascii.to_lowercase();
            let file = |kind: &str| folder.join(format!("{ascii}.{kind}"));
            (name.clone(), CertificateFiles::new(file("crt"), file("key")))
        };
        self.names.iter().map(of_name).collect()
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsSection {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    #[serde(default)]
    also: Vec<Spanned<FilesSection>>,
    client_ca: Option<Spanned<PathBuf>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FilesSection {
    certificate: PathBuf,
    key: PathBuf,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AcmeSection {
    directory: Option<Spanned<String>>,
    #[serde(default)]
    contact: Vec<Text<EmailAddress>>,
    #[serde(default)]
    names: Vec<Text<Domain>>,
    #[serde(default)]
    terms_agreed: bool,
    address: Option<SocketAddr>,
    ca: Option<Spanned<PathBuf>>,
    retry: Option<Text<Span>>,
}

impl TlsSection {
    /// Puts what it says into the configuration.
    pub(super) fn apply(
        section: Option<Spanned<Self>>,
        config: &mut Config,
        folder: &Path,
        found: &mut Problems<'_>,
    ) {
        let Some(section) = section else { return };
        let span = section.span();
        let section = section.into_inner();
        config.certificate = pair(section.certificate, section.key, folder, span, found);
        for also in section.also {
            let span = also.span();
            let also = also.into_inner();
            let files = pair(Some(also.certificate), Some(also.key), folder, span, found);
            config.tls.also.extend(files);
        }
        config.tls.client_ca = section.client_ca.map(|path| pem(path, folder, found));
    }
}

impl AcmeSection {
    /// Puts what it says into the configuration, whose name and listeners are known, and whose domains are `local`.
    pub(super) fn apply(
        section: Option<Spanned<Self>>,
        config: &mut Config,
        local: &[Domain],
        folder: &Path,
        found: &mut Problems<'_>,
    ) {
        let Some(section) = section else { return };
        let span = section.span();
        let section = section.into_inner();
        if !section.terms_agreed {
            let help = "read the terms of its service, and say `terms_agreed = true` if you agree";
            found.add(Some(span), "an ACME server wants its terms agreed to", Some(help));
        }
        let names: Vec<_> = section.names.into_iter().map(|name| name.0).collect();
        let mut acme = Acme::new(match names.is_empty() {
            true => usual_names(config, local),
            false => names,
        });
        if let Some(directory) = section.directory {
            let at = directory.span();
            acme.directory = directory.into_inner();
            if !acme.directory.starts_with("https://") {
                let help = Some("as \"https://acme-v02.api.letsencrypt.org/directory\"");
                found.add(
                    Some(at),
                    "the directory of an ACME server is a URL of https",
                    help,
                );
            }
        }
        acme.contact = section.contact.into_iter().map(|address| address.0).collect();
        acme.address = section.address;
        acme.ca = section.ca.map(|path| pem(path, folder, found));
        if let Some(retry) = section.retry {
            acme.retry = retry.0.0;
        }
        config.acme = Some(acme);
    }
}

/// The server's own name, and those that clients of its HTTPS ask for.
fn usual_names(config: &Config, local: &[Domain]) -> Vec<Domain> {
    let mut names = vec![config.hostname.clone()];
    let is_https = |it: &ListenerConfig| it.protocol == Protocol::Http && it.tls == TlsMode::Implicit;
    if config.listeners.iter().any(is_https) {
        for domain in local {
            let parts = ["autoconfig", "mta-sts"].map(|label| Domain::parse(&format!("{label}.{domain}")));
            // A domain may be so long that there is no room for names below it.
            names.extend(parts.into_iter().flatten());
        }
    }
    names
}

/// The two files of a certificate, if they are named.
pub(super) fn pair(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    folder: &Path,
    span: std::ops::Range<usize>,
    found: &mut Problems<'_>,
) -> Option<CertificateFiles> {
    match (certificate, key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => {
            let files = CertificateFiles::new(folder.join(certificate), folder.join(key));
            for path in [&files.certificate, &files.key] {
                if let Err(error) = std::fs::metadata(path) {
                    let help = Some("name a PEM file; without a certificate the server makes its own");
                    found.add(Some(span.clone()), format!("{}: {error}", path.display()), help);
                }
            }
            Some(files)
        }
        (Some(_), None) => {
            found.add(
                Some(span),
                "the certificate has no key",
                Some("add `key = \"FILE\"`"),
            );
            None
        }
        (None, Some(_)) => {
            found.add(
                Some(span),
                "the key has no certificate",
                Some("add `certificate = \"FILE\"`"),
            );
            None
        }
    }
}

/// A PEM file that has to be there.
fn pem(path: Spanned<PathBuf>, folder: &Path, found: &mut Problems<'_>) -> PathBuf {
    let span = path.span();
    let path = folder.join(path.into_inner());
    if let Err(error) = std::fs::metadata(&path) {
        found.add(
            Some(span),
            format!("{}: {error}", path.display()),
            Some("name a PEM file"),
        );
    }
    path
}
