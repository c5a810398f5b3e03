//! POP3 over loopback, against a client that knows nothing of the engines.

#[allow(dead_code, unreachable_pub)] // these tests use a part of it
#[path = "support/lines.rs"]
mod lines;

use bytes::Bytes;
use lines::{Lines, Tls};
use mailwright_mailbox::{Account, Batch, Fields, MemoryStore, Op, Scan, Store, UidSet};
use mailwright_pop3::{Maildrop, Rejection, ResponseCode};
use mailwright_sasl::{Answer, Identity, Question};
use mailwright_server::accounts::set_password;
use mailwright_server::config::{
    AccountEntry, CertificateFiles, ListenerConfig, PlaintextLogin, Protocol, Quota, TlsMode,
};
use mailwright_server::delivery::{MessageWriter, inbox};
use mailwright_server::pop3::{self, Backend, Messages};
use mailwright_server::{Config, Running, Server, unix_now};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

struct Site {
    running: Running<MemoryStore>,
    tls: Tls,
    bob: Account,
    _folder: tempfile::TempDir,
}

impl Site {
    /// A server with bob, whose INBOX holds these messages.
    async fn start(messages: &[&[u8]], change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tls = Tls::for_names(&["b.test"]);
        let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
        std::fs::write(&chain, &tls.certificate_pem).expect("written");
        std::fs::write(&key, &tls.key_pem).expect("written");
        let mut config = Config::new("b.test".parse().expect("a domain"), folder.path());
        config.domains.push("b.test".parse().expect("a domain"));
        config.certificate = Some(CertificateFiles::new(chain, key));
        let mut bob = AccountEntry::new("bob@b.test".parse().expect("an address"));
        set_password(&mut bob, &"s3cret".into());
        config.accounts.push(bob);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = ListenerConfig::new(Protocol::Pop3, any);
        config.listeners.push(listener.clone().with_name("pop3"));
        config
            .listeners
            .push(listener.with_name("pop3s").with_tls(TlsMode::Implicit));
        change(&mut config);
        let running = Server::builder(config)
            .store(MemoryStore::default())
            .start()
            .await
            .expect("it starts");
        let site = Self {
            running,
            tls,
            bob: Account::new("bob@b.test"),
            _folder: folder,
        };
        for message in messages {
            site.deliver(message).await;
        }
        site
    }

    fn store(&self) -> &MemoryStore {
        &self.running.shared().store
    }

    async fn deliver(&self, message: &[u8]) {
        let mut writer = MessageWriter::new(self.store());
        writer.write(Bytes::copy_from_slice(message)).await.expect("room");
        let written = writer.finish(self.store()).await.expect("room");
        let ops = written
            .deliver_to(self.store(), std::slice::from_ref(&self.bob), &[])
            .await
            .expect("an INBOX");
        let mut batch = Batch::new(unix_now());
        batch.ops = ops;
        self.store().commit(batch).await.expect("committed");
    }

    async fn uids(&self) -> Vec<u32> {
        let inbox = inbox(self.store(), &self.bob, &[]).await.expect("an INBOX");
        let page = self
            .store()
            .scan(inbox, Scan::all(Fields::NONE))
            .await
            .expect("read");
        page.messages.iter().map(|m| m.uid.value()).collect()
    }

    async fn expunge(&self, uid: u32) {
        let mailbox = inbox(self.store(), &self.bob, &[]).await.expect("an INBOX");
        let uids: UidSet = mailwright_mailbox::Uid::new(uid).into_iter().collect();
        let op = Op::Expunge {
            mailbox,
            uids,
            deleted_only: false,
        };
        self.store()
            .commit(Batch::new(unix_now()).with(op))
            .await
            .expect("committed");
    }

    async fn connect(&self) -> Lines {
        let address = self.running.address("pop3s").expect("it listens");
        let mut client = Lines::connect_tls(address, &self.tls, "b.test").await;
        client.reply("+OK b.test POP3 server ready").await;
        client
    }

    async fn login(&self) -> Lines {
        let mut client = self.connect().await;
        client.say("USER bob@b.test", "+OK").await;
        client.say("PASS s3cret", "+OK").await;
        client
    }
}

/// The lines of a multi-line reply, without the status line and with the dot-stuffing left in.
async fn list(client: &mut Lines, command: &str) -> Vec<String> {
    client.say(command, "+OK").await;
    let mut lines = vec![];
    loop {
        let line = client.line().await.expect("the end of the list");
        if line == b"." {
            return lines;
        }
        lines.push(String::from_utf8(line).expect("text"));
    }
}

const ONE: &[u8] = b"Subject: one\r\n\r\n.dot\r\nlast\r\n";
const TWO: &[u8] = b"Subject: two\r\n\r\nbody without end";

#[tokio::test]
async fn a_session_reads_and_deletes_what_it_asked_for() {
    let site = Site::start(&[ONE, TWO, ONE], |_| {}).await;
    let mut client = site.login().await;
    client.say("STAT", "+OK 3 88").await;
    assert_eq!(list(&mut client, "LIST").await, ["1 28", "2 32", "3 28"]);
    let uidl = list(&mut client, "UIDL").await;
    let unique: Vec<_> = uidl
        .iter()
        .map(|l| l.split(' ').nth(1).expect("an id").to_owned())
        .collect();
    let (validity, _) = unique[0].split_once('.').expect("UIDVALIDITY.UID");
    assert_eq!(unique, [1, 2, 3].map(|uid| format!("{validity}.{uid}")));
    assert_eq!(
        list(&mut client, "RETR 1").await,
        ["Subject: one", "", "..dot", "last"]
    );
    assert_eq!(
        list(&mut client, "RETR 2").await,
        ["Subject: two", "", "body without end"]
    );
    assert_eq!(list(&mut client, "TOP 1 1").await, ["Subject: one", "", "..dot"]);
    client.say("DELE 1", "+OK").await;
    client.say("RETR 1", "-ERR").await;
    // Nothing happens to it before QUIT, and what comes in between is not of this session.
    site.deliver(TWO).await;
    assert_eq!(site.uids().await, [1, 2, 3, 4]);
    client.say("STAT", "+OK 2 60").await;
    client.say("QUIT", "+OK 1 messages deleted").await;
    assert_eq!(client.rest().await, b"");
    assert_eq!(site.uids().await, [2, 3, 4]);

    let mut client = site.login().await;
    let uidl = list(&mut client, "UIDL").await;
    let expected = [(1, 2), (2, 3), (3, 4)].map(|(n, uid)| format!("{n} {validity}.{uid}"));
    assert_eq!(uidl, expected, "unique ids stay what they are");
}

#[tokio::test]
async fn a_session_without_quit_deletes_nothing() {
    let site = Site::start(&[ONE, TWO], |_| {}).await;
    let mut client = site.login().await;
    client.say("DELE 1", "+OK").await;
    client.say("DELE 2", "+OK").await;
    drop(client);
    // The lock is free again as soon as the server sees that the client is gone.
    let mut client = site.login().await;
    client.say("STAT", "+OK 2 60").await;
    client.say("DELE 2", "+OK").await;
    client.say("RSET", "+OK").await;
    client.say("QUIT", "+OK bye").await;
    assert_eq!(site.uids().await, [1, 2]);
}

#[tokio::test]
async fn a_maildrop_has_one_session_at_a_time() {
    let site = Site::start(&[ONE], |_| {}).await;
    let mut first = site.login().await;
    let mut second = site.connect().await;
    second.say("USER bob", "+OK").await;
    second.say("PASS s3cret", "-ERR [IN-USE]").await;
    first.say("QUIT", "+OK").await;
    second.say("USER bob", "+OK").await;
    second.say("PASS s3cret", "+OK maildrop has 1 messages").await;
}

#[tokio::test]
async fn passwords_wait_for_tls() {
    let site = Site::start(&[ONE], |_| {}).await;
    let address = site.running.address("pop3").expect("it listens");
    let mut client = Lines::connect(address).await;
    client.reply("+OK").await;
    let capabilities = list(&mut client, "CAPA").await;
    assert!(capabilities.contains(&"STLS".into()) && !capabilities.contains(&"USER".into()));
    assert!(capabilities.contains(&"SASL SCRAM-SHA-256".into()));
    client.say("USER bob", "-ERR [AUTH]").await;
    client.say("AUTH PLAIN AGJvYgBzM2NyZXQ=", "-ERR [AUTH]").await;
    client.say("STLS", "+OK").await;
    let mut client = client.start_tls(&site.tls, "b.test").await;
    let capabilities = list(&mut client, "CAPA").await;
    assert!(!capabilities.contains(&"STLS".into()) && capabilities.contains(&"USER".into()));
    client.say("AUTH PLAIN AGJvYgB3cm9uZw==", "-ERR [AUTH]").await;
    client
        .say("AUTH PLAIN AGJvYgBzM2NyZXQ=", "+OK maildrop has 1 messages")
        .await;
}

#[tokio::test]
async fn what_is_sent_behind_stls_in_the_clear_is_never_a_command() {
    let site = Site::start(&[ONE], |config| config.plaintext_login = PlaintextLogin::Loopback).await;
    let address = site.running.address("pop3").expect("it listens");
    let mut client = Lines::connect(address).await;
    client.reply("+OK").await;
    client.send_raw(b"STLS\r\nUSER bob\r\n").await;
    client.reply("+OK begin TLS").await;
    let mut client = client.start_tls(&site.tls, "b.test").await;
    client.say("PASS s3cret", "-ERR send USER first").await;
    client.say("NOOP", "-ERR log in first").await;
}

#[tokio::test]
async fn plaintext_is_allowed_where_the_configuration_says_so() {
    let site = Site::start(&[ONE], |config| config.plaintext_login = PlaintextLogin::Loopback).await;
    let address = site.running.address("pop3").expect("it listens");
    let mut client = Lines::connect(address).await;
    client.reply("+OK").await;
    client.say("USER bob", "+OK").await;
    client.say("PASS wrong", "-ERR [AUTH]").await;
    client.say("USER nobody", "+OK").await;
    client.say("PASS s3cret", "-ERR [AUTH]").await;
    client.say("USER bob", "+OK").await;
    client.say("PASS wrong", "-ERR [AUTH]").await;
    assert_eq!(client.rest().await, b"", "three failures are enough");
}

#[tokio::test]
async fn a_message_that_another_program_removed_is_refused_and_the_rest_goes_on() {
    let site = Site::start(&[ONE, TWO], |_| {}).await;
    let mut client = site.login().await;
    site.expunge(1).await;
    client.say("RETR 1", "-ERR the message was removed").await;
    assert_eq!(list(&mut client, "RETR 2").await.len(), 3);
    client.say("DELE 1", "+OK").await;
    client.say("DELE 2", "+OK").await;
    client.say("QUIT", "+OK").await;
    assert!(site.uids().await.is_empty());
}

#[tokio::test]
async fn a_large_message_comes_whole() {
    let mut body = b"Subject: large\r\n\r\n".to_vec();
    for n in 0..40_000 {
        body.extend_from_slice(format!(".line {n} of many that fill several pieces\r\n").as_bytes());
    }
    let site = Site::start(&[&body], |_| {}).await;
    let mut client = site.login().await;
    let lines = list(&mut client, "RETR 1").await;
    let unstuffed: Vec<_> = lines.iter().map(|l| l.strip_prefix('.').unwrap_or(l)).collect();
    assert!(
        unstuffed.join("\r\n").into_bytes() == body[..body.len() - 2],
        "the message came out different"
    );
    assert_eq!(list(&mut client, "TOP 1 0").await, ["Subject: large", ""]);
}

#[tokio::test]
async fn a_maildrop_of_many_pages_is_listed_whole() {
    let site = Site::start(&[], |_| {}).await;
    let mut writer = MessageWriter::new(site.store());
    writer.write(Bytes::from_static(ONE)).await.expect("room");
    let written = writer.finish(site.store()).await.expect("room");
    let one = written
        .deliver_to(site.store(), std::slice::from_ref(&site.bob), &[])
        .await
        .expect("an INBOX");
    let mut batch = Batch::new(unix_now());
    batch.ops = (0..2500).flat_map(|_| one.clone()).collect();
    site.store().commit(batch).await.expect("committed");
    let mut client = site.login().await;
    let sizes = list(&mut client, "LIST").await;
    assert_eq!((sizes.len(), sizes[2499].as_str()), (2500, "2500 28"));
    let mut unique = list(&mut client, "UIDL").await;
    unique
        .iter_mut()
        .for_each(|line| drop(line.drain(..=line.find(' ').expect("an id"))));
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), 2500);
    assert_eq!(list(&mut client, "RETR 2500").await.len(), 4);
}

#[tokio::test]
async fn clients_are_told_of_a_shutdown_and_nothing_is_deleted() {
    let site = Site::start(&[ONE], |config| {
        config.limits.shutdown_grace = Duration::from_secs(5);
    })
    .await;
    let mut client = site.login().await;
    client.say("DELE 1", "+OK").await;
    let shared = site.running.shared().clone();
    let stopped = tokio::spawn(site.running.shutdown());
    client.reply("-ERR [SYS/TEMP] shutting down").await;
    assert_eq!(client.rest().await, b"");
    stopped.await.expect("it stops");
    let inbox = inbox(&shared.store, &site.bob, &[]).await.expect("an INBOX");
    assert_eq!(shared.store.snapshot(inbox).await.expect("read").exists, 1);
}

#[tokio::test]
async fn what_is_offered_and_in_which_language() {
    let site = Site::start(&[ONE], |_| {}).await;
    let mut client = site.connect().await;
    let capabilities = list(&mut client, "CAPA").await;
    for capability in [
        "UTF8",
        "LANG",
        "EXPIRE NEVER",
        "AUTH-RESP-CODE",
        "IMPLEMENTATION Mailwright",
    ] {
        assert!(capabilities.contains(&capability.into()), "{capabilities:?}");
    }
    assert!(!capabilities.iter().any(|c| c.starts_with("LOGIN-DELAY")));
    assert_eq!(list(&mut client, "LANG").await, ["en English", "de Deutsch"]);
    client.say("LANG de-CH", "+OK de Sprache gewechselt").await;
    client.say("USER bob", "+OK weiter mit PASS").await;
    client
        .say("PASS wrong", "-ERR [AUTH] Benutzername oder Passwort ist falsch")
        .await;
}

#[tokio::test]
async fn headers_in_utf8_are_for_clients_in_utf8_mode() {
    let filling =
        "X-Filling: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n".repeat(1500);
    let header = format!("{filling}From: J\u{f6} <j\u{f6}@b.test>\r\nSubject: Gr\u{fc}\u{df}e\r\n");
    let message = format!("{header}\r\n.hallo\r\nzwei\r\n");
    // What is no UTF-8 is nobody's international message.
    let site = Site::start(&[message.as_bytes(), b"Subject: caf\xe9\r\n\r\nx\r\n"], |_| {}).await;
    let mut client = site.login().await;
    for command in ["RETR 1", "TOP 1 1"] {
        let lines = list(&mut client, command).await;
        assert!(lines.iter().all(|line| line.is_ascii()));
        assert_eq!(
            lines
                .iter()
                .filter(|line| line.starts_with("X-Filling: "))
                .count(),
            1500
        );
        assert!(lines.contains(&"Subject: =?utf-8?B?R3LDvMOfZQ==?=".into()));
        assert!(
            lines
                .iter()
                .any(|line| line.contains("<invalid@internationalized-address.invalid>"))
        );
        let body: Vec<_> = lines.iter().skip_while(|line| !line.is_empty()).collect();
        assert_eq!(
            body,
            if command == "RETR 1" {
                vec!["", "..hallo", "zwei"]
            } else {
                vec!["", "..hallo"]
            }
        );
    }
    client.send("RETR 2").await;
    client.reply("+OK").await;
    assert_eq!(client.line().await.expect("a line"), b"Subject: caf\xe9");
    drop(client);
    let mut client = site.connect().await;
    client.say("UTF8", "+OK").await;
    client.say("USER bob", "+OK").await;
    client.say("PASS s3cret", "+OK").await;
    let lines = list(&mut client, "RETR 1").await;
    assert_eq!(lines.join("\r\n").replace("\r\n..", "\r\n."), message.trim_end());
}

#[tokio::test]
async fn logins_keep_their_distance() {
    let site = Site::start(&[ONE], |config| {
        config.limits.pop3_login_delay = Duration::from_secs(3600);
    })
    .await;
    let mut client = site.connect().await;
    assert!(
        list(&mut client, "CAPA")
            .await
            .contains(&"LOGIN-DELAY 3600".into())
    );
    client.say("USER bob", "+OK").await;
    client.say("PASS wrong", "-ERR [AUTH]").await;
    client.say("USER bob", "+OK").await;
    client.say("PASS s3cret", "+OK").await;
    client.say("QUIT", "+OK").await;
    let mut client = site.connect().await;
    client.say("USER bob", "+OK").await;
    client.say("PASS s3cret", "-ERR [LOGIN-DELAY] wait 3").await;
}

#[tokio::test]
async fn a_client_that_falls_silent_deletes_nothing() {
    let site = Site::start(&[ONE, TWO], |config| {
        config.limits.pop3_timeout = Duration::from_secs(4);
    })
    .await;
    let mut client = site.login().await;
    client.say("DELE 1", "+OK").await;
    assert_eq!(client.rest().await, b"", "RFC 1939 \u{a7}3: without a word");
    assert_eq!(site.uids().await, [1, 2]);
    // The maildrop is free for the next one.
    site.login().await.say("STAT", "+OK 2 60").await;
}

#[tokio::test]
async fn an_imap_client_expunges_meanwhile() {
    let site = Site::start(&[ONE, TWO, ONE], |config| {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let imaps = ListenerConfig::new(Protocol::Imap, any).with_name("imaps");
        config.listeners.push(imaps.with_tls(TlsMode::Implicit));
    })
    .await;
    let mut pop = site.login().await;
    let uidl = list(&mut pop, "UIDL").await;
    let address = site.running.address("imaps").expect("it listens");
    let mut imap = Lines::connect_tls(address, &site.tls, "b.test").await;
    imap.reply("* OK").await;
    imap.imap("LOGIN bob s3cret", "OK").await;
    imap.imap("SELECT INBOX", "OK").await;
    imap.imap("STORE 1 +FLAGS.SILENT (\\Deleted)", "OK").await;
    imap.imap("EXPUNGE", "OK").await;
    site.deliver(TWO).await;
    // The snapshot stays what it was, but for the octets of what is gone.
    pop.say("STAT", "+OK 3 88").await;
    assert_eq!(list(&mut pop, "UIDL").await, uidl);
    pop.say("RETR 1", "-ERR").await;
    assert_eq!(list(&mut pop, "RETR 3").await.len(), 4);
    pop.say("DELE 1", "+OK").await;
    pop.say("DELE 2", "+OK").await;
    pop.say("QUIT", "+OK 2 messages deleted").await;
    assert_eq!(site.uids().await, [3, 4]);
    let told = imap.imap("NOOP", "OK").await;
    assert!(
        told.iter()
            .any(|line| line.ends_with(b" EXPUNGE") || line.starts_with(b"* VANISHED")),
        "{told:?}"
    );
}

#[tokio::test]
async fn two_users_at_once_and_one_beyond_the_quota() {
    let site = Site::start(&[ONE, TWO], |config| {
        config.quota = Quota::new(Some(1), Some(1));
        config.delivery.quota_warnings = false;
        let mut carol = AccountEntry::new("carol@b.test".parse().expect("an address"));
        set_password(&mut carol, &"s3cret".into());
        config.accounts.push(carol);
    })
    .await;
    let mut bob = site.login().await;
    let mut carol = site.connect().await;
    carol.say("USER carol", "+OK").await;
    carol.say("PASS s3cret", "+OK maildrop has 0 messages").await;
    bob.say("DELE 1", "+OK").await;
    carol.say("QUIT", "+OK").await;
    bob.say("QUIT", "+OK 1 messages deleted").await;
    assert_eq!(site.uids().await, [2]);
}

/// A maildrop of two messages: one that breaks off after 100,000 octets, and one that cannot be read.
struct Broken;

impl Backend for Broken {
    type Messages = Self;

    async fn authenticate(&self, _: Question, _: SocketAddr) -> Answer {
        Answer::Accept
    }

    async fn open(self: &Arc<Self>, user: &Identity, _: SocketAddr) -> Result<Self, Rejection> {
        match &*user.authcid {
            "taken" => Err(Rejection::IN_USE),
            _ => Ok(Self),
        }
    }
}

impl Messages for Broken {
    async fn list(&mut self) -> Result<Maildrop, Rejection> {
        let mut maildrop = Maildrop::new();
        maildrop.push(300_000, "breaks-off").expect("an id");
        maildrop.push(10, "gone").expect("an id");
        Ok(maildrop)
    }

    async fn read(&mut self, message: u32, range: Range<u64>) -> Result<Bytes, Rejection> {
        match (message, 100_000_u64.saturating_sub(range.start)) {
            (1, 1..) => {
                let end = range.end.min(100_000);
                let octets = (range.start..end).map(|at| if at % 100 == 0 { b'\n' } else { b'x' });
                Ok(octets.collect())
            }
            (1, 0) => Err(Rejection::UNAVAILABLE),
            _ => Err(Rejection::new(Some(ResponseCode::SysTemp), "the tape is away")),
        }
    }
}

#[tokio::test]
async fn a_backend_of_ones_own_says_why_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        let mut options = pop3::Options::default();
        options.engine.allow_plaintext = true;
        while let Ok((stream, peer)) = listener.accept().await {
            tokio::spawn(pop3::serve(Arc::new(Broken), stream, peer, options.clone()));
        }
    });
    let mut client = Lines::connect(address).await;
    client.reply("+OK").await;
    let offered = list(&mut client, "CAPA").await;
    assert!(
        offered.contains(&"UTF8".to_owned()) && !offered.contains(&"STLS".to_owned()),
        "{offered:?}"
    );
    client.say("USER taken", "+OK").await;
    client.say("PASS x", "-ERR [IN-USE]").await;
    client.say("USER bob", "+OK").await;
    client
        .say("PASS x", "+OK maildrop has 2 messages (300010 octets)")
        .await;
    client.say("RETR 2", "-ERR [SYS/TEMP] the tape is away").await;
    // What can be read of a message is, where no more is wanted.
    assert_eq!(list(&mut client, "TOP 1 3").await.len(), 4);
    client.say("DELE 2", "+OK").await;
    client.say("RETR 1", "+OK").await;
    // Else the connection ends, so that nobody takes it for whole; and what was marked stays.
    let rest = client.rest().await;
    assert!(
        rest.len() >= 100_000 && !rest.ends_with(b"\r\n.\r\n"),
        "{} octets",
        rest.len()
    );
    let mut client = Lines::connect(address).await;
    client.reply("+OK").await;
    client.say("USER bob", "+OK").await;
    client.say("PASS x", "+OK").await;
    client.say("DELE 2", "+OK").await;
    client.say("QUIT", "-ERR [SYS/PERM] messages stay here").await;
}
