//! Holds every crate's front page to the house's form, and makes its README of it: the two cannot tell different
//! things. What a registry shows of a crate is held to the same.
//!
//! ```sh
//! UPDATE_README=1 cargo test -p mailwright --test readmes     # writes the READMEs anew
//! ```

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The published packages of the workspace, as `cargo metadata` tells of them.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--no-deps"])
        .arg("--manifest-path")
        .arg(workspace_root().join("Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let all = metadata["packages"].as_array().expect("a list").clone();
    // `publish = false` is an empty list of registries.
    let published: Vec<_> = all.into_iter().filter(|p| p["publish"].is_null()).collect();
    assert!(
        published.len() >= 16,
        "only {} packages are published",
        published.len()
    );
    published
}

fn text<'a>(package: &'a Value, key: &str) -> &'a str {
    package[key]
        .as_str()
        .unwrap_or_else(|| panic!("{}: no {key}", package["name"]))
}

fn folder(package: &Value) -> &Path {
    Path::new(text(package, "manifest_path"))
        .parent()
        .expect("a folder")
}

/// The documentation at the top of a crate, without `//!`.
fn front_page(package: &Value) -> Vec<String> {
    let library = folder(package).join("src/lib.rs");
    let source = std::fs::read_to_string(&library).unwrap_or_else(|e| panic!("{}: {e}", library.display()));
    let page = source.lines().map_while(|line| line.strip_prefix("//!"));
    page.map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned())
        .collect()
}

#[test]
fn front_pages_have_their_form() {
    for package in packages() {
        let (name, page) = (text(&package, "name"), front_page(&package));
        let says = |what: &str| page.iter().any(|line| line.contains(what));
        let summary = page
            .iter()
            .take_while(|line| !line.is_empty())
            .map(String::as_str);
        let summary = summary.collect::<Vec<_>>().join(" ");
        assert!(
            summary.ends_with('.'),
            "{name}: no sentence at the top: {summary:?}"
        );
        assert!(says("```text"), "{name}: no picture");
        assert!(
            page.iter().any(|line| line == "```"),
            "{name}: no example that is compiled"
        );
        assert!(says("|---|"), "{name}: no map of modules");
        let limits = |line: &String| line.starts_with("# Limits") || line.starts_with("# What is incomplete");
        assert!(
            page.iter().any(limits) || name == "mailwright",
            "{name}: neither limits nor what is incomplete"
        );
        let minimum = format!("Minimum Rust version: {}.", text(&package, "rust_version"));
        assert!(says(&minimum), "{name}: the page does not say {minimum:?}");
    }
}

#[test]
fn readmes_are_those_of_the_front_pages() {
    let update = std::env::var_os("UPDATE_README").is_some();
    for package in packages() {
        let (name, wanted) = (text(&package, "name"), readme(&package));
        let path = folder(&package).join("README.md");
        if update {
            std::fs::write(&path, &wanted).expect("it can be written");
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == wanted,
            "{name}: README.md is not that of src/lib.rs: UPDATE_README=1 cargo test -p mailwright --test readmes"
        );
        assert!(wanted.lines().count() <= 120, "{name}: a README is short");
    }
}

/// The front page as far as its example, and where to read on.
fn readme(package: &Value) -> String {
    let name = text(package, "name");
    let mut out = format!("# {name}\n\n");
    let mut fence = None;
    for line in until_after_example(&front_page(package)) {
        match (&fence, line.strip_prefix("```")) {
            (None, Some(language)) => {
                let language = if language.is_empty() { "rust" } else { language };
                out.push_str(&format!("```{language}\n"));
                fence = Some(language.to_owned());
            }
            (Some(_), Some(_)) => {
                out.push_str("```\n");
                fence = None;
            }
            // What rustdoc hides.
            (Some(language), None) if language == "rust" && (line == "#" || line.starts_with("# ")) => {}
            (Some(_), None) => out.push_str(&format!("{line}\n")),
            (None, None) => {
                let heading = if line.starts_with("# ") { "#" } else { "" };
                out.push_str(&format!("{heading}{}\n", without_links(line)));
            }
        }
    }
    let version = text(package, "rust_version");
    out.truncate(out.trim_end().len());
    out.push_str(&format!(
        "\n\n## More\n\n\
         - [Documentation](https://docs.rs/{name}): modules, limits, what is incomplete.\n\
         - A part of [Mailwright]({}), mail software in parts; the crate `mailwright` has them all.\n\
         - Minimum Rust: {version}. Licence: MIT or Apache-2.0, at your choice.\n",
        text(package, "repository"),
    ));
    out
}

/// The lines of a page that come before the first section behind the example.
fn until_after_example(page: &[String]) -> &[String] {
    let (mut fenced, mut example) = (false, false);
    for (number, line) in page.iter().enumerate() {
        if line.starts_with("```") {
            fenced = !fenced;
            example |= fenced && line == "```";
        } else if !fenced && example && line.starts_with("# ") {
            return &page[..number];
        }
    }
    page
}

/// Prose without the links that only rustdoc can follow.
fn without_links(line: &str) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some(at) = rest.find('[') {
        let (before, link) = rest.split_at(at);
        let Some((label, behind)) = link[1..].split_once(']') else {
            break;
        };
        out.push_str(before);
        let target = behind.strip_prefix('(').and_then(|target| target.split_once(')'));
        match target {
            Some((url, behind)) if url.starts_with("http") => {
                out.push_str(&format!("[{label}]({url})"));
                rest = behind;
            }
            Some((_, behind)) => {
                out.push_str(label);
                rest = behind;
            }
            None => {
                out.push_str(label);
                rest = behind;
            }
        }
    }
    out + rest
}

#[test]
fn a_registry_can_show_every_crate() {
    for package in packages() {
        let name = text(&package, "name");
        for key in [
            "description",
            "license",
            "repository",
            "documentation",
            "rust_version",
        ] {
            assert!(!text(&package, key).is_empty(), "{name}: no {key}");
        }
        assert_eq!(text(&package, "readme"), "README.md", "{name}");
        assert_eq!(text(&package, "documentation"), format!("https://docs.rs/{name}"));
        for (key, most) in [("keywords", 5), ("categories", 5)] {
            let count = package[key].as_array().map_or(0, Vec::len);
            assert!((1..=most).contains(&count), "{name}: {count} {key}");
        }
        let all_features = &package["metadata"]["docs"]["rs"]["all-features"];
        assert_eq!(all_features, &Value::Bool(true), "{name}: what docs.rs shows");
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let here = std::fs::read_to_string(folder(&package).join(licence)).unwrap_or_default();
            let root = std::fs::read_to_string(workspace_root().join(licence)).expect("it is there");
            assert!(here == root, "{name}: {licence} must be packaged with it");
        }
    }
}
