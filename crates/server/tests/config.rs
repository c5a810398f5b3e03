//! The configuration file: the example is right, and mistakes are told with their line and what to do.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

use mailwright_server::config::{self, Config, PlaintextLogin, Protocol, SmartHostTls, TlsMode};
use std::path::Path;
use std::time::Duration;

const LEAST: &str = "hostname = \"mail.a.test\"\ndomains = [\"a.test\"]\ndata = \"data\"\n";

fn parse(text: &str) -> Config {
    Config::parse(text, Path::new("etc/server.toml")).unwrap_or_else(|error| panic!("{error}"))
}

/// The mistakes of a file that begins with [`LEAST`], which has three lines.
fn mistakes(text: &str) -> String {
    let text = format!("{LEAST}{text}");
    Config::parse(&text, Path::new("server.toml"))
        .expect_err("there are mistakes")
        .to_string()
}

#[test]
fn the_example_passes_the_check() {
    let config = parse(config::EXAMPLE);
    assert_eq!(config.listeners.len(), 8);
    assert_eq!(config.accounts.len(), 1);
    assert_eq!(config.limits, config::Limits::default());
    assert_eq!(config.queue, config::QueueConfig::default());
}

/// The example with everything in it that is commented out, and a folder with the files that it names.
fn uncommented() -> (tempfile::TempDir, String) {
    // Whatever is a commented-out setting, and not a sentence, becomes a setting.
    let setting = |line: &str| {
        let line = line.strip_prefix("# ")?;
        let key = line.split_once(" = ")?.0;
        let is_key = key
            .trim_matches('"')
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.".contains(c));
        is_key.then(|| line.to_owned())
    };
    let section = |line: &str| {
        line.strip_prefix("# ")
            .filter(|line| line.starts_with('['))
            .map(str::to_owned)
    };
    let folder = tempfile::tempdir().unwrap();
    for file in [
        "other.pem",
        "other.key",
        "extra-ca.pem",
        "hosts",
        "clients.pem",
        "acme-ca.pem",
    ] {
        std::fs::write(folder.path().join(file), "").unwrap();
    }
    std::fs::create_dir(folder.path().join("dkim")).unwrap();
    let key = mailwright_auth::crypto::RingKey::ed25519_pem(&[7; 32]);
    std::fs::write(folder.path().join("dkim/example.org.2026a.pem"), key).unwrap();
    let mut uncommented = String::new();
    for line in config::EXAMPLE.lines() {
        let line = section(line)
            .or_else(|| setting(line))
            .unwrap_or_else(|| line.to_owned());
        uncommented += &line
            .replace("/etc/ssl/mail.example.org/fullchain.pem", "other.pem")
            .replace("/etc/ssl/mail.example.org/key.pem", "other.key")
            .replace("/etc/ssl/mail.example.net/fullchain.pem", "other.pem")
            .replace("/etc/ssl/mail.example.net/key.pem", "other.key")
            .replace("/etc/mailwright/", "");
        uncommented += "\n";
    }
    // The verifier in the example is a picture of one.
    let uncommented: String = uncommented
        .lines()
        .filter(|line| !line.starts_with("scram"))
        .map(|l| format!("{l}\n"))
        .collect();
    (folder, uncommented)
}

#[test]
fn what_the_example_leaves_commented_out_is_understood_and_is_the_default() {
    let (folder, uncommented) = uncommented();
    let config = Config::parse(&uncommented, &folder.path().join("example.toml"))
        .unwrap_or_else(|error| panic!("{error}\n{uncommented}"));
    let mut usual = config::Limits::default();
    usual.password_checks = 2;
    usual.search_threads = 2;
    assert_eq!(config.limits, usual);
    let mut queue = config::QueueConfig::default();
    queue.rate = Some(600);
    let limits = config::DestinationLimits::new(Some(5), Some(120));
    queue.destinations.insert("big.example".parse().unwrap(), limits);
    assert_eq!(config.queue, queue);
    assert_eq!(config.login_limits, config::LoginLimits::default());
    assert_eq!(config.password_hash, config::PasswordHashing::default());
    assert_eq!(config.plaintext_login, PlaintextLogin::Never);
    assert_eq!(config.dkim.len(), 1);
    assert_eq!(config.auth.mode, config::Auth::default().mode);
    let sendmail = config.sendmail.as_ref().expect("a socket for users");
    let address = |text: &str| text.parse::<mailwright_address::EmailAddress>().unwrap();
    let addresses = |user| sendmail.addresses(user, &"other.example".parse().unwrap());
    assert_eq!(sendmail.group.as_deref(), Some("mail"));
    assert_eq!(addresses("alice"), ["alice@mail.example.org"].map(address));
    assert_eq!(
        addresses("root"),
        ["postmaster@example.org", "root@mail.example.org"].map(address)
    );
    assert_eq!(config.filtering.rates, config::RateLimits::default());
    assert_eq!(config.filtering.greylist, config::Greylisting::default());
    assert_eq!(config.filtering.filters.len(), 4);
    assert_eq!(config.filtering.dns_lists.lists.len(), 2);
    assert_eq!(config.outbound.port, 25);
    assert_eq!(config.outbound.resolver, Some("127.0.0.53:53".parse().unwrap()));
    let smart_host = config.outbound.smart_host.as_ref().expect("a smart host");
    assert_eq!(
        (smart_host.endpoint.port, smart_host.tls),
        (587, SmartHostTls::Starttls)
    );
    assert_eq!(config.outbound.routes.len(), 5);
    let bank = &config.outbound.routes[&"bank.example".parse().unwrap()];
    let mut verified = config::FixedRoute::by_mx(config::RouteTls::Verified);
    verified.subdomains = true;
    assert_eq!(*bank, verified);
    let below = |name: &str| config.outbound.route_of(&name.parse().unwrap());
    assert_eq!(below("a.B.bank.example"), Some(&verified));
    assert_eq!((below("a.partner.example"), below("example")), (None, None));
    assert_eq!(config.outbound.hosts_file, Some(folder.path().join("hosts")));
    assert_eq!(config.outbound.serve_stale, Duration::ZERO);
    assert_eq!(config.aliases_file, Some(folder.path().join("aliases.toml")));
    let way = |domain: &str| &config.outbound.routes[&domain.parse().unwrap()].way;
    assert_eq!(*way("partner.example"), config::Way::default());
    let lab = way("lab.example");
    assert_eq!(lab.source, ["192.0.2.9".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(lab.ehlo.as_ref().unwrap().as_str(), "out.example.org");
    assert_eq!(way("lists.example").protocol, Protocol::Lmtp);
    let local = way("local.example");
    assert_eq!(
        (local.protocol, local.socket.as_deref()),
        (Protocol::Lmtp, Some(Path::new("/run/lists/lmtp")))
    );
    let observing = &config.observing;
    assert_eq!(observing.metrics, Some(config::MetricsConfig::default()));
    assert_eq!(
        (&observing.trace, &observing.log),
        (&config::TraceConfig::default(), &config::LogConfig::default())
    );
    let mut sts = config::StsPolicy::default();
    sts.mx.push("mail.example.org".to_owned());
    assert_eq!(config.web.sts, sts);
    assert!(config.certificate.is_some() && config.listeners[2].certificate.is_some());
}

#[test]
fn a_short_file_is_enough() {
    let config = parse(&format!(
        "{LEAST}[[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"imap\"\n\
         [[listener]]\naddress = \"127.0.0.1:24\"\nprotocol = \"lmtp\"\n\
         [queue]\nexpire = \"1h30m\"\ndelay_notice = \"never\"\n[limits]\nmessage_size = 1000000\n\
         [aliases]\nINFO = \"bob@a.test\"\n"
    ));
    assert_eq!(config.data, Path::new("etc/data"));
    assert_eq!(config.accounts_file, Path::new("etc/data/accounts.toml"));
    assert_eq!(
        (config.listeners[0].protocol, config.listeners[0].tls),
        (Protocol::Imap, TlsMode::Starttls)
    );
    assert_eq!(
        (config.listeners[1].name.as_str(), config.listeners[1].tls),
        ("lmtp-24", TlsMode::None)
    );
    assert_eq!(config.queue.expire, Duration::from_secs(5400));
    assert_eq!(config.queue.delay_notice, None);
    assert_eq!(config.limits.message_size, 1_000_000);
    assert!(config.aliases.contains_key("info"));
}

#[test]
fn mistakes_name_their_line() {
    let cases = [
        ("hostnam = \"x\"\n", "server.toml:4:1: unknown field `hostnam`"),
        (
            "[limits]\nmessage_size = \"50 potatoes\"\n",
            "server.toml:5:16: \"50 potatoes\": expected a size",
        ),
        (
            "[queue]\nexpire = 5\n",
            "server.toml:5:10: \"5\": expected a duration",
        ),
        (
            "[queue]\n\nretry = [\"5m\",\n  \"x\"]\n",
            "server.toml:7:3: \"x\": expected a duration",
        ),
        (
            "[[listener]]\naddress = \"localhost:25\"\nprotocol = \"smtp\"\n",
            "server.toml:5:11: invalid socket address",
        ),
        (
            "[[listener]]\naddress = \"127.0.0.1:25\"\nprotocol = \"gopher\"\n",
            "server.toml:6:12: unknown variant `gopher`",
        ),
        (
            "[aliases]\nx = [\"a@b\", \"not an address\"]\n",
            "server.toml:5:13: \"not an address\"",
        ),
        (
            "[outbound]\nresolver = \"dns.example\"\n",
            "server.toml:5:12: \"dns.example\": expected an address",
        ),
        (
            "[outbound.routes]\n\"b.test\" = \"127.0.0.1\"\n",
            "server.toml:5:12: \"127.0.0.1\": expected HOST:PORT",
        ),
        ("[tls\n", "server.toml:4:"),
    ];
    for (text, expected) in cases {
        let told = mistakes(text);
        assert!(told.starts_with(expected), "expected {expected}\ntold     {told}");
    }
}

#[test]
fn what_does_not_fit_together_is_told_all_at_once() {
    let told = mistakes(
        "[[listener]]\naddress = \"127.0.0.1:25\"\nprotocol = \"smtp\"\ncertificate = \"nowhere.pem\"\n\
         [[listener]]\naddress = \"127.0.0.1:25\"\nprotocol = \"imap\"\n\
         [[listener]]\naddress = \"0.0.0.0:24\"\nprotocol = \"lmtp\"\n\
         [[account]]\nname = \"x@b.test\"\n\
         [[account]]\nname = \"y@a.test\"\npassword = \"secret\"\n\
         [aliases]\n\"z@c.test\" = \"x@a.test\"\nnobody = []\n\
         [outbound]\nca = \"nowhere.pem\"\n[outbound.routes]\n\"a.test\" = \"127.0.0.1:25\"\n\
         [outbound.smart_host]\nhost = \"relay.test\"\nuser = \"me\"\n\
         [queue]\nretry = []\n",
    );
    let expected = [
        "server.toml:4:1: the certificate has no key",
        "server.toml:9:11: 127.0.0.1:25 is listened at twice",
        "server.toml:12:11: LMTP is open to the network",
        "server.toml:14:1: x@b.test: its domain is not one of ours",
        "server.toml:16:1: y@a.test: the password is not an Argon2 hash",
        "server.toml:20:1: alias z@c.test: its domain is not one of ours",
        "server.toml:21:1: alias nobody leads nowhere",
        "server.toml:23:6: nowhere.pem:",
        "server.toml:25:12: a.test is local: its mail does not leave",
        "server.toml:26:1: a login needs `user` and `password_file`",
        "server.toml:30:9: the schedule has no wait",
    ];
    for line in expected {
        assert!(told.contains(line), "{line}\nis not in\n{told}");
    }
    assert_eq!(
        told.lines()
            .filter(|line| line.starts_with("server.toml"))
            .count(),
        expected.len(),
        "{told}"
    );
    assert!(!told.contains("secret"), "{told}");
}

#[test]
fn users_of_the_machine_send_in_our_domains_alone() {
    let text = "[sendmail]\nsocket = \"run/s\"\n[sendmail.send_as]\nroot = \"postmaster@b.test\"\n";
    let said = mistakes(text);
    assert!(
        said.contains("root cannot send as postmaster@b.test") && said.contains(":7"),
        "{said}"
    );
    assert!(mistakes("[sendmail]\n").contains("socket"));
    let config = parse(&format!("{LEAST}[sendmail]\nsocket = \"run/s\"\n"));
    let sendmail = config.sendmail.unwrap();
    assert_eq!(sendmail.socket, Path::new("etc/run/s"));
    assert_eq!(*sendmail.domain_on(&config.hostname), config.hostname);
}

#[test]
fn mistakes_do_not_print_secrets() {
    let told = mistakes("[[account]]\nname = \"x@a.test\"\npassword = \"hunter2\" oops\n");
    assert!(
        told.starts_with("server.toml:6:") && !told.contains("hunter2"),
        "{told}"
    );
}

#[test]
fn listeners_for_mail_have_keys_of_their_own() {
    let listener = |protocol: &str| {
        format!(
            "[[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"{protocol}\"\nproxy = true\nverify = true\n\
             xclient = [\"10.0.0.0/8\", \"::1\"]\nxforward = [\"0.0.0.0/0\"]\ngreeting_delay = \"5s\"\n"
        )
    };
    let config = parse(&format!("{LEAST}{}", listener("smtp")));
    let smtp = &config.listeners[0].smtp;
    assert!(smtp.proxy && smtp.verify);
    assert_eq!(smtp.greeting_delay, Duration::from_secs(5));
    let within = |address: &str| smtp.xclient.iter().any(|n| n.contains(address.parse().unwrap()));
    assert!(within("10.255.0.1") && within("::1") && within("::ffff:10.0.0.1"));
    assert!(!within("11.0.0.0") && !within("::2") && !within("127.0.0.1"));
    assert!(smtp.xforward[0].contains("203.0.113.9".parse().unwrap()));
    assert!(!smtp.xforward[0].contains("::2".parse().unwrap()));
    assert!(mistakes(&listener("imap")).contains("has no meaning for imap"));
    for wrong in ["10.0.0.0/33", "::/129", "a.test", "10.0.0.0/-1", "10.0.0.0/"] {
        let text = listener("smtp").replace("10.0.0.0/8", wrong);
        assert!(mistakes(&text).contains("expected a network"), "{wrong}");
    }
}

#[test]
fn filters_are_read_with_what_is_usual_for_their_kind() {
    use config::{FilterAddress, FilterKind, FilteredMail, OnFilterError, OnHit};
    let config = parse(&format!(
        "{LEAST}[[filter]]\nkind = \"clamd\"\naddress = \"unix:run/clamd\"\n\
         [[filter]]\nkind = \"spamd\"\naddress = \"127.0.0.1:783\"\nreject = 12.5\non_error = \"accept\"\n\
         max_size = \"2M\"\n[dns_lists]\n[[dns_lists.list]]\nzone = \"bl.test\"\nweight = 3.0\n\
         codes = [\"127.0.0.2-3\"]\n[greylist]\nenabled = true\nwait = \"1m\"\n\
         [rate_limits]\nmessages_per_sender = \"none\"\nconnections_per_address = \"5/1m\"\n"
    ));
    let [clamd, spamd] = &config.filtering.filters[..] else {
        panic!("{:?}", config.filtering)
    };
    assert_eq!(clamd.address, FilterAddress::Unix("etc/run/clamd".into()));
    assert_eq!(
        (clamd.mail, clamd.on_hit, clamd.on_error),
        (FilteredMail::All, OnHit::Reject, OnFilterError::Defer)
    );
    assert!(matches!(
        spamd.kind,
        FilterKind::Spamd {
            reject: Some(12.5),
            ..
        }
    ));
    assert_eq!(
        (spamd.mail, spamd.on_hit, spamd.on_error),
        (FilteredMail::Strangers, OnHit::Junk, OnFilterError::Accept)
    );
    assert_eq!(spamd.max_size, 2 << 20);
    let lists = &config.filtering.dns_lists.lists;
    assert_eq!(
        (lists[0].zone.as_str(), lists[0].weight, lists[0].codes.len()),
        ("bl.test", 3.0, 1)
    );
    assert!(config.filtering.greylist.enabled);
    assert_eq!(config.filtering.greylist.table.wait, Duration::from_secs(60));
    let rates = &config.filtering.rates;
    assert_eq!(rates.messages_per_sender, None);
    assert_eq!(rates.connections_per_address.map(|rate| rate.events), Some(5));
    for (wrong, why) in [
        (
            "[[listener]]\naddress = \"127.0.0.1:80\"\nprotocol = \"http\"\ntls = \"starttls\"\n",
            "knows no STARTTLS",
        ),
        ("[web]\nports = { smtp = 25 }\n", "not a port of a service"),
        ("[mta_sts]\nmx = [\"a..b\"]\n", "a..b"),
        ("[mta_sts]\nmax_age = \"400d\"\n", "too long"),
        ("[trace]\nmax_size = \"1K\"\n", "too small"),
        ("[log]\nlevel = \"info,=x=\"\n", "is no level"),
        (
            "[[listener]]\naddress = \"127.0.0.1:80\"\nprotocol = \"metrics\"\n",
            "unknown variant",
        ),
        (
            "[[filter]]\nkind = \"clamd\"\naddress = \"here\"\n",
            "where a filter listens",
        ),
        (
            "[[filter]]\nkind = \"clamd\"\naddress = \"a.test:1\"\nreject = 3.0\n",
            "no meaning for its kind",
        ),
        (
            "[[filter]]\nkind = \"milter\"\naddress = \"a.test:1\"\non_hit = \"junk\"\n",
            "no meaning for a milter",
        ),
        ("[rate_limits]\nmessages_per_sender = \"5\"\n", "how often"),
        ("[rate_limits]\nmessages_per_sender = \"0/1m\"\n", "how often"),
        (
            "[[dns_lists.list]]\nzone = \"a.test\"\nweight = 1.0\ncodes = [\"1.2.3.4\"]\n",
            "an answer of a list",
        ),
    ] {
        let said = mistakes(wrong);
        assert!(said.contains(why) && said.starts_with("server.toml:"), "{said}");
    }
}

#[test]
fn what_is_shown_is_understood_and_means_the_same() {
    let (folder, text) = uncommented();
    let path = folder.path().join("example.toml");
    let config = Config::parse(&text, &path).unwrap();
    let shown = config.to_toml();
    let again = Config::parse(&shown, &path).unwrap_or_else(|error| panic!("{error}\n{shown}"));
    // All but the secrets of accounts, which are not printed for debugging either.
    assert_eq!(format!("{config:#?}"), format!("{again:#?}"));
    assert_eq!(again.to_toml(), shown);
    // Every key of the example is there.
    let keys = |text: &str| -> std::collections::BTreeSet<String> {
        fn collect(value: &toml::Value, at: &str, keys: &mut std::collections::BTreeSet<String>) {
            match value {
                toml::Value::Table(table) => {
                    for (key, value) in table {
                        let at = format!("{at}.{key}");
                        collect(value, &at, keys);
                        keys.insert(at);
                    }
                }
                toml::Value::Array(values) => values.iter().for_each(|value| collect(value, at, keys)),
                _ => {}
            }
        }
        let mut found = Default::default();
        collect(&text.parse::<toml::Table>().unwrap().into(), "", &mut found);
        found
    };
    let (wanted, shown_keys) = (keys(&text), keys(&shown));
    let missing: Vec<_> = wanted
        .difference(&shown_keys)
        // Secrets, and an address that is written in another way.
        .filter(|key| ![".account.password", ".account.app_passwords"].contains(&key.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(
        !shown.contains("argon2") && !config.to_json().contains("argon2"),
        "{shown}"
    );
    let json: serde_json::Value = serde_json::from_str(&config.to_json()).unwrap();
    assert_eq!(json["limits"]["message_size"], "50M");
    assert_eq!(json["queue"]["retry"][3], "1h");
}

#[test]
fn what_is_shown_of_a_short_file_has_all_defaults() {
    let config = parse(LEAST);
    let shown = config.to_toml();
    let again = Config::parse(&shown, Path::new("server.toml")).unwrap();
    assert_eq!(again.to_toml(), shown);
    let table: toml::Table = shown.parse().unwrap();
    for section in [
        "limits",
        "queue",
        "auth",
        "outbound",
        "login_limits",
        "rate_limits",
        "delivery",
        "mta_sts",
    ] {
        assert!(
            table[section].as_table().is_some_and(|keys| !keys.is_empty()),
            "{section}: {shown}"
        );
    }
    assert_eq!(table["mta_sts"]["mx"][0].as_str(), Some("mail.a.test"));
    assert_eq!(table["accounts_file"].as_str(), Some("etc/data/accounts.toml"));
    assert_eq!(
        table["rate_limits"]["messages_per_account"].as_str(),
        Some("1000/1h")
    );
}

#[test]
fn certificates_are_got_for_the_names_that_clients_ask_for() {
    let acme = "[acme]\nterms_agreed = true\n";
    let names = |text: &str| -> Vec<String> {
        let config = parse(&format!("{LEAST}{text}"));
        let names = config.acme.unwrap().names;
        names.iter().map(ToString::to_string).collect()
    };
    assert_eq!(names(acme), ["mail.a.test"]);
    let listener = |tls| {
        format!("{acme}[[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"http\"\ntls = \"{tls}\"\n")
    };
    assert_eq!(names(&listener("none")), ["mail.a.test"]);
    assert_eq!(
        names(&listener("implicit")),
        ["mail.a.test", "autoconfig.a.test", "mta-sts.a.test"]
    );
    let named = listener("implicit").replacen("[acme]\n", "[acme]\nnames = [\"x.test\"]\n", 1);
    assert_eq!(names(&named), ["x.test"]);
}
