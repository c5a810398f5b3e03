//! Changes of accounts, aliases and domains, which a running server sees.

use super::{Running, Site, wait_for};

/// A site whose server takes passwords in the clear from this machine.
fn site() -> Site {
    let site = Site::new();
    site.edit(|text| text.replacen("hostname =", "plaintext_login = \"loopback\"\nhostname =", 1));
    site
}

#[test]
fn domains_accounts_and_aliases_come_and_go() {
    let site = site();
    let running = Running::start(&site);
    running.recipient("bob@b.test", "550 5.7.1");
    assert!(
        site.run_with(&["account", "add", "bob@b.test"], b"pw\n")
            .refused()
            .contains("mailwright domain add")
    );
    assert!(
        site.run(&["domain", "add", "b.test"])
            .fine()
            .contains("mailwright dns records b.test")
    );
    running.recipient("bob@b.test", "550 5.1.1");
    site.run_with(&["account", "add", "bob@b.test"], b"pw\n").fine();
    running.recipient("bob@b.test", "250");
    assert_eq!(site.run(&["domain", "list"]).fine(), "a.test\nb.test\n");
    assert!(
        site.run(&["domain", "add", "B.test"])
            .refused()
            .contains("there already")
    );
    assert!(
        site.run(&["domain", "add", "a.test"])
            .refused()
            .contains("in the configuration itself")
    );

    running.recipient("sales@b.test", "550 5.1.1");
    let said = site.run(&[
        "alias",
        "add",
        "Sales@b.test",
        "bob@b.test",
        "far@elsewhere.example",
    ]);
    assert_eq!(said.fine(), "Sales@b.test: bob@b.test, far@elsewhere.example\n");
    running.recipient("sales@b.test", "250");
    let all = site.run(&["alias", "list"]).fine();
    assert!(
        all.contains("abuse: admin@a.test\n") && all.contains("sales@b.test: bob@b.test"),
        "{all}"
    );
    assert!(
        site.run(&["alias", "add", "x@c.test", "bob@b.test"])
            .refused()
            .contains("not one of this server's")
    );
    assert!(
        site.run(&["alias", "add", "a b", "bob@b.test"])
            .refused()
            .contains("a b: ")
    );
    assert!(
        site.run(&["alias", "add", "sales@b.test", "bob@b.test"])
            .refused()
            .contains("already")
    );

    let why = site.run(&["domain", "remove", "b.test"]).refused();
    assert!(why.contains("still has bob@b.test, sales@b.test"), "{why}");
    site.run(&["alias", "remove", "sales@b.test", "far@elsewhere.example"])
        .fine();
    running.recipient("sales@b.test", "250");
    assert_eq!(
        site.run(&["alias", "remove", "sales@b.test"]).fine(),
        "sales@b.test removed\n"
    );
    running.recipient("sales@b.test", "550 5.1.1");
    site.run(&["account", "remove", "bob@b.test"]).fine();
    running.recipient("bob@b.test", "550 5.1.1");
    site.run(&["domain", "remove", "b.test"]).fine();
    running.recipient("bob@b.test", "550 5.7.1");
    assert!(
        site.run(&["domain", "remove", "a.test"])
            .refused()
            .contains("in the configuration file itself")
    );
}

#[test]
fn what_somebody_wrote_at_the_head_of_a_file_stays() {
    let site = site();
    let path = site.path("data/aliases.toml");
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("# Ask Carol before you change this.\n\n{before}")).unwrap();
    site.run(&["alias", "add", "info", "admin@a.test"]).fine();
    let after = std::fs::read_to_string(&path).unwrap();
    assert!(
        after.starts_with("# Ask Carol before you change this.\n\n# Addresses"),
        "{after}"
    );
    assert!(after.contains("\"info\" = [\"admin@a.test\"]\n"), "{after}");
    assert_eq!(super::mode(&path), 0o600);
}

#[test]
fn a_disabled_account_lets_nobody_in() {
    let site = site();
    let running = Running::start(&site);
    let login = format!("LOGIN admin@a.test {}", site.password);
    let mut inside = running.dial("imap");
    inside.line();
    assert!(inside.imap(&login).contains("t OK"), "the password is right");
    assert!(inside.imap("SELECT INBOX").contains("t OK"));

    site.run(&["account", "disable", "admin@a.test"]).fine();
    assert_eq!(
        site.run(&["account", "list"]).fine(),
        "admin@a.test (admin, disabled)\n"
    );
    // Whoever is in is put out.
    let said = inside.rest();
    assert!(said.contains("* BYE"), "{said}");
    let mut outside = running.dial("imap");
    outside.line();
    assert!(outside.imap(&login).contains("t NO [AUTHENTICATIONFAILED]"));
    running.recipient("admin@a.test", "250");

    site.run(&["account", "disable", "admin@a.test", "--mail"]).fine();
    running.recipient("admin@a.test", "550 5.2.1");
    running.recipient("abuse@a.test", "550 5.2.1");
    running.recipient("admin+lists@a.test", "550 5.2.1");
    running.recipient("nobody@a.test", "550 5.1.1");
    site.run(&["account", "enable", "admin@a.test"]).fine();
    running.recipient("admin@a.test", "250");
    let mut again = running.dial("imap");
    again.line();
    assert!(again.imap(&login).contains("t OK"));
    assert!(
        site.run(&["account", "disable", "nobody@a.test"])
            .refused()
            .contains("there is no account")
    );
}

#[test]
fn a_disabled_account_keeps_its_address_from_others() {
    let site = site();
    let running = Running::start(&site);
    site.run_with(&["account", "add", "bob@a.test"], b"pw\n").fine();
    site.run(&["alias", "add", "@a.test", "admin@a.test"]).fine();
    running.recipient("whoever@a.test", "250");
    site.run(&["account", "disable", "bob@a.test", "--mail"]).fine();
    running.recipient("bob@a.test", "550 5.2.1");
}

#[test]
fn mail_of_a_local_program_for_a_disabled_account_is_refused_and_bounces() {
    let site = site();
    let lmtp = "[[listener]]\nname = \"lmtp\"\naddress = \"127.0.0.1:0\"\nprotocol = \"lmtp\"\n";
    site.edit(|text| format!("{text}\n{lmtp}"));
    let running = Running::start(&site);
    site.run_with(&["account", "add", "bob@a.test"], b"pw\n").fine();
    running.recipient("bob@a.test", "250");
    site.run(&["account", "disable", "bob@a.test", "--mail"]).fine();
    let mut lmtp = running.dial("lmtp");
    lmtp.read_reply();
    lmtp.ask("LHLO program.test");
    lmtp.ask("MAIL FROM:<someone@b.example>");
    assert_eq!(lmtp.ask("RCPT TO:<bob@a.test>").get(..9), Some("550 5.2.1"));
    assert_eq!(lmtp.ask("RCPT TO:<nobody@a.test>").get(..9), Some("550 5.1.1"));
    assert_eq!(lmtp.ask("RCPT TO:<admin@a.test>").get(..3), Some("250"));
    assert_eq!(lmtp.ask("DATA").get(..3), Some("354"));
    assert_eq!(lmtp.ask("Subject: x\r\n\r\ny\r\n.").get(..3), Some("250"));
    // What is in the queue already comes back with the same word.
    let message = "From: admin@a.test\nSubject: queued\n\nx\n";
    site.run_with(
        &["sendmail", "-f", "admin@a.test", "bob@a.test"],
        message.as_bytes(),
    )
    .fine();
    let mut imap = running.dial("imap");
    imap.line();
    imap.imap(&format!("LOGIN admin@a.test {}", site.password));
    wait_for(|| imap.imap("SELECT INBOX").contains("* 2 EXISTS"));
    let bounce = imap.imap("FETCH 2 BODY.PEEK[]");
    assert!(bounce.contains("Status: 5.2.1"), "{bounce}");
}

#[test]
fn quotas_are_shown_and_set() {
    let site = site();
    let quota = |more: &[&str]| site.run(&[&["account", "quota", "admin@a.test"], more].concat());
    let shown = |kept: &str, rest: &str| format!("admin@a.test keeps {kept} {rest}\n");
    // Without a server as with one.
    assert_eq!(
        quota(&[]).fine(),
        shown("0 octets", "(no bound) in 0 messages (no bound)")
    );
    let running = Running::start(&site);
    assert_eq!(
        quota(&[]).fine(),
        shown("0 octets", "(no bound) in 0 messages (no bound)")
    );
    let said = quota(&["--storage", "20M", "--messages", "3"]).fine();
    assert!(
        said.contains("in 0 messages (of 3), by bounds of its own"),
        "{said}"
    );
    let mut imap = running.dial("imap");
    imap.line();
    imap.imap(&format!("LOGIN admin@a.test {}", site.password));
    let told = imap.imap("GETQUOTAROOT INBOX");
    assert!(told.contains("(STORAGE 0 20480 MESSAGE 0 3)"), "{told}");
    assert!(
        quota(&["--messages", "none"])
            .fine()
            .contains("in 0 messages (no bound), by")
    );
    let said = quota(&["--usual"]).fine();
    assert!(said.ends_with("in 0 messages (no bound)\n"), "{said}");
    assert!(
        quota(&["--storage", "much"])
            .refused()
            .contains("expected a size")
    );
}

#[test]
fn mail_programs_are_told_of_domains_that_come_and_go() {
    let site = Site::new();
    let web = "[web]\nports = { imaps = 993, submissions = 465 }\nbehind_tls = true\n";
    site.edit(|text| format!("{text}\n{web}"));
    let running = Running::start(&site);
    let status = |host: &str, path: &str| {
        let said = running.get("http", host, path);
        said.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let pages = [
        ("autoconfig.b.test", "/mail/config-v1.1.xml"),
        ("autoconfig.b.test", "/mail/config-v1.1.xml?emailaddress=x@b.test"),
        (
            "autodiscover.b.test",
            "/autodiscover/autodiscover.json?Email=x@b.test&Protocol=Autodiscoverv1",
        ),
        ("mail.a.test", "/apple.mobileconfig?email=x@b.test"),
        ("mta-sts.b.test", "/.well-known/mta-sts.txt"),
    ];
    assert_eq!(status("autoconfig.a.test", "/mail/config-v1.1.xml"), "200");
    for (host, path) in pages {
        assert_eq!(status(host, path), "404", "{host}{path}");
    }
    site.run(&["domain", "add", "b.test"]).fine();
    for (host, path) in pages {
        wait_for(|| status(host, path) == "200");
    }
    let policy = running.get("http", "mta-sts.b.test", "/.well-known/mta-sts.txt");
    assert!(
        policy.contains("mode: testing\r\nmx: mail.a.test\r\n"),
        "{policy}"
    );
    site.run(&["domain", "remove", "b.test"]).fine();
    for (host, path) in pages {
        wait_for(|| status(host, path) == "404");
    }
}
