//! `mailwright import`, `export`, `backup` and `fsck`: what they say, and what they return.

#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use support::process::Process;

/// Exit status, standard output, standard error.
fn run(arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mailwright"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Whoever fails early reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn maildir(root: &Path, messages: usize) {
    for sub in ["cur", "new", "tmp", ".Sent/cur"] {
        fs::create_dir_all(root.join(sub)).unwrap();
    }
    for n in 0..messages {
        let name = format!("cur/{n:06}.M1P1.host:2,S");
        fs::write(root.join(name), format!("Subject: {n}\n\nbody {n}\n")).unwrap();
    }
}

#[test]
fn mail_goes_in_and_out_while_no_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let data = path("data");
    fs::create_dir(&data).unwrap();
    let account = ["account", "add", "bob@localhost", "--data", &data];
    assert_eq!(run(&account, "builder\n").0, 0);
    maildir(&folder.path().join("from"), 30);
    let from = path("from");
    let import = |source: &str, name: &str| run(&["import", source, "--account", name, "--data", &data], "");

    let (status, out, err) = import(&from, "bob");
    assert_eq!((status, &*err), (0, ""), "{out}");
    assert!(out.starts_with("30 messages in 2 folders came in, "), "{out}");
    fs::write(format!("{from}/cur/x:2,"), "").unwrap();
    let (status, out, err) = import(&from, "bob");
    assert_eq!(status, 1, "{out}{err}");
    assert!(out.contains("0 messages") && out.contains("30 were there already; 1 left out, told above"));
    assert_eq!(err, format!("left out: {from}/cur/x:2,: the file is empty\n"));
    let (status, _, err) = import(&from, "nobody");
    assert!(status == 2 && err.contains("there is no account nobody"), "{err}");
    let (status, _, err) = import(&path("gone"), "bob");
    assert!(
        status == 2 && err.contains("there is no such file or folder"),
        "{err}"
    );
    let (status, _, err) = import("imaps://127.0.0.1:1", "bob");
    assert!(status == 2 && err.contains("expected imaps://USER@HOST"), "{err}");
    let (status, _, err) = import("imaps://bob@127.0.0.1:1", "bob");
    assert!(
        status == 2 && err.contains("127.0.0.1:1: Connection refused"),
        "{err}"
    );

    for (format, there) in [
        ("maildir", ".Archive/cur"),
        ("mboxrd", "INBOX.mbox"),
        ("mboxo", "Sent.mbox"),
    ] {
        let to = path(format);
        let export = [
            "export",
            &to,
            "--account",
            "bob",
            "--data",
            &data,
            "--format",
            format,
        ];
        let (status, out, err) = run(&export, "");
        assert_eq!((status, &*err), (0, ""));
        assert!(out.starts_with("30 messages in 6 folders written, "), "{out}");
        assert!(Path::new(&to).join(there).exists());
    }
    let (status, _, err) = run(&["export", &path("x"), "--account", "alice", "--data", &data], "");
    assert!(status == 2 && err.contains("there is no mail of alice"), "{err}");

    let (status, out, _) = run(&["fsck", "--data", &data], "");
    assert_eq!((status, &*out), (0, "all is sound: 30 messages\n"));
    let copy = path("copy");
    let (status, out, _) = run(&["backup", &copy, "--data", &data], "");
    assert!(status == 0 && out.starts_with("30 messages copied to "), "{out}");
    // The copy is a store.
    let restored = folder.path().join("restored");
    fs::create_dir(&restored).unwrap();
    fs::rename(&copy, restored.join("mail")).unwrap();
    let (status, out, _) = run(&["fsck", "--data", restored.to_str().unwrap()], "");
    assert_eq!((status, &*out), (0, "all is sound: 30 messages\n"));
}

#[tokio::test]
async fn a_server_that_runs_does_the_work_itself() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), true).await;
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    maildir(&folder.path().join("from"), 25);
    let config = path("mailwright.toml");
    let at = |arguments: &[&str]| run(&[arguments, &["--config", &config]].concat(), "");

    // What cannot be read is named here as well.
    fs::create_dir(folder.path().join("from/cur/a folder")).unwrap();
    let (status, out, err) = at(&["import", &path("from"), "--account", "bob"]);
    assert!(out.starts_with("25 messages in 2 folders came in"), "{out}{err}");
    assert_eq!(status, i32::from(!err.is_empty()), "{err}");
    let (status, out, _) = at(&["import", &path("from"), "--account", "bob", "--into", "again"]);
    assert!(status <= 1 && out.starts_with("25 messages"), "{out}");
    let (status, out, _) = at(&["import", &path("from"), "--account", "bob"]);
    assert!(status <= 1 && out.contains("25 were there already"), "{out}");
    let (status, _, err) = at(&["import", &path("from"), "--account", "nobody"]);
    assert!(status == 2 && err.contains("there is no account nobody"), "{err}");

    let (status, out, err) = at(&["export", &path("maildir"), "--account", "bob"]);
    assert_eq!((status, &*err), (0, ""), "{out}");
    assert_eq!(
        fs::read_dir(folder.path().join("maildir/cur")).unwrap().count(),
        25
    );
    assert_eq!(
        fs::read_dir(folder.path().join("maildir/.again/cur"))
            .unwrap()
            .count(),
        25
    );
    let (status, _, err) = at(&[
        "export",
        &path("from/cur/a folder/../../new"),
        "--account",
        "nobody",
    ]);
    assert!(status == 2 && err.contains("no mail of nobody"), "{err}");
    assert_eq!(
        at(&["fsck"]),
        (0, "all is sound: 50 messages\n".into(), String::new())
    );
    let (status, out, err) = at(&["backup", &path("copy")]);
    assert!(status == 0 && out.starts_with("50 messages copied"), "{out}{err}");
    assert_eq!(at(&["backup", &path("copy")]).0, 2);
    fs::create_dir(folder.path().join("restored")).unwrap();
    fs::rename(folder.path().join("copy"), folder.path().join("restored/mail")).unwrap();
    let (status, out, _) = run(&["fsck", "--data", &path("restored")], "");
    assert_eq!((status, &*out), (0, "all is sound: 50 messages\n"));

    // What needs the store for itself says so.
    for arguments in [&["fsck", "--mend"][..], &["fsck", "--salvage", &path("salvaged")]] {
        let (status, _, err) = at(arguments);
        assert!(status == 2 && err.contains("in use by another process"), "{err}");
        assert!(err.contains("The server is running: stop it"), "{err}");
    }
    drop(server);
}

/// The control socket's own side of it: one job at a time, and none without being asked for.
#[tokio::test]
async fn a_job_belongs_to_the_connection_that_began_it() {
    use mailwright_server::control::work::{End, Form, Job, Outcome, Remote, Request as Work, Source, State};
    use mailwright_server::control::{CallError, Client, Request};

    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), true).await;
    maildir(&folder.path().join("from"), 400);
    let config = mailwright_server::Config::load(&folder.path().join("mailwright.toml")).unwrap();
    let import = || Job::Import {
        account: "bob".into(),
        source: Source::Files {
            path: folder.path().join("from"),
            format: Form::Maildir,
        },
        into: None,
    };
    let connect = || Client::connect(&config.data).unwrap().unwrap();
    let mut client = connect();
    let refused = client.call::<State>(Request::Work(Work::Watch {}));
    assert!(
        matches!(&refused, Err(CallError::Refused(why)) if why.contains("no job")),
        "{refused:?}"
    );
    // Whoever goes away at once leaves a store that is sound, and an import that goes on where it ended.
    for _ in 0..6 {
        drop(client);
        client = connect();
        // More at a time than a server works on are refused, and come later.
        let _ = client.call::<State>(Request::Work(Work::Begin(import())));
    }
    drop(client);
    let finish = |job: Job| {
        let mut client = connect();
        let mut request = Work::Begin(job);
        let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            match client.call::<State>(Request::Work(request.clone())) {
                Ok(State {
                    end: Some(End::Done(outcome)),
                    ..
                }) => return outcome,
                Ok(State {
                    end: Some(End::Failed(why)),
                    ..
                }) => panic!("{why}"),
                Ok(_) => request = Work::Watch {},
                Err(CallError::Refused(why)) if why.contains("jobs already") => {}
                Err(error) => panic!("{error}"),
            }
            assert!(std::time::Instant::now() < end, "it does not end");
        }
    };
    // Two that run at once would each not see what the other adds: the earlier ones are left to end.
    let Outcome::Transferred(report) = finish(import()) else {
        panic!("an import")
    };
    assert_eq!(report.skipped, 0);
    let Outcome::Checked { messages, problems } = finish(Job::Check {}) else {
        panic!("a check")
    };
    assert!(
        messages >= Some(400) && problems.is_empty(),
        "{messages:?} {problems:?}"
    );
    // A password is in no log.
    assert!(
        !format!(
            "{:?}",
            Source::Imap(Box::new(Remote::new("a.test", 993, "bob", "secret")))
        )
        .contains("secret")
    );
    drop(server);
}

#[tokio::test]
async fn mail_comes_from_a_server_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), true).await;
    // From the server itself, through its listener.
    let source = format!("imap://alice@localhost@{}", server.address("imap"));
    let data = folder.path().join("other");
    fs::create_dir(&data).unwrap();
    let data = data.to_str().unwrap();
    assert_eq!(
        run(&["account", "add", "carol@localhost", "--data", data], "x\n").0,
        0
    );
    let arguments = [
        "import",
        &source,
        "--account",
        "carol",
        "--data",
        data,
        "--no-tls",
    ];
    let (status, out, err) = run(&arguments, "wonder land\n");
    assert_eq!((status, &*err), (0, ""), "{out}");
    assert!(out.starts_with("0 messages in 6 folders"), "{out}");
}

#[tokio::test]
async fn a_maildir_store_is_chosen_by_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    // The first start writes the configuration.
    Process::start(folder.path(), true).await.kill_9().await;
    let path = folder.path().join("mailwright.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("store = \"maildir\"\n{config}")).unwrap();
    let path = path.to_str().unwrap();
    let (status, _, err) = run(&["serve", "--config", path], "");
    assert!(
        status == 1 && err.contains("holds a store of the kind \"sqlite\""),
        "{err}"
    );
    fs::remove_dir_all(folder.path().join("mail/mail")).unwrap();
    // A command that comes before the first start makes what the configuration names.
    maildir(&folder.path().join("from"), 3);
    let from = folder.path().join("from");
    let import = [
        "import",
        from.to_str().unwrap(),
        "--account",
        "alice",
        "--config",
        path,
    ];
    assert_eq!(run(&import, "").0, 0);
    let of_alice = folder.path().join("mail/mail/alice@localhost/cur");
    assert_eq!(fs::read_dir(of_alice).unwrap().count(), 3);

    let mut server = Process::start(folder.path(), true).await;
    let mut smtp = support::lines::Lines::connect(server.address("smtp")).await;
    smtp.reply("220").await;
    for (command, reply) in [
        ("EHLO c.example", "250"),
        ("MAIL FROM:<a@c.example>", "250"),
        ("RCPT TO:<bob@localhost>", "250"),
        ("RCPT TO:<alice@localhost>", "250"),
        ("DATA", "354"),
    ] {
        smtp.say(command, reply).await;
    }
    smtp.send_raw(b"Subject: in a file\r\n\r\nhere\r\n.\r\n").await;
    smtp.reply("250").await;
    let new = folder.path().join("mail/mail/bob@localhost/new");
    let file = fs::read_dir(&new).unwrap().next().unwrap().unwrap();
    assert!(
        fs::read_to_string(file.path())
            .unwrap()
            .ends_with("Subject: in a file\r\n\r\nhere\r\n")
    );
    // What another program drops is there for a session that is open already.
    let mut bob = support::lines::Lines::connect(server.address("imap")).await;
    bob.line().await.unwrap();
    bob.imap("LOGIN bob@localhost builder", "OK").await;
    bob.imap("SELECT INBOX", "OK").await;
    fs::write(new.join("1.dropped.host"), "Subject: dropped\n\n").unwrap();
    let fetched = bob
        .imap("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])", "OK")
        .await;
    let noop = bob.imap("NOOP", "OK").await;
    let exists = fetched
        .iter()
        .chain(&noop)
        .any(|line| line.starts_with(b"* 2 EXISTS"));
    let after = bob.imap("STATUS INBOX (MESSAGES)", "OK").await;
    assert!(
        exists || after.iter().any(|line| line.ends_with(b"(MESSAGES 2)")),
        "{noop:?} {after:?}"
    );
    bob.imap("SELECT INBOX", "OK").await;
    let fetched = bob
        .imap("UID FETCH 2 BODY.PEEK[HEADER.FIELDS (SUBJECT)]", "OK")
        .await;
    assert!(
        support::lines::find(&fetched, "Subject: dropped").is_some(),
        "{fetched:?}"
    );
    bob.imap("UID STORE 1 +FLAGS (\\Seen)", "OK").await;
    server.kill_9().await;
    let seen = fs::read_dir(folder.path().join("mail/mail/bob@localhost/cur")).unwrap();
    let names: Vec<_> = seen
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.len() == 1 && names[0].ends_with(":2,S"), "{names:?}");
    let (status, out, err) = run(&["fsck", "--config", path], "");
    assert_eq!((status, &*out), (0, "all is sound\n"), "{err}");
    let (status, _, err) = run(
        &[
            "backup",
            folder.path().join("b").to_str().unwrap(),
            "--config",
            path,
        ],
        "",
    );
    assert!(status == 2 && err.contains("rsync -aH"), "{err}");
}
