//! No circles between the modules of a crate: whoever reads a module can read what it stands on first.
//!
//! A module and the ones inside of it belong together, so arrows between those do not count. What a crate re-exports
//! at its root is not followed: an arrow is a path that names a module.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The modules of a crate by path (`a::b`), with their source without comments and tests.
fn modules(src: &Path) -> BTreeMap<Vec<String>, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![(src.to_owned(), vec![])];
    while let Some((dir, at)) = open.pop() {
        for entry in std::fs::read_dir(&dir).expect("a source folder") {
            let path: PathBuf = entry.expect("an entry").path();
            let name = path
                .file_stem()
                .and_then(|n| n.to_str())
                .expect("UTF-8")
                .to_owned();
            let inside = |name: String| at.iter().cloned().chain([name]).collect::<Vec<_>>();
            if path.is_dir() {
                open.push((path, inside(name)));
            } else if path.extension().is_some_and(|e| e == "rs") {
                let module = match name.as_str() {
                    "lib" | "main" | "mod" => at.clone(),
                    _ => inside(name),
                };
                let text = std::fs::read_to_string(&path).expect("UTF-8 source");
                let text = text.split("#[cfg(test)]").next().unwrap_or_default();
                let code = text.lines().filter(|l| !l.trim_start().starts_with("//"));
                found.insert(module, code.collect::<Vec<_>>().join("\n"));
            }
        }
    }
    found
}

/// The paths that begin with `crate` or `super` in a source, `use` trees spread out.
fn paths(source: &str) -> Vec<Vec<String>> {
    let mut found = vec![];
    for start in ["crate::", "super::"] {
        for (at, _) in source.match_indices(start) {
            let before = source[..at].chars().next_back();
            if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
                spread(&source[at..], &mut vec![], &mut found);
            }
        }
    }
    found
}

/// Reads one path or `use` tree; returns what is behind it.
fn spread<'a>(mut rest: &'a str, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    let depth = prefix.len();
    loop {
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '*'))
            .unwrap_or(rest.len());
        if end > 0 {
            prefix.push(rest[..end].to_owned());
            rest = &rest[end..];
        }
        if let Some(inner) = rest.strip_prefix('{') {
            rest = inner;
            loop {
                rest = spread(rest.trim_start(), prefix, found).trim_start();
                match rest.strip_prefix(',') {
                    Some(next) => rest = next,
                    None => break,
                }
            }
            rest = rest.strip_prefix('}').unwrap_or(rest);
            break;
        }
        match rest.strip_prefix("::") {
            Some(next) => rest = next,
            None => {
                found.push(prefix.clone());
                break;
            }
        }
    }
    prefix.truncate(depth);
    rest
}

/// The module that a path written in `from` names, as deep as there are modules.
fn resolve(from: &[String], path: &[String], modules: &BTreeMap<Vec<String>, String>) -> Vec<String> {
    let mut at = if path[0] == "crate" { vec![] } else { from.to_vec() };
    for part in path {
        match part.as_str() {
            "crate" => {}
            "super" => drop(at.pop()),
            name => {
                let deeper: Vec<_> = at.iter().cloned().chain([name.to_owned()]).collect();
                if !modules.contains_key(&deeper) {
                    break;
                }
                at = deeper;
            }
        }
    }
    at
}

type Arrows = BTreeMap<Vec<String>, BTreeSet<Vec<String>>>;

fn arrows(modules: &BTreeMap<Vec<String>, String>) -> Arrows {
    let of = |(from, source): (&Vec<String>, &String)| {
        let to = paths(source)
            .into_iter()
            .map(|path| resolve(from, &path, modules));
        let kin = |to: &Vec<String>| to.starts_with(from) || from.starts_with(to);
        (from.clone(), to.filter(|to| !kin(to)).collect())
    };
    modules.iter().map(of).collect()
}

/// A way from a module back to itself.
fn circle(arrows: &Arrows) -> Option<Vec<Vec<String>>> {
    arrows.keys().find_map(|start| {
        let mut came_from: BTreeMap<&Vec<String>, &Vec<String>> = BTreeMap::new();
        let mut open = vec![start];
        while let Some(at) = open.pop() {
            for next in &arrows[at] {
                if next == start {
                    let mut way = vec![at.clone()];
                    while let Some(before) = came_from.get(way.last().expect("never empty")) {
                        way.push((*before).clone());
                    }
                    return Some(way);
                }
                if !came_from.contains_key(next) {
                    came_from.insert(next, at);
                    open.push(next);
                }
            }
        }
        None
    })
}

#[test]
fn no_modules_stand_in_a_circle() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut seen, mut circles) = (0, vec![]);
    for entry in std::fs::read_dir(crates).expect("the folder of crates") {
        let src = entry.expect("an entry").path().join("src");
        let arrows = arrows(&modules(&src));
        seen += arrows.values().map(BTreeSet::len).sum::<usize>();
        circles.extend(circle(&arrows).map(|circle| (src, circle)));
    }
    assert!(circles.is_empty(), "{circles:?}");
    assert!(seen > 200, "only {seen} arrows were seen");
}

#[test]
fn a_circle_would_be_seen() {
    let module = |name: &str, source: &str| (vec![name.to_owned()], source.to_owned());
    let tied = BTreeMap::from([
        module("a", "use crate::{b::{self, X}, c};"),
        module("b", "fn f() { crate::c::g() }"),
        module("c", "use super::a::Y;"),
    ]);
    assert!(circle(&arrows(&tied)).is_some());
    let untied = BTreeMap::from([
        module("a", "use crate::{b::X, c};"),
        module("b", "use super::c;"),
        module("c", ""),
    ]);
    assert_eq!(circle(&arrows(&untied)), None);
}
