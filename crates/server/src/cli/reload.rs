//! `mailwright reload`: the running server reads its configuration again

use super::{Failure, terminal};
use mailwright_server::control::{Client, Request};
use mailwright_server::{Config, Reloaded};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration file of the server.
    #[arg(long, value_name = "FILE", required_unless_present = "data")]
    config: Option<PathBuf>,
    /// The data folder of the server, in place of the one in the configuration.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Asks the server, and prints what has changed.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let data = match (arguments.data, arguments.config) {
        (Some(data), _) => data,
        // A mistake in the file is better told here than by a server that cannot be found.
        (None, Some(config)) => Config::load(&config)?.data,
        (None, None) => return Err("say which server: --config FILE or --data DIR".into()),
    };
    let server = Client::connect(&data).map_err(|error| format!("{}: {error}", data.display()))?;
    let mut server = server.ok_or_else(|| {
        format!(
            "no server runs on {}\n  Start it, or name its data folder by --data; with `control = false` it heeds SIGHUP \
             alone.",
            data.display()
        )
    })?;
    let done: Reloaded = server.call(Request::Reload {})?;
    terminal::print(&told(&done));
    Ok(())
}

fn told(done: &Reloaded) -> String {
    let mut lines = vec![match done.changed.is_empty() {
        true => "read again: nothing has changed in the configuration itself".to_owned(),
        false => format!("changed: {}", done.changed.join(", ")),
    }];
    lines.extend(
        done.opened
            .iter()
            .map(|(name, address)| format!("opened: {name} at {address}")),
    );
    lines.extend(
        done.closed
            .iter()
            .map(|name| format!("closed: {name}; who is connected stays")),
    );
    if !done.restart.is_empty() {
        lines.push(format!("not before the next start: {}", done.restart.join(", ")));
    }
    lines.join("\n") + "\n"
}
