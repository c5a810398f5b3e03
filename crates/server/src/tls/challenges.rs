//! The answers to challenges of ACME servers: certificates of a kind of their own (RFC 8737 §3)

use super::trust::provider;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The protocol that an ACME server asks for by ALPN.
pub(super) const ACME_TLS_1: &[u8] = b"acme-tls/1";

/// The answers that are open at this moment, by name; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Challenges(Arc<Mutex<HashMap<String, Arc<ServerConfig>>>>);

/// An open answer; dropping it takes it back.
#[derive(Debug)]
pub(crate) struct Answered {
    name: String,
    all: Challenges,
}

impl Challenges {
    /// What is shown to an ACME server that asks for a name.
    pub(super) fn find(&self, name: &str) -> Option<Arc<ServerConfig>> {
        self.open().get(&name.to_ascii_lowercase()).cloned()
    }

    /// Answers the challenge for a name: with the SHA-256 of the key authorization.
    pub(crate) fn answer(
        &self,
        name: &str,
        digest: &[u8],
    ) -> Result<Answered, Box<dyn std::error::Error + Send + Sync>> {
        let name = name.to_ascii_lowercase();
        let mut params = rcgen::CertificateParams::new([name.clone()])?;
        params.custom_extensions = vec![rcgen::CustomExtension::new_acme_identifier(digest)];
        let key = rcgen::KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = provider();
        // Put together by hand: checked as another certificate would be, it has a critical extension that nobody knows.
        let certified = CertifiedKey::new(
            vec![certificate.der().clone()],
            provider.key_provider.load_private_key(key)?,
        );
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![ACME_TLS_1.to_vec()];
        self.open().insert(name.clone(), Arc::new(config));
        Ok(Answered {
            name,
            all: self.clone(),
        })
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<ServerConfig>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.all.open().remove(&self.name);
    }
}
