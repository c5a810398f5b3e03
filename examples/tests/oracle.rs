//! `inspect` against another program that reads mail: Python's email package (`oracle.py` has the classes of
//! differences, with their reasons). The samples of this repository always take part, the messages of
//! `$MAIL_CORPUS/message` where there are any.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // a test is where files and programs come in

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const INSPECT: &str = env!("CARGO_BIN_EXE_inspect");

#[test]
fn every_difference_from_python_has_its_reason() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("SKIPPED: python3 is not installed");
        return;
    }
    let mut files = Vec::new();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    collect(&tests.join("../../crates/message/tests/data"), &mut files);
    match std::env::var("MAIL_CORPUS") {
        Ok(corpus) => collect(&Path::new(&corpus).join("message"), &mut files),
        Err(_) => eprintln!("SKIPPED: the corpus, since MAIL_CORPUS is not set"),
    }
    files.sort();
    let folder = tempfile::tempdir().expect("a folder");
    let (names, records) = (folder.path().join("files"), folder.path().join("records"));
    let list: Vec<&str> = files.iter().map(|file| file.to_str().expect("UTF-8")).collect();
    std::fs::write(&names, list.join("\n")).expect("a file");
    let inspect = Command::new(INSPECT)
        .arg("--json")
        .args(&list)
        .stdout(std::fs::File::create(&records).expect("a file"))
        .status()
        .expect("it runs");
    assert!(inspect.success());
    let oracle = Command::new("python3")
        .args([&tests.join("oracle.py"), Path::new(INSPECT), &names, &records])
        .stderr(Stdio::inherit())
        .output()
        .expect("it runs");
    let report = String::from_utf8_lossy(&oracle.stdout);
    assert!(oracle.status.success(), "{report}");
    assert!(
        report.contains(&format!("{} files compared", files.len())),
        "{report}"
    );
    eprintln!("{report}");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
