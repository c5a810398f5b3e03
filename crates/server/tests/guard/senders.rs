//! What an account may send: how much, and in whose name.

use crate::support::lines::{Lines, Tls};
use crate::support::site::Site;
use mailwright_filter::rate::Rate;
use mailwright_server::config::{Config, FromHeader};
use std::time::Duration;

async fn site(tls: &Tls, adjust: impl FnOnce(&mut Config)) -> Site {
    Site::called("mail.b.test", "127.0.0.1", tls)
        .account("bob@b.test", "builder")
        .account("alice@b.test", "wonder")
        .adjust(adjust)
        .start()
        .await
}

/// Somebody who may send as bob.
async fn bob(site: &Site, tls: &Tls) -> Lines {
    let mut smtp = Lines::connect_tls(site.address("submissions"), tls, "mail.b.test").await;
    smtp.reply("220").await;
    smtp.say("EHLO c.example", "250").await;
    // \0bob@b.test\0builder
    smtp.say("AUTH PLAIN AGJvYkBiLnRlc3QAYnVpbGRlcg==", "235").await;
    smtp
}

async fn sends(smtp: &mut Lines, from: &str, header: &str, answer: &str) {
    smtp.say(&format!("MAIL FROM:<{from}>"), "250").await;
    smtp.say("RCPT TO:<alice@b.test>", "250").await;
    smtp.say("DATA", "354").await;
    smtp.say(&format!("{header}Subject: x\r\n\r\nhi\r\n."), answer)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_sends_too_much_is_held_back_and_the_postmaster_told_once() {
    let tls = Tls::for_names(&["mail.b.test"]);
    let day = Duration::from_secs(86_400);
    let site = site(&tls, |config| {
        config.filtering.rates.messages_per_account_daily = Some(Rate::new(2, day));
        let postmaster = vec!["alice@b.test".parse().unwrap()];
        config.aliases.insert("postmaster".into(), postmaster);
    })
    .await;
    let mut smtp = bob(&site, &tls).await;
    for _ in 0..2 {
        sends(&mut smtp, "bob@b.test", "From: bob@b.test\r\n", "250").await;
    }
    for _ in 0..3 {
        let told = "450 4.7.1 Too many messages of this account, try again in ";
        smtp.say("MAIL FROM:<bob@b.test>", told).await;
    }
    let mut imap = Lines::connect_tls(site.address("imaps"), &tls, "mail.b.test").await;
    imap.line().await.expect("a greeting");
    imap.imap("LOGIN alice@b.test wonder", "OK").await;
    imap.imap("SELECT INBOX", "OK").await;
    let until = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        imap.imap("NOOP", "OK").await;
        let found = imap
            .imap("SEARCH SUBJECT \"bob@b.test sends too much mail\"", "OK")
            .await;
        if found[0] == b"* SEARCH 3" {
            break;
        }
        assert_eq!(found[0], b"* SEARCH", "it is told once");
        assert!(std::time::Instant::now() < until, "the postmaster was not told");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_envelope_is_bound_to_the_account_and_its_grants() {
    let tls = Tls::for_names(&["mail.b.test"]);
    let site = site(&tls, |config| {
        config.accounts[0].send_as = vec![
            "Office@b.test".parse().unwrap(),
            "news@c.example".parse().unwrap(),
        ];
        let bob = vec!["bob@b.test".parse().unwrap()];
        config.aliases.insert("sales".into(), bob);
    })
    .await;
    let mut smtp = bob(&site, &tls).await;
    for own in [
        "bob@b.test",
        "bob+list@b.test",
        "sales@b.test",
        "office@b.test",
        "news@c.example",
        "",
    ] {
        // In the header anybody may stand by default.
        sends(&mut smtp, own, "From: someone@else.example\r\n", "250").await;
    }
    for other in ["alice@b.test", "nobody@b.test", "bob@c.example"] {
        smtp.say(&format!("MAIL FROM:<{other}>"), "550 5.7.1").await;
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_is_bound_where_that_is_wanted() {
    let tls = Tls::for_names(&["mail.b.test"]);
    let site = site(&tls, |config| {
        config.from_header = FromHeader::Bound;
        config.accounts[0].send_as = vec!["office@b.test".parse().unwrap()];
    })
    .await;
    let mut smtp = bob(&site, &tls).await;
    for own in [
        "From: Bob <bob@b.test>\r\n",
        "From: \"alice@b.test\" <office@b.test>\r\n",
        "From: bob+x@b.test, office@b.test\r\nSender: bob@b.test\r\n",
    ] {
        sends(&mut smtp, "bob@b.test", own, "250").await;
    }
    for other in [
        "From: alice@b.test\r\n",
        "From: bob@b.test, alice@b.test\r\nSender: bob@b.test\r\n",
        "From: bob@b.test\r\nFrom: alice@b.test\r\n",
        "From: alice@b.test\r\nResent-From: bob@b.test\r\n",
        "From: staff:;\r\n",
        "From: \"bob@b.test\"\r\n",
        "",
    ] {
        sends(&mut smtp, "bob@b.test", other, "550 5.7.1").await;
    }
    // Mail of others is not this rule's to judge.
    let mut stranger = Lines::connect(site.address("smtp")).await;
    stranger.reply("220").await;
    stranger.say("EHLO c.example", "250").await;
    sends(
        &mut stranger,
        "carol@c.example",
        "From: alice@d.example\r\n",
        "250",
    )
    .await;
    site.stop().await;
}
