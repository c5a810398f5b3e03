//! `mailwright config`: mistakes and settings, for people and for programs.

use super::{Site, run};
use serde_json::Value;

#[test]
fn mistakes_are_told_as_json() {
    let site = Site::new();
    let check = || {
        let said = site.run(&["config", "check", "--json"]);
        let report: Value =
            serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        (report, said.code)
    };
    let (report, code) = check();
    assert_eq!((&report["ok"], code), (&true.into(), Some(0)));
    assert_eq!(report["version"], 1);
    assert_eq!(report["problems"], serde_json::json!([]));

    // Two mistakes of the file itself.
    site.edit(|text| {
        text.replacen("protocol = \"imap\"", "protocol = \"imap\"\nverify = true", 1)
            + "\n[queue]\nretry = []\n"
    });
    let (report, code) = check();
    assert_eq!((&report["ok"], code), (&false.into(), Some(1)));
    let problems = report["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 2, "{report:#}");
    let text = std::fs::read_to_string(site.config()).unwrap();
    let line = text.lines().position(|line| line == "retry = []").unwrap() + 1;
    let retry = &problems[1];
    assert_eq!((&retry["line"], &retry["column"]), (&line.into(), &9.into()));
    assert_eq!(retry["file"], site.config());
    assert!(
        retry["problem"]
            .as_str()
            .unwrap()
            .contains("the schedule has no wait")
    );
    assert!(retry["advice"].as_str().unwrap().contains("give the waits"));
    let first = &problems[0];
    assert!(
        first["problem"].as_str().unwrap().contains("no meaning for imap"),
        "{first}"
    );
    let told = site.run(&["config", "check"]).refused();
    assert!(
        told.contains("no meaning for imap") && told.contains("no wait"),
        "{told}"
    );
}

#[test]
fn mistakes_of_the_files_that_are_named_are_told_together() {
    let site = Site::new();
    std::fs::write(site.path("data/accounts.toml"), "[[account]]\nnam = \"x\"\n").unwrap();
    std::fs::write(site.path("data/aliases.toml"), "x = []\n").unwrap();
    let said = site.run(&["config", "check", "--json"]);
    assert_eq!(said.code, Some(1));
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let files: Vec<_> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| {
            (
                problem["file"].as_str().unwrap().to_owned(),
                problem["line"].clone(),
            )
        })
        .collect();
    let path = |name| site.path(name).display().to_string();
    assert_eq!(
        files,
        [
            (path("data/accounts.toml"), 2.into()),
            (path("data/aliases.toml"), 1.into())
        ],
        "{report:#}"
    );
}

#[test]
fn what_holds_is_shown_and_can_be_read_again() {
    let site = Site::new();
    let hashes = super::run_with(&["account", "hash"], b"open sesame\n").fine();
    site.edit(|text| format!("{text}\n[[account]]\nname = \"bob@a.test\"\n{hashes}"));
    let shown = site.run(&["config", "show"]).fine();
    assert!(
        !shown.contains("argon2") && !shown.contains("SCRAM-SHA"),
        "{shown}"
    );
    for line in [
        "message_size = \"50M\"",
        "mode = \"testing\"",
        "name = \"bob@a.test\"",
        "expire = \"5d\"",
    ] {
        assert!(shown.lines().any(|known| known == line), "{line}: {shown}");
    }
    let copy = site.path("copy.toml");
    std::fs::write(&copy, &shown).unwrap();
    let copy = copy.to_str().unwrap();
    run(&["config", "check", "--config", copy]).fine();
    let again = run(&["config", "show", "--config", copy]).fine();
    let body = |text: &str| {
        text.lines()
            .skip(1)
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    assert_eq!(body(&again), body(&shown));
    let json: Value = serde_json::from_str(&site.run(&["config", "show", "--json"]).fine()).unwrap();
    assert_eq!(json["hostname"], "mail.a.test");
    assert_eq!(json["data"], site.path("data").display().to_string());
    let why = run(&["config", "show", "--config", "/nowhere/x.toml"]).refused();
    assert!(why.contains("/nowhere/x.toml: cannot be read"), "{why}");
}
