//! Running a server until a signal stops it.

use super::Failure;
use super::kept::Kept;
use mailwright_server::config::{LogConfig, LogFormat};
use mailwright_server::{Config, Metrics, Running, Server};
use std::io::{self, IsTerminal};
use std::sync::Arc;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

/// Starts the server, lets `started` have a look at it, and stops it in order at SIGTERM or SIGINT.
pub(super) fn until_stopped(
    config: Config,
    started: impl FnOnce(&Running<Kept>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let metrics = Arc::<Metrics>::default();
    start_logs(&config.observing.log, metrics.clone());
    raise_open_files(config.limits.connections);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut stop = Signals::new()?;
        let in_use = "Stop the other one, or give this one a data folder of its own.";
        let store = Kept::open(&config.data, Some(config.store), in_use)?;
        let mut running = Server::builder(config)
            .store(store)
            .upkeep(|kept| kept)
            .metrics(metrics)
            .start()
            .await?;
        started(&running)?;
        let ended = tokio::select! {
            () = stop.next() => Ok(()),
            // What is left would look like a server that works. Whoever keeps it running starts it again.
            ended = running.failed() => Err(ended),
        };
        if let Err(ended) = &ended {
            tracing::error!("{ended}");
        }
        tracing::info!("stopping; a second signal stops at once");
        tokio::select! {
            () = running.shutdown() => tracing::info!("stopped"),
            () = stop.next() => tracing::warn!("stopped at once"),
        }
        Ok(ended?)
    })
}

/// Logs to the standard error, and counts what tells of trouble. `RUST_LOG` goes before the configuration.
fn start_logs(config: &LogConfig, metrics: Arc<Metrics>) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(&config.level));
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match config.format {
        LogFormat::Json => lines.json().boxed(),
        _ => lines.with_ansi(io::stderr().is_terminal()).boxed(),
    };
    let registry = tracing_subscriber::registry().with(filter);
    registry.with(lines).with(Counting(metrics)).init();
}

/// Counts the lines of the log that tell of trouble.
struct Counting(Arc<Metrics>);

impl<S: Subscriber> Layer<S> for Counting {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.logged(*event.metadata().level());
    }
}

/// Takes as many open files as the system grants, and says if that is not enough.
#[cfg(unix)]
fn raise_open_files(connections: u32) {
    use rustix::process::{Resource, getrlimit, setrlimit};

    /// Files of the store, listeners, connections to other servers.
    const BESIDE: u64 = 200;

    let mut limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum || (limit.current.is_some() && limit.maximum.is_none()) {
        limit.current = limit.maximum;
        let _ = setrlimit(Resource::Nofile, limit);
    }
    if let Some(granted) = getrlimit(Resource::Nofile).current
        && granted < u64::from(connections) + BESIDE
    {
        tracing::info!(
            granted,
            "the system grants fewer open files than limits.connections needs: raise LimitNOFILE or `ulimit -n`"
        );
    }
}

#[cfg(not(unix))]
fn raise_open_files(_: u32) {}

/// The signals that stop the server.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
