//! What operators publish: `mailwright dkim` and `mailwright dns`, against a made-up DNS.

#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

#[path = "support/dns.rs"]
mod dns;

use dns::{DnsServer, Zone};
use hickory_proto::rr::{Name, RData, rdata};
use mailwright_server::dns::Dns;
use mailwright_server::http::Client;
use mailwright_server::publish::{Found, Plan};
use mailwright_server::tls::Tls;
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

fn mailwright(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_mailwright"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn keygen(folder: &Path, selector: &str, kind: &str) -> (PathBuf, String) {
    let file = folder.join(format!("{selector}.pem"));
    let path = file.to_str().unwrap();
    let (code, out, err) = mailwright(&["dkim", "keygen", "a.test", selector, path, "--kind", kind]);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains(&format!("{selector}._domainkey.a.test. IN TXT")),
        "{out}"
    );
    assert!(out.contains(&format!("key = \"{path}\"")), "{out}");
    (file, out)
}

fn config(folder: &Path, keys: &[&str], resolver: &str) -> String {
    let mut text = format!(
        "hostname = \"mail.a.test\"\ndomains = [\"a.test\"]\ndata = \"data\"\n\
         [outbound]\nresolver = \"{resolver}\"\n\
         [[listener]]\naddress = \"192.0.2.25:25\"\nprotocol = \"smtp\"\n\
         [[listener]]\naddress = \"192.0.2.25:993\"\nprotocol = \"imap\"\ntls = \"implicit\"\n"
    );
    for selector in keys {
        text +=
            &format!("[[dkim]]\ndomain = \"a.test\"\nselector = \"{selector}\"\nkey = \"{selector}.pem\"\n");
    }
    let path = folder.join("mailwright.toml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn keys_are_made_private_and_can_be_published() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, tag) in [("rsa", "k=rsa"), ("ed25519", "k=ed25519")] {
        let (file, out) = keygen(folder.path(), kind, kind);
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let path = file.to_str().unwrap();
        let (code, txt, _) = mailwright(&["dkim", "txt", path]);
        assert!(
            code == 0 && txt.starts_with(&format!("v=DKIM1; {tag}; p=")),
            "{txt}"
        );
        let flat = out.replace("\" \"", "");
        assert!(flat.contains(txt.trim()), "{out}");
        let before = std::fs::read(&file).unwrap();
        let (code, _, err) = mailwright(&["dkim", "keygen", "a.test", kind, path]);
        assert!(code != 0 && err.contains("exists"), "{err}");
        assert_eq!(std::fs::read(&file).unwrap(), before, "a key is not written over");
    }
    let (code, _, err) = mailwright(&["dkim", "txt", "/nowhere.pem"]);
    assert!(code != 0 && err.contains("/nowhere.pem"), "{err}");
}

#[test]
fn an_rsa_key_is_one_for_openssl_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = keygen(folder.path(), "rsa", "rsa");
    let checked = Command::new("openssl")
        .args(["rsa", "-check", "-noout", "-in"])
        .arg(&file)
        .output();
    let Ok(checked) = checked else {
        return eprintln!("openssl is not installed: not tried");
    };
    let said =
        String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && said.contains("RSA key ok"), "{said}");
}

/// Serves a policy as `mta-sts.a.test` with a certificate of its own, which `ca.pem` has; the port.
fn serve_policy(folder: &Path, policy: &str) -> u16 {
    let made = rcgen::generate_simple_self_signed(["mta-sts.a.test".to_owned()]).unwrap();
    std::fs::write(folder.join("ca.pem"), made.cert.pem()).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let response = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{policy}",
        policy.len()
    );
    std::thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            let tls = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(tls, tcp);
            let mut request = Vec::new();
            let mut octet = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut octet).is_ok_and(|n| n > 0) {
                request.push(octet[0]);
            }
            let _ = stream.write_all(response.as_bytes());
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    port
}

#[test]
fn all_records_are_told_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    keygen(folder.path(), "one", "rsa");
    keygen(folder.path(), "two", "ed25519");
    let nothing = DnsServer::start(Zone::new());
    let path = config(folder.path(), &["one", "two"], &nothing.address().to_string());
    let (code, zone_file, err) = mailwright(&["dns", "records", "a.test", "--config", &path]);
    assert_eq!(code, 0, "{err}");
    for line in [
        "a.test. IN MX 10 mail.a.test.",
        "mail.a.test. IN A 192.0.2.25",
        "25.2.0.192.in-addr.arpa. IN PTR mail.a.test.",
        "a.test. IN TXT \"v=spf1 mx -all\"",
        "_dmarc.a.test. IN TXT \"v=DMARC1; p=quarantine; rua=mailto:postmaster@a.test\"",
        "_smtp._tls.a.test. IN TXT \"v=TLSRPTv1; rua=mailto:postmaster@a.test\"",
        "_imaps._tcp.a.test. IN SRV 0 1 993 mail.a.test.",
        "mta-sts.a.test. IN CNAME mail.a.test.",
        "autoconfig.a.test. IN CNAME mail.a.test.",
        ";   mx: mail.a.test",
    ] {
        assert!(
            zone_file.lines().any(|other| other == line),
            "{line} is missing:\n{zone_file}"
        );
    }
    let (code, json, _) = mailwright(&["dns", "records", "a.test", "--json", "--config", &path]);
    let plan: Value = serde_json::from_str(&json).unwrap();
    assert!(
        code == 0 && plan["policy"].as_str().unwrap().contains("mx: mail.a.test\r\n"),
        "{plan}"
    );
    let records = plan["records"].as_array().unwrap();
    assert_eq!(
        records
            .iter()
            .filter(|it| it["name"].as_str().unwrap().contains("_domainkey"))
            .count(),
        2
    );

    // Nothing is there: what mail needs is wrong.
    let (code, text, _) = mailwright(&["dns", "check", "a.test", "--config", &path]);
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("WRONG    a.test MX") && text.contains("publish: 10 mail.a.test."),
        "{text}"
    );
    assert!(text.contains("could be _imaps._tcp.a.test SRV"), "{text}");

    // All of it, put into a zone: nothing is wrong.
    let mut zone = Zone::new();
    for record in records {
        let [name, kind, value] = ["name", "kind", "value"].map(|key| record[key].as_str().unwrap());
        zone = match kind {
            "TXT" => {
                let strings = value
                    .trim_matches('"')
                    .split("\" \"")
                    .map(str::to_owned)
                    .collect();
                zone.record(name, RData::TXT(rdata::TXT::new(strings)))
            }
            "MX" => zone.mx(name, 10, "mail.a.test"),
            "A" => zone.a(name, value),
            "PTR" => zone.ptr(name, value),
            // Where the test serves the policy.
            "CNAME" if name.starts_with("mta-sts.") => zone.a(name, "127.0.0.1"),
            "CNAME" => zone.cname(name, value),
            "SRV" => {
                let port = value.split(' ').nth(2).unwrap().parse().unwrap();
                let host = Name::from_utf8("mail.a.test.").unwrap();
                zone.record(name, RData::SRV(rdata::SRV::new(0, 1, port, host)))
            }
            other => panic!("{other}"),
        };
    }
    nothing.set_zone(zone.clone());
    let (code, text, _) = mailwright(&["dns", "check", "a.test", "--config", &path]);
    // Nobody serves the policy on this machine, which is no matter of the DNS.
    let (policy, records): (Vec<_>, Vec<_>) = text
        .lines()
        .filter(|line| !line.starts_with("   "))
        .partition(|line| line.contains(" policy: "));
    assert!(
        code == 0 && records.iter().all(|line| line.starts_with("ok ")) && policy.len() == 1,
        "{text}"
    );

    // A second SPF record makes both void, and an old key signs nothing.
    let other = Zone::txt(zone, "a.test", "v=spf1 -all");
    nothing.set_zone(other);
    let (code, json, _) = mailwright(&["dns", "check", "a.test", "--json", "--config", &path]);
    let results: Value = serde_json::from_str(&json).unwrap();
    let wrong: Vec<_> = results
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["result"]["state"] != "right" && it["wanted"]["kind"] != "policy")
        .collect();
    assert!(
        code == 1 && wrong.len() == 1 && wrong[0]["wanted"]["purpose"].as_str().unwrap().contains("SPF"),
        "{wrong:?}"
    );

    let (code, _, err) = mailwright(&["dns", "check", "other.test", "--config", &path]);
    assert!(
        code == 2 && err.contains("not one of this server's domains"),
        "{err}"
    );
}

#[test]
fn reports_of_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report");
    let path = file.to_str().unwrap();
    let xml = "<feedback><report_metadata><org_name>big\u{1b}[31m.test</org_name><report_id>1</report_id>\
        <date_range><begin>1700000000</begin><end>1700086399</end></date_range></report_metadata>\
        <policy_published><domain>a.test</domain><p>reject</p></policy_published>\
        <record><row><source_ip>192.0.2.7</source_ip><count>41</count><policy_evaluated>\
        <disposition>reject</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row>\
        <identifiers><header_from>a.test</header_from></identifiers></record>\
        <record><row><source_ip>192.0.2.8</source_ip><count>1</count><policy_evaluated>\
        <disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row>\
        <identifiers><header_from>a.test</header_from></identifiers></record></feedback>";
    for octets in [
        xml.as_bytes().to_vec(),
        mailwright_auth::dmarc::aggregate::gzip(xml.as_bytes()),
    ] {
        std::fs::write(&file, octets).unwrap();
        let (code, out, err) = mailwright(&["dmarc", "read", path]);
        assert_eq!(code, 0, "{err}");
        assert!(
            out.contains("42 messages, of which 1 passed") && out.contains("192.0.2.7"),
            "{out}"
        );
        assert!(
            out.contains("2023-11-14T22:13:20Z") && !out.contains('\u{1b}'),
            "{out}"
        );
    }
    let failed = "Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n\
        --b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: auth-failure\r\nVersion: 1\r\n\
        User-Agent: x/1\r\nSource-IP: 192.0.2.9\r\nDKIM-Domain: a.test\r\nIdentity-Alignment: dkim\r\n\
        --b\r\nContent-Type: text/rfc822-headers\r\n\r\nFrom: x@a.test\r\n--b--\r\n";
    std::fs::write(&file, failed).unwrap();
    let (code, out, err) = mailwright(&["dmarc", "read", path]);
    assert!(
        code == 0 && out.contains("192.0.2.9") && out.contains("DKIM domain: a.test"),
        "{out}{err}"
    );
    std::fs::write(&file, "nothing of the kind").unwrap();
    let (code, _, err) = mailwright(&["dmarc", "read", path]);
    assert!(code == 1 && err.contains(path), "{err}");
}

#[tokio::test]
async fn the_policy_is_fetched_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let server = DnsServer::start(Zone::new().a("mta-sts.a.test", "127.0.0.1"));
    let path = config(folder.path(), &[], &server.address().to_string());
    let config = mailwright_server::Config::load(Path::new(&path)).unwrap();
    let plan = Plan::new(&config, &"a.test".parse().unwrap()).unwrap();
    let check = async |policy: &str| {
        let port = serve_policy(folder.path(), policy);
        let tls = Tls::trusting(Some(&folder.path().join("ca.pem"))).unwrap();
        let client = Client::new(Dns::from_config(&config), tls);
        plan.check_policy(&client, port).await
    };
    let found = check(&plan.policy).await;
    assert!(matches!(found, Found::Right { .. }), "{found:?}");
    let old = "version: STSv1\r\nmode: enforce\r\nmx: old.a.test\r\nmax_age: 86400\r\n";
    let Found::Different { found } = check(old).await else {
        panic!("it is another one")
    };
    assert_eq!(
        found,
        ["version: STSv1; mode: enforce; mx: old.a.test; max_age: 86400"]
    );
    let found = check("nonsense").await;
    assert!(matches!(found, Found::Different { .. }), "{found:?}");
    // A certificate that nobody vouches for.
    let port = serve_policy(folder.path(), &plan.policy);
    let client = Client::new(Dns::from_config(&config), Tls::trusting(None).unwrap());
    let found = plan.check_policy(&client, port).await;
    assert!(matches!(found, Found::Different { .. }), "{found:?}");
    // Nothing is remembered of a name that is asked for the first time.
    server.set_zone(Zone::new());
    let client = Client::new(Dns::from_config(&config), Tls::trusting(None).unwrap());
    let found = plan.check_policy(&client, port).await;
    assert!(matches!(found, Found::Unknown { .. }), "{found:?}");
}
