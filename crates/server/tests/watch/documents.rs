//! What mail programs are told to set themselves up, and the MTA-STS policy.

use crate::http::{Rig, ask, parse};
use crate::support::lines::Lines;
use crate::xml::Element;
use mailwright_mx::sts::{Fetch, Mode};
use mailwright_server::config::Config;
use mailwright_server::publish::Plan;
use std::time::Duration;

/// Ports that others reach, in place of those of the test.
fn public(config: &mut Config) {
    let ports = [
        ("imaps", 993),
        ("imap", 143),
        ("submissions", 465),
        ("submission", 587),
        ("pop3s", 995),
    ];
    config.web.ports = ports.map(|(name, port)| (name.to_owned(), port)).into();
    config.web.behind_tls = true;
}

/// Holds a document to the published description: these elements, each as often as it may be there, and no others.
fn check_autoconfig(document: &str, domain: &str) -> Vec<(String, String, u16, String)> {
    let root = Element::parse(document);
    assert_eq!(
        (root.name.as_str(), root.attributes["version"].as_str()),
        ("clientConfig", "1.1")
    );
    let provider = root.one("emailProvider");
    assert_eq!(root.children.len(), 1);
    assert_eq!(provider.attributes["id"], domain);
    assert!(provider.all("domain").any(|it| it.text == domain));
    assert!(!provider.text_of("displayName").is_empty());
    assert!(!provider.text_of("displayShortName").is_empty());
    let known = [
        "domain",
        "displayName",
        "displayShortName",
        "incomingServer",
        "outgoingServer",
    ];
    let mut servers = Vec::new();
    for child in &provider.children {
        assert!(
            known.contains(&child.name.as_str()),
            "<{}> is not described",
            child.name
        );
        let kinds: &[&str] = match child.name.as_str() {
            "incomingServer" => &["imap", "pop3"],
            "outgoingServer" => &["smtp"],
            _ => continue,
        };
        let kind = &child.attributes["type"];
        assert!(kinds.contains(&kind.as_str()), "type {kind}");
        let names: Vec<_> = child.children.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(
            names,
            ["hostname", "port", "socketType", "authentication", "username"]
        );
        assert!(
            ["SSL", "STARTTLS"].contains(&child.text_of("socketType")),
            "nothing without TLS"
        );
        let ways = [
            "password-cleartext",
            "password-encrypted",
            "NTLM",
            "GSSAPI",
            "client-IP-address",
            "TLS-client-cert",
            "OAuth2",
            "none",
        ];
        assert!(ways.contains(&child.text_of("authentication")));
        assert_eq!(child.text_of("username"), "%EMAILADDRESS%");
        let port: u16 = child.text_of("port").parse().expect("a port");
        assert_ne!(port, 0);
        let text = |name| child.text_of(name).to_owned();
        servers.push((kind.clone(), text("hostname"), port, text("socketType")));
    }
    servers
}

#[tokio::test]
async fn thunderbird_is_told_what_the_server_offers() {
    let rig = Rig::start(public).await;
    let at_domain = "/.well-known/autoconfig/mail/config-v1.1.xml";
    let own = "/mail/config-v1.1.xml?emailaddress=ali%2Bce%40B.test";
    for (host, path, domain) in [
        ("autoconfig.a.test", "/mail/config-v1.1.xml", "a.test"),
        ("autoconfig.a.test:80", own, "b.test"),
        ("b.test", at_domain, "b.test"),
        ("mail.a.test", at_domain, "a.test"),
    ] {
        let reply = rig.get(host, path).await;
        assert_eq!(
            (reply.status, reply.field("content-type")),
            (200, Some("text/xml; charset=utf-8"))
        );
        let servers = check_autoconfig(&reply.body, domain);
        let mail =
            |kind: &str, port, tls: &str| (kind.to_owned(), "mail.a.test".to_owned(), port, tls.to_owned());
        let wanted = [
            mail("imap", 993, "SSL"),
            mail("imap", 143, "STARTTLS"),
            mail("pop3", 995, "SSL"),
            mail("smtp", 465, "SSL"),
            mail("smtp", 587, "STARTTLS"),
        ];
        assert_eq!(servers, wanted, "{host}{path}");
    }
    for (host, path) in [
        ("autoconfig.c.test", "/mail/config-v1.1.xml"),
        (
            "autoconfig.a.test",
            "/mail/config-v1.1.xml?emailaddress=eve@c.test",
        ),
        ("autoconfig.a.test", "/mail/config-v1.1.xml?emailaddress=nobody"),
    ] {
        assert_eq!(rig.get(host, path).await.status, 404, "{host}{path}");
    }
    let posted = ask(rig.address("http"), "POST", "a.test", at_domain, "x").await;
    assert_eq!((posted.status, posted.field("allow")), (405, Some("GET, HEAD")));
    let head = ask(rig.address("http"), "HEAD", "a.test", at_domain, "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[tokio::test]
async fn nothing_is_told_that_is_not_offered() {
    // The listeners are for this machine alone.
    let rig = Rig::start(|config| config.web.behind_tls = true).await;
    assert_eq!(
        rig.get("autoconfig.a.test", "/mail/config-v1.1.xml").await.status,
        404
    );
    assert_eq!(
        rig.get("a.test", "/apple.mobileconfig?email=alice@a.test")
            .await
            .status,
        404
    );
    let request = outlook("alice@a.test", ANSWER);
    let reply = ask(
        rig.address("http"),
        "POST",
        "a.test",
        "/autodiscover/autodiscover.xml",
        &request,
    )
    .await;
    assert!(!reply.body.contains("<Protocol>"), "{}", reply.body);
}

const ANSWER: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";

fn outlook(address: &str, schema: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006\">\
         <Request><EMailAddress>{address}</EMailAddress>\
         <AcceptableResponseSchema>{schema}</AcceptableResponseSchema></Request></Autodiscover>"
    )
}

#[tokio::test]
async fn outlook_is_answered_in_xml_and_led_there_by_json() {
    let rig = Rig::start(public).await;
    let post = async |body: &str| {
        let reply = ask(
            rig.address("http"),
            "POST",
            "autodiscover.a.test",
            "/Autodiscover/Autodiscover.xml",
            body,
        )
        .await;
        assert_eq!(reply.status, 200, "{reply:?}");
        Element::parse(&reply.body)
    };
    let root = post(&outlook("alice&amp;bob@a.test", ANSWER)).await;
    assert_eq!(
        (root.name.as_str(), root.attributes["xmlns"].as_str()),
        (
            "Autodiscover",
            "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
        )
    );
    let response = root.one("Response");
    assert_eq!(response.attributes["xmlns"], ANSWER);
    let account = response.one("Account");
    assert_eq!(
        (account.text_of("AccountType"), account.text_of("Action")),
        ("email", "settings")
    );
    let protocols: Vec<_> = account
        .all("Protocol")
        .map(|it| {
            assert_eq!(it.text_of("LoginName"), "alice&bob@a.test");
            assert_eq!((it.text_of("SSL"), it.text_of("SPA")), ("on", "off"));
            (
                it.text_of("Type"),
                it.text_of("Server"),
                it.text_of("Port"),
                it.text_of("Encryption"),
            )
        })
        .collect();
    let wanted = [
        ("IMAP", "mail.a.test", "993", "SSL"),
        ("POP3", "mail.a.test", "995", "SSL"),
        ("SMTP", "mail.a.test", "465", "SSL"),
    ];
    assert_eq!(protocols, wanted);
    for (body, code) in [
        (outlook("eve@c.test", ANSWER), "500"),
        (
            outlook("alice@a.test", "http://schemas.microsoft.com/other"),
            "601",
        ),
        ("<Autodiscover><Request></Autodiscover>".to_owned(), "600"),
        ("not XML".to_owned(), "600"),
        (
            "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a><EMailAddress>&b;</EMailAddress></a>"
                .to_owned(),
            "600",
        ),
    ] {
        let error = post(&body).await;
        assert_eq!(
            error.one("Response").one("Error").text_of("ErrorCode"),
            code,
            "{body}"
        );
    }
    let json = |query: &str| format!("/autodiscover/autodiscover.json{query}");
    let reply = rig
        .get(
            "autodiscover.a.test",
            &json("?Email=alice@b.test&Protocol=AutodiscoverV1"),
        )
        .await;
    let told: serde_json::Value = serde_json::from_str(&reply.body).expect("JSON");
    assert_eq!(
        told["Url"],
        "https://autodiscover.b.test/autodiscover/autodiscover.xml"
    );
    let reply = rig
        .get("a.test", &json("/v1.0/alice%40b.test?Protocol=autodiscoverv1"))
        .await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let reply = rig
        .get("a.test", &json("?Email=alice@b.test&Protocol=ActiveSync"))
        .await;
    let told: serde_json::Value = serde_json::from_str(&reply.body).expect("JSON");
    assert_eq!(
        (reply.status, told["ErrorCode"].as_str()),
        (400, Some("InvalidProtocol"))
    );
}

#[tokio::test]
async fn apple_gets_a_profile_whatever_the_address_holds() {
    let rig = Rig::start(public).await;
    let reply = rig
        .get("mail.a.test", "/apple.mobileconfig?email=o%27n%26e@a.test")
        .await;
    assert_eq!(
        reply.field("content-type"),
        Some("application/x-apple-aspen-config")
    );
    let plist = Element::parse(&reply.body);
    let pairs = |dict: &Element| -> Vec<(String, String)> {
        let value = |it: &Element| match it.name.as_str() {
            "true" | "false" => it.name.clone(),
            _ => it.text.trim().to_owned(),
        };
        let pairs = dict.children.chunks(2);
        pairs
            .map(|pair| (pair[0].text.clone(), value(&pair[1])))
            .collect()
    };
    let profile = plist.one("dict");
    let of = |pairs: &[(String, String)], key: &str| {
        let found = pairs.iter().find(|(known, _)| known == key);
        found.unwrap_or_else(|| panic!("{key} in {pairs:?}")).1.clone()
    };
    let outer = pairs(profile);
    assert_eq!(of(&outer, "PayloadType"), "Configuration");
    let account = pairs(profile.one("array").one("dict"));
    for (key, value) in [
        ("PayloadType", "com.apple.mail.managed"),
        ("EmailAccountType", "EmailTypeIMAP"),
        ("EmailAddress", "o'n&e@a.test"),
        ("IncomingMailServerHostName", "mail.a.test"),
        ("IncomingMailServerPortNumber", "993"),
        ("IncomingMailServerUseSSL", "true"),
        ("IncomingMailServerUsername", "o'n&e@a.test"),
        ("OutgoingMailServerPortNumber", "465"),
        ("OutgoingPasswordSameAsIncomingPassword", "true"),
    ] {
        assert_eq!(of(&account, key), value, "{key}");
    }
    let uuids = [of(&outer, "PayloadUUID"), of(&account, "PayloadUUID")];
    assert!(
        uuids[0] != uuids[1] && uuids.iter().all(|uuid| uuid.len() == 36),
        "{uuids:?}"
    );
    let again = rig
        .get("mail.a.test", "/apple.mobileconfig?email=o%27n%26e@a.test")
        .await;
    assert_eq!(again.body, reply.body, "a second one replaces the first");
    assert_eq!(
        rig.get("mail.a.test", "/apple.mobileconfig?email=eve@c.test")
            .await
            .status,
        404
    );
    assert_eq!(rig.get("mail.a.test", "/apple.mobileconfig").await.status, 404);
}

#[tokio::test]
async fn without_tls_only_autoconfig_is_told_and_the_rest_is_elsewhere() {
    let rig = Rig::start(|config| {
        public(config);
        config.web.behind_tls = false;
    })
    .await;
    assert_eq!(
        rig.get("autoconfig.a.test", "/mail/config-v1.1.xml").await.status,
        200
    );
    for (host, path) in [
        ("autodiscover.a.test", "/autodiscover/autodiscover.xml"),
        ("mta-sts.b.test", "/.well-known/mta-sts.txt"),
        ("mail.a.test", "/apple.mobileconfig?email=a@a.test"),
    ] {
        let reply = rig.get(host, path).await;
        assert_eq!(
            (reply.status, reply.field("location")),
            (302, Some(&*format!("https://{host}{path}")))
        );
        // Nobody is led to hosts that are not ours.
        assert_eq!(rig.get("evil.test", path).await.status, 404);
    }
    let posted = ask(
        rig.address("http"),
        "POST",
        "a.test",
        "/autodiscover/autodiscover.xml",
        &outlook("a@a.test", ANSWER),
    )
    .await;
    assert_eq!(posted.status, 405);
}

#[tokio::test]
async fn the_policy_is_that_of_the_settings_and_its_id_that_of_the_dns() {
    let rig = Rig::start(|config| {
        config.web.sts.mode = mailwright_server::config::StsMode::Testing;
        config.web.sts.mx = vec!["mx.a.test".to_owned(), "*.mx.a.test".to_owned()];
        config.web.sts.max_age = Duration::from_secs(86_400);
    })
    .await;
    let tls = rig.tls();
    let mut client = Lines::connect_tls(rig.address("https"), &tls, "mail.a.test").await;
    client
        .send_raw(
            b"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.b.test\r\nConnection: close\r\n\r\n",
        )
        .await;
    let reply = parse(&String::from_utf8_lossy(&client.rest().await));
    assert_eq!(
        (reply.status, reply.field("content-type")),
        (200, Some("text/plain"))
    );
    let policy = Fetch::read(200, reply.field("content-type"), reply.body.as_bytes()).expect("a policy");
    assert_eq!(
        (policy.mode(), policy.max_age()),
        (Mode::Testing, Duration::from_secs(86_400))
    );
    assert!(
        reply.body.contains("mx: mx.a.test\r\nmx: *.mx.a.test\r\n"),
        "{}",
        reply.body
    );
    let config = &rig.running.shared().config;
    let plan = Plan::new(config, &config.domains[1]).expect("a plan");
    assert_eq!(plan.policy, reply.body);
    let mut other = config.clone();
    other.web.sts.mx.pop();
    let id = |config: &Config| {
        let plan = Plan::new(config, &config.domains[1]).expect("a plan");
        let record = plan.records.iter().find(|it| it.name == "_mta-sts.b.test");
        record.expect("it is announced").value.clone()
    };
    assert_ne!(id(config), id(&other), "another policy has another id");
    for host in ["b.test", "mta-sts.c.test", "mail.a.test", ""] {
        let mut client = Lines::connect_tls(rig.address("https"), &tls, "mail.a.test").await;
        let request =
            format!("GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        client.send_raw(request.as_bytes()).await;
        assert_eq!(
            parse(&String::from_utf8_lossy(&client.rest().await)).status,
            404,
            "{host}"
        );
    }
}
