//! Certificates from a real ACME server: Pebble, which connects to this one and looks (RFC 8555, RFC 8737).

use super::hand::{Hand, Shaken, files, self_signed, server, started, within};
use super::support::dns::{DnsServer, Zone};
use super::support::programs::at_hand;
use mailwright_server::config::Acme;
use mailwright_server::{Config, unix_now};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// An ACME server that looks at one port, and ends with the test.
struct Pebble(Child);

impl Drop for Pebble {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Pebble {
    /// Starts it at a port, and has it look at another; `None` if somebody else has the port.
    fn start(folder: &Path, at: u16, looks_at: u16, dns: SocketAddr) -> Option<Self> {
        let config = format!(
            r#"{{"pebble": {{"listenAddress": "127.0.0.1:{at}", "managementListenAddress": "",
                "certificate": "{0}/pebble.crt", "privateKey": "{0}/pebble.key", "httpPort": 1, "tlsPort": {looks_at},
                "ocspResponderURL": "", "externalAccountBindingRequired": false}}}}"#,
            folder.display()
        );
        std::fs::write(folder.join("pebble.json"), config).unwrap();
        let log = std::fs::File::create(folder.join("pebble.log")).unwrap();
        let mut child = Command::new("pebble")
            .arg("-config")
            .arg(folder.join("pebble.json"))
            .args(["-strict", "-dnsserver", &dns.to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        loop {
            if std::net::TcpStream::connect(("127.0.0.1", at)).is_ok() && child.try_wait().unwrap().is_none()
            {
                return Some(Self(child));
            }
            if child.try_wait().unwrap().is_some() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A port that nobody has at this moment.
fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

fn config(folder: &Path, pebble: u16) -> Config {
    let mut config = server(folder);
    let names = ["mail.a.test", "mta-sts.a.test"].map(|name| name.parse().unwrap());
    let mut acme = Acme::new(names.to_vec());
    acme.directory = format!("https://127.0.0.1:{pebble}/dir");
    acme.contact = vec!["postmaster@a.test".parse().unwrap()];
    acme.ca = Some(folder.join("pebble.crt"));
    acme.address = Some("127.0.0.1:0".parse().unwrap());
    acme.retry = Duration::from_millis(300);
    config.acme = Some(acme);
    config
}

fn issuer(shaken: &Shaken) -> String {
    use x509_parser::prelude::{FromDer, X509Certificate};
    let (_, parsed) = X509Certificate::from_der(shaken.certificate()).unwrap();
    parsed.issuer().to_string()
}

#[tokio::test]
async fn a_server_starts_with_a_certificate_of_its_own_gets_a_true_one_and_renews_it() {
    if !at_hand("pebble") {
        return;
    }
    // Why there is no certificate stands in the log alone.
    let _ = tracing_subscriber::fmt().with_test_writer().try_init();
    let folder = tempfile::tempdir().unwrap();
    files(folder.path(), "pebble", &self_signed(&["127.0.0.1"]));
    let zone = Zone::new()
        .a("mail.a.test", "127.0.0.1")
        .a("mta-sts.a.test", "127.0.0.1");
    let dns = DnsServer::start(zone);
    // The two have to know each other's ports: whoever takes Pebble's meanwhile has both begin again.
    let (running, pebble) = loop {
        let port = free_port();
        let running = started(config(folder.path(), port)).await;
        let looks_at = running.address("acme").unwrap().port();
        let hand = Hand::new();
        let shaken = hand.shake(running.address("imaps").unwrap(), "mail.a.test").await;
        assert!(issuer(&shaken).contains("self-made"), "{}", issuer(&shaken));
        // It has asked in vain until here.
        match Pebble::start(folder.path(), port, looks_at, dns.address()) {
            Some(pebble) => break (running, (pebble, port)),
            None => running.shutdown().await,
        }
    };
    let imaps = running.address("imaps").unwrap();
    let hand = Hand::new();
    for name in ["mail.a.test", "mta-sts.a.test"] {
        within(async || {
            let shaken = hand.shake(imaps, name).await;
            issuer(&shaken).contains("Pebble") && shaken.certificate_name() == name
        })
        .await;
    }
    // Who asks for another name gets that of the first.
    assert_eq!(
        hand.shake(imaps, "other.test").await.certificate_name(),
        "mail.a.test"
    );
    let kept = folder.path().join("data/tls/acme");
    let read = |name: &str| std::fs::read_to_string(kept.join(name)).unwrap();
    for name in [
        "account.json",
        "mail.a.test.key",
        "mail.a.test.crt",
        "mta-sts.a.test.key",
    ] {
        let mode = std::fs::metadata(kept.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    running.shutdown().await;

    // In the last third of its life it is renewed, with the same key and the same account.
    let (account, key) = (read("account.json"), read("mail.a.test.key"));
    let other = read("mta-sts.a.test.crt");
    std::fs::write(kept.join("mail.a.test.crt"), old(&key)).unwrap();
    let mut again = config(folder.path(), pebble.1);
    again.acme.as_mut().unwrap().address = Some(running_at(folder.path()));
    let running = started(again).await;
    let imaps = running.address("imaps").unwrap();
    within(async || issuer(&hand.shake(imaps, "mail.a.test").await).contains("Pebble")).await;
    assert_eq!((read("account.json"), read("mail.a.test.key")), (account, key));
    assert_eq!(read("mta-sts.a.test.crt"), other, "it is young");
    running.shutdown().await;
}

/// Where Pebble looks.
fn running_at(folder: &Path) -> SocketAddr {
    let text = std::fs::read_to_string(folder.join("pebble.json")).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let port = u16::try_from(value["pebble"]["tlsPort"].as_u64().unwrap()).unwrap();
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A certificate that has a week of ninety days left.
fn old(key: &str) -> String {
    let key = rcgen::KeyPair::from_pem(key).unwrap();
    let mut params = rcgen::CertificateParams::new(["mail.a.test".to_owned()]).unwrap();
    let day = |days: i64| {
        let at = jiff::Timestamp::from_second(unix_now() + days * 86_400).unwrap();
        let date = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        rcgen::date_time_ymd(
            date.year().into(),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        )
    };
    (params.not_before, params.not_after) = (day(-83), day(7));
    params.self_signed(&key).unwrap().pem()
}
