//! What the configuration says of delivery, and mistakes in it.

use mailwright_server::accounts::AccountsFile;
use mailwright_server::config::{AccountEntry, Config, Delivery, Posting, Vacation};
use std::path::Path;

const LEAST: &str = "hostname = \"mail.a.test\"\ndomains = [\"a.test\"]\ndata = \"data\"\n";

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(&format!("{LEAST}{text}"), Path::new("server.toml")).map_err(|error| error.to_string())
}

#[test]
fn everything_can_be_set() {
    assert_eq!(parse("").unwrap().delivery, Delivery::default());
    let config = parse(
        "[delivery]\nseparators = \"\"\nsubaddress_folders = true\nfolders = { Notes = \"none\", Spam = \"junk\" }\n\
         srs = true\nsrs_domain = \"A.test\"\nsrs_secrets = \"keys\"\nsrs_max_age = \"5d\"\nsrs_hash_length = 4\n\
         vacation_senders = 10\nquota_warnings = false\nrecipients_at_once = 0\nlists_file = \"lists.toml\"\n\
         [lists.\"Team@a.test\"]\nmembers = [\"x@b.test\"]\nowner = \"o@a.test\"\npost = [\"y@b.test\"]\n",
    )
    .unwrap();
    let delivery = config.delivery;
    assert!(delivery.separators.is_empty() && delivery.subaddress_folders && !delivery.quota_warnings);
    let names: Vec<_> = delivery
        .folders
        .iter()
        .map(|folder| folder.name.as_str())
        .collect();
    assert_eq!(names, ["Notes", "Spam"]);
    let srs = delivery.srs.unwrap();
    assert_eq!(
        (srs.max_age, srs.hash_length, srs.secrets.to_str()),
        (5, 4, Some("keys"))
    );
    // RFC 5230 §4.2.
    assert_eq!(
        (delivery.vacation_senders, delivery.recipients_at_once),
        (1000, 1)
    );
    assert_eq!(
        delivery.lists["team@a.test"].post,
        Posting::Only(vec!["y@b.test".parse().unwrap()])
    );
    assert_eq!(parse("[delivery]\nfolders = {}\n").unwrap().delivery.folders, []);
}

#[test]
fn mistakes_are_told() {
    let list = |name: &str, owner: &str, post: &str| {
        format!("[lists.\"{name}\"]\nmembers = []\nowner = \"{owner}\"\npost = \"{post}\"\n")
    };
    for (text, why) in [
        (
            "[delivery]\nsrs_domain = \"b.test\"\n".into(),
            "b.test is not one of our domains",
        ),
        (
            "[delivery]\nsrs_max_age = \"1h\"\n".into(),
            "between 1 and 512 days",
        ),
        ("[delivery]\nsrs_hash_length = 3\n".into(), "between 4 and 16"),
        (
            "[delivery]\nfolders = { Sent = \"send\" }\n".into(),
            "\"send\" is no use of a folder",
        ),
        (
            "[delivery]\nfolders = { inbox = \"none\" }\n".into(),
            "cannot be the name of a further folder",
        ),
        (list("team", "o@a.test", "anyone"), "list team"),
        (
            list("team@b.test", "o@a.test", "anyone"),
            "its domain is not one of ours",
        ),
        (list("team@a.test", "TEAM@a.test", "anyone"), "is its own owner"),
        (
            list("team@a.test", "o@a.test", "nobody"),
            "expected \"members\", \"anyone\" or a list",
        ),
    ] {
        let said = parse(&text).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn what_is_set_for_an_account_survives_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.toml");
    let mut entry = AccountEntry::new("alice@a.test".parse().unwrap());
    entry.forward = vec!["\"a b\"@b.test".parse().unwrap(), "c@b.test".parse().unwrap()];
    entry.keep_copy = false;
    let mut vacation = Vacation::new("one \"two\" '''three''' \"\"\"\nfour \\ \u{fc}\n\ttab\n");
    vacation.subject = Some("x = \"y\"".into());
    vacation.start = Some(Vacation::day("2026-12-21").unwrap());
    vacation.end = Some(Vacation::day("2027-01-03").unwrap());
    vacation.days = 30;
    entry.vacation = Some(vacation);
    let mut file = AccountsFile::open(&path).unwrap();
    file.put(entry.clone());
    file.put(AccountEntry::new("bob@a.test".parse().unwrap()));
    file.save().unwrap();
    drop(file);
    let file = AccountsFile::open(&path).unwrap();
    assert!(
        file.entries()[0] == entry,
        "{}",
        std::fs::read_to_string(&path).unwrap()
    );
    assert!(file.entries()[1].forward.is_empty() && file.entries()[1].keep_copy);
}
