//! The queue's worker against mail servers that do what a test wants: over loopback, in real time.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests over real sockets and real time

#[path = "support/dns.rs"]
mod dns;
#[path = "support/rig.rs"]
#[allow(dead_code, unreachable_pub)]
mod rig;
#[path = "support/sink.rs"]
#[allow(dead_code, unreachable_pub)]
mod sink;

use mailwright_mailbox::Store;
use mailwright_message::{Index, dsn};
use mailwright_queue::{Body, Notify, Record, State};
use mailwright_server::config::{Config, Endpoint, EndpointHost, SmartHost, SmartHostLogin, SmartHostTls};
use mailwright_smtp::Rejection;
use rig::*;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use sink::{Asked, Handshake, Script, Sink};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread")]
async fn one_copy_per_domain_with_the_same_octets() {
    let sink = Sink::start(Script::takes_all()).await;
    let rig = Rig::routed(&[("b.test", sink.address), ("c.test", sink.address)]).await;
    // Longer than any buffer on the way, with dots where they hurt.
    let message = format!("{MESSAGE}{}", ".\r\n..x\r\nline\r\n".repeat(60_000));
    let mut record = rig.record(
        Some("alice@a.test"),
        &["bob@b.test", "\"o d\"@b.test", "carol@c.test"],
    );
    record.size = message.len() as u64;
    record.body = Body::EightBit;
    rig.put(record, message.clone()).await;
    let mut taken = sink.messages(2).await;
    taken.sort_by_key(|t| t.recipients.len());
    assert_eq!(taken[0].recipients, ["<carol@c.test>"]);
    assert_eq!(taken[1].recipients, ["<bob@b.test>", "<\"o d\"@b.test>"]);
    for taken in taken {
        let want = format!("<alice@a.test> SIZE={} BODY=8BITMIME", message.len());
        assert_eq!(taken.mail, want);
        assert!(taken.body == message.as_bytes(), "the octets differ");
    }
    rig.until_empty().await;
    assert!(rig.inbox().await.is_empty());
    rig.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferral_is_tried_again() {
    let tries = Arc::new(AtomicUsize::new(0));
    let sink = Sink::start(Script::new({
        let tries = tries.clone();
        move |asked| match asked {
            Asked::Rcpt("<bob@b.test>") if tries.fetch_add(1, Ordering::Relaxed) < 2 => Err(busy()),
            _ => Ok(()),
        }
    }))
    .await;
    let rig = Rig::routed(&[("b.test", sink.address)]).await;
    rig.send(Some("alice@a.test"), &["bob@b.test", "carol@b.test"])
        .await;
    let waiting = rig
        .until_spool_is(|spool| {
            spool
                .iter()
                .any(|r| matches!(r.recipients[1].state, State::Delivered { .. }))
        })
        .await;
    let State::Queued {
        attempts: 1..,
        last: Some(why),
        ..
    } = &waiting[0].recipients[0].state
    else {
        panic!("{waiting:#?}");
    };
    assert_eq!(why.to_string(), "4.7.1 ([127.0.0.1]) 450 4.7.1 greylisted");
    let taken = sink.messages(2).await;
    assert_eq!(
        taken[0].recipients,
        ["<carol@b.test>"],
        "who was taken gets no second copy"
    );
    assert_eq!(taken[1].recipients, ["<bob@b.test>"]);
    rig.until_empty().await;
    assert_eq!(tries.load(Ordering::Relaxed), 3);
    assert!(rig.inbox().await.is_empty());
    rig.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_comes_back_to_the_sender() {
    let sink = Sink::start(Script::new(|asked| match asked {
        Asked::Rcpt("<nobody@b.test>") => Err(Rejection::NO_SUCH_USER),
        _ => Ok(()),
    }))
    .await;
    let rig = Rig::routed(&[("b.test", sink.address)]).await;
    rig.send(Some("alice@a.test"), &["nobody@b.test", "bob@b.test"])
        .await;
    assert_eq!(sink.messages(1).await[0].recipients, ["<bob@b.test>"]);
    rig.until_empty().await;
    let (report, text) = rig.notice().await;
    assert!(text.starts_with("Return-Path: <>\r\n"), "{text}");
    assert_eq!(report.reporting_mta, dsn::Typed::dns("mail.a.test"));
    let [failed] = &report.recipients[..] else {
        panic!("{report:?}")
    };
    assert_eq!(failed.action, dsn::Action::Failed);
    assert_eq!(failed.status, dsn::Status::NO_SUCH_MAILBOX);
    assert_eq!(failed.final_recipient, dsn::Typed::address("nobody@b.test"));
    assert_eq!(
        failed.diagnostic,
        Some(dsn::Typed::smtp("550 5.1.1 No such user here"))
    );
    assert_eq!(failed.remote_mta, Some(dsn::Typed::dns("[127.0.0.1]")));
    assert!(
        text.contains(".one dot\r\n..two dots\r\n"),
        "a small message comes back whole: {text}"
    );
    rig.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_after_the_message_comes_back_too() {
    let sink = Sink::start(Script::new(|asked| match asked {
        Asked::Message => Err(Rejection::POLICY),
        _ => Ok(()),
    }))
    .await;
    let rig = Rig::routed(&[("b.test", sink.address)]).await;
    rig.send(Some("alice@a.test"), &["bob@b.test", "carol@b.test"])
        .await;
    rig.until_empty().await;
    let (report, _) = rig.notice().await;
    let statuses: Vec<String> = report.recipients.iter().map(|r| r.status.to_string()).collect();
    assert_eq!(statuses, ["5.7.1", "5.7.1"]);
    rig.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_comes_back_with_its_reason() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counter = tries.clone();
    let sink = Sink::start(Script::new(move |asked| match asked {
        Asked::Rcpt(_) => {
            counter.fetch_add(1, Ordering::Relaxed);
            Err(busy())
        }
        _ => Ok(()),
    }))
    .await;
    let rig = Rig::start(|config| {
        add_routes(config, &[("b.test", sink.address)]);
        config.queue.expire = Duration::from_secs(2);
        config.queue.delay_notice = Some(Duration::from_millis(900));
    })
    .await;
    rig.send(Some("alice@a.test"), &["bob@b.test"]).await;
    rig.until_empty().await;
    assert!(tries.load(Ordering::Relaxed) > 1);
    let inbox = rig.inbox().await;
    let reports: Vec<_> = inbox
        .iter()
        .map(|message| dsn::Report::parse(&Index::of(message), message).expect("a notice"))
        .collect();
    let actions: Vec<_> = reports.iter().map(|r| r.recipients[0].action).collect();
    assert_eq!(actions, [dsn::Action::Delayed, dsn::Action::Failed]);
    assert!(reports[0].recipients[0].will_retry_until.is_some());
    assert_eq!(reports[1].recipients[0].status.to_string(), "4.7.1");
    assert_eq!(
        reports[1].recipients[0].diagnostic,
        Some(dsn::Typed::smtp("450 4.7.1 greylisted"))
    );
    rig.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_elsewhere_is_told_by_mail_and_a_null_one_never() {
    let sink = Sink::start(Script::new(|asked| match asked {
        Asked::Rcpt("<zoe@z.test>") => Ok(()),
        Asked::Rcpt(_) => Err(Rejection::NO_SUCH_USER),
        _ => Ok(()),
    }))
    .await;
    let rig = Rig::routed(&[("b.test", sink.address), ("z.test", sink.address)]).await;
    rig.send(Some("zoe@z.test"), &["nobody@b.test"]).await;
    let taken = sink.messages(1).await;
    assert!(taken[0].mail.starts_with("<> "), "{}", taken[0].mail);
    assert_eq!(taken[0].recipients, ["<zoe@z.test>"]);
    let report = dsn::Report::parse(&Index::of(&taken[0].body), &taken[0].body).expect("a notice");
    assert_eq!(report.recipients.len(), 1);
    assert!(
        !taken[0].body.starts_with(b"Return-Path"),
        "that is for mailboxes"
    );
    rig.until_empty().await;

    rig.send(None, &["nobody@b.test"]).await;
    let mut never = rig.record(Some("alice@a.test"), &["nobody@b.test"]);
    never.recipients[0].notify = Some(Notify::default());
    rig.put(never, MESSAGE).await;
    rig.until_empty().await;
    sleep(Duration::from_millis(200)).await;
    assert_eq!(sink.taken().len(), 1);
    assert!(rig.inbox().await.is_empty());
    rig.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_exchanger_is_asked_when_one_is_down_or_busy() {
    let sink = Sink::start_at("127.0.0.3:0".parse().expect("an address"), Script::takes_all()).await;
    let closing = SocketAddr::from(([127, 0, 0, 2], sink.address.port()));
    let closing = Sink::start_at(closing, Script::new(|_| Err(Rejection::UNAVAILABLE))).await;
    let stopping = SocketAddr::from(([127, 0, 0, 5], sink.address.port()));
    let stopping = Sink::start_at(
        stopping,
        Script::new(|asked| match asked {
            Asked::Rcpt(_) => Err(Rejection::UNAVAILABLE),
            _ => Ok(()),
        }),
    )
    .await;
    let zone = dns::Zone::new()
        .mx("b.test", 10, "down.b.test")
        .mx("b.test", 20, "busy.b.test")
        .mx("b.test", 25, "stopping.b.test")
        .mx("b.test", 30, "up.b.test")
        .a("down.b.test", "127.0.0.4")
        .a("busy.b.test", "127.0.0.2")
        .a("stopping.b.test", "127.0.0.5")
        .a("up.b.test", "127.0.0.3");
    let dns = dns::DnsServer::start(zone);
    let rig = Rig::start(|config| {
        config.outbound.resolver = Some(dns.address());
        config.outbound.port = sink.address.port();
        config.queue.retry = vec![Duration::from_secs(60)];
    })
    .await;
    rig.send(Some("alice@a.test"), &["bob@b.test"]).await;
    sink.messages(1).await;
    assert_eq!((closing.connections(), stopping.connections()), (1, 1));
    rig.until_empty().await;
    rig.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_an_answer_is_sent_twice_rather_than_never() {
    let script = Script {
        hangs_up: 1,
        ..Script::takes_all()
    };
    let first = Sink::start(script).await;
    let second = SocketAddr::from(([127, 0, 0, 5], first.address.port()));
    let second = Sink::start_at(second, Script::takes_all()).await;
    let zone = dns::Zone::new()
        .mx("b.test", 10, "first.b.test")
        .mx("b.test", 20, "second.b.test")
        .a("first.b.test", "127.0.0.1")
        .a("second.b.test", "127.0.0.5");
    let dns = dns::DnsServer::start(zone);
    let rig = Rig::start(|config| {
        config.outbound.resolver = Some(dns.address());
        config.outbound.port = first.address.port();
    })
    .await;
    rig.send(Some("alice@a.test"), &["bob@b.test"]).await;
    first.messages(2).await;
    rig.until_empty().await;
    assert_eq!(
        second.connections(),
        0,
        "another host might make it two for certain"
    );
    assert!(rig.inbox().await.is_empty());
    rig.running.shutdown().await;
}

/// Server side of TLS with a certificate for `mail.provider.test`, and the certificate.
fn certificate() -> (Arc<rustls::ServerConfig>, String) {
    let made = rcgen::generate_simple_self_signed(["mail.provider.test".to_owned()]).expect("a certificate");
    let pem = made.cert.pem();
    let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("they belong together");
    (Arc::new(config), pem)
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_used_where_it_works_and_done_without_where_it_does_not() {
    for (tls, used, connections) in [
        (Handshake::Works(certificate().0), true, 1),
        (Handshake::Broken, false, 2),
        (Handshake::None, false, 1),
    ] {
        let sink = Sink::start(Script {
            tls,
            ..Script::takes_all()
        })
        .await;
        let rig = Rig::routed(&[("b.test", sink.address)]).await;
        rig.send(Some("alice@a.test"), &["bob@b.test"]).await;
        assert_eq!(sink.messages(1).await[0].tls, used);
        assert_eq!(sink.connections(), connections);
        rig.until_empty().await;
        rig.running.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smart_host_takes_all_mail_after_login_under_verified_tls() {
    let (tls, certificate) = certificate();
    let script = Script {
        tls: Handshake::Works(tls),
        login: Some(("alice".into(), "secret".into())),
        ..Script::takes_all()
    };
    let sink = Sink::start(script).await;
    let zone = dns::Zone::new().a("mail.provider.test", "127.0.0.1");
    let dns = dns::DnsServer::start(zone);
    let files = tempfile::tempdir().expect("a folder");
    let (ca, password) = (files.path().join("ca.pem"), files.path().join("password"));
    std::fs::write(&ca, certificate).expect("writable");
    std::fs::write(&password, "secret\n").expect("writable");
    let configure = |config: &mut Config| {
        config.outbound.resolver = Some(dns.address());
        let endpoint = Endpoint::new(
            EndpointHost::Name(domain("mail.provider.test")),
            sink.address.port(),
        );
        let mut smart_host = SmartHost::new(endpoint, SmartHostTls::Starttls);
        smart_host.login = Some(SmartHostLogin::new("alice", password.clone()));
        config.outbound.smart_host = Some(smart_host);
    };
    let rig = Rig::start(|config| {
        configure(config);
        config.outbound.ca = Some(ca.clone());
    })
    .await;
    rig.send(Some("alice@a.test"), &["bob@b.test"]).await;
    let taken = sink.messages(1).await;
    assert_eq!((taken[0].tls, taken[0].user.as_deref()), (true, Some("alice")));
    rig.until_empty().await;
    rig.running.shutdown().await;

    // A wrong password is the operator's mistake: the mail waits until it is mended.
    std::fs::write(&password, "wrong\n").expect("writable");
    let rig = Rig::start(|config| {
        configure(config);
        config.outbound.ca = Some(ca);
    })
    .await;
    rig.send(Some("alice@a.test"), &["bob@b.test"]).await;
    let text = rig.first_failure().await;
    assert!(
        text.contains("1 deferred: 4.7.8") && text.contains(" 535 "),
        "{text}"
    );
    rig.running.shutdown().await;

    // A certificate that nobody vouches for: nothing is sent, least of all the password.
    let rig = Rig::start(configure).await;
    rig.send(Some("alice@a.test"), &["bob@b.test"]).await;
    let text = rig.first_failure().await;
    assert!(
        text.contains("1 deferred: 4.7.5") && text.contains("TLS"),
        "{text}"
    );
    assert_eq!(sink.taken().len(), 1);
    rig.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lacks_what_the_message_needs_is_not_given_it() {
    let sink = Sink::start(Script {
        eight_bit: false,
        ..Script::takes_all()
    })
    .await;
    let rig = Rig::routed(&[("b.test", sink.address)]).await;
    let mut record = rig.record(Some("alice@a.test"), &["bob@b.test"]);
    record.body = Body::EightBit;
    // RFC 6152 §3: it goes in 7 bits, if that can be.
    let eight = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
                 Content-Transfer-Encoding: 8bit\r\n\r\n.f\u{fc}nf\r\n";
    rig.put(record.clone(), eight).await;
    let taken = sink.messages(1).await;
    let seven = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
                 Content-Transfer-Encoding: quoted-printable\r\n\r\n=2Ef=C3=BCnf\r\n";
    assert_eq!(String::from_utf8_lossy(&taken[0].body), seven);
    assert_eq!(taken[0].mail, format!("<alice@a.test> SIZE={}", seven.len()));
    rig.until_empty().await;
    assert!(rig.inbox().await.is_empty());
    // A header cannot.
    rig.put(record, "Subject: f\u{fc}nf\r\n\r\nbody\r\n").await;
    rig.until_empty().await;
    assert_eq!(sink.taken().len(), 1);
    let (report, text) = rig.notice().await;
    assert_eq!(report.recipients[0].status.to_string(), "5.6.3");
    assert!(text.is_ascii());
    rig.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_became_ours_is_delivered_here() {
    let rig = Rig::routed(&[]).await;
    rig.send(Some("zoe@z.test"), &["alice@a.test", "Alice+tag@a.test"])
        .await;
    rig.until_empty().await;
    let inbox = rig.inbox().await;
    let want = format!("Return-Path: <zoe@z.test>\r\n{MESSAGE}");
    assert_eq!(inbox, [want.into_bytes()], "once for both addresses");
    rig.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_alias_of_ours_sends_on_keeps_the_wishes_of_the_sender() {
    let sink = Sink::start(Script::new(|asked| match asked {
        Asked::Rcpt(_) => Err(Rejection::NO_SUCH_USER),
        _ => Ok(()),
    }))
    .await;
    let rig = Rig::start(|config| {
        add_routes(config, &[("b.test", sink.address)]);
        config
            .aliases
            .insert("far@a.test".into(), vec![address("bob@b.test")]);
    })
    .await;
    let mut record = rig.record(Some("alice@a.test"), &["far@a.test"]);
    record.recipients[0].notify = Some(Notify::default());
    rig.put(record, MESSAGE).await;
    rig.until_empty().await;
    assert!(sink.connections() > 0);
    assert_eq!(rig.inbox().await.len(), 0, "NOTIFY=NEVER");
    rig.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_mail_does_not_leave_the_queue_sends_none() {
    let sink = Sink::start(Script::takes_all()).await;
    let rig = Rig::start(|config| {
        add_routes(config, &[("z.test", sink.address)]);
        config.outbound.enabled = false;
        config.aliases.insert(
            "both@a.test".into(),
            vec![address("alice@a.test"), address("zoe@z.test")],
        );
    })
    .await;
    // Neither the copy of an alias nor a notice to a sender elsewhere.
    let mut record = rig.record(Some("zoe@z.test"), &["both@a.test"]);
    record.recipients[0].notify = Some(Notify {
        success: true,
        ..Notify::default()
    });
    rig.put(record, MESSAGE).await;
    rig.until_empty().await;
    assert_eq!(rig.inbox().await.len(), 1);
    // What is in the queue from before waits until it may leave.
    rig.send(Some("alice@a.test"), &["zoe@z.test"]).await;
    let text = rig.first_failure().await;
    assert!(text.contains("1 deferred: 4.3.5"), "{text}");
    assert_eq!(sink.connections(), 0);
    rig.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_waits_for_the_word_on_a_whole_message_only() {
    // The far side has the message and thinks: its word is waited for, and recorded.
    let script = Script {
        thinks: Duration::from_millis(700),
        ..Script::takes_all()
    };
    let sink = Sink::start(script).await;
    let rig = Rig::routed(&[("b.test", sink.address)]).await;
    rig.send(Some("alice@a.test"), &["bob@b.test"]).await;
    sink.connected(1).await;
    sleep(Duration::from_millis(300)).await;
    let shared = rig.running.shared().clone();
    let Rig { running, .. } = rig;
    running.shutdown().await;
    assert_eq!(sink.taken().len(), 1);
    assert!(
        shared.store.spool(None, 10).await.expect("memory").is_empty(),
        "the outcome is recorded"
    );

    // The far side says nothing at all: the attempt is broken off, and was none.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let rig = Rig::routed(&[("b.test", listener.local_addr().expect("it is bound"))]).await;
    rig.send(Some("alice@a.test"), &["bob@b.test"]).await;
    let _silent = listener.accept().await.expect("a connection");
    let shared = rig.running.shared().clone();
    let started = Instant::now();
    let Rig { running, .. } = rig;
    running.shutdown().await;
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    let left = shared.store.spool(None, 10).await.expect("memory");
    let record = Record::decode(&left[0].record).expect("a record");
    assert!(matches!(
        record.recipients[0].state,
        State::Queued { attempts: 0, .. }
    ));
}
