//! Ports are taken as root, everything else is done as somebody who may little. For Linux, and for root.

#![cfg(target_os = "linux")]

use super::program::{Program, Settings, greeting, serve};
use super::support::programs::run;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

/// Whether this is root, who alone can become somebody else.
fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("SKIPPED: this is not root");
    }
    root
}

/// A folder that everybody may look into.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

fn refused(folder: &Path) -> String {
    let (ok, said) = run(&mut serve(folder));
    assert!(!ok, "{said}");
    said
}

/// The number of a user, by the system's own list.
fn uid_of(name: &str) -> u32 {
    let all = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = all.lines().find(|line| line.starts_with(&format!("{name}:")));
    line.unwrap().split(':').nth(2).unwrap().parse().unwrap()
}

#[tokio::test]
async fn root_takes_the_ports_and_becomes_somebody_else() {
    if !is_root() {
        return;
    }
    let folder = folder();
    let mut settings = Settings::new("one.a.test");
    settings.more = "user = \"nobody\"".to_owned();
    settings.write(folder.path());
    let mut program = Program::start(&mut serve(folder.path()));
    let at = program.address("smtp").await;
    assert!(greeting(at).await.starts_with("220 one.a.test "));
    let uid = uid_of("nobody");
    let ids = format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n");
    let mut threads = 0;
    for thread in std::fs::read_dir(format!("/proc/{}/task", program.id())).unwrap() {
        // A thread may end in the meantime.
        let Ok(status) = std::fs::read_to_string(thread.unwrap().path().join("status")) else {
            continue;
        };
        threads += 1;
        for line in [&*ids, "NoNewPrivs:\t1\n", "CapEff:\t0000000000000000\n"] {
            assert!(status.contains(line), "{line}: {status}");
        }
        let groups = status
            .lines()
            .find_map(|line| line.strip_prefix("Groups:"))
            .unwrap();
        assert!(!groups.split_whitespace().any(|group| group == "0"), "{status}");
    }
    assert!(threads > 1);
    assert_eq!(std::fs::metadata(folder.path().join("data")).unwrap().uid(), uid);
    // It can still read its configuration again.
    settings.hostname = "two.a.test";
    settings.write(folder.path());
    program.signal("-HUP");
    program.says("the configuration was read again").await;
    assert!(greeting(at).await.starts_with("220 two.a.test "));
    drop(program);
    // A data folder of somebody else is told, with what to do.
    chown(folder.path().join("data"), Some(0), Some(0)).unwrap();
    let said = refused(folder.path());
    assert!(said.contains("chown -R nobody"), "{said}");
}

#[tokio::test]
async fn root_serves_the_network_only_where_that_is_allowed() {
    if !is_root() {
        return;
    }
    let folder = folder();
    let mut settings = Settings::new("one.a.test");
    settings.listeners = vec![("smtp", "smtp", "0.0.0.0:0")];
    settings.write(folder.path());
    let said = refused(folder.path());
    assert!(
        said.contains("does not run as root") && said.contains("user ="),
        "{said}"
    );
    assert!(!folder.path().join("data").exists(), "nothing was made");
    settings.more = "user = \"nobody-of-that-name\"".to_owned();
    settings.write(folder.path());
    assert!(refused(folder.path()).contains("there is no such user"));
    // This machine alone: root is warned.
    Settings::new("one.a.test").write(folder.path());
    let mut program = Program::start(&mut serve(folder.path()));
    program.says("running as root").await;
    program.address("smtp").await;
    drop(program);
    // Mail of somebody else would be left with files that its owner cannot read.
    chown(folder.path().join("data"), Some(uid_of("nobody")), None).unwrap();
    let said = refused(folder.path());
    assert!(said.contains("belongs to the user with the number"), "{said}");
}
