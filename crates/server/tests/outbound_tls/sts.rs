//! MTA-STS policies judge hosts and certificates (RFC 8461).

use super::*;

pub(super) fn sts_zone() -> Zone {
    Zone::new()
        .mx("b.test", 10, "mx.b.test")
        .a("mx.b.test", "127.0.0.1")
        .txt("_mta-sts.b.test", "v=STSv1; id=1;")
        .a("mta-sts.b.test", "127.0.0.1")
}

#[tokio::test]
async fn mta_sts_judges_host_and_certificate() {
    let authority = Authority::new();
    let web = authority.issue("mta-sts.b.test", false);
    let wrong_web = authority.issue("other.test", false);
    let good = authority.issue("mx.b.test", false);
    let wrong = authority.issue("other.test", false);
    let policy = |mode: &str, mx: &str| format!("version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 86400\n");
    let enforce = policy("enforce", "*.b.test");
    // Web server, its policy, mail server, whether it takes the mail, and by TLS.
    let table = [
        ("enforce, met", &web, enforce.clone(), Some(&good), Some(true)),
        ("enforce, another name", &web, enforce.clone(), Some(&wrong), None),
        ("enforce, no TLS", &web, enforce.clone(), None, None),
        (
            "enforce, not listed",
            &web,
            policy("enforce", "mx.c.test"),
            Some(&good),
            None,
        ),
        (
            "testing, another name",
            &web,
            policy("testing", "*.b.test"),
            Some(&wrong),
            Some(true),
        ),
        (
            "testing, no TLS",
            &web,
            policy("testing", "*.b.test"),
            None,
            Some(false),
        ),
        (
            "testing, not listed",
            &web,
            policy("testing", "mx.c.test"),
            Some(&wrong),
            Some(true),
        ),
        ("none", &web, policy("none", "mx.c.test"), None, Some(false)),
        (
            "a policy nobody vouches for",
            &wrong_web,
            enforce.clone(),
            None,
            Some(false),
        ),
        ("no policy", &web, "<html>".to_owned(), None, Some(false)),
    ];
    for (what, web, policy, mail, taken) in table {
        let web = Web::start(web, &policy).await;
        let script = mail.map_or_else(Script::takes_all, Identity::script);
        let sink = Sink::start(script).await;
        let rig = Rig::start(sts_zone(), sink.address.port(), |config, folder| {
            config.outbound.https_port = web.address.port();
            config.outbound.ca = Some(authority.pem(folder));
        })
        .await;
        let deferred = rig.send().await;
        assert_eq!(deferred.is_none(), taken.is_some(), "{what}: {deferred:?}");
        assert_eq!(sink.taken().first().map(|taken| taken.tls), taken, "{what}");
        rig.running.shutdown().await;
    }
}

#[tokio::test]
async fn an_mta_sts_policy_outlives_a_restart_and_its_record() {
    let authority = Authority::new();
    let web = Web::start(
        &authority.issue("mta-sts.b.test", false),
        "version: STSv1\nmode: enforce\nmx: mx.b.test\nmax_age: 86400\n",
    )
    .await;
    let sink = Sink::start(authority.issue("mx.b.test", false).script()).await;
    let adjust = |config: &mut Config, folder: &Path| {
        config.outbound.https_port = web.address.port();
        config.outbound.ca = Some(authority.pem(folder));
    };
    let rig = Rig::start(sts_zone(), sink.address.port(), adjust).await;
    for _ in 0..3 {
        assert_eq!(rig.send().await, None);
    }
    assert_eq!(web.asked.load(Ordering::Relaxed), 1, "the policy is fetched once");
    let Rig { running, folder, .. } = rig;
    running.shutdown().await;
    // Somebody hides the record, and stands in for the mail server.
    let hidden = Zone::new()
        .mx("b.test", 10, "mx.b.test")
        .a("mx.b.test", "127.0.0.1");
    let impostor = Sink::start(Script::takes_all()).await;
    let rig = Rig::start_in(folder, hidden, impostor.address.port(), adjust).await;
    assert!(rig.send().await.is_some());
    assert_eq!(impostor.taken().len(), 0);
}
