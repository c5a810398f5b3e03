//! IMAP clients that nobody here wrote, against the real binary: Python's imaplib over every capability that is
//! offered, imapclient, imapflow, mbsync with 500 messages, OfflineIMAP, fetchmail, NeoMutt and Mutt in a terminal.
//!
//! A program that is not installed is named and passed over; with `REQUIRE_CLIENTS=1`, as in CI, python3 and mbsync
//! must be there. imapflow is found by `NODE_PATH`.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests over real sockets and real time

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::lines::{Lines, Tls, find};
use support::programs::{Server, at_hand, installed, knows, script, script_of, succeeds};
use support::terminal::Terminal;

#[tokio::test]
async fn every_capability_that_is_offered() {
    if !installed("python3") {
        return;
    }
    let server = Server::start().await;
    script(&server, "imap_all.py");
    server.stop().await;
}

#[tokio::test]
async fn imapclient() {
    if !installed("python3") || !knows("python3", &["-c", "import imapclient"]) {
        return;
    }
    let server = Server::start().await;
    script(&server, "imap_client.py");
    server.stop().await;
}

#[tokio::test]
async fn imapflow() {
    if !at_hand("node") || !knows("node", &["-e", "require('imapflow')"]) {
        return;
    }
    let server = Server::start().await;
    script_of(&server, "node", "imapflow.cjs");
    server.stop().await;
}

/// Delivers messages to bob, which a Message-ID tells apart.
async fn deliver(server: &Server, numbers: std::ops::Range<usize>) {
    server
        .deliver(numbers, |n| {
            format!("Message-ID: <{n}@elsewhere.example>\r\n\r\nnumber {n}")
        })
        .await;
}

/// A client that knows nothing of our engines, logged in as bob.
async fn bob(server: &Server) -> Lines {
    let certificate = std::fs::read_to_string(server.certificate()).expect("a certificate");
    let tls = Tls::trusting(&certificate);
    let mut bob = Lines::connect_tls(server.process.address("imaps"), &tls, "localhost").await;
    bob.line().await.expect("a greeting");
    bob.imap("LOGIN bob@localhost builder", "OK").await;
    bob
}

/// The flags of all messages of a mailbox by their Message-ID, as the server tells them.
async fn flags_there(server: &Server, mailbox: &str) -> BTreeSet<(String, String)> {
    let mut bob = bob(server).await;
    bob.imap(&format!("EXAMINE {mailbox}"), "OK").await;
    let rows = bob
        .imap("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])", "")
        .await;
    let text = |row: &Vec<u8>| String::from_utf8_lossy(row).into_owned();
    let row = |row: String| {
        let id = row.split_once('<')?.1.split_once('>')?.0.to_owned();
        let flags = row.split_once("FLAGS (")?.1.split_once(')')?.0;
        let known = [("\\Flagged", 'F'), ("\\Answered", 'R'), ("\\Seen", 'S')];
        let letters = known.iter().filter(|(flag, _)| flags.contains(flag));
        Some((id, letters.map(|(_, letter)| *letter).collect()))
    };
    rows.iter().map(text).filter_map(row).collect()
}

/// The same of a Maildir.
fn flags_here(maildir: &Path) -> BTreeSet<(String, String)> {
    messages(maildir)
        .iter()
        .map(|path| {
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(path).expect("a message");
            let id = text.split_once("Message-ID: <").expect("a field").1;
            let mut letters: Vec<char> = name.rsplit_once(":2,").map_or("", |(_, f)| f).chars().collect();
            letters.retain(|letter| "FRS".contains(*letter));
            letters.sort_unstable();
            (
                id.split_once('>').expect("an end").0.to_owned(),
                letters.into_iter().collect(),
            )
        })
        .collect()
}

/// The files of a Maildir, in the order of the messages' numbers.
fn messages(maildir: &Path) -> Vec<PathBuf> {
    let folders = ["cur", "new"].map(|sub| std::fs::read_dir(maildir.join(sub)).expect("a Maildir"));
    let mut all: Vec<_> = folders
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("an entry").path())
        .collect();
    all.sort();
    all
}

fn mark(message: &Path, letters: &str) {
    let name = message.file_name().expect("a file").to_string_lossy();
    let name = name.split_once(":2,").map_or(&*name, |(name, _)| name);
    let folder = message.parent().and_then(Path::parent).expect("a Maildir");
    std::fs::rename(message, folder.join(format!("cur/{name}:2,{letters}"))).expect("it is there");
}

#[tokio::test]
async fn mbsync_both_ways() {
    if !installed("mbsync") {
        return;
    }
    let server = Server::start().await;
    let here = server.folder.path().join("maildir");
    for sub in ["INBOX", "INBOX/cur", "INBOX/new", "INBOX/tmp"] {
        std::fs::create_dir_all(here.join(sub)).expect("a folder");
    }
    let config = server.file(
        "mbsyncrc",
        &format!(
            "IMAPAccount bob\nHost localhost\nPort {}\nUser bob@localhost\nPass builder\nSSLType IMAPS\n\
             SystemCertificates no\nCertificateFile {}\n\nIMAPStore far\nAccount bob\n\n\
             MaildirStore near\nPath {here}/\nInbox {here}/INBOX\nSubFolders Verbatim\n\n\
             Channel all\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Both\nExpunge Both\nSyncState *\n",
            server.port("imaps"),
            server.certificate().display(),
            here = here.display(),
        ),
    );
    let sync = || succeeds(Command::new("mbsync").arg("-c").arg(&config).arg("-a"));
    deliver(&server, 0..250).await;
    for n in 250..500 {
        let text = format!("Subject: message {n}\nMessage-ID: <{n}@elsewhere.example>\n\nnumber {n}\n");
        std::fs::write(here.join(format!("INBOX/new/{n}.here.local")), text).expect("writable");
    }
    sync();
    let inbox = here.join("INBOX");
    assert_eq!(messages(&inbox).len(), 500);
    assert_eq!(flags_here(&inbox), flags_there(&server, "INBOX").await);

    // Both sides change: flags on a hundred messages each, and thirty deletions each.
    let all = messages(&inbox);
    for (n, message) in all.iter().enumerate() {
        match n % 10 {
            0 if n < 300 => std::fs::remove_file(message).expect("it is there"),
            1 => mark(message, "S"),
            2 => mark(message, "FS"),
            _ => {}
        }
    }
    let mut far = bob(&server).await;
    far.imap("SELECT INBOX", "OK").await;
    let every = |start: u32| {
        (0..50)
            .map(|n| (start + 10 * n).to_string())
            .collect::<Vec<_>>()
            .join(",")
    };
    far.imap(&format!("UID STORE {} +FLAGS (\\Answered)", every(5)), "OK")
        .await;
    far.imap(&format!("UID STORE {} +FLAGS (\\Flagged)", every(8)), "OK")
        .await;
    far.imap("UID STORE 310:339 +FLAGS (\\Deleted)", "OK").await;
    far.imap("EXPUNGE", "OK").await;
    sync();
    let there = flags_there(&server, "INBOX").await;
    assert_eq!(flags_here(&inbox), there);
    assert!((440..=470).contains(&there.len()), "{} are left", there.len());
    let marked = |letter| {
        there
            .iter()
            .filter(|(_, letters)| letters.contains(letter))
            .count()
    };
    assert!(
        marked('S') > 80 && marked('R') > 30 && marked('F') > 60,
        "flags were lost"
    );

    let before = messages(&inbox);
    let highest = |rows: &[Vec<u8>]| find(rows, "* STATUS").expect("an answer").to_vec();
    let mod_seq = highest(&far.imap("STATUS INBOX (HIGHESTMODSEQ)", "OK").await);
    sync();
    assert_eq!(messages(&inbox), before, "a second run changed something here");
    let after = highest(&far.imap("STATUS INBOX (HIGHESTMODSEQ)", "OK").await);
    assert_eq!(after, mod_seq, "a second run changed something there");
    server.stop().await;
}

#[tokio::test]
async fn offlineimap() {
    if !at_hand("offlineimap") {
        return;
    }
    let server = Server::start().await;
    let here = server.folder.path().join("offline");
    let config = server.file(
        "offlineimaprc",
        &format!(
            "[general]\naccounts = bob\nmetadata = {meta}\nsocktimeout = 30\n\
             [Account bob]\nlocalrepository = near\nremoterepository = far\n\
             [Repository near]\ntype = Maildir\nlocalfolders = {here}\n\
             [Repository far]\ntype = IMAP\nremotehost = localhost\nremoteport = {port}\nssl = yes\n\
             sslcacertfile = {certificate}\nremoteuser = bob@localhost\nremotepass = builder\n\
             folderfilter = lambda name: name in ['INBOX', 'Archive']\n",
            meta = server.folder.path().join("offline-meta").display(),
            here = here.display(),
            port = server.port("imaps"),
            certificate = server.certificate().display(),
        ),
    );
    let sync = || {
        let said = succeeds(
            Command::new("offlineimap")
                .args(["-o", "-1", "-u", "basic", "-c"])
                .arg(&config),
        );
        assert!(!said.contains("ERROR"), "{said}");
    };
    deliver(&server, 0..20).await;
    sync();
    let inbox = here.join("INBOX");
    let all = messages(&inbox);
    assert_eq!(all.len(), 20);
    mark(&all[0], "FS");
    std::fs::remove_file(&all[1]).expect("it is there");
    let text = "Subject: written here\nMessage-ID: <here@elsewhere.example>\n\nnothing\n";
    std::fs::write(here.join("Archive/new/1.here.local"), text).expect("writable");
    let mut far = bob(&server).await;
    far.imap("SELECT INBOX", "OK").await;
    far.imap("STORE 20 +FLAGS (\\Answered)", "OK").await;
    far.imap("UID STORE 10 +FLAGS (\\Deleted)", "OK").await;
    far.imap("UID EXPUNGE 10", "OK").await;
    sync();
    assert_eq!(flags_there(&server, "Archive").await.len(), 1);
    let there = flags_there(&server, "INBOX").await;
    assert_eq!(there.len(), 18);
    assert_eq!(flags_here(&inbox), there);
    let before = messages(&inbox);
    sync();
    assert_eq!(messages(&inbox), before, "a second run changed something");
    server.stop().await;
}

#[tokio::test]
async fn fetchmail() {
    if !at_hand("fetchmail") {
        return;
    }
    let server = Server::start().await;
    deliver(&server, 0..5).await;
    let got = server.folder.path().join("got");
    let config = server.private_file(
        "fetchmailrc",
        &format!(
            "poll localhost protocol IMAP port {} auth password\n  username \"bob@localhost\" password \"builder\"\n  \
             ssl sslcertck sslcertfile \"{}\"\n  no rewrite\n  mda \"cat >>{}\"\n",
            server.port("imaps"),
            server.certificate().display(),
            got.display(),
        ),
    );
    let fetch = |more: &[&str]| server.fetchmail(&config, more);
    let (ok, said) = fetch(&["--keep"]);
    assert!(ok, "{said}");
    let text = std::fs::read_to_string(&got).expect("messages");
    for n in 0..5 {
        assert!(text.contains(&format!("\nnumber {n}\n")), "{text}");
    }
    assert_eq!(flags_there(&server, "INBOX").await.len(), 5);
    // Without --keep they are deleted, those that were read before as well.
    let (ok, said) = fetch(&["--all"]);
    assert!(ok, "{said}");
    assert_eq!(flags_there(&server, "INBOX").await.len(), 0);
    let (_, said) = fetch(&[]);
    assert!(said.contains("No mail"), "{said}");
    server.stop().await;
}

/// Opens a folder, reads and flags a message, deletes two, purges and leaves.
async fn in_a_terminal(program: &str, more: &str) {
    if !at_hand(program) || !at_hand("tmux") {
        return;
    }
    let server = Server::start().await;
    deliver(&server, 0..6).await;
    let config = server.file(
        "muttrc",
        &format!(
            "set folder=\"imaps://bob@localhost@localhost:{}/\"\nset spoolfile=\"+INBOX\"\nset imap_pass=\"builder\"\n\
             set certificate_file={}\nset ssl_verify_host=yes\nset delete=yes\nset quit=yes\nset confirmappend=no\n\
             set sort=mailbox-order\nset move=no\nset wait_key=no\nset sleep_time=0\nset imap_check_subscribed=no\n\
             set header_cache={}\nset mark_old=no\nset mail_check=1\nset timeout=1\n{more}\n",
            server.port("imaps"),
            server.certificate().display(),
            server.folder.path().join("headers").display(),
        ),
    );
    let home = server.folder.path().display();
    let command = format!("HOME={home} {program} -n -F {}", config.display());
    let terminal = Terminal::run(&server, &command);
    terminal.shows("message 5", true);
    terminal.keys(&["1", "Enter"]);
    terminal.shows("of 6", false);
    terminal.keys(&["F", "2", "Enter", "d", "d", "$"]);
    terminal.shows("message 1", false);
    // Mail that comes meanwhile is seen.
    deliver(&server, 6..7).await;
    terminal.keys(&["$"]);
    terminal.shows("message 6", true);
    // Read one.
    terminal.keys(&["*", "Enter"]);
    terminal.shows("number 6", true);
    terminal.keys(&["i", "q"]);
    terminal.shows("message 6", false);
    let there = flags_there(&server, "INBOX").await;
    let of = |n: usize| {
        there
            .iter()
            .find(|(id, _)| *id == format!("{n}@elsewhere.example"))
            .map(|(_, f)| &**f)
    };
    assert_eq!((of(0), of(1), of(2)), (Some("F"), None, None), "{there:?}");
    assert_eq!((of(6), there.len()), (Some("S"), 5), "{there:?}");
    drop(terminal);
    server.stop().await;
}

#[tokio::test]
async fn mutt() {
    in_a_terminal("mutt", "").await;
}

#[tokio::test]
async fn neomutt() {
    in_a_terminal("neomutt", "set imap_condstore=yes\nset imap_qresync=yes").await;
}
