//! Certificates of clients, for EXTERNAL (RFC 4422 Appendix A)

use super::TlsError;
use super::pem::{chain, content};
use super::trust::provider;
use ring::digest::{SHA256, digest};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use std::path::Path;
use std::sync::Arc;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Who judges the certificates of clients by the authorities of a PEM file. A client need not have one; one that shows
/// another is not served.
pub(super) fn verifier(authorities: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(authorities)? {
        roots
            .add(certificate)
            .map_err(|error| content(authorities, error))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .allow_unauthenticated()
        .build();
    verifier.map_err(|error| content(authorities, error))
}

/// The SHA-256 of a certificate.
pub(crate) fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    let mut octets = [0; 32];
    octets.copy_from_slice(digest(&SHA256, certificate).as_ref());
    octets
}

/// The mail addresses that a certificate is for (`rfc822Name`, RFC 5280 §4.2.1.6), in its own order.
pub(crate) fn mail_addresses(certificate: &[u8]) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let Ok(Some(names)) = parsed.subject_alternative_name() else {
        return Vec::new();
    };
    let names = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::RFC822Name(address) => Some((*address).to_owned()),
        _ => None,
    });
    names.collect()
}
