//! Debian's unbound on loopback, with zones that are signed here: a resolver that really validates DNSSEC.
//!
//! A zone is signed with ECDSA P-256 (RFC 6605) and denies with NSEC (RFC 4034). Its records are given as the octets of
//! their data, and written into the zone file that way (RFC 3597 §5).
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

use base64::Engine;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

pub(crate) const A: u16 = 1;
const NS: u16 = 2;
pub(crate) const CNAME: u16 = 5;
const SOA: u16 = 6;
pub(crate) const MX: u16 = 15;
pub(crate) const TLSA: u16 = 52;
const RRSIG: u16 = 46;
const NSEC: u16 = 47;
const DNSKEY: u16 = 48;
const TTL: u32 = 60;

/// Last to first.
type Labels = Vec<Vec<u8>>;

/// The data of records, by type.
type Sets = BTreeMap<u16, BTreeSet<Vec<u8>>>;

/// A zone to be signed, or not.
pub(crate) struct SignedZone {
    name: String,
    key: Option<EcdsaKeyPair>,
    records: BTreeMap<Labels, Sets>,
}

impl SignedZone {
    pub(crate) fn new(name: &str) -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &random).unwrap();
        Self::with_key(name, Some(key))
    }

    pub(crate) fn unsigned(name: &str) -> Self {
        Self::with_key(name, None)
    }

    fn with_key(name: &str, key: Option<EcdsaKeyPair>) -> Self {
        let mut soa = [wire(&format!("ns.{name}")), wire(&format!("root.{name}"))].concat();
        for number in [1u32, 3600, 600, 86_400, TTL] {
            soa.extend(number.to_be_bytes());
        }
        let zone = Self {
            name: name.to_owned(),
            records: BTreeMap::new(),
            key,
        };
        let zone = zone
            .record(name, SOA, soa)
            .record(name, NS, wire(&format!("ns.{name}")));
        let zone = zone.a(&format!("ns.{name}"), Ipv4Addr::LOCALHOST);
        match zone.dnskey() {
            Some(key) => zone.record(name, DNSKEY, key),
            None => zone,
        }
    }

    pub(crate) fn record(mut self, name: &str, record_type: u16, data: Vec<u8>) -> Self {
        let types = self.records.entry(canonical(name)).or_default();
        types.entry(record_type).or_default().insert(data);
        self
    }

    pub(crate) fn a(self, name: &str, address: Ipv4Addr) -> Self {
        self.record(name, A, address.octets().to_vec())
    }

    pub(crate) fn mx(self, name: &str, preference: u16, host: &str) -> Self {
        self.record(name, MX, [&preference.to_be_bytes()[..], &wire(host)].concat())
    }

    pub(crate) fn cname(self, name: &str, target: &str) -> Self {
        self.record(name, CNAME, wire(target))
    }

    pub(crate) fn tlsa(self, name: &str, numbers: [u8; 3], data: &[u8]) -> Self {
        self.record(name, TLSA, [&numbers[..], data].concat())
    }

    /// RFC 6605 §4: the point without its first octet.
    fn dnskey(&self) -> Option<Vec<u8>> {
        let key = self.key.as_ref()?;
        Some([&[1, 1, 3, 13], &key.public_key().as_ref()[1..]].concat())
    }

    /// The trust anchor, for a configuration.
    fn anchor(&self) -> Option<String> {
        let key = base64::engine::general_purpose::STANDARD.encode(&self.dnskey()?[4..]);
        Some(format!("{}. DNSKEY 257 3 13 {key}", self.name))
    }

    fn print(mut self) -> String {
        if self.key.is_some() {
            let owners: Vec<_> = self.records.keys().cloned().collect();
            for (place, owner) in owners.iter().enumerate() {
                let next = &owners[(place + 1) % owners.len()];
                let types = self.records.get_mut(owner).unwrap();
                let known = types.keys().copied().chain([RRSIG, NSEC]);
                let mut bits = [0u8; 7];
                for known in known {
                    bits[usize::from(known / 8)] |= 0x80 >> (known % 8);
                }
                let data = [&printed_wire(next)[..], &[0, 7], &bits].concat();
                types.entry(NSEC).or_default().insert(data);
            }
        }
        let mut text = String::new();
        // The SOA record goes first.
        let apex = canonical(&self.name);
        let order = |owner: &Vec<Vec<u8>>, record_type: &u16| (*owner != apex, *record_type != SOA);
        let mut sets: Vec<_> = self
            .records
            .iter()
            .flat_map(|(owner, types)| {
                types
                    .iter()
                    .map(move |(record_type, set)| (owner, record_type, set))
            })
            .collect();
        sets.sort_by_key(|(owner, record_type, _)| order(owner, record_type));
        for (owner, record_type, set) in sets {
            for data in set {
                line(&mut text, owner, *record_type, data);
            }
            if let Some(signature) = self.sign(owner, *record_type, set) {
                line(&mut text, owner, RRSIG, &signature);
            }
        }
        text
    }

    /// The data of an RRSIG record (RFC 4034 §3.1.8.1).
    fn sign(&self, owner: &[Vec<u8>], record_type: u16, set: &BTreeSet<Vec<u8>>) -> Option<Vec<u8>> {
        let key = self.key.as_ref()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let second = |seconds: u64| u32::try_from(seconds).unwrap().to_be_bytes();
        let mut data = record_type.to_be_bytes().to_vec();
        data.extend([13, u8::try_from(owner.len()).unwrap()]);
        data.extend(TTL.to_be_bytes());
        data.extend(second(now + 86_400));
        data.extend(second(now - 3600));
        data.extend(key_tag(&self.dnskey()?).to_be_bytes());
        data.extend(wire(&self.name));
        let mut signed = data.clone();
        for record in set {
            signed.extend(printed_wire(owner));
            signed.extend(record_type.to_be_bytes());
            signed.extend(1u16.to_be_bytes());
            signed.extend(TTL.to_be_bytes());
            signed.extend(u16::try_from(record.len()).unwrap().to_be_bytes());
            signed.extend(record);
        }
        let signature = key.sign(&SystemRandom::new(), &signed).unwrap();
        data.extend(signature.as_ref());
        Some(data)
    }
}

fn line(text: &mut String, owner: &[Vec<u8>], record_type: u16, data: &[u8]) {
    let labels = owner
        .iter()
        .rev()
        .map(|label| String::from_utf8(label.clone()).unwrap() + ".");
    let owner: String = labels.collect();
    write!(text, "{owner} {TTL} IN TYPE{record_type} \\# {} ", data.len()).unwrap();
    for octet in data {
        write!(text, "{octet:02x}").unwrap();
    }
    text.push('\n');
}

/// RFC 4034 Appendix B.
fn key_tag(dnskey: &[u8]) -> u16 {
    let words = dnskey
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let sum: u32 = words.sum();
    (sum + (sum >> 16)) as u16
}

/// The labels, last to first: names sort that way (RFC 4034 §6.1).
fn canonical(name: &str) -> Vec<Vec<u8>> {
    name.split('.')
        .rev()
        .map(|label| label.as_bytes().to_vec())
        .collect()
}

fn printed_wire(labels: &[Vec<u8>]) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in labels.iter().rev() {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend(label);
    }
    wire.push(0);
    wire
}

fn wire(name: &str) -> Vec<u8> {
    printed_wire(&canonical(name))
}

/// A resolver that validates. It ends when it is dropped.
pub(crate) struct Unbound {
    pub(crate) address: SocketAddr,
    child: Child,
    _folder: TempDir,
}

impl Unbound {
    /// Starts it with these zones, the signed ones with their own keys as trust anchors, and with the anchors of
    /// `strangers` in place of the true ones. `None` where it is not installed, and says so.
    pub(crate) fn start(zones: Vec<SignedZone>, strangers: &[SignedZone]) -> Option<Self> {
        let program = ["/usr/sbin/unbound", "/usr/local/sbin/unbound", "/usr/bin/unbound"];
        let Some(program) = program.into_iter().find(|path| Path::new(path).exists()) else {
            eprintln!("unbound is not installed: DNSSEC is not tried out");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let address = free();
        let path = folder.path().display();
        let mut config = format!(
            "server:\n interface: 127.0.0.1@{port}\n port: {port}\n username: \"\"\n chroot: \"\"\n directory: \"{path}\"\n \
             pidfile: \"\"\n use-syslog: no\n logfile: \"\"\n do-daemonize: no\n do-ip6: no\n num-threads: 1\n \
             module-config: \"validator iterator\"\n local-zone: \"test.\" nodefault\n ede: yes\n \
             access-control: 127.0.0.0/8 allow\n do-not-query-localhost: no\n root-hints: \"\"\n",
            port = address.port()
        );
        for zone in &zones {
            let stranger = strangers.iter().find(|stranger| stranger.name == zone.name);
            if let Some(anchor) = stranger.unwrap_or(zone).anchor() {
                writeln!(config, " trust-anchor: \"{anchor}\"").unwrap();
            }
        }
        config.push_str("remote-control:\n control-enable: no\n");
        for zone in zones {
            let name = zone.name.clone();
            std::fs::write(folder.path().join(&name), zone.print()).unwrap();
            write!(
                config,
                "auth-zone:\n name: \"{name}\"\n zonefile: \"{path}/{name}\"\n for-downstream: no\n for-upstream: yes\n \
                 fallback-enabled: no\n"
            )
            .unwrap();
        }
        let file = folder.path().join("unbound.conf");
        std::fs::write(&file, config).unwrap();
        let child = Command::new(program)
            .arg("-dp")
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut unbound = Self {
            address,
            child,
            _folder: folder,
        };
        let started = Instant::now();
        // It listens for both at once.
        while TcpStream::connect(address).is_err() {
            let log = || std::fs::read_to_string(unbound._folder.path().join("log")).unwrap();
            assert!(
                unbound.child.try_wait().unwrap().is_none(),
                "unbound ended: {}",
                log()
            );
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "unbound does not start: {}",
                log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(unbound)
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free() -> SocketAddr {
    for _ in 0..50 {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = tcp.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port is free for both UDP and TCP");
}
