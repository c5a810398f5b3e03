//! What the server counts of itself.

use crate::exposition::Exposition;
use crate::http::{PATIENCE, Rig, ask, raw};
use crate::support::lines::Lines;
use crate::support::programs::at_hand;
use mailwright_filter::rate::Rate;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Waits until a number is what it should be.
async fn until(rig: &Rig, series: &str, wanted: f64) -> Exposition {
    let began = Instant::now();
    loop {
        let numbers = Exposition::parse(&rig.metrics().await);
        if (numbers.of(series) - wanted).abs() < 0.5 {
            return numbers;
        }
        assert!(began.elapsed() < PATIENCE, "{series}: {}", numbers.of(series));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_clients_do_is_counted() {
    let rig =
        Rig::start(|config| config.plaintext_login = mailwright_server::config::PlaintextLogin::Loopback)
            .await;
    let mut imap = Lines::connect(rig.address("imap")).await;
    imap.imap("LOGIN alice@a.test wrong", "NO").await;
    imap.imap("LOGIN alice@a.test {11+}\r\nwonder land", "OK").await;
    imap.imap("SELECT INBOX", "OK").await;
    let idling = async {
        imap.send_raw(b"i IDLE\r\n").await;
        let numbers = until(&rig, "mailwright_imap_idle", 1.0).await;
        imap.send_raw(b"DONE\r\nj NOOP\r\n").await;
        numbers
    };
    let numbers = idling.await;
    assert!(numbers.of("mailwright_connections_open{protocol=\"imap\"}") >= 1.0);
    let mut smtp = Lines::connect(rig.address("smtp")).await;
    smtp.reply("220").await;
    smtp.say("EHLO c.test", "250").await;
    for (to, body, wanted) in [
        ("alice@a.test", "Subject: one\r\n\r\nbody\r\n.", "250"),
        ("nobody@a.test", "", "550"),
    ] {
        smtp.say("MAIL FROM:<eve@c.test>", "250").await;
        smtp.say(
            &format!("RCPT TO:<{to}>"),
            if wanted == "250" { "250" } else { "550" },
        )
        .await;
        match wanted {
            "250" => {
                smtp.say("DATA", "354").await;
                smtp.say(body, "250").await;
            }
            _ => _ = smtp.say("RSET", "250").await,
        }
    }
    smtp.say("QUIT", "221").await;
    let mut pop3 = Lines::connect(rig.address("pop3")).await;
    assert!(pop3.line().await.is_some_and(|line| line.starts_with(b"+OK")));
    pop3.say("USER alice@a.test", "+OK").await;
    pop3.say("PASS nonsense", "-ERR").await;
    rig.get("evil.test", "/nothing").await;
    let numbers = until(&rig, "mailwright_imap_idle", 0.0).await;
    for (series, wanted) in [
        ("mailwright_logins_total{protocol=\"imap\",result=\"ok\"}", 1.0),
        (
            "mailwright_logins_total{protocol=\"imap\",result=\"failed\"}",
            1.0,
        ),
        (
            "mailwright_logins_total{protocol=\"pop3\",result=\"failed\"}",
            1.0,
        ),
        (
            "mailwright_messages_total{protocol=\"smtp\",result=\"accepted\"}",
            1.0,
        ),
        ("mailwright_recipients_refused_total{protocol=\"smtp\"}", 1.0),
        ("mailwright_deliveries_total{folder=\"inbox\"}", 1.0),
        ("mailwright_connections_total{protocol=\"smtp\"}", 1.0),
        ("mailwright_http_requests_total{class=\"4xx\"}", 1.0),
        ("mailwright_queue_messages", 0.0),
    ] {
        assert!(
            (numbers.of(series) - wanted).abs() < 0.5,
            "{series}: {}",
            numbers.of(series)
        );
    }
    // EHLO, two of MAIL, RCPT and the rest; engines answer some by themselves.
    assert!(numbers.of("mailwright_commands_total{protocol=\"smtp\"}") >= 6.0);
    assert!(numbers.of("mailwright_commands_total{protocol=\"imap\"}") >= 4.0);
    assert!(numbers.of("mailwright_store_commit_duration_seconds_count") >= 1.0);
    assert!(numbers.of("mailwright_message_bytes_total{protocol=\"smtp\"}") > 20.0);
    assert!(numbers.of("mailwright_tasks{kind=\"part\"}") >= 5.0);
    assert!(numbers.of("mailwright_tasks{kind=\"connection\"}") >= 1.0);
    if cfg!(target_os = "linux") {
        assert!(numbers.of("process_resident_memory_bytes") > 1e6);
        assert!(numbers.of("process_open_fds") > 5.0);
    }
    // Whoever came, no label has a name that a client chose.
    for strange in ["alice", "eve@", "c.test", "127.0.0.1"] {
        assert!(
            numbers.series().all(|series| !series.contains(strange)),
            "{strange}"
        );
    }
    drop((imap, pop3));
    until(&rig, "mailwright_connections_open{protocol=\"imap\"}", 0.0).await;
    until(&rig, "mailwright_connections_open{protocol=\"pop3\"}", 0.0).await;
}

#[tokio::test]
async fn logins_that_are_not_looked_at_are_counted_apart() {
    let rig = Rig::start(|config| {
        config.plaintext_login = mailwright_server::config::PlaintextLogin::Loopback;
        let limits = &mut config.login_limits;
        limits.exempt.clear();
        limits.failures_per_address = Some(Rate::new(1, Duration::from_secs(86_400)));
        limits.delay = Duration::ZERO;
    })
    .await;
    let mut imap = Lines::connect(rig.address("imap")).await;
    imap.imap("LOGIN alice@a.test wrong", "NO").await;
    imap.imap("LOGIN alice@a.test guess", "NO").await;
    let mut pop3 = Lines::connect(rig.address("pop3")).await;
    assert!(pop3.line().await.is_some_and(|line| line.starts_with(b"+OK")));
    pop3.say("USER alice@a.test", "+OK").await;
    pop3.say("PASS nonsense", "-ERR").await;
    let mut smtp = Lines::connect(rig.address("submission")).await;
    smtp.reply("220").await;
    smtp.say("EHLO c.test", "250").await;
    smtp.auth_plain("alice@a.test", "more nonsense", "454").await;
    for (protocol, failed, throttled) in [("imap", 1.0, 1.0), ("pop3", 0.0, 1.0), ("submission", 0.0, 1.0)] {
        let numbers = until(
            &rig,
            &format!("mailwright_logins_total{{protocol=\"{protocol}\",result=\"throttled\"}}"),
            throttled,
        )
        .await;
        let series = format!("mailwright_logins_total{{protocol=\"{protocol}\",result=\"failed\"}}");
        assert!(
            (numbers.of(&series) - failed).abs() < 0.5,
            "{series}: {}",
            numbers.of(&series)
        );
    }
}

#[tokio::test]
async fn those_who_find_no_room_are_counted_and_watchers_find_room_all_the_same() {
    let rig = Rig::start(|config| config.limits.connections = 1).await;
    let _only = Lines::connect(rig.address("smtp")).await;
    until(&rig, "mailwright_connections_open{protocol=\"smtp\"}", 1.0).await;
    let said = raw(rig.address("http"), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 503"), "{said}");
    until(
        &rig,
        "mailwright_connections_refused_total{protocol=\"http\",reason=\"full\"}",
        1.0,
    )
    .await;
    assert_eq!(
        ask(rig.address("metrics"), "GET", "x", "/healthz", "").await.body,
        "ok\n"
    );
}

#[tokio::test]
async fn only_those_who_may_watch() {
    let rig = Rig::start(|config| {
        let metrics = config.observing.metrics.as_mut().expect("the rig has it");
        metrics.allow = vec!["192.0.2.0/24".parse().expect("a network")];
    })
    .await;
    let said = raw(
        rig.address("metrics"),
        b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
    )
    .await;
    assert_eq!(said, "", "nothing is told");
}

#[tokio::test]
async fn promtool_finds_nothing_to_complain_of() {
    let rig = Rig::start(|_| {}).await;
    let address = rig.address("metrics");
    assert_eq!(ask(address, "POST", "x", "/metrics", "").await.status, 405);
    assert_eq!(ask(address, "GET", "x", "/", "").await.status, 404);
    let text = rig.metrics().await;
    Exposition::parse(&text);
    if !at_hand("promtool") {
        return;
    }
    let mut promtool = Command::new("promtool");
    promtool
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = promtool.spawn().expect("it is there");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(text.as_bytes()).expect("it reads");
    drop(stdin);
    let said = child.wait_with_output().expect("it ends");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}
