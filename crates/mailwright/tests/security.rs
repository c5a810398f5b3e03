//! SECURITY.md names the tests that prove what it says: they have to be there.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What stands in backquotes and looks like a path, in a line.
fn paths(line: &str) -> Vec<&str> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted
        .filter(|text| text.contains('/') && !text.starts_with('/') && !text.contains(' '))
        .collect()
}

#[test]
fn what_is_said_to_be_defended_names_a_test_that_exists() {
    let text = fs::read_to_string(root().join("SECURITY.md")).expect("SECURITY.md");
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("|---") && !line.starts_with("| attack"))
        .collect();
    assert!(rows.len() > 20, "the tables are gone");
    for row in rows {
        let named = paths(row);
        assert!(!named.is_empty(), "nothing proves: {row}");
        for path in named {
            assert!(root().join(path).exists(), "{path} is not there: {row}");
        }
    }
}
