//! The service manager: sockets it hands over, and what it is told (systemd)

use super::Failure;
use mailwright_server::Sockets;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// The sockets that the service manager has opened for this process (socket activation), which have names if it gives them
/// any.
#[cfg(unix)]
pub(super) fn inherited() -> Result<Sockets, Failure> {
    let failed = |error| format!("a socket of the service manager: {error}");
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').map(str::to_owned);
    let mut given = listenfd::ListenFd::from_env();
    let mut sockets = Sockets::default();
    for at in 0..given.len() {
        let name = names.next().filter(|name| !name.is_empty() && name != "unknown");
        if let Some(socket) = given.take_tcp_listener(at).map_err(failed)? {
            sockets.give(name, socket).map_err(failed)?;
        }
    }
    Ok(sockets)
}

#[cfg(not(unix))]
pub(super) fn inherited() -> Result<Sockets, Failure> {
    Ok(Sockets::default())
}

/// Whom the service manager hears from; nobody if there is none.
pub(super) struct Manager {
    watchdog: Option<Interval>,
}

impl Manager {
    pub(super) fn new() -> Self {
        let watchdog = watchdog().map(|limit| {
            // Twice in the time that the manager waits.
            let mut often = interval((limit / 2).max(Duration::from_millis(1)));
            often.set_missed_tick_behavior(MissedTickBehavior::Delay);
            often
        });
        Self { watchdog }
    }

    /// Tells at due times that this program lives; never ends where nobody wants to know.
    pub(super) async fn alive(&mut self) {
        match &mut self.watchdog {
            Some(often) => {
                often.tick().await;
                tell(Told::Alive);
            }
            None => std::future::pending().await,
        }
    }

    pub(super) fn ready(&self) {
        tell(Told::Ready);
    }

    pub(super) fn reloading(&self) {
        tell(Told::Reloading);
    }

    pub(super) fn stopping(&self) {
        tell(Told::Stopping);
    }
}

enum Told {
    Ready,
    Reloading,
    Stopping,
    Alive,
}

#[cfg(target_os = "linux")]
fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

#[cfg(target_os = "linux")]
fn tell(what: Told) {
    use sd_notify::NotifyState;

    let told = match what {
        Told::Ready => sd_notify::notify(&[NotifyState::Ready]),
        Told::Reloading => NotifyState::monotonic_usec_now()
            .and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now])),
        Told::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
        Told::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
    };
    if let Err(error) = told {
        tracing::warn!("the service manager cannot be told: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn watchdog() -> Option<Duration> {
    None
}

#[cfg(not(target_os = "linux"))]
fn tell(_: Told) {}
