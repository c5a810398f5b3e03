//! Certificates in files: read, chosen by the name a client asks for, and read again when they change (RFC 6066 §3)

use super::TlsError;
use super::pem::{chain, content};
use super::trust::provider;
use crate::config::CertificateFiles;
use crate::files::{Stamp, stamp};
use mailwright_sasl::tls_server_end_point;
use rustls::ServerConfig;
use rustls::crypto::ring::Ticketer;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::version::{TLS12, TLS13};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The certificates that a listener may show, as their files are at this moment.
#[derive(Debug)]
pub(super) struct Certificates {
    slots: RwLock<Vec<Slot>>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

/// Where a certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) files: CertificateFiles,
    /// Whether there may be none yet.
    pub(super) optional: bool,
}

/// One certificate and the state of its files.
#[derive(Debug)]
struct Slot {
    source: Source,
    seen: Stamps,
    /// A state of the files that could not be used when it was first seen. They may have been in the middle of a change
    /// then: the complaint waits for the second look.
    doubted: Option<Stamps>,
    certified: Option<Arc<Certified>>,
}

type Stamps = [Option<Stamp>; 2];

/// A certificate with its key, ready for connections.
#[derive(Debug)]
pub(super) struct Certified {
    /// Asks clients for nothing.
    pub(super) plain: Arc<ServerConfig>,
    /// Asks clients for a certificate, if any authority for them is configured. They need not have one.
    pub(super) asking: Option<Arc<ServerConfig>>,
    /// `tls-server-end-point` of the certificate (RFC 5929 §4.1), if there is such a thing for it.
    pub(super) end_point: Option<Arc<[u8]>>,
    /// The DNS names of the certificate, in lower case.
    names: Vec<Box<str>>,
}

impl Certificates {
    /// Reads the certificates of these files. The first that is there is shown to clients that ask for none of the names.
    pub(super) fn load(
        sources: Vec<Source>,
        clients: Option<Arc<dyn ClientCertVerifier>>,
    ) -> Result<Self, TlsError> {
        let mut slots = Vec::with_capacity(sources.len());
        for source in sources {
            // Before they are read: what changes meanwhile is seen at the next look.
            let seen = stamps(&source.files);
            let certified = match Certified::load(&source.files, clients.as_ref()) {
                Ok(certified) => Some(Arc::new(certified)),
                Err(_) if source.optional && seen.iter().all(Option::is_none) => None,
                Err(error) if source.optional => {
                    tracing::error!("a certificate is left out: {error}");
                    None
                }
                Err(error) => return Err(error),
            };
            slots.push(Slot {
                source,
                seen,
                doubted: None,
                certified,
            });
        }
        Ok(Self {
            slots: RwLock::new(slots),
            clients,
        })
    }

    /// Looks at the files, and reads those again that have changed. What cannot be used changes nothing, and is
    /// complained of once.
    pub(super) fn refresh(&self) {
        let changed: Vec<(usize, CertificateFiles, Stamps)> = {
            let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
            let look = |(at, slot): (usize, &Slot)| {
                let seen = stamps(&slot.source.files);
                (seen != slot.seen).then(|| (at, slot.source.files.clone(), seen))
            };
            slots.iter().enumerate().filter_map(look).collect()
        };
        for (at, files, seen) in changed {
            let read = Certified::load(&files, self.clients.as_ref());
            let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
            let Some(slot) = slots.get_mut(at) else { continue };
            match read {
                Ok(certified) => {
                    tracing::info!(certificate = %files.certificate.display(), "the certificate was read again");
                    (slot.seen, slot.doubted) = (seen, None);
                    slot.certified = Some(Arc::new(certified));
                }
                Err(_) if slot.doubted != Some(seen) => slot.doubted = Some(seen),
                Err(error) => {
                    (slot.seen, slot.doubted) = (seen, None);
                    match slot.certified {
                        Some(_) => tracing::error!("the certificate stays as it was: {error}"),
                        None => tracing::error!("a certificate is left out: {error}"),
                    }
                }
            }
        }
    }

    /// The certificate for the name that a client asks for: one that has this name, else one with a wildcard for it,
    /// else the first. `None` only while no file is there.
    pub(super) fn choose(&self, name: Option<&str>) -> Option<Arc<Certified>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let all = || slots.iter().filter_map(|slot| slot.certified.as_ref());
        let named = name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let exact = all().find(|one| one.names.iter().any(|known| **known == *name));
            exact.or_else(|| all().find(|one| one.names.iter().any(|known| covers(known, &name))))
        });
        named.or_else(|| all().next()).cloned()
    }
}

impl Certified {
    fn load(
        files: &CertificateFiles,
        clients: Option<&Arc<dyn ClientCertVerifier>>,
    ) -> Result<Self, TlsError> {
        let chain = chain(&files.certificate)?;
        let leaf = chain.first().expect("a chain without certificates is an error");
        let end_point = tls_server_end_point(leaf).map(Arc::from);
        let names = dns_names(leaf).map_err(|what| content(&files.certificate, what))?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| content(&files.key, error))?;
        let config = |clients: Option<&Arc<dyn ClientCertVerifier>>| {
            // TLS 1.0 and 1.1 are not to be used (RFC 8996), and rustls has neither.
            let builder = ServerConfig::builder_with_provider(provider())
                .with_protocol_versions(&[&TLS13, &TLS12])
                .map_err(|error| content(&files.certificate, error))?;
            let builder = match clients {
                Some(verifier) => builder.with_client_cert_verifier(verifier.clone()),
                None => builder.with_no_client_auth(),
            };
            let mut config = builder
                .with_single_cert(chain.clone(), key.clone_key())
                .map_err(|error| content(&files.certificate, error))?;
            // A ticket is good for the certificate that it was given under and for no other: what SASL binds to stays
            // true for sessions that are resumed.
            config.ticketer = Ticketer::new().map_err(|error| content(&files.certificate, error))?;
            Ok(Arc::new(config))
        };
        Ok(Self {
            plain: config(None)?,
            asking: clients.map(|clients| config(Some(clients))).transpose()?,
            end_point,
            names,
        })
    }
}

/// When a certificate in a PEM file begins to be valid, and when it ends, in unix seconds.
pub(crate) fn lifetime(path: &Path) -> Result<(i64, i64), TlsError> {
    let chain = chain(path)?;
    let leaf = chain.first().expect("a chain without certificates is an error");
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|error| content(path, error))?;
    let validity = parsed.validity();
    Ok((validity.not_before.timestamp(), validity.not_after.timestamp()))
}

/// Whether a chain and a key, both PEM, belong together and can be used.
pub(crate) fn fits(chain: &str, key: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
    ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(())
}

fn stamps(files: &CertificateFiles) -> Stamps {
    [stamp(&files.certificate), stamp(&files.key)]
}

/// The DNS names that a certificate is for, in lower case (RFC 9525 §6.2: the subject's common name is none of them).
fn dns_names(certificate: &CertificateDer<'_>) -> Result<Vec<Box<str>>, String> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    let names = parsed
        .subject_alternative_name()
        .map_err(|error| error.to_string())?;
    let names = names
        .iter()
        .flat_map(|names| &names.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase().into()),
            _ => None,
        });
    Ok(names.collect())
}

/// Whether `*.b.c` stands for a name: for one label in place of the star, and no more (RFC 9525 §6.3).
fn covers(pattern: &str, name: &str) -> bool {
    let parent = pattern.strip_prefix("*.");
    parent.is_some_and(|parent| {
        name.split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest == parent)
    })
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        assert!(covers("*.a.test", "mail.a.test"));
        assert!(!covers("*.a.test", "a.test"));
        assert!(!covers("*.a.test", "x.mail.a.test"));
        assert!(!covers("*.a.test", ".a.test"));
        assert!(!covers("mail.a.test", "mail.a.test"), "that is an exact name");
    }
}
