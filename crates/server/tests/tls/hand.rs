//! A server to shake hands with, and somebody who does.

use mailwright_mailbox::MemoryStore;
use mailwright_server::accounts::set_password;
use mailwright_server::config::{AccountEntry, CertificateFiles, ListenerConfig, Protocol, TlsMode};
use mailwright_server::{Config, Running, Server};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, HandshakeKind, SignatureScheme};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A server called mail.a.test with Alice, whose password is `secret`, and a listener `imaps`.
pub(crate) fn server(folder: &Path) -> Config {
    let mut config = Config::new("mail.a.test".parse().unwrap(), folder.join("data"));
    config.domains = vec!["a.test".parse().unwrap()];
    config.outbound.enabled = false;
    let mut alice = AccountEntry::new("alice@a.test".parse().unwrap());
    set_password(&mut alice, &"secret".into());
    // Only what needs the password is of interest.
    alice.scram = None;
    config.accounts.push(alice);
    let listener = ListenerConfig::new(Protocol::Imap, "127.0.0.1:0".parse().unwrap());
    config
        .listeners
        .push(listener.with_tls(TlsMode::Implicit).with_name("imaps"));
    config
}

pub(crate) async fn started(config: Config) -> Running<MemoryStore> {
    let builder = Server::builder(config).store(MemoryStore::default());
    builder.start().await.unwrap()
}

/// Certificate and key, both PEM.
pub(crate) fn self_signed(names: &[&str]) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// Writes a certificate and its key.
pub(crate) fn files(folder: &Path, name: &str, pair: &(String, String)) -> CertificateFiles {
    let (certificate, key) = (
        folder.join(format!("{name}.crt")),
        folder.join(format!("{name}.key")),
    );
    std::fs::write(&certificate, &pair.0).unwrap();
    std::fs::write(&key, &pair.1).unwrap();
    CertificateFiles::new(certificate, key)
}

/// Waits until something holds.
pub(crate) async fn within(holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not come");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A client that takes any certificate, and keeps its tickets.
pub(crate) struct Hand(TlsConnector);

/// A connection after its handshake.
pub(crate) struct Shaken(BufReader<TlsStream<TcpStream>>);

impl Hand {
    pub(crate) fn new() -> Self {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anything))
            .with_no_client_auth();
        Self(TlsConnector::from(Arc::new(config)))
    }

    /// Connects, and asks for a name; for none if it is an address.
    pub(crate) async fn shake(&self, at: SocketAddr, name: &str) -> Shaken {
        let tcp = TcpStream::connect(at).await.unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        Shaken(BufReader::new(self.0.connect(name, tcp).await.unwrap()))
    }
}

impl Shaken {
    /// The first DNS name of the server's certificate.
    pub(crate) fn certificate_name(&self) -> String {
        let names = dns_names(self.certificate());
        names.into_iter().next().expect("it has a name")
    }

    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        let (_, state) = self.0.get_ref().get_ref();
        &state.peer_certificates().unwrap()[0]
    }

    pub(crate) fn kind(&self) -> HandshakeKind {
        self.0.get_ref().get_ref().1.handshake_kind().unwrap()
    }

    pub(crate) async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.0.read_line(&mut line);
        tokio::time::timeout(Duration::from_secs(60), read)
            .await
            .expect("in time")
            .unwrap();
        line
    }
}

/// The DNS names of a certificate, by the reader that its own maker has.
pub(crate) fn dns_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

    let (_, parsed) = X509Certificate::from_der(certificate).unwrap();
    let names = parsed.subject_alternative_name().unwrap().unwrap();
    let names = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    names.collect()
}

#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
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
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
