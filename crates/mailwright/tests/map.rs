//! Holds the workspace to its map: who may depend on whom, what a sans-IO crate may never name, and how many
//! crates each one may bring into a user's tree. ARCHITECTURE.md tells the reasons.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every arrow inside the workspace, and the budget of normal dependencies (our own included).
const MAP: &[(&str, &[&str], usize)] = &[
    ("wire", &[], 2),
    ("address", &[], 0),
    ("sasl", &[], 7),
    ("message", &["address"], 10),
    ("smtp", &["wire", "address", "sasl"], 12),
    ("pop3", &["wire", "sasl"], 11),
    // Two of them inflate and deflate for COMPRESS.
    ("imap", &["wire", "sasl", "message"], 21),
    // Three of them read the JSON of rspamd.
    ("filter", &["wire"], 9),
    ("dns", &["address"], 60),
    ("mx", &["dns", "address"], 62),
    // Beside the DNS: hashes and signatures, the public suffix list, XML and DEFLATE for reports.
    ("auth", &["dns", "address", "message"], 80),
    // Digests of messages: all that reads them, and the tables of Unicode.
    ("mailbox", &["message", "address"], 23),
    ("store", &["mailbox", "message"], 36),
    ("queue", &["address", "message"], 17),
];

/// Crates that hold state machines and data only.
const SANS_IO: &[&str] = &[
    "wire", "address", "sasl", "message", "smtp", "pop3", "imap", "filter", "dns", "mx", "auth", "mailbox",
    "queue",
];

/// What must not be reachable from a sans-IO crate.
const FORBIDDEN: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "rustls",
    "tokio-rustls",
    "openssl",
    "futures",
    "futures-util",
    "async-std",
    "smol",
    "rusqlite",
    "rand",
    "hickory-net",
    "hickory-resolver",
];

fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// What `cargo metadata` says of this workspace on this platform.
fn metadata() -> Value {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = String::from_utf8(run(Command::new(rustc).arg("-vV"))).expect("UTF-8");
    let host = version
        .lines()
        .find_map(|l| l.strip_prefix("host: "))
        .expect("rustc names its host");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "metadata",
        "--format-version",
        "1",
        "--offline",
        "--filter-platform",
        host,
    ]);
    cargo
        .arg("--manifest-path")
        .arg(workspace_root().join("Cargo.toml"));
    serde_json::from_slice(&run(&mut cargo)).expect("cargo metadata is JSON")
}

/// Package name by id, and the ids of the normal dependencies of each.
struct Graph {
    names: BTreeMap<String, String>,
    normal: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn read(metadata: &Value) -> Self {
        let text = |v: &Value| v.as_str().expect("a string").to_owned();
        let list = |v: &Value| v.as_array().expect("a list").clone();
        let names = list(&metadata["packages"])
            .iter()
            .map(|p| (text(&p["id"]), text(&p["name"])))
            .collect();
        let normal = list(&metadata["resolve"]["nodes"])
            .iter()
            .map(|node| {
                let is_normal = |dep: &&Value| list(&dep["dep_kinds"]).iter().any(|k| k["kind"].is_null());
                let deps = list(&node["deps"]);
                (
                    text(&node["id"]),
                    deps.iter().filter(is_normal).map(|d| text(&d["pkg"])).collect(),
                )
            })
            .collect();
        Self { names, normal }
    }

    fn id(&self, package: &str) -> &str {
        let found = self.names.iter().find(|(_, name)| *name == package);
        found.unwrap_or_else(|| panic!("no package {package}")).0
    }

    fn direct(&self, package: &str) -> BTreeSet<&str> {
        self.normal[self.id(package)]
            .iter()
            .map(|id| self.names[id].as_str())
            .collect()
    }

    /// Everything that `package` brings along, except procedural macros' own insides counted once.
    fn reachable(&self, package: &str) -> BTreeSet<&str> {
        let (mut seen, mut open) = (BTreeSet::new(), vec![self.id(package)]);
        while let Some(id) = open.pop() {
            for dep in &self.normal[id] {
                if seen.insert(dep.as_str()) {
                    open.push(dep);
                }
            }
        }
        seen.into_iter().map(|id| self.names[id].as_str()).collect()
    }
}

#[test]
fn the_arrows_of_the_map_hold() {
    let graph = Graph::read(&metadata());
    for (name, allowed, _) in MAP {
        let allowed: BTreeSet<String> = allowed.iter().map(|a| format!("mailwright-{a}")).collect();
        for dep in graph.direct(&format!("mailwright-{name}")) {
            if dep.starts_with("mailwright") {
                assert!(
                    allowed.contains(dep),
                    "mailwright-{name} must not depend on {dep}"
                );
            }
        }
    }
    let ours = graph.names.values().filter(|n| n.starts_with("mailwright-"));
    let known = |n: &str| MAP.iter().any(|(m, ..)| *m == n) || ["server", "examples", "benches"].contains(&n);
    for name in ours {
        assert!(known(&name["mailwright-".len()..]), "{name} is not on the map");
    }
}

#[test]
fn sans_io_crates_reach_no_runtime_and_no_socket() {
    let graph = Graph::read(&metadata());
    for name in SANS_IO {
        let reachable = graph.reachable(&format!("mailwright-{name}"));
        for forbidden in FORBIDDEN {
            // hickory-proto keeps generic helpers of its own that reach for randomness; `dns` never calls them.
            let excused = *forbidden == "rand" && ["dns", "mx", "auth"].contains(name);
            assert!(
                excused || !reachable.contains(forbidden),
                "mailwright-{name} reaches {forbidden}"
            );
        }
        let names_hickory = graph
            .direct(&format!("mailwright-{name}"))
            .contains("hickory-proto");
        assert_eq!(
            names_hickory,
            *name == "dns",
            "only dns names hickory-proto: {name}"
        );
    }
}

/// What a user of `package` alone gets, with its default features: `cargo metadata` would join the features
/// that the whole workspace asks for.
fn brought_along(package: &str) -> BTreeSet<String> {
    brought_along_with(package, &[])
}

/// The same with other features.
fn brought_along_with(package: &str, features: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "tree",
        "--offline",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--package",
        package,
    ]);
    cargo.args(features);
    cargo
        .arg("--manifest-path")
        .arg(workspace_root().join("Cargo.toml"));
    let tree = String::from_utf8(run(&mut cargo)).expect("cargo tree is UTF-8");
    // `name vVERSION (what else)`, the package itself first.
    let lines = tree.lines().skip(1).filter(|line| !line.is_empty());
    let crates = lines.map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    crates.collect()
}

#[test]
fn dependency_budgets_hold() {
    for (name, _, budget) in MAP {
        let reachable = brought_along(&format!("mailwright-{name}"));
        let count = reachable.len();
        println!("{count:3} of {budget:3}  mailwright-{name}");
        assert!(
            count <= *budget,
            "mailwright-{name} brings {count} crates of {budget}: {reachable:?}"
        );
    }
}

#[test]
fn whoever_wants_one_protocol_gets_few_crates() {
    let small = [
        ("wire", &[][..]),
        ("address", &[]),
        ("pop3", &[]),
        ("smtp", &[]),
        // The engines and the codec; `message` answers from a part index.
        ("imap", &["--no-default-features"]),
    ];
    for (name, features) in small {
        let brings = brought_along_with(&format!("mailwright-{name}"), features);
        assert!(brings.len() <= 12, "mailwright-{name} brings {brings:?}");
    }
}

/// `smtp_sink_in_test` names two crates: what they bring is what it adds to the tree of a user.
#[test]
fn a_sink_in_a_test_adds_few_crates() {
    let example = workspace_root().join("crates/smtp/examples/smtp_sink_in_test.rs");
    let source = std::fs::read_to_string(example).expect("it is there");
    let imports = source.lines().filter_map(|line| line.strip_prefix("use "));
    let crates: BTreeSet<_> = imports
        .filter_map(|path| path.split("::").next())
        .filter(|name| *name != "std")
        .collect();
    assert_eq!(
        crates,
        BTreeSet::from(["mailwright_smtp", "mailwright_wire"]),
        "its imports"
    );
    let mut added = brought_along("mailwright-smtp");
    added.extend(brought_along("mailwright-wire"));
    // `mailwright-wire` is among those of `mailwright-smtp`.
    let count = added.len() + 1;
    println!("{count} crates: mailwright-smtp v0.1.0 and {added:?}");
    assert!(count < 15, "{count} crates: {added:?}");

    // What only builds the others is not linked, but has to be compiled as well.
    let mut compiled = brought_along_with("mailwright-smtp", &["--edges", "build"]);
    compiled.extend(brought_along_with("mailwright-wire", &["--edges", "build"]));
    let builds = compiled.difference(&added).count();
    let guide = workspace_root().join("crates/mailwright/guide/test.md");
    let guide = std::fs::read_to_string(guide).expect("it is there");
    for said in [format!("links {count} crates"), format!("takes {builds} more")] {
        assert!(
            guide.contains(&said),
            "the guide is to say {said:?}: {compiled:?}"
        );
    }
}

#[test]
fn the_readme_counts_what_each_crate_brings() {
    let readme = std::fs::read_to_string(workspace_root().join("README.md")).expect("README.md");
    let mut wrong = Vec::new();
    let mut rows = 0;
    for row in readme.lines().filter(|l| l.starts_with("| [`mailwright")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let package = cells[1].split('`').nth(1).expect("a name");
        let count = brought_along(package).len().to_string();
        if cells[3].split(' ').next() != Some(&count) {
            wrong.push(format!("{package} brings {count} crates, not {}", cells[3]));
        }
        rows += 1;
    }
    assert!(wrong.is_empty(), "README.md: {wrong:#?}");
    assert_eq!(
        rows,
        MAP.len() + 2,
        "a row for each crate, the server and the facade"
    );
}

/// Source files of a crate, tests left out.
fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir)
        .expect("a source folder")
        .map(|e| e.expect("an entry").path())
    {
        if entry.is_dir() {
            sources(&entry, into);
        } else if entry.extension().is_some_and(|e| e == "rs") {
            into.push(entry);
        }
    }
}

#[test]
fn sans_io_sources_name_no_io() {
    let words = [
        "tokio",
        "rustls",
        "std::net",
        "std::fs",
        "std::thread",
        "Instant::now",
        "SystemTime::now",
    ];
    let mut seen = 0;
    for name in SANS_IO {
        let mut files = vec![];
        sources(
            &workspace_root().join("crates").join(name).join("src"),
            &mut files,
        );
        for file in files {
            let text = std::fs::read_to_string(&file).expect("UTF-8 source");
            let code = text
                .lines()
                .enumerate()
                .filter(|(_, l)| !l.trim_start().starts_with("//"));
            for (number, line) in code {
                seen += 1;
                let found = words.iter().find(|w| line.contains(**w));
                assert!(
                    found.is_none(),
                    "{}:{}: {}",
                    file.display(),
                    number + 1,
                    line.trim()
                );
            }
        }
    }
    assert!(seen > 5000, "only {seen} lines were looked at");
}

#[test]
fn the_readme_finds_every_rfc() {
    let root = workspace_root();
    let readme = std::fs::read_to_string(root.join("README.md")).expect("README.md");
    let mut rows = 0;
    for row in readme.lines().filter(|l| l.starts_with("| RFC ")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let (rfc, files) = (cells[1], cells[3]);
        for file in files.split(',').map(|f| f.trim().trim_matches('`')) {
            let text = std::fs::read_to_string(root.join(file));
            let text = text.unwrap_or_else(|e| panic!("{rfc}: README names {file}: {e}"));
            assert!(text.contains(rfc), "{file} does not speak of {rfc}");
        }
        rows += 1;
    }
    assert!(rows >= 25, "the table of RFCs has only {rows} rows");
}
