//! Mailing lists.

use crate::sink::{Script, Sink};
use crate::site::{Site, address, field, fields, route_to};
use mailwright_server::config::{List, Posting};

fn message(subject: &str) -> String {
    format!(
        "From: alice@a.test\r\nTo: team@a.test\r\nSubject: {subject}\r\nMessage-ID: <1@a.test>\r\n\r\nHello\r\n"
    )
}

fn team(members: &[&str]) -> List {
    let members: Vec<_> = members.iter().map(|member| address(member)).collect();
    List::new(address("team@a.test"), address("carol@a.test"), members)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_sends_to_its_members_in_its_own_name() {
    let sink = Sink::start(Script::takes_all()).await;
    let site = Site::start(|config| {
        let mut list = team(&["alice@a.test", "bob@a.test", "bob@a.test", "dan@b.test"]);
        list.description = Some("The \"team\"".into());
        config.delivery.lists.insert("team@a.test".into(), list);
        route_to(config, "b.test", &sink);
    })
    .await;
    let text = message("[team] Greetings");
    site.send("alice@a.test", &["Team@a.test"], &text).await;
    let taken = sink.messages(1).await;
    assert_eq!(taken[0].recipients, ["<dan@b.test>"]);
    assert!(
        taken[0].mail.starts_with("<owner-team@a.test>"),
        "{}",
        taken[0].mail
    );
    let mail = String::from_utf8(taken[0].body.clone()).unwrap();
    // What the author signed is as it was.
    assert!(mail.ends_with(&text), "{mail}");
    let bobs = site.inbox("bob@a.test", 1).await;
    assert_eq!(field(&bobs[0], "Return-Path"), "<owner-team@a.test>");
    site.inbox("alice@a.test", 1).await;
    assert!(
        mail.contains("List-Id: \"The \\\"team\\\"\"\r\n <team.a.test>\r\n"),
        "{mail}"
    );
    assert_eq!(field(&mail, "Delivered-To"), "team@a.test");
    assert_eq!(field(&mail, "List-Post"), "<mailto:team@a.test>");
    assert_eq!(
        field(&mail, "List-Help"),
        "<mailto:team-request@a.test?subject=help>"
    );
    assert_eq!(
        field(&mail, "List-Unsubscribe"),
        "<mailto:team-request@a.test?subject=unsubscribe>"
    );
    assert_eq!(field(&mail, "List-Owner"), "<mailto:owner-team@a.test>");
    // What is written to its other addresses, and what comes back, goes to its owner.
    for (count, to) in (1..).zip(["owner-team@a.test", "team-owner@a.test", "team-request@a.test"]) {
        site.send("", &[to], "Subject: x\r\n\r\nx\r\n").await;
        site.inbox("carol@a.test", count).await;
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_send() {
    let site = Site::start(|config| {
        let mut lists = [
            ("team", Posting::Members),
            ("all", Posting::Anyone),
            ("news", Posting::Only(vec![address("bob@a.test")])),
        ];
        for (name, post) in &mut lists {
            let mut list = team(&["alice@a.test", "dan@b.test"]);
            list.address = address(&format!("{name}@a.test"));
            list.post = post.clone();
            config.delivery.lists.insert(format!("{name}@a.test"), list);
        }
    })
    .await;
    for (sender, team, all, news) in [
        ("alice@a.test", true, true, false),
        ("Alice+x@a.test", true, true, false),
        ("dan@b.test", true, true, false),
        ("carol@a.test", true, true, false),
        ("bob@a.test", false, true, true),
        ("eve@b.test", false, true, false),
        ("", false, false, false),
    ] {
        let mut client = site.smtp().await;
        client.say(&format!("MAIL FROM:<{sender}>"), "250").await;
        for (list, may) in [("team", team), ("all", all), ("news", news)] {
            let want = if may { "250" } else { "550 5.7.2" };
            client.say(&format!("RCPT TO:<{list}@a.test>"), want).await;
        }
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_addressed_gets_one_copy_and_circles_end() {
    let site = Site::start(|config| {
        let mut parent = team(&["bob@a.test", "sub@a.test"]);
        parent.post = Posting::Anyone;
        config.delivery.lists.insert("team@a.test".into(), parent);
        let mut sub = List::new(
            address("sub@a.test"),
            address("carol@a.test"),
            [address("alice@a.test"), address("team@a.test")],
        );
        sub.post = Posting::Members;
        config.delivery.lists.insert("sub@a.test".into(), sub);
    })
    .await;
    site.send("x@c.test", &["team@a.test", "bob@a.test"], &message("x"))
        .await;
    let bobs = site.inbox("bob@a.test", 1).await;
    assert!(fields(&bobs[0], "List-Id").is_empty());
    // A list within the list keeps the name of the outer one.
    let alices = site.inbox("alice@a.test", 1).await;
    assert_eq!(fields(&alices[0], "List-Id"), ["<team.a.test>"]);
    assert_eq!(field(&alices[0], "List-Post"), "<mailto:team@a.test>");
    assert_eq!(field(&alices[0], "List-Owner"), "<mailto:owner-sub@a.test>");
    assert_eq!(field(&alices[0], "Return-Path"), "<owner-sub@a.test>");
    // The circle is told to the owner of the list that closed it.
    let told = site.inbox("carol@a.test", 1).await;
    assert!(
        told[0].contains("Status: 5.4.6") && told[0].contains("team@a.test"),
        "{}",
        told[0]
    );
    site.settled().await;
    site.inbox("bob@a.test", 1).await;
    site.inbox("alice@a.test", 1).await;

    // From outside it is refused at once.
    let mut client = site.smtp().await;
    let again = format!("List-Id: Team <TEAM.a.test>\r\n{}", message("x"));
    site.send_by(&mut client, "x@c.test", &["team@a.test"], &again, "550 5.4.6")
        .await;
    let again = format!("Delivered-To: team@a.test\r\n{}", message("x"));
    site.send_by(&mut client, "x@c.test", &["team@a.test"], &again, "550 5.4.6")
        .await;
    // With others, the queue tells the sender, and the others have it.
    site.send_by(
        &mut client,
        "alice@a.test",
        &["team@a.test", "bob@a.test"],
        &again,
        "250",
    )
    .await;
    site.inbox("bob@a.test", 2).await;
    let alices = site.inbox("alice@a.test", 2).await;
    assert!(alices[1].contains("Status: 5.4.6"), "{}", alices[1]);
    site.settled().await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_lists_is_followed() {
    let site = Site::start(|config| {
        let file = config.data.join("lists.toml");
        let text =
            "[\"team@a.test\"]\nmembers = [\"bob@a.test\"]\nowner = \"carol@a.test\"\npost = \"anyone\"\n";
        std::fs::write(&file, text).unwrap();
        config.delivery.lists_file = Some(file);
    })
    .await;
    site.send("x@c.test", &["team@a.test"], &message("x")).await;
    site.inbox("bob@a.test", 1).await;
    let file = site.config.delivery.lists_file.clone().unwrap();
    let text =
        "[\"team@a.test\"]\nmembers = [\"alice@a.test\"]\nowner = \"carol@a.test\"\npost = \"anyone\"\n";
    std::fs::write(&file, text).unwrap();
    let members = || match site.running.shared().destination(&address("team@a.test")) {
        mailwright_server::delivery::Destination::Here(targets) => targets.lists[0].members().to_vec(),
        other => panic!("{other:?}"),
    };
    site.until("the list is read again", || {
        members() == [address("alice@a.test")]
    })
    .await;
    // A mistake changes nothing.
    std::fs::write(&file, "[\"team@a.test\"]\nmembers = 7\n").unwrap();
    site.send("x@c.test", &["team@a.test"], &message("x")).await;
    site.inbox("alice@a.test", 1).await;
    assert_eq!(members(), [address("alice@a.test")]);
    site.stop().await;
}
