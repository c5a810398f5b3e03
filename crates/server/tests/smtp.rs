//! Mail coming in over loopback, from a client that knows nothing of the engines.

#[allow(dead_code, unreachable_pub)] // these tests use a part of it
#[path = "support/lines.rs"]
mod lines;

use lines::{Lines, Tls};
use mailwright_mailbox::{Account, Fields, MemoryStore, Scan, Store};
use mailwright_queue::{Body, Record};
use mailwright_server::accounts::set_password;
use mailwright_server::config::{self, AccountEntry, CertificateFiles, ListenerConfig, Protocol, TlsMode};
use mailwright_server::delivery::inbox;
use mailwright_server::{Config, Running, Server};
use std::net::SocketAddr;
use std::time::Duration;

struct Site {
    running: Running<MemoryStore>,
    tls: Tls,
    _folder: tempfile::TempDir,
}

impl Site {
    /// A server for b.test with alice and bob, where `team` stands for bob and somebody elsewhere.
    async fn start(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tls = Tls::for_names(&["mail.b.test"]);
        let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
        std::fs::write(&chain, &tls.certificate_pem).expect("written");
        std::fs::write(&key, &tls.key_pem).expect("written");
        let mut config = Config::new("mail.b.test".parse().expect("a domain"), folder.path());
        config.domains.push("b.test".parse().expect("a domain"));
        config.certificate = Some(CertificateFiles::new(chain, key));
        for name in ["alice@b.test", "bob@b.test"] {
            let mut entry = AccountEntry::new(name.parse().expect("an address"));
            set_password(&mut entry, &"s3cret".into());
            config.accounts.push(entry);
        }
        let team = ["bob@b.test", "carol@c.test"].map(|a| a.parse().expect("an address"));
        config.aliases.insert("team".into(), team.to_vec());
        config
            .aliases
            .insert("al".into(), vec!["alice@b.test".parse().expect("an address")]);
        // Nobody answers there: what is spooled stays spooled.
        config.outbound.resolver = Some(SocketAddr::from(([127, 0, 0, 1], 9)));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        for (name, protocol, tls) in [
            ("smtp", Protocol::Smtp, TlsMode::Starttls),
            ("submission", Protocol::Submission, TlsMode::Starttls),
            ("submissions", Protocol::Submission, TlsMode::Implicit),
            ("lmtp", Protocol::Lmtp, TlsMode::None),
        ] {
            let listener = ListenerConfig::new(protocol, any);
            config.listeners.push(listener.with_name(name).with_tls(tls));
        }
        change(&mut config);
        let store = MemoryStore::default();
        let running = Server::builder(config)
            .store(store)
            .start()
            .await
            .expect("it starts");
        Self {
            running,
            tls,
            _folder: folder,
        }
    }

    /// A connection that has heard the greeting.
    async fn connect(&self, listener: &str) -> Lines {
        let address = self.running.address(listener).expect("a listener");
        let mut lines = Lines::connect(address).await;
        lines.reply("220 mail.b.test ").await;
        lines
    }

    /// A connection to submission that is under TLS and logged in.
    async fn submit_as(&self, user: &str) -> Lines {
        let address = self.running.address("submissions").expect("a listener");
        let mut lines = Lines::connect_tls(address, &self.tls, "mail.b.test").await;
        lines.reply("220 mail.b.test ").await;
        lines.say("EHLO client.example", "250").await;
        lines.auth_plain(user, "s3cret", "235").await;
        lines
    }

    /// The messages in somebody's INBOX.
    async fn inbox_of(&self, account: &str) -> Vec<String> {
        let store = &self.running.shared().store;
        let inbox = inbox(store, &Account::new(account), &[]).await.expect("an INBOX");
        let page = store.scan(inbox, Scan::all(Fields::ALL)).await.expect("read");
        let mut all = vec![];
        for message in page.messages {
            let blob = message.blob.expect("asked for");
            let mut octets = vec![];
            while (octets.len() as u64) < blob.size() {
                let piece = store
                    .read_blob(&blob, octets.len() as u64..blob.size())
                    .await
                    .expect("read");
                octets.extend_from_slice(&piece);
            }
            all.push(String::from_utf8(octets).expect("text"));
        }
        all
    }

    /// The records in the spool, with their messages.
    async fn spool(&self) -> Vec<(Record, String)> {
        let store = &self.running.shared().store;
        let mut all = vec![];
        for entry in store.spool(None, 100).await.expect("read") {
            let blob = entry.blob.expect("a body");
            let octets = store.read_blob(&blob, 0..blob.size()).await.expect("read");
            let record = Record::decode(&entry.record).expect("a record");
            all.push((record, String::from_utf8(octets.to_vec()).expect("text")));
        }
        all
    }
}

const MESSAGE: &str = "From: carol@c.test\r\nSubject: hello\r\n\r\nHello Bob\r\n..dot\r\n.";

#[tokio::test]
async fn mail_from_outside_is_for_local_people_alone() {
    let site = Site::start(|_| {}).await;
    let mut c = site.connect("smtp").await;
    let offered = c.say("EHLO client.example", "250").await;
    for keyword in [
        "PIPELINING",
        "SIZE 52428800",
        "8BITMIME",
        "ENHANCEDSTATUSCODES",
        "STARTTLS",
        "SMTPUTF8",
        "DSN",
    ] {
        assert!(offered.contains(keyword), "{keyword} is missing: {offered}");
    }
    assert!(!offered.contains("AUTH"), "{offered}");
    c.say("MAIL FROM:<carol@c.test> SIZE=99999999999", "552 5.3.4")
        .await;
    c.say("MAIL FROM:<carol@c.test>", "250").await;
    c.say("RCPT TO:<nobody@b.test>", "550 5.1.1").await;
    c.say("RCPT TO:<dave@d.test>", "550 5.7.1").await;
    c.say("RCPT TO:<Bob+lists@B.TEST>", "250").await;
    c.say("DATA", "354").await;
    let taken = c.say(MESSAGE, "250 2.0.0 OK, ").await;
    let id = taken.trim().rsplit(' ').next().expect("an id");
    c.say("QUIT", "221").await;

    let mail = site.inbox_of("bob@b.test").await;
    let [message] = mail.as_slice() else {
        panic!("{mail:?}")
    };
    let (trace, rest) = message.split_once("From:").expect("its own header");
    assert_eq!(
        rest,
        " carol@c.test\r\nSubject: hello\r\n\r\nHello Bob\r\n.dot\r\n"
    );
    assert!(
        trace.starts_with("Return-Path: <carol@c.test>\r\nReceived: from client.example"),
        "{trace}"
    );
    for part in [
        "127.0.0.1",
        "by mail.b.test",
        "with ESMTP",
        id,
        "for <Bob+lists@B.TEST>",
    ] {
        assert!(trace.contains(part), "{part} is missing: {trace}");
    }
    assert!(site.inbox_of("alice@b.test").await.is_empty() && site.spool().await.is_empty());
}

#[tokio::test]
async fn postmaster_the_null_sender_and_several_recipients() {
    let site = Site::start(|_| {}).await;
    let mut c = site.connect("smtp").await;
    c.say("HELO client.example", "250").await;
    c.say("MAIL FROM:<>", "250").await;
    c.say("RCPT TO:<postmaster>", "250").await;
    c.say("RCPT TO:<bob@b.test>", "250").await;
    c.say("RCPT TO:<bob@b.test>", "250").await;
    c.say("DATA", "354").await;
    c.say("no header at all\r\n.", "250").await;
    let bob = site.inbox_of("bob@b.test").await;
    assert_eq!(bob.len(), 1, "each account has one copy");
    assert_eq!(site.inbox_of("alice@b.test").await, bob);
    assert!(bob[0].starts_with("Return-Path: <>\r\nReceived: "), "{}", bob[0]);
    assert!(bob[0].ends_with("\r\n\r\nno header at all\r\n"), "{}", bob[0]);
    assert!(
        bob[0].contains("with SMTP") && !bob[0].contains("bob@b.test"),
        "{}",
        bob[0]
    );
}

#[tokio::test]
async fn starttls_protects_what_follows() {
    let site = Site::start(|_| {}).await;
    let mut c = site.connect("submission").await;
    let offered = c.say("EHLO client.example", "250").await;
    assert!(
        offered.contains("STARTTLS") && !offered.contains("AUTH"),
        "{offered}"
    );
    c.auth_plain("alice@b.test", "s3cret", "538 5.7.11").await;
    c.say("MAIL FROM:<alice@b.test>", "530").await;
    c.say("STARTTLS", "220").await;
    let mut c = c.start_tls(&site.tls, "mail.b.test").await;
    let offered = c.say("EHLO client.example", "250").await;
    assert!(!offered.contains("STARTTLS"), "{offered}");
    assert!(
        offered.contains("AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"),
        "{offered}"
    );
    c.auth_plain("alice@b.test", "wrong", "535 5.7.8").await;
    c.auth_plain("nobody@b.test", "s3cret", "535 5.7.8").await;
    c.auth_plain("alice", "s3cret", "235").await;
    c.say("MAIL FROM:<bob@b.test>", "550 5.7.1").await;
    c.say("MAIL FROM:<alice@c.test>", "550 5.7.1").await;
    c.say("MAIL FROM:<Al+tag@b.test>", "250").await;
    c.say("RCPT TO:<nobody@b.test>", "550 5.1.1").await;
    c.say("RCPT TO:<bob@b.test>", "250").await;
    c.say("DATA", "354").await;
    c.say(".", "250").await;
    let mail = site.inbox_of("bob@b.test").await;
    assert!(
        mail[0].contains("with ESMTPSA") && mail[0].contains("TLS1.3"),
        "{}",
        mail[0]
    );
    assert!(
        mail[0].contains("\r\nMessage-ID: <") && mail[0].contains("\r\nDate: "),
        "{}",
        mail[0]
    );
}

#[tokio::test]
async fn submitted_mail_for_others_is_spooled_with_its_envelope() {
    let site = Site::start(|_| {}).await;
    let mut c = site.submit_as("alice@b.test").await;
    c.say(
        "MAIL FROM:<alice@b.test> BODY=8BITMIME RET=HDRS ENVID=q+2B1",
        "250",
    )
    .await;
    c.say(
        "RCPT TO:<carol@c.test> NOTIFY=FAILURE ORCPT=rfc822;Carol@c.test",
        "250",
    )
    .await;
    c.say("RCPT TO:<team@b.test>", "250").await;
    c.say("DATA", "354").await;
    c.say(
        "Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nTLS-Required: No\r\nMessage-ID: <1@b.test>\r\n\r\ngr\u{fc}\u{df}e\r\n.",
        "250",
    )
    .await;
    let spool = site.spool().await;
    let [(record, message)] = spool.as_slice() else {
        panic!("{spool:?}")
    };
    assert_eq!(record.reverse_path.to_string(), "<alice@b.test>");
    assert_eq!(record.origin.as_deref(), Some("alice@b.test"));
    assert!(record.tls_optional && !record.require_tls);
    assert_eq!(
        (record.body, record.envelope_id.as_deref()),
        (Body::EightBit, Some("q+1"))
    );
    // The alias leads to her as well: she gets one copy.
    let [carol] = record.recipients.as_slice() else {
        panic!("{record:?}")
    };
    assert_eq!(carol.address.to_string(), "carol@c.test");
    assert!(carol.notify.is_some_and(|n| n.failure && !n.success && !n.delay));
    assert_eq!(carol.original.as_ref().map(|o| &*o.address), Some("Carol@c.test"));
    assert_eq!(record.size, message.len() as u64);
    assert!(message.starts_with("Received: "), "{message}");
    assert!(message.ends_with(
        "\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nTLS-Required: No\r\nMessage-ID: <1@b.test>\r\n\r\ngr\u{fc}\u{df}e\r\n"
    ));
    assert_eq!(
        message.matches("Message-ID").count() + message.matches("Date:").count(),
        2
    );
    let bob = site.inbox_of("bob@b.test").await;
    assert_eq!(bob, [format!("Return-Path: <alice@b.test>\r\n{message}")]);
}

#[tokio::test]
async fn a_header_too_long_to_hold_gets_no_fields_it_may_have() {
    let site = Site::start(|_| {}).await;
    let mut c = site.submit_as("alice@b.test").await;
    c.say("MAIL FROM:<alice@b.test>", "250").await;
    c.say("RCPT TO:<bob@b.test>", "250").await;
    c.say("DATA", "354").await;
    let references = " <0123456789012345678901234567890123456789012345678901234567@b.test>\r\n".repeat(4000);
    c.say(
        &format!(
            "References:\r\n{references}Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <1@b.test>\r\n\r\nhi\r\n."
        ),
        "250",
    )
    .await;
    let mail = site.inbox_of("bob@b.test").await;
    for field in ["\r\nDate: ", "\r\nMessage-ID: "] {
        assert_eq!(mail[0].matches(field).count(), 1, "{field}");
    }
}

#[tokio::test]
async fn delivery_is_reported_to_those_who_ask() {
    let site = Site::start(|_| {}).await;
    let mut c = site.submit_as("alice@b.test").await;
    c.say("MAIL FROM:<alice@b.test> RET=HDRS ENVID=q1", "250").await;
    c.say("RCPT TO:<bob@b.test> NOTIFY=SUCCESS", "250").await;
    c.say("DATA", "354").await;
    c.say("Subject: did you get it\r\n\r\nHello\r\n.", "250").await;
    let mut reports = vec![];
    while reports.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        reports = site.inbox_of("alice@b.test").await;
    }
    let mail = site.inbox_of("bob@b.test").await;
    assert_eq!(mail.len(), 1);
    assert!(
        mail[0].starts_with("Return-Path: <alice@b.test>\r\nReceived: "),
        "{}",
        mail[0]
    );
    assert!(reports[0].starts_with("Return-Path: <>\r\n"), "{}", reports[0]);
    for part in [
        "Status: 2.0.0",
        "Final-Recipient: rfc822; bob@b.test",
        "Original-Envelope-Id: q1",
        "did you get it",
    ] {
        assert!(reports[0].contains(part), "{part} is missing: {}", reports[0]);
    }
}

#[tokio::test]
async fn without_a_way_out_others_are_refused() {
    let site = Site::start(|config| config.outbound.enabled = false).await;
    let mut c = site.submit_as("alice@b.test").await;
    c.say("MAIL FROM:<alice@b.test>", "250").await;
    c.say("RCPT TO:<carol@c.test>", "550 5.7.1").await;
    c.say("RCPT TO:<team@b.test>", "250").await;
    c.say("DATA", "354").await;
    c.say(".", "250").await;
    assert_eq!(site.inbox_of("bob@b.test").await.len(), 1);
    assert!(site.spool().await.is_empty());
}

#[tokio::test]
async fn lmtp_answers_for_each_recipient() {
    let site = Site::start(|_| {}).await;
    let mut c = site.connect("lmtp").await;
    c.say("EHLO client.example", "500").await;
    c.say("LHLO client.example", "250").await;
    c.say("MAIL FROM:<carol@c.test>", "250").await;
    c.say("RCPT TO:<alice@b.test>", "250").await;
    c.say("RCPT TO:<nobody@b.test>", "550 5.1.1").await;
    c.say("RCPT TO:<dave@d.test>", "550 5.7.1").await;
    c.say("RCPT TO:<bob@b.test>", "250").await;
    c.say("DATA", "354").await;
    c.say(MESSAGE, "250").await;
    c.reply("250").await;
    c.say("QUIT", "221").await;
    for account in ["alice@b.test", "bob@b.test"] {
        let mail = site.inbox_of(account).await;
        assert!(mail.len() == 1 && mail[0].contains("with LMTP"), "{mail:?}");
    }
}

#[tokio::test]
async fn messages_in_circles_too_big_or_mangled_are_refused_at_their_end() {
    let site = Site::start(|config| config.limits.message_size = 20_000).await;
    let mut c = site.connect("smtp").await;
    c.say("EHLO client.example", "250").await;
    for (body, reply) in [
        (
            "Received: from a by b; c\r\n".repeat(101) + "\r\nround and round\r\n.",
            "554 5.4.6",
        ),
        ("x".repeat(20_001) + "\r\n.", "552 5.3.4"),
        ("bare\nnewline\r\n.".into(), "550 5.6.0"),
        (
            "Received: from a by b; c\r\n".repeat(100) + "\r\nfar enough\r\n.",
            "250",
        ),
    ] {
        c.say("MAIL FROM:<carol@c.test>", "250").await;
        c.say("RCPT TO:<bob@b.test>", "250").await;
        c.say("DATA", "354").await;
        c.say(&body, reply).await;
    }
    assert_eq!(site.inbox_of("bob@b.test").await.len(), 1);
}

#[tokio::test]
async fn a_stopping_server_finishes_the_message_and_says_so() {
    let site = Site::start(|_| {}).await;
    let mut idle = site.connect("smtp").await;
    let mut c = site.connect("smtp").await;
    c.say("HELO client.example", "250").await;
    c.say("MAIL FROM:<carol@c.test>", "250").await;
    c.say("RCPT TO:<bob@b.test>", "250").await;
    c.say("DATA", "354").await;
    let shared = site.running.shared().clone();
    let stop = tokio::spawn(site.running.shutdown());
    idle.reply("421 4.3.2").await;
    c.say(MESSAGE, "250").await;
    c.reply("421 4.3.2").await;
    stop.await.expect("it stops");
    let inbox = inbox(&shared.store, &Account::new("bob@b.test"), &[])
        .await
        .expect("an INBOX");
    assert_eq!(shared.store.snapshot(inbox).await.expect("read").exists, 1);
}

/// Sends octets ahead of everything and returns the connection.
async fn connect_raw(site: &Site, listener: &str, octets: &[u8]) -> Lines {
    let mut c = Lines::connect(site.running.address(listener).expect("a listener")).await;
    c.send_raw(octets).await;
    c
}

fn change_listener<'a>(config: &'a mut Config, name: &str) -> &'a mut ListenerConfig {
    let mut listeners = config.listeners.iter_mut();
    listeners.find(|l| l.name == name).expect("a listener")
}

#[tokio::test]
async fn messages_come_in_chunks_too() {
    let site = Site::start(|config| config.limits.message_size = 20_000).await;
    let mut c = site.connect("smtp").await;
    let offered = c.say("EHLO client.example", "250").await;
    assert!(
        offered.contains("CHUNKING") && offered.contains("LIMITS RCPTMAX=1000"),
        "{offered}"
    );
    assert!(
        !offered.contains("BINARYMIME"),
        "not all of the way carries it: {offered}"
    );
    c.send_raw(b"MAIL FROM:<carol@c.test>\r\nRCPT TO:<bob@b.test>\r\nBDAT 22\r\nSubject: chunks\r\n\r\nHel")
        .await;
    c.send_raw(b"BDAT 9 LAST\r\nlo\r\n.\r\n\r\nNOOP\r\n").await;
    for want in [
        "250 2.1.0",
        "250 2.1.5",
        "250 2.0.0 22 octets",
        "250 2.0.0 OK, ",
        "250 2.0.0 OK",
    ] {
        c.reply(want).await;
    }
    let mail = site.inbox_of("bob@b.test").await;
    assert!(
        mail[0].ends_with("Subject: chunks\r\n\r\nHello\r\n.\r\n\r\n"),
        "{}",
        mail[0]
    );
    // A chunk that is refused is no command, and a size that is none ends the connection.
    c.send_raw(b"MAIL FROM:<carol@c.test>\r\nRCPT TO:<nobody@b.test>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")
        .await;
    for want in ["250", "550 5.1.1", "503 5.5.1", "250"] {
        c.reply(want).await;
    }
    c.say("BDAT 99999999999999999999999 LAST", "501 5.5.4").await;
    assert!(c.rest().await.is_empty());
    assert_eq!(site.inbox_of("bob@b.test").await.len(), 1);
}

#[tokio::test]
async fn a_proxy_tells_who_connects_also_ahead_of_tls() {
    let site = Site::start(|config| {
        for name in ["smtp", "submissions"] {
            change_listener(config, name).smtp.proxy = true;
        }
        change_listener(config, "smtp").smtp.xclient = vec!["192.0.2.0/24".parse().expect("a network")];
    })
    .await;
    let mut c = connect_raw(
        &site,
        "smtp",
        b"PROXY TCP4 192.0.2.77 198.51.100.1 4711 25\r\nEHLO a.test\r\n",
    )
    .await;
    c.reply("220").await;
    // Trust is in the address that the proxy told.
    assert!(c.reply("250").await.contains("XCLIENT NAME ADDR"));
    for (command, want) in [
        ("MAIL FROM:<carol@c.test>", "250"),
        ("RCPT TO:<bob@b.test>", "250"),
        ("DATA", "354"),
    ] {
        c.say(command, want).await;
    }
    c.say("Subject: x\r\n\r\n.", "250").await;
    let mail = site.inbox_of("bob@b.test").await;
    assert!(mail[0].contains("[192.0.2.77]"), "{}", mail[0]);

    let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x08\xc6\x33\x64\x01\x12\x34\x01\xd1";
    let mut c = connect_raw(&site, "submissions", header)
        .await
        .start_tls(&site.tls, "mail.b.test")
        .await;
    c.reply("220").await;
    assert!(c.say("EHLO client.example", "250").await.contains("AUTH "));
    c.auth_plain("alice", "s3cret", "235").await;

    // Without a header there is nothing to be had.
    let mut c = connect_raw(&site, "smtp", b"EHLO a.test\r\n").await;
    assert!(c.rest().await.is_empty());
}

#[tokio::test]
async fn behind_a_proxy_the_clients_are_counted_and_not_the_proxy() {
    let site = Site::start(|config| {
        change_listener(config, "smtp").smtp.proxy = true;
        config.limits.connections_per_address = 1;
    })
    .await;
    let header = |client: u8| format!("PROXY TCP4 192.0.2.{client} 198.51.100.1 4711 25\r\n");
    let mut first = connect_raw(&site, "smtp", header(1).as_bytes()).await;
    first.reply("220").await;
    let mut second = connect_raw(&site, "smtp", header(2).as_bytes()).await;
    second.reply("220").await;
    let mut third = connect_raw(&site, "smtp", header(1).as_bytes()).await;
    third.reply("421").await;
    assert!(third.rest().await.is_empty());
    first.say("QUIT", "221").await;
    assert!(first.rest().await.is_empty());
    // The place is given back a moment after the connection has ended.
    for _ in 0..50 {
        let mut again = connect_raw(&site, "smtp", header(1).as_bytes()).await;
        let line = again.line().await;
        if line.is_some_and(|line| line.starts_with(b"220")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the place was not given back");
}

#[tokio::test]
async fn proxies_and_filters_that_are_trusted_speak_for_others() {
    let near: config::Network = "127.0.0.0/8".parse().expect("a network");
    let site = Site::start(|config| {
        let smtp = &mut change_listener(config, "smtp").smtp;
        (smtp.xclient, smtp.xforward) = (vec![near], vec![near]);
    })
    .await;
    let mut c = site.connect("smtp").await;
    let offered = c.say("EHLO proxy.example", "250").await;
    assert!(
        offered.contains("XCLIENT NAME") && offered.contains("XFORWARD NAME"),
        "{offered}"
    );
    c.say(
        "XCLIENT ADDR=IPV6:2001:db8::7 PORT=99 NAME=[UNAVAILABLE]",
        "220 mail.b.test",
    )
    .await;
    c.say("MAIL FROM:<carol@c.test>", "503").await;
    c.say("EHLO behind.example", "250").await;
    c.say("XFORWARD NAME=origin.example SOURCE=REMOTE", "250").await;
    for (command, want) in [
        ("MAIL FROM:<carol@c.test>", "250"),
        ("RCPT TO:<bob@b.test>", "250"),
        ("DATA", "354"),
    ] {
        c.say(command, want).await;
    }
    c.say("Subject: x\r\n\r\n.", "250").await;
    let mail = site.inbox_of("bob@b.test").await;
    assert!(
        mail[0].contains("from behind.example") && mail[0].contains("[IPv6:2001:db8::7]"),
        "{}",
        mail[0]
    );
    // Others are not even told.
    let mut c = site.connect("submission").await;
    assert!(!c.say("EHLO a.test", "250").await.contains("XCLIENT"));
    c.say("XCLIENT ADDR=192.0.2.1", "550").await;
}

#[tokio::test]
async fn who_cannot_wait_is_turned_away_and_who_guesses_has_to() {
    let site = Site::start(|config| {
        change_listener(config, "smtp").smtp.greeting_delay = Duration::from_millis(600);
        change_listener(config, "submission").smtp.verify = true;
        config.limits.refusal_delay = Duration::from_millis(700);
    })
    .await;
    let mut c = connect_raw(&site, "smtp", b"EHLO spam.example\r\nQUIT\r\n").await;
    c.reply("554 You spoke before the greeting").await;
    c.reply("503").await;
    c.reply("221").await;

    let mut c = site.connect("smtp").await;
    for command in ["EHLO a.test", "MAIL FROM:<carol@c.test>"] {
        c.say(command, "250").await;
    }
    let asked = tokio::time::Instant::now();
    c.say("RCPT TO:<nobody@b.test>", "550 5.1.1").await;
    assert!(
        asked.elapsed() >= Duration::from_millis(700),
        "{:?}",
        asked.elapsed()
    );
    c.say("RCPT TO:<bob@b.test>", "250").await;
    c.say("VRFY bob", "252").await;

    let mut c = site.connect("submission").await;
    assert!(c.say("EHLO a.test", "250").await.contains("VRFY"));
    c.say("VRFY bob", "250 2.1.5 <bob@b.test>").await;
    c.say("VRFY <nobody@b.test>", "550 5.1.1").await;
    c.say("VRFY somebody@elsewhere.example", "252").await;
    c.say("EXPN team", "502").await;
    c.say("ETRN b.test", "502").await;
}
