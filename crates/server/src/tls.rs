//! TLS: certificates of listeners, and how other servers are trusted.
//!
//! The provider (ring) is passed explicitly everywhere; the process-wide default of rustls is left to programs.

use crate::clock::unix_now;
use crate::config::{CertificateFiles, Config, ListenerConfig};
use crate::files::private;
use crate::stream::Stream;
use mailwright_sasl::{ChannelBindings, tls_server_end_point};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The TLS configurations of a server.
#[derive(Debug)]
pub struct Tls {
    common: Side,
    of_listeners: BTreeMap<CertificateFiles, Side>,
    opportunistic: Arc<ClientConfig>,
    verified: Arc<ClientConfig>,
    authorities: Arc<WebPkiServerVerifier>,
}

/// The server's side with one certificate.
#[derive(Debug)]
struct Side {
    config: Arc<ServerConfig>,
    /// `tls-server-end-point` of the certificate (RFC 5929 §4.1), if there is such a thing for it.
    end_point: Option<Vec<u8>>,
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
        let common = match &config.certificate {
            Some(files) => files.clone(),
            None => {
                let files = self_made(&config.data.join("tls"), config.hostname.as_str())?;
                tracing::info!(certificate = %files.certificate.display(), "no certificate is configured: using a self-made one");
                files
            }
        };
        let mut of_listeners = BTreeMap::new();
        for files in config
            .listeners
            .iter()
            .filter_map(|listener| listener.certificate.as_ref())
        {
            of_listeners.insert(files.clone(), server_config(files)?);
        }
        let authorities = authorities(config.outbound.ca.as_deref())?;
        Ok(Self {
            common: server_config(&common)?,
            of_listeners,
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
        let of_listeners = config
            .listeners
            .iter()
            .filter_map(|listener| listener.certificate.as_ref());
        for files in config.certificate.iter().chain(of_listeners) {
            server_config(files)?;
        }
        authorities(config.outbound.ca.as_deref()).map(drop)
    }

    /// The server side of a listener.
    pub fn of_listener(&self, listener: &ListenerConfig) -> Arc<ServerConfig> {
        self.side(listener).config.clone()
    }

    /// What SASL can bind to on a connection that a listener took; nothing in the clear.
    pub fn channel_bindings(&self, listener: &ListenerConfig, stream: &Stream) -> ChannelBindings {
        stream.channel_bindings(self.side(listener).end_point.as_deref())
    }

    /// The hash of the certificate of a listener, as RFC 5929 §4.1 wants it.
    pub(crate) fn certificate_hash(&self, listener: &ListenerConfig) -> Option<&[u8]> {
        self.side(listener).end_point.as_deref()
    }

    fn side(&self, listener: &ListenerConfig) -> &Side {
        let own = listener
            .certificate
            .as_ref()
            .and_then(|files| self.of_listeners.get(files));
        own.unwrap_or(&self.common)
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

/// The public key of the certificate that listeners for SMTP have, a SubjectPublicKeyInfo in DER: of the first that names
/// one of its own, else the common one; `None` while the self-made one was not made.
pub(crate) fn leaf_key(config: &Config) -> Result<Option<Vec<u8>>, TlsError> {
    let smtp = config
        .listeners
        .iter()
        .filter(|it| it.protocol == crate::config::Protocol::Smtp);
    let own = smtp.filter_map(|listener| listener.certificate.as_ref()).next();
    let files = match own.or(config.certificate.as_ref()) {
        Some(files) => files.clone(),
        None => self_made_certificate(config),
    };
    if own.is_none() && config.certificate.is_none() && !files.certificate.exists() {
        return Ok(None);
    }
    let chain = certificates(&files.certificate)?;
    let leaf = chain.first().expect("a chain without certificates is an error");
    let parsed = rustls::server::ParsedCertificate::try_from(leaf);
    let parsed = parsed.map_err(|error| content(&files.certificate, error))?;
    Ok(Some(parsed.subject_public_key_info().to_vec()))
}

/// Where the certificate is that the server makes itself if none is configured.
pub fn self_made_certificate(config: &Config) -> CertificateFiles {
    self_made_files(&config.data.join("tls"))
}

/// The file names of the self-made certificate in its folder.
pub(crate) fn self_made_files(folder: &Path) -> CertificateFiles {
    CertificateFiles::new(folder.join("self-made.crt"), folder.join("self-made.key"))
}

/// The self-made certificate of `folder`; made if there is none for this name, or it gets old.
fn self_made(folder: &Path, hostname: &str) -> Result<CertificateFiles, TlsError> {
    /// Renewed after 700 days of the 820 it is valid: systems refuse certificates of more than 825.
    const RENEW_AFTER: u64 = 700 * 86_400;

    let files = self_made_files(folder);
    let names = folder.join("self-made.names");
    let young = |path: &Path| {
        let age = fs::metadata(path).ok()?.modified().ok()?.elapsed().ok()?;
        Some(age.as_secs() < RENEW_AFTER)
    };
    let ours = fs::read_to_string(&names).is_ok_and(|text| text == hostname);
    if ours && files.key.exists() && young(&files.certificate) == Some(true) {
        return Ok(files);
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| TlsError::File { path, error }
    };
    let (certificate, key) = make_certificate(hostname).map_err(|error| TlsError::Content {
        path: files.certificate.clone(),
        what: error.to_string(),
    })?;
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let write = |path: &Path, text: &str| {
        let mut file = private(OpenOptions::new().write(true).create(true).truncate(true)).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    // The names come last: they say that the two before them are complete.
    let _ = fs::remove_file(&names);
    write(&files.key, &key).map_err(failed(&files.key))?;
    write(&files.certificate, &certificate).map_err(failed(&files.certificate))?;
    write(&names, hostname).map_err(failed(&names))?;
    Ok(files)
}

/// Certificate and key, both PEM.
fn make_certificate(hostname: &str) -> Result<(String, String), rcgen::Error> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if hostname != "localhost" && hostname.is_ascii() {
        names.insert(0, hostname.to_owned());
    }
    let mut params = rcgen::CertificateParams::new(names)?;
    let mut subject = rcgen::DistinguishedName::new();
    subject.push(
        rcgen::DnType::CommonName,
        format!("{hostname} (self-made by Mailwright)"),
    );
    params.distinguished_name = subject;
    let day = |days_from_today: i64| {
        let seconds = unix_now() + days_from_today * 86_400;
        let date = jiff::Timestamp::from_second(seconds)
            .unwrap_or_default()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date();
        rcgen::date_time_ymd(
            date.year().into(),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        )
    };
    // From yesterday on: clocks differ.
    params.not_before = day(-1);
    params.not_after = day(819);
    params
        .extended_key_usages
        .push(rcgen::ExtendedKeyUsagePurpose::ServerAuth);
    let key = rcgen::KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn server_config(files: &CertificateFiles) -> Result<Side, TlsError> {
    let chain = certificates(&files.certificate)?;
    let end_point = chain
        .first()
        .and_then(|certificate| tls_server_end_point(certificate));
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| content(&files.key, error))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| content(&files.certificate, error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| content(&files.certificate, error))?;
    Ok(Side {
        config: Arc::new(config),
        end_point,
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
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

fn content(path: &Path, what: impl std::fmt::Display) -> TlsError {
    TlsError::Content {
        path: path.into(),
        what: what.to_string(),
    }
}

fn authorities(extra: Option<&Path>) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    if let Some(path) = extra {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| content(path, error))?;
        }
    }
    Ok(verifier(roots).expect("there are public authorities"))
}

/// Judges certificates by these authorities alone; `None` if there are none.
pub(crate) fn verifier(roots: RootCertStore) -> Option<Arc<WebPkiServerVerifier>> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .ok()
}

fn opportunistic() -> Arc<ClientConfig> {
    client_config(Arc::new(AnyCertificate(provider())))
}

/// The client side with its judge of certificates.
pub(crate) fn client_config(judge: Arc<dyn ServerCertVerifier>) -> Arc<ClientConfig> {
    Arc::new(
        client_builder()
            .dangerous()
            .with_custom_certificate_verifier(judge)
            .with_no_client_auth(),
    )
}

fn client_builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has the suites of both versions")
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Takes any certificate, as long as the server has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
