//! `mailwright config`: check a configuration file, show what holds by it, print an example.
//!
//! As JSON a check is
//!
//! ```json
//! {
//!   "version": 1,
//!   "file": "/etc/mailwright/mailwright.toml",
//!   "ok": false,
//!   "problems": [
//!     {"file": "/etc/mailwright/mailwright.toml", "line": 4, "column": 1, "problem": "unknown field `hostnam`",
//!      "advice": null}
//!   ]
//! }
//! ```
//!
//! `line` and `column`, both from 1, and `advice` may be null. Keys may be added under the same version.

use super::place::absolute;
use super::{Failure, terminal};
use clap::Subcommand;
use mailwright_server::accounts::Accounts;
use mailwright_server::config::{self, Config, ConfigError};
use mailwright_server::delivery;
use mailwright_server::tls::Tls;
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check a configuration file, and the files it names: every mistake is told with its line.
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Print JSON: {"version", "file", "ok", "problems": [{"file", "line", "column", "problem", "advice"}]}.
        #[arg(long)]
        json: bool,
    },
    /// Show the whole configuration that a file makes, with every default filled in and without secrets.
    Show {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Print JSON, in the structure of the file.
        #[arg(long)]
        json: bool,
    },
    /// Print a complete, commented configuration file.
    Example,
}

/// A mistake.
#[derive(Debug, Serialize)]
struct Told {
    file: String,
    line: Option<usize>,
    column: Option<usize>,
    problem: String,
    advice: Option<String>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    version: u32,
    file: String,
    ok: bool,
    problems: &'a [Told],
}

pub(super) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Check { config, json } => return check(&config, json),
        Command::Show { config, json } => show(&config, json)?,
        Command::Example => terminal::print(config::EXAMPLE),
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns 1 if there are mistakes.
pub(super) fn check(path: &Path, json: bool) -> Result<ExitCode, Failure> {
    let problems = problems(path);
    if json {
        let report = Report {
            version: 1,
            file: path.display().to_string(),
            ok: problems.is_empty(),
            problems: &problems,
        };
        terminal::print(&(serde_json::to_string_pretty(&report)? + "\n"));
    } else if problems.is_empty() {
        terminal::print(&format!("{}: no mistakes\n", path.display()));
    } else {
        let each: Vec<_> = problems.iter().map(ToString::to_string).collect();
        eprintln!("mailwright: {}", each.join("\n"));
    }
    Ok(ExitCode::from(u8::from(!problems.is_empty())))
}

fn show(path: &Path, json: bool) -> Result<(), Failure> {
    // What it prints may be read from anywhere.
    let path = absolute(path)?;
    let config = Config::load(&path)?;
    let text = match json {
        true => config.to_json() + "\n",
        false => format!(
            "# What holds by {}, with every default. The secrets of accounts are left out.\n\n{}",
            path.display(),
            config.to_toml()
        ),
    };
    terminal::print(&text);
    Ok(())
}

/// All mistakes of a file and of those that it names.
fn problems(path: &Path) -> Vec<Told> {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(error) => return told(error),
    };
    let mut problems = Vec::new();
    if let Err(error) = Accounts::load(&config) {
        problems.extend(told(error));
    }
    if let Err(error) = delivery::check(&config) {
        problems.extend(told(error));
    }
    if let Err(error) = Tls::check(&config) {
        problems.push(Told {
            file: path.display().to_string(),
            line: None,
            column: None,
            problem: format!("TLS: {error}"),
            advice: Some(
                "name PEM files with a chain, the server's own certificate first, and with its key".into(),
            ),
        });
    }
    problems
}

fn told(error: ConfigError) -> Vec<Told> {
    let each = error.problems.into_iter().map(|problem| Told {
        file: problem.file.display().to_string(),
        line: problem.place.map(|(line, _)| line),
        column: problem.place.map(|(_, column)| column),
        problem: problem.what,
        advice: problem.help,
    });
    each.collect()
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", self.problem)?;
        match &self.advice {
            Some(advice) => write!(f, "\n  {advice}"),
            None => Ok(()),
        }
    }
}
