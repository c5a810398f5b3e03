//! PEM files of certificates (RFC 7468)

use super::TlsError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::path::Path;

/// The certificates of a PEM file; at least one.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| content(path, error))?;
    if chain.is_empty() {
        return Err(content(
            path,
            "holds no certificate (-----BEGIN CERTIFICATE-----)",
        ));
    }
    Ok(chain)
}

/// Something is wrong with what a file holds.
pub(super) fn content(path: &Path, what: impl std::fmt::Display) -> TlsError {
    TlsError::Content {
        path: path.into(),
        what: what.to_string(),
    }
}
