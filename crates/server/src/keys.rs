//! Files of private keys that mail is signed with

use mailwright_auth::crypto::{KeyError, RingKey};
use std::path::Path;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnusableKey {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// It has no key that can sign.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Reads a private key in PEM.
///
/// # Errors
///
/// When the file cannot be read, or has no RSA or Ed25519 key.
pub fn read_key(path: &Path) -> Result<RingKey, UnusableKey> {
    Ok(RingKey::from_pem(&std::fs::read_to_string(path)?)?)
}

/// A private key that others can read is none.
pub(crate) fn warn_if_open(path: &Path) {
    #[cfg(unix)]
    if let Ok(metadata) = std::fs::metadata(path) {
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
        if mode & 0o077 != 0 {
            let file = path.display();
            tracing::warn!(%file, "others can read this private key: `chmod 600` it");
        }
    }
}
