//! `mailwright dns`: what to publish for a domain, and whether it is published.

use super::place::Place;
use super::{Failure, terminal};
use clap::{Args, Subcommand};
use mailwright_address::Domain;
use mailwright_server::Config;
use mailwright_server::dns::Dns;
use mailwright_server::domains::Domains;
use mailwright_server::http::Client;
use mailwright_server::publish::{Found, Plan, Wanted};
use mailwright_server::tls::Tls;
use std::fmt::Write as _;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print every record to publish for a domain, as a zone file.
    Records {
        /// The domain, one of the server's.
        domain: Domain,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Compare what is published with what should be. Returns 1 if something that mail needs is wrong.
    Check {
        /// The domain, one of the server's.
        domain: Domain,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.command {
        Command::Records { domain, json, place } => {
            let plan = plan(&place.config()?, &domain)?;
            terminal::print(&match json {
                true => serde_json::to_string_pretty(&plan)? + "\n",
                false => plan.to_string(),
            });
            Ok(ExitCode::SUCCESS)
        }
        Command::Check { domain, json, place } => {
            let config = place.config()?;
            let plan = plan(&config, &domain)?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let checked = runtime.block_on(check(&config, &plan))?;
            terminal::print(&match json {
                true => serde_json::to_string_pretty(&as_json(&checked))? + "\n",
                false => as_text(&checked),
            });
            let wrong = checked.iter().any(|(wanted, found)| {
                wanted.needed && matches!(found, Found::Missing | Found::Different { .. })
            });
            Ok(ExitCode::from(u8::from(wrong)))
        }
    }
}

fn plan(config: &Config, domain: &Domain) -> Result<Plan, Failure> {
    if !Domains::load(config)?.has(domain) {
        return Err(format!(
            "{domain} is not one of this server's domains: see `domains` in its configuration"
        )
        .into());
    }
    Ok(Plan::new(config, domain)?)
}

async fn check(config: &Config, plan: &Plan) -> Result<Vec<(Wanted, Found)>, Failure> {
    let dns = Dns::from_config(config);
    let mut checked = Vec::with_capacity(plan.records.len());
    for wanted in &plan.records {
        checked.push((wanted.clone(), wanted.check(&dns).await));
    }
    let client = Client::new(dns, Tls::trusting(config.outbound.ca.as_deref())?);
    let policy = plan.check_policy(&client, config.outbound.https_port).await;
    checked.push((plan.policy_entry(), policy));
    Ok(checked)
}

fn as_json(checked: &[(Wanted, Found)]) -> serde_json::Value {
    let entries = checked
        .iter()
        .map(|(wanted, found)| serde_json::json!({ "wanted": wanted, "result": found }));
    entries.collect()
}

fn as_text(checked: &[(Wanted, Found)]) -> String {
    let mut text = String::new();
    for (wanted, found) in checked {
        let Wanted {
            name,
            kind,
            value,
            purpose,
            needed,
            ..
        } = wanted;
        let word = match found {
            Found::Right { .. } => "ok",
            Found::Missing | Found::Different { .. } if *needed => "WRONG",
            Found::Missing | Found::Different { .. } => "could be",
            _ => "unknown",
        };
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{word:8} {name} {kind}: {purpose}");
        let _ = match found {
            Found::Missing => writeln!(text, "         there is none; publish: {value}"),
            Found::Different { found } => {
                writeln!(
                    text,
                    "         there is: {}\n         publish: {value}",
                    found.join(", ")
                )
            }
            Found::Unknown { why } => writeln!(text, "         {why}; should be: {value}"),
            _ => Ok(()),
        };
    }
    text
}
