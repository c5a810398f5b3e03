//! `mailwright doctor` on what others see of a server: its MTA-STS policy; and on what they say of the time.

use super::Running;
use super::doctor::{certificate, doctor, fetch_from, serve, site, zone};
use jiff::{SignedDuration, Timestamp};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

const POLICY: &str = "mta-sts.policy";
const HOSTS: &str = "mta-sts.hosts";

#[test]
fn a_policy_that_others_can_fetch_is_well() {
    let (site, _dns) = site();
    let running = Running::start(&site);
    fetch_from(&site, running.address("https").port());
    let report = doctor(&site, &[]);
    report.expect(POLICY, "mta-sts.a.test", "ok", "mode: testing; mx: mail.a.test");
    report.expect(HOSTS, "a.test", "ok", "all hosts");
    report.expect("dns.record", "_mta-sts.a.test TXT", "ok", "v=STSv1; id=");
}

#[test]
fn a_policy_that_others_cannot_fetch_is_found() {
    let (site, _dns) = site();
    // A port that nobody listens at: it was given back a moment ago, or is somebody else's, who does not know our name.
    fetch_from(&site, 1);
    doctor(&site, &[]).expect(POLICY, "mta-sts.a.test", "warn", "no connection");
    certificate(&site, "mail.a.test", 100);
    let running = Running::start(&site);
    site.edit(|text| text.replacen("https_port = 1\n", "", 1));
    fetch_from(&site, running.address("https").port());
    doctor(&site, &[]).expect(POLICY, "mta-sts.a.test", "warn", "TLS failed");
}

#[test]
fn a_policy_that_is_not_the_configured_one_is_found() {
    let (site, _dns) = site();
    let running = Running::start(&site);
    fetch_from(&site, running.address("https").port());
    site.edit(|text| text.replacen("mode = \"testing\"", "mode = \"enforce\"", 1));
    let report = doctor(&site, &[]);
    report.expect(
        POLICY,
        "mta-sts.a.test",
        "warn",
        "another policy is served: version: STSv1; mode: testing",
    );
    // The id that is published is that of the policy before.
    report.expect(
        "dns.record",
        "_mta-sts.a.test TXT",
        "warn",
        "there is \"v=STSv1; id=",
    );
}

#[test]
fn hosts_that_the_policy_does_not_have_are_found() {
    let (site, dns) = site();
    let running = Running::start(&site);
    fetch_from(&site, running.address("https").port());
    drop(dns);
    let dns = serve(&site, zone(&site).mx("a.test", 20, "mx2.b.test"));
    doctor(&site, &[]).expect(HOSTS, "a.test", "warn", "does not have mx2.b.test");
    drop((running, dns));
    site.edit(|text| {
        let text = text.replacen("mode = \"testing\"", "mode = \"enforce\"", 1);
        let lines = text.lines().filter(|line| !line.starts_with("https_port"));
        lines.map(|line| format!("{line}\n")).collect()
    });
    let running = Running::start(&site);
    fetch_from(&site, running.address("https").port());
    let _dns = serve(&site, zone(&site).mx("a.test", 20, "mx2.b.test"));
    doctor(&site, &[]).expect(HOSTS, "a.test", "fail", "does not have mx2.b.test");
}

#[test]
fn where_no_policy_is_announced_none_is_fetched() {
    let (site, dns) = site();
    drop(dns);
    let zone = super::dns::Zone::new().authentic().a("mail.a.test", "127.0.0.1");
    let _dns = serve(&site, zone);
    let report = doctor(&site, &[]);
    report.expect("dns.record", "_mta-sts.a.test TXT", "warn", "there is none");
    assert!(report.findings(POLICY, "").is_empty() && report.findings(HOSTS, "").is_empty());
}

/// A server of HTTP that answers once, with the time that is so many seconds from now, or with none.
fn timekeeper(offset: Option<i64>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let date = offset.map_or_else(String::new, |seconds| {
            let then = Timestamp::now() + SignedDuration::from_secs(seconds);
            format!("Date: {}\r\n", then.strftime("%a, %d %b %Y %H:%M:%S GMT"))
        });
        let reply = format!("HTTP/1.1 404 Not Found\r\n{date}Content-Length: 0\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(reply.as_bytes());
    });
    url
}

#[test]
fn a_clock_that_is_not_that_of_others_is_found() {
    let (site, _dns) = site();
    for (offset, status, seen) in [
        (Some(0), "ok", "tells the same time"),
        (Some(150), "warn", "behind what"),
        (Some(-150), "warn", "ahead of what"),
        (Some(7200), "fail", "behind what"),
        (Some(-7200), "fail", "ahead of what"),
        (None, "unknown", "does not tell the time"),
    ] {
        let url = timekeeper(offset);
        doctor(&site, &["--clock", &url]).expect("clock", "this machine", status, seen);
    }
    doctor(&site, &["--clock", "http://127.0.0.1:1/"]).expect(
        "clock",
        "this machine",
        "unknown",
        "no connection",
    );
    doctor(&site, &["--clock", "ftp://a.test/"]).expect("clock", "this machine", "unknown", "not a URL");
    // With ACME its server is asked, and it cannot be reached here.
    site.edit(|text| {
        let acme =
            "[acme]\nterms_agreed = true\ndirectory = \"https://127.0.0.1:1/directory\"\n\n[[listener]]";
        text.replacen("[[listener]]", acme, 1)
    });
    doctor(&site, &[]).expect(
        "clock",
        "this machine",
        "unknown",
        "https://127.0.0.1:1/directory does not",
    );
}
