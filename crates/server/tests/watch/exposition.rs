//! The text format of Prometheus, read strictly: whatever a scraper might stumble over is a failure.

use std::collections::{BTreeMap, BTreeSet};

/// All samples, by name and labels as they stand in the text.
#[derive(Debug)]
pub struct Exposition(BTreeMap<String, f64>);

impl Exposition {
    pub fn parse(text: &str) -> Self {
        let mut samples = BTreeMap::new();
        let mut kinds: BTreeMap<String, String> = BTreeMap::new();
        let mut helped = BTreeSet::new();
        let mut family = String::new();
        assert!(text.ends_with('\n'), "the last line ends");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a help has words");
                assert!(!help.is_empty() && is_name(name), "{line}");
                assert!(helped.insert(name.to_owned()), "{name} comes twice");
                name.clone_into(&mut family);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a type");
                assert_eq!(name, family, "a type follows its help");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                kinds.insert(name.to_owned(), kind.to_owned());
            } else {
                let (series, value) = line
                    .rsplit_once(' ')
                    .unwrap_or_else(|| panic!("a sample: {line}"));
                let name = series.split('{').next().expect("a name");
                let of_family = match kinds.get(&family).map(String::as_str) {
                    Some("histogram") => ["_bucket", "_sum", "_count"]
                        .iter()
                        .any(|end| name == format!("{family}{end}")),
                    Some(_) => name == family,
                    None => panic!("no type ahead of {line}"),
                };
                assert!(of_family && is_name(name), "{line}");
                check_labels(&series[name.len()..]);
                let value: f64 = value.parse().unwrap_or_else(|_| panic!("a number: {line}"));
                assert!(
                    value.is_finite() && samples.insert(series.to_owned(), value).is_none(),
                    "{line}"
                );
            }
        }
        let all = Self(samples);
        for (name, _) in kinds.iter().filter(|(_, kind)| *kind == "histogram") {
            let prefix = format!("{name}_bucket");
            let buckets: Vec<(f64, f64)> = all
                .0
                .iter()
                .filter(|(series, _)| series.starts_with(&prefix))
                .map(|(series, value)| {
                    let bound = series.split('"').nth(1).expect("a bound");
                    (bound.parse().expect("+Inf is a number as well"), *value)
                })
                .collect();
            let mut sorted = buckets.clone();
            sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(
                sorted.windows(2).all(|pair| pair[0].1 <= pair[1].1),
                "{name}: {sorted:?}"
            );
            let last = sorted.last().expect("a class without bound");
            assert!(last.0.is_infinite() && last.1.total_cmp(&all.of(&format!("{name}_count"))).is_eq());
            assert!(all.of(&format!("{name}_sum")) >= 0.0);
        }
        all
    }

    pub fn of(&self, series: &str) -> f64 {
        *self
            .0
            .get(series)
            .unwrap_or_else(|| panic!("{series} in {:#?}", self.0))
    }

    pub fn series(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn is_name(text: &str) -> bool {
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.chars().all(valid) && text.starts_with(|c: char| c.is_ascii_lowercase())
}

fn check_labels(text: &str) {
    let Some(inner) = text.strip_prefix('{') else {
        return assert!(text.is_empty(), "{text}");
    };
    for pair in inner.strip_suffix('}').expect("it is closed").split(',') {
        let (name, value) = pair.split_once('=').expect("a label has a value");
        let value = value
            .strip_prefix('"')
            .and_then(|it| it.strip_suffix('"'))
            .expect("in quotes");
        assert!(
            is_name(name) && !value.contains(['"', '\\', '\n']) && !value.is_empty(),
            "{pair}"
        );
    }
}
