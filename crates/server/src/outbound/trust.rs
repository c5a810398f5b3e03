//! How the certificate of another server is judged, attempt by attempt ([RFC 7435], [RFC 7672] §3, [RFC 8461] §4)
//!
//! [RFC 7435]: https://www.rfc-editor.org/rfc/rfc7435
//! [RFC 7672]: https://www.rfc-editor.org/rfc/rfc7672
//! [RFC 8461]: https://www.rfc-editor.org/rfc/rfc8461

use crate::tls::{Tls, client_config, provider, verifier};
use mailwright_mx::dane::{self, Digests, Match};
use mailwright_mx::{TlsPolicy, sts};
use ring::digest::{SHA256, SHA512, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// What a TLS handshake is held to, and what came of it.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    pub(super) config: Arc<ClientConfig>,
    complaint: Arc<Mutex<Option<Error>>>,
}

impl Trust {
    /// What the policy of an attempt asks for.
    pub(super) fn new(policy: &TlsPolicy, tls: &Tls) -> Self {
        let complaint = Arc::default();
        let config = match policy {
            TlsPolicy::Dane(policy) => client_config(Arc::new(Dane(policy.clone()))),
            TlsPolicy::Sts { policy, .. } if policy.mode() != sts::Mode::Enforce => {
                client_config(Arc::new(Observer {
                    judge: tls.authorities().clone(),
                    complaint: Arc::clone(&complaint),
                }))
            }
            TlsPolicy::Cleartext | TlsPolicy::Opportunistic | TlsPolicy::Encrypted => tls.opportunistic(),
            // What is not known here is not taken lightly.
            _ => tls.verified(),
        };
        Self { config, complaint }
    }

    /// What was wrong with the certificate of a connection that went on nevertheless.
    pub(super) fn complaint(&self) -> Option<Error> {
        let complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        complaint.clone()
    }
}

/// Judges by TLSA records.
#[derive(Debug)]
struct Dane(Arc<dane::Policy>);

struct Ring;

impl Digests for Ring {
    fn sha256(&self, data: &[u8]) -> [u8; 32] {
        let digest = digest(&SHA256, data);
        digest.as_ref().try_into().expect("SHA-256 has 32 octets")
    }

    fn sha512(&self, data: &[u8]) -> [u8; 64] {
        let digest = digest(&SHA512, data);
        digest.as_ref().try_into().expect("SHA-512 has 64 octets")
    }
}

/// No TLSA record matches the certificates that the server showed.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no TLSA record matches the certificate")]
pub(super) struct NoTlsaMatch;

/// rustls shows errors of others in this form only, and it gets into notices to senders.
impl fmt::Debug for NoTlsaMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Dane {
    /// Verifies the server's certificate with one of its issuers as the only authority (RFC 7672 §3.1.2).
    fn under(
        &self,
        anchor: CertificateDer<'_>,
        own: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut roots = RootCertStore::empty();
        roots.add(anchor.into_owned())?;
        let judge = verifier(roots).expect("one authority was added");
        let mut last = CertificateError::NotValidForName.into();
        for name in self.0.names() {
            let Ok(name) = ServerName::try_from(name.to_string()) else {
                continue;
            };
            match judge.verify_server_cert(own, issuers, &name, &[], now) {
                Ok(verified) => return Ok(verified),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl ServerCertVerifier for Dane {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain: Vec<&[u8]> = [own].into_iter().chain(issuers).map(AsRef::as_ref).collect();
        match self.0.compare(&chain, &Ring) {
            Match::EndEntity => Ok(ServerCertVerified::assertion()),
            Match::TrustAnchor(place) => self.under(CertificateDer::from(chain[place]), own, issuers, now),
            Match::RecordedAnchor(place) => {
                let anchor = CertificateDer::from(&*self.0.usable()[place].data);
                self.under(anchor, own, issuers, now)
            }
            Match::Nothing => Err(CertificateError::Other(OtherError(Arc::new(NoTlsaMatch))).into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Takes every certificate, and remembers what a judge has against it: MTA-STS in testing (RFC 8461 §5).
#[derive(Debug)]
struct Observer {
    judge: Arc<WebPkiServerVerifier>,
    complaint: Arc<Mutex<Option<Error>>>,
}

impl ServerCertVerifier for Observer {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let error = self.judge.verify_server_cert(own, issuers, name, ocsp, now).err();
        *self.complaint.lock().unwrap_or_else(PoisonError::into_inner) = error;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}
