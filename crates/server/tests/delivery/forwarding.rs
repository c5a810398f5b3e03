//! Forwarding: copies kept or not, circles, and bounces that find their way back.

use crate::sink::{Asked, Script, Sink};
use crate::site::{Site, address, field, fields, route, route_to};
use mailwright_server::config::Srs;
use mailwright_smtp::Rejection;
use tokio::net::{TcpListener, TcpStream};

const MESSAGE: &str =
    "From: x@c.test\r\nTo: alice@a.test\r\nSubject: Hello\r\nMessage-ID: <1@c.test>\r\n\r\nHello\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forwarded_goes_on_as_it_came_and_a_copy_stays_or_not() {
    let sink = Sink::start(Script::takes_all()).await;
    let site = Site::start(|config| route_to(config, "b.test", &sink)).await;
    let forward = vec![address("al@b.test"), address("carol@a.test")];
    site.set("alice@a.test", |entry| entry.forward = forward.clone());
    site.send("x@c.test", &["alice@a.test"], MESSAGE).await;
    let taken = sink.messages(1).await;
    assert_eq!(taken[0].recipients, ["<al@b.test>"]);
    assert!(taken[0].mail.starts_with("<x@c.test>"), "{}", taken[0].mail);
    let body = String::from_utf8(taken[0].body.clone()).unwrap();
    assert!(
        body.starts_with("Delivered-To: alice@a.test\r\nReceived: "),
        "{body}"
    );
    assert!(body.ends_with(MESSAGE), "{body}");
    assert!(!body.contains("Return-Path"), "{body}");
    let kept = site.inbox("alice@a.test", 1).await;
    assert!(fields(&kept[0], "Delivered-To").is_empty());
    let carols = site.inbox("carol@a.test", 1).await;
    assert_eq!(field(&carols[0], "Return-Path"), "<x@c.test>");
    assert_eq!(field(&carols[0], "Delivered-To"), "alice@a.test");

    site.set("alice@a.test", |entry| entry.keep_copy = false);
    site.send("x@c.test", &["alice@a.test"], MESSAGE).await;
    sink.messages(2).await;
    site.inbox("carol@a.test", 2).await;
    site.inbox("alice@a.test", 1).await;
    // Where it can go to nobody, it is kept.
    site.set("alice@a.test", |entry| {
        entry.forward = vec![address("alice+x@a.test")];
    });
    site.send("x@c.test", &["alice@a.test"], MESSAGE).await;
    site.inbox("alice@a.test", 2).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn circles_come_to_an_end() {
    let site = Site::start(|_| {}).await;
    for (name, to) in [("alice", "bob"), ("bob", "carol"), ("carol", "alice")] {
        site.set(&format!("{name}@a.test"), |entry| {
            entry.forward = vec![address(&format!("{to}@a.test"))];
            entry.keep_copy = false;
        });
    }
    site.send("x@c.test", &["alice@a.test"], MESSAGE).await;
    // It went round once, and stayed where it had begun.
    let kept = site.inbox("alice@a.test", 1).await;
    assert_eq!(
        fields(&kept[0], "Delivered-To"),
        ["carol@a.test", "bob@a.test", "alice@a.test"]
    );
    site.settled().await;
    site.inbox("alice@a.test", 1).await;
    site.inbox("bob@a.test", 0).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounce_goes_back_over_two_servers_that_rewrite_senders() {
    // The last server takes nobody; the first one is where the sender gets mail.
    let dead = Sink::start(Script::new(|asked| match asked {
        Asked::Rcpt(_) => Err(Rejection::NO_SUCH_USER),
        _ => Ok(()),
    }))
    .await;
    let origin = Sink::start(Script::takes_all()).await;
    // Each has to know the way to the other before that one has an address.
    let way_to_first = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = way_to_first.local_addr().unwrap();
    let second = Site::built(
        "b.test",
        |config| {
            config.delivery.srs = Some(Srs::new(config.data.join("srs-secrets")));
            route_to(config, "dead.test", &dead);
            route_to(config, "c.test", &origin);
            route(config, "a.test", at);
        },
        |builder| builder,
    )
    .await;
    let first = Site::start(|config| {
        config.delivery.srs = Some(Srs::new(config.data.join("srs-secrets")));
        route(config, "b.test", second.address("smtp"));
        route_to(config, "c.test", &origin);
    })
    .await;
    let to_first = first.address("smtp");
    let way = tokio::spawn(async move {
        loop {
            let (mut from, _) = way_to_first.accept().await.unwrap();
            tokio::spawn(async move {
                let mut to = TcpStream::connect(to_first).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    first.set("alice@a.test", |entry| {
        entry.forward = vec![address("bob@b.test")];
        entry.keep_copy = false;
    });
    second.set("bob@b.test", |entry| {
        entry.forward = vec![address("gone@dead.test")];
    });

    first.send("x@c.test", &["alice@a.test"], MESSAGE).await;
    let bounces = origin.messages(1).await;
    assert_eq!(bounces[0].recipients, ["<x@c.test>"]);
    assert!(bounces[0].mail.starts_with("<>"), "{}", bounces[0].mail);
    let bounce = String::from_utf8(bounces[0].body.clone()).unwrap();
    assert!(
        bounce.contains("Final-Recipient: rfc822; gone@dead.test"),
        "{bounce}"
    );
    assert!(bounce.contains("Subject: Hello"), "{bounce}");
    // What the second server kept says how it came.
    let kept = second.inbox("bob@b.test", 1).await;
    let path = field(&kept[0], "Return-Path");
    assert!(
        path.starts_with("<SRS0=") && path.ends_with("=c.test=x@a.test>"),
        "{path}"
    );
    assert_eq!(field(&kept[0], "Delivered-To"), "alice@a.test");

    // Nobody else can use such addresses.
    let mut client = first.smtp().await;
    client.say("MAIL FROM:<>", "250").await;
    client.say(&format!("RCPT TO:{path}"), "250").await;
    let forged = path.replace("=c.test=x@", "=victim.test=x@");
    client.say(&format!("RCPT TO:{forged}"), "550 5.1.1").await;
    client
        .say("RCPT TO:<SRS0=AAAAAA=AA=c.test=x@a.test>", "550 5.1.1")
        .await;
    drop(client);
    // Secrets can be changed while the server runs.
    let secrets = first.folder.path().join("srs-secrets");
    let old = std::fs::read_to_string(&secrets).unwrap();
    assert_eq!(old.trim().len(), 32, "{old}");
    std::fs::write(&secrets, "another-secret\n").unwrap();
    let destination = || {
        let shared = first.running.shared();
        shared.destination(&address(path.trim_matches(['<', '>'])))
    };
    let nobody = mailwright_server::delivery::Destination::Nobody;
    first
        .until("the old secret is forgotten", || destination() == nobody)
        .await;
    std::fs::write(&secrets, format!("another-secret\n{old}")).unwrap();
    first
        .until("the old secret verifies again", || destination() != nobody)
        .await;
    first.stop().await;
    second.stop().await;
    way.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn aliases_that_lead_elsewhere_rewrite_senders_too_and_own_senders_stay() {
    let sink = Sink::start(Script::takes_all()).await;
    let site = Site::start(|config| {
        config.delivery.srs = Some(Srs::new(config.data.join("srs-secrets")));
        config.aliases.insert(
            "sales@a.test".into(),
            vec![address("al@b.test"), address("bob@a.test")],
        );
        route_to(config, "b.test", &sink);
    })
    .await;
    site.send("x@c.test", &["sales@a.test"], MESSAGE).await;
    let taken = sink.messages(1).await;
    assert!(taken[0].mail.starts_with("<SRS0="), "{}", taken[0].mail);
    assert!(taken[0].mail.contains("=c.test=x@a.test>"), "{}", taken[0].mail);
    let bobs = site.inbox("bob@a.test", 1).await;
    assert_eq!(field(&bobs[0], "Return-Path"), "<x@c.test>");
    site.send("carol@a.test", &["sales@a.test"], MESSAGE).await;
    assert!(sink.messages(2).await[1].mail.starts_with("<carol@a.test>"));
    site.send("", &["sales@a.test"], MESSAGE).await;
    assert!(sink.messages(3).await[2].mail.starts_with("<>"));
    site.stop().await;
}
