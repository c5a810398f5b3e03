//! Running a server until a signal stops it

use super::Failure;
use super::kept::Kept;
use super::{privileges, service};
use mailwright_server::config::{LogConfig, LogFormat};
use mailwright_server::{Config, Metrics, Reloaded, Reloads, Running, Server};
use std::io::{self, IsTerminal};
use std::sync::Arc;
use tokio::sync::mpsc;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

/// Reads the configuration again.
pub(super) type Read = dyn Fn() -> Result<Config, Failure>;

/// Starts the server, lets `started` have a look at it, and stops it in order at SIGTERM or SIGINT. At SIGHUP, and when
/// `mailwright reload` asks for it, it takes up the configuration that is read then.
pub(super) fn until_stopped(
    config: Config,
    read: Option<&Read>,
    started: impl FnOnce(&Running<Kept>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let metrics = Arc::<Metrics>::default();
    start_logs(&config.observing.log, metrics.clone());
    raise_open_files(config.limits.connections);
    let sockets = privileges::give_up(&config, service::inherited()?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        let in_use = "Stop the other one, or give this one a data folder of its own.";
        let store = Kept::open(&config.data, Some(config.store), in_use)?;
        let (reloads, mut requests) = Reloads::new();
        let mut running = Server::builder(config)
            .store(store)
            .upkeep(|kept| kept)
            .metrics(metrics)
            .reloads(reloads)
            .sockets(sockets)
            .start()
            .await?;
        started(&running)?;
        let mut manager = service::Manager::new();
        manager.ready();
        let ended = loop {
            tokio::select! {
                () = next(&mut signals.stop) => break Ok(()),
                () = next(&mut signals.reload) => drop(reload(&mut running, read, &manager).await),
                Some(asked) = requests.next() => asked.answer(reload(&mut running, read, &manager).await),
                () = manager.alive() => {}
                // What is left would look like a server that works. Whoever keeps it running starts it again.
                ended = running.failed() => break Err(ended),
            }
        };
        manager.stopping();
        drop(requests);
        if let Err(ended) = &ended {
            tracing::error!("{ended}");
        }
        tracing::info!("stopping; a second signal stops at once");
        tokio::select! {
            () = running.shutdown() => tracing::info!("stopped"),
            () = next(&mut signals.stop) => tracing::warn!("stopped at once"),
        }
        Ok(ended?)
    })
}

/// Takes up the configuration as it is in its file. A mistake in it is told, and changes nothing.
async fn reload(
    running: &mut Running<Kept>,
    read: Option<&Read>,
    manager: &service::Manager,
) -> Result<Reloaded, String> {
    manager.reloading();
    let done = match read.map(|read| read()) {
        None => Err("this server runs without a configuration file that it could read again".to_owned()),
        Some(Err(error)) => Err(error.to_string()),
        Some(Ok(config)) => running.reload(config).await.map_err(|error| error.to_string()),
    };
    match &done {
        Ok(done) => {
            let names: Vec<_> = done.opened.iter().map(|(name, _)| name).collect();
            tracing::info!(changed = done.changed.join(", "), opened = ?names, closed = ?done.closed, "the configuration was read again");
            if !done.restart.is_empty() {
                let settings = done.restart.join(", ");
                tracing::warn!(settings, "these settings hold after a restart alone");
            }
        }
        Err(why) => {
            let why = one_line(why);
            tracing::error!("the configuration stays as it was: {why}");
        }
    }
    manager.ready();
    done
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
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

/// The signals that the server heeds.
struct Signals {
    stop: mpsc::Receiver<()>,
    reload: mpsc::Receiver<()>,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        let (stopped, stop) = mpsc::channel(2);
        // One that waits stands for all that come before it is heeded.
        let (reloaded, reload) = mpsc::channel(1);
        for (kind, told) in [
            (SignalKind::terminate(), &stopped),
            (SignalKind::interrupt(), &stopped),
            (SignalKind::hangup(), &reloaded),
        ] {
            let (mut signal, told) = (signal(kind)?, told.clone());
            tokio::spawn(async move {
                while signal.recv().await.is_some() {
                    // Who has as many as fit needs no more.
                    let _ = told.try_send(());
                }
            });
        }
        Ok(Self { stop, reload })
    }
}

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        let (stopped, stop) = mpsc::channel(2);
        let (reloaded, reload) = mpsc::channel(1);
        tokio::spawn(async move {
            let _kept = reloaded;
            while tokio::signal::ctrl_c().await.is_ok() {
                let _ = stopped.try_send(());
            }
        });
        Ok(Self { stop, reload })
    }
}

/// Waits for a signal; for ever if none can come any more.
async fn next(signals: &mut mpsc::Receiver<()>) {
    if signals.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}
