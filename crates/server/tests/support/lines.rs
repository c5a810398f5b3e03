//! A client that speaks in lines, as a person with a terminal would: it knows nothing of our engines.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// How long a test waits for an answer before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate for some names, and clients that trust nothing else.
pub struct Tls {
    pub certificate_pem: String,
    pub key_pem: String,
    client: Arc<rustls::ClientConfig>,
}

impl Tls {
    pub fn for_names(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let _: PrivateKeyDer<'_> = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        Self {
            key_pem: made.signing_key.serialize_pem(),
            ..Self::trusting(&made.cert.pem())
        }
    }

    /// Clients that trust this certificate, whose key is somebody else's.
    pub fn trusting(certificate_pem: &str) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).expect("a certificate");
        roots.add(certificate).expect("a usable certificate");
        let client =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("ring has the default versions")
                .with_root_certificates(roots)
                .with_no_client_auth();
        Self {
            certificate_pem: certificate_pem.to_owned(),
            key_pem: String::new(),
            client: Arc::new(client),
        }
    }
}

pub struct Lines {
    stream: BufReader<Box<dyn Io>>,
    tag: u32,
}

impl Lines {
    pub async fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.expect("the server listens");
        stream.set_nodelay(true).expect("nodelay");
        Self {
            stream: BufReader::new(Box::new(stream)),
            tag: 0,
        }
    }

    /// Connects if the server is there.
    pub async fn try_connect(addr: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(addr).await.ok()?;
        Some(Self {
            stream: BufReader::new(Box::new(stream)),
            tag: 0,
        })
    }

    /// Reads a one-line or multi-line reply; `None` when the server is gone.
    pub async fn try_reply(&mut self, want: &str) -> Option<()> {
        loop {
            let mut line = vec![];
            let read = tokio::time::timeout(PATIENCE, self.stream.read_until(b'\n', &mut line)).await;
            read.expect("an answer in time").ok()?;
            if !line.ends_with(b"\n") {
                return None;
            }
            if line.get(3) != Some(&b'-') {
                assert!(
                    line.starts_with(want.as_bytes()),
                    "{} instead of {want}",
                    line.escape_ascii()
                );
                return Some(());
            }
        }
    }

    /// Says something to a server that may be gone.
    pub async fn try_say(&mut self, command: &str, want: &str) -> Option<()> {
        self.try_send_raw(format!("{command}\r\n").as_bytes()).await;
        self.try_reply(want).await
    }

    /// Connects from a given loopback address.
    pub async fn connect_from(from: [u8; 4], addr: SocketAddr) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket
            .bind(SocketAddr::from((from, 0)))
            .expect("a loopback address");
        let stream = socket.connect(addr).await.expect("the server listens");
        Self {
            stream: BufReader::new(Box::new(stream)),
            tag: 0,
        }
    }

    pub async fn connect_tls(addr: SocketAddr, tls: &Tls, name: &str) -> Self {
        Self::connect(addr).await.start_tls(tls, name).await
    }

    /// Does the client's side of the handshake.
    pub async fn start_tls(self, tls: &Tls, name: &str) -> Self {
        assert!(
            self.stream.buffer().is_empty(),
            "the server spoke ahead of the handshake"
        );
        let connector = tokio_rustls::TlsConnector::from(tls.client.clone());
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let stream = connector
            .connect(name, self.stream.into_inner())
            .await
            .expect("the handshake");
        Self {
            stream: BufReader::new(Box::new(stream)),
            tag: 0,
        }
    }

    pub async fn send(&mut self, text: &str) {
        self.send_raw(format!("{text}\r\n").as_bytes()).await;
    }

    pub async fn send_raw(&mut self, data: &[u8]) {
        tokio::time::timeout(PATIENCE, async {
            self.stream.write_all(data).await.expect("the server reads");
            self.stream.flush().await.expect("the server reads");
        })
        .await
        .expect("the server reads in time");
    }

    /// Sends as much as the server takes: it may hang up in between.
    pub async fn try_send_raw(&mut self, data: &[u8]) {
        let sent = tokio::time::timeout(PATIENCE, self.stream.write_all(data)).await;
        let _ = sent.expect("the server reads or closes in time");
    }

    /// The next line with its literals, without the last CRLF; `None` when the server closed.
    pub async fn line(&mut self) -> Option<Vec<u8>> {
        tokio::time::timeout(PATIENCE, self.read_line())
            .await
            .expect("an answer in time")
    }

    async fn read_line(&mut self) -> Option<Vec<u8>> {
        let mut all = vec![];
        loop {
            let from = all.len();
            let n = self.stream.read_until(b'\n', &mut all).await.unwrap_or(0);
            if n == 0 {
                assert!(all.is_empty(), "closed in mid-line: {}", all.escape_ascii());
                return None;
            }
            let Some(size) = literal_size(&all[from..]) else {
                all.truncate(all.len() - 2);
                return Some(all);
            };
            let from = all.len();
            all.resize(from + size, 0);
            self.stream
                .read_exact(&mut all[from..])
                .await
                .expect("the literal");
        }
    }

    /// As [`line`](Self::line), of a server that may go in the middle of one.
    pub async fn try_line(&mut self) -> Option<Vec<u8>> {
        let read = async {
            let mut all = vec![];
            loop {
                let from = all.len();
                self.stream.read_until(b'\n', &mut all).await.ok()?;
                if !all[from..].ends_with(b"\n") {
                    return None;
                }
                let Some(size) = literal_size(&all[from..]) else {
                    all.truncate(all.len() - 2);
                    return Some(all);
                };
                let from = all.len();
                all.resize(from + size, 0);
                self.stream.read_exact(&mut all[from..]).await.ok()?;
            }
        };
        tokio::time::timeout(PATIENCE, read)
            .await
            .expect("an answer in time")
    }

    /// Reads a whole reply of SMTP and checks the start of its last line.
    pub async fn reply(&mut self, want: &str) -> String {
        let mut text = String::new();
        loop {
            let line = self
                .line()
                .await
                .unwrap_or_else(|| panic!("closed instead of {want}: {text}"));
            let line = String::from_utf8_lossy(&line).into_owned();
            text.push_str(&line);
            text.push('\n');
            if line.as_bytes().get(3) != Some(&b'-') {
                assert!(line.starts_with(want), "{text:?} instead of {want}");
                return text;
            }
        }
    }

    /// Sends one SMTP or POP3 command and checks its reply.
    pub async fn say(&mut self, command: &str, want: &str) -> String {
        self.send(command).await;
        self.reply(want).await
    }

    /// Sends an IMAP command, checks its completion, and returns the untagged responses.
    pub async fn imap(&mut self, command: &str, want: &str) -> Vec<Vec<u8>> {
        self.tag += 1;
        let tag = format!("a{}", self.tag);
        self.send(&format!("{tag} {command}")).await;
        let mut untagged = vec![];
        loop {
            let line = self
                .line()
                .await
                .unwrap_or_else(|| panic!("closed at {command:?}"));
            match line.strip_prefix(format!("{tag} ").as_bytes()) {
                Some(end) => {
                    let end = String::from_utf8_lossy(end);
                    assert!(end.starts_with(want), "{command:?}: {end:?} instead of {want}");
                    untagged.push(end.into_owned().into_bytes());
                    return untagged;
                }
                None => untagged.push(line),
            }
        }
    }

    /// Logs in to submission with AUTH PLAIN.
    pub async fn auth_plain(&mut self, user: &str, password: &str, want: &str) {
        use base64::Engine as _;
        let token = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{password}"));
        self.say(&format!("AUTH PLAIN {token}"), want).await;
    }

    /// Everything up to the end of the connection, within the patience of a test.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut all = vec![];
        let read = tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut all)).await;
        // A reset after the farewell is an end as well.
        let _ = read.expect("the server closes in time");
        all
    }
}

/// The size of the literal that a line announces.
fn literal_size(line: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(line.strip_suffix(b"}\r\n")?).ok()?;
    text[text.rfind('{')? + 1..].parse().ok()
}

/// The last response line that holds `needle`.
pub fn find<'a>(responses: &'a [Vec<u8>], needle: &str) -> Option<&'a [u8]> {
    responses
        .iter()
        .rev()
        .map(Vec::as_slice)
        .find(|r| memchr_find(r, needle.as_bytes()))
}

fn memchr_find(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|w| w == needle)
}
