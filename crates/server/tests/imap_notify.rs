//! NOTIFY over the store: what one session is told of what others do, in every group of mailboxes and for every event.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod support;

use support::imap::{Site, append, one};
use support::lines::{Lines, find};

/// The next response, which nobody asked for.
async fn told(client: &mut Lines) -> String {
    String::from_utf8(client.line().await.expect("it is open")).unwrap()
}

fn simple(subject: &str) -> String {
    format!("Subject: {subject}\r\n\r\nText of {subject}\r\n")
}

/// Two sessions of Alice: one that watches, one that does things.
async fn pair(site: &Site) -> (Lines, Lines) {
    let mut laptop = site.login("alice").await;
    for name in ["Work", "Work/Old", "Play"] {
        laptop.imap(&format!("CREATE {name}"), "OK").await;
    }
    (site.login("alice").await, laptop)
}

#[tokio::test]
async fn other_mailboxes_are_told_by_their_status() {
    let site = Site::start(|_| {}).await;
    let (mut phone, mut laptop) = pair(&site).await;
    append(&mut laptop, "Work", &simple("before")).await;
    phone.imap("SELECT Play", "OK").await;
    let command = "NOTIFY SET STATUS (mailboxes (Work Play Missing) (MessageNew MessageExpunge FlagChange))";
    let said = phone.imap(command, "OK").await;
    let status = one(&said, "* STATUS");
    assert!(
        status.starts_with("* STATUS Work (MESSAGES 1 UIDNEXT 2 UIDVALIDITY "),
        "{status}"
    );
    assert!(status.contains("HIGHESTMODSEQ "), "{status}");

    append(&mut laptop, "Work", &simple("new")).await;
    let status = told(&mut phone).await;
    assert!(
        status.starts_with("* STATUS Work (MESSAGES 2 UIDNEXT 3 UIDVALIDITY ")
            && status.ends_with(" UNSEEN 2)"),
        "{status}"
    );
    laptop.imap("SELECT Work", "OK").await;
    laptop.imap("STORE 1 +FLAGS (\\Seen)", "OK").await;
    let status = told(&mut phone).await;
    assert!(
        status.starts_with("* STATUS Work (UIDVALIDITY ") && status.ends_with(" UNSEEN 1)"),
        "{status}"
    );
    laptop.imap("STORE 2 +FLAGS.SILENT (\\Deleted)", "OK").await;
    assert!(told(&mut phone).await.starts_with("* STATUS Work (UIDVALIDITY "));
    laptop.imap("EXPUNGE", "OK").await;
    let status = told(&mut phone).await;
    assert!(
        status.starts_with("* STATUS Work (MESSAGES 1 UIDNEXT 3"),
        "{status}"
    );
    // With mod-sequences, they are told.
    phone.imap("ENABLE CONDSTORE", "OK").await;
    laptop.imap("STORE 1 +FLAGS ($Junk)", "OK").await;
    let status = told(&mut phone).await;
    assert!(status.contains("HIGHESTMODSEQ "), "{status}");
    // While it idles as well; and not what was not asked for.
    phone.send("i IDLE").await;
    assert!(told(&mut phone).await.starts_with('+'));
    append(&mut laptop, "INBOX", &simple("not watched")).await;
    append(&mut laptop, "Work", &simple("watched")).await;
    assert!(
        told(&mut phone)
            .await
            .starts_with("* STATUS Work (MESSAGES 2 UIDNEXT 4")
    );
    phone.send("DONE").await;
    assert!(told(&mut phone).await.starts_with("i OK"));
    phone.imap("NOTIFY NONE", "OK").await;
    append(&mut laptop, "Work", &simple("unheard")).await;
    assert_eq!(phone.imap("NOOP", "OK").await.len(), 1);
    site.stop().await;
}

#[tokio::test]
async fn what_a_session_does_itself_it_is_not_told() {
    let site = Site::start(|_| {}).await;
    let (mut phone, mut laptop) = pair(&site).await;
    let command = "NOTIFY SET (personal (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange \
                   MailboxMetadataChange ServerMetadataChange))";
    phone.imap(command, "OK").await;
    append(&mut phone, "INBOX", &simple("own")).await;
    phone.imap("SELECT INBOX", "OK").await;
    phone.imap("COPY 1 Work", "OK").await;
    phone.imap("CREATE Work/New", "OK").await;
    phone.imap("RENAME Work/New Work/Newer", "OK").await;
    phone.imap("SUBSCRIBE Work/Newer", "OK").await;
    phone
        .imap("SETMETADATA Work (/private/comment \"mine\")", "OK")
        .await;
    phone
        .imap("SETMETADATA \"\" (/private/comment \"mine\")", "OK")
        .await;
    phone.imap("STORE 1 +FLAGS.SILENT (\\Flagged)", "OK").await;
    phone.imap("MOVE 1 Play", "OK").await;
    phone.imap("UNSELECT", "OK").await;
    phone.imap("DELETE Work/Newer", "OK").await;
    phone.imap("RENAME INBOX Saved", "OK").await;
    phone.imap("SUBSCRIBE Nowhere", "OK").await;
    for _ in 0..3 {
        let said = phone.imap("NOOP", "OK").await;
        assert_eq!(said.len(), 1, "{said:?}");
    }
    // What others do in the same mailboxes is.
    append(&mut laptop, "Work", &simple("other")).await;
    let status = told(&mut phone).await;
    assert!(
        status.starts_with("* STATUS Work (MESSAGES 2 UIDNEXT 3"),
        "{status}"
    );
    append(&mut laptop, "Saved", &simple("other")).await;
    let status = told(&mut phone).await;
    assert!(
        status.starts_with("* STATUS Saved (MESSAGES 1 UIDNEXT 2"),
        "{status}"
    );
    site.stop().await;
}

#[tokio::test]
async fn the_selected_mailbox_is_told_at_any_time() {
    let site = Site::start(|_| {}).await;
    let (mut phone, mut laptop) = pair(&site).await;
    for n in 1..=3 {
        append(&mut laptop, "INBOX", &simple(&format!("m{n}"))).await;
    }
    laptop.imap("SELECT INBOX", "OK").await;
    phone.imap("SELECT INBOX", "OK").await;
    // What has accumulated is told with NOTIFY itself.
    laptop.imap("STORE 3 +FLAGS (\\Answered)", "OK").await;
    let command = "NOTIFY SET (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)]) MessageExpunge FlagChange))";
    let said = phone.imap(command, "OK").await;
    assert!(one(&said, "* 3 FETCH").contains("\\Answered"));

    site.deliver("alice", "Subject: fresh\r\n\r\nx").await;
    assert_eq!(told(&mut phone).await, "* 4 EXISTS");
    let row = told(&mut phone).await;
    assert!(
        row.starts_with("* 4 FETCH (UID 4 BODY[HEADER.FIELDS (SUBJECT)] {"),
        "{row}"
    );
    assert!(row.contains("Subject: fresh"), "{row}");
    laptop.imap("STORE 1 +FLAGS (\\Deleted)", "OK").await;
    let row = told(&mut phone).await;
    assert!(
        row.starts_with("* 1 FETCH (") && row.contains("\\Deleted"),
        "{row}"
    );
    laptop.imap("EXPUNGE", "OK").await;
    assert_eq!(told(&mut phone).await, "* 1 EXPUNGE");
    // The selected mailbox is never told by a status, whatever else it belongs to.
    phone
        .imap(
            "NOTIFY SET (selected (MessageNew MessageExpunge)) (personal (MessageNew MessageExpunge))",
            "OK",
        )
        .await;
    append(&mut laptop, "INBOX", &simple("m5")).await;
    let exists = told(&mut phone).await;
    assert!(exists.ends_with(" EXISTS"), "{exists}");
    append(&mut laptop, "Work", &simple("w")).await;
    assert!(told(&mut phone).await.starts_with("* STATUS Work "));
    // It is watched as the others are when it is left, and nothing gets lost in between.
    phone.imap("UNSELECT", "OK").await;
    append(&mut laptop, "INBOX", &simple("m6")).await;
    let status = told(&mut phone).await;
    assert!(
        status.starts_with("* STATUS INBOX (MESSAGES 5 UIDNEXT 7"),
        "{status}"
    );
    site.stop().await;
}

#[tokio::test]
async fn numbers_stay_as_they_are_while_expunges_are_delayed() {
    let site = Site::start(|_| {}).await;
    let (mut phone, mut laptop) = pair(&site).await;
    for n in 1..=3 {
        append(&mut laptop, "INBOX", &simple(&format!("m{n}"))).await;
    }
    laptop.imap("SELECT INBOX", "OK").await;
    phone.imap("SELECT INBOX", "OK").await;
    phone
        .imap(
            "NOTIFY SET (selected-delayed (MessageNew (UID) MessageExpunge))",
            "OK",
        )
        .await;
    laptop.imap("STORE 2 +FLAGS.SILENT (\\Deleted)", "OK").await;
    laptop.imap("EXPUNGE", "OK").await;
    append(&mut laptop, "INBOX", &simple("m4")).await;
    loop {
        let line = told(&mut phone).await;
        assert!(!line.contains("EXPUNGE"), "{line}");
        if line == "* 4 FETCH (UID 4)" {
            break;
        }
    }
    // The numbers are the old ones.
    assert!(one(&phone.imap("FETCH 3 (UID)", "OK").await, "* 3 FETCH").contains("UID 3"));
    let said = phone.imap("NOOP", "OK").await;
    assert_eq!(one(&said, "EXPUNGE"), "* 2 EXPUNGE");
    site.stop().await;
}

#[tokio::test]
async fn mailboxes_that_come_and_go_are_told_by_name() {
    let site = Site::start(|_| {}).await;
    let (mut phone, mut laptop) = pair(&site).await;
    phone
        .imap("NOTIFY SET (personal (MailboxName SubscriptionChange))", "OK")
        .await;
    laptop.imap("CREATE Play/Ball", "OK").await;
    assert_eq!(told(&mut phone).await, "* LIST (\\HasChildren) \"/\" Play");
    assert_eq!(told(&mut phone).await, "* LIST (\\HasNoChildren) \"/\" Play/Ball");
    laptop.imap("SUBSCRIBE Play/Ball", "OK").await;
    assert_eq!(
        told(&mut phone).await,
        "* LIST (\\HasNoChildren \\Subscribed) \"/\" Play/Ball"
    );
    laptop.imap("SUBSCRIBE Nowhere", "OK").await;
    let row = told(&mut phone).await;
    assert!(
        row.contains("\\NonExistent") && row.contains("\\Subscribed") && row.ends_with("Nowhere"),
        "{row}"
    );
    laptop.imap("UNSUBSCRIBE Play/Ball", "OK").await;
    assert_eq!(told(&mut phone).await, "* LIST (\\HasNoChildren) \"/\" Play/Ball");
    // What is below it moves along, and is not told of.
    laptop.imap("RENAME Work Labour", "OK").await;
    assert_eq!(
        told(&mut phone).await,
        "* LIST (\\HasChildren) \"/\" Labour (\"OLDNAME\" (Work))"
    );
    laptop.imap("DELETE Play/Ball", "OK").await;
    assert_eq!(told(&mut phone).await, "* LIST (\\HasNoChildren) \"/\" Play");
    let row = told(&mut phone).await;
    assert!(
        row.starts_with("* LIST (\\NonExistent") && row.ends_with("Play/Ball"),
        "{row}"
    );
    // A mailbox is followed under the name that it has by then.
    phone
        .imap("NOTIFY SET (subtree Labour (MessageNew MessageExpunge))", "OK")
        .await;
    append(&mut laptop, "Labour/Old", &simple("x")).await;
    assert!(
        told(&mut phone)
            .await
            .starts_with("* STATUS Labour/Old (MESSAGES 1")
    );
    laptop.imap("RENAME Labour/Old Labour/Older", "OK").await;
    append(&mut laptop, "Labour/Older", &simple("x")).await;
    assert!(
        told(&mut phone)
            .await
            .starts_with("* STATUS Labour/Older (MESSAGES 2")
    );
    site.stop().await;
}

#[tokio::test]
async fn each_group_of_mailboxes_holds_its_own() {
    let site = Site::start(|_| {}).await;
    let (mut phone, mut laptop) = pair(&site).await;
    laptop.imap("SUBSCRIBE Play", "OK").await;
    for (group, heard) in [
        ("inboxes", &["INBOX"][..]),
        ("personal", &["INBOX", "Work", "Work/Old", "Play"]),
        ("subscribed", &["INBOX", "Play"]),
        ("subtree Work", &["Work", "Work/Old"]),
        ("mailboxes (Work Play)", &["Work", "Play"]),
    ] {
        phone
            .imap(&format!("NOTIFY SET ({group} (MessageNew MessageExpunge))"), "OK")
            .await;
        for name in ["INBOX", "Work", "Work/Old", "Play"] {
            append(&mut laptop, name, &simple("x")).await;
            // One mailbox after the other, so that each is told by itself.
            let said = phone.imap("NOOP", "OK").await;
            if find(&said, "* STATUS").is_none() && heard.contains(&name) {
                let status = told(&mut phone).await;
                assert!(
                    status.starts_with(&format!("* STATUS {name} (")),
                    "{group}: {status}"
                );
            } else if let Some(status) = find(&said, "* STATUS") {
                let status = String::from_utf8_lossy(status);
                assert!(
                    heard.contains(&name) && status.starts_with(&format!("* STATUS {name} (")),
                    "{status}"
                );
            }
        }
    }
    // The subscriptions count as they are by then.
    phone
        .imap("NOTIFY SET (subscribed (MessageNew MessageExpunge))", "OK")
        .await;
    laptop.imap("UNSUBSCRIBE Play", "OK").await;
    laptop.imap("SUBSCRIBE Work", "OK").await;
    append(&mut laptop, "Play", &simple("x")).await;
    append(&mut laptop, "Work", &simple("x")).await;
    assert!(told(&mut phone).await.starts_with("* STATUS Work "));
    let said = phone
        .imap(
            "NOTIFY SET (personal (MessageNew MessageExpunge AnnotationChange))",
            "NO [BADEVENT",
        )
        .await;
    assert!(one(&said, "BADEVENT").contains("ServerMetadataChange"));
    site.stop().await;
}

#[tokio::test]
async fn annotations_are_told_by_their_names() {
    let site = Site::start(|_| {}).await;
    let (mut phone, mut laptop) = pair(&site).await;
    let mut tablet = site.login("alice").await;
    phone
        .imap(
            "NOTIFY SET (personal (MailboxMetadataChange ServerMetadataChange))",
            "OK",
        )
        .await;
    tablet.imap("ENABLE METADATA", "OK").await;
    laptop
        .imap(
            "SETMETADATA Work (/private/comment \"one\" /shared/comment \"two\")",
            "OK",
        )
        .await;
    for client in [&mut phone, &mut tablet] {
        assert_eq!(
            told(client).await,
            "* METADATA Work /private/comment /shared/comment"
        );
    }
    laptop.imap("SETMETADATA Work (/private/comment NIL)", "OK").await;
    laptop
        .imap("SETMETADATA \"\" (/private/vendor/x \"y\")", "OK")
        .await;
    for client in [&mut phone, &mut tablet] {
        assert_eq!(told(client).await, "* METADATA Work /private/comment");
        assert_eq!(told(client).await, "* METADATA \"\" /private/vendor/x");
    }
    site.stop().await;
}

#[tokio::test]
async fn mailboxes_of_others_are_watched_as_far_as_rights_go() {
    let site = Site::start(|_| {}).await;
    let (mut alice, mut bob) = (site.login("alice").await, site.login("bob").await);
    alice.imap("CREATE Team", "OK").await;
    alice.imap("CREATE Locked", "OK").await;
    alice.imap("SETACL Team bob@a.test lrs", "OK").await;
    alice.imap("SETACL Locked bob@a.test l", "OK").await;
    let command = "NOTIFY SET STATUS (mailboxes (Shared/alice@a.test/Team Shared/alice@a.test/Locked) \
                   (MessageNew MessageExpunge)) (subtree Shared (MailboxName))";
    let said = bob.imap(command, "OK").await;
    assert!(one(&said, "* STATUS").starts_with("* STATUS Shared/alice@a.test/Team (MESSAGES 0 "));
    assert!(one(&said, "\\NoAccess").ends_with("Shared/alice@a.test/Locked"));
    append(&mut alice, "Team", &simple("x")).await;
    append(&mut alice, "Locked", &simple("x")).await;
    assert!(
        told(&mut bob)
            .await
            .starts_with("* STATUS Shared/alice@a.test/Team (MESSAGES 1 UIDNEXT 2")
    );
    // Rights that are taken are a mailbox that goes, and rights that are given one that comes.
    alice.imap("DELETEACL Team bob@a.test", "OK").await;
    let mut said = told(&mut bob).await;
    if !said.ends_with("Team") {
        said = told(&mut bob).await;
    }
    assert!(
        said.starts_with("* LIST (\\NonExistent") && said.ends_with("Shared/alice@a.test/Team"),
        "{said}"
    );
    append(&mut alice, "Team", &simple("unseen")).await;
    alice.imap("SETACL Team bob@a.test lrs", "OK").await;
    let mut said = Vec::new();
    while !said.iter().any(|line: &String| line.starts_with("* STATUS")) {
        said.push(told(&mut bob).await);
    }
    assert!(
        said.iter()
            .any(|it| it.starts_with("* LIST (\\HasNoChildren") && it.ends_with("Team")),
        "{said:?}"
    );
    assert!(
        said.last().unwrap().contains("Team (MESSAGES 2 UIDNEXT 3"),
        "{said:?}"
    );
    site.stop().await;
}

#[tokio::test]
async fn too_many_mailboxes_are_not_watched() {
    let site = Site::start(|config| config.limits.watched_mailboxes = 10).await;
    let (mut phone, mut laptop) = pair(&site).await;
    let all = "NOTIFY SET (personal (MessageNew MessageExpunge MailboxName))";
    phone.imap(all, "OK").await;
    laptop.imap("CREATE Tenth", "OK").await;
    assert_eq!(told(&mut phone).await, "* LIST (\\HasNoChildren) \"/\" Tenth");
    laptop.imap("CREATE Eleventh", "OK").await;
    assert!(told(&mut phone).await.starts_with("* OK [NOTIFICATIONOVERFLOW] "));
    append(&mut laptop, "INBOX", &simple("unheard")).await;
    assert_eq!(phone.imap("NOOP", "OK").await.len(), 1);
    phone.imap(all, "NO [NOTIFICATIONOVERFLOW]").await;
    laptop.imap("DELETE Eleventh", "OK").await;
    phone.imap(all, "OK").await;
    append(&mut laptop, "INBOX", &simple("heard")).await;
    assert!(told(&mut phone).await.starts_with("* STATUS INBOX (MESSAGES 2"));
    site.stop().await;
}
