//! What is asked of TLS between servers, from DNS and HTTPS to the handshake: DANE, MTA-STS, the operator's rules.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "../support/dns.rs"]
mod dns;
#[path = "../support/sink.rs"]
#[allow(dead_code, unreachable_pub)]
mod sink;
#[path = "../support/unbound.rs"]
mod unbound;

mod reports;
mod sts;

use dns::{DnsServer, Zone};
use hickory_proto::rr::{RData, rdata};
use mailwright_address::ReversePath;
use mailwright_dns::{Name, Question, RecordType, Security, SelfTest, Verdict};
use mailwright_mailbox::{Batch, BlobWriter, Limits, MemoryStore, Op, SpoolKey, Store};
use mailwright_mx::Outcome;
use mailwright_mx::tlsrpt::{PolicyKind, Report, ResultType};
use mailwright_queue::{Record, Timestamp};
use mailwright_server::config::{Config, FixedRoute, RouteTls};
use mailwright_server::dns::{Dns, dns_config};
use mailwright_server::route::{Router, mx_config};
use mailwright_server::{Running, Server, unix_now};
use ring::digest::{SHA256, SHA512, digest};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sink::{Handshake, Script, Sink};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

/// A certificate authority of its own.
struct Authority {
    params: rcgen::CertificateParams,
    key: rcgen::KeyPair,
    certificate: CertificateDer<'static>,
}

/// A server's certificate, with what a record may hold of it.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    public_key: Vec<u8>,
}

impl Authority {
    fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "Authority of the test");
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self {
            params,
            key,
            certificate,
        }
    }

    /// Signs for `name`; `expired` lies in the past.
    fn issue(&self, name: &str, expired: bool) -> Identity {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2020, 2, 1);
        }
        let issuer = rcgen::Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        Identity {
            chain: vec![certificate.der().clone(), self.certificate.clone()],
            public_key: rcgen::PublicKeyData::subject_public_key_info(&key),
            key: PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())),
        }
    }

    fn pem(&self, folder: &Path) -> std::path::PathBuf {
        let path = folder.join("authority.pem");
        let text = self.params.self_signed(&self.key).unwrap().pem();
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Identity {
    fn config(&self) -> Arc<rustls::ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .unwrap();
        Arc::new(config)
    }

    fn script(&self) -> Script {
        Script {
            tls: Handshake::Works(self.config()),
            ..Script::takes_all()
        }
    }
}

fn sha256(data: &[u8]) -> Vec<u8> {
    digest(&SHA256, data).as_ref().to_vec()
}

fn tlsa(usage: u8, selector: u8, matching: u8, data: Vec<u8>) -> RData {
    RData::TLSA(rdata::TLSA::new(
        usage.into(),
        selector.into(),
        matching.into(),
        data,
    ))
}

/// A server that sends, with DNS of its own.
struct Rig {
    running: Running<MemoryStore>,
    _dns: Option<DnsServer>,
    folder: TempDir,
}

impl Rig {
    async fn start(zone: Zone, port: u16, adjust: impl FnOnce(&mut Config, &Path)) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), zone, port, adjust).await
    }

    async fn start_in(
        folder: TempDir,
        zone: Zone,
        port: u16,
        adjust: impl FnOnce(&mut Config, &Path),
    ) -> Self {
        let dns = DnsServer::start(zone);
        let mut rig = Self::resolving(folder, dns.address(), port, adjust).await;
        rig._dns = Some(dns);
        rig
    }

    /// With a resolver that runs by itself.
    async fn resolving(
        folder: TempDir,
        resolver: SocketAddr,
        port: u16,
        adjust: impl FnOnce(&mut Config, &Path),
    ) -> Self {
        let mut config = Config::new("mail.a.test".parse().unwrap(), folder.path());
        config.queue.retry = vec![Duration::from_secs(600)];
        config.outbound.resolver = Some(resolver);
        config.outbound.port = port;
        adjust(&mut config, folder.path());
        let server = Server::builder(config).store(MemoryStore::new(Limits::default()));
        let running = server.start().await.unwrap();
        Self {
            running,
            _dns: None,
            folder,
        }
    }

    /// Sends a message to bob@b.test, and says what became of it: `None` for delivered, else why it is deferred.
    async fn send(&self) -> Option<String> {
        self.send_to("bob@b.test").await
    }

    async fn send_to(&self, recipient: &str) -> Option<String> {
        self.send_with(recipient, |_| {}).await
    }

    async fn send_with(&self, recipient: &str, adjust: impl FnOnce(&mut Record)) -> Option<String> {
        let shared = self.running.shared();
        let now = Timestamp::from_unix_seconds(u64::try_from(unix_now()).unwrap());
        let mut record = Record::new(
            "0123abcd",
            ReversePath::Null,
            now,
            now + Duration::from_secs(86_400),
        );
        record.add_recipient(recipient.parse().unwrap());
        adjust(&mut record);
        let mut writer = shared.store.new_blob();
        writer
            .write("Subject: Hello\r\n\r\nHello\r\n".into())
            .await
            .unwrap();
        let blob = writer.finish().await.unwrap();
        let put = Op::SpoolPut {
            key: None,
            record: record.encode(),
            blob: Some(blob),
        };
        shared
            .store
            .commit(Batch::new(unix_now()).with(put))
            .await
            .unwrap();
        shared.spooled.notify_one();
        let started = Instant::now();
        loop {
            let spool = shared.store.spool(None::<SpoolKey>, 10).await.unwrap();
            let mut records = spool.iter().map(|entry| Record::decode(&entry.record).unwrap());
            let sent = recipient.parse().unwrap();
            let record = records.find(|record| record.recipients[0].address == sent)?;
            if let Some(entry) = record.history.last() {
                return Some(format!("{entry:?}"));
            }
            assert!(started.elapsed() < Duration::from_secs(20), "{record:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A zone that DNSSEC vouches for, with one mail exchanger on loopback.
fn zone(port: u16, records: Vec<RData>) -> Zone {
    let zone = Zone::new()
        .authentic()
        .mx("b.test", 10, "mx.b.test")
        .a("mx.b.test", "127.0.0.1");
    records.into_iter().fold(zone, |zone, record| {
        zone.record(&format!("_{port}._tcp.mx.b.test"), record)
    })
}

#[tokio::test]
async fn dane_judges_the_certificate() {
    let authority = Authority::new();
    let other = Authority::new();
    let good = authority.issue("mx.b.test", false);
    let of_domain = authority.issue("b.test", false);
    let wrong_name = authority.issue("other.test", false);
    let old = authority.issue("mx.b.test", true);
    let root = authority.certificate.to_vec();
    let full = |identity: &Identity| identity.chain[0].to_vec();
    let sha512 = |data: &[u8]| digest(&SHA512, data).as_ref().to_vec();
    let table: Vec<(&str, &Identity, Vec<RData>, bool)> = vec![
        (
            "3 1 1",
            &good,
            vec![tlsa(3, 1, 1, sha256(&good.public_key))],
            true,
        ),
        (
            "3 1 2",
            &good,
            vec![tlsa(3, 1, 2, sha512(&good.public_key))],
            true,
        ),
        ("3 1 0", &good, vec![tlsa(3, 1, 0, good.public_key.clone())], true),
        ("3 0 1", &good, vec![tlsa(3, 0, 1, sha256(&full(&good)))], true),
        ("3 0 0", &good, vec![tlsa(3, 0, 0, full(&good))], true),
        (
            "3 1 1 asks for no name",
            &wrong_name,
            vec![tlsa(3, 1, 1, sha256(&wrong_name.public_key))],
            true,
        ),
        (
            "3 1 1 asks for no date",
            &old,
            vec![tlsa(3, 1, 1, sha256(&old.public_key))],
            true,
        ),
        (
            "3 1 1 of another key",
            &good,
            vec![tlsa(3, 1, 1, sha256(&old.public_key))],
            false,
        ),
        (
            "3 1 1 of the issuer",
            &good,
            vec![tlsa(3, 1, 1, sha256(&authority_key(&authority)))],
            false,
        ),
        (
            "the second of two",
            &good,
            vec![tlsa(3, 1, 1, vec![0; 32]), tlsa(3, 0, 1, sha256(&full(&good)))],
            true,
        ),
        (
            "the weaker digest does not count",
            &good,
            vec![
                tlsa(3, 1, 1, sha256(&good.public_key)),
                tlsa(3, 1, 2, vec![0; 64]),
            ],
            false,
        ),
        ("2 0 1", &good, vec![tlsa(2, 0, 1, sha256(&root))], true),
        (
            "2 1 1",
            &good,
            vec![tlsa(2, 1, 1, sha256(&authority_key(&authority)))],
            true,
        ),
        (
            "2 0 1 for the domain",
            &of_domain,
            vec![tlsa(2, 0, 1, sha256(&root))],
            true,
        ),
        (
            "2 0 1 asks for the name",
            &wrong_name,
            vec![tlsa(2, 0, 1, sha256(&root))],
            false,
        ),
        (
            "2 0 1 asks for the date",
            &old,
            vec![tlsa(2, 0, 1, sha256(&root))],
            false,
        ),
        (
            "2 0 1 of another authority",
            &good,
            vec![tlsa(2, 0, 1, sha256(&other.certificate))],
            false,
        ),
        (
            "2 0 0 brings its authority",
            &good,
            vec![tlsa(2, 0, 0, root.clone())],
            true,
        ),
        (
            "unusable: any certificate",
            &wrong_name,
            vec![tlsa(1, 1, 1, vec![0; 32])],
            true,
        ),
    ];
    for (what, identity, records, taken) in table {
        let sink = Sink::start(identity.script()).await;
        let port = sink.address.port();
        let rig = Rig::start(zone(port, records), port, |_, _| {}).await;
        let deferred = rig.send().await;
        match (&deferred, taken) {
            (None, true) => assert!(sink.messages(1).await[0].tls, "{what}"),
            (Some(why), false) => {
                assert!(why.contains("TLS failed"), "{what}: {why}");
                assert_eq!(sink.taken().len(), 0, "{what}");
            }
            _ => panic!("{what}: {deferred:?}"),
        }
        rig.running.shutdown().await;
    }
}

fn authority_key(authority: &Authority) -> Vec<u8> {
    rcgen::PublicKeyData::subject_public_key_info(&authority.key)
}

#[tokio::test]
async fn dane_goes_without_nothing_but_tls() {
    for tls in [Handshake::None, Handshake::Broken] {
        for record in [tlsa(3, 1, 1, vec![7; 32]), tlsa(1, 1, 1, vec![7; 32])] {
            let sink = Sink::start(Script {
                tls: tls.clone(),
                ..Script::takes_all()
            })
            .await;
            let port = sink.address.port();
            let rig = Rig::start(zone(port, vec![record]), port, |_, _| {}).await;
            assert!(rig.send().await.is_some());
            assert_eq!(sink.taken().len(), 0);
        }
    }
}

#[tokio::test]
async fn dane_waits_while_records_cannot_be_looked_up() {
    let sink = Sink::start(Script::takes_all()).await;
    let port = sink.address.port();
    let zone = zone(port, vec![]).servfail(&format!("_{port}._tcp.mx.b.test"));
    let rig = Rig::start(zone, port, |_, _| {}).await;
    let why = rig.send().await.unwrap();
    assert!(why.contains("SERVFAIL") && sink.connections() == 0, "{why}");
}

#[tokio::test]
async fn policies_can_be_turned_off() {
    let sink = Sink::start(Script::takes_all()).await;
    let port = sink.address.port();
    let zone = zone(port, vec![tlsa(3, 1, 1, vec![7; 32])]);
    let rig = Rig::start(zone, port, |config, _| config.outbound.tls_policies = false).await;
    assert_eq!(rig.send().await, None);
}

#[tokio::test]
async fn a_route_asks_more_of_tls_or_less() {
    let authority = Authority::new();
    let (good, wrong) = (
        authority.issue("mx.b.test", false),
        authority.issue("other.test", false),
    );
    // The rule, what the server has, and whether TLS carried the mail; `None` if nothing did.
    let table = [
        (RouteTls::Verified, Some(&good), Some(true)),
        (RouteTls::Verified, Some(&wrong), None),
        (RouteTls::Verified, None, None),
        (RouteTls::Encrypted, Some(&wrong), Some(true)),
        (RouteTls::Encrypted, None, None),
        (RouteTls::Opportunistic, Some(&wrong), Some(true)),
        (RouteTls::Opportunistic, None, Some(false)),
        (RouteTls::None, Some(&good), Some(false)),
        (RouteTls::Automatic, Some(&good), None),
    ];
    for (tls, server, taken) in table {
        let sink = Sink::start(server.map_or_else(Script::takes_all, Identity::script)).await;
        let port = sink.address.port();
        // TLSA records that nobody's certificate matches.
        let zone = zone(port, vec![tlsa(3, 1, 1, vec![7; 32])]).mx("sub.b.test", 10, "mx.b.test");
        let rig = Rig::start(zone, port, |config, folder| {
            let mut route = FixedRoute::by_mx(tls);
            route.subdomains = true;
            config.outbound.routes.insert("b.test".parse().unwrap(), route);
            config.outbound.ca = Some(authority.pem(folder));
        })
        .await;
        for recipient in ["bob@b.test", "bob@sub.b.test"] {
            let deferred = rig.send_to(recipient).await;
            assert_eq!(deferred.is_none(), taken.is_some(), "{tls:?}: {deferred:?}");
        }
        assert_eq!(sink.taken().first().map(|taken| taken.tls), taken, "{tls:?}");
        rig.running.shutdown().await;
    }
}

#[tokio::test]
async fn tls_that_is_not_required_leaves_policies_aside() {
    let authority = Authority::new();
    let identity = authority.issue("mx.b.test", false);
    let sink = Sink::start(identity.script()).await;
    let port = sink.address.port();
    let rig = Rig::start(zone(port, vec![tlsa(3, 1, 1, vec![7; 32])]), port, |_, _| {}).await;
    let optional = |record: &mut Record| record.tls_optional = true;
    assert_eq!(rig.send_with("carol@b.test", optional).await, None);
    assert!(rig.send().await.is_some());
    let taken = sink.taken();
    assert_eq!(taken.len(), 1);
    assert!(taken[0].tls, "which is used all the same");
}

#[tokio::test]
async fn a_hosts_file_answers_in_place_of_the_dns() {
    let sink = Sink::start(Script::takes_all()).await;
    let rig = Rig::start(Zone::new(), sink.address.port(), |config, folder| {
        let file = folder.join("hosts");
        std::fs::write(&file, "127.0.0.1 b.test # no mail exchanger\n").unwrap();
        config.outbound.hosts_file = Some(file);
    })
    .await;
    assert_eq!(rig.send().await, None);
    assert_eq!(sink.taken().len(), 1);
}

/// A web server with one policy.
struct Web {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Web {
    async fn start(identity: &Identity, policy: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(identity.config());
        let asked = Arc::new(AtomicUsize::new(0));
        let response = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{policy}",
            policy.len()
        );
        let count = asked.clone();
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                // A client that does not like the certificate goes away.
                let Ok(mut tls) = acceptor.accept(tcp).await else {
                    continue;
                };
                let mut request = Vec::new();
                while !request.windows(4).any(|four| four == b"\r\n\r\n") {
                    assert_ne!(tls.read_buf(&mut request).await.unwrap(), 0);
                }
                assert!(request.starts_with(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\n"));
                count.fetch_add(1, Ordering::Relaxed);
                tls.write_all(response.as_bytes()).await.unwrap();
                let _ = tls.shutdown().await;
            }
        });
        Self { address, asked }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unbound_vouches_for_zones_and_dane_follows() {
    use unbound::{SignedZone, Unbound};

    let authority = Authority::new();
    let good = authority.issue("mx.good.test", false);
    let sink = Sink::start(good.script()).await;
    let port = sink.address.port();
    let zone = |name: &str, zone: SignedZone| {
        let host = format!("mx.{name}");
        zone.mx(name, 10, &host).a(&host, Ipv4Addr::LOCALHOST)
    };
    let tlsa = |name: &str| format!("_{port}._tcp.mx.{name}");
    let record = sha256(&good.public_key);
    let zones = vec![
        zone("good.test", SignedZone::new("good.test")).tlsa(&tlsa("good.test"), [3, 1, 1], &record),
        zone("wrong.test", SignedZone::new("wrong.test")).tlsa(&tlsa("wrong.test"), [3, 1, 1], &[7; 32]),
        zone("none.test", SignedZone::new("none.test")),
        zone("forged.test", SignedZone::new("forged.test")).tlsa(&tlsa("forged.test"), [3, 1, 1], &record),
        // Nobody vouches for the records of this zone, so they do not count.
        zone("open.test", SignedZone::unsigned("open.test")).tlsa(&tlsa("open.test"), [3, 1, 1], &[7; 32]),
        SignedZone::new("alias.test")
            .mx("alias.test", 10, "mx.alias.test")
            .cname("mx.alias.test", "mx.good.test"),
    ];
    let Some(unbound) = Unbound::start(zones, &[SignedZone::new("forged.test")]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::resolving(folder, unbound.address, port, |_, _| {}).await;
    // Where it goes, whether it is taken, and what is said of it if not.
    for (to, why) in [
        ("bob@good.test", None),
        ("bob@wrong.test", Some("no TLSA record matches")),
        ("bob@none.test", None),
        ("bob@forged.test", Some("SERVFAIL")),
        ("bob@open.test", None),
        ("bob@alias.test", None),
    ] {
        let deferred = rig.send_to(to).await;
        match why {
            None => assert_eq!(deferred, None, "{to}"),
            Some(why) => assert!(
                deferred.as_ref().is_some_and(|said| said.contains(why)),
                "{to}: {deferred:?}"
            ),
        }
    }
    assert_eq!(sink.messages(4).await.len(), 4);

    // What the planner saw.
    let mut config = Config::new("mail.a.test".parse().unwrap(), "unused");
    config.outbound.resolver = Some(unbound.address);
    config.outbound.port = port;
    let router = Router::new(Dns::from_config(&config), mx_config(&config));
    for (domain, security, tls) in [
        (
            "good.test",
            Some(Security::Secure),
            "required, certificate by DANE at mx.good.test",
        ),
        ("none.test", Some(Security::Secure), "opportunistic"),
        ("open.test", Some(Security::Insecure), "opportunistic"),
        (
            "alias.test",
            Some(Security::Secure),
            "required, certificate by DANE at mx.good.test",
        ),
        ("forged.test", None, ""),
        ("nothing.good.test", None, ""),
    ] {
        let route = router
            .route(domain.parse::<mailwright_address::Domain>().unwrap())
            .await;
        let attempt = route.attempts().first();
        assert_eq!(attempt.map(|attempt| attempt.security), security, "{route}");
        assert_eq!(
            attempt.map_or(String::new(), |attempt| attempt.tls.to_string()),
            tls,
            "{route}"
        );
    }
    let route = router
        .route("forged.test".parse::<mailwright_address::Domain>().unwrap())
        .await;
    assert!(matches!(route.outcome(), Outcome::Temporary(_)), "{route}");

    // And what the self-test makes of it.
    let settings = dns_config(&config);
    let signed = Question::new(Name::parse("good.test").unwrap(), RecordType::Soa);
    let forged = Question::new(Name::parse("forged.test").unwrap(), RecordType::Soa);
    let test = SelfTest::new(&settings).with_signed(signed).with_broken(forged);
    let dns = Dns::start(test.config(&settings));
    let mut answers = Vec::new();
    for question in test.questions() {
        answers.push((question.clone(), dns.resolve(question.clone()).await));
    }
    assert_eq!(test.verdict(&answers), Verdict::Validates);
}
