//! The server that a command is about: what it does while it runs, and its store while it does not.

use super::Failure;
use super::bar::Bar;
use super::kept::{self, Kept};
use clap::Args;
use mailwright_address::Domain;
use mailwright_server::accounts::Accounts;
use mailwright_server::config::Config;
use mailwright_server::control::work::{Job, Outcome};
#[cfg(unix)]
use mailwright_server::control::{
    Client, Request, socket,
    work::{self, End, State},
};
#[cfg(unix)]
use mailwright_server::transfer::Observer;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The options that say which server is meant.
#[derive(Debug, Default, PartialEq, Eq, Args)]
pub(super) struct Place {
    /// The configuration file of the server.
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "data")]
    pub(super) config: Option<PathBuf>,
    /// The data folder of a `localserve`.
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) data: Option<PathBuf>,
}

impl Place {
    /// Whether it is a `localserve`: that one takes every account's domain for its own.
    pub(super) fn is_local_serve(&self) -> bool {
        self.config.is_none()
    }

    /// The configuration of the server; of a `localserve`, as much of it as its data folder tells.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        if let Some(path) = &self.config {
            return Ok(Config::load(path)?);
        }
        let folder = self.data.as_deref().unwrap_or(Path::new(super::localserve::DATA));
        if !folder.is_dir() {
            return Err(format!(
                "there is no folder {}: say which server it is by --config FILE or --data DIR",
                folder.display()
            )
            .into());
        }
        let localhost = Domain::parse("localhost")?;
        let mut config = Config::new(localhost.clone(), folder);
        config.domains.push(localhost);
        config.store = kept::kind_of(&config.data.join("mail")).unwrap_or_default();
        Ok(config)
    }
}

/// What to do about a server that runs.
pub(super) const IN_USE: &str = "The server is running: stop it for as long as this takes.";

/// Opens the store of a server that does not run.
pub(super) fn open(config: &Config) -> Result<Kept, Failure> {
    Kept::open(&config.data, Some(config.store), IN_USE)
}

/// Has a job done by the server that runs, or does it where none runs.
pub(super) fn perform(config: &Config, job: Job, bar: &mut Bar) -> Result<Outcome, Failure> {
    #[cfg(unix)]
    if let Some(client) = Client::connect(&config.data)
        .map_err(|error| format!("the server's socket {}: {error}", socket(&config.data).display()))?
    {
        return watch(client, job, bar);
    }
    let (accounts, store) = (Accounts::load(config)?, open(config)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(job.run(&accounts, &store, Some(&store), bar))?)
}

/// Waits until the running server has done a job; it stops when this process does.
#[cfg(unix)]
fn watch(mut client: Client, job: Job, bar: &mut Bar) -> Result<Outcome, Failure> {
    let mut request = work::Request::Begin(job);
    loop {
        let state: State = client.call(Request::Work(request))?;
        for (what, why) in &state.skipped {
            bar.skipped(what, why);
        }
        bar.progress(&state.progress);
        match state.end {
            Some(End::Done(outcome)) => return Ok(outcome),
            Some(End::Failed(why)) => return Err(why.into()),
            _ => request = work::Request::Watch {},
        }
    }
}

/// Writes a file that is not there, with these permissions.
pub(super) fn create(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let write = || {
        let mut file = options.open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| format!("{}: {error}", path.display()).into())
}

/// A path as the server finds it, which runs in another folder.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()).into())
}
