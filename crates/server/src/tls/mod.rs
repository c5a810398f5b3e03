//! TLS: certificates of listeners, those of clients, and how other servers are trusted.
//!
//! ```text
//!  files ───────┐  read again when they change        ClientHello: name, ALPN
//!  ACME ────────┼─▶ Certificates ─▶ Acceptor ◀──────── client
//!  self-made ───┘   (one for each listener             │ acme-tls/1: the answer to a challenge
//!                    that has its own)                  └ else: the certificate with that name, or the first
//! ```
//!
//! TLS 1.2 and 1.3 are spoken (RFC 8996, RFC 9325); sessions are resumed by tickets, whose keys change every six hours.
//! The provider (ring) is passed explicitly everywhere; the process-wide default of rustls is left to programs.

mod acceptor;
mod certificates;
mod challenges;
mod clients;
mod pem;
mod self_made;
mod trust;

use crate::config::{CertificateFiles, Config, ListenerConfig, Protocol};
use certificates::{Certificates, Source};
use pem::{chain, content};
use rustls::ClientConfig;
use rustls::client::WebPkiServerVerifier;
use self_made::{self_made, self_made_files};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use trust::{authorities, opportunistic};

pub use acceptor::Acceptor;
pub(crate) use certificates::{fits, lifetime};
pub(crate) use challenges::Challenges;
pub(crate) use clients::{fingerprint, mail_addresses};
pub(crate) use trust::{client_config, provider, verifier};

/// The TLS configurations of a server.
#[derive(Debug)]
pub struct Tls {
    common: Arc<Certificates>,
    of_listeners: BTreeMap<CertificateFiles, Arc<Certificates>>,
    challenges: Challenges,
    opportunistic: Arc<ClientConfig>,
    verified: Arc<ClientConfig>,
    authorities: Arc<WebPkiServerVerifier>,
}

/// Why certificates could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl Tls {
    /// Loads the certificates of a configuration. If it names none, one is made and kept in the data folder.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or does not hold a certificate and its key.
    pub fn load(config: &Config) -> Result<Self, TlsError> {
        Self::load_beside(config, Challenges::default())
    }

    /// Loads the certificates of another configuration, which takes the place of this one.
    pub(crate) fn reloaded(&self, config: &Config) -> Result<Self, TlsError> {
        Self::load_beside(config, self.challenges.clone())
    }

    fn load_beside(config: &Config, challenges: Challenges) -> Result<Self, TlsError> {
        let clients = config
            .tls
            .client_ca
            .as_deref()
            .map(clients::verifier)
            .transpose()?;
        let mut common = configured(config);
        if config.certificate.is_none() {
            let files = self_made(&config.data.join("tls"), config.hostname.as_str())?;
            if config.acme.is_none() {
                tracing::info!(certificate = %files.certificate.display(), "no certificate is configured: using a self-made one");
            }
            common.push(required(&files));
        }
        let mut of_listeners = BTreeMap::new();
        for files in own_of_listeners(config) {
            let certificates = Certificates::load(vec![required(files)], clients.clone())?;
            of_listeners.insert(files.clone(), Arc::new(certificates));
        }
        let authorities = authorities(config.outbound.ca.as_deref())?;
        Ok(Self {
            common: Arc::new(Certificates::load(common, clients)?),
            of_listeners,
            challenges,
            opportunistic: opportunistic(),
            verified: client_config(authorities.clone()),
            authorities,
        })
    }

    /// Looks whether the configured certificates can be used. Makes none.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or does not hold a certificate and its key.
    pub fn check(config: &Config) -> Result<(), TlsError> {
        let clients = config
            .tls
            .client_ca
            .as_deref()
            .map(clients::verifier)
            .transpose()?;
        let of_listeners = own_of_listeners(config).map(required);
        Certificates::load(
            configured(config).into_iter().chain(of_listeners).collect(),
            clients,
        )?;
        authorities(config.outbound.ca.as_deref()).map(drop)
    }

    /// Looks at the files of the certificates, and takes up those that have changed. What cannot be used changes
    /// nothing, and is complained of once.
    pub fn refresh(&self) {
        self.common.refresh();
        self.of_listeners.values().for_each(|own| own.refresh());
    }

    /// The server's side at a listener. Mail programs are asked for a certificate if an authority for them is
    /// configured; other servers are not: some have one that means nothing here.
    pub fn of_listener(&self, listener: &ListenerConfig) -> Acceptor {
        let own = listener
            .certificate
            .as_ref()
            .and_then(|files| self.of_listeners.get(files));
        let asks = matches!(
            listener.protocol,
            Protocol::Submission | Protocol::Imap | Protocol::Pop3
        );
        self.acceptor(own.unwrap_or(&self.common), asks)
    }

    /// The server's side with the common certificates, for what is no listener of mail. Clients are asked for nothing.
    pub fn common(&self) -> Acceptor {
        self.acceptor(&self.common, false)
    }

    fn acceptor(&self, certificates: &Arc<Certificates>, asks: bool) -> Acceptor {
        Acceptor::choosing(certificates.clone(), self.challenges.clone(), asks)
    }

    /// Where the answers to the challenges of an ACME server are put.
    pub(crate) fn challenges(&self) -> &Challenges {
        &self.challenges
    }

    /// The client side that takes any certificate: against those who only listen (RFC 7435).
    pub fn opportunistic(&self) -> Arc<ClientConfig> {
        self.opportunistic.clone()
    }

    /// A client side that takes certificates of the public authorities, and those that a PEM file leads to.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or holds no certificates.
    pub fn trusting(extra: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
        authorities(extra).map(|judge| client_config(judge))
    }

    /// The client side that takes certificates of the public authorities and of the configured ones.
    pub fn verified(&self) -> Arc<ClientConfig> {
        self.verified.clone()
    }

    /// Who judges certificates for [`verified`](Self::verified).
    pub(crate) fn authorities(&self) -> &Arc<WebPkiServerVerifier> {
        &self.authorities
    }
}

/// Where the certificate is that the server makes itself if none is configured.
pub fn self_made_certificate(config: &Config) -> CertificateFiles {
    self_made_files(&config.data.join("tls"))
}

/// The common certificates that a configuration names, and those that it wants from an ACME server.
fn configured(config: &Config) -> Vec<Source> {
    let of_acme = config.acme.iter().flat_map(|acme| acme.files(&config.data));
    let of_acme = of_acme.map(|(_, files)| Source {
        files,
        optional: true,
    });
    let named = config.certificate.iter().chain(&config.tls.also).map(required);
    named.chain(of_acme).collect()
}

fn own_of_listeners(config: &Config) -> impl Iterator<Item = &CertificateFiles> {
    config
        .listeners
        .iter()
        .filter_map(|listener| listener.certificate.as_ref())
}

fn required(files: &CertificateFiles) -> Source {
    Source {
        files: files.clone(),
        optional: false,
    }
}

/// The public key of the certificate that listeners for SMTP have, a SubjectPublicKeyInfo in DER: of the first that names
/// one of its own, else the common one; `None` while the self-made one was not made.
pub(crate) fn leaf_key(config: &Config) -> Result<Option<Vec<u8>>, TlsError> {
    let smtp = config.listeners.iter().filter(|it| it.protocol == Protocol::Smtp);
    let own = smtp.filter_map(|listener| listener.certificate.as_ref()).next();
    let files = match own.or(config.certificate.as_ref()) {
        Some(files) => files.clone(),
        None => {
            let of_acme = config.acme.iter().flat_map(|acme| acme.files(&config.data));
            let kept = of_acme
                .map(|(_, files)| files)
                .chain([self_made_certificate(config)]);
            match kept.into_iter().find(|files| files.certificate.exists()) {
                Some(files) => files,
                None => return Ok(None),
            }
        }
    };
    let chain = chain(&files.certificate)?;
    let leaf = chain.first().expect("a chain without certificates is an error");
    let parsed = rustls::server::ParsedCertificate::try_from(leaf);
    let parsed = parsed.map_err(|error| content(&files.certificate, error))?;
    Ok(Some(parsed.subject_public_key_info().to_vec()))
}
