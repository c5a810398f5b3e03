//! `mailwright vacation`, and a server that follows it.

use crate::sink::{Script, Sink};
use crate::site::{Site, route_to};
use std::process::{Command, Stdio};

/// Runs the command for the accounts of a site.
fn vacation(site: &Site, arguments: &[&str], input: &str) -> (bool, String) {
    use std::io::Write;
    let file = site.folder.path().join("mailwright.toml");
    let text = format!(
        "hostname = \"mail.a.test\"\ndomains = [\"a.test\"]\ndata = {:?}\naccounts_file = {:?}\n\
         [[account]]\nname = \"fixed@a.test\"\n",
        site.config.data, site.config.accounts_file
    );
    std::fs::write(&file, text).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_mailwright"))
        .arg("vacation")
        .args(arguments)
        .arg("--config")
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who is refused for its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_set_shown_and_cleared_while_the_server_runs() {
    let sink = Sink::start(Script::takes_all()).await;
    let site = Site::start(|config| route_to(config, "b.test", &sink)).await;
    let text = "From: bob@b.test\r\nTo: alice@a.test\r\nSubject: x\r\n\r\nx\r\n";
    let (ok, said) = vacation(&site, &["show", "alice@a.test"], "");
    assert!(ok && said.contains("told nothing"), "{said}");
    let (ok, said) = vacation(
        &site,
        &[
            "set",
            "Alice@a.test",
            "--subject",
            "Away",
            "--days",
            "3",
            "--start",
            "2020-01-01",
        ],
        "Line one: \"x\"\nline two, \u{fc}\n",
    );
    assert!(ok, "{said}");
    site.send("bob@b.test", &["alice@a.test"], text).await;
    let told = sink.messages(1).await;
    let reply = String::from_utf8_lossy(&told[0].body).into_owned();
    assert!(
        reply.contains("Subject: Away\r\n") && reply.contains("Line one: \"x\"\r\n"),
        "{reply}"
    );
    let (ok, said) = vacation(&site, &["show", "alice@a.test"], "");
    for part in [
        "first day: 2020-01-01",
        "until it is cleared",
        "3 days",
        "Away",
        "line two, \u{fc}",
    ] {
        assert!(ok && said.contains(part), "{said}");
    }
    // Days that are over, or have not come, tell nobody.
    for days in [["--end", "2020-02-01"], ["--start", "2100-01-01"]] {
        let (ok, said) = vacation(
            &site,
            &["set", "alice@a.test", "--text", "other", days[0], days[1]],
            "",
        );
        assert!(ok, "{said}");
        site.send("bob@b.test", &["alice@a.test"], text).await;
    }
    let (ok, said) = vacation(&site, &["clear", "alice@a.test"], "");
    assert!(ok, "{said}");
    site.send("carl@b.test", &["alice@a.test"], text).await;
    site.inbox("alice@a.test", 4).await;
    site.settled().await;
    assert_eq!(sink.taken().len(), 1);
    // Mistakes are told.
    for (arguments, why) in [
        (&["set", "alice@a.test", "--text", " "][..], "there is no text"),
        (
            &["set", "nobody@a.test", "--text", "x"],
            "no account nobody@a.test",
        ),
        (
            &["set", "fixed@a.test", "--text", "x"],
            "configuration file itself",
        ),
        (
            &["set", "alice@a.test", "--text", "x", "--start", "soon"],
            "expected a day",
        ),
        (&["set", "alice@a.test", "--text", "x", "--days", "0"], "--days"),
        (
            &[
                "set",
                "alice@a.test",
                "--text",
                "x",
                "--start",
                "2026-02-01",
                "--end",
                "2026-01-01",
            ],
            "before the first",
        ),
        (&["show", "nobody@a.test"], "no account nobody@a.test"),
    ] {
        let (ok, said) = vacation(&site, arguments, "");
        assert!(!ok && said.contains(why), "{said}");
    }
    site.stop().await;
}
