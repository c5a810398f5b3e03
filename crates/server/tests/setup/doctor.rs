//! `mailwright doctor`: nothing is wrong with what is right, and each fault is found that is planted.

use super::dns::{DnsServer, Zone};
use super::{Running, Said, Site};
use hickory_proto::rr::{Name, RData, rdata};
use rcgen::{CertificateParams, Issuer, KeyPair};
use serde_json::Value;
use std::fs::{File, Permissions};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A report, and what the command returned.
pub(super) struct Report(Value, Option<i32>);

impl Report {
    fn of(said: Said) -> Self {
        let report = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        Self(report, said.code)
    }

    /// Status and sight of all findings of a check about something.
    pub(super) fn findings(&self, check: &str, about: &str) -> Vec<(&str, &str)> {
        let all = self.0["findings"].as_array().unwrap().iter();
        let text = |value: &'static str| move |finding: &Value| finding[value].as_str().unwrap().to_owned();
        all.filter(|it| text("check")(it) == check && text("about")(it).contains(about))
            .map(|it| (it["status"].as_str().unwrap(), it["seen"].as_str().unwrap()))
            .collect()
    }

    #[track_caller]
    pub(super) fn expect(&self, check: &str, about: &str, status: &str, seen: &str) {
        let found = self.findings(check, about);
        assert!(
            found
                .iter()
                .any(|(is, told)| *is == status && told.contains(seen)),
            "{check} {about}: {found:?}, and not {status}: {seen}"
        );
        // Whatever is not well comes with something to do about it.
        for finding in self.0["findings"].as_array().unwrap() {
            assert_eq!(
                finding["advice"].is_null(),
                finding["status"] == "ok",
                "{finding}"
            );
        }
        let failed = self.0["counts"]["fail"].as_u64().unwrap();
        assert_eq!(self.1, Some(i32::from(failed > 0)), "{}", self.0);
    }
}

/// A zone with all that `dns records` wants.
pub(super) fn zone(site: &Site) -> Zone {
    let plan: Value =
        serde_json::from_str(&site.run(&["dns", "records", "a.test", "--json"]).fine()).unwrap();
    let mut zone = Zone::new()
        .authentic()
        .a("mail.a.test", "127.0.0.1")
        .ptr("1.0.0.127.in-addr.arpa", "mail.a.test");
    for record in plan["records"].as_array().unwrap() {
        let text = |key: &str| record[key].as_str().unwrap().to_owned();
        let (name, value) = (text("name"), text("value"));
        let words: Vec<&str> = value.split(' ').collect();
        let host = |word: usize| Name::from_ascii(words[word]).unwrap();
        let number = |word: usize| words[word].parse().unwrap();
        zone = match text("kind").as_str() {
            "MX" => zone.mx(&name, number(0), words[1]),
            "TLSA" => {
                let octets = (0..words[3].len()).step_by(2);
                let octets = octets.map(|at| u8::from_str_radix(&words[3][at..at + 2], 16).unwrap());
                let tlsa = rdata::TLSA::new(3.into(), 1.into(), 1.into(), octets.collect());
                zone.record(&name, RData::TLSA(tlsa))
            }
            "CNAME" => zone.cname(&name, words[0]),
            "SRV" => zone.record(
                &name,
                RData::SRV(rdata::SRV::new(number(0), number(1), number(2), host(3))),
            ),
            "TXT" => {
                let strings = value
                    .trim_matches('"')
                    .split("\" \"")
                    .map(str::to_owned)
                    .collect();
                zone.record(&name, RData::TXT(rdata::TXT::new(strings)))
            }
            _ => zone,
        };
    }
    zone
}

/// A site with a good certificate, and a DNS server that it asks.
pub(super) fn site() -> (Site, DnsServer) {
    let site = Site::new();
    certificate_for(&site, &["mail.a.test", "mta-sts.a.test"], 100);
    site.edit(|text| {
        let tls = "[tls]\ncertificate = \"chain.pem\"\nkey = \"key.pem\"\n\n[[listener]]";
        text.replacen("[[listener]]", tls, 1).replacen(
            "[outbound]",
            "[outbound]\nca = \"ca.pem\"\nresolver = \"127.0.0.1:1\"",
            1,
        )
    });
    let server = serve(&site, zone(&site));
    (site, server)
}

/// Lets the policy be fetched from a port.
pub(super) fn fetch_from(site: &Site, port: u16) {
    site.edit(|text| text.replacen("[outbound]\n", &format!("[outbound]\nhttps_port = {port}\n"), 1));
}

/// Lets a zone be what the site asks.
pub(super) fn serve(site: &Site, zone: Zone) -> DnsServer {
    let server = DnsServer::start(zone);
    site.edit(|text| {
        let resolver = |line: &str| match line.starts_with("resolver =") {
            true => format!("resolver = \"{}\"\n", server.address()),
            false => format!("{line}\n"),
        };
        text.lines().map(resolver).collect()
    });
    server
}

/// Makes a certificate that is valid for so many days from today on; its authority is trusted.
pub(super) fn certificate(site: &Site, name: &str, days: i64) {
    certificate_for(site, &[name], days);
}

fn certificate_for(site: &Site, names: &[&str], days: i64) {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let day = |days: i64| {
        let date = now.checked_add(jiff::Span::new().days(days)).unwrap();
        let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
        rcgen::date_time_ymd(date.year().into(), month, day)
    };
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    (ca.not_before, ca.not_after) = (day(-1000), day(1000));
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(names).unwrap();
    (leaf.not_before, leaf.not_after) = (day(-500), day(days));
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    std::fs::write(site.path("ca.pem"), ca_certificate.pem()).unwrap();
    std::fs::write(site.path("chain.pem"), leaf.pem() + &ca_certificate.pem()).unwrap();
    let path = site.path("key.pem");
    std::fs::write(&path, key.serialize_pem()).unwrap();
    allow(&path, 0o600);
}

fn allow(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

pub(super) fn doctor(site: &Site, more: &[&str]) -> Report {
    if more.contains(&"--min-free") {
        return Report::of(site.run(&[&["doctor", "--json"], more].concat()));
    }
    Report::of(
        site.run(
            &[
                &["doctor", "--json", "--min-free", "1K", "--min-free-files", "1"],
                more,
            ]
            .concat(),
        ),
    )
}

#[test]
fn nothing_is_wrong_with_what_is_right() {
    let (site, _dns) = site();
    let running = Running::start(&site);
    fetch_from(&site, running.address("https").port());
    let report = doctor(&site, &[]);
    let wrong: Vec<_> = report.0["findings"]
        .as_array()
        .unwrap()
        .iter()
        // Containers have no clock of their own that they could be asked about, and little room perhaps.
        .filter(|it| it["status"] != "ok" && it["check"] != "clock" && it["check"] != "disk.space")
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(
        (&report.0["version"], &report.0["hostname"]),
        (&1.into(), &"mail.a.test".into())
    );
    report.expect(
        "server",
        "control.sock",
        "ok",
        &format!("process {}", running.child.id()),
    );
    report.expect("resolver", "127.0.0.1", "ok", "validates");
    report.expect("certificate.dates", "chain.pem", "ok", "valid until");
    report.expect("certificate.trust", "chain.pem", "ok", "2 certificates");
    report.expect("queue", "messages", "ok", "empty");
    let text = site.run(&["doctor", "--quiet", "--min-free", "1K"]).fine();
    assert!(!text.contains("\nok ") && text.contains("0 failed"), "{text}");
    drop(running);
    let report = doctor(&site, &["--fsck"]);
    report.expect("server", "control.sock", "warn", "does not run");
    report.expect("store", "mail", "ok", "sound");
}

#[test]
fn wrong_dns_is_found() {
    let (site, dns) = site();
    let zone = zone(&site);
    drop(dns);
    let wrong = Zone::new()
        .authentic()
        .a("mail.a.test", "127.0.0.1")
        .a("mail.a.test", "192.0.2.77")
        .ptr("1.0.0.127.in-addr.arpa", "host-1.provider.example")
        .mx("a.test", 10, "mx.old.example")
        .txt("a.test", "v=spf1 +all")
        .txt("_dmarc.a.test", "v=DMARC1; p=perhaps");
    let _dns = serve(&site, wrong);
    let report = doctor(&site, &[]);
    report.expect("dns.record", "a.test MX", "fail", "there is 10 mx.old.example.");
    report.expect("dns.record", "a.test TXT", "fail", "v=spf1 +all");
    report.expect("dns.record", "_dmarc.a.test TXT", "fail", "p=perhaps");
    report.expect("dns.record", "_domainkey.a.test TXT", "fail", "there is none");
    report.expect("dns.record", "_mta-sts.a.test TXT", "warn", "there is none");
    report.expect(
        "dns.reverse",
        "127.0.0.1",
        "fail",
        "its name is host-1.provider.example",
    );
    report.expect("dns.reverse", "192.0.2.77", "fail", "no name");
    report.expect(
        "dns.hostname",
        "mail.a.test",
        "unknown",
        "192.0.2.77, which is no address of this machine",
    );
    // A server that answers with errors is not one that says no.
    let _dns = serve(&site, zone.servfail("_dmarc.a.test"));
    doctor(&site, &[]).expect("dns.record", "_dmarc.a.test TXT", "unknown", "");
}

#[test]
fn a_resolver_that_does_not_validate_or_answer_is_found() {
    let (site, _dns) = site();
    let plain = serve(&site, Zone::new().a("mail.a.test", "127.0.0.1"));
    doctor(&site, &[]).expect("resolver", "127.0.0.1", "warn", "does not validate");
    drop(plain);
    let _broken = serve(&site, Zone::new().servfail("."));
    let report = doctor(&site, &[]);
    report.expect("resolver", "127.0.0.1", "fail", "not known");
    assert!(
        report.findings("dns.record", "").is_empty(),
        "nobody is asked in vain"
    );
}

#[test]
fn bad_certificates_are_found() {
    let (site, _dns) = site();
    certificate(&site, "mail.a.test", -3);
    doctor(&site, &[]).expect("certificate.dates", "chain.pem", "fail", "expired on");
    certificate(&site, "mail.a.test", 5);
    doctor(&site, &[]).expect("certificate.dates", "chain.pem", "warn", "expires on");
    certificate(&site, "mail.b.test", 100);
    doctor(&site, &[]).expect("certificate.names", "chain.pem", "fail", "not for mail.a.test");
    std::fs::copy(site.path("ca.pem"), site.path("old-ca.pem")).unwrap();
    certificate(&site, "mail.a.test", 100);
    std::fs::copy(site.path("old-ca.pem"), site.path("ca.pem")).unwrap();
    doctor(&site, &[]).expect(
        "certificate.trust",
        "chain.pem",
        "warn",
        "no authority that is known",
    );
    let key = KeyPair::generate().unwrap();
    std::fs::write(site.path("key.pem"), key.serialize_pem()).unwrap();
    doctor(&site, &[]).expect("certificate", "files", "fail", "");
    site.edit(|text| text.replacen("[tls]\ncertificate = \"chain.pem\"\nkey = \"key.pem\"\n", "", 1));
    doctor(&site, &[]).expect("certificate", "files", "warn", "makes one itself");
    drop(Running::start(&site));
    doctor(&site, &[]).expect("certificate.trust", "self-made.crt", "warn", "self-made");
}

#[test]
fn a_full_disk_is_found() {
    let (site, _dns) = site();
    let report = doctor(
        &site,
        &[
            "--min-free",
            "8000000G",
            "--min-free-files",
            "18446744073709551615",
        ],
    );
    report.expect("disk.space", "data", "fail", "less than");
    // Some file systems have no fixed number of files.
    let found = report.findings("disk.files", "data");
    assert!(
        matches!(
            found.as_slice(),
            [("fail", _) | ("ok", "the file system has as many as it needs")]
        ),
        "{found:?}"
    );
}

#[test]
fn wrong_permissions_are_found() {
    let (site, _dns) = site();
    let dkim = std::fs::read_dir(site.path("data/dkim"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    for (path, mode) in [
        (site.path("data"), 0o755),
        (site.path("data/accounts.toml"), 0o640),
        (site.path("key.pem"), 0o644),
        (site.path("mailwright.toml"), 0o666),
        (dkim, 0o604),
    ] {
        let about = path.display().to_string();
        let before = super::mode(&path);
        doctor(&site, &[]).expect("permissions", &about, "ok", "");
        allow(&path, mode);
        doctor(&site, &[]).expect("permissions", &about, "fail", &format!("mode {mode:04o} opens"));
        allow(&path, before);
    }
}

#[test]
fn a_clock_that_went_back_is_found() {
    let (site, _dns) = site();
    let later = SystemTime::now() + Duration::from_secs(86_400);
    let file = File::options()
        .write(true)
        .open(site.path("data/aliases.toml"))
        .unwrap();
    file.set_modified(later).unwrap();
    doctor(&site, &[]).expect("clock", "this machine", "fail", "the clock is behind");
}

#[test]
fn a_damaged_store_and_unreadable_files_are_found() {
    let (site, _dns) = site();
    drop(Running::start(&site));
    let folder = site.path("data/mail");
    std::fs::write(folder.join("mail.db"), vec![7; 100_000]).unwrap();
    for rest in ["mail.db-wal", "mail.db-shm"] {
        let _ = std::fs::remove_file(folder.join(rest));
    }
    doctor(&site, &[]).expect("store", "mail", "fail", "");
    std::fs::write(site.path("data/accounts.toml"), "[[acount]]\n").unwrap();
    doctor(&site, &[]).expect("accounts", "accounts.toml", "fail", "acount");
    std::fs::write(site.path("data/accounts.toml"), "").unwrap();
    doctor(&site, &[]).expect("accounts", "accounts.toml", "fail", "nobody has an account");
    std::fs::write(site.path("data/aliases.toml"), "").unwrap();
    doctor(&site, &[]).expect("aliases", "abuse@a.test", "warn", "nobody has");
    site.edit(|text| text.replacen("hostname", "hostnam", 1));
    let report = doctor(&site, &[]);
    report.expect("config", "mailwright.toml:", "fail", "unknown field `hostnam`");
    assert!(report.0["hostname"].is_null());
}

#[test]
fn ports_that_others_have_are_found() {
    let (site, _dns) = site();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    site.edit(|text| text.replacen("127.0.0.1:0", &address, 1));
    doctor(&site, &[]).expect("port", &address, "fail", "another program has it");
    site.edit(|text| text.replacen(&address, "192.0.2.1:25", 1));
    doctor(&site, &[]).expect("port", "192.0.2.1", "fail", "does not have this address");
}

#[test]
fn a_way_out_is_tried_where_it_is_asked_for() {
    let (site, _dns) = site();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let greet = |text: &'static [u8]| {
        let other = other.try_clone().unwrap();
        std::thread::spawn(move || other.accept().unwrap().0.write_all(text).unwrap())
    };
    let greeter = greet(b"220 mx.b.test ESMTP\r\n");
    doctor(&site, &["--outbound", &address]).expect("outbound", &address, "ok", "greets");
    greeter.join().unwrap();
    let greeter = greet(b"554 go away\r\n");
    doctor(&site, &["--outbound", &address]).expect("outbound", &address, "fail", "554 go away");
    greeter.join().unwrap();
    drop(other);
    doctor(&site, &["--outbound", &address]).expect("outbound", &address, "fail", "refused");
}

#[test]
fn dangerous_settings_are_found() {
    let (site, _dns) = site();
    site.edit(|text| {
        text.replacen("hostname =", "plaintext_login = \"always\"\nhostname =", 1)
            .replacen(
                "mode = \"enforce\"",
                "mode = \"off\"\ntrusted = [\"0.0.0.0/0\"]",
                1,
            )
            .replacen(
                "127.0.0.1:0\"\nprotocol = \"smtp\"",
                "0.0.0.0:0\"\nxclient = [\"0.0.0.0/1\", \"128.0.0.0/1\"]\nprotocol = \"smtp\"",
                1,
            )
    });
    site.run(&["domain", "add", "b.test"]).fine();
    let report = doctor(&site, &[]);
    report.expect("login", "plaintext_login", "fail", "in the clear");
    report.expect(
        "relay",
        "settings",
        "fail",
        "xclient believes everybody; [auth] trusts everybody",
    );
    report.expect("auth", "[auth]", "warn", "not checked");
    report.expect("dkim", "b.test", "warn", "not signed");
}
