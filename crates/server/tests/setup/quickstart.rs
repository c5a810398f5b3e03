//! `mailwright quickstart`: what it writes, and what it leaves alone.

use super::{Running, Site, mode, run};
use mailwright_server::accounts::{AccountsFile, password_fits};

#[test]
fn what_it_makes_is_safe_and_complete() {
    let site = Site::new();
    assert!(site.run(&["config", "check"]).fine().contains("no mistakes"));
    for (name, expected) in [
        ("mailwright.toml", 0o640),
        ("mailwright.service", 0o644),
        ("data", 0o700),
        ("data/dkim", 0o700),
        ("data/accounts.toml", 0o600),
        ("data/aliases.toml", 0o600),
    ] {
        assert_eq!(mode(&site.path(name)), expected, "{name}");
    }
    let keys: Vec<_> = std::fs::read_dir(site.path("data/dkim")).unwrap().collect();
    assert_eq!(keys.len(), 2);
    for key in keys {
        assert_eq!(mode(&key.unwrap().path()), 0o600);
    }
    let mut accounts = AccountsFile::open(&site.path("data/accounts.toml")).unwrap();
    let admin = accounts.entry("admin@a.test").expect("the account");
    assert!(admin.admin);
    assert!(password_fits(admin, &site.password.as_str().into()));
    for record in [
        "a.test. IN MX 10 mail.a.test.",
        "a.test. IN TXT \"v=spf1 mx -all\"",
        "v=DKIM1; k=rsa;",
        "v=DKIM1; k=ed25519;",
        "_dmarc.a.test. IN TXT \"v=DMARC1;",
        "_imaps._tcp.a.test. IN SRV 0 1 993 mail.a.test.",
        "_mta-sts.a.test. IN TXT \"v=STSv1; id=",
        "mta-sts.a.test. IN CNAME mail.a.test.",
        "mode: testing",
    ] {
        assert!(site.told.contains(record), "{record}: {}", site.told);
    }
    for next in ["systemctl enable --now ", "mailwright doctor --config "] {
        assert!(site.told.contains(next), "{next}: {}", site.told);
    }
    let unit = std::fs::read_to_string(site.path("mailwright.service")).unwrap();
    for line in [
        "User=mailwright\n",
        "AmbientCapabilities=CAP_NET_BIND_SERVICE\n",
        "NoNewPrivileges=yes\n",
        "ProtectSystem=strict\n",
    ] {
        assert!(unit.contains(line), "{line}: {unit}");
    }
    let data = format!("ReadWritePaths={}\n", site.path("data").display());
    assert!(unit.contains(&data), "{unit}");
    for line in [
        "Type=notify\n",
        "ExecReload=/bin/kill -HUP $MAINPID\n",
        "WatchdogSec=60\n",
    ] {
        assert!(unit.contains(line), "{line}: {unit}");
    }
}

#[test]
fn a_server_starts_from_it() {
    let site = Site::new();
    let running = Running::start(&site);
    running.recipient("admin@a.test", "250");
    running.recipient("postmaster@a.test", "250");
    running.recipient("abuse@a.test", "250");
    running.recipient("nobody@a.test", "550");
    running.recipient("somebody@elsewhere.example", "550");
    // The web is on: what is public is told without TLS, and the rest is led to HTTPS.
    let said = running.get("http", "mta-sts.a.test", "/.well-known/mta-sts.txt");
    assert!(
        said.starts_with("HTTP/1.1 302 ") && said.contains("https://mta-sts.a.test/.well-known/mta-sts.txt"),
        "{said}"
    );
    let said = running.get("http", "mta-sts.elsewhere.example", "/.well-known/mta-sts.txt");
    assert!(said.starts_with("HTTP/1.1 404 "), "{said}");
    let mut imap = running.dial("imap");
    assert!(imap.line().contains("LOGINDISABLED"));
    let said = imap.imap(&format!("LOGIN admin@a.test {}", site.password));
    assert!(said.contains("t NO [PRIVACYREQUIRED]"), "{said}");
}

#[test]
fn it_overwrites_nothing() {
    let site = Site::new();
    let dir = site.path("");
    let dir = dir.to_str().unwrap();
    let accounts = std::fs::read(site.path("data/accounts.toml")).unwrap();
    let why = run(&["quickstart", "a.test", "--dir", dir]).refused();
    assert!(why.contains("is there already, and stays as it is"), "{why}");
    assert_eq!(std::fs::read(site.path("data/accounts.toml")).unwrap(), accounts);
    // Whatever one of the files is, nothing is made beside it.
    std::fs::remove_file(site.path("mailwright.toml")).unwrap();
    let why = run(&["quickstart", "a.test", "--dir", dir]).refused();
    assert!(why.contains("mailwright.service is there already"), "{why}");
    assert!(!site.path("mailwright.toml").exists());
}

#[test]
fn it_refuses_what_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("etc");
    let dir_text = dir.to_str().unwrap();
    let why = run(&["quickstart", "a.test", "--dir", dir_text, "--admin", "x@b.test"]).refused();
    assert!(why.contains("x@b.test is not an address of a.test"), "{why}");
    let why = run(&["quickstart", "a.test", "--dir", dir_text, "--user", "a b"]).refused();
    assert!(why.contains("the name of a user"), "{why}");
    assert!(!dir.exists());
}

#[test]
fn names_are_as_they_are_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, data) = (folder.path().join("etc \"x\""), folder.path().join("50% mail"));
    let told = run(&[
        "quickstart",
        "a.test",
        "--dir",
        dir.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
        "--hostname",
        "mx.b.test",
        "--admin",
        "postmaster",
        "--user",
        "mail",
    ])
    .fine();
    assert!(told.contains("postmaster@a.test has the password"), "{told}");
    let config = dir.join("mailwright.toml");
    let config = mailwright_server::Config::load(&config).unwrap();
    assert_eq!(config.hostname.as_str(), "mx.b.test");
    assert_eq!(config.data, data);
    let unit = std::fs::read_to_string(dir.join("mailwright.service")).unwrap();
    assert!(
        unit.contains("50%% mail\"\n") && unit.contains("User=mail\n"),
        "{unit}"
    );
    assert!(unit.contains("etc \\\"x\\\"/mailwright.toml\"\n"), "{unit}");
}

#[test]
fn certificates_are_got_where_the_terms_are_agreed_to() {
    let text = |more: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("etc");
        let arguments = [&["quickstart", "a.test", "--dir", dir.to_str().unwrap()], more].concat();
        run(&arguments).fine();
        let path = dir.join("mailwright.toml");
        let config = mailwright_server::Config::load(&path).unwrap();
        (folder, std::fs::read_to_string(path).unwrap(), config)
    };
    let (_folder, written, config) = text(&[]);
    assert!(config.acme.is_none());
    // What is commented out is right as well.
    let (rest, acme) = written
        .split_once("# [acme]\n# terms_agreed = true\n# contact = ")
        .unwrap();
    let written = format!("{rest}[acme]\nterms_agreed = true\ncontact = {acme}");
    let uncommented = mailwright_server::Config::parse(&written, "etc/x.toml".as_ref()).unwrap();
    let (_other, _, config) = text(&["--acme-contact", "postmaster@a.test"]);
    let acme = config.acme.unwrap();
    assert_eq!(acme.contact[0].as_str(), "postmaster@a.test");
    let names: Vec<_> = acme.names.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["mail.a.test", "autoconfig.a.test", "mta-sts.a.test"]);
    assert_eq!(uncommented.acme.unwrap().names, acme.names);
}
