//! Messages counted for a report ([RFC 9990] §3.1)
//!
//! [RFC 9990]: https://www.rfc-editor.org/rfc/rfc9990

use super::{Aggregate, Facts, Metadata, PublishedPolicy, Row};
use core::net::IpAddr;
use std::collections::HashMap;

/// Counts the messages of one policy domain, those alike together.
#[derive(Debug, Clone)]
pub struct Collector {
    policy: PublishedPolicy,
    max_rows: usize,
    rows: HashMap<(IpAddr, Facts), u64>,
    left_out: u64,
}

impl Collector {
    /// Begins to count. Beyond `max_rows` different rows, messages are only counted as left out.
    pub fn new(policy: PublishedPolicy, max_rows: usize) -> Self {
        Self {
            policy,
            max_rows,
            rows: HashMap::new(),
            left_out: 0,
        }
    }

    /// Adds a message from a client.
    pub fn add(&mut self, source: IpAddr, facts: Facts) {
        let full = self.rows.len() >= self.max_rows;
        match self.rows.entry((source, facts)) {
            std::collections::hash_map::Entry::Occupied(mut row) => *row.get_mut() += 1,
            std::collections::hash_map::Entry::Vacant(_) if full => self.left_out += 1,
            std::collections::hash_map::Entry::Vacant(row) => {
                row.insert(1);
            }
        }
    }

    /// Adds a row of a report that was written before; one without a client is left out.
    pub fn add_row(&mut self, row: Row) {
        let known = row.source.map(|source| (source, row.facts));
        let room = self.rows.len() < self.max_rows;
        match known {
            Some(key) if room || self.rows.contains_key(&key) => {
                let count = self.rows.entry(key).or_insert(0);
                *count = count.saturating_add(row.count);
            }
            _ => self.left_out = self.left_out.saturating_add(row.count),
        }
    }

    /// Whether no message was added.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.left_out == 0
    }

    /// The report, those clients first that sent most.
    pub fn finish(self, mut metadata: Metadata) -> Aggregate {
        if self.left_out > 0 {
            let error = format!("{} messages are left out of the report", self.left_out);
            metadata.errors.push(error);
        }
        let rows = self.rows.into_iter().map(|((source, facts), count)| Row {
            source: Some(source),
            count,
            facts,
        });
        let mut rows: Vec<Row> = rows.collect();
        rows.sort_by(|a, b| {
            let key = |row: &Row| {
                (
                    row.source,
                    row.facts.header_from.clone(),
                    format!("{:?}", row.facts),
                )
            };
            b.count.cmp(&a.count).then_with(|| key(a).cmp(&key(b)))
        });
        Aggregate {
            metadata,
            policy: self.policy,
            rows,
        }
    }
}
