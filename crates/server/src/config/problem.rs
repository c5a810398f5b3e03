//! Mistakes in a configuration file: where they are, and what to do.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What is wrong with a configuration: all that was found, not only the first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The mistakes, in the order of the file.
    pub problems: Vec<Problem>,
}

/// One mistake. Prints as `FILE:LINE:COLUMN: what is wrong`, and under it what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Line and column, both from 1, if the mistake has a place.
    pub place: Option<(usize, usize)>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl ConfigError {
    pub(crate) fn unreadable(file: &Path, error: &io::Error, help: &str) -> Self {
        let problem = Problem {
            file: file.into(),
            place: None,
            what: format!("cannot be read: {error}"),
            help: Some(help.into()),
        };
        Self {
            problems: vec![problem],
        }
    }

    /// The deserializer's error, without the source line that it likes to show: that may hold a secret.
    pub(crate) fn syntax(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let mut found = Problems::new(file, text);
        found.add(error.span(), error.message().replace('\n', "; "), None);
        Self {
            problems: found.problems,
        }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", self.what)?;
        match &self.help {
            Some(help) => write!(f, "\n  {help}"),
            None => Ok(()),
        }
    }
}

/// Gathers the mistakes of one file.
pub(crate) struct Problems<'a> {
    file: &'a Path,
    text: &'a str,
    problems: Vec<Problem>,
}

impl<'a> Problems<'a> {
    pub(crate) fn new(file: &'a Path, text: &'a str) -> Self {
        Self {
            file,
            text,
            problems: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, span: Option<Range<usize>>, what: impl Into<String>, help: Option<&str>) {
        self.problems.push(Problem {
            file: self.file.into(),
            place: span.map(|span| place(self.text, span.start)),
            what: what.into(),
            help: help.map(Into::into),
        });
    }

    /// Adds the mistakes of another file.
    pub(crate) fn extend(&mut self, other: ConfigError) {
        self.problems.extend(other.problems);
    }

    /// The value, unless there were mistakes.
    pub(crate) fn finish<T>(mut self, value: T) -> Result<T, ConfigError> {
        self.problems.sort_by_key(|problem| problem.place);
        match self.problems.is_empty() {
            true => Ok(value),
            false => Err(ConfigError {
                problems: self.problems,
            }),
        }
    }
}

/// Line and column of an offset, both from 1.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|octet| **octet == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|octet| **octet != b'\n').count() + 1;
    (line, column)
}
